import type { Log } from '../../ports/log.ts';
import type { HeldSocket } from './held-socket.ts';

/** A socket that holds less than this is not counted: the number of sockets is bounded too. */
const LITTLE = 4096;

/** Bounds the memory of frames that are not begun: unfinished ones, and those that wait. */
export interface FrameMemory {
  /** The memory of a socket grew or shrank, after its own fields did. Above the bound the socket with the oldest frame is ended. */
  account(socket: HeldSocket, bytes: number): void;
  /** A frame is whole: the time of the next one counts from here. */
  frameEnded(socket: HeldSocket): void;
  /** Ends sockets whose frame takes too long. */
  tick(now: number): void;
}

/**
 * @param maxBytes of all sockets together
 * @param frameMs how long a frame may take to arrive
 */
export function createFrameMemory(maxBytes: number, frameMs: number, log: Log): FrameMemory {
  /** Sockets with more than a little, the one whose last whole frame is the longest ago first. */
  const large = new Map<HeldSocket, number>();
  let total = 0;
  return {
    account(socket, bytes) {
      total += bytes;
      if (socket.unfinished + socket.waiting <= LITTLE) large.delete(socket);
      else if (!large.has(socket)) large.set(socket, performance.now());
      if (bytes <= 0) return;
      for (const one of large.keys()) {
        if (total <= maxBytes) break;
        log.warn({ address: one.address }, 'a WebSocket was ended: unfinished frames hold too much memory');
        one.terminate();
      }
    },
    frameEnded(socket) {
      large.delete(socket);
    },
    tick(now) {
      for (const [socket, since] of large) {
        if (now - since < frameMs) break;
        large.delete(socket);
        // frames that wait are this side's fault
        if (socket.unfinished > LITTLE) socket.terminate();
        else large.set(socket, now);
      }
    },
  };
}
