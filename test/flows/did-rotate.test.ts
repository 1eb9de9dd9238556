import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { createPeer4, resolvePeer, shortPeerDid } from '../../src/dids/did-peer.ts';
import { peer4Document } from '../../src/dids/own-documents.ts';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { connectStranger, message, type Stranger, startStranger } from '../support/stranger.ts';

/** RFC 0794. */

const world = createWorld({ held: true });
let alice: TestAgent;
let bob: TestAgent;

before(async () => {
  alice = await world.start('alice');
  bob = await world.start('bob');
});
after(() => world.close());

const stranger = async (): Promise<Stranger> => {
  const peer = await startStranger();
  world.defer(peer.close);
  return peer;
};
const of = (id: string, state: string) => (one: Body) => one.connection_id === id && one.state === state;

test('both sides move, one after the other, and go on writing to each other', async () => {
  const ids = await connect(alice, bob);
  const old = await alice.get(`/connections/${ids.inviter}`);
  const rotate = await alice.post(`/did-rotate/${ids.inviter}/rotate`, { to_did: 'did:peer:4' });
  assert.equal(rotate['@type'], 'https://didcomm.org/did-rotate/1.0/rotate');
  await alice.event('did-rotate', of(ids.inviter, 'ack-received'), 'the ack');
  await bob.event('did-rotate', of(ids.invitee, 'ack-sent'), 'the rotation');
  const short = shortPeerDid(rotate.to_did);
  const [ours, theirs] = [await alice.get(`/connections/${ids.inviter}`), await bob.get(`/connections/${ids.invitee}`)];
  assert.deepEqual([ours.my_did, theirs.their_did, ours.state], [short, short, 'active']);
  assert.notEqual(ours.my_did, old.my_did);
  await bob.post(`/did-rotate/${ids.invitee}/rotate`, {});
  await bob.event('did-rotate', of(ids.invitee, 'ack-received'), 'the other ack');
  await alice.post(`/connections/${ids.inviter}/send-message`, { content: 'to the new' });
  await bob.event('basicmessages', (one) => one.content === 'to the new', 'the message');
  await bob.post(`/connections/${ids.invitee}/send-message`, { content: 'and back' });
  await alice.event('basicmessages', (one) => one.content === 'and back', 'the answer');
});

test('a peer that moves: mail under its old key is still taken, but that key moves nothing any more', async () => {
  const peer = await stranger();
  const link = await connectStranger(alice, peer);
  const moved = newKeyPair();
  const { did } = createPeer4(peer4Document({ verkey: moved.verkey, endpoint: peer.url }));
  await link.send(message('did-rotate/1.0/rotate', { to_did: did }), newKeyPair());
  const rotate = message('did-rotate/1.0/rotate', { to_did: did });
  await link.send(rotate);
  await peer.inbox.first(
    (mail) => /did-rotate\/1.0\/ack$/.test(mail.message['@type']) && mail.message['~thread'].thid === rotate['@id'],
    'it',
  );
  assert.equal((await alice.get(`/connections/${link.id}`)).their_did, shortPeerDid(did));
  await link.send(message('basicmessage/1.0/message', { content: 'under way' }));
  await alice.event('basicmessages', (one) => one.content === 'under way', 'mail under the old key');
  await link.send(message('basicmessage/1.0/message', { content: 'from the new' }), moved);
  await alice.event('basicmessages', (one) => one.content === 'from the new', 'mail under the new key');
  // the answer to the old key goes to the new one, which this peer does not open
  peer.answer = { status: 500 };
  await link.send(message('did-rotate/1.0/rotate', { to_did: peer.did }));
  await link.send(message('did-rotate/1.0/hangup'));
  assert.equal((await alice.get(`/connections/${link.id}`)).their_did, shortPeerDid(did));
});

test('a DID that cannot be written to is reported, and nothing moves', async () => {
  const peer = await stranger();
  const link = await connectStranger(alice, peer);
  for (const [to_did, code] of [
    ['did:example:nobody', 'e.did.unsupported_method'],
    ['did:peer:4zQmNobody', 'e.did.unresolvable'],
    [createPeer4({ '@context': [] }).did, 'e.did.unresolvable_services'],
  ]) {
    const rotate = message('did-rotate/1.0/rotate', { to_did });
    await link.send(rotate);
    const { message: report } = await peer.inbox.first((mail) => mail.message['~thread']?.thid === rotate['@id'], code!);
    assert.deepEqual([report['@type'], report.description.code], ['https://didcomm.org/did-rotate/1.0/problem-report', code]);
  }
  assert.equal((await alice.get(`/connections/${link.id}`)).their_did, shortPeerDid(peer.did));
});

test('our rotation that the peer refuses leaves the connection as it was; while it is open both our keys are good', async () => {
  const peer = await stranger();
  const link = await connectStranger(alice, peer);
  const before = await alice.get(`/connections/${link.id}`);
  const rotate = await alice.post(`/did-rotate/${link.id}/rotate`, {});
  await peer.inbox.first((mail) => mail.message['@id'] === rotate['@id'], 'the rotation');
  const fresh = { verkey: contactOf(resolvePeer(rotate.to_did)).recipientKeys[0]!, url: alice.inbound };
  for (const [to, content] of [
    [fresh, 'new'],
    [link.to, 'old'],
  ] as const) {
    await peer.send(to, message('basicmessage/1.0/message', { content }));
    await alice.event('basicmessages', (one) => one.connection_id === link.id && one.content === content, content);
  }
  const report = message('did-rotate/1.0/problem-report', {
    '~thread': { thid: rotate['@id'] },
    description: { code: 'e.did.unresolvable', en: 'no' },
  });
  await link.send(report);
  const failed = await alice.event('did-rotate', of(link.id, 'failed'), 'the failure');
  assert.match(failed.error, /e\.did\.unresolvable/);
  assert.equal((await alice.get(`/connections/${link.id}`)).my_did, before.my_did);
  assert.equal((await alice.call('POST', `/did-rotate/${link.id}/rotate`, { to_did: 'did:web:x' })).status, 400);
});

test('a hangup ends the connection on both sides', async () => {
  const ids = await connect(alice, bob);
  const hangup = await alice.post(`/did-rotate/${ids.inviter}/hangup`);
  assert.equal(hangup['@type'], 'https://didcomm.org/did-rotate/1.0/hangup');
  await bob.event('connections', of(ids.invitee, 'deleted'), 'the end');
  await until(async () => (await bob.call('GET', `/connections/${ids.invitee}`)).status === 404, 'the connection to be gone');
  assert.equal((await alice.call('GET', `/connections/${ids.inviter}`)).status, 404);
  assert.equal((await alice.call('POST', `/did-rotate/${ids.inviter}/hangup`, {})).status, 404);
});
