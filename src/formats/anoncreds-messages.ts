import type {
  CredentialDefinition,
  Presentation,
  PresentationRequest,
  Refusal,
  RefusalReason,
  RequestedAttribute,
} from '../ports/anoncreds.ts';
import { canonicalName } from './anoncreds-values.ts';
import { timedReferents } from './non-revocation.ts';

/**
 * A record's `verified_msgs`, in the codes that controllers read by program: ACA-Py's codes first (`PresVerifyMsg` in its `anoncreds/verifier.py`), then
 * ours, which name each reason. ACA-Py stops at its first finding, so there is one `VALUE_ERROR` at most.
 *
 * `TS_OUT_NRI::REFERENT`: the time of a proof of non-revocation is not one of the interval, which need not be wrong (`non-revocation.ts`);
 * `RMV_RFNT_NRI::REFERENT` and `RMV_GLB_NRI`: an interval of non-revocation that is not looked at, since the credential cannot be revoked (the second for
 * every presentation without a credential that can be, requested or not, as in ACA-Py); `UNRVL_ATTR::REFERENT`: presented without its value;
 * `VALUE_ERROR::TEXT`: it does not answer the request; `VERIFY_ERROR::TEXT`: the library could not judge it, or in ACA-Py would not.
 */
export function verifiedMessages(
  request: PresentationRequest,
  presentation: Presentation,
  definitions: Readonly<Record<string, CredentialDefinition>>,
  refusals: readonly Refusal[],
): string[] {
  const messages: string[] = [];
  // a presentation without a shape has no more messages
  if (!refusals.some(({ reason }) => reason === 'malformed' || reason === 'object-missing')) {
    const { requested_proof: proof, identifiers } = presentation;
    const permanent = (index: number): boolean => {
      const id = identifiers[index]?.cred_def_id;
      return id !== undefined && Object.hasOwn(definitions, id) && !definitions[id]!.value.revocation;
    };
    for (const [given, asked] of [
      [proof.revealed_attrs, request.requested_attributes],
      [proof.revealed_attr_groups ?? {}, request.requested_attributes],
      [proof.predicates, request.requested_predicates],
    ] as const) {
      for (const [referent, { sub_proof_index: index }] of Object.entries(given)) {
        const interval = Object.hasOwn(asked, referent) ? asked[referent]!.non_revoked : undefined;
        if (permanent(index) && interval && Object.keys(interval).length > 0) messages.push(`RMV_RFNT_NRI::${referent}`);
      }
    }
    for (const { referent, interval, index } of timedReferents(request, presentation, definitions)) {
      const { timestamp } = identifiers[index]!;
      if (timestamp != null && (timestamp < (interval.from ?? 0) || timestamp > (interval.to ?? timestamp)))
        messages.push(`TS_OUT_NRI::${referent}`);
    }
    if (identifiers.every(({ timestamp }, index) => timestamp == null && permanent(index))) messages.push('RMV_GLB_NRI');
    for (const referent of Object.keys(proof.unrevealed_attrs)) messages.push(`UNRVL_ATTR::${referent}`);
  }
  const undecided = refusals.find(({ reason, detail }) => reason === 'proof-invalid' && detail !== undefined);
  const refused = refusals.find(({ reason }) => reason !== 'proof-invalid');
  if (refused?.reason === 'timestamp-outside-interval' && !refused.detail?.endsWith('is in the future'))
    messages.push('VERIFY_ERROR::Invalid timestamp');
  else if (refused) messages.push(`VALUE_ERROR::${valueError(refused, request, presentation)}`);
  else if (undecided) messages.push(`VERIFY_ERROR::${undecided.detail}`);
  return [...messages, ...refusals.map(ours)];
}

/** That a sub-proof names no time, though the request has an interval for the referent. */
function missingTime(referent: string, attribute: RequestedAttribute | undefined, { requested_proof: given, identifiers }: Presentation) {
  const answer = [given.revealed_attrs, given.revealed_attr_groups ?? {}, given.unrevealed_attrs, given.predicates].find((answers) =>
    Object.hasOwn(answers, referent),
  )?.[referent];
  if (!answer || identifiers[answer.sub_proof_index]?.timestamp != null) return undefined;
  const kind = attribute ? (attribute.names ? 'attribute group' : 'attribute') : 'predicate';
  return `Timestamp on sub-proof #${answer.sub_proof_index} is missing vs. requested ${kind} ${referent}`;
}

/** A refusal in our words: `REASON: REFERENT: DETAIL`, as far as there are any. */
const ours = ({ reason, referent, detail }: Refusal): string => [reason, referent, detail].filter(Boolean).join(': ');

/** ACA-Py's sentence for a refusal; ours where it has none. */
function valueError(refusal: Refusal, request: PresentationRequest, presentation: Presentation): string {
  const { reason, referent = '', detail } = refusal;
  const attribute = Object.hasOwn(request.requested_attributes, referent) ? request.requested_attributes[referent] : undefined;
  const predicate = Object.hasOwn(request.requested_predicates, referent) ? request.requested_predicates[referent] : undefined;
  const sentences: Partial<Record<RefusalReason, () => string | undefined>> = {
    'referent-missing': () =>
      predicate
        ? `Presentation predicates mismatch requested predicate ${referent}`
        : attribute?.names
          ? `Missing requested attribute group ${referent}`
          : `Presentation attributes mismatch requested attribute ${referent}`,
    'name-mismatch': () => (attribute?.names ? `Missing requested attribute group ${referent}` : undefined),
    'attribute-unproven': () => detail && `Missing revealed attribute: '${detail}'`,
    'encoded-proof-mismatch': () => detail && `Encoded representation mismatch for '${detail}'`,
    'raw-encoded-mismatch': () => detail && `Encoded representation mismatch for '${detail}'`,
    'self-attested-restricted': () => attribute?.name && `Attribute with restrictions cannot be self-attested: '${attribute.name}'`,
    'revocation-unproven': () => missingTime(referent, attribute, presentation),
    'timestamp-outside-interval': () => detail && `Timestamp ${detail}`,
    'predicate-mismatch': () => predicate && `Predicate not found: ${canonicalName(predicate.name)}`,
  };
  return sentences[reason]?.() ?? ours(refusal);
}
