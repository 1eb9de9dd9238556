import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
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
import { targetOf } from '../../ports/claims.ts';
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
import type { TenantRow } from '../store/shared.ts';
import type { BatchWriter } from './batch.ts';
import { sqliteError } from './file.ts';

interface Parts {
  readonly db: DatabaseSync;
  /** Undefined for a database in memory, whose dump is not of one moment. */
  readonly path: string | undefined;
  readonly master: Uint8Array;
  readonly batch: BatchWriter;
  readonly erase: (tenant: string) => Promise<void>;
  readonly sweep: (tenant: string) => Promise<number>;
}

const TENANT = 'SELECT n, id, name, data_key, lock, open_until FROM tenant WHERE id = ?';

const selectOf = (type: CarriedType, extent: Extent): string => {
  const where = `t = ? ${carriedWhere(type, extent)}`;
  const names = Object.keys(CARRIED_COLUMNS[type]).join(', ');
  // a chunk that no name points to is no value's
  if (type === 'chunk') return 'SELECT content, n, bytes FROM chunk WHERE content IN (SELECT content FROM blob WHERE t = ?)';
  const order = ['record', 'mail', 'dead', 'event'].includes(type) ? 'ORDER BY n' : type === 'job' ? 'ORDER BY lane, id' : '';
  return `SELECT ${names} FROM ${type} WHERE ${where} ${order}`;
};

/** Tenants out of an SQLite database and into it. */
export function sqliteCarry({ db, path, master, batch, erase, sweep }: Parts) {
  async function dump(id: string, extent: Extent): Promise<Dump> {
    // a connection of its own reads one moment, whatever is written meanwhile
    const reader = path === undefined ? db : new DatabaseSync(path, { readOnly: true });
    const close = (): void => void (reader === db || reader.close());
    try {
      if (reader !== db) reader.exec('BEGIN');
      const row = reader.prepare(TENANT).get(id) as (TenantRow & { name: Uint8Array }) | undefined;
      if (!row) throw new AppError('not-found', `There is no tenant ${id}`);
      const { tenant, keys } = carriedTenant(master, row);
      return { tenant, rows: read(reader, row.n, keys, extent, close) };
    } catch (error) {
      close();
      throw sqliteError(error);
    }
  }

  async function* read(
    reader: DatabaseSync,
    n: number,
    keys: TenantKeys | undefined,
    extent: Extent,
    close: () => void,
  ): AsyncGenerator<CarriedRow[], void> {
    try {
      for (const type of carriedTypes(extent)) {
        const select = reader.prepare(selectOf(type, extent));
        let rows: CarriedRow[] = [];
        for (const row of reader === db ? select.all(n) : select.iterate(n)) {
          if (rows.push(toCarried(type, keys, row as Columns)) < carriedRows(type)) continue;
          yield rows;
          rows = [];
          // others have their turn
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (rows.length > 0) yield rows;
      }
    } catch (error) {
      throw sqliteError(error);
    } finally {
      close();
    }
  }

  async function adopt(): Promise<Adoption> {
    const adopted = new Map<string, { n: number; tenant: CarriedTenant; key: Buffer | undefined; keys: TenantKeys | undefined }>();
    const insert = inserts(db);

    async function begin(tenant: CarriedTenant): Promise<void> {
      const { id, name } = tenant;
      const key = carriedKey(tenant);
      const found = db.prepare(TENANT).get(id) as TenantRow | undefined;
      if (found && (found.data_key.length > 0 || found.lock !== null))
        throw new AppError('conflict', `The store has a wallet ${id} already`);
      if (found) await removed(id);
      let n = 0;
      await batch.write(() => {
        const made = db
          .prepare("INSERT INTO tenant (id, name, data_key, created) VALUES (?, ?, x'', ?)")
          .run(id, Buffer.from(name, 'base64'), Date.now());
        n = Number(made.lastInsertRowid);
      });
      adopted.set(id, { n, tenant, key, keys: key && tenantKeys(id, key) });
    }

    /** A tenant without a data key is one that was erased, or whose adoption did not end. */
    async function removed(id: string): Promise<void> {
      await erase(id);
      while ((await sweep(id)) > 0);
    }

    return {
      tenant: begin,
      async add(id, rows) {
        const { n, keys } = adopted.get(id)!;
        const sealed = rows.map((row) => ({ type: row.type, columns: fromCarried(keys, row) }));
        await batch.write(() => {
          for (const { type, columns } of sealed) insert[type](n, columns);
        });
      },
      async finish() {
        await batch.write(
          () => {
            for (const [id, { n, tenant, key }] of adopted) {
              // a wallet whose owner keeps the key is locked until the owner opens it
              const wrapped = key && tenant.lock === undefined ? wrapDataKey(master, id, key) : Buffer.alloc(0);
              db.prepare('UPDATE tenant SET data_key = ?, lock = ? WHERE n = ?').run(wrapped, tenant.lock ?? null, n);
              db.prepare('UPDATE job SET lane_due = due WHERE t = ? AND lane_due IS NOT NULL').run(n);
            }
          },
          (draft) => {
            for (const id of adopted.keys()) draft.invalidate.add(id);
            for (const kind of JOB_KINDS) draft.kinds.add(kind);
          },
        );
        adopted.clear();
      },
      async abandon() {
        for (const id of adopted.keys()) await removed(id);
        adopted.clear();
      },
    };
  }

  return { dump, adopt };
}

/** How a row of each kind is written; they run inside a batch's transaction. */
function inserts(db: DatabaseSync): Record<CarriedType, (n: number, columns: Columns) => void> {
  const plain = (type: CarriedType, more = '', own: readonly string[] = []) => {
    const names = [...Object.keys(CARRIED_COLUMNS[type]), ...own];
    const text = `INSERT INTO ${type} (t, ${names.join(', ')}) VALUES (?${', ?'.repeat(names.length)}) ${more}`;
    const statement = db.prepare(text);
    return (n: number, columns: Columns) => statement.run(n, ...names.map((name) => columns[name] as SQLInputValue));
  };
  const all = Object.fromEntries(CARRIED.map((type) => [type, plain(type)])) as Record<CarriedType, ReturnType<typeof plain>>;
  const counter = plain('counter', 'ON CONFLICT (t, hash) DO UPDATE SET n = max(n, excluded.n)');
  const job = plain('job', '', ['lane_due', 'target']);
  const tag = db.prepare('INSERT INTO tag (t, hash, n) VALUES (?, ?, ?)');
  const box = db.prepare(`INSERT INTO mailbox (t, box, messages, bytes) VALUES (?, ?, 1, ?)
    ON CONFLICT (t, box) DO UPDATE SET messages = messages + 1, bytes = bytes + excluded.bytes`);
  const laneOwner = db.prepare('SELECT t FROM job WHERE lane = ? LIMIT 1');
  return {
    ...(all as Record<CarriedType, (n: number, columns: Columns) => void>),
    counter,
    record(n, columns) {
      const { lastInsertRowid } = all.record(n, columns);
      for (const hash of splitTags(columns.tags as Uint8Array)) tag.run(n, hash, lastInsertRowid);
    },
    mail(n, columns) {
      all.mail(n, columns);
      box.run(n, columns.box as string, columns.size as number);
    },
    // jobs of a lane come in the order of their ids: the first one is its head
    job(n, columns) {
      const lane = columns.lane as string;
      const owner = laneOwner.get(lane) as { t: number } | undefined;
      if (owner && owner.t !== n) throw new AppError('conflict', 'A lane of the queue is there already');
      job(n, { ...columns, lane_due: owner ? null : NEVER, target: targetOf(lane) });
    },
  };
}
