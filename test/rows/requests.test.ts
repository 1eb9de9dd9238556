import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openAnon } from '../../src/didcomm/envelope-2018.ts';
import { type Body, createWorld } from '../support/agents.ts';
import {
  type Json,
  type Key2018,
  type Link,
  makeKey,
  type Peer2018,
  PeerRefused,
  randomNonce,
  startPeer2018,
  typeOf,
  unauth,
  unbase58,
  unseal,
} from '../support/peer-2018.ts';
import {
  agentOffers,
  connections,
  contact,
  counted,
  lazy,
  offerOf,
  peerOffers,
  publish,
  refused,
  silent,
  stateOf,
  uncounted,
  vector,
  vectorKey,
  vectorStore,
} from './support.ts';

/** Requirement rows S2-90 to S2-114: connection requests, responses, acknowledgements, and their order. */

const world = createWorld();
after(() => world.close());

async function startPeer(): Promise<Peer2018> {
  const peer = await startPeer2018();
  world.defer(peer.close);
  return peer;
}
/** Takes what nobody asked for, and answers it. */
const alice = lazy(() => world.start('alice', { flags: ['--legacy', 'on', '--auto-accept-requests', '--auto-accept-invites'] }));
/** Has a ledger, and waits for its controller. */
const devnet = lazy(() => world.devnet());
const carol = lazy(async () => world.start('carol', { devnet: await devnet(), flags: ['--legacy', 'on'] }));

const EXACT = 'urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/';
const isActive = (id: string) => (one: Body) => one.connection_id === id && one.state === 'active';
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
/** What stands in a response. */
const inside = (key: Key2018, base: Json): Json => JSON.parse(Buffer.from(unseal(key, bytesOf(base.message))).toString());
/** The mails of one type that a peer was sent. */
const mails = (peer: Peer2018, name: Parameters<typeof typeOf>[0]): Json[] =>
  peer.inbox.list.map(({ base }) => base).filter((base) => base?.type === typeOf(name));

// -- requests ---------------------------------------------------------------------------------------------------------------------------------------------

test("[S2-90] each side keeps the other's DID, which is of this connection alone", async () => {
  const agent = await alice();
  const peer = await startPeer();
  const dids: string[] = [(await contact(agent)).did, peer.self.did];
  for (const connect of [agentOffers, peerOffers, agentOffers, peerOffers]) {
    const { id, link } = await connect(agent, peer);
    const { my_did, their_did } = await agent.get(`/connections/${id}`);
    assert.deepEqual([my_did, their_did], [link.theirs.did, link.mine.did]);
    dids.push(my_did, their_did);
  }
  assert.equal(new Set(dids).size, dids.length);
});

test('[S2-91] a request is named by its offer, by its own nonce, or by both as the text prints it', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const to = await contact(agent);
  const byOffer = await offerOf(agent);
  await peer.accept(byOffer.offer);
  await agent.event('connections', isActive(byOffer.id), 'the connection by an offer');
  await peer.accept(to);
  const both = await offerOf(agent);
  const change = (base: Json): Json => ({ ...base, id: `${base.id}|${base.message.nonce}` });
  const pending = await peer.request(both.offer, {}, { change });
  await peer.acknowledge(await peer.response(pending));
  await agent.event('connections', isActive(both.id), 'the connection by both');
  const { offer } = await offerOf(agent);
  const wrong = (base: Json): Json => ({ ...base, id: `${base.id}|${randomNonce()}` });
  await refused(agent, async () => (await peer.request(offer, {}, { change: wrong })).sent, 'malformed');
  await peerOffers(agent, peer);
  for (const { base } of peer.inbox.list) assert.doesNotMatch(base.id, /\|/);
});

