import { AppError } from '../../errors.ts';
import type { CallStatus, KeyOwner, Lookup, Page, Query, StoredDedupKey, StoredEvent, StoredKey, StoredRecord } from '../../ports/store.ts';
import {
  decodeCursor,
  decodeDedupKey,
  decodeFailure,
  decodeKey,
  decodeResult,
  dedupKeyHash,
  encodeCursor,
  keyHash,
  keyOwnerHash,
  type RecordColumns,
  recordTagHash,
} from '../../vault/rows.ts';
import { type KnownTenant, MAX_PAGE_ROWS, PAGE_ROWS, type RowReader } from '../store/shared.ts';
import { type Link, postgresError, scope } from './link.ts';

type RecordRead = RecordColumns & { n: number };
type LoadRow = Omit<RecordRead, 'n' | 'value'> & { ord: number; n: number | null; value: Uint8Array | null };
type Loaded = { repeated?: StoredDedupKey; records: StoredRecord[][] };

interface Pending {
  tenant: KnownTenant;
  lookups: readonly Lookup[];
  dedupKey: string | undefined;
  resolve: (loaded: Loaded) => void;
  reject: (error: AppError) => void;
}

const COLUMNS = 'r.n, r.category, r.id, r.version, r.state, r.role, r.connection, r.created, r.updated, r.value';
const LOAD = `SELECT * FROM flexid.load_rows(${Array.from({ length: 11 }, (_, i) => `$${i + 1}`).join(', ')})`;

/** The lookups of one event-loop turn, over all tenants, in one round trip. */
export function loadBatcher(link: Link, read: RowReader) {
  let queue: Pending[] = [];

  async function flush(): Promise<void> {
    const batch = queue;
    queue = [];
    const byId: [number[], number[], string[], string[]] = [[], [], [], []];
    const byTag: [number[], number[], Buffer[]] = [[], [], []];
    const byDedupKey: [number[], number[], Buffer[]] = [[], [], []];
    const found: LoadRow[][] = [];
    const number = () => found.push([]) - 1;
    // each pending call has one number per lookup, and one for its dedup key, in this order
    for (const { tenant, lookups, dedupKey } of batch) {
      for (const one of lookups) {
        if ('id' in one) {
          const row = [number(), tenant.n, one.category, one.id] as const;
          for (const [i, value] of row.entries()) (byId[i] as unknown[]).push(value);
        } else {
          const row = [number(), tenant.n, recordTagHash(tenant.keys, one.category, one.tag, one.equals)] as const;
          for (const [i, value] of row.entries()) (byTag[i] as unknown[]).push(value);
        }
      }
      if (dedupKey !== undefined) {
        const row = [number(), tenant.n, dedupKeyHash(tenant.keys, dedupKey)] as const;
        for (const [i, value] of row.entries()) (byDedupKey[i] as unknown[]).push(value);
      }
    }
    const tenants = [...new Set(batch.map(({ tenant }) => tenant.n))].join(',');
    try {
      const values = [tenants, ...byId, ...byTag, ...byDedupKey];
      for (const row of await link.query<LoadRow>({ name: 'load', text: LOAD, values })) found[row.ord]!.push(row);
    } catch (error) {
      for (const pending of batch) pending.reject(postgresError(error));
      return;
    }
    let at = 0;
    for (const pending of batch) {
      const count = pending.lookups.length + (pending.dedupKey === undefined ? 0 : 1);
      try {
        pending.resolve(decode(pending, found.slice(at, at + count)));
      } catch (error) {
        pending.reject(postgresError(error));
      }
      at += count;
    }
  }

  function decode({ tenant, lookups, dedupKey }: Pending, found: LoadRow[][]): Loaded {
    const records = lookups.map((_, i) => found[i]!.map((row) => read.record(tenant.keys, row as RecordColumns)));
    const seen = dedupKey === undefined ? undefined : found[lookups.length]![0];
    return { repeated: seen && read.decoded('a dedup key', () => decodeDedupKey(tenant.keys, dedupKey!, seen.value)), records };
  }

  return (tenant: KnownTenant, lookups: readonly Lookup[], dedupKey?: string): Promise<Loaded> =>
    new Promise((resolve, reject) => {
      if (queue.length === 0) setImmediate(flush);
      queue.push({ tenant, lookups, dedupKey, resolve, reject });
    });
}

