import { compact, defineRecord, type ExchangeValue, exchangeTags, exchangeView, type LoadedRecord } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** An issue-credential 1.0 exchange, under the names of ACA-Py's V10CredentialExchange: messages end in `_dict`, the rest are their attachments, decoded. */
export interface CredentialExchangeV1Value extends ExchangeValue {
  auto_offer?: boolean;
  auto_issue?: boolean;
  credential_definition_id?: string;
  schema_id?: string;
  credential_proposal_dict?: JsonObject;
  credential_offer_dict?: JsonObject;
  credential_offer?: JsonObject;
  credential_request?: JsonObject;
  /** As received. */
  raw_credential?: JsonObject;
  /** The holder's: as the wallet lists it. The issuer's: as issued. */
  credential?: JsonObject;
  credential_id?: string;
  /** The issuer's: where the status of the credential stands. */
  revoc_reg_id?: string;
  revocation_id?: string;
  /** The terms of the controller's call, until the offer is made. */
  wanted?: JsonObject;
}

function terse(record: LoadedRecord<CredentialExchangeV1Value>): JsonObject {
  const { value } = record;
  return compact({
    ...exchangeView(record, 'credential_exchange_id'),
    parent_thread_id: value.parent_thread_id,
    credential_definition_id: value.credential_definition_id,
    schema_id: value.schema_id,
    credential_id: value.credential_id,
    revoc_reg_id: value.revoc_reg_id,
    revocation_id: value.revocation_id,
    auto_offer: value.auto_offer,
    auto_issue: value.auto_issue,
    auto_remove: value.auto_remove,
    error_msg: value.error_msg,
  });
}

export const credentialExchangeV1 = defineRecord<CredentialExchangeV1Value>({
  category: 'credential_exchange_v10',
  idField: 'credential_exchange_id',
  label: 'Credential exchange',
  topic: 'issue_credential',
  states: [
    'proposal_sent',
    'proposal_received',
    'offer_sent',
    'offer_received',
    'request_sent',
    'request_received',
    'credential_issued',
    'credential_received',
    'credential_acked',
    'credential_revoked',
    'abandoned',
    'deleted',
  ],
  // the request's metadata blinds the holder's link secret: it is a key, and in no view
  view: (record) =>
    compact({
      ...terse(record),
      auto_remove_on_failure: record.value.auto_remove_on_failure,
      credential_proposal_dict: record.value.credential_proposal_dict,
      credential_offer_dict: record.value.credential_offer_dict,
      credential_offer: record.value.credential_offer,
      credential_request: record.value.credential_request,
      raw_credential: record.value.raw_credential,
      credential: record.value.credential,
    }),
  terse,
  arriving: ['request_sent', 'credential_received'],
  hidden: (record) => (record.state ?? '') === '',
  tags: exchangeTags,
  attachable: { as: 'credential-offer', member: 'credential_offer_dict', state: 'offer_sent' },
  admin: {
    list: '/issue-credential/records',
    one: '/issue-credential/records/{cred_ex_id}',
    tag: 'issue-credential v1.0',
    remove: true,
    filters: { thread_id: 'thread_id' },
  },
});
