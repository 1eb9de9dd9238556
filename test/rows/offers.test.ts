import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import jsqr from 'jsqr';
import { PNG } from 'pngjs';
import { WebSocket } from 'ws';
import { parseAgent2018Type } from '../../src/didcomm/agent-2018-types.ts';
import { packBase } from '../../src/didcomm/envelope-2018.ts';
import { createWorld, type TestAgent } from '../support/agents.ts';
import { type Json, makeKey, type Offer, type Peer2018, randomNonce, startPeer2018, typeOf } from '../support/peer-2018.ts';
import {
  agentOffers,
  connections,
  contact,
  lazy,
  offerOf,
  peerOffers,
  publish,
  refused,
  silent,
  stateOf,
  vector,
  vectorKey,
  vectorStore,
} from './support.ts';

/** Requirement rows S2-57 and S2-70 to S2-89: transports, types, connection offers. */

const world = createWorld();
after(() => world.close());

async function startPeer(): Promise<Peer2018> {
  const peer = await startPeer2018();
  world.defer(peer.close);
  return peer;
}
/** Takes what nobody asked for. */
const alice = lazy(() => world.start('alice', { flags: ['--legacy', 'on'], webSocket: true }));
const devnet = lazy(() => world.devnet());
const anchored = lazy(async () => world.start('anchored', { devnet: await devnet() }));

/** Sends a frame, and waits until it was handled. */
async function socket(endpoint: string, payload: string | Uint8Array): Promise<void> {
  const ws = new WebSocket(endpoint.replace(/^http/, 'ws'));
  await once(ws, 'open');
  ws.send(payload);
  ws.ping();
  await once(ws, 'pong');
  ws.close();
}

const receive = (agent: TestAgent, offer: Json) => agent.call('POST', '/legacy/connections/receive-offer', { offer });
/** An offer with other members of its message; undefined takes one out. */
const changed = (offer: Offer, more: Json): Json => ({ ...offer, message: { ...offer.message, ...more } });

/** RFC 8141 section 2, without the components that no type here has. */
const URN = /^urn:[a-z0-9][a-z0-9-]{0,30}[a-z0-9]:(?:[a-z0-9\-._~!$&'()*+,;=:@/]|%[0-9a-f]{2})+$/i;
const TYPE = /^urn:indy:sov:agent:message_type:sovrin\.org\/connection\/1\.0\/[a-z_]+$/;

test('[S2-70] types are URNs; a type of DIDComm is none here', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, link } = await agentOffers(agent, peer);
  await peerOffers(agent, peer);
  const { offer } = await offerOf(agent);
  const types = [offer.type, ...peer.inbox.list.map(({ base }) => base.type)];
  assert.equal(types.length, 4);
  for (const type of types) {
    assert.match(type, URN);
    assert.match(type, TYPE);
  }
  const before = peer.inbox.list.length;
  const type = 'https://didcomm.org/trust_ping/1.0/ping';
  const notified = await refused(agent, () => peer.say(link, 'proof', { response_requested: true }, { type }), 'unrecognized-type');
  assert.deepEqual([notified.type, notified.connection_id, peer.inbox.list.length], [type, id, before]);
});

test('[S2-71] a type is prefix, domain, family, version and name; the stray space of the text is tolerated', async () => {
  const word = (pattern: RegExp) => fc.stringMatching(pattern);
  const parts = fc.record({
    nid: word(/^[a-z0-9][a-z0-9-]{0,8}$/),
    nss: word(/^[A-Za-z0-9_.-]{1,8}(:[A-Za-z0-9_.-]{1,8}){0,2}$/),
    domain: word(/^[A-Za-z0-9.-]{1,12}$/),
    family: word(/^[A-Za-z0-9_.-]{1,12}$/),
    major: fc.nat(9999),
    minor: fc.nat(9999),
    name: word(/^[A-Za-z0-9_.-]{1,20}$/),
    space: fc.constantFrom('', ' '),
  });
  fc.assert(
    fc.property(parts, ({ space, ...one }) => {
      const text = `urn:${one.nid}:${one.nss}:message_type:${one.domain}/${space}${one.family}/${one.major}.${one.minor}/${one.name}`;
      assert.deepEqual({ ...parseAgent2018Type(text) }, one);
      for (const wrong of [`x${text}`, `${text}/x`, `${text} `, text.replace('message_type', 'messages'), text.replace('/', '/  ')])
        assert.equal(parseAgent2018Type(wrong), undefined, wrong);
    }),
  );
  const agent = await alice();
  const peer = await startPeer();
  const offer = peer.offer();
  silent(
    await peer.sendOffer(await contact(agent), offer, {
      type: 'ignored',
      change: (base) => ({ ...base, type: base.type.replace('/', '/ ') }),
    }),
  );
  await agent.event('connections', (one) => one.invitation_msg_id === offer.id, 'the offer with a space in its type');
});

