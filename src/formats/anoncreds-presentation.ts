import { AppError } from '../errors.ts';
import type { Match, Presentation as Presenting } from '../kernel/format.ts';
import type { WorkContext } from '../kernel/work.ts';
import type {
  AnonCredsSchema,
  Credential,
  CredentialDefinition,
  Presentation,
  PresentationRequest,
  PresentedCredential,
  Refusal,
} from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import type { StoredRecord } from '../ports/store.ts';
import { type HeldCredential, type Matches, matchCredentials, provenApart, selectCredentials, whyNot } from './anoncreds-match.ts';
import { verifiedMessages } from './anoncreds-messages.ts';
import { linkSecret, readDefinition, readSchema } from './anoncreds-objects.ts';
import { canonicalName } from './anoncreds-values.ts';
import { type PresentationPreview, wishesOfPreview } from './presentation-preview.ts';
import {
  type Choice,
  Presentation as ChoiceSchema,
  checkChoice,
  checkRequest,
  ProofRequest,
  type Wish,
  weightOf,
  wishesOf,
} from './proof-request.ts';
import { meets, type Subject, WqlUnsupported } from './wql.ts';

/** A wallet's credentials are matched in memory, up to this many. */
const MAX_HELD = 10_000;

/** What restrictions and listings ask about a held credential: stored beside it when it was stored. */
function held(row: StoredRecord): HeldCredential {
  const { subject, credential } = row.value as unknown as { subject: HeldCredential['subject']; credential: Credential };
  return { id: row.id, subject, values: credential.values };
}

/** Matching runs beside everything else that the process does: so much of it at a time. */
const MATCH_SLICE = 5_000;

/** The wallet's credentials that may answer a request, oldest first, and which referent each answers. @throws AppError `bad-request` where it is no proof request */
async function matchHeld(ctx: WorkContext, request: PresentationRequest): Promise<{ rows: StoredRecord[]; matches: Matches }> {
  checkRequest(request as unknown as JsonObject, 'bad-request');
  const found = await ctx.store.find(ctx.tenant, 'credential', { limit: MAX_HELD });
  // credentials of other formats name theirs
  const rows = found.rows.filter(({ value }) => value.format === undefined);
  const slice = Math.max(1, Math.floor(MATCH_SLICE / weightOf(request as unknown as JsonObject)));
  const matches = knownWql(() => matchCredentials(request, []));
  for (let start = 0; start < rows.length; start += slice) {
    if (start > 0) await new Promise((resolve) => setImmediate(resolve));
    const some = knownWql(() => matchCredentials(request, rows.slice(start, start + slice).map(held)));
    for (const kind of ['attributes', 'predicates'] as const)
      for (const [referent, ids] of Object.entries(some[kind])) matches[kind][referent]!.push(...ids);
  }
  return { rows, matches };
}

/** @throws AppError `bad-request` for restrictions that cannot be judged */
function knownWql<Value>(judge: () => Value): Value {
  try {
    return judge();
  } catch (error) {
    if (!(error instanceof WqlUnsupported)) throw error;
    throw new AppError('bad-request', `The restrictions of the request cannot be judged: ${error.message}`);
  }
}

/** What a holder presents, as the engine wants it: by credential. */
interface Shown {
  credentials: { id: string; attributes: { referent: string; reveal: boolean }[]; predicates: string[] }[];
  selfAttested: Readonly<Record<string, string>>;
}

/** A controller's choice, held against the request and the wallet. @throws AppError `bad-request` with what is wrong */
function chosenBy(choice: Choice, request: PresentationRequest, rows: ReadonlyMap<string, StoredRecord>): Shown {
  checkChoice(request as unknown as JsonObject, choice);
  const credentials = new Map<string, Shown['credentials'][number]>();
  const take = (kind: 'attribute' | 'predicate', referent: string, id: string): Shown['credentials'][number] => {
    const row = rows.get(id);
    if (!row) throw new AppError('bad-request', `No credential ${id.slice(0, 256)} in this wallet`);
    const lack = knownWql(() => whyNot(request, kind, referent, held(row)));
    if (lack) throw new AppError('bad-request', lack);
    const entry = credentials.get(id) ?? { id, attributes: [], predicates: [] };
    credentials.set(id, entry);
    return entry;
  };
  for (const [referent, { cred_id, revealed }] of Object.entries(choice.requested_attributes))
    take('attribute', referent, cred_id).attributes.push({ referent, reveal: revealed ?? true });
  for (const [referent, { cred_id }] of Object.entries(choice.requested_predicates))
    take('predicate', referent, cred_id).predicates.push(referent);
  return { credentials: [...credentials.values()], selfAttested: choice.self_attested_attributes };
}

/** What this wallet presents by itself: the fewest credentials, the newest first; `lacking` names what nothing answers. */
function chosenHere(request: PresentationRequest, rows: readonly StoredRecord[], matches: Matches, wishes: readonly Wish[]) {
  const selection = knownWql(() => selectCredentials(request, matches, rows.toReversed().map(held), wishes));
  return { ...selection, lacking: [...selection.missing, ...selection.selfAttestable] };
}

