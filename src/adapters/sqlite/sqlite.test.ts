import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, it } from 'node:test';
import { AppError } from '../../errors.ts';
import { storeSuite } from '../../ports/store.conformance.ts';
import type { Commit, Database, EventWrite, JobKind, JobWrite } from '../../ports/store.ts';
import { newWalletKey } from '../../vault/master.ts';
import { openSqlite, repageSqlite } from './sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'flexid-sqlite-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const freshPath = () => join(folder, `store-${files++}.db`);
const failsWith =
  (code: string, text = /./) =>
  (error: unknown) =>
    error instanceof AppError && error.code === code && text.test(error.message);

/** Runs SQL on the file behind the agent's back. */
function behind(path: string, run: (raw: DatabaseSync) => void): void {
  const raw = new DatabaseSync(path, { timeout: 1000 });
  try {
    run(raw);
  } finally {
    raw.close();
  }
}

function swapValues(raw: DatabaseSync, table: string, column: string, a: string, b: string): void {
  const read = raw.prepare(`SELECT ${column} AS value FROM ${table} WHERE id = ?`);
  const write = raw.prepare(`UPDATE ${table} SET ${column} = ? WHERE id = ?`);
  const [ofA, ofB] = [a, b].map((id) => (read.get(id) as { value: Uint8Array }).value);
  write.run(ofB!, a);
  write.run(ofA!, b);
}

storeSuite('SQLite store', async () => {
  const path = freshPath();
  const opened = {
    db: await openSqlite({ path }),
    async reopen() {
      await opened.db.admin.close();
      opened.db = await openSqlite({ path });
      return opened.db;
    },
    close: () => opened.db.admin.close(),
    bytes: async () => Buffer.concat([path, `${path}-wal`].filter((file) => existsSync(file)).map((file) => readFileSync(file))),
    swap: async (a: string, b: string) => behind(path, (raw) => swapValues(raw, 'record', 'value', a, b)),
    swapMail: async (a: string, b: string) => behind(path, (raw) => swapValues(raw, 'mail', 'body', a, b)),
    spoilJob: async (id: string) => behind(path, (raw) => void raw.prepare('UPDATE job SET payload = zeroblob(80) WHERE id = ?').run(id)),
  };
  return opened;
});

const connection = (id: string, value = {}) => ({ category: 'connection', id, expect: 0, value });

