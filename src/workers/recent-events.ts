import { BoundedMap } from '../bounded-map.ts';
import type { EventWrite, Jobs } from '../ports/store.ts';

/** A webhook follows its commit at once, so few are kept: the rest is read from the database. */
const KEPT = 32;

/** Events that this process committed a moment ago, each until it is taken, so that its webhook need not read it. */
export function recentEvents(jobs: Pick<Jobs, 'subscribe'>): { take(tenant: string, id: string): EventWrite | undefined } {
  const recent = new BoundedMap<string, EventWrite>(KEPT);
  jobs.subscribe(({ kinds, events }) => {
    // without a job nobody takes them
    if (!kinds.includes('event')) return;
    for (const { tenant, event } of events) recent.set(`${tenant} ${event.id}`, event);
  });
  return {
    take(tenant, id) {
      const name = `${tenant} ${id}`;
      const event = recent.get(name);
      recent.delete(name);
      return event;
    },
  };
}
