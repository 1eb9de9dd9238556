import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { base58 } from '@scure/base';
import { createWorld, type TestAgent } from '../support/agents.ts';
import { byExtent, STORES } from '../support/extent.ts';
import { storesOf } from '../support/stores.ts';
import { MULTITENANT, newTenant } from '../support/tenants.ts';

/** Tails files as everybody gets them from the message port. */

for (const kind of byExtent<readonly (typeof STORES)[number][]>(['sqlite'], STORES))
  describe(`on ${kind}`, () => {
    const world = createWorld();
    let agent: TestAgent;
    before(async () => {
      const own = (await storesOf(kind, world))('issuer');
      agent = await world.start('tails', { ...own, flags: [...MULTITENANT, ...own.flags] });
    });
    after(() => world.close());

    /** A file that a tenant serves. */
    const served = async (tenant: string, size = 600_000): Promise<{ bytes: Buffer; hash: string; url: string }> => {
      const seed = createHash('sha512').update(`${tenant} ${size}`).digest();
      const bytes = Buffer.from(Uint8Array.from({ length: size }, (_none, i) => (seed[i % 64] as number) ^ ((i >> 6) & 0xff)));
      const hash = base58.encode(createHash('sha256').update(bytes).digest());
      const { store, blobs } = agent.agent.kernel.db;
      await blobs.put(tenant, `tails/${hash}`, bytes);
      await store.commit(tenant, { keyOwners: [{ kid: `tails ${hash}`, tenant, kind: 'tails', target: hash }] });
      return { bytes, hash, url: `${agent.inbound}/tails/${hash}` };
    };
    const body = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());

    test('a tails file is served whole, and may be kept for ever', async () => {
      const { bytes, hash, url } = await served('base');
      const answer = await fetch(url);
      assert.equal(answer.status, 200);
      assert.ok((await body(answer)).equals(bytes));
      const shown = ['content-type', 'cache-control', 'etag', 'content-length', 'accept-ranges'].map((name) => answer.headers.get(name));
      const wanted = ['application/octet-stream', 'public, max-age=31536000, immutable', `"${hash}"`, String(bytes.length), 'bytes'];
      assert.deepEqual(shown, wanted);
      const head = await fetch(url, { method: 'HEAD' });
      assert.deepEqual([head.status, head.headers.get('content-length'), (await body(head)).length], [200, String(bytes.length), 0]);
      for (const tag of [`"${hash}"`, `W/"${hash}"`, `"x", "${hash}"`, '*']) {
        const known = await fetch(url, { headers: { 'if-none-match': tag } });
        assert.deepEqual([known.status, (await body(known)).length], [304, 0], tag);
      }
      assert.equal((await fetch(url, { headers: { 'if-none-match': '"x"' } })).status, 200);
    });

    test('a tails file is served in ranges', async () => {
      const { bytes, hash, url } = await served('base', 700_001);
      const size = bytes.length;
      for (const [range, first, last] of [
        ['bytes=0-0', 0, 0],
        ['bytes=262100-262200', 262_100, 262_200],
        ['bytes=5-', 5, size - 1],
        ['bytes=-7', size - 7, size - 1],
        ['bytes=-9999999', 0, size - 1],
        ['bytes=100-9999999', 100, size - 1],
      ] as const) {
        const answer = await fetch(url, { headers: { range } });
        assert.equal(answer.status, 206, range);
        assert.equal(answer.headers.get('content-range'), `bytes ${first}-${last}/${size}`);
        assert.ok((await body(answer)).equals(bytes.subarray(first, last + 1)), range);
      }
      for (const range of [`bytes=${size}-`, 'bytes=-0']) {
        const answer = await fetch(url, { headers: { range } });
        assert.deepEqual([answer.status, answer.headers.get('content-range')], [416, `bytes */${size}`], range);
      }
      for (const headers of [
        { range: 'bytes=5-2' },
        { range: 'bytes=0-1,4-5' },
        { range: 'lines=1-2' },
        { range: 'bytes=0-1', 'if-range': '"x"' },
      ])
        assert.equal((await fetch(url, { headers: headers as Record<string, string> })).status, 200, JSON.stringify(headers));
      assert.equal((await fetch(url, { headers: { range: 'bytes=0-1', 'if-range': `"${hash}"` } })).status, 206);
    });

    test('nothing else is served there, and nothing can be put there', async () => {
      const { url, hash } = await served('base', 1_000);
      const unknown = await fetch(`${agent.inbound}/no/such/path`);
      const missing = base58.encode(createHash('sha256').update('missing').digest());
      for (const path of ['/tails', '/tails/', `/tails/${missing}`, `/tails/${hash}x`, '/tails/..%2f', `/tails/${hash.toLowerCase()}`]) {
        const answer = await fetch(agent.inbound + path);
        assert.deepEqual(
          [answer.status, await answer.text()],
          [unknown.status, await (await fetch(`${agent.inbound}/no/such/path`)).text()],
          path,
        );
      }
      for (const method of ['PUT', 'DELETE', 'PATCH']) assert.ok((await fetch(url, { method, body: 'x' })).status >= 400, method);
      assert.equal((await fetch(url)).status, 200);
    });

    test('a tenant serves its files while its wallet is locked too, and no longer than there is a wallet', async () => {
      const tenant = await newTenant(agent, 'issuer', { key_management_mode: 'unmanaged', wallet_key: 'of the tenant alone' });
      const { url, bytes } = await served(tenant.id);
      assert.ok((await body(await fetch(url))).equals(bytes));
      await agent.agent.kernel.db.admin.lockTenant(tenant.id);
      const locked = await fetch(url, { headers: { range: 'bytes=1-' } });
      assert.equal(locked.status, 206);
      assert.ok((await body(locked)).equals(bytes.subarray(1)));
      await agent.post(`/multitenancy/wallet/${tenant.id}/remove`, { wallet_key: 'of the tenant alone' });
      assert.equal((await fetch(url)).status, 404);
    });
  });
