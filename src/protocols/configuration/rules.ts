import type { Static } from 'typebox';
import { AppError } from '../../errors.ts';
import { type AllowLists, globFits, type Handler, type Policy, type Rules } from '../../kernel/decisions.ts';
import { EVENTS_GRANT, isGranted } from '../../kernel/grants.ts';
import { changed, type Load, type StepContext } from '../../kernel/protocol.ts';
import type { JsonObject } from '../../ports/json.ts';
import { agentConfig, rulesLookup, rulesName, rulesOf } from '../../records/agent-config.ts';
import { connection } from '../../records/connection.ts';
import type { Done } from './operation.ts';
import type { DefaultsBody, HandlerBody, PolicyBody } from './schemas.ts';

/** How many handlers and policies a tenant may have. */
const MAX_RULES = 100;
/** The deadline of a handler without one, in ms. */
const TIMEOUT_MS = 24 * 3600_000;

const json = (value: unknown): JsonObject => value as JsonObject;

/** The rules, and the connections that a new handler names. */
export function handlerLookups({ approvers }: Readonly<JsonObject>): Record<string, Load> {
  const named = Array.isArray(approvers) ? approvers.slice(0, 10).filter((one) => typeof one === 'string' && one.length <= 100) : [];
  return {
    config: rulesLookup,
    ...Object.fromEntries(named.map((id) => [`approver ${id}`, { category: connection.category, id: id as string }])),
  };
}

/** New rules, for every process. */
const written = (ctx: StepContext, patch: Partial<Rules>): Pick<Done, 'others' | 'invalidate'> => ({
  others: [
    changed({
      def: agentConfig,
      base: ctx.loaded.config && agentConfig.of(ctx.loaded.config),
      id: rulesLookup.id,
      patch: { ...rulesOf(ctx.loaded.config), ...patch },
      silent: true,
    }),
  ],
  invalidate: [rulesName(ctx.tenant)],
});

/**
 * Registers a handler.
 * @param own types of the messages by which handlers are asked and answer
 * @throws AppError `bad-request` for a match of these or of an approver's own exchanges, for no approver, or one without the grant; `not-found` for an unknown
 * connection
 */
export function registerHandler(ctx: StepContext, body: Static<typeof HandlerBody>, own: readonly string[]): Done {
  const { handlers, defaults } = rulesOf(ctx.loaded.config);
  const { match } = body;
  const wide = match.types.find((glob) => own.some((type) => globFits(glob, type)));
  if (wide !== undefined)
    throw new AppError(
      'bad-request',
      `The pattern ${wide} matches the messages by which handlers themselves are asked and answer: name the families that are meant`,
    );
  const approvers = body.deliver === 'webhook' ? (body.approvers ?? []) : (body.approvers ?? (ctx.connection ? [ctx.connection.id] : []));
  if (body.deliver === 'didcomm' && approvers.length === 0)
    throw new AppError('bad-request', 'approvers must name the connections that are asked');
  const itself = approvers.find((one) => match.connections?.includes(one));
  if (itself !== undefined)
    throw new AppError('bad-request', `Connection ${itself} is asked by this handler, so it cannot be asked about itself`);
  for (const one of body.approvers ?? []) {
    const peer = ctx.loaded[`approver ${one}`];
    if (!peer) throw new AppError('not-found', `Connection ${one} not found`);
    if (!isGranted(connection.of(peer), EVENTS_GRANT)) throw new AppError('bad-request', `Connection ${one} has no grant ${EVENTS_GRANT}`);
  }
  if (handlers.length >= MAX_RULES) throw new AppError('bad-request', `There are ${MAX_RULES} handlers already`);
  const handler: Handler = {
    handler_id: ctx.newId(),
    match,
    mode: body.mode,
    deliver: body.deliver,
    approvers,
    approvals: body.approvals ?? 1,
    timeout_ms: body.timeout_ms ?? defaults.timeout_ms ?? TIMEOUT_MS,
    on_timeout: body.on_timeout ?? defaults.on_timeout ?? 'default',
  };
  return { ...written(ctx, { handlers: [...handlers, handler] }), answer: json(handler) };
}

/** @throws AppError `not-found` */
export function unregisterHandler(ctx: StepContext, handler_id: string): Done {
  const { handlers } = rulesOf(ctx.loaded.config);
  if (!handlers.some((one) => one.handler_id === handler_id)) throw new AppError('not-found', `No handler ${handler_id}`);
  return { ...written(ctx, { handlers: handlers.filter((one) => one.handler_id !== handler_id) }), answer: { handler_id } };
}

export const listHandlers = (ctx: StepContext): Done => ({ answer: { results: json(rulesOf(ctx.loaded.config).handlers) } });

/** Lists of known names, each name once. */
function distinct<L extends AllowLists>({ issuers, credential_definitions, verifiers, ...rest }: L) {
  return {
    ...rest,
    ...(issuers && { issuers: [...new Set(issuers)] }),
    ...(credential_definitions && { credential_definitions: [...new Set(credential_definitions)] }),
    ...(verifiers && { verifiers: [...new Set(verifiers)] }),
  };
}

/** Sets a policy in its place, a new one behind all others; `value: null` removes it. @throws AppError `bad-request` */
export function setPolicy(ctx: StepContext, { name, value, scope = {} }: Static<typeof PolicyBody>): Done {
  const { policies } = rulesOf(ctx.loaded.config);
  const at = policies.findIndex((one) => one.name === name);
  const others = policies.filter((one) => one.name !== name);
  if (!value) return { ...(at < 0 ? {} : written(ctx, { policies: others })), answer: { name, value: null } };
  if (others.length >= MAX_RULES) throw new AppError('bad-request', `There are ${MAX_RULES} policies already`);
  const policy = { name, value: distinct(value), scope } as Policy;
  const all = at < 0 ? [...policies, policy] : policies.map((one) => (one.name === name ? policy : one));
  return { ...written(ctx, { policies: all }), answer: json(policy) };
}

/** @throws AppError `not-found` */
export function getPolicy(ctx: StepContext, name: string): Done {
  const policy = rulesOf(ctx.loaded.config).policies.find((one) => one.name === name);
  if (!policy) throw new AppError('not-found', `No policy ${name}`);
  return { answer: json(policy) };
}

export const listPolicies = (ctx: StepContext): Done => ({ answer: { results: json(rulesOf(ctx.loaded.config).policies) } });

/** Sets the defaults as a whole: an absent member is the configuration's again. */
export function setDefaults(ctx: StepContext, given: Static<typeof DefaultsBody>): Done {
  const defaults = distinct(given);
  return {
    ...written(ctx, { defaults: defaults as Rules['defaults'] }),
    answer: json(defaults),
  };
}

export const getDefaults = (ctx: StepContext): Done => ({ answer: json(rulesOf(ctx.loaded.config).defaults) });
