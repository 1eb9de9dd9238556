import type { Static, TSchema } from 'typebox';
import type { Attachment } from '../didcomm/attachments.ts';
import type { JsonObject } from '../ports/json.ts';
import type { KeyWrite, Lookup, MailboxStatus, MailQuery, Page, Query, QueuedMessage, StoredRecord } from '../ports/store.ts';
import type { AtPoint, Point } from './decisions.ts';
import type { Change, Effects, Inner, NextCommand, SessionMode, Translation } from './effects.ts';
import type { Formats } from './format.ts';
import { checkedAs } from './json.ts';
import type { PublicRoute } from './public-route.ts';
import type { LoadedRecord, RecordDef, RecordValue } from './record.ts';
import type { Settings } from './settings.ts';

/** A message with its decorators lifted out (RFC 0008, 0015, 0017, 0092): protocols never see an `@` or a `~`. */
export interface Incoming {
  readonly id: string;
  /** The whole type as received, with its prefix. */
  readonly type: string;
  readonly name: string;
  readonly minor: number;
  readonly thid: string;
  readonly pthid?: string;
  readonly body: Readonly<JsonObject>;
  /** By the field before `~attach`. */
  readonly attachments: Readonly<Record<string, readonly Attachment[]>>;
  /** By the field before `~sig` (RFC 0234), unverified. */
  readonly signatures: Readonly<Record<string, unknown>>;
  /** Where an answer goes that has no connection (RFC 0056), its keys in base58. */
  readonly service?: { readonly recipientKeys: readonly string[]; readonly routingKeys: readonly string[]; readonly endpoint: string };
  readonly pleaseAck: boolean;
  readonly returnRoute: boolean;
  /** The dialect that it is written in, where its format has several. */
  readonly profile?: string;
  /** Names nothing, and begins nothing here: it takes the path of any other, and is dropped. */
  readonly unasked?: boolean;
  /** Has no id by which a repetition could be known: its step may run again. */
  readonly repeatable?: boolean;
  /** The message as received: exchange records keep it for the controller. */
  readonly raw: JsonObject;
  /** The key that sealed it (authcrypt), and our key that opened it. Absent for a message that this agent hands over to itself. */
  readonly sender?: string;
  readonly recipient?: string;
}

/** The way that a message came and its answer may go: one request, or a socket that stays open, by its id. */
export interface Channel {
  readonly socket?: string;
  /** How its peer's mail goes on that by itself already. */
  readonly mode?: SessionMode;
}

/** The mail that is kept for the peer of a connection, as far as a step asked for it. */
export interface KeptMail {
  readonly messages: readonly QueuedMessage[];
  readonly status: MailboxStatus;
}

/** An own key made in a step; the engine stores it with the rest. */
export interface OwnKey {
  readonly verkey: string;
  readonly write: KeyWrite;
}

/** A protocol as it is disclosed to peers (RFC 0031, RFC 0557). */
export interface Feature {
  readonly uri: string;
  readonly roles?: readonly string[];
}

/** A record that an invitation can carry the first message of: the member that holds it, in the state in which nobody has it yet. */
export interface Attachable {
  readonly def: RecordDef;
  readonly member: string;
  readonly state: string;
}

/** The declarations of all registered protocols, for steps that name other protocols, and the credential formats. */
export interface Declared {
  readonly formats: Formats;
  /** Everything that a connection can be granted. */
  readonly grants: ReadonlySet<string>;
  /** Handshakes that an invitation may name, as in `didexchange/1.1`, and the protocol of each; in the order of registration. */
  readonly handshakes: ReadonlyMap<string, string>;
  /** One of these as `handshake_protocols` names it, with or without a prefix; undefined for one that is not supported. */
  handshakeOf(name: string): string | undefined;
  /** The records that an invitation can attach under a controllers' name, as in `credential-offer`; the first record that has the id is meant. */
  attachable(name: string): readonly Attachable[];
  /** The fault of a body for a command; undefined for a valid one. */
  inputFault(protocol: string, command: string, body: JsonObject): string | undefined;
  /** Whether a message of this type may be answered without a connection. */
  standsAlone(type: string): boolean;
}

/** The input of every step. Nothing here touches the network or the store. */
export interface StepContext<V extends RecordValue = RecordValue> {
  readonly tenant: string;
  readonly now: number;
  readonly settings: Settings;
  readonly protocol: string;
  readonly record?: LoadedRecord<V>;
  readonly connection?: LoadedRecord;
  /** The rows of the step's `load`, by name. */
  readonly loaded: Readonly<Record<string, StoredRecord | undefined>>;
  /** The queued messages of the step's `mail`. */
  readonly mail?: KeptMail;
  /** The connection that the message came on, where its reply may go the same way. */
  readonly channel?: Channel;
  /** The pages of the step's `pages`, by name. */
  readonly pages: Readonly<Record<string, Page<StoredRecord>>>;
  /** Whether there is somebody to write to: a connection, or the peer of an exchange without one. */
  readonly reachable: boolean;
  readonly declared: Declared;
  /** The commands that follow at a decision point, for `next` of the step's effects. */
  auto(point: Point, at: AtPoint): readonly NextCommand[];
  /** The supported protocols whose URI is `match`, or begins as it does before its `*`. */
  features(match: string): readonly Feature[];
  newId(): string;
  newKey(seed?: Uint8Array): OwnKey;
  /** A nonce of 80 bits in decimal, as AnonCreds requests carry it. */
  newNonce(): string;
  /** 128 random bits in hex: what only who was given it can name. */
  newToken(): string;
}

