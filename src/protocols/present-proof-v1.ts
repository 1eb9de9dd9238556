import Type, { type Static } from 'typebox';
import { base64Attachment } from '../didcomm/attachments.ts';
import { attachedObject, composeMessage, problemText } from '../kernel/message.ts';
import { Presentation, ProofRequest } from '../kernel/proof-schemas.ts';
import { defineProtocol, type Effects, type Incoming, NEW, type StepContext } from '../kernel/protocol.ts';
import type { JsonObject } from '../ports/json.ts';
import { readyConnection } from '../records/connection.ts';
import { type PresentationExchangeV1Value, presentationExchangeV1 } from '../records/presentation-exchange-v1.ts';

const URI = 'https://didcomm.org/present-proof/1.0';
const PREVIEW_TYPE = `${URI}/presentation-preview`;
/** Identifiers of the attachments, as RFC 0037 fixes them. */
const ATTACHED = { request: 'libindy-request-presentation-0', presentation: 'libindy-presentation-0' };
/** The one format of this version: Indy's objects are AnonCreds' objects. */
const FORMAT = 'indy';
const TAG = 'present-proof v1.0';

type Ctx = StepContext<PresentationExchangeV1Value>;

// -- what comes over the wire and from the controller ------------------------------------------------------------------------------------------------

const Optional = Type.Optional(Type.Union([Type.String(), Type.Null()]));
/** What a prover says that it can prove (RFC 0037, "Presentation Preview"). */
const Preview = Type.Object({
  '@type': Type.Optional(Type.String()),
  attributes: Type.Array(
    Type.Object({
      name: Type.String({ minLength: 1, maxLength: 256 }),
      cred_def_id: Optional,
      'mime-type': Optional,
      value: Optional,
      referent: Type.Optional(Type.Union([Type.String({ maxLength: 256 }), Type.Null()])),
    }),
    { maxItems: 125 },
  ),
  predicates: Type.Array(
    Type.Object({
      name: Type.String({ minLength: 1, maxLength: 256 }),
      cred_def_id: Optional,
      predicate: Type.Union([Type.Literal('<'), Type.Literal('<='), Type.Literal('>='), Type.Literal('>')]),
      threshold: Type.Integer({ minimum: -2147483648, maximum: 2147483647 }),
    }),
    { maxItems: 125 },
  ),
});
type Preview = Static<typeof Preview>;

const Message = Type.Object({ comment: Optional });
const Flags = { auto_remove: Type.Optional(Type.Boolean()), trace: Type.Optional(Type.Boolean()), comment: Optional };
const Request = { proof_request: ProofRequest, auto_verify: Type.Optional(Type.Boolean()), ...Flags };

// -- the literal -------------------------------------------------------------------------------------------------------------------------------------------

