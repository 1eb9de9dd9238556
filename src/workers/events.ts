import { asAppError } from '../errors.ts';
import type { Kernel, WebhookTarget } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import { backoff, type JobOutcome } from '../kernel/job-outcome.ts';
import { payloadOf } from '../kernel/jobs.ts';
import { seldom } from '../kernel/seldom.ts';
import { signature } from '../kernel/webhook-secret.ts';
import type { JsonObject } from '../ports/json.ts';
import type { ClaimedJob, EventWrite } from '../ports/store.ts';
import type { Outbound } from '../ports/transport.ts';
import type { Breaker } from './breaker.ts';
import { sendEvent } from './event-messages.ts';
import { recentEvents } from './recent-events.ts';

const CAP_MS = 60_000;
/** About a day at one try a minute. */
const MAX_ATTEMPTS = 1500;

/** How often the log has a line for one webhook that fails. */
const LOG_MS = 60_000;

/**
 * Delivers webhooks from the event row: ACA-Py's URL, headers and body; the event's id and a signature with the time of the try on top, so that a controller can
 * drop repetitions, check the sender and refuse old ones. The secret is that of the URL's owner: the tenant's, or the instance's.
 */
export function createEvents(
  kernel: Kernel,
  engine: Engine,
  outbound: Outbound,
  write: (payload: unknown) => string,
  baseTenant: string,
  breaker: Breaker,
): (job: ClaimedJob, signal: AbortSignal) => Promise<JobOutcome> {
  const mayLog = seldom(LOG_MS);
  const recent = recentEvents(kernel.db.jobs);

  /** An event to a connection: kept for its peer by the commit of its message. One that is not granted events gets nothing, as a webhook that was taken out. */
  async function byMessage(
    job: ClaimedJob,
    connection: string,
    { owner = job.tenant, id }: WebhookTarget,
    event: EventWrite,
  ): Promise<JobOutcome> {
    const wallet = job.tenant === baseTenant ? undefined : job.tenant;
    try {
      const { topic, value } = event;
      const isHeard = await sendEvent(kernel, engine, owner, connection, {
        id: event.id,
        topic,
        payload: value.payload as JsonObject,
        wallet,
      });
      if (!isHeard && mayLog(`${job.tenant} ${id}`) !== undefined)
        kernel.log.warn(
          { tenant: job.tenant, connection },
          'an event has no receiver: the connection is not there, or is not granted events',
        );
      kernel.count(isHeard ? 'events_sent' : 'events_unheard');
      return { state: 'done' };
    } catch (thrown) {
      const { row, message: error } = asAppError(thrown);
      if (!row.retry || job.attempts + 1 >= MAX_ATTEMPTS) throw thrown;
      return { state: 'retry', at: backoff(job.attempts, CAP_MS), error };
    }
  }

  return async (job, signal) => {
    const { event: id, target: targetId } = payloadOf('event', job);
    const { webhooks } = await kernel.profiles.of(job.tenant);
    const target = webhooks.find((known) => known.id === targetId);
    // a webhook that the operator took out of the configuration gets nothing more
    if (!target) return { state: 'done' };
    const event = recent.take(job.tenant, id) ?? (await kernel.db.store.events(job.tenant, { ids: [id] }))[0];
    // one that cannot be read any more was reported by the store
    if (!event || ('damaged' in event && event.damaged)) return { state: 'done' };
    if (target.connection !== undefined) return await byMessage(job, target.connection, target, event);
    const body = write(event.value.payload);
    const headers: Record<string, string> = { 'content-type': 'application/json', 'x-event-id': id };
    if (target.key) headers['x-api-key'] = target.key;
    if (target.authorization) headers.authorization = target.authorization;
    const wallet = job.tenant === baseTenant ? '' : job.tenant;
    if (wallet) headers['x-wallet-id'] = wallet;
    const secret = await kernel.webhookSecrets.of(target.owner || job.tenant);
    const time = Math.floor(kernel.now() / 1000);
    headers['x-flexid-signature'] = signature(secret, { time, event: id, topic: event.topic, wallet, body });
    const end = breaker.begin(`${job.tenant} ${target.id}`);
    const tried = (outcome: { status?: number; error?: string }): void =>
      kernel.deliveries.note(job.tenant, target.id, {
        time: kernel.now(),
        event: id,
        topic: event.topic,
        attempt: job.attempts + 1,
        ...outcome,
      });
    let text: string;
    let answered: number | undefined;
    try {
      const { status } = await outbound.notify(`${target.url}/topic/${event.topic}/`, headers, body, signal);
      answered = status;
      end(status < 500 && status !== 429 ? true : undefined);
      if (status >= 200 && status < 300) {
        kernel.count('webhooks_delivered');
        tried({ status });
        return { state: 'done' };
      }
      text = `The webhook answered ${status}`;
    } catch (thrown) {
      text = asAppError(thrown).message;
      end(false);
    }
    kernel.count('webhooks_failed');
    tried({ status: answered, error: text });
    const kept = mayLog(`${job.tenant} ${target.id}`);
    // of its address the origin alone: a path may be as good as a key
    if (kept !== undefined)
      kernel.log.warn(
        {
          tenant: job.tenant,
          webhook: new URL(target.url).origin,
          topic: event.topic,
          attempts: job.attempts + 1,
          untold: kept,
          error: text,
        },
        'a webhook could not be delivered: it is tried again',
      );
    if (job.attempts + 1 >= MAX_ATTEMPTS) return { state: 'dead', error: text };
    return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: text };
  };
}
