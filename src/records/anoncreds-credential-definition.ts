import { compact, defineRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** A credential definition of this wallet and how far its registration has come. Its private key is in the key table. */
export interface CredentialDefinitionValue {
  [member: string]: unknown;
  issuerId: string;
  schemaId: string;
  tag: string;
  cred_def_id?: string;
  credential_definition?: JsonObject;
  schema?: { issuerId: string; name: string; version: string };
  verkey: string;
  /** Entries of its revocation registries; absent where its credentials cannot be revoked. */
  revocation_size?: number;
  /** The call that registers it waits until a registry is active: whether it is to, and until when (ms). */
  waits_for_registry?: boolean;
  registry_until?: number;
  /** Why there is no registry yet. */
  revocation_reason?: string;
  /** Another agent pays for its write. */
  endorser?: { readonly connection?: string };
  error_msg?: string;
}

const result = (state: string, value: CredentialDefinitionValue, jobId: string): JsonObject =>
  compact({
    job_id: state === 'finished' ? undefined : jobId,
    credential_definition_state: compact({
      state,
      credential_definition_id: value.cred_def_id,
      credential_definition: value.credential_definition ?? { issuerId: value.issuerId, schemaId: value.schemaId, tag: value.tag },
    }),
    registration_metadata: compact({ reason: value.error_msg, revocation: value.revocation_reason }),
    credential_definition_metadata: {},
  });

export const credentialDefinitionRecord = defineRecord<CredentialDefinitionValue>({
  category: 'cred_def',
  idField: 'job_id',
  states: ['action', 'wait', 'finished', 'failed'],
  view: ({ id, state, value }) => result(state ?? 'action', value, id),
  tags: (value) => ({
    cred_def_id: value.cred_def_id,
    issuer_id: value.issuerId,
    schema_id: value.schemaId,
    schema_issuer_id: value.schema?.issuerId,
    schema_name: value.schema?.name,
    schema_version: value.schema?.version,
  }),
  admin: { tag: 'AnonCreds - Credential Definitions' },
});
