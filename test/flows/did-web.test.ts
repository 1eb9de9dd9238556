import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { signedAttachment } from '../../src/didcomm/attachments.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { algoDocument } from '../../src/dids/own-documents.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { connectStranger, message, requestFor, type Stranger, serviceOf, startStranger } from '../support/stranger.ts';

/** DIDs of peers that only the web knows: resolved, invited by, connected with and moved to. */

const world = createWorld();
let alice: TestAgent;
let host: Web;

interface Web {
  readonly port: number;
  /** By path: what is answered there. */
  readonly pages: Map<string, { status: number; body: string; headers?: Record<string, string> }>;
  readonly asked: string[];
  /** Serves a document for the keys of a stranger. */
  publish(name: string, peer: Stranger): string;
}

async function startWeb(): Promise<Web> {
  const pages: Web['pages'] = new Map();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    if (request.url!.startsWith('/slow')) return;
    const page = pages.get(request.url!);
    response.writeHead(page?.status ?? 404, page?.headers).end(page?.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    pages,
    asked,
    publish(name, peer) {
      const did = `did:web:127.0.0.1%3A${port}:${name}`;
      const document = algoDocument({ did, verkey: peer.pair.verkey, endpoint: peer.url });
      pages.set(`/${name}/did.json`, { status: 200, body: JSON.stringify(document) });
      return did;
    },
  };
}

before(async () => {
  host = await startWeb();
  alice = await world.start('alice', { flags: ['--did-web-http'] });
});
after(() => world.close());

const stranger = async (): Promise<Stranger> => {
  const peer = await startStranger();
  world.defer(peer.close);
  return peer;
};
const resolve = (agent: TestAgent, did: string) => agent.call('GET', `/resolver/resolve/${encodeURIComponent(did)}`);

test('a document is fetched once while it is fresh; what is none of that DID is refused', async () => {
  const did = host.publish('one', await stranger());
  const { body, status } = await resolve(alice, did);
  assert.deepEqual([status, body.did_document.id], [200, did]);
  await resolve(alice, did);
  assert.equal(host.asked.filter((path) => path === '/one/did.json').length, 1);
  const at = (name: string): string => `did:web:127.0.0.1%3A${host.port}:${name}`;
  host.pages.set('/other/did.json', { status: 200, body: JSON.stringify(body.did_document) });
  host.pages.set('/html/did.json', { status: 200, body: '<html>' });
  host.pages.set('/large/did.json', { status: 200, body: JSON.stringify({ id: at('large'), x: 'x'.repeat(70_000) }) });
  host.pages.set('/moved/did.json', { status: 302, body: '', headers: { location: '/one/did.json' } });
  const expected = [
    ['nowhere', 404],
    ['other', 400],
    ['html', 400],
    ['large', 502],
    ['moved', 502],
  ] as const;
  for (const [name, wanted] of expected) assert.equal((await resolve(alice, at(name))).status, wanted, name);
});

test('a server that does not answer is given up, and a few of them keep nobody else from theirs for long', async () => {
  const slow = Array.from({ length: 8 }, (_, i) => `slow${i}`);
  const waiting = slow.map((name) => resolve(alice, `did:web:127.0.0.1%3A${host.port}:${name}`));
  await until(() => slow.every((name) => host.asked.includes(`/${name}/did.json`)), 'eight requests');
  const next = await resolve(alice, `did:web:127.0.0.1%3A${host.port}:nine`);
  assert.deepEqual([next.status, /too many documents/.test(next.text)], [502, true]);
  for (const { status, text } of await Promise.all(waiting))
    assert.deepEqual([status, /did not answer in 5 s/.test(text)], [502, true], text);
  assert.equal((await resolve(alice, `did:web:127.0.0.1%3A${host.port}:nine`)).status, 404);
});

test('where peers may not be reached, no document is fetched; and an address is no name', async () => {
  const closed = await world.start('closed', { flags: ['--did-web-http', '--egress-allow', '10.0.0.0/8'] });
  const did = host.publish('closed', await stranger());
  const { status, text } = await resolve(closed, did);
  assert.equal(status, 400);
  assert.match(text, /private address/);
  const plain = await world.start('plain');
  assert.match((await resolve(plain, did)).text, /an address instead of a name/);
  assert.ok(!host.asked.includes('/closed/did.json'));
});

