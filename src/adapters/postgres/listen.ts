import type { Client } from 'pg';
import { JOB_KINDS, type JobKind } from '../../ports/store.ts';
import { invalidateName, type NotificationDraft, receivedDraft } from '../store/shared.ts';
import { plainClient } from './link.ts';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;

/**
 * Receives the notifications of other processes on a connection of its own, which comes back by itself. After a gap, everything may have changed: the notification then names
 * every kind of job, and nothing that is in memory is believed, and any box may have got mail. @returns the function that ends it.
 */
export function listen(options: {
  url: string;
  settings: readonly string[];
  from: string;
  publish: (draft: NotificationDraft) => void;
}): () => Promise<void> {
  let ended = false;
  let client: Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wait = FIRST_WAIT_MS;
  let before = false;

  function received(payload: string | undefined): void {
    try {
      const notification = JSON.parse(payload ?? '') as { from: string; kinds: JobKind[]; callIds: string[] };
      if (notification.from === options.from) return;
      options.publish(receivedDraft(notification.kinds, notification.callIds));
    } catch {
      // a notification of another sender
    }
  }

  function again(): void {
    client = undefined;
    if (ended || timer) return;
    timer = setTimeout(() => {
      timer = undefined;
      void connect();
    }, wait);
    timer.unref();
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }

  async function connect(): Promise<void> {
    try {
      const fresh = await plainClient(options.url, options.settings);
      client = fresh;
      fresh.on('notification', (message) => received(message.payload));
      fresh.on('end', again);
      if (ended) return void fresh.end();
      await fresh.query('LISTEN flexid');
      wait = FIRST_WAIT_MS;
      if (before) options.publish(receivedDraft(JOB_KINDS, [invalidateName('*')]));
      before = true;
    } catch {
      again();
    }
  }

  const first = connect();
  return async () => {
    ended = true;
    clearTimeout(timer);
    await first;
    await client?.end().catch(() => undefined);
  };
}
