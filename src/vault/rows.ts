import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { JsonObject } from '../ports/json.ts';
import type {
  Commit,
  JobKind,
  KeyWrite,
  QueuedMessage,
  QueuedMessageWrite,
  StoredDedupKey,
  StoredEvent,
  StoredKey,
  StoredRecord,
} from '../ports/store.ts';
import { open, openNamed, seal, TAG_BYTES, type TenantKeys, tagHash, VaultError } from './seal.ts';

/** Due time of what waits to be asked for by name (`notBefore: Infinity`): the largest time a Date holds. */
export const NEVER = 8.64e15;

/** A time as the databases keep it: whole milliseconds, at most `NEVER`. */
export const wholeTime = (time: number): number => Math.min(Math.ceil(time), NEVER);

/** A commit as an adapter writes it: plain columns, hashes and ciphertext. */
export interface CommitRows {
  records: RecordRow[];
  deletes: { category: string; id: string; expect: number }[];
  keys: { hash: Buffer; value: Buffer }[];
  removedKeys: Buffer[];
  keyOwners: { hash: Buffer; kind: string; target: string }[];
  removedKeyOwners: Buffer[];
  dedupKeys: { hash: Buffer; answer: Buffer | null; expires: number }[];
  jobs: JobRow[];
  /** The counter of each job that takes a number. */
  counters: { job: string; hash: Buffer; upTo: number }[];
  events: { id: string; topic: string; category: string; record: string; value: Buffer }[];
  mail: { box: string; id: string; recipient: Buffer | null; size: number; expires: number; body: Buffer }[];
  /** The boxes that get mail, each once, with its sums. */
  boxes: BoxRow[];
  /** Each box once, and in it each id. */
  acknowledged: BoxIds[];
  unacknowledged: BoxIds[];
  done: { id: string; lease: string }[];
  results: { callId: string; value: Buffer }[];
  failures: { callId: string; value: Buffer }[];
}

export interface RecordRow {
  category: string;
  id: string;
  expect: number;
  state: string | null;
  role: string | null;
  connection: string | null;
  /** The tag hashes, sorted and joined. */
  tags: Buffer;
  /** Null where the stored one stays. */
  value: Buffer | null;
}

export interface BoxIds {
  box: string;
  ids: string[];
}

export interface BoxRow {
  box: string;
  messages: number;
  bytes: number;
  /** The bound of the box after all of them, so that it was not beyond the limit of any with that one; Infinity for no bound. */
  maxMessages: number;
  maxBytes: number;
}

export interface JobRow {
  id: string;
  kind: JobKind;
  lane: string;
  payload: Buffer;
  callId: string | null;
  due: number;
}

// the first part names the table, so that no value of one table opens as a value of another
const recordParts = (category: string, id: string) => ['record', category, id];
const keyParts = (kid: string) => ['key', kid];
const dedupKeyParts = (dedupKey: string) => ['mark', dedupKey];
const jobParts = (kind: string, id: string, lane: string) => ['job', kind, id, lane];
const deathParts = (id: string) => ['death', id];
const eventParts = (event: { id: string; topic: string; category: string; record: string }) => [
  'event',
  event.id,
  event.topic,
  event.category,
  event.record,
];
// with its box: a row that was moved to another box does not open there
const mailParts = (box: string, id: string) => ['mail', box, id];
const callParts = (what: 'snapshot' | 'failure', callId: string) => [what, callId];

/** The member of a sealed payload of a job that has a number. */
export const ALLOCATED = '~allocated';

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const parsed = (bytes: Buffer): JsonObject => JSON.parse(bytes.toString()) as JsonObject;

/** The hash under which a key's owner is found: SHA-256 of the key id, without a tenant, since the tenant is the answer. */
export const keyOwnerHash = (kid: string): Buffer => createHash('sha256').update(kid).digest();
export const keyHash = (keys: TenantKeys, kid: string): Buffer => tagHash(keys, 'key', 'kid', kid);
export const dedupKeyHash = (keys: TenantKeys, dedupKey: string): Buffer => tagHash(keys, 'mark', 'mark', dedupKey);
export const recipientHash = (keys: TenantKeys, recipient: string): Buffer => tagHash(keys, 'mail', 'recipient', recipient);
export const counterHash = (keys: TenantKeys, counter: string): Buffer => tagHash(keys, 'counter', 'name', counter);
export const recordTagHash = (keys: TenantKeys, category: string, name: string, value: string): Buffer =>
  tagHash(keys, `record ${category}`, name, value);

