import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Admin, AdminRoute, Call } from '../route.ts';
import {
  credentialRecord,
  fixRegistry,
  issuedCount,
  issuedDetails,
  ledgerDelta,
  onRegistry,
  registryOf,
  rotate,
  tailsFile,
} from './revocation-records.ts';

const Text = Type.Optional(Type.String());
const CredRevId = Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,8}$' }));

/** One credential, by its exchange or its index. */
export const ByCredential = { cred_ex_id: Text, rev_reg_id: Text, cred_rev_id: CredRevId };
const Fixing = Type.Object({ apply_ledger_update: Type.Boolean() });

/** Serves the tails file of a registry, and hands it to the foreign server, once more. */
export const upload = async (admin: Admin, { tenant, params }: Call): Promise<JsonObject> => {
  await onRegistry(admin, tenant, (await registryOf(admin, tenant, params.rev_reg_id!)).id, 'upload', {});
  return {};
};

/** Routes that ACA-Py's two families have alike, under `prefix`. */
export function sharedRoutes(prefix: string, tag: string, download: string): readonly AdminRoute[] {
  const registry = `${prefix}/registry/{rev_reg_id*}`;
  return [
    {
      route: `POST ${prefix}/active-registry/{cred_def_id*}/rotate`,
      tag,
      summary: 'Rotate revocation registry',
      handle: async (admin, { tenant, params }) => ({ rev_reg_ids: await rotate(admin, tenant, params.cred_def_id!) }),
    },
    {
      route: `GET ${registry}/issued`,
      tag,
      summary: 'Get number of credentials issued against revocation registry',
      handle: async (admin, { tenant, params }) => ({
        result: await issuedCount(admin, tenant, await registryOf(admin, tenant, params.rev_reg_id!)),
      }),
    },
    {
      route: `GET ${registry}/issued/details`,
      tag,
      summary: 'Get details of credentials issued against revocation registry',
      handle: async (admin, { tenant, params }) => issuedDetails(admin, tenant, await registryOf(admin, tenant, params.rev_reg_id!)),
    },
    {
      route: `GET ${registry}/issued/indy_recs`,
      tag,
      summary: 'Get details of revoked credentials from ledger',
      handle: async (admin, { tenant, params }) => ({
        rev_reg_delta: await ledgerDelta(admin, tenant, await registryOf(admin, tenant, params.rev_reg_id!)),
      }),
    },
    {
      route: `PUT ${registry}/fix-revocation-entry-state`,
      tag,
      summary: 'Fix revocation state in wallet and return number of updated entries',
      query: Fixing,
      handle: async (admin, { tenant, params, query }) =>
        fixRegistry(admin, tenant, await registryOf(admin, tenant, params.rev_reg_id!), query.apply_ledger_update === 'true'),
    },
    {
      route: `GET ${registry}/tails-file`,
      tag,
      summary: download,
      produces: 'application/octet-stream',
      handle: async (admin, { tenant, params }) => tailsFile(admin, tenant, await registryOf(admin, tenant, params.rev_reg_id!)),
    },
    { route: `PUT ${registry}/tails-file`, tag, summary: 'Upload local tails file to server', handle: upload },
    {
      route: `GET ${prefix}/credential-record`,
      tag,
      summary: 'Get credential revocation status',
      query: Type.Object(ByCredential),
      handle: credentialRecord,
    },
  ];
}
