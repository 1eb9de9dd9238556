import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TEST_MS } from './support/waiting.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'flexid-start-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const run = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: folder }, timeout: TEST_MS });
const ADMIN = ['--admin', '127.0.0.1', '0', '--admin-insecure-mode'];
const ledger = ['--algod-url', 'http://127.0.0.1:1', '--algorand-app-id', '1'];

for (const [args, text] of [
  [[], /^flexid: nothing could reach this agent/],
  [[...ADMIN, '--egress-allow', 'nonsense'], /^flexid: --egress-allow: not an address range: nonsense$/m],
  [[...ADMIN, '--log-level', 'loud'], /^flexid: --log-level takes trace/],
  [[...ADMIN, ...ledger, '--sponsor-mnemonic', 'one two'], /^flexid: .*--sponsor-mnemonic: /],
  [[...ADMIN, '--otlp-endpoint', 'collector:4318'], /^flexid: --otlp-endpoint takes a URL/],
  [[...ADMIN, '--otlp-endpoint', 'http://127.0.0.1:9', '--otlp-share', '2'], /^flexid: --otlp-share takes a number from 0 to 1/],
  [[...ADMIN, '--store', 'mysql://x'], /^flexid: --store mysql: is not supported/],
] as const) {
  test(`start ${args.join(' ')} says in one sentence what to mend`, () => {
    const { status, stderr } = run('start', ...args);
    assert.equal(status, 1, stderr);
    assert.match(stderr, text);
    assert.doesNotMatch(stderr, /\n {4}at |one two/);
  });
}

test('--version tells both versions, the own one as package.json has it', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  const { status, stdout } = run('--version');
  assert.equal(status, 0);
  assert.equal(stdout, `FlexID Cloud Agent ${version}, with the admin API of ACA-Py 1.7.0\n`);
});

test('--recreate-wallet begins a new wallet, with its key alone', () => {
  const start = (name: string, ...more: string[]) =>
    run('provision', '--store', `sqlite:${join(folder, `${name}.db`)}`, '--wallet-name', name, ...more);
  const seed = '000000000000000000000000Trustee1';
  const did = /did:key:\w+/;
  assert.match(start('again', '--wallet-key', 'first', '--seed', seed).stderr, did);
  // it is known: nothing is made
  const [made] = did.exec(start('again', '--wallet-key', 'first', '--seed', seed).stderr)!;
  const other = seed.replace('T', 'S');
  const refused = start('again', '--recreate-wallet', '--wallet-key', 'second', '--seed', other);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /wallet key/i);
  assert.match(start('again', '--recreate-wallet').stderr, /^flexid: .*key/im);
  const recreated = start('again', '--recreate-wallet', '--wallet-key', 'first', '--seed', other);
  assert.equal(recreated.status, 0, recreated.stderr);
  assert.match(recreated.stderr, /the wallet that was in the database is erased: --recreate-wallet/);
  assert.notEqual(did.exec(recreated.stderr)![0], made);
});

test('a start that fails after the database was opened ends the process', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const port = String((taken.address() as AddressInfo).port);
  const { status, stderr, signal } = run('start', '--admin', '127.0.0.1', port, '--admin-insecure-mode');
  taken.close();
  assert.equal(signal, null, 'it did not end by itself');
  assert.equal(status, 1);
  assert.match(stderr, /address already in use/);
});

for (const command of ['start', 'provision', 'upgrade', 'rotate-key', 'relay-offer', 'demo', 'ledger', 'devnet', 'test', 'bench', 'fuzz']) {
  test(`./flexid ${command} --help explains itself`, () => {
    const { status, stdout } = run(command, '--help');
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`flexid ${command}`));
  });
}

test('provision creates the database and the DID of --seed, and ends; upgrade opens it; a start warns once of what has no effect', () => {
  const store = join(folder, 'provisioned.db');
  const seed = '000000000000000000000000Trustee1';
  const first = run('provision', '--store', `sqlite:${store}`, '--seed', seed, '--genesis-url', 'http://x', '--timing');
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /"did":"did:key:z6Mk\w+"/);
  assert.equal(first.stderr.match(/without effect here: --genesis-url, --timing"/g)?.length, 1, first.stderr);
  const again = run('provision', '--store', `sqlite:${store}`, '--seed', seed);
  assert.deepEqual([again.status, /"did":"[^"]+"/.exec(again.stderr)?.[0]], [0, /"did":"[^"]+"/.exec(first.stderr)![0]], again.stderr);
  assert.equal(run('upgrade', '--store', `sqlite:${store}`).status, 0);
  const short = run('provision', '--store', `sqlite:${store}`, '--seed', 'short');
  assert.deepEqual([short.status, short.stderr.includes('flexid: Seed value must be 32 bytes in length')], [1, true], short.stderr);
});
