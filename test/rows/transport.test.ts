import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sodium from 'libsodium-wrappers';
import { openAnon, packBase, parseBase, payloadOf } from '../../src/didcomm/envelope-2018.ts';
import { createWorld, type TestAgent } from '../support/agents.ts';
import {
  base58,
  type Json,
  makeKey,
  type Peer2018,
  PeerRefused,
  proofRequest,
  startPeer2018,
  typeOf,
  unbase58,
  unseal,
} from '../support/peer-2018.ts';
import {
  agentOffers,
  connections,
  contact,
  counted,
  later,
  lazy,
  offerOf,
  peerOffers,
  publish,
  refused,
  silent,
  stateOf,
  TRANSCRIPT,
  vectorKey,
} from './support.ts';

/** Requirement rows S2-58 to S2-69: packing, unpacking, Endpoint DIDs, the base message. */

const world = createWorld();
after(() => world.close());

/** A plug-in of another organisation: one message on a connection, one that anybody may send, without `message`. */
const CHESS = `import { connection } from '${new URL('../../src/records/connection.ts', import.meta.url).href}';
export default ({ definePlugin, defineProtocol, Type }) => definePlugin({
  name: 'chess',
  protocols: [defineProtocol({
    name: 'chess-1.0', uris: ['urn:indy:sov:agent:message_type:example.org/chess/1.0'], binds: connection, stateless: true,
    messages: {
      move: { schema: Type.Object({ move: Type.String() }), from: '*',
        step: (ctx, message) => ({ emit: [{ topic: 'chess', payload: { connection_id: ctx.connection.id, move: message.body.move } }] }) },
      challenge: { schema: Type.Object({}), from: '*', inner: 'clear', handshake: true,
        step: (_ctx, message) => ({ emit: [{ topic: 'chess', payload: { id: message.thid, challenge: true } }] }) },
    },
  })],
});`;

const CHESS_TYPE = 'urn:indy:sov:agent:message_type:example.org/chess/1.0/';

async function startPeer(): Promise<Peer2018> {
  const peer = await startPeer2018();
  world.defer(peer.close);
  return peer;
}
const bob = lazy(startPeer);
/** Takes offers and requests of strangers, and knows chess. */
const alice = lazy(async () => {
  const path = join(world.folder, 'chess.mjs');
  writeFileSync(path, CHESS);
  return await world.start('alice', { flags: ['--legacy', 'on', '--plugin', path] });
});

/** Posts a payload as it is. */
const post = async (agent: TestAgent, payload: string | Uint8Array, type?: string) =>
  (await bob()).post(agent.inbound, payload, type ?? 'text/plain; charset=us-ascii');

/** An offer of the scripted peer, sealed to an agent, as base64 text. */
async function sealedOffer(agent: TestAgent): Promise<{ nonce: string; text: string }> {
  const offer = (await bob()).offer();
  return { nonce: offer.id, text: packBase((await contact(agent)).verkey, offer) };
}

test('[S2-58] a payload is the sealed base message: by the byte as the vectors have it, and open to another library', async () => {
  await sodium.ready;
  const digest = (text: string): Uint8Array => new Uint8Array(createHash('sha256').update(text).digest());
  /** A sealed box from its parts, with a known ephemeral key. */
  const composed = (verkey: string, bytes: Uint8Array, ephemeral: number): string => {
    const secret = digest(`ephemeral-${ephemeral}`);
    const own = sodium.crypto_scalarmult_base(secret);
    const theirs = sodium.crypto_sign_ed25519_pk_to_curve25519(unbase58(verkey));
    const nonce = sodium.crypto_generichash(24, new Uint8Array([...own, ...theirs]), null);
    return Buffer.concat([own, sodium.crypto_box_easy(bytes, nonce, theirs, secret)]).toString('base64');
  };
  const keys = new Map([vectorKey('alice_endpoint'), vectorKey('bob_endpoint')].map((key) => [key.did, key]));
  const positives = TRANSCRIPT.filter(({ name }) => !name.startsWith('NEGATIVE'));
  assert.equal(positives.length, 5);
  for (const { outer_recipient, base_message, base_message_utf8, payload_base64, outer_ephemeral_index } of positives) {
    const key = keys.get(outer_recipient)!;
    assert.equal(composed(key.verkey, Buffer.from(base_message_utf8), outer_ephemeral_index), payload_base64);
    const packed = packBase(key.verkey, base_message);
    assert.equal(Buffer.from(unseal(key, Buffer.from(packed, 'base64'))).toString(), base_message_utf8);
  }
});

