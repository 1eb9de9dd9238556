import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { until } from '../../../test/support/waiting.ts';
import { AppError } from '../../errors.ts';
import { storeSuite } from '../../ports/store.conformance.ts';
import { type ChangeNotification, type Database, JOB_KINDS } from '../../ports/store.ts';
import { A, beside, reached } from '../../ports/store-kit.conformance.ts';
import { newWalletKey } from '../../vault/master.ts';
import { type PostgresServer, startPostgres } from './embedded.ts';
import { openPostgres } from './postgres.ts';

const masterKey = newWalletKey();
let server: PostgresServer;
let databases = 0;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** Runs as superuser, whom row-level security does not bind, behind the agent's back. */
async function behind<T>(database: string, run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server.adminUrl.replace(/postgres$/, database) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

async function freshDatabase(): Promise<{ name: string; url: string }> {
  const name = `test_${databases++}`;
  await behind('postgres', (client) => client.query(`CREATE DATABASE ${name} OWNER flexid`));
  return { name, url: server.url.replace(/flexid$/, name) };
}

const failsWith =
  (code: string, text = /./) =>
  (error: unknown) =>
    error instanceof AppError && error.code === code && text.test(error.message);
const connection = (id: string, value = {}) => ({ category: 'connection', id, expect: 0, value });

/** Every row of every table as text and, of bytes, as they are. */
const dump = (database: string): Promise<Buffer> =>
  behind(database, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'flexid'");
    const parts: Buffer[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query<Record<string, unknown>>(`SELECT * FROM flexid.${name}`);
      for (const row of rows)
        for (const value of Object.values(row)) parts.push(Buffer.isBuffer(value) ? value : Buffer.from(String(value)));
    }
    return Buffer.concat(parts);
  });

/** Swaps a column of two rows. */
const swapped = (database: string, table: string, column: string, a: string, b: string): Promise<void> =>
  behind(database, async (client) => {
    const text = `UPDATE flexid.${table} r SET ${column} = o.${column} FROM flexid.${table} o WHERE r.id = ANY ($1) AND o.id = ANY ($1) AND r.id <> o.id`;
    await client.query(text, [[a, b]]);
  });

storeSuite('PostgreSQL store', async () => {
  const { name, url } = await freshDatabase();
  const others: Database[] = [];
  const opened = {
    db: await openPostgres({ url, masterKey }),
    async reopen() {
      await opened.db.admin.close();
      opened.db = await openPostgres({ url, masterKey });
      return opened.db;
    },
    async close() {
      for (const db of [opened.db, ...others]) await db.admin.close();
    },
    bytes: () => dump(name),
    swap: (a: string, b: string) => swapped(name, 'record', 'value', a, b),
    swapMail: (a: string, b: string) => swapped(name, 'mail', 'body', a, b),
    spoilJob: (id: string) =>
      behind(name, async (client) => {
        await client.query("UPDATE flexid.job SET payload = decode(repeat('00', 80), 'hex') WHERE id = $1", [id]);
      }),
    async second() {
      const db = await openPostgres({ url, masterKey });
      others.push(db);
      return db;
    },
  };
  return opened;
});

