import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMostEvery, seldom } from './seldom.ts';

test('a name is told once in a while, with how often it was kept back', () => {
  let now = 0;
  const allowed = seldom(100, 2, () => now);
  assert.deepEqual([allowed('a'), allowed('a'), allowed('b'), allowed('a')], [0, undefined, 0, undefined]);
  now = 100;
  assert.equal(allowed('a'), 2);
  assert.deepEqual([allowed('c'), allowed('b')], [0, 0], 'the oldest was forgotten');
});

test('a check that is asked for all the time runs now and then, and one at a time', async () => {
  let now = 0;
  let runs = 0;
  const gate = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const ask = atMostEvery(
    100,
    async () => {
      const run = runs++;
      await gate[run]!.promise;
      if (run === 1) throw new Error('full');
      return run;
    },
    () => now,
  );
  const first = [ask(), ask()];
  now = 1000;
  const same = ask();
  gate[0]!.resolve();
  assert.deepEqual(await Promise.all([...first, same]), [0, 0, 0]);
  now = 1099;
  assert.equal(await ask(), 0);
  now = 1100;
  gate[1]!.resolve();
  await assert.rejects(ask(), /full/);
  now = 1150;
  await assert.rejects(ask(), /full/);
  assert.equal(runs, 2);
});
