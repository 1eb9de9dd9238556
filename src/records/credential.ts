import { defineRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/**
 * A credential in the wallet, with what its format knows of it: AnonCreds' (and Indy's) have the members of ACA-Py's `cred_info`, those of another format name it in
 * `format`. A secret that goes with one is the key `credential:ID`.
 */
export interface CredentialValue {
  [member: string]: unknown;
  /** Absent for AnonCreds. */
  format?: string;
  schema_id?: string;
  cred_def_id?: string;
  rev_reg_id?: string | null;
  cred_rev_id?: string | null;
  attrs?: Readonly<Record<string, string>>;
  /** The credential itself: it never leaves whole. */
  credential: JsonObject;
  /** The facts that restrictions of proof requests name. */
  subject?: JsonObject;
}

export const credential = defineRecord<CredentialValue>({
  category: 'credential',
  idField: 'referent',
  topic: 'credential',
  states: ['deleted'],
  view({ id, value: { credential: _whole, subject: _asked, ...info } }) {
    return { referent: id, ...(info as JsonObject) };
  },
  tags: (value) => ({ schema_id: value.schema_id, cred_def_id: value.cred_def_id, format: value.format }),
  removed: ({ id, value }) => ({
    removedKeys: value.format === undefined ? [] : [`credential:${id}`],
    // ACA-Py's webhook of a deletion names the credential by `id`, as none of its other webhooks does
    emit: [{ topic: 'credential', payload: { id, state: 'deleted' } }],
  }),
  admin: {
    one: '/credential/{credential_id}',
    tag: 'credentials',
    remove: true,
  },
});
