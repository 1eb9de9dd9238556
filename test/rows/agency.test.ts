import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { packBase } from '../../src/didcomm/envelope-2018.ts';
import { createWorld, until } from '../support/agents.ts';
import { type Json, type Link, makeKey, proofRequest, startPeer2018, typeOf } from '../support/peer-2018.ts';
import { MULTITENANT, newTenant, type Tenant } from '../support/tenants.ts';
import { startInside } from './inside.ts';
import { contact, offerOf, silent, uncounted } from './support.ts';

/** Requirement rows S2-12 and S2-35 to S2-37: what all users of an agency share, and how mail finds one of them. */

const world = createWorld();
after(() => world.close());

test('[S2-12] the offers of twenty tenants name one endpoint, one DID and one key', async () => {
  const agent = await world.start('agency', { noWebhook: true, flags: MULTITENANT });
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { offer } = await (await newTenant(agent, `user ${i}`)).post('/legacy/connections/offers', {});
    seen.add(JSON.stringify([offer.message.endpoint, offer.message.did, offer.message.verkey]));
  }
  assert.equal(seen.size, 1, [...seen].join(' '));
});

test('[S2-36] after a rotation what is sealed to the retired Endpoint DID is opened as well as what is sealed to the new one', async () => {
  const agent = await world.start('rotating', { flags: ['--legacy', 'on'] });
  const peer = await startPeer2018();
  world.defer(peer.close);
  const former = await contact(agent);
  // this one is answered after the rotation, by what it says
  const begun = await offerOf(agent, { auto_accept: true });
  await agent.post('/legacy/endpoint/rotate');
  const now = await contact(agent);
  assert.notEqual(now.did, former.did);
  assert.notEqual(now.verkey, former.verkey);
  for (const [name, { verkey }] of Object.entries({ former, now })) {
    const offer = peer.offer();
    silent(await peer.post(agent.inbound, packBase(verkey, offer), 'text/plain'));
    await agent.event('connections', (one) => one.invitation_msg_id === offer.id, `the offer that was sealed to the key of ${name}`);
  }
  assert.equal(begun.offer.message.verkey, former.verkey);
  await peer.accept(peer.readOffer(begun.offer));
  await agent.event('connections', (one) => one.connection_id === begun.id && one.state === 'active', 'the connection of an older offer');
  assert.equal((await offerOf(agent)).offer.message.verkey, now.verkey, 'new offers name the new one');
  const { status } = await peer.post(agent.inbound, packBase(makeKey().verkey, peer.offer()), 'text/plain');
  assert.equal(status, 400, 'a key that never was one');
});

test('[S2-35] the agency has the keys of its endpoint: with them a request is a record, without them nothing opens it', async () => {
  const inside = await startInside(['one']);
  try {
    const made = makeKey();
    const where = { endpoint_did: made.did, endpoint_verkey: made.verkey, endpoint: 'http://127.0.0.1:9/' };
    const message = { did: made.did, verkey: made.verkey, nonce: 'a'.repeat(32), request_nonce: 'a'.repeat(32), ...where };
    const [first, second] = [await inside.offer('one'), await inside.offer('one')];
    assert.equal(await inside.receive({ id: first.offer.id, type: typeOf('connection_request'), message }), undefined);
    assert.equal((await inside.connection('one', first.id)).state, 'request');
    const { verkey, tenant } = inside.endpoint;
    await inside.db.store.commit(tenant, { removedKeys: [verkey], invalidate: [verkey] });
    assert.equal(await inside.receive({ id: second.offer.id, type: typeOf('connection_request'), message }), 'envelope', 'answered 400');
    assert.equal((await inside.connection('one', second.id)).state, 'invitation');
    assert.equal((await inside.connections('one')).length, 2, 'and no record');
  } finally {
    await inside.close();
  }
});

test('[S2-37] among tenants a response finds the one that has asked, by the nonce of its request, and what follows by the DID of its sender', async () => {
  const agent = await world.start('many', { noWebhook: true, flags: MULTITENANT });
  const peer = await startPeer2018();
  world.defer(peer.close);
  const waiting = [];
  for (const name of ['one', 'two', 'three']) {
    const tenant = await newTenant(agent, name);
    const offer = peer.offer();
    const { connection_id } = await tenant.post('/legacy/connections/receive-offer', { offer, auto_accept: true });
    waiting.push({ name, tenant, connection_id, request: await peer.requested(offer) });
  }
  const links: ((typeof waiting)[number] & { link: Link })[] = [];
  for (const one of waiting.reverse()) links.push({ ...one, link: await peer.respond(one.request) });
  for (const { name, tenant, connection_id, link } of links) {
    await until(async () => (await tenant.get(`/connections/${connection_id}`)).state === 'active', `the connection of ${name}`);
    const { results } = await tenant.get('/connections');
    assert.deepEqual(
      results.map((one: Json) => [one.connection_id, one.their_did]),
      [[connection_id, link.mine.did]],
      name,
    );
  }
  const [first, ...others] = links;
  const asked = async ({ tenant }: { tenant: Tenant }): Promise<string[]> =>
    (await tenant.get('/present-proof-2.0/records')).results.map((one: Json) => one.connection_id);
  await peer.say(first!.link, 'proof_request', proofRequest(['name']));
  await until(async () => (await asked(first!)).length > 0, 'the proof request');
  assert.deepEqual(await asked(first!), [first!.connection_id]);
  for (const other of others) assert.deepEqual(await asked(other), []);
});

test('[S2-37] an opened message finds its tenant by the nonce of an offer; one that names nothing is dropped, and counted once', async () => {
  const inside = await startInside(['one', 'two']);
  try {
    const { id, offer } = await inside.offer('two');
    const did = makeKey();
    const request = (nonce: string) => ({
      id: nonce,
      type: typeOf('connection_request'),
      message: {
        did: did.did,
        verkey: did.verkey,
        nonce: 'a'.repeat(32),
        request_nonce: 'a'.repeat(32),
        endpoint_did: did.did,
        endpoint_verkey: did.verkey,
        endpoint: 'http://127.0.0.1:9/',
      },
    });
    assert.equal(await inside.receive(request('0'.repeat(32))), '2018_unknown_id');
    assert.deepEqual([inside.counters.refused_2018_unknown_id, (await inside.connections('one')).length], [1, 0]);
    assert.equal(await inside.receive(request(offer.id)), undefined);
    assert.deepEqual([(await inside.connection('two', id)).state, (await inside.connections('two')).length], ['request', 1]);
  } finally {
    await inside.close();
  }
  const agent = await world.start('counting');
  const peer = await startPeer2018();
  world.defer(peer.close);
  const to = await contact(agent);
  await uncounted(agent, () => peer.send(to, peer.offer()), 'refused_2018_unknown_id');
});
