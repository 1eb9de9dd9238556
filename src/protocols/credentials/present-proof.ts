import { AppError } from '../../errors.ts';
import type { Formats, Presentation } from '../../kernel/format.ts';
import {
  attachmentsByFormat,
  type ByFormat,
  composeFormatted,
  type FormatEntry,
  FormatsSchema,
  readFormatted,
} from '../../kernel/format-attachments.ts';
import type { RecordDef } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { presentationExchange } from '../../records/presentation-exchange.ts';
import { Flag, Text } from './exchange-parts.ts';
import { completed, presentingProtocol } from './presenting.ts';
import type { Formatted, PresentingContext, PresentingValue } from './presenting-version.ts';

const URI = 'https://didcomm.org/present-proof/2.0';
const PROTOCOL = { uris: [URI] };

const Message = Type.Object({ formats: FormatsSchema, comment: Text });
/** ACA-Py's format that is not here: named, so that a call for it fails with that reason. */
const UNSUPPORTED = 'dif';
const membersOf = (formats: Formats, which: 'requestSchema' | 'choiceSchema') => ({
  [UNSUPPORTED]: Type.Optional(Type.Object({})),
  ...Object.fromEntries(formats.presented.map(({ name, presentation }) => [name, Type.Optional(presentation[which])])),
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
    request: Type.Object({ formats: FormatsSchema, comment: Text, will_confirm: Type.Optional(Type.Boolean()) }),
    presentation: Message,
  },
  bodies: (formats) => ({
    proposal: { presentation_proposal: Type.Object(membersOf(formats, 'requestSchema')) },
    request: { presentation_request: Type.Object(membersOf(formats, 'requestSchema')) },
    presentation: {
      ...membersOf(formats, 'choiceSchema'),
      auto_remove: Flag,
      auto_remove_on_failure: Flag,
      trace: Flag,
      comment: Text,
    },
  }),
  summaries: { proposal: 'Send a presentation proposal' },
  begun: () => ({ auto_remove_on_failure: false }),
  reads: {
    proposal(ctx, message) {
      readFormatted(ctx.declared.formats, message, 'proposals');
      return { pres_proposal: message.raw };
    },
    request(ctx, message) {
      readFormatted(ctx.declared.formats, message, 'request_presentations');
      return { pres_request: message.raw };
    },
    presentation(ctx, message) {
      readFormatted(ctx.declared.formats, message, 'presentations', (ctx.record!.value.pres_request ?? {}) as JsonObject);
      return { pres: message.raw };
    },
  },
  holds: {
    requests: (ctx) => held(ctx, 'pres_request'),
    presentations: (ctx) => held(ctx, 'pres'),
    proposals: (ctx) => held(ctx, 'pres_proposal'),
  },
  writes: {
    proposal(ctx, id, { presentation_proposal, comment }) {
      const message = composeFormatted(PROTOCOL, {
        type: 'propose-presentation',
        id,
        body: { comment: comment ?? undefined },
        field: 'proposals',
        entries: entriesOf(ctx, completed(ctx, given(ctx, presentation_proposal as ByFormat)), 'request'),
      });
      return { message, patch: { pres_proposal: message } };
    },
    request(ctx, ids, requests, comment) {
      const message = composeFormatted(PROTOCOL, {
        type: 'request-presentation',
        ...ids,
        body: { will_confirm: true, comment },
        field: 'request_presentations',
        entries: entriesOf(ctx, requests, 'request'),
      });
      return { message, patch: { pres_request: message } };
    },
    presentation(ctx, id, made) {
      const { thread_id: thid, parent_thread_id: pthid } = ctx.record!.value;
      const entries = entriesOf(ctx, made, 'proof');
      const message = composeFormatted(PROTOCOL, { type: 'presentation', id, thid, pthid, field: 'presentations', entries });
      return { message, patch: { pres: message } };
    },
  },
  asked: (ctx, { presentation_request }) => given(ctx, presentation_request as ByFormat),
  proposed: (ctx) => ({ entries: given(ctx, held(ctx, 'pres_proposal')) }),
  chosen(ctx, body, requests) {
    const chosen = [...namesOf(ctx.declared.formats), UNSUPPORTED].filter((name) => body[name]);
    const other = chosen.find((name) => !requests[name]);
    if (other !== undefined) throw new AppError('bad-request', `The request does not ask for the format ${other}`);
    return Object.fromEntries(chosen.map((name) => [name, body[name] as JsonObject]));
  },
});

const namesOf = ({ presented }: Formats): string[] => presented.map(({ name }) => name);

const held = ({ declared, record }: PresentingContext, member: string): ByFormat =>
  attachmentsByFormat(declared.formats, (record!.value[member] ?? {}) as JsonObject);

const entriesOf = (ctx: PresentingContext, made: readonly Formatted[], step: keyof Presentation['ids']): FormatEntry[] =>
  made.map(({ format, value }) => ({ name: format, format: ctx.declared.formats.named(format)!.presentation!.ids[step], value }));

/** The attachments of the call, by format. */
function given({ declared: { formats } }: PresentingContext, byFormat: ByFormat): Formatted[] {
  if (byFormat[UNSUPPORTED] && !formats.named(UNSUPPORTED))
    throw new AppError('not-implemented', `The format ${UNSUPPORTED} is not supported yet`);
  const entries = namesOf(formats).flatMap((format) => (byFormat[format] ? [{ format, value: byFormat[format] }] : []));
  if (entries.length === 0) throw new AppError('unprocessable', `presentation_request: one of ${namesOf(formats).join(', ')} is required`);
  return entries;
}
