import { key, REMOVED, SETTINGS, some, table } from '../../test/support/steps.ts';

const PREFIX = 'did:algo:testnet:app:7:';
const algo = { algoPrefix: PREFIX };
const value = { did: `${PREFIX}aa`, verkey: key(103), method: 'algo', key_type: 'ed25519', posture: 'wallet_only', metadata: {} };
const record = (changes = {}, state = 'stored') => ({ id: value.did, state, value: { ...value, ...changes } });
const create = 'POST /wallet/did/create';
const publish = 'POST /wallet/did/public';
const endpoint = 'POST /wallet/set-did-endpoint';
const query = { did: value.did };
const mediator = { tenant: 'base', id: 'm1', endpoint: 'https://mediator.example', routingKeys: [key(104)] };

table('wallet-did', [
  {
    title: 'of the ledger, where there is one',
    command: create,
    settings: algo,
    effects: {
      keyOwners: [
        { kid: key(1), kind: 'public', target: 'did:algo:testnet:app:7:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c' },
      ],
      answer: {
        result: {
          did: 'did:algo:testnet:app:7:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c',
          verkey: key(1),
          posture: 'wallet_only',
          key_type: 'ed25519',
          method: 'algo',
          metadata: {},
        },
      },
      record: {
        id: 'did:algo:testnet:app:7:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c',
        states: ['stored'],
        patch: {
          did: 'did:algo:testnet:app:7:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c',
          verkey: key(1),
          method: 'algo',
          key_type: 'ed25519',
          posture: 'wallet_only',
          metadata: {},
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'of method key, where there is no ledger',
    command: create,
    effects: {
      keyOwners: [{ kid: key(1), kind: 'public', target: 'did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX' }],
      answer: {
        result: {
          did: 'did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX',
          verkey: key(1),
          posture: 'wallet_only',
          key_type: 'ed25519',
          method: 'key',
          metadata: {},
        },
      },
      record: {
        id: 'did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX',
        states: ['stored'],
        patch: {
          did: 'did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX',
          verkey: key(1),
          method: 'key',
          key_type: 'ed25519',
          posture: 'wallet_only',
          metadata: {},
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'of method sov is one of the ledger, with a warning',
    command: create,
    body: { method: 'sov' },
    settings: { ...algo, sovAsAlgo: true },
    effects: {
      keyOwners: [
        { kid: key(1), kind: 'public', target: 'did:algo:testnet:app:7:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c' },
      ],
      answer: {
        result: {
          did: 'did:algo:testnet:app:7:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c',
          verkey: key(1),
          posture: 'wallet_only',
          key_type: 'ed25519',
          method: 'algo',
          metadata: {},
        },
      },
      warn: 'DIDs of method sov are asked for: the ledger has none, and DIDs of its own are made (--sov-as-algo)',
      record: {
        id: 'did:algo:testnet:app:7:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c',
        states: ['stored'],
        patch: {
          did: 'did:algo:testnet:app:7:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c',
          verkey: key(1),
          method: 'algo',
          key_type: 'ed25519',
          posture: 'wallet_only',
          metadata: {},
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'of method did:peer:4 through a mediator',
    command: create,
    body: { method: 'did:peer:4' },
    settings: { mediator },
    effects: {
      keyOwners: [{ kid: key(1), kind: 'public', target: /^did:peer:4/, mediation: { tenant: 'base', id: 'm1' } }],
      answer: {
        result: {
          did: /^did:peer:4/,
          verkey: key(1),
          posture: 'wallet_only',
          key_type: 'ed25519',
          method: 'did:peer:4',
          metadata: {},
        },
      },
      record: {
        id: /^did:peer:4/,
        states: ['stored'],
        patch: {
          did: /^did:peer:4/,
          verkey: key(1),
          method: 'did:peer:4',
          key_type: 'ed25519',
          posture: 'wallet_only',
          metadata: {},
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'of method did:peer:2',
    command: create,
    body: { method: 'did:peer:2' },
    effects: {
      keyOwners: [{ kid: key(1), kind: 'public', target: /^did:peer:2/ }],
      answer: {
        result: { did: /^did:peer:2/, verkey: key(1), posture: 'wallet_only', key_type: 'ed25519', method: /^did:peer:2/, metadata: {} },
      },
      record: {
        id: /^did:peer:2/,
        states: ['stored'],
        patch: { did: /^did:peer:2/, verkey: key(1), method: /^did:peer:2/, key_type: 'ed25519', posture: 'wallet_only', metadata: {} },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'of a seed that is known',
    command: create,
    body: { method: 'key', seed: '0'.repeat(32) },
    loaded: { own: record({ method: 'key' }) },
    effects: {
      answer: {
        result: {
          did: 'did:algo:testnet:app:7:aa',
          verkey: key(103),
          posture: 'wallet_only',
          key_type: 'ed25519',
          method: 'key',
          metadata: {},
        },
      },
    },
  },
  {
    title: 'of a seed that is that of another',
    command: create,
    body: { method: 'key', seed: '0'.repeat(32) },
    loaded: { own: record() },
    error: 'bad-request',
    text: 'The key of this seed is that of did:algo:testnet:app:7:aa',
  },
  {
    title: 'of a method that is not there',
    command: create,
    body: { method: 'foo' },
    error: 'bad-request',
    text: 'Unsupported DID method: foo',
  },
  {
    title: 'of method algo without a ledger',
    command: create,
    body: { method: 'algo' },
    error: 'ledger-none',
    text: 'DID method algo needs a ledger',
  },
  {
    title: 'of another key type',
    command: create,
    body: { method: 'key', options: { key_type: 'bls12381g2' } },
    error: 'bad-request',
    text: 'Unsupported key type bls12381g2 for DID method key',
  },
  {
    title: 'by a name of the controller',
    command: create,
    body: { method: 'key', options: { did: 'did:key:z' } },
    error: 'bad-request',
    text: 'DID method key does not support a user-defined DID',
  },
  {
    title: 'is written to the ledger',
    command: publish,
    query,
    record: record(),
    about: { category: 'did', id: value.did },
    effects: {
      ledger: [
        {
          write: {
            kind: 'did-put',
            did: 'did:algo:testnet:app:7:aa',
            document: {
              '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
              id: 'did:algo:testnet:app:7:aa',
              verificationMethod: [
                {
                  id: '#key-1',
                  type: 'Multikey',
                  controller: 'did:algo:testnet:app:7:aa',
                  publicKeyMultibase: 'z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV',
                },
                {
                  id: '#key-agreement-1',
                  type: 'Multikey',
                  controller: 'did:algo:testnet:app:7:aa',
                  publicKeyMultibase: 'z6LSbsymqziLVG8gQiLY9JEnhzGTCyVGbP4YNgVDeHY5xqXC',
                },
              ],
              authentication: ['#key-1'],
              assertionMethod: ['#key-1'],
              keyAgreement: ['#key-agreement-1'],
              service: [
                {
                  id: '#did-communication',
                  type: 'did-communication',
                  priority: 0,
                  recipientKeys: ['#key-1'],
                  routingKeys: [],
                  serviceEndpoint: 'https://agent.example',
                  accept: ['didcomm/aip2;env=rfc19'],
                },
              ],
            },
          },
          verkey: key(103),
          result: 'published',
        },
      ],
      answer: {
        result: {
          did: 'did:algo:testnet:app:7:aa',
          verkey: key(103),
          posture: 'wallet_only',
          key_type: 'ed25519',
          method: 'algo',
          metadata: {},
        },
      },
      record: { states: ['publishing'], patch: { next_metadata: { endpoint: 'https://agent.example' } } },
    },
  },
  {
    title: 'through a mediator gives it the key first',
    command: publish,
    query,
    record: record(),
    settings: { mediator },
    effects: {
      removedKeyOwners: [key(103)],
      keyOwners: [{ kid: key(103), kind: 'public', target: 'did:algo:testnet:app:7:aa', mediation: { tenant: 'base', id: 'm1' } }],
      ledger: [
        {
          write: {
            kind: 'did-put',
            did: 'did:algo:testnet:app:7:aa',
            document: {
              '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
              id: 'did:algo:testnet:app:7:aa',
              verificationMethod: [
                {
                  id: '#key-1',
                  type: 'Multikey',
                  controller: 'did:algo:testnet:app:7:aa',
                  publicKeyMultibase: 'z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV',
                },
                {
                  id: '#key-agreement-1',
                  type: 'Multikey',
                  controller: 'did:algo:testnet:app:7:aa',
                  publicKeyMultibase: 'z6LSbsymqziLVG8gQiLY9JEnhzGTCyVGbP4YNgVDeHY5xqXC',
                },
              ],
              authentication: ['#key-1'],
              assertionMethod: ['#key-1'],
              keyAgreement: ['#key-agreement-1'],
              service: [
                {
                  id: '#did-communication',
                  type: 'did-communication',
                  priority: 0,
                  recipientKeys: ['#key-1'],
                  routingKeys: [
                    'did:key:z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf#z6Mkk9rhCqwURmqnDU1QkwWzSS7Ej19MfmMC2awNodNHT5tf',
                  ],
                  serviceEndpoint: 'https://mediator.example',
                  accept: ['didcomm/aip2;env=rfc19'],
                },
              ],
            },
          },
          verkey: key(103),
          result: 'published',
        },
      ],
      answer: {
        result: {
          did: 'did:algo:testnet:app:7:aa',
          verkey: key(103),
          posture: 'wallet_only',
          key_type: 'ed25519',
          method: 'algo',
          metadata: {},
        },
      },
      record: {
        states: ['publishing'],
        patch: {
          next_metadata: { endpoint: 'https://mediator.example' },
          next_mediator: { tenant: 'base', id: 'm1', endpoint: 'https://mediator.example', routingKeys: [key(104)] },
        },
      },
    },
  },
  {
    title: 'of the DID that is public',
    command: publish,
    query,
    record: record({ posture: 'public' }),
    effects: {
      answer: {
        result: {
          did: 'did:algo:testnet:app:7:aa',
          verkey: key(103),
          posture: 'public',
          key_type: 'ed25519',
          method: 'algo',
          metadata: {},
        },
      },
    },
  },
  {
    title: 'of a DID that is not on the ledger',
    command: publish,
    query,
    record: record({ method: 'key' }),
    error: 'bad-request',
    text: 'A DID of method key cannot be public: it is not on the ledger',
  },
  {
    title: 'by an endorser',
    command: publish,
    query: { ...query, conn_id: 'c1', create_transaction_for_endorser: 'true' },
    record: record(),
    effects: {
      record: some({ states: ['publishing'] }),
      ledger: [some({ result: 'published', endorser: { connection: 'c1' } })],
      answer: some({}),
    },
  },
  {
    title: 'through an endorser, and not as the public one',
    command: 'register',
    body: { did: value.did },
    record: record(),
    effects: {
      record: some({ states: ['publishing'] }),
      ledger: [some({ verkey: key(103), result: 'registered', endorser: {} })],
      answer: {},
    },
  },
  {
    title: 'through an endorser, as the public one with the flag',
    command: 'register',
    body: { did: value.did, conn_id: 'c1' },
    record: record(),
    settings: { endorsement: { ...SETTINGS.endorsement, autoPromote: true } },
    effects: {
      record: some({ states: ['publishing'] }),
      ledger: [some({ result: 'published', endorser: { connection: 'c1' } })],
      answer: {},
    },
  },
  {
    title: 'is on the ledger, and not public',
    result: 'registered',
    record: record({ next_metadata: { endpoint: 'https://agent.example' } }, 'publishing'),
    effects: {
      invalidate: ['did:algo:testnet:app:7:aa'],
      answer: {},
      record: some({ states: ['stored'], patch: some({ posture: 'posted', metadata: { endpoint: 'https://agent.example' } }) }),
    },
  },
  {
    title: 'of a DID that is not published changes the wallet alone',
    command: endpoint,
    body: { did: value.did, endpoint: 'https://other.example' },
    record: record({ metadata: { profile: 'p' } }),
    effects: { answer: {}, record: { patch: { metadata: { profile: 'p', endpoint: 'https://other.example' } } } },
  },
  {
    title: 'of a public DID is written to the ledger',
    command: endpoint,
    body: { did: value.did, endpoint: 'https://other.example' },
    record: record({ posture: 'public' }),
    effects: {
      ledger: [
        {
          write: {
            kind: 'did-put',
            did: 'did:algo:testnet:app:7:aa',
            document: {
              '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
              id: 'did:algo:testnet:app:7:aa',
              verificationMethod: [
                {
                  id: '#key-1',
                  type: 'Multikey',
                  controller: 'did:algo:testnet:app:7:aa',
                  publicKeyMultibase: 'z6Mkfi2W1cpVi1GEzScHLmPVBYqRGodLeEj8ghLZ1cpELxrV',
                },
                {
                  id: '#key-agreement-1',
                  type: 'Multikey',
                  controller: 'did:algo:testnet:app:7:aa',
                  publicKeyMultibase: 'z6LSbsymqziLVG8gQiLY9JEnhzGTCyVGbP4YNgVDeHY5xqXC',
                },
              ],
              authentication: ['#key-1'],
              assertionMethod: ['#key-1'],
              keyAgreement: ['#key-agreement-1'],
              service: [
                {
                  id: '#did-communication',
                  type: 'did-communication',
                  priority: 0,
                  recipientKeys: ['#key-1'],
                  routingKeys: [],
                  serviceEndpoint: 'https://other.example',
                  accept: ['didcomm/aip2;env=rfc19'],
                },
              ],
            },
          },
          verkey: key(103),
          result: 'moved',
        },
      ],
      answer: {},
      record: { states: ['publishing'], patch: { next_metadata: { endpoint: 'https://other.example' } } },
    },
  },
  {
    title: 'of another type on the ledger',
    command: endpoint,
    body: { did: value.did, endpoint: 'https://other.example', endpoint_type: 'Profile' },
    record: record({ posture: 'public' }),
    error: 'bad-request',
    text: 'The document of a DID on the ledger has no endpoint of type Profile',
  },
  {
    title: 'while another change is under way',
    command: endpoint,
    body: { did: value.did },
    record: record({ posture: 'public' }, 'publishing'),
    error: 'wrong-state',
  },
  {
    title: 'while its keys are being rotated',
    command: publish,
    query,
    record: record({ posture: 'posted', next_keys: { verkey: key(105), number: 2, former: [] } }, 'publishing'),
    error: 'wrong-state',
    text: 'The keys of DID did:algo:testnet:app:7:aa are being rotated',
  },
  {
    title: 'of a DID whose keys were rotated has the former ones in its document',
    command: endpoint,
    body: { did: value.did, endpoint: 'https://other.example' },
    record: record({
      posture: 'public',
      key_number: 3,
      former_keys: [
        { verkey: key(105), number: 2 },
        { verkey: key(106), number: 1, removed: true },
      ],
    }),
    effects: {
      ledger: ([{ write }]: [{ write: { document: Record<string, unknown> } }]) => {
        const { authentication, assertionMethod, keyAgreement } = write.document;
        return JSON.stringify([authentication, assertionMethod, keyAgreement]) === '[["#key-3"],["#key-3","#key-2"],["#key-agreement-3"]]';
      },
      answer: {},
      record: { states: ['publishing'], patch: { next_metadata: { endpoint: 'https://other.example' } } },
    },
  },
  {
    title: 'moves the endpoint',
    result: 'moved',
    record: record({ next_metadata: { endpoint: 'https://other.example' }, error_msg: 'waits' }, 'publishing'),
    effects: {
      invalidate: ['did:algo:testnet:app:7:aa'],
      answer: {},
      record: {
        states: ['stored'],
        patch: { metadata: { endpoint: 'https://other.example' }, next_metadata: REMOVED, error_msg: REMOVED },
      },
    },
  },
  {
    title: 'is public in the place of another',
    result: 'published',
    record: record({ next_metadata: { endpoint: 'https://other.example' } }, 'publishing'),
    loaded: { public: { ...record({ posture: 'public' }), id: 'did:algo:other' } },
    effects: {
      invalidate: ['did:algo:testnet:app:7:aa'],
      answer: {
        result: {
          did: 'did:algo:testnet:app:7:aa',
          verkey: key(103),
          posture: 'public',
          key_type: 'ed25519',
          method: 'algo',
          metadata: { endpoint: 'https://other.example' },
        },
      },
      record: { states: ['stored'], patch: { posture: 'public', metadata: { endpoint: 'https://other.example' }, next_metadata: REMOVED } },
      others: [{ def: 'did', base: 'did:algo:other', patch: { posture: 'posted' } }],
    },
  },
  {
    title: 'that was public before stays so',
    result: 'published',
    record: record({}, 'publishing'),
    loaded: { public: record({ posture: 'public' }) },
    effects: {
      invalidate: ['did:algo:testnet:app:7:aa'],
      answer: {
        result: {
          did: 'did:algo:testnet:app:7:aa',
          verkey: key(103),
          posture: 'public',
          key_type: 'ed25519',
          method: 'algo',
          metadata: {},
        },
      },
      record: { states: ['stored'], patch: { posture: 'public', metadata: {} } },
    },
  },
  {
    title: 'leaves the DID as it was, with the reason',
    failed: { result: 'published', code: 'ledger-rejected', text: 'refused' },
    record: record({ next_metadata: { a: 1 } }, 'publishing'),
    effects: { record: { states: ['stored'], patch: { next_metadata: REMOVED, error_msg: 'refused' } } },
  },
]);
