import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import algosdk from 'algosdk';
import { REGISTRY } from '../devnet/genesis.ts';
import { accountOf, boxCost, dataName, filler, keyOf, named, sponsor, type TestCall, type TestNode, testNode } from '../devnet/testing.ts';
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
  more,
  nameOf,
  put,
  refused,
  resMore,
  resource,
  resPut,
  SALT,
  STAGED,
  stage,
} from './calls.ts';

/** The registry's bytecode as a black box: what it accepts, what it refuses, what it costs. */

describe('DID documents', () => {
  const alice = accountOf('alice');
  const bob = accountOf('bob');

  test('are created in the published layout, with the exact deposit', () => {
    const node = testNode();
    const [cost] = create(node, alice);
    assert.ok((cost as number) < 250, `costs ${cost}`);
    assert.equal(node.box(keyOf(alice))?.length, 33);
    const name = nameOf(alice, 1);
    assert.deepEqual(metadataOf(node, alice), [name, name, 1n, 300n, 1n]);
    assert.deepEqual(node.box(algosdk.encodeUint64(name)), filler(300));
    assert.equal(node.surplus(), 0n);
    const info = node.box(named('d', keyOf(alice))) as Uint8Array;
    assert.equal(info.length, 88);
    assert.deepEqual(info.slice(56), keyOf(sponsor), 'the payer is who paid');
    assert.deepEqual(info.slice(24, 56), new Uint8Array(32), 'there is no operator');
  });

  test('are refused with one microALGO too little, and nothing stays behind', () => {
    const node = testNode();
    const before = node.account(sponsor).balance;
    refused(() => node.send({ pay: METADATA + INFO + data(300) - 1, calls: [put(alice, 0, filler(300))] }), /below min/);
    assert.equal(node.box(keyOf(alice)), undefined);
    assert.equal(node.box(dataName(keyOf(alice), 1, SALT)), undefined);
    assert.equal(node.account(sponsor).balance, before);
  });

  test('are replaced in one step under a new name; the difference is paid or comes back', () => {
    const node = testNode();
    create(node, alice);
    node.send({ pay: 400 * 100, calls: [put(alice, 1, filler(400))] });
    assert.deepEqual(metadataOf(node, alice), [nameOf(alice, 2), nameOf(alice, 2), 1n, 400n, 2n]);
    assert.equal(node.box(dataName(keyOf(alice), 1, SALT)), undefined);
    const before = node.account(sponsor).balance;
    node.send({ pay: 0, fee: 3000, calls: [put(alice, 2, filler(150))] });
    assert.equal(node.account(sponsor).balance, before - 3000n + 400n * 250n);
    assert.equal(node.surplus(), 0n);
  });

  test('need the fee of a refund in the group', () => {
    const node = testNode();
    create(node, alice);
    refused(() => node.send({ pay: 0, fee: 2000, calls: [put(alice, 1, filler(100))] }), /fee too small|too small \(needs/);
  });

  test('reject a stale version, a second creation and a version that is ahead', () => {
    const node = testNode();
    create(node, alice);
    for (const version of [0, 2]) {
      const call = put(alice, version, filler(300), { salt: 8 });
      refused(() => node.send({ pay: 500_000, calls: [call] }), message('did version'));
    }
    refused(() => node.send({ pay: 500_000, calls: [put(bob, 1, filler(300))] }), message('did version'));
  });

  test('are staged in parts when they are large, and put by the last part', () => {
    const node = testNode();
    const document = filler(5000, 3);
    const calls = [
      stage(alice, 5000, document.slice(0, 1900)),
      more(alice, 1900, document.slice(1900, 3800)),
      commit(alice, 0, document.slice(3800)),
    ];
    node.send({ pay: STAGED + data(5000) + METADATA + INFO - STAGED, calls });
    assert.deepEqual(node.box(dataName(keyOf(alice), 1, SALT)), document);
    assert.deepEqual(metadataOf(node, alice), [nameOf(alice, 1), nameOf(alice, 1), 1n, 5000n, 1n]);
    assert.equal(node.box(did(alice).staged), undefined);
    assert.equal(node.surplus(), 0n);
  });

  test('are replaced by a staged one, whose last part says which', () => {
    const node = testNode();
    create(node, alice);
    const document = filler(3000, 5);
    const old = dataName(keyOf(alice), 1, SALT);
    const calls = (salt: number) => [
      stage(alice, 3000, document.slice(0, 1500), { version: 1 }),
      commit(alice, 1, document.slice(1500), { salt, boxes: [old, dataName(keyOf(alice), 2, salt)] }),
    ];
    refused(() => node.send({ pay: STAGED + data(3000), fee: 4000, calls: calls(8) }), message('staged document'));
    const before = node.account(sponsor).balance;
    node.send({ pay: STAGED + data(3000), fee: 4000, calls: calls(SALT) });
    assert.deepEqual(node.box(dataName(keyOf(alice), 2, SALT)), document);
    assert.equal(node.box(old), undefined);
    assert.equal(node.account(sponsor).balance, before - 4000n - BigInt(data(3000) - data(300)));
    assert.equal(node.surplus(), 0n);
  });

  test('that were staged and given up are dropped, also by the next one, and the deposit goes to who paid it', () => {
    const node = testNode();
    const rich = accountOf('another payer');
    node.submit(faucet(node, rich, 10_000_000));
    const address = rich.addr.toString();
    const locked = BigInt(STAGED + data(2000));
    const given = (version: number) =>
      node.send({ pay: Number(locked), payer: rich, calls: [stage(alice, 2000, filler(100), { version })] });
    given(0);
    const before = node.account(rich).balance;
    const next = (accounts: string[]) => stage(alice, 500, filler(100), { salt: 8, drops: [dataName(keyOf(alice), 1, SALT)], accounts });
    refused(() => node.send({ pay: STAGED + data(500), fee: 3000, calls: [next([])] }), /unavailable Account/);
    node.send({ pay: STAGED + data(500), fee: 3000, calls: [next([address])] });
    assert.equal(node.account(rich).balance, before + locked);
    const own = node.account(sponsor).balance;
    node.send({ pay: 0, fee: 3000, calls: [drop(alice, { salt: 8 })] });
    assert.equal(node.account(sponsor).balance, own - 3000n + BigInt(STAGED + data(500)));
    refused(() => node.send({ pay: 0, fee: 3000, calls: [drop(alice, { salt: 8 })] }), /no such box/);
    assert.equal(node.surplus(), 0n);
  });

  test('end for good: the document goes, the metadata says so, nothing can be written again', () => {
    const node = testNode();
    create(node, alice);
    const { key } = did(alice);
    refused(() => node.send({ pay: 0, fee: 3000, calls: [end(alice, 2)] }), message('did version'));
    const before = node.account(sponsor).balance;
    node.send({ pay: 0, fee: 3000, calls: [end(alice, 1)] });
    assert.equal(node.account(sponsor).balance, before - 3000n + BigInt(data(300)));
    assert.deepEqual(metadataOf(node, alice), [0n, 0n, 2n, 0n, 2n]);
    assert.equal(node.surplus(), 0n);
    for (const version of [0, 2]) {
      refused(() => node.send({ pay: 500_000, calls: [put(alice, version, filler(300))] }), message('did not active'));
    }
    refused(() => node.send({ pay: 500_000, calls: [resPut(key, alice, 10, filler(10))] }), message('did not active'));
  });
});

describe('resources', () => {
  const issuer = accountOf('issuer');
  const operator = accountOf('operator');
  const stranger = accountOf('stranger');
  const key = keyOf(issuer);
  const open = (): TestNode => {
    const node = testNode();
    create(node, issuer);
    return node;
  };

  test('are sealed by the part that completes them, and stamped', () => {
    const node = open();
    const payload = filler(4500, 9);
    const calls = [
      resPut(key, issuer, 4500, payload.slice(0, 1900), 1),
      resMore(key, issuer, payload.slice(1900, 3800)),
      resMore(key, issuer, payload.slice(3800)),
    ];
    node.send({ pay: boxCost(57, 4518), calls });
    const box = node.box(resource(key)) as Uint8Array;
    assert.deepEqual(box.slice(18), payload);
    assert.deepEqual([...box.slice(0, 2)], [1, 2]);
    assert.equal(new DataView(box.buffer).getBigUint64(2), node.lastSeen());
    assert.equal(new DataView(box.buffer).getBigUint64(10), node.round());
    assert.equal(node.surplus(), 0n);
  });

  test('are never written again once sealed', () => {
    const node = open();
    node.send({ pay: boxCost(57, 28), calls: [resPut(key, issuer, 10, filler(10))] });
    refused(() => node.send({ pay: 100_000, calls: [resPut(key, issuer, 10, filler(10, 2))] }), message('resource sealed'));
    refused(
      () => node.send({ calls: [{ ...resMore(key, issuer, filler(1)), boxes: [resource(key), key] }], pay: 0 }),
      message('resource sealed'),
    );
    assert.deepEqual(node.box(resource(key))?.slice(18), filler(10));
  });

  test('that were left open can be finished or started anew', () => {
    const node = open();
    node.send({ pay: boxCost(57, 118), calls: [resPut(key, issuer, 100, filler(40))] });
    assert.equal((node.box(resource(key)) as Uint8Array)[0], 0x81);
    const before = node.account(sponsor).balance;
    node.send({ pay: 0, fee: 3000, calls: [resPut(key, issuer, 60, filler(20, 5))] });
    assert.equal(node.account(sponsor).balance, before - 3000n + 400n * 40n);
    node.send({ pay: 0, calls: [{ ...resMore(key, issuer, filler(40, 6)), boxes: [resource(key), key] }] });
    assert.equal((node.box(resource(key)) as Uint8Array)[0], 1);
    assert.equal(node.surplus(), 0n);
  });

  test('take writes from the key and its operator, from nobody else', () => {
    const node = open();
    refused(() => node.send({ pay: 100_000, calls: [resPut(key, stranger, 10, filler(10))] }), message('not the DID key or its operator'));
    refused(() => node.send({ pay: 100_000, calls: [resPut(keyOf(stranger), stranger, 10, filler(10))] }), /no such box/);
    node.send({ pay: 0, calls: [{ method: 'setOperator(address)void', args: [keyOf(operator)], from: issuer, boxes: [named('d', key)] }] });
    node.send({ pay: boxCost(57, 28), calls: [resPut(key, operator, 10, filler(10))] });
    refused(
      () =>
        node.send({
          pay: 0,
          calls: [{ method: 'setOperator(address)void', args: [keyOf(stranger)], from: operator, boxes: [named('d', keyOf(operator))] }],
        }),
      /no such box/,
    );
  });

  test('never overrun the size that was announced', () => {
    const node = open();
    refused(() => node.send({ pay: 100_000, calls: [resPut(key, issuer, 10, filler(11))] }), /beyond original length/);
  });
});

describe('status logs', () => {
  const issuer = accountOf('issuer');
  const key = keyOf(issuer);
  const lid = filler(24, 11);
  const head = named('l', key, lid);
  const segment = (number: number): Uint8Array => named('g', key, lid, Uint8Array.of(0, 0, 0, number));
  const append = (expected: number, record: Uint8Array, number: number, extra: Uint8Array[] = []): TestCall => ({
    method: 'logAppend(address,byte[24],uint64,byte[])void',
    args: [key, lid, expected, record],
    from: issuer,
    boxes: [key, head, segment(number), ...extra, ...new Array<Uint8Array>(4 - extra.length).fill(new Uint8Array())],
  });
  const record = (flags: number, length: number): Uint8Array => Uint8Array.from([flags, ...filler(length - 1)]);
  const open = (): TestNode => {
    const node = testNode();
    create(node, issuer);
    node.send({
      pay: boxCost(57, 41) + boxCost(61, 32),
      calls: [{ method: 'logOpen(address,byte[24],uint8)void', args: [key, lid, 1], from: issuer, boxes: [key, head, segment(0)] }],
    });
    return node;
  };
  const headOf = (node: TestNode) => {
    const box = node.box(head) as Uint8Array;
    const view = new DataView(box.buffer);
    return {
      kind: view.getUint8(0),
      entries: view.getBigUint64(1),
      segment: view.getBigUint64(9),
      updated: view.getBigUint64(25),
      round: view.getBigUint64(33),
    };
  };

  test('append with compare-and-swap; each record carries its time and round', () => {
    const node = open();
    node.send({ pay: 400 * 118, calls: [append(0, record(0, 100), 0)] });
    refused(() => node.send({ pay: 400 * 118, calls: [append(0, record(0, 100), 0)] }), message('log entries'));
    node.send({ pay: 400 * 68, calls: [append(1, record(0, 50), 0)] });
    const box = node.box(segment(0)) as Uint8Array;
    assert.deepEqual(box.slice(0, 32), keyOf(sponsor), 'a segment begins with who paid for it');
    const log = box.slice(32);
    const view = new DataView(log.buffer);
    assert.equal(log.length, 118 + 68);
    assert.equal(view.getUint16(0), 100);
    assert.deepEqual(log.slice(18, 118), record(0, 100));
    assert.ok(view.getBigUint64(118 + 2) > view.getBigUint64(2), 'times increase');
    const { entries, round, updated } = headOf(node);
    assert.deepEqual([entries, round, updated], [2n, node.round(), node.lastSeen()]);
    assert.equal(node.surplus(), 0n);
  });

  test('give one time to the parts of a record, and refuse a second record at it', () => {
    const node = open();
    node.send({ pay: 400 * (118 + 68), calls: [append(0, record(0x80, 100), 0), append(1, record(0, 50), 0)] });
    const view = new DataView((node.box(segment(0)) as Uint8Array).slice(32).buffer);
    assert.equal(view.getBigUint64(120), view.getBigUint64(2));
    assert.equal(headOf(node).kind, 1);
    refused(() => node.send({ pay: 400 * 136, calls: [append(2, record(0, 50), 0), append(3, record(0, 50), 0)] }), message('log time'));
  });

  test('roll over to a new segment; a segment that is not current can be pruned, and its deposit comes back exactly', () => {
    const node = open();
    node.send({ pay: 400 * 118, calls: [append(0, record(0, 100), 0)] });
    node.send({ pay: boxCost(61, 32 + 68), calls: [append(1, record(0x40, 50), 0, [segment(1)])] });
    assert.equal(headOf(node).segment, 1n);
    const prune = (number: number): TestCall => ({
      method: 'logPrune(address,byte[24],uint64)void',
      args: [key, lid, number],
      from: issuer,
      boxes: [key, head, named('d', key), segment(number)],
      accounts: [],
    });
    refused(() => node.send({ pay: 0, fee: 3000, calls: [prune(1)] }), message('current segment'));
    const before = node.account(sponsor).balance;
    node.send({ pay: 0, fee: 3000, calls: [prune(0)] });
    assert.equal(node.account(sponsor).balance, before - 3000n + BigInt(boxCost(61, 32 + 118)));
    assert.equal(node.surplus(), 0n);
    refused(() => node.send({ pay: 0, fee: 3000, calls: [prune(0)] }), message('no such segment'));
  });

  test('begin a new record with a new segment, whatever the last one lacks', () => {
    const node = open();
    node.send({ pay: 400 * 118, calls: [append(0, record(0x80, 100), 0)] });
    assert.equal(headOf(node).kind, 0x81, 'the record is incomplete');
    node.send({ pay: boxCost(61, 32 + 68), calls: [append(1, record(0x40, 50), 0, [segment(1)])] });
    const view = new DataView((node.box(segment(1)) as Uint8Array).slice(32).buffer);
    assert.equal(view.getBigUint64(2), node.lastSeen(), 'it has a time of its own');
    assert.equal(headOf(node).kind, 1);
    const twice = [append(2, record(0x80, 50), 1), append(3, record(0x40, 50), 2)];
    refused(() => node.send({ pay: boxCost(61, 32 + 68) + 400 * 68, calls: twice }), message('log time'));
  });

  test('keep a segment within 8,192 bytes', () => {
    const node = open();
    for (let i = 0; i < 4; i++) node.send({ pay: 400 * 1918, calls: [append(i, record(0, 1900), 0)] });
    refused(() => node.send({ pay: 400 * 1918, calls: [append(4, record(0, 1900), 0)] }), message('segment full'));
  });
});

test('the program has no update and no delete', () => {
  const node = testNode();
  const { UpdateApplicationOC, DeleteApplicationOC } = algosdk.OnApplicationComplete;
  const selectors = REGISTRY.methods.map((signature) => algosdk.ABIMethod.fromSignature(signature).getSelector());
  assert.equal(selectors.length, 12);
  for (const onComplete of [UpdateApplicationOC, DeleteApplicationOC]) {
    for (const selector of [undefined, ...selectors]) {
      const programs = onComplete === UpdateApplicationOC ? { approvalProgram: REGISTRY.clear, clearProgram: REGISTRY.clear } : {};
      const txn = algosdk.makeApplicationCallTxnFromObject({
        sender: sponsor.addr,
        appIndex: 1001,
        onComplete,
        ...(selector && { appArgs: [selector] }),
        ...programs,
        suggestedParams: node.params(1000),
      });
      refused(() => node.submit(node.sign([txn], [sponsor])), /rejected by ApprovalProgram|assert failed/);
    }
  }
});
