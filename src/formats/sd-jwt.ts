import { createHash, randomBytes } from 'node:crypto';
import { fromBase64url, toBase64url } from '../didcomm/encoding.ts';
import { JsonRefused, parseJson, parseJsonObject } from '../didcomm/safe-json.ts';
import { AppError } from '../errors.ts';
import type { Json, JsonObject } from '../ports/json.ts';

/** SD-JWT (RFC 9901), the compact form: what is disclosable and what was disclosed. Signatures are the caller's. */

/** By the names of IANA's hash registry that `_sd_alg` uses; the first is meant where it is absent. */
const HASHES: Readonly<Record<string, string>> = { 'sha-256': 'sha256', 'sha-384': 'sha384', 'sha-512': 'sha512' };
/** Claims that verifiers need: the issuer, the times and the holder. */
const OPEN = ['iss', 'iat', 'nbf', 'exp', 'cnf'];
/** Things that one SD-JWT discloses or may disclose: each costs a hash, a random salt and a place. */
const MAX_DISCLOSURES = 1000;
/** Elements of arrays and members of objects: each is looked at, whether it may be disclosed or not. */
const MAX_VALUES = 20_000;
/** Objects and arrays within each other, disclosed ones included. */
const MAX_DEPTH = 100;

const refuse = (what: string): never => {
  throw new AppError('bad-request', `The SD-JWT is not valid: ${what}`);
};

const digest = (hash: string, text: string): string => toBase64url(createHash(hash).update(text, 'ascii').digest());
const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** One thing that the holder may show or not: section 4.2. */
function disclose(disclosures: string[], ...parts: Json[]): string {
  if (disclosures.length >= MAX_DISCLOSURES)
    throw new AppError('unprocessable', `The payload has more than ${MAX_DISCLOSURES} claims and elements that may be disclosed`);
  const text = toBase64url(Buffer.from(JSON.stringify([toBase64url(randomBytes(16)), ...parts]), 'utf8'));
  disclosures.push(text);
  return digest('sha256', text);
}

/** The ranges of elements that paths name, by the path of their array: in order and none within another, so that one pass over the array is enough. */
function rangesOf(paths: readonly string[]): Map<string, { from: number; to: number }[]> {
  const ranges = paths.flatMap((path) => {
    const [, of, from, to] = /^(.*)\[(\d+):(\d+)\]$/.exec(path) ?? [];
    return of === undefined || Number(from) >= Number(to) ? [] : [{ of, from: Number(from), to: Number(to) }];
  });
  const byPath = new Map<string, { from: number; to: number }[]>();
  for (const { of, from, to } of ranges.sort((a, b) => a.from - b.from)) {
    const own = byPath.get(of) ?? [];
    byPath.set(of, own);
    const last = own.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else own.push({ from, to });
  }
  return byPath;
}

/**
 * A payload in which every claim and every plain element of an array is disclosable, but for what verifiers must see and what `open` names, as ACA-Py has it: paths as in
 * `address.street`, `nationalities[0]`, `nationalities[1:3]`.
 * @throws AppError `bad-request` for a claim that SD-JWT keeps for itself, `unprocessable` for more than 1,000 things to disclose, or 20,000 in all
 */
export function concealed(payload: JsonObject, open: readonly string[]): { payload: JsonObject; disclosures: string[] } {
  const named = new Set(open);
  const ranges = rangesOf(open);
  // to look for a path means to read it, and names may be as long as the body: what is longer than all that is named is not looked for
  const longest = Math.max(0, ...open.map((path) => path.length));
  const isNamed = (path: string): boolean => path.length <= longest && named.has(path);
  const disclosures: string[] = [];
  let values = 0;
  const count = (more: number): void => {
    values += more;
    if (values > MAX_VALUES) throw new AppError('unprocessable', `The payload has more than ${MAX_VALUES} claims and elements`);
  };

  const walk = (value: Json, path: string): Json => {
    if (Array.isArray(value)) {
      count(value.length);
      const own = (path.length <= longest && ranges.get(path)) || [];
      let next = 0;
      return value.map((item, i) => {
        const at = `${path}[${i}]`;
        if (typeof item === 'object' && item !== null) return walk(item, at);
        while (next < own.length && own[next]!.to <= i) next++;
        const shown = isNamed(at) || (next < own.length && own[next]!.from <= i);
        return shown ? item : { '...': disclose(disclosures, item) };
      });
    }
    if (!isObject(value)) return value;
    const out: JsonObject = {};
    const hidden: string[] = [];
    const members = Object.entries(value);
    count(members.length);
    for (const [name, member] of members) {
      if (name === '_sd' || name === '...' || (name === '_sd_alg' && path === '')) refuse(`a claim is called ${name}`);
      const at = path === '' ? name : `${path}.${name}`;
      // claims that verifiers must see are shown whole, as the keys in `cnf`
      if (OPEN.includes(name)) out[name] = member;
      else if (isNamed(at)) out[name] = walk(member, at);
      else hidden.push(disclose(disclosures, name, walk(member, at)));
    }
    // in no order that shows which claim is which (section 4.2.4.1)
    return hidden.length > 0 ? { ...out, _sd: hidden.sort() } : out;
  };
  const made = walk(payload, '') as JsonObject;
  return { payload: disclosures.length > 0 ? { ...made, _sd_alg: 'sha-256' } : made, disclosures };
}

