import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import algosdk from 'algosdk';
import { REGISTRY_APP } from '../devnet/genesis.ts';
import {
  APP_ADDRESS,
  accountOf,
  boxCost,
  dataName,
  devLedgerOnly,
  filler,
  keyOf,
  named,
  type Signer,
  sponsor,
  type TestCall,
  type TestNode,
  testNode,
} from '../devnet/testing.ts';
import {
  commit,
  create,
  data,
  did,
  drop,
  end,
  faucet,
  INFO,
  METADATA,
  message,
  metadataOf,
  nameOf,
  oid,
  put,
  refused,
  resMore,
  resource,
  resPut,
  SALT,
  STAGED,
  stage,
} from './calls.ts';

/** SECURITY.md as tests: the number in brackets is that of the answer. An attacker has an account of its own and 1,000 ALGO. */

const alice = accountOf('alice');
const mallory = accountOf('mallory');
const RICH = 1_000_000_000;

const withMallory = (): TestNode => {
  const node = testNode();
  node.submit(faucet(node, mallory, RICH));
  return node;
};
const payerOf = (node: TestNode, from: Signer): Uint8Array => (node.box(did(from).info) as Uint8Array).slice(56);
const operatorCall = (from: Signer, operator: Uint8Array): TestCall => ({
  method: 'setOperator(address)void',
  args: [operator],
  from,
  boxes: [did(from).info],
});

const lid = filler(24, 11);
const segment = (key: Uint8Array, number: number): Uint8Array => named('g', key, lid, Uint8Array.of(0, 0, 0, number));
const head = (key: Uint8Array): Uint8Array => named('l', key, lid);
const logOpen = (key: Uint8Array, from: Signer): TestCall => ({
  method: 'logOpen(address,byte[24],uint8)void',
  args: [key, lid, 1],
  from,
  boxes: [key, did(from).info, named('d', key), head(key), segment(key, 0)],
});
const append = (key: Uint8Array, from: Signer, expected: number, record: Uint8Array, number: number): TestCall => ({
  method: 'logAppend(address,byte[24],uint64,byte[])void',
  args: [key, lid, expected, record],
  from,
  boxes: [key, named('d', key), head(key), segment(key, number), segment(key, number + 1)],
});
const prune = (key: Uint8Array, from: Signer, number: number, accounts: string[] = []): TestCall => ({
  method: 'logPrune(address,byte[24],uint64)void',
  args: [key, lid, number],
  from,
  boxes: [key, named('d', key), head(key), segment(key, number)],
  accounts,
});
const record = (flags: number, length: number): Uint8Array => Uint8Array.from([flags, ...filler(length - 1)]);
const OPENED = boxCost(57, 41) + boxCost(61, 32);

