import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Authority } from '../admin/auth.ts';
import { closeServer, jsonServer, listen } from '../admin/json-server.ts';
import type { Operation } from '../admin/operations.ts';
import { createPerform } from '../admin/perform.ts';
import type { Admin } from '../admin/route.ts';
import { operationsOf } from '../admin/server.ts';
import { attachEvents } from '../admin/ws.ts';
import { AppError, asAppError } from '../errors.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import type { Door } from '../ports/transport.ts';
import type { Account } from './accounts.ts';
import { BARE, checkPost, cookieOf, createSockets, foreign, isTextMap, send, servePages } from './pages.ts';
import { createPersons, type Persons } from './person.ts';
import { createSessions, type Session, type SessionKind, type Sessions } from './sessions.ts';
import { WALLET_OPERATIONS } from './wallet-operations.ts';

export interface WalletOptions {
  readonly host: string;
  readonly port: number;
  /** The origin under which browsers reach it; absent: `http://localhost` with the port. */
  readonly origin?: string;
  /** The code that whoever signs up must have; absent: anyone may. */
  readonly code?: string;
  /** How long a wallet stays open without its person (ms). */
  readonly idleMs: number;
  readonly door: Door;
  readonly audits: boolean;
}

/** The longest session, and the longest time that a wallet is open after its person has signed in. */
const LONGEST_MS = 4 * 3_600_000;
const MAX_BYTES = 256 << 10;
const SMALL_BODY = 48 << 10;
const MAX_SESSIONS = 10;

const unauthorized = (): AppError => new AppError('unauthorized', 'You are not signed in, or your wallet is locked');

interface Parts {
  readonly app: FastifyInstance;
  readonly admin: Admin;
  readonly authority: Authority;
  readonly sessions: Sessions;
  readonly persons: Persons;
  readonly operations: ReadonlyMap<string, Operation>;
  readonly nameOf: Door['nameOf'];
  readonly code: boolean;
  /** The session of a request, whose wallet may be locked still. @throws AppError `unauthorized` */
  sessionOf(request: Pick<IncomingMessage, 'headers'>, use?: boolean): Promise<Session>;
  /** The session of a call that the page sent. @throws AppError `unauthorized`, `forbidden` */
  checked(request: FastifyRequest): Promise<Session>;
}

/**
 * The web wallet: a port of its own for people. Each has a wallet of the agent, opened by a passkey; nothing else of the admin API is reached from here than what
 * `WALLET_OPERATIONS` names, run as the session's wallet. Requests under another name or of another page are refused.
 */
