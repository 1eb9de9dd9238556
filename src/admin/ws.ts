import type { Server } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { pythonJson } from '../kernel/python-json.ts';
import type { Admin } from './route.ts';

const PING_MS = 5000;
const MAX_BUFFERED = 8 << 20;

/**
 * `/ws`: ACA-Py's event stream. Settings first, then events of the tenant as they are committed, a ping after five seconds of silence. Frames have ACA-Py's
 * members and no other, since acapy-controller drops a frame with one more; `/ws?event_id=true` adds the event's id.
 */
export function attachEvents(
  server: Server,
  admin: Admin,
  tenant: string,
  authorized: (key: string | string[] | undefined) => boolean,
  insecure: boolean,
): { close(): void } {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 << 10, perMessageDeflate: false });
  const clients = new Map<WebSocket, { authenticated: boolean; last: number; ids: boolean }>();

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
  const settings = (socket: WebSocket): void => {
    const { authenticated } = clients.get(socket)!;
    const { label, endpoint, noReceiveInvites: no_receive_invites } = admin.kernel.settings(tenant);
    send(socket, { topic: 'settings', payload: { authenticated, label, endpoint, no_receive_invites, help_link: null } });
  };

  server.on('upgrade', (request, stream, head) => {
    const [path, query] = (request.url ?? '').split('?');
    if (path !== '/ws') return stream.destroy();
    const ids = new URLSearchParams(query).get('event_id') === 'true';
    sockets.handleUpgrade(request, stream, head, (socket) => {
      clients.set(socket, { authenticated: insecure || authorized(request.headers['x-api-key']), last: Date.now(), ids });
      settings(socket);
      socket.on('message', (data) => {
        const client = clients.get(socket);
        if (!client || client.authenticated) return;
        try {
          client.authenticated = authorized((JSON.parse(String(data)) as Record<string, string>)['x-api-key']);
        } catch {
          return;
        }
        if (client.authenticated) settings(socket);
      });
      socket.on('close', () => clients.delete(socket));
      socket.on('error', () => socket.terminate());
    });
  });

  const stop = admin.kernel.db.jobs.subscribe((hint) => {
    for (const { tenant: owner, event } of hint.events) {
      if (owner !== tenant) continue;
      for (const [socket, { authenticated, ids }] of clients)
        if (authenticated) send(socket, { topic: event.topic, payload: event.value.payload, ...(ids ? { event_id: event.id } : {}) });
    }
  });
  const timer = setInterval(() => {
    for (const [socket, { authenticated, last }] of clients)
      if (Date.now() - last >= PING_MS) send(socket, { topic: 'ping', authenticated });
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
