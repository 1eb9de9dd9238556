import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const GROUP = 'src/adapters/algorand/endorsement.ts';
const ENDORSER = 'src/protocols/endorsement/endorser-steps.ts';
const WORK = 'src/protocols/endorsement/work.ts';
const group = (title: string): readonly [string, string] => ['src/adapters/algorand/endorsement.test.ts', title];
const step = (title: string): readonly [string, string] => ['src/protocols/endorsement/endorse-transaction.test.ts', title];
const work = (title: string): readonly [string, string] => ['src/protocols/endorsement/work.test.ts', title];
const SIGNED = group('where what it has signed is another group');

export const MUTATIONS: readonly (Row & Breakable)[] = [
  // -- what an endorser checks
  {
    id: 'A33',
    text: 'a request is for this network and this registry',
    mutation: {
      file: GROUP,
      from: 'given.network !== network || given.genesisHash !== genesisHash || given.appId !== Number(appId)',
      to: 'given.network !== network',
    },
    tests: [group('for another genesis: network'), group('for another application: network')],
  },
  {
    id: 'A33-2',
    text: 'the account that sends the calls is that of the DID, or of its operator',
    mutation: { file: GROUP, from: 'if (!(await maySend(given))) return', to: "if (given.account === '') return" },
    tests: [group('for another account: sender')],
  },
  {
    id: 'A33-3',
    text: 'the deposit is what the write locks',
    mutation: { file: GROUP, from: 'if (gross.deposit !== given.deposit) return', to: 'if (gross.deposit < 0) return' },
    tests: [group('for a smaller deposit: amount'), group('for a larger deposit: amount')],
  },
  {
    id: 'A33-4',
    text: 'groups of one request have one lease: one of them lands',
    mutation: { file: GROUP, from: '.update(operationId)', to: '.update(String(Math.random()))' },
    tests: [group('lands once, however often it is endorsed and sent')],
  },
  {
    id: 'A33-5',
    text: 'a connection has so many writes a day',
    mutation: { file: ENDORSER, from: 'if (writesPerDay > 0 && today.writes > writesPerDay)', to: 'if (writesPerDay < 0)' },
    tests: [step('message request: of a connection that has had its writes of today is refused at once')],
  },
  {
    id: 'A33-6',
    text: 'a connection has so much ALGO a day',
    mutation: { file: ENDORSER, from: 'if (algoPerDay > 0 && today.microalgo > algoPerDay * MICRO)', to: 'if (algoPerDay < 0)' },
    tests: [step('result built: beyond the ALGO of today is refused')],
  },
  {
    id: 'A33-7',
    text: 'so many requests of a connection wait at once',
    mutation: { file: ENDORSER, from: '>= MAX_OPEN ?', to: '< 0 ?' },
    tests: [step('message request: of a connection with a hundred that wait is refused')],
  },
  {
    id: 'A33-8',
    text: 'who is no endorser endorses nothing',
    mutation: {
      file: ENDORSER,
      from: "  requireJob(ctx, ENDORSER, 'Only a TRANSACTION_ENDORSER can endorse a transaction');\n",
      to: '',
    },
    tests: [step('command endorse: without the role')],
  },
  {
    id: 'A33-9',
    text: 'the sponsor of the instance pays for no tenant’s endorsement',
    mutation: { file: ENDORSER, from: 'if (!ctx.settings.endorsement.pays) throw', to: 'if (ctx.now < 0) throw' },
    tests: [step('command endorse: of a tenant')],
  },
  {
    id: 'A33-10',
    text: 'a request that fails its checks is refused with the reason',
    mutation: { file: ENDORSER, from: "code === 'endorsement-refused'", to: "code === 'never'" },
    tests: [step('failed: that failed its checks is refused with the reason')],
  },
  {
    id: 'A33-11',
    text: 'a request whose time is over is refused',
    mutation: { file: WORK, from: 'if (expiry !== undefined && expiry <= now()) throw', to: 'if (expiry === 0) throw' },
    tests: [work('a request whose time is over: expired')],
  },
  {
    id: 'A33-12',
    text: 'a change of authority is endorsed for nobody, nor what is no write',
    mutation: { file: WORK, from: 'if (known === undefined) throw', to: 'if (rounds < 0) throw' },
    tests: [work('a write that nobody endorses: method')],
  },
  {
    id: 'A33-13',
    text: 'a write has the members of its kind',
    mutation: { file: WORK, from: 'if (!known) throw', to: 'if (rounds < 0) throw' },
    tests: [work('a write without what it needs: object')],
  },
  {
    id: 'A33-14',
    text: 'the tails of a registry can be had before its definition is for ever',
    mutation: { file: WORK, from: "if (write.kind === 'registry-put')", to: "if (write.kind === 'never')" },
    tests: [work('a registry whose tails file cannot be had: object')],
  },
  {
    id: 'A33-15',
    text: 'an endorser by its flags has the role on connections on which nobody has set one',
    mutation: {
      file: 'src/protocols/endorsement/roles.ts',
      from: "settings.endorsement.role === 'endorser' && jobs?.transaction_my_job === undefined",
      to: "settings.endorsement.role === 'endorser' && jobs?.transaction_my_job === ENDORSER",
    },
    tests: [step('message request: is checked by itself, by the flag, though nobody has set a role')],
  },
  // -- what an author checks
  {
    id: 'A33-20',
    text: 'the payment is signed by its sender',
    mutation: { file: GROUP, from: 'if (!verify(null, payment.bytesToSign(), key, signature)) return', to: 'if (key === null) return' },
    tests: [group('where any byte of a transaction is another')],
  },
  {
    id: 'A33-21',
    text: 'a group is exactly these transactions',
    mutation: {
      file: GROUP,
      from: 'if (all.some((txn) => txn.group === undefined || !same(txn.group, id))) return',
      to: 'if (id.length === 0) return',
    },
    tests: [group('where any byte of a transaction is another')],
  },
  {
    id: 'A33-22',
    text: 'each call is that of the write',
    mutation: {
      file: GROUP,
      from: 'if (!same(algosdk.encodeUnsignedTransaction(expected), algosdk.encodeUnsignedTransaction(txn)))',
      to: 'if (expected.sender.toString() !== txn.sender.toString())',
    },
    tests: [SIGNED, group('where it is the group of another write')],
  },
  {
    id: 'A33-23',
    text: 'a group has the calls of the write, and no more',
    mutation: {
      file: GROUP,
      from: 'if (calls.length !== plan.calls.length) return',
      to: 'calls.length = Math.min(calls.length, plan.calls.length); if (calls.length < 0) return',
    },
    tests: [SIGNED],
  },
  {
    id: 'A33-24',
    text: 'the payment has the deposit of the write',
    mutation: { file: GROUP, from: 'if (pay.amount < BigInt(plan.deposit)) return', to: 'if (pay.amount < 0n) return' },
    tests: [SIGNED],
  },
  {
    id: 'A33-25',
    text: 'the payment has the fees of the group',
    mutation: { file: GROUP, from: 'if (payment.fee < fees) return', to: 'if (payment.fee < 0n) return' },
    tests: [SIGNED],
  },
  {
    id: 'A33-26',
    text: 'the first transaction closes no account',
    mutation: { file: GROUP, from: ' || pay.closeRemainderTo !== undefined)', to: ')' },
    tests: [SIGNED],
  },
  {
    id: 'A33-27',
    text: 'a group that is late is not signed',
    mutation: { file: GROUP, from: 'if (params.lastRound >= BigInt(group.lastValid)) return', to: 'if (params.lastRound < 0n) return' },
    tests: [group('that is late is expired, and nothing of it is to be signed')],
  },
  {
    id: 'A33-28',
    text: 'a transaction hands no account on',
    mutation: { file: GROUP, from: 'if (txn.rekeyTo !== undefined) return', to: 'if (all.length === 0) return' },
    tests: [SIGNED],
  },
];
