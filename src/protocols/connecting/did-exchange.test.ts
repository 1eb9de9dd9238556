import { handshake, INVITED, INVITING, onWeb, ownDid, requestOf } from '../../../test/support/handshakes.ts';
import { CONNECTION, key, OUR_KEY, PEER_KEY, REMOVED, table } from '../../../test/support/steps.ts';
import { signedAttachment } from '../../didcomm/attachments.ts';
import { newKeyPair } from '../../didcomm/keys.ts';
import { createPeer4, shortPeerDid } from '../../dids/did-peer.ts';
import { peer4Document } from '../../dids/own-documents.ts';
import { unqualifiedDid } from '../../dids/unqualified.ts';

const PEER_DID = createPeer4(peer4Document({ verkey: PEER_KEY, endpoint: 'https://peer.example' })).did;
const OLD = unqualifiedDid({ verkey: PEER_KEY, endpoint: 'https://peer.example' });
const rotation = (did: string, pair = INVITING) => ({ did_rotate: [signedAttachment(Buffer.from(did), pair, 'a')] });
const attached = (document: object, pair = INVITING) => ({ did_doc: [signedAttachment(Buffer.from(JSON.stringify(document)), pair, 'a')] });
const WEB = 'did:web:peer.example';
const base = { invitation_key: key(103), invitation_msg_id: 'invitation-1', invitation_mode: 'once' };
const driven = { ...base, protocol: 'did-exchange', connection_protocol: 'didexchange/1.1' };
const { received, asking, asked } = handshake(driven, { theirDid: shortPeerDid(PEER_DID), ourDid: 'did:peer:4zQmours:zours' });
const { open } = handshake(base, { theirDid: '', ourDid: '' });
const request = requestOf({ label: 'Peer', did: PEER_DID });
const response = { message: 'response', thid: 'request-1', body: { did: PEER_DID } } as const;
const about = { sender: PEER_KEY, thid: 'request-1', minor: 1 };
const init = {
  id: 'c1',
  state: 'init',
  role: 'invitee',
  value: { ...driven, invitation_key: undefined, their_public_did: WEB, wanted: { label: 'Us', goal: 'x' } },
};
const given = {
  '@type': 'https://didcomm.org/didexchange/1.1/request',
  '@id': 'request-1',
  '~thread': { pthid: 'did:algo:own' },
  did: PEER_DID,
  label: 'Peer',
};
const invites = { publicInvites: true, requestsThroughPublicDid: true };

