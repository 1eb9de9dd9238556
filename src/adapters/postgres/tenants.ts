import { AppError } from '../../errors.ts';
import { JOB_KINDS, type TenantLock } from '../../ports/store.ts';
import { NEVER } from '../../vault/rows.ts';
import { newKey, seal, tenantKeys, wrapDataKey } from '../../vault/seal.ts';
import {
  closeLock,
  type KnownTenant,
  type NotificationDraft,
  type notificationBoard,
  notificationDraft,
  notifiedNames,
  openLock,
  openTenant,
  type TenantRow,
  tenantCache,
} from '../store/shared.ts';
import { TENANT_LOCK } from './commit-sql.ts';
import type { Link } from './link.ts';
import { TENANT_TABLES } from './schema.ts';

/** How many rows of an erased tenant one step removes: nobody else is held up. */
const SWEEP_ROWS = 2000;

interface Parts {
  readonly reader: () => Link;
  readonly master: Uint8Array;
  /** This process among those that share the database. */
  readonly from: string;
  readonly board: ReturnType<typeof notificationBoard>;
  readonly isClosed: () => boolean;
}

/** The tenants of a PostgreSQL database: their keys in memory, their locks, and their removal. */
export function postgresTenants({ reader, master, from, board, isClosed }: Parts) {
  const cache = tenantCache();
  board.subscribe(({ invalidate }) => {
    for (const name of invalidate) cache.invalidate(name);
  });

  async function tenant(column: 'id' | 'n', value: string | number): Promise<KnownTenant> {
    if (isClosed()) throw new AppError('store-unavailable', 'The database is closed');
    const text = `SELECT n, id, data_key, lock, open_until FROM flexid.tenant WHERE ${column} = $1`;
    const [row] = await reader().query<TenantRow>({ name: `tenant-${column}`, text, values: [value] });
    if (!row) throw new AppError('not-found', `There is no tenant ${value}`);
    return cache.add(openTenant(master, row));
  }
  const byId = async (id: string): Promise<KnownTenant> => (isClosed() ? undefined : cache.byId(id)) ?? tenant('id', id);
  const byNumber = async (n: number): Promise<KnownTenant> => cache.byNumber(n) ?? tenant('n', n);

  async function ensure(id: string, name: string, lock?: TenantLock): Promise<void> {
    if (cache.byId(id)) return;
    const dataKey = newKey();
    const label = seal(tenantKeys(id, dataKey), ['tenant', 'name'], Buffer.from(name));
    const text = `INSERT INTO flexid.tenant (id, name, data_key, created, lock, open_until) VALUES ($1, $2, $3, flexid.now_ms(), $4, $5)
      ON CONFLICT (id) DO NOTHING`;
    const sealed = lock ? await closeLock(lock.walletKey, id, dataKey) : null;
    await reader().query({ name: 'tenant-add', text, values: [id, label, wrapDataKey(master, id, dataKey), sealed, lock?.until ?? null] });
  }

  async function unlock(id: string, { walletKey, until }: TenantLock): Promise<void> {
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

  async function keepOpen(id: string, until: number): Promise<void> {
    const text = `UPDATE flexid.tenant SET open_until = GREATEST(open_until, $2::bigint)
      WHERE id = $1 AND lock IS NOT NULL AND data_key <> '' AND open_until > flexid.now_ms() RETURNING id`;
    if ((await reader().query({ name: 'tenant-keep-open', text, values: [id, until] })).length === 0) throw new AppError('wallet-locked');
    cache.invalidate(id);
    await announce((draft) => void draft.invalidate.add(id));
  }

  async function lock(id: string): Promise<void> {
    const text = `UPDATE flexid.tenant SET data_key = '', open_until = NULL WHERE id = $1 AND lock IS NOT NULL RETURNING id`;
    const locked = await reader().query<{ id: string }>({ name: 'tenant-lock', text, values: [id] });
    if (locked.length === 0) throw new AppError('not-found', `There is no locked tenant ${id}`);
    cache.invalidate(id);
    await announce((draft) => void draft.invalidate.add(id));
  }

  /** Locks those whose time is over. @returns how many */
  async function lockEnded(now: number): Promise<number> {
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

  /** Notifies listeners here and in other processes. */
  async function announce(fill: (draft: NotificationDraft) => void): Promise<void> {
    const draft = notificationDraft();
    fill(draft);
    board.publish(draft);
    await reader().query({
      name: 'notify-change',
      text: 'SELECT flexid.notify_change($1, $2, $3)',
      values: [from, [...draft.kinds], notifiedNames(draft)],
    });
  }

  const rowOf = async (id: string): Promise<{ n: number; erased: boolean } | undefined> => {
    const text = 'SELECT n, length(data_key) = 0 AND lock IS NULL AS erased FROM flexid.tenant WHERE id = $1';
    return (await reader().query<{ n: number; erased: boolean }>({ name: 'tenant-state', text, values: [id] }))[0];
  };

  /** The number of a tenant, whose wallet may be locked: what is not sealed needs no more. @throws AppError `not-found` */
  async function numberOf(id: string): Promise<number> {
    if (isClosed()) throw new AppError('store-unavailable', 'The database is closed');
    const known = cache.byId(id);
    if (known) return known.n;
    const row = await rowOf(id);
    if (!row || row.erased) throw new AppError('not-found', `There is no tenant ${id}`);
    return row.n;
  }

  async function erase(id: string): Promise<void> {
    const row = await rowOf(id);
    if (!row) return;
    // one function body is one transaction
    const body = ['key_owner', 'job', 'lane'].map((table) => `DELETE FROM flexid.${table} WHERE t = ${row.n};`).join(' ');
    const text = `DO $$ BEGIN PERFORM pg_advisory_xact_lock(${TENANT_LOCK}, ${row.n}); UPDATE flexid.tenant SET data_key = '', name = '', lock = NULL, open_until = NULL WHERE n = ${row.n}; ${body} END $$`;
    await reader().query({ name: '', text });
    cache.invalidate(id);
    await announce((draft) => void draft.invalidate.add(id));
  }

  async function sweep(id: string): Promise<number> {
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

  const ids = async (): Promise<string[]> =>
    (await reader().query<{ id: string }>({ name: 'tenants', text: 'SELECT id FROM flexid.tenant ORDER BY n' })).map((row) => row.id);

  return {
    byId,
    byNumber,
    numberOf,
    invalidate: (id: string): void => cache.invalidate(id),
    ids,
    announce,
    ensure,
    unlock,
    keepOpen,
    lock,
    lockEnded,
    erase,
    sweep,
  };
}
