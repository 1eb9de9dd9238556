import { createHash } from 'node:crypto';
import Type from 'typebox';
import { AppError } from '../errors.ts';
import type { Effects } from '../kernel/effects.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import { KEY_MS } from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import { type CredentialDefinitionValue, credentialDefinitionRecord } from '../records/anoncreds-credential-definition.ts';
import { did, ownIssuer } from '../records/did.ts';

const Body = Type.Object({
  credential_definition: Type.Object({
    issuerId: Type.String(),
    schemaId: Type.String(),
    tag: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$' }),
  }),
  options: Type.Optional(
    Type.Object({ support_revocation: Type.Optional(Type.Boolean()), revocation_registry_size: Type.Optional(Type.Integer()) }),
  ),
  wait_for_revocation_setup: Type.Optional(Type.Boolean()),
});

const idOf = (wanted: { issuerId: string; schemaId: string; tag: string }): string =>
  createHash('sha256')
    .update(JSON.stringify([wanted.issuerId, wanted.schemaId, wanted.tag]))
    .digest('hex')
    .slice(0, 32);

/** Registering credential definitions: the key is made once, stored before anything is written to the ledger, and never made again for the same tag. */
export const anoncredsCredentialDefinition = defineProtocol<CredentialDefinitionValue>({
  name: 'anoncreds-credential-definition',
  uris: [],
  binds: credentialDefinitionRecord,
  messages: {},
  commands: {
    register: command({
      route: 'POST /anoncreds/credential-definition',
      tag: 'AnonCreds - Credential Definitions',
      summary: 'Create a credential definition on the connected datastore',
      body: Body,
      // primes are a matter of luck: ACA-Py answers when they are found, however long that takes, and its controllers count on a finished definition
      // (KEY_MS bounds it), and the ledger has its time behind that
      timeoutMs: KEY_MS + 60_000,
      // repeated, the call waits for what the first one began
      waitWhile: ['action', 'wait'],
      from: [NEW, 'action', 'wait', 'finished', 'failed'],
      about: ({ body }) => ({ category: credentialDefinitionRecord.category, id: idOf(body.credential_definition) }),
      load: ({ body }) => ({ issuer: { category: did.category, tag: 'did', equals: body.credential_definition.issuerId } }),
      step(ctx, { body }) {
        const { issuerId, schemaId, tag } = body.credential_definition;
        if (body.options?.support_revocation)
          throw new AppError('not-implemented', 'Revocation is not supported yet: support_revocation must be false');
        const known = ctx.record;
        if (known && known.state !== 'failed') return {};
        const issuer = ownIssuer(ctx.loaded.issuer, issuerId);
        if (known?.value.credential_definition)
          return { record: { states: ['wait'], patch: { error_msg: undefined } }, ledger: [write(known.value)] };
        return {
          record: {
            id: idOf({ issuerId, schemaId, tag }),
            states: ['action'],
            patch: { issuerId, schemaId, tag, verkey: issuer.verkey, error_msg: undefined },
          },
          work: [{ op: 'anoncreds/credential-definition', input: { issuerId, schemaId, tag }, result: 'made' }],
        };
      },
    }),
  },
  results: {
    made: {
      from: ['action'],
      step(ctx, made: { id: string; object: JsonObject; schema: CredentialDefinitionValue['schema']; secret: Uint8Array }) {
        const patch = { cred_def_id: made.id, credential_definition: made.object, schema: made.schema };
        return {
          record: { states: ['wait'], patch },
          keys: [{ kid: `cred-def:${made.id}`, type: 'cred-def', secret: made.secret }],
          ledger: [write({ ...ctx.record!.value, ...patch })],
        };
      },
    },
    written: { from: ['wait'], step: () => ({ record: { states: ['finished'], patch: { error_msg: undefined } } }) },
  },
  failed: (_ctx, failure): Effects => ({ record: { states: ['failed'], patch: { error_msg: failure.text } } }),
});

const write = (value: CredentialDefinitionValue) => ({
  write: {
    kind: 'object-put' as const,
    id: value.cred_def_id!,
    did: value.issuerId,
    type: 'CLAIM_DEF' as const,
    object: value.credential_definition!,
  },
  verkey: value.verkey,
  result: 'written',
});
