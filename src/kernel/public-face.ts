import { JsonRefused, parseJsonObject } from '../didcomm/safe-json.ts';
import { AppError, asAppError, isLocked } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { PublicAnswer, PublicFace, PublicRequest } from '../ports/public.ts';
import type { Calls } from './calls.ts';
import type { Kernel } from './context.ts';
import type { LockedContext, Params, PublicContext, PublicRoute } from './public-route.ts';
import type { KnownCommand } from './registry.ts';
import { marshalled } from './schema.ts';

// an import by name would load all that `node:http` has, a second undici with it
const { STATUS_CODES } = process.getBuiltinModule('node:http');

/** The bound of a body, unless the route has one of its own. */
const MAX_BYTES = 64 << 10;
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** A route, ready to be matched. */
interface Compiled {
  readonly route: PublicRoute;
  readonly method: string;
  readonly segments: readonly Segment[];
}

/** One part of a path: a text, a parameter, or the rest of the path. */
interface Segment {
  readonly text?: string;
  readonly name?: string;
  readonly rest?: boolean;
}

/**
 * Checks public routes and orders them, literal paths first.
 * @param posted paths that messages are posted to
 * @throws Error for a route that is malformed, registered twice, or would take messages
 */
export function compilePublicRoutes(routes: readonly PublicRoute[], posted: readonly string[] = ['/']): readonly Compiled[] {
  const seen = new Set<string>();
  const compiled = routes.map((route): Compiled => {
    const [, method = '', path = ''] = /^([A-Z]+) (\/\S*)$/.exec(route.route) ?? [];
    const segments = path.split('/').slice(1).map(segmentOf);
    const wrong = segments.some((segment, i) => segment === undefined || (segment.rest && i < segments.length - 1));
    if (!METHODS.includes(method) || wrong) throw new Error(`public route ${route.route} is malformed`);
    if (method === 'POST' && posted.includes(path)) throw new Error(`public route ${route.route} is where messages are posted to`);
    const key = `${method} ${path.replace(/\{[a-z_]+(\*?)\}/g, '{$1}')}`;
    if (seen.has(key)) throw new Error(`public route ${route.route} is registered twice`);
    seen.add(key);
    return { route, method, segments: segments as Segment[] };
  });
  const rank = ({ text, rest }: Segment): number => (text !== undefined ? 0 : rest ? 2 : 1);
  return compiled.sort((a, b) => {
    for (let i = 0; i < Math.min(a.segments.length, b.segments.length); i++) {
      const difference = rank(a.segments[i]!) - rank(b.segments[i]!);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

function segmentOf(part: string): Segment | undefined {
  const [, name, star] = /^\{([a-z_]+)(\*?)\}$/.exec(part) ?? [];
  if (name !== undefined) return { name, rest: star === '*' };
  return /^[A-Za-z0-9._~-]*$/.test(part) ? { text: part } : undefined;
}

function paramsOf(segments: readonly Segment[], parts: readonly string[]): Params | undefined {
  const params: Record<string, string> = Object.create(null);
  for (const [i, { text, name, rest }] of segments.entries()) {
    const part = parts[i];
    if (part === undefined) return undefined;
    if (rest) {
      params[name!] = parts.slice(i).join('/');
      return params;
    }
    if (text !== undefined ? part !== text : part === '') return undefined;
    if (name !== undefined) params[name] = part;
  }
  return parts.length === segments.length ? params : undefined;
}

/** The decoded parts of a path; undefined for one that is not well encoded. */
function partsOf(path: string): string[] | undefined {
  if (!path.startsWith('/')) return undefined;
  try {
    return path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** @param routes by `compilePublicRoutes` */
export function createPublicFace(kernel: Kernel, calls: Pick<Calls, 'call'>, routes: readonly Compiled[]): PublicFace {
  const { store, blobs } = kernel.db;
  const byMethod = Map.groupBy(routes, ({ method }) => method);

  /** The tenant of a request; undefined where it has none. @throws AppError `not-found` for a tenant that there is not */
  async function ownerOf({ owner }: PublicRoute, params: Params): Promise<{ tenant: string; target?: string } | undefined> {
    if (!owner) return { tenant: params.tenant ?? kernel.base };
    const name = owner.name(params);
    const found = name === undefined ? undefined : await store.keyOwner(name);
    return found?.kind === owner.kind ? { tenant: found.tenant, target: found.target } : undefined;
  }

  async function answer(route: PublicRoute, params: Params, request: PublicRequest): Promise<PublicAnswer | undefined> {
    const owned = await ownerOf(route, params);
    if (!owned) return route.unowned?.(request);
    const { tenant, target } = owned;
    const open: LockedContext = {
      target,
      params,
      blobs: { stat: (name) => blobs.stat(tenant, name), read: (name, range) => blobs.read(tenant, name, range) },
    };
    const opened = async (): Promise<PublicAnswer | undefined> => {
      const { settings, suspended } = await kernel.profiles.of(tenant);
      if (suspended) throw new AppError('wallet-locked');
      // throws where the wallet is locked, whatever the handler reads
      await store.load(tenant, []);
      const ctx: PublicContext = {
        ...open,
        tenant,
        settings,
        now: kernel.now(),
        load: (lookups) => store.load(tenant, lookups),
        find: (category, query) => store.find(tenant, category, query),
        blobs: {
          ...open.blobs,
          put: (name, bytes) => blobs.put(tenant, name, bytes),
          remove: (name) => blobs.remove(tenant, name),
        },
        call: (protocol, command, call) => calls.call(tenant, protocol, command, call),
        log: kernel.log,
      };
      return await route.handle(ctx, request);
    };
    const run = (): Promise<PublicAnswer | undefined> =>
      opened().catch((error: unknown) => {
        if (isLocked(error)) return route.locked?.(request, open);
        throw error;
      });
    try {
      return await (kernel.tenantLimiter?.run(tenant, run) ?? run());
    } catch (error) {
      if (await kernel.profiles.isTenantDeleted(tenant, error)) return route.unowned?.(request);
      throw error;
    }
  }

  /** The status of an error, and nothing of its text. */
  function failed(error: unknown, route: PublicRoute): PublicAnswer {
    const { code, row } = asAppError(error);
    const busy = code === 'busy' ? 429 : row.retry ? 503 : undefined;
    const status = busy ?? row.status;
    if (status >= 500 && !row.retry) kernel.log.error({ err: error, code, route: route.route }, 'a public request could not be answered');
    return { ...plain(status), headers: busy ? { 'retry-after': '1' } : {} };
  }

  return {
    find(method, url) {
      const wanted = byMethod.get(method === 'HEAD' ? 'GET' : method);
      // no route takes a message (`compilePublicRoutes`): most requests are one
      if (!wanted || (url === '/' && method === 'POST')) return undefined;
      const at = url.indexOf('?');
      const path = at < 0 ? url : url.slice(0, at);
      const query = new URLSearchParams(at < 0 ? '' : url.slice(at));
      const parts = partsOf(path);
      if (parts === undefined) return undefined;
      for (const pass of ['route', 'also'] as const) {
        for (const { route, segments } of wanted) {
          const params = pass === 'route' ? paramsOf(segments, parts) : route.also?.(path, query);
          if (params === undefined) continue;
          return {
            maxBytes: route.maxBytes ?? MAX_BYTES,
            answer: (request) =>
              kernel.trace.span('public request', { 'flexid.route': route.route }, () =>
                answer(route, params, request).catch((error: unknown) => failed(error, route)),
              ),
          };
        }
      }
      return undefined;
    },
  };
}

/** A status with its own name as text. */
const plain = (status: number): PublicAnswer => ({ status, body: `${STATUS_CODES[status] ?? status}\n` });

/**
 * The route of a command with the face `public`. Its input is checked by the command's schemas: a JSON object, or a form, whose values are texts. What its step, or the
 * step of a result that it waits for, returns by `httpAnswer` is the answer; a record is never shown. Without one the answer is 204.
 */
export function publicCommand({ protocol, name, step, body, query }: KnownCommand): PublicRoute {
  const param = [...step.route!.matchAll(/\{([a-z_]+)\}/g)].map(([, one]) => one!).find((one) => one !== 'tenant');
  return {
    route: step.route!,
    maxBytes: step.maxBytes,
    async handle(ctx, request) {
      const asked = query ? (marshalled(query.schema, Object.fromEntries(request.query)) as JsonObject) : {};
      const given = body ? (marshalled(body.schema, bodyOf(request)) as JsonObject) : {};
      query?.parse(asked, 'unprocessable');
      body?.parse(given, 'unprocessable');
      const { method, url, headers } = request;
      const answer = await ctx.call(protocol.name, name, {
        [step.connection === param ? 'connection' : 'record']: param === undefined ? undefined : ctx.params[param],
        input: { body: given, query: textsOf(asked), http: { method, url, headers, params: ctx.params } },
      });
      const { http } = answer as { http?: { status: number; headers: Record<string, string>; body?: string | JsonObject } };
      if (!http) return { status: 204 };
      if (typeof http.body !== 'object') return { status: http.status, headers: http.headers, body: http.body };
      return { status: http.status, headers: { 'content-type': 'application/json', ...http.headers }, body: JSON.stringify(http.body) };
    },
  };
}

const textsOf = (asked: JsonObject): Record<string, string> =>
  Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, String(value)]));

/** @throws AppError `bad-json`, `bad-request`, `unsupported-media-type` */
function bodyOf({ body, headers }: PublicRequest): Record<string, unknown> {
  if (body.length === 0) return {};
  const [type = ''] = (headers['content-type'] ?? '').toLowerCase().split(/\s*;/, 1);
  if (type === 'application/json' || type.endsWith('+json')) {
    try {
      return parseJsonObject(body, { maxBytes: body.length });
    } catch (error) {
      if (error instanceof JsonRefused) throw new AppError('bad-json');
      throw error;
    }
  }
  if (type !== 'application/x-www-form-urlencoded') throw new AppError('unsupported-media-type');
  const form: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(Buffer.from(body).toString('utf8'))) {
    // RFC 6749 section 3.2: no parameter comes twice
    if (name in form) throw new AppError('bad-request', 'a parameter comes twice');
    form[name] = value;
  }
  return { ...form };
}
