import { createHash, randomBytes } from 'node:crypto';
import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { AppError } from '../errors.ts';
import type { Extent } from '../ports/carry.ts';
import type { JsonObject } from '../ports/json.ts';
import { type RecoveryJwk, thumbprint } from './recovery.ts';

/**
 * The container of a backup: lines of text, each a JWE in compact form (RFC 7516). The first, for the recovery key, holds the head with a fresh key. Each of the
 * others is encrypted under that key: pieces of one gzip stream of JSON lines, numbered from 1, and an end with their digest. docs/Backup.md is its specification.
 */

export const FORMAT = 'flexid-backup/1';
const TYPE = 'flexid-backup+jwe';
/** Bytes of the compressed stream in one line. */
const PIECE_BYTES = 1 << 20;
/** Bounds of input: a line of the container, and a line of JSON in it. */
const MAX_LINE = 4 << 20;
const MAX_JSON = 32 << 20;

export interface Head {
  readonly format: typeof FORMAT;
  /** Rises with each backup of a wallet. */
  readonly generation: number;
  /** RFC 3339. */
  readonly created: string;
  readonly extent: Extent;
  /** The wallet, where it is not all of an instance. */
  readonly wallet?: string;
  /** Version of the agent. */
  readonly agent: string;
}

/** The content of the last line: facts about the lines before it. */
export interface Tail {
  readonly pieces: number;
  /** SHA-256 of the JSON lines, in hex. */
  readonly sha256: string;
  readonly counts: Readonly<Record<string, number>>;
}

/** JSON lines, counted and hashed as they pass. */
function tally() {
  const hash = createHash('sha256');
  const counts: Record<string, number> = {};
  return {
    add(line: Uint8Array | string, type: unknown): void {
      hash.update(line).update('\n');
      const name = String(type);
      counts[name] = (counts[name] ?? 0) + 1;
    },
    end: (pieces: number): Tail => ({ pieces, sha256: hash.digest('hex'), counts }),
  };
}

/**
 * A container of these lines, as text, a line of it at a time.
 * @param recovery the recovery public key
 */
export async function* sealContainer(
  recovery: RecoveryJwk,
  head: Omit<Head, 'format'>,
  lines: AsyncIterable<JsonObject>,
): AsyncGenerator<string, Tail> {
  const { kty, crv, x } = recovery;
  const key = randomBytes(32);
  const whole = { format: FORMAT, ...head, key: { kty: 'oct', k: key.toString('base64url') } };
  yield `${await new CompactEncrypt(bytesOf(whole))
    .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', typ: TYPE, kid: thumbprint(recovery), generation: head.generation })
    .encrypt({ kty, crv, x })}\n`;
  const piece = async (bytes: Uint8Array, n: number, end?: true): Promise<string> =>
    `${await new CompactEncrypt(bytes).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', n, ...(end && { end }) }).encrypt(key)}\n`;
  const tallied = tally();
  async function* text(): AsyncGenerator<string> {
    for await (const line of lines) {
      const written = JSON.stringify(line);
      tallied.add(written, line.type);
      yield `${written}\n`;
    }
  }
  let n = 0;
  let waiting: Buffer[] = [];
  let size = 0;
  for await (const bytes of through(text(), createGzip())) {
    waiting.push(bytes);
    size += bytes.length;
    if (size < PIECE_BYTES) continue;
    yield await piece(Buffer.concat(waiting), ++n);
    waiting = [];
    size = 0;
  }
  if (size > 0) yield await piece(Buffer.concat(waiting), ++n);
  const tail = tallied.end(n);
  yield await piece(bytesOf(tail), n + 1, true);
  return tail;
}

const bytesOf = (value: object): Uint8Array => Buffer.from(JSON.stringify(value));

/** The output of a transform. A failure of the source is one of the output. */
function through(source: AsyncIterable<string | Uint8Array>, transform: Transform): AsyncIterable<Buffer> {
  // the iteration of the transform has the error, too
  pipeline(Readable.from(source), transform, () => {});
  return transform;
}

/** A container that is open: its head, and its lines, which are whole only where their iteration ended without an error. */
export interface OpenedContainer {
  readonly head: Head;
  readonly lines: AsyncGenerator<JsonObject, Tail>;
}

const damaged = (what: string, cause?: unknown): AppError => new AppError('bad-request', `The backup is damaged: ${what}`, { cause });

