import type { ResolvedDid } from './ledger.ts';

/** Resolves DIDs of every method that the agent knows. */
export interface Resolver {
  /** @param fresh whether nothing in memory is believed @throws AppError `did-unsupported`, `did-invalid`, `did-not-found`, `ledger-unavailable` */
  resolve(did: string, fresh?: boolean): Promise<ResolvedDid>;
}
