import { hashId } from '../kernel/ids.ts';
import { compact, defineRecord, isoTime } from '../kernel/record.ts';

/** The notification of the holder when the revocation is on the ledger. */
export interface RevocationNotice {
  readonly connection: string;
  readonly version: 'v1_0' | 'v2_0';
  readonly thread_id?: string;
  readonly comment?: string;
}

/**
 * A credential that this wallet issued at an index of a revocation registry, from its issuance on. `pending`: it is to be revoked, and is not on the ledger
 * yet; its state follows the ledger.
 */
export interface CredentialRevocationValue {
  [member: string]: unknown;
  /** Id of the registry's record. */
  registry: string;
  rev_reg_id: string;
  cred_def_id: string;
  index: number;
  cred_ex_id: string;
  /** Of issue-credential: `1` or `2`. */
  cred_ex_version: string;
  pending?: { readonly notice?: RevocationNotice };
}

/** The pending revocations of all registries. */
export const ANY = 'any';

/** The record of an index: a second credential at it clashes. */
export const credentialRevocationId = (registry: string, index: number): string => hashId(`${registry} ${index}`);

export const credentialRevocation = defineRecord<CredentialRevocationValue>({
  category: 'cred_rev',
  idField: 'record_id',
  label: 'Credential revocation record',
  topic: 'issuer_cred_rev',
  states: ['issued', 'revoked'],
  view: ({ id, state, created, updated, value }) =>
    compact({
      state,
      created_at: isoTime(created),
      updated_at: isoTime(updated),
      record_id: id,
      cred_ex_id: value.cred_ex_id,
      rev_reg_id: value.rev_reg_id,
      cred_def_id: value.cred_def_id,
      cred_rev_id: String(value.index),
      cred_ex_version: value.cred_ex_version,
    }),
  tags: (value) => ({
    registry: value.registry,
    cred_ex_id: value.cred_ex_id,
    pending: value.pending && [value.registry, ANY],
  }),
});
