import type { RawData, WebSocket } from 'ws';
import type { Log } from '../ports/log.ts';
import type { Socket } from '../ports/transport.ts';

/** Bytes that may wait for a peer which does not read them; more, and it is taken for one that never will. */
export const MAX_BUFFERED = 4 << 20;
/** Frames of one socket that are in hand at once; what comes after them is left with the peer. */
const MAX_IN_HAND = 16;
/** How long a peer has to answer the ping behind `taken`. */
const TAKEN_MS = 20_000;
/** How often frames that were held back are looked at again. */
const HELD_MS = 50;
/** How long a closing socket may take to say goodbye. */
export const CLOSE_MS = 5000;

/** Sockets of either direction, counted, so that each has a name of its own in this process. */
let count = 0;

/** What becomes of a frame, and what of sockets that say nothing. */
export interface SocketsOptions {
  readonly log: Log;
  /** How often a socket is pinged, in ms; 0 for never. */
  readonly heartbeatMs: number;
  /** How long its pong may take. */
  readonly timeoutMs: number;
  readonly takenMs?: number;
  /** Whether one more frame of this address may be begun now; without it any may. */
  mayBegin?(address: string): boolean;
}

/** Takes one frame. What it throws is only logged: whoever closes the socket does that before. */
export type TakeFrame = (frame: Uint8Array, socket: HeldSocket) => Promise<void>;

/** WebSockets of either direction, kept. */
export interface Sockets {
  readonly size: number;
  /** Keeps a socket that is open from here on. */
  adopt(ws: WebSocket, take: TakeFrame, address: string, onClosed?: (socket: HeldSocket) => void): HeldSocket;
  /** Tells all that it goes away: who has nothing in hand at once, the others when they are done, nobody later than `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** A frame in hand or waiting, or a ping that is answered when all before it are done. */
interface Item {
  readonly body?: Uint8Array;
  ping?: Buffer;
  state: 'waiting' | 'begun' | 'done';
}

interface Waiter {
  readonly ping: number;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (taken: boolean) => void;
}

/** One socket. A class, so that ten thousand idle ones share their functions; lists exist only while something is in them. */
export class HeldSocket implements Socket {
  readonly id = `ws-${++count}`;
  readonly address: string;
  /** How often its peer sent what is no envelope. */
  garbage = 0;
  readonly ws: WebSocket;
  readonly take: TakeFrame;
  readonly takenMs: number;
  onClosed: ((socket: HeldSocket) => void) | undefined;
  line: Item[] | undefined;
  begun = 0;
  paused = false;
  held = false;
  closed = false;
  pings = 0;
  waiters: Waiter[] | undefined;
  listeners: (() => void)[] | undefined;

  constructor(ws: WebSocket, take: TakeFrame, address: string, takenMs: number) {
    this.ws = ws;
    this.take = take;
    this.address = address;
    this.takenMs = takenMs;
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
    else this.ws.send(frame);
  }

  taken(): Promise<boolean> {
    if (!this.open) return Promise.resolve(false);
    return new Promise((resolve) => {
      const ping = ++this.pings;
      const timer = setTimeout(() => this.settle((waiter) => waiter.ping === ping, false), this.takenMs);
      this.waiters ??= [];
      this.waiters.push({ ping, timer, resolve });
      this.ws.ping(String(ping));
    });
  }

  close(code: number, reason: string): void {
    this.ws.close(code, reason);
    this.end();
  }

  onClose(listener: () => void): void {
    if (!this.open) return listener();
    this.listeners ??= [];
    this.listeners.push(listener);
  }

