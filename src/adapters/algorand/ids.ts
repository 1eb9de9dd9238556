import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { AppError } from '../../errors.ts';
import type { ObjectType } from '../../ports/ledger.ts';

/** A did:algo taken apart; `did` is its normal form: network written, hexadecimal in lower case. */
export interface AlgoDid {
  did: string;
  network: string;
  appId: bigint;
  /** The public key of the control account, 32 bytes. */
  key: Uint8Array;
}

const DID = /^did:algo(?::(mainnet|testnet|betanet|custom))?:app:([1-9][0-9]{0,19}):([0-9a-fA-F]{64})$/;
const OBJECT = /^(did:algo:[^/?#]+)\/anoncreds\/v1\/(SCHEMA|CLAIM_DEF|REV_REG_DEF)\/([A-Za-z0-9_-]{32})$/;
const MAX_APP = 0xffff_ffff_ffff_ffffn;

/** Takes a did:algo apart (did:algo SPEC section 3); without a network it means mainnet. @throws AppError `did-invalid` */
export const parseDid = (text: string): AlgoDid => {
  const match = DID.exec(text);
  const appId = BigInt(match?.[2] ?? 0);
  if (match === null || appId > MAX_APP) throw new AppError('did-invalid', `not a did:algo: ${text}`);
  const network = match[1] ?? 'mainnet';
  const key = Uint8Array.from(Buffer.from(match[3] as string, 'hex'));
  return { did: formatDid(network, appId, key), network, appId, key };
};

/** The did:algo of a key, in its normal form. */
export const formatDid = (network: string, appId: bigint, key: Uint8Array): string =>
  `did:algo:${network}:app:${appId}:${Buffer.from(key).toString('hex')}`;

/** The JSON Canonicalization Scheme (RFC 8785) form of a value. @throws AppError `object-invalid` */
export const canonical = (value: unknown): string => {
  let text: string | undefined;
  try {
    text = canonicalize(value);
  } catch (error) {
    throw new AppError('object-invalid', 'the object has no canonical form', { cause: error });
  }
  if (text === undefined) throw new AppError('object-invalid', 'the object has no canonical form');
  return text;
};

/** The name of an object: the first 24 bytes of the SHA-256 of its canonical form. */
export const oidOf = (object: Record<string, unknown>): Uint8Array =>
  Uint8Array.from(createHash('sha256').update(canonical(object)).digest().subarray(0, 24));

/** The name of a resource in which the payload of `oid` goes on: by what is in it, so that another compression of the same object finds no box in its way. */
export const partOf = (oid: Uint8Array, payload: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash('sha256').update(oid).update(payload).digest().subarray(0, 24));

/** `<did>/anoncreds/v1/<TYPE>/<oid>` */
export const formatObjectId = (did: string, type: ObjectType, oid: Uint8Array): string =>
  `${did}/anoncreds/v1/${type}/${Buffer.from(oid).toString('base64url')}`;

/** Takes an object identifier apart; the DID in it is normalised. @throws AppError `object-invalid` */
export const parseObjectId = (id: string): { owner: AlgoDid; type: ObjectType; oid: Uint8Array } => {
  const match = OBJECT.exec(id);
  if (match === null) throw new AppError('object-invalid', `not the identifier of a ledger object: ${id}`);
  return {
    owner: parseDid(match[1] as string),
    type: match[2] as ObjectType,
    oid: Uint8Array.from(Buffer.from(match[3] as string, 'base64url')),
  };
};

const text = new TextEncoder();
const joined = (prefix: string, ...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat([text.encode(prefix), ...parts]));

/** Box names of the registry (contracts/README.md); the metadata box is named by the key itself. */
export const infoBox = (key: Uint8Array): Uint8Array => joined('d', key);
export const stagedBox = (key: Uint8Array): Uint8Array => joined('p', key);
export const resourceBox = (key: Uint8Array, oid: Uint8Array): Uint8Array => joined('r', key, oid);

/** The head of a status log, and its segments. The log of a registry has the name of its definition. */
export const logBox = (key: Uint8Array, lid: Uint8Array): Uint8Array => joined('l', key, lid);
export const segmentBox = (key: Uint8Array, lid: Uint8Array, number: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number);
  return joined('g', key, lid, bytes);
};

/** The number of the data box for a version of a document: the first 64 bits of SHA-256 over key, version and salt, as the registry computes it. */
export const dataIndex = (key: Uint8Array, version: bigint, salt: bigint): bigint =>
  createHash('sha256').update(key).update(dataBox(version)).update(dataBox(salt)).digest().readBigUInt64BE(0);

/** The name of a data box: its number, 8 bytes. */
export const dataBox = (index: bigint): Uint8Array => {
  const name = new Uint8Array(8);
  new DataView(name.buffer).setBigUint64(0, index);
  return name;
};
