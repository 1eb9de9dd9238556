import { onWeb } from '../../test/support/handshakes.ts';
import { CONNECTION, key, OUR_KEY, PEER_KEY, REMOVED, table } from '../../test/support/steps.ts';
import { createDidKey } from '../dids/did-key.ts';
import { createPeer4 } from '../dids/did-peer.ts';
import { peer4Document } from '../dids/own-documents.ts';

const NEW_DID = createPeer4(peer4Document({ verkey: key(103), endpoint: 'https://new.example' })).did;
const value = { protocol: 'did-rotate', connection_id: 'c1', new_did: 'did:web:peer.example', thread_id: 'thread-1' };
const due = { protocol: 'did-rotate', connection_id: 'c1', new_did: 'did:algo:x', verkey: key(105), shared: true };
const observing = { id: 'r1', role: 'observing', state: 'rotate-received', connection: 'c1', value: { ...value, sender: PEER_KEY } };
const rotating = {
  id: 'r1',
  role: 'rotating',
  state: 'rotate-sent',
  connection: 'c1',
  value: { ...value, new_did: NEW_DID, verkey: key(103) },
};
const former = { ...CONNECTION, value: { ...CONNECTION.value, their_keys: [key(104)], shown_keys: [key(104)] } };
const document = (routing = {}) => onWeb(key(103), { serviceEndpoint: 'https://new.example', ...routing });
const own = {
  category: 'did',
  id: 'did:peer:4own',
  value: { did: 'did:peer:4own', verkey: key(105), method: 'did:peer:4', posture: 'wallet_only', metadata: {} },
};

