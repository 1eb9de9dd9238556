/** The tails file as the definition of a revocation registry names it. */
export interface TailsReference {
  readonly value: {
    readonly maxCredNum: number;
    /** SHA-256 of the file, base58. */
    readonly tailsHash: string;
    readonly tailsLocation: string;
  };
}

/** Tails files: public, named by their hash, the same for ever. A tenant keeps those that it issues or holds by as blobs `tails/<hash>`. */
export interface Tails {
  /**
   * The path of a registry's tails file, whose bytes hash to `tailsHash`: the tenant's blob, or what is fetched from `tailsLocation` and then from the mirror and
   * becomes the tenant's blob. Several calls for one hash fetch it once.
   * @throws AppError `tails-unavailable` (with the reason), `egress-refused`, `bad-request` (the reference itself is no such thing), `store-full`
   */
  file(tenant: string, reference: TailsReference): Promise<string>;

  /**
   * Has a new tails file served, before anything of its registry is on the ledger: keeps it as the tenant's blob, serves it at `/tails/<hash>`, and hands it to the
   * foreign server where one is configured. Repeating it is harmless.
   * @returns its hash, and the location for the definition
   * @throws AppError `tails-unavailable` (the foreign server does not take it), `unavailable` (no address to serve it at), `store-full`, `store-unavailable`
   */
  publish(tenant: string, bytes: Uint8Array): Promise<{ hash: string; location: string }>;
}
