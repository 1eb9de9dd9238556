import {
  compact,
  defineRecord,
  type ExchangeValue,
  exchangeTags,
  exchangeView,
  type LoadedRecord,
  type RecordDef,
  viewOf,
} from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** An issue-credential exchange, under the names of ACA-Py's V20CredExRecord; `details` holds what each format keeps about it. */
export interface CredentialExchangeValue extends ExchangeValue {
  auto_offer?: boolean;
  auto_issue?: boolean;
  cred_preview?: JsonObject;
  cred_proposal?: JsonObject;
  cred_offer?: JsonObject;
  cred_request?: JsonObject;
  cred_issue?: JsonObject;
  /** The terms of the controller's call, until the offer is made. */
  wanted?: JsonObject;
  details?: Readonly<Record<string, JsonObject>>;
}

const MESSAGES = ['cred_proposal', 'cred_offer', 'cred_request', 'cred_issue'] as const;

function terse(record: LoadedRecord<CredentialExchangeValue>): JsonObject {
  const { value } = record;
  return compact({
    ...exchangeView(record, 'cred_ex_id'),
    parent_thread_id: value.parent_thread_id,
    auto_offer: value.auto_offer ?? false,
    auto_issue: value.auto_issue ?? false,
    auto_remove: value.auto_remove ?? false,
    error_msg: value.error_msg,
  });
}

function view(record: LoadedRecord<CredentialExchangeValue>): JsonObject {
  const { value } = record;
  return compact({
    ...terse(record),
    auto_remove_on_failure: value.auto_remove_on_failure ?? false,
    cred_preview: value.cred_preview,
    ...Object.fromEntries(MESSAGES.map((name) => [name, value[name]])),
  });
}

export const credentialExchange: RecordDef<CredentialExchangeValue> = defineRecord<CredentialExchangeValue>({
  category: 'cred_ex_v20',
  idField: 'cred_ex_id',
  label: 'Credential exchange',
  topic: 'issue_credential_v2_0',
  states: [
    'proposal-sent',
    'proposal-received',
    'offer-sent',
    'offer-received',
    'request-sent',
    'request-received',
    'credential-issued',
    'credential-received',
    'done',
    'credential-revoked',
    'abandoned',
    'deleted',
  ],
  view,
  formatted: MESSAGES,
  terse,
  arriving: ['request-sent', 'credential-received'],
  hidden: (record) => (record.state ?? '') === '',
  tags: exchangeTags,
  attachable: { as: 'credential-offer', member: 'cred_offer', state: 'offer-sent' },
  admin: {
    list: '/issue-credential-2.0/records',
    one: '/issue-credential-2.0/records/{cred_ex_id}',
    tag: 'issue-credential v2.0',
    remove: true,
    filters: { thread_id: 'thread_id' },
    detail: (record, formats): JsonObject => ({
      cred_ex_record: viewOf(credentialExchange, record, formats),
      ...{ ld_proof: null, vc_di: null },
      ...Object.fromEntries(formats.issued.map(({ name }) => [name, record.value.details?.[name] ?? null])),
    }),
  },
});
