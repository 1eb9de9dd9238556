import { CONNECTION, table } from '../../test/support/steps.ts';

const CALL = { jsonrpc: '2.0', method: 'add', id: 1, params: [1, 2] };
const RESULT = { jsonrpc: '2.0', result: 3, id: 1 };
const TYPE = 'https://didcomm.org/drpc/1.0';
const asked = {
  id: 'r1',
  role: 'client',
  state: 'request-sent',
  connection: 'c1',
  value: { connection_id: 'c1', thread_id: 'thread-1', request: CALL },
};
const served = { ...asked, role: 'server', state: 'request-received' };
const invited = { ...CONNECTION, state: 'invitation' };

table('drpc', [
  {
    title: 'is stored, and a webhook for the controller, who answers it',
    message: 'request',
    body: { request: CALL },
    effects: {
      record: {
        role: 'server',
        connection: 'c1',
        states: ['request-received'],
        patch: { connection_id: 'c1', thread_id: 'message-1', asked: 'message-1', request: CALL },
      },
      emit: [
        {
          topic: 'drpc_request',
          payload: { connection_id: 'c1', thread_id: 'message-1', request: { state: 'request-received', request: CALL } },
        },
      ],
    },
  },
  { title: 'in a thread that has one', message: 'request', record: served, body: { request: CALL }, error: 'wrong-state' },
  { title: 'of an empty batch', message: 'request', body: { request: [] }, error: 'message-invalid' },
  { title: 'of a method of JSON-RPC', message: 'request', body: { request: { ...CALL, method: 'rpc.x' } }, error: 'message-invalid' },
  {
    title: 'completes the call',
    message: 'response',
    thid: 'thread-1',
    record: asked,
    body: { response: RESULT },
    effects: {
      record: { states: ['completed'], patch: { response: RESULT } },
      emit: [
        {
          topic: 'drpc_response',
          payload: { connection_id: 'c1', thread_id: 'thread-1', response: { state: 'completed', request: CALL, response: RESULT } },
        },
      ],
    },
  },
  { title: 'to what we were asked', message: 'response', record: served, body: { response: RESULT }, error: 'wrong-state' },
  { title: 'to no call', message: 'response', body: { response: RESULT }, error: 'wrong-state' },
  {
    title: 'with a result and an error',
    message: 'response',
    record: asked,
    body: { response: { ...RESULT, error: { code: 1, message: 'x' } } },
    error: 'message-invalid',
  },
  {
    title: 'sends the call and answers the message',
    command: 'POST /drpc/{conn_id}/request',
    body: { request: CALL },
    effects: {
      record: {
        role: 'client',
        connection: 'c1',
        states: ['request-sent'],
        patch: { connection_id: 'c1', thread_id: 'id-1', request: CALL },
      },
      send: [{ message: { '@type': `${TYPE}/request`, '@id': 'id-1', request: CALL } }],
      answer: { '@type': `${TYPE}/request`, '@id': 'id-1', request: CALL },
    },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'request',
    connection: invited,
    body: { request: CALL },
    error: 'forbidden',
  },
  {
    title: 'answers in the thread of the call',
    command: 'POST /drpc/{conn_id}/response',
    record: served,
    body: { thread_id: 'thread-1', response: RESULT },
    about: { category: 'drpc_record', tag: 'asked', equals: 'thread-1' },
    effects: {
      record: { states: ['completed'], patch: { response: RESULT } },
      send: [{ message: { '@type': `${TYPE}/response`, '@id': 'id-1', '~thread': { thid: 'thread-1' }, response: RESULT } }],
      answer: { '@type': `${TYPE}/response`, '@id': 'id-1', '~thread': { thid: 'thread-1' }, response: RESULT },
    },
  },
  {
    title: 'to a call of another connection',
    command: 'response',
    record: { ...served, connection: 'c2' },
    body: { thread_id: 'thread-1', response: RESULT },
    error: 'not-found',
  },
  {
    title: 'to a call of ours',
    command: 'response',
    record: asked,
    body: { thread_id: 'thread-1', response: RESULT },
    error: 'wrong-state',
  },
]);
