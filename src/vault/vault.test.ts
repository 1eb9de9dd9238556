import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createMaster, lockDataKey, newWalletKey, openMaster, unlockDataKey } from './master.ts';
import { decodeCursor, encodeCommit, encodeCursor, splitTags } from './rows.ts';
import { newKey, open, seal, tagHash, tenantKeys, unwrapDataKey, VaultError, wrapDataKey } from './seal.ts';

const keys = tenantKeys('t', newKey());
const parts = fc.array(fc.string(), { minLength: 1, maxLength: 4 });

describe('seal', () => {
  it('opens what it sealed, under the same parts only', () => {
    fc.assert(
      fc.property(parts, parts, fc.uint8Array(), (a, b, plaintext) => {
        const sealed = seal(keys, a, plaintext);
        assert.deepEqual(Uint8Array.from(open(keys, a, sealed)), plaintext);
        if (JSON.stringify(a) !== JSON.stringify(b)) assert.throws(() => open(keys, b, sealed), VaultError);
      }),
    );
  });

  it('does not take parts that only look alike when joined', () => {
    const sealed = seal(keys, ['ab', 'c'], Buffer.from('x'));
    for (const other of [['a', 'bc'], ['abc'], ['ab', 'c', ''], ['', 'ab', 'c']])
      assert.throws(() => open(keys, other, sealed), VaultError);
  });

  it('refuses every flipped bit, another tenant, another key, another key version and a cut value', () => {
    const dataKey = newKey();
    const mine = tenantKeys('t', dataKey);
    const sealed = seal(mine, ['a'], Buffer.from('hello'));
    for (let i = 0; i < sealed.length * 8; i++) {
      const changed = Buffer.from(sealed);
      changed[i >> 3]! ^= 1 << (i & 7);
      assert.throws(() => open(mine, ['a'], changed), VaultError);
    }
    for (const other of [tenantKeys('u', dataKey), tenantKeys('t', newKey()), tenantKeys('t', dataKey, 2)]) {
      assert.throws(() => open(other, ['a'], sealed), VaultError);
    }
    for (let length = 0; length < sealed.length; length++) assert.throws(() => open(mine, ['a'], sealed.subarray(0, length)), VaultError);
    assert.equal(open(mine, ['a'], new Uint8Array(sealed)).toString(), 'hello');
  });

  it('never uses a nonce twice', () => {
    const nonces = Array.from({ length: 2000 }, () => seal(keys, ['a'], Buffer.from('same')).subarray(1, 25).toString('hex'));
    assert.equal(new Set(nonces).size, nonces.length);
  });

  it('wraps a data key for one tenant', () => {
    const master = newKey();
    const dataKey = newKey();
    const wrapped = wrapDataKey(master, 't', dataKey);
    assert.deepEqual(unwrapDataKey(master, 't', wrapped), dataKey);
    assert.throws(() => unwrapDataKey(master, 'u', wrapped), VaultError);
    assert.throws(() => unwrapDataKey(newKey(), 't', wrapped), VaultError);
  });
});

describe('tag hashes', () => {
  it('are equal for equal input and differ in every part', () => {
    const of = (k: typeof keys, ...p: [string, string, string]) => tagHash(k, ...p).toString('hex');
    const base = of(keys, 'c', 'n', 'v');
    assert.equal(of(keys, 'c', 'n', 'v'), base);
    const others = [
      of(keys, 'd', 'n', 'v'),
      of(keys, 'c', 'm', 'v'),
      of(keys, 'c', 'n', 'w'),
      of(keys, 'c', 'nv', ''),
      of(tenantKeys('t', newKey()), 'c', 'n', 'v'),
    ];
    assert.equal(new Set([base, ...others]).size, 6);
  });

  it('of a record are each there once, whatever the order of the tags', () => {
    const of = (tags: Record<string, string | string[]>) =>
      encodeCommit(keys, { records: [{ category: 'c', id: 'i', expect: 0, value: {}, tags }] }).records[0]!.tags;
    assert.deepEqual(of({ a: ['1', '2', '1'], b: '3' }), of({ b: '3', a: ['2', '1'] }));
    assert.equal(splitTags(of({ a: ['1', '2', '1'], b: '3' })).length, 3);
    assert.equal(of({}).length, 0);
  });
});

describe('master key', () => {
  it('is 32 bytes, their base58, or derived from a passphrase with a stored salt', () => {
    const raw = newKey();
    for (const walletKey of [raw, newWalletKey(), 'a passphrase']) {
      const { key, header } = createMaster(walletKey);
      assert.equal(key.length, 32);
      assert.deepEqual(openMaster(walletKey, header), key);
      for (const wrong of [newKey(), newWalletKey(), 'another passphrase']) assert.throws(() => openMaster(wrong, header), VaultError);
      assert.ok(!header.includes(Buffer.from(key).toString('base64')));
    }
    assert.notDeepEqual(createMaster('a passphrase').key, createMaster('a passphrase').key);
    assert.throws(() => createMaster(''), VaultError);
    assert.throws(() => createMaster(new Uint8Array(31)), VaultError);
  });
});

describe('key of a wallet', () => {
  /** Threads of this process that stand back, by the nice value in proc_pid_stat(5). */
  const standingBack = (): number =>
    readdirSync('/proc/self/task').filter((thread) => {
      const fields = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return Number(fields[16]) > 0;
    }).length;

  it('is derived in a thread that stands back, one for all that come after each other', async (t) => {
    if (process.platform !== 'linux') return t.skip('a thread has a priority of its own on Linux alone');
    const dataKey = newKey();
    const lock = await lockDataKey('right', 'wallet', dataKey);
    // other tests of this process may have left some, which end by themselves
    const after = standingBack();
    assert.ok(after >= 1);
    await assert.rejects(unlockDataKey('wrong', 'wallet', lock), VaultError);
    assert.deepEqual(await unlockDataKey('right', 'wallet', lock), dataKey);
    assert.ok(standingBack() <= after);
  });
});

describe('cursor', () => {
  it('is read back, and nothing else is', () => {
    assert.equal(decodeCursor(encodeCursor(123)), 123);
    for (const other of ['', '123', 'bjEy!', Buffer.from('n-1').toString('base64url')]) {
      assert.notEqual(decodeCursor(other), 123);
    }
    assert.equal(decodeCursor(Buffer.from('n1;').toString('base64url')), undefined);
  });
});
