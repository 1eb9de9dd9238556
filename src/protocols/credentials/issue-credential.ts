import Type, { type Static } from 'typebox';
import { AppError } from '../../errors.ts';
import { checkPreview, Preview } from '../../formats/credential-preview.ts';
import {
  attachmentsByFormat,
  CREDENTIAL_FORMATS,
  composeFormatted,
  FORMAT_NAMES,
  type FormatName,
  FormatsSchema,
  readFormatted,
} from '../../kernel/format-ids.ts';
import type { Incoming } from '../../kernel/protocol.ts';
import { isoTime, type RecordDef } from '../../kernel/record.ts';
import type { JsonObject } from '../../ports/json.ts';
import { threadOf } from '../../records/connection.ts';
import { credentialExchange } from '../../records/credential-exchange.ts';
import { issuingProtocol } from './issuing.ts';
import type { IssuingContext, IssuingValue, Made, Terms } from './issuing-version.ts';

const URI = 'https://didcomm.org/issue-credential/2.0';
const PREVIEW_TYPE = `${URI}/credential-preview`;
const PROTOCOL = { uris: [URI] };

// -- what comes over the wire and from the controller ------------------------------------------------------------------------------------------------

const Comment = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const MessageWithPreview = Type.Object({
  formats: FormatsSchema,
  comment: Comment,
  credential_preview: Type.Optional(Type.Union([Preview, Type.Null()])),
});

const IndyFilter = Type.Partial(
  Type.Object({
    cred_def_id: Type.String(),
    issuer_did: Type.String(),
    schema_id: Type.String(),
    schema_issuer_did: Type.String(),
    schema_name: Type.String(),
    schema_version: Type.String(),
  }),
);
const AnonCredsFilter = Type.Partial(
  Type.Object({
    cred_def_id: Type.String(),
    issuer_id: Type.String(),
    schema_id: Type.String(),
    schema_issuer_id: Type.String(),
    schema_name: Type.String(),
    schema_version: Type.String(),
    epoch: Type.String(),
  }),
);
const Filter = Type.Object({
  anoncreds: Type.Optional(AnonCredsFilter),
  indy: Type.Optional(IndyFilter),
  ld_proof: Type.Optional(Type.Object({})),
  vc_di: Type.Optional(Type.Object({})),
});
const Flags = {
  auto_remove: Type.Optional(Type.Boolean()),
  auto_remove_on_failure: Type.Optional(Type.Boolean()),
  trace: Type.Optional(Type.Boolean()),
  comment: Comment,
};
const Proposal = { filter: Filter, credential_preview: Type.Optional(Preview), ...Flags };
const Offer = { ...Proposal, auto_issue: Type.Optional(Type.Boolean()), replacement_id: Type.Optional(Type.String()) };

// -- the version ----------------------------------------------------------------------------------------------------------------------------------------

