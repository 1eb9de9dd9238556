import type { Kernel } from '../kernel/context.ts';
import type { MailSession } from '../kernel/received.ts';
import type { QueuedMessage } from '../ports/store.ts';
import type { Mailbox } from './mailbox.ts';
import type { MailboxReader } from './mailbox-reader.ts';

/** How long a message that went out as the answer to a request is not given to another. */
const IN_FLIGHT_MS = 10_000;
/** How long a request waits for the answer to its message. */
const EXPECTED_MS = 3000;
/** Ids that one read passes over at most. */
const MAX_WITHOUT = 1000;

/** A message that goes back as the answer to a request, and what to do when it has left. */
export interface RequestMail {
  readonly reply: string;
  readonly sent: () => Promise<void>;
}

/** Removes ids whose time in flight is over. */
export function expireInFlight(mailbox: Mailbox, now: number): void {
  if (mailbox.inFlight) for (const [id, until] of mailbox.inFlight) if (until <= now) mailbox.inFlight.delete(id);
  if (mailbox.inFlight?.size === 0) mailbox.inFlight = undefined;
}

/**
 * One message for the answer to a request, where there is one, or where one is expected in a moment (RFC 0092).
 * @param settled the request waits no longer, or its message was acknowledged
 * @param isStopping ends the wait
 */
export async function answerRequest(
  kernel: Kernel,
  reader: Pick<MailboxReader, 'acknowledge'>,
  mailbox: Mailbox,
  { tenant, connection, mode, expects }: MailSession,
  settled: (mailbox: Mailbox) => void,
  isStopping: () => boolean,
): Promise<RequestMail | undefined> {
  const { store } = kernel.db;
  const origin = mode === 'implicit' ? undefined : 'agent';
  const deadline = performance.now() + EXPECTED_MS;

  function take({ id, body }: QueuedMessage): RequestMail {
    mailbox.inFlight ??= new Map();
    mailbox.inFlight.set(id, kernel.now() + IN_FLIGHT_MS);
    return {
      reply: body,
      sent: async () => {
        await reader.acknowledge(mailbox, [id]);
        mailbox.inFlight?.delete(id);
        settled(mailbox);
      },
    };
  }

  try {
    for (;;) {
      let go = (): void => {};
      const moved = new Promise<void>((resolve) => {
        go = resolve;
      });
      mailbox.waiting ??= new Set();
      mailbox.waiting.add(go);
      try {
        const flying = mailbox.sessions.flatMap(({ window }) => window.ids());
        const without = [...(mailbox.inFlight?.keys() ?? []), ...flying].slice(0, MAX_WITHOUT);
        const [first] = await store.mail(tenant, connection, { limit: 1, origin, without });
        // another request may have had it at the same time
        if (first && !mailbox.inFlight?.has(first.id)) return take(first);
        const left = deadline - performance.now();
        if (!expects || left <= 0 || isStopping()) return undefined;
        const timer = setTimeout(go, left);
        await moved;
        clearTimeout(timer);
      } finally {
        mailbox.waiting.delete(go);
        if (mailbox.waiting.size === 0) mailbox.waiting = undefined;
      }
    }
  } finally {
    settled(mailbox);
  }
}
