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
  const map = new BoundedMap<string, number>(2, { evicted: (value, key) => gone.push(`${key} ${value}`) });
  map.set('a', 1).set('a', 2).set('b', 3);
  map.delete('b');
  map.set('c', 4).set('d', 5);
  assert.deepEqual(gone, ['a 2']);
});

test('an entry that is spared counts as new, and the next one leaves', () => {
  const gone: string[] = [];
  const used = new Set(['a']);
  const map = new BoundedMap<string, string>(2, { evicted: (_, key) => gone.push(key), spared: (value) => used.delete(value) });
  map.set('a', 'a').set('b', 'b').set('c', 'c').set('d', 'd');
  assert.deepEqual(
    [gone, [...map.keys()]],
    [
      ['b', 'a'],
      ['c', 'd'],
    ],
  );
});

test('the oldest entry leaves first among entries that are set again, deleted and cleared in between', () => {
  const map = new BoundedMap<number, number>(50);
  let plain: number[] = [];
  let state = 7;
  for (let i = 0; i < 20_000; i++) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const key = state % 90;
    if (state % 11 === 0) {
      map.delete(key);
      plain = plain.filter((one) => one !== key);
    } else if (i % 3000 === 2999) {
      map.clear();
      plain = [];
    } else {
      map.set(key, i);
      plain = [...plain.filter((one) => one !== key), key].slice(-50);
    }
    assert.deepEqual([...map.keys()], plain);
  }
});
