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
interface World {
  schemaId: string;
  schema: AnonCredsSchema;
  definitions: Record<
    'revocable' | 'other' | 'permanent',
    { id: string; credentialDefinition: CredentialDefinition; private: JsonObject; keyCorrectnessProof: JsonObject }
  >;
  registries: Record<'first' | 'second' | 'foreign', RegistryWithKey & { id: string; of: 'revocable' | 'other'; tails: string }>;
}
export const world = JSON.parse(readFileSync(new URL('./revocation.json', import.meta.url), 'utf8')) as World;
export type DefinitionName = keyof World['definitions'];
export type RegistryName = keyof World['registries'];

/** What tests do with an engine: one issuer, holders, a verifier. */
export function revocationFixture(engine: AnonCreds) {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-revocation-'));
  const tails = (name: RegistryName): string => {
    const path = join(folder, name);
    writeFileSync(path, Buffer.from(world.registries[name].tails, 'base64'));
    return path;
  };

  /** The first list of a registry, and what follows it, revoking one after another. */
  const lists = async (name: RegistryName, times: readonly (readonly [timestamp: number, ...revoked: number[]])[]) => {
    const { of, definition, private: key, id } = world.registries[name];
    const { credentialDefinition } = world.definitions[of];
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
    const { id, credentialDefinition, private: key, keyCorrectnessProof } = world.definitions[of];
    const offer = await engine.createOffer('issuer', { schemaId: world.schemaId, credentialDefinitionId: id, keyCorrectnessProof });
    const { request, metadata } = await engine.createRequest('holder', {
      offer,
      credentialDefinition,
      linkSecret,
      linkSecretId: 'main',
      entropy: newNonce(),
    });
    const registry = name && world.registries[name];
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
    engine.createRevocationState('holder', { definition: world.registries[name].definition, list, index, tails: tails(name) });

  const objects = {
    schemas: { [world.schemaId]: world.schema },
    credentialDefinitions: Object.fromEntries(Object.values(world.definitions).map((one) => [one.id, one.credentialDefinition])),
  };

  const present = (request: PresentationRequest, credentials: PresentedCredential[], linkSecret: string) =>
    engine.createPresentation('holder', { request, credentials, selfAttested: {}, linkSecret, ...objects });

  const inForce = (name: RegistryName, list: RevocationStatusList, timestamp = list.timestamp!, next?: number): StatusListInForce => ({
    registryId: world.registries[name].id,
    timestamp,
    list,
    ...(next === undefined ? {} : { next }),
  });

  const verify = (input: Pick<VerifyInput, 'request' | 'presentation' | 'statusLists'> & Partial<VerifyInput>) =>
    engine.verifyPresentation('verifier', {
      ...objects,
      revocationRegistryDefinitions: Object.fromEntries(Object.values(world.registries).map((one) => [one.id, one.definition])),
      ...input,
    });

  return { tails, lists, issue, witness, present, inForce, verify, objects, close: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A request of one attribute or more, each with an interval or none. */
export const requestOf = (
  attributes: Record<string, { name?: string; names?: string[]; non_revoked?: unknown }>,
  more: { predicates?: PresentationRequest['requested_predicates']; non_revoked?: unknown } = {},
): PresentationRequest => ({
  name: 'proof',
  version: '1.0',
  nonce: newNonce(),
  requested_attributes: attributes,
  requested_predicates: more.predicates ?? {},
  ...(more.non_revoked === undefined ? {} : { non_revoked: more.non_revoked }),
});
