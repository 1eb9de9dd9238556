import { AppError } from '../errors.ts';
import { now } from '../kernel/clock.ts';
import type { Match, Presentation as Presenting } from '../kernel/format.ts';
import { checkedAs, jsonOf } from '../kernel/json.ts';
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
import type { StatusEntry } from '../ports/ledger.ts';
import type { StoredRecord } from '../ports/store.ts';
import { type HeldCredential, type Matches, matchCredentials, provenApart, selectCredentials, whyNot } from './anoncreds-match.ts';
import { verifiedMessages } from './anoncreds-messages.ts';
import { linkSecret, readDefinition, readSchema } from './anoncreds-objects.ts';
import { indexOf, type PresentedStatuses, registryOf, stateAt, stateFor, statusesOf, witnessOf } from './anoncreds-revocation.ts';
import { canonicalName } from './anoncreds-values.ts';
import { type Interval, intervalsOf, withoutEmptyIntervals } from './non-revocation.ts';
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
import { revokedIn } from './registry-index.ts';
import { meets, type Subject, WqlUnsupported } from './wql.ts';

/** A wallet's credentials are matched in memory, up to this many. */
const MAX_HELD = 10_000;

/** The facts about a held credential that restrictions and listings read: stored beside it. */
function held(row: StoredRecord): HeldCredential {
  const { subject, credential } = checkedAs<{ subject: HeldCredential['subject']; credential: Credential }>(row.value);
  return { id: row.id, subject, values: credential.values };
}

/** Matching runs beside everything else that the process does: so much of it at a time. */
const MATCH_SLICE = 5_000;

/** Credentials of other formats name theirs. */
const isAnonCreds = ({ value }: StoredRecord): boolean => value.format === undefined;

const byIdOf = (rows: readonly StoredRecord[]): Map<string, StoredRecord> => new Map(rows.map((row) => [row.id, row]));

