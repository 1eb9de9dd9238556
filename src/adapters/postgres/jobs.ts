import { asAppError } from '../../errors.ts';
import {
  type ClaimedJob,
  type ClaimedLane,
  type DeadJob,
  JOB_KINDS,
  type JobKind,
  type Jobs,
  type Page,
  type SettledLane,
  type Share,
} from '../../ports/store.ts';
import { decodeJob, NEVER, sealDeath, takeAllocated, wholeTime } from '../../vault/rows.ts';
import { DAMAGED_JOB, guarded, type KnownTenant, readDead } from '../store/shared.ts';
import { type CommitBatcher, leaseParts, leaseToken } from './commit.ts';
import { isTransient, type Link, type Statement } from './link.ts';
import type { PostgresReads } from './read.ts';

interface ClaimRow {
  lane: string;
  lane_kind: JobKind;
  t: number;
  lease: string;
  id: string;
  attempts: number;
  cause: string | null;
  payload: Uint8Array;
}

interface Parts {
  link: Link;
  reads: PostgresReads;
  batch: CommitBatcher;
  from: string;
  tenantById: (id: string) => Promise<KnownTenant>;
  tenantByNumber: (n: number) => Promise<KnownTenant>;
  subscribe: Jobs['subscribe'];
}

const ATTEMPTS = 5;
const ANY_NUMBER = 2_147_483_647;

