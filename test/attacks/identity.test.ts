import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { signedAttachment, writeAttachment } from '../../src/didcomm/attachments.ts';
import { verkeyToDidKey } from '../../src/didcomm/encoding.ts';
import { parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { signDecorator } from '../../src/didcomm/signature-decorator.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { createPeer4, resolvePeer } from '../../src/dids/did-peer.ts';
import { ownPeer2 } from '../../src/dids/own-documents.ts';
import { unqualifiedDid } from '../../src/dids/unqualified.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import { type ConnectionValue, connection } from '../../src/records/connection.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { startPeer2018 } from '../support/peer-2018.ts';
import { connectStranger, type Mail, message, type Stranger, serviceOf, startStranger } from '../support/stranger.ts';

/**
 * Whose key is it: a peer that names the keys of others as its own, against each handshake. Bob is an honest peer, Mallory is not; Alice is the agent, and her
 * public DID is what both of them know her by.
 */

const world = createWorld();
let alice: TestAgent;
/** The public DID of Alice: what it is called, and where its mail goes. */
let did: string;
let shared: { verkey: string; url: string };

before(async () => {
  const devnet = await world.devnet();
  alice = await world.start('alice', {
    devnet,
    sponsor: true,
    flags: ['--public-invites', '--requests-through-public-did', '--legacy', 'on', '--auto-accept-invites'],
  });
  const made = await alice.post('/wallet/did/create', { method: 'algo' });
  did = made.result.did;
  await alice.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
  await until(async () => (await alice.get('/wallet/did/public')).result?.did === did, 'the public DID');
  shared = { verkey: made.result.verkey, url: alice.inbound };
});
after(() => world.close());

async function stranger(): Promise<Stranger> {
  const one = await startStranger();
  world.defer(one.close);
  return one;
}

/** A did:peer:4 whose one service lists these keys, and that many addresses. */
function listing(keys: readonly string[], url: string): string {
  const methods = keys.map((key, i) => ({ id: `#key-${i + 1}`, type: 'Ed25519VerificationKey2018', publicKeyBase58: key }));
  return createPeer4({
    '@context': ['https://www.w3.org/ns/did/v1'],
    verificationMethod: methods,
    authentication: methods.map(({ id }) => id),
    service: [
      {
        id: '#didcomm-0',
        type: 'did-communication',
        priority: 0,
        recipientKeys: methods.map(({ id }) => id),
        routingKeys: [],
        serviceEndpoint: url,
      },
    ],
  }).did;
}

const inThread = (thid: string) => (mail: Mail) => mail.message['~thread']?.thid === thid;
const saying = (content: string): Body => message('basicmessage/1.0/message', { content });
const notified = (content: string) => (payload: Body) => payload.content === content;
const verkeyOf = (response: Body): string => contactOf(resolvePeer(response.did)).recipientKeys[0]!;
const stateOf = async (id: string): Promise<string> => (await alice.call('GET', `/connections/${id}`)).body?.state;

/** A peer's connection with the public DID of Alice, by that DID alone, under that DID: the id that Alice gives it. */
async function connectPublic(peer: Stranger, theirs: string): Promise<string> {
  const request = message('didexchange/1.1/request', { label: 'peer', did: theirs, '~thread': { pthid: did } });
  await peer.send(shared, request);
  const { connection_id: id } = await alice.event(
    'connections',
    (one) => one.request_id === request['@id'] && one.state === 'request',
    'the request',
  );
  await alice.post(`/didexchange/${id}/accept-request?use_public_did=true`);
  const response = await peer.inbox.first(inThread(request['@id']), 'the response');
  assert.equal(response.message.did, did);
  await peer.send(shared, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'], pthid: did } }));
  await alice.event('connections', (one) => one.connection_id === id && one.state === 'active', 'the connection');
  return id;
}

/** A message of the peer comes by its connection, and one of Alice's controller is sealed for the peer alone. */
async function talks(peer: Stranger, id: string): Promise<void> {
  const [there, back] = [randomUUID(), randomUUID()];
  await peer.send(shared, saying(there));
  assert.equal((await alice.event('basicmessages', notified(there), 'its message')).connection_id, id);
  await alice.post(`/connections/${id}/send-message`, { content: back });
  await peer.inbox.first((mail) => mail.message.content === back, 'the answer');
  assert.deepEqual(parseEnvelope(peer.envelopes.at(-1)!).recipients, [peer.pair.verkey]);
}

/** What a peer says to the public DID comes by no connection: nobody there has shown its key. */
async function unheard(peer: Stranger): Promise<void> {
  const sent = randomUUID();
  await peer.send(shared, saying(sent));
  const other = await stranger();
  await talks(other, await connectPublic(other, other.did));
  assert.ok(!alice.hooks.list.some(({ payload }) => payload.content === sent));
}

for (const first of ['Bob', 'Mallory']) {
  test(`[A1] a peer that lists another's key in its document gets nothing of its conversation; ${first} comes first`, async () => {
    const [bob, mallory] = [await stranger(), await stranger()];
    const thief = listing([mallory.pair.verkey, bob.pair.verkey], mallory.url);
    const ids: Record<string, string> = {};
    const both: [string, Stranger, string][] = [
      ['Bob', bob, bob.did],
      ['Mallory', mallory, thief],
    ];
    for (const [name, peer, theirs] of first === 'Bob' ? both : both.reverse()) ids[name] = await connectPublic(peer, theirs);
    await talks(bob, ids.Bob!);
    await talks(mallory, ids.Mallory!);
    assert.equal(mallory.unopened.length, 0);
    // what ends a connection ends that of who says it
    await bob.send(shared, message('did-rotate/1.0/hangup'));
    await alice.event('connections', (one) => one.connection_id === ids.Bob && one.state === 'deleted', 'the end');
    assert.deepEqual([await stateOf(ids.Bob!), await stateOf(ids.Mallory!)], [undefined, 'active']);
    // and Bob is a stranger now, not Mallory
    await unheard(bob);
  });
}

test('[A1-2] a peer that moves to a DID with the key of another gets neither its messages nor those to it', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const own = await connectPublic(bob, bob.did);
  const id = await connectPublic(mallory, mallory.did);
  const rotate = message('did-rotate/1.0/rotate', { to_did: listing([bob.pair.verkey], mallory.url) });
  await mallory.send(shared, rotate);
  await mallory.inbox.first(inThread(rotate['@id']), 'the ack');
  await talks(bob, own);
  const before = mallory.envelopes.length;
  const sent = await alice.call('POST', `/connections/${id}/send-message`, { content: 'for Mallory' });
  assert.deepEqual([sent.status, mallory.envelopes.length], [400, before]);
  await talks(bob, own);
});

test('[A1-2] a peer that moves to a key of its own is known by it, once that has sealed something', async () => {
  const [bob, moved] = [await stranger(), await stranger()];
  const id = await connectPublic(bob, bob.did);
  const rotate = message('did-rotate/1.0/rotate', { to_did: moved.did });
  await bob.send(shared, rotate);
  await bob.inbox.first(inThread(rotate['@id']), 'the ack');
  await talks(moved, id);
  await bob.send(shared, saying('was under way'));
  assert.equal((await alice.event('basicmessages', notified('was under way'), 'mail under the old key')).connection_id, id);
});

test('[A1-11] a peer that moves twice has as former keys those that it has shown, not those that it listed in between', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const thief = await connectPublic(mallory, mallory.did);
  for (const keys of [[mallory.pair.verkey, bob.pair.verkey], [mallory.pair.verkey]]) {
    const rotate = message('did-rotate/1.0/rotate', { to_did: listing(keys, mallory.url) });
    await mallory.send(shared, rotate);
    await mallory.inbox.first(inThread(rotate['@id']), 'the ack');
  }
  await unheard(bob);
  const own = await connectPublic(bob, bob.did);
  await talks(bob, own);
  await talks(mallory, thief);
});

