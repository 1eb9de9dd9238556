import type { LedgerKeys, LedgerWrite, PlannedWrite } from './ledger.ts';

/** The format of both attachments of `transactions/1.0`: the request of a write, and the group that an endorser makes of it. */
export const GROUP_FORMAT = 'algorand/group@1';

/**
 * An author's request of a write. It names the write and no transaction: a group is valid for minutes, and an endorser may answer in days. `genesisHash` is
 * base64; `account` sends the calls: that of the DID, or of its operator; `deposit` is what the write locks before anything is freed, in microALGO.
 */
export interface EndorsementRequest {
  readonly format: typeof GROUP_FORMAT;
  readonly network: string;
  readonly genesisHash: string;
  readonly appId: number;
  readonly write: LedgerWrite;
  readonly did: string;
  readonly account: string;
  readonly deposit: number;
}

/**
 * The endorser's group: its signed payment and the author's unsigned calls, all base64 of MessagePack. `salt` is the number in the name of a document's data box,
 * in decimal, where the write has one.
 */
export interface EndorsedGroup {
  readonly format: typeof GROUP_FORMAT;
  readonly payment: string;
  readonly calls: readonly string[];
  readonly sponsor: string;
  readonly firstValid: number;
  readonly lastValid: number;
  readonly salt?: string;
}

/** Why an endorser refuses a request. */
export type RefusalReason = 'network' | 'sender' | 'method' | 'object' | 'amount' | 'quota' | 'expired' | 'stale';

/** How an endorser makes a group. */
export interface EndorsementTerms {
  /** Names the request: groups of one name have one lease, so that no two of them land. */
  readonly operationId: string;
  /** Rounds that the group is valid for; 1,000 at most. */
  readonly rounds: number;
}

export type Endorsed =
  | { readonly state: 'endorsed'; readonly group: EndorsedGroup; readonly cost: number }
  | { readonly state: 'refused'; readonly reason: RefusalReason; readonly detail: string }
  | { readonly state: 'wait'; readonly needed: number; readonly held: number };

export type CheckedGroup =
  /** The endorser's payment is signed; the calls are the author's to sign. */
  | { readonly state: 'checked'; readonly planned: PlannedWrite }
  | { readonly state: 'refused'; readonly detail: string }
  | { readonly state: 'expired' }
  | { readonly state: 'done' };

/** Writes that one agent orders and signs, and another one pays. Every request and every group comes from a stranger. */
export interface LedgerEndorsement {
  /**
   * The request of a write, or `done` where the ledger holds exactly that. `keys` as in `Ledger.plan`.
   * @throws AppError as `Ledger.plan`, but for what concerns the sponsor; `bad-request` for a change of a DID's authority, which nobody endorses
   */
  request(
    write: LedgerWrite,
    keys?: LedgerKeys,
  ): Promise<{ readonly state: 'requested'; readonly request: EndorsementRequest } | { readonly state: 'done' }>;

  /**
   * Plans the write of a request anew, builds its group and signs the payment with the configured sponsor. No byte of the request is signed.
   * @throws AppError `ledger-none` (no sponsor), `ledger-waiting` (congestion), `ledger-unavailable`, `ledger-wrong-network`
   */
  endorse(request: unknown, terms: EndorsementTerms): Promise<Endorsed>;

  /**
   * Compares an endorser's group with the author's own plan of the write: nothing is to be signed unless it is `checked`.
   * @throws AppError as `request`
   */
  check(write: LedgerWrite, group: unknown, keys?: LedgerKeys): Promise<CheckedGroup>;
}
