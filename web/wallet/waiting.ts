import { type Answer, call } from '../lib/api.ts';
import { h, type VNode } from '../lib/h.ts';
import { Connection, definitionOf } from '../lib/held.ts';
import { t, time, word } from '../lib/i18n.ts';
import { useLoad } from '../lib/live.ts';
import { DefinitionName } from '../lib/look.ts';
import { requestIn } from '../lib/proof.ts';
import { to } from '../lib/router.ts';
import { Theirs } from '../lib/theirs.ts';

/** Offers and requests that wait for the person's decision. */
export interface Waits {
  readonly offers: readonly Answer[];
  readonly requests: readonly Answer[];
  /** Of the agents of institutions. */
  readonly questions: readonly Answer[];
}

export const countOf = ({ offers, requests, questions }: Waits): number => offers.length + requests.length + questions.length;

export const WAITING_TOPICS = ['issue_credential_v2_0', 'present_proof_v2_0', 'question'];
const STATES = ['offer-received', 'credential-received'];
const MOST = 50;
/** So many are shown above another screen. */
const FEW = 3;

export async function readWaiting(limit = MOST): Promise<Waits> {
  const newest = { descending: true, limit };
  const [exchanges, requests, questions] = await Promise.all([
    Promise.all(STATES.map((state) => call('get_issue_credential_2_0_records', { query: { role: 'holder', state, ...newest } }))),
    call('get_present_proof_2_0_records', { query: { role: 'prover', state: 'request-received', ...newest } }),
    call('get_agent_config_questions', { query: { state: 'asked', ...newest } }),
  ]);
  return { offers: exchanges.flatMap(({ results }) => results), requests: requests.results, questions: questions.results };
}

export function WaitingList({ offers, requests, questions }: Waits): VNode {
  const from = (record: Answer): (VNode | string)[] => [
    ' ',
    t('wallet.from'),
    ' ',
    h(Connection, { id: record.connection_id }),
    ' ',
    h('small', null, time(record.created_at)),
  ];
  return h(
    'ul',
    { class: 'waiting' },
    ...offers.map((one) => {
      const record = one.cred_ex_record;
      const href = to('home', ['offer', record.cred_ex_id]);
      const name = h(DefinitionName, { id: definitionOf(one) });
      return h('li', { key: record.cred_ex_id }, h('a', { href }, t('wallet.offer'), ' ', name), ...from(record));
    }),
    ...requests.map((one) => {
      const href = to('home', ['request', one.pres_ex_id]);
      const name = h(Theirs, { text: requestIn(one)?.name });
      return h('li', { key: one.pres_ex_id }, h('a', { href }, t('wallet.request'), ' ', name), ...from(one));
    }),
    ...questions.map((one) => {
      const href = to('home', ['question', one.question_id]);
      return h('li', { key: one.question_id }, h('a', { href }, t('wallet.question'), ' ', word('point', one.point)), ...from(one));
    }),
  );
}

/** Above a screen that is about something else: what came meanwhile. @param seen - the id of what the screen is about */
export function Waiting({ seen }: { seen: string | undefined }): VNode | null {
  const { data } = useLoad(() => readWaiting(FEW), WAITING_TOPICS);
  if (!data) return null;
  const offers = data.offers.filter((one) => one.cred_ex_record.cred_ex_id !== seen);
  const requests = data.requests.filter((one) => one.pres_ex_id !== seen);
  const questions = data.questions.filter((one) => one.question_id !== seen);
  if (countOf({ offers, requests, questions }) === 0) return null;
  return h(
    'section',
    { class: 'card', 'aria-label': t('credentials.decide') },
    h('b', null, t('credentials.decide')),
    h(WaitingList, { offers: offers.slice(0, FEW), requests: requests.slice(0, FEW), questions: questions.slice(0, FEW) }),
  );
}
