import type { JsonObject } from './json.ts';

/** How long the key of one credential definition may take, in ms: its primes are a matter of luck. */
export const KEY_MS = 120_000;

/** How long a revocation registry of so many entries may take, in ms. */
export const registryMs = (maxCredNum: number): number => 60_000 + 10 * maxCredNum;

/**
 * The AnonCreds engine as the formats see it. Values are the standard AnonCreds JSON objects (AnonCreds specification v1.0), in the spelling of the wire. The
 * tenant decides only whose turn it is: the engine keeps nothing.
 *
 * Every method throws AppError `anoncreds-off` when the library is not there, `anoncreds-busy` (may be retried) when the queue is full or the worker was lost or
 * took too long, `anoncreds-failed` with the library's words when it refuses, and `bad-request` for an argument of the wrong shape.
 */
export interface AnonCreds extends AnonCredsRevocation {
  createSchema(tenant: string, schema: AnonCredsSchema): Promise<AnonCredsSchema>;

  /** Takes seconds to a minute: two safe primes are searched for. `private` is the issuer's secret. */
  createCredentialDefinition(
    tenant: string,
    input: { schemaId: string; schema: AnonCredsSchema; issuerId: string; tag: string; supportRevocation?: boolean },
  ): Promise<{ credentialDefinition: CredentialDefinition; private: JsonObject; keyCorrectnessProof: JsonObject }>;

  createOffer(
    tenant: string,
    input: { schemaId: string; credentialDefinitionId: string; keyCorrectnessProof: JsonObject },
  ): Promise<CredentialOffer>;

  /** A fresh link secret: a decimal number, the holder's secret. */
  createLinkSecret(tenant: string): Promise<string>;

  /** `entropy` for fully qualified identifiers, `proverDid` for the unqualified ones of Indy: exactly one of them. */
  createRequest(
    tenant: string,
    input: { offer: JsonObject; credentialDefinition: CredentialDefinition; linkSecret: string; linkSecretId: string } & (
      | { entropy: string }
      | { proverDid: string }
    ),
  ): Promise<{ request: CredentialRequest; metadata: JsonObject }>;

  createCredential(
    tenant: string,
    input: {
      credentialDefinition: CredentialDefinition;
      private: JsonObject;
      offer: JsonObject;
      request: JsonObject;
      values: Readonly<Record<string, EncodedValue>>;
      /** Of a definition with revocation. `index`: 1 to `maxCredNum - 1`, not revoked in `list`. No index may be used twice: the caller allocates them. */
      revocation?: RegistryWithKey & { definitionId: string; list: RevocationStatusList; index: number };
    },
  ): Promise<Credential>;

  /** Checks the issuer's signature and completes the credential for keeping. `revocationRegistryDefinition`: where the credential names a registry. */
  processCredential(
    tenant: string,
    input: {
      credential: JsonObject;
      metadata: JsonObject;
      linkSecret: string;
      credentialDefinition: CredentialDefinition;
      revocationRegistryDefinition?: RevocationRegistryDefinition;
    },
  ): Promise<Credential>;

  /** A credential with a `state` proves that it is not revoked, whatever intervals the request has: the caller decides which ones must. */
  createPresentation(
    tenant: string,
    input: {
      request: PresentationRequest;
      credentials: readonly PresentedCredential[];
      selfAttested: Readonly<Record<string, string>>;
      linkSecret: string;
    } & LedgerObjects,
  ): Promise<Presentation>;

  /**
   * Whether a presentation answers a request. The objects are those that the caller read from the ledger, by the ids that the presentation names. A presentation
   * that is wrong is an answer, not an error: every refusal has a reason that a program can read.
   */
  verifyPresentation(tenant: string, input: VerifyInput): Promise<{ verified: boolean; refusals: Refusal[] }>;

  /** Whether the engine can work, in one sentence where it cannot. */
  status(): { on: boolean; text: string };
}