test('[S2-92] an offer is used once: by one of two at once, again for the same bytes, and never for another DID', async () => {
  const agent = await alice();
  const [peer, rival] = [await startPeer(), await startPeer()];
  const { id, offer } = await offerOf(agent);
  const before = await connections(agent);
  const problems = (): number => agent.hooks.list.filter((hook) => hook.topic === 'legacy_problem').length;
  const notified = problems();
  const both = await Promise.all([peer.request(offer), rival.request(offer)]);
  for (const { sent } of both) silent(sent);
  await agent.event('connections', (one) => one.connection_id === id && one.state === 'response', 'one answer');
  const { their_did, my_did } = await agent.get(`/connections/${id}`);
  const [winner, loser] = their_did === both[0].key.did ? [peer, rival] : [rival, peer];
  const pending = both.find(({ key }) => key.did === their_did)!;
  await winner.response(pending);
  await agent.hooks.first(() => problems() > notified, 'the refusal of the other');
  assert.deepEqual([await connections(agent), loser.inbox.list.length], [before, 0]);
  silent(await winner.replay(pending.sent));
  const again = await winner.next('connection_response');
  assert.deepEqual([inside(pending.key, again).did, again.id], [my_did, pending.nonce]);
  await refused(agent, async () => (await loser.request(offer)).sent, 'out-of-order');
  await refused(agent, async () => (await winner.request(offer)).sent, 'out-of-order', 'from the same peer under another DID');
  assert.deepEqual([await connections(agent), await stateOf(agent, id)], [before, 'response']);
  assert.equal((await agent.get(`/connections/${id}`)).their_did, their_did);
});

test('[S2-93] without an offer the id is the request nonce', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const to = await contact(agent);
  const before = await connections(agent);
  await refused(agent, async () => (await peer.request(to, {}, { id: randomNonce() })).sent, 'unknown-id');
  assert.equal(await connections(agent), before);
  const pending = await peer.request(to);
  assert.equal(pending.sent.base.id, pending.nonce);
  await peer.response(pending);
  assert.equal(await connections(agent), before + 1);
});

test('[S2-94] [S2-103] [S2-110] the types of request, response and acknowledgement are exact', async () => {
  const agent = await alice();
  const peer = await startPeer();
  await peerOffers(agent, peer);
  await agentOffers(agent, peer);
  const names = ['connection_request', 'connection_acknowledgement', 'connection_response'];
  assert.deepEqual(
    peer.inbox.list.map(({ base }) => base.type),
    names.map((name) => EXACT + name),
  );
});

test('[S2-95] [S2-96] the message of a request is an object with a did', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, offer } = await offerOf(agent);
  const asText = (base: Json): Json => ({ ...base, message: JSON.stringify(base.message) });
  const inList = (base: Json): Json => ({ ...base, message: [base.message] });
  for (const change of [asText, inList]) await refused(agent, async () => (await peer.request(offer, {}, { change })).sent, 'malformed');
  for (const did of [undefined, '', 7, null]) await refused(agent, async () => (await peer.request(offer, { did })).sent, 'malformed');
  assert.equal(await stateOf(agent, id), 'invitation');
  await peer.accept(offer);
});

test('[S2-97] the nonce of a request has two names: either is read, both if they agree, both are written', async () => {
  const agent = await alice();
  const peer = await startPeer();
  for (const more of [{ request_nonce: undefined }, { nonce: undefined }, {}]) await peer.accept((await offerOf(agent)).offer, more);
  const { id, offer } = await offerOf(agent);
  await refused(agent, async () => (await peer.request(offer, { request_nonce: randomNonce() })).sent, 'nonce-mismatch');
  await refused(agent, async () => (await peer.request(offer, { nonce: randomNonce() })).sent, 'nonce-mismatch');
  await refused(agent, async () => (await peer.request(offer, { nonce: undefined, request_nonce: undefined })).sent, 'malformed');
  assert.equal(await stateOf(agent, id), 'invitation');
  await peerOffers(agent, peer);
  const [{ message }] = mails(peer, 'connection_request') as [Json];
  assert.match(message.nonce, /^[0-9a-f]{32}$/);
  assert.equal(message.nonce, message.request_nonce);
});

test('[S2-98] a request without endpoint_did is answered where the ledger says that its did is', async () => {
  const agent = await carol();
  const peer = await startPeer();
  const did = await publish(await devnet(), peer.endpoint, peer.self.endpoint);
  const { id, offer } = await offerOf(agent, { auto_accept: true });
  const bare = { did, verkey: undefined, endpoint_did: undefined, endpoint_verkey: undefined, endpoint: undefined };
  const { sent, ...asked } = await peer.request(offer, bare);
  silent(sent);
  const link = await peer.response({ ...asked, sent, key: { ...peer.endpoint, did } });
  silent(await peer.acknowledge(link));
  const done = await agent.event('connections', isActive(id), 'the connection');
  assert.deepEqual([done.their_did, done.legacy.trust], [did, 'ledger']);
});

