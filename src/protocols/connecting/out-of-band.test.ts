import { onWeb, ownDid } from '../../../test/support/handshakes.ts';
import { CONNECTION, key, OUR_KEY, PEER_KEY, table } from '../../../test/support/steps.ts';
import { verkeyToDidKey } from '../../didcomm/encoding.ts';
import { createPeer4 } from '../../dids/did-peer.ts';
import { peer4Document } from '../../dids/own-documents.ts';
import { keyLookups } from '../../records/did.ts';

const PEER_DID = createPeer4(peer4Document({ verkey: PEER_KEY, endpoint: 'https://peer.example' })).did;
const HANDSHAKE = ['https://didcomm.org/didexchange/1.1'];
const inline = {
  id: '#inline',
  type: 'did-communication',
  recipientKeys: [verkeyToDidKey(PEER_KEY)],
  serviceEndpoint: 'https://peer.example',
};
const invitation = {
  '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
  '@id': 'invitation-1',
  label: 'Peer',
  handshake_protocols: HANDSHAKE,
  services: [inline],
};
const offer = { '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential', '@id': 'offer-1', formats: [] };
const attach = (json: object) => [{ '@id': 'a', 'mime-type': 'application/json', data: { json } }];
const sent = {
  id: 'o1',
  role: 'sender',
  state: 'await-response',
  value: { invi_msg_id: 'invitation-1', invitation, multi_use: false, protocol: 'out-of-band' },
};
const many = { ...sent, value: { ...sent.value, multi_use: true, connection_id: 'c0' } };
const reusing = {
  id: 'o1',
  role: 'receiver',
  state: 'await-response',
  connection: 'c1',
  value: { invi_msg_id: 'invitation-1', invitation, multi_use: false, reuse_msg_id: 'reuse-1' },
};
const web = {
  ...reusing,
  state: 'initial',
  value: { ...reusing.value, invitation: { ...invitation, services: ['did:web:peer.example'] } },
};
const exchange = { category: 'cred_ex_v20', id: 'x1', state: 'offer-sent', role: 'issuer', value: { cred_offer: offer } };
const free = { attachments: [{ id: 'x1', type: 'credential-offer' }] };
const loadedFree = { 'attachment 0 cred_ex_v20': exchange };
const own = ownDid();
const create = 'POST /out-of-band/create-invitation';