/** RFC 0453: an attachment for each format. */
export const issueCredential = issuingProtocol({
  name: 'issue-credential-2.0',
  uri: URI,
  path: '/issue-credential-2.0',
  tag: 'issue-credential v2.0',
  record: credentialExchange as RecordDef<IssuingValue>,
  // ACA-Py answers with details when a credential is issued and stored, and with the record alone before
  answer: credentialExchange.admin!.detail as RecordDef<IssuingValue>['view'],
  state: (name) => name,
  messages: { proposal: MessageWithPreview, offer: MessageWithPreview, other: Type.Object({ formats: FormatsSchema, comment: Comment }) },
  bodies: {
    proposal: Proposal,
    created: Offer,
    offer: Offer,
    counter: { counter_preview: Type.Optional(Preview), filter: Type.Optional(Filter) },
  },
  createdAs: 'offer',
  summaries: { created: 'Create a credential record without sending (generally for use with Out-Of-Band)' },
  begun: (ctx, initiator) => ({
    auto_remove_on_failure: false,
    ...(initiator === 'external' && { auto_issue: ctx.settings.autoRespondCredentialRequest }),
  }),
  reads: {
    proposal(_ctx, message) {
      readFormatted(message, 'filters');
      checkPreview(preview(message), 'message-invalid');
      return { cred_proposal: message.raw, cred_preview: preview(message) };
    },
    offer(_ctx, message, auto) {
      readFormatted(message, 'offers');
      checkPreview(preview(message), 'message-invalid');
      return { cred_offer: message.raw, cred_preview: preview(message), auto_offer: auto };
    },
    request(message, value) {
      readFormatted(message, 'requests', (value.cred_offer ?? {}) as JsonObject);
      return { cred_request: message.raw };
    },
    credential(message, value) {
      readFormatted(message, 'credentials', (value.cred_request ?? {}) as JsonObject);
      return { cred_issue: message.raw };
    },
  },
  holds: {
    offers: (value) => attachmentsByFormat((value.cred_offer ?? {}) as JsonObject),
    requests: (value) => attachmentsByFormat((value.cred_request ?? {}) as JsonObject),
    credentials: (value) => attachmentsByFormat((value.cred_issue ?? {}) as JsonObject),
    preview: (value) => value.cred_preview as Preview | undefined,
  },
  writes: {
    proposal(id, { filter, credential_preview, comment }) {
      checkPreview(credential_preview as Preview | undefined, 'unprocessable');
      const message = composeFormatted(PROTOCOL, {
        type: 'propose-credential',
        id,
        body: { comment: comment ?? undefined, credential_preview: previewOf(credential_preview as Preview | undefined) },
        field: 'filters',
        entries: filters(filter as Static<typeof Filter>).map((one) => ({
          name: one.format,
          format: CREDENTIAL_FORMATS[one.format].proposal,
          value: one.filter,
        })),
      });
      return { message, patch: { cred_proposal: message, cred_preview: message.credential_preview } };
    },
    offer(ctx, id, made) {
      const { value } = ctx.record!;
      const entries = entriesOf(made.offers, 'offer');
      const thid = value.thread_id ?? threadOf(ctx, id, entries);
      const offered = previewOf(made.preview);
      const { comment, replacement_id } = value.wanted ?? {};
      const message = composeFormatted(PROTOCOL, {
        type: 'offer-credential',
        id,
        thid,
        body: { credential_preview: offered, comment: comment ?? undefined, replacement_id: replacement_id ?? undefined },
        field: 'offers',
        entries,
      });
      return { message, patch: { thread_id: thid, cred_offer: message, cred_preview: offered } };
    },
    request(ctx, id, made) {
      const { thread_id: thid, parent_thread_id: pthid } = ctx.record!.value;
      const entries = entriesOf([made], 'request');
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
        entries: entriesOf(made, 'issue'),
        // the ack ends the exchange
        pleaseAck: true,
      });
      return { message, patch: { cred_issue: message } };
    },
  },
  terms: (proposal) => ({ filters: proposedFilters(proposal), preview: (proposal.credential_preview ?? null) as JsonObject | null }),
  countered(ctx, { filter, counter_preview }) {
    const { cred_proposal, cred_preview } = ctx.record!.value;
    checkPreview(counter_preview as Preview | undefined, 'unprocessable');
    return {
      filters: filter ? filters(filter as Static<typeof Filter>) : proposedFilters((cred_proposal ?? {}) as JsonObject),
      preview: (counter_preview ?? cred_preview ?? null) as JsonObject | null,
    };
  },
  wanted: (body) => ({ comment: body.comment ?? null, replacement_id: body.replacement_id ?? null }),
  stored: () => ({}),
  detailed(ctx, entries) {
    const before = ctx.record!.value.details as Record<string, JsonObject> | undefined;
    const made = Object.fromEntries(entries.map(({ format, members }) => [format, detailOf(ctx, format, members)]));
    return {
      patch: { details: { ...before, ...made } },
      emit: Object.entries(made).map(([format, detail]) => detailEvent(ctx, format as FormatName, detail)),
    };
  },
});

// -- helpers ----------------------------------------------------------------------------------------------------------------------------------------------

const entriesOf = (made: readonly Made[], step: 'offer' | 'request' | 'issue') =>
  made.map(({ format, value }) => ({ name: format, format: CREDENTIAL_FORMATS[format][step], value }));

const preview = (message: Incoming): (JsonObject & Preview) | undefined =>
  (message.body.credential_preview as (JsonObject & Preview) | null) ?? undefined;

const previewOf = (given: Preview | undefined): JsonObject | undefined =>
  given && { '@type': PREVIEW_TYPE, attributes: given.attributes as JsonObject[] };

function filters(filter: Static<typeof Filter>): Terms['filters'] {
  if (filter.ld_proof || filter.vc_di) throw new AppError('not-implemented', 'The formats ld_proof and vc_di are not supported yet');
  const asked = FORMAT_NAMES.flatMap((format) => (filter[format] ? [{ format, filter: filter[format] as JsonObject }] : []));
  if (asked.length === 0) throw new AppError('unprocessable', 'filter: one of anoncreds, indy is required');
  return asked;
}

function proposedFilters(proposal: JsonObject): Terms['filters'] {
  const asked = Object.entries(attachmentsByFormat(proposal)).map(([format, filter]) => ({
    format: format as FormatName,
    filter: filter as JsonObject,
  }));
  if (asked.length === 0) throw new AppError('bad-request', 'The proposal has no format that is supported');
  return asked;
}

/** What a format keeps about the exchange, as ACA-Py's detail records show it: each side has one from its first cryptographic act. */
function detailOf(ctx: IssuingContext, format: FormatName, members: JsonObject = {}): JsonObject {
  const name = `cred_ex_${format}_id`;
  const before = (ctx.record!.value.details as Record<string, JsonObject> | undefined)?.[format];
  const time = isoTime(ctx.now);
  return { created_at: time, [name]: ctx.newId(), cred_ex_id: ctx.record!.id, ...before, updated_at: time, ...members };
}

/** The webhook of a detail record: as in ACA-Py its family follows from the type of the wallet, which controllers chose their calls by. */
function detailEvent(ctx: IssuingContext, format: FormatName, detail: JsonObject): { topic: string; payload: JsonObject } {
  const family = ctx.settings.walletType === 'askar' ? 'indy' : 'anoncreds';
  const { [`cred_ex_${format}_id`]: id, ...rest } = detail;
  return { topic: `issue_credential_v2_0_${family}`, payload: { ...rest, [`cred_ex_${family}_id`]: id! } };
}
