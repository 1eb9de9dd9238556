import { AsyncLocalStorage } from 'node:async_hooks';
import { AppError } from '../errors.ts';

/** How many may wait for each that may work. */
const WAITING = 50;

/** A bound on what one tenant may have in hand at once, so that one that asks for much makes only itself wait. */
export interface TenantLimiter {
  /** Runs a call or a message when it is its turn. @throws AppError `busy` where too many of the tenant wait already */
  run<T>(tenant: string, what: () => Promise<T>): Promise<T>;
  /** The call that runs now only waits from here on: the next one may work. */
  pass(): void;
}

interface Queue {
  working: number;
  readonly waiting: (() => void)[];
}

/** @param atOnce 0 for no bound */
export function createTenantLimiter(atOnce: number): TenantLimiter {
  // only tenants that have something in hand are in memory
  const queues = new Map<string, Queue>();
  const current = new AsyncLocalStorage<() => void>();

  function end(tenant: string, queue: Queue): void {
    const next = queue.waiting.shift();
    if (next) next();
    else if (--queue.working === 0) queues.delete(tenant);
  }

  return {
    async run(tenant, what) {
      if (atOnce === 0) return await what();
      let queue = queues.get(tenant);
      if (!queue) {
        queue = { working: 0, waiting: [] };
        queues.set(tenant, queue);
      }
      const own = queue;
      if (own.working < atOnce) own.working++;
      else if (own.waiting.length >= atOnce * WAITING) throw new AppError('busy');
      else await new Promise<void>((resolve) => void own.waiting.push(resolve));
      let ended = false;
      const done = (): void => {
        if (ended) return;
        ended = true;
        end(tenant, own);
      };
      try {
        return await current.run(done, what);
      } finally {
        done();
      }
    },
    pass: () => current.getStore()?.(),
  };
}
