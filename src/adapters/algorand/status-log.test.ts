import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import algosdk from 'algosdk';
import {
  admin,
  algorandLedger,
  between,
  configOf,
  type Devnet,
  devLedgerOnly,
  type Issuer,
  newIssuer,
  perform,
  prepare,
  prepared,
  published,
  startDevnet,
} from '../../../test/support/ledger.ts';
import {
  accumulatorOf,
  appendWrite,
  fails,
  indicesOf,
  operatorOf,
  registryOf,
  registryWrite,
  statusOf,
} from '../../../test/support/status.ts';
import type { Ledger, LedgerWrite } from '../../ports/ledger.ts';
import { logBox, parseObjectId, segmentBox } from './ids.ts';

/** Registries and their status logs on a ledger. */

let devnet: Devnet;
let ledger: Ledger;
before(async () => {
  devnet = await startDevnet();
  ledger = algorandLedger(configOf(devnet));
});
after(() => devnet.close());

const algod = (): algosdk.Algodv2 => new algosdk.Algodv2(devnet.token, devnet.url);
const advance = (rounds: number): Promise<void> => admin(devnet, 'POST', 'advance', { rounds });
const fault = (kind: string, more: object = {}): Promise<void> => admin(devnet, 'POST', 'faults', { kind, ...more });
const SUBMIT = { path: '/v2/transactions' };

/** A registry that is on the ledger, with its issuer. */
const registry = async (size = 100): Promise<{ did: string; issuer: Issuer; id: string }> => {
  const { did, issuer } = await published(ledger);
  const write = registryWrite(ledger, registryOf(did, size), []);
  assert.equal((await perform(ledger, write, issuer)).state, 'confirmed');
  return { did, issuer, id: write.id };
};

/** The next record of a registry, on what the ledger says now. */
const revoke = async (id: string, indices: number[], issuer: Issuer, by: Ledger = ledger): Promise<void> => {
  const { status, entries } = await by.statusAt(id);
  const size = Buffer.from(status.revoked, 'base64url').length * 8;
  const outcome = await perform(by, appendWrite(id, entries, statusOf(size, [...indicesOf(status), ...indices])), issuer);
  assert.deepEqual(outcome.state, 'confirmed', JSON.stringify(outcome));
};

const boxValue = async (name: Uint8Array): Promise<string> =>
  Buffer.from((await algod().getApplicationBoxByName(devnet.appId, name).do()).value).toString('base64');
const corrupt = (name: Uint8Array, value: string | null): Promise<void> =>
  admin(devnet, 'POST', 'corrupt', { app: devnet.appId, name: Buffer.from(name).toString('base64'), value });

