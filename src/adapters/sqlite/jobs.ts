import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { asAppError } from '../../errors.ts';
import {
  type ClaimedJob,
  type ClaimedLane,
  type DeadJob,
  JOB_KINDS,
  type JobKind,
  type Jobs,
  type Page,
  type Share,
} from '../../ports/store.ts';
import { decodeJob, NEVER, sealDeath, takeAllocated, wholeTime } from '../../vault/rows.ts';
import { type Bounds, boundsOf, CROWD, fairly, windowOf } from '../store/fair.ts';
import { DAMAGED_JOB, guarded, type KnownTenant, type NotificationDraft, readDead } from '../store/shared.ts';
import type { BatchWriter } from './batch.ts';
import type { Holds, LaneRow, LaneWrites } from './lanes.ts';

type FairRow = LaneRow & { target: string };

interface JobRead {
  id: string;
  kind: JobKind;
  due: number;
  attempts: number;
  cause: string | null;
  payload: Uint8Array;
}

interface Parts {
  db: DatabaseSync;
  batch: BatchWriter;
  lanes: LaneWrites;
  held: Holds;
  tenantById: (id: string) => KnownTenant;
  tenantByNumber: (n: number) => KnownTenant;
  read: <T>(run: () => T) => Promise<T>;
  subscribe: Jobs['subscribe'];
}

