import { defineRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** A credential in the wallet: what ACA-Py calls its `cred_info`, and the AnonCreds credential itself, which holds no key and never leaves whole. */
export interface CredentialValue {
  [member: string]: unknown;
  schema_id: string;
  cred_def_id: string;
  rev_reg_id: string | null;
  cred_rev_id: string | null;
  attrs: Readonly<Record<string, string>>;
  credential: JsonObject;
  /** What restrictions of proof requests ask about it. */
  subject: JsonObject;
}

export const credential = defineRecord<CredentialValue>({
  category: 'credential',
  idField: 'referent',
  topic: 'credential',
  states: ['deleted'],
  view: ({ id, value }) => ({
    referent: id,
    schema_id: value.schema_id,
    cred_def_id: value.cred_def_id,
    rev_reg_id: value.rev_reg_id,
    cred_rev_id: value.cred_rev_id,
    attrs: { ...value.attrs },
  }),
  tags: (value) => ({ schema_id: value.schema_id, cred_def_id: value.cred_def_id }),
  // ACA-Py's webhook of a deletion names the credential by `id`, as none of its other webhooks does
  removed: ({ id }) => ({ emit: [{ topic: 'credential', payload: { id, state: 'deleted' } }] }),
  admin: {
    one: '/credential/{credential_id}',
    tag: 'credentials',
    remove: true,
  },
});
