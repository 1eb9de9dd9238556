import { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import type { Commit, Database, Lookup, MailQuery, Query, Store, StoreAdmin } from '../../ports/store.ts';
import { createMaster, newWalletKey, openMaster } from '../../vault/master.ts';
import { encodeCommit } from '../../vault/rows.ts';
import { draftCommit, draftWaiting, guardedMaster, notificationBoard, rowReader } from '../store/shared.ts';
import { batchWriter } from './batch.ts';
import { sqliteBlobs } from './blobs.ts';
import { sqliteCarry } from './carry.ts';
import { commitWriter, type Written } from './commit.ts';
import { generateWalletKey, lockFile, preparedPath, savedMaster, savedWalletKey, sqliteError } from './file.ts';
import { sqliteJobs } from './jobs.ts';
import { holds, laneWrites } from './lanes.ts';
import { mailReads } from './mail.ts';
import { sqliteReads } from './read.ts';
import { migrateSqlite } from './schema.ts';
import { sqliteTenants } from './tenants.ts';
import { sqliteUpkeep } from './upkeep.ts';

export interface SqliteOptions {
  /** The database file; its folder is created. `:memory:` for one that is gone with the process. */
  path: string;
  /**
   * `--wallet-key`: base58 of 32 bytes, the 32 bytes, or a passphrase. Without one, a fresh database gets a generated key in `<path>.key`, and an existing one is
   * opened with that file.
   */
  masterKey?: string | Uint8Array;
  /** The largest size in pages of 4 KiB; a commit beyond it fails with `store-full`. */
  maxPageCount?: number;
  /** Takes the failure of a listener. */
  report?: (error: unknown) => void;
  /** Where a row is named that failed its integrity check, each time that it is read. */
  damaged?: (what: string) => void;
}

/** Commits change a few short rows in many tables: with larger pages most of what they write is what did not change. */
const PAGE_BYTES = 4096;
/** What SQLite itself keeps of the file, a thousand pages: the system keeps the rest. It fills up within some hundred flows, and is memory of the process then. */
const CACHE_KIB = 4096;
/** The log goes into the file when it has this many pages: 16 MiB. */
const LOG_PAGES = 4096;

/**
 * Opens an SQLite database, creates it when there is none, and keeps every other process off it.
 * @throws AppError `store-locked`, `store-corrupt`, `wrong-master-key`, `store-unavailable` (schema of a newer version, file not accessible).
 */
export async function openSqlite(options: SqliteOptions): Promise<Database> {
  const inMemory = options.path === ':memory:';
  const path = inMemory ? options.path : prepared(options.path);
  const unlock = inMemory ? () => undefined : lockFile(path);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 2000 });
    db.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON;
      PRAGMA wal_autocheckpoint = ${LOG_PAGES}; PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF`);
    migrateSqlite(db);
    const master = masterKey(db, inMemory ? undefined : path, options.masterKey);
    if (options.maxPageCount !== undefined) db.exec(`PRAGMA max_page_count = ${Math.trunc(options.maxPageCount)}`);
    return createDatabase(db, master, unlock, { ...options, path });
  } catch (error) {
    db?.close();
    unlock();
    throw sqliteError(error);
  }
}

const numberOf = (db: DatabaseSync, pragma: string): number => Number(Object.values(db.prepare(`PRAGMA ${pragma}`).get()!)[0]);
/** The size of a file's pages, which is that of the version that made it. */
const pageBytes = (db: DatabaseSync): number => numberOf(db, 'page_size');

/**
 * Writes a database of an earlier version anew with pages of this version's size; whether it had others. The file is whole at every moment.
 * @throws AppError as `openSqlite`, `store-full` where there is no room for a second copy of the file meanwhile
 */
export function repageSqlite(given: string): boolean {
  const path = prepared(given);
  const unlock = lockFile(path);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 2000 });
    if (pageBytes(db) === PAGE_BYTES || numberOf(db, 'page_count') === 0) return false;
    // the size of pages changes outside of WAL alone
    db.exec(`PRAGMA journal_mode = DELETE; PRAGMA page_size = ${PAGE_BYTES}; VACUUM; PRAGMA journal_mode = WAL`);
    return true;
  } catch (error) {
    throw sqliteError(error);
  } finally {
    db?.close();
    unlock();
  }
}

function prepared(path: string): string {
  try {
    return preparedPath(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('store-unavailable', `The database file cannot be used (${reason})`, { cause: error });
  }
}

/** The master key: checked against an existing database, or set (and generated, if none is given) for a fresh one. */
function masterKey(db: DatabaseSync, path: string | undefined, given: string | Uint8Array | undefined): Uint8Array {
  const row = db.prepare("SELECT value FROM meta WHERE name = 'master'").get() as { value: string } | undefined;
  if (row) {
    const key = given === undefined ? path && savedMaster(path, row.value) : guardedMaster(() => openMaster(given, row.value));
    if (key) return key;
    throw new AppError('wrong-master-key', `The database needs its wallet key: none was given and ${path}.key does not exist`);
  }
  const known = given ?? (path === undefined ? undefined : savedWalletKey(path));
  const chosen = known ?? (path === undefined ? newWalletKey() : generateWalletKey(path));
  const { key, header } = guardedMaster(() => createMaster(chosen));
  db.prepare("INSERT INTO meta (name, value) VALUES ('master', ?)").run(header);
  return key;
}

/**
 * A commit that completes a job, or begins a call that is not answered yet, and does nothing but change records and order work need not wait for the disk: where the
 * machine's power takes it, the job is still there and runs again, or the call came to nothing. Whatever is seen of it outside, an answer, an event or a message, is in a later commit, which has this one on the disk before it.
 */
function isRepeatable({ done = [], jobs = [], isUnanswered = false, records: _records, ...others }: Commit): boolean {
  const isWork = jobs.length > 0 && jobs.every(({ kind, allocate }) => kind === 'work' && allocate === undefined);
  return isWork && (done.length > 0 || isUnanswered) && Object.values(others).every((rows) => !rows || rows.length === 0);
}

function createDatabase(
  db: DatabaseSync,
  master: Uint8Array,
  unlock: () => void,
  { path, maxPageCount, report = () => undefined, damaged = () => undefined }: Omit<SqliteOptions, 'masterKey'>,
): Database {
  const board = notificationBoard(report);
  const batch = batchWriter(db, board.publish, maxPageCount === undefined ? undefined : Math.trunc(maxPageCount));
  const held = holds();
  const lanes = laneWrites(db);
  const writeCommit = commitWriter(db, lanes, held);
  const reads = sqliteReads(db, rowReader(damaged));
  const mail = mailReads(db);
  let closed = false;

  function readNow<T>(run: () => T): T {
    if (closed) throw new AppError('store-unavailable', 'The database is closed');
    batch.counters.statements += 1;
    try {
      return run();
    } catch (error) {
      throw sqliteError(error);
    }
  }
  const read = async <T>(run: () => T): Promise<T> => readNow(run);
  const tenants = sqliteTenants({ db, master, batch, readNow });
  const tenantById = tenants.byId;
  const upkeep = sqliteUpkeep({ db, batch, read, pageBytes: pageBytes(db) });

  async function commit(tenant: string, what: Commit): Promise<void> {
    // sealed before the batch begins, so that the transaction only writes; queued before this call returns, so that commits keep the order of their calls
    const known = tenants.cached(tenant) ?? readNow(() => tenantById(tenant));
    const rows = encodeCommit(known.keys, what);
    let written: Written | undefined;
    return batch.write(
      () => {
        written = writeCommit(known.n, rows, Date.now());
      },
      (draft) => {
        draftCommit(draft, tenant, what);
        for (const lease of written?.ended ?? []) held.release(lease);
        for (const callId of written?.callIds ?? []) draft.callIds.add(callId);
        for (const { box, waiting } of written?.boxes ?? []) draftWaiting(draft, tenant, box, waiting);
      },
      { repeatable: isRepeatable(what), frees: (what.deletes?.length ?? 0) > 0 },
    );
  }

  const store: Store = {
    commit,
    load: (tenant: string, lookups: readonly Lookup[]) =>
      read(() => {
        const known = tenantById(tenant);
        return lookups.map((one) => reads.lookup(known, one));
      }),
    loadWithDedupKey: (tenant: string, dedupKey: string, lookups: readonly Lookup[]) =>
      read(() => {
        const known = tenantById(tenant);
        return { repeated: reads.storedDedupKey(known, dedupKey), records: lookups.map((one) => reads.lookup(known, one)) };
      }),
    find: (tenant: string, category: string, query: Query) => read(() => reads.find(tenantById(tenant), category, query)),
    key: (tenant: string, kid: string) => read(() => reads.key(tenantById(tenant), kid)),
    keyOwner: (kid: string) => read(() => reads.keyOwner(kid)),
    events: (tenant: string, query: Parameters<Store['events']>[1]) => read(() => reads.events(tenantById(tenant), query)),
    callStatus: (tenant: string, callId: string) => read(() => reads.callStatus(tenantById(tenant), callId)),
    mail: (tenant: string, box: string, query: MailQuery) => read(() => mail.mail(tenantById(tenant), box, query)),
    mailbox: (tenant: string, box: string, recipient?: string) => read(() => mail.mailbox(tenantById(tenant), box, recipient)),
  };

  const admin: StoreAdmin = {
    ensureTenant: tenants.ensure,
    unlockTenant: tenants.unlock,
    keepOpen: tenants.keepOpen,
    lockTenant: tenants.lock,
    lockTenants: tenants.lockEnded,
    eraseTenant: tenants.erase,
    sweepTenant: tenants.sweep,
    tenants: () => read(tenants.ids),
    ...sqliteCarry({ db, path: path === ':memory:' ? undefined : path, master, batch, erase: tenants.erase, sweep: tenants.sweep }),
    ...upkeep,
    stats: () => ({ ...batch.counters }),
    async close() {
      if (closed) return;
      batch.end();
      batch.flush();
      closed = true;
      db.close();
      unlock();
    },
  };

  const jobs = sqliteJobs({ db, batch, lanes, held, tenantById, tenantByNumber: tenants.byNumber, read, subscribe: board.subscribe });
  const blobs = sqliteBlobs({ db, batch, tenantById, tenantNumber: tenants.numberOf, read });
  return Object.freeze({ store: Object.freeze(store), jobs, blobs, admin: Object.freeze(admin), now: Date.now, isShared: false });
}
