import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import sodium from 'libsodium-wrappers';
import { type Waiting, waiting } from '../support/waiting.ts';

/**
 * A peer that knows libsodium and JSON and nothing of the agent under test: envelopes, DIDs and signatures are made and checked here from the RFCs alone, so that a
 * mistake in `src` cannot hide in a helper that shares it. (`support/stranger.ts` uses `src/didcomm` on purpose: there the content is the point.)
 */

await sodium.ready;

// biome-ignore lint/suspicious/noExplicitAny: messages are as free as JSON
export type Json = any;

/** The prefix of before RFC 0348. */
export const OLD_PREFIX = 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/';
export const PREFIX = 'https://didcomm.org/';

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const BASE = 58n;

export function toBase58(bytes: Uint8Array): string {
  let number = BigInt(`0x00${Buffer.from(bytes).toString('hex')}`);
  let text = '';
  for (; number > 0n; number /= BASE) text = ALPHABET[Number(number % BASE)] + text;
  for (const byte of bytes) {
    if (byte !== 0) break;
    text = `1${text}`;
  }
  return text;
}

export function fromBase58(text: string): Buffer {
  let number = 0n;
  for (const char of text) {
    const digit = ALPHABET.indexOf(char);
    if (digit < 0) throw new Error(`${char} is not base58`);
    number = number * BASE + BigInt(digit);
  }
  const hex = number.toString(16);
  const zeros = /^1*/.exec(text)![0].length;
  return Buffer.concat([
    Buffer.alloc(zeros),
    number === 0n ? Buffer.alloc(0) : Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'),
  ]);
}

const base64url = (bytes: Uint8Array | string): string => Buffer.from(bytes as Uint8Array).toString('base64url');
const unbase64 = (text: string): Buffer => Buffer.from(text, 'base64url');

/** Ed25519, and the X25519 pair that belongs to it. */
export interface Keys {
  readonly verkey: string;
  readonly sign: Uint8Array;
  readonly box: { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array };
}

export function newKeys(): Keys {
  const { publicKey, privateKey } = sodium.crypto_sign_keypair();
  return {
    verkey: toBase58(publicKey),
    sign: privateKey,
    box: {
      publicKey: sodium.crypto_sign_ed25519_pk_to_curve25519(publicKey),
      privateKey: sodium.crypto_sign_ed25519_sk_to_curve25519(privateKey),
    },
  };
}

const boxOf = (verkey: string): Uint8Array => sodium.crypto_sign_ed25519_pk_to_curve25519(fromBase58(verkey));

/** RFC 0019: Authcrypt with a sender, Anoncrypt without. */
export function seal(message: object, to: string, sender: Keys | null): string {
  const cek = sodium.randombytes_buf(32);
  const nonce = sodium.randombytes_buf(sodium.crypto_box_NONCEBYTES);
  const recipient = sender
    ? {
        encrypted_key: base64url(sodium.crypto_box_easy(cek, nonce, boxOf(to), sender.box.privateKey)),
        header: {
          kid: to,
          iv: base64url(nonce),
          sender: base64url(sodium.crypto_box_seal(Buffer.from(sender.verkey), boxOf(to))),
        },
      }
    : { encrypted_key: base64url(sodium.crypto_box_seal(cek, boxOf(to))), header: { kid: to } };
  const head = base64url(
    JSON.stringify({ enc: 'xchacha20poly1305_ietf', typ: 'JWM/1.0', alg: sender ? 'Authcrypt' : 'Anoncrypt', recipients: [recipient] }),
  );
  const iv = sodium.randombytes_buf(12);
  const sealed = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(Buffer.from(JSON.stringify(message)), head, null, iv, cek);
  return JSON.stringify({
    protected: head,
    iv: base64url(iv),
    ciphertext: base64url(sealed.subarray(0, -16)),
    tag: base64url(sealed.subarray(-16)),
  });
}

export interface Mail {
  readonly message: Json;
  /** The sender's key, undefined for Anoncrypt. */
  readonly sender?: string;
  /** The key that opened it. */
  readonly recipient: string;
  /** The envelope and what its protected header says. */
  readonly envelope: Json;
  readonly head: Json;
  readonly type?: string;
}

