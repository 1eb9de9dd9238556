import { AppError } from '../errors.ts';
import type { Issuance, PreviewAttribute } from '../kernel/format.ts';
import { checkedAs, jsonOf } from '../kernel/json.ts';
import type { WorkContext } from '../kernel/work.ts';
import type { Credential } from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import type { StoredRecord } from '../ports/store.ts';
import { bytes, json, linkSecret, readDefinition, readSchema } from './anoncreds-objects.ts';
import { indexOf, registryOf } from './anoncreds-revocation.ts';
import { canonicalName, encodeValues, encodingFits } from './anoncreds-values.ts';
import { ocaSupplement } from './oca-bundle.ts';
import { issuingRegistry, ownRegistry, revocationIndex, revokedIn, takeIndex } from './registry-index.ts';
import { listOf } from './status-list.ts';

const LINK_SECRET_ID = 'default';

/** The members of ACA-Py's filters, and for each the hidden tag of a credential definition's record. */
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

/** The newest finished credential definition of this wallet that a filter allows. */
async function ownDefinition(ctx: WorkContext, filter: JsonObject): Promise<StoredRecord> {
  const tags: Record<string, string> = {};
  for (const [name, value] of Object.entries(filter)) {
    const tag = Object.hasOwn(FILTER_TAGS, name) ? FILTER_TAGS[name] : undefined;
    if (tag !== undefined && typeof value === 'string') tags[tag] = value;
  }
  const { rows } = await ctx.store.find(ctx.tenant, 'cred_def', { state: 'finished', tags, descending: true, limit: 1 });
  if (!rows[0]) throw new AppError('bad-request', `No issuable credential definition found for ${JSON.stringify(filter)}`);
  return rows[0];
}

/** The attribute whose value is not the one that was offered; undefined where all are. */
function unlikeOffer({ values }: Credential, offered: readonly PreviewAttribute[]): string | undefined {
  const wanted = new Map(offered.map(({ name, value }) => [canonicalName(name), value]));
  const given = new Map(Object.entries(values ?? {}).map(([name, value]) => [canonicalName(name), value?.raw]));
  return [...new Set([...wanted.keys(), ...given.keys()])].find((name) => wanted.get(name) !== given.get(name));
}

/** Issuing AnonCreds: the same for both formats, whose objects are the same and whose attachments have other names. */
export const anoncredsIssuance: Omit<Issuance, 'ids' | 'filterSchema'> = {
  // as in ACA-Py the wallet type decides the family of the detail, by which controllers choose their calls
  detailName: ({ walletType }) => (walletType === 'askar' ? 'indy' : 'anoncreds'),

  async offer(ctx, { filter, preview }) {
    const row = await ownDefinition(ctx, filter);
    const id = row.value.cred_def_id as string;
    const schemaId = row.value.schemaId as string;
    const { attrNames } = await readSchema(ctx, schemaId);
    const names = preview?.map(({ name }) => canonicalName(name)).sort();
    if (names && JSON.stringify(names) !== JSON.stringify(attrNames.map(canonicalName).sort()))
      throw new AppError(
        'bad-request',
        `Preview attributes ${names.join(', ')} mismatch corresponding schema attributes ${[...attrNames].sort().join(', ')}`,
      );
    const key = await ctx.store.key(ctx.tenant, `cred-def:${id}`);
    if (!key) throw new AppError('internal', 'the key of a credential definition is missing');
    const value = await ctx.anoncreds.createOffer(ctx.tenant, {
      schemaId,
      credentialDefinitionId: id,
      keyCorrectnessProof: json(key.secret).proof as JsonObject,
    });
    return { value, supplement: await ocaSupplement(ctx, id) };
  },

  async request(ctx, { offer, entropy }) {
    const credentialDefinition = await readDefinition(ctx, String(offer.cred_def_id));
    if (credentialDefinition.schemaId !== offer.schema_id)
      throw new AppError('bad-request', 'The offer names another schema than its credential definition');
    const { request, metadata } = await ctx.anoncreds.createRequest(ctx.tenant, {
      offer,
      credentialDefinition,
      linkSecret: await linkSecret(ctx),
      linkSecretId: LINK_SECRET_ID,
      entropy,
    });
    return { value: request, secret: bytes(metadata) };
  },

  async issue(ctx, { offer, request, values, registry: taken }) {
    const id = String(offer.cred_def_id);
    if (request.cred_def_id !== id) throw new AppError('bad-request', 'The request names another credential definition than the offer');
    const key = await ctx.store.key(ctx.tenant, `cred-def:${id}`);
    if (!key) throw new AppError('bad-request', 'This wallet does not hold the key of the credential definition');
    const credentialDefinition = await readDefinition(ctx, id);
    const input = {
      credentialDefinition,
      private: json(key.secret).private as JsonObject,
      offer,
      request,
      values: encodeValues(values),
    };
    if (!credentialDefinition.value.revocation) return { value: await ctx.anoncreds.createCredential(ctx.tenant, input) };
    const index = ctx.allocated;
    if (taken === undefined || index === undefined) return takeIndex(await issuingRegistry(ctx, id));
    const { row, definition, definitionId, private: registryKey } = await ownRegistry(ctx, taken);
    const { status, time } = await ctx.ledger().statusAt(definitionId);
    // of a store that was restored: the ledger knows that the index was given before
    if (revokedIn(status)(index)) return takeIndex(row);
    const list = listOf(status, { definition, definitionId }, time);
    const value = await ctx.anoncreds.createCredential(ctx.tenant, {
      ...input,
      revocation: { definition, definitionId, private: registryKey, list, index },
    });
    return { value, revocable: revocationIndex(row, index) };
  },

  async store(ctx, { offer, credential: received, secret, offered, lax }) {
    const id = String(offer.cred_def_id);
    const given = checkedAs<Credential>(received);
    if (given.cred_def_id !== id || given.schema_id !== offer.schema_id)
      throw new AppError('bad-request', 'The credential is of another definition than the one offered');
    for (const [name, value] of Object.entries(given.values ?? {})) {
      // implementations of the 2018 Agent Protocol had encodings of their own: a connection may be marked as one of such a peer
      if (!lax && !encodingFits(value)) throw new AppError('bad-request', `The value of ${name} does not fit the number that was signed`);
    }
    const unlike = offered && unlikeOffer(given, offered);
    if (unlike !== undefined) throw new AppError('bad-request', `The credential has another ${unlike} than the one offered`);
    const credentialDefinition = await readDefinition(ctx, id);
    const schema = await readSchema(ctx, given.schema_id);
    const registry = given.rev_reg_id == null ? undefined : await registryOf(ctx, given, credentialDefinition);
    const credential = await ctx.anoncreds.processCredential(ctx.tenant, {
      credential: received,
      metadata: json(secret),
      linkSecret: await linkSecret(ctx),
      credentialDefinition,
      ...(registry && { revocationRegistryDefinition: registry.definition }),
    });
    // fetched ahead, while the issuer is there; a presentation that needs them fetches them again
    if (registry) void ctx.tails(registry.definition).catch(() => undefined);
    const index = indexOf(credential);
    const place = { rev_reg_id: credential.rev_reg_id ?? null, cred_rev_id: index === undefined ? null : String(index) };
    const info = {
      schema_id: credential.schema_id,
      cred_def_id: credential.cred_def_id,
      ...place,
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
    return { credential: jsonOf(credential), info, ...(registry && { detail: place }) };
  },
};
