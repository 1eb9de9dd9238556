/**
 * The verifiable data registry as the kernel sees it. Values are the standard objects: a W3C DID document, an AnonCreds schema, a credential definition.
 * Reads are cached by the adapter; a result that failed a check is never cached.
 */

import type { LedgerEndorsement } from './endorsement.ts';

/** The kinds of ledger object an issuer can write under its DID. */
export type ObjectType = 'SCHEMA' | 'CLAIM_DEF' | 'REV_REG_DEF';

/** A W3C DID document, as read: unknown members are kept. */
export interface DidDocument {
  id: string;
  [member: string]: unknown;
}

/** The answer of a resolver, after W3C DID Resolution: the document and its metadata. */
export interface ResolvedDid {
  document: DidDocument;
  metadata: { canonicalId?: string; versionId?: string; created?: string; updated?: string; deactivated?: boolean };
}

/** The status of each credential of a revocation registry: the credential of index i is revoked where bit i of `revoked` is set. */
export interface RevocationStatus {
  /** The accumulator as the AnonCreds library writes it: six pairs of a decimal and a hexadecimal number. */
  accumulator: string;
  /** A bitmap of N bits, base64url without padding: bit i of the list is bit i & 7 of byte i >> 3, from the least significant. Bit 0 is never set. */
  revoked: string;
}

/** A state of a status log. */
export interface StatusEntry {
  status: RevocationStatus;
  /** Unix seconds of the record; the state holds from then on. */
  time: number;
  /** The round in which it was written. */
  round: number;
  /** Unix seconds of the record after it, where there is one. */
  next?: number;
  /** Whether no later record can still get the time that was asked for or an earlier one; without such a time, the record's own. */
  settled: boolean;
  /** Entries of the whole log when it was read, each part of a record one: what the next `status-append` expects. Of a cached state it is an old number. */
  entries: number;
}

/** The signers for the control account of a DID: one key, or `threshold` of several in this order. Keys are verkeys in base58. */
export interface Control {
  threshold: number;
  verkeys: readonly string[];
}

/**
 * The keys of a wallet that may have authority over a DID beside the DID's own: all that its control account was ordered to be rekeyed to, and all that were ordered to
 * be its operator. The ledger decides which of them have it, so that no wallet is ever wrong about that.
 */
export interface LedgerKeys {
  controls?: readonly Control[];
  operators?: readonly string[];
}

/** The authority over a DID, as the ledger has it: the control account and the account that signs for it, as addresses, and the operator's key. */
export interface Authority {
  account: string;
  /** `control`: which of the given keys it is; absent where it is none of them, nor the DID's own. */
  authority: { address: string; control?: Control };
  /** MicroALGO on the control account. */
  balance: number;
  operator?: string;
}

/** One of several nodes, and what is wrong with it. It is known by its place in the configuration. */
export interface NodeHealth {
  ok: boolean;
  reason?: string;
  round?: number;
}

/** One write, as a value that can be stored and repeated: it names its effect, so that repeating it is harmless. */
export type LedgerWrite =
  | { kind: 'did-put'; did: string; document: DidDocument }
  | { kind: 'did-deactivate'; did: string }
  | { kind: 'did-rekey'; did: string; control: Control }
  | { kind: 'did-operator'; did: string; operator?: string }
  | { kind: 'object-put'; id: string; did: string; type: ObjectType; object: Record<string, unknown> }
  /** A revocation registry: its REV_REG_DEF `object` under `id`, its status log and the first record, in one group. */
  | { kind: 'registry-put'; id: string; did: string; object: Record<string, unknown>; status: RevocationStatus }
  /** The next record of the log of the registry `id`, which has `expected` entries before. */
  | { kind: 'status-append'; id: string; did: string; expected: number; status: RevocationStatus }
  /** Removes the whole segments of the log of the registry `id` that no state at `before` (unix seconds) or later needs, and frees their deposits. */
  | { kind: 'status-prune'; id: string; did: string; before: number };

/** A transaction of a group, in base64 of its MessagePack form: the account that must sign it, and its signed form once it has. */
export interface PlannedPart {
  by: 'sponsor' | 'account';
  txn: string;
  signed?: string;
}

/** A group of transactions that performs a write, with the signatures that it has so far: a value that can be stored, and handed from one signer to the next. */
export interface PlannedWrite extends Omit<SignedWrite, 'group'> {
  parts: PlannedPart[];
  /** The key of the account that sends the parts of `account`, and who signs for it. */
  sender: { verkey: string; control: Control };
}

/**
 * A signed, not yet confirmed group of transactions: all of it is stored before anything is sent, so that a restart re-sends the same bytes.
 * `group` is the concatenated signed transactions in base64; `txids[0]` is the payment of the sponsor.
 */
export interface SignedWrite {
  write: LedgerWrite;
  group: string;
  txids: string[];
  lastValid: number;
  /** Which piece it writes, from 0, of a write that one group does not hold; with `more`, the same write is planned again when it is confirmed. */
  piece?: { number: number; more: boolean };
}

/**
 * The state of a signed write. `pending` may still land; `expired` provably never will; `rejected` carries the ledger's reason, and `rebuild` means that
 * the same write planned anew may succeed (its version or a box had moved, the fee had risen, or money was missing). After `expired` it always may.
 */
export type WriteOutcome =
  | { state: 'confirmed'; round: number }
  | { state: 'pending' }
  | { state: 'expired' }
  | { state: 'rejected'; reason: string; rebuild: boolean };

