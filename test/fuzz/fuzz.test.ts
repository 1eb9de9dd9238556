import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from './fuzz.ts';
import { mutateBytes, mutatedJson, rng } from './mutate.ts';

test('the same seed and case do the same damage', () => {
  const once = (): string[] => [
    mutatedJson(rng(7, 3), { a: [1, { b: 'c' }], d: 'e' }, ['w']),
    mutateBytes(rng(7, 4), Buffer.from('some bytes')).toString('hex'),
  ];
  assert.deepEqual(once(), once());
});

test('two thousand damaged envelopes, messages, calls and ledger objects: nothing breaks', async () => {
  const { findings, kinds, statuses } = await fuzz({ count: 2000, seed: 20 });
  assert.deepEqual(findings, []);
  for (const kind of ['envelope', 'message', 'admin', 'ledger']) assert.ok(kinds[kind]! > 50, `${kinds[kind]} cases of ${kind}`);
  // damage that is refused at the door all of the time would test the door alone
  assert.ok(statuses['admin 200']! > 10 && statuses['message 202']! > 300);
});
