import type { JsonObject } from '../ports/json.ts';
import type { Socket } from '../ports/transport.ts';
import type { SessionMode } from './effects.ts';
import type { LoadedRecord } from './record.ts';

/** The two ends of receiving an envelope: the connection that it came on, and its answer. */

/** The connection that an envelope came on. */
export interface InboundSession {
  /** One reply can go back on it. */
  readonly canReply: boolean;
  /** A connection that stays open: mail of the peer's mailbox may go on it. */
  readonly socket?: Socket;
  /**
   * We opened it, to the peer of this connection: answers to it go back without being asked for. What it hands over of others is answered elsewhere, whatever
   * they ask for: they are not at the other end.
   */
  readonly outbound?: { readonly tenant: string; readonly connection: string };
  /** The delivery session that it already is for a peer's mailbox. */
  readonly open?: (tenant: string, mailbox: string) => OpenSession | undefined;
  /** The envelope comes from where mail for locked wallets is deferred. */
  readonly kept?: boolean;
  /** How many forward messages it was in. */
  readonly depth?: number;
}

/**
 * The answer to an envelope. `refused` is the same for every reason that a stranger could probe; `reply` goes back on the connection, and `sent` is called
 * when it arrived.
 */
export interface Received {
  readonly refused?: string;
  readonly reply?: string;
  readonly sent?: () => Promise<void>;
  /** The connection whose mail may go back the same way, with its tenant. */
  readonly session?: MailSession;
  /** Messages of the mailbox that the peer has acknowledged, and those that are in the reply. */
  readonly acknowledged?: MailIds;
  readonly inFlight?: MailIds;
  /** The same as `acknowledged`, but nothing is written yet. */
  readonly acknowledging?: MailIds;
  /** The message, where its sender is the peer of a connection. */
  readonly message?: ReceivedMessage;
}

/** A message of a connection's peer. */
export interface ReceivedMessage {
  readonly tenant: string;
  readonly connection: string;
  readonly type: string;
  readonly thid: string;
  readonly body: JsonObject;
}

/** Some of the mail of a peer. */
export interface MailIds {
  readonly tenant: string;
  readonly mailbox: string;
  readonly ids: readonly string[];
}

/** The mailbox whose mail may go on the connection that a message came on. */
export interface MailSession {
  readonly tenant: string;
  readonly connection: string;
  /** How, where the message asked for something else than before. */
  readonly mode?: SessionMode;
  /** Work follows that may have an answer: it is worth waiting for a moment. */
  readonly expects: boolean;
}

/** How a peer's mail goes on a socket: `sent` is what was not acknowledged yet. */
export interface OpenSession {
  readonly mode: SessionMode;
  readonly sent: readonly string[];
  /** The connection as it was a moment ago, where that is known. */
  readonly connection?: LoadedRecord;
}
