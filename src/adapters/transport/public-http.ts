import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../../ports/log.ts';
import { MAX_WHOLE_ANSWER, type PublicAnswer, type PublicMatch } from '../../ports/public.ts';

/** How long a handler may take. A command waits 15 s for what it caused. */
const HOLD_MS = 25_000;
/** How long the receiver of an answer may read nothing of it. */
const STALL_MS = 10_000;
/** Bytes of an answer that are written at once. */
const PIECE = 64 << 10;
/** Answers that are on their way: of one address, and of all. */
const SENDING_EACH = 128;
const MAX_SENDING = 1024;

/** Headers that the admin API knows its callers by: what is sent here by mistake goes no further. */
const SECRET = new Set(['x-api-key', 'cookie', 'proxy-authorization']);
/** Headers of the connection, which are the server's own (RFC 9110 section 7.6.1). */
const HOP = /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length)$/i;

export interface PublicHttpOptions {
  readonly log: Log;
  readonly holdMs?: number;
  readonly stallMs?: number;
  readonly sendingEach?: number;
  readonly maxSending?: number;
}

/** Answers public requests. */
export interface PublicHttp {
  /**
   * Has a request answered by its route, and writes the answer.
   * @param address whose request it is
   * @param begun the answer is known, and only its way to the receiver is left
   * @returns false where it is to be answered as one for an unknown path
   */
  serve(
    match: PublicMatch,
    request: IncomingMessage,
    response: ServerResponse,
    body: Uint8Array,
    address: string,
    begun: () => void,
  ): Promise<boolean>;
}

/** One for all ports of a process, so that its bounds hold for all of them together. */
export function publicHttp(options: PublicHttpOptions): PublicHttp {
  const { log, holdMs = HOLD_MS, stallMs = STALL_MS, sendingEach = SENDING_EACH, maxSending = MAX_SENDING } = options;
  /** Answers on their way, by address. */
  const sending = new Map<string, number>();
  let total = 0;

  /** The answer, unless it takes too long: then 503, and its handler's signal aborts. */
  async function timely(match: PublicMatch, request: IncomingMessage, response: ServerResponse, body: Uint8Array) {
    const abort = new AbortController();
    const aborted = (): void => abort.abort();
    response.once('close', aborted);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<PublicAnswer>((resolve) => {
      timer = setTimeout(() => {
        log.warn({ path: request.url?.split('?')[0]?.slice(0, 200) }, 'a public request was given up: its answer took too long');
        abort.abort();
        resolve({ status: 503, headers: { 'retry-after': '1' } });
      }, holdMs);
    });
    const url = request.url ?? '/';
    const at = url.indexOf('?');
    try {
      const answer = match.answer({
        method: request.method!,
        url,
        query: new URLSearchParams(at < 0 ? '' : url.slice(at)),
        headers: headersOf(request),
        body,
        signal: abort.signal,
      });
      const first = await Promise.race([answer, late]);
      void answer.then((one) => (one === first ? undefined : dispose(one?.body)));
      return first;
    } finally {
      clearTimeout(timer);
      response.off('close', aborted);
    }
  }

  /** Counts an answer while it is on its way. @returns false where too many are */
  function enter(address: string): boolean {
    const own = sending.get(address) ?? 0;
    if (own >= sendingEach || total >= maxSending) return false;
    sending.set(address, own + 1);
    total++;
    return true;
  }
  function leave(address: string): void {
    total--;
    const left = sending.get(address)! - 1;
    if (left === 0) sending.delete(address);
    else sending.set(address, left);
  }

  return {
    async serve(match, request, response, body, address, begun) {
      const answer = await timely(match, request, response, body);
      if (!answer) return false;
      begun();
      if (response.destroyed) {
        await dispose(answer.body);
        return true;
      }
      if (!enter(address)) {
        await dispose(answer.body);
        response.writeHead(503, { 'content-length': 0, 'retry-after': '1' }).end();
        return true;
      }
      try {
        await write(answer, request.method === 'HEAD', response, { stallMs, holdMs });
      } catch (error) {
        log.error({ err: error }, 'a public answer could not be written');
        if (!response.headersSent) response.writeHead(500, { 'content-length': 0 }).end();
        else response.destroy();
      } finally {
        leave(address);
      }
      return true;
    },
  };
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !SECRET.has(name)) out[name] = Array.isArray(value) ? value.join(', ') : value;
  return out;
}

/** Lets an iterable that nobody reads go. */
async function dispose(body: PublicAnswer['body']): Promise<void> {
  if (typeof body === 'object' && !(body instanceof Uint8Array)) await body[Symbol.asyncIterator]().return?.(undefined);
}

/** Writes an answer as fast as it is read. @throws what an iterable throws, and Error for a whole body that is too large */
async function write(
  { status, headers = {}, body }: PublicAnswer,
  head: boolean,
  response: ServerResponse,
  { stallMs, holdMs }: { readonly stallMs: number; readonly holdMs: number },
): Promise<void> {
  const whole = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const bytes = whole ? Buffer.from((body as string | Uint8Array | undefined) ?? '') : undefined;
  if (bytes && bytes.length > MAX_WHOLE_ANSWER) throw new Error(`a whole body of ${bytes.length} bytes: it must be an iterable`);
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  if (typeof body === 'string') response.setHeader('content-type', 'text/plain; charset=utf-8');
  for (const [name, value] of Object.entries(headers)) if (!HOP.test(name)) response.setHeader(name, value);
  const length = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-length')?.[1];
  if (bytes) response.setHeader('content-length', bytes.length);
  // the length of an iterable is its maker's word: the server closes the connection where it does not hold
  else if (length !== undefined) {
    response.setHeader('content-length', length);
    response.strictContentLength = true;
  }
  response.statusCode = status;
  if (head || status === 204 || status === 304) {
    await dispose(body);
    return await flushed(response, stallMs, () => response.end());
  }
  const pieces = (bytes ? piecesOf(bytes) : (body as AsyncIterable<Uint8Array>))[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await next(pieces, response, holdMs);
      if (response.destroyed || done) break;
      await flushed(response, stallMs, () => response.write(value));
    }
  } finally {
    // one that hangs does not end by being asked to
    void pieces.return?.(undefined)?.catch(() => {});
  }
  await flushed(response, stallMs, () => response.end());
}

async function* piecesOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

/** The next piece; none where the receiver is gone first, or the piece takes longer than `ms`. */
function next(pieces: AsyncIterator<Uint8Array>, response: ServerResponse, ms: number): Promise<IteratorResult<Uint8Array>> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      response.off('close', ended);
      act();
    };
    const ended = (): void => settle(() => resolve({ done: true, value: undefined }));
    const timer = setTimeout(() => {
      response.destroy();
      ended();
    }, ms);
    response.once('close', ended);
    pieces.next().then(
      (piece) => settle(() => resolve(piece)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

/** Resolves when what is written may be followed by more, or the connection is closed; one that reads nothing for `stallMs` is. */
function flushed(response: ServerResponse, stallMs: number, act: () => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    if (response.destroyed) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      for (const name of ['drain', 'finish', 'close'] as const) response.off(name, done);
      resolve();
    };
    const timer = setTimeout(() => {
      response.destroy();
      done();
    }, stallMs);
    for (const name of ['drain', 'finish', 'close'] as const) response.on(name, done);
    try {
      if (act() === true) done();
    } catch (error) {
      reject(error);
      done();
    }
  });
}
