import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { mayHoldEnvelope } from '../../didcomm/media-types.ts';
import { asAppError } from '../../errors.ts';
import type { Log } from '../../ports/log.ts';
import type { PublicFace, PublicMatch } from '../../ports/public.ts';
import { type Admission, type Door, PATIENCE, type Socket } from '../../ports/transport.ts';
import type { PublicHttp } from './public-http.ts';
import { rateLimit } from './rate-limit.ts';

// an import by name would load all that `node:http` has, a second undici with it
const { createServer } = process.getBuiltinModule('node:http');

/** The outcome of an envelope. `known`: its sender has a connection. */
export interface Received {
  readonly status: number;
  readonly reply?: string;
  readonly sent?: () => Promise<void>;
  readonly known?: boolean;
}

/** The receiver of envelopes: the engine, seen from a transport. */
export interface EnvelopeSink {
  /** @param socket where it came on one that stays open: answers may go on it later too */
  receive(body: Uint8Array, socket?: Socket): Promise<Received>;
}

/** How many messages are in hand, and how fast an address may send more: one for all transports of a process. */
export interface InboundGate extends Admission {
  /** Whether this address sends no faster than it may. */
  mayCome(address: string): boolean;
  readonly full: boolean;
  enter(): void;
  leave(): void;
}

/**
 * @param maxInFlight messages that may be in hand at once
 * @param perSecond messages per second and address, on average; 0 for no limit
 */
