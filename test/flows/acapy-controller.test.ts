import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startPostgres } from '../postgres.ts';
import { freePort } from '../support/agents.ts';
import { startDevnet } from '../support/ledger.ts';
import { TEST_MS } from '../support/waiting.ts';

/** A controller and start scripts as they were written for ACA-Py, its wallet of type askar, PostgreSQL and Indy: on an empty server they go through. */

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const CONTROLLER = fileURLToPath(new URL('../support/acapy_controller.py', import.meta.url));

/** The whole output of a process, and its end. */
function followed(child: ChildProcess): { text: () => string; ended: Promise<number | null> } {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
  return { text: () => text, ended: once(child, 'close').then(([code]) => code as number | null) };
}

test('a controller of ACA-Py onboards, connects, issues and proves at agents that its start script started', {
  timeout: TEST_MS,
}, async () => {
  const undo: (() => unknown)[] = [];
  try {
    const folder = mkdtempSync(join(tmpdir(), 'flexid-acapy-start-'));
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
    const database = await startPostgres();
    undo.push(() => database.stop());
    const devnet = await startDevnet();
    undo.push(() => devnet.close());
    const { host, username, password } = new URL(database.adminUrl);
    const listen = `127.0.0.1:${await freePort()}`;

    // what the operator sets beside the script: the ledger, and that peers are on this machine
    const ours = {
      FLEXID_ALGOD_URL: devnet.url,
      FLEXID_ALGOD_TOKEN: devnet.token,
      FLEXID_ALGORAND_APP_ID: String(devnet.appId),
      FLEXID_ALGORAND_GENESIS_HASH: devnet.genesisHash,
      FLEXID_SPONSOR_MNEMONIC: devnet.sponsor.mnemonic,
      FLEXID_EGRESS_ALLOW: '127.0.0.0/8',
    };
    const start = async (name: string, ...flags: string[]): Promise<{ admin: string; text: () => string }> => {
      const [admin, inbound] = [String(await freePort()), String(await freePort())];
      const child = spawn(
        process.execPath,
        [
          ...[MAIN, 'start', '--label', name, '--endpoint', `http://127.0.0.1:${inbound}`],
          ...['-it', 'http', '127.0.0.1', inbound, '-ot', 'http', '--admin', '127.0.0.1', admin, '--admin-insecure-mode'],
          ...['--webhook-url', `http://${listen}/webhooks/${name}`, '--genesis-url', 'http://127.0.0.1:9000/genesis', '--auto-provision'],
          ...['--wallet-type', 'askar', '--wallet-name', `${name}.wallet`, '--wallet-key', `key of ${name}`],
          ...['--wallet-storage-type', 'postgres_storage', '--wallet-storage-config', JSON.stringify({ url: host, max_connections: 5 })],
          ...['--wallet-storage-creds', JSON.stringify({ account: username, password, admin_account: username, admin_password: password })],
          ...[
            '--tails-server-base-url',
            'http://127.0.0.1:6543',
            '--preserve-exchange-records',
            '--auto-ping-connection',
            '--public-invites',
          ],
          ...['--monitor-ping', '--log-level', 'WARNING', ...flags],
        ],
        {
          env: { PATH: process.env.PATH, HOME: folder, LIB_ANONCREDS_PATH: process.env.LIB_ANONCREDS_PATH, ...ours },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      const { text, ended } = followed(child);
      undo.push(() => ended);
      undo.push(() => child.kill());
      return { admin: `http://127.0.0.1:${admin}`, text };
    };
    const issuer = await start('issuer');
    const holder = await start('holder', '--auto-store-credential');

    const controller = spawn('python3', [CONTROLLER, issuer.admin, holder.admin, listen], { stdio: ['ignore', 'pipe', 'pipe'] });
    undo.push(() => controller.kill('SIGKILL'));
    const { text, ended } = followed(controller);
    const code = await ended;
    assert.equal(code, 0, [text(), issuer.text(), holder.text()].join('\n'));
    assert.deepEqual(
      text()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
      [
        { step: 'detected', wallet_type: 'askar' },
        { step: 'onboarded' },
        { step: 'connected' },
        { step: 'version 2', verified: 'true' },
        { step: 'version 1', verified: 'true' },
      ],
    );
    assert.equal(
      issuer
        .text()
        .split('\n')
        .filter((line) => line.includes('--sov-as-algo')).length,
      1,
    );
  } finally {
    while (undo.length > 0) await undo.pop()!();
  }
});
