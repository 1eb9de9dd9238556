import { asAppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { SessionMode } from '../kernel/protocol.ts';
import { type Exchange, toExchange } from '../kernel/record.ts';
import { sealTo } from '../kernel/seal.ts';
import type { Mail } from '../ports/store.ts';
import type { Socket } from '../ports/transport.ts';
import { DeliveryWindow } from './delivery-window.ts';

/** How many messages go in one `delivery`. */
const PER_DELIVERY = 10;
/** How long a connection that was read is good enough to seal a delivery. */
const PEER_MS = 30_000;
/** Mailboxes that are read at once. */
const AT_ONCE = 32;

/** One socket of one mailbox. A class, so that ten thousand idle ones share their functions. */
export class DeliverySession {
  readonly socket: Socket;
  readonly mailbox: Mailbox;
  readonly window = new DeliveryWindow();
  mode: SessionMode = 'route';
  pinging = false;
  /** The connection as it was at the peer's last message, for a while. */
  peer: { readonly connection: Exchange; readonly until: number } | undefined;

  constructor(mailbox: Mailbox, socket: Socket) {
    this.mailbox = mailbox;
    this.socket = socket;
  }
}

/** The sessions and open requests of one peer. */
export interface Mailbox {
  readonly tenant: string;
  /** The id of the connection. */
  readonly id: string;
  /** The newest last. */
  readonly sessions: DeliverySession[];
  /** A read is under way, or ordered; `again`: a message has come since it began. */
  reading: boolean;
  again: boolean;
  /** In flight as the answer to a request, by id, and until when. */
  inFlight?: Map<string, number>;
  /** Requests that wait for a message. */
  waiting?: Set<() => void>;
}

/** The session that delivers: the newest that has all mail, else the newest for the agent's own messages. */
export function activeSession({ sessions }: Mailbox): DeliverySession | undefined {
  let own: DeliverySession | undefined;
  for (let i = sessions.length - 1; i >= 0; i--) {
    const session = sessions[i]!;
    if (!session.socket.open) continue;
    if (session.mode !== 'route') return session;
    own ??= session;
  }
  return own;
}

export interface MailboxReaderOptions {
  readonly kernel: Kernel;
  /** Messages as a `delivery` (RFC 0685), in JSON text. */
  readonly wrap: (messages: readonly Mail[]) => string;
  /** A read has ended, and nothing else is ordered. */
  readonly settled: (mailbox: Mailbox) => void;
}

/** Reads mailboxes and sends their messages on sockets, one read at a time for each, so that the order holds. */
export interface MailboxReader {
  /** Orders a read, soon; ordered again while one goes on, it follows that one. */
  read(mailbox: Mailbox): void;
  /** Sends messages that a change notification brought, in the place of a read. */
  deliver(session: DeliverySession, messages: readonly Mail[]): void;
  /** The peer has some of its messages: they are removed, and make room on every socket. @returns false where that could not be written */
  acknowledge(mailbox: Mailbox, ids: readonly string[]): Promise<boolean>;
  /** The same for a removal that is written already. */
  acknowledged(mailbox: Mailbox, ids: readonly string[]): void;
  /** Takes no further orders. Resolves when no read is under way. */
  stop(): Promise<void>;
}

export function createMailboxReader({ kernel, wrap, settled }: MailboxReaderOptions): MailboxReader {
  const { store } = kernel.db;
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
        own: session.mode === 'route' ? true : undefined,
        without: window.size > 0 ? window.ids() : undefined,
      });
      if (activeSession(mailbox) !== session) continue;
      if (messages.length === 0) return;
      // acknowledged during the read; or sent again after that by a sender without an answer
      const had = messages.filter(({ id }) => window.isAcknowledged(id)).map(({ id }) => id);
      if (had.length > 0 && !(await acknowledge(mailbox, had))) return;
      const fresh = messages.filter(({ id }) => !window.knows(id));
      if (fresh.length > 0 && !(await send(session, fresh))) return;
    }
  }

  /** Sends messages on a socket. @returns false where that cannot be done now */
  async function send(session: DeliverySession, messages: readonly Mail[]): Promise<boolean> {
    const { mailbox, socket } = session;
    if (session.mode !== 'live') {
      for (const one of messages) sendAsItIs(session, one);
      ping(session);
      return socket.open;
    }
    for (let i = 0; i < messages.length; ) {
      const one = messages[i]!;
      if (one.recipient === undefined) {
        sendAsItIs(session, one);
        ping(session);
        i++;
        continue;
      }
      const batch: Mail[] = [];
      for (; i < messages.length && batch.length < PER_DELIVERY && messages[i]!.recipient !== undefined; i++) batch.push(messages[i]!);
      if (!(await sendWrapped(session, batch))) {
        kernel.log.warn({ tenant: mailbox.tenant, connection: mailbox.id }, 'mail cannot be delivered: the connection has no keys');
        return false;
      }
    }
    return socket.open;
  }

  function sendAsItIs(session: DeliverySession, { id, body, received }: Mail): void {
    session.window.add(id, { at: kernel.now(), received, size: body.length, pinged: true });
    session.socket.send(body);
    kernel.count('mail_sent');
  }

  async function sendWrapped(session: DeliverySession, messages: readonly Mail[]): Promise<boolean> {
    const { tenant } = session.mailbox;
    const at = kernel.now();
    for (const { id, body, received } of messages) session.window.add(id, { at, received, size: body.length, pinged: false });
    const connection = await peerOf(session, at);
    const frame = connection && (await sealTo(kernel, tenant, connection, wrap(messages)));
    if (frame === undefined) {
      session.window.drop(messages.map(({ id }) => id));
      return false;
    }
    session.socket.send(frame);
    kernel.count('mail_sent');
    return true;
  }

  async function peerOf(session: DeliverySession, now: number): Promise<Exchange | undefined> {
    if (session.peer && now < session.peer.until) return session.peer.connection;
    const { tenant, id } = session.mailbox;
    const [rows] = await store.load(tenant, [{ category: 'connection', id }]);
    if (!rows?.[0]) return undefined;
    const connection = toExchange(rows[0]);
    session.peer = { connection, until: now + PEER_MS };
    return connection;
  }

  /** Pings the peer, one ping at a time: the pong acknowledges all frames before it. */
  function ping(session: DeliverySession): void {
    if (session.pinging) return;
    session.pinging = true;
    const ids = session.window.pingedIds();
    void session.socket.taken().then(async (taken) => {
      session.pinging = false;
      if (!taken) {
        if (session.socket.open) session.socket.close(1008, 'no pong');
        return;
      }
      await acknowledge(session.mailbox, ids);
      if (session.window.pingedIds().length > 0) ping(session);
    });
  }

  /** Acknowledgements of one turn, by tenant: one commit for all of them. */
  let gathering: Map<string, { readonly box: string; readonly ids: readonly string[] }[]> | undefined;
  let gathered: Promise<void> = Promise.resolve();

  async function acknowledge(mailbox: Mailbox, ids: readonly string[]): Promise<boolean> {
    if (ids.length === 0) return true;
    const { tenant, id: box } = mailbox;
    if (!gathering) {
      gathering = new Map();
      gathered = new Promise<void>((resolve, reject) => {
        setImmediate(() => {
          const all = [...gathering!];
          gathering = undefined;
          Promise.all(all.map(([tenant, taken]) => store.commit(tenant, { taken }))).then(() => resolve(), reject);
        });
      });
    }
    const list = gathering.get(tenant);
    if (list) list.push({ box, ids });
    else gathering.set(tenant, [{ box, ids }]);
    try {
      await gathered;
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
        run(session.mailbox, send(session, messages));
        return;
      }
      for (const one of messages) sendAsItIs(session, one);
      ping(session);
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
