import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { recoveryKeys } from '../../src/backup/recovery.ts';
import { filledTenant } from '../../src/ports/store-carry.conformance.ts';
import { startPostgres } from '../postgres.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'flexid-backup-docs-'));
let server: Awaited<ReturnType<typeof startPostgres>>;

before(async () => {
  const db = await openSqlite({ path: join(folder, 'agent.db') });
  await filledTenant(db, 'base');
  await db.admin.close();
  server = await startPostgres();
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

let ran: Promise<{ code: number | null; output: string }> | undefined;
/** The commands of the page, run once for all tests: each may run by itself. */
const commands = () => {
  ran ??= runCommands();
  return ran;
};

async function runCommands(): Promise<{ code: number | null; output: string }> {
  writeFileSync(join(folder, 'flexid'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"\n`, { mode: 0o755 });
  const text = readFileSync(join(ROOT, 'docs/Backup.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.equal(blocks.length, 2);
  const bash = spawn('bash', ['-c', `set -eo pipefail\n${blocks.join('\n')}`], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, DATABASE: server.url, WALLET_KEY: 'a wallet key' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [bash.stdout, bash.stderr])
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
  const code = await new Promise<number | null>((resolve) => bash.once('close', resolve));
  return { code, output };
}

test('the commands of docs/Backup.md run as they are written', async () => {
  const { code, output } = await commands();
  assert.equal(code, 0, output);
  assert.match(output, /generation 1 of .* is in the store/);
  assert.match(output, /the original is erased/);
  assert.match(output, /generation 2 of .* is in the store/);
});

/** A Python with what the reader imports, made once for each clone; the reason where it cannot be had. */
function readerPython(): { python: string } | { lacks: string } {
  const home = join(ROOT, '.flexid', 'backup-reader');
  const run = (program: string, argv: readonly string[]) => spawnSync(program, argv, { encoding: 'utf8' });
  const python = join(home, 'bin', 'python');
  if (run(python, ['-c', 'import jwcrypto, mnemonic']).status === 0) return { python };
  const made = run('python3', ['-m', 'venv', home]);
  if (made.status !== 0) return { lacks: `python3 with venv: ${made.stderr}` };
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', 'jwcrypto', 'mnemonic'];
  const got = run(python, pip);
  return got.status === 0 ? { python } : { lacks: `jwcrypto and mnemonic from PyPI: ${got.stderr}` };
}

test('[S2-46] an independent reader in Python opens a real backup, and notices damage and other words', async (t) => {
  const found = readerPython();
  if ('lacks' in found) return t.skip(found.lacks);
  await commands();
  const words = readFileSync(join(folder, 'words.txt'), 'utf8');
  const read = (file: string, input = words) =>
    spawnSync(found.python, [join(ROOT, 'docs/backup_reader.py'), join(folder, file)], { input, encoding: 'utf8', maxBuffer: 1 << 30 });
  const { status, stdout, stderr } = read('monday.flexid-backup');
  assert.equal(status, 0, stderr);
  const [head, tenant, ...rows] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual([head.format, head.generation, head.extent, tenant.type, tenant.id], ['flexid-backup/1', 1, 'copy', 'tenant', 'base']);
  assert.equal(rows.filter(({ category }) => category === 'connection').length, 600);
  assert.ok(rows.some(({ type, secret }) => type === 'key' && secret === Buffer.from('secret one').toString('base64')));

  const lines = readFileSync(join(folder, 'monday.flexid-backup'), 'utf8').trimEnd().split('\n');
  for (const [name, changed] of [
    ['cut', lines.slice(0, -1)],
    ['changed', lines.map((line, n) => (n === 1 ? `${line.slice(0, -30)}${line.at(-30) === 'A' ? 'B' : 'A'}${line.slice(-29)}` : line))],
  ] as const) {
    writeFileSync(join(folder, name), `${changed.join('\n')}\n`);
    assert.notEqual(read(name).status, 0, name);
  }
  const others = `${'abandon '.repeat(23)}art`;
  assert.notEqual(read('monday.flexid-backup', others).status, 0);
  assert.notEqual(recoveryKeys(others).publicKey, recoveryKeys(words).publicKey);
});
