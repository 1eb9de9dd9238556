import { compact, isoTime, loadedRecord } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type CredentialDefinitionValue, credentialDefinitionRecord } from '../../records/anoncreds-credential-definition.ts';
import { Flag, Id, issuerLookup, issuerOf, PAGE, pageOf } from './members.ts';
import { ownerFamily } from './owner-family.ts';

/** The toolbox's admin-credential-definitions 0.1. What `send-credential-definition` takes beside `schema_id` is this agent's own. */
export const adminCredentialDefinitions = ownerFamily({
  name: 'admin-credential-definitions',
  toolbox: true,
  orders: {
    'send-credential-definition': {
      schema: Type.Object({
        schema_id: Id,
        tag: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
        issuer_id: Type.Optional(Id),
        support_revocation: Flag,
        revocation_registry_size: Type.Optional(Type.Integer({ minimum: 4, maximum: 32_768 })),
      }),
      load: () => issuerLookup,
      order(ctx, { body }) {
        const { schema_id: schemaId, tag = 'default', support_revocation, revocation_registry_size } = body;
        return {
          protocol: 'anoncreds-credential-definition',
          command: 'register',
          body: {
            credential_definition: { issuerId: issuerOf(ctx, body), schemaId: schemaId!, tag },
            options: compact({ support_revocation, revocation_registry_size }),
          },
        };
      },
      reply: 'credential-definition-id',
      answer: ({ credential_definition_state: state }) => ({ cred_def_id: (state as JsonObject).credential_definition_id! }),
      keeps: ['cred_def_id'],
    },
    'credential-definition-get': {
      schema: Type.Object({ cred_def_id: Id }),
      order: (_ctx, { body }) => ({ op: 'owner/credential-definition', input: { cred_def_id: body.cred_def_id! } }),
      reply: 'credential-definition',
      answer: (definition) => ({ ...definition, state: 'written' }),
      keeps: ['cred_def_id'],
    },
  },
  lists: {
    'credential-definition-get-list': {
      schema: Type.Object(PAGE),
      rows: (message) => ({ category: credentialDefinitionRecord.category, query: { state: 'finished', ...pageOf(message) } }),
      reply: 'credential-definition-list',
      answer: (_ctx, rows) => ({
        results: rows.map((row) => {
          const { value, created, updated } = loadedRecord<CredentialDefinitionValue>(row);
          return compact({
            ...{ cred_def_id: value.cred_def_id, schema_id: value.schemaId, tag: value.tag, author: 'self', state: 'written' },
            ...{ created_at: isoTime(created), updated_at: isoTime(updated) },
          });
        }),
      }),
    },
  },
});
