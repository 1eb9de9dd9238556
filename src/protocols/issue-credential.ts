import Type, { type Static } from 'typebox';
import { AppError } from '../errors.ts';
import { checkPreview, Preview } from '../formats/credential-preview.ts';
import {
  attachmentsByFormat,
  CREDENTIAL_FORMATS,
  composeFormatted,
  FORMAT_NAMES,
  type FormatName,
  FormatsSchema,
  readFormatted,
  sharedFormats,
} from '../kernel/format-ids.ts';
import { problemText } from '../kernel/message.ts';
import { type Change, defineProtocol, type Effects, type Incoming, NEW, type StepContext } from '../kernel/protocol.ts';
import { isoTime } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Lookup } from '../ports/store.ts';
import { type ConnectionValue, peerAcks, readyConnection, threadOf } from '../records/connection.ts';
import { credential } from '../records/credential.ts';
import { type CredentialExchangeValue, credentialExchange } from '../records/credential-exchange.ts';

const URI = 'https://didcomm.org/issue-credential/2.0';
const PREVIEW_TYPE = `${URI}/credential-preview`;
/** A record that waits for its first message to be made; no webhook has told of it. */
const MAKING = '';

type Ctx = StepContext<CredentialExchangeValue>;

// -- what comes over the wire and from the controller ------------------------------------------------------------------------------------------------

