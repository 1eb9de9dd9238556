import { AppError, asAppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';
import type { ClaimedJob } from '../ports/store.ts';
import type { AuditedCall } from './audit.ts';
import { type CommittedCall, createCallAnswers } from './call-answers.ts';
import { now } from './clock.ts';
import type { StepOrder } from './commands.ts';
import { type CommitPlan, DEFERRED_ANSWER } from './commit-plan.ts';
import type { Kernel } from './context.ts';
import type { Engine } from './engine.ts';
import { newId } from './ids.ts';
import { type LedgerEnd, type LedgerHandOver, ledgerDone, ledgerHandOver, ledgerWaits, type On, runJob } from './job-steps.ts';
import { type AnswerRef, shortHash } from './jobs.ts';
import type { CommandInput, CommandStep } from './protocol.ts';
import type { WorkCall, WorkContext, WorkOps } from './work.ts';

export interface ControllerCall {
  readonly record?: string;
  /** Where the path names the connection rather than the record. */
  readonly connection?: string;
  readonly input: CommandInput;
  /** The controller's idempotency key: a call that is repeated within a day has no second effect and the same answer. */
  readonly key?: string;
  /** The call of the admin API that it follows from: its row in the audit trail is in the same commit. */
  readonly audited?: AuditedCall;
}

/** How long a call of work holds its place at a time, and how long it is known. */
const WORK_WAIT_MS = 300;
const WORK_LIFE_MS = 30 * 24 * 3600_000;

export interface Calls {
  /**
   * A controller's command, from its call to its answer: the record as it stands when nothing that the call caused is open any more.
   * @throws AppError of the failed step or job, with ACA-Py's status.
   */
  call(tenant: string, protocol: string, command: string, call: ControllerCall): Promise<JsonObject>;
  /** A command that work calls: `WorkContext.call`. */
  callFromWork(tenant: string, protocol: string, command: string, given: WorkCall, key: string): Promise<JsonObject>;
  /**
   * Runs a claimed job of kind command, local-message or work to its commit, which also completes it.
   * @throws what the job may be retried for; everything else has been written as the job's failure.
   */
  run(job: ClaimedJob, lease: string): Promise<void>;
  /** Completes a ledger job with its result, or its failure. */
  ledgerDone(job: ClaimedJob, lease: string, result: { round?: number; write: LedgerWrite } | AppError, rest?: LedgerEnd): Promise<void>;
  /** Ends a ledger job with a command of another record, in which its write goes on. */
  ledgerHandOver(job: ClaimedJob, lease: string, to: LedgerHandOver, rest?: LedgerEnd): Promise<void>;
  /** Lets the controller see why a ledger write is not done yet. */
  ledgerWaits(job: ClaimedJob, reason: string): Promise<void>;
  /** Calls that wait answer now, with what there is: the agent stops, and what they caused goes on when it is back. */
  end(): void;
}

/** Calls of controllers, and the jobs that follow from them, on one engine. */
export function createCalls(kernel: Kernel, engine: Engine, ops: WorkOps, work: (tenant: string) => WorkContext): Calls {
  const { registry, db } = kernel;
  const answers = createCallAnswers(kernel);
  /** Whether work needs the AnonCreds library, and what of the ledger that reads: it is named after a format that does. */
  const needsAnoncreds = (op: string): boolean => registry.formats.named(op.slice(0, op.indexOf('/')))?.needs === 'anoncreds';

  /** @param whole an answer is wanted only where nothing of the call is open any more */
  async function call(tenant: string, protocolName: string, command: string, given: ControllerCall, whole = false): Promise<JsonObject> {
    const { protocol, step } = registry.command(protocolName, command);
    const timeoutMs = whole ? WORK_WAIT_MS : step.timeoutMs;
    const { input, key } = given;
    const callId = key === undefined ? newId() : shortHash(`${protocolName} ${command} ${given.record ?? given.connection ?? ''} ${key}`);
    const answered = async (): Promise<JsonObject | undefined> => {
      if (key === undefined) return undefined;
      const { repeated } = await db.store.loadWithDedupKey(tenant, callId, []);
      if (!repeated) return undefined;
      const deferredAnswer = repeated.answer?.[DEFERRED_ANSWER] as JsonObject | undefined;
      return await answers.settled({
        tenant,
        callId,
        otherwise: deferredAnswer ?? repeated.answer ?? {},
        timeoutMs,
        whole,
        deferredAnswer: deferredAnswer !== undefined,
      });
    };
    const known = await answered();
    if (known) return known;
    const about = step.about?.(input);
    const connection = step.connection
      ? (given.connection ??
        (((input.body as JsonObject | undefined)?.[step.connection] ?? input.query[step.connection]) as string | undefined))
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
      origin: {
        callId,
        callDedupKey: key === undefined ? undefined : callId,
        dedupLife: whole ? WORK_LIFE_MS : undefined,
        audited: given.audited,
      },
      otherwise: 'error',
      step(ctx) {
        const effects = step.step(ctx, input);
        // a new call fails at once, and has changed nothing; work that is queued already waits
        if (!effects.work?.some(({ op }) => needsAnoncreds(op))) return effects;
        const { on, text } = work(tenant).anoncreds.status();
        if (!on) throw new AppError('anoncreds-off', text);
        return effects;
      },
      command: { name: command, input, routed: step.route !== undefined },
    };
    // only who has the key of a call can ask for its answer again
    const awaited = key === undefined ? answers.await(callId) : undefined;
    try {
      let first: CommitPlan;
      try {
        first = await engine.transition(request);
        if (given.audited) given.audited.committed = true;
      } catch (error) {
        // the same call under the same key, a moment earlier
        const other = asAppError(error).code === 'conflict' ? await answered() : undefined;
        if (other) return other;
        throw error;
      }
      const waits = !step.waits || step.waits(input, (await kernel.profiles.of(tenant)).settings);
      const waitWhile = waits && first.answerRef ? waitOf(step, first.answerRef) : undefined;
      if (!first.spawned && !waitWhile) return first.answer;
      return await answers.settled({
        tenant,
        callId,
        otherwise: first.answer,
        waitWhile,
        timeoutMs,
        whole,
        deferredAnswer: first.deferredAnswer,
        ref: first.answerRef,
        latest: awaited?.latest,
        isUnanswered: first.isUnanswered,
      });
    } finally {
      awaited?.end();
    }
  }

  const on: On = { kernel, engine, ops, work, needsAnoncreds, isWaiting: answers.isWaiting };
  return {
    call: (tenant, protocol, command, given) => call(tenant, protocol, command, given),
    async callFromWork(tenant, protocol, command, { body, query = {}, record }, key) {
      const known = registry.command(protocol, command);
      known.body?.parse(body, 'unprocessable');
      const answer = await call(tenant, protocol, command, { record, input: { body, query }, key: `work ${key}` }, true);
      return known.step.selectResponse?.(answer) ?? answer;
    },
    end: answers.end,
    run: (job, lease) => runJob(on, job, lease),
    ledgerDone: (job, lease, result, rest) => ledgerDone(on, job, lease, result, rest),
    ledgerHandOver: (job, lease, to, rest) => ledgerHandOver(on, job, lease, to, rest),
    ledgerWaits: (job, reason) => ledgerWaits(on, job, reason),
  };
}

/** The condition that a call waits for beyond its own jobs. */
function waitOf({ waitWhile, isAwaited }: CommandStep, ref: AnswerRef): CommittedCall['waitWhile'] {
  if (waitWhile === undefined && isAwaited === undefined) return undefined;
  return {
    ...ref,
    holds: (record) => (waitWhile?.includes(record.state ?? '') ?? false) || (isAwaited?.(record, now()) ?? false),
  };
}
