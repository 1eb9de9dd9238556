import type { Blobs } from './blobs.ts';
import type { Carrying } from './carry.ts';
import type { Claim, Claims } from './claims.ts';
import type { JsonObject } from './json.ts';

/**
 * The one database. Everything durable goes through `commit`, which is all or nothing; reads come through `load` and `find`.
 *
 * Plain columns: tenant, category, id, version, state, role, connection, times, and of jobs the kind, lane and times. Everything else is
 * encrypted under the tenant's data key (AEAD, associated data = tenant, category, id); tags are searched by keyed hash, equality only.
 * Times are milliseconds since 1970. Every method that takes a tenant takes it first.
 */
export interface Store {
  /**
   * All or nothing, durable when the promise resolves. What completes a job, or `isUnanswered`, and does nothing but change records and order work may be so against
   * the end of the process alone, and against the loss of power from the next other commit on: until then its job runs again, or its call came to nothing.
   * @throws AppError `counter-full` (see `JobWrite.allocate`), `conflict` when a version, a dedup key or a unique id clashes (nothing was written; reload and retry), `mail-known` and
   * `mailbox-full` (see `MailWrite`), `lease-lost` when a job of `done` is no longer
   * held under its lease, `store-full`, `store-unavailable`, `store-corrupt`.
   */
  commit(tenant: string, commit: Commit): Promise<void>;

  /** The rows of several lookups, in one round trip; by tag, the newest first and at most `LOOKUP_ROWS`. */
  load(tenant: string, lookups: readonly Lookup[]): Promise<StoredRecord[][]>;

  /** Lookups, and the stored answer where the message or call was handled before, in one round trip. */
  loadWithDedupKey(
    tenant: string,
    dedupKey: string,
    lookups: readonly Lookup[],
  ): Promise<{ repeated?: StoredDedupKey; records: StoredRecord[][] }>;

  /** One page of a category, oldest first unless `descending`; `total` counts all that match. A damaged row is not among the rows, but named. */
  find(tenant: string, category: string, query: Query): Promise<Page<StoredRecord>>;

  /** A secret by its key id; undefined when the tenant has none. Callers may cache it in memory, never elsewhere. */
  key(tenant: string, kid: string): Promise<StoredKey | undefined>;

  /** The owner of a key, over all tenants: the only read without a tenant. */
  keyOwner(kid: string): Promise<KeyOwner | undefined>;

  /**
   * Events of a tenant in the order of their ids after `after` (an event id), or the named ones. Commits made at once may become visible in another order than
   * that of their ids: who follows the events by `after` alone must look back a little.
   */
  events(tenant: string, query: { ids?: readonly string[]; after?: string; limit?: number }): Promise<StoredEvent[]>;

  /** How far a controller's call has come: how many of its jobs are open, and what it wrote or why it failed. */
  callStatus(tenant: string, callId: string): Promise<CallStatus>;

  /**
   * The first messages of a box, in the order in which they were committed; those that have expired, or were given up, are not among them. With `recipient` only
   * those for this key; `origin` only the agent's own. Reading changes nothing: a message is there until a commit takes it. An unknown box is empty.
   */
  mail(tenant: string, box: string, query: MailQuery): Promise<QueuedMessage[]>;

  /** How much lies in a box, or of it for one recipient. */
  mailbox(tenant: string, box: string, recipient?: string): Promise<MailboxStatus>;
}

/** The job side of the same database. */
export interface Jobs {
  /**
   * Takes up to `lanes` lanes that are due and held by nobody, each with its first `perLane` due jobs in order, and holds them for `leaseMs` by the database's
   * clock. Two claimers never hold one lane at the same time. In turn by tenant and, of a tenant, by target, so that none waits behind another's crowd. With
   * `lane` only that one is tried, even if its head is not due yet (mail for a session).
   */
  claim(claim: Claim & { lane?: string }): Promise<ClaimedLane[]>;

  /**
   * Ends the hold on lanes, in one round trip: removes what is done, puts back what is to be retried (attempts + 1 unless `untried`, not before `at`), sets aside what is dead
   * (a dead letter frees its lane). Jobs not mentioned stay as they were. A lane whose lease was lost is left alone.
   */
  settle(settled: readonly SettledLane[]): Promise<void>;

  /**
   * Has lanes settled by the transactions of others, in a store where that costs less: `take` gives those that wait when one begins, `again` has those of one that
   * failed.
   */
  settleAlong?(take: () => readonly SettledLane[], again: (lanes: readonly SettledLane[]) => void): void;

