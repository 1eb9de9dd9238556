/** A bounded cache with an age per entry; the entry used longest ago goes first. `Infinity` keeps an entry until then. */
export interface Cache<T> {
  get(key: string): T | undefined;
  set(key: string, value: T, ms: number): void;
  delete(key: string): void;
}

/** A cache of at most `limit` entries on the given clock (milliseconds). */
export const createCache = <T>(limit: number, clock: () => number): Cache<T> => {
  const entries = new Map<string, { value: T; until: number }>();
  return {
    get: (key) => {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      if (entry.until <= clock()) return undefined;
      entries.set(key, entry);
      return entry.value;
    },
    set: (key, value, ms) => {
      entries.delete(key);
      entries.set(key, { value, until: clock() + ms });
      for (const oldest of entries.keys()) {
        if (entries.size <= limit) break;
        entries.delete(oldest);
      }
    },
    delete: (key) => {
      entries.delete(key);
    },
  };
};

/** Runs one task per key at a time: whoever asks meanwhile gets the same answer or error. */
export const coalesce = <T>(): ((key: string, task: () => Promise<T>) => Promise<T>) => {
  const running = new Map<string, Promise<T>>();
  return (key, task) => {
    const present = running.get(key);
    if (present !== undefined) return present;
    const promise = task().finally(() => running.delete(key));
    running.set(key, promise);
    return promise;
  };
};

/** Freezes a JSON value through and through, so that cached objects can be handed out. */
export const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
};
