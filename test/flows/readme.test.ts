import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../examples/demo/processes.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LIMIT_MS = 180_000;

/** The README's `sh` blocks, in order, as one script. */
const script = (): string => {
  const blocks = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.ok(blocks.length >= 8, `README.md has only ${blocks.length} sh blocks`);
  return `set -eo pipefail\n${blocks.join('\n')}`;
};

test('the walk-through of README.md runs as it is written and ends verified', { timeout: LIMIT_MS + 20_000 }, async () => {
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
  const timer = setTimeout(killGroup, LIMIT_MS);
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
