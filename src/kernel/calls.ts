import { AppError, asAppError, type ErrorCode } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';
import type { ClaimedJob, Commit } from '../ports/store.ts';
import type { StepOrder } from './commands.ts';
import { type CommitPlan, DEFERRED_ANSWER } from './commit-plan.ts';
import type { Kernel } from './context.ts';
import type { Engine } from './engine.ts';
import { newId } from './ids.ts';
import { ledgerDone, ledgerWaits, type On, runJob } from './job-steps.ts';
import { type AnswerRef, shortHash } from './jobs.ts';
import type { CommandInput } from './protocol.ts';
import { loadedRecord, viewOf } from './record.ts';
import type { WorkContext, WorkOps } from './work.ts';

/** How long a controller's call waits for what it caused (rule 3), unless the command says otherwise. */
const WAIT_MS = 15_000;
/** Notice of progress is only a hint, so a waiting call also looks by itself. */
const LOOK_MS = 200;
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
    const callId = key === undefined ? newId() : shortHash(`${protocolName} ${command} ${given.record ?? given.connection ?? ''} ${key}`);
    const answered = async (): Promise<JsonObject | undefined> => {
      if (key === undefined) return undefined;
      const { repeated } = await db.store.loadWithDedupKey(tenant, callId, []);
      if (!repeated) return undefined;
      const deferredAnswer = repeated.answer?.[DEFERRED_ANSWER] as JsonObject | undefined;
      return await settled(
        tenant,
        callId,
        deferredAnswer ?? repeated.answer ?? {},
        undefined,
        step.timeoutMs,
        deferredAnswer !== undefined,
      );
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
      origin: { callId, callDedupKey: key === undefined ? undefined : callId },
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
    const waitWhile = step.waitWhile && first.answerRef ? { states: step.waitWhile, ...first.answerRef } : undefined;
    if (!first.spawned && !waitWhile) return first.answer;
    return await settled(tenant, callId, first.answer, waitWhile, step.timeoutMs, first.deferredAnswer, first.answerRef);
  }

  /** Whether a record was begun and has none of its states yet: what would be answered is no exchange as a controller knows it. */
  async function isMaking(tenant: string, ref: AnswerRef | undefined): Promise<boolean> {
    if (!ref || !registry.records.get(ref.category)?.states.length) return false;
    const [rows] = await db.store.load(tenant, [{ category: ref.category, id: ref.id }]);
    return rows?.[0] !== undefined && !rows[0].state;
  }

  /** What a call that waits for its peer answers: the record once it left the pending states; undefined while it has not. */
  async function left(tenant: string, waitWhile: AnswerRef & { states: readonly string[] }): Promise<JsonObject | undefined> {
    const [rows] = await db.store.load(tenant, [{ category: waitWhile.category, id: waitWhile.id }]);
    const row = rows?.[0];
    const def = registry.records.get(waitWhile.category);
    return row && def && !waitWhile.states.includes(row.state ?? '') ? viewOf(def, loadedRecord(row), registry.formats) : undefined;
  }

  /** Waits until a cause has no open job, then answers with what it wrote last. `withheld`: before that there is no answer. */
  async function settled(
    tenant: string,
    callId: string,
    otherwise: JsonObject,
    waitWhile?: AnswerRef & { states: readonly string[] },
    timeoutMs = WAIT_MS,
    deferredAnswer = false,
    ref?: AnswerRef,
  ): Promise<JsonObject> {
    kernel.tenantLimiter?.pass();
    const deadline = Date.now() + timeoutMs;
    let nudge = (): void => {};
    const wake = (): void => nudge();
    waits.add(wake);
    asked.add(callId);
    const stop = db.jobs.subscribe((notification) => {
      if (notification.callIds.includes(callId) || (waitWhile && notification.events.some(({ event }) => event.record === waitWhile.id)))
        nudge();
    });
    try {
      for (;;) {
        const moved = new Promise<void>((resolve) => {
          nudge = resolve;
        });
        const status = await db.store.callStatus(tenant, callId);
        if (status.failure) throw new AppError(status.failure.code as ErrorCode, status.failure.text);
        const late = ending || Date.now() >= deadline;
        if (late && deferredAnswer && status.open > 0)
          throw new AppError(
            'timeout',
            'The mediator has not said yet that it knows the new key: the same call under the same idempotency-key is answered when it has',
          );
        if (late && status.open > 0 && (await isMaking(tenant, ref))) {
          if (ending || Date.now() >= deadline + MAKING_MS)
            throw new AppError('timeout', 'What was asked for is still being made: it goes on, and the webhooks tell when it is there');
        } else if (status.open === 0 || late) {
          const answer = waitWhile ? await left(tenant, waitWhile) : (status.result ?? otherwise);
          if (answer) return answer;
          if (late) return status.result ?? otherwise;
        }
        const timer = setTimeout(() => nudge(), LOOK_MS);
        await moved;
        clearTimeout(timer);
      }
    } finally {
      waits.delete(wake);
      asked.delete(callId);
      stop();
    }
  }

  function end(): void {
    ending = true;
    for (const wake of waits) wake();
  }

  const on: On = { kernel, engine, ops, work, needsAnoncreds, isWaiting: (callId) => asked.has(callId) };
  return {
    call,
    end,
    run: (job, lease) => runJob(on, job, lease),
    ledgerDone: (job, lease, result, deletes) => ledgerDone(on, job, lease, result, deletes),
    ledgerWaits: (job, reason) => ledgerWaits(on, job, reason),
  };
}
