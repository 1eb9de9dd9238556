import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { AppError } from '../../errors.ts';
import type { Commit, Database, Lookup, MailQuery, Query, Store, StoreAdmin } from '../../ports/store.ts';
import { createMaster, openMaster } from '../../vault/master.ts';
import { encodeCommit } from '../../vault/rows.ts';
import { guardedMaster, notificationBoard, rowReader } from '../store/shared.ts';
import { postgresBlobs } from './blobs.ts';
import { postgresCarry } from './carry.ts';
import { databaseClock, skewOf } from './clock.ts';
import { commitBatcher } from './commit.ts';
import { clientOf, whoCreates } from './create.ts';
import { postgresJobs } from './jobs.ts';
import { APPLICATION, openLink, postgresError } from './link.ts';
import { listen } from './listen.ts';
import { postgresMail } from './mail.ts';
import { loadBatcher, postgresReads } from './read.ts';
import { migratePostgres, sessionSettings } from './schema.ts';
import { postgresTenants } from './tenants.ts';
import { postgresUpkeep } from './upkeep.ts';

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
  /** Takes the failure of a listener. */
  report?: (error: unknown) => void;
  /** Where a row is named that failed its integrity check, each time that it is read. */
  damaged?: (what: string) => void;
}

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
    return createDatabase({ ...options, url }, master, settings, await skewOf(client));
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

function createDatabase(options: PostgresOptions, master: Uint8Array, settings: readonly string[], skew: number): Database {
  const { url } = options;
  const from = randomUUID();
  const counters = { statements: 0 };
  const link = (...more: string[]) =>
    openLink({
      url,
      settings: [...settings, ...more],
      sent: () => {
        counters.statements += 1;
      },
    });
  const writer = link();
  const loader = link();
  // claims and settles that are lost with the server have jobs run again, as the end of their holder does: nobody waits for the disk
  const jobLink = link('synchronous_commit=off');
  const readers = Array.from({ length: Math.max(1, options.poolSize ?? 2) }, () => link());
  let turn = 0;
  const reader = () => readers[turn++ % readers.length]!;
  const board = notificationBoard(options.report ?? (() => undefined));
  const batch = commitBatcher(writer, from, board.publish);
  const readRows = rowReader(options.damaged ?? (() => undefined));
  const load = loadBatcher(loader, readRows);
  const reads = postgresReads(reader, readRows);
  const mail = postgresMail(reader);
  const stopListening = listen({ url, settings, from, publish: board.publish });
  let closed = false;
  const clock = databaseClock(skew, async () =>
    skewOf({ query: async (text) => ({ rows: await reader().query({ name: 'clock', text }) }) }),
  );
  const tenants = postgresTenants({ reader, master, from, board, isClosed: () => closed });
  const tenantById = tenants.byId;
  const carry = postgresCarry({ url, settings, master, erase: tenants.erase, sweep: tenants.sweep, announce: tenants.announce });

  async function commit(id: string, what: Commit): Promise<void> {
    const known = await tenantById(id);
    try {
      await batch.commit(known, encodeCommit(known.keys, what), what);
    } catch (error) {
      // another process removed it
      if (error instanceof AppError && error.code === 'not-found') tenants.invalidate(id);
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

  const admin: StoreAdmin = {
    ensureTenant: tenants.ensure,
    unlockTenant: tenants.unlock,
    keepOpen: tenants.keepOpen,
    lockTenant: tenants.lock,
    lockTenants: tenants.lockEnded,
    eraseTenant: tenants.erase,
    sweepTenant: tenants.sweep,
    tenants: tenants.ids,
    ...carry.carrying,
    ...postgresUpkeep(reader, from),
    expireMail: mail.expire,
    stats: () => ({ ...batch.counters, ...counters }),
    async close() {
      if (closed) return;
      closed = true;
      clock.stop();
      await batch.drain();
      await carry.close();
      await stopListening();
      await Promise.all([writer, loader, jobLink, ...readers].map((one) => one.end()));
    },
  };

  const jobs = postgresJobs({
    link: jobLink,
    reader,
    reads,
    batch,
    from,
    tenantById,
    tenantByNumber: tenants.byNumber,
    subscribe: board.subscribe,
  });
  const blobs = postgresBlobs({ link: reader, tenantById, tenantNumber: tenants.numberOf });
  return Object.freeze({ store: Object.freeze(store), jobs, blobs, admin: Object.freeze(admin), now: clock.now, isShared: true });
}
