import type { JsonObject } from '../ports/json.ts';
import type { Query, Store } from '../ports/store.ts';
import { apply, type Origin } from './commit-plan.ts';
import type { Kernel } from './context.ts';
import type { DecisionOrder, Handler } from './decisions.ts';
import type { Change, Effects, NextCommand } from './effects.ts';
import { newId } from './ids.ts';
import type { Protocol, StepContext } from './protocol.ts';
import { type LoadedRecord, type RecordDef, viewOf } from './record.ts';

/** Decisions of handlers: the commit of a step holds them in the place of the command that goes on. */

/** Category of the records of decisions, and the protocols whose commands ask for them and end them. */
export const DECISION = 'decision';
export const DECISIONS = 'decisions';
export const CONFIGURATION = 'agent-config';
/** How many decisions of a tenant may be open: of all its peers, of those who came by one invitation, and of one connection. */
export const MAX_OPEN = { all: 10_000, invitation: 5000, connection: 500 } as const;
const OPEN = ['asked', 'held'];

/** A decision in the making. `accept`, `replace` and `reject`: the commands of its record; `otherwise`: the verdict of policies and defaults. */
export interface DecisionBegun {
  readonly [member: string]: unknown;
  readonly point: string;
  readonly type: string;
  readonly role: string;
  readonly handler_id: string;
  readonly approvers: readonly string[];
  readonly approvals: number;
  readonly on_timeout: Handler['on_timeout'];
  /** ms since 1970. */
  readonly deadline: number;
  /** The record that it is about, and the protocol that drives it. */
  readonly subject: { readonly protocol: string; readonly category: string; readonly id: string };
  readonly accept: string;
  readonly replace?: string;
  readonly reject: { readonly command: string; readonly input?: JsonObject };
  readonly otherwise: DecisionOrder['action'];
  readonly thread_id?: string;
  /** The key of the invitation by which its peer came. */
  readonly invitation?: string;
  /** The exchange as its controller sees it, when the decision was asked for. */
  readonly record: JsonObject;
}

/** Whether a tenant has as many decisions open as it may, or as one peer, or the peers of one invitation, may have with it. */
async function isFull(store: Store, tenant: string, connection: string | undefined, invitation: string | undefined): Promise<boolean> {
  const reaches = async (max: number, query: Query): Promise<boolean> => {
    const pages = await Promise.all(OPEN.map((state) => store.find(tenant, DECISION, { ...query, state, limit: 1 })));
    return pages.reduce((sum, { total }) => sum + total, 0) >= max;
  };
  const full = await Promise.all([
    reaches(MAX_OPEN.all, {}),
    connection !== undefined && reaches(MAX_OPEN.connection, { connection }),
    invitation !== undefined && reaches(MAX_OPEN.invitation, { tags: { invitation } }),
  ]);
  return full.includes(true);
}

/** The effects of a step with its decisions as records, mail and deadlines. Without a handler that matches they are the same object. */
export async function withDecisions(
  kernel: Kernel,
  protocol: Protocol,
  ctx: StepContext,
  effects: Effects,
  origin: Origin,
): Promise<Effects> {
  if (!effects.next?.some(({ decision }) => decision)) return effects;
  const id = ctx.record?.id ?? effects.record?.id ?? origin.recordId ?? newId(ctx.now);
  let all: Effects = { ...effects, record: effects.record && { ...effects.record, id }, next: [] };
  for (const next of effects.next) {
    const { decision } = next;
    if (!decision) all = { ...all, next: [...all.next!, next] };
    else {
      const about = subjectOf(protocol, ctx, all, next, id);
      if (about) all = await decided(kernel, ctx, all, decision, about, next.protocol ?? protocol.name);
    }
  }
  return all;
}

interface Subject {
  readonly def: RecordDef;
  readonly record: LoadedRecord;
}

/** The record that a command is about, as the step leaves it. */
function subjectOf(protocol: Protocol, ctx: StepContext, effects: Effects, next: NextCommand, id: string): Subject | undefined {
  const own: Change | undefined = effects.record && { ...effects.record, def: protocol.binds as RecordDef, base: ctx.record };
  const changes = [...(own ? [own] : []), ...(effects.others ?? [])];
  const { category, id: of } = next.record ?? { category: protocol.binds.category, id };
  const change = changes.find((one) => one.def.category === category && (one.base?.id ?? one.id) === of);
  return change && { def: change.def, record: apply(change, ctx.now) };
}

async function decided(
  kernel: Kernel,
  ctx: StepContext,
  effects: Effects,
  order: DecisionOrder,
  { def, record }: Subject,
  protocol: string,
): Promise<Effects> {
  const { point, type, role, consult, notify, action, accept, replace, reject } = order;
  const subject = { category: def.category, id: record.id };
  const connection = record.connection ?? (def.category === 'connection' ? record.id : undefined);
  const thread_id = (record.value.thread_id ?? record.value.request_id) as string | undefined;
  const seen = viewOf(def, record, kernel.registry.formats);
  const next: NextCommand[] = [...effects.next!];
  const emit: NonNullable<Effects['emit']>[number][] = [...(effects.emit ?? [])];
  for (const { handler_id, deliver, approvers } of notify) {
    const payload = { handler_id, point, type, role, ...(connection !== undefined && { connection_id: connection }), record: seen };
    if (deliver === 'webhook') emit.push({ topic: 'handler', payload, about: subject });
    else for (const one of approvers) next.push(toOwner('notify', one, payload));
  }
  if (!consult) {
    if (action !== 'hold') next.push(action === 'accept' ? accept : reject);
    return { ...effects, next, emit };
  }
  const { invitation_key: invitation } = (def.category === 'connection' ? record.value : (ctx.connection?.value ?? {})) as {
    invitation_key?: string;
  };
  if (await isFull(kernel.db.store, ctx.tenant, connection, invitation)) {
    kernel.count('decisions_not_asked', ctx.tenant);
    return { ...effects, next, emit };
  }
  const id = ctx.newId();
  const { handler_id, approvers, approvals, timeout_ms, on_timeout } = consult;
  const patch: DecisionBegun = {
    ...{ point, type, role, handler_id, approvers, approvals, on_timeout, replace, thread_id, invitation, otherwise: action },
    subject: { protocol, ...subject },
    deadline: ctx.now + timeout_ms,
    accept: accept.command,
    reject: { command: reject.command, input: reject.input },
    record: seen,
  };
  const asked: Change = { def: kernel.registry.records.get(DECISION)!, id, connection, states: ['asked'], patch };
  if (consult.deliver === 'didcomm') for (const one of approvers) next.push(toOwner('ask', one, { decision_id: id }));
  next.push({ protocol: DECISIONS, command: 'expire', record: { category: DECISION, id }, after: timeout_ms });
  return { ...effects, others: [...(effects.others ?? []), asked], next, emit };
}

/** A message to an owner, on its connection. */
const toOwner = (command: string, connection: string, input: JsonObject): NextCommand => ({
  protocol: CONFIGURATION,
  command,
  record: { category: 'connection', id: connection },
  input,
});