/** The state a record is in before it exists. */
export const NEW = '-';

/** A lookup of a step. Where several records have the tag, `among` selects; the newest of those is loaded. */
export type Load = Lookup & { readonly among?: (row: StoredRecord) => boolean };
type Loads = Readonly<Record<string, Load>>;

/** Pages of a kind of record, where a step needs more than a few rows, or how many there are. They are read after the record, whose version guards them. */
export type Pages = Readonly<Record<string, { readonly category: string; readonly query: Query }>>;

export interface MessageStep<V extends RecordValue = RecordValue> {
  readonly schema: TSchema;
  /** States in which it is expected; `NEW` when it may begin an exchange. `*` for a stateless protocol. */
  readonly from: readonly string[] | '*';
  /** Our role in the exchange when it arrives; checked against the record. */
  readonly role?: string;
  /** May come under a key that is not the connection's, because it is what establishes or moves the connection. */
  readonly handshake?: boolean;
  /**
   * Runs for a connection that was given this grant alone; another has the problem report `unauthorized`, whatever the message holds. Never handed over by this agent
   * itself, as an attachment of an invitation is.
   */
  readonly grant?: string;
  /** May be answered without a connection: an invitation without a handshake may carry it (RFC 0434). */
  readonly standsAlone?: boolean;
  /** In the 2018 Agent Protocol: how its content is sealed. */
  readonly inner?: Inner;
  /** Further lookups; `connection` is the id of the one that the message came by. */
  readonly load?: (message: Incoming, connection: string | undefined) => Loads;
  /** The part of the sender's mailbox that it reads. */
  readonly mail?: (message: Incoming, mode: SessionMode | undefined) => MailQuery | undefined;
  /** Envelopes that it brings, as JSON text: each is received as if it had come by itself, before the step runs. */
  readonly carries?: (message: Incoming) => readonly string[];
  /** The inside of another format that it brings, whose outer seal an agency has opened: it is received in its place, whoever packed it. */
  readonly carriesInside?: (message: Incoming) => JsonObject;
  /**
   * Acknowledgement-only message: the ids of its sender's mail that has come. In live mode the delivery session handles it in batches and the step is skipped.
   */
  readonly confirms?: (message: Incoming) => readonly string[];
  /** Its step may run again: no dedup key is kept of it. */
  readonly repeatable?: boolean;
  /**
   * The reply on the connection when it comes again, where its dedup key holds no answer. Somebody else may send the copy: so nothing else follows, nothing
   * is written, and its sender is not taken for the peer. Such a message opens no session the first time either.
   */
  readonly again?: (ctx: StepContext<V>, message: Incoming) => NonNullable<Effects['send']>;
  readonly pages?: (message: Incoming, connection: string | undefined) => Pages;
  /** The record that it is about, where no thread names one. */
  readonly about?: (message: Incoming, connection: string | undefined) => Lookup | undefined;
  step(ctx: StepContext<V>, message: Incoming): Effects;
  /**
   * The answer to a message that cannot be taken, though it was sealed for a key of ours that invites: the step has thrown `invitation-closed`, or the
   * record is in another state. Undefined, or what it throws, is silence.
   */
  refuse?(ctx: StepContext<V>, message: Incoming): Effects | undefined;
}

