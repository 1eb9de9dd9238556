import type { Incoming } from '../../kernel/protocol.ts';
import { compact, loadedRecord, type RecordDef } from '../../kernel/record.ts';
import { AnyObject } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Query } from '../../ports/store.ts';
import { credentialExchange } from '../../records/credential-exchange.ts';
import { presentationExchange } from '../../records/presentation-exchange.ts';
import { Flag, Id, PAGE, pageOf, Text } from './members.ts';
import { ownerFamily } from './owner-family.ts';

/** The toolbox's names of what restricts a credential, and those of the format. */
const FILTERS: Readonly<Record<string, string>> = {
  cred_def_id: 'cred_def_id',
  schema_id: 'schema_id',
  schema_name: 'schema_name',
  schema_version: 'schema_version',
  schema_issuer_did: 'schema_issuer_id',
  issuer_did: 'issuer_id',
};

const ofConnection = ({ body }: Incoming): Pick<Query, 'connection'> => ({ connection: body.connection_id as string | undefined });

/** A page of exchanges in the words of webhooks, under the toolbox's name of their id too. */
const terse = (def: RecordDef, rows: readonly Parameters<typeof loadedRecord>[0][], id: string): JsonObject[] =>
  rows.map((row) => {
    const shown = def.terse!(loadedRecord(row));
    return { ...shown, [id]: shown[def.idField]! };
  });

/** The toolbox's admin-issuer 0.1, over issue-credential 2.0 and present-proof 2.0. */
export const adminIssuer = ownerFamily({
  name: 'admin-issuer',
  toolbox: true,
  orders: {
    'send-credential': {
      schema: Type.Object({
        connection_id: Id,
        credential_proposal: Type.Object({
          attributes: Type.Array(
            Type.Object({ name: Type.String({ maxLength: 256 }), value: Type.String(), 'mime-type': Type.Optional(Type.Unknown()) }),
            { minItems: 1, maxItems: 1000 },
          ),
        }),
        ...Object.fromEntries(Object.keys(FILTERS).map((name) => [name, Type.Optional(Id)])),
        comment: Text,
        auto_remove: Flag,
      }),
      order(_ctx, { body }) {
        const { connection_id, credential_proposal, comment, auto_remove } = body;
        const filter = compact(Object.fromEntries(Object.entries(FILTERS).map(([name, ours]) => [ours, body[name]])));
        const { attributes } = credential_proposal as JsonObject;
        return {
          protocol: 'issue-credential-2.0',
          command: 'send',
          body: compact({ connection_id, credential_preview: { attributes }, filter: { anoncreds: filter }, comment, auto_remove }),
        };
      },
      reply: 'credential-exchange',
      answer: (record) => ({ ...record, credential_exchange_id: record.cred_ex_id! }),
      keeps: ['cred_ex_id', 'connection_id'],
    },
    'request-presentation': {
      schema: Type.Object({ connection_id: Id, proof_request: AnyObject, comment: Text, auto_verify: Flag, auto_remove: Flag }),
      order(_ctx, { body }) {
        const { connection_id, proof_request, comment, auto_verify = true, auto_remove } = body;
        return {
          protocol: 'present-proof-2.0',
          command: 'send-free-request',
          body: compact({ connection_id, presentation_request: { anoncreds: proof_request }, comment, auto_verify, auto_remove }),
        };
      },
      reply: 'presentation-exchange',
      answer: (record) => ({ ...record, presentation_exchange_id: record.pres_ex_id! }),
      keeps: ['pres_ex_id', 'connection_id'],
    },
  },
  lists: {
    'credentials-get-list': {
      schema: Type.Object({ connection_id: Type.Optional(Id), ...PAGE }),
      rows: (message) => ({
        category: credentialExchange.category,
        query: { role: 'issuer', ...ofConnection(message), ...pageOf(message) },
      }),
      reply: 'credentials-list',
      answer: (_ctx, rows) => ({ results: terse(credentialExchange as RecordDef, rows, 'credential_exchange_id') }),
    },
    'presentations-get-list': {
      schema: Type.Object({ connection_id: Type.Optional(Id), ...PAGE }),
      rows: (message) => ({
        category: presentationExchange.category,
        query: { role: 'verifier', ...ofConnection(message), ...pageOf(message) },
      }),
      reply: 'presentations-list',
      answer: (_ctx, rows) => ({ results: terse(presentationExchange as RecordDef, rows, 'presentation_exchange_id') }),
    },
  },
});