test('[A1-12] a key that was only vouched for gives way to its holder, whenever that comes', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const thief = await connectPublic(mallory, mallory.did);
  const first = await connectPublic(bob, bob.did);
  assert.equal((await alice.call('DELETE', `/connections/${first}`)).status, 200);
  const rotate = message('did-rotate/1.0/rotate', { to_did: listing([bob.pair.verkey], mallory.url) });
  await mallory.send(shared, rotate);
  await mallory.inbox.first(inThread(rotate['@id']), 'the ack');
  // Bob does not know yet that his connection is gone
  await bob.send(shared, saying('late'));
  await alice.event('basicmessages', notified('late'), 'what nobody else can have said');
  const own = await connectPublic(bob, bob.did);
  await talks(bob, own);
  const before = mallory.envelopes.length;
  const sent = await alice.call('POST', `/connections/${thief}/send-message`, { content: 'for Mallory' });
  assert.deepEqual([sent.status, mallory.envelopes.length], [400, before]);
  await bob.send(shared, message('did-rotate/1.0/hangup'));
  await alice.event('connections', (one) => one.connection_id === own && one.state === 'deleted', 'the end');
});

test('[A1-3] a document of connections 1.0, signed by its own sender, gives no key of another either', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const { invitation } = await alice.post('/connections/create-invitation?auto_accept=true');
  const { did: theirs, document } = unqualifiedDid({ verkey: mallory.pair.verkey, endpoint: mallory.url });
  const service = { ...(document.service as object[])[0]!, recipientKeys: [bob.pair.verkey, mallory.pair.verkey] };
  const request = message('connections/1.0/request', {
    label: 'thief',
    connection: { DID: theirs, DIDDoc: { ...document, service: [service] } },
  });
  await mallory.send({ verkey: invitation.recipientKeys[0], url: alice.inbound }, request);
  const response = await mallory.inbox.first(inThread(request['@id']), 'the response');
  await unheard(bob);
  const own = await connectPublic(bob, bob.did);
  await talks(bob, own);
  // to the key that only Mallory was given what it lists counts: nobody else writes there
  await mallory.send({ verkey: response.sender!, url: alice.inbound }, saying('by the second key'), bob.pair);
  const late = await alice.event('basicmessages', notified('by the second key'), 'a message under the listed key');
  assert.notEqual(late.connection_id, own);
  await talks(bob, own);
});

