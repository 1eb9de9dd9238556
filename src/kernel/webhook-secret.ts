import { createHmac, randomBytes } from 'node:crypto';
import { BoundedMap } from '../bounded-map.ts';
import { asAppError } from '../errors.ts';
import type { Database } from '../ports/store.ts';

/** Under this name the secret is among a tenant's keys: sealed, and the same for every process. */
const NAME = 'webhook-secret';
const MAX_CACHED = 10_000;

/** The secrets that sign webhooks of tenants. A secret is in no webhook: a call shows it once. */
export interface WebhookSecrets {
  /** A tenant's, made at its first use. @throws AppError `wallet-locked`, `store-unavailable` ... */
  of(tenant: string): Promise<string>;
  /** Another one from now on. @throws AppError as `of` */
  renew(tenant: string): Promise<string>;
}

/** @param fixed the operator's own for the base wallet, where one was given */
export function createWebhookSecrets(db: Pick<Database, 'store' | 'jobs'>, base: string, fixed: string | undefined): WebhookSecrets {
  const cache = new BoundedMap<string, string>(MAX_CACHED);
  db.jobs.subscribe(({ invalidate }) => {
    // a wallet that is locked, or deleted, or was given another secret
    for (const name of invalidate) name === '*' ? cache.clear() : cache.delete(name);
  });

  async function read(tenant: string): Promise<string> {
    for (;;) {
      const found = await db.store.key(tenant, NAME);
      if (found) return Buffer.from(found.secret).toString('utf8');
      const secret = Buffer.from(`whsec_${randomBytes(32).toString('base64url')}`);
      try {
        await db.store.commit(tenant, { keys: [{ kid: NAME, type: NAME, secret }] });
      } catch (error) {
        // another process was first: its one counts
        if (asAppError(error).code !== 'conflict') throw error;
      }
    }
  }

  async function of(tenant: string): Promise<string> {
    if (tenant === base && fixed !== undefined) return fixed;
    const known = cache.get(tenant);
    if (known !== undefined) return known;
    const secret = await read(tenant);
    cache.set(tenant, secret);
    return secret;
  }

  return {
    of,
    async renew(tenant) {
      // a read in between makes the new one
      await db.store.commit(tenant, { removedKeys: [NAME], invalidate: [tenant] });
      cache.delete(tenant);
      const secret = await of(tenant);
      // a process that read the old one while it was replaced drops it now
      await db.store.commit(tenant, { invalidate: [tenant] });
      return secret;
    },
  };
}

/** The headers of a webhook, beside its body. */
export interface Signed {
  /** Seconds since 1970. */
  readonly time: number;
  readonly event: string;
  readonly topic: string;
  /** The wallet that it is of; empty for the base wallet's. */
  readonly wallet: string;
  readonly body: string;
}

/** `t=<seconds>,v1=<hex>`: HMAC-SHA256 of time, event id, topic, wallet id and body, joined by points, keyed by the secret's text. */
export function signature(secret: string, { time, event, topic, wallet, body }: Signed): string {
  const hex = createHmac('sha256', secret).update(`${time}.${event}.${topic}.${wallet}.${body}`).digest('hex');
  return `t=${time},v1=${hex}`;
}
