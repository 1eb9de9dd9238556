import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Body, connect, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';

/** Connections by DIDs of the wallet, posted to the ledger or not: their keys outlive the connections. */

const world = createWorld({ held: true });
let alice: TestAgent;
let bob: TestAgent;
let posted: string;

before(async () => {
  const devnet = await world.devnet();
  alice = await world.start('alice', { devnet, sponsor: true });
  bob = await world.start('bob', { devnet });
  posted = (await alice.post('/wallet/did/create', { method: 'algo' })).result.did;
  await alice.post(`/wallet/did/public?did=${encodeURIComponent(posted)}`);
  await until(async () => (await alice.get('/wallet/did/public')).result?.did === posted, 'the public DID');
});
after(() => world.close());

const of = (id: string, state: string) => (one: Body) => one.connection_id === id && one.state === state;

async function talk(mine: string, theirs: string): Promise<void> {
  const [there, back] = [`to ${theirs}`, `to ${mine}`];
  await alice.post(`/connections/${mine}/send-message`, { content: there });
  await bob.event('basicmessages', (one) => one.connection_id === theirs && one.content === there, 'the message');
  await bob.post(`/connections/${theirs}/send-message`, { content: back });
  await alice.event('basicmessages', (one) => one.connection_id === mine && one.content === back, 'the answer');
}

/** Whether the DID still signs: its key is where it was. */
async function signs(did: string): Promise<void> {
  const { status, text } = await alice.call('POST', '/wallet/jwt/sign', { did, payload: { a: 1 } });
  assert.equal(status, 200, text);
}

for (const protocol of ['1.1', '1.0']) {
  test(`a request by the posted DID, version ${protocol}`, async () => {
    const made = await bob.post('/out-of-band/create-invitation?auto_accept=true', {
      handshake_protocols: [`https://didcomm.org/didexchange/${protocol}`],
    });
    const got = await alice.post('/out-of-band/receive-invitation?auto_accept=false', made.invitation);
    await alice.post(`/didexchange/${got.connection_id}/accept-invitation?use_did=${encodeURIComponent(posted)}`);
    await alice.event('connections', of(got.connection_id, 'active'), 'the connection');
    const theirs = await bob.event('connections', (one) => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id, 'it');
    assert.deepEqual([theirs.their_did, (await alice.get(`/connections/${got.connection_id}`)).my_did], [posted, posted]);
    await talk(got.connection_id, theirs.connection_id);
    await alice.call('DELETE', `/connections/${got.connection_id}`);
    await signs(posted);
  });

  test(`a response by the public DID, version ${protocol}`, async () => {
    const made = await alice.post('/out-of-band/create-invitation?auto_accept=false', {
      handshake_protocols: [`https://didcomm.org/didexchange/${protocol}`],
    });
    const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
    const asked = await alice.event('connections', (one) => one.state === 'request' && one.invitation_msg_id === made.invi_msg_id, 'it');
    await alice.post(`/didexchange/${asked.connection_id}/accept-request?use_public_did=true`);
    await bob.event('connections', of(got.connection_id, 'active'), 'the connection');
    assert.equal((await bob.get(`/connections/${got.connection_id}`)).their_did, posted);
    await alice.event('connections', of(asked.connection_id, 'active'), 'the other side');
    await talk(asked.connection_id, got.connection_id);
  });
}

test('a did:peer:2 where that is asked for; what is no DID to be written to is refused', async () => {
  const { invitation } = await bob.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const { connection_id: id } = await alice.post('/out-of-band/receive-invitation?auto_accept=false', invitation);
  const accept = `/didexchange/${id}/accept-invitation`;
  const { result: fresh } = await alice.post('/wallet/did/create', { method: 'algo' });
  const { result: key } = await alice.post('/wallet/did/create', { method: 'key' });
  for (const query of [
    `use_did=${fresh.did}`,
    `use_did=${key.did}`,
    'use_did=did:peer:4zQmNobody',
    `use_did=${posted}&use_did_method=did:peer:2`,
  ])
    assert.equal((await alice.call('POST', `${accept}?${query}`)).status, 400, query);
  assert.equal((await alice.call('POST', `${accept}?use_did_method=did:example`)).status, 422);
  await alice.post(`${accept}?use_did_method=did:peer:2`);
  await alice.event('connections', of(id, 'active'), 'the connection');
  assert.match((await alice.get(`/connections/${id}`)).my_did, /^did:peer:2/);
});

test('a move to DIDs of the wallet and back to a new one: the connection goes on, and the DIDs keep their keys', async () => {
  const ids = await connect(alice, bob);
  const { result: peer } = await alice.post('/wallet/did/create', { method: 'did:peer:2' });
  const rotated = async (to_did: string): Promise<Body> => {
    const rotate = await alice.post(`/did-rotate/${ids.inviter}/rotate`, { to_did });
    const mine = (one: Body): boolean => one.thread_id === rotate['@id'];
    await alice.event('did-rotate', (one) => mine(one) && one.state === 'ack-received', `the ack of ${to_did}`);
    await bob.event('did-rotate', (one) => mine(one) && one.state === 'ack-sent', `the rotation to ${to_did}`);
    const [ours, theirs] = [await alice.get(`/connections/${ids.inviter}`), await bob.get(`/connections/${ids.invitee}`)];
    assert.equal(ours.my_did, theirs.their_did);
    return rotate;
  };
  for (const to of [posted, peer.did, 'did:peer:2', posted]) {
    const { to_did } = await rotated(to);
    if (to !== 'did:peer:2') assert.equal(to_did, to);
    await talk(ids.inviter, ids.invitee);
  }
  const again = await alice.call('POST', `/did-rotate/${ids.inviter}/rotate`, { to_did: posted });
  assert.deepEqual([again.status, again.text], [400, '400: The connection has this DID already']);
  const { result: key } = await alice.post('/wallet/did/create', { method: 'key' });
  for (const to_did of [key.did, 'did:web:example.com', 'did:peer:4zQmNobody'])
    assert.equal((await alice.call('POST', `/did-rotate/${ids.inviter}/rotate`, { to_did })).status, 400, to_did);
  await bob.post(`/did-rotate/${ids.invitee}/hangup`);
  await until(async () => (await alice.call('GET', `/connections/${ids.inviter}`)).status === 404, 'the end');
  await signs(posted);
  await signs(peer.did);
});
