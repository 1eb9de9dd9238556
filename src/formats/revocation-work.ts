import { readFile } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import { checkedAs } from '../kernel/json.ts';
import type { WorkContext, WorkOps } from '../kernel/work.ts';
import type { RevocationRegistryDefinition } from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';
import { bytes, json, readDefinition } from './anoncreds-objects.ts';
import { ownRegistry, registryKey, revokedIn } from './registry-index.ts';
import { listOf, statusOf } from './status-list.ts';

/** The slow work of revocation registries: their keys and tails files, and the next record of their logs. */

/** Note of a tails file that is not served yet: the server does not take it, or there is no address. */
const UNSERVED: readonly string[] = ['tails-unavailable', 'unavailable'];

interface RegistryInput {
  registry: string;
  cred_def_id: string;
  issuerId: string;
  tag: string;
  max_cred_num: number;
}

/** A registry that is made and whose tails are not served yet; stored as a key, since its secret is with it. */
interface Unserved {
  definition: RevocationRegistryDefinition;
  private: JsonObject;
}

const unserved = async (ctx: WorkContext, registry: string): Promise<Unserved | undefined> => {
  const key = await ctx.store.key(ctx.tenant, registryKey(registry));
  return key && checkedAs<Unserved>(json(key.secret));
};

/** The tails of a registry that was made before; undefined where they are gone. */
async function tailsOf(ctx: WorkContext, definition: RevocationRegistryDefinition): Promise<Uint8Array | undefined> {
  try {
    return await readFile(await ctx.tails(definition));
  } catch (error) {
    if (error instanceof AppError && error.row.retry) throw error;
    return undefined;
  }
}

async function registry(ctx: WorkContext, { registry: record, cred_def_id, issuerId, tag, max_cred_num: maxCredNum }: RegistryInput) {
  const credentialDefinition = await readDefinition(ctx, cred_def_id);
  const before = await unserved(ctx, record);
  const kept = before && (await tailsOf(ctx, before.definition));
  const made =
    before && kept
      ? { ...before, tails: kept }
      : await ctx.anoncreds.createRevocationRegistry(ctx.tenant, {
          credentialDefinition,
          credentialDefinitionId: cred_def_id,
          issuerId,
          tag,
          maxCredNum,
        });
  let location: string;
  try {
    ({ location } = await ctx.publishTails(made.tails));
  } catch (error) {
    if (!(error instanceof AppError) || !UNSERVED.includes(error.code)) throw error;
    const secret = before ? undefined : bytes({ definition: made.definition, private: made.private });
    return { cred_def_id, later: error.message, secret };
  }
  const definition = located(made.definition, location);
  const id = ctx.ledger().idOf(issuerId, 'REV_REG_DEF', definition as never);
  const list = await ctx.anoncreds.createStatusList(ctx.tenant, {
    credentialDefinition,
    definition,
    definitionId: id,
    private: made.private,
    issuerId,
  });
  return { cred_def_id, id, definition, status: statusOf(list), secret: bytes({ private: made.private }) };
}

const located = (definition: RevocationRegistryDefinition, tailsLocation: string): RevocationRegistryDefinition => ({
  ...definition,
  value: { ...definition.value, tailsLocation },
});

async function relocate(ctx: WorkContext, { registry: record, location }: { registry: string; location: string }) {
  const own = await ownRegistry(ctx, record);
  const definition = located(own.definition, location);
  const id = ctx.ledger().idOf(definition.issuerId, 'REV_REG_DEF', definition as never);
  return { id, definition, secret: bytes({ private: own.private }) };
}

/** Indices of a registry that are to be revoked: all that are pending, or those of them that are named. */
async function pendingIndices(ctx: WorkContext, registryId: string, due: 'all' | readonly number[]): Promise<number[]> {
  const indices: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await ctx.store.find(ctx.tenant, 'cred_rev', { tags: { pending: registryId }, limit: 1000, cursor });
    indices.push(...page.rows.map(({ value }) => value.index as number));
    cursor = page.next;
  } while (cursor !== undefined);
  return due === 'all' ? indices : indices.filter((index) => due.includes(index));
}

/** The next state of a registry's log, on what the ledger has now; without `expected` the ledger has all of it. */
async function status(ctx: WorkContext, { registry: record, due }: { registry: string; due: 'all' | readonly number[] }) {
  const own = await ownRegistry(ctx, record);
  const { definition, definitionId } = own;
  const head = await ctx.ledger().statusAt(definitionId, undefined, { fresh: true });
  const known = revokedIn(head.status);
  const revoked = (await pendingIndices(ctx, record, due)).filter((index) => !known(index));
  if (revoked.length === 0) return { status: head.status };
  const updated = await ctx.anoncreds.updateStatusList(ctx.tenant, {
    credentialDefinition: await readDefinition(ctx, definition.credDefId),
    definition,
    private: own.private,
    list: listOf(head.status, { definition, definitionId }, head.time),
    revoked,
  });
  return { status: statusOf(updated), expected: head.entries };
}

export const revocationWork: WorkOps = {
  'anoncreds/registry': registry,
  'anoncreds/relocate': relocate,
  'anoncreds/status': status,
  'anoncreds/tails': async (ctx, { registry: record }: { registry: string }) => {
    const { definition } = await ownRegistry(ctx, record);
    await ctx.publishTails(await readFile(await ctx.tails(definition)));
    return {};
  },
};
