import type { Kernel } from '../kernel/context.ts';
import { type LoadedRecord, loadedRecord } from '../kernel/record.ts';
import { sealTo } from '../kernel/seal.ts';
import type { QueuedMessage } from '../ports/store.ts';
import type { DeliverySession, Mailbox } from './mailbox.ts';

/** How many messages go in one `delivery`. */
const PER_DELIVERY = 10;
/** How long a connection that was read is good enough to seal a delivery. */
const PEER_MS = 30_000;

/** Sends messages on the sockets of sessions. */
export interface SessionSender {
  /** Sends messages in the session's mode. @returns false where that cannot be done now */
  send(session: DeliverySession, messages: readonly QueuedMessage[]): Promise<boolean>;
  /** Sends messages without a `delivery` around them, at once. */
  sendAsTheyAre(session: DeliverySession, messages: readonly QueuedMessage[]): void;
}

export function createSessionSender({
  kernel,
  wrap,
  acknowledge,
}: {
  readonly kernel: Kernel;
  /** Messages as a `delivery` (RFC 0685), in JSON text. */
  readonly wrap: (messages: readonly QueuedMessage[]) => string;
  readonly acknowledge: (mailbox: Mailbox, ids: readonly string[]) => Promise<boolean>;
}): SessionSender {
  const { store } = kernel.db;

  /** Sends messages on a socket. @returns false where that cannot be done now */
  async function send(session: DeliverySession, messages: readonly QueuedMessage[]): Promise<boolean> {
    const { mailbox, socket } = session;
    if (session.mode !== 'live') {
      sendAsTheyAre(session, messages);
      return socket.open;
    }
    for (let i = 0; i < messages.length; ) {
      const one = messages[i]!;
      if (one.origin === 'agent') {
        sendAsTheyAre(session, [one]);
        i++;
        continue;
      }
      const batch: QueuedMessage[] = [];
      for (; i < messages.length && batch.length < PER_DELIVERY && messages[i]!.origin === 'forwarded'; i++) batch.push(messages[i]!);
      if (!(await sendWrapped(session, batch))) {
        kernel.log.warn({ tenant: mailbox.tenant, connection: mailbox.id }, 'mail cannot be delivered: the connection has no keys');
        return false;
      }
    }
    return socket.open;
  }

  function sendAsTheyAre(session: DeliverySession, messages: readonly QueuedMessage[]): void {
    for (const { id, body, received } of messages) {
      session.window.add(id, { at: kernel.now(), received, size: body.length, pinged: true });
      session.socket.send(body);
      kernel.count('mail_sent');
    }
    ping(session);
  }

  async function sendWrapped(session: DeliverySession, messages: readonly QueuedMessage[]): Promise<boolean> {
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

  async function peerOf(session: DeliverySession, now: number): Promise<LoadedRecord | undefined> {
    if (session.peer && now < session.peer.until) return session.peer.connection;
    const { tenant, id } = session.mailbox;
    const [rows] = await store.load(tenant, [{ category: 'connection', id }]);
    if (!rows?.[0]) return undefined;
    const connection = loadedRecord(rows[0]);
    session.peer = { connection, until: now + PEER_MS };
    return connection;
  }

  /** Pings the peer, one ping at a time: the pong acknowledges all frames before it. */
  function ping(session: DeliverySession): void {
    if (session.pinging) return;
    session.pinging = true;
    const ids = session.window.pingedIds();
    void session.socket.acknowledged().then(async (answered) => {
      session.pinging = false;
      if (!answered) {
        if (session.socket.open) session.socket.close(1008, 'no pong');
        return;
      }
      await acknowledge(session.mailbox, ids);
      if (session.window.pingedIds().length > 0) ping(session);
    });
  }

  return { send, sendAsTheyAre };
}
