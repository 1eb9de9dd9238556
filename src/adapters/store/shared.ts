import { AppError, DamagedRecord } from '../../errors.ts';
import {
  type CallAnswer,
  type ChangeNotification,
  type Commit,
  type DeadJob,
  JOB_KINDS,
  type JobKind,
  type MailboxStatus,
  type QueuedMessage,
  type QueuedMessageWrite,
  type StoredEvent,
  type StoredRecord,
} from '../../ports/store.ts';
import { storedValue } from '../../ports/stored-value.ts';
import { lockDataKey, unlockDataKey, VaultBusy } from '../../vault/master.ts';
import {
  decodeEvent,
  decodeJob,
  decodeMail,
  decodeRecord,
  type MailColumns,
  openDeath,
  type RecordColumns,
  takeAllocated,
} from '../../vault/rows.ts';
import { type TenantKeys, tenantKeys, unwrapDataKey, VaultError } from '../../vault/seal.ts';

/** How long what the databases keep by themselves lives: events for replay, outcomes for the REST call that waits for them. */
export const EVENT_MS = 7 * 24 * 3600 * 1000;
export const CALL_MS = 3600 * 1000;
/** The bounds of a page. */
export const PAGE_ROWS = 100;
export const MAX_PAGE_ROWS = 10_000;
const TENANTS_KEPT = 10_000;

/** Runs a decoding; what the vault refuses is a damaged database. `what` names the row for the log. */
export function guarded<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof VaultError || error instanceof SyntaxError) {
      throw new AppError('store-corrupt', `The database is damaged: ${what} failed its integrity check`, { cause: error });
    }
    throw error;
  }
}

/** Decodes rows of a database, and reports each damaged one by a name for the log. */
export function rowReader(damaged: (what: string) => void) {
  function decoded<T>(what: string, decode: () => T): T {
    try {
      return guarded(what, decode);
    } catch (error) {
      if (error instanceof AppError && error.code === 'store-corrupt') damaged(what);
      throw error;
    }
  }

  function record(keys: TenantKeys, row: RecordColumns): StoredRecord {
    const { category, id, version } = row;
    try {
      const found = decoded(`record ${category}/${id}`, () => decodeRecord(keys, row));
      storedValue(found.value);
      return found;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      throw new DamagedRecord({ category, id, version }, error.message, { cause: error.cause });
    }
  }

  return {
    decoded,
    record,
    /** Those that can be read, and the ids of the others: one damaged row must not hide the rest of a list. */
    records(keys: TenantKeys, rows: readonly RecordColumns[]): { rows: StoredRecord[]; damaged?: string[] } {
      const out: StoredRecord[] = [];
      const lost: string[] = [];
      for (const row of rows) {
        try {
          out.push(record(keys, row));
        } catch (error) {
          if (!(error instanceof DamagedRecord)) throw error;
          lost.push(row.id);
        }
      }
      return { rows: out, ...(lost.length > 0 ? { damaged: lost } : {}) };
    },
    /** As a list goes on behind an event that cannot be read, it is among them, without its value. */
    event(keys: TenantKeys, row: Parameters<typeof decodeEvent>[1]): StoredEvent {
      try {
        return decoded(`event ${row.id}`, () => decodeEvent(keys, row));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        const { id, topic, category, record: of, time } = row;
        return { id, topic, category, record: of, time, value: {}, damaged: true };
      }
    },
  };
}
export type RowReader = ReturnType<typeof rowReader>;

/** Runs an opening of keys; what the vault refuses is a wrong master key. */
export function guardedMaster<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    throw new AppError('wrong-master-key', `The wallet key does not open this database (${error.message})`, {
      cause: error,
    });
  }
}

/** A tenant as the adapters keep it in memory: its number in the database and its working keys. */
export interface KnownTenant {
  n: number;
  keys: TenantKeys;
  /** Until when (ms) it is open, where its owner keeps its key. */
  until?: number;
}

/** A tenant's row: what its keys are made of, or why there are none. */
export interface TenantRow {
  n: number;
  id: string;
  data_key: Uint8Array;
  lock: string | null;
  open_until: number | null;
}

/** A tenant from its row. @throws AppError `not-found` where it was erased, `wallet-locked`, `store-corrupt` */
export function openTenant(master: Uint8Array, { n, id, data_key, lock, open_until }: TenantRow): KnownTenant {
  const locked = lock !== null;
  if (locked && (data_key.length === 0 || Number(open_until) <= Date.now())) throw new AppError('wallet-locked');
  if (data_key.length === 0) throw new AppError('not-found', `Tenant ${id} was erased`);
  const dataKey = guarded(`the key of tenant ${id}`, () => unwrapDataKey(master, id, data_key));
  return { n, keys: tenantKeys(id, dataKey), until: locked ? Number(open_until) : undefined };
}

