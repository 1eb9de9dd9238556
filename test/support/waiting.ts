/** Something that tests wait for: a list that grows, with a limit on patience instead of pauses. */
export interface Waiting<T> {
  readonly list: readonly T[];
  add(item: T): void;
  /** The first item that matches, now or later. @param ms - least limit @throws Error that says what did not come */
  first(matches: (item: T) => boolean, what: string, ms?: number): Promise<T>;
}

/**
 * Limits of tests end what never comes or never ends. They are no measure of a machine: with eight other programs on it, a test takes ten times as long.
 * This one is how long nothing may come. A run that expects failures has a shorter one, by its environment, so that it does not wait for them at length.
 */
const PATIENCE_MS = Number(process.env.FLEXID_TEST_PATIENCE_MS ?? 180_000);
const isHurried = process.env.FLEXID_TEST_PATIENCE_MS !== undefined;
/** Limit of one call by HTTP. */
export const CALL_MS = 300_000;
/** Limit of a test of many processes or calls, and of a program that a test runs to its end. */
export const TEST_MS = 1_500_000;
/** A limit that a test gives lengthens the common one; it shortens none. */
const patience = (ms = PATIENCE_MS): number => (isHurried ? ms : Math.max(ms, PATIENCE_MS));
/** What goes on and on ends a wait as well, after so many times that. */
const AT_MOST = 5;

export function waiting<T>(): Waiting<T> {
  const list: T[] = [];
  const listeners = new Set<() => void>();
  return {
    list,
    add(item) {
      list.push(item);
      for (const listener of [...listeners]) listener();
    },
    first(matches, what, least) {
      const ms = patience(least);
      return new Promise((resolve, reject) => {
        let looked = 0;
        const began = Date.now();
        const look = (): boolean => {
          for (; looked < list.length; looked++) {
            const item = list[looked] as T;
            if (!matches(item)) continue;
            clearTimeout(timer);
            listeners.delete(look);
            resolve(item);
            return true;
          }
          // something came: it goes on
          if (Date.now() - began < (AT_MOST - 1) * ms) timer.refresh();
          return false;
        };
        const timer = setTimeout(() => {
          listeners.delete(look);
          reject(new Error(`waited ${Date.now() - began} ms in vain for ${what}; there was ${shortened(list)}`));
        }, ms);
        if (!look()) listeners.add(look);
      });
    },
  };
}

/** Asks until the answer is yes. For what tells nobody when it changes. @throws Error that names it */
export async function until<T>(
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  what: string,
  least?: number,
): Promise<T> {
  const ms = patience(least);
  const deadline = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The last few items, short. */
const shortened = (list: readonly unknown[]): string =>
  list
    .slice(-6)
    .map((item) => JSON.stringify(item, (name, value) => (name === 'raw' || name === 'headers' ? undefined : value)).slice(0, 250))
    .join('\n  ');
