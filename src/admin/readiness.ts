import { atMostEvery } from '../kernel/seldom.ts';
import type { AnonCreds } from '../ports/anoncreds.ts';
import type { Ledger } from '../ports/ledger.ts';
import type { StoreAdmin } from '../ports/store.ts';
import type { Admin } from './route.ts';

/** A probe of readiness comes at least so often. */
const WATCHED_MS = 60_000;
/** How long a result of the checks of the store and of the ledger's node is used again. */
const HEALTH_MS = 2000;

interface Parts {
  readonly store: Pick<StoreAdmin, 'check'>;
  readonly ledger: Pick<Ledger, 'health'> | undefined;
  readonly anoncreds: Pick<AnonCreds, 'status'>;
}

/** Whether the agent can take messages and calls. */
export function createReadiness({ store, ledger, anoncreds }: Parts): Pick<Admin, 'ready' | 'ledgerHealth'> & {
  /** From now on it is not ready. @returns whether a probe comes, which is then answered 503 */
  leave(): boolean;
} {
  let leaving = false;
  let watched = 0;
  // anyone may ask, all the time: what it writes has a bound
  const storeCheck = atMostEvery(HEALTH_MS, () => store.check());
  const ledgerHealth = atMostEvery(HEALTH_MS, async () => await ledger?.health());
  return {
    ledgerHealth,
    async ready() {
      watched = Date.now();
      if (leaving) return { ok: false, reason: 'Shutdown in progress' };
      try {
        await storeCheck();
      } catch (error) {
        return { ok: false, reason: (error as Error).message };
      }
      const { on, text } = anoncreds.status();
      // a mediator needs none: messages come and go
      return { ok: true, waits: on ? undefined : `${text}. Credentials and presentations in hand wait until it is on` };
    },
    leave() {
      leaving = true;
      return Date.now() - watched < WATCHED_MS;
    },
  };
}
