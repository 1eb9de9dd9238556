import { fromBase64url, looksLikeVerkey, toBase64url } from './encoding.ts';
import { defaultKeyCache, type KeyCache, type KeyPair } from './key-cache.ts';
import { decodeUtf8, parseJsonObject } from './safe-json.ts';
import { sodium } from './sodium.ts';

export type { KeyPair } from './key-cache.ts';

/** An envelope that was not accepted. `reason` is for our log only: a sender learns nothing from us. */
export class EnvelopeRefused extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(`Envelope refused: ${reason}`);
    this.name = 'EnvelopeRefused';
    this.reason = reason;
  }
}

/** The most recipients that an envelope may have. */
export const MAX_RECIPIENTS = 100;
const MAX_BYTES = 16 << 20;
const MAX_PROTECTED = 128 << 10;

/** An envelope whose shape was checked and that nobody has opened yet. */
export interface ParsedEnvelope {
  readonly authcrypt: boolean;
  /** The verkeys it is addressed to, in order, no one twice. */
  readonly recipients: readonly string[];
  readonly parts: EnvelopeParts;
}

interface EnvelopeParts {
  readonly aad: Uint8Array;
  readonly iv: string;
  readonly tag: string;
  readonly ciphertext: string;
  readonly entries: readonly RecipientEntry[];
}

interface RecipientEntry {
  readonly encryptedKey: string;
  readonly sender?: string;
  readonly iv?: string;
}

/** The content of an envelope: the plaintext, whose key opened it and, for authcrypt, whose key made it. */
export interface OpenedEnvelope {
  message: Uint8Array;
  sender?: string;
  recipient: string;
}

const refuse = (reason: string): never => {
  throw new EnvelopeRefused(reason);
};

/**
 * Reads the outside of a DIDComm v1 envelope (RFC 0019): sizes, members, algorithms and recipients. No cryptography happens here, so that a receiver can
 * decide by the recipients alone.
 * @throws EnvelopeRefused
 */
export function parseEnvelope(body: Uint8Array): ParsedEnvelope {
  if (body.length > MAX_BYTES) refuse('too large');
  let outer: Record<string, unknown>;
  try {
    outer = outerMembers(decodeUtf8(body));
  } catch {
    return refuse('not a JSON object');
  }
  const { protected: head, iv, tag, aad } = outer;
  // Two implementations leave the ciphertext of an empty message out.
  const ciphertext = outer.ciphertext ?? '';
  for (const name in outer) if (!MEMBERS.has(name)) refuse('unknown member');
  if (typeof head !== 'string' || typeof iv !== 'string' || typeof tag !== 'string' || typeof ciphertext !== 'string') {
    return refuse('a member is missing or no string');
  }
  if (aad !== undefined && typeof aad !== 'string') return refuse('aad is no string');
  if (head.length > MAX_PROTECTED) refuse('protected is too large');

  const decoded = fromBase64url(head) ?? refuse('protected is not base64url');
  let header: Record<string, unknown>;
  try {
    header = protectedHeader(decoded);
  } catch {
    return refuse('protected is no JSON object');
  }
  if (header.typ !== 'JWM/1.0') refuse('typ is not JWM/1.0');
  // Indy writes xchacha20..., aries-framework-go chacha20...; both mean the IETF construction with its 12-byte nonce.
  if (header.enc !== 'xchacha20poly1305_ietf' && header.enc !== 'chacha20poly1305_ietf') refuse('enc is not known');
  const authcrypt = header.alg === 'Authcrypt';
  if (!authcrypt && header.alg !== 'Anoncrypt') refuse('alg is not known');
  if (header.crit !== undefined) refuse('crit is not known');

  const list = header.recipients;
  if (!Array.isArray(list) || list.length === 0) return refuse('no recipients');
  if (list.length > MAX_RECIPIENTS) refuse('too many recipients');
  const recipients: string[] = [];
  const entries: RecipientEntry[] = [];
  for (const item of list as unknown[]) {
    const entry = recipientEntry(item, authcrypt);
    recipients.push(entry.kid);
    entries.push(entry);
  }
  if (recipients.length > 1 && new Set(recipients).size !== recipients.length) refuse('a recipient twice');

  // RFC 7516 section 5.1 step 14: with an aad member, it follows the protected header after a dot.
  const ad = Buffer.from(aad === undefined ? head : `${head}.${aad}`, 'latin1');
  return { authcrypt, recipients, parts: { aad: ad, iv, tag, ciphertext, entries } };
}

