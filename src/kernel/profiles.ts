import { BoundedMap } from '../bounded-map.ts';
import { AppError, asAppError } from '../errors.ts';
import type { Store } from '../ports/store.ts';
import type { Profile } from './context.ts';
import { type LoadedRecord, loadedRecord } from './record.ts';

/** A profile; one that is not to be kept could not be read as a whole. */
export interface Derived {
  readonly profile: Profile;
  readonly uncacheable?: boolean;
}

const MAX_PROFILES = 10_000;
/** How long a profile is cached without a change notification: one from another process may be lost. */
const LIFE_MS = 30_000;

/** Profiles of tenants, from memory where they were used lately: an idle tenant costs nothing. */
export interface Profiles {
  /** @throws AppError `not-found` for a tenant that does not exist, or is being erased */
  of(tenant: string): Profile | Promise<Profile>;
  /** Whether an error comes from a tenant that was deleted meanwhile: its pending work is dropped without a failure. */
  isTenantDeleted(tenant: string, error: unknown): Promise<boolean>;
  /** A tenant's has changed; with the base wallet's, what every other one inherits. */
  invalidate(tenant: string): void;
  reset(): void;
}

/**
 * @param base the tenant that the instance itself is
 * @param derive a tenant's profile from its wallet record; without one, the base wallet's
 */
export function createProfiles(store: Store, base: string, derive: (record?: LoadedRecord) => Promise<Derived>): Profiles {
  const cache = new BoundedMap<string, { profile: Profile; until: number }>(MAX_PROFILES);
  const flying = new Map<string, Promise<Profile>>();

  async function read(tenant: string): Promise<Derived> {
    if (tenant === base) return await derive();
    const [rows] = await store.load(base, [{ category: 'wallet_record', id: tenant }]);
    const row = rows?.[0];
    if (!row || row.state === 'erasing') throw new AppError('not-found', `There is no wallet ${tenant}`);
    return await derive(loadedRecord(row));
  }

  function of(tenant: string): Profile | Promise<Profile> {
    const known = cache.get(tenant);
    if (known && known.until > Date.now()) return known.profile;
    cache.delete(tenant);
    const running = flying.get(tenant);
    if (running) return running;
    const reading: Promise<Profile> = read(tenant)
      .then(({ profile, uncacheable }) => {
        // an invalidation that came meanwhile must not be undone
        if (!uncacheable && flying.get(tenant) === reading) cache.set(tenant, { profile, until: Date.now() + LIFE_MS });
        return profile;
      })
      .finally(() => {
        if (flying.get(tenant) === reading) flying.delete(tenant);
      });
    flying.set(tenant, reading);
    return reading;
  }

  function reset(): void {
    cache.clear();
    flying.clear();
  }

  return {
    of,
    async isTenantDeleted(tenant, error) {
      const missing = (thrown: unknown): boolean => asAppError(thrown).code === 'not-found';
      if (tenant === base || !missing(error)) return false;
      cache.delete(tenant);
      return await Promise.resolve(of(tenant)).then(() => false, missing);
    },
    invalidate(tenant) {
      if (tenant === base) return reset();
      cache.delete(tenant);
      flying.delete(tenant);
    },
    reset,
  };
}
