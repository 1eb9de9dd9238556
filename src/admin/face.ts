import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { WebSocket } from 'ws';
import type { Json } from '../ports/json.ts';
import type { Authority, Caller } from './auth.ts';
import type { Admitted } from './event-stream.ts';
import type { Operation } from './operations.ts';
import type { Admin, Answer } from './route.ts';

/** The input of a call, as it came. */
export interface Sent {
  /** The request that brought it. */
  readonly request: IncomingMessage;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: Json;
  readonly idempotencyKey?: unknown;
  readonly traceparent?: unknown;
  /** For callers that poll. */
  readonly poll?: {
    /** The version that the caller has, as `if-none-match` names it. */
    readonly unless?: string;
    /** Takes the version of the answer. */
    tag(etag: string): void;
    /** Aborts when the caller has gone. */
    left(): AbortSignal;
  };
}

/** The parts that pages on the admin port work with. */
export interface FaceParts {
  readonly app: FastifyInstance;
  readonly admin: Admin;
  readonly authority: Authority;
  readonly operations: readonly Operation[];
  /** Runs an operation for a caller who was admitted. @throws AppError */
  perform(op: Operation, caller: Caller, sent: Sent): Promise<Answer>;
  /** Refuses foreign pages where there is no key. @throws AppError */
  admitBrowser(request: IncomingMessage): void;
  /** The source of a request, for bounds by address. */
  nameOf(request: IncomingMessage): string;
}

/** What a face does beside its routes. */
export interface AttachedFace {
  /** Who may see events on `<prefix>/ws`. @throws AppError */
  admitSocket(request: IncomingMessage): Promise<Admitted>;
  /** A socket that was admitted by this request is open. */
  opened(request: IncomingMessage, socket: WebSocket): void;
  close(): void;
}

/** Pages that the admin server serves beside its API. */
export interface Face {
  /** As in `/console`: everything below it is the face's own. No other origin may read it, whatever the API allows. */
  readonly prefix: string;
  attach(parts: FaceParts): AttachedFace;
}
