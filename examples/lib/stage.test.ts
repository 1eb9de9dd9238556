import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withFolder } from './stage.ts';

test('--keep takes a folder, or a new one where none is named', () => {
  const given = (...argv: string[]): string[] => withFolder(argv, () => '/new');
  assert.deepEqual(given('--keep', '--console'), ['--keep', '/new', '--console']);
  assert.deepEqual(given('--console', '--keep'), ['--console', '--keep', '/new']);
  assert.deepEqual(given('--keep', 'mine', '--rows', '2'), ['--keep', 'mine', '--rows', '2']);
  assert.deepEqual(given('--console'), ['--console']);
});
