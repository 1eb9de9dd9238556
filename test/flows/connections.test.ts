import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { type Body, connect, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { message, requestFor, type Stranger, serviceOf, startStranger } from '../support/stranger.ts';

const world = createWorld({ held: true });
let alice: TestAgent;
let bob: TestAgent;
let carol: TestAgent;

before(async () => {
  alice = await world.start('alice', { flags: ['--monitor-ping'] });
  bob = await world.start('bob', { flags: ['--monitor-ping'] });
  carol = await world.start('carol', { flags: ['--auto-accept-invites'] });
});
after(() => world.close());

const activeBy = (invitation: string) => (payload: Body) => payload.state === 'active' && payload.invitation_msg_id === invitation;

test('a single-use invitation, accepted by hand on both sides: every state is told, in order, on both sides', async () => {
  const made = await alice.post('/out-of-band/create-invitation', { ...HANDSHAKE, alias: 'bob', my_label: 'Alice B' });
  assert.equal(made.state, 'initial');
  assert.equal(made.invitation.label, 'Alice B');
  assert.match(made.invitation_url, /\?oob=/);
  const got = await bob.post('/out-of-band/receive-invitation?alias=al', made.invitation);
  assert.equal(got.state, 'done');
  const received = await bob.get(`/connections/${got.connection_id}`);
  assert.deepEqual(
    [received.state, received.rfc23_state, received.their_label, received.alias],
    ['invitation', 'invitation-received', 'Alice B', 'al'],
  );

  const accepted = await bob.post(`/didexchange/${got.connection_id}/accept-invitation`);
  assert.equal(accepted.state, 'request');
  const asked = await alice.event(
    'connections',
    (one) => one.state === 'request' && one.invitation_msg_id === made.invi_msg_id,
    'a request',
  );
  assert.deepEqual([asked.rfc23_state, asked.their_role, asked.their_label, asked.alias], ['request-received', 'invitee', 'bob', 'bob']);
  const answered = await alice.post(`/didexchange/${asked.connection_id}/accept-request`);
  assert.equal(answered.state, 'response');
  await Promise.all([
    alice.event('connections', activeBy(made.invi_msg_id), 'an active connection'),
    bob.event('connections', activeBy(made.invi_msg_id), 'an active connection'),
  ]);
  assert.deepEqual(await alice.states('connections', asked.connection_id), ['invitation', 'request', 'response', 'active']);
  assert.deepEqual(await bob.states('connections', got.connection_id), ['invitation', 'request', 'response', 'active']);
  const ours = await alice.get(`/connections/${asked.connection_id}`);
  const theirs = await bob.get(`/connections/${got.connection_id}`);
  assert.equal(ours.their_did, theirs.my_did);
  assert.equal(ours.my_did, theirs.their_did);
  await alice.event('out_of_band', (one) => one.invi_msg_id === made.invi_msg_id && one.state === 'done', 'a used invitation');
});

test('a command that the state does not allow is refused with the state', async () => {
  const ids = await connect(alice, bob);
  const answer = await alice.call('POST', `/didexchange/${ids.inviter}/accept-request`, {});
  assert.equal(answer.status, 400);
  assert.match(answer.text, /^400: .*active state/);
  const unknown = await alice.call('POST', '/didexchange/nobody/accept-request', {});
  assert.equal(unknown.status, 404);
});

test('a multi-use invitation takes many peers, at once and one after the other; it stays open', async () => {
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  const peers = [bob, carol, bob, carol];
  const got = await Promise.all(peers.map((peer) => peer.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation)));
  await Promise.all(
    got.map((one, i) =>
      peers[i]!.event('connections', (c) => c.state === 'active' && c.connection_id === one.connection_id, 'an active connection'),
    ),
  );
  const later = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  await bob.event('connections', (c) => c.state === 'active' && c.connection_id === later.connection_id, 'one more active connection');
  const page = await until(async () => {
    const { results } = await alice.get(`/connections?invitation_msg_id=${made.invi_msg_id}&state=active`);
    return results.length === 5 && results;
  }, 'five active connections');
  assert.equal(new Set(page.map((one: Body) => one.their_did)).size, 5);
  const open = await alice.get(`/connections?invitation_msg_id=${made.invi_msg_id}&state=invitation`);
  assert.equal(open.results.length, 1, 'the invitation itself is still there');
});

test('a multi-use invitation still works after thirty peers', async () => {
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  for (let i = 0; i < 30; i++) {
    const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
    await bob.event('connections', (c) => c.state === 'active' && c.connection_id === got.connection_id, `connection ${i}`);
  }
});

