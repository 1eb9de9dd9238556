import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pack } from '../../src/didcomm/envelope-v1.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { sodium } from '../../src/didcomm/sodium.ts';
import { id2018 } from '../../src/kernel/key-owners.ts';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';
import {
  type Json,
  type Key2018,
  makeKey,
  type Offer,
  type Peer2018,
  proofRequest,
  randomNonce,
  seal,
  startPeer2018,
  typeOf,
} from '../support/peer-2018.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';
import { type Inside, startInside } from './inside.ts';
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
} from './support.ts';

/** Requirement rows S2-01, S2-02 and S2-83, and the derived ones that are about the agent as a whole. */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const world = createWorld();
after(() => world.close());

async function startPeer(): Promise<Peer2018> {
  const peer = await startPeer2018();
  world.defer(peer.close);
  return peer;
}
const alice = lazy(() => world.start('alice', { flags: ['--legacy', 'on'] }));
const inside = lazy(async (): Promise<Inside> => {
  const made = await startInside(Array.from({ length: 20 }, (_none, i) => `tenant-${i}`));
  world.defer(made.close);
  return made;
});
const isActive = (id: string) => (one: Body) => one.connection_id === id && one.state === 'active';

/** A request for an offer, as the scripted peer makes it, without a network. */
function requestFor(offer: { id: string }, more: Json = {}): { key: Key2018; nonce: string; base: Json } {
  const [key, endpoint, nonce] = [makeKey(), makeKey(), randomNonce()];
  const where = { endpoint_did: endpoint.did, endpoint_verkey: endpoint.verkey, endpoint: 'http://127.0.0.1:9/' };
  const message = { did: key.did, nonce, request_nonce: nonce, verkey: key.verkey, ...where, ...more };
  return { key, nonce, base: { id: offer.id, type: typeOf('connection_request'), message } };
}

test('[S2-01] an agent works by messages and keeps what they made: a connection outlives a restart', async () => {
  const first = await world.start('lasting', {});
  const peer = await startPeer();
  const { id, link } = await agentOffers(first, peer);
  const before = await first.get(`/connections/${id}`);
  await first.stop();
  const port = Number(new URL(first.inbound).port);
  const again = await world.start('lasting', { store: first.store, port, receiver: first.receiver });
  assert.deepEqual(await again.get(`/connections/${id}`), before);
  silent(await peer.say(link, 'proof_request', proofRequest(['name'])));
  await again.event('present_proof_v2_0', (one) => one.connection_id === id && one.state === 'request-received', 'the message');
});

test('[S2-02] the identity that controls the agent is asked: nothing is answered before it says so', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, offer } = await offerOf(agent, { auto_accept: false });
  const pending = await peer.request(offer);
  assert.equal((await agent.get(`/connections/${id}`)).rfc23_state, 'request-received');
  await agent.event('connections', (one) => one.connection_id === id && one.state === 'request', 'the request');
  assert.deepEqual(await agent.states('connections', id), ['invitation', 'request']);
  // another connection runs to its end meanwhile: what was to be said without being asked would be there by then
  await agentOffers(agent, peer);
  assert.ok(!peer.inbox.list.some(({ base }) => base.id === pending.nonce));
  await agent.post(`/legacy/connections/${id}/accept-request`);
  await peer.acknowledge(await peer.response(pending));
  await agent.event('connections', isActive(id), 'the connection');
  // and the same of an offer
  const theirs = peer.offer();
  const got = await agent.post('/legacy/connections/receive-offer', { offer: theirs, auto_accept: false });
  assert.equal(got.rfc23_state, 'invitation-received');
  const meanwhile = await peerOffers(agent, peer);
  assert.ok(!peer.inbox.list.some(({ base }) => base.id === theirs.id), meanwhile.id);
  await agent.post(`/legacy/connections/${got.connection_id}/accept-offer`);
  await peer.connect(theirs);
});

