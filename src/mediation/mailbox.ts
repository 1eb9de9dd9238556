import type { SessionMode } from '../kernel/effects.ts';
import type { LoadedRecord } from '../kernel/record.ts';
import type { Socket } from '../ports/transport.ts';
import { DeliveryWindow } from './delivery-window.ts';

/** One socket of one mailbox. A class, so that ten thousand idle ones share their functions. */
export class DeliverySession {
  readonly socket: Socket;
  readonly mailbox: Mailbox;
  readonly window = new DeliveryWindow();
  mode: SessionMode = 'route';
  pinging = false;
  /** The connection as it was at the peer's last message, for a while. */
  peer: { readonly connection: LoadedRecord; readonly until: number } | undefined;

  constructor(mailbox: Mailbox, socket: Socket) {
    this.mailbox = mailbox;
    this.socket = socket;
  }
}

/** The sessions and open requests of one peer. */
export interface Mailbox {
  readonly tenant: string;
  /** The id of the connection. */
  readonly id: string;
  /** The newest last. */
  readonly sessions: DeliverySession[];
  /** A read is under way, or ordered; `again`: a message has come since it began. */
  reading: boolean;
  again: boolean;
  /** In flight as the answer to a request, by id, and until when. */
  inFlight?: Map<string, number>;
  /** Requests that wait for a message. */
  waiting?: Set<() => void>;
}

/** The session that delivers: the newest that has all mail, else the newest for the agent's own messages. */
export function activeSession({ sessions }: Mailbox): DeliverySession | undefined {
  let own: DeliverySession | undefined;
  for (let i = sessions.length - 1; i >= 0; i--) {
    const session = sessions[i]!;
    if (!session.socket.open) continue;
    if (session.mode !== 'route') return session;
    own ??= session;
  }
  return own;
}
