import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeValues, newNonce } from '../../src/formats/anoncreds-values.ts';
import type {
  AnonCreds,
  AnonCredsSchema,
  Credential,
  CredentialDefinition,
  PresentationRequest,
  PresentedCredential,
  RegistryWithKey,
  RevocationStatusList,
  StatusListInForce,
  VerifyInput,
} from '../../src/ports/anoncreds.ts';
import type { JsonObject } from '../../src/ports/json.ts';

/** Keys and registries of one issuer, made with the library beforehand: a key takes seconds. */
export interface World {
  schemaId: string;
  schema: AnonCredsSchema;
  definitions: Record<
    'revocable' | 'other' | 'permanent',
    { id: string; credentialDefinition: CredentialDefinition; private: JsonObject; keyCorrectnessProof: JsonObject }
  >;
  registries: Record<'first' | 'second' | 'foreign', RegistryWithKey & { id: string; of: 'revocable' | 'other'; tails: string }>;
}
export const world = JSON.parse(readFileSync(new URL('./revocation.json', import.meta.url), 'utf8')) as World;

/** The same keys as objects of another issuer, by the identifiers that a ledger gives them. */
export function worldOf(issuerId: string, idOf: (type: 'SCHEMA' | 'CLAIM_DEF' | 'REV_REG_DEF', object: never) => string): World {
  const schema = { ...world.schema, issuerId };
  const schemaId = idOf('SCHEMA', schema as never);
  const definitions = structuredClone(world.definitions);
  for (const one of Object.values(definitions)) {
    Object.assign(one.credentialDefinition, { issuerId, schemaId });
    one.id = idOf('CLAIM_DEF', one.credentialDefinition as never);
  }
  const registries = structuredClone(world.registries);
  for (const one of Object.values(registries)) {
    Object.assign(one.definition, { issuerId, credDefId: definitions[one.of].id });
    one.definition.value.tailsLocation = 'https://issuer.example/tails';
    one.id = idOf('REV_REG_DEF', one.definition as never);
  }
  return { schema, schemaId, definitions, registries };
}
export type DefinitionName = keyof World['definitions'];
export type RegistryName = keyof World['registries'];

/** What tests do with an engine: one issuer, holders, a verifier. */
export function revocationFixture(engine: AnonCreds, { schema, schemaId, definitions, registries }: World = world) {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-revocation-'));
  const tails = (name: RegistryName): string => {
    const path = join(folder, name);
    writeFileSync(path, Buffer.from(registries[name].tails, 'base64'));
    return path;
  };

  /** The first list of a registry, and what follows it, revoking one after another. */
  const lists = async (name: RegistryName, times: readonly (readonly [timestamp: number, ...revoked: number[]])[]) => {
    const { of, definition, private: key, id } = registries[name];
    const { credentialDefinition } = definitions[of];
    const made: RevocationStatusList[] = [];
    for (const [timestamp, ...revoked] of times) {
      const former = made.at(-1);
      made.push(
        former
          ? await engine.updateStatusList('issuer', { credentialDefinition, definition, private: key, list: former, revoked, timestamp })
          : await engine.createStatusList('issuer', {
              credentialDefinition,
              definition,
              private: key,
              definitionId: id,
              issuerId: definition.issuerId,
              timestamp,
            }),
      );
    }
    return made;
  };

  const issue = async (
    linkSecret: string,
    of: DefinitionName,
    {
      name,
      index,
      list,
      values = { name: 'Alice', age: '25' },
    }: { name?: RegistryName; index?: number; list?: RevocationStatusList; values?: Record<string, string> },
  ): Promise<Credential> => {
    const { id, credentialDefinition, private: key, keyCorrectnessProof } = definitions[of];
    const offer = await engine.createOffer('issuer', { schemaId: schemaId, credentialDefinitionId: id, keyCorrectnessProof });
    const { request, metadata } = await engine.createRequest('holder', {
      offer,
      credentialDefinition,
      linkSecret,
      linkSecretId: 'main',
      entropy: newNonce(),
    });
    const registry = name && registries[name];
    const credential = await engine.createCredential('issuer', {
      credentialDefinition,
      private: key,
      offer,
      request,
      values: encodeValues(values),
      ...(registry && {
        revocation: { definition: registry.definition, definitionId: registry.id, private: registry.private, list: list!, index: index! },
      }),
    });
    return engine.processCredential('holder', {
      credential,
      metadata,
      linkSecret,
      credentialDefinition,
      ...(registry && { revocationRegistryDefinition: registry.definition }),
    });
  };

  const witness = (name: RegistryName, list: RevocationStatusList, index: number) =>
    engine.createRevocationState('holder', { definition: registries[name].definition, list, index, tails: tails(name) });

  const objects = {
    schemas: { [schemaId]: schema },
    credentialDefinitions: Object.fromEntries(Object.values(definitions).map((one) => [one.id, one.credentialDefinition])),
  };

  const present = (request: PresentationRequest, credentials: PresentedCredential[], linkSecret: string) =>
    engine.createPresentation('holder', { request, credentials, selfAttested: {}, linkSecret, ...objects });

  const inForce = (name: RegistryName, list: RevocationStatusList, timestamp = list.timestamp!, next?: number): StatusListInForce => ({
    registryId: registries[name].id,
    timestamp,
    list,
    ...(next === undefined ? {} : { next }),
  });

  const verify = (input: Pick<VerifyInput, 'request' | 'presentation' | 'statusLists'> & Partial<VerifyInput>) =>
    engine.verifyPresentation('verifier', {
      ...objects,
      revocationRegistryDefinitions: Object.fromEntries(Object.values(registries).map((one) => [one.id, one.definition])),
      ...input,
    });

  return { tails, lists, issue, witness, present, inForce, verify, objects, close: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A request of one attribute or more, each with an interval or none. */
export const requestOf = (
  attributes: Record<string, { name?: string; names?: string[]; restrictions?: unknown; non_revoked?: unknown }>,
  more: { predicates?: PresentationRequest['requested_predicates']; non_revoked?: unknown } = {},
): PresentationRequest => ({
  name: 'proof',
  version: '1.0',
  nonce: newNonce(),
  requested_attributes: attributes,
  requested_predicates: more.predicates ?? {},
  ...(more.non_revoked === undefined ? {} : { non_revoked: more.non_revoked }),
});
