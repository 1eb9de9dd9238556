import { CONNECTION, key, some, table } from '../../test/support/steps.ts';

const INVITATION = {
  '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
  '@id': 'invitation-1',
  handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  services: ['did:peer:4zQm'],
};
const value = { init_connection_id: 'init', target_connection_id: 'target', thread_id: 'thread-1', responder: 'Bob', message: 'hello' };
const pending = { id: 'i1', role: 'introducer', state: 'pending', connection: 'target', value };
const init = { ...CONNECTION, id: 'init', value: { ...CONNECTION.value, their_label: 'Bob' } };
const target = { ...CONNECTION, id: 'target' };
const query = { target_connection_id: 'target', message: 'hello' };

table('introduction', [
  { title: 'makes no invitation unless the agent may', message: 'invitation-request', body: { responder: 'Bob' }, effects: {} },
  {
    title: 'is answered with an invitation of one use, under a did:peer:4 of its own',
    message: 'invitation-request',
    body: { responder: 'Bob', message: 'hello' },
    settings: { autoAcceptIntroInvitationRequests: true, autoAcceptRequests: true },
    effects: {
      others: [
        some({ def: 'oob_record', id: 'id-3', role: 'sender', states: ['await-response'] }),
        some({
          def: 'connection',
          id: 'id-2',
          role: 'inviter',
          states: ['invitation'],
          patch: some({ accept: 'auto', invitation_key: key(1), invitation_mode: 'once', invitation_msg_id: 'id-1', oob_id: 'id-3' }),
        }),
        some({ def: 'did', silent: true, patch: some({ did: /^did:peer:4/, verkey: key(1), posture: 'wallet_only' }) }),
      ],
      keys: [key(1)],
      keyOwners: [{ kid: key(1), kind: 'invitation', target: 'id-3' }],
      send: [
        {
          type: 'invitation',
          body: {
            message: 'hello',
            invitation: {
              '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
              '@id': 'id-1',
              label: 'Agent',
              handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
              services: [/^did:peer:4/],
            },
          },
        },
      ],
    },
  },
  {
    title: 'is kept, and forwarded to the initiator as the next step',
    message: 'invitation',
    record: pending,
    body: { invitation: INVITATION },
    effects: {
      record: { states: ['forwarding'], connection: 'init', patch: { answer: { invitation: INVITATION } } },
      next: [{ command: 'forward', record: { category: 'introduction_record', id: 'i1' } }],
    },
  },
  { title: 'that nobody asked for', message: 'invitation', body: { invitation: INVITATION }, error: 'wrong-state' },
  { title: 'of another form', message: 'invitation', record: pending, body: { invitation: { '@id': 'x' } }, error: 'message-invalid' },
  {
    title: 'is received like one of the own controller',
    message: 'forward-invitation',
    body: { invitation: INVITATION },
    effects: {
      next: [{ protocol: 'out-of-band', command: 'receive-invitation', record: { category: 'oob_record', id: 'id-1' }, input: INVITATION }],
    },
  },
  {
    title: 'begins with the target',
    command: 'POST /connections/{conn_id}/start-introduction',
    query,
    loaded: { init, target },
    loads: { init: { category: 'connection', id: '' }, target: { category: 'connection', id: 'target' } },
    effects: {
      record: {
        role: 'introducer',
        connection: 'target',
        states: ['pending'],
        patch: { init_connection_id: 'init', target_connection_id: 'target', thread_id: 'id-1', responder: 'Bob', message: 'hello' },
      },
      next: [{ command: 'ask' }],
      answer: {},
    },
  },
  {
    title: 'without the initiator',
    command: 'start',
    query,
    loaded: { target },
    error: 'bad-request',
    text: /^Initiator connection not found/,
  },
  { title: 'without the target', command: 'start', query, loaded: { init }, error: 'bad-request', text: /^Target connection not found/ },
  {
    title: 'of a connection that is not complete',
    command: 'start',
    query,
    loaded: { init, target: { ...target, state: 'response' } },
    error: 'bad-request',
    text: /Target connection target not active/,
  },
  {
    title: 'asks the target in the thread of the introduction',
    command: 'ask',
    record: pending,
    effects: {
      send: [
        {
          message: {
            '@type': 'https://didcomm.org/introduction-service/0.1/invitation-request',
            '@id': 'thread-1',
            responder: 'Bob',
            message: 'hello',
          },
        },
      ],
      answer: {},
    },
  },
  {
    title: 'ends the introduction',
    command: 'forward',
    record: { ...pending, state: 'forwarding', connection: 'init', value: { ...value, answer: { invitation: INVITATION } } },
    connection: init,
    effects: { record: { remove: true, silent: true }, send: [{ type: 'forward-invitation', body: { invitation: INVITATION } }] },
  },
  {
    title: 'to an initiator that is gone',
    command: 'forward',
    record: { ...pending, state: 'forwarding' },
    connection: null,
    error: 'not-found',
  },
  {
    title: 'removes the introduction',
    failed: { result: 'ask', code: 'not-found', text: 'gone' },
    record: pending,
    effects: { record: { remove: true } },
  },
]);
