import { didKeyToVerkey, fromBase58, looksLikeVerkey, toBase58, verkeyBytes } from '../didcomm/encoding.ts';
import { AppError } from '../errors.ts';
import type { DidDocument } from '../ports/ledger.ts';
import { fromJwk, fromMultikey, type PublicKey } from './did-key.ts';

/** A DIDComm v1 service as we use it: keys as base58 verkeys, the most preferred service first. */
export interface DidCommService {
  id: string;
  serviceEndpoint: string;
  recipientKeys: string[];
  routingKeys: string[];
  priority: number;
  accept?: string[];
}

const RELATIONSHIPS = ['authentication', 'assertionMethod', 'keyAgreement', 'capabilityInvocation', 'capabilityDelegation'] as const;
export type Relationship = (typeof RELATIONSHIPS)[number];

const MAX_ITEMS = 100;
/** The transports that this agent sends by. */
const WRITABLE = /^(?:https?|wss?):/i;
const DID = /^did:[a-z0-9]+:[A-Za-z0-9._:%-]{1,5000}$/;

/** Whether `text` is a DID (without path, query or fragment) by W3C DID Core section 3.1; length is bounded. */
export const isDid = (text: unknown): text is string => typeof text === 'string' && text.length <= 5100 && DID.test(text);

const invalid = (what: string): never => {
  throw new AppError('did-invalid', `The DID document is not valid: ${what}`);
};

/**
 * Checks the shape of a DID document that someone gave us (W3C DID Core section 5): only the shape, so that the rest of this file may rely on it; keys are looked
 * at when they are used. `did`, where given, must be its id.
 * @throws AppError `did-invalid`
 */
export function checkDidDocument(value: unknown, did?: string): DidDocument {
  const doc = object(value, 'no object');
  if (!isDid(doc.id)) invalid('id');
  if (did !== undefined && doc.id !== did) invalid('id is of another DID');
  if (doc.alsoKnownAs != null)
    for (const alias of list(doc.alsoKnownAs, 'alsoKnownAs')) if (typeof alias !== 'string') invalid('alsoKnownAs');
  for (const name of ['verificationMethod', 'publicKey']) {
    if (doc[name] != null) for (const method of list(doc[name], name)) checkMethod(method, name);
  }
  for (const name of RELATIONSHIPS) {
    if (doc[name] == null) continue;
    for (const item of list(doc[name], name)) if (typeof item !== 'string') checkMethod(item, name);
  }
  if (doc.service != null) {
    for (const item of list(doc.service, 'service')) {
      const service = object(item, 'service');
      if (typeof service.id !== 'string' || (typeof service.type !== 'string' && !strings(service.type))) invalid('service');
      for (const name of ['recipientKeys', 'routingKeys', 'accept'])
        if (service[name] != null && !strings(service[name])) invalid(`service ${name}`);
    }
  }
  return doc as DidDocument;
}

/**
 * The DIDComm v1 services of a checked document (RFC 0067), most preferred first: `did-communication`, the older `IndyAgent`, and `DIDCommMessaging` where it
 * names recipient keys. A service with a key that we cannot use is left out.
 */
export function didcommServices(doc: DidDocument): DidCommService[] {
  const found: DidCommService[] = [];
  for (const item of (doc.service ?? []) as Record<string, unknown>[]) {
    const types = [item.type].flat();
    if (!types.some((type) => type === 'did-communication' || type === 'IndyAgent' || type === 'DIDCommMessaging')) continue;
    const { uri, routing, accept } = endpointOf(item);
    const recipients = verkeysOf(doc, item.recipientKeys);
    const routingKeys = verkeysOf(doc, routing);
    if (uri === undefined || !recipients?.length || !routingKeys) continue;
    const service: DidCommService = {
      id: item.id as string,
      serviceEndpoint: uri,
      recipientKeys: recipients,
      routingKeys,
      priority: typeof item.priority === 'number' ? item.priority : 0,
    };
    if (accept) service.accept = accept;
    found.push(service);
  }
  // Lower numbers are preferred; the order of the document decides between equals.
  return found.sort((a, b) => a.priority - b.priority);
}

/** The verkey (base58 Ed25519) that `reference` means in `doc`: did:key, raw base58, or the id of a verification method; undefined when there is none. */
export function verkeyOf(doc: DidDocument, reference: string): string | undefined {
  if (reference.startsWith('did:key:')) return didKeyToVerkey(reference);
  if (looksLikeVerkey(reference)) return isKey(reference) ? reference : undefined;
  const key = methodKey(findMethod(doc, reference));
  return key?.type === 'ed25519' ? toBase58(key.bytes) : undefined;
}

/** The Ed25519 verkeys of a relationship, referenced or embedded, in order. */
export function verkeysFor(doc: DidDocument, relationship: Relationship): string[] {
  const keys: string[] = [];
  for (const item of (doc[relationship] ?? []) as (string | Record<string, unknown>)[]) {
    const key = methodKey(typeof item === 'string' ? findMethod(doc, item) : item);
    if (key?.type === 'ed25519') keys.push(toBase58(key.bytes));
  }
  return keys;
}

