import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { Ed25519Signature2020 } from '@digitalbazaar/ed25519-signature-2020';
import { CapabilityDelegation, constants } from '@digitalbazaar/zcap';
import { GeneralEncrypt, generateKeyPair } from 'jose';
import { toBase58 } from '../../src/didcomm/encoding.ts';
import { createDidKey } from '../../src/dids/did-key.ts';
import type { Body } from './agents.ts';
import { CALL_MS } from './waiting.ts';

/** A client of vaults, whose requests may be wrong in every way: the unmodified client of others is in test/interop. */

export interface Caller {
  readonly did: string;
  readonly keyId: string;
  readonly secret: KeyObject;
}

export function newCaller(): Caller {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const bytes = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url');
  const did = createDidKey({ type: 'ed25519', bytes });
  return { did, keyId: `${did}#${did.slice('did:key:'.length)}`, secret: privateKey };
}

export const rootOf = (target: string): string => `urn:zcap:root:${encodeURIComponent(target)}`;

const signerOf = ({ keyId, secret }: Caller) => ({ id: keyId, sign: async ({ data }: { data: Uint8Array }) => sign(null, data, secret) });

const KNOWN: Record<string, object> = {
  [constants.ZCAP_CONTEXT_URL]: constants.ZCAP_CONTEXT,
  [Ed25519Signature2020.CONTEXT_URL]: Ed25519Signature2020.CONTEXT,
};

export interface Delegation {
  /** A root's id, or the capability that is delegated on. */
  readonly parent: string | Body;
  readonly target: string;
  readonly to: string;
  readonly actions?: readonly string[];
  /** ms since 1970; by default that of the parent, or in an hour. */
  readonly expires?: number;
  readonly created?: number;
  readonly id?: string;
}

const text = (ms: number): string => `${new Date(ms).toISOString().slice(0, -5)}Z`;

/** A capability that somebody delegates, whether or not the right is theirs. */
export async function delegate(by: Caller, { parent, target, to, actions = ['read'], ...rest }: Delegation): Promise<Body> {
  const document = {
    '@context': [constants.ZCAP_CONTEXT_URL, Ed25519Signature2020.CONTEXT_URL],
    id: rest.id ?? `urn:uuid:${crypto.randomUUID()}`,
    controller: to,
    parentCapability: typeof parent === 'string' ? parent : parent.id,
    invocationTarget: target,
    expires: rest.expires === undefined && typeof parent !== 'string' ? parent.expires : text(rest.expires ?? Date.now() + 3600_000),
    allowedAction: actions,
  };
  const suite = new Ed25519Signature2020({ signer: signerOf(by), date: new Date(rest.created ?? Date.now()) });
  const proof = await suite.createProof({
    document,
    purpose: new CapabilityDelegation({ parentCapability: parent, _skipLocalValidationForTesting: true }),
    documentLoader: async (url: string) => ({ contextUrl: null, documentUrl: url, document: KNOWN[url], tag: 'static' }),
  });
  const { '@context': _context, ...kept } = proof as Body;
  return { ...document, proof: kept };
}

export interface Invocation {
  readonly method?: 'GET' | 'POST';
  readonly url: string;
  readonly action?: 'read' | 'write';
  /** A root's id, or a delegated capability; by default the root of the vault that the URL names. */
  readonly capability?: string | Body;
  readonly json?: unknown;
  /** What is signed in the place of what is sent. */
  readonly signed?: {
    readonly url?: string;
    readonly host?: string;
    readonly body?: string;
    readonly without?: string;
    readonly capability?: string;
  };
  /** Seconds since 1970. */
  readonly created?: number;
  readonly expires?: number;
}

const vaultOf = (url: string): string => /^.*\/edvs\/[^/?]+/.exec(url)?.[0] ?? url;

