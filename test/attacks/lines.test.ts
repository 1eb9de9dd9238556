import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { listed } from './run.ts';

const ROOT = new URL('../../', import.meta.url);

test('each mutation of the attacks changes a line that is there, once', async () => {
  const list = await listed();
  assert.equal(new Set(list.map(({ id }) => id)).size, list.length, 'an id stands twice');
  const moved = list.flatMap(({ id, mutation }) => {
    const found = readFileSync(new URL(mutation.file, ROOT), 'utf8').split(mutation.from).length - 1;
    return found === 1 ? [] : [`${id}: ${found} times in ${mutation.file}`];
  });
  assert.deepEqual(moved, []);
});
