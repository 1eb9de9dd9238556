import { createHash, randomUUID } from 'node:crypto';
import { didKeyToVerkey, fromBase64, fromBase64url, toBase58, toBase64url, verkeyBytes, verkeyToDidKey } from './encoding.ts';
import type { KeyPair } from './key-cache.ts';
import { parseJson, parseJsonObject } from './safe-json.ts';
import { sodium } from './sodium.ts';

/** A message part that is not what it must be. `reason` names the member, never its content. */
export class MessageRefused extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(`Message refused: ${reason}`);
    this.name = 'MessageRefused';
    this.reason = reason;
  }
}

/** One signature of a JWS in flattened or general JSON form (RFC 7515 section 7.2), the payload being the attachment's base64. */
export interface JwsSignature {
  header?: { kid?: string };
  protected: string;
  signature: string;
}

/** The content of an attachment: `base64` or `json`, or at least `links` to it. */
export interface AttachmentData {
  base64?: string;
  json?: unknown;
  links?: string[];
  sha256?: string;
  jws?: JwsSignature | { signatures: JwsSignature[] };
}

/** An attachment (RFC 0017), its names as in our code; `@id` and the dashed members are renamed on the wire. */
export interface Attachment {
  id?: string;
  description?: string;
  filename?: string;
  mimeType?: string;
  lastmodTime?: string;
  byteCount?: number;
  data: AttachmentData;
}

/** Bytes of an attachment's JSON: the message around it is bounded before, by what its transport takes. */
const MAX_JSON = 16 << 20;

/** Bytes that the signatures of one attachment are over, all together: they are verified while everything else waits. */
const MAX_VERIFIED = 2 << 20;

const TEXTS = [
  ['@id', 'id'],
  ['description', 'description'],
  ['filename', 'filename'],
  ['mime-type', 'mimeType'],
  ['lastmod_time', 'lastmodTime'],
] as const;

/** Reads an attachment as it came over the wire. @throws MessageRefused */
export function readAttachment(value: unknown): Attachment {
  const raw = object(value, 'attachment');
  const data = object(raw.data, 'attachment data');
  const attachment: Attachment = { data: {} };
  for (const [wire, ours] of TEXTS) {
    const text = raw[wire];
    if (text === undefined || text === null) continue;
    if (typeof text !== 'string') throw new MessageRefused(`attachment ${wire}`);
    attachment[ours] = text;
  }
  if (typeof raw.byte_count === 'number') attachment.byteCount = raw.byte_count;
  if (data.base64 !== undefined) {
    if (typeof data.base64 !== 'string') throw new MessageRefused('attachment base64');
    attachment.data.base64 = data.base64;
  }
  if (data.json !== undefined) attachment.data.json = data.json;
  if (data.links !== undefined) {
    if (!Array.isArray(data.links) || !data.links.every((link) => typeof link === 'string')) throw new MessageRefused('attachment links');
    attachment.data.links = data.links;
  }
  if (data.sha256 !== undefined) {
    if (typeof data.sha256 !== 'string') throw new MessageRefused('attachment sha256');
    attachment.data.sha256 = data.sha256;
  }
  if (data.jws !== undefined) attachment.data.jws = readJws(data.jws);
  const { base64, json, links } = attachment.data;
  if (base64 === undefined && json === undefined && links === undefined) throw new MessageRefused('attachment without content');
  // a signature and a hash are about the one, and the other would be read
  if (base64 !== undefined && json !== undefined) throw new MessageRefused('attachment with two contents');
  return attachment;
}

/** An attachment as it goes over the wire. */
export function writeAttachment(attachment: Attachment): Record<string, unknown> {
  const raw: Record<string, unknown> = {};
  for (const [wire, ours] of TEXTS) if (attachment[ours] !== undefined) raw[wire] = attachment[ours];
  if (attachment.byteCount !== undefined) raw.byte_count = attachment.byteCount;
  raw.data = attachment.data;
  return raw;
}

