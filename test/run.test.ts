import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { filesOf, LONG, LONGEST } from './run.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

function flexidTest(...args: string[]): { status: number | null; out: string; err: string } {
  return flexidTestWith({}, ...args);
}

function flexidTestWith(more: NodeJS.ProcessEnv, ...args: string[]): { status: number | null; out: string; err: string } {
  // a test that starts the runner again is none of the outer runner's
  const { NODE_TEST_CONTEXT: _outer, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'test', ...args], { encoding: 'utf8', env: { ...env, ...more } });
  return { status, out: stdout, err: stderr };
}

test('the long suites run when they are named and with --full, and are all there', () => {
  const [all, full] = [filesOf([]), filesOf([], true)];
  assert.deepEqual(
    full.filter((file) => !all.includes(file)),
    [...LONG],
  );
  for (const file of [...LONG, ...LONGEST]) assert.deepEqual(filesOf([file]), [file]);
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

test('without a Chromium pages are skipped, in one line that names the way to run them; where one is required they fail', () => {
  const without = { FLEXID_CHROMIUM: '/no/such/browser', FLEXID_REQUIRE_CHROMIUM: '' };
  const skipped = flexidTestWith(without, 'test/web/demo');
  assert.match(
    skipped.out,
    /\nskipped: web \(no Chromium: apt-get install chromium, or set FLEXID_CHROMIUM\)\n\n0 passed, 0 failed, 1 skipped\n$/,
  );
  const required = flexidTestWith({ ...without, FLEXID_REQUIRE_CHROMIUM: '1' }, 'test/web/demo');
  assert.equal(required.status, 1);
  assert.match(required.out, /Error: no Chromium/);
  assert.match(required.out, /\n0 passed, 1 failed\n$/);
});

test('many files share processes: each has its own hooks, and one that cannot run is a failure', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-run-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const hooks = (name: string): string => `import { after, before, test } from 'node:test';
    before(() => { globalThis.open = (globalThis.open ?? 0) + 1; });
    after(() => { globalThis.open--; });
    test('${name}', () => { if (globalThis.open !== 1) throw new Error(globalThis.open + ' files are open'); });`;
  const contents: Record<string, string> = {
    'one.test.ts': hooks('one'),
    'two.test.ts': hooks('two'),
    'hook.test.ts': `import { before, test } from 'node:test'; before(() => { throw new Error('no database'); }); test('three', () => {});`,
    'missing.test.ts': `import 'no-such-package';`,
    'failing.test.ts': `import { suite, test } from 'node:test'; suite('of four', () => { test('four', () => { throw new Error('no'); }); });`,
  };
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder, name), text);
  const files = Object.keys(contents);
  const runner = `import { run } from 'node:test';
    import { follow, shareFiles } from ${JSON.stringify(new URL('./run.ts', import.meta.url).href)};
    const files = ${JSON.stringify(files)};
    const shared = shareFiles(files, 60_000, ${JSON.stringify(folder)});
    const stream = run({ files: shared.entries, concurrency: shared.entries.length });
    const tally = follow(stream, files);
    for await (const _event of stream);
    shared.remove();
    const { passed, failed, failures, seconds } = tally();
    console.log(JSON.stringify({ passed, failed, failures: failures.length, named: [...seconds.keys()].sort() }));`;
  const { NODE_TEST_CONTEXT: _outer, ...env } = process.env;
  const script = join(folder, 'runner.mjs');
  writeFileSync(script, runner);
  const { stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8', env });
  const told = JSON.parse(stdout || stderr);
  // the test behind the hook, the hook, the file that is not loaded, and the test of the last
  assert.deepEqual(told, { passed: 2, failed: 4, failures: 4, named: files.sort() });
});
