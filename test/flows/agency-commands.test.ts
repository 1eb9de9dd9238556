import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../harness/processes.ts';
import { AGENCY } from '../../src/config/mediator-preset.ts';
import { readConfig } from '../../src/config/read-config.ts';
import { TEST_MS } from '../support/waiting.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('the commands of docs/Agency.md run as they are written: an agency, an edge, and an offer of the edge', {
  timeout: TEST_MS,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-agency-'));
  const [PORT, ADMIN] = [String(await freePort()), String(await freePort())];
  const [, block] = /^```sh\n(.*?)^```$/ms.exec(readFileSync(join(ROOT, 'docs/Agency.md'), 'utf8'))!;
  writeFileSync(join(folder, 'flexid'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'walk.sh'), `set -eo pipefail\n${block}`);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST)_/.test(name)));
  // a process group of its own, so that nothing of it is left
  const bash = spawn('bash', ['walk.sh'], {
    cwd: folder,
    detached: true,
    env: { ...env, PORT, ADMIN, DIR: folder, HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, problems] = ['', ''];
  bash.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  bash.stderr.on('data', (chunk: Buffer) => {
    problems += chunk.toString();
  });
  const kill = (): void => {
    try {
      process.kill(-bash.pid!, 'SIGKILL');
    } catch {
      // it is gone already
    }
  };
  const timer = setTimeout(kill, TEST_MS);
  try {
    assert.equal(await new Promise((resolve) => bash.once('exit', resolve)), 0, `${output}\n${problems}`);
    assert.match(output, /"retention_days": ?3/);
    assert.match(output, /"device_code": ?"[0-9a-f]{32}"/);
    const { offer } = JSON.parse(output.slice(output.lastIndexOf('{"connection_id"')));
    assert.equal(offer.message.endpoint, `http://127.0.0.1:${PORT}`);
  } finally {
    clearTimeout(timer);
    kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});

test('an agency has what a mediator has, cloud agents, and the endpoint of 2018', () => {
  const { config } = readConfig(['--endpoint', 'https://agency.example'], {}, AGENCY);
  assert.deepEqual(
    [config.agency, config.openMediation, config.autoAcceptRequests, config.endpoints, config.legacy],
    [true, true, true, ['https://agency.example', 'wss://agency.example'], 'auto'],
  );
  assert.throws(() => readConfig(['--endpoint', 'https://agency.example', '--legacy', 'off'], {}, AGENCY), /--legacy off/);
  assert.throws(() => readConfig([], {}, AGENCY), /--endpoint/);
  assert.equal(readConfig(['--endpoint', 'https://m.example'], {}, 'start mediator').config.agency, false);
});

test('a flag that was one of two values means what it meant', () => {
  const requires = (...argv: string[]): string => readConfig(argv, {}).config.legacyRequireSigned;
  assert.equal(requires(), 'auto');
  assert.equal(requires('--legacy-require-signed-response'), 'on');
  assert.equal(requires('--legacy-require-signed-response', 'off'), 'off');
  for (const [text, meant] of Object.entries({ true: 'on', '1': 'on', false: 'off', '': 'auto' }))
    assert.equal(readConfig([], { FLEXID_LEGACY_REQUIRE_SIGNED_RESPONSE: text }).config.legacyRequireSigned, meant);
});
