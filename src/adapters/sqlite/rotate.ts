import { existsSync, renameSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import { createMaster, openMaster } from '../../vault/master.ts';
import { unwrapDataKey, wrapDataKey } from '../../vault/seal.ts';
import { guarded, guardedMaster } from '../store/shared.ts';
import { generateWalletKey, lockFile, preparedPath, savedMaster, sqliteError, syncFolder } from './file.ts';
import { migrateSqlite } from './schema.ts';

export interface RotateOptions {
  path: string;
  /** The present key; absent: the one beside the database. */
  masterKey?: string;
  /** The next key; absent: one is generated, where the present one was. */
  nextKey?: string;
}

/**
 * Puts a new master key in the place of the present one: all tenants' data keys and the header, in one transaction. A key that is generated lies beside the database
 * before that transaction and takes its name after it; `openSqlite` finishes what a crash left between the two.
 * @returns how many tenants there are
 * @throws AppError `wrong-master-key`, `store-locked`, `store-unavailable`
 */
export function rotateSqlite({ path: given, masterKey, nextKey }: RotateOptions): number {
  if (!existsSync(given)) throw new AppError('store-unavailable', `There is no database ${given}`);
  if (masterKey !== undefined && nextKey === undefined)
    throw new AppError('bad-request', 'The next key is missing: give it with --new-wallet-key');
  const path = preparedPath(given);
  const unlock = lockFile(path);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 2000 });
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF');
    migrateSqlite(db);
    const { value: header } = (db.prepare("SELECT value FROM meta WHERE name = 'master'").get() ?? {}) as { value?: string };
    if (header === undefined) throw new AppError('wrong-master-key', 'The database has no wallet key yet');
    const from = masterKey === undefined ? savedMaster(path, header) : guardedMaster(() => openMaster(masterKey, header));
    if (!from) throw new AppError('wrong-master-key', 'The database needs its present wallet key: give it with --wallet-key');
    // the file of an interrupted rotation is of no use: the database has no key under it
    if (nextKey === undefined) rmSync(`${path}.key.next`, { force: true });
    const next = guardedMaster(() => createMaster(nextKey ?? generateWalletKey(path, '.next')));
    db.exec('BEGIN IMMEDIATE');
    const tenants = db.prepare('SELECT n, id, data_key FROM tenant WHERE length(data_key) > 0').all() as {
      n: number;
      id: string;
      data_key: Uint8Array;
    }[];
    const update = db.prepare('UPDATE tenant SET data_key = ? WHERE n = ?');
    for (const { n, id, data_key } of tenants) {
      const dataKey = guarded(`the key of tenant ${id}`, () => unwrapDataKey(from, id, data_key));
      update.run(wrapDataKey(next.key, id, dataKey), n);
    }
    db.prepare("UPDATE meta SET value = ? WHERE name = 'master'").run(next.header);
    db.exec('COMMIT');
    // copies that were made before still need the key of then
    if (masterKey === undefined) renameSync(`${path}.key`, `${path}.key.old`);
    if (nextKey === undefined) renameSync(`${path}.key.next`, `${path}.key`);
    syncFolder(path);
    return tenants.length;
  } catch (error) {
    if (db?.isTransaction) db.exec('ROLLBACK');
    throw sqliteError(error);
  } finally {
    db?.close();
    unlock();
  }
}
