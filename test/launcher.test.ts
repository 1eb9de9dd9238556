import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'flexid-launcher-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A clone with the launcher, a program to launch, and an npm that writes down what it is asked and installs what the two packages with native builds look like. */
function clone(): {
  root: string;
  run: (env?: Record<string, string>, ...args: string[]) => { out: string; stderr: string; status: number | null };
  asked: () => string[];
} {
  const root = mkdtempSync(join(folder, 'clone-'));
  for (const file of ['flexid', 'package.json', 'package-lock.json', 'runtime/prune.ts', 'runtime/package.json']) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    cpSync(join(ROOT, file), join(root, file));
  }
  mkdirSync(join(root, 'src'));
  writeFileSync(join(root, 'src/main.ts'), `console.log('ran', ...process.argv.slice(2));`);
  const bin = join(root, 'bin');
  mkdirSync(bin);
  writeFileSync(
    join(bin, 'npm'),
    `#!/bin/sh
echo "$@" >>"${root}/asked"
rm -rf node_modules
for one in koffi/build/koffi/linux_x64 koffi/build/koffi/linux_arm64 koffi/build/koffi/musl_x64 koffi/build/koffi/win32_x64 koffi/build/koffi/darwin_arm64 \\
  sodium-native/prebuilds/linux-x64 sodium-native/prebuilds/linux-arm64 sodium-native/prebuilds/android-arm64 sodium-native/prebuilds/darwin-arm64; do
  mkdir -p "node_modules/$one"
done
`,
  );
  chmodSync(join(bin, 'npm'), 0o755);
  const PATH = [bin, dirname(process.execPath), '/usr/bin', '/bin'].join(':');
  return {
    root,
    run(env = {}, ...args) {
      const { stdout, stderr, status } = spawnSync('sh', [join(root, 'flexid'), ...args], {
        encoding: 'utf8',
        env: { PATH, HOME: root, LIB_ANONCREDS_PATH: root, ...env },
      });
      return { out: stdout, stderr: stderr, status };
    },
    asked: () => (existsSync(join(root, 'asked')) ? readFileSync(join(root, 'asked'), 'utf8').trim().split('\n') : []),
  };
}

const builds = (root: string): string[] =>
  ['koffi/build/koffi', 'sodium-native/prebuilds'].flatMap((path) => readdirSync(join(root, 'node_modules', path))).sort();

test('production mode installs nothing for development and nothing for other platforms, once, in silence; either mode follows the other', () => {
  const { root, run, asked } = clone();
  const first = run({ FLEXID_PRODUCTION: '1' }, 'start', '--help');
  assert.deepEqual([first.out, first.status], ['ran start --help\n', 0], first.stderr);
  assert.equal(first.stderr, 'flexid: installing npm packages, those of production only (once)\n');
  assert.match(asked().at(-1)!, /^ci --omit=dev --ignore-scripts /);
  const { platform, arch } = process;
  assert.deepEqual(
    builds(root),
    [`${platform}-${arch}`, `${platform}_${arch}`, `musl_${arch}`].filter((name) => !(name === 'musl_arm64')).sort(),
  );
  assert.deepEqual(run({ FLEXID_PRODUCTION: '1' }, 'start'), { out: 'ran start\n', stderr: '', status: 0 });
  assert.equal(asked().length, 1);

  const development = run({}, 'test');
  assert.equal(development.stderr, 'flexid: installing npm packages (once)\n');
  assert.match(asked().at(-1)!, /^ci --ignore-scripts /);
  assert.equal(builds(root).length, 9);
  assert.deepEqual(run({ FLEXID_PRODUCTION: '0' }, 'test'), { out: 'ran test\n', stderr: '', status: 0 });
  run({ FLEXID_PRODUCTION: '1' }, 'start');
  assert.deepEqual([asked().length, builds(root).length < 9], [3, true]);

  // another version of the packages
  writeFileSync(join(root, 'package-lock.json'), `${readFileSync(join(root, 'package-lock.json'), 'utf8')}\n`);
  assert.match(run({ FLEXID_PRODUCTION: '1' }, 'start').stderr, /production only/);
});