test('a second peer of a single-use invitation hears that it is not open', async () => {
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const first = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  await bob.event('connections', (c) => c.state === 'active' && c.connection_id === first.connection_id, 'the first');
  const second = await carol.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const ended = await carol.event('connections', (c) => c.state === 'error' && c.connection_id === second.connection_id, 'the refusal');
  assert.deepEqual([ended.rfc23_state, ended.error_msg], ['abandoned', 'request_not_accepted: The invitation is not open']);
  assert.equal((await alice.get(`/connections?invitation_msg_id=${made.invi_msg_id}`)).results.length, 1);
});

test('a request is rejected: the peer gets a problem report where it has a key of ours', async () => {
  const made = await alice.post('/out-of-band/create-invitation', HANDSHAKE);
  const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const asked = await alice.event(
    'connections',
    (one) => one.state === 'request' && one.invitation_msg_id === made.invi_msg_id,
    'a request',
  );
  const rejected = await alice.post(`/didexchange/${asked.connection_id}/reject`, { reason: 'not today' });
  assert.deepEqual([rejected.state, rejected.rfc23_state, rejected.error_msg], ['error', 'abandoned', 'not today']);
  const received = await bob.event(
    'connections',
    (one) => one.state === 'error' && one.connection_id === got.connection_id,
    'the rejection',
  );
  assert.match(received.error_msg, /not today/);
});

test('a rejection goes out under the name that RFC 0023 and ACA-Py give it', async () => {
  const stranger = await startStranger();
  world.defer(stranger.close);
  const { invitation } = await alice.post('/out-of-band/create-invitation', HANDSHAKE);
  const request = requestFor(stranger, invitation);
  await stranger.send(serviceOf(invitation), request);
  const asked = await alice.event('connections', (one) => one.state === 'request' && one.request_id === request['@id'], 'a request');
  await alice.post(`/didexchange/${asked.connection_id}/reject`, { reason: 'not today' });
  const { message: notified } = await stranger.inbox.first((mail) => mail.message['~thread']?.thid === request['@id'], 'the rejection');
  assert.equal(notified['@type'], 'https://didcomm.org/didexchange/1.1/problem_report');
  assert.deepEqual(notified.description, { code: 'request_not_accepted', en: 'not today' });
});

test('trust pings: the answer comes under its thread; --monitor-ping tells of sent, received and answered', async () => {
  const ids = await connect(alice, bob);
  const { thread_id } = await alice.post(`/connections/${ids.inviter}/send-ping`, { comment: 'hello' });
  const of = (state: string) => (one: Body) => one.thread_id === thread_id && one.state === state;
  const sent = await alice.event('ping', of('sent'), 'the ping sent');
  assert.equal(sent.connection_id, ids.inviter);
  const received = await bob.event('ping', of('received'), 'the ping');
  assert.deepEqual([received.connection_id, received.responded, received.comment], [ids.invitee, true, 'hello']);
  await alice.event('ping', of('response_received'), 'the answer');
});

test('basic messages arrive with their text, in their order, and so do their webhooks', async () => {
  const ids = await connect(alice, bob);
  const texts = Array.from({ length: 25 }, (_none, i) => `message ${i} \u{1F600} "quoted"`);
  for (const content of texts) await alice.post(`/connections/${ids.inviter}/send-message`, { content });
  await bob.event('basicmessages', (one) => one.connection_id === ids.invitee && one.content === texts.at(-1), 'the last message');
  await until(
    () =>
      bob.hooks.list.filter((hook) => hook.topic === 'basicmessages' && hook.payload.connection_id === ids.invitee).length === texts.length,
    'all messages',
  );
  const got = bob.hooks.list.filter((hook) => hook.topic === 'basicmessages' && hook.payload.connection_id === ids.invitee);
  assert.deepEqual(
    got.map((hook) => hook.payload.content),
    texts,
  );
  const [first] = got;
  assert.deepEqual(Object.keys(first!.payload).sort(), ['connection_id', 'content', 'message_id', 'sent_time', 'state']);
});

