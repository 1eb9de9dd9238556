import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decode, encode } from '@msgpack/msgpack';
import sodium from 'libsodium-wrappers';
import { CALL_MS, type Waiting, waiting } from './waiting.ts';

/**
 * Support for tests: a peer of the 2018 Agent Protocol that knows libsodium, MessagePack and the AnonCreds library, and nothing of this agent's code. It checks
 * what it receives by the letter and sends whatever it is told to, wrong things too. The text is that of hyperledger/indy-agent, docs/README.md, of August 2018.
 */

await sodium.ready;

// biome-ignore lint/suspicious/noExplicitAny: what a peer says is as free as JSON
export type Json = any;

/** What the peer does not accept, as its reason. */
export class PeerRefused extends Error {
  override name = 'PeerRefused';
}

function demand(condition: unknown, reason: string): asserts condition {
  if (!condition) throw new PeerRefused(reason);
}

// Encodings

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export function base58(bytes: Uint8Array): string {
  let text = '';
  for (let n = BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`); n > 0n; n /= 58n) text = ALPHABET[Number(n % 58n)] + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return '1'.repeat(zeros < 0 ? bytes.length : zeros) + text;
}

export function unbase58(text: string): Uint8Array {
  let n = 0n;
  for (const character of text) {
    const at = ALPHABET.indexOf(character);
    demand(at >= 0, 'not base58');
    n = n * 58n + BigInt(at);
  }
  const hex = n === 0n ? '' : n.toString(16);
  const ones = /^1*/.exec(text)![0].length;
  return new Uint8Array(Buffer.concat([Buffer.alloc(ones), Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')]));
}

const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'));
const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** Base64 as the protocol prescribes it to a sender: RFC 4648 section 4, padded, in one piece. */
function unb64(text: unknown): Uint8Array {
  demand(typeof text === 'string' && text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text), 'not base64 of RFC 4648 section 4');
  return new Uint8Array(Buffer.from(text, 'base64'));
}

// Keys

/** An Ed25519 key with its DID, which is the base58 of its first half. */
export interface Key2018 {
  readonly did: string;
  readonly verkey: string;
  readonly secret: Uint8Array;
}

export function makeKey(seed?: Uint8Array): Key2018 {
  const { publicKey, privateKey } = seed ? sodium.crypto_sign_seed_keypair(seed) : sodium.crypto_sign_keypair();
  return { did: base58(publicKey.subarray(0, 16)), verkey: base58(publicKey), secret: privateKey };
}

/** Whether the DID is made of the verkey. */
export const didFits = (did: string, verkey: string): boolean => did === base58(unbase58(verkey).subarray(0, 16));

const toX25519 = (verkey: string): Uint8Array => sodium.crypto_sign_ed25519_pk_to_curve25519(unbase58(verkey));
const secretX25519 = (key: Key2018): Uint8Array => sodium.crypto_sign_ed25519_sk_to_curve25519(key.secret);

export const randomNonce = (): string => Buffer.from(sodium.randombytes_buf(16)).toString('hex');
/** A nonce of AnonCreds: 80 bits in decimal. */
export const decimalNonce = (): string => BigInt(`0x${Buffer.from(sodium.randombytes_buf(10)).toString('hex')}`).toString();

// Encryption

/** anon-crypt. */
export const seal = (verkey: string, bytes: Uint8Array): Uint8Array => sodium.crypto_box_seal(bytes, toX25519(verkey));

/** Opens an anon-crypt. @throws PeerRefused */
export function unseal(key: Key2018, sealed: Uint8Array): Uint8Array {
  try {
    return sodium.crypto_box_seal_open(sealed, toX25519(key.verkey), secretX25519(key));
  } catch {
    throw new PeerRefused('the seal does not open');
  }
}

export interface AuthOptions {
  /** 24 bytes in place of random ones. */
  nonce?: Uint8Array;
  /** Whom the container names as its sender. */
  claimed?: string;
}

/** auth-crypt: libindy's container. */
export function auth(from: Key2018, to: string, bytes: Uint8Array, options: AuthOptions = {}): Uint8Array {
  const nonce = options.nonce ?? sodium.randombytes_buf(24);
  const box = sodium.crypto_box_easy(bytes, nonce, toX25519(to), secretX25519(from));
  return seal(to, encode({ msg: b64(box), sender: options.claimed ?? from.verkey, nonce: b64(nonce) }));
}

export interface Authenticated {
  readonly bytes: Uint8Array;
  readonly sender: string;
  /** In base64. */
  readonly nonce: string;
}

/** Opens an auth-crypt, whose container must be what libindy writes to the byte. @throws PeerRefused */
export function unauth(key: Key2018, sealed: Uint8Array): Authenticated {
  const inside = unseal(key, sealed);
  const combo = decode(inside) as { msg: string; sender: string; nonce: string };
  demand(Object.keys(combo).join() === 'msg,sender,nonce', 'the container has other members');
  demand(Buffer.from(encode(combo)).equals(inside), 'the container is not as libindy writes it');
  try {
    const bytes = sodium.crypto_box_open_easy(unb64(combo.msg), unb64(combo.nonce), toX25519(combo.sender), secretX25519(key));
    return { bytes, sender: combo.sender, nonce: combo.nonce };
  } catch (error) {
    if (error instanceof PeerRefused) throw error;
    throw new PeerRefused('the box is not from the sender that it names');
  }
}

// Types

export type Name =
  | 'connection_offer'
  | 'connection_request'
  | 'connection_response'
  | 'connection_acknowledgement'
  | 'credential_offer'
  | 'credential_request'
  | 'credential'
  | 'proof_request'
  | 'proof';
/** `spec` is the text; `indy-node` the reference implementation of its time, with other type names, members and bodies. */
export type Profile = 'spec' | 'indy-node';

const SPEC = 'urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/';
const INDY_NODE = 'urn:sovrin:agent:message_type:sovrin.org/';

/** A message's type as a profile writes it. */
export function typeOf(name: Name, profile: Profile = 'spec'): string {
  if (profile === 'spec') return SPEC + name;
  return INDY_NODE + (name === 'connection_acknowledgement' ? 'connection_acknowledge' : name);
}

// The peer

/** Mail that came. */
export interface Mail {
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: Buffer;
  /** The base message; absent when the body does not open under the endpoint key. */
  readonly base?: Json;
  /** Why there is no base message. */
  readonly reason?: string;
}

/** Where somebody is reached. */
export interface Contact {
  readonly did: string;
  readonly verkey: string;
  readonly endpoint: string;
}

/** An offer as it stands in a QR code: a base message in clear. */
export interface Offer {
  readonly id: string;
  readonly type: string;
  readonly message: Contact & { readonly offer_nonce: string; readonly [more: string]: Json };
}

/** A connection as this peer sees it. */
export interface Link {
  readonly mine: Key2018;
  readonly theirs: { readonly did: string; readonly verkey: string };
  /** Their endpoint. */
  readonly to: Contact;
  readonly profile: Profile;
}

/** What to do other than right. Each of the functions that send takes these. */
export interface Hooks extends AuthOptions {
  /** The key that makes the box, in place of the pairwise one. */
  sender?: Key2018;
  /** The verkey that the box is for. */
  recipient?: string;
  id?: string;
  type?: string;
  /** What is inside, in place of the right thing: text as it is, all else as JSON. */
  inside?: Json;
  /** The body stands in `message` in clear, not encrypted. */
  clear?: boolean;
  /** The base message goes out in clear. */
  unsealed?: boolean;
  /** The verkey of the outer seal. */
  sealTo?: string;
  /** The last word on the base message. */
  change?: (base: Json) => Json;
  /** Another form of the body than the profile's. */
  form?: 'text' | 'json' | 'raw';
}

/** What was sent and answered. */
export interface Sent {
  readonly status: number;
  readonly body: string;
  readonly base: Json;
  readonly to: Contact;
  readonly hooks: Hooks;
  /** As it went out. */
  readonly payload: string | Uint8Array;
  readonly contentType: string;
  readonly url: string;
}

/** A request that waits for its response. */
export interface Pending {
  readonly key: Key2018;
  readonly nonce: string;
  readonly offer?: Offer;
  readonly to: Contact;
  readonly sent: Sent;
}

/** A request that came. */
export interface Request {
  readonly base: Json;
  readonly nonce: string;
  readonly requester: { readonly did: string; readonly verkey: string };
  readonly to: Contact;
}

export interface PeerOptions {
  seed?: Uint8Array;
  profile?: Profile;
  /** The profile of messages to it; as a rule its own. */
  hears?: Profile;
  /** What stands on a ledger, by DID. A peer of profile indy-node writes its own DIDs there, since its messages carry no keys. */
  ledger?: Map<string, { verkey: string; endpoint?: string }>;
  /** A free one, unless it is to be found where it was before. */
  port?: number;
}

const body = (value: Json): Uint8Array => utf8(typeof value === 'string' ? value : JSON.stringify(value));

/** Starts a peer that listens on a free port of the loopback. */
export async function startPeer2018(options: PeerOptions = {}) {
  const profile = options.profile ?? 'spec';
  const hears = options.hears ?? profile;
  const ledger = options.ledger ?? new Map<string, { verkey: string; endpoint?: string }>();
  const endpointKey = makeKey(options.seed);
  const inbox: Waiting<Mail> = waiting<Mail>();
  const taken = new Set<Mail>();
  /** What the HTTP server answers next. */
  const answer: { status: number; body?: string; headers?: Record<string, string> } = { status: 202 };

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url!;
      if (request.method !== 'POST' || (path !== '/' && path !== '/indy')) return void response.writeHead(404).end();
      const bytes = Buffer.concat(chunks);
      const mail = { path, contentType: request.headers['content-type'], body: bytes };
      let status = answer.status;
      try {
        if (status < 300) inbox.add({ ...mail, base: openBody(endpointKey, bytes, mail.contentType) });
      } catch (error) {
        status = 400;
        inbox.add({ ...mail, reason: String(error) });
      }
      response.writeHead(status, answer.headers).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const self: Contact = { did: endpointKey.did, verkey: endpointKey.verkey, endpoint: profile === 'spec' ? `${url}/indy` : url.slice(7) };
  if (profile === 'indy-node') ledger.set(self.did, { verkey: self.verkey, endpoint: self.endpoint });

  async function post(to: string, payload: string | Uint8Array, contentType?: string): Promise<{ status: number; body: string }> {
    const response = await fetch(to, {
      method: 'POST',
      body: Buffer.from(payload as string),
      headers: contentType === undefined ? {} : { 'content-type': contentType },
      signal: AbortSignal.timeout(CALL_MS),
    });
    return { status: response.status, body: await response.text() };
  }

  /** Seals a base message to an endpoint and posts it. */
  async function send(to: Contact, base: Json, hooks: Hooks = {}): Promise<Sent> {
    const changed = hooks.change ? hooks.change(base) : base;
    const form = hooks.form ?? (profile === 'spec' ? 'text' : 'json');
    const sealed = seal(hooks.sealTo ?? to.verkey, utf8(JSON.stringify(changed)));
    const bodies = { text: b64(sealed), json: JSON.stringify({ message: b64(sealed) }), raw: sealed };
    const payload = hooks.unsealed ? JSON.stringify(changed) : bodies[form];
    const contentType = { text: 'text/plain; charset=us-ascii', json: 'application/json', raw: 'application/octet-stream' }[form];
    // The reference implementation keeps `host:port` on the ledger.
    const target = to.endpoint.includes('://') ? to.endpoint : `http://${to.endpoint}/indy`;
    return { ...(await post(target, payload, contentType)), base: changed, to, hooks, payload, contentType, url: target };
  }

  /** A base message with the members of the profile: the reference implementation has `aud` or `origin` in place of `id`. */
  function baseOf(name: Name, id: { id: string; origin?: string; aud?: string }, message: Json, hooks: Hooks): Json {
    const type = hooks.type ?? typeOf(name, profile);
    if (profile === 'spec' || hooks.id !== undefined) return { id: hooks.id ?? id.id, type, message };
    return { ...(id.aud && { aud: id.aud }), ...(id.origin && { origin: id.origin }), type, message };
  }

  /** The next mail of a type that nobody took yet and that fits. */
  async function next(name: Name, fits: (base: Json) => boolean = () => true, ms?: number): Promise<Json> {
    const type = typeOf(name, hears);
    const wanted = (mail: Mail): boolean => !taken.has(mail) && mail.base?.type === type && fits(mail.base);
    const mail = await inbox.first(wanted, `a ${name}`, ms);
    taken.add(mail);
    if (hears === 'spec') demand(Object.keys(mail.base).join() === 'id,type,message', `a ${name} has other members than id, type, message`);
    return mail.base;
  }

  /** The key of a DID: what the ledger says, else what the message says if the DID is made of it. */
  function keyOf(did: unknown, verkey: unknown, what: string): string {
    demand(typeof did === 'string' && did !== '', `${what}: no DID`);
    const known = ledger.get(did)?.verkey;
    if (known !== undefined) {
      demand(verkey === undefined || verkey === known, `${what}: the ledger knows another verkey`);
      return known;
    }
    demand(typeof verkey === 'string', `${what}: its verkey is not known`);
    demand(didFits(did, verkey), `${what}: the verkey is not that of the DID`);
    return verkey;
  }

  const peer = {
    endpoint: endpointKey,
    self,
    url,
    profile,
    inbox,
    answer,
    post,
    send,
    next,

    /** Sends the same bytes again. */
    replay: (sent: Sent) => post(sent.url, sent.payload, sent.contentType),
    /** Sends the same base message in a new seal, as anyone can who has once seen it. */
    reseal: (sent: Sent) => send(sent.to, sent.base, { form: sent.hooks.form }),

    /** An offer. It is shown, not sent; `sendOffer` sends it to somebody's own agent. */
    offer(more: Json = {}): Offer {
      const nonce = randomNonce();
      const { did, verkey, endpoint } = self;
      return { id: nonce, type: typeOf('connection_offer', profile), message: { did, verkey, endpoint, offer_nonce: nonce, ...more } };
    },

    sendOffer: (to: Contact, offer: Offer, hooks: Hooks = {}): Promise<Sent> => send(to, offer, hooks),

    /** Checks an offer by the letter. @throws PeerRefused */
    readOffer(offer: Json): Offer {
      demand(Object.keys(offer).join() === 'id,type,message', 'an offer has the members id, type, message');
      demand(offer.type === typeOf('connection_offer'), 'the type is not that of an offer');
      const { did, verkey, endpoint, offer_nonce: nonce } = offer.message;
      demand(nonce === offer.id && typeof nonce === 'string' && nonce.length >= 32, 'the nonce is not the id, or too short');
      demand(keyOf(did, verkey, 'offer') === verkey, 'the verkey is not that of the DID');
      demand(/^https?:\/\//.test(endpoint), 'no endpoint');
      return offer;
    },

    /** Sends a request for an offer, or without one (then its id is its own nonce). `more` replaces members of its message; undefined takes one out. */
    async request(target: Offer | Contact, more: Json = {}, hooks: Hooks = {}): Promise<Pending> {
      const offer = 'message' in target ? target : undefined;
      const to = 'message' in target ? target.message : target;
      const key = makeKey();
      const nonce = randomNonce();
      let message: Json = { did: key.did, endpointDid: self.did, nonce };
      if (profile === 'spec') {
        message = {
          did: key.did,
          nonce,
          request_nonce: nonce,
          endpoint_did: self.did,
          endpoint: self.endpoint,
          verkey: key.verkey,
          endpoint_verkey: self.verkey,
        };
      } else ledger.set(key.did, { verkey: key.verkey });
      const base = baseOf('connection_request', { id: offer?.id ?? nonce }, { ...message, ...more }, hooks);
      return { key, nonce, offer, to, sent: await send(to, base, hooks) };
    },

    /** Opens a response and checks everything that the requester should. @throws PeerRefused */
    readResponse(pending: Pending, base: Json): Link {
      const inner = JSON.parse(Buffer.from(unseal(pending.key, unb64(base.message))).toString('utf8'));
      const nonce = hears === 'spec' ? inner.request_nonce : inner.nonce;
      demand(nonce === pending.nonce, 'the response has another nonce');
      demand(inner.nonce === undefined || inner.nonce === nonce, 'the response has two nonces');
      demand(inner.did !== pending.to.did, "the response's DID is the endpoint's");
      const verkey = keyOf(inner.did, inner.verkey, 'response');
      demand(inner.verkey === verkey, 'the response lacks its verkey');
      if (inner.sig !== undefined) {
        const signer = pending.offer?.message.offer_verkey ?? pending.to.verkey;
        demand(inner.sig.verkey === signer, 'the response is signed by another key');
        const signed = utf8(`legacy-response/1|${inner.did}|${inner.verkey}|${nonce}`);
        demand(sodium.crypto_sign_verify_detached(unb64(inner.sig.signature), signed, unbase58(signer)), 'the signature does not fit');
      }
      return { mine: pending.key, theirs: { did: inner.did, verkey }, to: pending.to, profile };
    },

    /** The response to a request, opened. */
    async response(pending: Pending, ms?: number): Promise<Link> {
      const fits = (base: Json): boolean => (hears === 'spec' ? base.id === pending.nonce : base.aud === pending.key.did);
      return peer.readResponse(pending, await next('connection_response', fits, ms));
    },

    /** Says "success". */
    acknowledge: (link: Link, hooks: Hooks = {}): Promise<Sent> =>
      peer.say(link, 'connection_acknowledgement', profile === 'spec' ? '"success"' : '"Success"', hooks),

    /** The requester's whole part: request, response, acknowledgement. */
    async accept(target: Offer | Contact, more: Json = {}): Promise<Link> {
      const pending = await peer.request(target, more);
      demand(pending.sent.status === 202 && pending.sent.body === '', `the request was answered ${pending.sent.status}`);
      const link = await peer.response(pending);
      await peer.acknowledge(link);
      return link;
    },

    /** A request that came for an offer, or for none. @throws PeerRefused */
    async requested(offer?: Offer, ms?: number): Promise<Request> {
      const nonceIn = (base: Json): Json => base.message?.nonce ?? base.message?.request_nonce;
      const fits = (base: Json): boolean => hears !== 'spec' || base.id === (offer ? offer.id : nonceIn(base));
      const base = await next('connection_request', fits, ms);
      const { did, verkey, endpoint, nonce, request_nonce, endpoint_did, endpointDid, endpoint_verkey } = base.message;
      if (hears === 'spec') demand(nonce === request_nonce, 'one nonce has two names and one value');
      demand(typeof nonce === 'string' && nonce.length >= 32, 'the nonce is too short');
      const requester = { did, verkey: keyOf(did, verkey, 'request') };
      const theirDid = endpoint_did ?? endpointDid;
      const where = endpoint ?? ledger.get(theirDid)?.endpoint;
      demand(typeof where === 'string', 'where to answer is not known');
      return { base, nonce, requester, to: { did: theirDid, verkey: keyOf(theirDid, endpoint_verkey, 'endpoint'), endpoint: where } };
    },

    /** Answers a request. With `signer`, the response carries a signature; `more` replaces members of its inside. */
    async respond(
      request: Request,
      more: Json = {},
      hooks: Hooks & { signer?: Key2018; key?: Key2018 } = {},
    ): Promise<Link & { sent: Sent }> {
      const key = hooks.key ?? makeKey();
      const { nonce, requester, to } = request;
      const named = profile === 'spec' ? { request_nonce: nonce } : { nonce };
      const text = utf8(`legacy-response/1|${key.did}|${key.verkey}|${nonce}`);
      const sig = hooks.signer && {
        verkey: hooks.signer.verkey,
        signature: b64(sodium.crypto_sign_detached(text, hooks.signer.secret)),
      };
      const inner = hooks.inside ?? { did: key.did, verkey: key.verkey, ...named, ...(sig && { sig }), ...more };
      const message = hooks.clear ? inner : b64(seal(hooks.recipient ?? requester.verkey, body(inner)));
      const sent = await send(to, baseOf('connection_response', { id: nonce, aud: requester.did }, message, hooks), hooks);
      return { mine: key, theirs: requester, to, profile, sent };
    },

    /** Waits for the acknowledgement. @throws PeerRefused */
    async acknowledged(link: Link): Promise<void> {
      const { text } = await peer.received(link, 'connection_acknowledgement');
      demand(text === (hears === 'spec' ? '"success"' : '"Success"'), `the acknowledgement says ${text}`);
    },

    /** The offerer's whole part: request, response, acknowledgement. */
    async connect(offer?: Offer, hooks: { signer?: Key2018 } = {}): Promise<Link> {
      const link = await peer.respond(await peer.requested(offer), {}, hooks);
      demand(link.sent.status === 202 && link.sent.body === '', `the response was answered ${link.sent.status}`);
      await peer.acknowledged(link);
      return link;
    },

    /** Sends a message of a connection: auth-crypted between the pairwise keys. */
    say(link: Link, name: Name, content: Json, hooks: Hooks = {}): Promise<Sent> {
      const inside = hooks.inside === undefined ? content : hooks.inside;
      const to = hooks.recipient ?? link.theirs.verkey;
      const message = hooks.clear ? inside : b64(auth(hooks.sender ?? link.mine, to, body(inside), hooks));
      return send(link.to, baseOf(name, { id: link.mine.did, origin: link.mine.did }, message, hooks), hooks);
    },

    /** The next message of a connection of a type, opened; its sender must be the connection's. @throws PeerRefused */
    async received(link: Link, name: Name, ms?: number): Promise<{ text: string; nonce: string; base: Json }> {
      const base = await next(name, (one) => (hears === 'spec' ? one.id : one.origin) === link.theirs.did, ms);
      const { bytes, sender, nonce } = unauth(link.mine, unb64(base.message));
      demand(sender === link.theirs.verkey, 'the sender is not the one of the connection');
      return { text: Buffer.from(bytes).toString('utf8'), nonce, base };
    },

    /** As `heard`, for a body of JSON. What an extension adds to the AnonCreds object is split off. */
    async heardJson(link: Link, name: Name, ms?: number): Promise<{ body: Json; more: Json; base: Json }> {
      const { text, base } = await peer.received(link, name, ms);
      const { '@type': type, '~thread': thread, data, comment, ...content } = JSON.parse(text);
      demand(type === undefined || type === base.type, 'inside stands another type than outside');
      for (const leak of ['metadata', 'cred_request_metadata', 'link_secret_blinding_data']) {
        demand(!text.includes(`"${leak}"`), `${name}: ${leak} is on the wire`);
      }
      return { body: content, more: { thread, data, comment }, base };
    },

    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return peer;
}

export type Peer2018 = Awaited<ReturnType<typeof startPeer2018>>;

/** The base message in a body of any of the three forms. @throws PeerRefused */
function openBody(key: Key2018, bytes: Buffer, contentType = ''): Json {
  const text = bytes.toString('latin1');
  let sealed: Uint8Array;
  if (contentType.startsWith('application/json')) {
    const members = JSON.parse(text);
    demand(Object.keys(members).join() === 'message', 'the body has other members than message');
    sealed = unb64(members.message);
  } else {
    demand(contentType === 'text/plain; charset=us-ascii', `the content type is ${contentType}`);
    sealed = unb64(text);
  }
  return JSON.parse(Buffer.from(unseal(key, sealed)).toString('utf8'));
}

// Credentials and proofs

type Library = typeof import('@hyperledger/anoncreds-nodejs');
let library: Library | undefined;

/** The AnonCreds library; its folder is named by LIB_ANONCREDS_PATH. */
async function anonCreds(): Promise<Library> {
  if (!library) {
    const module = (await import('@hyperledger/anoncreds-nodejs')) as Library & { default?: Library };
    library = module.default ?? module;
  }
  return library;
}

/** The JSON of a native object, which is freed. */
function take(native: { handle: { clear(): void }; toJson(): Json }): Json {
  try {
    return native.toJson();
  } finally {
    native.handle.clear();
  }
}

/** What an issuer has. */
export interface Issuer {
  readonly schemaId: string;
  readonly schema: Json;
  readonly credDefId: string;
  readonly credDef: Json;
  readonly credDefPrivate: Json;
  readonly keyCorrectnessProof: Json;
}

/** Schemas and credential definitions by id, as a ledger has them. */
export interface Objects {
  schemas: Record<string, Json>;
  credDefs: Record<string, Json>;
}

export const objectsOf = (...issuers: Pick<Issuer, 'schemaId' | 'schema' | 'credDefId' | 'credDef'>[]): Objects => ({
  schemas: Object.fromEntries(issuers.map(({ schemaId, schema }) => [schemaId, schema])),
  credDefs: Object.fromEntries(issuers.map(({ credDefId, credDef }) => [credDefId, credDef])),
});

/** Makes keys for a schema; takes seconds. `credDefId` is for the caller to add, since a ledger may name it by its content. */
export async function makeIssuerKeys(schemaId: string, schema: Json, tag = 'default'): Promise<Omit<Issuer, 'credDefId'>> {
  const { CredentialDefinition } = await anonCreds();
  const made = CredentialDefinition.create({
    schemaId,
    schema,
    issuerId: schema.issuerId,
    tag,
    signatureType: 'CL',
    supportRevocation: false,
  });
  return {
    schemaId,
    schema,
    credDef: take(made.credentialDefinition),
    credDefPrivate: take(made.credentialDefinitionPrivate),
    keyCorrectnessProof: take(made.keyCorrectnessProof),
  };
}

/** The integer of a raw value, by the AnonCreds specification. */
export function encodedValue(raw: string): string {
  if (/^-?\d{1,10}$/.test(raw) && Math.abs(Number(raw)) < 2 ** 31) return String(Number(raw));
  return BigInt(`0x${createHash('sha256').update(raw).digest('hex')}`).toString();
}

/** The steps of an issuance, each with its hooks. */
export interface IssueHooks {
  offer?: Hooks;
  credential?: Hooks;
  /** The last word on the AnonCreds objects. */
  changeOffer?: (offer: Json) => Json;
  changeCredential?: (credential: Json) => Json;
}

/** Offers a credential. @returns the AnonCreds offer, which `credentialFor` needs */
export async function offerCredential(
  peer: Peer2018,
  link: Link,
  issuer: Issuer,
  values: Record<string, string>,
  hooks: IssueHooks = {},
): Promise<{ offer: Json; sent: Sent }> {
  const { CredentialOffer } = await anonCreds();
  const { schemaId, credDefId: credentialDefinitionId, keyCorrectnessProof } = issuer;
  const offer = take(CredentialOffer.create({ schemaId, credentialDefinitionId, keyCorrectnessProof }));
  const whole = { ...offer, data: values };
  return { offer, sent: await peer.say(link, 'credential_offer', hooks.changeOffer?.(whole) ?? whole, hooks.offer) };
}

/** The AnonCreds credential for a request. @throws what the library throws when the request is not for this offer */
export async function credentialFor(issuer: Issuer, offer: Json, request: Json, values: Record<string, string>): Promise<Json> {
  const { Credential } = await anonCreds();
  return take(
    Credential.create({
      credentialDefinition: issuer.credDef,
      credentialDefinitionPrivate: issuer.credDefPrivate,
      credentialOffer: offer,
      credentialRequest: request,
      attributeRawValues: values,
      attributeEncodedValues: Object.fromEntries(Object.entries(values).map(([name, raw]) => [name, encodedValue(raw)])),
    }),
  );
}

/** The issuer's whole part: offer, request, credential. */
export async function issue(peer: Peer2018, link: Link, issuer: Issuer, values: Record<string, string>, hooks: IssueHooks = {}) {
  const { offer, sent } = await offerCredential(peer, link, issuer, values, hooks);
  demand(sent.status === 202, `the offer was answered ${sent.status}`);
  const { body: request } = await peer.heardJson(link, 'credential_request');
  demand(request.cred_def_id === issuer.credDefId, 'the request is for another credential definition');
  const credential = await credentialFor(issuer, offer, request, values);
  const credentialSent = await peer.say(link, 'credential', hooks.changeCredential?.(credential) ?? credential, hooks.credential);
  return { offer, offerSent: sent, request, credential, credentialSent };
}

/** What a holder has: one link secret, and credentials. */
export interface Wallet {
  readonly linkSecret: string;
  readonly credentials: Json[];
}

export async function makeWallet(): Promise<Wallet> {
  return { linkSecret: (await anonCreds()).LinkSecret.create(), credentials: [] };
}

/** Asks for an offered credential. @returns what `storeCredential` needs */
export async function requestCredential(
  peer: Peer2018,
  link: Link,
  wallet: Wallet,
  objects: Objects,
  offer: Json,
  hooks: Hooks & { proverDid?: string } = {},
): Promise<{ metadata: Json; request: Json; sent: Sent }> {
  const { CredentialRequest } = await anonCreds();
  const credentialDefinition = objects.credDefs[offer.cred_def_id];
  demand(credentialDefinition, 'the credential definition is not known');
  const made = CredentialRequest.create({
    // The library takes a prover's DID with unqualified ids only.
    ...(hooks.proverDid === undefined ? { entropy: link.mine.did } : { proverDid: hooks.proverDid }),
    credentialDefinition,
    linkSecret: wallet.linkSecret,
    linkSecretId: 'default',
    credentialOffer: offer,
  });
  const request = take(made.credentialRequest);
  const metadata = take(made.credentialRequestMetadata);
  return { metadata, request, sent: await peer.say(link, 'credential_request', request, hooks) };
}

/** Checks a credential and puts it into the wallet. @throws PeerRefused, or what the library throws */
export async function storeCredential(wallet: Wallet, objects: Objects, metadata: Json, received: Json): Promise<Json> {
  const { Credential } = await anonCreds();
  for (const [name, { raw, encoded }] of Object.entries(received.values as Record<string, { raw: string; encoded: string }>)) {
    demand(encoded === encodedValue(raw), `the encoding of ${name} is not that of its value`);
  }
  const credential = Credential.fromJson(received);
  try {
    credential.process({
      credentialRequestMetadata: metadata,
      linkSecret: wallet.linkSecret,
      credentialDefinition: objects.credDefs[received.cred_def_id],
    });
    wallet.credentials.push(credential.toJson());
    return wallet.credentials.at(-1);
  } finally {
    credential.handle.clear();
  }
}

/** The holder's whole part: offer, request, credential. @returns the stored credential and the offered preview */
export async function hold(peer: Peer2018, link: Link, wallet: Wallet, objects: Objects) {
  const { body: offer, more } = await peer.heardJson(link, 'credential_offer');
  const { metadata, request, sent } = await requestCredential(peer, link, wallet, objects, offer);
  demand(sent.status === 202, `the credential request was answered ${sent.status}`);
  const { body: received } = await peer.heardJson(link, 'credential');
  return { offer, preview: more.data, request, requestSent: sent, credential: await storeCredential(wallet, objects, metadata, received) };
}

/** A proof request for attributes, with predicates if wanted. */
export const proofRequest = (attributes: readonly string[], predicates: Json = {}, restrictions?: Json[]): Json => ({
  name: 'proof',
  version: '1.0',
  nonce: decimalNonce(),
  requested_attributes: Object.fromEntries(attributes.map((name) => [name, { name, ...(restrictions && { restrictions }) }])),
  requested_predicates: predicates,
});

/** The verifier's whole part: proof request, proof. */
export async function askProof(peer: Peer2018, link: Link, objects: Objects, request: Json, hooks: Hooks = {}) {
  const sent = await peer.say(link, 'proof_request', request, hooks);
  demand(sent.status === 202, `the proof request was answered ${sent.status}`);
  const { body: received } = await peer.heardJson(link, 'proof');
  const { nonce, ...proof } = received;
  demand(nonce === request.nonce, 'the proof has another nonce than its request');
  return { sent, proof, verified: await verifyProof(objects, request, proof) };
}

/** Whether the library accepts a proof, and its raw values are those that were proven. */
export async function verifyProof(objects: Objects, request: Json, proof: Json): Promise<boolean> {
  const { Presentation } = await anonCreds();
  for (const { raw, encoded } of Object.values(proof.requested_proof.revealed_attrs) as { raw: string; encoded: string }[]) {
    if (encoded !== encodedValue(raw)) return false;
  }
  const presentation = Presentation.fromJson(proof);
  try {
    return presentation.verify({ presentationRequest: request, schemas: objects.schemas, credentialDefinitions: objects.credDefs });
  } catch {
    // The library throws at a proof that is malformed, or bound to another nonce.
    return false;
  } finally {
    presentation.handle.clear();
  }
}

/** The AnonCreds presentation for a request, from the newest credential that has what is asked. */
export async function proofFor(wallet: Wallet, objects: Objects, request: Json): Promise<Json> {
  const { Presentation } = await anonCreds();
  const asked = [
    ...Object.entries<Json>(request.requested_attributes).map(([referent, { name }]) => ({ referent, name, isPredicate: false })),
    ...Object.entries<Json>(request.requested_predicates).map(([referent, { name }]) => ({ referent, name, isPredicate: true })),
  ];
  const credential = wallet.credentials.findLast((one) => asked.every(({ name }) => name in one.values));
  demand(credential, 'no credential has what is asked');
  return take(
    Presentation.create({
      presentationRequest: request,
      credentials: [{ credential }],
      credentialsProve: asked.map(({ referent, isPredicate }) => ({ entryIndex: 0, referent, isPredicate, reveal: true })),
      selfAttest: {},
      linkSecret: wallet.linkSecret,
      schemas: { [credential.schema_id]: objects.schemas[credential.schema_id] },
      credentialDefinitions: { [credential.cred_def_id]: objects.credDefs[credential.cred_def_id] },
    }),
  );
}

/** The prover's whole part: proof request, proof. */
export async function prove(
  peer: Peer2018,
  link: Link,
  wallet: Wallet,
  objects: Objects,
  hooks: Hooks & { changeProof?: (proof: Json) => Json } = {},
) {
  const { body: request } = await peer.heardJson(link, 'proof_request');
  demand(/^\d{15,25}$/.test(request.nonce), 'the nonce is not 80 bits in decimal');
  const proof = await proofFor(wallet, objects, request);
  // The nonce beside the presentation says which request it answers.
  const whole = { ...proof, nonce: request.nonce };
  return { request, proof, sent: await peer.say(link, 'proof', hooks.changeProof?.(whole) ?? whole, hooks) };
}
