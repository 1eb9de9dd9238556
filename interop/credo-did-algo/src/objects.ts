import { sha256 } from '@noble/hashes/sha2.js';
import canonicalize from 'canonicalize';
import { inflated, joined, same } from './bytes.ts';
import { invalid } from './errors.ts';
import type { ObjectId, ObjectType } from './identifiers.ts';

/** Objects in boxes: raw DEFLATE of canonical JSON, checked against the identifier. The format is docs/StatusLog.md of the FlexID Cloud Agent. */

const TYPES: Record<ObjectType, number> = { SCHEMA: 1, CLAIM_DEF: 2, REV_REG_DEF: 3 };
const STRIPPED = 1;
const PLAIN = 2;
const CONTINUED = 4;
const PART = 8;
const OPEN = 0x80;
const HEAD = 18;
const NAME = 24;
const MAX_PARTS = 7;
const MAX_OBJECT = 262_144;

export type AnonCredsObject = Record<string, unknown>;

const codecOf = (box: Uint8Array | undefined): number => box?.[0] ?? OPEN;
const isAbsent = (box: Uint8Array | undefined): boolean => (codecOf(box) & OPEN) !== 0;

/** Names (`oid`) of the boxes in which the payload continues; none of an object that is absent. @throws DidAlgoError `object-invalid` */
export const partsOf = (box: Uint8Array | undefined): Uint8Array[] => {
  if (box === undefined || isAbsent(box) || (codecOf(box) & CONTINUED) === 0) return [];
  const count = box[HEAD] ?? 0;
  const names = box.subarray(HEAD + 1, HEAD + 1 + count * NAME);
  if (count < 1 || count > MAX_PARTS || names.length !== count * NAME) throw invalid('the object has a list of parts of an unknown form');
  return Array.from({ length: count }, (_none, i) => names.slice(i * NAME, (i + 1) * NAME));
};

/** @throws DidAlgoError `object-invalid` */
const canonical = (value: AnonCredsObject): Uint8Array => {
  try {
    return new TextEncoder().encode(canonicalize(value));
  } catch (error) {
    throw invalid('the object has no canonical form', error);
  }
};

/** @throws DidAlgoError `object-invalid` */
const parsed = (payload: Uint8Array): AnonCredsObject => {
  const bytes = inflated(payload, MAX_OBJECT);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid('the object is not JSON', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('the object is not a JSON object');
  return value as AnonCredsObject;
};

/** What a writer left out: the issuer, and its DID before identifiers. */
const restored = (did: string, value: AnonCredsObject): AnonCredsObject => ({
  issuerId: did,
  ...Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, typeof member === 'string' && member.startsWith('/') ? did + member : member]),
  ),
});

/**
 * The object of a box and its parts, or undefined where it is absent. Type, issuer and hash are checked.
 * @throws DidAlgoError `object-invalid`
 */
export const unpackObject = (
  id: ObjectId,
  box: Uint8Array | undefined,
  parts: readonly (Uint8Array | undefined)[] = [],
): AnonCredsObject | undefined => {
  if (box === undefined || isAbsent(box) || parts.some(isAbsent)) return undefined;
  if (box.length < HEAD || parts.some((part) => part!.length < HEAD)) throw invalid('the object is too short');
  const whole = codecOf(box);
  const codec = whole & ~CONTINUED;
  if (codec !== STRIPPED && codec !== PLAIN) throw invalid(`the object has an unknown form (${whole})`);
  if (box[1] !== TYPES[id.type]) throw invalid(`the object is not a ${id.type}`);
  if (parts.length !== partsOf(box).length || parts.some((part) => part![0] !== PART || part![1] !== box[1]))
    throw invalid('the object has parts of an unknown form');
  const first = HEAD + (parts.length > 0 ? 1 + parts.length * NAME : 0);
  const read = parsed(joined(box.subarray(first), ...parts.map((part) => part!.subarray(HEAD))));
  const object = codec === STRIPPED ? restored(id.did, read) : read;
  if (!same(sha256(canonical(object)).subarray(0, NAME), id.oid)) throw invalid('the object does not hash to its identifier');
  if (object.issuerId !== id.did) throw invalid('the object names another issuer');
  return object;
};
