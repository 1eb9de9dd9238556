import { AppError, asAppError, errorRow } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';
import type { ClaimedJob, Commit } from '../ports/store.ts';
import type { Kernel } from './context.ts';
import type { NextCommand, WorkOrder } from './effects.ts';
import type { Engine } from './engine.ts';
import { type AnswerRef, commandJob, payloadOf } from './jobs.ts';
import type { CommandInput } from './protocol.ts';
import { loadedRecord, viewOf } from './record.ts';
import type { WorkContext, WorkOps } from './work.ts';

/** The steps that follow from jobs: commands, local messages, results of work and of ledger writes, and failures. */

/** A job that lost its race so often has no race but a contradiction. */
const MAX_CLASHES = 8;
/** How often a DID's server is asked, up to half a minute apart: a name that does not resolve now may in a while. */
const MAX_RESOLVES = 20;

/** The surroundings of job steps. */
export interface On {
  readonly kernel: Kernel;
  readonly engine: Engine;
  readonly ops: WorkOps;
  readonly work: (tenant: string) => WorkContext;
  /** Whether the call of this id waits in this process. */
  isWaiting(callId: string): boolean;
  /** Whether work needs the AnonCreds library. */
  needsAnoncreds(op: string): boolean;
}

/** A step that a job is about. */
interface About {
  protocol: string;
  category: string;
  id: string;
  result: string;
  answer?: AnswerRef;
}

/**
 * Runs a claimed job of kind command, local-message or work to its commit, which also completes it.
 * @throws what the job may be retried for; everything else has been written as the job's failure
 */
export async function runJob(on: On, job: ClaimedJob, lease: string): Promise<void> {
  const held = { id: job.id, lease };
  if (isLocalMessage(job)) {
    const local = payloadOf('local-message', job);
    await orFail(on, job, lease, undefined, () =>
      on.engine.deliverLocally(job.tenant, local, { job: held, callId: job.callId, answer: local.answer }),
    );
  } else if (job.kind === 'command') {
    const payload = payloadOf('command', job);
    const { protocol, step } = on.kernel.registry.command(payload.protocol, payload.command);
    const input: CommandInput = { body: payload.input, query: {} };
    await orFail(on, job, lease, { ...payload, result: payload.command }, () =>
      on.engine.transition({
        tenant: job.tenant,
        protocol,
        record: { category: payload.category, id: payload.id },
        load: step.load?.(input, payload.id, undefined, on.kernel.registry),
        pages: step.pages?.(input, payload.id),
        mail: step.mail && payload.id,
        from: step.from,
        role: step.role,
        origin: { callId: job.callId, answer: payload.answer, job: held },
        otherwise: 'ignore',
        step: (ctx) => step.step(ctx, input),
      }),
    );
  } else {
    const payload = payloadOf('work', job);
    await orFail(on, job, lease, payload, async () => {
      const op = on.ops[payload.op];
      if (!op) throw new AppError('internal', `no work is called ${payload.op}`);
      const output = await op({ ...on.work(job.tenant), allocated: job.allocated }, payload.input);
      try {
        await resultOf(on, job, held, payload, output);
      } catch (error) {
        const full = error instanceof AppError && error.code === 'counter-full' ? (output as { next?: WorkOrder }).next : undefined;
        if (full?.allocate?.whenFull) await orderAlone(on, job.tenant, payload, full.allocate.whenFull);
        throw error;
      }
    });
  }
}

/** `tell`: of an earlier version. */
const isLocalMessage = ({ kind }: ClaimedJob): boolean => kind === 'local-message' || kind === 'tell';

/** Orders a command by itself: what its step finds decides whether anything follows. */
async function orderAlone(on: On, tenant: string, about: About, { command, input = {}, protocol, record }: NextCommand): Promise<void> {
  const { category, id } = record ?? about;
  const order = commandJob(tenant, { protocol: protocol ?? about.protocol, command, category, id, input });
  await on.kernel.db.store.commit(tenant, { jobs: [order] });
}

async function resultOf(
  on: On,
  job: ClaimedJob,
  held: { id: string; lease: string },
  payload: About,
  output: unknown,
  rest: LedgerEnd = {},
): Promise<void> {
  const protocol = on.kernel.registry.protocol(payload.protocol);
  const step = protocol.results?.[payload.result];
  if (!step) throw new AppError('internal', `${payload.protocol} has no result ${payload.result}`);
  await on.engine.transition({
    tenant: job.tenant,
    protocol,
    record: { category: payload.category, id: payload.id },
    load: step.load?.(output as JsonObject),
    pages: step.pages?.(output as JsonObject, payload.id),
    from: step.from,
    origin: { callId: job.callId, answer: payload.answer, job: held, ...rest },
    otherwise: 'ignore',
    late: true,
    step: (ctx) => step.step(ctx, output),
  });
}

/** Runs a job; a failure that no retry can mend becomes the record's error and the waiting call's answer, in one commit with the job's end. */
async function orFail(on: On, job: ClaimedJob, lease: string, about: About | undefined, action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    const error = asAppError(thrown);
    // a clash that does not go away with reloading is the job's own: two records that want to be one
    const clash = error.code === 'conflict' && job.attempts >= MAX_CLASHES;
    if (passes(on, job, error)) throw new AppError('unfinished', error.message, { cause: error });
    if (error.code === 'lease-lost' || (error.row.retry && !clash) || (await on.kernel.profiles.isTenantDeleted(job.tenant, error)))
      throw error;
    if (error.code === 'internal') on.kernel.log.error({ job: job.id, kind: job.kind, err: error.cause ?? error }, 'a job failed');
    await fail(on, job, lease, about, error);
  }
}

