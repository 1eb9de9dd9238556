import Type from 'typebox';
import { toExchange } from '../../kernel/record.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type DidValue, did } from '../../records/did.ts';
import type { AdminRoute } from '../route.ts';

const Text = Type.Optional(Type.String());

/** Reading the wallet's DIDs; creating and publishing them are commands. */
export const walletRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /wallet/did',
    tag: 'wallet',
    summary: 'List wallet DIDs',
    query: Type.Object({ did: Text, verkey: Text, posture: Text, method: Text, key_type: Text }),
    async handle(admin, { tenant, query }) {
      const tags = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
      const { rows } = await admin.kernel.db.store.find(tenant, did.category, { tags, limit: 10_000 });
      return { results: rows.map((row) => did.view(toExchange<DidValue>(row))) };
    },
  },
  {
    route: 'GET /wallet/did/public',
    tag: 'wallet',
    summary: 'Fetch the current public DID',
    async handle(admin, { tenant }) {
      const [rows] = await admin.kernel.db.store.load(tenant, [{ category: did.category, tag: 'posture', equals: 'public' }]);
      const row = rows?.[0];
      return { result: row ? did.view(toExchange<DidValue>(row)) : null } satisfies JsonObject;
    },
  },
];
