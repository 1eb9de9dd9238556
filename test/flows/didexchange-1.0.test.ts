import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { signedAttachment, writeAttachment } from '../../src/didcomm/attachments.ts';
import { toBase58 } from '../../src/didcomm/encoding.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { ownPeer2 } from '../../src/dids/own-documents.ts';
import { unqualifiedDid } from '../../src/dids/unqualified.ts';
import { type Body, createWorld, type TestAgent, until } from '../support/agents.ts';
import { message, type Stranger, serviceOf, startStranger } from '../support/stranger.ts';

/** RFC 0023 in its version 1.0: documents are attached and signed. */

const V10 = { handshake_protocols: ['https://didcomm.org/didexchange/1.0'] };
const world = createWorld({ held: true });
let alice: TestAgent;
let bob: TestAgent;

before(async () => {
  alice = await world.start('alice', { flags: ['--auto-ping-connection'] });
  bob = await world.start('bob', { flags: ['--auto-ping-connection'] });
});
after(() => world.close());

const refusals = async (): Promise<number> => (await alice.get('/status')).conductor.refused_step_refused ?? 0;

/** A peer's own document, whatever its age, signed by a key of its choice. */
const attach = (document: object, signer = newKeyPair()): object =>
  writeAttachment(signedAttachment(Buffer.from(JSON.stringify(document)), signer));

const oldDocument = (peer: Stranger, id = unqualifiedDid({ verkey: peer.pair.verkey }).did): Body => ({
  '@context': 'https://w3id.org/did/v1',
  id,
  publicKey: [{ id: `${id}#1`, type: 'Ed25519VerificationKey2018', controller: id, publicKeyBase58: peer.pair.verkey }],
  authentication: [{ type: 'Ed25519SignatureAuthentication2018', publicKey: `${id}#1` }],
  service: [{ id: `${id};indy`, type: 'IndyAgent', priority: 0, recipientKeys: [peer.pair.verkey], serviceEndpoint: peer.url }],
});

test('two agents connect in version 1.0 and write to each other', async () => {
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=true', V10);
  const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const [ours, theirs] = await Promise.all(
    [alice, bob].map((agent) =>
      agent.event('connections', (one) => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id, 'an active connection'),
    ),
  );
  assert.deepEqual([ours.connection_protocol, theirs.connection_protocol], ['didexchange/1.0', 'didexchange/1.0']);
  assert.match(ours.my_did, /^[1-9A-HJ-NP-Za-km-z]{21,22}$/, 'a DID without a method');
  assert.deepEqual([ours.my_did, ours.their_did], [theirs.their_did, theirs.my_did]);
  await bob.post(`/connections/${got.connection_id}/send-message`, { content: 'in the old way' });
  await alice.event('basicmessages', (one) => one.content === 'in the old way', 'the message');
});

test('the order of handshake_protocols decides which version is asked for', async () => {
  for (const [first, second] of [
    ['1.0', '1.1'],
    ['1.1', '1.0'],
  ]) {
    const names = [
      `https://didcomm.org/unheard-of/1.0`,
      `https://didcomm.org/didexchange/${first}`,
      `https://didcomm.org/didexchange/${second}`,
    ];
    const { invitation } = await alice.post('/out-of-band/create-invitation', { handshake_protocols: names.slice(1) });
    const got = await bob.post('/out-of-band/receive-invitation', { ...invitation, handshake_protocols: names });
    assert.equal((await bob.get(`/connections/${got.connection_id}`)).connection_protocol, `didexchange/${first}`);
  }
});

for (const [what, qualify] of [
  ['without a method', (did: string) => did],
  ['as did:sov', (did: string) => `did:sov:${did}`],
] as const) {
  test(`a peer whose document is ${what} is answered in its own version, by a document that the invitation key signed`, async () => {
    const peer = await startStranger();
    world.defer(peer.close);
    const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', V10);
    const { did } = unqualifiedDid({ verkey: peer.pair.verkey });
    const request = message('didexchange/1.0/request', {
      label: 'old',
      did,
      '~thread': { pthid: invitation['@id'] },
      'did_doc~attach': attach(oldDocument(peer, qualify(did)), peer.pair),
    });
    await peer.send(serviceOf(invitation), request);
    const { message: response, sender } = await peer.inbox.first(
      (mail) => mail.message['~thread']?.thid === request['@id'],
      'the response',
    );
    assert.equal(response['@type'], 'https://didcomm.org/didexchange/1.0/response');
    const attached = response['did_doc~attach'];
    const document = JSON.parse(Buffer.from(attached.data.base64, 'base64url').toString());
    assert.deepEqual(
      [document.id, document.service[0].type, document.service[0].recipientKeys],
      [`did:sov:${response.did}`, 'IndyAgent', [sender]],
    );
    assert.equal(attached.data.jws.header.kid, invitation.services[0].recipientKeys[0].split('#')[0]);
    await peer.send(
      { verkey: sender!, url: alice.inbound },
      message('didexchange/1.0/complete', { '~thread': { thid: request['@id'], pthid: invitation['@id'] } }),
    );
    const active = await alice.event('connections', (one) => one.state === 'active' && one.request_id === request['@id'], 'the connection');
    assert.deepEqual([active.their_did, active.connection_protocol], [did, 'didexchange/1.0']);
  });
}