const Message = Type.Object({ formats: FormatsSchema, comment: Type.Optional(Type.Union([Type.String(), Type.Null()])) });
const MessageWithPreview = Type.Object({
  formats: FormatsSchema,
  comment: Type.Optional(Type.Union([Type.String(), Type.Null()])),
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
  comment: Type.Optional(Type.Union([Type.String(), Type.Null()])),
};
const Offer = {
  filter: Filter,
  credential_preview: Type.Optional(Preview),
  auto_issue: Type.Optional(Type.Boolean()),
  replacement_id: Type.Optional(Type.String()),
  ...Flags,
};
const FreeOffer = Type.Object({ connection_id: Type.String(), ...Offer });

// -- the literal -------------------------------------------------------------------------------------------------------------------------------------------

/** RFC 0453, for the formats `anoncreds` and `indy`: what each needs of the engine is ordered as work and re-enters as a result. */
export const issueCredential = defineProtocol<CredentialExchangeValue>({
  name: 'issue-credential-2.0',
  uris: [URI],
  roles: ['issuer', 'holder'],
  binds: credentialExchange,
  messages: {
    'propose-credential': {
      schema: MessageWithPreview,
      from: [NEW, 'offer-sent'],
      role: 'issuer',
      step(ctx, message) {
        readFormatted(message, 'filters');
        checkPreview(preview(message), 'message-invalid');
        return {
          record: {
            ...begin(ctx, message, 'issuer'),
            states: ['proposal-received'],
            patch: {
              ...fresh(ctx, message),
              cred_proposal: message.raw,
              cred_preview: preview(message),
              auto_offer: ctx.settings.autoRespondCredentialProposal,
            },
          },
          next: ctx.settings.autoRespondCredentialProposal ? [{ command: 'send-offer' }] : [],
        };
      },
    },
    'offer-credential': {
      schema: MessageWithPreview,
      standsAlone: true,
      from: [NEW, 'proposal-sent'],
      role: 'holder',
      step(ctx, message) {
        readFormatted(message, 'offers');
        checkPreview(preview(message), 'message-invalid');
        const auto = ctx.record?.value.auto_offer ?? ctx.settings.autoRespondCredentialOffer;
        return {
          record: {
            ...begin(ctx, message, 'holder'),
            states: ['offer-received'],
            patch: { ...fresh(ctx, message), cred_offer: message.raw, cred_preview: preview(message), auto_offer: auto },
          },
          next: auto ? [{ command: 'send-request' }] : [],
        };
      },
    },
    'request-credential': {
      schema: Message,
      from: ['offer-sent'],
      role: 'issuer',
      step(ctx, message) {
        readFormatted(message, 'requests', ctx.record!.value.cred_offer ?? {});
        return {
          record: { states: ['request-received'], connection: ctx.connection?.id, patch: { cred_request: message.raw } },
          next: ctx.record!.value.auto_issue ? [{ command: 'issue' }] : [],
        };
      },
    },
    'issue-credential': {
      schema: Message,
      from: ['request-sent'],
      role: 'holder',
      step(ctx, message) {
        readFormatted(message, 'credentials', ctx.record!.value.cred_request ?? {});
        return {
          record: { states: ['credential-received'], patch: { cred_issue: message.raw } },
          next: ctx.settings.autoStoreCredential ? [{ command: 'store' }] : [],
        };
      },
    },
  },
  acked: {
    schema: Type.Object({}),
    from: ['credential-issued'],
    role: 'issuer',
    step: (ctx) => ({ record: { states: ['done'], remove: ctx.record!.value.auto_remove } }),
  },
  problem: {
    schema: Type.Object({}),
    from: credentialExchange.states.filter((state) => !['done', 'abandoned', 'deleted'].includes(state)),
    step: (_ctx, message) => ({ record: { states: ['abandoned'], patch: { error_msg: problemText(message) } } }),
  },
  // ACA-Py tells details when a credential is issued and stored, and the record alone before
  answer: credentialExchange.admin!.detail,
  failed(ctx, failure) {
    // what no peer has seen goes without a trace; what one waits for ends with a report to it
    if ((ctx.record!.state ?? '') === MAKING) return { record: { remove: true, silent: true } };
    const remove = ctx.record!.value.auto_remove_on_failure;
    return {
      record: { states: ['abandoned'], patch: { error_msg: failure.text }, remove },
      problem: ctx.reachable ? { code: 'issuance-abandoned', text: 'The exchange was abandoned' } : undefined,
    };
  },
  results: {
    offered: {
      from: [MAKING, 'proposal-received'],
      step(ctx, made: { offers: { format: FormatName; value: JsonObject }[]; preview?: Preview }) {
        const { value } = ctx.record!;
        const id = ctx.newId();
        const entries = made.offers.map((one) => ({ name: one.format, format: CREDENTIAL_FORMATS[one.format].offer, value: one.value }));
        const thid = value.thread_id ?? threadOf(ctx, id, entries);
        const offered = made.preview && { '@type': PREVIEW_TYPE, attributes: made.preview.attributes };
        const message = composeFormatted(issueCredential, {
          type: 'offer-credential',
          id,
          thid,
          body: {
            credential_preview: offered,
            comment: value.wanted?.comment ?? undefined,
            replacement_id: value.wanted?.replacement_id ?? undefined,
          },
          field: 'offers',
          entries,
        });
        return {
          record: {
            states: ['offer-sent'],
            patch: { thread_id: thid, cred_offer: message, cred_preview: offered, wanted: undefined },
          },
          send: ctx.reachable ? [{ message }] : [],
        };
      },
    },
    requested: {
      from: ['offer-received'],
      step(ctx, made: { format: FormatName; value: JsonObject; metadata: Uint8Array }) {
        const { value, id } = ctx.record!;
        const message = composeFormatted(issueCredential, {
          type: 'request-credential',
          id: ctx.newId(),
          thid: value.thread_id,
          pthid: value.parent_thread_id,
          field: 'requests',
          entries: [{ name: made.format, format: CREDENTIAL_FORMATS[made.format].request, value: made.value }],
        });
        const detail = detailOf(ctx, made.format);
        return {
          record: { states: ['request-sent'], patch: { cred_request: message, details: { ...value.details, [made.format]: detail } } },
          emit: [detailEvent(ctx, made.format, detail)],
          keys: [{ kid: `cred-request:${id}`, type: 'cred-request', secret: made.metadata }],
          send: [{ message }],
        };
      },
    },
    issued: {
      from: ['request-received'],
      step(ctx, { credentials }: { credentials: { format: FormatName; value: JsonObject }[] }) {
        const { value } = ctx.record!;
        const message = composeFormatted(issueCredential, {
          type: 'issue-credential',
          id: ctx.newId(),
          thid: value.thread_id,
          body: { comment: value.wanted?.comment ?? undefined },
          field: 'credentials',
          entries: credentials.map((one) => ({ name: one.format, format: CREDENTIAL_FORMATS[one.format].issue, value: one.value })),
          // the ack ends the exchange
          pleaseAck: true,
        });
        const acks = peerAcks(ctx);
        const made = Object.fromEntries(credentials.map(({ format }) => [format, detailOf(ctx, format)]));
        return {
          record: {
            states: acks ? ['credential-issued'] : ['credential-issued', 'done'],
            patch: { cred_issue: message, wanted: undefined, details: { ...value.details, ...made } },
            remove: !acks && value.auto_remove,
          },
          emit: Object.entries(made).map(([format, detail]) => detailEvent(ctx, format as FormatName, detail)),
          send: [{ message }],
        };
      },
    },
    stored: {
      from: ['credential-received'],
      step(ctx, made: { format: FormatName; id: string; credential: JsonObject; info: JsonObject }) {
        const { value, id } = ctx.record!;
        const detail = detailOf(ctx, made.format, { cred_id_stored: made.id });
        const stored: Change = { def: credential, id: made.id, patch: { ...made.info, credential: made.credential }, silent: true };
        return {
          record: { states: ['done'], patch: { details: { ...value.details, [made.format]: detail } }, remove: value.auto_remove },
          others: [stored],
          unkeys: [`cred-request:${id}`],
          emit: [detailEvent(ctx, made.format, detail)],
          send: [{ type: 'ack', body: { status: 'OK' } }],
        };
      },
    },
  },
  commands: {
    'send-proposal': {
      route: 'POST /issue-credential-2.0/send-proposal',
      picks: recordOf,
      tag: 'issue-credential v2.0',
      summary: 'Send issuer a credential proposal',
      body: Type.Object({ connection_id: Type.String(), filter: Filter, credential_preview: Type.Optional(Preview), ...Flags }),
      from: [NEW],
      connection: 'connection_id',
      step(ctx, { body }) {
        const id = ctx.newId();
        const message = proposal(id, body);
        return {
          record: {
            role: 'holder',
            connection: readyConnection(ctx.connection),
            states: ['proposal-sent'],
            patch: {
              ...flags(ctx, body),
              thread_id: id,
              cred_proposal: message,
              cred_preview: message.credential_preview as JsonObject | undefined,
              auto_offer: ctx.settings.autoRespondCredentialOffer,
            },
          },
          send: [{ message }],
        };
      },
    },
    'create-offer': {
      route: 'POST /issue-credential-2.0/create-offer',
      picks: recordOf,
      tag: 'issue-credential v2.0',
      summary: 'Create a credential offer, independent of any proposal or connection',
      body: Type.Object(Offer),
      from: [NEW],
      step: (ctx, { body }) => makeOffer(ctx, body, body.auto_issue ?? ctx.settings.autoRespondCredentialRequest),
    },
    create: {
      route: 'POST /issue-credential-2.0/create',
      picks: recordOf,
      tag: 'issue-credential v2.0',
      summary: 'Create a credential record without sending (generally for use with Out-Of-Band)',
      body: Type.Object(Offer),
      from: [NEW],
      step: (ctx, { body }) => makeOffer(ctx, body, true),
    },
    'send-free-offer': {
      route: 'POST /issue-credential-2.0/send-offer',
      picks: recordOf,
      tag: 'issue-credential v2.0',
      summary: 'Send holder a credential offer, independent of any proposal',
      body: FreeOffer,
      from: [NEW],
      connection: 'connection_id',
      step: (ctx, { body }) => makeOffer(ctx, body, body.auto_issue ?? ctx.settings.autoRespondCredentialRequest),
    },
    send: {
      route: 'POST /issue-credential-2.0/send',
      picks: recordOf,
      tag: 'issue-credential v2.0',
      summary: 'Send holder a credential, automating the entire flow',
      body: FreeOffer,
      from: [NEW],
      connection: 'connection_id',
      step: (ctx, { body }) => makeOffer(ctx, body, true),
    },
    'send-offer': {
      route: 'POST /issue-credential-2.0/records/{cred_ex_id}/send-offer',
      picks: recordOf,
      tag: 'issue-credential v2.0',
      summary: 'Send holder a credential offer in reference to a proposal with preview',
      body: Type.Object({ counter_preview: Type.Optional(Preview), filter: Type.Optional(Filter) }),
      from: ['proposal-received'],
      role: 'issuer',
      step(ctx, { body }) {
        const { value } = ctx.record!;
        checkPreview(body.counter_preview, 'unprocessable');
        const wanted = body.filter ? filters(body.filter) : proposedFilters(value.cred_proposal);
        return {
          record: {},
          work: [
            { op: 'credential/offer', input: { filters: wanted, preview: body.counter_preview ?? value.cred_preview }, result: 'offered' },
          ],
        };
      },
    },
    'send-request': {
      route: 'POST /issue-credential-2.0/records/{cred_ex_id}/send-request',
      picks: recordOf,
      tag: 'issue-credential v2.0',
      summary: 'Send issuer a credential request',
      body: Type.Object({
        holder_did: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        auto_remove: Type.Optional(Type.Boolean()),
        auto_remove_on_failure: Type.Optional(Type.Boolean()),
      }),
      from: ['offer-received'],
      role: 'holder',
      step(ctx, { body }) {
        const offers = attachmentsByFormat(ctx.record!.value.cred_offer ?? {});
        const [format] = sharedFormats(offers);
        return {
          record: body.auto_remove === undefined ? {} : { patch: { auto_remove: body.auto_remove } },
          work: [
            {
              op: 'credential/request',
              input: { format, offer: offers[format]!, entropy: ctx.connection?.id ?? ctx.record!.id },
              result: 'requested',
            },
          ],
        };
      },
    },
    issue: {
      route: 'POST /issue-credential-2.0/records/{cred_ex_id}/issue',
      tag: 'issue-credential v2.0',
      summary: 'Send holder a credential',
      body: Type.Object({ comment: Type.Optional(Type.Union([Type.String(), Type.Null()])) }),
      from: ['request-received'],
      role: 'issuer',
      step(ctx, { body }) {
        const { value } = ctx.record!;
        const requests = attachmentsByFormat(value.cred_request ?? {});
        const offers = attachmentsByFormat(value.cred_offer ?? {});
        const entries = sharedFormats(requests, offers).map((format) => ({ format, offer: offers[format]!, request: requests[format]! }));
        const attributes = (value.cred_preview?.attributes ?? []) as unknown as Preview['attributes'];
        const input = { entries, values: Object.fromEntries(attributes.map((one) => [one.name, one.value])) };
        return {
          record: body.comment ? { patch: { wanted: { comment: body.comment } } } : {},
          work: [{ op: 'credential/issue', input, result: 'issued' }],
        };
      },
    },
    store: {
      route: 'POST /issue-credential-2.0/records/{cred_ex_id}/store',
      tag: 'issue-credential v2.0',
      summary: 'Store a received credential',
      body: Type.Object({ credential_id: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 256 }), Type.Null()])) }),
      from: ['credential-received'],
      role: 'holder',
      load: ({ body }): Record<string, Lookup> =>
        body.credential_id ? { named: { category: credential.category, id: body.credential_id } } : {},
      step(ctx, { body }) {
        if (ctx.loaded.named) throw new AppError('bad-request', `Credential ${body.credential_id} already exists in this wallet`);
        const { value, id } = ctx.record!;
        const issued = attachmentsByFormat(value.cred_issue ?? {});
        const offers = attachmentsByFormat(value.cred_offer ?? {});
        const [format] = sharedFormats(issued, attachmentsByFormat(value.cred_request ?? {}), offers);
        const offered = value.cred_preview?.attributes;
        const lax = (ctx.connection?.value as ConnectionValue | undefined)?.wire?.encoding === 'any';
        const input = {
          format,
          exchange: id,
          offer: offers[format]!,
          credential: issued[format]!,
          id: body.credential_id ?? ctx.newId(),
          lax,
          ...(offered && { offered }),
        };
        return { record: {}, work: [{ op: 'credential/store', input, result: 'stored' }] };
      },
    },
    'report-problem': {
      route: 'POST /issue-credential-2.0/records/{cred_ex_id}/problem-report',
      tag: 'issue-credential v2.0',
      summary: 'Send a problem report for credential exchange',
      body: Type.Object({ description: Type.String({ minLength: 1 }) }),
      from: credentialExchange.states.filter((state) => !['done', 'deleted'].includes(state)),
      step: (ctx, { body }) => ({
        record: { states: ['abandoned'], patch: { error_msg: `created problem report: ${body.description}` } },
        problem: ctx.reachable ? { code: 'issuance-abandoned', text: body.description } : undefined,
        answer: {},
      }),
    },
  },
});

