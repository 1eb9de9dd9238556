import fastify, { type FastifyReply, type FastifyRequest, type FastifyServerOptions } from 'fastify';
import { JsonRefused, parseJson } from '../didcomm/safe-json.ts';
import { AppError, asAppError } from '../errors.ts';
import type { Plugin } from '../kernel/plugin.ts';
import { pythonJson } from '../kernel/python-json.ts';
import type { Registry } from '../kernel/registry.ts';
import type { Json } from '../ports/json.ts';
import { type Door, PATIENCE } from '../ports/transport.ts';
import { createAudit, isAudited } from './audit.ts';
import type { Caller } from './auth.ts';
import { browserRules } from './browser.ts';
import type { AttachedFace, Face, Sent } from './face.ts';
import { openapiDocument } from './openapi.ts';
import { commandOperation, inputOf, type Operation, pluginOperation, recordOperations, routeOperation } from './operations.ts';
import { documentationPage } from './page.ts';
import { recordWaits, UNCHANGED, untilChanged } from './polling.ts';
import type { Admin, Answer } from './route.ts';
import { anoncredsRoutes } from './routes/anoncreds.ts';
import { anoncredsRevocationRoutes } from './routes/anoncreds-revocation.ts';
import { auditRoutes, walletAuditRoutes } from './routes/audit.ts';
import { connectionRoutes } from './routes/connections.ts';
import { credentialBatchRoutes } from './routes/credential-batches.ts';
import { credentialRoutes } from './routes/credentials.ts';
import { eventRoutes } from './routes/events.ts';
import { hubRoutes } from './routes/hub.ts';
import { indyFamilyRoutes } from './routes/indy-families.ts';
import { jwtRoutes } from './routes/jwt.ts';
import { ledgerRoutes } from './routes/ledger.ts';
import { legacyRoutes } from './routes/legacy.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { multitenancyRoutes, ownTokenRoutes } from './routes/multitenancy.ts';
import { outOfBandRoutes } from './routes/out-of-band.ts';
import { proofRoutes } from './routes/present-proof.ts';
import { reservationRoutes } from './routes/reservations.ts';
import { resolverRoutes } from './routes/resolver.ts';
import { revocationRoutes } from './routes/revocation.ts';
import { serverRoutes } from './routes/server.ts';
import { tenantRoutes } from './routes/tenants.ts';
import { walletRoutes } from './routes/wallet.ts';
import { walletBackupRoutes } from './routes/wallet-backup.ts';
import { tokenUse } from './token-use.ts';
import { wholeIds } from './whole-ids.ts';
import { attachEvents } from './ws.ts';

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  readonly maxBytes: number;
  /** Serves the operations that manage wallets. */
  readonly managesWallets: boolean;
  /** Bounds connections and bodies that are not complete. */
  readonly door: Door;
  /** Whether nobody needs a key. */
  readonly insecure: boolean;
  /** Whether calls are written into the audit trail. */
  readonly audits: boolean;
  /** Origins whose web pages may call. */
  readonly corsOrigins: readonly string[];
  /** Names under which it is called beside its address, in insecure mode. */
  readonly allowedHosts: readonly string[];
  /** Pages beside the API. */
  readonly face?: Face;
}

/** How long calls in hand may take to answer when the agent stops. */
const CLOSE_MS = 3000;

/** Schemas are checked by the operations: fastify's compilers are not even loaded. */
const NO_COMPILERS: FastifyServerOptions['schemaController'] = {
  // the type of the first asks for what Ajv makes
  compilersFactory: { buildValidator: () => (() => () => true) as never, buildSerializer: () => () => (value) => JSON.stringify(value) },
};

const HANDWRITTEN = [
  ...serverRoutes,
  ...metricsRoutes,
  ...walletRoutes,
  ...walletBackupRoutes,
  ...jwtRoutes,
  ...connectionRoutes,
  ...outOfBandRoutes,
  ...credentialRoutes,
  ...credentialBatchRoutes,
  ...indyFamilyRoutes,
  ...anoncredsRoutes,
  ...anoncredsRevocationRoutes,
  ...revocationRoutes,
  ...ledgerRoutes,
  ...proofRoutes,
  ...resolverRoutes,
  ...eventRoutes,
  ...auditRoutes,
  ...legacyRoutes,
  ...hubRoutes,
];
/** The routes beside the operations of the document. */
const OWN = ['GET /', 'GET /ws', 'GET /api/doc', 'GET /api/docs/swagger.json'];

