import { AppError, asAppError } from '../errors.ts';
import type { Calls } from '../kernel/calls.ts';
import { now } from '../kernel/clock.ts';
import type { Kernel } from '../kernel/context.ts';
import { backoff, type JobOutcome } from '../kernel/job-outcome.ts';
import { payloadOf } from '../kernel/jobs.ts';
import { checkedAs, jsonOf } from '../kernel/json.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Ledger, LedgerKeys, LedgerSigner, SignedWrite } from '../ports/ledger.ts';
import type { ClaimedJob, RecordWrite, StoredRecord } from '../ports/store.ts';
import { createEndorsedWrites, rowDeleted } from './endorsed.ts';

const CATEGORY = 'ledger_write';
/** The expenses of a tenant, by day. */
const SPENT = 'ledger_spent';
const DAY_MS = 24 * 3600_000;
const CAP_MS = 30_000;
/** How long a job watches its group before it gives the lane back; the write goes on by itself. */
const WATCH_MS = 8_000;
const LOOK_MS = 100;

/**
 * The tenant's expenses of the sponsor's money today, with this write: a record to be committed with the signed group, or why the write must wait until tomorrow
 * (UTC). The base wallet is the operator's own.
 */
async function spend(
  kernel: Kernel,
  base: string,
  tenant: string,
  cost: number,
): Promise<{ record: RecordWrite } | { over: string; until: number } | undefined> {
  const { ledgerWritesPerDay: most, ledgerAlgoPerDay: algo } = (await kernel.profiles.of(tenant)).settings;
  if (tenant === base || (most === 0 && algo === 0)) return undefined;
  const now = kernel.now();
  const day = new Date(now).toISOString().slice(0, 10);
  const row = (await kernel.db.store.load(tenant, [{ category: SPENT, id: day }]))[0]?.[0];
  const { writes = 0, microalgo = 0 } = (row?.value ?? {}) as { writes?: number; microalgo?: number };
  const next = { writes: writes + 1, microalgo: microalgo + cost };
  const over =
    most > 0 && next.writes > most
      ? `this wallet has made its ${most} ledger writes of today`
      : algo > 0 && next.microalgo > algo * 1_000_000
        ? `this write would take what this wallet spends today beyond ${algo} ALGO`
        : undefined;
  if (over) return { over, until: Date.parse(day) + DAY_MS };
  return { record: { category: SPENT, id: day, expect: row?.version ?? 0, value: next } };
}

/**
 * Writes to the ledger through a write-ahead outbox: the signed group is stored before a byte is sent, so that whoever takes the job over sends the same bytes.
 * Nothing is signed while the sponsor lacks funds: the write waits, and its record shows what is needed.
 */