// -- helpers ----------------------------------------------------------------------------------------------------------------------------------------------

/** What a first message brings to its new record; nothing where the record exists. */
function begin(ctx: Ctx, message: Incoming, role: string): Omit<Change, 'def' | 'base'> {
  return ctx.record ? { role } : { role, connection: ctx.connection?.id, patch: { thread_id: message.thid } };
}

function fresh(ctx: Ctx, message: Incoming): Partial<CredentialExchangeValue> {
  if (ctx.record) return {};
  return {
    protocol: issueCredential.name,
    thread_id: message.thid,
    parent_thread_id: message.pthid,
    initiator: 'external',
    auto_issue: ctx.settings.autoRespondCredentialRequest,
    auto_remove: !ctx.settings.preserveExchangeRecords,
    auto_remove_on_failure: false,
  };
}

function flags(ctx: Ctx, body: { auto_remove?: boolean; auto_remove_on_failure?: boolean }): CredentialExchangeValue {
  return {
    protocol: issueCredential.name,
    initiator: 'self',
    auto_remove: body.auto_remove ?? !ctx.settings.preserveExchangeRecords,
    auto_remove_on_failure: body.auto_remove_on_failure ?? false,
  };
}

/** A proposal of what a controller's body names. @throws AppError `unprocessable` where no credential can be made of it */
function proposal(id: string, { filter, credential_preview: preview, comment }: JsonObject): JsonObject {
  checkPreview(preview as Preview | undefined, 'unprocessable');
  return composeFormatted(issueCredential, {
    type: 'propose-credential',
    id,
    body: {
      comment: comment ?? undefined,
      credential_preview: preview ? { '@type': PREVIEW_TYPE, attributes: (preview as JsonObject).attributes } : undefined,
    },
    field: 'filters',
    entries: filters(filter as never).map((one) => ({
      name: one.format,
      format: CREDENTIAL_FORMATS[one.format].proposal,
      value: one.filter,
    })),
  });
}

