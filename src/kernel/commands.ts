import { AppError } from '../errors.ts';
import type { Lookup, StoredRecord } from '../ports/store.ts';
import type { CommitPlan, Origin } from './commit-plan.ts';
import type { Kernel } from './context.ts';
import type { Effects } from './effects.ts';
import type { LocalMessagePayload } from './jobs.ts';
import { readMessage } from './message.ts';
import { type CommandInput, type Load, NEW, type Pages, type Protocol, type StepContext } from './protocol.ts';
import { connectionlessPeerOf, type LoadedRecord, loadedRecord } from './record.ts';
import { type Found, isEnd, isExpected, isForeign, type Reads, type Run, readsOf, type Transitions } from './transition.ts';
import { withReplyTo } from './trust.ts';

/** A step that this agent itself orders: a controller's command, a result of work, a message that one protocol hands to another. */
export interface StepOrder {
  readonly tenant: string;
  readonly protocol: Protocol;
  readonly record?: { readonly category: string; readonly id: string };
  readonly about?: Lookup;
  /** Which of the records that `about` finds is meant; default: the first. */
  readonly among?: (rows: readonly StoredRecord[]) => StoredRecord | undefined;
  readonly connection?: string;
  readonly load?: Readonly<Record<string, Load>>;
  readonly pages?: Pages;
  /** The mailbox whose status the step reads. */
  readonly mail?: string;
  readonly from: readonly string[] | '*';
  readonly role?: string;
  readonly origin: Origin;
  /** A state that does not allow the step: an error for a controller, nothing for a late result. */
  readonly otherwise: 'error' | 'ignore';
  /** Where the state does not allow it any more, the waiting call ends with that error. */
  readonly late?: boolean;
  readonly step: (ctx: StepContext) => Effects;
  /** A controller's command, by name: on a record that another protocol drives it is that protocol's, if it has one of the name. `routed`: it has a route. */
  readonly command?: { readonly name: string; readonly input: CommandInput; readonly routed: boolean };
}

/** Steps that this agent orders, on the one loop. */
export interface Commands {
  /** @throws AppError `not-found`, `wrong-state`, and what the step throws */
  run(order: StepOrder): Promise<CommitPlan>;
  /** A message that this agent hands to itself (rule 5), under its connection, or with the way to the peer of an exchange without one. */
  deliverLocally(tenant: string, local: LocalMessagePayload, origin: Origin): Promise<void>;
}

