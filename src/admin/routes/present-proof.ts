import { AppError } from '../../errors.ts';
import { indy } from '../../formats/indy.ts';
import type { Formats, Presentation } from '../../kernel/format.ts';
import { attachmentsByFormat } from '../../kernel/format-attachments.ts';
import type { RecordDef } from '../../kernel/record.ts';
import { LIMIT, OFFSET } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { Json, JsonObject } from '../../ports/json.ts';
import { credential } from '../../records/credential.ts';
import { presentationExchange } from '../../records/presentation-exchange.ts';
import { presentationExchangeV1 } from '../../records/presentation-exchange-v1.ts';
import type { AdminRoute } from '../route.ts';
import { parsed } from './credentials.ts';

/** A request and the format that it is in. */
interface Asked {
  readonly presentation: Presentation;
  readonly request: JsonObject;
}

/** Where each version keeps the proof request of an exchange. */
const VERSIONS: readonly { version: string; tag: string; def: RecordDef; asked(value: JsonObject, formats: Formats): Asked | undefined }[] =
  [
    {
      version: '/present-proof-2.0',
      tag: 'present-proof v2.0',
      def: presentationExchange as RecordDef,
      asked(value, formats) {
        const requests = attachmentsByFormat(formats, (value.pres_request ?? {}) as JsonObject);
        const format = formats.presented.find(({ name }) => requests[name] !== undefined);
        return format && { presentation: format.presentation, request: requests[format.name]! };
      },
    },
    {
      version: '/present-proof',
      tag: 'present-proof v1.0',
      def: presentationExchangeV1 as RecordDef,
      asked: ({ presentation_request: request }) =>
        request ? { presentation: indy.presentation!, request: request as JsonObject } : undefined,
    },
  ];

export const proofRoutes: readonly AdminRoute[] = VERSIONS.map(
  ({ version, tag, def, asked }): AdminRoute => ({
    route: `GET ${version}/records/{pres_ex_id}/credentials`,
    tag,
    summary: 'Fetch credentials from wallet for presentation request',
    query: Type.Object({
      referent: Type.Optional(Type.String()),
      count: LIMIT,
      start: OFFSET,
      limit: LIMIT,
      offset: OFFSET,
      extra_query: Type.Optional(Type.String({ pattern: '^\\s*\\{[\\s\\S]*\\}\\s*$', maxLength: 16_384 })),
    }),
    async handle(admin, { tenant, params, query }) {
      const id = params.pres_ex_id!;
      const { db, registry } = admin.kernel;
      const [rows] = await db.store.load(tenant, [{ category: def.category, id }]);
      if (!rows?.[0]) throw new AppError('not-found', `Record not found: ${def.category}/${id}. WALLET_ITEM_NOT_FOUND`);
      const found = asked(rows[0].value, registry.formats);
      if (!found) throw new AppError('bad-request', 'The request has no format that is supported');
      const { presentation, request } = found;
      const referents = query.referent?.split(',').map((one) => one.trim());
      const matches = await presentation.match(admin.work(tenant), { request, referents, extra: parsed(query.extra_query) });
      const start = Number(query.offset ?? query.start ?? 0);
      const limit = Number(query.limit ?? query.count ?? 100);
      const interval = (request.non_revoked ?? null) as Json;
      // ACA-Py answers with a bare list
      return matches.slice(start, start + limit).map(
        ({ row, referents: answered }): JsonObject => ({
          cred_info: credential.view(credential.of(row)),
          interval,
          presentation_referents: [...answered],
        }),
      );
    },
  }),
);
