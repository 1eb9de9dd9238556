import { AppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Commit, EventWrite, JobWrite, KeyOwner, QueuedMessageWrite, RecordWrite } from '../ports/store.ts';
import { isStoredValue } from '../ports/stored-value.ts';
import { type AuditedCall, auditRow } from './audit.ts';
import type { Kernel, Profile } from './context.ts';
import type { Change, Effects } from './effects.ts';
import { newId } from './ids.ts';
import {
  type AnswerRef,
  commandJob,
  type DeliverPayload,
  deliverJob,
  eventOf,
  type KeyRegistrationBarrier,
  keylistJob,
  ledgerJob,
  localMessageJob,
  workJob,
} from './jobs.ts';
import { checkedAs } from './json.ts';
import { problemPayload } from './message-format.ts';
import type { Protocol, StepContext } from './protocol.ts';
import { type LoadedRecord, type RecordDef, viewOf } from './record.ts';
import { formatOf, sealAll } from './seal.ts';

/** How long a message's dedup key is kept, unless its format has a replay window. */
const DEDUP_LIFE_MS = 7 * 24 * 3600_000;
const CALL_LIFE_MS = 24 * 3600_000;
/** A reply that goes out on the connection it came from is delivered again after this time, unless its transport confirms it. */
export const INLINE_GRACE_MS = 10_000;
/** Mail that waits for a mediator is looked at by itself after this time; the mediator's answer wakes it before. */
const BARRIER_MS = 10_000;
/** The member of a stored answer that shows a key: the call is answered when the mediator has confirmed the key. */
export const DEFERRED_ANSWER = '~deferred';

/** The origin of a transition, as far as its commit needs it. */
export interface Origin {
  readonly callId?: string;
  readonly answer?: AnswerRef;
  readonly job?: { readonly id: string; readonly lease: string };
  readonly dedupKey?: string;
  /** How long the dedup key is kept, in ms, where that is not the usual time. */
  readonly dedupLife?: number;
  /** Of a controller's call with an idempotency key: kept with its answer. */
  readonly callDedupKey?: string;
  /** Why the controller's call has failed for good; written for it to read. */
  readonly failure?: { readonly code: string; readonly text: string };
  /** The controller's call, for its row in the audit trail. */
  readonly audited?: AuditedCall;
  /** The id of a record that this message begins. */
  readonly recordId?: string;
  /** Rows of the worker that go with its job. */
  readonly deletes?: Commit['deletes'];
  /** Jobs after this one, whatever the effects of its step are. */
  readonly jobs?: readonly JobWrite[];
  /** The controller that waits is to see the record as it stands, though its call is not done. */
  readonly interim?: boolean;
  readonly thid?: string;
  /** The peer can take one reply on the connection it wrote on. */
  readonly returnRoute?: string;
  /** The same of a sender that has no connection. */
  readonly returnRouteUnconnected?: boolean;
}

export interface CommitPlan {
  readonly commit: Commit;
  readonly answer: JsonObject;
  readonly answerRef?: AnswerRef;
  /** Whether jobs were made that a waiting controller waits for. */
  readonly spawned: boolean;
  /** Its caller has no answer before a later commit, or a write of the store's check. */
  readonly isUnanswered?: boolean;
  /** The answer shows a key that a mediator has not confirmed: the call is answered after that, or never. */
  readonly deferredAnswer?: boolean;
  readonly reply?: InlineReply;
}

/** A reply that may go back on the connection it came from; what of the commit is done with once it arrived. */
export interface InlineReply {
  readonly envelope: string;
  readonly job?: Pick<JobWrite, 'id' | 'lane'>;
  readonly kept?: { readonly mailbox: string; readonly id: string };
}

/** A step with its surroundings, on its way to a commit. */
interface Plan {
  readonly kernel: Kernel;
  readonly profile: Profile;
  readonly protocol: Protocol;
  readonly ctx: StepContext;
  readonly effects: Effects;
  readonly origin: Origin;
}

/** Record changes of a commit with their events. */
interface Written {
  readonly records: RecordWrite[];
  readonly deletes: NonNullable<Commit['deletes']>[number][];
  readonly events: EventWrite[];
  readonly jobs: JobWrite[];
  /** Records as the commit leaves them. */
  readonly after: ReadonlyMap<string, { readonly def: RecordDef; readonly record: LoadedRecord }>;
  /** The step's own record. */
  readonly bound?: LoadedRecord;
  /** The connection, as the commit leaves it. */
  readonly peer?: LoadedRecord;
}

/** Outgoing mail of a commit, by the way that it takes. */
interface Posted {
  readonly jobs: JobWrite[];
  readonly kept: QueuedMessageWrite[];
  readonly reply?: InlineReply;
}

