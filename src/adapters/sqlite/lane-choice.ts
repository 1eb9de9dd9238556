import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { type Share, targetOf } from '../../ports/claims.ts';
import type { JobKind } from '../../ports/store.ts';
import { type Bounds, boundsOf, CROWD, fairly, WINDOW } from '../store/fair.ts';
import type { KnownTenant } from '../store/shared.ts';
import { rowsOf } from './file.ts';
import { type Holds, LANE_COLUMNS, type LaneRow } from './lanes.ts';

type FairRow = LaneRow & { target: string };

interface Parts {
  db: DatabaseSync;
  held: Holds;
  tenantById: (id: string) => KnownTenant;
}

/** Chooses lanes that are due and not held, in turn by tenant and target. */
export function laneChoice({ db, held, tenantById }: Parts) {
  const dueLanes = db.prepare(`SELECT ${LANE_COLUMNS} FROM job INDEXED BY job_due
    WHERE kind = ? AND lane_due <= ? AND lane NOT IN (SELECT value FROM json_each(?)) ORDER BY lane_due, id LIMIT ?`);
  const fair = 'FROM job INDEXED BY job_fair WHERE lane_due IS NOT NULL AND kind = ?';
  const nextTenant = db.prepare(`SELECT t ${fair} AND t >= ? ORDER BY t LIMIT 1`);
  const lastTenant = db.prepare(`SELECT max(t) AS t ${fair}`);
  const nextTarget = db.prepare(`SELECT target ${fair} AND t = ? AND target > ? ORDER BY target LIMIT 1`);
  const targetLanes = db.prepare(`SELECT ${LANE_COLUMNS} ${fair} AND t = ? AND target = ? AND lane_due <= ?
    AND lane NOT IN (SELECT value FROM json_each(?)) ORDER BY lane_due LIMIT ?`);

  /** @returns the lanes, and whether others are due; undefined where that needs a look */
  function choose(now: number, wanted: number, kinds: readonly JobKind[], share: Share | undefined): { rows: FairRow[]; left?: boolean } {
    let crowded = false;
    const bounds = boundsOf(share, (tenant) => {
      try {
        return tenantById(tenant).n;
      } catch {
        return undefined;
      }
    });
    const found = kinds.flatMap((kind) => {
      const busy = held.list(kind, now);
      const rows = rowsOf<LaneRow>(dueLanes.all(kind, now, busy, WINDOW));
      if (rows.length < WINDOW) return rows;
      crowded = true;
      return [...rows, ...crowd(kind, now, wanted, busy, bounds)];
    });
    const each = new Map(found.map((row) => [row.name, { ...row, target: targetOf(row.name) }]));
    const rows = fairly([...each.values()], wanted, bounds);
    return rows.length < each.size ? { rows, left: true } : { rows, left: crowded ? undefined : false };
  }

  /** Some lanes of every tenant and target that has room, and no others: however much is due of one that has none, nobody reads it. */
  function crowd(kind: JobKind, now: number, wanted: number, busy: string, bounds: Bounds): LaneRow[] {
    const tenants = tenantsWithRoom(kind, bounds);
    const each = Math.max(CROWD.lanes, Math.ceil((2 * wanted) / Math.max(1, tenants.length)));
    const found: LaneRow[] = [];
    for (const t of tenants) found.push(...lookAt(kind, t, now, Math.min(each, bounds.tenant - bounds.held(t)), busy, bounds));
    return found;
  }

  /** Tenants with lanes of a kind, from anywhere on: a seek for each. */
  function tenantsWithRoom(kind: JobKind, bounds: Bounds): number[] {
    const tenants: number[] = [];
    const { t: last } = lastTenant.get(kind) as { t: number | null };
    const start = Math.floor(Math.random() * ((last ?? 0) + 1));
    let looks = 0;
    const look = (from: number, to: number): void => {
      for (let t = from; looks < CROWD.tenants; t++) {
        const next = nextTenant.get(kind, t) as { t: number } | undefined;
        if (!next || next.t >= to) return;
        looks++;
        t = next.t;
        if (bounds.held(t) < bounds.tenant) tenants.push(t);
      }
    };
    look(start, Infinity);
    look(0, start);
    return tenants;
  }

  /** @param most lanes without a target that may be taken of the tenant */
  function lookAt(kind: JobKind, t: number, now: number, most: number, busy: string, bounds: Bounds): LaneRow[] {
    const found: LaneRow[] = [];
    const start = randomBytes(3).toString('base64url');
    let looks = 0;
    const look = (target: string): void => {
      looks++;
      const room = target === '' ? most : Math.min(CROWD.lanes, bounds.room(t, target) ?? CROWD.lanes);
      if (room <= 0) return;
      found.push(...rowsOf<LaneRow>(targetLanes.all(kind, t, target, now, held.count(t, target) > 0 ? busy : '[]', room)));
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
    return found;
  }

  return choose;
}
