import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentNames } from './recent-names.ts';

test('the last names are known, and of earlier ones no more than as many again', () => {
  const names = new RecentNames(10);
  for (let i = 0; i < 95; i++) names.add(String(i));
  const known = Array.from({ length: 95 }, (_, i) => i).filter((i) => names.has(String(i)));
  assert.deepEqual(
    known,
    Array.from({ length: 15 }, (_, i) => 80 + i),
  );
});

test('a name that is added again stays', () => {
  const names = new RecentNames(2);
  for (const name of ['a', 'b', 'c', 'a', 'd']) names.add(name);
  assert.equal(names.has('a'), true);
  assert.equal(names.has('b'), false);
});
