import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Socket } from '../../ports/transport.ts';

/** Bytes that may wait for a peer which does not read them; more, and it is taken for one that never will. */
export const MAX_BUFFERED = 4 << 20;
/** Frames of one socket that are not done; what comes after them is left with the peer. */
export const MAX_IN_HAND = 16;
/** Pings of one socket that may be unanswered. */
const MAX_PINGS = 8;
/** How long a closing socket may take for its closing handshake. */
const CLOSE_MS = 5000;

/**
 * The options of every WebSocket of either direction: no compression, and pings are answered here, when what came before them is done. `closeTimeout` is
 * missing in the library's types.
 */
export const WS_OPTIONS = { perMessageDeflate: false, autoPong: false, closeTimeout: CLOSE_MS };

/**
 * Takes one frame. An error is only logged: the socket is closed before, where it must be. It must not wait for `acknowledged` of its own socket: the pong may stand
 * behind frames that are not read while it waits.
 */
export type TakeFrame = (frame: Uint8Array, socket: HeldSocket) => Promise<void>;

export interface Adopted {
  /** The socket that carries it. */
  readonly raw: Duplex;
  readonly address: string;
  readonly take: TakeFrame;
  /** Frames that are begun before the one before them is done. */
  readonly atOnce?: number;
  readonly onClosed?: (socket: HeldSocket) => void;
}

/** A frame in hand or waiting, or a ping that is answered when all before it are done. */
export interface Item {
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

/** The common state of all sockets of one keeper. */
export interface Keeper {
  readonly takenMs: number;
  /** A socket was closed from this side: what waits of it is not accepted. */
  refuse(socket: HeldSocket): void;
}

/** Ids are unique over processes, too. */
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
  ignored = 0;
  controls = 0;
  /** The pong that is scheduled. */
  pong: Buffer | undefined;
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

  /** Frames of one turn of the event loop are written at once, with the ping behind them. */
  gather(): void {
    if (this.corked) return;
    this.corked = true;
    this.raw.cork();
    setImmediate(() => {
      this.ask();
      this.corked = false;
      this.raw.uncork();
    });
  }

  acknowledged(): Promise<boolean> {
    if (!this.open) return Promise.resolve(false);
    return new Promise((resolve) => {
      // whichever ping goes out next stands behind all that was sent before
      const ping = this.pings + 1;
      const waiter: Waiter = { ping, resolve, timer: setTimeout(() => this.settle((one) => one === waiter, false), this.keeper.takenMs) };
      this.waiters ??= [];
      this.waiters.push(waiter);
      this.due = true;
      this.gather();
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

  /** Ends it without a closing frame: that would not arrive, or its place or memory is needed now. */
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

  /** It takes and emits nothing any more; what it had begun goes on. */
  end(): void {
    if (this.closed) return;
    this.closed = true;
    this.settle(() => true, false);
    const { listeners } = this;
    this.listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }
}
