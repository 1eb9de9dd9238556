import { AppError } from '../../errors.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';
import type { Admin, AdminRoute } from '../route.ts';

async function readConnection(admin: Admin, tenant: string, id: string): Promise<ConnectionValue> {
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: connection.category, id }]);
  if (!rows?.[0]) throw new AppError('not-found', `Record not found: ${connection.category}/${id}. WALLET_ITEM_NOT_FOUND`);
  return connection.of(rows[0]).value;
}

/** The rows that are read beside a connection's record. */
export const connectionRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /connections/{conn_id}/metadata',
    tag: 'connection',
    summary: 'Fetch connection metadata',
    query: Type.Object({ key: Type.Optional(Type.String()) }),
    async handle(admin, { tenant, params, query }) {
      const metadata = (await readConnection(admin, tenant, params.conn_id!)).metadata ?? {};
      if (!query.key) return { results: metadata as JsonObject };
      return { results: Object.hasOwn(metadata, query.key) ? (metadata[query.key] as JsonObject) : null };
    },
  },
  {
    route: 'GET /connections/{conn_id}/endpoints',
    tag: 'connection',
    summary: 'Fetch connection remote endpoint',
    async handle(admin, { tenant, params }) {
      const { their_endpoint } = await readConnection(admin, tenant, params.conn_id!);
      const { settings } = await admin.kernel.profiles.of(tenant);
      return { my_endpoint: settings.endpoint, their_endpoint: their_endpoint ?? null };
    },
  },
];
