import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import type { Log } from './ports/log.ts';
import type { Database } from './ports/store.ts';

/** The database of an agent, by its settings. A store's adapter is loaded where it is the one that they name. */

/** The tenant of a single-tenant agent. */
export const BASE = 'base';

function sqlitePath(store: string | undefined, config: Config): { path: string; limit?: string } {
  const [given, limit] = store?.slice('sqlite:'.length).split(/\?max_page_count=(?=\d+$)/) ?? [];
  return { path: given || join(config.dataDir ?? join(homedir(), '.flexid'), `${config.walletName}.db`), limit };
}

/** Where files lie that only repeat what the database has: in the data folder, or beside the database's file; undefined where there is neither. */
export function cacheFolder(config: Config): string | undefined {
  const { dataDir, store } = config;
  if (dataDir !== undefined) return dataDir;
  return store === undefined || store.startsWith('sqlite:') ? dirname(sqlitePath(store, config).path) : undefined;
}

/** The file of an SQLite database; undefined for one on a server. */
export const fileOf = (config: Config): string | undefined =>
  config.store === undefined || config.store.startsWith('sqlite:') ? sqlitePath(config.store, config).path : undefined;

/**
 * Opens the database, or creates it.
 * @param alone refuses to open it while another process has it open
 * @throws ConfigError, or AppError where it cannot be had
 */
export async function openDatabase(config: Config, log: Log, damaged?: (what: string) => void, alone = false): Promise<Database> {
  const report = (error: unknown): void => log.error({ err: error }, 'a listener failed');
  const { store, walletKey } = config;
  if (store === undefined || store.startsWith('sqlite:')) {
    const { path, limit } = sqlitePath(store, config);
    const { openSqlite } = await import('./adapters/sqlite/sqlite.ts');
    const db = await openSqlite({
      path,
      masterKey: walletKey,
      maxPageCount: limit === undefined ? undefined : Number(limit),
      report,
      damaged,
    });
    if (walletKey === undefined)
      log.warn({ file: `${path}.key` }, 'the wallet key lies beside the database: back it up apart from it, or give --wallet-key');
    return db;
  }
  if (/^postgres(ql)?:\/\//.test(store)) {
    const { openPostgres } = await import('./adapters/postgres/postgres.ts');
    return await openPostgres({
      url: store,
      masterKey: walletKey,
      poolSize: config.poolSize,
      alone: config.recreateWallet,
      ...(alone && { alone }),
      report,
      damaged,
    });
  }
  throw new ConfigError(`--store ${store.split(':')[0]}: is not supported: use postgres://... or sqlite:PATH`);
}

/** Gives an SQLite file of an earlier version the pages of this one; whether it had others. */
export async function repage(config: Config): Promise<boolean> {
  const file = fileOf(config);
  if (file === undefined || !existsSync(file)) return false;
  const { repageSqlite } = await import('./adapters/sqlite/sqlite.ts');
  return repageSqlite(file);
}

/** The wallet of the operator; with `--recreate-wallet` a new one in the place of the one that is there. @throws ConfigError where that would erase more */
export async function firstTenant(db: Database, { recreateWallet, walletKey, walletName }: Config, log: Log): Promise<void> {
  if (recreateWallet) {
    if (walletKey === undefined) throw new ConfigError('--recreate-wallet erases the wallet: it needs its --wallet-key');
    const tenants = (await db.admin.tenants()).filter((id) => id !== BASE).length;
    if (tenants > 0)
      throw new ConfigError(
        `--recreate-wallet: ${tenants} wallets of tenants are in the database, which this does not erase: remove them first`,
      );
    await db.admin.eraseTenant(BASE);
    while ((await db.admin.sweepTenant(BASE)) > 0);
    log.warn({ wallet: walletName }, 'the wallet that was in the database is erased: --recreate-wallet');
  }
  await db.admin.ensureTenant(BASE, walletName);
}

/** Puts `--new-wallet-key`, or a generated key, in the place of the wallet key. @returns how many tenants there are */
export async function rotateKey({ store, walletKey: masterKey, newWalletKey: nextKey, ...config }: Config): Promise<number> {
  if (store !== undefined && /^postgres(ql)?:/.test(store)) {
    const { rotatePostgres } = await import('./adapters/postgres/rotate.ts');
    return await rotatePostgres({ url: store, masterKey, nextKey });
  }
  const { rotateSqlite } = await import('./adapters/sqlite/rotate.ts');
  return rotateSqlite({ path: sqlitePath(store, config as Config).path, masterKey, nextKey });
}
