import type { BlobStat } from '../ports/blobs.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Log } from '../ports/log.ts';
import type { PublicAnswer, PublicRequest } from '../ports/public.ts';
import type { Lookup, Page, Query, StoredRecord } from '../ports/store.ts';
import type { ControllerCall } from './calls.ts';
import type { Settings } from './settings.ts';

export type Params = Readonly<Record<string, string>>;

/** The means of a public route's handler: one tenant's records, values and commands. It writes by commands alone. */
export interface PublicContext {
  readonly tenant: string;
  /** The tenant that the route's `owner` names. */
  readonly target?: string;
  readonly params: Params;
  readonly settings: Settings;
  /** In ms since 1970. */
  readonly now: number;
  load(lookups: readonly Lookup[]): Promise<StoredRecord[][]>;
  find(category: string, query: Query): Promise<Page<StoredRecord>>;
  readonly blobs: {
    stat(name: string): Promise<BlobStat | undefined>;
    read(name: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined>;
    /** Writes a value under a name that was never used: a command then makes a record name it, and nobody finds it before. */
    put(name: string, bytes: Uint8Array): Promise<void>;
    /** Removes one that no record names any more. */
    remove(name: string): Promise<void>;
  };
  /** @throws AppError */
  call(protocol: string, command: string, call: ControllerCall): Promise<JsonObject>;
  readonly log: Log;
}

/** The part of a locked wallet that can be read: values that nobody has sealed. */
export interface LockedContext extends Pick<PublicContext, 'target' | 'params'> {
  readonly blobs: Pick<PublicContext['blobs'], 'stat' | 'read'>;
}

/**
 * A route of the public HTTP face: for everyone, on the message ports, within the bounds of messages. Its path names the tenant: by a parameter `tenant`, which is
 * a wallet id, or by `owner`; without either it is the base wallet's. Where the tenant is unknown or its wallet locked, the request is answered as one
 * for an unknown path.
 */
export interface PublicRoute {
  /** As in `GET /lists/{tenant}/{list}`. `{rest*}` at the end is the rest of the path. GET serves HEAD too. */
  readonly route: string;
  /** Other URLs that it serves, where no path fits: their parameters, or undefined. */
  readonly also?: (path: string, query: URLSearchParams) => Params | undefined;
  /** Names the tenant by a row of the table of routes, which has this kind. */
  readonly owner?: { readonly kind: string; readonly name: (params: Params) => string | undefined };
  /** The answers where `owner` names nothing, or the wallet is locked, in the place of that for an unknown path. */
  readonly unowned?: (request: PublicRequest) => PublicAnswer | undefined;
  readonly locked?: (request: PublicRequest, ctx: LockedContext) => PublicAnswer | undefined | Promise<PublicAnswer | undefined>;
  /** The bound of a request's body; 64 KiB by default. That of messages holds in any case. */
  readonly maxBytes?: number;
  /**
   * @returns undefined for an answer as to an unknown path
   * @throws AppError: its status, without its text
   */
  handle(ctx: PublicContext, request: PublicRequest): PublicAnswer | undefined | Promise<PublicAnswer | undefined>;
}

/** The answer of a public command, as its step returns it in `Effects.answer`: an object is JSON, a text is plain unless `headers` names another type. */
export const httpAnswer = (status: number, body?: string | JsonObject, headers: Readonly<Record<string, string>> = {}): JsonObject => ({
  http: { status, headers: { ...headers }, ...(body === undefined ? {} : { body }) },
});
