import Type from 'typebox';
import { AppError } from '../../errors.ts';
import { attachmentsByFormat, FORMAT_NAMES } from '../../kernel/format-ids.ts';
import { toExchange } from '../../kernel/record.ts';
import type { Json, JsonObject } from '../../ports/json.ts';
import { type CredentialValue, credential } from '../../records/credential.ts';
import { presentationExchange } from '../../records/presentation-exchange.ts';
import type { AdminRoute } from '../route.ts';

const Digits = Type.Optional(Type.String({ pattern: '^[0-9]{1,9}$' }));

export const proofRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /present-proof-2.0/records/{pres_ex_id}/credentials',
    tag: 'present-proof v2.0',
    summary: 'Fetch credentials from wallet for presentation request',
    query: Type.Object({
      referent: Type.Optional(Type.String()),
      count: Digits,
      start: Digits,
      limit: Digits,
      offset: Digits,
      extra_query: Type.Optional(Type.String()),
    }),
    async handle(admin, { tenant, params, query }) {
      const id = params.pres_ex_id!;
      const [rows] = await admin.kernel.db.store.load(tenant, [{ category: presentationExchange.category, id }]);
      if (!rows?.[0]) throw new AppError('not-found', `Record not found: ${presentationExchange.category}/${id}. WALLET_ITEM_NOT_FOUND`);
      const asked = attachmentsByFormat((rows[0].value.pres_request ?? {}) as JsonObject);
      const request = FORMAT_NAMES.map((name) => asked[name]).find((one) => one !== undefined);
      if (!request) throw new AppError('bad-request', 'The request has no format that is supported');
      const found = await admin.matchHeld(tenant, request);
      const wanted = query.referent?.split(',').map((one) => one.trim());
      const referents = new Map<string, string[]>();
      for (const [referent, ids] of Object.entries({ ...found.matches.attributes, ...found.matches.predicates })) {
        if (wanted && !wanted.includes(referent)) continue;
        for (const one of ids) referents.set(one, [...(referents.get(one) ?? []), referent]);
      }
      const start = Number(query.offset ?? query.start ?? 0);
      const limit = Number(query.limit ?? query.count ?? 100);
      const interval = (request.non_revoked ?? null) as Json;
      // ACA-Py answers with a bare list
      return found.rows
        .filter((row) => referents.has(row.id))
        .slice(start, start + limit)
        .map(
          (row): JsonObject => ({
            cred_info: credential.view(toExchange<CredentialValue>(row)),
            interval,
            presentation_referents: referents.get(row.id)!,
          }),
        );
    },
  },
];
