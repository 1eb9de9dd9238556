import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compactDecrypt } from 'jose';
import pg from 'pg';
import { newWords, recoveryKeys } from '../../src/backup/recovery.ts';
import { backupCommand } from '../../src/backup-command.ts';
import { readConfig } from '../../src/config/read-config.ts';
import { ConfigError } from '../../src/config/values.ts';
import { openDatabase } from '../../src/database.ts';
import { AppError } from '../../src/errors.ts';
import type { Database } from '../../src/ports/store.ts';
import { dumped, filledTenant } from '../../src/ports/store-carry.conformance.ts';
import { startPostgres } from '../postgres.ts';
import { STORES } from '../support/extent.ts';

/** Backups of server stores of both kinds, with the agent's own commands, which are killed, misled and given damage. */

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'flexid-backup-'));
const words = newWords();
const wordsFile = join(folder, 'words');
const WALLET_KEY = 'the wallet key of this server';
const ROWS = 6_000;
let server: Awaited<ReturnType<typeof startPostgres>>;
let databases = 0;

before(async () => {
  writeFileSync(wordsFile, `${words}\n`);
  server = await startPostgres();
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Kind = (typeof STORES)[number];

/** A store that is new. */
async function newStore(kind: Kind): Promise<string> {
  databases += 1;
  if (kind === 'sqlite') return `sqlite:${join(folder, `store-${databases}.db`)}`;
  const client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  await client.query(`CREATE DATABASE backup_${databases} OWNER flexid`);
  await client.end();
  return server.url.replace(/flexid$/, `backup_${databases}`);
}

async function using<T>(store: string, use: (db: Database) => Promise<T>): Promise<T> {
  const { config } = readConfig(['--store', store, '--wallet-key', WALLET_KEY], {});
  const db = await openDatabase(config, { info() {}, warn() {}, error() {} });
  try {
    return await use(db);
  } finally {
    await db.admin.close();
  }
}

/** Runs `./flexid`. With `until` it gets SIGKILL as soon as it has printed that. */
async function flexid(argv: readonly string[], until?: RegExp): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, [MAIN, ...argv, '--wallet-key', WALLET_KEY], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      if (until?.test(text)) child.kill('SIGKILL');
    });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, text };
}

/** The same in this process, which costs less. @returns what it printed */
async function ok([command, ...argv]: readonly string[]): Promise<string> {
  const printed: string[] = [];
  const terminal = { input: Readable.from([]), print: (text: string) => void printed.push(text) };
  assert.equal(
    await backupCommand(command as 'export' | 'import', [...argv, '--wallet-key', WALLET_KEY, '--log-level', 'error'], {}, terminal),
    0,
  );
  return printed.join('\n');
}

const refused = (argv: readonly string[], why: RegExp): Promise<void> =>
  assert.rejects(ok(argv), (error: Error) => {
    assert.ok(error instanceof AppError || error instanceof ConfigError, 'an error that an operator can mend');
    assert.match(error.message, why);
    assert.ok(!error.message.includes(words.split(' ').slice(0, 2).join(' ')), 'no words');
    return true;
  });

/** A store with the wallet of an instance, two tenants, and many rows. */
async function filledStore(kind: Kind): Promise<string> {
  const store = await newStore(kind);
  await using(store, async (db) => {
    await filledTenant(db, 'base');
    for (const id of ['one', 'two']) await filledTenant(db, id);
    for (let from = 0; from < ROWS; from += 1000) {
      const records = Array.from({ length: 1000 }, (_, n) => ({
        category: 'many',
        id: `${from + n}`,
        expect: 0,
        value: { n, marker: 'a marker' },
      }));
      await db.store.commit('base', { records });
    }
  });
  return store;
}

/** All wallets as they are carried; the counters of a copy are used up, and its number is one of the wallet's records. */
const contents = (store: string) =>
  using(store, async (db) => {
    const all = await Promise.all(['base', 'one', 'two'].map((id) => dumped(db, id, 'move')));
    return all.map(({ tenant: { id, key }, rows }) => ({
      id,
      key,
      rows: rows.filter(({ category }) => category !== 'wallet_backup' && category !== 'restored'),
    }));
  });