for (const method of ['did:peer:2', 'did:peer:4']) {
  test(`an invitation by ${method} is reused: no second connection, and both controllers hear of it`, async () => {
    const body = { ...HANDSHAKE, use_did_method: method };
    const first = await alice.post('/out-of-band/create-invitation?auto_accept=true', body);
    const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', first.invitation);
    await Promise.all([
      alice.event('connections', activeBy(first.invi_msg_id), 'active'),
      bob.event('connections', activeBy(first.invi_msg_id), 'active'),
    ]);
    const connections = (await bob.get('/connections')).total;
    const ours = (await alice.get('/connections?state=active')).total;
    const second = await alice.post('/out-of-band/create-invitation?auto_accept=true', body);
    assert.deepEqual(second.invitation.services, first.invitation.services, 'the same DID invites again');
    const again = await bob.post('/out-of-band/receive-invitation?auto_accept=true', second.invitation);
    assert.deepEqual([again.state, again.connection_id], ['reuse-accepted', got.connection_id]);
    const accepted = await bob.event('connection_reuse_accepted', (one) => one.connection_id === got.connection_id, 'the accepted reuse');
    assert.equal(accepted.state, 'accepted');
    const reused = await alice.event('connection_reuse', (one) => one.thread_id === accepted.thread_id, 'the reuse');
    assert.match(reused.comment, /is being reused/);
    assert.equal((await bob.get('/connections')).total, connections);
    assert.equal((await alice.get('/connections?state=active')).total, ours);
    const forced = await bob.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', second.invitation);
    assert.notEqual(forced.connection_id, got.connection_id);
  });
}

test('a deleted connection is gone, with its webhook; its mail finds nobody', async () => {
  const ids = await connect(alice, bob);
  assert.equal((await alice.call('DELETE', `/connections/${ids.inviter}`)).status, 200);
  await alice.event('connections', (one) => one.connection_id === ids.inviter && one.state === 'deleted', 'the deletion');
  assert.equal((await alice.call('GET', `/connections/${ids.inviter}`)).status, 404);
  const before = (await alice.get('/status')).conductor.refused_unknown_key ?? 0;
  await bob.post(`/connections/${ids.invitee}/send-message`, { content: 'anybody there?' });
  await until(async () => ((await alice.get('/status')).conductor.refused_unknown_key ?? 0) > before, 'the message to find nobody');
});

/** A stranger that has its response and has not said that the exchange is complete. */
async function responded(stranger: Stranger): Promise<{ id: string; request: Body; to: { verkey: string; url: string } }> {
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const request = requestFor(stranger, invitation);
  await stranger.send(serviceOf(invitation), request);
  const { message: response } = await stranger.inbox.first((mail) => mail.message['~thread']?.thid === request['@id'], 'the response');
  const { connection_id: id } = await alice.event(
    'connections',
    (one) => one.state === 'response' && one.request_id === request['@id'],
    'it',
  );
  return { id, request, to: { verkey: contactOf(resolvePeer(response.did)).recipientKeys[0]!, url: alice.inbound } };
}

test('a ping completes a connection whose last message was lost, and only a ping of its peer does', async () => {
  const stranger = await startStranger();
  world.defer(stranger.close);
  const { id, to } = await responded(stranger);
  await stranger.send(to, message('trust_ping/1.0/ping', { response_requested: false }), newKeyPair());
  assert.equal((await alice.get(`/connections/${id}`)).state, 'response');
  const ping = message('trust_ping/1.0/ping', { response_requested: false });
  await stranger.send(to, ping);
  await alice.event('connections', (one) => one.connection_id === id && one.state === 'active', 'the complete connection');
  assert.ok(!stranger.inbox.list.some((mail) => mail.message['~thread']?.thid === ping['@id']), 'no answer where none was asked for');
});

test('a problem report of the peer ends a did-exchange, under either name of its code', async () => {
  for (const body of [
    { description: { code: 'response_not_accepted', en: 'no' } },
    { 'problem-code': 'response_not_accepted', explain: 'no' },
  ]) {
    const stranger = await startStranger();
    world.defer(stranger.close);
    const { id, request, to } = await responded(stranger);
    await stranger.send(to, message('didexchange/1.1/problem-report', { '~thread': { thid: request['@id'] }, ...body }));
    const ended = await alice.event('connections', (one) => one.connection_id === id && one.state === 'error', 'the end');
    assert.deepEqual([ended.rfc23_state, ended.error_msg], ['abandoned', 'response_not_accepted: no']);
    await stranger.send(to, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'] } }));
    assert.equal((await alice.get(`/connections/${id}`)).state, 'error', 'it does not come back');
  }
});

test('an invitation of out-of-band 1.0 is taken as one of 1.1, under either prefix of its type', async () => {
  for (const prefix of ['https://didcomm.org/', 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/']) {
    const made = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
    await carol.post('/out-of-band/receive-invitation', { ...made.invitation, '@type': `${prefix}out-of-band/1.0/invitation` });
    await alice.event('connections', activeBy(made.invi_msg_id), 'the connection');
  }
});
