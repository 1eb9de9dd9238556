import type { IncomingHttpHeaders, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { AppError, asAppError } from '../errors.ts';
import { pythonJson } from '../kernel/python-json.ts';
import type { Door } from '../ports/transport.ts';
import type { Authority } from './auth.ts';
import type { BrowserRules } from './browser.ts';
import { type Admitted, eventStream } from './event-stream.ts';
import type { AttachedFace } from './face.ts';
import { keylessSockets } from './keyless-sockets.ts';
import type { Admin } from './route.ts';

// an import by name would load all that `node:http` has, a second undici with it
const { STATUS_CODES } = process.getBuiltinModule('node:http');

/** How long the close of a socket may take. */
const GOODBYE_MS = 1000;
/** How often a socket may send a wrong key. */
const MAX_WRONG = 10;

/** A frame that brings the operator's key, or a token, as headers of a call would. */
function keysIn(text: string): IncomingHttpHeaders {
  try {
    const first = JSON.parse(text) as Record<string, unknown> | null;
    const [key, token] = [first?.['x-api-key'], first?.authorization ?? first?.Authorization];
    // an absent key is an empty one: undefined would pass at an agent without keys
    return { 'x-api-key': typeof key === 'string' ? key : '', authorization: typeof token === 'string' ? token : undefined };
  } catch {
    return { 'x-api-key': '' };
  }
}

function refuse(stream: Duplex, error: AppError): void {
  const { status } = error.row;
  const text = `${status}: ${error.message}`;
  stream.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

/**
 * `/ws`: ACA-Py's event stream. Settings first, then events as they are committed, whichever process made them, and a ping after five seconds of silence. Frames
 * have ACA-Py's members and no other, since acapy-controller drops a frame with one more; `/ws?event_id=true` adds the event's id. A socket without a key or a
 * token that may read gets no event and must soon bring one; a socket ends with the token that opened it.
 */
export function attachEvents(
  server: Server,
  admin: Admin,
  authority: Authority,
  browsers: BrowserRules,
  door: Pick<Door, 'nameOf'>,
  others: ReadonlyMap<string, AttachedFace> = new Map(),
): { close(): void } {
  const { kernel, base } = admin;
  // `closeTimeout` is missing in the library's types
  const settings = { noServer: true, maxPayload: 64 << 10, perMessageDeflate: false, closeTimeout: GOODBYE_MS };
  const sockets = new WebSocketServer(settings as ServerOptions);
  const keyless = keylessSockets();
  const stream = eventStream(admin, authority);
  const { end, greet } = stream;

  /** By the operator's key, or a tenant's token. @throws AppError `forbidden` for a token that may not read */
  async function authenticate(headers: IncomingHttpHeaders): Promise<Admitted | undefined> {
    const [bearer, text] = (headers.authorization ?? '').split(' ');
    if (authority.multitenant && bearer === 'Bearer' && text) {
      try {
        const { wallet, token } = await authority.walletOf(text, 'read');
        return { tenant: wallet, token: token.jti, everyone: false, ends: token.exp === undefined ? Infinity : token.exp * 1000 };
      } catch (error) {
        if (asAppError(error).code !== 'unauthorized') throw error;
        return undefined;
      }
    }
    return authority.isOperator(headers['x-api-key']) ? { tenant: base, everyone: authority.multitenant, ends: Infinity } : undefined;
  }

  function broken(socket: WebSocket, error: unknown): void {
    const { code, message } = asAppError(error);
    if (code !== 'forbidden') kernel.log.warn({ err: error }, 'a client of /ws could not be greeted');
    if (code === 'forbidden') end(socket, 1008, message);
    else end(socket, 1011, '');
  }

  /** A socket without a key yet: its frames are taken for keys, a few times. */
  function awaitKey(socket: WebSocket, address: string, since: number, ids: boolean): void {
    const over = keyless.enter(address, () => end(socket, 1008, 'no key came'));
    let tries = 0;
    let trying: Promise<void> = Promise.resolve();
    socket.on('close', over);
    socket.send(pythonJson({ topic: 'settings', payload: { authenticated: false } }));
    const onKey = (data: unknown): void => {
      if (++tries > MAX_WRONG) {
        end(socket, 1008, 'no right key came');
        return;
      }
      trying = trying
        .then(async () => {
          if (stream.has(socket) || socket.readyState !== socket.OPEN) return;
          const admitted = await authenticate(keysIn(String(data)));
          if (!admitted) return;
          over();
          socket.off('message', onKey);
          await greet(socket, admitted, since, ids);
        })
        .catch((error: unknown) => broken(socket, error));
    };
    socket.on('message', onKey);
  }

  server.on('upgrade', async (request, duplex: Duplex, head) => {
    const [path, query] = (request.url ?? '').split('?');
    const other = others.get(path!);
    if (path !== '/ws' && !other) return duplex.destroy();
    duplex.on('error', () => duplex.destroy());
    const ids = other !== undefined || new URLSearchParams(query).get('event_id') === 'true';
    const address = door.nameOf(request);
    const since = kernel.now();
    try {
      browsers.admit(request);
      const admitted = other ? await other.admitSocket(request) : await authenticate(request.headers);
      if (!admitted && !keyless.mayCome(address)) throw new AppError('unavailable', 'Too many sockets have shown no key yet');
      if (duplex.destroyed) return;
      sockets.handleUpgrade(request, duplex, head, (socket) => {
        socket.on('close', () => stream.remove(socket));
        socket.on('error', () => socket.terminate());
        other?.opened(request, socket);
        if (admitted) greet(socket, admitted, since, ids).catch((error: unknown) => broken(socket, error));
        else awaitKey(socket, address, since, ids);
      });
    } catch (error) {
      refuse(duplex, asAppError(error));
    }
  });

  return {
    close() {
      stream.stop();
      for (const socket of sockets.clients) socket.close(1001);
      sockets.close();
    },
  };
}
