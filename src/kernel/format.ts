import type { TSchema } from 'typebox';
import type { Attachment } from '../didcomm/attachments.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { StoredRecord } from '../ports/store.ts';
import type { WorkOrder } from './effects.ts';
import { jsonOf } from './json.ts';
import type { RecordDef } from './record.ts';
import type { Settings } from './settings.ts';
import type { WorkContext, WorkOps } from './work.ts';

/** An attribute of a credential preview (RFC 0453). */
export interface PreviewAttribute {
  readonly name: string;
  readonly value: string;
}

/** The result of an act. */
export interface FormatResult {
  /** The attachment of the message. */
  readonly value: JsonObject;
  /** Members of the exchange's detail record (`GET` shows them under the format's name, and its webhook carries them). */
  readonly detail?: JsonObject;
}

/** Where the status of an issued credential stands: the index in its revocation registry, whose last index is `last`. */
export interface RevocationIndex {
  /** Id of the registry's record. */
  readonly registry: string;
  readonly rev_reg_id: string;
  readonly cred_def_id: string;
  readonly index: number;
  readonly last: number;
}

/**
 * The act needs a number that nobody else has: it is run again with the same input, in the commit that takes the number, and reads it as `ctx.allocated`. Where
 * the counter is full, the act is run from its start again.
 */
export interface NeedsNumber {
  readonly allocate: NonNullable<WorkOrder['allocate']>;
  /** Members of its input when it is run again. */
  readonly input?: JsonObject;
}

/** A format's acts in issue-credential. They run outside of steps: they may compute, and read the store and the ledger. */
export interface Issuance {
  /** Identifiers of its attachments, by message. */
  readonly ids: Readonly<Record<'proposal' | 'offer' | 'request' | 'issue', string>>;
  /** `filter.<name>` of a controller's body. */
  readonly filterSchema: TSchema;
  /** The format that the detail webhook's topic and identifier name, where that is not its own name. */
  detailName?(settings: Settings): string;
  /**
   * The issuer's offer, and what goes with it beside the credential (`supplement`). `filter` may be a peer's proposal: no schema has checked it, nor any other object of a message.
   * @throws AppError `bad-request` where the filter or the preview cannot be met
   */
  offer(
    ctx: WorkContext,
    input: { filter: JsonObject; preview: readonly PreviewAttribute[] | null },
  ): Promise<FormatResult & { readonly supplement?: Attachment }>;
  /**
   * The holder's request. `entropy`: unique text for this exchange. `secret` is kept as a key of the exchange until its credential is stored.
   * @throws AppError `bad-request`
   */
  request(ctx: WorkContext, input: { offer: JsonObject; entropy: string }): Promise<FormatResult & { readonly secret: Uint8Array }>;
  /**
   * The issuer's credential: of what was offered, with the values that were offered. `registry`: the one whose index `ctx.allocated` is.
   * @throws AppError `bad-request`, `registry-unready` where no revocation registry is active: the exchange waits
   */
  issue(
    ctx: WorkContext,
    input: { offer: JsonObject; request: JsonObject; values: Readonly<Record<string, string>>; registry?: string },
  ): Promise<(FormatResult & { readonly revocable?: RevocationIndex }) | NeedsNumber>;
  /**
   * The wallet's rows of a checked credential: the credential itself, `info` as `GET /credentials` lists it, and a secret that goes with it.
   * `lax`: the peer encodes values by a rule of its own (2018 Agent Protocol).
   * @throws AppError `bad-request` where it is not the one that was offered and requested
   */
  store(
    ctx: WorkContext,
    input: {
      offer: JsonObject;
      credential: JsonObject;
      /** Of the request. */
      secret: Uint8Array;
      /** Where the offer had a preview. */
      offered?: readonly PreviewAttribute[];
      lax?: boolean;
    },
  ): Promise<{ readonly credential: JsonObject; readonly info: JsonObject; readonly secret?: Uint8Array; readonly detail?: JsonObject }>;
}

/** A credential of the wallet and the referents of a request that it answers. */
export interface Match {
  readonly row: StoredRecord;
  readonly referents: readonly string[];
}

