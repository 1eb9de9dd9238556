import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startRetention } from '../../src/workers/retention.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { MULTITENANT, newTenant, type Tenant } from '../support/tenants.ts';

/** The audit trail: who called what, in the commit of the call, and nothing of what was said. */

const world = createWorld();
let host: TestAgent;
let alice: Tenant;

before(async () => {
  host = await world.start('host', { flags: [...MULTITENANT, '--base-wallet-routes', '/(audit|wallet)(/.*)?'] });
  alice = await newTenant(host, 'alice');
});
after(() => world.close());

const trail = async (of: { get(path: string): Promise<Body> }, after?: string): Promise<Body> =>
  await of.get(`/audit${after === undefined ? '' : `?after=${encodeURIComponent(after)}`}`);

test('a command has its row in its own commit: operation, token, record, no value', async () => {
  const before = (await trail(alice)).next;
  const made = await alice.post('/out-of-band/create-invitation', { ...HANDSHAKE, my_label: 'a secret label', alias: 'a secret alias' });
  const { results, next } = await trail(alice, before ?? undefined);
  assert.equal(results.length, 1);
  const [row] = results;
  assert.deepEqual(
    [row.operation_id, row.outcome, row.who.kind, row.record],
    ['post_out_of_band_create_invitation', 'committed', 'token', { category: 'oob_record', id: made.oob_id }],
  );
  const [{ token_id }] = (await host.get(`/multitenancy/wallet/${alice.id}/tokens`)).results;
  assert.equal(row.who.token, token_id);
  assert.match(row.address, /^[\w-]{16}$/);
  assert.ok(!JSON.stringify(results).includes('secret') && !JSON.stringify(results).includes('127.0.0.1'));
  assert.deepEqual(await trail(alice, next), { results: [], total: (await trail(alice)).total, next });
  await alice.post('/wallet/did/create', { method: 'key' });
  assert.deepEqual(
    (await trail(alice, next)).results.map((one: Body) => one.operation_id),
    ['post_wallet_did_create'],
  );
});

test('reads of credentials, refusals and deletions have rows, other reads and calls without a key none', async () => {
  const { next } = await trail(alice);
  await alice.get('/credentials');
  await alice.get('/present-proof-2.0/records');
  await alice.get('/connections');
  assert.equal((await alice.call('DELETE', '/connections/nobody')).status, 404);
  assert.equal((await alice.call('POST', '/wallet/did/create', { method: 5 })).status, 422);
  await host.call('GET', '/credentials', undefined, { authorization: 'Bearer x' });
  const { connection_id } = (await alice.get('/connections')).results[0];
  await alice.call('DELETE', `/connections/${connection_id}`);
  const rows = (await trail(alice, next)).results.map(({ operation_id, outcome, status }: Body) => [operation_id, outcome, status]);
  assert.deepEqual(rows, [
    ['get_credentials', 'answered', 200],
    ['get_present_proof_2_0_records', 'answered', 200],
    ['delete_connections_conn_id', 'refused', 404],
    ['delete_connections_conn_id', 'committed', undefined],
  ]);
});

test('the same read by the same caller has one row within a minute, another read one of its own', async () => {
  const { next } = await trail(alice);
  for (let i = 0; i < 3; i++) await alice.get('/credentials?count=7');
  await alice.get('/credentials?count=8');
  const rows = (await trail(alice, next)).results.map(({ operation_id }: Body) => operation_id);
  assert.deepEqual(rows, ['get_credentials', 'get_credentials']);
});

test('a call that is repeated by its key has a row each time, and one record', async () => {
  const { next } = await trail(alice);
  const call = () => alice.call('POST', '/out-of-band/create-invitation', HANDSHAKE, { 'idempotency-key': 'once' });
  assert.equal((await call()).body.oob_id, (await call()).body.oob_id);
  assert.deepEqual(
    (await trail(alice, next)).results.map(({ outcome }: Body) => outcome),
    ['committed', 'answered'],
  );
});

test('the operator has a trail of its own, and reads that of a wallet; a wallet reads its own alone', async () => {
  const bob = await newTenant(host, 'bob');
  assert.deepEqual((await trail(bob)).results, []);
  await bob.post('/wallet/did/create', { method: 'key' });
  assert.equal((await trail(bob)).results.length, 1);
  assert.deepEqual(await host.get(`/multitenancy/wallet/${bob.id}/audit`), await trail(bob));
  assert.equal((await bob.call('GET', `/multitenancy/wallet/${alice.id}/audit`)).status, 401);
  const own = await host.get('/multitenancy/wallet/base/audit').catch(() => undefined);
  assert.equal(own === undefined || Array.isArray(own.results), true);
});

test('the trail is cut by time, and a cursor of others is refused', async () => {
  assert.equal((await alice.get('/audit?from=2100-01-01')).total, 0);
  const all = (await trail(alice)).total;
  assert.equal((await alice.get(`/audit?from=2020-01-01T00:00:00%2B02:00&to=2100-01-01T00:00:00Z`)).total, all);
  for (const query of ['from=yesterday', 'to=2020-13-45', 'from=1', 'from=2020-01-01T00:00'])
    assert.equal((await alice.call('GET', `/audit?${query}`)).status, 422, query);
  assert.equal((await alice.call('GET', '/audit?after=1;DROP')).status, 400);
  assert.equal((await alice.get('/connections?from=2100-01-01')).total, 0);
  assert.ok((await alice.get('/connections?to=2100-01-01')).total > 0);
});

test('rows go when their time is over, those of every wallet, and others stay', async () => {
  assert.ok((await trail(alice)).total > 0 && (await trail(host)).total > 0);
  const dids = (await alice.get('/wallet/did')).results.length;
  const end = startRetention(
    host.agent.kernel,
    [
      { category: 'audit', life: 1 },
      { category: 'did', life: 0 },
    ],
    20,
  );
  try {
    for (const one of [alice, host]) await until(async () => (await trail(one)).total === 0, 'the rows to go');
  } finally {
    end();
  }
  assert.equal((await alice.get('/wallet/did')).results.length, dids);
});

test('an agent with --audit-days 0 writes none', async () => {
  const plain = await world.start('plain', { flags: ['--audit-days', '0'] });
  await plain.post('/wallet/did/create', { method: 'key' });
  assert.deepEqual((await plain.get('/audit')).results, []);
});
