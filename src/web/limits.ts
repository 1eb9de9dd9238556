import { BoundedMap } from '../bounded-map.ts';
import { AppError } from '../errors.ts';

const MAX_COUNTED = 10_000;

/** Counts by name over a span, whatever becomes of what is counted. In memory: each process counts its own. */
export function createLimit(now: () => number, max: number, spanMs: number) {
  const counted = new BoundedMap<string, { readonly since: number; count: number }>(MAX_COUNTED);
  /** @throws AppError `busy` where there were too many */
  return (name: string): void => {
    const found = counted.get(name);
    const entry = found && now() - found.since < spanMs ? found : { since: now(), count: 0 };
    if (entry.count >= max) throw new AppError('busy', 'Too many attempts: come back later');
    entry.count++;
    if (entry !== found) counted.set(name, entry);
  };
}
