import { AppError } from '../../errors.ts';
import { createMaster, openMaster } from '../../vault/master.ts';
import { unwrapDataKey, wrapDataKey } from '../../vault/seal.ts';
import { guarded, guardedMaster } from '../store/shared.ts';
import { whoCreates } from './create.ts';
import { plainClient, postgresError } from './link.ts';
import { migratePostgres } from './schema.ts';

/**
 * Puts a new master key in the place of the present one: all tenants' data keys and the header, in one transaction.
 * Agents keep the master key in memory, so none may have the database open.
 * @returns how many tenants there are
 * @throws AppError `wrong-master-key`, `store-locked`, `store-unavailable`
 */
export async function rotatePostgres(options: { url: string; masterKey?: string; nextKey?: string }): Promise<number> {
  const { url, masterKey, nextKey } = options;
  if (masterKey === undefined || nextKey === undefined)
    throw new AppError('wrong-master-key', 'PostgreSQL needs both keys: --wallet-key and --new-wallet-key');
  const client = await plainClient(whoCreates(url).url);
  try {
    await migratePostgres(client);
    await client.query('BEGIN');
    await client.query('LOCK TABLE flexid.meta, flexid.tenant IN ACCESS EXCLUSIVE MODE');
    const { rows: others } = await client.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'flexid' AND pid <> pg_backend_pid()",
    );
    if (others[0]!.n > 0) throw new AppError('store-locked', 'An agent has this database open: stop all of them first');
    const { rows: headers } = await client.query<{ value: string }>("SELECT value FROM flexid.meta WHERE name = 'master'");
    if (!headers[0]) throw new AppError('wrong-master-key', 'The database has no wallet key yet');
    const from = guardedMaster(() => openMaster(masterKey, headers[0]!.value));
    const next = guardedMaster(() => createMaster(nextKey));
    const { rows: tenants } = await client.query<{ n: number; id: string; data_key: Uint8Array }>(
      'SELECT n, id, data_key FROM flexid.tenant WHERE length(data_key) > 0',
    );
    for (const { n, id, data_key } of tenants) {
      const dataKey = guarded(`the key of tenant ${id}`, () => unwrapDataKey(from, id, data_key));
      await client.query('UPDATE flexid.tenant SET data_key = $1 WHERE n = $2', [wrapDataKey(next.key, id, dataKey), n]);
    }
    await client.query("UPDATE flexid.meta SET value = $1 WHERE name = 'master'", [next.header]);
    await client.query('COMMIT');
    return tenants.length;
  } catch (error) {
    throw postgresError(error);
  } finally {
    // the end of the connection undoes an open transaction
    await client.end().catch(() => undefined);
  }
}