export async function startWallet(admin: Admin, options: WalletOptions): Promise<{ port: number; origin: string; close(): Promise<void> }> {
  const authority = admin.authority();
  const callers = new WeakMap<FastifyRequest, Session>();
  // by session: people's requests may all come from the address of one proxy
  const app = jsonServer(admin, { maxBytes: MAX_BYTES, senderOf: (request) => callers.get(request)?.who ?? '' });
  options.door.keep(app.server);
  let port = options.port;
  const origin = (): string => options.origin ?? `http://localhost:${port}`;
  const kind: SessionKind = {
    category: 'web_wallet_session',
    cookie: 'flexid-wallet',
    idleMs: options.idleMs,
    longestMs: LONGEST_MS,
    perUser: MAX_SESSIONS,
  };
  const sessions = createSessions(admin.kernel.db, admin.base, kind);
  const sockets = createSockets(admin.kernel, sessions);
  const persons = createPersons({ admin, sessions, kind, origin, code: options.code });
  const all = operationsOf(admin.kernel.registry, [], { multitenant: true, managesWallets: false });
  const operations = new Map(all.filter(({ operationId: id }) => WALLET_OPERATIONS.includes(id)).map((op) => [op.operationId, op]));

  /** Refuses other names than the wallet's own, as one that somebody lets resolve to this machine. @throws AppError `forbidden` */
  function checkHost({ headers }: Pick<IncomingMessage, 'headers'>): void {
    if (headers.host?.toLowerCase() !== new URL(origin()).host) throw new AppError('forbidden', `This wallet is at ${origin()}`);
    if (headers.origin !== undefined && headers.origin.toLowerCase() !== origin()) throw foreign();
  }
  const parts: Parts = {
    ...{ app, admin, authority, sessions, persons, operations, nameOf: options.door.nameOf, code: options.code !== undefined },
    async sessionOf({ headers }, use = false) {
      const cookie = cookieOf(headers, await sessions.cookieName());
      const session = cookie === undefined ? undefined : await sessions.find(cookie, use);
      if (!session) throw unauthorized();
      return session;
    },
    async checked(request) {
      checkPost(request);
      const session = await parts.sessionOf(request);
      if (request.headers['x-csrf'] !== session.csrf) throw foreign();
      return session;
    },
  };
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...BARE, 'permissions-policy': 'camera=(self), microphone=(), geolocation=(), payment=(), usb=()' });
    checkHost(request);
  });
  servePages(app, 'wallet', '');
  serveEntry(parts);
  serveAccount(parts);
  const { perform, close: closeWaits } = createPerform(admin, { insecure: false, audits: options.audits, nameOf: options.door.nameOf });
  serveCalls(parts, perform, callers);
  const admitted = new WeakMap<IncomingMessage, Session>();
  const face = {
    async admitSocket(request: IncomingMessage) {
      if (request.headers.origin === undefined) throw foreign();
      const session = await parts.sessionOf(request);
      const { wallet, token } = await tokenOf(authority, session);
      sockets.mayOpen(session);
      admitted.set(request, session);
      return { tenant: wallet, token: token.jti, everyone: false, ends: session.ends };
    },
    opened: (request: IncomingMessage, socket: Parameters<typeof sockets.add>[1]) => sockets.add(admitted.get(request)!, socket),
    close: () => sockets.close(),
  };
  const browsers = { cors: () => ({}), admit: checkHost };
  const events = attachEvents(app.server, admin, authority, browsers, options.door, new Map([['/ws', face]]));
  port = await listen(app, options.host, options.port);
  return {
    port,
    origin: origin(),
    async close() {
      events.close();
      face.close();
      closeWaits();
      await closeServer(app);
    },
  };
}

/** @throws AppError `unauthorized` where the wallet of a session is not open */
async function tokenOf(authority: Authority, { token }: Session) {
  if (token === undefined) throw unauthorized();
  return await authority.walletOf(token, 'read');
}

/** Signing up, in and out. */
function serveEntry({ app, admin, sessions, persons, operations, nameOf, code, sessionOf, checked }: Parts): void {
  const cookie = async (value: string, age: number): Promise<string> =>
    `${await sessions.cookieName()}=${value}; Path=/; Max-Age=${age}; HttpOnly; Secure; SameSite=Strict`;
  const strangers = { signed_in: false, code };
  const shown = ({ csrf, ends, idles, token }: Session, { name, mode, words }: Account): JsonObject => ({
    ...{ signed_in: token !== undefined, csrf, ends, idles, now: admin.kernel.now(), code },
    ...{ label: name, mode, has_words: words !== undefined },
    operations: token === undefined ? [] : [...operations.keys()],
  });
  const optional = (request: FastifyRequest): Promise<Session | undefined> =>
    sessionOf(request).catch((error: unknown) => {
      if (asAppError(error).code !== 'unauthorized') throw error;
      return undefined;
    });

  app.get('/session', async (request, reply) => {
    if (String(request.headers['sec-fetch-site'] ?? 'same-origin') !== 'same-origin') throw foreign();
    const session = await optional(request);
    if (session?.token === undefined) return send(reply, strangers);
    return send(reply, shown(session, await persons.accountOf(session)));
  });
  app.post('/begin', { bodyLimit: SMALL_BODY }, async (request, reply) => {
    checkPost(request);
    const session = await optional(request);
    const own = session && request.headers['x-csrf'] === session.csrf ? session : undefined;
    return send(reply, await persons.begin(nameOf(request.raw), bodyOf(request), own));
  });
  for (const way of ['signUp', 'signIn', 'signInByWords', 'signInByDevice'] as const)
    app.post(`/${WAYS[way]}`, { bodyLimit: SMALL_BODY }, async (request, reply) => {
      checkPost(request);
      const former = await optional(request);
      const made = await persons[way](nameOf(request.raw), bodyOf(request));
      // another id with each sign-in
      if (former) await persons.leave(former);
      reply.header('set-cookie', await cookie(made.cookie, LONGEST_MS / 1000));
      const { wrap, phrase } = made as { wrap?: string; phrase?: boolean };
      return send(reply, { ...shown(made.session, made.account), wrap: wrap ?? null, phrase: phrase === true, user: made.account.id });
    });
  app.post('/open', { bodyLimit: SMALL_BODY }, async (request, reply) => {
    const made = await persons.open(await checked(request), bodyOf(request));
    reply.header('set-cookie', await cookie(made.cookie, LONGEST_MS / 1000));
    return send(reply, shown(made.session, made.account));
  });
  app.post('/logout', { bodyLimit: SMALL_BODY }, async (request, reply) => {
    const session = await checked(request);
    await (bodyOf(request).everywhere === true ? persons.leaveEverywhere(session) : persons.leave(session));
    reply.header('set-cookie', await cookie('', 0));
    return send(reply, strangers);
  });
  // reading is no sign of a person: pages read by themselves when something comes
  app.post('/active', { bodyLimit: SMALL_BODY }, async (request, reply) => {
    const before = await checked(request);
    const session = await sessionOf(request, true);
    if (session.idles > before.idles) await persons.stay(session);
    return send(reply, shown(session, await persons.accountOf(session)));
  });
}

