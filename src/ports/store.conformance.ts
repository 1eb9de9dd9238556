import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { JsonObject } from './json.ts';
import type { Commit } from './store.ts';
import { carryTests } from './store-carry.conformance.ts';
import { fairTests, jobTests } from './store-jobs.conformance.ts';
import { A, B, failsWith, job, nextId, type OpenedStore, record, type StoreKit, storeKit } from './store-kit.conformance.ts';
import { mailTests } from './store-mail.conformance.ts';
import { restTests } from './store-rest.conformance.ts';

/** What every adapter of the store port must do. */
export function storeSuite(name: string, open: () => Promise<OpenedStore>): void {
  describe(name, () => {
    let opened: OpenedStore;
    before(async () => {
      opened = await open();
      await opened.db.admin.ensureTenant(A, 'Alice');
      await opened.db.admin.ensureTenant(B, 'Bob');
    });
    after(() => opened.close());
    const kit = storeKit(() => opened);
    recordTests(kit);
    jobTests(kit);
    fairTests(kit);
    mailTests(kit);
    restTests(kit);
    carryTests(kit);
  });
}

function recordTests({ db, one, claim }: StoreKit): void {
  describe('records', () => {
    it('stores what was written, with version, times and plain columns', async () => {
      const id = randomUUID();
      const started = Date.now();
      const value = { text: 'für 日本', deep: [1, null, { a: true }] };
      await db.store.commit(A, { records: [record(id, 0, value, { state: 'active', role: 'inviter', connection: 'c1' })] });
      const found = await one(A, id);
      assert.deepEqual(found?.value, value);
      assert.deepEqual([found?.version, found?.state, found?.role, found?.connection], [1, 'active', 'inviter', 'c1']);
      assert.ok(found && Math.abs(found.created - started) < 60_000 && found.updated === found.created);
      await db.store.commit(A, { records: [record(id, 1, { n: 2 })] });
      const again = await one(A, id);
      assert.deepEqual([again?.version, again?.state, again?.value, again?.created], [2, undefined, { n: 2 }, found.created]);
    });

    it('keeps the value that a write says is the same, with the columns and tags of the write', async () => {
      const id = randomUUID();
      await db.store.commit(A, { records: [record(id, 0, { n: 1 }, { state: 'active', tags: { of: id } })] });
      const same = { isSameValue: true };
      await db.store.commit(A, { records: [record(id, 1, { n: 2 }, { ...same, state: 'active', tags: { of: id } })] });
      assert.deepEqual([(await one(A, id))?.version, (await one(A, id))?.value], [2, { n: 1 }]);
      await db.store.commit(A, { records: [record(id, 2, { n: 2 }, { ...same, state: 'completed', tags: { to: id } })] });
      const found = await one(A, id);
      assert.deepEqual([found?.version, found?.state, found?.value], [3, 'completed', { n: 1 }]);
      const tagged = await db.store.load(
        A,
        ['of', 'to'].map((tag) => ({ category: 'connection', tag, equals: id })),
      );
      assert.deepEqual(
        tagged.map((rows) => rows.length),
        [0, 1],
      );
      await assert.rejects(db.store.commit(A, { records: [record(id, 2, { n: 2 }, same)] }), failsWith('conflict'));
    });

    it('refuses another version, and a new record whose id exists', async () => {
      const id = randomUUID();
      await db.store.commit(A, { records: [record(id, 0, { n: 1 })] });
      await db.store.commit(A, { records: [record(id, 1, { n: 2 })] });
      await assert.rejects(db.store.commit(A, { records: [record(id, 1, { n: 3 })] }), failsWith('conflict'));
      await assert.rejects(db.store.commit(A, { records: [record(id, 0, { n: 3 })] }), failsWith('conflict'));
      await assert.rejects(db.store.commit(A, { records: [record(randomUUID(), 4, {})] }), failsWith('conflict'));
      assert.deepEqual((await one(A, id))?.value, { n: 2 });
    });

    it('deletes by version', async () => {
      const id = randomUUID();
      await db.store.commit(A, { records: [record(id, 0, {}, { tags: { key: id } })] });
      await assert.rejects(db.store.commit(A, { deletes: [{ category: 'connection', id, expect: 2 }] }), failsWith('conflict'));
      await db.store.commit(A, { deletes: [{ category: 'connection', id, expect: 1 }] });
      assert.equal(await one(A, id), undefined);
      assert.deepEqual(await db.store.load(A, [{ category: 'connection', tag: 'key', equals: id }]), [[]]);
      await assert.rejects(db.store.commit(A, { deletes: [{ category: 'connection', id, expect: 1 }] }), failsWith('conflict'));
      await db.store.commit(A, { records: [record(id, 0, { again: true })] });
      assert.equal((await one(A, id))?.version, 1);
      assert.deepEqual(await db.store.load(A, [{ category: 'connection', tag: 'key', equals: id }]), [[]], 'no tag of the former one');
    });

    it('lets exactly one of many writers at once win', async () => {
      const id = randomUUID();
      await db.store.commit(A, { records: [record(id, 0, {})] });
      const writers = Array.from({ length: 20 }, (_, i) => db.store.commit(A, { records: [record(id, 1, { i })] }));
      const results = await Promise.allSettled(writers);
      assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
      for (const r of results) if (r.status === 'rejected') assert.ok(failsWith('conflict')(r.reason), String(r.reason));
      assert.equal((await one(A, id))?.version, 2);
    });

    it('does all of a commit or nothing, whichever part clashes', async () => {
      const taken = randomUUID();
      const kid = `kid-${taken}`;
      const free = randomUUID();
      const first = job(`deliver:${taken}`);
      const event = { id: nextId(), topic: 'connections', category: 'connection', record: taken, value: {} };
      await db.store.commit(A, {
        records: [record(taken, 0, {})],
        dedupKeys: [{ dedupKey: taken, expires: Date.now() + 60_000 }],
        keys: [{ kid, type: 'ed25519', secret: new Uint8Array(32) }],
        keyOwners: [{ kid, tenant: A, kind: 'connection', target: taken }],
        jobs: [first],
        events: [event],
      });
      const good: Commit = {
        records: [record(free, 0, {}, { tags: { free } })],
        dedupKeys: [{ dedupKey: free, expires: Date.now() + 60_000 }],
        keys: [{ kid: free, type: 'ed25519', secret: new Uint8Array(32) }],
        keyOwners: [{ kid: free, tenant: A, kind: 'connection', target: free }],
        removedKeyOwners: [kid],
        jobs: [job(`deliver:${free}`)],
        events: [{ ...event, id: nextId(), record: free }],
        results: [{ callId: free, value: {} }],
      };
      const clashes: [string, Partial<Commit>][] = [
        ['conflict', { records: [...good.records!, record(taken, 7, {})] }],
        ['conflict', { deletes: [{ category: 'connection', id: randomUUID(), expect: 1 }] }],
        ['conflict', { dedupKeys: [...good.dedupKeys!, { dedupKey: taken, expires: Date.now() }] }],
        ['conflict', { keys: [...good.keys!, { kid, type: 'ed25519', secret: new Uint8Array(32) }] }],
        ['conflict', { removedKeyOwners: [], keyOwners: [...good.keyOwners!, { kid, tenant: A, kind: 'connection', target: taken }] }],
        ['conflict', { jobs: [...good.jobs!, { ...job(first.lane), id: first.id }] }],
        ['conflict', { events: [...good.events!, event] }],
        ['lease-lost', { done: [{ id: first.id, lease: randomUUID() }] }],
      ];
      for (const [code, clash] of clashes) {
        await assert.rejects(db.store.commit(A, { ...good, ...clash }), failsWith(code), JSON.stringify(Object.keys(clash)));
      }
      assert.equal(await one(A, free), undefined);
      assert.deepEqual(await db.store.load(A, [{ category: 'connection', tag: 'free', equals: free }]), [[]]);
      assert.equal((await db.store.loadWithDedupKey(A, free, [])).repeated, undefined);
      assert.equal(await db.store.key(A, free), undefined);
      assert.equal(await db.store.keyOwner(free), undefined);
      assert.equal((await db.store.keyOwner(kid))?.target, taken);
      assert.equal(await claim(`deliver:${free}`), undefined);
      assert.deepEqual(await db.store.callStatus(A, free), { open: 0, result: undefined, failure: undefined });
      await db.store.commit(A, good);
      assert.ok(await one(A, free));
      assert.equal(await db.store.keyOwner(kid), undefined);
    });

    it('fails only the clashing ones of commits made at once', async () => {
      const id = randomUUID();
      await db.store.commit(A, { records: [record(id, 0, {})] });
      const results = await Promise.allSettled(
        Array.from({ length: 12 }, (_, i) =>
          db.store.commit(A, i % 3 === 0 ? { records: [record(id, 99, {})] } : { records: [record(`${id}-${i}`, 0, { i })] }),
        ),
      );
      for (const [i, result] of results.entries()) assert.equal(result.status, i % 3 === 0 ? 'rejected' : 'fulfilled');
      assert.deepEqual((await one(A, `${id}-11`))?.value, { i: 11 });
    });

    it('refuses a tenant that does not exist', async () => {
      await assert.rejects(db.store.commit('nobody', { records: [record('x', 0, {})] }), failsWith('not-found'));
      await assert.rejects(db.store.load('nobody', []), failsWith('not-found'));
    });
  });

  describe('tags', () => {
    const tagged = (tag: string, equals: string, tenant = A) =>
      db.store.load(tenant, [{ category: 'connection', tag, equals }]).then(([rows]) => rows!.map((row) => row.id));

    it('finds by equality of name and value, each member of a list, the newest first', async () => {
      const key = randomUUID();
      for (const n of [1, 2, 3])
        await db.store.commit(A, { records: [record(`${key}-${n}`, 0, { n }, { tags: { key: [key, `${key}/${n}`] } })] });
      assert.deepEqual(await tagged('key', key), [`${key}-3`, `${key}-2`, `${key}-1`]);
      assert.deepEqual(await tagged('key', `${key}/2`), [`${key}-2`]);
      assert.deepEqual(await tagged('other', key), []);
      assert.deepEqual(await db.store.load(A, [{ category: 'mediation', tag: 'key', equals: key }]), [[]]);
      await db.store.commit(A, { records: [record(`${key}-2`, 1, {}, { tags: { key: undefined, colour: 'red' } })] });
      assert.deepEqual(await tagged('key', key), [`${key}-3`, `${key}-1`]);
      assert.deepEqual(await tagged('colour', 'red'), [`${key}-2`]);
    });

    it('answers several lookups in one call, in their order', async () => {
      const id = randomUUID();
      await db.store.commit(A, { records: [record(id, 0, { here: 1 }, { tags: { thid: id } }), record(`${id}b`, 0, { here: 2 })] });
      const found = await db.store.load(A, [
        { category: 'connection', id: `${id}b` },
        { category: 'connection', id: 'nothing' },
        { category: 'connection', tag: 'thid', equals: id },
      ]);
      assert.deepEqual(
        found.map((rows) => rows.map((row) => row.value)),
        [[{ here: 2 }], [], [{ here: 1 }]],
      );
      assert.deepEqual(await db.store.load(A, []), []);
    });

    it('gives at most twenty', async () => {
      const key = randomUUID();
      await db.store.commit(A, { records: Array.from({ length: 25 }, (_, i) => record(`${key}-${i}`, 0, {}, { tags: { key } })) });
      assert.equal((await tagged('key', key)).length, 20);
    });
  });

  describe('pages', () => {
    const category = `page-${randomUUID()}`;
    before(async () => {
      for (let i = 0; i < 25; i++) {
        await db.store.commit(A, {
          records: [
            {
              category,
              id: `r${i}`,
              expect: 0,
              value: { i },
              state: i % 2 ? 'odd' : 'even',
              connection: i < 10 ? 'c1' : 'c2',
              tags: { third: `${i % 3}` },
            },
          ],
        });
      }
    });
    const numbers = (rows: { value: JsonObject }[]) => rows.map((row) => row.value.i);

    it('gives the oldest first with the total, and goes on by offset or cursor', async () => {
      const first = await db.store.find(A, category, { limit: 10 });
      assert.deepEqual(numbers(first.rows), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assert.equal(first.total, 25);
      const second = await db.store.find(A, category, { limit: 10, cursor: first.next! });
      assert.deepEqual(numbers(second.rows), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
      const third = await db.store.find(A, category, { limit: 10, cursor: second.next! });
      assert.deepEqual([numbers(third.rows), third.next, third.total], [[20, 21, 22, 23, 24], undefined, 25]);
      assert.deepEqual(numbers((await db.store.find(A, category, { limit: 3, offset: 20 })).rows), [20, 21, 22]);
      assert.deepEqual(numbers((await db.store.find(A, category, { limit: 5, offset: 20 })).rows), [20, 21, 22, 23, 24]);
      assert.equal((await db.store.find(A, category, { limit: 5, offset: 20 })).next, undefined);
    });

    it('goes from the newest', async () => {
      const first = await db.store.find(A, category, { limit: 2, descending: true });
      assert.deepEqual(numbers(first.rows), [24, 23]);
      assert.deepEqual(numbers((await db.store.find(A, category, { limit: 2, descending: true, cursor: first.next! })).rows), [22, 21]);
    });

    it('filters by plain columns and by tags, all at once', async () => {
      const odd = await db.store.find(A, category, { state: 'odd', limit: 4 });
      assert.deepEqual([numbers(odd.rows), odd.total], [[1, 3, 5, 7], 12]);
      const both = await db.store.find(A, category, { state: 'odd', connection: 'c1', tags: { third: '0' } });
      assert.deepEqual([numbers(both.rows), both.total, both.next], [[3, 9], 2, undefined]);
      assert.deepEqual(numbers((await db.store.find(A, category, { connection: 'c2', limit: 2 })).rows), [10, 11]);
      assert.deepEqual(numbers((await db.store.find(A, category, { tags: { third: '1' }, limit: 2, descending: true })).rows), [22, 19]);
      assert.equal((await db.store.find(A, category, { role: 'issuer' })).total, 0);
      assert.equal((await db.store.find(B, category, {})).total, 0);
    });

    it('filters by the time of creation, together with the others', async () => {
      const { rows } = await db.store.find(A, category, {});
      const [first, last] = [rows[0]!.created, rows.at(-1)!.created];
      const total = async (query: object): Promise<number> => (await db.store.find(A, category, query)).total;
      assert.deepEqual(
        [await total({ from: first, before: last + 1 }), await total({ before: first }), await total({ from: last + 1 })],
        [25, 0, 0],
      );
      assert.equal(await total({ from: first, state: 'odd', tags: { third: '0' } }), 4);
      const middle = rows[12]!.created;
      assert.equal((await total({ before: middle })) + (await total({ from: middle })), 25);
    });

    it('follows a list beyond its end', async () => {
      const all = await db.store.find(A, category, { connection: 'c2', follow: true });
      assert.equal(all.rows.length, 15);
      assert.deepEqual(await db.store.find(A, category, { connection: 'c2', follow: true, cursor: all.next! }), {
        rows: [],
        total: 15,
        next: all.next,
      });
      assert.equal((await db.store.find(A, category, { state: 'none', follow: true })).next, undefined);
    });

    it('refuses a cursor that it did not give', async () => {
      await assert.rejects(db.store.find(A, category, { cursor: '1; DROP TABLE record' }), failsWith('bad-request'));
    });
  });

  describe('dedup keys, keys, key owners', () => {
    it('keeps a dedup key with its answer, and refuses it a second time', async () => {
      const dedupKey = randomUUID();
      const answer = { sealed: 'reply' };
      await db.store.commit(A, {
        dedupKeys: [{ dedupKey, answer, expires: Date.now() + 60_000 }],
        records: [record(dedupKey, 0, { n: 1 })],
      });
      const found = await db.store.loadWithDedupKey(A, dedupKey, [{ category: 'connection', id: dedupKey }]);
      assert.deepEqual(found.repeated, { answer });
      assert.deepEqual(found.records[0]?.[0]?.value, { n: 1 });
      await assert.rejects(db.store.commit(A, { dedupKeys: [{ dedupKey, expires: Date.now() + 60_000 }] }), failsWith('conflict'));
      assert.equal((await db.store.loadWithDedupKey(B, dedupKey, [])).repeated, undefined);
      await db.store.commit(B, { dedupKeys: [{ dedupKey, expires: Date.now() + 60_000 }] });
      assert.deepEqual((await db.store.loadWithDedupKey(B, dedupKey, [])).repeated, {});
    });

    it('keeps a secret with its type and metadata', async () => {
      const kid = randomUUID();
      const secret = Uint8Array.from({ length: 64 }, (_, i) => i * 3);
      await db.store.commit(A, { keys: [{ kid, type: 'x25519', secret, meta: { label: 'mine' } }] });
      assert.deepEqual(await db.store.key(A, kid), { kid, type: 'x25519', secret, meta: { label: 'mine' } });
      assert.equal(await db.store.key(B, kid), undefined);
    });

    it('finds the owner of a key, and can move it in one commit', async () => {
      const kid = randomUUID();
      await db.store.commit(A, { keyOwners: [{ kid, tenant: A, kind: 'invitation', target: 'one' }] });
      assert.deepEqual(await db.store.keyOwner(kid), { kid, tenant: A, kind: 'invitation', target: 'one' });
      await assert.rejects(db.store.commit(B, { keyOwners: [{ kid, tenant: B, kind: 'connection', target: 'b' }] }), failsWith('conflict'));
      await assert.rejects(db.store.commit(B, { keyOwners: [{ kid: randomUUID(), tenant: A, kind: 'connection', target: 'b' }] }));
      await db.store.commit(B, { removedKeyOwners: [kid] });
      assert.equal((await db.store.keyOwner(kid))?.tenant, A, "another tenant's key owner stays");
      await db.store.commit(A, { removedKeyOwners: [kid], keyOwners: [{ kid, tenant: A, kind: 'connection', target: 'two' }] });
      assert.equal((await db.store.keyOwner(kid))?.target, 'two');
    });
  });

  describe('tenants', () => {
    it('are apart while both write at once', async () => {
      const id = randomUUID();
      const write = (tenant: string, i: number) =>
        db.store.commit(tenant, { records: [record(`${id}-${i}`, 0, { of: tenant }, { state: 'x', tags: { same: id } })] });
      await Promise.all(Array.from({ length: 40 }, (_, i) => write(i % 2 ? A : B, i >> 1)));
      for (const tenant of [A, B]) {
        const page = await db.store.find(tenant, 'connection', { tags: { same: id } });
        assert.equal(page.total, 20);
        assert.ok(page.rows.every((row) => row.value.of === tenant));
        assert.deepEqual((await one(tenant, `${id}-3`))?.value, { of: tenant });
      }
      await assert.rejects(db.store.commit(B, { deletes: [{ category: 'connection', id: `${id}-99`, expect: 1 }] }), failsWith('conflict'));
    });

    it('stay open for longer where their owner is there, and no shorter; a locked one is not opened by that', async () => {
      const mine = randomUUID();
      const until = Date.now() + 60_000;
      await db.admin.ensureTenant(mine, 'mine', { walletKey: 'only mine', until });
      await db.admin.keepOpen(mine, until - 30_000);
      assert.equal(await db.admin.lockTenants(until - 1), 0);
      await db.admin.keepOpen(mine, until + 60_000);
      assert.equal(await db.admin.lockTenants(until + 1), 0);
      assert.equal(await db.admin.lockTenants(until + 60_000), 1);
      await assert.rejects(db.admin.keepOpen(mine, until + 120_000), failsWith('wallet-locked'));
      await assert.rejects(db.store.load(mine, []), failsWith('wallet-locked'));
      await assert.rejects(db.admin.keepOpen(A, until), failsWith('wallet-locked'), 'one that has no key of its owner');
      await db.admin.eraseTenant(mine);
      while ((await db.admin.sweepTenant(mine)) > 0);
    });

    it('are opened by their owner for a time, where only the owner has the key, and wait while they are locked', async () => {
      const mine = randomUUID();
      const lock = (until: number, walletKey = 'only mine') => ({ walletKey, until });
      await db.admin.ensureTenant(mine, 'mine', lock(Date.now() + 60_000));
      const lane = `command:${mine}`;
      await db.store.commit(mine, { records: [record(mine, 0, {})], jobs: [job(lane, { kind: 'command' })] });
      assert.equal(await db.admin.lockTenants(Date.now()), 0);
      assert.equal(await db.admin.lockTenants(Date.now() + 120_000), 1);
      await assert.rejects(db.store.load(mine, []), failsWith('wallet-locked'));
      await assert.rejects(db.store.commit(mine, {}), failsWith('wallet-locked'));
      assert.equal(await claim(lane), undefined, 'a lane of a locked tenant');
      assert.equal(await claim(lane), undefined);
      assert.equal(await db.admin.sweepTenant(mine), 0, 'it is locked, not erased');
      await assert.rejects(db.admin.unlockTenant(mine, lock(Date.now() + 60_000, 'another')), failsWith('unauthorized'));
      await assert.rejects(db.store.load(mine, []), failsWith('wallet-locked'));
      await db.admin.unlockTenant(mine, lock(Date.now() + 60_000));
      assert.equal((await db.store.load(mine, [{ category: 'connection', id: mine }]))[0]!.length, 1);
      const [again] = await db.jobs.claim({ owner: 't', lanes: 100, perLane: 10, leaseMs: 1000, kinds: ['command'] });
      assert.ok(again, 'its lane is awake');
      await db.admin.unlockTenant(mine, lock(Date.now() - 1));
      await assert.rejects(db.store.load(mine, []), failsWith('wallet-locked'), 'the last time said counts, also a shorter one');
      await db.admin.unlockTenant(mine, lock(Date.now() + 60_000));
      await db.store.load(mine, []);
      await db.admin.lockTenant(mine);
      await assert.rejects(db.store.load(mine, []), failsWith('wallet-locked'), 'before its time');
      await db.admin.lockTenant(mine);
      await assert.rejects(db.admin.lockTenant(A), failsWith('not-found'), 'one that nobody could open again');
      await assert.rejects(db.admin.unlockTenant(A, lock(Date.now() + 1000)), failsWith('not-found'));
      await db.admin.eraseTenant(mine);
      await assert.rejects(db.store.load(mine, []), failsWith('not-found'));
      while ((await db.admin.sweepTenant(mine)) > 0);
    });

    it('are created once and removed with all they have', async () => {
      const gone = randomUUID();
      const callId = randomUUID();
      await db.admin.ensureTenant(gone, 'x');
      await db.admin.ensureTenant(gone, 'x');
      const lane = `command:${gone}`;
      await db.store.commit(gone, {
        records: [record(gone, 0, {}, { tags: { gone } })],
        keyOwners: [{ kid: gone, tenant: gone, kind: 'connection', target: gone }],
        keys: [{ kid: gone, type: 'ed25519', secret: new Uint8Array(32) }],
        jobs: [job(lane, { kind: 'command', callId })],
      });
      assert.equal((await db.admin.tenants()).filter((id) => id === gone).length, 1);
      assert.equal(await db.admin.sweepTenant(gone), 0, 'only what was erased is swept');
      await db.admin.eraseTenant(gone);
      await assert.rejects(db.store.load(gone, []), failsWith('not-found'));
      await db.admin.ensureTenant(gone, 'too early');
      await assert.rejects(db.store.load(gone, []), failsWith('not-found'));
      assert.equal(await db.store.keyOwner(gone), undefined);
      assert.equal(await claim(lane), undefined);
      await db.admin.eraseTenant(gone);
      let rows = 0;
      for (let swept = -1; swept !== 0; rows += swept) swept = await db.admin.sweepTenant(gone);
      assert.ok(rows >= 2, 'the record and the key');
      assert.ok(!(await db.admin.tenants()).includes(gone));
      await db.admin.ensureTenant(gone, 'new');
      assert.equal((await db.store.find(gone, 'connection', {})).total, 0);
      assert.equal((await db.store.callStatus(gone, callId)).open, 0);
    });
  });
}
