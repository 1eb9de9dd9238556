import { CONNECTION, some, table } from '../../test/support/steps.ts';

const SENT = '2030-01-02 03:04:05Z';

table('basic-message', [
  {
    title: 'is kept where the wallet keeps messages',
    message: 'message',
    body: { content: 'hello', sent_time: '2020-01-01 00:00:00Z' },
    settings: { storeMessages: true },
    effects: {
      emit: [some({ topic: 'basicmessages' })],
      others: [
        some({
          connection: 'c1',
          states: ['received'],
          patch: { content: 'hello', sent_time: '2020-01-01 00:00:00Z', thread_id: 'message-1' },
          silent: true,
        }),
      ],
    },
  },
  {
    title: 'is kept when it is sent, under the id that it goes out with',
    command: 'POST /connections/{conn_id}/send-message',
    body: { content: 'hello' },
    settings: { storeMessages: true },
    effects: {
      send: [{ type: 'message', id: 'id-1', body: { sent_time: SENT, content: 'hello' } }],
      others: [some({ connection: 'c1', states: ['sent'], patch: { content: 'hello', sent_time: SENT, thread_id: 'id-1' } })],
      answer: {},
    },
  },
  {
    title: 'is a webhook, and not answered',
    message: 'message',
    body: { content: 'hello', sent_time: '2020-01-01 00:00:00Z' },
    effects: {
      emit: [
        {
          topic: 'basicmessages',
          payload: { connection_id: 'c1', message_id: 'message-1', content: 'hello', state: 'received', sent_time: '2020-01-01 00:00:00Z' },
        },
      ],
    },
  },
  {
    title: 'is answered where the agent answers by itself',
    message: 'message',
    body: { content: 'hello' },
    settings: { autoRespondMessages: true },
    effects: {
      emit: [
        {
          topic: 'basicmessages',
          payload: { connection_id: 'c1', message_id: 'message-1', content: 'hello', state: 'received', sent_time: null },
        },
      ],
      send: [{ type: 'message', body: { sent_time: SENT, content: 'Agent received your message' } }],
    },
  },
  { title: 'without a content', message: 'message', body: {}, error: 'message-invalid' },
  {
    title: 'is sent with its time',
    command: 'POST /connections/{conn_id}/send-message',
    body: { content: 'hello' },
    effects: { send: [{ type: 'message', body: { sent_time: SENT, content: 'hello' } }], answer: {} },
  },
  { title: 'without a content', command: 'send-message', body: {}, error: 'unprocessable' },
  {
    title: 'needs a connection that can be written to',
    command: 'send-message',
    body: { content: 'hello' },
    connection: { ...CONNECTION, state: 'invitation' },
    error: 'wrong-state',
  },
]);
