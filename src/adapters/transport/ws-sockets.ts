import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Log } from '../../ports/log.ts';
import type { Socket } from '../../ports/transport.ts';

/** Bytes that may wait for a peer which does not read them; more, and it is taken for one that never will. */
export const MAX_BUFFERED = 4 << 20;
/** Bytes that all sockets together may hold of frames which are not begun: unfinished ones, and those that wait. */
const MAX_HELD = 128 << 20;
/** A socket that holds less than this of them is not counted: the number of sockets is bounded too. */
const LITTLE = 4096;
/** How long a frame may take to arrive. */
const FRAME_MS = 30_000;
/** Frames of one socket that are not done; what comes after them is left with the peer. */
const MAX_IN_HAND = 16;
/** Pings and pongs without a frame between them: so many, and the peer is not listened to for a moment; far more, and never again. */
const MANY_CONTROLS = 64;
const TOO_MANY_CONTROLS = 4000;
/** Pings of one socket that may be unanswered. */
const MAX_PINGS = 8;
/** How long a peer has to answer the ping behind `taken`. */
const TAKEN_MS = 20_000;
/** How often frames that were held back are looked at again. */
const HELD_MS = 50;
/** How long a closing socket may take to say goodbye. */
const CLOSE_MS = 5000;

/**
 * What every WebSocket of either direction is made with: no compression, and pings are answered here, when what came before them is done. `closeTimeout` is
 * missing in the library's types.
 */
export const WS_OPTIONS = { perMessageDeflate: false, autoPong: false, closeTimeout: CLOSE_MS };

/** What becomes of a frame, and what of sockets that say nothing. */
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

/**
 * Takes one frame. What it throws is only logged: whoever closes the socket does that before. It must not wait for `taken` of its own socket: the pong may stand
 * behind frames that are not read while it waits.
 */
export type TakeFrame = (frame: Uint8Array, socket: HeldSocket) => Promise<void>;

export interface Adopted {
  /** What carries it. */
  readonly raw: Duplex;
  readonly address: string;
  readonly take: TakeFrame;
  /** Frames that are begun before the one before them is done. */
  readonly atOnce?: number;
  readonly onClosed?: (socket: HeldSocket) => void;
}

/** WebSockets of either direction, kept. */
export interface Sockets {
  readonly size: number;
  /** Keeps a socket that is open from here on. */
  adopt(ws: WebSocket, how: Adopted): HeldSocket;
  /** Tells all that it goes away: who has nothing in hand at once, the others when they are done, nobody later than `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** A frame in hand or waiting, or a ping that is answered when all before it are done. */
interface Item {
  readonly body?: Uint8Array;
  ping?: Buffer;
  state: 'waiting' | 'begun' | 'done';
}

/** Somebody who wants to know whether what was sent before a ping was taken. */
interface Waiter {
  readonly ping: number;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (taken: boolean) => void;
}

/** What all sockets of one keeper share. */
interface Keeper {
  readonly takenMs: number;
  /** A socket was closed from this side: what waits of it is not accepted. */
  refuse(socket: HeldSocket): void;
}

/** Ids tell a socket from those of other processes, too. */
const NAME = randomBytes(6).toString('base64url');
let count = 0;

/** One socket. A class, so that ten thousand idle ones share their functions; lists exist only while something is in them. */
export class HeldSocket implements Socket {
  readonly id = `${NAME}-${++count}`;
  readonly address: string;
  readonly atOnce: number;
  /** How often its peer sent what is no envelope. */
  garbage = 0;
  /** Somebody with a connection has sent something on it. */
  known = false;
  /** By which code its peer closed it. */
  closeCode: number | undefined;
  readonly ws: WebSocket;
  readonly raw: Duplex;
  corked = false;
  readonly take: TakeFrame;
  readonly keeper: Keeper;
  readonly onClosed: ((socket: HeldSocket) => void) | undefined;
  slot: Set<HeldSocket> | undefined;
  line: Item[] | undefined;
  /** Frames that wait or are begun. */
  pending = 0;
  begun = 0;
  /** Bytes of frames that wait, and of the one that is not complete. */
  waiting = 0;
  unfinished = 0;
  /** Bytes that came after it was closed from this side. */
  unheard = 0;
  controls = 0;
  owed: Buffer | undefined;
  paused = false;
  held = false;
  closed = false;
  /** Pings that were sent, by number, and the last one that was answered; `due` when one more is wanted. */
  pings = 0;
  answered = 0;
  due = false;
  waiters: Waiter[] | undefined;
  listeners: (() => void)[] | undefined;

