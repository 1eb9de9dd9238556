import type { Effects } from '../../kernel/effects.ts';
import { changed, defineProtocol, type Incoming, type StepContext } from '../../kernel/protocol.ts';
import { compact } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import { MAX_BATCH, MAX_BATCH_BYTES } from '../../mediation/batch.ts';
import type { Json, JsonObject } from '../../ports/json.ts';
import { connection } from '../../records/connection.ts';
import { type PickupValue, pickup } from '../../records/pickup.ts';

/**
 * RFC 0212. It has no acknowledgement: the next request confirms the answer to the last one, unless it comes on another socket, for then the answer
 * may have gone with the first. A request that was there before is no next one, whoever sends it again: it gets its own answer, as far as that still lies there.
 */
export const messagePickup1 = defineProtocol({
  name: 'messagepickup-1',
  uris: ['https://didcomm.org/messagepickup/1.0'],
  roles: ['mediator', 'recipient'],
  binds: connection,
  stateless: true,
  messages: {
    'status-request': {
      schema: Type.Object({}),
      from: '*',
      repeatable: true,
      mail: () => ({ limit: 0 }),
      step(ctx): Effects {
        const { messages = 0, bytes = 0, newest } = ctx.mail?.status ?? {};
        const body = compact({
          message_count: messages,
          last_added_time: newest === undefined ? undefined : new Date(newest).toISOString(),
          total_size: bytes,
        });
        return { send: [{ type: 'status', body, transient: true }] };
      },
    },
    'batch-pickup': {
      schema: Type.Object({ batch_size: Type.Integer({ minimum: 1 }) }),
      from: '*',
      load: (_message, by): Record<string, { category: string; id: string }> =>
        by === undefined ? {} : { last: { category: pickup.category, id: by } },
      mail: (message) => ({ limit: 2 * sizeOf(message), maxBytes: 2 * MAX_BATCH_BYTES }),
      step: batch,
      again(ctx, message) {
        const { request, ids } = (ctx.loaded.last?.value ?? { ids: [] }) as Partial<PickupValue> & Pick<PickupValue, 'ids'>;
        const given = new Set(request === message.id ? ids : []);
        return [batchOf((ctx.mail?.messages ?? []).filter(({ id }) => given.has(id)))];
      },
    },
    'list-pickup': {
      schema: Type.Object({ message_ids: Type.Array(Type.String({ maxLength: 200 }), { maxItems: 1000 }) }),
      from: '*',
      repeatable: true,
      mail: () => ({ limit: 1000, maxBytes: 4 * MAX_BATCH_BYTES }),
      step(ctx, message): Effects {
        const wanted = new Set(message.body.message_ids as string[]);
        const mail = (ctx.mail?.messages ?? []).filter(({ id }) => wanted.has(id)).slice(0, MAX_BATCH);
        return { send: [batchOf(mail)], inFlight: mail.map(({ id }) => id) };
      },
    },
    // it only opens the way for what is kept
    noop: { schema: Type.Object({}), from: '*', step: () => ({}) },
    status: { schema: Type.Object({}), from: '*', repeatable: true, step: () => ({}) },
    batch: {
      schema: Type.Object({}),
      from: '*',
      repeatable: true,
      carries: (message) => envelopesOf(message.raw['messages~attach']),
      // only as the answer to a request of ours: asked for because of a copy, the next one would confirm what may not have come
      step: (ctx, message): Effects =>
        ctx.channel && envelopesOf(message.raw['messages~attach']).length > 0
          ? { send: [{ type: 'batch-pickup', body: { batch_size: MAX_BATCH }, transient: true, returnRoute: true }] }
          : {},
    },
  },
});

/** The envelopes of a batch, as JSON text: objects, or text as the examples of the RFC have it. */
function envelopesOf(items: Json | undefined): string[] {
  if (!Array.isArray(items)) return [];
  return items.slice(0, MAX_BATCH).flatMap((item) => {
    const message = typeof item === 'object' && item !== null && !Array.isArray(item) ? item.message : undefined;
    if (typeof message === 'string') return [message];
    return typeof message === 'object' && message !== null ? [JSON.stringify(message)] : [];
  });
}

const sizeOf = ({ body }: Incoming): number => Math.min(Number(body.batch_size) || 1, MAX_BATCH);

function batch(ctx: StepContext, message: Incoming): Effects {
  const { last } = ctx.loaded;
  const before = pickup.of(last)?.value;
  // a batch that is not the reply to the request cannot be confirmed by the next request
  if (!ctx.channel) return { send: [batchOf((ctx.mail?.messages ?? []).slice(0, sizeOf(message)))] };
  const { socket } = ctx.channel;
  const has = before?.socket === socket ? (before?.ids ?? []) : [];
  const fetched = new Set(has);
  const mail = (ctx.mail?.messages ?? []).filter(({ id }) => !fetched.has(id)).slice(0, sizeOf(message));
  const ids = mail.map(({ id }) => id);
  const same = before !== undefined && before.ids.length === 0 && ids.length === 0;
  const patch: PickupValue = { request: message.id, ids, socket };
  const { id } = ctx.connection!;
  const change = changed(last ? { def: pickup, base: pickup.of(last), patch } : { def: pickup, id, connection: id, patch });
  return { others: same ? [] : [change], acknowledged: has, inFlight: ids, send: [batchOf(mail)] };
}

/** Not the attachments of RFC 0017, though named like them: as RFC 0212 has it, and with the id under the name that Credo reads. */
function batchOf(mail: readonly { readonly id: string; readonly body: string }[]): NonNullable<Effects['send']>[number] {
  const items = mail.map(({ id, body }): JsonObject => ({ '@id': id, id, message: JSON.parse(body) }));
  return { type: 'batch', body: { 'messages~attach': items }, transient: true };
}