/** A format's acts in present-proof. */
export interface Presentation {
  /** Identifiers of its attachments, by message; a proposal is a request. */
  readonly ids: Readonly<Record<'request' | 'proof', string>>;
  /** `presentation_request.<name>` and `presentation_proposal.<name>` of a controller's body. */
  readonly requestSchema: TSchema;
  /** `<name>` in the body of `send-presentation`: which credentials are shown. */
  readonly choiceSchema: TSchema;
  /** A request with what was left out. @throws AppError `code` where it cannot be answered */
  request(given: JsonObject, code: ErrorCode, newNonce: () => string): JsonObject;
  /** @throws AppError `bad-request` where the controller's choice does not answer the request */
  checkChoice(request: JsonObject, choice: JsonObject): void;
  /**
   * The holder's presentation: of the controller's choice, or of what the wallet chooses by itself, with the prover's own proposal of this thread in mind.
   * `lacking`: the referents that nothing in the wallet answers.
   * @throws AppError `bad-request`
   */
  present(
    ctx: WorkContext,
    input: { request: JsonObject; choice: JsonObject | null; proposal?: JsonObject | null },
  ): Promise<{ readonly value: JsonObject } | { readonly lacking: readonly string[] }>;
  /** Whether a presentation is verified, and the `verified_msgs`. A presentation that is wrong is no error. */
  verify(
    ctx: WorkContext,
    input: { request: JsonObject; presentation: JsonObject },
  ): Promise<{ readonly verified: boolean; readonly reasons: readonly string[] }>;
  /**
   * The wallet's credentials that may answer a request, oldest first. `referents`: those that are asked about; `extra`: `extra_query` by referent.
   * @throws AppError `bad-request`
   */
  match(ctx: WorkContext, input: { request: JsonObject; referents?: readonly string[]; extra?: JsonObject }): Promise<readonly Match[]>;
}

/**
 * A credential format, one literal: what issue-credential and present-proof (in all versions), `/credentials`, webhooks and OpenAPI need of it. A half that is
 * absent is not served over DIDComm.
 */
export interface CredentialFormat {
  /** As controllers call it: in `filter`, `by_format`, `cred_ex_<name>_id`, `issue_credential_v2_0_<name>`, and in work orders, `<name>/<act>`. */
  readonly name: string;
  /** It needs the AnonCreds library: where that is missing, calls are refused and jobs wait. */
  readonly needs?: 'anoncreds';
  /** Its credentials are shown in the shape of ACA-Py's `cred_info`, which names no format. */
  readonly asCredInfo?: true;
  readonly issuance?: Issuance;
  readonly presentation?: Presentation;
}

/** Declares a credential format. */
export function defineFormat(format: CredentialFormat): CredentialFormat {
  return Object.freeze(format);
}

/** The formats that were registered, in their order: where a choice is free, an earlier one is taken. */
export interface Formats {
  readonly issued: readonly (CredentialFormat & { readonly issuance: Issuance })[];
  readonly presented: readonly (CredentialFormat & { readonly presentation: Presentation })[];
  readonly names: readonly string[];
  named(name: string): CredentialFormat | undefined;
  /** The format of an attachment, by its identifier. */
  ofId(id: unknown): CredentialFormat | undefined;
}

/** @throws Error where two formats have one name or one identifier: a start-up error */
export function createFormats(formats: readonly CredentialFormat[]): Formats {
  const byName = new Map<string, CredentialFormat>();
  const byId = new Map<string, CredentialFormat>();
  for (const format of formats) {
    const { name, issuance, presentation } = format;
    if (!/^[a-z][a-z0-9_]*$/.test(name) || name in {}) throw new Error(`the credential format ${name} must be named by a-z, 0-9 and _`);
    if (byName.has(name)) throw new Error(`two credential formats are named ${name}`);
    byName.set(name, format);
    for (const id of new Set([...Object.values(issuance?.ids ?? {}), ...Object.values(presentation?.ids ?? {})])) {
      const other = byId.get(id);
      if (other) throw new Error(`the format identifier ${id} is registered by ${other.name} and ${name}`);
      byId.set(id, format);
    }
  }
  return Object.freeze({
    issued: formats.filter((one) => one.issuance) as never,
    presented: formats.filter((one) => one.presentation) as never,
    names: formats.map(({ name }) => name),
    named: (name: string) => byName.get(name),
    ofId: (id: unknown) => (typeof id === 'string' ? byId.get(id) : undefined),
  });
}

