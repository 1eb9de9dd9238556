import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { SignJWT } from 'jose';
import WebSocket, { WebSocketServer } from 'ws';
import { anchor, type Body, createWorld, HANDSHAKE, startReceiver, type TestAgent, until } from '../support/agents.ts';
import { TEST_MS, waiting } from '../support/waiting.ts';

const world = createWorld({ held: true });
let agent: TestAgent;
const AUTO = { 'auto-accept-invites': true, 'auto-accept-requests': true, ACAPY_PRESERVE_EXCHANGE_RECORDS: 'true' };

before(async () => {
  agent = await world.start('cloud', {
    devnet: await world.devnet(),
    sponsor: true,
    flags: [
      '--multitenant',
      '--multitenant-admin',
      '--jwt-secret',
      'a secret of these tests',
      '--base-wallet-routes',
      '/connections(/.*)?',
      '--tenant-ledger-writes',
      '3',
    ],
  });
});
after(() => world.close());

/** A wallet and its controller: calls carry its token alone. */
interface Wallet extends Pick<TestAgent, 'call' | 'get' | 'post'> {
  readonly id: string;
  readonly token: string;
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}`, 'x-api-key': '' });

function walletOf(id: string, token: string): Wallet {
  const call: Wallet['call'] = (method, path, body, headers) => agent.call(method, path, body, { ...bearer(token), ...headers });
  const expect = async (method: string, path: string, body?: unknown): Promise<Body> => {
    const answer = await call(method, path, body);
    assert.equal(answer.status, 200, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  };
  return { id, token, call, get: (path) => expect('GET', path), post: (path, body) => expect('POST', path, body ?? {}) };
}

async function newWallet(name: string, more: object = {}): Promise<Wallet> {
  const made = await agent.post('/multitenancy/wallet', { wallet_name: name, label: name, extra_settings: AUTO, ...more });
  return walletOf(made.wallet_id, made.token);
}

test('a wallet is made, listed, changed and answered as ACA-Py does', async () => {
  const body = {
    wallet_name: 'alice',
    wallet_key: 'as ACA-Py wants one',
    wallet_type: 'askar-anoncreds',
    label: 'Alice',
    image_url: 'https://a/b.png',
    key_management_mode: 'managed',
    wallet_webhook_urls: ['http://localhost:1/hooks'],
    extra_settings: { ACAPY_AUTO_ACCEPT_INVITES: true, 'public-invites': true, 'no-such-setting': 1 },
  };
  const made = await agent.post('/multitenancy/wallet', body);
  assert.match(made.token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.deepEqual(made.settings, {
    'wallet.type': 'askar-anoncreds',
    'wallet.name': 'alice',
    'wallet.webhook_urls': ['http://localhost:1/hooks'],
    'wallet.dispatch_type': 'default',
    default_label: 'Alice',
    image_url: 'https://a/b.png',
    'debug.auto_accept_invites': true,
    public_invites: true,
    'wallet.id': made.wallet_id,
  });
  assert.equal(made.key_management_mode, 'managed');
  const again = await agent.call('POST', '/multitenancy/wallet', body);
  assert.deepEqual([again.status, again.text], [400, '400: Wallet with name alice already exists']);
  const { token: _token, ...record } = made;
  assert.deepEqual((await agent.get('/multitenancy/wallets?wallet_name=alice')).results, [record]);
  assert.deepEqual(await agent.get(`/multitenancy/wallet/${made.wallet_id}`), record);
  const changed = await agent.call('PUT', `/multitenancy/wallet/${made.wallet_id}`, { label: 'Alice B', wallet_webhook_urls: [] });
  assert.deepEqual(
    [changed.body.settings.default_label, changed.body.settings['wallet.dispatch_type'], changed.body.settings['wallet.webhook_urls']],
    ['Alice B', 'base', []],
  );
  assert.equal((await agent.call('PUT', `/multitenancy/wallet/${made.wallet_id}`, {})).text, '400: At least one parameter is required.');
  const shown = await walletOf(made.wallet_id, made.token).get('/settings');
  assert.deepEqual([shown['debug.auto_accept_invites'], shown.public_invites, shown.default_label], [true, true, 'Alice B']);
  assert.equal((await agent.call('GET', '/multitenancy/wallet/nobody')).status, 404);
});

test('a new token voids the one before, unless both are asked for; tokens end, and a tenant replaces its own', async () => {
  const wallet = await newWallet('tokens');
  await wallet.get('/connections');
  const { token: second } = await agent.post(`/multitenancy/wallet/${wallet.id}/token`);
  assert.equal((await wallet.call('GET', '/connections')).status, 401);
  const now = walletOf(wallet.id, second);
  await now.get('/connections');
  const { token: reading } = await agent.post(`/multitenancy/wallet/${wallet.id}/token`, { keep_others: true, scope: ['read'] });
  const reader = walletOf(wallet.id, reading);
  await reader.get('/connections');
  await now.get('/connections');
  const denied = await reader.call('POST', '/out-of-band/create-invitation', HANDSHAKE);
  assert.deepEqual([denied.status, denied.text], [403, '403: The token does not allow to write']);
  const { token: third } = await now.post('/multitenancy/token/rotate');
  assert.equal((await now.call('GET', '/connections')).status, 401);
  await walletOf(wallet.id, third).get('/connections');
  await reader.get('/connections');
  const { token: brief } = await agent.post(`/multitenancy/wallet/${wallet.id}/token`, { expires_in: 1 });
  await until(async () => (await walletOf(wallet.id, brief).call('GET', '/connections')).status === 401, 'the end of the token');
  assert.equal((await walletOf(wallet.id, third).call('GET', '/connections')).status, 401);
  // who has the secret cannot make it last
  const { exp: _ended, ...claims } = JSON.parse(Buffer.from(brief.split('.')[1], 'base64url').toString());
  const forged = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from('a secret of these tests'));
  assert.equal((await walletOf(wallet.id, forged).call('GET', '/connections')).status, 401);
  const keyed = await agent.call('POST', `/multitenancy/wallet/${wallet.id}/token`, { wallet_key: 'x' });
  assert.deepEqual([keyed.status, keyed.text], [400, `400: Wallet ${wallet.id} doesn't require the wallet key to be provided`]);
});

