import { asAppError } from '../../errors.ts';
import type { Claim, Share } from '../../ports/claims.ts';
import { type ClaimedJob, type ClaimedLane, JOB_KINDS, type JobKind, type Jobs, type SettledLane } from '../../ports/store.ts';
import { decodeJob, NEVER, takeAllocated, wholeTime } from '../../vault/rows.ts';
import { DAMAGED_JOB, guarded, type KnownTenant } from '../store/shared.ts';
import { leaseToken } from './commit.ts';
import { type Link, patient, type Statement, scope } from './link.ts';

export interface ClaimRow {
  lane: string;
  lane_kind: JobKind;
  t: number;
  lease: string;
  id: string;
  attempts: number;
  call_id: string | null;
  payload: Uint8Array;
}

const ANY_NUMBER = 2_147_483_647;

interface Parts {
  link: Link;
  tenantById: (id: string) => Promise<KnownTenant>;
  keysOf: (t: number) => Promise<KnownTenant['keys'] | undefined>;
  settle: (settled: readonly SettledLane[]) => Promise<void>;
}

/** Claims of lanes with their jobs, by functions of the database. */
export interface LaneClaims {
  claim: Jobs['claim'];
  /** The statement of a claim, whose rows `lanesOf` reads. */
  statement: (claim: Claim) => Promise<Statement>;
  lanesOf: (rows: readonly ClaimRow[]) => Promise<ClaimedLane[]>;
}

export function laneClaims({ link, tenantById, keysOf, settle }: Parts): LaneClaims {
  /** Gives jobs the numbers that they took of a counter. */
  async function number(t: number, jobs: readonly ClaimedJob[], counted: readonly string[]): Promise<void> {
    if (counted.length === 0) return;
    const text = 'SELECT job, n FROM flexid.allocation WHERE t = $1 AND job = ANY ($2)';
    const [, rows] = await link.transaction([scope(t), { name: 'allocations', text, values: [t, counted] }]);
    const numbers = new Map((rows as { job: string; n: number }[]).map(({ job, n }) => [job, n]));
    for (const job of jobs) if (numbers.has(job.id)) job.allocated = numbers.get(job.id);
  }

  /** The lane with those of its jobs that can be read; the first that cannot be is set aside, and the lane let go, when it is at the head. */
  async function readLane(rows: readonly ClaimRow[]): Promise<ClaimedLane | undefined> {
    const { lane, lane_kind: kind, t, lease } = rows[0]!;
    const keys = await keysOf(t);
    if (!keys) {
      const text = `UPDATE flexid.lane SET lease = NULL, due = ${NEVER} WHERE name = $1 AND lease = $2`;
      await link.query({ name: 'park', text, values: [lane, lease] });
      return undefined;
    }
    const jobs: ClaimedJob[] = [];
    const counted: string[] = [];
    const token = leaseToken({ id: lease, t, lane });
    for (const { id, attempts, call_id: callId, payload } of rows) {
      try {
        const plain = guarded(`job ${id}`, () => decodeJob(keys, { kind, id, lane, payload }));
        if (takeAllocated(plain)) counted.push(id);
        jobs.push({ id, kind, tenant: keys.tenant, attempts, payload: plain, callId: callId ?? undefined });
      } catch (error) {
        if (asAppError(error).code !== 'store-corrupt') throw error;
        if (jobs.length > 0) break;
        await settle([{ lane, lease: token, dead: [{ id, error: DAMAGED_JOB }] }]);
        return undefined;
      }
    }
    await number(t, jobs, counted);
    return { lane, kind, tenant: keys.tenant, lease: token, jobs };
  }

  /** The tenants of a share by their numbers, as columns; those that are not there any more are passed over. */
  async function sharing(share: Share | undefined): Promise<[number[], number[], number[], string[], number[]]> {
    const columns: Awaited<ReturnType<typeof sharing>> = [[], [], [], [], []];
    const number = async (tenant: string): Promise<number | undefined> => (await tenantById(tenant).catch(() => undefined))?.n;
    for (const [tenant, held] of share?.held ?? []) {
      const t = await number(tenant);
      if (t === undefined) continue;
      columns[0].push(t);
      columns[1].push(held);
    }
    for (const { tenant, target, room } of share?.targets ?? []) {
      const t = await number(tenant);
      if (t === undefined) continue;
      columns[2].push(t);
      columns[3].push(target);
      columns[4].push(room);
    }
    return columns;
  }

  async function statement({ lanes, perLane, leaseMs, kinds = JOB_KINDS, share }: Claim): Promise<Statement> {
    const bounds = [share?.tenant ?? ANY_NUMBER, share?.target ?? ANY_NUMBER, ...(await sharing(share))];
    return {
      name: 'claim-fair',
      text: 'SELECT * FROM flexid.claim_fair($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
      values: [lanes, perLane, wholeTime(leaseMs), kinds, ...bounds],
    };
  }

  async function lanesOf(rows: readonly ClaimRow[]): Promise<ClaimedLane[]> {
    const read = await Promise.all([...Map.groupBy(rows, (row) => row.lane).values()].map(readLane));
    return read.filter((one) => one !== undefined);
  }

  return {
    statement,
    lanesOf,
    async claim({ lane, ...claim }) {
      const { lanes, perLane, leaseMs, kinds = JOB_KINDS } = claim;
      const named = (name: string): Statement => ({
        name: 'claim',
        text: 'SELECT * FROM flexid.claim_lane($1, $2, $3, $4, $5)',
        values: [lanes, perLane, wholeTime(leaseMs), kinds, name],
      });
      return await lanesOf(await patient<ClaimRow>(link, lane !== undefined ? named(lane) : await statement(claim)));
    },
  };
}
