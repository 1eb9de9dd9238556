import type { DatabaseSync } from 'node:sqlite';
import { asAppError } from '../../errors.ts';
import type { Claim, Claims } from '../../ports/claims.ts';
import { type DeadJob, JOB_KINDS, type JobKind, type Jobs, type Page, type SettledLane } from '../../ports/store.ts';
import { NEVER, sealDeath, wholeTime } from '../../vault/rows.ts';
import type { TenantKeys } from '../../vault/seal.ts';
import { type KnownTenant, type NotificationDraft, readDead } from '../store/shared.ts';
import type { BatchWriter, Passenger } from './batch.ts';
import { laneClaims } from './claims.ts';
import { rowsOf } from './file.ts';
import type { Holds, LaneWrites } from './lanes.ts';

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

/** The keys of a tenant; undefined where its wallet is locked. Its deaths are not written then: their jobs wait until it opens, and run again. */
function openKeys(tenant: () => KnownTenant): TenantKeys | undefined {
  try {
    return tenant().keys;
  } catch (error) {
    if (!['wallet-locked', 'not-found'].includes(asAppError(error).code)) throw error;
    return undefined;
  }
}

/** The job side of an SQLite database: claims only read (holds are in memory), everything else is part of the turn's batch. */
export function sqliteJobs({ db, batch, lanes, held, tenantById, tenantByNumber, read, subscribe }: Parts): Jobs {
  const claim = laneClaims({ db, batch, lanes, held, tenantById, tenantByNumber });
  const firstDue = db.prepare(`SELECT lane_due AS due FROM job INDEXED BY job_due
    WHERE kind = ? AND lane_due > ? AND lane_due < ${NEVER} AND lane NOT IN (SELECT value FROM json_each(?)) ORDER BY lane_due LIMIT 1`);
  const deadRows = db.prepare('SELECT id, kind, lane, attempts, died, error, payload FROM dead WHERE t = ? ORDER BY n LIMIT ? OFFSET ?');
  const deadCount = db.prepare('SELECT count(*) AS total FROM dead WHERE t = ?');

  function announce(draft: NotificationDraft, callIds: readonly string[], kinds: readonly JobKind[]): void {
    for (const callId of callIds) draft.callIds.add(callId);
    for (const kind of kinds) draft.kinds.add(kind);
  }

  /**
   * What is lost of it with the machine's power runs again, as after the death of a holder.
   * @param claimed kinds that are claimed after it, of which no notification is needed
   */
  function settling(settled: readonly SettledLane[], claimed: readonly JobKind[] = []): Pick<Passenger, 'write' | 'committed'> {
    const callIds: string[] = [];
    const kinds: JobKind[] = [];
    const ended: string[] = [];
    const write = () => {
      const now = Date.now();
      for (const one of settled) {
        const hold = held.of(one.lease);
        if (!hold || hold.lane !== one.lane) continue;
        ended.push(one.lease);
        const lane = lanes.byName(hold.lane);
        if (!lane) continue;
        const keys = one.dead?.length ? openKeys(() => tenantByNumber(lane.t)) : undefined;
        // from behind: each removal of the first job writes the next one anew, payload and all
        const removal = [
          ...(one.done ?? []).toReversed().map((id) => lanes.remove(lane.name, id)),
          ...(keys ? one.dead! : []).map(({ id, error }) => lanes.bury(lane.name, id, sealDeath(keys!, id, error), now)),
        ];
        for (const removed of removal) if (removed?.call_id) callIds.push(removed.call_id);
        for (const { id, at, untried } of one.retry ?? []) lanes.retry(lane.name, id, wholeTime(at), untried);
        if (lanes.refresh(lane.name, now) !== undefined && !claimed.includes(lane.kind)) kinds.push(lane.kind);
      }
    };
    const committed = (draft: NotificationDraft): void => {
      for (const lease of ended) held.release(lease);
      announce(draft, callIds, kinds);
    };
    return { write, committed };
  }

  /** Without a hold there is nothing to end: the lane went with its last job, or is another's. */
  const heldOf = (settled: readonly SettledLane[]): readonly SettledLane[] => settled.filter(({ lease }) => held.of(lease));

  async function settle(all: readonly SettledLane[], claimed?: readonly JobKind[]): Promise<void> {
    const settled = heldOf(all);
    if (settled.length === 0) return;
    const { write, committed } = settling(settled, claimed);
    await batch.write(write, committed, { repeatable: true });
  }

  function settleAlong(take: () => readonly SettledLane[], again: (lanes: readonly SettledLane[]) => void): void {
    batch.takeAlong(() => {
      const settled = heldOf(take());
      return settled.length === 0 ? undefined : { ...settling(settled), reject: () => again(settled) };
    });
  }

  function drop(tenant: string, jobs: Parameters<Jobs['drop']>[1]): Promise<void> {
    const callIds: string[] = [];
    return batch.write(
      () => {
        const now = Date.now();
        const { n } = tenantById(tenant);
        for (const { id, lane } of jobs) {
          if (lanes.byName(lane)?.t !== n) continue;
          const removed = lanes.remove(lane, id);
          if (removed?.call_id) callIds.push(removed.call_id);
          if (removed && !held.isHeld(lane, now)) lanes.refresh(lane, now);
        }
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
    const rows = rowsOf<Omit<DeadJob, 'error' | 'payload'> & { error: Uint8Array; payload: Uint8Array }>(
      deadRows.all(n, page.limit, page.offset),
    );
    return { total, rows: rows.map((row) => readDead(keys, row)) };
  }

  /** What is due now, and what is due next. @param known the answer of a claim, where it has one */
  function look(kinds: readonly JobKind[], now: number, known?: boolean): { left: boolean; next?: number } {
    const first = (after: number): number[] =>
      kinds.flatMap((kind) => rowsOf<{ due: number }>(firstDue.all(kind, after, held.list(kind, now))).map((row) => row.due));
    const dues = known === undefined ? first(-1) : [];
    const left = known ?? dues.some((due) => due <= now);
    const times = known !== undefined || left ? first(now) : dues;
    const ends = held.firstEnd(kinds);
    // a lane whose hold runs out is claimable again, should its holder never settle
    if (ends !== undefined && ends > now) times.push(ends);
    return { left, ...(times.length > 0 ? { next: Math.min(...times) } : {}) };
  }

  async function settleAndClaim(settled: readonly SettledLane[], request: Claim): Promise<Claims> {
    await settle(settled, request.lanes > 0 ? (request.kinds ?? JOB_KINDS) : []);
    return await read(() => {
      const now = Date.now();
      const { left, ...claimed } = claim(request);
      return { ...claimed, ...look(request.kinds ?? JOB_KINDS, now, left) };
    });
  }

  return Object.freeze({
    claim: (request: Parameters<Jobs['claim']>[0]) => read(() => claim(request).lanes),
    settle: (settled: readonly SettledLane[]) => settle(settled),
    settleAlong,
    settleAndClaim,
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
    dead: (tenant: string, page: { limit: number; offset: number }) => read(() => dead(tenant, page)),
    revive,
    subscribe,
  });
}