const MEMBERS: ReadonlySet<string> = new Set(['protected', 'iv', 'ciphertext', 'tag', 'aad']);

/** JSON text with a hole for each value, in the two spacings that agents write: what stands before, between and behind the holes. */
const frames = (text: string): string[][] => [text, text.replaceAll(':', ': ').replaceAll(',', ', ')].map((one) => one.split('*'));
const OUTER = frames('{"protected":"*","iv":"*","ciphertext":"*","tag":"*"}');
const HEADER = '{"enc":"*","typ":"*","alg":"*","recipients":[{"encrypted_key":"*","header":{"kid":"*"';
const AUTH_HEADER = frames(`${HEADER},"sender":"*","iv":"*"}}]}`);
const ANON_HEADER = frames(`${HEADER}}}]}`);

/** Cuts the values out of a text that has exactly this frame; undefined when it has not. Escapes are not undone: whoever takes the values refuses a backslash. */
function cut(text: string, [tight, spaced]: string[][]): string[] | undefined {
  const frame = text.startsWith(tight![0]!) ? tight! : spaced!;
  if (!text.startsWith(frame[0]!)) return undefined;
  const values: string[] = [];
  let at = frame[0]!.length;
  for (let i = 1; i < frame.length; i++) {
    const end = text.indexOf('"', at);
    if (end < 0 || !text.startsWith(frame[i]!, end)) return undefined;
    values.push(text.slice(at, end));
    at = end + frame[i]!.length;
  }
  return at === text.length ? values : undefined;
}

/**
 * The outer members. Almost every agent writes them in one order, so that they can be cut out of the text; a value that is not base64url is refused where it is
 * decoded. Everything else takes the long way.
 */
function outerMembers(text: string): Record<string, unknown> {
  const values = cut(text, OUTER);
  if (!values) return parseJsonObject(text, { maxBytes: MAX_BYTES, maxDepth: 4 });
  const [head, iv, ciphertext, tag] = values;
  return { protected: head, iv, ciphertext, tag };
}

/** The protected header, by the same two ways; most have one recipient. */
function protectedHeader(bytes: Uint8Array): Record<string, unknown> {
  const text = decodeUtf8(bytes);
  const values = cut(text, AUTH_HEADER) ?? cut(text, ANON_HEADER);
  if (!values) return parseJsonObject(text, { maxBytes: MAX_PROTECTED, maxDepth: 8 });
  const [enc, typ, alg, encryptedKey, kid, sender, iv] = values;
  return { enc, typ, alg, recipients: [{ encrypted_key: encryptedKey, header: { kid, sender, iv } }] };
}

function recipientEntry(item: unknown, authcrypt: boolean): RecipientEntry & { kid: string } {
  if (typeof item !== 'object' || item === null) return refuse('a recipient is no object');
  const { encrypted_key: encryptedKey, header } = item as Record<string, unknown>;
  if (typeof encryptedKey !== 'string' || typeof header !== 'object' || header === null) return refuse('a recipient lacks a member');
  const { kid, sender, iv } = header as Record<string, unknown>;
  if (typeof kid !== 'string' || !looksLikeVerkey(kid)) return refuse('a kid is no verkey');
  // 48 bytes for crypto_box of a 32-byte key, 80 for a sealed box, give or take padding.
  if (authcrypt ? encryptedKey.length !== 64 : encryptedKey.length !== 107 && encryptedKey.length !== 108)
    refuse('an encrypted key has a wrong size');
  if (!authcrypt) {
    // An anonymous envelope that names a sender would claim what nobody proved.
    if (sender != null || iv != null) refuse('a sender in an anonymous envelope');
    return { kid, encryptedKey };
  }
  if (typeof sender !== 'string' || typeof iv !== 'string') return refuse('a recipient without a sender');
  if (iv.length !== 32 || sender.length > 128) refuse('a recipient has a wrong size');
  return { kid, encryptedKey, sender, iv };
}

