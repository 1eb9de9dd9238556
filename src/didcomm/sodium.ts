import native from 'sodium-native';

/** The functions of libsodium that this folder uses, typed for any byte array; the published types cover neither the AEAD nor plain Uint8Array. */
interface Sodium {
  crypto_aead_chacha20poly1305_ietf_encrypt_detached(
    cipher: Uint8Array,
    mac: Uint8Array,
    message: Uint8Array,
    ad: Uint8Array,
    nsec: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): void;
  /** @throws when the tag does not fit */
  crypto_aead_chacha20poly1305_ietf_decrypt_detached(
    message: Uint8Array,
    nsec: null,
    cipher: Uint8Array,
    mac: Uint8Array,
    ad: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): void;
  crypto_secretbox_easy(cipher: Uint8Array, message: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  crypto_secretbox_open_easy(message: Uint8Array, cipher: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
  crypto_box_easy(cipher: Uint8Array, message: Uint8Array, nonce: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): void;
  crypto_box_open_easy(message: Uint8Array, cipher: Uint8Array, nonce: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): boolean;
  crypto_box_seal(cipher: Uint8Array, message: Uint8Array, publicKey: Uint8Array): void;
  crypto_box_seal_open(message: Uint8Array, cipher: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): boolean;
  /** @throws for a point that is not on the curve, of small order or outside the main subgroup */
  crypto_sign_ed25519_pk_to_curve25519(x25519: Uint8Array, ed25519: Uint8Array): void;
  crypto_sign_ed25519_sk_to_curve25519(x25519: Uint8Array, ed25519: Uint8Array): void;
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
  crypto_sign_keypair(publicKey: Uint8Array, secretKey: Uint8Array): void;
  crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void;
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  randombytes_buf(bytes: Uint8Array): void;
  sodium_memzero(bytes: Uint8Array): void;
}

/** libsodium, native. AEAD decryption throws; the `open` functions answer false. */
export const sodium = native as unknown as Sodium;
