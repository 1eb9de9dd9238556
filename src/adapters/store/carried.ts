import { AppError } from '../../errors.ts';
import { MAX_BLOB_BYTES } from '../../ports/blobs.ts';
import { CARRIED, type CarriedRow, type CarriedTenant, type CarriedType, type Extent } from '../../ports/carry.ts';
import type { JsonObject } from '../../ports/json.ts';
import { counterHash, decodeKeyByHash, decodeRecord, encodeKey, encodeValue, type RecordColumns } from '../../vault/rows.ts';
import { KEY_BYTES, type TenantKeys, tenantKeys, unwrapDataKey } from '../../vault/seal.ts';
import { CHUNK_BYTES, checkedName } from './blobs-shared.ts';
import { guarded, type TenantRow } from './shared.ts';

/** The columns of each kind of rows, alike in both databases but for a job's lane. */
export const CARRIED_COLUMNS = {
  record: {
    ...{ category: 'text', id: 'text', version: 'int', state: 'text', role: 'text', connection: 'text' },
    ...{ created: 'int', updated: 'int', tags: 'bytes', value: 'bytes' },
  },
  key: { hash: 'bytes', value: 'bytes' },
  key_owner: { hash: 'bytes', kind: 'text', target: 'text' },
  dedup_key: { hash: 'bytes', expires: 'int', answer: 'bytes' },
  counter: { hash: 'bytes', n: 'int' },
  blob: { name: 'text', content: 'text', size: 'int', sha256: 'text', written: 'int' },
  chunk: { content: 'text', n: 'int', bytes: 'bytes' },
  allocation: { job: 'text', n: 'int' },
  mail: {
    ...{ box: 'text', id: 'text', recipient: 'bytes', size: 'int', received: 'int', expires: 'int', attempts: 'int', body: 'bytes' },
  },
  job: { id: 'text', lane: 'text', kind: 'text', due: 'int', attempts: 'int', call_id: 'text', payload: 'bytes' },
  dead: {
    ...{ id: 'text', lane: 'text', kind: 'text', attempts: 'int', call_id: 'text', payload: 'bytes', died: 'int', error: 'bytes' },
  },
  event: { id: 'text', topic: 'text', category: 'text', record: 'text', time: 'int', value: 'bytes' },
} as const satisfies Record<CarriedType, Readonly<Record<string, 'text' | 'int' | 'bytes'>>>;

/** Columns that may be null. */
const NULLABLE = new Set(['state', 'role', 'connection', 'answer', 'recipient', 'call_id']);
/** Rows that are read and written at once: a chunk has 256 KiB. */
export const carriedRows = (type: CarriedType): number => (type === 'chunk' ? 4 : 256);

/** The kinds of rows of an extent, in their order. */
export const carriedTypes = (extent: Extent): readonly CarriedType[] =>
  extent === 'move' ? CARRIED : CARRIED.filter((type) => !['allocation', 'mail', 'job', 'dead', 'event'].includes(type));

/** Dedup keys beyond it last as long as their wallet: those of messages that are known for good end in a hundred years. */
const LASTING = Date.UTC(2100);
/** A copy has only the dedup keys that last as long as the wallet. */
export const carriedWhere = (type: CarriedType, extent: Extent): string =>
  type === 'dedup_key' && extent === 'copy' ? `AND expires >= ${LASTING}` : '';

export type Columns = Record<string, string | number | Uint8Array | null>;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

/** A tenant's row as it is carried, and its keys where it is open. @throws AppError `not-found` where it was erased */
export function carriedTenant(master: Uint8Array, row: TenantRow & { name: Uint8Array }): { tenant: CarriedTenant; keys?: TenantKeys } {
  const { id, name, data_key: wrapped, lock } = row;
  if (wrapped.length === 0 && lock === null) throw new AppError('not-found', `Tenant ${id} was erased`);
  const key = wrapped.length === 0 ? undefined : guarded(`the key of tenant ${id}`, () => unwrapDataKey(master, id, wrapped));
  const tenant = { id, name: base64(name), ...(key && { key: base64(key) }), ...(lock !== null && { lock }) };
  return { tenant, keys: key && tenantKeys(id, key) };
}

