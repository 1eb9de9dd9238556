import Type from 'typebox';
import { base64Attachment } from '../didcomm/attachments.ts';
import { AppError } from '../errors.ts';
import { checkPreview, Preview } from '../formats/credential-preview.ts';
import { composeMessage, onlyAttached, problemText } from '../kernel/message.ts';
import { type Change, defineProtocol, type Effects, type Incoming, NEW, type StepContext } from '../kernel/protocol.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Lookup } from '../ports/store.ts';
import { readyConnection } from '../records/connection.ts';
import { credential } from '../records/credential.ts';
import { type CredentialExchangeV1Value, credentialExchangeV1 } from '../records/credential-exchange-v1.ts';

const URI = 'https://didcomm.org/issue-credential/1.0';
const PREVIEW_TYPE = `${URI}/credential-preview`;
/** A record that waits for its first message to be made; no webhook has told of it. */
const MAKING = '';
/** Identifiers of the attachments, as RFC 0036 fixes them. */
const ATTACHED = { offer: 'libindy-cred-offer-0', request: 'libindy-cred-request-0', credential: 'libindy-cred-0' };
/** The one format of this version: Indy's objects are AnonCreds' objects. */
const FORMAT = 'indy';
const TAG = 'issue-credential v1.0';

type Ctx = StepContext<CredentialExchangeV1Value>;

// -- what comes over the wire and from the controller ------------------------------------------------------------------------------------------------

const Optional = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const FILTER_NAMES = ['cred_def_id', 'issuer_did', 'schema_id', 'schema_issuer_did', 'schema_name', 'schema_version'] as const;
const Filter = Object.fromEntries(FILTER_NAMES.map((name) => [name, Optional])) as Record<(typeof FILTER_NAMES)[number], typeof Optional>;

const Message = Type.Object({ comment: Optional });
const ProposalMessage = Type.Object({
  comment: Optional,
  credential_proposal: Type.Optional(Type.Union([Preview, Type.Null()])),
  ...Filter,
});
const OfferMessage = Type.Object({ comment: Optional, credential_preview: Type.Optional(Type.Union([Preview, Type.Null()])) });

const Flags = { auto_remove: Type.Optional(Type.Boolean()), trace: Type.Optional(Type.Boolean()), comment: Optional };
const Proposal = { ...Filter, ...Flags, credential_proposal: Preview };
const Offer = { cred_def_id: Type.String(), credential_preview: Preview, auto_issue: Type.Optional(Type.Boolean()), ...Flags };

// -- the literal -------------------------------------------------------------------------------------------------------------------------------------------