/** The wallet's credentials that may answer a request, oldest first, and which referent each answers. @throws AppError `bad-request` where it is no proof request */
async function matchHeld(ctx: WorkContext, request: PresentationRequest): Promise<{ rows: StoredRecord[]; matches: Matches }> {
  checkRequest(jsonOf(request), 'bad-request');
  const found = await ctx.store.find(ctx.tenant, 'credential', { limit: MAX_HELD });
  const rows = found.rows.filter(isAnonCreds);
  const slice = Math.max(1, Math.floor(MATCH_SLICE / weightOf(jsonOf(request))));
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

/** The attributes and predicates to present, by credential, as the library takes them. */
interface Shown {
  credentials: Use[];
  selfAttested: Readonly<Record<string, string>>;
  /** Times that the controller chose, by credential and referent as `asked` names it. */
  times?: ReadonlyMap<string, number>;
}

/** What is to be presented, of which credentials, and the referents that nothing answers. */
interface Chosen {
  byId: ReadonlyMap<string, StoredRecord>;
  shown: Shown;
  lacking: string[];
}

interface Use {
  id: string;
  attributes: { referent: string; reveal: boolean }[];
  predicates: string[];
}

/** The credentials of the wallet that a choice names, by id: these alone are read, however many the wallet has. */
async function namedBy(ctx: WorkContext, choice: Choice): Promise<Map<string, StoredRecord>> {
  const named = [...Object.values(choice.requested_attributes), ...Object.values(choice.requested_predicates)];
  const ids = [...new Set(named.map(({ cred_id }) => cred_id))];
  const found = await ctx.store.load(
    ctx.tenant,
    ids.map((id) => ({ category: 'credential', id })),
  );
  return byIdOf(found.flat().filter(isAnonCreds));
}

/** A controller's choice, held against the request and the wallet. @throws AppError `bad-request` with what is wrong */
function chosenBy(choice: Choice, request: PresentationRequest, rows: ReadonlyMap<string, StoredRecord>): Shown {
  const credentials = new Map<string, Use>();
  const times = new Map<string, number>();
  const take = (
    kind: 'attribute' | 'predicate',
    referent: string,
    { cred_id: id, timestamp }: { cred_id: string; timestamp?: number },
  ): Use => {
    const row = rows.get(id);
    if (!row) throw new AppError('bad-request', `No credential ${id.slice(0, 256)} in this wallet`);
    const lack = knownWql(() => whyNot(request, kind, referent, held(row)));
    if (lack) throw new AppError('bad-request', lack);
    if (timestamp !== undefined) times.set(`${kind}:${referent}`, timestamp);
    const entry = credentials.get(id) ?? { id, attributes: [], predicates: [] };
    credentials.set(id, entry);
    return entry;
  };
  for (const [referent, one] of Object.entries(choice.requested_attributes))
    take('attribute', referent, one).attributes.push({ referent, reveal: one.revealed ?? true });
  for (const [referent, one] of Object.entries(choice.requested_predicates)) take('predicate', referent, one).predicates.push(referent);
  return { credentials: [...credentials.values()], selfAttested: choice.self_attested_attributes, times };
}

/** How often a choice is made anew because a credential of it is revoked. */
const MAX_CHOICES = 100;

/**
 * The automatic choice of this wallet: the fewest credentials, the newest first; `lacking` names what nothing answers. Where an interval is asked, one that is not
 * revoked goes before one that is, which is presented where there is no other: the verifier decides.
 */
async function chosenHere(ctx: WorkContext, request: PresentationRequest, wishes: readonly Wish[]): Promise<Chosen> {
  const { rows, matches } = await matchHeld(ctx, request);
  const candidates = rows.toReversed().map(held);
  const byId = byIdOf(rows);
  const intervals = intervalsOf(request);
  const choose = () => knownWql(() => selectCredentials(request, matches, candidates, wishes));
  let selection = choose();
  for (let times = 1; times < MAX_CHOICES; times++) {
    let others = false;
    for (const { id, attributes, predicates } of selection.credentials) {
      for (const [kind, referent] of [
        ...attributes.map((one) => ['attribute', one.referent]),
        ...predicates.map((one) => ['predicate', one]),
      ]) {
        const interval = intervals.get(`${kind}:${referent}`);
        const answers = (kind === 'attribute' ? matches.attributes : matches.predicates)[referent!]!;
        if (!interval || answers.length < 2 || !(await isRevokedFor(ctx, byId.get(id)!, interval))) continue;
        answers.splice(answers.indexOf(id), 1);
        others = true;
      }
    }
    if (!others) break;
    selection = choose();
  }
  return { byId, shown: selection, lacking: [...selection.missing, ...selection.selfAttestable] };
}

/** The choice of the controller. @throws AppError `bad-request` with what is wrong */
async function chosenThere(ctx: WorkContext, request: PresentationRequest, choice: Choice): Promise<Chosen> {
  checkRequest(jsonOf(request), 'bad-request');
  checkChoice(jsonOf(request), choice);
  const byId = await namedBy(ctx, choice);
  return { byId, shown: chosenBy(choice, request, byId), lacking: [] };
}

/** Whether a credential of the wallet is revoked at the time that would be shown for an interval. */
async function isRevokedFor(ctx: WorkContext, row: StoredRecord, interval: Interval): Promise<boolean> {
  const credential = checkedAs<Credential>(row.value.credential);
  const index = indexOf(credential);
  if (index === undefined) return false;
  try {
    return revokedIn((await stateFor(ctx, credential.rev_reg_id!, interval)).status)(index);
  } catch (error) {
    // without a state at that time it proves as little
    if (error instanceof AppError && error.code === 'bad-request') return true;
    throw error;
  }
}

/** A sub-proof: with a state of the registry, and the time to show, where it proves that the credential is not revoked. */
interface Part {
  use: Use;
  entry?: StatusEntry;
  timestamp?: number;
}

/** As many sub-proofs a presentation may have. */
const MAX_PARTS = 100;

/**
 * The parts of a use of a credential by what they prove of its revocation: nothing where no interval is asked, and otherwise that it was not revoked at a time. A
 * sub-proof proves one time, so that a credential is presented once for each.
 */
async function byTime(
  ctx: WorkContext,
  { id, attributes, predicates }: Use,
  registryId: string,
  intervals: ReadonlyMap<string, Interval>,
  times: ReadonlyMap<string, number> = new Map(),
): Promise<Part[]> {
  const parts = new Map<number | undefined, Part>();
  const partOf = async (asked: string): Promise<Use> => {
    const interval = intervals.get(asked);
    const chosen = times.get(asked);
    const entry = interval && (chosen === undefined ? await stateFor(ctx, registryId, interval) : await stateAt(ctx, registryId, chosen));
    const timestamp = entry && (chosen ?? entry.time);
    const part = parts.get(timestamp) ?? { use: { id, attributes: [], predicates: [] }, ...(entry && { entry, timestamp }) };
    parts.set(timestamp, part);
    return part.use;
  };
  for (const one of attributes) (await partOf(`attribute:${one.referent}`)).attributes.push(one);
  for (const one of predicates) (await partOf(`predicate:${one}`)).predicates.push(one);
  return [...parts.values()];
}

async function present(
  ctx: WorkContext,
  request: PresentationRequest,
  choice: Choice | null,
  wishes: readonly Wish[],
): Promise<{ value: JsonObject } | { lacking: string[] }> {
  const { byId, shown, lacking } = choice ? await chosenThere(ctx, request, choice) : await chosenHere(ctx, request, wishes);
  if (lacking.length > 0) return { lacking };
  const intervals = intervalsOf(request);
  const schemas: Record<string, AnonCredsSchema> = {};
  const credentialDefinitions: Record<string, CredentialDefinition> = {};
  const parts: (Part & { credential: Credential })[] = [];
  for (const use of shown.credentials) {
    const credential = checkedAs<Credential>(byId.get(use.id)!.value.credential);
    schemas[credential.schema_id] ??= await readSchema(ctx, credential.schema_id);
    credentialDefinitions[credential.cred_def_id] ??= await readDefinition(ctx, credential.cred_def_id);
    const split = indexOf(credential) === undefined ? [{ use }] : await byTime(ctx, use, credential.rev_reg_id!, intervals, shown.times);
    parts.push(...split.map((part) => ({ ...part, credential })));
  }
  if (parts.length > MAX_PARTS) throw new AppError('bad-request', `The request asks for more than ${MAX_PARTS} proofs`);
  const credentials: PresentedCredential[] = [];
  for (const { use, entry, timestamp, credential } of parts) {
    const registry = entry && (await registryOf(ctx, credential, credentialDefinitions[credential.cred_def_id]!));
    const state = registry && (await witnessOf(ctx, registry, indexOf(credential)!, entry));
    for (const { id: _id, ...apart } of provenApart(request, [use]))
      credentials.push({ credential, ...apart, ...(state && { state, timestamp }) });
  }
  const value = await ctx.anoncreds.createPresentation(ctx.tenant, {
    request,
    credentials,
    selfAttested: shown.selfAttested,
    linkSecret: await linkSecret(ctx),
    schemas,
    credentialDefinitions,
  });
  return { value: jsonOf(value) };
}

/** How long a verifier waits until a status list that may still change is settled. */
const SETTLE_MS = 10_000;
const LOOK_MS = 500;

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
      // an id of the prover that the ledger does not have makes a wrong presentation; a ledger that does not answer makes none
      if (!(error instanceof AppError) || error.row.retry || error.code === 'ledger-none') throw error;
      missing.push({ reason: 'object-missing', detail: error.message });
    }
  }
  const judged = async ({ missing: unknown, settled: _settled, ...statuses }: PresentedStatuses) => {
    const refusals = [...missing, ...unknown];
    if (refusals.length > 0) return { verified: false, refusals };
    const seconds = Math.floor(now() / 1000);
    const input = { request, presentation, schemas, credentialDefinitions, now: seconds, ...statuses };
    return await ctx.anoncreds.verifyPresentation(ctx.tenant, input);
  };
  const statuses = (fresh?: boolean) => statusesOf(ctx, request, presentation, credentialDefinitions, fresh);
  let found = await statuses();
  let { verified, refusals } = await judged(found);
  if (!found.settled && refusals.some(({ reason }) => reason === 'proof-invalid')) {
    // the prover may have seen a list of this moment that came after the one that was read
    for (const end = Date.now() + SETTLE_MS; !found.settled && Date.now() < end; found = await statuses(true))
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    ({ verified, refusals } = await judged(found));
  }
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
  const { rows, matches } = await matchHeld(ctx, checkedAs<PresentationRequest>(request));
  const byId = byIdOf(rows);
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
    return withoutEmptyIntervals(request);
  },

  checkChoice: (request, choice) => checkChoice(request, checkedAs<Choice>(choice)),

  async present(ctx, { request, choice, proposal }) {
    // a proposal is a request, or the preview of version 1
    const isPreview = Array.isArray(proposal?.attributes) && proposal.requested_attributes === undefined;
    const wishes = isPreview ? wishesOfPreview(checkedAs<PresentationPreview>(proposal)) : wishesOf(proposal ?? undefined);
    return await present(ctx, checkedAs<PresentationRequest>(request), checkedAs<Choice | null>(choice), wishes);
  },

  verify: (ctx, { request, presentation }) =>
    verifyAnonCreds(ctx, checkedAs<PresentationRequest>(request), checkedAs<Presentation>(presentation)),

  match,
};
