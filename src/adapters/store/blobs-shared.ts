import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import { type BlobStat, MAX_BLOB_BYTES } from '../../ports/blobs.ts';

/** The size of a value's part in one row: small enough that no statement holds the database up. */
export const CHUNK_BYTES = 256 << 10;
/** How many rows one statement writes or reads. */
export const CHUNKS_AT_ONCE = 8;
/** How long the bytes of a value stay that was replaced or removed, for those who read it, and those of a write that did not end. */
export const SPARE_MS = 3600_000;
export const MAX_LISTED = 1000;

const NAME = /^[A-Za-z0-9._:/-]{1,200}$/;

/** @throws AppError `bad-request` */
export function checkedName(name: string): string {
  if (!NAME.test(name)) throw new AppError('bad-request', 'The name of a blob has 1 to 200 characters of A-Z, a-z, 0-9 and . _ : / -');
  return name;
}

/** @throws AppError `too-large` */
export function checkedSize(bytes: Uint8Array): void {
  if (bytes.length > MAX_BLOB_BYTES)
    throw new AppError('too-large', `A blob may have ${MAX_BLOB_BYTES} bytes, this one has ${bytes.length}`);
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The range of a value that is asked for, cut at its end. */
export function rangeOf(size: number, range: { offset: number; length: number } | undefined): { from: number; to: number } {
  const from = Math.min(Math.max(0, Math.trunc(range?.offset ?? 0)), size);
  return { from, to: Math.min(from + Math.max(0, Math.trunc(range?.length ?? size)), size) };
}

/** The bytes of a range, from the chunks that hold it. @throws AppError `store-corrupt` */
export function joined(stat: BlobStat, { from, to }: { from: number; to: number }, chunks: readonly Uint8Array[]): Uint8Array {
  const first = Math.floor(from / CHUNK_BYTES);
  const bytes = Buffer.concat(chunks).subarray(from - first * CHUNK_BYTES, to - first * CHUNK_BYTES);
  const damaged = bytes.length !== to - from || (to - from === stat.size && sha256(bytes) !== stat.sha256);
  if (damaged) throw new AppError('store-corrupt', `The blob ${stat.name} failed its integrity check`);
  return bytes;
}

/** Which chunks hold a range: the first and the one after the last. */
export const chunksOf = ({ from, to }: { from: number; to: number }): { first: number; end: number } => ({
  first: Math.floor(from / CHUNK_BYTES),
  end: Math.ceil(to / CHUNK_BYTES),
});

/** The pieces of a value, in groups of what one statement writes. */
export function* groupsOf(bytes: Uint8Array): Generator<{ first: number; chunks: Uint8Array[] }> {
  const step = CHUNK_BYTES * CHUNKS_AT_ONCE;
  for (let at = 0; at < bytes.length; at += step) {
    const group = bytes.subarray(at, at + step);
    const chunks: Uint8Array[] = [];
    for (let i = 0; i < group.length; i += CHUNK_BYTES) chunks.push(group.subarray(i, i + CHUNK_BYTES));
    yield { first: at / CHUNK_BYTES, chunks };
  }
}

/** Nothing, for a tenant that is gone. @throws what else it is */
export function unknownTenant(error: unknown): undefined {
  if (!(error instanceof AppError) || error.code !== 'not-found') throw error;
  return undefined;
}
