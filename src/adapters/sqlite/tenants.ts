import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import { JOB_KINDS, type TenantLock } from '../../ports/store.ts';
import { NEVER } from '../../vault/rows.ts';
import { newKey, seal, tenantKeys, wrapDataKey } from '../../vault/seal.ts';
import { closeLock, type KnownTenant, openLock, openTenant, type TenantRow, tenantCache } from '../store/shared.ts';
import type { BatchWriter } from './batch.ts';
import { TENANT_TABLES } from './schema.ts';

/** How many rows of an erased tenant one step removes: nobody else is held up. */
const SWEEP_ROWS = 2000;
/** The columns that name a row, where the table has no number of its own for it. */
const ROW_NAMES: Readonly<Record<string, string>> = {
  tag: 'hash, n',
  key: 'hash',
  key_owner: 'hash',
  mailbox: 'box',
  blob: 'name',
  spare: 'content',
  counter: 'hash',
  allocation: 'job',
  job: 'lane, id',
};

const TENANT_ROW = 'SELECT n, id, data_key, lock, open_until FROM tenant WHERE id = ?';

interface Parts {
  readonly db: DatabaseSync;
  readonly master: Uint8Array;
  readonly batch: BatchWriter;
  /** Runs a read at once. @throws AppError, also where the database is closed */
  readonly readNow: <T>(run: () => T) => T;
}

/** Removes some rows of an erased tenant, its own row when no other is left. @returns how many were removed */
async function sweepTenant(db: DatabaseSync, batch: BatchWriter, tenant: string): Promise<number> {
  let removed = 0;
  await batch.write(() => {
    const row = db.prepare(TENANT_ROW).get(tenant) as TenantRow | undefined;
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

/** The tenants of an SQLite database: their keys in memory, their locks, and their removal. */
export function sqliteTenants({ db, master, batch, readNow }: Parts) {
  const cache = tenantCache();
  const tenantRow = db.prepare(TENANT_ROW);
  const tenantRowByNumber = db.prepare('SELECT n, id, data_key, lock, open_until FROM tenant WHERE n = ?');
  const tenantInsert = db.prepare(
    'INSERT INTO tenant (id, name, data_key, created, lock, open_until) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
  );
  const tenantUnlock = db.prepare('UPDATE tenant SET data_key = ?, open_until = ? WHERE n = ? AND lock IS NOT NULL');
  const tenantKept = db.prepare(
    "UPDATE tenant SET open_until = max(open_until, ?) WHERE id = ? AND lock IS NOT NULL AND data_key <> x'' AND open_until > ?",
  );
  const tenantsOver = db.prepare('SELECT n, id FROM tenant WHERE open_until <= ? LIMIT 1000');
  const tenantLock = db.prepare("UPDATE tenant SET data_key = x'', open_until = NULL WHERE n = ?");
  const lanesAwake = db.prepare(`UPDATE job INDEXED BY job_fair SET lane_due = ?
    WHERE kind IN (${JOB_KINDS.map((kind) => `'${kind}'`).join(', ')}) AND t = ? AND lane_due >= ?`);
  const tenantIds = db.prepare('SELECT id FROM tenant ORDER BY n');

  function known(row: unknown, id: string | number): KnownTenant {
    if (!row) throw new AppError('not-found', `There is no tenant ${id}`);
    return cache.add(openTenant(master, row as TenantRow));
  }
  const byId = (id: string): KnownTenant => cache.byId(id) ?? known(tenantRow.get(id), id);
  const byNumber = (n: number): KnownTenant => cache.byNumber(n) ?? known(tenantRowByNumber.get(n), n);

  /** The number of a tenant, whose wallet may be locked: what is not sealed needs no more. @throws AppError `not-found` */
  function numberOf(id: string): number {
    const row = cache.byId(id) ?? (tenantRow.get(id) as TenantRow | undefined);
    if (!row || ('data_key' in row && row.data_key.length === 0 && row.lock === null))
      throw new AppError('not-found', `There is no tenant ${id}`);
    return row.n;
  }

  async function ensure(tenant: string, name: string, lock?: TenantLock): Promise<void> {
    if (cache.byId(tenant)) return;
    const dataKey = newKey();
    const label = seal(tenantKeys(tenant, dataKey), ['tenant', 'name'], Buffer.from(name));
    const sealed = lock ? await closeLock(lock.walletKey, tenant, dataKey) : null;
    const wrapped = wrapDataKey(master, tenant, dataKey);
    await batch.write(() => void tenantInsert.run(tenant, label, wrapped, Date.now(), sealed, lock?.until ?? null));
  }

  async function unlock(tenant: string, { walletKey, until }: TenantLock): Promise<void> {
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

  async function keepOpen(tenant: string, until: number): Promise<void> {
    let kept = false;
    await batch.write(
      () => {
        kept = tenantKept.run(until, tenant, Date.now()).changes > 0;
      },
      () => cache.invalidate(tenant),
    );
    if (!kept) throw new AppError('wallet-locked');
  }

  async function lock(tenant: string): Promise<void> {
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

  /** Locks those whose time is over. @returns how many */
  async function lockEnded(now: number): Promise<number> {
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

  async function erase(tenant: string): Promise<void> {
    await batch.write(
      () => {
        const row = tenantRow.get(tenant) as { n: number } | undefined;
        if (!row) return;
        db.prepare("UPDATE tenant SET data_key = x'', name = x'', lock = NULL, open_until = NULL WHERE n = ?").run(row.n);
        for (const table of ['key_owner', 'job']) db.prepare(`DELETE FROM ${table} WHERE t = ?`).run(row.n);
      },
      (draft) => {
        cache.invalidate(tenant);
        draft.invalidate.add(tenant);
      },
    );
  }

  return {
    byId,
    byNumber,
    numberOf,
    /** A tenant whose keys are in memory. */
    cached: (id: string): KnownTenant | undefined => cache.byId(id),
    ids: (): string[] => (tenantIds.all() as { id: string }[]).map((row) => row.id),
    ensure,
    unlock,
    keepOpen,
    lock,
    lockEnded,
    erase,
    sweep: (tenant: string) => sweepTenant(db, batch, tenant),
  };
}