/** What alice says to a request by a did:web, and the connection that becomes of it. */
async function requested(did: string, peer: Stranger): Promise<{ to: { verkey: string; url: string }; id: string }> {
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const request = requestFor(peer, invitation, { did });
  await peer.send(serviceOf(invitation), request);
  const { message: response } = await peer.inbox.first((mail) => mail.message['~thread']?.thid === request['@id'], 'a response');
  const to = { verkey: contactOf(resolvePeer(response.did)).recipientKeys[0]!, url: alice.inbound };
  await peer.send(to, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'], pthid: invitation['@id'] } }));
  const active = (one: Body): boolean => one.state === 'active' && one.request_id === request['@id'];
  const { connection_id: id } = await alice.event('connections', active, 'the connection');
  return { to, id };
}

test('a request by a did:web is answered to where its document says', async () => {
  const peer = await stranger();
  const did = host.publish('requester', peer);
  const { id, to } = await requested(did, peer);
  assert.equal((await alice.get(`/connections/${id}`)).their_did, did);
  await peer.send(to, message('basicmessage/1.0/message', { content: 'from the web' }));
  await alice.event('basicmessages', (one) => one.connection_id === id && one.content === 'from the web', 'the message');
});

test("nobody connects as another's did:web, whatever document comes with it", async () => {
  const [owner, thief] = [await stranger(), await stranger()];
  const did = host.publish('owner', owner);
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const document = algoDocument({ did, verkey: thief.pair.verkey, endpoint: thief.url });
  const attached = { 'did_doc~attach': { data: signed(document, thief) } };
  for (const members of [{}, attached]) await thief.send(serviceOf(invitation), requestFor(thief, invitation, { did, ...members }));
  // the invitation is still there for the owner, whose request is taken after both
  const own = requestFor(owner, invitation, { did });
  await owner.send(serviceOf(invitation), own);
  await owner.inbox.first((mail) => mail.message['~thread']?.thid === own['@id'], 'the response');
  assert.deepEqual(owner.inbox.list.length, 1);
  assert.deepEqual(thief.inbox.list, []);
});

const signed = (document: object, by: Stranger): object => signedAttachment(Buffer.from(JSON.stringify(document)), by.pair).data;

test('an invitation that names a did:web; the response by that DID needs no other proof, one by another DID does', async () => {
  const peer = await stranger();
  const did = host.publish('inviter', peer);
  const other = host.publish('other-of-inviter', peer);
  const invite = (): Body => ({
    '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
    '@id': randomUUID(),
    label: 'web',
    ...HANDSHAKE,
    services: [did],
  });
  for (const [named, state] of [
    [other, 'request'],
    [did, 'active'],
  ] as const) {
    const got = await alice.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', invite());
    const { message: request } = await peer.inbox.first((mail) => mail.message['~thread']?.pthid === got.invi_msg_id, 'the request');
    const to = { verkey: contactOf(resolvePeer(request.did)).recipientKeys[0]!, url: alice.inbound };
    await peer.send(to, message('didexchange/1.1/response', { did: named, '~thread': { thid: request['@id'] } }));
    if (state === 'active')
      await alice.event('connections', (one) => one.connection_id === got.connection_id && one.state === state, state);
    const record = await alice.get(`/connections/${got.connection_id}`);
    assert.deepEqual([record.state, record.their_public_did], [state, did]);
    if (state === 'active') assert.equal(record.their_did, did);
  }
  const missing = { ...invite(), services: [`${did}-nowhere`] };
  assert.equal((await alice.call('POST', '/out-of-band/receive-invitation', missing)).status, 404);
});

test('a response by a did:web that cannot be resolved ends in an error', async () => {
  const peer = await stranger();
  const did = host.publish('gone', peer);
  const invitation = {
    '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
    '@id': randomUUID(),
    label: 'gone',
    ...HANDSHAKE,
    services: [{ id: '#i', type: 'did-communication', recipientKeys: [`did:key:${keyOf(peer)}`], serviceEndpoint: peer.url }],
  };
  const got = await alice.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  const { message: request } = await peer.inbox.first((mail) => mail.message['~thread']?.pthid === got.invi_msg_id, 'the request');
  host.pages.delete('/gone/did.json');
  const to = { verkey: contactOf(resolvePeer(request.did)).recipientKeys[0]!, url: alice.inbound };
  const proof = { data: signedAttachment(Buffer.from(did), peer.pair).data };
  await peer.send(to, message('didexchange/1.1/response', { did, 'did_rotate~attach': proof, '~thread': { thid: request['@id'] } }));
  const failed = await alice.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'error', 'the error');
  assert.match(failed.error_msg, /No document/);
});

const keyOf = (peer: Stranger): string => {
  const { verificationMethod } = algoDocument({ did: 'did:web:x', verkey: peer.pair.verkey }) as Body;
  return verificationMethod[0].publicKeyMultibase;
};

test('a peer moves to a did:web, and is told where there is none', async () => {
  const peer = await stranger();
  const link = await connectStranger(alice, peer);
  const missing = message('did-rotate/1.0/rotate', { to_did: `did:web:127.0.0.1%3A${host.port}:nobody` });
  await link.send(missing);
  const { message: report } = await peer.inbox.first((mail) => mail.message['~thread']?.thid === missing['@id'], 'the report');
  assert.equal(report.description.code, 'e.did.unresolvable');
  const mute = `did:web:127.0.0.1%3A${host.port}:mute`;
  host.pages.set('/mute/did.json', { status: 200, body: JSON.stringify({ id: mute }) });
  const silent = message('did-rotate/1.0/rotate', { to_did: mute });
  await link.send(silent);
  const second = await peer.inbox.first((mail) => mail.message['~thread']?.thid === silent['@id'], 'the other report');
  assert.equal(second.message.description.code, 'e.did.unresolvable_services');
  const home = await stranger();
  const did = host.publish('home', home);
  const rotate = message('did-rotate/1.0/rotate', { to_did: did });
  await link.send(rotate);
  const ack = await peer.inbox.first((mail) => mail.message['~thread']?.thid === rotate['@id'], 'the ack');
  assert.match(ack.message['@type'], /did-rotate\/1\.0\/ack$/);
  assert.equal((await alice.get(`/connections/${link.id}`)).their_did, did);
  await alice.post(`/connections/${link.id}/send-message`, { content: 'to your new home' });
  await home.inbox.first((mail) => mail.message.content === 'to your new home', 'the message');
  await home.send(link.to, message('basicmessage/1.0/message', { content: 'thanks' }));
  await alice.event('basicmessages', (one) => one.connection_id === link.id && one.content === 'thanks', 'the answer');
  await link.send(message('did-rotate/1.0/rotate', { to_did: peer.did }), newKeyPair());
  assert.equal((await alice.get(`/connections/${link.id}`)).their_did, did);
});
