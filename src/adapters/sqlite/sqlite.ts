import { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import {
  type Commit,
  type Database,
  JOB_KINDS,
  type JobKind,
  type Lookup,
  type MailQuery,
  type Query,
  type Store,
  type StoreAdmin,
  type TenantLock,
} from '../../ports/store.ts';
import { createMaster, newWalletKey, openMaster } from '../../vault/master.ts';
import { encodeCommit, NEVER } from '../../vault/rows.ts';
import { newKey, seal, tenantKeys, wrapDataKey } from '../../vault/seal.ts';
import {
  closeLock,
  draftCommit,
  draftWaiting,
  EVENT_MS,
  guardedMaster,
  type KnownTenant,
  notificationBoard,
  openJobs,
  openLock,
  openTenant,
  rowReader,
  type TenantRow,
  tenantCache,
} from '../store/shared.ts';
import { batchWriter } from './batch.ts';
import { sqliteBlobs } from './blobs.ts';
import { commitWriter, type Written } from './commit.ts';
import { generateWalletKey, lockFile, preparedPath, savedMaster, savedWalletKey, sqliteError } from './file.ts';
import { sqliteJobs } from './jobs.ts';
import { holds, laneWrites } from './lanes.ts';
import { mailExpiry, mailReads } from './mail.ts';
import { sqliteReads } from './read.ts';
import { migrateSqlite, TENANT_TABLES } from './schema.ts';

export interface SqliteOptions {
  /** The database file; its folder is created. `:memory:` for one that is gone with the process. */
  path: string;
  /**
   * `--wallet-key`: base58 of 32 bytes, the 32 bytes, or a passphrase. Without one, a fresh database gets a generated key in `<path>.key`, and an existing one is
   * opened with that file.
   */
  masterKey?: string | Uint8Array;
  /** The largest size in pages of 16 KiB; a commit beyond it fails with `store-full`. */
  maxPageCount?: number;
  /** Where a listener's own failure is told. */
  report?: (error: unknown) => void;
  /** Where a row is named that failed its integrity check, each time that it is read. */
  damaged?: (what: string) => void;
}

const PAGE_BYTES = 16_384;
const EXPIRE_ROWS = 1000;
/** How many rows of an erased tenant one step removes: nobody else is held up. */
const SWEEP_ROWS = 2000;
/** What names a row, where the table has no number of its own for it. */
const ROW_NAMES: Readonly<Record<string, string>> = {
  tag: 'hash, n',
  key: 'hash',
  route: 'hash',
  mailbox: 'box',
  blob: 'name',
  spare: 'content',
  counter: 'hash',
  allocation: 'job',
};

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
      PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF`);
    migrateSqlite(db);
    const master = masterKey(db, inMemory ? undefined : path, options.masterKey);
    if (options.maxPageCount !== undefined) db.exec(`PRAGMA max_page_count = ${Math.trunc(options.maxPageCount)}`);
    return assemble(db, master, unlock, options);
  } catch (error) {
    db?.close();
    unlock();
    throw sqliteError(error);
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

function assemble(
  db: DatabaseSync,
  master: Uint8Array,
  unlock: () => void,
  { report = () => undefined, damaged = () => undefined }: Pick<SqliteOptions, 'report' | 'damaged'>,
): Database {
  const board = notificationBoard(report);
  const batch = batchWriter(db, board.publish);
  const cache = tenantCache();
  const held = holds();
  const lanes = laneWrites(db);
  const writeCommit = commitWriter(db, lanes, held);
  const reads = sqliteReads(db, rowReader(damaged));
  const mail = mailReads(db);
  const expireMail = mailExpiry(db);
  const tenantRow = db.prepare('SELECT n, id, data_key, lock, open_until FROM tenant WHERE id = ?');
  const tenantRowByNumber = db.prepare('SELECT n, id, data_key, lock, open_until FROM tenant WHERE n = ?');
  const tenantInsert = db.prepare(
    'INSERT INTO tenant (id, name, data_key, created, lock, open_until) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
  );
  const tenantUnlock = db.prepare('UPDATE tenant SET data_key = ?, open_until = ? WHERE n = ? AND lock IS NOT NULL');
  const tenantsOver = db.prepare('SELECT n, id FROM tenant WHERE open_until <= ? LIMIT 1000');
  const tenantLock = db.prepare("UPDATE tenant SET data_key = x'', open_until = NULL WHERE n = ?");
  const lanesAwake = db.prepare('UPDATE lane SET due = ? WHERE t = ? AND due >= ?');
  const jobCounts = db.prepare('SELECT kind, count(*) AS n FROM job GROUP BY kind');
  const deadCount = db.prepare('SELECT count(*) AS n FROM dead');
  const probePut = db.prepare("INSERT INTO meta (name, value) VALUES ('probe', ?)");
  const probeRemove = db.prepare("DELETE FROM meta WHERE name = 'probe'");
  const tenantIds = db.prepare('SELECT id FROM tenant ORDER BY n');
  let closed = false;

  function known(row: unknown, id: string | number): KnownTenant {
    if (!row) throw new AppError('not-found', `There is no tenant ${id}`);
    return cache.add(openTenant(master, row as TenantRow));
  }
  const tenantById = (id: string): KnownTenant => cache.byId(id) ?? known(tenantRow.get(id), id);
  const tenantByNumber = (n: number): KnownTenant => cache.byNumber(n) ?? known(tenantRowByNumber.get(n), n);

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

  async function commit(tenant: string, what: Commit): Promise<void> {
    // sealed before the batch begins, so that the transaction only writes; queued before this call returns, so that commits keep the order of their calls
    const known = cache.byId(tenant) ?? readNow(() => tenantById(tenant));
    const rows = encodeCommit(known.keys, what);
    let written: Written | undefined;
    return batch.write(
      () => {
        written = writeCommit(known.n, rows, Date.now());
      },
      (draft) => {
        draftCommit(draft, tenant, what);
        for (const callId of written?.callIds ?? []) draft.callIds.add(callId);
        for (const { box, waiting } of written?.boxes ?? []) draftWaiting(draft, tenant, box, waiting);
      },
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

  async function ensureTenant(tenant: string, name: string, lock?: TenantLock): Promise<void> {
    if (cache.byId(tenant)) return;
    const dataKey = newKey();
    const label = seal(tenantKeys(tenant, dataKey), ['tenant', 'name'], Buffer.from(name));
    const sealed = lock ? await closeLock(lock.walletKey, tenant, dataKey) : null;
    const wrapped = wrapDataKey(master, tenant, dataKey);
    await batch.write(() => void tenantInsert.run(tenant, label, wrapped, Date.now(), sealed, lock?.until ?? null));
  }

  async function unlockTenant(tenant: string, { walletKey, until }: TenantLock): Promise<void> {
    const row = readNow(() => tenantRow.get(tenant) as TenantRow | undefined);
    if (!row?.lock) throw new AppError('not-found', `There is no locked tenant ${tenant}`);
    const wrapped = wrapDataKey(master, tenant, await openLock(walletKey, tenant, row.lock));
    await batch.write(
      () => {
        tenantUnlock.run(wrapped, until, row.n);
        // lanes that wait for a session find out again that they do
        lanesAwake.run(Date.now(), row.n, NEVER);
      },
      (draft) => {
        cache.invalidate(tenant);
        for (const kind of JOB_KINDS) draft.kinds.add(kind);
      },
    );
  }

  async function lockTenant(tenant: string): Promise<void> {
    const row = readNow(() => tenantRow.get(tenant) as TenantRow | undefined);
    if (!row?.lock) throw new AppError('not-found', `There is no locked tenant ${tenant}`);
    await batch.write(
      () => void tenantLock.run(row.n),
      (draft) => {
        cache.invalidate(tenant);
        draft.invalidate.add(tenant);
      },
    );
  }

  async function lockTenants(now: number): Promise<number> {
    const over = readNow(() => tenantsOver.all(now) as { n: number; id: string }[]);
    if (over.length === 0) return 0;
    await batch.write(
      () => {
        for (const { n } of over) tenantLock.run(n);
      },
      (draft) => {
        for (const { id } of over) {
          cache.invalidate(id);
          draft.invalidate.add(id);
        }
      },
    );
    return over.length;
  }

  async function eraseTenant(tenant: string): Promise<void> {
    await batch.write(
      () => {
        const row = tenantRow.get(tenant) as { n: number } | undefined;
        if (!row) return;
        db.prepare("UPDATE tenant SET data_key = x'', name = x'', lock = NULL, open_until = NULL WHERE n = ?").run(row.n);
        for (const table of ['route', 'job', 'lane']) db.prepare(`DELETE FROM ${table} WHERE t = ?`).run(row.n);
      },
      (draft) => {
        cache.invalidate(tenant);
        draft.invalidate.add(tenant);
      },
    );
  }

  async function sweepTenant(tenant: string): Promise<number> {
    let removed = 0;
    await batch.write(() => {
      const row = tenantRow.get(tenant) as TenantRow | undefined;
      if (!row || row.data_key.length > 0 || row.lock !== null) return;
      for (const table of TENANT_TABLES) {
        const id = ROW_NAMES[table] ?? 'rowid';
        const text = `DELETE FROM ${table} WHERE t = ? AND (${id}) IN (SELECT ${id} FROM ${table} WHERE t = ? LIMIT ${SWEEP_ROWS})`;
        removed = Number(db.prepare(text).run(row.n, row.n).changes);
        if (removed > 0) return;
      }
      db.prepare('DELETE FROM tenant WHERE n = ?').run(row.n);
    });
    return removed;
  }

  const expiring = [
    db.prepare(`DELETE FROM mark WHERE n IN (SELECT n FROM mark WHERE expires <= ? ORDER BY expires LIMIT ${EXPIRE_ROWS})`),
    db.prepare(`DELETE FROM cause WHERE n IN (SELECT n FROM cause WHERE expires <= ? ORDER BY expires LIMIT ${EXPIRE_ROWS})`),
    // events are numbered in the order of their time, so the oldest are the first
    db.prepare(`DELETE FROM event WHERE n IN (SELECT n FROM event ORDER BY n LIMIT ${EXPIRE_ROWS}) AND time <= ? - ${EVENT_MS}`),
    // the numbers of jobs that are gone
    db.prepare(`DELETE FROM allocation WHERE (t, job) IN (SELECT a.t, a.job FROM allocation a
      WHERE NOT EXISTS (SELECT 1 FROM job WHERE id = a.job) AND NOT EXISTS (SELECT 1 FROM dead WHERE id = a.job) LIMIT ${EXPIRE_ROWS}) AND ? > 0`),
  ];

  /** In steps of some rows, each in a batch of its own, so that a large sweep holds nobody up. */
  async function expire(now: number): Promise<number> {
    let total = 0;
    for (const statement of expiring) {
      let step: number;
      do {
        step = 0;
        await batch.write(() => {
          step = Number(statement.run(now).changes);
        });
        total += step;
      } while (step === EXPIRE_ROWS);
    }
    return total;
  }

  /** In a transaction of its own, since one that finds no room takes all that it holds with it. What it needs pages for, it gives back. */
  function writeALittle(): void {
    batch.flush();
    try {
      db.exec('BEGIN IMMEDIATE');
      probePut.run('x'.repeat(2 * PAGE_BYTES));
      probeRemove.run();
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }

  const admin: StoreAdmin = {
    ensureTenant,
    unlockTenant,
    lockTenant,
    lockTenants,
    eraseTenant,
    sweepTenant,
    tenants: () => read(() => (tenantIds.all() as { id: string }[]).map((row) => row.id)),
    expire,
    async expireMail(now) {
      let removed: ReturnType<typeof expireMail> = [];
      await batch.write(() => {
        removed = expireMail(now);
      });
      return removed;
    },
    backlog: () =>
      read(() => ({
        open: openJobs(jobCounts.all() as { kind: JobKind; n: number }[]),
        dead: (deadCount.get() as { n: number }).n,
      })),
    check: () => read(writeALittle),
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

  const jobs = sqliteJobs({ db, batch, lanes, held, tenantById, tenantByNumber, read, subscribe: board.subscribe });
  const blobs = sqliteBlobs({ db, batch, tenantById, read });
  return Object.freeze({ store: Object.freeze(store), jobs, blobs, admin: Object.freeze(admin), now: Date.now });
}