/** Turns a step's effects into one commit: records, events, sealed mail and jobs together. Nothing is written here. */
export async function planCommit(
  kernel: Kernel,
  profile: Profile,
  protocol: Protocol,
  ctx: StepContext,
  effects: Effects,
  origin: Origin,
): Promise<CommitPlan> {
  const plan: Plan = { kernel, profile, protocol, ctx, effects, origin };
  const written = write(plan);
  const { after, bound, peer } = written;
  const { callId } = origin;
  const answerRef = origin.answer ?? (bound && !protocol.stateless ? { category: protocol.binds.category, id: bound.id } : undefined);
  const orders = ordersOf(plan, bound, answerRef);
  const blockedBy = barrierOf(effects);
  // orders may show the commit's new keys too: only a later one does not wait
  const following = blockedBy ? orders.filter(({ notBefore }) => notBefore === undefined) : [];
  const sealed = await sealAll(kernel, protocol, ctx, effects, origin.thid, peer, bound);
  const mail = blockedBy ? sealed.map((payload): DeliverPayload => ({ ...payload, blockedBy })) : sealed;
  const posted = blockedBy ? postBehindBarrier(plan, mail, blockedBy, following, written) : post(plan, mail);
  const keylist = effects.deregisterKeys?.length ? [keylistJob(ctx.tenant, { removedKeys: [...effects.deregisterKeys] })] : [];
  const sealedBefore = (effects.post ?? []).map((payload) => deliverJob(ctx.tenant, payload));
  const deferredAnswer = blockedBy !== undefined && !origin.job && mail.length === 0 && following.length === 0;

  const { formats } = kernel.registry;
  const answered = answerRef && after.get(`${answerRef.category} ${answerRef.id}`);
  const viewed = (def: RecordDef, record: LoadedRecord): JsonObject =>
    def.category === protocol.binds.category && protocol.answer ? protocol.answer(record, formats) : viewOf(def, record, formats);
  // made where somebody asks: a message's answer has no reader
  const answerOf = (): JsonObject =>
    effects.answer ?? (answered ? viewed(answered.def, answered.record) : bound ? viewed(protocol.binds, bound) : {});
  const isAwaited = callId !== undefined && kernel.awaitedCalls.has(callId);
  const result = callId && (orders.length > 0 || origin.job || origin.interim) && (effects.answer || answered);

  const isUnanswered = isAwaited && !origin.job && !origin.interim && orders.length > 0;

  return {
    get answer() {
      return answerOf();
    },
    answerRef,
    isUnanswered,
    spawned: orders.length > 0 || blockedBy !== undefined,
    deferredAnswer,
    reply: posted.reply,
    commit: {
      records: origin.audited
        ? [...written.records, auditOf(origin.audited, bound && { category: protocol.binds.category, id: bound.id })]
        : written.records,
      deletes: written.deletes,
      keys: effects.keys,
      removedKeys: effects.removedKeys,
      keyOwners: effects.keyOwners?.map(({ mediation: _through, route: _hint, ...owner }): KeyOwner => ({ ...owner, tenant: ctx.tenant })),
      removedKeyOwners: effects.removedKeyOwners,
      invalidate: effects.invalidate,
      events: written.events,
      jobs: [
        ...written.jobs,
        ...orders.filter((one) => !following.includes(one)),
        ...posted.jobs,
        ...sealedBefore,
        ...keylist,
        ...(origin.jobs ?? []),
      ],
      mail: posted.kept.length > 0 ? posted.kept : undefined,
      acknowledged:
        effects.acknowledged?.length && ctx.connection ? [{ mailbox: ctx.connection.id, ids: effects.acknowledged }] : undefined,
      done: origin.job ? [origin.job] : undefined,
      dedupKeys: dedupKeysOf(origin, mail, () => (deferredAnswer ? { [DEFERRED_ANSWER]: answerOf() } : answerOf()), ctx.now),
      results: result && !isAwaited ? [{ callId, value: answerOf() }] : undefined,
      // the call itself has the answer of its own commit
      answers: result && isAwaited && (origin.job || origin.interim) ? [{ callId, value: answerOf() }] : undefined,
      ...(isUnanswered && { isUnanswered }),
      failures: callId && origin.failure ? [{ callId, ...origin.failure }] : undefined,
    },
  };
}

const auditOf = (call: AuditedCall, record?: AnswerRef) => auditRow(call, { outcome: 'committed' }, record);

