import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { Client } from 'pg';
import { openPostgres } from '../../src/adapters/postgres/postgres.ts';
import { startPostgres } from '../postgres.ts';
import { createWorld, HANDSHAKE, until } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';

/** Trouble that nobody sees is trouble for long: what is full, damaged or unreachable is told to whoever looks. */

const world = createWorld();
after(() => world.close());

test('[A15] an agent whose database has no room is not ready, and is again when it has', async () => {
  const path = join(world.folder, 'full.db');
  const agent = await world.start('full', { noWebhook: true, flags: ['--store', `sqlite:${path}?max_page_count=120`] });
  const ready = () => agent.call('GET', '/status/ready');
  assert.equal((await ready()).status, 200);
  const made: string[] = [];
  // the last page is full where nothing small fits either
  for (const size of [20_000, 2000, 1])
    for (;;) {
      const answer = await agent.call('POST', '/out-of-band/create-invitation', {
        ...HANDSHAKE,
        alias: 'x'.repeat(Math.min(size, 200)),
        metadata: { filler: 'x'.repeat(size) },
      });
      if (answer.status === 503) break;
      assert.equal(answer.status, 200, answer.text);
      made.push(answer.body.invi_msg_id);
    }
  const notified = await until(async () => {
    const answer = await ready();
    return answer.status === 503 && answer;
  }, 'the agent to say that it is not ready');
  assert.match(notified.text, /full/);
  assert.equal((await agent.call('GET', '/status/live')).status, 200, 'it lives');
  for (const id of made) {
    const gone = await agent.call('DELETE', `/out-of-band/invitations/${id}`);
    if (gone.status !== 200) break;
  }
  await until(async () => (await ready()).status === 200, 'the agent to be ready again');
});

test('[A15] a PostgreSQL database whose disk is full is not ready; one damaged row there hides no list either', async () => {
  const server = await startPostgres();
  world.defer(() => server.stop());
  const side = new Client({ connectionString: server.url });
  await side.connect();
  const damaged: string[] = [];
  const db = await openPostgres({ url: server.url, masterKey: 'of these tests', damaged: (what) => damaged.push(what) });
  try {
    await db.admin.check();
    await db.admin.check();
    await db.admin.ensureTenant('t', 't');
    for (const id of ['a', 'b', 'c']) await db.store.commit('t', { records: [{ category: 'x', id, expect: 0, value: { id } }] });
    const events = ['1', '2'].map((id) => ({ id, topic: 't', category: 'x', record: 'a', value: { payload: { id } } }));
    await db.store.commit('t', { events });
    await side.query("SELECT set_config('flexid.tenant', '*', false)");
    await side.query(`UPDATE flexid.record SET value = '\\x00' WHERE id = 'b'; UPDATE flexid.event SET value = '\\x00' WHERE id = '1'`);
    const page = await db.store.find('t', 'x', {});
    assert.deepEqual([page.rows.map(({ id }) => id), page.total, page.damaged], [['a', 'c'], 3, ['b']]);
    const read = await db.store.events('t', {});
    assert.deepEqual(
      read.map(({ id, damaged }) => [id, damaged]),
      [
        ['1', true],
        ['2', undefined],
      ],
    );
    assert.deepEqual(damaged, ['record x/b', 'event 1']);
    await assert.rejects(db.store.load('t', [{ category: 'x', id: 'b' }]), {
      code: 'store-corrupt',
      record: { category: 'x', id: 'b', version: 1 },
    });
    // as a database says it whose disk is full
    await side.query(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON flexid.meta EXECUTE FUNCTION full_disk()`);
    await assert.rejects(db.admin.check(), { code: 'store-full' });
  } finally {
    await db.admin.close();
    await side.end();
  }
});

test('[A15-2] one damaged row hides no list: it is named, logged and counted, and can be deleted', async () => {
  const path = join(world.folder, 'damaged.db');
  const agent = await world.start('damaged', { noWebhook: true, store: path });
  const ids: string[] = [];
  for (const alias of ['a', 'b', 'c']) {
    await agent.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias });
    ids.push((await agent.get(`/connections?alias=${alias}`)).results[0].connection_id);
  }
  const events = (await agent.get('/events?limit=1000')).results;
  const side = new DatabaseSync(path);
  side.prepare("UPDATE record SET value = x'00' WHERE category = 'connection' AND id = ?").run(ids[1]!);
  side.prepare("UPDATE event SET value = x'00' WHERE id = ?").run(events[0].event_id);
  side.close();
  const list = await agent.get('/connections');
  assert.deepEqual([list.results.map((one: { alias: string }) => one.alias), list.total, list.damaged], [['a', 'c'], 3, [ids[1]]]);
  assert.equal((await agent.call('GET', `/connections/${ids[1]}`)).status, 500);
  assert.ok(
    agent.logged.some((line) => line.includes('integrity check') && line.includes(ids[1]!)),
    'in the log',
  );
  assert.equal(
    agent.logged.filter((line) => line.includes('integrity check') && line.includes(ids[1]!)).length,
    1,
    'once, though it was read twice',
  );
  assert.ok((await agent.get('/status')).conductor.store_corrupt >= 2);
  assert.match((await agent.call('GET', '/metrics')).text, /flexid_store_corrupt_total \d/);
  // who reads events from the beginning comes past it
  const first = await agent.get('/events?limit=1');
  assert.deepEqual([first.results[0].damaged, first.results[0].payload, first.next], [true, null, events[0].event_id]);
  assert.equal((await agent.get(`/events?limit=1&after=${first.next}`)).results[0].event_id, events[1].event_id);
  assert.equal((await agent.call('DELETE', `/connections/${ids[1]}`)).status, 200);
  const rest = await agent.get('/connections');
  assert.deepEqual([rest.total, rest.damaged], [2, undefined]);
  assert.equal((await agent.call('DELETE', `/connections/${ids[1]}`)).status, 404);
});

test('[A15-3] a webhook that keeps failing is in the log, not once for each try, and in the metrics', async () => {
  const agent = await world.start('failing', {
    flags: ['--webhook-url', 'http://127.0.0.1:9/a-path-like-a-key#key-of-it'],
    noWebhook: true,
  });
  for (let i = 0; i < 5; i++) await agent.post('/out-of-band/create-invitation', HANDSHAKE);
  await until(async () => (await agent.get('/status')).conductor.webhooks_failed >= 5, 'five tries');
  const notified = agent.logged.filter((line) => line.includes('webhook could not be delivered'));
  assert.equal(notified.length, 1);
  assert.match(notified[0]!, /http:\/\/127\.0\.0\.1:9"/);
  assert.doesNotMatch(notified[0]!, /a-path-like-a-key|key-of-it/);
  assert.match((await agent.call('GET', '/metrics')).text, /flexid_webhooks_failed_total \d/);
});

test('[A15-4] a call without a key for the state of the ledger makes the agent ask its node seldom', async () => {
  let asked = 0;
  const node = createServer((_request, response) => {
    asked++;
    response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve));
  world.defer(() => node.close());
  const url = `http://127.0.0.1:${(node.address() as AddressInfo).port}`;
  const devnet = { url, token: 'none', appId: 1001, genesisHash: Buffer.alloc(32, 7).toString('base64') } as Devnet;
  const agent = await world.start('curious', { noWebhook: true, devnet });
  const before = asked;
  const answers = await Promise.all(Array.from({ length: 100 }, () => agent.call('GET', '/status/ledger', undefined, { 'x-api-key': '' })));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([503]));
  assert.ok(asked > before && asked - before < 10, `the node was asked ${asked - before} times`);
});
