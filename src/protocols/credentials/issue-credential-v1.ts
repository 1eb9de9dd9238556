import { base64Attachment } from '../../didcomm/attachments.ts';
import { AppError } from '../../errors.ts';
import { checkPreview, Preview } from '../../formats/credential-preview.ts';
import { isAutomatic } from '../../kernel/decisions.ts';
import { composeMessage, onlyAttached } from '../../kernel/message.ts';
import type { RecordDef } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { credentialExchangeV1 } from '../../records/credential-exchange-v1.ts';
import { FLAGS, Text } from './exchange-parts.ts';
import { issuingProtocol } from './issuing.ts';
import type { IssuingValue, Terms } from './issuing-version.ts';

const URI = 'https://didcomm.org/issue-credential/1.0';
const PREVIEW_TYPE = `${URI}/credential-preview`;
const PROTOCOL = { uris: [URI] };
/** Identifiers of the attachments, as RFC 0036 fixes them. */
const ATTACHED = { offer: 'libindy-cred-offer-0', request: 'libindy-cred-request-0', credential: 'libindy-cred-0' };
/** The one format of this version: Indy's objects are AnonCreds' objects. */
const FORMAT = 'indy';

// -- what comes over the wire and from the controller ------------------------------------------------------------------------------------------------

const FILTER_NAMES = ['cred_def_id', 'issuer_did', 'schema_id', 'schema_issuer_did', 'schema_name', 'schema_version'] as const;
const Filter = Object.fromEntries(FILTER_NAMES.map((name) => [name, Text])) as Record<(typeof FILTER_NAMES)[number], typeof Text>;

const ProposalMessage = Type.Object({
  comment: Text,
  credential_proposal: Type.Optional(Type.Union([Preview, Type.Null()])),
  ...Filter,
});
const Proposal = { ...Filter, ...FLAGS, credential_proposal: Preview };

// -- the version ----------------------------------------------------------------------------------------------------------------------------------------

