import net, { isIP, type NetConnectOpts, type Socket as NetSocket } from 'node:net';
import tls from 'node:tls';
import { type ClientOptions, WebSocket } from 'ws';
import { AppError } from '../../errors.ts';
import type { Log } from '../../ports/log.ts';
import type { DeliveryResult, Outbound } from '../../ports/transport.ts';
import type { EgressGuard } from './egress.ts';
import { type Adopted, type HeldSocket, MAX_BUFFERED, type TakeFrame, WS_OPTIONS } from './held-socket.ts';
import { keepSockets, type SocketsOptions } from './keeper.ts';

/** Frames on one socket of an endpoint that its peer has not confirmed: with more another socket is opened, up to so many. */
const MAX_UNCONFIRMED = 16;
const MAX_PER_ENDPOINT = 4;
/** Sockets to all endpoints: with one more, who was silent for the longest is let go. */
const MAX_POOLED = 1000;
/** A peer that ends a socket so soon after a message takes one for each, and what came on its heels may have been read and not confirmed. */
const BRIEF_MS = 5000;
/** Addresses of which that is remembered. */
const KNOWN_BRIEF = 1000;
/** How long a socket is kept that nobody says anything on. */
const IDLE_MS = 30_000;
/** How long a shutdown waits for what sockets have in hand, and for their goodbyes. */
const CLOSE_MS = 5000;

export interface WsOutboundOptions extends Pick<SocketsOptions, 'heartbeatMs' | 'timeoutMs' | 'mayBegin'> {
  /** For connecting and the handshake together, and for the answer to the ping behind a message. */
  readonly answerMs: number;
  readonly maxBytes: number;
  readonly idleMs?: number;
  readonly log: Log;
  /** What a peer says on a socket that a message of ours was delivered on. */
  readonly onFrame: TakeFrame;
}

/** A server that would not make a WebSocket of the request. */
class Refused extends AppError {
  readonly status: number;
  constructor(status: number, url: URL) {
    super('delivery-failed', `${url.host} answered ${status} instead of opening a WebSocket`);
    this.status = status;
  }
}

