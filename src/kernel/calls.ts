import { AppError, asAppError, type ErrorCode, errorRow } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';
import type { ClaimedJob, Commit } from '../ports/store.ts';
import type { StepOrder } from './commands.ts';
import { type CommitPlan, WITHHELD } from './commit-plan.ts';
import type { Kernel } from './context.ts';
import type { Engine } from './engine.ts';
import { newId } from './ids.ts';
import { type AnswerRef, type CommandPayload, type LedgerPayload, shortHash, type TellPayload, type WorkPayload } from './jobs.ts';
import type { CommandInput } from './protocol.ts';
import { toExchange, viewOf } from './record.ts';
import type { WorkContext, WorkOps } from './work.ts';

/** How long a controller's call waits for what it caused (rule 3), unless the command says otherwise. */
const WAIT_MS = 15_000;
/** A job that lost its race so often has no race but a contradiction. */
const MAX_CLASHES = 8;
/** Notice of progress is only a hint, so a waiting call also looks by itself. */
const LOOK_MS = 200;
/** How often a DID's server is asked, up to half a minute apart: a name that does not resolve now may in a while. */
const MAX_RESOLVES = 20;
/** How long a call waits for a record that is still being made, beyond its patience: before that there is nothing to answer with. */
const MAKING_MS = 120_000;

export interface ControllerCall {
  readonly record?: string;
  /** Where the path names the connection rather than the record. */
  readonly connection?: string;
  readonly input: CommandInput;
  /** The controller's own name of this call: said again within a day, it has no second effect and answers as the first one. */
  readonly key?: string;
}

export interface Calls {
  /**
   * A controller's command, from its call to its answer: the record as it stands when nothing that the call caused is open any more.
   * @throws AppError of the failed step or job, with ACA-Py's status.
   */
  call(tenant: string, protocol: string, command: string, call: ControllerCall): Promise<JsonObject>;
  /**
   * Runs a claimed job of kind command, tell or work to its commit, which also completes it.
   * @throws what the job may be retried for; everything else has been written as the job's failure.
   */
  run(job: ClaimedJob, lease: string): Promise<void>;
  /** Completes a ledger job with its result, or its failure. */
  ledgerDone(
    job: ClaimedJob,
    lease: string,
    result: { round?: number; write: LedgerWrite } | AppError,
    deletes?: Commit['deletes'],
  ): Promise<void>;
  /** Lets the controller see why a ledger write is not done yet. */
  ledgerWaits(job: ClaimedJob, reason: string): Promise<void>;
  /** Calls that wait answer now, with what there is: the agent stops, and what they caused goes on when it is back. */
  end(): void;
}

