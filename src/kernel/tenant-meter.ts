/** So many tenants are counted apart within a minute; the events of more are counted together. */
const MAX_TENANTS = 10_000;
const MINUTE_MS = 60_000;

/** Events by tenant in the last full minute. Older counts are dropped: an idle tenant costs nothing. */
export interface TenantMeter {
  add(tenant: string): void;
  /** The busiest tenants of the last full minute, the first one first, and how many happenings were of all others. */
  busiest(count: number): { readonly top: readonly (readonly [tenant: string, count: number])[]; readonly other: number };
}

interface Minute {
  readonly at: number;
  readonly of: Map<string, number>;
  rest: number;
}

export function createTenantMeter(now: () => number): TenantMeter {
  const fresh = (at: number): Minute => ({ at, of: new Map(), rest: 0 });
  let present = fresh(0);
  let last = fresh(0);

  function turn(): void {
    const at = Math.floor(now() / MINUTE_MS);
    if (at === present.at) return;
    last = present.at === at - 1 ? present : fresh(at - 1);
    present = fresh(at);
  }

  return {
    add(tenant) {
      turn();
      const before = present.of.get(tenant);
      if (before === undefined && present.of.size >= MAX_TENANTS) present.rest++;
      else present.of.set(tenant, (before ?? 0) + 1);
    },
    busiest(count) {
      turn();
      const sorted = [...last.of].sort(([a, more], [b, less]) => less - more || (a < b ? -1 : 1));
      const top = sorted.slice(0, count);
      return { top, other: sorted.slice(count).reduce((sum, [, value]) => sum + value, last.rest) };
    },
  };
}
