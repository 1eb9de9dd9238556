import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import { targetOf } from '../../ports/claims.ts';
import type { JobKind } from '../../ports/store.ts';
import { type JobRow, NEVER } from '../../vault/rows.ts';

/** A lane that a worker holds. */
export interface Hold {
  token: string;
  lane: string;
  kind: JobKind;
  /** The owner: the tenant's number and the target. */
  owner: string;
  until: number;
}

/** The holds of lanes. In memory: one process has the file, so a hold cannot outlive it. A hold that ran out lasts until someone takes the lane. */
export function holds() {
  const byToken = new Map<string, Hold>();
  const byLane = new Map<string, Hold>();
  const byKind = new Map<JobKind, Set<Hold>>();
  const byOwner = new Map<string, number>();
  const count = (owner: string, more: number): void => {
    const sum = (byOwner.get(owner) ?? 0) + more;
    if (sum > 0) byOwner.set(owner, sum);
    else byOwner.delete(owner);
  };
  const ofKind = (kind: JobKind): Set<Hold> => {
    const some = byKind.get(kind) ?? new Set();
    byKind.set(kind, some);
    return some;
  };
  return {
    isHeld: (lane: string, now: number): boolean => (byLane.get(lane)?.until ?? 0) > now,
    of: (token: string): Hold | undefined => byToken.get(token),
    /** How many lanes of a target are held, at most. */
    count: (t: number, target: string): number => byOwner.get(`${t} ${target}`) ?? 0,
    take({ t, name: lane, kind }: Pick<LaneRow, 't' | 'name' | 'kind'>, until: number): Hold {
      const former = byLane.get(lane);
      if (former) {
        byToken.delete(former.token);
        ofKind(kind).delete(former);
        count(former.owner, -1);
      }
      const hold = { token: randomUUID(), lane, kind, owner: `${t} ${targetOf(lane)}`, until };
      byToken.set(hold.token, hold);
      byLane.set(lane, hold);
      ofKind(kind).add(hold);
      count(hold.owner, 1);
      return hold;
    },
    release(token: string): void {
      const hold = byToken.get(token);
      byToken.delete(token);
      if (!hold || byLane.get(hold.lane) !== hold) return;
      byLane.delete(hold.lane);
      ofKind(hold.kind).delete(hold);
      count(hold.owner, -1);
    },
    /** The lanes of a kind that are held now, as a JSON list for SQL. */
    list(kind: JobKind, now: number): string {
      const lanes: string[] = [];
      for (const hold of byKind.get(kind) ?? []) if (hold.until > now) lanes.push(hold.lane);
      return JSON.stringify(lanes);
    },
    /** When the first hold of some kinds runs out. */
    firstEnd(kinds: readonly JobKind[]): number | undefined {
      let first: number | undefined;
      for (const kind of kinds)
        for (const hold of byKind.get(kind) ?? []) if (first === undefined || hold.until < first) first = hold.until;
      return first;
    },
  };
}
export type Holds = ReturnType<typeof holds>;

/** A lane, as its first job describes it. */
export interface LaneRow {
  name: string;
  kind: JobKind;
  t: number;
  due: number;
  head: string;
}

/** The columns of a lane in the row of its first job. */
export const LANE_COLUMNS = 'lane AS name, kind, t, lane_due AS due, id AS head';

/** The writes on lanes and jobs; all of them run inside a batch's transaction. */
export function laneWrites(db: DatabaseSync) {
  const headOf = db.prepare('SELECT id, t, kind, due, lane_due FROM job WHERE lane = ? ORDER BY id LIMIT 1');
  const laneByName = db.prepare(`SELECT ${LANE_COLUMNS} FROM job WHERE lane = ? ORDER BY id LIMIT 1`);
  const laneDue = db.prepare('UPDATE job SET lane_due = ? WHERE lane = ? AND id = ?');
  const jobInsert = db.prepare(
    'INSERT INTO job (lane, id, t, kind, lane_due, due, attempts, call_id, target, payload) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?)',
  );
  const jobDelete = db.prepare('DELETE FROM job WHERE lane = ? AND id = ? RETURNING lane_due, call_id');
  const jobRetry = db.prepare('UPDATE job SET attempts = attempts + ?, due = ? WHERE lane = ? AND id = ?');
  const jobDead = db.prepare(`INSERT INTO dead (id, lane, t, kind, attempts, call_id, payload, died, error)
    SELECT id, lane, t, kind, attempts + 1, call_id, payload, ?, ? FROM job WHERE lane = ? AND id = ?`);
  const deadGet = db.prepare('SELECT id, lane, kind, call_id, payload FROM dead WHERE id = ? AND t = ?');
  const deadDelete = db.prepare('DELETE FROM dead WHERE id = ?');

  type Head = { id: string; t: number; kind: JobKind; due: number; lane_due: number | null };
  type Removed = { call_id: string | null };

  const head = (lane: string): Head | undefined => headOf.get(lane) as Head | undefined;

  function insert(t: number, job: Pick<JobRow, 'id' | 'kind' | 'lane' | 'due' | 'callId'> & { payload: Uint8Array }, now: number): void {
    const { id, kind, lane, callId, payload } = job;
    const due = Math.max(job.due, now);
    const first = head(lane);
    if (first && (first.t !== t || first.kind !== kind)) throw new AppError('internal', `Lane ${lane} belongs to another tenant or kind`);
    const leads = !first || id < first.id;
    if (first && leads) laneDue.run(null, lane, first.id);
    jobInsert.run(lane, id, t, kind, leads ? due : null, due, callId, targetOf(lane), payload);
  }

  /** Removes a job from a lane; undefined when it is not there. The next one is the first then, and the lane is due as before. */
  function remove(lane: string, id: string): Removed | undefined {
    const removed = jobDelete.get(lane, id) as (Removed & { lane_due: number | null }) | undefined;
    const next = removed?.lane_due == null ? undefined : head(lane);
    if (next) laneDue.run(removed!.lane_due, lane, next.id);
    return removed;
  }

  return {
    insert,
    remove,
    byName: (name: string) => laneByName.get(name) as LaneRow | undefined,
    retry: (lane: string, id: string, at: number, untried = false) => void jobRetry.run(untried ? 0 : 1, at, lane, id),
    /** Lets a lane wait until it is woken. */
    park: ({ name, head: first }: LaneRow) => void laneDue.run(NEVER, name, first),
    /** Sets a job aside; undefined when it is not there. */
    bury(lane: string, id: string, error: Uint8Array, now: number): Removed | undefined {
      return jobDead.run(now, error, lane, id).changes === 0 ? undefined : remove(lane, id);
    },
    /** Puts a dead letter back into its lane; its kind, or undefined when there is none. */
    revive(t: number, id: string, now: number): JobKind | undefined {
      const dead = deadGet.get(id, t) as
        | { id: string; lane: string; kind: JobKind; call_id: string | null; payload: Uint8Array }
        | undefined;
      if (!dead) return undefined;
      deadDelete.run(id);
      insert(t, { ...dead, callId: dead.call_id, due: 0 }, now);
      return dead.kind;
    },
    /**
     * Sets a lane's due time from its first job. A lane that was just served goes behind the others that are due.
     * @returns the lane's due time, or undefined when it has no jobs
     */
    refresh(lane: string, now: number): number | undefined {
      const first = head(lane);
      if (!first) return undefined;
      const due = Math.max(first.due, now);
      if (due !== first.lane_due) laneDue.run(due, lane, first.id);
      return due;
    },
  };
}
export type LaneWrites = ReturnType<typeof laneWrites>;