function joinedTags(
  keys: TenantKeys,
  category: string,
  tags: Readonly<Record<string, string | readonly string[] | undefined>> | undefined,
): Buffer {
  const found = new Map<string, Buffer>();
  for (const name in tags) {
    const value = tags[name];
    if (value === undefined) continue;
    for (const one of typeof value === 'string' ? [value] : value) {
      const hash = recordTagHash(keys, category, name, one);
      found.set(hash.toString('latin1'), hash);
    }
  }
  // sorted, so that unchanged tags are unchanged bytes
  return Buffer.concat([...found.values()].sort(Buffer.compare));
}

/** The single hashes of a joined list. */
export function splitTags(joined: Uint8Array): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let at = 0; at < joined.length; at += TAG_BYTES) out.push(joined.subarray(at, at + TAG_BYTES));
  return out;
}

function sealedSecret(keys: TenantKeys, kid: string, type: string, secret: Uint8Array, meta: JsonObject): Buffer {
  // the secret stays bytes: a string of it could not be wiped
  const head = json({ kid, type, meta });
  const plain = Buffer.alloc(4 + head.length + secret.length);
  plain.writeUInt32BE(head.length);
  plain.set(head, 4);
  plain.set(secret, 4 + head.length);
  const out = seal(keys, keyParts(kid), plain);
  plain.fill(0);
  return out;
}

/** The envelope stays text as it is: as JSON each of its quotation marks would be written twice. */
function sealedMail(keys: TenantKeys, { mailbox: box, id, recipient = '', body }: QueuedMessageWrite, size: number): Buffer {
  const head = Buffer.byteLength(recipient);
  const plain = Buffer.allocUnsafe(4 + head + size);
  plain.writeUInt32BE(head);
  plain.write(recipient, 4);
  plain.write(body, 4 + head);
  return seal(keys, mailParts(box, id), plain);
}

/** Adds a row to the sum of its box, or several of one batch: first what came first. */
export function addToBox(sum: BoxRow, more: BoxRow): void {
  sum.messages += more.messages;
  sum.bytes += more.bytes;
  sum.maxMessages = Math.min(sum.maxMessages + more.messages, more.maxMessages);
  sum.maxBytes = Math.min(sum.maxBytes + more.bytes, more.maxBytes);
}

function mailRows(keys: TenantKeys, mail: readonly QueuedMessageWrite[]): Pick<CommitRows, 'mail' | 'boxes'> {
  const boxes = new Map<string, BoxRow>();
  const rows = mail.map((m) => {
    const { mailbox: box, id, limit } = m;
    const size = Buffer.byteLength(m.body);
    const one = { box, messages: 1, bytes: size, maxMessages: limit?.messages ?? Infinity, maxBytes: limit?.bytes ?? Infinity };
    const sum = boxes.get(box);
    if (sum) addToBox(sum, one);
    else boxes.set(box, one);
    const recipient = m.recipient === undefined ? null : recipientHash(keys, m.recipient);
    return { box, id, recipient, size, expires: wholeTime(m.expires), body: sealedMail(keys, m, size) };
  });
  return { mail: rows, boxes: [...boxes.values()] };
}

/** Each id once, however often a commit names it. */
function idsByBox(named: readonly { mailbox: string; ids: readonly string[] }[]): BoxIds[] {
  const boxes = new Map<string, Set<string>>();
  for (const { mailbox: box, ids } of named) {
    const found = boxes.get(box) ?? new Set<string>();
    for (const id of ids) found.add(id);
    if (found.size > 0) boxes.set(box, found);
  }
  return [...boxes].map(([box, ids]) => ({ box, ids: [...ids] }));
}

