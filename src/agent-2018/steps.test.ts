import { CONNECTION, key, NOW, OUR_KEY, PEER_KEY, table } from '../../test/support/steps.ts';
import { newKeyPair, signBytes } from '../didcomm/keys.ts';
import { didOfKey } from '../dids/self-certifying.ts';

/** The peer's endpoint key is `key(103)`, ours `key(104)`. */
const [ENDPOINT, OURS] = [key(103), key(104)] as const;
const settings = { agent2018Endpoint: { did: didOfKey(OURS), verkey: OURS } };
const PEER = didOfKey(PEER_KEY);
/** A cloud agent at the agency whose endpoint is the peer's too. */
const CLOUD = {
  ...{ tenant: 'base', id: 'd1', connection: 'c9', mediation: 'm1', generation: 1, superseded: false },
  ...{ endpoint: 'https://agency.example', did: didOfKey(ENDPOINT), verkey: ENDPOINT },
};
const endpoint = { did: didOfKey(ENDPOINT), verkey: ENDPOINT, endpoint: 'https://peer.example' };
const offer = { ...endpoint, offer_nonce: 'n1', label: 'Peer' };
const whole = { id: 'n1', type: 'urn:sovrin:agent:message_type:sovrin.org/connection_offer', message: offer };
const agent2018 = { profile: 'spec', trust: 'self-certified', endpoint_verkey: ENDPOINT, endpoint_did: didOfKey(ENDPOINT) };
const base = { protocol: 'connection-2018', invitation_mode: 'once', agent2018 };
const record = (role: string, state: string, value = {}) => ({ id: 'c1', role, state, value: { ...base, ...value } });
const offering = record('inviter', 'invitation', {
  agent2018: undefined,
  accept: 'auto',
  invitation_msg_id: 'n1',
  invitation_key: OURS,
  offer_expires: NOW + 1,
});
const requested = record('inviter', 'request', {
  request_id: 'r1',
  their_did: PEER,
  their_keys: [PEER_KEY],
  their_endpoint: 'https://peer.example',
  invitation_key: OURS,
});
const requesting = record('invitee', 'request', {
  request_id: 'r1',
  my_did: didOfKey(OUR_KEY),
  my_verkey: OUR_KEY,
  invitation_key: ENDPOINT,
  their_endpoint: 'https://peer.example',
});
const request = {
  did: PEER,
  verkey: PEER_KEY,
  nonce: 'r1',
  request_nonce: 'r1',
  endpoint_did: endpoint.did,
  endpoint_verkey: ENDPOINT,
  endpoint: 'https://peer.example',
  label: 'Peer',
};
const response = { did: PEER, verkey: PEER_KEY, request_nonce: 'r1', nonce: 'r1' };
const signature = (n: number) => ({
  verkey: key(n),
  signature: Buffer.from(signBytes(Buffer.from(`legacy-response/1|${PEER}|${PEER_KEY}|r1`), newKeyPair(Buffer.alloc(32, n)))).toString(
    'base64',
  ),
});
const WEB = 'did:web:peer.example';
const asking = { message: 'connection_request', thid: 'n1', recipient: OURS, connection: null, settings } as const;
const answering = { message: 'connection_response', thid: 'r1', record: requesting, settings } as const;

