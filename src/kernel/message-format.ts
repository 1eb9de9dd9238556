import type { JsonObject } from '../ports/json.ts';
import type { KeyOwner, KeyWrite } from '../ports/store.ts';
import type { Outgoing } from './effects.ts';
import type { DeliverPayload } from './jobs.ts';
import type { Incoming, Protocol, StepContext } from './protocol.ts';
import type { LoadedRecord } from './record.ts';

/** A message that was opened, and the key or name that it was addressed to. */
export interface Opened {
  readonly owner: KeyOwner;
  readonly message: Incoming;
}

/** Why there is no message: `envelope` for bytes that are none, answered 400; every other reason looks like success to the sender. */
export interface Refusal {
  readonly refused: string;
  /** The tenant whose wallet is locked: the message is to be deferred. */
  readonly locked?: string;
}

/** A message that is not for this instance, though its outer seal is: the cloud agent that has the name in it is given its content. */
export interface PassedOn {
  readonly passOn: { readonly owner: KeyOwner; readonly inside: JsonObject };
}

/** A message to seal, and the step that sends it. */
export interface Sealing {
  readonly protocol: Protocol;
  readonly ctx: StepContext;
  readonly out: Outgoing;
  /** Keys that the same commit makes. */
  readonly fresh?: readonly KeyWrite[];
  /** The peer's connection as the commit leaves it. */
  readonly connection?: LoadedRecord;
  /** The step's record as the commit leaves it. */
  readonly bound?: LoadedRecord;
  /** The thread of the message or call that started the step. */
  readonly thid?: string;
}

/** A dropped message, for its format: the reason is the engine's, the detail that of the step. */
export interface Dropped {
  readonly owner: KeyOwner;
  readonly message: Incoming;
  readonly reason: string;
  readonly detail: string;
}

/** The traits of a message format that the engine depends on. */
export interface MessageTraits {
  /** It has DIDComm's messages without a record of their own: acks, problem reports, forwards, message pickup. */
  readonly didcomm: boolean;
  /** The webhook topic by which the tenant's controller learns of a problem, where the format has no problem report for the peer. */
  readonly problemTopic?: string;
  /** An answer to an invitation has the invitation's id as its thread. */
  readonly threadNamesInvitation: boolean;
  /** How long a message that comes again is known, in ms. */
  readonly replayWindow: number;
}

/**
 * One envelope and message form: from bytes to an addressed message, and back. The engine asks the formats of an agent in their order, and has no branch on any
 * of them. A new one is a file and a line in `messageFormats` of `builtin-protocols.ts`.
 */
export interface MessageFormat {
  readonly name: string;
  readonly traits: MessageTraits;
  /** @returns `not-mine` where the bytes are of another format */
  open(body: Uint8Array): Promise<Opened | PassedOn | Refusal | 'not-mine'>;
  /** The second half of opening, for what an agency has passed on. */
  openInside?(inside: JsonObject): Promise<Opened | Refusal>;
  /** Whether messages to the peer of this connection, or to one without a connection, have this format. */
  isFormatOf(connection: LoadedRecord | undefined): boolean;
  /**
   * A message as its delivery job holds it; undefined where the format leaves it out.
   * @throws AppError `bad-request` where the format has no such message, `wrong-state` where the peer has no keys yet
   */
  seal(sealing: Sealing): Promise<DeliverPayload | undefined>;
  /** Told of each message that came to nothing, where it was addressed to a tenant. */
  dropped?(dropped: Dropped): void;
  /** Writes what `dropped` has gathered. */
  flush?(): Promise<void>;
}

/** The payload of a webhook about a problem of which the peer gets no report. */
export const problemPayload = (connection: string, problem: { readonly code: string; readonly text: string }): JsonObject => ({
  connection_id: connection,
  reason: problem.code,
  text: problem.text,
});
