import algosdk from 'algosdk';
import { AppError } from '../../errors.ts';

/** How long a request may take, and how large an answer may be. */
const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 4 << 20;
/** How much of a refusal is read: it may quote a whole group, and has the program's stack before its reason. */
const MAX_REFUSAL = 65_536;

/** An answer of algod that is not a success; `status` 400 carries the ledger's reason. */
export class AlgodError extends Error {
  readonly response: { status: number; body: Uint8Array; headers: Record<string, string> };
  constructor(response: AlgodError['response']) {
    super(messageOf(new TextDecoder().decode(response.body.subarray(0, MAX_REFUSAL))) ?? `algod answered ${response.status}`);
    this.name = 'AlgodError';
    this.response = response;
  }
}

const messageOf = (text: string): string | undefined => {
  try {
    const message = (JSON.parse(text) as { message?: unknown } | null)?.message;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
};

const unavailable = (detail: string, cause?: unknown): AppError => new AppError('ledger-unavailable', detail, { cause });

const readBounded = async (response: Response): Promise<Uint8Array> => {
  if (response.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw unavailable('algod sent too large an answer');
    chunks.push(chunk);
  }
  return Uint8Array.from(Buffer.concat(chunks));
};

/**
 * An algosdk client whose requests end: within 10 seconds, within 4 MB, without redirects.
 * A node that is down, slow or failing (5xx, 429, a refused token) is an AppError `ledger-unavailable`; other failures are an AlgodError.
 */
export const algodClient = (base: string, token: string, timeoutMs = TIMEOUT_MS): algosdk.Algodv2 => {
  const root = base.endsWith('/') ? base : `${base}/`;
  const request = async (method: string, path: string, query: object = {}, headers: Record<string, string> = {}, body?: Uint8Array) => {
    const url = new URL(path.replace(/^\/+/, ''), root);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
    try {
      const response = await fetch(url, {
        method,
        headers: { ...headers, 'x-algo-api-token': token },
        body: body === undefined ? undefined : Buffer.from(body),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      const answer = { status: response.status, body: await readBounded(response), headers: Object.fromEntries(response.headers) };
      if (response.status >= 500 || response.status === 429 || response.status === 401)
        throw unavailable(`algod answered ${response.status}`);
      if (!response.ok) throw new AlgodError(answer);
      return answer;
    } catch (error) {
      if (error instanceof AppError || error instanceof AlgodError) throw error;
      throw unavailable(`algod does not answer: ${reasonOf(error)}`, error);
    }
  };
  const http: algosdk.BaseHTTPClient = {
    get: (path, query, headers) => request('GET', path, query, headers),
    post: (path, data, query, headers) => request('POST', path, query, headers, data),
    delete: (path, data, query, headers) => request('DELETE', path, query, headers, data),
  };
  return new algosdk.Algodv2(http, root);
};

const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : cause instanceof Error ? cause.name : 'unknown';
};

/** The answer to a request, or undefined for algod's 404. */
export const orMissing = async <T>(answer: Promise<T>): Promise<T | undefined> => {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof AlgodError && error.response.status === 404) return undefined;
    throw asLedgerError(error);
  }
};

/** Anything thrown by a request as an AppError: what is neither ours nor algod's is a node that sends what it should not. */
export const asLedgerError = (error: unknown): AppError => {
  if (error instanceof AppError) return error;
  const detail =
    error instanceof AlgodError ? `algod answered ${error.response.status}: ${error.message}` : 'algod sent an answer that cannot be read';
  return unavailable(detail, error);
};