table('connection-2018', [
  {
    title: 'waits for the controller',
    message: 'connection_offer',
    thid: 'n1',
    body: offer,
    connection: null,
    settings,
    effects: {
      keyOwners: [{ kid: '2018 offer n1', kind: 'offer', target: 'n1' }],
      record: {
        role: 'invitee',
        states: ['invitation'],
        patch: {
          protocol: 'connection-2018',
          accept: 'manual',
          invitation_mode: 'once',
          invitation_msg_id: 'n1',
          their_label: 'Peer',
          invitation_key: key(103),
          their_endpoint: 'https://peer.example',
          agent2018: { profile: 'spec', trust: 'self-certified', endpoint_verkey: key(103), endpoint_did: '3JWUPLABurdoCyzvZnMRDx' },
        },
      },
    },
  },
  {
    title: 'is accepted by itself',
    message: 'connection_offer',
    thid: 'n1',
    body: offer,
    connection: null,
    settings: { ...settings, autoAcceptInvites: true },
    effects: {
      next: [{ command: 'accept-invitation' }],
      keyOwners: [{ kid: '2018 offer n1', kind: 'offer', target: 'n1' }],
      record: {
        role: 'invitee',
        states: ['invitation'],
        patch: {
          protocol: 'connection-2018',
          accept: 'auto',
          invitation_mode: 'once',
          invitation_msg_id: 'n1',
          their_label: 'Peer',
          invitation_key: key(103),
          their_endpoint: 'https://peer.example',
          agent2018: { profile: 'spec', trust: 'self-certified', endpoint_verkey: key(103), endpoint_did: '3JWUPLABurdoCyzvZnMRDx' },
        },
      },
    },
  },
  {
    title: 'of a DID of a server is resolved first',
    message: 'connection_offer',
    thid: 'n1',
    body: { ...offer, did: WEB },
    connection: null,
    settings,
    effects: {
      keyOwners: [{ kid: '2018 offer n1', kind: 'offer', target: 'n1' }],
      work: [
        {
          op: 'agent-2018/resolve',
          input: {
            dids: ['did:web:peer.example'],
            echo: {
              offer: { did: 'did:web:peer.example', verkey: key(103), endpoint: 'https://peer.example', offer_nonce: 'n1', label: 'Peer' },
              auto: false,
            },
          },
          result: 'offer-located',
        },
      ],
      record: {
        role: 'invitee',
        states: ['init'],
        silent: true,
        patch: { protocol: 'connection-2018', accept: 'manual', invitation_mode: 'once', invitation_msg_id: 'n1', their_label: 'Peer' },
      },
    },
  },
  {
    title: 'under a nonce that was used',
    message: 'connection_offer',
    thid: 'n1',
    body: offer,
    connection: null,
    settings,
    loaded: { same: offering },
    error: 'bad-request',
    text: 'out-of-order',
  },
  {
    title: 'under another nonce than its id',
    message: 'connection_offer',
    thid: 'n2',
    body: offer,
    connection: null,
    settings,
    error: 'bad-request',
    text: 'offer-nonce-mismatch',
  },
  {
    title: 'of a key that its DID does not certify',
    message: 'connection_offer',
    thid: 'n1',
    body: { ...offer, verkey: key(105) },
    connection: null,
    settings,
    error: 'bad-request',
    text: 'endpoint-key-mismatch',
  },
  {
    title: 'of another key than the operator vouches for',
    message: 'connection_offer',
    thid: 'n1',
    body: offer,
    connection: null,
    settings: { ...settings, agent2018Peers: { [endpoint.did]: { verkey: key(105), endpoint: 'https://x.example' } } },
    error: 'bad-request',
    text: 'endpoint-key-mismatch',
  },
  {
    title: 'without an endpoint',
    message: 'connection_offer',
    thid: 'n1',
    body: { did: offer.did, verkey: ENDPOINT, offer_nonce: 'n1' },
    connection: null,
    settings,
    error: 'bad-request',
    text: 'endpoint-unknown',
  },
  {
    title: 'uses the offer up',
    ...asking,
    body: request,
    record: offering,
    effects: {
      next: [{ command: 'accept-request' }],
      record: {
        role: 'inviter',
        states: ['request'],
        patch: {
          protocol: 'connection-2018',
          invitation_mode: 'once',
          accept: 'auto',
          request_id: 'r1',
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          shown_keys: [],
          their_label: 'Peer',
          their_endpoint: 'https://peer.example',
          agent2018: { profile: 'spec', trust: 'self-certified', endpoint_verkey: key(103), endpoint_did: '3JWUPLABurdoCyzvZnMRDx' },
        },
      },
    },
  },
  {
    title: 'without an offer waits for the controller',
    ...asking,
    thid: 'r1',
    body: request,
    effects: {
      record: {
        role: 'inviter',
        states: ['request'],
        patch: {
          protocol: 'connection-2018',
          invitation_mode: 'once',
          accept: 'manual',
          request_id: 'r1',
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          shown_keys: [],
          their_label: 'Peer',
          their_endpoint: 'https://peer.example',
          agent2018: { profile: 'spec', trust: 'self-certified', endpoint_verkey: key(103), endpoint_did: '3JWUPLABurdoCyzvZnMRDx' },
        },
      },
    },
  },
  {
    title: 'of a DID of a server is resolved first',
    ...asking,
    thid: 'r1',
    body: { ...request, did: WEB },
    effects: {
      work: [
        {
          op: 'agent-2018/resolve',
          input: {
            dids: ['did:web:peer.example'],
            echo: {
              request: {
                did: 'did:web:peer.example',
                verkey: PEER_KEY,
                nonce: 'r1',
                request_nonce: 'r1',
                endpoint_did: '3JWUPLABurdoCyzvZnMRDx',
                endpoint_verkey: key(103),
                endpoint: 'https://peer.example',
                label: 'Peer',
              },
              nonce: 'r1',
              profile: 'spec',
            },
          },
          result: 'request-located',
        },
      ],
      record: { role: 'inviter', states: ['init'], silent: true, patch: { protocol: 'connection-2018', invitation_mode: 'once' } },
    },
  },
  { title: 'under a name that is not known', ...asking, thid: 'n9', body: request, error: 'bad-request', text: 'unknown-id' },
  {
    title: 'after the offer has ended',
    ...asking,
    body: request,
    record: { ...offering, value: { ...offering.value, offer_expires: NOW } },
    error: 'bad-request',
    text: 'offer-expired',
  },
  {
    title: 'with two nonces',
    ...asking,
    body: { ...request, nonce: 'r2' },
    record: offering,
    error: 'bad-request',
    text: 'nonce-mismatch',
  },
  { title: 'without a nonce', ...asking, body: { did: PEER }, record: offering, error: 'bad-request', text: 'malformed' },
  {
    title: 'of a DID that has a connection',
    ...asking,
    body: request,
    record: offering,
    loaded: { known: record('inviter', 'active') },
    error: 'bad-request',
    text: 'did-in-use',
  },
  {
    title: 'of a key that its DID does not certify',
    ...asking,
    body: { ...request, verkey: key(105) },
    record: offering,
    error: 'bad-request',
    text: 'requester-key-mismatch',
  },
  {
    title: 'without a way back',
    ...asking,
    body: { ...request, endpoint_did: undefined },
    record: offering,
    error: 'bad-request',
    text: 'no-return-endpoint',
  },
  { title: 'again while the controller waits has no effect', ...asking, body: request, record: requested, effects: {} },
  {
    title: 'again after the response has the response repeated',
    ...asking,
    body: request,
    record: { ...requested, state: 'response' },
    effects: { next: [{ command: 'repeat-response', record: { category: 'connection', id: 'c1' } }] },
  },
  {
    title: 'of another finds the offer used',
    ...asking,
    body: { ...request, nonce: 'r2', request_nonce: 'r2' },
    record: requested,
    error: 'bad-request',
    text: 'out-of-order',
  },
  {
    title: 'completes our side, and acknowledges',
    ...answering,
    body: { ...response, sig: signature(103) },
    effects: {
      removedKeyOwners: ['2018 r1'],
      keyOwners: [{ kid: '2018 7WVJxbpefaGYGkNTxBkCTn', kind: 'connection', target: 'c1' }],
      send: [{ type: 'connection_acknowledgement', text: 'success' }],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          agent2018: { profile: 'spec', trust: 'self-certified', endpoint_verkey: key(103), endpoint_did: '3JWUPLABurdoCyzvZnMRDx' },
          shown_keys: [],
        },
      },
    },
  },
  {
    title: 'without a signature, where none is required',
    ...answering,
    body: response,
    effects: {
      removedKeyOwners: ['2018 r1'],
      keyOwners: [{ kid: '2018 7WVJxbpefaGYGkNTxBkCTn', kind: 'connection', target: 'c1' }],
      send: [{ type: 'connection_acknowledgement', text: 'success' }],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          agent2018: { profile: 'spec', trust: 'self-certified', endpoint_verkey: key(103), endpoint_did: '3JWUPLABurdoCyzvZnMRDx' },
          shown_keys: [],
        },
      },
    },
  },
  {
    title: 'without a signature, where one is required',
    ...answering,
    body: response,
    settings: { ...settings, agent2018RequireSigned: true },
    error: 'bad-request',
    text: 'signature-missing',
  },
  {
    title: 'signed by another key',
    ...answering,
    body: { ...response, sig: signature(105) },
    error: 'bad-request',
    text: 'signature-invalid',
  },
  {
    title: 'with the signature of something else',
    ...answering,
    body: { ...response, sig: { ...signature(103), signature: signature(105).signature } },
    error: 'bad-request',
    text: 'signature-invalid',
  },
  { title: 'to another request', ...answering, body: { ...response, request_nonce: 'r2' }, error: 'bad-request', text: 'nonce-mismatch' },
  { title: 'under another name', ...answering, thid: 'r2', body: response, error: 'bad-request', text: 'nonce-mismatch' },
  {
    title: 'by our DID is of the reference implementation',
    ...answering,
    profile: 'indy-node',
    thid: didOfKey(OUR_KEY),
    body: response,
    effects: {
      removedKeyOwners: ['2018 r1'],
      keyOwners: [{ kid: '2018 7WVJxbpefaGYGkNTxBkCTn', kind: 'connection', target: 'c1' }],
      send: [{ type: 'connection_acknowledgement', text: 'success' }],
      record: {
        states: ['response', 'active'],
        patch: {
          their_did: '7WVJxbpefaGYGkNTxBkCTn',
          their_keys: [PEER_KEY],
          agent2018: { profile: 'indy-node', trust: 'self-certified', endpoint_verkey: key(103), endpoint_did: '3JWUPLABurdoCyzvZnMRDx' },
          shown_keys: [],
        },
      },
    },
  },
  {
    title: 'of a key that its DID does not certify',
    ...answering,
    body: { ...response, verkey: key(105) },
    error: 'bad-request',
    text: 'responder-key-mismatch',
  },
  {
    title: 'by the Endpoint DID',
    ...answering,
    body: { ...response, did: endpoint.did, verkey: ENDPOINT },
    error: 'bad-request',
    text: 'not-pairwise',
  },
  {
    title: 'of a DID that has a connection',
    ...answering,
    body: response,
    loaded: { known: record('invitee', 'active') },
    error: 'bad-request',
    text: 'did-in-use',
  },
  { title: 'that nobody asked for', ...answering, record: requested, body: response, error: 'wrong-state' },
  {
    title: 'completes the other side',
    message: 'connection_acknowledgement',
    thid: PEER,
    body: { text: 'Success' },
    record: { ...requested, state: 'response' },
    effects: { record: { states: ['active'] } },
  },
  {
    title: 'of something else',
    message: 'connection_acknowledgement',
    body: { text: 'no' },
    record: { ...requested, state: 'response' },
    error: 'message-invalid',
  },
  {
    title: 'is a webhook, and leaves no record behind a look-up',
    failed: { result: 'request-located', code: 'did-not-found', text: 'no such DID' },
    record: record('inviter', 'init'),
    effects: {
      emit: [{ topic: 'legacy_problem', payload: { reason: 'no such DID', connection_id: 'c1' } }],
      record: { remove: true, silent: true },
    },
  },
  {
    title: 'of an offer is the answer of its call',
    failed: { result: 'offer-located', code: 'did-not-found', text: 'no such DID' },
    record: record('invitee', 'init'),
    effects: { record: { remove: true, silent: true } },
  },
  {
    title: 'leaves an offer open',
    failed: { result: 'request-located', code: 'did-not-found', text: 'no such DID' },
    record: offering,
    effects: { emit: [{ topic: 'legacy_problem', payload: { reason: 'no such DID', connection_id: 'c1' } }] },
  },
  {
    title: 'comes before the claim of the offer',
    result: 'offer-located',
    output: {
      found: { [WEB]: { verkey: ENDPOINT, endpoint: 'https://found.example' } },
      echo: { offer: { did: WEB, offer_nonce: 'n1' }, auto: true },
    },
    record: record('invitee', 'init', { agent2018: undefined }),
    connection: null,
    effects: {
      next: [{ command: 'accept-invitation' }],
      record: {
        states: ['invitation'],
        patch: {
          invitation_key: key(103),
          their_public_did: 'did:web:peer.example',
          their_endpoint: 'https://found.example',
          agent2018: { profile: 'spec', trust: 'ledger', endpoint_verkey: key(103), endpoint_did: 'did:web:peer.example' },
        },
      },
    },
  },
  {
    title: 'has another key than the offer',
    result: 'offer-located',
    output: { found: { [WEB]: { verkey: ENDPOINT } }, echo: { offer: { did: WEB, verkey: key(105), offer_nonce: 'n1' }, auto: true } },
    record: record('invitee', 'init'),
    connection: null,
    error: 'bad-request',
    text: 'endpoint-key-mismatch',
  },
  {
    title: 'is not there',
    result: 'offer-located',
    output: { found: { [WEB]: null }, echo: { offer: { did: WEB, offer_nonce: 'n1' }, auto: true } },
    record: record('invitee', 'init', { agent2018: undefined }),
    connection: null,
    error: 'bad-request',
    text: 'endpoint-key-unknown',
  },
  {
    title: 'makes the request',
    result: 'request-located',
    output: {
      found: { [WEB]: { verkey: PEER_KEY, endpoint: 'https://peer.example' } },
      echo: { request: { did: WEB, nonce: 'r1' }, nonce: 'r1', profile: 'spec' },
    },
    record: record('inviter', 'init', { agent2018: undefined }),
    connection: null,
    effects: {
      record: {
        role: 'inviter',
        states: ['request'],
        patch: {
          protocol: 'connection-2018',
          invitation_mode: 'once',
          accept: 'manual',
          request_id: 'r1',
          their_did: 'did:web:peer.example',
          their_keys: [PEER_KEY],
          shown_keys: [],
          their_endpoint: 'https://peer.example',
          agent2018: { profile: 'spec', trust: 'ledger', endpoint_verkey: PEER_KEY },
        },
      },
    },
  },
  {
    title: 'is asked at its endpoint',
    result: 'peer-located',
    output: { found: { [WEB]: { verkey: ENDPOINT, endpoint: 'https://peer.example' } }, echo: { did: WEB } },
    record: record('invitee', 'init', { agent2018: undefined }),
    connection: null,
    effects: {
      next: [{ command: 'accept-invitation' }],
      record: {
        states: ['invitation'],
        patch: {
          invitation_key: key(103),
          their_public_did: 'did:web:peer.example',
          their_endpoint: 'https://peer.example',
          agent2018: { profile: 'spec', trust: 'ledger', endpoint_verkey: key(103), endpoint_did: 'did:web:peer.example' },
        },
      },
    },
  },
  {
    title: 'answers the offer as text and as a URL',
    command: 'POST /legacy/connections/offers',
    body: { alias: 'bob', auto_accept: true, expires_in: 60, legacy_encoding: true },
    settings,
    connection: null,
    effects: {
      keyOwners: [{ kid: '2018 00000000000000000000000000000001', kind: 'invitation', target: 'id-1' }],
      answer: {
        connection_id: 'id-1',
        alias: 'bob',
        offer: {
          id: '00000000000000000000000000000001',
          type: 'urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/connection_offer',
          message: {
            did: 'BTZeYJMVjNGfnFgQXdRpjC',
            verkey: key(104),
            endpoint: 'https://agent.example',
            offer_nonce: '00000000000000000000000000000001',
            label: 'Agent',
            offer_verkey: key(1),
          },
        },
        offer_text: /^eyJpZCI6IjAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw/,
        offer_url: /^https:\/\/agent\.example\?c_o=eyJpZCI6IjAwMD/,
      },
      record: {
        id: 'id-1',
        role: 'inviter',
        states: ['invitation'],
        patch: {
          protocol: 'connection-2018',
          accept: 'auto',
          alias: 'bob',
          invitation_key: key(1),
          invitation_mode: 'once',
          invitation_msg_id: '00000000000000000000000000000001',
          offer: {
            id: '00000000000000000000000000000001',
            type: 'urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/connection_offer',
            message: {
              did: 'BTZeYJMVjNGfnFgQXdRpjC',
              verkey: key(104),
              endpoint: 'https://agent.example',
              offer_nonce: '00000000000000000000000000000001',
              label: 'Agent',
              offer_verkey: key(1),
            },
          },
          offer_expires: 1893553505000,
          encoding: 'any',
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'where the protocol is off',
    command: 'create-offer',
    settings: { ...settings, agent2018: 'off' },
    connection: null,
    error: 'bad-request',
    text: 'The 2018 Agent Protocol is off: start with --legacy on',
  },
  {
    title: 'waits for the controller',
    command: 'POST /legacy/connections/receive-offer',
    body: { offer: whole, alias: 'peer', legacy_encoding: true },
    settings,
    connection: null,
    effects: {
      keyOwners: [{ kid: '2018 offer n1', kind: 'offer', target: 'n1' }],
      record: {
        role: 'invitee',
        states: ['invitation'],
        patch: {
          protocol: 'connection-2018',
          accept: 'manual',
          alias: 'peer',
          invitation_mode: 'once',
          invitation_msg_id: 'n1',
          their_label: 'Peer',
          invitation_key: key(103),
          their_endpoint: 'https://peer.example',
          agent2018: {
            profile: 'spec',
            trust: 'self-certified',
            endpoint_verkey: key(103),
            endpoint_did: '3JWUPLABurdoCyzvZnMRDx',
            encoding: 'any',
          },
        },
      },
    },
  },
  {
    title: 'that was received before',
    command: 'receive-offer',
    body: { offer: whole },
    settings,
    loaded: { same: offering },
    connection: null,
    error: 'bad-request',
    text: 'This offer was received before, or is our own',
  },
  {
    title: 'of what is none',
    command: 'receive-offer',
    body: { offer: 'hello' },
    settings,
    connection: null,
    error: 'bad-request',
    text: 'The offer is neither JSON nor a text or URL that holds it',
  },
  {
    title: 'asks without an offer',
    command: 'POST /legacy/connections/requests',
    body: endpoint,
    settings,
    connection: null,
    effects: {
      next: [{ command: 'accept-invitation' }],
      record: {
        role: 'invitee',
        states: ['invitation'],
        patch: {
          protocol: 'connection-2018',
          invitation_mode: 'once',
          accept: 'auto',
          invitation_key: key(103),
          their_endpoint: 'https://peer.example',
          agent2018: { profile: 'spec', trust: 'self-certified', endpoint_verkey: key(103), endpoint_did: '3JWUPLABurdoCyzvZnMRDx' },
        },
      },
    },
  },
  {
    title: 'resolves the DID of a server first',
    command: 'request',
    body: { did: WEB },
    settings,
    connection: null,
    effects: {
      work: [
        {
          op: 'agent-2018/resolve',
          input: { dids: ['did:web:peer.example'], echo: { did: 'did:web:peer.example' } },
          result: 'peer-located',
        },
      ],
      record: {
        role: 'invitee',
        states: ['init'],
        silent: true,
        patch: { protocol: 'connection-2018', invitation_mode: 'once', accept: 'auto' },
      },
    },
  },
  {
    title: 'to a key that nobody vouches for',
    command: 'request',
    body: { did: 'unknown', verkey: ENDPOINT, endpoint: 'https://peer.example' },
    settings,
    connection: null,
    error: 'bad-request',
    text: 'endpoint-key-mismatch',
  },
  {
    title: 'sends the request under a new pairwise DID',
    command: 'POST /legacy/connections/{conn_id}/accept-offer',
    record: record('invitee', 'invitation', { invitation_msg_id: 'n1', invitation_key: ENDPOINT, their_endpoint: 'https://peer.example' }),
    settings,
    effects: {
      keyOwners: [
        { kid: '2018 00000000000000000000000000000001', kind: 'connection', target: 'c1' },
        { kid: '2018 J7CUQvLhdTVhye2SHg6w9K', kind: 'connection', target: 'c1' },
      ],
      send: [
        {
          type: 'connection_request',
          id: 'n1',
          body: {
            did: 'J7CUQvLhdTVhye2SHg6w9K',
            nonce: '00000000000000000000000000000001',
            request_nonce: '00000000000000000000000000000001',
            endpoint_did: 'BTZeYJMVjNGfnFgQXdRpjC',
            endpoint: 'https://agent.example',
            verkey: key(1),
            endpoint_verkey: key(104),
            label: 'Agent',
          },
        },
      ],
      next: [{ command: 'give-up', after: 86400000 }],
      record: {
        states: ['request'],
        patch: { request_id: '00000000000000000000000000000001', my_did: 'J7CUQvLhdTVhye2SHg6w9K', my_verkey: key(1) },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'gives an agency that serves the peer too the name of its nonce alone',
    command: 'POST /legacy/connections/{conn_id}/accept-offer',
    record: record('invitee', 'invitation', { invitation_msg_id: 'n1', invitation_key: ENDPOINT, their_endpoint: 'https://peer.example' }),
    settings: { ...settings, cloudAgent: CLOUD },
    effects: {
      keyOwners: [
        {
          kid: '2018 00000000000000000000000000000001',
          kind: 'connection',
          target: 'c1',
          mediation: { tenant: 'base', id: 'm1' },
          route: { kind: 'request-nonce' },
        },
      ],
      send: [
        {
          type: 'connection_request',
          id: 'n1',
          body: {
            did: 'J7CUQvLhdTVhye2SHg6w9K',
            nonce: '00000000000000000000000000000001',
            request_nonce: '00000000000000000000000000000001',
            endpoint_did: CLOUD.did,
            endpoint: 'https://agency.example',
            verkey: key(1),
            endpoint_verkey: ENDPOINT,
            label: 'Agent',
          },
        },
      ],
      next: [{ command: 'give-up', after: 86400000 }],
      record: {
        states: ['request'],
        patch: { request_id: '00000000000000000000000000000001', my_did: 'J7CUQvLhdTVhye2SHg6w9K', my_verkey: key(1), mediated: true },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'sends the response, signed by the key of the offer',
    command: 'POST /legacy/connections/{conn_id}/accept-request',
    record: requested,
    settings,
    effects: {
      keyOwners: [{ kid: '2018 7WVJxbpefaGYGkNTxBkCTn', kind: 'connection', target: 'c1' }],
      send: [
        {
          type: 'connection_response',
          id: 'r1',
          body: { did: 'J7CUQvLhdTVhye2SHg6w9K', verkey: key(1), request_nonce: 'r1', nonce: 'r1' },
          signature: { field: 'sig', value: `legacy-response/1|J7CUQvLhdTVhye2SHg6w9K|${key(1)}|r1`, verkey: key(104) },
        },
      ],
      record: { states: ['response'], patch: { my_did: 'J7CUQvLhdTVhye2SHg6w9K', my_verkey: key(1) } },
      keys: [key(1)],
    },
  },
  {
    title: 'repeats the response',
    command: 'repeat-response',
    record: { ...requested, state: 'active', value: { ...requested.value, my_did: didOfKey(OUR_KEY), my_verkey: OUR_KEY } },
    settings,
    effects: {
      send: [
        {
          type: 'connection_response',
          id: 'r1',
          body: { did: 'TT16sKiaMVsmweo7JLQxX2', verkey: OUR_KEY, request_nonce: 'r1', nonce: 'r1' },
          signature: { field: 'sig', value: `legacy-response/1|TT16sKiaMVsmweo7JLQxX2|${OUR_KEY}|r1`, verkey: key(104) },
        },
      ],
    },
  },
  {
    title: 'sends nothing to the peer',
    command: 'decline',
    record: requested,
    effects: { record: { states: ['error'], patch: { error_msg: 'The request was declined' } } },
  },
  {
    title: 'ends a request without an answer',
    command: 'give-up',
    record: requesting,
    effects: { removedKeyOwners: ['2018 r1'], record: { states: ['error'], patch: { error_msg: 'The peer did not answer the request' } } },
  },
]);

const peer = { ...CONNECTION, value: { ...CONNECTION.value, protocol: 'connection-2018', agent2018 } };
const waiting = { ...peer, state: 'response' };
const OFFER = { schema_id: 's1', cred_def_id: 'cd1', key_correctness_proof: {}, nonce: '7' };

table('credential-2018', [
  {
    title: 'becomes one of issue-credential 2.0, with its values as a preview',
    message: 'credential_offer',
    body: { ...OFFER, data: { degree: 'Maths' }, comment: 'hi' },
    connection: peer,
    effects: {
      dispatch: [
        {
          connection: 'c1',
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'id-1',
            '~thread': { thid: '7' },
            comment: 'hi',
            credential_preview: {
              '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
              attributes: [{ name: 'degree', value: 'Maths' }],
            },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-offer@v1.0' }],
            'offers~attach': [
              {
                '@id': 'anoncreds',
                'mime-type': 'application/json',
                data: {
                  base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwia2V5X2NvcnJlY3RuZXNzX3Byb29mIjp7fSwibm9uY2UiOiI3In0=',
                },
              },
            ],
          },
        },
      ],
    },
  },
  {
    title: 'completes a connection that waits for its acknowledgement',
    message: 'credential_offer',
    body: OFFER,
    connection: waiting,
    effects: {
      dispatch: [
        {
          connection: 'c1',
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'id-1',
            '~thread': { thid: '7' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/credential-offer@v1.0' }],
            'offers~attach': [
              {
                '@id': 'anoncreds',
                'mime-type': 'application/json',
                data: {
                  base64: 'eyJzY2hlbWFfaWQiOiJzMSIsImNyZWRfZGVmX2lkIjoiY2QxIiwia2V5X2NvcnJlY3RuZXNzX3Byb29mIjp7fSwibm9uY2UiOiI3In0=',
                },
              },
            ],
          },
        },
      ],
      others: [{ def: 'connection', base: 'c1', states: ['active'] }],
    },
  },
  {
    title: 'without a nonce',
    message: 'credential_offer',
    body: { ...OFFER, nonce: undefined },
    connection: peer,
    error: 'bad-request',
    text: 'malformed',
  },
  {
    title: 'of another format',
    message: 'credential_offer',
    body: { '@format': 'smoke/1.0', data: OFFER },
    connection: peer,
    error: 'bad-request',
    text: 'unsupported-format',
  },
  {
    title: 'is matched with what waits for it',
    message: 'credential_request',
    body: { cred_def_id: 'cd1', blinded_ms: {} },
    connection: peer,
    effects: {
      work: [
        {
          op: 'agent-2018/match-credential_request',
          input: { connection: 'c1', echo: { name: 'credential_request', object: { cred_def_id: 'cd1', blinded_ms: {} } } },
          result: 'matched',
        },
      ],
    },
  },
  {
    title: 'is matched with what waits for it',
    message: 'credential',
    body: { '@format': 'anoncreds/1.0', data: { cred_def_id: 'cd1', values: {}, signature: {} } },
    connection: peer,
    effects: {
      work: [
        {
          op: 'agent-2018/match-credential',
          input: { connection: 'c1', echo: { name: 'credential', object: { cred_def_id: 'cd1', values: {}, signature: {} } } },
          result: 'matched',
        },
      ],
    },
  },
  {
    title: 'without a signature',
    message: 'credential',
    body: { cred_def_id: 'cd1', values: {} },
    connection: peer,
    error: 'bad-request',
    text: 'malformed',
  },
  {
    title: 'goes on as the next message of its exchange',
    result: 'matched',
    output: { found: { thid: '7', format: 'indy' }, echo: { name: 'credential', object: { values: {} } } },
    connection: peer,
    effects: {
      dispatch: [
        {
          connection: 'c1',
          continues: true,
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/issue-credential',
            '@id': 'id-1',
            '~thread': { thid: '7' },
            formats: [{ attach_id: 'indy', format: 'hlindy/cred@v2.0' }],
            'credentials~attach': [{ '@id': 'indy', 'mime-type': 'application/json', data: { base64: 'eyJ2YWx1ZXMiOnt9fQ==' } }],
          },
        },
      ],
    },
  },
  {
    title: 'finds nothing that waits',
    result: 'matched',
    output: { found: null, echo: { name: 'credential_request', object: {} } },
    connection: peer,
    effects: { problem: { code: 'out-of-order', text: 'No exchange of this connection waits for this credential_request' } },
  },
]);

const ATTRIBUTES = { requested_attributes: { a: { name: 'degree' } }, requested_predicates: {} };

table('proof-2018', [
  {
    title: 'becomes one of present-proof 2.0',
    message: 'proof_request',
    body: { nonce: '7', ...ATTRIBUTES },
    connection: peer,
    effects: {
      dispatch: [
        {
          connection: 'c1',
          message: {
            '@type': 'https://didcomm.org/present-proof/2.0/request-presentation',
            '@id': 'id-1',
            '~thread': { thid: '7' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof-request@v1.0' }],
            'request_presentations~attach': [
              {
                '@id': 'anoncreds',
                'mime-type': 'application/json',
                data: {
                  base64:
                    'eyJub25jZSI6IjciLCJyZXF1ZXN0ZWRfYXR0cmlidXRlcyI6eyJhIjp7Im5hbWUiOiJkZWdyZWUifX0sInJlcXVlc3RlZF9wcmVkaWNhdGVzIjp7fX0=',
                },
              },
            ],
          },
        },
      ],
    },
  },
  { title: 'without a nonce', message: 'proof_request', body: ATTRIBUTES, connection: peer, error: 'bad-request', text: 'malformed' },
  {
    title: 'is matched with what waits for it',
    message: 'proof',
    body: { nonce: '7', proof: {}, requested_proof: {}, identifiers: [] },
    connection: waiting,
    effects: {
      work: [
        {
          op: 'agent-2018/match-proof',
          input: { connection: 'c1', nonce: '7', echo: { object: { proof: {}, requested_proof: {}, identifiers: [] } } },
          result: 'matched',
        },
      ],
      others: [{ def: 'connection', base: 'c1', states: ['active'] }],
    },
  },
  {
    title: 'without identifiers',
    message: 'proof',
    body: { nonce: '7', proof: {}, requested_proof: {} },
    connection: peer,
    error: 'bad-request',
    text: 'malformed',
  },
  {
    title: 'goes on as the next message of its exchange',
    result: 'matched',
    output: { found: { thid: '7', format: 'anoncreds' }, echo: { object: { proof: {} } } },
    connection: peer,
    effects: {
      dispatch: [
        {
          connection: 'c1',
          continues: true,
          message: {
            '@type': 'https://didcomm.org/present-proof/2.0/presentation',
            '@id': 'id-1',
            '~thread': { thid: '7' },
            formats: [{ attach_id: 'anoncreds', format: 'anoncreds/proof@v1.0' }],
            'presentations~attach': [{ '@id': 'anoncreds', 'mime-type': 'application/json', data: { base64: 'eyJwcm9vZiI6e319' } }],
          },
        },
      ],
    },
  },
  {
    title: 'finds nothing that waits',
    result: 'matched',
    output: { found: null, echo: { object: {} } },
    connection: peer,
    effects: { problem: { code: 'out-of-order', text: 'No exchange of this connection waits for this proof' } },
  },
]);
