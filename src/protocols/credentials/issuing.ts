import { AppError } from '../../errors.ts';
import { DECLINED, isAutomatic, patched } from '../../kernel/decisions.ts';
import type { Change, Effects, NextCommand, WorkOrder } from '../../kernel/effects.ts';
import { type ActOutput, type FormatResult, formatOrder, type Issuance, type RevocationIndex } from '../../kernel/format.ts';
import { sharedFormats } from '../../kernel/format-attachments.ts';
import { type CommandInput, changed, command, defineProtocol, type Incoming, NEW, type Protocol } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Lookup } from '../../ports/store.ts';
import { connection, peerAcks, readyConnection } from '../../records/connection.ts';
import { credential } from '../../records/credential.ts';
import { credentialRevocation, credentialRevocationId } from '../../records/credential-revocation.ts';
import { abandonment, Flag, offeredBy, type Removal, removal, Text } from './exchange-parts.ts';
import type { BodyKind, IssuingContext, IssuingValue, IssuingVersion, Patch, Terms } from './issuing-version.ts';
import { LOOKED, looked } from './looks.ts';

/** A credential in the wallet, and its id. */
type Stored = Awaited<ReturnType<Issuance['store']>> & { readonly id: string };

/** State of a record whose first message is not made yet. No webhook has announced it. */
const MAKING = '';

/**
 * A version of issue-credential (RFC 0036, RFC 0453). The computation of a format is ordered as work, and its result is a step again.
 */
export function issuingProtocol(version: IssuingVersion): Protocol<IssuingValue> {
  const { record, state } = version;
  const { problem, reportProblem } = abandonment(version, {
    param: 'cred_ex_id',
    what: 'credential',
    code: 'issuance-abandoned',
    ends: [state('done')],
  });
  return defineProtocol<IssuingValue>({
    name: version.name,
    uris: [version.uri],
    roles: ['issuer', 'holder'],
    binds: record,
    messages: messagesOf(version),
    acked: {
      schema: Type.Object({}),
      from: [state('credential-issued')],
      role: 'issuer',
      step: (ctx) => ({ record: { states: [state('done')], remove: ctx.record!.value.auto_remove } }),
    },
    problem,
    answer: version.answer,
    failed(ctx, failure) {
      // a credential without its look is one
      if (failure.result === LOOKED) return {};
      // an exchange that no peer has seen leaves no trace; one that a peer waits for ends with a report to it
      if ((ctx.record!.state ?? '') === MAKING) return { record: { remove: true, silent: true } };
      const remove = ctx.record!.value.auto_remove_on_failure;
      return {
        record: { states: ['abandoned'], patch: { error_msg: failure.text }, remove },
        problem: ctx.reachable ? { code: 'issuance-abandoned', text: 'The exchange was abandoned' } : undefined,
      };
    },
    results: resultsOf(version),
    commands: {
      ...begunBy(version),
      ...continuedBy(version),
      'show-revoked': {
        from: [state('credential-issued'), state('done')],
        role: 'issuer',
        step: () => ({ record: { states: [state('credential-revoked')] } }),
      },
      'report-problem': reportProblem,
    },
  });
}

