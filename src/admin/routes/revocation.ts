import { AppError } from '../../errors.ts';
import { EndorserOptions, endorserIn } from '../../kernel/endorsement.ts';
import { newId } from '../../kernel/ids.ts';
import { LIMIT, Members, OFFSET } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { RegistrySize, revocationRegistry } from '../../records/revocation-registry.ts';
import type { Admin, AdminRoute, Call } from '../route.ts';
import { Endorsing, endorsingOptions } from './indy-families.ts';
import {
  activeRegistry,
  clearPending,
  createRegistry,
  endorsementAwaited,
  onRegistry,
  publish,
  type RegistryRow,
  registryOf,
  revocableDefinition,
  revoke,
  shownRegistry,
} from './revocation-records.ts';
import { ByCredential, sharedRoutes } from './revocation-shared.ts';

const Text = Type.Optional(Type.String());
const Indices = Members(Type.Array(Type.String({ pattern: '^[1-9][0-9]*$' })));

export const Revocation = Type.Object({
  ...ByCredential,
  publish: Type.Optional(Type.Boolean()),
  notify: Type.Optional(Type.Boolean()),
  notify_version: Type.Optional(Type.Union([Type.Literal('v1_0'), Type.Literal('v2_0')])),
  connection_id: Text,
  thread_id: Text,
  comment: Text,
  options: Type.Optional(Type.Object(EndorserOptions)),
});
export const Publication = Type.Object({ rrid2crid: Type.Optional(Indices), options: Type.Optional(Type.Object(EndorserOptions)) });

const States = ['init', 'generated', 'posted', 'active', 'full', 'decommissioned'] as const;
const stateOf = (names: readonly string[]) => Type.Union(names.map((name) => Type.Literal(name)));

const result = async (admin: Admin, tenant: string, row: RegistryRow): Promise<JsonObject> => ({
  result: await shownRegistry(admin, tenant, row),
});

/** A registry before it is on the ledger. @throws AppError `wrong-state`, whose text names the state */
async function inState(admin: Admin, { tenant, params }: Call, states: readonly string[]): Promise<RegistryRow> {
  const row = await registryOf(admin, tenant, params.rev_reg_id!);
  if (states.includes(row.state!)) return row;
  throw new AppError(
    'wrong-state',
    `Revocation registry ${row.value.rev_reg_id} is in ${row.state} state (must be ${states.join(' or ')})`,
  );
}

/** The endorser that the query of a call asks for. */
const endorserOf = async (admin: Admin, { tenant, query }: Call) => endorserIn(await endorsingOptions(admin, tenant, query));

const TAG = 'revocation';

