import { AppError } from '../errors.ts';
import { waitFor } from '../kernel/wait-for.ts';
import type { Database } from '../ports/store.ts';

/** The longest wait for a mediator's answer in one attempt. */
const WAIT_MS = 8000;

/**
 * Sends an update when the mediation's last one has ended, and waits until it has had its effect, or the time is up. A mediator that handles messages concurrently,
 * as Credo may be configured to, may lose one of two updates. Updates of other processes are not in the queue.
 * @throws AppError `delivery-failed` where the time is up before its turn comes; what `send` throws
 */
export type UpdateQueue = (
  mediation: { readonly tenant: string; readonly id: string },
  send: () => Promise<unknown>,
  isDone: () => Promise<boolean>,
) => Promise<void>;

/** @param stopping ends all waits */
export function createUpdateQueue({ jobs }: Pick<Database, 'jobs'>, stopping: () => boolean): UpdateQueue {
  /** The last update of each mediation that is out, or waits for the one before it. */
  const updates = new Map<string, Promise<void>>();

  return ({ tenant, id }, send, isDone) => {
    const name = `${tenant} ${id}`;
    const deadline = Date.now() + WAIT_MS;
    const mine = (updates.get(name) ?? Promise.resolve()).then(async () => {
      if (Date.now() >= deadline || stopping()) throw new AppError('delivery-failed', 'the mediator has not answered the update before');
      await send();
      await waitFor(async (late) => (await isDone()) || late || stopping() || undefined, { deadline, wakeOn: jobs.subscribe });
    });
    const last = mine
      .catch(() => {})
      .then(() => {
        if (updates.get(name) === last) updates.delete(name);
      });
    updates.set(name, last);
    return mine;
  };
}