function messagesOf(version: IssuingVersion): Protocol<IssuingValue>['messages'] {
  const { state, reads, messages, holds } = version;
  /** The values of a new record from its first message; none where the record exists. */
  const fresh = (ctx: IssuingContext, message: Incoming): Patch =>
    ctx.record
      ? {}
      : {
          ...version.begun(ctx, 'external'),
          protocol: version.name,
          thread_id: message.thid,
          parent_thread_id: message.pthid,
          initiator: 'external',
          auto_remove: !ctx.settings.preserveExchangeRecords,
        };
  return {
    'propose-credential': {
      schema: messages.proposal,
      from: [NEW, state('offer-sent')],
      role: 'issuer',
      step(ctx, message) {
        const read = reads.proposal(ctx, message);
        return {
          record: {
            role: 'issuer',
            connection: ctx.record ? undefined : ctx.connection?.id,
            states: [state('proposal-received')],
            patch: { ...fresh(ctx, message), ...read, auto_offer: isAutomatic(ctx.settings, 'credential-proposal') },
          },
          next: ctx.auto('credential-proposal', { message: message.name, accept: 'send-offer', reject: DECLINED }),
        };
      },
    },
    'offer-credential': {
      schema: messages.offer,
      standsAlone: true,
      from: [NEW, state('proposal-sent')],
      role: 'holder',
      step(ctx, message) {
        const automatic = isAutomatic(ctx.settings, 'credential-offer', ctx.record?.value.auto_offer);
        const read = reads.offer(ctx, message, automatic);
        const look = version.looks?.(ctx, message);
        return {
          work: look && [look],
          record: {
            role: 'holder',
            connection: ctx.record ? undefined : ctx.connection?.id,
            states: [state('offer-received')],
            patch: { ...fresh(ctx, message), ...read },
          },
          next: ctx.auto('credential-offer', {
            ...{ message: message.name, automatic, accept: 'send-request', reject: DECLINED },
            facts: () => offeredBy(holds.offers(patched(ctx, read))),
          }),
        };
      },
    },
    'request-credential': {
      schema: messages.other,
      from: [state('offer-sent')],
      role: 'issuer',
      step(ctx, message) {
        return {
          record: { states: [state('request-received')], connection: ctx.connection?.id, patch: reads.request(ctx, message) },
          next: ctx.auto('credential-request', {
            ...{ message: message.name, automatic: ctx.record!.value.auto_issue ?? false, accept: 'issue', reject: DECLINED },
          }),
        };
      },
    },
    'issue-credential': {
      schema: messages.other,
      from: [state('request-sent')],
      role: 'holder',
      step: (ctx, message) => ({
        record: { states: [state('credential-received')], patch: reads.credential(ctx, message) },
        next: ctx.auto('credential', {
          ...{ message: message.name, accept: 'store', reject: DECLINED },
          facts: () => offeredBy(holds.offers(ctx)),
        }),
      }),
    },
  };
}

function resultsOf(version: IssuingVersion): Protocol<IssuingValue>['results'] {
  const { state, writes } = version;
  return {
    offered: {
      from: [MAKING, state('proposal-received')],
      // `preview`: of an order from before the record held it
      step(ctx, { made, next, preview = null }: ActOutput<FormatResult> & { preview?: JsonObject | null }) {
        if (next) return { work: [next] };
        const offered = (ctx.record!.value.wanted?.preview ?? preview) as JsonObject | null;
        const { message, patch } = writes.offer(ctx, ctx.newId(), made, offered ?? undefined);
        return {
          record: { states: [state('offer-sent')], patch: { ...patch, wanted: undefined } },
          send: ctx.reachable ? [{ message }] : [],
        };
      },
    },
    requested: {
      from: [state('offer-received')],
      step(ctx, { made: [made] }: ActOutput<FormatResult & { secret: Uint8Array }>) {
        const { message, patch } = writes.request(ctx, ctx.newId(), made!);
        const detail = version.detailed?.(ctx, [made!]);
        return {
          record: { states: [state('request-sent')], patch: { ...patch, ...detail?.patch } },
          emit: detail?.emit,
          keys: [{ kid: `cred-request:${ctx.record!.id}`, type: 'cred-request', secret: made!.secret }],
          send: [{ message }],
        };
      },
    },
    ...(version.looks && { [LOOKED]: looked }),
    issued: {
      from: [state('request-received')],
      step(ctx, { made, next }: ActOutput<FormatResult & { readonly revocable?: RevocationIndex }>) {
        if (next) return { work: [next] };
        const { message, patch } = writes.credential(ctx, ctx.newId(), made);
        const indices = made.flatMap(({ revocable }) => revocable ?? []);
        const acks = peerAcks(ctx);
        const detail = version.detailed?.(
          ctx,
          made.map((one) => ({ ...one, detail: { ...one.detail, ...(one.revocable && namesOf(one.revocable)) } })),
        );
        return {
          others: indices.map((index) => issuedAt(ctx, index, version)),
          next: indices.filter(({ index, last }) => index === last).map(fullRegistry),
          record: {
            states: acks ? [state('credential-issued')] : [state('credential-issued'), state('done')],
            patch: { ...patch, ...detail?.patch, ...(indices[0] && version.revocable?.(indices[0])), wanted: undefined },
            remove: !acks && ctx.record!.value.auto_remove,
          },
          emit: detail?.emit,
          send: [{ message }],
        };
      },
    },
    stored: {
      from: [state('credential-received')],
      step(ctx, { made: [made] }: ActOutput<Stored>) {
        const { value } = ctx.record!;
        const { format, id, info, secret } = made!;
        const detail = version.detailed?.(ctx, [{ format, detail: { ...made!.detail, cred_id_stored: id } }]);
        const named = ctx.declared.formats.named(format)?.asCredInfo ? {} : { format };
        const stored: Change = { def: credential, id, patch: { ...info, ...named, credential: made!.credential }, silent: true };
        return {
          record: { states: [state('done')], patch: { ...version.stored(id, info), ...detail?.patch }, remove: value.auto_remove },
          others: [stored],
          keys: secret && [{ kid: `credential:${id}`, type: 'credential', secret }],
          removedKeys: [`cred-request:${ctx.record!.id}`],
          emit: detail?.emit,
          send: [{ type: 'ack', body: { status: 'OK' } }],
        };
      },
    },
  };
}

