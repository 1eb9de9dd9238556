import { AppError, asAppError } from '../errors.ts';
import type { ReceivedMessage } from '../kernel/received.ts';
import type { JsonObject } from '../ports/json.ts';
import { MAX_BATCH } from './batch.ts';
import { IDLE_POLL_MS, isV2, type Link, messageFor, PING, type PickupContext, POLL_MS, pause, reportUp, V1, V2 } from './pickup-link.ts';

/** Questions and answers of one round: with a mediator that always has one more, the next round goes on. */
const MAX_ROUND = 1000;

/** Polls over HTTP until the link ends. @throws AppError where the mediator does not answer */
export async function pollOverHttp(context: PickupContext, link: Link, endpoint: string): Promise<void> {
  for (let wait = POLL_MS; !link.leaving.signal.aborted; ) {
    const came = await pollOnce(context, link, endpoint);
    link.failures = 0;
    reportUp(context.kernel.log, link, link.polledBy === 'ping' ? 'pings by HTTP' : `asked by message pickup ${link.polledBy}`, endpoint);
    wait = came ? POLL_MS : Math.min(wait * 1.5, IDLE_POLL_MS);
    await pause(link, wait);
  }
}

/** Fetches all waiting mail. @returns whether there was some. @throws AppError where the mediator does not answer */
export async function pollOnce(context: PickupContext, link: Link, endpoint: string): Promise<boolean> {
  return await context.inTurn(async () => {
    if (link.polledBy === undefined && context.mode === 'implicit') link.polledBy = 'ping';
    if (link.polledBy === undefined) return await findOut(context, link, endpoint);
    if (link.polledBy === '2.0') return (await ask(context, link, endpoint, V2, 'delivery-request', { limit: MAX_BATCH })).carried;
    if (link.polledBy === '1.0') return (await ask(context, link, endpoint, V1, 'batch-pickup', { batch_size: MAX_BATCH })).carried;
    // one message comes with each answer
    for (let i = 0; i < MAX_ROUND; i++) {
      const { answers } = await ask(context, link, endpoint, PING, 'ping', { response_requested: false });
      if (answers === 0) return i > 0;
    }
    return true;
  });
}

async function findOut(context: PickupContext, link: Link, endpoint: string): Promise<boolean> {
  const second = await ask(context, link, endpoint, V2, 'status-request', {});
  if (second.received.some((one) => isV2(one))) {
    link.polledBy = '2.0';
    return second.carried;
  }
  const first = await ask(context, link, endpoint, V1, 'batch-pickup', { batch_size: MAX_BATCH });
  link.polledBy = first.received.some(({ type }) => /messagepickup\/1\.\d+\/batch$/.test(type)) ? '1.0' : 'ping';
  return first.carried || first.answers > 0;
}

/** The outcome of a request: the mediator's own messages, whether it handed mail over, and how many responses had a body. */
interface Asked {
  readonly received: ReceivedMessage[];
  readonly carried: boolean;
  readonly answers: number;
}

/** Posts a message, handles the response, and posts the answer to that, until there is none. */
async function ask(context: PickupContext, link: Link, endpoint: string, uri: string, type: string, body: JsonObject): Promise<Asked> {
  const { kernel, engine, outbound, admission } = context;
  const { tenant, connection } = link;
  const received: ReceivedMessage[] = [];
  let answers = 0;
  let next: string | undefined = link.unanswered ?? (await messageFor(kernel, link, uri, type, body)).envelope;
  let sent: (() => Promise<void>) | undefined;
  for (let i = 0; next !== undefined && i < MAX_ROUND; i++) {
    link.unanswered = uri === V1 ? next : undefined;
    const result = await outbound.deliver(endpoint, next);
    if (result.status >= 400 && result.status < 500 && result.status !== 429) link.unanswered = undefined;
    if (result.status < 200 || result.status >= 300) throw new AppError('delivery-failed', `The mediator answered ${result.status}`);
    await sent?.();
    next = undefined;
    if (!result.body?.length) {
      link.unanswered = undefined;
      break;
    }
    answers++;
    try {
      const { body: bytes } = result;
      const channel = { canReply: true, outbound: { tenant, connection } };
      const outcome = await admission.admit(new URL(endpoint).hostname, () => engine.receive(bytes, channel));
      if (!outcome) throw new AppError('busy', 'The mediator sends faster than it may');
      kernel.count('mail_received', tenant);
      if (outcome.message?.tenant === tenant && outcome.message.connection === connection) received.push(outcome.message);
      next = outcome.reply;
      sent = outcome.sent;
      link.unanswered = undefined;
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.row.retry) throw error;
      link.unanswered = undefined;
      kernel.log.error({ err: error.cause ?? error }, 'a message from the mediator could not be handled');
    }
  }
  return { received, answers, carried: received.some((one) => /\/(?:delivery|batch)$/.test(one.type)) };
}
