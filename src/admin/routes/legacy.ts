import { writeOffer } from '../../didcomm/offer-2018.ts';
import { AppError } from '../../errors.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';
import { MAX_QR_BYTES, qrPng } from '../qr.ts';
import type { Admin, AdminRoute } from '../route.ts';

async function current(admin: Admin, tenant: string): Promise<JsonObject> {
  const { agent2018Endpoint, agent2018, endpoint } = (await admin.kernel.profiles.of(tenant)).settings;
  if (agent2018 === 'off' || !agent2018Endpoint) throw new AppError('not-found', 'The 2018 Agent Protocol is off: start with --legacy on');
  return { did: agent2018Endpoint.did, verkey: agent2018Endpoint.verkey, endpoint };
}

/** The 2018 Agent Protocol, beside the commands of its connections. */
export const legacyRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /legacy/connections/{conn_id}/offer',
    tag: 'legacy',
    summary: 'Fetch a connection offer that was created here, in every form in which it can be handed over',
    async handle(admin, { tenant, params }) {
      const [rows] = await admin.kernel.db.store.load(tenant, [{ category: connection.category, id: params.conn_id! }]);
      const { offer } = (rows?.[0]?.value ?? {}) as Partial<ConnectionValue>;
      if (!offer) throw new AppError('not-found', `Connection ${params.conn_id} has no offer of ours`);
      const { text, url } = writeOffer(offer, String((offer.message as JsonObject).endpoint));
      // a long label can make it more than a picture holds
      const png = Buffer.byteLength(url) > MAX_QR_BYTES ? undefined : await qrPng(url);
      return {
        offer,
        offer_text: text,
        offer_url: url,
        offer_qr: png ? `data:image/png;base64,${png.toString('base64')}` : null,
      };
    },
  },
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
      const made = await admin.calls.call(tenant, 'agent-2018-endpoint', 'make', { input: { body: {}, query: {} }, key });
      await admin.refreshEndpoints();
      return { did: made.did!, verkey: made.verkey!, endpoint: endpoint! };
    },
  },
];
