import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { bearer, MULTITENANT, newTenant, tenantOf } from '../support/tenants.ts';

/** The operator and its tenants: suspend and resume, tokens one by one, bounds, reservations. */

const world = createWorld();
let host: TestAgent;
let peer: TestAgent;

before(async () => {
  host = await world.start('host', { flags: [...MULTITENANT, '--reservations'] });
  peer = await world.start('peer', { flags: ['--auto-accept-invites', '--auto-accept-requests'] });
});
after(() => world.close());

test('a suspended wallet is refused, its sockets end and its mail waits; resumed, nothing is lost', async () => {
  const alice = await newTenant(host, 'alice');
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const { connection_id: toAlice } = await peer.post('/out-of-band/receive-invitation', made.invitation);
  await peer.event('connections', (one) => one.connection_id === toAlice && one.state === 'active', 'active');
  await until(async () => (await alice.get('/connections?state=active')).total === 1, 'the connection of the wallet');
  const socket = new WebSocket(`${host.admin.replace('http', 'ws')}/ws`, { headers: bearer(alice.token) });
  let ended: number | undefined;
  socket.on('close', (code) => {
    ended = code;
  });
  await new Promise((resolve) => socket.once('message', resolve));
  const suspended = await host.post(`/multitenancy/wallet/${alice.id}/suspend`);
  assert.equal(suspended.suspended, true);
  try {
    await until(async () => ended !== undefined, 'the end of the socket');
    assert.equal(ended, 1008);
  } finally {
    socket.terminate();
  }
  const refused = await alice.call('GET', '/connections');
  assert.deepEqual([refused.status, refused.text], [403, '403: The wallet is suspended: ask the operator of this agent']);
  const send = (content: string) => peer.post(`/connections/${toAlice}/send-message`, { content });
  await send('one');
  await send('two');
  await until(async () => /"refused_suspended": ?2/.test(JSON.stringify(await host.get('/status'))), 'both wait');
  assert.equal((await host.get(`/multitenancy/wallet/${alice.id}`)).suspended, true);
  await host.post(`/multitenancy/wallet/${alice.id}/resume`);
  const heard = async (): Promise<string[]> =>
    (await alice.get('/events?limit=1000')).results
      .filter(({ topic }: Body) => topic === 'basicmessages')
      .map(({ payload }: Body) => payload.content);
  await until(async () => (await heard()).length === 2, 'both messages');
  assert.deepEqual(await heard(), ['one', 'two']);
  assert.equal((await host.get(`/multitenancy/wallet/${alice.id}`)).suspended, undefined);
  assert.equal((await host.call('POST', '/multitenancy/wallet/nobody/suspend')).status, 404);
});

test('tokens are listed and voided one by one; the list shows when they were used, and no token', async () => {
  const bob = await newTenant(host, 'bob');
  const { token } = await host.post(`/multitenancy/wallet/${bob.id}/token`, { keep_others: true, scope: ['read'], expires_in: 600 });
  const reader = tenantOf(host, bob.id, token);
  await reader.get('/connections');
  const list = async (): Promise<Body[]> => (await host.get(`/multitenancy/wallet/${bob.id}/tokens`)).results;
  await until(async () => (await list()).some(({ last_used }) => last_used !== null), 'the time of the last use');
  const [first, second] = await list();
  assert.deepEqual([first.scope, first.expires_at, second.scope, typeof second.expires_at], [null, null, ['read'], 'string']);
  assert.ok(!JSON.stringify(await list()).includes(token));
  assert.equal((await host.call('DELETE', `/multitenancy/wallet/${bob.id}/tokens/${second.token_id}`)).status, 200);
  assert.equal((await reader.call('GET', '/connections')).status, 401);
  await bob.get('/connections');
  assert.equal((await host.call('DELETE', `/multitenancy/wallet/${bob.id}/tokens/${second.token_id}`)).status, 404);
  assert.equal((await bob.call('GET', `/multitenancy/wallet/${bob.id}/tokens`)).status, 401);
});

