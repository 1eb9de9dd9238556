import type { Kernel } from '../kernel/context.ts';
import { emitMailbox } from '../mediation/mailbox-writer.ts';

const EVERY_MS = 60_000;

/**
 * Removes what has expired: dedup keys, results of calls, events, spare parts of blobs, and mail that nobody has fetched (with a webhook). Any number of processes may do it at once.
 * @returns the function that ends it
 */
export function startExpiry(kernel: Kernel): () => void {
  const { admin, blobs, now } = kernel.db;
  let ended = false;

  async function look(): Promise<void> {
    await admin.expire(now());
    await blobs.expire(now());
    while (!ended) {
      const removed = await admin.expireMail(now());
      if (removed.length === 0) return;
      for (const { tenant, mailbox, messages, reason } of removed) {
        kernel.count(`mail_${reason}`);
        // a locked or removed wallet has no webhook
        await emitMailbox(kernel, tenant, { connection_id: mailbox, reason, messages }).catch((error: unknown) =>
          kernel.log.info({ tenant, connection: mailbox, reason, messages, err: error }, 'mail is gone that nobody has fetched'),
        );
      }
    }
  }

  const timer = setInterval(() => {
    void look().catch((error: unknown) => kernel.log.warn({ err: error }, 'old rows could not be removed'));
  }, EVERY_MS);
  timer.unref();
  return () => {
    ended = true;
    clearInterval(timer);
  };
}