/** Calls of controllers, and the jobs that follow from them, on one engine. */
export function createCalls(kernel: Kernel, engine: Engine, ops: WorkOps, work: (tenant: string) => WorkContext): Calls {
  const { registry, db } = kernel;
  const waits = new Set<() => void>();
  /** Calls that wait in this process, by their cause. */
  const asked = new Set<string>();
  let ending = false;
  /** Whether work needs the AnonCreds library, and what of the ledger that reads: it is named after a format that does. */
  const needsAnoncreds = (op: string): boolean => registry.formats.named(op.slice(0, op.indexOf('/')))?.needs === 'anoncreds';

  async function call(tenant: string, protocolName: string, command: string, given: ControllerCall): Promise<JsonObject> {
    const { protocol, step } = registry.command(protocolName, command);
    const { input, key } = given;
    const cause = key === undefined ? newId() : shortHash(`${protocolName} ${command} ${given.record ?? given.connection ?? ''} ${key}`);
    const answered = async (): Promise<JsonObject | undefined> => {
      if (key === undefined) return undefined;
      const { mark } = await db.store.loadMarked(tenant, cause, []);
      if (!mark) return undefined;
      const withheld = mark.answer?.[WITHHELD] as JsonObject | undefined;
      return await settled(tenant, cause, withheld ?? mark.answer ?? {}, undefined, step.patience, withheld !== undefined);
    };
    const known = await answered();
    if (known) return known;
    const about = step.about?.(input);
    const connection = step.connection
      ? (given.connection ?? ((input.body?.[step.connection] ?? input.query[step.connection]) as string | undefined))
      : undefined;
    const request: StepOrder = {
      tenant,
      protocol,
      record: given.record === undefined ? undefined : { category: protocol.binds.category, id: given.record },
      about,
      connection,
      load: step.load?.(input, given.record, connection, registry),
      pages: step.pages?.(input, given.record),
      from: step.from,
      role: step.role,
      origin: { cause, callMark: key === undefined ? undefined : cause },
      otherwise: 'error',
      step(ctx) {
        const effects = step.step(ctx, input);
        // a new call hears at once what cannot be done now, and has changed nothing; what is in hand already waits
        if (!effects.work?.some(({ op }) => needsAnoncreds(op))) return effects;
        const { on, text } = work(tenant).anoncreds.status();
        if (!on) throw new AppError('anoncreds-off', text);
        return effects;
      },
      command: { name: command, input, routed: step.route !== undefined },
    };
    let first: CommitPlan;
    try {
      first = await engine.transition(request);
    } catch (error) {
      // the same call under the same key, a moment earlier
      const other = asAppError(error).code === 'conflict' ? await answered() : undefined;
      if (other) return other;
      throw error;
    }
    const pending = step.pending && first.answerRef ? { states: step.pending, ...first.answerRef } : undefined;
    if (!first.spawned && !pending) return first.answer;
    return await settled(tenant, cause, first.answer, pending, step.patience, first.withheld, first.answerRef);
  }

  /** Whether a record was begun and has none of its states yet: what would be answered is no exchange as a controller knows it. */
  async function isMaking(tenant: string, ref: AnswerRef | undefined): Promise<boolean> {
    if (!ref || !registry.records.get(ref.category)?.states.length) return false;
    const [rows] = await db.store.load(tenant, [{ category: ref.category, id: ref.id }]);
    return rows?.[0] !== undefined && !rows[0].state;
  }

  /** What a call that waits for its peer answers: the record once it left the pending states; undefined while it has not. */
  async function left(tenant: string, pending: AnswerRef & { states: readonly string[] }): Promise<JsonObject | undefined> {
    const [rows] = await db.store.load(tenant, [{ category: pending.category, id: pending.id }]);
    const row = rows?.[0];
    const def = registry.records.get(pending.category);
    return row && def && !pending.states.includes(row.state ?? '') ? viewOf(def, toExchange(row), registry.formats) : undefined;
  }

  /** Waits until a cause has no open job, then answers with what it wrote last. `withheld`: before that there is no answer. */
  async function settled(
    tenant: string,
    cause: string,
    otherwise: JsonObject,
    pending?: AnswerRef & { states: readonly string[] },
    patience = WAIT_MS,
    withheld = false,
    ref?: AnswerRef,
  ): Promise<JsonObject> {
    kernel.turns?.pass();
    const deadline = Date.now() + patience;
    let nudge = (): void => {};
    const wake = (): void => nudge();
    waits.add(wake);
    asked.add(cause);
    const stop = db.jobs.subscribe((hint) => {
      if (hint.causes.includes(cause) || (pending && hint.events.some(({ event }) => event.record === pending.id))) nudge();
    });
    try {
      for (;;) {
        const moved = new Promise<void>((resolve) => {
          nudge = resolve;
        });
        const status = await db.store.cause(tenant, cause);
        if (status.failure) throw new AppError(status.failure.code as ErrorCode, status.failure.text);
        const late = ending || Date.now() >= deadline;
        if (late && withheld && status.open > 0)
          throw new AppError(
            'timeout',
            'The mediator has not said yet that it knows the new key: the same call under the same idempotency-key is answered when it has',
          );
        if (late && status.open > 0 && (await isMaking(tenant, ref))) {
          if (ending || Date.now() >= deadline + MAKING_MS)
            throw new AppError('timeout', 'What was asked for is still being made: it goes on, and the webhooks tell when it is there');
        } else if (status.open === 0 || late) {
          const answer = pending ? await left(tenant, pending) : (status.snapshot ?? otherwise);
          if (answer) return answer;
          if (late) return status.snapshot ?? otherwise;
        }
        const timer = setTimeout(() => nudge(), LOOK_MS);
        await moved;
        clearTimeout(timer);
      }
    } finally {
      waits.delete(wake);
      asked.delete(cause);
      stop();
    }
  }

  async function run(job: ClaimedJob, lease: string): Promise<void> {
    const held = { id: job.id, lease };
    if (job.kind === 'tell') {
      const tell = job.payload as unknown as TellPayload;
      await orFail(job, lease, undefined, () =>
        engine.deliverLocally(job.tenant, tell, { job: held, cause: job.cause, answer: tell.answer }),
      );
    } else if (job.kind === 'command') {
      const payload = job.payload as unknown as CommandPayload;
      const { protocol, step } = registry.command(payload.protocol, payload.command);
      const input: CommandInput = { body: payload.input, query: {} };
      await orFail(job, lease, { ...payload, result: payload.command }, () =>
        engine.transition({
          tenant: job.tenant,
          protocol,
          record: { category: payload.category, id: payload.id },
          load: step.load?.(input, payload.id, undefined, registry),
          pages: step.pages?.(input, payload.id),
          mail: step.mail && payload.id,
          from: step.from,
          role: step.role,
          origin: { cause: job.cause, answer: payload.answer, job: held },
          otherwise: 'ignore',
          step: (ctx) => step.step(ctx, input),
        }),
      );
    } else {
      const payload = job.payload as unknown as WorkPayload;
      await orFail(job, lease, payload, async () => {
        const op = ops[payload.op];
        if (!op) throw new AppError('internal', `no work is called ${payload.op}`);
        const output = await op(work(job.tenant), payload.input);
        await resultOf(job, held, payload, output);
      });
    }
  }

  async function resultOf(
    job: ClaimedJob,
    held: { id: string; lease: string },
    payload: { protocol: string; category: string; id: string; result: string; answer?: AnswerRef },
    output: unknown,
    deletes?: Commit['deletes'],
  ): Promise<void> {
    const protocol = registry.protocol(payload.protocol);
    const step = protocol.results?.[payload.result];
    if (!step) throw new AppError('internal', `${payload.protocol} has no result ${payload.result}`);
    await engine.transition({
      tenant: job.tenant,
      protocol,
      record: { category: payload.category, id: payload.id },
      load: step.load?.(output as JsonObject),
      from: step.from,
      origin: { cause: job.cause, answer: payload.answer, job: held, deletes },
      otherwise: 'ignore',
      late: true,
      step: (ctx) => step.step(ctx, output),
    });
  }

  /** Runs a job; a failure that no retry can mend becomes the record's error and the waiting call's answer, in one commit with the job's end. */
  async function orFail(
    job: ClaimedJob,
    lease: string,
    about: { protocol: string; category: string; id: string; result: string; answer?: AnswerRef } | undefined,
    action: () => Promise<unknown>,
  ): Promise<void> {
    try {
      await action();
    } catch (thrown) {
      const error = asAppError(thrown);
      // a clash that does not go away with reloading is the job's own: two records that want to be one
      const clash = error.code === 'conflict' && job.attempts >= MAX_CLASHES;
      if (passes(job, error)) throw new AppError('unfinished', error.message, { cause: error });
      if (error.code === 'lease-lost' || (error.row.retry && !clash) || (await kernel.profiles.isTenantDeleted(job.tenant, error)))
        throw error;
      if (error.code === 'internal') kernel.log.error({ job: job.id, kind: job.kind, err: error.cause ?? error }, 'a job failed');
      await fail(job, lease, about, error);
    }
  }

  /** Whether a failure is of this start or this hour, and nothing of the exchange: it waits. Whoever asks for something now is told instead. */
  function passes(job: ClaimedJob, { code }: AppError): boolean {
    const op = job.kind === 'work' ? (job.payload as unknown as WorkPayload).op : undefined;
    if (op === undefined) return false;
    if (code === 'anoncreds-off') return true;
    if (job.cause !== undefined && asked.has(job.cause)) return false;
    return (code === 'ledger-none' && needsAnoncreds(op)) || (code === 'did-unavailable' && job.attempts < MAX_RESOLVES);
  }

  async function fail(
    job: ClaimedJob,
    lease: string,
    about: { protocol: string; category: string; id: string; result: string; answer?: AnswerRef } | undefined,
    error: AppError,
    deletes?: Commit['deletes'],
  ): Promise<void> {
    const held = { id: job.id, lease };
    const failure = { code: error.code, text: error.code === 'internal' ? errorRow('internal').text : error.message };
    const protocol = about && registry.protocol(about.protocol);
    const told = job.kind === 'tell' ? (job.payload as unknown as TellPayload).answer : undefined;
    const [[row] = []] = told ? await db.store.load(job.tenant, [told]) : [];
    const owner = row && registry.owner(row.category, row.value);
    const alone = (): Promise<unknown> =>
      db.store.commit(job.tenant, { done: [held], deletes, failures: job.cause ? [{ cause: job.cause, ...failure }] : [] });
    const { failed } = protocol ?? {};
    const end = { tenant: job.tenant, from: '*', otherwise: 'ignore' } as const;
    try {
      if (about && protocol && failed)
        await engine.transition({
          ...end,
          protocol,
          record: { category: about.category, id: about.id },
          // a failure of work that came too late is not the record's, which went on without it
          from: protocol.results?.[about.result]?.from ?? '*',
          late: true,
          origin: { cause: job.cause, answer: about.answer, job: held, failure, deletes },
          step: (ctx) => failed(ctx, { result: about.result, ...failure }),
        });
      // what was attached to something and cannot be taken leaves its trace there
      else if (told && owner)
        await engine.transition({
          ...end,
          protocol: owner,
          record: told,
          origin: { cause: job.cause, answer: told, job: held, failure, deletes },
          step: () => ({ record: { patch: { error_msg: `An attached message was not taken: ${failure.text}` } } }),
        });
      else await alone();
    } catch (thrown) {
      const { code, row } = asAppError(thrown);
      if (row.retry || code === 'lease-lost') throw thrown;
      // what a failure does to its record is broken itself: the job must end all the same
      kernel.log.error({ job: job.id, kind: job.kind, err: thrown }, 'a failure could not be written to its record');
      await alone();
    }
  }

  async function ledgerDone(
    job: ClaimedJob,
    lease: string,
    result: { round?: number; write: LedgerWrite } | AppError,
    deletes: Commit['deletes'] = [],
  ): Promise<void> {
    const payload = job.payload as unknown as LedgerPayload;
    const held = { id: job.id, lease };
    if (result instanceof AppError) await fail(job, lease, payload, result, deletes);
    else await orFail(job, lease, payload, () => resultOf(job, held, payload, result, deletes));
  }

  async function ledgerWaits(job: ClaimedJob, reason: string): Promise<void> {
    const payload = job.payload as unknown as LedgerPayload;
    const protocol = registry.protocol(payload.protocol);
    await engine.transition({
      tenant: job.tenant,
      protocol,
      record: { category: payload.category, id: payload.id },
      from: protocol.binds.states,
      origin: { cause: job.cause, answer: payload.answer, interim: true },
      otherwise: 'ignore',
      step: (ctx) => (ctx.record?.value.error_msg === reason ? {} : { record: { patch: { error_msg: reason } } }),
    });
  }

  function end(): void {
    ending = true;
    for (const wake of waits) wake();
  }

  return { call, run, ledgerDone, ledgerWaits, end };
}
