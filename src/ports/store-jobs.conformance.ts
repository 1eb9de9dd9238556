import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Claims, type Share, targetOf } from './claims.ts';
import { type ChangeNotification, type ClaimedLane, type Database, JOB_KINDS, type JobKind } from './store.ts';
import { A, B, failsWith, ids, job, nextId, record, type StoreKit } from './store-kit.conformance.ts';

/** The job side: lanes, their order and holds, and what a waiting REST call sees. */
export function jobTests(kit: StoreKit): void {
  laneTests(kit);
  counterTests(kit);
}

/** Numbers that a commit takes of a counter, each with its job. */
function counterTests({ db, one, claim }: StoreKit): void {
  describe('counters', () => {
    const counted = (lane: string, counter: string, upTo = 1000) => job(lane, { kind: 'work', allocate: { counter, upTo } });
    const numbers = async (lane: string): Promise<(number | undefined)[]> => {
      const held = await claim(lane);
      if (held) await db.jobs.settle([{ lane, lease: held.lease, done: ids([held]) }]);
      return held?.jobs.map(({ allocated }) => allocated) ?? [];
    };

    it('give each job the next number, beginning with 1, each tenant and each name its own', async () => {
      const [lane, counter] = [`work:${randomUUID()}`, randomUUID()];
      await db.store.commit(A, { jobs: [counted(lane, counter), job(lane, { kind: 'work' }), counted(lane, counter)] });
      await db.store.commit(A, { jobs: [counted(lane, randomUUID())] });
      const theirs = `work:${randomUUID()}`;
      await db.store.commit(B, { jobs: [counted(theirs, counter)] });
      const held = (await claim(lane))!;
      assert.deepEqual(
        held.jobs.map(({ allocated }) => allocated),
        [1, undefined, 2, 1],
      );
      assert.deepEqual(held.jobs[0]!.payload, { to: lane }, 'the payload is as it was given');
      await db.jobs.settle([{ lane, lease: held.lease, done: ids([held]) }]);
      assert.deepEqual(await numbers(theirs), [1]);
    });

    it('give no number twice, whether the job is retried, set aside, revived or done', async () => {
      const [lane, counter] = [`work:${randomUUID()}`, randomUUID()];
      const first = counted(lane, counter);
      await db.store.commit(A, { jobs: [first] });
      const held = (await claim(lane))!;
      await db.jobs.settle([{ lane, lease: held.lease, retry: [{ id: first.id, at: 0, error: 'x' }] }]);
      const again = (await claim(lane))!;
      assert.equal(again.jobs[0]!.allocated, 1);
      await db.jobs.settle([{ lane, lease: again.lease, dead: [{ id: first.id, error: 'x' }] }]);
      await db.admin.expire(Date.now());
      assert.equal(await db.jobs.revive(A, [first.id]), 1);
      assert.deepEqual(await numbers(lane), [1]);
      await db.admin.expire(Date.now());
      await db.store.commit(A, { jobs: [counted(lane, counter)] });
      assert.deepEqual(await numbers(lane), [2]);
    });

    it('end: the commit fails as a whole, and takes nothing', async () => {
      const [lane, counter, id] = [`work:${randomUUID()}`, randomUUID(), randomUUID()];
      await db.store.commit(A, { jobs: [counted(lane, counter, 2)] });
      const two = { jobs: [counted(lane, counter, 2), counted(lane, counter, 2)], records: [record(id, 0, {})] };
      await assert.rejects(db.store.commit(A, two), failsWith('counter-full'));
      assert.equal(await one(A, id), undefined);
      await db.store.commit(A, { jobs: [counted(lane, counter, 2)] });
      await assert.rejects(db.store.commit(A, { jobs: [counted(lane, counter, 2)] }), failsWith('counter-full'));
      await assert.rejects(db.store.commit(A, { jobs: [counted(lane, randomUUID(), 0)] }), failsWith('counter-full'));
      assert.deepEqual(await numbers(lane), [1, 2]);
    });

    it('give a clashing commit nothing, and of many at once each another number', async () => {
      const [lane, counter] = [`work:${randomUUID()}`, randomUUID()];
      await assert.rejects(
        db.store.commit(A, { jobs: [counted(lane, counter)], records: [record(randomUUID(), 7, {})] }),
        failsWith('conflict'),
      );
      await Promise.all(Array.from({ length: 10 }, () => db.store.commit(A, { jobs: [counted(lane, counter)] })));
      assert.deepEqual(
        (await numbers(lane)).sort((a, b) => a! - b!),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      );
    });
  });
}

