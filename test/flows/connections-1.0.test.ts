import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { signDecorator, verifyDecorator } from '../../src/didcomm/signature-decorator.ts';
import { unqualifiedDid } from '../../src/dids/unqualified.ts';
import { type Body, connect, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { message, type Stranger, startStranger } from '../support/stranger.ts';

/** RFC 0160, with invitations of its own and in out-of-band ones. */

const OOB = { handshake_protocols: ['https://didcomm.org/connections/1.0'] };
const world = createWorld({ held: true });
let alice: TestAgent;
let bob: TestAgent;
let carol: TestAgent;

before(async () => {
  alice = await world.start('alice');
  bob = await world.start('bob');
  carol = await world.start('carol', { flags: ['--auto-ping-connection', '--auto-accept-invites'] });
});
after(() => world.close());

const count = async (name: string): Promise<number> => (await alice.get('/status')).conductor[`refused_${name}`] ?? 0;
const stranger = async (): Promise<Stranger> => {
  const peer = await startStranger();
  world.defer(peer.close);
  return peer;
};
const notified = (peer: Stranger): Body => {
  const { did, document } = unqualifiedDid({ verkey: peer.pair.verkey, endpoint: peer.url });
  return { DID: did, DIDDoc: document };
};
const to = (invitation: Body): { verkey: string; url: string } => ({
  verkey: invitation.recipientKeys[0],
  url: invitation.serviceEndpoint,
});

test('an invitation of its own, accepted by hand on both sides', async () => {
  const made = await alice.post('/connections/create-invitation?alias=bob', { my_label: 'Alice B', metadata: { a: 1 } });
  assert.equal(made.invitation['@type'], 'https://didcomm.org/connections/1.0/invitation');
  assert.equal(made.alias, 'bob');
  const [, encoded] = made.invitation_url.split('?c_i=');
  assert.deepEqual(JSON.parse(Buffer.from(encoded, 'base64url').toString()), made.invitation);
  const got = await bob.post('/connections/receive-invitation?alias=al', made.invitation);
  assert.deepEqual(
    [got.state, got.rfc23_state, got.their_role, got.their_label, got.alias, got.connection_protocol],
    ['invitation', 'invitation-received', 'inviter', 'Alice B', 'al', 'connections/1.0'],
  );
  assert.equal((await bob.post(`/connections/${got.connection_id}/accept-invitation`)).state, 'request');
  const mine = (payload: Body): boolean => payload.connection_id === made.connection_id;
  await alice.event('connections', (one) => mine(one) && one.state === 'request', 'a request');
  assert.equal((await alice.post(`/connections/${made.connection_id}/accept-request`)).state, 'response');
  await alice.event('connections', (one) => mine(one) && one.state === 'active', 'the connection');
  await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the connection');
  assert.deepEqual(await alice.states('connections', made.connection_id), ['invitation', 'request', 'response', 'active']);
  assert.deepEqual(await bob.states('connections', got.connection_id), ['invitation', 'request', 'response', 'active']);
  await bob.post(`/connections/${got.connection_id}/send-message`, { content: 'as in 2019' });
  await alice.event('basicmessages', (one) => one.connection_id === made.connection_id && one.content === 'as in 2019', 'the message');
});

test('an invitation of many uses finds its requests by its key, and stays open; a ping completes as an ack does', async () => {
  const made = await alice.post('/connections/create-invitation?multi_use=true&auto_accept=true', {});
  for (const peer of [bob, carol, carol]) {
    const got = await peer.post('/connections/receive-invitation?auto_accept=true', made.invitation);
    await peer.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'a connection');
  }
  await until(async () => {
    const { results } = await alice.get(`/connections?invitation_key=${made.invitation.recipientKeys[0]}`);
    return results.filter((one: Body) => one.state === 'active').length === 3 && results.length === 4;
  }, 'three connections and the invitation');
});

test('out-of-band invitations name it, and are done with it', async () => {
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=true', OOB);
  const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const active = (one: Body): boolean => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id;
  const [ours, theirs] = await Promise.all([alice, bob].map((agent) => agent.event('connections', active, 'active')));
  assert.deepEqual([ours.connection_protocol, theirs.connection_protocol], ['connections/1.0', 'connections/1.0']);
  assert.deepEqual([theirs.connection_id, ours.my_did], [got.connection_id, theirs.their_did]);
  await alice.event('out_of_band', (one) => one.invi_msg_id === made.invi_msg_id && one.state === 'done', 'the used invitation');
});