/** Whether a failure is of this start or this hour, and nothing of the exchange: it waits. A call that waits gets the failure instead. */
function passes(on: On, job: ClaimedJob, { code }: AppError): boolean {
  const op = job.kind === 'work' ? payloadOf('work', job).op : undefined;
  if (op === undefined) return false;
  if (code === 'anoncreds-off') return true;
  if (job.callId !== undefined && on.isWaiting(job.callId)) return false;
  return (code === 'ledger-none' && on.needsAnoncreds(op)) || (code === 'did-unavailable' && job.attempts < MAX_RESOLVES);
}

async function fail(
  on: On,
  job: ClaimedJob,
  lease: string,
  about: About | undefined,
  error: AppError,
  rest: LedgerEnd = {},
): Promise<void> {
  const held = { id: job.id, lease };
  const failure = { code: error.code, text: error.code === 'internal' ? errorRow('internal').text : error.message };
  const protocol = about && on.kernel.registry.protocol(about.protocol);
  const reference = isLocalMessage(job) ? payloadOf('local-message', job).answer : undefined;
  const [[row] = []] = reference ? await on.kernel.db.store.load(job.tenant, [reference]) : [];
  const owner = row && on.kernel.registry.owner(row.category, row.value);
  const alone = (): Promise<unknown> =>
    on.kernel.db.store.commit(job.tenant, { done: [held], ...rest, failures: job.callId ? [{ callId: job.callId, ...failure }] : [] });
  const { failed } = protocol ?? {};
  const end = { tenant: job.tenant, from: '*', otherwise: 'ignore' } as const;
  try {
    if (about && protocol && failed)
      await on.engine.transition({
        ...end,
        protocol,
        record: { category: about.category, id: about.id },
        // a failure of work that came too late is not the record's, which went on without it
        from: protocol.results?.[about.result]?.from ?? '*',
        late: true,
        origin: { callId: job.callId, answer: about.answer, job: held, failure, ...rest },
        step: (ctx) => failed(ctx, { result: about.result, ...failure }),
      });
    // an attached message that cannot be taken leaves its error at the invitation
    else if (reference && owner)
      await on.engine.transition({
        ...end,
        protocol: owner,
        record: reference,
        origin: { callId: job.callId, answer: reference, job: held, failure, ...rest },
        step: () => ({ record: { patch: { error_msg: `An attached message was not taken: ${failure.text}` } } }),
      });
    else await alone();
  } catch (thrown) {
    const { code, row } = asAppError(thrown);
    if (row.retry || code === 'lease-lost') throw thrown;
    // the step for the failure fails itself: the job must end all the same
    on.kernel.log.error({ job: job.id, kind: job.kind, err: thrown }, 'a failure could not be written to its record');
    await alone();
  }
}

/** Parts of the commit that ends a ledger job: rows of the worker, and jobs that follow. */
export interface LedgerEnd {
  readonly deletes?: Commit['deletes'];
  readonly jobs?: Commit['jobs'];
}

/** Completes a ledger job with its result, or its failure. */
export async function ledgerDone(
  on: On,
  job: ClaimedJob,
  lease: string,
  result: { round?: number; write: LedgerWrite } | AppError,
  rest: LedgerEnd = {},
): Promise<void> {
  const payload = payloadOf('ledger', job);
  const held = { id: job.id, lease };
  if (result instanceof AppError) await fail(on, job, lease, payload, result, rest);
  else await orFail(on, job, lease, payload, () => resultOf(on, job, held, payload, result, rest));
}

/** The record in which a ledger job goes on, and the command that takes it there. */
export interface LedgerHandOver {
  readonly protocol: string;
  readonly command: string;
  readonly record: { readonly category: string; readonly id: string };
  readonly connection?: string;
  readonly input: JsonObject;
  /** Why the waiting call has come to nothing. */
  readonly failure?: { readonly code: string; readonly text: string };
}

/**
 * Ends a ledger job with a command of another record, in which its write goes on. The record that ordered the write stays as it is, and is handed to the command
 * as its controller sees it, under `subject`.
 */
export async function ledgerHandOver(on: On, job: ClaimedJob, lease: string, to: LedgerHandOver, rest: LedgerEnd = {}): Promise<void> {
  const { registry, db } = on.kernel;
  const payload = payloadOf('ledger', job);
  const { protocol, step } = registry.command(to.protocol, to.command);
  const owner = registry.protocol(payload.protocol);
  const [[row] = []] = await db.store.load(job.tenant, [{ category: payload.category, id: payload.id }]);
  const record = row && loadedRecord(row);
  const subject = record && (owner.answer?.(record, registry.formats) ?? viewOf(owner.binds, record, registry.formats));
  const input: CommandInput = { body: { ...to.input, subject }, query: {} };
  const held = { id: job.id, lease };
  await on.engine.transition({
    tenant: job.tenant,
    protocol,
    record: to.record,
    connection: to.connection,
    load: step.load?.(input, to.record.id, to.connection, registry),
    from: step.from,
    role: step.role,
    origin: { callId: job.callId, answer: payload.answer, job: held, failure: to.failure, ...rest },
    otherwise: 'ignore',
    step: (ctx) => step.step(ctx, input),
  });
}

/** Lets the controller see why a ledger write is not done yet. */
export async function ledgerWaits(on: On, job: ClaimedJob, reason: string): Promise<void> {
  const payload = payloadOf('ledger', job);
  const protocol = on.kernel.registry.protocol(payload.protocol);
  await on.engine.transition({
    tenant: job.tenant,
    protocol,
    record: { category: payload.category, id: payload.id },
    from: protocol.binds.states,
    origin: { callId: job.callId, answer: payload.answer, interim: true },
    otherwise: 'ignore',
    step: (ctx) => (ctx.record?.value.error_msg === reason ? {} : { record: { patch: { error_msg: reason } } }),
  });
}