export const encodeKey = (keys: TenantKeys, { kid, type, secret, meta = {} }: KeyWrite): { hash: Buffer; value: Buffer } => ({
  hash: keyHash(keys, kid),
  value: sealedSecret(keys, kid, type, secret, meta),
});

/** The value of a record, sealed. */
export const encodeValue = (keys: TenantKeys, category: string, id: string, value: JsonObject): Buffer =>
  seal(keys, recordParts(category, id), json(value));

/** Everything of a commit, hashed and sealed. */
export function encodeCommit(keys: TenantKeys, commit: Commit): CommitRows {
  return {
    records: (commit.records ?? []).map((r) => ({
      category: r.category,
      id: r.id,
      expect: r.expect,
      state: r.state ?? null,
      role: r.role ?? null,
      connection: r.connection ?? null,
      tags: joinedTags(keys, r.category, r.tags),
      value: r.isSameValue && r.expect > 0 ? null : encodeValue(keys, r.category, r.id, r.value),
    })),
    deletes: [...(commit.deletes ?? [])],
    keys: (commit.keys ?? []).map((k) => encodeKey(keys, k)),
    removedKeys: (commit.removedKeys ?? []).map((kid) => keyHash(keys, kid)),
    keyOwners: (commit.keyOwners ?? []).map((r) => {
      if (r.tenant !== keys.tenant) throw new VaultError('a commit writes a key owner of another tenant');
      return { hash: keyOwnerHash(r.kid), kind: r.kind, target: r.target };
    }),
    removedKeyOwners: (commit.removedKeyOwners ?? []).map(keyOwnerHash),
    dedupKeys: (commit.dedupKeys ?? []).map((m) => ({
      hash: dedupKeyHash(keys, m.dedupKey),
      answer: m.answer ? seal(keys, dedupKeyParts(m.dedupKey), json(m.answer)) : null,
      expires: wholeTime(m.expires),
    })),
    jobs: (commit.jobs ?? []).map((j) => ({
      id: j.id,
      kind: j.kind,
      lane: j.lane,
      payload: seal(keys, jobParts(j.kind, j.id, j.lane), json(j.allocate ? { ...j.payload, [ALLOCATED]: true } : j.payload)),
      callId: j.callId ?? null,
      due: wholeTime(j.notBefore ?? 0),
    })),
    counters: (commit.jobs ?? []).flatMap(({ id, allocate }) =>
      allocate ? [{ job: id, hash: counterHash(keys, allocate.counter), upTo: Math.trunc(allocate.upTo) }] : [],
    ),
    events: (commit.events ?? []).map((e) => ({
      id: e.id,
      topic: e.topic,
      category: e.category,
      record: e.record,
      value: seal(keys, eventParts(e), json(e.value)),
    })),
    ...mailRows(keys, commit.mail ?? []),
    acknowledged: idsByBox(commit.acknowledged ?? []),
    unacknowledged: idsByBox(commit.unacknowledged ?? []),
    done: [...(commit.done ?? [])],
    results: (commit.results ?? []).map((s) => ({
      callId: s.callId,
      value: seal(keys, callParts('snapshot', s.callId), json(s.value)),
    })),
    failures: (commit.failures ?? []).map((f) => ({
      callId: f.callId,
      value: seal(keys, callParts('failure', f.callId), json({ code: f.code, text: f.text })),
    })),
  };
}

/** The plain columns of a record row, as both databases give them. */
export interface RecordColumns {
  category: string;
  id: string;
  version: number;
  state: string | null;
  role: string | null;
  connection: string | null;
  created: number;
  updated: number;
  value: Uint8Array;
}

export function decodeRecord(keys: TenantKeys, row: RecordColumns): StoredRecord {
  return {
    category: row.category,
    id: row.id,
    version: row.version,
    state: row.state ?? undefined,
    role: row.role ?? undefined,
    connection: row.connection ?? undefined,
    created: row.created,
    updated: row.updated,
    value: parsed(open(keys, recordParts(row.category, row.id), row.value)),
  };
}