test('where everything is there no npm is needed; where it is not, that is said', () => {
  const { root, run } = clone();
  rmSync(join(root, 'bin/npm'));
  const PATH = join(root, 'bin');
  for (const name of ['sh', 'dirname', 'cmp', 'cat', 'mkdir', 'rm', 'cp', 'uname', 'sleep']) {
    const at = ['/usr/bin', '/bin'].find((one) => existsSync(join(one, name)))!;
    writeFileSync(join(PATH, name), `#!/bin/sh\nexec ${at}/${name} "$@"\n`, { mode: 0o755 });
  }
  writeFileSync(join(PATH, 'node'), `#!/bin/sh\nexec ${process.execPath} "$@"\n`, { mode: 0o755 });
  assert.match(run({ PATH }, 'start').stderr, /npm is needed once/);
  mkdirSync(join(root, 'node_modules'));
  cpSync(join(root, 'package-lock.json'), join(root, 'node_modules/.flexid-lock'));
  assert.deepEqual(run({ PATH }, 'start'), { out: 'ran start\n', stderr: '', status: 0 });
});

test('a set-up that was killed holds up nobody', async () => {
  const { root, run } = clone();
  const dead = spawn(process.execPath, ['-e', '']);
  await once(dead, 'exit');
  mkdirSync(join(root, '.flexid/setup.lock'), { recursive: true });
  writeFileSync(join(root, '.flexid/setup.lock/pid'), `${dead.pid}\n`);
  assert.equal(run({}, 'start').out, 'ran start\n');
  assert.equal(existsSync(join(root, '.flexid/setup.lock')), false);
});

test('V8 is bounded for an agent, more so for a small one, and not for other commands; the operator’s options come last', () => {
  const { root, run } = clone();
  run({}, 'start');
  writeFileSync(join(root, 'src/main.ts'), 'console.log(process.env.NODE_OPTIONS);');
  const small = '--max-semi-space-size=1 --max-old-space-size=96';
  for (const [env, args, options] of [
    [{}, ['start'], '--max-semi-space-size=8'],
    [{}, ['start', 'mediator', '--profile', 'small'], small],
    [{}, ['start', '--profile=small', '--label', 'x'], small],
    [{ FLEXID_PROFILE: 'small' }, ['start'], small],
    [{ NODE_OPTIONS: '--max-old-space-size=200' }, ['start', '--profile', 'small'], `${small} --max-old-space-size=200`],
    [{}, ['test', '--profile', 'small'], 'undefined'],
  ] as const)
    assert.equal(run(env, ...args).out, `${options}\n`, JSON.stringify([env, args]));
  writeFileSync(join(root, 'src/main.ts'), 'console.log(process.env.MALLOC_ARENA_MAX, process.env.MALLOC_TRIM_THRESHOLD_);');
  assert.equal(run({}, 'start').out, '2 131072\n');
  assert.equal(run({ MALLOC_ARENA_MAX: '1' }, 'start').out, '1 131072\n');
  assert.equal(run({}, 'test').out, 'undefined undefined\n');
});

test('an installation for production names what it lacks for the demo and the tests', () => {
  const root = mkdtempSync(join(folder, 'image-'));
  for (const path of ['main', 'errors', 'version', 'own-modules', 'idle-memory'].map((name) => `src/${name}.ts`).concat('package.json'))
    cpSync(join(ROOT, path), join(root, path));
  const run = (command: string) => spawnSync(process.execPath, [join(root, 'src/main.ts'), command], { encoding: 'utf8' });
  for (const command of ['demo', 'edge', 'test', 'bench', 'fuzz', 'devnet']) {
    const { stderr, status } = run(command);
    assert.match(
      stderr,
      new RegExp(
        `^flexid ${command}: this installation has the agent alone; .* without FLEXID_PRODUCTION, which installs what it needs\n$`,
      ),
    );
    assert.equal(status, 2);
  }
  cpSync(join(ROOT, 'test/run.ts'), join(root, 'test/run.ts'));
  assert.match(run('test').stderr, /^flexid test: a production installation lacks .*fast-check.*; it runs in a clone of the repository/);
});
