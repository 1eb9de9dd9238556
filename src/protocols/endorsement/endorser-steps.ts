import { AppError } from '../../errors.ts';
import type { Effects, WorkOrder } from '../../kernel/effects.ts';
import { ENDORSER } from '../../kernel/endorsement.ts';
import { hashId } from '../../kernel/ids.ts';
import { type CommandInput, changed, type Incoming, type StepContext } from '../../kernel/protocol.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import type { Endorsed, EndorsedGroup } from '../../ports/endorsement.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Lookup } from '../../ports/store.ts';
import { did } from '../../records/did.ts';
import { type EndorsementSpentValue, endorsementSpent, type TransactionValue, transaction } from '../../records/transaction.ts';
import { onThread, requireState, SIGNATURE_REQUEST, SIGNATURE_RESPONSE, withRefusal } from './author-steps.ts';
import { jobsOf, requireJob } from './roles.ts';

/** Requests of one connection that wait for an answer at most. */
const MAX_OPEN = 100;
const MICRO = 1_000_000;

type Ctx = StepContext<TransactionValue>;
/** The DID that endorses: by the query of a call, or by what the flag has handed on. */
type Endorse = CommandInput<{ readonly endorser_did?: string } | undefined>;

/** The lookups of a connection's requests and quota. */
export const spentOf = (connection: string | undefined): Readonly<Record<string, Lookup>> =>
  connection === undefined ? {} : { spent: { category: endorsementSpent.category, id: connection } };
export const openOf = (connection: string | undefined) => ({
  open: { category: transaction.category, query: { connection, state: 'request_received', limit: 1 } },
});

const dayOf = (now: number): string => new Date(now).toISOString().slice(0, 10);

/** The sums of a connection today, with this cost; `over` is the reason why that is too much. */
function quotaOf(ctx: Ctx, cost: number): { today: EndorsementSpentValue; over?: string } {
  const { writesPerDay, algoPerDay } = ctx.settings.endorsement;
  const row = ctx.loaded.spent && endorsementSpent.of(ctx.loaded.spent).value;
  const day = dayOf(ctx.now);
  const { writes, microalgo } = row?.day === day ? row : { writes: 0, microalgo: 0 };
  const today = { day, writes: writes + 1, microalgo: microalgo + cost };
  if (writesPerDay > 0 && today.writes > writesPerDay)
    return { today, over: `quota: ${writesPerDay} writes a day are endorsed for a connection` };
  if (algoPerDay > 0 && today.microalgo > algoPerDay * MICRO)
    return { today, over: `quota: writes of ${algoPerDay} ALGO a day are endorsed for a connection` };
  return { today };
}

const refusalOf = (value: TransactionValue, comment: string): JsonObject => ({
  message_id: (value.messages_attach[0]?.['@id'] as string | undefined) ?? '',
  context: 'did:sov',
  method: 'add-signature',
  signer_goal_code: 'aries.transaction.refuse',
  ...(comment && { comment }),
});

/** A refusal, and its reason for the author and the controllers of both sides. */
function refusing(ctx: Ctx, value: TransactionValue, id: string, comment: string, states: readonly string[] = []): Effects {
  const state = 'transaction_refused';
  const signature_response = refusalOf(value, comment);
  const patch = { ...value, _type: SIGNATURE_RESPONSE, signature_response: [signature_response], meta_data: withRefusal(value, comment) };
  return {
    record: { id, role: 'endorser', connection: ctx.connection!.id, states: [...states, state], patch },
    send: [
      onThread(value.thread, 'refuse', { transaction_id: value.thread, thread_id: id, signature_response, state, endorser_did: null }),
    ],
  };
}

/** Whether this wallet answers by itself. */
const answersAlone = (ctx: Ctx): boolean => {
  const { autoEndorse, pays } = ctx.settings.endorsement;
  return autoEndorse && pays && jobsOf(ctx).transaction_my_job === ENDORSER;
};

/** A request takes its place in the record, or is refused where its connection has had enough; who answers by itself looks at it at once. */
function arrived(ctx: Ctx, state: string, value: TransactionValue): Effects {
  // of two copies of one request one makes the record
  const id = ctx.record?.id ?? hashId(`transaction ${ctx.connection!.id} ${value.thread}`);
  const over = (ctx.pages.open?.total ?? 0) >= MAX_OPEN ? `quota: ${MAX_OPEN} requests wait already` : quotaOf(ctx, 0).over;
  if (over) return refusing(ctx, value, id, over, [state]);
  const { endorseWith } = ctx.settings.endorsement;
  return {
    record: { id, role: 'endorser', connection: ctx.connection!.id, states: [state], patch: value },
    next: answersAlone(ctx)
      ? [{ command: 'endorse', record: { category: transaction.category, id }, input: endorseWith ? { endorser_did: endorseWith } : {} }]
      : [],
  };
}

/** An author's request, or the same transaction again: its group expired, or the ledger has moved on. */
export function requested(ctx: Ctx, { body }: Incoming): Effects {
  const { transaction_id, signature_request, timing, messages_attach } = body as Record<string, JsonObject> & { transaction_id: string };
  const former = ctx.record?.value;
  return arrived(ctx, 'request_received', {
    _type: SIGNATURE_REQUEST,
    connection_id: ctx.connection!.id,
    thread: transaction_id,
    thread_id: transaction_id,
    signature_request: [signature_request!],
    signature_response: [],
    timing: timing ?? {},
    formats: [{ attach_id: String(messages_attach!['@id'] ?? ''), format: 'dif/endorse-transaction/request@v1.0' }],
    messages_attach: [messages_attach!],
    meta_data: former ? withRefusal(former as TransactionValue, undefined) : { context: {}, processing: {} },
    group: undefined,
  });
}