/** Does what must be done before a time: once more, with more time, where the machine took longer. */
async function inTime<T>(ms: number, run: (at: number) => Promise<T>): Promise<{ at: number; value: T }> {
  for (let more = ms; ; more *= 3) {
    const at = Date.now() + more;
    const value = await run(at);
    if (Date.now() < at - more / 4) return { at, value };
  }
}

/** What is due and what will be: a claim of no lanes. */
const look = (db: Database, kinds: readonly JobKind[] = JOB_KINDS): Promise<Claims> =>
  db.jobs.settleAndClaim([], { owner: 'look', lanes: 0, perLane: 1, leaseMs: 1000, kinds });

function laneTests({ db, opened, one, claim, claimOf }: StoreKit): void {
  describe('lanes', () => {
    it('gives the jobs of a lane in order, and the lane to one holder', async () => {
      const lane = `deliver:${randomUUID()}`;
      const jobs = [1, 2, 3, 4, 5].map((n) => job(lane, { payload: { n }, callId: n === 1 ? 'a-call' : undefined }));
      await db.store.commit(A, { jobs });
      const mine = await claim(lane, 60_000, 3);
      assert.deepEqual(
        mine?.jobs.map((j) => j.id),
        jobs.slice(0, 3).map((j) => j.id),
      );
      const { id } = jobs[0]!;
      assert.deepEqual(mine?.jobs[0], { id, kind: 'deliver', tenant: A, attempts: 0, payload: { n: 1 }, callId: 'a-call' });
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
      const other = (await opened().second?.()) ?? db;
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
      const { at, value } = await inTime(400, async (notBefore) => {
        const lane = `event:${randomUUID()}`;
        const jobs = [job(lane, { kind: 'event', notBefore }), job(lane, { kind: 'event' })];
        await db.store.commit(A, { jobs });
        return { lane, jobs, early: await claimOf(lane), next: (await look(db)).next };
      });
      const { lane, jobs, early, next } = value;
      assert.deepEqual(early, []);
      assert.ok(next !== undefined && next <= at + 5 && next > at - 2000, `due in ${(next ?? 0) - Date.now()} ms`);
      await sleep(at - Date.now() + 30);
      const [found] = await claimOf(lane);
      assert.deepEqual(
        found?.jobs.map((j) => j.id),
        jobs.map((j) => j.id),
      );
      await db.jobs.settle([{ lane, lease: found!.lease, done: ids([found!]) }]);
    });

    it('gives what is due up to the first job that is not', async () => {
      const lane = `event:${randomUUID()}`;
      const jobs = [0, Date.now() + 60_000, 0].map((notBefore) => job(lane, { kind: 'event', notBefore }));
      await db.store.commit(A, { jobs });
      const [found] = await claimOf(lane);
      assert.deepEqual(ids([found!]), [jobs[0]!.id]);
      await db.jobs.settle([{ lane, lease: found!.lease, done: [jobs[0]!.id] }]);
      assert.deepEqual(await claimOf(lane), []);
      await db.jobs.drop(A, [jobs[1]!]);
      const [rest] = await claimOf(lane);
      assert.deepEqual(rest && ids([rest]), [jobs[2]!.id]);
      await db.jobs.settle([{ lane, lease: rest!.lease, done: [jobs[2]!.id] }]);
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
      await db.jobs.drop(B, [jobs[1]!]);
      assert.equal((await claim(lane, 1))?.jobs.length, 1, 'not of another tenant');
      await db.jobs.drop(A, [jobs[1]!]);
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

    it('lets a lane go with its last job, and keeps it while it has others', async () => {
      const lane = `work:${randomUUID()}`;
      const jobs = [job(lane, { kind: 'work' }), job(lane, { kind: 'work' })];
      await db.store.commit(A, { jobs });
      const mine = await claim(lane);
      await db.store.commit(A, { done: [{ id: jobs[0]!.id, lease: mine!.lease }] });
      assert.equal(await claim(lane), undefined, 'one is left');
      const third = job(lane, { kind: 'work' });
      await db.store.commit(A, { done: [{ id: jobs[1]!.id, lease: mine!.lease }], jobs: [third] });
      assert.equal(await claim(lane), undefined, 'the commit brought another');
      await db.store.commit(A, { done: [{ id: third.id, lease: mine!.lease }] });
      const next = job(lane, { kind: 'work' });
      await db.store.commit(A, { jobs: [next] });
      const again = await claim(lane);
      assert.deepEqual(again && ids([again]), [next.id]);
      await db.jobs.settle([{ lane, lease: mine!.lease }]);
      assert.equal(await claim(lane), undefined, 'a settle of the former holder changes nothing');
      await db.jobs.settle([{ lane, lease: again!.lease, done: [next.id] }]);
    });

    it('forgets a lane whose jobs were dropped while it was held, and whose holder never settled', async () => {
      const lane = `work:${randomUUID()}`;
      const waiting = job(`deliver:${lane}`, { notBefore: Number.POSITIVE_INFINITY });
      const only = job(lane, { kind: 'work' });
      await claimOf('nothing');
      await db.store.commit(A, { jobs: [only, waiting] });
      const mine = await claim(lane, 30);
      await claim(waiting.lane, 30);
      assert.ok(mine);
      await db.jobs.drop(A, [only]);
      await sleep(50);
      assert.deepEqual(await claimOf(''), []);
      await sleep(20);
      assert.equal((await look(db)).left, false, 'nothing is due any more');
      const next = job(lane, { kind: 'work' });
      await db.store.commit(A, { jobs: [next] });
      const [again] = await claimOf(lane);
      assert.deepEqual(again && ids([again]), [next.id]);
      await db.jobs.settle([{ lane, lease: again!.lease, done: [next.id] }]);
      await db.jobs.drop(A, [waiting]);
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
      const { at, value } = await inTime(300, async (at) => {
        const lane = `deliver:${randomUUID()}`;
        const jobs = [job(lane), job(lane)];
        await db.store.commit(A, { jobs });
        const mine = await claim(lane, 60_000, 1);
        await db.jobs.settle([{ lane, lease: mine!.lease, retry: [{ id: jobs[0]!.id, at, error: 'refused' }] }]);
        return { lane, jobs, early: await claimOf(lane) };
      });
      const { lane, jobs, early } = value;
      assert.deepEqual(early, []);
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
      const prefix = `local-message:${randomUUID()}`;
      const query = { owner: 'test', lanes: 1, perLane: 1, leaseMs: 60_000, kinds: ['local-message'] as const };
      await db.store.commit(A, { jobs: [1, 2, 3].map(() => job(`${prefix}-busy`, { kind: 'local-message' })) });
      await sleep(3);
      await db.store.commit(A, { jobs: [job(`${prefix}-quiet`, { kind: 'local-message' })] });
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

    it('counts what is open, by kind, and what is dead', async () => {
      const lane = `work:${randomUUID()}`;
      const before = await db.admin.backlog();
      assert.deepEqual(Object.keys(before.open).sort(), [...JOB_KINDS].sort());
      const jobs = [1, 2, 3].map(() => job(lane, { kind: 'work' }));
      await db.store.commit(A, { jobs });
      assert.equal((await db.admin.backlog()).open.work, before.open.work + 3);
      const mine = await claim(lane, 60_000, 3);
      await db.jobs.settle([{ lane, lease: mine!.lease, done: [jobs[0]!.id, jobs[1]!.id], dead: [{ id: jobs[2]!.id, error: 'no' }] }]);
      assert.deepEqual(await db.admin.backlog(), { open: before.open, dead: before.dead + 1 });
    });

    it('sets a job aside that cannot be read, and goes on with the lane', async () => {
      const lane = `deliver:${randomUUID()}`;
      const tenant = `spoilt-${randomUUID()}`;
      await db.admin.ensureTenant(tenant, 'x');
      const jobs = [job(lane), job(lane), job(lane)];
      await db.store.commit(tenant, { jobs });
      await opened().spoilJob(jobs[1]!.id);
      const got: string[] = [];
      for (let i = 0; i < 5000 && got.length < 2; i++) {
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

  describe('calls', () => {
    it('counts the open jobs of a call, not deliveries, and keeps its last result and failure', async () => {
      const callId = randomUUID();
      const lane = `command:${callId}`;
      assert.deepEqual(await db.store.callStatus(A, callId), { open: 0, result: undefined, failure: undefined });
      const jobs = [job(lane, { kind: 'command', callId }), job(lane, { kind: 'command', callId })];
      await db.store.commit(A, {
        jobs: [...jobs, job(`deliver:${callId}`, { callId }), job(`event:${callId}`, { kind: 'event', callId })],
      });
      assert.equal((await db.store.callStatus(A, callId)).open, 2);
      assert.equal((await db.store.callStatus(B, callId)).open, 0);
      const mine = await claim(lane);
      await db.store.commit(A, { done: [{ id: jobs[0]!.id, lease: mine!.lease }], results: [{ callId, value: { state: 'a' } }] });
      assert.deepEqual(await db.store.callStatus(A, callId), { open: 1, result: { state: 'a' }, failure: undefined });
      const failure = { code: 'not-found', text: 'no' };
      await db.store.commit(A, { failures: [{ callId, ...failure }] });
      assert.deepEqual(await db.store.callStatus(A, callId), { open: 1, result: { state: 'a' }, failure });
      await db.store.commit(A, { results: ['x', 'b'].map((state) => ({ callId, value: { state } })) });
      await db.jobs.settle([{ lane, lease: mine!.lease, dead: [{ id: jobs[1]!.id, error: 'no' }] }]);
      assert.deepEqual(await db.store.callStatus(A, callId), {
        open: 0,
        result: { state: 'b' },
        failure: { code: 'not-found', text: 'no' },
      });
      assert.equal((await db.store.callStatus(B, callId)).result, undefined);
    });

    it('notifies listeners after a commit of its announcements', async () => {
      const callId = randomUUID();
      const lane = `command:${callId}`;
      const notifications: ChangeNotification[] = [];
      const end = db.jobs.subscribe((notification) => notifications.push(notification));
      const event = { id: nextId(), topic: 't', category: 'c', record: 'r', value: {} };
      await db.store.commit(A, { jobs: [job(lane, { kind: 'command', callId })], events: [event] });
      assert.ok(notifications.some((notification) => notification.kinds.includes('command') && notification.callIds.includes(callId)));
      assert.deepEqual(
        notifications.flatMap((notification) => notification.events),
        [{ tenant: A, event }],
      );
      const answer = { callId, value: { state: 'a' } };
      await db.store.commit(A, { answers: [answer] });
      assert.deepEqual(
        notifications.flatMap(({ answers }) => answers ?? []),
        [answer],
      );
      assert.equal((await db.store.callStatus(A, callId)).result, undefined, 'the listeners alone have it');
      for (const by of ['settle', 'commit', 'drop']) {
        await db.store.commit(A, { jobs: [job(lane, { kind: 'command', callId })] });
        const mine = await claim(lane);
        const [id] = ids([mine!]);
        notifications.length = 0;
        if (by === 'commit') await db.store.commit(A, { done: [{ id: id!, lease: mine!.lease }] });
        if (by === 'drop') await db.jobs.drop(A, [{ id: id!, lane }]);
        const before = notifications.length;
        await db.jobs.settle([{ lane, lease: mine!.lease, done: [id!] }]);
        const notified = by === 'settle' ? notifications : notifications.slice(0, before);
        assert.ok(
          notified.some((notification) => notification.callIds.includes(callId)),
          `a job that ends by ${by} moves its call`,
        );
      }
      end();
      notifications.length = 0;
      await db.store.commit(A, { jobs: [job(lane, { kind: 'command' })] });
      assert.deepEqual(notifications, []);
    });
  });
}

/** Whose turn it is. */
export function fairTests({ db, claimOf }: StoreKit): void {
  const settleAll = async (lanes: readonly ClaimedLane[]): Promise<void> =>
    await db.jobs.settle(lanes.map((lane) => ({ lane: lane.lane, lease: lane.lease, done: ids([lane]) })));
  const events = (tenant: string, hook: string, count: number) =>
    Array.from({ length: count }, (_, i) => job(`event:${hook}:${tenant}:${randomUUID()}-${i}`, { kind: 'event' }));
  const ask = { owner: 'fair', perLane: 1, leaseMs: 60_000, kinds: ['event'] as const };
  const nobody: Share = { tenant: 1000, held: new Map(), target: 1000, targets: [] };

  describe('turns', () => {
    it('gives a tenant its turn behind a crowd of another, and a target behind a crowd of the same tenant', async () => {
      await claimOf('nothing');
      for (let i = 0; i < 4; i++) await db.store.commit(A, { jobs: events(A, 'dead', 250) });
      const [other] = events(A, 'lives', 1);
      const [theirs] = events(B, 'dead', 1);
      await db.store.commit(A, { jobs: [other!] });
      await db.store.commit(B, { jobs: [theirs!] });
      const taken = await db.jobs.claim({ ...ask, lanes: 4 });
      const names = taken.map(({ lane }) => lane);
      assert.ok(names.includes(theirs!.lane), 'the other tenant');
      assert.ok(names.includes(other!.lane), 'the other target');
      assert.equal(taken.length, 4);
      await settleAll(taken);
      for (let rest = await claimOf(''); rest.length > 0; rest = await claimOf('')) await settleAll(rest);
    });

    it('takes no more of a tenant or a target than there is room for, and of the rest as ever', async () => {
      await claimOf('nothing');
      await db.store.commit(A, { jobs: [...events(A, 'one', 200), ...events(A, 'two', 5), ...events(A, 'three', 5)] });
      await db.store.commit(B, { jobs: events(B, 'one', 3) });
      const targets = [
        { tenant: A, target: 'one', room: 0 },
        { tenant: A, target: 'two', room: 1 },
        { tenant: 'nobody', target: 'one', room: 1 },
      ];
      const count = (lanes: readonly ClaimedLane[], tenant: string, target: string): number =>
        lanes.filter((lane) => lane.tenant === tenant && targetOf(lane.lane) === target).length;
      const bounded = await db.jobs.claim({ ...ask, lanes: 20, share: { ...nobody, target: 2, targets } });
      assert.deepEqual(
        [count(bounded, A, 'one'), count(bounded, A, 'two'), count(bounded, A, 'three'), count(bounded, B, 'one')],
        [0, 1, 2, 2],
      );
      const held = new Map([
        [A, 3],
        ['nobody', 7],
      ]);
      const few = await db.jobs.claim({ ...ask, lanes: 20, share: { ...nobody, tenant: 5, held } });
      assert.deepEqual([few.filter(({ tenant }) => tenant === A).length, few.filter(({ tenant }) => tenant === B).length], [2, 1]);
      // who holds nothing comes before who holds something
      const [first] = await db.jobs.claim({ ...ask, lanes: 1, share: { ...nobody, held } });
      assert.equal(first?.tenant, A, 'alone');
      await settleAll([...bounded, ...few, first!]);
      for (let rest = await claimOf(''); rest.length > 0; rest = await claimOf('')) await settleAll(rest);
    });

    it('takes of one tenant all that there is room for at once, however much is due', async () => {
      await claimOf('nothing');
      const mail = (tenant: string, count: number) =>
        Array.from({ length: count }, () => job(`deliver:${tenant}:${randomUUID()}`, { kind: 'deliver' }));
      await db.store.commit(A, { jobs: mail(A, 250) });
      await db.store.commit(B, { jobs: mail(B, 1) });
      const wanted = { ...ask, kinds: ['deliver'] as const, share: { ...nobody, tenant: 90 } };
      const taken = await db.jobs.claim({ ...wanted, lanes: 128 });
      assert.equal(taken.filter(({ tenant }) => tenant === A).length, 90);
      assert.equal(taken.length, 91);
      // one that has all that it may have is passed over, and whoever comes behind it is not
      await db.store.commit(B, { jobs: mail(B, 1) });
      const { lanes, left } = await db.jobs.settleAndClaim([], {
        ...wanted,
        lanes: 128,
        share: { ...wanted.share, held: new Map([[A, 90]]) },
      });
      assert.deepEqual([lanes.map(({ tenant }) => tenant), left], [[B], true]);
      await settleAll([...taken, ...lanes]);
      for (let rest = await claimOf(''); rest.length > 0; rest = await claimOf('')) await settleAll(rest);
    });

    it('tells whoever claims nothing of what it has settled with the claim', async () => {
      await claimOf('nothing');
      const lane = `deliver:${randomUUID()}`;
      const one = job(lane, { kind: 'deliver' });
      await db.store.commit(A, { jobs: [one] });
      const wanted = { owner: 'one', lanes: 4, perLane: 1, leaseMs: 60_000, kinds: ['deliver'] as const };
      const first = await db.jobs.settleAndClaim([], wanted);
      const told: string[] = [];
      const end = db.jobs.subscribe(({ kinds }) => void told.push(...kinds));
      const at = Date.now() + 60_000;
      const retry = [{ id: one.id, at, error: 'no answer' }];
      const second = await db.jobs.settleAndClaim([{ lane, lease: first.lanes[0]!.lease, retry }], wanted);
      end();
      assert.deepEqual([second.lanes, told], [[], []]);
      assert.ok(second.next !== undefined && second.next <= at, 'it is known when the lane is due');
      await db.jobs.drop(A, [one]);
    });

    it('does not count what was not tried', async () => {
      const [one] = events(A, 'later', 1);
      await db.store.commit(A, { jobs: [one!] });
      for (const untried of [true, false]) {
        const [lane] = await db.jobs.claim({ ...ask, lanes: 1 });
        assert.equal(lane?.jobs[0]?.attempts, 0);
        await db.jobs.settle([{ lane: lane.lane, lease: lane.lease, retry: [{ id: one!.id, at: Date.now() - 1000, error: '', untried }] }]);
      }
      const [lane] = await db.jobs.claim({ ...ask, lanes: 1 });
      assert.equal(lane?.jobs[0]?.attempts, 1);
      await settleAll([lane]);
    });

    it('settles before it claims, in one call', async () => {
      await claimOf('nothing');
      const lane = `work:${randomUUID()}`;
      const two = [job(lane, { kind: 'work' }), job(lane, { kind: 'work' })];
      await db.store.commit(A, { jobs: two });
      const wanted = { owner: 'one', lanes: 4, perLane: 1, leaseMs: 60_000, kinds: ['work'] as const };
      const first = await db.jobs.settleAndClaim([], wanted);
      assert.deepEqual(ids(first.lanes), [two[0]!.id]);
      const second = await db.jobs.settleAndClaim([{ lane, lease: first.lanes[0]!.lease, done: ids(first.lanes) }], wanted);
      assert.deepEqual([ids(second.lanes), second.left], [[two[1]!.id], false]);
      const third = await db.jobs.settleAndClaim([{ lane, lease: second.lanes[0]!.lease, done: ids(second.lanes) }], wanted);
      assert.deepEqual(third.lanes, []);
    });

    it('answers all that ask at once, and settles for each of them', async () => {
      const [lanes, kinds] = [[`work:${randomUUID()}`, `ledger:${randomUUID()}`], ['work', 'ledger'] as const];
      const jobs = lanes.map((lane, i) => job(lane, { kind: kinds[i]! }));
      await db.store.commit(A, { jobs });
      const wanted = kinds.map((kind) => ({ owner: 'one', lanes: 4, perLane: 1, leaseMs: 60_000, kinds: [kind] }));
      const claims = await Promise.all(wanted.map((one) => db.jobs.settleAndClaim([], one)));
      assert.deepEqual(
        claims.map((one) => ids(one.lanes)),
        jobs.map(({ id }) => [id]),
      );
      const settled = claims.map(({ lanes: [held] }) => ({ lane: held!.lane, lease: held!.lease, done: ids([held!]) }));
      // each settles a lane of the other's kind
      const after = await Promise.all(wanted.map((one, i) => db.jobs.settleAndClaim([settled[1 - i]!], one)));
      assert.deepEqual(
        after.map(({ lanes: more, left }) => ({ more, left })),
        [0, 1].map(() => ({ more: [], left: false })),
      );
      assert.deepEqual(await claimOf(''), []);
    });

    it('knows what is due of some kinds, and what will be', async () => {
      await claimOf('nothing');
      const at = db.now() + 60_000;
      const lane = `ledger:${randomUUID()}`;
      const now = job(`local-message:${randomUUID()}`, { kind: 'local-message' });
      await db.store.commit(A, { jobs: [now, job(lane, { kind: 'ledger', notBefore: at })] });
      assert.deepEqual(await look(db, ['ledger']), { lanes: [], left: false, next: at });
      const { left, next } = await look(db, ['local-message']);
      assert.deepEqual({ left, next }, { left: true, next: undefined });
      await settleAll(await claimOf(''));
      const [ledger] = await db.jobs.claim({ owner: 'fair', lanes: 1, perLane: 1, leaseMs: 1000, lane });
      await settleAll([ledger!]);
    });
  });
}
