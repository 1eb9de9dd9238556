import { AppError } from '../../errors.ts';
import { DECLINED, isAutomatic } from '../../kernel/decisions.ts';
import type { Effects, WorkOrder } from '../../kernel/effects.ts';
import { type ActOutput, formatOrder } from '../../kernel/format.ts';
import type { ByFormat } from '../../kernel/format-attachments.ts';
import { type CommandInput, command, defineProtocol, type Incoming, NEW, type Protocol } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { peerAcks, readyConnection, threadOf } from '../../records/connection.ts';
import { abandonment, FLAGS, Flag, type Removal, removal } from './exchange-parts.ts';
import type { Formatted, Patch, PresentingContext, PresentingValue, PresentingVersion } from './presenting-version.ts';

/** How long a request that is answered by itself waits for a credential that is on its way, in ms. */
const WAIT_MS = 3600_000;

/**
 * After how many milliseconds the wallet is looked at again for a request that it could not answer: at once, then less and less often, up to once a minute.
 * Undefined when it has waited long enough.
 */
function lookAgainAfter(now: number, since: number | undefined): number | undefined {
  const waited = now - (since ?? now);
  return waited > WAIT_MS ? undefined : Math.min(60_000, Math.max(250, waited));
}

/** A version of present-proof (RFC 0037, RFC 0454). The computation of a format is ordered as work, and its result is a step again. */
export function presentingProtocol(version: PresentingVersion): Protocol<PresentingValue> {
  const { record, state } = version;
  const { problem, reportProblem } = abandonment(version, {
    param: 'pres_ex_id',
    what: 'presentation',
    code: 'abandoned',
    ends: [state('verified'), state('acked')],
  });
  const presented = presentedBy(version);
  return defineProtocol<PresentingValue>({
    name: version.name,
    uris: [version.uri],
    roles: ['verifier', 'prover'],
    binds: record,
    messages: messagesOf(version),
    acked: {
      schema: Type.Object({}),
      from: [state('presentation-sent')],
      role: 'prover',
      step(ctx, message) {
        // beside the status, where the verifier is one of ACA-Py's kind
        const result = message.body.verification_result;
        const verified = result === 'true' || result === 'false' ? result : undefined;
        return { record: { states: [state('acked')], remove: ctx.record!.value.auto_remove, patch: { verified } } };
      },
    },
    problem,
    failed(ctx, failure) {
      const { state: current, value } = ctx.record!;
      // a choice of credentials that does not work is the controller's to mend; what ran by itself ends the exchange
      if (current === state('request-received') && (failure.result === 'chosen' || !value.auto_present))
        return { record: { patch: { error_msg: failure.text } } };
      return {
        record: { states: ['abandoned'], patch: { error_msg: failure.text }, remove: value.auto_remove_on_failure },
        problem: ctx.reachable ? { code: 'abandoned', text: 'The exchange was abandoned' } : undefined,
      };
    },
    results: {
      /** Of what went by itself. */
      presented: { from: [state('request-received')], step: presented },
      /** Of what the controller called for. */
      chosen: { from: [state('request-received')], step: presented },
      checked: {
        from: [state('presentation-received')],
        step(ctx, { made, next }: ActOutput<{ verified: boolean; reasons: readonly string[] }>) {
          if (next) return { work: [next] };
          const verified = made.every((one) => one.verified) ? 'true' : 'false';
          const verified_msgs = [...new Set(made.flatMap(({ reasons }) => reasons))];
          return {
            record: {
              states: [state('verified')],
              patch: { verified, verified_msgs },
              remove: ctx.record!.value.auto_remove,
            },
            // the result beside the status is ACA-Py's
            send: ctx.reachable ? [{ type: 'ack', body: { status: 'OK', verification_result: verified } }] : [],
          };
        },
      },
    },
    commands: {
      ...verifierCommands(version),
      ...proverCommands(version),
      'report-problem': reportProblem,
    },
  });
}

