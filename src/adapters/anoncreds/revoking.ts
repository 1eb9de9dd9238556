import { createHash } from 'node:crypto';
import { toBase58 } from '../../didcomm/encoding.ts';
import { AppError } from '../../errors.ts';
import type { AnonCredsRevocation, RegistryWithKey, RevocationRegistryDefinition, RevocationStatusList } from '../../ports/anoncreds.ts';
import type { JsonObject } from '../../ports/json.ts';
import { demand, type Run } from './run.ts';
import * as shapes from './shapes.ts';

/** An issuer's work with the registries of a definition, and a holder's with their lists. */
export const revoking = (run: Run): AnonCredsRevocation => ({
  async createRevocationRegistry(tenant, { credentialDefinition, credentialDefinitionId, issuerId, tag, maxCredNum }) {
    demand(shapes.credentialDefinition, credentialDefinition, 'credentialDefinition');
    demand(shapes.id, credentialDefinitionId, 'credentialDefinitionId');
    demand(shapes.id, issuerId, 'issuerId');
    demand(shapes.text(256), tag, 'tag');
    demand(shapes.entries, maxCredNum, 'maxCredNum');
    const made = await run<{ definition: RevocationRegistryDefinition; private: JsonObject; tails: Uint8Array }>(
      tenant,
      'createRevocationRegistry',
      {
        credentialDefinition,
        credentialDefinitionId,
        issuerId,
        tag,
        revocationRegistryType: 'CL_ACCUM',
        maximumCredentialNumber: maxCredNum,
      },
      shapes.object({ definition: shapes.registryDefinition, private: shapes.registryKey, tails: shapes.tailsBytes(maxCredNum) }),
      { registryOf: maxCredNum },
    );
    const { tailsHash } = made.definition.value;
    if (toBase58(createHash('sha256').update(made.tails).digest()) !== tailsHash)
      throw new AppError('anoncreds-failed', 'The AnonCreds library gave tails of another hash than their definition has');
    return { ...made, tailsHash };
  },

  async createStatusList(tenant, { credentialDefinition, definition, definitionId, private: key, issuerId, timestamp }) {
    demand(shapes.credentialDefinition, credentialDefinition, 'credentialDefinition');
    demandRegistry({ definition, private: key });
    demand(shapes.id, definitionId, 'definitionId');
    demand(shapes.id, issuerId, 'issuerId');
    demand(shapes.optional(shapes.time), timestamp, 'timestamp');
    return run<RevocationStatusList>(
      tenant,
      'createStatusList',
      {
        credentialDefinition,
        revocationRegistryDefinitionId: definitionId,
        revocationRegistryDefinition: definition,
        revocationRegistryDefinitionPrivate: key,
        issuerId,
        issuanceByDefault: true,
        ...(timestamp === undefined ? {} : { timestamp }),
      },
      shapes.statusListOf(definition.value.maxCredNum),
    );
  },

  async updateStatusList(tenant, { credentialDefinition, definition, private: key, list, issued = [], revoked = [], timestamp }) {
    const { maxCredNum } = definition.value;
    demand(shapes.credentialDefinition, credentialDefinition, 'credentialDefinition');
    demandRegistry({ definition, private: key });
    demand(shapes.statusListOf(maxCredNum), list, 'list');
    demand(shapes.indices(maxCredNum), [...issued, ...revoked], 'issued and revoked');
    demand(shapes.optional(shapes.time), timestamp, 'timestamp');
    return run<RevocationStatusList>(
      tenant,
      'updateStatusList',
      {
        credentialDefinition,
        revocationRegistryDefinition: definition,
        revocationRegistryDefinitionPrivate: key,
        list,
        issued: [...issued],
        revoked: [...revoked],
        ...(timestamp === undefined ? {} : { timestamp }),
      },
      shapes.statusListOf(maxCredNum),
    );
  },

  async createRevocationState(tenant, { definition, list, index, tails, former }) {
    demand(shapes.registryDefinition, definition, 'definition');
    const { maxCredNum } = definition.value;
    demand(shapes.statusListOf(maxCredNum), list, 'list');
    demand(shapes.index(maxCredNum), index, 'index');
    demand(shapes.text(4096), tails, 'tails');
    if (list.timestamp === undefined) throw new AppError('bad-request', 'A witness is for a list with a time');
    if (former) {
      demand(shapes.revocationState, former.state, 'former.state');
      demand(shapes.statusListOf(maxCredNum), former.list, 'former.list');
    }
    return run<JsonObject>(
      tenant,
      'createRevocationState',
      { definition, list, index, tails, ...(former && { former }) },
      shapes.revocationState,
    );
  },
});

function demandRegistry({ definition, private: key }: RegistryWithKey): void {
  demand(shapes.registryDefinition, definition, 'definition');
  demand(shapes.registryKey, key, 'private');
}

/** @throws AppError `bad-request` where the registry has no such index, or its list has it revoked: a credential would be false from the start */
export function demandIssuable(revocation: RegistryWithKey & { definitionId: string; list: RevocationStatusList; index: number }): void {
  const { definition, definitionId, list, index } = revocation;
  demandRegistry(revocation);
  demand(shapes.id, definitionId, 'definitionId');
  demand(shapes.statusListOf(definition.value.maxCredNum), list, 'list');
  demand(shapes.index(definition.value.maxCredNum), index, 'index');
  if (list.revRegDefId !== definitionId) throw new AppError('bad-request', 'The status list is of another registry');
  if (list.revocationList[index] !== 0) throw new AppError('bad-request', `The index ${index} of the registry is revoked`);
}