describe('SQLite file', () => {
  it('is refused to a second opener, and free again after the first closed', async () => {
    const path = freshPath();
    const db = await openSqlite({ path });
    await assert.rejects(openSqlite({ path }), failsWith('store-locked', /Another process has this database open/));
    const code = `import { openSqlite } from ${JSON.stringify(import.meta.resolve('./sqlite.ts'))};
      await openSqlite({ path: ${JSON.stringify(path)} }).then(() => console.log('opened'), (error) => console.log(error.code))`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    assert.equal((await output(other)).trim(), 'store-locked');
    await db.admin.close();
    await (await openSqlite({ path })).admin.close();
  });

  it('gets a wallet key of its own when none is given, and tells a wrong one', async () => {
    const path = freshPath();
    const db = await openSqlite({ path });
    await db.admin.ensureTenant('t', 'x');
    await db.store.commit('t', { records: [connection('a', { n: 1 })] });
    await db.admin.close();
    assert.equal(statSync(`${path}.key`).mode & 0o777, 0o600);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await assert.rejects(openSqlite({ path, masterKey: newWalletKey() }), failsWith('wrong-master-key', /does not open this database/));
    await assert.rejects(openSqlite({ path, masterKey: 'a passphrase' }), failsWith('wrong-master-key'));
    const saved = readFileSync(`${path}.key`, 'utf8').trim();
    rmSync(`${path}.key`);
    await assert.rejects(openSqlite({ path }), failsWith('wrong-master-key', /needs its wallet key/));
    const again = await openSqlite({ path, masterKey: saved });
    assert.deepEqual((await again.store.load('t', [{ category: 'connection', id: 'a' }]))[0]?.[0]?.value, { n: 1 });
    await again.admin.close();
  });

  it('takes a passphrase', async () => {
    const path = freshPath();
    await (await openSqlite({ path, masterKey: 'insecure, for the test' })).admin.close();
    assert.equal(existsSync(`${path}.key`), false);
    await assert.rejects(openSqlite({ path, masterKey: 'insecure, for the tests' }), failsWith('wrong-master-key'));
    await (await openSqlite({ path, masterKey: 'insecure, for the test' })).admin.close();
  });

  it('is refused when a newer version of the agent has changed it', async () => {
    const path = freshPath();
    await (await openSqlite({ path })).admin.close();
    behind(path, (raw) => raw.exec("INSERT INTO migration VALUES (99, 'later', 0)"));
    await assert.rejects(openSqlite({ path }), failsWith('store-unavailable', /schema 99.*start a newer version/));
  });

  it('is given what it does not have yet when an earlier version made it', async () => {
    const path = freshPath();
    const before = await openSqlite({ path });
    await before.admin.ensureTenant('a', 'a');
    const jobs = ['1', '2', '3'].map((id): JobWrite => ({ id, kind: 'event', lane: id < '3' ? 'event:x:1' : 'event:y', payload: { id } }));
    await before.store.commit('a', { records: [connection('x')], jobs });
    await before.admin.close();
    behind(path, (raw) =>
      raw.exec(
        `ALTER TABLE job RENAME TO later; DROP INDEX job_call;
          CREATE TABLE lane (n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, t INTEGER NOT NULL, due INTEGER NOT NULL, head TEXT NOT NULL) STRICT;
          CREATE INDEX lane_due ON lane (kind, due);
          CREATE TABLE job (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, lane INTEGER NOT NULL, t INTEGER NOT NULL, kind TEXT NOT NULL,
            due INTEGER NOT NULL, attempts INTEGER NOT NULL, call_id TEXT, payload BLOB NOT NULL) STRICT;
          CREATE INDEX job_lane ON job (lane, id);
          INSERT INTO lane (name, kind, t, due, head) SELECT lane, kind, t, lane_due, id FROM later WHERE lane_due IS NOT NULL;
          INSERT INTO job (id, lane, t, kind, due, attempts, call_id, payload)
            SELECT j.id, l.n, j.t, j.kind, j.due, j.attempts, j.call_id, j.payload FROM later j JOIN lane l ON l.name = j.lane ORDER BY j.id DESC;
          DROP TABLE later;
          DROP TABLE mail; DROP TABLE mailbox; DROP TABLE blob; DROP TABLE chunk; DROP TABLE spare; DROP TABLE counter; DROP TABLE allocation;
          ALTER TABLE dedup_key RENAME TO mark; CREATE INDEX mark_hash ON mark (hash); CREATE INDEX mark_expires ON mark (expires); ALTER TABLE key_owner RENAME TO route;
          ALTER TABLE call RENAME TO cause; ALTER TABLE cause RENAME COLUMN call_id TO cause; ALTER TABLE cause RENAME COLUMN result TO snapshot;
          CREATE INDEX cause_id ON cause (cause); CREATE INDEX cause_expires ON cause (expires);
          ALTER TABLE job RENAME COLUMN call_id TO cause; CREATE INDEX job_cause ON job (cause); ALTER TABLE dead RENAME COLUMN call_id TO cause;
          DROP INDEX dedup_key_hash; DROP INDEX dedup_key_expires; DROP INDEX call_call_id; DROP INDEX call_expires;
          DELETE FROM migration WHERE number >= 3`,
      ),
    );
    const after = await openSqlite({ path });
    behind(path, (raw) => {
      const text = "SELECT group_concat(id || ' ' || (lane_due IS NOT NULL) || ' ' || target, ', ' ORDER BY id) AS rows FROM job";
      assert.equal(raw.prepare(text).get()!.rows, '1 1 x, 2 0 x, 3 1 ');
    });
    assert.equal((await after.store.load('a', [{ category: 'connection', id: 'x' }]))[0]!.length, 1);
    await after.store.commit('a', { mail: [{ id: 'm', mailbox: 'b', body: 'x', expires: Infinity }] });
    assert.equal((await after.store.mail('a', 'b', { limit: 1 })).length, 1);
    const lanes = await after.jobs.claim({ owner: 'me', lanes: 9, perLane: 1, leaseMs: 10_000 });
    const of = (name: string) => lanes.find(({ lane }) => lane === name)!;
    assert.deepEqual(lanes.map(({ lane, jobs: [first] }) => [lane, first!.id, first!.payload.id]).sort(), [
      ['event:x:1', '1', '1'],
      ['event:y', '3', '3'],
    ]);
    await after.jobs.settle([{ lane: 'event:x:1', lease: of('event:x:1').lease, done: ['1'] }]);
    const rest = await after.jobs.claim({ owner: 'me', lanes: 9, perLane: 9, leaseMs: 10_000 });
    assert.deepEqual(
      rest.map(({ jobs: [next] }) => next!.id),
      ['2'],
    );
    await after.admin.close();
  });

  it('is refused when it is no database', async () => {
    const path = freshPath();
    writeFileSync(path, Buffer.alloc(40_000, 'not a database '));
    await assert.rejects(openSqlite({ path }), failsWith('store-corrupt', /damaged/));
    await assert.rejects(openSqlite({ path: join(path, 'inside-a-file.db') }), failsWith('store-unavailable'));
  });

  it('waits for the disk with each commit but one that completes a job and does nothing but change records and order work', async () => {
    const db = await openSqlite({ path: freshPath() });
    await db.admin.ensureTenant('t', 't');
    let n = 0;
    const job = (kind: JobKind, more: Partial<JobWrite> = {}): JobWrite => ({
      id: `job-${n++}`,
      kind,
      lane: `${kind}:${n}`,
      payload: {},
      ...more,
    });
    const synced = async (what: Commit): Promise<number> => {
      const before = db.admin.stats().synced!;
      await db.store.commit('t', what);
      return db.admin.stats().synced! - before;
    };
    const held = async (): Promise<{ id: string; lease: string }> => {
      const command = job('command');
      assert.equal(await synced({ jobs: [command] }), 1);
      const [lane] = await db.jobs.claim({ owner: 'me', lanes: 1, perLane: 1, leaseMs: 10_000, lane: command.lane });
      return { id: command.id, lease: lane!.lease };
    };
    const event: EventWrite = { id: 'event', topic: 'x', category: 'connection', record: 'a', value: { payload: {} } };
    assert.equal(await synced({ done: [await held()], jobs: [job('work')], records: [connection('a')] }), 0);
    assert.equal(await synced({ isUnanswered: true, jobs: [job('work')], records: [connection('b')] }), 0);
    const others: Commit[] = [
      { isUnanswered: true, jobs: [job('work'), job('command')] },
      { isUnanswered: true, records: [connection('c')] },
      { isUnanswered: true, jobs: [job('work')], events: [{ ...event, id: 'other' }] },
      { jobs: [job('work')] },
      { done: [await held()] },
      { done: [await held()], jobs: [job('work'), job('deliver')] },
      { done: [await held()], jobs: [job('work', { allocate: { counter: 'c', upTo: 2 } })] },
      { done: [await held()], jobs: [job('work')], events: [event] },
      { done: [await held()], jobs: [job('work')], results: [{ callId: 'call', value: {} }] },
      { done: [await held()], jobs: [job('work')], failures: [{ callId: 'call', code: 'internal', text: 'x' }] },
      { done: [await held()], jobs: [job('work')], deletes: [{ category: 'connection', id: 'a', expect: 1 }] },
      { done: [await held()], jobs: [job('work')], dedupKeys: [{ dedupKey: 'k', expires: Date.now() + 1000 }] },
      { done: [await held()], jobs: [job('work')], mail: [{ id: 'm', mailbox: 'b', body: 'x', expires: Infinity }] },
    ];
    for (const what of others) assert.equal(await synced(what), 1, JSON.stringify(what));
    await db.admin.close();
  });

  it('settles what waits for it with a commit, in one transaction, and gives it back where that fails', async () => {
    const db = await openSqlite({ path: freshPath() });
    await db.admin.ensureTenant('t', 't');
    const claimed = async (id: string) => {
      await db.store.commit('t', { jobs: [{ id, kind: 'event', lane: `event:${id}`, payload: {} }] });
      const [lane] = await db.jobs.claim({ owner: 'me', lanes: 1, perLane: 1, leaseMs: 10_000, lane: `event:${id}` });
      return { lane: lane!.lane, lease: lane!.lease, done: [id] };
    };
    let waiting = [await claimed('one')];
    const back: unknown[] = [];
    db.jobs.settleAlong!(
      () => waiting.splice(0),
      (lanes) => void back.push(...lanes),
    );
    const { transactions } = db.admin.stats();
    await assert.rejects(db.store.commit('t', { records: [{ ...connection('none'), expect: 7 }] }), failsWith('conflict'));
    assert.deepEqual([waiting, back], [[], []], 'a commit that is refused keeps nothing from being settled');
    assert.equal(db.admin.stats().transactions! - transactions!, 1);
    assert.equal((await db.admin.backlog()).open.event, 0);
    // no id: the database cannot write that
    const broken = { ...(await claimed('two')), done: [undefined as unknown as string] };
    waiting = [broken];
    await db.store.commit('t', { records: [connection('a')] });
    assert.deepEqual([waiting, back], [[], [broken]], 'what goes along fails by itself');
    assert.equal((await db.admin.backlog()).open.event, 1);
    await db.admin.close();
  });

  it('has room for the commits of a full file where what goes along has none', async () => {
    const path = freshPath();
    const made = await openSqlite({ path });
    await made.admin.ensureTenant('t', 't');
    const ids = Array.from({ length: 2000 }, (_none, i) => String(i));
    await Promise.all(ids.map((id) => made.store.commit('t', { jobs: [{ id, kind: 'event', lane: `event:${id}`, payload: {} }] })));
    await made.store.commit('t', { records: [connection('a')] });
    await made.admin.close();
    let pages = 0;
    behind(path, (raw) => {
      pages = (raw.prepare('PRAGMA page_count').get() as { page_count: number }).page_count;
    });
    const db = await openSqlite({ path, maxPageCount: pages });
    const share = { tenant: ids.length, held: new Map(), target: ids.length, targets: [] };
    const lanes = await db.jobs.claim({ owner: 'me', lanes: ids.length, perLane: 1, leaseMs: 60_000, kinds: ['event'], share });
    const waiting = lanes.map(({ lane, lease, jobs }, i) => {
      const at = Date.now() + 1e6 + ((i * 7919) % 100_003) * 1000;
      return { lane, lease, retry: jobs.map(({ id }) => ({ id, at, error: 'later' })) };
    });
    let back = 0;
    db.jobs.settleAlong!(
      () => waiting.splice(0, 8),
      (some) => {
        back += some.length;
      },
    );
    for (let version = 1; version <= 100; version++) {
      const records = [{ ...connection('a'), expect: version }];
      await db.store.commit('t', { records });
    }
    assert.ok(back > 0, 'the file was full for what went along');
    await db.admin.close();
  });

  it('settles all lanes but the dead job of a wallet that is locked, which waits until that opens', async () => {
    const db = await openSqlite({ path: freshPath() });
    const key = { walletKey: 'only mine', until: Date.now() + 60_000 };
    await db.admin.ensureTenant('locked', 'locked', key);
    await db.admin.ensureTenant('t', 't');
    const claimed = async (tenant: string) => {
      await db.store.commit(tenant, { jobs: [{ id: tenant, kind: 'event', lane: `event:${tenant}`, payload: {} }] });
      const [lane] = await db.jobs.claim({ owner: 'me', lanes: 1, perLane: 1, leaseMs: 60_000, lane: `event:${tenant}` });
      return { lane: lane!.lane, lease: lane!.lease };
    };
    const dead = { ...(await claimed('locked')), dead: [{ id: 'locked', error: 'gone' }] };
    const done = { ...(await claimed('t')), done: ['t'] };
    await db.admin.lockTenant('locked');
    await db.jobs.settle([dead, done]);
    assert.equal((await db.admin.backlog()).open.event, 1);
    await db.admin.unlockTenant('locked', key);
    const [again] = await db.jobs.claim({ owner: 'me', lanes: 1, perLane: 1, leaseMs: 60_000, lane: dead.lane });
    assert.deepEqual(
      again?.jobs.map(({ id }) => id),
      ['locked'],
    );
    await db.admin.close();
  });

  it('writes a file with other pages anew, with all that is in it', async () => {
    const path = freshPath();
    behind(path, (raw) => raw.exec('PRAGMA page_size = 16384; CREATE TABLE before (x)'));
    const db = await openSqlite({ path });
    await db.admin.ensureTenant('t', 'x');
    for (let i = 0; i < 50; i++) await db.store.commit('t', { records: [connection(`r${i}`, { text: 'x'.repeat(3000) })] });
    assert.throws(() => repageSqlite(path), failsWith('store-locked'));
    await db.admin.close();
    assert.equal(repageSqlite(path), true);
    assert.equal(repageSqlite(path), false);
    behind(path, (raw) => assert.deepEqual({ ...raw.prepare('PRAGMA page_size').get() }, { page_size: 4096 }));
    const again = await openSqlite({ path });
    assert.equal((await again.store.find('t', 'connection', { limit: 100 })).rows.length, 50);
    await again.admin.close();
  });

  it('has one sentence for a damaged page', async () => {
    const path = freshPath();
    const db = await openSqlite({ path });
    await db.admin.ensureTenant('t', 'x');
    for (let i = 0; i < 50; i++) await db.store.commit('t', { records: [connection(`r${i}`, { text: 'x'.repeat(3000) })] });
    await db.admin.close();
    const size = statSync(path).size;
    const file = openSync(path, 'r+');
    // the first pages are left whole: they are what is read at the start
    for (let at = 12 * 4096; at < size; at += 4096) writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, at);
    closeSync(file);
    const readAll = async () => {
      const damaged = await openSqlite({ path });
      try {
        await damaged.store.find('t', 'connection', {});
      } finally {
        await damaged.admin.close();
      }
    };
    await assert.rejects(readAll(), failsWith('store-corrupt', /^The database (file )?is damaged/));
  });

  it('stores nothing and acknowledges nothing when it is full, and goes on when there is room', async () => {
    const path = freshPath();
    const db = await openSqlite({ path, maxPageCount: 240 });
    await db.admin.ensureTenant('t', 'x');
    const acknowledged: string[] = [];
    const refused: string[] = [];
    const write = (id: string) =>
      db.store
        .commit('t', { records: [connection(id, { text: 'x'.repeat(9000) })], dedupKeys: [{ dedupKey: id, expires: Infinity }] })
        .then(
          () => acknowledged.push(id),
          (error) => {
            assert.ok(failsWith('store-full')(error), String(error));
            refused.push(id);
          },
        );
    for (let i = 0; i < 30; i++) await Promise.all(Array.from({ length: 5 }, (_, k) => write(`${i}-${k}`)));
    assert.ok(acknowledged.length > 10 && refused.length > 10, `${acknowledged.length} and ${refused.length}`);
    const stored = async (from: Database) => (await from.store.find('t', 'connection', { limit: 1000 })).rows.map((row) => row.id).sort();
    assert.deepEqual(await stored(db), [...acknowledged].sort());
    for (const id of refused) assert.equal((await db.store.loadWithDedupKey('t', id, [])).repeated, undefined);
    await db.store.commit('t', { deletes: acknowledged.map((id) => ({ category: 'connection', id, expect: 1 })) });
    await write('after');
    assert.equal(acknowledged.at(-1), 'after');
    await db.admin.close();
    const again = await openSqlite({ path });
    assert.deepEqual(await stored(again), ['after']);
    await again.admin.close();
  });

  it('refuses calls after it was closed, and finishes those before', async () => {
    const path = freshPath();
    const db = await openSqlite({ path });
    await db.admin.ensureTenant('t', 'x');
    const pending = db.store.commit('t', { records: [connection('last')] });
    await db.admin.close();
    await pending;
    await assert.rejects(db.store.load('t', []), failsWith('store-unavailable'));
    await assert.rejects(db.store.commit('t', { records: [connection('later')] }), failsWith('store-unavailable'));
    const again = await openSqlite({ path });
    assert.equal((await again.store.find('t', 'connection', {})).total, 1);
    await again.admin.close();
  });

  it('leaves nothing behind beside the database, its key and its lock', async () => {
    const path = freshPath();
    await (await openSqlite({ path })).admin.close();
    const name = path.slice(folder.length + 1);
    assert.deepEqual(
      readdirSync(folder)
        .filter((file) => file.startsWith(name))
        .sort(),
      [name, `${name}.key`, `${name}.lock`],
    );
  });
});

