import type { TSchema } from 'typebox';
import { composeMessage } from '../kernel/message.ts';
import { defineProtocol, NEW, type Protocol, type StepContext } from '../kernel/protocol.ts';
import { compact, type RecordDef } from '../kernel/record.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { readyConnection } from '../records/connection.ts';
import { type DiscoveryValue, discovery1, discovery2 } from '../records/discovery.ts';

const Text = Type.String({ maxLength: 1000 });

/** The members of one version of discover-features. */
interface Version {
  readonly name: string;
  readonly uri: string;
  readonly record: RecordDef<DiscoveryValue>;
  readonly route: string;
  readonly tag: string;
  /** Its two messages: their names and bodies. */
  readonly query: { readonly name: string; readonly schema: TSchema };
  readonly disclosure: { readonly name: string; readonly schema: TSchema };
  /** Members of the call's query, and the message's body that they make. */
  readonly asked: Readonly<Record<string, TSchema>>;
  bodyOf(query: Readonly<Record<string, string>>): JsonObject;
  disclosed(ctx: StepContext, body: Readonly<JsonObject>): JsonObject;
  /** The answer of a call without a connection: this agent's own features. */
  answer(query: JsonObject, disclosure: JsonObject): JsonObject;
}

/** The disclosed protocols follow from the registry. */
function discoveryProtocol({ name, uri, record, query, disclosure, ...version }: Version): Protocol<DiscoveryValue> {
  const uris = [uri];
  const about = (id: string | undefined) => (id ? { category: record.category, tag: 'connection_id', equals: id } : undefined);
  return defineProtocol<DiscoveryValue>({
    name,
    uris,
    roles: ['requester', 'responder'],
    binds: record,
    messages: {
      [query.name]: {
        schema: query.schema,
        from: '*',
        step: (ctx, message) => ({ send: [{ type: disclosure.name, body: version.disclosed(ctx, message.body) }] }),
      },
      [disclosure.name]: {
        schema: disclosure.schema,
        from: [NEW, 'query-sent', 'disclose-received'],
        about: (_message, id) => about(id),
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
      [query.name]: {
        route: version.route,
        tag: version.tag,
        summary: 'Query supported features',
        query: Type.Object({ ...version.asked, connection_id: Type.Optional(Type.String()) }),
        from: [NEW, 'query-sent', 'disclose-received'],
        connection: 'connection_id',
        about: (input) => about(input.query.connection_id),
        waitWhile: ['query-sent'],
        timeoutMs: 5000,
        step(ctx, { query: given }) {
          const id = ctx.newId();
          const body = version.bodyOf(given);
          const message = composeMessage({ uris }, { type: query.name, id, body });
          if (!given.connection_id) {
            const own = composeMessage({ uris }, { type: disclosure.name, id: ctx.newId(), body: version.disclosed(ctx, body) });
            return { answer: compact({ trace: false, ...version.answer(message, own) }) };
          }
          return {
            record: {
              states: ['query-sent'],
              connection: readyConnection(ctx.connection),
              patch: { thread_id: id, connection_id: given.connection_id, query: message, disclosed: undefined },
            },
            send: [{ message }],
          };
        },
      },
    },
  });
}

/** RFC 0031, version 1.0. */
export const discoverFeatures1 = discoveryProtocol({
  name: 'discover-features-1',
  uri: 'https://didcomm.org/discover-features/1.0',
  record: discovery1,
  route: 'GET /discover-features/query',
  tag: 'discover-features',
  query: {
    name: 'query',
    schema: Type.Object({ query: Text, comment: Type.Optional(Type.Union([Type.String(), Type.Null()])) }),
  },
  disclosure: {
    name: 'disclose',
    schema: Type.Object({
      protocols: Type.Array(Type.Object({ pid: Text, roles: Type.Optional(Type.Union([Type.Array(Text), Type.Null()])) }), {
        maxItems: 1000,
      }),
    }),
  },
  asked: { query: Type.Optional(Text), comment: Type.Optional(Text) },
  bodyOf: ({ query, comment }) => ({ query: query ?? '*', comment: comment ?? '*' }),
  disclosed: (ctx, { query }) => ({ protocols: ctx.features(query as string).map(({ uri, roles }) => compact({ pid: uri, roles })) }),
  answer: (query, disclosure) => ({ state: 'query-sent', query_msg: query, disclose: disclosure }),
});

/** RFC 0557, version 2.0. There are no goal codes and no governance frameworks. */
export const discoverFeatures2 = discoveryProtocol({
  name: 'discover-features-2',
  uri: 'https://didcomm.org/discover-features/2.0',
  record: discovery2,
  route: 'GET /discover-features-2.0/queries',
  tag: 'discover-features v2.0',
  query: {
    name: 'queries',
    schema: Type.Object({ queries: Type.Array(Type.Object({ 'feature-type': Text, match: Text }), { maxItems: 100 }) }),
  },
  disclosure: {
    name: 'disclosures',
    schema: Type.Object({ disclosures: Type.Array(Type.Object({ 'feature-type': Text, id: Text }), { maxItems: 1000 }) }),
  },
  asked: { query_protocol: Type.Optional(Text), query_goal_code: Type.Optional(Text) },
  bodyOf: ({ query_protocol, query_goal_code }) => ({
    queries: [
      { 'feature-type': 'protocol', match: query_protocol ?? '*' },
      { 'feature-type': 'goal-code', match: query_goal_code ?? '*' },
    ],
  }),
  /** Each protocol once, however many of the queries match it. */
  disclosed(ctx, { queries }) {
    const found = new Map<string, JsonObject>();
    for (const query of queries as { 'feature-type': string; match: string }[]) {
      if (query['feature-type'] !== 'protocol') continue;
      for (const { uri, roles } of ctx.features(query.match)) found.set(uri, compact({ 'feature-type': 'protocol', id: uri, roles }));
    }
    return { disclosures: [...found.values()] };
  },
  answer: (queries, disclosures) => ({ queries_msg: queries, disclosures }),
});
