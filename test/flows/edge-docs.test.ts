import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../harness/processes.ts';
import { TEST_MS } from '../support/waiting.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('the commands of docs/Edge.md run as they are written, and its table of verbs is that of the program', {
  timeout: TEST_MS + 20_000,
}, async () => {
  const text = readFileSync(join(ROOT, 'docs/Edge.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.equal(blocks.length, 4);
  const { VERBS } = await import('../../edge/verbs/table.ts');
  const verbs = text.slice(text.indexOf('## Verbs'), text.indexOf('## The folder'));
  for (const { name, takes } of VERBS)
    for (const one of takes.split(' | '))
      assert.ok(verbs.includes(`\`${name} ${one}\``) || verbs.includes(`\`${name}\``), `${name} ${one}`);
  const folder = mkdtempSync(join(tmpdir(), 'flexid-edge-docs-'));
  writeFileSync(join(folder, 'flexid'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'walk.sh'), `set -eo pipefail\n${blocks.join('\n')}`);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST|XDG)_/.test(name)));
  // a process group of its own, so that nothing of it is left and nothing else is hit
  const bash = spawn('bash', ['walk.sh'], {
    cwd: folder,
    detached: true,
    env: { ...env, LEDGER: String(await freePort()), POST: String(await freePort()), HOME: folder, TMPDIR: folder },
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
    for (const line of [
      'Connected with “Bob”.',
      'has taken “member” 1.0.',
      '┌ A proof, verified',
      '│   name: Alice',
      '│   age >= 18',
      'showed name',
    ])
      assert.ok(output.includes(line), `${line} in\n${output}`);
  } finally {
    clearTimeout(timer);
    killGroup();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});
