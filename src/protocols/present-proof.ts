import Type from 'typebox';
import { AppError } from '../errors.ts';
import { type Choice, checkChoice, checkRequest, lookAgainAfter, Presentation, ProofRequest, wishesOf } from '../formats/proof-request.ts';
import {
  attachmentsByFormat,
  composeFormatted,
  FORMAT_NAMES,
  type FormatName,
  FormatsSchema,
  PROOF_FORMATS,
  readFormatted,
} from '../kernel/format-ids.ts';
import { problemText } from '../kernel/message.ts';
import { defineProtocol, type Effects, type Incoming, NEW, type StepContext, type WorkOrder } from '../kernel/protocol.ts';
import type { JsonObject } from '../ports/json.ts';
import { peerAcks, readyConnection, threadOf } from '../records/connection.ts';
import { type PresentationExchangeValue, presentationExchange } from '../records/presentation-exchange.ts';

const URI = 'https://didcomm.org/present-proof/2.0';

type Ctx = StepContext<PresentationExchangeValue>;

// -- what comes over the wire and from the controller ------------------------------------------------------------------------------------------------

const Comment = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const Message = Type.Object({ formats: FormatsSchema, comment: Comment });
const RequestMessage = Type.Object({ formats: FormatsSchema, comment: Comment, will_confirm: Type.Optional(Type.Boolean()) });

const ByFormat = <S extends Type.TSchema>(schema: S) =>
  Type.Object({ anoncreds: Type.Optional(schema), indy: Type.Optional(schema), dif: Type.Optional(Type.Object({})) });
const Flags = {
  auto_remove: Type.Optional(Type.Boolean()),
  auto_remove_on_failure: Type.Optional(Type.Boolean()),
  trace: Type.Optional(Type.Boolean()),
  comment: Comment,
};
const Request = { presentation_request: ByFormat(ProofRequest), auto_verify: Type.Optional(Type.Boolean()), ...Flags };

// -- the literal -------------------------------------------------------------------------------------------------------------------------------------------