table('out-of-band', [
  {
    title: 'uses the invitation up, and is accepted',
    message: 'handshake-reuse',
    pthid: 'invitation-1',
    record: sent,
    connection: CONNECTION,
    effects: {
      send: [{ type: 'handshake-reuse-accepted', thid: 'message-1', pthid: 'invitation-1', minor: 1 }],
      emit: [
        { topic: 'connection_reuse', payload: { thread_id: 'message-1', connection_id: 'c1', comment: 'Connection c1 is being reused' } },
      ],
      record: { states: ['done'], patch: { connection_id: 'c1' } },
    },
  },
  {
    title: 'leaves an invitation of many uses open',
    message: 'handshake-reuse',
    pthid: 'invitation-1',
    record: many,
    connection: CONNECTION,
    effects: {
      send: [{ type: 'handshake-reuse-accepted', thid: 'message-1', pthid: 'invitation-1', minor: 1 }],
      emit: [
        {
          topic: 'out_of_band',
          payload: {
            state: 'done',
            created_at: '2030-01-02T03:04:04.000000Z',
            updated_at: '2030-01-02T03:04:05.000000Z',
            trace: false,
            oob_id: 'o1',
            invi_msg_id: 'invitation-1',
            invitation: {
              '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
              '@id': 'invitation-1',
              label: 'Peer',
              handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
              services: [
                {
                  id: '#inline',
                  type: 'did-communication',
                  recipientKeys: ['did:key:z6Mki11Bt3TszrQcX7c1GuaNUc3gFh4XLWjCQWXrRis9QQeH'],
                  serviceEndpoint: 'https://peer.example',
                },
              ],
            },
            connection_id: 'c1',
            role: 'sender',
            multi_use: true,
          },
          about: { category: 'oob_record', id: 'o1' },
        },
        { topic: 'connection_reuse', payload: { thread_id: 'message-1', connection_id: 'c1', comment: 'Connection c1 is being reused' } },
      ],
    },
  },
  { title: 'of an invitation that was used', message: 'handshake-reuse', record: { ...sent, state: 'done' }, error: 'wrong-state' },
  { title: 'of an invitation that we received', message: 'handshake-reuse', record: reusing, error: 'wrong-state' },
  {
    title: 'ends the reuse',
    message: 'handshake-reuse-accepted',
    thid: 'reuse-1',
    record: reusing,
    effects: {
      emit: [
        {
          topic: 'connection_reuse_accepted',
          payload: { thread_id: 'reuse-1', connection_id: 'c1', state: 'accepted', comment: 'Connection c1 reused' },
        },
      ],
      record: { states: ['reuse-accepted'] },
    },
  },
  { title: 'of an invitation of ours', message: 'handshake-reuse-accepted', record: sent, error: 'wrong-state' },
  {
    title: 'begins a new connection',
    problem: { explain: 'no' },
    record: reusing,
    effects: {
      record: {
        role: 'receiver',
        states: ['reuse-not-accepted', 'done'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [
              {
                id: '#inline',
                type: 'did-communication',
                recipientKeys: ['did:key:z6Mki11Bt3TszrQcX7c1GuaNUc3gFh4XLWjCQWXrRis9QQeH'],
                serviceEndpoint: 'https://peer.example',
              },
            ],
          },
          multi_use: false,
          reuse_msg_id: 'reuse-1',
          connection_id: 'id-1',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-1',
          role: 'invitee',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: PEER_KEY,
            invitation_mode: 'once',
            invitation_msg_id: 'invitation-1',
            invitation_service: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example' },
            their_label: 'Peer',
            connection_protocol: 'didexchange/1.1',
            protocol: 'did-exchange',
          },
        },
      ],
    },
  },
  {
    title: 'is written to at the endpoint of its document',
    result: 'resolved',
    record: web,
    output: onWeb(),
    effects: {
      record: {
        role: 'receiver',
        states: ['done'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: ['did:web:peer.example'],
          },
          multi_use: false,
          reuse_msg_id: 'reuse-1',
          connection_id: 'id-1',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-1',
          role: 'invitee',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: PEER_KEY,
            invitation_mode: 'once',
            invitation_msg_id: 'invitation-1',
            invitation_service: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example' },
            their_label: 'Peer',
            their_public_did: 'did:web:peer.example',
            connection_protocol: 'didexchange/1.1',
            protocol: 'did-exchange',
          },
        },
      ],
    },
  },
  {
    title: 'of a DID that was deactivated',
    result: 'resolved',
    record: web,
    output: { ...onWeb(), metadata: { deactivated: true } },
    error: 'did-invalid',
    text: 'The DID was deactivated',
  },
  {
    title: 'removes the record',
    failed: { result: 'resolved', code: 'did-not-found', text: 'no such DID' },
    record: web,
    effects: { record: { remove: true } },
  },
  {
    title: 'of one use, under a key of its own',
    command: create,
    body: { handshake_protocols: ['didexchange/1.1'], alias: 'bob', goal: 'x' },
    query: { auto_accept: 'true' },
    effects: {
      keyOwners: [
        { kid: key(1), kind: 'invitation', target: 'id-2' },
        { kid: 'link AAAAAAAAAAAAAAAAAAAAAQ', kind: 'link', target: 'id-2' },
      ],
      answer: {
        state: 'initial',
        created_at: '2030-01-02T03:04:05.000000Z',
        updated_at: '2030-01-02T03:04:05.000000Z',
        trace: false,
        invi_msg_id: 'id-1',
        invitation: {
          '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
          '@id': 'id-1',
          label: 'Agent',
          goal: 'x',
          handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
          services: [
            {
              id: '#inline',
              type: 'did-communication',
              recipientKeys: ['did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX'],
              serviceEndpoint: 'https://agent.example',
            },
          ],
        },
        invitation_url: /^https:\/\/agent\.example\?oob=eyJAdHlwZSI6Im/,
        short_url: 'https://agent.example/i/AAAAAAAAAAAAAAAAAAAAAQ',
        oob_id: 'id-2',
      },
      record: {
        id: 'id-2',
        role: 'sender',
        states: ['await-response'],
        patch: {
          invi_msg_id: 'id-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'id-1',
            label: 'Agent',
            goal: 'x',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [
              {
                id: '#inline',
                type: 'did-communication',
                recipientKeys: ['did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX'],
                serviceEndpoint: 'https://agent.example',
              },
            ],
          },
          connection_id: 'id-3',
          our_recipient_key: key(1),
          multi_use: false,
          protocol: 'out-of-band',
          short: 'AAAAAAAAAAAAAAAAAAAAAQ',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-3',
          role: 'inviter',
          states: ['invitation'],
          patch: {
            accept: 'auto',
            alias: 'bob',
            invitation_key: key(1),
            invitation_mode: 'once',
            invitation_msg_id: 'id-1',
            connection_protocol: 'didexchange/1.1',
            oob_id: 'id-2',
          },
        },
      ],
      keys: [key(1)],
    },
  },
  {
    title: 'of many uses in version 1.0',
    command: create,
    body: { handshake_protocols: ['rfc23'], protocol_version: '1.0', accept: ['didcomm/aip1'] },
    query: { multi_use: 'true' },
    effects: {
      keyOwners: [
        { kid: key(1), kind: 'invitation', target: 'id-2' },
        { kid: 'link AAAAAAAAAAAAAAAAAAAAAQ', kind: 'link', target: 'id-2' },
      ],
      answer: {
        state: 'initial',
        created_at: '2030-01-02T03:04:05.000000Z',
        updated_at: '2030-01-02T03:04:05.000000Z',
        trace: false,
        invi_msg_id: 'id-1',
        invitation: {
          '@type': 'https://didcomm.org/out-of-band/1.0/invitation',
          '@id': 'id-1',
          label: 'Agent',
          handshake_protocols: ['https://didcomm.org/didexchange/1.0'],
          services: [
            {
              id: '#inline',
              type: 'did-communication',
              recipientKeys: ['did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX'],
              serviceEndpoint: 'https://agent.example',
            },
          ],
        },
        invitation_url: /^https:\/\/agent\.example\?oob=eyJAdHlwZSI6Im/,
        short_url: 'https://agent.example/i/AAAAAAAAAAAAAAAAAAAAAQ',
        oob_id: 'id-2',
      },
      record: {
        id: 'id-2',
        role: 'sender',
        states: ['await-response'],
        patch: {
          invi_msg_id: 'id-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.0/invitation',
            '@id': 'id-1',
            label: 'Agent',
            handshake_protocols: ['https://didcomm.org/didexchange/1.0'],
            services: [
              {
                id: '#inline',
                type: 'did-communication',
                recipientKeys: ['did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX'],
                serviceEndpoint: 'https://agent.example',
              },
            ],
          },
          connection_id: 'id-3',
          our_recipient_key: key(1),
          multi_use: true,
          protocol: 'out-of-band',
          short: 'AAAAAAAAAAAAAAAAAAAAAQ',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-3',
          role: 'inviter',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: key(1),
            invitation_mode: 'multi',
            invitation_msg_id: 'id-1',
            connection_protocol: 'didexchange/1.0',
            oob_id: 'id-2',
          },
        },
      ],
      keys: [key(1)],
    },
  },
  {
    title: 'by the public DID',
    command: create,
    body: { handshake_protocols: HANDSHAKE, use_public_did: true },
    settings: { publicInvites: true },
    loaded: { own },
    effects: {
      keyOwners: [{ kid: 'link AAAAAAAAAAAAAAAAAAAAAQ', kind: 'link', target: 'id-2' }],
      answer: {
        state: 'initial',
        created_at: '2030-01-02T03:04:05.000000Z',
        updated_at: '2030-01-02T03:04:05.000000Z',
        trace: false,
        invi_msg_id: 'id-1',
        invitation: {
          '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
          '@id': 'id-1',
          label: 'Agent',
          handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
          services: ['did:algo:own'],
        },
        invitation_url: /^https:\/\/agent\.example\?oob=eyJAdHlwZSI6Im/,
        short_url: 'https://agent.example/i/AAAAAAAAAAAAAAAAAAAAAQ',
        oob_id: 'id-2',
      },
      record: {
        id: 'id-2',
        role: 'sender',
        states: ['await-response'],
        patch: {
          invi_msg_id: 'id-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'id-1',
            label: 'Agent',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: ['did:algo:own'],
          },
          connection_id: 'id-3',
          our_recipient_key: OUR_KEY,
          multi_use: false,
          protocol: 'out-of-band',
          short: 'AAAAAAAAAAAAAAAAAAAAAQ',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-3',
          role: 'inviter',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: OUR_KEY,
            invitation_mode: 'once',
            invitation_msg_id: 'id-1',
            connection_protocol: 'didexchange/1.1',
            oob_id: 'id-2',
          },
        },
      ],
    },
  },
  {
    title: 'by a new did:peer:4',
    command: create,
    body: { handshake_protocols: HANDSHAKE, use_did_method: 'did:peer:4' },
    effects: {
      keyOwners: [
        { kid: key(1), kind: 'invitation', target: 'id-2' },
        { kid: 'link AAAAAAAAAAAAAAAAAAAAAQ', kind: 'link', target: 'id-2' },
      ],
      answer: {
        state: 'initial',
        created_at: '2030-01-02T03:04:05.000000Z',
        updated_at: '2030-01-02T03:04:05.000000Z',
        trace: false,
        invi_msg_id: 'id-1',
        invitation: {
          '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
          '@id': 'id-1',
          label: 'Agent',
          handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
          services: [/^did:peer:4/],
        },
        invitation_url: /^https:\/\/agent\.example\?oob=eyJAdHlwZSI6Im/,
        short_url: 'https://agent.example/i/AAAAAAAAAAAAAAAAAAAAAQ',
        oob_id: 'id-2',
      },
      record: {
        id: 'id-2',
        role: 'sender',
        states: ['await-response'],
        patch: {
          invi_msg_id: 'id-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'id-1',
            label: 'Agent',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [/^did:peer:4/],
          },
          connection_id: 'id-3',
          our_recipient_key: key(1),
          multi_use: false,
          protocol: 'out-of-band',
          short: 'AAAAAAAAAAAAAAAAAAAAAQ',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-3',
          role: 'inviter',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: key(1),
            invitation_mode: 'once',
            invitation_msg_id: 'id-1',
            connection_protocol: 'didexchange/1.1',
            oob_id: 'id-2',
          },
        },
        {
          def: 'did',
          states: ['stored'],
          silent: true,
          patch: {
            did: /^did:peer:4/,
            verkey: key(1),
            method: 'did:peer:4',
            key_type: 'ed25519',
            posture: 'wallet_only',
            metadata: { invitation_reuse: 'true' },
            invitation_reuse: 'did:peer:4',
          },
        },
      ],
      keys: [key(1)],
    },
  },
  {
    title: 'with an offer, without a handshake',
    command: create,
    body: free,
    loaded: loadedFree,
    effects: {
      keyOwners: [
        { kid: key(1), kind: 'invitation', target: 'id-2' },
        { kid: 'link AAAAAAAAAAAAAAAAAAAAAQ', kind: 'link', target: 'id-2' },
      ],
      answer: {
        state: 'initial',
        created_at: '2030-01-02T03:04:05.000000Z',
        updated_at: '2030-01-02T03:04:05.000000Z',
        trace: false,
        invi_msg_id: 'id-1',
        invitation: {
          '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
          '@id': 'id-1',
          label: 'Agent',
          'requests~attach': [
            {
              '@id': 'request-0',
              'mime-type': 'application/json',
              data: {
                json: {
                  '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
                  '@id': 'offer-1',
                  formats: [],
                  '~thread': { pthid: 'id-1' },
                },
              },
            },
          ],
          services: [
            {
              id: '#inline',
              type: 'did-communication',
              recipientKeys: ['did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX'],
              serviceEndpoint: 'https://agent.example',
            },
          ],
        },
        invitation_url: /^https:\/\/agent\.example\?oob=eyJAdHlwZSI6Im/,
        short_url: 'https://agent.example/i/AAAAAAAAAAAAAAAAAAAAAQ',
        oob_id: 'id-2',
      },
      record: {
        id: 'id-2',
        role: 'sender',
        states: ['await-response'],
        patch: {
          invi_msg_id: 'id-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'id-1',
            label: 'Agent',
            'requests~attach': [
              {
                '@id': 'request-0',
                'mime-type': 'application/json',
                data: {
                  json: {
                    '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
                    '@id': 'offer-1',
                    formats: [],
                    '~thread': { pthid: 'id-1' },
                  },
                },
              },
            ],
            services: [
              {
                id: '#inline',
                type: 'did-communication',
                recipientKeys: ['did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX'],
                serviceEndpoint: 'https://agent.example',
              },
            ],
          },
          our_recipient_key: key(1),
          multi_use: false,
          protocol: 'out-of-band',
          short: 'AAAAAAAAAAAAAAAAAAAAAQ',
        },
      },
      others: [
        {
          def: 'cred_ex_v20',
          base: 'x1',
          patch: {
            parent_thread_id: 'id-1',
            oob_id: 'id-2',
            cred_offer: {
              '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
              '@id': 'offer-1',
              formats: [],
              '~thread': { pthid: 'id-1' },
            },
            replyTo: { key: key(1), ourAddress: { endpoint: 'https://agent.example', routingKeys: [] } },
          },
        },
      ],
      keys: [key(1)],
    },
  },
  {
    title: 'with an offer that was sent already',
    command: create,
    body: free,
    loaded: { 'attachment 0 cred_ex_v20': { ...exchange, connection: 'c1' } },
    error: 'bad-request',
    text: 'credential-offer x1 is not free to be attached',
  },
  {
    title: 'with an offer that is not there',
    command: create,
    body: free,
    error: 'not-found',
    text: 'Record not found: credential-offer/x1',
  },
  {
    title: 'with what cannot be attached',
    command: create,
    body: { attachments: [{ id: 'x1', type: 'menu' }] },
    error: 'bad-request',
    text: 'Unknown attachment type: menu',
  },
  {
    title: 'of many uses with an offer',
    command: create,
    body: free,
    query: { multi_use: 'true' },
    loaded: loadedFree,
    error: 'bad-request',
    text: 'Cannot create multi use invitation with attachments',
  },
  {
    title: 'with nothing in it',
    command: create,
    error: 'bad-request',
    text: 'Invitation must include handshake protocols, request attachments, or both',
  },
  {
    title: 'with a handshake that nobody knows',
    command: create,
    body: { handshake_protocols: ['smoke/1.0'] },
    error: 'bad-request',
    text: 'Unsupported handshake protocol: smoke/1.0',
  },
  {
    title: 'with metadata and no connection to have it',
    command: create,
    body: { ...free, metadata: { a: 1 } },
    loaded: loadedFree,
    error: 'bad-request',
    text: 'Cannot store metadata without handshake protocols',
  },
  {
    title: 'by two DIDs',
    command: create,
    body: { handshake_protocols: HANDSHAKE, use_public_did: true, use_did: 'x' },
    error: 'bad-request',
    text: 'use_public_did, use_did and use_did_method are mutually exclusive',
  },
  {
    title: 'by a public DID where public DIDs do not invite',
    command: create,
    body: { handshake_protocols: HANDSHAKE, use_public_did: true },
    error: 'bad-request',
    text: 'Public invitations are not enabled',
  },
  {
    title: 'by a public DID that there is not',
    command: create,
    body: { handshake_protocols: HANDSHAKE, use_public_did: true },
    settings: { publicInvites: true },
    error: 'bad-request',
    text: 'Cannot create public invitation with no public DID',
  },
  {
    title: 'spawns a connection and accepts it',
    command: 'receive-invitation',
    body: invitation,
    query: { auto_accept: 'true', alias: 'peer' },
    effects: {
      next: [{ protocol: 'did-exchange', command: 'accept-invitation', record: { category: 'connection', id: 'id-1' } }],
      record: {
        role: 'receiver',
        states: ['initial', 'done'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [
              {
                id: '#inline',
                type: 'did-communication',
                recipientKeys: ['did:key:z6Mki11Bt3TszrQcX7c1GuaNUc3gFh4XLWjCQWXrRis9QQeH'],
                serviceEndpoint: 'https://peer.example',
              },
            ],
          },
          multi_use: false,
          auto_accept: true,
          alias: 'peer',
          connection_id: 'id-1',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-1',
          role: 'invitee',
          states: ['invitation'],
          patch: {
            accept: 'auto',
            alias: 'peer',
            invitation_key: PEER_KEY,
            invitation_mode: 'once',
            invitation_msg_id: 'invitation-1',
            invitation_service: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example' },
            their_label: 'Peer',
            connection_protocol: 'didexchange/1.1',
            protocol: 'did-exchange',
          },
        },
      ],
    },
  },
  {
    title: 'by a did:peer is not looked up',
    command: 'receive-invitation',
    body: { ...invitation, services: [PEER_DID] },
    effects: {
      record: {
        role: 'receiver',
        states: ['initial', 'done'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [/^did:peer:4/],
          },
          multi_use: false,
          connection_id: 'id-1',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-1',
          role: 'invitee',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: PEER_KEY,
            invitation_mode: 'once',
            invitation_msg_id: 'invitation-1',
            invitation_service: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example' },
            their_label: 'Peer',
            their_public_did: /^did:peer:4[^:]+$/,
            connection_protocol: 'didexchange/1.1',
            protocol: 'did-exchange',
          },
        },
      ],
    },
  },
  {
    title: 'by a DID of a server is resolved first',
    command: 'receive-invitation',
    body: { ...invitation, services: ['did:web:peer.example'] },
    effects: {
      work: [{ op: 'dids/resolve', input: { did: 'did:web:peer.example' }, result: 'resolved' }],
      record: {
        role: 'receiver',
        states: ['initial'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: ['did:web:peer.example'],
          },
          multi_use: false,
        },
      },
    },
  },
  {
    title: 'keeps what is attached until the connection is complete',
    command: 'receive-invitation',
    body: { ...invitation, 'requests~attach': attach(offer) },
    effects: {
      record: {
        role: 'receiver',
        states: ['initial', 'done'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [
              {
                id: '#inline',
                type: 'did-communication',
                recipientKeys: ['did:key:z6Mki11Bt3TszrQcX7c1GuaNUc3gFh4XLWjCQWXrRis9QQeH'],
                serviceEndpoint: 'https://peer.example',
              },
            ],
            'requests~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: { json: { '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential', '@id': 'offer-1', formats: [] } },
              },
            ],
          },
          multi_use: false,
          connection_id: 'id-1',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-1',
          role: 'invitee',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: PEER_KEY,
            invitation_mode: 'once',
            invitation_msg_id: 'invitation-1',
            invitation_service: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example' },
            their_label: 'Peer',
            connection_protocol: 'didexchange/1.1',
            protocol: 'did-exchange',
            attached: [{ '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential', '@id': 'offer-1', formats: [] }],
          },
        },
      ],
    },
  },
  {
    title: 'without a handshake begins the exchange under a key of its own',
    command: 'receive-invitation',
    body: { ...invitation, handshake_protocols: undefined, 'requests~attach': attach(offer) },
    effects: {
      keyOwners: [{ kid: key(1), kind: 'invitation', target: 'id-1' }],
      dispatch: [
        {
          replyTo: {
            key: key(1),
            recipientKeys: [PEER_KEY],
            routingKeys: [],
            endpoint: 'https://peer.example',
            ourAddress: { endpoint: 'https://agent.example', routingKeys: [] },
          },
          message: {
            '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential',
            '@id': 'offer-1',
            formats: [],
            '~thread': { pthid: 'invitation-1' },
          },
        },
      ],
      record: {
        id: 'id-1',
        role: 'receiver',
        states: ['initial', 'prepare-response'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            services: [
              {
                id: '#inline',
                type: 'did-communication',
                recipientKeys: ['did:key:z6Mki11Bt3TszrQcX7c1GuaNUc3gFh4XLWjCQWXrRis9QQeH'],
                serviceEndpoint: 'https://peer.example',
              },
            ],
            'requests~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: { json: { '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential', '@id': 'offer-1', formats: [] } },
              },
            ],
          },
          multi_use: false,
          our_recipient_key: key(1),
          attach_thread_id: 'offer-1',
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'reuses the connection that its DID names',
    command: 'receive-invitation',
    body: { ...invitation, services: [PEER_DID] },
    loaded: { known: CONNECTION },
    effects: {
      send: [
        {
          type: 'handshake-reuse',
          id: 'id-1',
          thid: 'id-1',
          pthid: 'invitation-1',
          to: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example', sender: OUR_KEY },
        },
      ],
      next: [{ command: 'end-reuse', record: { category: 'oob_record', id: 'id-2' }, after: 14000 }],
      record: {
        id: 'id-2',
        role: 'receiver',
        states: ['initial', 'await-response'],
        connection: 'c1',
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [/^did:peer:4/],
          },
          multi_use: false,
          connection_id: 'c1',
          reuse_msg_id: 'id-1',
        },
      },
    },
  },
  {
    title: 'hands what is attached over on the connection that its DID names',
    command: 'receive-invitation',
    body: { ...invitation, services: [PEER_DID], 'requests~attach': attach(offer) },
    loaded: { known: CONNECTION },
    effects: {
      dispatch: [
        {
          connection: 'c1',
          message: { '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential', '@id': 'offer-1', formats: [] },
        },
      ],
      record: {
        role: 'receiver',
        states: ['initial', 'done'],
        connection: 'c1',
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [/^did:peer:4/],
            'requests~attach': [
              {
                '@id': 'a',
                'mime-type': 'application/json',
                data: { json: { '@type': 'https://didcomm.org/issue-credential/2.0/offer-credential', '@id': 'offer-1', formats: [] } },
              },
            ],
          },
          multi_use: false,
          connection_id: 'c1',
        },
      },
    },
  },
  {
    title: 'does not reuse a connection where the call forbids it',
    command: 'receive-invitation',
    body: { ...invitation, services: [PEER_DID] },
    query: { use_existing_connection: 'false' },
    loaded: { known: CONNECTION },
    effects: {
      record: {
        role: 'receiver',
        states: ['initial', 'done'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [/^did:peer:4/],
          },
          multi_use: false,
          connection_id: 'id-1',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-1',
          role: 'invitee',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: PEER_KEY,
            invitation_mode: 'once',
            invitation_msg_id: 'invitation-1',
            invitation_service: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example' },
            their_label: 'Peer',
            their_public_did: /^did:peer:4[^:]+$/,
            connection_protocol: 'didexchange/1.1',
            protocol: 'did-exchange',
          },
        },
      ],
    },
  },
  {
    title: 'of this wallet',
    command: 'receive-invitation',
    body: invitation,
    loaded: { ours: sent },
    error: 'bad-request',
    text: 'The invitation is one of this wallet itself',
  },
  {
    title: 'where the configuration takes none',
    command: 'receive-invitation',
    body: invitation,
    settings: { noReceiveInvites: true },
    error: 'forbidden',
    text: 'Configuration does not allow receipt of invitations',
  },
  {
    title: 'without a service',
    command: 'receive-invitation',
    body: { ...invitation, services: [] },
    error: 'bad-request',
    text: 'The invitation has no service',
  },
  {
    title: 'without handshake and attachment',
    command: 'receive-invitation',
    body: { ...invitation, handshake_protocols: [] },
    error: 'bad-request',
    text: 'Invitation must specify handshake_protocols, requests_attach, or both',
  },
  {
    title: 'with handshakes that nobody knows',
    command: 'receive-invitation',
    body: { ...invitation, handshake_protocols: ['smoke/1.0'] },
    error: 'bad-request',
    text: 'None of the handshake protocols is supported: smoke/1.0',
  },
  {
    title: 'with an attachment that cannot be read',
    command: 'receive-invitation',
    body: { ...invitation, 'requests~attach': [{ data: {} }] },
    error: 'bad-request',
    text: 'None of the attached requests can be read: attachment without content',
  },
  {
    title: 'without a handshake and with what nobody answers',
    command: 'receive-invitation',
    body: {
      ...invitation,
      handshake_protocols: undefined,
      'requests~attach': attach({ '@type': 'https://didcomm.org/trust_ping/1.0/ping', '@id': 'p' }),
    },
    error: 'bad-request',
    text: 'None of the attached messages is supported',
  },
  {
    title: 'uses the invitation up',
    command: 'taken',
    body: { connection: 'c1' },
    record: sent,
    effects: { record: { states: ['done'], patch: { connection_id: 'c1' } } },
  },
  {
    title: 'removes an invitation, and its key some time later',
    command: 'remove',
    body: { verkey: OUR_KEY },
    record: { ...sent, value: { ...sent.value, short: 'code', mediated: true } },
    loads: keyLookups(OUR_KEY),
    effects: {
      record: { remove: true },
      removedKeyOwners: ['link code'],
      deregisterKeys: [OUR_KEY],
      next: [
        {
          command: 'remove-key',
          record: { category: 'oob_record', id: 'o1' },
          input: { verkey: OUR_KEY },
          after: 30 * 24 * 3600_000,
        },
      ],
    },
  },
  {
    title: 'removes an invitation of a DID, and not its key',
    command: 'remove',
    body: { verkey: OUR_KEY },
    record: sent,
    loaded: { own },
    effects: { record: { remove: true } },
  },
  {
    title: 'removes an invitation that was received',
    command: 'remove',
    body: {},
    record: reusing,
    loads: {},
    effects: { record: { remove: true } },
  },
  {
    title: 'removes the key',
    command: 'remove-key',
    body: { verkey: OUR_KEY },
    effects: { removedKeyOwners: [OUR_KEY], removedKeys: [OUR_KEY] },
  },
  {
    title: 'removes an accepted reuse',
    command: 'end-reuse',
    record: { ...reusing, state: 'reuse-accepted' },
    effects: { record: { remove: true } },
  },
  {
    title: 'begins a new connection where the peer has not answered',
    command: 'end-reuse',
    record: reusing,
    effects: {
      record: {
        role: 'receiver',
        states: ['reuse-not-accepted', 'done'],
        patch: {
          invi_msg_id: 'invitation-1',
          invitation: {
            '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
            '@id': 'invitation-1',
            label: 'Peer',
            handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
            services: [
              {
                id: '#inline',
                type: 'did-communication',
                recipientKeys: ['did:key:z6Mki11Bt3TszrQcX7c1GuaNUc3gFh4XLWjCQWXrRis9QQeH'],
                serviceEndpoint: 'https://peer.example',
              },
            ],
          },
          multi_use: false,
          reuse_msg_id: 'reuse-1',
          connection_id: 'id-1',
        },
      },
      others: [
        {
          def: 'connection',
          id: 'id-1',
          role: 'invitee',
          states: ['invitation'],
          patch: {
            accept: 'manual',
            invitation_key: PEER_KEY,
            invitation_mode: 'once',
            invitation_msg_id: 'invitation-1',
            invitation_service: { recipientKeys: [PEER_KEY], routingKeys: [], endpoint: 'https://peer.example' },
            their_label: 'Peer',
            connection_protocol: 'didexchange/1.1',
            protocol: 'did-exchange',
          },
        },
      ],
    },
  },
]);
