import Type, { type Static } from 'typebox';
import { base64Attachment } from '../didcomm/attachments.ts';
import { canonicalName } from '../formats/anoncreds-values.ts';
import { checkChoice, checkRequest, lookAgainAfter, Presentation, ProofRequest, type Wish } from '../formats/proof-request.ts';
import { composeMessage, onlyAttached, problemText } from '../kernel/message.ts';
import { defineProtocol, type Effects, type Incoming, NEW, type StepContext, type WorkOrder } from '../kernel/protocol.ts';
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
        const request = onlyAttached(message, 'request_presentations', 'proof request');
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
          next: auto ? [{ command: 'present' }] : [],
        };
      },
    },
    presentation: {
      schema: Message,
      from: ['request_sent'],
      role: 'verifier',
      step(ctx, message) {
        const { value } = ctx.record!;
        const presentation = onlyAttached(message, 'presentations', 'presentation');
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
    if (state === 'request_received' && (failure.result === 'chosen' || !value.auto_present))
      return { record: { patch: { error_msg: failure.text } } };
    return {
      record: { states: ['abandoned'], patch: { error_msg: failure.text } },
      problem: ctx.reachable ? { code: 'abandoned', text: 'The exchange was abandoned' } : undefined,
    };
  },
  results: {
    /** Of what went by itself. */
    presented: { from: ['request_received'], step: presented },
    /** Of what the controller called for. */
    chosen: { from: ['request_received'], step: presented },
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
        if (chosen) checkChoice(ctx.record!.value.presentation_request!, chosen);
        return {
          record: body.auto_remove === undefined ? {} : { patch: { auto_remove: body.auto_remove } },
          work: [toPresent(ctx, 'chosen', chosen)],
        };
      },
    },
    /** What the automatic answer runs, and runs again while a credential is on its way into the wallet. */
    present: {
      from: ['request_received'],
      role: 'prover',
      step: (ctx) => ({ record: {}, work: [toPresent(ctx, 'presented', null)] }),
    },
    verify: {
      route: 'POST /present-proof/records/{pres_ex_id}/verify-presentation',
      tag: TAG,
      summary: 'Verify a received presentation',
      from: ['presentation_received'],
      role: 'verifier',
      step(ctx) {
        const { presentation_request, presentation } = ctx.record!.value;
        const entries = [{ request: presentation_request!, presentation: presentation! }];
        return { record: {}, work: [{ op: 'presentation/verify', input: { entries }, result: 'checked' }] };
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

/** The presentation with the controller's choice; without one the wallet chooses, with what was proposed in this thread in mind. */
function toPresent(ctx: Ctx, result: 'presented' | 'chosen', chosen: object | null): WorkOrder {
  const { value } = ctx.record!;
  const preview = value.presentation_proposal_dict?.presentation_proposal as Preview | undefined;
  const entry = { format: FORMAT, request: value.presentation_request!, chosen, wishes: preview ? wishesOf(preview) : [] };
  const patient = result === 'presented' && lookAgainAfter(ctx.now, value.waiting_since) !== undefined;
  return { op: 'presentation/create', input: { entries: [entry as never], patient }, result };
}

function presented(ctx: Ctx, made: { presentations: { value: JsonObject }[] } | { waits: true }): Effects {
  const { value } = ctx.record!;
  if ('waits' in made) {
    const since = value.waiting_since ?? ctx.now;
    return { record: { patch: { waiting_since: since } }, next: [{ command: 'present', after: lookAgainAfter(ctx.now, since) ?? 0 }] };
  }
  const presentation = made.presentations[0]!.value;
  return {
    record: { states: ['presentation_sent'], patch: { presentation, error_msg: undefined, waiting_since: undefined } },
    send: [
      {
        type: 'presentation',
        thid: value.thread_id,
        pthid: value.parent_thread_id,
        attachments: { presentations: [base64Attachment(presentation, ATTACHED.presentation)] },
      },
    ],
  };
}

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
  checkRequest(request, ctx.record ? 'bad-request' : 'unprocessable');
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
      attributes[`${selfAttested ? 'self_' : ''}${Object.keys(attributes).length}_${canonicalName(name)}_uuid`] = {
        name,
        ...restricted(cred_def_id),
      };
    }
  }
  for (const [referent, { names, id }] of groups)
    attributes[referent] = { ...(names.length === 1 ? { name: names[0]! } : { names }), ...restricted(id) };
  const words = { '<': 'lt', '<=': 'le', '>=': 'ge', '>': 'gt' };
  for (const { name, cred_def_id, predicate, threshold } of preview.predicates) {
    predicates[`${Object.keys(predicates).length}_${canonicalName(name)}_${words[predicate]}_uuid`] = {
      name,
      p_type: predicate,
      p_value: threshold,
      ...restricted(cred_def_id),
    };
  }
  return { requested_attributes: attributes, requested_predicates: predicates };
}

