import type { JsonObject } from '../../ports/json.ts';
import type { AdminRoute } from '../route.ts';

export const resolverRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /resolver/resolve/{did*}',
    tag: 'resolver',
    summary: 'Retrieve doc for requested did',
    async handle(admin, { tenant, params }) {
      const resolved = await admin.work(tenant).resolver.resolve(params.did!);
      return { did_document: resolved.document as JsonObject, document_metadata: {}, metadata: resolved.metadata as JsonObject };
    },
  },
];
