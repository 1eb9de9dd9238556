import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextOf, registry } from '../../test/support/steps.ts';
import { storedValue } from '../ports/stored-value.ts';
import { planCommit } from './commit-plan.ts';
import type { Kernel, Profile } from './context.ts';
import type { Effects } from './effects.ts';

const protocol = registry.protocol('anoncreds-schema');
const JOB = { id: 'job', lease: 'lease' };

const VALUE = storedValue({ a: 1, deep: {} as Record<string, unknown>, schema: { issuerId: 'did' } });

const commitOf = async (
  effects: Effects,
  origin: Parameters<typeof planCommit>[5],
  awaited: readonly string[] = [],
  value: Record<string, unknown> = VALUE,
) => {
  const kernel = { registry, awaitedCalls: new Set(awaited), messageFormats: [{ isFormatOf: () => true }] } as unknown as Kernel;
  const ctx = contextOf(protocol, { record: { id: 'r1', state: 'action', value } });
  const profile = { settings: ctx.settings, webhooks: [] } as unknown as Profile;
  return (await planCommit(kernel, profile, protocol, ctx, effects, origin)).commit;
};
const planned = async (awaited: readonly string[], origin: Parameters<typeof planCommit>[5]) => {
  const { results, answers } = await commitOf({ answer: { n: 1 } }, origin, awaited);
  return { results, answers };
};

test('the answer of a call is stored, unless the call alone can ask for it and waits here', async () => {
  const answer = [{ callId: 'call', value: { n: 1 } }];
  assert.deepEqual(await planned([], { callId: 'call', job: JOB }), { results: answer, answers: undefined });
  assert.deepEqual(await planned(['another'], { callId: 'call', interim: true }), { results: answer, answers: undefined });
  assert.deepEqual(await planned(['call'], { callId: 'call', job: JOB }), { results: undefined, answers: answer });
  assert.deepEqual(await planned(['call'], { callId: 'call', interim: true }), { results: undefined, answers: answer });
});

test('a value that a change leaves as it was is not written again', async () => {
  const isSame = async (record: Effects['record'], value?: Record<string, unknown>) =>
    (await commitOf({ record: { ...record, silent: true } }, {}, [], value)).records!.map((one) => one.isSameValue ?? false);
  assert.deepEqual(await isSame({}), [true]);
  assert.deepEqual(await isSame({ patch: { a: 1 } }), [true]);
  assert.deepEqual(await isSame({ states: ['finished'] }), [true]);
  assert.deepEqual(await isSame({ patch: { a: 2 } }), [false]);
  assert.deepEqual(await isSame({ patch: { b: 1 } }), [false]);
  assert.deepEqual(await isSame({ patch: { a: undefined } }), [false]);
  assert.deepEqual(await isSame({ patch: { b: undefined } }), [true]);
  assert.deepEqual(await isSame({ patch: { deep: {} } }), [false]);
  // it may have been changed in place
  assert.deepEqual(await isSame({ patch: { deep: VALUE.deep } }), [false]);
  assert.deepEqual(await isSame({}, { ...VALUE, more: 1 }), [false], 'more is in it than is stored');
  const undelivered = storedValue({ ...VALUE, undelivered: true, error_msg: 'no' });
  assert.deepEqual(await isSame({}, undelivered), [true]);
  assert.deepEqual(await isSame({ states: ['finished'] }, undelivered), [false], 'the mail that was not delivered is dropped');
});

test('a call is unanswered after its first commit where it waits here for what that orders', async () => {
  const order = { work: [{ op: 'one/two', input: {}, result: 'made' }] };
  const isUnanswered = async (...[effects, origin, awaited]: Parameters<typeof commitOf>) =>
    (await commitOf(effects, origin, awaited)).isUnanswered ?? false;
  assert.equal(await isUnanswered(order, { callId: 'call' }, ['call']), true);
  assert.equal(await isUnanswered(order, { callId: 'call' }), false);
  assert.equal(await isUnanswered(order, { callId: 'call', job: JOB }, ['call']), false);
  assert.equal(await isUnanswered(order, { callId: 'call', interim: true }, ['call']), false);
  assert.equal(await isUnanswered({ answer: { n: 1 } }, { callId: 'call' }, ['call']), false);
  const { answers } = await commitOf({ ...order, answer: { n: 1 } }, { callId: 'call' }, ['call']);
  assert.equal(answers, undefined, 'the call has it from its own commit');
});
