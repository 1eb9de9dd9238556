import wasm from 'libsodium-wrappers';
import { verkeyBytes } from './encoding.ts';
import { sodium } from './sodium.ts';

await wasm.ready;

/** An Ed25519 key pair: the verkey in base58 and libsodium's 64-byte secret key (seed, public key). */
export interface KeyPair {
  verkey: string;
  secretKey: Uint8Array;
}

/**
 * What is worth remembering between envelopes. Converting an Ed25519 key costs more than opening a sealed box, and a static Diffie-Hellman as much again.
 * Both maps are bounded, least recently used first out; a shared key is zeroed when it leaves.
 */
export interface KeyCache {
  /** The X25519 form of a verkey. @throws when the text is no verkey or the point is of small order, off the curve or outside the main subgroup */
  x25519(verkey: string): Uint8Array;
  /**
   * The crypto_box key between an own key and a peer, or undefined at their first meeting, where one native crypto_box is cheaper than deriving it (many
   * keys meet once). `secret` is the X25519 secret of `own`. Do not keep the result beyond the current turn: it is zeroed on eviction.
   */
  shared(own: string, peer: string, secret: Uint8Array): Uint8Array | undefined;
  /** Forgets a key on both sides: after a rotation, or when a tenant goes. */
  drop(verkey: string): void;
  /** Forgets everything. */
  clear(): void;
  /** Entries held now. */
  size(): { keys: number; shared: number };
}

const MET = new Uint8Array(0);

/** A cache of at most `max` conversions and `max` shared keys: about 250 bytes each, so 10,000 (the default) is some 5 MB. */
export function keyCache(max = 10_000): KeyCache {
  const keys = new Map<string, Uint8Array>();
  const shared = new Map<string, Uint8Array>();

  const evict = (): void => {
    const oldest = shared.entries().next().value;
    if (!oldest) return;
    shared.delete(oldest[0]);
    sodium.sodium_memzero(oldest[1]);
  };

  return Object.freeze({
    x25519(verkey: string): Uint8Array {
      const known = keys.get(verkey);
      if (known) {
        keys.delete(verkey);
        keys.set(verkey, known);
        return known;
      }
      const converted = new Uint8Array(32);
      sodium.crypto_sign_ed25519_pk_to_curve25519(converted, verkeyBytes(verkey));
      if (keys.size >= max) keys.delete(keys.keys().next().value ?? '');
      keys.set(verkey, converted);
      return converted;
    },

    shared(own: string, peer: string, secret: Uint8Array): Uint8Array | undefined {
      const name = `${own} ${peer}`;
      let key = shared.get(name);
      if (key) {
        shared.delete(name);
        // libsodium-wrappers has beforenm, the native binding has not; its result is crypto_secretbox's key.
        if (key.length === 0) key = wasm.crypto_box_beforenm(this.x25519(peer), secret);
        shared.set(name, key);
        return key;
      }
      if (shared.size >= max) evict();
      shared.set(name, MET);
      return undefined;
    },

    drop(verkey: string): void {
      keys.delete(verkey);
      for (const [name, key] of shared) {
        if (!name.startsWith(`${verkey} `) && !name.endsWith(` ${verkey}`)) continue;
        shared.delete(name);
        sodium.sodium_memzero(key);
      }
    },

    clear(): void {
      keys.clear();
      while (shared.size > 0) evict();
    },

    size: () => ({ keys: keys.size, shared: shared.size }),
  });
}

/** The cache that envelopes use unless they are given another. */
export const defaultKeyCache = keyCache();
