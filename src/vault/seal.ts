import { Buffer } from 'node:buffer';
import sodium from 'sodium-native';

/** An error of the vault; the adapters map it to the error table. It never carries key material or plaintext. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
}

/** The working keys of one tenant, derived from its data key. `version` is the data key's version, written into every sealed value. */
export interface TenantKeys {
  readonly tenant: string;
  readonly version: number;
  readonly values: Buffer;
  readonly tags: Buffer;
}

export const KEY_BYTES = 32;
/** Bytes of a tag hash: 128 bits keep two values of one tenant apart and the index small. */
export const TAG_BYTES = 16;
const NONCE_BYTES = 24;
const MAC_BYTES = 16;
const HEADER_BYTES = 1 + NONCE_BYTES;
/** First byte of a wrapped data key: the format, so that another algorithm can follow. */
const WRAP_FORMAT = 1;

/**
 * Parts as bytes, each with its length in front: no two lists of parts give the same bytes. (Joined with a separator, `a|b` + `c` would equal `a` + `b|c`.)
 */
function joined(first: string, parts: readonly string[]): Buffer {
  let size = 4 + Buffer.byteLength(first);
  for (const part of parts) size += 4 + Buffer.byteLength(part);
  const out = Buffer.allocUnsafe(size);
  let at = append(out, 0, first);
  for (const part of parts) at = append(out, at, part);
  return out;
}

function append(out: Buffer, at: number, part: string): number {
  const length = out.write(part, at + 4);
  out.writeUInt32BE(length, at);
  return at + 4 + length;
}

// random bytes are asked for in bulk: a system call for each nonce would cost as much as the encryption
const nonces = Buffer.alloc(NONCE_BYTES * 256);
let taken = nonces.length;

function takeNonce(out: Buffer): void {
  if (taken === nonces.length) {
    sodium.randombytes_buf(nonces);
    taken = 0;
  }
  nonces.copy(out, 0, taken, taken + NONCE_BYTES);
  taken += NONCE_BYTES;
}

function encrypt(key: Buffer, head: number, aad: Buffer, plaintext: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + plaintext.length + MAC_BYTES);
  out[0] = head;
  const nonce = out.subarray(1, HEADER_BYTES);
  takeNonce(nonce);
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(out.subarray(HEADER_BYTES), asBuffer(plaintext), aad, null, nonce, key);
  return out;
}

function decrypt(key: Buffer, head: number, aad: Buffer, sealed: Uint8Array): Buffer {
  const bytes = asBuffer(sealed);
  if (bytes.length < HEADER_BYTES + MAC_BYTES) throw new VaultError('a sealed value is too short');
  if (bytes[0] !== head) throw new VaultError(`a sealed value names key version ${bytes[0]}, expected ${head}`);
  const out = Buffer.allocUnsafe(bytes.length - HEADER_BYTES - MAC_BYTES);
  try {
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(out, null, bytes.subarray(HEADER_BYTES), aad, bytes.subarray(1, HEADER_BYTES), key);
  } catch {
    throw new VaultError('a sealed value failed its integrity check');
  }
  return out;
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function subKey(dataKey: Uint8Array, purpose: string): Buffer {
  const out = Buffer.alloc(KEY_BYTES);
  sodium.crypto_generichash(out, Buffer.from(`flexid vault 1: ${purpose}`), asBuffer(dataKey));
  return out;
}

/** A fresh random key of 32 bytes: a tenant's data key, or a master key. */
export function newKey(): Buffer {
  const out = Buffer.alloc(KEY_BYTES);
  sodium.randombytes_buf(out);
  return out;
}

/** A tenant's data key, sealed under the master key and bound to the tenant. */
export const wrapDataKey = (master: Uint8Array, tenant: string, dataKey: Uint8Array): Buffer =>
  encrypt(asBuffer(master), WRAP_FORMAT, joined('tenant key', [tenant]), dataKey);

/** The reverse of `wrapDataKey`. @throws VaultError for another master key, another tenant or a changed byte. */
export const unwrapDataKey = (master: Uint8Array, tenant: string, wrapped: Uint8Array): Buffer =>
  decrypt(asBuffer(master), WRAP_FORMAT, joined('tenant key', [tenant]), wrapped);

/** Derives a tenant's working keys from its data key (keyed BLAKE2b, one key per purpose). */
export const tenantKeys = (tenant: string, dataKey: Uint8Array, version = 1): TenantKeys =>
  Object.freeze({ tenant, version, values: subKey(dataKey, 'values'), tags: subKey(dataKey, 'tags') });

/**
 * Encrypts bytes so that they open only as what they are: the associated data is the tenant and `parts` (category, id ...).
 * Layout: key version (1) ‖ nonce (24) ‖ XChaCha20-Poly1305 ciphertext and tag.
 */
export const seal = (keys: TenantKeys, parts: readonly string[], plaintext: Uint8Array): Buffer =>
  encrypt(keys.values, keys.version, joined(keys.tenant, parts), plaintext);

/** The reverse of `seal`. @throws VaultError when the value was changed, moved to another id or tenant, or sealed by another key. */
export const open = (keys: TenantKeys, parts: readonly string[], sealed: Uint8Array): Buffer =>
  decrypt(keys.values, keys.version, joined(keys.tenant, parts), sealed);

/** libsodium's function, which the types of sodium-native lack. */
const keystream = sodium as unknown as {
  crypto_stream_xchacha20_xor_ic(out: Buffer, bytes: Buffer, nonce: Buffer, firstBlock: number, key: Buffer): void;
};

/**
 * Opens a value whose parts stand in its plaintext: `partsOf` reads them there. Nothing of it is trusted before the value has opened under these parts. (The keystream of
 * XChaCha20-Poly1305 begins at block 1.)
 * @throws VaultError as `open`
 */
export function openNamed(keys: TenantKeys, partsOf: (claimed: Buffer) => readonly string[], sealed: Uint8Array): Buffer {
  const bytes = asBuffer(sealed);
  if (bytes.length < HEADER_BYTES + MAC_BYTES) throw new VaultError('a sealed value is too short');
  const claimed = Buffer.allocUnsafe(bytes.length - HEADER_BYTES - MAC_BYTES);
  try {
    keystream.crypto_stream_xchacha20_xor_ic(
      claimed,
      bytes.subarray(HEADER_BYTES, -MAC_BYTES),
      bytes.subarray(1, HEADER_BYTES),
      1,
      keys.values,
    );
    return open(keys, partsOf(claimed), sealed);
  } finally {
    claimed.fill(0);
  }
}

/** The keyed hash under which a value is searched: equal values of one tenant, category and name give equal hashes, which reveal nothing else. */
export function tagHash(keys: TenantKeys, category: string, name: string, value: string): Buffer {
  const out = Buffer.allocUnsafe(TAG_BYTES);
  sodium.crypto_generichash(out, joined(category, [name, value]), keys.tags);
  return out;
}