/** The data key of a locked tenant. @throws AppError `unauthorized` for another wallet key, `busy` where too many are being tried */
export async function openLock(walletKey: string, tenant: string, lock: string): Promise<Buffer> {
  try {
    return await unlockDataKey(walletKey, tenant, lock);
  } catch (error) {
    if (error instanceof VaultError) throw new AppError('unauthorized', 'The wallet_key is not that of the wallet');
    throw inTime(error);
  }
}

/** A tenant's data key under its owner's key. @throws AppError `busy` where too many are being made */
export async function closeLock(walletKey: string, tenant: string, dataKey: Uint8Array): Promise<string> {
  try {
    return await lockDataKey(walletKey, tenant, dataKey);
  } catch (error) {
    throw inTime(error);
  }
}

const inTime = (error: unknown): unknown =>
  error instanceof VaultBusy ? new AppError('busy', 'Too many wallet keys are being tried: come back in a moment') : error;

/** The tenants seen last; the oldest goes when there are too many, so that idle ones cost nothing. */
export function tenantCache() {
  const byId = new Map<string, KnownTenant>();
  const byNumber = new Map<number, KnownTenant>();
  return {
    byId(id: string): KnownTenant | undefined {
      const known = byId.get(id);
      if (known?.until === undefined || known.until > Date.now()) return known;
      this.invalidate(id);
      return undefined;
    },
    byNumber(n: number): KnownTenant | undefined {
      const known = byNumber.get(n);
      return known && this.byId(known.keys.tenant);
    },
    add(tenant: KnownTenant): KnownTenant {
      byId.set(tenant.keys.tenant, tenant);
      byNumber.set(tenant.n, tenant);
      if (byId.size > TENANTS_KEPT) {
        const [oldest] = byId.values();
        if (oldest) this.invalidate(oldest.keys.tenant);
      }
      return tenant;
    },
    /** `*` for all. */
    invalidate(id: string): void {
      if (id === '*') {
        byId.clear();
        byNumber.clear();
      }
      const known = byId.get(id);
      byId.delete(id);
      if (known) byNumber.delete(known.n);
    },
  };
}

/** Open jobs of every kind, from counts by kind: kinds that have none are 0. */
export const openJobs = (rows: readonly { kind: JobKind; n: number }[]): Record<JobKind, number> => ({
  ...(Object.fromEntries(JOB_KINDS.map((kind) => [kind, 0])) as Record<JobKind, number>),
  ...Object.fromEntries(rows.map(({ kind, n }) => [kind, n])),
});

/** Error text of a job that was set aside because it cannot be read. */
export const DAMAGED_JOB = 'The job failed its integrity check';

/** A dead letter as it is listed; one whose payload cannot be read is listed without it, for someone must be able to see that it is there. */
export function readDead(keys: TenantKeys, row: Omit<DeadJob, 'error' | 'payload'> & { error: Uint8Array; payload: Uint8Array }): DeadJob {
  const { id, kind, lane, attempts, died } = row;
  const rest = { id, kind, lane, attempts, died };
  try {
    const payload = decodeJob(keys, row);
    takeAllocated(payload);
    return { ...rest, error: openDeath(keys, id, row.error), payload };
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    return { ...rest, error: DAMAGED_JOB, payload: {} };
  }
}

/** The changes of one batch, gathered for the listeners. */
export interface NotificationDraft {
  elsewhere?: boolean;
  kinds: Set<JobKind>;
  callIds: Set<string>;
  invalidate: Set<string>;
  tenants: Set<string>;
  events: ChangeNotification['events'][number][];
  answers: CallAnswer[];
  /** By the box's name in notifications. */
  mailboxes: Map<string, { tenant: string; mailbox: string; mail?: QueuedMessageWrite[]; waiting?: number }>;
}

export const notificationDraft = (): NotificationDraft => ({
  kinds: new Set(),
  callIds: new Set(),
  invalidate: new Set(),
  tenants: new Set(),
  events: [],
  answers: [],
  mailboxes: new Map(),
});

/**
 * Names to be invalidated, tenants with events, and mailboxes with messages travel to other processes among the ids of calls, which are random, under these prefixes.
 */
const INVALIDATE = 'invalidate:';
const EVENTS = 'events:';
const MAIL = 'mail:';
/** Beyond that `*` stands for all mailboxes: a notification has room for 8000 bytes, and one that is too large invalidates everything everywhere. */
const NOTIFIED_BYTES = 4000;
const mailboxName = (tenant: string, box: string): string => MAIL + JSON.stringify([tenant, box]);
const ANY_MAILBOX = mailboxName('*', '*');

