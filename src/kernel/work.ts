import type { AnonCreds } from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { Resolver } from '../ports/resolver.ts';
import type { Store } from '../ports/store.ts';
import type { TailsReference } from '../ports/tails.ts';

/** A command's body and query as a controller would give them, and the id of its record, where its route has one. */
export interface WorkCall {
  readonly body: JsonObject;
  readonly query?: Readonly<Record<string, string>>;
  readonly record?: string;
}

/** The means of slow work. It reads; only the step that takes its result writes. */
export interface WorkContext {
  readonly tenant: string;
  readonly store: Store;
  readonly anoncreds: AnonCreds;
  readonly resolver: Resolver;
  /** The number that the order of this work has taken (`WorkOrder.allocate`). */
  readonly allocated?: number;
  /** @throws AppError `ledger-none` where none is configured. */
  ledger(): Ledger;
  /** The path of the tails file of a registry's definition: `Tails.file` of this tenant. */
  tails(reference: TailsReference): Promise<string>;
  /**
   * Runs a command of this tenant as its controller could have called it. `key` names the call, for this tenant: repeated within 30 days it has no second effect.
   * @returns its answer, when nothing that the call caused is open any more
   * @throws AppError of the call, with a controller's text; `unfinished` while something of it is open: the work is tried again
   */
  call(protocol: string, command: string, given: WorkCall, key: string): Promise<JsonObject>;
  /** Large values of this tenant. Each name is written by one job alone, so that a repetition writes the same bytes. */
  readonly blobs: {
    put(name: string, bytes: Uint8Array): Promise<void>;
    read(name: string): Promise<Uint8Array | undefined>;
    remove(name: string): Promise<void>;
  };
  /** Has a new tails file served: `Tails.publish` of this tenant. */
  publishTails(bytes: Uint8Array): Promise<{ hash: string; location: string }>;
}

/** One kind of slow work, by name. Its result is handed to a `results` step in memory and may hold secrets that the step stores as keys. */
export type WorkOp = {
  /** `input`: of the order, as JSON; each op declares its type. */
  run(ctx: WorkContext, input: unknown): Promise<unknown>;
}['run'];

export type WorkOps = Readonly<Record<string, WorkOp>>;

/** Work of the agent itself. `about` is what the step that takes the document must know of its own question. */
export const ownWork: WorkOps = {
  'dids/resolve': async (ctx, { did, fresh, about }: { did: string; fresh?: boolean; about?: JsonObject }) => ({
    ...(await ctx.resolver.resolve(did, fresh)),
    about,
  }),
};
