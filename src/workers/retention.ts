import { asAppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';

const EVERY_MS = 3600_000;
const AT_ONCE = 500;

/** Rows of a category that go after a time, in ms; 0: never. */
export interface Retention {
  readonly category: string;
  readonly life: number;
}

/**
 * Removes rows whose time is over, of one tenant after the other. Any number of processes may do it at once.
 * @returns the function that ends it
 */
export function startRetention(kernel: Kernel, kinds: readonly Retention[], everyMs = EVERY_MS): () => void {
  const { admin, store, now } = kernel.db;
  const bounded = kinds.filter(({ life }) => life > 0);
  let ended = false;

  async function sweep(tenant: string, { category, life }: Retention): Promise<void> {
    while (!ended) {
      const { rows, damaged = [] } = await store.find(tenant, category, { before: now() - life, limit: AT_ONCE });
      if (rows.length === 0) return;
      await store.commit(tenant, { deletes: rows.map(({ id, version }) => ({ category, id, expect: version })) });
      if (rows.length + damaged.length < AT_ONCE) return;
    }
  }

  async function look(): Promise<void> {
    for (const tenant of await admin.tenants()) {
      if (ended) return;
      for (const kind of bounded)
        await sweep(tenant, kind).catch((error: unknown) => {
          // a locked wallet waits; a conflict is another process that does the same
          const { code } = asAppError(error);
          if (!['wallet-locked', 'not-found', 'conflict'].includes(code))
            kernel.log.warn({ err: error, tenant, category: kind.category }, 'old rows could not be removed');
        });
    }
  }

  const timer = setInterval(() => {
    void look().catch((error: unknown) => kernel.log.warn({ err: error }, 'old rows could not be looked for'));
  }, everyMs);
  timer.unref();
  return () => {
    ended = true;
    clearInterval(timer);
  };
}
