import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { credentialDefinitionRecord } from '../../records/anoncreds-credential-definition.ts';
import { schemaRecord } from '../../records/anoncreds-schema.ts';
import type { Admin, AdminRoute } from '../route.ts';

const Text = Type.Optional(Type.String());

/** Ids of what this wallet registered, by the hidden tag that holds them. */
async function created(admin: Admin, tenant: string, category: string, tag: string, tags: Record<string, string>): Promise<string[]> {
  const { rows } = await admin.kernel.db.store.find(tenant, category, { state: 'finished', tags, limit: 10_000 });
  return rows.flatMap((row) => (typeof row.value[tag] === 'string' ? [row.value[tag] as string] : []));
}

/** Reading the registry; registering is a command. */
export const anoncredsRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /anoncreds/schemas',
    tag: 'AnonCreds - Schemas',
    summary: 'Retrieve all schema ids',
    query: Type.Object({ schema_issuer_id: Text, schema_name: Text, schema_version: Text }),
    handle: async (admin, { tenant, query }) => ({ schema_ids: await created(admin, tenant, schemaRecord.category, 'schema_id', query) }),
  },
  {
    route: 'GET /anoncreds/schema/{schema_id*}',
    tag: 'AnonCreds - Schemas',
    summary: 'Retrieve an individual schemas details',
    async handle(admin, { tenant, params }) {
      const schema = await admin.work(tenant).ledger().read(params.schema_id!, 'SCHEMA');
      return { schema: schema as JsonObject, schema_id: params.schema_id!, resolution_metadata: {}, schema_metadata: {} };
    },
  },
  {
    route: 'GET /anoncreds/credential-definitions',
    tag: 'AnonCreds - Credential Definitions',
    summary: 'Retrieve all credential definition ids',
    query: Type.Object({ issuer_id: Text, schema_id: Text, schema_name: Text, schema_version: Text }),
    handle: async (admin, { tenant, query }) => ({
      credential_definition_ids: await created(admin, tenant, credentialDefinitionRecord.category, 'cred_def_id', query),
    }),
  },
  {
    route: 'GET /anoncreds/credential-definition/{cred_def_id*}',
    tag: 'AnonCreds - Credential Definitions',
    summary: 'Retrieve an individual credential definition details',
    async handle(admin, { tenant, params }) {
      const definition = await admin.work(tenant).ledger().read(params.cred_def_id!, 'CLAIM_DEF');
      return {
        credential_definition: definition as JsonObject,
        credential_definition_id: params.cred_def_id!,
        credential_definitions_metadata: {},
        resolution_metadata: {},
      };
    },
  },
];