describe('what can be blocked', () => {
  test('[1] no write of one DID fails because of what others write: a group that was signed before a flood lands after it', () => {
    const node = withMallory();
    create(node, alice);
    const honest = node.build({ pay: 400 * 100, calls: [put(alice, 1, filler(400))] });
    const signed = node.sign(honest.txns, honest.signers);
    node.send({ pay: METADATA + INFO + data(10), payer: mallory, calls: [put(mallory, 0, filler(10))] });
    node.send({ pay: OPENED, payer: mallory, calls: [logOpen(keyOf(mallory), mallory)] });
    for (let salt = 0; salt < 12; salt++) {
      const drops = salt === 0 ? [] : [dataName(keyOf(mallory), 2, salt - 1)];
      const calls = [stage(mallory, 10, filler(10), { version: 1, salt, drops })];
      node.send({ pay: salt === 0 ? STAGED + data(10) : 0, payer: mallory, calls });
    }
    node.submit(signed);
    assert.equal(metadataOf(node, alice)[4], 2n);
  });

  test('[2] a data box that somebody prepared under the next name costs another salt, and stays as it is', { skip: devLedgerOnly }, () => {
    const node = withMallory();
    create(node, alice);
    const taken = dataName(keyOf(alice), 2, SALT);
    node.plant(taken, filler(300, 99));
    const pay = 10_000_000;
    refused(() => node.send({ pay, calls: [put(alice, 1, filler(300))] }), message('data box taken'));
    refused(() => node.send({ pay, calls: [stage(alice, 300, filler(10), { version: 1 })] }), message('data box taken'));
    assert.deepEqual(node.box(taken), filler(300, 99));
    // What was planted here locks money too.
    node.send({ pay: data(300), calls: [put(alice, 1, filler(300, 2), { salt: 8 })] });
    assert.deepEqual(metadataOf(node, alice), [nameOf(alice, 2, 8), nameOf(alice, 2, 8), 1n, 300n, 2n]);
    assert.deepEqual(node.box(taken), filler(300, 99));
  });

  test('[2] the name is that of key, version and salt: the first eight bytes of their SHA-256', () => {
    const uint64 = (value: number): Buffer => Buffer.from(algosdk.encodeUint64(value));
    const expected = createHash('sha256').update(keyOf(alice)).update(uint64(2)).update(uint64(9)).digest().subarray(0, 8);
    const node = withMallory();
    create(node, alice);
    node.send({ pay: 0, calls: [put(alice, 1, filler(300), { salt: 9 })] });
    assert.deepEqual(node.box(Uint8Array.from(expected)), filler(300));
  });

  test('[3] a payer that closed its account blocks no write: what cannot be paid back is left', () => {
    const node = withMallory();
    const payer = accountOf('a payer that goes');
    node.submit(faucet(node, payer, METADATA + INFO + data(200) + 2_000 + 100_000));
    node.send({ pay: METADATA + INFO + data(200), payer, calls: [put(alice, 0, filler(200))] });
    const close = algosdk.makePaymentTxnWithSuggestedParamsFromObject({
      sender: payer.addr,
      receiver: mallory.addr,
      amount: 0,
      closeRemainderTo: mallory.addr,
      suggestedParams: node.params(1000),
    });
    node.submit(node.sign([close], [payer]));
    const accounts = [payer.addr.toString()];
    // The old deposit is below an account's minimum balance of 100,000 microALGO.
    assert.ok(data(200) < 100_000);
    node.send({ pay: data(300), fee: 3000, calls: [put(alice, 1, filler(300), { accounts })] });
    assert.equal(node.account(payer).balance, 0n);
    assert.equal(node.surplus(), BigInt(data(200)));
    const large = testNode();
    large.submit(faucet(large, payer, METADATA + INFO + data(300) + 2_000 + 100_000));
    large.send({ pay: METADATA + INFO + data(300), payer, calls: [put(alice, 0, filler(300))] });
    large.submit(
      large.sign(
        [
          algosdk.makePaymentTxnWithSuggestedParamsFromObject({
            sender: payer.addr,
            receiver: sponsor.addr,
            amount: 0,
            closeRemainderTo: sponsor.addr,
            suggestedParams: large.params(1000),
          }),
        ],
        [payer],
      ),
    );
    large.send({ pay: 0, fee: 3000, calls: [end(alice, 1, { accounts })] });
    assert.equal(large.account(payer).balance, BigInt(data(300)), 'what opens the account anew is paid');
  });

  test('[4] nobody writes under a key but the key itself and, to resources and logs, its operator', () => {
    const node = withMallory();
    create(node, alice);
    const key = keyOf(alice);
    node.send({ pay: METADATA + INFO + data(10), payer: mallory, calls: [put(mallory, 0, filler(10))] });
    const who = 'not the DID key or its operator';
    for (const call of [
      resPut(key, mallory, 10, filler(10)),
      { ...resMore(key, mallory, filler(1)), boxes: [resource(key), key, named('d', key)] },
      logOpen(key, mallory),
      append(key, mallory, 0, record(0, 10), 0),
      prune(key, mallory, 0),
    ]) {
      refused(() => node.send({ pay: 1_000_000, payer: mallory, calls: [call] }), message(who));
    }
    // What a document's methods touch follows from the sender: an attacker that names the victim's boxes changes its own.
    const stolen = { ...put(mallory, 1, filler(10)), boxes: [key, did(alice).info, dataName(key, 2, SALT), dataName(key, 1, SALT)] };
    refused(() => node.send({ pay: 1_000_000, payer: mallory, calls: [stolen] }), /invalid Box reference/);
    node.send({ pay: 0, calls: [operatorCall(alice, keyOf(mallory))] });
    node.send({ pay: boxCost(57, 28), payer: mallory, calls: [resPut(key, mallory, 10, filler(10))] });
    const before = node.box(key);
    refused(
      () => node.send({ pay: 0, payer: mallory, fee: 3000, calls: [{ ...end(mallory, 1), boxes: end(alice, 1).boxes }] }),
      /invalid Box reference/,
    );
    assert.deepEqual(node.box(key), before);
    node.send({ pay: 0, calls: [operatorCall(alice, new Uint8Array(32))] });
    refused(() => node.send({ pay: OPENED, payer: mallory, calls: [logOpen(key, mallory)] }), message(who));
  });

  test('[5] an operator that was stolen blocks nobody once another is appointed, and what it left incomplete is closed by a new segment', () => {
    const node = withMallory();
    create(node, alice);
    const key = keyOf(alice);
    node.send({ pay: OPENED, calls: [logOpen(key, alice)] });
    node.send({ pay: 0, calls: [operatorCall(alice, keyOf(mallory))] });
    node.send({ pay: boxCost(61, 32 + 28), payer: mallory, calls: [append(key, mallory, 0, record(0xc0, 10), 0)] });
    node.send({ pay: 0, calls: [operatorCall(alice, new Uint8Array(32))] });
    refused(() => node.send({ pay: 400 * 28, calls: [append(key, alice, 1, record(0, 10), 1)] }), message('segment payer'));
    node.send({ pay: boxCost(61, 32 + 28), calls: [append(key, alice, 1, record(0x40, 10), 1)] });
    assert.equal((node.box(head(key)) as Uint8Array)[0], 1, 'the last record is complete');
  });
});

