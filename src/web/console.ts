import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../admin/auth.ts';
import type { AttachedFace, Face, FaceParts } from '../admin/face.ts';
import type { Operation } from '../admin/operations.ts';
import { AppError, asAppError } from '../errors.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import { createDesk } from './desk.ts';
import { createLogin, type Login, type LoginFile } from './oidc.ts';
import { BARE, checkPost, cookieOf, createSockets, foreign, isOwnPage, isTextMap, pathOf, send, servePages } from './pages.ts';
import { mayCall } from './roles.ts';
import { createSessions, LONGEST_MS, type Session, type Sessions } from './sessions.ts';

const PREFIX = '/console';
/** The body of a call that holds no record. */
const SMALL_BODY = 16 << 10;

export interface ConsoleOptions {
  /** The operator's key; absent in insecure mode. */
  readonly apiKey?: string;
  /** An OpenID Provider at which people sign in. */
  readonly login?: LoginFile;
}

const unauthorized = (): AppError => new AppError('unauthorized', 'You are not signed in, or your session has ended');

/**
 * The console: pages on the admin port. A browser never holds a key or a token: it has a session, and each of its calls is one of the admin API's operations, run
 * as the session's user, within its role.
 */
export function openConsole(options: ConsoleOptions): Face {
  return { prefix: PREFIX, attach: (parts) => attach(parts, options) };
}

function attach(parts: FaceParts, { apiKey, login }: ConsoleOptions): AttachedFace {
  const { app, admin, authority } = parts;
  const sessions = createSessions(admin.kernel.db, admin.base);
  const sockets = createSockets(admin.kernel, sessions);
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
  servePages(app, 'console', PREFIX);
  serveSessions({ parts, sessions, key, sessionOf, checked, login });
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

interface DeskOptions {
  readonly sessions: Sessions;
  /** A hash of the operator's key. */
  readonly key: string;
  readonly login?: LoginFile;
}

/** Signing in and out. */
function serveSessions({ parts, sessions, key, sessionOf, checked, login: file }: Gate & DeskOptions): void {
  const { app, admin, authority } = parts;
  const { kernel, base } = admin;
  const login = file && createLogin(file);
  const desk = createDesk({ parts, sessions, key, login });
  const cookie = async (value: string, age: number): Promise<string> =>
    `${await sessions.cookieName()}=${value}; Path=/; Max-Age=${age}; HttpOnly; Secure; SameSite=Strict`;

  /** A description of a session for its page. */
  async function shown(session: Session): Promise<JsonObject> {
    const { role, csrf, ends, idles, token } = session;
    const wallet = token === undefined ? base : (await authority.walletOf(token, 'read')).wallet;
    const { label, walletOrigin } = (await kernel.profiles.of(wallet)).settings;
    return {
      ...desk.facts(),
      ...{ signed_in: true, role, csrf, ends, idles, now: kernel.now() },
      wallet_id: wallet === base ? null : wallet,
      label,
      web_wallet: walletOrigin ?? null,
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
  if (login) serveLogin({ parts, sessions, login, desk, cookie });
  app.post(`${PREFIX}/logout`, { bodyLimit: SMALL_BODY }, async (request, reply) => {
    const session = await checked(request);
    await desk.signOut(session);
    if ((request.body as JsonObject | null)?.everywhere === true) await sessions.endAll(session.who);
    reply.header('set-cookie', await cookie('', 0));
    return send(reply, { ...desk.facts(), signed_in: false });
  });
}

/** How long a login at the provider may take. */
const LOGIN_SECONDS = 600;

interface LoginParts {
  readonly parts: FaceParts;
  readonly sessions: Sessions;
  readonly login: Login;
  readonly desk: ReturnType<typeof createDesk>;
  /** A `set-cookie` for a session's text. */
  cookie(value: string, age: number): Promise<string>;
}

/** The way to the OpenID Provider and back. */
function serveLogin({ parts: { app, admin, nameOf }, sessions, login, desk, cookie }: LoginParts): void {
  const nameOfKept = async (): Promise<string> => `${await sessions.cookieName()}-login`;
  // the provider's page leads back here: a strict cookie would not come along
  const kept = async (value: string, age: number): Promise<string> =>
    `${await nameOfKept()}=${value}; Path=/; Max-Age=${age}; HttpOnly; Secure; SameSite=Lax`;
  const failed = (reply: FastifyReply): FastifyReply => reply.redirect(`${PREFIX}/?login=failed`);

  app.get(`${PREFIX}/oidc`, async (_request, reply) => {
    try {
      const begun = await login.begin();
      reply.header('set-cookie', await kept(begun.kept, LOGIN_SECONDS));
      return reply.redirect(begun.url);
    } catch (error) {
      admin.kernel.log.warn({ err: error }, 'the OpenID Provider could not be reached');
      return failed(reply);
    }
  });
  app.get(`${PREFIX}/oidc/callback`, async (request, reply) => {
    const former = cookieOf(request.headers, await nameOfKept());
    const over = await kept('', 0);
    try {
      if (former === undefined) throw unauthorized();
      const made = await desk.signInAt(nameOf(request.raw), new URL(request.url, 'http://agent').search, former);
      return reply.header('set-cookie', [over, await cookie(made.cookie, LONGEST_MS / 1000)]).redirect(`${PREFIX}/`);
    } catch (error) {
      if (asAppError(error).row.status >= 500) throw error;
      return failed(reply.header('set-cookie', over));
    }
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
  const callerOf = async (session: Session, op: Operation, path: string): Promise<Caller> => {
    const headers = session.token === undefined ? { 'x-api-key': apiKey ?? '' } : { authorization: `Bearer ${session.token}` };
    const caller = await authority.admit(op, path, headers);
    return session.sub === undefined ? caller : { ...caller, sub: session.sub };
  };

  const callers = new WeakMap<FastifyRequest, Session>();
  // before the body is read: of a stranger nothing is parsed
  const onRequest = async (request: FastifyRequest): Promise<void> => void callers.set(request, await checked(request));
  // the same for operations that read: a call is never a link
  app.post(`${PREFIX}/call/:operation`, { onRequest }, async (request, reply) => {
    const session = callers.get(request)!;
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