/** Applies the changes of records, and makes their events and the step's own. */
function write({ profile: { settings, webhooks }, kernel, protocol, ctx, effects, origin }: Plan): Written {
  const records: RecordWrite[] = [];
  const deletes = [...(origin.deletes ?? [])];
  const events: EventWrite[] = [];
  const jobs: JobWrite[] = [];
  const after = new Map<string, { def: RecordDef; record: LoadedRecord }>();

  const emit = (topic: string, category: string, record: string, payload: JsonObject): void => {
    const event = eventOf(ctx.tenant, webhooks, topic, record, payload, category);
    events.push(...event.events);
    jobs.push(...event.jobs);
  };

  const applyChange = (change: Change): void => {
    const applied = apply(change, ctx.now);
    const { def, base } = change;
    const announce = (record: LoadedRecord): void => {
      if (def.topic && !change.silent)
        emit(
          def.topic,
          def.category,
          record.id,
          settings.debugWebhooks || !def.terse ? viewOf(def, record, kernel.registry.formats) : def.terse(record),
        );
    };
    for (const state of change.states ?? (base ? [] : [undefined])) announce({ ...applied, state });
    if (change.remove) {
      if (base) deletes.push({ category: def.category, id: applied.id, expect: base.version });
      if (applied.state) announce({ ...applied, state: 'deleted' });
    } else {
      records.push({
        category: def.category,
        id: applied.id,
        expect: base?.version ?? 0,
        state: applied.state,
        role: applied.role,
        connection: applied.connection,
        tags: def.tags(applied.value),
        value: applied.value as JsonObject,
        ...(isSameValue(change, applied) && { isSameValue: true }),
      });
    }
    after.set(`${def.category} ${applied.id}`, { def, record: applied });
  };

  let bound = ctx.record;
  if (effects.record) {
    const change: Change = { ...effects.record, def: protocol.binds, base: ctx.record };
    const id = change.base?.id ?? change.id ?? origin.recordId ?? newId(ctx.now);
    applyChange({ ...change, id });
    bound = after.get(`${protocol.binds.category} ${id}`)!.record;
  }
  for (const change of effects.others ?? []) applyChange(change);
  // a webhook for the controller, where the peer gets no problem report
  const peer = after.get(`connection ${ctx.connection?.id}`)?.record ?? ctx.connection;
  const topic = effects.problem && peer && formatOf(kernel, peer).traits.problemTopic;
  if (topic) emit(topic, topic, peer.id, problemPayload(peer.id, effects.problem!));
  // in the lane of their record, so that webhooks of one connection keep their order
  for (const { topic, payload, about } of effects.emit ?? [])
    emit(topic, about?.category ?? topic, about?.id ?? bound?.id ?? ctx.connection?.id ?? newId(), payload);
  return { records, deletes, events, jobs, after, bound, peer };
}

/** Jobs that a step orders: commands, work, ledger writes, local messages. */
function ordersOf(
  { protocol, ctx, effects, origin: { callId } }: Plan,
  bound: LoadedRecord | undefined,
  answer: AnswerRef | undefined,
): JobWrite[] {
  const { tenant } = ctx;
  const common = { protocol: protocol.name, category: protocol.binds.category, id: bound?.id ?? ctx.connection?.id ?? tenant, answer };
  return [
    ...(effects.next ?? []).map(({ record, protocol: other, command, input = {}, after }) =>
      commandJob(
        tenant,
        { ...common, ...record, protocol: other ?? protocol.name, command, input },
        after === undefined ? callId : undefined,
        after === undefined ? undefined : ctx.now + after,
      ),
    ),
    ...(effects.work ?? []).map(({ allocate, ...order }) =>
      workJob(tenant, { ...common, ...order }, callId, allocate && { counter: allocate.counter, upTo: allocate.upTo }),
    ),
    ...(effects.ledger ?? []).map(({ on, ...order }) => ledgerJob(tenant, { ...common, ...on, ...order }, callId)),
    ...(effects.dispatch ?? []).map((local) => localMessageJob(tenant, { ...local, answer }, callId)),
  ];
}

/** Mail on its way: a reply on the connection, the mailbox of a peer without an address, a delivery job. */
function post({ profile: { settings }, ctx, origin }: Plan, mail: readonly DeliverPayload[]): Posted {
  const jobs: JobWrite[] = [];
  const kept: QueuedMessageWrite[] = [];
  let reply: InlineReply | undefined;
  for (const payload of mail) {
    const { envelope, endpoint, connection, transient, back } = payload;
    const answers = connection === undefined ? origin.returnRouteUnconnected && back : connection === origin.returnRoute;
    const inline = !reply && answers === true;
    if ((transient || back) && (!endpoint || (transient && inline))) {
      if (inline) reply = { envelope };
      continue;
    }
    if (!endpoint && connection !== undefined) {
      const one = keptMail(connection, envelope, ctx.now, settings.mailbox.life);
      kept.push(one);
      // a socket has it from its delivery session, in its order among the others
      if (inline && !ctx.channel?.socket) reply = { envelope, kept: { mailbox: one.mailbox, id: one.id } };
      continue;
    }
    const job = deliverJob(ctx.tenant, payload, inline ? ctx.now + INLINE_GRACE_MS : undefined);
    if (inline) reply = { envelope, job: { id: job.id, lane: job.lane } };
    jobs.push(job);
  }
  return { jobs, kept, reply };
}

