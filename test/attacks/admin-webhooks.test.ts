import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { readConfig } from '../../src/config/read-config.ts';
import { ConfigError } from '../../src/config/values.ts';
import { createWorld, HANDSHAKE, type Receiver, startReceiver, type TestAgent, type Webhook } from '../support/agents.ts';
import { MULTITENANT, newTenant, type Tenant, tenantOf } from '../support/tenants.ts';

/** Whoever sees one webhook, or the list of wallets, wants to send webhooks of their own. */

const world = createWorld();
let agent: TestAgent;
let receiver: Receiver;

before(async () => {
  receiver = await startReceiver();
  world.defer(receiver.close);
  agent = await world.start('cloud', {
    flags: [...MULTITENANT, '--webhook-secret', 'what the operator said', '--base-wallet-routes', '/webhooks/secret'],
  });
});
after(() => world.close());

/** What a receiver does, by the documentation. */
function checks(hook: Webhook, secret: string, now = Date.now() / 1000): boolean {
  const { t = '', v1 } = Object.fromEntries(
    String(hook.headers['x-flexid-signature'])
      .split(',')
      .map((part) => part.split('=')),
  );
  const text = [t, hook.headers['x-event-id'], hook.topic, hook.headers['x-wallet-id'] ?? '', hook.raw].join('.');
  return Math.abs(now - Number(t)) <= 300 && v1 === createHmac('sha256', secret).update(text).digest('hex');
}
const secretOf = async (wallet: Pick<Tenant, 'post'>): Promise<string> => (await wallet.post('/webhooks/secret')).secret;

async function hooked(name: string, more: object = {}): Promise<{ wallet: Tenant; hook: Webhook }> {
  const wallet = await newTenant(agent, name, { wallet_webhook_urls: [`${receiver.url}/${name}#a-key-of-${name}`], ...more });
  const { invi_msg_id } = await wallet.post('/out-of-band/create-invitation', HANDSHAKE);
  const hook = await receiver.hooks.first(
    ({ payload, headers }) => payload.invitation_msg_id === invi_msg_id && headers['x-wallet-id'] === wallet.id,
    'a webhook',
  );
  return { wallet, hook };
}

test('[A11] nothing that a webhook carries signs another', async () => {
  const { wallet, hook } = await hooked('signed');
  const secret = await secretOf(wallet);
  assert.ok(checks(hook, secret));
  assert.match(secret, /^whsec_[\w-]{43}$/);
  const carried = [hook.raw, ...Object.values(hook.headers).map(String)];
  assert.ok(carried.every((text) => !text.includes(secret)));
  assert.equal(hook.headers['x-api-key'], 'a-key-of-signed', 'as ACA-Py sends it');
  for (const key of carried) assert.equal(checks(hook, key), false);
  // whose key is known, as that of another wallet, forges nothing here
  const other = await hooked('another');
  assert.equal(checks(hook, await secretOf(other.wallet)), false);
  assert.notEqual(await secretOf(other.wallet), secret);
});

test('[A11-2] a webhook is of its time, its event, its topic and its wallet', async () => {
  const { wallet, hook } = await hooked('timed');
  const secret = await secretOf(wallet);
  assert.ok(checks(hook, secret));
  assert.equal(checks(hook, secret, Date.now() / 1000 + 301), false, 'said again later');
  const [, time] = /^t=(\d+),/.exec(String(hook.headers['x-flexid-signature']))!;
  const { headers } = hook;
  const later = { ...headers, 'x-flexid-signature': String(headers['x-flexid-signature']).replace(time!, String(Number(time) + 200)) };
  for (const changed of [
    { ...hook, headers: later },
    { ...hook, headers: { ...headers, 'x-event-id': 'another' } },
    { ...hook, headers: { ...headers, 'x-wallet-id': 'another' } },
    { ...hook, topic: 'another' },
    { ...hook, raw: `${hook.raw} ` },
  ])
    assert.equal(checks(changed, secret), false);
});

