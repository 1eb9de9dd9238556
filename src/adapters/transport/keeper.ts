import type { RawData, WebSocket } from 'ws';
import type { Log } from '../../ports/log.ts';
import { createFrameMemory } from './frame-memory.ts';
import { createFrameQueue } from './frame-queue.ts';
import { type Adopted, HeldSocket, type Keeper, MAX_BUFFERED } from './held-socket.ts';
import { createHeartbeat } from './socket-heartbeat.ts';

/** Bytes that all sockets together may hold of frames which are not begun: unfinished ones, and those that wait. */
const MAX_HELD = 128 << 20;
/** How long a frame may take to arrive. */
const FRAME_MS = 30_000;
/** How long a peer has to answer the ping behind `acknowledged`. */
const TAKEN_MS = 20_000;

/** The bounds of sockets: frames, silence, memory. */
export interface SocketsOptions {
  readonly log: Log;
  /** How often a socket is pinged, in ms; 0 for never. */
  readonly heartbeatMs: number;
  /** How long its pong may take. */
  readonly timeoutMs: number;
  readonly takenMs?: number;
  readonly frameMs?: number;
  readonly maxHeld?: number;
  /** Whether one more frame of this address may be begun now; without it any may. */
  mayBegin?(address: string): boolean;
}

/** WebSockets of either direction, kept. */
export interface Sockets {
  readonly size: number;
  /** Keeps a socket that is open from here on. */
  adopt(ws: WebSocket, how: Adopted): HeldSocket;
  /** Closes all with 1001: those without a frame in hand at once, the others when theirs are done, all of them after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const bytesOf = (data: RawData): Uint8Array =>
  Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : new Uint8Array(data);

/** Bytes that the library keeps of an incomplete frame, in fields without a type: a test fails where it names them otherwise. */
function unfinishedOf(ws: WebSocket): number {
  const { _bufferedBytes: frame, _messageLength: fragments } = (ws as unknown as { _receiver: Record<string, number> })._receiver;
  return frame! + fragments!;
}

/** A quarter of the shortest time that is to be noticed. */
const tickOf = (...times: readonly number[]): number => Math.max(20, Math.min(1000, ...times.map((ms) => ms / 4)));

/** After an error the library closes the socket with the fitting code by itself. */
function ignore(): void {}

/**
 * Keeps WebSockets: takes their frames in order, a bounded number at once, answers a ping when all frames before it are done, and pings by itself. All timers
 * are shared by all sockets, so that an idle one costs its place in memory and a ping now and then.
 */
export function keepSockets(options: SocketsOptions): Sockets {
  const { heartbeatMs, timeoutMs, takenMs = TAKEN_MS, frameMs = FRAME_MS, maxHeld = MAX_HELD, log } = options;
  const all = new Map<WebSocket, HeldSocket>();
  const tickMs = tickOf(frameMs, ...(heartbeatMs > 0 ? [heartbeatMs, timeoutMs] : []));
  let closing = false;
  let late = false;
  let emptied: (() => void) | undefined;
  const heartbeat = createHeartbeat(heartbeatMs, timeoutMs, tickMs);
  const memory = createFrameMemory(maxHeld, frameMs, log);
  const queue = createFrameQueue({
    log,
    memory,
    mayBegin: options.mayBegin && ((address) => options.mayBegin!(address)),
    finished() {
      if (queue.pending === 0 && all.size === 0) emptied?.();
    },
    rested(socket) {
      if (closing) leave(socket);
    },
    isClosing: () => closing,
  });
  const keeper: Keeper = { takenMs, refuse: queue.refuse };
  const ticking = setInterval(() => {
    const now = performance.now();
    memory.tick(now);
    heartbeat.tick(now);
  }, tickMs);
  ticking.unref();

  function leave(socket: HeldSocket): void {
    if (socket.idle && socket.pong === undefined) socket.close(1001, 'going away');
  }

  // shared by all sockets: `this` is the one that it is about
  function onMessage(this: WebSocket, data: RawData): void {
    const socket = all.get(this);
    // after the closing handshake began nothing is accepted: no ping behind it is answered, and the peer sends it elsewhere
    if (socket && !socket.closed && !closing) queue.add(socket, bytesOf(data));
  }
  function onPing(this: WebSocket, data: Buffer): void {
    const socket = all.get(this);
    if (socket && !socket.closed && !closing) queue.addPing(socket, data);
  }
  function onPong(this: WebSocket, data: Buffer): void {
    const socket = all.get(this);
    if (!socket || socket.closed) return;
    if (!socket.ponged(data)) queue.addControl(socket);
    if (closing && !socket.closed) leave(socket);
  }
  function onClosed(this: WebSocket, code: number): void {
    const socket = all.get(this);
    if (!socket) return;
    all.delete(this);
    heartbeat.remove(socket);
    socket.closeCode ??= code;
    // frames that came whole before are handled
    socket.end();
    const { unfinished } = socket;
    socket.unfinished = 0;
    memory.account(socket, -unfinished);
    socket.onClosed?.(socket);
    if (all.size === 0 && (late || queue.pending === 0)) emptied?.();
  }

  function onBytes(socket: HeldSocket, { length }: Buffer): void {
    if (socket.closed) {
      // it was closed from this side, and its peer goes on
      socket.ignored += length;
      if (socket.ignored > MAX_BUFFERED) socket.ws.terminate();
      return;
    }
    heartbeat.received(socket);
    const bytes = unfinishedOf(socket.ws);
    const more = bytes - socket.unfinished;
    socket.unfinished = bytes;
    if (more !== 0) memory.account(socket, more);
  }

  return {
    get size() {
      return all.size;
    },
    adopt(ws, how) {
      const socket = new HeldSocket(ws, keeper, how);
      all.set(ws, socket);
      heartbeat.add(socket);
      ws.on('message', onMessage);
      ws.on('ping', onPing);
      ws.on('pong', onPong);
      ws.on('close', onClosed);
      ws.on('error', ignore);
      // behind the library's own listener: bytes that are no frame by then are unfinished
      how.raw.on('data', (chunk: Buffer) => onBytes(socket, chunk));
      if (ws.readyState > ws.OPEN) queueMicrotask(() => onClosed.call(ws, 1006));
      return socket;
    },
    async close(graceMs) {
      closing = true;
      const empty = new Promise<void>((resolve) => {
        emptied = resolve;
      });
      for (const socket of [...all.values()]) {
        // its next frames are for its next socket; its pongs and its closing handshake are still read
        if (socket.paused) socket.ws.resume();
        leave(socket);
      }
      if (all.size > 0 || queue.pending > 0) {
        const timer = setTimeout(() => {
          late = true;
          for (const socket of [...all.values()]) socket.terminate();
          if (all.size === 0) emptied?.();
        }, graceMs);
        await empty;
        clearTimeout(timer);
      }
      clearInterval(ticking);
      queue.stop();
    },
  };
}
