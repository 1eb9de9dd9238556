import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Claim } from '../ports/claims.ts';
import type { ChangeNotification, ClaimedLane, JobKind, Jobs } from '../ports/store.ts';
import { laneSettler } from './lane-settler.ts';
import { startRunner, untilLook } from './runner.ts';

const KIND: JobKind = 'deliver';
const LOG = { info() {}, warn() {}, error() {} };

/** Lanes in memory, each of one job, with a share by tenant alone; how often they were asked. */
function lanesOf(tenants: readonly string[]) {
  const waiting = tenants.map((tenant, i): ClaimedLane => {
    const id = `job-${i}`;
    return { lane: `lane-${i}`, kind: KIND, tenant, lease: `lease-${i}`, jobs: [{ id, kind: KIND, tenant, attempts: 0, payload: {} }] };
  });
  const listeners = new Set<(notification: ChangeNotification) => void>();
  const asked = { claims: 0, settles: 0, carried: [] as string[] };
  const settled = Promise.withResolvers<void>();
  let open = waiting.length;
  function claim({ lanes, share }: Claim): ClaimedLane[] {
    asked.claims++;
    const held = new Map(share!.held);
    const taken: ClaimedLane[] = [];
    for (const lane of [...waiting]) {
      const count = held.get(lane.tenant) ?? 0;
      if (taken.length >= lanes || count >= share!.tenant) continue;
      held.set(lane.tenant, count + 1);
      taken.push(...waiting.splice(waiting.indexOf(lane), 1));
    }
    return taken;
  }
  function settle(some: readonly { readonly lane: string }[]): void {
    open -= some.length;
    if (open === 0) settled.resolve();
  }
  const jobs: Jobs = {
    claim: async (wanted) => claim(wanted),
    async settle(some) {
      asked.settles++;
      settle(some);
    },
    async settleAndClaim(some, wanted) {
      asked.carried.push(...some.map(({ lane }) => lane));
      settle(some);
      return { lanes: claim(wanted), left: waiting.length > 0 };
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    extend: async (leases) => [...leases],
    drop: async () => {},
    dead: async () => ({ total: 0, rows: [] }),
    revive: async () => 0,
  };
  /** A commit brings a lane. */
  function commit(tenant: string): void {
    const id = `job-${open++}-later`;
    waiting.push({ lane: `lane of ${id}`, kind: KIND, tenant, lease: id, jobs: [{ id, kind: KIND, tenant, attempts: 0, payload: {} }] });
    const none = { callIds: [], invalidate: [], tenants: [], events: [], mailboxes: [] };
    for (const listener of listeners) listener({ kinds: [KIND], ...none });
  }
  return { jobs, settler: laneSettler({ jobs, log: LOG }), asked, commit, settled: settled.promise };
}

const common = { owner: 'me', kinds: [KIND], perLane: 1, leaseMs: 10_000, slow: { most: 4, each: 4 }, log: LOG };

/** How long a lane that has ended waits for a claim: less than a runner waits for a look. */
const SETTLE_MS = 250;

test('the end of a lane is no reason to look for others where all that was due was claimed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { jobs, settler, asked, settled } = lanesOf(['a', 'b']);
  const ran: string[] = [];
  const runner = startRunner({
    ...common,
    jobs,
    settler,
    lanes: 8,
    async run({ id }) {
      ran.push(id);
      return { state: 'done' };
    },
  });
  while (!settler.isWaiting || ran.length < 2) await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(SETTLE_MS);
  await settled;
  // whatever the ends and the settle have woken would run now
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  const { claims } = asked;
  await runner.stop();
  assert.deepEqual(ran, ['job-0', 'job-1']);
  assert.equal(claims, 1);
});

test('a lane beyond the share of its tenant is claimed as soon as another one ends', async () => {
  const { jobs, settler, settled } = lanesOf(['a', 'a', 'a']);
  const first = Promise.withResolvers<void>();
  const ran: string[] = [];
  const runner = startRunner({
    ...common,
    jobs,
    settler,
    // half of the lanes are the share of a tenant
    lanes: 2,
    async run({ id }) {
      ran.push(id);
      if (id === 'job-0') await first.promise;
      return { state: 'done' };
    },
  });
  while (ran.length < 1) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ran, ['job-0']);
  first.resolve();
  await settled;
  await runner.stop();
  assert.deepEqual(ran, ['job-0', 'job-1', 'job-2']);
});

