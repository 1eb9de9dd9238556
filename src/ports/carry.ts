import type { JsonObject } from './json.ts';

/**
 * How a tenant leaves one database and enters another, of either kind: its rows as JSON, under its own data key. Tags, key owners, dedup keys and counters are hashes,
 * which only that key makes, so they are carried as they are stored; values of records and secrets are opened, so that a reader needs no vault.
 */

export interface Carrying {
  /** A tenant as it is now, to be carried elsewhere. @throws AppError `not-found` */
  dump(tenant: string, extent: Extent): Promise<Dump>;
  /** Takes tenants in from elsewhere. */
  adopt(): Promise<Adoption>;
}

/** `copy`: records, keys, key owners, dedup keys without an end, counters, blobs. `move`: also the dedup keys that end, and the queue: mail, jobs, dead letters, events. */
export type Extent = 'copy' | 'move';

/** A tenant, before its rows. */
export interface CarriedTenant {
  readonly id: string;
  /** Sealed under its data key, in base64. */
  readonly name: string;
  /** Its data key, in base64; absent in a locked wallet, whose values stay sealed. */
  readonly key?: string;
  /** The data key under its owner's key, where the owner has one. */
  readonly lock?: string;
}

/** The kinds of rows, in the order in which they are carried. */
export const CARRIED = [
  'record',
  'key',
  'key_owner',
  'dedup_key',
  'counter',
  'blob',
  'chunk',
  'allocation',
  'mail',
  'job',
  'dead',
  'event',
] as const;
export type CarriedType = (typeof CARRIED)[number];

/**
 * A row: its plain columns under their names, bytes in base64. `record` has its `value`, `key` its `kid`, `kind`, `meta` and `secret`; both have `sealed` instead
 * where the tenant is locked. A `counter` may be named by `counter` in place of `hash`.
 */
export type CarriedRow = { readonly type: CarriedType } & JsonObject;

/** A tenant as it was at one moment. */
export interface Dump {
  readonly tenant: CarriedTenant;
  /** Some rows at a time. A reader that stops before the end calls `return`. */
  readonly rows: AsyncGenerator<readonly CarriedRow[], void>;
}

/** Tenants on their way in: nobody sees them, and no message or job reaches them, before `finish`. */
export interface Adoption {
  /** @throws AppError `conflict` where the database has that tenant */
  tenant(tenant: CarriedTenant): Promise<void>;
  /** @throws AppError `bad-request` for a row of no kind, `conflict` for one that the database has */
  add(tenant: string, rows: readonly CarriedRow[]): Promise<void>;
  /** Makes all of them visible, in one transaction. */
  finish(): Promise<void>;
  /** Removes what was written. An adoption that was cut short is removed by the next one of the same tenant. */
  abandon(): Promise<void>;
}
