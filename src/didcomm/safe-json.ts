import { isAscii, isUtf8 } from 'node:buffer';

/** Why bytes are not taken as JSON. `reason` is for our log; nothing of the input is in it. */
export class JsonRefused extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(`JSON refused: ${reason}`);
    this.name = 'JsonRefused';
    this.reason = reason;
  }
}

export interface JsonLimits {
  /** Bytes (of text: UTF-16 units). Default 1 MiB. */
  maxBytes?: number;
  /** Nesting of objects and arrays. Default 64. */
  maxDepth?: number;
}

const MAX_BYTES = 1 << 20;
const MAX_DEPTH = 64;
/** Members of all objects together: what is made of them costs far more than their bytes. */
const MAX_MEMBERS = 50_000;
/** Bytes that are looked through before they become a text. */
const LARGE = 1 << 16;

/**
 * Parses JSON from someone we do not trust (RFC 8259 as narrowed by I-JSON, RFC 7493): bounded size, depth and number of members, valid UTF-8 without a byte order mark, no
 * duplicate keys, no `__proto__` key, no lone surrogates, nothing behind the value. And no backslash in a key: V8 13.6 takes `"a\\n"` for the key `a\` where it has
 * seen an object with that key before, so that a key with an escape could become another one.
 * @throws JsonRefused
 */
export function parseJson(input: Uint8Array | string, limits: JsonLimits = {}): unknown {
  const max = limits.maxBytes ?? MAX_BYTES;
  if (input.length > max) throw new JsonRefused('too large');
  const maxDepth = limits.maxDepth ?? MAX_DEPTH;
  // of large bytes that are refused no text is made: it would be garbage of their size
  const counted = typeof input === 'string' || input.length < LARGE ? undefined : scanBytes(input, maxDepth);
  const text = typeof input === 'string' ? input : decodeUtf8(input);
  const pairs = counted ?? scan(text, maxDepth);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JsonRefused('not JSON');
  }
  const escaped = text.includes('\\u');
  // Colons outside strings are exactly the members of the text; a key that came twice is there once in the value. Escapes in keys need no care this way.
  if (countMembers(value) !== pairs) throw new JsonRefused('duplicate key');
  if (escaped || text.includes('__proto__')) check(value);
  if (text.includes('\\')) checkKeys(value);
  return value;
}

/** As `parseJson`, for a JSON object. @throws JsonRefused */
export function parseJsonObject(input: Uint8Array | string, limits: JsonLimits = {}): Record<string, unknown> {
  const value = parseJson(input, limits);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new JsonRefused('not an object');
  return value as Record<string, unknown>;
}

/** Bytes as text. @throws JsonRefused for anything that is not UTF-8 */
export function decodeUtf8(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isAscii(buffer)) return buffer.toString('latin1');
  if (!isUtf8(buffer)) throw new JsonRefused('not UTF-8');
  return buffer.toString('utf8');
}

/** One pass over the text before anything is built from it: counts members (colons outside strings) and bounds the depth. */
function scan(text: string, maxDepth: number): number {
  let pairs = 0;
  let depth = 0;
  const end = text.length;
  for (let i = 0; i < end; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      // To the quote that ends the string: one that an even number of backslashes precedes.
      for (;;) {
        i = text.indexOf('"', i + 1);
        if (i < 0) throw new JsonRefused('not JSON');
        let back = i - 1;
        while (text.charCodeAt(back) === 0x5c) back--;
        if ((i - back) & 1) break;
      }
    } else if (c === 0x3a) {
      if (++pairs > MAX_MEMBERS) throw new JsonRefused('too many members');
    } else if (c === 0x7b || c === 0x5b) {
      if (++depth > maxDepth) throw new JsonRefused('nested too deeply');
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return pairs;
}

/** `scan` of bytes: whatever belongs to a character beyond ASCII is none of those that it looks for. */
function scanBytes(bytes: Uint8Array, maxDepth: number): number {
  let pairs = 0;
  let depth = 0;
  const end = bytes.length;
  for (let i = 0; i < end; i++) {
    const c = bytes[i];
    if (c === 0x22) {
      for (i++; bytes[i] !== 0x22; i++) {
        if (bytes[i] === 0x5c) i++;
        if (i >= end) throw new JsonRefused('not JSON');
      }
    } else if (c === 0x3a) {
      if (++pairs > MAX_MEMBERS) throw new JsonRefused('too many members');
    } else if (c === 0x7b || c === 0x5b) {
      if (++depth > maxDepth) throw new JsonRefused('nested too deeply');
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return pairs;
}

/** Members of all objects in `value`; its depth is bounded by `scan`. */
function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (typeof item === 'object') count += countMembers(item);
    }
    return count;
  }
  const members = value as Record<string, unknown>;
  for (const key in members) {
    count++;
    const item = members[key];
    if (typeof item === 'object') count += countMembers(item);
  }
  return count;
}

function checkKeys(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) checkKeys(item);
    return;
  }
  const members = value as Record<string, unknown>;
  for (const key in members) {
    if (key.includes('\\')) throw new JsonRefused('backslash in a key');
    checkKeys(members[key]);
  }
}

/** The rare checks, only where the text could need them. */
function check(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new JsonRefused('lone surrogate');
  } else if (Array.isArray(value)) {
    for (const item of value) check(item);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      if (key === '__proto__') throw new JsonRefused('key __proto__');
      if (!key.isWellFormed()) throw new JsonRefused('lone surrogate');
      check(item);
    }
  }
}