  /** `settle`, then `claim`, in one round trip, and what there is to claim later. `settled` may hold lanes of any kind; on failure all of it may be settled again. */
  settleAndClaim(settled: readonly SettledLane[], claim: Claim): Promise<Claims>;

  /** Prolongs holds by `leaseMs` from now; the leases that are still held. A hold that ran out lasts until another claims the lane. */
  extend(leases: readonly string[], leaseMs: number): Promise<string[]>;

  /** Removes jobs that were completed outside a lane (a reply that went out on the connection it came from). */
  drop(tenant: string, jobs: readonly Pick<JobWrite, 'id' | 'lane'>[]): Promise<void>;

  /** Dead letters of a tenant, oldest first. */
  dead(tenant: string, page: { limit: number; offset: number }): Promise<Page<DeadJob>>;

  /** Puts dead letters back into their lanes with attempts 0; how many were found. */
  revive(tenant: string, ids: readonly string[]): Promise<number>;

  /** Calls `listener` after commits, here or in another process (that notification may be lost). Returns the function that ends it. */
  subscribe(listener: (notification: ChangeNotification) => void): () => void;
}

/** Tenants and the life of the database. */
export interface StoreAdmin extends Carrying {
  /** Creates a tenant with a fresh data key, or does nothing when it exists. With `lock` its owner keeps the key: it is sealed under that, and open until a time. */
  ensureTenant(tenant: string, name: string, lock?: TenantLock): Promise<void>;
  /** Opens a locked tenant until a time, whatever the former one was. @throws AppError `unauthorized` for another wallet key, `not-found` */
  unlockTenant(tenant: string, lock: TenantLock): Promise<void>;
  /** Lets an open tenant whose owner keeps the key be open until a time (ms), where that is later than its own. @throws AppError `wallet-locked` where it is not open */
  keepOpen(tenant: string, until: number): Promise<void>;
  /** Locks a tenant whose owner keeps the key, in every process: its wrapped key is gone until it is opened again. @throws AppError `not-found` for another */
  lockTenant(tenant: string): Promise<void>;
  /** Locks the tenants whose time is over: every call about them is `wallet-locked` then, and their lanes wait. How many. */
  lockTenants(now: number): Promise<number>;
  /** Makes a tenant unreadable: its data key is overwritten, its key owners, lanes and jobs are gone, in one transaction. Its other rows are swept later. */
  eraseTenant(tenant: string): Promise<void>;
  /** Removes some rows of a tenant that was erased; how many went. At 0 the tenant itself is gone. */
  sweepTenant(tenant: string): Promise<number>;
  /** Ids of all tenants. */
  tenants(): Promise<string[]>;
  /** Removes dedup keys, results of calls and events older than their time; how many rows went. */
  expire(now: number): Promise<number>;
  /**
   * Removes some of the mail whose time is over, or that was given up after too many attempts: how many messages of which box. Empty when there is no more. What
   * it answers is removed: of two calls at once only one gets a message.
   */
  expireMail(now: number): Promise<{ tenant: string; mailbox: string; messages: number; reason: 'expired' | 'undeliverable' }[]>;
  /** Resolves when every commit that is done is durable against the loss of power too. Takes no room. */
  durable(): Promise<void>;
  /** Writes a little, to see that it can. @throws AppError when the database does not answer, or has no room. */
  check(): Promise<void>;
  /** How many jobs are open, of every kind, and how many are dead, over all tenants. */
  backlog(): Promise<{ open: Record<JobKind, number>; dead: number }>;
  /** Counters for `/status`: commits, statements (SQL round trips), conflicts. */
  stats(): Record<string, number>;
  /** Waits for what is under way, then closes. */
  close(): Promise<void>;
}

/** How a tenant whose key its owner keeps is opened. */
export interface TenantLock {
  readonly walletKey: string;
  /** ms since 1970. */
  readonly until: number;
}

/** An adapter's `open`. */
export interface Database {
  store: Store;
  jobs: Jobs;
  blobs: Blobs;
  admin: StoreAdmin;
  /** The time by the clock that all who have the database open share. */
  now(): number;
  /** Whether other processes may have it open too. */
  readonly isShared: boolean;
}