/** RFC 0037: the same work as present-proof 2.0 in its one format, on a record of its own shape. */
export const presentProofV1 = defineProtocol<PresentationExchangeV1Value>({
  name: 'present-proof-1.0',
  uris: [URI],
  roles: ['verifier', 'prover'],
  binds: presentationExchangeV1,
  messages: {
    'propose-presentation': {
      schema: Type.Object({ comment: Optional, presentation_proposal: Preview }),
      from: [NEW, 'request_sent'],
      role: 'verifier',
      step: (ctx, message) => ({
        record: {
          role: 'verifier',
          connection: ctx.connection?.id,
          states: ['proposal_received'],
          patch: { ...fresh(ctx, message), presentation_proposal_dict: message.raw },
        },
        next: ctx.settings.autoRespondPresentationProposal ? [{ command: 'send-request' }] : [],
      }),
    },
    'request-presentation': {
      schema: Message,
      standsAlone: true,
      from: [NEW, 'proposal_sent'],
      role: 'prover',
      step(ctx, message) {
        const request = attachedObject(message.attachments.request_presentations?.[0], 'proof request');
        const auto = ctx.record?.value.auto_present ?? ctx.settings.autoRespondPresentationRequest;
        return {
          record: {
            role: 'prover',
            connection: ctx.connection?.id,
            states: ['request_received'],
            patch: {
              ...fresh(ctx, message),
              presentation_request_dict: message.raw,
              presentation_request: request,
              auto_present: auto,
            },
          },
          next: auto ? [{ command: 'send-presentation' }] : [],
        };
      },
    },
    presentation: {
      schema: Message,
      from: ['request_sent'],
      role: 'verifier',
      step(ctx, message) {
        const { value } = ctx.record!;
        const presentation = attachedObject(message.attachments.presentations?.[0], 'presentation');
        const preview = value.presentation_proposal_dict?.presentation_proposal as Preview | undefined;
        const other = preview && otherThanProposed(preview, value.presentation_request ?? {}, presentation);
        if (other) {
          return {
            record: { states: ['abandoned'], connection: ctx.connection?.id, patch: { error_msg: other } },
            problem: { code: 'abandoned', text: 'The presentation does not match its proposal' },
          };
        }
        return {
          record: { states: ['presentation_received'], connection: ctx.connection?.id, patch: { presentation } },
          next: value.auto_verify ? [{ command: 'verify' }] : [],
        };
      },
    },
  },
  acked: {
    schema: Type.Object({}),
    from: ['presentation_sent'],
    role: 'prover',
    step(ctx, message) {
      const said = message.body.verification_result;
      return {
        record: {
          states: ['presentation_acked'],
          remove: ctx.record!.value.auto_remove,
          patch: { verified: said === 'true' || said === 'false' ? said : undefined },
        },
      };
    },
  },
  problem: {
    schema: Type.Object({}),
    from: presentationExchangeV1.states.filter((state) => !['verified', 'presentation_acked', 'abandoned', 'deleted'].includes(state)),
    step: (_ctx, message) => ({ record: { states: ['abandoned'], patch: { error_msg: problemText(message) } } }),
  },
  failed(ctx, failure) {
    const { state, value } = ctx.record!;
    // a choice of credentials that does not work is the controller's to mend; what ran by itself ends the exchange
    if (state === 'request_received' && !value.auto_present) return { record: { patch: { error_msg: failure.text } } };
    return {
      record: { states: ['abandoned'], patch: { error_msg: failure.text } },
      problem: ctx.reachable ? { code: 'abandoned', text: 'The exchange was abandoned' } : undefined,
    };
  },
  results: {
    presented: {
      from: ['request_received'],
      step(ctx, made: { value: JsonObject }) {
        const { value } = ctx.record!;
        return {
          record: { states: ['presentation_sent'], patch: { presentation: made.value } },
          send: [
            {
              type: 'presentation',
              thid: value.thread_id,
              pthid: value.parent_thread_id,
              attachments: { presentations: [base64Attachment(made.value, ATTACHED.presentation)] },
            },
          ],
        };
      },
    },
    checked: {
      from: ['presentation_received'],
      step(ctx, made: { verified: boolean; reasons: string[] }) {
        const verified = made.verified ? 'true' : 'false';
        return {
          record: { states: ['verified'], patch: { verified, verified_msgs: made.reasons }, remove: ctx.record!.value.auto_remove },
          // the result beside the status is ACA-Py's, which tells the prover
          send: ctx.reachable ? [{ type: 'ack', body: { status: 'OK', verification_result: verified } }] : [],
        };
      },
    },
  },
  commands: {
    'send-proposal': {
      route: 'POST /present-proof/send-proposal',
      tag: TAG,
      summary: 'Sends a presentation proposal',
      body: Type.Object({
        connection_id: Type.String(),
        presentation_proposal: Preview,
        auto_present: Type.Optional(Type.Boolean()),
        ...Flags,
      }),
      from: [NEW],
      connection: 'connection_id',
      step(ctx, { body }) {
        const id = ctx.newId();
        const message = composeMessage(presentProofV1, {
          type: 'propose-presentation',
          id,
          body: { comment: body.comment ?? undefined, presentation_proposal: { ...body.presentation_proposal, '@type': PREVIEW_TYPE } },
        });
        return {
          record: {
            role: 'prover',
            connection: readyConnection(ctx.connection),
            states: ['proposal_sent'],
            patch: {
              ...flags(ctx, body),
              thread_id: id,
              presentation_proposal_dict: message,
              auto_present: body.auto_present ?? ctx.settings.autoRespondPresentationRequest,
            },
          },
          send: [{ message }],
        };
      },
    },
    'create-request': {
      route: 'POST /present-proof/create-request',
      tag: TAG,
      summary: 'Creates a presentation request not bound to any proposal or connection',
      body: Type.Object(Request),
      from: [NEW],
      step: (ctx, { body }) => makeRequest(ctx, body),
    },
    'send-free-request': {
      route: 'POST /present-proof/send-request',
      tag: TAG,
      summary: 'Sends a free presentation request not bound to any proposal',
      body: Type.Object({ connection_id: Type.String(), ...Request }),
      from: [NEW],
      connection: 'connection_id',
      step: (ctx, { body }) => makeRequest(ctx, body),
    },
    'send-request': {
      route: 'POST /present-proof/records/{pres_ex_id}/send-request',
      tag: TAG,
      summary: 'Sends a presentation request in reference to a proposal',
      body: Type.Object({
        auto_verify: Type.Optional(Type.Boolean()),
        auto_remove: Type.Optional(Type.Boolean()),
        trace: Type.Optional(Type.Boolean()),
      }),
      from: ['proposal_received'],
      role: 'verifier',
      step(ctx, { body }) {
        const { presentation_proposal, comment } = ctx.record!.value.presentation_proposal_dict ?? {};
        return sendRequest(
          ctx,
          requestOf(presentation_proposal as unknown as Preview),
          {
            auto_verify: body.auto_verify ?? ctx.settings.autoVerifyPresentation,
            ...(body.auto_remove !== undefined && { auto_remove: body.auto_remove }),
          },
          comment as string | undefined,
        );
      },
    },
    'send-presentation': {
      route: 'POST /present-proof/records/{pres_ex_id}/send-presentation',
      tag: TAG,
      summary: 'Sends a proof presentation',
      body: Type.Object({
        ...Presentation.properties,
        auto_remove: Type.Optional(Type.Boolean()),
        trace: Type.Optional(Type.Boolean()),
      }),
      from: ['request_received'],
      role: 'prover',
      step(ctx, { body }) {
        // without a choice (the auto flag) the work chooses the credentials by itself
        const chosen = body.requested_attributes
          ? {
              requested_attributes: body.requested_attributes,
              requested_predicates: body.requested_predicates,
              self_attested_attributes: body.self_attested_attributes,
            }
          : null;
        const input = { format: FORMAT, request: ctx.record!.value.presentation_request!, chosen };
        return {
          record: body.auto_remove === undefined ? {} : { patch: { auto_remove: body.auto_remove } },
          work: [{ op: 'presentation/create', input, result: 'presented' }],
        };
      },
    },
    verify: {
      route: 'POST /present-proof/records/{pres_ex_id}/verify-presentation',
      tag: TAG,
      summary: 'Verify a received presentation',
      from: ['presentation_received'],
      role: 'verifier',
      step(ctx) {
        const { presentation_request, presentation } = ctx.record!.value;
        const input = { request: presentation_request!, presentation: presentation! };
        return { record: {}, work: [{ op: 'presentation/verify', input, result: 'checked' }] };
      },
    },
    'report-problem': {
      route: 'POST /present-proof/records/{pres_ex_id}/problem-report',
      tag: TAG,
      summary: 'Send a problem report for presentation exchange',
      body: Type.Object({ description: Type.String({ minLength: 1 }) }),
      from: presentationExchangeV1.states.filter((state) => !['verified', 'presentation_acked', 'deleted'].includes(state)),
      step: (ctx, { body }) => ({
        record: { states: ['abandoned'], patch: { error_msg: `created problem report: ${body.description}` } },
        problem: ctx.reachable ? { code: 'abandoned', text: body.description } : undefined,
        answer: {},
      }),
    },
  },
});

