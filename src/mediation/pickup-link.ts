import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import { newId } from '../kernel/ids.ts';
import { composeMessage } from '../kernel/message.ts';
import type { ReceivedMessage } from '../kernel/received.ts';
import { type LoadedRecord, loadedRecord } from '../kernel/record.ts';
import { sealTo } from '../kernel/seal.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import type { Admission, Outbound, Socket } from '../ports/transport.ts';
import type { Lines } from './mediator-lines.ts';

/** How mail comes from mediators: `auto` finds out what each of them can do. */
export type PickupMode = 'auto' | 'live' | 'implicit' | 'poll';

/** Protocols that a mediator is asked for mail by: RFC 0685, RFC 0212, and RFC 0048 with implicit pickup. */
export const V2 = 'https://didcomm.org/messagepickup/2.0';
export const V1 = 'https://didcomm.org/messagepickup/1.0';
export const PING = 'https://didcomm.org/trust_ping/1.0';

/** The interval of polling: the first while mail comes, growing to the second while none does. */
export const POLL_MS = 300;
export const IDLE_POLL_MS = 5000;

/** Whether a message is of message pickup 2. */
export const isV2 = ({ type }: ReceivedMessage): boolean => /messagepickup\/2\.\d+\/\w/.test(type);

/** One granted mediation, and the state of the contact with its mediator. Nothing of it is stored. */
export interface Link {
  readonly tenant: string;
  readonly mediation: string;
  readonly connection: string;
  readonly leaving: AbortController;
  done: Promise<void>;
  failures: number;
  /** Its name in the operator's log. */
  reported?: 'away' | 'up';
  /** In mode `auto`: the mediator has no live mode on a socket. */
  implicit?: boolean;
  /** In mode `auto`: the protocol of polling over HTTP. */
  polledBy?: '2.0' | '1.0' | 'ping';
  /** Whether the mediator's status has `live_delivery`. */
  reportsLive?: boolean;
  /** The WebSocket that is open. */
  socket?: Socket;
  /** A message to the mediator went another way, which may have ended live mode here; `wake` ends the wait for the next check. */
  elsewhere?: boolean;
  wake?: () => void;
  /** A request of pickup 1.0 without an answer: only the same request again has that answer, another one confirms it. */
  unanswered?: string;
}

/** The addresses of a mediator, and the connection with it. */
export interface Mediator {
  readonly peer: LoadedRecord;
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
  /** The interval, in ms, of the checks that live mode goes on. */
  readonly checkMs: number;
}

/** Common parts of the ways of pickup. `inTurn` bounds sockets that are being opened and requests that are under way. */
export interface PickupContext extends PickupOptions {
  inTurn<T>(run: () => Promise<T>): Promise<T>;
}

/** @throws AppError `delivery-failed` where the connection is gone */
export async function mediatorOf(store: Pick<Store, 'load'>, { tenant, mediation, connection }: Link): Promise<Mediator> {
  const [rows, granted] = await store.load(tenant, [
    { category: 'connection', id: connection },
    { category: 'mediation', id: mediation },
  ]);
  const row = rows?.[0];
  if (!row) throw new AppError('delivery-failed', 'the connection with the mediator is gone');
  const { their_endpoint, their_endpoints = [] } = row.value as { their_endpoint?: string; their_endpoints?: readonly string[] };
  // the endpoint of the grant is an address of the mediator too
  const all = [their_endpoint, ...their_endpoints, granted?.[0]?.value.endpoint].filter((one) => typeof one === 'string');
  return {
    peer: loadedRecord(row),
    ws: all.find((one) => /^wss:/i.test(one)) ?? all.find((one) => /^ws:/i.test(one)),
    http: all.find((one) => /^https?:/i.test(one)),
  };
}

/** A message to the mediator itself, with `return_route: all` (RFC 0092): the answer and waiting mail come on the same connection. */
export async function messageFor(
  kernel: Kernel,
  link: Link,
  uri: string,
  type: string,
  body: JsonObject,
): Promise<{ id: string; envelope: string }> {
  const { peer } = await mediatorOf(kernel.db.store, link);
  const id = newId();
  const message = composeMessage({ uris: [uri] }, { type, id, body, returnRoute: true });
  const envelope = await sealTo(kernel, link.tenant, peer, JSON.stringify(message));
  if (envelope === undefined) throw new AppError('delivery-failed', 'the connection with the mediator has no keys');
  return { id, envelope };
}

/** A pause that ends with the link. */
export const pause = (link: Link, ms: number): Promise<void> =>
  sleep(ms, undefined, { signal: link.leaving.signal, ref: false }).catch(() => undefined) as Promise<void>;

/** Logs, once, that a mediator cannot be reached. */
export function reportAway(log: Log, link: Link, reason: string): void {
  if (link.reported === 'away') return;
  link.reported = 'away';
  log.warn({ tenant: link.tenant, mediation: link.mediation, reason }, 'no mail comes from the mediator: it is tried again');
}

/** Logs, once, in which way mail comes. */
export function reportUp(log: Log, link: Link, way: string, endpoint: string): void {
  if (link.reported === 'up') return;
  const text = link.reported === 'away' ? 'mail comes from the mediator again' : 'mail comes from the mediator';
  link.reported = 'up';
  log.info({ tenant: link.tenant, mediation: link.mediation, way, endpoint }, text);
}
