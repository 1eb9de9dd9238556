import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
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
import { createMaster, openMaster } from '../../vault/master.ts';
import { encodeCommit, NEVER } from '../../vault/rows.ts';
import { newKey, seal, tenantKeys, wrapDataKey } from '../../vault/seal.ts';
import {
  closeLock,
  EVENT_MS,
  guardedMaster,
  type KnownTenant,
  type NotificationDraft,
  notificationBoard,
  notificationDraft,
  notifiedNames,
  openJobs,
  openLock,
  openTenant,
  rowReader,
  type TenantRow,
  tenantCache,
} from '../store/shared.ts';
import { postgresBlobs } from './blobs.ts';
import { commitBatcher } from './commit.ts';
import { TENANT_LOCK } from './commit-sql.ts';
import { clientOf, whoCreates } from './create.ts';
import { postgresJobs } from './jobs.ts';
import { APPLICATION, openLink, postgresError } from './link.ts';
import { listen } from './listen.ts';
import { postgresMail } from './mail.ts';
import { loadBatcher, postgresReads } from './read.ts';
import { migratePostgres, sessionSettings, TENANT_TABLES } from './schema.ts';

export interface PostgresOptions {
  /**
   * `postgres://user:password@host:port/database`; the schema `flexid` is created in it. Where the server has no such database it is created too: by
   * `admin_account` with `admin_password` in the query, as for Askar, or else by the user itself.
   */
  url: string;
  /** `--wallet-key`: base58 of 32 bytes, the 32 bytes, or a passphrase. PostgreSQL never gets a generated one: several processes and hosts would have to share it. */
  masterKey: string | Uint8Array | undefined;
  /** Connections for pages and single reads, beside one each for commits, lookups, jobs and notifications. Default 2. */
  poolSize?: number;
  /** Refuses to open it while another process of the agent has it open. */
  alone?: boolean;
  /** Where a listener's own failure is told. */
  report?: (error: unknown) => void;
  /** Where a row is named that failed its integrity check, each time that it is read. */
  damaged?: (what: string) => void;
}

const EXPIRE_ROWS = 1000;
/** How many rows of an erased tenant one step removes: nobody else is held up. */
const SWEEP_ROWS = 2000;

/**
 * Opens a PostgreSQL database (15 or newer), creates it where there is none, and brings its schema up to date; other processes may have it open.
 * @throws AppError `wrong-master-key` (also when none is given), `store-unavailable`.
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { url: given, masterKey, alone } = options;
  if (masterKey === undefined || masterKey.length === 0) {
    throw new AppError('wrong-master-key', 'A PostgreSQL database needs a wallet key: give one with --wallet-key');
  }
  const { url, admin } = whoCreates(given);
  const client = await clientOf(url, admin);
  try {
    if (alone) await refuseOthers(client);
    await migratePostgres(client);
    const settings = await sessionSettings(client);
    const master = await readMaster(client, masterKey);
    return assemble({ ...options, url }, master, settings, await skewOf(client));
  } catch (error) {
    throw postgresError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** @throws AppError `store-unavailable` while another process has the database open */
