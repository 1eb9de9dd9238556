import { AppError } from '../../errors.ts';
import { type Adopted, type HeldSocket, MAX_BUFFERED, type TakeFrame } from './held-socket.ts';

/** Frames on one socket of an endpoint that its peer has not confirmed: with more another socket is opened, up to so many. */
const MAX_UNCONFIRMED = 16;
const MAX_PER_ENDPOINT = 4;
/** Sockets to all endpoints: with one more, who was silent for the longest is let go. */
const MAX_POOLED = 1000;
/** A peer that ends a socket so soon after a message takes one for each, and what came on its heels may have been read and not confirmed. */
const BRIEF_MS = 5000;
/** Addresses of which that is remembered. */
const KNOWN_BRIEF = 1000;
/** How long an idle socket is kept. */
const IDLE_MS = 30_000;
export interface Pooled {
  readonly socket: HeldSocket;
  /** Frames that were sent on it, ever. */
  sent: number;
  /** Frames whose pong has not come, and their bytes. */
  unconfirmed: number;
  bytes: number;
  lastUsed: number;
  /** This side has ended it. */
  left?: boolean;
}

/** Its peer ended it in good order (RFC 6455 section 7.4.1). */
export const saidGoodbye = ({ closeCode }: HeldSocket): boolean => closeCode === 1000 || closeCode === 1005;

/** An address, and the sockets to it that anything may go on; or, by a name of its own, those of one connection. */
export interface Endpoint {
  readonly url: URL;
  readonly name: string;
  readonly sockets: Set<Pooled>;
  opening?: Promise<Pooled>;
  /** Deliveries that wait for room on a socket. */
  readonly queue: Set<() => void>;
}

export interface SocketPoolOptions {
  /** Opens a socket. @throws AppError `egress-refused`, `delivery-failed` */
  readonly open: (url: URL, how: Omit<Adopted, 'raw' | 'address'>) => Promise<HeldSocket>;
  /** How long a message waits for room. */
  readonly answerMs: number;
  readonly idleMs?: number;
  /** Takes a peer's frame on a socket that a message of ours was delivered on. */
  readonly onFrame: TakeFrame;
}

/** Sockets to endpoints, kept while messages go on them. */
export interface SocketPool {
  /** A socket with room for so many bytes, which is reserved; one is opened where none has. `own`: the connection that has sockets of its own. */
  place(url: URL, own: string | undefined, bytes: number): Promise<{ endpoint: Endpoint; one: Pooled }>;
  /** After something became free: waiting messages try again, and an endpoint without sockets is dropped. */
  tidy(endpoint: Endpoint): void;
  /** Ends no socket: who keeps them does. */
  stop(): void;
}

export function createSocketPool({ open, answerMs, idleMs = IDLE_MS, onFrame }: SocketPoolOptions): SocketPool {
  const endpoints = new Map<string, Endpoint>();
  /** Names of those whose peer ends a socket after a message, as Credo does where none asks for an answer on it. */
  const brief = new Set<string>();
  let pooled = 0;

  const everyPooled = (): Pooled[] => [...endpoints.values()].flatMap((endpoint) => [...endpoint.sockets]);
  const isIdle = ({ socket, unconfirmed }: Pooled): boolean => unconfirmed === 0 && socket.idle;
  const idling = setInterval(
    () => {
      const now = performance.now();
      for (const one of everyPooled()) if (isIdle(one) && now - one.lastUsed >= idleMs) leave(one);
    },
    Math.max(20, idleMs / 10),
  );
  idling.unref();

  async function openPooled(endpoint: Endpoint): Promise<Pooled> {
    if (pooled >= MAX_POOLED) letGo();
    pooled++;
    let one: Pooled | undefined;
    const onClosed = (): void => {
      pooled--;
      if (one) {
        endpoint.sockets.delete(one);
        const { left, sent, lastUsed } = one;
        if (!left && sent > 0 && saidGoodbye(one.socket) && performance.now() - lastUsed < BRIEF_MS) remember(endpoint);
      }
      tidy(endpoint);
    };
    const take: TakeFrame = (frame, socket) => {
      if (one) one.lastUsed = performance.now();
      return onFrame(frame, socket);
    };
    let socket: HeldSocket;
    try {
      socket = await open(endpoint.url, { take, onClosed });
    } catch (error) {
      pooled--;
      throw error;
    }
    if (!socket.open) throw new AppError('delivery-failed', `${endpoint.url.host} closed the WebSocket at once`);
    one = { socket, sent: 0, unconfirmed: 0, bytes: 0, lastUsed: performance.now() };
    endpoint.sockets.add(one);
    return one;
  }

  function remember({ name }: Endpoint): void {
    if (brief.size >= KNOWN_BRIEF) brief.delete(brief.values().next().value!);
    brief.add(name);
  }

  function letGo(): void {
    let oldest: Pooled | undefined;
    for (const one of everyPooled()) if (isIdle(one) && (!oldest || one.lastUsed < oldest.lastUsed)) oldest = one;
    if (oldest) leave(oldest);
  }

  function leave(one: Pooled): void {
    one.left = true;
    one.socket.close(1000, 'idle');
  }

  function tidy(endpoint: Endpoint): void {
    for (const look of endpoint.queue) look();
    endpoint.queue.clear();
    if (endpoint.sockets.size === 0 && !endpoint.opening) endpoints.delete(endpoint.name);
  }

  function endpointOf(url: URL, own: string | undefined): Endpoint {
    const name = own === undefined ? url.href : `${url.href} ${own}`;
    const known = endpoints.get(name);
    if (known) return known;
    const endpoint: Endpoint = { url, name, sockets: new Set(), queue: new Set() };
    endpoints.set(name, endpoint);
    return endpoint;
  }

  async function place(url: URL, own: string | undefined, bytes: number): Promise<{ endpoint: Endpoint; one: Pooled }> {
    const deadline = performance.now() + answerMs;
    for (;;) {
      const endpoint = endpointOf(url, own);
      const each = brief.has(endpoint.name);
      let open = 0;
      for (const one of endpoint.sockets) {
        if (each && one.sent + one.unconfirmed > 0) {
          // a socket with acknowledged frames alone may be ended any time
          if (one.unconfirmed > 0) open++;
          continue;
        }
        open++;
        const room = one.unconfirmed === 0 || (one.unconfirmed < MAX_UNCONFIRMED && one.bytes + bytes <= MAX_BUFFERED);
        if (!one.socket.open || !room) continue;
        one.unconfirmed++;
        one.bytes += bytes;
        return { endpoint, one };
      }
      if (open < MAX_PER_ENDPOINT) {
        endpoint.opening ??= openPooled(endpoint).finally(() => {
          endpoint.opening = undefined;
          tidy(endpoint);
        });
        await endpoint.opening;
        continue;
      }
      const left = deadline - performance.now();
      if (left <= 0) throw new AppError('delivery-failed', `${url.host} takes nothing more`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        endpoint.queue.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  return { place, tidy, stop: () => clearInterval(idling) };
}