// Reused for every envelope: nothing awaits while they hold a secret, and each is zeroed after use.
const scratchSecret = new Uint8Array(32);
const scratchCek = new Uint8Array(32);

/**
 * Opens a parsed envelope with the key of one of its recipients. Every step is taken whatever came of those before, so that it takes as long with a key that the
 * envelope is not for.
 * @throws EnvelopeRefused for anything that does not authenticate; whatever was wrong, no part of the plaintext leaves
 */
export function openEnvelope(parsed: ParsedEnvelope, key: KeyPair, cache: KeyCache = defaultKeyCache): OpenedEnvelope {
  const entry = parsed.parts.entries[parsed.recipients.indexOf(key.verkey)] ?? refuse('not addressed to this key');
  const { parts } = parsed;
  const iv = fromBase64url(parts.iv) ?? refuse('iv is not base64url');
  const tag = fromBase64url(parts.tag) ?? refuse('tag is not base64url');
  const ciphertext = fromBase64url(parts.ciphertext) ?? refuse('ciphertext is not base64url');
  const encryptedKey = fromBase64url(entry.encryptedKey) ?? refuse('an encrypted key is not base64url');
  if (iv.length !== 12 || tag.length !== 16) refuse('iv or tag has a wrong size');
  if (key.secretKey.length !== 64) refuse('our secret key has a wrong size');

  let why = 'does not authenticate';
  try {
    sodium.crypto_sign_ed25519_sk_to_curve25519(scratchSecret, key.secretKey);
    const own = cache.x25519(key.verkey);
    let opened: { sender?: string; why?: string } = {};
    if (parsed.authcrypt) opened = openAuthcryptKey(entry, encryptedKey, key.verkey, own, cache);
    else if (encryptedKey.length !== 80 || !sodium.crypto_box_seal_open(scratchCek, encryptedKey, own, scratchSecret))
      opened = { why: 'the key does not open' };
    why = opened.why ?? why;
    const message = Buffer.allocUnsafe(ciphertext.length);
    sodium.crypto_aead_chacha20poly1305_ietf_decrypt_detached(message, null, ciphertext, tag, parts.aad, iv, scratchCek);
    if (opened.why !== undefined) return refuse(opened.why);
    const { sender } = opened;
    return sender === undefined ? { message, recipient: key.verkey } : { message, sender, recipient: key.verkey };
  } catch (error) {
    if (error instanceof EnvelopeRefused) throw error;
    return refuse(why);
  } finally {
    scratchSecret.fill(0);
    scratchCek.fill(0);
  }
}

/** Opens the sealed sender, then the content key with it, into `scratchCek`. Answers the sender's verkey, or why that is in vain. */
function openAuthcryptKey(
  entry: RecipientEntry,
  encryptedKey: Buffer,
  verkey: string,
  own: Uint8Array,
  cache: KeyCache,
): { sender?: string; why?: string } {
  const sealed = fromBase64url(entry.sender ?? '') ?? refuse('a sender is not base64url');
  const nonce = fromBase64url(entry.iv ?? '') ?? refuse('a nonce is not base64url');
  if (sealed.length < 48 + 32 || sealed.length > 48 + 44 || nonce.length !== 24 || encryptedKey.length !== 48)
    refuse('a recipient has a wrong size');
  const opened = Buffer.allocUnsafe(sealed.length - 48);
  if (!sodium.crypto_box_seal_open(opened, sealed, own, scratchSecret)) {
    sodium.crypto_box_open_easy(scratchCek, encryptedKey, nonce, own, scratchSecret);
    return { why: 'the sender does not open' };
  }
  const sender = opened.toString('latin1');
  const shared = cache.shared(verkey, sender, scratchSecret);
  const fits = shared
    ? sodium.crypto_secretbox_open_easy(scratchCek, encryptedKey, nonce, shared)
    : sodium.crypto_box_open_easy(scratchCek, encryptedKey, nonce, cache.x25519(sender), scratchSecret);
  return fits ? { sender } : { why: 'the key is not from that sender' };
}

/**
 * Parses and opens: the key is that of the first recipient that `lookup` knows, whatever recipients follow it.
 * @throws EnvelopeRefused
 */
