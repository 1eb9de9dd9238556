import { createHash } from 'node:crypto';
import { fromBase58, fromBase64url, toBase58 } from '../didcomm/encoding.ts';
import { JsonRefused, parseJson, parseJsonObject } from '../didcomm/safe-json.ts';
import { AppError } from '../errors.ts';
import type { DidDocument } from '../ports/ledger.ts';
import { checkDidDocument, isDid } from './did-doc.ts';
import { fromMultikey, type PublicKey, resolveDidKey, toMultikey } from './did-key.ts';

/** The purpose of a key of a did:peer:2: the letter of the method. */
export type Purpose = 'assertion' | 'agreement' | 'verification' | 'invocation' | 'delegation';

const PURPOSES: Readonly<Record<string, { purpose: Purpose; member: string }>> = {
  A: { purpose: 'assertion', member: 'assertionMethod' },
  E: { purpose: 'agreement', member: 'keyAgreement' },
  V: { purpose: 'verification', member: 'authentication' },
  I: { purpose: 'invocation', member: 'capabilityInvocation' },
  D: { purpose: 'delegation', member: 'capabilityDelegation' },
};
const LETTERS: Readonly<Record<Purpose, string>> = { assertion: 'A', agreement: 'E', verification: 'V', invocation: 'I', delegation: 'D' };

const LONG: Readonly<Record<string, string>> = { t: 'type', s: 'serviceEndpoint', r: 'routingKeys', a: 'accept' };
const SHORT: Readonly<Record<string, string>> = Object.fromEntries(Object.entries(LONG).map(([short, long]) => [long, short]));

const MAX_ELEMENTS = 50;
const MAX_ENCODED = 4096;
const CONTEXT = ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'];

const invalid = (what: string): never => {
  throw new AppError('did-invalid', `The did:peer is not valid: ${what}`);
};

/** Makes a did:peer:2 from keys (in order: their ids are `#key-1`, `#key-2`, ...) and services. */
export function createPeer2(
  keys: readonly { purpose: Purpose; key: PublicKey }[],
  services: readonly Record<string, unknown>[] = [],
): string {
  const elements = keys.map(({ purpose, key }) => `.${LETTERS[purpose]}${toMultikey(key)}`);
  for (const service of services) elements.push(`.S${Buffer.from(JSON.stringify(rename(service, SHORT))).toString('base64url')}`);
  if (keys.length === 0) invalid('no keys');
  return `did:peer:2${elements.join('')}`;
}

/** Makes a did:peer:4 of a document without an id, whose references are relative. `did` is the long form, which carries the document. */
export function createPeer4(document: Record<string, unknown>): { did: string; short: string; document: DidDocument } {
  if ('id' in document) invalid('the input document has an id');
  const bytes = Buffer.concat([JSON_CODE, Buffer.from(JSON.stringify(document), 'utf8')]);
  // Base58 takes quadratic time; 4/3 and a little more is what it grows by.
  if (bytes.length * 1.37 > MAX_ENCODED) invalid('too large');
  const encoded = `z${toBase58(bytes)}`;
  const did = `did:peer:4${hashOf(encoded)}:${encoded}`;
  return { did, short: did.slice(0, did.lastIndexOf(':')), document: resolvePeer(did) };
}

/** The short form of a did:peer:4, or the DID as it is. */
export const shortPeerDid = (did: string): string =>
  did.startsWith('did:peer:4') && did.split(':').length === 4 ? did.slice(0, did.lastIndexOf(':')) : did;

/**
 * Resolves a did:peer of numalgo 0, 2 or 4 (DIF peer DID method). The short form of 4 needs the long one: it must have been seen before.
 * @throws AppError `did-invalid`, `did-not-found` for a short form, `did-unsupported` for other numalgos
 */
export function resolvePeer(did: string): DidDocument {
  if (!did.startsWith('did:peer:') || !isDid(did)) return invalid('not a did:peer');
  switch (did[9]) {
    case '0':
      return resolvePeer0(did);
    case '2':
      return resolvePeer2(did);
    case '4':
      return resolvePeer4(did);
    case '1':
    case '3':
      throw new AppError('did-unsupported', `did:peer of numalgo ${did[9]} is known only to those who exchanged its document`);
    default:
      return invalid('numalgo');
  }
}

/**
 * Whether a document that came with a message is the one that its DID was made of: numalgo 1 is the hash of the document without its id, as it was received;
 * numalgo 3 is that of a did:peer:2, checked where the document names that one. Other DIDs are not made of documents.
 */
export function isOwnDocument(did: string, document: Readonly<Record<string, unknown>>): boolean {
  if (did.startsWith('did:peer:1')) {
    const { id: _, ...rest } = document;
    return did === `did:peer:1${hashOf(JSON.stringify(rest))}`;
  }
  if (!did.startsWith('did:peer:3')) return true;
  const aliases = Array.isArray(document.alsoKnownAs) ? (document.alsoKnownAs as unknown[]) : [];
  const long = aliases.find((alias) => typeof alias === 'string' && alias.startsWith('did:peer:2')) as string | undefined;
  return long === undefined || did === `did:peer:3${hashOf(long.slice('did:peer:2'.length))}`;
}

/** The document under the short form of its did:peer:4, for those who saw the long form before. */
export function peer4ShortDocument(long: string): DidDocument {
  const short = shortPeerDid(long);
  if (short === long) invalid('not the long form');
  return contextualise(decodePeer4(long), short, long);
}

function resolvePeer0(did: string): DidDocument {
  // The document is that of the did:key, in the names of this DID.
  const key = did.slice('did:peer:0'.length);
  const renamed = JSON.stringify(resolveDidKey(`did:key:${key}`)).replaceAll(`did:key:${key}`, did);
  return JSON.parse(renamed) as DidDocument;
}

