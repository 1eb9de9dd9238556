import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { AppError } from '../errors.ts';
import type { ObjectType } from '../ports/ledger.ts';
import { canonical, oidOf } from './algorand-ids.ts';

/** A resource's payload is raw DEFLATE of canonical JSON; with STRIPPED, what the issuer's DID already says was left out before. */
const STRIPPED = 1;
const PLAIN = 2;
/** While parts are missing, bit 7 of the codec is set. */
const OPEN = 0x80;
/** Bytes of a resource box before its payload: codec, type, time, round. */
export const RESOURCE_HEAD = 18;
/** The largest object that is inflated; a credential definition of 125 attributes has about 100 kB. */
const MAX_OBJECT = 262_144;

const TYPE_BYTES: Record<ObjectType, number> = { SCHEMA: 1, CLAIM_DEF: 2, REV_REG_DEF: 3 };

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const mapStrings = (object: Record<string, unknown>, change: (value: string) => string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, typeof value === 'string' ? change(value) : value]));

/** Leaves out `issuerId` and the DID at the start of top-level identifiers. */
const strip = (did: string, { issuerId: _issuer, ...rest }: Record<string, unknown>): Record<string, unknown> =>
  mapStrings(rest, (value) => (value.startsWith(`${did}/`) ? value.slice(did.length) : value));

const rebuild = (did: string, object: Record<string, unknown>): Record<string, unknown> => ({
  issuerId: did,
  ...mapStrings(object, (value) => (value.startsWith('/') ? did + value : value)),
});

/**
 * The bytes of an object as they go into its box: `head` (codec, type) and `payload`.
 * @throws AppError `object-invalid` if `issuerId` is not the DID, or the object is larger than any reader would inflate
 */
export const packObject = (did: string, type: ObjectType, object: Record<string, unknown>): { head: Uint8Array; payload: Uint8Array } => {
  if (object.issuerId !== did)
    throw new AppError('object-invalid', `issuerId is ${String(object.issuerId)}, the object would be written under ${did}`);
  const whole = canonical(object);
  if (Buffer.byteLength(whole) > MAX_OBJECT) throw new AppError('object-invalid', `the object has more than ${MAX_OBJECT} bytes`);
  const stripped = strip(did, object);
  // A value that begins with a slash would come back as another: then nothing is left out.
  const reversible = canonical(rebuild(did, stripped)) === whole;
  const payload = Uint8Array.from(deflateRawSync(reversible ? canonical(stripped) : whole, { level: 9 }));
  return { head: Uint8Array.of(reversible ? STRIPPED : PLAIN, TYPE_BYTES[type]), payload };
};

/**
 * The object in a resource box, or undefined while the box is not sealed. Everything is checked: size, JSON, type, issuer, and that it hashes to `oid`.
 * @throws AppError `object-invalid`
 */
export const unpackObject = (did: string, type: ObjectType, oid: Uint8Array, box: Uint8Array): Record<string, unknown> | undefined => {
  const [codec = OPEN, typeByte] = box;
  if ((codec & OPEN) !== 0) return undefined;
  const invalid = (reason: string, cause?: unknown): AppError => new AppError('object-invalid', `the ledger object ${reason}`, { cause });
  if (box.length < RESOURCE_HEAD || (codec !== STRIPPED && codec !== PLAIN)) throw invalid(`has an unknown form (${codec})`);
  if (typeByte !== TYPE_BYTES[type]) throw invalid(`is not a ${type}`);
  let parsed: unknown;
  try {
    const bytes = inflateRawSync(box.subarray(RESOURCE_HEAD), { maxOutputLength: MAX_OBJECT });
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid('cannot be read', error);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw invalid('is not a JSON object');
  const object = codec === STRIPPED ? rebuild(did, parsed as Record<string, unknown>) : (parsed as Record<string, unknown>);
  if (!same(oidOf(object), oid)) throw invalid('does not hash to its identifier');
  if (object.issuerId !== did) throw invalid('names another issuer');
  return object;
};

/** The metadata box of a did:algo (SPEC 4.2.2) and, in our registry, the version in the place of the fifth number. */
export interface Metadata {
  start: bigint;
  end: bigint;
  /** 0 uploading, 1 ready, 2 being deleted or, in our registry, deactivated. */
  status: number;
  endSize: bigint;
  fifth?: bigint;
}

/** Reads a metadata box. @throws AppError `did-invalid` if it is too short */
export const unpackMetadata = (box: Uint8Array): Metadata => {
  if (box.length < 25) throw new AppError('did-invalid', `the metadata box has ${box.length} bytes`);
  const view = new DataView(box.buffer, box.byteOffset, box.byteLength);
  return {
    start: view.getBigUint64(0),
    end: view.getBigUint64(8),
    status: view.getUint8(16),
    endSize: view.getBigUint64(17),
    fifth: box.length === 33 ? view.getBigUint64(25) : undefined,
  };
};

/** What our registry keeps beside a DID: times in seconds, the round of the last change, who may write and who paid. */
export interface DidInfo {
  created: bigint;
  updated: bigint;
  round: bigint;
  operator: Uint8Array;
  payer: Uint8Array;
}

/** Reads an info box, if it is one. */
export const unpackInfo = (box: Uint8Array): DidInfo | undefined => {
  if (box.length !== 88) return undefined;
  const view = new DataView(box.buffer, box.byteOffset, box.byteLength);
  return {
    created: view.getBigUint64(0),
    updated: view.getBigUint64(8),
    round: view.getBigUint64(16),
    operator: box.slice(24, 56),
    payer: box.slice(56, 88),
  };
};
