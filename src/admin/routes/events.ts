import { AppError } from '../../errors.ts';
import { shownUrl } from '../../kernel/addresses.ts';
import { isoTime } from '../../kernel/record.ts';
import { LIMIT, OFFSET } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { AdminRoute } from '../route.ts';

/** This agent's own: what happened can be read again, and what could not be delivered can be sent again. */
export const eventRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /events',
    tag: 'events',
    summary: 'Read events again, in their order after a known one',
    query: Type.Object({ after: Type.Optional(Type.String()), limit: LIMIT }),
    async handle(admin, { tenant, query }) {
      const rows = await admin.kernel.db.store.events(tenant, { after: query.after, limit: Number(query.limit ?? 100) });
      const results = rows.map(
        (event): JsonObject => ({
          event_id: event.id,
          topic: event.topic,
          time: event.time,
          payload: event.value.payload ?? null,
          ...(event.damaged ? { damaged: true } : {}),
        }),
      );
      return { results, next: rows.at(-1)?.id ?? query.after ?? null };
    },
  },
  {
    route: 'POST /webhooks/secret',
    tag: 'events',
    summary: "Show the secret that signs this wallet's webhooks, or make another one from now on",
    body: Type.Object({ renew: Type.Optional(Type.Boolean()) }),
    async handle(admin, { tenant, body }) {
      const { webhookSecrets } = admin.kernel;
      if (body.renew && tenant === admin.base && admin.ownWebhookSecret)
        throw new AppError('bad-request', 'The secret is that of --webhook-secret: start the agent with another one');
      return { secret: await (body.renew ? webhookSecrets.renew(tenant) : webhookSecrets.of(tenant)) };
    },
  },
  {
    route: 'GET /webhooks/deliveries',
    tag: 'events',
    summary: 'The last tries for each webhook of this wallet, by this process since its start',
    async handle(admin, { tenant }) {
      const { webhooks } = await admin.kernel.profiles.of(tenant);
      const results = webhooks
        // the instance's own webhooks are the operator's
        .filter(({ owner = tenant }) => owner === tenant)
        .map(({ id, url }): JsonObject => {
          const tries = admin.kernel.deliveries.of(tenant, id).map(({ time, event, topic, attempt, status, error }) => ({
            time: isoTime(time),
            event_id: event,
            topic,
            attempt,
            status: status ?? null,
            ...(error === undefined ? {} : { error }),
          }));
          return { webhook_id: id, url: shownUrl(url), tries };
        });
      return { results, total: results.length };
    },
  },
  {
    route: 'GET /dead-letters',
    tag: 'events',
    summary: 'List deliveries that were given up',
    query: Type.Object({
      limit: LIMIT,
      offset: OFFSET,
    }),
    async handle(admin, { tenant, query }) {
      const page = await admin.kernel.db.jobs.dead(tenant, { limit: Number(query.limit ?? 100), offset: Number(query.offset ?? 0) });
      // the payload holds sealed mail or an event's id; both are of no use to a reader
      const results = page.rows.map(
        (job): JsonObject => ({
          id: job.id,
          kind: job.kind,
          attempts: job.attempts,
          died_at: new Date(job.died).toISOString(),
          error: job.error,
          connection_id: job.payload.connection ?? null,
          event_id: job.payload.event ?? null,
        }),
      );
      return { results, total: page.total };
    },
  },
  {
    route: 'POST /dead-letters/replay',
    tag: 'events',
    summary: 'Put given-up deliveries back into their queues',
    body: Type.Object({ ids: Type.Array(Type.String(), { minItems: 1, maxItems: 1000 }) }),
    handle: async (admin, { tenant, body }) => ({ replayed: await admin.kernel.db.jobs.revive(tenant, body.ids as string[]) }),
  },
];
