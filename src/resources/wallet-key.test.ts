import { key, table } from '../../test/support/steps.ts';

const mine = { id: 'z6Mk1', state: 'stored', value: { verkey: key(103), multikey: 'z6Mk1', kid: 'a' } };

table('wallet-key', [
  {
    title: 'has a name',
    command: 'POST /wallet/keys',
    body: { kid: 'did:web:a#k' },
    loads: { taken: { category: 'wallet_key', tag: 'kid', equals: 'did:web:a#k' } },
    effects: {
      answer: { kid: 'did:web:a#k', multikey: 'z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX' },
      record: {
        id: 'z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX',
        states: ['stored'],
        patch: { verkey: key(1), multikey: 'z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX', kid: 'did:web:a#k' },
      },
      keys: [key(1)],
    },
  },
  {
    title: 'of a seed, without a name',
    command: 'create',
    body: { seed: '0'.repeat(32), alg: 'ed25519' },
    effects: {
      answer: { kid: null, multikey: 'z6MkgKA7yrw5kYSiDuQFcye4bMaJpcfHFry3Bx45pdWh3s8i' },
      record: {
        id: 'z6MkgKA7yrw5kYSiDuQFcye4bMaJpcfHFry3Bx45pdWh3s8i',
        states: ['stored'],
        patch: { verkey: '2ru5PcgeQzxF7QZYwQgDkG2K13PRqyigVw99zMYg8eML', multikey: 'z6MkgKA7yrw5kYSiDuQFcye4bMaJpcfHFry3Bx45pdWh3s8i' },
      },
      keys: ['2ru5PcgeQzxF7QZYwQgDkG2K13PRqyigVw99zMYg8eML'],
    },
  },
  {
    title: 'with a name that is taken',
    command: 'create',
    body: { kid: 'a' },
    loaded: { taken: mine },
    error: 'bad-request',
    text: "kid 'a' already exists in wallet.",
  },
  {
    title: 'of an algorithm that is not there',
    command: 'create',
    body: { alg: 'p256' },
    error: 'bad-request',
    text: 'Unknown key algorithm p256: use ed25519',
  },
  {
    title: 'with a seed that is none',
    command: 'create',
    body: { seed: 'short' },
    error: 'bad-request',
    text: 'Seed value must be 32 bytes in length',
  },
  {
    title: 'renames the key',
    command: 'PUT /wallet/keys',
    body: { multikey: 'z6Mk1', kid: 'b' },
    about: { category: 'wallet_key', id: 'z6Mk1' },
    record: mine,
    effects: { answer: { kid: 'b', multikey: 'z6Mk1' }, record: { patch: { kid: 'b' } } },
  },
  {
    title: 'with the name that it has',
    command: 'update',
    body: { multikey: 'z6Mk1', kid: 'a' },
    record: mine,
    loaded: { taken: mine },
    effects: { answer: { kid: 'a', multikey: 'z6Mk1' }, record: { patch: { kid: 'a' } } },
  },
  {
    title: 'with the name of another',
    command: 'update',
    body: { multikey: 'z6Mk1', kid: 'b' },
    record: mine,
    loaded: { taken: { ...mine, id: 'z6Mk2' } },
    error: 'bad-request',
    text: "kid 'b' already exists in wallet.",
  },
]);
