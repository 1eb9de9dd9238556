import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import Type from 'typebox';
import { AppError } from '../../src/errors.ts';
import { validator } from '../../src/kernel/schema.ts';
import { lockDataKey, unlockDataKey, VaultBusy } from '../../src/vault/master.ts';
import { createWorld } from '../support/agents.ts';
import { MULTITENANT, newTenant } from '../support/tenants.ts';

/** Calls that cost much: whoever makes many of them gets an error, and nobody else waits for them. */

const world = createWorld();
after(() => world.close());

test('[A10] twenty wrong wallet keys at once: others are answered before them, and what is too much is told so', async () => {
  const agent = await world.start('keys', { flags: MULTITENANT });
  const locked = await newTenant(agent, 'locked', { wallet_key: 'a passphrase of its owner', key_management_mode: 'unmanaged' });
  let tried = 0;
  const tries = Array.from({ length: 20 }, async () => {
    const answer = await agent.call('POST', `/multitenancy/wallet/${locked.id}/token`, { wallet_key: 'another passphrase' });
    tried++;
    return answer.status;
  });
  // the first derivation is under way, or about to be, when these are sent
  const others = await Promise.all(Array.from({ length: 10 }, () => agent.call('GET', '/status/live')));
  assert.ok(others.every(({ status }) => status === 200));
  assert.ok(tried < 20, 'the event loop did not wait for the keys');
  const statuses = await Promise.all(tries);
  assert.deepEqual([...new Set(statuses)].sort(), [401, 429]);
  assert.ok(statuses.filter((status) => status === 401).length <= 6);
  const right = await agent.call('POST', `/multitenancy/wallet/${locked.id}/token`, { wallet_key: 'a passphrase of its owner' });
  assert.equal(right.status, 200, right.text);
});

test('[A10-2] an SD-JWT of tens of thousands of claims is refused, and of nobody who has no key is any made', async () => {
  const agent = await world.start('sd-jwt');
  const { result } = await agent.post('/wallet/did/create', { method: 'key', options: { key_type: 'ed25519' } });
  const claims = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, i]));
  const sign = (did: string, payload: object) => agent.call('POST', '/wallet/sd-jwt/sign', { did, payload });
  assert.equal((await sign(result.did, claims(1000))).status, 200);
  for (const payload of [claims(1001), claims(50_000), { list: Array.from({ length: 40_000 }, (_, i) => i) }]) {
    const refused = await sign(result.did, payload);
    assert.ok([400, 422].includes(refused.status), `${refused.status} ${refused.text.slice(0, 200)}`);
  }
  // whoever has no such key hears that, and not how large the payload was
  const nobody = await sign('did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK', claims(1001));
  assert.equal(nobody.status, 404, nobody.text);
});

test('[A10-3] an SD-JWT of which hardly anything may be disclosed is bounded too', async () => {
  const agent = await world.start('sd-jwt-shown');
  const { result } = await agent.post('/wallet/did/create', { method: 'key', options: { key_type: 'ed25519' } });
  const sign = (length: number) => {
    const list = Array.from({ length }, () => 1);
    // every element is held against each range
    const ranges = Array.from({ length: 998 }, (_, i) => `list[${i}:${i + 1}]`);
    return agent.call('POST', '/wallet/sd-jwt/sign', {
      did: result.did,
      payload: { list },
      non_sd_list: [...ranges, 'list', `list[0:${length}]`],
    });
  };
  assert.equal((await sign(10_000)).status, 200);
  assert.equal((await sign(250_000)).status, 422);
});

test('[A10-4] of hundreds of thousands of wrong elements a few are looked at for what is wrong', () => {
  const list = validator(Type.Object({ list: Type.Array(Type.Array(Type.String()), { maxItems: 1000 }) }));
  let looked = 0;
  const counted = (item: unknown) =>
    new Proxy(
      Array.from({ length: 200_000 }, () => item),
      {
        get(target, name, receiver) {
          looked++;
          return Reflect.get(target, name, receiver);
        },
      },
    );
  const refusal = (value: unknown): string => {
    looked = 0;
    try {
      list.parse(value, 'unprocessable');
    } catch (error) {
      assert.ok(error instanceof AppError && error.code === 'unprocessable');
      assert.ok(looked < 25_000, `${looked} were looked at for: ${error.message}`);
      return error.message;
    }
    return '';
  };
  assert.equal(refusal({ list: counted(1) }), 'list.0: must be array');
  assert.equal(refusal({ list: [counted(1)] }), 'list.0.0: must be string');
  assert.equal(refusal({ list: Array.from({ length: 200_000 }, () => []) }), 'list: must not have more than 1000 items');
  assert.equal(refusal({ list: [...Array.from({ length: 3 }, () => Array(10_001).fill('')), 1] }), 'the value does not match its schema');
});

test('[A10-5] wrong keys of many wallets keep none out whose own is tried', async () => {
  const lock = JSON.parse(await lockDataKey('right', 'quiet', Buffer.alloc(32)));
  const header = JSON.parse(lock.header);
  // costs of a moment: no key opens it any more, but whether one is tried is what matters
  const cheap = JSON.stringify({ ...lock, header: JSON.stringify({ ...header, kdf: { ...header.kdf, memory: 8, passes: 1 } }) });
  const isTried = (wallet: string): Promise<boolean> =>
    unlockDataKey('any', wallet, cheap).then(
      () => true,
      (error: unknown) => !(error instanceof VaultBusy),
    );
  const tries = Array.from({ length: 100 }, (_, i) => isTried(`noisy ${i % 17}`));
  assert.ok(await isTried('quiet'));
  assert.ok((await Promise.all(tries)).includes(false), 'there were too many');
});