/** An attachment that holds `value` as JSON in base64, as the credential protocols want it. */
export const base64Attachment = (value: unknown, id: string = randomUUID(), mimeType = 'application/json'): Attachment => ({
  id,
  mimeType,
  data: { base64: Buffer.from(JSON.stringify(value), 'utf8').toString('base64') },
});

/** The bytes of a base64 attachment. @throws MessageRefused when it has none, or they are not base64 */
export function attachmentBytes({ data }: Attachment): Buffer {
  if (data.base64 === undefined) throw new MessageRefused('attachment without base64');
  const bytes = fromBase64(data.base64);
  if (!bytes) throw new MessageRefused('attachment base64');
  // RFC 0017 names no encoding of the hash: what is no hexadecimal SHA-256 cannot be compared
  const hash = data.sha256 !== undefined && /^[0-9a-f]{64}$/i.test(data.sha256) ? data.sha256.toLowerCase() : undefined;
  if (hash !== undefined && createHash('sha256').update(bytes).digest('hex') !== hash) throw new MessageRefused('attachment sha256');
  return bytes;
}

/** The JSON value of an attachment, from `json` or `base64`. Links are never followed. @throws MessageRefused */
export function attachmentJson(attachment: Attachment, maxBytes = MAX_JSON): unknown {
  const { json, base64, links } = attachment.data;
  if (json !== undefined) return json;
  if (base64 === undefined && links !== undefined) throw new MessageRefused('attachment links, which are not followed');
  try {
    return parseJson(attachmentBytes(attachment), { maxBytes });
  } catch (error) {
    if (error instanceof MessageRefused) throw error;
    throw new MessageRefused('attachment is not JSON');
  }
}

/**
 * The message that is attached as it came over the wire, in every form of RFC 0017: `json`, or `base64` of either alphabet, padded or not. Signatures must be
 * valid, whoever made them; a hash must fit.
 * @throws MessageRefused
 */
export function attachedMessage(value: unknown): Record<string, unknown> {
  const attachment = readAttachment(value);
  if (attachment.data.jws !== undefined) verifySigned(attachment);
  return object(attachmentJson(attachment), 'attachment is not a JSON object');
}

/**
 * A signed attachment (RFC 0017, "Signing Attachments"): flattened JWS with EdDSA, detached over the base64url payload. The protected header carries the key as
 * `jwk` with a did:key `kid`, which is what ACA-Py and Credo verify for `did_doc~attach` and `did_rotate~attach`.
 * @param claims what else is signed, in the protected header
 */
export function signedAttachment(
  payload: Uint8Array,
  signer: KeyPair,
  id: string = randomUUID(),
  mimeType = 'application/json',
  claims: Readonly<Record<string, unknown>> = {},
): Attachment {
  const base64 = toBase64url(payload);
  const kid = verkeyToDidKey(signer.verkey);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: toBase64url(verkeyBytes(signer.verkey)), kid };
  const head = Buffer.from(JSON.stringify({ ...claims, alg: 'EdDSA', kid, jwk })).toString('base64url');
  const signature = Buffer.allocUnsafe(64);
  sodium.crypto_sign_detached(signature, Buffer.from(`${head}.${base64}`, 'latin1'), signer.secretKey);
  return { id, mimeType, data: { base64, jws: { header: { kid }, protected: head, signature: toBase64url(signature) } } };
}

/**
 * Verifies every signature of a signed attachment and answers its payload, who signed, and the protected header of each signature. A valid signature by a key that nobody expects proves nothing: use
 * `verifySignedBy` where the signer is known.
 * @throws MessageRefused
 */
export function verifySigned({ data }: Attachment): { payload: Buffer; signers: string[]; heads: Record<string, unknown>[] } {
  if (data.base64 === undefined || data.jws === undefined) throw new MessageRefused('attachment is not signed');
  const payload = fromBase64(data.base64);
  if (!payload) throw new MessageRefused('attachment base64');
  // The signature is over base64url without padding, however the attachment spells it.
  const signed = toBase64url(payload);
  const signatures = 'signatures' in data.jws ? data.jws.signatures : [data.jws];
  if (signatures.length * signed.length > MAX_VERIFIED) throw new MessageRefused('attachment with too much to verify');
  const verified = signatures.map((one) => verifyOne(one, signed));
  return { payload, signers: verified.map(({ verkey }) => verkey), heads: verified.map(({ header }) => header) };
}