/** Every operation that is served: what protocols and records declare, and what is written by hand. @throws Error where two are one route */
export function operationsOf(
  registry: Registry,
  plugins: readonly Plugin[],
  tenancy: { readonly multitenant: boolean; readonly managesWallets: boolean },
): Operation[] {
  const operations = [
    ...(tenancy.managesWallets
      ? [...multitenancyRoutes, ...tenantRoutes, ...reservationRoutes, ...walletAuditRoutes].map(routeOperation)
      : []),
    ...(tenancy.multitenant ? ownTokenRoutes.map(routeOperation) : []),
    ...registry.routed.map(commandOperation),
    ...[...registry.records.values()].flatMap(recordOperations),
    ...HANDWRITTEN.map(routeOperation),
    ...plugins.flatMap((plugin) => plugin.routes ?? []).map(pluginOperation),
  ];
  const seen = new Set<string>(OWN);
  for (const { method, path } of operations) {
    // two routes that differ in the names of parameters alone are one
    const key = `${method} ${path.replace(/\{[^}]*\}/g, '{}')}`;
    if (seen.has(key)) throw new Error(`route ${method} ${path} is registered twice`);
    seen.add(key);
  }
  return operations;
}

/**
 * The admin API. Answers are JSON in Python's spacing; errors are plain text `status: reason`, both as ACA-Py's.
 * Size, depth and shape of a body are checked before anything looks at it.
 */
export async function startAdmin(admin: Admin, options: AdminServerOptions): Promise<{ port: number; close(): Promise<void> }> {
  const authority = admin.authority();
  const operations = operationsOf(admin.kernel.registry, admin.plugins, { ...options, multitenant: authority.multitenant });
  const withWholeIds = wholeIds(operations);
  const app = fastify({
    bodyLimit: options.maxBytes,
    http: PATIENCE,
    requestTimeout: 60_000,
    routerOptions: { maxParamLength: 4096 },
    rewriteUrl: ({ method = '', url = '/' }) => withWholeIds(method, url),
    forceCloseConnections: 'idle',
    schemaController: NO_COMPILERS,
    frameworkErrors: (error, request, reply) => void sendError(admin, error, request, reply),
  });
  options.door.keep(app.server);
  const audit = options.audits ? createAudit(admin, options.insecure) : undefined;
  const noteUse = tokenUse(admin);
  const waits = recordWaits(admin.kernel);
  const callers = new WeakMap<FastifyRequest, Caller>();
  let document: string | undefined;

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, body.length === 0 ? {} : parseJson(body as Buffer, { maxBytes: options.maxBytes }));
    } catch (error) {
      done(new AppError('bad-json', `Request body is not valid JSON${error instanceof JsonRefused ? `: ${error.message}` : ''}`));
    }
  });
  app.setErrorHandler((error: unknown, request, reply) => sendError(admin, error, request, reply));
  app.setNotFoundHandler((_request, reply) => reply.code(404).type('text/plain; charset=utf-8').send('404: Not Found'));
  const browsers = browserRules({
    origins: options.corsOrigins,
    insecure: options.insecure,
    hosts: [options.host, ...options.allowedHosts],
  });
  const { face } = options;
  const isOfFace = (url: string): boolean => face !== undefined && (url === face.prefix || url.startsWith(`${face.prefix}/`));
  app.addHook('onRequest', async (request, reply) => {
    const { origin, 'access-control-request-headers': asked } = request.headers;
    if (!isOfFace(request.url))
      reply.headers(browsers.cors(origin, typeof asked === 'string' && /^[\w, -]{1,500}$/.test(asked) ? asked : undefined));
    browsers.admit(request.raw);
    if (request.method === 'OPTIONS') await reply.code(204).send();
  });
  app.options('/*', async (_request, reply) => reply.code(204).send());

  /** Runs an operation for a caller who was admitted. @throws AppError */
  async function perform(op: Operation, caller: Caller, sent: Sent): Promise<Answer> {
    const { params, poll } = sent;
    const unless = poll?.unless;
    if (typeof sent.body !== 'object' || sent.body === null || Array.isArray(sent.body))
      throw new AppError('unprocessable', 'the body must be a JSON object');
    const { query, body } = inputOf(op, sent.query, sent.body);
    const key = typeof sent.idempotencyKey === 'string' ? sent.idempotencyKey.slice(0, 200) : undefined;
    noteUse(caller);
    const run = (parts: Admin): Promise<Answer> =>
      op.handle(parts, { ...caller, params, query, body, key, unless, tag: poll?.tag ?? noTag });
    const handle = (): Promise<Answer> =>
      audit && isAudited(op) ? audit.run(op, caller, options.door.nameOf(sent.request), readOf(params, query), run) : run(admin);
    // a body, a turn and the work itself take their time, in which a token may end
    const stillAdmitted = async (): Promise<void> => {
      if (!(await authority.holds(caller))) throw new AppError('unauthorized', 'Authorization token missing or invalid');
    };
    const begin = async (): Promise<Answer> => {
      await stillAdmitted();
      return await handle();
    };
    // the operator's calls, and what a probe asks, wait for no tenant
    const { tenantLimiter } = admin.kernel;
    const inTurn = (): Promise<Answer> => (op.auth === 'tenant' && tenantLimiter ? tenantLimiter.run(caller.tenant, begin) : begin());
    // routes without a key are called all the time, and by anyone
    const once = (): Promise<Answer> => (op.auth === 'none' ? handle() : traced(admin, op, caller.tenant, sent.traceparent, inTurn));
    // who waits holds no turn meanwhile
    const record = op.watches !== undefined && unless !== undefined && Number(query.wait ?? 0) > 0 ? params[op.watches] : undefined;
    const wait = record === undefined ? undefined : waits.begin(caller.tenant, record, Number(query.wait) * 1000, poll!.left());
    const answer = await untilChanged(once, wait);
    if (!op.endsToken) await stillAdmitted();
    return answer;
  }

  for (const op of operations) {
    app.route({
      method: op.method,
      url: op.path.replace(/\{[a-z_]+\*\}$/, '*').replace(/\{([a-z_]+)\*?\}/g, ':$1'),
      // before the body is read: who may not call has nothing parsed
      async onRequest(request) {
        callers.set(request, await authority.admit(op, request.url.split('?')[0]!, request.headers));
      },
      async handler(request, reply) {
        const answer = await perform(op, callers.get(request)!, {
          request: request.raw,
          params: paramsOf(op, request),
          query: request.query as Record<string, unknown>,
          body: (request.body ?? {}) as Json,
          idempotencyKey: request.headers['idempotency-key'],
          traceparent: request.headers.traceparent,
          poll: {
            unless: request.headers['if-none-match'],
            tag: (etag) => void reply.header('etag', etag),
            left: () => leftBy(reply),
          },
        });
        if (answer === UNCHANGED) return reply.code(304).send();
        return reply
          .code(op.status ?? 200)
          .type(op.produces ?? 'application/json; charset=utf-8')
          .send(op.produces ? answer : pythonJson(answer as Json));
      },
    });
  }
  app.get('/', async (_request, reply) => reply.redirect('/api/doc'));
  app.get('/api/doc', async (_request, reply) => reply.type('text/html; charset=utf-8').send(documentationPage(operations)));
  app.get('/api/docs/swagger.json', async (_request, reply) => {
    document ??= pythonJson(openapiDocument(operations, admin.version, authority.multitenant));
    return reply.type('application/json; charset=utf-8').send(document);
  });
  const admitBrowser = browsers.admit;
  const nameOf = options.door.nameOf;
  const attached = face?.attach({ app, admin, authority, operations, perform, admitBrowser, nameOf });
  const others = new Map<string, AttachedFace>(face && attached ? [[`${face.prefix}/ws`, attached]] : []);
  const events = attachEvents(app.server, admin, authority, browsers, options.door, others);

  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    async close() {
      events.close();
      attached?.close();
      waits.close();
      // calls under way have time to end; idle connections of clients have none
      const impatient = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS);
      await app.close();
      clearTimeout(impatient);
    },
  };
}

