import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../errors.ts';
import type { Reply } from './worker.ts';

export interface PoolOptions {
  worker: URL;
  env: Record<string, string>;
  /** How many workers at most. */
  size: number;
  /** How many jobs may wait, in all and of one tenant. */
  maxQueue: number;
  maxPerTenant: number;
  /** A worker that has nothing to do for so long ends; without it none does. */
  idleMs?: number;
  /** How long a call may go on after its limit until its thread is ended in it; default: ten times the limit, a minute at least. */
  patienceMs?: number;
  /** How long a call that runs may go on when the pool closes; default 25 s. */
  closeMs?: number;
  /** Its threads have a lower priority than others of the machine. */
  background?: boolean;
}

export interface Pool {
  /**
   * Runs an operation on a free worker, in turn by tenant.
   * @throws AppError `anoncreds-busy` when the queue is full or the worker was lost, `anoncreds-off`, `anoncreds-failed`
   */
  run(tenant: string, operation: string, input: Record<string, unknown>, timeoutMs: number): Promise<unknown>;
  /** Why the library does not load, once that is known. */
  off(): string | undefined;
  /** Ends all workers; what waits or runs fails. */
  close(): Promise<void>;
}

interface Job {
  operation: string;
  input: Record<string, unknown>;
  timeoutMs: number;
  resolve(value: unknown): void;
  reject(error: AppError): void;
}

interface Slot {
  worker: Worker;
  ready: boolean;
  job?: Job;
  timer?: NodeJS.Timeout;
  /** Called at the end of a call that nobody waits for any more. */
  returned?: () => void;
}

const START_MS = 30_000;
/** The young generation of a worker, whose own objects are few: it would grow as far as that of the process. */
const YOUNG_MIB = 1;
const MAX_STILLBORN = 3;
/** A call that goes on for so many times its limit will not return. */
const PATIENCE = 10;
const MIN_PATIENCE_MS = 60_000;
/** The most that a stop allows: a thread that is ended within a call aborts the process when the call returns, and its exit code is that of SIGABRT. */
const CLOSE_MS = 25_000;

/** Jobs that wait, in turn by tenant. */
function tenantQueue({ maxQueue, maxPerTenant }: Pick<PoolOptions, 'maxQueue' | 'maxPerTenant'>) {
  const queues = new Map<string, Job[]>();
  let waiting = 0;
  return {
    get waiting(): number {
      return waiting;
    },
    /** @returns whether there was room */
    add(tenant: string, job: Job): boolean {
      const jobs = queues.get(tenant) ?? [];
      if (waiting >= maxQueue || jobs.length >= maxPerTenant) return false;
      jobs.push(job);
      queues.set(tenant, jobs);
      waiting++;
      return true;
    },
    /** The first job of the tenant whose turn it is; that tenant goes to the end of the line. */
    next(): Job | undefined {
      const first = queues.entries().next().value;
      if (!first) return undefined;
      const [tenant, jobs] = first;
      queues.delete(tenant);
      const job = jobs.shift();
      if (jobs.length > 0) queues.set(tenant, jobs);
      waiting--;
      return job;
    },
  };
}

/** Takes the job of a slot. */
const release = (slot: Slot): Job | undefined => {
  const { job } = slot;
  clearTimeout(slot.timer);
  slot.job = undefined;
  return job;
};

/** Ends the thread of a slot when its call has returned, or after so long. */
const ended = async (slot: Slot, patienceMs: number): Promise<void> => {
  if (patienceMs > 0) {
    await new Promise<void>((resolve) => {
      slot.returned = resolve;
      slot.timer = setTimeout(resolve, patienceMs);
    });
    clearTimeout(slot.timer);
  }
  await slot.worker.terminate();
};

/** Follows the thread of a slot: its replies, and its end. */
function watch(
  slot: Slot,
  answered: (slot: Slot, reply: Reply) => void,
  retire: (slot: Slot, reason: string, alive: boolean) => void,
): void {
  slot.worker.on('message', (reply: Reply) => answered(slot, reply));
  for (const [event, reason] of [
    ['error', 'The AnonCreds worker failed'],
    ['exit', 'The AnonCreds worker ended'],
  ] as const) {
    slot.worker.on(event, () => {
      if (slot.returned) slot.returned();
      else retire(slot, reason, false);
    });
  }
}

/**
 * A pool of worker threads for calls that block. Workers start when they are first needed and do not keep the process alive while idle. A worker that dies or
 * takes too long is replaced: native code cannot be interrupted, so its thread may go on for a while, and no more than `size` such threads are allowed. A thread is
 * ended between calls: native code that returns into a thread that was ended aborts the process.
 */
