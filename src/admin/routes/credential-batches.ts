import { AppError } from '../../errors.ts';
import { canonicalName } from '../../formats/anoncreds-values.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { batchRow, CONNECTION_COLUMN, credentialBatch, MAX_BATCH_ROWS } from '../../records/credential-batch.ts';
import { credentialExchange } from '../../records/credential-exchange.ts';
import { csvOf, tableOf } from '../csv.ts';
import type { Admin, AdminRoute } from '../route.ts';

const MAX_COLUMNS = 126;
const MAX_CELL = 20_000;
const MAX_ERRORS = 200;
const PAGE = 500;

/** An error of the input, by row (from 1 on, without the header) and column. */
interface Fault {
  readonly row?: number;
  readonly column?: string;
  readonly error: string;
  readonly [member: string]: string | number | undefined;
}

/** The names of the attributes of a definition, from its schema. @throws AppError `bad-request` for a definition that this wallet does not issue under */
async function attributesOf(admin: Admin, tenant: string, id: string): Promise<string[]> {
  const { rows } = await admin.kernel.db.store.find(tenant, 'cred_def', { state: 'finished', tags: { cred_def_id: id }, limit: 1 });
  const definition = rows[0]?.value as { schemaId?: string } | undefined;
  if (definition?.schemaId === undefined)
    throw new AppError('bad-request', `cred_def_id: this wallet has no credential definition ${id.slice(0, 200)}`);
  const { attrNames } = await admin.work(tenant).ledger().read(definition.schemaId, 'SCHEMA');
  return attrNames as string[];
}

/** Which of these connections there are not. */
async function unknownOf(admin: Admin, tenant: string, ids: readonly string[]): Promise<Set<string>> {
  const unknown = new Set<string>();
  for (let i = 0; i < ids.length; i += PAGE) {
    const part = ids.slice(i, i + PAGE);
    const found = await admin.kernel.db.store.load(
      tenant,
      part.map((id) => ({ category: 'connection', id })),
    );
    for (const [nth, id] of part.entries()) if (!found[nth]?.[0]) unknown.add(id);
  }
  return unknown;
}

/** All that is wrong with a table, before anything is sent. */
async function faultsOf(
  admin: Admin,
  tenant: string,
  { columns, rows }: { columns: readonly string[]; rows: readonly (readonly string[])[] },
  attributes: readonly string[],
): Promise<Fault[]> {
  const faults: Fault[] = [];
  const wanted = new Map(attributes.map((name) => [canonicalName(name), name]));
  const seen = new Set<string>();
  for (const column of columns) {
    const name = column === CONNECTION_COLUMN ? column : canonicalName(column);
    if (seen.has(name)) faults.push({ column, error: 'the column stands twice' });
    else if (column !== CONNECTION_COLUMN && !wanted.has(name))
      faults.push({ column, error: 'the credential definition has no such attribute' });
    seen.add(name);
  }
  for (const [name, attribute] of wanted) if (!seen.has(name)) faults.push({ column: attribute, error: 'the column is missing' });
  const at = columns.indexOf(CONNECTION_COLUMN);
  const unknown = at < 0 ? new Set() : await unknownOf(admin, tenant, [...new Set(rows.map((cells) => cells[at]!))]);
  for (const [i, cells] of rows.entries()) {
    if (at >= 0 && unknown.has(cells[at])) faults.push({ row: i + 1, column: CONNECTION_COLUMN, error: 'there is no such connection' });
    for (const [nth, cell] of cells.entries())
      if (cell.length > MAX_CELL)
        faults.push({ row: i + 1, column: columns[nth]!, error: `the value is longer than ${MAX_CELL} characters` });
    if (faults.length >= MAX_ERRORS) break;
  }
  return faults.slice(0, MAX_ERRORS);
}

/** The states of exchanges, by their id; without those that are gone. */
async function statesOf(admin: Admin, tenant: string, ids: readonly string[]): Promise<Map<string, string>> {
  const found = await admin.kernel.db.store.load(
    tenant,
    ids.map((id) => ({ category: credentialExchange.category, id })),
  );
  return new Map(found.flatMap(([row]) => (row?.state === undefined ? [] : [[row.id, row.state] as const])));
}

/** The input of a batch with what came of each row, as CSV. @throws AppError `not-found` */
async function resultOf(admin: Admin, tenant: string, id: string): Promise<string> {
  const { store } = admin.kernel.db;
  const [[row] = []] = await store.load(tenant, [{ category: credentialBatch.category, id }]);
  if (!row) throw new AppError('not-found', `Record not found: ${credentialBatch.category}/${id}`);
  const { columns } = credentialBatch.of(row).value;
  const parts = [csvOf([[...columns, 'state', 'cred_ex_id', 'link', 'error']])];
  for (let cursor: string | undefined; ; ) {
    const page = await store.find(tenant, batchRow.category, { tags: { batch: id }, limit: PAGE, cursor });
    const rows = page.rows.map((one) => batchRow.of(one));
    const states = await statesOf(
      admin,
      tenant,
      rows.flatMap(({ value }) => value.cred_ex_id ?? []),
    );
    parts.push(
      csvOf(
        rows.map(({ state, value: { cells, cred_ex_id = '', link = '', error = '' } }) => [
          ...[...cells, states.get(cred_ex_id) ?? state ?? ''],
          ...[cred_ex_id, link, error],
        ]),
      ),
    );
    if (page.next === undefined) return parts.join('');
    cursor = page.next;
  }
}

/** Credentials from a table, and what came of each row. */
export const credentialBatchRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /credential-batches',
    tag: 'credential-batch',
    summary: 'Offer a credential for each row of a table; all that is wrong with it is answered before anything is sent',
    body: Type.Object({
      csv: Type.String({ minLength: 1 }),
      cred_def_id: Type.String({ minLength: 1, maxLength: 1000 }),
      name: Type.Optional(Type.String({ maxLength: 200 })),
      comment: Type.Optional(Type.String({ maxLength: 1000 })),
      check: Type.Optional(Type.Boolean()),
    }),
    async handle(admin, { tenant, body, key }) {
      const {
        csv,
        cred_def_id: id,
        name,
        comment,
        check,
      } = body as { csv: string; cred_def_id: string; name?: string; comment?: string; check?: boolean };
      const table = tableOf(csv, { rows: MAX_BATCH_ROWS, columns: MAX_COLUMNS, cell: MAX_CELL });
      const attributes = await attributesOf(admin, tenant, id);
      const errors = (await faultsOf(admin, tenant, table, attributes)) as unknown as JsonObject[];
      const { columns, rows } = table;
      if (check || errors.length > 0)
        return { valid: errors.length === 0, columns, total: rows.length, preview: rows.slice(0, 20), errors };
      const input = {
        cred_def_id: id,
        columns,
        rows,
        ...(name === undefined ? {} : { name }),
        ...(comment === undefined ? {} : { comment }),
      };
      return await admin.calls.call(tenant, 'credential-batch', 'create', { input: { body: input, query: {} }, key });
    },
  },
  {
    route: 'GET /credential-batches/{batch_id}/result',
    tag: 'credential-batch',
    summary: 'The table of a batch with what came of each row, as CSV',
    produces: 'text/csv; charset=utf-8',
    handle: (admin, { tenant, params }) => resultOf(admin, tenant, params.batch_id!),
  },
];
