import type { Log } from '../../ports/log.ts';
import type { FrameMemory } from './frame-memory.ts';
import { type HeldSocket, type Item, MAX_BUFFERED, MAX_IN_HAND } from './held-socket.ts';

/** Pings and pongs without a frame between them: after so many, reading pauses; after far more, the socket is ended. */
const MANY_CONTROLS = 64;
const TOO_MANY_CONTROLS = 4000;
/** The interval at which frames that were held back are tried again. */
const HELD_MS = 50;

export interface FrameQueueOptions {
  readonly log: Log;
  readonly memory: FrameMemory;
  /** Whether one more frame of this address may be begun now; without it any may. */
  mayBegin?(address: string): boolean;
  /** A frame is done, or refused. */
  readonly finished: () => void;
  /** All frames of a socket are done, or its pong is sent. */
  readonly rested: (socket: HeldSocket) => void;
  /** While it is true, reading is neither paused nor resumed. */
  readonly isClosing: () => boolean;
}

/** The frames of all sockets: each socket's in order, a bounded number at once; reading pauses where more would come. */
export interface FrameQueue {
  /** Frames that wait or are begun, of closed sockets too. */
  readonly pending: number;
  /** A frame came. */
  add(socket: HeldSocket, body: Uint8Array): void;
  /** A ping came: its pong follows all frames before it. */
  addPing(socket: HeldSocket, data: Buffer): void;
  /** A ping, or a pong without a ping of ours, came. */
  addControl(socket: HeldSocket): void;
  /** A socket was closed from this side: what waits of it is not begun. */
  refuse(socket: HeldSocket): void;
  stop(): void;
}

export function createFrameQueue({ log, memory, mayBegin, finished, rested, isClosing }: FrameQueueOptions): FrameQueue {
  const schedulePong = createPongs(rested);
  const { hold, stop } = createHolding(advance);
  let pending = 0;

  function finish(socket: HeldSocket): void {
    socket.pending--;
    pending--;
    finished();
  }

  /** Begins the frames that may begin, schedules pongs whose turn it is, and pauses or resumes reading. */
  function advance(socket: HeldSocket): void {
    if (socket.line !== undefined) {
      beginAll(socket, socket.line);
      dropDone(socket, socket.line);
    }
    if (isClosing() || socket.closed) return;
    const full = socket.held || socket.pending >= MAX_IN_HAND;
    if (full === socket.paused) return;
    socket.paused = full;
    if (full) socket.ws.pause();
    else socket.ws.resume();
  }

  function beginAll(socket: HeldSocket, line: readonly Item[]): void {
    for (const item of line) {
      if (item.state !== 'waiting' || item.body === undefined) continue;
      if (socket.begun >= socket.atOnce) break;
      // a later one does not pass one that is held back
      if (mayBegin && !mayBegin(socket.address)) {
        hold(socket);
        break;
      }
      begin(socket, item, item.body);
    }
  }

  function dropDone(socket: HeldSocket, line: Item[]): void {
    let done = 0;
    for (; done < line.length; done++) {
      const item = line[done]!;
      if (item.ping) schedulePong(socket, item.ping);
      else if (item.state !== 'done') break;
    }
    line.splice(0, done);
    if (line.length > 0) return;
    socket.line = undefined;
    rested(socket);
  }

  function begin(socket: HeldSocket, item: Item, body: Uint8Array): void {
    item.state = 'begun';
    socket.begun++;
    socket.waiting -= body.length;
    memory.account(socket, -body.length);
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

  function addControl(socket: HeldSocket): void {
    if (++socket.controls > TOO_MANY_CONTROLS) socket.terminate();
    else if (socket.controls > MANY_CONTROLS && !socket.held) {
      hold(socket);
      advance(socket);
    }
  }

  return {
    get pending() {
      return pending;
    },
    add(socket, body) {
      socket.controls = 0;
      socket.line ??= [];
      socket.line.push({ body, state: 'waiting' });
      socket.pending++;
      pending++;
      socket.waiting += body.length;
      memory.frameEnded(socket);
      memory.account(socket, body.length);
      if (!socket.held) advance(socket);
    },
    addPing(socket, data) {
      addControl(socket);
      const last = socket.line?.at(-1);
      if (last === undefined) schedulePong(socket, data);
      else if (last.ping) last.ping = data;
      else socket.line!.push({ ping: data, state: 'waiting' });
    },
    addControl,
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
      memory.account(socket, -bytes);
      // its closing handshake is still read
      if (socket.paused) socket.ws.resume();
    },
    stop,
  };
}

/** Answers pings, once a turn for each socket: only the last of many pings needs an answer (RFC 6455 section 5.5.3). */
function createPongs(rested: (socket: HeldSocket) => void): (socket: HeldSocket, ping: Buffer) => void {
  const ponging = new Set<HeldSocket>();

  function sendPongs(): void {
    const now = [...ponging];
    ponging.clear();
    for (const socket of now) {
      const { pong } = socket;
      socket.pong = undefined;
      if (pong === undefined || !socket.open) continue;
      if (socket.buffered > MAX_BUFFERED) socket.close(1013, 'too slow');
      else socket.ws.pong(pong);
      rested(socket);
    }
  }

  return (socket, ping) => {
    socket.pong = ping;
    if (ponging.size === 0) setImmediate(sendPongs);
    ponging.add(socket);
  };
}

/** Sockets whose next frame is held back; all of them are tried again every `HELD_MS`. */
function createHolding(advance: (socket: HeldSocket) => void): { hold(socket: HeldSocket): void; stop(): void } {
  const held = new Set<HeldSocket>();
  let timer: NodeJS.Timeout | undefined;
  return {
    hold(socket) {
      if (socket.held) return;
      socket.held = true;
      held.add(socket);
      timer ??= setInterval(() => {
        for (const one of [...held]) {
          held.delete(one);
          one.held = false;
          one.controls = 0;
          advance(one);
        }
        if (held.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      }, HELD_MS);
    },
    stop: () => clearInterval(timer),
  };
}
