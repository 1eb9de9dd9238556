import type {
  AnonCredsSchema,
  CredentialDefinition,
  PredicateType,
  Presentation,
  PresentationRequest,
  Refusal,
  RefusalReason,
  RequestedAttribute,
  VerifyInput,
} from '../ports/anoncreds.ts';
import { proofFault } from './anoncreds-proof.ts';
import { canonicalName, showsNumber } from './anoncreds-values.ts';
import { checkNonRevocation } from './non-revocation.ts';
import { isUnrestricted } from './proof-request.ts';
import { meets, type Subject, WqlUnsupported } from './wql.ts';

/** How the predicate of a request is named within a proof. */
const PREDICATES: Readonly<Record<PredicateType, string>> = { '>=': 'GE', '>': 'GT', '<=': 'LE', '<': 'LT' };

/**
 * Everything about a presentation but the equations of its proof (AnonCreds specification, "Verify Presentation"): that it answers this request and nothing
 * else, with the values that were proven, from credentials that were allowed, by responses in their ranges that belong together (`anoncreds-proof.ts`).
 * An empty list means that only the equations are left to check. A sub-proof has a proof of non-revocation then if it must have one (`non-revocation.ts`).
 */
export function checkPresentation(input: VerifyInput): Refusal[] {
  const { request, presentation } = input;
  const refusals: Refusal[] = [];
  const refuse = (reason: RefusalReason, referent?: string, detail?: string): void => {
    const refusal: Refusal = { reason };
    if (referent !== undefined) refusal.referent = referent;
    if (detail !== undefined) refusal.detail = detail;
    refusals.push(refusal);
  };
  if (input.nonce !== undefined && input.nonce !== request.nonce) refuse('nonce-mismatch');
  if (presentation.proof.proofs.length !== presentation.identifiers.length) {
    refuse('malformed', undefined, 'as many identifiers as sub-proofs are needed');
    return refusals;
  }

  const proofs = presentation.proof.proofs.map((_, i) => subProof(input, i, refuse));
  const notRevoked = checkNonRevocation(input, refuse);
  checkCoverage(request, presentation, refuse);
  for (const [referent, wanted] of Object.entries(request.requested_attributes)) checkAttribute(input, referent, wanted, proofs, refuse);
  for (const [referent, wanted] of Object.entries(request.requested_predicates)) {
    const given = own(presentation.requested_proof.predicates, referent);
    if (!given) continue;
    const proof = proofs[given.sub_proof_index];
    if (!proof) {
      refuse('sub-proof-missing', referent);
      continue;
    }
    const name = canonicalName(wanted.name);
    const found = proof.predicates.find(
      (one) => one.name === name && one.type === PREDICATES[wanted.p_type] && one.value === wanted.p_value,
    );
    if (found) found.used = true;
    else refuse('predicate-mismatch', referent, `not proven: ${wanted.name} ${wanted.p_type} ${wanted.p_value}`);
    checkRestrictions(wanted.restrictions, proof.subject, referent, refuse);
  }
  for (const proof of proofs) {
    if (!proof) continue;
    for (const name of proof.revealed.keys()) if (!proof.used.has(name)) refuse('revealed-unrequested', undefined, name);
    for (const one of proof.predicates) if (!one.used) refuse('predicate-unrequested', undefined, one.name);
  }
  // Last, since what was checked before bounds its work: the proof has no attribute and no predicate more than was asked for.
  if (refusals.length === 0) {
    const fault = proofFault(
      presentation,
      presentation.identifiers.map(({ schema_id: schema, cred_def_id: definition }, index) => ({
        schema: input.schemas[schema]!,
        modulus: String(input.credentialDefinitions[definition]!.value.primary.n),
        nonRevocation: notRevoked.has(index),
      })),
    );
    if (fault !== undefined) refuse('proof-unbound', undefined, fault);
  }
  return refusals;
}

