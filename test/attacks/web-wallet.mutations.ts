import type { Row } from '../rows/rows.ts';

const WALLET = 'src/web/wallet.ts';
const PERSON = 'src/web/person.ts';
const PASSKEYS = 'src/web/passkeys.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A70-1',
    text: "a call of the wallet has the header that only the session's page knows",
    mutation: { file: WALLET, from: "if (request.headers['x-csrf'] !== session.csrf) throw foreign();", to: '' },
  },
  {
    id: 'A70-2',
    text: 'a name that somebody lets resolve to the wallet is none of it',
    mutation: { file: WALLET, from: 'if (headers.host?.toLowerCase() !== new URL(origin()).host)', to: 'if (headers.host === undefined)' },
  },
  {
    id: 'A70-3',
    text: 'a challenge is answered once',
    mutation: { file: PASSKEYS, from: '    await challenges.use(challenge);\n', to: '' },
  },
  {
    id: 'A70-4',
    text: 'a sign-in ends the session from before',
    mutation: { file: WALLET, from: '      if (former) await persons.leave(former);\n', to: '' },
  },
  {
    id: 'A70-5',
    text: 'the wallet has the operations of its list alone',
    mutation: { file: WALLET, from: 'all.filter(({ operationId: id }) => WALLET_OPERATIONS.includes(id))', to: 'all' },
  },
  {
    id: 'A70-6',
    text: 'a wallet is locked with the last session of its owner',
    mutation: {
      file: PERSON,
      from: "if (account.mode === 'own' && others.length === 0) {",
      to: "if (account.mode === 'own' && others.length === -1) {",
    },
  },
  {
    id: 'A70-7',
    text: 'sign-ups of an address are counted',
    mutation: { file: PERSON, from: '      limits.signUp(address);\n', to: '' },
  },
  {
    id: 'A70-8',
    text: 'a socket of the wallet is of its own page',
    mutation: { file: WALLET, from: '      if (request.headers.origin === undefined) throw foreign();\n', to: '' },
  },
  {
    id: 'A70-9',
    text: 'a wallet is deleted under its own name alone',
    mutation: {
      file: PERSON.replace('person', 'account-changes'),
      from: 'if (String(body.name).trim() !== account.name)',
      to: 'if (body.name === undefined)',
    },
  },
];