test('[S2-83] twenty offers of twenty tenants, requested in any order: each request lands at its tenant', async () => {
  const { offer, receive, connection, connections: of, endpoint } = await inside();
  const offers = await Promise.all(
    Array.from({ length: 20 }, async (_none, i) => ({ tenant: `tenant-${i}`, ...(await offer(`tenant-${i}`)) })),
  );
  assert.deepEqual(new Set(offers.map((one) => one.offer.message.verkey)), new Set([endpoint.verkey]), 'all by one endpoint');
  const requests = offers.map((one) => ({ ...one, ...requestFor(one.offer) })).sort(() => randomInt(3) - 1);
  assert.deepEqual(new Set(await Promise.all(requests.map(({ base }) => receive(base)))), new Set([undefined]));
  for (const { tenant, id, key } of requests) {
    const { state, value } = await connection(tenant, id);
    assert.deepEqual([state, value.their_did], ['request', key.did]);
    assert.equal((await of(tenant)).length, 1);
  }
});

test('[D-01] such messages come by the one path that DIDComm comes by', async () => {
  const calls = (pattern: RegExp): string[] =>
    globSync('src/**/*.ts', { cwd: ROOT })
      .filter((file) => !file.endsWith('.test.ts'))
      .flatMap((file) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(pattern)].map(() => file.replaceAll('\\', '/')));
  assert.deepEqual(calls(/\bawait httpInbound\(/g), ['src/network.ts'], 'one listener');
  assert.deepEqual(new Set(calls(/\bopen2018\(/g)), new Set(['src/agent-2018/format.ts']), 'one door behind it');
  assert.deepEqual(calls(/\bformat\.open\(/g), ['src/kernel/inbound.ts'], 'and one dispatcher');
  const agent = await alice();
  const [peer, stranger] = [await startPeer(), await startStranger()];
  world.defer(stranger.close);
  const before = await counted(agent, 'messages_received');
  const { link } = await peerOffers(agent, peer);
  const didcomm = await connectStranger(agent, stranger);
  assert.equal(link.to.endpoint, agent.inbound);
  assert.ok((await didcomm.send(message('https://didcomm.org/trust_ping/1.0/ping'))).status < 300);
  assert.ok((await counted(agent, 'messages_received')) >= before + 3);
});

test('[D-04] a verkey that the ledger contradicts is refused', async () => {
  const devnet = await world.devnet();
  const agent = await world.start('anchored', { devnet, flags: ['--legacy', 'on', '--auto-accept-requests'] });
  const peer = await startPeer();
  const did = await publish(devnet, peer.endpoint, peer.self.endpoint);
  const forged = peer.offer({ did, verkey: makeKey().verkey });
  const answer = await agent.call('POST', '/legacy/connections/receive-offer', { offer: forged });
  assert.deepEqual([answer.status, /endpoint-key-mismatch/.test(answer.text)], [400, true], answer.text);
  assert.equal(await connections(agent), 0);
  // the same of a request, for both keys that it tells; its offer is not used up
  const { id, offer } = await offerOf(agent);
  const ask = async (more: Json, reason: string): Promise<void> => {
    await refused(agent, async () => (await peer.request(offer, more)).sent, reason);
    assert.equal(await stateOf(agent, id), 'invitation');
  };
  await ask({ endpoint_did: did, endpoint_verkey: makeKey().verkey }, 'endpoint-key-mismatch');
  await ask({ did }, 'requester-key-mismatch');
  const right = peer.offer({ did });
  const got = await agent.post('/legacy/connections/receive-offer', { offer: right });
  assert.equal(got.legacy.trust, 'ledger');
  await peer.accept(offer, { endpoint_did: did });
});

test('[D-05] a DID without a method is of its verkey, in an offer, a request and a response', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const forged = peer.offer({ verkey: makeKey().verkey });
  const answer = await agent.call('POST', '/legacy/connections/receive-offer', { offer: forged });
  assert.deepEqual([answer.status, /endpoint-key-mismatch/.test(answer.text)], [400, true], answer.text);
  const { id, offer } = await offerOf(agent);
  const ask = (more: Json, reason: string) => refused(agent, async () => (await peer.request(offer, more)).sent, reason);
  await ask({ verkey: makeKey().verkey }, 'requester-key-mismatch');
  await ask({ verkey: undefined }, 'requester-key-unknown');
  await ask({ endpoint_verkey: makeKey().verkey }, 'endpoint-key-mismatch');
  assert.equal(await stateOf(agent, id), 'invitation');
  const mine = peer.offer();
  const { connection_id } = await agent.post('/legacy/connections/receive-offer', { offer: mine, auto_accept: true });
  const request = await peer.requested(mine);
  await refused(agent, async () => (await peer.respond(request, { verkey: makeKey().verkey })).sent, 'responder-key-mismatch');
  assert.equal(await stateOf(agent, connection_id), 'request');
});

test('[D-06] a known key costs a stranger as much as an unknown one: the same answers, calls of the store and decryptions', async () => {
  const work: string[] = [];
  const kernel = await startInside(['one'], (call) => work.push(call));
  world.defer(kernel.close);
  const undo = watchDecryption((name) => work.push(name));
  try {
    const { offer } = await kernel.offer('one');
    const [pairwise, theirs] = [makeKey(), makeKey()];
    const value = { invitation_mode: 'once', protocol: 'connection-2018', my_verkey: pairwise.verkey, their_did: theirs.did } as const;
    await kernel.db.store.commit('one', {
      keys: [{ kid: pairwise.verkey, type: 'ed25519', secret: Buffer.from(pairwise.secret) }],
      keyOwners: ['their DID', 'a nonce'].map((name) => ({
        kid: id2018(name),
        tenant: 'one',
        kind: 'connection',
        target: 'the connection',
      })),
      records: [{ category: 'connection', id: 'the connection', expect: 0, state: 'active', role: 'inviter', value: value as never }],
    });
    const key = await kernel.keyOf('one');
    const junk = (): string => randomBytes(120).toString('base64');
    const request = (id: string) => () =>
      kernel.receive({ id, type: typeOf('connection_request'), message: { did: 'x', nonce: 'one', request_nonce: 'another' } });
    const sealed =
      (id: string, name: Parameters<typeof typeOf>[0], message: Json = junk()) =>
      () =>
        kernel.receive({ id, type: typeOf(name), message });
    const stranger = newKeyPair();
    const ping = (verkey: string, sender?: typeof stranger) =>
      JSON.parse(
        pack({
          message: JSON.stringify({ '@type': 'https://didcomm.org/trust_ping/1.0/ping', '@id': randomNonce() }),
          recipients: [verkey],
          sender,
        }),
      );
    const post = (envelope: Json) => kernel.receiveRaw(Buffer.from(JSON.stringify(envelope)));
    /** An envelope whose seal was made for another key. */
    const broken = (verkey: string, sender?: typeof stranger): Json => {
      const other = newKeyPair().verkey;
      const envelope = ping(other, sender);
      const head = Buffer.from(envelope.protected, 'base64url').toString().replace(other, verkey);
      return { ...envelope, protected: Buffer.from(head).toString('base64url') };
    };
    const nobody = newKeyPair().verkey;
    const cases: Record<string, readonly [known: () => Promise<unknown>, unknown: () => Promise<unknown>]> = {
      'a request by the nonce of an offer': [request(offer.id), request('0'.repeat(32))],
      'a request by the DID of a peer': [request('their DID'), request('nobody')],
      'a request whose content is none': [sealed('their DID', 'connection_request', 'x'), sealed('nobody', 'connection_request', 'x')],
      'an acknowledgement by the DID of a peer': [
        sealed('their DID', 'connection_acknowledgement'),
        sealed('nobody', 'connection_acknowledgement'),
      ],
      'a response by a nonce': [sealed('a nonce', 'connection_response'), sealed('no nonce', 'connection_response')],
      'content that is not sealed at all': [sealed('their DID', 'proof', { x: 1 }), sealed('nobody', 'proof', { x: 1 })],
      'a message of a type that nobody knows': [sealed('their DID', 'proof', 'x'), sealed('nobody', 'proof', 'x')],
      'DIDComm, authenticated, of a stranger': [() => post(ping(key, stranger)), () => post(ping(nobody, stranger))],
      'DIDComm, anonymous': [() => post(ping(key)), () => post(ping(nobody))],
      'DIDComm, authenticated, with a seal that is broken': [() => post(broken(key, stranger)), () => post(broken(nobody, stranger))],
      'DIDComm, anonymous, with a seal that is broken': [() => post(broken(key)), () => post(broken(nobody))],
    };
    const done = async (act: () => Promise<unknown>): Promise<string[]> => {
      work.length = 0;
      const refused = await act();
      const seen = [refused === undefined ? 'taken' : refused === 'envelope' ? '400' : '202', ...work];
      await kernel.flush();
      return seen.sort();
    };
    for (const legacy of ['auto', 'on', 'off'] as const) {
      kernel.changed.set('one', { agent2018: legacy });
      for (const [what, [known, unknown]] of Object.entries(cases)) {
        // what keys and routes are remembered
        await done(known);
        const [here, nowhere] = [await done(known), await done(unknown)];
        assert.deepEqual(here, nowhere, `${what}, with ${legacy}`);
        assert.ok(here.includes('202') && here.includes('keyOwner'), here.join());
        assert.ok(!here.includes('commit'), 'what a controller is told is written later');
      }
    }
    assert.ok((await kernel.problems('one')).includes('not-opened'), 'the controller is told');
  } finally {
    undo();
  }
});

/** Is told of each decryption with a key of ours. @returns what ends it */
function watchDecryption(notified: (name: string) => void): () => void {
  const names = [
    'crypto_box_seal_open',
    'crypto_aead_chacha20poly1305_ietf_decrypt_detached',
    'crypto_box_open_easy',
    'crypto_secretbox_open_easy',
  ] as const;
  const before = names.map((name) => [name, sodium[name]] as const);
  for (const [name, call] of before)
    (sodium as unknown as Record<string, unknown>)[name] = (...args: never[]) => {
      // either opens a box; which of them depends on what was seen of the sender before
      notified(name.includes('seal') || name.includes('aead') ? name : 'box');
      return (call as (...args: never[]) => unknown)(...args);
    };
  return () => {
    for (const [name, call] of before) (sodium as unknown as Record<string, unknown>)[name] = call;
  };
}

test('[D-08] size, rate and depth have bounds, before anything is opened', async () => {
  const agent = await world.start('bounded', { flags: ['--legacy', 'on', '--message-rate', '5'] });
  const peer = await startPeer();
  const to = await contact(agent);
  const before = await counted(agent, 'messages_received');
  assert.equal((await peer.post(agent.inbound, 'A'.repeat(5 << 20), 'text/plain')).status, 413);
  const deep = `${'['.repeat(1000)}${']'.repeat(1000)}`;
  const base = `{"id":"${'n'.repeat(32)}","type":"${typeOf('connection_offer')}","message":{"did":${deep}}}`;
  const sealed = Buffer.from(seal(to.verkey, new Uint8Array(Buffer.from(base)))).toString('base64');
  await refused(agent, () => peer.post(agent.inbound, sealed, 'text/plain'), 'malformed');
  const answers = await Promise.all(Array.from({ length: 200 }, () => peer.post(agent.inbound, sealed, 'text/plain')));
  const many = (status: number): number => answers.filter((one) => one.status === status).length;
  assert.equal(many(202) + many(429), 200);
  assert.ok(many(429) >= 100, `${many(429)} were told to slow down`);
  assert.ok(many(202) >= 5, 'a burst is taken');
  assert.deepEqual([await counted(agent, 'messages_received'), await connections(agent)], [before, 0]);
});

test('[D-09] a request does not take over a connection that exists', async () => {
  const agent = await alice();
  const peer = await startPeer();
  const { id, link } = await agentOffers(agent, peer);
  const before = await agent.get(`/connections/${id}`);
  const other = await offerOf(agent, { auto_accept: true });
  const { did, verkey } = link.mine;
  await refused(agent, async () => (await peer.request(other.offer, { did, verkey })).sent, 'did-in-use');
  await refused(agent, async () => (await peer.request(other.offer, { did: `did:sov:${did}`, verkey })).sent, 'did-in-use');
  assert.deepEqual([await agent.get(`/connections/${id}`), await stateOf(agent, other.id)], [before, 'invitation']);
  silent(await peer.say(link, 'proof_request', proofRequest(['name'])));
  await agent.event('present_proof_v2_0', (one) => one.connection_id === id, 'the connection still works');
});

test('[D-10] a connection of DIDComm is not reached by such messages, not even with the keys of its peer', async () => {
  const agent = await alice();
  const [peer, stranger] = [await startPeer(), await startStranger()];
  world.defer(stranger.close);
  const to = await contact(agent);
  const didcomm = await connectStranger(agent, stranger);
  const keys = { verkey: stranger.pair.verkey, secret: new Uint8Array(stranger.pair.secretKey) };
  // one more, whose DIDs look like those of 2018: of connections 1.0
  const other = await world.start('other', {});
  const made = await agent.post('/connections/create-invitation?auto_accept=true', {});
  await other.post('/connections/receive-invitation?auto_accept=true', made.invitation);
  await agent.event('connections', (one) => one.connection_id === made.connection_id && ['response', 'active'].includes(one.state), 'it');
  await other.event('connections', (one) => one.invitation_key === made.invitation.recipientKeys[0] && one.state === 'active', 'it');
  for (const [id, mine, theirs] of [
    [didcomm.id, keys, didcomm.to.verkey],
    [made.connection_id, makeKey(), makeKey().verkey],
  ] as const) {
    const before = await agent.get(`/connections/${id}`);
    assert.ok(before.their_did && before.my_did);
    const link = { mine: { ...mine, did: before.their_did }, theirs: { did: before.my_did, verkey: theirs }, to, profile: 'spec' as const };
    for (const name of ['connection_acknowledgement', 'proof_request'] as const)
      for (const from of [before.their_did, before.my_did])
        await uncounted(agent, () => peer.say(link, name, proofRequest(['name']), { id: from }), 'refused_2018_unknown_id', name);
    assert.deepEqual([(await agent.get(`/connections/${id}`)).their_did, await stateOf(agent, id)], [before.their_did, before.state]);
    const { results } = await agent.get(`/present-proof-2.0/records?connection_id=${id}`);
    assert.equal(results.length, 0);
  }
});

/** What an agent discloses that it speaks. */
const features = async (agent: TestAgent): Promise<string[]> =>
  (await agent.get('/discover-features-2.0/queries?query_protocol=*')).disclosures.disclosures.map((one: Json) => String(one.id));

test('[D-11] it can be switched off, for the process and for a tenant', async () => {
  const peer = await startPeer();
  const off = await world.start('off', { flags: ['--legacy', 'off'] });
  const on = await alice();
  const to = await contact(on);
  for (const form of ['text', 'json', 'raw'] as const)
    assert.equal((await peer.send({ ...to, endpoint: off.inbound }, peer.offer(), { form })).status, 400, form);
  assert.equal((await off.call('GET', '/legacy/endpoint')).status, 404);
  for (const [method, path, body] of [
    ['POST', '/legacy/connections/offers', {}],
    ['POST', '/legacy/connections/receive-offer', { offer: peer.offer() }],
    ['POST', '/legacy/connections/requests', { did: 'x' }],
  ] as const)
    assert.equal((await off.call(method, path, body)).status, 400, path);
  assert.equal(await connections(off), 0);
  const urns = (all: string[]): string[] => all.filter((one) => one.startsWith('urn:'));
  assert.deepEqual([urns(await features(off)).length, urns(await features(on)).length > 0], [0, true]);

  // one tenant has it off, another has not
  const kernel = await inside();
  const [one, other] = [await kernel.offer('tenant-0'), await kernel.offer('tenant-1')];
  kernel.changed.set('tenant-0', { agent2018: 'off' });
  try {
    assert.equal(await kernel.receive(requestFor(one.offer).base), '2018_unknown_id', 'as an offer that nobody has');
    assert.equal((await kernel.connection('tenant-0', one.id)).state, 'invitation');
    await assert.rejects(kernel.offer('tenant-0'), /is off/);
    assert.equal(await kernel.receive(requestFor(other.offer).base), undefined);
    assert.equal((await kernel.connection('tenant-1', other.id)).state, 'request');
  } finally {
    kernel.changed.clear();
  }
  assert.equal(await kernel.receive(requestFor(one.offer).base), undefined);
});

test('[D-14] nonces have 128 random bits, expire, and are used once', async () => {
  const kernel = await inside();
  const tenant = 'tenant-7';
  const nonces = await Promise.all(Array.from({ length: 30 }, async () => (await kernel.offer(tenant)).offer.id));
  const agent = await alice();
  const peer = await startPeer();
  const requests: string[] = [];
  for (let i = 0; i < 30; i++) {
    const offer = peer.offer();
    await agent.post('/legacy/connections/receive-offer', { offer, auto_accept: true });
    requests.push((await peer.requested(offer)).nonce);
  }
  for (const set of [nonces, requests]) {
    for (const nonce of set) assert.match(nonce, /^[0-9a-f]{32}$/);
    const bits = set.map((nonce) => BigInt(`0x${nonce}`));
    // each bit is 0 in one and 1 in another, all but certainly
    for (let bit = 0n; bit < 128n; bit++) assert.equal(new Set(bits.map((one) => (one >> bit) & 1n)).size, 2, `bit ${bit}`);
  }
  const use = async (one: { id: string; offer: Offer }) => {
    const refusal = await kernel.receive(requestFor(one.offer).base);
    return [refusal, (await kernel.connection(tenant, one.id)).state, (await kernel.problems(tenant)).at(-1)];
  };
  const [late, soon] = [await kernel.offer(tenant), await kernel.offer(tenant, { expires_in: 60 })];
  const start = kernel.now;
  kernel.now = start + 61_000;
  assert.deepEqual(await use(soon), ['step_refused', 'invitation', 'offer-expired']);
  kernel.now = start + 7 * 86_400_000 + 1;
  assert.deepEqual(await use(late), ['step_refused', 'invitation', 'offer-expired']);
  kernel.now = start + 7 * 86_400_000 - 1;
  assert.deepEqual((await use(late)).slice(0, 2), [undefined, 'request']);
  assert.deepEqual(await use(late), ['step_refused', 'request', 'out-of-order']);
});

test('[D-18] the cryptography of the codec is that of libraries', () => {
  const seen = new Set<string>();
  const outside = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const pattern of [/^(?:import|export)(?! type)(?:[^'"]*?from)?\s*'([^']+)'/gm, /(?<!typeof )\bimport\('([^']+)'\)/g])
      for (const [, from] of text.matchAll(pattern)) {
        if (from!.startsWith('.')) visit(relative(ROOT, join(ROOT, dirname(file), from!)));
        else outside.add(from!);
      }
  };
  visit('src/didcomm/envelope-2018.ts');
  assert.ok(seen.size > 4, 'its own files were read');
  // libsodium in both of its builds, MessagePack, and two that know nothing of secrets: base58 and what text is
  assert.deepEqual([...outside].sort(), ['@msgpack/msgpack', '@scure/base', 'libsodium-wrappers', 'node:buffer', 'sodium-native']);
});
