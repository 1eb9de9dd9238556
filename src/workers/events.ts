import { createHmac } from 'node:crypto';
import { asAppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { EventPayload } from '../kernel/jobs.ts';
import type { ClaimedJob } from '../ports/store.ts';
import type { Outbound } from '../ports/transport.ts';
import { backoff, type JobOutcome } from './runner.ts';

const CAP_MS = 60_000;
/** About a day at one try a minute. */
const MAX_ATTEMPTS = 1500;

/**
 * Delivers webhooks from the event row: ACA-Py's URL, headers and body; the event's id and an HMAC-SHA256 of the body (keyed by the webhook's API key) on top, so
 * that a controller can drop repetitions and check the sender.
 */
export function createEvents(
  kernel: Kernel,
  outbound: Outbound,
  write: (payload: unknown) => string,
  baseTenant: string,
): (job: ClaimedJob) => Promise<JobOutcome> {
  return async (job) => {
    const { event: id, target: targetId } = job.payload as unknown as EventPayload;
    const { webhooks } = await kernel.profiles.of(job.tenant);
    const target = webhooks.find((known) => known.id === targetId);
    // a webhook that the operator took out of the configuration gets nothing more
    if (!target) return { state: 'done' };
    const [event] = await kernel.db.store.events(job.tenant, { ids: [id] });
    if (!event) return { state: 'done' };
    const body = write(event.value.payload);
    const headers: Record<string, string> = { 'content-type': 'application/json', 'x-event-id': id };
    if (target.key) {
      headers['x-api-key'] = target.key;
      headers['x-event-signature'] = `sha256=${createHmac('sha256', target.key).update(`${id}.${body}`).digest('hex')}`;
    }
    if (job.tenant !== baseTenant) headers['x-wallet-id'] = job.tenant;
    let text: string;
    try {
      const { status } = await outbound.notify(`${target.url}/topic/${event.topic}/`, headers, body);
      if (status >= 200 && status < 300) {
        kernel.count('webhooks_delivered');
        return { state: 'done' };
      }
      text = `The webhook answered ${status}`;
    } catch (thrown) {
      text = asAppError(thrown).message;
    }
    kernel.count('webhooks_failed');
    if (job.attempts + 1 >= MAX_ATTEMPTS) return { state: 'dead', error: text };
    return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: text };
  };
}
