import { isUtf8 } from 'node:buffer';
import { decodeMulti, encode } from '@msgpack/msgpack';
import { fromBase64url, verkeyBytes } from './encoding.ts';
import { EnvelopeRefused } from './envelope-v1.ts';
import { defaultKeyCache, type KeyCache, type KeyPair } from './key-cache.ts';
import { JsonRefused, parseJsonObject } from './safe-json.ts';
import { sodium } from './sodium.ts';

export { EnvelopeRefused } from './envelope-v1.ts';
export type { KeyPair } from './key-cache.ts';

/** The bytes that a sealed box adds to its plaintext: an ephemeral key and a tag. */
export const SEAL_BYTES = 48;
/** The size of a box nonce. */
export const NONCE_BYTES = 24;
const BOX_TAG_BYTES = 16;
const MAX_BYTES = 16 << 20;
/** The most of a base message: base64 in both layers makes an AnonCreds object about twice its size, and the largest are some 100 kB. */
const MAX_BASE_BYTES = 1 << 20;
const MAX_BASE_DEPTH = 32;
/** Longest `id`, `aud` and `origin`: a DID, a nonce, or two nonces. */
export const MAX_ID_LENGTH = 256;
/** Longest `type`. */
const MAX_TYPE_LENGTH = 512;

const refuse = (reason: string): never => {
  throw new EnvelopeRefused(reason);
};

// Reused for every box: nothing awaits while it holds a secret, and it is zeroed after use.
const scratchSecret = new Uint8Array(32);

function x25519(verkey: string, cache: KeyCache): Uint8Array {
  try {
    return cache.x25519(verkey);
  } catch {
    return refuse('a key is no verkey');
  }
}

/** Runs with the X25519 secret of a pair in `scratchSecret`. */
function withSecret<T>(pair: KeyPair, run: () => T): T {
  if (pair.secretKey.length !== 64) refuse('our secret key has a wrong size');
  try {
    sodium.crypto_sign_ed25519_sk_to_curve25519(scratchSecret, pair.secretKey);
    return run();
  } finally {
    scratchSecret.fill(0);
  }
}

/**
 * anon-crypt, as libindy's `crypto_anon_crypt`: a libsodium sealed box to the X25519 form of a verkey.
 * @throws EnvelopeRefused when it is no verkey that can be encrypted to
 */
export function sealAnon(verkey: string, bytes: Uint8Array, cache: KeyCache = defaultKeyCache): Buffer {
  const sealed = Buffer.allocUnsafe(bytes.length + SEAL_BYTES);
  sodium.crypto_box_seal(sealed, bytes, x25519(verkey, cache));
  return sealed;
}

/**
 * Opens an anon-crypt of a key of ours. Nobody is named as its sender, since nobody proved anything.
 * @throws EnvelopeRefused
 */
export function openAnon(pair: KeyPair, sealed: Uint8Array, cache: KeyCache = defaultKeyCache): Buffer {
  if (sealed.length < SEAL_BYTES) refuse('too short for a sealed box');
  if (sealed.length > MAX_BYTES) refuse('too large');
  const own = x25519(pair.verkey, cache);
  const opened = Buffer.allocUnsafe(sealed.length - SEAL_BYTES);
  if (!withSecret(pair, () => sodium.crypto_box_seal_open(opened, sealed, own, scratchSecret))) refuse('the seal does not open');
  return opened;
}

/**
 * auth-crypt, as libindy's `crypto_auth_crypt`: a box between the two keys, put with the sender's verkey and the nonce in a MessagePack map (`ComboBox`), sealed
 * to the recipient. The nonce is random unless given; one is given only to reproduce known bytes.
 * @throws EnvelopeRefused when their verkey is none that can be encrypted to
 */
