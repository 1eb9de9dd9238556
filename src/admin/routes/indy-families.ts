import { AppError } from '../../errors.ts';
import { endorserQuery } from '../../kernel/endorsement.ts';
import { checkedAs } from '../../kernel/json.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type CredentialDefinitionValue, credentialDefinitionRecord } from '../../records/anoncreds-credential-definition.ts';
import { type SchemaValue, schemaRecord } from '../../records/anoncreds-schema.ts';
import { did } from '../../records/did.ts';
import type { Admin, AdminRoute, Call } from '../route.ts';

const Text = Type.Optional(Type.String());
/** How a controller asks for an endorser, as ACA-Py takes it. */
export const Endorsing = Type.Object({ conn_id: Text, create_transaction_for_endorser: Type.Optional(Type.Boolean()) });

/** A schema in the form of ACA-Py's Indy family. There are no sequence numbers on this ledger. */
const indySchema = (id: string, schema: SchemaValue['schema']): JsonObject => ({
  ver: '1.0',
  id,
  name: schema.name,
  version: schema.version,
  attrNames: [...schema.attrNames],
});

/** The Indy family issues by the public DID. */
async function publicDid(admin: Admin, tenant: string): Promise<string> {
  admin.work(tenant).ledger();
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: did.category, tag: 'posture', equals: 'public' }]);
  if (!rows?.[0]) throw new AppError('bad-request', 'Cannot publish without a public DID: POST /wallet/did/public');
  return rows[0].id;
}

/** The options of the AnonCreds call that does what one of these asks for. */
export const endorsingOptions = async (admin: Admin, tenant: string, query: Call['query']): Promise<ReturnType<typeof endorserQuery>> =>
  endorserQuery(query.create_transaction_for_endorser, query.conn_id, (await admin.kernel.profiles.of(tenant)).settings.endorsement);

/** The endorsement that a registration waits for; undefined where it waits for none. */
const txnOf = (state: JsonObject, metadata: JsonObject): JsonObject | undefined =>
  state.state === 'wait' ? (metadata.txn as JsonObject | undefined) : undefined;

/** The answer of a registration whose ledger write is not done: the reason, or that it is still under way. */
function finished(state: string, metadata: JsonObject, making?: string): void {
  if (state === 'finished') return;
  const reason = typeof metadata.reason === 'string' ? metadata.reason : undefined;
  if (state === 'failed') throw new AppError('bad-request', reason ?? 'The ledger did not take it');
  const what = state === 'action' && making ? making : 'The ledger write';
  throw new AppError('timeout', `${what} is still under way${reason ? `: ${reason}` : ''}; the same call again waits for it`);
}

async function held(admin: Admin, tenant: string, category: string, tags: Record<string, string>): Promise<JsonObject[]> {
  const { rows } = await admin.kernel.db.store.find(tenant, category, { state: 'finished', tags, limit: 10_000 });
  return rows.map((row) => row.value);
}

const renamed = (query: Call['query'], names: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(query).flatMap(([name, value]) => (names[name] ? [[names[name], value]] : [])));

async function definitionOf(admin: Admin, tenant: string, id: string): Promise<JsonObject> {
  const definition = (await admin.work(tenant).ledger().read(id, 'CLAIM_DEF')) as JsonObject;
  const { schemaId, type, tag, value } = definition;
  return { credential_definition: { ver: '1.0', id, schemaId: schemaId!, type: type!, tag: tag!, value: value! } };
}