/** The reads that are not batched. Each names its tenant for row-level security in the same round trip. */
export function postgresReads(link: () => Link, read: RowReader) {
  async function scoped<Row>(tenant: KnownTenant, name: string, text: string, values: readonly unknown[]): Promise<Row[]> {
    const [, rows] = await link().transaction([scope(tenant.n), { name, text, values }]);
    return rows as Row[];
  }

  async function find(tenant: KnownTenant, category: string, query: Query): Promise<Page<StoredRecord>> {
    const limit = Math.min(query.limit ?? PAGE_ROWS, MAX_PAGE_ROWS);
    const cursor = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
    if (query.cursor !== undefined && cursor === undefined) throw new AppError('bad-request', 'The cursor is not one of this API');
    const values: unknown[] = [tenant.n, category];
    // t::bigint: see the index
    const where = ['r.t::bigint = $1::int', 'r.category = $2'];
    const bind = (value: unknown) => `$${values.push(value)}`;
    for (const column of ['state', 'role', 'connection'] as const) {
      if (query[column] !== undefined) where.push(`r.${column} = ${bind(query[column])}`);
    }
    if (query.from !== undefined) where.push(`r.created >= ${bind(query.from)}::bigint`);
    if (query.before !== undefined) where.push(`r.created < ${bind(query.before)}::bigint`);
    const order = query.descending ? 'DESC' : 'ASC';
    const [tagged, ...also] = Object.entries(query.tags ?? {}).map(
      ([name, value]) => `SELECT n FROM flexid.tag WHERE t = $1::int AND hash = ${bind(recordTagHash(tenant.keys, category, name, value))}`,
    );
    for (const other of also) where.push(`r.n IN (${other})`);
    const all = `FROM flexid.record r WHERE ${where.join(' AND ')}`;
    // from the tag to its records, one by one: left to choose, the database may walk all records of the tenant and look whether each has the tag
    const of = (position = ''): string =>
      tagged
        ? `FROM (${tagged} ${position} ORDER BY n ${order} OFFSET 0) g CROSS JOIN LATERAL (SELECT ${COLUMNS} ${all} AND r.n = g.n OFFSET 0) r`
        : `${all} ${position}`;
    const count = `SELECT count(*) AS total ${of()}`;
    const filters = values.slice();
    const source = of(cursor === undefined ? '' : `AND n ${query.descending ? '<' : '>'} ${bind(cursor)}`);
    // one more than asked for, to know whether there is a next page
    const bounds = `LIMIT ${bind(limit + 1)} OFFSET ${bind(cursor === undefined ? (query.offset ?? 0) : 0)}`;
    const text = `SELECT ${COLUMNS} ${source} ORDER BY ${tagged ? 'g' : 'r'}.n ${order} ${bounds}`;
    // unnamed, for their shapes are many
    const statements = [scope(tenant.n), { name: '', text: count, values: filters }, { name: '', text, values }];
    const [, [total], rows] = (await link().transaction(statements)) as [unknown[], { total: number }[], RecordRead[]];
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      ...read.records(tenant.keys, page),
      total: total?.total ?? 0,
      next: (rows.length > limit || query.follow) && last ? encodeCursor(last.n) : query.follow ? query.cursor : undefined,
    };
  }

  return {
    scoped,
    find,
    async key(tenant: KnownTenant, kid: string): Promise<StoredKey | undefined> {
      const text = 'SELECT value FROM flexid.key WHERE t = $1 AND hash = $2';
      const [row] = await scoped<{ value: Uint8Array }>(tenant, 'key', text, [tenant.n, keyHash(tenant.keys, kid)]);
      return row && read.decoded(`key ${kid}`, () => decodeKey(tenant.keys, kid, row.value));
    },
    async keyOwner(kid: string): Promise<KeyOwner | undefined> {
      const text = 'SELECT x.id AS tenant, r.kind, r.target FROM flexid.key_owner r JOIN flexid.tenant x ON x.n = r.t WHERE r.hash = $1';
      const [row] = await link().query<Omit<KeyOwner, 'kid'>>({ name: 'key-owner', text, values: [keyOwnerHash(kid)] });
      return row && { kid, ...row };
    },
    async events(tenant: KnownTenant, query: { ids?: readonly string[]; after?: string; limit?: number }): Promise<StoredEvent[]> {
      const limit = Math.min(query.limit ?? PAGE_ROWS, MAX_PAGE_ROWS);
      const columns = 'SELECT id, topic, category, record, time, value FROM flexid.event';
      const rows = query.ids
        ? scoped(tenant, 'events-named', `${columns} WHERE t = $1 AND id = ANY ($2) ORDER BY id`, [tenant.n, query.ids])
        : scoped(tenant, 'events-after', `${columns} WHERE t = $1 AND id > $2 ORDER BY id LIMIT $3`, [tenant.n, query.after ?? '', limit]);
      return ((await rows) as Parameters<RowReader['event']>[1][]).map((row) => read.event(tenant.keys, row));
    },
    async callStatus(tenant: KnownTenant, callId: string): Promise<CallStatus> {
      const text = `SELECT
          (SELECT count(*) FROM flexid.job WHERE t = $1 AND call_id = $2 AND call_id IS NOT NULL AND kind NOT IN ('deliver', 'event')) AS open, c.result, c.failure
        FROM (SELECT 1) one LEFT JOIN flexid.call c ON c.t = $1 AND c.call_id = $2`;
      const [row] = await scoped<{ open: number; result: Uint8Array | null; failure: Uint8Array | null }>(tenant, 'call', text, [
        tenant.n,
        callId,
      ]);
      const { open = 0, result, failure } = row ?? {};
      return {
        open,
        result: result ? read.decoded(`call ${callId}`, () => decodeResult(tenant.keys, callId, result)) : undefined,
        failure: failure ? read.decoded(`call ${callId}`, () => decodeFailure(tenant.keys, callId, failure)) : undefined,
      };
    },
  };
}
export type PostgresReads = ReturnType<typeof postgresReads>;
