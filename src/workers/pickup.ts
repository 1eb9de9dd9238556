import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, asAppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import { newId } from '../kernel/ids.ts';
import { MAX_BATCH } from '../kernel/mediated.ts';
import { composeMessage } from '../kernel/message.ts';
import type { Heard } from '../kernel/received.ts';
import { type Exchange, toExchange } from '../kernel/record.ts';
import { sealTo } from '../kernel/seal.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Admission, Outbound, Socket } from '../ports/transport.ts';
import type { Lines } from './lines.ts';

/** How mail comes from mediators: `auto` finds out what each of them can do. */
export type PickupMode = 'auto' | 'live' | 'implicit' | 'poll';

/** How soon, and how late, a mediator that failed is tried again. */
const SOON_MS = 200;
const LATE_MS = 30_000;
/** A socket that was open for so long ended for a reason of its own. */
const STAYED_MS = 10_000;
/** How often a mediator is asked for mail that tells of none by itself: soon after some came, later where none does. */
const POLL_MS = 300;
const IDLE_POLL_MS = 5000;
/** How long a mediator may say nothing before it counts as one that does not know what it was asked. */
const QUIET_MS = 5000;
/** In live mode a mediator is asked what it has kept all the same: first a moment after it began, for what came just before. */
const CHECK_SOON_MS = 2000;
/** How long its answer to that may take, before it counts as one that has forgotten this side. */
const ANSWER_MS = 20_000;
/** Mail that comes together: nothing for so long ends it, and no more than that is waited for. */
const TOGETHER_MS = 50;
const TOGETHER_MAX_MS = 1000;
/** Connections that are begun, and requests that are made, at the same time. */
const AT_ONCE = 16;
/** How often mediations are looked for without being told of a change: the base wallet's and those that there are, and those of all tenants. */
const LOOK_MS = 5000;
const LOOK_ALL_MS = 5 * 60_000;
/** Questions and answers of one round by HTTP: with a mediator that always has one more, the next round goes on. */
const MAX_ROUND = 1000;
/** Mediations of one tenant. */
const MAX_MEDIATIONS = 1000;

const V2 = 'https://didcomm.org/messagepickup/2.0';
const V1 = 'https://didcomm.org/messagepickup/1.0';
const PING = 'https://didcomm.org/trust_ping/1.0';

/** How a mediator is asked by HTTP. */
type Asked = '2.0' | '1.0' | 'ping';

/** One granted mediation, and how far it is with its mediator. */
interface Link {
  readonly tenant: string;
  readonly mediation: string;
  readonly connection: string;
  readonly leaving: AbortController;
  done: Promise<void>;
  failures: number;
  /** The operator was told that it cannot be reached, or how its mail comes. */
  told?: 'away' | 'up';
  /** Found out, where `auto` leaves it open: no `live` on a socket; and how it is asked by HTTP. */
  implicit?: boolean;
  asked?: Asked;
  /** Whether it says in its status that a socket is in live mode. */
  tells?: boolean;
  /** The WebSocket that is open. */
  socket?: Socket;
  /** Something was said to it elsewhere, which it may take for the end of live mode here; and what is told of that at once. */
  elsewhere?: boolean;
  wake?: () => void;
  /** A request by pickup 1.0 whose answer did not come: only the same one again has it, the next one confirms it. */
  unanswered?: string;
}

/** A mediator as it can be written to now. */
interface Mediator {
  readonly peer: Exchange;
  readonly ws?: string;
  readonly http?: string;
}

export interface PickupOptions {
  readonly kernel: Kernel;
  readonly engine: Engine;
  readonly outbound: Outbound;
  readonly lines: Lines;
  /** Mail from a mediator counts like any other. */
  readonly admission: Admission;
  readonly mode: PickupMode;
  /** How often a mediator that is live is asked whether it still is. */
  readonly checkMs: number;
}