/** The headers and the body of an invocation (draft-cavage-http-signatures-12). */
export function signed(by: Caller, given: Invocation): { method: string; headers: Record<string, string>; body?: string } {
  const { url, json, method = json === undefined ? 'GET' : 'POST', action = json === undefined ? 'read' : 'write' } = given;
  const capability = given.capability ?? rootOf(vaultOf(url));
  const body = json === undefined ? undefined : typeof json === 'string' ? json : JSON.stringify(json);
  const created = given.created ?? Math.floor(Date.now() / 1000);
  const expires = given.expires ?? created + 600;
  const invoked =
    typeof capability === 'string'
      ? `zcap id="${capability}",action="${action}"`
      : `zcap capability="${gzipSync(JSON.stringify(capability)).toString('base64url')}",action="${action}"`;
  const target = new URL(given.signed?.url ?? url);
  const values: [string, string][] = [
    ['(key-id)', by.keyId],
    ['(created)', String(created)],
    ['(expires)', String(expires)],
    ['(request-target)', `${method.toLowerCase()} ${target.pathname}${target.search}`],
    ['host', given.signed?.host ?? target.host],
    ['capability-invocation', given.signed?.capability ?? invoked],
  ];
  const headers: Record<string, string> = { 'capability-invocation': invoked };
  if (body !== undefined) {
    const hash = createHash('sha256')
      .update(given.signed?.body ?? body)
      .digest();
    headers['content-type'] = 'application/json';
    headers.digest = `mh=u${Buffer.concat([Buffer.of(0x12, 0x20), hash]).toString('base64url')}`;
    values.push(['content-type', headers['content-type']], ['digest', headers.digest]);
  }
  const covered = values.filter(([name]) => name !== given.signed?.without);
  const signature = sign(null, Buffer.from(covered.map((one) => one.join(': ')).join('\n')), by.secret).toString('base64');
  const names = covered.map(([name]) => name).join(' ');
  headers.authorization = `Signature keyId="${by.keyId}",headers="${names}",signature="${signature}",created="${created}",expires="${expires}"`;
  return { method, headers, body };
}

export interface HubAnswer {
  readonly status: number;
  readonly text: string;
  readonly body: Body;
  readonly headers: Headers;
}

export async function send(url: string, request: RequestInit): Promise<HubAnswer> {
  const response = await fetch(url, { ...request, signal: AbortSignal.timeout(CALL_MS) });
  const body = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  return { status: response.status, text: body, body: isJson ? JSON.parse(body) : undefined, headers: response.headers };
}

/** One request on a vault. */
export const invoke = (by: Caller, given: Invocation): Promise<HubAnswer> => send(given.url, signed(by, given));

/** A base58 id of 128 bits. */
export const newEdvId = (): string => `z${toBase58(Uint8Array.of(0, 16, ...randomBytes(16)))}`;

/** A configuration as `POST /edvs` takes it. */
export const configOf = ({ did }: Caller, more: object = {}): Body => ({
  sequence: 0,
  controller: did,
  keyAgreementKey: { id: `${did}#z6LS`, type: 'X25519KeyAgreementKey2020' },
  hmac: { id: 'urn:hmac:1', type: 'Sha256HmacKey2019' },
  ...more,
});

/** Content that is encrypted to keys of the named DIDs. */
export async function encrypted(content: unknown, ...dids: readonly string[]): Promise<Body> {
  const jwe = new GeneralEncrypt(Buffer.from(JSON.stringify(content))).setProtectedHeader({ enc: 'A256GCM' });
  for (const did of dids) {
    const { publicKey } = await generateKeyPair('ECDH-ES+A256KW', { crv: 'X25519' });
    jwe.addRecipient(publicKey).setUnprotectedHeader({ alg: 'ECDH-ES+A256KW', kid: `${did}#z6LS` });
  }
  return await jwe.encrypt();
}

/** A document of a caller. */
export async function documentOf(by: Caller, content: unknown, more: object = {}, ...others: readonly string[]): Promise<Body> {
  return { id: newEdvId(), sequence: 0, indexed: [], jwe: await encrypted(content, by.did, ...others), ...more };
}

/** The entry of an index: names and values as a client would have blinded them. */
export const entryOf = (attributes: Record<string, string>, unique = false, sequence = 0): Body => ({
  hmac: { id: 'urn:hmac:1', type: 'Sha256HmacKey2019' },
  sequence,
  attributes: Object.entries(attributes).map(([name, value]) => ({ name, value, ...(unique ? { unique: true } : {}) })),
});
