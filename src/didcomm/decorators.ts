import { type Attachment, MessageRefused, readAttachment, writeAttachment } from './attachments.ts';

/** RFC 0008. */
export interface Thread {
  thid?: string;
  pthid?: string;
  senderOrder?: number;
  receivedOrders?: Record<string, number>;
  goalCode?: string;
}

/** RFC 0092. */
export interface Transport {
  returnRoute?: 'none' | 'all' | 'thread';
  returnRouteThread?: string;
}

/** RFC 0056, the inline form of the DIDComm service in a connectionless message. */
export interface ServiceDecorator {
  recipientKeys: string[];
  routingKeys: string[];
  serviceEndpoint: string;
}

/**
 * A message with everything lifted out of its body that belongs to the envelope of meaning around it rather than to its protocol. What a decorator is not known
 * for is kept in `other`, so that nothing is lost when the message is put together again.
 */
export interface LiftedMessage {
  type: string;
  id: string;
  /** The members of the protocol. */
  body: Record<string, unknown>;
  thread?: Thread;
  transport?: Transport;
  /** RFC 0043. */
  l10n?: { locale?: string; [member: string]: unknown };
  /** RFC 0317: what to acknowledge; `['RECEIPT']` when the message has no `on`. */
  pleaseAck?: { on: string[] };
  /** RFC 0032: dates as text, not trusted. */
  timing?: Record<string, unknown>;
  /** RFC 0034. */
  trace?: unknown;
  service?: ServiceDecorator;
  /** By field: `offers~attach` is under `offers`, a bare `~attach` under ''. */
  attachments?: Record<string, Attachment[]>;
  /** By field: `connection~sig` is under `connection` (RFC 0234), as it came. */
  signatures?: Record<string, unknown>;
  /** Other decorators by their full name, as they came. */
  other?: Record<string, unknown>;
}

/** Fields whose attachment stands alone rather than in a list (RFC 0023, RFC 0793). */
const SINGLE: ReadonlySet<string> = new Set(['did_doc', 'did_rotate']);
const MAX_ATTACHMENTS = 100;
const MAX_ID = 256;

/** Whether a message id or thread id is one that we take: 1 to 256 printable ASCII characters without spaces. */
const isMessageId = (id: unknown): id is string => typeof id === 'string' && id.length <= MAX_ID && /^[!-~]+$/.test(id);

/** Lifts type, id, decorators and attachments out of a parsed message. The message itself is not changed. @throws MessageRefused */
export function lift(message: Record<string, unknown>): LiftedMessage {
  const { '@type': type, '@id': id } = message;
  if (typeof type !== 'string') throw new MessageRefused('@type');
  if (!isMessageId(id)) throw new MessageRefused('@id');
  const lifted: LiftedMessage = { type, id, body: {} };
  for (const name in message) {
    const tilde = name.indexOf('~');
    const value = message[name];
    if (tilde < 0) {
      if (name !== '@type' && name !== '@id') lifted.body[name] = value;
    } else if (tilde > 0) liftField(lifted, name, tilde, value);
    else if (value !== null && value !== undefined) liftDecorator(lifted, name, value);
  }
  return lifted;
}

function liftField(lifted: LiftedMessage, name: string, tilde: number, value: unknown): void {
  const field = name.slice(0, tilde);
  const kind = name.slice(tilde + 1);
  if (field === '__proto__') throw new MessageRefused('a field __proto__');
  if (kind === 'attach') {
    if (value === null) return;
    if (isBatch(field, value)) {
      lifted.other ??= {};
      lifted.other[name] = value;
      return;
    }
    lifted.attachments ??= {};
    lifted.attachments[field] = readList(value);
  } else if (kind === 'sig') {
    lifted.signatures ??= {};
    lifted.signatures[field] = value;
  } else {
    lifted.other ??= {};
    lifted.other[name] = value;
  }
}

/** RFC 0212 calls `messages~attach` what is a list of envelopes, each in a member `message`: no attachments, whatever their name. */
const isBatch = (field: string, value: unknown): boolean =>
  field === 'messages' && Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null && 'message' in item);

function liftDecorator(lifted: LiftedMessage, name: string, value: unknown): void {
  switch (name) {
    case '~thread':
      lifted.thread = readThread(value);
      return;
    case '~transport':
      lifted.transport = readTransport(value);
      return;
    case '~l10n':
      lifted.l10n = record(value, name);
      return;
    case '~please_ack':
      lifted.pleaseAck = readPleaseAck(value);
      return;
    case '~timing':
      lifted.timing = record(value, name);
      return;
    case '~trace':
      lifted.trace = value;
      return;
    case '~service':
      lifted.service = readService(value);
      return;
    case '~attach':
      lifted.attachments ??= {};
      lifted.attachments[''] = readBeside(value);
      return;
    default:
      lifted.other ??= {};
      lifted.other[name] = value;
  }
}