/** The verification method that `reference` names: absolute, relative (`#key-1`), or through another name of the same subject. */
export function findMethod(doc: DidDocument, reference: string): Record<string, unknown> | undefined {
  const wanted = localId(doc, reference);
  if (wanted === undefined) return undefined;
  for (const name of ['verificationMethod', 'publicKey', ...RELATIONSHIPS]) {
    for (const item of (doc[name] ?? []) as (string | Record<string, unknown>)[]) {
      if (typeof item !== 'string' && localId(doc, item.id as string) === wanted) return item;
    }
  }
  return undefined;
}

/** The public key of a verification method, whatever way it is written; undefined for what we do not know. */
export function methodKey(method: Record<string, unknown> | undefined): PublicKey | undefined {
  if (!method) return undefined;
  const { type, publicKeyMultibase, publicKeyBase58, publicKeyJwk, publicKeyHex } = method as Record<string, unknown>;
  if (publicKeyJwk !== undefined) return fromJwk(publicKeyJwk);
  // Some write a bare key where the type names its kind, with or without the multibase letter.
  const bare = /^(Ed25519VerificationKey20(18|20)|Ed25519Signature2018|X25519KeyAgreementKey20(19|20))$/.test(String(type));
  const bareType = String(type).startsWith('X') ? 'x25519' : 'ed25519';
  if (typeof publicKeyMultibase === 'string') {
    const key = fromMultikey(publicKeyMultibase);
    if (key) return bare && key.type !== bareType ? undefined : key;
    return bare && publicKeyMultibase.startsWith('z') ? bareKey(bareType, base58OrNone(publicKeyMultibase.slice(1))) : undefined;
  }
  if (!bare) return undefined;
  if (typeof publicKeyBase58 === 'string') return bareKey(bareType, base58OrNone(publicKeyBase58));
  if (typeof publicKeyHex === 'string' && /^[0-9a-fA-F]{64}$/.test(publicKeyHex))
    return bareKey(bareType, Buffer.from(publicKeyHex, 'hex'));
  return undefined;
}

const bareKey = (type: 'ed25519' | 'x25519', bytes: Uint8Array | undefined): PublicKey | undefined =>
  bytes?.length === 32 ? { type, bytes } : undefined;

function base58OrNone(text: string): Uint8Array | undefined {
  try {
    return fromBase58(text);
  } catch {
    return undefined;
  }
}

/** A reference as this document would write it relatively; undefined when it is about another subject. */
function localId(doc: DidDocument, reference: string): string | undefined {
  const hash = reference.indexOf('#');
  // DIDs of the first agents have ids without a fragment mark.
  if (hash < 0) return reference;
  const subject = reference.slice(0, hash);
  const same = subject === '' || subject === doc.id || (Array.isArray(doc.alsoKnownAs) && doc.alsoKnownAs.includes(subject));
  return same ? reference.slice(hash) : undefined;
}

/** Of several ways to one peer, the preferred first: the first whose address is of a transport that this agent sends by; else the first. */
export const writable = <T>(ways: readonly T[], addressOf: (way: T) => unknown): T | undefined =>
  ways.find((way) => WRITABLE.test(String(addressOf(way)))) ?? ways[0];

function endpointOf(service: Record<string, unknown>): { uri?: string; routing: unknown; accept?: string[] } {
  // DIDComm v2 moved uri, routingKeys and accept into the endpoint; agents of both versions write either.
  const innerOf = (way: unknown) => (typeof way === 'object' && way !== null ? (way as Record<string, unknown>) : undefined);
  const uriOf = (way: unknown): unknown => {
    const inner = innerOf(way);
    return inner ? inner.uri : way;
  };
  const ways: unknown[] = Array.isArray(service.serviceEndpoint) ? service.serviceEndpoint.slice(0, MAX_ITEMS) : [service.serviceEndpoint];
  const endpoint = writable(ways, uriOf);
  const inner = innerOf(endpoint);
  const uri = uriOf(endpoint);
  const accept = service.accept ?? inner?.accept;
  return {
    uri: typeof uri === 'string' && uri.length <= 2048 ? uri : undefined,
    routing: service.routingKeys ?? service.routing_keys ?? inner?.routingKeys,
    accept: strings(accept) ? accept : undefined,
  };
}

function verkeysOf(doc: DidDocument, references: unknown): string[] | undefined {
  if (references == null) return [];
  if (!strings(references)) return undefined;
  const keys = references.map((reference) => verkeyOf(doc, reference));
  return keys.every((key) => key !== undefined) ? keys : undefined;
}

function isKey(verkey: string): boolean {
  try {
    return verkeyBytes(verkey).length === 32;
  } catch {
    return false;
  }
}

function checkMethod(value: unknown, name: string): void {
  const method = object(value, name);
  if (typeof method.id !== 'string' || typeof method.type !== 'string') invalid(name);
  if (method.controller != null && typeof method.controller !== 'string' && !strings(method.controller)) invalid(`${name} controller`);
}

function list(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value) || value.length > MAX_ITEMS) return invalid(name);
  return value;
}

function strings(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= MAX_ITEMS && value.every((item) => typeof item === 'string' && item.length <= 8192);
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return invalid(what);
  return value as Record<string, unknown>;
}
