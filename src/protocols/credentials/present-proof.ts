import Type from 'typebox';
import { AppError } from '../../errors.ts';
import { type Choice, checkChoice, Presentation, ProofRequest, wishesOf } from '../../formats/proof-request.ts';
import {
  attachmentsByFormat,
  composeFormatted,
  FORMAT_NAMES,
  type FormatName,
  FormatsSchema,
  PROOF_FORMATS,
  readFormatted,
} from '../../kernel/format-ids.ts';
import type { RecordDef } from '../../kernel/record.ts';
import type { JsonObject } from '../../ports/json.ts';
import { presentationExchange } from '../../records/presentation-exchange.ts';
import { completed, presentingProtocol } from './presenting.ts';
import type { Formatted, PresentingValue } from './presenting-version.ts';

const URI = 'https://didcomm.org/present-proof/2.0';
const PROTOCOL = { uris: [URI] };

const Comment = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const Message = Type.Object({ formats: FormatsSchema, comment: Comment });
const ByFormat = Type.Object({
  anoncreds: Type.Optional(ProofRequest),
  indy: Type.Optional(ProofRequest),
  dif: Type.Optional(Type.Object({})),
});

/** RFC 0454: an attachment for each format. */
export const presentProof = presentingProtocol({
  name: 'present-proof-2.0',
  uri: URI,
  path: '/present-proof-2.0',
  tag: 'present-proof v2.0',
  record: presentationExchange as RecordDef<PresentingValue>,
  state: (name) => (name === 'verified' || name === 'acked' ? 'done' : name),
  messages: {
    proposal: Message,
    request: Type.Object({ formats: FormatsSchema, comment: Comment, will_confirm: Type.Optional(Type.Boolean()) }),
    presentation: Message,
  },
  bodies: {
    proposal: { presentation_proposal: ByFormat },
    request: { presentation_request: ByFormat },
    presentation: {
      anoncreds: Type.Optional(Presentation),
      indy: Type.Optional(Presentation),
      dif: Type.Optional(Type.Object({})),
      auto_remove: Type.Optional(Type.Boolean()),
      auto_remove_on_failure: Type.Optional(Type.Boolean()),
      trace: Type.Optional(Type.Boolean()),
      comment: Comment,
    },
  },
  summaries: { proposal: 'Send a presentation proposal' },
  begun: () => ({ auto_remove_on_failure: false }),
  reads: {
    proposal(message) {
      readFormatted(message, 'proposals');
      return { pres_proposal: message.raw };
    },
    request(message) {
      readFormatted(message, 'request_presentations');
      return { pres_request: message.raw };
    },
    presentation(message, value) {
      readFormatted(message, 'presentations', (value.pres_request ?? {}) as JsonObject);
      return { pres: message.raw };
    },
  },
  holds: {
    requests: (value) => attachmentsByFormat((value.pres_request ?? {}) as JsonObject),
    presentations: (value) => attachmentsByFormat((value.pres ?? {}) as JsonObject),
    wishes: (value, format) => wishesOf(attachmentsByFormat((value.pres_proposal ?? {}) as JsonObject)[format]),
  },
  writes: {
    proposal(ctx, id, { presentation_proposal, comment }) {
      const message = composeFormatted(PROTOCOL, {
        type: 'propose-presentation',
        id,
        body: { comment: comment ?? undefined },
        field: 'proposals',
        entries: entriesOf(completed(ctx, given(presentation_proposal as JsonObject)), 'request'),
      });
      return { message, patch: { pres_proposal: message } };
    },
    request(id, thid, requests, comment) {
      const message = composeFormatted(PROTOCOL, {
        type: 'request-presentation',
        id,
        thid,
        body: { will_confirm: true, comment },
        field: 'request_presentations',
        entries: entriesOf(requests, 'request'),
      });
      return { message, patch: { pres_request: message } };
    },
    presentation(ctx, id, made) {
      const { thread_id: thid, parent_thread_id: pthid } = ctx.record!.value;
      const entries = entriesOf(made, 'proof');
      const message = composeFormatted(PROTOCOL, { type: 'presentation', id, thid, pthid, field: 'presentations', entries });
      return { message, patch: { pres: message } };
    },
  },
  asked: ({ presentation_request }) => given(presentation_request as JsonObject),
  proposed: (value) => ({ entries: given(attachmentsByFormat((value.pres_proposal ?? {}) as JsonObject) as JsonObject) }),
  chosen(body, requests) {
    for (const format of [...FORMAT_NAMES, 'dif'] as FormatName[]) {
      if (body[format] && !requests[format]) throw new AppError('bad-request', `The request does not ask for the format ${format}`);
      if (body[format]) checkChoice(requests[format]!, body[format] as unknown as Choice);
    }
    return Object.fromEntries(FORMAT_NAMES.flatMap((format) => (body[format] ? [[format, body[format]]] : [])));
  },
});

const entriesOf = (made: readonly Formatted[], step: 'request' | 'proof') =>
  made.map(({ format: name, value }) => ({ name, format: PROOF_FORMATS[name][step], value }));

/** What was given of each format. */
function given(byFormat: JsonObject): Formatted[] {
  if (byFormat.dif) throw new AppError('not-implemented', 'The format dif is not supported yet');
  const entries = FORMAT_NAMES.flatMap((format) => (byFormat[format] ? [{ format, value: byFormat[format] as JsonObject }] : []));
  if (entries.length === 0) throw new AppError('unprocessable', 'presentation_request: one of anoncreds, indy is required');
  return entries;
}
