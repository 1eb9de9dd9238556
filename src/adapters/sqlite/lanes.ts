import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import { targetOf } from '../../ports/claims.ts';
import type { JobKind } from '../../ports/store.ts';
import { type JobRow, NEVER } from '../../vault/rows.ts';

/** A lane that a worker holds. */
export interface Hold {
  token: string;
  lane: number;
  /** The owner: the tenant's number and the target. */
  owner: string;
  until: number;
}

/** The holds of lanes. In memory: one process has the file, so a hold cannot outlive it. A hold that ran out lasts until someone takes the lane. */
export function holds() {
  const byToken = new Map<string, Hold>();
  const byLane = new Map<number, Hold>();
  const byOwner = new Map<string, number>();
  const count = (owner: string, more: number): void => {
    const sum = (byOwner.get(owner) ?? 0) + more;
    if (sum > 0) byOwner.set(owner, sum);
    else byOwner.delete(owner);
  };
  return {
    isHeld: (lane: number, now: number): boolean => (byLane.get(lane)?.until ?? 0) > now,
    of: (token: string): Hold | undefined => byToken.get(token),
    /** How many lanes of a target are held, at most. */
    count: (t: number, target: string): number => byOwner.get(`${t} ${target}`) ?? 0,
    take({ n: lane, t, name }: Pick<LaneRow, 'n' | 't' | 'name'>, until: number): Hold {
      const former = byLane.get(lane);
      if (former) {
        byToken.delete(former.token);
        count(former.owner, -1);
      }
      const hold = { token: randomUUID(), lane, owner: `${t} ${targetOf(name)}`, until };
      byToken.set(hold.token, hold);
      byLane.set(lane, hold);
      count(hold.owner, 1);
      return hold;
    },
    release(token: string): void {
      const hold = byToken.get(token);
      byToken.delete(token);
      if (!hold || byLane.get(hold.lane) !== hold) return;
      byLane.delete(hold.lane);
      count(hold.owner, -1);
    },
    /** The lanes held now, as a JSON list for SQL. */
    list(now: number): string {
      const lanes: number[] = [];
      for (const hold of byLane.values()) if (hold.until > now) lanes.push(hold.lane);
      return JSON.stringify(lanes);
    },
    /** When the first hold runs out. */
    firstEnd(): number | undefined {
      let first: number | undefined;
      for (const hold of byLane.values()) if (first === undefined || hold.until < first) first = hold.until;
      return first;
    },
  };
}
export type Holds = ReturnType<typeof holds>;

export interface LaneRow {
  n: number;
  name: string;
  kind: JobKind;
  t: number;
  due: number;
  head: string;
}

/** The writes on lanes and jobs; all of them run inside a batch's transaction. */
export function laneWrites(db: DatabaseSync) {
  const laneByName = db.prepare('SELECT n, name, kind, t, due, head FROM lane WHERE name = ?');
  const laneByNumber = db.prepare('SELECT n, name, kind, t, due, head FROM lane WHERE n = ?');
  const laneInsert = db.prepare('INSERT INTO lane (name, kind, t, due, head) VALUES (?, ?, ?, ?, ?)');
  const laneUpdate = db.prepare('UPDATE lane SET due = ?, head = ? WHERE n = ?');
  const laneDelete = db.prepare('DELETE FROM lane WHERE n = ?');
  const headOf = db.prepare('SELECT id, due FROM job WHERE lane = ? ORDER BY id LIMIT 1');
  const jobInsert = db.prepare('INSERT INTO job (id, lane, t, kind, due, attempts, call_id, payload) VALUES (?, ?, ?, ?, ?, 0, ?, ?)');
  const jobDelete = db.prepare('DELETE FROM job WHERE id = ? AND lane = ? RETURNING call_id');
  const jobDrop = db.prepare('DELETE FROM job WHERE id = ? AND t = ? RETURNING lane, call_id');
  const jobRetry = db.prepare('UPDATE job SET attempts = attempts + ?, due = ? WHERE id = ? AND lane = ?');
  const jobDead = db.prepare(`INSERT INTO dead (id, lane, t, kind, attempts, call_id, payload, died, error)
    SELECT j.id, l.name, j.t, j.kind, j.attempts + 1, j.call_id, j.payload, ?, ? FROM job j JOIN lane l ON l.n = j.lane WHERE j.id = ? AND j.lane = ?`);
  const deadGet = db.prepare('SELECT id, lane, kind, call_id, payload FROM dead WHERE id = ? AND t = ?');
  const deadDelete = db.prepare('DELETE FROM dead WHERE id = ?');

  type Removed = { call_id: string | null };

  function insert(t: number, job: Pick<JobRow, 'id' | 'kind' | 'lane' | 'due' | 'callId'> & { payload: Uint8Array }, now: number): void {
    const due = Math.max(job.due, now);
    const found = laneByName.get(job.lane) as LaneRow | undefined;
    let lane: number;
    if (!found) {
      lane = Number(laneInsert.run(job.lane, job.kind, t, due, job.id).lastInsertRowid);
    } else {
      if (found.t !== t || found.kind !== job.kind) throw new AppError('internal', `Lane ${job.lane} belongs to another tenant or kind`);
      lane = found.n;
      if (job.id < found.head) laneUpdate.run(due, job.id, lane);
    }
    jobInsert.run(job.id, lane, t, job.kind, due, job.callId, job.payload);
  }

  return {
    insert,
    byName: (name: string) => laneByName.get(name) as LaneRow | undefined,
    byNumber: (n: number) => laneByNumber.get(n) as LaneRow | undefined,
    /** Removes a lane without jobs; whether it did. */
    removeEmpty(lane: number): boolean {
      if (headOf.get(lane)) return false;
      laneDelete.run(lane);
      return true;
    },
    /** Removes a job from a lane; undefined when it is not there. */
    remove: (lane: number, id: string) => jobDelete.get(id, lane) as Removed | undefined,
    drop: (t: number, id: string) => jobDrop.get(id, t) as (Removed & { lane: number }) | undefined,
    retry: (lane: number, id: string, at: number, untried = false) => void jobRetry.run(untried ? 0 : 1, at, id, lane),
    /** Lets a lane wait until it is woken. */
    park: (lane: LaneRow) => void laneUpdate.run(NEVER, lane.head, lane.n),
    /** Sets a job aside; undefined when it is not there. */
    bury(lane: number, id: string, error: Uint8Array, now: number): Removed | undefined {
      if (jobDead.run(now, error, id, lane).changes === 0) return undefined;
      return jobDelete.get(id, lane) as Removed;
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
     * Sets a lane's head and due time from its first job, or removes the lane when it is empty. A lane that was just served goes behind the others that are due.
     * @returns the lane's due time, or undefined when it is gone.
     */
    refresh(lane: number, now: number): number | undefined {
      const head = headOf.get(lane) as { id: string; due: number } | undefined;
      if (!head) {
        laneDelete.run(lane);
        return undefined;
      }
      const due = Math.max(head.due, now);
      laneUpdate.run(due, head.id, lane);
      return due;
    },
  };
}
export type LaneWrites = ReturnType<typeof laneWrites>;
