import { AppError } from '../../errors.ts';
import { checkPreview, Preview } from '../../formats/credential-preview.ts';
import { ocaOrder, supplementsOf } from '../../formats/oca-bundle.ts';
import { isAutomatic } from '../../kernel/decisions.ts';
import type { Formats, Issuance } from '../../kernel/format.ts';
import {
  attachmentsByFormat,
  type ByFormat,
  composeFormatted,
  type FormatEntry,
  FormatsSchema,
  readFormatted,
} from '../../kernel/format-attachments.ts';
import type { Incoming } from '../../kernel/protocol.ts';
import { isoTime, type RecordDef } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { threadOf } from '../../records/connection.ts';
import { credentialExchange } from '../../records/credential-exchange.ts';
import { definitionOffered, FLAGS, Text } from './exchange-parts.ts';
import { issuingProtocol } from './issuing.ts';
import type { IssuingContext, IssuingValue, Made, Terms } from './issuing-version.ts';
import { LOOKED } from './looks.ts';

const URI = 'https://didcomm.org/issue-credential/2.0';
const PREVIEW_TYPE = `${URI}/credential-preview`;
const PROTOCOL = { uris: [URI] };

// -- what comes over the wire and from the controller ------------------------------------------------------------------------------------------------

const MessageWithPreview = Type.Object({
  formats: FormatsSchema,
  comment: Text,
  credential_preview: Type.Optional(Type.Union([Preview, Type.Null()])),
});

/** ACA-Py's formats that are not here: named, so that a call for one fails with that reason. */
const UNSUPPORTED = ['ld_proof', 'vc_di'];
const filterOf = (formats: Formats) => {
  const members = formats.issued.map(({ name, issuance }) => [name, Type.Optional(issuance.filterSchema)]);
  return Type.Object(Object.fromEntries([...UNSUPPORTED.map((name) => [name, Type.Optional(Type.Object({}))]), ...members]));
};

// -- the version ----------------------------------------------------------------------------------------------------------------------------------------

/** RFC 0453: an attachment for each format. */
export const issueCredential = issuingProtocol({
  name: 'issue-credential-2.0',
  uri: URI,
  path: '/issue-credential-2.0',
  tag: 'issue-credential v2.0',
  issues: '2',
  record: credentialExchange as RecordDef<IssuingValue>,
  // ACA-Py answers with details when a credential is issued and stored, and with the record alone before
  answer: credentialExchange.admin!.detail as RecordDef<IssuingValue>['view'],
  state: (name) => name,
  messages: { proposal: MessageWithPreview, offer: MessageWithPreview, other: Type.Object({ formats: FormatsSchema, comment: Text }) },
  bodies(formats) {
    const filter = filterOf(formats);
    const proposal = { filter, credential_preview: Type.Optional(Preview), ...FLAGS };
    const offer = { ...proposal, auto_issue: Type.Optional(Type.Boolean()), replacement_id: Type.Optional(Type.String()) };
    return { proposal, created: offer, offer, counter: { counter_preview: Type.Optional(Preview), filter: Type.Optional(filter) } };
  },
  createdAs: 'offer',
  summaries: { created: 'Create a credential record without sending (generally for use with Out-Of-Band)' },
  begun: (ctx, initiator) => ({
    auto_remove_on_failure: false,
    ...(initiator === 'external' && { auto_issue: isAutomatic(ctx.settings, 'credential-request') }),
  }),
  reads: {
    proposal(ctx, message) {
      readFormatted(ctx.declared.formats, message, 'filters');
      checkPreview(preview(message), 'message-invalid');
      return { cred_proposal: message.raw, cred_preview: preview(message) };
    },
    offer(ctx, message, auto) {
      readFormatted(ctx.declared.formats, message, 'offers');
      checkPreview(preview(message), 'message-invalid');
      return { cred_offer: message.raw, cred_preview: preview(message), auto_offer: auto };
    },
    request(ctx, message) {
      readFormatted(ctx.declared.formats, message, 'requests', messageIn(ctx, 'cred_offer'));
      return { cred_request: message.raw };
    },
    credential(ctx, message) {
      readFormatted(ctx.declared.formats, message, 'credentials', messageIn(ctx, 'cred_request'));
      return { cred_issue: message.raw };
    },
  },
  looks: (ctx, message) => ocaOrder(message, definitionOffered(attachmentsByFormat(ctx.declared.formats, message.raw)), LOOKED),
  holds: {
    offers: (ctx) => held(ctx, 'cred_offer'),
    requests: (ctx) => held(ctx, 'cred_request'),
    credentials: (ctx) => held(ctx, 'cred_issue'),
    preview: (value) => value.cred_preview as Preview | undefined,
  },
  writes: {
    proposal(ctx, { filter, credential_preview, comment }, kind) {
      const { formats } = ctx.declared;
      checkPreview(credential_preview as Preview | undefined, 'unprocessable');
      const message = composeFormatted(PROTOCOL, {
        type: 'propose-credential',
        id: ctx.newId(),
        body: { comment: comment ?? undefined, credential_preview: previewOf(credential_preview as Preview | undefined) },
        field: 'filters',
        entries: entriesOf(
          formats,
          filters(formats, filter as JsonObject).map((one) => ({ format: one.format, value: one.filter })),
          'proposal',
        ),
      });
      return { message, patch: { cred_proposal: message, ...(kind === 'proposal' && { cred_preview: message.credential_preview }) } };
    },
    offer(ctx, id, made, given) {
      const { value } = ctx.record!;
      const entries = entriesOf(ctx.declared.formats, made, 'offer');
      const thid = value.thread_id ?? threadOf(ctx, id, entries);
      const offered = previewOf(given as Preview | undefined);
      const { comment, replacement_id } = value.wanted ?? {};
      // formats of one definition have one look
      const beside = made.flatMap(({ supplement }) => supplement ?? []).slice(0, 1);
      const message = composeFormatted(PROTOCOL, {
        type: 'offer-credential',
        id,
        thid,
        body: {
          ...{ credential_preview: offered, comment: comment ?? undefined, replacement_id: replacement_id ?? undefined },
          ...(beside.length > 0 && { supplements: supplementsOf(beside) }),
        },
        field: 'offers',
        entries,
        beside,
      });
      return { message, patch: { thread_id: thid, cred_offer: message, cred_preview: offered } };
    },
    request(ctx, id, made) {
      const { thread_id: thid, parent_thread_id: pthid } = ctx.record!.value;
      const entries = entriesOf(ctx.declared.formats, [made], 'request');
      const message = composeFormatted(PROTOCOL, { type: 'request-credential', id, thid, pthid, field: 'requests', entries });
      return { message, patch: { cred_request: message } };
    },
    credential(ctx, id, made) {
      const { thread_id: thid, wanted } = ctx.record!.value;
      const message = composeFormatted(PROTOCOL, {
        type: 'issue-credential',
        id,
        thid,
        body: { comment: wanted?.comment ?? undefined },
        field: 'credentials',
        entries: entriesOf(ctx.declared.formats, made, 'issue'),
        // the ack ends the exchange
        pleaseAck: true,
      });
      return { message, patch: { cred_issue: message } };
    },
  },
  terms: (ctx, proposal) => ({
    filters: proposedFilters(attachmentsByFormat(ctx.declared.formats, proposal)),
    preview: (proposal.credential_preview ?? null) as JsonObject | null,
  }),
  countered(ctx, { filter, counter_preview }) {
    checkPreview(counter_preview as Preview | undefined, 'unprocessable');
    return {
      filters: filter ? filters(ctx.declared.formats, filter as JsonObject) : proposedFilters(held(ctx, 'cred_proposal')),
      preview: (counter_preview ?? ctx.record!.value.cred_preview ?? null) as JsonObject | null,
    };
  },
  wanted: (body) => ({ comment: body.comment ?? null, replacement_id: body.replacement_id ?? null }),
  stored: () => ({}),
  detailed(ctx, entries) {
    const before = ctx.record!.value.details as Record<string, JsonObject> | undefined;
    const made = Object.fromEntries(entries.map(({ format, detail }) => [format, detailOf(ctx, format, detail)]));
    return {
      patch: { details: { ...before, ...made } },
      emit: Object.entries(made).map(([format, detail]) => detailEvent(ctx, format, detail)),
    };
  },
});

