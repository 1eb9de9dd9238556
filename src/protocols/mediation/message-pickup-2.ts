import { randomUUID } from 'node:crypto';
import type { Attachment } from '../../didcomm/attachments.ts';
import { didKeyToVerkey } from '../../didcomm/encoding.ts';
import type { Effects } from '../../kernel/effects.ts';
import { defineProtocol, type Incoming, type StepContext } from '../../kernel/protocol.ts';
import { compact } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import { envelopesOf, MAX_BATCH, MAX_BATCH_BYTES } from '../../mediation/batch.ts';
import type { QueuedMessage } from '../../ports/store.ts';
import { connection } from '../../records/connection.ts';

const URIS = ['https://didcomm.org/messagepickup/2.0'];

const RecipientKey = Type.Optional(Type.Union([Type.String({ maxLength: 300 }), Type.Null()]));

/** RFC 0685. A message leaves the mailbox when its owner has acknowledged it: without that it is delivered again. Messages of this protocol are themselves not queued. */
export const messagePickup2 = defineProtocol({
  name: 'messagepickup-2',
  uris: URIS,
  roles: ['mediator', 'recipient'],
  binds: connection,
  stateless: true,
  messages: {
    'status-request': {
      schema: Type.Object({ recipient_key: RecipientKey }),
      from: '*',
      repeatable: true,
      mail: (message) => ({ limit: 0, recipient: keyOf(message) }),
      step: (ctx, message) => ({ send: [status(ctx, message, ctx.mail?.status.messages ?? 0)] }),
    },
    'delivery-request': {
      schema: Type.Object({ limit: Type.Integer({ minimum: 1 }), recipient_key: RecipientKey }),
      from: '*',
      repeatable: true,
      mail: (message) => ({
        limit: Math.min(Number(message.body.limit) || 1, MAX_BATCH),
        maxBytes: MAX_BATCH_BYTES,
        recipient: keyOf(message),
      }),
      step(ctx, message) {
        const mail = ctx.mail?.messages ?? [];
        // messages in flight are not sent once more
        if (mail.length === 0) return { send: [status(ctx, message, 0)] };
        const body = compact({ recipient_key: message.body.recipient_key as string | undefined });
        return {
          send: [{ type: 'delivery', body, attachments: { '': attached(mail) }, transient: true }],
          inFlight: mail.map(({ id }) => id),
        };
      },
    },
    'messages-received': {
      schema: Type.Object({ message_id_list: Type.Array(Type.String({ maxLength: 200 }), { maxItems: 1000 }) }),
      from: '*',
      repeatable: true,
      confirms: receivedIds,
      mail: (message, mode) => (mode === 'live' ? undefined : { limit: 1, without: receivedIds(message) }),
      step(ctx, message): Effects {
        const ids = receivedIds(message);
        // in live mode what is left is on its way, and nobody asks how much that is
        if (ctx.channel?.mode === 'live') return { acknowledged: ids };
        // some of them may have gone before, so that what is left is no difference
        const left = ctx.mail?.messages.length ? Math.max(1, ctx.mail.status.messages - ids.length) : 0;
        return { acknowledged: ids, send: [status(ctx, message, left)] };
      },
    },
    'live-delivery-change': {
      schema: Type.Object({ live_delivery: Type.Boolean() }),
      from: '*',
      mail: () => ({ limit: 0 }),
      step(ctx, message): Effects {
        const live = message.body.live_delivery === true;
        if (live && !ctx.channel?.socket)
          return { problem: { code: 'e.m.live-mode-not-supported', text: 'Connection does not support Live Delivery' } };
        return {
          session: live ? 'live' : 'route',
          send: [status(ctx, message, ctx.mail?.status.messages ?? 0, live)],
        };
      },
    },
    status: {
      schema: Type.Object({ message_count: Type.Integer({ minimum: 0 }) }),
      from: '*',
      repeatable: true,
      step: (_ctx, message) => {
        const count = Number(message.body.message_count);
        return count > 0 && message.body.live_delivery !== true
          ? { send: [{ type: 'delivery-request', body: { limit: Math.min(count, MAX_BATCH) }, transient: true, returnRoute: true }] }
          : {};
      },
    },
    delivery: {
      schema: Type.Object({}),
      from: '*',
      repeatable: true,
      carries: (message) => envelopesOf(message.attachments['']),
      step: (_ctx, message) => ({
        send: [
          {
            type: 'messages-received',
            body: { message_id_list: (message.attachments[''] ?? []).flatMap(({ id }) => (id ? [id] : [])) },
            transient: true,
            returnRoute: true,
          },
        ],
      }),
    },
  },
});

/** A peer's queued messages as a message to it, in JSON text: the envelopes are JSON already and go in as they are. */
export function deliveryOf(mail: readonly QueuedMessage[]): string {
  const items = mail.map(
    ({ id, body, received }) =>
      `{"@id":${JSON.stringify(id)},"lastmod_time":"${new Date(received).toISOString()}","data":{"json":${body}}}`,
  );
  return `{"@type":"${URIS[0]}/delivery","@id":"${randomUUID()}","~attach":[${items.join(',')}]}`;
}

const attached = (mail: readonly QueuedMessage[]): Attachment[] =>
  mail.map(({ id, body, received }) => ({
    id,
    lastmodTime: new Date(received).toISOString(),
    data: { json: JSON.parse(body) },
  }));

function receivedIds(message: Incoming): string[] {
  const list: unknown = message.body.message_id_list;
  return Array.isArray(list) ? [...new Set(list.filter((id) => typeof id === 'string'))].slice(0, 1000) : [];
}

function keyOf({ body }: Incoming): string | undefined {
  const key = body.recipient_key;
  if (typeof key !== 'string') return undefined;
  // a key that is none has no mail
  return key.startsWith('did:key:') ? (didKeyToVerkey(key) ?? key) : key;
}

/** A client that may have lost live mode asks for its status; only a socket can be in live mode. */
const isLive = ({ channel }: StepContext): boolean | undefined => (channel?.socket === undefined ? undefined : channel.mode === 'live');

function status(
  ctx: StepContext,
  message: Incoming,
  count: number,
  live: boolean | undefined = isLive(ctx),
): NonNullable<Effects['send']>[number] {
  const { bytes, oldest, newest } = ctx.mail?.status ?? {};
  const there = count > 0;
  const time = (ms: number | undefined): string | undefined => (there && ms !== undefined ? new Date(ms).toISOString() : undefined);
  return {
    type: 'status',
    transient: true,
    body: compact({
      recipient_key: message.body.recipient_key as string | undefined,
      message_count: count,
      longest_waited_seconds: there && oldest !== undefined ? Math.max(0, Math.floor((ctx.now - oldest) / 1000)) : undefined,
      newest_received_time: time(newest),
      oldest_received_time: time(oldest),
      total_bytes: there ? bytes : 0,
      live_delivery: live,
    }),
  };
}
