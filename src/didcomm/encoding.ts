import { base58 } from '@scure/base';

/** Bytes as base58 (Bitcoin alphabet), the form of a verkey. */
export const toBase58 = (bytes: Uint8Array): string => base58.encode(bytes);

/** Base58 text as bytes. `max` bounds the text: decoding is quadratic. @throws RangeError for other characters or too much text */
export function fromBase58(text: string, max = 128): Uint8Array {
  if (text.length > max) throw new RangeError('base58 text is too long');
  return base58.decode(text);
}

const VERKEY = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;

/** Whether `text` looks like a 32-byte key in base58; cheap, and exact enough to route by (equality with a known key decides). */
export const looksLikeVerkey = (text: string): boolean => VERKEY.test(text);

/** The 32 bytes of a verkey in base58. @throws RangeError when it is none */
export function verkeyBytes(verkey: string): Uint8Array {
  if (!looksLikeVerkey(verkey)) throw new RangeError('not a base58 verkey');
  const bytes = base58.decode(verkey);
  if (bytes.length !== 32) throw new RangeError('a verkey has 32 bytes');
  return bytes;
}

/** Bytes as base64url without padding. */
export const toBase64url = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');

const SEXTET = new Uint8Array(128);
for (const [i, c] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].entries()) SEXTET[c.charCodeAt(0)] = i;

/**
 * Strict base64url (RFC 4648 section 5) as bytes, padded or not. Refuses other characters, wrong padding and unused bits that are not zero, so that two texts
 * never mean the same bytes (but for padding). Undefined when refused: this runs on hostile input, where exceptions cost more than the work.
 */
export function fromBase64url(text: string): Buffer | undefined {
  let length = text.length;
  if (length > 0 && text.charCodeAt(length - 1) === 0x3d) {
    if (length % 4 !== 0) return undefined;
    length -= text.charCodeAt(length - 2) === 0x3d ? 2 : 1;
  }
  const rest = length % 4;
  if (rest === 1) return undefined;
  // Unused bits of the last character: 4 after two characters, 2 after three.
  if (rest !== 0 && (SEXTET[text.charCodeAt(length - 1)] ?? 1) & (rest === 2 ? 15 : 3)) return undefined;
  const size = (length * 3) >> 2;
  const bytes = Buffer.allocUnsafe(size);
  // The decoder skips characters it does not know, '=' included, so any of them makes the result short; it takes the other alphabet, so that is looked for.
  if (bytes.write(text, 'base64url') !== size || text.includes('+') || text.includes('/')) return undefined;
  return bytes;
}

/** Base64 of either alphabet, padded or not, as attachments of other agents carry it (RFC 0017); undefined when it is neither. */
export function fromBase64(text: string): Buffer | undefined {
  return fromBase64url(text.replaceAll('+', '-').replaceAll('/', '_'));
}

const ED25519_PREFIX = [0xed, 0x01];

/** The did:key of an Ed25519 verkey. */
export function verkeyToDidKey(verkey: string): string {
  return `did:key:z${base58.encode(Uint8Array.of(...ED25519_PREFIX, ...verkeyBytes(verkey)))}`;
}

/** The verkey behind an Ed25519 did:key, with or without a fragment; undefined for anything else. */
export function didKeyToVerkey(did: string): string | undefined {
  const match = /^did:key:z([1-9A-HJ-NP-Za-km-z]{40,60})(?:#z([1-9A-HJ-NP-Za-km-z]{40,60}))?$/.exec(did);
  if (!match?.[1] || (match[2] !== undefined && match[2] !== match[1])) return undefined;
  const bytes = base58.decode(match[1]);
  if (bytes.length !== 34 || bytes[0] !== ED25519_PREFIX[0] || bytes[1] !== ED25519_PREFIX[1]) return undefined;
  return base58.encode(bytes.subarray(2));
}
