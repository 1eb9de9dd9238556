import { BoundedMap } from '../bounded-map.ts';
import { verkeyBytes } from './encoding.ts';
import { sodium } from './sodium.ts';

/** libsodium-wrappers has beforenm, the native binding has not. It is loaded when a pair of keys first meets again: an idle agent does without it. */
let wasm: Pick<typeof import('libsodium-wrappers'), 'crypto_box_beforenm'> | undefined;
let loading: Promise<void> | undefined;

/** Loads what derives shared keys; until then every meeting is a first one. */
export function loadSharedKeys(): Promise<void> {
  loading ??= import('libsodium-wrappers').then(async ({ default: loaded }) => {
    await loaded.ready;
    wasm = loaded;
  });
  return loading;
}

/** An Ed25519 key pair: the verkey in base58 and libsodium's 64-byte secret key (seed, public key). */
export interface KeyPair {
  verkey: string;
  secretKey: Uint8Array;
}

/**
 * Results that are kept from one envelope to the next. Converting an Ed25519 key costs more than opening a sealed box, and a static Diffie-Hellman as much again.
 * Both maps are bounded, what was not used for long goes first; a shared key is zeroed when it leaves.
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

interface Entry {
  key: Uint8Array;
  used: boolean;
}

/** A pair that met once has an empty key. */
const MET = new Uint8Array(0);

/**
 * Second chance: the oldest entry that was not used since it was last looked at leaves. Using an entry then costs a flag, where strict least-recently-used order
 * would cost moving it.
 */
const spared = (entry: Entry): boolean => {
  const { used } = entry;
  entry.used = false;
  return used;
};

/** A cache of at most `max` conversions and `max` shared keys: about 300 bytes each, so 10,000 (the default) is some 6 MB. */
export function keyCache(max = 10_000): KeyCache {
  const keys = new BoundedMap<string, Entry>(max, { spared });
  const shared = new BoundedMap<string, Entry>(max, { spared, evicted: ({ key }) => void key.fill(0) });

  return Object.freeze({
    x25519(verkey: string): Uint8Array {
      const known = keys.get(verkey);
      if (known) {
        known.used = true;
        return known.key;
      }
      const key = new Uint8Array(32);
      sodium.crypto_sign_ed25519_pk_to_curve25519(key, verkeyBytes(verkey));
      keys.set(verkey, { key, used: false });
      return key;
    },

    shared(own: string, peer: string, secret: Uint8Array): Uint8Array | undefined {
      const name = `${own} ${peer}`;
      const known = shared.get(name);
      if (!known) {
        shared.set(name, { key: MET, used: false });
        return undefined;
      }
      known.used = true;
      if (known.key.length > 0) return known.key;
      if (!wasm) {
        // an installation without it computes a key for each message
        loadSharedKeys().catch(() => {});
        return undefined;
      }
      // its result is crypto_secretbox's key
      known.key = wasm.crypto_box_beforenm(this.x25519(peer), secret);
      return known.key;
    },

    drop(verkey: string): void {
      keys.delete(verkey);
      for (const [name, { key }] of shared) {
        if (!name.startsWith(`${verkey} `) && !name.endsWith(` ${verkey}`)) continue;
        shared.delete(name);
        key.fill(0);
      }
    },

    clear(): void {
      keys.clear();
      for (const { key } of shared.values()) key.fill(0);
      shared.clear();
    },

    size: () => ({ keys: keys.size, shared: shared.size }),
  });
}

/** The cache that envelopes use unless they are given another. */
export const defaultKeyCache = keyCache();
