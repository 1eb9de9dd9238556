import Type from 'typebox';
import { composeMessage } from '../kernel/message.ts';
import { defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import { compact } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';
import { readyConnection } from '../records/connection.ts';
import { type DiscoveryValue, discovery2 } from '../records/discovery.ts';

const Text = Type.String({ maxLength: 1000 });

interface Query {
  readonly 'feature-type': string;
  readonly match: string;
}

/** RFC 0557, version 2.0. What is disclosed of protocols follows from the registry; there are no goal codes and no governance frameworks. */
export const discoverFeatures2 = defineProtocol<DiscoveryValue>({
  name: 'discover-features-2',
  uris: ['https://didcomm.org/discover-features/2.0'],
  roles: ['requester', 'responder'],
  binds: discovery2,
  messages: {
    queries: {
      schema: Type.Object({ queries: Type.Array(Type.Object({ 'feature-type': Text, match: Text }), { maxItems: 100 }) }),
      from: '*',
      step: (ctx, message) => ({
        send: [{ type: 'disclosures', body: disclosed(ctx, message.body.queries as unknown as Query[]) }],
      }),
    },
    disclosures: {
      schema: Type.Object({ disclosures: Type.Array(Type.Object({ 'feature-type': Text, id: Text }), { maxItems: 1000 }) }),
      from: [NEW, 'query-sent', 'disclose-received'],
      about: (_message, id) => (id ? { category: discovery2.category, tag: 'connection_id', equals: id } : undefined),
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
    queries: {
      route: 'GET /discover-features-2.0/queries',
      tag: 'discover-features v2.0',
      summary: 'Query supported features',
      query: Type.Object({
        query_protocol: Type.Optional(Text),
        query_goal_code: Type.Optional(Text),
        connection_id: Type.Optional(Type.String()),
      }),
      from: [NEW, 'query-sent', 'disclose-received'],
      connection: 'connection_id',
      about: ({ query }) =>
        query.connection_id ? { category: discovery2.category, tag: 'connection_id', equals: query.connection_id } : undefined,
      pending: ['query-sent'],
      patience: 5000,
      step(ctx, { query }) {
        const id = ctx.newId();
        const queries = [
          { 'feature-type': 'protocol', match: query.query_protocol ?? '*' },
          { 'feature-type': 'goal-code', match: query.query_goal_code ?? '*' },
        ];
        const message = composeMessage(discoverFeatures2, { type: 'queries', id, body: { queries } });
        if (!query.connection_id) {
          const own = composeMessage(discoverFeatures2, { type: 'disclosures', id: ctx.newId(), body: disclosed(ctx, queries) });
          return { answer: compact({ trace: false, queries_msg: message, disclosures: own }) };
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

/** Each protocol once, however many of the queries match it. */
function disclosed(ctx: StepContext, queries: readonly Query[]): JsonObject {
  const found = new Map<string, JsonObject>();
  for (const query of queries) {
    if (query['feature-type'] !== 'protocol') continue;
    for (const { uri, roles } of ctx.features(query.match)) found.set(uri, compact({ 'feature-type': 'protocol', id: uri, roles }));
  }
  return { disclosures: [...found.values()] };
}