test('[S2-59] a sent message is padded base64 of the standard alphabet, whatever its length', async () => {
  const peer = await startPeer();
  await peerOffers(await alice(), peer);
  await agentOffers(await alice(), peer);
  const bodies = peer.inbox.list.map((mail) => mail.body.toString('latin1'));
  assert.equal(bodies.length, 3, 'a request, an acknowledgement and a response');
  const key = makeKey();
  for (let i = 0; i < 30; i++) bodies.push(packBase(key.verkey, { id: 'x'.repeat(i + 1), type: typeOf('proof'), message: {} }));
  for (const body of bodies) {
    assert.match(body, /^[A-Za-z0-9+/]+={0,2}$/);
    assert.equal(body.length % 4, 0);
  }
  assert.deepEqual([...new Set(bodies.map((body) => /=*$/.exec(body)![0].length))].sort(), [0, 1, 2]);
});

test('[S2-60] base64 is read in the forms that are about; what is none is answered 400', async () => {
  const agent = await alice();
  const forms: [string, (text: string) => string][] = [
    ['standard', (text) => text],
    ['URL-safe', (text) => text.replaceAll('+', '-').replaceAll('/', '_')],
    ['unpadded', (text) => text.replace(/=+$/, '')],
    ['wrapped', (text) => text.replace(/.{76}/g, '$&\r\n')],
  ];
  for (const [name, form] of forms) {
    const { nonce, text } = await sealedOffer(agent);
    const body = form(text);
    if (name !== 'unpadded') assert.ok(name === 'standard' || body !== text);
    silent(await post(agent, body));
    const got = await agent.event('connections', (one) => one.invitation_msg_id === nonce, `the offer in base64 ${name}`);
    assert.equal(got.rfc23_state, 'invitation-received', name);
  }
  const before = await connections(agent);
  for (const wrong of ['*', 'é']) {
    const { text } = await sealedOffer(agent);
    for (const body of [wrong + text.slice(1), text.slice(0, 100) + wrong + text.slice(101)])
      assert.equal((await post(agent, body)).status, 400);
  }
  assert.equal(await connections(agent), before);
});

test('[S2-61] the vectors open to their base messages; one flipped bit is refused with 400 and makes no record', async () => {
  const keys = [vectorKey('alice_endpoint'), vectorKey('bob_endpoint')];
  for (const { outer_recipient, base_message_utf8, payload_base64 } of TRANSCRIPT) {
    const { verkey, secret } = keys.find(({ did }) => did === outer_recipient)!;
    const opened = openAnon({ verkey, secretKey: Buffer.from(secret) }, payloadOf(Buffer.from(payload_base64)));
    assert.equal(opened.toString('utf8'), base_message_utf8);
    assert.equal(parseBase(opened).type, JSON.parse(base_message_utf8).type);
  }
  const agent = await alice();
  const before = [await connections(agent), await counted(agent, 'refused_envelope')];
  const { text } = await sealedOffer(agent);
  const sealed = Buffer.from(text, 'base64');
  const places = [0, 31, 32, 47, 48, 200, sealed.length - 1];
  for (const place of places) {
    const flipped = Buffer.from(sealed);
    flipped[place]! ^= 1 << (place % 8);
    assert.equal((await post(agent, flipped.toString('base64'))).status, 400, `byte ${place}`);
  }
  assert.deepEqual([await connections(agent), await counted(agent, 'refused_envelope')], [before[0], before[1]! + places.length]);
});

