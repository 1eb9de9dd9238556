import type { Api, Body } from './api.ts';
import { nameOf, nameOfCredential, timeOf } from './names.ts';
import { plain, quoted } from './text.ts';

/** Offers and requests as cards in plain words. Text of others stands in quotes, or behind the last colon of its line. */

export type Kind = 'offer' | 'request';

/** Exchanges that wait for a decision, by the version of their protocol. */
export interface Family {
  readonly kind: Kind;
  readonly topic: string;
  readonly path: string;
  readonly id: string;
  readonly open: string;
  readonly role: 'holder' | 'prover';
}

export const FAMILIES: readonly Family[] = [
  {
    kind: 'offer',
    topic: 'issue_credential_v2_0',
    path: '/issue-credential-2.0/records',
    id: 'cred_ex_id',
    open: 'offer-received',
    role: 'holder',
  },
  {
    kind: 'offer',
    topic: 'issue_credential',
    path: '/issue-credential/records',
    id: 'credential_exchange_id',
    open: 'offer_received',
    role: 'holder',
  },
  {
    kind: 'request',
    topic: 'present_proof_v2_0',
    path: '/present-proof-2.0/records',
    id: 'pres_ex_id',
    open: 'request-received',
    role: 'prover',
  },
  {
    kind: 'request',
    topic: 'present_proof',
    path: '/present-proof/records',
    id: 'presentation_exchange_id',
    open: 'request_received',
    role: 'prover',
  },
];

/** The record of an exchange in an element of a list or the answer to a call. */
export const recordOf = (given: Body): Body => given.cred_ex_record ?? given;

export interface Card {
  readonly title: string;
  readonly lines: readonly string[];
  readonly question: string;
  /** The call that accepts; undefined where the wallet cannot accept. */
  readonly yes?: { readonly path: string; readonly body: Body };
  /** Values that the person attests, by their referents. */
  readonly own: readonly { readonly referent: string; readonly name: string }[];
}

async function whoAsks(api: Api, record: Body): Promise<string[]> {
  if (!record.connection_id) return ['from: nobody whom you are connected with'];
  const contact = await api.get(`/connections/${record.connection_id}`).catch(() => undefined);
  if (!contact) return ['from: somebody whom you are not connected with any more'];
  return [`from: ${nameOf(contact)}`, `      (the name is their own word; connected since ${timeOf(contact.created_at)})`];
}

const comment = (text: unknown): string[] => (typeof text === 'string' && text.trim() !== '' ? [`they say: ${quoted(text, 300)}`] : []);
const MOST_LINES = 60;
const limited = (lines: readonly string[]): string[] =>
  lines.length <= MOST_LINES ? [...lines] : [...lines.slice(0, MOST_LINES), `  … and ${lines.length - MOST_LINES} more`];

export async function offerCard(api: Api, family: Family, record: Body): Promise<Card> {
  const old = family.topic === 'issue_credential';
  const offered = old ? record.credential_offer : (record.by_format?.cred_offer?.anoncreds ?? record.by_format?.cred_offer?.indy);
  const message = old ? record.credential_offer_dict : record.cred_offer;
  const attributes: Body[] = (old ? message?.credential_preview : record.cred_preview)?.attributes ?? [];
  const path = `${family.path}/${record[family.id]}/send-request`;
  const from = await whoAsks(api, record);
  if (!offered)
    return {
      title: 'An offer that this wallet cannot take',
      lines: [...from, ...comment(message?.comment), 'Its format is one that this wallet does not know.'],
      question: 'Decline it?',
      own: [],
    };
  const { name, issuer } = await nameOfCredential(api, offered.cred_def_id);
  const values = attributes.map((one) => `  ${plain(one.name, 60)}: ${plain(one.value)}`);
  return {
    title: 'An offer of a credential',
    lines: [
      ...from,
      ...comment(message?.comment),
      `credential: ${name}`,
      issuer ? `issued by: ${issuer}` : 'issued by: the ledger does not answer now, so this is not known',
      ...(values.length > 0 ? ['you would get:', ...limited(values)] : ['They do not say which values you would get.']),
      'Taking it shows them nothing of your wallet.',
    ],
    question: 'Take it?',
    yes: { path, body: {} },
    own: [],
  };
}

const COMPARED: Readonly<Record<string, string>> = {
  '>=': 'is at least',
  '>': 'is more than',
  '<=': 'is at most',
  '<': 'is less than',
};