table('did-rotate', [
  {
    title: 'to a DID that holds its document is followed at once, and acknowledged to the former key',
    message: 'rotate',
    body: { to_did: NEW_DID },
    effects: {
      send: [
        {
          type: 'ack',
          body: { status: 'OK' },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: {
        role: 'observing',
        connection: 'c1',
        states: ['rotate-received', 'ack-sent'],
        patch: { protocol: 'did-rotate', connection_id: 'c1', new_did: /^did:peer:4/, thread_id: 'message-1', sender: PEER_KEY },
      },
      others: [
        {
          def: 'connection',
          base: 'c1',
          patch: {
            their_did: /^did:peer:4[^:]+$/,
            their_keys: [key(103)],
            shown_keys: [],
            their_routing_keys: [],
            their_endpoint: 'https://new.example',
            their_former: { keys: [PEER_KEY], until: 1893812645000 },
          },
        },
      ],
    },
  },
  {
    title: 'to a DID of a server is looked up first',
    message: 'rotate',
    body: { to_did: 'did:web:peer.example' },
    effects: {
      work: [{ op: 'dids/resolve', input: { did: 'did:web:peer.example', fresh: true }, result: 'resolved' }],
      record: {
        role: 'observing',
        connection: 'c1',
        states: ['rotate-received'],
        patch: { protocol: 'did-rotate', connection_id: 'c1', new_did: 'did:web:peer.example', thread_id: 'message-1', sender: PEER_KEY },
      },
    },
  },
  {
    title: 'to a DID of another method',
    message: 'rotate',
    body: { to_did: 'did:foo:bar' },
    effects: { problem: { code: 'e.did.unsupported_method', text: 'Unsupported DID Method' } },
  },
  {
    title: 'to a DID that is none',
    message: 'rotate',
    body: { to_did: 'did:peer:4zQmxxx' },
    effects: { problem: { code: 'e.did.unresolvable', text: 'Unable to resolve DID' } },
  },
  {
    title: 'to a DID without a service',
    message: 'rotate',
    body: { to_did: createDidKey({ type: 'ed25519', bytes: Buffer.alloc(32, 7) }) },
    effects: { problem: { code: 'e.did.unresolvable', text: 'Unable to resolve DID' } },
  },
  {
    title: 'under a key of the DID before the last',
    message: 'rotate',
    body: { to_did: NEW_DID },
    connection: former,
    error: 'message-invalid',
    text: 'a rotation under a key of the DID before the last',
  },
  {
    title: 'without a DID',
    message: 'rotate',
    body: { to_did: '' },
    error: 'message-invalid',
    text: 'The message does not match its schema',
  },
  {
    title: 'removes the connection',
    message: 'hangup',
    effects: { removedKeyOwners: [OUR_KEY], removedKeys: [OUR_KEY], others: [{ def: 'connection', base: 'c1', remove: true }] },
  },
  {
    title: 'under a key of the DID before the last',
    message: 'hangup',
    connection: former,
    error: 'message-invalid',
    text: 'a hangup under a key of the DID before the last',
  },
  {
    title: 'moves the connection, and gives the former key up later',
    acked: { status: 'OK' },
    record: rotating,
    effects: {
      next: [{ command: 'retire', record: { category: 'did_rotate', id: 'r1' }, after: 259200000 }],
      record: { states: ['ack-received'], patch: { former_verkey: OUR_KEY } },
      others: [{ def: 'connection', base: 'c1', patch: { my_did: /^did:peer:4[^:]+$/, my_verkey: key(103) } }],
    },
  },
  {
    title: 'leaves the key of a DID of the wallet',
    acked: { status: 'OK' },
    record: rotating,
    connection: { ...CONNECTION, value: { ...CONNECTION.value, my_did_shared: true } },
    effects: {
      next: [{ command: 'retire', record: { category: 'did_rotate', id: 'r1' }, after: 259200000 }],
      record: { states: ['ack-received'] },
      others: [{ def: 'connection', base: 'c1', patch: { my_did: /^did:peer:4[^:]+$/, my_verkey: key(103), my_did_shared: REMOVED } }],
    },
  },
  {
    title: 'to a rotation of the peer',
    acked: { status: 'OK' },
    record: observing,
    error: 'wrong-state',
  },
  {
    title: 'ends the rotation, and gives the new key up',
    problem: { description: { code: 'e.did.unresolvable', en: 'no' } },
    record: rotating,
    effects: {
      removedKeyOwners: [key(103)],
      removedKeys: [key(103)],
      record: { states: ['failed'], patch: { error: 'e.did.unresolvable: no' } },
    },
  },
  {
    title: 'leaves the key of a DID of the wallet',
    problem: {},
    record: { ...rotating, value: { ...rotating.value, shared: true } },
    effects: { record: { states: ['failed'], patch: { error: 'The peer reported a problem' } } },
  },
  {
    title: 'is followed, and acknowledged to the former key',
    result: 'resolved',
    output: document(),
    record: observing,
    effects: {
      send: [
        {
          type: 'ack',
          body: { status: 'OK' },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: { states: ['ack-sent'] },
      others: [
        {
          def: 'connection',
          base: 'c1',
          patch: {
            their_did: 'did:web:peer.example',
            their_keys: [key(103)],
            shown_keys: [],
            their_routing_keys: [],
            their_endpoint: 'https://new.example',
            their_former: { keys: [PEER_KEY], until: 1893812645000 },
          },
        },
      ],
    },
  },
  {
    title: 'has no service that can be written to',
    result: 'resolved',
    output: document({ type: 'LinkedDomains' }),
    record: observing,
    effects: {
      problem: { code: 'e.did.unresolvable_services', text: 'Unable to resolve DIDComm Services' },
      record: { states: ['failed'], patch: { error: 'e.did.unresolvable_services' } },
    },
  },
  {
    title: 'comes too late: the peer has moved on',
    result: 'resolved',
    output: document(),
    record: observing,
    connection: former,
    effects: { record: { states: ['failed'] } },
  },
  {
    title: 'of a method that is not resolved',
    failed: { result: 'resolved', code: 'did-unsupported', text: 'x' },
    record: observing,
    effects: {
      problem: { code: 'e.did.unsupported_method', text: 'Unsupported DID Method' },
      record: { states: ['failed'], patch: { error: 'e.did.unsupported_method' } },
    },
  },
  {
    title: 'of a DID that is not found',
    failed: { result: 'resolved', code: 'did-not-found', text: 'x' },
    record: observing,
    effects: {
      problem: { code: 'e.did.unresolvable', text: 'Unable to resolve DID' },
      record: { states: ['failed'], patch: { error: 'e.did.unresolvable' } },
    },
  },
  {
    title: 'of a rotation that went on has no effect',
    failed: { result: 'resolved', code: 'did-not-found', text: 'x' },
    record: { ...observing, state: 'ack-sent' },
    effects: {},
  },
  {
    title: 'moves to a new did:peer:4',
    command: 'POST /did-rotate/{conn_id}/rotate',
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'c1' }],
      send: [{ message: { '@type': 'https://didcomm.org/did-rotate/1.0/rotate', '@id': 'id-1', to_did: /^did:peer:4/ } }],
      answer: { '@type': 'https://didcomm.org/did-rotate/1.0/rotate', '@id': 'id-1', to_did: /^did:peer:4/ },
      record: {
        role: 'rotating',
        connection: 'c1',
        states: ['rotate-sent'],
        patch: { protocol: 'did-rotate', connection_id: 'c1', new_did: /^did:peer:4/, thread_id: 'id-1', verkey: key(1) },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'moves to a DID of the wallet',
    command: 'rotate',
    body: { to_did: 'did:peer:4own' },
    loads: { own: { category: 'did', tag: 'did', equals: 'did:peer:4own' } },
    loaded: { own },
    effects: {
      send: [{ message: { '@type': 'https://didcomm.org/did-rotate/1.0/rotate', '@id': 'id-1', to_did: /^did:peer:4/ } }],
      answer: { '@type': 'https://didcomm.org/did-rotate/1.0/rotate', '@id': 'id-1', to_did: /^did:peer:4/ },
      record: {
        role: 'rotating',
        connection: 'c1',
        states: ['rotate-sent'],
        patch: { protocol: 'did-rotate', connection_id: 'c1', new_did: /^did:peer:4/, thread_id: 'id-1', verkey: key(105), shared: true },
      },
    },
  },
  {
    title: 'to a DID that is not in the wallet',
    command: 'rotate',
    body: { to_did: 'did:peer:4own' },
    error: 'bad-request',
    text: 'DID did:peer:4own is not in this wallet',
  },
  {
    title: 'to the DID that it has',
    command: 'rotate',
    body: { to_did: 'did:peer:4own' },
    loaded: { own: { ...own, value: { ...own.value, verkey: OUR_KEY } } },
    error: 'bad-request',
    text: 'The connection has this DID already',
  },
  {
    title: 'needs a connection that can be written to',
    command: 'rotate',
    connection: { ...CONNECTION, state: 'request' },
    error: 'bad-request',
    text: 'Connection c1 not ready',
  },
  {
    title: 'removes the connection and notifies the peer',
    command: 'POST /did-rotate/{conn_id}/hangup',
    effects: {
      removedKeyOwners: [OUR_KEY],
      removedKeys: [OUR_KEY],
      send: [{ message: { '@type': 'https://didcomm.org/did-rotate/1.0/hangup', '@id': 'id-1' } }],
      answer: { '@type': 'https://didcomm.org/did-rotate/1.0/hangup', '@id': 'id-1' },
      others: [{ def: 'connection', base: 'c1', remove: true }],
    },
  },
  {
    title: 'gives the former key up',
    command: 'retire',
    record: { ...rotating, state: 'ack-received', value: { ...rotating.value, former_verkey: OUR_KEY, former_mediated: true } },
    effects: { removedKeyOwners: [OUR_KEY], removedKeys: [OUR_KEY], deregisterKeys: [OUR_KEY], record: { remove: true, silent: true } },
  },
  {
    title: 'has no key to give up',
    command: 'retire',
    record: { ...rotating, state: 'ack-received' },
    effects: { record: { remove: true, silent: true } },
  },
  {
    title: 'of the DID that it has, whose key is another: the peer is notified under the former one',
    command: 'announce',
    record: { id: 'r1', role: 'rotating', state: 'due', connection: 'c1', value: due },
    connection: { ...CONNECTION, value: { ...CONNECTION.value, my_did: 'did:algo:x', mediated: true } },
    effects: {
      record: { states: ['rotate-sent'], patch: { thread_id: 'id-1', mediated: true } },
      send: [{ message: { '@type': 'https://didcomm.org/did-rotate/1.0/rotate', '@id': 'id-1', to_did: 'did:algo:x' } }],
    },
  },
  {
    title: 'of a DID that the connection has no more is not announced',
    command: 'announce',
    record: { id: 'r1', role: 'rotating', state: 'due', connection: 'c1', value: due },
    connection: { ...CONNECTION, value: { ...CONNECTION.value, my_did: 'did:peer:4other' } },
    effects: { record: { remove: true, silent: true } },
  },
  {
    title: 'of a connection that is gone is not announced',
    command: 'announce',
    record: { id: 'r1', role: 'rotating', state: 'due', connection: 'c1', value: due },
    connection: null,
    effects: { record: { remove: true, silent: true } },
  },
]);