test('[A1-4] a request of the 2018 protocol, which is in clear, shows no key', async () => {
  const bob = await stranger();
  const mallory = await startPeer2018();
  world.defer(mallory.close);
  // a DID that is made of the key which it names
  const claimed = unqualifiedDid({ verkey: bob.pair.verkey }).did;
  await mallory.request(await alice.get('/legacy/endpoint'), { did: claimed, verkey: bob.pair.verkey });
  await alice.event('connections', (one) => one.their_did === claimed && one.state === 'request', 'the request');
  await unheard(bob);
  const own = await connectPublic(bob, bob.did);
  await talks(bob, own);
});

test('[A1-5] an inviter that answers with the key of another is refused, where our DID is known to that one', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const own = await connectPublic(bob, bob.did);
  for (const [keys, state] of [
    [[bob.pair.verkey], 'request'],
    [[mallory.pair.verkey, bob.pair.verkey], 'active'],
  ] as const) {
    const invitation = message('out-of-band/1.1/invitation', {
      label: 'thief',
      handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
      services: [
        { id: '#inline', type: 'did-communication', recipientKeys: [verkeyToDidKey(mallory.pair.verkey)], serviceEndpoint: mallory.url },
      ],
    });
    const { connection_id: id } = await alice.post('/out-of-band/receive-invitation?auto_accept=false', invitation);
    await alice.post(`/didexchange/${id}/accept-invitation?use_did=${encodeURIComponent(did)}`);
    const request = await mallory.inbox.first((mail) => mail.message['~thread']?.pthid === invitation['@id'], 'the request');
    const to_did = listing(keys, mallory.url);
    const response = message('didexchange/1.1/response', {
      did: to_did,
      '~thread': { thid: request.message['@id'] },
      'did_rotate~attach': writeAttachment(signedAttachment(Buffer.from(to_did), mallory.pair)),
    });
    const before = mallory.unopened.length;
    assert.equal((await mallory.send(shared, response)).status, 202);
    await talks(bob, own);
    assert.deepEqual([await stateOf(id), mallory.unopened.length], [state, before]);
  }
  await talks(bob, own);
});

test('[A1-6] mail is sealed for the keys that have shown themselves alone, whatever else a document lists', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const request = message('didexchange/1.1/request', {
    label: 'thief',
    did: listing([bob.pair.verkey, mallory.pair.verkey], mallory.url),
    '~thread': { pthid: invitation['@id'] },
  });
  await mallory.send(serviceOf(invitation), request);
  const response = await mallory.inbox.first(inThread(request['@id']), 'the response');
  const to = { verkey: verkeyOf(response.message), url: alice.inbound };
  await mallory.send(to, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'] } }));
  const ping = message('trust_ping/1.0/ping', { response_requested: true });
  await mallory.send(to, ping);
  await mallory.inbox.first(inThread(ping['@id']), 'the answer');
  assert.equal(mallory.unopened.length, 0);
  for (const bytes of mallory.envelopes) assert.deepEqual(parseEnvelope(bytes).recipients, [mallory.pair.verkey]);
});