describe('a registry', () => {
  test('is written with its log and first record in one group, and read back', async () => {
    const { did, issuer } = await published(ledger);
    const definition = registryOf(did, 1_000);
    const write = registryWrite(ledger, definition, []);
    await fails(ledger.statusAt(write.id), 'object-not-found');
    const made = await prepare(ledger, write, 'registry', issuer.sign);
    assert.equal(made.state, 'signed');
    if (made.state !== 'signed') return;
    assert.equal(made.signed.txids.length, 4);
    assert.equal((await ledger.send(made.signed)).state, 'confirmed');
    assert.equal((await ledger.send(made.signed)).state, 'confirmed', 'sending it again is harmless');
    assert.deepEqual(await prepare(ledger, write, 'again', issuer.sign), { state: 'done' });
    assert.deepEqual(await ledger.read(write.id, 'REV_REG_DEF'), definition);
    const state = await ledger.statusAt(write.id);
    assert.deepEqual(state.status, write.status);
    assert.deepEqual([state.entries, state.settled, state.next], [1, true, undefined]);
    assert.throws(() => Object.assign(state, { entries: 2 }), TypeError);
    await revoke(write.id, [1], issuer);
    assert.deepEqual(await prepare(ledger, write, 'again', issuer.sign), { state: 'done' }, 'it is there, whatever came after');
    const other = { ...write, status: statusOf(1_000, [2]) };
    await fails(ledger.plan(other, 'other'), 'status-overtaken');
  });

  test('needs its DID, its own identifier, a size, and a status of that size', async () => {
    const stranger = newIssuer();
    const absent = ledger.didOf(stranger.publicKey);
    await fails(ledger.plan(registryWrite(ledger, registryOf(absent, 4), []), 'x'), 'did-not-found');
    const { did, issuer } = await published(ledger);
    const write = registryWrite(ledger, registryOf(did, 8), []);
    await fails(ledger.plan({ ...write, id: write.id.slice(0, -4).padEnd(write.id.length, 'A') }, 'x'), 'object-invalid');
    await fails(ledger.plan({ ...write, status: statusOf(16, []) }, 'x'), 'object-invalid');
    await fails(ledger.plan({ ...write, status: { ...write.status, accumulator: 'none' } }, 'x'), 'object-invalid');
    await fails(ledger.plan(registryWrite(ledger, registryOf(did, 40_000), []), 'x'), 'object-invalid');
    await fails(ledger.plan(appendWrite(write.id, 1, statusOf(8, [1])), 'x'), 'object-not-found');
    assert.equal((await perform(ledger, { kind: 'did-deactivate', did }, issuer)).state, 'confirmed');
    await fails(ledger.plan(write, 'x'), 'did-invalid');
  });

  test('waits for money, and leaves nothing behind until there is some', async () => {
    const poor = algosdk.generateAccount();
    const own = algorandLedger(configOf(devnet, { sponsorMnemonic: algosdk.secretKeyToMnemonic(poor.sk) }));
    const { did, issuer } = await published(ledger);
    const write = registryWrite(own, registryOf(did, 4), []);
    const wait = await own.plan(write, 'poor');
    assert.equal(wait.state, 'wait');
    if (wait.state !== 'wait') return;
    await fails(own.statusAt(write.id), 'object-not-found');
    await admin(devnet, 'POST', 'fund', { address: poor.addr.toString(), amount: wait.needed });
    assert.equal((await perform(own, write, issuer)).state, 'confirmed');
    const { amount } = await algod().accountInformation(poor.addr).do();
    assert.equal(amount, 100_000n, 'what is needed is exact');
  });
});