  constructor(ws: WebSocket, keeper: Keeper, { raw, take, address, atOnce = MAX_IN_HAND, onClosed }: Adopted) {
    this.ws = ws;
    this.raw = raw;
    this.keeper = keeper;
    this.take = take;
    this.address = address;
    this.atOnce = atOnce;
    this.onClosed = onClosed;
  }

  get open(): boolean {
    return !this.closed && this.ws.readyState === this.ws.OPEN;
  }

  get buffered(): number {
    return this.ws.bufferedAmount;
  }

  /** Nothing of it is in hand, and nobody waits for its peer. */
  get idle(): boolean {
    return this.line === undefined && this.waiters === undefined;
  }

  send(frame: string): void {
    if (!this.open) return;
    if (this.ws.bufferedAmount > MAX_BUFFERED) this.close(1013, 'too slow');
    else {
      this.gather();
      this.ws.send(frame);
    }
  }

  /** What is sent in one turn is written at once: a frame and the ping behind it, say. */
  gather(): void {
    if (this.corked) return;
    this.corked = true;
    this.raw.cork();
    process.nextTick(() => {
      this.corked = false;
      this.raw.uncork();
    });
  }

  taken(): Promise<boolean> {
    if (!this.open) return Promise.resolve(false);
    return new Promise((resolve) => {
      // whichever ping goes out next stands behind all that was sent before
      const ping = this.pings + 1;
      const waiter: Waiter = { ping, resolve, timer: setTimeout(() => this.settle((one) => one === waiter, false), this.keeper.takenMs) };
      this.waiters ??= [];
      this.waiters.push(waiter);
      if (this.due) return;
      this.due = true;
      setImmediate(() => this.ask());
    });
  }

  /** One ping for all who wait. A peer that was sent many pings at once may take them for an attack: Node's own library does, at 60. */
  ask(): void {
    if (!this.due || !this.open || this.pings - this.answered >= MAX_PINGS) return;
    this.due = false;
    this.ws.ping(String(++this.pings));
  }

  close(code: number, reason: string): void {
    if (this.closed) return;
    this.ws.close(code, reason);
    this.end();
    this.keeper.refuse(this);
  }

  /** Ends it without a word: it would not be heard, or its place or memory is needed now. */
  terminate(): void {
    this.ws.terminate();
    this.end();
    this.keeper.refuse(this);
  }

  onClose(listener: () => void): void {
    if (this.open) {
      this.listeners ??= [];
      this.listeners.push(listener);
    } else listener();
  }

  /** A pong: a peer may answer only the last of several pings, and pongs come in order. @returns whether it answers a ping of ours */
  ponged(data: Buffer): boolean {
    const text = data.length > 0 && data.length <= 16 ? data.toString('latin1') : '';
    const upTo = /^\d+$/.test(text) ? Number(text) : 0;
    if (upTo <= this.answered || upTo > this.pings) return false;
    this.answered = upTo;
    this.settle((waiter) => waiter.ping <= upTo, true);
    this.ask();
    return true;
  }

