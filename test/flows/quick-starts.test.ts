import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../harness/processes.ts';
import { TEST_MS } from '../support/waiting.ts';

/** Every command of the quick starts, as it is written. */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PORTS = ['LEDGER', 'POST', 'ADMIN', 'INBOUND', 'PEER', 'PEER_INBOUND', 'HOOKS'];

/** The `sh` blocks of a page. */
function blocksOf(page: string): string[] {
  const blocks = [...readFileSync(join(ROOT, 'docs', page), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.ok(blocks.length >= 2, `${page} has ${blocks.length} sh blocks`);
  return blocks;
}

/** Runs blocks in one bash, in a process group of its own. @returns what they print */
async function run(blocks: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-quick-'));
  writeFileSync(join(folder, 'flexid'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'walk.sh'), `set -eo pipefail\n${blocks.join('\n')}`);
  const env: NodeJS.ProcessEnv = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST|XDG)_/.test(name)),
  );
  for (const name of PORTS) env[name] = String(await freePort());
  const bash = spawn('bash', ['walk.sh'], {
    cwd: folder,
    detached: true,
    env: { ...env, HOME: folder, TMPDIR: folder },
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
    return output;
  } finally {
    clearTimeout(timer);
    killGroup();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

const LIMIT = { timeout: TEST_MS + 20_000 };

test('the quick starts of issuer and verifier, one after the other as they are written', LIMIT, async () => {
  const issuer = blocksOf('QuickIssuer.md');
  assert.equal(issuer.at(-1), 'kill $PIDS\n');
  const output = await run([...issuer.slice(0, -1), ...blocksOf('QuickVerifier.md')]);
  for (const line of ['revoked: Bob', 'Ada: true', 'Bob: false']) assert.ok(output.includes(line), `${line} in\n${output}`);
});

test('the quick start of the operator of a mediator', LIMIT, async () => {
  assert.match(await run(blocksOf('QuickMediator.md')), /mediated\n"serviceEndpoint": "http:/);
});

test('the quick start of the developer of a controller', LIMIT, async () => {
  assert.match(await run(blocksOf('QuickController.md')), /connections active\n(?:.*\n)*connected: 1/);
});

test('the quick start of a holder at home', LIMIT, async () => {
  const output = await run(blocksOf('QuickHolder.md'));
  for (const line of ['has taken “reader” 1.0.', '│   name: Alice', 'showed name'])
    assert.ok(output.includes(line), `${line} in\n${output}`);
});

test('docs/README.md leads to every page of the folder, and README.md to it', () => {
  const index = readFileSync(join(ROOT, 'docs/README.md'), 'utf8');
  const linked = new Set([...index.matchAll(/\]\(([A-Za-z0-9]+\.md)\)/g)].map(([, page]) => page!));
  const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md') && name !== 'README.md');
  assert.deepEqual(
    pages.filter((page) => !linked.has(page)),
    [],
  );
  assert.match(readFileSync(join(ROOT, 'README.md'), 'utf8'), /\]\(docs\/README\.md\)/);
});