test('[S2-99] a request without endpoint is answered where the ledger says that its endpoint_did is', async () => {
  const agent = await carol();
  const peer = await startPeer();
  const did = await publish(await devnet(), peer.endpoint, peer.self.endpoint);
  const { id, offer } = await offerOf(agent, { auto_accept: true });
  const link = await peer.accept(offer, { endpoint_did: did, endpoint_verkey: undefined, endpoint: undefined });
  const done = await agent.event('connections', isActive(id), 'the connection');
  assert.equal(done.their_did, link.mine.did);
});

// -- responses --------------------------------------------------------------------------------------------------------------------------------------------

test('[S2-100] [S2-101] a response tells a DID that is new, and belongs to the one of many requests whose nonce it names', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const offers = Array.from({ length: 20 }, () => peer.offer());
  const ids = new Map<string, string>();
  for (const offer of offers) ids.set(offer.id, (await agent.post('/legacy/connections/receive-offer', { offer })).connection_id);
  const requests = await Promise.all(offers.map((offer) => peer.requested(offer)));
  const links: (Link & { offer: string })[] = [];
  for (const request of requests.sort(() => randomInt(3) - 1)) links.push({ ...(await peer.respond(request)), offer: request.base.id });
  for (const { offer, mine, theirs } of links) {
    const id = ids.get(offer)!;
    const { their_did, my_did } = await agent.event('connections', isActive(id), 'the connection');
    assert.deepEqual([their_did, my_did], [mine.did, theirs.did]);
  }
  // and ours
  const own = await contact(agent);
  const dids = new Set([own.did]);
  for (let i = 0; i < 3; i++) dids.add((await peer.accept((await offerOf(agent)).offer)).theirs.did);
  assert.equal(dids.size, 4);
  // one that names the Endpoint DID itself
  const offer = peer.offer();
  const { connection_id } = await agent.post('/legacy/connections/receive-offer', { offer });
  const request = await peer.requested(offer);
  await refused(agent, async () => (await peer.respond(request, {}, { key: peer.endpoint })).sent, 'not-pairwise');
  assert.equal(await stateOf(agent, connection_id), 'request');
});

test('[S2-102] a request nonce is used up by its response', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const offer = peer.offer();
  const { connection_id } = await agent.post('/legacy/connections/receive-offer', { offer });
  const request = await peer.requested(offer);
  const first = await peer.respond(request);
  await agent.event('connections', isActive(connection_id), 'the connection');
  await uncounted(agent, async () => (await peer.respond(request)).sent, 'refused_2018_unknown_id', 'under another DID');
  await uncounted(agent, () => peer.replay(first.sent), 'refused_2018_unknown_id', 'the same again');
  assert.equal((await agent.get(`/connections/${connection_id}`)).their_did, first.mine.did);
  assert.equal(mails(peer, 'connection_acknowledgement').length, 1);
});

/** Bob of the vectors, whose request waits for its response. */
async function waitingBob(name: string, endpoint: string) {
  const { path, connection } = await vectorStore(join(world.folder, `${name}.db`), vectorKey('bob_endpoint'), {
    state: 'request',
    role: 'invitee',
    key: vectorKey('bob_pairwise'),
    ids: [vector('connection_response').base_message.id],
    value: {
      request_id: vector('connection_response').base_message.id,
      my_did: vectorKey('bob_pairwise').did,
      my_verkey: vectorKey('bob_pairwise').verkey,
      invitation_key: vectorKey('alice_endpoint').verkey,
      their_endpoint: endpoint,
      agent2018: {
        profile: 'spec',
        trust: 'self-certified',
        endpoint_verkey: vectorKey('alice_endpoint').verkey,
        endpoint_did: vectorKey('alice_endpoint').did,
      },
    },
  });
  return { agent: await world.start(name, { store: path }), id: connection };
}

