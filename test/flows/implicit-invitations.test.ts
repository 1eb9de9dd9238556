import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { signedAttachment, writeAttachment } from '../../src/didcomm/attachments.ts';
import type { KeyPair } from '../../src/didcomm/key-cache.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { unqualifiedDid } from '../../src/dids/unqualified.ts';
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
    assert.deepEqual(await alice.states('connections', theirs.connection_id), ['request', 'response', 'active']);
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

test('an agent that does not invite so has no connection of it, and the other side ends', async () => {
  const asked = await bob.post(`/didexchange/create-request?their_public_did=${encodeURIComponent(dids.shy!)}`);
  const { invitation } = await shy.post('/out-of-band/create-invitation?auto_accept=true', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    use_public_did: true,
  });
  const { connection_id } = await bob.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  await bob.event('connections', (one) => one.connection_id === connection_id && one.state === 'active', 'the invited connection');
  await bob.event('connections', (one) => one.connection_id === asked.connection_id && one.state === 'error', 'the end of what was asked');
  assert.equal((await shy.get('/connections')).results.length, 1);
});

test('a claim of another’s DID, or of an unknown one, leaves no connection behind', async () => {
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

test('an impossible request is refused and leaves nothing', async () => {
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

test('a request that the controller hands in is answered to the keys of its DID alone', async () => {
  const hand = (request: object, agent = alice, query = '') => agent.call('POST', `/didexchange/receive-request${query}`, request);
  const asked = (did: string, members: object = {}, version = '1.1'): Body =>
    message(`didexchange/${version}/request`, {
      label: 'by hand',
      did,
      '~thread': { pthid: `${dids.alice}#did-communication` },
      ...members,
    });
  const peer = await startStranger();
  world.defer(peer.close);
  const request = asked(peer.did);
  const { body, status } = await hand(request, alice, '?alias=handed&auto_accept=true');
  assert.deepEqual([status, body.state, body.alias, body.their_label], [200, 'response', 'handed', 'by hand']);
  const { message: response, sender } = await peer.inbox.first((mail) => mail.message['~thread']?.thid === request['@id'], 'the response');
  assert.match(response['@type'], /didexchange\/1\.1\/response$/);
  await peer.send({ verkey: sender!, url: alice.inbound }, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'] } }));
  await alice.event('connections', (one) => one.connection_id === body.connection_id && one.state === 'active', 'the connection');
  const remote = await hand(asked(dids.bob!), alice, '?auto_accept=false');
  assert.deepEqual([remote.body.state, remote.body.their_did], ['request', dids.bob]);
  const { did, document } = unqualifiedDid({ verkey: peer.pair.verkey, endpoint: peer.url });
  const attached = (by: KeyPair): object => ({
    'did_doc~attach': writeAttachment(signedAttachment(Buffer.from(JSON.stringify(document)), by)),
  });
  assert.equal((await hand(asked(did, attached(newKeyPair()), '1.0'))).status, 400);
  const old = await hand(asked(did, attached(peer.pair), '1.0'), alice, '?auto_accept=false');
  assert.deepEqual([old.body.state, old.body.their_did, old.body.connection_protocol], ['request', did, 'didexchange/1.0']);
  assert.equal((await hand(asked(dids.bob!.replace(/[0-9a-f]{64}$/, '2'.repeat(64))))).status, 404);
  assert.equal((await hand(asked(peer.did, { '~thread': { pthid: dids.bob } }))).status, 400);
  assert.equal((await hand(asked(peer.did), shy)).text, '400: Unsolicited connection requests to public DID is not enabled');
  assert.equal((await hand({ ...request, '@type': 'https://didcomm.org/didexchange/1.1/response' })).status, 422);
  assert.equal((await hand({ ...request, '~transport': 7 })).status, 400);
});
