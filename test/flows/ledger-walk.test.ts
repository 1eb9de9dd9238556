import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { admin, type Devnet, startDevnet } from '../support/ledger.ts';
import { TEST_MS } from '../support/waiting.ts';

/** docs/Ledger.md as a new operator walks it, each step by its command, on a node that has no registry of this operator's yet. */

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let devnet: Devnet | undefined;
after(() => devnet?.close());

const command = async (args: string[], env: Record<string, string>): Promise<{ code: number | null; text: string }> => {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env }, timeout: TEST_MS });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, text };
};

test('from nothing to a verified presentation: account, registry, look, costs, issuer', { timeout: TEST_MS }, async () => {
  devnet = await startDevnet();
  const env: Record<string, string> = {
    FLEXID_ALGOD_URL: devnet.url,
    FLEXID_ALGOD_TOKEN: devnet.token,
    FLEXID_ALGORAND_GENESIS_HASH: devnet.genesisHash,
  };
  const account = await command(['ledger', 'account'], {});
  const [, address = '', words = ''] = /^address +(\S+)\nmnemonic +(.+)\n$/.exec(account.text) ?? [];
  assert.equal(account.code, 0, account.text);
  await admin(devnet, 'POST', 'fund', { address, amount: 10_000_000 });
  env.FLEXID_SPONSOR_MNEMONIC = words;
  const deployed = await command(['ledger', 'deploy'], env);
  assert.equal(deployed.code, 0, deployed.text);
  env.FLEXID_ALGORAND_APP_ID = /^--algorand-app-id (\d+)$/m.exec(deployed.text)?.[1] ?? '';
  const checked = await command(['ledger', 'check'], env);
  assert.deepEqual([checked.code, /is this program, and its account is funded/.test(checked.text)], [0, true], checked.text);
  const priced = await command(['ledger', 'cost'], env);
  assert.deepEqual([priced.code, /The sponsor \S+ can spend 9\.698 ALGO\./.test(priced.text)], [0, true], priced.text);
  const demo = await command(['demo', '--ledger', devnet.url, '--rows', '1'], env);
  assert.equal(demo.code, 0, demo.text);
  assert.match(demo.text, /^verified: true$/m);
  assert.match(demo.text, /deposits and fees +[12]\.\d{4} ALGO/);
});

test('a demo on a ledger says what it lacks, and is not for mainnet', async () => {
  for (const [env, text] of [
    [{}, /--ledger needs FLEXID_ALGORAND_APP_ID/],
    [{ FLEXID_ALGORAND_APP_ID: '1' }, /--ledger needs FLEXID_SPONSOR_MNEMONIC/],
    [{ FLEXID_ALGORAND_NETWORK: 'mainnet' }, /stays there for good/],
  ] as const) {
    const { code, text: sent } = await command(['demo', '--ledger', 'http://127.0.0.1:9'], env);
    assert.deepEqual([code, text.test(sent)], [2, true], sent);
  }
});