test('[S2-72] another major version is refused and changes nothing', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const offer = peer.offer();
  const before = await connections(agent);
  const type = typeOf('connection_offer').replace('1.0', '2.0');
  const to = await contact(agent);
  const notified = await refused(agent, () => peer.send(to, { ...offer, type }), 'unsupported-version');
  assert.equal(notified.type, type);
  assert.equal(await connections(agent), before);
});

test('[S2-73] another minor version is taken, with what it adds', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const offer = changed(peer.offer(), { mood: { good: [true] } });
  silent(await peer.send(await contact(agent), { ...offer, type: typeOf('connection_offer').replace('1.0', '1.7') }));
  const got = await agent.event('connections', (one) => one.invitation_msg_id === offer.id, 'the offer of version 1.7');
  await agent.post(`/legacy/connections/${got.connection_id}/accept-offer`);
  await peer.connect(offer);
  await agent.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the connection');
});

test('[S2-75] [S2-84] an offer has the members that the text prints, and its exact type', async () => {
  const agent = await alice();
  const { offer, made } = await offerOf(agent, { alias: 'bob' });
  assert.deepEqual(Object.keys(offer), ['id', 'type', 'message']);
  assert.equal(offer.type, 'urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/connection_offer');
  const { did, verkey, endpoint, offer_nonce, ...more } = offer.message;
  assert.deepEqual({ did, verkey, endpoint }, await contact(agent));
  assert.equal(offer_nonce, offer.id);
  assert.deepEqual(Object.keys(more).sort(), ['label', 'offer_verkey'], 'extensions that a peer may ignore');
  assert.equal((await agent.get(`/connections/${made.connection_id}`)).rfc23_state, 'invitation-sent');
  const peer = await startPeer();
  peer.readOffer(offer);
});

test('[S2-76] no offer is needed where the DID is on the ledger', async () => {
  const agent = await anchored();
  const peer = await startPeer();
  const did = await publish(await devnet(), peer.endpoint, peer.self.endpoint);
  const [made, link] = await Promise.all([agent.post('/legacy/connections/requests', { did }), peer.connect()]);
  const done = await agent.event('connections', (one) => one.connection_id === made.connection_id && one.state === 'active', 'it');
  assert.deepEqual([done.their_did, done.their_public_did, done.legacy.trust], [link.mine.did, did, 'ledger']);
  const unknown = `${did.slice(0, -64)}${'00'.repeat(32)}`;
  assert.equal((await agent.call('POST', '/legacy/connections/requests', { did: unknown })).status, 400);
});

test('[S2-78] an endpoint may be an object, and is emitted as text', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { verkey, endpoint } = peer.self;
  await peerOffers(agent, peer, {}, { endpoint: { url: endpoint } });
  await peerOffers(agent, peer, {}, { endpoint: { url: endpoint, verkey }, verkey: undefined });
  const { offer } = await offerOf(agent, { auto_accept: true });
  assert.equal(offer.message.endpoint, agent.inbound);
  const pending = await peer.request(offer, { endpoint: { url: endpoint, verkey }, endpoint_verkey: undefined });
  await peer.response(pending);
  for (const { base } of peer.inbox.list.filter(({ base }) => base.type === typeOf('connection_request')))
    assert.equal(base.message.endpoint, agent.inbound);
});

test('[S2-80] the sealed offer of the vectors is received by the agent whose endpoint key it is sealed to', async () => {
  const { outer_recipient, payload_base64, base_message } = vector('connection_offer');
  const bob = vectorKey('bob_endpoint');
  assert.equal(outer_recipient, bob.did);
  const { path } = await vectorStore(join(world.folder, 'offer-bob.db'), bob);
  const agent = await world.start('bob', { store: path, flags: ['--legacy', 'on'] });
  const peer = await startPeer();
  silent(await peer.post(agent.inbound, payload_base64, 'text/plain'));
  const got = await agent.event('connections', (one) => one.invitation_msg_id === base_message.id, 'the offer');
  assert.deepEqual([got.rfc23_state, got.invitation_key], ['invitation-received', base_message.message.verkey]);
  assert.equal((await peer.post((await alice()).inbound, payload_base64, 'text/plain')).status, 400, 'nobody else opens it');
});

