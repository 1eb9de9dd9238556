import { asAppError } from '../errors.ts';
import { BoundedMap } from '../kernel/bounded-map.ts';
import type { Kernel } from '../kernel/context.ts';
import type { SessionMode } from '../kernel/protocol.ts';
import type { MailIds, MailSession, OpenSession } from '../kernel/received.ts';
import { type Exchange, toExchange } from '../kernel/record.ts';
import { sealTo } from '../kernel/seal.ts';
import type { Mail, StoreHint } from '../ports/store.ts';
import type { Socket } from '../ports/transport.ts';

/** How many messages, and how many bytes of them, may be on one socket before its peer has confirmed some. */
const WINDOW = 64;
const WINDOW_BYTES = 256 << 10;
/** How many messages go in one `delivery`. */
const PER_DELIVERY = 10;
/** What was sent and not confirmed for so long is sent again. */
const AGAIN_MS = 60_000;
/** What broke a socket so often and is as old as this counts as what breaks its wallet; what is younger may have met a bad network. */
const BREAKS_MS = 3600_000;
/** How long mail that went out as the answer to a request is not given to another. */
const LENT_MS = 10_000;
/** How long a request waits for the answer to what it brought. */
const EXPECTED_MS = 3000;
/** How often the boxes of open sockets are looked at without being asked to, for hints that were lost. */
const POLL_MS = 60_000;
const TICK_MS = 1000;
/** How long what is known of a connection is good enough to seal a delivery. */
const PEER_MS = 30_000;
/** Boxes that are read at once. */
const AT_ONCE = 32;
/** Sockets that may be open for one box; with one more the oldest goes. */
const MAX_SOCKETS = 16;
/** How many of the ids that were confirmed last a session remembers: a hint about them may come late. */
const REMEMBERED = 256;

/** Mail that goes back as the answer to a request, and what to do when it has left. */
export interface RequestMail {
  readonly reply: string;
  readonly sent: () => Promise<void>;
}

/** Gives what is kept for peers to those who are there. */
export interface Sessions {
  /** What goes on a socket of a box by itself: how, and what was not confirmed yet. */
  open(socket: Socket, tenant: string, box: string): OpenSession | undefined;
  /** A message came on a socket: its sender's mail goes on it from now on, as the message asked. */
  attach(session: MailSession, socket: Socket): void;
  /** What is in a reply that goes on a socket: where that has a session, it does not send it once more. */
  lent(mail: MailIds, socket: Socket): void;
  /** What a peer said that it has, and is written. */
  taken(mail: MailIds): void;
  /** What a peer said that it has. Resolves when that is written, or will have to be said again. */
  confirm(mail: MailIds): Promise<void>;
  /** One message for the answer to a request, where there is one, or where one is expected in a moment. */
  forRequest(session: MailSession): Promise<RequestMail | undefined>;
  stop(): Promise<void>;
}

export interface SessionsOptions {
  readonly kernel: Kernel;
  /** Mail as a message of its own (RFC 0685), in JSON text. */
  readonly wrap: (mail: readonly Mail[]) => string;
}

/** A message that is on its way. */
interface Sent {
  readonly at: number;
  /** When it came to the box. */
  readonly received: number;
  readonly size: number;
  /** Confirmed by the socket; else by a message of the peer's. */
  readonly pinged: boolean;
}

/** One socket of one box. */
class Session {
  readonly socket: Socket;
  readonly box: Box;
  mode: SessionMode = 'route';
  /** By id, in the order in which they were sent. Made when there is something to hold: most sockets are idle. */
  flight: Map<string, Sent> | undefined;
  bytes = 0;
  done: BoundedMap<string, true> | undefined;
  pinging = false;
  /** The connection as it was when its peer last said something, for a while. */
  peer: { readonly connection: Exchange; readonly until: number } | undefined;

  constructor(box: Box, socket: Socket) {
    this.box = box;
    this.socket = socket;
  }

  get inFlight(): number {
    return this.flight?.size ?? 0;
  }

