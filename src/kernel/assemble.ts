import { signedAttachment } from '../didcomm/attachments.ts';
import { pack } from '../didcomm/envelope-v1.ts';
import { wrapForward } from '../didcomm/forward.ts';
import type { KeyPair } from '../didcomm/key-cache.ts';
import { signDecorator } from '../didcomm/signature-decorator.ts';
import { AppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Commit, EventWrite, JobWrite, KeyWrite, MailWrite, RecordWrite, Route } from '../ports/store.ts';
import type { Kernel, Profile } from './context.ts';
import { heldByAnother, recipientsOf, shownKeys } from './identity.ts';
import { newId } from './ids.ts';
import {
  type AnswerRef,
  type AwaitedKeys,
  commandJob,
  type DeliverPayload,
  deliverJob,
  eventOf,
  keylistJob,
  ledgerJob,
  tellJob,
  workJob,
} from './jobs.ts';
import { composeMessage } from './message.ts';
import type { Change, Destination, Effects, MessageParts, Outgoing, Protocol, StepContext } from './protocol.ts';
import { type Exchange, type OwnAddress, type RecordDef, type Reply, replyOf } from './record.ts';
import { seal2018, wireOf } from './wire-2018.ts';

/** A problem report when a protocol has no message of its own for it (RFC 0035). */
const PROBLEM_REPORT = 'https://didcomm.org/notification/1.0/problem-report';
/** RFC 0092's address of who has none: mail waits for a session. */
const QUEUE = 'didcomm:transport/queue';
const MARK_LIFE = 7 * 24 * 3600_000;
/** Of a message whose envelope holds no time (the 2018 Agent Protocol): as long as its connection may live. */
const MARK_LIFE_2018 = 100 * 365 * 24 * 3600_000;
const CALL_LIFE = 24 * 3600_000;
/** A reply that goes out on the connection it came from is delivered again after this time, unless its transport says that it arrived. */
const INLINE_GRACE = 10_000;
/** Mail that waits for a mediator is looked at by itself after this time; who hears from the mediator wakes it before. */
const AWAITED_MS = 10_000;
/** Under which a call's answer is remembered that is to be told only when a mediator knows the key that it shows. */
export const WITHHELD = '~withheld';

/** What started a transition, as far as its commit must know. */
export interface Origin {
  readonly cause?: string;
  readonly answer?: AnswerRef;
  readonly job?: { readonly id: string; readonly lease: string };
  readonly mark?: string;
  /** The mark outlives a connection. */
  readonly lasting?: boolean;
  /** Of a controller's call that it may say again: kept with its answer. */
  readonly callMark?: string;
  /** Why the controller's call has failed for good; written for it to read. */
  readonly failure?: { readonly code: string; readonly text: string };
  /** The id of a record that this message begins. */
  readonly recordId?: string;
  /** Rows of the worker that go with its job. */
  readonly deletes?: Commit['deletes'];
  /** The controller that waits is to see the record as it stands, though its call is not done. */
  readonly interim?: boolean;
  readonly thid?: string;
  /** The peer can take one reply on the connection it wrote on. */
  readonly replyTo?: string;
  /** The same of a sender that has no connection. */
  readonly replies?: boolean;
}

export interface Assembled {
  readonly commit: Commit;
  readonly answer: JsonObject;
  readonly answerRef?: AnswerRef;
  /** Whether jobs were made that a waiting controller waits for. */
  readonly spawned: boolean;
  /** The answer shows a key that a mediator does not know yet: it is told when it does, or never. */
  readonly withheld?: boolean;
  readonly reply?: InlineReply;
}

/** A reply that may go back on the connection it came from; what of the commit is done with once it arrived. */
export interface InlineReply {
  readonly envelope: string;
  readonly job?: string;
  readonly kept?: { readonly box: string; readonly id: string };
}

