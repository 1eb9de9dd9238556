import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Plugin } from '../kernel/plugin.ts';
import { pythonJson } from '../kernel/python-json.ts';
import type { Registry } from '../kernel/registry.ts';
import type { Json } from '../ports/json.ts';
import type { Door } from '../ports/transport.ts';
import type { Caller } from './auth.ts';
import { browserRules } from './browser.ts';
import type { AttachedFace, Face } from './face.ts';
import { closeServer, jsonServer, listen } from './json-server.ts';
import { openapiDocument } from './openapi.ts';
import { commandOperation, type Operation, pluginOperation, recordOperations, routeOperation } from './operations.ts';
import { documentationPage } from './page.ts';
import { createPerform } from './perform.ts';
import { UNCHANGED } from './polling.ts';
import type { Admin } from './route.ts';
import { familiesOf, serveFamilies } from './route-groups.ts';
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
  const { first, others: families } = familiesOf(operations);
  const { perform, close: closeWaits } = createPerform(admin, { ...options, nameOf: options.door.nameOf });
  const callers = new WeakMap<FastifyRequest, Caller>();
  let document: string | undefined;
  const browsers = browserRules({
    origins: options.corsOrigins,
    insecure: options.insecure,
    hosts: [options.host, ...options.allowedHosts],
  });
  const { face } = options;
  const isOfFace = (url: string): boolean => face !== undefined && (url === face.prefix || url.startsWith(`${face.prefix}/`));
  const admitted = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { origin, 'access-control-request-headers': asked } = request.headers;
    if (!isOfFace(request.url))
      reply.headers(browsers.cors(origin, typeof asked === 'string' && /^[\w, -]{1,500}$/.test(asked) ? asked : undefined));
    browsers.admit(request.raw);
    if (request.method === 'OPTIONS') await reply.code(204).send();
  };
  const serve = (app: FastifyInstance, op: Operation): void => {
    app.route({
      // a route of both: fastify would make a second one of each GET
      method: op.method === 'GET' ? ['GET', 'HEAD'] : op.method,
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
        const text = op.produces ? (answer as string) : pythonJson(answer as Json);
        if (request.method === 'HEAD') reply.header('content-length', Buffer.byteLength(text));
        return reply
          .code(op.status ?? 200)
          .type(op.produces ?? 'application/json; charset=utf-8')
          .send(text);
      },
    });
  };
  const instanceOf = (some: readonly Operation[]): FastifyInstance => {
    const rewriteUrl = ({ method = '', url = '/' }: { method?: string; url?: string }): string => withWholeIds(method, url);
    const senderOf = (request: FastifyRequest): string => callers.get(request)?.tenant ?? '';
    const instance = jsonServer(admin, { maxBytes: options.maxBytes, rewriteUrl, senderOf });
    instance.addHook('onRequest', admitted);
    instance.options('/*', async (_request, reply) => reply.code(204).send());
    for (const op of some) serve(instance, op);
    return instance;
  };
  const app = instanceOf(first);
  const closeFamilies = serveFamilies(app, new Set(families.keys()), (family) => instanceOf(families.get(family)!));
  options.door.keep(app.server);
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

  return {
    port: await listen(app, options.host, options.port),
    async close() {
      events.close();
      attached?.close();
      closeWaits();
      await Promise.all([closeServer(app), closeFamilies()]);
    },
  };
}

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