test('[A1-7] a second key of a peer counts when it has sealed a message of the thread of its handshake', async () => {
  const bob = await stranger();
  const second = newKeyPair();
  const theirs = listing([bob.pair.verkey, second.verkey], bob.url);
  const request = message('didexchange/1.1/request', { label: 'peer', did: theirs, '~thread': { pthid: did } });
  await bob.send(shared, request);
  const { connection_id: id } = await alice.event('connections', (one) => one.request_id === request['@id'], 'the request');
  await alice.post(`/didexchange/${id}/accept-request?use_public_did=true`);
  await bob.inbox.first(inThread(request['@id']), 'the response');
  await bob.send(shared, saying('too early'), second);
  await bob.send(shared, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'] } }), second);
  await alice.event('connections', (one) => one.connection_id === id && one.state === 'active', 'the connection');
  await bob.send(shared, saying('in time'), second);
  assert.equal((await alice.event('basicmessages', notified('in time'), 'a message under the second key')).connection_id, id);
  assert.ok(!alice.hooks.list.some(({ payload }) => payload.content === 'too early'));
});

test('[A1-8] where one holder has several connections under one key of ours, the thread tells which, and a new one takes nothing over', async () => {
  const bob = await stranger();
  const [old, young] = [await connectPublic(bob, bob.did), await connectPublic(bob, bob.did)];
  assert.notEqual(old, young);
  await bob.send(shared, saying('to the old'));
  assert.equal((await alice.event('basicmessages', notified('to the old'), 'the message')).connection_id, old);
  for (const id of [old, young]) {
    const asked = await alice.post('/present-proof-2.0/send-request', {
      connection_id: id,
      presentation_request: {
        anoncreds: { name: 'p', version: '1', nonce: '1', requested_attributes: { a: { name: 'a' } }, requested_predicates: {} },
      },
    });
    const report = message('present-proof/2.0/problem-report', {
      '~thread': { thid: asked.thread_id },
      description: { code: 'abandoned', en: 'no' },
    });
    await bob.inbox.first((mail) => mail.message['@id'] === asked.thread_id, 'the request');
    await bob.send(shared, report);
    await alice.event('present_proof_v2_0', (one) => one.thread_id === asked.thread_id && one.state === 'abandoned', `the end of ${id}`);
  }
});

test('[A1-9] an exchange without a connection, under a shared DID, is sealed for the key that answers and not for what its service lists', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  await connectPublic(bob, bob.did);
  const { pres_ex_id, pres_request } = await alice.post('/present-proof-2.0/create-request', {
    presentation_request: {
      anoncreds: { name: 'p', version: '1', nonce: '1', requested_attributes: { a: { name: 'a' } }, requested_predicates: {} },
    },
  });
  const { invitation } = await alice.post('/out-of-band/create-invitation', {
    use_public_did: true,
    attachments: [{ id: pres_ex_id, type: 'present-proof' }],
  });
  const propose = message('present-proof/2.0/propose-presentation', {
    '~thread': { thid: pres_request['@id'], pthid: invitation['@id'] },
    '~service': { recipientKeys: [bob.pair.verkey], routingKeys: [], serviceEndpoint: mallory.url },
    formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
    'proposals~attach': [
      {
        '@id': 'a',
        data: {
          base64: Buffer.from(
            JSON.stringify({ name: 'p', version: '1', requested_attributes: { a: { name: 'a' } }, requested_predicates: {} }),
          ).toString('base64'),
        },
      },
    ],
  });
  await mallory.send(shared, propose);
  await alice.event('present_proof_v2_0', (one) => one.pres_ex_id === pres_ex_id && one.state === 'proposal-received', 'the proposal');
  await alice.post(`/present-proof-2.0/records/${pres_ex_id}/problem-report`, { description: 'no' });
  await mallory.inbox.first(inThread(pres_request['@id']), 'the report');
  assert.deepEqual(parseEnvelope(mallory.envelopes.at(-1)!).recipients, [mallory.pair.verkey]);
});

// -- whose id is it ---------------------------------------------------------------------------------------------------------------------------------------

/** Whether an honest peer comes by the invitation still: by what it asks for. */
async function comes(peer: Stranger, to: { verkey: string; url: string }, request: Body): Promise<void> {
  await peer.send(to, request);
  const inIts = inThread(request['@id']);
  // a report that the invitation is closed is in the thread too
  const answer = await peer.inbox.first((mail) => inIts(mail) && !String(mail.message['@type']).endsWith('/ping'), 'the response');
  assert.match(String(answer.message['@type']), /\/response$/);
}