async function present(
  ctx: WorkContext,
  request: PresentationRequest,
  choice: Choice | null,
  wishes: readonly Wish[],
): Promise<{ value: JsonObject } | { lacking: string[] }> {
  const { rows, matches } = await matchHeld(ctx, request);
  const byId = new Map(rows.map((row) => [row.id, row]));
  const shown = choice ? { ...chosenBy(choice, request, byId), lacking: [] } : chosenHere(request, rows, matches, wishes);
  if (shown.lacking.length > 0) return { lacking: shown.lacking };
  const credentials: PresentedCredential[] = [];
  const schemas: Record<string, AnonCredsSchema> = {};
  const credentialDefinitions: Record<string, CredentialDefinition> = {};
  for (const { id, ...use } of provenApart(request, shown.credentials)) {
    const credential = byId.get(id)!.value.credential as unknown as Credential;
    schemas[credential.schema_id] ??= await readSchema(ctx, credential.schema_id);
    credentialDefinitions[credential.cred_def_id] ??= await readDefinition(ctx, credential.cred_def_id);
    credentials.push({ credential, ...use });
  }
  const value = await ctx.anoncreds.createPresentation(ctx.tenant, {
    request,
    credentials,
    selfAttested: shown.selfAttested,
    linkSecret: await linkSecret(ctx),
    schemas,
    credentialDefinitions,
  });
  return { value: value as unknown as JsonObject };
}

/** Whether a presentation is verified, with the objects of the ledger that it names. */
export async function verifyAnonCreds(
  ctx: WorkContext,
  request: PresentationRequest,
  presentation: Presentation,
): Promise<{ verified: boolean; reasons: string[] }> {
  const schemas: Record<string, AnonCredsSchema> = {};
  const credentialDefinitions: Record<string, CredentialDefinition> = {};
  const missing: Refusal[] = [];
  const identifiers = Array.isArray(presentation.identifiers) ? presentation.identifiers.slice(0, 100) : [];
  for (const identifier of identifiers as unknown[]) {
    const { schema_id: schema, cred_def_id: definition } = (identifier ?? {}) as { schema_id?: unknown; cred_def_id?: unknown };
    // its shape is judged with the rest of the presentation
    if (typeof schema !== 'string' || typeof definition !== 'string') continue;
    try {
      schemas[schema] ??= await readSchema(ctx, schema);
      credentialDefinitions[definition] ??= await readDefinition(ctx, definition);
    } catch (error) {
      // what the prover names and the ledger does not have is a wrong presentation; a ledger that does not answer is no answer at all
      if (!(error instanceof AppError) || error.row.retry || error.code === 'ledger-none') throw error;
      missing.push({ reason: 'object-missing', detail: error.message });
    }
  }
  const { verified, refusals } =
    missing.length > 0
      ? { verified: false, refusals: missing }
      : await ctx.anoncreds.verifyPresentation(ctx.tenant, { request, presentation, schemas, credentialDefinitions });
  return { verified, reasons: verifiedMessages(request, presentation, credentialDefinitions, refusals) };
}

/** A stored credential as WQL queries it: members that another format does not have are unknown. */
export function subjectOfRow(row: StoredRecord): Subject {
  const { subject, attrs } = row.value as { subject?: Subject; attrs?: Readonly<Record<string, string>> };
  const values = new Map(Object.entries(attrs ?? {}).map(([name, value]) => [canonicalName(name), value]));
  return { ...(subject as Subject), attributes: new Set(values.keys()), values };
}

/** Whether a credential meets what `extra_query` asks of a referent's. @throws AppError `bad-request` for what WQL is not read in */
function meetsAlso(wql: unknown, row: StoredRecord): boolean {
  try {
    return wql === undefined || meets(wql, subjectOfRow(row));
  } catch (error) {
    if (error instanceof WqlUnsupported) throw new AppError('bad-request', `extra_query: ${error.message}`);
    throw error;
  }
}

async function match(
  ctx: WorkContext,
  { request, referents: wanted, extra = {} }: { request: JsonObject; referents?: readonly string[]; extra?: JsonObject },
): Promise<Match[]> {
  const { rows, matches } = await matchHeld(ctx, request as unknown as PresentationRequest);
  const byId = new Map(rows.map((row) => [row.id, row]));
  const referents = new Map<string, string[]>();
  for (const [referent, ids] of Object.entries({ ...matches.attributes, ...matches.predicates })) {
    if (wanted && !wanted.includes(referent)) continue;
    for (const id of ids.filter((one) => meetsAlso(extra[referent], byId.get(one)!)))
      referents.set(id, [...(referents.get(id) ?? []), referent]);
  }
  return rows.flatMap((row) => (referents.has(row.id) ? [{ row, referents: referents.get(row.id)! }] : []));
}

/** Proving with AnonCreds: the same for both formats. */
export const anoncredsPresentation: Omit<Presenting, 'ids'> = {
  requestSchema: ProofRequest,
  choiceSchema: ChoiceSchema,

  /** Name, version and nonce are filled in where they were left out, as ACA-Py does. */
  request(given, code, newNonce) {
    const request: JsonObject = { name: 'proof-request', version: '1.0', ...given, nonce: given.nonce ?? newNonce() };
    checkRequest(request, code);
    return request;
  },

  checkChoice: (request, choice) => checkChoice(request, choice as unknown as Choice),

  async present(ctx, { request, choice, proposal }) {
    // a proposal is a request, or the preview of version 1
    const isPreview = Array.isArray(proposal?.attributes) && proposal.requested_attributes === undefined;
    const wishes = isPreview ? wishesOfPreview(proposal as unknown as PresentationPreview) : wishesOf(proposal ?? undefined);
    return await present(ctx, request as unknown as PresentationRequest, choice as unknown as Choice | null, wishes);
  },

  verify: (ctx, { request, presentation }) =>
    verifyAnonCreds(ctx, request as unknown as PresentationRequest, presentation as unknown as Presentation),

  match,
};
