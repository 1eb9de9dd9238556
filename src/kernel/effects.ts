import type { Attachment } from '../didcomm/attachments.ts';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';
import type { KeyOwner, KeyWrite } from '../ports/store.ts';
import type { DecisionOrder } from './decisions.ts';
import type { DeliverPayload, Endorsement } from './jobs.ts';
import type { ConnectionlessPeer, LoadedRecord, RecordDef, RecordValue } from './record.ts';

/** Where a message goes: a connection's keys, or a service named by an invitation. */
export interface Destination {
  readonly recipientKeys: readonly string[];
  readonly routingKeys?: readonly string[];
  readonly endpoint?: string;
  /** Our key that seals it; absent: anoncrypt. */
  readonly sender?: string;
  /** The sender is a shared DID's key, and none of the recipients' has shown itself yet. */
  readonly unproven?: boolean;
}

/** A message to send: whole, where the record keeps it too, or as its parts. */
export type Outgoing = { readonly to?: Destination } & ({ readonly message: JsonObject; readonly transient?: boolean } | MessageParts);

export interface MessageParts {
  /** Name in the protocol that sends, or a whole type URI. */
  readonly type: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly attachments?: Readonly<Record<string, readonly Attachment[]>>;
  /** An attachment that one of our keys signs (RFC 0017): the text under `field`. */
  readonly signed?: { readonly field: string; readonly text: string; readonly verkey: string };
  /** A member that one of our keys signs: RFC 0234's `value` under `field~sig`; in the 2018 Agent Protocol the text `value` under `field`. */
  readonly signature?: { readonly field: string; readonly value: unknown; readonly verkey: string };
  /** Fixed beforehand where the record must know it. */
  readonly id?: string;
  readonly thid?: string;
  readonly pthid?: string;
  readonly minor?: number;
  /** An answer that is worth nothing later: it goes on the connection that asked for it, or not at all. */
  readonly transient?: boolean;
  /** An answer to who has no connection with us: it may go the way that the message came. */
  readonly back?: boolean;
  /** Asks for what answers it on the same connection (RFC 0092). */
  readonly returnRoute?: boolean;
  /** Asks for an ack of the outcome (RFC 0317). */
  readonly pleaseAck?: boolean;
  /** Content that is a text and no object; only the 2018 Agent Protocol has such. */
  readonly text?: string;
}

/** How the content of a message of the 2018 Agent Protocol is sealed inside the outer seal; without one it is authcrypted between the pairwise keys. */
export type Inner = 'clear' | 'anon';

/** A message in the terms of another protocol: its type there, and its content. */
export interface Translation {
  readonly type: string;
  readonly body: JsonObject;
}

/** A change of one record. Without `base` it is created. */
export interface Change<V extends RecordValue = RecordValue> {
  readonly def: RecordDef<V>;
  readonly base?: LoadedRecord<V>;
  /** For a new record whose id must be known in the step. */
  readonly id?: string;
  /** The states it passes through in this commit; each makes an event, the last one stays. Default: unchanged. */
  readonly states?: readonly string[];
  readonly role?: string;
  readonly connection?: string;
  readonly patch?: Partial<V>;
  /** Deleted in the same commit, after its events. */
  readonly remove?: boolean;
  /** A change of state without a webhook. */
  readonly silent?: boolean;
}

/** Work for the crypto pool or the network: what `formats/` and `workers/` know how to do, by name. Its result re-enters as `result`. */
export interface WorkOrder {
  readonly op: string;
  readonly input: JsonObject;
  /** The protocol's `results` entry that takes what comes out. */
  readonly result: string;
  /**
   * A number of the tenant's counter, taken in the commit that orders the work (`JobWrite.allocate`): the work reads it as `allocated`, after a kill the same one.
   * Where the counter has given `upTo`, nothing is ordered, the job that wanted to is tried again, and `whenFull` is run.
   */
  readonly allocate?: { readonly counter: string; readonly upTo: number; readonly whenFull?: NextCommand };
}