export function sealAuth(
  pair: KeyPair,
  theirVerkey: string,
  bytes: Uint8Array,
  nonce: Uint8Array = randomNonce(),
  cache: KeyCache = defaultKeyCache,
): Buffer {
  if (nonce.length !== NONCE_BYTES) refuse('a nonce has a wrong size');
  const peer = x25519(theirVerkey, cache);
  const box = Buffer.allocUnsafe(bytes.length + BOX_TAG_BYTES);
  withSecret(pair, () => {
    const shared = cache.shared(pair.verkey, theirVerkey, scratchSecret);
    if (shared) sodium.crypto_secretbox_easy(box, bytes, nonce, shared);
    else sodium.crypto_box_easy(box, bytes, nonce, peer, scratchSecret);
  });
  // The order of the keys is libindy's; the encoder keeps it.
  return sealAnon(theirVerkey, encode({ msg: encodeText(box), sender: pair.verkey, nonce: encodeText(nonce) }), cache);
}

function randomNonce(): Buffer {
  const nonce = Buffer.allocUnsafe(NONCE_BYTES);
  sodium.randombytes_buf(nonce);
  return nonce;
}

/** The content of an auth-crypt. The replay key is `sender` with `nonce`: the outer seal can be renewed by anyone, these two only by the sender. */
export interface OpenedAuth {
  message: Buffer;
  /** The verkey, in base58, of whoever made the box. Compare it with the key that the connection knows: the box itself proves only the key. */
  sender: string;
  nonce: Buffer;
}

/**
 * Opens an auth-crypt: the seal with our key, the box inside with ours and the sender's that it names.
 * @throws EnvelopeRefused for anything that does not authenticate
 */
export function openAuth(pair: KeyPair, sealed: Uint8Array, cache: KeyCache = defaultKeyCache): OpenedAuth {
  const { box, sender, nonce } = readCombo(openAnon(pair, sealed, cache));
  const peer = x25519(sender, cache);
  const message = Buffer.allocUnsafe(box.length - BOX_TAG_BYTES);
  const fits = withSecret(pair, () => {
    const shared = cache.shared(pair.verkey, sender, scratchSecret);
    return shared
      ? sodium.crypto_secretbox_open_easy(message, box, nonce, shared)
      : sodium.crypto_box_open_easy(message, box, nonce, peer, scratchSecret);
  });
  if (!fits) refuse('the box is not from the sender that it names');
  return { message, sender, nonce };
}

const FIXMAP_3 = 0x83;
const FIXARRAY_3 = 0x93;
const FIELDS = ['msg', 'sender', 'nonce'] as const;

/** Strings stay bytes, so that UTF-8 in odd forms is never a second spelling; a container inside the container is refused by its size. */
const SCALARS = {
  rawStrings: true,
  maxStrLength: MAX_BYTES,
  maxBinLength: MAX_BYTES,
  maxArrayLength: 0,
  maxMapLength: 0,
  maxExtLength: 0,
} as const;

/**
 * Reads the ComboBox: a MessagePack map of msg, sender and nonce in any order, or, as libindy's decoder also takes it, an array of the three values. Only what
 * follows the container's first byte goes to the library, as a row of scalars: then a nested or endless value costs nothing, and a key that comes twice is seen.
 */
function readCombo(bytes: Uint8Array): { box: Buffer; sender: string; nonce: Buffer } {
  const map = bytes[0] === FIXMAP_3;
  if (!map && bytes[0] !== FIXARRAY_3) return refuse('the inside is no map of three');
  const expected = map ? 6 : 3;
  const texts: string[] = [];
  try {
    for (const item of decodeMulti(bytes.subarray(1), SCALARS)) {
      if (!(item instanceof Uint8Array) || texts.length === expected) return refuse('the inside is not as it should be');
      texts.push(asciiOf(item));
    }
  } catch (error) {
    if (error instanceof EnvelopeRefused) throw error;
    return refuse('the inside is no MessagePack');
  }
  const values = new Map<string, string>();
  if (map) for (let i = 0; i < 6; i += 2) values.set(texts[i]!, texts[i + 1]!);
  else for (const [i, name] of FIELDS.entries()) values.set(name, texts[i]!);
  // Three entries of which all three names are found: so none is there twice and no other one is there.
  const [msg, sender, nonceText] = FIELDS.map((name) => values.get(name) ?? refuse('the inside lacks a field'));
  const box = decodeText(msg!);
  const nonce = decodeText(nonceText!);
  if (box.length < BOX_TAG_BYTES) refuse('a box is too short');
  if (nonce.length !== NONCE_BYTES) refuse('a nonce has a wrong size');
  try {
    verkeyBytes(sender!);
  } catch {
    return refuse('the sender is no verkey');
  }
  return { box, sender: sender!, nonce };
}

