import { OWN_PREFIX } from '../../didcomm/message-types.ts';
import { CONFIGURATION } from '../../kernel/consulting.ts';
import { EVENTS_GRANT, isGranted } from '../../kernel/grants.ts';
import { command, defineProtocol, type Load } from '../../kernel/protocol.ts';
import { isoTime } from '../../kernel/record.ts';
import { AnyObject } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import { rulesLookup } from '../../records/agent-config.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';
import { decision } from '../../records/decision.ts';
import { decide } from './deciding.ts';
import { operation } from './operation.ts';
import {
  getDefaults,
  getPolicy,
  handlerLookups,
  listHandlers,
  listPolicies,
  registerHandler,
  setDefaults,
  setPolicy,
  unregisterHandler,
} from './rules.ts';
import { DecisionBody, DefaultsBody, HandlerBody, HandlerName, PolicyBody, PolicyName } from './schemas.ts';

const URI = `${OWN_PREFIX}agent-config/1.0`;
const Nothing = Type.Object({});
const config = (): { config: Load } => ({ config: rulesLookup });

const OPERATIONS = {
  'register-handler': operation({
    reply: 'handler-registered',
    route: 'POST /agent-config/handlers',
    summary: 'Register a handler, which decides about exchanges that match, or is notified of them',
    body: HandlerBody,
    load: handlerLookups,
    step: (ctx, body) => registerHandler(ctx, body, OWN_TYPES),
  }),
  'unregister-handler': operation({
    reply: 'handler-removed',
    route: 'DELETE /agent-config/handlers/{handler_id}',
    summary: 'Remove a handler; its decisions stay',
    body: HandlerName,
    load: config,
    step: (ctx, body) => unregisterHandler(ctx, body.handler_id),
  }),
  'list-handlers': operation({
    reply: 'handlers',
    route: 'GET /agent-config/handlers',
    summary: 'List handlers, in the order in which they are asked',
    body: Nothing,
    load: config,
    step: listHandlers,
  }),
  'set-policy': operation({
    reply: 'policy',
    route: 'PUT /agent-config/policies/{name}',
    summary: 'Set a policy; a value of null removes it',
    body: PolicyBody,
    load: config,
    step: setPolicy,
  }),
  'get-policy': operation({
    reply: 'policy',
    route: 'GET /agent-config/policies/{name}',
    summary: 'Fetch a policy',
    body: PolicyName,
    load: config,
    step: (ctx, body) => getPolicy(ctx, body.name),
  }),
  'list-policies': operation({
    reply: 'policies',
    route: 'GET /agent-config/policies',
    summary: 'List policies, in the order in which they are applied',
    body: Nothing,
    load: config,
    step: listPolicies,
  }),
  'set-defaults': operation({
    reply: 'defaults',
    route: 'PUT /agent-config/defaults',
    summary: 'Set the automatic points, and the known issuers, credential definitions, verifiers and types',
    body: DefaultsBody,
    load: config,
    step: setDefaults,
  }),
  'get-defaults': operation({
    reply: 'defaults',
    route: 'GET /agent-config/defaults',
    summary: 'Fetch the defaults',
    body: Nothing,
    load: config,
    step: getDefaults,
  }),
  decision: operation({
    reply: 'decision-recorded',
    route: 'POST /agent-config/decisions/{decision_id}',
    summary: 'Decide about an exchange that waits',
    body: DecisionBody,
    load: ({ decision_id: id }): Record<string, Load> =>
      typeof id === 'string' && id.length <= 100 ? { decision: { category: decision.category, id } } : {},
    step: decide,
  }),
};

/** Types of the messages of this family: by these a handler is asked, answers and is managed. */
const OWN_TYPES: readonly string[] = [
  ...Object.entries(OPERATIONS).flatMap(([name, { reply }]) => [name, reply]),
  'decision-request',
  'event',
].map((name) => `${URI}/${name}`);

const entries = <T>(of: (one: (typeof OPERATIONS)[keyof typeof OPERATIONS]) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(OPERATIONS).map(([name, one]) => [name, of(one)]));

/** The Config API by messages: handlers, policies, defaults and decisions, each operation also a route of the admin API. */
export const agentConfigProtocol = defineProtocol<ConnectionValue>({
  name: CONFIGURATION,
  uris: [URI],
  roles: ['agent', 'owner'],
  binds: connection,
  stateless: true,
  messages: entries(({ message }) => message),
  commands: {
    ...entries(({ command: one }) => one),
    ask: command({
      body: Type.Object({ decision_id: Type.String() }),
      from: ['response', 'active'],
      load: ({ body }): Record<string, Load> => ({ decision: { category: decision.category, id: body.decision_id } }),
      step(ctx) {
        const asked = decision.of(ctx.loaded.decision);
        if (asked?.state !== 'asked' || !isGranted(ctx.record, EVENTS_GRANT)) return {};
        const { point, type, role, thread_id, record, deadline, approvals, handler_id } = asked.value;
        const about = { decision_id: asked.id, point, type, role, thread_id, connection_id: asked.connection, record };
        return {
          send: [{ type: 'decision-request', id: asked.id, body: { ...about, deadline: isoTime(deadline), approvals, handler_id } }],
        };
      },
    }),
    notify: command({
      body: AnyObject,
      from: ['response', 'active'],
      step: (ctx, { body }) =>
        isGranted(ctx.record, EVENTS_GRANT) ? { send: [{ type: 'event', body: { topic: 'handler', payload: body } }] } : {},
    }),
  },
});
