import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LIST, testsOf, titlesIn } from './list.ts';
import { sources } from './run.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const upTo = (paper: string, last: number): string[] =>
  Array.from({ length: last }, (_, i) => `${paper}-${String(i + 1).padStart(2, '0')}`);

test('the list has each of the 175 rows once: met, by tests that are there and by a mutation that they notice, or not yet, with the reason', () => {
  assert.deepEqual(
    LIST.map(({ id }) => id),
    [...upTo('S1', 36), ...upTo('S2', 121), ...upTo('D', 18)],
  );
  const texts = sources();
  for (const row of LIST) {
    const tests = testsOf(row, texts);
    if (row.missing !== undefined) {
      assert.ok(row.missing.length > 5 && row.tests === undefined, row.id);
      continue;
    }
    assert.ok(tests.length > 0, `${row.id} has no test`);
    assert.ok(row.mutation, `${row.id} has no mutation`);
    for (const [file, title] of tests)
      assert.ok(
        titlesIn(texts.get(file) ?? '').some((one) => one.startsWith(title)),
        `${row.id}: ${file} has no test "${title}"`,
      );
  }
});

test('each mutation changes a line that is there, once', () => {
  for (const { id, mutation } of LIST)
    if (mutation) {
      const found = readFileSync(`${ROOT}${mutation.file}`, 'utf8').split(mutation.from).length - 1;
      assert.equal(found, 1, `${id}: its line is there ${found} times in ${mutation.file}`);
    }
});