export function inboundGate(maxInFlight: number, perSecond: number): InboundGate {
  const limit = rateLimit(perSecond);
  let inFlight = 0;
  return {
    mayCome: (address) => limit.take(address),
    get full() {
      return inFlight >= maxInFlight;
    },
    enter() {
      inFlight++;
    },
    leave() {
      inFlight--;
    },
    async admit(address, what) {
      const deadline = performance.now() + ADMIT_MS;
      while (inFlight >= maxInFlight || !limit.take(address)) {
        if (performance.now() > deadline) return undefined;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
      return await this.hold(what);
    },
    async hold(what) {
      inFlight++;
      try {
        return await what();
      } finally {
        inFlight--;
      }
    },
  };
}

/** How long what came on a connection of ours waits for its turn, and how often it looks. */
const ADMIT_MS = 10_000;
const LOOK_MS = 50;

export interface InboundOptions {
  readonly host: string;
  readonly port: number;
  readonly maxBytes: number;
  readonly gate: InboundGate;
  readonly door: Door;
  readonly mediaType: string;
  /** Also takes the forms of the 2018 Agent Protocol: text and raw bytes. */
  readonly plain?: boolean;
  /** Whether messages may be posted; without it the port is for WebSockets alone. */
  readonly posts?: boolean;
  /** Takes what asks to become a WebSocket; without it such a request is like any other. */
  readonly upgrade?: (request: IncomingMessage, stream: Duplex, head: Buffer) => void;
  /** The public HTTP routes, and what writes their answers. */
  readonly face?: { readonly routes: PublicFace; readonly http: PublicHttp };
  /** Paths of our endpoints, beside `/`: a GET there is answered with the kind of the port. */
  readonly paths?: readonly string[];
  readonly log: Log;
}

/**
 * The message port: DIDComm over HTTP (RFC 0025). 202 after commit, 200 with a reply on return-route; one empty 202 for everything that a stranger could
 * probe; 400 and 413 for what is not an envelope at all.
 */
export async function httpInbound(sink: EnvelopeSink, options: InboundOptions): Promise<{ port: number; close(): Promise<void> }> {
  const { gate, door, posts = true, upgrade } = options;
  const server = createServer(
    {
      ...PATIENCE,
      requestTimeout: 30_000,
      keepAliveTimeout: 30_000,
      maxHeaderSize: 16_384,
      // HTTP clients that prefer HTTP/2 ask for that in the same way: they go on as they are
      shouldUpgradeCallback: ({ headers }) => upgrade !== undefined && headers.upgrade?.toLowerCase() === 'websocket',
    },
    (request, response) => {
      if (!posts) {
        response.setHeader('upgrade', 'websocket');
        return answer(response, 426);
      }
      const match = options.face?.routes.find(request.method!, request.url ?? '');
      if (match) return void takePublic(match, request, response);
      if (!isEnvelope(request, response)) return;
      if (Number(request.headers['content-length'] ?? 0) > options.maxBytes) return refuseLarge(request, response);
      void take(request, response);
    },
  );
  door.keep(server);
  if (upgrade) server.on('upgrade', upgrade);

  /** Whether a request may be a message; answers what is none. */
  function isEnvelope(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method === 'POST' && mayHoldEnvelope(request.headers['content-type'], options.plain)) return true;
    if (request.method === 'GET' || request.method === 'HEAD') showPort(request, response, options.paths);
    else answer(response, request.method === 'POST' ? 415 : 405);
    return false;
  }

  /** A body that came whole, at a rate that is allowed. A refused one is answered. */
  async function admitted(request: IncomingMessage, response: ServerResponse, maxBytes: number): Promise<Buffer | undefined> {
    const body = await readBody(request, maxBytes, (bytes) => door.grew(request, bytes));
    if (body === 'broken') return undefined;
    if (body === 'large') {
      refuseLarge(request, response);
      return undefined;
    }
    // only what is there whole counts: who sends half of it keeps nobody out
    const late = !gate.mayCome(door.nameOf(request)) ? 429 : gate.full ? 503 : undefined;
    if (!late) return body;
    response.setHeader('retry-after', '1');
    answer(response, late);
    return undefined;
  }

  /** A request on the public face; where its route does not know it, it is one like any other. */
  async function takePublic(match: PublicMatch, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const maxBytes = Math.min(match.maxBytes, options.maxBytes);
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) return refuseLarge(request, response);
    const body = await admitted(request, response, maxBytes);
    if (body === undefined) return;
    gate.enter();
    let inHand = true;
    // an answer on its way to a slow reader is no message in hand
    const begun = (): void => {
      if (inHand) gate.leave();
      inHand = false;
    };
    const served = await options.face!.http.serve(match, request, response, body, door.nameOf(request), begun).finally(begun);
    if (served || !isEnvelope(request, response)) return;
    await receive(body, request, response);
  }

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await admitted(request, response, options.maxBytes);
    if (body !== undefined) await receive(body, request, response);
  }

  async function receive(body: Buffer, request: IncomingMessage, response: ServerResponse): Promise<void> {
    gate.enter();
    try {
      const { status, reply, sent } = await sink.receive(body);
      if (reply === undefined) return answer(response, status);
      response.writeHead(200, { 'content-type': options.mediaType, 'content-length': Buffer.byteLength(reply) });
      response.end(reply, () => {
        // a reply that never left stays due; the transport confirms those that it wrote
        if (!request.socket.destroyed)
          void sent?.().catch((error: unknown) => options.log.warn({ err: error }, 'a sent reply could not be noted'));
      });
    } catch (error) {
      const { code, row } = asAppError(error);
      if (row.status >= 500) options.log.error({ err: error, code }, 'a message could not be handled');
      if (row.status === 429) response.setHeader('retry-after', '1');
      // RFC 0094 has no word for it: who forwards to a queue that is full is to come back
      if (code === 'mailbox-full') answer(response, 429);
      else answer(response, row.retry || row.status >= 500 ? 503 : 400);
    } finally {
      gate.leave();
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
}

function readBody(request: IncomingMessage, max: number, grew: (bytes: number) => void): Promise<Buffer | 'large' | 'broken'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      grew(chunk.length);
      if (size > max) {
        resolve('large');
        request.pause();
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    request.on('error', () => resolve('broken'));
    request.on('aborted', () => resolve('broken'));
    request.on('close', () => resolve('broken'));
  });
}

function refuseLarge(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('connection', 'close');
  answer(response, 413);
  request.resume();
}

/** Says by GET and HEAD what the port is; elsewhere there is nothing. */
function showPort(request: IncomingMessage, response: ServerResponse, paths: readonly string[] = []): void {
  const path = (request.url ?? '').split('?')[0]!;
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  if (path === '/' || paths.includes(path)) answer(response, 200, 'This is a DIDComm endpoint: POST messages to it.\n', 'text/plain');
  else answer(response, 404, 'Not Found\n', 'text/plain; charset=utf-8');
}

function answer(response: ServerResponse, status: number, text = '', type?: string): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(text), ...(type ? { 'content-type': type } : {}) });
  response.end(text);
}

/** Stops listening, lets requests in hand finish, then drops idle connections. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 5000).unref();
  });
}