/** Commands that begin an exchange. */
function begunBy(version: IssuingVersion): NonNullable<Protocol<IssuingValue>['commands']> {
  const { path, tag, state, bodies, writes } = version;
  const connection_id = Type.String();
  const flags = (ctx: IssuingContext, body: Removal): Patch => ({
    ...version.begun(ctx, 'self'),
    protocol: version.name,
    initiator: 'self',
    auto_remove: !ctx.settings.preserveExchangeRecords,
    ...removal(body),
  });
  const makeOffer = (ctx: IssuingContext, body: JsonObject, kind: BodyKind, autoIssue?: boolean): Effects => {
    // as in ACA-Py: what the controller asked for stands where a holder's proposal would
    const { message, patch } = writes.proposal(ctx, body, kind);
    const terms = version.terms(ctx, message);
    return {
      record: {
        role: 'issuer',
        connection: body.connection_id === undefined ? undefined : readyConnection(ctx.connection),
        silent: true,
        patch: {
          ...flags(ctx, body),
          ...patch,
          auto_issue: autoIssue ?? (body.auto_issue as boolean | undefined) ?? isAutomatic(ctx.settings, 'credential-request'),
          wanted: { ...version.wanted(body), preview: terms.preview },
        },
      },
      work: [offerOrder(terms)],
    };
  };
  const common = { tag, selectResponse: recordOf, from: [NEW] };
  return {
    'send-proposal': {
      ...common,
      route: `POST ${path}/send-proposal`,
      summary: 'Send issuer a credential proposal',
      body: (formats) => Type.Object({ connection_id, ...bodies(formats).proposal }),
      connection: 'connection_id',
      step(ctx, { body }: CommandInput<JsonObject>) {
        const { message, patch } = writes.proposal(ctx, body, 'proposal');
        return {
          record: {
            role: 'holder',
            connection: readyConnection(ctx.connection),
            states: [state('proposal-sent')],
            patch: {
              ...flags(ctx, body),
              ...patch,
              thread_id: message['@id'] as string,
              auto_offer: isAutomatic(ctx.settings, 'credential-offer'),
            },
          },
          send: [{ message }],
        };
      },
    },
    'create-offer': {
      ...common,
      route: `POST ${path}/create-offer`,
      summary: 'Create a credential offer, independent of any proposal or connection',
      body: (formats) => Type.Object(bodies(formats).offer),
      step: (ctx, { body }: CommandInput<JsonObject>) => makeOffer(ctx, body, 'offer'),
    },
    create: {
      ...common,
      route: `POST ${path}/create`,
      summary: version.summaries.created,
      body: (formats) => Type.Object(bodies(formats).created),
      step: (ctx, { body }: CommandInput<JsonObject>) => makeOffer(ctx, body, version.createdAs, true),
    },
    'send-free-offer': {
      ...common,
      route: `POST ${path}/send-offer`,
      summary: 'Send holder a credential offer, independent of any proposal',
      body: (formats) => Type.Object({ connection_id, ...bodies(formats).offer }),
      connection: 'connection_id',
      step: (ctx, { body }: CommandInput<JsonObject>) => makeOffer(ctx, body, 'offer'),
    },
    send: {
      ...common,
      route: `POST ${path}/send`,
      summary: 'Send holder a credential, automating the entire flow',
      body: (formats) => Type.Object({ connection_id, ...bodies(formats).created }),
      connection: 'connection_id',
      step: (ctx, { body }: CommandInput<JsonObject>) => makeOffer(ctx, body, version.createdAs, true),
    },
  };
}

