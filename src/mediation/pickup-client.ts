import { AppError, asAppError } from '../errors.ts';
import type { Socket } from '../ports/transport.ts';
import { pollOnce, pollOverHttp } from './pickup-http.ts';
import { type Link, mediatorOf, type PickupContext, type PickupOptions, pause, reportAway, reportUp } from './pickup-link.ts';
import { converse, createDialogue } from './pickup-socket.ts';

/** The first and the longest wait before a mediator that failed is tried again. */
const SOON_MS = 200;
const LATE_MS = 30_000;
/** A socket that was open for so long ended for a reason of its own. */
const STAYED_MS = 10_000;
/** Sockets that are being opened, and requests that are under way, at the same time. */
const AT_ONCE = 16;
/** The intervals at which mediations are read without a notification: those of the base wallet and of open links, and those of all tenants. */
const REFRESH_MS = 5000;
const REFRESH_ALL_MS = 5 * 60_000;
/** Mediations of one tenant. */
const MAX_MEDIATIONS = 1000;

/**
 * Has the mail of an agent that nobody can reach: keeps a WebSocket to the mediator of each granted mediation, of the base wallet and of tenants, or polls it over
 * HTTP (RFC 0211, 0212, 0685). Nothing of that is stored. A mediator keeps a message until this side has confirmed it, which follows the commit; repetitions have
 * no second effect. So any process may die at any time, and several on one database may each have a socket of their own.
 * @returns what ends it, when the messages in hand are done
 */
export function startPickup(options: PickupOptions): { stop(): Promise<void> } {
  const { kernel } = options;
  const { store, jobs, admin } = kernel.db;
  const { log } = kernel;
  const context: PickupContext = { ...options, inTurn: createTurnstile(AT_ONCE) };
  const links = new Map<string, Link>();
  /** Tenants whose mediations are to be read, and those whose mediations are being read. */
  const due = new Set<string>();
  const reading = new Map<string, Promise<void>>();
  /** Tenants with a locked wallet: no notification follows when it is opened. */
  const locked = new Set<string>();
  let stopped = false;

  function refresh(tenant: string): void {
    if (stopped) return;
    due.add(tenant);
    for (const one of due) {
      if (reading.size >= AT_ONCE) return;
      if (reading.has(one)) continue;
      due.delete(one);
      const going = read(one)
        .catch((error: unknown) => log.warn({ tenant: one, err: error }, 'mediations could not be read; they are looked at again'))
        .finally(() => {
          reading.delete(one);
          const [next] = due;
          if (next !== undefined) refresh(next);
        });
      reading.set(one, going);
    }
  }

  async function read(tenant: string): Promise<void> {
    const found = new Map<string, string>();
    locked.delete(tenant);
    try {
      const { rows } = await store.find(tenant, 'mediation', { role: 'client', state: 'granted', limit: MAX_MEDIATIONS });
      for (const { id, connection } of rows) if (connection !== undefined) found.set(id, connection);
    } catch (error) {
      const { code } = asAppError(error);
      // its mail waits with its mediators, since nobody could read it here
      if (code === 'wallet-locked') locked.add(tenant);
      else if (code !== 'not-found') throw error;
    }
    if (stopped) return;
    const why = locked.has(tenant) ? 'the wallet is locked' : 'the mediation is over';
    for (const link of links.values()) if (link.tenant === tenant && !found.has(link.mediation)) link.leaving.abort(why);
    for (const [mediation, connection] of found) {
      const name = `${tenant} ${mediation}`;
      const known = links.get(name);
      if (known && !known.leaving.signal.aborted) continue;
      const link: Link = { tenant, mediation, connection, leaving: new AbortController(), done: Promise.resolve(), failures: 0 };
      links.set(name, link);
      link.done = Promise.resolve(known?.done)
        .then(() => follow(context, link))
        .then(() => {
          if (links.get(name) === link) links.delete(name);
          if (!stopped) log.info({ tenant, mediation, reason: link.leaving.signal.reason }, 'no more mail comes from the mediator');
        });
    }
  }

  async function refreshAll(): Promise<void> {
    try {
      for (const tenant of await admin.tenants()) refresh(tenant);
    } catch (error) {
      log.warn({ err: error }, 'the tenants could not be listed; they are looked at again');
    }
  }

  const unsubscribe = jobs.subscribe(({ invalidate: invalidated }) => {
    for (const name of invalidated) {
      if (name === '*') void refreshAll();
      // the names of keys, DIDs and devices are there too
      else if (name === kernel.base || /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(name)) refresh(name);
    }
  });
  const timers = [
    setInterval(() => {
      refresh(kernel.base);
      for (const { tenant } of links.values()) refresh(tenant);
      for (const tenant of locked) refresh(tenant);
    }, REFRESH_MS),
    setInterval(() => void refreshAll(), REFRESH_ALL_MS),
  ];
  for (const timer of timers) timer.unref();
  void refreshAll();

  return {
    async stop() {
      stopped = true;
      unsubscribe();
      for (const timer of timers) clearInterval(timer);
      due.clear();
      for (const { leaving } of links.values()) leaving.abort();
      await Promise.allSettled([...reading.values(), ...[...links.values()].map(({ done }) => done)]);
    },
  };
}