export const resent = (ctx: Ctx): Effects =>
  arrived(ctx, 'transaction_resent_received', {
    ...(ctx.record!.value as TransactionValue),
    signature_response: [],
    meta_data: withRefusal(ctx.record!.value as TransactionValue, undefined),
  });

/** The DID under which the endorser signs: the one that is named, the public one, or the connection's own. @throws AppError `bad-request` */
function endorserDid(ctx: Ctx, named: string | undefined): string {
  if (named === undefined) {
    const publicDid = ctx.loaded.public && did.of(ctx.loaded.public).value.did;
    return publicDid ?? String(ctx.connection!.value.my_did);
  }
  if (!ctx.loaded.named) throw new AppError('bad-request', `DID ${named.slice(0, 200)} is not in this wallet`);
  return named;
}

export const endorsing = ({ body, query }: Endorse) => {
  const named = query.endorser_did ?? body?.endorser_did;
  return {
    public: { category: did.category, tag: 'posture', equals: 'public' },
    ...(named !== undefined && { named: { category: did.category, tag: 'did', equals: named } }),
  };
};

/** Orders the group of a request: it is planned, checked and signed as work. */
export function endorse(ctx: Ctx, { body, query }: Endorse): Effects {
  requireJob(ctx, ENDORSER, 'Only a TRANSACTION_ENDORSER can endorse a transaction');
  requireState(ctx, ['request_received', 'transaction_resent_received'], 'Cannot endorse transaction for transaction record in state');
  if (!ctx.settings.endorsement.pays) throw new AppError('forbidden', 'Only the base wallet endorses: its sponsor pays');
  const value = ctx.record!.value as TransactionValue;
  const endorser_did = endorserDid(ctx, query.endorser_did ?? body?.endorser_did);
  const connection = ctx.connection!.id;
  const work: WorkOrder = {
    op: 'endorsement/group',
    input: {
      attachment: value.messages_attach[0] ?? {},
      timing: value.timing,
      operationId: `${connection} ${value.thread}`,
      rounds: ctx.settings.endorsement.validity,
      about: { endorser_did, connection },
    },
    result: 'built',
  };
  return { work: [work] };
}

/** The work's result for a request. */
export interface Built {
  readonly endorsed: Endorsed;
  readonly about: { readonly endorser_did: string; readonly connection: string };
}

/** The endorser's group goes out, and counts for its connection; or the refusal does. */
export function built(ctx: Ctx, { endorsed, about: { endorser_did } }: Built): Effects {
  const value = ctx.record!.value as TransactionValue;
  const id = ctx.record!.id;
  if (endorsed.state !== 'endorsed') throw new AppError('internal', 'a group that was not made');
  const { today, over } = quotaOf(ctx, endorsed.cost);
  if (over) return refusing(ctx, value, id, over);
  const base = ctx.loaded.spent && endorsementSpent.of(ctx.loaded.spent);
  return { ...endorsement(value, id, endorser_did, endorsed.group), others: [spentChange(ctx, base, today)] };
}

const spentChange = (ctx: Ctx, base: LoadedRecord<EndorsementSpentValue> | undefined, today: EndorsementSpentValue) =>
  changed<EndorsementSpentValue>({
    def: endorsementSpent,
    base,
    id: base ? undefined : ctx.connection!.id,
    connection: ctx.connection!.id,
    patch: today,
  });

function endorsement(value: TransactionValue, id: string, endorser_did: string, group: EndorsedGroup): Effects {
  const state = 'transaction_endorsed';
  const signature_response: JsonObject = {
    message_id: (value.messages_attach[0]?.['@id'] as string | undefined) ?? '',
    context: 'did:sov',
    method: 'add-signature',
    signer_goal_code: 'aries.transaction.endorse',
    signature_type: 'default',
    signature: { [endorser_did]: JSON.stringify(group) },
  };
  const body = { transaction_id: value.thread, thread_id: id, signature_response, state, endorser_did, ledger_response: {} };
  return {
    record: { states: [state], patch: { _type: SIGNATURE_RESPONSE, signature_response: [signature_response], error_msg: undefined } },
    send: [onThread(value.thread, 'endorse', body)],
  };
}

/** A refusal by the controller. */
export function refuse(ctx: Ctx): Effects {
  requireJob(ctx, ENDORSER, 'Only a TRANSACTION_ENDORSER can refuse a transaction');
  requireState(ctx, ['request_received', 'transaction_resent_received'], 'Cannot refuse transaction for transaction record in state');
  return refusing(ctx, ctx.record!.value as TransactionValue, ctx.record!.id, '');
}

/** A request that cannot be endorsed is refused with the reason; anything else leaves it as it is, with the reason in the record. */
export function failed(ctx: Ctx, { result, code, text }: { result: string; code: string; text: string }): Effects {
  if (result === 'built' && code === 'endorsement-refused')
    return refusing(ctx, ctx.record!.value as TransactionValue, ctx.record!.id, text);
  return { record: { patch: { error_msg: text } } };
}