/** Puts a message together for sending: the inverse of `lift`. */
export function lower(message: LiftedMessage): Record<string, unknown> {
  const raw: Record<string, unknown> = { '@type': message.type, '@id': message.id };
  if (message.thread) {
    const { thid, pthid, senderOrder, receivedOrders, goalCode } = message.thread;
    raw['~thread'] = defined({ thid, pthid, sender_order: senderOrder, received_orders: receivedOrders, goal_code: goalCode });
  }
  Object.assign(raw, message.body);
  for (const [field, list] of Object.entries(message.attachments ?? {})) {
    raw[`${field}~attach`] = SINGLE.has(field) && list[0] ? writeAttachment(list[0]) : list.map(writeAttachment);
  }
  for (const [field, signature] of Object.entries(message.signatures ?? {})) raw[`${field}~sig`] = signature;
  if (message.transport) {
    raw['~transport'] = defined({ return_route: message.transport.returnRoute, return_route_thread: message.transport.returnRouteThread });
  }
  if (message.l10n) raw['~l10n'] = message.l10n;
  if (message.pleaseAck) raw['~please_ack'] = message.pleaseAck;
  if (message.timing) raw['~timing'] = message.timing;
  if (message.trace !== undefined) raw['~trace'] = message.trace;
  if (message.service) raw['~service'] = message.service;
  return Object.assign(raw, message.other);
}

/** The thread that a message belongs to: its own id starts one (RFC 0008). */
export const threadId = (message: LiftedMessage): string => message.thread?.thid ?? message.id;

function readThread(value: unknown): Thread {
  const raw = record(value, '~thread');
  const thread: Thread = {};
  if (raw.thid != null) thread.thid = id(raw.thid, '~thread.thid');
  if (raw.pthid != null) thread.pthid = id(raw.pthid, '~thread.pthid');
  if (raw.sender_order != null) {
    if (!Number.isSafeInteger(raw.sender_order) || (raw.sender_order as number) < 0) throw new MessageRefused('~thread.sender_order');
    thread.senderOrder = raw.sender_order as number;
  }
  if (raw.received_orders != null) {
    const orders = record(raw.received_orders, '~thread.received_orders');
    for (const order of Object.values(orders)) if (!Number.isSafeInteger(order)) throw new MessageRefused('~thread.received_orders');
    thread.receivedOrders = orders as Record<string, number>;
  }
  if (raw.goal_code != null) {
    if (typeof raw.goal_code !== 'string') throw new MessageRefused('~thread.goal_code');
    thread.goalCode = raw.goal_code;
  }
  return thread;
}

function readTransport(value: unknown): Transport {
  const raw = record(value, '~transport');
  const transport: Transport = {};
  const route = raw.return_route;
  if (route === 'none' || route === 'all' || route === 'thread') transport.returnRoute = route;
  else if (route != null) throw new MessageRefused('~transport.return_route');
  if (raw.return_route_thread != null) transport.returnRouteThread = id(raw.return_route_thread, '~transport.return_route_thread');
  return transport;
}

function readPleaseAck(value: unknown): { on: string[] } {
  const { on } = record(value, '~please_ack');
  if (on == null) return { on: ['RECEIPT'] };
  return { on: strings(on, '~please_ack.on') };
}

function readService(value: unknown): ServiceDecorator {
  const raw = record(value, '~service');
  if (typeof raw.serviceEndpoint !== 'string') throw new MessageRefused('~service.serviceEndpoint');
  return {
    recipientKeys: strings(raw.recipientKeys, '~service.recipientKeys'),
    routingKeys: raw.routingKeys == null ? [] : strings(raw.routingKeys, '~service.routingKeys'),
    serviceEndpoint: raw.serviceEndpoint,
  };
}

function readList(value: unknown): Attachment[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MAX_ATTACHMENTS) throw new MessageRefused('too many attachments');
  return list.map(readAttachment);
}

/** Attachments beside what a message is about, such as supplements: those that nobody can read are left out, and the message stays what it is. */
function readBeside(value: unknown): Attachment[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.slice(0, MAX_ATTACHMENTS).flatMap((one) => {
    try {
      return [readAttachment(one)];
    } catch {
      return [];
    }
  });
}

function strings(value: unknown, what: string): string[] {
  if (!Array.isArray(value) || value.length > 100 || !value.every((item) => typeof item === 'string')) throw new MessageRefused(what);
  return value as string[];
}

function id(value: unknown, what: string): string {
  if (!isMessageId(value)) throw new MessageRefused(what);
  return value;
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MessageRefused(what);
  return value as Record<string, unknown>;
}

function defined(members: Record<string, unknown>): Record<string, unknown> {
  for (const name in members) if (members[name] === undefined) delete members[name];
  return members;
}
