import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import algosdk from 'algosdk';
import { assemble } from './assembler.ts';
import { LIMITS } from './ledger.ts';
import {
  APP_ADDRESS,
  accountOf,
  dataName,
  filler,
  keyOf,
  named,
  type Signer,
  sponsor,
  type TestNode,
  testNode,
  v41Only,
} from './testing.ts';

/** The rules of the ledger that do not depend on the registry. */

const alice = accountOf('alice');
const bob = accountOf('bob');

const pay = (
  node: TestNode,
  from: Signer,
  to: Signer,
  amount: number,
  change: Partial<algosdk.SuggestedParams> & { lease?: Uint8Array; rekeyTo?: algosdk.Address; note?: Uint8Array } = {},
) => {
  const { lease, rekeyTo, note, ...params } = change;
  return algosdk.makePaymentTxnWithSuggestedParamsFromObject({
    sender: from.addr,
    receiver: to.addr,
    amount,
    lease,
    rekeyTo,
    note,
    suggestedParams: { ...node.params(1000), ...params },
  });
};

const refused = (act: () => unknown, pattern: RegExp): void => {
  assert.throws(act, (error) => error instanceof Error && error.name === 'Refused' && pattern.test(error.message), String(pattern));
};

const funded = (): TestNode => {
  const node = testNode();
  node.submit(node.sign([pay(node, sponsor, alice, 1_000_000)], [sponsor]));
  return node;
};

describe('signatures', () => {
  test('must be there, be right and be those of the sender', () => {
    const node = funded();
    const txn = pay(node, alice, bob, 200_000);
    refused(() => node.submit(algosdk.encodeMsgpack(new algosdk.SignedTransaction({ txn }))), /no sig/);
    refused(() => node.submit(txn.attachSignature(alice.addr, filler(64))), /pass verification/);
    refused(() => node.submit(txn.signTxn(bob.sk)), /should have been authorized by/);
    node.submit(txn.signTxn(alice.sk));
    assert.equal(node.account(bob).balance, 200_000n);
  });

  test('follow a rekeying to another key, and to a multisignature account', () => {
    const node = funded();
    node.submit(pay(node, alice, alice, 0, { rekeyTo: bob.addr }).signTxn(alice.sk));
    refused(() => node.submit(pay(node, alice, bob, 100_000).signTxn(alice.sk)), /should have been authorized/);
    const metadata = { version: 1, threshold: 2, addrs: [alice.addr, bob.addr, sponsor.addr] };
    node.submit(pay(node, alice, alice, 0, { rekeyTo: algosdk.multisigAddress(metadata) }).signTxn(bob.sk));
    const txn = pay(node, alice, bob, 150_000);
    const one = algosdk.signMultisigTransaction(txn, metadata, bob.sk).blob;
    const asSigned = (blob: Uint8Array): Uint8Array => {
      const decoded = algosdk.decodeSignedTransaction(blob);
      return algosdk.encodeMsgpack(
        new algosdk.SignedTransaction({ txn: decoded.txn, msig: decoded.msig, sgnr: algosdk.multisigAddress(metadata) }),
      );
    };
    refused(() => node.submit(asSigned(one)), /multisig validation failed: Invalid number of signatures$/);
    node.submit(asSigned(algosdk.appendSignMultisigTransaction(one, metadata, sponsor.sk).blob));
    assert.equal(node.account(bob).balance, 150_000n);
  });
});

