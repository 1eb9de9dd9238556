import { CONNECTION, REMOVED, some, table } from '../../test/support/steps.ts';

const DRPC = 'https://didcomm.org/drpc/1.0';
const invited = { ...CONNECTION, state: 'invitation' };
const queried = (category: string) => ({
  category,
  id: 'd1',
  state: 'query-sent',
  connection: 'c1',
  value: { thread_id: 'id-0', connection_id: 'c1', disclosed: { a: 1 } },
});
const [FIRST, SECOND] = ['discovery_exchange_v10', 'discovery_exchange_v20'];
const shown = { protocols: [{ pid: DRPC, roles: ['client'] }] };
const shown2 = { disclosures: [{ 'feature-type': 'protocol', id: DRPC, roles: ['client'] }] };
const many = (protocols: readonly unknown[]): boolean => protocols.length > 10;

table('discover-features-1', [
  {
    title: 'is answered with the protocol and its roles',
    message: 'query',
    body: { query: DRPC },
    effects: { send: [{ type: 'disclose', body: { protocols: [{ pid: 'https://didcomm.org/drpc/1.0', roles: ['client', 'server'] }] } }] },
  },
  {
    title: 'is answered with what begins like it',
    message: 'query',
    body: { query: 'https://didcomm.org/didexchange/*' },
    effects: {
      send: [
        {
          type: 'disclose',
          body: {
            protocols: [
              { pid: 'https://didcomm.org/didexchange/1.1', roles: ['requester', 'responder'] },
              { pid: 'https://didcomm.org/didexchange/1.0', roles: ['requester', 'responder'] },
            ],
          },
        },
      ],
    },
  },
  {
    title: 'of an unsupported protocol has an empty answer',
    message: 'query',
    body: { query: 'https://didcomm.org/smoke/*' },
    effects: { send: [{ type: 'disclose', body: { protocols: [] } }] },
  },
  { title: 'without a query', message: 'query', error: 'message-invalid' },
  {
    title: 'ends the query',
    message: 'disclose',
    body: shown,
    record: queried(FIRST!),
    about: { category: 'discovery_exchange_v10', tag: 'connection_id', equals: 'c1' },
    effects: {
      record: {
        states: ['disclose-received'],
        connection: 'c1',
        patch: {
          thread_id: 'message-1',
          connection_id: 'c1',
          disclosed: {
            '@type': 'https://didcomm.org/discover-features/1.0/disclose',
            '@id': 'message-1',
            protocols: [{ pid: 'https://didcomm.org/drpc/1.0', roles: ['client'] }],
          },
        },
      },
    },
  },
  {
    title: 'that nobody asked for is kept too',
    message: 'disclose',
    body: shown,
    effects: {
      record: {
        states: ['disclose-received'],
        connection: 'c1',
        patch: {
          thread_id: 'message-1',
          connection_id: 'c1',
          disclosed: {
            '@type': 'https://didcomm.org/discover-features/1.0/disclose',
            '@id': 'message-1',
            protocols: [{ pid: 'https://didcomm.org/drpc/1.0', roles: ['client'] }],
          },
        },
      },
    },
  },
  {
    title: 'asks the peer',
    command: 'GET /discover-features/query',
    query: { connection_id: 'c1', query: DRPC },
    record: queried(FIRST!),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/discover-features/1.0/query',
            '@id': 'id-1',
            query: 'https://didcomm.org/drpc/1.0',
            comment: '*',
          },
        },
      ],
      record: {
        states: ['query-sent'],
        connection: 'c1',
        patch: {
          thread_id: 'id-1',
          connection_id: 'c1',
          query: {
            '@type': 'https://didcomm.org/discover-features/1.0/query',
            '@id': 'id-1',
            query: 'https://didcomm.org/drpc/1.0',
            comment: '*',
          },
          disclosed: REMOVED,
        },
      },
    },
  },
  {
    title: 'without a connection answers the supported protocols',
    command: 'query',
    connection: null,
    effects: { answer: some({ state: 'query-sent', disclose: some({ protocols: many }) }) },
  },
  {
    title: 'needs a connection that can be written to',
    command: 'query',
    query: { connection_id: 'c1' },
    connection: invited,
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
]);

table('discover-features-2', [
  {
    title: 'are answered with each protocol once',
    message: 'queries',
    body: {
      queries: [
        { 'feature-type': 'protocol', match: DRPC },
        { 'feature-type': 'protocol', match: `${DRPC.slice(0, -3)}*` },
        { 'feature-type': 'goal-code', match: '*' },
      ],
    },
    effects: {
      send: [
        {
          type: 'disclosures',
          body: { disclosures: [{ 'feature-type': 'protocol', id: 'https://didcomm.org/drpc/1.0', roles: ['client', 'server'] }] },
        },
      ],
    },
  },
  {
    title: 'of a goal code have an empty answer',
    message: 'queries',
    body: { queries: [{ 'feature-type': 'goal-code', match: '*' }] },
    effects: { send: [{ type: 'disclosures', body: { disclosures: [] } }] },
  },
  { title: 'without a match', message: 'queries', body: { queries: [{ 'feature-type': 'protocol' }] }, error: 'message-invalid' },
  {
    title: 'end the query',
    message: 'disclosures',
    body: shown2,
    record: queried(SECOND!),
    about: { category: 'discovery_exchange_v20', tag: 'connection_id', equals: 'c1' },
    effects: {
      record: {
        states: ['disclose-received'],
        connection: 'c1',
        patch: {
          thread_id: 'message-1',
          connection_id: 'c1',
          disclosed: {
            '@type': 'https://didcomm.org/discover-features/2.0/disclosures',
            '@id': 'message-1',
            disclosures: [{ 'feature-type': 'protocol', id: 'https://didcomm.org/drpc/1.0', roles: ['client'] }],
          },
        },
      },
    },
  },
  {
    title: 'ask the peer',
    command: 'GET /discover-features-2.0/queries',
    query: { connection_id: 'c1', query_protocol: DRPC },
    record: queried(SECOND!),
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/discover-features/2.0/queries',
            '@id': 'id-1',
            queries: [
              { 'feature-type': 'protocol', match: 'https://didcomm.org/drpc/1.0' },
              { 'feature-type': 'goal-code', match: '*' },
            ],
          },
        },
      ],
      record: {
        states: ['query-sent'],
        connection: 'c1',
        patch: {
          thread_id: 'id-1',
          connection_id: 'c1',
          query: {
            '@type': 'https://didcomm.org/discover-features/2.0/queries',
            '@id': 'id-1',
            queries: [
              { 'feature-type': 'protocol', match: 'https://didcomm.org/drpc/1.0' },
              { 'feature-type': 'goal-code', match: '*' },
            ],
          },
          disclosed: REMOVED,
        },
      },
    },
  },
  {
    title: 'without a connection answer the supported protocols',
    command: 'queries',
    connection: null,
    effects: { answer: some({ trace: false, disclosures: some({ disclosures: many }) }) },
  },
  {
    title: 'need a connection that can be written to',
    command: 'queries',
    query: { connection_id: 'c1' },
    connection: invited,
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
]);