test('permitted calls: the operator has its operations and the routes opened to the base wallet, a tenant its own', async () => {
  const wallet = await newWallet('callers');
  const status = async (path: string, headers: Record<string, string>): Promise<number> =>
    (await agent.call('GET', path, undefined, headers)).status;
  assert.equal(await status('/credentials', {}), 401, 'the base wallet on a route of tenants');
  assert.equal(await status('/connections', {}), 200, 'a route that was opened to it');
  assert.equal(await status('/connectionsX', {}), 404);
  assert.equal(await status('/connections', { 'x-api-key': 'wrong' }), 401);
  assert.equal(await status('/multitenancy/wallets', bearer(wallet.token)), 401);
  assert.equal(await status('/status', bearer(wallet.token)), 401);
  assert.equal(await status('/credentials', { authorization: `Basic ${wallet.token}` }), 401);
  assert.equal(await status('/credentials', bearer(`${wallet.token.slice(0, -2)}xx`)), 401);
  const [head, claims] = wallet.token.split('.');
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`;
  assert.equal(await status('/credentials', bearer(none)), 401);
  assert.ok(head);
  assert.equal(
    Object.keys(JSON.parse(Buffer.from(claims!, 'base64url').toString()))
      .sort()
      .join(),
    'iat,jti,wallet_id',
  );
});

test('one tenant issues to another as to a stranger; webhooks and /ws tell whose they are', async () => {
  const [one, both, base] = await Promise.all([startReceiver(), startReceiver(), Promise.resolve(agent.receiver)]);
  world.defer(one.close);
  world.defer(both.close);
  const faber = await newWallet('faber', {
    wallet_webhook_urls: [one.url],
    extra_settings: { ...AUTO, 'auto-respond-credential-request': true },
  });
  const bob = await newWallet('bob', {
    wallet_webhook_urls: [both.url],
    wallet_dispatch_type: 'both',
    extra_settings: { ...AUTO, 'auto-respond-credential-offer': true, 'auto-store-credential': true },
  });
  const frames = waiting<Body>();
  const socket = new WebSocket(`${agent.admin.replace('http', 'ws')}/ws`, { headers: bearer(bob.token) });
  world.defer(() => socket.terminate());
  socket.on('message', (data) => frames.add(JSON.parse(String(data))));
  const greeting = await frames.first((frame) => frame.topic === 'settings', 'the settings');
  assert.deepEqual([greeting.payload.authenticated, greeting.payload.label], [true, 'bob']);

  const issuer = { ...agent, ...faber } as unknown as TestAgent;
  const { credDefId } = await anchor(issuer, ['name']);
  const { invitation } = await faber.post('/out-of-band/create-invitation', HANDSHAKE);
  assert.equal(invitation.label, 'faber');
  await bob.post('/out-of-band/receive-invitation', invitation);
  const connected = await one.hooks.first(
    ({ topic, payload }) => topic === 'connections' && payload.state === 'active',
    'the connection of the issuer',
  );
  assert.equal(connected.headers['x-wallet-id'], faber.id);
  await faber.post('/issue-credential-2.0/send', {
    connection_id: connected.payload.connection_id,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { attributes: [{ name: 'name', value: 'Bob' }] },
  });
  const done = ({ topic, payload }: Body): boolean => topic === 'issue_credential_v2_0' && payload.state === 'done';
  const hook = await both.hooks.first(done, 'the credential');
  assert.equal(hook.headers['x-wallet-id'], bob.id);
  await base.hooks.first((one) => done(one) && one.headers['x-wallet-id'] === bob.id, 'the same at the base wallet');
  assert.equal((await frames.first(done, 'the same on the socket')).wallet_id, bob.id);
  assert.ok(frames.list.every((frame) => frame.wallet_id === undefined || frame.wallet_id === bob.id));
  assert.equal((await bob.get('/credentials')).results.length, 1);
  assert.equal((await faber.get('/credentials')).results.length, 0);
  assert.equal(one.hooks.list.filter(({ headers }) => headers['x-wallet-id'] !== faber.id).length, 0);
});

test('a hundred wallets of one process and one database invite, each under a key of its own', async () => {
  const keys = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const wallet = await newWallet(`one of a hundred ${i}`);
    const { invitation } = await wallet.post('/out-of-band/create-invitation', HANDSHAKE);
    keys.add(invitation.services[0].recipientKeys[0]);
  }
  assert.equal(keys.size, 100);
});

test('two wallets issue at the same time, to a third and to each other: each under its own DID', { timeout: TEST_MS }, async () => {
  const issuing = {
    ...AUTO,
    'auto-respond-credential-request': true,
    'auto-respond-credential-offer': true,
    'auto-store-credential': true,
  };
  const [left, right, holder] = [
    await newWallet('left', { extra_settings: issuing }),
    await newWallet('right', { extra_settings: issuing }),
    await newWallet('holder of both', { extra_settings: issuing }),
  ];
  const [ofLeft, ofRight] = await Promise.all([left, right].map((one) => anchor({ ...agent, ...one } as unknown as TestAgent, ['name'])));
  const issue = async (from: Wallet, to: Wallet, credDefId: string): Promise<void> => {
    const { invitation, invi_msg_id } = await from.post('/out-of-band/create-invitation', HANDSHAKE);
    await to.post('/out-of-band/receive-invitation', invitation);
    const connection = await until(async () => {
      const { results } = await from.get(`/connections?state=active&invitation_msg_id=${invi_msg_id}`);
      return results[0]?.connection_id as string | undefined;
    }, 'the connection');
    await from.post('/issue-credential-2.0/send', {
      connection_id: connection,
      filter: { anoncreds: { cred_def_id: credDefId } },
      credential_preview: { attributes: [{ name: 'name', value: 'of both' }] },
    });
  };
  await Promise.all([
    issue(left, holder, ofLeft!.credDefId),
    issue(right, holder, ofRight!.credDefId),
    issue(left, right, ofLeft!.credDefId),
    issue(right, left, ofRight!.credDefId),
  ]);
  const issuers = (wallet: Wallet, count: number) =>
    until(
      async () => {
        const { results } = await wallet.get('/credentials');
        return results.length === count && results.map((one: Body) => one.cred_def_id.split('/anoncreds/')[0]).sort();
      },
      `the credentials of ${wallet.id}`,
      60_000,
    );
  assert.notEqual(ofLeft!.did, ofRight!.did);
  assert.deepEqual(await issuers(holder, 2), [ofLeft!.did, ofRight!.did].sort());
  assert.deepEqual(await issuers(left, 1), [ofRight!.did]);
  assert.deepEqual(await issuers(right, 1), [ofLeft!.did]);
});

test('a wallet that has used up its share of the sponsor waits, and says so; others do not', async () => {
  const [greedy, modest] = [await newWallet('greedy'), await newWallet('modest')];
  const publish = async (wallet: Wallet): Promise<Body> => {
    const { result } = await wallet.post('/wallet/did/create', { method: 'algo' });
    return (await wallet.call('POST', `/wallet/did/public?did=${encodeURIComponent(result.did)}`, {})).body;
  };
  for (let i = 0; i < 3; i++) assert.equal((await publish(greedy)).result.posture, 'public');
  const refused = await publish(greedy);
  assert.match(refused.result.error_msg, /^this wallet has made its 3 ledger writes of today$/);
  assert.equal((await publish(modest)).result.posture, 'public');
});

test('a wallet whose owner keeps the key is open as long as its token; mail that comes meanwhile waits, sealed, until it is opened', async () => {
  const wanted = { wallet_name: 'own key', label: 'own key', key_management_mode: 'unmanaged', extra_settings: AUTO };
  assert.equal((await agent.call('POST', '/multitenancy/wallet', wanted)).status, 400);
  const receiver = await startReceiver();
  world.defer(receiver.close);
  const made = await agent.post('/multitenancy/wallet', { ...wanted, wallet_key: 'a key of hers', wallet_webhook_urls: [receiver.url] });
  assert.equal(made.key_management_mode, 'unmanaged');
  const asked = (body: object) => agent.call('POST', `/multitenancy/wallet/${made.wallet_id}/token`, body);
  assert.deepEqual([(await asked({})).status, (await asked({ wallet_key: 'wrong' })).status], [401, 401]);
  const claims = JSON.parse(Buffer.from(made.token.split('.')[1], 'base64url').toString());
  assert.equal(claims.exp - claims.iat, 24 * 3600);
  const owner = walletOf(made.wallet_id, made.token);
  const peer = await newWallet('peer of own key');
  const { invitation } = await owner.post('/out-of-band/create-invitation', HANDSHAKE);
  const { connection_id } = await peer.post('/out-of-band/receive-invitation', invitation);
  await until(async () => (await peer.get(`/connections/${connection_id}`)).state === 'active', 'the connection');

  // it is locked at the end of its time, which here is brought about
  await agent.agent.kernel.db.admin.lockTenants(Date.now() + 25 * 3600_000);
  assert.equal((await owner.call('GET', '/connections')).status, 401);
  for (const content of ['first', 'second']) await peer.post(`/connections/${connection_id}/send-message`, { content });
  await until(async () => (await agent.get('/status')).conductor.refused_locked >= 2, 'two messages that are kept');
  assert.equal(receiver.hooks.list.filter(({ topic }) => topic === 'basicmessages').length, 0);
  const { token } = (await asked({ wallet_key: 'a key of hers', expires_in: 3600 })).body;
  const contents = async (): Promise<string[]> =>
    receiver.hooks.list.filter(({ topic }) => topic === 'basicmessages').map(({ payload }) => payload.content);
  await until(async () => (await contents()).length === 2, 'the messages');
  assert.deepEqual((await contents()).sort(), ['first', 'second']);
  await walletOf(made.wallet_id, token).get('/connections');
  assert.equal((await agent.call('DELETE', `/multitenancy/wallet/${made.wallet_id}`, {})).status, 401);
  assert.equal((await agent.call('DELETE', `/multitenancy/wallet/${made.wallet_id}`, { wallet_key: 'a key of hers' })).status, 200);
});

test('addresses that controllers give are trimmed and checked: 422, and nothing is made', async () => {
  const wallet = await newWallet('addressed');
  for (const url of ['ftp://a.example', 'a.example/hooks', 'javascript:alert(1)', 'http://', ' ', 'https://a b']) {
    const made = await agent.call('POST', '/multitenancy/wallet', {
      wallet_name: 'never',
      wallet_webhook_urls: ['https://a.example', url],
    });
    assert.equal(made.status, 422, url);
    assert.equal((await agent.call('PUT', `/multitenancy/wallet/${wallet.id}`, { wallet_webhook_urls: [url] })).status, 422, url);
  }
  assert.equal((await agent.get('/multitenancy/wallets?wallet_name=never')).total, 0);
  const trimmed = await agent.call('PUT', `/multitenancy/wallet/${wallet.id}`, {
    wallet_webhook_urls: [' https://a.example/x \n', 'wss://b.example'],
  });
  assert.deepEqual(trimmed.body.settings['wallet.webhook_urls'], ['https://a.example/x', 'wss://b.example']);
  await agent.call('PUT', `/multitenancy/wallet/${wallet.id}`, { wallet_webhook_urls: [] });
  const { invitation } = await wallet.post('/out-of-band/create-invitation', HANDSHAKE);
  const other = await newWallet('addressed too', { extra_settings: {} });
  const { connection_id } = await other.post('/out-of-band/receive-invitation', invitation);
  const { result } = await other.post('/wallet/did/create', { method: 'key' });
  for (const [path, body] of [
    [`/didexchange/${connection_id}/accept-invitation?my_endpoint=ftp://a.example`, {}],
    [`/didexchange/create-request?their_public_did=did:web:a.example&my_endpoint=nowhere`, {}],
    ['/wallet/set-did-endpoint', { did: result.did, endpoint: 'javascript:alert(1)' }],
    ['/legacy/connections/requests', { did: 'WgWxqztrNooG92RXvxSTWv', endpoint: 'http://' }],
  ] as const)
    assert.equal((await other.call('POST', path, body)).status, 422, path);
  assert.equal((await agent.call('POST', '/multitenancy/wallet', { wallet_name: 'never', image_url: 'javascript:alert(1)' })).status, 422);
});