/** Commands on an exchange that is there. */
function continuedBy(version: IssuingVersion): NonNullable<Protocol<IssuingValue>['commands']> {
  const { path, tag, state, bodies, holds } = version;
  return {
    'send-offer': {
      route: `POST ${path}/records/{cred_ex_id}/send-offer`,
      selectResponse: recordOf,
      tag,
      summary: 'Send holder a credential offer in reference to a proposal with preview',
      body: (formats) => Type.Object(bodies(formats).counter),
      from: [state('proposal-received')],
      role: 'issuer',
      step(ctx, { body }: CommandInput<JsonObject>) {
        const { patch, ...terms } = version.countered(ctx, body);
        const wanted = { ...patch?.wanted, preview: terms.preview };
        return { record: { patch: { ...patch, wanted } }, work: [offerOrder(terms)] };
      },
    },
    'send-request': command({
      route: `POST ${path}/records/{cred_ex_id}/send-request`,
      selectResponse: recordOf,
      tag,
      summary: 'Send issuer a credential request',
      body: Type.Object({ holder_did: Text, auto_remove: Flag, auto_remove_on_failure: Flag }),
      from: [state('offer-received')],
      role: 'holder',
      step(ctx, { body }) {
        const offers = holds.offers(ctx);
        const [format] = sharedFormats(ctx.declared.formats, offers);
        const input = { offer: offers[format]!, entropy: ctx.connection?.id ?? ctx.record!.id };
        return { record: { patch: removal(body) }, work: [formatOrder('request', [{ format, input }], 'requested')] };
      },
    }),
    issue: command({
      route: `POST ${path}/records/{cred_ex_id}/issue`,
      tag,
      summary: 'Send holder a credential',
      body: Type.Object({ comment: Text }),
      from: [state('request-received')],
      role: 'issuer',
      step(ctx, { body }) {
        const [requests, offers] = [holds.requests(ctx), holds.offers(ctx)];
        const values = Object.fromEntries((holds.preview(ctx.record!.value)?.attributes ?? []).map((one) => [one.name, one.value]));
        const tasks = sharedFormats(ctx.declared.formats, requests, offers).map((format) => ({
          format,
          input: { offer: offers[format]!, request: requests[format]!, values },
        }));
        return {
          record: body.comment ? { patch: { wanted: { comment: body.comment } } } : {},
          work: [formatOrder('issue', tasks, 'issued')],
        };
      },
    }),
    store: command({
      route: `POST ${path}/records/{cred_ex_id}/store`,
      tag,
      summary: 'Store a received credential',
      body: Type.Object({ credential_id: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 256 }), Type.Null()])) }),
      from: [state('credential-received')],
      role: 'holder',
      load: ({ body }): Record<string, Lookup> =>
        body.credential_id ? { named: { category: credential.category, id: body.credential_id } } : {},
      step(ctx, { body }) {
        if (ctx.loaded.named) throw new AppError('bad-request', `Credential ${body.credential_id} already exists in this wallet`);
        const { value, id } = ctx.record!;
        const [issued, offers] = [holds.credentials(ctx), holds.offers(ctx)];
        const [format] = sharedFormats(ctx.declared.formats, issued, holds.requests(ctx), offers);
        const offered = holds.preview(value)?.attributes;
        const input = {
          exchange: id,
          offer: offers[format]!,
          credential: issued[format]!,
          id: body.credential_id ?? ctx.newId(),
          lax: connection.of(ctx.connection)?.value.agent2018?.encoding === 'any',
          ...(offered && { offered }),
        };
        return { record: {}, work: [formatOrder('store', [{ format, input }], 'stored')] };
      },
    }),
  };
}

/** How details name the index of a credential. */
const namesOf = ({ rev_reg_id, index }: RevocationIndex): JsonObject => ({ rev_reg_id, cred_rev_id: String(index) });

/** The record of a credential's index, which a second credential at it would clash with. */
function issuedAt(ctx: IssuingContext, { registry, rev_reg_id, cred_def_id, index }: RevocationIndex, { issues }: IssuingVersion): Change {
  const patch = { registry, rev_reg_id, cred_def_id, index, cred_ex_id: ctx.record!.id, cred_ex_version: issues };
  const id = credentialRevocationId(registry, index);
  return changed({ def: credentialRevocation, id, states: ['issued'], connection: ctx.record!.connection, patch });
}

/** Ends the use of a registry whose last index is issued. */
const fullRegistry = ({ registry, cred_def_id }: RevocationIndex): NextCommand => ({
  protocol: 'revocation-registry',
  command: 'retire',
  record: { category: 'rev_reg', id: registry },
  input: { cred_def_id, state: 'full' },
  after: 0,
});

const offerOrder = ({ filters, preview }: Terms): WorkOrder => {
  const attributes = (preview?.attributes ?? null) as JsonObject[] | null;
  return formatOrder(
    'offer',
    filters.map(({ format, filter }) => ({ format, input: { filter, preview: attributes } })),
    'offered',
  );
};

/** Version 2 answers some calls with the record alone, and others with its details. */
const recordOf = (answer: JsonObject): JsonObject => (answer.cred_ex_record as JsonObject | undefined) ?? answer;
