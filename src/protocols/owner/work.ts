import { AppError } from '../../errors.ts';
import { REVOCATION_REGISTRY } from '../../formats/registry-index.ts';
import { now } from '../../kernel/clock.ts';
import type { WorkContext, WorkOps } from '../../kernel/work.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Lookup, StoredRecord } from '../../ports/store.ts';
import { credentialRevocation, credentialRevocationId } from '../../records/credential-revocation.ts';

/** A command that a message orders, as a controller would call it. */
export interface OwnerCall {
  readonly protocol: string;
  readonly command: string;
  readonly body: JsonObject;
  readonly query?: Readonly<Record<string, string>>;
}

/** An order with the name of its call. */
type Keyed<T> = T & { readonly key: string };

/** A revocation that is ordered. */
export interface OwnerRevocation {
  readonly cred_ex_id?: string;
  readonly rev_reg_id?: string;
  readonly cred_rev_id?: string;
  readonly publish: boolean;
  readonly notice?: { readonly connection_id?: string; readonly version: string; readonly thread_id?: string; readonly comment?: string };
  /** Until when (ms) an answer waits for the ledger. */
  readonly until: number;
}

const first = async (ctx: WorkContext, lookup: Lookup): Promise<StoredRecord | undefined> =>
  (await ctx.store.load(ctx.tenant, [lookup]))[0]?.[0];

/** The revocable credential that is meant, with the id of its registry's record. @throws AppError in a controller's words */
async function revocable(ctx: WorkContext, given: OwnerRevocation): Promise<{ registry: string; index: number; row?: StoredRecord }> {
  const { category } = credentialRevocation;
  if (given.cred_ex_id !== undefined) {
    const row = await first(ctx, { category, tag: 'cred_ex_id', equals: given.cred_ex_id });
    if (!row) throw new AppError('bad-request', `No revocable credential was issued in the exchange ${given.cred_ex_id}`);
    return { row, index: row.value.index as number, registry: row.value.registry as string };
  }
  const registry = await first(ctx, { category: REVOCATION_REGISTRY, tag: 'rev_reg_id', equals: given.rev_reg_id! });
  if (!registry) throw new AppError('bad-request', `Revocation registry ${given.rev_reg_id} is not in this wallet`);
  const index = Number(given.cred_rev_id);
  return { index, registry: registry.id, row: await first(ctx, { category, id: credentialRevocationId(registry.id, index) }) };
}

/** The notice of a revocation to its holder. @throws AppError where there is no connection for it */
async function noticeOf(
  ctx: WorkContext,
  notice: NonNullable<OwnerRevocation['notice']>,
  row: StoredRecord | undefined,
): Promise<JsonObject> {
  const { connection_id: connection = row?.connection, ...rest } = notice;
  if (connection === undefined)
    throw new AppError('bad-request', 'Whom to notify is not known: connection_id must be given where the exchange had no connection');
  if (!(await first(ctx, { category: 'connection', id: connection })))
    throw new AppError('not-found', `Connection ${connection} not found`);
  return { connection, ...rest };
}

/** The work that owners' messages order. */
export const ownerWork: WorkOps = {
  'owner/call': async (ctx, { protocol, command, body, query, key }: Keyed<OwnerCall>) =>
    await ctx.call(protocol, command, { body, query }, key),

  async 'owner/schema'(ctx, { schema_id }: { schema_id: string }) {
    const { issuerId, name, version, attrNames } = await ctx.ledger().read(schema_id, 'SCHEMA');
    return { schema_id, schema_name: name, schema_version: version, attributes: attrNames, author: await authorOf(ctx, String(issuerId)) };
  },

  async 'owner/credential-definition'(ctx, { cred_def_id }: { cred_def_id: string }) {
    const { issuerId, schemaId } = await ctx.ledger().read(cred_def_id, 'CLAIM_DEF');
    const { attrNames } = await ctx.ledger().read(String(schemaId), 'SCHEMA');
    return { cred_def_id, schema_id: schemaId, attributes: attrNames, author: await authorOf(ctx, String(issuerId)) };
  },

  async 'owner/revoke'(ctx, given: Keyed<OwnerRevocation>) {
    const { registry, index, row } = await revocable(ctx, given);
    const notice = given.notice && (await noticeOf(ctx, given.notice, row));
    const body = { index, publish: given.publish, ...(notice && { notice }) };
    await ctx.call('revocation-registry', 'revoke', { record: registry, body }, given.key);
    const after = await first(ctx, { category: credentialRevocation.category, id: credentialRevocationId(registry, index) });
    if (given.publish && after?.state !== 'revoked') {
      if (now() < given.until) throw new AppError('unfinished');
      throw new AppError('timeout', 'The ledger has not confirmed the revocation yet; it goes on by itself');
    }
    return {
      rev_reg_id: after?.value.rev_reg_id as string,
      cred_rev_id: String(index),
      cred_ex_id: after?.value.cred_ex_id as string,
      state: after?.state === 'revoked' ? 'revoked' : 'pending',
    };
  },
};

/** The toolbox's name for whether an object of the ledger is of this wallet. */
const authorOf = async (ctx: WorkContext, issuerId: string): Promise<'self' | 'other'> =>
  (await first(ctx, { category: 'did', tag: 'did', equals: issuerId })) ? 'self' : 'other';