function messagesOf(version: PresentingVersion): Protocol<PresentingValue>['messages'] {
  const { state, reads, messages } = version;
  /** The values of a new record from its first message; none where the record exists. */
  const fresh = (ctx: PresentingContext, message: Incoming): Patch =>
    ctx.record
      ? {}
      : {
          ...version.begun(ctx, 'external'),
          protocol: version.name,
          thread_id: message.thid,
          parent_thread_id: message.pthid,
          initiator: 'external',
          auto_verify: isAutomatic(ctx.settings, 'presentation'),
          auto_remove: !ctx.settings.preserveExchangeRecords,
        };
  return {
    'propose-presentation': {
      schema: messages.proposal,
      from: [NEW, state('request-sent')],
      role: 'verifier',
      step: (ctx, message) => ({
        record: {
          role: 'verifier',
          connection: ctx.connection?.id,
          states: [state('proposal-received')],
          patch: { ...fresh(ctx, message), ...reads.proposal(ctx, message) },
        },
        next: ctx.auto('presentation-proposal', { message: message.name, accept: 'send-request', reject: DECLINED }),
      }),
    },
    'request-presentation': {
      schema: messages.request,
      standsAlone: true,
      from: [NEW, state('proposal-sent')],
      role: 'prover',
      step(ctx, message) {
        const automatic = isAutomatic(ctx.settings, 'presentation-request', ctx.record?.value.auto_present);
        return {
          record: {
            role: 'prover',
            connection: ctx.connection?.id,
            states: [state('request-received')],
            patch: { ...fresh(ctx, message), ...reads.request(ctx, message), auto_present: automatic },
          },
          next: ctx.auto('presentation-request', {
            ...{ message: message.name, automatic, accept: 'present', replace: 'send-presentation', reject: DECLINED },
          }),
        };
      },
    },
    presentation: {
      schema: messages.presentation,
      from: [state('request-sent')],
      role: 'verifier',
      step(ctx, message) {
        const { value } = ctx.record!;
        const patch = reads.presentation(ctx, message);
        const refused = version.refused?.(value, patch);
        if (refused) {
          return {
            record: { states: ['abandoned'], connection: ctx.connection?.id, patch: { error_msg: refused } },
            problem: { code: 'abandoned', text: 'The presentation does not match its proposal' },
          };
        }
        return {
          record: { states: [state('presentation-received')], connection: ctx.connection?.id, patch },
          next: ctx.auto('presentation', {
            ...{ message: message.name, automatic: value.auto_verify ?? false, accept: 'verify', reject: DECLINED },
          }),
        };
      },
    },
  };
}

function verifierCommands(version: PresentingVersion): NonNullable<Protocol<PresentingValue>['commands']> {
  const { path, tag, state, bodies, holds } = version;
  const request = (ctx: PresentingContext, given: readonly Formatted[], patch: Patch, comment?: string | null): Effects => {
    const id = ctx.newId();
    const entries = completed(ctx, given);
    const thid =
      ctx.record?.value.thread_id ??
      threadOf(
        ctx,
        id,
        entries.map(({ format: name, value }) => ({ name, value })),
      );
    const written = version.writes.request(ctx, { id, thid }, entries, comment ?? undefined);
    return {
      record: {
        role: 'verifier',
        connection: ctx.connection?.id,
        states: [state('request-sent')],
        patch: { ...patch, thread_id: thid, ...written.patch },
      },
      send: ctx.reachable ? [{ message: written.message }] : [],
    };
  };
  const freeRequest = (ctx: PresentingContext, body: FreeRequest): Effects => {
    if (body.connection_id !== undefined) readyConnection(ctx.connection);
    const patch = { ...flags(version, ctx, body), auto_verify: isAutomatic(ctx.settings, 'presentation', body.auto_verify) };
    return request(ctx, version.asked(ctx, body), patch, body.comment);
  };
  return {
    'create-request': {
      route: `POST ${path}/create-request`,
      tag,
      summary: 'Creates a presentation request not bound to any proposal or connection',
      body: (formats) => Type.Object({ ...bodies(formats).request, auto_verify: Flag, ...FLAGS }),
      from: [NEW],
      step: (ctx, { body }: CommandInput<FreeRequest>) => freeRequest(ctx, body),
    },
    'send-free-request': {
      route: `POST ${path}/send-request`,
      tag,
      summary: 'Sends a free presentation request not bound to any proposal',
      body: (formats) => Type.Object({ connection_id: Type.String(), ...bodies(formats).request, auto_verify: Flag, ...FLAGS }),
      from: [NEW],
      connection: 'connection_id',
      step: (ctx, { body }: CommandInput<FreeRequest>) => freeRequest(ctx, body),
    },
    'send-request': command({
      route: `POST ${path}/records/{pres_ex_id}/send-request`,
      tag,
      summary: 'Sends a presentation request in reference to a proposal',
      body: Type.Object({ auto_verify: Flag, auto_remove: Flag, trace: Flag }),
      from: [state('proposal-received')],
      role: 'verifier',
      step(ctx, { body }) {
        const { entries, comment } = version.proposed(ctx);
        const patch = { auto_verify: isAutomatic(ctx.settings, 'presentation', body.auto_verify), ...removal(body) };
        return request(ctx, entries, patch, comment);
      },
    }),
    verify: {
      route: `POST ${path}/records/{pres_ex_id}/verify-presentation`,
      tag,
      summary: 'Verify a received presentation',
      from: [state('presentation-received')],
      role: 'verifier',
      step(ctx) {
        const [asked, given] = [holds.requests(ctx), holds.presentations(ctx)];
        // every format of the presentation is verified: nothing else is shown as presented
        const tasks = ctx.declared.formats.presented.flatMap(({ name: format }) =>
          given[format] ? [{ format, input: { request: asked[format] ?? null, presentation: given[format] } }] : [],
        );
        return { record: {}, work: [formatOrder('verify', tasks, 'checked')] };
      },
    },
  };
}