  knows(id: string): boolean {
    return this.flight?.has(id) === true || this.done?.has(id) === true;
  }

  lend(id: string, sent: Sent): void {
    this.flight ??= new Map();
    this.flight.set(id, sent);
    this.bytes += sent.size;
  }

  /** Takes ids out of the flight; those that were in it. */
  settle(ids: Iterable<string>, confirmed: boolean): string[] {
    const found: string[] = [];
    for (const id of ids) {
      const sent = this.flight?.get(id);
      if (confirmed) {
        this.done ??= new BoundedMap(REMEMBERED);
        this.done.set(id, true);
      }
      if (!sent) continue;
      this.flight!.delete(id);
      this.bytes -= sent.size;
      found.push(id);
    }
    if (this.flight?.size === 0) this.flight = undefined;
    return found;
  }
}

/** What is open for one peer. */
interface Box {
  readonly tenant: string;
  readonly box: string;
  /** The newest last. */
  readonly sessions: Session[];
  /** A read is under way, or asked for; `again`: something has come since it began. */
  reading: boolean;
  again: boolean;
  /** Sent as the answer to a request, until when. */
  lent?: Map<string, number>;
  /** Requests that wait for mail. */
  waiting?: Set<() => void>;
}

/**
 * Gives mail to peers that are connected. What goes on a socket is remembered by that socket's session alone, and is the store's until its peer has confirmed it:
 * `messages-received` for a `delivery`, the pong that follows for everything else. So a process that dies loses nothing, and any process serves any peer.
 * A hint of the store says that mail came; if it comes with the mail, and everything before is on its way already, the mail goes out unread.
 */