export interface Commit {
  records?: readonly RecordWrite[];
  deletes?: readonly { category: string; id: string; expect: number }[];
  /** New keys only; a key id that the tenant has is a `conflict`. */
  keys?: readonly KeyWrite[];
  /** Ids of the keys that are removed; unknown ones are passed over. */
  removedKeys?: readonly string[];
  /** Of this tenant only; removals (`removedKeyOwners`) come first, so that a commit can move a key. */
  keyOwners?: readonly KeyOwner[];
  removedKeyOwners?: readonly string[];
  /** Tenants whose profile this changes, and DIDs whose document is another now: for the listeners of every process. */
  invalidate?: readonly string[];
  dedupKeys?: readonly DedupKeyWrite[];
  jobs?: readonly JobWrite[];
  /** Messages that are kept for peers who fetch them. */
  mail?: readonly QueuedMessageWrite[];
  /** Messages that their owner has: they go. Ids that are not in the box are passed over. */
  acknowledged?: readonly { mailbox: string; ids: readonly string[] }[];
  /** Messages that were sent and not confirmed: attempts + 1. At `MAIL_ATTEMPTS` it is given up: nobody reads it again, and `expireMail` removes it. */
  unacknowledged?: readonly { mailbox: string; ids: readonly string[] }[];
  events?: readonly EventWrite[];
  /** Jobs that this commit completes; each must still be held under its lease. */
  done?: readonly { id: string; lease: string }[];
  /** The record as a controller sees it after this commit, kept for the REST call that caused it. */
  results?: readonly CallAnswer[];
  /** The same for a call that waits in this process, where nobody else can ask for it: the listeners have it, and it is not stored. */
  answers?: readonly CallAnswer[];
  /** The call that waits for it has no answer before a later commit, or before `StoreAdmin.durable`: it may be lost with the machine's power until then. */
  isUnanswered?: boolean;
  /** Why a controller's call failed for good. */
  failures?: readonly { callId: string; code: string; text: string }[];
}

export interface CallAnswer {
  readonly callId: string;
  readonly value: JsonObject;
}

/** How often a message is sent without an acknowledgement. */
export const MAIL_ATTEMPTS = 20;

/** A message to be kept for a peer that fetches its mail. */
export interface QueuedMessageWrite {
  /** Unique in the tenant among what is kept; where one is there already, the commit fails as a whole with `mail-known`. */
  id: string;
  /** The owner: a connection's id. */
  mailbox: string;
  /** The verkey that it was forwarded to; absent for a message of our own. Kept as a keyed hash, and in the encrypted row. */
  recipient?: string;
  /** An envelope as it came. Encrypted at rest under the tenant's data key, with associated data of its id. */
  body: string;
  /** When (ms) it is given up. */
  expires: number;
  /** The bound of the box with it; a commit beyond that fails as a whole with `mailbox-full`. Absent: no bound. */
  limit?: { messages: number; bytes: number };
}

export interface QueuedMessage {
  id: string;
  /** An envelope that was forwarded to its mailbox, or a message of the agent's own. */
  origin: 'forwarded' | 'agent';
  recipient?: string;
  body: string;
  /** When it was committed, ms. */
  received: number;
  /** How often it was sent without an acknowledgement. */
  attempts: number;
}

export interface MailQuery {
  /** At least 1. */
  limit: number;
  /** No more than that together, but always the first. */
  maxBytes?: number;
  recipient?: string;
  /** `agent`: only messages of the agent's own. */
  origin?: 'agent';
  /** Ids that the caller has already: passed over, and not counted. At most 1,000. */
  without?: readonly string[];
}

export interface MailboxStatus {
  messages: number;
  bytes: number;
  /** Times of the oldest and the newest, ms; absent where there is none. */
  oldest?: number;
  newest?: number;
}

export interface RecordWrite {
  category: string;
  id: string;
  /** The version that was read; 0 for a new record. The stored version becomes `expect + 1`. */
  expect: number;
  state?: string;
  role?: string;
  connection?: string;
  /** Hidden search tags; a list value is searchable by each member. Replaces all tags of the record. */
  tags?: Readonly<Record<string, string | readonly string[] | undefined>>;
  value: JsonObject;
  /** The value is the one that was read: it is not written again. */
  isSameValue?: boolean;
}

export interface StoredRecord {
  category: string;
  id: string;
  version: number;
  state?: string;
  role?: string;
  connection?: string;
  created: number;
  updated: number;
  value: JsonObject;
}

/** Rows that a lookup by tag brings at most. */
export const LOOKUP_ROWS = 20;

export type Lookup = { category: string; id: string } | { category: string; tag: string; equals: string };

export interface Query {
  state?: string;
  role?: string;
  connection?: string;
  tags?: Readonly<Record<string, string>>;
  /** Those created at `from` (ms) or later, and before `before`. */
  from?: number;
  before?: number;
  /** `next` stands at the end too, for rows that come later. */
  follow?: boolean;
  /** Default 100, at most 10,000. */
  limit?: number;
  offset?: number;
  /** A `next` of an earlier page, instead of `offset`. */
  cursor?: string;
  descending?: boolean;
}

