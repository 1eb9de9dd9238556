import type { Kernel } from '../kernel/context.ts';
import type { MailIds, MailSession, OpenSession } from '../kernel/received.ts';
import type { ChangeNotification, QueuedMessage } from '../ports/store.ts';
import type { Socket } from '../ports/transport.ts';
import { activeSession, DeliverySession, type Mailbox } from './mailbox.ts';
import { createMailboxReader, type MailboxReader } from './mailbox-reader.ts';
import { copiesName } from './names.ts';
import { answerRequest, expireInFlight, type RequestMail } from './request-replies.ts';

/** A message of this age that was the oldest in flight when a socket broke counts as undelivered; a younger one may have met a bad network. */
const BREAKS_MS = 3600_000;
/** The interval at which mailboxes with open sockets are read without a change notification: one may be lost. */
const POLL_MS = 60_000;
const TICK_MS = 1000;
/** Sockets that may be open for one mailbox; with one more the oldest goes. */
const MAX_SOCKETS = 16;

/** Delivers queued messages to peers that are connected. */
export interface DeliverySessions {
  /** The session of a mailbox on a socket: its mode, and what is in flight. */
  open(socket: Socket, tenant: string, mailbox: string): OpenSession | undefined;
  /** A message came on a socket: its sender's messages go on it from now on, in the mode that it asked for. */
  attach(session: MailSession, socket: Socket): void;
  /** Messages in a reply on a socket are in flight: a session of that socket does not send them once more. */
  inFlight(messages: MailIds, socket: Socket): void;
  /** The peer has acknowledged messages, and their removal is committed. */
  acknowledged(messages: MailIds): void;
  /** The peer has acknowledged messages. Resolves when their removal is committed, or has failed: then they are sent again. */
  acknowledge(messages: MailIds): Promise<void>;
  /** One message for the answer to a request, where there is one, or where one is expected in a moment. */
  forRequest(session: MailSession): Promise<RequestMail | undefined>;
  stop(): Promise<void>;
}

export interface DeliverySessionsOptions {
  readonly kernel: Kernel;
  /** Messages as a `delivery` (RFC 0685), in JSON text. */
  readonly wrap: (messages: readonly QueuedMessage[]) => string;
}

const COPIES = copiesName('', '').trimEnd();

const nameOf = (tenant: string, mailbox: string): string => `${tenant} ${mailbox}`;

/**
 * Delivers messages to peers that are connected. Messages in flight are known to the session of their socket alone, and stay in the store until the peer has
 * acknowledged it: by `messages-received` for a `delivery`, by the pong that follows for everything else. So a process that dies loses nothing, and any process
 * serves any peer. A change notification of the store names the mailbox; where it brings the message too, and everything before is in flight, the message goes
 * out unread.
 */
