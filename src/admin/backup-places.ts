import { BoundedMap } from '../bounded-map.ts';
import { AppError } from '../errors.ts';

/** Backups that are written at once, over all wallets: each reads all of a wallet. */
const AT_ONCE = 2;
/** The longest time of one. */
const LONGEST_MS = 15 * 60_000;
/** The longest time that its client leaves a piece unread. */
const STALLED_MS = 30_000;
/** The least that its client reads in the time that the agent waits for it, once that is longer than `STALLED_MS`. */
const LEAST_BYTES_PER_S = 32 << 10;
/** The `Retry-After` of a wallet without a place, in s. */
const RETRY_AFTER_S = 30;
/** Wallets that are known to have had a place a while ago. */
const MAX_RESTING = 10_000;

/** A place of one backup, from its first byte to its last. */
export interface BackupPlace {
  /** The pieces, as they are read. The place is free after the last one, or when they are given up. */
  pieces(text: AsyncIterable<string>): AsyncGenerator<string>;
  /** Why its client must go, if it must: it is too slow. */
  fault(): AppError | undefined;
  end(): void;
}

/**
 * The places of backups. A wallet has one at most; one that had a place leaves the last free one to others for as long as it had its own, so that two wallets
 * do not keep others out in turn.
 */
export function createBackupPlaces(now: () => number): { take(tenant: string): BackupPlace } {
  const held = new Set<string>();
  const resting = new BoundedMap<string, number>(MAX_RESTING);

  function take(tenant: string): BackupPlace {
    const isLast = held.size === AT_ONCE - 1;
    if (held.has(tenant) || held.size >= AT_ONCE || (isLast && (resting.get(tenant) ?? 0) > now()))
      throw new AppError('busy', 'A backup is being written: come back when it has ended', { retryAfter: RETRY_AFTER_S });
    held.add(tenant);
    const began = now();
    let bytes = 0;
    let waited = 0;
    let waitsSince: number | undefined;
    const waits = (): number => (waitsSince === undefined ? 0 : now() - waitsSince);
    const place: BackupPlace = {
      async *pieces(text) {
        try {
          for await (const piece of text) {
            waitsSince = now();
            yield piece;
            waited += waits();
            waitsSince = undefined;
            bytes += piece.length;
          }
        } finally {
          place.end();
        }
      },
      fault() {
        const all = waited + waits();
        const isSlow = waits() > STALLED_MS || (all > STALLED_MS && bytes < (all / 1000) * LEAST_BYTES_PER_S);
        return isSlow || now() - began > LONGEST_MS ? new AppError('unavailable', 'The backup took too long to fetch') : undefined;
      },
      end() {
        if (held.delete(tenant)) resting.set(tenant, now() + now() - began);
      },
    };
    return place;
  }

  return { take };
}