test("[S2-62] the Endpoint DID is told, and what goes out is sealed to the peer's", async () => {
  const agent = await alice();
  const { did, verkey, endpoint } = await contact(agent);
  assert.equal(did, base58(unbase58(verkey).subarray(0, 16)));
  assert.equal(endpoint, agent.inbound);
  const peer = await startPeer();
  const { link } = await peerOffers(agent, peer);
  const { link: other } = await agentOffers(agent, peer);
  assert.equal(peer.inbox.list.length, 3);
  for (const mail of peer.inbox.list) {
    assert.equal(mail.reason, undefined);
    const sealed = Buffer.from(mail.body.toString(), 'base64');
    JSON.parse(Buffer.from(unseal(peer.endpoint, sealed)).toString());
    for (const key of [link.mine, other.mine, makeKey()]) assert.throws(() => unseal(key, sealed), PeerRefused);
  }
});

test('[S2-63] an offer with a DID only: its verkey and its endpoint come from the ledger', async () => {
  const devnet = await world.devnet();
  const agent = await world.start('ledger', { devnet });
  const peer = await startPeer();
  const did = await publish(devnet, peer.endpoint, peer.self.endpoint);
  const offer = peer.offer({ did, verkey: undefined, endpoint: undefined });
  const got = await agent.post('/legacy/connections/receive-offer', { offer, auto_accept: true });
  const link = await peer.connect(offer);
  const found = await agent.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'it');
  assert.deepEqual([found.legacy.trust, found.their_did, found.their_public_did], ['ledger', link.mine.did, did]);
});

test('[S2-64] [S2-77] without a ledger they come from the offer itself, or the configuration', async () => {
  const peer = await bob();
  const { did, verkey, endpoint } = peer.self;
  const plain = await world.start('plain', {});
  const { id, link } = await peerOffers(plain, peer);
  assert.equal((await plain.get(`/connections/${id}`)).legacy.trust, 'self-certified');
  const knowing = await world.start('knowing', { flags: ['--legacy-peer', `well-known=${verkey}@${endpoint}`] });
  const configured = await peerOffers(knowing, peer, {}, { did: 'well-known', verkey: undefined, endpoint: undefined });
  assert.equal((await knowing.get(`/connections/${configured.id}`)).legacy.trust, 'configuration');
  // who has shown the key of its connection is known by its Endpoint DID from then on
  const bare = { ...peer.offer(), message: { did, offer_nonce: 'n'.repeat(32) }, id: 'n'.repeat(32) };
  const receive = async (): Promise<number> => (await plain.call('POST', '/legacy/connections/receive-offer', { offer: bare })).status;
  assert.equal(await receive(), 400, 'not before');
  await peer.say(link, 'proof_request', proofRequest(['name']));
  await plain.event('present_proof_v2_0', (one) => one.connection_id === id, 'what it seals');
  assert.equal(await receive(), 200, 'known from the first');
});

test('[S2-65] a request from nowhere is refused, and its offer is not used up', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, offer } = await offerOf(agent, { auto_accept: true });
  const nowhere = { endpoint_did: undefined, endpoint_verkey: undefined, endpoint: undefined };
  const notified = await refused(agent, async () => (await peer.request(offer, nowhere)).sent, 'no-return-endpoint');
  assert.equal(notified.type, typeOf('connection_request'));
  assert.equal(await stateOf(agent, id), 'invitation');
  await peer.accept(offer);
  await agent.event('connections', (one) => one.connection_id === id && one.state === 'active', 'the connection');
});

test('[S2-66] each message has id, type and message and nothing else; one without is dropped with its reason', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, link } = await peerOffers(agent, peer);
  await agentOffers(agent, peer);
  assert.equal(peer.inbox.list.length, 3);
  for (const { base } of peer.inbox.list) assert.deepEqual(Object.keys(base), ['id', 'type', 'message']);
  const to = await contact(agent);
  const offer = peer.offer();
  for (const name of ['id', 'type', 'message']) {
    const { [name]: _left, ...rest } = offer as Json;
    await refused(agent, () => peer.send(to, rest), 'malformed', name);
    const change = (base: Json): Json => ({ ...base, [name]: undefined });
    await refused(agent, () => peer.say(link, 'proof_request', {}, { change }), 'malformed', name);
  }
  const { results } = await agent.get(`/connections?invitation_msg_id=${offer.id}`);
  assert.deepEqual([results.length, await stateOf(agent, id)], [0, 'active']);
});