/** ACA-Py's family for Indy wallets. */
export const revocationRoutes: readonly AdminRoute[] = [
  ...sharedRoutes('/revocation', TAG, 'Download tails file'),
  {
    route: 'POST /revocation/create-registry',
    tag: TAG,
    summary: 'Creates a new revocation registry',
    body: Type.Object({ credential_definition_id: Type.String(), max_cred_num: Type.Optional(RegistrySize) }),
    async handle(admin, call) {
      const { credential_definition_id, max_cred_num = 1000 } = call.body as { credential_definition_id: string; max_cred_num?: number };
      const definition = await revocableDefinition(admin, call.tenant, credential_definition_id);
      const row = await createRegistry(admin, call, { definition, tag: newId(), size: max_cred_num, kind: 'manual' });
      return await result(admin, call.tenant, row);
    },
  },
  {
    route: 'GET /revocation/registries/created',
    tag: TAG,
    summary: 'Search for matching revocation registries that current agent created',
    query: Type.Object({
      cred_def_id: Text,
      state: Type.Optional(stateOf(States)),
      limit: LIMIT,
      offset: OFFSET,
      order_by: Type.Optional(Type.Literal('id')),
      descending: Type.Optional(Type.Boolean()),
    }),
    async handle(admin, { tenant, query }) {
      const { rows, total } = await admin.kernel.db.store.find(tenant, revocationRegistry.category, {
        state: query.state,
        tags: query.cred_def_id === undefined ? {} : { cred_def_id: query.cred_def_id },
        limit: Number(query.limit ?? 100),
        offset: Number(query.offset ?? 0),
        descending: query.descending === 'true',
      });
      return { rev_reg_ids: rows.flatMap(({ value }) => (value.rev_reg_id as string | undefined) ?? []), total };
    },
  },
  {
    route: 'DELETE /revocation/registry/delete-tails-file',
    tag: TAG,
    summary: 'Delete the tail files',
    query: Type.Object({ rev_reg_id: Text, cred_def_id: Text }),
    async handle(admin, { tenant, query }) {
      if ((query.rev_reg_id === undefined) === (query.cred_def_id === undefined))
        throw new AppError('unprocessable', 'Either rev_reg_id or cred_def_id must be given');
      const tags: Record<string, string> =
        query.cred_def_id === undefined ? { rev_reg_id: query.rev_reg_id! } : { cred_def_id: query.cred_def_id };
      const { rows } = await admin.kernel.db.store.find(tenant, revocationRegistry.category, { tags, limit: 10_000 });
      if (rows.length === 0) throw new AppError('not-found', 'No such registry is in this wallet');
      const needed = rows.find(({ state }) => state !== 'generated' && state !== 'failed');
      if (needed) throw new AppError('bad-request', 'Holders need the tails file of a registry that is on the ledger, or may come there');
      for (const { value } of rows) {
        const hash = ((value.definition as JsonObject | undefined)?.value as JsonObject | undefined)?.tailsHash;
        if (typeof hash !== 'string') continue;
        await admin.kernel.db.blobs.remove(tenant, `tails/${hash}`);
        await admin.kernel.db.store.commit(tenant, { removedKeyOwners: [`tails ${hash}`] });
      }
      return { message: 'All tails files were deleted' };
    },
  },
  {
    route: 'GET /revocation/active-registry/{cred_def_id*}',
    tag: TAG,
    summary: 'Get current active revocation registry by credential definition id',
    handle: async (admin, { tenant, params }) => result(admin, tenant, await activeRegistry(admin, tenant, params.cred_def_id!)),
  },
  {
    route: 'GET /revocation/registry/{rev_reg_id*}',
    tag: TAG,
    summary: 'Get revocation registry by revocation registry id',
    handle: async (admin, { tenant, params }) => result(admin, tenant, await registryOf(admin, tenant, params.rev_reg_id!)),
  },
  {
    route: 'PATCH /revocation/registry/{rev_reg_id*}',
    tag: TAG,
    summary: 'Update revocation registry with new public URI to its tails file',
    body: Type.Object({ tails_public_uri: Type.String({ pattern: '^https?://', maxLength: 2000 }) }),
    async handle(admin, call) {
      const row = await inState(admin, call, ['generated']);
      return result(admin, call.tenant, await onRegistry(admin, call.tenant, row.id, 'locate', call.body));
    },
  },
  {
    route: 'POST /revocation/registry/{rev_reg_id*}/definition',
    tag: TAG,
    summary: 'Send revocation registry definition to ledger',
    query: Endorsing,
    async handle(admin, call) {
      const row = await inState(admin, call, ['generated']);
      const endorser = await endorserOf(admin, call);
      const after = await onRegistry(admin, call.tenant, row.id, 'post', { activate: false, ...(endorser && { endorser }) } as JsonObject);
      const txn = after.state === 'generated' ? await endorsementAwaited(admin, call.tenant, row.id) : undefined;
      return { sent: await result(admin, call.tenant, after), ...(txn && { txn }) };
    },
  },
  {
    route: 'POST /revocation/registry/{rev_reg_id*}/entry',
    tag: TAG,
    summary: 'Send revocation registry entry to ledger',
    query: Endorsing,
    async handle(admin, call) {
      const row = await inState(admin, call, ['generated', 'posted', 'active']);
      const act = { generated: 'post', posted: 'enter', active: 'publish' }[row.state as 'generated' | 'posted' | 'active'];
      const endorser = act === 'enter' ? undefined : await endorserOf(admin, call);
      const body = { post: { activate: true }, enter: { cred_def_id: row.value.cred_def_id }, publish: {} }[act];
      const after = await onRegistry(admin, call.tenant, row.id, act, { ...body, ...(endorser && { endorser }) } as JsonObject);
      const kind = act === 'publish' ? 'status-append' : 'registry-put';
      const txn = act === 'enter' ? undefined : await endorsementAwaited(admin, call.tenant, row.id, kind);
      return { ...(await result(admin, call.tenant, after)), ...(txn && { txn }) };
    },
  },
  {
    route: 'PATCH /revocation/registry/{rev_reg_id*}/set-state',
    tag: TAG,
    summary: 'Set revocation registry state manually',
    query: Type.Object({ state: stateOf(States.slice(0, -1)) }),
    async handle(admin, { tenant, params, query }) {
      const row = await registryOf(admin, tenant, params.rev_reg_id!);
      const body = { cred_def_id: row.value.cred_def_id, state: query.state! };
      return result(admin, tenant, await onRegistry(admin, tenant, row.id, 'set-state', body));
    },
  },
  {
    route: 'POST /revocation/revoke',
    tag: TAG,
    summary: 'Revoke an issued credential',
    query: Endorsing,
    body: Revocation,
    handle: async (admin, call) => revoke(admin, call, await endorserOf(admin, call)),
  },
  {
    route: 'POST /revocation/publish-revocations',
    tag: TAG,
    summary: 'Publish pending revocations to ledger',
    query: Endorsing,
    body: Publication,
    async handle(admin, call) {
      const { revoked, txn } = await publish(admin, call, await endorserOf(admin, call));
      const rrid2crid = Object.fromEntries(Object.entries(revoked).map(([id, indices]) => [id, indices.map(String)]));
      return txn ? { txn, ...(Object.keys(rrid2crid).length > 0 && { rrid2crid }) } : { rrid2crid };
    },
  },
  {
    route: 'POST /revocation/clear-pending-revocations',
    tag: TAG,
    summary: 'Clear pending revocations',
    body: Type.Object({ purge: Type.Optional(Indices) }),
    handle: async (admin, call) => ({ rrid2crid: await clearPending(admin, call) }),
  },
];
