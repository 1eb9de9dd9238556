import { now } from '../kernel/clock.ts';
import type { JobOutcome } from '../kernel/job-outcome.ts';
import type { Log } from '../ports/log.ts';
import type { ClaimedJob, ClaimedLane, JobKind, Jobs, SettledLane, Share } from '../ports/store.ts';
import type { Breaker } from './breaker.ts';

export interface RunnerOptions {
  readonly jobs: Jobs;
  readonly owner: string;
  readonly kinds: readonly JobKind[];
  /** Lanes that are worked on at the same time, beside those whose job takes long; of one tenant half as many. */
  readonly lanes: number;
  readonly perLane: number;
  readonly leaseMs: number;
  /** Lanes whose job takes long, in all and of one tenant: they hold nobody up. */
  readonly slow: {
    readonly most: number;
    readonly each: number;
    /** What is too much of them is aborted, and tried again later; otherwise it counts among `lanes` again. */
    readonly abort?: boolean;
    /** After how many ms a job takes long. */
    readonly ms?: number;
  };
  /** Targets of lanes, by what is known of them. Names are `tenant target`. */
  readonly breaker?: Pick<Breaker, 'first' | 'known'>;
  readonly run: (job: ClaimedJob, lease: string, signal: AbortSignal) => Promise<JobOutcome>;
  readonly log: Log;
}

export interface Runner {
  /** Takes no more lanes and waits for those in hand. */
  stop(): Promise<void>;
}

/** A lane in hand. */
interface Going {
  readonly tenant: string;
  slow: boolean;
  abort: AbortController;
}

const SLOW_MS = 1000;
/** A lane that came due this long before a claim may have been missed by it: clocks are not one. */
const SLACK_MS = 100;

/** Who committed a job runs it at once; the others look a little later, once for all that they heard of, so that not every replica asks for every job. */
const ELSEWHERE_MS = 100;

/**
 * Works on lanes of some kinds: claims what is due in batches, runs the jobs of one lane in their order, and settles lanes in batches. A job that must wait ends
 * its lane's turn, so that order holds. Hints make it quick; a timer makes it sure. A job that takes long gives its place to others while it goes on, so that
 * any number of those who do not answer hold up nobody.
 */