  settle(which: (waiter: Waiter) => boolean, taken: boolean): void {
    const { waiters } = this;
    if (waiters === undefined) return;
    const rest = waiters.filter((waiter) => !which(waiter));
    this.waiters = rest.length > 0 ? rest : undefined;
    for (const waiter of waiters) {
      if (!which(waiter)) continue;
      clearTimeout(waiter.timer);
      waiter.resolve(taken);
    }
  }

  /** It takes nothing and says nothing any more; what it had begun goes on. */
  end(): void {
    if (this.closed) return;
    this.closed = true;
    this.settle(() => true, false);
    const { listeners } = this;
    this.listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }
}

const bytesOf = (data: RawData): Uint8Array =>
  Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : new Uint8Array(data);

/** Bytes that the library keeps of a frame which is not complete. It does not tell: a test notices when it calls them otherwise. */
function unfinishedOf(ws: WebSocket): number {
  const { _bufferedBytes: frame, _messageLength: fragments } = (ws as unknown as { _receiver: Record<string, number> })._receiver;
  return frame! + fragments!;
}

/**
 * Keeps WebSockets: takes their frames in order, a bounded number at once, answers a ping when all that came before it is done, and pings by itself. All timers
 * are shared by all sockets, so that an idle one costs its place in memory and a ping now and then.
 */
export function keepSockets(options: SocketsOptions): Sockets {
  const { heartbeatMs, timeoutMs, takenMs = TAKEN_MS, frameMs = FRAME_MS, maxHeld = MAX_HELD, log } = options;
  const all = new Map<WebSocket, HeldSocket>();
  const beats = heartbeatMs > 0;
  const tickMs = Math.max(20, Math.min(1000, frameMs / 4, ...(beats ? [heartbeatMs / 4, timeoutMs / 4] : [])));
  /** Sockets by the tick at which they are pinged. */
  const slots: Set<HeldSocket>[] = Array.from({ length: Math.max(1, Math.round(heartbeatMs / tickMs)) }, () => new Set());
  /** Those who were pinged and have said nothing since, the first one first, and what they had not read then. */
  const silent = new Map<HeldSocket, { readonly since: number; readonly buffered: number }>();
  /** Those whose next frame was not let in yet. */
  const held = new Set<HeldSocket>();
  /** Those who keep more than a little in memory, the one whose last whole frame is the longest ago first. */
  const large = new Map<HeldSocket, number>();
  /** Whose pings are answered in a moment: only the last of many needs an answer (RFC 6455 section 5.5.3). */
  const owing = new Set<HeldSocket>();
  let heldBytes = 0;
  /** Frames that wait or are begun, of sockets that are closed too. */
  let pending = 0;
  let tick = 0;
  let next = 0;
  let closing = false;
  let late = false;
  let emptied: (() => void) | undefined;

  const ticking = setInterval(() => {
    const now = performance.now();
    for (const [socket, since] of large) {
      if (now - since < frameMs) break;
      large.delete(socket);
      // frames that wait are this side's fault
      if (socket.unfinished > LITTLE) socket.terminate();
      else large.set(socket, now);
    }
    if (!beats) return;
    for (const [socket, { since, buffered }] of silent) {
      if (now - since < timeoutMs) break;
      silent.delete(socket);
      // it was this side that did not listen
      if (socket.paused) continue;
      // it still reads what lies before the ping
      if (socket.buffered > 0 && socket.buffered !== buffered) silent.set(socket, { since: now, buffered: socket.buffered });
      else socket.terminate();
    }
    tick = (tick + 1) % slots.length;
    for (const socket of slots[tick]!) {
      if (!socket.open || socket.paused || silent.has(socket)) continue;
      silent.set(socket, { since: now, buffered: socket.buffered });
      socket.ws.ping(String(++socket.pings));
    }
  }, tickMs);
  ticking.unref();
  let holding: NodeJS.Timeout | undefined;

  function hold(socket: HeldSocket): void {
    if (socket.held) return;
    socket.held = true;
    held.add(socket);
    holding ??= setInterval(() => {
      for (const one of [...held]) {
        held.delete(one);
        one.held = false;
        one.controls = 0;
        advance(one);
      }
      if (held.size > 0) return;
      clearInterval(holding);
      holding = undefined;
    }, HELD_MS);
  }

  /** Counts what a socket keeps in memory, and ends whoever has gone on the longest where that is too much. */
  function weigh(socket: HeldSocket, more: number): void {
    heldBytes += more;
    if (socket.unfinished + socket.waiting <= LITTLE) large.delete(socket);
    else if (!large.has(socket)) large.set(socket, performance.now());
    if (more <= 0) return;
    for (const one of large.keys()) {
      if (heldBytes <= maxHeld) break;
      log.warn({ address: one.address }, 'a WebSocket was ended: unfinished frames hold too much memory');
      one.terminate();
    }
  }

  const keeper: Keeper = {
    takenMs,
    refuse(socket) {
      const { line } = socket;
      for (const item of line ?? []) {
        if (item.state !== 'waiting' || item.body === undefined) continue;
        item.state = 'done';
        finish(socket);
      }
      if (!line?.some(({ state }) => state === 'begun')) socket.line = undefined;
      const bytes = socket.waiting + socket.unfinished;
      socket.waiting = 0;
      socket.unfinished = 0;
      weigh(socket, -bytes);
      // its goodbye is still heard
      if (socket.paused) socket.ws.resume();
    },
  };

  function finish(socket: HeldSocket): void {
    socket.pending--;
    pending--;
    if (pending === 0 && all.size === 0) emptied?.();
  }

  /** Begins what may be begun, answers pings whose turn it is, and listens to the peer or does not. */
  function advance(socket: HeldSocket): void {
    const { line } = socket;
    if (line !== undefined) {
      for (const item of line) {
        if (item.state !== 'waiting' || item.body === undefined) continue;
        if (socket.begun >= socket.atOnce) break;
        // a later one does not pass one that is held back
        if (options.mayBegin && !options.mayBegin(socket.address)) {
          hold(socket);
          break;
        }
        begin(socket, item, item.body);
      }
      let done = 0;
      for (; done < line.length; done++) {
        const item = line[done]!;
        if (item.ping) owe(socket, item.ping);
        else if (item.state !== 'done') break;
      }
      line.splice(0, done);
      if (line.length === 0) {
        socket.line = undefined;
        if (closing) leave(socket);
      }
    }
    if (closing || socket.closed) return;
    const full = socket.held || socket.pending >= MAX_IN_HAND;
    if (full === socket.paused) return;
    socket.paused = full;
    if (full) socket.ws.pause();
    else socket.ws.resume();
  }

  function begin(socket: HeldSocket, item: Item, body: Uint8Array): void {
    item.state = 'begun';
    socket.begun++;
    socket.waiting -= body.length;
    weigh(socket, -body.length);
    void socket
      .take(body, socket)
      .catch((error: unknown) => log.error({ err: error }, 'a frame could not be handled'))
      .finally(() => {
        item.state = 'done';
        socket.begun--;
        finish(socket);
        advance(socket);
      });
  }

  function owe(socket: HeldSocket, ping: Buffer): void {
    socket.owed = ping;
    if (owing.size === 0) setImmediate(answerPings);
    owing.add(socket);
  }

  function answerPings(): void {
    const now = [...owing];
    owing.clear();
    for (const socket of now) {
      const { owed } = socket;
      socket.owed = undefined;
      if (owed === undefined || !socket.open) continue;
      if (socket.buffered > MAX_BUFFERED) socket.close(1013, 'too slow');
      else socket.ws.pong(owed);
      if (closing) leave(socket);
    }
  }

  /** A ping or a pong that nobody waited for. */
  function control(socket: HeldSocket): void {
    if (++socket.controls > TOO_MANY_CONTROLS) socket.terminate();
    else if (socket.controls > MANY_CONTROLS && !socket.held) {
      hold(socket);
      advance(socket);
    }
  }

  function leave(socket: HeldSocket): void {
    if (socket.idle && socket.owed === undefined) socket.close(1001, 'going away');
  }

  // shared by all sockets: `this` is the one that it is about
  function onMessage(this: WebSocket, data: RawData): void {
    const socket = all.get(this);
    // after the goodbye nothing is accepted: no ping behind it is answered, and the peer sends it elsewhere
    if (!socket || socket.closed || closing) return;
    const body = bytesOf(data);
    socket.controls = 0;
    socket.line ??= [];
    socket.line.push({ body, state: 'waiting' });
    socket.pending++;
    pending++;
    socket.waiting += body.length;
    // the time of the next frame counts from here
    large.delete(socket);
    weigh(socket, body.length);
    if (!socket.held) advance(socket);
  }
  function onPing(this: WebSocket, data: Buffer): void {
    const socket = all.get(this);
    if (!socket || socket.closed || closing) return;
    control(socket);
    const last = socket.line?.at(-1);
    if (last === undefined) owe(socket, data);
    else if (last.ping) last.ping = data;
    else socket.line!.push({ ping: data, state: 'waiting' });
  }
  function onPong(this: WebSocket, data: Buffer): void {
    const socket = all.get(this);
    if (!socket || socket.closed) return;
    if (!socket.ponged(data)) control(socket);
    if (closing && !socket.closed) leave(socket);
  }
  function onClosed(this: WebSocket, code: number): void {
    const socket = all.get(this);
    if (!socket) return;
    all.delete(this);
    silent.delete(socket);
    socket.slot?.delete(socket);
    socket.closeCode ??= code;
    // what came whole before its goodbye was said: it is handled
    socket.end();
    const { unfinished } = socket;
    socket.unfinished = 0;
    weigh(socket, -unfinished);
    socket.onClosed?.(socket);
    if (all.size === 0 && (late || pending === 0)) emptied?.();
  }
  // the library closes the socket with the fitting code by itself
  function onError(): void {}

  return {
    get size() {
      return all.size;
    },
    adopt(ws, how) {
      const socket = new HeldSocket(ws, keeper, how);
      all.set(ws, socket);
      if (beats) {
        socket.slot = slots[next++ % slots.length]!;
        socket.slot.add(socket);
      }
      ws.on('message', onMessage);
      ws.on('ping', onPing);
      ws.on('pong', onPong);
      ws.on('close', onClosed);
      ws.on('error', onError);
      // behind the library's own listener: what it has not made frames of by then is unfinished
      how.raw.on('data', (chunk: Buffer) => {
        if (socket.closed) {
          // it was told, and goes on
          socket.unheard += chunk.length;
          if (socket.unheard > MAX_BUFFERED) ws.terminate();
          return;
        }
        silent.delete(socket);
        const bytes = unfinishedOf(ws);
        const more = bytes - socket.unfinished;
        socket.unfinished = bytes;
        if (more !== 0) weigh(socket, more);
      });
      if (ws.readyState > ws.OPEN) queueMicrotask(() => onClosed.call(ws, 1006));
      return socket;
    },
    async close(graceMs) {
      closing = true;
      const empty = new Promise<void>((resolve) => {
        emptied = resolve;
      });
      for (const socket of [...all.values()]) {
        // what it says from here on is for its next socket; its pongs and its goodbye are still heard
        if (socket.paused) socket.ws.resume();
        leave(socket);
      }
      if (all.size > 0 || pending > 0) {
        const timer = setTimeout(() => {
          late = true;
          for (const socket of [...all.values()]) socket.terminate();
          if (all.size === 0) emptied?.();
        }, graceMs);
        await empty;
        clearTimeout(timer);
      }
      clearInterval(ticking);
      clearInterval(holding);
    },
  };
}