export function createLedgerWorker(
  kernel: Kernel,
  calls: Calls,
  ledger: () => Ledger,
  sign: (tenant: string) => LedgerSigner,
  base: string,
  connect: (tenant: string) => void = () => {},
): (job: ClaimedJob, lease: string) => Promise<JobOutcome> {
  const { store } = kernel.db;

  const read = async (job: ClaimedJob): Promise<StoredRecord | undefined> =>
    (await store.load(job.tenant, [{ category: CATEGORY, id: job.id }]))[0]?.[0];

  /** The keys of the wallet that may sign for a DID beside its own: all that were ordered. The ledger decides which of them does. */
  const keysOf = async (tenant: string, did: string): Promise<LedgerKeys> =>
    ((await store.load(tenant, [{ category: 'did', id: did }]))[0]?.[0]?.value ?? {}) as LedgerKeys;

  /** Remembers where the write stands; the row goes with the job's own completion. */
  async function note(job: ClaimedJob, row: StoredRecord | undefined, state: string, value: JsonObject, more?: RecordWrite): Promise<void> {
    const record: RecordWrite = { category: CATEGORY, id: job.id, expect: row?.version ?? 0, state, value };
    await store.commit(job.tenant, { records: more ? [record, more] : [record] });
  }

  async function finish(job: ClaimedJob, lease: string, result: { txid?: string; round?: number } | AppError): Promise<JobOutcome> {
    const payload = payloadOf('ledger', job);
    const rest = { ...rowDeleted(await read(job)), jobs: endorsed.settling(job, result) };
    await calls.ledgerDone(job, lease, result instanceof AppError ? result : { round: result.round, write: payload.write }, rest);
    return { state: 'committed' };
  }
  const endorsed = createEndorsedWrites({ kernel, calls, ledger, sign, keysOf, connect, finish });

  async function signedGroup(job: ClaimedJob, lease: string): Promise<{ signed: SignedWrite; fresh: boolean } | JobOutcome> {
    const payload = payloadOf('ledger', job);
    const row = await read(job);
    if (row?.state === 'signed') return { signed: checkedAs<SignedWrite>(row.value), fresh: false };
    const keys = await keysOf(job.tenant, payload.write.did);
    if (await endorsed.isEndorsed(job)) {
      const group = await endorsed.signedGroup(job, lease, keys);
      if ('state' in group) return group;
      await note(job, row, 'signed', jsonOf(group.signed));
      return { ...group, fresh: true };
    }
    const plan = await ledger().plan(payload.write, `${job.id}.${row?.version ?? 0}`, keys);
    if (plan.state === 'done') return await finish(job, lease, {});
    if (plan.state === 'wait') {
      const text = `the sponsor account has ${plan.held} microALGO and this write needs ${plan.needed}`;
      await note(job, row, 'wait', { needed: plan.needed, held: plan.held });
      await calls.ledgerWaits(job, text);
      return { state: 'retry', at: backoff(Math.min(job.attempts, 2), CAP_MS), error: text };
    }
    // a group that is signed anew, because the first never landed, was counted before
    const counted = row !== undefined && row.state !== 'wait' && row.state !== 'piece';
    const spent = counted ? undefined : await spend(kernel, base, job.tenant, plan.cost);
    if (spent && 'over' in spent) {
      await calls.ledgerWaits(job, spent.over);
      return { state: 'retry', at: spent.until, error: spent.over };
    }
    const rekey = payload.write.kind === 'did-rekey' ? payload.write.control : undefined;
    const { signed } = await ledger().sign(plan.planned, { sponsor: true, account: sign(job.tenant), keys, rekey });
    if (signed === undefined) throw new AppError('internal', 'a part of the group has no signer');
    await note(job, row, 'signed', jsonOf(signed), spent?.record);
    return { signed, fresh: true };
  }

  return async (job, lease) => {
    try {
      const { endorsement } = payloadOf('ledger', job);
      const group = await signedGroup(job, lease);
      if ('state' in group) return group;
      const { signed, fresh } = group;
      const until = Date.now() + WATCH_MS;
      let outcome = fresh ? await ledger().send(signed) : await resend(signed);
      for (;;) {
        if (outcome.state === 'confirmed') {
          kernel.count('ledger_writes');
          if (signed.piece?.more && endorsement)
            return await endorsed.returned(job, lease, 'piece', 'the rest of the write follows', rowDeleted(await read(job)));
          if (signed.piece?.more) {
            // the rest of the write is another group, signed on what the ledger holds now
            await note(job, await read(job), 'piece', {});
            return { state: 'retry', at: now(), error: 'the rest of the write follows' };
          }
          return await finish(job, lease, { txid: signed.txids[0], round: outcome.round });
        }
        if (outcome.state === 'rejected' && !outcome.rebuild)
          return await finish(job, lease, new AppError('ledger-rejected', outcome.reason));
        if (outcome.state === 'expired' || outcome.state === 'rejected') {
          // it provably never landed: sign anew, on what the ledger holds now
          const row = await read(job);
          const text = outcome.state === 'expired' ? 'the transaction group expired' : outcome.reason;
          if (endorsement) {
            const because = outcome.state === 'expired' ? 'expired' : 'overtaken';
            return await endorsed.returned(job, lease, because, because === 'expired' ? because : text, rowDeleted(row));
          }
          await note(job, row, 'expired', {});
          if (job.attempts < 2) return { state: 'retry', at: now(), error: text };
          // a write that fails again and again ends with an error for the controller
          await calls.ledgerWaits(job, text);
          return { state: 'retry', at: backoff(job.attempts - 2, CAP_MS), error: text };
        }
        if (Date.now() > until) return { state: 'retry', at: now() + 1000, error: 'not confirmed yet' };
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        outcome = await ledger().outcome(signed);
      }
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.code === 'lease-lost') return { state: 'committed' };
      if (error.row.retry || error.code === 'internal') {
        if (error.code === 'internal') kernel.log.error({ err: error.cause ?? error, job: job.id }, 'a ledger write failed');
        await calls.ledgerWaits(job, error.message);
        return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: error.message };
      }
      return await finish(job, lease, error);
    }
  };

  /** A group that an earlier try may have sent: asked for first, sent again where it is not known to have landed or expired. */
  async function resend(signed: SignedWrite): Promise<Awaited<ReturnType<Ledger['outcome']>>> {
    const outcome = await ledger().outcome(signed);
    return outcome.state === 'pending' ? await ledger().send(signed) : outcome;
  }
}
