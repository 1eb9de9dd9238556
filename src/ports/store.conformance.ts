import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { JsonObject } from './json.ts';
import type { ClaimedLane, Commit, Database, JobWrite, RecordWrite, StoreHint } from './store.ts';

/** A database under test, and what a test needs to do behind its back. */
export interface OpenedStore {
  db: Database;
  /** Closes and opens it again. */
  reopen(): Promise<Database>;
  /** Closes it for good and removes what it left. */
  close(): Promise<void>;
  /** Everything that is at rest. */
  bytes(): Promise<Buffer>;
  /** Swaps the stored ciphertexts of two records. */
  swap(a: string, b: string): Promise<void>;
  /** Flips a bit of a stored job's payload. */
  spoilJob(id: string): Promise<void>;
  /** Another process's view of the same database, where the adapter allows one. */
  second?(): Promise<Database>;
}

const A = 'tenant-a';
const B = 'tenant-b';
let count = 0;
/** Ids in the order of their making, as the port wants them. */
const nextId = (): string => `${Date.now().toString(36)}-${(count++).toString(36).padStart(8, '0')}`;
const record = (id: string, expect: number, value: JsonObject, more: Partial<RecordWrite> = {}): RecordWrite => ({
  category: 'connection',
  id,
  expect,
  value,
  ...more,
});
const job = (lane: string, more: Partial<JobWrite> = {}): JobWrite => ({
  id: nextId(),
  kind: 'deliver',
  lane,
  payload: { to: lane },
  ...more,
});
const failsWith = (code: string) => (error: unknown) => error instanceof Error && 'code' in error && error.code === code;
const ids = (lanes: readonly ClaimedLane[]) => lanes.flatMap((lane) => lane.jobs.map((one) => one.id));