/** Alice of the vectors, who has sent her response. */
async function respondedAlice(name: string) {
  const { path, connection } = await vectorStore(join(world.folder, `${name}.db`), vectorKey('alice_endpoint'), {
    state: 'response',
    role: 'inviter',
    key: vectorKey('alice_pairwise'),
    ids: [vectorKey('bob_pairwise').did],
    value: {
      my_did: vectorKey('alice_pairwise').did,
      my_verkey: vectorKey('alice_pairwise').verkey,
      their_did: vectorKey('bob_pairwise').did,
      their_keys: [vectorKey('bob_pairwise').verkey],
      their_endpoint: 'http://127.0.0.1:9/',
      agent2018: { profile: 'spec', trust: 'self-certified', endpoint_verkey: vectorKey('bob_endpoint').verkey },
    },
  });
  return { agent: await world.start(name, { store: path }), id: connection };
}
const lazyAlice = lazy(() => respondedAlice('alice-of-the-vectors'));

test('[S2-104] [S2-106] [S2-107] [D-05] responses of the vectors: the false ones are refused, the true one opens with the pairwise key', async () => {
  const { base_message, inner_plaintext_utf8, payload_base64 } = vector('connection_response');
  const pair = (key: Key2018) => ({ verkey: key.verkey, secretKey: Buffer.from(key.secret) });
  const sealed = Buffer.from(base_message.message, 'base64');
  assert.equal(openAnon(pair(vectorKey('bob_pairwise')), sealed).toString(), inner_plaintext_utf8);
  assert.throws(() => openAnon(pair(vectorKey('bob_endpoint')), sealed));
  // alice of the vectors, where her acknowledgement goes
  const peer = await startPeer2018({ seed: Buffer.from('000000000000000000000000Steward1') });
  world.defer(peer.close);
  const { agent, id } = await waitingBob('bob-of-the-vectors', peer.self.endpoint);
  const post = (payload: string) => peer.post(agent.inbound, payload, 'text/plain');
  await refused(agent, () => post(vector('NEGATIVE_response_verkey_not_of_did').payload_base64), 'responder-key-mismatch');
  await refused(agent, () => post(vector('NEGATIVE_response_wrong_inner_nonce').payload_base64), 'nonce-mismatch');
  assert.equal(await stateOf(agent, id), 'request');
  silent(await post(payload_base64));
  const done = await agent.event('connections', isActive(id), 'the connection');
  assert.equal(done.their_did, vectorKey('alice_pairwise').did);
  const { message, id: by } = await peer.next('connection_acknowledgement');
  assert.equal(by, vectorKey('bob_pairwise').did);
  const received = unauth(vectorKey('alice_pairwise'), bytesOf(message));
  assert.equal(received.sender, vectorKey('bob_pairwise').verkey);
});

test('[S2-104] the inside of our response opens with the pairwise key of its requester only', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const pending = await peer.request((await offerOf(agent)).offer);
  const base = await peer.next('connection_response');
  assert.throws(() => unseal(peer.endpoint, bytesOf(base.message)), PeerRefused);
  const { did, verkey, request_nonce, nonce } = inside(pending.key, base);
  assert.deepEqual([request_nonce, nonce], [pending.nonce, pending.nonce]);
  peer.readResponse(pending, base);
  assert.equal(unbase58(verkey).length, 32);
  assert.equal(typeof did, 'string');
});

test('[S2-105] [S2-106] [S2-107] a response without did, verkey or nonce is refused; the nonce may have either name', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const pending = async () => {
    const offer = peer.offer();
    const { connection_id: id } = await agent.post('/legacy/connections/receive-offer', { offer });
    return { id, request: await peer.requested(offer) };
  };
  const { id, request } = await pending();
  const wrong: [Json, string][] = [
    [{ did: undefined }, 'malformed'],
    [{ verkey: undefined }, 'malformed'],
    [{ verkey: makeKey().verkey }, 'responder-key-mismatch'],
    [{ verkey: 'no key at all' }, 'responder-key-mismatch'],
    [{ did: makeKey().did }, 'responder-key-mismatch'],
    [{ request_nonce: undefined }, 'nonce-mismatch'],
    [{ request_nonce: randomNonce() }, 'nonce-mismatch'],
    [{ nonce: randomNonce() }, 'nonce-mismatch'],
    [{ request_nonce: randomNonce(), nonce: request.nonce }, 'nonce-mismatch'],
  ];
  for (const [more, reason] of wrong)
    await refused(agent, async () => (await peer.respond(request, more)).sent, reason, JSON.stringify(more));
  assert.equal(await stateOf(agent, id), 'request');
  await peer.respond(request);
  await agent.event('connections', isActive(id), 'the connection');
  const other = await pending();
  await peer.respond(other.request, { request_nonce: undefined, nonce: other.request.nonce });
  await agent.event('connections', isActive(other.id), 'the connection by the other name');
});

