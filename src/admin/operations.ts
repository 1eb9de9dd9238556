import type { TSchema } from 'typebox';
import { AppError } from '../errors.ts';
import type { PluginRoute } from '../kernel/plugin.ts';
import { type LoadedRecord, loadedRecord, type RecordDef, viewOf } from '../kernel/record.ts';
import type { KnownCommand } from '../kernel/registry.ts';
import { LIMIT, marshalled, OFFSET, type Validator, validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Page } from '../ports/store.ts';
import { etagOf, isNamed, MAX_WAIT, UNCHANGED } from './polling.ts';
import { removeRecord } from './removal.ts';
import type { Admin, AdminRoute, Answer, Call } from './route.ts';
import { TIMES, timesOf } from './times.ts';

/** One operation of the admin API, whatever it was derived from: what the server serves and the document describes. */
export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With ACA-Py's braces. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly auth: 'none' | 'admin' | 'tenant';
  /** Of its answer, where that is not 200. */
  readonly status?: number;
  readonly produces?: string;
  /** It ends the token that it is called with, and is answered nevertheless. */
  readonly endsToken?: boolean;
  /** The parameter of the path that names the record whose change a caller may wait for. */
  readonly watches?: string;
  readonly query?: Validator<TSchema>;
  readonly body?: Validator<TSchema>;
  readonly handle: (admin: Admin, call: Call) => Promise<Answer>;
}

/** The query of one record: a caller that has a version of it waits so many seconds for the next. */
const ONE_QUERY = Type.Object({ wait: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_WAIT })) });

/** The query of a record's list: what every list takes, and the record's own filters. */
const listQuery = (filters: Readonly<Record<string, string>>) =>
  Type.Object({
    limit: LIMIT,
    offset: OFFSET,
    count: LIMIT,
    start: OFFSET,
    order_by: Type.Optional(Type.Literal('id')),
    descending: Type.Optional(Type.Boolean()),
    cursor: Type.Optional(Type.String()),
    state: Type.Optional(Type.String()),
    role: Type.Optional(Type.String()),
    their_role: Type.Optional(Type.String()),
    connection_id: Type.Optional(Type.String()),
    ...TIMES,
    ...Object.fromEntries(Object.keys(filters).map((name) => [name, Type.Optional(Type.String())])),
  });

/**
 * The query and the body of a call as its handler takes them: read as ACA-Py reads them, then checked; of a query the declared members alone, as text.
 * @throws AppError `unprocessable` naming the first place that does not fit
 */
export function inputOf(op: Operation, query: Readonly<Record<string, unknown>>, body: JsonObject): Pick<Call, 'query' | 'body'> {
  const given = op.body ? marshalled(op.body.schema, body) : body;
  const asked = op.query ? marshalled(op.query.schema, query) : query;
  op.query?.parse(asked, 'unprocessable');
  op.body?.parse(given, 'unprocessable');
  const { properties } = (op.query?.schema ?? {}) as { properties?: object };
  const declared = Object.entries(asked as object).filter(([name]) => !properties || Object.hasOwn(properties, name));
  return { query: Object.fromEntries(declared.map(([name, value]) => [name, String(value)])), body: given as JsonObject };
}

function operation(route: string, rest: Omit<Operation, 'method' | 'path' | 'operationId'>): Operation {
  const [method, path] = route.split(' ') as [Operation['method'], string];
  const words = path
    .split('/')
    .filter(Boolean)
    .map((part) => part.replace(/[{}*]/g, '').replace(/[^A-Za-z0-9]+/g, '_'));
  return { method, path, operationId: [method.toLowerCase(), ...words].join('_'), ...rest };
}

/** The answer to a controller's command on a protocol, as in ACA-Py. */
export function commandOperation(known: KnownCommand): Operation {
  const { protocol, step, name } = known;
  const param = /\{([a-z_]+)\}/.exec(step.route!)?.[1];
  return operation(step.route!, {
    tag: step.tag ?? protocol.name,
    summary: step.summary ?? name,
    auth: 'tenant',
    status: step.status,
    query: known.query,
    body: known.body,
    async handle(admin, { tenant, params, query, body, key }) {
      const answer = await admin.calls.call(tenant, protocol.name, name, {
        [step.connection === param ? 'connection' : 'record']: param === undefined || step.freePath ? undefined : params[param],
        input: step.freePath ? { body, query, params } : { body, query },
        key,
      });
      return step.selectResponse ? step.selectResponse(answer) : answer;
    },
  });
}

