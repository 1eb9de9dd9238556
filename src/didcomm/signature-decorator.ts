import { MessageRefused } from './attachments.ts';
import { fromBase64, toBase64url, verkeyBytes } from './encoding.ts';
import type { KeyPair } from './key-cache.ts';
import { OLD_PREFIX, PREFIX } from './message-types.ts';
import { parseJson } from './safe-json.ts';
import { sodium } from './sodium.ts';

/** A signature decorator (RFC 0234), as in `connection~sig`. */
export interface SignatureDecorator {
  '@type': string;
  signature: string;
  sig_data: string;
  signer: string;
}

/** The type of the decorator; agents before RFC 0348 write it with the did:sov prefix. */
const SIGNATURE_TYPE = 'https://didcomm.org/signature/1.0/ed25519Sha512_single';

/** Signs a JSON value. `time` is in seconds since 1970; it stands in eight bytes before the data. */
export function signDecorator(value: unknown, signer: KeyPair, time: number = Math.floor(Date.now() / 1000)): SignatureDecorator {
  const json = Buffer.from(JSON.stringify(value), 'utf8');
  const data = Buffer.allocUnsafe(8 + json.length);
  data.writeBigUInt64BE(BigInt(time), 0);
  json.copy(data, 8);
  const signature = Buffer.allocUnsafe(64);
  sodium.crypto_sign_detached(signature, data, signer.secretKey);
  return { '@type': SIGNATURE_TYPE, signature: toBase64url(signature), sig_data: toBase64url(data), signer: signer.verkey };
}

/**
 * Verifies a signature decorator and answers what it signs. `expected` is the verkey that must have signed: for a connection response, the invitation's key.
 * @throws MessageRefused
 */
export function verifyDecorator(value: unknown, expected: string): { value: unknown; time: number } {
  if (typeof value !== 'object' || value === null) throw new MessageRefused('signature decorator');
  const { '@type': type, signature: sig, sig_data: text, signer } = value as Record<string, unknown>;
  if (type !== SIGNATURE_TYPE && type !== SIGNATURE_TYPE.replace(PREFIX, OLD_PREFIX)) throw new MessageRefused('signature type');
  if (typeof sig !== 'string' || typeof text !== 'string' || typeof signer !== 'string') throw new MessageRefused('signature decorator');
  if (signer !== expected) throw new MessageRefused('signed by another key');
  const signature = fromBase64(sig);
  const data = fromBase64(text);
  if (signature?.length !== 64 || !data || data.length < 9) throw new MessageRefused('signature encoding');
  if (!sodium.crypto_sign_verify_detached(signature, data, verkeyBytes(expected))) throw new MessageRefused('signature');
  try {
    return { value: parseJson(data.subarray(8)), time: Number(data.readBigUInt64BE(0)) };
  } catch {
    throw new MessageRefused('signed data is not JSON');
  }
}
