import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../../harness/processes.ts';
import { startPostgres } from '../postgres.ts';
import { TEST_MS, until } from '../support/waiting.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The README's `sh` blocks, in order, as one script. */
const script = (): string => {
  const blocks = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.ok(blocks.length >= 8, `README.md has only ${blocks.length} sh blocks`);
  return `set -eo pipefail\n${blocks.join('\n')}`;
};

test('the walk-through of README.md runs as it is written and ends verified', { timeout: TEST_MS + 20_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-readme-'));
  // the launcher's set-up would replace the packages under the feet of the tests that run beside this one; the tests themselves were started by it
  writeFileSync(join(folder, 'flexid'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'walk.sh'), script());
  const ports: Record<string, string> = {};
  for (const name of ['LEDGER', 'ACME', 'ACME_PEER', 'ALICE', 'ALICE_PEER']) ports[name] = String(await freePort());
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST)_/.test(name)));
  // a process group of its own, so that nothing of it is left and nothing else is hit
  const bash = spawn('bash', ['walk.sh'], {
    cwd: folder,
    detached: true,
    env: { ...env, ...ports, HOME: folder, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [bash.stdout, bash.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  const killGroup = (): void => {
    try {
      process.kill(-bash.pid!, 'SIGKILL');
    } catch {
      // it is gone already
    }
  };
  const timer = setTimeout(killGroup, TEST_MS);
  try {
    const code = await new Promise<number | null>((resolve, reject) => bash.once('error', reject).once('exit', resolve));
    assert.equal(code, 0, output);
    await waitForEnd(bash.pid!);
    assert.equal(output.trimEnd().split('\n').at(-1), 'verified: true', output);
  } finally {
    clearTimeout(timer);
    killGroup();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});

test('the commands of docs/Multitenancy.md run as they are written, but for where the database is and which ports are free', {
  timeout: TEST_MS,
}, async () => {
  const server = await startPostgres();
  const folder = mkdtempSync(join(tmpdir(), 'flexid-multitenancy-'));
  const [admin, inbound] = [await freePort(), await freePort()];
  const here: [string, string][] = [
    ['0.0.0.0 8031', `127.0.0.1 ${admin}`],
    ['0.0.0.0 8030', `127.0.0.1 ${inbound}`],
    ['localhost:8031', `127.0.0.1:${admin}`],
    ['postgres://user:password@db/flexid', server.url],
    ['./flexid', `'${process.execPath}' '${join(ROOT, 'src/main.ts')}'`],
  ];
  const text = readFileSync(join(ROOT, 'docs/Multitenancy.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.equal(blocks.length, 2);
  for (const [written] of here)
    assert.ok(
      blocks.some((block) => block.includes(written)),
      written,
    );
  const [start, create] = blocks.map((block) => here.reduce((script, [written, there]) => script.replaceAll(written, there), block));
  const env = { ...process.env, HOME: folder, JWT_SECRET: 'of this test', ADMIN_KEY: 'operator', WALLET_KEY: 'wallet key of this test' };
  const agent = spawn('bash', ['-c', `exec ${start}`], { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    await until(
      async () => (await fetch(`http://127.0.0.1:${admin}/status/ready`).catch(() => undefined))?.ok === true,
      'the agent',
      60_000,
    );
    const { stdout } = await promisify(execFile)('bash', ['-c', create!], { env });
    const { token, settings } = JSON.parse(stdout);
    assert.equal(settings.default_label, 'Alice');
    const listed = await fetch(`http://127.0.0.1:${admin}/connections`, { headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual(((await listed.json()) as { results: unknown[] }).results, []);
  } finally {
    agent.kill();
    await once(agent, 'exit');
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Resolves when the process group is empty, which the script's own last command sees to. */
async function waitForEnd(group: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      process.kill(-group, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the walk-through left processes behind');
}