async function refuseOthers(client: Client): Promise<void> {
  const text = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = '${APPLICATION}' AND pid <> pg_backend_pid() LIMIT 1`;
  if ((await client.query(text)).rows.length > 0) throw new AppError('store-unavailable', 'Another process has the database open');
}

/** The master key, checked against the database's header; the first process to come sets it. */
async function readMaster(client: Client, given: string | Uint8Array): Promise<Uint8Array> {
  const read = async () => (await client.query<{ value: string }>("SELECT value FROM flexid.meta WHERE name = 'master'")).rows[0]?.value;
  const found = await read();
  if (found !== undefined) return guardedMaster(() => openMaster(given, found));
  const { header } = guardedMaster(() => createMaster(given));
  await client.query("INSERT INTO flexid.meta (name, value) VALUES ('master', $1) ON CONFLICT DO NOTHING", [header]);
  const settled = (await read())!;
  return guardedMaster(() => openMaster(given, settled));
}

/** How far the database's clock is ahead of this machine's. */
async function skewOf(client: { query(text: string): Promise<{ rows: unknown[] }> }): Promise<number> {
  const before = Date.now();
  const [row] = (await client.query('SELECT flexid.now_ms()::float8 AS now')).rows as { now: number }[];
  return Math.round(row!.now - (before + Date.now()) / 2);
}

const LOOK_AT_CLOCK_MS = 30_000;

/** The database's time without asking it each time; clocks drift, so it is asked now and then. */
function databaseClock(first: number, read: () => Promise<number>): { now(): number; stop(): void } {
  let skew = first;
  const timer = setInterval(() => {
    // what cannot be read now is read the next time
    read().then(
      (found) => {
        skew = found;
      },
      () => undefined,
    );
  }, LOOK_AT_CLOCK_MS);
  timer.unref();
  return { now: () => Date.now() + skew, stop: () => clearInterval(timer) };
}

function assemble(options: PostgresOptions, master: Uint8Array, settings: readonly string[], skew: number): Database {
  const { url } = options;
  const from = randomUUID();
  const counters = { statements: 0 };
  const link = () =>
    openLink({
      url,
      settings,
      sent: () => {
        counters.statements += 1;
      },
    });
  const writer = link();
  const loader = link();
  const jobLink = link();
  const readers = Array.from({ length: Math.max(1, options.poolSize ?? 2) }, link);
  let turn = 0;
  const reader = () => readers[turn++ % readers.length]!;
  const board = notificationBoard(options.report ?? (() => undefined));
  const batch = commitBatcher(writer, from, board.publish);
  const readRows = rowReader(options.damaged ?? (() => undefined));
  const load = loadBatcher(loader, readRows);
  const reads = postgresReads(reader, readRows);
  const mail = postgresMail(reader);
  const cache = tenantCache();
  const stopListening = listen({ url, settings, from, publish: board.publish });
  board.subscribe(({ invalidate }) => {
    for (const name of invalidate) cache.invalidate(name);
  });
  let closed = false;
  const clock = databaseClock(skew, async () =>
    skewOf({ query: async (text) => ({ rows: await reader().query({ name: 'clock', text }) }) }),
  );

  async function tenant(column: 'id' | 'n', value: string | number): Promise<KnownTenant> {
    if (closed) throw new AppError('store-unavailable', 'The database is closed');
    const text = `SELECT n, id, data_key, lock, open_until FROM flexid.tenant WHERE ${column} = $1`;
    const [row] = await reader().query<TenantRow>({ name: `tenant-${column}`, text, values: [value] });
    if (!row) throw new AppError('not-found', `There is no tenant ${value}`);
    return cache.add(openTenant(master, row));
  }
  const tenantById = async (id: string): Promise<KnownTenant> => (closed ? undefined : cache.byId(id)) ?? tenant('id', id);
  const tenantByNumber = async (n: number): Promise<KnownTenant> => cache.byNumber(n) ?? tenant('n', n);

  async function commit(id: string, what: Commit): Promise<void> {
    const known = await tenantById(id);
    try {
      await batch.commit(known, encodeCommit(known.keys, what), what);
    } catch (error) {
      // another process removed it
      if (error instanceof AppError && error.code === 'not-found') cache.invalidate(id);
      throw postgresError(error);
    }
  }

  const store: Store = {
    commit,
    load: async (id: string, lookups: readonly Lookup[]) => {
      const known = await tenantById(id);
      return lookups.length === 0 ? [] : (await load(known, lookups)).records;
    },
    loadWithDedupKey: async (id: string, dedupKey: string, lookups: readonly Lookup[]) => load(await tenantById(id), lookups, dedupKey),
    find: async (id: string, category: string, query: Query) => reads.find(await tenantById(id), category, query),
    key: async (id: string, kid: string) => reads.key(await tenantById(id), kid),
    keyOwner: (kid: string) => reads.keyOwner(kid),
    events: async (id: string, query: Parameters<Store['events']>[1]) => reads.events(await tenantById(id), query),
    callStatus: async (id: string, callId: string) => reads.callStatus(await tenantById(id), callId),
    mail: async (id: string, box: string, query: MailQuery) => mail.mail(await tenantById(id), box, query),
    mailbox: async (id: string, box: string, recipient?: string) => mail.mailbox(await tenantById(id), box, recipient),
  };

  async function ensureTenant(id: string, name: string, lock?: TenantLock): Promise<void> {
    if (cache.byId(id)) return;
    const dataKey = newKey();
    const label = seal(tenantKeys(id, dataKey), ['tenant', 'name'], Buffer.from(name));
    const text = `INSERT INTO flexid.tenant (id, name, data_key, created, lock, open_until) VALUES ($1, $2, $3, flexid.now_ms(), $4, $5)
      ON CONFLICT (id) DO NOTHING`;
    const sealed = lock ? await closeLock(lock.walletKey, id, dataKey) : null;
    await reader().query({ name: 'tenant-add', text, values: [id, label, wrapDataKey(master, id, dataKey), sealed, lock?.until ?? null] });
  }

  async function unlockTenant(id: string, { walletKey, until }: TenantLock): Promise<void> {
    const text = 'SELECT n, id, data_key, lock, open_until FROM flexid.tenant WHERE id = $1';
    const [row] = await reader().query<TenantRow>({ name: 'tenant-id', text, values: [id] });
    if (!row?.lock) throw new AppError('not-found', `There is no locked tenant ${id}`);
    const wrapped = wrapDataKey(master, id, await openLock(walletKey, id, row.lock));
    // lanes that wait for a session find out again that they do
    const unlock = `WITH opened AS (UPDATE flexid.tenant SET data_key = $2, open_until = $3::bigint WHERE n = $1 AND lock IS NOT NULL)
      UPDATE flexid.lane SET due = flexid.now_ms() WHERE t = $1 AND due >= ${NEVER} AND lease IS NULL`;
    await reader().query({ name: 'tenant-unlock', text: unlock, values: [row.n, wrapped, until] });
    cache.invalidate(id);
    await announce((draft) => {
      draft.invalidate.add(id);
      for (const kind of JOB_KINDS) draft.kinds.add(kind);
    });
  }

  async function lockTenant(id: string): Promise<void> {
    const text = `UPDATE flexid.tenant SET data_key = '', open_until = NULL WHERE id = $1 AND lock IS NOT NULL RETURNING id`;
    const locked = await reader().query<{ id: string }>({ name: 'tenant-lock', text, values: [id] });
    if (locked.length === 0) throw new AppError('not-found', `There is no locked tenant ${id}`);
    cache.invalidate(id);
    await announce((draft) => void draft.invalidate.add(id));
  }

  async function lockTenants(now: number): Promise<number> {
    const text = `UPDATE flexid.tenant SET data_key = '', open_until = NULL
      WHERE n IN (SELECT n FROM flexid.tenant WHERE open_until <= $1 LIMIT 1000) RETURNING id`;
    const over = await reader().query<{ id: string }>({ name: 'tenants-lock', text, values: [now] });
    if (over.length > 0)
      await announce((draft) => {
        for (const { id } of over) {
          cache.invalidate(id);
          draft.invalidate.add(id);
        }
      });
    return over.length;
  }

  /** Tells listeners here and in other processes. */
  async function announce(fill: (draft: NotificationDraft) => void): Promise<void> {
    const draft = notificationDraft();
    fill(draft);
    board.publish(draft);
    await reader().query({ name: 'tell', text: 'SELECT flexid.hint($1, $2, $3)', values: [from, [...draft.kinds], notifiedNames(draft)] });
  }

  const rowOf = async (id: string): Promise<{ n: number; erased: boolean } | undefined> => {
    const text = 'SELECT n, length(data_key) = 0 AND lock IS NULL AS erased FROM flexid.tenant WHERE id = $1';
    return (await reader().query<{ n: number; erased: boolean }>({ name: 'tenant-state', text, values: [id] }))[0];
  };

  async function eraseTenant(id: string): Promise<void> {
    const row = await rowOf(id);
    if (!row) return;
    // one function body is one transaction
    const body = ['route', 'job', 'lane'].map((table) => `DELETE FROM flexid.${table} WHERE t = ${row.n};`).join(' ');
    const text = `DO $$ BEGIN PERFORM pg_advisory_xact_lock(${TENANT_LOCK}, ${row.n}); UPDATE flexid.tenant SET data_key = '', name = '', lock = NULL, open_until = NULL WHERE n = ${row.n}; ${body} END $$`;
    await reader().query({ name: '', text });
    cache.invalidate(id);
    await announce((draft) => void draft.invalidate.add(id));
  }

  async function sweepTenant(id: string): Promise<number> {
    const row = await rowOf(id);
    if (!row?.erased) return 0;
    const scope = { name: 'scope', text: "SELECT set_config('flexid.tenant', $1, false)", values: [String(row.n)] };
    for (const table of TENANT_TABLES) {
      const text = `WITH gone AS (DELETE FROM flexid.${table} WHERE t = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM flexid.${table} WHERE t = $1 LIMIT ${SWEEP_ROWS})) RETURNING 1)
        SELECT count(*)::int AS gone FROM gone`;
      const [, rows] = await reader().together([scope, { name: `sweep-${table}`, text, values: [row.n] }]);
      const { gone } = (rows as { gone: number }[])[0]!;
      if (gone > 0) return gone;
    }
    await reader().query({ name: 'tenant-gone', text: 'DELETE FROM flexid.tenant WHERE n = $1', values: [row.n] });
    return 0;
  }

  // by their places, whatever the database knew of the table when it made the plan; a row that was given more time meanwhile stays
  const expiring = [
    ['mark', 'expires', '$1::bigint'],
    ['cause', 'expires', '$1::bigint'],
    ['event', 'time', `$1::bigint - ${EVENT_MS}`],
  ].map(([table, column, end]) => {
    const old = `SELECT ctid FROM flexid.${table} WHERE ${column} <= ${end} ORDER BY ${column} LIMIT ${EXPIRE_ROWS}`;
    return `DELETE FROM flexid.${table} WHERE ctid = ANY (ARRAY(${old})) AND ${column} <= ${end}`;
  });
  // the numbers of jobs that are gone
  expiring.push(`DELETE FROM flexid.allocation WHERE ctid = ANY (ARRAY(SELECT a.ctid FROM flexid.allocation a
    WHERE NOT EXISTS (SELECT 1 FROM flexid.job j WHERE j.id = a.job) AND NOT EXISTS (SELECT 1 FROM flexid.dead d WHERE d.t = a.t AND d.id = a.job)
    LIMIT ${EXPIRE_ROWS})) AND $1::bigint > 0`);

  /** In steps of some rows, so that a large sweep holds nobody up. */
  async function expire(now: number): Promise<number> {
    const all = { name: 'scope', text: "SELECT set_config('flexid.tenant', $1, false)", values: ['*'] };
    let total = 0;
    for (const [i, text] of expiring.entries()) {
      let step: number;
      do {
        const counted = `WITH gone AS (${text} RETURNING 1) SELECT count(*) AS gone FROM gone`;
        const [, rows] = await reader().together([all, { name: `expire-${i}`, text: counted, values: [now] }]);
        step = (rows as { gone: number }[])[0]?.gone ?? 0;
        total += step;
      } while (step === EXPIRE_ROWS);
    }
    return total;
  }

  const admin: StoreAdmin = {
    ensureTenant,
    unlockTenant,
    lockTenant,
    lockTenants,
    eraseTenant,
    sweepTenant,
    tenants: async () =>
      (await reader().query<{ id: string }>({ name: 'tenants', text: 'SELECT id FROM flexid.tenant ORDER BY n' })).map((row) => row.id),
    expire,
    expireMail: mail.expire,
    async backlog() {
      const [, open, dead] = await reader().together([
        { name: 'scope', text: "SELECT set_config('flexid.tenant', $1, false)", values: ['*'] },
        { name: 'job-counts', text: 'SELECT kind, count(*)::int AS n FROM flexid.job GROUP BY kind' },
        { name: 'dead-count', text: 'SELECT count(*)::int AS n FROM flexid.dead' },
      ]);
      return { open: openJobs(open as { kind: JobKind; n: number }[]), dead: (dead as { n: number }[])[0]!.n };
    },
    async check() {
      // a database that only reads, or has no room, refuses this
      const text = `INSERT INTO flexid.meta (name, value) VALUES ('probe', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`;
      await reader().query({ name: 'check', text, values: [from] });
    },
    stats: () => ({ ...batch.counters, ...counters }),
    async close() {
      if (closed) return;
      closed = true;
      clock.stop();
      await batch.drain();
      await stopListening();
      await Promise.all([writer, loader, jobLink, ...readers].map((one) => one.end()));
    },
  };

  const jobs = postgresJobs({ link: jobLink, reads, batch, from, tenantById, tenantByNumber, subscribe: board.subscribe });
  const blobs = postgresBlobs({ link: reader, tenantById });
  return Object.freeze({ store: Object.freeze(store), jobs, blobs, admin: Object.freeze(admin), now: clock.now });
}
