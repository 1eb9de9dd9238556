import { createHash, randomFillSync } from 'node:crypto';
import { now as clock } from './clock.ts';

const pool = Buffer.alloc(8192);
let used = pool.length;
let last = 0;
let sequence = 0;

/**
 * An id with the bits of a UUID of version 7 (RFC 9562 section 5.7) under the version nibble 4: ACA-Py's document demands that version, and clients that
 * are generated from it refuse another. Ordered by time, and within one process by call, so that rows land side by side in an index: the first 48 bits are
 * milliseconds, the 12 after the version count calls within one (section 6.2, method 1), the rest is random.
 */
export function newId(now: number = clock()): string {
  if (used + 8 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  if (now > last) {
    last = now;
    sequence = pool.readUInt16BE(used) & 0x7ff;
  } else if (++sequence > 0xfff) {
    last += 1;
    sequence = 0;
  }
  const time = last.toString(16).padStart(12, '0');
  const random = pool.toString('hex', used, used + 8);
  used += 8;
  const variant = ((Number.parseInt(random[0]!, 16) & 3) | 8).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-4${sequence.toString(16).padStart(3, '0')}-${variant}${random.slice(1, 4)}-${random.slice(4)}`;
}

/** A bound below all ids from a time on, also below earlier ones, whose nibble was 7. */
export function timeId(ms: number): string {
  const time = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

/** An id that a text stands for: the same text has the same id. Its version nibble is 4 as that of all ids; 8 (RFC 9562 section 5.8) was that of before. */
export function hashId(text: string, version: 4 | 8 = 4): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${version}${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