// -- helpers ----------------------------------------------------------------------------------------------------------------------------------------------

function fresh(ctx: Ctx, message: Incoming): Partial<PresentationExchangeV1Value> {
  if (ctx.record) return {};
  return {
    protocol: presentProofV1.name,
    thread_id: message.thid,
    parent_thread_id: message.pthid,
    initiator: 'external',
    auto_present: false,
    auto_verify: ctx.settings.autoVerifyPresentation,
    auto_remove: !ctx.settings.preserveExchangeRecords,
  };
}

function flags(ctx: Ctx, body: { auto_remove?: boolean }): PresentationExchangeV1Value {
  return {
    protocol: presentProofV1.name,
    initiator: 'self',
    auto_present: false,
    auto_verify: false,
    auto_remove: body.auto_remove ?? !ctx.settings.preserveExchangeRecords,
  };
}

interface RequestBody {
  connection_id?: string;
  proof_request: JsonObject;
  auto_verify?: boolean;
  auto_remove?: boolean;
  comment?: string | null;
}

function makeRequest(ctx: Ctx, body: RequestBody): Effects {
  if (body.connection_id !== undefined) readyConnection(ctx.connection);
  const patch = { ...flags(ctx, body), auto_verify: body.auto_verify ?? ctx.settings.autoVerifyPresentation };
  return sendRequest(ctx, body.proof_request, patch, body.comment);
}

