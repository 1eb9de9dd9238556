import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SETTINGS } from '../../test/support/steps.ts';
import {
  type Asked,
  type AtPoint,
  globFits,
  type Handler,
  nextAt,
  POINTS,
  type Policy,
  type Rules,
  type Verdict,
  verdict,
  withDefaults,
} from './decisions.ts';

const OFFER: Asked = {
  point: 'credential-offer',
  type: 'https://didcomm.org/issue-credential/2.0/offer-credential',
  connection: 'c1',
  names: ['c1', 'did:peer:issuer'],
  automatic: true,
  issuers: ['did:algo:one'],
  credential_definitions: ['did:algo:one/degree'],
};
const REQUEST: Asked = {
  point: 'presentation-request',
  type: 'https://didcomm.org/present-proof/2.0/request-presentation',
  connection: 'c2',
  names: ['c2', 'did:peer:verifier'],
  automatic: true,
};

const handler = (handler_id: string, types: string[], more: Partial<Handler> = {}): Handler => ({
  ...{ handler_id, match: { types }, mode: 'consult', deliver: 'didcomm', approvers: ['owner'], approvals: 1, timeout_ms: 1000 },
  on_timeout: 'default',
  ...more,
});
const policy = (name: string, value: Policy['value'], scope: Policy['scope'] = {}): Policy => ({ name, value, scope });

interface Case {
  readonly title: string;
  readonly asked?: Asked;
  readonly rules: Partial<Rules>;
  readonly action: Verdict['action'];
  readonly consult?: string;
  readonly notify?: readonly string[];
}

const CASES: readonly Case[] = [
  { title: 'no rules: the setting is on', rules: {}, action: 'accept' },
  { title: 'no rules: the setting is off', asked: { ...OFFER, automatic: false }, rules: {}, action: 'hold' },
  { title: 'an issuer that is known', rules: { defaults: { issuers: ['did:algo:one'] } }, action: 'accept' },
  { title: 'an issuer that is not', rules: { defaults: { issuers: ['did:algo:two'] } }, action: 'hold' },
  { title: 'no issuer is known', rules: { defaults: { issuers: [] } }, action: 'hold' },
  {
    title: 'a second format of an issuer that is not known',
    asked: { ...OFFER, issuers: ['did:algo:one', 'did:algo:two'] },
    rules: { defaults: { issuers: ['did:algo:one'] } },
    action: 'hold',
  },
  {
    title: 'an offer that names no issuer',
    asked: { ...OFFER, issuers: [''] },
    rules: { defaults: { issuers: ['did:algo:one'] } },
    action: 'hold',
  },
  {
    title: 'an offer in no format',
    asked: { ...OFFER, issuers: [] },
    rules: { defaults: { issuers: ['did:algo:one'] } },
    action: 'hold',
  },
  {
    title: 'a credential definition that is not known',
    rules: { defaults: { issuers: ['did:algo:one'], credential_definitions: ['did:algo:one/licence'] } },
    action: 'hold',
  },
  { title: 'a verifier that is not known', asked: REQUEST, rules: { defaults: { verifiers: ['c1'] } }, action: 'hold' },
  { title: 'a verifier by its connection', asked: REQUEST, rules: { defaults: { verifiers: ['c2'] } }, action: 'accept' },
  { title: 'a verifier by its DID', asked: REQUEST, rules: { defaults: { verifiers: ['did:peer:verifier'] } }, action: 'accept' },
  { title: 'verifiers are not asked of an offer', rules: { defaults: { verifiers: [] } }, action: 'accept' },
  { title: 'issuers are not asked of a proof request', asked: REQUEST, rules: { defaults: { issuers: [] } }, action: 'accept' },
  { title: 'a type that is not known', rules: { defaults: { types: ['https://didcomm.org/present-proof/*'] } }, action: 'hold' },
  { title: 'a type that is known by its point', rules: { defaults: { types: ['credential-*'] } }, action: 'accept' },
  {
    title: 'a known issuer of an exchange that is not automatic',
    asked: { ...OFFER, automatic: false },
    rules: { defaults: { issuers: ['did:algo:one'] } },
    action: 'hold',
  },
  {
    title: 'the first policy that fits',
    rules: { policies: [policy('a', { action: 'reject' }), policy('b', { action: 'accept' })] },
    action: 'reject',
  },
  {
    title: 'a policy of another issuer does not fit',
    rules: { policies: [policy('a', { action: 'reject', issuers: ['did:algo:two'] }), policy('b', { action: 'hold' })] },
    action: 'hold',
  },
  {
    title: 'a policy of issuers, of an exchange without one',
    asked: REQUEST,
    rules: { policies: [policy('a', { action: 'reject', issuers: ['did:algo:one'] })] },
    action: 'accept',
  },
  {
    title: 'a policy that accepts, before the defaults',
    asked: { ...OFFER, automatic: false },
    rules: { policies: [policy('a', { action: 'accept', issuers: ['did:algo:one'] })], defaults: { issuers: [] } },
    action: 'accept',
  },
  {
    title: 'a policy of a connection',
    rules: { policies: [policy('a', { action: 'reject' }, { connections: ['c2'] })] },
    action: 'accept',
  },
  { title: 'a policy of a role', rules: { policies: [policy('a', { action: 'reject' }, { roles: ['holder'] })] }, action: 'reject' },
  {
    title: 'a policy of verifiers',
    asked: REQUEST,
    rules: { policies: [policy('a', { action: 'reject', verifiers: ['c2'] })] },
    action: 'reject',
  },
  { title: 'a handler of the type', rules: { handlers: [handler('h', ['*/offer-credential'])] }, action: 'accept', consult: 'h' },
  { title: 'a handler of the point', rules: { handlers: [handler('h', ['credential-offer'])] }, action: 'accept', consult: 'h' },
  { title: 'a handler of another type', rules: { handlers: [handler('h', ['*/request-presentation'])] }, action: 'accept' },
  {
    title: 'the first handler of two decides, before all policies',
    rules: {
      handlers: [handler('n', ['*'], { mode: 'notify' }), handler('h1', ['*']), handler('h2', ['*'])],
      policies: [policy('a', { action: 'reject' })],
    },
    action: 'reject',
    consult: 'h1',
    notify: ['n'],
  },
  {
    title: 'a handler of another connection',
    rules: { handlers: [handler('h', ['*'], { match: { types: ['*'], connections: ['c2'] } })] },
    action: 'accept',
  },
  {
    title: 'a handler of a connection, of an exchange without one',
    asked: { ...OFFER, connection: undefined, names: [] },
    rules: { handlers: [handler('h', ['*'], { match: { types: ['*'], connections: ['c1'] } })] },
    action: 'accept',
  },
  {
    title: 'a handler of another role',
    rules: { handlers: [handler('h', ['*'], { match: { types: ['*'], roles: ['prover'] } })] },
    action: 'accept',
  },
  { title: 'an exchange of an approver', rules: { handlers: [handler('h', ['*'], { approvers: ['c3', 'c1'] })] }, action: 'accept' },
];