test('a response is signed by the offerer where it is signed at all, and has to be where the operator says so', async () => {
  const strict = await world.start('strict', { flags: ['--auto-accept-invites', '--legacy-require-signed-response'] });
  const peer = await startPeer();
  const key = makeKey();
  const offer = peer.offer({ offer_verkey: key.verkey });
  const { connection_id: id } = await strict.post('/legacy/connections/receive-offer', { offer });
  const request = await peer.requested(offer);
  await refused(strict, async () => (await peer.respond(request)).sent, 'signature-missing');
  await refused(strict, async () => (await peer.respond(request, {}, { signer: peer.endpoint })).sent, 'signature-invalid');
  const forged = { sig: { verkey: key.verkey, signature: Buffer.alloc(64).toString('base64') } };
  await refused(strict, async () => (await peer.respond(request, forged)).sent, 'signature-invalid');
  assert.equal(await stateOf(strict, id), 'request');
  await peer.respond(request, {}, { signer: key });
  await strict.event('connections', isActive(id), 'the connection');
});

// -- acknowledgements -------------------------------------------------------------------------------------------------------------------------------------

test('[S2-108] the responder is complete by the acknowledgement, not before', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, offer } = await offerOf(agent);
  const link = await peer.response(await peer.request(offer));
  assert.equal((await agent.get(`/connections/${id}`)).rfc23_state, 'response-sent');
  silent(await peer.acknowledge(link));
  assert.equal((await agent.get(`/connections/${id}`)).rfc23_state, 'completed');
});

test('[S2-109] [S2-112] our acknowledgement is named by the DID of its request, and says "success" in 9 bytes', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { link } = await peerOffers(agent, peer);
  const [request] = mails(peer, 'connection_request') as [Json];
  const [acknowledgement] = mails(peer, 'connection_acknowledgement') as [Json];
  assert.equal(acknowledgement.id, request.message.did);
  const { bytes } = unauth(link.mine, bytesOf(acknowledgement.message));
  assert.deepEqual([Buffer.from(bytes).toString(), bytes.length], ['"success"', 9]);
});

test('[S2-112] success is understood with and without quotes and in any case, and nothing else is', async () => {
  const agent = await alice();
  const peer = await startPeer();
  for (const text of ['"success"', 'success', '"Success"', 'SUCCESS']) {
    const { id, offer } = await offerOf(agent);
    const link = await peer.response(await peer.request(offer));
    for (const wrong of text === 'success' ? ['"failure"', 'successful', '""', '{"success":true}', 'no success'] : [])
      await refused(agent, () => peer.acknowledge(link, { inside: wrong }), 'malformed', wrong);
    assert.equal(await stateOf(agent, id), 'response');
    silent(await peer.acknowledge(link, { inside: text }));
    assert.equal(await stateOf(agent, id), 'active', text);
  }
});

test('[S2-111] [D-02] acknowledgements of the vectors: both false ones are refused, the true one completes', async () => {
  const { agent, id } = await lazyAlice();
  const peer = await startPeer();
  const post = (payload: string) => peer.post(agent.inbound, payload, 'text/plain');
  await refused(agent, () => post(vector('NEGATIVE_ack_sender_not_pairwise').payload_base64), 'sender-mismatch');
  await refused(agent, () => post(vector('NEGATIVE_ack_sender_claimed').payload_base64), 'not-opened');
  assert.equal(await stateOf(agent, id), 'response');
  silent(await post(vector('connection_acknowledgement').payload_base64));
  assert.equal(await stateOf(agent, id), 'active');
});