/** What every adapter of the store port must do. */
export function storeSuite(name: string, open: () => Promise<OpenedStore>): void {
  describe(name, () => {
    let opened: OpenedStore;
    let db: Database;
    before(async () => {
      opened = await open();
      db = opened.db;
      await db.admin.ensureTenant(A, 'Alice');
      await db.admin.ensureTenant(B, 'Bob');
    });
    after(() => opened.close());

    const one = async (tenant: string, id: string) => (await db.store.load(tenant, [{ category: 'connection', id }]))[0]?.[0];
    const claim = (lane: string, leaseMs = 60_000, perLane = 10) =>
      db.jobs.claim({ owner: 'test', lanes: 1, perLane, leaseMs, lane }).then((lanes) => lanes[0]);
    /** Claims until nothing is due, keeps what is in the lanes of this test and settles the rest away. */
    async function claimOf(prefix: string, more: { owner?: string; perLane?: number; leaseMs?: number; from?: Database } = {}) {
      const from = more.from ?? db;
      const lanes = await from.jobs.claim({
        owner: more.owner ?? 'test',
        lanes: 1000,
        perLane: more.perLane ?? 10,
        leaseMs: more.leaseMs ?? 60_000,
      });
      const others = lanes.filter((lane) => !lane.lane.startsWith(prefix));
      await from.jobs.settle(others.map((lane) => ({ lane: lane.lane, lease: lane.lease, done: lane.jobs.map((j) => j.id) })));
      return lanes.filter((lane) => lane.lane.startsWith(prefix));
    }

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
          marks: [{ mark: taken, expires: Date.now() + 60_000 }],
          keys: [{ kid, type: 'ed25519', secret: new Uint8Array(32) }],
          routes: [{ kid, tenant: A, kind: 'connection', target: taken }],
          jobs: [first],
          events: [event],
        });
        const good: Commit = {
          records: [record(free, 0, {}, { tags: { free } })],
          marks: [{ mark: free, expires: Date.now() + 60_000 }],
          keys: [{ kid: free, type: 'ed25519', secret: new Uint8Array(32) }],
          routes: [{ kid: free, tenant: A, kind: 'connection', target: free }],
          unroutes: [kid],
          jobs: [job(`deliver:${free}`)],
          events: [{ ...event, id: nextId(), record: free }],
          snapshots: [{ cause: free, value: {} }],
        };
        const clashes: [string, Partial<Commit>][] = [
          ['conflict', { records: [...good.records!, record(taken, 7, {})] }],
          ['conflict', { deletes: [{ category: 'connection', id: randomUUID(), expect: 1 }] }],
          ['conflict', { marks: [...good.marks!, { mark: taken, expires: Date.now() }] }],
          ['conflict', { keys: [...good.keys!, { kid, type: 'ed25519', secret: new Uint8Array(32) }] }],
          ['conflict', { unroutes: [], routes: [...good.routes!, { kid, tenant: A, kind: 'connection', target: taken }] }],
          ['conflict', { jobs: [...good.jobs!, { ...job('deliver:x'), id: first.id }] }],
          ['conflict', { events: [...good.events!, event] }],
          ['lease-lost', { done: [{ id: first.id, lease: randomUUID() }] }],
        ];
        for (const [code, clash] of clashes) {
          await assert.rejects(db.store.commit(A, { ...good, ...clash }), failsWith(code), JSON.stringify(Object.keys(clash)));
        }
        assert.equal(await one(A, free), undefined);
        assert.deepEqual(await db.store.load(A, [{ category: 'connection', tag: 'free', equals: free }]), [[]]);
        assert.equal((await db.store.loadMarked(A, free, [])).mark, undefined);
        assert.equal(await db.store.key(A, free), undefined);
        assert.equal(await db.store.route(free), undefined);
        assert.equal((await db.store.route(kid))?.target, taken);
        assert.equal(await claim(`deliver:${free}`), undefined);
        assert.deepEqual(await db.store.cause(A, free), { open: 0, snapshot: undefined, failure: undefined });
        await db.store.commit(A, good);
        assert.ok(await one(A, free));
        assert.equal(await db.store.route(kid), undefined);
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

      it('refuses a cursor that it did not give', async () => {
        await assert.rejects(db.store.find(A, category, { cursor: '1; DROP TABLE record' }), failsWith('bad-request'));
      });
    });

    describe('marks, keys, routes', () => {
      it('keeps a mark with its answer, and refuses it a second time', async () => {
        const mark = randomUUID();
        const answer = { sealed: 'reply' };
        await db.store.commit(A, { marks: [{ mark, answer, expires: Date.now() + 60_000 }], records: [record(mark, 0, { n: 1 })] });
        const found = await db.store.loadMarked(A, mark, [{ category: 'connection', id: mark }]);
        assert.deepEqual(found.mark, { answer });
        assert.deepEqual(found.records[0]?.[0]?.value, { n: 1 });
        await assert.rejects(db.store.commit(A, { marks: [{ mark, expires: Date.now() + 60_000 }] }), failsWith('conflict'));
        assert.equal((await db.store.loadMarked(B, mark, [])).mark, undefined);
        await db.store.commit(B, { marks: [{ mark, expires: Date.now() + 60_000 }] });
        assert.deepEqual((await db.store.loadMarked(B, mark, [])).mark, {});
      });

      it('keeps a secret with its type and metadata', async () => {
        const kid = randomUUID();
        const secret = Uint8Array.from({ length: 64 }, (_, i) => i * 3);
        await db.store.commit(A, { keys: [{ kid, type: 'x25519', secret, meta: { label: 'mine' } }] });
        assert.deepEqual(await db.store.key(A, kid), { kid, type: 'x25519', secret, meta: { label: 'mine' } });
        assert.equal(await db.store.key(B, kid), undefined);
      });

      it('tells whose a key is, and can move it in one commit', async () => {
        const kid = randomUUID();
        await db.store.commit(A, { routes: [{ kid, tenant: A, kind: 'invitation', target: 'one' }] });
        assert.deepEqual(await db.store.route(kid), { kid, tenant: A, kind: 'invitation', target: 'one' });
        await assert.rejects(db.store.commit(B, { routes: [{ kid, tenant: B, kind: 'connection', target: 'b' }] }), failsWith('conflict'));
        await assert.rejects(db.store.commit(B, { routes: [{ kid: randomUUID(), tenant: A, kind: 'connection', target: 'b' }] }));
        await db.store.commit(B, { unroutes: [kid] });
        assert.equal((await db.store.route(kid))?.tenant, A, "another tenant's route stays");
        await db.store.commit(A, { unroutes: [kid], routes: [{ kid, tenant: A, kind: 'connection', target: 'two' }] });
        assert.equal((await db.store.route(kid))?.target, 'two');
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
        await assert.rejects(
          db.store.commit(B, { deletes: [{ category: 'connection', id: `${id}-99`, expect: 1 }] }),
          failsWith('conflict'),
        );
      });

      it('are created once and removed with all they have', async () => {
        const gone = randomUUID();
        const cause = randomUUID();
        await db.admin.ensureTenant(gone, 'x');
        await db.admin.ensureTenant(gone, 'x');
        const lane = `command:${gone}`;
        await db.store.commit(gone, {
          records: [record(gone, 0, {}, { tags: { gone } })],
          routes: [{ kid: gone, tenant: gone, kind: 'connection', target: gone }],
          keys: [{ kid: gone, type: 'ed25519', secret: new Uint8Array(32) }],
          jobs: [job(lane, { kind: 'command', cause })],
        });
        assert.equal((await db.admin.tenants()).filter((id) => id === gone).length, 1);
        await db.admin.removeTenant(gone);
        assert.ok(!(await db.admin.tenants()).includes(gone));
        await assert.rejects(db.store.load(gone, []), failsWith('not-found'));
        assert.equal(await db.store.route(gone), undefined);
        assert.equal(await claim(lane), undefined);
        await db.admin.removeTenant(gone);
        await db.admin.ensureTenant(gone, 'new');
        assert.equal((await db.store.find(gone, 'connection', {})).total, 0);
        assert.equal((await db.store.cause(gone, cause)).open, 0);
      });
    });

    describe('lanes', () => {
      it('gives the jobs of a lane in order, and the lane to one holder', async () => {
        const lane = `deliver:${randomUUID()}`;
        const jobs = [1, 2, 3, 4, 5].map((n) => job(lane, { payload: { n }, cause: n === 1 ? 'a-cause' : undefined }));
        await db.store.commit(A, { jobs });
        const mine = await claim(lane, 60_000, 3);
        assert.deepEqual(
          mine?.jobs.map((j) => j.id),
          jobs.slice(0, 3).map((j) => j.id),
        );
        const { id } = jobs[0]!;
        assert.deepEqual(mine?.jobs[0], { id, kind: 'deliver', tenant: A, attempts: 0, payload: { n: 1 }, cause: 'a-cause' });
        assert.deepEqual([mine.lane, mine.kind, mine.tenant], [lane, 'deliver', A]);
        assert.equal(await claim(lane), undefined, 'held');
        const late = job(lane);
        await db.store.commit(A, { jobs: [late] });
        assert.equal(await claim(lane), undefined, 'held, also when more came');
        await db.jobs.settle([{ lane, lease: mine.lease, done: mine.jobs.slice(0, 2).map((j) => j.id) }]);
        const rest = await claim(lane);
        assert.deepEqual(
          rest?.jobs.map((j) => j.id),
          [...jobs.slice(2), late].map((j) => j.id),
          'what was not mentioned is still there',
        );
        await db.jobs.settle([{ lane, lease: rest!.lease, done: rest!.jobs.map((j) => j.id) }]);
        assert.equal(await claim(lane), undefined);
        await db.store.commit(A, { jobs: [job(lane)] });
        const anew = await claim(lane);
        assert.equal(anew?.jobs.length, 1, 'an emptied lane begins again');
        await db.jobs.settle([{ lane, lease: anew!.lease, done: ids([anew!]) }]);
      });

      it('never gives a job to two of several runners, and keeps the order of every lane', async () => {
        const prefix = `deliver:${randomUUID()}`;
        const other = (await opened.second?.()) ?? db;
        const seen = new Map<string, string[]>();
        const expected = new Map<string, string[]>();
        let open = 0;
        for (let round = 0; round < 6; round++) {
          const jobs = Array.from({ length: 60 }, (_, i) => job(`${prefix}-${i % 12}`));
          for (const j of jobs) expected.set(j.lane, [...(expected.get(j.lane) ?? []), j.id]);
          await Promise.all([0, 20, 40].map((from) => db.store.commit(A, { jobs: jobs.slice(from, from + 20) })));
          open += jobs.length;
        }
        const runner = async (from: Database, owner: string) => {
          for (let idle = 0; open > 0 && idle < 500; idle++) {
            const lanes = await from.jobs.claim({ owner, lanes: 3, perLane: 4, leaseMs: 60_000, kinds: ['deliver'] });
            for (const lane of lanes) {
              for (const j of lane.jobs) {
                if (lane.lane.startsWith(prefix)) {
                  seen.set(lane.lane, [...(seen.get(lane.lane) ?? []), j.id]);
                  open -= 1;
                }
                if (Math.random() < 0.1) await sleep(1);
              }
            }
            await from.jobs.settle(lanes.map((lane) => ({ lane: lane.lane, lease: lane.lease, done: ids([lane]) })));
          }
        };
        await Promise.all([runner(db, 'one'), runner(other, 'two'), runner(db, 'three')]);
        assert.deepEqual([...seen].sort(), [...expected].sort());
      });

      it('waits for a job that is not due, with all that is behind it', async () => {
        const lane = `event:${randomUUID()}`;
        const at = Date.now() + 400;
        const jobs = [job(lane, { kind: 'event', notBefore: at }), job(lane, { kind: 'event' })];
        await db.store.commit(A, { jobs });
        assert.deepEqual(await claimOf(lane), []);
        const due = await db.jobs.nextDue();
        assert.ok(due !== undefined && due <= at + 5 && due > at - 2000, `due in ${(due ?? 0) - Date.now()} ms`);
        await sleep(at - Date.now() + 30);
        const [found] = await claimOf(lane);
        assert.deepEqual(
          found?.jobs.map((j) => j.id),
          jobs.map((j) => j.id),
        );
        await db.jobs.settle([{ lane, lease: found!.lease, done: ids([found!]) }]);
      });

      it('keeps what waits for a session until it is asked for by name', async () => {
        const lane = `deliver:${randomUUID()}`;
        const jobs = [job(lane, { notBefore: Infinity }), job(lane, { notBefore: Infinity })];
        await db.store.commit(A, { jobs });
        assert.deepEqual(await claimOf(lane), []);
        const mine = await claim(lane);
        assert.equal(mine?.jobs.length, 2);
        await db.jobs.settle([{ lane, lease: mine!.lease, done: [jobs[0]!.id] }]);
        assert.deepEqual(await claimOf(lane), []);
        await db.jobs.drop(B, [jobs[1]!.id]);
        assert.equal((await claim(lane, 1))?.jobs.length, 1, 'not of another tenant');
        await db.jobs.drop(A, [jobs[1]!.id]);
        await sleep(5);
        assert.equal(await claim(lane), undefined);
      });

      it('gives the lane again when the lease ran out, and tells the former holder', async () => {
        const lane = `work:${randomUUID()}`;
        const kept = randomUUID();
        const jobs = [job(lane, { kind: 'work' }), job(lane, { kind: 'work' })];
        await db.store.commit(A, { jobs });
        const slow = await claim(lane, 40);
        await sleep(60);
        const quick = await claim(lane);
        assert.deepEqual(
          quick?.jobs.map((j) => j.id),
          jobs.map((j) => j.id),
        );
        const done = { id: jobs[0]!.id, lease: slow!.lease };
        await assert.rejects(db.store.commit(A, { records: [record(kept, 0, {})], done: [done] }), failsWith('lease-lost'));
        assert.equal(await one(A, kept), undefined);
        assert.deepEqual(await db.jobs.extend([slow!.lease, quick!.lease], 60_000), [quick!.lease]);
        await db.jobs.settle([{ lane, lease: slow!.lease, done: jobs.map((j) => j.id) }]);
        assert.equal(await claim(lane), undefined, 'still held by the second');
        await db.store.commit(A, { records: [record(kept, 0, {})], done: [{ ...done, lease: quick!.lease }] });
        await assert.rejects(db.store.commit(A, { done: [{ ...done, lease: quick!.lease }] }), failsWith('lease-lost'));
        await db.jobs.settle([{ lane, lease: quick!.lease }]);
        const rest = await claim(lane);
        assert.deepEqual(
          rest?.jobs.map((j) => j.id),
          [jobs[1]!.id],
        );
        await db.jobs.settle([{ lane, lease: rest!.lease, done: [jobs[1]!.id] }]);
      });

      it('keeps a hold that is extended', async () => {
        const lane = `work:${randomUUID()}`;
        await db.store.commit(A, { jobs: [job(lane, { kind: 'work' })] });
        const mine = await claim(lane, 80);
        assert.deepEqual(await db.jobs.extend([mine!.lease], 60_000), [mine!.lease]);
        await sleep(100);
        assert.equal(await claim(lane), undefined);
        await db.jobs.settle([{ lane, lease: mine!.lease, done: ids([mine!]) }]);
        assert.deepEqual(await db.jobs.extend([mine!.lease], 60_000), []);
      });

      it('blocks a lane while its first job waits to be tried again', async () => {
        const lane = `deliver:${randomUUID()}`;
        const jobs = [job(lane), job(lane)];
        await db.store.commit(A, { jobs });
        const mine = await claim(lane, 60_000, 1);
        const at = Date.now() + 300;
        await db.jobs.settle([{ lane, lease: mine!.lease, retry: [{ id: jobs[0]!.id, at, error: 'refused' }] }]);
        assert.deepEqual(await claimOf(lane), []);
        await sleep(at - Date.now() + 30);
        const [again] = await claimOf(lane);
        assert.deepEqual(
          again?.jobs.map((j) => [j.id, j.attempts]),
          [
            [jobs[0]!.id, 1],
            [jobs[1]!.id, 0],
          ],
        );
        await db.jobs.settle([{ lane, lease: again!.lease, done: ids([again!]) }]);
      });

      it('frees the lane of a dead letter, lists it, and puts it back when asked', async () => {
        const lane = `deliver:${randomUUID()}`;
        const tenant = `dead-${randomUUID()}`;
        await db.admin.ensureTenant(tenant, 'x');
        const jobs = [job(lane, { payload: { secret: 1 } }), job(lane)];
        await db.store.commit(tenant, { jobs });
        const mine = await claim(lane, 60_000, 1);
        await db.jobs.settle([{ lane, lease: mine!.lease, dead: [{ id: jobs[0]!.id, error: 'gave up: 410' }] }]);
        const next = await claim(lane);
        assert.deepEqual(
          next?.jobs.map((j) => j.id),
          [jobs[1]!.id],
        );
        await db.jobs.settle([{ lane, lease: next!.lease, done: [jobs[1]!.id] }]);
        const page = await db.jobs.dead(tenant, { limit: 10, offset: 0 });
        assert.equal(page.total, 1);
        const { died, ...dead } = page.rows[0]!;
        assert.ok(Math.abs(died - Date.now()) < 60_000);
        assert.deepEqual(dead, { id: jobs[0]!.id, kind: 'deliver', lane, attempts: 1, error: 'gave up: 410', payload: { secret: 1 } });
        assert.equal(await db.jobs.revive(B, [jobs[0]!.id]), 0);
        assert.equal(await db.jobs.revive(tenant, [jobs[0]!.id, 'nothing']), 1);
        assert.equal((await db.jobs.dead(tenant, { limit: 10, offset: 0 })).total, 0);
        const back = await claim(lane);
        assert.deepEqual(
          back?.jobs.map((j) => [j.id, j.attempts, j.payload]),
          [[jobs[0]!.id, 0, { secret: 1 }]],
        );
        await db.jobs.settle([{ lane, lease: back!.lease, done: ids([back!]) }]);
      });

      it('claims by kind, and knows when nothing is due', async () => {
        await claimOf('nothing');
        const lane = `ledger:${randomUUID()}`;
        await db.store.commit(A, { jobs: [job(lane, { kind: 'ledger' })] });
        const query = { owner: 'test', lanes: 10, perLane: 1, leaseMs: 60_000 };
        assert.deepEqual(await db.jobs.claim({ ...query, kinds: ['deliver', 'event'] }), []);
        const [mine] = await db.jobs.claim({ ...query, kinds: ['ledger'] });
        assert.equal(mine?.lane, lane);
        await db.jobs.settle([{ lane, lease: mine!.lease, done: ids([mine!]) }]);
        assert.deepEqual(await db.jobs.claim(query), []);
      });

      it('serves waiting lanes before one that was just served', async () => {
        const prefix = `tell:${randomUUID()}`;
        const query = { owner: 'test', lanes: 1, perLane: 1, leaseMs: 60_000, kinds: ['tell'] as const };
        await db.store.commit(A, { jobs: [1, 2, 3].map(() => job(`${prefix}-busy`, { kind: 'tell' })) });
        await sleep(3);
        await db.store.commit(A, { jobs: [job(`${prefix}-quiet`, { kind: 'tell' })] });
        await sleep(3);
        const order: string[] = [];
        for (let i = 0; i < 4; i++) {
          const [lane] = await db.jobs.claim(query);
          order.push(lane!.lane.slice(prefix.length + 1));
          await db.jobs.settle([{ lane: lane!.lane, lease: lane!.lease, done: ids([lane!]) }]);
          await sleep(3);
        }
        assert.deepEqual(order, ['busy', 'quiet', 'busy', 'busy']);
      });

      it('sets a job aside that cannot be read, and goes on with the lane', async () => {
        const lane = `deliver:${randomUUID()}`;
        const tenant = `spoilt-${randomUUID()}`;
        await db.admin.ensureTenant(tenant, 'x');
        const jobs = [job(lane), job(lane), job(lane)];
        await db.store.commit(tenant, { jobs });
        await opened.spoilJob(jobs[1]!.id);
        const got: string[] = [];
        for (let i = 0; i < 50 && got.length < 2; i++) {
          for (const found of await claimOf(lane)) {
            got.push(...ids([found]));
            await db.jobs.settle([{ lane, lease: found.lease, done: ids([found]) }]);
          }
          await sleep(10);
        }
        assert.deepEqual(got, [jobs[0]!.id, jobs[2]!.id]);
        const dead = await db.jobs.dead(tenant, { limit: 5, offset: 0 });
        assert.deepEqual(
          dead.rows.map((row) => [row.id, row.payload]),
          [[jobs[1]!.id, {}]],
        );
      });
    });

    describe('causes', () => {
      it('counts the open jobs of a call, not deliveries, and keeps its last snapshot and failure', async () => {
        const cause = randomUUID();
        const lane = `command:${cause}`;
        assert.deepEqual(await db.store.cause(A, cause), { open: 0, snapshot: undefined, failure: undefined });
        const jobs = [job(lane, { kind: 'command', cause }), job(lane, { kind: 'command', cause })];
        await db.store.commit(A, { jobs: [...jobs, job(`deliver:${cause}`, { cause }), job(`event:${cause}`, { kind: 'event', cause })] });
        assert.equal((await db.store.cause(A, cause)).open, 2);
        assert.equal((await db.store.cause(B, cause)).open, 0);
        const mine = await claim(lane);
        await db.store.commit(A, { done: [{ id: jobs[0]!.id, lease: mine!.lease }], snapshots: [{ cause, value: { state: 'a' } }] });
        assert.deepEqual(await db.store.cause(A, cause), { open: 1, snapshot: { state: 'a' }, failure: undefined });
        await db.store.commit(A, { snapshots: [{ cause, value: { state: 'b' } }], failures: [{ cause, code: 'not-found', text: 'no' }] });
        await db.jobs.settle([{ lane, lease: mine!.lease, dead: [{ id: jobs[1]!.id, error: 'no' }] }]);
        assert.deepEqual(await db.store.cause(A, cause), { open: 0, snapshot: { state: 'b' }, failure: { code: 'not-found', text: 'no' } });
        assert.equal((await db.store.cause(B, cause)).snapshot, undefined);
      });

      it('tells listeners after a commit what it announced', async () => {
        const cause = randomUUID();
        const lane = `command:${cause}`;
        const hints: StoreHint[] = [];
        const end = db.jobs.subscribe((hint) => hints.push(hint));
        const event = { id: nextId(), topic: 't', category: 'c', record: 'r', value: {} };
        await db.store.commit(A, { jobs: [job(lane, { kind: 'command', cause })], events: [event] });
        assert.ok(hints.some((hint) => hint.kinds.includes('command') && hint.causes.includes(cause)));
        assert.deepEqual(
          hints.flatMap((hint) => hint.events),
          [{ tenant: A, event }],
        );
        const mine = await claim(lane);
        hints.length = 0;
        await db.jobs.settle([{ lane, lease: mine!.lease, done: ids([mine!]) }]);
        assert.ok(
          hints.some((hint) => hint.causes.includes(cause)),
          'the end of a job moves its cause',
        );
        end();
        hints.length = 0;
        await db.store.commit(A, { jobs: [job(lane, { kind: 'command' })] });
        assert.deepEqual(hints, []);
      });
    });

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
      it('takes marks at their own time, causes after an hour and events after seven days', async () => {
        const id = randomUUID();
        const hour = 3_600_000;
        const event = { id: nextId(), topic: 't', category: 'c', record: 'r', value: {} };
        await db.store.commit(A, {
          marks: [
            { mark: `${id}-short`, expires: Date.now() + hour },
            { mark: `${id}-long`, expires: Infinity },
          ],
          snapshots: [{ cause: id, value: { kept: true } }],
          events: [event],
        });
        const state = async () => [
          (await db.store.loadMarked(A, `${id}-short`, [])).mark !== undefined,
          (await db.store.loadMarked(A, `${id}-long`, [])).mark !== undefined,
          (await db.store.cause(A, id)).snapshot !== undefined,
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
          routes: [{ kid: marker, tenant: A, kind: 'connection', target: 'x' }],
          marks: [{ mark: marker, answer: value, expires: Infinity }],
          jobs: [doomed],
          events: [{ id: nextId(), topic: 't', category: 'c', record: 'r', value }],
          snapshots: [{ cause: randomUUID(), value }],
          failures: [{ cause: randomUUID(), code: 'internal', text: marker }],
        });
        const mine = await claim(lane);
        await db.jobs.settle([{ lane, lease: mine!.lease, dead: [{ id: doomed.id, error: marker }] }]);
        const bytes = await opened.bytes();
        assert.ok(bytes.includes(lane), 'a plain column is found, so this looks in the right place');
        for (const form of [marker, Buffer.from(marker).toString('base64').slice(0, 40), Buffer.from(marker).toString('hex')]) {
          assert.equal(bytes.includes(form), false, `found ${form}`);
        }
      });

      it('refuses a record whose ciphertext was taken from another', async () => {
        const a = randomUUID();
        const b = randomUUID();
        await db.store.commit(A, { records: [record(a, 0, { whose: 'a' }), record(b, 0, { whose: 'b' })] });
        await opened.swap(a, b);
        await assert.rejects(one(A, a), failsWith('store-corrupt'));
        await opened.swap(a, b);
        assert.deepEqual((await one(A, a))?.value, { whose: 'a' });
      });

      it('is all there after the database was closed and opened', async () => {
        const id = randomUUID();
        const lane = `work:${id}`;
        const jobs = [job(lane, { kind: 'work' }), job(lane, { kind: 'work' })];
        await db.store.commit(A, {
          records: [record(id, 0, { kept: 1 }, { tags: { id } })],
          marks: [{ mark: id, expires: Infinity }],
          keys: [{ kid: id, type: 'ed25519', secret: new Uint8Array(3) }],
          routes: [{ kid: id, tenant: A, kind: 'connection', target: id }],
          jobs,
        });
        const held = await claim(lane, 50);
        assert.equal(held?.jobs.length, 2);
        db = await opened.reopen();
        await sleep(60);
        assert.deepEqual((await one(A, id))?.value, { kept: 1 });
        assert.equal((await db.store.load(A, [{ category: 'connection', tag: 'id', equals: id }]))[0]?.length, 1);
        assert.deepEqual((await db.store.loadMarked(A, id, [])).mark, {});
        assert.equal((await db.store.key(A, id))?.secret.length, 3);
        assert.equal((await db.store.route(id))?.target, id);
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
  });
}