const asks = (peer: Stranger, pthid: string, id: string = randomUUID()): Body =>
  message('didexchange/1.1/request', { label: 'peer', did: peer.did, '~thread': { pthid } }, id);

test('[A2] a request with the id of an invitation hides it from nobody', async () => {
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  const [bob, mallory] = [await stranger(), await stranger()];
  const to = serviceOf(invitation);
  await mallory.send(to, asks(mallory, invitation['@id'], invitation['@id']));
  await comes(bob, to, asks(bob, invitation['@id']));
  // as the thread of a request for another invitation
  const other = (await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE)).invitation;
  await comes(mallory, serviceOf(other), asks(mallory, other['@id'], invitation['@id']));
  await comes(bob, to, asks(bob, invitation['@id']));
});

test('[A2-2] a request whose id names the public DID keeps nobody from that', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  for (const pthid of [did, `${did}#did-communication`]) {
    await mallory.send(shared, asks(mallory, pthid, pthid));
    const request = asks(bob, pthid);
    await bob.send(shared, request);
    await alice.event('connections', (one) => one.request_id === request['@id'] && one.state === 'request', 'the request');
  }
});

test('[A2] requests of connections 1.0 that name an invitation as their own thread hide it from nobody', async () => {
  const { invitation } = await alice.post('/connections/create-invitation?auto_accept=true&multi_use=true');
  const to = { verkey: invitation.recipientKeys[0], url: alice.inbound };
  const [bob, mallory] = [await stranger(), await stranger()];
  const request = (peer: Stranger, id: string = randomUUID()): Body => {
    const { did: DID, document: DIDDoc } = unqualifiedDid({ verkey: peer.pair.verkey, endpoint: peer.url });
    return message('connections/1.0/request', { label: 'peer', connection: { DID, DIDDoc }, '~thread': { pthid: invitation['@id'] } }, id);
  };
  await mallory.send(to, request(mallory, invitation['@id']));
  await comes(bob, to, request(bob));
});

test('[A2-3] an invitation that was received has its id from a stranger: it stands in the way of none of ours', async () => {
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  const [bob, mallory] = [await stranger(), await stranger()];
  // nobody looks at the id of an offer that comes over the network
  const offer = await startPeer2018();
  world.defer(offer.close);
  const sent = { ...offer.offer(), id: invitation['@id'] };
  await offer.sendOffer(await alice.get('/legacy/endpoint'), { ...sent, message: { ...sent.message, offer_nonce: invitation['@id'] } });
  await comes(bob, serviceOf(invitation), asks(bob, invitation['@id']));
  const forged = message(
    'out-of-band/1.1/invitation',
    {
      label: 'thief',
      handshake_protocols: HANDSHAKE.handshake_protocols,
      services: [
        { id: '#inline', type: 'did-communication', recipientKeys: [verkeyToDidKey(mallory.pair.verkey)], serviceEndpoint: mallory.url },
      ],
    },
    invitation['@id'],
  );
  for (const one of [forged, invitation]) {
    assert.equal(
      (await alice.call('POST', '/out-of-band/receive-invitation', one)).text,
      '400: The invitation is one of this wallet itself',
    );
  }
  const named = { ...forged, '@id': randomUUID(), services: [did] };
  assert.equal((await alice.call('POST', '/out-of-band/receive-invitation', named)).status, 400);
  const old = (await alice.post('/connections/create-invitation')).invitation;
  assert.equal((await alice.call('POST', '/connections/receive-invitation', old)).status, 400);
});

test('[A2-8] offers of strangers that name the key of an invitation hide it from nobody', async () => {
  const { invitation } = await alice.post('/connections/create-invitation?auto_accept=true');
  const [key] = invitation.recipientKeys;
  const mallory = await startPeer2018();
  world.defer(mallory.close);
  // more than one look brings
  for (let i = 0; i < 21; i++) {
    const id = randomUUID();
    const sent = mallory.offer();
    const offer = { ...sent, id, message: { ...sent.message, offer_nonce: id, offer_verkey: key } };
    await alice.post('/legacy/connections/receive-offer', { offer, auto_accept: false });
  }
  const bob = await stranger();
  const { did: DID, document: DIDDoc } = unqualifiedDid({ verkey: bob.pair.verkey, endpoint: bob.url });
  // who answers by the key alone, as before requests named their invitation
  await comes(bob, { verkey: key, url: alice.inbound }, message('connections/1.0/request', { label: 'peer', connection: { DID, DIDDoc } }));
});

