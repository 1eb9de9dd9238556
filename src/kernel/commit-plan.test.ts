import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextOf, registry } from '../../test/support/steps.ts';
import { planCommit } from './commit-plan.ts';
import type { Kernel, Profile } from './context.ts';

const protocol = registry.protocol('anoncreds-schema');
const JOB = { id: 'job', lease: 'lease' };

const planned = async (awaited: readonly string[], origin: Parameters<typeof planCommit>[5]) => {
  const kernel = { registry, awaitedCalls: new Set(awaited), messageFormats: [{ isFormatOf: () => true }] } as unknown as Kernel;
  const ctx = contextOf(protocol, { record: { id: 'r1', state: 'action' } });
  const profile = { settings: ctx.settings, webhooks: [] } as unknown as Profile;
  const { commit, answer } = await planCommit(kernel, profile, protocol, ctx, { answer: { n: 1 } }, origin);
  assert.deepEqual(answer, { n: 1 });
  return { results: commit.results, answers: commit.answers };
};

test('the answer of a call is stored, unless the call alone can ask for it and waits here', async () => {
  const answer = [{ callId: 'call', value: { n: 1 } }];
  assert.deepEqual(await planned([], { callId: 'call', job: JOB }), { results: answer, answers: undefined });
  assert.deepEqual(await planned(['another'], { callId: 'call', interim: true }), { results: answer, answers: undefined });
  assert.deepEqual(await planned(['call'], { callId: 'call', job: JOB }), { results: undefined, answers: answer });
  assert.deepEqual(await planned(['call'], { callId: 'call', interim: true }), { results: undefined, answers: answer });
});