test('[S2-114] every message out of its order changes nothing', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const places: {
    name: string;
    id: string;
    state: string;
    acts: [string, () => Promise<{ status: number; body: string }>, string | null][];
  }[] = [];
  const to = await contact(agent);
  const offered = await offerOf(agent, { auto_accept: false });
  const key = makeKey();
  const link = (theirs: { did: string; verkey: string }, mine = key): Link => ({ mine, theirs, to, profile: 'spec' });
  const asRequest = (nonce: string) => ({ base: {}, nonce, requester: { did: key.did, verkey: key.verkey }, to });
  const offerAs = (id: string) => () => peer.sendOffer(to, { ...peer.offer({ offer_nonce: id }), id });
  const respondTo =
    (nonce: string, requester = key as { did: string; verkey: string }) =>
    async () =>
      (await peer.respond({ ...asRequest(nonce), requester })).sent;
  const requestAs = (id: string) => async () => (await peer.request(to, {}, { id })).sent;

  // ours was offered: an offer, a response and an acknowledgement are not what it waits for
  places.push({
    name: 'offer sent',
    id: offered.id,
    state: 'invitation',
    acts: [
      ['offer', offerAs(offered.offer.id), 'out-of-order'],
      ['response', respondTo(offered.offer.id), null],
      ['acknowledgement', () => peer.acknowledge(link({ did: 'x', verkey: makeKey().verkey }), { id: offered.offer.id }), null],
    ],
  });
  // it was requested, and waits for its controller
  const requested = await offerOf(agent, { auto_accept: false });
  const pending = await peer.request(requested.offer);
  places.push({
    name: 'request received',
    id: requested.id,
    state: 'request',
    acts: [
      ['offer', offerAs(requested.offer.id), 'out-of-order'],
      ['another request', requestAs(requested.offer.id), 'out-of-order'],
      ['response', respondTo(pending.nonce), null],
      ['acknowledgement', () => peer.acknowledge(link({ did: 'x', verkey: makeKey().verkey }, pending.key)), null],
    ],
  });
  // complete, as the one that offered
  const first = await agentOffers(agent, peer);
  const { invitation_msg_id: used } = await agent.get(`/connections/${first.id}`);
  places.push({
    name: 'complete, as the offerer',
    id: first.id,
    state: 'active',
    acts: [
      ['offer', offerAs(used), 'out-of-order'],
      ['another request', requestAs(used), 'out-of-order'],
      ['response', respondTo(first.link.mine.did, first.link.theirs), 'out-of-order'],
      ['another acknowledgement', () => peer.acknowledge(first.link), 'out-of-order'],
    ],
  });
  // an offer was received, and waits for its controller
  const mine = peer.offer();
  const got = await agent.post('/legacy/connections/receive-offer', { offer: mine, auto_accept: false });
  places.push({
    name: 'offer received',
    id: got.connection_id,
    state: 'invitation',
    acts: [
      ['the offer again', () => peer.sendOffer(to, mine), 'out-of-order'],
      ['request', requestAs(mine.id), 'out-of-order'],
      ['response', respondTo(mine.id), null],
      ['acknowledgement', () => peer.acknowledge(link({ did: 'x', verkey: makeKey().verkey })), null],
    ],
  });
  // requested by us
  const next = peer.offer();
  const asked = await agent.post('/legacy/connections/receive-offer', { offer: next });
  const request = await peer.requested(next);
  places.push({
    name: 'request sent',
    id: asked.connection_id,
    state: 'request',
    acts: [
      ['the offer again', () => peer.sendOffer(to, next), 'out-of-order'],
      ['request', requestAs(request.nonce), 'out-of-order'],
      ['acknowledgement', () => peer.acknowledge(link(request.requester), { id: request.nonce }), 'sender-mismatch'],
    ],
  });
  // complete, as the one that requested
  const last = await peerOffers(agent, peer);
  const { request_id: answered } = await agent.get(`/connections/${last.id}`);
  places.push({
    name: 'complete, as the requester',
    id: last.id,
    state: 'active',
    acts: [
      ['response', respondTo(last.link.mine.did, last.link.theirs), 'out-of-order'],
      ['request', requestAs(answered), 'out-of-order'],
      ['acknowledgement', () => peer.acknowledge(last.link), 'out-of-order'],
    ],
  });
  for (const { name, id, state, acts } of places) {
    const before = await agent.get(`/connections/${id}`);
    assert.equal(before.state, state, name);
    const sent = peer.inbox.list.length;
    for (const [what, act, reason] of acts) {
      if (reason === null) await uncounted(agent, act, 'refused_2018_unknown_id', `${name}: ${what}`);
      else await refused(agent, act, reason, `${name}: ${what}`);
    }
    assert.deepEqual(await agent.get(`/connections/${id}`), before, name);
    assert.equal(peer.inbox.list.length, sent, name);
  }
  assert.ok((await counted(agent, 'refused_out_of_order')) > 0);
});
