import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { filesOf, LONG } from './run.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

function flexidTest(...args: string[]): { status: number | null; out: string; err: string } {
  // a test that starts the runner again is none of the outer runner's
  const { NODE_TEST_CONTEXT: _outer, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'test', ...args], { encoding: 'utf8', env });
  return { status, out: stdout, err: stderr };
}

test('the long suites run when they are named and with --full, and are all there', () => {
  const [all, full] = [filesOf([]), filesOf([], true)];
  assert.deepEqual(
    full.filter((file) => !all.includes(file)),
    [...LONG],
  );
  for (const file of LONG) assert.deepEqual(filesOf([file]), [file]);
});

test('./flexid test unit is the tests beside src, but for the adapters', () => {
  const files = filesOf(['unit']);
  const all = filesOf(['src/']).filter((file) => file.startsWith('src/'));
  assert.deepEqual(
    all.filter((file) => !files.includes(file)),
    all.filter((file) => file.startsWith('src/adapters/')),
  );
  for (const folder of ['kernel', 'protocols', 'records', 'resources', 'formats', 'didcomm'])
    assert.ok(
      files.some((file) => file.startsWith(`src/${folder}/`)),
      folder,
    );
});

test('./flexid test WORD --name REGEX runs the tests whose title matches, and fails where none does', () => {
  const one = flexidTest('mediation/routing', '--name', 'handed on before');
  assert.equal(one.status, 0, one.out + one.err);
  assert.match(one.out, /\n1 passed, 0 failed\n$/);
  const none = flexidTest('mediation/routing', '--name', 'no such title');
  assert.equal(none.status, 1);
  assert.match(none.out, /no test has a title that matches/);
});

test('./flexid test refuses what is no pattern, no flag and no file', () => {
  assert.deepEqual(flexidTest('--name', '(').status, 2);
  assert.deepEqual(flexidTest('--bogus').status, 2);
  assert.match(flexidTest('no/such/file').err, /no test file matches/);
});