test('[A2-8] messages of others in the thread of an exchange without a connection keep its peer from nothing', async () => {
  const { pres_ex_id, pres_request } = await alice.post('/present-proof-2.0/create-request', {
    presentation_request: {
      anoncreds: { name: 'p', version: '1', nonce: '1', requested_attributes: { a: { name: 'a' } }, requested_predicates: {} },
    },
  });
  const { invitation } = await alice.post('/out-of-band/create-invitation', { attachments: [{ id: pres_ex_id, type: 'present-proof' }] });
  const attached = {
    '@id': 'a',
    data: { base64: Buffer.from(JSON.stringify({ requested_attributes: {}, requested_predicates: {} })).toString('base64') },
  };
  const sent = {
    '~thread': { thid: pres_request['@id'] },
    formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
  };
  for (let i = 0; i < 21; i++) {
    const mallory = await stranger();
    const link = await connectStranger(alice, mallory);
    await link.send(message('present-proof/2.0/propose-presentation', { ...sent, 'proposals~attach': [attached] }));
    await alice.event('present_proof_v2_0', (one) => one.connection_id === link.id && one.state === 'proposal-received', 'the proposal');
  }
  const bob = await stranger();
  const report = message('present-proof/2.0/propose-presentation', {
    ...sent,
    '~thread': { thid: pres_request['@id'], pthid: invitation['@id'] },
    '~service': { recipientKeys: [bob.pair.verkey], routingKeys: [], serviceEndpoint: bob.url },
    'proposals~attach': [attached],
  });
  await bob.send(serviceOf(invitation), report);
  await alice.event(
    'present_proof_v2_0',
    (one) => one.pres_ex_id === pres_ex_id && one.state === 'proposal-received',
    'what its peer says',
  );
});

test('[A2-8] a DID of the 2018 protocol that a peer has is taken by nobody, however many others say that it is theirs', async () => {
  const bob = await startPeer2018();
  world.defer(bob.close);
  const legacy = await alice.get('/legacy/endpoint');
  const verkey = newKeyPair().verkey;
  const its = unqualifiedDid({ verkey }).did;
  await bob.request(legacy, { did: its, verkey });
  const { connection_id: id } = await alice.event('connections', (one) => one.their_did === its && one.state === 'request', 'the request');
  const { invitation } = await alice.post('/connections/create-invitation?multi_use=true');
  for (let i = 0; i < 21; i++) {
    const mallory = await stranger();
    const { document } = unqualifiedDid({ verkey: mallory.pair.verkey, endpoint: mallory.url });
    const DIDDoc = { ...document, id: `did:sov:${its}` };
    await mallory.send(
      { verkey: invitation.recipientKeys[0], url: alice.inbound },
      message('connections/1.0/request', { label: 'thief', connection: { DID: its, DIDDoc }, '~thread': { pthid: invitation['@id'] } }),
    );
  }
  const thief = await startPeer2018();
  world.defer(thief.close);
  await thief.request(legacy, { did: its, verkey });
  await alice.event('legacy_problem', (one) => one.reason === 'did-in-use', 'the refusal');
  const { results } = await alice.get(`/connections?their_did=${its}&limit=100`);
  assert.deepEqual(
    results.filter((one: Body) => one.legacy).map((one: Body) => one.connection_id),
    [id],
  );
});

test('[A2-4] the offer of an invitation is for the peer that came by it', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const { pres_ex_id, pres_request } = await alice.post('/present-proof-2.0/create-request', {
    presentation_request: {
      anoncreds: { name: 'p', version: '1', nonce: '1', requested_attributes: { a: { name: 'a' } }, requested_predicates: {} },
    },
  });
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', {
    ...HANDSHAKE,
    attachments: [{ id: pres_ex_id, type: 'present-proof' }],
  });
  const links: Record<string, { verkey: string; url: string }> = {};
  for (const [name, peer, by] of [
    ['bob', bob, invitation],
    ['mallory', mallory, (await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE)).invitation],
  ] as const) {
    const request = asks(peer, by['@id']);
    await peer.send(serviceOf(by), request);
    const response = await peer.inbox.first(inThread(request['@id']), 'the response');
    links[name] = { verkey: verkeyOf(response.message), url: alice.inbound };
    await peer.send(links[name]!, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'], pthid: by['@id'] } }));
  }
  const refusal = (en: string): Body =>
    message('present-proof/2.0/problem-report', {
      '~thread': { thid: pres_request['@id'], pthid: invitation['@id'] },
      description: { code: 'abandoned', en },
    });
  await mallory.send(links.mallory!, refusal('by Mallory'));
  assert.equal((await alice.get(`/present-proof-2.0/records/${pres_ex_id}`)).state, 'request-sent');
  await bob.send(links.bob!, refusal('by Bob'));
  const ended = await alice.event('present_proof_v2_0', (one) => one.pres_ex_id === pres_ex_id && one.state === 'abandoned', 'the end');
  assert.match(ended.error_msg, /by Bob/);
});