/** What a preview says of credentials, so that the ones it was made from are presented: attributes under one referent are of one credential. */
function wishesOf(preview: Preview): Wish[] {
  const wishes: Wish[] = [];
  const groups = new Map<string, Preview['attributes']>();
  for (const one of preview.attributes) {
    const { name, cred_def_id, value, referent } = one;
    if (!cred_def_id && typeof value === 'string')
      wishes.push({ names: [name], restrictions: { [`attr::${name}::value`]: value }, stated: value });
    else if (referent) groups.set(referent, [...(groups.get(referent) ?? []), one]);
    else wishes.push(wishOf([one]));
  }
  for (const group of groups.values()) wishes.push(wishOf(group));
  for (const { name, cred_def_id } of preview.predicates)
    wishes.push({ names: [name], ...(cred_def_id && { restrictions: { cred_def_id } }) });
  return wishes;
}

function wishOf(attributes: Preview['attributes']): Wish {
  const values = attributes.flatMap(({ name, value }): [string, string][] =>
    typeof value === 'string' ? [[`attr::${name}::value`, value]] : [],
  );
  const id = attributes.map(({ cred_def_id }) => cred_def_id).find((one) => one);
  return {
    names: attributes.map(({ name }) => name),
    restrictions: { ...(id && { cred_def_id: id }), ...Object.fromEntries(values) },
  };
}

/** One thing that a presentation shows: values by name, the referent's name, and the credential definition where a credential is behind it. */
interface Shown {
  readonly referent: string;
  readonly values: readonly (readonly [name: string, raw: unknown])[];
  readonly definition?: unknown;
}

/**
 * Why a presentation is not the one that was proposed: it shows a value or uses a credential definition other than the proposal named for that attribute, group or
 * predicate. Whether it was proven is judged when it is verified.
 */
function otherThanProposed(preview: Preview, request: JsonObject, presentation: JsonObject): string | undefined {
  type Members = Record<string, JsonObject | null | undefined>;
  const members = (value: unknown): Members =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
  const asked = members(request.requested_attributes);
  const proof = members(presentation.requested_proof);
  const identifiers = Array.isArray(presentation.identifiers) ? (presentation.identifiers as (JsonObject | null)[]) : [];
  const definitionAt = (one: JsonObject | null | undefined): unknown => identifiers[Number(one?.sub_proof_index)]?.cred_def_id;
  const nameOf = (referent: string): unknown => (Object.hasOwn(asked, referent) ? asked[referent]?.name : undefined);
  const shown: Shown[] = [
    ...Object.entries(members(proof.revealed_attrs)).map(([referent, one]) => ({
      referent,
      values: [[String(nameOf(referent)), one?.raw] as const],
      definition: definitionAt(one),
    })),
    ...Object.entries(members(proof.self_attested_attrs)).map(([referent, raw]) => ({
      referent,
      values: [[String(nameOf(referent)), raw] as const],
    })),
    ...Object.entries(members(proof.revealed_attr_groups)).map(([referent, one]) => ({
      referent,
      values: Object.entries(members(one?.values)).map(([name, value]) => [name, value?.raw] as const),
      definition: definitionAt(one),
    })),
  ];
  for (const { referent, values, definition } of shown) {
    for (const [name, raw] of values) {
      const specs = preview.attributes.filter((spec) => canonicalName(spec.name) === canonicalName(name));
      // what is proposed for this group is not said of another
      const own = specs.filter((spec) => spec.referent === referent);
      const fits = (own.length > 0 ? own : specs).some(
        ({ value, cred_def_id }) => (typeof value !== 'string' || value === raw) && (!cred_def_id || cred_def_id === definition),
      );
      if (specs.length > 0 && !fits) return `Presentation ${name}=${String(raw).slice(0, 100)} mismatches proposal value`;
    }
  }
  const predicates = members(request.requested_predicates);
  for (const [referent, one] of Object.entries(members(proof.predicates))) {
    const wanted = Object.hasOwn(predicates, referent) ? predicates[referent] : undefined;
    const specs = preview.predicates.filter((spec) => canonicalName(spec.name) === canonicalName(String(wanted?.name)));
    const fits = specs.some(
      ({ predicate, threshold, cred_def_id }) =>
        predicate === wanted?.p_type && threshold === wanted?.p_value && (!cred_def_id || cred_def_id === definitionAt(one)),
    );
    if (specs.length > 0 && !fits) return `Presentation predicate on ${String(wanted?.name).slice(0, 100)} mismatches proposal`;
  }
  return undefined;
}
