import { AppError } from '../../errors.ts';
import { listOf } from '../../formats/status-list.ts';
import { EndorserOptions, endorserIn } from '../../kernel/endorsement.ts';
import { checkedAs, jsonOf } from '../../kernel/json.ts';
import { compact } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { RevocationRegistryDefinition } from '../../ports/anoncreds.ts';
import type { JsonObject } from '../../ports/json.ts';
import { revocationRegistry } from '../../records/revocation-registry.ts';
import type { Admin, AdminRoute, Call } from '../route.ts';
import { Publication, Revocation } from './revocation.ts';
import {
  activeRegistry,
  allOf,
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
import { sharedRoutes, upload } from './revocation-shared.ts';

const Text = Type.Optional(Type.String());
const Options = Type.Optional(Type.Object(EndorserOptions));

/** The name of an endorsement's write, in ACA-Py's words. */
const jobOf = ({ meta_data }: JsonObject): string => ((meta_data as JsonObject).context as JsonObject).job_id as string;

/** This family's names of states, and ours. */
const STATES: Readonly<Record<string, readonly string[]>> = {
  finished: ['active'],
  failed: ['failed'],
  action: ['generated', 'init'],
  wait: ['posted'],
  decommissioned: ['decommissioned'],
  full: ['full'],
};
const NAMES = Object.fromEntries(Object.entries(STATES).flatMap(([name, states]) => states.map((state) => [state, name])));
const State = Type.Union(Object.keys(STATES).map((name) => Type.Literal(name)));

/** A registry in the words of this family. */
async function shown(admin: Admin, tenant: string, row: RegistryRow): Promise<JsonObject> {
  const view = await shownRegistry(admin, tenant, row);
  const { value: _keys, ...definition } = (view.revoc_reg_def ?? {}) as JsonObject;
  return { result: { ...view, state: NAMES[row.state!]!, ...(view.revoc_reg_def !== undefined && { revoc_reg_def: definition }) } };
}

const activate = async (admin: Admin, { tenant, params }: Call): Promise<JsonObject> => {
  const row = await registryOf(admin, tenant, params.rev_reg_id!);
  await onRegistry(admin, tenant, row.id, 'activate', { cred_def_id: row.value.cred_def_id });
  return {};
};

const TAG = 'AnonCreds - Revocation';

/** ACA-Py's family for AnonCreds wallets. */
export const anoncredsRevocationRoutes: readonly AdminRoute[] = [
  ...sharedRoutes('/anoncreds/revocation', TAG, 'Download the tails file of revocation registry'),
  {
    route: 'POST /anoncreds/revocation-registry-definition',
    tag: TAG,
    summary: 'Create and publish a registration revocation on the connected datastore',
    body: Type.Object({
      revocation_registry_definition: Type.Object({
        issuerId: Type.String(),
        credDefId: Type.String(),
        tag: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$' }),
        maxCredNum: Type.Integer(),
      }),
      options: Options,
    }),
    async handle(admin, call) {
      const { issuerId, credDefId, tag, maxCredNum } = call.body.revocation_registry_definition as Record<string, string> & {
        maxCredNum: number;
      };
      const definition = await revocableDefinition(admin, call.tenant, credDefId!);
      if (definition.value.issuerId !== issuerId) throw new AppError('bad-request', 'Another DID issues the credential definition');
      const endorser = endorserIn(call.body.options as JsonObject);
      const wanted = { definition, tag: tag!, size: maxCredNum, kind: 'spare', endorser } as const;
      const { state, value, id } = await createRegistry(admin, call, wanted);
      const txn = state === 'generated' ? await endorsementAwaited(admin, call.tenant, id) : undefined;
      const name = txn ? 'wait' : NAMES[state!]!;
      return compact({
        job_id: txn ? jobOf(txn) : name === 'finished' ? undefined : id,
        revocation_registry_definition_state: compact({
          state: name,
          revocation_registry_definition_id: value.rev_reg_id,
          revocation_registry_definition: value.definition ?? { issuerId, credDefId, tag, maxCredNum },
        }),
        registration_metadata: { ...(value.error_msg && { reason: value.error_msg }), ...(txn && { txn }) },
        revocation_registry_definition_metadata: {},
      });
    },
  },
  {
    route: 'POST /anoncreds/revocation-list',
    tag: TAG,
    summary: 'Create and publish a revocation status list on the connected datastore',
    body: Type.Object({ rev_reg_def_id: Type.String(), options: Options }),
    async handle(admin, { tenant, body }) {
      const { id, state, value } = await registryOf(admin, tenant, body.rev_reg_def_id as string, 'bad-request');
      // the first list is in one group with the definition
      const txn = state === 'generated' ? await endorsementAwaited(admin, tenant, id) : undefined;
      const definitionId = value.rev_reg_id!;
      const { status, time } = txn
        ? { status: value.status!, time: Math.floor(admin.kernel.now() / 1000) }
        : await admin.work(tenant).ledger().statusAt(definitionId, undefined, { fresh: true });
      const list = listOf(status, { definition: checkedAs<RevocationRegistryDefinition>(value.definition), definitionId }, time);
      return compact({
        job_id: txn && jobOf(txn),
        revocation_list_state: { state: txn ? 'wait' : 'finished', revocation_list: jsonOf(list) },
        registration_metadata: txn ? { txn } : {},
        revocation_list_metadata: {},
      });
    },
  },
  {
    route: 'GET /anoncreds/revocation/registries',
    tag: TAG,
    summary: 'Search for matching revocation registries that current agent created',
    query: Type.Object({ cred_def_id: Text, state: Type.Optional(State) }),
    async handle(admin, { tenant, query }) {
      const tags: Record<string, string> = query.cred_def_id === undefined ? {} : { cred_def_id: query.cred_def_id };
      const found = await Promise.all(
        (query.state === undefined ? [undefined] : STATES[query.state]!).map((state) =>
          allOf(admin, tenant, revocationRegistry.category, { state, tags }),
        ),
      );
      return { rev_reg_ids: found.flat().flatMap(({ value }) => (value.rev_reg_id as string | undefined) ?? []) };
    },
  },
  {
    route: 'GET /anoncreds/revocation/registry/{rev_reg_id*}',
    tag: TAG,
    summary: 'Get revocation registry by revocation registry id',
    handle: async (admin, { tenant, params }) => shown(admin, tenant, await registryOf(admin, tenant, params.rev_reg_id!)),
  },
  {
    route: 'GET /anoncreds/revocation/active-registry/{cred_def_id*}',
    tag: TAG,
    summary: 'Get current active revocation registry by credential definition id',
    handle: async (admin, { tenant, params }) => shown(admin, tenant, await activeRegistry(admin, tenant, params.cred_def_id!)),
  },
  {
    route: 'PUT /anoncreds/revocation/registry/{rev_reg_id*}/active',
    tag: TAG,
    summary: 'Update the active registry',
    handle: activate,
  },
  { route: 'PUT /anoncreds/registry/{rev_reg_id*}/active', tag: TAG, summary: 'Update the active registry', handle: activate },
  {
    route: 'PATCH /anoncreds/revocation/registry/{rev_reg_id*}/set-state',
    tag: TAG,
    summary: 'Set revocation registry state manually',
    query: Type.Object({ state: State }),
    async handle(admin, { tenant, params, query }) {
      const row = await registryOf(admin, tenant, params.rev_reg_id!);
      const body = { cred_def_id: row.value.cred_def_id, state: STATES[query.state!]![0]! };
      return shown(admin, tenant, await onRegistry(admin, tenant, row.id, 'set-state', body));
    },
  },
  { route: 'PUT /anoncreds/registry/{rev_reg_id*}/tails-file', tag: TAG, summary: 'Upload local tails file to server', handle: upload },
  {
    route: 'POST /anoncreds/revocation/revoke',
    tag: TAG,
    summary: 'Revoke an issued credential',
    body: Revocation,
    handle: async (admin, call) => revoke(admin, call, endorserIn(call.body.options as JsonObject | undefined)),
  },
  {
    route: 'POST /anoncreds/revocation/publish-revocations',
    tag: TAG,
    summary: 'Publish pending revocations to ledger',
    body: Publication,
    async handle(admin, call) {
      const { revoked, txn } = await publish(admin, call, endorserIn(call.body.options as JsonObject | undefined));
      return { rrid2crid: revoked, ...(txn && { txn }) };
    },
  },
];