/**
 * Mail of a commit whose new keys a mediator must know first: it holds its lanes, and is sent by the job that registers the keys. So does everything else that
 * the commit orders.
 */
function postBehindBarrier(
  { ctx, effects, origin }: Plan,
  mail: readonly DeliverPayload[],
  { mediation }: KeyRegistrationBarrier,
  following: JobWrite[],
  { after }: Written,
): Posted {
  const { tenant } = ctx;
  const jobs = mail.filter(({ endpoint }) => endpoint).map((payload) => deliverJob(tenant, payload, ctx.now + BARRIER_MS));
  const keys = effects.keyOwners!.flatMap(({ kid, kind, target: of, mediation: through, route }) =>
    through
      ? [
          {
            verkey: kid,
            connection: kind === 'connection' ? of : undefined,
            wallet: mediation.tenant === tenant ? undefined : tenant,
            route,
          },
        ]
      : [],
  );
  const kept = mail.filter(({ endpoint, connection, transient }) => !endpoint && connection !== undefined && !transient);
  const connection = [...after.values()].find(({ def }) => def.category === 'connection')?.record.id ?? ctx.connection?.id;
  const lanes = [...new Set(jobs.map(({ lane }) => lane))];
  return { jobs: [...jobs, keylistJob(tenant, { mediation, keys, lanes, kept, jobs: following, connection }, origin.callId)], kept: [] };
}

/** The dedup keys of a message, or of a call with a key, and the answer that a repetition gets. */
function dedupKeysOf(origin: Origin, mail: readonly DeliverPayload[], answerOf: () => JsonObject, now: number): Commit['dedupKeys'] {
  if (origin.callDedupKey !== undefined)
    return [{ dedupKey: origin.callDedupKey, answer: answerOf(), expires: now + (origin.dedupLife ?? CALL_LIFE_MS) }];
  if (origin.dedupKey === undefined) return undefined;
  const answers = mail.filter(({ transient }) => !transient);
  return [
    {
      dedupKey: origin.dedupKey,
      answer: answers.length > 0 ? { mail: checkedAs<JsonObject[]>(answers) } : undefined,
      expires: now + (origin.dedupLife ?? DEDUP_LIFE_MS),
    },
  ];
}

/** The parts of the commit that wait until a mediator has the keys. @throws AppError where keys of one step go through two mediators */
function barrierOf({ keyOwners = [] }: Effects): KeyRegistrationBarrier | undefined {
  const mediated = keyOwners.filter((owner) => owner.mediation);
  const mediation = mediated[0]?.mediation;
  if (!mediation) return undefined;
  if (mediated.some((owner) => owner.mediation!.id !== mediation.id)) throw new AppError('internal', 'keys of one step have two mediators');
  return { mediation: { tenant: mediation.tenant, id: mediation.id }, keys: mediated.map(({ kid }) => kid) };
}

/** A message of ours for a peer that has no address: it fetches it, or has it on a socket of its own. */
export const keptMail = (mailbox: string, body: string, now: number, life: number): QueuedMessageWrite => ({
  id: newId(now),
  mailbox,
  body,
  expires: now + life,
});

const DELIVERED = { undelivered: undefined, error_msg: undefined };

/**
 * Whether a change leaves the stored value as it was: a command that orders work counts up the record's version, and no more. The base of a change may be a copy with
 * more in it, as the connection whose peer has shown a key. Objects are not compared.
 */
const isSameValue = ({ base, patch = {} }: Change, { value }: LoadedRecord): boolean =>
  base !== undefined &&
  isStoredValue(base.value) &&
  Object.values(patch).every((one) => typeof one !== 'object') &&
  Object.keys(value).every((name) => value[name] === base.value[name]);

/** The record after a change. */
export function apply(change: Change, now: number): LoadedRecord {
  const { base, def } = change;
  const state = change.states?.at(-1) ?? base?.state;
  if (state !== undefined && !def.states.includes(state)) throw new AppError('internal', `${def.category} has no state ${state}`);
  return {
    id: base?.id ?? change.id ?? newId(now),
    version: (base?.version ?? 0) + 1,
    state,
    role: change.role ?? base?.role,
    connection: change.connection ?? base?.connection,
    created: base?.created ?? now,
    updated: now,
    // mail that could not be delivered before is dropped when the job goes on
    value: { ...base?.value, ...(change.states?.length && base?.value.undelivered ? DELIVERED : {}), ...change.patch },
  };
}