test('[A11-3] the secret is answered to tokens that may write, can be another, and is the operator’s where the URL is', async () => {
  const { wallet } = await hooked('renews');
  const first = await secretOf(wallet);
  assert.equal(await secretOf(wallet), first);
  const { token } = (await agent.call('POST', `/multitenancy/wallet/${wallet.id}/token`, { scope: ['read'], keep_others: true })).body;
  assert.equal((await tenantOf(agent, wallet.id, token).call('POST', '/webhooks/secret')).status, 403);
  const { secret } = await wallet.post('/webhooks/secret', { renew: true });
  assert.notEqual(secret, first);
  const { invi_msg_id } = await wallet.post('/out-of-band/create-invitation', HANDSHAKE);
  const hook = await receiver.hooks.first(({ payload }) => payload.invitation_msg_id === invi_msg_id, 'a webhook');
  assert.deepEqual([checks(hook, secret), checks(hook, first)], [true, false]);
  // the operator's own URLs get a tenant's events, and know no tenant's secret
  const both = await newTenant(agent, 'both', { wallet_webhook_urls: [receiver.url], wallet_dispatch_type: 'both' });
  const made = await both.post('/out-of-band/create-invitation', HANDSHAKE);
  const [theirs, ours] = await Promise.all(
    [receiver.hooks, agent.hooks].map((hooks) => hooks.first(({ payload }) => payload.invitation_msg_id === made.invi_msg_id, 'a webhook')),
  );
  assert.ok(checks(ours!, 'what the operator said'));
  assert.ok(checks(theirs!, await secretOf(both)));
  assert.equal((await agent.post('/webhooks/secret')).secret, 'what the operator said');
  assert.equal((await agent.call('POST', '/webhooks/secret', { renew: true })).status, 400);
  assert.ok(!agent.logged.join('\n').includes(secret));
});

test('[A17] keys of webhooks are shown by no list, and stay when what was shown comes back', async () => {
  const url = receiver.url.replace('http://', 'http://user:pass-word@');
  const keys = [`${receiver.url}/one#first-key`, `${receiver.url}/one#second-key`, `${url}/two`];
  const wallet = await newTenant(agent, 'shown', { wallet_webhook_urls: keys });
  const hidden = [`${receiver.url}/one#***`, `${receiver.url}/one#***`, `${receiver.url.replace('http://', 'http://***@')}/two`];
  const path = `/multitenancy/wallet/${wallet.id}`;
  for (const seen of [
    (await agent.get('/multitenancy/wallets?wallet_name=shown')).results[0].settings,
    (await agent.get(path)).settings,
    await wallet.get('/settings'),
  ])
    assert.deepEqual(seen['wallet.webhook_urls'], hidden);
  const put = (body: object) => agent.call('PUT', path, body);
  const changed = await put({ label: 'changed', wallet_webhook_urls: [...hidden, `${receiver.url}/three`] });
  assert.deepEqual(changed.body.settings['wallet.webhook_urls'], [...hidden, `${receiver.url}/three`]);
  const { invi_msg_id } = await wallet.post('/out-of-band/create-invitation', HANDSHAKE);
  for (const key of ['first-key', 'second-key'])
    await receiver.hooks.first(({ payload, headers }) => payload.invitation_msg_id === invi_msg_id && headers['x-api-key'] === key, key);
  const named = `Basic ${Buffer.from('user:pass-word').toString('base64')}`;
  await receiver.hooks.first(
    ({ payload, headers }) => payload.invitation_msg_id === invi_msg_id && headers.authorization === named,
    'the one with a user',
  );
  assert.equal((await put({ wallet_webhook_urls: [`${receiver.url}/other#***`] })).status, 422, 'nobody knows what it stands for');
  assert.doesNotMatch([...agent.answers, ...agent.logged].join('\n'), /first-key|second-key|pass-word/);
});

test('[A17-2] nor is anything of a URL in the configuration that only its receiver may know', async () => {
  const { shown } = readConfig(
    [
      '--admin',
      '127.0.0.1',
      '0',
      '--webhook-url',
      'https://u:secret-1@h.example/x#secret-2',
      '--store',
      'postgres://agent:secret-3@db/flexid',
      '--webhook-secret',
      'secret-4 of the operator',
    ],
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://u:secret-5@collector:4318' },
  );
  assert.doesNotMatch(JSON.stringify(shown), /secret-\d/);
  assert.match(JSON.stringify(shown), /h\.example/);
});

test('[A11] a secret that could be guessed is refused', () => {
  assert.throws(() => readConfig(['--webhook-secret', 'short'], {}), ConfigError);
});