/** The job side of an SQLite database: claims only read (holds are in memory), everything else is part of the turn's batch. */
export function sqliteJobs({ db, batch, lanes, held, tenantById, tenantByNumber, read, subscribe }: Parts): Jobs {
  const columns = 'n, name, kind, t, due, head, target';
  const dueLanes = db.prepare(`SELECT ${columns} FROM lane
    WHERE kind = ? AND due <= ? AND n NOT IN (SELECT value FROM json_each(?)) ORDER BY due, n LIMIT ?`);
  const nextTenant = db.prepare('SELECT t FROM lane WHERE kind = ? AND t >= ? ORDER BY t LIMIT 1');
  const lastTenant = db.prepare('SELECT max(t) AS t FROM lane WHERE kind = ?');
  const nextTarget = db.prepare('SELECT target FROM lane WHERE kind = ? AND t = ? AND target > ? ORDER BY target LIMIT 1');
  const targetLanes = db.prepare(`SELECT ${columns} FROM lane WHERE kind = ? AND t = ? AND target = ? AND due <= ? ORDER BY due LIMIT ?`);
  const laneJobs = db.prepare('SELECT id, kind, due, attempts, cause, payload FROM job WHERE lane = ? ORDER BY id LIMIT ?');
  const allocation = db.prepare('SELECT n FROM allocation WHERE t = ? AND job = ?');
  const firstDue = db.prepare(`SELECT due FROM lane
    WHERE kind = ? AND due > ? AND due < ${NEVER} AND n NOT IN (SELECT value FROM json_each(?)) ORDER BY due LIMIT 1`);
  const deadRows = db.prepare('SELECT id, kind, lane, attempts, died, error, payload FROM dead WHERE t = ? ORDER BY n LIMIT ? OFFSET ?');
  const deadCount = db.prepare('SELECT count(*) AS total FROM dead WHERE t = ?');

  function announce(draft: NotificationDraft, callIds: readonly string[], kinds: readonly JobKind[]): void {
    for (const callId of callIds) draft.callIds.add(callId);
    for (const kind of kinds) draft.kinds.add(kind);
  }

  /** A write that only puts right what a claim found: nobody waits for it, and the next claim finds the same again if it fails. */
  const putRight = (write: () => void): void => void batch.write(write).catch(() => undefined);

  /** The jobs of a lane that may run now, in order, up to the first one that is not due or cannot be read. */
  function takeJobs(lane: LaneRow, perLane: number, now: number): ClaimedJob[] {
    const { keys } = tenantByNumber(lane.t);
    const jobs: ClaimedJob[] = [];
    for (const row of laneJobs.all(lane.n, perLane) as unknown as JobRead[]) {
      if (row.due > now) break;
      const { id, kind, attempts } = row;
      try {
        const payload = guarded(`job ${id}`, () => decodeJob(keys, { kind, id, lane: lane.name, payload: row.payload }));
        const job: ClaimedJob = { id, kind, tenant: keys.tenant, attempts, payload, callId: row.cause ?? undefined };
        if (takeAllocated(payload)) job.allocated = (allocation.get(lane.t, id) as { n: number } | undefined)?.n;
        jobs.push(job);
      } catch (error) {
        if (asAppError(error).code !== 'store-corrupt') throw error;
        // one damaged row must not stop its lane for ever, nor the claims of everyone
        putRight(() => {
          lanes.bury(lane.n, id, sealDeath(keys, id, DAMAGED_JOB), now);
          if (!held.isHeld(lane.n, now)) lanes.refresh(lane.n, now);
        });
        break;
      }
    }
    return jobs;
  }

  function candidates(now: number, wanted: number, kinds: readonly JobKind[], share: Share | undefined): FairRow[] {
    const busy = held.list(now);
    const bounds = boundsOf(share, (tenant) => {
      try {
        return tenantById(tenant).n;
      } catch {
        return undefined;
      }
    });
    const size = windowOf(wanted);
    const found = kinds.flatMap((kind) => {
      const rows = dueLanes.all(kind, now, busy, size) as unknown as FairRow[];
      return rows.length < size ? rows : [...rows, ...crowd(kind, now, bounds)];
    });
    const each = new Map(found.map((row) => [row.n, row]));
    return fairly([...each.values()], wanted, bounds);
  }

  /** Some lanes of every tenant and target: where more is due than a claim can look at, whoever has few would not be seen. */
  function crowd(kind: JobKind, now: number, bounds: Bounds): FairRow[] {
    const found: FairRow[] = [];
    const { t: last } = lastTenant.get(kind) as { t: number | null };
    const start = Math.floor(Math.random() * ((last ?? 0) + 1));
    let looks = 0;
    const look = (from: number, to: number): void => {
      for (let t = from; looks < CROWD.tenants; t++) {
        const next = nextTenant.get(kind, t) as { t: number } | undefined;
        if (!next || next.t >= to) return;
        looks++;
        t = next.t;
        if (bounds.held(t) < bounds.tenant) lookAt(kind, t, now, bounds, found);
      }
    };
    look(start, Infinity);
    look(0, start);
    return found;
  }

  function lookAt(kind: JobKind, t: number, now: number, bounds: Bounds, found: FairRow[]): void {
    const start = randomBytes(3).toString('base64url');
    let looks = 0;
    const look = (target: string): void => {
      looks++;
      const room = Math.min(CROWD.lanes, target === '' ? CROWD.lanes : (bounds.room(t, target) ?? CROWD.lanes));
      if (room <= 0) return;
      const rows = targetLanes.all(kind, t, target, now, room + held.count(t, target)) as unknown as FairRow[];
      for (const row of rows) if (!held.isHeld(row.n, now)) found.push(row);
    };
    look('');
    const from = (first: string, end: string | undefined): void => {
      for (let target = first; looks < CROWD.targets; ) {
        const next = nextTarget.get(kind, t, target) as { target: string } | undefined;
        if (!next || (end !== undefined && next.target > end)) return;
        target = next.target;
        look(target);
      }
    };
    from(start, undefined);
    from('', start);
  }

  function named(name: string, now: number): LaneRow[] {
    const lane = lanes.byName(name);
    return lane && !held.isHeld(lane.n, now) ? [lane] : [];
  }

  function claim({ lanes: wanted, perLane, leaseMs, kinds, share, lane }: Parameters<Jobs['claim']>[0]): ClaimedLane[] {
    const now = Date.now();
    const taken: ClaimedLane[] = [];
    const rows = lane === undefined ? candidates(now, wanted, kinds ?? JOB_KINDS, share) : named(lane, now);
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
        // the row says more than the jobs do: its holder ended without a settle
        putRight(() => {
          if (!held.isHeld(row.n, now)) lanes.refresh(row.n, now);
        });
        continue;
      }
      const { token } = held.take(row, now + leaseMs);
      taken.push({ lane: row.name, kind: row.kind, tenant: tenantByNumber(row.t).keys.tenant, lease: token, jobs });
    }
    return taken;
  }

  function settle(settled: Parameters<Jobs['settle']>[0]): Promise<void> {
    const callIds: string[] = [];
    const kinds: JobKind[] = [];
    const ended: string[] = [];
    const write = () => {
      const now = Date.now();
      for (const one of settled) {
        const hold = held.of(one.lease);
        const lane = hold && lanes.byNumber(hold.lane);
        if (!hold || !lane || lane.name !== one.lane) continue;
        const removal = [
          ...(one.done ?? []).map((id) => lanes.remove(lane.n, id)),
          ...(one.dead ?? []).map(({ id, error }) => lanes.bury(lane.n, id, sealDeath(tenantByNumber(lane.t).keys, id, error), now)),
        ];
        for (const removed of removal) if (removed?.cause) callIds.push(removed.cause);
        for (const { id, at, untried } of one.retry ?? []) lanes.retry(lane.n, id, wholeTime(at), untried);
        if (lanes.refresh(lane.n, now) !== undefined) kinds.push(lane.kind);
        ended.push(one.lease);
      }
    };
    return batch.write(write, (draft) => {
      for (const lease of ended) held.release(lease);
      announce(draft, callIds, kinds);
    });
  }

  function drop(tenant: string, ids: readonly string[]): Promise<void> {
    const callIds: string[] = [];
    return batch.write(
      () => {
        const now = Date.now();
        const { n } = tenantById(tenant);
        const touched = new Set<number>();
        for (const id of ids) {
          const removed = lanes.drop(n, id);
          if (removed) touched.add(removed.lane);
          if (removed?.cause) callIds.push(removed.cause);
        }
        for (const lane of touched) if (!held.isHeld(lane, now)) lanes.refresh(lane, now);
      },
      (draft) => announce(draft, callIds, []),
    );
  }

  async function revive(tenant: string, ids: readonly string[]): Promise<number> {
    const kinds: JobKind[] = [];
    await batch.write(
      () => {
        const { n } = tenantById(tenant);
        for (const id of ids) {
          const kind = lanes.revive(n, id, Date.now());
          if (kind) kinds.push(kind);
        }
      },
      (draft) => announce(draft, [], kinds),
    );
    return kinds.length;
  }

  function dead(tenant: string, page: { limit: number; offset: number }): Page<DeadJob> {
    const { n, keys } = tenantById(tenant);
    const { total } = deadCount.get(n) as { total: number };
    const rows = deadRows.all(n, page.limit, page.offset) as unknown as (Omit<DeadJob, 'error' | 'payload'> & {
      error: Uint8Array;
      payload: Uint8Array;
    })[];
    return { total, rows: rows.map((row) => readDead(keys, row)) };
  }

  function nextDue(kinds: readonly JobKind[] = JOB_KINDS, after = -1): number | undefined {
    const now = Date.now();
    const busy = held.list(now);
    const times = kinds.flatMap((kind) => (firstDue.all(kind, after, busy) as { due: number }[]).map((row) => row.due));
    const ends = held.firstEnd();
    // a lane whose hold runs out is claimable again, should its holder never settle
    if (ends !== undefined && ends > now) times.push(ends);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  return Object.freeze({
    claim: (request: Parameters<Jobs['claim']>[0]) => read(() => claim(request)),
    settle,
    extend: (leases: readonly string[], leaseMs: number) =>
      read(() => {
        const until = Date.now() + leaseMs;
        return leases.filter((lease) => {
          const hold = held.of(lease);
          if (hold) hold.until = until;
          return hold !== undefined;
        });
      }),
    drop,
    nextDue: (kinds?: readonly JobKind[], after?: number) => read(() => nextDue(kinds, after)),
    dead: (tenant: string, page: { limit: number; offset: number }) => read(() => dead(tenant, page)),
    revive,
    subscribe,
  });
}