/** Signs `bytes` with the Ed25519 key of a verification key in base58; undefined for a key that it does not have. Only the caller knows where the secret lives. */
export type LedgerSigner = (verkey: string, bytes: Uint8Array) => Promise<Uint8Array | undefined>;

export interface Ledger {
  /** The did:algo network segment (`mainnet`, `testnet`, `betanet`, `custom`) and the registry application, as used in new identifiers. */
  readonly network: string;
  readonly appId: bigint;

  /** The did:algo of an Ed25519 public key (32 bytes) on this network and app. */
  didOf(publicKey: Uint8Array): string;

  /** The content-addressed identifier of an AnonCreds object under `did`: `<did>/anoncreds/v1/<TYPE>/<oid>`. */
  idOf(did: string, type: ObjectType, object: Record<string, unknown>): string;

  /**
   * Resolves a did:algo in any spelling; a deactivated one is `{ id }` with `deactivated`. `fresh` skips the cache. The answer is frozen.
   * @throws AppError `did-not-found`, `did-invalid`, `did-unsupported` (another network), `ledger-unavailable`, `ledger-wrong-network`
   */
  resolve(did: string, fresh?: boolean): Promise<ResolvedDid>;

  /**
   * Reads an object by its identifier and checks that its bytes hash to it. The answer is frozen.
   * @throws AppError `object-not-found`, `object-invalid`, `did-unsupported` (another network), `ledger-unavailable`, `ledger-wrong-network`
   */
  read(id: string, type: ObjectType): Promise<Record<string, unknown>>;

  /**
   * The state of a registry's status log: the last one, or the one in force at `time` (unix seconds). `id` is that of the registry. The last one is never cached, one
   * in time once it is settled, unless `fresh`. The answer is frozen.
   * @throws AppError `object-not-found` (no registry, or no log), `status-none` (no state by then), `status-pruned`, `object-invalid`, `did-unsupported` (another
   * network), `ledger-unavailable`, `ledger-wrong-network`
   */
  statusAt(id: string, time?: number, options?: { fresh?: boolean }): Promise<StatusEntry>;

  /**
   * The unsigned group that performs `write`, or that the ledger already holds exactly that (`done`), or that the sponsor lacks funds (`wait`, with the amount needed
   * and held, in microALGO). `cost` is what the sponsor pays: fees and deposit, in microALGO. Two writes of one DID must not be under way at once. `keys` are those that
   * may sign beside the DID's own; an object is written by the operator where none of them controls the DID.
   * @throws AppError `ledger-none` (no sponsor), `did-not-found` (an object of a DID that is not written yet), `did-invalid` (deactivated, or a document of
   * another DID), `object-not-found` (no such registry or log), `object-invalid`, `status-overtaken`
   * (the log has another record in the place of the expected one: its state must be read, and the write ordered anew), `too-large`, `ledger-rejected` (the control account was rekeyed to none of the keys), `ledger-waiting` (fees above the cap), `ledger-unavailable`, `ledger-wrong-network`
   */
  plan(
    write: LedgerWrite,
    operationId: string,
    keys?: LedgerKeys,
  ): Promise<
    { state: 'planned'; planned: PlannedWrite; cost: number } | { state: 'done' } | { state: 'wait'; needed: number; held: number }
  >;

  /**
   * Signs the parts of those who are given: the configured sponsor's, and with `account` those of the DID's control account, or of an operator among `keys`. Its
   * authority is handed on to `rekey` alone. `signed` once every part is.
   * @throws AppError `ledger-none` (no sponsor), `ledger-rejected` (a part is another account's, or hands authority on to somebody else)
   */
  sign(
    planned: PlannedWrite,
    signers: { sponsor?: true; account?: LedgerSigner; keys?: LedgerKeys; rekey?: Control },
  ): Promise<{ planned: PlannedWrite; signed?: SignedWrite }>;

  /**
   * Sends the group and waits a few rounds for it. Sending it again is safe: "already in ledger" is success.
   * @throws AppError `ledger-unavailable`: it may or may not have arrived; send it again or ask for its `outcome`
   */
  send(signed: SignedWrite): Promise<WriteOutcome>;

  /** Asks what became of a group that was sent before, perhaps by a process that is gone. @throws AppError `ledger-unavailable`, `ledger-wrong-network` */
  outcome(signed: SignedWrite): Promise<WriteOutcome>;

  /** The authority over a DID. @throws AppError `did-invalid`, `did-unsupported` (another network or application), `ledger-unavailable`, `ledger-wrong-network` */
  authority(did: string, keys?: LedgerKeys): Promise<Authority>;

  /**
   * The account that pays: its address, its balance, and the part of it that it must keep, in microALGO.
   * @throws AppError `ledger-none` (no sponsor), `ledger-unavailable`, `ledger-wrong-network`
   */
  account(): Promise<{ address: string; balance: number; minimum: number }>;

  /**
   * The cost of a write in microALGO, fees of an idle network and deposits, where nothing of it is on the ledger yet. Nothing is looked up but the network's parameters.
   * @throws AppError `object-invalid`, `too-large`, `did-invalid`, `ledger-unavailable`, `ledger-wrong-network`
   */
  estimate(write: Extract<LedgerWrite, { kind: 'did-put' | 'object-put' | 'registry-put' }>): Promise<number>;

  /** Writes that one agent signs and another one pays. */
  readonly endorsement: LedgerEndorsement;

  /** Whether as many nodes as must agree answer, serve the expected network and are not lagging; of several, each with its state. Never throws. */
  health(): Promise<{ ok: boolean; reason?: string; round?: number; nodes?: NodeHealth[]; quorum?: number }>;
}
