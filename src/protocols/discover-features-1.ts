import Type from 'typebox';
import { composeMessage } from '../kernel/message.ts';
import { defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import { compact } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';
import { readyConnection } from '../records/connection.ts';
import { type DiscoveryValue, discovery1 } from '../records/discovery.ts';

const Text = Type.String({ maxLength: 1000 });

/** RFC 0031, version 1.0. What is disclosed follows from the registry. */
export const discoverFeatures1 = defineProtocol<DiscoveryValue>({
  name: 'discover-features-1',
  uris: ['https://didcomm.org/discover-features/1.0'],
  roles: ['requester', 'responder'],
  binds: discovery1,
  messages: {
    query: {
      schema: Type.Object({ query: Text, comment: Type.Optional(Type.Union([Type.String(), Type.Null()])) }),
      from: '*',
      step: (ctx, message) => ({ send: [{ type: 'disclose', body: disclosed(ctx, message.body.query as string) }] }),
    },
    disclose: {
      schema: Type.Object({
        protocols: Type.Array(Type.Object({ pid: Text, roles: Type.Optional(Type.Union([Type.Array(Text), Type.Null()])) }), {
          maxItems: 1000,
        }),
      }),
      from: [NEW, 'query-sent', 'disclose-received'],
      about: (_message, id) => (id ? { category: discovery1.category, tag: 'connection_id', equals: id } : undefined),
      step: (ctx, message) => ({
        record: {
          states: ['disclose-received'],
          connection: ctx.connection?.id,
          patch: { thread_id: message.thid, connection_id: ctx.connection?.id, disclosed: message.raw },
        },
      }),
    },
  },
  commands: {
    query: {
      route: 'GET /discover-features/query',
      tag: 'discover-features',
      summary: 'Query supported features',
      query: Type.Object({ query: Type.Optional(Text), comment: Type.Optional(Text), connection_id: Type.Optional(Type.String()) }),
      from: [NEW, 'query-sent', 'disclose-received'],
      connection: 'connection_id',
      about: ({ query }) =>
        query.connection_id ? { category: discovery1.category, tag: 'connection_id', equals: query.connection_id } : undefined,
      pending: ['query-sent'],
      patience: 5000,
      step(ctx, { query }) {
        const id = ctx.newId();
        const body = { query: query.query ?? '*', comment: query.comment ?? '*' };
        const message = composeMessage(discoverFeatures1, { type: 'query', id, body });
        if (!query.connection_id) {
          const own = composeMessage(discoverFeatures1, { type: 'disclose', id: ctx.newId(), body: disclosed(ctx, body.query) });
          return { answer: compact({ state: 'query-sent', trace: false, query_msg: message, disclose: own }) };
        }
        return {
          record: {
            states: ['query-sent'],
            connection: readyConnection(ctx.connection),
            patch: { thread_id: id, connection_id: query.connection_id, query: message, disclosed: undefined },
          },
          send: [{ message }],
        };
      },
    },
  },
});

const disclosed = (ctx: StepContext, match: string): JsonObject => ({
  protocols: ctx.features(match).map(({ uri, roles }) => compact({ pid: uri, roles })),
});