export interface CommandStep<V extends RecordValue = RecordValue, Body = unknown> {
  /** ACA-Py's operation, as in `POST /didexchange/{conn_id}/accept-request`. A command without one is only for `next`. */
  readonly route?: string;
  /**
   * `public`: the route is one of the public HTTP face, for everyone, and none of the admin API. The parameter `tenant` of its path is the wallet id; the answer is what
   * the step gives by `httpAnswer`.
   */
  readonly face?: 'public';
  /** The bound of a public request's body; 64 KiB by default. */
  readonly maxBytes?: number;
  readonly tag?: string;
  readonly summary?: string;
  /** The parameters of its path name no record: the step reads them in `params`. */
  readonly freePath?: true;
  /** The status of its answer, where that is not 200. */
  readonly status?: number;
  /** A function, where members follow from the registered credential formats. */
  readonly body?: TSchema | ((formats: Formats) => TSchema);
  readonly query?: TSchema;
  readonly from: readonly string[] | '*';
  readonly role?: string;
  /** Further lookups; `record` is the id in its path, `connection` that of the connection that is named. */
  load?(input: CommandInput<Body>, record: string | undefined, connection: string | undefined, declared: Declared): Loads;
  pages?(input: CommandInput<Body>, record: string | undefined): Pages;
  /** Reads how much mail is kept for the connection whose id the record has. */
  readonly mail?: true;
  /** The record that the command is about, where it is named by the body and not the path. */
  about?(input: CommandInput<Body>): Lookup | undefined;
  /** The call waits, beyond its own jobs, while the record is in one of these states: an answer of the peer is still out. */
  readonly waitWhile?: readonly string[];
  /** The same, by members beside the state. */
  isAwaited?(record: LoadedRecord<V>, now: number): boolean;
  /** Whether it waits for that, where the call decides. */
  waits?(input: CommandInput<Body>, settings: Settings): boolean;
  /** How long it waits, in ms, where that is not 15 seconds. */
  readonly timeoutMs?: number;
  /** The parameter of the path, or the member of the body or the query, that names the connection. */
  readonly connection?: string;
  /** The part of the protocol's answer that this call returns, where that is not all of it. */
  selectResponse?(answer: JsonObject): JsonObject;
  step(ctx: StepContext<V>, input: CommandInput<Body>): Effects;
}

/** Body, query and path of a command, as validated. */
export interface CommandInput<Body = unknown> {
  readonly body: Body;
  readonly query: Readonly<Record<string, string>>;
  /** Of a path whose parameters name no record. */
  readonly params?: Readonly<Record<string, string>>;
  /** Of what this agent does by itself: a connection with a mediator does not go through another one. */
  readonly unmediated?: boolean;
  /** The request of a command with the face `public`. */
  readonly http?: {
    readonly method: string;
    /** Path and query as they came. */
    readonly url: string;
    /** Names in lower case. */
    readonly headers: Readonly<Record<string, string>>;
    readonly params: Readonly<Record<string, string>>;
  };
}

export interface ResultStep<V extends RecordValue = RecordValue> {
  readonly from: readonly string[] | '*';
  readonly load?: (output: JsonObject) => Loads;
  readonly pages?: (output: JsonObject, record: string) => Pages;
  /** `output`: made in memory by the work; each step declares its type. */
  step(ctx: StepContext<V>, output: unknown): Effects;
}

/** One protocol, one literal. `uris` newest first; all have one family and major version. Empty for a resource that has no messages. */
export interface Protocol<V extends RecordValue = RecordValue> {
  readonly name: string;
  readonly uris: readonly string[];
  /** Other URIs of the same messages, which peers may use and none is shown. An answer has the spelling of its question where its step gives it the whole type. */
  readonly spellings?: readonly string[];
  readonly binds: RecordDef<V>;
  /** No exchange is stored: a dedup key only. */
  readonly stateless?: boolean;
  readonly roles?: readonly string[];
  readonly messages: Readonly<Record<string, MessageStep<V>>>;
  readonly commands?: Readonly<Record<string, CommandStep<V>>>;
  /** Routes of the public HTTP face that only read, or stream. */
  readonly publicRoutes?: readonly PublicRoute[];
  readonly results?: Readonly<Record<string, ResultStep<V>>>;
  /** The effects of a failed work or ledger order; the engine answers the waiting call by itself. */
  failed?(ctx: StepContext<V>, failure: { result: string; code: string; text: string }): Effects;
  /** The answer of its calls about their record, where that is not the record's view. */
  answer?(record: LoadedRecord<V>, formats: Formats): JsonObject;
  /** The step for an ack of any family, where the thread is ours. */
  readonly acked?: MessageStep<V>;
  /** The step for a problem report of any family. */
  readonly problem?: MessageStep<V>;
  /** Its messages are not for us: they are handed on to whom they name, unread (RFC 0094). */
  readonly relayed?: boolean;
  /**
   * It makes connections: an invitation may name it, and its command `accept-invitation` answers one. `names`: what ACA-Py's controllers call it besides, without a
   * version.
   */
  readonly handshake?: { readonly names: readonly string[] };
  /** How the family spells its problem report, where it is not `problem-report`. */
  readonly problemName?: string;
  /**
   * Messages of other protocols in the terms of this one, by their type: for connections whose peers have this one alone. `null`: dropped silently. It is how
   * a controller's commands work over either.
   */
  readonly translate?: Readonly<Record<string, ((message: JsonObject) => Translation) | null>>;
}

/** Declares a protocol. */
export function defineProtocol<V extends RecordValue>(protocol: Protocol<V>): Protocol<V> {
  return Object.freeze(protocol);
}

/** Declares a command whose step has the body that its schema describes. */
export function command<B extends TSchema, V extends RecordValue = RecordValue>(
  step: CommandStep<V, Static<B>> & { readonly body: B },
): CommandStep<V> {
  return step;
}

/** A change of a record of another kind than the protocol's own, for `others`: its patch is checked against its definition. */
export const changed = <V extends RecordValue>(change: Change<V>): Change => checkedAs<Change>(change);
