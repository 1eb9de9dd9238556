import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../ports/log.ts';
import type { Jobs, SettledLane } from '../ports/store.ts';

interface Parts {
  readonly jobs: Pick<Jobs, 'settle'>;
  readonly log: Log;
  readonly isStopped: () => boolean;
  readonly onSettled: () => void;
}

/** Settles lanes in batches. */
export function laneSettler({ jobs, log, isStopped, onSettled }: Parts) {
  const finished: SettledLane[] = [];
  let settling: Promise<void> | undefined;
  async function settleAll(): Promise<void> {
    // jobs that end while one settle is under way go with the next
    await new Promise((resolve) => setImmediate(resolve));
    while (finished.length > 0) {
      const batch = finished.splice(0);
      try {
        await jobs.settle(batch);
        onSettled();
      } catch (error) {
        // tried again while the leases hold; after that the jobs run again
        log.error({ err: error, lanes: batch.length }, 'lanes could not be settled');
        if (isStopped()) break;
        finished.push(...batch);
        await sleep(500);
      }
    }
    settling = undefined;
  }

  return {
    add(lane: SettledLane): void {
      finished.push(lane);
      settling ??= settleAll();
    },
    /** Resolves when what was added is settled, or could not be. */
    settled: async (): Promise<void> => await settling,
  };
}