/** Revocation registries and their status lists (AnonCreds specification, "Revocation"). */
export interface AnonCredsRevocation {
  /**
   * Takes up to `registryMs(maxCredNum)`. `maxCredNum`: 4 to 32,768; one less can be issued. `definition.value.tailsLocation` is empty: the caller names the place
   * before the definition is published. `tailsHash` is the one of the definition, in base58.
   */
  createRevocationRegistry(
    tenant: string,
    input: {
      credentialDefinition: CredentialDefinition;
      credentialDefinitionId: string;
      issuerId: string;
      tag: string;
      maxCredNum: number;
    },
  ): Promise<{ definition: RevocationRegistryDefinition; private: JsonObject; tails: Uint8Array; tailsHash: string }>;

  /** The first list of a registry: nothing is revoked. `timestamp`: unix seconds. */
  createStatusList(
    tenant: string,
    input: RegistryWithKey & {
      credentialDefinition: CredentialDefinition;
      definitionId: string;
      issuerId: string;
      timestamp?: number;
    },
  ): Promise<RevocationStatusList>;

  /** The list after these changes: `revoked` and `issued` (revoked before, and no longer) hold indices of 1 to `maxCredNum - 1`, and no index is in both. */
  updateStatusList(
    tenant: string,
    input: RegistryWithKey & {
      credentialDefinition: CredentialDefinition;
      list: RevocationStatusList;
      issued?: readonly number[];
      revoked?: readonly number[];
      timestamp?: number;
    },
  ): Promise<RevocationStatusList>;

  /**
   * The holder's witness for a list, by which a presentation proves that index `index` is not revoked in it. `tails`: path of a file whose hash the caller has
   * checked. `former`: an earlier witness and its list, from which a new one is made faster. A revoked index has a witness too, and its proof is false.
   */
  createRevocationState(
    tenant: string,
    input: {
      definition: RevocationRegistryDefinition;
      list: RevocationStatusList;
      index: number;
      tails: string;
      former?: { state: JsonObject; list: RevocationStatusList };
    },
  ): Promise<JsonObject>;
}

/** A registry and its issuer's secret. */
export interface RegistryWithKey {
  definition: RevocationRegistryDefinition;
  private: JsonObject;
}

export interface RevocationRegistryDefinition {
  issuerId: string;
  revocDefType: 'CL_ACCUM';
  credDefId: string;
  tag: string;
  value: {
    publicKeys: { accumKey: { z: string } };
    maxCredNum: number;
    tailsLocation: string;
    /** SHA-256 of the tails, in base58. */
    tailsHash: string;
  };
}

/** The status of each credential of a registry; 1 is revoked. */
export interface RevocationStatusList {
  issuerId: string;
  revRegDefId: string;
  /** As many as the registry's `maxCredNum`. */
  revocationList: (0 | 1)[];
  currentAccumulator: string;
  /** Unix seconds: since when it is in force. */
  timestamp?: number;
}

/** A status list that was in force at a time that a presentation names. */
export interface StatusListInForce {
  registryId: string;
  /** Unix seconds, as the presentation has it. `list.timestamp` is the list's own. */
  timestamp: number;
  list: RevocationStatusList;
  /** Since when another list is in force, where one is. */
  next?: number;
}

export interface AnonCredsSchema {
  name: string;
  version: string;
  attrNames: string[];
  issuerId: string;
}

export interface CredentialDefinition {
  schemaId: string;
  type: 'CL';
  tag: string;
  issuerId: string;
  value: { primary: JsonObject; revocation?: JsonObject };
}

export type CredentialOffer = JsonObject & { schema_id: string; cred_def_id: string; nonce: string };
export type CredentialRequest = JsonObject & { cred_def_id: string; nonce: string };

/** A value as it is read by people, and as the number that is signed. */
export interface EncodedValue {
  raw: string;
  encoded: string;
}

export type Credential = JsonObject & {
  schema_id: string;
  cred_def_id: string;
  rev_reg_id?: string | null;
  values: Record<string, { raw: string; encoded: string }>;
};

