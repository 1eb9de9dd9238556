import { AppError, asAppError } from '../errors.ts';
import type { Calls } from '../kernel/calls.ts';
import type { Kernel } from '../kernel/context.ts';
import type { Engine } from '../kernel/engine.ts';
import { deliverJob, type KeylistPayload } from '../kernel/jobs.ts';
import type { ClaimedJob, StoredRecord } from '../ports/store.ts';
import { backoff, type JobOutcome } from './runner.ts';

/** How long a mediator's answer is waited for in one go. */
const WAIT_MS = 8000;
const LOOK_MS = 200;
const CAP_MS = 10 * 60_000;

/** What the keys of a job have come to. */
type Standing = 'known' | 'unknown' | { readonly refused: string };

/** Tells mediators of keys, and lets what shows them go when they are known. */
export function createKeylistWorker(
  kernel: Kernel,
  engine: Engine,
  calls: Calls,
  stopping: () => boolean,
): (job: ClaimedJob, lease: string) => Promise<JobOutcome> {
  const { db } = kernel;

  async function standing({ mediation, keys }: KeylistPayload): Promise<Standing> {
    const rows = await db.store.load(mediation.tenant, [
      { category: 'mediation', id: mediation.id },
      ...keys.map(({ verkey }) => ({ category: 'keylist', tag: 'client', equals: verkey })),
    ]);
    const [[granted] = [], ...found] = rows;
    const of = (list: StoredRecord[]): StoredRecord | undefined => list.find((row) => row.connection === granted?.connection);
    const refused = found.map((list) => of(list)?.value.refused).find((reason) => reason !== undefined);
    if (refused !== undefined) return { refused: String(refused) };
    return found.every((list) => of(list)?.value.confirmed === true) ? 'known' : 'unknown';
  }

  /** Looks until the keys are known or refused, or the time is up. */
  async function settled(payload: KeylistPayload): Promise<Standing> {
    let nudge = (): void => {};
    const stop = db.jobs.subscribe(() => nudge());
    const deadline = Date.now() + WAIT_MS;
    try {
      for (;;) {
        const moved = new Promise<void>((resolve) => {
          nudge = resolve;
        });
        const now = await standing(payload);
        if (now !== 'unknown' || Date.now() >= deadline || stopping()) return now;
        const timer = setTimeout(() => nudge(), LOOK_MS);
        await moved;
        clearTimeout(timer);
      }
    } finally {
      stop();
    }
  }

  /** Ends a job: with its mail on its way, or with why it never will be. */
  async function end(job: ClaimedJob, lease: string, payload: KeylistPayload, failure?: { code: string; text: string }): Promise<void> {
    const held = { id: job.id, lease };
    const jobs = failure ? [] : payload.mail.map((mail) => deliverJob(job.tenant, mail));
    const failures = failure && job.cause ? [{ cause: job.cause, ...failure }] : undefined;
    const [rows] =
      failure && payload.connection ? await db.store.load(job.tenant, [{ category: 'connection', id: payload.connection }]) : [];
    const row = rows?.[0];
    const protocol = row && kernel.registry.owner('connection', row.value);
    if (!failure || !row || !protocol) {
      await db.store.commit(job.tenant, { done: [held], jobs, failures });
      return;
    }
    await engine.transition({
      tenant: job.tenant,
      protocol,
      record: { category: 'connection', id: row.id },
      from: '*',
      origin: { cause: job.cause, job: held, failure },
      otherwise: 'ignore',
      step: () => ({ record: { patch: { error_msg: failure.text } } }),
    });
  }

  return async (job, lease) => {
    const payload = job.payload as unknown as KeylistPayload;
    const { mediation, keys } = payload;
    try {
      let now = await standing(payload);
      if (now === 'unknown') {
        const input = { body: { keys }, query: {} };
        await calls.call(mediation.tenant, 'coordinate-mediation', 'register', { record: mediation.id, input });
        now = await settled(payload);
      }
      if (now === 'unknown') return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: 'the mediator has not answered' };
      await end(
        job,
        lease,
        payload,
        now === 'known' ? undefined : { code: 'bad-request', text: `The mediator does not take the key: ${now.refused}` },
      );
      return { state: 'committed' };
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.code === 'lease-lost') return { state: 'committed' };
      if (error.row.retry || (await kernel.profiles.gone(job.tenant, error))) throw thrown instanceof AppError ? thrown : error;
      await end(job, lease, payload, { code: error.code, text: `The mediator cannot be told of the key: ${error.message}` });
      return { state: 'committed' };
    }
  };
}