/** A call as one of its tenant's, within the controller's own trace where a header names it. The path is the pattern, without the values in it. */
function traced(admin: Admin, op: Operation, tenant: string, parent: unknown, handle: () => Promise<Answer>): Promise<Answer> {
  const { count, trace } = admin.kernel;
  count('admin_calls', tenant);
  const attributes = { 'http.request.method': op.method, 'http.route': op.path, 'flexid.tenant': tenant };
  return trace.span(`${op.method} ${op.path}`, attributes, handle, {
    kind: 'server',
    parent: typeof parent === 'string' ? parent : undefined,
  });
}

const noTag = (): void => undefined;
/** What a call reads, as a text. */
const readOf = (params: object, query: object): string => JSON.stringify([params, query]);

/** Aborts when the caller has gone. */
function leftBy(reply: FastifyReply): AbortSignal {
  const left = new AbortController();
  reply.raw.once('close', () => left.abort());
  return left.signal;
}

function paramsOf(op: Operation, request: FastifyRequest): Record<string, string> {
  const params = { ...(request.params as Record<string, string>) };
  const rest = /\{([a-z_]+)\*\}$/.exec(op.path)?.[1];
  if (rest !== undefined) params[rest] = params['*'] ?? '';
  return params;
}

function sendError(admin: Admin, thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = (thrown as { statusCode?: number }).statusCode;
  let error = asAppError(thrown);
  if (!(thrown instanceof AppError) && status === 413) error = new AppError('too-large');
  else if (!(thrown instanceof AppError) && status !== undefined && status < 500)
    error = new AppError('bad-request', (thrown as Error).message);
  if (error.code === 'internal') admin.kernel.log.error({ err: error.cause ?? thrown, path: request.routeOptions.url }, 'a call broke');
  if (error.row.status === 429) reply.header('retry-after', '1');
  // a header line takes no line break, and a text answer needs none
  const text = error.message.replace(/[\r\n]+/g, ' ').slice(0, 2000);
  return reply.code(error.row.status).type('text/plain; charset=utf-8').send(`${error.row.status}: ${text}`);
}