/** The data key of a tenant that comes in. @throws AppError `bad-request` */
export function carriedKey({ id, key, lock }: CarriedTenant): Buffer | undefined {
  if (key === undefined && lock === undefined) throw new AppError('bad-request', `The wallet ${id} has no key`);
  const bytes = key === undefined ? undefined : Buffer.from(key, 'base64');
  if (bytes && bytes.length !== KEY_BYTES) throw new AppError('bad-request', `The key of the wallet ${id} has not ${KEY_BYTES} bytes`);
  return bytes;
}

/** A stored row as it is carried. @throws AppError `store-corrupt` */
export function toCarried(type: CarriedType, keys: TenantKeys | undefined, columns: Columns): CarriedRow {
  if (type === 'key' && keys) {
    const sealed = columns as { hash: Uint8Array; value: Uint8Array };
    const { kid, type: kind, meta, secret } = guarded('a key', () => decodeKeyByHash(keys, sealed.hash, sealed.value));
    const row = { type, kid, kind, meta, secret: base64(secret) };
    secret.fill(0);
    return row;
  }
  const row: Record<string, unknown> = { type };
  for (const name of Object.keys(CARRIED_COLUMNS[type])) {
    const value = columns[name];
    if (value === null || value === undefined) continue;
    row[name] = typeof value === 'object' ? base64(value) : value;
  }
  if (type !== 'record' && type !== 'key') return row as CarriedRow;
  const { value: sealed, ...rest } = row;
  if (!keys) return { ...rest, sealed } as unknown as CarriedRow;
  const { category, id } = columns;
  const { value } = guarded(`record ${category}/${id}`, () => decodeRecord(keys, columns as unknown as RecordColumns));
  return { ...rest, value } as unknown as CarriedRow;
}

/** The reverse of `toCarried`. @throws AppError `bad-request` for what is no such row */
export function fromCarried(keys: TenantKeys | undefined, row: CarriedRow): Columns {
  const { type } = row;
  const specs: Readonly<Record<string, 'text' | 'int' | 'bytes'>> | undefined = CARRIED.includes(type) ? CARRIED_COLUMNS[type] : undefined;
  if (!specs) throw new AppError('bad-request', 'A row is of no known kind');
  const wrong = (name: string): AppError => new AppError('bad-request', `A row of the kind ${type} has no valid ${name}`);
  const bytesOf = (name: string): Buffer => {
    const value = row[name];
    if (typeof value !== 'string') throw wrong(name);
    return Buffer.from(value, 'base64');
  };
  if (type === 'key' && row.sealed === undefined) {
    const { kid, kind, meta } = row;
    if (!keys || typeof kid !== 'string' || typeof kind !== 'string') throw wrong('kid');
    return encodeKey(keys, { kid, type: kind, secret: bytesOf('secret'), meta: meta as JsonObject });
  }
  const columns: Columns = {};
  for (const [name, kind] of Object.entries(specs)) {
    const value = row[name];
    if (name === 'value' && (type === 'record' || type === 'key')) columns.value = sealedValue(keys, row, wrong);
    else if (name === 'hash' && typeof row.counter === 'string' && keys) columns.hash = counterHash(keys, row.counter);
    else if (value === undefined && NULLABLE.has(name)) columns[name] = null;
    else if (kind === 'bytes') columns[name] = bytesOf(name);
    else if (kind === 'int' ? !Number.isSafeInteger(value) : typeof value !== 'string') throw wrong(name);
    else columns[name] = value as string | number;
  }
  if (type === 'blob' || type === 'chunk') checkBlob(type, columns, wrong);
  return columns;
}

/** The bounds of blobs: who reads one takes its row at its word. */
function checkBlob(type: 'blob' | 'chunk', { name, size, n, bytes }: Columns, wrong: (name: string) => AppError): void {
  const [value, most] = type === 'blob' ? [size, MAX_BLOB_BYTES] : [n, MAX_BLOB_BYTES / CHUNK_BYTES];
  if (!(Number(value) >= 0 && Number(value) <= most)) throw wrong(type === 'blob' ? 'size' : 'n');
  if (type === 'blob') checkedName(String(name));
  else if ((bytes as Uint8Array).length > CHUNK_BYTES) throw wrong('bytes');
}

function sealedValue(keys: TenantKeys | undefined, { category, id, value, sealed }: CarriedRow, wrong: (name: string) => AppError): Buffer {
  if (typeof sealed === 'string') return Buffer.from(sealed, 'base64');
  if (!keys || typeof category !== 'string' || typeof id !== 'string' || typeof value !== 'object' || value === null) throw wrong('value');
  return encodeValue(keys, category, id, value as JsonObject);
}
