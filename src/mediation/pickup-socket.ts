import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, asAppError } from '../errors.ts';
import type { ReceivedMessage } from '../kernel/received.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Log } from '../ports/log.ts';
import type { Socket } from '../ports/transport.ts';
import { AGENCY_URI, edgeDeviceId } from './names.ts';
import { IDLE_POLL_MS, isV2, type Link, messageFor, PING, type PickupContext, POLL_MS, reportUp, V2 } from './pickup-link.ts';

/** A mediator that is silent for so long counts as one that does not know the protocol of the question. */
const QUIET_MS = 5000;
/** The first check of live mode is soon: it fetches what came just before live mode began. */
const CHECK_SOON_MS = 2000;
/** The longest wait for the answer to a check; after it the mediator counts as one that has lost the session. */
const ANSWER_MS = 20_000;
/** Mail that comes together: a silence of this length ends it, within the second bound. */
const TOGETHER_MS = 50;
const TOGETHER_MAX_MS = 1000;

/** The frames of one socket to a mediator. */
export interface Dialogue {
  take(frame: Uint8Array, socket: Socket): Promise<void>;
  /**
   * Calls `matches` with each message of the mediator until it returns a value, or the mediator is silent for `ms`.
   * `replied`: the message was answered at once.
   */
  awaitMessage<T>(matches: (received: ReceivedMessage, replied: boolean) => T | undefined, ms?: number): Promise<T | undefined>;
  /** The number of envelopes of others that came. */
  readonly mail: number;
  /** Resolves when `mail` exceeds `than`; false after `ms`, after `goOn`, or when the socket is closed. */
  awaitMail(than: number, ms: number): Promise<boolean>;
  goOn(): void;
  end(): void;
}

type SendMessage = (uri: string, type: string, body: JsonObject) => Promise<string>;

/** Receives frames of the mediator of `link`: its own messages, and mail of others. */
export function createDialogue({ kernel, engine, admission }: PickupContext, link: Link): Dialogue {
  const { tenant, connection } = link;
  const listeners = new Set<(received?: ReceivedMessage, replied?: boolean) => void>();
  let mail = 0;
  let ended = false;
  let wake = (): void => {};

  async function take(frame: Uint8Array, socket: Socket): Promise<void> {
    try {
      const how = { canReply: true, socket, outbound: { tenant, connection } };
      const { reply, sent, message: received } = await admission.hold(() => engine.receive(frame, how));
      kernel.count('mail_received', tenant);
      if (reply !== undefined) {
        socket.send(reply);
        // not part of taking the frame: the pong may stand behind frames that wait for this one
        if (sent) void confirmSent(kernel.log, socket, sent);
      }
      if (received?.tenant === tenant && received.connection === connection)
        for (const listener of listeners) listener(received, reply !== undefined);
      else {
        mail++;
        wake();
      }
    } catch (thrown) {
      const error = asAppError(thrown);
      // no ping behind it is answered: it comes again
      if (error.row.retry) socket.close(1013, 'try again later');
      else kernel.log.error({ err: error.cause ?? error }, 'a message from the mediator could not be handled');
    }
  }
  return {
    take,
    awaitMessage: (matches, ms = QUIET_MS) =>
      new Promise((resolve) => {
        const done = (value: ReturnType<typeof matches>): void => {
          clearTimeout(timer);
          listeners.delete(listener);
          resolve(value);
        };
        let timer = setTimeout(() => done(undefined), ms);
        const listener = (received?: ReceivedMessage, replied = false): void => {
          const found = received && matches(received, replied);
          if (!received || found !== undefined) {
            done(found);
            return;
          }
          clearTimeout(timer);
          timer = setTimeout(() => done(undefined), ms);
        };
        listeners.add(listener);
        if (ended) listener();
      }),
    get mail() {
      return mail;
    },
    awaitMail: (than, ms) =>
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
      for (const listener of listeners) listener();
      wake();
    },
  };
}

async function confirmSent(log: Log, socket: Socket, sent: () => Promise<void>): Promise<void> {
  try {
    if (await socket.acknowledged()) await sent();
  } catch (error) {
    log.warn({ err: error }, 'a sent reply could not be noted');
  }
}

/**
 * Has mail on a fresh socket until it closes: waiting mail is fetched first, then later mail is ordered, by live mode or implicitly.
 * @throws AppError `delivery-failed` where the mediator does not answer
 */
export async function converse(context: PickupContext, link: Link, socket: Socket, endpoint: string, dialogue: Dialogue): Promise<void> {
  const { kernel, mode, checkMs } = context;
  const send: SendMessage = async (uri, type, body) => {
    const { id, envelope } = await messageFor(kernel, link, uri, type, body);
    socket.send(envelope);
    return id;
  };
  await sendGeneration(context, link, send);
  if (mode === 'poll') return await pollOnSocket(context, link, socket, endpoint, send, dialogue);
  while (socket.open) {
    const knows = mode !== 'implicit' && !link.implicit && (await fetchAll(link, send, dialogue)).known;
    const live = knows && (await goLive(send, dialogue));
    if (!socket.open) return;
    if (live) {
      // a newer copy that has begun since then has not ended this socket
      await sendGeneration(context, link, send);
      reportUp(kernel.log, link, 'live', endpoint);
      for (let wait = CHECK_SOON_MS; socket.open; wait = checkMs) {
        await untilCheck(link, socket, wait);
        if (socket.open) await stayLive(link, send, dialogue);
      }
      return;
    }
    if (knows !== undefined) link.implicit = true;
    await pinging(context, link, send, socket, dialogue, () => reportUp(kernel.log, link, 'implicit', endpoint));
    // a mediator that did not answer may have been slow: it is asked once more
  }
}