describe('states', () => {
  test('are in force from their record on, and found by any time', async () => {
    const { id, issuer } = await registry();
    const first = await ledger.statusAt(id);
    for (const index of [5, 7, 99]) {
      await advance(3);
      await revoke(id, [index], issuer);
    }
    const last = await ledger.statusAt(id);
    assert.deepEqual(indicesOf(last.status), [5, 7, 99]);
    assert.equal(last.entries, 4);
    const times = [first.time];
    for (let { next } = await ledger.statusAt(id, first.time); next !== undefined; { next } = await ledger.statusAt(id, next))
      times.push(next);
    assert.equal(times.length, 4);
    for (const [i, time] of times.entries()) {
      const expected = [5, 7, 99].slice(0, i);
      for (const at of [time, time + 1, (times[i + 1] ?? time + 4) - 1]) {
        const found = await ledger.statusAt(id, at);
        assert.deepEqual([found.time, indicesOf(found.status)], [time, expected], `at ${at}`);
      }
    }
    await fails(ledger.statusAt(id, first.time - 1), 'status-none');
    await fails(ledger.statusAt(id, 0), 'status-none');
  });

  test('are settled once a block is later than the time that was asked for', { skip: devLedgerOnly }, async () => {
    const { id, issuer } = await registry();
    const { lastRound } = await algod().status().do();
    const now = Number((await algod().block(lastRound).headerOnly(true).do()).block.header.timestamp);
    assert.equal((await ledger.statusAt(id, now)).settled, false, 'a record of the next block has this time');
    assert.equal((await ledger.statusAt(id, now - 1)).settled, true);
    assert.equal((await ledger.statusAt(id, now + 3_600)).settled, false);
    await revoke(id, [3], issuer);
    const then = await ledger.statusAt(id, now);
    assert.deepEqual([then.time, then.settled, indicesOf(then.status)], [now, true, [3]]);
  });

  test('that are settled are remembered, and no others', async () => {
    const { id } = await registry();
    let boxes = 0;
    const node = await between(devnet, async (path) => {
      if (path.includes('/box?')) boxes += 1;
      return undefined;
    });
    try {
      const reader = algorandLedger(configOf(devnet, { algodUrl: node.url }));
      const { time } = await reader.statusAt(id);
      const settled = await reader.statusAt(id, time);
      assert.equal(settled.settled, true);
      const seen = boxes;
      assert.equal(await reader.statusAt(id, time), settled);
      assert.equal(boxes, seen);
      await reader.statusAt(id, time, { fresh: true });
      assert.ok(boxes > seen, 'a fresh reading asks again');
      const before = boxes;
      await reader.statusAt(id);
      assert.ok(boxes > before, 'the last state is read again');
    } finally {
      await node.close();
    }
  });

  test('of half of 32,768 credentials take three parts of one group', async () => {
    const { id, issuer } = await registry(32_768);
    const drawn = Buffer.concat(Array.from({ length: 128 }, (_none, i) => createHash('sha256').update(String(i)).digest()));
    const half = Array.from({ length: 32_767 }, (_none, i) => i + 1).filter((i) => (drawn[i >> 3] as number) & (1 << (i & 7)));
    const status = statusOf(32_768, half);
    const signed = await prepared(ledger, appendWrite(id, 1, status), issuer);
    assert.equal(signed.txids.length, 4);
    assert.equal((await ledger.send(signed)).state, 'confirmed');
    const state = await ledger.statusAt(id);
    assert.deepEqual(state.status, status);
    assert.equal(state.entries, 4, 'each part is an entry');
    await revoke(id, [32_767], issuer);
    assert.equal((await ledger.statusAt(id)).entries, 5);
  });

  test('of another network, of what is no registry, or of a registry without a log are refused', async () => {
    const { did, issuer } = await published(ledger);
    const definition = registryOf(did, 4);
    const id = ledger.idOf(did, 'REV_REG_DEF', definition);
    await fails(ledger.statusAt(id.replace('custom', 'testnet')), 'did-unsupported');
    await fails(ledger.statusAt(id.replace('REV_REG_DEF', 'SCHEMA')), 'object-invalid');
    await perform(ledger, { kind: 'object-put', id, did, type: 'REV_REG_DEF', object: definition }, issuer);
    await fails(ledger.statusAt(id), 'object-not-found', /no status log/);
    // a definition that is there already gets its log
    const write = registryWrite(ledger, definition, []);
    assert.equal((await prepared(ledger, write, issuer)).txids.length, 3);
    assert.equal((await perform(ledger, write, issuer)).state, 'confirmed');
    assert.equal((await ledger.statusAt(id)).entries, 1);
  });
});

