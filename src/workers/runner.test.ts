import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChangeNotification, ClaimedLane, JobKind, Jobs } from '../ports/store.ts';
import { startRunner } from './runner.ts';

const KIND: JobKind = 'deliver';

/** Lanes in memory, each of one job, with a share by tenant alone; how often they were asked. */
function lanesOf(tenants: readonly string[]) {
  const waiting = tenants.map((tenant, i): ClaimedLane => {
    const id = `job-${i}`;
    return { lane: `lane-${i}`, kind: KIND, tenant, lease: `lease-${i}`, jobs: [{ id, kind: KIND, tenant, attempts: 0, payload: {} }] };
  });
  const listeners = new Set<(notification: ChangeNotification) => void>();
  const asked = { claims: 0, looks: 0, settles: 0 };
  const settled = Promise.withResolvers<void>();
  let open = waiting.length;
  const jobs: Jobs = {
    async claim({ lanes, share }) {
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
    },
    async settle(some) {
      asked.settles++;
      open -= some.length;
      if (open === 0) settled.resolve();
    },
    async nextDue(_kinds, after = -1) {
      asked.looks++;
      return waiting.length > 0 && after < 0 ? 0 : undefined;
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
  return { jobs, asked, settled: settled.promise };
}

const LOG = { info() {}, warn() {}, error() {} };
const common = { owner: 'me', kinds: [KIND], perLane: 1, leaseMs: 10_000, slow: { most: 4, each: 4 }, log: LOG };

test('the end of a lane is no reason to look for others where all that was due was claimed', async () => {
  const { jobs, asked, settled } = lanesOf(['a', 'b']);
  const ran: string[] = [];
  const runner = startRunner({
    ...common,
    jobs,
    lanes: 8,
    async run({ id }) {
      ran.push(id);
      return { state: 'done' };
    },
  });
  await settled;
  // whatever the ends and the settle have woken would run now
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  const { claims } = asked;
  await runner.stop();
  assert.deepEqual(ran, ['job-0', 'job-1']);
  assert.equal(claims, 1);
});

test('a lane beyond the share of its tenant is claimed as soon as another one ends', async () => {
  const { jobs, asked, settled } = lanesOf(['a', 'a', 'a']);
  const first = Promise.withResolvers<void>();
  const ran: string[] = [];
  const runner = startRunner({
    ...common,
    jobs,
    // half of the lanes are the share of a tenant
    lanes: 2,
    async run({ id }) {
      ran.push(id);
      if (id === 'job-0') await first.promise;
      return { state: 'done' };
    },
  });
  while (asked.looks < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ran, ['job-0']);
  first.resolve();
  await settled;
  await runner.stop();
  assert.deepEqual(ran, ['job-0', 'job-1', 'job-2']);
});
