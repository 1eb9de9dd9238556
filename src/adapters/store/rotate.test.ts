import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { AppError } from '../../errors.ts';
import type { Database } from '../../ports/store.ts';
import { startPostgres } from '../postgres/embedded.ts';
import { openPostgres } from '../postgres/postgres.ts';
import { rotatePostgres } from '../postgres/rotate.ts';
import { rotateSqlite } from '../sqlite/rotate.ts';
import { openSqlite } from '../sqlite/sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'flexid-rotate-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const wrong = (error: unknown): boolean => error instanceof AppError && error.code === 'wrong-master-key';
const locked = (error: unknown): boolean => error instanceof AppError && error.code === 'store-locked';

async function fill(db: Database): Promise<void> {
  for (const tenant of ['one', 'two']) {
    await db.admin.ensureTenant(tenant, tenant);
    await db.store.commit(tenant, { records: [{ category: 'c', id: 'r', expect: 0, value: { of: tenant }, tags: { of: tenant } }] });
  }
  await db.admin.close();
}
async function check(db: Database): Promise<void> {
  for (const tenant of ['one', 'two']) {
    const [byTag] = await db.store.load(tenant, [{ category: 'c', tag: 'of', equals: tenant }]);
    assert.deepEqual(byTag?.[0]?.value, { of: tenant });
  }
  await db.admin.close();
}

test('SQLite: after a rotation the new key opens everything and the old one nothing', async () => {
  const path = join(folder, 'given.db');
  await fill(await openSqlite({ path, masterKey: 'first' }));
  assert.throws(() => rotateSqlite({ path, masterKey: 'other', nextKey: 'second' }), wrong);
  assert.throws(() => rotateSqlite({ path, masterKey: 'first' }), /--new-wallet-key/);
  assert.throws(() => rotateSqlite({ path: join(folder, 'none.db'), masterKey: 'a', nextKey: 'b' }), /There is no database/);
  const open = await openSqlite({ path, masterKey: 'first' });
  assert.throws(() => rotateSqlite({ path, masterKey: 'first', nextKey: 'second' }), locked);
  await open.admin.close();
  assert.equal(rotateSqlite({ path, masterKey: 'first', nextKey: 'second' }), 2);
  await assert.rejects(openSqlite({ path, masterKey: 'first' }), wrong);
  await check(await openSqlite({ path, masterKey: 'second' }));
  assert.equal(existsSync(`${path}.key`), false);
});

test('SQLite: a generated key is replaced by a generated one, or by one that is given', async () => {
  const path = join(folder, 'generated.db');
  await fill(await openSqlite({ path }));
  const before = readFileSync(`${path}.key`, 'utf8');
  assert.equal(rotateSqlite({ path }), 2);
  assert.notEqual(readFileSync(`${path}.key`, 'utf8'), before);
  assert.deepEqual([readFileSync(`${path}.key.old`, 'utf8'), existsSync(`${path}.key.next`)], [before, false]);
  assert.equal(statSync(`${path}.key`).mode & 0o777, 0o600);
  await check(await openSqlite({ path }));
  rotateSqlite({ path, nextKey: 'given' });
  assert.equal(existsSync(`${path}.key`), false);
  await assert.rejects(openSqlite({ path }), wrong);
  await check(await openSqlite({ path, masterKey: 'given' }));
});

test('SQLite: wherever a rotation is cut off, the database opens by itself', async () => {
  const path = join(folder, 'cut.db');
  const files = (suffix: string): string => `${path}.key${suffix}`;
  await fill(await openSqlite({ path }));
  copyFileSync(files(''), files('.was'));
  // before its transaction: the new key lies there, and the database knows the old one
  copyFileSync(files(''), files('.next'));
  await check(await openSqlite({ path }));
  rotateSqlite({ path });
  // after its transaction, before either file was renamed
  renameSync(files(''), files('.next'));
  copyFileSync(files('.was'), files(''));
  rmSync(files('.old'));
  await check(await openSqlite({ path }));
  assert.deepEqual([existsSync(files('.next')), readFileSync(files('.old'), 'utf8')], [false, readFileSync(files('.was'), 'utf8')]);
  // between the two renamings
  renameSync(files(''), files('.next'));
  await check(await openSqlite({ path }));
  await check(await openSqlite({ path }));
  // and a rotation after all that begins anew
  copyFileSync(files('.was'), files('.next'));
  rotateSqlite({ path });
  await check(await openSqlite({ path }));
});

test('PostgreSQL: the same, and not while an agent has the database open', async () => {
  const server = await startPostgres();
  try {
    const url = server.url;
    await fill(await openPostgres({ url, masterKey: 'first' }));
    await assert.rejects(rotatePostgres({ url, masterKey: 'first' }), wrong);
    await assert.rejects(rotatePostgres({ url, masterKey: 'other', nextKey: 'second' }), wrong);
    const open = await openPostgres({ url, masterKey: 'first' });
    await open.admin.check();
    await assert.rejects(rotatePostgres({ url, masterKey: 'first', nextKey: 'second' }), locked);
    await check(open);
    // a rotation that ends in the middle leaves the old key in force
    const half = new pg.Client({ connectionString: url });
    await half.connect();
    await half.query("BEGIN; UPDATE flexid.tenant SET data_key = '\\x00'; UPDATE flexid.meta SET value = '{}'");
    await half.end();
    await check(await openPostgres({ url, masterKey: 'first' }));
    assert.equal(await rotatePostgres({ url, masterKey: 'first', nextKey: 'second' }), 2);
    await assert.rejects(openPostgres({ url, masterKey: 'first' }), wrong);
    await check(await openPostgres({ url, masterKey: 'second' }));
  } finally {
    await server.stop();
  }
});
