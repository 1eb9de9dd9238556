import { NOW, table } from '../../../test/support/steps.ts';

const envelope = (n: number) => JSON.stringify({ protected: `p${n}` });
const mail = (...ids: number[]) => ({
  messages: ids.map((n) => ({ id: `m${n}`, body: envelope(n), received: NOW - n * 1000 })) as never,
  status: { messages: ids.length, bytes: ids.length * 10, newest: NOW - 1000, oldest: NOW - 2000 },
});
const last = (ids: string[], socket?: string) => ({ last: { category: 'pickup', id: 'c1', value: { request: 'message-0', ids, socket } } });
const carried = { 'messages~attach': [{ '@id': 'm1', message: { protected: 'p1' } }] };

table('messagepickup-1', [
  {
    title: 'is answered with what is kept',
    message: 'status-request',
    mail: mail(1, 2),
    effects: {
      send: [{ type: 'status', body: { message_count: 2, last_added_time: '2030-01-02T03:04:04.000Z', total_size: 20 }, transient: true }],
    },
  },
  {
    title: 'is answered where nothing is kept',
    message: 'status-request',
    effects: { send: [{ type: 'status', body: { message_count: 0, total_size: 0 }, transient: true }] },
  },
  {
    title: 'has the mail of its size, and begins to remember',
    message: 'batch-pickup',
    body: { batch_size: 1 },
    mail: mail(1, 2),
    channel: {},
    loads: { last: { category: 'pickup', id: 'c1' } },
    effects: {
      inFlight: ['m1'],
      send: [{ type: 'batch', body: { 'messages~attach': [{ '@id': 'm1', id: 'm1', message: { protected: 'p1' } }] }, transient: true }],
      others: [{ def: 'pickup', id: 'c1', connection: 'c1', patch: { request: 'message-1', ids: ['m1'] } }],
    },
  },
  {
    title: 'confirms what the last one had',
    message: 'batch-pickup',
    body: { batch_size: 10 },
    mail: mail(1, 2),
    channel: {},
    loaded: last(['m1']),
    effects: {
      acknowledged: ['m1'],
      inFlight: ['m2'],
      send: [{ type: 'batch', body: { 'messages~attach': [{ '@id': 'm2', id: 'm2', message: { protected: 'p2' } }] }, transient: true }],
      others: [{ def: 'pickup', base: 'c1', patch: { request: 'message-1', ids: ['m2'] } }],
    },
  },
  {
    title: 'confirms nothing on another socket',
    message: 'batch-pickup',
    body: { batch_size: 10 },
    mail: mail(1, 2),
    channel: { socket: 's2' },
    loaded: last(['m1'], 's1'),
    effects: {
      inFlight: ['m1', 'm2'],
      send: [
        {
          type: 'batch',
          body: {
            'messages~attach': [
              { '@id': 'm1', id: 'm1', message: { protected: 'p1' } },
              { '@id': 'm2', id: 'm2', message: { protected: 'p2' } },
            ],
          },
          transient: true,
        },
      ],
      others: [{ def: 'pickup', base: 'c1', patch: { request: 'message-1', ids: ['m1', 'm2'], socket: 's2' } }],
    },
  },
  {
    title: 'confirms nothing where the answer goes another way',
    message: 'batch-pickup',
    body: { batch_size: 10 },
    mail: mail(1),
    loaded: last(['m1']),
    effects: {
      send: [{ type: 'batch', body: { 'messages~attach': [{ '@id': 'm1', id: 'm1', message: { protected: 'p1' } }] }, transient: true }],
    },
  },
  {
    title: 'of nothing, again',
    message: 'batch-pickup',
    body: { batch_size: 10 },
    mail: mail(),
    channel: {},
    loaded: last([]),
    effects: { send: [{ type: 'batch', body: { 'messages~attach': [] }, transient: true }] },
  },
  {
    title: 'that comes again has the same answer',
    message: 'batch-pickup',
    id: 'message-0',
    body: { batch_size: 10 },
    mail: mail(1, 2),
    loaded: last(['m1']),
    instead: 'again',
    effects: {
      send: [{ type: 'batch', body: { 'messages~attach': [{ '@id': 'm1', id: 'm1', message: { protected: 'p1' } }] }, transient: true }],
    },
  },
  {
    title: 'that comes again after another has an empty answer',
    message: 'batch-pickup',
    body: { batch_size: 10 },
    mail: mail(1, 2),
    loaded: last(['m1']),
    instead: 'again',
    effects: { send: [{ type: 'batch', body: { 'messages~attach': [] }, transient: true }] },
  },
  { title: 'without a size', message: 'batch-pickup', error: 'message-invalid' },
  {
    title: 'has what it names of what is kept',
    message: 'list-pickup',
    body: { message_ids: ['m2', 'm9'] },
    mail: mail(1, 2),
    effects: {
      send: [{ type: 'batch', body: { 'messages~attach': [{ '@id': 'm2', id: 'm2', message: { protected: 'p2' } }] }, transient: true }],
      inFlight: ['m2'],
    },
  },
  { title: 'has no effect of its own', message: 'noop', effects: {} },
  { title: 'has no effect', message: 'status', effects: {} },
  {
    title: 'asks for more',
    message: 'batch',
    raw: carried,
    channel: {},
    effects: { send: [{ type: 'batch-pickup', body: { batch_size: 100 }, transient: true, returnRoute: true }] },
  },
  { title: 'that answers no request of ours does not', message: 'batch', raw: carried, effects: {} },
  { title: 'that is empty does not', message: 'batch', raw: { 'messages~attach': [] }, channel: {}, effects: {} },
]);