describe('transactions', () => {
  test('are MessagePack, whatever the order of their members', () => {
    const node = funded();
    const bytes = pay(node, alice, bob, 200_000).signTxn(alice.sk);
    // A map of two: `sig` in 70 bytes, then `txn`; the other order is not canonical, and taken all the same.
    const swapped = Uint8Array.from([...bytes.slice(0, 1), ...bytes.slice(71), ...bytes.slice(1, 71)]);
    assert.deepEqual(algosdk.decodeSignedTransaction(swapped), algosdk.decodeSignedTransaction(bytes));
    refused(() => node.submit(bytes.slice(0, -1)), /^empty txgroup$/);
    refused(() => node.submit(new Uint8Array()), /^empty txgroup$/);
    refused(() => node.submit(Uint8Array.of(0xc1)), /msgpack/);
    node.submit(swapped);
  });

  test('live between their rounds, on this network, once', () => {
    const node = funded();
    const round = node.round();
    refused(
      () => node.submit(pay(node, alice, bob, 100_000, { firstValid: round + 2n, lastValid: round + 9n }).signTxn(alice.sk)),
      /txn dead/,
    );
    const late = pay(node, alice, bob, 100_000, { firstValid: round, lastValid: round + 1n });
    const once = pay(node, alice, bob, 100_000).signTxn(alice.sk);
    node.submit(once);
    refused(() => node.submit(once), /already in ledger/);
    refused(() => node.submit(late.signTxn(alice.sk)), /txn dead/);
    refused(
      () => node.submit(pay(node, alice, bob, 1, { genesisHash: filler(32) }).signTxn(alice.sk)),
      /^tx\.GenesisHash <[A-Z2-7]{52}> does not match expected </,
    );
    refused(
      () => node.submit(pay(node, alice, bob, 1, { genesisID: 'other-v1' }).signTxn(alice.sk)),
      /^tx\.GenesisID <other-v1> does not match expected </,
    );
    refused(() => node.submit(pay(node, alice, bob, 1, { lastValid: round + 1005n }).signTxn(alice.sk)), /window size excessive/);
  });

  test('hold a lease until they would have expired', () => {
    const node = funded();
    const lease = filler(32);
    const round = node.round();
    const leased = pay(node, alice, bob, 100_000, { lease, lastValid: round + 3n }).signTxn(alice.sk);
    node.submit(leased);
    // Of a confirmed transaction the lease is looked at before its id.
    refused(() => node.submit(leased), /overlapping lease/);
    const again = () => node.submit(pay(node, alice, bob, 100_001, { lease }).signTxn(alice.sk));
    refused(again, /overlapping lease \(sender, lease\):\([A-Z2-7]{58}, [A-Z2-7]{58}\)$/);
    node.advance(2);
    again();
  });

  test('pay at least the minimum fee, pooled over the group', () => {
    const node = funded();
    refused(
      () => node.submit(pay(node, alice, bob, 100_000, { fee: 999n }).signTxn(alice.sk)),
      /^txgroup with 999uA fees is less than 1mA /,
    );
    const group = algosdk.assignGroupID([pay(node, alice, bob, 100_000, { fee: 0n }), pay(node, sponsor, bob, 1, { fee: 2000n })]);
    node.submit(node.sign(group, [alice, sponsor]));
    assert.equal(node.account(alice).balance, 900_000n);
  });

  test('keep balances above the minimum after each one, in the order of the group', () => {
    const node = funded();
    refused(() => node.submit(pay(node, alice, bob, 99_999).signTxn(alice.sk)), /below min/);
    refused(() => node.submit(pay(node, alice, bob, 950_000).signTxn(alice.sk)), /below min/);
    refused(() => node.submit(pay(node, alice, bob, 2_000_000).signTxn(alice.sk)), /overspend/);
    const carol = accountOf('carol');
    const group = (order: 'late' | 'early'): Uint8Array => {
      const small = pay(node, alice, carol, 50_000);
      const large = pay(node, alice, carol, 60_000);
      const rest = pay(node, sponsor, carol, 100_000);
      const txns = algosdk.assignGroupID(order === 'late' ? [small, large, rest] : [rest, small, large]);
      return node.sign(txns, order === 'late' ? [alice, alice, sponsor] : [sponsor, alice, alice]);
    };
    refused(() => node.submit(group('late')), /below min/);
    node.submit(group('early'));
    assert.equal(node.account(carol).balance, 210_000n);
  });

  test('may come from an account without money if the group pays', () => {
    const node = funded();
    const group = algosdk.assignGroupID([pay(node, sponsor, alice, 1, { fee: 2000n }), pay(node, bob, alice, 0, { fee: 0n })]);
    node.submit(node.sign(group, [sponsor, bob]));
    assert.equal(node.account(bob).balance, 0n);
  });
});

