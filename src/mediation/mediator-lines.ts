import { AppError } from '../errors.ts';
import type { DeliveryResult, Socket } from '../ports/transport.ts';

/** The line of one connection with a mediator of ours: a WebSocket on which its mail comes, while that is open. */
export interface Line {
  readonly socket: Socket | undefined;
  /** A message went to the mediator on another way. */
  elsewhere(): void;
}

/**
 * Lines to mediators. A message to a mediator goes to the source of its mail: Credo's knows one WebSocket of a connection, the one of the last message,
 * and takes a message on another one for a client that has moved there and is no more in live mode.
 */
export interface Lines {
  /** @returns what ends it */
  keep(tenant: string, connection: string, line: Line): () => void;
  /**
   * Delivers on the line of a connection, where it has one.
   * @param otherwise delivers as to everybody else
   * @throws AppError `delivery-failed`, and what `otherwise` throws
   */
  deliver(tenant: string, connection: string, envelope: string, otherwise: () => Promise<DeliveryResult>): Promise<DeliveryResult>;
}

export function createLines(): Lines {
  const lines = new Map<string, Line>();
  return {
    keep(tenant, connection, line) {
      const name = `${tenant} ${connection}`;
      lines.set(name, line);
      return () => {
        if (lines.get(name) === line) lines.delete(name);
      };
    },
    async deliver(tenant, connection, envelope, otherwise) {
      const line = lines.get(`${tenant} ${connection}`);
      if (!line) return await otherwise();
      const { socket } = line;
      if (socket?.open) {
        socket.send(envelope);
        if (await socket.acknowledged()) return { status: 202 };
        if (socket.open) throw new AppError('delivery-failed', 'the mediator did not answer a ping in time');
        if (socket.closeCode === 1009) return { status: 413 };
      }
      try {
        return await otherwise();
      } finally {
        line.elsewhere();
      }
    },
  };
}
