import { randomUUID } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { PublicContext } from '../../kernel/public-route.ts';
import { validator } from '../../kernel/schema.ts';
import type { JsonObject } from '../../ports/json.ts';
import { MAX_WHOLE_ANSWER, type PublicAnswer, type PublicRequest } from '../../ports/public.ts';
import { chunkBlob, chunkId, edvChunk } from '../../records/edv-chunk.ts';
import { attributeTag, documentId, edvDocument, presenceTag } from '../../records/edv-document.ts';
import { type Admitted, parsed } from './admission.ts';
import { Chunk, Query } from './shapes.ts';

/** Bytes of a chunk that are read at once. */
const PIECE = 256 << 10;
const DEFAULT_LIMIT = 1000;
/** Documents that a search reads at once; together they are no more than one answer has. */
const PAGE = 16;
/** Bytes of documents that one answer has. */
const MAX_ANSWER = 16 << 20;

/** The answer of a route to an admitted request. */
export type Act = (ctx: PublicContext, request: PublicRequest, admitted: Admitted) => Promise<PublicAnswer | undefined>;

/** Runs a command of the vault. `key`: equal in each repetition of the request. */
export type Write = (ctx: PublicContext, vault: string, command: string, body: object, key?: string) => Promise<JsonObject>;

/** An answer in JSON, in pieces where it is long. */
export function json(value: unknown): PublicAnswer {
  const bytes = Buffer.from(JSON.stringify(value));
  const headers = { 'content-type': 'application/json', 'content-length': String(bytes.length) };
  if (bytes.length <= MAX_WHOLE_ANSWER) return { status: 200, headers, body: bytes };
  return { status: 200, headers, body: piecesOf(bytes) };
}

async function* piecesOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

/** A chunk, as it was written. */
export const readChunk: Act = async ({ load, params, blobs }, _request, { vault }) => {
  const [[row] = []] = await load([
    { category: edvChunk.category, id: chunkId(documentId(vault.id, params.document!), Number(params.chunk)) },
  ]);
  if (!row) return undefined;
  const { blob, size } = edvChunk.of(row).value;
  async function* pieces(): AsyncIterable<Uint8Array> {
    for (let offset = 0; offset < size; offset += PIECE) {
      const piece = await blobs.read(blob, { offset, length: Math.min(PIECE, size - offset) });
      if (!piece) return;
      yield piece;
    }
  }
  return { status: 200, headers: { 'content-type': 'application/json', 'content-length': String(size) }, body: pieces() };
};

/** Writes a chunk. Its bytes have a name of their own before a record names them, so that a reader gets the former chunk or the new one. */
export async function writeChunk(
  write: Write,
  ctx: PublicContext,
  request: PublicRequest,
  { vault, invoked }: Admitted,
): Promise<PublicAnswer> {
  const { index, sequence } = parsed(request, validator(Chunk));
  const { document: id } = ctx.params as { document: string };
  if (index !== Number(ctx.params.chunk)) throw new AppError('bad-request', 'the chunk has another index');
  const size = request.body.length;
  const [[row] = [], [former] = []] = await ctx.load([
    { category: edvDocument.category, id: documentId(vault.id, id) },
    { category: edvChunk.category, id: chunkId(documentId(vault.id, id), index) },
  ]);
  if (!row) throw new AppError('not-found');
  // the command decides; this check only spares writing bytes that it would refuse
  if (edvDocument.of(row).value.document.sequence !== sequence) throw new AppError('not-current');
  if (vault.value.bytes + size - (edvChunk.of(former)?.value.size ?? 0) > vault.value.quota) throw new AppError('vault-full');
  const blob = chunkBlob(vault.id, id, index, randomUUID());
  await ctx.blobs.put(blob, request.body);
  const drop = (name: string): Promise<void> =>
    ctx.blobs.remove(name).catch((error: unknown) => ctx.log.warn({ err: error }, 'a chunk that nothing names stays for a while'));
  try {
    // the signature is the key: a request that is repeated puts no former chunk back
    const answer = await write(ctx, vault.id, 'chunk', { document: id, index, sequence, size, blob }, invoked.signature);
    if (answer.blob !== blob) await drop(blob);
    else if (answer.former) await drop(answer.former as string);
  } catch (error) {
    // after any other error the commit may have happened: the sweep decides
    if (error instanceof AppError && REFUSED.includes(error.code)) await drop(blob);
    throw error;
  }
  return { status: 204 };
}

const REFUSED: readonly string[] = ['not-current', 'not-found', 'vault-full'];

/** Documents by blinded attributes: each member of `equals` is a choice, all of its attributes must fit. */
export const find: Act = async (ctx, request, { vault }) => {
  const { index, equals, has, count, limit = DEFAULT_LIMIT, returnDocuments } = parsed(request, validator(Query));
  if ((equals === undefined) === (has === undefined)) throw new AppError('bad-request', 'either equals or has');
  const wholes = (returnDocuments ?? request.query.get('returnDocuments') !== 'false') && !count;
  const choices = equals
    ? equals.map((one) => Object.fromEntries(Object.entries(one).map(([name, value]) => [attributeTag(vault.id, index, name), value])))
    : [Object.fromEntries(has!.map((name) => [presenceTag(vault.id, index, name), '1']))];
  if (count && choices.length === 1) {
    const { total } = await ctx.find(edvDocument.category, { tags: choices[0], limit: 1 });
    return json({ count: total });
  }
  /** The ids of documents, by their places, and their sizes. The documents are read again when their receiver is ready for them. */
  const found = new Map<string, { readonly id: string; readonly size: number }>();
  let more = false;
  let bytes = 0;
  for (const tags of choices) {
    for (let cursor: string | undefined, last = false; !last; ) {
      const page = await ctx.find(edvDocument.category, { tags, limit: Math.min(PAGE, limit), cursor });
      for (const row of page.rows) {
        if (found.has(row.id)) continue;
        const { document, size } = edvDocument.of(row).value;
        bytes += wholes ? size : 0;
        if (found.size >= limit || (bytes > MAX_ANSWER && found.size > 0)) more = true;
        else found.set(row.id, { id: document.id, size });
      }
      cursor = page.next;
      last = cursor === undefined || found.size >= limit || more;
      more ||= cursor !== undefined && last;
    }
  }
  if (count) return json({ count: found.size });
  if (!wholes) return json({ documentIds: [...found.values()].map(({ id }) => id), hasMore: more });
  return { status: 200, headers: { 'content-type': 'application/json' }, body: documentsOf(ctx, found, more) };
};

/** The answer of a search. A slow receiver holds no more of it in memory than `PIECE`, or one document. */
async function* documentsOf(
  { load }: Pick<PublicContext, 'load'>,
  found: ReadonlyMap<string, { readonly size: number }>,
  hasMore: boolean,
): AsyncIterable<Uint8Array> {
  const groups: string[][] = [];
  let bytes = 0;
  for (const [id, { size }] of found) {
    bytes += size;
    if (groups.length === 0 || bytes > PIECE) {
      groups.push([]);
      bytes = size;
    }
    groups.at(-1)!.push(id);
  }
  yield Buffer.from('{"documents":[');
  let comma = '';
  for (const group of groups) {
    const rows = (await load(group.map((id) => ({ category: edvDocument.category, id })))).flat();
    if (rows.length === 0) continue;
    yield* piecesOf(Buffer.from(comma + rows.map((row) => JSON.stringify(edvDocument.of(row).value.document)).join(',')));
    comma = ',';
  }
  yield Buffer.from(`],"hasMore":${hasMore}}`);
}