/** Name, version and nonce are filled in where they were left out, as ACA-Py does. */
function sendRequest(ctx: Ctx, given: JsonObject, patch: Partial<PresentationExchangeV1Value>, comment?: string | null): Effects {
  const id = ctx.newId();
  const thid = ctx.record?.value.thread_id ?? id;
  const request: JsonObject = { name: 'proof-request', version: '1.0', ...given, nonce: given.nonce ?? ctx.newNonce() };
  const message = composeMessage(presentProofV1, {
    type: 'request-presentation',
    id,
    thid,
    body: { comment: comment ?? undefined },
    attachments: { request_presentations: [base64Attachment(request, ATTACHED.request)] },
  });
  return {
    record: {
      role: 'verifier',
      connection: ctx.connection?.id,
      states: ['request_sent'],
      patch: { ...patch, thread_id: thid, presentation_request_dict: message, presentation_request: request },
    },
    send: ctx.reachable ? [{ message }] : [],
  };
}

const canonical = (name: string): string => name.replaceAll(' ', '').toLowerCase();

/**
 * The proof request that asks for what a preview offers. Attributes under one referent are asked of one credential; one with a value and without a credential
 * definition is self-attested.
 */
function requestOf(preview: Preview): JsonObject {
  const attributes: Record<string, JsonObject> = {};
  const predicates: Record<string, JsonObject> = {};
  const restricted = (id: string | null | undefined): JsonObject => (id ? { restrictions: [{ cred_def_id: id }] } : {});
  const groups = new Map<string, { names: string[]; id: string | null | undefined }>();
  for (const { name, cred_def_id, value, referent } of preview.attributes) {
    const selfAttested = !cred_def_id && typeof value === 'string';
    if (referent && !selfAttested) {
      const group = groups.get(referent) ?? { names: [], id: cred_def_id };
      group.names.push(name);
      group.id ??= cred_def_id;
      groups.set(referent, group);
    } else {
      attributes[`${selfAttested ? 'self_' : ''}${Object.keys(attributes).length}_${canonical(name)}_uuid`] = {
        name,
        ...restricted(cred_def_id),
      };
    }
  }
  for (const [referent, { names, id }] of groups)
    attributes[referent] = { ...(names.length === 1 ? { name: names[0]! } : { names }), ...restricted(id) };
  const words = { '<': 'lt', '<=': 'le', '>=': 'ge', '>': 'gt' };
  for (const { name, cred_def_id, predicate, threshold } of preview.predicates) {
    predicates[`${Object.keys(predicates).length}_${canonical(name)}_${words[predicate]}_uuid`] = {
      name,
      p_type: predicate,
      p_value: threshold,
      ...restricted(cred_def_id),
    };
  }
  return { requested_attributes: attributes, requested_predicates: predicates };
}

/**
 * Why a presentation is not the one that was proposed: a revealed value other than the proposal named for that attribute. Whether the values were proven is
 * judged when it is verified.
 */
function otherThanProposed(preview: Preview, request: JsonObject, presentation: JsonObject): string | undefined {
  const asked = (request.requested_attributes ?? {}) as Record<string, { name?: unknown } | undefined>;
  const proof = presentation.requested_proof as { revealed_attrs?: unknown } | null | undefined;
  const revealed = proof?.revealed_attrs;
  if (typeof revealed !== 'object' || revealed === null) return undefined;
  for (const [referent, shown] of Object.entries(revealed as Record<string, { raw?: unknown } | null>)) {
    const name = Object.hasOwn(asked, referent) ? asked[referent]?.name : undefined;
    if (typeof name !== 'string') continue;
    const specs = preview.attributes.filter((spec) => canonical(spec.name) === canonical(name));
    if (specs.length > 0 && !specs.some(({ value }) => typeof value !== 'string' || value === shown?.raw))
      return `Presentation ${name}=${String(shown?.raw).slice(0, 100)} mismatches proposal value`;
  }
  return undefined;
}
