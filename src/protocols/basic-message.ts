import type { Change } from '../kernel/effects.ts';
import { changed, command, defineProtocol, type StepContext } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import { type BasicMessageValue, storedMessage } from '../records/basic-message.ts';
import { connection } from '../records/connection.ts';

/** RFC 0095. */
export const basicMessage = defineProtocol({
  name: 'basic-message',
  uris: ['https://didcomm.org/basicmessage/1.0'],
  roles: ['sender', 'receiver'],
  binds: connection,
  stateless: true,
  messages: {
    message: {
      schema: Type.Object({ content: Type.String(), sent_time: Type.Optional(Type.String()) }),
      from: '*',
      step: (ctx, message) => ({
        emit: [
          {
            topic: 'basicmessages',
            payload: {
              connection_id: ctx.connection?.id ?? null,
              message_id: message.id,
              content: message.body.content ?? '',
              state: 'received',
              sent_time: message.body.sent_time ?? null,
            },
          },
        ],
        others: kept(ctx, 'received', {
          content: String(message.body.content),
          sent_time: message.body.sent_time as string | undefined,
          thread_id: message.id,
        }),
        send: ctx.settings.autoRespondMessages
          ? [{ type: 'message', body: { sent_time: sentTime(ctx.now), content: `${ctx.settings.label} received your message` } }]
          : [],
      }),
    },
  },
  commands: {
    'send-message': command({
      route: 'POST /connections/{conn_id}/send-message',
      tag: 'basicmessage',
      summary: 'Send a basic message to a connection',
      body: Type.Object({ content: Type.String() }),
      from: ['response', 'active'],
      step(ctx, { body }) {
        const content = { sent_time: sentTime(ctx.now), content: body.content };
        const id = ctx.settings.storeMessages ? ctx.newId() : undefined;
        return {
          send: [{ type: 'message', ...(id === undefined ? {} : { id }), body: content }],
          others: id === undefined ? [] : kept(ctx, 'sent', { ...content, thread_id: id }),
          answer: {},
        };
      },
    }),
  },
});

/** The record of a message, where the wallet keeps them. */
const kept = ({ settings, connection }: StepContext, state: 'sent' | 'received', patch: BasicMessageValue): readonly Change[] =>
  settings.storeMessages && connection
    ? [changed({ def: storedMessage, connection: connection.id, states: [state], patch, silent: true })]
    : [];

/** RFC 0095 wants ISO 8601 with a space or T; ACA-Py writes a space. */
const sentTime = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