describe('records', () => {
  test('that two writers order at once come one after the other: the later one reads, merges and orders anew', async () => {
    const { id, issuer } = await registry();
    const [mine, theirs] = [appendWrite(id, 1, statusOf(100, [4])), appendWrite(id, 1, statusOf(100, [9]))];
    const late = await prepared(ledger, mine, issuer);
    assert.equal((await perform(ledger, theirs, issuer)).state, 'confirmed');
    const outcome = await ledger.send(late);
    assert.deepEqual([outcome.state, outcome.state === 'rejected' && outcome.rebuild], ['rejected', true]);
    assert.match(outcome.state === 'rejected' ? outcome.reason : '', /^log-moved: log entries$/);
    await fails(ledger.plan(mine, 'again'), 'status-overtaken');
    assert.deepEqual(await ledger.plan(theirs, 'again'), { state: 'done' });
    await revoke(id, [4], issuer);
    assert.deepEqual(indicesOf((await ledger.statusAt(id)).status), [4, 9]);
  });

  test('of a second writer with the operator’s key are merged', async () => {
    const { id, did, issuer } = await registry();
    const operator = await operatorOf(devnet, did, issuer);
    const mine = appendWrite(id, 1, statusOf(100, [4]));
    const late = await prepared(ledger, mine, issuer);
    await operator.append(id, 1, [statusOf(100, [50])]);
    assert.equal((await ledger.send(late)).state, 'rejected');
    await fails(ledger.plan(mine, 'again'), 'status-overtaken');
    await revoke(id, [4], issuer);
    const { status, entries } = await ledger.statusAt(id);
    assert.deepEqual(indicesOf(status), [4, 50]);
    assert.equal(entries, 3);
  });

  test('that an operator left torn are none, and the next one begins a segment', async () => {
    const { id, did, issuer } = await registry();
    const operator = await operatorOf(devnet, did, issuer);
    await operator.append(id, 1, [statusOf(100, [50])], { torn: true });
    const torn = await ledger.statusAt(id);
    assert.deepEqual([indicesOf(torn.status), torn.entries], [[], 2]);
    await revoke(id, [4], issuer);
    const { status, entries } = await ledger.statusAt(id);
    assert.deepEqual([indicesOf(status), entries], [[4], 3]);
    const { owner, oid } = parseObjectId(id);
    await algod()
      .getApplicationBoxByName(devnet.appId, segmentBox(owner.key, oid, 1))
      .do();
  });

  test('that another sponsor pays begin a segment of its own, and what is pruned goes back to who paid', async () => {
    const { id, issuer } = await registry();
    const rich = algosdk.generateAccount();
    await admin(devnet, 'POST', 'fund', { address: rich.addr.toString(), amount: 5_000_000 });
    const own = algorandLedger(configOf(devnet, { sponsorMnemonic: algosdk.secretKeyToMnemonic(rich.sk) }));
    const held = async (): Promise<bigint> => (await algod().accountInformation(rich.addr).do()).amount;
    const start = await held();
    await revoke(id, [1], issuer, own);
    await revoke(id, [2], issuer, own);
    await revoke(id, [3], issuer);
    const spent = start - (await held());
    assert.ok(spent > 200_000n, String(spent));
    const { time } = await ledger.statusAt(id);
    assert.equal(
      (await perform(ledger, { kind: 'status-prune', id, did: parseObjectId(id).owner.did, before: time }, issuer)).state,
      'confirmed',
    );
    assert.equal(start - (await held()), 4_000n, 'only the fees are gone');
    assert.deepEqual(indicesOf((await ledger.statusAt(id)).status), [1, 2, 3]);
  });

  test('of a log that the node shows with fewer entries wait', async () => {
    const { id } = await registry();
    await fails(ledger.plan(appendWrite(id, 2, statusOf(100, [4])), 'x'), 'ledger-unavailable');
  });
});

describe('a long log', () => {
  test('goes on in new segments, is read at any time, and is pruned', async () => {
    const { id, issuer, did } = await registry(1_000);
    const { owner, oid } = parseObjectId(id);
    const times: number[] = [(await ledger.statusAt(id)).time];
    for (let index = 1; index <= 110; index++) {
      await revoke(id, [index], issuer);
      times.push((await ledger.statusAt(id)).time);
    }
    const sizes: number[] = [];
    for (let number = 0; ; number++) {
      const box = await algod()
        .getApplicationBoxByName(devnet.appId, segmentBox(owner.key, oid, number))
        .do()
        .catch(() => undefined);
      if (box === undefined) break;
      sizes.push(box.value.length);
    }
    assert.ok(sizes.length >= 3, String(sizes));
    assert.ok(
      sizes.slice(0, -1).every((size) => size > 7_900 && size <= 8_192),
      String(sizes),
    );
    const reader = algorandLedger(configOf(devnet));
    for (const at of [0, 1, 34, 35, 36, 60, 72, 100, 110])
      assert.equal(indicesOf((await reader.statusAt(id, times[at]!)).status).length, at, `state ${at}`);

    const write: LedgerWrite = { kind: 'status-prune', id, did, before: times[60]! };
    const before = await surplus();
    assert.equal((await perform(ledger, write, issuer)).state, 'confirmed');
    assert.deepEqual(await ledger.plan(write, 'again'), { state: 'done' });
    assert.equal(await surplus(), before, 'the application keeps what its boxes lock, and no more');
    const fresh = algorandLedger(configOf(devnet));
    await fails(fresh.statusAt(id, times[0]!), 'status-pruned');
    for (const at of [60, 100, 110]) assert.equal(indicesOf((await fresh.statusAt(id, times[at]!)).status).length, at);
    await revoke(id, [500], issuer);
    assert.equal((await fresh.statusAt(id)).entries, 112);
    assert.deepEqual(await ledger.plan(registryWrite(ledger, registryOf(did, 1_000), []), 'x'), { state: 'done' });
  });

  test('of more segments than one group removes is pruned by several', async () => {
    const { id, issuer, did } = await registry(4);
    const [rich, poor] = [ledger, algosdk.generateAccount()];
    await admin(devnet, 'POST', 'fund', { address: poor.addr.toString(), amount: 20_000_000 });
    const other = algorandLedger(configOf(devnet, { sponsorMnemonic: algosdk.secretKeyToMnemonic(poor.sk) }));
    for (let i = 0; i < 20; i++) await revoke(id, [1 + (i % 3)], issuer, i % 2 === 0 ? other : rich);
    const { time } = await ledger.statusAt(id);
    const write: LedgerWrite = { kind: 'status-prune', id, did, before: time };
    await admin(devnet, 'POST', 'pool', { feePerByte: 2 });
    assert.equal((await ledger.plan(write, 'congested')).state, 'planned');
    await admin(devnet, 'DELETE', 'faults');
    const first = await prepared(ledger, write, issuer);
    assert.deepEqual([first.txids.length, first.piece], [14, { number: 0, more: true }]);
    assert.equal((await ledger.send(first)).state, 'confirmed');
    await advance(1_100);
    assert.equal((await ledger.outcome(first)).state, 'confirmed', 'it is known by its effect');
    const second = await prepared(ledger, write, issuer);
    assert.deepEqual([second.txids.length, second.piece], [8, { number: 13, more: false }]);
    assert.equal((await ledger.send(second)).state, 'confirmed');
    assert.deepEqual(await ledger.plan(write, 'again'), { state: 'done' });
  });
});