test('lanes that end one soon after the other make room for one claim', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { jobs, settler, asked } = lanesOf(Array.from({ length: 12 }, () => 'a'));
  const ends: (() => void)[] = [];
  const runner = startRunner({
    ...common,
    jobs,
    settler,
    lanes: 8,
    run: () => new Promise((resolve) => void ends.push(() => resolve({ state: 'retry', at: Number.MAX_SAFE_INTEGER, error: 'away' }))),
  });
  const turns = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  while (ends.length < 4) await turns(1);
  await turns(5);
  const { claims } = asked;
  for (const end of ends.splice(0, 3)) {
    end();
    await turns(5);
  }
  assert.equal(asked.claims, claims, 'nobody looks for each of them');
  t.mock.timers.tick(10);
  await turns(5);
  assert.deepEqual([asked.claims, ends.length], [claims + 1, 4], 'one look finds room for three');
  const stopped = runner.stop();
  while (ends.length > 0) ends.pop()!();
  await stopped;
});

test('a lane that has ended is settled with the next claim, in one round trip', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { jobs, settler, asked, commit, settled } = lanesOf(['a']);
  const ran: string[] = [];
  const runner = startRunner({
    ...common,
    jobs,
    settler,
    lanes: 8,
    async run({ id }) {
      ran.push(id);
      return { state: 'done' };
    },
  });
  while (!settler.isWaiting) await new Promise((resolve) => setImmediate(resolve));
  commit('a');
  while (ran.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([asked.claims, asked.settles, asked.carried], [2, 0, ['lane-0']]);
  await runner.stop();
  await settled;
  assert.deepEqual([asked.claims, asked.settles], [2, 1], 'the last one at the end');
});

test('a lane that has ended while a job came is settled at once', async () => {
  const { jobs, settler, asked, commit } = lanesOf(['a']);
  const [first, started] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const runner = startRunner({
    ...common,
    jobs,
    settler,
    lanes: 8,
    async run({ id }) {
      if (id !== 'job-0') return { state: 'done' };
      started.resolve();
      await first.promise;
      return { state: 'done' };
    },
  });
  await started.promise;
  commit('b');
  while (asked.claims < 2) await new Promise((resolve) => setImmediate(resolve));
  first.resolve();
  while (!asked.carried.includes('lane-0')) await new Promise((resolve) => setImmediate(resolve));
  await runner.stop();
});

test('lanes that could not be settled are settled again', async () => {
  const lane = (name: string) => ({ lane: name, lease: name });
  const given: string[][] = [];
  const settler = laneSettler({
    jobs: {
      async settle(some) {
        given.push(some.map(({ lane }) => lane));
        if (given.length === 1) throw new Error('the database is away');
      },
    },
    log: LOG,
  });
  settler.add(lane('one'));
  await settler.flush();
  settler.add(lane('two'));
  assert.ok(settler.isWaiting);
  await settler.flush();
  assert.deepEqual(given, [['one'], ['one', 'two']]);
  assert.equal(settler.isWaiting, false);
});

test('a lane goes along with one commit, and where that failed with none', async () => {
  const lane = (name: string) => ({ lane: name, lease: name });
  const names = (lanes: readonly { readonly lane: string }[]): string[] => lanes.map(({ lane }) => lane);
  const alone: string[] = [];
  let along: Parameters<NonNullable<Jobs['settleAlong']>> | undefined;
  const settler = laneSettler({
    jobs: {
      settle: async (some) => void alone.push(...names(some)),
      settleAlong: (...given) => {
        along = given;
      },
    },
    log: LOG,
  });
  const [take, again] = along!;
  settler.add(lane('one'));
  const taken = take();
  assert.deepEqual([names(taken), settler.isWaiting], [['one'], false]);
  again(taken);
  settler.add(lane('two'));
  assert.deepEqual([names(take()), settler.isWaiting], [['two'], true]);
  await settler.flush();
  assert.deepEqual([alone, settler.isWaiting], [['one'], false]);
});

test('looks fall together, whenever they begin and however long they are apart, and none is hasty', () => {
  const begun = [12.5, 300, 999, 1400, 3999, 4000.5];
  for (const pause of [1000, 2000, 4000])
    for (const now of begun) {
      const wait = untilLook(pause, now);
      assert.equal((now + wait) % pause, 0);
      assert.ok(wait >= pause / 2 && wait < 1.5 * pause);
    }
});
