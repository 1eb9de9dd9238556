import { LOOKUP_ROWS, type Lookup, type Store, type StoredDedupKey, type StoredRecord } from '../ports/store.ts';

type Reads = Pick<Store, 'load' | 'loadWithDedupKey' | 'find'>;

/**
 * Results of lookups. Peers may put as many records as they like under a name that they know, as the id of a thread: where there are more than one look brings, the
 * oldest are read too, so that none of theirs hides what was there before. The newest come first.
 */
export async function lookUp(store: Reads, tenant: string, lookups: readonly Lookup[]): Promise<StoredRecord[][]> {
  return lookups.length === 0 ? [] : withOldest(store, tenant, lookups, await store.load(tenant, lookups));
}

/** The same, and the dedup key of a message that was handled before. */
export async function lookUpWithDedupKey(
  store: Reads,
  tenant: string,
  dedupKey: string,
  lookups: readonly Lookup[],
): Promise<{ repeated?: StoredDedupKey; records: StoredRecord[][] }> {
  const found = await store.loadWithDedupKey(tenant, dedupKey, lookups);
  return { repeated: found.repeated, records: await withOldest(store, tenant, lookups, found.records) };
}

const withOldest = (
  store: Reads,
  tenant: string,
  lookups: readonly Lookup[],
  found: readonly (readonly StoredRecord[])[],
): Promise<StoredRecord[][]> =>
  Promise.all(
    lookups.map(async (lookup, i) => {
      const newest = found[i] ?? [];
      if (!('tag' in lookup) || newest.length < LOOKUP_ROWS) return [...newest];
      const { rows } = await store.find(tenant, lookup.category, { tags: { [lookup.tag]: lookup.equals }, limit: LOOKUP_ROWS });
      const known = new Set(newest.map(({ id }) => id));
      return [...newest, ...rows.toReversed().filter(({ id }) => !known.has(id))];
    }),
  );
