import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { AppError } from '../../errors.ts';
import type { ObjectType } from '../../ports/ledger.ts';
import { canonical, oidOf, partOf } from './ids.ts';

/** A resource's payload is raw DEFLATE of canonical JSON; with STRIPPED, without the members that follow from the issuer's DID. */
const STRIPPED = 1;
const PLAIN = 2;
/** Added to the codec where the payload goes on in other resources: first comes their number, then their names. They have the codec PART. */
const CONTINUED = 4;
const PART = 8;
/** Bytes of payload in one resource: what one group of transactions writes. */
const PIECE = 27_000;
/** Bytes of a resource's name. */
const NAME = 24;
/** Pieces of the largest object that is read. */
const MAX_PIECES = 8;
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

/** The content of one resource: its name, `head` (codec, type) and `payload`. */
export interface Piece {
  oid: Uint8Array;
  head: Uint8Array;
  payload: Uint8Array;
}

/**
 * An object as it goes into resources, in the order in which they are written. An object that one group of transactions does not hold is more than one piece; the one under
 * the object's own name is the last, so that what it names is there when it is.
 * @throws AppError `object-invalid` if `issuerId` is not the DID, or the object is larger than any reader would inflate
 */
export const packObject = (did: string, type: ObjectType, object: Record<string, unknown>): [Piece, ...Piece[]] => {
  if (object.issuerId !== did)
    throw new AppError('object-invalid', `issuerId is ${String(object.issuerId)}, the object would be written under ${did}`);
  const whole = canonical(object);
  if (Buffer.byteLength(whole) > MAX_OBJECT) throw new AppError('object-invalid', `the object has more than ${MAX_OBJECT} bytes`);
  const stripped = strip(did, object);
  // A value that begins with a slash would come back as another: then nothing is left out.
  const reversible = canonical(rebuild(did, stripped)) === whole;
  const payload = Uint8Array.from(deflateRawSync(reversible ? canonical(stripped) : whole, { level: 9 }));
  const [oid, codec, typeByte] = [oidOf(object), reversible ? STRIPPED : PLAIN, TYPE_BYTES[type]];
  if (payload.length <= PIECE) return [{ oid, head: Uint8Array.of(codec, typeByte), payload }];
  const pieces = Array.from({ length: Math.ceil(payload.length / PIECE) }, (_none, i) => payload.subarray(i * PIECE, (i + 1) * PIECE));
  const [first, ...rest] = pieces as [Uint8Array, ...Uint8Array[]];
  if (rest.length >= MAX_PIECES) throw new AppError('object-invalid', `the object has ${payload.length} bytes when compressed`);
  const parts = rest.map((part): Piece => ({ oid: partOf(oid, part), head: Uint8Array.of(PART, typeByte), payload: part }));
  const main = Buffer.concat([Uint8Array.of(parts.length), ...parts.map((part) => part.oid), first]);
  const last: Piece = { oid, head: Uint8Array.of(codec + CONTINUED, typeByte), payload: Uint8Array.from(main) };
  const [next = last, ...others] = [...parts, last];
  return [next, ...others];
};

/** Whether a resource box holds this piece, sealed. */
export const holdsPiece = ({ head, payload }: Piece, box: Uint8Array): boolean =>
  box.length === RESOURCE_HEAD + payload.length && same(box.subarray(0, 2), head) && same(box.subarray(RESOURCE_HEAD), payload);

/** The names of the resources in which the payload of this one goes on. */
export const partsOf = (box: Uint8Array): Uint8Array[] => {
  const codec = box[0] ?? OPEN;
  if ((codec & OPEN) !== 0 || (codec & CONTINUED) === 0) return [];
  const count = Math.min(box[RESOURCE_HEAD] ?? 0, MAX_PIECES - 1);
  return Array.from({ length: count }, (_none, i) => box.slice(RESOURCE_HEAD + 1 + i * NAME, RESOURCE_HEAD + 1 + (i + 1) * NAME));
};

/**
 * The object in a resource box and the boxes that `partsOf` it names, or undefined while one of them is missing or not sealed. Everything is checked: size, JSON,
 * type, issuer, and that it hashes to `oid`.
 * @throws AppError `object-invalid`
 */
export const unpackObject = (
  did: string,
  type: ObjectType,
  oid: Uint8Array,
  box: Uint8Array,
  parts: readonly (Uint8Array | undefined)[] = [],
): Record<string, unknown> | undefined => {
  const [whole = OPEN, typeByte] = box;
  if ((whole & OPEN) !== 0 || parts.some((part) => part === undefined || ((part[0] ?? OPEN) & OPEN) !== 0)) return undefined;
  const continued = (whole & CONTINUED) !== 0;
  const codec = continued ? whole - CONTINUED : whole;
  const invalid = (reason: string, cause?: unknown): AppError => new AppError('object-invalid', `the ledger object ${reason}`, { cause });
  if (box.length < RESOURCE_HEAD || (codec !== STRIPPED && codec !== PLAIN)) throw invalid(`has an unknown form (${whole})`);
  if (parts.length !== (continued ? box[RESOURCE_HEAD] : 0) || parts.some((part) => part![0] !== PART || part![1] !== typeByte))
    throw invalid('has parts of an unknown form');
  if (typeByte !== TYPE_BYTES[type]) throw invalid(`is not a ${type}`);
  let parsed: unknown;
  try {
    const payload = [
      box.subarray(RESOURCE_HEAD + (continued ? 1 + parts.length * NAME : 0)),
      ...parts.map((part) => part!.subarray(RESOURCE_HEAD)),
    ];
    const bytes = inflateRawSync(Buffer.concat(payload), { maxOutputLength: MAX_OBJECT });
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

/** The registry's entry of a DID: times in seconds, the round of the last change, who may write and who paid. */
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
