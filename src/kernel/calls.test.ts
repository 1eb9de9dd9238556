import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCalls } from './calls.ts';
import type { StepOrder } from './commands.ts';
import type { Kernel } from './context.ts';
import type { Engine } from './engine.ts';
import type { WorkContext } from './work.ts';

test('a call awaits its answers in memory while it runs, unless it has a key under which it may be asked for again', async () => {
  const awaitedCalls = new Set<string>();
  const kernel = {
    awaitedCalls,
    registry: { command: () => ({ protocol: { binds: { category: 'x' } }, step: { from: '*', step: () => ({}) } }) },
    profiles: { of: async () => ({ settings: {} }) },
    db: { isShared: false, store: { loadWithDedupKey: async () => ({ records: [] }) }, jobs: { subscribe: () => () => undefined } },
  } as unknown as Kernel;
  const seen: boolean[] = [];
  const engine = {
    async transition({ origin }: StepOrder) {
      seen.push(awaitedCalls.has(origin.callId!));
      return { answer: {}, spawned: false };
    },
  } as unknown as Engine;
  const calls = createCalls(kernel, engine, {}, () => ({}) as WorkContext);
  const input = { body: {}, query: {} };
  await calls.call('t', 'protocol', 'command', { input });
  await calls.call('t', 'protocol', 'command', { input, key: 'once' });
  assert.deepEqual(seen, [true, false]);
  assert.equal(awaitedCalls.size, 0);
});