/** Opens an envelope by the first of the keys that it is for. */
export function open(bytes: string, keys: readonly Keys[], type?: string): Mail {
  const envelope = JSON.parse(bytes);
  const head = JSON.parse(unbase64(envelope.protected).toString());
  for (const { header, encrypted_key } of head.recipients) {
    const own = keys.find(({ verkey }) => verkey === header.kid);
    if (!own) continue;
    const { publicKey, privateKey } = own.box;
    const sender = header.sender
      ? Buffer.from(sodium.crypto_box_seal_open(unbase64(header.sender), publicKey, privateKey)).toString()
      : undefined;
    const cek = sender
      ? sodium.crypto_box_open_easy(unbase64(encrypted_key), unbase64(header.iv), boxOf(sender), privateKey)
      : sodium.crypto_box_seal_open(unbase64(encrypted_key), publicKey, privateKey);
    const text = sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
      null,
      Buffer.concat([unbase64(envelope.ciphertext), unbase64(envelope.tag)]),
      envelope.protected,
      unbase64(envelope.iv),
      cek,
    );
    return { message: JSON.parse(Buffer.from(text).toString()), sender, recipient: own.verkey, envelope, head, type };
  }
  throw new Error('an envelope for other keys');
}

/** did:key of an Ed25519 key: multicodec 0xed. */
export const didKey = (verkey: string): string => `did:key:z${toBase58(Buffer.concat([Buffer.from([0xed, 0x01]), fromBase58(verkey)]))}`;

/** The Ed25519 key of a did:key, with or without a fragment. */
export function verkeyOf(did: string): string {
  const bytes = fromBase58(did.replace(/^did:key:z/, '').split('#')[0]!);
  if (bytes.length !== 34 || bytes[0] !== 0xed || bytes[1] !== 0x01) throw new Error(`${did} is no Ed25519 did:key`);
  return toBase58(bytes.subarray(2));
}

const multikey = (verkey: string): string => didKey(verkey).slice('did:key:'.length);

/** A did:peer:2: a signing key, a key to agree by, and a service in the short form. */
export function makePeer2(keys: Keys, endpoint: string): string {
  const agreement = `z${toBase58(Buffer.concat([Buffer.from([0xec, 0x01]), keys.box.publicKey]))}`;
  const service = { t: 'did-communication', s: endpoint, r: [], recipientKeys: ['#key-1'], a: ['didcomm/aip2;env=rfc19'] };
  return `did:peer:2.V${multikey(keys.verkey)}.E${agreement}.S${base64url(JSON.stringify(service))}`;
}

const JSON_CODEC = Buffer.from([0x80, 0x04]);
const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** A did:peer:4 in its long form. */
export function makePeer4(keys: Keys, endpoint: string): string {
  const document = {
    '@context': ['https://www.w3.org/ns/did/v1'],
    verificationMethod: [{ id: '#k', type: 'Ed25519VerificationKey2020', publicKeyMultibase: multikey(keys.verkey) }],
    authentication: ['#k'],
    service: [{ id: '#s', type: 'did-communication', priority: 0, recipientKeys: ['#k'], routingKeys: [], serviceEndpoint: endpoint }],
  };
  const encoded = `z${toBase58(Buffer.concat([JSON_CODEC, Buffer.from(JSON.stringify(document))]))}`;
  return `did:peer:4z${toBase58(Buffer.concat([Buffer.from([0x12, 0x20]), sha256(encoded)]))}:${encoded}`;
}

/** The document that a long did:peer:4 holds; its hash is checked. */
export function readPeer4(did: string): Json {
  const [, , short, encoded] = did.split(':');
  const hash = fromBase58(short!.replace(/^4z/, ''));
  if (!encoded || !Buffer.concat([Buffer.from([0x12, 0x20]), sha256(encoded)]).equals(hash)) throw new Error('the hash of the did:peer:4');
  const bytes = fromBase58(encoded.slice(1));
  if (!bytes.subarray(0, 2).equals(JSON_CODEC)) throw new Error('what the did:peer:4 holds is not JSON');
  return JSON.parse(bytes.subarray(2).toString());
}

