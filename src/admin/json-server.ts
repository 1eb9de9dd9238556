import { lookup } from 'node:dns/promises';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions } from 'fastify';
import { JsonRefused, parseJson } from '../didcomm/safe-json.ts';
import { AppError, asAppError } from '../errors.ts';
import { PATIENCE } from '../ports/transport.ts';
import { createLargeBodies, LARGE_BYTES, type LargeBodies } from './large-bodies.ts';
import type { Admin } from './route.ts';

/** How long calls in hand may take to answer when the agent stops. */
const CLOSE_MS = 3000;

/** Schemas are checked by the operations: fastify's compilers are not even loaded. */
const NO_COMPILERS: FastifyServerOptions['schemaController'] = {
  // the type of the first asks for what Ajv makes
  compilersFactory: { buildValidator: () => (() => () => true) as never, buildSerializer: () => () => (value) => JSON.stringify(value) },
};

export interface JsonServerOptions extends Pick<FastifyServerOptions, 'rewriteUrl'> {
  readonly maxBytes: number;
  /** Names the sender, by whose turn a large body is parsed; the address by default. */
  readonly senderOf?: (request: FastifyRequest) => string;
  /** The turns of large bodies; those of the agent where it is not given, whichever of its ports they come to. */
  readonly large?: LargeBodies;
}

const addressOf = (request: FastifyRequest): string => request.raw.socket.remoteAddress ?? '';

const turns = new WeakMap<object, LargeBodies>();
function largeBodiesOf(kernel: object): LargeBodies {
  const known = turns.get(kernel) ?? createLargeBodies();
  turns.set(kernel, known);
  return known;
}

/** A server whose bodies are JSON, bounded in size and depth before anything looks at them; errors are plain text `status: reason`, as ACA-Py's. */
export function jsonServer(admin: Pick<Admin, 'kernel'>, options: JsonServerOptions): FastifyInstance {
  const { maxBytes, rewriteUrl, senderOf = addressOf, large = largeBodiesOf(admin.kernel) } = options;
  const app = fastify({
    bodyLimit: maxBytes,
    http: PATIENCE,
    requestTimeout: 60_000,
    routerOptions: { maxParamLength: 4096 },
    ...(rewriteUrl && { rewriteUrl }),
    forceCloseConnections: 'idle',
    schemaController: NO_COMPILERS,
    frameworkErrors: (error, request, reply) => void sendError(admin, error, request, reply),
  });
  app.removeAllContentTypeParsers();
  const parsed = (body: Buffer): unknown => {
    try {
      return body.length === 0 ? {} : parseJson(body, { maxBytes });
    } catch (error) {
      throw new AppError('bad-json', `Request body is not valid JSON${error instanceof JsonRefused ? `: ${error.message}` : ''}`);
    }
  };
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
    body.length < LARGE_BYTES
      ? parsed(body)
      : await large.read(senderOf(request), body.length, () => {
          // nobody waits any more for what has not begun
          if (request.raw.socket.destroyed) throw new AppError('busy');
          return parsed(body);
        }),
  );
  app.setErrorHandler((error: unknown, request, reply) => sendError(admin, error, request, reply));
  const notFound = (_request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    reply.code(404).type('text/plain; charset=utf-8').send('404: Not Found');
  app.setNotFoundHandler(notFound);
  // no hook has asked there who calls: of a body nothing is read
  app.addHook('preParsing', async (request, reply) => {
    if (request.is404) await notFound(request, reply);
  });
  return app;
}

/**
 * Listens at one address. Of the name `localhost`, which may be two, it is that of IPv4: Fastify would serve the other one by a second server, without the bounds and
 * the WebSockets of the first.
 * @returns the port
 */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<number> {
  const { address } = host === 'localhost' ? await lookup(host, { family: 4 }).catch(() => lookup(host)) : { address: host };
  await app.listen({ host: address, port });
  return (app.server.address() as AddressInfo).port;
}

/** Closes a server: calls under way have time to end, idle connections of clients have none. */
export async function closeServer(app: FastifyInstance): Promise<void> {
  const impatient = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS);
  await app.close();
  clearTimeout(impatient);
}

function sendError(admin: Pick<Admin, 'kernel'>, thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = (thrown as { statusCode?: number }).statusCode;
  let error = asAppError(thrown);
  if (!(thrown instanceof AppError) && status === 413) error = new AppError('too-large');
  else if (!(thrown instanceof AppError) && status !== undefined && status < 500)
    error = new AppError('bad-request', (thrown as Error).message);
  if (error.code === 'internal') admin.kernel.log.error({ err: error.cause ?? thrown, path: request.routeOptions.url }, 'a call broke');
  if (error.row.status === 429) reply.header('retry-after', String(error.retryAfter ?? 1));
  // a header line takes no line break, and a text answer needs none
  const text = error.message.replace(/[\r\n]+/g, ' ').slice(0, 2000);
  return reply.code(error.row.status).type('text/plain; charset=utf-8').send(`${error.row.status}: ${text}`);
}