/** RFC 0036: the same work as issue-credential 2.0 in its one format, on a record of its own shape. */
export const issueCredentialV1 = defineProtocol<CredentialExchangeV1Value>({
  name: 'issue-credential-1.0',
  uris: [URI],
  roles: ['issuer', 'holder'],
  binds: credentialExchangeV1,
  messages: {
    'propose-credential': {
      schema: ProposalMessage,
      from: [NEW, 'offer_sent'],
      role: 'issuer',
      step(ctx, message) {
        checkPreview(message.body.credential_proposal as Preview | null | undefined, 'message-invalid');
        return {
          record: {
            ...begin(ctx, 'issuer'),
            states: ['proposal_received'],
            patch: {
              ...fresh(ctx, message),
              credential_proposal_dict: message.raw,
              auto_offer: ctx.settings.autoRespondCredentialProposal,
              auto_issue: ctx.settings.autoRespondCredentialRequest,
            },
          },
          next: ctx.settings.autoRespondCredentialProposal ? [{ command: 'send-offer' }] : [],
        };
      },
    },
    'offer-credential': {
      schema: OfferMessage,
      standsAlone: true,
      from: [NEW, 'proposal_sent'],
      role: 'holder',
      step(ctx, message) {
        const offer = onlyAttached(message, 'offers', 'offer');
        checkPreview(message.body.credential_preview as Preview | null | undefined, 'message-invalid');
        const { cred_def_id, schema_id } = offer;
        if (typeof cred_def_id !== 'string' || typeof schema_id !== 'string')
          throw new AppError('message-invalid', 'the attached offer names no credential definition');
        // what the issuer offers takes the place of what was proposed
        const proposal = composeMessage(issueCredentialV1, {
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
          record: {
            ...begin(ctx, 'holder'),
            states: ['offer_received'],
            patch: {
              ...fresh(ctx, message),
              credential_proposal_dict: proposal,
              credential_offer_dict: message.raw,
              credential_offer: offer,
              credential_definition_id: cred_def_id,
              schema_id,
            },
          },
          next: ctx.settings.autoRespondCredentialOffer ? [{ command: 'send-request' }] : [],
        };
      },
    },
    'request-credential': {
      schema: Message,
      from: ['offer_sent'],
      role: 'issuer',
      step: (ctx, message) => ({
        record: {
          states: ['request_received'],
          connection: ctx.connection?.id,
          patch: { credential_request: onlyAttached(message, 'requests', 'request') },
        },
        next: ctx.record!.value.auto_issue ? [{ command: 'issue' }] : [],
      }),
    },
    'issue-credential': {
      schema: Message,
      from: ['request_sent'],
      role: 'holder',
      step: (ctx, message) => ({
        record: {
          states: ['credential_received'],
          patch: { raw_credential: onlyAttached(message, 'credentials', 'credential') },
        },
        next: ctx.settings.autoStoreCredential ? [{ command: 'store' }] : [],
      }),
    },
  },
  acked: {
    schema: Type.Object({}),
    from: ['credential_issued'],
    role: 'issuer',
    step: (ctx) => ({ record: { states: ['credential_acked'], remove: ctx.record!.value.auto_remove } }),
  },
  problem: {
    schema: Type.Object({}),
    from: credentialExchangeV1.states.filter((state) => !['credential_acked', 'abandoned', 'deleted'].includes(state)),
    step: (_ctx, message) => ({ record: { states: ['abandoned'], patch: { error_msg: problemText(message) } } }),
  },
  failed(ctx, failure) {
    // what no peer has seen goes without a trace; what one waits for ends with a report to it
    if ((ctx.record!.state ?? '') === MAKING) return { record: { remove: true, silent: true } };
    return {
      record: { states: ['abandoned'], patch: { error_msg: failure.text } },
      problem: ctx.reachable ? { code: 'issuance-abandoned', text: 'The exchange was abandoned' } : undefined,
    };
  },
  results: {
    offered: {
      from: [MAKING, 'proposal_received'],
      step(ctx, made: { offers: { value: JsonObject }[]; preview?: Preview }) {
        const { value } = ctx.record!;
        const id = ctx.newId();
        const offer = made.offers[0]!.value;
        const message = composeMessage(issueCredentialV1, {
          type: 'offer-credential',
          id,
          thid: value.thread_id ?? id,
          body: { comment: value.wanted?.comment ?? undefined, credential_preview: previewOf(made.preview) },
          attachments: { offers: [base64Attachment(offer, ATTACHED.offer)] },
        });
        return {
          record: {
            states: ['offer_sent'],
            patch: {
              thread_id: value.thread_id ?? id,
              credential_proposal_dict: (value.wanted?.proposal as JsonObject | undefined) ?? value.credential_proposal_dict,
              credential_offer_dict: message,
              credential_offer: offer,
              credential_definition_id: offer.cred_def_id as string,
              schema_id: offer.schema_id as string,
              wanted: undefined,
            },
          },
          send: ctx.reachable ? [{ message }] : [],
        };
      },
    },
    requested: {
      from: ['offer_received'],
      step(ctx, made: { value: JsonObject; metadata: Uint8Array }) {
        const { value, id } = ctx.record!;
        return {
          record: { states: ['request_sent'], patch: { credential_request: made.value } },
          keys: [{ kid: `cred-request:${id}`, type: 'cred-request', secret: made.metadata }],
          send: [
            {
              type: 'request-credential',
              thid: value.thread_id,
              pthid: value.parent_thread_id,
              attachments: { requests: [base64Attachment(made.value, ATTACHED.request)] },
            },
          ],
        };
      },
    },
    issued: {
      from: ['request_received'],
      step(ctx, { credentials }: { credentials: { value: JsonObject }[] }) {
        const { value } = ctx.record!;
        const made = credentials[0]!.value;
        return {
          record: { states: ['credential_issued'], patch: { credential: made, wanted: undefined } },
          send: [
            {
              type: 'issue-credential',
              thid: value.thread_id,
              body: { comment: value.wanted?.comment ?? undefined },
              attachments: { credentials: [base64Attachment(made, ATTACHED.credential)] },
              // the ack ends the exchange
              pleaseAck: true,
            },
          ],
        };
      },
    },
    stored: {
      from: ['credential_received'],
      step(ctx, made: { id: string; credential: JsonObject; info: JsonObject }) {
        const { value, id } = ctx.record!;
        const stored: Change = { def: credential, id: made.id, patch: { ...made.info, credential: made.credential }, silent: true };
        const { subject: _subject, ...info } = made.info;
        return {
          record: {
            states: ['credential_acked'],
            patch: { credential_id: made.id, credential: { referent: made.id, ...info } },
            remove: value.auto_remove,
          },
          others: [stored],
          unkeys: [`cred-request:${id}`],
          send: [{ type: 'ack', body: { status: 'OK' } }],
        };
      },
    },
  },
  commands: {
    'send-proposal': {
      route: 'POST /issue-credential/send-proposal',
      tag: TAG,
      summary: 'Send issuer a credential proposal',
      body: Type.Object({ connection_id: Type.String(), ...Proposal, credential_proposal: Type.Optional(Preview) }),
      from: [NEW],
      connection: 'connection_id',
      step(ctx, { body }) {
        const message = proposalOf(ctx.newId(), body);
        return {
          record: {
            role: 'holder',
            connection: readyConnection(ctx.connection),
            states: ['proposal_sent'],
            patch: {
              ...flags(ctx, body),
              thread_id: message['@id'] as string,
              credential_proposal_dict: message,
              auto_offer: ctx.settings.autoRespondCredentialOffer,
            },
          },
          send: [{ message }],
        };
      },
    },
    create: {
      route: 'POST /issue-credential/create',
      tag: TAG,
      summary: 'Create a credential record without sending it (generally for use with out-of-band)',
      body: Type.Object(Proposal),
      from: [NEW],
      step: (ctx, { body }) => makeOffer(ctx, body, body, true),
    },
    send: {
      route: 'POST /issue-credential/send',
      tag: TAG,
      summary: 'Send holder a credential, automating the entire flow',
      body: Type.Object({ connection_id: Type.String(), ...Proposal }),
      from: [NEW],
      connection: 'connection_id',
      step: (ctx, { body }) => makeOffer(ctx, body, body, true),
    },
    'create-offer': {
      route: 'POST /issue-credential/create-offer',
      tag: TAG,
      summary: 'Create a credential offer, independent of any proposal or connection',
      body: Type.Object(Offer),
      from: [NEW],
      step: (ctx, { body }) => makeOffer(ctx, body, proposalOfOffer(body), body.auto_issue),
    },
    'send-free-offer': {
      route: 'POST /issue-credential/send-offer',
      tag: TAG,
      summary: 'Send holder a credential offer, independent of any proposal',
      body: Type.Object({ connection_id: Type.String(), ...Offer }),
      from: [NEW],
      connection: 'connection_id',
      step: (ctx, { body }) => makeOffer(ctx, body, proposalOfOffer(body), body.auto_issue),
    },
    'send-offer': {
      route: 'POST /issue-credential/records/{cred_ex_id}/send-offer',
      tag: TAG,
      summary: 'Send holder a credential offer in reference to a proposal with preview',
      body: Type.Object({ counter_proposal: Type.Optional(Type.Union([ProposalMessage, Type.Null()])) }),
      from: ['proposal_received'],
      role: 'issuer',
      step(ctx, { body }) {
        const counter = body.counter_proposal ? proposalOf(ctx.newId(), body.counter_proposal) : undefined;
        const proposal = counter ?? ctx.record!.value.credential_proposal_dict ?? {};
        return {
          record: {
            patch: { wanted: { comment: (proposal.comment as string | undefined) ?? null, ...(counter && { proposal: counter }) } },
          },
          work: [offerWork(proposal)],
        };
      },
    },
    'send-request': {
      route: 'POST /issue-credential/records/{cred_ex_id}/send-request',
      tag: TAG,
      summary: 'Send issuer a credential request',
      body: Type.Object({ holder_did: Optional, auto_remove: Type.Optional(Type.Boolean()) }),
      from: ['offer_received'],
      role: 'holder',
      step: (ctx, { body }) => ({
        record: body.auto_remove === undefined ? {} : { patch: { auto_remove: body.auto_remove } },
        work: [
          {
            op: 'credential/request',
            input: { format: FORMAT, offer: ctx.record!.value.credential_offer!, entropy: ctx.connection?.id ?? ctx.record!.id },
            result: 'requested',
          },
        ],
      }),
    },
    issue: {
      route: 'POST /issue-credential/records/{cred_ex_id}/issue',
      tag: TAG,
      summary: 'Send holder a credential',
      body: Type.Object({ comment: Optional }),
      from: ['request_received'],
      role: 'issuer',
      step(ctx, { body }) {
        const { value } = ctx.record!;
        const preview = value.credential_offer_dict?.credential_preview as Preview | undefined;
        const input = {
          entries: [{ format: FORMAT, offer: value.credential_offer!, request: value.credential_request! }],
          values: Object.fromEntries((preview?.attributes ?? []).map((one) => [one.name, one.value])),
        };
        return {
          record: body.comment ? { patch: { wanted: { comment: body.comment } } } : {},
          work: [{ op: 'credential/issue', input, result: 'issued' }],
        };
      },
    },
    store: {
      route: 'POST /issue-credential/records/{cred_ex_id}/store',
      tag: TAG,
      summary: 'Store a received credential',
      body: Type.Object({ credential_id: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 256 }), Type.Null()])) }),
      from: ['credential_received'],
      role: 'holder',
      load: ({ body }): Record<string, Lookup> =>
        body.credential_id ? { named: { category: credential.category, id: body.credential_id } } : {},
      step(ctx, { body }) {
        if (ctx.loaded.named) throw new AppError('bad-request', `Credential ${body.credential_id} already exists in this wallet`);
        const { value, id } = ctx.record!;
        const preview = value.credential_offer_dict?.credential_preview as Preview | null | undefined;
        const input = {
          format: FORMAT,
          exchange: id,
          offer: value.credential_offer!,
          credential: value.raw_credential!,
          id: body.credential_id ?? ctx.newId(),
          ...(preview && { offered: preview.attributes }),
        };
        return { record: {}, work: [{ op: 'credential/store', input, result: 'stored' }] };
      },
    },
    'report-problem': {
      route: 'POST /issue-credential/records/{cred_ex_id}/problem-report',
      tag: TAG,
      summary: 'Send a problem report for credential exchange',
      body: Type.Object({ description: Type.String({ minLength: 1 }) }),
      from: credentialExchangeV1.states.filter((state) => !['credential_acked', 'deleted'].includes(state)),
      step: (ctx, { body }) => ({
        record: { states: ['abandoned'], patch: { error_msg: `created problem report: ${body.description}` } },
        problem: ctx.reachable ? { code: 'issuance-abandoned', text: body.description } : undefined,
        answer: {},
      }),
    },
  },
});