/** RFC 0454, for the formats `anoncreds` and `indy`. */
export const presentProof = defineProtocol<PresentationExchangeValue>({
  name: 'present-proof-2.0',
  uris: [URI],
  roles: ['verifier', 'prover'],
  binds: presentationExchange,
  messages: {
    'propose-presentation': {
      schema: Message,
      from: [NEW, 'request-sent'],
      role: 'verifier',
      step(ctx, message) {
        readFormatted(message, 'proposals');
        return {
          record: {
            role: 'verifier',
            connection: ctx.connection?.id,
            states: ['proposal-received'],
            patch: { ...fresh(ctx, message), pres_proposal: message.raw },
          },
          next: ctx.settings.autoRespondPresentationProposal ? [{ command: 'send-request' }] : [],
        };
      },
    },
    'request-presentation': {
      schema: RequestMessage,
      standsAlone: true,
      from: [NEW, 'proposal-sent'],
      role: 'prover',
      step(ctx, message) {
        readFormatted(message, 'request_presentations');
        const auto = ctx.record?.value.auto_present ?? ctx.settings.autoRespondPresentationRequest;
        return {
          record: {
            role: 'prover',
            connection: ctx.connection?.id,
            states: ['request-received'],
            patch: { ...fresh(ctx, message), pres_request: message.raw, auto_present: auto },
          },
          next: auto ? [{ command: 'present' }] : [],
        };
      },
    },
    presentation: {
      schema: Message,
      from: ['request-sent'],
      role: 'verifier',
      step(ctx, message) {
        readFormatted(message, 'presentations', ctx.record!.value.pres_request ?? {});
        return {
          record: { states: ['presentation-received'], connection: ctx.connection?.id, patch: { pres: message.raw } },
          next: ctx.record!.value.auto_verify ? [{ command: 'verify' }] : [],
        };
      },
    },
  },
  acked: {
    schema: Type.Object({}),
    from: ['presentation-sent'],
    role: 'prover',
    step: (ctx, message) => ({
      record: {
        states: ['done'],
        remove: ctx.record!.value.auto_remove,
        patch: { verified: message.body.verification_result as 'true' | 'false' | undefined },
      },
    }),
  },
  problem: {
    schema: Type.Object({}),
    from: presentationExchange.states.filter((state) => !['done', 'abandoned', 'deleted'].includes(state)),
    step: (_ctx, message) => ({ record: { states: ['abandoned'], patch: { error_msg: problemText(message) } } }),
  },
  failed(ctx, failure) {
    const { state, value } = ctx.record!;
    // a choice of credentials that does not work is the controller's to mend; what ran by itself ends the exchange
    if (state === 'request-received' && (failure.result === 'chosen' || !value.auto_present))
      return { record: { patch: { error_msg: failure.text } } };
    return {
      record: { states: ['abandoned'], patch: { error_msg: failure.text }, remove: value.auto_remove_on_failure },
      problem: ctx.reachable ? { code: 'abandoned', text: 'The exchange was abandoned' } : undefined,
    };
  },
  results: {
    /** Of what went by itself. */
    presented: { from: ['request-received'], step: presented },
    /** Of what the controller called for. */
    chosen: { from: ['request-received'], step: presented },
    checked: {
      from: ['presentation-received'],
      step(ctx, made: { verified: boolean; reasons: string[] }) {
        const verified = made.verified ? 'true' : 'false';
        return {
          record: { states: ['done'], patch: { verified, verified_msgs: made.reasons }, remove: ctx.record!.value.auto_remove },
          send: ctx.reachable ? [{ type: 'ack', body: { status: 'OK', verification_result: verified } }] : [],
        };
      },
    },
  },
  commands: {
    'send-proposal': {
      route: 'POST /present-proof-2.0/send-proposal',
      tag: 'present-proof v2.0',
      summary: 'Send a presentation proposal',
      body: Type.Object({
        connection_id: Type.String(),
        presentation_proposal: ByFormat(ProofRequest),
        auto_present: Type.Optional(Type.Boolean()),
        ...Flags,
      }),
      from: [NEW],
      connection: 'connection_id',
      step(ctx, { body }) {
        const id = ctx.newId();
        const message = composeFormatted(presentProof, {
          type: 'propose-presentation',
          id,
          body: { comment: body.comment ?? undefined },
          field: 'proposals',
          entries: requests(ctx, body.presentation_proposal),
        });
        return {
          record: {
            role: 'prover',
            connection: readyConnection(ctx.connection),
            states: ['proposal-sent'],
            patch: {
              ...flags(ctx, body),
              thread_id: id,
              pres_proposal: message,
              auto_present: body.auto_present ?? ctx.settings.autoRespondPresentationRequest,
            },
          },
          send: [{ message }],
        };
      },
    },
    'create-request': {
      route: 'POST /present-proof-2.0/create-request',
      tag: 'present-proof v2.0',
      summary: 'Creates a presentation request not bound to any proposal or connection',
      body: Type.Object(Request),
      from: [NEW],
      step: (ctx, { body }) => makeRequest(ctx, body),
    },
    'send-free-request': {
      route: 'POST /present-proof-2.0/send-request',
      tag: 'present-proof v2.0',
      summary: 'Sends a free presentation request not bound to any proposal',
      body: Type.Object({ connection_id: Type.String(), ...Request }),
      from: [NEW],
      connection: 'connection_id',
      step: (ctx, { body }) => makeRequest(ctx, body),
    },
    'send-request': {
      route: 'POST /present-proof-2.0/records/{pres_ex_id}/send-request',
      tag: 'present-proof v2.0',
      summary: 'Sends a presentation request in reference to a proposal',
      body: Type.Object({
        auto_verify: Type.Optional(Type.Boolean()),
        auto_remove: Type.Optional(Type.Boolean()),
        trace: Type.Optional(Type.Boolean()),
      }),
      from: ['proposal-received'],
      role: 'verifier',
      step(ctx, { body }) {
        const proposed = attachmentsByFormat(ctx.record!.value.pres_proposal ?? {});
        return sendRequest(ctx, proposed, { auto_verify: body.auto_verify ?? ctx.settings.autoVerifyPresentation });
      },
    },
    'send-presentation': {
      route: 'POST /present-proof-2.0/records/{pres_ex_id}/send-presentation',
      tag: 'present-proof v2.0',
      summary: 'Sends a proof presentation',
      body: Type.Object({
        anoncreds: Type.Optional(Presentation),
        indy: Type.Optional(Presentation),
        dif: Type.Optional(Type.Object({})),
        ...Flags,
      }),
      from: ['request-received'],
      role: 'prover',
      step(ctx, { body }) {
        const asked = attachmentsByFormat(ctx.record!.value.pres_request ?? {});
        for (const format of FORMAT_NAMES) {
          const request = asked[format];
          if (body[format] && !request) throw new AppError('bad-request', `The request does not ask for the format ${format}`);
          if (body[format]) checkChoice(request!, body[format]);
        }
        if (body.dif) throw new AppError('bad-request', 'The request does not ask for the format dif');
        return {
          record: body.auto_remove === undefined ? {} : { patch: { auto_remove: body.auto_remove } },
          work: [toPresent(ctx, 'chosen', body)],
        };
      },
    },
    /** What the automatic answer runs, and runs again while a credential is on its way into the wallet. */
    present: {
      from: ['request-received'],
      role: 'prover',
      step: (ctx) => ({ record: {}, work: [toPresent(ctx, 'presented')] }),
    },
    verify: {
      route: 'POST /present-proof-2.0/records/{pres_ex_id}/verify-presentation',
      tag: 'present-proof v2.0',
      summary: 'Verify a received presentation',
      from: ['presentation-received'],
      role: 'verifier',
      step(ctx) {
        const asked = attachmentsByFormat(ctx.record!.value.pres_request ?? {});
        const given = attachmentsByFormat(ctx.record!.value.pres ?? {});
        // what was given is verified, all of it: nothing else is shown as presented
        const entries = FORMAT_NAMES.flatMap((format) =>
          given[format] ? [{ request: asked[format] ?? null, presentation: given[format] }] : [],
        );
        return { record: {}, work: [{ op: 'presentation/verify', input: { entries }, result: 'checked' }] };
      },
    },
    'report-problem': {
      route: 'POST /present-proof-2.0/records/{pres_ex_id}/problem-report',
      tag: 'present-proof v2.0',
      summary: 'Send a problem report for presentation exchange',
      body: Type.Object({ description: Type.String({ minLength: 1 }) }),
      from: presentationExchange.states.filter((state) => !['done', 'deleted'].includes(state)),
      step: (ctx, { body }) => ({
        record: { states: ['abandoned'], patch: { error_msg: `created problem report: ${body.description}` } },
        problem: ctx.reachable ? { code: 'abandoned', text: body.description } : undefined,
        answer: {},
      }),
    },
  },
});