function makeOffer(ctx: Ctx, body: JsonObject, autoIssue: boolean): Effects {
  return {
    record: {
      role: 'issuer',
      connection: body.connection_id === undefined ? undefined : readyConnection(ctx.connection),
      silent: true,
      patch: {
        ...flags(ctx, body as never),
        auto_issue: autoIssue,
        // as in ACA-Py: what the controller asked for stands where a holder's proposal would
        cred_proposal: proposal(ctx.newId(), body),
        wanted: { comment: body.comment ?? null, replacement_id: body.replacement_id ?? null },
      },
    },
    work: [
      {
        op: 'credential/offer',
        input: { filters: filters(body.filter as never), preview: body.credential_preview ?? null },
        result: 'offered',
      },
    ],
  };
}

function filters(filter: Static<typeof Filter>): { format: FormatName; filter: JsonObject }[] {
  if (filter.ld_proof || filter.vc_di) throw new AppError('not-implemented', 'The formats ld_proof and vc_di are not supported yet');
  const asked = FORMAT_NAMES.flatMap((format) => (filter[format] ? [{ format, filter: filter[format] as JsonObject }] : []));
  if (asked.length === 0) throw new AppError('unprocessable', 'filter: one of anoncreds, indy is required');
  return asked;
}

function proposedFilters(proposal: JsonObject | undefined): { format: FormatName; filter: JsonObject }[] {
  const asked = Object.entries(attachmentsByFormat(proposal ?? {})).map(([format, filter]) => ({
    format: format as FormatName,
    filter: filter as JsonObject,
  }));
  if (asked.length === 0) throw new AppError('bad-request', 'The proposal has no format that is supported');
  return asked;
}

