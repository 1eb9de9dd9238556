import { key, REMOVED, some, table } from '../../test/support/steps.ts';

const did = `did:algo:testnet:app:7:${'aa'.repeat(32)}`;
const value = {
  did,
  verkey: key(103),
  method: 'algo',
  key_type: 'ed25519',
  posture: 'public',
  metadata: { endpoint: 'https://agent.example' },
};
const record = (changes = {}, state = 'stored') => ({ id: did, state, value: { ...value, ...changes } });
const local = 'PATCH /wallet/did/local/rotate-keypair';
const rotate = 'PATCH /ledger/rotate-public-did-keypair';
const control = 'PATCH /wallet/did/control';
const operator = 'PATCH /wallet/did/operator';
/** The key that makes the DID. */
const OWN = 'CVDFLCAjXhVWiPXH9nTCTpCgVzmDVoiPzNJYuccr1dqB';
const rekeyed = (to: { threshold: number; verkeys: string[] }) => ({
  write: { kind: 'did-rekey', did, control: to },
  verkey: key(103),
  result: 'rekeyed',
});
const appointed = (to?: string) => ({
  write: { kind: 'did-operator', did, ...(to && { operator: to }) },
  verkey: key(103),
  result: 'appointed',
});
const shown = (verkey: string, more = {}) => ({
  result: { did, verkey, posture: 'public', key_type: 'ed25519', method: 'algo', metadata: value.metadata, ...more },
});
const first = { verkey: key(103), number: 1 };
const next = { verkey: key(1), number: 2, former: [first] };
/** The authentication and assertion keys of the document that is written. */
const keysOf =
  (authentication: string, ...assertion: string[]) =>
  ([{ write, result }]: [{ write: { document: { authentication: string[]; assertionMethod: string[] } }; result: string }]): boolean =>
    result === 'rotated' &&
    write.document.authentication.join() === authentication &&
    write.document.assertionMethod.join() === [authentication, ...assertion].join();
const document = (verkey: string) => ({ did, write: { kind: 'did-put', did, document: documentOf(verkey) } });
const documentOf = (verkey: string) => ({
  id: did,
  verificationMethod: [{ id: '#key-2', type: 'Ed25519VerificationKey2018', publicKeyBase58: verkey }],
  authentication: ['#key-2'],
});
const connected = (id: string, changes = {}, state = 'active') => ({
  id,
  state,
  value: { my_did: did, my_did_shared: true, my_verkey: key(103), ...changes },
});

