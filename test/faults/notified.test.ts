import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { startPostgres } from '../postgres.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { bearer, MULTITENANT, newTenant, tenantOf } from '../support/tenants.ts';
import { waiting } from '../support/waiting.ts';

/** Two agents on one PostgreSQL database: what one decides or does, the other does not believe otherwise for long, though it has it in memory. */

const world = createWorld();
let one: TestAgent;
let two: TestAgent;

before(async () => {
  const server = await startPostgres();
  world.defer(() => server.stop());
  const devnet = await world.devnet();
  const flags = ['--store', server.url, '--wallet-key', 'of these tests', ...MULTITENANT];
  one = await world.start('one', { devnet, sponsor: true, flags, noWebhook: true });
  two = await world.start('two', { devnet, sponsor: true, flags, noWebhook: true });
});
after(() => world.close());

async function listen(agent: TestAgent, token: string) {
  const frames = waiting<Body>();
  const socket = new WebSocket(`${agent.admin.replace('http', 'ws')}/ws?event_id=true`, { headers: bearer(token) });
  world.defer(() => socket.terminate());
  socket.on('message', (data) => frames.add(JSON.parse(String(data))));
  await frames.first((frame) => frame.topic === 'settings' && frame.payload.authenticated, 'the settings');
  return frames;
}

test('/ws shows events of another process, once, and of this wallet alone', async () => {
  const [mine, other] = [await newTenant(one, 'listens'), await newTenant(one, 'another')];
  const frames = await listen(two, mine.token);
  const here = tenantOf(two, mine.id, mine.token);
  for (const alias of ['a', 'b', 'c']) {
    await mine.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias });
    await other.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias: `${alias} of another` });
  }
  await here.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias: 'made here' });
  const aliases = (): string[] => frames.list.filter(({ topic }) => topic === 'connections').map(({ payload }) => payload.alias);
  await until(async () => new Set(aliases()).size >= 4, 'all four');
  await mine.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias: 'last' });
  await frames.first(({ payload }) => payload?.alias === 'last', 'the last');
  assert.deepEqual(aliases().sort(), ['a', 'b', 'c', 'last', 'made here']);
  const ids = frames.list.flatMap(({ event_id }) => event_id ?? []);
  assert.equal(new Set(ids).size, ids.length);
});

test('a token that was voided, settings that were changed, a wallet that was removed: so everywhere', async () => {
  const wallet = await newTenant(one, 'moves', { label: 'before' });
  const there = tenantOf(two, wallet.id, wallet.token);
  const label = async (of: typeof there): Promise<string> => (await of.post('/out-of-band/create-invitation', HANDSHAKE)).invitation.label;
  assert.equal(await label(there), 'before');
  await one.call('PUT', `/multitenancy/wallet/${wallet.id}`, { label: 'after' });
  await until(async () => (await label(there)) === 'after', 'the new label');
  const { token } = await one.post(`/multitenancy/wallet/${wallet.id}/token`);
  await until(async () => (await there.call('GET', '/connections')).status === 401, 'the end of the former token');
  const again = tenantOf(two, wallet.id, token);
  await again.get('/connections');
  await one.call('DELETE', `/multitenancy/wallet/${wallet.id}`, {});
  await until(async () => (await again.call('GET', '/connections')).status === 401, 'the end of the wallet');
});

test('a document that one process wrote to the ledger is read anew by the other', async () => {
  const wallet = await newTenant(one, 'publishes');
  const there = tenantOf(two, wallet.id, wallet.token);
  const { did } = (await wallet.post('/wallet/did/create', { method: 'algo' })).result;
  await wallet.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
  const endpoint = async (): Promise<string> =>
    (await there.get(`/resolver/resolve/${encodeURIComponent(did)}`)).did_document.service[0].serviceEndpoint;
  assert.equal(await endpoint(), one.inbound);
  await wallet.post('/wallet/set-did-endpoint', { did, endpoint: 'https://moved.example' });
  await until(async () => (await endpoint()) === 'https://moved.example', 'the new document', 10_000);
});
