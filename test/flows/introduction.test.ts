import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

/** ACA-Py's introduction-service 0.1: alice introduces bob, who asked for it, to carol. */

const world = createWorld({ held: true });
let alice: TestAgent;
let bob: TestAgent;
let carol: TestAgent;

before(async () => {
  alice = await world.start('alice');
  bob = await world.start('bob', { flags: ['--auto-accept-invites'] });
  carol = await world.start('carol', { flags: ['--auto-accept-intro-invitation-requests', '--auto-accept-requests'] });
});
after(() => world.close());

const start = (init: string, target: string, rest = ''): string =>
  `/connections/${init}/start-introduction?target_connection_id=${target}${rest}`;

test('an introduced agent gets an invitation, and is connected', async () => {
  const [withBob, withCarol] = [await connect(alice, bob), await connect(alice, carol)];
  assert.deepEqual(await alice.post(start(withBob.inviter, withCarol.inviter, '&message=meet')), {});
  const met = await bob.event('connections', (one) => one.their_label === 'carol' && one.state === 'active', 'the connection with carol');
  const hers = await carol.event('connections', (one) => one.invitation_msg_id === met.invitation_msg_id && one.state === 'active', 'it');
  assert.equal(hers.their_label, 'bob');
  assert.match(met.their_public_did, /^did:peer:4zQm/);
  await bob.post(`/connections/${met.connection_id}/send-message`, { content: 'hello' });
  await carol.event('basicmessages', (one) => one.connection_id === hers.connection_id && one.content === 'hello', 'the message');
});

test("the introducer's words on the wire, and an invitation that is forwarded once", async () => {
  const [init, target] = [await startStranger(), await startStranger()];
  for (const one of [init, target]) world.defer(one.close);
  const [from, to] = [await connectStranger(alice, init), await connectStranger(alice, target)];
  await alice.post(start(from.id, to.id, '&message=meet'));
  const asked = (await target.inbox.first((mail) => /invitation-request$/.test(mail.message['@type']), 'the request')).message;
  assert.deepEqual(
    [asked['@type'], asked.responder, asked.message],
    ['https://didcomm.org/introduction-service/0.1/invitation-request', 'stranger', 'meet'],
  );
  const { invitation } = await carol.post('/out-of-band/create-invitation', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  const answer = (): Body =>
    message('introduction-service/0.1/invitation', { '~thread': { thid: asked['@id'] }, invitation, message: 'gladly' });
  // who was not asked does not answer
  const early = answer();
  await from.send(early);
  await init.inbox.first((mail) => /problem-report$/.test(mail.message['@type']) && mail.message['~thread']?.thid === asked['@id'], 'no');
  await to.send(answer(), newKeyPair());
  await to.send(answer());
  const passed = (await init.inbox.first((mail) => /forward-invitation$/.test(mail.message['@type']), 'the invitation')).message;
  assert.deepEqual([passed.invitation, passed.message], [invitation, 'gladly']);
  await to.send(answer());
  await target.inbox.first(
    (mail) => /problem-report$/.test(mail.message['@type']) && mail.message['~thread']?.thid === asked['@id'],
    'no more',
  );
  assert.equal(init.inbox.list.filter((mail) => /forward-invitation$/.test(mail.message['@type'])).length, 1);
});

test('without its flag an agent invites nobody; with it, the invitation comes on the thread', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const request = (): Body => message('introduction-service/0.1/invitation-request', { responder: 'dave', message: 'meet' });
  const [shy, open] = [await connectStranger(alice, peer), await connectStranger(carol, peer)];
  await shy.send(request());
  const asked = request();
  await open.send(asked);
  const { message: answer } = await peer.inbox.first((mail) => /0\.1\/invitation$/.test(mail.message['@type']), 'the invitation');
  assert.deepEqual([answer['~thread'].thid, answer.message, answer.invitation.label], [asked['@id'], 'meet', 'carol']);
  await alice.post(`/connections/${shy.id}/send-ping`, {});
  await peer.inbox.first((mail) => /trust_ping/.test(mail.message['@type']), 'what alice said next');
  assert.equal(peer.inbox.list.filter((mail) => /0\.1\/invitation$/.test(mail.message['@type'])).length, 1);
});

test('a forwarded invitation that is none is reported, and what is not connected is not introduced', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const link = await connectStranger(bob, peer);
  const broken = message('introduction-service/0.1/forward-invitation', { invitation: { '@id': 'x', services: [] } });
  await link.send(broken);
  await peer.inbox.first((mail) => mail.message['~thread']?.thid === broken['@id'], 'a report');
  const ids = await connect(alice, bob);
  for (const [init, target] of [
    ['nobody', ids.inviter],
    [ids.inviter, 'nobody'],
  ])
    assert.equal((await alice.call('POST', start(init!, target!))).status, 400);
  const { invitation } = await carol.post('/out-of-band/create-invitation', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  const { connection_id } = await alice.post('/out-of-band/receive-invitation', invitation);
  assert.match((await alice.call('POST', start(connection_id, ids.inviter))).text, /Initiator connection .* not active/);
  assert.equal((await alice.call('POST', `/connections/${ids.inviter}/start-introduction`)).status, 422);
  assert.deepEqual(
    alice.logged.filter((line) => line.includes('"level":"error"')),
    [],
  );
});
