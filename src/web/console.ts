import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import type { Caller } from '../admin/auth.ts';
import type { AttachedFace, Face, FaceParts } from '../admin/face.ts';
import type { Operation } from '../admin/operations.ts';
import { AppError, asAppError } from '../errors.ts';
import { pythonJson } from '../kernel/python-json.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import { type FrontEnd, frontEnd, SAFE_HEADERS } from './assets.ts';
import { createDesk } from './desk.ts';
import { mayCall } from './roles.ts';
import { createSessions, endedName, LONGEST_MS, type Session, type Sessions } from './sessions.ts';

const PREFIX = '/console';
/** The body of a call that holds no record. */
const SMALL_BODY = 16 << 10;
const MAX_SOCKETS = 20;
/** How often it is looked whether the sessions of open sockets are over. */
const LOOK_MS = 20_000;

export interface ConsoleOptions {
  /** The operator's key; absent in insecure mode. */
  readonly apiKey?: string;
}

const unauthorized = (): AppError => new AppError('unauthorized', 'You are not signed in, or your session has ended');
const foreign = (): AppError => new AppError('forbidden', 'Calls of the console come from its own page');

/** The value of a cookie that is there once. Another host's page cannot set one with this prefix. */
function cookieOf({ cookie = '' }: IncomingMessage['headers'], name: string): string | undefined {
  const found = cookie
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${name}=`));
  return found.length === 1 ? found[0]!.slice(name.length + 1) : undefined;
}

/** Whether a request is one of the console's own page: pages of other ports are of another origin, though cookies reach them. */
function isOwnPage({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const { host, origin } = headers;
  const own = origin?.toLowerCase();
  return host !== undefined && own !== undefined && [`http://${host}`, `https://${host}`].includes(own.replace(/\/$/, ''));
}

/** Refuses what only the console's own page may send: the origin, the type of the body, and a header that no form can set. @throws AppError `forbidden` */
function checkPost(request: FastifyRequest): void {
  const [type] = (request.headers['content-type'] ?? '').split(';', 1);
  if (!isOwnPage(request) || type!.trim().toLowerCase() !== 'application/json' || typeof request.headers['x-csrf'] !== 'string')
    throw foreign();
}

/** A path with its parameters put in, as a controller would call it. */
const pathOf = ({ path }: Operation, params: Readonly<Record<string, string>>): string =>
  path.replace(/\{([a-z_]+)(\*?)\}/g, (_all, name: string, rest) => {
    const value = params[name] ?? '';
    return rest ? value.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(value);
  });

const isTextMap = (value: unknown): value is Record<string, string> =>
  typeof value === 'object' && value !== null && Object.values(value).every((one) => typeof one === 'string');

/**
 * The console: pages on the admin port. A browser never holds a key or a token: it has a session, and each of its calls is one of the admin API's operations, run
 * as the session's user, within its role.
 */
export function openConsole({ apiKey }: ConsoleOptions): Face {
  return { prefix: PREFIX, attach: (parts) => attach(parts, apiKey) };
}

function attach(parts: FaceParts, apiKey: string | undefined): AttachedFace {
  const { app, admin, authority } = parts;
  const sessions = createSessions(admin.kernel.db, admin.base);
  const sockets = createSockets(parts, sessions);
  const admitted = new WeakMap<IncomingMessage, Session>();
  const key = createHash('sha256')
    .update(`console ${apiKey ?? ''}`)
    .digest('hex');

  /** @throws AppError `unauthorized` */
  async function sessionOf({ headers }: Pick<IncomingMessage, 'headers'>): Promise<Session> {
    const cookie = cookieOf(headers, await sessions.cookieName());
    const session = cookie === undefined ? undefined : await sessions.find(cookie);
    if (!session || (session.token === undefined && session.key !== key)) throw unauthorized();
    return session;
  }

  /** The session of a call, which its own page sent. @throws AppError `unauthorized`, `forbidden` */
  async function checked(request: FastifyRequest): Promise<Session> {
    checkPost(request);
    const session = await sessionOf(request);
    if (request.headers['x-csrf'] !== session.csrf) throw foreign();
    return session;
  }

  app.addHook('onRequest', async (request, reply) => {
    if (request.url === PREFIX || request.url.startsWith(`${PREFIX}/`)) reply.headers(BARE);
  });
  servePages(parts);
  serveSessions({ parts, sessions, key, sessionOf, checked });
  serveCalls({ parts, sessionOf, checked, apiKey });
  return {
    async admitSocket(request) {
      if (!isOwnPage(request)) throw foreign();
      const session = await sessionOf(request);
      sockets.mayOpen(session);
      admitted.set(request, session);
      if (session.token === undefined) return { tenant: admin.base, everyone: authority.multitenant, ends: session.ends };
      const { wallet, token } = await authority.walletOf(session.token, 'read');
      return { tenant: wallet, token: token.jti, everyone: false, ends: Math.min(session.ends, (token.exp ?? Infinity) * 1000) };
    },
    opened: (request, socket) => sockets.add(admitted.get(request)!, socket),
    close: () => sockets.close(),
  };
}

