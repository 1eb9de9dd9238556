import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { Share } from '../../ports/claims.ts';
import type { JobKind } from '../../ports/store.ts';
import { type Bounds, boundsOf, CROWD, fairly, windowOf } from '../store/fair.ts';
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
  const columns = `${LANE_COLUMNS}, target`;
  const dueLanes = db.prepare(`SELECT ${columns} FROM job INDEXED BY job_due
    WHERE kind = ? AND lane_due <= ? AND lane NOT IN (SELECT value FROM json_each(?)) ORDER BY lane_due, id LIMIT ?`);
  const fair = 'FROM job INDEXED BY job_fair WHERE lane_due IS NOT NULL AND kind = ?';
  const nextTenant = db.prepare(`SELECT t ${fair} AND t >= ? ORDER BY t LIMIT 1`);
  const lastTenant = db.prepare(`SELECT max(t) AS t ${fair}`);
  const nextTarget = db.prepare(`SELECT target ${fair} AND t = ? AND target > ? ORDER BY target LIMIT 1`);
  const targetLanes = db.prepare(`SELECT ${columns} ${fair} AND t = ? AND target = ? AND lane_due <= ? ORDER BY lane_due LIMIT ?`);

  function choose(now: number, wanted: number, kinds: readonly JobKind[], share: Share | undefined): FairRow[] {
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
      const rows = rowsOf<FairRow>(dueLanes.all(kind, now, busy, size));
      return rows.length < size ? rows : [...rows, ...crowd(kind, now, bounds)];
    });
    const each = new Map(found.map((row) => [row.name, row]));
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
      const rows = rowsOf<FairRow>(targetLanes.all(kind, t, target, now, room + held.count(t, target)));
      for (const row of rows) if (!held.isHeld(row.name, now)) found.push(row);
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

  return choose;
}
