import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { startPostgres } from '../postgres.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { AUTO, bearer, MULTITENANT, newTenant, type Tenant, tenantOf } from '../support/tenants.ts';
import { waiting } from '../support/waiting.ts';

/** Whoever stole a token, or has one that may little, wants more of it, and longer. Two agents share a database: what one decides holds in the other. */

const world = createWorld();
let one: TestAgent;
let two: TestAgent;

before(async () => {
  const server = await startPostgres();
  world.defer(() => server.stop());
  const flags = ['--store', server.url, '--wallet-key', 'of these tests', '--did-web-http', ...MULTITENANT];
  one = await world.start('one', { flags, noWebhook: true });
  two = await world.start('two', { flags, noWebhook: true });
});
after(() => world.close());

interface Listener {
  readonly socket: WebSocket;
  readonly frames: ReturnType<typeof waiting<Body>>;
  /** Waits for its end. @returns code and reason */
  end(): Promise<{ code: number; reason: string }>;
}

function open(agent: TestAgent, headers: Record<string, string>): Listener {
  const socket = new WebSocket(`${agent.admin.replace('http', 'ws')}/ws`, { headers });
  world.defer(() => socket.terminate());
  const frames = waiting<Body>();
  socket.on('message', (data) => frames.add(JSON.parse(String(data))));
  let closed: { code: number; reason: string } | undefined;
  socket.once('close', (code, reason) => {
    closed = { code, reason: String(reason) };
  });
  return { socket, frames, end: () => until(() => closed, 'the socket to be closed', 30_000) };
}

async function listen(agent: TestAgent, token: string): Promise<Listener> {
  const listener = open(agent, bearer(token));
  await listener.frames.first((frame) => frame.topic === 'settings' && frame.payload.authenticated, 'the settings');
  return listener;
}

