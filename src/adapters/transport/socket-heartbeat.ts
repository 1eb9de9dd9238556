import type { HeldSocket } from './held-socket.ts';

/** Pings sockets by turns, and ends those that do not answer. */
export interface Heartbeat {
  add(socket: HeldSocket): void;
  remove(socket: HeldSocket): void;
  /** Bytes came from a socket: it is alive. */
  received(socket: HeldSocket): void;
  /** Called every `tickMs`. */
  tick(now: number): void;
}

/**
 * @param heartbeatMs the interval of pings to one socket; 0 for none
 * @param timeoutMs how long the pong may take
 */
export function createHeartbeat(heartbeatMs: number, timeoutMs: number, tickMs: number): Heartbeat {
  if (heartbeatMs <= 0) return { add() {}, remove() {}, received() {}, tick() {} };
  /** Sockets by the tick at which they are pinged. */
  const slots: Set<HeldSocket>[] = Array.from({ length: Math.max(1, Math.round(heartbeatMs / tickMs)) }, () => new Set());
  /** Sockets without a byte since their ping, the first one first, and what they had not read then. */
  const silent = new Map<HeldSocket, { readonly since: number; readonly buffered: number }>();
  let current = 0;
  let next = 0;
  return {
    add(socket) {
      socket.slot = slots[next++ % slots.length]!;
      socket.slot.add(socket);
    },
    remove(socket) {
      silent.delete(socket);
      socket.slot?.delete(socket);
    },
    received(socket) {
      silent.delete(socket);
    },
    tick(now) {
      for (const [socket, { since, buffered }] of silent) {
        if (now - since < timeoutMs) break;
        silent.delete(socket);
        // this side did not read
        if (socket.paused) continue;
        // the peer still reads what lies before the ping
        if (socket.buffered > 0 && socket.buffered !== buffered) silent.set(socket, { since: now, buffered: socket.buffered });
        else socket.terminate();
      }
      current = (current + 1) % slots.length;
      for (const socket of slots[current]!) {
        if (!socket.open || socket.paused || silent.has(socket)) continue;
        silent.set(socket, { since: now, buffered: socket.buffered });
        socket.ws.ping(String(++socket.pings));
      }
    },
  };
}
