import { AppError, asAppError } from '../errors.ts';
import type { Calls } from '../kernel/calls.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import { backoff, type JobOutcome } from '../kernel/job-outcome.ts';
import { pythonJson } from '../kernel/python-json.ts';
import { createKeylistWorker } from '../mediation/keylist.ts';
import type { Lines } from '../mediation/mediator-lines.ts';
import type { Ledger, LedgerSigner } from '../ports/ledger.ts';
import type { ClaimedJob } from '../ports/store.ts';
import type { Admission, Outbound } from '../ports/transport.ts';
import { createBreaker } from './breaker.ts';
import { createDelivery } from './delivery.ts';
import { createEvents } from './events.ts';
import { laneSettler } from './lane-settler.ts';
import { createLedgerWorker } from './ledger.ts';
import { type RunnerOptions, startRunner } from './runner.ts';

/** How long a lane is held at a time: prolonged while its jobs run, so this is how soon another process takes over what a dead one held. */
const LEASE_MS = 10_000;
/** A job that takes long goes on beside the rest. Mail and webhooks without an answer are aborted, and tried again later, where there are too many. */
const PATIENT = { most: 256, each: 64 };
const IMPATIENT = { most: 512, each: 256, abort: true };
/** The longest that mail for a locked wallet waits to be looked at again by itself. */
const INBOX_MS = 10 * 60_000;

export interface WorkersOptions {
  readonly kernel: Kernel;
  readonly engine: Engine;
  readonly calls: Calls;
  readonly outbound: Outbound;
  readonly lines: Lines;
  readonly admission: Admission;
  readonly ledger: () => Ledger;
  readonly sign: (tenant: string) => LedgerSigner;
  /** Connects an author with its endorser. */
  readonly connectEndorser: (tenant: string) => void;
  /** Names this process as a holder of lanes. */
  readonly owner: string;
}

/** Runs every kind of job, each with as many lanes at once as it can use. @returns what stops it, when the jobs in hand are done */
export function startWorkers({ kernel, engine, calls, outbound, lines, admission, ledger, sign, connectEndorser, owner }: WorkersOptions): {
  stop(): Promise<void>;
} {
  const { db, trace } = kernel;
  const settler = laneSettler({ jobs: db.jobs, log: kernel.log });
  const [peers, webhooks] = [createBreaker(), createBreaker()];
  const deliver = createDelivery(kernel, engine, calls, outbound, lines, admission, peers);
  const notify = createEvents(kernel, engine, outbound, pythonJson, kernel.base, webhooks);
  let stopping = false;
  const register = createKeylistWorker(kernel, engine, calls, owner, () => stopping);
  const write = createLedgerWorker(kernel, calls, ledger, sign, kernel.base, connectEndorser);

  const step = async (job: ClaimedJob, lease: string): Promise<JobOutcome> => {
    try {
      await calls.run(job, lease);
      return { state: 'committed' };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === 'lease-lost') return { state: 'committed' };
      return { state: 'retry', at: db.now() + Math.min(200 * 2 ** job.attempts, 30_000), error: error.message };
    }
  };
  const lookAgain = async ({ payload, attempts }: ClaimedJob): Promise<JobOutcome> => {
    try {
      await engine.receive(Buffer.from(String(payload.body), 'base64'), { canReply: false, kept: true });
      return { state: 'done' };
    } catch (error) {
      const { message, row } = asAppError(error);
      return row.retry ? { state: 'retry', at: backoff(attempts, INBOX_MS), error: message } : { state: 'dead', error: message };
    }
  };

  /** A job goes on with the trace of what caused it. Its payload's names are this agent's own. */
  const traced =
    (run: RunnerOptions['run']): RunnerOptions['run'] =>
    (job, lease, signal) => {
      if (!trace.on) return run(job, lease, signal);
      const { protocol, command, op, traceparent } = job.payload as Record<string, string | undefined>;
      const attributes = {
        'flexid.tenant': job.tenant,
        'flexid.job': job.kind,
        'flexid.attempts': job.attempts,
        'flexid.protocol': protocol,
        'flexid.command': command ?? op,
      };
      const noted = async (): Promise<JobOutcome> => {
        const outcome = await run(job, lease, signal);
        trace.note({ 'flexid.outcome': outcome.state });
        return outcome;
      };
      return trace.span(`job ${job.kind}`, attributes, noted, { kind: 'consumer', parent: traceparent });
    };
  /** Jobs of a tenant that was removed while they ran went with it. */
  const whileThere =
    (run: RunnerOptions['run']): RunnerOptions['run'] =>
    async (job, lease, signal) => {
      try {
        return await run(job, lease, signal);
      } catch (error) {
        if (await kernel.profiles.isTenantDeleted(job.tenant, error)) return { state: 'done' };
        throw error;
      }
    };

  const start = (
    kinds: RunnerOptions['kinds'],
    lanes: number,
    perLane: number,
    run: RunnerOptions['run'],
    more: Pick<RunnerOptions, 'slow'> & Partial<RunnerOptions> = { slow: PATIENT },
  ) => startRunner({ jobs: db.jobs, settler, log: kernel.log, owner, leaseMs: LEASE_MS, kinds, lanes, perLane, run, ...more });
  const post = (run: (job: ClaimedJob, signal: AbortSignal) => Promise<JobOutcome>): RunnerOptions['run'] =>
    whileThere(traced((job, _lease, signal) => run(job, signal)));
  const runners = [
    start(['deliver'], 256, 32, post(deliver), { slow: IMPATIENT }),
    start(['event'], 256, 32, post(notify), { slow: IMPATIENT, breaker: webhooks }),
    start(['command', 'local-message', 'tell'], 64, 8, traced(step)),
    start(['work'], 16, 1, traced(step)),
    start(['ledger'], 16, 4, whileThere(traced(write))),
    start(['inbox'], 4, 8, traced(lookAgain)),
    start(['keylist'], 64, 4, whileThere(traced(register))),
  ];
  return {
    async stop() {
      stopping = true;
      await Promise.allSettled(runners.map((runner) => runner.stop()));
    },
  };
}
