import { gunzipSync } from 'node:zlib';
import { JsonRefused, parseJsonObject } from '../../didcomm/safe-json.ts';
import { AppError } from '../../errors.ts';
import type { Action, DelegatedCapability } from '../../ports/capabilities.ts';

/**
 * The bounds and the shape of a request and of its chain of capabilities, checked before any verification. A capability has the members of ZCAP-LD and no others, so that
 * the cost of its canonical form grows with its size alone.
 */

/** Links of a chain, the root included. */
export const MAX_CHAIN = 5;
export const MAX_DELEGATION_MS = 90 * 24 * 3600_000;
const MAX_AUTHORIZATION = 1024;
const MAX_INVOCATION = 12_000;
/** The size of a capability when it is unpacked, in bytes. */
const MAX_CAPABILITY = 32_768;
/** The longest validity of a signature, in seconds. The client's are valid for ten minutes. */
const MAX_SIGNATURE_LIFE = 900;

const DID = /^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$/;
const KEY_ID = /^(did:key:(z6Mk[1-9A-HJ-NP-Za-km-z]{44}))#\2$/;
/** The signature has one spelling: a repeated request is known by it. */
const AUTHORIZATION =
  /^Signature keyId="([^"]{1,200})",headers="([a-z() -]{1,200})",signature="([A-Za-z0-9+/]{85}[AQgw]==)",created="(\d{1,12})",expires="(\d{1,12})"$/;
const INVOCATION = /^zcap (?:id="(urn:zcap:root:[^"\s]{1,2000})"|capability="([A-Za-z0-9_-]{1,11000})"),action="(read|write)"$/;
const URN = /^urn:(?:uuid:[0-9a-f-]{36}|zcap:[A-Za-z0-9:._~%-]{1,2000})$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

const refuse = (why: string): never => {
  throw new AppError('forbidden', why);
};

/** The DID of a key's id; undefined for one that is no Ed25519 key of a did:key. */
export const didOfKey = (keyId: string): string | undefined => KEY_ID.exec(keyId)?.[1];

/** The parts of a signed request, within their bounds. `capability`: the one that it names whole; absent where it names a root. */
export function partsOf(
  headers: Readonly<Record<string, string>>,
  action: Action,
  now: number,
): { keyId: string; signature: string; capability?: Record<string, unknown> } {
  const { authorization = '', 'capability-invocation': invocation = '' } = headers;
  if (authorization.length > MAX_AUTHORIZATION || invocation.length > MAX_INVOCATION) refuse('headers too large');
  const [, keyId = '', , signature = '', created, expires] = AUTHORIZATION.exec(authorization) ?? refuse('no signature');
  if (didOfKey(keyId) === undefined) refuse('the key is no Ed25519 did:key');
  if (Number(expires) - Number(created) > MAX_SIGNATURE_LIFE || Number(expires) * 1000 < now)
    refuse('the signature is too old, or valid for too long');
  const [, , packed, done] = INVOCATION.exec(invocation) ?? refuse('no capability');
  if (done !== action) refuse('another action');
  return { keyId, signature, capability: packed === undefined ? undefined : unpacked(packed) };
}

function unpacked(packed: string): Record<string, unknown> {
  try {
    return parseJsonObject(gunzipSync(Buffer.from(packed, 'base64url'), { maxOutputLength: MAX_CAPABILITY }), { maxDepth: 4 * MAX_CHAIN });
  } catch (error) {
    if (error instanceof JsonRefused || error instanceof RangeError || (error as { code?: string }).code?.startsWith('Z_'))
      return refuse('the capability cannot be read');
    throw error;
  }
}

const MEMBERS = ['@context', 'id', 'controller', 'parentCapability', 'invocationTarget', 'expires', 'allowedAction', 'proof'];
const PROOF = ['type', 'created', 'verificationMethod', 'proofPurpose', 'capabilityChain', 'proofValue'];

/**
 * The links of a delegated capability, from the root on: each within its bounds, none expired. Their signatures are not verified here.
 * @param contexts the contexts of every link
 * @throws AppError `forbidden`
 */
export function linksOf(capability: unknown, contexts: readonly string[], now: number): readonly DelegatedCapability[] {
  const links: DelegatedCapability[] = [];
  for (let one = capability, depth = 1; ; depth++) {
    if (depth >= MAX_CHAIN) refuse('the chain is too long');
    const { link, chain } = linkOf(one, contexts, now);
    links.unshift(link);
    const parent = chain.at(-1);
    if (typeof parent === 'string') return links;
    one = parent;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown, shape: RegExp): value is string => typeof value === 'string' && value.length <= 2048 && shape.test(value);

function linkOf(value: unknown, contexts: readonly string[], now: number): { link: DelegatedCapability; chain: readonly unknown[] } {
  if (!isObject(value) || !Object.keys(value).every((name) => MEMBERS.includes(name))) return refuse('no capability');
  const { id, controller, parentCapability: parent, invocationTarget: target, expires, allowedAction: allowed, proof } = value;
  if (!isObject(proof) || !Object.keys(proof).every((name) => PROOF.includes(name))) return refuse('no proof');
  const { type, created, verificationMethod: method, proofPurpose: purpose, capabilityChain: chain, proofValue } = proof;
  const context = value['@context'];
  if (!Array.isArray(context) || context.length !== contexts.length || !context.every((one, i) => one === contexts[i]))
    refuse('other contexts');
  if (!isText(id, URN) || !isText(parent, URN) || !isText(controller, DID) || !isText(target, /^https?:\/\/\S+$/))
    return refuse('no capability');
  if (!isText(expires, TIME) || !isText(created, TIME)) return refuse('no times');
  const actions = allowed === undefined || Array.isArray(allowed) ? (allowed ?? []) : [allowed];
  if (actions.length > 10 || !actions.every((one: unknown) => isText(one, /^[a-z]{1,20}$/))) refuse('other actions');
  const delegator = isText(method, KEY_ID) ? didOfKey(method) : undefined;
  if (type !== 'Ed25519Signature2020' || purpose !== 'capabilityDelegation' || !isText(proofValue, /^z[1-9A-HJ-NP-Za-km-z]{80,90}$/))
    return refuse('another proof');
  if (delegator === undefined || !Array.isArray(chain) || chain.length === 0 || chain.length >= MAX_CHAIN) return refuse('another chain');
  if (!chain.slice(0, -1).every((one) => isText(one, URN)) || !(isText(chain.at(-1), URN) || isObject(chain.at(-1))))
    refuse('another chain');
  const [until, from] = [Date.parse(expires), Date.parse(created)];
  if (!(until > now)) refuse('the capability has expired');
  if (!(until - from <= MAX_DELEGATION_MS)) refuse('the capability lasts too long');
  return { link: { id, delegator, controller, target, expires: until }, chain };
}