export function createCommands(kernel: Kernel, transition: Transitions): Commands {
  const { store } = kernel.db;

  /** The connection of a step: the named one, the record's, or the record itself. */
  async function connectionOf(order: StepOrder, found: Found, row: StoredRecord | undefined): Promise<StoredRecord | undefined> {
    const [named] = found.rows('connection');
    if (order.connection && !named) throw new AppError('not-found', `Connection ${order.connection} not found`);
    if (named) return named;
    if (row?.connection) {
      const [rows] = await store.load(order.tenant, [{ category: 'connection', id: row.connection }]);
      if (rows?.[0]) return rows[0];
    }
    return row && order.protocol.binds.category === 'connection' ? row : undefined;
  }

  /** The command as the protocol that drives the record has it: controllers accept requests of every handshake by the same routes. */
  function ofOwner(order: StepOrder, record: LoadedRecord | undefined): StepOrder {
    if (!order.command || !isForeign(order.protocol, record)) return order;
    const { name, input } = order.command;
    const known = kernel.registry.commandOf(kernel.registry.owner(order.protocol.binds.category, record!.value), name);
    if (!known) return order;
    const { protocol, step } = known;
    const load = step.load?.(input, record!.id, undefined, kernel.registry);
    return { ...order, protocol, load, from: step.from, role: step.role, step: (ctx) => step.step(ctx, input) };
  }

  async function ignored(order: StepOrder, record: LoadedRecord | undefined): Promise<CommitPlan> {
    const { job, jobs, deletes, callId, failure: known } = order.origin;
    const failure = overtaken(order, record) ?? known;
    const commit = { done: job ? [job] : undefined, jobs, deletes, failures: callId && failure ? [{ callId, ...failure }] : undefined };
    await store.commit(order.tenant, commit);
    return { commit, answer: {}, spawned: false };
  }

  async function choose(given: StepOrder, found: Found): Promise<Run<CommitPlan>> {
    const candidates = found.rows('record');
    // of several under one name it is that of the connection which is named
    const row = given.among
      ? given.among(candidates)
      : (candidates.find((one) => given.connection !== undefined && one.connection === given.connection) ?? candidates[0]);
    const record = row && loadedRecord(row);
    const order = ofOwner(given, record);
    const { protocol, origin } = order;
    const connection = await connectionOf(order, found, row);
    const absent = (order.record !== undefined || order.about !== undefined) && !record;
    const allowed = isExpected(protocol, order.from, order.role, record) && !(absent && order.from === '*');
    if (allowed && order.command?.routed && record?.connection && !connection && record.value.thread_id !== undefined)
      throw new AppError('bad-request', `Connection ${record.connection} not found: it was deleted`);
    const thid = record && 'thread_id' in record.value ? (record.value.thread_id as string | undefined) : undefined;
    return {
      protocol,
      record,
      connection: connection && loadedRecord(connection),
      // another protocol's command reads what only the record names
      loaded: { ...found.meant(given.load ?? {}), ...(order === given || !allowed ? {} : await found.also(order.load ?? {})) },
      pages: order.pages,
      mail: order.mail === undefined ? undefined : { mailbox: order.mail, query: { limit: 0 } },
      from: allowed ? order.from : [],
      role: order.role,
      command: order.command?.name,
      origin: { thid, ...origin },
      step: order.step,
      async refused(_ctx, refusal) {
        if (refusal.because === 'error') throw refusal.error;
        if (order.otherwise === 'ignore') return { end: await ignored(order, record) };
        if (!record) throw new AppError('not-found', missing(order));
        throw new AppError('wrong-state', wrongState(protocol, record, order));
      },
    };
  }

  async function run(order: StepOrder): Promise<CommitPlan> {
    const { tenant, record, about, connection, load } = order;
    const subject = record ?? about;
    const reads: Reads = [
      ...(subject ? [['record', subject] as const] : []),
      ...(connection ? [['connection', { category: 'connection', id: connection }] as const] : []),
      ...readsOf(load),
    ];
    const outcome = await transition<CommitPlan>({ tenant, reads, choose: (found) => choose(order, found) });
    return isEnd<CommitPlan>(outcome) ? outcome.end : outcome.assembled;
  }

  async function deliverLocally(tenant: string, local: LocalMessagePayload, origin: Origin): Promise<void> {
    const { connection, replyTo, message: json } = local;
    const message = readMessage(json);
    const known = kernel.registry.message(message.type);
    if (typeof known === 'string') throw new AppError('message-unknown', `no protocol takes ${message.type}`);
    const { protocol, step } = known;
    if (!known.body.check(message.body)) throw new AppError('message-invalid', `the attached ${known.name} does not match its schema`);
    // the author of an attachment is not known to have the grant
    if (step.grant !== undefined)
      throw new AppError('unauthorized', `${known.name} is taken from a connection that is granted ${step.grant}`);
    const begins = step.from === '*' || step.from.includes(NEW);
    await run({
      tenant,
      protocol,
      about: { category: protocol.binds.category, tag: 'thread', equals: message.thid },
      connection,
      load: step.load?.(message, connection),
      // its author must not reach another peer's exchange, nor be kept from his own by one; and unless that was decided before, it only begins one
      among: (rows) =>
        rows.find((row) => (replyTo ? connectionlessPeerOf(loadedRecord(row))?.key === replyTo.key : row.connection === connection)),
      role: local.continues ? step.role : undefined,
      from: local.continues ? step.from : begins ? [NEW] : [],
      origin: { ...origin, thid: message.thid },
      otherwise: 'ignore',
      step(ctx) {
        const effects = step.step(ctx, message);
        return replyTo ? withReplyTo(effects, replyTo) : effects;
      },
    });
  }

  return { run, deliverLocally };
}

const missing = ({ protocol: { binds }, record }: StepOrder): string =>
  binds.admin?.notFound ?? `Record not found: ${binds.category}/${record?.id}`;

/** The failure of a call whose work came too late: another was quicker, and the record went on, or was deleted. */
function overtaken(order: StepOrder, record: LoadedRecord | undefined): Origin['failure'] {
  if (!order.late) return undefined;
  return record ? { code: 'wrong-state', text: wrongState(order.protocol, record, order) } : { code: 'not-found', text: missing(order) };
}

function wrongState(protocol: Protocol, record: LoadedRecord, { role, from }: Pick<StepOrder, 'role' | 'from'>): string {
  const label = protocol.binds.label ?? 'Record';
  if (isForeign(protocol, record)) return `${label} ${record.id} is of protocol ${record.value.protocol}, not ${protocol.name}`;
  if (role && record.role !== role) return `${label} ${record.id} role is ${record.role}, must be ${role}`;
  const states = (from as readonly string[]).filter((state) => state !== NEW);
  return `${label} ${record.id} in ${record.state} state (must be ${states.join(' or ')})`;
}