function recordOf(answer: JsonObject): JsonObject {
  return (answer.cred_ex_record as JsonObject | undefined) ?? answer;
}

/** What a format keeps about the exchange, as ACA-Py's detail records show it: each side has one from its first cryptographic act. */
function detailOf(ctx: Ctx, format: FormatName, members: JsonObject = {}): JsonObject {
  const name = `cred_ex_${format}_id`;
  const before = ctx.record!.value.details?.[format];
  const time = isoTime(ctx.now);
  return { created_at: time, [name]: ctx.newId(), cred_ex_id: ctx.record!.id, ...before, updated_at: time, ...members };
}

/** The webhook of a detail record: as in ACA-Py the type of the wallet, which controllers chose their calls by, says of which family it is told. */
function detailEvent(ctx: Ctx, format: FormatName, detail: JsonObject): { topic: string; payload: JsonObject } {
  const family = ctx.settings.walletType === 'askar' ? 'indy' : 'anoncreds';
  const { [`cred_ex_${format}_id`]: id, ...rest } = detail;
  return { topic: `issue_credential_v2_0_${family}`, payload: { ...rest, [`cred_ex_${family}_id`]: id! } };
}

const preview = (message: Incoming): (JsonObject & Preview) | undefined =>
  (message.body.credential_preview as (JsonObject & Preview) | null) ?? undefined;