export function unpack(
  body: Uint8Array,
  lookup: (verkey: string) => KeyPair | undefined,
  cache: KeyCache = defaultKeyCache,
): OpenedEnvelope {
  const parsed = parseEnvelope(body);
  for (const recipient of parsed.recipients) {
    const key = lookup(recipient);
    if (key) return openEnvelope(parsed, key, cache);
  }
  return refuse('addressed to none of our keys');
}

export interface Pack {
  message: Uint8Array | string;
  /** Verkeys in base58, at least one, no one twice. */
  recipients: readonly string[];
  /** With a sender the envelope is authcrypt, without one anoncrypt. */
  sender?: KeyPair;
}

/**
 * Packs a message for its recipients (RFC 0019). The result is the JSON text of the envelope.
 * @throws EnvelopeRefused when a recipient is no verkey that can be encrypted to
 */
export function pack({ message, recipients, sender }: Pack, cache: KeyCache = defaultKeyCache): string {
  if (recipients.length === 0 || recipients.length > MAX_RECIPIENTS) refuse('no recipients or too many');
  if (recipients.length > 1 && new Set(recipients).size !== recipients.length) refuse('a recipient twice');
  if (sender && sender.secretKey.length !== 64) refuse('our secret key has a wrong size');
  const plain = typeof message === 'string' ? Buffer.from(message, 'utf8') : message;
  try {
    sodium.randombytes_buf(scratchCek);
    if (sender) sodium.crypto_sign_ed25519_sk_to_curve25519(scratchSecret, sender.secretKey);
    let list = '';
    for (const recipient of recipients) {
      if (list !== '') list += ',';
      list += sender ? authcryptEntry(recipient, sender.verkey, cache) : anoncryptEntry(recipient, cache);
    }
    const head = Buffer.from(
      `{"enc":"xchacha20poly1305_ietf","typ":"JWM/1.0","alg":"${sender ? 'Authcrypt' : 'Anoncrypt'}","recipients":[${list}]}`,
      'latin1',
    ).toString('base64url');
    const nonce = Buffer.allocUnsafe(12);
    sodium.randombytes_buf(nonce);
    const ciphertext = Buffer.allocUnsafe(plain.length);
    const tag = Buffer.allocUnsafe(16);
    sodium.crypto_aead_chacha20poly1305_ietf_encrypt_detached(ciphertext, tag, plain, Buffer.from(head, 'latin1'), null, nonce, scratchCek);
    return `{"protected":"${head}","iv":"${toBase64url(nonce)}","ciphertext":"${toBase64url(ciphertext)}","tag":"${toBase64url(tag)}"}`;
  } finally {
    scratchSecret.fill(0);
    scratchCek.fill(0);
  }
}

function recipientKey(verkey: string, cache: KeyCache): Uint8Array {
  try {
    return cache.x25519(verkey);
  } catch {
    return refuse('a recipient is no verkey');
  }
}

function authcryptEntry(recipient: string, sender: string, cache: KeyCache): string {
  const peer = recipientKey(recipient, cache);
  const box = Buffer.allocUnsafe(48);
  const nonce = Buffer.allocUnsafe(24);
  sodium.randombytes_buf(nonce);
  const shared = cache.shared(sender, recipient, scratchSecret);
  if (shared) sodium.crypto_secretbox_easy(box, scratchCek, nonce, shared);
  else sodium.crypto_box_easy(box, scratchCek, nonce, peer, scratchSecret);
  const name = Buffer.from(sender, 'latin1');
  const sealed = Buffer.allocUnsafe(48 + name.length);
  sodium.crypto_box_seal(sealed, name, peer);
  return `{"encrypted_key":"${toBase64url(box)}","header":{"kid":"${recipient}","sender":"${toBase64url(sealed)}","iv":"${toBase64url(nonce)}"}}`;
}

function anoncryptEntry(recipient: string, cache: KeyCache): string {
  const sealed = Buffer.allocUnsafe(80);
  sodium.crypto_box_seal(sealed, scratchCek, recipientKey(recipient, cache));
  return `{"encrypted_key":"${toBase64url(sealed)}","header":{"kid":"${recipient}"}}`;
}
