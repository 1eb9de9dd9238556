import { lookOf, OCA_BUNDLE } from '../formats/oca-bundle.ts';
import { jsonOf } from '../kernel/json.ts';
import { defineRecord, isoTime, type LoadedRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** The look of a credential definition's credentials: given by this wallet's owner as their issuer, or received with an offer as their holder. */
export interface OcaBundleValue {
  [member: string]: unknown;
  cred_def_id: string;
  issuer_id: string;
  /** As it was given, or came. */
  bundle: JsonObject;
  /** When its issuer gave it, in seconds, as they have signed; of what came alone, and not of all. */
  signed_at?: number;
}

const named = ({ id, role, updated, value: { cred_def_id, issuer_id } }: LoadedRecord<OcaBundleValue>): JsonObject => ({
  oca_bundle_id: id,
  role: role ?? null,
  cred_def_id,
  issuer_id,
  updated_at: isoTime(updated),
});

export const ocaBundle = defineRecord<OcaBundleValue>({
  category: OCA_BUNDLE,
  idField: 'oca_bundle_id',
  label: 'OCA bundle',
  topic: 'oca_bundle',
  states: ['active', 'deleted'],
  // the part that cards show: a list of whole bundles would be long
  view: (record) => ({ ...named(record), look: jsonOf(lookOf(record.value.bundle)) }),
  terse: named,
  tags: ({ cred_def_id }) => ({ cred_def_id }),
  admin: {
    list: '/oca-bundles',
    one: '/oca-bundles/{oca_bundle_id}',
    tag: 'oca-bundle',
    remove: true,
    filters: { cred_def_id: 'cred_def_id' },
  },
});
