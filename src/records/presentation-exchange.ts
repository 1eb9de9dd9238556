import { compact, defineRecord, type ExchangeValue, exchangeTags, exchangeView, type LoadedRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** A present-proof exchange, under the names of ACA-Py's V20PresExRecord. */
export interface PresentationExchangeValue extends ExchangeValue {
  auto_present?: boolean;
  auto_verify?: boolean;
  verified?: 'true' | 'false';
  verified_msgs?: readonly string[];
  pres_proposal?: JsonObject;
  pres_request?: JsonObject;
  pres?: JsonObject;
  /** Since when a request that nothing in the wallet answers waits for a credential that is on its way (ms). */
  waiting_since?: number;
}

const MESSAGES = ['pres_proposal', 'pres_request', 'pres'] as const;

function terse(record: LoadedRecord<PresentationExchangeValue>): JsonObject {
  const { value } = record;
  return compact({
    ...exchangeView(record, 'pres_ex_id'),
    auto_present: value.auto_present ?? false,
    auto_verify: value.auto_verify ?? false,
    error_msg: value.error_msg,
    verified: value.verified,
    verified_msgs: value.verified_msgs,
  });
}

export const presentationExchange = defineRecord<PresentationExchangeValue>({
  category: 'pres_ex_v20',
  idField: 'pres_ex_id',
  label: 'Presentation exchange',
  topic: 'present_proof_v2_0',
  states: [
    'proposal-sent',
    'proposal-received',
    'request-sent',
    'request-received',
    'presentation-sent',
    'presentation-received',
    'done',
    'abandoned',
    'deleted',
  ],
  view: (record) =>
    compact({
      ...terse(record),
      auto_remove: record.value.auto_remove ?? false,
      auto_remove_on_failure: record.value.auto_remove_on_failure ?? false,
      ...Object.fromEntries(MESSAGES.map((name) => [name, record.value[name]])),
    }),
  formatted: MESSAGES,
  terse,
  tags: exchangeTags,
  attachable: { as: 'present-proof', member: 'pres_request', state: 'request-sent' },
  admin: {
    list: '/present-proof-2.0/records',
    one: '/present-proof-2.0/records/{pres_ex_id}',
    tag: 'present-proof v2.0',
    remove: true,
    filters: { thread_id: 'thread_id' },
  },
});