describe('PostgreSQL database', () => {
  let name: string;
  let url: string;
  let db: Database;
  before(async () => {
    ({ name, url } = await freshDatabase());
    db = await openPostgres({ url, masterKey });
    for (const tenant of ['a', 'b']) await db.admin.ensureTenant(tenant, tenant);
  });
  after(() => db.admin.close());

  it('is not opened without a wallet key, nor with a wrong one, nor when it is not there', async () => {
    await assert.rejects(openPostgres({ url, masterKey: undefined }), failsWith('wrong-master-key', /needs a wallet key/));
    await assert.rejects(openPostgres({ url, masterKey: newWalletKey() }), failsWith('wrong-master-key'));
    await assert.rejects(openPostgres({ url: 'postgres://x:y@127.0.0.1:1/z', masterKey }), failsWith('store-unavailable'));
    await assert.rejects(openPostgres({ url: url.replace(name, 'missing'), masterKey }), failsWith('store-unavailable'));
  });

  it('is migrated once by several processes that start together', async () => {
    const { url } = await freshDatabase();
    const opened = await Promise.all([1, 2, 3].map(() => openPostgres({ url, masterKey: 'a passphrase' })));
    for (const one of opened) await one.admin.close();
  });

  it('is refused when a newer version of the agent has changed it', async () => {
    const { name, url } = await freshDatabase();
    await (await openPostgres({ url, masterKey })).admin.close();
    await behind(name, (client) => client.query("INSERT INTO flexid.migration (number, name) VALUES (99, 'later')"));
    await assert.rejects(openPostgres({ url, masterKey }), failsWith('store-unavailable', /schema 99.*start a newer version/));
  });

  it('gives a database of an earlier version what it does not have yet', async () => {
    const { name, url } = await freshDatabase();
    const before = await openPostgres({ url, masterKey });
    await before.admin.ensureTenant('a', 'a');
    await before.store.commit('a', { records: [connection('x')] });
    await before.admin.close();
    await behind(name, (client) =>
      client.query(`DROP TABLE flexid.mail, flexid.mailbox; DROP FUNCTION flexid.expire_mail;
        DROP FUNCTION flexid.claim_fair, flexid.next_tenants, flexid.next_targets; ALTER TABLE flexid.lane DROP COLUMN target;
        DROP TABLE flexid.counter, flexid.allocation, flexid.blob, flexid.chunk, flexid.spare; DROP FUNCTION flexid.turn_blob, flexid.expire_blob;
        ALTER TABLE flexid.dedup_key RENAME TO mark; ALTER INDEX flexid.dedup_key_pkey RENAME TO mark_pkey; ALTER INDEX flexid.dedup_key_expires RENAME TO mark_expires;
        ALTER TABLE flexid.key_owner RENAME TO route; ALTER INDEX flexid.key_owner_pkey RENAME TO route_pkey;
        ALTER TABLE flexid.call RENAME TO cause; ALTER INDEX flexid.call_pkey RENAME TO cause_pkey; ALTER INDEX flexid.call_expires RENAME TO cause_expires;
        ALTER TABLE flexid.cause RENAME COLUMN call_id TO cause; ALTER TABLE flexid.cause RENAME COLUMN result TO snapshot;
        ALTER TABLE flexid.job RENAME COLUMN call_id TO cause; ALTER INDEX flexid.job_call RENAME TO job_cause; ALTER TABLE flexid.dead RENAME COLUMN call_id TO cause;
        ALTER FUNCTION flexid.load_rows RENAME TO load; ALTER FUNCTION flexid.claim_lane RENAME TO claim; ALTER FUNCTION flexid.notify_change RENAME TO hint;
        CREATE FUNCTION flexid.commit(p_tenants int[]) RETURNS text[] LANGUAGE sql AS 'SELECT NULL::text[]';
        DELETE FROM flexid.migration WHERE number >= 4`),
    );
    const after = await openPostgres({ url, masterKey });
    const functions = "SELECT proname AS name FROM pg_proc WHERE pronamespace = 'flexid'::regnamespace AND proname = ANY ($1) ORDER BY 1";
    const { rows } = await behind(name, (client) => client.query(functions, [['load', 'claim', 'hint', 'commit', 'load_rows']]));
    assert.deepEqual(rows, [{ name: 'commit' }, { name: 'load_rows' }], 'a process of the former version has no functions to work with');
    assert.equal((await after.store.load('a', [{ category: 'connection', id: 'x' }]))[0]!.length, 1);
    await after.store.commit('a', { mail: [{ id: 'm', mailbox: 'b', body: 'x', expires: Infinity }], records: [connection('y')] });
    assert.equal((await after.store.mail('a', 'b', { limit: 1 })).length, 1);
    assert.deepEqual(await after.admin.expireMail(Date.now()), []);
    await after.admin.close();
  });

  it('shows a statement the rows of its tenant only, whatever it asks for', async () => {
    await db.store.commit('a', { records: [connection('of-a')], keys: [{ kid: 'k', type: 'ed25519', secret: new Uint8Array(1) }] });
    await db.store.commit('b', { records: [connection('of-b')] });
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const seen = async (sql: string) => (await client.query<{ id: string }>(sql)).rows.map((row) => row.id);
    assert.deepEqual(await seen('SELECT id FROM flexid.record'), []);
    const { n } = (await client.query<{ n: number }>("SELECT n FROM flexid.tenant WHERE id = 'a'")).rows[0]!;
    await client.query("SELECT set_config('flexid.tenant', $1, false)", [String(n)]);
    assert.deepEqual(await seen('SELECT id FROM flexid.record'), ['of-a']);
    await assert.rejects(client.query('UPDATE flexid.record SET t = t + 1'), /row-level security/);
    await client.query("SELECT set_config('flexid.tenant', $1, false)", [String(n + 1)]);
    assert.deepEqual(await seen('SELECT id FROM flexid.record'), ['of-b']);
    assert.deepEqual(await seen('SELECT hash AS id FROM flexid.key'), []);
    await client.end();
  });

  it('has the tenant first in every key and index, so that the schema can be distributed by tenant', async () => {
    const { rows } = await behind(name, (client) =>
      client.query<{ table: string; index: string; first: string; single: boolean }>(
        `SELECT c.relname AS table, i.relname AS index, pg_get_indexdef(x.indexrelid, 1, false) AS first, x.indisunique AS single
         FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace s ON s.oid = c.relnamespace
         WHERE s.nspname = 'flexid' AND c.relname <> ALL ($1)`,
        // what is found before the tenant is known: owners by key, work by time; and what is about the database or its tenants themselves
        [['key_owner', 'lane', 'job', 'tenant', 'meta', 'migration']],
      ),
    );
    const others = rows.filter(({ first }) => first !== 't' && first !== '(t)::bigint' && first !== '((t)::bigint)');
    // upkeep over all tenants, which each part of a distributed table does for itself
    assert.deepEqual(others.map(({ index }) => index).sort(), [
      'call_expires',
      'dedup_key_expires',
      'event_time',
      'mail_expires',
      'spare_since',
    ]);
    assert.ok(others.every(({ single }) => !single));
    assert.ok(rows.length >= 12, `only ${rows.length} indexes were found`);
  });

  it('binds a superuser by a role of its own', async () => {
    const { name } = await freshDatabase();
    const asSuperuser = await openPostgres({ url: server.adminUrl.replace(/postgres$/, name), masterKey });
    await asSuperuser.admin.ensureTenant('a', 'a');
    await asSuperuser.store.commit('a', { records: [connection('x')], jobs: [{ id: '1', kind: 'work', lane: 'work:x', payload: {} }] });
    assert.equal((await asSuperuser.store.find('a', 'connection', {})).total, 1);
    const [lane] = await asSuperuser.jobs.claim({ owner: 't', lanes: 1, perLane: 1, leaseMs: 60_000 });
    await asSuperuser.jobs.settle([{ lane: lane!.lane, lease: lane!.lease, dead: [{ id: '1', error: 'x' }] }]);
    assert.equal((await asSuperuser.jobs.dead('a', { limit: 1, offset: 0 })).total, 1);
    const roles = await behind(name, (client) =>
      client.query("SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = $1 AND application_name = 'flexid'", [name]),
    );
    assert.equal(roles.rowCount, 1);
    await behind(name, async (client) => {
      await client.query('SET ROLE flexid_agent');
      assert.equal((await client.query('SELECT 1 FROM flexid.record')).rowCount, 0);
    });
    await asSuperuser.admin.expire(Date.now());
    await asSuperuser.admin.eraseTenant('a');
    await asSuperuser.admin.close();
  });

  it('commits durably where the server would not', async () => {
    const { name, url } = await freshDatabase();
    await behind('postgres', (client) => client.query(`ALTER DATABASE ${name} SET synchronous_commit = off`));
    const lazy = await openPostgres({ url, masterKey });
    await lazy.admin.ensureTenant('a', 'a');
    await behind(name, (client) =>
      client.query(`CREATE FUNCTION flexid.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.state := current_setting('synchronous_commit'); RETURN NEW; END $$;
        CREATE TRIGGER look BEFORE INSERT ON flexid.record FOR EACH ROW EXECUTE FUNCTION flexid.look()`),
    );
    await lazy.store.commit('a', { records: [connection('x')] });
    assert.equal((await lazy.store.load('a', [{ category: 'connection', id: 'x' }]))[0]?.[0]?.state, 'on');
    await lazy.admin.close();
  });

  it('gets notifications of the commits of another process', async () => {
    const other = await openPostgres({ url, masterKey });
    await db.admin.ensureTenant(A, A);
    await reached(db, other);
    const notifications: ChangeNotification[] = [];
    const own: ChangeNotification[] = [];
    const ends = [
      other.jobs.subscribe((notification) => notifications.push(notification)),
      db.jobs.subscribe((notification) => own.push(notification)),
    ];
    await db.store.commit('a', { jobs: [{ id: 'h1', kind: 'ledger', lane: 'ledger:h', payload: {}, callId: 'the-call' }] });
    await reached(db, other);
    assert.deepEqual(beside(notifications), [
      { kinds: ['ledger'], callIds: ['the-call'], invalidate: [], tenants: [], events: [], mailboxes: [], elsewhere: true },
    ]);
    const without = beside(notifications).map(({ elsewhere: _told, ...notification }) => notification);
    assert.deepEqual(beside(own), without, 'once, not again by the notification');
    notifications.length = 0;
    const event = { id: 'h2', topic: 't', category: 'connection', record: 'r', value: {} };
    await db.store.commit('a', { events: [event], invalidate: ['a tenant'], removedKeyOwners: ['a key'] });
    await reached(db, other);
    assert.deepEqual(beside(notifications), [
      { kinds: [], callIds: [], invalidate: ['a tenant', 'a key'], tenants: ['a'], events: [], mailboxes: [], elsewhere: true },
    ]);
    for (const end of ends) end();
    await other.admin.close();
  });

  it('fails calls while the connection is lost, and recovers by itself', async () => {
    const notifications: ChangeNotification[] = [];
    const end = db.jobs.subscribe((notification) => notifications.push(notification));
    const cut = () =>
      behind(name, (client) =>
        client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()', [name]),
      );
    const acknowledged: string[] = [];
    let [written, failed, isOver] = [0, 0, false];
    const write = async () => {
      while (!isOver) {
        const id = `lost-${String(written++).padStart(6, '0')}`;
        try {
          await db.store.commit('a', { records: [connection(id)] });
          acknowledged.push(id);
        } catch (error) {
          assert.ok(failsWith('store-unavailable')(error), String(error));
          failed += 1;
          await sleep(5);
        }
      }
    };
    const writers = Promise.all(Array.from({ length: 8 }, write));
    const more = async (count: number) => {
      const all = acknowledged.length + count;
      while (acknowledged.length < all) await sleep(5);
    };
    try {
      // a cut may fall between two calls
      for (let cuts = 0; cuts < 2 || failed === 0; cuts++) {
        await Promise.race([more(20), writers]);
        await cut();
      }
      await Promise.race([more(50), writers]);
    } finally {
      isOver = true;
      await writers;
    }
    const found = await db.store.load(
      'a',
      acknowledged.map((id) => ({ category: 'connection', id })),
    );
    assert.ok(found.every((rows) => rows.length === 1));
    await db.admin.check();
    const isAll = ({ kinds }: ChangeNotification) => kinds.length === JOB_KINDS.length;
    await until(() => notifications.some(isAll), 'a notification of everything, which may have changed in the gap');
    end();
  });

  it('reads the records that have a tag and no others, also by plans that were made while the tables were empty', async () => {
    const { name, url } = await freshDatabase();
    const one = async <T>(text: string): Promise<T> => (await behind(name, (client) => client.query<{ x: T }>(text))).rows[0]!.x;
    const sessions = (which = '') =>
      one<number>(`SELECT count(*)::int AS x FROM pg_stat_activity WHERE datname = '${name}' AND usename = 'flexid' ${which}`);
    const read = () => one<number>('SELECT sum(idx_tup_read)::int AS x FROM pg_stat_user_indexes');
    const early = await openPostgres({ url, masterKey });
    await early.admin.ensureTenant('large', 'large');
    const load = async () => (await early.store.load('large', [{ category: 'connection', tag: 'thread', equals: 'th-7' }]))[0]!.length;
    const page = async (db: Database) =>
      (await db.store.find('large', 'connection', { state: 'active', tags: { thread: 'th-7' } })).rows.length;
    assert.equal(await load(), 0);
    await until(async () => (await sessions("AND query = 'LISTEN flexid'")) === 1, 'the session that listens');
    const opened = await sessions();

    const filler = await openPostgres({ url, masterKey });
    const fill = (tenant: string, i: number, category = 'connection') =>
      filler.store.commit(tenant, {
        records: [{ ...connection(`c-${i}`), category, state: 'active', tags: { thread: `th-${i}` } }],
      });
    await Promise.all(Array.from({ length: 1500 }, (_, i) => fill('large', i)));
    // what the database takes for few records of a kind, going by the average, are many here
    await Promise.all(Array.from({ length: 400 }, (_, i) => fill('large', i, `kind-${i}`)));
    for (let i = 0; i < 20; i++) {
      await filler.admin.ensureTenant(`small-${i}`, 'small');
      await fill(`small-${i}`, i);
    }
    await filler.admin.close();
    // what a session has read is told when it ends
    await until(async () => (await sessions()) <= opened, 'the end of the others');
    let before = await read();
    assert.equal(await load(), 1);
    await early.admin.close();
    while ((await sessions()) > 0) await sleep(20);
    const loaded = (await read()) - before;
    assert.ok(loaded < 100, `${loaded} index entries were read to load one record`);

    await behind(name, (client) => client.query('ANALYZE'));
    before = await read();
    const late = await openPostgres({ url, masterKey });
    assert.equal(await page(late), 1);
    await late.admin.close();
    while ((await sessions()) > 0) await sleep(20);
    const listed = (await read()) - before;
    assert.ok(listed < 100, `${listed} index entries were read to list one record`);
  });

  it('reads the head of a box and nothing behind it, also by plans that were made while the tables were empty', async () => {
    const { name, url } = await freshDatabase();
    const one = async <T>(text: string): Promise<T> => (await behind(name, (client) => client.query<{ x: T }>(text))).rows[0]!.x;
    const sessions = (which = '') =>
      one<number>(`SELECT count(*)::int AS x FROM pg_stat_activity WHERE datname = '${name}' AND usename = 'flexid' ${which}`);
    const read = () =>
      one<number>('SELECT (sum(idx_tup_read) + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables))::int AS x FROM pg_stat_user_indexes');
    const without = ['x'];
    const look = async (db: Database) => {
      const found = [];
      for (const query of [{ limit: 10 }, { limit: 10, without, maxBytes: 1000 }, { limit: 10, origin: 'agent' as const }])
        found.push((await db.store.mail('large', 'box', query)).length);
      const last = (from: number) => [{ mailbox: 'box', ids: Array.from({ length: 3 }, (_, i) => `2-${from + i}`) }];
      await db.store.commit('large', { acknowledged: last(taken), unacknowledged: last(taken + 3), records: [] });
      taken += 3;
      assert.deepEqual(await db.admin.expireMail(Date.now()), []);
      return [...found, (await db.store.mailbox('large', 'box')).messages];
    };
    let taken = 900;
    const early = await openPostgres({ url, masterKey, poolSize: 1 });
    await early.admin.ensureTenant('large', 'large');
    assert.deepEqual(await look(early), [0, 0, 0, 0]);
    await until(async () => (await sessions("AND query = 'LISTEN flexid'")) === 1, 'the session that listens');
    const opened = await sessions();
    const filler = await openPostgres({ url, masterKey });
    for (const [k, mailbox] of ['box', 'box', 'box', 'other', 'third'].entries()) {
      const mail = Array.from({ length: 1000 }, (_, i) => {
        const recipient = i < 999 ? `key ${i % 9}` : undefined;
        return { id: `${k}-${i}`, mailbox, body: 'x', recipient, expires: Infinity };
      });
      await filler.store.commit('large', { mail });
    }
    await filler.admin.close();
    // what a session has read is told when it ends
    await until(async () => (await sessions()) <= opened, 'the end of the others');
    let before = await read();
    assert.deepEqual(await look(early), [10, 10, 3, 2997]);
    await early.admin.close();
    while ((await sessions()) > 0) await sleep(20);
    const first = (await read()) - before;
    assert.ok(first < 100, `${first} entries were read`);

    await behind(name, (client) => client.query('ANALYZE'));
    before = await read();
    const late = await openPostgres({ url, masterKey });
    assert.deepEqual(await look(late), [10, 10, 3, 2994]);
    await late.admin.close();
    while ((await sessions()) > 0) await sleep(20);
    const second = (await read()) - before;
    assert.ok(second < 100, `${second} entries were read`);
  });

  it('settles and claims for all who ask at one moment in one round trip', async () => {
    const { url } = await freshDatabase();
    const own = await openPostgres({ url, masterKey });
    await own.admin.ensureTenant('a', 'a');
    const lanes = ['work', 'ledger', 'event'] as const;
    await own.store.commit('a', { jobs: lanes.map((kind, i) => ({ id: `job-${i}`, kind, lane: `${kind}:1`, payload: {} })) });
    const wanted = lanes.map((kind) => ({ owner: 'me', lanes: 4, perLane: 4, leaseMs: 60_000, kinds: [kind] }));
    const before = own.admin.stats().statements!;
    const claims = await Promise.all(wanted.map((one) => own.jobs.settleAndClaim([], one)));
    const held = claims.flatMap((one) => one.lanes);
    assert.deepEqual(
      held.map(({ kind }) => kind),
      [...lanes],
    );
    const settled = held.map(({ lane, lease, jobs: [job] }) => [{ lane, lease, done: [job!.id] }]);
    await Promise.all(wanted.map((one, i) => own.jobs.settleAndClaim(settled[i]!, one)));
    assert.equal(own.admin.stats().statements! - before, 2);
    assert.deepEqual((await own.admin.backlog()).open.work, 0);
    await own.admin.close();
  });

  it('does not send more at once than a bound, however many commits wait', async () => {
    const { url } = await freshDatabase();
    const own = await openPostgres({ url, masterKey });
    await own.admin.ensureTenant('a', 'a');
    await own.store.commit('a', {});
    const send = async (length: number, size: number) => {
      const before = own.admin.stats().statements!;
      const ids = Array.from({ length }, (_, i) => `${size}-${i}`);
      await Promise.all(
        ids.map((id) => own.store.commit('a', { mail: [{ id, mailbox: 'b', body: 'x'.repeat(size), expires: Infinity }] })),
      );
      return own.admin.stats().statements! - before;
    };
    assert.equal(await send(12, 100), 1);
    assert.equal(await send(5, 3 << 20), 3);
    assert.equal(await send(2, 9 << 20), 2, 'one that is larger goes alone');
    assert.equal((await own.store.mailbox('a', 'b')).messages, 19);
    await own.admin.close();
  });

  it('never has commits of two processes wait for each other in a circle, whatever the order of their dedup keys and boxes', async () => {
    const { name, url } = await freshDatabase();
    const both = [await openPostgres({ url, masterKey }), await openPostgres({ url, masterKey })];
    await both[0]!.admin.ensureTenant('a', 'a');
    await both[0]!.admin.ensureTenant('b', 'b');
    let id = 0;
    for (let round = 0; round < 25; round++) {
      const boxes = Array.from({ length: 30 }, (_, i) => `box ${(i * 7) % 30}`);
      const work = both.flatMap((db, k) => {
        const order = k ? boxes.toReversed() : boxes;
        const mail = order.map((mailbox) => ({ id: `${id++}`, mailbox, body: 'x', expires: round % 2 ? Infinity : 1 }));
        const dedupKeys = order.map((box) => ({ dedupKey: `${round} ${box}`, expires: Infinity }));
        const taken = order.map((mailbox) => ({ mailbox, ids: [`${id - 90}`, `${id - 70}`] }));
        return [
          db.store.commit(k ? 'a' : 'b', { mail }),
          db.store.commit('a', { mail: mail.map((one) => ({ ...one, id: `${id++}` })), dedupKeys }),
          db.store.commit('a', { acknowledged: taken, unacknowledged: taken }),
          db.admin.expireMail(Date.now()),
        ];
      });
      const failed = (await Promise.allSettled(work)).filter(({ status }) => status === 'rejected');
      assert.ok(failed.length <= 1, 'no more than the one that came second with its dedup keys');
    }
    for (const db of both) await db.admin.close();
    const { rows } = await behind(name, (client) =>
      client.query<{ deadlocks: number }>('SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()'),
    );
    assert.deepEqual(rows, [{ deadlocks: 0 }]);
  });

  it('answers store-full where it is full, and stores nothing', async () => {
    await behind(name, (client) =>
      client.query(`CREATE FUNCTION flexid.no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER no_space BEFORE INSERT ON flexid.event FOR EACH ROW EXECUTE FUNCTION flexid.no_space()`),
    );
    const event = { id: 'full', topic: 't', category: 'c', record: 'r', value: {} };
    const results = await Promise.allSettled(
      [1, 2].map((i) => db.store.commit('a', { records: [connection(`full-${i}`)], events: [{ ...event, id: `${i}` }] })),
    );
    for (const result of results) assert.ok(result.status === 'rejected' && failsWith('store-full')(result.reason));
    await behind(name, (client) => client.query('DROP TRIGGER no_space ON flexid.event'));
    assert.deepEqual((await db.store.load('a', [{ category: 'connection', id: 'full-1' }]))[0], []);
    await db.store.commit('a', { records: [connection('full-1')], events: [event] });
  });

  it('keeps the promises of lanes while two processes commit and run at once', async () => {
    const other = await openPostgres({ url, masterKey });
    await db.store.commit('a', {
      jobs: Array.from({ length: 6 }, (_, i) => ({
        id: `0-${i}`,
        kind: 'local-message' as const,
        lane: `local-message:${i}`,
        payload: {},
      })),
    });
    const seen: string[] = [];
    const written: string[] = [];
    let writing = 2;
    const write = async (from: Database, w: number) => {
      for (let i = 0; i < 60; i++) {
        const jobs = Array.from({ length: 6 }, (_, lane) => ({
          id: `${w}-${String(i).padStart(5, '0')}-${lane}`,
          kind: 'local-message' as const,
          lane: `local-message:${(lane * 5 + i) % 6}`,
          payload: {},
        }));
        await from.store.commit('a', { jobs });
        written.push(...jobs.map((job) => job.id));
      }
      writing -= 1;
    };
    const run = async (from: Database) => {
      for (let idle = 0; writing > 0 || idle < 20; idle++) {
        const lanes = await from.jobs.claim({ owner: 'x', lanes: 3, perLane: 5, leaseMs: 60_000, kinds: ['local-message'] });
        if (lanes.length > 0) idle = 0;
        seen.push(...lanes.flatMap((lane) => lane.jobs.map((job) => job.id)));
        await from.jobs.settle(lanes.map((lane) => ({ lane: lane.lane, lease: lane.lease, done: lane.jobs.map((job) => job.id) })));
        await sleep(1);
      }
    };
    await Promise.all([write(db, 1), write(other, 2), run(db), run(other), run(db)]);
    assert.equal(seen.length, new Set(seen).size, 'no job twice');
    assert.equal(new Set(seen).size, written.length + 6);
    await other.admin.close();
  });
});
