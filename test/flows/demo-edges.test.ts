import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TEST_MS } from '../support/waiting.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

test('./flexid demo --edges: two wallets connect, one takes a credential and proves it to the other; their agency is killed twice', {
  timeout: TEST_MS,
}, async () => {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST)_/.test(name)));
  const demo = spawn(process.execPath, [MAIN, 'demo', '--edges'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [demo.stdout, demo.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const code = await new Promise<number | null>((resolve, reject) => demo.once('error', reject).once('close', resolve));
  assert.equal(code, 0, output);
  assert.equal(output.match(/the agency was dead meanwhile/g)?.length, output.match(/Alice takes a credential/g)!.length * 2);
  assert.equal(output.trimEnd().split('\n').at(-1), 'verified: true', output);
});