for (const from of STORES) {
  const to = STORES.find((kind) => kind !== from)!;
  describe(`backups of a store in ${from}`, () => {
    let store: string;
    before(async () => {
      store = await filledStore(from);
    });

    test(`an export that was killed leaves no file of its name, and the next one is whole; so with an import into ${to} [S2-46]`, async () => {
      const file = join(folder, `${from}.flexid-backup`);
      const exporting = ['export', file, '--words', wordsFile, '--store', store];
      const killed = await flexid(exporting, /wallet base: 2\d{3} rows/);
      assert.equal(killed.code, null, killed.text);
      assert.ok(!existsSync(file));
      await ok(exporting);
      const again = await flexid(exporting);
      assert.deepEqual([again.code, again.text], [1, `flexid: ${file} is there already\n`]);

      const target = await newStore(to);
      const importing = ['import', file, '--words', wordsFile, '--store', target];
      const cut = await flexid(importing, /wallet base: 2\d{3} rows/);
      assert.equal(cut.code, null, cut.text);
      const seen = await using(target, async (db) => {
        const found = await Promise.allSettled((await db.admin.tenants()).map((id) => db.store.load(id, [])));
        return found.filter(({ status }) => status === 'fulfilled').length;
      });
      assert.equal(seen, 0, 'nobody sees what was written');
      await ok(importing);
      await refused(importing, /store is not empty: it has the wallet/);
      await using(target, async (db) => {
        assert.equal((await db.store.find('base', 'many', { limit: 1 })).total, ROWS);
        assert.equal((await db.store.keyOwner('one one'))?.target, 'one-1');
        assert.ok((await db.store.loadWithDedupKey('two', 'two ever', [])).repeated, 'a lasting mark');
        assert.equal((await db.store.mailbox('one', 'box')).messages, 0, 'a copy has no queue');
      });
    });

    test('other words, damage at any place and an older generation are refused before the store is made', async () => {
      const file = join(folder, `${from}-damaged.flexid-backup`);
      await ok(['export', file, '--words', wordsFile, '--store', store, '--wallet', 'base']);
      const target = join(folder, `never-${from}.db`);
      const importing = (name = file, other = wordsFile) => ['import', name, '--words', other, '--store', `sqlite:${target}`];
      const others = join(folder, 'other-words');
      writeFileSync(others, newWords());
      await refused(importing(file, others), /other words/);
      writeFileSync(others, words.split(' ').slice(0, 23).join(' '));
      await refused(importing(file, others), /24 words, not 23/);
      await refused([...importing(), '--at-least', '99'], /is older than 99: nothing was written/);
      const whole = readFileSync(file);
      for (const at of [10, whole.indexOf(10) + 40, whole.length >> 1, whole.length - 10]) {
        const changed = Buffer.from(whole);
        changed[at] = changed[at] === 0x41 ? 0x42 : 0x41;
        writeFileSync(`${file}.changed`, changed);
        await refused(importing(`${file}.changed`), /damaged|no backup/);
      }
      writeFileSync(`${file}.changed`, whole.subarray(0, whole.length - 2000));
      await refused(importing(`${file}.changed`), /damaged/);
      assert.ok(!existsSync(target), 'nothing was written');
      assert.ok(!readdirSync(folder).includes(`never-${from}.db.key`));
    });

    test('the store with all its keys opens no line of a backup, and has no words [S2-47]', async () => {
      const file = join(folder, `${from}-sealed.flexid-backup`);
      const { publicKey } = recoveryKeys(words);
      await ok(['export', file, '--recovery-key', publicKey, '--store', store]);
      const candidates = await using(store, async (db) => {
        const found = [Buffer.from(WALLET_KEY.padEnd(32).slice(0, 32)), Buffer.alloc(32)];
        for (const id of ['base', 'one', 'two']) {
          const { tenant, rows } = await dumped(db, id, 'move');
          found.push(Buffer.from(tenant.key!, 'base64'));
          for (const { secret } of rows) if (typeof secret === 'string') found.push(Buffer.from(secret, 'base64'));
        }
        return found.map((bytes) => Buffer.concat([bytes, Buffer.alloc(32)]).subarray(0, 32));
      });
      assert.ok(candidates.length >= 10);
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
      let opened = 0;
      const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
      for (const bytes of candidates)
        for (const key of [bytes, createPrivateKey({ key: Buffer.concat([pkcs8, bytes]), format: 'der', type: 'pkcs8' })])
          for (const line of lines)
            await compactDecrypt(line, key).then(
              () => (opened += 1),
              () => {},
            );
      assert.equal(opened, 0);
    });

    test(`all of it moves to ${to} and back with its queue, and is the same; the original is gone`, async () => {
      const before = await contents(store);
      const [there, back] = [join(folder, `${from}-there.flexid-backup`), join(folder, `${from}-back.flexid-backup`)];
      const key = recoveryKeys(words).publicKey;
      await refused(['export', there, '--recovery-key', key, '--move', '--store', store], /give --words FILE/);
      await ok(['export', there, '--words', wordsFile, '--move', '--store', store]);
      const middle = await newStore(to);
      await ok(['import', there, '--words', wordsFile, '--store', middle]);
      assert.deepEqual(await contents(middle), before);
      await assert.rejects(
        using(store, (db) => db.store.load('base', [])),
        (error) => error instanceof AppError && error.code === 'not-found',
      );
      await ok(['export', back, '--words', wordsFile, '--move', '--store', middle]);
      const last = await newStore(from);
      await ok(['import', back, '--words', wordsFile, '--store', last]);
      assert.deepEqual(await contents(last), before);
    });
  });
}
