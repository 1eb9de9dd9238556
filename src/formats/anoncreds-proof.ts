import type { AnonCredsSchema, NonRevocationProof, Presentation, SubProof } from '../ports/anoncreds.ts';
import { bytesOfG1, bytesOfG2 } from './anoncreds-points.ts';
import { canonicalName } from './anoncreds-values.ts';

/** The attribute that carries the link secret: no credential reveals it. */
const LINK_SECRET = 'master_secret';
/** How a predicate's commitments and responses are named: the squares whose sum is the difference, and the difference itself. */
const SQUARES = ['0', '1', '2', '3'];
const COMMITMENTS = [...SQUARES, 'DELTA'];

const EQUALITY_MEMBERS = ['revealed_attrs', 'a_prime', 'e', 'v', 'm', 'm2'];
const PREDICATE_MEMBERS = ['u', 'r', 'mj', 'alpha', 't', 'predicate'];

const RESPONSES = 'rho r r_prime r_prime_prime r_prime_prime_prime o o_prime m m_prime t t_prime s c'.split(' ');
/** The commitments of a proof of non-revocation, in the order in which the challenge takes them: by the group in which they are. */
const IN_G1 = ['e', 'd', 'a', 'g'];
const IN_G2 = ['w', 's', 'u'];

/**
 * Bits that a response may have: those of its random part, and one for the sum with the challenge's multiple (AnonCreds specification, parameters of the CL
 * signature). A response of more bits proves nothing of the range of what it stands for.
 */
const RESPONSE_BITS = { e: 457, v: 3061, m2: 2433, m: 593, u: 593, r: 2386, alpha: 2788, challenge: 256 } as const;

/** The ledger objects of a proof's check: the schema of each sub-proof's credential and the modulus of its issuer's key, in the order of the sub-proofs. */
export interface ProofKey {
  readonly schema: Pick<AnonCredsSchema, 'attrNames'>;
  /** The modulus `n` of the credential definition, in decimal. */
  readonly modulus: string;
  /** Whether the sub-proof must have a proof of non-revocation; otherwise it must have none. */
  readonly nonRevocation?: boolean;
}

/**
 * Whether the responses of a proof are those that the AnonCreds specification ("Verify Presentation") lets a prover send, and belong to one another: each is in
 * its range, each commitment is a number below the modulus, a predicate is about the attribute of the same credential, all credentials are bound to one link
 * secret, and the challenge was made over exactly these commitments. The equations of the proof are the engine's to compute.
 * The presentation has its shape already.
 * @param keys as many as there are sub-proofs
 * @returns what does not hold, in words that name the place, or undefined
 */
export function proofFault({ proof }: Pick<Presentation, 'proof'>, keys: readonly ProofKey[]): string | undefined {
  const { c_hash: challenge, c_list: commitments } = proof.aggregated_proof;
  if (!inRange(challenge, RESPONSE_BITS.challenge)) return 'the challenge';
  const made: Buffer[] = [];
  let linkSecret: bigint | undefined;
  for (const [index, sub] of proof.proofs.entries()) {
    const fault = subProofFault(sub, keys[index]!, made);
    if (fault !== undefined) return `sub-proof ${index}: ${fault}`;
    const response = BigInt(sub.primary_proof.eq_proof.m[LINK_SECRET]!);
    if (linkSecret !== undefined && response !== linkSecret) return `sub-proof ${index}: another link secret`;
    linkSecret = response;
  }
  const same = commitments.length === made.length && made.every((one, i) => one.equals(Uint8Array.from(commitments[i]!)));
  return same ? undefined : 'the commitments of the challenge';
}

/** As `proofFault`, of one sub-proof; its commitments are added to `made` in the order in which the challenge takes them. */
function subProofFault(
  { primary_proof: primary, non_revoc_proof: nonRevocation }: SubProof,
  key: ProofKey,
  made: Buffer[],
): string | undefined {
  if (!key.nonRevocation && nonRevocation != null) return 'a proof of non-revocation, which was not asked for';
  if (key.nonRevocation) {
    const fault = nonRevocationFault(nonRevocation, made);
    if (fault !== undefined) return fault;
  }
  const { eq_proof: equal, ge_proofs: predicates } = primary;
  const modulus = BigInt(key.modulus);
  const commit = (value: string): boolean => {
    const number = BigInt(value);
    if (number <= 0n || number >= modulus) return false;
    made.push(bytesOf(number));
    return true;
  };

  if (!only(equal, EQUALITY_MEMBERS)) return 'members that an equality proof does not have';
  const proven = [...Object.keys(equal.revealed_attrs), ...Object.keys(equal.m)].sort();
  const attributes = [...key.schema.attrNames.map(canonicalName), LINK_SECRET].sort();
  if (JSON.stringify(proven) !== JSON.stringify(attributes)) return 'the attributes are not those of the schema, each once';
  if (!Object.hasOwn(equal.m, LINK_SECRET)) return 'the link secret';
  if (!commit(equal.a_prime)) return 'a_prime';
  for (const name of ['e', 'v', 'm2'] as const) if (!inRange(equal[name], RESPONSE_BITS[name])) return name;
  for (const response of Object.values(equal.m)) if (!inRange(response, RESPONSE_BITS.m)) return 'm';

  for (const one of predicates ?? []) {
    if (!only(one, PREDICATE_MEMBERS)) return 'members that a predicate proof does not have';
    if (!only(one.u, SQUARES) || !only(one.r, COMMITMENTS) || !only(one.t, COMMITMENTS)) return 'the numbers of a predicate';
    const name = canonicalName(one.predicate.attr_name);
    if (!Object.hasOwn(equal.m, name) || BigInt(equal.m[name]!) !== BigInt(one.mj)) return 'a predicate of another attribute';
    if (!inRange(one.alpha, RESPONSE_BITS.alpha)) return 'alpha';
    for (const at of SQUARES) if (!inRange(one.u[at]!, RESPONSE_BITS.u)) return 'u';
    for (const at of COMMITMENTS) {
      if (!inRange(one.r[at]!, RESPONSE_BITS.r)) return 'r';
      if (!commit(one.t[at]!)) return 't';
    }
  }
  return undefined;
}

/** As `subProofFault`, of a proof of non-revocation. That it is about the same credential follows from its equations, which take m2 of the equality proof. */
function nonRevocationFault(proof: NonRevocationProof | null | undefined, made: Buffer[]): string | undefined {
  if (!proof || !only(proof, ['x_list', 'c_list'])) return 'the proof of non-revocation';
  if (!only(proof.x_list, RESPONSES) && !only(proof.x_list, [...RESPONSES, 'm2'])) return 'the responses of non-revocation';
  if (!only(proof.c_list, [...IN_G1, ...IN_G2])) return 'the commitments of non-revocation';
  for (const [names, read] of [
    [IN_G1, bytesOfG1],
    [IN_G2, bytesOfG2],
  ] as const) {
    for (const name of names) {
      const point = read(proof.c_list[name]!);
      if (!point) return `the commitment ${name} of non-revocation`;
      made.push(point);
    }
  }
  return undefined;
}

/** Whether an object has exactly these members. */
const only = (object: object, members: readonly string[]): boolean =>
  Object.keys(object).length === members.length && members.every((name) => Object.hasOwn(object, name));

/** Whether a decimal number is not negative and has at most so many bits. */
function inRange(decimal: string, bits: number): boolean {
  const number = BigInt(decimal);
  return number >= 0n && number >> BigInt(bits) === 0n;
}

/** A positive number as big-endian bytes without leading zeros: so it enters the challenge. */
function bytesOf(number: bigint): Buffer {
  const hex = number.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}
