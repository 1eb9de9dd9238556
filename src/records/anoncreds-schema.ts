import { compact, defineRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** A schema of this wallet and how far its registration has come (ACA-Py's `schema_state`). */
export interface SchemaValue {
  [member: string]: unknown;
  schema: { issuerId: string; name: string; version: string; attrNames: readonly string[] };
  schema_id?: string;
  verkey: string;
  /** Another agent pays for its write. */
  endorser?: { readonly connection?: string };
  error_msg?: string;
}

/** The answer of `POST /anoncreds/schema`. */
const result = (state: string, value: SchemaValue, jobId: string): JsonObject =>
  compact({
    job_id: state === 'finished' ? undefined : jobId,
    schema_state: compact({ state, schema_id: value.schema_id, schema: value.schema }),
    registration_metadata: value.error_msg ? { reason: value.error_msg } : {},
    schema_metadata: {},
  });

/** Its id is made of issuer, name and version, so that a repeated call finds what the first one began. */
export const schemaRecord = defineRecord<SchemaValue>({
  category: 'schema',
  idField: 'job_id',
  states: ['action', 'wait', 'finished', 'failed'],
  view: ({ id, state, value }) => result(state ?? 'action', value, id),
  tags: (value) => ({
    schema_id: value.schema_id,
    schema_issuer_id: value.schema.issuerId,
    schema_name: value.schema.name,
    schema_version: value.schema.version,
  }),
  admin: { tag: 'AnonCreds - Schemas' },
});