// -- helpers ----------------------------------------------------------------------------------------------------------------------------------------------

const messageIn = (ctx: IssuingContext, member: string): JsonObject => (ctx.record!.value[member] ?? {}) as JsonObject;
const held = (ctx: IssuingContext, member: string): ByFormat => attachmentsByFormat(ctx.declared.formats, messageIn(ctx, member));

const entriesOf = (formats: Formats, made: readonly Made[], step: keyof Issuance['ids']): FormatEntry[] =>
  made.map(({ format, value }) => ({ name: format, format: formats.named(format)!.issuance!.ids[step], value }));

const preview = (message: Incoming): (JsonObject & Preview) | undefined =>
  (message.body.credential_preview as (JsonObject & Preview) | null) ?? undefined;

const previewOf = (given: Preview | undefined): JsonObject | undefined =>
  given && { '@type': PREVIEW_TYPE, attributes: given.attributes as JsonObject[] };

function filters(formats: Formats, filter: JsonObject): Terms['filters'] {
  if (UNSUPPORTED.some((name) => filter[name] && !formats.named(name)))
    throw new AppError('not-implemented', `The formats ${UNSUPPORTED.join(' and ')} are not supported yet`);
  const asked = formats.issued.flatMap(({ name }) => (filter[name] ? [{ format: name, filter: filter[name] as JsonObject }] : []));
  if (asked.length === 0)
    throw new AppError('unprocessable', `filter: one of ${formats.issued.map(({ name }) => name).join(', ')} is required`);
  return asked;
}

function proposedFilters(proposed: ByFormat): Terms['filters'] {
  const asked = Object.entries(proposed).map(([format, filter]) => ({ format, filter: filter! }));
  if (asked.length === 0) throw new AppError('bad-request', 'The proposal has no format that is supported');
  return asked;
}

/** A format's details of the exchange, as in ACA-Py's detail records: each side has one from its first cryptographic act. */
function detailOf(ctx: IssuingContext, format: string, members: JsonObject = {}): JsonObject {
  const name = `cred_ex_${format}_id`;
  const before = (ctx.record!.value.details as Record<string, JsonObject> | undefined)?.[format];
  const time = isoTime(ctx.now);
  return { created_at: time, [name]: ctx.newId(), cred_ex_id: ctx.record!.id, ...before, updated_at: time, ...members };
}

/** The webhook of a detail record, which a format may have under the name of another. */
function detailEvent(ctx: IssuingContext, format: string, detail: JsonObject): { topic: string; payload: JsonObject } {
  const family = ctx.declared.formats.named(format)?.issuance?.detailName?.(ctx.settings) ?? format;
  const { [`cred_ex_${format}_id`]: id, ...rest } = detail;
  return { topic: `issue_credential_v2_0_${family}`, payload: { ...rest, [`cred_ex_${family}_id`]: id! } };
}