/** An SD-JWT in its parts: nothing of it is verified. */
export interface SdJwtParts {
  readonly jwt: string;
  readonly disclosures: readonly string[];
  /** The key binding JWT, and what its `sd_hash` is over (section 4.3.1). */
  readonly binding?: { readonly jwt: string; readonly over: string };
}

/** Takes the compact form apart. @throws AppError `bad-request` for a token without a tilde */
export function sdJwtParts(text: string): SdJwtParts {
  const [jwt, ...rest] = text.split('~') as [string, ...string[]];
  const last = rest.pop();
  if (last === undefined) return refuse('no tilde');
  const binding = last === '' ? undefined : { jwt: last, over: text.slice(0, text.length - last.length) };
  return { jwt, disclosures: rest, binding };
}

/** The name in `_sd_alg` as Node.js calls it. @throws AppError `bad-request` */
function hashOf(payload: JsonObject): string {
  const name = payload._sd_alg ?? 'sha-256';
  const known = typeof name === 'string' && Object.hasOwn(HASHES, name) ? HASHES[name] : undefined;
  return known ?? refuse('_sd_alg');
}

/** The value of `sd_hash` in a key binding JWT. */
export const sdHash = (payload: JsonObject, over: string): string => digest(hashOf(payload), over);

/** Disclosures as the arrays that they are. @throws AppError `bad-request` */
export function readDisclosures(disclosures: readonly string[]): Json[][] {
  if (disclosures.length > MAX_DISCLOSURES) return refuse(`more than ${MAX_DISCLOSURES} disclosures`);
  return disclosures.map((text) => {
    let value: unknown;
    try {
      value = parseJson(fromBase64url(text) ?? refuse('a disclosure is not base64url'));
    } catch (error) {
      if (error instanceof JsonRefused) return refuse('a disclosure is not JSON');
      throw error;
    }
    if (!Array.isArray(value) || value.length < 2 || value.length > 3 || typeof value[0] !== 'string') return refuse('a disclosure');
    if (value.length === 3 && (typeof value[1] !== 'string' || ['_sd', '...', '__proto__'].includes(value[1]))) refuse('a disclosed name');
    return value as Json[];
  });
}

/**
 * The payload with what was disclosed in its places (section 7.1, steps 3 to 5).
 * @throws AppError `bad-request` for a digest that is there twice, a disclosure that has no place, a claim that is there already
 */
export function revealed(payload: JsonObject, disclosures: readonly string[]): JsonObject {
  const hash = hashOf(payload);
  const values = readDisclosures(disclosures);
  const byDigest = new Map(disclosures.map((text, i) => [digest(hash, text), values[i]!]));
  if (byDigest.size !== disclosures.length) refuse('a disclosure is there twice');
  const seen = new Set<string>();

  /** The disclosure of a digest, where it was made; a digest has one place. */
  const take = (found: unknown, size: number): Json[] | undefined => {
    if (typeof found !== 'string') return refuse('a digest is no text');
    if (seen.has(found)) refuse('a digest is there twice');
    seen.add(found);
    const parts = byDigest.get(found);
    if (parts && parts.length !== size) refuse('a disclosure of the other kind');
    byDigest.delete(found);
    return parts;
  };
  const walk = (value: Json, depth: number): Json => {
    if (depth > MAX_DEPTH) return refuse('too deep');
    if (Array.isArray(value)) {
      return value.flatMap((item) => {
        if (!isObject(item) || !('...' in item)) return [walk(item, depth + 1)];
        if (Object.keys(item).length !== 1) return refuse('a placeholder with other members');
        const parts = take(item['...'], 2);
        return parts ? [walk(parts[1]!, depth + 1)] : [];
      });
    }
    if (!isObject(value)) return value;
    const { _sd: digests, ...rest } = value;
    if ('...' in rest) refuse('a placeholder outside an array');
    const out: JsonObject = Object.fromEntries(Object.entries(rest).map(([name, member]) => [name, walk(member as Json, depth + 1)]));
    if (digests !== undefined && !Array.isArray(digests)) refuse('_sd is no list');
    for (const one of (digests ?? []) as Json[]) {
      const parts = take(one, 3);
      if (!parts) continue;
      const name = parts[1] as string;
      if (Object.hasOwn(out, name)) refuse('a disclosed claim is there already');
      out[name] = walk(parts[2]!, depth + 1);
    }
    return out;
  };
  const { _sd_alg: _, ...claims } = payload;
  const out = walk(claims, 0) as JsonObject;
  if (byDigest.size > 0) refuse('a disclosure has no place');
  return out;
}

/** The payload of a JWT, unverified. @throws AppError `bad-request` */
export function jwtPayload(jwt: string): JsonObject {
  try {
    return parseJsonObject(fromBase64url(jwt.split('.')[1] ?? '') ?? refuse('its payload')) as JsonObject;
  } catch (error) {
    if (error instanceof JsonRefused) return refuse('its payload is not JSON');
    throw error;
  }
}
