import { AppError, type ErrorCode, errorRow } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { CallStatus } from '../ports/store.ts';
import type { Kernel } from './context.ts';
import type { AnswerRef } from './jobs.ts';
import { type LoadedRecord, loadedRecord, viewOf } from './record.ts';
import { waitFor } from './wait-for.ts';

/** How long a controller's call waits for its jobs (rule 3), unless the command has a `timeoutMs`. */
const WAIT_MS = 15_000;
/** How long a call waits for a record that is still being made, beyond its timeout: before that there is nothing to answer with. */
const MAKING_MS = 120_000;

/** A call whose commit is done. */
export interface CommittedCall {
  readonly tenant: string;
  readonly callId: string;
  /** The answer where no later commit of the call has one. */
  readonly otherwise: JsonObject;
  /** The record that the call waits for beyond its own jobs, while this holds. */
  readonly waitWhile?: AnswerRef & { readonly holds: (record: LoadedRecord) => boolean };
  readonly timeoutMs?: number;
  /** Before its jobs are done there is no answer. */
  readonly deferredAnswer?: boolean;
  /** There is no answer, but `unfinished`, while anything of it is open. */
  readonly whole?: boolean;
  /** The record of the answer. */
  readonly ref?: AnswerRef;
  /** The answer of the last commit of the call, where it is awaited here. */
  readonly latest?: () => JsonObject | undefined;
  /** Its first commit may not be on the disk yet. */
  readonly isUnanswered?: boolean;
}

/** An answer that is awaited. */
export interface Awaited {
  latest(): JsonObject | undefined;
  end(): void;
}

/** The failure of a call. For work, which would try again what may be tried again, it is final whatever it is. */
function failureOf({ code, text }: NonNullable<CallStatus['failure']>, whole: boolean | undefined): AppError {
  const final = whole && errorRow(code as ErrorCode).retry ? 'timeout' : (code as ErrorCode);
  return new AppError(final, text);
}

/** Calls of this process that wait for their jobs. */
export function createCallAnswers({ registry, db, tenantLimiter, awaitedCalls }: Kernel) {
  const waits = new Set<() => void>();
  const waiting = new Set<string>();
  let ending = false;

  /** Whether a record was begun and has none of its states yet: what would be answered is no exchange as a controller knows it. */
  async function isMaking(tenant: string, ref: AnswerRef | undefined): Promise<boolean> {
    if (!ref || !registry.records.get(ref.category)?.states.length) return false;
    const [rows] = await db.store.load(tenant, [{ category: ref.category, id: ref.id }]);
    return rows?.[0] !== undefined && !rows[0].state;
  }

  /** The record that a call waits for, once it need not any more. */
  async function recordAfter(
    tenant: string,
    { category, id, holds }: NonNullable<CommittedCall['waitWhile']>,
  ): Promise<JsonObject | undefined> {
    const [rows] = await db.store.load(tenant, [{ category, id }]);
    const row = rows?.[0];
    const def = registry.records.get(category);
    return row && def && !holds(loadedRecord(row)) ? viewOf(def, loadedRecord(row), registry.formats) : undefined;
  }

  /** The answer of a call, where it can be given now. @throws AppError of the failed job, or `timeout` */
  async function answerNow(call: CommittedCall, status: CallStatus, late: boolean, overdue: boolean): Promise<JsonObject | undefined> {
    const { tenant, waitWhile } = call;
    if (status.failure) throw failureOf(status.failure, call.whole);
    if (late && call.whole && status.open > 0) throw new AppError('unfinished');
    if (late && call.deferredAnswer && status.open > 0)
      throw new AppError(
        'timeout',
        'The mediator has not confirmed the new key yet: the same call under the same idempotency-key is answered when it has',
      );
    if (late && status.open > 0 && (await isMaking(tenant, call.ref))) {
      if (overdue)
        throw new AppError('timeout', 'What was asked for is still being made: it goes on, and a webhook follows when it is there');
      return undefined;
    }
    if (status.open > 0 && !late) return undefined;
    const result = call.latest?.() ?? status.result ?? call.otherwise;
    const answer = waitWhile ? await recordAfter(tenant, waitWhile) : result;
    if (late && call.whole && answer === undefined) throw new AppError('unfinished');
    return answer ?? (late ? result : undefined);
  }

  return {
    /** Awaits the answers of a call that has begun; `undefined` where others may ask for them too, so that they are stored. */
    await(callId: string): Awaited | undefined {
      if (db.isShared) return undefined;
      let latest: JsonObject | undefined;
      awaitedCalls.add(callId);
      const stop = db.jobs.subscribe(({ answers }) => {
        for (const answer of answers ?? []) if (answer.callId === callId) latest = answer.value;
      });
      return {
        latest: () => latest,
        end() {
          awaitedCalls.delete(callId);
          stop();
        },
      };
    },
    /** Waits until a call has no open job, then answers with what it wrote last. */
    async settled(call: CommittedCall): Promise<JsonObject> {
      const { tenant, callId, waitWhile } = call;
      tenantLimiter?.pass();
      const deadline = Date.now() + (call.timeoutMs ?? WAIT_MS);
      const answer = waitFor(
        async (late) => {
          const status = await db.store.callStatus(tenant, callId);
          return await answerNow(call, status, late || ending, ending || Date.now() >= deadline + MAKING_MS);
        },
        {
          deadline,
          wakeOn(wake) {
            waits.add(wake);
            waiting.add(callId);
            const stop = db.jobs.subscribe(({ callIds, events }) => {
              if (callIds.includes(callId) || (waitWhile && events.some(({ event }) => event.record === waitWhile.id))) wake();
            });
            return () => {
              waits.delete(wake);
              waiting.delete(callId);
              stop();
            };
          },
        },
      );
      try {
        return await answer;
      } finally {
        // a timeout is an answer too, after which the call goes on; a later commit with an answer has the first one on the disk before it
        if (call.isUnanswered && !call.latest?.()) await db.admin.durable();
      }
    },
    isWaiting: (callId: string): boolean => waiting.has(callId),
    /** Ends all waits, with what there is. */
    end(): void {
      ending = true;
      for (const wake of waits) wake();
    },
  };
}