describe('what can be spent', () => {
  test('[6] the application holds exactly what its boxes lock, whatever is written in which order', () => {
    const node = withMallory();
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    const payers = [sponsor, mallory];
    const state = {
      version: 0,
      salt: 0,
      size: 0,
      staged: undefined as undefined | { salt: number; version: number; size: number; by: Signer },
      by: sponsor as Signer,
    };
    const key = keyOf(alice);
    const others = payers.map((one) => one.addr.toString());
    for (let i = 0; i < 60; i++) {
      const payer = payers[random(2)] as Signer;
      const size = random(600);
      const salt = i + 1;
      const kept = state.version > 0 && state.by === payer ? data(state.size) : 0;
      const first = state.version === 0 ? METADATA + INFO : 0;
      const kind = random(3);
      if (kind === 0) {
        const pay = Math.max(0, first + data(size) - kept);
        node.send({ pay, payer, fee: 4000, calls: [put(alice, state.version, filler(size), { salt, old: state.salt, accounts: others })] });
        Object.assign(state, { version: state.version + 1, salt, size, by: payer });
      } else if (kind === 1) {
        const { staged } = state;
        const drops = staged ? [dataName(key, staged.version + 1, staged.salt)] : [];
        const held = staged?.by === payer ? STAGED + data(staged.size) : 0;
        const part = filler(Math.min(size, 50));
        node.send({
          pay: Math.max(0, STAGED + data(size) - held),
          payer,
          fee: 4000,
          calls: [stage(alice, size, part, { version: state.version, salt, drops, accounts: others })],
        });
        state.staged = { salt, version: state.version, size, by: payer };
      } else if (state.staged && state.staged.version === state.version) {
        const { staged } = state;
        const boxes = [
          did(alice).staged,
          dataName(key, staged.version + 1, staged.salt),
          ...(state.version > 0 ? [dataName(key, state.version, state.salt)] : []),
        ];
        node.send({
          pay: first,
          payer,
          fee: 5000,
          calls: [commit(alice, state.version, filler(0), { salt: staged.salt, boxes, accounts: others })],
        });
        Object.assign(state, { version: state.version + 1, salt: staged.salt, size: staged.size, by: staged.by, staged: undefined });
      }
      assert.equal(node.surplus(), 0n, `step ${i}, kind ${kind}`);
    }
    assert.ok(state.version > 10);
  });

  test('[7] who pays for a document gets its deposit back, whoever pays for the next: an author cannot turn its sponsor over', () => {
    const node = withMallory();
    create(node, alice, filler(1500));
    const before = node.account(sponsor).balance;
    const rich = node.account(mallory).balance;
    const accounts = [sponsor.addr.toString()];
    node.send({ pay: data(10), payer: mallory, fee: 3000, calls: [put(alice, 1, filler(10), { accounts })] });
    assert.equal(node.account(sponsor).balance, before + BigInt(data(1500)));
    assert.equal(node.account(mallory).balance, rich - BigInt(data(10)) - 3000n);
    assert.deepEqual(payerOf(node, alice), keyOf(mallory));
    node.send({ pay: 0, payer: mallory, fee: 3000, calls: [end(alice, 2)] });
    assert.equal(node.account(sponsor).balance, before + BigInt(data(1500)));
    assert.equal(node.surplus(), 0n);
  });

  test('[7] the note of staging goes back to who paid for it, also where another account pays for the first version', () => {
    const node = withMallory();
    node.send({ pay: STAGED + data(50), payer: mallory, calls: [stage(alice, 50, filler(50))] });
    const rich = node.account(mallory).balance;
    const call = commit(alice, 0, filler(0), {
      boxes: [did(alice).staged, dataName(keyOf(alice), 1, SALT)],
      accounts: [mallory.addr.toString()],
    });
    node.send({ pay: METADATA + INFO, fee: 3000, calls: [call] });
    assert.equal(node.account(mallory).balance, rich + BigInt(STAGED));
    assert.deepEqual(payerOf(node, alice), keyOf(mallory), 'the document is its');
    assert.equal(node.surplus(), 0n);
  });

  test('[8] a group costs its sponsor the same, whatever the author stages before it lands', () => {
    const node = withMallory();
    const deposit = STAGED + data(2000) + METADATA + INFO - STAGED;
    const calls = [
      stage(alice, 2000, filler(1000), { drops: [dataName(keyOf(alice), 1, 1)], accounts: [mallory.addr.toString()] }),
      commit(alice, 0, filler(1000)),
    ];
    const honest = node.build({ pay: deposit, fee: 4000, calls });
    const signed = node.sign(honest.txns, honest.signers);
    node.send({ pay: STAGED + data(2000), payer: mallory, calls: [stage(alice, 2000, filler(10), { salt: 1 })] });
    const [before, rich] = [node.account(sponsor).balance, node.account(mallory).balance];
    node.submit(signed);
    assert.equal(node.account(sponsor).balance, before - BigInt(deposit) - 4000n);
    assert.equal(node.account(mallory).balance, rich + BigInt(STAGED + data(2000)));
    assert.equal(node.surplus(), 0n);
    // A document in one call leaves what is staged alone: it costs the same too.
    node.send({ pay: STAGED + data(500), payer: mallory, calls: [stage(alice, 500, filler(10), { version: 1 })] });
    node.send({ pay: 0, fee: 3000, calls: [put(alice, 1, filler(1900), { salt: 9 })] });
    assert.ok(node.box(did(alice).staged));
    assert.equal(node.surplus(), 0n);
  });

  test('[9] a segment is paid for by one account, which gets it back when it is pruned', () => {
    const node = withMallory();
    create(node, alice);
    const key = keyOf(alice);
    node.send({ pay: OPENED, calls: [logOpen(key, alice)] });
    refused(() => node.send({ pay: 400 * 28, payer: mallory, calls: [append(key, alice, 0, record(0, 10), 0)] }), message('segment payer'));
    node.send({ pay: 400 * 118, calls: [append(key, alice, 0, record(0, 100), 0)] });
    node.send({ pay: boxCost(61, 32 + 28), payer: mallory, calls: [append(key, alice, 1, record(0x40, 10), 0)] });
    // The author makes itself the payer of the document; the segment's payer stays who it was.
    node.send({ pay: data(10), payer: mallory, fee: 3000, calls: [put(alice, 1, filler(10), { accounts: [sponsor.addr.toString()] })] });
    const before = node.account(sponsor).balance;
    node.send({ pay: 0, payer: mallory, fee: 3000, calls: [prune(key, alice, 0, [sponsor.addr.toString()])] });
    assert.equal(node.account(sponsor).balance, before + BigInt(boxCost(61, 32 + 118)));
    assert.equal(node.surplus(), 0n);
  });

  test('[10] a resource that was left open can be restarted by its author, and the difference goes to who pays then', () => {
    const node = withMallory();
    create(node, alice);
    const key = keyOf(alice);
    node.send({ pay: boxCost(57, 118), payer: mallory, calls: [resPut(key, alice, 100, filler(40))] });
    const before = node.account(sponsor).balance;
    node.send({ pay: 0, fee: 3000, calls: [resPut(key, alice, 60, filler(60))] });
    assert.equal(node.account(sponsor).balance, before - 3000n + 400n * 40n);
    assert.equal(node.surplus(), 0n);
  });

  test('[11] no call makes the application pay a fee', () => {
    const node = withMallory();
    create(node, alice, filler(1000));
    node.send({ pay: 50_000, payer: mallory, calls: [] });
    refused(() => node.send({ pay: 0, fee: 2000, calls: [put(alice, 1, filler(100))] }), /too small/);
    assert.equal(node.surplus(), 50_000n);
  });

  test("[12] what is given to the application is anybody's", () => {
    const node = withMallory();
    node.send({ pay: METADATA + INFO + data(10), payer: mallory, calls: [] });
    node.send({ pay: 0, calls: [put(alice, 0, filler(10))] });
    assert.equal(node.surplus(), 0n);
  });
});