type Refuse = (reason: RefusalReason, referent?: string, detail?: string) => void;

/** One sub-proof with what was read from it; names are canonical. */
interface Proof {
  subject: Subject;
  /** Encoded values that the proof reveals. */
  revealed: Map<string, string>;
  hidden: ReadonlySet<string>;
  /** Revealed names that a referent accounts for. */
  used: Set<string>;
  predicates: { name: string; type: string; value: number; used: boolean }[];
}

function subProof(input: VerifyInput, index: number, refuse: Refuse): Proof | undefined {
  const { presentation, schemas, credentialDefinitions } = input;
  const { schema_id: schemaId, cred_def_id: credentialDefinitionId, rev_reg_id: registry, timestamp } = presentation.identifiers[index]!;
  const schema = own(schemas, schemaId);
  const definition = own(credentialDefinitions, credentialDefinitionId);
  if (!schema || !definition) {
    refuse('object-missing', undefined, schema ? credentialDefinitionId : schemaId);
    return undefined;
  }
  if (definition.schemaId !== schemaId) refuse('identifier-mismatch', undefined, `${credentialDefinitionId} is of another schema`);
  const { eq_proof: equal, ge_proofs: predicates = [] } = presentation.proof.proofs[index]!.primary_proof;
  const revealed = new Map(Object.entries(equal.revealed_attrs).map(([name, encoded]) => [canonicalName(name), encoded]));
  const subject = subjectOf(schemaId, schema, credentialDefinitionId, definition, revealedValues(input, index));
  if (definition.value.revocation) subject.revocable = true;
  // controllers read them as shown
  else {
    if (registry != null) refuse('identifier-mismatch', undefined, `${credentialDefinitionId} has no revocation registry`);
    if (timestamp != null) refuse('identifier-mismatch', undefined, 'a time without a proof of non-revocation');
  }
  for (const name of revealed.keys())
    if (!subject.attributes.has(name)) refuse('identifier-mismatch', undefined, `the schema has no attribute ${name}`);
  return {
    subject,
    revealed,
    hidden: new Set(Object.keys(equal.m).map(canonicalName)),
    used: new Set(),
    predicates: predicates.map(({ predicate }) => ({
      name: canonicalName(predicate.attr_name),
      type: predicate.p_type,
      value: predicate.value,
      used: false,
    })),
  };
}

/** The raw values that a presentation reveals from one credential, for `attr::NAME::value`. That they fit the proof is checked where each was asked for. */
function revealedValues({ request, presentation }: VerifyInput, index: number): Map<string, string> {
  const values = new Map<string, string>();
  const { revealed_attrs: singles, revealed_attr_groups: groups = {} } = presentation.requested_proof;
  for (const [referent, { sub_proof_index: at, raw }] of Object.entries(singles)) {
    const name = own(request.requested_attributes, referent)?.name;
    if (at === index && name !== undefined) values.set(canonicalName(name), raw);
  }
  for (const group of Object.values(groups)) {
    if (group.sub_proof_index === index) for (const [name, { raw }] of Object.entries(group.values)) values.set(canonicalName(name), raw);
  }
  return values;
}

/** Every referent is answered, once, in a way that fits its kind; nothing else is answered. */
function checkCoverage(request: PresentationRequest, { requested_proof: given }: Presentation, refuse: Refuse): void {
  const answers = [given.revealed_attrs, given.revealed_attr_groups ?? {}, given.unrevealed_attrs, given.self_attested_attrs];
  for (const referent of Object.keys(request.requested_attributes)) {
    const times = answers.filter((answer) => Object.hasOwn(answer, referent)).length;
    if (times === 0) refuse('referent-missing', referent);
    if (times > 1) refuse('referent-twice', referent);
  }
  for (const referent of Object.keys(request.requested_predicates))
    if (!Object.hasOwn(given.predicates, referent)) refuse('referent-missing', referent);
  for (const answer of answers) {
    for (const referent of Object.keys(answer))
      if (!Object.hasOwn(request.requested_attributes, referent)) refuse('referent-unrequested', referent);
  }
  for (const referent of Object.keys(given.predicates))
    if (!Object.hasOwn(request.requested_predicates, referent)) refuse('referent-unrequested', referent);
}

