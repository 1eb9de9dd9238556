import { checkedAs } from '../kernel/json.ts';
import type {
  CredentialDefinition,
  Presentation,
  PresentationRequest,
  RefusalReason,
  StatusListInForce,
  VerifyInput,
} from '../ports/anoncreds.ts';

/** Times at one of which a credential must not have been revoked, in unix seconds (RFC 0441). */
export interface Interval {
  readonly from?: number;
  readonly to?: number;
}

/** How far the clock of a prover may be ahead. */
const SKEW_S = 300;

/** An interval of a request; one without an end asks for nothing. */
function read(interval: unknown): Interval | undefined {
  if (typeof interval !== 'object' || interval === null) return undefined;
  const { from, to } = interval as { from?: unknown; to?: unknown };
  const given = { ...(Number.isInteger(from) && { from: from as number }), ...(Number.isInteger(to) && { to: to as number }) };
  return Object.keys(given).length > 0 ? given : undefined;
}

/** The interval of each referent of a request that has one: its own, else that of the whole request. */
export function intervalsOf(request: PresentationRequest): Map<string, Interval> {
  const whole = read(request.non_revoked);
  const intervals = new Map<string, Interval>();
  for (const [kind, referents] of [
    ['attribute', request.requested_attributes],
    ['predicate', request.requested_predicates],
  ] as const) {
    for (const [referent, { non_revoked: own }] of Object.entries(referents)) {
      const interval = read(own) ?? whole;
      if (interval) intervals.set(`${kind}:${referent}`, interval);
    }
  }
  return intervals;
}

/** A request without intervals that ask for nothing: other software would read `{}` as any time, or fail at `null`. */
export function withoutEmptyIntervals<Request extends object>(request: Request): Request {
  const cleaned = (one: object): object => {
    const { non_revoked: interval, ...rest } = one as { non_revoked?: unknown };
    return interval === undefined || read(interval) ? one : rest;
  };
  const referents = (all: unknown): object => Object.fromEntries(Object.entries(all as object).map(([name, one]) => [name, cleaned(one)]));
  const { requested_attributes: attributes, requested_predicates: predicates } = checkedAs<PresentationRequest>(request);
  return { ...cleaned(request), requested_attributes: referents(attributes), requested_predicates: referents(predicates) } as Request;
}

/** A referent of the request that has an interval, and the sub-proof that answers it. */
export interface Timed {
  readonly referent: string;
  readonly interval: Interval;
  readonly index: number;
}

/**
 * Which sub-proofs must prove that their credential is not revoked, and for which referents; those of credentials that cannot be revoked need not. The shape of the
 * presentation need not have been checked.
 */
export function timedReferents(
  request: PresentationRequest,
  presentation: Presentation,
  definitions: Readonly<Record<string, CredentialDefinition>>,
): Timed[] {
  const intervals = intervalsOf(request);
  const { requested_proof: given, identifiers } = presentation as Partial<Presentation>;
  if (intervals.size === 0 || !Array.isArray(identifiers)) return [];
  const timed: Timed[] = [];
  for (const [kind, answers] of [
    ['attribute', given?.revealed_attrs],
    ['attribute', given?.revealed_attr_groups],
    ['attribute', given?.unrevealed_attrs],
    ['predicate', given?.predicates],
  ] as const) {
    for (const [referent, answer] of Object.entries(answers ?? {})) {
      const interval = intervals.get(`${kind}:${referent}`);
      const index = (answer as { sub_proof_index?: number } | null)?.sub_proof_index;
      const definition = index === undefined ? undefined : identifiers[index]?.cred_def_id;
      if (!interval || index === undefined || typeof definition !== 'string' || !Object.hasOwn(definitions, definition)) continue;
      if (definitions[definition]!.value.revocation) timed.push({ referent, interval, index });
    }
  }
  return timed;
}

type Refuse = (reason: RefusalReason, referent?: string, detail?: string) => void;

/**
 * Whether each sub-proof that must prove that its credential is not revoked has what proves it: a proof of non-revocation, for a time of every interval that it
 * answers, by the status list of its definition's registry that was in force then. The equations of the proof are the engine's to compute.
 * @returns the sub-proofs that must, by index
 */
export function checkNonRevocation(input: VerifyInput, refuse: Refuse): ReadonlySet<number> {
  const { request, presentation, credentialDefinitions } = input;
  const timed = timedReferents(request, presentation, credentialDefinitions);
  for (const { referent, interval, index } of timed) {
    const { cred_def_id: definitionId, rev_reg_id: registryId, timestamp } = presentation.identifiers[index]!;
    if (presentation.proof.proofs[index]?.non_revoc_proof == null || registryId == null || timestamp == null) {
      refuse('revocation-unproven', referent);
      continue;
    }
    const registries = input.revocationRegistryDefinitions ?? {};
    const registry = Object.hasOwn(registries, registryId) ? registries[registryId]! : undefined;
    const found = input.statusLists?.find((one) => one.registryId === registryId && one.timestamp === timestamp);
    if (!registry) refuse('object-missing', referent, registryId);
    else if (registry.credDefId !== definitionId || registry.issuerId !== credentialDefinitions[definitionId]!.issuerId)
      refuse('identifier-mismatch', referent, `${registryId} is not of ${definitionId}`);
    else if (!found) refuse('status-none', referent, `${registryId} at ${timestamp}`);
    else if (found.list.revRegDefId !== registryId || found.list.issuerId !== registry.issuerId)
      refuse('identifier-mismatch', referent, `the status list is not of ${registryId}`);
    else {
      const fault = timeFault(interval, found, input.now);
      if (fault) refuse('timestamp-outside-interval', referent, fault);
    }
  }
  return new Set(timed.map(({ index }) => index));
}

/** Why a time is not one of an interval. A list is in force until the next one is: what it was before the interval began, it was then too. */
function timeFault({ from, to }: Interval, { timestamp, list, next }: StatusListInForce, now?: number): string | undefined {
  // a time of the ledger's own has come, whatever the clock here shows
  if (now !== undefined && timestamp > now + SKEW_S && timestamp !== list.timestamp) return `${timestamp} is in the future`;
  if (from !== undefined && to !== undefined && from > to) return `${from} to ${to} is no interval`;
  if (to !== undefined && timestamp > to) return `${timestamp} is after ${to}`;
  if (from !== undefined && timestamp < from && next !== undefined && next <= from) return `${timestamp} is before ${from}`;
  return undefined;
}
