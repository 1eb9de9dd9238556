import { CONNECTION, key, REMOVED, registry, some, table } from '../../test/support/steps.ts';
import { toBase58, verkeyBytes } from '../didcomm/encoding.ts';
import { ownerConnection } from '../records/connection.ts';

const create = 'POST /connections/create-static';
const grant = 'PUT /connections/{conn_id}/grants';
const NO_GRANT = { error: 'bad-request', text: /^There is no grant everything: .*agent-config/ } as const;
const bareDidOf = (n: number): string => toBase58(verkeyBytes(key(n)).slice(0, 16));

table('connection', [
  {
    title: 'is added to what is there',
    command: 'POST /connections/{conn_id}/metadata',
    body: { metadata: { b: 2 } },
    record: { ...CONNECTION, value: { ...CONNECTION.value, metadata: { a: 1, b: 1 } } },
    effects: { answer: { results: { a: 1, b: 2 } }, record: { patch: { metadata: { a: 1, b: 2 } } } },
  },
  {
    title: 'of two seeds',
    command: create,
    body: { my_seed: `${'0'.repeat(31)}1`, their_seed: `${'0'.repeat(31)}2`, alias: 'peer' },
    effects: {
      keyOwners: [{ kid: '2y6oVqbnTeZ4tv6WUY7FMHhY6SouNixyeWKHPgFDCsY8', kind: 'connection', target: 'id-1' }],
      answer: {
        my_did: '4cLztgZYocjqTdAZM93t27',
        my_verkey: '2y6oVqbnTeZ4tv6WUY7FMHhY6SouNixyeWKHPgFDCsY8',
        my_endpoint: 'https://agent.example',
        their_did: 'JDmZmbYJnRyz5mb5U9wCxK',
        their_verkey: 'APN393PJb55Jyi94DtgkQPd9zxghPbFSPqheppei5Esf',
        record: {
          state: 'active',
          created_at: '2030-01-02T03:04:05.000000Z',
          updated_at: '2030-01-02T03:04:05.000000Z',
          connection_id: 'id-1',
          my_did: '4cLztgZYocjqTdAZM93t27',
          their_did: 'JDmZmbYJnRyz5mb5U9wCxK',
          connection_protocol: 'connections/1.0',
          rfc23_state: 'completed',
          accept: 'manual',
          invitation_mode: 'static',
          alias: 'peer',
        },
      },
      record: {
        id: 'id-1',
        states: ['active'],
        patch: {
          invitation_mode: 'static',
          alias: 'peer',
          connection_protocol: 'connections/1.0',
          my_did: '4cLztgZYocjqTdAZM93t27',
          my_verkey: '2y6oVqbnTeZ4tv6WUY7FMHhY6SouNixyeWKHPgFDCsY8',
          their_did: 'JDmZmbYJnRyz5mb5U9wCxK',
          their_keys: ['APN393PJb55Jyi94DtgkQPd9zxghPbFSPqheppei5Esf'],
        },
      },
      keys: ['2y6oVqbnTeZ4tv6WUY7FMHhY6SouNixyeWKHPgFDCsY8'],
    },
  },
  {
    title: 'of the DID and the key of the peer',
    command: create,
    body: { their_did: 'WgWxqztrNooG92RXvxSTWv', their_verkey: key(103), their_endpoint: 'https://peer.example' },
    effects: {
      keyOwners: [{ kid: key(1), kind: 'connection', target: 'id-1' }],
      answer: {
        my_did: 'J7CUQvLhdTVhye2SHg6w9K',
        my_verkey: key(1),
        my_endpoint: 'https://agent.example',
        their_did: 'WgWxqztrNooG92RXvxSTWv',
        their_verkey: key(103),
        record: {
          state: 'active',
          created_at: '2030-01-02T03:04:05.000000Z',
          updated_at: '2030-01-02T03:04:05.000000Z',
          connection_id: 'id-1',
          my_did: 'J7CUQvLhdTVhye2SHg6w9K',
          their_did: 'WgWxqztrNooG92RXvxSTWv',
          connection_protocol: 'connections/1.0',
          rfc23_state: 'completed',
          accept: 'manual',
          invitation_mode: 'static',
        },
      },
      record: {
        id: 'id-1',
        states: ['active'],
        patch: {
          invitation_mode: 'static',
          connection_protocol: 'connections/1.0',
          my_did: 'J7CUQvLhdTVhye2SHg6w9K',
          my_verkey: key(1),
          their_did: 'WgWxqztrNooG92RXvxSTWv',
          their_keys: [key(103)],
          their_endpoint: 'https://peer.example',
        },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'without the key of the peer',
    command: create,
    body: { their_did: 'WgWxqztrNooG92RXvxSTWv' },
    error: 'bad-request',
    text: 'Either a verkey or seed must be provided for the other party',
  },
  {
    title: 'with what is no key',
    command: create,
    body: { their_did: 'WgWxqztrNooG92RXvxSTWv', their_verkey: 'x' },
    error: 'bad-request',
    text: 'their_verkey is not a key in base58',
  },
  {
    title: 'with a seed that is none',
    command: create,
    body: { their_seed: 'short' },
    error: 'bad-request',
    text: 'Seed value must be 32 bytes in length',
  },
  {
    title: 'of a key alone, with metadata and grants',
    command: create,
    body: { their_verkey: key(103), metadata: { group: 'owner' }, grants: ['agent-config', 'agent-config'] },
    effects: {
      keyOwners: some({}),
      keys: [key(1)],
      answer: some({ their_did: bareDidOf(103) }),
      record: some({ patch: some({ their_did: bareDidOf(103), metadata: { group: 'owner' }, grants: ['agent-config'] }) }),
    },
  },
  { title: 'with a grant that there is not', command: create, body: { their_verkey: key(103), grants: ['everything'] }, ...NO_GRANT },
  {
    title: 'gets grants, instead of those before',
    command: grant,
    body: { grants: ['agent-config'] },
    record: { ...CONNECTION, value: { ...CONNECTION.value, grants: ['other'] } },
    effects: { record: { patch: { grants: ['agent-config'] } }, answer: { grants: ['agent-config'] } },
  },
  {
    title: 'loses them all',
    command: grant,
    body: { grants: [] },
    record: { ...CONNECTION, state: 'error', value: { ...CONNECTION.value, grants: ['agent-config'] } },
    effects: { record: { patch: { grants: REMOVED } }, answer: { grants: [] } },
  },
  { title: 'gets no grant that there is not', command: grant, body: { grants: ['everything'] }, record: CONNECTION, ...NO_GRANT },
  {
    title: 'gets none before its peer is known',
    command: grant,
    body: { grants: ['agent-config'] },
    record: { ...CONNECTION, state: 'response' },
    error: 'bad-request',
    text: /is not active/,
  },
  {
    title: 'gets none by metadata',
    command: 'POST /connections/{conn_id}/metadata',
    body: { metadata: { grants: ['agent-config'] } },
    record: CONNECTION,
    effects: { answer: { results: { grants: ['agent-config'] } }, record: { patch: { metadata: { grants: ['agent-config'] } } } },
  },
  {
    title: 'is made with an owner of the configuration, under a name that its key gives',
    command: 'owner',
    body: { verkey: key(103) },
    connection: null,
    about: { category: 'connection', id: ownerConnection(key(103)) },
    effects: {
      keys: [key(1)],
      keyOwners: [{ kid: key(1), kind: 'connection', target: ownerConnection(key(103)) }],
      record: {
        id: ownerConnection(key(103)),
        states: ['active'],
        patch: some({ alias: 'owner', configured: true, my_verkey: key(1), their_keys: [key(103)], grants: [...registry.grants].sort() }),
      },
    },
  },
  {
    title: 'keeps its key, and gets every grant again',
    command: 'owner',
    body: { verkey: key(103) },
    record: CONNECTION,
    effects: { record: { patch: { configured: true, grants: [...registry.grants].sort() } } },
  },
  {
    title: 'is an owner no more',
    command: 'dismiss',
    body: {},
    record: { ...CONNECTION, value: { ...CONNECTION.value, configured: true, grants: ['agent-config'] } },
    effects: { record: { patch: { configured: REMOVED, grants: REMOVED } } },
  },
]);
