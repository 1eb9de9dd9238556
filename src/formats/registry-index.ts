import { AppError } from '../errors.ts';
import type { NeedsNumber, RevocationIndex } from '../kernel/format.ts';
import { checkedAs } from '../kernel/json.ts';
import type { WorkContext } from '../kernel/work.ts';
import type { RevocationRegistryDefinition } from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import type { RevocationStatus } from '../ports/ledger.ts';
import type { StoredRecord } from '../ports/store.ts';
import { json } from './anoncreds-objects.ts';

/**
 * Indices of revocation registries, for the formats that issue. A registry is a record of the category `rev_reg`; its private key stands under `rev-reg:<id>` in the
 * key table. An index is taken by the store in the commit that orders the work which uses it, so it is given out once, and after a kill again to the same work.
 */

export const REVOCATION_REGISTRY = 'rev_reg';
/** The hidden tag that holds the credential definition for which a registry issues. */
export const ISSUING_FOR = 'issuing_for';

/** The counter of a registry's indices. */
export const indexCounter = (registry: string): string => `rev-reg:${registry}`;
export const registryKey = (revRegId: string): string => `rev-reg:${revRegId}`;

/** A registry of this wallet, as its issuer needs it. */
export interface OwnRegistry {
  readonly id: string;
  readonly definitionId: string;
  readonly definition: RevocationRegistryDefinition;
  readonly private: JsonObject;
}

/** The registry that issues for a credential definition now. @throws AppError `registry-unready` where none is active: the caller is tried again */
export async function issuingRegistry(ctx: WorkContext, credentialDefinitionId: string): Promise<StoredRecord> {
  const tags = { [ISSUING_FOR]: credentialDefinitionId };
  const { rows } = await ctx.store.find(ctx.tenant, REVOCATION_REGISTRY, { state: 'active', tags, limit: 1 });
  if (!rows[0]) throw new AppError('registry-unready');
  return rows[0];
}

/** The result of an act that has no index yet: it is run again with one, and with `registry` in its input. Index 0 is none. */
export const takeIndex = ({ id, value }: StoredRecord): NeedsNumber => ({
  allocate: {
    counter: indexCounter(id),
    upTo: lastIndex(value),
    whenFull: { protocol: 'revocation-registry', command: 'retire', record: { category: REVOCATION_REGISTRY, id }, input: retire(value) },
  },
  input: { registry: id },
});

/** The input of the command that retires a registry whose indices are used up. */
export const retire = (value: Readonly<Record<string, unknown>>): JsonObject => ({
  cred_def_id: value.cred_def_id as string,
  state: 'full',
});

const lastIndex = (value: Readonly<Record<string, unknown>>): number => (value.max_cred_num as number) - 1;

/** A registry by the id of its record, with its private key. @throws AppError `bad-request` where it is not there */
export async function ownRegistry(ctx: WorkContext, id: string): Promise<OwnRegistry & { readonly row: StoredRecord }> {
  const [rows] = await ctx.store.load(ctx.tenant, [{ category: REVOCATION_REGISTRY, id }]);
  const row = rows?.[0];
  const definitionId = row?.value.rev_reg_id as string | undefined;
  const key = definitionId === undefined ? undefined : await ctx.store.key(ctx.tenant, registryKey(definitionId));
  if (!row || definitionId === undefined || !key) throw new AppError('bad-request', 'This wallet does not hold the revocation registry');
  const definition = checkedAs<RevocationRegistryDefinition>(row.value.definition);
  return { row, id, definitionId, definition, private: json(key.secret).private as JsonObject };
}

/** The index that a credential was issued at, for the result of the exchange. */
export const revocationIndex = ({ id, value }: StoredRecord, index: number): RevocationIndex => ({
  registry: id,
  rev_reg_id: value.rev_reg_id as string,
  cred_def_id: value.cred_def_id as string,
  index,
  last: lastIndex(value),
});

/** Whether an index is revoked, by a state of a status log. */
export function revokedIn({ revoked }: RevocationStatus): (index: number) => boolean {
  const bits = Buffer.from(revoked, 'base64url');
  return (index) => ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}
