import { now } from '../kernel/clock.ts';
import type { Log } from '../ports/log.ts';
import type { ClaimedJob, ClaimedLane, JobKind, Jobs, SettledLane } from '../ports/store.ts';

/** What became of one job of a lane. A job that its own commit completed is `committed`. */
export type JobOutcome =
  | { readonly state: 'done' }
  | { readonly state: 'committed' }
  | { readonly state: 'retry'; readonly at: number; readonly error: string }
  | { readonly state: 'dead'; readonly error: string };

export interface RunnerOptions {
  readonly jobs: Jobs;
  readonly owner: string;
  readonly kinds: readonly JobKind[];
  /** Lanes that are worked on at the same time. */
  readonly lanes: number;
  readonly perLane: number;
  readonly leaseMs: number;
  readonly run: (job: ClaimedJob, lease: string) => Promise<JobOutcome>;
  readonly log: Log;
}

export interface Runner {
  /** Takes no more lanes and waits for those in hand. */
  stop(): Promise<void>;
}

/** Who committed a job runs it at once; the others look a little later, once for all that they heard of, so that not every replica asks for every job. */
const ELSEWHERE_MS = 100;

/**
 * Works on lanes of some kinds: claims what is due in batches, runs the jobs of one lane in their order, and settles lanes in batches. A job that must wait ends
 * its lane's turn, so that order holds. Hints make it quick; a timer makes it sure.
 */
export function startRunner(options: RunnerOptions): Runner {
  const { jobs, kinds, log } = options;
  const active = new Map<string, Promise<void>>();
  let stopped = false;
  let wake = (): void => {};
  let nudged = true;
  const nudge = (): void => {
    nudged = true;
    wake();
  };
  let later: NodeJS.Timeout | undefined;
  const unsubscribe = jobs.subscribe((hint) => {
    if (!hint.kinds.some((kind) => kinds.includes(kind))) return;
    if (!hint.elsewhere) nudge();
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

  async function work(lane: ClaimedLane): Promise<void> {
    const done: string[] = [];
    const settled: { retry?: { id: string; at: number; error: string }[]; dead?: { id: string; error: string }[] } = {};
    for (const job of lane.jobs) {
      if (stopped) break;
      const outcome = await options.run(job, lane.lease).catch((error: unknown): JobOutcome => {
        log.error({ err: error, job: job.id, kind: job.kind }, 'a job broke');
        return { state: 'retry', at: now() + 1000 * 2 ** Math.min(job.attempts, 6), error: 'internal error' };
      });
      if (outcome.state === 'done') done.push(job.id);
      else if (outcome.state === 'dead') settled.dead = [...(settled.dead ?? []), { id: job.id, error: outcome.error }];
      else if (outcome.state === 'retry') {
        settled.retry = [{ id: job.id, at: outcome.at, error: outcome.error }];
        break;
      }
    }
    finished.push({ lane: lane.lane, lease: lane.lease, done, ...settled });
    settling ??= settleAll();
  }

  async function loop(): Promise<void> {
    while (!stopped) {
      const free = options.lanes - active.size;
      if (nudged && free > 0) {
        nudged = false;
        let claimed: ClaimedLane[] = [];
        try {
          claimed = await jobs.claim({ owner: options.owner, lanes: free, perLane: options.perLane, leaseMs: options.leaseMs, kinds });
        } catch (error) {
          log.error({ err: error }, 'jobs could not be claimed');
          await sleep(1000);
          nudged = true;
        }
        for (const lane of claimed) {
          const task = work(lane).finally(() => {
            active.delete(lane.lease);
            nudge();
          });
          active.set(lane.lease, task);
        }
        if (claimed.length === free) nudged = true;
        continue;
      }
      const due = await jobs.nextDue().catch(() => undefined);
      const pause = Math.max(10, Math.min(due === undefined ? 1000 : due - now(), 1000));
      if (nudged && options.lanes - active.size > 0) continue;
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

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** When a job that failed so many times is due again: doubling from one second up to `cap`, with a little scatter. A whole number: a store keeps no other. */
export function backoff(attempts: number, cap: number): number {
  return now() + Math.round(Math.min(1000 * 2 ** Math.min(attempts, 20), cap) * (0.8 + Math.random() * 0.4));
}
