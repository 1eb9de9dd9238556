import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from './json.ts';
import type { ChangeNotification, ClaimedLane, Database, JobWrite, RecordWrite, StoredRecord } from './store.ts';

/** A database under test, and what a test needs to do behind its back. */
export interface OpenedStore {
  db: Database;
  /** Closes and opens it again. */
  reopen(): Promise<Database>;
  /** Closes it for good and removes what it left. */
  close(): Promise<void>;
  /** Everything that is at rest. */
  bytes(): Promise<Buffer>;
  /** Swaps the stored ciphertexts of two records. */
  swap(a: string, b: string): Promise<void>;
  /** Swaps the stored ciphertexts of two messages. */
  swapMail(a: string, b: string): Promise<void>;
  /** Flips a bit of a stored job's payload. */
  spoilJob(id: string): Promise<void>;
  /** Another process's view of the same database, where the adapter allows one. */
  second?(): Promise<Database>;
}

export const A = 'tenant-a';
export const B = 'tenant-b';
let count = 0;
/** Ids in the order of their making, as the port wants them. */
export const nextId = (): string => `${Date.now().toString(36)}-${(count++).toString(36).padStart(8, '0')}`;
export const record = (id: string, expect: number, value: JsonObject, more: Partial<RecordWrite> = {}): RecordWrite => ({
  category: 'connection',
  id,
  expect,
  value,
  ...more,
});
export const job = (lane: string, more: Partial<JobWrite> = {}): JobWrite => ({
  id: nextId(),
  kind: 'deliver',
  lane,
  payload: { to: lane },
  ...more,
});
export const failsWith = (code: string) => (error: unknown) => error instanceof Error && 'code' in error && error.code === code;
export const ids = (lanes: readonly ClaimedLane[]): string[] => lanes.flatMap((lane) => lane.jobs.map((one) => one.id));

/** What the parts of the suite share: the database (always the one that is open now) and short ways to use it. */
export interface StoreKit {
  db: Database;
  opened(): OpenedStore;
  one(tenant: string, id: string): Promise<StoredRecord | undefined>;
  claim(lane: string, leaseMs?: number, perLane?: number): Promise<ClaimedLane | undefined>;
  /** Claims what is due, keeps what is in the lanes of this test and settles the rest away. */
  claimOf(prefix: string): Promise<ClaimedLane[]>;
}

export function storeKit(opened: () => OpenedStore): StoreKit {
  const db: Database = {
    get store() {
      return opened().db.store;
    },
    get jobs() {
      return opened().db.jobs;
    },
    get blobs() {
      return opened().db.blobs;
    },
    get admin() {
      return opened().db.admin;
    },
    get isShared() {
      return opened().db.isShared;
    },
    now: () => opened().db.now(),
  };
  return {
    db,
    opened,
    one: async (tenant, id) => (await db.store.load(tenant, [{ category: 'connection', id }]))[0]?.[0],
    claim: async (lane, leaseMs = 60_000, perLane = 10) => (await db.jobs.claim({ owner: 'test', lanes: 1, perLane, leaseMs, lane }))[0],
    async claimOf(prefix) {
      const lanes = await db.jobs.claim({ owner: 'test', lanes: 1000, perLane: 10, leaseMs: 60_000 });
      const others = lanes.filter((lane) => !lane.lane.startsWith(prefix));
      await db.jobs.settle(others.map((lane) => ({ lane: lane.lane, lease: lane.lease, done: ids([lane]) })));
      return lanes.filter((lane) => lane.lane.startsWith(prefix));
    },
  };
}

/**
 * Waits until one process has the notifications of all that another has committed: that of a last commit is there, behind all others. The first time it waits
 * until they are listened for.
 */
export async function reached(from: Database, to: Database): Promise<void> {
  for (let tries = 0; ; tries++) {
    const box = `${REACHED}${randomUUID()}`;
    let isThere = false;
    const end = to.jobs.subscribe(({ mailboxes }) => {
      isThere ||= mailboxes.some(({ mailbox }) => mailbox === box);
    });
    await from.store.commit(A, { mail: [{ id: nextId(), mailbox: box, body: 'x', expires: Date.now() + 60_000 }] });
    for (let i = 0; i < 100 && !isThere; i++) await sleep(10);
    end();
    if (isThere) return;
    if (tries > 100) throw new Error('a process gets no notifications of another');
  }
}
const REACHED = 'reached ';
/** The notifications but for those of {@link reached}. */
export const beside = (notifications: readonly ChangeNotification[]): ChangeNotification[] =>
  notifications.filter(({ mailboxes }) => !mailboxes.some(({ mailbox }) => mailbox.startsWith(REACHED)));
