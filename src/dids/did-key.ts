import { ECDH } from 'node:crypto';
import { fromBase58, fromBase64url, toBase58, toBase64url } from '../didcomm/encoding.ts';
import { sodium } from '../didcomm/sodium.ts';
import { AppError } from '../errors.ts';
import type { DidDocument } from '../ports/ledger.ts';

export type KeyType = 'ed25519' | 'x25519' | 'p256';

/** A public key as multicodec names it: 32 bytes, or 33 (compressed point) for P-256. */
export interface PublicKey {
  type: KeyType;
  bytes: Uint8Array;
}

const CODES: readonly (readonly [type: KeyType, first: number, second: number, size: number])[] = [
  ['ed25519', 0xed, 0x01, 32],
  ['x25519', 0xec, 0x01, 32],
  ['p256', 0x80, 0x24, 33],
];

/** A public key as multibase text (base58btc over multicodec), as in did:key and publicKeyMultibase. */
export function toMultikey({ type, bytes }: PublicKey): string {
  const code = CODES.find((row) => row[0] === type)!;
  if (bytes.length !== code[3]) throw new AppError('did-invalid', `A ${type} public key has ${code[3]} bytes`);
  return `z${toBase58(Uint8Array.of(code[1], code[2], ...bytes))}`;
}

/** The key behind multibase text; undefined when it is none that we know. */
export function fromMultikey(text: string): PublicKey | undefined {
  if (!/^z[1-9A-HJ-NP-Za-km-z]{40,60}$/.test(text)) return undefined;
  const bytes = fromBase58(text.slice(1));
  const code = CODES.find((row) => row[1] === bytes[0] && row[2] === bytes[1] && row[3] + 2 === bytes.length);
  return code && { type: code[0], bytes: bytes.subarray(2) };
}

/** The did:key of a public key. */
export const createDidKey = (key: PublicKey): string => `did:key:${toMultikey(key)}`;

/** The public key behind a did:key. @throws AppError `did-invalid`, `did-unsupported` for key types that we do not use */
export function didKeyPublicKey(did: string): PublicKey {
  const text = did.slice('did:key:'.length);
  if (!did.startsWith('did:key:') || !/^z[1-9A-HJ-NP-Za-km-z]{8,1024}$/.test(text))
    throw new AppError('did-invalid', 'Not a did:key in base58');
  const key = fromMultikey(text);
  if (!key) throw new AppError('did-unsupported', 'This did:key is of a key type other than Ed25519, X25519 and P-256');
  return key;
}

/** The X25519 public key of an Ed25519 one. @throws AppError `did-invalid` for points of small order or off the curve */
export function ed25519ToX25519(bytes: Uint8Array): Uint8Array {
  const converted = new Uint8Array(32);
  try {
    sodium.crypto_sign_ed25519_pk_to_curve25519(converted, bytes);
  } catch {
    throw new AppError('did-invalid', 'The Ed25519 public key is not usable');
  }
  return converted;
}

/** A public key as JWK. @throws AppError `did-invalid` when a P-256 point is not on the curve */
export function toJwk({ type, bytes }: PublicKey): Record<string, string> {
  if (type !== 'p256') return { kty: 'OKP', crv: type === 'ed25519' ? 'Ed25519' : 'X25519', x: toBase64url(bytes) };
  try {
    const point = ECDH.convertKey(bytes, 'prime256v1', undefined, undefined, 'uncompressed') as Buffer;
    return { kty: 'EC', crv: 'P-256', x: toBase64url(point.subarray(1, 33)), y: toBase64url(point.subarray(33)) };
  } catch {
    throw new AppError('did-invalid', 'The P-256 point is not on the curve');
  }
}

/** The public key of a JWK; undefined when it is none that we know or is malformed. */
export function fromJwk(jwk: unknown): PublicKey | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kty, crv, x, y } = jwk as Record<string, unknown>;
  const first = typeof x === 'string' ? fromBase64url(x) : undefined;
  if (first?.length !== 32) return undefined;
  if (kty === 'OKP' && (crv === 'Ed25519' || crv === 'X25519')) return { type: crv === 'Ed25519' ? 'ed25519' : 'x25519', bytes: first };
  const second = typeof y === 'string' ? fromBase64url(y) : undefined;
  if (kty !== 'EC' || crv !== 'P-256' || second?.length !== 32) return undefined;
  try {
    const point = ECDH.convertKey(
      Buffer.concat([Uint8Array.of(4), first, second]),
      'prime256v1',
      undefined,
      undefined,
      'compressed',
    ) as Buffer;
    return { type: 'p256', bytes: point };
  } catch {
    return undefined;
  }
}

const SUITES = 'https://w3id.org/security/suites';

/**
 * The document of a did:key (W3C CCG did-method-key). The forms are those of 2018 to 2020, which every agent in the field reads; an Ed25519 key brings its
 * X25519 form for key agreement.
 * @throws AppError `did-invalid`, `did-unsupported`
 */
export function resolveDidKey(did: string): DidDocument {
  const key = didKeyPublicKey(did);
  const id = `${did}#${did.slice('did:key:'.length)}`;
  const signing = { assertionMethod: [id], authentication: [id], capabilityInvocation: [id], capabilityDelegation: [id] };
  const method = (methodId: string, type: string, bytes: Uint8Array) => ({
    id: methodId,
    type,
    controller: did,
    publicKeyBase58: toBase58(bytes),
  });
  const context = 'https://www.w3.org/ns/did/v1';
  if (key.type === 'x25519') {
    return {
      '@context': [context, `${SUITES}/x25519-2019/v1`],
      id: did,
      verificationMethod: [method(id, 'X25519KeyAgreementKey2019', key.bytes)],
      keyAgreement: [id],
    };
  }
  if (key.type === 'p256') {
    const verificationMethod = [{ id, type: 'JsonWebKey2020', controller: did, publicKeyJwk: toJwk(key) }];
    return { '@context': [context, `${SUITES}/jws-2020/v1`], id: did, verificationMethod, ...signing, keyAgreement: [id] };
  }
  const agreement = ed25519ToX25519(key.bytes);
  const agreementId = `${did}#${toMultikey({ type: 'x25519', bytes: agreement })}`;
  return {
    '@context': [context, `${SUITES}/ed25519-2018/v1`, `${SUITES}/x25519-2019/v1`],
    id: did,
    verificationMethod: [method(id, 'Ed25519VerificationKey2018', key.bytes), method(agreementId, 'X25519KeyAgreementKey2019', agreement)],
    ...signing,
    keyAgreement: [agreementId],
  };
}
