import { command, defineProtocol } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import type { Json } from '../ports/json.ts';
import { connection } from '../records/connection.ts';

/** RFC 0048. A ping completes a connection whose last handshake message was lost: whoever pings has our response. */
export const trustPing = defineProtocol({
  name: 'trust-ping',
  uris: ['https://didcomm.org/trust_ping/1.0'],
  roles: ['sender', 'receiver'],
  binds: connection,
  stateless: true,
  messages: {
    ping: {
      schema: Type.Object({ response_requested: Type.Optional(Type.Boolean()), comment: Type.Optional(Type.String()) }),
      from: '*',
      step(ctx, message) {
        const answer = message.body.response_requested !== false;
        return {
          record: ctx.record?.state === 'response' ? { states: ['active'] } : undefined,
          send: answer ? [{ type: 'ping_response' }] : [],
          // RFC 0211: whoever pings on a socket, and asks for answers on it, has its mail there
          session: 'implicit' as const,
          emit: ctx.settings.monitorPing ? [pingEvent(ctx.connection?.id, 'received', answer, message.thid, message.body.comment)] : [],
        };
      },
    },
    ping_response: {
      schema: Type.Object({ comment: Type.Optional(Type.String()) }),
      from: '*',
      step: (ctx, message) => ({
        emit: ctx.settings.monitorPing
          ? [pingEvent(ctx.connection?.id, 'response_received', false, message.thid, message.body.comment)]
          : [],
      }),
    },
  },
  commands: {
    'send-ping': command({
      route: 'POST /connections/{conn_id}/send-ping',
      tag: 'trustping',
      summary: 'Send a trust ping to a connection',
      body: Type.Object({ comment: Type.Optional(Type.Union([Type.String(), Type.Null()])) }),
      from: ['response', 'active'],
      step(ctx, { body }) {
        const id = ctx.newId();
        return {
          send: [{ type: 'ping', id, body: { response_requested: true, comment: body.comment ?? undefined } }],
          emit: ctx.settings.monitorPing ? [pingEvent(ctx.connection?.id, 'sent', true, id)] : [],
          answer: { thread_id: id },
        };
      },
    }),
  },
});

const pingEvent = (connection: string | undefined, state: string, responded: boolean, thread: string, comment?: Json) => ({
  topic: 'ping',
  payload: { comment: comment ?? null, connection_id: connection ?? null, responded, state, thread_id: thread },
});
