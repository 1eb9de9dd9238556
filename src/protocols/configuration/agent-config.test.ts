import { CONNECTION, NOW, type Row, type Some, some, table } from '../../../test/support/steps.ts';
import { rulesLookup } from '../../records/agent-config.ts';

const MATCH = { types: ['https://didcomm.org/present-proof/*'] };
const BODY = { match: MATCH, mode: 'consult', deliver: 'didcomm' };
const HANDLER = {
  ...{ handler_id: 'h1', match: MATCH, mode: 'consult', deliver: 'didcomm', approvers: ['c1'], approvals: 1, timeout_ms: 86_400_000 },
  on_timeout: 'default',
};
const POLICY = { name: 'known', value: { action: 'accept', issuers: ['did:algo:one'] }, scope: { types: ['credential-offer'] } };
const DEFAULTS = { auto: { 'credential-offer': true }, issuers: ['did:algo:one'], label: 'Firm' };

const config = (value: object): { config: Some } => ({ config: { category: 'agent_config', id: rulesLookup.id, value: { ...value } } });
const RULES = { handlers: [HANDLER], policies: [POLICY], defaults: DEFAULTS };
/** A connection that may be asked. */
const granted = (id: string, grants: readonly string[] = ['agent-config']): Record<string, Some> => ({
  [`approver ${id}`]: { category: 'connection', id, value: { grants } },
});
const LOADS = { config: rulesLookup };
/** The effects of new rules. */
const written = (patch: object, base?: string) => ({
  invalidate: ['rules tenant-1'],
  others: [some({ def: 'agent_config', ...(base && { base }), patch: some({ ...patch }) })],
});
const reply = (type: string, body: unknown) => ({ send: [{ type, body }] });
const problem = (code: string, text: string | RegExp) => ({ effects: { problem: { code, text } } });

const DECISION: Some = {
  category: 'decision',
  id: 'd1',
  state: 'asked',
  connection: 'c9',
  value: {
    ...{ point: 'presentation-request', type: 'https://didcomm.org/present-proof/2.0/request-presentation', role: 'prover' },
    ...{ handler_id: 'h1', approvers: [], approvals: 1, on_timeout: 'default', deadline: NOW + 1000 },
    ...{ subject: { protocol: 'present-proof-2.0', category: 'pres_ex_v20', id: 'x1' }, accept: 'present', replace: 'send-presentation' },
    ...{ reject: { command: 'report-problem', input: { description: 'The request was declined' } }, otherwise: 'hold' },
    ...{ thread_id: 't1', record: { pres_ex_id: 'x1' } },
  },
};
const decided = (value: object, state = 'asked'): Some => ({ ...DECISION, state, value: { ...DECISION.value, ...value } });
const FORGETTING = {
  protocol: 'decisions',
  record: { category: 'decision', id: 'd1' },
  command: 'forget',
  after: 90 * 24 * 3600_000,
};
const next = (command: string, input?: object) => [
  { protocol: 'present-proof-2.0', record: { category: 'pres_ex_v20', id: 'x1' }, after: 0, command, ...(input && { input }) },
  FORGETTING,
];
const vote = (action: string, by = 'connection c1', more: object = {}) => ({ by, action, at: NOW, ...more });
const VALUES = { anoncreds: { requested_attributes: {}, requested_predicates: {}, self_attested_attributes: {} } };
const controller = (command: string, row: object = {}): Row =>
  ({ title: 'of a controller', command, connection: null, loaded: config(RULES), ...row }) as unknown as Row;

