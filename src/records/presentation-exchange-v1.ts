import { compact, defineRecord, type ExchangeValue, exchangeTags, exchangeView, type LoadedRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** A present-proof 1.0 exchange, under the names of ACA-Py's V10PresentationExchange. */
export interface PresentationExchangeV1Value extends ExchangeValue {
  auto_present?: boolean;
  auto_verify?: boolean;
  verified?: 'true' | 'false';
  verified_msgs?: readonly string[];
  presentation_proposal_dict?: JsonObject;
  presentation_request_dict?: JsonObject;
  /** The proof request itself. */
  presentation_request?: JsonObject;
  presentation?: JsonObject;
  /** Since when a request that nothing in the wallet answers waits for a credential that is on its way (ms). */
  waiting_since?: number;
}

function terse(record: LoadedRecord<PresentationExchangeV1Value>): JsonObject {
  const { value } = record;
  return compact({
    ...exchangeView(record, 'presentation_exchange_id'),
    auto_present: value.auto_present,
    auto_verify: value.auto_verify,
    error_msg: value.error_msg,
    verified: value.verified,
    verified_msgs: value.verified_msgs,
  });
}

export const presentationExchangeV1 = defineRecord<PresentationExchangeV1Value>({
  category: 'presentation_exchange_v10',
  idField: 'presentation_exchange_id',
  label: 'Presentation exchange',
  topic: 'present_proof',
  states: [
    'proposal_sent',
    'proposal_received',
    'request_sent',
    'request_received',
    'presentation_sent',
    'presentation_received',
    'verified',
    'presentation_acked',
    'abandoned',
    'deleted',
  ],
  view: (record) =>
    compact({
      ...terse(record),
      auto_remove: record.value.auto_remove,
      auto_remove_on_failure: record.value.auto_remove_on_failure,
      presentation_proposal_dict: record.value.presentation_proposal_dict,
      presentation_request_dict: record.value.presentation_request_dict,
      presentation_request: record.value.presentation_request,
      presentation: record.value.presentation,
    }),
  terse,
  tags: exchangeTags,
  attachable: { as: 'present-proof', member: 'presentation_request_dict', state: 'request_sent' },
  admin: {
    list: '/present-proof/records',
    one: '/present-proof/records/{pres_ex_id}',
    tag: 'present-proof v1.0',
    remove: true,
    filters: { thread_id: 'thread_id' },
  },
});
