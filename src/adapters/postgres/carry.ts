import type { Client } from 'pg';
import { AppError } from '../../errors.ts';
import {
  type Adoption,
  CARRIED,
  type CarriedRow,
  type CarriedTenant,
  type CarriedType,
  type Dump,
  type Extent,
} from '../../ports/carry.ts';
import { JOB_KINDS } from '../../ports/store.ts';
import { NEVER, splitTags } from '../../vault/rows.ts';
import { type TenantKeys, tenantKeys, wrapDataKey } from '../../vault/seal.ts';
import {
  CARRIED_COLUMNS,
  type Columns,
  carriedKey,
  carriedRows,
  carriedTenant,
  carriedTypes,
  carriedWhere,
  fromCarried,
  toCarried,
} from '../store/carried.ts';
import type { NotificationDraft, TenantRow } from '../store/shared.ts';
import { plainClient, postgresError } from './link.ts';

interface Parts {
  readonly url: string;
  readonly settings: readonly string[];
  readonly master: Uint8Array;
  readonly erase: (tenant: string) => Promise<void>;
  readonly sweep: (tenant: string) => Promise<number>;
  readonly announce: (fill: (draft: NotificationDraft) => void) => Promise<void>;
}

const TENANT = 'SELECT n, id, name, data_key, lock, open_until FROM flexid.tenant WHERE id = $1';
const TYPES = { text: 'text', int: 'bigint', bytes: 'bytea' } as const;
/** The class of the advisory locks under which only one process takes in a tenant of that name. */
const ADOPTION_LOCK = 703_197;

const selectOf = (type: CarriedType, n: number, extent: Extent): string => {
  const order =
    { job: 'ORDER BY id', event: 'ORDER BY id', record: 'ORDER BY n', mail: 'ORDER BY n', dead: 'ORDER BY n' }[type as string] ?? '';
  const names = Object.keys(CARRIED_COLUMNS[type]).join(', ');
  // a chunk that no name points to is no value's
  if (type === 'chunk')
    return `SELECT content, n, bytes FROM flexid.chunk WHERE t = ${n} AND content IN (SELECT content FROM flexid.blob WHERE t = ${n})`;
  return `SELECT ${names} FROM flexid.${type} WHERE t = ${n} ${carriedWhere(type, extent)} ${order}`;
};

/** Tenants out of a PostgreSQL database and into it, each time on a connection of its own. */
export function postgresCarry({ url, settings, master, erase, sweep, announce }: Parts) {
  const open = new Set<Client>();
  /** Sees the rows of all tenants. */
  async function connected(): Promise<Client> {
    const client = await plainClient(url, settings);
    open.add(client);
    await client.query("SELECT set_config('flexid.tenant', '*', false)");
    return client;
  }
  async function ended(client: Client): Promise<void> {
    open.delete(client);
    await client.end().catch(() => undefined);
  }

  async function dump(id: string, extent: Extent): Promise<Dump> {
    const client = await connected();
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const row = (await client.query<TenantRow & { name: Uint8Array }>(TENANT, [id])).rows[0];
      if (!row) throw new AppError('not-found', `There is no tenant ${id}`);
      const { tenant, keys } = carriedTenant(master, row);
      return { tenant, rows: read(client, row.n, keys, extent) };
    } catch (error) {
      await ended(client);
      throw postgresError(error);
    }
  }

  async function* read(client: Client, n: number, keys: TenantKeys | undefined, extent: Extent): AsyncGenerator<CarriedRow[], void> {
    try {
      for (const type of carriedTypes(extent)) {
        await client.query(`DECLARE carried NO SCROLL CURSOR FOR ${selectOf(type, n, extent)}`);
        while (true) {
          const { rows } = await client.query<Columns>(`FETCH ${carriedRows(type)} FROM carried`);
          if (rows.length > 0) yield rows.map((row) => toCarried(type, keys, row));
          if (rows.length < carriedRows(type)) break;
        }
        await client.query('CLOSE carried');
      }
    } catch (error) {
      throw postgresError(error);
    } finally {
      await ended(client);
    }
  }

  async function adopt(): Promise<Adoption> {
    const client = await connected();
    const adopted = new Map<string, { n: number; tenant: CarriedTenant; key: Buffer | undefined; keys: TenantKeys | undefined }>();
    const run = async <T>(what: () => Promise<T>): Promise<T> => {
      try {
        return await what();
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined);
        throw postgresError(error);
      }
    };

    async function begin(tenant: CarriedTenant): Promise<void> {
      const { id, name } = tenant;
      const key = carriedKey(tenant);
      const locked = await client.query<{ ok: boolean }>('SELECT pg_try_advisory_lock($1, hashtext($2)) AS ok', [ADOPTION_LOCK, id]);
      if (!locked.rows[0]?.ok) throw new AppError('conflict', `Another process takes in the wallet ${id}`);
      const [found] = (await client.query<TenantRow>(TENANT, [id])).rows;
      if (found && (found.data_key.length > 0 || found.lock !== null))
        throw new AppError('conflict', `The store has a wallet ${id} already`);
      if (found) await removed(id);
      const text = "INSERT INTO flexid.tenant (id, name, data_key, created) VALUES ($1, $2, '', flexid.now_ms()) RETURNING n";
      const { n } = (await client.query<{ n: number }>(text, [id, Buffer.from(name, 'base64')])).rows[0]!;
      adopted.set(id, { n, tenant, key, keys: key && tenantKeys(id, key) });
    }

    /** A tenant without a data key is one that was erased, or whose adoption did not end. */
    async function removed(id: string): Promise<void> {
      await erase(id);
      while ((await sweep(id)) > 0);
    }

    async function finish(): Promise<void> {
      await client.query('BEGIN');
      for (const [id, { n, tenant, key }] of adopted) {
        // a wallet whose owner keeps the key is locked until the owner opens it
        const wrapped = key && tenant.lock === undefined ? wrapDataKey(master, id, key) : Buffer.alloc(0);
        const text = 'UPDATE flexid.tenant SET data_key = $1, lock = $2 WHERE n = $3';
        await client.query(text, [wrapped, tenant.lock ?? null, n]);
        await client.query(
          `UPDATE flexid.lane l SET due = (SELECT due FROM flexid.job j WHERE j.lane = l.name ORDER BY id LIMIT 1) WHERE t = $1`,
          [n],
        );
      }
      await client.query('COMMIT');
    }

    return {
      tenant: (tenant) => run(() => begin(tenant)),
      async add(id, rows) {
        const { n, keys } = adopted.get(id)!;
        const byType = new Map<CarriedType, Columns[]>();
        for (const row of rows) {
          const columns = fromCarried(keys, row);
          const others = byType.get(row.type);
          if (others) others.push(columns);
          else byType.set(row.type, [columns]);
        }
        await run(async () => {
          await client.query('BEGIN');
          for (const type of CARRIED) if (byType.has(type)) await insertRows(client, n, type, byType.get(type)!);
          await client.query('COMMIT');
        });
      },
      async finish() {
        await run(finish);
        await announce((draft) => {
          for (const id of adopted.keys()) draft.invalidate.add(id);
          for (const kind of JOB_KINDS) draft.kinds.add(kind);
        });
        adopted.clear();
        await ended(client);
      },
      async abandon() {
        for (const id of adopted.keys()) await removed(id);
        adopted.clear();
        await ended(client);
      },
    };
  }

  return {
    carrying: { dump, adopt },
    close: async () => void (await Promise.all([...open].map(ended))),
  };
}