describe('verdict', () => {
  for (const { title, asked = OFFER, rules, action, consult, notify = [] } of CASES)
    test(title, () => {
      const found = verdict(asked, { handlers: [], policies: [], defaults: {}, ...rules });
      assert.deepEqual(
        { action: found.action, consult: found.consult?.handler_id, notify: found.notify.map(({ handler_id }) => handler_id) },
        { action, consult, notify },
      );
    });
});

test('a glob stands for any text at each star, and for itself elsewhere', () => {
  for (const [glob, text, fits] of [
    ['a', 'a', true],
    ['a', 'ab', false],
    ['*', '', true],
    ['a*', 'a', true],
    ['*b', 'ab', true],
    ['a*a', 'a', false],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['a*b*b', 'ab', false],
    ['a.c', 'abc', false],
    [`${'*a'.repeat(100)}*`, 'a'.repeat(99), false],
    [`${'*a'.repeat(100)}*`, 'a'.repeat(100), true],
  ] as const)
    assert.equal(globFits(glob, text), fits, `${glob} ${text}`);
});

test('without rules the next command is that of the settings, without a look at the exchange', () => {
  const at: AtPoint = {
    message: 'offer-credential',
    accept: 'send-request',
    reject: 'report-problem',
    facts: () => assert.fail('nobody asks'),
  };
  const surrounding = { settings: SETTINGS, uri: 'https://didcomm.org/issue-credential/2.0' };
  assert.deepEqual(nextAt(surrounding, 'credential-offer', at), []);
  assert.deepEqual(nextAt(surrounding, 'credential-offer', { ...at, automatic: true }), [{ command: 'send-request' }]);
  const settings = { ...SETTINGS, autoRespondCredentialOffer: true };
  assert.deepEqual(nextAt({ ...surrounding, settings }, 'credential-offer', at), [{ command: 'send-request' }]);
  assert.deepEqual(nextAt({ ...surrounding, settings }, 'credential-offer', { ...at, automatic: false }), []);
});

test('defaults stand in the place of the settings of their points', () => {
  for (const [point, traits] of Object.entries(POINTS))
    if ('setting' in traits) assert.equal(withDefaults(SETTINGS, { auto: { [point]: true } })[traits.setting], true, point);
  assert.deepEqual(withDefaults(SETTINGS, { auto: { 'hub-grant-request': true } }), SETTINGS);
  assert.equal(withDefaults(SETTINGS, { label: 'Firm' }).label, 'Firm');
  assert.deepEqual(withDefaults(SETTINGS, {}), SETTINGS);
});
