import { base64Attachment } from '../../didcomm/attachments.ts';
import { otherThanProposed, PresentationPreview, requestOfPreview } from '../../formats/presentation-preview.ts';
import { Presentation, ProofRequest } from '../../formats/proof-request.ts';
import { composeMessage, onlyAttached } from '../../kernel/message.ts';
import type { RecordDef } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { presentationExchangeV1 } from '../../records/presentation-exchange-v1.ts';
import { Flag, Text } from './exchange-parts.ts';
import { presentingProtocol } from './presenting.ts';
import type { PresentingValue } from './presenting-version.ts';

const URI = 'https://didcomm.org/present-proof/1.0';
const PREVIEW_TYPE = `${URI}/presentation-preview`;
const PROTOCOL = { uris: [URI] };
/** Identifiers of the attachments, as RFC 0037 fixes them. */
const ATTACHED = { request: 'libindy-request-presentation-0', presentation: 'libindy-presentation-0' };
/** The one format of this version: Indy's objects are AnonCreds' objects. */
const FORMAT = 'indy';

const Message = Type.Object({ comment: Text });
const previewOf = ({ presentation_proposal_dict: proposal }: PresentingValue): PresentationPreview | undefined =>
  (proposal as JsonObject | undefined)?.presentation_proposal as PresentationPreview | undefined;

/** RFC 0037: the one format without a name, its objects beside the messages in the record. */
export const presentProofV1 = presentingProtocol({
  name: 'present-proof-1.0',
  uri: URI,
  path: '/present-proof',
  tag: 'present-proof v1.0',
  record: presentationExchangeV1 as RecordDef<PresentingValue>,
  state: (name) => (name === 'acked' ? 'presentation_acked' : name.replaceAll('-', '_')),
  messages: {
    proposal: Type.Object({ comment: Text, presentation_proposal: PresentationPreview }),
    request: Message,
    presentation: Message,
  },
  bodies: () => ({
    proposal: { presentation_proposal: PresentationPreview },
    request: { proof_request: ProofRequest },
    presentation: {
      ...Presentation.properties,
      auto_remove: Flag,
      auto_remove_on_failure: Flag,
      trace: Flag,
    },
  }),
  summaries: { proposal: 'Sends a presentation proposal' },
  begun: () => ({ auto_present: false, auto_verify: false }),
  reads: {
    proposal: (_ctx, message) => ({ presentation_proposal_dict: message.raw }),
    request: (_ctx, message) => ({
      presentation_request: onlyAttached(message, 'request_presentations', 'proof request'),
      presentation_request_dict: message.raw,
    }),
    presentation: (_ctx, message) => ({ presentation: onlyAttached(message, 'presentations', 'presentation') }),
  },
  refused(value, { presentation }) {
    const preview = previewOf(value);
    return preview && otherThanProposed(preview, (value.presentation_request ?? {}) as JsonObject, presentation as JsonObject);
  },
  holds: {
    requests: ({ record }) => ({ [FORMAT]: record!.value.presentation_request as JsonObject | undefined }),
    presentations: ({ record }) => ({ [FORMAT]: record!.value.presentation as JsonObject | undefined }),
    proposals: ({ record }) => ({ [FORMAT]: previewOf(record!.value) as JsonObject | undefined }),
  },
  writes: {
    proposal(_ctx, id, { presentation_proposal, comment }) {
      const message = composeMessage(PROTOCOL, {
        type: 'propose-presentation',
        id,
        body: {
          comment: comment ?? undefined,
          presentation_proposal: { ...(presentation_proposal as JsonObject), '@type': PREVIEW_TYPE },
        },
      });
      return { message, patch: { presentation_proposal_dict: message } };
    },
    request(_ctx, ids, requests, comment) {
      const request = requests[0]!.value;
      const message = composeMessage(PROTOCOL, {
        type: 'request-presentation',
        ...ids,
        body: { comment },
        attachments: { request_presentations: [base64Attachment(request, ATTACHED.request)] },
      });
      return { message, patch: { presentation_request_dict: message, presentation_request: request } };
    },
    presentation(ctx, id, made) {
      const { thread_id: thid, parent_thread_id: pthid } = ctx.record!.value;
      const presentation = made[0]!.value;
      const attachments = { presentations: [base64Attachment(presentation, ATTACHED.presentation)] };
      return {
        message: composeMessage(PROTOCOL, { type: 'presentation', id, thid, pthid, attachments }),
        patch: { presentation },
      };
    },
  },
  asked: (_ctx, { proof_request }) => [{ format: FORMAT, value: proof_request as JsonObject }],
  proposed({ record }) {
    const { value } = record!;
    const { comment } = value.presentation_proposal_dict as { comment?: string };
    return { entries: [{ format: FORMAT, value: requestOfPreview(previewOf(value)!) }], comment };
  },
  chosen: (_ctx, { requested_attributes, requested_predicates, self_attested_attributes }) => ({
    [FORMAT]: { requested_attributes, requested_predicates, self_attested_attributes } as JsonObject,
  }),
});
