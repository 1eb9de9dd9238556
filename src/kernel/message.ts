import { attachmentJson } from '../didcomm/attachments.ts';
import { lift, lower, threadId } from '../didcomm/decorators.ts';
import { didKeyToVerkey, looksLikeVerkey } from '../didcomm/encoding.ts';
import { parseMessageType } from '../didcomm/message-types.ts';
import { AppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { MessageParts } from './effects.ts';
import type { Incoming, Protocol } from './protocol.ts';

/** A parsed message as protocols see it. @throws MessageRefused where it is not a message; AppError `message-unknown` where its type is not one */
export function readMessage(raw: JsonObject, sender?: string, recipient?: string): Incoming {
  const lifted = lift(raw);
  const type = parseMessageType(lifted.type);
  if (!type) throw new AppError('message-unknown');
  const route = lifted.transport?.returnRoute;
  return {
    id: lifted.id,
    type: lifted.type,
    name: type.name,
    minor: type.minor,
    thid: threadId(lifted),
    pthid: lifted.thread?.pthid,
    body: lifted.body as JsonObject,
    attachments: lifted.attachments ?? {},
    signatures: lifted.signatures ?? {},
    service: lifted.service && {
      recipientKeys: lifted.service.recipientKeys.map(asVerkey),
      routingKeys: lifted.service.routingKeys.map(asVerkey),
      endpoint: lifted.service.serviceEndpoint,
    },
    pleaseAck: lifted.pleaseAck !== undefined,
    returnRoute: route === 'all' || route === 'thread',
    raw,
    sender,
    recipient,
  };
}

function asVerkey(key: string): string {
  const verkey = key.startsWith('did:key:') ? didKeyToVerkey(key) : looksLikeVerkey(key) ? key : undefined;
  if (!verkey) throw new AppError('message-invalid', 'a key of ~service is neither a did:key nor a base58 Ed25519 key');
  return verkey;
}

/** A message of a protocol with its decorators put back; `~thread` only where it does not start its own. */
export function composeMessage(
  protocol: Pick<Protocol, 'uris'>,
  parts: Omit<MessageParts, 'id'> & { id: string; signatures?: Record<string, unknown> },
): JsonObject {
  const uri = protocol.uris.find((known) => known.endsWith(`.${parts.minor}`)) ?? protocol.uris[0];
  const thid = parts.thid ?? parts.id;
  return lower({
    type: parts.type.includes('/') ? parts.type : `${uri}/${parts.type}`,
    id: parts.id,
    pleaseAck: parts.pleaseAck ? { on: ['OUTCOME'] } : undefined,
    transport: parts.returnRoute ? { returnRoute: 'all' } : undefined,
    thread: thid !== parts.id || parts.pthid ? { thid, pthid: parts.pthid } : undefined,
    body: Object.fromEntries(Object.entries(parts.body ?? {}).filter(([, value]) => value !== undefined)),
    signatures: parts.signatures,
    attachments: parts.attachments && Object.fromEntries(Object.entries(parts.attachments).map(([field, list]) => [field, [...list]])),
  }) as JsonObject;
}

/** The JSON object that an attachment holds. @throws AppError `message-invalid` */
export function attachedObject(attachment: Parameters<typeof attachmentJson>[0] | undefined, what: string): JsonObject {
  const value = attachedValue(attachment, what);
  if (Array.isArray(value)) throw new AppError('message-invalid', `the attached ${what} is not a JSON object`);
  return value;
}

/** The JSON object or list that an attachment holds: the meaning of a list is the reader's. @throws AppError `message-invalid` */
export function attachedValue(attachment: Parameters<typeof attachmentJson>[0] | undefined, what: string): JsonObject {
  let value: unknown;
  try {
    value = attachment && attachmentJson(attachment);
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null) throw new AppError('message-invalid', `the attached ${what} is not a JSON object`);
  return value as JsonObject;
}

/** The text of a problem report (RFC 0035 and its older shapes), for a record's `error_msg`: `code: text`, bounded. */
export function problemText(message: Incoming): string {
  const { description, explain } = message.body as { description?: { code?: unknown; en?: unknown } | string; explain?: unknown };
  if (typeof description === 'string') return description.slice(0, 1000);
  const parts = [message.body['problem-code'] ?? description?.code, description?.en ?? explain].filter((part) => typeof part === 'string');
  return parts.join(': ').slice(0, 1000) || 'The peer reported a problem';
}

/** The JSON object of the one attachment that a message of such a protocol has. @throws AppError `message-invalid`, also where there are more */
export function onlyAttached(message: Pick<Incoming, 'attachments'>, field: string, what: string): JsonObject {
  const fields = Object.keys(message.attachments);
  if ((message.attachments[field]?.length ?? 0) > 1 || fields.some((one) => one !== field))
    throw new AppError('message-invalid', `more is attached than one ${what}`);
  return attachedObject(message.attachments[field]?.[0], what);
}
