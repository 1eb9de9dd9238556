import net, { isIP, type NetConnectOpts, type Socket as NetSocket } from 'node:net';
import tls from 'node:tls';
import { type ClientOptions, WebSocket } from 'ws';
import { AppError } from '../../errors.ts';
import type { Log } from '../../ports/log.ts';
import type { DeliveryResult, Outbound } from '../../ports/transport.ts';
import type { EgressGuard } from './egress.ts';
import { type Adopted, type HeldSocket, type TakeFrame, WS_OPTIONS } from './held-socket.ts';
import { keepSockets, type Sockets, type SocketsOptions } from './keeper.ts';
import { createSocketPool, saidGoodbye } from './socket-pool.ts';

/** How long a shutdown waits for what sockets have in hand, and for their goodbyes. */
const CLOSE_MS = 5000;

export interface WsOutboundOptions extends Pick<SocketsOptions, 'heartbeatMs' | 'timeoutMs' | 'mayBegin'> {
  /** For connecting and the handshake together, and for the answer to the ping behind a message. */
  readonly answerMs: number;
  readonly maxBytes: number;
  readonly idleMs?: number;
  readonly log: Log;
  /** A frame of a peer on a socket that a message of ours was delivered on. */
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

type Target = NetConnectOpts & { host: string };

/** The options of every socket. */
interface Opening {
  readonly guard: EgressGuard;
  readonly sockets: Sockets;
  readonly answerMs: number;
  readonly maxBytes: number;
  isClosed(): boolean;
}

/** @throws AppError `egress-refused`, `delivery-failed`; Refused where a server answered something else */
function openSocket(
  { guard, sockets, answerMs, maxBytes, isClosed }: Opening,
  url: URL,
  how: Omit<Adopted, 'raw' | 'address'>,
): Promise<HeldSocket> {
  return new Promise((resolve, reject) => {
    if (isClosed()) return reject(new AppError('delivery-failed', 'the agent stops'));
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
      if (isClosed()) return fail(new AppError('delivery-failed', 'the agent stops'));
      clearTimeout(timer);
      const socket = sockets.adopt(ws, { ...how, raw: raw!, address: raw!.remoteAddress ?? '' });
      ws.off('error', fail);
      resolve(socket);
    });
  });
}

/**
 * Outbound WebSockets, through the egress guard as HTTP: no redirects, the connected address is checked, times and sizes are bounded. A message is delivered when
 * its peer has answered a ping behind it. RFC 6455 section 5.5.2 asks that of every peer; one that does not is taken for one that is not there. The first message
 * on a socket is delivered as well when its peer ends that in good order: Credo does so where a message asks for no answer there, often before it reads the ping.
 */
export function wsOutbound(guard: EgressGuard, options: WsOutboundOptions): Pick<Outbound, 'deliver' | 'link' | 'close'> {
  const { answerMs, maxBytes } = options;
  const sockets = keepSockets({ ...options, takenMs: answerMs });
  let closed = false;
  const opening: Opening = { guard, sockets, answerMs, maxBytes, isClosed: () => closed };
  const open = (url: URL, how: Omit<Adopted, 'raw' | 'address'>): Promise<HeldSocket> => openSocket(opening, url, how);
  const pool = createSocketPool({ ...options, open });

  async function send(url: URL, own: string | undefined, envelope: string, again: boolean): Promise<DeliveryResult> {
    const bytes = Buffer.byteLength(envelope);
    const { endpoint, one } = await pool.place(url, own, bytes);
    const { socket } = one;
    const reused = one.sent++ > 0;
    // its only frame: a goodbye is about this one
    const alone = one.unconfirmed === 1;
    socket.send(envelope);
    const taken = await socket.acknowledged();
    one.unconfirmed--;
    one.bytes -= bytes;
    one.lastUsed = performance.now();
    pool.tidy(endpoint);
    // a peer that closes at once, in good order, has read the message
    if (taken || (!reused && saidGoodbye(socket))) return { status: 202 };
    if (socket.closeCode === 1009 && alone) return { status: 413 };
    if (socket.open) throw new AppError('delivery-failed', `${url.host} did not answer a ping in ${answerMs / 1000} s`);
    // a kept socket may end at any time: that means nothing for a fresh one, unless the peer has answered so
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
      pool.stop();
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
