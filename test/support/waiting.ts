/** Something that tests wait for: a list that grows, with a limit on patience instead of pauses. */
export interface Waiting<T> {
  readonly list: readonly T[];
  add(item: T): void;
  /** The first item that matches, now or later. @throws Error that says what did not come */
  first(matches: (item: T) => boolean, what: string, ms?: number): Promise<T>;
}

/**
 * How long nothing may come. It is for what never comes: how fast a machine is, is not known here. A run that expects failures says less, so that it does not wait
 * for them at length.
 */
const PATIENCE_MS = Number(process.env.FLEXID_TEST_PATIENCE_MS ?? 60_000);
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
    first(matches, what, ms = PATIENCE_MS) {
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
  ms = PATIENCE_MS,
): Promise<T> {
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
