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
 * Whether `encoded` is what some issuer signs for `raw`. ACA-Py reads integers as Python does, which allows blanks around the number, underscores within and the
 * digits of any script: its encoding of such a text is accepted as well.
 */
export function encodingFits({ raw, encoded }: EncodedValue): boolean {
  if (encoded === encodeValue(raw)) return true;
  if (raw.length > 100) return false;
  const trimmed = raw.replace(PYTHON_BLANKS, '').replace(/\p{Nd}/gu, asciiDigit);
  return /^[+-]?[0-9]+(?:_[0-9]+)*$/.test(trimmed) && trimmed.length <= 40 && encoded === int32(trimmed.replaceAll('_', ''));
}

/**
 * Whether a verifier may show `raw` for a number that was signed: it fits, and whoever reads a number from the beginning of the text, as many programs do, reads
 * the one that was signed. `0030` and `+30` may stand for 30, as issuers write them; `3_0` may not.
 */
export function showsNumber(value: EncodedValue): boolean {
  if (!encodingFits(value)) return false;
  const prefix = /^[\t-\r ]*([+-]?[0-9]+)/.exec(value.raw)?.[1];
  // a text that was hashed is no number, whatever it begins with
  return prefix === undefined || value.encoded.length > 11 || int32(prefix.slice(0, 40)) === value.encoded;
}

// U+FEFF is a blank to JavaScript and none to Python
const PYTHON_BLANKS = /^[^\S\ufeff]+|[^\S\ufeff]+$/g;

/** The digits of each script stand in order, ten by ten. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0)!;
  let zero = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
  return String((code - zero) % 10);
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
