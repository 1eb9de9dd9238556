import type { JsonObject } from '../ports/json.ts';
import type { StoredRecord } from '../ports/store.ts';
import type { NextCommand } from './effects.ts';
import type { Formats } from './format.ts';
import { byFormat } from './format-attachments.ts';

/** The value of a record: JSON whose members may be absent. */
export type RecordValue = { [member: string]: unknown };

/** A record as a step sees it: what is stored plain, and its value. */
export interface LoadedRecord<V extends RecordValue = RecordValue> {
  readonly id: string;
  /** 0 until it is stored. */
  readonly version: number;
  readonly state?: string;
  readonly role?: string;
  readonly connection?: string;
  readonly created: number;
  readonly updated: number;
  readonly value: Readonly<V>;
}

/**
 * The way to the peer of an exchange without a connection (RFC 0434, RFC 0056), kept in its value under `replyTo`: our key that this exchange is answered to, and,
 * once the peer has sent them, its keys and address. The first to answer is the peer from then on.
 */
export interface ConnectionlessPeer {
  readonly key: string;
  readonly recipientKeys?: readonly string[];
  readonly routingKeys?: readonly string[];
  readonly endpoint?: string;
  /** Where the peer writes to, where that is not this agent's own endpoint. */
  readonly ourAddress?: OwnAddress;
}

/** Where peers write to us: an endpoint, none where nobody can, and the routing keys before it, as verkeys or did:key. */
export interface OwnAddress {
  readonly endpoint: string;
  /** Other endpoints under the same routing keys. */
  readonly more?: readonly string[];
  readonly routingKeys: readonly string[];
  /** Nobody can write to us: the peer answers on the connections that we open. */
  readonly pulls?: true;
}

/** That way, where the record has no connection. */
export const connectionlessPeerOf = (record: LoadedRecord | undefined): ConnectionlessPeer | undefined =>
  record && record.connection === undefined ? (record.value.replyTo as ConnectionlessPeer | undefined) : undefined;

/**
 * One record kind that a controller sees: its place in the store, its names in the admin API and its webhook topic.
 * List, get and delete routes, webhooks and OpenAPI follow from it.
 */
export interface RecordDef<V extends RecordValue = RecordValue> {
  /** Category in the store. */
  readonly category: string;
  /** ACA-Py's name of the identifier, as in `cred_ex_id`. */
  readonly idField: string;
  /** Its name in errors, as in `Credential exchange 1 in offer-sent state`; default `Record`. */
  readonly label?: string;
  /** Webhook topic; a record without one is silent. */
  readonly topic?: string;
  readonly states: readonly string[];
  /** A value that an earlier version stored, under today's names; the same object where nothing has changed. */
  upgrade?(value: JsonObject): JsonObject;
  /** The record as `GET` answers it and as debug webhooks carry it, but for `formatted`. */
  view(record: LoadedRecord<V>): JsonObject;
  /** Members that hold messages whose attachments the view shows by format, under `by_format`. */
  readonly formatted?: readonly string[];
  /** States in which a credential is on its way into the wallet. */
  readonly arriving?: readonly string[];
  /** The payload of ordinary webhooks, where that is less than the view. */
  terse?(record: LoadedRecord<V>): JsonObject;
  /** Hidden search tags. `thread` is what messages are matched by. */
  tags(value: Readonly<V>): Record<string, string | readonly string[] | undefined>;
  readonly admin?: AdminRoutes<V>;
  /** An invitation can carry its first message: the name that controllers give that, the member that holds it, and the state in which nobody has it yet. */
  readonly attachable?: { readonly as: string; readonly member: string; readonly state: string };
  /** A record that is only in the making: no list shows it. */
  hidden?(record: LoadedRecord<V>): boolean;
  /** Rows that are deleted with a record: keys and their owners that nothing else uses. */
  removed?(record: LoadedRecord<V>): {
    readonly removedKeyOwners?: readonly string[];
    readonly removedKeys?: readonly string[];
    readonly deregisterKeys?: readonly string[];
    readonly emit?: readonly { readonly topic: string; readonly payload: JsonObject }[];
    /** Work that is too much for the same commit. */
    readonly next?: readonly NextCommand[];
  };
}