export function workerPool(options: PoolOptions): Pool {
  const slots = new Set<Slot>();
  const queue = tenantQueue(options);
  let lost = 0;
  let nextId = 0;
  let off: string | undefined;
  /** Workers in a row that ended before they were ready. */
  let stillborn = 0;
  let closed = false;

  const retire = (slot: Slot, reason: string, alive = true): void => {
    if (!slots.delete(slot)) return;
    const job = release(slot);
    job?.reject(new AppError('anoncreds-busy', reason));
    if (!slot.ready && ++stillborn >= MAX_STILLBORN) {
      // A reason that keeps workers from starting does not go away by starting more of them.
      stillborn = 0;
      off ??= 'its worker does not start';
      failAll(new AppError('anoncreds-off'));
    }
    lost++;
    void ended(slot, job && alive ? (options.patienceMs ?? Math.max(MIN_PATIENCE_MS, job.timeoutMs * PATIENCE)) : 0).finally(() => {
      lost--;
      pump();
    });
    pump();
  };

  const answered = (slot: Slot, reply: Reply): void => {
    if (slot.returned) {
      slot.returned();
      return;
    }
    if ('ready' in reply) {
      slot.ready = reply.ready;
      if (!reply.ready) {
        off = reply.reason;
        failAll(new AppError('anoncreds-off'));
        retire(slot, 'the library does not load');
        return;
      }
      off = undefined;
      stillborn = 0;
      clearTimeout(slot.timer);
    } else {
      const job = release(slot);
      if ('error' in reply) job?.reject(new AppError('anoncreds-failed', redact(reply.error)));
      else job?.resolve(reply.value);
    }
    slot.worker.unref();
    pump();
    if (options.idleMs !== undefined && slot.ready && !slot.job && !closed) {
      slot.timer = setTimeout(() => {
        if (slots.delete(slot)) void slot.worker.terminate();
      }, options.idleMs);
      slot.timer.unref();
    }
  };

  const start = (): void => {
    const { env, background = false } = options;
    // V8's flag goes before `resourceLimits`, and is read where a heap is made: that of this thread keeps its own
    setFlagsFromString(`--max-semi-space-size=${YOUNG_MIB}`);
    const worker = new Worker(options.worker, { env, name: 'anoncreds', workerData: { background } });
    const slot: Slot = { worker, ready: false };
    slots.add(slot);
    slot.timer = setTimeout(() => retire(slot, 'The AnonCreds worker did not start'), START_MS);
    watch(slot, answered, retire);
  };

  const pump = (): void => {
    if (closed) return;
    for (const slot of slots) {
      if (!slot.ready || slot.job) continue;
      const job = queue.next();
      if (!job) return;
      slot.job = job;
      clearTimeout(slot.timer);
      slot.worker.ref();
      slot.timer = setTimeout(() => retire(slot, 'The AnonCreds operation took too long'), job.timeoutMs);
      slot.worker.postMessage({ id: ++nextId, operation: job.operation, input: job.input });
    }
    const starting = [...slots].filter((slot) => !slot.ready).length;
    for (let i = starting; i < queue.waiting && slots.size < options.size && lost < options.size; i++) start();
  };

  const failAll = (error: AppError): void => {
    for (let job = queue.next(); job; job = queue.next()) job.reject(error);
  };

  return Object.freeze({
    run: (tenant: string, operation: string, input: Record<string, unknown>, timeoutMs: number) =>
      new Promise<unknown>((resolve, reject) => {
        if (closed) return reject(new AppError('anoncreds-busy', 'The AnonCreds engine is closed'));
        if (!queue.add(tenant, { operation, input, timeoutMs, resolve, reject }))
          return reject(new AppError('anoncreds-busy', 'Too many AnonCreds operations are waiting'));
        pump();
      }),

    off: () => off,

    async close() {
      closed = true;
      const error = new AppError('anoncreds-busy', 'The AnonCreds engine is closed');
      failAll(error);
      await Promise.all(
        [...slots].map((slot) => {
          slots.delete(slot);
          const job = release(slot);
          job?.reject(error);
          return ended(slot, job ? (options.closeMs ?? CLOSE_MS) : 0);
        }),
      );
    },
  });
}

/** The library's words, without what may be secret or personal: long numbers, revealed and quoted values. */
function redact(message: string): string {
  return message
    .replace(/Some\("(?:[^"\\]|\\.)*"\)/g, 'Some(…)')
    .replace(/[0-9]{12,}/g, '…')
    .replace(/(["'`])(?:(?!\1).){48,}\1/gs, '$1…$1')
    .slice(0, 400);
}