table('agent-config', [
  {
    title: 'registers a handler of its peer',
    message: 'register-handler',
    body: BODY,
    loads: LOADS,
    effects: {
      ...written({ handlers: [some({ handler_id: 'id-1', match: MATCH, approvers: ['c1'], approvals: 1, timeout_ms: 86_400_000 })] }),
      ...reply('handler-registered', some({ handler_id: 'id-1', on_timeout: 'default' })),
    },
  },
  {
    title: 'registers a second handler behind the first, with the deadline of the defaults',
    message: 'register-handler',
    body: { ...BODY, approvers: ['c2', 'c3'], approvals: 2 },
    loaded: { ...config({ handlers: [HANDLER], defaults: { timeout_ms: 500, on_timeout: 'reject' } }), ...granted('c2'), ...granted('c3') },
    effects: {
      ...written(
        { handlers: [some({ handler_id: 'h1' }), some({ approvers: ['c2', 'c3'], approvals: 2, timeout_ms: 500, on_timeout: 'reject' })] },
        rulesLookup.id,
      ),
      ...reply('handler-registered', some({ handler_id: 'id-1' })),
    },
  },
  {
    title: 'refuses a pattern that fits its own messages',
    message: 'register-handler',
    body: { ...BODY, match: { types: ['https://didcomm.org/*', '*'] } },
    ...problem('bad-request', /^The pattern \* matches the messages by which handlers themselves/),
  },
  {
    title: 'refuses a pattern that fits its own answer',
    message: 'register-handler',
    body: { ...BODY, match: { types: ['*/decision'] } },
    ...problem('bad-request', /^The pattern \*\/decision matches/),
  },
  {
    title: 'refuses a handler of the connection that it asks',
    message: 'register-handler',
    body: { ...BODY, match: { ...MATCH, connections: ['c2', 'c1'] } },
    ...problem('bad-request', /^Connection c1 is asked by this handler/),
  },
  {
    title: 'refuses the 101st handler',
    message: 'register-handler',
    body: BODY,
    loaded: config({ handlers: Array.from({ length: 100 }, () => HANDLER) }),
    ...problem('bad-request', 'There are 100 handlers already'),
  },
  {
    title: 'refuses a connection without the grant',
    message: 'register-handler',
    body: { ...BODY, approvers: ['c2'] },
    loaded: granted('c2', []),
    ...problem('bad-request', 'Connection c2 has no grant agent-config'),
  },
  {
    title: 'refuses an unknown connection',
    message: 'register-handler',
    body: { ...BODY, approvers: ['c2'] },
    ...problem('not-found', 'Connection c2 not found'),
  },
  {
    title: 'refuses an unknown member',
    message: 'register-handler',
    body: { ...BODY, url: 'http://x' },
    error: 'message-invalid',
  },
  {
    title: 'refuses a pattern without an end',
    message: 'register-handler',
    body: { ...BODY, match: { types: ['a'.repeat(201)] } },
    error: 'message-invalid',
  },
  controller('register-handler', {
    title: 'of a controller, with approvers',
    loaded: { ...config(RULES), ...granted('c1') },
    body: { ...BODY, approvers: ['c1'] },
    effects: {
      ...written({ handlers: [HANDLER, some({ handler_id: 'id-1', approvers: ['c1'] })] }, rulesLookup.id),
      answer: some({ handler_id: 'id-1' }),
    },
  }),
  controller('register-handler', {
    title: 'of a controller, without approvers',
    body: BODY,
    error: 'bad-request',
    text: 'approvers must name the connections that are asked',
  }),
  {
    title: 'removes a handler',
    message: 'unregister-handler',
    body: { handler_id: 'h1' },
    loaded: config(RULES),
    effects: { ...written({ handlers: [] }, rulesLookup.id), ...reply('handler-removed', { handler_id: 'h1' }) },
  },
  {
    title: 'does not remove an unknown one',
    message: 'unregister-handler',
    body: { handler_id: 'h2' },
    loaded: config(RULES),
    ...problem('not-found', 'No handler h2'),
  },
  controller('unregister-handler', {
    params: { handler_id: 'h1' },
    effects: { ...written({ handlers: [] }, rulesLookup.id), answer: { handler_id: 'h1' } },
  }),
  { title: 'lists handlers', message: 'list-handlers', loaded: config(RULES), effects: reply('handlers', { results: [HANDLER] }) },
  { title: 'lists none', message: 'list-handlers', effects: reply('handlers', { results: [] }) },
  controller('list-handlers', { effects: { answer: { results: [HANDLER] } } }),
  {
    title: 'sets a policy in its place',
    message: 'set-policy',
    body: { name: 'known', value: { action: 'reject' } },
    loaded: config({ policies: [POLICY, { ...POLICY, name: 'other' }] }),
    effects: {
      ...written({ policies: [{ name: 'known', value: { action: 'reject' }, scope: {} }, some({ name: 'other' })] }, rulesLookup.id),
      ...reply('policy', some({ name: 'known' })),
    },
  },
  {
    title: 'removes a policy',
    message: 'set-policy',
    body: { name: 'known', value: null },
    loaded: config(RULES),
    effects: { ...written({ policies: [] }, rulesLookup.id), ...reply('policy', { name: 'known', value: null }) },
  },
  {
    title: 'does not remove an unknown one',
    message: 'set-policy',
    body: { name: 'x', value: null },
    effects: reply('policy', { name: 'x', value: null }),
  },
  { title: 'refuses a name that is none', message: 'set-policy', body: { name: '../x', value: null }, error: 'message-invalid' },
  controller('set-policy', {
    params: { name: 'new' },
    body: { value: { action: 'hold' } },
    effects: {
      ...written({ policies: [POLICY, { name: 'new', value: { action: 'hold' }, scope: {} }] }, rulesLookup.id),
      answer: some({ name: 'new' }),
    },
  }),
  { title: 'shows a policy', message: 'get-policy', body: { name: 'known' }, loaded: config(RULES), effects: reply('policy', POLICY) },
  { title: 'does not show an unknown one', message: 'get-policy', body: { name: 'x' }, ...problem('not-found', 'No policy x') },
  controller('get-policy', { params: { name: 'known' }, effects: { answer: POLICY } }),
  { title: 'lists policies', message: 'list-policies', loaded: config(RULES), effects: reply('policies', { results: [POLICY] }) },
  controller('list-policies', { effects: { answer: { results: [POLICY] } } }),
  {
    title: 'sets the defaults as a whole',
    message: 'set-defaults',
    body: { types: ['credential-offer'] },
    loaded: config(RULES),
    effects: {
      ...written({ handlers: [HANDLER], defaults: { types: ['credential-offer'] } }, rulesLookup.id),
      ...reply('defaults', { types: ['credential-offer'] }),
    },
  },
  { title: 'refuses a point that there is not', message: 'set-defaults', body: { auto: { everything: true } }, error: 'message-invalid' },
  controller('set-defaults', { body: DEFAULTS, effects: { ...written({ defaults: DEFAULTS }, rulesLookup.id), answer: DEFAULTS } }),
  { title: 'shows the defaults', message: 'get-defaults', loaded: config(RULES), effects: reply('defaults', DEFAULTS) },
  controller('get-defaults', { effects: { answer: DEFAULTS } }),
  {
    title: 'goes on',
    message: 'decision',
    body: { decision_id: 'd1', action: 'continue' },
    loaded: { decision: DECISION },
    loads: { decision: { category: 'decision', id: 'd1' } },
    effects: {
      others: [{ def: 'decision', base: 'd1', states: ['accepted'], patch: { votes: [vote('continue')] } }],
      next: next('present'),
      ...reply('decision-recorded', some({ decision_id: 'd1', state: 'accepted', thread_id: 't1' })),
    },
  },
  {
    title: 'goes on with values of the owner',
    message: 'decision',
    body: { decision_id: 'd1', action: 'replace', values: VALUES },
    loaded: { decision: DECISION },
    effects: { others: [some({ states: ['accepted'] })], next: next('send-presentation', VALUES), send: [some({})] },
  },
  {
    title: 'refuses values that the command does not take',
    message: 'decision',
    body: { decision_id: 'd1', action: 'replace', values: { anoncreds: 'x' } },
    loaded: { decision: DECISION },
    ...problem('unprocessable', /^values: /),
  },
  {
    title: 'refuses a replacement by nothing',
    message: 'decision',
    body: { decision_id: 'd1', action: 'replace' },
    loaded: { decision: DECISION },
    ...problem('unprocessable', /^values go with/),
  },
  {
    title: 'refuses values without the action replace',
    message: 'decision',
    body: { decision_id: 'd1', action: 'continue', values: VALUES },
    loaded: { decision: DECISION },
    ...problem('unprocessable', /^values go with/),
  },
  {
    title: 'ends the exchange, with words of the owner',
    message: 'decision',
    body: { decision_id: 'd1', action: 'reject', values: { description: 'not today' } },
    loaded: { decision: DECISION },
    effects: { others: [some({ states: ['rejected'] })], next: next('report-problem', { description: 'not today' }), send: [some({})] },
  },
  {
    title: 'holds, and may be decided later',
    message: 'decision',
    body: { decision_id: 'd1', action: 'hold' },
    loaded: { decision: DECISION },
    effects: { others: [some({ states: ['held'] })], send: [some({})] },
  },
  {
    title: 'goes on after its deadline where it is held',
    message: 'decision',
    body: { decision_id: 'd1', action: 'continue' },
    loaded: { decision: decided({ deadline: NOW - 1, votes: [vote('hold')] }, 'held') },
    effects: { others: [some({ states: ['accepted'], patch: { votes: [vote('continue')] } })], next: next('present'), send: [some({})] },
  },
  {
    title: 'comes too late',
    message: 'decision',
    body: { decision_id: 'd1', action: 'continue' },
    loaded: { decision: decided({ deadline: NOW }) },
    ...problem('wrong-state', 'The deadline of the decision has passed'),
  },
  {
    title: 'comes again',
    message: 'decision',
    body: { decision_id: 'd1', action: 'continue' },
    loaded: { decision: decided({ deadline: NOW - 1, votes: [vote('continue')] }, 'accepted') },
    effects: reply('decision-recorded', some({ state: 'accepted' })),
  },
  {
    title: 'comes again with another action',
    message: 'decision',
    body: { decision_id: 'd1', action: 'reject' },
    loaded: { decision: decided({ votes: [vote('continue')] }, 'accepted') },
    ...problem('wrong-state', 'The decision is accepted already'),
  },
  {
    title: 'is one of two that have to agree',
    message: 'decision',
    body: { decision_id: 'd1', action: 'continue' },
    loaded: { decision: decided({ approvals: 2 }) },
    effects: {
      others: [{ def: 'decision', base: 'd1', patch: { votes: [vote('continue')] } }],
      ...reply('decision-recorded', some({ state: 'asked' })),
    },
  },
  {
    title: 'is the second of two that have to agree',
    message: 'decision',
    body: { decision_id: 'd1', action: 'continue' },
    loaded: { decision: decided({ approvals: 2, votes: [vote('continue', 'connection c2')] }) },
    effects: {
      others: [some({ states: ['accepted'], patch: { votes: [vote('continue', 'connection c2'), vote('continue')] } })],
      next: next('present'),
      send: [some({})],
    },
  },
  {
    title: 'of the same decider counts once',
    message: 'decision',
    body: { decision_id: 'd1', action: 'replace', values: VALUES },
    loaded: { decision: decided({ approvals: 2, votes: [vote('continue')] }) },
    effects: {
      others: [{ def: 'decision', base: 'd1', patch: { votes: [vote('replace', 'connection c1', { values: VALUES })] } }],
      send: [some({})],
    },
  },
  {
    title: 'does not agree with another one to other values',
    message: 'decision',
    body: { decision_id: 'd1', action: 'replace', values: VALUES },
    loaded: { decision: decided({ approvals: 2, votes: [vote('continue', 'connection c2')] }) },
    effects: { others: [some({ patch: some({}) })], ...reply('decision-recorded', some({ state: 'asked' })) },
  },
  {
    title: 'of one ends it, of however many',
    message: 'decision',
    body: { decision_id: 'd1', action: 'reject' },
    loaded: { decision: decided({ approvals: 2, votes: [vote('continue', 'connection c2')] }) },
    effects: {
      others: [some({ states: ['rejected'] })],
      next: next('report-problem', { description: 'The request was declined' }),
      send: [some({})],
    },
  },
  {
    title: 'is asked of others',
    message: 'decision',
    body: { decision_id: 'd1', action: 'continue' },
    loaded: { decision: decided({ approvers: ['c2'] }) },
    ...problem('forbidden', 'This decision is asked of others'),
  },
  {
    title: 'of another tenant is unknown',
    message: 'decision',
    body: { decision_id: 'd2', action: 'continue' },
    ...problem('not-found', 'There is no such decision'),
  },
  { title: 'has an unknown action', message: 'decision', body: { decision_id: 'd1', action: 'maybe' }, error: 'message-invalid' },
  controller('decision', {
    params: { decision_id: 'd1' },
    body: { action: 'continue', decider: 'ann' },
    loaded: { decision: decided({ approvers: ['c2'] }) },
    effects: {
      others: [some({ patch: { votes: [vote('continue', 'controller ann')] } })],
      next: next('present'),
      answer: some({ state: 'accepted' }),
    },
  }),
  controller('decision', {
    title: 'of a controller without a name',
    params: { decision_id: 'd1' },
    body: { action: 'hold' },
    loaded: { decision: DECISION },
    effects: { others: [some({ patch: { votes: [vote('hold', 'controller')] } })], answer: some({ state: 'held' }) },
  }),
  {
    title: 'asks the owner',
    command: 'ask',
    body: { decision_id: 'd1' },
    record: { ...CONNECTION, value: { ...CONNECTION.value, grants: ['agent-config'] } },
    loaded: { decision: DECISION },
    effects: {
      send: [
        {
          type: 'decision-request',
          id: 'd1',
          body: some({ decision_id: 'd1', thread_id: 't1', connection_id: 'c9', record: { pres_ex_id: 'x1' }, deadline: /^2030-.*Z$/ }),
        },
      ],
    },
  },
  {
    title: 'asks no connection without the grant',
    command: 'ask',
    body: { decision_id: 'd1' },
    record: CONNECTION,
    loaded: { decision: DECISION },
    effects: {},
  },
  {
    title: 'is not sent after the decision',
    command: 'ask',
    body: { decision_id: 'd1' },
    record: { ...CONNECTION, value: { ...CONNECTION.value, grants: ['agent-config'] } },
    loaded: { decision: decided({}, 'expired') },
    effects: {},
  },
  {
    title: 'notifies the owner',
    command: 'notify',
    body: { point: 'credential-offer' },
    record: { ...CONNECTION, value: { ...CONNECTION.value, grants: ['agent-config'] } },
    effects: reply('event', { topic: 'handler', payload: { point: 'credential-offer' } }),
  },
  { title: 'notifies nobody without a grant', command: 'notify', body: {}, record: CONNECTION, effects: {} },
]);