const surplus = async (): Promise<bigint> => {
  const { amount, minBalance } = await algod().accountInformation(algosdk.getApplicationAddress(devnet.appId)).do();
  return amount - minBalance;
};

describe('a damaged box', () => {
  for (const [what, damage] of [
    ['an accumulator that ends early', (box: Buffer) => cutLast(box, 150)],
    ['a length beyond the box', (box: Buffer) => box.subarray(0, -1)],
    ['a bit beyond the last credential', (box: Buffer) => Buffer.concat([box.subarray(0, -1), Buffer.from([0x7f])])],
    ['a time that goes back', (box: Buffer) => withByte(box, lastAt(box) + 9, 0)],
    ['parts of different records', (box: Buffer) => withByte(box, 32 + 18, 0x88)],
  ] as const)
    test(`is invalid and not believed later: ${what}`, { skip: devLedgerOnly }, async () => {
      const { id, issuer } = await registry();
      await revoke(id, [4], issuer);
      const { owner, oid } = parseObjectId(id);
      const name = segmentBox(owner.key, oid, 0);
      const good = await boxValue(name);
      const { time } = await ledger.statusAt(id);
      await corrupt(name, damage(Buffer.from(good, 'base64')).toString('base64'));
      const reader = algorandLedger(configOf(devnet));
      await fails(reader.statusAt(id), 'object-invalid');
      await fails(reader.statusAt(id, time), 'object-invalid');
      await corrupt(name, good);
      assert.deepEqual(indicesOf((await reader.statusAt(id)).status), [4]);
      assert.deepEqual(indicesOf((await reader.statusAt(id, time)).status), [4]);
    });

  test('of the head is invalid and not believed later', { skip: devLedgerOnly }, async () => {
    const { id } = await registry();
    const { owner, oid } = parseObjectId(id);
    const name = logBox(owner.key, oid);
    const good = await boxValue(name);
    for (const damage of [withByte(Buffer.from(good, 'base64'), 0, 2), withByte(Buffer.from(good, 'base64'), 32, 1)]) {
      await corrupt(name, damage.toString('base64'));
      await fails(ledger.statusAt(id), 'object-invalid');
    }
    await corrupt(name, good);
    assert.equal((await ledger.statusAt(id)).entries, 1);
  });

  test('of a record does not stop the next one, which begins a segment', { skip: devLedgerOnly }, async () => {
    const { id, issuer } = await registry();
    const { owner, oid } = parseObjectId(id);
    const name = segmentBox(owner.key, oid, 0);
    const box = Buffer.from(await boxValue(name), 'base64');
    await corrupt(name, withByte(box, 32 + 18, 0x18).toString('base64'));
    await fails(ledger.statusAt(id), 'object-invalid');
    await fails(ledger.plan(appendWrite(id, 1, statusOf(100, [8])), 'x'), 'object-invalid');
    await corrupt(name, withByte(box, 32 + 18, 0x09).toString('base64'));
    await fails(ledger.statusAt(id), 'object-invalid');
    assert.equal((await perform(ledger, appendWrite(id, 1, statusOf(100, [8])), issuer)).state, 'confirmed');
    assert.deepEqual(indicesOf((await ledger.statusAt(id)).status), [8]);
  });
});

