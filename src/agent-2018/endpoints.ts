import { checkedAs } from '../kernel/json.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Database } from '../ports/store.ts';

/** A key under which agents without a relationship reach this one in the 2018 Agent Protocol, and the tenant that keeps it. */
export interface Endpoint {
  readonly did: string;
  readonly verkey: string;
  readonly tenant: string;
}

/** The Endpoint DIDs of this instance: the one that offers name first, then those that mail may still be sealed to. */
export interface Endpoints {
  all(): readonly Endpoint[];
  /** Reads them again. */
  refresh(): Promise<void>;
}

/** How many retired keys still open mail. */
const MAX_KEYS = 8;

/** The present key of an Endpoint DID, and those that it had before. */
function keysOf({ verkey, former_keys }: JsonObject): string[] {
  const former = checkedAs<{ verkey: string }[]>(former_keys ?? []);
  return [String(verkey), ...former.slice(0, MAX_KEYS).map((key) => key.verkey)];
}

/** The Endpoint DIDs of an instance, which its first tenant keeps. @param changed is called when they are others than before */
export function createEndpoints(db: Database, tenant: string, changed: () => void): Endpoints {
  let endpoints: readonly Endpoint[] = [];
  return {
    all: () => endpoints,
    async refresh() {
      const [[published = [], former = []], { rows }] = await Promise.all([
        db.store.load(tenant, [
          { category: 'did', tag: 'posture', equals: 'public' },
          { category: 'did', tag: 'posture', equals: 'posted' },
        ]),
        db.store.find(tenant, 'legacy_endpoint', { descending: true, limit: MAX_KEYS }),
      ]);
      // without a made one the protocol is off; with one, the DID that the ledger vouches for is the better name
      const known = rows.length === 0 ? [] : [...published.slice(0, 1), ...rows, ...former.slice(0, MAX_KEYS)];
      const next = known.flatMap(({ value }) => keysOf(value).map((verkey): Endpoint => ({ did: String(value.did), verkey, tenant })));
      if (JSON.stringify(next) === JSON.stringify(endpoints)) return;
      endpoints = Object.freeze(next);
      changed();
    },
  };
}
