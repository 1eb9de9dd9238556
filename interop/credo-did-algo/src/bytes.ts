import { Inflate } from 'pako';
import { invalid } from './errors.ts';

export const joined = (...parts: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
};

export const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** An unsigned number of `bytes`, most significant first. */
export const bigEndian = (value: number, bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_none, i) => Math.floor(value / 256 ** (bytes - 1 - i)) % 256);

/** Inflates a raw DEFLATE stream of at most `limit` bytes that ends where `bytes` end. @throws DidAlgoError `object-invalid` */
export const inflated = (bytes: Uint8Array, limit: number): Uint8Array => {
  const inflate = new Inflate({ raw: true });
  const chunks: Uint8Array[] = [];
  let length = 0;
  inflate.onData = (chunk) => {
    length += chunk.length;
    if (length > limit) throw invalid(`a stream has more than ${limit} bytes`);
    chunks.push(chunk as Uint8Array);
  };
  // the last byte alone: a stream that ended before it has bytes after its end
  inflate.push(bytes.slice(0, -1), false);
  if (inflate.ended || inflate.err !== 0) throw invalid('a stream cannot be inflated, or has bytes after its end');
  inflate.push(bytes.slice(-1), true);
  if (!inflate.ended || inflate.err !== 0) throw invalid('a stream cannot be inflated');
  return joined(...chunks);
};
