import { setTimeout as sleep } from 'node:timers/promises';
import { now } from '../kernel/clock.ts';
import type { JobOutcome } from '../kernel/job-outcome.ts';
import type { Claims, Share } from '../ports/claims.ts';
import type { Log } from '../ports/log.ts';
import type { ClaimedJob, ClaimedLane, JobKind, Jobs, SettledLane } from '../ports/store.ts';
import type { Breaker } from './breaker.ts';
import { dueSignal } from './due-signal.ts';
import { type LaneInHand, lanePlaces } from './lane-places.ts';
import type { LaneSettler } from './lane-settler.ts';

export interface RunnerOptions {
  readonly jobs: Jobs;
  /** Of all runners. */
  readonly settler: LaneSettler;
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
    /** Jobs beyond these are aborted, and tried again later; otherwise they count among `lanes` again. */
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

/** After how long a job takes long, unless its runner has a time of its own. */
const SLOW_MS = 1000;
/** How long a runner waits between two looks that nothing has called for, while there is work and where nothing came for a while. */
const LOOK_MS = 1000;
const IDLE_LOOK_MS = 4000;
/** How long the end of a lane waits for those of others, where lanes are due for which there was no room. */
const ROOM_MS = 10;

/**
 * Works on lanes of some kinds: claims what is due in batches, runs the jobs of one lane in their order, and settles lanes with the next claim, its own or
 * another runner's. A job that must wait ends its lane's turn, so that order holds. Change notifications make it quick; a timer makes it sure, and rarer while
 * nothing comes. A job that takes long gives its place to others while it goes on, so that any number of those who do not answer hold up nobody.
 */
export function startRunner(options: RunnerOptions): Runner {
  const { jobs, kinds, log, settler } = options;
  const active = new Map<string, Promise<void>>();
  const slowMs = options.slow.ms ?? SLOW_MS;
  const places = lanePlaces(options);
  const due = dueSignal(jobs, kinds, () => settler.isWaiting);
  let stopped = false;
  const left = leftLanes(due.nudge);

  async function runOne(job: ClaimedJob, lease: string, one: LaneInHand): Promise<JobOutcome> {
    if (one.abort.signal.aborted) one.abort = new AbortController();
    const timer = setTimeout(() => {
      places.takesLong(one);
      if (stopped) places.giveUp(one);
      places.relieve(one.tenant);
      due.nudge();
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

  async function work(lane: ClaimedLane, one: LaneInHand): Promise<SettledLane> {
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
    return { lane: lane.lane, lease: lane.lease, done, ...settled };
  }

  function take(lane: ClaimedLane): void {
    const one = places.begin(lane.tenant);
    const { received } = due;
    const task = work(lane, one).then((settled) => {
      const wasFull = places.count().free <= 0;
      places.end(one);
      active.delete(lane.lease);
      settler.add(settled);
      left.roomMade();
      // a job that came meanwhile may be one of this lane, unless that waits anyway; and a call may wait for the end of one
      if (wasFull || (due.received !== received && !settled.retry) || isAwaited(lane.kind, settled)) due.nudge();
    });
    active.set(lane.lease, task);
  }

  /** What is due, or nothing where the database does not answer. */
  async function claim(free: number, held: ReadonlyMap<string, number>): Promise<Claims | undefined> {
    const { owner, perLane, leaseMs } = options;
    const settled = settler.take();
    left.claiming();
    try {
      return await jobs.settleAndClaim(settled, { owner, lanes: free, perLane, leaseMs, kinds, share: shareOf(options, held) });
    } catch (error) {
      log.error({ err: error }, 'jobs could not be claimed');
      settler.again(settled);
      await sleep(1000);
      due.nudged = true;
      return undefined;
    }
  }

  async function loop(): Promise<void> {
    let pause = LOOK_MS;
    while (!stopped) {
      const { free, held } = places.count();
      if (free <= 0) {
        // the end of a lane wakes it
        await due.wait(LOOK_MS);
        continue;
      }
      due.nudged = false;
      const claims = await claim(free, held);
      if (!claims) continue;
      for (const lane of claims.lanes) take(lane);
      if (claims.lanes.length === free) due.nudged = true;
      left.are(claims.left);
      pause = claims.lanes.length > 0 || active.size > 0 ? LOOK_MS : Math.min(2 * pause, IDLE_LOOK_MS);
      const look = untilLook(pause, performance.now());
      if (!due.nudged) await due.wait(Math.max(10, Math.min(claims.next === undefined ? look : claims.next - now(), look)));
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
      places.giveUpSlow();
      due.stop();
      await looping;
      await Promise.allSettled(active.values());
      await settler.flush();
      clearInterval(heartbeat);
    },
  };
}

/** Calls wait for no mail and no webhook; the end of others that no commit has written is to be known at once. */
const isAwaited = (kind: JobKind, { done, dead }: SettledLane): boolean =>
  kind !== 'deliver' && kind !== 'event' && ((done?.length ?? 0) > 0 || dead !== undefined);

/** How long from now to a look: those of all runners fall together, so that a store can answer them at once. */
export function untilLook(pause: number, now: number): number {
  const rest = pause - (now % pause);
  return rest < pause / 2 ? rest + pause : rest;
}

/** Lanes that are due and that a claim left to others: beyond a share, which the end of a lane may change. */
function leftLanes(nudge: () => void) {
  let some = false;
  let ends = 0;
  let endsAtClaim = 0;
  let timer: NodeJS.Timeout | undefined;
  /** Looks a little later, once for all lanes that end until then. */
  const soon = (): void => {
    timer ??= setTimeout(nudge, ROOM_MS).unref();
  };
  return {
    claiming(): void {
      endsAtClaim = ends;
      clearTimeout(timer);
      timer = undefined;
    },
    /** A lane has ended, or was settled. */
    roomMade(): void {
      ends++;
      if (some) soon();
    },
    /** Notes whether there are some: a lane that has ended since the claim may have made room for them already. */
    are(value: boolean): void {
      some = value;
      if (some && ends !== endsAtClaim) soon();
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
