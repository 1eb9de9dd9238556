import { asAppError } from '../errors.ts';
import type { Calls } from '../kernel/calls.ts';
import { now } from '../kernel/clock.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Effects } from '../kernel/effects.ts';
import type { Engine } from '../kernel/engine.ts';
import { backoff, type JobOutcome } from '../kernel/job-outcome.ts';
import { commandJob, payloadOf } from '../kernel/jobs.ts';
import type { StepContext } from '../kernel/protocol.ts';
import type { CloudAgent } from '../kernel/settings.ts';
import { standingOf } from '../mediation/keylist.ts';
import type { Lines } from '../mediation/mediator-lines.ts';
import type { ClaimedJob } from '../ports/store.ts';
import type { Admission, DeliveryResult, Outbound } from '../ports/transport.ts';
import type { Breaker } from './breaker.ts';

const CAP_MS = 10 * 60_000;
/** A peer that is away for days is not given up; one that answers "wrong" a few times is. */
const MAX_ATTEMPTS = 400;
const MAX_REFUSALS = 6;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Delivers sealed mail. A failure becomes the `error_msg` of the records that it belongs to (RFC 0023 has no message for it). */
export function createDelivery(
  kernel: Kernel,
  engine: Engine,
  calls: Calls,
  outbound: Outbound,
  lines: Lines,
  admission: Admission,
  breaker: Breaker,
): (job: ClaimedJob, signal: AbortSignal) => Promise<JobOutcome> {
  const notes = new Map<string, Promise<void>>();
  /** Writes to the records that a message belongs to what became of it: to its connection, and where it has none, or there is no more hope, to its exchange. */
  async function report(job: ClaimedJob, text: string | undefined, final: boolean): Promise<void> {
    const { connection, record, onFailure } = payloadOf('deliver', job);
    if (final && onFailure && text !== undefined) {
      const command = { ...onFailure, input: { ...onFailure.input, reason: text } };
      await kernel.db.store.commit(job.tenant, { jobs: [commandJob(job.tenant, command)] });
    }
    if (connection !== undefined)
      await note(job.tenant, { category: 'connection', id: connection }, text, ({ record: known }) => ({
        patch: { error_msg: text },
        states: final && ['request', 'response'].includes(known?.state ?? '') ? ['error'] : undefined,
      }));
    if (record && (final || connection === undefined || text === undefined))
      await note(job.tenant, record, text, ({ record: known }) =>
        text === undefined && !known?.value.undelivered
          ? {}
          : { patch: { error_msg: text, undelivered: text === undefined ? undefined : true } },
      );
  }

  async function note(
    tenant: string,
    record: { readonly category: string; readonly id: string },
    text: string | undefined,
    change: (ctx: StepContext) => NonNullable<Effects['record']>,
  ): Promise<void> {
    const [[row] = []] = await kernel.db.store.load(tenant, [record]);
    const protocol = row && kernel.registry.owner(record.category, row.value);
    if (!row || !protocol || row.value.error_msg === text) return;
    const step = (ctx: StepContext): Effects => ({ record: change(ctx) });
    await inTurn(tenant, () => engine.transition({ tenant, protocol, record, from: '*', origin: {}, otherwise: 'ignore', step }));
  }

  /** One write after the other for each tenant, each in its own turn of the event loop: peers that are given up by the hundred hold up nobody else. */
  function inTurn(tenant: string, write: () => Promise<unknown>): Promise<void> {
    const before = notes.get(tenant) ?? Promise.resolve();
    const next = before
      .then(() => nextTurn())
      .then(write)
      .then(() => {});
    const settled = next.catch(() => {});
    notes.set(tenant, settled);
    void settled.then(() => {
      if (notes.get(tenant) === settled) notes.delete(tenant);
    });
    return next;
  }

  /**
   * The answer of a peer is not part of the delivery: an answer that breaks something does not have ours sent again. Where it meets passing trouble ours is sent
   * again, so that the answer comes again too.
   * @throws AppError of passing trouble
   */
  async function receiveAnswer(body: Uint8Array, endpoint: string): Promise<void> {
    try {
      // it counts among all that its address sends: who answers each message with another one sets no pace of its own
      const done = await admission.admit(new URL(endpoint).hostname, () => engine.receive(body, { canReply: false }));
      if (!done)
        kernel.log.warn({ endpoint: new URL(endpoint).origin }, 'an answer was dropped: its sender answers faster than it may send');
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.row.retry) throw error;
      kernel.log.error({ err: error.cause ?? error }, 'an answer could not be handled');
    }
  }

  /** The cloud agent that mail goes out through: not that to the agency itself, and none whose answers come on the same connection. */
  async function agencyOf(job: ClaimedJob): Promise<CloudAgent | undefined> {
    const { connection, pulls } = payloadOf('deliver', job);
    const { cloudAgent, relayThroughAgency } = (await kernel.profiles.of(job.tenant)).settings;
    if (!cloudAgent || !relayThroughAgency || pulls) return undefined;
    return cloudAgent.tenant === job.tenant && cloudAgent.connection === connection ? undefined : cloudAgent;
  }

  /** Hands mail to the agency, which sends it on, or gives it back. */
  async function relay(job: ClaimedJob, cloudAgent: CloudAgent): Promise<JobOutcome> {
    const { envelope, endpoint, mediaType, connection, record } = payloadOf('deliver', job);
    const body = { id: job.id, endpoint, media_type: mediaType, envelope, connection, record };
    try {
      await calls.call(cloudAgent.tenant, 'agency', 'relay', { record: cloudAgent.id, input: { body, query: {} }, key: job.id });
      return { state: 'done' };
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.row.retry) return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: error.message };
      await report(job, error.message, true);
      return { state: 'dead', error: error.message };
    }
  }

  return async (job, signal) => {
    const { envelope, endpoint, connection, mediaType, blockedBy, pulls, until, returned } = payloadOf('deliver', job);
    if (returned !== undefined) {
      await report(job, `The agency could not deliver the message: ${returned}`, true);
      return { state: 'dead', error: returned };
    }
    const lastTry = (): boolean => job.attempts + 1 >= MAX_ATTEMPTS || (until !== undefined && now() >= until);
    // a peer without a connection and an address could only have it as the answer to its own request
    if (!endpoint) return { state: 'retry', at: Number.MAX_SAFE_INTEGER, error: 'no endpoint' };
    const known = blockedBy && (await standingOf(kernel.db, blockedBy));
    // the keylist job looks after that; until then this one holds its lane, so that nothing overtakes it
    if (known === 'unknown' && job.attempts + 1 < MAX_ATTEMPTS)
      return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: 'the mediator does not know the key yet' };
    if (known && known !== 'known') {
      const text = `The mediator does not take the key: ${known === 'unknown' ? 'it has not answered' : known.refused}`;
      await report(job, text, true);
      return { state: 'dead', error: text };
    }
    const cloudAgent = await agencyOf(job);
    if (cloudAgent) return await relay(job, cloudAgent);
    const target = `${job.tenant} ${URL.parse(endpoint)?.origin ?? endpoint}`;
    const wait = await breaker.turn(target);
    if (wait !== undefined) return { state: 'later', at: now() + Math.round(wait) };
    const end = breaker.begin(target);
    try {
      const own = pulls && connection;
      const send = (): Promise<DeliveryResult> => outbound.deliver(endpoint, envelope, mediaType, signal, own);
      const result = await (own ? lines.deliver(job.tenant, own, envelope, send) : send());
      end(result.status < 500 && result.status !== 429 ? true : undefined);
      if (result.status >= 200 && result.status < 300) {
        kernel.count('messages_delivered');
        if (job.attempts > 0) await report(job, undefined, false);
        // a peer may answer on the same connection (RFC 0092)
        if (result.body && result.body.length > 0) await receiveAnswer(result.body, endpoint);
        return { state: 'done' };
      }
      const text = `The endpoint answered ${result.status}`;
      const refused = result.status >= 400 && result.status < 500 && result.status !== 408 && result.status !== 429;
      const final = refused ? job.attempts + 1 >= MAX_REFUSALS : lastTry();
      await report(job, text, final);
      return final ? { state: 'dead', error: text } : { state: 'retry', at: backoff(job.attempts, CAP_MS), error: text };
    } catch (thrown) {
      const error = asAppError(thrown);
      end(error.code === 'delivery-failed' ? false : undefined);
      if (error.code === 'egress-refused') {
        await report(job, error.message, true);
        return { state: 'dead', error: error.message };
      }
      kernel.count('deliveries_failed');
      const final = lastTry();
      await report(job, error.message, final);
      return final ? { state: 'dead', error: error.message } : { state: 'retry', at: backoff(job.attempts, CAP_MS), error: error.message };
    }
  };
}
