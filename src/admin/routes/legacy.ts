import { AppError } from '../../errors.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Admin, AdminRoute } from '../route.ts';

async function current(admin: Admin, tenant: string): Promise<JsonObject> {
  const { legacyEndpoint, legacy, endpoint } = (await admin.kernel.profiles.of(tenant)).settings;
  if (legacy === 'off' || !legacyEndpoint) throw new AppError('not-found', 'The 2018 Agent Protocol is off: start with --legacy on');
  return { did: legacyEndpoint.did, verkey: legacyEndpoint.verkey, endpoint };
}

/** The 2018 Agent Protocol, beside the commands of its connections. */
export const legacyRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /legacy/endpoint',
    tag: 'legacy',
    summary: 'The Endpoint DID of this agent in the 2018 Agent Protocol: the same for every tenant',
    handle: async (admin, { tenant }) => current(admin, tenant),
  },
  {
    route: 'POST /legacy/endpoint/rotate',
    tag: 'legacy',
    summary: 'Make a new endpoint key; mail for the last eight is still opened',
    auth: 'admin',
    async handle(admin, { tenant, key }) {
      const { endpoint } = await current(admin, tenant);
      const made = await admin.calls.call(tenant, 'legacy-endpoint', 'make', { input: { body: {}, query: {} }, key });
      await admin.kernel.endpoints.refresh();
      return { did: made.did!, verkey: made.verkey!, endpoint: endpoint! };
    },
  },
];
