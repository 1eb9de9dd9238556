import { toBase58, verkeyBytes } from './encoding.ts';
import type { KeyPair } from './key-cache.ts';
import { sodium } from './sodium.ts';

/** A fresh Ed25519 key pair, or the one of a 32-byte seed. */
export function newKeyPair(seed?: Uint8Array): KeyPair {
  const publicKey = Buffer.alloc(32);
  const secretKey = Buffer.alloc(64);
  if (seed) sodium.crypto_sign_seed_keypair(publicKey, secretKey, Buffer.from(seed));
  else sodium.crypto_sign_keypair(publicKey, secretKey);
  return { verkey: toBase58(publicKey), secretKey };
}

/** Whether a detached Ed25519 signature is of these bytes by the key of a verkey. */
export const verifyBytes = (signature: Uint8Array, bytes: Uint8Array, verkey: string): boolean =>
  signature.length === 64 && sodium.crypto_sign_verify_detached(signature, bytes, verkeyBytes(verkey));

/** A detached Ed25519 signature. */
export function signBytes(bytes: Uint8Array, pair: Pick<KeyPair, 'secretKey'>): Uint8Array {
  const signature = Buffer.alloc(64);
  sodium.crypto_sign_detached(signature, Buffer.from(bytes), pair.secretKey);
  return signature;
}
