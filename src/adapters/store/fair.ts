import type { Share } from '../../ports/claims.ts';
import type { JobKind } from '../../ports/store.ts';

/** Lanes that a claim looks at for what is due longest. Where there are as many, somebody may crowd others out. */
export const WINDOW = 64;
/** Of a crowd each tenant is looked at, up to so many at a time, beginning anywhere; of each of them so many targets, and so many lanes of each, at least. */
export const CROWD = { tenants: 256, targets: 16, lanes: 8 } as const;

/** A lane that could be claimed. */
export interface Candidate {
  readonly kind: JobKind;
  readonly t: number;
  readonly target: string;
  readonly due: number;
}

/** The bounds of a claim for each tenant and target, by the tenant's number. */
export interface Bounds {
  /** Lanes of one tenant that may be held. */
  readonly tenant: number;
  /** Lanes of one target that may be taken, where `room` has no other number. */
  readonly target: number;
  held(t: number): number;
  room(t: number, target: string): number | undefined;
}

export const NO_BOUNDS: Bounds = { tenant: Infinity, target: Infinity, held: () => 0, room: () => undefined };

/** The bounds of a request; tenants that are not there any more are passed over. */
export function boundsOf(share: Share | undefined, number: (tenant: string) => number | undefined): Bounds {
  if (!share) return NO_BOUNDS;
  const held = new Map<number, number>();
  for (const [tenant, count] of share.held) {
    const t = number(tenant);
    if (t !== undefined) held.set(t, count);
  }
  const room = new Map<string, number>();
  for (const { tenant, target, room: left } of share.targets) {
    const t = number(tenant);
    if (t !== undefined) room.set(`${t} ${target}`, left);
  }
  return {
    tenant: share.tenant,
    target: share.target,
    held: (t) => held.get(t) ?? 0,
    room: (t, target) => room.get(`${t} ${target}`),
  };
}

/**
 * The lanes that are taken: in turn by tenant, whoever holds least first, and of a tenant in turn by target; what is due for longest first. `flexid.claim_fair`
 * does the same in PostgreSQL.
 */
export function fairly<Lane extends Candidate>(candidates: readonly Lane[], wanted: number, bounds: Bounds): Lane[] {
  const byDue = [...candidates].sort((a, b) => a.due - b.due);
  const places = new Map<string, number>();
  const allowed: { lane: Lane; place: number }[] = [];
  for (const lane of byDue) {
    const key = `${lane.kind} ${lane.t} ${lane.target}`;
    const place = (places.get(key) ?? 0) + 1;
    places.set(key, place);
    if (lane.target !== '' && place > (bounds.room(lane.t, lane.target) ?? bounds.target)) continue;
    // a lane without a target is a target of its own
    allowed.push({ lane, place: lane.target === '' ? 1 : place });
  }
  allowed.sort((a, b) => a.place - b.place);
  const turns = new Map<number, number>();
  const ranked: { lane: Lane; turn: number }[] = [];
  for (const { lane } of allowed) {
    const turn = (turns.get(lane.t) ?? bounds.held(lane.t)) + 1;
    if (turn > bounds.tenant) continue;
    turns.set(lane.t, turn);
    ranked.push({ lane, turn });
  }
  return ranked
    .sort((a, b) => a.turn - b.turn || a.lane.due - b.lane.due)
    .slice(0, wanted)
    .map(({ lane }) => lane);
}