/** The headers of what is no page: nothing in it may run, and nothing is kept. */
const BARE = { ...SAFE_HEADERS, 'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'cache-control': 'no-store' };

const send = (reply: FastifyReply, answer: Json): FastifyReply => reply.type('application/json; charset=utf-8').send(pythonJson(answer));

/** The page and its files. */
function servePages({ app }: FaceParts): void {
  let front: FrontEnd | undefined;
  const files = (): FrontEnd => {
    // at the first visit: who has no browser pays nothing
    front ??= frontEnd('console', PREFIX);
    return front;
  };
  app.get(PREFIX, async (_request, reply) => reply.redirect(`${PREFIX}/`));
  app.get(`${PREFIX}/`, async (_request, reply) => {
    const { page, policy } = files();
    return reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(page);
  });
  app.get(`${PREFIX}/a/*`, async (request, reply) => {
    const file = files().file((request.params as { '*': string })['*']);
    if (!file) throw new AppError('not-found', 'There is no such file: the agent may have been replaced by another version');
    const zipped = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
    if (zipped) reply.header('content-encoding', 'gzip');
    return reply
      .headers({ 'cache-control': 'public, max-age=31536000, immutable', vary: 'accept-encoding' })
      .type(file.type)
      .send(zipped ? file.gzip : file.body);
  });
}

interface Gate {
  readonly parts: FaceParts;
  /** @throws AppError `unauthorized` */
  sessionOf(request: FastifyRequest): Promise<Session>;
  /** The session of a call that its own page sent. @throws AppError `unauthorized`, `forbidden` */
  checked(request: FastifyRequest): Promise<Session>;
}

/** The operations that a session has: of its role, and of its user at all. Where there are several wallets, the operator has those of the instance alone. */
const operationsOf = ({ operations, authority: { multitenant } }: FaceParts, { role, token }: Session): Operation[] =>
  operations.filter((op) => {
    const reaches = op.auth === 'none' || !multitenant || op.auth === (token === undefined ? 'admin' : 'tenant');
    return reaches && mayCall(role, op);
  });

/** Signing in and out. */
function serveSessions({ parts, sessions, key, sessionOf, checked }: Gate & { sessions: Sessions; key: string }): void {
  const { app, admin, authority } = parts;
  const { kernel, base } = admin;
  const desk = createDesk({ parts, sessions, key });
  const cookie = async (value: string, age: number): Promise<string> =>
    `${await sessions.cookieName()}=${value}; Path=/; Max-Age=${age}; HttpOnly; Secure; SameSite=Strict`;

  /** A description of a session for its page. */
  async function shown(session: Session): Promise<JsonObject> {
    const { role, csrf, ends, idles, token } = session;
    const wallet = token === undefined ? base : (await authority.walletOf(token, 'read')).wallet;
    return {
      ...desk.facts(),
      ...{ signed_in: true, role, csrf, ends, idles, now: kernel.now() },
      wallet_id: wallet === base ? null : wallet,
      label: (await kernel.profiles.of(wallet)).settings.label,
      operations: operationsOf(parts, session).map((op) => op.operationId),
    };
  }

  app.get(`${PREFIX}/session`, async (request, reply) => {
    if (String(request.headers['sec-fetch-site'] ?? 'same-origin') !== 'same-origin') throw foreign();
    try {
      return send(reply, await shown(await sessionOf(request)));
    } catch (error) {
      if (asAppError(error).code !== 'unauthorized') throw error;
      return send(reply, { ...desk.facts(), signed_in: false });
    }
  });
  app.post(`${PREFIX}/login`, { bodyLimit: SMALL_BODY }, async (request, reply) => {
    checkPost(request);
    const former = cookieOf(request.headers, await sessions.cookieName());
    const made = await desk.signIn(parts.nameOf(request.raw), (request.body ?? {}) as JsonObject);
    // another id with each sign-in
    const before = former === undefined ? undefined : await sessions.find(former);
    if (before) await desk.signOut(before);
    reply.header('set-cookie', await cookie(made.cookie, LONGEST_MS / 1000));
    return send(reply, await shown(made.session));
  });
  app.post(`${PREFIX}/logout`, { bodyLimit: SMALL_BODY }, async (request, reply) => {
    const session = await checked(request);
    await desk.signOut(session);
    if ((request.body as JsonObject | null)?.everywhere === true) await sessions.endAll(session.who);
    reply.header('set-cookie', await cookie('', 0));
    return send(reply, { ...desk.facts(), signed_in: false });
  });
}

/** The operations of the admin API, for sessions. */
function serveCalls({ parts, sessionOf, checked, apiKey }: Gate & { apiKey: string | undefined }): void {
  const { app, authority, perform } = parts;
  const operations = new Map(parts.operations.map((op) => [op.operationId, op]));

  function operationOf(request: FastifyRequest): Operation {
    const op = operations.get((request.params as { operation: string }).operation);
    if (!op) throw new AppError('not-found', 'There is no such operation');
    return op;
  }

  /** The caller that a session is, by the admin API's own rules. @throws AppError `unauthorized`, `forbidden` */
  const callerOf = (session: Session, op: Operation, path: string): Promise<Caller> =>
    authority.admit(op, path, session.token === undefined ? { 'x-api-key': apiKey ?? '' } : { authorization: `Bearer ${session.token}` });

  // the same for operations that read: a call is never a link
  app.post(`${PREFIX}/call/:operation`, async (request, reply) => {
    const session = await checked(request);
    const op = operationOf(request);
    if (!mayCall(session.role, op)) throw new AppError('forbidden', `The role ${session.role} does not include this`);
    const { params = {}, query = {}, body = {}, key } = (request.body ?? {}) as Record<string, Json>;
    if (!isTextMap(params) || typeof query !== 'object' || query === null)
      throw new AppError('unprocessable', 'params and query must be objects');
    const caller = await callerOf(session, op, pathOf(op, params));
    const { traceparent } = request.headers;
    const answer = await perform(op, caller, {
      request: request.raw,
      params,
      query: query as JsonObject,
      body,
      idempotencyKey: key,
      traceparent,
    });
    if (op.produces) return reply.type('application/octet-stream').send(answer);
    return send(reply.code(op.status ?? 200), answer as Json);
  });
  app.get(`${PREFIX}/schema/:operation`, async (request, reply) => {
    const { role } = await sessionOf(request);
    const op = operationOf(request);
    if (!mayCall(role, op)) throw new AppError('forbidden', `The role ${role} does not include this`);
    const { method, path, summary, tag, query, body } = op;
    return send(reply, { method, path, summary, tag, query: (query?.schema ?? null) as Json, body: (body?.schema ?? null) as Json });
  });
  app.get(`${PREFIX}/operations`, async (request, reply) => {
    const own = operationsOf(parts, await sessionOf(request));
    return send(
      reply,
      own.map(({ operationId, method, path, summary, tag }) => ({ id: operationId, method, path, summary, tag })),
    );
  });
}

/** The open sockets of sessions: they end with these, whichever process ended them. */
function createSockets({ admin: { kernel } }: FaceParts, sessions: ReturnType<typeof createSessions>) {
  const open = new Map<string, Set<WebSocket>>();
  const end = (id: string): void => {
    for (const socket of open.get(id) ?? []) socket.close(1008, 'the session has ended');
  };
  const unsubscribe = kernel.db.jobs.subscribe(({ invalidate }) => {
    if (open.size === 0) return;
    for (const id of open.keys()) if (invalidate.includes(endedName(id))) end(id);
  });
  async function look(): Promise<void> {
    for (const id of [...open.keys()]) if (!(await sessions.isAlive(id))) end(id);
  }
  const timer = setInterval(() => {
    look().catch((error: unknown) => kernel.log.warn({ err: error }, 'the sessions of open pages could not be read'));
  }, LOOK_MS);
  timer.unref();
  return {
    mayOpen({ id }: Session): void {
      if ((open.get(id)?.size ?? 0) >= MAX_SOCKETS) throw new AppError('busy', `A session has ${MAX_SOCKETS} open pages at most`);
    },
    add({ id }: Session, socket: WebSocket): void {
      const own = open.get(id) ?? new Set();
      open.set(id, own.add(socket));
      socket.on('close', () => {
        own.delete(socket);
        if (own.size === 0 && open.get(id) === own) open.delete(id);
      });
    },
    close(): void {
      unsubscribe();
      clearInterval(timer);
    },
  };
}