// -- acts as work ------------------------------------------------------------------------------------------------------------------------------------------

export type Act = 'offer' | 'request' | 'issue' | 'store' | 'present' | 'verify';

/** The task of one format. */
export interface FormatTask {
  readonly format: string;
  readonly input: JsonObject;
}

/** The outcome of an act, beside its own members. */
export interface Acted {
  readonly format: string;
}

/** The output of an act: what it made, what was made before it, and the order of the format that follows. */
export interface ActOutput<Result> {
  readonly made: readonly (Result & Acted)[];
  readonly next?: WorkOrder;
}

/**
 * Orders an act of each format, one after another: a message with several formats goes out when all have done theirs, or not at all.
 * @param made by the formats before
 */
export function formatOrder(
  act: Act,
  [first, ...rest]: readonly FormatTask[],
  result: string,
  made: readonly JsonObject[] = [],
): WorkOrder {
  if (!first) throw new AppError('bad-request', 'No format of the exchange is supported');
  return { op: `${first.format}/${act}`, input: jsonOf({ input: first.input, rest, made, result }), result };
}

/** The acts of all formats, by the names of their orders. `records`: those with states in which a credential is on its way. */
export function formatWork({ issued, presented }: Formats, records: ReadonlyMap<string, RecordDef>): WorkOps {
  const ops: Record<string, WorkOps[string]> = {};
  // biome-ignore lint/suspicious/noExplicitAny: each act has an input of its own, as its order wrote it
  const add = (format: string, act: Act, run: (ctx: WorkContext, input: any) => Promise<object>): void => {
    const op = `${format}/${act}`;
    ops[op] = async (ctx, order: { input: JsonObject; rest: FormatTask[]; made: JsonObject[]; result: string }) => {
      const done = await run(ctx, order.input);
      if ('allocate' in done) {
        const { allocate, input } = done as NeedsNumber;
        return { made: order.made, next: { op, input: { ...order, input: { ...order.input, ...input } }, result: order.result, allocate } };
      }
      const made = [...order.made, { ...done, format } as JsonObject];
      return { made, next: order.rest.length > 0 ? formatOrder(act, order.rest, order.result, made) : undefined };
    };
  };
  for (const { name, issuance } of issued) {
    for (const act of ['offer', 'request', 'issue'] as const) add(name, act, (ctx, input) => issuance[act](ctx, input));
    add(name, 'store', async (ctx, { exchange, id, ...input }) => {
      const key = await ctx.store.key(ctx.tenant, `cred-request:${exchange}`);
      if (!key) throw new AppError('bad-request', 'This wallet has no request for the credential');
      return { ...(await issuance.store(ctx, { ...input, secret: key.secret })), id };
    });
  }
  for (const { name, presentation } of presented) {
    add(name, 'verify', async (ctx, { request, presentation: given }) =>
      request ? await presentation.verify(ctx, { request, presentation: given }) : { verified: false, reasons: ['format-unrequested'] },
    );
    add(name, 'present', async (ctx, { patient, ...input }) => {
      // asked before the wallet is looked at: a credential that comes in between is found there
      const arrives = patient === true && (await credentialArrives(ctx, records));
      const made = await presentation.present(ctx, input);
      if ('value' in made) return made;
      if (arrives) return { waits: true };
      throw new AppError('bad-request', `No credential of this wallet answers ${made.lacking.join(', ')}`);
    });
  }
  return ops;
}

/** Whether a credential is on its way into this wallet: what it cannot answer now it may be able to answer soon. */
async function credentialArrives(ctx: WorkContext, records: ReadonlyMap<string, RecordDef>): Promise<boolean> {
  for (const { category, arriving = [] } of records.values())
    for (const state of arriving) if ((await ctx.store.find(ctx.tenant, category, { state, limit: 1 })).rows.length > 0) return true;
  return false;
}