/** Turns what a step wants into one commit: records, events, sealed mail and jobs together. Nothing is written here. */
export async function assemble(
  kernel: Kernel,
  { settings, webhooks }: Profile,
  protocol: Protocol,
  ctx: StepContext,
  effects: Effects,
  origin: Origin,
): Promise<Assembled> {
  const { tenant } = ctx;
  const records: RecordWrite[] = [];
  const deletes = [...(origin.deletes ?? [])];
  const events: EventWrite[] = [];
  const jobs: JobWrite[] = [];
  const after = new Map<string, { def: RecordDef; record: Exchange }>();

  const emit = (topic: string, category: string, record: string, payload: JsonObject): void => {
    const told = eventOf(tenant, webhooks, topic, record, payload, category);
    events.push(...told.events);
    jobs.push(...told.jobs);
  };

  const applyChange = (change: Change): void => {
    const applied = apply(change, ctx.now);
    const { def, base } = change;
    const announce = (record: Exchange): void => {
      if (def.topic && !change.silent)
        emit(def.topic, def.category, record.id, settings.debugWebhooks || !def.terse ? def.view(record) : def.terse(record));
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
  // where the peer cannot be told, the controller is
  const peer = after.get(`connection ${ctx.connection?.id}`)?.record ?? ctx.connection;
  if (effects.problem && wireOf(peer))
    emit('legacy_problem', 'legacy_problem', peer!.id, {
      connection_id: peer!.id,
      reason: effects.problem.code,
      text: effects.problem.text,
    });
  // in the lane of what they are about, so that messages of one connection are told in their order
  for (const { topic, payload, about } of effects.emit ?? [])
    emit(topic, about?.category ?? topic, about?.id ?? bound?.id ?? ctx.connection?.id ?? newId(), payload);

  const answerRef = origin.answer ?? (bound && !protocol.stateless ? { category: protocol.binds.category, id: bound.id } : undefined);
  const cause = origin.cause;
  const target = bound
    ? { category: protocol.binds.category, id: bound.id }
    : { category: protocol.binds.category, id: ctx.connection?.id ?? tenant };
  const common = { protocol: protocol.name, ...target, answer: answerRef };
  const waiting: JobWrite[] = [
    ...(effects.next ?? []).map((next) =>
      commandJob(
        tenant,
        { ...common, ...(next.record ?? {}), protocol: next.protocol ?? protocol.name, command: next.command, input: next.input ?? {} },
        next.after === undefined ? cause : undefined,
        next.after === undefined ? undefined : ctx.now + next.after,
      ),
    ),
    ...(effects.work ?? []).map((order) => workJob(tenant, { ...common, ...order }, cause)),
    ...(effects.ledger ?? []).map((order) => ledgerJob(tenant, { ...common, ...order }, cause)),
    ...(effects.tell ?? []).map((tell) => tellJob(tenant, { ...tell, answer: answerRef }, cause)),
  ];
  const awaits = awaitedOf(effects);
  // what the commit orders may show its keys too; only what is for later does not wait
  const following = awaits ? waiting.filter(({ notBefore }) => notBefore === undefined) : [];
  jobs.push(...waiting.filter((one) => !following.includes(one)));

  const sealed = await sealAll(kernel, protocol, ctx, effects, origin, peer, bound);
  const mail = awaits ? sealed.map((payload): DeliverPayload => ({ ...payload, awaits })) : sealed;
  const lanes = new Set<string>();
  let reply: Assembled['reply'];
  const kept: MailWrite[] = [];
  for (const payload of mail) {
    const { envelope } = payload;
    if (awaits) {
      if (!payload.endpoint) continue;
      const job = deliverJob(tenant, payload, ctx.now + AWAITED_MS);
      lanes.add(job.lane);
      jobs.push(job);
      continue;
    }
    const answers = payload.connection === undefined ? origin.replies && payload.back : payload.connection === origin.replyTo;
    const inline = !reply && answers === true;
    if ((payload.transient || payload.back) && (!payload.endpoint || (payload.transient && inline))) {
      if (inline) reply = { envelope };
      continue;
    }
    if (!payload.endpoint && payload.connection !== undefined) {
      const one = keptMail(payload.connection, envelope, ctx.now, settings.mailbox.life);
      kept.push(one);
      // a socket has it from its session, in its order among the others
      if (inline && !ctx.channel?.socket) reply = { envelope, kept: { box: one.box, id: one.id } };
      continue;
    }
    const job = deliverJob(tenant, payload, inline ? ctx.now + INLINE_GRACE : undefined);
    if (inline) reply = { envelope: payload.envelope, job: job.id };
    jobs.push(job);
  }

  if (awaits) {
    const { mediation } = awaits;
    const keys = effects.routes!.flatMap(({ kid, kind, target: of, mediation: through }) =>
      through
        ? [{ verkey: kid, connection: kind === 'connection' ? of : undefined, wallet: mediation.tenant === tenant ? undefined : tenant }]
        : [],
    );
    const later = mail.filter(({ endpoint, connection, transient }) => !endpoint && connection !== undefined && !transient);
    const connection = [...after.values()].find(({ def }) => def.category === 'connection')?.record.id ?? ctx.connection?.id;
    jobs.push(keylistJob(tenant, { mediation, keys, lanes: [...lanes], kept: later, jobs: following, connection }, cause));
  }
  if (effects.unmediate?.length) jobs.push(keylistJob(tenant, { gone: [...effects.unmediate] }));
  const withheld = awaits !== undefined && !origin.job && mail.length === 0 && following.length === 0;

  const answered = answerRef && after.get(`${answerRef.category} ${answerRef.id}`);
  const viewed = (def: RecordDef, record: Exchange): JsonObject =>
    def.category === protocol.binds.category && protocol.answer ? protocol.answer(record) : def.view(record);
  // made where somebody asks: what a message would answer nobody hears
  const answerOf = (): JsonObject =>
    effects.answer ?? (answered ? viewed(answered.def, answered.record) : bound ? viewed(protocol.binds, bound) : {});
  const snapshot =
    cause && (waiting.length > 0 || origin.job || origin.interim) && (effects.answer || answered)
      ? [{ cause, value: answerOf() }]
      : undefined;

  return {
    get answer() {
      return answerOf();
    },
    answerRef,
    spawned: waiting.length > 0 || awaits !== undefined,
    withheld,
    reply,
    commit: {
      records,
      deletes,
      keys: effects.keys,
      unkeys: effects.unkeys,
      routes: effects.routes?.map(({ mediation: _through, ...route }): Route => ({ ...route, tenant })),
      unroutes: effects.unroutes,
      forget: effects.forget,
      events,
      jobs,
      mail: kept.length > 0 ? kept : undefined,
      taken: effects.taken?.length && ctx.connection ? [{ box: ctx.connection.id, ids: effects.taken }] : undefined,
      done: origin.job ? [origin.job] : undefined,
      marks: marksOf(origin, mail, () => (withheld ? { [WITHHELD]: answerOf() } : answerOf()), ctx.now),
      snapshots: snapshot,
      failures: cause && origin.failure ? [{ cause, ...origin.failure }] : undefined,
    },
  };
}

/** What is remembered of a message, or of a call with a key: its answer, to be given again. */
function marksOf(origin: Origin, mail: readonly DeliverPayload[], answerOf: () => JsonObject, now: number): Commit['marks'] {
  if (origin.callMark !== undefined) return [{ mark: origin.callMark, answer: answerOf(), expires: now + CALL_LIFE }];
  if (origin.mark === undefined) return undefined;
  const said = mail.filter(({ transient }) => !transient);
  return [
    {
      mark: origin.mark,
      answer: said.length > 0 ? { mail: said as unknown as JsonObject[] } : undefined,
      expires: now + (origin.lasting ? MARK_LIFE_2018 : MARK_LIFE),
    },
  ];
}

/** What of the commit is known to others only when a mediator knows it. @throws AppError where keys of one step go through two mediators */
function awaitedOf({ routes = [] }: Effects): AwaitedKeys | undefined {
  const mediated = routes.filter((route) => route.mediation);
  const mediation = mediated[0]?.mediation;
  if (!mediation) return undefined;
  if (mediated.some((route) => route.mediation!.id !== mediation.id)) throw new AppError('internal', 'keys of one step have two mediators');
  return { mediation: { tenant: mediation.tenant, id: mediation.id }, keys: mediated.map(({ kid }) => kid) };
}

/** A message of ours for a peer that has no address: it fetches it, or has it on a socket of its own. */
export const keptMail = (box: string, body: string, now: number, life: number): MailWrite => ({
  id: newId(now),
  box,
  body,
  expires: now + life,
});

const DELIVERED = { undelivered: undefined, error_msg: undefined };

/** The record after a change. */
export function apply(change: Change, now: number): Exchange {
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
    // what could not be delivered before is history when it goes on
    value: { ...base?.value, ...(change.states?.length && base?.value.undelivered ? DELIVERED : {}), ...change.patch },
  };
}

/** The keys and the address of a connection's peer; undefined while it has told neither. */
export function destinationOf(connection: Pick<Exchange, 'role' | 'value'>): Destination | undefined {
  const { value } = connection;
  const { their_routing_keys, their_endpoint, my_verkey, invitation_key } = value;
  const recipientKeys = recipientsOf(value);
  if (recipientKeys.length === 0) return undefined;
  return {
    recipientKeys,
    routingKeys: (their_routing_keys as string[] | undefined) ?? [],
    endpoint: their_endpoint as string | undefined,
    // who came by our invitation and has no answer yet knows us by its key
    sender: (my_verkey ?? (connection.role === 'invitee' ? invitation_key : undefined)) as string | undefined,
    ...(value.my_did_shared && shownKeys(value).length === 0 ? { unproven: true } : {}),
  };
}

/**
 * The keys to seal for. A key that nobody has shown yet may be somebody else's, who knows the key that we seal with from a connection of his own and would take
 * what he can open for said to him: nothing goes to a key that another connection has seen in use.
 * @throws AppError `wrong-state` where no other is left
 */
async function sealable(kernel: Kernel, tenant: string, connection: string | undefined, to: Destination): Promise<readonly string[]> {
  if (!to.unproven) return to.recipientKeys;
  const rows = await kernel.db.store.load(
    tenant,
    to.recipientKeys.map((key) => ({ category: 'connection', tag: 'their_key', equals: key })),
  );
  const free = to.recipientKeys.filter((key, i) => !heldByAnother(rows[i]!, key, connection));
  if (free.length === 0) throw new AppError('wrong-state', 'The peer has not shown yet that the keys which it names are its own');
  return free;
}

const directTo = (reply: Reply | undefined): Destination | undefined =>
  reply?.recipientKeys && {
    recipientKeys: reply.recipientKeys,
    routingKeys: reply.routingKeys,
    endpoint: reply.endpoint,
    sender: reply.key,
  };

/** A message without a connection says where its answer goes (RFC 0056), and which invitation it belongs to. */
const withService = (message: JsonObject, key: string, own: OwnAddress, pthid: unknown): JsonObject => ({
  ...message,
  ...(typeof pthid === 'string' ? { '~thread': { ...(message['~thread'] as JsonObject | undefined), pthid } } : {}),
  '~service': { recipientKeys: [key], routingKeys: [...own.routingKeys], serviceEndpoint: own.endpoint || QUEUE },
});

/** Seals a message, as JSON text, to the peer of a connection; undefined while that has no keys. */
export async function sealTo(kernel: Kernel, tenant: string, connection: Exchange, message: string): Promise<string | undefined> {
  const to = destinationOf(connection);
  if (!to) return undefined;
  const sender = to.sender === undefined ? undefined : await pairOf(kernel, tenant, to.sender, undefined);
  const recipients = await sealable(kernel, tenant, connection.id, to);
  return wrapForward(pack({ message, recipients, sender }), recipients[0]!, to.routingKeys ?? []);
}

/** Asks for the answers on the connection that the message goes on (RFC 0092): nobody can write to us. */
const pulling = (message: JsonObject): JsonObject => ({ ...message, '~transport': { return_route: 'all' } });

async function sealAll(
  kernel: Kernel,
  protocol: Protocol,
  ctx: StepContext,
  effects: Effects,
  origin: Origin,
  connection: Exchange | undefined,
  bound: Exchange | undefined,
): Promise<DeliverPayload[]> {
  const mail: DeliverPayload[] = [];
  const wire = wireOf(connection) !== undefined;
  const ofConnection = protocol.stateless || protocol.binds.category === 'connection';
  const record = bound && !ofConnection ? { category: protocol.binds.category, id: bound.id } : undefined;
  const outgoing = [...(effects.send ?? []), ...(effects.problem && !wire ? [problemReport(protocol, effects.problem)] : [])];
  for (const out of outgoing) {
    if (connection && wire) {
      const sealed = await sealFor2018(kernel, protocol, ctx, effects.keys, connection, out, origin);
      if (sealed) mail.push(sealed);
      continue;
    }
    const direct = !out.to && !connection ? replyOf(bound) : undefined;
    const to = out.to ?? (connection ? destinationOf(connection) : directTo(direct));
    if (!to) throw new AppError('wrong-state', 'The connection has no keys of its peer yet');
    const composed = await compose(kernel, protocol, ctx, out, effects.keys, origin);
    const own = direct && (direct.own ?? { endpoint: ctx.settings.endpoint, routingKeys: [] });
    const addressed = own ? withService(composed, direct.key, own, bound?.value.parent_thread_id) : composed;
    const back = 'type' in out && out.back === true;
    const pulls = (connection?.value.pulls && !back) || own?.pulls;
    const message = pulls ? pulling(addressed) : addressed;
    const sender = to.sender === undefined ? undefined : await pairOf(kernel, ctx.tenant, to.sender, effects.keys);
    const recipients = await sealable(kernel, ctx.tenant, connection?.id, to);
    const sealed = pack({ message: JSON.stringify(message), recipients, sender });
    mail.push({
      envelope: wrapForward(sealed, recipients[0]!, to.routingKeys ?? []),
      endpoint: to.endpoint,
      // whatever connection its thread names, it is none of that
      connection: back ? undefined : connection?.id,
      // a mediator of the peer's answers nothing
      ...(pulls && !to.routingKeys?.length ? { pulls: true as const } : {}),
      ...(out.transient ? { transient: true } : {}),
      ...(back ? { back: true } : {}),
      ...(record ? { record } : {}),
    });
  }
  return mail;
}

/** A message for a peer that speaks the 2018 Agent Protocol: one of that protocol, or another in its words; undefined where those leave it unsaid. */
async function sealFor2018(
  kernel: Kernel,
  protocol: Protocol,
  ctx: StepContext,
  fresh: readonly KeyWrite[] | undefined,
  connection: Exchange,
  out: Outgoing,
  origin: Origin,
): Promise<DeliverPayload | undefined> {
  let parts: MessageParts;
  if ('type' in out && protocol.uris[0]?.startsWith('urn:')) parts = { ...out, type: `${protocol.uris[0]}/${out.type}` };
  else {
    const message = await compose(kernel, protocol, ctx, out, fresh, origin);
    const said = kernel.registry.said(message);
    if (said === undefined)
      throw new AppError('bad-request', `The peer speaks the 2018 Agent Protocol, which has no message like ${message['@type']}`);
    if (said === null) return undefined;
    parts = said;
  }
  const known = kernel.registry.message(parts.type);
  const inner = typeof known === 'string' ? undefined : known.step.inner;
  return {
    ...(await seal2018(connection, parts, inner, (verkey) => pairOf(kernel, ctx.tenant, verkey, fresh))),
    connection: connection.id,
  };
}

const problemReport = (protocol: Protocol, problem: NonNullable<Effects['problem']>): Outgoing => ({
  thid: problem.thid,
  pthid: problem.pthid,
  type: protocol.problem ? (protocol.problemName ?? 'problem-report') : PROBLEM_REPORT,
  body: { description: { code: problem.code, en: problem.text } },
});

async function pairOf(kernel: Kernel, tenant: string, verkey: string, fresh: readonly KeyWrite[] | undefined): Promise<KeyPair> {
  const made = fresh?.find((key) => key.kid === verkey);
  if (made) return { verkey, secretKey: made.secret };
  const pair = await kernel.keys.pair(tenant, verkey);
  if (!pair) throw new AppError('internal', 'an own key is missing');
  return pair;
}

async function compose(
  kernel: Kernel,
  protocol: Protocol,
  ctx: StepContext,
  out: Outgoing,
  fresh: readonly KeyWrite[] | undefined,
  origin: Origin,
): Promise<JsonObject> {
  if ('message' in out) return out.message;
  const { signed, signature } = out;
  const attachments = signed && {
    [signed.field]: [signedAttachment(Buffer.from(signed.text), await pairOf(kernel, ctx.tenant, signed.verkey, fresh))],
  };
  const signatures = signature && {
    [signature.field]: signDecorator(
      signature.value,
      await pairOf(kernel, ctx.tenant, signature.verkey, fresh),
      Math.floor(ctx.now / 1000),
    ),
  };
  return composeMessage(protocol, {
    ...out,
    signatures,
    id: out.id ?? ctx.newId(),
    thid: out.thid ?? origin.thid,
    attachments: { ...out.attachments, ...attachments },
  });
}
