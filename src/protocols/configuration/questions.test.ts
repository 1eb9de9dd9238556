import { table } from '../../../test/support/steps.ts';
import { OWN_PREFIX } from '../../didcomm/message-types.ts';

const TYPE = `${OWN_PREFIX}agent-config/1.0`;
const one = (state: string) => ({
  ...{ id: 'q1', role: 'owner', state, connection: 'c1', category: 'question' },
  value: { thread_id: 'thread-1', decision_id: 'd1', point: 'connection-request' },
});
const ASKED = { decision_id: 'd1', point: 'connection-request', deadline: '2030-01-02T03:04:05.000000Z', approvals: 2 };
const { deadline, approvals, ...named } = ASKED;
const waiting = (total: number) => ({ waiting: { rows: [], total } });

table('questions', [
  {
    title: 'waits for the owner',
    message: 'decision-request',
    body: { ...ASKED, record: { their_label: 'Bob' }, handler_id: 'h1' },
    pages: waiting(99),
    effects: {
      record: {
        ...{ role: 'owner', connection: 'c1', states: ['asked'] },
        patch: { thread_id: 'message-1', ...named, about: { their_label: 'Bob' }, deadline, approvals },
      },
    },
  },
  {
    title: 'is one more than a connection may have waiting',
    message: 'decision-request',
    body: ASKED,
    pages: waiting(100),
    effects: { problem: { code: 'request-not-accepted', text: '100 questions of this connection wait already' } },
  },
  { title: 'without a name', message: 'decision-request', body: { point: 'connection-request' }, error: 'message-invalid' },
  { title: 'of a huge point', message: 'decision-request', body: { ...ASKED, point: 'x'.repeat(101) }, error: 'message-invalid' },
  {
    title: 'goes to the agent that asked',
    command: 'POST /agent-config/questions/{question_id}/answer',
    record: one('asked'),
    body: { action: 'continue' },
    effects: {
      record: { states: ['answered'], patch: { action: 'continue' } },
      send: [
        {
          message: { '@type': `${TYPE}/decision`, '@id': 'id-1', '~thread': { thid: 'thread-1' }, decision_id: 'd1', action: 'continue' },
        },
      ],
    },
  },
  {
    title: 'is given once',
    command: 'POST /agent-config/questions/{question_id}/answer',
    record: one('answered'),
    body: { action: 'reject' },
    error: 'wrong-state',
  },
  {
    title: 'was taken',
    message: 'decision-recorded',
    thid: 'thread-1',
    record: one('answered'),
    body: { state: 'accepted', decision_id: 'd1' },
    effects: { record: { states: ['recorded'], patch: { outcome: 'accepted' } } },
  },
  {
    title: 'that nobody gave',
    message: 'decision-recorded',
    thid: 'thread-1',
    record: one('asked'),
    body: { state: 'accepted' },
    error: 'wrong-state',
  },
  {
    title: 'came too late',
    problem: { description: { code: 'wrong-state', en: 'The deadline has passed' } },
    record: one('answered'),
    effects: { record: { states: ['refused'], patch: { outcome: 'wrong-state: The deadline has passed' } } },
  },
]);
