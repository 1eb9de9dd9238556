import type { DatabaseSync } from 'node:sqlite';
import { asAppError } from '../../errors.ts';
import { type ClaimedJob, type ClaimedLane, JOB_KINDS, type JobKind, type Jobs } from '../../ports/store.ts';
import { decodeJob, NEVER, sealDeath, takeAllocated } from '../../vault/rows.ts';
import { DAMAGED_JOB, guarded, type KnownTenant } from '../store/shared.ts';
import type { BatchWriter } from './batch.ts';
import { rowsOf } from './file.ts';
import { laneChoice } from './lane-choice.ts';
import type { Holds, LaneRow, LaneWrites } from './lanes.ts';

interface JobRead {
  id: string;
  kind: JobKind;
  due: number;
  attempts: number;
  call_id: string | null;
  payload: Uint8Array;
}

interface Claimed {
  readonly lanes: ClaimedLane[];
  /** Whether others are due; undefined where that needs a look. */
  readonly left?: boolean;
}

interface Parts {
  db: DatabaseSync;
  batch: BatchWriter;
  lanes: LaneWrites;
  held: Holds;
  tenantById: (id: string) => KnownTenant;
  tenantByNumber: (n: number) => KnownTenant;
}

/** Claims of lanes with their jobs: they only read, and hold the lanes in memory. */
export function laneClaims({ db, batch, lanes, held, tenantById, tenantByNumber }: Parts) {
  const choose = laneChoice({ db, held, tenantById });
  const laneJobs = db.prepare('SELECT id, kind, due, attempts, call_id, payload FROM job WHERE lane = ? ORDER BY id LIMIT ?');
  const allocation = db.prepare('SELECT n FROM allocation WHERE t = ? AND job = ?');

  /** A write that only puts right what a claim found: nobody waits for it, and the next claim finds the same again if it fails. */
  const putRight = (write: () => void): void => void batch.write(write).catch(() => undefined);

  /** The jobs of a lane that may run now, in order, up to the first one that is not due or cannot be read. */
  function takeJobs(lane: LaneRow, perLane: number, now: number): ClaimedJob[] {
    const { keys } = tenantByNumber(lane.t);
    const jobs: ClaimedJob[] = [];
    for (const row of rowsOf<JobRead>(laneJobs.all(lane.name, perLane))) {
      if (row.due > now) break;
      const { id, kind, attempts } = row;
      try {
        const payload = guarded(`job ${id}`, () => decodeJob(keys, { kind, id, lane: lane.name, payload: row.payload }));
        const job: ClaimedJob = { id, kind, tenant: keys.tenant, attempts, payload, callId: row.call_id ?? undefined };
        if (takeAllocated(payload)) job.allocated = (allocation.get(lane.t, id) as { n: number } | undefined)?.n;
        jobs.push(job);
      } catch (error) {
        if (asAppError(error).code !== 'store-corrupt') throw error;
        // one damaged row must not stop its lane for ever, nor the claims of everyone
        putRight(() => {
          lanes.bury(lane.name, id, sealDeath(keys, id, DAMAGED_JOB), now);
          if (!held.isHeld(lane.name, now)) lanes.refresh(lane.name, now);
        });
        break;
      }
    }
    return jobs;
  }

  function named(name: string, now: number): LaneRow[] {
    const lane = lanes.byName(name);
    return lane && !held.isHeld(name, now) ? [lane] : [];
  }

  return function claim({ lanes: wanted, perLane, leaseMs, kinds, share, lane }: Parameters<Jobs['claim']>[0]): Claimed {
    const now = Date.now();
    const taken: ClaimedLane[] = [];
    const { rows, left } = lane === undefined ? choose(now, wanted, kinds ?? JOB_KINDS, share) : { rows: named(lane, now) };
    for (const row of rows) {
      let jobs: ClaimedJob[];
      try {
        jobs = takeJobs(row, perLane, lane === undefined ? now : NEVER);
      } catch (error) {
        // its owner keeps the key; or it is being removed, and the lane with it
        if (!['wallet-locked', 'not-found'].includes(asAppError(error).code)) throw error;
        putRight(() => lanes.park(row));
        continue;
      }
      if (jobs.length === 0) {
        // its first job is due later than the lane: its holder ended without a settle
        putRight(() => {
          if (!held.isHeld(row.name, now)) lanes.refresh(row.name, now);
        });
        continue;
      }
      const { token } = held.take(row, now + leaseMs);
      taken.push({ lane: row.name, kind: row.kind, tenant: tenantByNumber(row.t).keys.tenant, lease: token, jobs });
    }
    return { lanes: taken, left };
  };
}
