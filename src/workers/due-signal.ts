import type { JobKind, Jobs } from '../ports/store.ts';

/** A process that commits a job runs it at once; the others look a little later, once for all notifications, so that not every replica asks for every job. */
const ELSEWHERE_MS = 100;

/**
 * Whether lanes of some kinds may be due, by the change notifications of commits.
 * @param holds whether lanes wait for their settle here, of which another process may have got a job
 */
export function dueSignal(jobs: Pick<Jobs, 'subscribe'>, kinds: readonly JobKind[], holds: () => boolean) {
  let wake = (): void => {};
  let later: NodeJS.Timeout | undefined;
  const signal = {
    /** Set where a claim may find something. */
    nudged: true,
    /** How many notifications of these kinds came. */
    received: 0,
    nudge(): void {
      signal.nudged = true;
      wake();
    },
    /** Resolves when it is nudged, or after a time. */
    wait: (ms: number): Promise<void> =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    stop(): void {
      wake();
      unsubscribe();
      clearTimeout(later);
    },
  };
  const unsubscribe = jobs.subscribe((notification) => {
    if (!notification.kinds.some((kind) => kinds.includes(kind))) return;
    signal.received++;
    if (!notification.elsewhere || holds()) signal.nudge();
    else
      later ??= setTimeout(() => {
        later = undefined;
        signal.nudge();
      }, ELSEWHERE_MS).unref();
  });
  return signal;
}
