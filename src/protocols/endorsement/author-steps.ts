import { AppError } from '../../errors.ts';
import type { Effects, LedgerOrder, MessageParts } from '../../kernel/effects.ts';
import { AUTHOR, type Returned } from '../../kernel/endorsement.ts';
import { jsonOf } from '../../kernel/json.ts';
import type { CommandInput, Incoming, StepContext } from '../../kernel/protocol.ts';
import type { EndorsedGroup, EndorsementRequest } from '../../ports/endorsement.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type EndorsedOrder, type TransactionValue, transaction } from '../../records/transaction.ts';
import { requireEndorser, requireJob } from './roles.ts';

export const SIGNATURE_REQUEST = 'https://didcomm.org/sign-attachment/1.0/signature-request';
export const SIGNATURE_RESPONSE = 'https://didcomm.org/sign-attachment/1.0/signature-response';
const FORMAT = 'dif/endorse-transaction/request@v1.0';
/** ACA-Py's goals of the two sides (RFC 0519). */
const GOALS = { endorse: 'aries.transaction.endorse', write: 'aries.transaction.ledger.write', did: 'aries.transaction.ledger.write_did' };
/** How often a request is repeated without the controller. */
const MAX_AGAIN = 3;

type Ctx = StepContext<TransactionValue>;
const ownValue = (ctx: Ctx): TransactionValue => ctx.record!.value as TransactionValue;

/** The parts of a message on the thread of a transaction, which has the id of the author's record. */
export const onThread = (thread: string, type: string, body: JsonObject): MessageParts => ({ type, thid: thread, body });

/** A record of an endorsement as its controller sees it after a step. */
const viewAfter = (ctx: Ctx, id: string, state: string, value: TransactionValue): JsonObject =>
  transaction.view({ id, version: 1, state, created: ctx.record?.created ?? ctx.now, updated: ctx.now, value });

const attached = (id: string, request: EndorsementRequest): Pick<TransactionValue, 'messages_attach' | 'formats'> => ({
  messages_attach: [{ '@id': id, 'mime-type': 'application/json', data: { json: JSON.stringify(request) } }],
  formats: [{ attach_id: id, format: FORMAT }],
});

/** A write that another agent is to pay for: its record, and the answer of the call that ordered it, in ACA-Py's words. */
export function begin(ctx: Ctx, { body }: CommandInput): Effects {
  const {
    id,
    order,
    request,
    subject = {},
  } = body as { id: string; order: EndorsedOrder; request: EndorsementRequest; subject?: JsonObject };
  const value: TransactionValue = {
    connection_id: ctx.connection!.id,
    thread: id,
    signature_request: [],
    signature_response: [],
    timing: {},
    ...attached(ctx.newId(), request),
    meta_data: { context: { job_id: (subject.job_id as string | undefined) ?? id }, processing: {} },
    order,
  };
  const state = 'transaction_created';
  const txn = viewAfter(ctx, id, state, value);
  return {
    record: { id, role: 'author', connection: ctx.connection!.id, states: [state], patch: value },
    next: ctx.settings.endorsement.autoRequest ? [{ command: 'request' }] : [],
    answer: subject.registration_metadata
      ? { ...subject, registration_metadata: { ...(subject.registration_metadata as JsonObject), txn } }
      : { txn },
  };
}

/** The request of the author, by its controller or by itself. */
function requesting(ctx: Ctx, timing: JsonObject): Effects {
  const value = ownValue(ctx);
  const signature_request = {
    context: 'did:sov',
    method: 'add-signature',
    signature_type: 'default',
    signer_goal_code: GOALS.endorse,
    author_goal_code: value.order!.write.kind.startsWith('did-') ? GOALS.did : GOALS.write,
  };
  return {
    record: {
      states: ['request_sent'],
      patch: { _type: SIGNATURE_REQUEST, signature_request: [signature_request], timing, error_msg: undefined },
    },
    send: [
      onThread(ctx.record!.id, 'request', {
        transaction_id: ctx.record!.id,
        signature_request,
        timing,
        messages_attach: value.messages_attach[0]!,
        endorser_write_txn: false,
      }),
    ],
  };
}

export function createRequest(ctx: Ctx, { body }: CommandInput<{ expires_time: string }>): Effects {
  requireJob(ctx, AUTHOR, 'Only a TRANSACTION_AUTHOR can create a request');
  requireEndorser(ctx);
  requireState(ctx, ['transaction_created'], 'Cannot create a request for transaction record in state');
  return requesting(ctx, { expires_time: body.expires_time });
}

/** The role for the author's flag: the endorser sets its own role itself. */
export const autoRequest = (ctx: Ctx): Effects => requesting(ctx, ownValue(ctx).timing);

export function cancel(ctx: Ctx): Effects {
  requireJob(ctx, AUTHOR, 'Only a TRANSACTION_AUTHOR can cancel a transaction');
  requireState(ctx, ['request_sent', 'transaction_resent'], 'Cannot cancel transaction as transaction is in state');
  return cancelled(ctx, {});
}

const cancelled = (ctx: Ctx, patch: Partial<TransactionValue>): Effects => {
  const state = 'transaction_cancelled';
  return { record: { states: [state], patch }, send: [onThread(ctx.record!.id, 'cancel', { state, thread_id: ctx.record!.id })] };
};

