import Type from 'typebox';
import { AppError } from '../../errors.ts';
import { meets, WqlUnsupported } from '../../formats/wql.ts';
import { attachmentsByFormat, FORMAT_NAMES } from '../../kernel/format-ids.ts';
import { type RecordDef, toExchange } from '../../kernel/record.ts';
import { LIMIT, OFFSET } from '../../kernel/schema.ts';
import type { Json, JsonObject } from '../../ports/json.ts';
import type { StoredRecord } from '../../ports/store.ts';
import { type CredentialValue, credential } from '../../records/credential.ts';
import { presentationExchange } from '../../records/presentation-exchange.ts';
import { presentationExchangeV1 } from '../../records/presentation-exchange-v1.ts';
import type { AdminRoute } from '../route.ts';
import { parsed, subjectOf } from './credentials.ts';

/** Where each version keeps the proof request of an exchange. */
const VERSIONS: readonly { version: string; tag: string; def: RecordDef; request(value: JsonObject): JsonObject | undefined }[] = [
  {
    version: '/present-proof-2.0',
    tag: 'present-proof v2.0',
    def: presentationExchange as RecordDef,
    request(value) {
      const asked = attachmentsByFormat((value.pres_request ?? {}) as JsonObject);
      return FORMAT_NAMES.map((name) => asked[name]).find((one) => one !== undefined);
    },
  },
  {
    version: '/present-proof',
    tag: 'present-proof v1.0',
    def: presentationExchangeV1 as RecordDef,
    request: (value) => value.presentation_request as JsonObject | undefined,
  },
];

/** Whether a credential meets what `extra_query` asks of a referent's. @throws AppError `bad-request` for what WQL is not read in */
function meetsAlso(wql: Json | undefined, row: StoredRecord | undefined): boolean {
  if (wql === undefined || !row) return true;
  try {
    return meets(wql, subjectOf(row));
  } catch (error) {
    if (error instanceof WqlUnsupported) throw new AppError('bad-request', `extra_query: ${error.message}`);
    throw error;
  }
}

export const proofRoutes: readonly AdminRoute[] = VERSIONS.map(
  ({ version, tag, def, request: requestOf }): AdminRoute => ({
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
      const [rows] = await admin.kernel.db.store.load(tenant, [{ category: def.category, id }]);
      if (!rows?.[0]) throw new AppError('not-found', `Record not found: ${def.category}/${id}. WALLET_ITEM_NOT_FOUND`);
      const request = requestOf(rows[0].value);
      if (!request) throw new AppError('bad-request', 'The request has no format that is supported');
      const found = await admin.matchHeld(tenant, request);
      const wanted = query.referent?.split(',').map((one) => one.trim());
      const extra = parsed(query.extra_query);
      const byId = new Map(found.rows.map((row) => [row.id, row]));
      const referents = new Map<string, string[]>();
      for (const [referent, ids] of Object.entries({ ...found.matches.attributes, ...found.matches.predicates })) {
        if (wanted && !wanted.includes(referent)) continue;
        for (const one of ids.filter((name) => meetsAlso(extra[referent], byId.get(name))))
          referents.set(one, [...(referents.get(one) ?? []), referent]);
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
  }),
);
