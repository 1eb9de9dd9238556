import { defineProtocol } from '../kernel/protocol.ts';
import type { LockedContext } from '../kernel/public-route.ts';
import type { PublicAnswer, PublicRequest } from '../ports/public.ts';
import { wallet } from '../records/wallet.ts';

/** SHA-256 in base58. */
const HASH = /^[1-9A-HJ-NP-Za-km-z]{43,44}$/;
/** Bytes that are read at once. */
const PIECE = 256 << 10;

/**
 * The tails files that wallets of this instance publish, by hash: for everyone, the same for ever, whole or in ranges (RFC 9110 section 14), also while
 * the wallet is locked: holders need them whatever their issuer does. There is no list of them, and nothing can be put here.
 */
export const tailsFiles = defineProtocol({
  name: 'tails',
  uris: [],
  binds: wallet,
  stateless: true,
  messages: {},
  publicRoutes: [
    {
      route: 'GET /tails/{hash}',
      owner: { kind: 'tails', name: ({ hash = '' }) => (HASH.test(hash) ? `tails ${hash}` : undefined) },
      locked: (request, ctx) => serve(ctx, request),
      handle: serve,
    },
  ],
});

async function serve(ctx: LockedContext, { headers }: PublicRequest): Promise<PublicAnswer | undefined> {
  const hash = ctx.target!;
  const name = `tails/${hash}`;
  const found = await ctx.blobs.stat(name);
  if (!found) return undefined;
  const { size } = found;
  const etag = `"${hash}"`;
  const common = {
    'content-type': 'application/octet-stream',
    'cache-control': 'public, max-age=31536000, immutable',
    'accept-ranges': 'bytes',
    etag,
  };
  const known = headers['if-none-match']?.split(',').map((one) => one.trim().replace(/^W\//, ''));
  if (known?.some((one) => one === etag || one === '*')) return { status: 304, headers: common };
  const current = headers['if-range'] === undefined || headers['if-range'] === etag;
  const range = current ? rangeOf(headers.range, size) : undefined;
  if (range === 'unsatisfiable') return { status: 416, headers: { 'content-range': `bytes */${size}` } };
  const { first, last } = range ?? { first: 0, last: size - 1 };
  const length = last - first + 1;
  return {
    status: range ? 206 : 200,
    headers: {
      ...common,
      'content-length': String(length),
      ...(range && { 'content-range': `bytes ${first}-${last}/${size}` }),
    },
    body: pieces(ctx, name, first, length),
  };
}

/** One range of bytes; undefined for none, several, or what is no range: then the whole is answered. */
function rangeOf(header: string | undefined, size: number): { first: number; last: number } | 'unsatisfiable' | undefined {
  const [, from, to] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return undefined;
  if (from === '') return Number(to) === 0 ? 'unsatisfiable' : { first: Math.max(0, size - Number(to)), last: size - 1 };
  if (to !== '' && Number(to) < Number(from)) return undefined;
  if (Number(from) >= size) return 'unsatisfiable';
  return { first: Number(from), last: to === '' ? size - 1 : Math.min(Number(to), size - 1) };
}

async function* pieces({ blobs }: LockedContext, name: string, from: number, length: number): AsyncIterable<Uint8Array> {
  for (let offset = from; offset < from + length; offset += PIECE) {
    const piece = await blobs.read(name, { offset, length: Math.min(PIECE, from + length - offset) });
    if (!piece) return;
    yield piece;
  }
}
