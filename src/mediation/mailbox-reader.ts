import { asAppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { QueuedMessage } from '../ports/store.ts';
import { gatherAcknowledgements } from './acknowledgements.ts';
import { activeSession, type DeliverySession, type Mailbox } from './mailbox.ts';
import { createSessionSender } from './session-sender.ts';

/** Mailboxes that are read at once. */
const AT_ONCE = 32;

export interface MailboxReaderOptions {
  readonly kernel: Kernel;
  /** Messages as a `delivery` (RFC 0685), in JSON text. */
  readonly wrap: (messages: readonly QueuedMessage[]) => string;
  /** A read has ended, and nothing else is ordered. */
  readonly settled: (mailbox: Mailbox) => void;
}

/** Reads mailboxes and sends their messages on sockets, one read at a time for each, so that the order holds. */
export interface MailboxReader {
  /** Orders a read, soon; ordered again while one goes on, it follows that one. */
  read(mailbox: Mailbox): void;
  /** Sends messages that a change notification brought, in the place of a read. */
  deliver(session: DeliverySession, messages: readonly QueuedMessage[]): void;
  /** The peer has some of its messages: they are removed, and make room on every socket. @returns false where that could not be written */
  acknowledge(mailbox: Mailbox, ids: readonly string[]): Promise<boolean>;
  /** The same for a removal that is written already. */
  acknowledged(mailbox: Mailbox, ids: readonly string[]): void;
  /** Takes no further orders. Resolves when no read is under way. */
  stop(): Promise<void>;
}

export function createMailboxReader({ kernel, wrap, settled }: MailboxReaderOptions): MailboxReader {
  const { store } = kernel.db;
  const remove = gatherAcknowledgements(store);
  const sender = createSessionSender({ kernel, wrap, acknowledge });
  const queue = new Set<Mailbox>();
  let running = 0;
  let stopped = false;
  const idle = new Set<() => void>();

  function read(mailbox: Mailbox): void {
    if (stopped || mailbox.sessions.length === 0) return;
    if (mailbox.reading) {
      mailbox.again = true;
      return;
    }
    mailbox.reading = true;
    queue.add(mailbox);
    work();
  }

  function work(): void {
    for (const mailbox of queue) {
      if (running >= AT_ONCE) return;
      queue.delete(mailbox);
      run(mailbox, readAll(mailbox));
    }
  }

  function run(mailbox: Mailbox, going: Promise<unknown>): void {
    running++;
    void going
      .catch((error: unknown) => {
        const { code } = asAppError(error);
        if (code === 'wallet-locked') return;
        kernel.log.warn({ err: error }, 'kept mail could not be read; it is looked at again');
      })
      .finally(() => {
        running--;
        mailbox.reading = false;
        if (mailbox.again && !stopped) {
          mailbox.again = false;
          read(mailbox);
        } else settled(mailbox);
        work();
        if (running === 0) for (const resolve of idle) resolve();
      });
  }

  /** Sends the messages that are not in flight, until there are none or the window is full. */
  async function readAll(mailbox: Mailbox): Promise<void> {
    for (;;) {
      const session = activeSession(mailbox);
      if (!session) return;
      const { window } = session;
      const room = window.room;
      if (room.messages === 0) return;
      mailbox.again = false;
      const messages = await store.mail(mailbox.tenant, mailbox.id, {
        limit: room.messages,
        maxBytes: room.bytes,
        origin: session.mode === 'route' ? 'agent' : undefined,
        without: window.size > 0 ? window.ids() : undefined,
      });
      if (activeSession(mailbox) !== session) continue;
      if (messages.length === 0) return;
      // acknowledged during the read; or sent again after that by a sender without an answer
      const had = messages.filter(({ id }) => window.isAcknowledged(id)).map(({ id }) => id);
      if (had.length > 0 && !(await acknowledge(mailbox, had))) return;
      const fresh = messages.filter(({ id }) => !window.knows(id));
      if (fresh.length > 0 && !(await sender.send(session, fresh))) return;
    }
  }

  async function acknowledge(mailbox: Mailbox, ids: readonly string[]): Promise<boolean> {
    if (ids.length === 0) return true;
    try {
      await remove(mailbox.tenant, mailbox.id, ids);
    } catch (error) {
      kernel.log.warn({ err: error }, 'it could not be noted that mail has come; it is sent again');
      return false;
    }
    kernel.count('mail_confirmed');
    acknowledged(mailbox, ids);
    return true;
  }

  function acknowledged(mailbox: Mailbox, ids: readonly string[]): void {
    let full = false;
    for (const { window } of mailbox.sessions) {
      full ||= window.isFull;
      window.acknowledge(ids);
    }
    if (full || mailbox.again) read(mailbox);
  }

  return {
    read,
    deliver(session, messages) {
      if (session.mode === 'live') {
        session.mailbox.reading = true;
        run(session.mailbox, sender.send(session, messages));
        return;
      }
      sender.sendAsTheyAre(session, messages);
    },
    acknowledge,
    acknowledged,
    async stop() {
      stopped = true;
      queue.clear();
      if (running > 0) await new Promise<void>((resolve) => idle.add(resolve));
    },
  };
}
