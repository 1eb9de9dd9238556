import { BoundedMap } from '../bounded-map.ts';

/**
 * A rate limit for log lines: each name once in `ms`, so that a lasting failure fills no log.
 * @param most names that are kept; the oldest goes first
 * @returns how many lines of the name were suppressed since the last one, or undefined where this one is suppressed too
 */
export function seldom(ms: number, most = 1000, now: () => number = Date.now): (name: string) => number | undefined {
  const logged = new BoundedMap<string, { at: number; kept: number }>(most);
  return (name) => {
    const last = logged.get(name);
    if (last && now() - last.at < ms) {
      last.kept++;
      return undefined;
    }
    logged.set(name, { at: now(), kept: 0 });
    return last?.kept ?? 0;
  };
}

/** Runs at most once in `ms`: who asks meanwhile gets the last outcome, or the one that is under way. */
export function atMostEvery<T>(ms: number, run: () => Promise<T>, now: () => number = Date.now): () => Promise<T> {
  let last: { outcome: Promise<T>; until: number } | undefined;
  return () => {
    if (last && now() < last.until) return last.outcome;
    const one = { outcome: run(), until: Infinity };
    const over = (): void => {
      one.until = now() + ms;
    };
    one.outcome.then(over, over);
    last = one;
    return one.outcome;
  };
}