export const decodeKey = (keys: TenantKeys, kid: string, sealed: Uint8Array): StoredKey => keyIn(open(keys, keyParts(kid), sealed));

function keyIn(plain: Buffer): StoredKey {
  const { kid, type, meta } = keyHead(plain);
  const secret = Uint8Array.from(plain.subarray(4 + plain.readUInt32BE()));
  plain.fill(0);
  return { kid, type, secret, meta };
}

/** @throws VaultError for what is no key */
function keyHead(plain: Buffer): Omit<StoredKey, 'secret'> {
  try {
    return parsed(plain.subarray(4, 4 + plain.readUInt32BE())) as unknown as Omit<StoredKey, 'secret'>;
  } catch (error) {
    throw new VaultError('a sealed key has no head', { cause: error });
  }
}

/** A key of which only the hash is known. @throws VaultError where the value is another's, or was changed */
export function decodeKeyByHash(keys: TenantKeys, hash: Uint8Array, sealed: Uint8Array): StoredKey {
  const key = keyIn(openNamed(keys, (plain) => keyParts(keyHead(plain).kid), sealed));
  if (!keyHash(keys, key.kid).equals(hash)) throw new VaultError('a sealed key stands under the hash of another');
  return key;
}

export const decodeDedupKey = (keys: TenantKeys, dedupKey: string, answer: Uint8Array | null): StoredDedupKey =>
  answer ? { answer: parsed(open(keys, dedupKeyParts(dedupKey), answer)) } : {};

export const decodeJob = (keys: TenantKeys, job: { kind: string; id: string; lane: string; payload: Uint8Array }): JsonObject =>
  parsed(open(keys, jobParts(job.kind, job.id, job.lane), job.payload));

/** Whether a job has a number, by its payload; that member is taken out. */
export function takeAllocated(payload: JsonObject): boolean {
  if (payload[ALLOCATED] !== true) return false;
  delete payload[ALLOCATED];
  return true;
}

/** The error of a dead letter: it may quote a peer, so it is not kept in clear. */
export const sealDeath = (keys: TenantKeys, id: string, error: string): Buffer => seal(keys, deathParts(id), Buffer.from(error));
export const openDeath = (keys: TenantKeys, id: string, sealed: Uint8Array): string => open(keys, deathParts(id), sealed).toString();

export function decodeEvent(
  keys: TenantKeys,
  row: { id: string; topic: string; category: string; record: string; time: number; value: Uint8Array },
): StoredEvent {
  const { id, topic, category, record, time } = row;
  return { id, topic, category, record, time, value: parsed(open(keys, eventParts(row), row.value)) };
}

/** The plain columns of a message, as both databases give them. */
export interface MailColumns {
  n: number;
  id: string;
  size: number;
  received: number;
  attempts: number;
  body: Uint8Array;
}

export function decodeMail(keys: TenantKeys, box: string, { id, received, attempts, body }: MailColumns): QueuedMessage {
  const plain = open(keys, mailParts(box, id), body);
  const end = 4 + plain.readUInt32BE();
  const recipient = end > 4 ? plain.toString('utf8', 4, end) : undefined;
  return { id, origin: recipient === undefined ? 'agent' : 'forwarded', recipient, body: plain.toString('utf8', end), received, attempts };
}

export const decodeResult = (keys: TenantKeys, callId: string, sealed: Uint8Array): JsonObject =>
  parsed(open(keys, callParts('snapshot', callId), sealed));

export const decodeFailure = (keys: TenantKeys, callId: string, sealed: Uint8Array): { code: string; text: string } =>
  parsed(open(keys, callParts('failure', callId), sealed)) as { code: string; text: string };

/** A page's cursor: the last row's number, in a form that invites nobody to calculate with it. */
export const encodeCursor = (n: number): string => Buffer.from(`n${n}`).toString('base64url');

/** @returns the row number, or undefined when the text is no cursor of ours. */
export function decodeCursor(cursor: string): number | undefined {
  const found = /^n(\d{1,16})$/.exec(Buffer.from(cursor, 'base64url').toString());
  return found ? Number(found[1]) : undefined;
}
