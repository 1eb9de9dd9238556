import type { Log } from '../ports/log.ts';
import type { Jobs, SettledLane } from '../ports/store.ts';

/** How long a lane that has ended waits for a claim or a commit that takes its settle along. */
const WAIT_MS = 250;
const RETRY_MS = 500;

/** Lanes that have ended and are held until they are settled, of all runners. */
export interface LaneSettler {
  add(lane: SettledLane): void;
  /** All that wait, for a claim to settle. */
  take(): SettledLane[];
  /** Lanes that could not be settled: tried again while the leases hold, and after that the jobs run again. */
  again(lanes: readonly SettledLane[]): void;
  readonly isWaiting: boolean;
  /** Settles all that wait, once. */
  flush(): Promise<void>;
}

/** Collects lanes for the next claim of any runner, or the next commit where the store can, and settles those for which none comes. */
export function laneSettler({ jobs, log }: { readonly jobs: Pick<Jobs, 'settle' | 'settleAlong'>; readonly log: Log }): LaneSettler {
  let waiting: SettledLane[] = [];
  let failed: SettledLane[] = [];
  let timer: NodeJS.Timeout | undefined;

  function take(): SettledLane[] {
    clearTimeout(timer);
    timer = undefined;
    const taken = [...failed, ...waiting];
    failed = [];
    waiting = [];
    return taken;
  }

  /** Without those that have failed: one that the store cannot write must not fail the commits of others. */
  function takeFirst(): SettledLane[] {
    const taken = waiting;
    waiting = [];
    return taken;
  }

  function again(lanes: readonly SettledLane[]): void {
    failed.push(...lanes);
    if (failed.length > 0) timer ??= setTimeout(settleAll, RETRY_MS);
  }

  async function settleAll(): Promise<void> {
    const lanes = take();
    if (lanes.length === 0) return;
    try {
      await jobs.settle(lanes);
    } catch (error) {
      log.error({ err: error, lanes: lanes.length }, 'lanes could not be settled');
      again(lanes);
    }
  }

  jobs.settleAlong?.(takeFirst, again);

  return {
    take,
    again,
    add(lane) {
      waiting.push(lane);
      timer ??= setTimeout(settleAll, WAIT_MS);
    },
    get isWaiting() {
      return waiting.length + failed.length > 0;
    },
    async flush() {
      await settleAll();
      clearTimeout(timer);
    },
  };
}