/** Bytes as text, one character a byte; characters beyond ASCII are refused by whoever reads the text. */
const asciiOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

/** Base64 as both layers carry it: RFC 4648 section 4, padded. */
export const encodeText = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

const SPACE = /[ \t\n\f\r]+/g;

/**
 * Base64 of others as bytes: also the URL-safe alphabet, without padding, and with ASCII whitespace. Refused are other characters, both alphabets in one text,
 * wrong padding, and unused bits that are not zero. The last is stricter than RFC 4648 asks: then every accepted text of given bytes differs from every other
 * one only in spelling that decoding removes, and the bytes are what a replay is known by, never the text.
 * @throws EnvelopeRefused
 */
export function decodeText(text: string): Buffer {
  if (text.length > 2 * MAX_BYTES) refuse('too large');
  const bare = text.replace(SPACE, '');
  const standard = bare.includes('+') || bare.includes('/');
  if (standard && (bare.includes('-') || bare.includes('_'))) refuse('base64 of two alphabets');
  return fromBase64url(standard ? bare.replaceAll('+', '-').replaceAll('/', '_') : bare) ?? refuse('not base64');
}

const TEXT_BODY = /^[A-Za-z0-9+/_\-= \t\n\f\r]*$/;
const JSON_HEAD = /^[ \t\n\r]*\{[ \t\n\r]*"message"[ \t\n\r]*:[ \t\n\r]*"/;
const JSON_TAIL = /"[ \t\n\r]*\}[ \t\n\r]*$/;
/** The bound of the text around the value of the JSON form. */
const FRAME = 256;

type Form = 'text' | 'json' | 'raw';

function formOf(bytes: Uint8Array): Form | undefined {
  if (bytes.length < SEAL_BYTES || bytes.length > MAX_BYTES) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (JSON_HEAD.test(buffer.toString('latin1', 0, FRAME))) return isMessageJson(buffer) ? 'json' : undefined;
  // A sealed box is random from its first byte: the chance that even the shortest is valid UTF-8 is under one in 10^9.
  if (!isUtf8(buffer)) return 'raw';
  return TEXT_BODY.test(buffer.toString('latin1')) ? 'text' : undefined;
}

/** Whether the quotes are exactly the four of `{"message":"…"}`: so there is no other member, `protected` least of all. */
function isMessageJson(buffer: Buffer): boolean {
  if (!JSON_TAIL.test(buffer.toString('latin1', Math.max(0, buffer.length - FRAME)))) return false;
  let quotes = 0;
  for (let at = buffer.indexOf(0x22); at >= 0; at = buffer.indexOf(0x22, at + 1)) if (++quotes > 4) return false;
  return quotes === 4;
}

/**
 * The sealed bytes of a body in any of the three forms.
 * @throws EnvelopeRefused
 */
export function payloadOf(bytes: Uint8Array): Buffer {
  const form = formOf(bytes) ?? refuse('none of the three forms');
  if (form === 'raw') return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sealed = decodeText(form === 'json' ? messageMember(bytes) : asciiOf(bytes));
  if (sealed.length < SEAL_BYTES) refuse('too short for a sealed box');
  return sealed;
}

function messageMember(bytes: Uint8Array): string {
  const { message } = json(bytes, { maxBytes: MAX_BYTES, maxDepth: 1 });
  return typeof message === 'string' ? message : refuse('no message');
}

function json(bytes: Uint8Array, limits: { maxBytes: number; maxDepth: number }): Record<string, unknown> {
  try {
    return parseJsonObject(bytes, limits);
  } catch (error) {
    if (error instanceof JsonRefused) return refuse(error.reason);
    throw error;
  }
}

/** A base message: what every message is before it is sealed. */
export interface BaseMessage {
  /** A pairwise DID of the sender, a nonce, or another identifier. */
  readonly id: string;
  /** A URN, see agent-2018-types.ts. */
  readonly type: string;
  /** An object where it is not encrypted, base64 where it is; absent where a type allows that. */
  readonly message?: unknown;
}

/** A base message as received. */
export interface ParsedBase extends BaseMessage {
  /** Where `id` comes from: messages of the indy-node profile have none, and have it elsewhere. */
  readonly idFrom: 'id' | 'origin' | 'nonce' | 'aud';
  /** The recipient's DID in the indy-node profile. */
  readonly aud?: string;
  /** The sender's DID in the indy-node profile. */
  readonly origin?: string;
  /** Other top members, which are ignored; the names only, for our log. */
  readonly ignored: readonly string[];
}

/** The prefix of the indy-node profile's types: only its messages may lack an `id`. */
const NO_ID_PREFIX = 'urn:sovrin:agent:message_type:';

/**
 * Reads a base message: a JSON object within bounds, no member twice, with `id` and `type`. Whether `message` may be absent or must be an object is up to the type.
 * The reference implementation of 2018 sends no `id`; under its types the sender's DID (`origin`), else the request's nonce, else the recipient's DID (`aud`)
 * stands for it, which is what the text asks `id` to be in the same messages (but for the response, whose `aud` is the requester's DID).
 * @throws EnvelopeRefused
 */
export function parseBase(bytes: Uint8Array): ParsedBase {
  const { id, type, message, aud, origin, ...rest } = json(bytes, { maxBytes: MAX_BASE_BYTES, maxDepth: MAX_BASE_DEPTH });
  if (typeof type !== 'string' || type === '' || type.length > MAX_TYPE_LENGTH) return refuse('type is no text or too long');
  const result = {
    type,
    ...(message === undefined ? {} : { message }),
    ...(aud === undefined ? {} : { aud: identifier(aud, 'aud') }),
    ...(origin === undefined ? {} : { origin: identifier(origin, 'origin') }),
    ignored: Object.keys(rest),
  };
  if (id !== undefined) return { id: identifier(id, 'id'), idFrom: 'id', ...result };
  if (!type.startsWith(NO_ID_PREFIX)) return refuse('id is missing');
  if (origin !== undefined) return { id: identifier(origin, 'origin'), idFrom: 'origin', ...result };
  const nonce = typeof message === 'object' && message !== null ? (message as { nonce?: unknown }).nonce : undefined;
  if (nonce !== undefined) return { id: identifier(nonce, 'nonce'), idFrom: 'nonce', ...result };
  if (aud !== undefined) return { id: identifier(aud, 'aud'), idFrom: 'aud', ...result };
  return refuse('id is missing');
}

function identifier(value: unknown, name: string): string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_ID_LENGTH ? value : refuse(`${name} is no text or too long`);
}

/**
 * The sealed bytes in the `message` of a base message: base64, or as FIndy writes it, an object whose one member `encrypted` is that.
 * @throws EnvelopeRefused for anything else, plain text in particular
 */
export function sealedIn(message: unknown): Buffer {
  let text = message;
  if (typeof message === 'object' && message !== null && Object.keys(message).join() === 'encrypted') {
    text = (message as { encrypted: unknown }).encrypted;
  }
  if (typeof text !== 'string') return refuse('message is not encrypted');
  const sealed = decodeText(text);
  if (sealed.length < SEAL_BYTES) refuse('too short for a sealed box');
  return sealed;
}

/**
 * Packs a base message for an endpoint key: JSON with exactly `id`, `type` and `message`, sealed, as base64. This text is the payload.
 * @throws EnvelopeRefused when it is no verkey that can be encrypted to
 */
export function packBase(verkey: string, base: BaseMessage, cache: KeyCache = defaultKeyCache): string {
  const { id, type, message } = base;
  return encodeText(sealAnon(verkey, Buffer.from(JSON.stringify({ id, type, message }), 'utf8'), cache));
}