test('one wallet sees and touches nothing of another', async () => {
  const [mine, theirs] = [await newTenant(host, 'mine'), await newTenant(host, 'theirs')];
  const { oob_id } = await mine.post('/out-of-band/create-invitation', HANDSHAKE);
  const link = await mine.post('/short-links', { oob_id });
  for (const [method, path, body] of [
    ['POST', '/short-links', { oob_id }],
    ['GET', `/short-links/${link.short_link_id}`],
    ['DELETE', `/short-links/${link.short_link_id}`],
    ['GET', `/credential-batches/${link.short_link_id}`],
    ['GET', `/credential-batches/${link.short_link_id}/result`],
    ['POST', `/credential-batches/${link.short_link_id}/cancel`],
    ['GET', `/basicmessages/${link.short_link_id}`],
  ] as const)
    assert.equal((await theirs.call(method, path, body)).status, 404, `${method} ${path}`);
  for (const path of ['/short-links', '/basicmessages', '/credential-batches']) assert.equal((await theirs.get(path)).total, 0, path);
  for (const [method, path] of [
    ['GET', `/multitenancy/wallet/${mine.id}/tokens`],
    ['POST', `/multitenancy/wallet/${mine.id}/suspend`],
    ['PUT', `/multitenancy/wallet/${mine.id}/quota`],
    ['GET', '/multitenancy/reservations'],
    ['GET', '/ledger/account'],
  ] as const)
    assert.equal((await theirs.call(method, path, method === 'PUT' ? { ledger_writes: 0 } : undefined)).status, 401, `${method} ${path}`);
  assert.equal((await mine.get(`/short-links/${link.short_link_id}`)).state, 'open');
});

test('a wallet has bounds of its own, and its use of them is shown', async () => {
  const carol = await newTenant(host, 'carol');
  const path = `/multitenancy/wallet/${carol.id}`;
  assert.deepEqual((await host.get(`${path}/usage`)).quota, { ledger_writes: 200, ledger_algo: 50 });
  const put = (body: object) => host.call('PUT', `${path}/quota`, body);
  assert.deepEqual((await put({ ledger_writes: 3 })).body.quota, { ledger_writes: 3 });
  const { quota, ledger_writes } = await host.get(`${path}/usage`);
  assert.deepEqual([quota, ledger_writes], [{ ledger_writes: 3, ledger_algo: 50 }, 0]);
  assert.equal((await put({ ledger_writes: null })).body.quota, undefined);
  for (const body of [{ ledger_writes: -1 }, { ledger_writes: 'x' }, { ledger_algo: 1e9 }]) assert.equal((await put(body)).status, 422);
  assert.equal((await put({})).status, 400);
});

test('a reservation becomes a wallet by its one-time password, once', async () => {
  const anyone = { 'x-api-key': '' };
  const ask = (body: object) => host.call('POST', '/multitenancy/reservations', body, anyone);
  const { reservation_id: id, state } = (await ask({ wallet_name: 'dora', contact: 'dora@example' })).body;
  assert.equal(state, 'requested');
  const path = `/multitenancy/reservations/${id}`;
  const checkIn = (password: string) => host.call('POST', `${path}/check-in`, { reservation_pwd: password }, anyone);
  assert.equal((await checkIn('x')).status, 401);
  assert.equal((await host.call('POST', `${path}/approve`, {}, anyone)).status, 401);
  assert.deepEqual(
    (await host.get('/multitenancy/reservations?state=requested')).results.map((one: Body) => one.reservation_id),
    [id],
  );
  const { reservation_pwd: first } = await host.post(`${path}/approve`, {});
  const { reservation_pwd: password } = await host.post(`${path}/approve`, { note: 'welcome' });
  assert.deepEqual((await host.call('GET', path, undefined, anyone)).body, { reservation_id: id, state: 'approved', note: 'welcome' });
  assert.equal((await checkIn(first)).status, 401, 'a second approval voids the first password');
  const made = await checkIn(password);
  assert.equal(made.status, 200, made.text);
  await tenantOf(host, made.body.wallet_id, made.body.token).get('/connections');
  assert.equal((await checkIn(password)).status, 401);
  assert.equal((await host.get('/multitenancy/reservations?state=checked-in')).results[0].wallet_id, made.body.wallet_id);
  const second = (await ask({ wallet_name: 'eve' })).body.reservation_id;
  await host.post(`/multitenancy/reservations/${second}/deny`, {});
  assert.equal((await host.call('POST', `/multitenancy/reservations/${second}/approve`, {})).status, 400);
  for (const body of [{}, { wallet_name: '' }, { wallet_name: 'x'.repeat(201) }, { wallet_name: 'x', reason: 'y'.repeat(2001) }])
    assert.equal((await ask(body)).status, 422);
  assert.equal((await host.call('GET', '/multitenancy/reservations/nobody', undefined, anyone)).status, 404);
});