test('[S2-82] a request with the id of an offer belongs to that offer', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const [one, other] = [await offerOf(agent, { alias: 'one' }), await offerOf(agent, { alias: 'other' })];
  const pending = await peer.request(other.offer);
  const got = await agent.get(`/connections/${other.id}`);
  assert.deepEqual([got.state, got.alias, got.request_id, got.their_did], ['request', 'other', pending.nonce, pending.key.did]);
  assert.equal(await stateOf(agent, one.id), 'invitation');
});

test('[S2-85] the message of an offer is an object in clear', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const to = await contact(agent);
  const offer = peer.offer();
  const before = await connections(agent);
  for (const message of [JSON.stringify(offer.message), [offer.message], 'AAAA', null, 7]) {
    await refused(agent, () => peer.send(to, { ...offer, message }), 'malformed', JSON.stringify(message));
    assert.equal((await receive(agent, { ...offer, message } as Json)).status, 400);
  }
  assert.equal(await connections(agent), before);
});

/** Offers that are wrong: what is wrong with them, and what both ways to import them say. */
async function refusedBothWays(more: Json, reason: RegExp, notified: string, id?: string): Promise<void> {
  const agent = await alice();
  const peer = await startPeer();
  const offer = changed(peer.offer(), more);
  if (id !== undefined) offer.id = id;
  const before = await connections(agent);
  const answer = await receive(agent, offer);
  assert.equal(answer.status, 400);
  assert.match(answer.text, reason);
  const to = await contact(agent);
  await refused(agent, () => peer.send(to, offer), notified);
  assert.equal(await connections(agent), before);
}

test('[S2-86] an offer without its did is refused', () => refusedBothWays({ did: undefined }, /no did/, 'malformed'));

test('[S2-87] an offer needs a verkey where its DID tells none', async () => {
  const stranger = makeKey().did;
  await refusedBothWays({ did: stranger, verkey: undefined }, /endpoint-key-unknown/, 'endpoint-key-unknown');
});

test('[S2-88] an offer needs an endpoint where its DID tells none', () =>
  refusedBothWays({ endpoint: undefined }, /endpoint-unknown/, 'endpoint-unknown'));

test('[S2-87] [S2-88] a DID of the ledger that has no endpoint: the offer tells it, or is refused; its key is that of the ledger', async () => {
  const agent = await anchored();
  const peer = await startPeer();
  const did = await publish(await devnet(), peer.endpoint);
  const answer = await receive(agent, changed(peer.offer({ did, verkey: undefined }), { endpoint: undefined }));
  assert.equal(answer.status, 400);
  assert.match(answer.text, /endpoint-unknown/);
  const { id } = await peerOffers(agent, peer, {}, { did, verkey: undefined });
  const made = await agent.get(`/connections/${id}`);
  assert.deepEqual([made.state, made.legacy.trust, made.their_public_did], ['active', 'ledger', did]);
});

test('[S2-87] [S2-88] an inline endpoint goes with an inline key: of neither nor of one alone is a DID that the ledger does not have taken', async () => {
  const agent = await anchored();
  const peer = await startPeer();
  for (const [more, reason] of [
    [{ verkey: undefined }, /endpoint-key-unknown/],
    [{ endpoint: undefined }, /endpoint-unknown/],
    [{ verkey: undefined, endpoint: undefined }, /endpoint-(key-)?unknown/],
  ] as const) {
    const answer = await receive(
      agent,
      changed(peer.offer({ did: makeKey().did, verkey: undefined }), { ...peer.self, did: peer.self.did, ...more }),
    );
    assert.equal(answer.status, 400);
    assert.match(answer.text, reason);
  }
  const { id } = await peerOffers(agent, peer);
  assert.equal((await agent.get(`/connections/${id}`)).legacy.trust, 'self-certified');
});

test('[S2-89] an offer has its nonce inside, and it is its id', async () => {
  await refusedBothWays({ offer_nonce: undefined }, /no offer_nonce/, 'malformed');
  await refusedBothWays({ offer_nonce: randomNonce() }, /offer-nonce-mismatch/, 'offer-nonce-mismatch');
});

/** What another decoder reads from a picture. */
function readQr(dataUrl: string): string {
  const [head, content] = dataUrl.split(',');
  assert.equal(head, 'data:image/png;base64');
  const { data, width, height } = PNG.sync.read(Buffer.from(content!, 'base64'), { checkCRC: true });
  const found = jsqr.default(new Uint8ClampedArray(data), width, height, { inversionAttempts: 'dontInvert' });
  assert.ok(found, 'no QR code was found in the picture');
  return Buffer.from(found.binaryData).toString('utf8');
}