export interface LedgerOrder {
  readonly write: LedgerWrite;
  /** The key that signs for the DID. */
  readonly verkey: string;
  readonly result: string;
  /** Another agent is to pay: by this connection, or by that of the tenant's endorser. A tenant with the role of an author needs no mention. */
  readonly endorser?: { readonly connection?: string };
  /** A write that is endorsed: the record of its endorsement orders it for the record that began it. */
  readonly endorsement?: Endorsement;
  readonly on?: { readonly protocol: string; readonly category: string; readonly id: string };
}

/** A command of the same record (or another protocol's) that follows by itself. */
export interface NextCommand {
  readonly command: string;
  readonly input?: JsonObject;
  readonly protocol?: string;
  readonly record?: { readonly category: string; readonly id: string };
  /** Not before so many milliseconds have passed: what happens when a peer does not answer. No call waits for it. */
  readonly after?: number;
  /** Handlers that are asked before it runs, or notified: `kernel/consulting.ts` makes commands without it of this one. */
  readonly decision?: DecisionOrder;
}

/**
 * A message handed to its protocol as if it had come in: an attached offer after its connection is complete, or, with `reply`, without one; or one that came
 * in the terms of another protocol.
 */
export interface LocalMessage {
  readonly connection?: string;
  readonly replyTo?: ConnectionlessPeer;
  /** It may go on with an exchange of that connection, by its thread, where others only ever begin one. */
  readonly continues?: boolean;
  readonly message: JsonObject;
}

/** The result of a step. The engine commits all of it together or nothing. */
export interface Effects {
  readonly record?: Omit<Change, 'def' | 'base'>;
  readonly others?: readonly Change[];
  readonly send?: readonly Outgoing[];
  /** Mail that is sealed already, or that an agency gives back. */
  readonly post?: readonly DeliverPayload[];
  readonly next?: readonly NextCommand[];
  readonly work?: readonly WorkOrder[];
  readonly ledger?: readonly LedgerOrder[];
  readonly dispatch?: readonly LocalMessage[];
  readonly keys?: readonly KeyWrite[];
  /** Secrets that are used up. */
  readonly removedKeys?: readonly string[];
  readonly keyOwners?: readonly NewKeyOwner[];
  readonly removedKeyOwners?: readonly string[];
  /** Keys of ours that are out of use: a mediator that has them registered deregisters them. */
  readonly deregisterKeys?: readonly string[];
  /** Tenants whose profile changes with this, and DIDs whose document does: every process reads them again. */
  readonly invalidate?: readonly string[];
  /** Webhooks that are not a record's; or of the record `about`, which stays as it is. */
  readonly emit?: readonly {
    readonly topic: string;
    readonly payload: JsonObject;
    readonly about?: { readonly category: string; readonly id: string };
  }[];
  /** Messages of the connection's mailbox that its owner has acknowledged: the commit removes them. */
  readonly acknowledged?: readonly string[];
  /** Messages of the mailbox in a message of `send`: a session of the same socket does not send them before they are acknowledged, or lost. */
  readonly inFlight?: readonly string[];
  /** How the mail that is kept for the connection goes on the socket that the message came on, from now on. */
  readonly session?: SessionMode;
  /** A sentence for the operator about how a call was taken: the log has the same sentence once. */
  readonly warn?: string;
  /** The answer of the REST call, where that is not the record. */
  readonly answer?: JsonObject;
  /** A problem report to the peer; `thid` where the record's own thread is not the one that started the step. */
  readonly problem?: { readonly code: string; readonly text: string; readonly thid?: string; readonly pthid?: string };
}

/**
 * Messages that a socket gets unasked: `route` our own messages alone (RFC 0092), `implicit` all that is kept, as it is, `live` what was forwarded as `delivery` of
 * messagepickup 2.0 (RFC 0685).
 */
export type SessionMode = 'route' | 'implicit' | 'live';

/** A key of ours and what it serves. Nothing that shows a mediated key leaves before its mediator has confirmed the key. */
export interface NewKeyOwner extends Omit<KeyOwner, 'tenant'> {
  readonly mediation?: { readonly tenant: string; readonly id: string };
  /** The entry of a name that is no key at an agency: its kind, and when (ms) it means nothing any more. */
  readonly route?: RouteHint;
}

export interface RouteHint {
  readonly kind: string;
  readonly expires?: number;
}
