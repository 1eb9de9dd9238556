import { asAppError } from '../errors.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import type { DeliverPayload } from '../kernel/jobs.ts';
import type { ClaimedJob } from '../ports/store.ts';
import type { Outbound } from '../ports/transport.ts';
import { standingOf } from './keylist.ts';
import { backoff, type JobOutcome } from './runner.ts';

const CAP_MS = 10 * 60_000;
/** A peer that is away for days is not given up; one that answers "wrong" a few times is. */
const MAX_ATTEMPTS = 400;
const MAX_REFUSALS = 6;

/** Delivers sealed mail. The connection's record tells its controller when that does not work (RFC 0023 has no message for it). */
export function createDelivery(kernel: Kernel, engine: Engine, outbound: Outbound): (job: ClaimedJob) => Promise<JobOutcome> {
  async function tell(job: ClaimedJob, connection: string | undefined, text: string | undefined, final: boolean): Promise<void> {
    if (connection === undefined) return;
    const [rows] = await kernel.db.store.load(job.tenant, [{ category: 'connection', id: connection }]);
    const row = rows?.[0];
    const protocol = row && kernel.registry.owner('connection', row.value);
    if (!row || !protocol || row.value.error_msg === text) return;
    await engine.transition({
      tenant: job.tenant,
      protocol,
      record: { category: 'connection', id: connection },
      from: '*',
      origin: {},
      otherwise: 'ignore',
      step: (ctx) => ({
        record: {
          patch: { error_msg: text },
          states: final && ['request', 'response'].includes(ctx.record?.state ?? '') ? ['error'] : undefined,
        },
      }),
    });
  }

  /** What a peer answers is not part of the delivery: a message that breaks something must not have ours sent again. */
  async function receiveAnswer(body: Uint8Array): Promise<void> {
    try {
      await engine.receive(body, { canReply: false });
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.row.retry) throw error;
      kernel.log.error({ err: error.cause ?? error }, 'an answer could not be handled');
    }
  }

  return async (job) => {
    const { envelope, endpoint, connection, mediaType, awaits } = job.payload as unknown as DeliverPayload;
    // a peer without a connection and an address could only have it as the answer to its own request
    if (!endpoint) return { state: 'retry', at: Number.MAX_SAFE_INTEGER, error: 'no endpoint' };
    const known = awaits && (await standingOf(kernel.db, awaits));
    // the job that tells the mediator looks after that; until then this one holds its lane, so that nothing overtakes it
    if (known === 'unknown' && job.attempts + 1 < MAX_ATTEMPTS)
      return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: 'the mediator does not know the key yet' };
    if (known && known !== 'known') {
      const text = `The mediator does not take the key: ${known === 'unknown' ? 'it has not answered' : known.refused}`;
      await tell(job, connection, text, true);
      return { state: 'dead', error: text };
    }
    try {
      const result = await outbound.deliver(endpoint, envelope, mediaType);
      if (result.status >= 200 && result.status < 300) {
        kernel.count('messages_delivered');
        if (job.attempts > 0) await tell(job, connection, undefined, false);
        // a peer may answer on the same connection (RFC 0092)
        if (result.body && result.body.length > 0) await receiveAnswer(result.body);
        return { state: 'done' };
      }
      const text = `The endpoint answered ${result.status}`;
      const refused = result.status >= 400 && result.status < 500 && result.status !== 408 && result.status !== 429;
      const final = refused ? job.attempts + 1 >= MAX_REFUSALS : job.attempts + 1 >= MAX_ATTEMPTS;
      await tell(job, connection, text, final);
      return final ? { state: 'dead', error: text } : { state: 'retry', at: backoff(job.attempts, CAP_MS), error: text };
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.code === 'egress-refused') {
        await tell(job, connection, error.message, true);
        return { state: 'dead', error: error.message };
      }
      kernel.count('deliveries_failed');
      const final = job.attempts + 1 >= MAX_ATTEMPTS;
      await tell(job, connection, error.message, final);
      return final ? { state: 'dead', error: error.message } : { state: 'retry', at: backoff(job.attempts, CAP_MS), error: error.message };
    }
  };
}
