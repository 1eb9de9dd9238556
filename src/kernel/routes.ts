import type { Database, Route } from '../ports/store.ts';
import { BoundedMap } from './bounded-map.ts';

const ROUTE_CACHE = 50_000;

/** Owners of keys and of other names that messages are addressed by. */
export interface Routes {
  /** The tenant and purpose of a key; from memory where it was asked for lately. */
  of(kid: string): Promise<Route | undefined>;
  /** Whether the next look-up of the key is answered from memory. */
  remembered(kid: string): boolean;
}

/** A cache over the route table, within a bound; a commit in whatever process that removes a key or a tenant clears it. */
export function createRoutes(db: Database): Routes {
  const routes = new BoundedMap<string, Route>(ROUTE_CACHE);
  db.jobs.subscribe(({ invalidate }) => {
    for (const name of invalidate) {
      routes.delete(name);
      if (name === '*') routes.clear();
      else for (const [kid, { tenant }] of routes) if (tenant === name) routes.delete(kid);
    }
  });
  return {
    remembered: (kid) => routes.has(kid),
    async of(kid) {
      const hit = routes.get(kid);
      if (hit) return hit;
      const route = await db.store.route(kid);
      if (route) routes.set(kid, route);
      return route;
    },
  };
}