function checkAttribute(
  input: VerifyInput,
  referent: string,
  wanted: RequestedAttribute,
  proofs: (Proof | undefined)[],
  refuse: Refuse,
): void {
  const given = input.presentation.requested_proof;
  const names = wanted.names ?? [wanted.name ?? ''];
  if (own(given.self_attested_attrs, referent) !== undefined) {
    // A restriction asks for an issuer: the holder's own word has none.
    if (!isUnrestricted(wanted.restrictions) || wanted.names) refuse('self-attested-restricted', referent);
    return;
  }
  const single = own(given.revealed_attrs, referent);
  const group = own(given.revealed_attr_groups ?? {}, referent);
  const hidden = own(given.unrevealed_attrs, referent);
  const index = (single ?? group ?? hidden)?.sub_proof_index;
  if (index === undefined) return;
  const proof = proofs[index];
  if (!proof) {
    if (input.presentation.proof.proofs[index] === undefined) refuse('sub-proof-missing', referent);
    return;
  }
  if (single) {
    if (wanted.names) refuse('name-mismatch', referent, 'a group was asked for');
    else checkRevealed(proof, names[0]!, single, referent, refuse);
  } else if (group) {
    const values = new Map(Object.entries(group.values).map(([name, value]) => [canonicalName(name), value]));
    if (!wanted.names) refuse('name-mismatch', referent, 'no group was asked for');
    // two names that are one to the proof would leave open which of their values was proven
    else if (values.size !== Object.keys(group.values).length || values.size !== names.length) refuse('name-mismatch', referent);
    else {
      for (const name of names) {
        const value = values.get(canonicalName(name));
        if (value) checkRevealed(proof, name, value, referent, refuse);
        else refuse('name-mismatch', referent, name);
      }
    }
  } else {
    for (const name of names.map(canonicalName))
      if (!proof.hidden.has(name) && !proof.revealed.has(name)) refuse('attribute-unproven', referent, name);
  }
  checkRestrictions(wanted.restrictions, proof.subject, referent, refuse);
}

function checkRevealed(proof: Proof, name: string, value: { raw: string; encoded: string }, referent: string, refuse: Refuse): void {
  const canonical = canonicalName(name);
  const proven = proof.revealed.get(canonical);
  proof.used.add(canonical);
  if (proven === undefined) refuse('attribute-unproven', referent, name);
  else if (proven !== value.encoded) refuse('encoded-proof-mismatch', referent, name);
  if (!showsNumber(value)) refuse('raw-encoded-mismatch', referent, name);
}

function checkRestrictions(restrictions: unknown, subject: Subject, referent: string, refuse: Refuse): void {
  try {
    if (!meets(restrictions, subject)) refuse('restriction-unmet', referent);
  } catch (error) {
    if (!(error instanceof WqlUnsupported)) throw error;
    refuse('restriction-unsupported', referent, error.message);
  }
}

/** The facts that restrictions can name about a credential of these objects. */
export function subjectOf(
  schemaId: string,
  schema: AnonCredsSchema,
  credentialDefinitionId: string,
  definition: CredentialDefinition,
  values: ReadonlyMap<string, string>,
): Subject {
  return {
    schemaId,
    schemaName: schema.name,
    schemaVersion: schema.version,
    schemaIssuerId: schema.issuerId,
    credentialDefinitionId,
    issuerId: definition.issuerId,
    attributes: new Set(schema.attrNames.map(canonicalName)),
    values,
  };
}

/** A member that is the object's own: referents and identifiers are named by others, `constructor` among them. */
function own<Value>(object: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}