/** The job side of a PostgreSQL database. Several processes may run it at once. */
export function postgresJobs({ link, reads, batch, from, tenantById, tenantByNumber, subscribe }: Parts): Jobs {
  /** Lanes are locked in order, but a commit of another process may hold one and wait for another: then the database undoes one of the two, which tries again. */
  async function patient<Row>(statement: Statement): Promise<Row[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await link.query<Row>(statement);
      } catch (error) {
        if (attempt >= ATTEMPTS || !isTransient(error)) throw error;
      }
    }
  }

  /** The keys of a tenant; none where its owner keeps them, or it is being removed and its lanes with it. */
  async function keysOf(t: number): Promise<KnownTenant['keys'] | undefined> {
    try {
      return (await tenantByNumber(t)).keys;
    } catch (error) {
      if (['wallet-locked', 'not-found'].includes(asAppError(error).code)) return undefined;
      throw error;
    }
  }

  /** Gives jobs the numbers that they took of a counter. */
  async function number(t: number, jobs: readonly ClaimedJob[], counted: readonly string[]): Promise<void> {
    if (counted.length === 0) return;
    const scope = { name: 'scope', text: "SELECT set_config('flexid.tenant', $1, false)", values: [String(t)] };
    const text = 'SELECT job, n FROM flexid.allocation WHERE t = $1 AND job = ANY ($2)';
    const [, rows] = await link.together([scope, { name: 'allocations', text, values: [t, counted] }]);
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
    for (const { id, attempts, cause: callId, payload } of rows) {
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

  async function claim({ lanes, perLane, leaseMs, kinds, share, lane }: Parameters<Jobs['claim']>[0]): Promise<ClaimedLane[]> {
    const common = [lanes, perLane, wholeTime(leaseMs), kinds ?? JOB_KINDS];
    const rows = await patient<ClaimRow>(
      lane !== undefined
        ? { name: 'claim', text: 'SELECT * FROM flexid.claim($1, $2, $3, $4, $5)', values: [...common, lane] }
        : {
            name: 'claim-fair',
            text: 'SELECT * FROM flexid.claim_fair($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
            values: [...common, share?.tenant ?? ANY_NUMBER, share?.target ?? ANY_NUMBER, ...(await sharing(share))],
          },
    );
    const byLane = Map.groupBy(rows, (row) => row.lane);
    const read = await Promise.all([...byLane.values()].map(readLane));
    return read.filter((one) => one !== undefined);
  }

  async function settle(settled: readonly SettledLane[]): Promise<void> {
    if (settled.length === 0) return;
    const lanes: string[] = [];
    const leases: string[] = [];
    const done: [string[], string[]] = [[], []];
    const retry: [string[], string[], number[]] = [[], [], []];
    const dead: [string[], string[], Buffer[]] = [[], [], []];
    for (const one of settled) {
      const { id: lease, t } = leaseParts(one.lease);
      lanes.push(one.lane);
      leases.push(lease);
      for (const id of one.done ?? []) {
        done[0].push(one.lane);
        done[1].push(id);
      }
      for (const { id, at, untried } of one.retry ?? []) {
        retry[0].push(one.lane);
        retry[1].push(id);
        retry[2].push(untried ? -wholeTime(at) : wholeTime(at));
      }
      for (const { id, error } of one.dead ?? []) {
        const keys = await keysOf(t);
        if (!keys) continue;
        dead[0].push(one.lane);
        dead[1].push(id);
        dead[2].push(sealDeath(keys, id, error));
      }
    }
    const [row] = await patient<{ causes: string[]; kinds: JobKind[] }>({
      name: 'settle',
      text: 'SELECT causes, kinds FROM flexid.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
      values: [from, lanes, leases, ...done, ...retry, ...dead],
    });
    batch.announce(row?.causes ?? [], row?.kinds ?? []);
  }

  async function extend(leases: readonly string[], leaseMs: number): Promise<string[]> {
    const byId = new Map(leases.map((token) => [leaseParts(token).id, token]));
    const rows = await patient<{ lease: string }>({
      name: 'extend',
      text: 'SELECT flexid.extend($1, $2, $3) AS lease',
      values: [leases.map((token) => leaseParts(token).lane), [...byId.keys()], wholeTime(leaseMs)],
    });
    return rows.map(({ lease }) => byId.get(lease)!);
  }

  async function drop(tenant: string, ids: readonly string[]): Promise<void> {
    const { n } = await tenantById(tenant);
    const text = 'SELECT flexid.drop_jobs($1, $2, $3) AS causes';
    const [row] = await patient<{ causes: string[] }>({ name: 'drop', text, values: [from, n, ids] });
    batch.announce(row?.causes ?? [], []);
  }

  async function nextDue(kinds: readonly JobKind[] = JOB_KINDS, after = -1): Promise<number | undefined> {
    const [row] = await link.query<{ due: number | null }>({
      name: 'next-due',
      text: `SELECT min(due) AS due FROM flexid.lane WHERE due > $2 AND due < ${NEVER} AND kind = ANY ($1)`,
      values: [kinds, after],
    });
    return row?.due ?? undefined;
  }

  async function dead(tenant: string, page: { limit: number; offset: number }): Promise<Page<DeadJob>> {
    const known = await tenantById(tenant);
    const columns = 'id, kind, lane, attempts, died, error, payload';
    const [total, rows] = await Promise.all([
      reads.scoped<{ total: number }>(known, 'dead-total', 'SELECT count(*) AS total FROM flexid.dead WHERE t = $1', [known.n]),
      reads.scoped(known, 'dead', `SELECT ${columns} FROM flexid.dead WHERE t = $1 ORDER BY n LIMIT $2 OFFSET $3`, [
        known.n,
        page.limit,
        page.offset,
      ]),
    ]);
    return { total: total[0]?.total ?? 0, rows: (rows as Parameters<typeof readDead>[1][]).map((row) => readDead(known.keys, row)) };
  }

  async function revive(tenant: string, ids: readonly string[]): Promise<number> {
    const { n } = await tenantById(tenant);
    const [row] = await patient<{ kinds: JobKind[] }>({
      name: 'revive',
      text: 'SELECT flexid.revive($1, $2, $3) AS kinds',
      values: [from, n, ids],
    });
    batch.announce([], row?.kinds ?? []);
    return row?.kinds.length ?? 0;
  }

  return Object.freeze({ claim, settle, extend, drop, nextDue, dead, revive, subscribe });
}
