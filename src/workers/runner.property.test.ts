import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JobOutcome } from '../kernel/job-outcome.ts';
import type { Claim, Claims } from '../ports/claims.ts';
import type { ChangeNotification, ClaimedLane, JobKind, Jobs } from '../ports/store.ts';
import { laneSettler } from './lane-settler.ts';
import { startRunner } from './runner.ts';

const KIND: JobKind = 'work';
const LOG = { info() {}, warn() {}, error() {} };
const OUTCOMES: Readonly<Record<string, JobOutcome>> = {
  done: { state: 'done' },
  retry: { state: 'retry', at: Number.MAX_SAFE_INTEGER, error: 'away' },
  dead: { state: 'dead', error: 'refused' },
};
/** The end of a lane waits for others so long. */
const ROOM_MS = 10;

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

interface Arrival {
  readonly at: number;
  readonly tenant: string;
  readonly takes: number;
  readonly end: string;
}
const arrival: fc.Arbitrary<Arrival> = fc.record({
  at: fc.nat(400),
  tenant: fc.constantFrom('a', 'b', 'c'),
  takes: fc.oneof(fc.nat(30), fc.nat(1500)),
  end: fc.constantFrom('done', 'done', 'retry', 'dead'),
});

test('no lane stays due while there is room for it, whenever lanes come and end, and however long a claim takes', async (t) => {
  const holds = async (arrivals: readonly Arrival[], lanes: number, claimMs: number): Promise<void> => {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    let time = 0;
    const waiting: ClaimedLane[] = [];
    const listeners = new Set<(notification: ChangeNotification) => void>();
    let running: { readonly until: number; readonly tenant: string; end(): void }[] = [];
    let answers: { readonly at: number; go(): void }[] = [];
    const claim = ({ lanes: most, share }: Claim): Claims => {
      const held = new Map(share!.held);
      const taken: ClaimedLane[] = [];
      for (const lane of [...waiting]) {
        const count = held.get(lane.tenant) ?? 0;
        if (taken.length >= most || count >= share!.tenant) continue;
        held.set(lane.tenant, count + 1);
        taken.push(...waiting.splice(waiting.indexOf(lane), 1));
      }
      return { lanes: taken, left: waiting.length > 0 };
    };
    const jobs: Jobs = {
      claim: async (wanted) => claim(wanted).lanes,
      settle: async () => {},
      // what is due is looked at when the claim begins, and the answer comes later
      settleAndClaim: (_settled, wanted) => {
        const found = claim(wanted);
        return new Promise((resolve) => answers.push({ at: time + claimMs, go: () => resolve(found) }));
      },
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      extend: async (leases) => [...leases],
      drop: async () => {},
      dead: async () => ({ total: 0, rows: [] }),
      revive: async () => 0,
    };
    const due = <T>(some: readonly T[], isDue: (one: T) => boolean): [T[], T[]] => [some.filter(isDue), some.filter((one) => !isDue(one))];
    const pass = (all = false): void => {
      const [ended, going] = due(running, ({ until }) => all || until <= time);
      running = going;
      for (const one of ended) one.end();
      const [ready, later] = due(answers, ({ at }) => all || at <= time);
      answers = later;
      for (const one of ready) one.go();
    };
    const runner = startRunner({
      ...{ owner: 'me', kinds: [KIND], perLane: 1, leaseMs: 10_000, slow: { most: 2, each: 1 }, log: LOG, jobs, lanes },
      settler: laneSettler({ jobs, log: LOG }),
      run: ({ id }) =>
        new Promise((resolve) => {
          const { takes, tenant, end } = arrivals[Number(id)]!;
          running.push({ until: time + takes, tenant, end: () => resolve(OUTCOMES[end]!) });
        }),
    });
    try {
      await turns(6);
      let since: number | undefined;
      for (; time <= 400 || waiting.length > 0; time++) {
        for (const [i, { at, tenant }] of arrivals.entries()) {
          if (at !== time) continue;
          const job = { id: String(i), kind: KIND, tenant, attempts: 0, payload: {} };
          waiting.push({ lane: `lane-${i}`, kind: KIND, tenant, lease: `lease-${i}`, jobs: [job] });
          for (const listener of listeners)
            listener({ kinds: [KIND], callIds: [], invalidate: [], tenants: [], events: [], mailboxes: [] });
        }
        pass();
        await turns(6);
        const held = (tenant: string): number => running.filter((one) => one.tenant === tenant).length;
        const hasRoom = running.length < lanes && waiting.some(({ tenant }) => held(tenant) < Math.ceil(lanes / 2));
        since = hasRoom ? (since ?? time) : undefined;
        // a claim that looked just before, the wait for other ends, and the claim that finds it
        assert.ok(since === undefined || time - since <= 2 * claimMs + ROOM_MS + 3, `a lane is due since ${since}, and it is ${time}`);
        t.mock.timers.tick(1);
      }
    } finally {
      const stopped = runner.stop();
      for (let i = 0; i < 8; i++) {
        pass(true);
        await turns(6);
        t.mock.timers.tick(500);
      }
      await stopped;
      t.mock.timers.reset();
    }
  };
  await fc.assert(fc.asyncProperty(fc.array(arrival, { minLength: 1, maxLength: 40 }), fc.integer({ min: 2, max: 6 }), fc.nat(8), holds), {
    numRuns: 40,
  });
});
