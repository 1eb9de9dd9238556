import type { RunnerOptions } from './runner.ts';

/** A lane in hand. */
export interface LaneInHand {
  readonly tenant: string;
  slow: boolean;
  abort: AbortController;
}

/** The lanes in hand of a runner, and which of them take a place from others. */
export function lanePlaces(options: Pick<RunnerOptions, 'lanes' | 'slow'>) {
  /** Those that went on for longest first. */
  const going = new Set<LaneInHand>();

  /** How many lanes take long: those of a tenant beyond its number, and of all beyond theirs, count as if they did not. */
  function count(): { free: number; held: Map<string, number> } {
    const held = new Map<string, number>();
    const slow = new Map<string, number>();
    let extra = options.slow.most;
    let taken = 0;
    for (const { tenant, slow: isSlow } of going) {
      const count = slow.get(tenant) ?? 0;
      if (isSlow && extra > 0 && count < options.slow.each) {
        slow.set(tenant, count + 1);
        extra--;
        continue;
      }
      held.set(tenant, (held.get(tenant) ?? 0) + 1);
      taken++;
    }
    return { free: options.lanes - taken, held };
  }

  /** Ends what takes long where that is too much: of the tenant that has too many of them, or the most, the one that went on for longest. */
  function relieve(tenant: string): void {
    if (!options.slow.abort) return;
    const slow = [...going].filter((one) => one.slow && !one.abort.signal.aborted);
    const byTenant = Map.groupBy(slow, (one) => one.tenant);
    let victims = byTenant.get(tenant) ?? [];
    if (victims.length <= options.slow.each) {
      if (slow.length <= options.slow.most) return;
      for (const some of byTenant.values()) if (some.length > victims.length) victims = some;
    }
    victims[0]?.abort.abort();
  }

  /** A shutdown waits for nobody who does not answer. */
  function giveUp({ abort }: LaneInHand): void {
    if (options.slow.abort) abort.abort();
  }

  return {
    count,
    relieve,
    giveUp,
    begin(tenant: string): LaneInHand {
      const one: LaneInHand = { tenant, slow: false, abort: new AbortController() };
      going.add(one);
      return one;
    },
    takesLong(one: LaneInHand): void {
      one.slow = true;
      // from here on, it went on for less long than those before it
      going.delete(one);
      going.add(one);
    },
    end: (one: LaneInHand): boolean => going.delete(one),
    giveUpSlow(): void {
      for (const one of going) if (one.slow) giveUp(one);
    },
  };
}
