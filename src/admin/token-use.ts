import { BoundedMap } from '../bounded-map.ts';
import type { Caller } from './auth.ts';
import type { Admin } from './route.ts';

/** How exact the time of a token's last use is: a write for each call would cost more than the call. */
const EXACT_MS = 3600_000;
const MAX_KNOWN = 20_000;

/** Notes when tokens are used, in the record of their wallet, at most once an hour for each in each process. Nothing waits for it, and a note that is lost costs nothing. */
export function tokenUse({ kernel, calls, base }: Admin): (caller: Caller) => void {
  const noted = new BoundedMap<string, number>(MAX_KNOWN);
  return ({ tenant, token }) => {
    if (token === undefined) return;
    const now = kernel.now();
    if ((noted.get(token) ?? 0) > now - EXACT_MS) return;
    noted.set(token, now);
    calls
      .call(base, 'multitenancy', 'used', { record: tenant, input: { body: { token_id: token }, query: {} } })
      .catch((error: unknown) => kernel.log.info({ err: error, tenant }, 'the use of a token is not noted'));
  };
}
