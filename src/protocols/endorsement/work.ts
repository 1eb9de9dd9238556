import { AppError } from '../../errors.ts';
import { now } from '../../kernel/clock.ts';
import { checkedAs } from '../../kernel/json.ts';
import type { WorkOps } from '../../kernel/work.ts';
import type { RefusalReason } from '../../ports/endorsement.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { TailsReference } from '../../ports/tails.ts';
import { isWrite } from './writes.ts';

/** Longest text of a request: what one group holds, with room for JSON and Base64. */
const MAX_REQUEST = 2_000_000;

const refusal = (reason: RefusalReason, detail: string): AppError => new AppError('endorsement-refused', `${reason}: ${detail}`);

/** The request in an attachment, which is JSON text in ACA-Py's messages. @throws AppError `endorsement-refused` */
function requestIn(attachment: JsonObject): JsonObject {
  const json = (attachment.data as JsonObject | undefined)?.json;
  const text = typeof json === 'string' ? json : JSON.stringify(json ?? null);
  if (text.length > MAX_REQUEST) throw refusal('object', 'the request is too large');
  try {
    const request: unknown = JSON.parse(text);
    if (typeof request === 'object' && request !== null && !Array.isArray(request)) return request as JsonObject;
  } catch {}
  throw refusal('network', 'the attachment is no request of this ledger');
}

/** Expiry of a request, in ms; undefined where it has none. */
function expiryOf(timing: JsonObject): number | undefined {
  const time = typeof timing.expires_time === 'string' ? Date.parse(timing.expires_time) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** The work of an endorser. */
export const endorsementWork: WorkOps = {
  /** Checks a request, plans its write and signs the payment. @throws AppError `endorsement-refused` with the reason, `ledger-waiting` */
  async 'endorsement/group'(
    ctx,
    input: { attachment: JsonObject; timing: JsonObject; operationId: string; rounds: number; about: JsonObject },
  ) {
    const { attachment, timing, operationId, rounds, about } = input;
    const expiry = expiryOf(timing);
    if (expiry !== undefined && expiry <= now()) throw refusal('expired', 'the time of the request is over');
    const request = requestIn(attachment);
    const write = (request.write ?? {}) as JsonObject;
    if (request.format === undefined) throw refusal('network', 'the attachment is no request of this ledger');
    const known = isWrite(write);
    if (known === undefined) throw refusal('method', 'no such write is endorsed');
    if (!known) throw refusal('object', 'the write is not one of its kind');
    const endorsed = await ctx.ledger().endorsement.endorse(request, { operationId, rounds });
    if (endorsed.state === 'refused') throw refusal(endorsed.reason, endorsed.detail);
    if (endorsed.state === 'wait')
      throw new AppError('ledger-waiting', `the sponsor account has ${endorsed.held} microALGO and this write needs ${endorsed.needed}`);
    // holders of the registry's credentials need its tails for as long as the registry is in use
    if (write.kind === 'registry-put')
      await ctx.tails(checkedAs<TailsReference>(write.object)).catch((error: unknown) => {
        throw refusal('object', `the tails file cannot be had: ${(error as Error).message}`);
      });
    return { endorsed, about };
  },
};