table('did-exchange', [
  {
    title: 'takes the record of the invitation',
    ...request,
    record: open,
    loaded: { keyed: INVITED },
    effects: {
      record: {
        states: ['request'],
        patch: {
          protocol: 'did-exchange',
          connection_protocol: 'didexchange/1.1',
          request_id: 'request-1',
          their_label: 'Peer',
          their_did: /^did:peer:4[^:]+$/,
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
        },
      },
      others: [{ def: 'oob_record', base: 'o1', states: ['done'] }],
    },
  },
  {
    title: 'is accepted by itself where the invitation has auto_accept',
    ...request,
    record: { ...open, value: { ...open.value, accept: 'auto' } },
    effects: {
      next: [{ command: 'accept-request', record: { category: 'connection', id: 'c1' } }],
      record: {
        states: ['request'],
        patch: {
          protocol: 'did-exchange',
          connection_protocol: 'didexchange/1.1',
          request_id: 'request-1',
          their_label: 'Peer',
          their_did: /^did:peer:4[^:]+$/,
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
        },
      },
    },
  },
  {
    title: 'begins a record of its own where the invitation is of many uses',
    ...request,
    record: { ...open, value: { ...open.value, invitation_mode: 'multi' } },
    effects: {
      others: [
        {
          def: 'connection',
          id: 'id-1',
          role: 'inviter',
          states: ['request'],
          patch: {
            invitation_key: key(103),
            invitation_msg_id: 'invitation-1',
            invitation_mode: 'once',
            accept: 'manual',
            oob_id: 'o1',
            protocol: 'did-exchange',
            connection_protocol: 'didexchange/1.1',
            request_id: 'request-1',
            their_label: 'Peer',
            their_did: /^did:peer:4[^:]+$/,
            their_keys: [PEER_KEY],
            shown_keys: [PEER_KEY],
            their_routing_keys: [],
            their_endpoint: 'https://peer.example',
          },
        },
      ],
    },
  },
  {
    title: 'of a DID of a server waits until that is resolved',
    ...request,
    record: open,
    body: { did: WEB },
    effects: {
      work: [
        {
          op: 'dids/resolve',
          input: { did: 'did:web:peer.example', about: { sender: PEER_KEY, thid: 'request-1', pthid: 'invitation-1', minor: 1 } },
          result: 'requested',
        },
      ],
    },
  },
  {
    title: 'in version 1.0 has its document, signed by its own key',
    ...request,
    minor: 0,
    record: open,
    body: { did: OLD.did },
    attachments: attached(OLD.document, newKeyPair(Buffer.alloc(32, 102))),
    effects: {
      record: {
        states: ['request'],
        patch: {
          protocol: 'did-exchange',
          connection_protocol: 'didexchange/1.1',
          request_id: 'request-1',
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
        },
      },
    },
  },
  {
    title: 'with a document that another key signs',
    ...request,
    minor: 0,
    record: open,
    body: { did: OLD.did },
    attachments: attached(OLD.document),
    error: 'message-invalid',
    text: 'the signature of what is attached is missing or by another key',
  },
  {
    title: 'sealed for another key',
    ...request,
    recipient: OUR_KEY,
    record: open,
    error: 'invitation-closed',
    text: 'the request is not for this invitation',
  },
  {
    title: 'sealed by a key that its DID does not name',
    ...request,
    sender: key(104),
    record: open,
    error: 'message-invalid',
    text: 'the request is not sealed by the key it names',
  },
  { title: 'of an invitation that was used', ...request, record: asked, error: 'wrong-state' },
  {
    title: 'without an invitation begins a connection where the public DID invites',
    ...request,
    recipient: OUR_KEY,
    settings: invites,
    loaded: { own: ownDid('public') },
    effects: {
      record: {
        id: 'id-1',
        role: 'inviter',
        states: ['request'],
        patch: {
          accept: 'manual',
          invitation_key: OUR_KEY,
          invitation_mode: 'once',
          protocol: 'did-exchange',
          connection_protocol: 'didexchange/1.1',
          request_id: 'request-1',
          their_label: 'Peer',
          their_did: /^did:peer:4[^:]+$/,
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
        },
      },
    },
  },
  {
    title: 'without an invitation to a DID that is not public',
    ...request,
    recipient: OUR_KEY,
    settings: invites,
    loaded: { own: ownDid('wallet_only') },
    error: 'invitation-closed',
    text: 'the request is for no open invitation',
  },
  {
    title: 'without an invitation where public DIDs do not invite',
    ...request,
    recipient: OUR_KEY,
    loaded: { own: ownDid('public') },
    error: 'invitation-closed',
    text: 'the request is for no open invitation',
  },
  {
    title: 'that finds the invitation closed is answered',
    ...request,
    instead: 'refuse',
    effects: {
      send: [
        {
          type: 'problem_report',
          thid: 'request-1',
          pthid: 'invitation-1',
          minor: 1,
          body: { description: { code: 'request_not_accepted', en: 'The invitation is not open' } },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: key(103) },
          back: true,
        },
      ],
    },
  },
  {
    title: 'that finds the invitation closed is not answered under a key that is not its own',
    ...request,
    sender: key(104),
    instead: 'refuse',
    effects: {},
  },
  {
    title: 'of a DID of a server that finds the invitation closed is answered when that is resolved',
    ...request,
    body: { did: WEB },
    instead: 'refuse',
    effects: {
      work: [
        {
          op: 'dids/resolve',
          input: {
            did: 'did:web:peer.example',
            about: { sender: PEER_KEY, recipient: key(103), thid: 'request-1', pthid: 'invitation-1', minor: 1 },
          },
          result: 'refused',
        },
      ],
    },
  },
  {
    title: 'completes our side',
    ...response,
    record: asking,
    attachments: rotation(PEER_DID),
    effects: {
      send: [
        {
          type: 'complete',
          thid: 'request-1',
          pthid: 'invitation-1',
          minor: 1,
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: /^did:peer:4[^:]+$/,
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          my_did: /^did:peer:4/,
          reusable: true,
        },
      },
    },
  },
  {
    title: 'is followed by a ping where the agent pings',
    ...response,
    record: asking,
    attachments: rotation(PEER_DID),
    settings: { autoPingConnection: true },
    effects: {
      send: [
        {
          type: 'complete',
          thid: 'request-1',
          pthid: 'invitation-1',
          minor: 1,
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
        {
          type: 'https://didcomm.org/trust_ping/1.0/ping',
          id: 'id-1',
          body: { response_requested: false },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: /^did:peer:4[^:]+$/,
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          my_did: /^did:peer:4/,
          reusable: true,
        },
      },
    },
  },
  {
    title: 'hands over what the invitation attached',
    ...response,
    record: { ...asking, value: { ...asking.value, attached: [{ '@id': 'offer-1' }] } },
    attachments: rotation(PEER_DID),
    effects: {
      send: [
        {
          type: 'complete',
          thid: 'request-1',
          pthid: 'invitation-1',
          minor: 1,
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      dispatch: [{ connection: 'c1', message: { '@id': 'offer-1' } }],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: /^did:peer:4[^:]+$/,
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          attached: REMOVED,
          my_did: /^did:peer:4/,
          reusable: true,
        },
      },
    },
  },
  {
    title: 'under the key of the invitation is one of ACA-Py',
    ...response,
    sender: key(103),
    record: asking,
    attachments: rotation(PEER_DID),
    effects: {
      send: [
        {
          type: 'complete',
          thid: 'request-1',
          pthid: 'invitation-1',
          minor: 1,
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: /^did:peer:4[^:]+$/,
          their_keys: [PEER_KEY],
          shown_keys: [],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          my_did: /^did:peer:4/,
          reusable: true,
        },
      },
    },
  },
  {
    title: 'sealed by another key',
    ...response,
    sender: key(104),
    record: asking,
    attachments: rotation(PEER_DID),
    error: 'message-invalid',
    text: 'the response is sealed neither by a key that it names nor by that of the invitation',
  },
  {
    title: 'that signs another DID',
    ...response,
    record: asking,
    attachments: rotation('did:peer:4other'),
    error: 'message-invalid',
    text: 'another DID than the named one is signed',
  },
  {
    title: 'signed by another key',
    ...response,
    record: asking,
    attachments: rotation(PEER_DID, newKeyPair(Buffer.alloc(32, 104))),
    error: 'message-invalid',
    text: 'the signature of what is attached is missing or by another key',
  },
  {
    title: 'without a proof',
    ...response,
    record: asking,
    error: 'message-invalid',
    text: 'neither a document nor a rotation is signed by the invitation key',
  },
  {
    title: 'to another request',
    ...response,
    thid: 'request-2',
    record: asking,
    attachments: rotation(PEER_DID),
    error: 'message-invalid',
    text: 'the response belongs to another request',
  },
  {
    title: 'to a key of another connection',
    ...response,
    recipient: key(105),
    record: asking,
    attachments: rotation(PEER_DID),
    error: 'message-invalid',
    text: 'the response belongs to another request',
  },
  {
    title: 'by a DID of a server must be proven too',
    ...response,
    record: asking,
    body: { did: WEB },
    error: 'message-invalid',
    text: 'neither a document nor a rotation is signed by the invitation key',
  },
  {
    title: 'by the DID that the invitation named needs no other proof',
    ...response,
    record: { ...asking, value: { ...asking.value, their_public_did: WEB } },
    body: { did: WEB },
    effects: {
      work: [
        {
          op: 'dids/resolve',
          input: { did: 'did:web:peer.example', about: { sender: PEER_KEY, thid: 'request-1', minor: 1 } },
          result: 'responded',
        },
      ],
    },
  },
  {
    title: 'completes the side of the inviter',
    message: 'complete',
    thid: 'request-1',
    record: { ...asked, state: 'response', value: { ...asked.value, my_did: 'did:peer:4zQmours:zours' } },
    effects: { record: { states: ['active'], patch: { my_did: /^did:peer:4/ } } },
  },
  { title: 'before our response', message: 'complete', thid: 'request-1', record: asked, error: 'wrong-state' },
  {
    title: 'ends the handshake',
    problem: { description: { code: 'request_not_accepted', en: 'no' } },
    record: asking,
    effects: { record: { states: ['error'], patch: { error_msg: 'request_not_accepted: no' } } },
  },
  {
    title: 'leaves a connection that was complete active',
    problem: { explain: 'no' },
    record: { ...asked, state: 'active' },
    effects: { record: { patch: { error_msg: 'no' } } },
  },
  {
    title: 'takes the record of the invitation',
    result: 'requested',
    record: open,
    output: { ...onWeb(), about },
    loaded: { invitation: INVITED },
    effects: {
      record: {
        states: ['request'],
        patch: {
          protocol: 'did-exchange',
          connection_protocol: 'didexchange/1.1',
          request_id: 'request-1',
          their_did: 'did:web:peer.example',
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
        },
      },
      others: [{ def: 'oob_record', base: 'o1', states: ['done'] }],
    },
  },
  {
    title: 'of a DID whose document in memory has other keys looks it up once more',
    result: 'requested',
    record: open,
    output: { ...onWeb(key(104)), about },
    effects: {
      work: [
        {
          op: 'dids/resolve',
          input: { did: 'did:web:peer.example', fresh: true, about: { ...about, fresh: true } },
          result: 'requested',
        },
      ],
    },
  },
  {
    title: 'names a DID of other keys',
    result: 'requested',
    record: open,
    output: { ...onWeb(key(104)), about: { ...about, fresh: true } },
    error: 'message-invalid',
    text: 'the request is not sealed by the key it names',
  },
  {
    title: 'of a DID that was deactivated',
    result: 'requested',
    record: open,
    output: { ...onWeb(), metadata: { deactivated: true }, about },
    error: 'did-invalid',
    text: 'The DID was deactivated',
  },
  {
    title: 'answers that the invitation is closed',
    result: 'refused',
    output: { ...onWeb(), about: { ...about, recipient: key(103) } },
    effects: {
      send: [
        {
          type: 'problem_report',
          thid: 'request-1',
          minor: 1,
          body: { description: { code: 'request_not_accepted', en: 'The invitation is not open' } },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: key(103) },
          back: true,
        },
      ],
    },
  },
  {
    title: 'sends the request to the service of the DID',
    result: 'found',
    record: init,
    output: onWeb(),
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'c1' }],
      send: [
        {
          type: 'request',
          id: 'id-1',
          thid: 'id-1',
          pthid: 'did:web:peer.example#s',
          minor: 1,
          body: { label: 'Us', did: /^did:peer:4/, goal: 'x' },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: key(1) },
        },
      ],
      record: {
        states: ['request'],
        patch: {
          invitation_key: PEER_KEY,
          invitation_msg_id: 'invitation-1',
          invitation_mode: 'once',
          protocol: 'did-exchange',
          connection_protocol: 'didexchange/1.1',
          their_public_did: 'did:web:peer.example',
          invitation_service: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example' },
          wanted: REMOVED,
          request_id: 'id-1',
          my_did: /^did:peer:4/,
          my_verkey: key(1),
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'completes our side',
    result: 'responded',
    record: asking,
    output: { ...onWeb(), about },
    effects: {
      send: [
        {
          type: 'complete',
          thid: 'request-1',
          pthid: 'invitation-1',
          minor: 1,
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: 'did:web:peer.example',
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          my_did: /^did:peer:4/,
          reusable: true,
        },
      },
    },
  },
  {
    title: 'to another request has no effect',
    result: 'responded',
    record: asking,
    output: { ...onWeb(), about: { ...about, thid: 'request-0' } },
    effects: {},
  },
  {
    title: 'removes what was not begun',
    failed: { result: 'found', code: 'did-not-found', text: 'no such DID' },
    record: init,
    effects: { record: { remove: true, silent: true } },
  },
  {
    title: 'ends the handshake',
    failed: { result: 'responded', code: 'did-not-found', text: 'no such DID' },
    record: asking,
    effects: { record: { states: ['error'], patch: { error_msg: 'no such DID' } } },
  },
  {
    title: 'leaves an invitation open',
    failed: { result: 'requested', code: 'did-not-found', text: 'no such DID' },
    record: open,
    effects: {},
  },
  {
    title: 'sends the request under a new did:peer:4',
    command: 'POST /didexchange/{conn_id}/accept-invitation',
    query: { my_label: 'Us' },
    record: received,
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'c1' }],
      send: [
        {
          type: 'request',
          id: 'id-1',
          thid: 'id-1',
          pthid: 'invitation-1',
          minor: 1,
          body: { label: 'Us', did: /^did:peer:4/ },
          to: { recipientKeys: [key(103)], routingKeys: [], endpoint: 'https://peer.example', sender: key(1) },
        },
      ],
      record: {
        states: ['request'],
        patch: {
          protocol: 'did-exchange',
          request_id: 'id-1',
          connection_protocol: 'didexchange/1.1',
          my_did: /^did:peer:4/,
          my_verkey: key(1),
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'sends the request in version 1.0 with its document',
    command: 'accept-invitation',
    record: { ...received, value: { ...received.value, connection_protocol: 'didexchange/1.0' } },
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'c1' }],
      send: [
        {
          type: 'request',
          id: 'id-1',
          thid: 'id-1',
          pthid: 'invitation-1',
          minor: 0,
          body: { label: 'Agent', did: 'J7CUQvLhdTVhye2SHg6w9K' },
          signed: {
            field: 'did_doc',
            text: `{"@context":"https://w3id.org/did/v1","id":"did:sov:J7CUQvLhdTVhye2SHg6w9K","publicKey":[{"id":"did:sov:J7CUQvLhdTVhye2SHg6w9K#1","type":"Ed25519VerificationKey2018","controller":"did:sov:J7CUQvLhdTVhye2SHg6w9K","publicKeyBase58":"${key(1)}"}],"authentication":[{"type":"Ed25519SignatureAuthentication2018","publicKey":"did:sov:J7CUQvLhdTVhye2SHg6w9K#1"}],"service":[{"id":"did:sov:J7CUQvLhdTVhye2SHg6w9K;indy","type":"IndyAgent","priority":0,"recipientKeys":["${key(1)}"],"serviceEndpoint":"https://agent.example"}]}`,
            verkey: key(1),
          },
          to: { recipientKeys: [key(103)], routingKeys: [], endpoint: 'https://peer.example', sender: key(1) },
        },
      ],
      record: {
        states: ['request'],
        patch: {
          protocol: 'did-exchange',
          request_id: 'id-1',
          connection_protocol: 'didexchange/1.0',
          my_did: 'J7CUQvLhdTVhye2SHg6w9K',
          my_verkey: key(1),
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'by a DID that is not in the wallet',
    command: 'accept-invitation',
    query: { use_did: 'did:peer:4own' },
    record: received,
    loads: { own: { category: 'did', tag: 'did', equals: 'did:peer:4own' } },
    error: 'bad-request',
    text: 'DID did:peer:4own is not in this wallet',
  },
  {
    title: 'by a DID of the wallet',
    command: 'accept-invitation',
    query: { use_did: 'did:algo:own' },
    record: received,
    loaded: { own: ownDid('public') },
    effects: {
      send: [
        {
          type: 'request',
          id: 'id-1',
          thid: 'id-1',
          pthid: 'invitation-1',
          minor: 1,
          body: { label: 'Agent', did: 'did:algo:own' },
          to: { recipientKeys: [key(103)], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: {
        states: ['request'],
        patch: {
          protocol: 'did-exchange',
          request_id: 'id-1',
          connection_protocol: 'didexchange/1.1',
          my_did: 'did:algo:own',
          my_verkey: OUR_KEY,
          my_did_shared: true,
        },
      },
    },
  },
  {
    title: 'by a DID and a method',
    command: 'accept-invitation',
    query: { use_did: 'did:algo:own', use_did_method: 'did:peer:2' },
    record: received,
    error: 'bad-request',
    text: 'use_did and use_did_method are mutually exclusive',
  },
  {
    title: 'without a service',
    command: 'accept-invitation',
    record: { ...received, value: driven },
    error: 'bad-request',
    text: 'The invitation names no service',
  },
  {
    title: 'of a connection of another protocol',
    command: 'accept-invitation',
    record: { ...received, value: { ...received.value, protocol: 'connections' } },
    error: 'wrong-state',
  },
  {
    title: 'resolves the DID first',
    command: 'POST /didexchange/create-request',
    query: { their_public_did: WEB, alias: 'bob', auto_accept: 'true' },
    effects: {
      work: [{ op: 'dids/resolve', input: { did: 'did:web:peer.example' }, result: 'found' }],
      record: {
        role: 'invitee',
        states: ['init'],
        silent: true,
        patch: {
          accept: 'auto',
          alias: 'bob',
          invitation_mode: 'once',
          their_did: 'did:web:peer.example',
          their_public_did: 'did:web:peer.example',
          connection_protocol: 'didexchange/1.0',
          protocol: 'did-exchange',
          wanted: {},
        },
      },
    },
  },
  {
    title: 'to ourselves',
    command: 'create-request',
    query: { their_public_did: 'did:algo:own', use_public_did: 'true' },
    loaded: { own: ownDid('public') },
    error: 'bad-request',
    text: 'Cannot connect to yourself through public DID',
  },
  {
    title: 'by two DIDs',
    command: 'create-request',
    query: { their_public_did: WEB, use_public_did: 'true', use_did: 'x' },
    error: 'bad-request',
    text: 'use_public_did, use_did and use_did_method are mutually exclusive',
  },
  {
    title: 'begins a connection',
    command: 'POST /didexchange/receive-request',
    body: given,
    settings: invites,
    loaded: { own: ownDid('public') },
    query: { auto_accept: 'true' },
    effects: {
      next: [{ command: 'accept-request', record: { category: 'connection', id: 'id-1' } }],
      record: {
        id: 'id-1',
        role: 'inviter',
        states: ['request'],
        patch: {
          accept: 'auto',
          invitation_key: OUR_KEY,
          invitation_mode: 'once',
          protocol: 'did-exchange',
          connection_protocol: 'didexchange/1.1',
          request_id: 'request-1',
          their_label: 'Peer',
          their_did: /^did:peer:4[^:]+$/,
          their_keys: [PEER_KEY],
          shown_keys: [],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
        },
      },
    },
  },
  {
    title: 'where public DIDs do not invite',
    command: 'receive-request',
    body: given,
    loaded: { own: ownDid('public') },
    error: 'bad-request',
    text: 'Public invitations are not enabled: connection request refused',
  },
  {
    title: 'for no DID of ours',
    command: 'receive-request',
    body: given,
    settings: invites,
    error: 'bad-request',
    text: 'The request is for no public DID of this wallet',
  },
  {
    title: 'sends the response, whose DID the key of the invitation signs',
    command: 'POST /didexchange/{conn_id}/accept-request',
    record: asked,
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'c1' }],
      send: [
        {
          type: 'response',
          thid: 'request-1',
          pthid: 'invitation-1',
          minor: 1,
          body: { did: /^did:peer:4/ },
          signed: { field: 'did_rotate', text: /^did:peer:4/, verkey: key(103) },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: key(1) },
        },
      ],
      record: { states: ['response'], patch: { my_did: /^did:peer:4/, my_verkey: key(1) } },
      keys: [key(1)],
    },
  },
  {
    title: 'sends the response in version 1.0 with its signed document',
    command: 'accept-request',
    record: { ...asked, value: { ...asked.value, connection_protocol: 'didexchange/1.0' } },
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'c1' }],
      send: [
        {
          type: 'response',
          thid: 'request-1',
          pthid: 'invitation-1',
          minor: 0,
          body: { did: 'J7CUQvLhdTVhye2SHg6w9K' },
          signed: {
            field: 'did_doc',
            text: `{"@context":"https://w3id.org/did/v1","id":"did:sov:J7CUQvLhdTVhye2SHg6w9K","publicKey":[{"id":"did:sov:J7CUQvLhdTVhye2SHg6w9K#1","type":"Ed25519VerificationKey2018","controller":"did:sov:J7CUQvLhdTVhye2SHg6w9K","publicKeyBase58":"${key(1)}"}],"authentication":[{"type":"Ed25519SignatureAuthentication2018","publicKey":"did:sov:J7CUQvLhdTVhye2SHg6w9K#1"}],"service":[{"id":"did:sov:J7CUQvLhdTVhye2SHg6w9K;indy","type":"IndyAgent","priority":0,"recipientKeys":["${key(1)}"],"serviceEndpoint":"https://agent.example"}]}`,
            verkey: key(103),
          },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: key(1) },
        },
      ],
      record: { states: ['response'], patch: { my_did: 'J7CUQvLhdTVhye2SHg6w9K', my_verkey: key(1) } },
      keys: [key(1)],
    },
  },
  { title: 'of the other side', command: 'accept-request', record: asking, error: 'wrong-state' },
  {
    title: 'tells the peer',
    command: 'POST /didexchange/{conn_id}/reject',
    body: { reason: 'no' },
    record: asked,
    effects: {
      problem: { code: 'request_not_accepted', text: 'no', thid: 'request-1' },
      record: { states: ['error'], patch: { error_msg: 'no' } },
    },
  },
  {
    title: 'sends nothing where there is no peer',
    command: 'reject',
    record: open,
    effects: { record: { states: ['error'], patch: { error_msg: 'Rejected' } } },
  },
  {
    title: 'of a connection that is complete',
    command: 'reject',
    record: { ...CONNECTION, value: { ...CONNECTION.value, protocol: 'did-exchange' } },
    error: 'wrong-state',
  },
  {
    title: 'reports to a known peer',
    command: 'decline',
    record: asked,
    effects: {
      problem: { code: 'request_not_accepted', text: 'The request was declined', thid: 'request-1' },
      record: { states: ['error'], patch: { error_msg: 'The request was declined' } },
    },
  },
]);
