import Type from 'typebox';
import { AppError } from '../errors.ts';
import { ProofRequest } from '../kernel/proof-schemas.ts';
import { validator } from '../kernel/schema.ts';
import type { WorkContext, WorkOps } from '../kernel/work.ts';
import type {
  AnonCredsSchema,
  Credential,
  CredentialDefinition,
  Presentation,
  PresentationRequest,
  PresentedCredential,
} from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import type { StoredRecord } from '../ports/store.ts';
import { type HeldCredential, type Matches, matchCredentials, selectCredentials } from './anoncreds-match.ts';
import { canonicalName, encodeValues, encodingFits } from './anoncreds-values.ts';

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

/** What restrictions and listings ask about a held credential: stored beside it when it was stored. */
function held(row: StoredRecord): HeldCredential {
  const { subject, credential } = row.value as unknown as { subject: HeldCredential['subject']; credential: Credential };
  return { id: row.id, subject, values: credential.values };
}

/** What matching reads of a request: a peer's is outside input, whichever message brought it. */
const Asked = validator(
  Type.Object({
    requested_attributes: ProofRequest.properties.requested_attributes,
    requested_predicates: ProofRequest.properties.requested_predicates,
  }),
);

/** The wallet's credentials that may answer a request, and which referent each answers. @throws AppError `bad-request` where it is no proof request */
export async function matchHeld(
  ctx: Pick<WorkContext, 'store' | 'tenant'>,
  request: PresentationRequest,
): Promise<{ rows: StoredRecord[]; matches: Matches }> {
  Asked.parse(request, 'bad-request');
  const { rows } = await ctx.store.find(ctx.tenant, 'credential', { limit: MAX_HELD });
  return { rows, matches: matchCredentials(request, rows.map(held)) };
}

interface Chosen {
  requested_attributes: Record<string, { cred_id: string; revealed?: boolean }>;
  requested_predicates: Record<string, { cred_id: string }>;
  self_attested_attributes: Record<string, string>;
}

/** The controller's choice as the engine wants it: by credential. */
function byCredential(chosen: Chosen): Map<string, { attributes: { referent: string; reveal: boolean }[]; predicates: string[] }> {
  const out = new Map<string, { attributes: { referent: string; reveal: boolean }[]; predicates: string[] }>();
  const entry = (id: string) => {
    const known = out.get(id) ?? { attributes: [], predicates: [] };
    out.set(id, known);
    return known;
  };
  for (const [referent, { cred_id, revealed }] of Object.entries(chosen.requested_attributes))
    entry(cred_id).attributes.push({ referent, reveal: revealed ?? true });
  for (const [referent, { cred_id }] of Object.entries(chosen.requested_predicates)) entry(cred_id).predicates.push(referent);
  return out;
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

  'credential/issue': async (ctx, input: { format: Format; offer: JsonObject; request: JsonObject; values: Record<string, string> }) => {
    const id = String(input.offer.cred_def_id);
    if (input.request.cred_def_id !== id)
      throw new AppError('bad-request', 'The request names another credential definition than the offer');
    const key = await ctx.store.key(ctx.tenant, `cred-def:${id}`);
    if (!key) throw new AppError('bad-request', 'This wallet does not hold the key of the credential definition');
    const value = await ctx.anoncreds.createCredential(ctx.tenant, {
      credentialDefinition: await readDefinition(ctx, id),
      private: json(key.secret).private as JsonObject,
      offer: input.offer,
      request: input.request,
      values: encodeValues(input.values),
    });
    return { format: input.format, value };
  },

  'credential/store': async (
    ctx,
    input: { format: Format; exchange: string; offer: JsonObject; credential: JsonObject; id: string; lax?: boolean },
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

  'presentation/create': async (ctx, input: { format: Format; request: PresentationRequest; chosen: Chosen | null }) => {
    const { request } = input;
    const { rows, matches } = await matchHeld(ctx, request);
    const byId = new Map(rows.map((row) => [row.id, row]));
    let wanted: Map<string, { attributes: { referent: string; reveal: boolean }[]; predicates: string[] }>;
    if (input.chosen) wanted = byCredential(input.chosen);
    else {
      const selection = selectCredentials(request, matches);
      const lacking = [...selection.missing, ...selection.selfAttestable];
      if (lacking.length > 0) throw new AppError('bad-request', `No credential of this wallet answers ${lacking.join(', ')}`);
      wanted = new Map(selection.credentials.map(({ id, ...rest }) => [id, rest]));
    }
    const credentials: PresentedCredential[] = [];
    const schemas: Record<string, AnonCredsSchema> = {};
    const credentialDefinitions: Record<string, CredentialDefinition> = {};
    for (const [id, use] of wanted) {
      const row = byId.get(id);
      if (!row) throw new AppError('bad-request', `No credential ${id} in this wallet`);
      const credential = row.value.credential as unknown as Credential;
      schemas[credential.schema_id] ??= await readSchema(ctx, credential.schema_id);
      credentialDefinitions[credential.cred_def_id] ??= await readDefinition(ctx, credential.cred_def_id);
      credentials.push({ credential, ...use });
    }
    const value = await ctx.anoncreds.createPresentation(ctx.tenant, {
      request,
      credentials,
      selfAttested: input.chosen?.self_attested_attributes ?? {},
      linkSecret: await linkSecret(ctx),
      schemas,
      credentialDefinitions,
    });
    return { format: input.format, value };
  },

  'presentation/verify': async (ctx, input: { request: PresentationRequest; presentation: Presentation }) => {
    const schemas: Record<string, AnonCredsSchema> = {};
    const credentialDefinitions: Record<string, CredentialDefinition> = {};
    const reasons: string[] = [];
    const identifiers = Array.isArray(input.presentation.identifiers) ? input.presentation.identifiers.slice(0, 100) : [];
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
        reasons.push(`object-missing: ${error.message}`);
      }
    }
    if (reasons.length > 0) return { verified: false, reasons };
    const { verified, refusals } = await ctx.anoncreds.verifyPresentation(ctx.tenant, {
      request: input.request,
      presentation: input.presentation,
      schemas,
      credentialDefinitions,
    });
    return {
      verified,
      reasons: refusals.map(({ reason, referent, detail }) =>
        [reason, [referent, detail].filter(Boolean).join(': ')].filter(Boolean).join(': '),
      ),
    };
  },

  // `about` is what the step that takes the document must know of its own question
  'dids/resolve': async (ctx, { did, about }: { did: string; about?: JsonObject }) => ({ ...(await ctx.resolver.resolve(did)), about }),
};
