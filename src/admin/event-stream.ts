import type { WebSocket } from 'ws';
import { BoundedMap } from '../bounded-map.ts';
import { timeId } from '../kernel/ids.ts';
import { pythonJson } from '../kernel/python-json.ts';
import type { Authority, Caller } from './auth.ts';
import type { Admin } from './route.ts';

const PING_MS = 5000;
const MAX_BUFFERED = 8 << 20;
/** How far back is looked for events of other processes: commits become visible in another order than that of their ids. */
const LOOK_BACK_MS = 10_000;
const MAX_SEEN = 20_000;
/** Sockets of one wallet's tokens. */
const MAX_PER_WALLET = 100;

/** The tenants whose events a socket shows: one tenant's, or, with the operator's key where there are several, everyone's. */
export interface Admitted extends Caller {
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

/** Runs what shows a tenant's events one after the other. */
function turns(onFailure: (tenant: string, error: unknown) => void): (tenant: string, run: () => Promise<void>) => void {
  const last = new Map<string, Promise<void>>();
  return (tenant, run) => {
    const next = (last.get(tenant) ?? Promise.resolve())
      .then(run)
      // events that cannot be read are shown to nobody: a client asks /events for them
      .catch((error: unknown) => onFailure(tenant, error))
      .finally(() => {
        if (last.get(tenant) === next) last.delete(tenant);
      });
    last.set(tenant, next);
  };
}

/** Shows events to the sockets of `/ws` as they are committed, whichever process made them, and pings those that are silent. */
export function eventStream({ kernel, base }: Pick<Admin, 'kernel' | 'base'>, authority: Authority) {
  const clients = new Map<WebSocket, Client>();
  /** Events that were sent, so that one which is also found by looking is not sent again. */
  const seen = new BoundedMap<string, true>(MAX_SEEN);
  const inTurn = turns((tenant, error) => {
    kernel.log.warn({ err: error }, 'events could not be shown on /ws');
    for (const [socket, { admitted }] of clients)
      if (tenant === '*' || admitted.everyone || admitted.tenant === tenant)
        end(socket, 1013, 'events were missed: read them from /events');
  });

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

  /** Ends the stream: no further event is sent, however late the other side closes. */
  function end(socket: WebSocket, code: number, reason: string): void {
    clients.delete(socket);
    socket.close(code, reason);
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

  /** Ends the sockets of a tenant whose token does not hold any more. */
  async function endVoid(tenant: string): Promise<void> {
    for (const [socket, { admitted }] of clients) {
      if (admitted.token === undefined || (tenant !== '*' && admitted.tenant !== tenant)) continue;
      if (admitted.ends <= kernel.now() || !(await authority.holds(admitted))) end(socket, 1008, 'the token has ended');
    }
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

  /** Events that another process committed: the notification names their tenants alone. */
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
    has: (socket: WebSocket): boolean => clients.has(socket),
    greet,
    end,
    remove: (socket: WebSocket): boolean => clients.delete(socket),
    stop(): void {
      stop();
      clearInterval(timer);
    },
  };
}
