import { CONNECTION, table } from '../../test/support/steps.ts';

const pinged = (state: string, responded: boolean, thread_id = 'message-1', comment: string | null = null) => ({
  topic: 'ping',
  payload: { comment, connection_id: 'c1', responded, state, thread_id },
});

table('trust-ping', [
  { title: 'is answered', message: 'ping', effects: { send: [{ type: 'ping_response' }], session: 'implicit' } },
  { title: 'that wants no answer gets none', message: 'ping', body: { response_requested: false }, effects: { session: 'implicit' } },
  {
    title: 'completes a connection whose last handshake message was lost',
    message: 'ping',
    connection: { ...CONNECTION, state: 'response' },
    effects: { record: { states: ['active'] }, send: [{ type: 'ping_response' }], session: 'implicit' },
  },
  {
    title: 'is shown to the controller that monitors pings',
    message: 'ping',
    body: { comment: 'hello' },
    settings: { monitorPing: true },
    effects: { send: [{ type: 'ping_response' }], session: 'implicit', emit: [pinged('received', true, 'message-1', 'hello')] },
  },
  { title: 'with a flag that is none', message: 'ping', body: { response_requested: 'yes' }, error: 'message-invalid' },
  { title: 'has no effect', message: 'ping_response', effects: {} },
  {
    title: 'is shown to the controller that monitors pings, in the thread of its ping',
    message: 'ping_response',
    thid: 'ping-1',
    settings: { monitorPing: true },
    effects: { emit: [pinged('response_received', false, 'ping-1')] },
  },
  {
    title: 'sends a ping that asks for an answer',
    command: 'POST /connections/{conn_id}/send-ping',
    body: { comment: 'hello' },
    effects: { send: [{ type: 'ping', id: 'id-1', body: { response_requested: true, comment: 'hello' } }], answer: { thread_id: 'id-1' } },
  },
  {
    title: 'is shown to the controller that monitors pings',
    command: 'send-ping',
    body: { comment: null },
    settings: { monitorPing: true },
    effects: {
      send: [{ type: 'ping', id: 'id-1', body: { response_requested: true } }],
      emit: [pinged('sent', true, 'id-1')],
      answer: { thread_id: 'id-1' },
    },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'send-ping',
    connection: { ...CONNECTION, state: 'request' },
    error: 'wrong-state',
  },
]);