// -- helpers ----------------------------------------------------------------------------------------------------------------------------------------------

/**
 * Presentations in every format that was asked for and, where the controller chose, that it chose for. Without a choice the wallet chooses, with what was proposed
 * in this thread in mind.
 */
function toPresent(ctx: Ctx, result: 'presented' | 'chosen', body: Partial<Record<FormatName, Choice>> = {}): WorkOrder {
  const { value } = ctx.record!;
  const asked = attachmentsByFormat(value.pres_request ?? {});
  const proposed = attachmentsByFormat(value.pres_proposal ?? {});
  const chosen = FORMAT_NAMES.some((format) => body[format]);
  const entries = FORMAT_NAMES.flatMap((format) => {
    const request = asked[format];
    if (!request || (chosen && !body[format])) return [];
    return [
      { format, request, chosen: (body[format] as unknown as JsonObject | undefined) ?? null, wishes: wishesOf(proposed[format]) as never },
    ];
  });
  if (entries.length === 0) throw new AppError('bad-request', 'The request has no format that is supported');
  return {
    op: 'presentation/create',
    input: { entries, patient: result === 'presented' && lookAgainAfter(ctx.now, value.waiting_since) !== undefined },
    result,
  };
}

function presented(ctx: Ctx, made: { presentations: { format: FormatName; value: JsonObject }[] } | { waits: true }): Effects {
  const { value } = ctx.record!;
  if ('waits' in made) {
    const since = value.waiting_since ?? ctx.now;
    return { record: { patch: { waiting_since: since } }, next: [{ command: 'present', after: lookAgainAfter(ctx.now, since) ?? 0 }] };
  }
  const message = composeFormatted(presentProof, {
    type: 'presentation',
    id: ctx.newId(),
    thid: value.thread_id,
    pthid: value.parent_thread_id,
    field: 'presentations',
    entries: made.presentations.map((one) => ({ name: one.format, format: PROOF_FORMATS[one.format].proof, value: one.value })),
  });
  const acks = peerAcks(ctx);
  return {
    record: {
      states: acks ? ['presentation-sent'] : ['presentation-sent', 'done'],
      patch: { pres: message, error_msg: undefined, waiting_since: undefined },
      remove: !acks && value.auto_remove,
    },
    send: [{ message }],
  };
}

