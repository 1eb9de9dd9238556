import { base64urlnopad, hex } from '@scure/base';
import { bigEndian, joined } from './bytes.ts';
import { DidAlgoError } from './errors.ts';

export type ObjectType = 'SCHEMA' | 'CLAIM_DEF' | 'REV_REG_DEF';

/** The identifier of an object, taken apart; `did` is the issuer's DID in its normal form. */
export interface ObjectId {
  did: string;
  network: string;
  application: string;
  key: Uint8Array;
  type: ObjectType;
  oid: Uint8Array;
}

const ID =
  /^did:algo(?::(mainnet|testnet|betanet|custom))?:app:([1-9][0-9]{0,19}):([0-9a-fA-F]{64})\/anoncreds\/v1\/(SCHEMA|CLAIM_DEF|REV_REG_DEF)\/([A-Za-z0-9_-]{32})$/;
const MAX_APPLICATION = 0xffff_ffff_ffff_ffffn;

/** Takes an identifier apart; without a network it means mainnet. @throws DidAlgoError `identifier-invalid` */
export const parseId = (text: string): ObjectId => {
  const [, network = 'mainnet', application = '', key = '', type, oid = ''] = ID.exec(text) ?? [];
  if (type === undefined || BigInt(application) > MAX_APPLICATION)
    throw new DidAlgoError('identifier-invalid', `not the identifier of a did:algo object: ${text.slice(0, 300)}`);
  const lower = key.toLowerCase();
  return {
    did: `did:algo:${network}:app:${application}:${lower}`,
    network,
    application,
    key: hex.decode(lower),
    type: type as ObjectType,
    oid: base64urlnopad.decode(oid),
  };
};

const named = (prefix: string, ...parts: Uint8Array[]): Uint8Array => joined(Uint8Array.of(prefix.charCodeAt(0)), ...parts);

/** The name of the box of an object of this key. */
export const objectBox = ({ key, oid }: ObjectId, other = oid): Uint8Array => named('r', key, other);
/** The name of the box with the head of the status log. */
export const headBox = ({ key, oid }: ObjectId): Uint8Array => named('l', key, oid);
/** The name of the box of a segment of the status log. */
export const segmentBox = ({ key, oid }: ObjectId, number: number): Uint8Array => named('g', key, oid, bigEndian(number, 4));