describe('what can be squatted', () => {
  test('[13] names have fixed lengths: a key, a log or a resource of another length is refused', () => {
    const node = withMallory();
    create(node, alice);
    const key = keyOf(alice);
    const raw = (signature: string, args: Uint8Array[], boxes: Uint8Array[]): void => {
      const txn = algosdk.makeApplicationNoOpTxnFromObject({
        sender: alice.addr,
        appIndex: REGISTRY_APP,
        appArgs: [algosdk.ABIMethod.fromSignature(signature).getSelector(), ...args],
        boxes: boxes.map((name) => ({ appIndex: 0, name })),
        suggestedParams: node.params(0),
      });
      const pay = algosdk.makePaymentTxnWithSuggestedParamsFromObject({
        sender: sponsor.addr,
        receiver: APP_ADDRESS,
        amount: 1_000_000,
        suggestedParams: node.params(2000),
      });
      const txns = algosdk.assignGroupID([pay, txn]);
      node.submit(node.sign(txns, [sponsor, alice]));
    };
    const u64 = (value: number): Uint8Array => algosdk.encodeUint64(value);
    const bytes = (value: Uint8Array): Uint8Array => Uint8Array.from([0, value.length, ...value]);
    const open = 'logOpen(address,byte[24],uint8)void';
    const length = (type: string): RegExp => message(`invalid number of bytes for arc4.${type}`);
    const lengths = 'static_array<arc4.uint8, 24>';
    refused(() => raw(open, [key, filler(23), Uint8Array.of(1)], []), length(lengths));
    refused(() => raw(open, [key, filler(25), Uint8Array.of(1)], []), length(lengths));
    refused(() => raw(open, [filler(31), filler(24), Uint8Array.of(1)], []), length('static_array<arc4.uint8, 32>'));
    refused(
      () => raw('resPut(address,byte[24],byte[2],uint64,byte[])void', [key, filler(24), filler(3), u64(1), bytes(filler(1))], []),
      length('static_array<arc4.uint8, 2>'),
    );
    refused(() => raw('didPut(uint64,uint64,byte[])void', [u64(1), filler(9), bytes(filler(1))], []), length('uint64'));
    raw(open, [key, lid, Uint8Array.of(1)], [key, did(alice).info, head(key), segment(key, 0)]);
  });

  test('[14] a DID belongs to who can sign with its key, before and after it is created', () => {
    const node = withMallory();
    node.send({
      pay: 10_000_000,
      payer: mallory,
      calls: [put(mallory, 0, filler(10)), stage(mallory, 10, filler(10), { version: 1 }), logOpen(keyOf(mallory), mallory)],
    });
    create(node, alice);
    assert.deepEqual(payerOf(node, alice), keyOf(sponsor));
  });
});