function fresh(ctx: Ctx, message: Incoming): Partial<PresentationExchangeValue> {
  if (ctx.record) return {};
  return {
    protocol: presentProof.name,
    thread_id: message.thid,
    parent_thread_id: message.pthid,
    initiator: 'external',
    auto_verify: ctx.settings.autoVerifyPresentation,
    auto_remove: !ctx.settings.preserveExchangeRecords,
    auto_remove_on_failure: false,
  };
}

function flags(ctx: Ctx, body: { auto_remove?: boolean; auto_remove_on_failure?: boolean }): PresentationExchangeValue {
  return {
    protocol: presentProof.name,
    initiator: 'self',
    auto_remove: body.auto_remove ?? !ctx.settings.preserveExchangeRecords,
    auto_remove_on_failure: body.auto_remove_on_failure ?? false,
  };
}

type Requests = Partial<Record<FormatName, JsonObject>> & { dif?: unknown };

/** The attachments of a request or a proposal: name, version and nonce are filled in where the controller left them out, as ACA-Py does. */
function requests(ctx: Ctx, given: Requests): { name: FormatName; format: string; value: JsonObject }[] {
  if (given.dif) throw new AppError('not-implemented', 'The format dif is not supported yet');
  const entries = FORMAT_NAMES.flatMap((name) => {
    const request = given[name];
    if (!request) return [];
    const value: JsonObject = { name: 'proof-request', version: '1.0', ...request, nonce: request.nonce ?? ctx.newNonce() };
    checkRequest(value, 'unprocessable');
    return [{ name, format: PROOF_FORMATS[name].request, value }];
  });
  if (entries.length === 0) throw new AppError('unprocessable', 'presentation_request: one of anoncreds, indy is required');
  return entries;
}

interface RequestBody {
  connection_id?: string;
  presentation_request: Requests;
  auto_verify?: boolean;
  auto_remove?: boolean;
  auto_remove_on_failure?: boolean;
  comment?: string | null;
}

function makeRequest(ctx: Ctx, body: RequestBody): Effects {
  if (body.connection_id !== undefined) readyConnection(ctx.connection);
  const patch = { ...flags(ctx, body), auto_verify: body.auto_verify ?? ctx.settings.autoVerifyPresentation };
  return sendRequest(ctx, body.presentation_request, patch, body.comment);
}

function sendRequest(ctx: Ctx, given: Requests, patch: Partial<PresentationExchangeValue>, comment?: string | null): Effects {
  const id = ctx.newId();
  const entries = requests(ctx, given);
  const thid = ctx.record?.value.thread_id ?? threadOf(ctx, id, entries);
  const message = composeFormatted(presentProof, {
    type: 'request-presentation',
    id,
    thid,
    body: { will_confirm: true, comment: comment ?? undefined },
    field: 'request_presentations',
    entries,
  });
  return {
    record: {
      role: 'verifier',
      connection: ctx.connection?.id,
      states: ['request-sent'],
      patch: { ...patch, thread_id: thid, pres_request: message },
    },
    send: ctx.reachable ? [{ message }] : [],
  };
}