// -- helpers ----------------------------------------------------------------------------------------------------------------------------------------------

function begin(ctx: Ctx, role: string): Omit<Change, 'def' | 'base'> {
  return ctx.record ? { role } : { role, connection: ctx.connection?.id };
}

/** What a first message brings to its new record; nothing where the record exists. */
function fresh(ctx: Ctx, message: Incoming): Partial<CredentialExchangeV1Value> {
  if (ctx.record) return {};
  return {
    protocol: issueCredentialV1.name,
    thread_id: message.thid,
    parent_thread_id: message.pthid,
    initiator: 'external',
    auto_offer: false,
    auto_issue: false,
    auto_remove: !ctx.settings.preserveExchangeRecords,
  };
}

function flags(ctx: Ctx, body: { auto_remove?: boolean }): CredentialExchangeV1Value {
  return {
    protocol: issueCredentialV1.name,
    initiator: 'self',
    auto_offer: false,
    auto_issue: false,
    auto_remove: body.auto_remove ?? !ctx.settings.preserveExchangeRecords,
  };
}

const previewOf = (preview: Preview | null | undefined): JsonObject | undefined =>
  preview ? { '@type': PREVIEW_TYPE, attributes: preview.attributes as JsonObject[] } : undefined;

/** A proposal message (RFC 0036, 1.0) from what names its parts: a controller's body, or a counter-proposal. @throws AppError `unprocessable` */
function proposalOf(id: string, parts: JsonObject): JsonObject {
  checkPreview(parts.credential_proposal as Preview | null | undefined, 'unprocessable');
  return composeMessage(issueCredentialV1, {
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
const proposalOfOffer = (body: JsonObject): JsonObject => ({
  comment: body.comment ?? null,
  cred_def_id: body.cred_def_id!,
  credential_proposal: body.credential_preview!,
});

const filterOf = (parts: JsonObject): JsonObject =>
  Object.fromEntries(FILTER_NAMES.flatMap((name) => (typeof parts[name] === 'string' ? [[name, parts[name]]] : [])));

function offerWork(proposal: JsonObject): NonNullable<Effects['work']>[number] {
  const preview = proposal.credential_proposal as Preview | null | undefined;
  if (!preview) throw new AppError('bad-request', 'The proposal has no credential preview to offer');
  const input = { filters: [{ format: FORMAT, filter: filterOf(proposal) }], preview: preview as unknown as JsonObject };
  return { op: 'credential/offer', input, result: 'offered' };
}

function makeOffer(ctx: Ctx, body: JsonObject, parts: JsonObject, autoIssue: boolean | undefined): Effects {
  const proposal = proposalOf(ctx.newId(), parts);
  return {
    record: {
      role: 'issuer',
      connection: body.connection_id === undefined ? undefined : readyConnection(ctx.connection),
      silent: true,
      patch: {
        ...flags(ctx, body as never),
        auto_issue: autoIssue ?? ctx.settings.autoRespondCredentialRequest,
        credential_proposal_dict: proposal,
        wanted: { comment: body.comment ?? null },
      },
    },
    work: [offerWork(proposal)],
  };
}
