import { AppError, asAppError } from '../errors.ts';
import type { Store } from '../ports/store.ts';
import type { Profile } from './context.ts';
import { type Exchange, toExchange } from './record.ts';

const MAX_PROFILES = 10_000;
/** How long a profile is believed when nobody said that it changed: a notice from another process may be lost. */
const LIFE_MS = 30_000;

/** What differs by tenant, from memory where it was used lately: a tenant that does nothing costs nothing. */
export interface Profiles {
  /** @throws AppError `not-found` for a tenant that does not exist, or is being erased */
  of(tenant: string): Profile | Promise<Profile>;
  /** Whether an error only says that its tenant is gone meanwhile: what was under way for it has come to nothing, and nobody is to mend that. */
  gone(tenant: string, error: unknown): Promise<boolean>;
  forget(tenant: string): void;
  /** The base wallet's has changed, and with it what every other one inherits. */
  reset(): void;
}

/**
 * @param base the tenant that the instance itself is, whose profile follows from the configuration alone
 * @param derive a tenant's profile from its wallet record; without one, the base wallet's
 */
export function createProfiles(store: Store, base: string, derive: (record?: Exchange) => Profile): Profiles {
  const cache = new Map<string, { profile: Profile; until: number }>();
  const flying = new Map<string, Promise<Profile>>();
  let own: Profile | undefined;

  async function read(tenant: string): Promise<Profile> {
    const [rows] = await store.load(base, [{ category: 'wallet_record', id: tenant }]);
    const row = rows?.[0];
    if (!row || row.state === 'erasing') throw new AppError('not-found', `There is no wallet ${tenant}`);
    const profile = derive(toExchange(row));
    if (cache.size >= MAX_PROFILES) cache.delete(cache.keys().next().value!);
    // who forgot it meanwhile must not find it again
    if (flying.has(tenant)) cache.set(tenant, { profile, until: Date.now() + LIFE_MS });
    return profile;
  }

  function of(tenant: string): Profile | Promise<Profile> {
    if (tenant === base) {
      own ??= derive();
      return own;
    }
    const known = cache.get(tenant);
    if (known && known.until > Date.now()) return known.profile;
    cache.delete(tenant);
    const running = flying.get(tenant);
    if (running) return running;
    const reading = read(tenant).finally(() => {
      if (flying.get(tenant) === reading) flying.delete(tenant);
    });
    flying.set(tenant, reading);
    return reading;
  }

  return {
    of,
    async gone(tenant, error) {
      const missing = (thrown: unknown): boolean => asAppError(thrown).code === 'not-found';
      if (tenant === base || !missing(error)) return false;
      cache.delete(tenant);
      return await Promise.resolve(of(tenant)).then(() => false, missing);
    },
    forget(tenant) {
      cache.delete(tenant);
      flying.delete(tenant);
    },
    reset() {
      own = undefined;
      cache.clear();
      flying.clear();
    },
  };
}