/** Sends an agency the generation of this copy of the wallet: an older one is answered `superseded`, which ends the mediation. */
async function sendGeneration({ kernel }: PickupContext, { tenant, connection }: Link, send: SendMessage): Promise<void> {
  const [[device] = []] = await kernel.db.store.load(tenant, [{ category: 'edge_device', id: edgeDeviceId('edge', connection) }]);
  const generation = device?.value.generation;
  if (device?.state === 'provisioned' && typeof generation === 'number') await send(AGENCY_URI, 'still-current', { generation });
}

async function pollOnSocket(
  { kernel }: PickupContext,
  link: Link,
  socket: Socket,
  endpoint: string,
  send: SendMessage,
  dialogue: Dialogue,
): Promise<void> {
  for (let wait = POLL_MS; socket.open; ) {
    const { known, came } = await fetchAll(link, send, dialogue);
    if (!known) throw new AppError('delivery-failed', 'the mediator does not answer what it is asked by message pickup 2.0');
    reportUp(kernel.log, link, 'asked on a WebSocket', endpoint);
    wait = came ? POLL_MS : Math.min(wait * 1.5, IDLE_POLL_MS);
    await untilCheck(link, socket, wait);
  }
}

/**
 * Asks for all waiting mail.
 * @returns `known`: whether the mediator has message pickup 2.0, undefined without an answer; `came`: whether there was mail
 */
async function fetchAll(
  link: Link,
  send: SendMessage,
  dialogue: Dialogue,
): Promise<{ readonly known: boolean | undefined; readonly came: boolean }> {
  const id = await send(V2, 'status-request', {});
  let came = false;
  const known = await dialogue.awaitMessage((received, replied) => {
    came ||= isV2(received) && received.type.endsWith('/delivery');
    if (received.thid === id) link.reportsLive = 'live_delivery' in received.body;
    // a status without a message count means that there is none
    if (isV2(received)) return received.type.endsWith('/status') && !replied ? true : undefined;
    return received.thid === id ? false : undefined;
  });
  return { known, came };
}

/** Resolves after `ms`, when a message went to the mediator another way, or when the socket is closed. */
function untilCheck(link: Link, socket: Socket, ms: number): Promise<void> {
  return new Promise((resolve) => {
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
}

/**
 * Has mail by pings, until none came for a long time. ACA-Py hands over one message for each ping, and keeps what comes while that one is on its way: so the next
 * ping follows the mail.
 */
async function pinging(
  { checkMs }: PickupContext,
  link: Link,
  send: SendMessage,
  socket: Socket,
  dialogue: Dialogue,
  begun: () => void,
): Promise<void> {
  link.wake = dialogue.goOn;
  while (socket.open) {
    link.elsewhere = false;
    const before = dialogue.mail;
    await send(PING, 'ping', { response_requested: false });
    if (await socket.acknowledged()) begun();
    if (!(await dialogue.awaitMail(before, checkMs)) && !link.elsewhere) return;
    // one ping for mail that comes together
    const since = performance.now();
    for (let seen = before; seen !== dialogue.mail && performance.now() - since < TOGETHER_MAX_MS; ) {
      seen = dialogue.mail;
      await sleep(TOGETHER_MS);
    }
  }
}

async function goLive(send: SendMessage, dialogue: Dialogue): Promise<boolean> {
  const id = await send(V2, 'live-delivery-change', { live_delivery: true });
  const live = await dialogue.awaitMessage((received) =>
    received.thid === id ? isV2(received) && received.type.endsWith('/status') : undefined,
  );
  return live === true;
}

/**
 * Checks live mode, which a mediator may have ended without a message, and fetches what came meanwhile. A mediator whose status lacks `live_delivery` gets the
 * order again; the others get the question alone, which costs them no write.
 * @throws AppError where the mediator does not answer
 */
async function stayLive(link: Link, send: SendMessage, dialogue: Dialogue): Promise<void> {
  const again = async (): Promise<void> => {
    if (!(await goLive(send, dialogue))) throw new AppError('delivery-failed', 'the mediator does not go on in live mode');
  };
  const isLive = async (): Promise<boolean> => {
    const id = await send(V2, 'status-request', {});
    const status = await dialogue.awaitMessage((received) => (received.thid === id && isV2(received) ? received : undefined), ANSWER_MS);
    if (!status) throw new AppError('delivery-failed', 'the mediator does not answer');
    return status.body.live_delivery !== false;
  };
  if (!link.reportsLive) await again();
  if (await isLive()) return;
  await again();
  if (!(await isLive())) throw new AppError('delivery-failed', 'the mediator does not stay in live mode');
}
