import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { A, B, failsWith, ids, job, nextId, record, type StoreKit } from './store-kit.conformance.ts';

/** Events, expiry, what lies on the disk, and a model of versions. */
export function restTests({ db, opened, one, claim }: StoreKit): void {
  describe('events', () => {
    it('come in the order of their ids, after a given one, or by name', async () => {
      const tenant = `events-${randomUUID()}`;
      await db.admin.ensureTenant(tenant, 'x');
      const events = Array.from({ length: 5 }, (_, n) => ({
        id: nextId(),
        topic: 'connections',
        category: 'connection',
        record: `r${n}`,
        value: { n },
      }));
      await db.store.commit(tenant, { events: events.slice(0, 2) });
      await db.store.commit(tenant, { events: events.slice(2) });
      const all = await db.store.events(tenant, {});
      assert.deepEqual(
        all.map(({ time, ...rest }) => rest),
        events,
      );
      assert.ok(all.every((event) => Math.abs(event.time - Date.now()) < 60_000));
      const some = await db.store.events(tenant, { after: events[1]!.id, limit: 2 });
      assert.deepEqual(
        some.map((event) => event.value.n),
        [2, 3],
      );
      const named = await db.store.events(tenant, { ids: [events[4]!.id, events[0]!.id, 'nothing'] });
      assert.deepEqual(
        named.map((event) => event.value.n),
        [0, 4],
      );
      assert.deepEqual(await db.store.events(B, { ids: [events[0]!.id] }), []);
    });
  });

  describe('expiry', () => {
    it('takes dedup keys at their own time, results of calls after an hour and events after seven days', async () => {
      const id = randomUUID();
      const hour = 3_600_000;
      const event = { id: nextId(), topic: 't', category: 'c', record: 'r', value: {} };
      await db.store.commit(A, {
        dedupKeys: [
          { dedupKey: `${id}-short`, expires: Date.now() + hour },
          { dedupKey: `${id}-long`, expires: Infinity },
        ],
        results: [{ callId: id, value: { kept: true } }],
        events: [event],
      });
      const state = async () => [
        (await db.store.loadWithDedupKey(A, `${id}-short`, [])).repeated !== undefined,
        (await db.store.loadWithDedupKey(A, `${id}-long`, [])).repeated !== undefined,
        (await db.store.callStatus(A, id)).result !== undefined,
        (await db.store.events(A, { ids: [event.id] })).length === 1,
      ];
      await db.admin.expire(Date.now());
      assert.deepEqual(await state(), [true, true, true, true]);
      assert.ok((await db.admin.expire(Date.now() + 1.1 * hour)) >= 2);
      assert.deepEqual(await state(), [false, true, false, true]);
      assert.ok((await db.admin.expire(Date.now() + 7.1 * 24 * hour)) >= 1);
      assert.deepEqual(await state(), [false, true, false, false]);
    });
  });

  describe('at rest', () => {
    it('shows no value, tag, secret, payload or error in clear', async () => {
      const marker = `MARKER${randomUUID().replaceAll('-', '')}`;
      const lane = `deliver:${randomUUID()}`;
      const doomed = job(lane, { payload: { m: marker } });
      const value = { m: marker };
      await db.admin.ensureTenant(`named-${randomUUID()}`, marker);
      await db.store.commit(A, {
        records: [record(randomUUID(), 0, value, { tags: { m: marker } })],
        keys: [{ kid: marker, type: 'ed25519', secret: Buffer.from(marker), meta: value }],
        keyOwners: [{ kid: marker, tenant: A, kind: 'connection', target: 'x' }],
        dedupKeys: [{ dedupKey: marker, answer: value, expires: Infinity }],
        jobs: [doomed],
        events: [{ id: nextId(), topic: 't', category: 'c', record: 'r', value }],
        results: [{ callId: randomUUID(), value }],
        failures: [{ callId: randomUUID(), code: 'internal', text: marker }],
      });
      const mine = await claim(lane);
      await db.jobs.settle([{ lane, lease: mine!.lease, dead: [{ id: doomed.id, error: marker }] }]);
      const bytes = await opened().bytes();
      assert.ok(bytes.includes(lane), 'a plain column is found, so this looks in the right place');
      for (const form of [marker, Buffer.from(marker).toString('base64').slice(0, 40), Buffer.from(marker).toString('hex')]) {
        assert.equal(bytes.includes(form), false, `found ${form}`);
      }
    });

    it('refuses a record whose ciphertext was taken from another', async () => {
      const a = randomUUID();
      const b = randomUUID();
      await db.store.commit(A, { records: [record(a, 0, { whose: 'a' }), record(b, 0, { whose: 'b' })] });
      await opened().swap(a, b);
      await assert.rejects(one(A, a), failsWith('store-corrupt'));
      await opened().swap(a, b);
      assert.deepEqual((await one(A, a))?.value, { whose: 'a' });
    });

    it('is all there after the database was closed and opened', async () => {
      const id = randomUUID();
      const lane = `work:${id}`;
      const jobs = [job(lane, { kind: 'work' }), job(lane, { kind: 'work' })];
      await db.store.commit(A, {
        records: [record(id, 0, { kept: 1 }, { tags: { id } })],
        dedupKeys: [{ dedupKey: id, expires: Infinity }],
        keys: [{ kid: id, type: 'ed25519', secret: new Uint8Array(3) }],
        keyOwners: [{ kid: id, tenant: A, kind: 'connection', target: id }],
        jobs,
      });
      const held = await claim(lane, 50);
      assert.equal(held?.jobs.length, 2);
      await opened().reopen();
      await sleep(60);
      assert.deepEqual((await one(A, id))?.value, { kept: 1 });
      assert.equal((await db.store.load(A, [{ category: 'connection', tag: 'id', equals: id }]))[0]?.length, 1);
      assert.deepEqual((await db.store.loadWithDedupKey(A, id, [])).repeated, {});
      assert.equal((await db.store.key(A, id))?.secret.length, 3);
      assert.equal((await db.store.keyOwner(id))?.target, id);
      const mine = await claim(lane);
      assert.deepEqual(
        mine?.jobs.map((j) => j.id),
        jobs.map((j) => j.id),
      );
      await db.jobs.settle([{ lane, lease: mine!.lease, done: ids([mine!]) }]);
    });

    it('answers a health check and counts', async () => {
      await db.admin.check();
      await db.store.commit(A, { records: [record(randomUUID(), 0, {})] });
      const { commits, statements } = db.admin.stats();
      assert.ok(commits! > 0 && statements! > 0);
    });
  });

  it('behaves like a map with versions, whatever is written in whatever order', async () => {
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c'),
      expect: fc.nat(3),
      write: fc.boolean(),
      tag: fc.constantFrom('x', 'y'),
      other: fc.option(fc.record({ id: fc.constantFrom('a', 'b', 'c'), expect: fc.nat(3) })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const category = `model-${randomUUID()}`;
        const model = new Map<string, { version: number; tag: string; n: number }>();
        for (const [n, s] of steps.entries()) {
          const writes = [{ id: s.id, expect: s.expect }, ...(s.other && s.other.id !== s.id && s.write ? [s.other] : [])];
          const fits = writes.every((w) => (model.get(w.id)?.version ?? 0) === w.expect && (s.write || w.expect > 0));
          const attempt = db.store.commit(
            A,
            s.write
              ? { records: writes.map((w) => ({ category, ...w, value: { n }, tags: { tag: s.tag } })) }
              : { deletes: [{ category, id: s.id, expect: s.expect }] },
          );
          if (!fits) {
            await assert.rejects(attempt, failsWith('conflict'));
            continue;
          }
          await attempt;
          for (const w of writes) s.write ? model.set(w.id, { version: w.expect + 1, tag: s.tag, n }) : model.delete(w.id);
        }
        const page = await db.store.find(A, category, {});
        const sorted = page.rows.map((row) => [row.id, row.version, row.value.n]).sort();
        assert.deepEqual(sorted, [...model].map(([id, m]) => [id, m.version, m.n]).sort());
        for (const tag of ['x', 'y']) {
          const { total } = await db.store.find(A, category, { tags: { tag } });
          assert.equal(total, [...model.values()].filter((m) => m.tag === tag).length);
        }
      }),
      { numRuns: 60 },
    );
  });
}
