import type { ResolvedDid } from './ledger.ts';

/** Resolves DIDs of every method that the agent knows. */
export interface Resolver {
  /** @throws AppError `did-unsupported`, `did-invalid`, `did-not-found`, `ledger-unavailable` */
  resolve(did: string): Promise<ResolvedDid>;
}