const claimsOf = (token: string): Body => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
const tokenPath = (wallet: Pick<Tenant, 'id'>): string => `/multitenancy/wallet/${wallet.id}/token`;
const post = async (path: string, body: object = {}): Promise<Body> => {
  const answer = await one.call('POST', path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};

/** What happens to a token, by which calls with it are refused from then on. */
const ENDS: Record<string, (wallet: Tenant) => Promise<unknown>> = {
  rotated: (wallet) => wallet.post('/multitenancy/token/rotate'),
  replaced: (wallet) => post(tokenPath(wallet)),
  'the wallet removed': (wallet) => one.call('DELETE', `/multitenancy/wallet/${wallet.id}`, {}),
};

for (const [name, end] of Object.entries(ENDS)) {
  test(`[A5] /ws ends in every process with its token: ${name}`, async () => {
    const wallet = await newTenant(one, `ends ${name}`);
    const [here, there, operator] = [await listen(one, wallet.token), await listen(two, wallet.token), open(two, { 'x-api-key': two.key })];
    await operator.frames.first(() => true, 'the settings of the operator');
    await end(wallet);
    for (const ended of [here, there]) assert.deepEqual(await ended.end(), { code: 1008, reason: 'the token has ended' });
    assert.equal(operator.socket.readyState, WebSocket.OPEN, 'who needs no token stays');
  });
}

test('[A5] /ws ends when its token does, and when its wallet is locked', async () => {
  const unmanaged = await newTenant(one, 'to be locked', { key_management_mode: 'unmanaged', wallet_key: 'hers alone' });
  // long enough to be heard before it ends
  const brief = await newTenant(one, 'brief', { expires_in: 8 });
  const ended = await listen(two, brief.token);
  const locked = [await listen(one, unmanaged.token), await listen(two, unmanaged.token)];
  assert.equal((await ended.end()).code, 1008);
  await post(`/multitenancy/wallet/${unmanaged.id}/lock`);
  for (const { end } of locked) assert.equal((await end()).code, 1008);
});

test('[A5-2] events after a token was voided are not shown to it, though no notification of that came', async () => {
  const wallet = await newTenant(one, 'unheard');
  const listener = await listen(one, wallet.token);
  const [rows] = await one.agent.kernel.db.store.load('base', [{ category: 'wallet_record', id: wallet.id }]);
  const row = rows![0]!;
  // as another process would, whose notice is lost: the record alone says it, and memory that ran out
  await one.agent.kernel.db.store.commit('base', { records: [{ ...row, expect: row.version, value: { ...row.value, tokens: [] } }] });
  one.agent.kernel.profiles.reset();
  await one.agent.kernel.db.store.commit(wallet.id, {
    events: [
      {
        id: '7fffffff-ffff-7fff-bfff-ffffffffffff',
        topic: 'connections',
        category: 'connection',
        record: 'x',
        value: { payload: { secret: true } },
      },
    ],
  });
  assert.equal((await listener.end()).code, 1008);
  assert.deepEqual(
    listener.frames.list.map(({ topic }) => topic),
    ['settings'],
  );
});

test('[A5-3] a token that may not read gets no events', async () => {
  const wallet = await newTenant(one, 'writes');
  const { token } = await post(tokenPath(wallet), { scope: ['write'] });
  const refused = new WebSocket(`${one.admin.replace('http', 'ws')}/ws`, { headers: bearer(token) });
  world.defer(() => refused.terminate());
  const status = await new Promise((resolve, reject) => {
    refused.once('unexpected-response', (asking, answer) => {
      asking.destroy();
      resolve(answer.statusCode);
    });
    refused.once('open', () => resolve(101));
    refused.once('error', reject);
  });
  assert.equal(status, 403);
  const later = open(one, { 'x-api-key': '' });
  await once(later.socket, 'open');
  later.socket.send(JSON.stringify({ authorization: `Bearer ${token}` }));
  assert.deepEqual(await later.end(), { code: 1008, reason: 'The token does not allow to read' });
  const { token: reading } = await post(tokenPath(wallet), { scope: ['read'] });
  await listen(one, reading);
});

test('[A5-4] a call that waits for its turn when its token ends has no effect', async () => {
  const wallet = await newTenant(one, 'waits');
  const { tenantLimiter } = one.agent.kernel;
  const held = Promise.withResolvers<void>();
  const busy = Array.from({ length: 16 }, () => tenantLimiter!.run(wallet.id, () => held.promise));
  let calls = (await one.get('/status')).conductor.admin_calls;
  const waits = [wallet.call('GET', '/connections'), wallet.call('POST', '/out-of-band/create-invitation', HANDSHAKE)];
  // looking is a call too
  await until(async () => (await one.get('/status')).conductor.admin_calls >= ++calls + 2, 'the calls to wait');
  await post(tokenPath(wallet));
  held.resolve();
  await Promise.all(busy);
  for (const { status, text } of await Promise.all(waits))
    assert.deepEqual([status, text], [401, '401: Authorization token missing or invalid']);
  const { token } = await post(tokenPath(wallet));
  assert.equal((await tenantOf(one, wallet.id, token).get('/connections')).total, 0, 'what was refused had no effect');
});

test('[A5-5] a call that is under way when its token ends is not answered to it', async () => {
  const wallet = await newTenant(one, 'under way');
  const asked = Promise.withResolvers<ServerResponse>();
  const server = createServer((_request, response) => asked.resolve(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => server.close());
  const did = `did:web:127.0.0.1%3A${(server.address() as AddressInfo).port}`;
  const waits = wallet.call('GET', `/resolver/resolve/${encodeURIComponent(did)}`);
  const response = await asked.promise;
  await post(tokenPath(wallet));
  response
    .writeHead(200, { 'content-type': 'application/did+json' })
    .end(JSON.stringify({ '@context': ['https://www.w3.org/ns/did/v1'], id: did }));
  const { status, text } = await waits;
  assert.deepEqual([status, text], [401, '401: Authorization token missing or invalid']);
});

test('[A8] a token makes none that lasts longer or may more than itself', async () => {
  const wallet = await newTenant(one, 'grows');
  const { token } = await post(tokenPath(wallet), { expires_in: 60, scope: ['write'] });
  const own = tenantOf(one, wallet.id, token);
  for (const scope of [['read'], ['read', 'write']]) {
    const refused = await own.call('POST', '/multitenancy/token/rotate', { scope });
    assert.equal(refused.status, 403, scope.join());
  }
  const { token: longer } = await own.post('/multitenancy/token/rotate', { expires_in: 3600 });
  assert.ok(claimsOf(longer).exp <= claimsOf(token).exp);
  assert.equal(claimsOf(longer).scope, 'write');
  const { token: same } = await tenantOf(one, wallet.id, longer).post('/multitenancy/token/rotate');
  assert.ok(claimsOf(same).exp <= claimsOf(token).exp, 'what is not said is not without end');
  assert.equal(claimsOf(same).scope, 'write');
  assert.equal((await tenantOf(one, wallet.id, same).call('GET', '/connections')).status, 403);
  const { token: shorter } = await tenantOf(one, wallet.id, same).post('/multitenancy/token/rotate', { expires_in: 5 });
  assert.ok(claimsOf(shorter).exp <= claimsOf(shorter).iat + 5);
  const free = await newTenant(one, 'free');
  const { token: reads } = await free.post('/multitenancy/token/rotate', { scope: ['read'] });
  assert.equal((await tenantOf(one, free.id, reads).call('POST', '/multitenancy/token/rotate')).status, 403, 'one that reads makes none');
});

test('[A8-2] a token that was voided meanwhile makes no other', async () => {
  const wallet = await newTenant(one, 'raced');
  const answers = await Promise.all(Array.from({ length: 6 }, () => wallet.call('POST', '/multitenancy/token/rotate')));
  const made = answers.filter(({ status }) => status === 200);
  assert.equal(made.length, 1, answers.map(({ status }) => status).join());
  for (const { status } of answers.filter((one) => !made.includes(one))) assert.equal(status, 401);
  // the operator voids all, while the token is being replaced
  const other = await newTenant(one, 'voided');
  const [rotated, { token }] = await Promise.all([other.call('POST', '/multitenancy/token/rotate'), post(tokenPath(other))]);
  if (rotated.status === 200) assert.equal((await tenantOf(one, other.id, rotated.body.token).call('GET', '/connections')).status, 401);
  await tenantOf(one, other.id, token).get('/connections');
});

test('[A8-3] to create a wallet again by its idempotency-key opens it to nobody without its key', async () => {
  const headers = { 'idempotency-key': 'made once' };
  const body = { wallet_name: 'hers', key_management_mode: 'unmanaged', wallet_key: 'hers alone' };
  const create = (more: object) => one.call('POST', '/multitenancy/wallet', { ...body, ...more }, headers);
  assert.equal((await create({})).status, 200);
  assert.equal((await create({ wallet_key: 'not hers' })).status, 401);
  assert.equal((await create({})).status, 200);
});

test('[A16] a socket without a key gets no event, and is closed soon', async () => {
  const silent = open(one, { 'x-api-key': '' });
  await once(silent.socket, 'open');
  const { code } = await silent.end();
  assert.equal(code, 1008);
  assert.deepEqual(silent.frames.list, [{ topic: 'settings', payload: { authenticated: false } }]);
  const guesses = open(one, { 'x-api-key': 'wrong' });
  await once(guesses.socket, 'open');
  for (let i = 0; i < 50; i++) guesses.socket.send(JSON.stringify({ 'x-api-key': `guess ${i}` }));
  assert.deepEqual(await guesses.end(), { code: 1008, reason: 'no right key came' });
});

test('[A16-2] such sockets are few, and keep nobody out who has a key', async () => {
  const results = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = new WebSocket(`${two.admin.replace('http', 'ws')}/ws`);
      world.defer(() => socket.terminate());
      return await new Promise<number>((resolve, reject) => {
        socket.once('open', () => resolve(101));
        socket.once('unexpected-response', (asking, answer) => {
          asking.destroy();
          resolve(answer.statusCode!);
        });
        socket.once('error', reject);
      });
    }),
  );
  const opened = results.filter((status) => status === 101).length;
  assert.ok(opened > 0 && opened <= 32, `${opened} sockets`);
  assert.ok(results.every((status) => status === 101 || status === 503));
  const known = open(two, { 'x-api-key': two.key });
  await known.frames.first((frame) => frame.payload?.authenticated, 'the settings');
});