/** ACA-Py's families for Indy wallets, on the same wallet, registrar and records as the AnonCreds family. */
export const indyFamilyRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /schemas',
    tag: 'schema',
    summary: 'Sends a schema to the ledger',
    query: Endorsing,
    body: Type.Object({
      schema_name: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$' }),
      schema_version: Type.String({ pattern: '^[0-9.]+$', maxLength: 256 }),
      attributes: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: 125 }),
    }),
    async handle(admin, { tenant, query, body, key }) {
      const options = await endorsingOptions(admin, tenant, query);
      const {
        schema_name: name,
        schema_version: version,
        attributes,
      } = body as { schema_name: string; schema_version: string; attributes: string[] };
      const issuerId = await publicDid(admin, tenant);
      const same = { schema_name: name, schema_version: version, schema_issuer_id: issuerId };
      // repeated under its key it is the same call, and has the same answer
      if (key === undefined && (await held(admin, tenant, schemaRecord.category, same)).length > 0)
        throw new AppError('bad-request', `Schema ${name} ${version} already exists`);
      const answer = await admin.calls.call(tenant, 'anoncreds-schema', 'register', {
        input: { body: { schema: { issuerId, name, version, attrNames: attributes }, options }, query: {} },
        key,
      });
      const { schema_state: state, registration_metadata: metadata } = answer as Record<string, JsonObject>;
      const txn = txnOf(state!, metadata!);
      if (!txn) finished(state!.state as string, metadata!);
      const schema_id = state!.schema_id as string;
      const schema = indySchema(schema_id, checkedAs<SchemaValue['schema']>(state!.schema));
      const sent = { schema_id, schema };
      return { sent, ...(txn ? { txn } : sent) } as JsonObject;
    },
  },
  {
    route: 'GET /schemas/created',
    tag: 'schema',
    summary: 'Search for matching schema that agent originated',
    query: Type.Object({ schema_id: Text, schema_issuer_did: Text, schema_name: Text, schema_version: Text }),
    async handle(admin, { tenant, query }) {
      const tags = renamed(query, {
        schema_id: 'schema_id',
        schema_issuer_did: 'schema_issuer_id',
        schema_name: 'schema_name',
        schema_version: 'schema_version',
      });
      const found = await held(admin, tenant, schemaRecord.category, tags);
      return { schema_ids: found.map((value) => value.schema_id as string) };
    },
  },
  {
    route: 'GET /schemas/{schema_id*}',
    tag: 'schema',
    summary: 'Gets a schema from the ledger',
    async handle(admin, { tenant, params }) {
      const schema = await admin.work(tenant).ledger().read(params.schema_id!, 'SCHEMA');
      return { schema: indySchema(params.schema_id!, checkedAs<SchemaValue['schema']>(schema)) };
    },
  },
  {
    route: 'POST /schemas/{schema_id}/write_record',
    tag: 'schema',
    summary: 'Writes a schema non-secret record to the wallet',
    async handle(admin, { tenant, params }) {
      const schema_id = params.schema_id!;
      const schema = (await admin.work(tenant).ledger().read(schema_id, 'SCHEMA')) as JsonObject;
      const { issuerId, name, version, attrNames } = schema;
      const body = { schema_id, schema: { issuerId, name, version, attrNames } };
      await admin.calls.call(tenant, 'anoncreds-schema', 'adopt', { input: { body, query: {} } });
      return { schema: indySchema(schema_id, checkedAs<SchemaValue['schema']>(schema)) };
    },
  },
  {
    route: 'POST /credential-definitions',
    tag: 'credential-definition',
    summary: 'Sends a credential definition to the ledger',
    query: Endorsing,
    body: Type.Object({
      schema_id: Type.String({ maxLength: 1000 }),
      tag: Type.Optional(Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$' })),
      support_revocation: Type.Optional(Type.Boolean()),
      revocation_registry_size: Type.Optional(Type.Integer({ minimum: 4, maximum: 32_768 })),
      wait_for_revocation_setup: Type.Optional(Type.Boolean()),
    }),
    async handle(admin, { tenant, query, body, key }) {
      const endorsing = await endorsingOptions(admin, tenant, query);
      const { schema_id: schemaId, tag = 'default', support_revocation, revocation_registry_size } = body as Record<string, string>;
      const issuerId = await publicDid(admin, tenant);
      const known = await held(admin, tenant, credentialDefinitionRecord.category, { schema_id: schemaId!, issuer_id: issuerId });
      const same = known.find((value) => checkedAs<CredentialDefinitionValue>(value).tag === tag);
      // with its id, so that whoever lost the first answer has it
      if (key === undefined && same)
        throw new AppError('bad-request', `Cred def for ${schemaId} ${tag} already exists: ${same.cred_def_id as string}`);
      const options = Object.fromEntries(
        Object.entries({ ...endorsing, support_revocation, revocation_registry_size }).filter(([, value]) => value !== undefined),
      );
      const waits = body.wait_for_revocation_setup === undefined ? {} : { wait_for_revocation_setup: body.wait_for_revocation_setup };
      const answer = await admin.calls.call(tenant, 'anoncreds-credential-definition', 'register', {
        input: { body: { credential_definition: { issuerId, schemaId, tag }, options, ...waits }, query: {} },
        key,
      });
      const { credential_definition_state: state, registration_metadata: metadata } = answer as Record<string, JsonObject>;
      const txn = txnOf(state!, metadata!);
      if (!txn) finished(state!.state as string, metadata!, `The key of the credential definition with the tag ${tag}`);
      const credential_definition_id = state!.credential_definition_id as string;
      const sent = { credential_definition_id };
      return { sent, ...(txn ? { txn } : sent) } as JsonObject;
    },
  },
  {
    route: 'GET /credential-definitions/created',
    tag: 'credential-definition',
    summary: 'Search for matching credential definitions that agent originated',
    query: Type.Object({
      cred_def_id: Text,
      issuer_did: Text,
      schema_id: Text,
      schema_issuer_did: Text,
      schema_name: Text,
      schema_version: Text,
    }),
    async handle(admin, { tenant, query }) {
      const tags = renamed(query, {
        cred_def_id: 'cred_def_id',
        issuer_did: 'issuer_id',
        schema_id: 'schema_id',
        schema_issuer_did: 'schema_issuer_id',
        schema_name: 'schema_name',
        schema_version: 'schema_version',
      });
      const found = await held(admin, tenant, credentialDefinitionRecord.category, tags);
      return { credential_definition_ids: found.map((value) => value.cred_def_id as string) };
    },
  },
  {
    route: 'GET /credential-definitions/{cred_def_id*}',
    tag: 'credential-definition',
    summary: 'Gets a credential definition from the ledger',
    handle: (admin, { tenant, params }) => definitionOf(admin, tenant, params.cred_def_id!),
  },
  {
    route: 'POST /credential-definitions/{cred_def_id}/write_record',
    tag: 'credential-definition',
    summary: 'Writes a credential definition non-secret record to the wallet',
    async handle(admin, { tenant, params }) {
      const cred_def_id = params.cred_def_id!;
      const answer = await definitionOf(admin, tenant, cred_def_id);
      // the record and the key that issues are written together: where one is missing, so is the other
      if ((await held(admin, tenant, credentialDefinitionRecord.category, { cred_def_id })).length === 0)
        throw new AppError('bad-request', 'The private key of the credential definition is not in this wallet');
      return answer;
    },
  },
];
