import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedMap } from './bounded-map.ts';

test('the entry that was set longest ago leaves first', () => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1).set('b', 2).set('c', 3);
  assert.deepEqual(
    [...map],
    [
      ['b', 2],
      ['c', 3],
    ],
  );
});

test('an entry that is set again is the newest', () => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1).set('b', 2).set('a', 3).set('c', 4);
  assert.deepEqual(
    [...map],
    [
      ['a', 3],
      ['c', 4],
    ],
  );
});

test('an evicted entry is reported; a deleted or a replaced one is not', () => {
  const gone: string[] = [];
  const map = new BoundedMap<string, number>(2, (value, key) => gone.push(`${key} ${value}`));
  map.set('a', 1).set('a', 2).set('b', 3);
  map.delete('b');
  map.set('c', 4).set('d', 5);
  assert.deepEqual(gone, ['a 2']);
});
