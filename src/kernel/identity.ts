import type { StoredRecord } from '../ports/store.ts';
import type { Incoming } from './protocol.ts';
import { type LoadedRecord, loadedRecord } from './record.ts';

/**
 * Which key is whose. A key that a peer names in a document is a claim: anybody can list anybody's key. It counts once it has sealed something that is this
 * connection's own: the handshake, a message in its thread, or one to a key of ours that nobody else was given.
 */

/** The keys of a connection's peer. */
interface Known {
  /** All that the peer's document lists. */
  readonly their_keys?: readonly string[];
  /** Those of them that have sealed something here; absent in records from before that was kept. */
  readonly shown_keys?: readonly string[];
  /** Those that count since nobody else had them when they sealed something here. */
  readonly vouched_keys?: readonly string[];
  /** The keys from before the peer moved, and until when (ms) mail under them may be under way. */
  readonly their_former?: { readonly keys: readonly string[]; readonly until: number };
  readonly my_verkey?: string;
  readonly my_did_shared?: boolean;
  readonly invitation_key?: string;
  readonly request_id?: string;
}

const knownOf = ({ value }: Pick<LoadedRecord, 'value'>): Known => value as Known;

/** The keys of a peer that have shown themselves. Of a record from before that was kept: its key, where it lists one alone. */
export const shownKeys = ({ their_keys = [], shown_keys }: Known): readonly string[] =>
  shown_keys ?? (their_keys.length === 1 ? their_keys : []);

/** The keys that messages of a peer come under. */
export const keysInUse = (value: Known): readonly string[] => [...shownKeys(value), ...(value.vouched_keys ?? [])];

/** The keys that a peer lists and that nobody has used yet. */
export function listedKeys(value: Known): readonly string[] {
  const used = keysInUse(value);
  return (value.their_keys ?? []).filter((key) => !used.includes(key));
}

/** The keys to seal for: those that have sealed something, or, where none has, all that the peer lists. */
export function recipientsOf(value: Known): readonly string[] {
  const used = keysInUse(value);
  return used.length > 0 ? used : (value.their_keys ?? []);
}

/** Whether a key has shown itself as the connection's peer, or did before the peer moved. */
function hasShown(connection: LoadedRecord, sender: string, now: number): boolean {
  const value = knownOf(connection);
  const former = value.their_former;
  return shownKeys(value).includes(sender) || (former !== undefined && now < former.until && former.keys.includes(sender));
}

/** Whether a key is the connection's peer: one in use, or one from before the peer moved. */
export const isPeer = (connection: LoadedRecord, sender: string | undefined, now: number): boolean =>
  sender !== undefined && (keysInUse(knownOf(connection)).includes(sender) || hasShown(connection, sender, now));

/** Whether a key is the invitation's that a connection answered: until its own is known, a rejection comes under it. */
export function isInviter(connection: LoadedRecord, sender: string | undefined): boolean {
  const { their_keys, invitation_key } = knownOf(connection);
  return sender !== undefined && their_keys === undefined && connection.role === 'invitee' && sender === invitation_key;
}

const lists = (connection: LoadedRecord, sender: string | undefined): boolean =>
  sender !== undefined && listedKeys(knownOf(connection)).includes(sender);

/** The connection of a message, and the key that was only listed until now and counts by it. */
export interface Sender {
  readonly connection: LoadedRecord;
  readonly shows?: string;
  /** It does not show that its holder knows of this connection. */
  readonly vouched?: true;
}

/** The connection as it is once a listed key counts. */
export function withKey({ connection, shows, vouched }: Sender): LoadedRecord {
  if (shows === undefined) return connection;
  const value = knownOf(connection);
  const more = vouched ? { vouched_keys: [...(value.vouched_keys ?? []), shows] } : { shown_keys: [...shownKeys(value), shows] };
  return { ...connection, value: { ...connection.value, ...more } };
}

/** The sender of a message to a key of ours that serves one connection alone: a listed key that knows it, and is listed there, is the peer's. */
export function pairwiseSender(connection: LoadedRecord, sender: string | undefined): Sender {
  return lists(connection, sender) ? { connection, shows: sender } : { connection };
}

/**
 * The connection of a message to a key of ours that serves many: an invitation's, or a shared DID's. A connection whose peer has shown the key goes before one whose peer lists it. Where the
 * holder of one key has several connections under one key of ours, the message's thread decides; else the oldest that is complete: a later one may be a
 * repeated request. Of those who only list the key it is the one whose own thread the message is in; or the only one whose peer has no other key, since it moved, or
 * answered under the invitation's. That one gives way to a connection where the key shows itself later.
 * @param rows connections that name the sender's key, the newest first
 * @param threads records of the message's thread, of whatever kind
 */
export function sharedSender(
  rows: readonly StoredRecord[],
  threads: readonly StoredRecord[],
  message: Incoming,
  now: number,
): Sender | undefined {
  const { sender, recipient, thid } = message;
  if (sender === undefined) return undefined;
  const distinct = (some: readonly StoredRecord[]): LoadedRecord[] => [
    ...new Map(some.filter(({ category }) => category === 'connection').map((row) => [row.id, loadedRecord(row)])).values(),
  ];
  const all = distinct(rows);
  const proven = all.filter((one) => hasShown(one, sender, now));
  const peers = proven.length > 0 ? proven : all.filter((one) => isPeer(one, sender, now));
  const ofThread = (one: LoadedRecord): boolean => threads.some((row) => row.connection === one.id || row.id === one.id);
  const addressed = (one: LoadedRecord): boolean => knownOf(one).my_verkey === recipient;
  const complete = ({ state }: LoadedRecord): boolean => state === 'active' || state === 'response';
  for (const fits of [ofThread, (one: LoadedRecord) => addressed(one) && complete(one), addressed, complete, () => true]) {
    const found = peers.findLast(fits);
    if (found) return { connection: found };
  }
  const own = distinct(threads).filter((one) => knownOf(one).request_id === thid && addressed(one));
  const speaking = own.filter((one) => lists(one, sender));
  if (speaking.length > 0) return speaking.length === 1 ? { connection: speaking[0]!, shows: sender } : undefined;
  const vouched = all.filter((one) => lists(one, sender) && addressed(one) && shownKeys(knownOf(one)).length === 0);
  if (vouched.length === 1) return { connection: vouched[0]!, shows: sender, vouched: true };
  const inviters = own.filter((one) => isInviter(one, sender));
  return inviters.length === 1 ? { connection: inviters[0]! } : undefined;
}

/** Whether a connection is an invitation of ours of this id that takes requests. */
export const isOpenInvitation = ({ category, role, value }: StoredRecord, id: string): boolean =>
  category === 'connection' && role === 'inviter' && value.request_id === undefined && value.invitation_msg_id === id;

/** Whether another connection than the one of this id has seen the key in use. */
export const heldByAnother = (rows: readonly StoredRecord[], key: string, id: string | undefined): boolean =>
  rows.some((row) => row.id !== id && shownKeys(row.value as Known).includes(key));
