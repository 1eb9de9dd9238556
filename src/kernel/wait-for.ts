/** A notification may be lost, so a wait also polls. */
const LOOK_MS = 200;

export interface Wait {
  /** Ms since 1970 by this machine's clock: from then on the check is given `late`, and should end the wait. */
  readonly deadline: number;
  /** Has `wake` called when a check may come out otherwise. @returns what ends that */
  readonly wakeOn: (wake: () => void) => () => void;
}

/**
 * Checks at once, at each notification and five times a second, until the check has an answer.
 * @throws what the check throws
 */
export async function waitFor<T>(check: (late: boolean) => Promise<T | undefined>, { deadline, wakeOn }: Wait): Promise<T> {
  let wake = (): void => {};
  const stop = wakeOn(() => wake());
  try {
    for (;;) {
      // a notification that comes during the check counts
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const answer = await check(Date.now() >= deadline);
      if (answer !== undefined) return answer;
      const timer = setTimeout(() => wake(), LOOK_MS);
      await woken;
      clearTimeout(timer);
    }
  } finally {
    stop();
  }
}
