import { compact, isoTime, loadedRecord } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type SchemaValue, schemaRecord } from '../../records/anoncreds-schema.ts';
import { Id, issuerLookup, issuerOf, PAGE, pageOf } from './members.ts';
import { ownerFamily } from './owner-family.ts';

/** The toolbox's admin-schemas 0.1. `issuer_id` is this agent's own: default is the public DID. */
export const adminSchemas = ownerFamily({
  name: 'admin-schemas',
  toolbox: true,
  orders: {
    'send-schema': {
      schema: Type.Object({
        schema_name: Type.String({ minLength: 1, maxLength: 256 }),
        schema_version: Type.String({ minLength: 1, maxLength: 256 }),
        attributes: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: 1000 }),
        issuer_id: Type.Optional(Id),
      }),
      load: () => issuerLookup,
      order(ctx, { body }) {
        const { schema_name: name, schema_version: version, attributes: attrNames } = body;
        const schema = { issuerId: issuerOf(ctx, body), name: name!, version: version!, attrNames: attrNames! };
        return { protocol: 'anoncreds-schema', command: 'register', body: { schema } };
      },
      reply: 'schema-id',
      answer: ({ schema_state }) => ({ schema_id: (schema_state as JsonObject).schema_id! }),
      keeps: ['schema_id'],
    },
    'schema-get': {
      schema: Type.Object({ schema_id: Id }),
      order: (_ctx, { body }) => ({ op: 'owner/schema', input: { schema_id: body.schema_id! } }),
      reply: 'schema',
      answer: (schema) => ({ ...schema, state: 'written' }),
      keeps: ['schema_id'],
    },
  },
  lists: {
    'schema-get-list': {
      schema: Type.Object(PAGE),
      rows: (message) => ({ category: schemaRecord.category, query: { state: 'finished', ...pageOf(message) } }),
      reply: 'schema-list',
      answer: (_ctx, rows) => ({
        results: rows.map((row) => {
          const { value, created, updated } = loadedRecord<SchemaValue>(row);
          const { name, version, attrNames } = value.schema;
          return compact({
            ...{ schema_id: value.schema_id, schema_name: name, schema_version: version, attributes: attrNames },
            ...{ author: 'self', state: 'written', created_at: isoTime(created), updated_at: isoTime(updated) },
          });
        }),
      }),
    },
  },
});