/** A WebSocket of `/ws` that says what it is told to and no more: it answers nothing, goodbyes neither. */
async function raw(agent: TestAgent, headers: Record<string, string>): Promise<{ socket: Socket; status: number; bytes: Buffer[] }> {
  const socket = connect(Number(new URL(agent.admin).port), '127.0.0.1').on('error', () => {});
  world.defer(() => socket.destroy());
  const lines = ['GET /ws HTTP/1.1', 'host: x', 'connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'];
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.write([...lines, 'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==', ...more, '', ''].join('\r\n'));
  const bytes: Buffer[] = [];
  const status = new Promise<number>((resolve) =>
    socket.on('data', (data: Buffer) => {
      bytes.push(data);
      resolve(Number(/^HTTP\/1.1 (\d+)/.exec(Buffer.concat(bytes).toString('latin1'))?.[1]));
    }),
  );
  return { socket, status: await status, bytes };
}

test('[A16-3] a socket that never closes has no place for longer', async () => {
  const agent = await world.start('goodbye', { noWebhook: true });
  const silent = await Promise.all(Array.from({ length: 32 }, () => raw(agent, {})));
  assert.ok(silent.every(({ status }) => status === 101));
  assert.equal((await raw(agent, {})).status, 503);
  for (const { bytes } of silent) await until(() => Buffer.concat(bytes).includes('no key came'), 'the goodbye');
  assert.equal((await raw(agent, {})).status, 101);
});