test('peers of did:peer 1 and 3, whose documents come with the message; a document of another hash is not taken', async () => {
  const hashed = (text: string): string =>
    `z${toBase58(Buffer.concat([Uint8Array.of(0x12, 0x20), createHash('sha256').update(text).digest()]))}`;
  for (const numalgo of ['1', '3']) {
    const peer = await startStranger();
    world.defer(peer.close);
    const long = ownPeer2({ verkey: peer.pair.verkey, endpoint: peer.url });
    const { id: _, ...genesis } = JSON.parse(JSON.stringify(resolvePeer(long)).replaceAll(long, '#id'));
    const did = `did:peer:${numalgo}${numalgo === '1' ? hashed(JSON.stringify(genesis)) : hashed(long.slice('did:peer:2'.length))}`;
    const document = numalgo === '1' ? { id: did, ...genesis } : { ...resolvePeer(long), id: did, alsoKnownAs: [long] };
    const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', V10);
    const request = (value: object): Body =>
      message('didexchange/1.0/request', {
        label: 'peer',
        did,
        '~thread': { pthid: invitation['@id'] },
        'did_doc~attach': attach(value, peer.pair),
      });
    const before = await refusals();
    const other = numalgo === '1' ? { ...document, more: 1 } : { ...document, alsoKnownAs: [`${long}x`] };
    await peer.send(serviceOf(invitation), request(other));
    await until(async () => (await refusals()) > before, 'the refusal to be counted');
    const good = request(document);
    await peer.send(serviceOf(invitation), good);
    await peer.inbox.first((mail) => mail.message['~thread']?.thid === good['@id'], 'the response');
    const [known] = (await alice.get(`/connections?invitation_msg_id=${invitation['@id']}`)).results;
    assert.deepEqual([known.their_did, known.state], [did, 'response']);
  }
});

test('a document that another key signed, of another DID, or unsigned is not taken', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', V10);
  const { did } = unqualifiedDid({ verkey: peer.pair.verkey });
  const other = unqualifiedDid({ verkey: newKeyPair().verkey }).did;
  const unsigned = { '@id': 'a', data: { base64: Buffer.from(JSON.stringify(oldDocument(peer))).toString('base64url') } };
  for (const attached of [attach(oldDocument(peer)), attach(oldDocument(peer, other), peer.pair), unsigned]) {
    const before = await refusals();
    const request = message('didexchange/1.0/request', { did, '~thread': { pthid: invitation['@id'] }, 'did_doc~attach': attached });
    await peer.send(serviceOf(invitation), request);
    await until(async () => (await refusals()) > before, 'the refusal to be counted');
  }
  assert.equal((await alice.get(`/connections?invitation_msg_id=${invitation['@id']}`)).results[0].state, 'invitation');
});

test('a response whose document is not signed by the invitation key connects nobody', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const invitation = message('out-of-band/1.1/invitation', {
    label: 'old',
    ...V10,
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [peer.pair.verkey], serviceEndpoint: peer.url }],
  });
  const got = await alice.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  const { message: request, sender } = await peer.inbox.first((mail) => mail.message['@type'].endsWith('1.0/request'), 'the request');
  assert.ok(request['did_doc~attach'].data.jws, 'our document is signed');
  const { did } = unqualifiedDid({ verkey: peer.pair.verkey });
  const respond = (attached: object): Promise<unknown> =>
    peer.send(
      { verkey: sender!, url: alice.inbound },
      message('didexchange/1.0/response', { did, '~thread': { thid: request['@id'] }, 'did_doc~attach': attached }),
    );
  const before = await refusals();
  await respond(attach(oldDocument(peer)));
  await until(async () => (await refusals()) > before, 'the refusal to be counted');
  assert.equal((await alice.get(`/connections/${got.connection_id}`)).state, 'request');
  await respond(attach(oldDocument(peer), peer.pair));
  await alice.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the connection');
});

test('of several services of an invitation the first that can be written to is taken; one without any is refused', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const service = (url: string) => ({ id: '#i', type: 'did-communication', recipientKeys: [peer.pair.verkey], serviceEndpoint: url });
  const invite = (services: object[]) => message('out-of-band/1.1/invitation', { label: 'mediator', ...V10, services });
  for (const unusable of [service('didcomm:transport/queue'), service('smtp://127.0.0.1'), 'did:sov:WgWxqztrNooG92RXvxSTWv']) {
    const invitation = invite([unusable as object, service(peer.url), service('http://127.0.0.1:1')]);
    await alice.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
    await peer.inbox.first((mail) => mail.message['~thread']?.pthid === invitation['@id'], 'the request');
  }
  await assert.rejects(alice.post('/out-of-band/receive-invitation', invite(['did:sov:WgWxqztrNooG92RXvxSTWv' as never])), /400/);
  await assert.rejects(alice.post('/out-of-band/receive-invitation', invite([])), /400.*no service/s);
});
