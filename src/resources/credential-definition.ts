import { createHash } from 'node:crypto';
import { REVOCATION_REGISTRY } from '../formats/registry-index.ts';
import type { Effects, NextCommand } from '../kernel/effects.ts';
import { EndorserOptions, endorserIn, registriesFollow } from '../kernel/endorsement.ts';
import { command, defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import { KEY_MS } from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import { type CredentialDefinitionValue, credentialDefinitionRecord } from '../records/anoncreds-credential-definition.ts';
import { did, ownIssuer } from '../records/did.ts';
import { endorsementOf, isEndorsementOver } from '../records/transaction.ts';

const Body = Type.Object({
  credential_definition: Type.Object({
    issuerId: Type.String(),
    schemaId: Type.String(),
    tag: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$' }),
  }),
  options: Type.Optional(
    Type.Object({
      ...EndorserOptions,
      support_revocation: Type.Optional(Type.Boolean()),
      revocation_registry_size: Type.Optional(Type.Integer({ minimum: 4, maximum: 32_768 })),
    }),
  ),
  wait_for_revocation_setup: Type.Optional(Type.Boolean()),
});

/** ACA-Py's. */
const REGISTRY_SIZE = 1000;
const FIRST_TAG = '0';

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
      isAwaited: ({ value }, now) => ((value as CredentialDefinitionValue).registry_until ?? 0) > now,
      // an endorser may answer in days
      waits: ({ body }, { endorsement }) => endorsement.role !== 'author' && endorserIn(body.options) === undefined,
      from: [NEW, 'action', 'wait', 'finished', 'failed'],
      about: ({ body }) => ({ category: credentialDefinitionRecord.category, id: idOf(body.credential_definition) }),
      load: ({ body }) => ({
        issuer: { category: did.category, tag: 'did', equals: body.credential_definition.issuerId },
        endorsement: endorsementOf(credentialDefinitionRecord.category, idOf(body.credential_definition)),
      }),
      step(ctx, { body }) {
        const { issuerId, schemaId, tag } = body.credential_definition;
        const { support_revocation: revocable = false, revocation_registry_size: size = REGISTRY_SIZE } = body.options ?? {};
        const known = ctx.record;
        const endorser = endorserIn(body.options);
        const over = known?.state === 'wait' && isEndorsementOver(ctx.loaded.endorsement);
        if (known && known.state !== 'failed' && !over) return {};
        const issuer = ownIssuer(ctx.loaded.issuer, issuerId);
        if (known?.value.credential_definition)
          return { record: { states: ['wait'], patch: { endorser, error_msg: undefined } }, ledger: [write({ ...known.value, endorser })] };
        return {
          record: {
            id: idOf({ issuerId, schemaId, tag }),
            states: ['action'],
            patch: {
              ...{ issuerId, schemaId, tag, verkey: issuer.verkey, endorser, error_msg: undefined },
              revocation_size: revocable ? size : undefined,
              waits_for_registry: revocable ? body.wait_for_revocation_setup !== false : undefined,
            },
          },
          work: [
            {
              op: 'anoncreds/credential-definition',
              input: { issuerId, schemaId, tag, ...(revocable && { supportRevocation: true }) },
              result: 'made',
            },
          ],
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
    written: {
      from: ['wait'],
      step(ctx) {
        const next = firstRegistry(ctx);
        const waits = next.length > 0 && ctx.record!.value.waits_for_registry;
        return {
          record: {
            states: ['finished'],
            patch: {
              error_msg: undefined,
              waits_for_registry: undefined,
              registry_until: waits ? ctx.now + ctx.settings.revocationRegistryTimeout * 1000 : undefined,
            },
          },
          next,
        };
      },
    },
  },
  failed: (_ctx, failure): Effects => ({ record: { states: ['failed'], patch: { error_msg: failure.text } } }),
});

/** The first registry of a definition whose credentials can be revoked. When it is active, the one that stands by follows. */
function firstRegistry({ record, newId, settings }: StepContext<CredentialDefinitionValue>): NextCommand[] {
  const { revocation_size: max_cred_num, cred_def_id, issuerId, verkey, endorser } = record!.value;
  if (max_cred_num === undefined || !registriesFollow(settings.endorsement)) return [];
  const id = newId();
  return [
    {
      protocol: 'revocation-registry',
      command: 'create',
      record: { category: REVOCATION_REGISTRY, id },
      input: { id, issuerId, cred_def_id: cred_def_id!, tag: FIRST_TAG, max_cred_num, verkey, ...(endorser && { endorser }) },
      after: 0,
    },
  ];
}

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
  endorser: value.endorser,
});
