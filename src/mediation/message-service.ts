import type { Engine } from '../kernel/engine.ts';
import type { Socket } from '../ports/transport.ts';
import type { DeliverySessions } from './delivery-sessions.ts';

/** An answer to an envelope, as a transport gives it. */
export interface EnvelopeAnswer {
  readonly status: number;
  /** The reply on the connection. */
  readonly reply?: string;
  /** Called when the reply has arrived. */
  readonly sent?: () => Promise<void>;
  /** Its sender is the peer of a connection. */
  readonly known?: boolean;
}

/** Receives envelopes from every transport, and gives peers their queued messages on the same connections. */
export interface MessageService {
  receive(body: Uint8Array, socket?: Socket): Promise<EnvelopeAnswer>;
}

/** @param closing whether the agent takes nothing new: sockets finish what they had, requests are answered 503 */
export function createMessageService(engine: Engine, sessions: DeliverySessions, closing: () => boolean): MessageService {
  return {
    async receive(body, socket) {
      if (closing() && !socket) return { status: 503 };
      const { refused, reply, sent, session, acknowledged, inFlight, acknowledging } = await engine.receive(body, {
        canReply: true,
        socket,
        open: socket && ((tenant, mailbox) => sessions.open(socket, tenant, mailbox)),
      });
      if (refused === 'envelope') return { status: 400 };
      const known = session !== undefined;
      if (acknowledging) await sessions.acknowledge(acknowledging);
      if (acknowledged) sessions.acknowledged(acknowledged);
      if (socket && session) sessions.attach(session, socket);
      if (socket && inFlight) sessions.inFlight(inFlight, socket);
      if (reply !== undefined) return { status: 200, reply, sent, known };
      const mail = session && !socket ? await sessions.forRequest(session) : undefined;
      return mail ? { status: 200, ...mail } : { status: 202, known };
    },
  };
}
