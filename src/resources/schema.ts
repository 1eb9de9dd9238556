import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import { MAX_ATTRIBUTES, namesFault } from '../formats/credential-preview.ts';
import type { Effects, LedgerOrder } from '../kernel/effects.ts';
import { EndorserOptions, endorserIn } from '../kernel/endorsement.ts';
import { checkedAs } from '../kernel/json.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { type SchemaValue, schemaRecord } from '../records/anoncreds-schema.ts';
import { did, ownIssuer } from '../records/did.ts';
import { endorsementOf, isEndorsementOver } from '../records/transaction.ts';

const Body = Type.Object({
  schema: Type.Object({
    issuerId: Type.String(),
    name: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$' }),
    version: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$' }),
    attrNames: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: MAX_ATTRIBUTES }),
  }),
  options: Type.Optional(Type.Object(EndorserOptions)),
});

const idOf = (schema: { issuerId: string; name: string; version: string }): string =>
  createHash('sha256')
    .update(JSON.stringify([schema.issuerId, schema.name, schema.version]))
    .digest('hex')
    .slice(0, 32);

/** Registering schemas: made and checked as work, written to the ledger, then finished. No messages. */
export const anoncredsSchema = defineProtocol<SchemaValue>({
  name: 'anoncreds-schema',
  uris: [],
  binds: schemaRecord,
  messages: {},
  commands: {
    register: command({
      route: 'POST /anoncreds/schema',
      tag: 'AnonCreds - Schemas',
      summary: 'Create a schema on the connected datastore',
      body: Body,
      from: [NEW, 'action', 'wait', 'finished', 'failed'],
      about: ({ body }) => ({ category: schemaRecord.category, id: idOf(body.schema) }),
      load: ({ body }) => ({
        issuer: { category: did.category, tag: 'did', equals: body.schema.issuerId },
        endorsement: endorsementOf(schemaRecord.category, idOf(body.schema)),
      }),
      step(ctx, { body }) {
        const { schema } = body;
        const endorser = endorserIn(body.options);
        const fault = namesFault(schema.attrNames);
        if (fault) throw new AppError('unprocessable', `attrNames: ${fault}`);
        const known = ctx.record;
        if (known && JSON.stringify([...known.value.schema.attrNames].sort()) !== JSON.stringify([...schema.attrNames].sort())) {
          throw new AppError('bad-request', `Schema already exists with other attributes: ${known.value.schema_id}`);
        }
        if (known?.state === 'wait' && isEndorsementOver(ctx.loaded.endorsement))
          return { record: { patch: { endorser, error_msg: undefined } }, ledger: [write({ ...known.value, endorser })] };
        if (known && known.state !== 'failed') return {};
        const issuer = ownIssuer(ctx.loaded.issuer, schema.issuerId);
        const value: SchemaValue = { schema: known?.value.schema ?? schema, verkey: issuer.verkey, endorser, error_msg: undefined };
        return {
          record: { id: idOf(schema), states: ['action'], patch: value },
          work: [{ op: 'anoncreds/schema', input: { schema: value.schema as never }, result: 'made' }],
        };
      },
    }),
    /** The ledger's objects of a DID of this wallet, as if they had been registered from here. */
    adopt: command({
      body: Type.Object({ schema: Body.properties.schema, schema_id: Type.String() }),
      from: [NEW, 'action', 'wait', 'finished', 'failed'],
      about: ({ body }) => ({ category: schemaRecord.category, id: idOf(body.schema) }),
      load: ({ body }) => ({ issuer: { category: did.category, tag: 'did', equals: body.schema.issuerId } }),
      step(ctx, { body: { schema, schema_id } }) {
        if (ctx.record && ctx.record.state !== 'failed') return {};
        const { verkey } = ownIssuer(ctx.loaded.issuer, schema.issuerId);
        return { record: { id: idOf(schema), states: ['finished'], patch: { schema, schema_id, verkey, error_msg: undefined } } };
      },
    }),
  },
  results: {
    made: {
      from: ['action'],
      step(ctx, made: { id: string; object: JsonObject }) {
        const patch = { schema_id: made.id, schema: checkedAs<SchemaValue['schema']>(made.object) };
        return { record: { states: ['wait'], patch }, ledger: [write({ ...ctx.record!.value, ...patch })] };
      },
    },
    written: { from: ['wait'], step: () => ({ record: { states: ['finished'], patch: { error_msg: undefined } } }) },
  },
  failed: (_ctx, failure): Effects => ({ record: { states: ['failed'], patch: { error_msg: failure.text } } }),
});

const write = (value: SchemaValue): LedgerOrder => ({
  write: { kind: 'object-put', id: value.schema_id!, did: value.schema.issuerId, type: 'SCHEMA', object: { ...value.schema } },
  verkey: value.verkey,
  result: 'written',
  endorser: value.endorser,
});