/** Writes rows of one kind, with what follows from them: tags, boxes, lanes. */
async function insertRows(client: Client, n: number, type: CarriedType, rows: readonly Columns[]): Promise<void> {
  const specs = Object.entries(CARRIED_COLUMNS[type]);
  const arrays = specs.map(([name]) => rows.map((row) => row[name]));
  const names = specs.map(([name]) => name).join(', ');
  const from = `unnest(${specs.map(([, kind], i) => `$${i + 2}::${TYPES[kind]}[]`).join(', ')}) AS x(${names})`;
  const more = type === 'counter' ? 'ON CONFLICT (t, hash) DO UPDATE SET n = greatest(c.n, excluded.n)' : '';
  if (type === 'job') {
    // jobs come in the order of their ids: the first of a lane is its head
    const lanes = `INSERT INTO flexid.lane (name, kind, t, due, head) SELECT lane, min(kind), $1, ${NEVER}, min(id COLLATE "C") FROM ${from} GROUP BY lane
      ON CONFLICT (name) DO NOTHING`;
    await client.query(lanes, [n, ...arrays]);
    const foreign = 'SELECT 1 FROM flexid.lane WHERE name = ANY ($1) AND t <> $2 LIMIT 1';
    const clash = await client.query(foreign, [rows.map(({ lane }) => lane), n]);
    if (clash.rows.length > 0) throw new AppError('conflict', 'A lane of the queue is there already');
  }
  // one counter may come by its hash and by its name
  const rowsOf = type === 'counter' ? `hash, max(n) FROM ${from} GROUP BY hash` : `${names} FROM ${from}`;
  const text = `INSERT INTO flexid.${type} AS c (t, ${names}) SELECT $1, ${rowsOf} ${more}`;
  if (type !== 'record') await client.query(text, [n, ...arrays]);
  else {
    const made = await client.query<{ n: number; category: string; id: string }>(`${text} RETURNING n, category, id`, [n, ...arrays]);
    const numbers = new Map(made.rows.map((row) => [`${row.category} ${row.id}`, row.n]));
    const tags = rows.flatMap(({ category, id, tags: joined }) =>
      splitTags(joined as Uint8Array).map((hash) => ({ hash, of: numbers.get(`${category} ${id}`) })),
    );
    const values = [n, tags.map(({ hash }) => hash), tags.map(({ of }) => of)];
    await client.query(
      'INSERT INTO flexid.tag (t, hash, n) SELECT $1, hash, n FROM unnest($2::bytea[], $3::bigint[]) AS x(hash, n)',
      values,
    );
  }
  if (type === 'mail') {
    const boxes = `INSERT INTO flexid.mailbox AS m (t, box, messages, bytes) SELECT $1, box, count(*), sum(size) FROM ${from} GROUP BY box
      ON CONFLICT (t, box) DO UPDATE SET messages = m.messages + excluded.messages, bytes = m.bytes + excluded.bytes`;
    await client.query(boxes, [n, ...arrays]);
  }
}
