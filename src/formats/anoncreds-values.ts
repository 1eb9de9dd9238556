import { createHash, randomBytes } from 'node:crypto';
import type { EncodedValue } from '../ports/anoncreds.ts';

const INT32 = 2n ** 31n;

/**
 * The number that is signed for a raw value (AnonCreds specification, "Encoding Attribute Data"; ACA-Py, Credo and anoncreds-rs do the same): a 32-bit integer
 * stands for itself, everything else is the SHA-256 of its UTF-8 text as a big-endian number. In decimal.
 */
export function encodeValue(raw: string): string {
  return (/^[+-]?[0-9]{1,40}$/.test(raw) ? int32(raw) : undefined) ?? hashed(raw);
}

/**
 * Whether `encoded` is what some issuer signs for `raw`. ACA-Py reads integers as Python does, which allows blanks around the number and underscores within: its
 * encoding of such a text is accepted as well.
 */
export function encodingFits({ raw, encoded }: EncodedValue): boolean {
  if (encoded === encodeValue(raw)) return true;
  const trimmed = raw.trim();
  return /^[+-]?[0-9]+(?:_[0-9]+)*$/.test(trimmed) && trimmed.length <= 40 && encoded === int32(trimmed.replaceAll('_', ''));
}

/** Raw values with their encodings. */
export function encodeValues(raw: Readonly<Record<string, string>>): Record<string, EncodedValue> {
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, { raw: value, encoded: encodeValue(value) }]));
}

/** An attribute name as Indy and AnonCreds compare it: without blanks, in lower case. */
export const canonicalName = (name: string): string => name.replaceAll(' ', '').toLowerCase();

/** A fresh nonce: 80 bits in decimal. */
export const newNonce = (): string => BigInt(`0x${randomBytes(10).toString('hex')}`).toString();

function int32(text: string): string | undefined {
  // BigInt knows no plus sign; the sign of zero goes.
  const value = BigInt(text.replace(/^\+/, '').replace(/^-(?=[0-9])/, '')) * (text.startsWith('-') ? -1n : 1n);
  return value >= -INT32 && value < INT32 ? value.toString() : undefined;
}

const hashed = (raw: string): string => BigInt(`0x${createHash('sha256').update(raw, 'utf8').digest('hex')}`).toString();