/** The body of a request that answers no proposal. */
type FreeRequest = JsonObject & Removal & { auto_verify?: boolean; comment?: string | null };

function proverCommands(version: PresentingVersion): NonNullable<Protocol<PresentingValue>['commands']> {
  const { path, tag, state, bodies } = version;
  return {
    'send-proposal': {
      route: `POST ${path}/send-proposal`,
      tag,
      summary: version.summaries.proposal,
      body: (formats) => Type.Object({ connection_id: Type.String(), ...bodies(formats).proposal, auto_present: Flag, ...FLAGS }),
      from: [NEW],
      connection: 'connection_id',
      step(ctx, { body }: CommandInput<JsonObject & Removal & { auto_present?: boolean }>) {
        const id = ctx.newId();
        const { message, patch } = version.writes.proposal(ctx, id, body);
        return {
          record: {
            role: 'prover',
            connection: readyConnection(ctx.connection),
            states: [state('proposal-sent')],
            patch: {
              ...flags(version, ctx, body),
              ...patch,
              thread_id: id,
              auto_present: isAutomatic(ctx.settings, 'presentation-request', body.auto_present),
            },
          },
          send: [{ message }],
        };
      },
    },
    'send-presentation': {
      route: `POST ${path}/records/{pres_ex_id}/send-presentation`,
      tag,
      summary: 'Sends a proof presentation',
      body: (formats) => Type.Object(bodies(formats).presentation),
      from: [state('request-received')],
      role: 'prover',
      step(ctx, { body }: CommandInput<JsonObject>) {
        // without a choice the work chooses the credentials
        const requests = version.holds.requests(ctx);
        const chosen = version.chosen(ctx, body, requests);
        for (const [format, choice] of Object.entries(chosen))
          ctx.declared.formats.named(format)!.presentation!.checkChoice(requests[format]!, choice!);
        return { record: { patch: removal(body) }, work: [toPresent(version, ctx, 'chosen', chosen)] };
      },
    },
    /** The automatic answer; it runs again while a credential is on its way into the wallet. */
    present: {
      from: [state('request-received')],
      role: 'prover',
      step: (ctx) => ({ record: {}, work: [toPresent(version, ctx, 'presented', {})] }),
    },
  };
}

/**
 * Presentations in every format that was asked for and, where the controller chose, that it chose for. Without a choice the wallet chooses, with what was proposed
 * in this thread in mind.
 */
function toPresent({ holds }: PresentingVersion, ctx: PresentingContext, result: 'presented' | 'chosen', chosen: ByFormat): WorkOrder {
  const [requests, proposals] = [holds.requests(ctx), holds.proposals(ctx)];
  const isChosen = Object.keys(chosen).length > 0;
  const patient = result === 'presented' && lookAgainAfter(ctx.now, ctx.record!.value.waiting_since) !== undefined;
  const tasks = ctx.declared.formats.presented.flatMap(({ name: format }) => {
    const request = requests[format];
    if (!request || (isChosen && !chosen[format])) return [];
    return [{ format, input: { request, choice: chosen[format] ?? null, proposal: proposals[format] ?? null, patient } }];
  });
  if (tasks.length === 0) throw new AppError('bad-request', 'The request has no format that is supported');
  return formatOrder('present', tasks, result);
}

/** The step that takes presentations, or waits with them. */
const presentedBy =
  ({ state, writes }: PresentingVersion) =>
  (ctx: PresentingContext, { made, next }: ActOutput<{ value: JsonObject } | { waits: true }>): Effects => {
    const { value } = ctx.record!;
    if (made.some((one) => 'waits' in one)) {
      const since = value.waiting_since ?? ctx.now;
      return { record: { patch: { waiting_since: since } }, next: [{ command: 'present', after: lookAgainAfter(ctx.now, since) ?? 0 }] };
    }
    if (next) return { work: [next] };
    const { message, patch } = writes.presentation(ctx, ctx.newId(), made as readonly Formatted[]);
    const acks = peerAcks(ctx);
    return {
      record: {
        states: acks ? [state('presentation-sent')] : [state('presentation-sent'), state('acked')],
        patch: { ...patch, error_msg: undefined, waiting_since: undefined },
        remove: !acks && value.auto_remove,
      },
      send: [{ message }],
    };
  };

const flags = ({ name, begun }: PresentingVersion, ctx: PresentingContext, body: Removal): PresentingValue => ({
  ...begun(ctx, 'self'),
  protocol: name,
  initiator: 'self',
  auto_remove: !ctx.settings.preserveExchangeRecords,
  ...removal(body),
});

/** Requests with what was left out. @throws AppError for one that cannot be answered */
export function completed(ctx: PresentingContext, entries: readonly Formatted[]): Formatted[] {
  const code = ctx.record ? 'bad-request' : 'unprocessable';
  return entries.map(({ format, value: given }) => {
    const value = ctx.declared.formats.named(format)!.presentation!.request(given, code, ctx.newNonce);
    return { format, value };
  });
}