table('decisions', [
  {
    title: 'runs the verdict of the rules',
    command: 'expire',
    record: decided({ otherwise: 'accept' }),
    effects: { record: { states: ['expired'] }, next: next('present') },
  },
  {
    title: 'lets the exchange wait for its controller',
    command: 'expire',
    record: DECISION,
    effects: { record: { states: ['expired'] }, next: [FORGETTING] },
  },
  {
    title: 'is kept for ever',
    command: 'expire',
    record: DECISION,
    settings: { decisionDays: 0 },
    effects: { record: { states: ['expired'] } },
  },
  {
    title: 'is removed without a webhook when its time is up',
    command: 'forget',
    record: decided({}, 'accepted'),
    effects: { record: { remove: true, silent: true } },
  },
  { title: 'is not removed before', command: 'forget', record: decided({}, 'held'), error: 'wrong-state' },
  {
    title: 'ends the exchange',
    command: 'expire',
    record: decided({ on_timeout: 'reject', otherwise: 'accept' }),
    effects: { record: { states: ['expired'] }, next: next('report-problem', { description: 'The request was declined' }) },
  },
  {
    title: 'holds it',
    command: 'expire',
    record: decided({ on_timeout: 'hold', otherwise: 'accept' }),
    effects: { record: { states: ['held'] } },
  },
  { title: 'has no effect after the decision', command: 'expire', record: decided({}, 'accepted'), error: 'wrong-state' },
]);