test('a webhook to a ws address is a frame of its own, and comes again until a pong says that it is there', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  world.defer(() => server.close());
  const got = waiting<{ url: string; key: string; id: string; payload: Body }>();
  let refused = 0;
  server.on('connection', (socket, request) => {
    if (refused++ === 0) return socket.terminate();
    const header = (name: string): string => String(request.headers[name]);
    socket.on('message', (data) =>
      got.add({ url: request.url!, key: header('x-api-key'), id: header('x-event-id'), payload: JSON.parse(String(data)) }),
    );
  });
  const { port } = server.address() as AddressInfo;
  const wallet = await newWallet('by socket', { wallet_webhook_urls: [`ws://127.0.0.1:${port}/hooks#its-key`] });
  const { invi_msg_id } = await wallet.post('/out-of-band/create-invitation', HANDSHAKE);
  const hook = await got.first(({ payload }) => payload.invitation_msg_id === invi_msg_id, 'the frame');
  assert.deepEqual([hook.url, hook.key], ['/hooks/topic/connections/', 'its-key']);
});

test('a wallet that is removed is gone at once, with its token and its keys; its name is free, and its rows follow', async () => {
  const wallet = await newWallet('leaving');
  const { invitation } = await wallet.post('/out-of-band/create-invitation', HANDSHAKE);
  assert.deepEqual((await agent.call('DELETE', `/multitenancy/wallet/${wallet.id}`, {})).body, {});
  assert.equal((await wallet.call('GET', '/connections')).status, 401);
  assert.equal((await agent.call('GET', `/multitenancy/wallet/${wallet.id}`)).status, 404);
  assert.equal((await agent.call('DELETE', `/multitenancy/wallet/${wallet.id}`, {})).status, 404);
  const other = await newWallet('leaving');
  const got = await other.post('/out-of-band/receive-invitation', invitation);
  assert.ok(got.connection_id);
  await until(async () => agent.logged.some((line) => line.includes('the wallet is removed') && line.includes(wallet.id)), 'the last row');
});