interface Pooled {
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
const saidGoodbye = ({ closeCode }: HeldSocket): boolean => closeCode === 1000 || closeCode === 1005;

type Target = NetConnectOpts & { host: string };

/** An address, and the sockets to it that anything may go on; or, by a name of its own, those of one connection. */
interface Endpoint {
  readonly url: URL;
  readonly name: string;
  readonly sockets: Set<Pooled>;
  opening?: Promise<Pooled>;
  /** Who waits for room on a socket. */
  readonly queue: Set<() => void>;
}

/**
 * Outbound WebSockets, through the egress guard as HTTP: no redirects, the connected address is checked, times and sizes are bounded. A message is delivered when
 * its peer has answered a ping behind it. RFC 6455 section 5.5.2 asks that of every peer; one that does not is taken for one that is not there. The first message
 * on a socket is delivered as well when its peer ends that in good order: Credo does so where a message asks for no answer there, often before it reads the ping.
 */
export function wsOutbound(guard: EgressGuard, options: WsOutboundOptions): Pick<Outbound, 'deliver' | 'link' | 'close'> {
  const { answerMs, idleMs = IDLE_MS, maxBytes, onFrame } = options;
  const sockets = keepSockets({ ...options, takenMs: answerMs });
  const endpoints = new Map<string, Endpoint>();
  /** Names of those whose peer ends a socket after a message, as Credo does where none asks for an answer on it. */
  const brief = new Set<string>();
  let pooled = 0;
  let closed = false;

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

  /** @throws AppError `egress-refused`, `delivery-failed`; Refused where a server answered something else */
  function open(url: URL, how: Omit<Adopted, 'raw' | 'address'>): Promise<HeldSocket> {
    return new Promise((resolve, reject) => {
      if (closed) return reject(new AppError('delivery-failed', 'the agent stops'));
      let raw: NetSocket | undefined;
      const fail = (error: unknown): void => {
        clearTimeout(timer);
        ws.terminate();
        reject(asDelivery(error, url));
      };
      const ws = new WebSocket(url, [], {
        ...WS_OPTIONS,
        followRedirects: false,
        maxPayload: maxBytes,
        createConnection: ((given: Target) => {
          raw = connectGuarded(guard, url.protocol === 'https:', given);
          return raw;
        }) as never,
      } satisfies ClientOptions & typeof WS_OPTIONS);
      const late = new AppError('delivery-failed', `${url.host} did not open a WebSocket in ${answerMs / 1000} s`);
      const timer = setTimeout(() => fail(late), answerMs);
      ws.on('error', fail);
      ws.once('unexpected-response', (request, { statusCode = 0 }) => {
        request.destroy();
        fail(new Refused(statusCode, url));
      });
      ws.once('open', () => {
        if (closed) return fail(new AppError('delivery-failed', 'the agent stops'));
        clearTimeout(timer);
        const socket = sockets.adopt(ws, { ...how, raw: raw!, address: raw!.remoteAddress ?? '' });
        ws.off('error', fail);
        resolve(socket);
      });
    });
  }

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

  /** After something became free: whoever waits looks again, and an endpoint without sockets is forgotten. */
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

  /** A socket with room for so many bytes, which is reserved; one is opened where none has. */
  async function place(url: URL, own: string | undefined, bytes: number): Promise<{ endpoint: Endpoint; one: Pooled }> {
    const deadline = performance.now() + answerMs;
    for (;;) {
      const endpoint = endpointOf(url, own);
      const each = brief.has(endpoint.name);
      let open = 0;
      for (const one of endpoint.sockets) {
        if (each && one.sent + one.unconfirmed > 0) {
          // what was taken may be ended any time; nobody waits for that
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

  async function send(url: URL, own: string | undefined, envelope: string, again: boolean): Promise<DeliveryResult> {
    const bytes = Buffer.byteLength(envelope);
    const { endpoint, one } = await place(url, own, bytes);
    const { socket } = one;
    const reused = one.sent++ > 0;
    // its only frame: a goodbye is about this one
    const alone = one.unconfirmed === 1;
    socket.send(envelope);
    const taken = await socket.acknowledged();
    one.unconfirmed--;
    one.bytes -= bytes;
    one.lastUsed = performance.now();
    tidy(endpoint);
    // nobody says goodbye to who has just come, unless what it came with was read
    if (taken || (!reused && saidGoodbye(socket))) return { status: 202 };
    if (socket.closeCode === 1009 && alone) return { status: 413 };
    if (socket.open) throw new AppError('delivery-failed', `${url.host} did not answer a ping in ${answerMs / 1000} s`);
    // a kept socket may end at any time: that says nothing of a fresh one, unless the peer said so
    if (reused && again && socket.closeCode !== 1013) return send(url, own, envelope, false);
    const { closeCode } = socket;
    throw new AppError('delivery-failed', `${url.host} closed the WebSocket${closeCode === undefined ? '' : ` (${closeCode})`}`);
  }

  /** The guard knows HTTP, whose ports these are. @throws AppError `egress-refused` */
  function checked(endpoint: string): URL {
    const url = guard.checkUrl(endpoint.replace(/^ws/i, 'http'));
    url.hash = '';
    return url;
  }

  return {
    async deliver(endpoint, envelope, _mediaType, _signal, own) {
      try {
        return await send(checked(endpoint), own, envelope, true);
      } catch (error) {
        if (error instanceof Refused && error.status >= 400) return { status: error.status };
        throw error;
      }
    },
    async link(endpoint, take) {
      return await open(checked(endpoint), { take, atOnce: 1 });
    },
    async close() {
      closed = true;
      clearInterval(idling);
      await sockets.close(CLOSE_MS);
    },
  };
}

/** Messages to `ws` and `wss` go by WebSocket, all others by HTTP. */
export function outboundOf(http: Omit<Outbound, 'link'>, ws: ReturnType<typeof wsOutbound>): Outbound {
  return {
    deliver: (endpoint, envelope, mediaType, signal, own) =>
      /^wss?:/i.test(endpoint)
        ? ws.deliver(endpoint, envelope, mediaType, signal, own)
        : http.deliver(endpoint, envelope, mediaType, signal),
    link: ws.link,
    notify: http.notify,
    async close() {
      await Promise.allSettled([http.close(), ws.close()]);
    },
  };
}

/** Connects only where the guard allows it: what was looked up, and the socket itself. */
function connectGuarded(guard: EgressGuard, secure: boolean, given: Target): NetSocket {
  // the path is the URL's: for these functions it would be that of a local socket
  const options = { ...given, path: undefined, lookup: guard.lookup } as Target;
  const socket = secure ? tls.connect({ ...options, servername: isIP(given.host) ? '' : given.host }) : net.connect(options);
  socket.once('connect', () => {
    try {
      guard.checkAddress(socket.remoteAddress ?? '0.0.0.0', socket.remotePort ?? 0);
    } catch (refused) {
      socket.destroy(refused as Error);
    }
  });
  return socket;
}

function asDelivery(error: unknown, url: URL): AppError {
  if (error instanceof AppError) return error;
  const { code, message } = error as { code?: string; message?: string };
  return new AppError('delivery-failed', `${url.host} could not be reached: ${code ?? message ?? 'no reason given'}`, { cause: error });
}
