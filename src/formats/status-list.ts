import { AppError } from '../errors.ts';
import type { RevocationRegistryDefinition, RevocationStatusList } from '../ports/anoncreds.ts';
import type { RevocationStatus } from '../ports/ledger.ts';

/** The state that a ledger's status log holds of a list: who issued it and for which registry is known there. */
export function statusOf({ revocationList, currentAccumulator: accumulator }: RevocationStatusList): RevocationStatus {
  const bits = Buffer.alloc(Math.ceil(revocationList.length / 8));
  for (const [index, revoked] of revocationList.entries()) if (revoked === 1) bits[index >> 3]! |= 1 << (index & 7);
  return { accumulator, revoked: bits.toString('base64url') };
}

/**
 * The status list (AnonCreds specification, "Revocation Status List") of a registry from the state that its log holds.
 * @param time unix seconds: since when it is in force
 * @throws AppError `object-invalid` where the bitmap is not one of the registry's size
 */
export function listOf(
  { accumulator, revoked }: RevocationStatus,
  registry: { definition: RevocationRegistryDefinition; definitionId: string },
  time: number,
): RevocationStatusList {
  const { issuerId, value } = registry.definition;
  const bits = Buffer.from(revoked, 'base64url');
  const size = value.maxCredNum;
  const unused = size % 8 === 0 ? 0 : bits[bits.length - 1]! >> (size % 8);
  if (bits.length !== Math.ceil(size / 8) || unused !== 0)
    throw new AppError('object-invalid', `The status of ${registry.definitionId} is not one of ${size} credentials`);
  return {
    issuerId,
    revRegDefId: registry.definitionId,
    revocationList: Array.from({ length: size }, (_, index) => ((bits[index >> 3]! >> (index & 7)) & 1) as 0 | 1),
    currentAccumulator: accumulator,
    timestamp: time,
  };
}
