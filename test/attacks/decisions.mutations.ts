// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of the product stand here as text

import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const DECIDING = 'src/protocols/configuration/deciding.ts';
const RULES = 'src/protocols/configuration/rules.ts';
const DECISIONS = 'src/kernel/decisions.ts';

/** How each defence that the tests beside this are about is taken out. */
export const MUTATIONS: readonly (Row & Pick<Breakable, 'tests'>)[] = [
  {
    id: 'DEC-1',
    text: 'approvers alone decide',
    mutation: { file: DECIDING, from: '!approvers.some((one) => by === `connection ${one}`)', to: 'false' },
  },
  {
    id: 'DEC-2',
    text: 'a late answer is refused',
    mutation: { file: DECIDING, from: "state === 'asked' && ctx.now >= value.deadline", to: 'false' },
  },
  {
    id: 'DEC-3',
    text: 'no handler matches its own messages',
    mutation: { file: RULES, from: 'own.some((type) => globFits(glob, type))', to: 'own.length === 0' },
  },
  {
    id: 'DEC-4',
    text: 'an approver is not asked about its own exchanges',
    mutation: { file: DECISIONS, from: 'asked.connection !== undefined && approvers.includes(asked.connection)', to: 'false' },
  },
  {
    id: 'DEC-5',
    text: 'each decider counts once',
    mutation: { file: DECIDING, from: 'votes.filter((one) => one.by !== by)', to: 'votes' },
  },
  {
    id: 'DEC-6',
    text: 'a connection without the grant is not asked',
    mutation: {
      file: 'src/protocols/configuration/agent-config.ts',
      from: "if (asked?.state !== 'asked' || !isGranted(ctx.record, EVENTS_GRANT)) return {};",
      to: "if (asked?.state !== 'asked') return {};",
    },
  },
  {
    id: 'DEC-7',
    text: 'the same answer again changes nothing',
    mutation: { file: DECIDING, from: 'if (votes.some((one) => one.by === by && isSame(one, vote))) return { answer: done() };', to: '' },
  },
  {
    id: 'DEC-8',
    text: 'every issuer of an offer is known',
    mutation: { file: DECISIONS, from: 'named.every((one) => list.includes(one))', to: 'named.some((one) => list.includes(one))' },
  },
  {
    id: 'DEC-9',
    text: 'a claimed DID is no known verifier',
    mutation: {
      file: DECISIONS,
      from: '[about, connection?.value.their_public_did]',
      to: '[about, connection?.value.their_public_did, connection?.value.their_did]',
    },
  },
  {
    id: 'DEC-10',
    text: 'an order is known for good',
    mutation: {
      file: 'src/kernel/message-transition.ts',
      from: 'step.grant === undefined ? traits.replayWindow : ORDER_REPLAY_WINDOW_MS',
      to: 'traits.replayWindow',
    },
  },
  {
    id: 'DEC-11',
    text: 'one connection has a bounded number of open decisions',
    mutation: { file: 'src/kernel/consulting.ts', from: 'connection !== undefined && reaches(', to: 'false && reaches(' },
  },
  {
    id: 'DEC-12',
    text: 'the peers of one invitation have a bounded number of open decisions',
    mutation: { file: 'src/kernel/consulting.ts', from: 'invitation !== undefined && reaches(', to: 'false && reaches(' },
  },
  {
    id: 'DEC-13',
    text: 'one connection has a bounded number of questions that wait',
    mutation: { file: 'src/protocols/configuration/questions.ts', from: 'const full = waiting.full(ctx);', to: 'const full = undefined;' },
    tests: [['src/protocols/configuration/questions.test.ts', 'message decision-request: is one more than a connection may have waiting']],
  },
];