/** Runs at most `places` at once, the others in their order: with thousands of mediators the sockets are opened some at a time. */
function createTurnstile(places: number): PickupContext['inTurn'] {
  let free = places;
  const queue: (() => void)[] = [];
  return async (run) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await run();
    } finally {
      const next = queue.shift();
      if (next) next();
      else free++;
    }
  };
}

/** A socket, unless the link ends before it is open: then it is closed as soon as it opens. */
function unlessLeaving({ leaving: { signal } }: Link, opening: Promise<Socket>): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      reject(new AppError('delivery-failed', 'no more mail'));
      opening.then((socket) => socket.close(1000, 'no more mail')).catch(() => {});
    };
    opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
}

/** Has the mail of one mediation until that ends. */
async function follow(context: PickupContext, link: Link): Promise<void> {
  const line = {
    get socket() {
      return link.socket;
    },
    elsewhere(): void {
      link.elsewhere = true;
      link.wake?.();
    },
  };
  const end = context.lines.keep(link.tenant, link.connection, line);
  try {
    await keepAttending(context, link);
  } finally {
    end();
  }
}

async function keepAttending(context: PickupContext, link: Link): Promise<void> {
  const { signal } = link.leaving;
  while (!signal.aborted) {
    try {
      await attend(context, link);
    } catch (thrown) {
      const error = asAppError(thrown);
      if (signal.aborted) return;
      reportAway(context.kernel.log, link, error.code === 'internal' ? String(error.cause ?? error) : error.message);
    }
    if (signal.aborted) return;
    await pause(link, Math.min(SOON_MS * 2 ** link.failures, LATE_MS) * (0.5 + Math.random() / 2));
    link.failures = Math.min(link.failures + 1, 10);
  }
}

/** Has mail from a mediator until that ends, by itself or by a failure. */
async function attend(context: PickupContext, link: Link): Promise<void> {
  const { kernel, outbound, mode, inTurn } = context;
  const { ws, http } = await mediatorOf(kernel.db.store, link);
  if (ws === undefined && http === undefined) throw new AppError('delivery-failed', 'the mediator has no address');
  if (ws === undefined || (mode === 'poll' && http !== undefined)) return await pollOverHttp(context, link, http!);
  const begun = performance.now();
  let socket: Socket;
  const dialogue = createDialogue(context, link);
  try {
    socket = await inTurn(() => unlessLeaving(link, outbound.link(ws, dialogue.take)));
  } catch (error) {
    // a way between that lets no WebSockets pass is no reason to have no mail
    if (link.leaving.signal.aborted || mode !== 'auto' || http === undefined) throw error;
    await pollOnce(context, link, http);
    reportUp(kernel.log, link, `asked by HTTP, since ${asAppError(error).message}`, http);
    return;
  }
  const leave = (): void => socket.close(1000, 'no more mail');
  link.leaving.signal.addEventListener('abort', leave, { once: true });
  const closed = new Promise<void>((resolve) => socket.onClose(resolve));
  socket.onClose(() => link.wake?.());
  link.socket = socket;
  try {
    if (link.leaving.signal.aborted) return leave();
    await Promise.race([converse(context, link, socket, ws, dialogue), closed]);
    await closed;
  } finally {
    link.leaving.signal.removeEventListener('abort', leave);
    link.socket = undefined;
    if (socket.open) socket.close(1000, 'no more mail');
    dialogue.end();
    // 1008 names a reason that stays the same: not soon
    if (socket.closeCode === 1008) link.failures = 10;
    else if (performance.now() - begun >= STAYED_MS) link.failures = 0;
  }
  if (!link.leaving.signal.aborted && link.failures >= 3)
    reportAway(kernel.log, link, `the WebSocket was closed (${socket.closeCode ?? 'by this side'})`);
}
