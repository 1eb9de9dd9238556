import { BoundedMap } from '../bounded-map.ts';
import { AppError } from '../errors.ts';
import { checkedAs } from '../kernel/json.ts';
import type { WorkContext } from '../kernel/work.ts';
import type {
  Credential,
  CredentialDefinition,
  Presentation,
  PresentationRequest,
  Refusal,
  RevocationRegistryDefinition,
  StatusListInForce,
} from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import type { RevocationStatus, StatusEntry } from '../ports/ledger.ts';
import { type Interval, timedReferents } from './non-revocation.ts';
import { listOf } from './status-list.ts';

/** Revocation registries of the ledger, and the witnesses by which this wallet's credentials prove that they are not revoked. */

/** A registry with its definition, as the ledger has it. */
export interface Registry {
  readonly definition: RevocationRegistryDefinition;
  readonly definitionId: string;
}

/** @throws AppError as `Ledger.read`; `object-invalid` for what is no definition */
async function readRegistry(ctx: WorkContext, definitionId: string): Promise<Registry> {
  const object = await ctx.ledger().read(definitionId, 'REV_REG_DEF');
  const { issuerId, credDefId, value } = object as Partial<RevocationRegistryDefinition>;
  const { maxCredNum, tailsHash, tailsLocation } = value ?? {};
  const texts = [issuerId, credDefId, tailsHash, tailsLocation];
  if (!texts.every((text) => typeof text === 'string') || !Number.isInteger(maxCredNum) || maxCredNum! < 1 || maxCredNum! > 32_768)
    throw new AppError('object-invalid', `${definitionId} is no definition of a revocation registry`);
  return { definition: checkedAs<RevocationRegistryDefinition>(object), definitionId };
}

/** The registry that a credential names, of its own definition. @throws AppError as `readRegistry`; `bad-request` where it is of another definition */
export async function registryOf(
  ctx: WorkContext,
  { rev_reg_id: id, cred_def_id: definitionId }: Credential,
  { issuerId }: CredentialDefinition,
): Promise<Registry> {
  const registry = await readRegistry(ctx, id!);
  if (registry.definition.credDefId !== definitionId || registry.definition.issuerId !== issuerId)
    throw new AppError('bad-request', 'The revocation registry of the credential is of another credential definition');
  return registry;
}

/** The index of a credential in its registry; undefined where it has none. */
export const indexOf = (credential: Credential): number | undefined =>
  credential.rev_reg_id == null
    ? undefined
    : (credential as { signature?: { r_credential?: { i?: number } | null } }).signature?.r_credential?.i;

/**
 * The state of a registry that a holder shows for an interval: the one in force at its end, or now.
 * @throws AppError `bad-request` where there was none, or the interval is none
 */
export async function stateFor(ctx: WorkContext, definitionId: string, { from, to }: Interval): Promise<StatusEntry> {
  if (from !== undefined && to !== undefined && from > to)
    throw new AppError('bad-request', `The request asks for non-revocation from ${from} to ${to}, which is no interval`);
  return await stateAt(ctx, definitionId, to);
}

/** The state in force at a time, or now. @throws AppError `bad-request` where there was none */
export async function stateAt(ctx: WorkContext, definitionId: string, time?: number): Promise<StatusEntry> {
  try {
    return await ctx.ledger().statusAt(definitionId, time);
  } catch (error) {
    if (!(error instanceof AppError) || (error.code !== 'status-none' && error.code !== 'status-pruned')) throw error;
    throw new AppError('bad-request', `The revocation registry ${definitionId} has no state at ${time}: ${error.message}`);
  }
}

/** Witnesses that were made last, with the states that they are for: from one the next is made faster. They are made again where they are not there. */
const WITNESSES = new BoundedMap<string, { state: JsonObject; status: RevocationStatus; time: number }>(2000);

/**
 * The witness of a credential for a state of its registry.
 * @throws AppError `bad-request` where the tails cannot be had
 */
export async function witnessOf(ctx: WorkContext, registry: Registry, index: number, { status, time }: StatusEntry): Promise<JsonObject> {
  const key = JSON.stringify([ctx.tenant, registry.definitionId, index]);
  const known = WITNESSES.get(key);
  if (known?.time === time && known.status.accumulator === status.accumulator) return known.state;
  const { definition } = registry;
  const tails = await ctx.tails(definition).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.row.retry) throw error;
    throw new AppError('bad-request', `The tails of the revocation registry ${registry.definitionId}: ${error.message}`);
  });
  const input = { definition, list: listOf(status, registry, time), index, tails };
  const former = known && { state: known.state, list: listOf(known.status, registry, known.time) };
  const state = await ctx.anoncreds.createRevocationState(ctx.tenant, former ? { ...input, former } : input);
  WITNESSES.set(key, { state, status, time });
  return state;
}

/** The registries that a presentation must prove non-revocation by: those that the ledger has, and those that it lacks. */
export interface PresentedStatuses {
  readonly revocationRegistryDefinitions: Record<string, RevocationRegistryDefinition>;
  readonly statusLists: StatusListInForce[];
  readonly missing: Refusal[];
  /** Whether each list stays the one of its time: none that is written from now on can be. */
  readonly settled: boolean;
}

/** @param fresh - past what was read before; the shape of the presentation need not have been checked */
export async function statusesOf(
  ctx: WorkContext,
  request: PresentationRequest,
  presentation: Presentation,
  definitions: Readonly<Record<string, CredentialDefinition>>,
  fresh = false,
): Promise<PresentedStatuses> {
  const revocationRegistryDefinitions: Record<string, RevocationRegistryDefinition> = {};
  const statusLists: StatusListInForce[] = [];
  const missing: Refusal[] = [];
  let settled = true;
  const seen = new Set<string>();
  for (const { referent, index } of timedReferents(request, presentation, definitions)) {
    const { rev_reg_id: id, timestamp } = presentation.identifiers[index] as { rev_reg_id?: unknown; timestamp?: unknown };
    if (typeof id !== 'string' || !Number.isSafeInteger(timestamp) || (timestamp as number) < 0) continue;
    const key = JSON.stringify([id, timestamp]);
    if (seen.has(key)) continue;
    seen.add(key);
    try {
      const registry = await readRegistry(ctx, id);
      revocationRegistryDefinitions[id] = registry.definition;
      const state = await ctx.ledger().statusAt(id, timestamp as number, { fresh });
      settled &&= state.settled;
      const list = listOf(state.status, registry, state.time);
      statusLists.push({ registryId: id, timestamp: timestamp as number, list, ...(state.next !== undefined && { next: state.next }) });
    } catch (error) {
      // an id of the prover that the ledger does not have makes a wrong presentation; a ledger that does not answer makes none
      if (!(error instanceof AppError) || error.row.retry || error.code === 'ledger-none') throw error;
      const reason = error.code === 'status-none' || error.code === 'status-pruned' ? error.code : 'object-missing';
      missing.push({ reason, referent, detail: error.message });
    }
  }
  return { revocationRegistryDefinitions, statusLists, missing, settled };
}
