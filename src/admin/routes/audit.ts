import { LIMIT } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { audit } from '../../records/audit.ts';
import type { Admin, AdminRoute } from '../route.ts';
import { TIMES, timesOf } from '../times.ts';

const Trail = Type.Object({ after: Type.Optional(Type.String()), limit: LIMIT, ...TIMES });

/** A page of a wallet's trail, the oldest rows first; `next` goes on where the page ended, also with rows that come later. */
async function trailOf(admin: Admin, tenant: string, query: Readonly<Record<string, string>>): Promise<JsonObject> {
  const { rows, total, next, damaged } = await admin.kernel.db.store.find(tenant, audit.category, {
    ...timesOf(query),
    limit: Number(query.limit ?? 100),
    cursor: query.after,
    follow: true,
  });
  return { results: rows.map((row) => audit.view(audit.of(row))), total, next: next ?? null, ...(damaged ? { damaged } : {}) };
}

export const auditRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /audit',
    tag: 'audit',
    summary: 'Read who called what in this wallet, in its order after a known row',
    query: Trail,
    handle: (admin, { tenant, query }) => trailOf(admin, tenant, query),
  },
];

/** The same of a subwallet, for the operator. */
export const walletAuditRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /multitenancy/wallet/{wallet_id}/audit',
    tag: 'audit',
    summary: 'Read who called what in a subwallet, in its order after a known row',
    auth: 'admin',
    query: Trail,
    handle: (admin, { params, query }) => trailOf(admin, params.wallet_id!, query),
  },
];