/** A DID from before did:peer and the document that travels with it. */
export function makeLegacy(keys: Keys, endpoint: string): { did: string; document: Json } {
  const did = toBase58(fromBase58(keys.verkey).subarray(0, 16));
  const controller = did;
  return {
    did,
    document: {
      '@context': 'https://w3id.org/did/v1',
      id: did,
      publicKey: [{ id: `${did}#1`, type: 'Ed25519VerificationKey2018', controller, publicKeyBase58: keys.verkey }],
      authentication: [{ type: 'Ed25519SignatureAuthentication2018', publicKey: `${did}#1` }],
      service: [{ id: `${did};indy`, type: 'IndyAgent', priority: 0, recipientKeys: [keys.verkey], serviceEndpoint: endpoint }],
    },
  };
}

/** RFC 0017: an attachment signed as RFC 0023 wants it. */
export function signAttachment(payload: string, keys: Keys): Json {
  const base64 = base64url(payload);
  const kid = didKey(keys.verkey);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: base64url(fromBase58(keys.verkey)), kid };
  const head = base64url(JSON.stringify({ alg: 'EdDSA', kid, jwk }));
  const signature = base64url(sodium.crypto_sign_detached(`${head}.${base64}`, keys.sign));
  return { '@id': randomUUID(), 'mime-type': 'application/json', data: { base64, jws: { header: { kid }, protected: head, signature } } };
}

/** What a signed attachment holds, if `verkey` has signed it. */
export function verifyAttachment(attachment: Json, verkey: string): string {
  const { base64, jws } = attachment.data;
  const head = JSON.parse(unbase64(jws.protected).toString());
  if (head.alg !== 'EdDSA') throw new Error(`signed with ${head.alg}`);
  if (toBase58(unbase64(head.jwk.x)) !== verkey || verkeyOf(jws.header.kid) !== verkey) throw new Error('signed by another key');
  if (!sodium.crypto_sign_verify_detached(unbase64(jws.signature), `${jws.protected}.${base64}`, fromBase58(verkey)))
    throw new Error('the signature');
  return unbase64(base64).toString();
}

/** RFC 0234: what `connection~sig` holds, if `verkey` has signed it. */
export function verifySignature(decorator: Json, verkey: string): Json {
  if (decorator.signer !== verkey) throw new Error('signed by another key');
  const data = unbase64(decorator.sig_data);
  if (!sodium.crypto_sign_verify_detached(unbase64(decorator.signature), data, fromBase58(verkey))) throw new Error('the signature');
  return { time: Number(data.readBigUInt64BE(0)), value: JSON.parse(data.subarray(8).toString()) };
}

export interface Peer {
  readonly url: string;
  /** Keys that its mail may be for. */
  readonly keys: Keys[];
  readonly inbox: Waiting<Mail>;
  /** Posts an envelope; what comes back in the answer is mail too. */
  post(url: string, envelope: string, type?: string): Promise<{ status: number; type: string | null; reply?: Mail }>;
  /** The first mail whose message is of this type, under whichever prefix and version, and that matches. */
  hear(name: string, matches?: (mail: Mail) => boolean): Promise<Mail>;
  close(): Promise<void>;
}

export const NEW_TYPE = 'application/didcomm-envelope-enc';
export const OLD_TYPE = 'application/ssi-agent-wire';

export async function startPeer(): Promise<Peer> {
  const inbox = waiting<Mail>();
  const keys: Keys[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      inbox.add(open(Buffer.concat(chunks).toString(), keys, request.headers['content-type']));
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keys,
    inbox,
    async post(url, envelope, type = NEW_TYPE) {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': type },
        body: envelope,
        signal: AbortSignal.timeout(20_000),
      });
      const text = await answer.text();
      const reply = text.length > 0 && answer.ok ? open(text, keys, answer.headers.get('content-type') ?? undefined) : undefined;
      if (reply) inbox.add(reply);
      return { status: answer.status, type: answer.headers.get('content-type'), reply };
    },
    hear: (name, matches = () => true) =>
      inbox.first((mail) => mail.message['@type'].endsWith(`/${name}`) && matches(mail), `a message ${name}`),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A message with a fresh id. */
export const say = (type: string, members: object = {}, prefix = PREFIX): Json => ({
  '@type': `${prefix}${type}`,
  '@id': randomUUID(),
  ...members,
});
