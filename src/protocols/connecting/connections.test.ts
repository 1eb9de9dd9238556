import { handshake, INVITED, INVITING, requestOf } from '../../../test/support/handshakes.ts';
import { key, OUR_KEY, PEER_KEY, REMOVED, table } from '../../../test/support/steps.ts';
import { newKeyPair } from '../../didcomm/keys.ts';
import { signDecorator } from '../../didcomm/signature-decorator.ts';
import { unqualifiedDid } from '../../dids/unqualified.ts';

const PEER = unqualifiedDid({ verkey: PEER_KEY, endpoint: 'https://peer.example' });
const connection = { DID: PEER.did, DIDDoc: PEER.document };
const other = unqualifiedDid({ verkey: key(104), endpoint: 'https://other.example' });
const signed = (value: object, pair = INVITING) => ({ 'connection~sig': signDecorator(value, pair, 1_800_000_000) });

const base = {
  protocol: 'connections',
  connection_protocol: 'connections/1.0',
  invitation_key: key(103),
  invitation_msg_id: 'invitation-1',
};
const { open, received, asking, asked } = handshake(base, { theirDid: PEER.did, ourDid: 'ours' });
const request = requestOf({ label: 'Peer', connection });
const response = { message: 'response', thid: 'request-1' } as const;
const invitation = { '@id': 'invitation-1', label: 'Peer', recipientKeys: [key(103)], serviceEndpoint: 'https://peer.example' };