function resolvePeer2(did: string): DidDocument {
  const elements = did.slice('did:peer:2'.length).split('.');
  if (elements.shift() !== '' || elements.length === 0 || elements.length > MAX_ELEMENTS) invalid('elements');
  const doc: Record<string, unknown> & { id: string } = { '@context': CONTEXT, id: did };
  const methods: Record<string, unknown>[] = [];
  const services: Record<string, unknown>[] = [];
  for (const element of elements) {
    const letter = element[0] ?? '';
    const rest = element.slice(1);
    if (letter === 'S') {
      for (const service of readServices(rest)) {
        service.id ??= services.length === 0 ? '#service' : `#service-${services.length}`;
        services.push(service);
      }
      continue;
    }
    const row = Object.hasOwn(PURPOSES, letter) ? PURPOSES[letter] : undefined;
    if (!row) return invalid('an element of unknown purpose');
    if (!fromMultikey(rest)) invalid('a key of unknown type');
    const id = `#key-${methods.length + 1}`;
    methods.push({ id, type: 'Multikey', controller: did, publicKeyMultibase: rest });
    doc[row.member] = [...((doc[row.member] as string[] | undefined) ?? []), id];
  }
  if (methods.length === 0) invalid('no keys');
  doc.verificationMethod = methods;
  if (services.length > 0) doc.service = services;
  return checkDidDocument(doc, did);
}

function readServices(text: string): Record<string, unknown>[] {
  const bytes = fromBase64url(text) ?? invalid('a service is not base64url');
  let value: unknown;
  try {
    value = parseJson(bytes, { maxBytes: 8192, maxDepth: 8 });
  } catch (error) {
    if (error instanceof JsonRefused) return invalid('a service is not JSON');
    throw error;
  }
  return [value].flat().map((item) => {
    if (typeof item !== 'object' || item === null) return invalid('a service is no object');
    return rename(item as Record<string, unknown>, LONG);
  });
}

/** Swaps the one-letter names of a service and their meanings, in the endpoint too. */
function rename(service: Record<string, unknown>, names: Readonly<Record<string, string>>): Record<string, unknown> {
  const renamed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(service)) {
    const to = Object.hasOwn(names, name) ? names[name]! : name;
    const isEndpoint = to === 'serviceEndpoint' || to === 's';
    if (isEndpoint && typeof value === 'object' && value !== null) {
      renamed[to] = Array.isArray(value)
        ? value.map((one: unknown) => (typeof one === 'object' && one !== null ? rename(one as Record<string, unknown>, names) : one))
        : rename(value as Record<string, unknown>, names);
    } else if (to === 'type' && value === 'dm') renamed[to] = 'DIDCommMessaging';
    else if (to === 't' && value === 'DIDCommMessaging') renamed[to] = 'dm';
    else renamed[to] = value;
  }
  return renamed;
}

/** Multicodec `json` as varint. */
const JSON_CODE = Uint8Array.of(0x80, 0x04);

/** Multihash sha2-256 of the encoded document, in multibase. */
function hashOf(encoded: string): string {
  return `z${toBase58(Buffer.concat([Uint8Array.of(0x12, 0x20), createHash('sha256').update(encoded, 'utf8').digest()]))}`;
}

function resolvePeer4(did: string): DidDocument {
  if (/^did:peer:4zQm[1-9A-HJ-NP-Za-km-z]{44}$/.test(did))
    throw new AppError('did-not-found', 'The short form of a did:peer:4 resolves only where the long form was seen');
  return contextualise(decodePeer4(did), did, shortPeerDid(did));
}

function decodePeer4(did: string): Record<string, unknown> {
  const match = /^did:peer:4(zQm[1-9A-HJ-NP-Za-km-z]{44}):(z[1-9A-HJ-NP-Za-km-z]+)$/.exec(did);
  const encoded = match?.[2] ?? invalid('form of numalgo 4');
  if (encoded.length > MAX_ENCODED) invalid('too large');
  if (hashOf(encoded) !== match?.[1]) invalid('the hash is of another document');
  const bytes = fromBase58(encoded.slice(1), MAX_ENCODED);
  if (bytes[0] !== JSON_CODE[0] || bytes[1] !== JSON_CODE[1]) invalid('the document is not JSON');
  let document: Record<string, unknown>;
  try {
    document = parseJsonObject(bytes.subarray(2), { maxBytes: MAX_ENCODED, maxDepth: 16 });
  } catch {
    return invalid('the document is not JSON');
  }
  if ('id' in document) invalid('the document has an id');
  return document;
}

/** The decoded document as that of `id`: with its id, its other name, and itself as the controller of keys that name none. */
function contextualise(document: Record<string, unknown>, id: string, alias: string): DidDocument {
  const known = Array.isArray(document.alsoKnownAs) ? (document.alsoKnownAs as unknown[]) : [];
  const doc: Record<string, unknown> = { ...document, id, alsoKnownAs: [...known, alias] };
  const withController = (item: unknown): unknown =>
    typeof item === 'object' && item !== null && !Array.isArray(item) && !('controller' in item) ? { ...item, controller: id } : item;
  for (const name of [
    'verificationMethod',
    'authentication',
    'assertionMethod',
    'keyAgreement',
    'capabilityInvocation',
    'capabilityDelegation',
  ]) {
    const items = doc[name];
    if (Array.isArray(items)) doc[name] = items.map(withController);
  }
  return checkDidDocument(doc, id);
}

/** The encoded form of a service endpoint that means "I fetch my mail over the connection that I open" (RFC 0092 and what Credo writes). */
export const QUEUE_ENDPOINT = 'didcomm:transport/queue';