export function startRunner(options: RunnerOptions): Runner {
  const { jobs, kinds, log } = options;
  const active = new Map<string, Promise<void>>();
  /** Lanes in hand, those that went on for longest first. */
  const going = new Set<Going>();
  const slowMs = options.slow.ms ?? SLOW_MS;
  let stopped = false;
  let wake = (): void => {};
  let nudged = true;
  const nudge = (): void => {
    nudged = true;
    wake();
  };
  let later: NodeJS.Timeout | undefined;
  const unsubscribe = jobs.subscribe((notification) => {
    if (!notification.kinds.some((kind) => kinds.includes(kind))) return;
    if (!notification.elsewhere) nudge();
    else
      later ??= setTimeout(() => {
        later = undefined;
        nudge();
      }, ELSEWHERE_MS).unref();
  });

  const finished: SettledLane[] = [];
  let settling: Promise<void> | undefined;
  async function settleAll(): Promise<void> {
    // what ends while one settle is under way goes with the next
    await new Promise((resolve) => setImmediate(resolve));
    while (finished.length > 0) {
      const batch = finished.splice(0);
      try {
        await jobs.settle(batch);
        nudge();
      } catch (error) {
        // said again while the leases hold; after that the jobs run again
        log.error({ err: error, lanes: batch.length }, 'lanes could not be settled');
        if (stopped) break;
        finished.push(...batch);
        await sleep(500);
      }
    }
    settling = undefined;
  }

  /** How many lanes take long: those of a tenant beyond its number, and of all beyond theirs, count as if they did not. */
  function places(): { free: number; held: Map<string, number> } {
    const held = new Map<string, number>();
    const slow = new Map<string, number>();
    let extra = options.slow.most;
    let taken = 0;
    for (const { tenant, slow: isSlow } of going) {
      const count = slow.get(tenant) ?? 0;
      if (isSlow && extra > 0 && count < options.slow.each) {
        slow.set(tenant, count + 1);
        extra--;
        continue;
      }
      held.set(tenant, (held.get(tenant) ?? 0) + 1);
      taken++;
    }
    return { free: options.lanes - taken, held };
  }

  /** Ends what takes long where that is too much: of the tenant that has too many of them, or the most, the one that went on for longest. */
  function relieve(tenant: string): void {
    if (!options.slow.abort) return;
    const slow = [...going].filter((one) => one.slow && !one.abort.signal.aborted);
    const byTenant = Map.groupBy(slow, (one) => one.tenant);
    let victims = byTenant.get(tenant) ?? [];
    if (victims.length <= options.slow.each) {
      if (slow.length <= options.slow.most) return;
      for (const some of byTenant.values()) if (some.length > victims.length) victims = some;
    }
    victims[0]?.abort.abort();
  }

  /** A shutdown waits for nobody who does not answer. */
  function giveUp({ abort }: Going): void {
    if (options.slow.abort) abort.abort();
  }

  async function runOne(job: ClaimedJob, lease: string, one: Going): Promise<JobOutcome> {
    one.abort = new AbortController();
    const timer = setTimeout(() => {
      one.slow = true;
      // from here on, it went on for less long than those before it
      going.delete(one);
      going.add(one);
      if (stopped) giveUp(one);
      relieve(one.tenant);
      nudge();
    }, slowMs);
    try {
      return await options.run(job, lease, one.abort.signal);
    } catch (error) {
      log.error({ err: error, job: job.id, kind: job.kind }, 'a job broke');
      return { state: 'retry', at: now() + 1000 * 2 ** Math.min(job.attempts, 6), error: 'internal error' };
    } finally {
      clearTimeout(timer);
      one.slow = false;
    }
  }

  async function work(lane: ClaimedLane, one: Going): Promise<void> {
    const done: string[] = [];
    const settled: { retry?: { id: string; at: number; error: string; untried?: boolean }[]; dead?: { id: string; error: string }[] } = {};
    for (const job of lane.jobs) {
      if (stopped) break;
      const outcome = await runOne(job, lane.lease, one);
      if (outcome.state === 'done') done.push(job.id);
      else if (outcome.state === 'dead') settled.dead = [...(settled.dead ?? []), { id: job.id, error: outcome.error }];
      else if (outcome.state === 'retry') {
        settled.retry = [{ id: job.id, at: outcome.at, error: outcome.error }];
        break;
      } else if (outcome.state === 'later') {
        settled.retry = [{ id: job.id, at: outcome.at, error: '', untried: true }];
        break;
      }
    }
    finished.push({ lane: lane.lane, lease: lane.lease, done, ...settled });
    settling ??= settleAll();
  }

  function take(lane: ClaimedLane): void {
    const one: Going = { tenant: lane.tenant, slow: false, abort: new AbortController() };
    going.add(one);
    const task = work(lane, one).finally(() => {
      going.delete(one);
      active.delete(lane.lease);
      nudge();
    });
    active.set(lane.lease, task);
  }

  async function loop(): Promise<void> {
    let looked = 0;
    while (!stopped) {
      const { free, held } = places();
      if (nudged && free > 0) {
        nudged = false;
        looked = now() - SLACK_MS;
        let claimed: ClaimedLane[] = [];
        try {
          const share = shareOf(options, held);
          claimed = await jobs.claim({
            owner: options.owner,
            lanes: free,
            perLane: options.perLane,
            leaseMs: options.leaseMs,
            kinds,
            share,
          });
        } catch (error) {
          log.error({ err: error }, 'jobs could not be claimed');
          await sleep(1000);
          nudged = true;
        }
        for (const lane of claimed) take(lane);
        if (claimed.length === free) nudged = true;
        continue;
      }
      // what was due before and was not claimed is more than its owner's share: it is asked for again when something ends
      const due = await jobs.nextDue(kinds, looked).catch(() => undefined);
      const pause = Math.max(10, Math.min(due === undefined ? 1000 : due - now(), 1000));
      if (nudged && places().free > 0) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      nudged = true;
    }
  }

  const heartbeat = setInterval(() => {
    const leases = [...active.keys()];
    if (leases.length > 0) void jobs.extend(leases, options.leaseMs).catch(() => {});
  }, options.leaseMs / 3);
  heartbeat.unref();

  const looping = loop();
  return {
    async stop() {
      stopped = true;
      for (const one of going) if (one.slow) giveUp(one);
      wake();
      unsubscribe();
      clearTimeout(later);
      await looping;
      await Promise.allSettled(active.values());
      await settling;
      clearInterval(heartbeat);
    },
  };
}

function shareOf({ lanes, breaker }: RunnerOptions, held: ReadonlyMap<string, number>): Share {
  const targets = [...(breaker?.known() ?? [])].map(([name, room]) => {
    const [tenant = '', target = ''] = name.split(' ', 2);
    return { tenant, target, room };
  });
  return { tenant: Math.ceil(lanes / 2), held, target: breaker?.first ?? lanes, targets };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
