import { NOW, table } from '../../../test/support/steps.ts';

const mail = (messages: number[], kept = messages.length) => ({
  messages: messages.map((n) => ({ id: `m${n}`, body: `{"protected":"p${n}"}`, received: NOW - n * 1000 })) as never,
  status: { messages: kept, bytes: kept * 10, newest: NOW - 1000, oldest: NOW - 2500 },
});
const live = { socket: 's1', mode: 'live' as const };

table('messagepickup-2', [
  {
    title: 'is answered with what is kept',
    message: 'status-request',
    mail: mail([], 2),
    effects: {
      send: [
        {
          type: 'status',
          transient: true,
          body: {
            message_count: 2,
            longest_waited_seconds: 2,
            newest_received_time: '2030-01-02T03:04:04.000Z',
            oldest_received_time: '2030-01-02T03:04:02.500Z',
            total_bytes: 20,
          },
        },
      ],
    },
  },
  {
    title: 'is answered with no times where nothing is kept',
    message: 'status-request',
    body: { recipient_key: 'did:key:z' },
    mail: mail([]),
    effects: { send: [{ type: 'status', transient: true, body: { recipient_key: 'did:key:z', message_count: 0, total_bytes: 0 } }] },
  },
  {
    title: 'is answered with live mode on a socket',
    message: 'status-request',
    channel: live,
    mail: mail([]),
    effects: { send: [{ type: 'status', transient: true, body: { message_count: 0, total_bytes: 0, live_delivery: true } }] },
  },
  {
    title: 'has the mail',
    message: 'delivery-request',
    body: { limit: 2 },
    mail: mail([1, 2]),
    effects: {
      send: [
        {
          type: 'delivery',
          body: {},
          attachments: {
            '': [
              { id: 'm1', lastmodTime: '2030-01-02T03:04:04.000Z', data: { json: { protected: 'p1' } } },
              { id: 'm2', lastmodTime: '2030-01-02T03:04:03.000Z', data: { json: { protected: 'p2' } } },
            ],
          },
          transient: true,
        },
      ],
      inFlight: ['m1', 'm2'],
    },
  },
  {
    title: 'of nothing has a status',
    message: 'delivery-request',
    body: { limit: 2 },
    mail: mail([], 3),
    effects: { send: [{ type: 'status', transient: true, body: { message_count: 0, total_bytes: 0 } }] },
  },
  { title: 'of no messages', message: 'delivery-request', body: { limit: 0 }, error: 'message-invalid' },
  {
    title: 'removes the mail, and answers the remaining count',
    message: 'messages-received',
    body: { message_id_list: ['m1', 'm1', 'm2'] },
    mail: mail([3], 5),
    effects: {
      acknowledged: ['m1', 'm2'],
      send: [
        {
          type: 'status',
          transient: true,
          body: {
            message_count: 3,
            longest_waited_seconds: 2,
            newest_received_time: '2030-01-02T03:04:04.000Z',
            oldest_received_time: '2030-01-02T03:04:02.500Z',
            total_bytes: 50,
          },
        },
      ],
    },
  },
  {
    title: 'answers that one is left where the count is none',
    message: 'messages-received',
    body: { message_id_list: ['m1', 'm2'] },
    mail: mail([3], 2),
    effects: {
      acknowledged: ['m1', 'm2'],
      send: [
        {
          type: 'status',
          transient: true,
          body: {
            message_count: 1,
            longest_waited_seconds: 2,
            newest_received_time: '2030-01-02T03:04:04.000Z',
            oldest_received_time: '2030-01-02T03:04:02.500Z',
            total_bytes: 20,
          },
        },
      ],
    },
  },
  {
    title: 'answers that nothing is left',
    message: 'messages-received',
    body: { message_id_list: ['m1'] },
    mail: mail([], 1),
    effects: { acknowledged: ['m1'], send: [{ type: 'status', transient: true, body: { message_count: 0, total_bytes: 0 } }] },
  },
  {
    title: 'is not answered in live mode',
    message: 'messages-received',
    body: { message_id_list: ['m1'] },
    channel: live,
    effects: { acknowledged: ['m1'] },
  },
  {
    title: 'begins on a socket',
    message: 'live-delivery-change',
    body: { live_delivery: true },
    channel: { socket: 's1' },
    mail: mail([], 1),
    effects: {
      session: 'live',
      send: [
        {
          type: 'status',
          transient: true,
          body: {
            message_count: 1,
            longest_waited_seconds: 2,
            newest_received_time: '2030-01-02T03:04:04.000Z',
            oldest_received_time: '2030-01-02T03:04:02.500Z',
            total_bytes: 10,
            live_delivery: true,
          },
        },
      ],
    },
  },
  {
    title: 'ends',
    message: 'live-delivery-change',
    body: { live_delivery: false },
    channel: live,
    mail: mail([], 1),
    effects: {
      session: 'route',
      send: [
        {
          type: 'status',
          transient: true,
          body: {
            message_count: 1,
            longest_waited_seconds: 2,
            newest_received_time: '2030-01-02T03:04:04.000Z',
            oldest_received_time: '2030-01-02T03:04:02.500Z',
            total_bytes: 10,
            live_delivery: false,
          },
        },
      ],
    },
  },
  {
    title: 'needs a socket',
    message: 'live-delivery-change',
    body: { live_delivery: true },
    channel: {},
    effects: { problem: { code: 'e.m.live-mode-not-supported', text: 'Connection does not support Live Delivery' } },
  },
  {
    title: 'asks for the mail',
    message: 'status',
    body: { message_count: 200 },
    effects: { send: [{ type: 'delivery-request', body: { limit: 100 }, transient: true, returnRoute: true }] },
  },
  { title: 'of nothing asks for none', message: 'status', body: { message_count: 0 }, effects: {} },
  { title: 'in live mode asks for none', message: 'status', body: { message_count: 2, live_delivery: true }, effects: {} },
  {
    title: 'is confirmed',
    message: 'delivery',
    attachments: { '': [{ id: 'm1', data: { json: {} } }, { data: { json: {} } }] },
    effects: { send: [{ type: 'messages-received', body: { message_id_list: ['m1'] }, transient: true, returnRoute: true }] },
  },
]);