export interface Page<Row> {
  rows: Row[];
  total: number;
  next?: string;
  /** Ids of this page's rows that failed their integrity check. */
  damaged?: string[];
}

export interface KeyWrite {
  /** Base58 verification key, or another id that is unique in the tenant. */
  kid: string;
  /** `ed25519`, `x25519`, `p256`, `link-secret`, `cred-def`, ... */
  type: string;
  secret: Uint8Array;
  meta?: JsonObject;
}

export interface StoredKey {
  kid: string;
  type: string;
  secret: Uint8Array;
  meta: JsonObject;
}

export interface KeyOwner {
  kid: string;
  tenant: string;
  /** The use of the key: `connection`, `invitation`, `public`, `mediation`. */
  kind: string;
  /** The record it belongs to. */
  target: string;
}

/** The key of a message or call that was handled. `answer` is kept, so that a repetition gets the same one. */
export interface DedupKeyWrite {
  dedupKey: string;
  answer?: JsonObject;
  expires: number;
}

export interface StoredDedupKey {
  answer?: JsonObject;
}

/** Kinds of jobs. `tell` is the name under which earlier versions stored a `local-message`: such jobs still run, and none is written. */
export const JOB_KINDS = ['deliver', 'event', 'command', 'local-message', 'tell', 'work', 'ledger', 'inbox', 'keylist'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

export interface JobWrite {
  /** Time-ordered and unique. */
  id: string;
  kind: JobKind;
  /** The lane, in which order is kept: `deliver:<connection>`, `event:<url hash>:<record>`, `work:<record>`, ... unique over all tenants. */
  lane: string;
  payload: JsonObject;
  /** The controller's call that this job belongs to. */
  callId?: string;
  /**
   * A number of the tenant's counter of this name, from 1 on: taken in the commit, kept with the job, and given to nobody else, whatever becomes of the job. Where
   * the counter has given `upTo`, the commit fails as a whole with `counter-full`.
   */
  allocate?: { counter: string; upTo: number };
  /** Not before this time (ms); 0 or absent: now. Infinity is written as `never`: it waits for `claim({lane})`. */
  notBefore?: number;
}

export interface ClaimedLane {
  lane: string;
  kind: JobKind;
  tenant: string;
  lease: string;
  jobs: ClaimedJob[];
}

export interface ClaimedJob {
  id: string;
  kind: JobKind;
  tenant: string;
  attempts: number;
  payload: JsonObject;
  callId?: string;
  /** The number that the job's `allocate` took. */
  allocated?: number;
}

export interface SettledLane {
  lane: string;
  lease: string;
  done?: readonly string[];
  /** `untried`: it was not tried, and is no attempt. */
  retry?: readonly { id: string; at: number; error: string; untried?: boolean }[];
  dead?: readonly { id: string; error: string }[];
}

export interface DeadJob {
  id: string;
  kind: JobKind;
  lane: string;
  attempts: number;
  died: number;
  error: string;
  payload: JsonObject;
}

export interface EventWrite {
  /** Time-ordered and unique: the one id of this change. */
  id: string;
  topic: string;
  category: string;
  record: string;
  /** `{ payload, terse? }` and what delivery needs. */
  value: JsonObject;
}

export interface StoredEvent {
  id: string;
  topic: string;
  category: string;
  record: string;
  time: number;
  value: JsonObject;
  /** It failed its integrity check: nothing is known of its value. */
  damaged?: true;
}

export interface CallStatus {
  /** Jobs of this call that are neither done nor dead (deliver and event jobs do not count). */
  open: number;
  result?: JsonObject;
  failure?: { code: string; text: string };
}

export interface ChangeNotification {
  /** From another process, which works on the jobs that it committed. */
  elsewhere?: boolean;
  /** Kinds of the jobs that were committed. */
  kinds: readonly JobKind[];
  /** Ids of calls that may have moved. */
  callIds: readonly string[];
  /** Names that this and other processes drop from memory: tenants, DIDs, and keys that serve nothing any more. `*` for everything. */
  invalidate: readonly string[];
  /** Tenants of which another process committed events. */
  tenants: readonly string[];
  /** Events that were committed here (not given for other processes). */
  events: readonly { tenant: string; event: EventWrite }[];
  /** Answers of calls that wait here. */
  answers?: readonly CallAnswer[];
  /**
   * Boxes that got mail, here or in another process. Here, `mail` is what came, in order, and `waiting` how many messages the box holds with the last of them:
   * a reader that has sent all but these has sent all.
   */
  mailboxes: readonly { tenant: string; mailbox: string; mail?: readonly QueuedMessageWrite[]; waiting?: number }[];
}