export function resend(ctx: Ctx): Effects {
  requireJob(ctx, AUTHOR, 'Only a TRANSACTION_AUTHOR can resend a transaction');
  requireState(ctx, ['transaction_refused', 'transaction_cancelled'], 'Cannot resend transaction as transaction is in state');
  return {
    record: { states: ['transaction_resent'], patch: { error_msg: undefined } },
    send: [onThread(ctx.record!.id, 'resend', { state: 'transaction_resent_received', thread_id: ctx.record!.id })],
  };
}

/** @throws AppError ACA-Py's refusal of a state, by default 400 */
export function requireState(ctx: Ctx, states: readonly string[], text: string, code: 'bad-request' | 'forbidden' = 'bad-request'): void {
  if (!states.includes(ctx.record!.state ?? '')) throw new AppError(code, `${text}: ${ctx.record!.state}`);
}

/** The endorser's group. It is compared with the write before anything is signed, when it is to be written. */
export function endorsed(ctx: Ctx, { body }: Incoming): Effects {
  const { signature_response, endorser_did, thread_id } = body as {
    signature_response: JsonObject;
    endorser_did: string;
    thread_id: string;
  };
  const group = groupIn((signature_response.signature as JsonObject | undefined)?.[endorser_did]);
  return {
    record: {
      states: ['transaction_endorsed'],
      patch: { _type: SIGNATURE_RESPONSE, signature_response: [signature_response], thread_id, group, error_msg: undefined },
    },
    next: ctx.settings.endorsement.autoWrite ? [{ command: 'write' }] : [],
  };
}

/** @throws AppError `message-invalid` for a signature that is no JSON text */
function groupIn(text: unknown): EndorsedGroup {
  try {
    const group: unknown = JSON.parse(String(text));
    if (typeof group === 'object' && group !== null) return group as EndorsedGroup;
  } catch {}
  throw new AppError('message-invalid', 'The endorsement holds no group under the DID of its endorser');
}

/** The endorser's refusal. Where the ledger has moved on meanwhile, the write is planned anew by itself. */
export function refused(ctx: Ctx, { body }: Incoming): Effects {
  const { signature_response, thread_id } = body as { signature_response: JsonObject; thread_id?: string };
  const value = ownValue(ctx);
  const comment = typeof signature_response.comment === 'string' ? signature_response.comment.slice(0, 500) : '';
  const again = value.again ?? 0;
  const stale = /^(stale|amount)\b/.test(comment) && ctx.settings.endorsement.autoRequest && again < MAX_AGAIN;
  return {
    record: {
      states: ['transaction_refused'],
      patch: {
        _type: SIGNATURE_RESPONSE,
        signature_response: [signature_response],
        thread_id,
        meta_data: withRefusal(value, comment),
        error_msg: comment || undefined,
      },
    },
    ledger: stale ? [orderOf(ctx)] : [],
  };
}

/** A record's metadata with the reason of a refusal; without a reason what was there goes. */
export function withRefusal({ meta_data }: TransactionValue, refusal: string | undefined): JsonObject {
  const { refusal: _former, ...context } = (meta_data.context ?? {}) as JsonObject;
  return { ...meta_data, context: { ...context, ...(refusal && { refusal }) } };
}

/** The write, for the record that ordered it. */
function orderOf(ctx: Ctx, group?: EndorsedGroup): LedgerOrder {
  const { protocol, category, id, result, verkey, write } = ownValue(ctx).order!;
  return {
    ...{ write, verkey, result },
    on: { protocol, category, id },
    endorsement: { transaction: ctx.record!.id, ...(group && { group: jsonOf(group) }) },
  };
}

export function write(ctx: Ctx): Effects {
  requireState(ctx, ['transaction_endorsed'], ' The transaction cannot be written to the ledger as it is in state', 'forbidden');
  const { group, writing, order } = ownValue(ctx);
  if (!order || !group) throw new AppError('forbidden', 'Only a TRANSACTION_AUTHOR can write a transaction');
  return writing ? {} : { record: { patch: { writing: true, error_msg: undefined } }, ledger: [orderOf(ctx, group)] };
}

/** The write has come to its end: the endorser has an ack, or, where the ledger rejected it for good, knows that nothing follows. */
export function settle(ctx: Ctx, { body }: CommandInput): Effects {
  const { ledger_response, error } = body as { ledger_response?: JsonObject; error?: string };
  const id = ctx.record!.id;
  if (error !== undefined) return cancelled(ctx, { writing: undefined, group: undefined, error_msg: error });
  return {
    record: {
      states: ['transaction_acked'],
      patch: { writing: undefined, error_msg: undefined, meta_data: withRefusal(ownValue(ctx), undefined) },
    },
    send: [onThread(id, 'ack', { status: 'OK', thread_id: id, ledger_response: ledger_response ?? {} })],
  };
}

/** A group that has not landed, or was one of several: it is asked for anew, with the write as the ledger needs it now. */
export function returned(ctx: Ctx, { body }: CommandInput): Effects {
  const { because, text, request } = body as { because: Returned; text: string; request?: EndorsementRequest };
  const value = ownValue(ctx);
  const ended = { writing: undefined, group: undefined, error_msg: text };
  if (because === 'invalid' || !request)
    return { record: { states: ['transaction_refused'], patch: { ...ended, meta_data: withRefusal(value, text) } } };
  const again = because === 'piece' ? 0 : (value.again ?? 0) + 1;
  const { autoRequest: auto } = ctx.settings.endorsement;
  return {
    record: { states: ['transaction_created'], patch: { ...ended, again, ...attached(ctx.newId(), request) } },
    next: auto && again <= MAX_AGAIN ? [{ command: 'request' }] : [],
  };
}
