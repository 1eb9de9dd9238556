import { createHash, createPublicKey, verify } from 'node:crypto';
import algosdk from 'algosdk';

/** Where the MessagePack value that starts at `at` ends. @throws RangeError if the bytes stop before */
const valueEnd = (bytes: Uint8Array, at: number, depth = 0): number => {
  if (depth > 32) throw new RangeError('msgpack nested too deeply');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = view.getUint8(at);
  const items = (count: number, from: number): number => {
    let end = from;
    for (let i = 0; i < count; i++) end = valueEnd(bytes, end, depth + 1);
    return end;
  };
  const bounded = (end: number): number => {
    if (end > bytes.length) throw new RangeError('msgpack ends early');
    return end;
  };
  if (head < 0x80 || head >= 0xe0) return at + 1;
  if (head < 0x90) return items(2 * (head & 0x0f), at + 1);
  if (head < 0xa0) return items(head & 0x0f, at + 1);
  if (head < 0xc0) return bounded(at + 1 + (head & 0x1f));
  switch (head) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return at + 1;
    case 0xc4:
    case 0xd9:
      return bounded(at + 2 + view.getUint8(at + 1));
    case 0xc5:
    case 0xda:
      return bounded(at + 3 + view.getUint16(at + 1));
    case 0xc6:
    case 0xdb:
      return bounded(at + 5 + view.getUint32(at + 1));
    case 0xcc:
    case 0xd0:
      return bounded(at + 2);
    case 0xcd:
    case 0xd1:
      return bounded(at + 3);
    case 0xce:
    case 0xd2:
      return bounded(at + 5);
    case 0xcf:
    case 0xd3:
      return bounded(at + 9);
    case 0xdc:
      return items(view.getUint16(at + 1), at + 3);
    case 0xde:
      return items(2 * view.getUint16(at + 1), at + 3);
    default:
      throw new RangeError(`msgpack byte 0x${head.toString(16)} has no place in a transaction`);
  }
};

/** Takes concatenated signed transactions apart. One that ends early is left out, as algod does. */
export const splitGroup = (bytes: Uint8Array): Uint8Array[] => {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = wholeEnd(bytes, at);
    if (end === undefined) break;
    parts.push(bytes.slice(at, end));
    at = end;
  }
  return parts;
};

const wholeEnd = (bytes: Uint8Array, at: number): number | undefined => {
  try {
    return valueEnd(bytes, at);
  } catch (error) {
    if (error instanceof RangeError && !/no place|too deeply/.test(error.message)) return undefined;
    throw error;
  }
};

/** SHA-512/256, the ledger's own hash. */
export const sha512_256 = (...parts: Uint8Array[]): Uint8Array => {
  const hash = createHash('sha512-256');
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
};

const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

const verifyEd25519 = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  try {
    return verify(null, message, createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' }), signature);
  } catch {
    return false;
  }
};

/**
 * Checks that a transaction is signed, and by whom: a single key or a multisignature account. The caller compares the authorizer with the sender's own or
 * rekeyed authority.
 * @returns the address that authorized it
 * @throws Error worded as the reference node does
 */
export const authorizer = (stxn: algosdk.SignedTransaction): string => {
  const signer = (stxn.sgnr ?? stxn.txn.sender).toString();
  const message = stxn.txn.bytesToSign();
  const kinds = [stxn.sig, stxn.msig, stxn.lsig, stxn.pqsig].filter((kind) => kind !== undefined).length;
  if (kinds === 0) throw new Error('signedtxn has no sig');
  if (kinds > 1) throw new Error('signedtxn should only have one of Sig or Msig or LogicSig');
  if (stxn.sig !== undefined) {
    if (!verifyEd25519(algosdk.decodeAddress(signer).publicKey, message, stxn.sig))
      throw new Error("At least one signature didn't pass verification");
    return signer;
  }
  if (stxn.msig !== undefined) {
    const { v, thr, subsig } = stxn.msig;
    const keys = subsig.map((part) => part.pk);
    const address = algosdk.encodeAddress(sha512_256(new TextEncoder().encode('MultisigAddr'), Uint8Array.of(v, thr), ...keys));
    if (address !== signer) throw new Error('multisig validation failed: wrong address');
    const signed = subsig.filter((part) => part.s !== undefined);
    if (v !== 1 || thr < 1 || signed.length < thr) throw new Error('multisig validation failed: Invalid number of signatures');
    if (!signed.every((part) => verifyEd25519(part.pk, message, part.s as Uint8Array)))
      throw new Error('multisig validation failed: bad signature');
    return signer;
  }
  throw new Error('logic and post-quantum signatures are not implemented here');
};

/**
 * A signed transaction from its bytes. Members may stand in any order, as with algod.
 * @throws Error if there is more in the bytes than what was read
 */
export const decodeSigned = (bytes: Uint8Array): algosdk.SignedTransaction => {
  const stxn = algosdk.decodeSignedTransaction(bytes);
  if (algosdk.encodeMsgpack(stxn).length !== bytes.length) throw new Error('msgpack decode error: not a signed transaction');
  return stxn;
};
