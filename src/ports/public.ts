/** A request on the public face. Its body is whole, and within the bound of its route. */
export interface PublicRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly url: string;
  readonly query: URLSearchParams;
  /** Names in lower case. The headers by which the admin API knows its callers are not among them, except `authorization`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Aborted when the answer would come too late, or its receiver is gone. */
  readonly signal: AbortSignal;
}

/**
 * The answer to it. A text or bytes are at most `MAX_WHOLE_ANSWER`; more is an iterable, which is read as fast as its receiver reads. Without `content-type` a text
 * is plain text; without `cache-control` nothing is kept by caches.
 */
export interface PublicAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** The largest answer, in bytes, that is no iterable. */
export const MAX_WHOLE_ANSWER = 1 << 20;

/** The handler of one request. */
export interface PublicMatch {
  /** The bound of the request's body. */
  readonly maxBytes: number;
  /** Never throws. @returns undefined where the request is to be answered as if its path were unknown */
  answer(request: PublicRequest): Promise<PublicAnswer | undefined>;
}

/** The public HTTP routes of an agent, which its message ports serve. */
export interface PublicFace {
  /** @param url path and query as they came */
  find(method: string, url: string): PublicMatch | undefined;
}