interface Answer {
  readonly shown: string[];
  readonly proved: string[];
  readonly missing: string[];
  readonly own: { referent: string; name: string }[];
  readonly attributes: Record<string, { cred_id: string; revealed: true }>;
  readonly predicates: Record<string, { cred_id: string }>;
}

/** The credential for each referent: the one that answers most of the request, so that few credentials are used. */
function chosenFor(matches: readonly Body[]): (referent: string) => Body | undefined {
  const sorted = [...matches].sort((a, b) => b.presentation_referents.length - a.presentation_referents.length);
  return (referent) => sorted.find((one) => one.presentation_referents.includes(referent))?.cred_info;
}

/** Attribute names count without case and blanks. */
const canonical = (name: string): string => name.replaceAll(' ', '').toLowerCase();
const heldValue = (info: Body, name: string): string => {
  const found = Object.entries(info.attrs ?? {}).find(([one]) => canonical(one) === canonical(name));
  return found ? plain(found[1]) : '(no value)';
};

async function answerTo(api: Api, request: Body, matches: readonly Body[]): Promise<Answer> {
  const choose = chosenFor(matches);
  const answer: Answer = { shown: [], proved: [], missing: [], own: [], attributes: {}, predicates: {} };
  const label = async (info: Body): Promise<string> => (await nameOfCredential(api, info.cred_def_id)).name;
  for (const [referent, asked] of Object.entries<Body>(request.requested_attributes ?? {})) {
    const names: string[] = asked.names ?? [asked.name];
    const info = choose(referent);
    if (info) {
      answer.attributes[referent] = { cred_id: info.referent, revealed: true };
      const from = await label(info);
      answer.shown.push(...names.map((name) => `  ${plain(name, 60)}: ${heldValue(info, name)}`), `    (out of ${from})`);
    } else if (asked.name !== undefined && (asked.restrictions ?? []).length === 0) answer.own.push({ referent, name: asked.name });
    else answer.missing.push(...names.map((name) => `  ${plain(name, 60)}`));
  }
  for (const [referent, asked] of Object.entries<Body>(request.requested_predicates ?? {})) {
    const info = choose(referent);
    const clause = `  ${plain(asked.name, 60)} ${COMPARED[asked.p_type] ?? 'compares with'} ${plain(asked.p_value, 20)}`;
    if (!info) answer.missing.push(`${clause}`);
    else {
      answer.predicates[referent] = { cred_id: info.referent };
      answer.proved.push(clause, `    (out of ${await label(info)})`);
    }
  }
  return answer;
}

const heading = (title: string, lines: readonly string[]): string[] => (lines.length > 0 ? [title, ...limited(lines)] : []);

export async function requestCard(api: Api, family: Family, record: Body): Promise<Card> {
  const old = family.topic === 'present_proof';
  const formats = record.by_format?.pres_request ?? {};
  const format = ['anoncreds', 'indy'].find((name) => formats[name] !== undefined);
  const request = old ? record.presentation_request : format && formats[format];
  const message = old ? record.presentation_request_dict : record.pres_request;
  const path = `${family.path}/${record[family.id]}`;
  const from = await whoAsks(api, record);
  if (!request)
    return {
      title: 'A request that this wallet cannot answer',
      lines: [...from, ...comment(message?.comment), 'Its format is one that this wallet does not know.'],
      question: 'Decline it?',
      own: [],
    };
  const answer = await answerTo(api, request, await api.get(`${path}/credentials?limit=1000`));
  const lines = [
    ...from,
    ...comment(message?.comment),
    `purpose, in their words: ${quoted(request.name ?? 'none')}`,
    ...heading('they would see:', answer.shown),
    ...heading('proved, but the value stays hidden:', answer.proved),
    ...heading(
      'you would say for yourself, and nobody vouches for it:',
      answer.own.map(({ name }) => `  ${plain(name, 60)}`),
    ),
    ...(request.non_revoked ? ['It is also proved that your credentials are not revoked.'] : []),
    ...heading('your wallet has no credential that answers:', answer.missing),
  ];
  const choice = { requested_attributes: answer.attributes, requested_predicates: answer.predicates, self_attested_attributes: {} };
  const complete = answer.missing.length === 0;
  return {
    title: 'A request for proof',
    lines,
    question: complete ? 'Share it?' : 'Decline it?',
    yes: complete ? { path: `${path}/send-presentation`, body: old ? choice : { [format!]: choice } } : undefined,
    own: complete ? answer.own : [],
  };
}