/** Where the last entry of a segment begins. */
const lastAt = (box: Buffer): number => {
  let at = 32;
  for (let next = at; next < box.length; next += 18 + box.readUInt16BE(next)) at = next;
  return at;
};
const withByte = (box: Buffer, at: number, value: number): Buffer => {
  const changed = Buffer.from(box);
  changed[at] = value;
  return changed;
};
/** Makes the last entry so much shorter. */
const cutLast = (box: Buffer, by: number): Buffer => {
  const at = lastAt(box);
  const changed = Buffer.from(box.subarray(0, box.length - by));
  changed.writeUInt16BE(box.readUInt16BE(at) - by, at);
  return changed;
};

describe('a record whose way is disturbed', () => {
  const setting = async () => {
    const { id, issuer } = await registry();
    const write = appendWrite(id, 1, statusOf(100, [6]));
    return { id, issuer, write, signed: await prepared(ledger, write, issuer) };
  };
  const once = async (id: string): Promise<void> => {
    const { status, entries } = await ledger.statusAt(id);
    assert.deepEqual([indicesOf(status), entries], [[6], 2]);
  };

  test('that never arrived is sent again', async () => {
    const { id, signed } = await setting();
    await fault('drop', SUBMIT);
    await fails(ledger.send(signed), 'ledger-unavailable');
    assert.equal((await ledger.statusAt(id)).entries, 1, 'no state is ahead of the ledger');
    assert.equal((await ledger.send(signed)).state, 'confirmed');
    await once(id);
  });

  test('whose answer is lost is there once', async () => {
    const { id, signed, write } = await setting();
    await fault('drop-after', SUBMIT);
    await fails(ledger.send(signed), 'ledger-unavailable');
    assert.equal((await ledger.send(signed)).state, 'confirmed');
    assert.deepEqual(await ledger.plan(write, 'again'), { state: 'done' });
    await once(id);
  });

  test('that is rejected, expires or is held is planned anew', async () => {
    for (const kind of ['reject', 'expire', 'hold']) {
      const { id, signed, write, issuer } = await setting();
      await fault(kind, { ...SUBMIT, message: 'TransactionPool.Remember: transaction X: account Y balance 1 below min 2 (0 assets)' });
      const outcome = await ledger.send(signed);
      assert.notEqual(outcome.state, 'confirmed', kind);
      if (kind === 'hold') await advance(40);
      if (kind === 'hold') assert.deepEqual(await ledger.outcome(signed), { state: 'expired' });
      assert.equal((await ledger.statusAt(id)).entries, 1, kind);
      assert.equal((await perform(ledger, write, issuer)).state, 'confirmed', kind);
      await once(id);
    }
  });

  test('that a lagging node does not show yet is not taken for overtaken', { skip: devLedgerOnly }, async () => {
    const { id, signed, issuer } = await setting();
    assert.equal((await ledger.send(signed)).state, 'confirmed');
    await admin(devnet, 'POST', 'lag', { rounds: 1 });
    await fails(ledger.plan(appendWrite(id, 2, statusOf(100, [6, 7])), 'x'), 'ledger-unavailable');
    await admin(devnet, 'DELETE', 'faults');
    await revoke(id, [7], issuer);
    assert.deepEqual(indicesOf((await ledger.statusAt(id)).status), [6, 7]);
  });

  test('that landed long ago is known by its effect', async () => {
    const { signed, id, issuer } = await setting();
    await ledger.send(signed);
    await revoke(id, [7], issuer);
    await advance(1_100);
    assert.equal((await ledger.outcome(signed)).state, 'confirmed');
  });
});

test('accumulators of tests are as long as real ones', () => {
  assert.ok(accumulatorOf('x').length > 390);
});