/** The answer of a list: where rows failed their integrity check, their ids are the difference to the total. */
export const listed = (results: JsonObject[], { total, next, damaged }: Omit<Page<unknown>, 'rows'>): JsonObject => ({
  results,
  total,
  ...(next ? { next } : {}),
  ...(damaged ? { damaged } : {}),
});

/** List, get and delete of a record kind. */
export function recordOperations(def: RecordDef): Operation[] {
  const { admin: routes } = def;
  if (!routes) return [];
  const missing = (id: string): AppError =>
    new AppError('not-found', routes.notFound ?? `Record not found: ${def.category}/${id}. WALLET_ITEM_NOT_FOUND`);
  const out: Operation[] = [];
  if (routes.list) {
    out.push(
      operation(`GET ${routes.list}`, {
        tag: routes.tag,
        summary: `List ${def.category} records`,
        auth: 'tenant',
        query: validator(listQuery(routes.filters ?? {})),
        async handle(admin, { tenant, query }) {
          const tags: Record<string, string> = {};
          for (const [name, tag] of Object.entries(routes.filters ?? {})) if (query[name] !== undefined) tags[tag] = query[name];
          const alias = (given: string | undefined): string | undefined =>
            given !== undefined && Object.hasOwn(routes.aliases ?? {}, given) ? routes.aliases![given] : given;
          const state = alias(query.state);
          if (state !== undefined && !def.states.includes(state)) {
            const names = [...def.states, ...Object.keys(routes.aliases ?? {})].join(', ');
            throw new AppError('unprocessable', `state: ${query.state!.slice(0, 100)} is none of ${names}`);
          }
          const role = alias(query.role ?? query.their_role);
          const page = await admin.kernel.db.store.find(tenant, def.category, {
            state,
            role: routes.peerRole?.get(role) ?? role,
            connection: query.connection_id,
            ...timesOf(query),
            tags,
            limit: Number(query.limit ?? query.count ?? 100),
            offset: Number(query.offset ?? query.start ?? 0),
            cursor: query.cursor,
            descending: query.descending === 'true',
          });
          const { formats } = admin.kernel.registry;
          const view = (record: LoadedRecord): JsonObject => routes.detail?.(record, formats) ?? viewOf(def, record, formats);
          const results = page.rows
            .map(loadedRecord)
            .filter((record) => !def.hidden?.(record))
            .map(view);
          return listed(results, page);
        },
      }),
    );
  }
  if (routes.one) {
    const param = /\{([a-z_]+)\}/.exec(routes.one)![1]!;
    out.push(
      operation(`GET ${routes.one}`, {
        tag: routes.tag,
        summary: `Fetch a single ${def.category} record`,
        auth: 'tenant',
        query: validator(ONE_QUERY),
        watches: param,
        async handle(admin, { tenant, params, unless, tag }) {
          const id = params[param]!;
          const [rows] = await admin.kernel.db.store.load(tenant, [{ category: def.category, id }]);
          if (!rows?.[0]) throw missing(id);
          const record = loadedRecord(rows[0]);
          const etag = etagOf(record);
          tag?.(etag);
          if (isNamed(unless, etag)) return UNCHANGED;
          const { formats } = admin.kernel.registry;
          return routes.detail ? routes.detail(record, formats) : viewOf(def, record, formats);
        },
      }),
    );
    if (routes.remove) {
      out.push(
        operation(`DELETE ${routes.one}`, {
          tag: routes.tag,
          summary: `Remove an existing ${def.category} record`,
          auth: 'tenant',
          async handle(admin, { tenant, params }) {
            const id = params[param]!;
            await removeRecord(admin, tenant, { ...def, admin: { ...routes, notFound: missing(id).message } }, id);
            return {};
          },
        }),
      );
    }
  }
  return out;
}

/** A route of a plug-in: the same, with less in its hands. */
export const pluginOperation = (given: PluginRoute): Operation =>
  routeOperation({
    ...given,
    handle: ({ kernel, calls }, call) => given.handle({ store: kernel.db.store, calls, log: kernel.log }, call),
  });

/** A route that was written by hand. */
export function routeOperation(given: AdminRoute): Operation {
  return operation(given.route, {
    tag: given.tag,
    summary: given.summary,
    auth: given.auth ?? 'tenant',
    query: given.query ? validator(given.query) : undefined,
    body: given.body ? validator(given.body) : undefined,
    produces: given.produces,
    endsToken: given.endsToken,
    handle: given.handle,
  });
}
