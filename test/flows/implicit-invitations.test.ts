import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Body, createWorld, type TestAgent, until } from '../support/agents.ts';
import { message, startStranger } from '../support/stranger.ts';

/** RFC 0023: a public DID is an invitation by itself, where its agent says so. */

const world = createWorld();
const dids: Record<string, string> = {};
let alice: TestAgent;
let bob: TestAgent;
let shy: TestAgent;

before(async () => {
  const devnet = await world.devnet();
  const open = ['--public-invites', '--requests-through-public-did', '--auto-accept-requests'];
  alice = await world.start('alice', { devnet, sponsor: true, flags: open });
  shy = await world.start('shy', { devnet, sponsor: true, flags: ['--public-invites', '--auto-accept-requests'] });
  bob = await world.start('bob', { devnet, sponsor: true });
  for (const one of [alice, shy, bob]) {
    const { result } = await one.post('/wallet/did/create', { method: 'algo' });
    await one.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
    await until(async () => (await one.get('/wallet/did/public')).result?.did === result.did, 'the public DID');
    dids[one.name] = result.did;
  }
});
after(() => world.close());

const create = (query: string): string => `/didexchange/create-request?their_public_did=${encodeURIComponent(dids.alice!)}${query}`;

for (const [how, query] of [
  ['version 1.0', ''],
  ['version 1.1', '&protocol=didexchange/1.1&my_label=Robert&alias=al&goal_code=x'],
  ['version 1.1, a did:peer:2', '&protocol=didexchange/1.1&use_did_method=did:peer:2'],
  ['version 1.1, the public DID on both sides', '&protocol=didexchange/1.1&use_public_did=true'],
] as const) {
  test(`a connection with a public DID: ${how}`, async () => {
    const asked = await bob.post(create(query));
    assert.deepEqual([asked.state, asked.their_public_did, asked.their_role], ['request', dids.alice, 'inviter']);
    const id = asked.connection_id;
    await bob.event('connections', (one) => one.connection_id === id && one.state === 'active', 'the connection');
    const theirs = await alice.event(
      'connections',
      (one) => one.request_id === asked.request_id && one.state === 'active',
      'the other side',
    );
    assert.deepEqual(alice.states('connections', theirs.connection_id), ['request', 'response', 'active']);
    if (query.includes('my_label')) assert.deepEqual([theirs.their_label, asked.alias], ['Robert', 'al']);
    if (query.includes('use_public_did')) assert.equal(theirs.their_did, dids.bob);
    await bob.post(`/connections/${id}/send-message`, { content: `hello ${how}` });
    await alice.event(
      'basicmessages',
      (one) => one.connection_id === theirs.connection_id && one.content === `hello ${how}`,
      'the message',
    );
    await alice.post(`/connections/${theirs.connection_id}/send-message`, { content: `back ${how}` });
    await bob.event('basicmessages', (one) => one.connection_id === id && one.content === `back ${how}`, 'the answer');
  });
}

test('an agent that does not invite so hears nothing of it', async () => {
  const asked = await bob.post(`/didexchange/create-request?their_public_did=${encodeURIComponent(dids.shy!)}`);
  const { invitation } = await shy.post('/out-of-band/create-invitation?auto_accept=true', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    use_public_did: true,
  });
  const { connection_id } = await bob.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  await bob.event('connections', (one) => one.connection_id === connection_id && one.state === 'active', 'the invited connection');
  assert.equal((await bob.get(`/connections/${asked.connection_id}`)).state, 'request');
  assert.equal((await shy.get('/connections')).results.length, 1);
});

test('who claims a DID of another, or one that nobody knows, leaves no connection behind', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const { verkey } = await bob.get(`/ledger/did-verkey?did=${encodeURIComponent(dids.alice!)}`);
  const before = (await alice.get('/connections')).results.length;
  for (const did of [dids.bob!, dids.bob!.replace(/[0-9a-f]{64}$/, '0'.repeat(64))]) {
    const request = message('didexchange/1.1/request', { label: 'thief', did, '~thread': { pthid: dids.alice } });
    await peer.send({ verkey, url: alice.inbound }, request);
  }
  const own = message('didexchange/1.1/request', { label: 'honest', did: peer.did, '~thread': { pthid: dids.alice } });
  await peer.send({ verkey, url: alice.inbound }, own);
  await peer.inbox.first((mail) => mail.message['~thread']?.thid === own['@id'], 'the response');
  await until(async () => (await alice.get('/connections')).results.length === before + 1, 'one connection');
  assert.ok(!alice.hooks.list.some((hook) => hook.topic === 'connections' && (hook.payload as Body).their_label === 'thief'));
});

test('what cannot be asked is refused and leaves nothing', async () => {
  const before = (await bob.get('/connections')).results.length;
  const nobody = dids.alice!.replace(/[0-9a-f]{64}$/, '1'.repeat(64));
  const ask = async (query: string) => (await bob.call('POST', `/didexchange/create-request?${query}`)).status;
  assert.equal(await ask(`their_public_did=${nobody}`), 404);
  assert.equal(await ask('their_public_did=did:key:z6MkqRYqQiSgvZQdnBytw86Qbs2ZWUkGv22od935YF4s8M7V'), 400);
  assert.equal(await ask('their_public_did=did:example:x'), 400);
  assert.equal(await ask(`their_public_did=${dids.bob}&use_public_did=true`), 400);
  assert.equal(await ask(`their_public_did=${dids.alice}&use_did=did:key:x`), 400);
  assert.equal(await ask(`their_public_did=${dids.alice}&use_public_did=true&use_did_method=did:peer:2`), 400);
  assert.equal(await ask(`their_public_did=${dids.alice}&protocol=x`), 422);
  assert.equal(await ask(''), 422);
  assert.equal((await bob.get('/connections')).results.length, before);
});
