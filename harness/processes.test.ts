import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { answers, freePort, openRun, program, untilReady } from './processes.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'flexid-processes-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A program of one line. */
const script = (name: string, text: string): string => {
  writeFileSync(join(folder, `${name}.mjs`), text);
  return relative(ROOT, join(folder, `${name}.mjs`));
};

test('a program that ends while it starts is told of with its last lines, or with the fact that there are none', async () => {
  const loud = program('loud', folder, script('loud', `console.error('no such database'); process.exit(3);`), [], () => 'nothing listens');
  await assert.rejects(loud.start(), /^Error: loud ended with exit code 3 while it started; its last lines:\n {2}no such database$/);
  const silent = program('silent', folder, script('silent', ''), [], () => false);
  await assert.rejects(silent.start(), /^Error: silent ended with exit code 0 while it started; it printed nothing$/);
});

test('a program that lives and does something is waited for, one that does nothing is not, and why is never empty', async () => {
  const stuckMs = 2000;
  const slow = spawn(process.execPath, [
    '-e',
    'setInterval(() => { for (const end = Date.now() + 100; Date.now() < end; ); console.log(1) }, 1)',
  ]);
  const idle = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  try {
    let connections = 0;
    slow.stdout.on('data', () => connections++);
    const began = Date.now();
    await untilReady(
      'slow',
      slow,
      async () => Date.now() - began > 1.5 * stuckMs || 'it counts',
      () => `${connections}`,
      { stuckMs },
    );
    const none = untilReady(
      'idle',
      idle,
      async () => await answers(`http://127.0.0.1:${await freePort()}/`),
      () => 'it printed nothing',
      { stuckMs },
    );
    await assert.rejects(
      none,
      /^Error: idle makes no progress: not ready after \d+ s, http:\S+ does not answer \(ECONNREFUSED\); it printed nothing$/,
    );
  } finally {
    slow.kill();
    idle.kill();
  }
});

test('a program that dies when it was ready is told of, one that was killed on purpose is not', async () => {
  const text = `process.on('SIGUSR2', () => { console.log('out of memory'); process.exit(9); }); setInterval(() => {}, 1000); console.log('ready')`;
  const run = openRun();
  await run.within(async () => {
    const killed = program('killed', folder, script('killed', text), [], (output) => output.includes('ready'));
    await killed.start();
    await killed.kill();
    const dying = program('dying', folder, script('dying', text), [], (output) => output.includes('ready'));
    await dying.start();
    process.kill(dying.pid!, 'SIGUSR2');
  });
  await assert.rejects(run.unharmed, /^Error: dying ended with exit code 9; its last lines:\n {2}ready\n {2}out of memory$/);
});

test('a run that is stopped ends its programs and starts none; those of others go on', async () => {
  const text = `console.log('ready'); setTimeout(() => {}, 60_000)`;
  const made = (name: string) => program(name, folder, script(name, text), [], (output) => output.includes('ready'));
  const alive = (pid: number | undefined) => process.kill(pid!, 0);
  const other = made('other');
  const run = openRun();
  const [one, late] = await run.within(async () => [made('one'), made('late')]);
  try {
    await Promise.all([other.start(), one!.start()]);
    await run.stop();
    assert.throws(() => alive(one!.pid), { code: 'ESRCH' });
    await assert.rejects(late!.start(), /late is not started: everything was stopped/);
    assert.ok(alive(other.pid));
    const next = made('next');
    await next.start();
    await next.kill();
  } finally {
    await other.kill();
  }
});

test('an interrupted demo leaves no process and no file', { skip: process.platform !== 'linux' }, async () => {
  const own = mkdtempSync(join(folder, 'demo-'));
  const demo = spawn(process.execPath, [join(ROOT, 'src/main.ts'), 'demo'], {
    env: { ...process.env, TMPDIR: own },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(demo, 'exit');
  // the agents are on their way when the ledger is there
  await once(demo.stdout, 'data');
  const started = (): string[] =>
    readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && pid !== `${demo.pid}` && commandOf(pid).includes(own));
  assert.ok(started().length > 0);
  demo.kill('SIGINT');
  assert.deepEqual((await ended)[0], 130);
  assert.deepEqual(started(), []);
  assert.deepEqual(readdirSync(own), []);
});

const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
};
