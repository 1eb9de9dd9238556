import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { longOne } from '../support/extent.ts';
import { TEST_MS } from '../support/waiting.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

test('./flexid demo --owner drives an issuer that has no admin API, and ends verified', { skip: longOne, timeout: TEST_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-demo-owner-'));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST)_/.test(name)));
  const demo = spawn(process.execPath, [MAIN, 'demo', '--owner'], { cwd: folder, env, timeout: TEST_MS });
  let output = '';
  for (const stream of [demo.stdout, demo.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  try {
    const code = await new Promise<number | null>((resolve, reject) => demo.once('error', reject).once('close', resolve));
    assert.equal(code, 0, output);
    assert.equal(output.trimEnd().split('\n').at(-1), 'verified: true', output);
    assert.match(output, /start issuer .*no admin API$/m);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

for (const name of ['owner', 'hub', 'edges'])
  test(`--${name} begins, and goes with no other way to run the demo`, async () => {
    const refused = spawn(process.execPath, [MAIN, 'demo', `--${name}`, '--revoke'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    refused.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
    assert.equal(await new Promise((resolve) => refused.once('close', resolve)), 2);
    assert.match(output, new RegExp(`--${name} goes with .*--keep alone`));
    const begun = spawn(process.execPath, [MAIN, 'demo', `--${name}`], { stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = new Promise((resolve) => begun.once('close', resolve));
    const first = await new Promise<string>((resolve) => {
      for (const stream of [begun.stdout, begun.stderr]) stream.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8')));
    });
    begun.kill('SIGTERM');
    await closed;
    assert.doesNotMatch(first, /goes with/);
  });
