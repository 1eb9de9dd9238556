import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { blobSuite } from '../../ports/blobs.conformance.ts';
import { newWalletKey } from '../../vault/master.ts';
import { type PostgresServer, startPostgres } from '../postgres/embedded.ts';
import { openPostgres } from '../postgres/postgres.ts';
import { openSqlite } from '../sqlite/sqlite.ts';
import { folderBlobs } from './blobs-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'flexid-blobs-'));
const masterKey = newWalletKey();
let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
const TENANTS = ['tenant-a', 'tenant-b'] as const;
const STORED = 'SELECT coalesce(sum(length(bytes)), 0) AS stored FROM';

blobSuite('blobs in SQLite', async () => {
  const path = join(folder, 'blobs.db');
  const db = await openSqlite({ path });
  for (const tenant of TENANTS) await db.admin.ensureTenant(tenant, tenant);
  return {
    blobs: db.blobs,
    second: db.blobs,
    tenants: TENANTS,
    async stored() {
      const raw = new DatabaseSync(path);
      const { stored } = raw.prepare(`${STORED} chunk`).get() as { stored: number };
      raw.close();
      return stored;
    },
    close: () => db.admin.close(),
  };
});

blobSuite('blobs in PostgreSQL', async () => {
  const [db, other] = [await openPostgres({ url: server.url, masterKey }), await openPostgres({ url: server.url, masterKey })];
  for (const tenant of TENANTS) await db.admin.ensureTenant(tenant, tenant);
  const client = new pg.Client({ connectionString: server.adminUrl.replace(/postgres$/, 'flexid') });
  await client.connect();
  return {
    blobs: db.blobs,
    second: other.blobs,
    tenants: TENANTS,
    stored: async () => Number((await client.query(`${STORED} flexid.chunk`)).rows[0].stored),
    async close() {
      await client.end();
      await Promise.all([db.admin.close(), other.admin.close()]);
    },
  };
});

const sizeOf = (at: string): number =>
  readdirSync(at, { withFileTypes: true }).reduce(
    (sum, one) => sum + (one.isDirectory() ? sizeOf(join(at, one.name)) : statSync(join(at, one.name)).size),
    0,
  );

blobSuite('blobs in a folder', async () => {
  const root = join(folder, 'files');
  const blobs = folderBlobs(root);
  return { blobs, second: folderBlobs(root), tenants: TENANTS, stored: async () => sizeOf(root), close: async () => undefined };
});

test('a write to a folder that was cut short is no value, and goes', async () => {
  const root = join(folder, 'cut');
  const blobs = folderBlobs(root);
  await blobs.put('t', 'whole', Buffer.from('x'));
  writeFileSync(join(root, '_t', '.part-1'), 'half');
  assert.deepEqual(
    (await blobs.list('t', {})).map(({ name }) => name),
    ['whole'],
  );
  assert.equal(await blobs.expire(Date.now()), 0);
  assert.equal(await blobs.expire(Date.now() + 2 * 3600_000), 1);
  assert.deepEqual(readdirSync(join(root, '_t')), ['_whole']);
});

test('a removed tenant leaves no blob behind', async () => {
  const databases = [await openSqlite({ path: join(folder, 'swept.db') }), await openPostgres({ url: server.url, masterKey })];
  for (const db of databases) {
    await db.admin.ensureTenant('gone', 'gone');
    await db.blobs.put('gone', 'a', Buffer.alloc(600_000, 1));
    await db.admin.eraseTenant('gone');
    let rows = 0;
    for (let gone = -1; gone !== 0; rows += gone) gone = await db.admin.sweepTenant('gone');
    assert.equal(rows, 4, 'a name and three chunks');
    assert.ok(!(await db.admin.tenants()).includes('gone'));
    await db.admin.close();
  }
});

test('a value that is written while its tenant is erased is nobody’s', async () => {
  const path = join(folder, 'erased.db');
  const erase = "UPDATE tenant SET data_key = %, lock = NULL WHERE id = 'erased'";
  const sqlite = await openSqlite({ path });
  const postgres = await openPostgres({ url: server.url, masterKey });
  const erased = {
    sqlite() {
      const raw = new DatabaseSync(path, { timeout: 1000 });
      raw.exec(erase.replace('%', "x''"));
      raw.close();
    },
    async postgres() {
      const client = new pg.Client({ connectionString: server.adminUrl.replace(/postgres$/, 'flexid') });
      await client.connect();
      await client.query(erase.replace('tenant', 'flexid.tenant').replace('%', "''"));
      await client.end();
    },
  };
  for (const [db, behind] of [
    [sqlite, erased.sqlite],
    [postgres, erased.postgres],
  ] as const) {
    await db.admin.ensureTenant('erased', 'erased');
    await db.blobs.put('erased', 'before', Buffer.from('x'));
    // behind the agent's back: it still believes that the tenant is there, as one that began before the erasure does
    await behind();
    await assert.rejects(db.blobs.put('erased', 'after', Buffer.from('x')), { code: 'not-found' });
    assert.deepEqual(
      (await db.blobs.list('erased', {})).map(({ name }) => name),
      ['before'],
    );
    await db.admin.close();
  }
});