table('did-keys', [
  {
    title: 'of a DID that is not posted changes at once',
    command: local,
    query: { did },
    record: record({ posture: 'wallet_only' }),
    effects: {
      record: { states: ['stored'], patch: { verkey: key(1), key_number: 2, former_keys: [first] } },
      keys: [key(1)],
      keyOwners: [{ kid: key(1), kind: 'public', target: did }],
      answer: {},
    },
  },
  {
    title: 'of a DID that is on its way to the ledger waits',
    command: local,
    query: { did },
    record: record({ posture: 'wallet_only' }, 'publishing'),
    error: 'wrong-state',
    text: `DID ${did} is being written to the ledger`,
  },
  {
    title: 'of a DID that its key makes',
    command: local,
    query: { did },
    record: record({ method: 'key', posture: 'wallet_only' }),
    error: 'bad-request',
    text: "DID method 'key' does not support key rotation.",
  },
  {
    title: 'of a DID that is posted is no local one',
    command: local,
    query: { did },
    record: record(),
    error: 'bad-request',
    text: `DID ${did} is posted to the ledger`,
  },
  {
    title: 'of the public DID: the secret is stored before the ledger is written to',
    command: rotate,
    about: { category: 'did', tag: 'posture', equals: 'public' },
    record: record(),
    effects: {
      record: { states: ['publishing'], patch: { next_keys: next, next_metadata: value.metadata } },
      keys: [key(1)],
      keyOwners: [{ kid: key(1), kind: 'public', target: did }],
      ledger: keysOf('#key-2', '#key-1'),
      answer: shown(key(103)),
    },
  },
  {
    title: 'of a posted DID, without the former keys',
    command: rotate,
    query: { did, remove_former_keys: 'true' },
    about: { category: 'did', id: did },
    record: record({ posture: 'posted', key_number: 2, former_keys: [{ verkey: key(104), number: 1 }] }),
    effects: {
      record: {
        states: ['publishing'],
        patch: {
          next_keys: {
            verkey: key(1),
            number: 3,
            former: [
              { verkey: key(103), number: 2, removed: true },
              { verkey: key(104), number: 1, removed: true },
            ],
          },
          next_metadata: value.metadata,
        },
      },
      keys: [key(1)],
      keyOwners: [{ kid: key(1), kind: 'public', target: did }],
      ledger: keysOf('#key-3'),
      answer: shown(key(103), { posture: 'posted' }),
    },
  },
  {
    title: 'through a mediator gives it the new key first',
    command: rotate,
    record: record({ mediator: { tenant: 'base', id: 'm1', endpoint: 'https://mediator.example', routingKeys: [key(104)] } }),
    effects: {
      record: {
        states: ['publishing'],
        patch: {
          next_keys: next,
          next_metadata: { endpoint: 'https://mediator.example' },
          next_mediator: { tenant: 'base', id: 'm1', endpoint: 'https://mediator.example', routingKeys: [key(104)] },
        },
      },
      keys: [key(1)],
      keyOwners: [{ kid: key(1), kind: 'public', target: did, mediation: { tenant: 'base', id: 'm1' } }],
      ledger: keysOf('#key-2', '#key-1'),
      answer: shown(key(103)),
    },
  },
  {
    title: 'again, after a failure: the key that was made then',
    command: rotate,
    record: record({ next_keys: { ...next, verkey: key(105) } }),
    effects: {
      record: { states: ['publishing'], patch: { next_keys: { ...next, verkey: key(105) }, next_metadata: value.metadata } },
      ledger: keysOf('#key-2', '#key-1'),
      answer: shown(key(103)),
    },
  },
  {
    title: 'again, while it is under way: the same write',
    command: rotate,
    query: { remove_former_keys: 'true' },
    record: record({ next_keys: { ...next, verkey: key(105) } }, 'publishing'),
    effects: {
      record: { states: ['publishing'], patch: { next_keys: { ...next, verkey: key(105) }, next_metadata: value.metadata } },
      ledger: keysOf('#key-2', '#key-1'),
      answer: shown(key(103)),
    },
  },
  {
    title: 'while another change is under way',
    command: rotate,
    record: record({}, 'publishing'),
    error: 'wrong-state',
    text: `DID ${did} is being written to the ledger`,
  },
  {
    title: 'with as many former keys as a document takes',
    command: rotate,
    record: record({ former_keys: Array.from({ length: 30 }, (_, number) => ({ verkey: key(104), number })) }),
    error: 'bad-request',
    text: 'The document has 30 former keys already: remove_former_keys=true leaves them out',
  },
  {
    title: 'of a DID that is not on the ledger',
    command: rotate,
    query: { did },
    record: record({ posture: 'wallet_only' }),
    error: 'bad-request',
    text: `DID ${did} is not posted to the ledger`,
  },
  {
    title: 'on the ledger is used by the wallet from now on, and peers are notified',
    result: 'rotated',
    output: document(key(1)),
    record: record({ next_keys: next, next_metadata: { endpoint: 'https://agent.example' }, error_msg: 'waits' }, 'publishing'),
    effects: {
      record: {
        states: ['stored'],
        patch: {
          verkey: key(1),
          key_number: 2,
          former_keys: [first],
          metadata: value.metadata,
          next_keys: REMOVED,
          next_metadata: REMOVED,
          error_msg: REMOVED,
        },
      },
      invalidate: [did],
      next: [{ command: 'notify' }],
      answer: shown(key(1)),
    },
  },
  {
    title: 'on the ledger is not used where another rotation is under way by then',
    result: 'rotated',
    output: document(key(104)),
    record: record({ next_keys: next }, 'publishing'),
    effects: { answer: shown(key(103)) },
  },
  {
    title: 'of peers: those of complete connections under the DID that do not know the key',
    command: 'notify',
    record: record({ verkey: key(1) }),
    pages: {
      connections: {
        rows: [
          connected('c1'),
          connected('c2', { my_verkey: key(1) }),
          connected('c3', { my_did_shared: undefined }),
          connected('c4', {}, 'request'),
        ],
        total: 4,
      },
    },
    effects: {
      others: [
        some({
          def: 'did_rotate',
          id: 'id-1',
          role: 'rotating',
          connection: 'c1',
          states: ['due'],
          patch: { protocol: 'did-rotate', connection_id: 'c1', new_did: did, verkey: key(1), shared: true },
        }),
      ],
      next: [{ protocol: 'did-rotate', command: 'announce', record: { category: 'did_rotate', id: 'id-1' } }],
    },
  },
  {
    title: 'of a write that failed keeps its secret for the next',
    failed: { result: 'rotated', code: 'ledger-rejected', text: 'assert failed' },
    record: record({ next_keys: next, next_metadata: {} }, 'publishing'),
    effects: { record: { states: ['stored'], patch: { next_metadata: REMOVED, error_msg: 'assert failed' } } },
  },
  {
    title: 'of a DID goes to a new key, which is a candidate before the ledger knows it',
    command: control,
    body: {},
    about: { category: 'did', tag: 'posture', equals: 'public' },
    record: record(),
    effects: {
      record: {
        patch: { control_keys: [key(1)], controls: [{ threshold: 1, verkeys: [key(1)] }], next_control_key: key(1) },
      },
      keys: [key(1)],
      ledger: [rekeyed({ threshold: 1, verkeys: [key(1)] })],
      answer: { result: { did, threshold: 1, verkeys: [key(1)], state: 'wait' } },
    },
  },
  {
    title: 'of a DID goes to one of two keys, the key of a failed try and one that is elsewhere',
    command: control,
    query: { did },
    body: { verkeys: [key(104)] },
    about: { category: 'did', id: did },
    record: record({
      posture: 'posted',
      control_keys: [key(105)],
      next_control_key: key(105),
      controls: [{ threshold: 1, verkeys: [key(105)] }],
    }),
    effects: {
      record: {
        patch: {
          control_keys: [key(105)],
          controls: [
            { threshold: 1, verkeys: [key(105)] },
            { threshold: 1, verkeys: [key(105), key(104)] },
          ],
          next_control_key: key(105),
        },
      },
      ledger: [rekeyed({ threshold: 1, verkeys: [key(105), key(104)] })],
      answer: { result: { did, threshold: 1, verkeys: [key(105), key(104)], state: 'wait' } },
    },
  },
  {
    title: 'of a DID goes back to its own key',
    command: control,
    body: { new_key: false },
    record: record(),
    effects: {
      record: { patch: { control_keys: [], controls: [{ threshold: 1, verkeys: [OWN] }] } },
      ledger: [rekeyed({ threshold: 1, verkeys: [OWN] })],
      answer: { result: { did, threshold: 1, verkeys: [OWN], state: 'wait' } },
    },
  },
  {
    title: 'of a DID leaves the wallet where the call confirms it',
    command: control,
    body: { verkeys: [key(104), key(105)], threshold: 2, external: true },
    record: record(),
    effects: {
      record: { patch: { control_keys: [key(1)], controls: [], next_control_key: key(1) } },
      keys: [key(1)],
      ledger: [rekeyed({ threshold: 2, verkeys: [key(1), key(104), key(105)] })],
      answer: { result: { did, threshold: 2, verkeys: [key(1), key(104), key(105)], state: 'wait' } },
    },
  },
  {
    title: 'of a DID does not leave the wallet by accident',
    command: control,
    body: { verkeys: [key(104)], new_key: false },
    record: record(),
    error: 'bad-request',
    text: /^This wallet would have 0 of the 1 keys that sign/,
  },
  {
    title: 'of more keys than there are',
    command: control,
    body: { threshold: 2 },
    record: record(),
    error: 'bad-request',
    text: 'No 2 of 1 keys can sign',
  },
  {
    title: 'of what is no key',
    command: control,
    body: { verkeys: ['someone'] },
    record: record(),
    error: 'bad-request',
    text: 'someone is not a key in base58',
  },
  {
    title: 'of one key twice',
    command: control,
    body: { verkeys: [key(104), key(104)] },
    record: record(),
    error: 'bad-request',
    text: 'A key is named twice',
  },
  {
    title: 'of a DID that is not on the ledger has no account',
    command: control,
    body: {},
    record: record({ posture: 'wallet_only' }),
    error: 'bad-request',
    text: `DID ${did} is not posted to the ledger`,
  },
  {
    title: 'on the ledger: the key is in use',
    result: 'rekeyed',
    output: { write: rekeyed({ threshold: 1, verkeys: [key(105)] }).write },
    record: record({ next_control_key: key(105), error_msg: 'waits' }),
    effects: {
      record: { patch: { next_control_key: REMOVED, error_msg: REMOVED } },
      answer: { result: { did, threshold: 1, verkeys: [key(105)], state: 'finished' } },
    },
  },
  {
    title: 'a new key of this wallet',
    command: operator,
    body: {},
    record: record(),
    effects: {
      record: { patch: { operators: [key(1)], next_operator: key(1) } },
      keys: [key(1)],
      ledger: [appointed(key(1))],
      answer: { result: { did, operator: key(1), state: 'wait' } },
    },
  },
  {
    title: 'the key of a failed try',
    command: operator,
    body: {},
    record: record({ operators: [key(104), key(105)], next_operator: key(105) }),
    effects: {
      record: { patch: { operators: [key(104), key(105)], next_operator: key(105) } },
      ledger: [appointed(key(105))],
      answer: { result: { did, operator: key(105), state: 'wait' } },
    },
  },
  {
    title: 'a key that is elsewhere',
    command: operator,
    body: { verkey: key(104) },
    record: record(),
    effects: { ledger: [appointed(key(104))], answer: { result: { did, operator: key(104), state: 'wait' } } },
  },
  {
    title: 'nobody',
    command: operator,
    body: { none: true },
    record: record(),
    effects: { ledger: [appointed()], answer: { result: { did, operator: null, state: 'wait' } } },
  },
  {
    title: 'nobody and somebody',
    command: operator,
    body: { none: true, verkey: key(104) },
    record: record(),
    error: 'bad-request',
    text: 'verkey and none are mutually exclusive',
  },
  {
    title: 'on the ledger',
    result: 'appointed',
    output: { write: appointed(key(105)).write },
    record: record({ operators: [key(105)], next_operator: key(105) }),
    effects: {
      record: { patch: { next_operator: REMOVED } },
      answer: { result: { did, operator: key(105), state: 'finished' } },
    },
  },
  {
    title: 'of a rekeying that failed changes nothing but the reason',
    failed: { result: 'rekeyed', code: 'ledger-rejected', text: 'no' },
    record: record({ next_control_key: key(105) }, 'publishing'),
    effects: { record: { patch: { error_msg: 'no' } } },
  },
]);