describe('groups', () => {
  test('are whole, and all or nothing', () => {
    const node = funded();
    const before = node.account(alice).balance;
    const [first, second] = algosdk.assignGroupID([pay(node, alice, bob, 200_000), pay(node, alice, bob, 5_000_000)]) as [
      algosdk.Transaction,
      algosdk.Transaction,
    ];
    refused(() => node.submit(first.signTxn(alice.sk)), /^transactionGroup: incomplete group: [A-Z2-7]{52} != [A-Z2-7]{52} \(/);
    refused(() => node.submit(node.sign([second, first], [alice, alice])), /incomplete group/);
    refused(() => node.submit(node.sign([first, second], [alice, alice])), /overspend/);
    refused(() => node.submit(node.sign([pay(node, alice, bob, 1), pay(node, alice, bob, 2)], [alice, alice])), /zero Group/);
    assert.equal(node.account(alice).balance, before);
    assert.equal(node.account(bob).balance, 0n);
    const many = algosdk.assignGroupID(Array.from({ length: 16 }, (_none, i) => pay(node, alice, alice, i)));
    refused(
      () => node.submit(Uint8Array.from(Buffer.concat([...many, pay(node, alice, alice, 99)].map((txn) => txn.signTxn(alice.sk))))),
      /^max group size is 16$/,
    );
  });
});

describe('application calls', () => {
  const key = keyOf(alice);
  const document = dataName(key, 1, 0);
  const call = (size: number, references: number) => ({
    method: 'didPut(uint64,uint64,byte[])void',
    args: [0, 0, filler(size)],
    from: alice,
    boxes: [key, named('d', key), document, ...new Array<Uint8Array>(references).fill(new Uint8Array())],
  });

  test('touch only boxes that the group names', () => {
    const node = testNode();
    const { boxes, ...rest } = call(100, 0);
    refused(
      () => node.send({ pay: 1_000_000, calls: [{ ...rest, boxes: boxes.slice(0, 2) }] }),
      new RegExp(`invalid Box reference 0x${Buffer.from(document).toString('hex')}`),
    );
  });

  test('pay for what they read and write with box references', () => {
    const node = testNode();
    const stage = (size: number, extra: number) => ({
      method: 'didStage(uint64,uint64,uint64,byte[])void',
      args: [0, 0, size, filler(10)],
      from: alice,
      boxes: [named('p', key), document, ...new Array<Uint8Array>(extra).fill(new Uint8Array())],
    });
    refused(
      () => node.send({ pay: 20_000_000, calls: [stage(3 * LIMITS.bytesPerReference - 47, 1)] }),
      /write budget exceeded \(6145 > 6144\)/,
    );
    node.send({ pay: 20_000_000, calls: [stage(3 * LIMITS.bytesPerReference - 48, 1)] });
    refused(() => node.send({ pay: 20_000_000, calls: [stage(100, 0)] }), /read budget exceeded \(6144 > 4096\)/);
  });

  test('have 2,048 bytes of arguments and eight references', { skip: v41Only }, () => {
    const node = testNode();
    refused(
      () => node.send({ pay: 2_000_000, calls: [call(2027, 0)] }),
      / invalid : tx\.ApplicationArgs total length is too long\. 2049 > 2048$/,
    );
    node.send({ pay: 2_000_000, calls: [call(2026, 0)] });
    refused(() => node.send({ pay: 2_000_000, calls: [call(10, 6)] }), /tx\.Boxes too long, max number of box references is 8$/);
  });

  test('have 700 units of opcode cost each', () => {
    const node = testNode();
    const loop = '#pragma version 10\nagain:\nb again';
    refused(
      () => node.submit(node.sign([appWith(node, loop)], [sponsor])),
      /dynamic cost budget exceeded, executing b: local program cost was 700\. Details: /,
    );
    const create = appWith(node, '#pragma version 10\npushint 1');
    node.submit(node.sign([create], [sponsor]));
    assert.equal(node.chain.created(create.txID()), 1003n);
    refused(() => node.submit(node.sign([appWith(node, '#pragma version 10\npushint 0')], [sponsor])), /rejected by ApprovalProgram/);
  });

  test('a payment to the application stays with it', () => {
    const node = testNode();
    node.send({ pay: 5_000, calls: [] });
    assert.equal(node.surplus(), 5_000n);
    assert.equal(node.chain.account(APP_ADDRESS.toString()).balance, 105_000n);
  });
});

const appWith = (node: TestNode, teal: string): algosdk.Transaction =>
  algosdk.makeApplicationCreateTxnFromObject({
    sender: sponsor.addr,
    approvalProgram: assemble(teal).bytes,
    clearProgram: assemble('#pragma version 10\npushint 1').bytes,
    numGlobalInts: 0,
    numGlobalByteSlices: 0,
    numLocalInts: 0,
    numLocalByteSlices: 0,
    onComplete: algosdk.OnApplicationComplete.NoOpOC,
    suggestedParams: node.params(1000),
  });