/** Which referents of the request a credential answers. */
export interface PresentedCredential {
  credential: JsonObject;
  attributes: readonly { referent: string; reveal: boolean }[];
  predicates: readonly string[];
  /** The time of the status list, in unix seconds, and the witness for it: both or neither. */
  timestamp?: number;
  state?: JsonObject;
}

export interface LedgerObjects {
  schemas: Readonly<Record<string, AnonCredsSchema>>;
  credentialDefinitions: Readonly<Record<string, CredentialDefinition>>;
}

export type PredicateType = '>=' | '>' | '<=' | '<';

export interface RequestedAttribute {
  name?: string;
  names?: string[];
  restrictions?: unknown;
  non_revoked?: unknown;
}

export interface RequestedPredicate {
  name: string;
  p_type: PredicateType;
  p_value: number;
  restrictions?: unknown;
  non_revoked?: unknown;
}

/** A presentation request; `restrictions` are WQL. */
export interface PresentationRequest {
  name: string;
  version: string;
  nonce: string;
  requested_attributes: Record<string, RequestedAttribute>;
  requested_predicates: Record<string, RequestedPredicate>;
  non_revoked?: unknown;
  ver?: string;
}

export interface Identifier {
  schema_id: string;
  cred_def_id: string;
  rev_reg_id?: string | null;
  timestamp?: number | null;
}

export interface SubProof {
  primary_proof: {
    eq_proof: { revealed_attrs: Record<string, string>; a_prime: string; e: string; v: string; m: Record<string, string>; m2: string };
    ge_proofs?: {
      u: Record<string, string>;
      r: Record<string, string>;
      mj: string;
      alpha: string;
      t: Record<string, string>;
      predicate: { attr_name: string; p_type: string; value: number };
    }[];
  };
  non_revoc_proof?: NonRevocationProof | null;
}

export interface NonRevocationProof {
  x_list: Record<string, string>;
  /** Points of the curve, as the library writes them. */
  c_list: Record<string, string>;
}

export interface Presentation {
  proof: { proofs: SubProof[]; aggregated_proof: { c_hash: string; c_list: number[][] } };
  requested_proof: {
    revealed_attrs: Record<string, { sub_proof_index: number; raw: string; encoded: string }>;
    revealed_attr_groups?: Record<string, { sub_proof_index: number; values: Record<string, EncodedValue> }>;
    self_attested_attrs: Record<string, string>;
    unrevealed_attrs: Record<string, { sub_proof_index: number }>;
    predicates: Record<string, { sub_proof_index: number }>;
  };
  identifiers: Identifier[];
}

export interface VerifyInput extends LedgerObjects {
  request: PresentationRequest;
  presentation: Presentation;
  /** The registries that the presentation names, and their lists at the times that it names. */
  revocationRegistryDefinitions?: Readonly<Record<string, RevocationRegistryDefinition>>;
  statusLists?: readonly StatusListInForce[];
  /** The present time, in unix seconds. */
  now?: number;
  /** The nonce that we sent, where the request did not stay in our hands. */
  nonce?: string;
}

export type RefusalReason =
  | 'malformed'
  | 'nonce-mismatch'
  | 'referent-missing'
  | 'referent-twice'
  | 'referent-unrequested'
  | 'sub-proof-missing'
  | 'name-mismatch'
  | 'raw-encoded-mismatch'
  | 'encoded-proof-mismatch'
  | 'attribute-unproven'
  | 'revealed-unrequested'
  | 'predicate-mismatch'
  | 'predicate-unrequested'
  | 'self-attested-restricted'
  | 'object-missing'
  | 'identifier-mismatch'
  | 'restriction-unmet'
  | 'restriction-unsupported'
  | 'revocation-unproven'
  | 'timestamp-outside-interval'
  | 'status-none'
  | 'status-pruned'
  | 'proof-unbound'
  | 'proof-invalid';

/** Why a presentation does not count. */
export interface Refusal {
  reason: RefusalReason;
  referent?: string;
  detail?: string;
}

/** The conditions of a presentation besides its cryptography that the library does not check, or not wholly. */
export type PresentationCheck = (input: VerifyInput) => Refusal[];