test('[S2-67] an id is an offer nonce, a request nonce, a pairwise DID or another identifier; else the message is dropped', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const to = await contact(agent);
  // an offer's nonce, then a request's nonce as the id of what begins a connection without one, then a pairwise DID
  const { id: offered, link } = await agentOffers(agent, peer);
  const unasked = await peer.request(to);
  assert.equal(unasked.sent.base.id, unasked.nonce);
  const asked = await agent.event('connections', (one) => one.request_id === unasked.nonce, 'the request without an offer');
  assert.equal(asked.rfc23_state, 'request-received');
  const next = later(agent);
  await peer.say(link, 'proof', { move: 'e4' }, { type: `${CHESS_TYPE}move` });
  assert.deepEqual(await next('chess'), { connection_id: offered, move: 'e4' });
  await peer.send(to, { id: 'whatever else', type: `${CHESS_TYPE}challenge`, message: {} });
  assert.deepEqual(await next('chess', (one) => one.challenge), { id: 'whatever else', challenge: true });
  for (const wrong of [undefined, '', 7, null, { nonce: 'x' }, ['x'], 'x'.repeat(1000)])
    await refused(
      agent,
      () => peer.send(to, { id: wrong, type: `${CHESS_TYPE}challenge`, message: {} }),
      'malformed',
      JSON.stringify(wrong),
    );
});

test('[S2-68] an unknown type changes nothing and is told to the controller', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, link } = await agentOffers(agent, peer);
  const type = typeOf('proof').replace(/proof$/, 'prof');
  const before = await agent.get(`/connections/${id}`);
  const notified = await refused(agent, () => peer.say(link, 'proof', {}, { type }), 'unrecognized-type');
  assert.deepEqual([notified.type, notified.connection_id], [type, id]);
  assert.deepEqual(await agent.get(`/connections/${id}`), before);
});

test('[S2-69] message is required by each of the nine types, and optional where a type says so', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const to = await contact(agent);
  const { link } = await agentOffers(agent, peer);
  const { offer } = await offerOf(agent);
  const waiting = peer.offer();
  await agent.post('/legacy/connections/receive-offer', { offer: waiting, auto_accept: true });
  const request = await peer.requested(waiting);
  const ids = { connection_offer: 'n'.repeat(32), connection_request: offer.id, connection_response: request.nonce } as Record<
    string,
    string
  >;
  for (const name of [
    ...(['connection_offer', 'connection_request', 'connection_response', 'connection_acknowledgement'] as const),
    ...(['credential_offer', 'credential_request', 'credential', 'proof_request', 'proof'] as const),
  ])
    await refused(agent, () => peer.send(to, { id: ids[name] ?? link.mine.did, type: typeOf(name) }), 'malformed', name);
  const next = later(agent);
  silent(await peer.send(to, { id: 'any', type: `${CHESS_TYPE}challenge` }));
  assert.deepEqual(await next('chess'), { id: 'any', challenge: true });
});

test('[S2-74] a type of another organisation reaches the plug-in that registered it', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, link } = await peerOffers(agent, peer);
  const next = later(agent);
  silent(await peer.say(link, 'proof', { move: 'Nf3' }, { type: `${CHESS_TYPE}move` }));
  assert.deepEqual(await next('chess'), { connection_id: id, move: 'Nf3' });
  const without = await world.start('without', {});
  const other = await peerOffers(without, peer);
  await refused(without, () => peer.say(other.link, 'proof', { move: 'Nf3' }, { type: `${CHESS_TYPE}move` }), 'unrecognized-type');
});
