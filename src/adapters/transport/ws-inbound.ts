import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, WebSocketServer } from 'ws';
import { asAppError } from '../../errors.ts';
import type { Log } from '../../ports/log.ts';
import type { Door } from '../../ports/transport.ts';
import { type HeldSocket, type TakeFrame, WS_OPTIONS } from './held-socket.ts';
import type { EnvelopeSink, InboundGate } from './http-inbound.ts';
import { keepSockets, type SocketsOptions } from './keeper.ts';

/** Frames that are no envelope before a socket is closed. */
const MAX_GARBAGE = 20;
/** Sockets that one address may have open before a message on them shows a known peer. */
const STRANGERS_EACH = 1000;
/** How long a shutdown waits for what sockets have in hand, and for their goodbyes. */
const CLOSE_MS = 5000;

/** The handling of frames, for sockets of both directions. */
export interface Frames {
  readonly take: TakeFrame;
  /** Resolves when everything that was confirmed so far is noted. */
  settled(): Promise<void>;
}

/**
 * Hands frames to the sink, and replies back on their socket. A reply is noted as sent when the peer has answered a ping behind it, and stays due otherwise. What
 * cannot be handled now closes the socket: the ping behind it stays unanswered, so that a peer which waits for that sends it again.
 */
export function takeFrames(sink: EnvelopeSink, gate: InboundGate, log: Log): Frames {
  const noting = new Set<Promise<void>>();

  /** Not part of taking the frame: the pong may stand behind frames that wait for this one. */
  function note(socket: HeldSocket, sent: () => Promise<void>): void {
    const done = socket
      .acknowledged()
      .then((taken) => (taken ? sent() : undefined))
      .catch((error: unknown) => log.warn({ err: error }, 'a sent reply could not be noted'))
      .finally(() => noting.delete(done));
    noting.add(done);
  }

  function garbage(socket: HeldSocket): void {
    if (++socket.garbage >= MAX_GARBAGE) socket.close(1008, 'no envelopes');
  }

  return {
    async take(frame, socket) {
      gate.enter();
      try {
        const { status, reply, sent, known } = await sink.receive(frame, socket);
        socket.known ||= known === true || reply !== undefined;
        if (status === 429 || status >= 500) return socket.close(1013, 'try again later');
        if (status >= 400) return garbage(socket);
        if (reply === undefined) return;
        socket.send(reply);
        if (sent) note(socket, sent);
      } catch (error) {
        const { code, row } = asAppError(error);
        if (row.status >= 500) log.error({ err: error, code }, 'a message could not be handled');
        if (row.retry || row.status >= 500) socket.close(1013, 'try again later');
        else garbage(socket);
      } finally {
        gate.leave();
      }
    },
    async settled() {
      await Promise.all(noting);
    },
  };
}

export interface WsInboundOptions extends Pick<SocketsOptions, 'heartbeatMs' | 'timeoutMs' | 'takenMs' | 'frameMs' | 'maxHeld'> {
  readonly maxBytes: number;
  /** Sockets that may be open at once, all addresses and ports together. */
  readonly maxSockets: number;
  readonly gate: InboundGate;
  readonly door: Pick<Door, 'nameOf'>;
  readonly log: Log;
}

/** WebSockets that peers open, of all ports together. */
export interface WsInbound {
  readonly size: number;
  /** Takes a request that asks to become a WebSocket, from any server. */
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void;
  /** Takes no more, finishes what is in hand, and closes, so that wallets come back elsewhere. */
  close(): Promise<void>;
}

/** DIDComm over WebSockets (RFC 0025), and payloads of the 2018 Agent Protocol: an envelope for each frame, text or binary. */
export function wsInbound(frames: Frames, options: WsInboundOptions): WsInbound {
  const { gate, door, maxBytes, maxSockets } = options;
  const server = new WebSocketServer({ ...WS_OPTIONS, noServer: true, clientTracking: false, maxPayload: maxBytes } as ServerOptions);
  // a rate that is exceeded, or too much in hand, is no reason to close: the peer's own machine keeps what is not read
  const sockets = keepSockets({ ...options, mayBegin: (address) => !gate.full && gate.mayCome(address) });
  /** Those that brought nothing yet of anyone who is known, by address; the one that is longest open first. */
  const strangers = new Map<string, Set<HeldSocket>>();
  let closing = false;

  function met(socket: HeldSocket): void {
    const own = strangers.get(socket.address);
    if (!own?.delete(socket)) return;
    if (own.size === 0) strangers.delete(socket.address);
  }
  const take: TakeFrame = async (frame, socket) => {
    await frames.take(frame, socket);
    if (socket.known) met(socket);
  };

  /** Room for one more: a place that nobody uses is taken from whoever has the most of them. */
  function hasRoom(address: string): boolean {
    const own = strangers.get(address);
    let loser = own && own.size >= STRANGERS_EACH ? own : undefined;
    if (sockets.size >= maxSockets && !loser) {
      for (const some of strangers.values()) if (!loser || some.size > loser.size) loser = some;
      if (!loser) return false;
    }
    const [oldest] = loser ?? [];
    if (oldest) {
      met(oldest);
      oldest.terminate();
    }
    return true;
  }

  return {
    get size() {
      return sockets.size;
    },
    upgrade(request, stream, head) {
      const address = door.nameOf(request);
      if (closing || !hasRoom(address)) return refuse(stream);
      server.handleUpgrade(request, stream, head, (ws) => {
        const socket = sockets.adopt(ws, { raw: stream, take, address, onClosed: met });
        const own = strangers.get(address) ?? new Set();
        strangers.set(address, own.add(socket));
      });
    },
    async close() {
      closing = true;
      server.close();
      await sockets.close(CLOSE_MS);
      await frames.settled();
    },
  };
}

function refuse(stream: Duplex): void {
  stream.on('error', () => stream.destroy());
  stream.once('finish', () => stream.destroy());
  stream.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n');
}