/** The routes that every record has, under ACA-Py's names. */
export interface AdminRoutes<V extends RecordValue> {
  /** As in `/connections`; the list answers `{"results": [...]}`. */
  readonly list?: string;
  /** As in `/connections/{conn_id}`. */
  readonly one?: string;
  readonly tag: string;
  readonly remove?: boolean;
  readonly metadata?: boolean;
  /** Query parameters of the list that name a hidden tag, by ACA-Py's name. */
  readonly filters?: Readonly<Record<string, string>>;
  /** Other names of states and roles that the list's filters understand: RFC 0023 and RFC 0160 call them differently. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Where the list's filter names the peer's role: ours, by the peer's. */
  readonly peerRole?: ReadonlyMap<string | undefined, string>;
  /** The answer of `GET one`, where it is not the view. */
  detail?(record: LoadedRecord<V>, formats: Formats): JsonObject;
  readonly notFound?: string;
}

/** A record kind, which gives its rows the type of its value. */
export interface RecordKind<V extends RecordValue> extends RecordDef<V> {
  /** A row of this kind. @throws Error for a row of another one, which a lookup of this kind never brings */
  of(row: StoredRecord | LoadedRecord): LoadedRecord<V>;
  of(row: StoredRecord | LoadedRecord | undefined): LoadedRecord<V> | undefined;
}

/** Declares a record kind. */
export function defineRecord<V extends RecordValue>(def: RecordDef<V>): RecordKind<V> {
  function of(row: StoredRecord | LoadedRecord): LoadedRecord<V>;
  function of(row: StoredRecord | LoadedRecord | undefined): LoadedRecord<V> | undefined {
    if (row && 'category' in row && row.category !== def.category) throw new Error(`a ${row.category} is no ${def.category}`);
    return row as LoadedRecord<V> | undefined;
  }
  return Object.freeze({ ...def, of });
}

/** A record as its controller sees it. */
export function viewOf<V extends RecordValue>(def: RecordDef<V>, record: LoadedRecord<V>, formats: Formats): JsonObject {
  const view = def.view(record);
  return def.formatted ? { ...view, by_format: byFormat(formats, record.value, def.formatted) } : view;
}

/** A stored row as an exchange. */
export function loadedRecord<V extends RecordValue>(row: StoredRecord): LoadedRecord<V> {
  return row as StoredRecord & LoadedRecord<V>;
}

/** ACA-Py's form of a time: `2026-01-31T12:00:00.000000Z`. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

/** The object without its undefined and null members, as ACA-Py serialises records and webhooks. */
export function compact(object: Record<string, unknown>): JsonObject {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object)) if (value !== undefined && value !== null) out[name] = value;
  return out as JsonObject;
}

/** The members that the value of every exchange has. */
export interface ExchangeValue {
  [member: string]: unknown;
  thread_id?: string;
  parent_thread_id?: string;
  initiator: 'self' | 'external';
  auto_remove?: boolean;
  auto_remove_on_failure?: boolean;
  error_msg?: string;
  protocol?: string;
  /** Of an exchange without a connection. */
  replyTo?: ConnectionlessPeer;
}

/** The members that the view of every exchange has, under ACA-Py's names; `idField`: the name of its own id. */
export const exchangeView = (record: LoadedRecord<ExchangeValue>, idField: string): Record<string, unknown> => ({
  ...viewHead(record),
  trace: false,
  [idField]: record.id,
  connection_id: record.connection,
  thread_id: record.value.thread_id,
  initiator: record.value.initiator,
  role: record.role,
});

/** The tags that every exchange has: messages are matched by its thread, and lists are filtered by it. */
export const exchangeTags = ({ thread_id }: Readonly<ExchangeValue>): { thread?: string; thread_id?: string } => ({
  thread: thread_id,
  thread_id,
});

/** The members that every view of ACA-Py begins with. */
export const viewHead = (record: LoadedRecord): Record<string, unknown> => ({
  state: record.state,
  created_at: isoTime(record.created),
  updated_at: isoTime(record.updated),
  error_msg: record.value.error_msg,
});