function notifiedMailboxes(draft: NotificationDraft): string[] {
  const names = [...draft.mailboxes.keys()];
  // a quotation mark of a name is two bytes in the notification
  return names.reduce((sum, name) => sum + 2 * name.length, 0) > NOTIFIED_BYTES ? [ANY_MAILBOX] : names;
}
export const invalidateName = (name: string): string => INVALIDATE + name;
/** The ids of calls of a draft, and the names that travel among them. */
export const notifiedNames = (draft: NotificationDraft): string[] => [
  ...draft.callIds,
  ...[...draft.invalidate].map(invalidateName),
  ...new Set(draft.events.map(({ tenant }) => EVENTS + tenant)),
  ...notifiedMailboxes(draft),
];

function addMailbox(draft: NotificationDraft, name: string): void {
  const [tenant = '', box = ''] = JSON.parse(name.slice(MAIL.length)) as string[];
  draft.mailboxes.set(name, { tenant, mailbox: box });
}

/** A notification of another process as a draft; where everything is invalid, any box may have got mail. */
export function receivedDraft(kinds: readonly JobKind[], callIds: readonly string[]): NotificationDraft {
  const draft = { ...notificationDraft(), elsewhere: true, kinds: new Set(kinds) };
  for (const callId of callIds) {
    if (callId.startsWith(INVALIDATE)) draft.invalidate.add(callId.slice(INVALIDATE.length));
    else if (callId.startsWith(EVENTS)) draft.tenants.add(callId.slice(EVENTS.length));
    else if (callId.startsWith(MAIL)) addMailbox(draft, callId);
    else draft.callIds.add(callId);
  }
  if (draft.invalidate.has('*')) addMailbox(draft, ANY_MAILBOX);
  return draft;
}

/** Adds what a commit announces. */
export function draftCommit(draft: NotificationDraft, tenant: string, commit: Commit): void {
  for (const job of commit.jobs ?? []) {
    draft.kinds.add(job.kind);
    if (job.callId !== undefined) draft.callIds.add(job.callId);
  }
  for (const result of commit.results ?? []) draft.callIds.add(result.callId);
  for (const answer of commit.answers ?? []) {
    draft.callIds.add(answer.callId);
    draft.answers.push(answer);
  }
  for (const failure of commit.failures ?? []) draft.callIds.add(failure.callId);
  for (const event of commit.events ?? []) draft.events.push({ tenant, event });
  for (const mail of commit.mail ?? []) {
    const name = mailboxName(tenant, mail.mailbox);
    const found = draft.mailboxes.get(name);
    if (found?.mail) found.mail.push(mail);
    else draft.mailboxes.set(name, { tenant, mailbox: mail.mailbox, mail: [mail] });
  }
  for (const name of [...(commit.invalidate ?? []), ...(commit.removedKeyOwners ?? []), ...(commit.removedKeys ?? [])])
    draft.invalidate.add(name);
}

/** Notes how many messages a box of the draft holds. */
export function draftWaiting(draft: NotificationDraft, tenant: string, box: string, waiting: number): void {
  const found = draft.mailboxes.get(mailboxName(tenant, box));
  if (found) found.waiting = waiting;
}

/** A message, or undefined where it fails its integrity check: one damaged row must not keep the rest of its box from being read. It goes when its time is over. */
export function readMail(keys: TenantKeys, box: string, row: MailColumns): QueuedMessage | undefined {
  try {
    return decodeMail(keys, box, row);
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    return undefined;
  }
}

/** The counters of a box from their row; where there is none, or no message, it has no times. */
export function mailboxStatus(
  row: { messages: number; bytes: number; oldest?: number | null; newest?: number | null } | undefined,
): MailboxStatus {
  const { messages = 0, bytes = 0, oldest, newest } = row ?? {};
  return { messages, bytes, ...(oldest == null ? {} : { oldest }), ...(newest == null ? {} : { newest }) };
}

/** Listeners of commits. One that throws does not keep the others from their notification. */
export function notificationBoard(report: (error: unknown) => void) {
  const listeners = new Set<(notification: ChangeNotification) => void>();
  return {
    subscribe(listener: (notification: ChangeNotification) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    publish(draft: NotificationDraft): void {
      const { kinds, callIds, invalidate, tenants, events, answers, mailboxes } = draft;
      if (kinds.size + callIds.size + invalidate.size + tenants.size + events.length + mailboxes.size === 0) return;
      const notification: ChangeNotification = {
        kinds: [...kinds],
        callIds: [...callIds],
        invalidate: [...invalidate],
        tenants: [...tenants],
        events,
        mailboxes: [...mailboxes.values()],
        ...(answers.length > 0 ? { answers } : {}),
        ...(draft.elsewhere ? { elsewhere: true } : {}),
      };
      for (const listener of listeners) {
        try {
          listener(notification);
        } catch (error) {
          report(error);
        }
      }
    },
  };
}
