import { AppError } from '../errors.ts';
import type { WorkContext, WorkOps } from '../kernel/work.ts';
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
import { canonicalName, encodeValues, encodingFits } from './anoncreds-values.ts';
import { type Choice, checkChoice, checkRequest, type Wish, weightOf } from './proof-request.ts';
import { WqlUnsupported } from './wql.ts';

const LINK_SECRET = 'link-secret';
const LINK_SECRET_ID = 'default';
/** A wallet's credentials are matched in memory, up to this many. */
const MAX_HELD = 10_000;

type Format = 'anoncreds' | 'indy';

/** What ACA-Py's filters name, and the hidden tag of a credential definition's record that answers it. */
const FILTER_TAGS: Readonly<Record<string, string>> = {
  cred_def_id: 'cred_def_id',
  schema_id: 'schema_id',
  issuer_id: 'issuer_id',
  issuer_did: 'issuer_id',
  schema_issuer_id: 'schema_issuer_id',
  schema_issuer_did: 'schema_issuer_id',
  schema_name: 'schema_name',
  schema_version: 'schema_version',
};

const json = (bytes: Uint8Array): JsonObject => JSON.parse(Buffer.from(bytes).toString('utf8')) as JsonObject;
const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value), 'utf8');

const readSchema = async (ctx: WorkContext, id: string): Promise<AnonCredsSchema> =>
  (await ctx.ledger().read(id, 'SCHEMA')) as unknown as AnonCredsSchema;
const readDefinition = async (ctx: WorkContext, id: string): Promise<CredentialDefinition> =>
  (await ctx.ledger().read(id, 'CLAIM_DEF')) as unknown as CredentialDefinition;

/** The holder's link secret; made at its first use. Two that make it at once agree on the one that was stored first. */
async function linkSecret(ctx: WorkContext): Promise<string> {
  for (;;) {
    const stored = await ctx.store.key(ctx.tenant, LINK_SECRET);
    if (stored) return Buffer.from(stored.secret).toString('utf8');
    const secret = await ctx.anoncreds.createLinkSecret(ctx.tenant);
    try {
      await ctx.store.commit(ctx.tenant, { keys: [{ kid: LINK_SECRET, type: 'link-secret', secret: Buffer.from(secret, 'utf8') }] });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
    }
  }
}

/** The newest finished credential definition of this wallet that a filter allows. */
async function ownDefinition(ctx: WorkContext, filter: JsonObject): Promise<StoredRecord> {
  const tags: Record<string, string> = {};
  for (const [name, value] of Object.entries(filter)) {
    const tag = FILTER_TAGS[name];
    if (tag !== undefined && typeof value === 'string') tags[tag] = value;
  }
  const { rows } = await ctx.store.find(ctx.tenant, 'cred_def', { state: 'finished', tags, descending: true, limit: 1 });
  if (!rows[0]) throw new AppError('bad-request', `No issuable credential definition found for ${JSON.stringify(filter)}`);
  return rows[0];
}

/** The attribute whose value is not the one that was offered; undefined where all are. */
function unlikeOffer({ values }: Credential, offered: readonly { name: string; value: string }[]): string | undefined {
  const wanted = new Map(offered.map(({ name, value }) => [canonicalName(name), value]));
  const given = new Map(Object.entries(values ?? {}).map(([name, value]) => [canonicalName(name), value?.raw]));
  return [...new Set([...wanted.keys(), ...given.keys()])].find((name) => wanted.get(name) !== given.get(name));
}

/** What restrictions and listings ask about a held credential: stored beside it when it was stored. */
function held(row: StoredRecord): HeldCredential {
  const { subject, credential } = row.value as unknown as { subject: HeldCredential['subject']; credential: Credential };
  return { id: row.id, subject, values: credential.values };
}

/** Matching runs beside everything else that the process does: so much of it at a time. */
const MATCH_SLICE = 5_000;

