import { type IncomingHttpHeaders, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { AppError, asAppError } from '../errors.ts';
import { BoundedMap } from '../kernel/bounded-map.ts';
import { timeId } from '../kernel/ids.ts';
import { pythonJson } from '../kernel/python-json.ts';
import type { Door } from '../ports/transport.ts';
import type { Authority, Caller } from './auth.ts';
import type { BrowserRules } from './browser.ts';
import type { Admin } from './route.ts';

const PING_MS = 5000;
const MAX_BUFFERED = 8 << 20;
/** How long a socket that is ended may take to say goodbye. */
const GOODBYE_MS = 1000;
/** How far back is looked for events of other processes: commits become visible in another order than that of their ids. */
const LOOK_BACK_MS = 10_000;
const MAX_SEEN = 20_000;
/** How long a socket may be there without a key, how often it may say a wrong one, and how many such sockets there may be, of one address and of all. */
const KEYLESS_MS = 5000;
const MAX_WRONG = 10;
const MAX_KEYLESS = 256;
const MAX_KEYLESS_PER_ADDRESS = 32;
/** Sockets of one wallet's tokens. */
const MAX_PER_WALLET = 100;

/** A frame that brings the operator's key, or a token, as headers of a call would. */
function keysIn(text: string): IncomingHttpHeaders {
  try {
    const first = JSON.parse(text) as Record<string, unknown> | null;
    const [key, token] = [first?.['x-api-key'], first?.authorization ?? first?.Authorization];
    // what was not said must not count as an agent without keys counts it
    return { 'x-api-key': typeof key === 'string' ? key : '', authorization: typeof token === 'string' ? token : undefined };
  } catch {
    return { 'x-api-key': '' };
  }
}

/** Whose events a socket shows: one tenant's, or, with the operator's key where there are several, everyone's. */
interface Admitted extends Caller {
  readonly everyone: boolean;
  /** When the token ends, ms since 1970. */
  readonly ends: number;
}

interface Client {
  readonly admitted: Admitted;
  last: number;
  readonly since: number;
  readonly ids: boolean;
}

interface Shown {
  readonly id: string;
  readonly topic: string;
  readonly payload: unknown;
  readonly time: number;
}

/**
 * Sockets that have not said who they are: counted by address, and let go when their time is over. Where all places are taken, the one that is there longest of
 * whoever has the most gives way, so that a few addresses keep no other out.
 */
function keylessSockets() {
  const byAddress = new Map<string, Set<() => void>>();
  let all = 0;
  return {
    mayCome(address: string): boolean {
      const own = byAddress.get(address)?.size ?? 0;
      if (own >= MAX_KEYLESS_PER_ADDRESS) return false;
      if (all < MAX_KEYLESS) return true;
      const most = [...byAddress.values()].reduce((one, other) => (other.size > one.size ? other : one));
      if (most.size <= own) return false;
      const [letGo] = most;
      letGo?.();
      return true;
    },
    /** @returns the function that says that it is over, by a key or by its end; called again it does nothing */
    enter(address: string, onLate: () => void): () => void {
      const own = byAddress.get(address) ?? new Set();
      byAddress.set(address, own);
      // its place is free at once, however long it takes to say goodbye
      const letGo = (): void => {
        over();
        onLate();
      };
      const timer = setTimeout(letGo, KEYLESS_MS);
      timer.unref();
      const over = (): void => {
        if (!own.delete(letGo)) return;
        clearTimeout(timer);
        all--;
        if (own.size === 0) byAddress.delete(address);
      };
      own.add(letGo);
      all++;
      return over;
    },
  };
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
 * have ACA-Py's members and no other, since acapy-controller drops a frame with one more; `/ws?event_id=true` adds the event's id. Who has not shown a key or a
 * token that may read is told nothing and must soon show one; a socket ends with the token that opened it.
 */
export function attachEvents(
  server: Server,
  admin: Admin,
  authority: Authority,
  browsers: BrowserRules,
  door: Pick<Door, 'nameOf'>,
): { close(): void } {
  const { kernel, base } = admin;
  // `closeTimeout` is missing in the library's types
  const settings = { noServer: true, maxPayload: 64 << 10, perMessageDeflate: false, closeTimeout: GOODBYE_MS };
  const sockets = new WebSocketServer(settings as ServerOptions);
  const clients = new Map<WebSocket, Client>();
  const keyless = keylessSockets();
  /** Events that were sent, so that one which is also found by looking is not sent again. */
  const seen = new BoundedMap<string, true>(MAX_SEEN);
  /** What is under way for a tenant: its events are shown in their order. */
  const turns = new Map<string, Promise<void>>();

  function send(socket: WebSocket, client: Client, frame: object): void {
    if (socket.readyState !== socket.OPEN) return;
    // a reader that does not keep up reads the rest from /events
    if (socket.bufferedAmount > MAX_BUFFERED) {
      end(socket, 1013, 'too slow');
      return;
    }
    client.last = Date.now();
    socket.send(pythonJson(frame));
  }

  /** From now on it is shown nothing, whenever the other side says goodbye. */
  function end(socket: WebSocket, code: number, reason: string): void {
    clients.delete(socket);
    socket.close(code, reason);
  }

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

  async function greet(socket: WebSocket, admitted: Admitted, since: number, ids: boolean): Promise<void> {
    const { tenant, token } = admitted;
    const { label, endpoint, noReceiveInvites } = (await kernel.profiles.of(tenant)).settings;
    if (socket.readyState !== socket.OPEN) return;
    const others =
      token === undefined ? 0 : [...clients.values()].filter((one) => one.admitted.token && one.admitted.tenant === tenant).length;
    if (others >= MAX_PER_WALLET) return end(socket, 1013, `a wallet has ${MAX_PER_WALLET} sockets at most`);
    const client: Client = { admitted, last: Date.now(), since, ids };
    clients.set(socket, client);
    send(socket, client, {
      topic: 'settings',
      payload: { authenticated: true, label, endpoint, no_receive_invites: noReceiveInvites, help_link: null },
    });
    // it may have ended while its settings were read
    await endVoid(tenant);
  }

  function broken(socket: WebSocket, error: unknown): void {
    const { code, message } = asAppError(error);
    if (code !== 'forbidden') kernel.log.warn({ err: error }, 'a client of /ws could not be greeted');
    if (code === 'forbidden') end(socket, 1008, message);
    else end(socket, 1011, '');
  }

  /** A socket that has shown nothing yet: what it says is taken for a key, a few times. */
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
          if (clients.has(socket) || socket.readyState !== socket.OPEN) return;
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

  server.on('upgrade', async (request, stream, head) => {
    const [path, query] = (request.url ?? '').split('?');
    if (path !== '/ws') return stream.destroy();
    stream.on('error', () => stream.destroy());
    const ids = new URLSearchParams(query).get('event_id') === 'true';
    const address = door.nameOf(request);
    const since = kernel.now();
    try {
      browsers.admit(request);
      const admitted = await authenticate(request.headers);
      if (!admitted && !keyless.mayCome(address)) throw new AppError('unavailable', 'Too many sockets have shown no key yet');
      if (stream.destroyed) return;
      sockets.handleUpgrade(request, stream, head, (socket) => {
        socket.on('close', () => clients.delete(socket));
        socket.on('error', () => socket.terminate());
        if (admitted) greet(socket, admitted, since, ids).catch((error: unknown) => broken(socket, error));
        else awaitKey(socket, address, since, ids);
      });
    } catch (error) {
      refuse(stream, asAppError(error));
    }
  });

  /** Ends the sockets of a tenant whose token does not hold any more. */
  async function endVoid(tenant: string): Promise<void> {
    for (const [socket, { admitted }] of clients) {
      if (admitted.token === undefined || (tenant !== '*' && admitted.tenant !== tenant)) continue;
      if (admitted.ends <= kernel.now() || !(await authority.holds(admitted))) end(socket, 1008, 'the token has ended');
    }
  }

  /** One after the other for each tenant. What cannot be read is not shown to anybody: who follows asks `/events` for it. */
  function inTurn(tenant: string, run: () => Promise<void>): void {
    const next = (turns.get(tenant) ?? Promise.resolve())
      .then(run)
      .catch((error: unknown) => {
        kernel.log.warn({ err: error }, 'events could not be shown on /ws');
        for (const [socket, { admitted }] of clients)
          if (tenant === '*' || admitted.everyone || admitted.tenant === tenant)
            end(socket, 1013, 'events were missed: read them from /events');
      })
      .finally(() => {
        if (turns.get(tenant) === next) turns.delete(tenant);
      });
    turns.set(tenant, next);
  }

  async function show(tenant: string, events: readonly Shown[]): Promise<void> {
    await endVoid(tenant);
    for (const { id, topic, payload, time } of events) {
      if (seen.has(id)) continue;
      seen.set(id, true);
      for (const [socket, client] of clients) {
        const { admitted, since, ids } = client;
        if ((admitted.tenant !== tenant && !admitted.everyone) || time < since) continue;
        const wallet = authority.multitenant && tenant !== base ? { wallet_id: tenant } : {};
        send(socket, client, { topic, payload, ...wallet, ...(ids ? { event_id: id } : {}) });
      }
    }
  }

  /** Events that another process committed: it only says whose they are. */
  async function look(tenant: string): Promise<void> {
    const wanted = [...clients.values()].some(({ admitted }) => admitted.tenant === tenant || admitted.everyone);
    if (!wanted) return;
    const rows = await kernel.db.store.events(tenant, { after: timeId(kernel.now() - LOOK_BACK_MS), limit: 1000 });
    await show(
      tenant,
      rows.map(({ id, topic, time, value }) => ({ id, topic, time, payload: value.payload })),
    );
  }

  const stop = kernel.db.jobs.subscribe((notification) => {
    if (clients.size === 0) return;
    for (const name of notification.invalidate)
      if (name === '*' || [...clients.values()].some(({ admitted }) => admitted.tenant === name)) inTurn(name, () => endVoid(name));
    const now = kernel.now();
    const byTenant = Map.groupBy(notification.events, ({ tenant }) => tenant);
    for (const [tenant, events] of byTenant)
      inTurn(tenant, () =>
        show(
          tenant,
          events.map(({ event: { id, topic, value } }) => ({ id, topic, payload: value.payload, time: now })),
        ),
      );
    for (const tenant of notification.tenants) inTurn(tenant, () => look(tenant));
  });
  const timer = setInterval(() => {
    const now = kernel.now();
    for (const [socket, client] of clients) {
      if (client.admitted.ends <= now) end(socket, 1008, 'the token has ended');
      else if (Date.now() - client.last >= PING_MS) send(socket, client, { topic: 'ping', authenticated: true });
    }
  }, 1000);
  timer.unref();

  return {
    close() {
      stop();
      clearInterval(timer);
      for (const socket of sockets.clients) socket.close(1001);
      sockets.close();
    },
  };
}