export function startDeliverySessions({ kernel, wrap }: DeliverySessionsOptions): DeliverySessions {
  const { jobs } = kernel.db;
  const mailboxes = new Map<string, Mailbox>();
  let stopped = false;
  const reader = createMailboxReader({ kernel, wrap, settled: tidy });

  function mailboxOf(tenant: string, id: string): Mailbox {
    const name = nameOf(tenant, id);
    let found = mailboxes.get(name);
    if (!found) {
      found = { tenant, id, sessions: [], reading: false, again: false };
      mailboxes.set(name, found);
    }
    return found;
  }
  function tidy(mailbox: Mailbox): void {
    expireInFlight(mailbox, kernel.now());
    if (mailbox.sessions.length === 0 && !mailbox.reading && !mailbox.inFlight && !mailbox.waiting)
      mailboxes.delete(nameOf(mailbox.tenant, mailbox.id));
  }

  // -- change notifications --------------------------------------------------------------------------------------------------------------------

  function changed({ tenant, mailbox: name, mail, waiting }: ChangeNotification['mailboxes'][number]): void {
    if (name === '*') {
      for (const mailbox of mailboxes.values()) wake(mailbox);
      return;
    }
    const mailbox = mailboxes.get(nameOf(tenant, name));
    if (!mailbox) return;
    const session = activeSession(mailbox);
    // all other messages of the mailbox are in flight, so these are next
    const next = mail !== undefined && waiting !== undefined && session !== undefined && waiting - mail.length <= session.window.size;
    const busy = mailbox.reading || mailbox.inFlight || mailbox.waiting;
    if (!next || session.mode === 'route' || busy || !session.window.fits(mail) || mail.some(({ id }) => session.window.knows(id))) {
      wake(mailbox);
      return;
    }
    const now = kernel.now();
    reader.deliver(
      session,
      mail.map(({ id, recipient, body }): QueuedMessage => {
        const origin = recipient === undefined ? 'agent' : 'forwarded';
        return { id, origin, recipient, body, received: now, attempts: 0 };
      }),
    );
  }

  function wake(mailbox: Mailbox): void {
    if (mailbox.waiting) for (const go of mailbox.waiting) go();
    reader.read(mailbox);
  }

  /** Ends the sockets of a connection whose peer has a newer copy: each sends its generation when it comes back. */
  function endCopies(name: string): void {
    for (const mailbox of mailboxes.values())
      if (copiesName(mailbox.tenant, mailbox.id) === name)
        for (const { socket } of [...mailbox.sessions]) socket.close(1000, 'a newer copy of this wallet is in use');
  }

  const unsubscribe = jobs.subscribe((notification) => {
    for (const one of notification.mailboxes) changed(one);
    for (const name of notification.invalidate) if (name.startsWith(COPIES)) endCopies(name);
  });

  const retries = watchRetries(kernel, mailboxes, reader, tidy);

  function closed(session: DeliverySession): void {
    const { mailbox, window } = session;
    const at = mailbox.sessions.indexOf(session);
    if (at >= 0) mailbox.sessions.splice(at, 1);
    // only the first can be what its peer broke at; the others may never have been read
    const first = window.oldest();
    window.clear();
    if (first && !stopped && kernel.now() - first[1].received >= BREAKS_MS) void retries.unacknowledged(mailbox, [first[0]]);
    if (mailbox.sessions.length > 0) reader.read(mailbox);
    else tidy(mailbox);
  }

  const sessionOn = (socket: Socket, tenant: string, mailbox: string): DeliverySession | undefined =>
    mailboxes.get(nameOf(tenant, mailbox))?.sessions.find((one) => one.socket === socket);

  return {
    open(socket, tenant, name) {
      const session = sessionOn(socket, tenant, name);
      if (!session) return undefined;
      const { mode, window, peer } = session;
      return { mode, sent: window.ids(), connection: peer && kernel.now() < peer.until ? peer.connection : undefined };
    },
    inFlight({ tenant, mailbox: name, ids }, socket) {
      const session = sessionOn(socket, tenant, name);
      const at = kernel.now();
      for (const id of ids) session?.window.add(id, { at, received: at, size: 0, pinged: false });
    },
    attach({ tenant, connection, mode }, socket) {
      if (stopped || !socket.open) return;
      const mailbox = mailboxOf(tenant, connection);
      let session = mailbox.sessions.find((one) => one.socket === socket);
      if (!session) {
        session = new DeliverySession(mailbox, socket);
        mailbox.sessions.push(session);
        const known = session;
        socket.onClose(() => closed(known));
        if (mailbox.sessions.length > MAX_SOCKETS) mailbox.sessions[0]!.socket.close(1008, 'too many sockets');
      }
      // a ping does not end live mode
      if (mode !== undefined && !(mode === 'implicit' && session.mode === 'live')) session.mode = mode;
      session.peer = undefined;
      reader.read(mailbox);
    },
    async acknowledge({ tenant, mailbox: name, ids }) {
      await reader.acknowledge(mailboxOf(tenant, name), ids);
    },
    acknowledged({ tenant, mailbox: name, ids }) {
      const mailbox = mailboxes.get(nameOf(tenant, name));
      if (mailbox) reader.acknowledged(mailbox, ids);
    },
    forRequest: (session) => answerRequest(kernel, reader, mailboxOf(session.tenant, session.connection), session, tidy, () => stopped),
    async stop() {
      stopped = true;
      unsubscribe();
      retries.stop();
      for (const { waiting } of mailboxes.values()) if (waiting) for (const go of waiting) go();
      await reader.stop();
    },
  };
}

/** Sends again what was not acknowledged in time, and reads mailboxes now and then whose change notification may be lost. */
function watchRetries(
  kernel: Kernel,
  mailboxes: ReadonlyMap<string, Mailbox>,
  reader: MailboxReader,
  tidy: (mailbox: Mailbox) => void,
): { unacknowledged(mailbox: Mailbox, ids: readonly string[]): Promise<void>; stop(): void } {
  const { store } = kernel.db;

  /** Messages that a peer had time to acknowledge: they are sent again, and given up after too many attempts. */
  async function unacknowledged({ tenant, id: mailbox }: Mailbox, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    kernel.count('mail_missed');
    await store.commit(tenant, { unacknowledged: [{ mailbox, ids }] }).catch((error: unknown) => {
      kernel.log.warn({ err: error }, 'it could not be noted that mail was not confirmed');
    });
  }

  let slot = 0;
  const slots = Math.round(POLL_MS / TICK_MS);
  const ticking = setInterval(() => {
    slot = (slot + 1) % slots;
    const now = kernel.now();
    let index = 0;
    for (const mailbox of mailboxes.values()) {
      for (const { window } of mailbox.sessions) {
        const late = window.overdue(now);
        if (late.length > 0) void unacknowledged(mailbox, window.drop(late)).then(() => reader.read(mailbox));
      }
      if (index++ % slots === slot) {
        if (mailbox.sessions.length > 0) reader.read(mailbox);
        else tidy(mailbox);
      }
    }
  }, TICK_MS);
  ticking.unref();

  return { unacknowledged, stop: () => clearInterval(ticking) };
}
