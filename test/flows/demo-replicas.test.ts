import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TEST_MS } from '../support/waiting.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const demo = (...args: string[]) => promisify(execFile)(process.execPath, [MAIN, 'demo', ...args], { timeout: TEST_MS });

test('./flexid demo --replicas: wallets on interchangeable agents, one of which is killed in the middle', {
  timeout: TEST_MS,
}, async () => {
  const { stdout } = await demo('--replicas', '2', '--tenants', '4', '--kill');
  assert.match(stdout, /SIGKILL +replica-2/);
  assert.match(stdout, /credentials issued +2\n +presentations verified +2\n/);
  assert.match(stdout, /admin calls +replica-1 [1-9]\d*, replica-2 [1-9]/);
  assert.match(stdout, /\nverified: true\n$/);
});

test('a wrong --replicas is refused in one sentence', async () => {
  for (const [args, reason] of [
    [['--tenants', '4'], /need --replicas/],
    [['--replicas', '0'], /a number from 1/],
    [['--replicas', '2', '--tenants', '2'], /a number from 3/],
    [['--replicas', '1', '--kill'], /--kill needs --replicas 2/],
    [['--replicas', '2', '--store', 'sqlite'], /one SQLite file serves one agent/],
  ] as const)
    await assert.rejects(demo(...args), (error: { code: number; stderr: string }) => {
      assert.equal(error.code, 2);
      assert.match(error.stderr, reason);
      return true;
    });
});
