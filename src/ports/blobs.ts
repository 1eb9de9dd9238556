/**
 * Large values by name, each a tenant's: the tails of a revocation registry, documents of a vault, backups. Their bytes are kept as they are: who writes a secret
 * seals it before.
 *
 * A name has 1 to 200 characters of `A-Z a-z 0-9 . _ : / -`. Every method throws AppError `bad-request` for another name, `not-found` for an unknown tenant, and
 * `store-full`, `store-unavailable` and `store-corrupt` as the store does. `stat` and `read` serve a wallet that is locked; the others throw `wallet-locked` then.
 */
export interface Blobs {
  /**
   * Writes a value whole, in place of one of the same name: a reader has the former or the new one, never a part. Written again with the same bytes it changes
   * nothing.
   * @throws AppError `too-large` above `MAX_BLOB_BYTES`
   */
  put(tenant: string, name: string, bytes: Uint8Array): Promise<void>;

  /** Size, hash and time of a value; undefined where there is none. */
  stat(tenant: string, name: string): Promise<BlobStat | undefined>;

  /**
   * The bytes from `offset`, at most `length` (default: all). The range is cut at the end of the value. Undefined where there is none.
   * @throws AppError `store-corrupt` where the whole value is read and is not what was written
   */
  read(tenant: string, name: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined>;

  /** Removes a value; does nothing where there is none. */
  remove(tenant: string, name: string): Promise<void>;

  /** Values in the order of their names after `after`; at most 1,000 a call. */
  list(tenant: string, page: { after?: string; limit?: number }): Promise<BlobStat[]>;

  /** Removes all values of a tenant, one that is gone included. */
  clear(tenant: string): Promise<void>;

  /** Frees the room of values that were replaced or removed an hour ago, and of writes that did not end; how many. */
  expire(now: number): Promise<number>;
}

export interface BlobStat {
  name: string;
  /** In bytes. */
  size: number;
  /** SHA-256 of the value, in hex. */
  sha256: string;
  /** When it was written, ms since 1970. */
  written: number;
}

/** The largest value. */
export const MAX_BLOB_BYTES = 64 << 20;