test('[A2-5] an offer that was made under the thread of an invitation keeps what that carries from nobody', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const thid = randomUUID();
  const offer = message(
    'issue-credential/2.0/offer-credential',
    {
      formats: [{ attach_id: 'a', format: 'anoncreds/credential-offer@v1.0' }],
      'offers~attach': [
        { '@id': 'a', 'mime-type': 'application/json', data: { base64: Buffer.from('{"cred_def_id":"x"}').toString('base64') } },
      ],
      credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'a', value: '1' }] },
    },
    thid,
  );
  const link = await connectStranger(alice, mallory);
  await link.send(offer);
  await alice.event('issue_credential_v2_0', (one) => one.thread_id === thid && one.connection_id === link.id, 'the first');
  const invitation = message('out-of-band/1.1/invitation', {
    label: 'peer',
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [verkeyToDidKey(bob.pair.verkey)], serviceEndpoint: bob.url }],
    'requests~attach': [{ '@id': 'r', 'mime-type': 'application/json', data: { json: offer } }],
  });
  await alice.post('/out-of-band/receive-invitation', invitation);
  await alice.event('issue_credential_v2_0', (one) => one.thread_id === thid && one.connection_id === undefined, 'the second');
});

// -- what a signature is about ------------------------------------------------------------------------------------------------------------------------------

/** An invitation of a stranger that Alice has answered: the id of her connection, and her request. */
async function invited(
  peer: Stranger,
  handshake = 'didexchange/1.1',
): Promise<{ id: string; request: Body; to: { verkey: string; url: string } }> {
  const invitation = message('out-of-band/1.1/invitation', {
    label: 'peer',
    handshake_protocols: [`https://didcomm.org/${handshake}`],
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [verkeyToDidKey(peer.pair.verkey)], serviceEndpoint: peer.url }],
  });
  const { connection_id: id } = await alice.post('/out-of-band/receive-invitation', invitation);
  const { message: request, sender } = await peer.inbox.first(
    (mail) => mail.message['~thread']?.pthid === invitation['@id'],
    'the request',
  );
  return { id, request, to: { verkey: sender!, url: alice.inbound } };
}

const signed = (by: Stranger, content: unknown) =>
  writeAttachment(signedAttachment(Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)), by.pair));

/** An attachment with a second content, which its signature is not about. */
const besides = (attached: Record<string, unknown>, json: object): object => ({
  ...attached,
  data: { ...(attached.data as object), json },
});

test('[A9] [A9-4] the signature of an invitation’s key counts for the DID that it names alone', async () => {
  const peer = await stranger();
  const other = await stranger();
  const { id, request, to } = await invited(peer);
  const two = ownPeer2({ verkey: other.pair.verkey, endpoint: other.url });
  const respond = (did: string, members: object): Promise<unknown> =>
    peer.send(to, message('didexchange/1.1/response', { did, '~thread': { thid: request['@id'] }, ...members }));
  const document = (of: string): object => JSON.parse(JSON.stringify(resolvePeer(of)));
  for (const [theirs, members] of [
    [other.did, {}],
    [other.did, { 'did_doc~attach': signed(peer, {}) }],
    [other.did, { 'did_doc~attach': signed(peer, 'a text') }],
    [other.did, { 'did_doc~attach': signed(peer, document(peer.did)) }],
    [two, { 'did_doc~attach': signed(peer, document(peer.did)) }],
    [did, { 'did_doc~attach': signed(peer, document(peer.did)) }],
    [did, { 'did_rotate~attach': signed(peer, peer.did) }],
    [other.did, { 'did_rotate~attach': signed(peer, peer.did) }],
    [other.did, { 'did_rotate~attach': signed(other, other.did) }],
    [other.did, { 'did_doc~attach': besides(signed(peer, document(peer.did)), document(other.did)) }],
    [other.did, { 'did_doc~attach': signed(peer, document(other.did)), 'did_rotate~attach': signed(peer, peer.did) }],
  ] as const) {
    await respond(theirs, members);
    assert.equal(await stateOf(id), 'request', JSON.stringify(members).slice(0, 300));
  }
  await respond(peer.did, { 'did_doc~attach': signed(peer, document(peer.did)) });
  await alice.event('connections', (one) => one.connection_id === id && one.state === 'active', 'the connection');
});

