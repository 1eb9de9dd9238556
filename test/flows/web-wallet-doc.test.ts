import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { webPerson } from '../../harness/web-person.ts';
import { freePort } from '../support/agents.ts';
import { TEST_MS, until } from '../support/waiting.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('the command of docs/WebWallet.md starts the pages, and a person signs up there', { timeout: TEST_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-web-wallet-'));
  const [wallet, inbound] = [await freePort(), await freePort()];
  const origin = `http://localhost:${wallet}`;
  const here: [string, string][] = [
    ['0.0.0.0 8100', `127.0.0.1 ${wallet}`],
    ['0.0.0.0 8030', `127.0.0.1 ${inbound}`],
    ['https://wallet.example', origin],
    ['./flexid', `'${process.execPath}' '${join(ROOT, 'src/main.ts')}'`],
  ];
  const blocks = [...readFileSync(join(ROOT, 'docs/WebWallet.md'), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.equal(blocks.length, 1);
  for (const [written] of here) assert.ok(blocks[0]!.includes(written), written);
  const start = here.reduce((script, [written, there]) => script.replaceAll(written, there), blocks[0]!);
  const env = { ...process.env, HOME: folder, JWT_SECRET: 'of this test' };
  const agent = spawn('bash', ['-c', `exec ${start}`], { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    await until(async () => (await fetch(`${origin}/session`).catch(() => undefined))?.ok === true, 'the pages', 60_000);
    assert.match(await (await fetch(`${origin}/`)).text(), /<div id="app">/);
    const { label, mode } = await webPerson(origin).signUp('Ada', Buffer.alloc(32, 7).toString('base64url'));
    assert.deepEqual([label, mode], ['Ada', 'own']);
  } finally {
    agent.kill();
    await once(agent, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
});
