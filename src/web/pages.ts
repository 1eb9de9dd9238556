import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import type { Operation } from '../admin/operations.ts';
import { AppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import { pythonJson } from '../kernel/python-json.ts';
import type { Json } from '../ports/json.ts';
import { type FrontEnd, frontEnd, SAFE_HEADERS } from './assets.ts';
import { endedName, type Session, type Sessions } from './sessions.ts';

/** The parts that servers of pages share: who sent a call, what is answered, the page with its files, and sockets that end with their session. */

const MAX_SOCKETS = 20;
/** How often it is looked whether the sessions of open sockets are over. */
const LOOK_MS = 20_000;

export const foreign = (): AppError => new AppError('forbidden', 'Calls of this page come from itself');

/** The value of a cookie that is there once. Another host's page cannot set one with this prefix. */
export function cookieOf({ cookie = '' }: IncomingMessage['headers'], name: string): string | undefined {
  const found = cookie
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${name}=`));
  return found.length === 1 ? found[0]!.slice(name.length + 1) : undefined;
}

/** Whether a request is one of the console's own page: pages of other ports are of another origin, though cookies reach them. */
export function isOwnPage({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const { host, origin } = headers;
  const own = origin?.toLowerCase();
  return host !== undefined && own !== undefined && [`http://${host}`, `https://${host}`].includes(own.replace(/\/$/, ''));
}

/** Refuses what only the console's own page may send: the origin, the type of the body, and a header that no form can set. @throws AppError `forbidden` */
export function checkPost(request: FastifyRequest): void {
  const [type] = (request.headers['content-type'] ?? '').split(';', 1);
  if (!isOwnPage(request) || type!.trim().toLowerCase() !== 'application/json' || typeof request.headers['x-csrf'] !== 'string')
    throw foreign();
}

/** A path with its parameters put in, as a controller would call it. */
export const pathOf = ({ path }: Operation, params: Readonly<Record<string, string>>): string =>
  path.replace(/\{([a-z_]+)(\*?)\}/g, (_all, name: string, rest) => {
    const value = params[name] ?? '';
    return rest ? value.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(value);
  });

export const isTextMap = (value: unknown): value is Record<string, string> =>
  typeof value === 'object' && value !== null && Object.values(value).every((one) => typeof one === 'string');

/** The headers of what is no page: nothing in it may run, and nothing is kept. */
export const BARE = {
  ...SAFE_HEADERS,
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

export const send = (reply: FastifyReply, answer: Json): FastifyReply =>
  reply.type('application/json; charset=utf-8').send(pythonJson(answer));

/** The page and its files. @param name the folder of `web`. @param prefix as in `/console`; empty for a server of its own */
export function servePages(app: FastifyInstance, name: string, prefix: string): void {
  let front: FrontEnd | undefined;
  const files = (): FrontEnd => {
    // at the first visit: who has no browser pays nothing
    front ??= frontEnd(name, prefix);
    return front;
  };
  if (prefix !== '') app.get(prefix, async (_request, reply) => reply.redirect(`${prefix}/`));
  app.get(`${prefix}/`, async (_request, reply) => {
    const { page, policy } = files();
    return reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(page);
  });
  app.get(`${prefix}/manifest.webmanifest`, async (_request, reply) => {
    const { installed } = files();
    if (!installed) throw new AppError('not-found', 'This page has no manifest');
    return reply.type('application/manifest+json; charset=utf-8').send(installed.manifest);
  });
  app.get(`${prefix}/sw.js`, async (_request, reply) => {
    const { installed } = files();
    if (!installed) throw new AppError('not-found', 'This page has no service worker');
    // it reads the page and its files, and nothing of others
    return reply
      .header('content-security-policy', "default-src 'none'; connect-src 'self'; frame-ancestors 'none'")
      .type('text/javascript; charset=utf-8')
      .send(installed.worker);
  });
  app.get(`${prefix}/a/*`, async (request, reply) => {
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

/** The open sockets of sessions: they end with these, whichever process ended them. */
export function createSockets(kernel: Kernel, sessions: Sessions) {
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