table('connections', [
  {
    title: 'takes the record of the invitation',
    ...request,
    record: open,
    loaded: { keyed: INVITED },
    effects: {
      record: {
        states: ['request'],
        patch: {
          protocol: 'connections',
          connection_protocol: 'connections/1.0',
          request_id: 'request-1',
          their_label: 'Peer',
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
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
          protocol: 'connections',
          connection_protocol: 'connections/1.0',
          request_id: 'request-1',
          their_label: 'Peer',
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
            protocol: 'connections',
            connection_protocol: 'connections/1.0',
            invitation_key: key(103),
            invitation_msg_id: 'invitation-1',
            accept: 'manual',
            invitation_mode: 'once',
            oob_id: 'o1',
            request_id: 'request-1',
            their_label: 'Peer',
            their_did: '7WVJxbpefaGYGkNTxBkCTn',
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
    title: 'sealed for another key',
    ...request,
    recipient: OUR_KEY,
    record: open,
    error: 'invitation-closed',
    text: 'the request is not for this invitation',
  },
  {
    title: 'of an invitation to another handshake',
    ...request,
    record: { ...open, value: { ...open.value, connection_protocol: 'didexchange/1.1', protocol: undefined } },
    error: 'invitation-closed',
    text: 'the invitation offers another handshake',
  },
  {
    title: 'sealed by a key that its document does not name',
    ...request,
    sender: key(104),
    record: open,
    error: 'message-invalid',
    text: 'the message is not sealed by a key that it names',
  },
  {
    title: 'with the document of another DID',
    ...request,
    record: open,
    body: { connection: { DID: PEER.did, DIDDoc: other.document } },
    error: 'did-invalid',
    text: 'The attached document is of another DID',
  },
  {
    title: 'of an invitation that was used',
    ...request,
    record: asked,
    error: 'wrong-state',
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
    error: 'message-invalid',
    text: 'the message is not sealed by a key that it names',
  },
  {
    title: 'completes our side, and acknowledges',
    ...response,
    record: asking,
    raw: signed(connection),
    effects: {
      send: [
        {
          type: 'https://didcomm.org/notification/1.0/ack',
          thid: 'request-1',
          body: { status: 'OK' },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          reusable: true,
        },
      },
    },
  },
  {
    title: 'is followed by a ping where the agent pings',
    ...response,
    record: asking,
    raw: signed(connection),
    settings: { autoPingConnection: true },
    effects: {
      send: [
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
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          reusable: true,
        },
      },
    },
  },
  {
    title: 'hands over what the invitation attached',
    ...response,
    record: { ...asking, value: { ...asking.value, attached: [{ '@id': 'offer-1' }] } },
    raw: signed(connection),
    effects: {
      send: [
        {
          type: 'https://didcomm.org/notification/1.0/ack',
          thid: 'request-1',
          body: { status: 'OK' },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      dispatch: [{ connection: 'c1', message: { '@id': 'offer-1' } }],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          shown_keys: [PEER_KEY],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          attached: REMOVED,
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
    raw: signed(connection),
    effects: {
      send: [
        {
          type: 'https://didcomm.org/notification/1.0/ack',
          thid: 'request-1',
          body: { status: 'OK' },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          shown_keys: [],
          their_routing_keys: [],
          their_endpoint: 'https://peer.example',
          reusable: true,
        },
      },
    },
  },
  {
    title: 'signed by another key',
    ...response,
    record: asking,
    raw: signed(connection, newKeyPair(Buffer.alloc(32, 104))),
    error: 'message-invalid',
    text: 'the connection is not signed by the invitation key',
  },
  {
    title: 'without a signature',
    ...response,
    record: asking,
    error: 'message-invalid',
    text: 'the connection is not signed by the invitation key',
  },
  {
    title: 'to another request',
    ...response,
    thid: 'request-2',
    record: asking,
    raw: signed(connection),
    error: 'message-invalid',
    text: 'the response belongs to another request',
  },
  {
    title: 'to a request that was not sent',
    ...response,
    record: received,
    raw: signed(connection),
    error: 'wrong-state',
  },
  {
    title: 'completes the side of the inviter',
    acked: { status: 'OK' },
    record: { ...asked, state: 'response' },
    effects: { record: { states: ['active'] } },
  },
  {
    title: 'takes the mediated key of the invitation back',
    acked: { status: 'OK' },
    record: { ...asked, state: 'response', value: { ...asked.value, invitation_mediated: true } },
    effects: { deregisterKeys: [key(103)], record: { states: ['active'], patch: { invitation_mediated: REMOVED } } },
  },
  {
    title: 'ends the handshake',
    problem: { explain: 'no' },
    record: asking,
    effects: { record: { states: ['error'], patch: { error_msg: 'no' } } },
  },
  {
    title: 'leaves a connection that was complete active',
    problem: { explain: 'no' },
    record: { ...asked, state: 'active' },
    effects: { record: { patch: { error_msg: 'no' } } },
  },
  {
    title: 'answers the invitation and its URL',
    command: 'POST /connections/create-invitation',
    query: { alias: 'bob', auto_accept: 'true' },
    effects: {
      keyOwners: [{ kid: key(1), kind: 'invitation', target: 'id-2' }],
      answer: {
        connection_id: 'id-2',
        invitation: {
          '@type': 'https://didcomm.org/connections/1.0/invitation',
          '@id': 'id-1',
          label: 'Agent',
          recipientKeys: [key(1)],
          serviceEndpoint: 'https://agent.example',
        },
        invitation_url: /^https:\/\/agent\.example\?c_i=eyJAdHlwZSI6Im/,
        alias: 'bob',
      },
      record: {
        id: 'id-2',
        role: 'inviter',
        states: ['invitation'],
        patch: {
          protocol: 'connections',
          connection_protocol: 'connections/1.0',
          accept: 'auto',
          alias: 'bob',
          invitation_key: key(1),
          invitation_mode: 'once',
          invitation_msg_id: 'id-1',
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'of many uses',
    command: 'create-invitation',
    query: { multi_use: 'true' },
    body: { my_label: 'Us', service_endpoint: 'https://other.example' },
    effects: {
      keyOwners: [{ kid: key(1), kind: 'invitation', target: 'id-2' }],
      answer: {
        connection_id: 'id-2',
        invitation: {
          '@type': 'https://didcomm.org/connections/1.0/invitation',
          '@id': 'id-1',
          label: 'Us',
          recipientKeys: [key(1)],
          serviceEndpoint: 'https://other.example',
        },
        invitation_url: /^https:\/\/other\.example\?c_i=eyJAdHlwZSI6Im/,
      },
      record: {
        id: 'id-2',
        role: 'inviter',
        states: ['invitation'],
        patch: {
          protocol: 'connections',
          connection_protocol: 'connections/1.0',
          accept: 'manual',
          invitation_key: key(1),
          invitation_mode: 'multi',
          invitation_msg_id: 'id-1',
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'by a public DID',
    command: 'create-invitation',
    query: { public: 'true' },
    error: 'not-implemented',
    text: 'Invitations by a public DID or by given keys are out-of-band invitations here',
  },
  {
    title: 'through a mediation that is not there',
    command: 'create-invitation',
    body: { mediation_id: 'm1' },
    loads: { mediation: { category: 'mediation', id: 'm1' } },
    error: 'not-found',
    text: 'Record not found: mediation/m1',
  },
  {
    title: 'waits for the controller',
    command: 'POST /connections/receive-invitation',
    body: invitation,
    effects: {
      record: {
        id: 'id-1',
        role: 'invitee',
        states: ['invitation'],
        patch: {
          protocol: 'connections',
          connection_protocol: 'connections/1.0',
          accept: 'manual',
          invitation_key: key(103),
          invitation_mode: 'once',
          invitation_msg_id: 'invitation-1',
          invitation_service: { recipientKeys: [key(103)], routingKeys: [], endpoint: 'https://peer.example' },
          their_label: 'Peer',
        },
      },
    },
  },
  {
    title: 'is accepted by itself where the call has auto_accept',
    command: 'receive-invitation',
    body: invitation,
    query: { auto_accept: 'true' },
    effects: {
      next: [{ command: 'accept-invitation' }],
      record: {
        id: 'id-1',
        role: 'invitee',
        states: ['invitation'],
        patch: {
          protocol: 'connections',
          connection_protocol: 'connections/1.0',
          accept: 'auto',
          invitation_key: key(103),
          invitation_mode: 'once',
          invitation_msg_id: 'invitation-1',
          invitation_service: { recipientKeys: [key(103)], routingKeys: [], endpoint: 'https://peer.example' },
          their_label: 'Peer',
        },
      },
    },
  },
  {
    title: 'of this wallet',
    command: 'receive-invitation',
    body: invitation,
    loaded: { ours: open },
    error: 'bad-request',
    text: 'The invitation is one of this wallet itself',
  },
  {
    title: 'by a DID',
    command: 'receive-invitation',
    body: { did: 'did:sov:x' },
    error: 'not-implemented',
    text: 'An invitation by a DID must be an out-of-band invitation',
  },
  {
    title: 'without a key',
    command: 'receive-invitation',
    body: { serviceEndpoint: 'https://peer.example' },
    error: 'bad-request',
    text: 'Invitation must contain recipient key(s) and an endpoint',
  },
  {
    title: 'with what is no key',
    command: 'receive-invitation',
    body: { ...invitation, recipientKeys: ['did:key:zzz'] },
    error: 'bad-request',
    text: 'The invitation has a key that is neither a did:key nor a base58 Ed25519 key',
  },
  {
    title: 'sends the request under a new key',
    command: 'POST /connections/{conn_id}/accept-invitation',
    record: received,
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'c1' }],
      send: [
        {
          type: 'request',
          id: 'id-1',
          thid: 'id-1',
          pthid: 'invitation-1',
          body: {
            label: 'Agent',
            connection: {
              DID: 'J7CUQvLhdTVhye2SHg6w9K',
              DIDDoc: {
                '@context': 'https://w3id.org/did/v1',
                id: 'did:sov:J7CUQvLhdTVhye2SHg6w9K',
                publicKey: [
                  {
                    id: 'did:sov:J7CUQvLhdTVhye2SHg6w9K#1',
                    type: 'Ed25519VerificationKey2018',
                    controller: 'did:sov:J7CUQvLhdTVhye2SHg6w9K',
                    publicKeyBase58: key(1),
                  },
                ],
                authentication: [{ type: 'Ed25519SignatureAuthentication2018', publicKey: 'did:sov:J7CUQvLhdTVhye2SHg6w9K#1' }],
                service: [
                  {
                    id: 'did:sov:J7CUQvLhdTVhye2SHg6w9K;indy',
                    type: 'IndyAgent',
                    priority: 0,
                    recipientKeys: [key(1)],
                    serviceEndpoint: 'https://agent.example',
                  },
                ],
              },
            },
          },
          to: { recipientKeys: [key(103)], routingKeys: [], endpoint: 'https://peer.example', sender: key(1) },
        },
      ],
      record: { states: ['request'], patch: { request_id: 'id-1', my_did: 'J7CUQvLhdTVhye2SHg6w9K', my_verkey: key(1) } },
      keys: [key(1)],
    },
  },
  {
    title: 'without a service',
    command: 'accept-invitation',
    record: { ...received, value: { ...base, invitation_mode: 'once' } },
    error: 'bad-request',
    text: 'The invitation names no service',
  },
  {
    title: 'of our own',
    command: 'accept-invitation',
    record: open,
    error: 'wrong-state',
  },
  {
    title: 'sends the response, signed by the key of the invitation',
    command: 'POST /connections/{conn_id}/accept-request',
    record: asked,
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'c1' }],
      send: [
        {
          type: 'response',
          thid: 'request-1',
          signature: {
            field: 'connection',
            value: {
              DID: 'J7CUQvLhdTVhye2SHg6w9K',
              DIDDoc: {
                '@context': 'https://w3id.org/did/v1',
                id: 'did:sov:J7CUQvLhdTVhye2SHg6w9K',
                publicKey: [
                  {
                    id: 'did:sov:J7CUQvLhdTVhye2SHg6w9K#1',
                    type: 'Ed25519VerificationKey2018',
                    controller: 'did:sov:J7CUQvLhdTVhye2SHg6w9K',
                    publicKeyBase58: key(1),
                  },
                ],
                authentication: [{ type: 'Ed25519SignatureAuthentication2018', publicKey: 'did:sov:J7CUQvLhdTVhye2SHg6w9K#1' }],
                service: [
                  {
                    id: 'did:sov:J7CUQvLhdTVhye2SHg6w9K;indy',
                    type: 'IndyAgent',
                    priority: 0,
                    recipientKeys: [key(1)],
                    serviceEndpoint: 'https://agent.example',
                  },
                ],
              },
            },
            verkey: key(103),
          },
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: key(1) },
        },
      ],
      record: { states: ['response'], patch: { my_did: 'J7CUQvLhdTVhye2SHg6w9K', my_verkey: key(1) } },
      keys: [key(1)],
    },
  },
  {
    title: 'of the other side',
    command: 'accept-request',
    record: asking,
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