test('an invitation that offers both takes either', async () => {
  const both = { handshake_protocols: [...OOB.handshake_protocols, ...HANDSHAKE.handshake_protocols] };
  for (const names of [both.handshake_protocols, [...both.handshake_protocols].reverse()]) {
    const made = await alice.post('/out-of-band/create-invitation?auto_accept=true', both);
    await bob.post('/out-of-band/receive-invitation?auto_accept=true', { ...made.invitation, handshake_protocols: names });
    const active = await alice.event('connections', (one) => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id, 'it');
    assert.equal(`https://didcomm.org/${active.connection_protocol}`, names[0]);
  }
});

test('a peer of old: request without a parent thread, did:sov types; the response is signed by the invitation key', async () => {
  const peer = await stranger();
  const { invitation, connection_id } = await alice.post('/connections/create-invitation?auto_accept=true', {});
  const request = message('did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/connections/1.0/request', { label: 'old', connection: notified(peer) });
  await peer.send(to(invitation), request);
  const { message: response, sender } = await peer.inbox.first((mail) => mail.message['~thread']?.thid === request['@id'], 'the response');
  const { value } = verifyDecorator(response['connection~sig'], invitation.recipientKeys[0]) as { value: Body };
  assert.deepEqual(value.DIDDoc.service[0].recipientKeys, [sender]);
  const inviter = { verkey: sender!, url: alice.inbound };
  const ack = message('notification/1.0/ack', { status: 'OK', '~thread': { thid: request['@id'] } });
  await peer.send(inviter, ack, newKeyPair());
  assert.equal((await alice.get(`/connections/${connection_id}`)).state, 'response', 'an ack of somebody else');
  await peer.send(inviter, ack);
  await alice.event('connections', (one) => one.connection_id === connection_id && one.state === 'active', 'the connection');
  const before = peer.inbox.list.length;
  await peer.send(to(invitation), request);
  const again = peer.inbox.list.slice(before);
  assert.ok(
    again.every((mail) => mail.message['@id'] === response['@id']),
    'a repeated request gets the same answer',
  );
  assert.equal((await alice.get(`/connections/${connection_id}`)).state, 'active');
  const late = await count('out_of_order');
  await peer.send(to(invitation), message('connections/1.0/request', { label: 'late', connection: notified(peer) }), newKeyPair());
  await until(async () => (await count('out_of_order')) > late, 'the second request to be refused');
});

test('a request sealed by another key than it tells, or for another handshake, is not taken', async () => {
  const peer = await stranger();
  const { invitation, connection_id } = await alice.post('/connections/create-invitation?auto_accept=true', {});
  const before = await count('step_refused');
  await peer.send(to(invitation), message('connections/1.0/request', { label: 'x', connection: notified(peer) }), newKeyPair());
  await until(async () => (await count('step_refused')) > before, 'the refusal');
  assert.equal((await alice.get(`/connections/${connection_id}`)).state, 'invitation');
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=true', { ...HANDSHAKE, use_did_method: 'did:peer:4' });
  const ours = await connect(alice, bob);
  assert.ok(ours.inviter);
  const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', {
    ...made.invitation,
    ...OOB,
  });
  const ended = await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'error', 'the refusal');
  assert.match(ended.error_msg, /^request_not_accepted/);
});

test('a response that another key signed connects nobody', async () => {
  const peer = await stranger();
  const invitation = message('connections/1.0/invitation', {
    label: 'old',
    recipientKeys: [peer.pair.verkey],
    serviceEndpoint: peer.url,
  });
  const got = await alice.post('/connections/receive-invitation?auto_accept=true', invitation);
  const { message: request, sender } = await peer.inbox.first((mail) => mail.message['@type'].endsWith('connections/1.0/request'), 'it');
  const respond = (signature: unknown): Promise<unknown> =>
    peer.send(
      { verkey: sender!, url: alice.inbound },
      message('connections/1.0/response', { '~thread': { thid: request['@id'] }, 'connection~sig': signature }),
    );
  for (const signature of [
    signDecorator(notified(peer), newKeyPair()),
    undefined,
    { ...signDecorator(notified(peer), peer.pair), signature: 'AA' },
  ]) {
    const before = await count('step_refused');
    await respond(signature);
    await until(async () => (await count('step_refused')) > before, 'the refusal');
  }
  assert.equal((await alice.get(`/connections/${got.connection_id}`)).state, 'request');
  await respond(signDecorator(notified(peer), peer.pair));
  await alice.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the connection');
  await peer.inbox.first((mail) => /\/ack$/.test(mail.message['@type']), 'the ack');
});

test('a body that is no invitation is refused', async () => {
  for (const body of [{ recipientKeys: ['short'], serviceEndpoint: 'http://x' }, { label: 'nothing' }]) {
    assert.equal((await alice.call('POST', '/connections/receive-invitation', body)).status, 400);
  }
});