  /** A pong: a peer may answer only the last of several pings, and pongs come in order. */
  ponged(data: Buffer): void {
    if (this.waiters === undefined || data.length === 0 || data.length > 16 || !/^\d+$/.test(data.toString('latin1'))) return;
    const upTo = Number(data.toString('latin1'));
    if (upTo <= this.pings) this.settle((waiter) => waiter.ping <= upTo, true);
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

/**
 * Keeps WebSockets: takes their frames in order, a bounded number at once, answers a ping when all that came before it is done, and pings by itself. All timers
 * are shared by all sockets, so that an idle one costs its place in memory and a ping now and then.
 */
export function keepSockets(options: SocketsOptions): Sockets {
  const { heartbeatMs, timeoutMs, takenMs = TAKEN_MS, log } = options;
  const all = new Map<WebSocket, HeldSocket>();
  /** Sockets by the tick at which they are pinged. */
  const tickMs = Math.max(20, Math.min(1000, heartbeatMs / 4, timeoutMs / 4));
  const slots: Set<HeldSocket>[] = Array.from({ length: Math.max(1, Math.round(heartbeatMs / tickMs)) }, () => new Set());
  /** Those who were pinged and have said nothing since, the first one first. */
  const silent = new Map<HeldSocket, number>();
  /** Those whose next frame was not let in yet. */
  const held = new Set<HeldSocket>();
  let tick = 0;
  let next = 0;
  let closing = false;
  let emptied = (): void => {};

  const beating =
    heartbeatMs > 0
      ? setInterval(() => {
          const now = performance.now();
          for (const [socket, since] of silent) {
            if (now - since < timeoutMs) break;
            silent.delete(socket);
            // it was this side that did not listen
            if (!socket.paused) socket.ws.terminate();
          }
          tick = (tick + 1) % slots.length;
          for (const socket of slots[tick]!) {
            if (!socket.open || socket.paused || silent.has(socket)) continue;
            silent.set(socket, now);
            socket.ws.ping(String(++socket.pings));
          }
        }, tickMs)
      : undefined;
  beating?.unref();
  let holding: NodeJS.Timeout | undefined;

  function hold(socket: HeldSocket): void {
    if (socket.held) return;
    socket.held = true;
    held.add(socket);
    holding ??= setInterval(() => {
      for (const one of [...held]) {
        held.delete(one);
        one.held = false;
        advance(one);
      }
      if (held.size > 0) return;
      clearInterval(holding);
      holding = undefined;
    }, HELD_MS);
  }

  function advance(socket: HeldSocket): void {
    const { line } = socket;
    if (line === undefined) return;
    for (const item of line) {
      if (item.state !== 'waiting' || item.body === undefined) continue;
      if (socket.begun >= MAX_IN_HAND) break;
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
      if (item.ping) socket.ws.pong(item.ping);
      else if (item.state !== 'done') break;
    }
    line.splice(0, done);
    if (line.length === 0) {
      socket.line = undefined;
      if (closing) leave(socket);
    }
    const full = socket.held || socket.begun >= MAX_IN_HAND;
    if (full !== socket.paused && !closing) {
      socket.paused = full;
      if (full) socket.ws.pause();
      else socket.ws.resume();
    }
  }

  function begin(socket: HeldSocket, item: Item, body: Uint8Array): void {
    item.state = 'begun';
    socket.begun++;
    void socket
      .take(body, socket)
      .catch((error: unknown) => log.error({ err: error }, 'a frame could not be handled'))
      .finally(() => {
        item.state = 'done';
        socket.begun--;
        advance(socket);
      });
  }

  function leave(socket: HeldSocket): void {
    if (socket.idle) socket.close(1001, 'going away');
  }

  // shared by all sockets: `this` is the one that it is about
  function onMessage(this: WebSocket, data: RawData): void {
    const socket = all.get(this);
    // after the goodbye nothing is accepted: no ping behind it is answered, and the peer sends it elsewhere
    if (!socket || socket.closed || closing) return;
    silent.delete(socket);
    socket.line ??= [];
    socket.line.push({ body: bytesOf(data), state: 'waiting' });
    if (!socket.held) advance(socket);
  }
  function onPing(this: WebSocket, data: Buffer): void {
    const socket = all.get(this);
    if (!socket || closing) return;
    silent.delete(socket);
    if (socket.line === undefined) {
      if (socket.open) this.pong(data);
      return;
    }
    // only the most recent ping needs an answer (RFC 6455 section 5.5.3)
    const last = socket.line.at(-1)!;
    if (last.ping) last.ping = data;
    else socket.line.push({ ping: data, state: 'waiting' });
  }
  function onPong(this: WebSocket, data: Buffer): void {
    const socket = all.get(this);
    if (!socket) return;
    silent.delete(socket);
    socket.ponged(data);
    if (closing && !socket.closed) leave(socket);
  }
  function onClosed(this: WebSocket): void {
    const socket = all.get(this);
    if (!socket) return;
    all.delete(this);
    silent.delete(socket);
    for (const slot of slots) slot.delete(socket);
    socket.end();
    socket.onClosed?.(socket);
    if (all.size === 0) emptied();
  }
  // the library closes the socket with the fitting code by itself
  function onError(): void {}

  return {
    get size() {
      return all.size;
    },
    adopt(ws, take, address, closed) {
      const socket = new HeldSocket(ws, take, address, takenMs);
      socket.onClosed = closed;
      all.set(ws, socket);
      if (heartbeatMs > 0) slots[next++ % slots.length]!.add(socket);
      ws.on('message', onMessage);
      ws.on('ping', onPing);
      ws.on('pong', onPong);
      ws.on('close', onClosed);
      ws.on('error', onError);
      if (ws.readyState > ws.OPEN) queueMicrotask(() => onClosed.call(ws));
      return socket;
    },
    async close(graceMs) {
      closing = true;
      const empty = new Promise<void>((resolve) => {
        emptied = resolve;
      });
      for (const socket of all.values()) {
        // what it says from here on is for its next socket; its pongs and its goodbye are still heard
        if (socket.paused) socket.ws.resume();
        leave(socket);
      }
      if (all.size > 0) {
        const timer = setTimeout(() => {
          for (const ws of all.keys()) ws.terminate();
        }, graceMs);
        await empty;
        clearTimeout(timer);
      }
      clearInterval(beating);
      clearInterval(holding);
    },
  };
}
