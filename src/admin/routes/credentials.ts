import { AppError } from '../../errors.ts';
import { subjectOfRow } from '../../formats/anoncreds-presentation.ts';
import { indexOf, stateAt } from '../../formats/anoncreds-revocation.ts';
import { revokedIn } from '../../formats/registry-index.ts';
import { meets, WqlUnsupported } from '../../formats/wql.ts';
import { checkedAs } from '../../kernel/json.ts';
import { LIMIT, OFFSET } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { Credential } from '../../ports/anoncreds.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { StoredRecord } from '../../ports/store.ts';
import { credential } from '../../records/credential.ts';
import type { Admin, AdminRoute } from '../route.ts';

/** A query that names neither schema nor credential definition reads credentials one by one: this many, and no more. */
const MAX_SCANNED = 20_000;
const SCAN_PAGE = 500;

/** A query that a controller wrote. @throws AppError `unprocessable` for what is no JSON object */
export function parsed(wql: string | undefined): JsonObject {
  if (wql === undefined || wql === '') return {};
  try {
    const value: unknown = JSON.parse(wql);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch {
    // reported with JSON that is no object
  }
  throw new AppError('unprocessable', 'wql: the query is not JSON');
}

/** Credentials that a WQL query is met by, from the one at `offset`; equality on hidden tags narrows what is read. */
async function queried(admin: Admin, tenant: string, wql: JsonObject, offset: number, limit: number): Promise<StoredRecord[]> {
  const tags = Object.fromEntries(
    Object.entries(wql).filter(([name, value]) => (name === 'schema_id' || name === 'cred_def_id') && typeof value === 'string'),
  ) as Record<string, string>;
  const found: StoredRecord[] = [];
  let cursor: string | undefined;
  for (let scanned = 0; found.length < offset + limit; ) {
    const page = await admin.kernel.db.store.find(tenant, credential.category, { tags, limit: SCAN_PAGE, cursor });
    found.push(...page.rows.filter((row) => meets(wql, subjectOfRow(row))));
    scanned += page.rows.length;
    cursor = page.next;
    if (cursor === undefined) break;
    if (scanned >= MAX_SCANNED)
      throw new AppError('bad-request', `The query would read more than ${MAX_SCANNED} credentials: narrow it by schema_id or cred_def_id`);
  }
  return found.slice(offset, offset + limit);
}

async function existing(admin: Admin, tenant: string, id: string): Promise<StoredRecord> {
  const [rows] = await admin.kernel.db.store.load(tenant, [{ category: credential.category, id }]);
  if (!rows?.[0]) throw new AppError('not-found', `Credential ${id} not found. WALLET_ITEM_NOT_FOUND`);
  return rows[0];
}

export const credentialRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /credentials',
    tag: 'credentials',
    summary: 'Fetch credentials from wallet',
    query: Type.Object({
      count: LIMIT,
      start: OFFSET,
      limit: LIMIT,
      offset: OFFSET,
      cursor: Type.Optional(Type.String()),
      wql: Type.Optional(Type.String({ pattern: '^\\s*\\{.*\\}\\s*$', maxLength: 16_384 })),
    }),
    async handle(admin, { tenant, query }) {
      const paged = query.limit !== undefined || query.offset !== undefined || query.cursor !== undefined;
      const limit = Number(paged ? (query.limit ?? 100) : (query.count ?? 10));
      const offset = Number((paged ? query.offset : query.start) ?? 0);
      const wql = parsed(query.wql);
      const view = (row: StoredRecord): JsonObject => credential.view(credential.of(row));
      if (Object.keys(wql).length > 0) {
        try {
          return { results: (await queried(admin, tenant, wql, offset, limit)).map(view) };
        } catch (error) {
          if (error instanceof WqlUnsupported) throw new AppError('bad-request', `wql: ${error.message}`);
          throw error;
        }
      }
      const page = await admin.kernel.db.store.find(tenant, credential.category, { limit, offset, cursor: query.cursor });
      return { results: page.rows.map(view), total: page.total, ...(page.next ? { next: page.next } : {}) };
    },
  },
  {
    route: 'GET /credential/revoked/{credential_id}',
    tag: 'credentials',
    summary: 'Query credential revocation status by id',
    query: Type.Object({
      from: Type.Optional(Type.String({ pattern: '^[0-9]*$' })),
      to: Type.Optional(Type.String({ pattern: '^[0-9]*$' })),
    }),
    async handle(admin, { tenant, params, query }) {
      const { value } = await existing(admin, tenant, params.credential_id!);
      const credential = checkedAs<Credential>(value.credential);
      const index = value.format === undefined ? indexOf(credential) : undefined;
      if (index === undefined) return { revoked: false };
      // the state in force at the end of the interval counts, whatever came before
      const { status } = await stateAt(admin.work(tenant), credential.rev_reg_id!, query.to ? Number(query.to) : undefined);
      return { revoked: revokedIn(status)(index) };
    },
  },
  {
    route: 'GET /credential/mime-types/{credential_id}',
    tag: 'credentials',
    summary: 'Get attribute MIME types from wallet',
    async handle(admin, { tenant, params }) {
      await existing(admin, tenant, params.credential_id!);
      return { results: null };
    },
  },
];
