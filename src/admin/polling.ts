import type { Kernel } from '../kernel/context.ts';
import type { LoadedRecord } from '../kernel/record.ts';
import { VERSION } from '../version.ts';
import type { Answer } from './route.ts';

/** The answer to a caller that has the record in its present version. */
export const UNCHANGED = Symbol('unchanged');

/** The longest wait, in seconds. */
export const MAX_WAIT = 30;

/** Waits at once, of one tenant and in all: beyond them a call is answered as without `wait`. */
const MAX_EACH = 100;
const MAX_WAITS = 2000;

/** The validator of a record's view (RFC 9110 section 8.8.3): other versions of this agent may show the same record otherwise. */
export const etagOf = ({ version, created }: Pick<LoadedRecord, 'version' | 'created'>): string =>
  `"${created.toString(36)}-${version}-${VERSION}"`;

/** Whether an `If-None-Match` header holds the validator, or `*` (RFC 9110 section 13.1.2, by weak comparison). */
export const isNamed = (header: string | undefined, etag: string): boolean =>
  (header?.split(',') ?? []).some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag);

/** One wait for changes of a record. */
export interface RecordWait {
  /** Resolves at the next change since the one before, or when the wait is over. */
  next(): Promise<void>;
  readonly over: boolean;
  end(): void;
}

interface Waiting {
  readonly tenant: string;
  readonly record: string;
  wake(): void;
}

/**
 * Runs a call, and where its caller has the record as it is and waits for a change, again at each change and when the wait is over.
 * @throws what the call throws
 */
export async function untilChanged(turn: () => Promise<Answer>, wait: RecordWait | undefined): Promise<Answer> {
  try {
    let answer = await turn();
    while (answer === UNCHANGED && wait && !wait.over) {
      await wait.next();
      answer = await turn();
    }
    return answer;
  } finally {
    wait?.end();
  }
}

/** Calls that wait for a change of a record, whichever process makes it. A notification that is lost costs the rest of the wait, not the change. */
export function recordWaits({ db }: Pick<Kernel, 'db'>) {
  const all = new Set<Waiting>();
  const each = new Map<string, number>();
  let closed = false;
  const stop = db.jobs.subscribe(({ events, tenants, invalidate }) => {
    if (all.size === 0) return;
    const changed = new Set(events.map(({ tenant, event }) => `${tenant} ${event.record}`));
    const wide = new Set([...tenants, ...invalidate]);
    for (const one of all) if (changed.has(`${one.tenant} ${one.record}`) || wide.has(one.tenant) || wide.has('*')) one.wake();
  });
  return {
    /** Begins a wait before the record is read, so that no change is missed; undefined where there are too many. `left` ends it. */
    begin(tenant: string, record: string, ms: number, left: AbortSignal): RecordWait | undefined {
      const own = each.get(tenant) ?? 0;
      if (closed || all.size >= MAX_WAITS || own >= MAX_EACH) return undefined;
      let changed = Promise.withResolvers<void>();
      let over = false;
      const finish = (): void => {
        over = true;
        changed.resolve();
      };
      const waiting: Waiting = { tenant, record, wake: () => changed.resolve() };
      const timer = setTimeout(finish, ms);
      left.addEventListener('abort', finish, { once: true });
      all.add(waiting);
      each.set(tenant, own + 1);
      return {
        async next() {
          await changed.promise;
          if (!over) changed = Promise.withResolvers<void>();
        },
        get over() {
          return over || closed;
        },
        end() {
          if (!all.delete(waiting)) return;
          clearTimeout(timer);
          left.removeEventListener('abort', finish);
          const others = each.get(tenant)! - 1;
          if (others === 0) each.delete(tenant);
          else each.set(tenant, others);
        },
      };
    },
    /** Ends all waits. */
    close(): void {
      closed = true;
      stop();
      for (const one of all) one.wake();
    },
  };
}