/**
 * Opens a container. Nothing of it is to be used before all of it was read.
 * @throws AppError `unauthorized` where it was made for other words, `bad-request` where it is none or is damaged; so does the iteration of its lines
 */
export async function openContainer(bytes: AsyncIterable<Uint8Array>, secret: RecoveryJwk): Promise<OpenedContainer> {
  const tokens = linesOf(bytes, MAX_LINE, 'a line of it is too long');
  const first = await tokens.next();
  if (first.done) throw new AppError('bad-request', 'The file is empty');
  const { head, key } = await openHead(first.value.toString('latin1'), secret);
  return { head, lines: openLines(tokens, key) };
}

/** Whether a token is in the one form that its bytes have: decoders take others, too. */
const isCanonical = (token: string): boolean =>
  token.split('.').every((part) => Buffer.from(part, 'base64url').toString('base64url') === part);

/** @throws AppError as `openContainer` */
async function openHead(token: string, secret: RecoveryJwk): Promise<{ head: Head; key: Uint8Array }> {
  let header: { typ?: string; kid?: string };
  try {
    header = decodeProtectedHeader(token);
  } catch {
    header = {};
  }
  if (header.typ !== TYPE) throw new AppError('bad-request', 'The file is no backup');
  if (header.kid !== thumbprint(secret)) throw new AppError('unauthorized', 'The backup was made for other words');
  let head: Head & { key?: { k?: unknown } };
  try {
    if (!isCanonical(token)) throw new Error('another form');
    const { plaintext } = await compactDecrypt(token, secret, {
      keyManagementAlgorithms: ['ECDH-ES+A256KW'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    head = JSON.parse(Buffer.from(plaintext).toString()) as typeof head;
  } catch (error) {
    throw damaged('its first line does not open', error);
  }
  const { key: jwk, ...rest } = head;
  const key = Buffer.from(typeof jwk?.k === 'string' ? jwk.k : '', 'base64url');
  if (rest.format !== FORMAT)
    throw new AppError('bad-request', `The backup has the format ${JSON.stringify(rest.format)}; this agent reads ${FORMAT}`);
  if (key.length !== 32 || !Number.isSafeInteger(rest.generation)) throw damaged('its head is incomplete');
  return { head: rest, key };
}

async function* openLines(tokens: AsyncGenerator<Buffer>, key: Uint8Array): AsyncGenerator<JsonObject, Tail> {
  let tail: Tail | undefined;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    let n = 0;
    for await (const bytes of tokens) {
      if (tail) throw damaged('something follows its end');
      n += 1;
      const token = bytes.toString('latin1');
      if (!isCanonical(token)) throw damaged(`line ${n + 1} does not open`);
      const opened = await compactDecrypt(token, key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      }).catch((error: unknown) => {
        throw damaged(`line ${n + 1} does not open`, error);
      });
      if (opened.protectedHeader.n !== n) throw damaged(`line ${n + 1} stands in the place of another`);
      if (opened.protectedHeader.end === true) tail = JSON.parse(Buffer.from(opened.plaintext).toString()) as Tail;
      else yield opened.plaintext;
    }
    if (!tail) throw damaged('its end is missing');
    if (tail.pieces !== n - 1) throw damaged('it has another number of lines');
  }
  const tallied = tally();
  try {
    for await (const line of linesOf(through(pieces(), createGunzip()), MAX_JSON, 'a record in it is too long')) {
      const value = JSON.parse(line.toString()) as JsonObject;
      if (typeof value !== 'object' || value === null) throw damaged('a line in it is no object');
      tallied.add(line, value.type);
      yield value;
    }
  } catch (error) {
    throw error instanceof AppError ? error : damaged('its content does not open', error);
  }
  const read = tallied.end(tail!.pieces);
  if (read.sha256 !== tail!.sha256) throw damaged('its content is another than its end says');
  return read;
}

/** Lines without their ends. @throws AppError `bad-request` for one that is too long */
async function* linesOf(source: AsyncIterable<Uint8Array>, max: number, tooLong: string): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let size = 0;
  for await (const bytes of source) {
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      yield Buffer.concat([...rest, bytes.subarray(from, at)]);
      rest = [];
      size = 0;
      from = at + 1;
    }
    if (from < bytes.length) rest.push(Buffer.from(bytes.subarray(from)));
    size += bytes.length - from;
    if (size > max) throw damaged(tooLong);
  }
  if (size > 0) yield Buffer.concat(rest);
}