/** RFC 0036: the one format without a name, its objects beside the messages in the record. */
export const issueCredentialV1 = issuingProtocol({
  name: 'issue-credential-1.0',
  uri: URI,
  path: '/issue-credential',
  tag: 'issue-credential v1.0',
  issues: '1',
  revocable: ({ rev_reg_id, index }) => ({ revoc_reg_id: rev_reg_id, revocation_id: String(index) }),
  record: credentialExchangeV1 as RecordDef<IssuingValue>,
  state: (name) => (name === 'done' ? 'credential_acked' : name.replaceAll('-', '_')),
  messages: {
    proposal: ProposalMessage,
    offer: Type.Object({ comment: Text, credential_preview: Type.Optional(Type.Union([Preview, Type.Null()])) }),
    other: Type.Object({ comment: Text }),
  },
  bodies: () => ({
    proposal: { ...Proposal, credential_proposal: Type.Optional(Preview) },
    created: Proposal,
    offer: { cred_def_id: Type.String(), credential_preview: Preview, auto_issue: Type.Optional(Type.Boolean()), ...FLAGS },
    counter: { counter_proposal: Type.Optional(Type.Union([ProposalMessage, Type.Null()])) },
  }),
  createdAs: 'proposal',
  summaries: { created: 'Create a credential record without sending it (generally for use with out-of-band)' },
  begun: () => ({ auto_offer: false, auto_issue: false }),
  reads: {
    proposal(ctx, message) {
      checkPreview(message.body.credential_proposal as Preview | null | undefined, 'message-invalid');
      return { credential_proposal_dict: message.raw, auto_issue: isAutomatic(ctx.settings, 'credential-request') };
    },
    offer(ctx, message) {
      const offer = onlyAttached(message, 'offers', 'offer');
      checkPreview(message.body.credential_preview as Preview | null | undefined, 'message-invalid');
      const { cred_def_id, schema_id } = offer;
      if (typeof cred_def_id !== 'string' || typeof schema_id !== 'string')
        throw new AppError('message-invalid', 'the attached offer names no credential definition');
      // the issuer's offer takes the place of the proposal
      const proposal = composeMessage(PROTOCOL, {
        type: 'propose-credential',
        id: ctx.newId(),
        body: {
          comment: message.body.comment ?? undefined,
          credential_proposal: message.body.credential_preview ?? undefined,
          schema_id,
          cred_def_id,
        },
      });
      return {
        credential_proposal_dict: proposal,
        credential_offer_dict: message.raw,
        credential_offer: offer,
        credential_definition_id: cred_def_id,
        schema_id,
      };
    },
    request: (_ctx, message) => ({ credential_request: onlyAttached(message, 'requests', 'request') }),
    credential: (_ctx, message) => ({ raw_credential: onlyAttached(message, 'credentials', 'credential') }),
  },
  holds: {
    offers: ({ record }) => ({ [FORMAT]: record!.value.credential_offer as JsonObject | undefined }),
    requests: ({ record }) => ({ [FORMAT]: record!.value.credential_request as JsonObject | undefined }),
    credentials: ({ record }) => ({ [FORMAT]: record!.value.raw_credential as JsonObject | undefined }),
    preview: (value) => (value.credential_offer_dict as JsonObject | undefined)?.credential_preview as Preview | null | undefined,
  },
  writes: {
    proposal(ctx, body, kind) {
      const message = proposalOf(ctx.newId(), kind === 'proposal' ? body : asProposal(body));
      return { message, patch: { credential_proposal_dict: message } };
    },
    offer(ctx, id, made, preview) {
      const { value } = ctx.record!;
      const offer = made[0]!.value;
      const thid = value.thread_id ?? id;
      const message = composeMessage(PROTOCOL, {
        type: 'offer-credential',
        id,
        thid,
        body: { comment: value.wanted?.comment ?? undefined, credential_preview: previewOf(preview as Preview | undefined) },
        attachments: { offers: [base64Attachment(offer, ATTACHED.offer)] },
      });
      return {
        message,
        patch: {
          thread_id: thid,
          credential_proposal_dict: value.wanted?.proposal ?? value.credential_proposal_dict,
          credential_offer_dict: message,
          credential_offer: offer,
          credential_definition_id: offer.cred_def_id,
          schema_id: offer.schema_id,
        },
      };
    },
    request(ctx, id, { value: made }) {
      const { thread_id: thid, parent_thread_id: pthid } = ctx.record!.value;
      const attachments = { requests: [base64Attachment(made, ATTACHED.request)] };
      const message = composeMessage(PROTOCOL, { type: 'request-credential', id, thid, pthid, attachments });
      return { message, patch: { credential_request: made } };
    },
    credential(ctx, id, credentials) {
      const { thread_id: thid, wanted } = ctx.record!.value;
      const made = credentials[0]!.value;
      const message = composeMessage(PROTOCOL, {
        type: 'issue-credential',
        id,
        thid,
        body: { comment: wanted?.comment ?? undefined },
        attachments: { credentials: [base64Attachment(made, ATTACHED.credential)] },
        // the ack ends the exchange
        pleaseAck: true,
      });
      return { message, patch: { credential: made } };
    },
  },
  terms: (_ctx, proposal) => terms(proposal),
  countered(ctx, { counter_proposal }) {
    const counter = counter_proposal ? proposalOf(ctx.newId(), counter_proposal as JsonObject) : undefined;
    const proposal = counter ?? ((ctx.record!.value.credential_proposal_dict ?? {}) as JsonObject);
    return { ...terms(proposal), patch: { wanted: { comment: proposal.comment ?? null, ...(counter && { proposal: counter }) } } };
  },
  wanted: (body) => ({ comment: body.comment ?? null }),
  stored: (id, { subject: _asked, ...info }) => ({
    credential_id: id,
    credential: { referent: id, ...info },
    ...(info.rev_reg_id != null && { revoc_reg_id: info.rev_reg_id, revocation_id: info.cred_rev_id }),
  }),
});

// -- helpers ----------------------------------------------------------------------------------------------------------------------------------------------

const previewOf = (preview: Preview | null | undefined): JsonObject | undefined =>
  preview ? { '@type': PREVIEW_TYPE, attributes: preview.attributes as JsonObject[] } : undefined;

/** A proposal message (RFC 0036, 1.0) from its parts: a controller's body, or a counter-proposal. @throws AppError `unprocessable` */
function proposalOf(id: string, parts: JsonObject): JsonObject {
  checkPreview(parts.credential_proposal as Preview | null | undefined, 'unprocessable');
  return composeMessage(PROTOCOL, {
    type: 'propose-credential',
    id,
    body: {
      comment: parts.comment ?? undefined,
      credential_proposal: previewOf(parts.credential_proposal as Preview | null),
      ...filterOf(parts),
    },
  });
}

/** A free offer is kept as the proposal that it answers, as ACA-Py does. */
const asProposal = (body: JsonObject): JsonObject => ({
  comment: body.comment ?? null,
  cred_def_id: body.cred_def_id!,
  credential_proposal: body.credential_preview!,
});

const filterOf = (parts: JsonObject): JsonObject =>
  Object.fromEntries(FILTER_NAMES.flatMap((name) => (typeof parts[name] === 'string' ? [[name, parts[name]]] : [])));

function terms(proposal: JsonObject): Terms {
  const preview = proposal.credential_proposal as JsonObject | null | undefined;
  if (!preview) throw new AppError('bad-request', 'The proposal has no credential preview to offer');
  return { filters: [{ format: FORMAT, filter: filterOf(proposal) }], preview };
}
