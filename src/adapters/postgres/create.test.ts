import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { AppError } from '../../errors.ts';
import { type PostgresServer, startPostgres } from './embedded.ts';
import { openPostgres } from './postgres.ts';

/** A database that a server does not have is created as ACA-Py's storage does it, and a server that refuses is told from one that does not answer. */

let server: PostgresServer;
let admin: pg.Client;
before(async () => {
  server = await startPostgres();
  admin = new pg.Client({ connectionString: server.adminUrl });
  await admin.connect();
  await admin.query("CREATE ROLE account LOGIN PASSWORD 'secret'");
  await admin.query("CREATE ROLE maker LOGIN CREATEDB PASSWORD 'of/maker'");
});
after(async () => {
  await admin?.end();
  await server?.stop();
});

const hostOf = (): string => new URL(server.adminUrl).host;
const urlOf = (name: string, query: Record<string, string> = {}, login = 'account:secret'): string =>
  `postgres://${login}@${hostOf()}/${encodeURIComponent(name)}${Object.keys(query).length > 0 ? `?${new URLSearchParams(query)}` : ''}`;
const MAKER = { admin_account: 'maker', admin_password: 'of/maker' };
const opened = async (url: string): Promise<void> => {
  const db = await openPostgres({ url, masterKey: 'key' });
  await db.admin.ensureTenant('base', 'wallet');
  assert.deepEqual(await db.admin.tenants(), ['base']);
  await db.admin.close();
};

test('the admin account creates the database, the account uses it; at the next start it is there', async () => {
  for (const name of ['wallet', 'Wallet "of" Ünïcode/1']) {
    await opened(urlOf(name, MAKER));
    await opened(urlOf(name));
  }
});

test('without an admin account the account creates it itself, where it may', async () => {
  await opened(urlOf('own', {}, 'maker:of%2Fmaker'));
  await assert.rejects(openPostgres({ url: urlOf('none'), masterKey: 'key' }), (error: AppError) => {
    assert.match(error.message, /^There is no database none, and account could not create it: The database refuses \(permission denied/);
    return error.code === 'store-unavailable';
  });
});

test('replicas that start at once make one database', async () => {
  await Promise.all(Array.from({ length: 6 }, () => opened(urlOf('raced', MAKER))));
});

test('a server that refuses has another error than one that does not answer, and no password is in it', async () => {
  const refused = async (url: string): Promise<string> => {
    const error = await openPostgres({ url, masterKey: 'key' }).then(
      () => assert.fail('it was opened'),
      (thrown: unknown) => thrown as AppError,
    );
    assert.ok(error instanceof AppError && error.code === 'store-unavailable', String(error));
    assert.ok(!/secret|of\/maker|wrong-word/.test(error.message), error.message);
    return error.message;
  };
  assert.match(await refused(urlOf('wallet', {}, 'account:wrong-word')), /^The database refuses \(password authentication failed/);
  assert.match(
    await refused(urlOf('other', { ...MAKER, admin_password: 'wrong-word' })),
    /could not create it: The database refuses \(password/,
  );
  const silent = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  assert.match(await refused(`postgres://account:secret@127.0.0.1:${port}/wallet`), /^The database does not answer \(/);
  await new Promise((resolve) => silent.close(resolve));
  assert.match(await refused(`postgres://account:secret@127.0.0.1:${port}/wallet`), /^The database does not answer \(/);
});

test('a process that wants the database alone is refused while another has it', async () => {
  const url = urlOf('alone', MAKER);
  const first = await openPostgres({ url, masterKey: 'key' });
  await first.admin.ensureTenant('base', 'wallet');
  await first.store.load('base', [{ category: 'any', id: 'one' }]);
  await assert.rejects(openPostgres({ url, masterKey: 'key', alone: true }), /Another process has the database open/);
  await first.admin.close();
});