test('[S2-79] an offer goes by any channel: each form is imported as the same offer', async () => {
  const agent = await alice();
  const { id, offer, made } = await offerOf(agent, { my_label: 'Alice, whose name has an ü' });
  const shown = await agent.get(`/legacy/connections/${id}/offer`);
  assert.deepEqual([shown.offer, shown.offer_text, shown.offer_url], [offer, made.offer_text, made.offer_url]);
  const forms = { object: offer, JSON: JSON.stringify(offer), text: made.offer_text, URL: made.offer_url, QR: readQr(shown.offer_qr) };
  const other = await anchored();
  const seen: Json[] = [];
  for (const [name, given] of Object.entries(forms)) {
    const answer = await other.call('POST', '/legacy/connections/receive-offer', { offer: given });
    assert.equal(answer.status, 200, `${name}: ${answer.text}`);
    const { connection_id, created_at: _at, updated_at: _then, ...rest } = answer.body;
    assert.equal(rest.invitation_msg_id, offer.id);
    seen.push(rest);
    assert.equal((await other.call('DELETE', `/connections/${connection_id}`)).status, 200);
  }
  for (const one of seen) assert.deepEqual(one, seen[0]);
  assert.equal(seen[0].their_label, 'Alice, whose name has an ü');
  assert.match(made.offer_text, /^[A-Za-z0-9_-]+$/);
  assert.match(made.offer_url, /^http:\/\/[^?]+\?c_o=[A-Za-z0-9_-]+$/);
});

/** The relaying app, a process that has no wallet, with a file. */
async function relay(content: string | Uint8Array, ...more: string[]): Promise<{ code: number; err: string }> {
  const file = join(world.folder, `offer-${randomNonce()}`);
  writeFileSync(file, content);
  const args = [fileURLToPath(new URL('../../src/main.ts', import.meta.url)), 'relay-offer', file, ...more];
  return await new Promise((resolve) =>
    execFile(process.execPath, args, { cwd: world.folder }, (error, _out, err) => resolve({ code: Number(error?.code ?? 0), err })),
  );
}

test('[S2-81] a slim app with a file and no wallet hands an offer on', async () => {
  const agent = await alice();
  const { verkey, endpoint } = await contact(agent);
  const { offer, made } = await offerOf(await anchored());
  const before = await connections(agent);
  assert.equal((await relay(made.offer_text, '--to', endpoint, '--verkey', makeKey().verkey)).code, 1, 'sealed to somebody else');
  assert.equal(await connections(agent), before);
  const { code, err } = await relay(made.offer_text, '--to', endpoint, '--verkey', verkey);
  assert.deepEqual([code, err], [0, '']);
  const got = await agent.event('connections', (one) => one.invitation_msg_id === offer.id, 'the relayed offer');
  assert.equal(got.rfc23_state, 'invitation-received');
  assert.deepEqual(
    readdirSync(world.folder).filter((name) => /wallet|store/.test(name)),
    [],
    'it leaves nothing behind',
  );
});

test('[S2-57] the same payload has the same result by HTTP, on a WebSocket and from a file', async () => {
  const agent = await alice();
  const { verkey, endpoint } = await contact(agent);
  const peer = await startPeer();
  const posts: Record<string, (payload: string) => Promise<void>> = {
    text: async (payload) => silent(await peer.post(endpoint, payload, 'text/plain; charset=us-ascii')),
    JSON: async (payload) => silent(await peer.post(endpoint, JSON.stringify({ message: payload }), 'application/json')),
    bytes: async (payload) => silent(await peer.post(endpoint, Buffer.from(payload, 'base64'), 'application/octet-stream')),
    'without a type': async (payload) => silent(await peer.post(endpoint, new Uint8Array(Buffer.from(payload)))),
    'a WebSocket': (payload) => socket(endpoint, payload),
    'a WebSocket, bytes': (payload) => socket(endpoint, Buffer.from(payload, 'base64')),
    'a file': async (payload) => assert.deepEqual(await relay(payload, '--to', endpoint), { code: 0, err: '' }),
    'a file of bytes': async (payload) =>
      assert.deepEqual(await relay(Buffer.from(payload, 'base64'), '--to', endpoint), { code: 0, err: '' }),
  };
  // one payload for each: an offer is taken once, so they differ in their nonce and in nothing else
  const seen: Json[] = [];
  for (const [name, post] of Object.entries(posts)) {
    const offer = peer.offer();
    await post(packBase(verkey, offer));
    const got = await agent.event('connections', (one) => one.invitation_msg_id === offer.id, `the offer by ${name}`);
    const { connection_id: _id, created_at: _at, updated_at: _then, invitation_msg_id: _nonce, ...rest } = got;
    seen.push(rest);
  }
  assert.equal(seen.length, 8);
  for (const one of seen) assert.deepEqual(one, seen[0]);
});