async function output(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout!.on('data', (chunk) => {
    text += chunk;
  });
  await once(child, 'close');
  return text;
}

describe('SQLite after kill -9', () => {
  it('has every commit that was acknowledged, and no half of one', { timeout: 60_000 }, async () => {
    const path = freshPath();
    const code = `import { openSqlite } from ${JSON.stringify(import.meta.resolve('./sqlite.ts'))};
      import { writeSync } from 'node:fs';
      const db = await openSqlite({ path: ${JSON.stringify(path)} });
      await db.admin.ensureTenant('t', 'x');
      const writer = async (w) => {
        for (let i = 0; ; i++) {
          const id = w + '-' + String(i).padStart(7, '0');
          await db.store.commit('t', {
            records: [{ category: 'c', id, expect: 0, value: { id } }],
            dedupKeys: [{ dedupKey: id, expires: Infinity }],
            jobs: [{ id, kind: 'deliver', lane: 'deliver:' + w, payload: { id } }],
          });
          writeSync(1, id + '\\n');
        }
      };
      for (let w = 0; w < 8; w++) void writer(w);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    const text = output(child);
    let printed = 0;
    child.stdout!.on('data', (chunk: Buffer) => {
      printed += chunk.length;
      if (printed > 5000) child.kill('SIGKILL');
    });
    const acknowledged = (await text).split('\n').filter((line) => /^\d-\d{7}$/.test(line));
    assert.ok(acknowledged.length > 300);
    assert.equal(child.signalCode, 'SIGKILL');
    const db = await openSqlite({ path });
    const stored = new Set((await db.store.find('t', 'c', { limit: 10_000 })).rows.map((row) => row.id));
    for (const id of acknowledged) assert.ok(stored.has(id), `${id} was acknowledged and is gone`);
    const lanes = await db.jobs.claim({ owner: 'test', lanes: 10, perLane: 10_000, leaseMs: 1000 });
    assert.deepEqual(new Set(lanes.flatMap((lane) => lane.jobs.map((job) => job.id))), stored);
    for (const id of stored) assert.ok((await db.store.loadWithDedupKey('t', id, [])).repeated);
    await db.admin.close();
  });
});
