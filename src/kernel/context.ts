import { BoundedMap } from '../bounded-map.ts';
import type { KeyPair } from '../didcomm/key-cache.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Log } from '../ports/log.ts';
import type { Database } from '../ports/store.ts';
import type { Trace } from '../ports/trace.ts';
import type { Rules } from './decisions.ts';
import type { DeliveryLog } from './delivery-log.ts';
import { createKeyOwners, type KeyOwners } from './key-owners.ts';
import type { MessageFormat } from './message-format.ts';
import type { Profiles } from './profiles.ts';
import type { Registry } from './registry.ts';
import type { Settings } from './settings.ts';
import type { TenantLimiter } from './tenant-limiter.ts';
import type { WebhookSecrets } from './webhook-secret.ts';

/** Where a tenant's events go: `id` is short, stable and names the lane; `key` is sent as `x-api-key`. */
export interface WebhookTarget {
  readonly id: string;
  readonly url: string;
  /** The connection whose peer gets the events by message, where its URL is `didcomm:<connection id>`. */
  readonly connection?: string;
  readonly key?: string;
  /** Of the user's name and password in its URL. */
  readonly authorization?: string;
  /** The tenant whose secret signs what is sent there, where that is not the event's own. */
  readonly owner?: string;
}

/** Settings and addresses of a tenant. */
export interface Profile {
  readonly settings: Settings;
  /** Handlers, policies and defaults of the tenant's owner, where there are any. */
  readonly rules?: Rules;
  readonly webhooks: readonly WebhookTarget[];
  /** The tokens by which the tenant's controllers call; none for the base wallet. */
  readonly tokens?: readonly { readonly jti: string; readonly iat: number; readonly exp?: number; readonly scope?: readonly string[] }[];
  /** Its operator has suspended it: its calls are refused, and its mail waits. */
  readonly suspended?: boolean;
  /** The settings as a controller reads them, under ACA-Py's names. */
  readonly shown: JsonObject;
}

/** The parts of the kernel: database, registry, clock, profiles of tenants. */
export interface Kernel {
  readonly db: Database;
  readonly registry: Registry;
  readonly now: () => number;
  /** The instance's own tenant. */
  readonly base: string;
  readonly profiles: Profiles;
  readonly keys: KeyRing;
  readonly keyOwners: KeyOwners;
  /** Bytes are offered to them in this order; the format of a peer is looked for from the end, so that the first is the default. */
  readonly messageFormats: readonly MessageFormat[];
  /** Calls that wait in this process, and whose answers nobody else can ask for: those need not be stored. */
  readonly awaitedCalls: Set<string>;
  readonly webhookSecrets: WebhookSecrets;
  readonly deliveries: DeliveryLog;
  /** Absent: no bound. */
  readonly tenantLimiter?: TenantLimiter;
  /** Counts a happening by name, for `/status` and metrics; those that name their tenant are counted by tenant too. */
  count(name: string, tenant?: string): void;
  readonly trace: Trace;
  /** Tells the operator's log; never with secrets or message bodies. */
  readonly log: Log;
}

/** A kernel with its message formats, which are made for it. */
export function withFormats(
  parts: Omit<Kernel, 'messageFormats' | 'keyOwners' | 'awaitedCalls'>,
  formats: readonly ((kernel: Kernel) => MessageFormat)[],
): Kernel {
  const messageFormats: MessageFormat[] = [];
  const kernel: Kernel = { ...parts, keyOwners: createKeyOwners(parts.db), awaitedCalls: new Set(), messageFormats };
  messageFormats.push(...formats.map((make) => make(kernel)));
  return kernel;
}

/** Key pairs of tenants, from the store, cached in memory within a bound. */
export interface KeyRing {
  pair(tenant: string, verkey: string): Promise<KeyPair | undefined>;
}

const KEY_CACHE = 20_000;

/** A key ring over the store; the least recently used pair goes first, and its secret is overwritten. */
export function createKeyRing(db: Database): KeyRing {
  const cache = new BoundedMap<string, KeyPair>(KEY_CACHE, { evicted: (pair) => pair.secretKey.fill(0) });
  // a key that serves nothing any more, in whatever process that was decided, or all of a tenant's
  db.jobs.subscribe(({ invalidate }) => {
    for (const name of invalidate) {
      for (const [id, pair] of cache) {
        if (name !== '*' && !id.startsWith(`${name} `) && !id.endsWith(` ${name}`)) continue;
        cache.delete(id);
        pair.secretKey.fill(0);
      }
    }
  });
  return {
    async pair(tenant, verkey) {
      const id = `${tenant} ${verkey}`;
      const hit = cache.get(id);
      if (hit) {
        cache.set(id, hit);
        return hit;
      }
      const stored = await db.store.key(tenant, verkey);
      if (stored?.type !== 'ed25519') return undefined;
      const pair: KeyPair = { verkey, secretKey: stored.secret };
      cache.set(id, pair);
      return pair;
    },
  };
}