export function startSessions({ kernel, wrap }: SessionsOptions): Sessions {
  const { store, jobs } = kernel.db;
  const boxes = new Map<string, Box>();
  const queue = new Set<Box>();
  let running = 0;
  let stopped = false;
  const idle = new Set<() => void>();

  const nameOf = (tenant: string, box: string): string => `${tenant} ${box}`;
  function boxOf(tenant: string, box: string): Box {
    const name = nameOf(tenant, box);
    let found = boxes.get(name);
    if (!found) {
      found = { tenant, box, sessions: [], reading: false, again: false };
      boxes.set(name, found);
    }
    return found;
  }
  function tidy(box: Box): void {
    const now = kernel.now();
    if (box.lent) for (const [id, until] of box.lent) if (until <= now) box.lent.delete(id);
    if (box.lent?.size === 0) box.lent = undefined;
    if (box.sessions.length === 0 && !box.reading && !box.lent && !box.waiting) boxes.delete(nameOf(box.tenant, box.box));
  }

  /** Who has the mail: the newest that takes all of it, else the newest for what is our own. */
  function courierOf({ sessions }: Box): Session | undefined {
    let own: Session | undefined;
    for (let i = sessions.length - 1; i >= 0; i--) {
      const session = sessions[i]!;
      if (!session.socket.open) continue;
      if (session.mode !== 'route') return session;
      own ??= session;
    }
    return own;
  }

  // -- reading -------------------------------------------------------------------------------------------------------------------------------

  /** Has a box read, soon; asked for again while that goes on, it is read once more. */
  function look(box: Box): void {
    if (stopped || box.sessions.length === 0) return;
    if (box.reading) {
      box.again = true;
      return;
    }
    box.reading = true;
    queue.add(box);
    work();
  }

  function work(): void {
    for (const box of queue) {
      if (running >= AT_ONCE) return;
      queue.delete(box);
      run(box, readAll(box));
    }
  }

  /** One at a time for each box, so that its order holds. */
  function run(box: Box, going: Promise<unknown>): void {
    running++;
    void going
      .catch((error: unknown) => {
        const { code } = asAppError(error);
        if (code === 'wallet-locked') return;
        kernel.log.warn({ err: error }, 'kept mail could not be read; it is looked at again');
      })
      .finally(() => {
        running--;
        box.reading = false;
        if (box.again && !stopped) {
          box.again = false;
          look(box);
        } else tidy(box);
        work();
        if (running === 0) for (const resolve of idle) resolve();
      });
  }

  /** Sends what is in the box and not on its way, until there is no more or the peer must confirm some first. */
  async function readAll(box: Box): Promise<void> {
    for (;;) {
      const session = courierOf(box);
      if (!session) return;
      const room = WINDOW - session.inFlight;
      if (room <= 0 || session.bytes >= WINDOW_BYTES) return;
      box.again = false;
      const mail = await store.mail(box.tenant, box.box, {
        limit: room,
        maxBytes: WINDOW_BYTES - session.bytes,
        own: session.mode === 'route' ? true : undefined,
        without: session.flight && [...session.flight.keys()],
      });
      if (courierOf(box) !== session) continue;
      if (mail.length === 0) return;
      // confirmed while it was read; or said again by a sender that heard no answer, after it was confirmed
      const had = mail.filter(({ id }) => session.done?.has(id)).map(({ id }) => id);
      if (had.length > 0 && !(await confirmed(box, had))) return;
      const fresh = mail.filter(({ id }) => !session.knows(id));
      if (fresh.length > 0 && !(await send(session, fresh))) return;
    }
  }

  /** Sends mail on a socket. @returns false where that cannot be done now */
  async function send(session: Session, mail: readonly Mail[]): Promise<boolean> {
    const { box, socket } = session;
    if (session.mode !== 'live') {
      for (const one of mail) sendAsItIs(session, one);
      confirm(session);
      return socket.open;
    }
    for (let i = 0; i < mail.length; ) {
      const one = mail[i]!;
      if (one.recipient === undefined) {
        sendAsItIs(session, one);
        confirm(session);
        i++;
        continue;
      }
      const batch: Mail[] = [];
      for (; i < mail.length && batch.length < PER_DELIVERY && mail[i]!.recipient !== undefined; i++) batch.push(mail[i]!);
      if (!(await sendWrapped(session, batch))) {
        kernel.log.warn({ tenant: box.tenant, connection: box.box }, 'mail cannot be delivered: the connection has no keys');
        return false;
      }
    }
    return socket.open;
  }

  function sendAsItIs(session: Session, { id, body, received }: Mail): void {
    session.lend(id, { at: kernel.now(), received, size: body.length, pinged: true });
    session.socket.send(body);
    kernel.count('mail_sent');
  }

  async function sendWrapped(session: Session, mail: readonly Mail[]): Promise<boolean> {
    const { tenant } = session.box;
    const at = kernel.now();
    for (const { id, body, received } of mail) session.lend(id, { at, received, size: body.length, pinged: false });
    const connection = await peerOf(session, at);
    const frame = connection && (await sealTo(kernel, tenant, connection, wrap(mail)));
    if (frame === undefined) {
      session.settle(
        mail.map(({ id }) => id),
        false,
      );
      return false;
    }
    session.socket.send(frame);
    kernel.count('mail_sent');
    return true;
  }

  async function peerOf(session: Session, now: number): Promise<Exchange | undefined> {
    if (session.peer && now < session.peer.until) return session.peer.connection;
    const { tenant, box } = session.box;
    const [rows] = await store.load(tenant, [{ category: 'connection', id: box }]);
    if (!rows?.[0]) return undefined;
    const connection = toExchange(rows[0]);
    session.peer = { connection, until: now + PEER_MS };
    return connection;
  }

  /** Asks the peer's machine whether it has what was sent, one question at a time. */
  function confirm(session: Session): void {
    if (session.pinging) return;
    session.pinging = true;
    const ids = [...(session.flight ?? [])].filter(([, sent]) => sent.pinged).map(([id]) => id);
    void session.socket.taken().then(async (taken) => {
      session.pinging = false;
      if (!taken) {
        if (session.socket.open) session.socket.close(1008, 'no pong');
        return;
      }
      await confirmed(session.box, ids);
      for (const sent of session.flight?.values() ?? []) {
        if (!sent.pinged) continue;
        confirm(session);
        return;
      }
    });
  }

  /** What was confirmed in this turn, by tenant: one commit for all of it. */
  let gathering: Map<string, { readonly box: string; readonly ids: readonly string[] }[]> | undefined;
  let gathered: Promise<void> = Promise.resolve();

  /** A peer has some of its mail: it goes from the store, and makes room on every socket. */
  async function confirmed(box: Box, ids: readonly string[]): Promise<boolean> {
    if (ids.length === 0) return true;
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
    const { tenant } = box;
    const list = gathering.get(tenant);
    if (list) list.push({ box: box.box, ids });
    else gathering.set(tenant, [{ box: box.box, ids }]);
    try {
      await gathered;
    } catch (error) {
      kernel.log.warn({ err: error }, 'it could not be noted that mail has come; it is sent again');
      return false;
    }
    kernel.count('mail_confirmed');
    settled(box, ids);
    return true;
  }

  function settled(box: Box, ids: readonly string[]): void {
    let full = false;
    for (const session of box.sessions) {
      full ||= session.inFlight >= WINDOW || session.bytes >= WINDOW_BYTES;
      session.settle(ids, true);
    }
    if (full || box.again) look(box);
  }

  // -- hints ---------------------------------------------------------------------------------------------------------------------------------

  function hinted({ tenant, box: name, mail, waiting }: StoreHint['boxes'][number]): void {
    if (name === '*') {
      for (const box of boxes.values()) wake(box);
      return;
    }
    const box = boxes.get(nameOf(tenant, name));
    if (!box) return;
    const session = courierOf(box);
    // all that lies there besides is on its way already, so this is next
    const next = mail !== undefined && waiting !== undefined && session !== undefined && waiting - mail.length <= session.inFlight;
    if (!next || session.mode === 'route' || box.reading || box.lent || box.waiting || !fits(session, mail)) {
      wake(box);
      return;
    }
    const now = kernel.now();
    if (mail.some(({ id }) => session.knows(id))) {
      wake(box);
      return;
    }
    const fresh = mail.map((one): Mail => ({ ...one, received: now, attempts: 0 }));
    if (session.mode === 'implicit') {
      for (const one of fresh) sendAsItIs(session, one);
      confirm(session);
    } else {
      box.reading = true;
      run(box, send(session, fresh));
    }
  }

  function fits(session: Session, mail: readonly { readonly body: string }[]): boolean {
    if (session.inFlight + mail.length > WINDOW) return false;
    return session.bytes + mail.reduce((sum, { body }) => sum + body.length, 0) <= WINDOW_BYTES;
  }

  function wake(box: Box): void {
    if (box.waiting) for (const go of box.waiting) go();
    look(box);
  }

  const unsubscribe = jobs.subscribe(({ boxes: changed }) => {
    for (const one of changed) hinted(one);
  });

  // -- what was not confirmed ------------------------------------------------------------------------------------------------------------------

  /** What a peer had time to confirm and did not: sent again, and given up after too many times. */
  async function missed(box: Box, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    kernel.count('mail_missed');
    await store.commit(box.tenant, { missed: [{ box: box.box, ids }] }).catch((error: unknown) => {
      kernel.log.warn({ err: error }, 'it could not be noted that mail was not confirmed');
    });
  }

  let slot = 0;
  const slots = Math.round(POLL_MS / TICK_MS);
  const ticking = setInterval(() => {
    slot = (slot + 1) % slots;
    const now = kernel.now();
    let index = 0;
    for (const box of boxes.values()) {
      for (const session of box.sessions) {
        const first = session.flight?.values().next().value;
        if (!first || now - first.at < AGAIN_MS) continue;
        const late = [...session.flight!].filter(([, { at, pinged }]) => !pinged && now - at >= AGAIN_MS).map(([id]) => id);
        void missed(box, session.settle(late, false)).then(() => look(box));
      }
      if (index++ % slots === slot) {
        if (box.sessions.length > 0) look(box);
        else tidy(box);
      }
    }
  }, TICK_MS);
  ticking.unref();

  function closed(session: Session): void {
    const { box } = session;
    const at = box.sessions.indexOf(session);
    if (at >= 0) box.sessions.splice(at, 1);
    // only the first can be what its peer broke at; the others may never have been read
    const [first, sent] = session.flight?.entries().next().value ?? [];
    session.flight = undefined;
    if (sent && first !== undefined && !stopped && kernel.now() - sent.received >= BREAKS_MS) void missed(box, [first]);
    if (box.sessions.length > 0) look(box);
    else tidy(box);
  }

  return {
    open(socket, tenant, name) {
      const session = boxes.get(nameOf(tenant, name))?.sessions.find((one) => one.socket === socket);
      if (!session) return undefined;
      const { mode, flight, peer } = session;
      return { mode, sent: flight ? [...flight.keys()] : [], connection: peer && kernel.now() < peer.until ? peer.connection : undefined };
    },
    lent({ tenant, box: name, ids }, socket) {
      const session = boxes.get(nameOf(tenant, name))?.sessions.find((one) => one.socket === socket);
      const at = kernel.now();
      for (const id of ids) session?.lend(id, { at, received: at, size: 0, pinged: false });
    },
    attach({ tenant, connection, mode }, socket) {
      if (stopped || !socket.open) return;
      const box = boxOf(tenant, connection);
      let session = box.sessions.find((one) => one.socket === socket);
      if (!session) {
        session = new Session(box, socket);
        box.sessions.push(session);
        const known = session;
        socket.onClose(() => closed(known));
        if (box.sessions.length > MAX_SOCKETS) box.sessions[0]!.socket.close(1008, 'too many sockets');
      }
      // a ping is no wish to have otherwise what goes as deliveries
      if (mode !== undefined && !(mode === 'implicit' && session.mode === 'live')) session.mode = mode;
      session.peer = undefined;
      look(box);
    },
    async confirm({ tenant, box: name, ids }) {
      await confirmed(boxOf(tenant, name), ids);
    },
    taken({ tenant, box: name, ids }) {
      const box = boxes.get(nameOf(tenant, name));
      if (box) settled(box, ids);
    },
    async forRequest({ tenant, connection, mode, expects }) {
      const box = boxOf(tenant, connection);
      const own = mode === 'implicit' ? undefined : true;
      const deadline = performance.now() + EXPECTED_MS;
      try {
        for (;;) {
          let go = (): void => {};
          const moved = new Promise<void>((resolve) => {
            go = resolve;
          });
          box.waiting ??= new Set();
          box.waiting.add(go);
          try {
            const without = [...(box.lent?.keys() ?? []), ...box.sessions.flatMap(({ flight }) => [...(flight?.keys() ?? [])])].slice(
              0,
              1000,
            );
            const [first] = await store.mail(tenant, connection, { limit: 1, own, without });
            // another request may have asked at the same time
            if (first && !box.lent?.has(first.id)) {
              box.lent ??= new Map();
              box.lent.set(first.id, kernel.now() + LENT_MS);
              const { id } = first;
              return {
                reply: first.body,
                sent: async () => {
                  await confirmed(box, [id]);
                  box.lent?.delete(id);
                  tidy(box);
                },
              };
            }
            const left = deadline - performance.now();
            if (!expects || left <= 0 || stopped) return undefined;
            const timer = setTimeout(go, left);
            await moved;
            clearTimeout(timer);
          } finally {
            box.waiting.delete(go);
            if (box.waiting.size === 0) box.waiting = undefined;
          }
        }
      } finally {
        tidy(box);
      }
    },
    async stop() {
      stopped = true;
      unsubscribe();
      clearInterval(ticking);
      queue.clear();
      for (const box of boxes.values()) if (box.waiting) for (const go of box.waiting) go();
      if (running > 0) await new Promise<void>((resolve) => idle.add(resolve));
    },
  };
}
