import type { IncomingHttpHeaders, Server } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { timeId } from '../kernel/ids.ts';
import { pythonJson } from '../kernel/python-json.ts';
import type { Authority } from './auth.ts';
import type { Admin } from './route.ts';

const PING_MS = 5000;
const MAX_BUFFERED = 8 << 20;
/** How far back is looked for events of other processes: commits become visible in another order than that of their ids. */
const LOOK_BACK_MS = 10_000;
const MAX_SEEN = 20_000;

/** A frame that brings the operator's key, or a token, as headers of a call would. */
function keysIn(text: string): IncomingHttpHeaders {
  try {
    const said = JSON.parse(text) as Record<string, unknown> | null;
    const [key, token] = [said?.['x-api-key'], said?.authorization ?? said?.Authorization];
    // what was not said must not count as an agent without keys counts it
    return { 'x-api-key': typeof key === 'string' ? key : '', authorization: typeof token === 'string' ? token : undefined };
  } catch {
    return { 'x-api-key': '' };
  }
}

/** Whose events a socket shows: one tenant's, or, with the operator's key where there are several, everyone's. */
interface Client {
  tenant?: string;
  everyone: boolean;
  last: number;
  readonly since: number;
  readonly ids: boolean;
}

/**
 * `/ws`: ACA-Py's event stream. Settings first, then events as they are committed, whichever process made them, and a ping after five seconds of silence. Frames
 * have ACA-Py's members and no other, since acapy-controller drops a frame with one more; `/ws?event_id=true` adds the event's id.
 */
export function attachEvents(server: Server, admin: Admin, authority: Authority): { close(): void } {
  const { kernel, base } = admin;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 << 10, perMessageDeflate: false });
  const clients = new Map<WebSocket, Client>();
  /** Events that were sent, so that one which is also found by looking is not sent again. */
  const seen = new Set<string>();

  const send = (socket: WebSocket, frame: object): void => {
    const client = clients.get(socket);
    if (!client || socket.readyState !== socket.OPEN) return;
    // a reader that does not keep up reads the rest from /events
    if (socket.bufferedAmount > MAX_BUFFERED) {
      socket.close(1013, 'too slow');
      return;
    }
    client.last = Date.now();
    socket.send(pythonJson(frame));
  };
  const settings = async (socket: WebSocket): Promise<void> => {
    const tenant = clients.get(socket)?.tenant;
    const { label, endpoint, noReceiveInvites } = (await kernel.profiles.of(tenant ?? base)).settings;
    const payload = { authenticated: tenant !== undefined, label, endpoint, no_receive_invites: noReceiveInvites, help_link: null };
    send(socket, { topic: 'settings', payload });
  };
  /** By the operator's key, or a tenant's token; who has neither is told nothing. */
  const authenticate = async (client: Client, headers: IncomingHttpHeaders): Promise<void> => {
    const [bearer, text] = (headers.authorization ?? '').split(' ');
    if (authority.multitenant && bearer === 'Bearer' && text) {
      try {
        client.tenant = (await authority.walletOf(text)).wallet;
      } catch {}
    } else if (authority.isOperator(headers['x-api-key'])) {
      client.tenant = base;
      client.everyone = authority.multitenant;
    }
  };

  server.on('upgrade', (request, stream, head) => {
    const [path, query] = (request.url ?? '').split('?');
    if (path !== '/ws') return stream.destroy();
    const ids = new URLSearchParams(query).get('event_id') === 'true';
    sockets.handleUpgrade(request, stream, head, (socket) => {
      const client: Client = { everyone: false, last: Date.now(), since: kernel.now(), ids };
      clients.set(socket, client);
      let greeting = authenticate(client, request.headers).then(() => settings(socket));
      greeting.catch(broken);
      socket.on('message', (data) => {
        greeting = greeting.then(async () => {
          if (client.tenant !== undefined) return;
          await authenticate(client, keysIn(String(data)));
          if (client.tenant !== undefined) await settings(socket);
        });
        greeting.catch(broken);
      });
      function broken(error: unknown): void {
        kernel.log.warn({ err: error }, 'a client of /ws could not be greeted');
        socket.close(1011);
      }
      socket.on('close', () => clients.delete(socket));
      socket.on('error', () => socket.terminate());
    });
  });

  function show(tenant: string, event: { id: string; topic: string; payload: unknown }, time: number): void {
    if (seen.has(event.id)) return;
    seen.add(event.id);
    if (seen.size > MAX_SEEN) seen.delete(seen.values().next().value!);
    for (const [socket, client] of clients) {
      if ((client.tenant !== tenant && !client.everyone) || time < client.since) continue;
      const wallet = authority.multitenant && tenant !== base ? { wallet_id: tenant } : {};
      send(socket, { topic: event.topic, payload: event.payload, ...wallet, ...(client.ids ? { event_id: event.id } : {}) });
    }
  }

  /** Events that another process committed: it only says whose they are. */
  async function look(tenant: string): Promise<void> {
    const wanted = [...clients.values()].some((client) => client.tenant === tenant || client.everyone);
    if (!wanted) return;
    for (const event of await kernel.db.store.events(tenant, { after: timeId(kernel.now() - LOOK_BACK_MS), limit: 1000 }))
      show(tenant, { id: event.id, topic: event.topic, payload: event.value.payload }, event.time);
  }

  const stop = kernel.db.jobs.subscribe((hint) => {
    if (clients.size === 0) return;
    for (const { tenant, event } of hint.events)
      show(tenant, { id: event.id, topic: event.topic, payload: event.value.payload }, kernel.now());
    for (const tenant of hint.tenants)
      look(tenant).catch((error: unknown) => kernel.log.warn({ err: error }, 'events of another process could not be read'));
  });
  const timer = setInterval(() => {
    for (const [socket, { tenant, last }] of clients)
      if (Date.now() - last >= PING_MS) send(socket, { topic: 'ping', authenticated: tenant !== undefined });
  }, 1000);
  timer.unref();

  return {
    close() {
      stop();
      clearInterval(timer);
      for (const socket of clients.keys()) socket.close(1001);
      sockets.close();
    },
  };
}
