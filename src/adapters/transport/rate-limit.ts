import { BoundedMap } from '../../bounded-map.ts';

/** Decides whether one more is allowed of someone, by name. */
export interface RateLimit {
  take(name: string): boolean;
}

const MAX_NAMES = 10_000;

/**
 * A token bucket per name: `perSecond` on average, twice that at once. Bounded: the name that was seen longest ago goes first, which only ever allows more.
 * @param perSecond 0 allows everything
 */
export function rateLimit(perSecond: number, now: () => number = performance.now.bind(performance)): RateLimit {
  const burst = perSecond * 2;
  const buckets = new BoundedMap<string, { left: number; at: number }>(MAX_NAMES);
  return {
    take(name) {
      if (perSecond === 0) return true;
      const time = now();
      const known = buckets.get(name);
      const left = known ? Math.min(burst, known.left + ((time - known.at) / 1000) * perSecond) : burst;
      buckets.set(name, { left: left >= 1 ? left - 1 : left, at: time });
      return left >= 1;
    },
  };
}
