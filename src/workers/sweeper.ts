import type { Calls } from '../kernel/calls.ts';
import type { Log } from '../ports/log.ts';
import type { Database } from '../ports/store.ts';

const EVERY_MS = 1000;
/** How long a sweep works at a stretch before others have their turn. */
const STRETCH_MS = 200;

/**
 * Locks the wallets whose owner keeps the key, when their time is over. Removes the rows of wallets that were erased, some at a time, and then their records. Any number of processes may do it at once.
 * @returns the function that ends it
 */
export function startSweeper(db: Database, calls: Calls, base: string, log: Log): () => void {
  let working = false;
  let ended = false;

  async function sweep(wallet: string): Promise<void> {
    // a removal that was cut short after its record had been written
    await db.admin.eraseTenant(wallet);
    const begun = Date.now();
    let rows = 0;
    while (!ended && Date.now() - begun < STRETCH_MS) {
      const removed = await db.admin.sweepTenant(wallet);
      if (removed === 0) {
        await calls.call(base, 'multitenancy', 'gone', { record: wallet, input: { body: {}, query: {} } });
        log.info({ wallet, rows }, 'the wallet is removed');
        return;
      }
      rows += removed;
    }
    log.info({ wallet, rows }, 'rows of a removed wallet are gone; more follow');
  }

  async function look(): Promise<void> {
    const locked = await db.admin.lockTenants(Date.now());
    if (locked > 0) log.info({ wallets: locked }, 'wallets are locked: their last token has ended');
    const { rows } = await db.store.find(base, 'wallet_record', { tags: { erasing: 'true' }, limit: 10 });
    for (const row of rows) if (!ended) await sweep(row.id);
  }

  const timer = setInterval(() => {
    if (working) return;
    working = true;
    look()
      .catch((error: unknown) => log.warn({ err: error }, 'removed wallets could not be swept'))
      .finally(() => {
        working = false;
      });
  }, EVERY_MS);
  timer.unref();
  return () => {
    ended = true;
    clearInterval(timer);
  };
}