/** As `verifySigned`, and `verkey` must be among the signers. @throws MessageRefused */
export function verifySignedBy(attachment: Attachment, verkey: string): Buffer {
  const { payload, signers } = verifySigned(attachment);
  if (!signers.includes(verkey)) throw new MessageRefused('attachment is signed by another key');
  return payload;
}

function verifyOne(one: JwsSignature, payload: string): { verkey: string; header: Record<string, unknown> } {
  const head = fromBase64url(one.protected);
  const signature = fromBase64url(one.signature);
  if (!head || !signature || signature.length !== 64) throw new MessageRefused('jws encoding');
  let header: Record<string, unknown>;
  try {
    header = parseJsonObject(head, { maxBytes: 4096, maxDepth: 4 });
  } catch {
    throw new MessageRefused('jws protected header');
  }
  if (header.alg !== 'EdDSA') throw new MessageRefused('jws alg');
  if (header.crit !== undefined || header.b64 !== undefined) throw new MessageRefused('jws crit');
  const verkey = signerOf(header, one.header?.kid);
  if (!sodium.crypto_sign_verify_detached(signature, Buffer.from(`${one.protected}.${payload}`, 'latin1'), verkeyBytes(verkey))) {
    throw new MessageRefused('jws signature');
  }
  return { verkey, header };
}

/** The one key that the header names, by `jwk` or by a did:key; all that name one must agree. */
function signerOf(header: Record<string, unknown>, outerKid: string | undefined): string {
  const named = new Set<string>();
  if (header.jwk !== undefined) {
    const jwk = object(header.jwk, 'jws jwk');
    const x = typeof jwk.x === 'string' ? fromBase64url(jwk.x) : undefined;
    if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519' || x?.length !== 32) throw new MessageRefused('jws jwk');
    named.add(toBase58(x));
    addKid(jwk.kid, named);
  }
  addKid(header.kid, named);
  // The unprotected kid may be of any form where the protected header names the key; where it does not, it is all there is.
  if (outerKid?.startsWith('did:key:') || named.size === 0) addKid(outerKid, named);
  const [verkey] = named;
  if (verkey === undefined || named.size !== 1) throw new MessageRefused('jws key');
  return verkey;
}

function addKid(kid: unknown, named: Set<string>): void {
  if (kid === undefined || (typeof kid === 'string' && !kid.startsWith('did:key:'))) return;
  const verkey = typeof kid === 'string' ? didKeyToVerkey(kid) : undefined;
  if (verkey === undefined) throw new MessageRefused('jws kid');
  named.add(verkey);
}

function readJws(value: unknown): JwsSignature | { signatures: JwsSignature[] } {
  const raw = object(value, 'jws');
  if (raw.signatures === undefined) return readSignature(raw);
  if (!Array.isArray(raw.signatures) || raw.signatures.length === 0 || raw.signatures.length > 16)
    throw new MessageRefused('jws signatures');
  return { signatures: raw.signatures.map((one) => readSignature(object(one, 'jws'))) };
}

function readSignature(raw: Record<string, unknown>): JwsSignature {
  if (typeof raw.protected !== 'string' || typeof raw.signature !== 'string') throw new MessageRefused('jws');
  const jws: JwsSignature = { protected: raw.protected, signature: raw.signature };
  if (raw.header !== undefined && raw.header !== null) {
    const { kid } = object(raw.header, 'jws header');
    if (kid !== undefined && typeof kid !== 'string') throw new MessageRefused('jws header');
    jws.header = kid === undefined ? {} : { kid };
  }
  return jws;
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MessageRefused(what);
  return value as Record<string, unknown>;
}