/** The wallet's credentials that may answer a request, oldest first, and which referent each answers. @throws AppError `bad-request` where it is no proof request */
export async function matchHeld(
  ctx: Pick<WorkContext, 'store' | 'tenant'>,
  request: PresentationRequest,
): Promise<{ rows: StoredRecord[]; matches: Matches }> {
  checkRequest(request as unknown as JsonObject, 'bad-request');
  const { rows } = await ctx.store.find(ctx.tenant, 'credential', { limit: MAX_HELD });
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

/** States in which a credential is on its way into the wallet, by the record of its exchange. */
const ARRIVING: readonly (readonly [category: string, states: readonly string[]])[] = [
  ['cred_ex_v20', ['request-sent', 'credential-received']],
  ['credential_exchange_v10', ['request_sent', 'credential_received']],
];

/** Whether a credential is on its way into this wallet: what it cannot answer now it may be able to answer soon. */
async function credentialArrives(ctx: WorkContext): Promise<boolean> {
  for (const [category, states] of ARRIVING)
    for (const state of states) if ((await ctx.store.find(ctx.tenant, category, { state, limit: 1 })).rows.length > 0) return true;
  return false;
}

/** One proof request to answer: with the controller's choice, or what the wallet chooses by itself with its own proposal in mind. */
interface ToPresent {
  format: Format;
  request: PresentationRequest;
  chosen: Choice | null;
  wishes?: readonly Wish[];
}

async function present(ctx: WorkContext, { format, request, chosen, wishes = [] }: ToPresent) {
  const { rows, matches } = await matchHeld(ctx, request);
  const byId = new Map(rows.map((row) => [row.id, row]));
  const shown = chosen ? { ...chosenBy(chosen, request, byId), lacking: [] } : chosenHere(request, rows, matches, wishes);
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
  return { made: { format, value } };
}

/** A presentation in one format and what it answers: nothing, where nobody asked for the format. */
interface ToVerify {
  request: PresentationRequest | null;
  presentation: Presentation;
}

async function verify(ctx: WorkContext, { request, presentation }: ToVerify): Promise<{ verified: boolean; reasons: string[] }> {
  if (!request) return { verified: false, reasons: ['format-unrequested'] };
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

/** The slow work of the AnonCreds formats: for both `anoncreds` and `indy`, whose objects are the same and whose attachments have other names. */
export const anoncredsWork: WorkOps = {
  'anoncreds/schema': async (ctx, { schema }: { schema: AnonCredsSchema }) => {
    const object = await ctx.anoncreds.createSchema(ctx.tenant, schema);
    return { id: ctx.ledger().idOf(object.issuerId, 'SCHEMA', object as never), object };
  },

  'anoncreds/credential-definition': async (ctx, input: { issuerId: string; schemaId: string; tag: string }) => {
    const schema = await readSchema(ctx, input.schemaId);
    const made = await ctx.anoncreds.createCredentialDefinition(ctx.tenant, { ...input, schema });
    const object = made.credentialDefinition;
    return {
      id: ctx.ledger().idOf(object.issuerId, 'CLAIM_DEF', object as never),
      object,
      schema: { issuerId: schema.issuerId, name: schema.name, version: schema.version },
      secret: bytes({ private: made.private, proof: made.keyCorrectnessProof }),
    };
  },

  'credential/offer': async (
    ctx,
    input: { filters: { format: Format; filter: JsonObject }[]; preview: { attributes: { name: string }[] } | null },
  ) => {
    const offers: { format: Format; value: JsonObject }[] = [];
    for (const { format, filter } of input.filters) {
      const row = await ownDefinition(ctx, filter);
      const id = row.value.cred_def_id as string;
      const schemaId = row.value.schemaId as string;
      const { attrNames } = await readSchema(ctx, schemaId);
      if (input.preview) {
        const names = input.preview.attributes.map(({ name }) => canonicalName(name)).sort();
        if (JSON.stringify(names) !== JSON.stringify(attrNames.map(canonicalName).sort())) {
          throw new AppError(
            'bad-request',
            `Preview attributes ${names.join(', ')} mismatch corresponding schema attributes ${[...attrNames].sort().join(', ')}`,
          );
        }
      }
      const key = await ctx.store.key(ctx.tenant, `cred-def:${id}`);
      if (!key) throw new AppError('internal', 'the key of a credential definition is missing');
      const value = await ctx.anoncreds.createOffer(ctx.tenant, {
        schemaId,
        credentialDefinitionId: id,
        keyCorrectnessProof: json(key.secret).proof as JsonObject,
      });
      offers.push({ format, value });
    }
    return { offers, preview: input.preview ?? undefined };
  },

  'credential/request': async (ctx, input: { format: Format; offer: JsonObject; entropy: string }) => {
    const credentialDefinition = await readDefinition(ctx, String(input.offer.cred_def_id));
    if (credentialDefinition.schemaId !== input.offer.schema_id)
      throw new AppError('bad-request', 'The offer names another schema than its credential definition');
    const { request, metadata } = await ctx.anoncreds.createRequest(ctx.tenant, {
      offer: input.offer,
      credentialDefinition,
      linkSecret: await linkSecret(ctx),
      linkSecretId: LINK_SECRET_ID,
      entropy: input.entropy,
    });
    return { format: input.format, value: request, metadata: bytes(metadata) };
  },

  /** The credentials that were requested, in each format: of what was offered, with the values that were offered. */
  'credential/issue': async (
    ctx,
    input:
      | { entries: { format: Format; offer: JsonObject; request: JsonObject }[]; values: Record<string, string> }
      | { format: Format; offer: JsonObject; request: JsonObject; values: Record<string, string> },
  ) => {
    const credentials: { format: Format; value: JsonObject }[] = [];
    for (const { format, offer, request } of 'entries' in input ? input.entries : [input]) {
      const id = String(offer.cred_def_id);
      if (request.cred_def_id !== id) throw new AppError('bad-request', 'The request names another credential definition than the offer');
      const key = await ctx.store.key(ctx.tenant, `cred-def:${id}`);
      if (!key) throw new AppError('bad-request', 'This wallet does not hold the key of the credential definition');
      const value = await ctx.anoncreds.createCredential(ctx.tenant, {
        credentialDefinition: await readDefinition(ctx, id),
        private: json(key.secret).private as JsonObject,
        offer,
        request,
        values: encodeValues(input.values),
      });
      credentials.push({ format, value });
    }
    return { credentials };
  },

  'credential/store': async (
    ctx,
    input: {
      format: Format;
      exchange: string;
      offer: JsonObject;
      credential: JsonObject;
      id: string;
      lax?: boolean;
      /** The values that were offered, where the offer had a preview. */
      offered?: { name: string; value: string }[];
    },
  ) => {
    const id = String(input.offer.cred_def_id);
    const given = input.credential as unknown as Credential;
    if (given.cred_def_id !== id || given.schema_id !== input.offer.schema_id)
      throw new AppError('bad-request', 'The credential is of another definition than the one offered');
    for (const [name, value] of Object.entries(given.values ?? {})) {
      // implementations of the 2018 Agent Protocol had encodings of their own: a connection may be marked as one of such a peer
      if (!input.lax && !encodingFits(value))
        throw new AppError('bad-request', `The value of ${name} does not fit the number that was signed`);
    }
    const unlike = input.offered && unlikeOffer(given, input.offered);
    if (unlike !== undefined) throw new AppError('bad-request', `The credential has another ${unlike} than the one offered`);
    const metadata = await ctx.store.key(ctx.tenant, `cred-request:${input.exchange}`);
    if (!metadata) throw new AppError('bad-request', 'This wallet has no request for the credential');
    const credentialDefinition = await readDefinition(ctx, id);
    const schema = await readSchema(ctx, given.schema_id);
    const credential = await ctx.anoncreds.processCredential(ctx.tenant, {
      credential: input.credential,
      metadata: json(metadata.secret),
      linkSecret: await linkSecret(ctx),
      credentialDefinition,
    });
    const info = {
      schema_id: credential.schema_id,
      cred_def_id: credential.cred_def_id,
      rev_reg_id: null,
      cred_rev_id: null,
      attrs: Object.fromEntries(Object.entries(credential.values).map(([name, { raw }]) => [name, raw])),
      subject: {
        schemaId: credential.schema_id,
        schemaName: schema.name,
        schemaVersion: schema.version,
        schemaIssuerId: schema.issuerId,
        credentialDefinitionId: credential.cred_def_id,
        issuerId: credentialDefinition.issuerId,
      },
    };
    return { format: input.format, id: input.id, credential, info };
  },

  /**
   * Presentations in the formats of `entries`, all or none. What the wallet cannot answer by itself (`patient`) waits while a credential is on its way into it:
   * then the answer is `{ waits: true }`.
   */
  'presentation/create': async (ctx, input: { entries: ToPresent[]; patient?: boolean } | ToPresent) => {
    // an order of an earlier version of this agent has one entry, and waits for nothing
    const { entries, patient } = 'entries' in input ? input : { entries: [input], patient: false };
    // asked before the wallet is looked at: a credential that comes in between is found there
    const arrives = patient === true && (await credentialArrives(ctx));
    const presentations: { format: Format; value: Presentation }[] = [];
    for (const entry of entries) {
      const { made, lacking } = await present(ctx, entry);
      if (made) presentations.push(made);
      else if (arrives) return { waits: true };
      else throw new AppError('bad-request', `No credential of this wallet answers ${lacking.join(', ')}`);
    }
    return { presentations };
  },

  /** Whether what was presented is verified: in every format, or not at all. */
  'presentation/verify': async (ctx, input: { entries: ToVerify[] } | ToVerify) => {
    const results: Awaited<ReturnType<typeof verify>>[] = [];
    for (const entry of 'entries' in input ? input.entries : [input]) results.push(await verify(ctx, entry));
    return {
      verified: results.length > 0 && results.every(({ verified }) => verified),
      reasons: [...new Set(results.flatMap(({ reasons }) => reasons))],
    };
  },

  // `about` is what the step that takes the document must know of its own question
  'dids/resolve': async (ctx, { did, about }: { did: string; about?: JsonObject }) => ({ ...(await ctx.resolver.resolve(did)), about }),
};