const WAYS = { signUp: 'sign-up', signIn: 'sign-in', signInByWords: 'words-in', signInByDevice: 'device-in' } as const;
const bodyOf = ({ body }: FastifyRequest): JsonObject => (body ?? {}) as JsonObject;

/** Passkeys and words of an account, for sessions whose wallet is open. */
function serveAccount({ app, authority, persons, sessionOf, checked, sessions }: Parts): void {
  const view = ({ name, mode, passkeys, words, made }: Account): JsonObject => ({
    ...{ name, mode, made, has_words: words !== undefined, can_leave: words?.recovery !== undefined },
    passkeys: passkeys.map(({ id, made: since, phrase }) => ({ id, made: since, phrase: phrase === true })),
  });
  const open = async (request: FastifyRequest): Promise<Session> => {
    const session = await checked(request);
    await tokenOf(authority, session);
    return session;
  };
  app.get('/account', async (request, reply) => {
    const session = await sessionOf(request);
    await tokenOf(authority, session);
    return send(reply, view(await persons.accountOf(session)));
  });
  const changes = {
    'passkeys/add': persons.addPasskey,
    'passkeys/remove': persons.removePasskey,
    words: persons.setWords,
    device: persons.setDevice,
  };
  for (const [path, change] of Object.entries(changes))
    app.post(`/account/${path}`, { bodyLimit: SMALL_BODY }, async (request, reply) =>
      send(reply, view(await change(await open(request), bodyOf(request)))),
    );
  app.post('/account/again', { bodyLimit: SMALL_BODY }, async (request, reply) =>
    send(reply, await persons.again(await open(request), bodyOf(request))),
  );
  app.post('/account/copy', { bodyLimit: SMALL_BODY }, async (request, reply) =>
    reply.type('application/vnd.flexid.backup').send(await persons.takeAway(await open(request))),
  );
  app.post('/account/erase', { bodyLimit: SMALL_BODY }, async (request, reply) => {
    await persons.erase(await open(request), bodyOf(request));
    reply.header('set-cookie', `${await sessions.cookieName()}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict`);
    return send(reply, { signed_in: false });
  });
}

/** The operations of the wallet, for sessions. */
function serveCalls(
  { app, authority, operations, checked }: Parts,
  perform: ReturnType<typeof createPerform>['perform'],
  callers: WeakMap<FastifyRequest, Session>,
): void {
  // before the body is read: of a stranger nothing is parsed
  const onRequest = async (request: FastifyRequest): Promise<void> => void callers.set(request, await checked(request));
  app.post('/call/:operation', { onRequest }, async (request, reply) => {
    const session = callers.get(request)!;
    const op = operations.get((request.params as { operation: string }).operation);
    if (!op) throw new AppError('not-found', 'A wallet has no such operation');
    const { params = {}, query = {}, body = {}, key } = bodyOf(request) as Record<string, Json>;
    if (!isTextMap(params) || typeof query !== 'object' || query === null)
      throw new AppError('unprocessable', 'params and query must be objects');
    const { wallet, token } = await tokenOf(authority, session);
    const caller = { tenant: wallet, token: token.jti };
    const answer = await perform(op, caller, { request: request.raw, params, query: query as JsonObject, body, idempotencyKey: key });
    if (op.produces) return reply.type('application/octet-stream').send(answer);
    return send(reply.code(op.status ?? 200), answer as Json);
  });
}