describe('what is locked for ever', () => {
  test('[15] the two boxes of a DID, its sealed resources, the head and the last segment of a log; all else comes back', () => {
    const node = withMallory();
    const key = keyOf(alice);
    const start = node.account(sponsor).balance;
    let fees = 0n;
    const send = (pay: number, fee: number, ...calls: TestCall[]): void => {
      node.send({ pay, fee, calls });
      fees += BigInt(fee);
    };
    send(METADATA + INFO + data(300), 2000, put(alice, 0, filler(300)));
    send(boxCost(57, 28), 2000, resPut(key, alice, 10, filler(10)));
    send(OPENED, 2000, logOpen(key, alice));
    send(400 * 118, 2000, append(key, alice, 0, record(0, 100), 0));
    send(boxCost(61, 32 + 28), 2000, append(key, alice, 1, record(0x40, 10), 0));
    send(STAGED + data(50), 2000, stage(alice, 50, filler(10), { version: 1, salt: 3 }));
    send(0, 3000, prune(key, alice, 0));
    send(0, 3000, end(alice, 1));
    send(0, 3000, drop(alice, { version: 1, salt: 3 }));
    const locked = METADATA + INFO + boxCost(57, 28) + boxCost(57, 41) + boxCost(61, 32 + 28);
    assert.equal(start - node.account(sponsor).balance - fees, BigInt(locked));
    assert.equal(node.surplus(), 0n);
    for (const call of [prune(key, alice, 1), append(key, alice, 2, record(0, 10), 1), resPut(key, alice, 10, filler(10))]) {
      refused(() => node.send({ pay: 100_000, fee: 3000, calls: [call] }), message('did not active'));
    }
    assert.deepEqual((node.box(resource(key)) as Uint8Array).slice(18), filler(10), `what was issued can still be read (${oid.length})`);
  });
});