/**
 * Has the mail of an agent that nobody can reach: keeps a WebSocket to the mediator of each granted mediation, of the base wallet and of tenants, or asks it by
 * HTTP now and then (RFC 0211, 0212, 0685). Nothing of that is stored. A mediator keeps a message until this side says that it has it, which is said when it was
 * committed; repetitions have no second effect. So any process may die at any time, and several on one database may each have a socket of their own.
 * @returns what ends it, when the messages in hand are done
 */
export function startPickup({ kernel, engine, outbound, lines, admission, mode, checkMs }: PickupOptions): { stop(): Promise<void> } {
  const { store, jobs, admin } = kernel.db;
  const { log } = kernel;
  const links = new Map<string, Link>();
  /** Tenants whose mediations are to be looked at, and those that are now. */
  const due = new Set<string>();
  const looking = new Map<string, Promise<void>>();
  /** Nobody tells of it when they are opened again. */
  const locked = new Set<string>();
  let stopped = false;

  // -- which mediations there are ------------------------------------------------------------------------------------------------------------

  function look(tenant: string): void {
    if (stopped) return;
    due.add(tenant);
    for (const one of due) {
      if (looking.size >= AT_ONCE) return;
      if (looking.has(one)) continue;
      due.delete(one);
      const going = read(one)
        .catch((error: unknown) => log.warn({ tenant: one, err: error }, 'mediations could not be read; they are looked at again'))
        .finally(() => {
          looking.delete(one);
          const [next] = due;
          if (next !== undefined) look(next);
        });
      looking.set(one, going);
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
        .then(() => follow(link))
        .then(() => {
          if (links.get(name) === link) links.delete(name);
          if (!stopped) log.info({ tenant, mediation, reason: link.leaving.signal.reason }, 'no more mail comes from the mediator');
        });
    }
  }

  async function lookAtAll(): Promise<void> {
    try {
      for (const tenant of await admin.tenants()) look(tenant);
    } catch (error) {
      log.warn({ err: error }, 'the tenants could not be listed; they are looked at again');
    }
  }

  const unsubscribe = jobs.subscribe(({ forget }) => {
    for (const name of forget) {
      if (name === '*') void lookAtAll();
      // the names of keys, DIDs and devices are there too
      else if (name === kernel.base || /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(name)) look(name);
    }
  });
  const timers = [
    setInterval(() => {
      look(kernel.base);
      for (const { tenant } of links.values()) look(tenant);
      for (const tenant of locked) look(tenant);
    }, LOOK_MS),
    setInterval(() => void lookAtAll(), LOOK_ALL_MS),
  ];
  for (const timer of timers) timer.unref();
  void lookAtAll();

  // -- one mediator --------------------------------------------------------------------------------------------------------------------------

  let free = AT_ONCE;
  const queue: (() => void)[] = [];
  /** Runs when not too many others do: with thousands of mediators the sockets are opened some at a time. */
  async function inTurn<T>(run: () => Promise<T>): Promise<T> {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await run();
    } finally {
      const next = queue.shift();
      if (next) next();
      else free++;
    }
  }

  /** A socket, unless the link ends before it is open: then nobody waits for it. */
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

  const pause = (link: Link, ms: number): Promise<void> =>
    sleep(ms, undefined, { signal: link.leaving.signal, ref: false }).catch(() => undefined) as Promise<void>;

  async function follow(link: Link): Promise<void> {
    const elsewhere = (): void => {
      link.elsewhere = true;
      link.wake?.();
    };
    const line = {
      get socket() {
        return link.socket;
      },
      elsewhere,
    };
    const end = lines.keep(link.tenant, link.connection, line);
    try {
      await keepAttending(link);
    } finally {
      end();
    }
  }

  async function keepAttending(link: Link): Promise<void> {
    const { signal } = link.leaving;
    while (!signal.aborted) {
      try {
        await attend(link);
      } catch (thrown) {
        const error = asAppError(thrown);
        if (signal.aborted) return;
        failed(link, error.code === 'internal' ? String(error.cause ?? error) : error.message);
      }
      if (signal.aborted) return;
      await pause(link, Math.min(SOON_MS * 2 ** link.failures, LATE_MS) * (0.5 + Math.random() / 2));
      link.failures = Math.min(link.failures + 1, 10);
    }
  }

  function failed(link: Link, reason: string): void {
    if (link.told === 'away') return;
    link.told = 'away';
    log.warn({ tenant: link.tenant, mediation: link.mediation, reason }, 'no mail comes from the mediator: it is tried again');
  }

  function up(link: Link, way: string, endpoint: string): void {
    if (link.told === 'up') return;
    const text = link.told === 'away' ? 'mail comes from the mediator again' : 'mail comes from the mediator';
    link.told = 'up';
    log.info({ tenant: link.tenant, mediation: link.mediation, way, endpoint }, text);
  }

  /** Has mail from a mediator until that ends, by itself or because it failed. */
  async function attend(link: Link): Promise<void> {
    const { ws, http } = await mediatorOf(link);
    if (ws === undefined && http === undefined) throw new AppError('delivery-failed', 'the mediator has told no address');
    if (ws === undefined || (mode === 'poll' && http !== undefined)) return await askAgain(link, http!);
    const begun = performance.now();
    let socket: Socket;
    const talk = dialogue(link);
    try {
      socket = await inTurn(() => unlessLeaving(link, outbound.link(ws, talk.take)));
    } catch (error) {
      // a way between that lets no WebSockets pass is no reason to have no mail
      if (link.leaving.signal.aborted || mode !== 'auto' || http === undefined) throw error;
      await round(link, http);
      up(link, `asked by HTTP, since ${asAppError(error).message}`, http);
      return;
    }
    const leave = (): void => socket.close(1000, 'no more mail');
    link.leaving.signal.addEventListener('abort', leave, { once: true });
    const closed = new Promise<void>((resolve) => socket.onClose(resolve));
    socket.onClose(() => link.wake?.());
    link.socket = socket;
    try {
      if (link.leaving.signal.aborted) return leave();
      await Promise.race([converse(link, socket, ws, talk), closed]);
      await closed;
    } finally {
      link.leaving.signal.removeEventListener('abort', leave);
      link.socket = undefined;
      if (socket.open) socket.close(1000, 'no more mail');
      talk.end();
      // told to go for a reason that stays the same: not soon
      if (socket.closeCode === 1008) link.failures = 10;
      else if (performance.now() - begun >= STAYED_MS) link.failures = 0;
    }
    if (!link.leaving.signal.aborted && link.failures >= 3)
      failed(link, `the WebSocket was closed (${socket.closeCode ?? 'by this side'})`);
  }

  async function mediatorOf({ tenant, mediation, connection }: Link): Promise<Mediator> {
    const [rows, granted] = await store.load(tenant, [
      { category: 'connection', id: connection },
      { category: 'mediation', id: mediation },
    ]);
    const row = rows?.[0];
    if (!row) throw new AppError('delivery-failed', 'the connection with the mediator is gone');
    const { their_endpoint, their_endpoints = [] } = row.value as { their_endpoint?: string; their_endpoints?: readonly string[] };
    // where mail for us is sent to is an address of the mediator too
    const all = [their_endpoint, ...their_endpoints, granted?.[0]?.value.endpoint].filter((one) => typeof one === 'string');
    return {
      peer: toExchange(row),
      ws: all.find((one) => /^wss:/i.test(one)) ?? all.find((one) => /^ws:/i.test(one)),
      http: all.find((one) => /^https?:/i.test(one)),
    };
  }

  /** A message for the mediator itself, which asks for what answers it, or waits, on the same connection. */
  async function messageFor(link: Link, uri: string, type: string, body: JsonObject): Promise<{ id: string; envelope: string }> {
    const { peer } = await mediatorOf(link);
    const id = newId();
    const message = composeMessage({ uris: [uri] }, { type, id, body, returnRoute: true });
    const envelope = await sealTo(kernel, link.tenant, peer, JSON.stringify(message));
    if (envelope === undefined) throw new AppError('delivery-failed', 'the connection with the mediator has no keys');
    return { id, envelope };
  }

  // -- on a WebSocket ------------------------------------------------------------------------------------------------------------------------

  interface Talk {
    take(frame: Uint8Array, socket: Socket): Promise<void>;
    /** Calls `matches` with what the mediator says, until it tells something, or nothing was said for a while. */
    hear<T>(matches: (heard: Heard, answered: boolean) => T | undefined, ms?: number): Promise<T | undefined>;
    /** How much mail came. */
    readonly mail: number;
    /** Resolves when more than so much has come; false where none did in time, it was told to go on, or the socket is closed. */
    more(than: number, ms: number): Promise<boolean>;
    goOn(): void;
    end(): void;
  }

  function dialogue(link: Link): Talk {
    const { tenant, connection } = link;
    const listeners = new Set<(heard?: Heard, answered?: boolean) => void>();
    let mail = 0;
    let ended = false;
    let wake = (): void => {};

    async function take(frame: Uint8Array, socket: Socket): Promise<void> {
      try {
        const how = { canReply: true, socket, ours: { tenant, connection } };
        const { reply, sent, heard } = await admission.hold(() => engine.receive(frame, how));
        kernel.count('mail_received', tenant);
        if (reply !== undefined) {
          socket.send(reply);
          // not part of taking the frame: the pong may stand behind frames that wait for this one
          if (sent) void confirm(socket, sent);
        }
        if (heard?.tenant === tenant && heard.connection === connection) for (const tell of listeners) tell(heard, reply !== undefined);
        else {
          mail++;
          wake();
        }
      } catch (thrown) {
        const error = asAppError(thrown);
        // no ping behind it is answered: it comes again
        if (error.row.retry) socket.close(1013, 'try again later');
        else log.error({ err: error.cause ?? error }, 'a message from the mediator could not be handled');
      }
    }
    return {
      take,
      hear: (matches, ms = QUIET_MS) =>
        new Promise((resolve) => {
          const done = (value: ReturnType<typeof matches>): void => {
            clearTimeout(timer);
            listeners.delete(tell);
            resolve(value);
          };
          let timer = setTimeout(() => done(undefined), ms);
          const tell = (heard?: Heard, answered = false): void => {
            const found = heard && matches(heard, answered);
            if (!heard || found !== undefined) {
              done(found);
              return;
            }
            clearTimeout(timer);
            timer = setTimeout(() => done(undefined), ms);
          };
          listeners.add(tell);
          if (ended) tell();
        }),
      get mail() {
        return mail;
      },
      more: (than, ms) =>
        new Promise((resolve) => {
          const timer = setTimeout(() => wake(), ms);
          timer.unref();
          wake = () => {
            clearTimeout(timer);
            resolve(mail > than);
          };
          if (mail > than || ended) wake();
        }),
      goOn: () => wake(),
      end() {
        ended = true;
        for (const tell of listeners) tell();
        wake();
      },
    };
  }

  async function confirm(socket: Socket, sent: () => Promise<void>): Promise<void> {
    try {
      if (await socket.taken()) await sent();
    } catch (error) {
      log.warn({ err: error }, 'a sent reply could not be noted');
    }
  }

  /** What is said on a fresh socket: what waits is fetched first, then what comes later is asked for. */
  async function converse(link: Link, socket: Socket, endpoint: string, talk: Talk): Promise<void> {
    const say: Say = async (uri, type, body) => {
      const { id, envelope } = await messageFor(link, uri, type, body);
      socket.send(envelope);
      return id;
    };
    let came = false;
    /** Asks for all that waits, and notes whether something did. @returns whether the mediator knows what that is, where it says so */
    const fetchAll = async (): Promise<boolean | undefined> => {
      const id = await say(V2, 'status-request', {});
      came = false;
      return await talk.hear((heard, answered) => {
        came ||= isV2(heard) && heard.type.endsWith('/delivery');
        if (heard.thid === id) link.tells = 'live_delivery' in heard.body;
        // a status that is not answered by a request for more says that there is none
        if (isV2(heard)) return heard.type.endsWith('/status') && !answered ? true : undefined;
        return heard.thid === id ? false : undefined;
      });
    };
    /** Until so long has passed, something was said to the mediator elsewhere, or the socket is closed. */
    const meanwhile = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        const timer = setTimeout(() => link.wake?.(), ms);
        timer.unref();
        link.wake = () => {
          clearTimeout(timer);
          link.wake = undefined;
          link.elsewhere = false;
          resolve();
        };
        if (!socket.open || link.elsewhere) link.wake();
      });

    if (mode === 'poll') {
      for (let wait = POLL_MS; socket.open; ) {
        if (!(await fetchAll()))
          throw new AppError('delivery-failed', 'the mediator does not answer what it is asked by message pickup 2.0');
        up(link, 'asked on a WebSocket', endpoint);
        wait = came ? POLL_MS : Math.min(wait * 1.5, IDLE_POLL_MS);
        await meanwhile(wait);
      }
      return;
    }
    while (socket.open) {
      const knows = mode !== 'implicit' && !link.implicit && (await fetchAll());
      const live = knows && (await goLive(say, talk));
      if (!socket.open) return;
      if (live) {
        up(link, 'live', endpoint);
        for (let wait = CHECK_SOON_MS; socket.open; wait = checkMs) {
          await meanwhile(wait);
          if (socket.open) await stayLive(link, say, talk);
        }
        return;
      }
      if (knows !== undefined) link.implicit = true;
      await pinging(link, say, socket, talk, () => up(link, 'implicit', endpoint));
      // where it only did not answer it may have been slow, and is asked once more
    }
  }

  /**
   * Has mail by pings, until none came for a long time. ACA-Py hands over one message for each that it hears, and keeps what comes while that one is on its way:
   * so it is pinged again after mail has come.
   */
  async function pinging(link: Link, say: Say, socket: Socket, talk: Talk, begun: () => void): Promise<void> {
    link.wake = talk.goOn;
    while (socket.open) {
      link.elsewhere = false;
      const before = talk.mail;
      await say(PING, 'ping', { response_requested: false });
      if (await socket.taken()) begun();
      if (!(await talk.more(before, checkMs)) && !link.elsewhere) return;
      // one ping for what comes together
      const since = performance.now();
      for (let seen = before; seen !== talk.mail && performance.now() - since < TOGETHER_MAX_MS; ) {
        seen = talk.mail;
        await sleep(TOGETHER_MS);
      }
    }
  }

  async function goLive(say: Say, talk: Talk): Promise<boolean> {
    const id = await say(V2, 'live-delivery-change', { live_delivery: true });
    const live = await talk.hear((heard) => (heard.thid === id ? isV2(heard) && heard.type.endsWith('/status') : undefined));
    return live === true;
  }

  /**
   * Makes sure of live mode, which may have ended without a word, and asks for what came meanwhile. A mediator that does not say whether it is live is told again
   * that it be: for the others that would be something to remember, and the question costs them nothing.
   * @throws AppError where the mediator does not answer
   */
  async function stayLive(link: Link, say: Say, talk: Talk): Promise<void> {
    const again = async (): Promise<void> => {
      if (!(await goLive(say, talk))) throw new AppError('delivery-failed', 'the mediator does not go on in live mode');
    };
    const isLive = async (): Promise<boolean> => {
      const id = await say(V2, 'status-request', {});
      const status = await talk.hear((heard) => (heard.thid === id && isV2(heard) ? heard : undefined), ANSWER_MS);
      if (!status) throw new AppError('delivery-failed', 'the mediator does not answer');
      return status.body.live_delivery !== false;
    };
    if (!link.tells) await again();
    if (await isLive()) return;
    await again();
    if (!(await isLive())) throw new AppError('delivery-failed', 'the mediator does not stay in live mode');
  }

  // -- by HTTP -------------------------------------------------------------------------------------------------------------------------------

  /** Asks for mail again and again. @throws AppError where the mediator does not answer */
  async function askAgain(link: Link, endpoint: string): Promise<void> {
    for (let wait = POLL_MS; !link.leaving.signal.aborted; ) {
      const came = await round(link, endpoint);
      link.failures = 0;
      up(link, link.asked === 'ping' ? 'pings by HTTP' : `asked by message pickup ${link.asked}`, endpoint);
      wait = came ? POLL_MS : Math.min(wait * 1.5, IDLE_POLL_MS);
      await pause(link, wait);
    }
  }

  /** Has all that waits. @returns whether there was something */
  async function round(link: Link, endpoint: string): Promise<boolean> {
    return await inTurn(async () => {
      if (link.asked === undefined && mode === 'implicit') link.asked = 'ping';
      if (link.asked === undefined) return await findOut(link, endpoint);
      if (link.asked === '2.0') return (await ask(link, endpoint, V2, 'delivery-request', { limit: MAX_BATCH })).carried;
      if (link.asked === '1.0') return (await ask(link, endpoint, V1, 'batch-pickup', { batch_size: MAX_BATCH })).carried;
      // one message comes with each answer
      for (let i = 0; i < MAX_ROUND; i++) {
        const { answers } = await ask(link, endpoint, PING, 'ping', { response_requested: false });
        if (answers === 0) return i > 0;
      }
      return true;
    });
  }

  async function findOut(link: Link, endpoint: string): Promise<boolean> {
    const second = await ask(link, endpoint, V2, 'status-request', {});
    if (second.heard.some((heard) => isV2(heard))) {
      link.asked = '2.0';
      return second.carried;
    }
    const first = await ask(link, endpoint, V1, 'batch-pickup', { batch_size: MAX_BATCH });
    link.asked = first.heard.some(({ type }) => /messagepickup\/1\.\d+\/batch$/.test(type)) ? '1.0' : 'ping';
    return first.carried || first.answers > 0;
  }

  /**
   * Posts a message, handles what comes in the response, and posts what answers that, until nothing is left to say.
   * @returns what the mediator said itself, whether it handed mail over, and how many responses had something in them
   */
  async function ask(
    link: Link,
    endpoint: string,
    uri: string,
    type: string,
    body: JsonObject,
  ): Promise<{ heard: Heard[]; carried: boolean; answers: number }> {
    const { tenant, connection } = link;
    const heard: Heard[] = [];
    let answers = 0;
    let next: string | undefined = link.unanswered ?? (await messageFor(link, uri, type, body)).envelope;
    let sent: (() => Promise<void>) | undefined;
    for (let i = 0; next !== undefined && i < MAX_ROUND; i++) {
      link.unanswered = uri === V1 ? next : undefined;
      const result = await outbound.deliver(endpoint, next);
      if (result.status >= 400 && result.status < 500 && result.status !== 429) link.unanswered = undefined;
      if (result.status < 200 || result.status >= 300) throw new AppError('delivery-failed', `The mediator answered ${result.status}`);
      await sent?.();
      next = undefined;
      if (!result.body?.length) {
        link.unanswered = undefined;
        break;
      }
      answers++;
      try {
        const { body } = result;
        const ours = { canReply: true, ours: { tenant, connection } };
        const received = await admission.admit(new URL(endpoint).hostname, () => engine.receive(body, ours));
        if (!received) throw new AppError('busy', 'The mediator sends faster than it may');
        kernel.count('mail_received', tenant);
        if (received.heard?.tenant === tenant && received.heard.connection === connection) heard.push(received.heard);
        next = received.reply;
        sent = received.sent;
        link.unanswered = undefined;
      } catch (thrown) {
        const error = asAppError(thrown);
        if (error.row.retry) throw error;
        link.unanswered = undefined;
        log.error({ err: error.cause ?? error }, 'a message from the mediator could not be handled');
      }
    }
    return { heard, answers, carried: heard.some((one) => /\/(?:delivery|batch)$/.test(one.type)) };
  }

  return {
    async stop() {
      stopped = true;
      unsubscribe();
      for (const timer of timers) clearInterval(timer);
      due.clear();
      for (const { leaving } of links.values()) leaving.abort();
      await Promise.allSettled([...looking.values(), ...[...links.values()].map(({ done }) => done)]);
    },
  };
}

type Say = (uri: string, type: string, body: JsonObject) => Promise<string>;

const isV2 = ({ type }: Heard): boolean => /messagepickup\/2\.\d+\/\w/.test(type);
