import { createHash, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync } from 'node:crypto';
import { entropyToMnemonic, generateMnemonic, mnemonicToEntropy, validateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { fromBase58, toBase58, verkeyToDidKey } from '../didcomm/encoding.ts';
import { newKeyPair, signBytes } from '../didcomm/keys.ts';
import { AppError } from '../errors.ts';

/** The keys of backups, all of them from 24 words (BIP-39, 256 bits of entropy) by HKDF-SHA256 (RFC 5869). */

const SALT = 'flexid wallet backup 1';
/** The head of an X25519 private key in PKCS #8 (RFC 8410 section 7). */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');
/** Multicodec of an X25519 public key. */
const X25519_PUB = [0xec, 0x01] as const;

/** An X25519 key as a JWK (RFC 8037). */
export interface RecoveryJwk {
  readonly kty: 'OKP';
  readonly crv: 'X25519';
  readonly x: string;
  readonly d?: string;
  readonly [member: string]: unknown;
}

export interface RecoveryKeys {
  /** The key for which agents make backups: X25519, public, as a multibase text, `z6LS…`. */
  readonly publicKey: string;
  /** The key that opens them. */
  readonly secret: RecoveryJwk;
  /** The `did:key` of a controller of storage for backups, and its seed. */
  readonly controller: { readonly did: string; readonly seed: Uint8Array };
  /** An HMAC key for search there. */
  readonly index: Uint8Array;
}

/** 24 fresh words. */
export const newWords = (): string => generateMnemonic(wordlist, 256);

/** Words as somebody types them, in one spelling. @throws AppError `bad-request` for another number of words, a word that is not in the list, a wrong check sum */
export function checkedWords(text: string): string {
  const words = text.normalize('NFKD').toLowerCase().trim().split(/\s+/);
  if (words.length !== 24) throw new AppError('bad-request', `A recovery phrase has 24 words, not ${words.length}`);
  const at = words.findIndex((word) => !wordlist.includes(word));
  if (at >= 0) throw new AppError('bad-request', `Word ${at + 1} is not in the list of BIP-39`);
  const joined = words.join(' ');
  if (!validateMnemonic(joined, wordlist))
    throw new AppError('bad-request', 'The words do not belong together: one of them is another, or their order is');
  return joined;
}

/** The 32 bytes that the words stand for. @throws AppError `bad-request` as `checkedWords` */
export const entropyOf = (words: string): Uint8Array => mnemonicToEntropy(checkedWords(words), wordlist);

/** The reverse of `entropyOf`. */
export const wordsOf = (entropy: Uint8Array): string => entropyToMnemonic(entropy, wordlist);

/** The keys of 24 words. @throws AppError `bad-request` as `checkedWords` */
export const recoveryKeys = (words: string): RecoveryKeys => keysOfEntropy(entropyOf(words));

/** The keys of the 32 bytes that the words stand for. */
export function keysOfEntropy(entropy: Uint8Array): RecoveryKeys {
  const derived = (info: string): Buffer => Buffer.from(hkdfSync('sha256', entropy, SALT, info, 32));
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_X25519, derived('keyAgreement')]), format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(key).export({ format: 'jwk' }) as { x: string };
  const { d } = key.export({ format: 'jwk' }) as { d: string };
  const seed = derived('controller');
  return {
    publicKey: `z${toBase58(Buffer.from([...X25519_PUB, ...Buffer.from(x, 'base64url')]))}`,
    secret: { kty: 'OKP', crv: 'X25519', x, d },
    controller: { did: verkeyToDidKey(newKeyPair(seed).verkey), seed },
    index: derived('index'),
  };
}

/** A signature by the controller of backups, in base64url. */
export const signedBy = ({ controller }: RecoveryKeys, text: string): string =>
  Buffer.from(signBytes(Buffer.from(text), newKeyPair(controller.seed))).toString('base64url');

/** The public key of `recoveryKeys` as a JWK. @throws AppError `bad-request` for what is none */
export function recoveryJwk(publicKey: string): RecoveryJwk {
  try {
    if (!/^z6LS[1-9A-HJ-NP-Za-km-z]{40,50}$/.test(publicKey)) throw new Error('another form');
    const bytes = fromBase58(publicKey.slice(1));
    if (bytes.length !== 34 || X25519_PUB.some((byte, i) => bytes[i] !== byte)) throw new Error('another key');
    const jwk = { kty: 'OKP', crv: 'X25519', x: Buffer.from(bytes.subarray(2)).toString('base64url') } as const;
    // a point of small order has no secret with anybody (RFC 7748 section 6.1), which OpenSSL refuses
    diffieHellman({ privateKey: generateKeyPairSync('x25519').privateKey, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) });
    return jwk;
  } catch {
    throw new AppError('bad-request', 'The recovery public key is not an X25519 key in multibase form, which begins with z6LS');
  }
}

/** The thumbprint of a key (RFC 7638): names it in a container, and is not enough to make one. */
export const thumbprint = ({ x }: RecoveryJwk): string =>
  createHash('sha256')
    .update(JSON.stringify({ crv: 'X25519', kty: 'OKP', x }))
    .digest('base64url');
