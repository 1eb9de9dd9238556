import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import {
  type CallStatus,
  type KeyOwner,
  LOOKUP_ROWS,
  type Lookup,
  type Page,
  type Query,
  type StoredDedupKey,
  type StoredEvent,
  type StoredKey,
  type StoredRecord,
} from '../../ports/store.ts';
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
import { rowsOf } from './file.ts';

const COLUMNS = 'r.n, r.category, r.id, r.version, r.state, r.role, r.connection, r.created, r.updated, r.value';

type RecordRead = RecordColumns & { n: number };

/** The reads of the store. All of them are synchronous: nothing of an unfinished batch can be seen between them. */
export function sqliteReads(db: DatabaseSync, read: RowReader) {
  const byId = db.prepare(`SELECT ${COLUMNS} FROM record r WHERE r.t = ? AND r.category = ? AND r.id = ?`);
  const byTag = db.prepare(
    `SELECT ${COLUMNS} FROM tag g JOIN record r ON r.n = g.n WHERE g.t = ? AND g.hash = ? ORDER BY g.n DESC LIMIT ${LOOKUP_ROWS}`,
  );
  const dedupKeyGet = db.prepare('SELECT answer FROM dedup_key WHERE t = ? AND hash = ?');
  const keyGet = db.prepare('SELECT value FROM key WHERE t = ? AND hash = ?');
  const keyOwnerGet = db.prepare(
    'SELECT tenant.id AS tenant, o.kind, o.target FROM key_owner o JOIN tenant ON tenant.n = o.t WHERE hash = ?',
  );
  const eventsAfter = db.prepare('SELECT id, topic, category, record, time, value FROM event WHERE t = ? AND id > ? ORDER BY id LIMIT ?');
  const eventsNamed = db.prepare(`SELECT id, topic, category, record, time, value FROM event
    WHERE t = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?`);
  const callGet = db.prepare('SELECT result, failure FROM call WHERE t = ? AND call_id = ?');
  const callOpen = db.prepare(`SELECT count(*) AS open FROM job INDEXED BY job_call
    WHERE t = ? AND call_id = ? AND call_id IS NOT NULL AND kind NOT IN ('deliver', 'event')`);
  // one per shape of a query: the filters in use, the direction, with a position or without
  const finds = new Map<string, { rows: StatementSync; total: StatementSync }>();

  function lookup(tenant: KnownTenant, one: Lookup): StoredRecord[] {
    const rows =
      'id' in one
        ? byId.all(tenant.n, one.category, one.id)
        : byTag.all(tenant.n, recordTagHash(tenant.keys, one.category, one.tag, one.equals));
    return rowsOf<RecordRead>(rows).map((row) => read.record(tenant.keys, row));
  }

  function find(tenant: KnownTenant, category: string, query: Query): Page<StoredRecord> {
    const limit = Math.min(query.limit ?? PAGE_ROWS, MAX_PAGE_ROWS);
    const cursor = query.cursor === undefined ? undefined : decodeCursor(query.cursor);
    if (query.cursor !== undefined && cursor === undefined) throw new AppError('bad-request', 'The cursor is not one of this API');
    const where = ['r.t = ?', 'r.category = ?'];
    const values: SQLInputValue[] = [tenant.n, category];
    for (const column of ['state', 'role', 'connection'] as const) {
      const value = query[column];
      if (value === undefined) continue;
      where.push(`r.${column} = ?`);
      values.push(value);
    }
    for (const [name, operator] of [
      ['from', '>='],
      ['before', '<'],
    ] as const) {
      const value = query[name];
      if (value === undefined) continue;
      where.push(`r.created ${operator} ?`);
      values.push(value);
    }
    const tags = Object.entries(query.tags ?? {}).map(([name, value]) => recordTagHash(tenant.keys, category, name, value));
    for (const hash of tags) {
      where.push('r.n IN (SELECT n FROM tag WHERE t = ? AND hash = ?)');
      values.push(tenant.n, hash);
    }
    const position = cursor === undefined ? '' : `AND r.n ${query.descending ? '<' : '>'} ?`;
    const order = query.descending ? 'DESC' : 'ASC';
    const index = tags.length > 0 ? '' : query.connection === undefined ? 'INDEXED BY record_list' : 'INDEXED BY record_connection';
    const shape = `${index} ${where.join()} ${position} ${order}`;
    let found = finds.get(shape);
    if (!found) {
      const source = `FROM record r ${index} WHERE ${where.join(' AND ')}`;
      found = {
        rows: db.prepare(`SELECT ${COLUMNS} ${source} ${position} ORDER BY r.n ${order} LIMIT ? OFFSET ?`),
        total: db.prepare(`SELECT count(*) AS total ${source}`),
      };
      finds.set(shape, found);
    }
    const { total } = found.total.get(...values) as { total: number };
    const at = cursor === undefined ? [] : [cursor];
    // one more than asked for, to know whether there is a next page
    const rows = rowsOf<RecordRead>(found.rows.all(...values, ...at, limit + 1, cursor === undefined ? (query.offset ?? 0) : 0));
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      ...read.records(tenant.keys, page),
      total,
      next: (rows.length > limit || query.follow) && last ? encodeCursor(last.n) : query.follow ? query.cursor : undefined,
    };
  }

  return {
    lookup,
    find,
    storedDedupKey(tenant: KnownTenant, dedupKey: string): StoredDedupKey | undefined {
      const row = dedupKeyGet.get(tenant.n, dedupKeyHash(tenant.keys, dedupKey)) as { answer: Uint8Array | null } | undefined;
      return row && read.decoded('a dedup key', () => decodeDedupKey(tenant.keys, dedupKey, row.answer));
    },
    key(tenant: KnownTenant, kid: string): StoredKey | undefined {
      const row = keyGet.get(tenant.n, keyHash(tenant.keys, kid)) as { value: Uint8Array } | undefined;
      return row && read.decoded(`key ${kid}`, () => decodeKey(tenant.keys, kid, row.value));
    },
    keyOwner(kid: string): KeyOwner | undefined {
      const row = keyOwnerGet.get(keyOwnerHash(kid)) as { tenant: string; kind: string; target: string } | undefined;
      return row && { kid, ...row };
    },
    events(tenant: KnownTenant, query: { ids?: readonly string[]; after?: string; limit?: number }): StoredEvent[] {
      const limit = Math.min(query.limit ?? PAGE_ROWS, MAX_PAGE_ROWS);
      const rows = query.ids
        ? eventsNamed.all(tenant.n, JSON.stringify(query.ids), Math.max(limit, query.ids.length))
        : eventsAfter.all(tenant.n, query.after ?? '', limit);
      return rowsOf<Parameters<RowReader['event']>[1]>(rows).map((row) => read.event(tenant.keys, row));
    },
    callStatus(tenant: KnownTenant, callId: string): CallStatus {
      const { open } = callOpen.get(tenant.n, callId) as { open: number };
      const row = callGet.get(tenant.n, callId) as { result: Uint8Array | null; failure: Uint8Array | null } | undefined;
      const { result, failure } = row ?? {};
      return {
        open,
        result: result ? read.decoded(`call ${callId}`, () => decodeResult(tenant.keys, callId, result)) : undefined,
        failure: failure ? read.decoded(`call ${callId}`, () => decodeFailure(tenant.keys, callId, failure)) : undefined,
      };
    },
  };
}