test('[A9-2] a request attaches the document of its own DID, or none', async () => {
  const [peer, other] = [await stranger(), await stranger()];
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  await peer.send(serviceOf(invitation), {
    ...asks(peer, invitation['@id']),
    'did_doc~attach': signed(peer, JSON.parse(JSON.stringify(resolvePeer(other.did)))),
  });
  await comes(other, serviceOf(invitation), asks(other, invitation['@id']));
});

for (const handshake of ['connections/1.0', 'didexchange/1.0'] as const) {
  test(`[A9-3] a response of ${handshake} tells of another DID than is signed, or under another key: it is refused`, async () => {
    const [peer, other] = [await stranger(), await stranger()];
    const { id, request, to } = await invited(peer, handshake);
    const [mine, its] = [peer, other].map(({ pair, url }) => unqualifiedDid({ verkey: pair.verkey, endpoint: url }));
    const respond = (DID: string, DIDDoc: object, by: Stranger): Promise<unknown> =>
      peer.send(
        to,
        message(`${handshake}/response`, {
          '~thread': { thid: request['@id'] },
          ...(handshake === 'connections/1.0'
            ? { 'connection~sig': signDecorator({ DID, DIDDoc }, by.pair) }
            : { did: DID, 'did_doc~attach': signed(by, DIDDoc) }),
        }),
      );
    for (const [DID, DIDDoc, by] of [
      [mine!.did, its!.document, peer],
      [its!.did, mine!.document, peer],
      [mine!.did, mine!.document, other],
    ] as const) {
      await respond(DID, DIDDoc, by);
      assert.equal(await stateOf(id), 'request');
    }
    await respond(mine!.did, mine!.document, peer);
    await alice.event('connections', (one) => one.connection_id === id && one.state === 'active', 'the connection');
  });
}

// -- rows from before -----------------------------------------------------------------------------------------------------------------------------------------

/** Writes a connection of Alice as it was before: without a note of the keys that have shown themselves, and with the tags of that time. */
async function asBefore(id: string): Promise<void> {
  const { store } = alice.agent.kernel.db;
  const [[row] = []] = await store.load('base', [{ category: 'connection', id }]);
  const { shown_keys: _none, ...value } = row!.value as ConnectionValue;
  const { invites: _own, listed_key: _listed, ...tags } = connection.tags(value);
  const { category, state, role, version } = row!;
  const old = { ...tags, thread: value.request_id ?? value.invitation_msg_id, their_key: value.their_keys };
  await store.commit('base', { records: [{ category, id, state, role, expect: version, value: value as JsonObject, tags: old }] });
}

test('[A1-10] of rows from before one listed key has been shown, and of several none', async () => {
  const [bob, mallory] = [await stranger(), await stranger()];
  const own = await connectPublic(bob, bob.did);
  const id = await connectPublic(mallory, listing([mallory.pair.verkey, bob.pair.verkey], mallory.url));
  for (const one of [own, id]) await asBefore(one);
  await talks(bob, own);
  await alice.call('POST', `/connections/${id}/send-message`, { content: 'for Mallory' });
  await mallory.inbox.first((mail) => mail.message.content === 'for Mallory', 'mail for the key that nobody else has');
  assert.deepEqual(parseEnvelope(mallory.envelopes.at(-1)!).recipients, [mallory.pair.verkey]);
  await talks(mallory, id);
  await talks(bob, own);
});

test('[A2-6] [A2-7] an invitation from before is found, however many requests have its id as their own', async () => {
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  const { results } = await alice.get(`/connections?invitation_msg_id=${invitation['@id']}`);
  await asBefore(results[0].connection_id);
  const other = (await alice.post('/out-of-band/create-invitation?multi_use=true', HANDSHAKE)).invitation;
  // more than one look brings
  for (let i = 0; i < 21; i++) {
    const mallory = await stranger();
    await mallory.send(serviceOf(other), asks(mallory, other['@id'], invitation['@id']));
  }
  const bob = await stranger();
  await comes(bob, serviceOf(invitation), asks(bob, invitation['@id']));
  const taken = (await alice.get('/connections?limit=1000')).results.filter((one: Body) => one.request_id === invitation['@id']);
  assert.deepEqual(taken, [], 'requests that have the id of the invitation');
});