test('[A16-4] a few addresses with all the places they may have keep no other out, also behind a proxy', async () => {
  const agent = await world.start('proxied', { noWebhook: true, flags: ['--trusted-proxy', '127.0.0.1'] });
  const from = (address: string) => raw(agent, { 'x-forwarded-for': address });
  for (let i = 0; i < 8; i++) {
    const taken = await Promise.all(Array.from({ length: 32 }, () => from(`192.0.2.${i}`)));
    assert.ok(taken.every(({ status }) => status === 101));
    assert.equal((await from(`192.0.2.${i}`)).status, 503, 'its own are enough');
  }
  for (let i = 0; i < 8; i++) assert.equal((await from(`198.51.100.${i}`)).status, 101);
});

test('[A19] a wallet whose owner keeps the key is locked by a call, in every process', async () => {
  const managed = await newTenant(one, 'managed');
  assert.equal((await one.call('POST', `/multitenancy/wallet/${managed.id}/lock`)).status, 400);
  assert.equal((await one.call('POST', '/multitenancy/wallet/nobody/lock')).status, 404);
  const wallet = await newTenant(one, 'locks', { key_management_mode: 'unmanaged', wallet_key: 'hers alone' });
  const there = tenantOf(two, wallet.id, wallet.token);
  await there.get('/connections');
  assert.equal((await wallet.call('POST', `/multitenancy/wallet/${wallet.id}/lock`)).status, 401, 'by the operator');
  await post(`/multitenancy/wallet/${wallet.id}/lock`);
  assert.equal((await wallet.call('GET', '/connections')).status, 401);
  for (const agent of [one, two])
    await until(
      () =>
        agent.agent.kernel.db.store.load(wallet.id, []).then(
          () => false,
          (error: { code?: string }) => error.code === 'wallet-locked',
        ),
      'the lock',
    );
  // who opens it again does so alone: what was valid before is not any more
  const { token } = await post(tokenPath(wallet), { wallet_key: 'hers alone', keep_others: true });
  await tenantOf(two, wallet.id, token).get('/connections');
  assert.equal((await wallet.call('GET', '/connections')).status, 401);
});

test('[A19-2] a wallet is open as long as its tokens, and no longer for one that was', async () => {
  const made = await one.call('POST', '/multitenancy/wallet', {
    wallet_name: 'short',
    key_management_mode: 'unmanaged',
    wallet_key: 'k',
    expires_in: 30,
    extra_settings: AUTO,
  });
  const { iat, exp } = claimsOf(made.body.token);
  assert.equal(exp - iat, 30);
  const id = made.body.wallet_id;
  const isOpen = (): Promise<boolean> =>
    one.agent.kernel.db.store.load(id, []).then(
      () => true,
      () => false,
    );
  await post(`/multitenancy/wallet/${id}/token`, { wallet_key: 'k', expires_in: 24 * 3600 });
  await post(`/multitenancy/wallet/${id}/token`, { wallet_key: 'k', expires_in: 60 });
  await one.agent.kernel.db.admin.lockTenants(Date.now() + 120_000);
  assert.equal(await isOpen(), false, 'the token for a day was replaced');
  await post(`/multitenancy/wallet/${id}/token`, { wallet_key: 'k', expires_in: 3600 });
  await post(`/multitenancy/wallet/${id}/token`, { wallet_key: 'k', expires_in: 60, keep_others: true });
  await one.agent.kernel.db.admin.lockTenants(Date.now() + 120_000);
  assert.equal(await isOpen(), true, 'the token for an hour is kept');
});
