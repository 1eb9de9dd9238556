import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A process is idle while it takes less than this share of a core between two looks: a machine that is busy with others makes it no busier. */
const IDLE = 0.05;
const LOOK_MS = 5000;

let collect: ((how: { type: 'major'; flavor: 'last-resort' }) => void) | undefined;

/**
 * Gives back what V8 holds in reserve: garbage, and the young generation, which has grown as far as it may by the end of a start and shrinks by no other
 * collection. It grows again with the work. Stops the thread for some 60 ms.
 */
export function releaseMemory(): void {
  if (!collect) {
    // only contexts that are made while the flag is set have the function
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as NonNullable<typeof collect>;
    setFlagsFromString('--no-expose-gc');
  }
  collect({ type: 'major', flavor: 'last-resort' });
}

/**
 * Calls `release` when the process is idle after it was busy, at first when it is idle after its start. Keeps no process alive.
 * @returns what ends that
 */
export function whenIdle(release: () => void, lookMs = LOOK_MS): () => void {
  let wasBusy = true;
  const look = () => ({ cpu: process.cpuUsage(), at: performance.now() });
  let before = look();
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(before.cpu);
    const isBusy = (user + system) / 1000 > IDLE * (performance.now() - before.at);
    if (isBusy) wasBusy = true;
    else if (wasBusy) {
      wasBusy = false;
      release();
    }
    // the time of a release is no work
    before = look();
  }, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}
