import { acapyOperations, resolved, type Schema } from './acapy-document.ts';

/** What the agent answers and tells, held against ACA-Py's document: generated clients refuse a null, a member or an id that it does not allow. */

/** Members that answers have beyond ACA-Py's, by its name of what they are in. docs/deviations.md lists them; clients that are generated from its document pass over them. */
export const BEYOND: Readonly<Record<string, readonly string[]>> = {
  AdminStatus: ['flexid_version', 'uptime'],
  ConnRecord: ['grants', 'legacy'],
  DID: ['error_msg'],
  InvitationRecord: ['short_url'],
  PublishRevocationsResultSchemaAnonCreds: ['txn'],
  TransactionRecord: ['error_msg'],
  V20CredOffer: ['supplements'],
  WalletRecord: ['quota', 'suspended'],
};
/** The same of every list that is paged. */
export const OF_PAGES: readonly string[] = ['damaged', 'next', 'total'];

/** Definitions that ACA-Py's document has and its own answers do not follow, as their sources show: what they name, its answers name otherwise, and so do ours. */
const DOCUMENT_IS_WRONG: ReadonlySet<string> = new Set([
  // the record itself, where the document has the message, or what holds it
  'MediationGrant',
  'MediationDeny',
  'V20DiscoveryExchangeResult',
  // the parts of what was sent are told twice
  'TxnOrSchemaSendResult',
  'TxnOrCredentialDefinitionSendResult',
  // names of attributes, where the document has only their type
  'Generated',
  // settings by their names, of which it has a few
  'ProfileSettings',
  // with the transaction of a write that an endorser pays for
  'DIDResult',
  // ledger_id in the document, write_ledger in the answer
  'WriteLedger',
]);
/** The same of values: JWTs are texts, connections of RFC 0160 are its plug-in's, and a peer's message is told as the peer wrote it. */
const VALUES_OTHERWISE: ReadonlySet<string> = new Set([
  'POST /wallet/jwt/sign',
  'POST /wallet/sd-jwt/sign',
  'ConnRecord connection_protocol',
  'V20PresRequest request_presentations~attach',
  'AttachDecoratorData base64',
]);

/** Members that are null where ACA-Py's document has no null, since ACA-Py's own answers are so too. */
const NULL_THERE_TOO: ReadonlySet<string> = new Set([
  'ActionMenuFetchResult result',
  'ConnectionMetadata results',
  'DIDEndpoint endpoint',
  'DIDResult result',
  'FetchKeyResponse kid',
  'IndyCredPrecis interval',
  'TAAInfo aml_record',
  'TAAInfo taa_accepted',
  'TAAInfo taa_record',
  'V20CredExRecordDetail anoncreds',
  'V20CredExRecordDetail indy',
  'V20CredExRecordDetail ld_proof',
  'V20CredExRecordDetail vc_di',
  'webhook actionmenu menu',
  'webhook basicmessages sent_time',
  'webhook ping comment',
]);

/** Identifiers of Indy, of which this ledger has none: their patterns are not applied. */
const INDY = /^\^?\(?(did:|\(did:)|:2:|:3:CL:|:4:|^\^\[123456789ABCDEFGHJKLMNPQRSTUVWXYZ.*\{21,22\}/;

/** What is wrong with a value, by its place. */
export function faultsOf(given: Schema, value: unknown, at: string): string[] {
  const { schema, name = at.split(' ').at(-1)! } = resolved(given);
  if (value === null) return given['x-nullable'] || schema['x-nullable'] || NULL_THERE_TOO.has(at) ? [] : [`${at}: null`];
  if (VALUES_OTHERWISE.has(at)) return [];
  const { type, pattern, properties, additionalProperties: rest, items } = schema;
  const kind = Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value;
  if (type !== undefined && type !== kind && !(type === 'number' && kind === 'integer')) return [`${at}: ${kind}, not ${type}`];
  if (Array.isArray(value)) return items ? value.flatMap((item) => faultsOf(items, item, `${at}[]`)) : [];
  if (typeof value === 'string') {
    if (schema.enum && !schema.enum.includes(value)) return [`${at}: ${value} is none of ${schema.enum}`];
    if (pattern && !INDY.test(pattern) && !new RegExp(pattern).test(value))
      return [`${at}: ${value.slice(0, 80)} does not match ${pattern.slice(0, 80)}`];
  }
  // a definition without members says nothing of what is in it
  if (typeof value !== 'object' || !properties || Object.keys(properties).length === 0) return [];
  const missing = (schema.required ?? []).filter((member) => !Object.hasOwn(value, member)).map((member) => `${at} ${member}: missing`);
  const inside = Object.entries(value as object).flatMap(([member, one]): string[] => {
    if (one === undefined) return [];
    const known = properties && Object.hasOwn(properties, member) ? properties[member] : undefined;
    if (known) return faultsOf(known, one, `${name} ${member}`);
    if (typeof rest === 'object') return faultsOf(rest, one, `${name} *`);
    // decorators are in its messages, and not in its document
    const notified =
      member.startsWith('~') ||
      BEYOND[name]?.includes(member) ||
      (OF_PAGES.includes(member) && Array.isArray((value as { results?: unknown }).results));
    return notified || DOCUMENT_IS_WRONG.has(name) ? [] : [`${name} ${member}: not in ACA-Py's document`];
  });
  return [...missing, ...inside];
}

/** What is wrong with an answer; nothing where ACA-Py has no such operation, or says nothing of this answer. */
export function answerFaults(method: string, path: string, status: number, body: unknown): string[] {
  const operation = acapyOperations.get(`${method} ${patternOf(method, path)}`);
  const schema = operation?.responses[status]?.schema;
  return schema && body !== undefined ? faultsOf(schema, body, `${method} ${patternOf(method, path)}`) : [];
}

const PATTERNS = [...acapyOperations.keys()].map((name) => {
  const [method, path] = name.split(' ') as [string, string];
  // what stands in a path may hold slashes: identifiers of this ledger do
  const pattern = path
    .split('/')
    .map((part) => (part.startsWith('{') ? '(?:[^/]+|did:[^?]+)' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  return { method, path, test: new RegExp(`^${pattern.join('/')}$`), fixed: path.split('{').length };
});

/** ACA-Py's pattern of a path; the path itself where it has none. */
function patternOf(method: string, path: string): string {
  const plain = path.split('?')[0]!;
  const found = PATTERNS.filter((one) => one.method === method && one.test.test(plain)).sort((a, b) => a.fixed - b.fixed);
  return found[0]?.path ?? plain;
}

/** What each webhook is, by its topic. */
const TOPICS: Readonly<Record<string, string>> = {
  connections: 'ConnRecord',
  issue_credential_v2_0: 'V20CredExRecord',
  issue_credential_v2_0_indy: 'V20CredExRecordIndy',
  issue_credential_v2_0_anoncreds: 'V20CredExRecordAnonCreds',
  present_proof_v2_0: 'V20PresExRecord',
  out_of_band: 'OobRecord',
  mediation: 'MediationRecord',
};

/** What is wrong with a webhook. */
export function webhookFaults(topic: string, payload: Readonly<Record<string, unknown>>): string[] {
  const nulls = Object.entries(payload).flatMap(([member, value]) => {
    const at = `webhook ${topic} ${member}`;
    return value === null && !NULL_THERE_TOO.has(at) ? [`${at}: null`] : [];
  });
  const definition = TOPICS[topic];
  if (!definition || payload.state === 'deleted') return nulls;
  return [...nulls, ...faultsOf({ $ref: `#/definitions/${definition}` }, payload, `webhook ${topic}`)];
}
