import type { Readable } from 'node:stream';
import type { TSchema } from 'typebox';
import type { AuditedCall } from '../kernel/audit.ts';
import type { Calls } from '../kernel/calls.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import type { Plugin, RouteCall } from '../kernel/plugin.ts';
import type { TenantMeter } from '../kernel/tenant-meter.ts';
import type { WorkContext } from '../kernel/work.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Authority } from './auth.ts';
import type { UNCHANGED } from './polling.ts';

/** The parts that the admin API works with. */
export interface Admin {
  readonly kernel: Kernel;
  /** The base wallet: the tenant of the operator. */
  readonly base: string;
  readonly engine: Engine;
  readonly calls: Calls;
  readonly work: (tenant: string) => WorkContext;
  /** The call that these parts serve, where it is in the audit trail. */
  readonly audited?: AuditedCall;
  /** The callers that are permitted. */
  authority(): Authority;
  /** A tenant's settings, given by flag names or variables, under ACA-Py's names. @throws AppError `bad-request` */
  acapySettings(given: JsonObject): JsonObject;
  /** The invitation that a URL holds, or leads to. @throws AppError */
  invitationAt(tenant: string, url: string): Promise<JsonObject>;
  /** The plug-ins that were loaded. */
  readonly plugins: readonly Plugin[];
  readonly version: string;
  /** The version of ACA-Py whose admin API this is. */
  readonly acapyVersion: string;
  /** Whether the operator has set the secret that webhooks of the base wallet are signed with. */
  readonly ownWebhookSecret: boolean;
  readonly started: number;
  /** The configuration as the operator may read it: without keys. */
  readonly config: JsonObject;
  /** Changes a tenant's settings, the base wallet's until the next start. @throws AppError `bad-request` */
  changeSettings(tenant: string, given: JsonObject): Promise<void>;
  /** Whether messages and calls can be taken: the store answers, and nothing is shutting down. */
  ready(): Promise<{ ok: boolean; reason?: string; waits?: string }>;
  /** Undefined where there is no ledger. */
  ledgerHealth(): Promise<Awaited<ReturnType<Ledger['health']>> | undefined>;
  counters(): Record<string, number>;
  /** Happenings of the last full minute by tenant, of the busiest ones: by their name as counted. */
  busiest(): Record<string, ReturnType<TenantMeter['busiest']>>;
  /** Sets the counters of happenings to nothing; those of the database go on. */
  resetCounters(): void;
  /** Reads the Endpoint DIDs of the 2018 Agent Protocol again. */
  refreshEndpoints(): Promise<void>;
  shutdown(): void;
}

export interface Call extends RouteCall {
  /** The `if-none-match` header. */
  readonly unless?: string;
  /** Gives the answer a validator, its `etag` header. */
  tag?(etag: string): void;
}
/** The answer of an operation: JSON; where it `produces` another type, its text or a stream of it; to a caller that has it already, that it is unchanged. */
export type Answer = Json | Readable | typeof UNCHANGED;

/** A route that is not derived from a protocol or a record. */
export interface AdminRoute {
  /** As in `GET /wallet/did`. A parameter written `{name*}` may hold slashes. */
  readonly route: string;
  readonly tag: string;
  readonly summary: string;
  readonly auth?: 'none' | 'admin' | 'tenant';
  readonly query?: TSchema;
  readonly body?: TSchema;
  /** The media type of an answer that is a text, not JSON. */
  readonly produces?: string;
  /** It ends the token that it is called with, and is answered nevertheless. */
  readonly endsToken?: boolean;
  handle(admin: Admin, call: Call): Promise<Answer>;
}
