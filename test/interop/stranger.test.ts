import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anchor, type Body, createWorld, type TestAgent } from '../support/agents.ts';
import {
  didKey,
  fromBase58,
  type Json,
  type Keys,
  type Mail,
  makeLegacy,
  makePeer2,
  makePeer4,
  NEW_TYPE,
  newKeys,
  OLD_PREFIX,
  OLD_TYPE,
  open,
  type Peer,
  PREFIX,
  readPeer4,
  say,
  seal,
  signAttachment,
  startPeer,
  toBase58,
  verifyAttachment,
  verifySignature,
  verkeyOf,
} from './stranger.ts';

/**
 * Every message that the agent emits, field by field, as a peer sees it that knows only libsodium and JSON (stranger.ts). It needs no network and no installation;
 * it is of this suite because it is about what foreign peers see, and stands or falls with what the live ones do.
 */

const world = createWorld();
let alice: TestAgent;
let bob: TestAgent;
let credDefId: string;
let peer: Peer;

before(async () => {
  const devnet = await world.devnet();
  [alice, bob] = await Promise.all([
    world.start('alice', { devnet, sponsor: true, flags: ['--monitor-ping'] }),
    world.start('bob', { devnet, flags: ['--emit-old-didcomm-mime-type'] }),
  ]);
  peer = await startPeer();
  world.defer(peer.close);
  credDefId = (await anchor(alice, ['name', 'age'])).credDefId;
});
after(() => world.close());

const ID = /^[!-~]{8,256}$/;
const attached = (attachment: Body): Json => JSON.parse(Buffer.from(attachment.data.base64, 'base64').toString());

/** What every message and envelope of the agent has; then the members of this one, none more and none less. */
function checked(mail: Mail, type: string, members: readonly string[], sender?: string): Json {
  const { message, envelope, head } = mail;
  assert.equal(message['@type'], PREFIX + type);
  assert.match(message['@id'], ID);
  assert.deepEqual(Object.keys(message).sort(), ['@id', '@type', ...members].sort(), type);
  assert.deepEqual(Object.keys(envelope).sort(), ['ciphertext', 'iv', 'protected', 'tag']);
  assert.deepEqual([head.enc, head.typ, head.alg], ['xchacha20poly1305_ietf', 'JWM/1.0', 'Authcrypt']);
  assert.deepEqual(Object.keys(head.recipients[0].header).sort(), ['iv', 'kid', 'sender']);
  for (const part of ['ciphertext', 'iv', 'protected', 'tag']) assert.match(envelope[part], /^[\w-]+={0,2}$/, part);
  if (sender) assert.equal(mail.sender, sender);
  return message;
}

interface Link {
  readonly agent: TestAgent;
  /** The agent's id of the connection. */
  readonly id: string;
  readonly mine: Keys;
  /** The agent's key. */
  readonly theirs: string;
  send(message: Json, options?: { sender?: Keys; type?: string }): Promise<Awaited<ReturnType<Peer['post']>>>;
}

function linked(agent: TestAgent, id: string, mine: Keys, theirs: string): Link {
  return {
    agent,
    id,
    mine,
    theirs,
    send: (message, { sender = mine, type } = {}) => peer.post(agent.inbound, seal(message, theirs, sender), type),
  };
}

function fresh(): Keys {
  const keys = newKeys();
  peer.keys.push(keys);
  return keys;
}

const answerTo = (id: string) => (mail: Mail) => mail.message['~thread']?.thid === id;
const active = (agent: TestAgent, matches: (one: Body) => boolean) =>
  agent.event('connections', (one) => one.state === 'active' && matches(one), 'an active connection');

/** Comes by an out-of-band invitation of the agent, by did-exchange 1.1. */
async function come(agent: TestAgent, did: (keys: Keys) => string, prefix = PREFIX, type?: string): Promise<Link & { invitation: Body }> {
  const { invitation } = await agent.post('/out-of-band/create-invitation?auto_accept=true', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  const [service] = invitation.services;
  const mine = fresh();
  const invitationKey = verkeyOf(service.recipientKeys[0]);
  const named = did(mine);
  const request = say('didexchange/1.1/request', { label: 'stranger', did: named, '~thread': { pthid: invitation['@id'] } }, prefix);
  await peer.post(service.serviceEndpoint, seal(request, invitationKey, mine), type);
  const mail = await peer.hear('response', answerTo(request['@id']));
  const response = checked(mail, 'didexchange/1.1/response', ['~thread', 'did', 'did_rotate~attach']);
  assert.deepEqual(response['~thread'], { thid: request['@id'], pthid: invitation['@id'] });
  assert.equal(verifyAttachment(response['did_rotate~attach'], invitationKey), response.did, 'the invitation key signs the new DID');
  const document = readPeer4(response.did);
  const method = document.verificationMethod.find((one: Json) => one.type === 'Ed25519VerificationKey2018');
  assert.equal(mail.sender, method.publicKeyBase58, 'sealed by the key of the DID that it tells');
  const { serviceEndpoint, recipientKeys, type: kind } = document.service[0];
  assert.deepEqual([serviceEndpoint, recipientKeys, kind], [agent.inbound, [method.id], 'did-communication']);
  const x25519 = document.verificationMethod.find((one: Json) => one.type === 'X25519KeyAgreementKey2019');
  assert.equal(fromBase58(x25519.publicKeyBase58).length, 32);
  const thread = { thid: request['@id'], pthid: invitation['@id'] };
  await peer.post(agent.inbound, seal(say('didexchange/1.1/complete', { '~thread': thread }, prefix), method.publicKeyBase58, mine), type);
  const one = await active(agent, (c) => c.request_id === request['@id']);
  return { ...linked(agent, one.connection_id, mine, method.publicKeyBase58), invitation };
}

for (const [form, make] of [
  ['did:peer:2', makePeer2],
  ['did:peer:4', makePeer4],
] as const) {
  for (const [prefix, type] of [
    [PREFIX, NEW_TYPE],
    [OLD_PREFIX, OLD_TYPE],
  ] as const) {
    test(`did-exchange 1.1 by our invitation with a ${form} of hand, types under ${prefix}, as ${type}`, async () => {
      const link = await come(alice, (keys) => make(keys, peer.url), prefix, type);
      const one = await alice.get(`/connections/${link.id}`);
      assert.equal(one.their_label, 'stranger');
      assert.ok(make(link.mine, peer.url).startsWith(one.their_did));
      assert.equal(peer.inbox.list.at(-1)!.type, NEW_TYPE, 'the media type of RFC 0044');
    });
  }
}

test('the invitation of the agent has the members of RFC 0434, a did:key and no more', async () => {
  const { invitation, invitation_url } = await alice.post('/out-of-band/create-invitation', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    goal: 'to meet',
    goal_code: 'meet',
    accept: ['didcomm/aip2;env=rfc19'],
  });
  assert.equal(invitation['@type'], 'https://didcomm.org/out-of-band/1.1/invitation');
  assert.deepEqual(Object.keys(invitation).sort(), [
    ...['@id', '@type', 'accept', 'goal', 'goal_code', 'handshake_protocols', 'label', 'services'],
  ]);
  const [service] = invitation.services;
  assert.deepEqual([service.type, service.serviceEndpoint], ['did-communication', alice.inbound]);
  assert.equal(didKey(verkeyOf(service.recipientKeys[0])), service.recipientKeys[0].split('#')[0]);
  assert.deepEqual(JSON.parse(Buffer.from(invitation_url.split('oob=')[1], 'base64url').toString()), invitation);
});

test('the agent comes by our invitation: did-exchange 1.1', async () => {
  const mine = fresh();
  const invitation = say('out-of-band/1.1/invitation', {
    label: 'stranger',
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [didKey(mine.verkey)], serviceEndpoint: peer.url }],
  });
  const got = await alice.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  const mail = await peer.hear('request', (one) => one.message['~thread']?.pthid === invitation['@id']);
  const request = checked(mail, 'didexchange/1.1/request', ['~thread', 'label', 'did']);
  assert.deepEqual([request['~thread'].thid, request.label], [request['@id'], 'alice']);
  const document = readPeer4(request.did);
  assert.equal(document.verificationMethod[0].publicKeyBase58, mail.sender);
  const pairwise = fresh();
  const did = makePeer4(pairwise, peer.url);
  const thread = { thid: request['@id'], pthid: invitation['@id'] };
  const forged = say('didexchange/1.1/response', { did, 'did_rotate~attach': signAttachment(did, pairwise), '~thread': thread });
  await peer.post(alice.inbound, seal(forged, mail.sender!, pairwise));
  assert.equal((await alice.get(`/connections/${got.connection_id}`)).state, 'request', 'signed by another key than the invitation has');
  const response = say('didexchange/1.1/response', { did, 'did_rotate~attach': signAttachment(did, mine), '~thread': thread });
  await peer.post(alice.inbound, seal(response, mail.sender!, pairwise));
  const complete = checked(await peer.hear('complete', answerTo(request['@id'])), 'didexchange/1.1/complete', ['~thread'], mail.sender);
  assert.deepEqual(complete['~thread'], thread);
  await active(alice, (one) => one.connection_id === got.connection_id);
});

test('did-exchange 1.0, either way: documents are attached and signed', async () => {
  const offer = { handshake_protocols: ['https://didcomm.org/didexchange/1.0'] };
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', offer);
  const invitationKey = verkeyOf(invitation.services[0].recipientKeys[0]);
  const mine = fresh();
  const { did, document } = makeLegacy(mine, peer.url);
  const request = say('didexchange/1.0/request', {
    label: 'stranger',
    did,
    'did_doc~attach': signAttachment(JSON.stringify(document), mine),
    '~thread': { pthid: invitation['@id'] },
  });
  await peer.post(alice.inbound, seal(request, invitationKey, mine));
  const mail = await peer.hear('response', answerTo(request['@id']));
  const response = checked(mail, 'didexchange/1.0/response', ['~thread', 'did', 'did_doc~attach']);
  const theirs = JSON.parse(verifyAttachment(response['did_doc~attach'], invitationKey));
  assert.deepEqual(theirs.service[0].recipientKeys, [mail.sender]);
  assert.deepEqual([theirs.id, theirs.service[0].serviceEndpoint], [`did:sov:${response.did}`, alice.inbound]);
  assert.equal(response.did, toBase58(fromBase58(mail.sender!).subarray(0, 16)));
  const thread = { thid: request['@id'], pthid: invitation['@id'] };
  await peer.post(alice.inbound, seal(say('didexchange/1.0/complete', { '~thread': thread }), mail.sender!, mine));
  await active(alice, (one) => one.request_id === request['@id'] && one.connection_protocol === 'didexchange/1.0');

  const back = fresh();
  const ours = say('out-of-band/1.0/invitation', {
    label: 'stranger',
    ...offer,
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [didKey(back.verkey)], serviceEndpoint: peer.url }],
  });
  const got = await alice.post('/out-of-band/receive-invitation?auto_accept=true', ours);
  const asked = await peer.hear('request', (one) => one.message['~thread']?.pthid === ours['@id']);
  const theirRequest = checked(asked, 'didexchange/1.0/request', ['~thread', 'label', 'did', 'did_doc~attach']);
  const notified = JSON.parse(verifyAttachment(theirRequest['did_doc~attach'], asked.sender!));
  assert.deepEqual(notified.service[0].recipientKeys, [asked.sender]);
  const legacy = makeLegacy(back, peer.url);
  const reply = say('didexchange/1.0/response', {
    did: legacy.did,
    'did_doc~attach': signAttachment(JSON.stringify(legacy.document), back),
    '~thread': { thid: theirRequest['@id'], pthid: ours['@id'] },
  });
  await peer.post(alice.inbound, seal(reply, asked.sender!, back));
  checked(await peer.hear('complete', answerTo(theirRequest['@id'])), 'didexchange/1.0/complete', ['~thread'], asked.sender);
  await active(alice, (one) => one.connection_id === got.connection_id);
});

test('connections 1.0 by our invitation: the response is signed by its key, an ack completes', async () => {
  const { invitation, connection_id } = await alice.post('/connections/create-invitation?auto_accept=true', {});
  assert.deepEqual(Object.keys(invitation).sort(), ['@id', '@type', 'label', 'recipientKeys', 'serviceEndpoint']);
  const mine = fresh();
  const { did, document } = makeLegacy(mine, peer.url);
  const request = say('connections/1.0/request', { label: 'stranger', connection: { DID: did, DIDDoc: document } }, OLD_PREFIX);
  await peer.post(invitation.serviceEndpoint, seal(request, invitation.recipientKeys[0], mine), OLD_TYPE);
  const mail = await peer.hear('response', answerTo(request['@id']));
  const response = checked(mail, 'connections/1.0/response', ['~thread', 'connection~sig']);
  assert.deepEqual(response['~thread'], { thid: request['@id'] });
  const { value, time } = verifySignature(response['connection~sig'], invitation.recipientKeys[0]);
  assert.match(response['connection~sig']['@type'], /signature\/1\.0\/ed25519Sha512_single$/);
  assert.ok(Math.abs(time - Date.now() / 1000) < 600, 'the time of the signature');
  assert.deepEqual(value.DIDDoc.service[0].recipientKeys, [mail.sender]);
  assert.equal((await alice.get(`/connections/${connection_id}`)).state, 'response');
  const ack = say('notification/1.0/ack', { status: 'OK', '~thread': { thid: request['@id'] } }, OLD_PREFIX);
  await peer.post(alice.inbound, seal(ack, mail.sender!, mine), OLD_TYPE);
  await active(alice, (one) => one.connection_id === connection_id);
});

let link: Link & { invitation: Body };
test('ping and basic message: threads, reply only where asked, decorators that are not understood do no harm', async () => {
  link = await come(alice, (keys) => makePeer4(keys, peer.url));
  const decorated = {
    '~timing': { out_time: '2026-01-01T00:00:00Z', expires_time: '2026-01-02' },
    '~l10n': { locale: 'de' },
    '~trace': { target: 'log', full_thread: true },
    '~unheard-of': 7,
  };
  for (const prefix of [PREFIX, OLD_PREFIX]) {
    const ping = say('trust_ping/1.0/ping', { response_requested: true, comment: 'hallo', ...decorated }, prefix);
    await link.send(ping);
    const pong = checked(await peer.hear('ping_response', answerTo(ping['@id'])), 'trust_ping/1.0/ping_response', ['~thread'], link.theirs);
    assert.deepEqual(pong['~thread'], { thid: ping['@id'] });
  }
  const silent = say('trust_ping/1.0/ping', { response_requested: false });
  await link.send(silent);
  await alice.event('ping', (one) => one.thread_id === silent['@id'], 'the ping');
  const sent = say('basicmessage/1.0/message', { content: 'Grüße \u{1F44B}', sent_time: '2026-01-01T00:00:00Z', ...decorated }, OLD_PREFIX);
  await link.send(sent, { type: OLD_TYPE });
  const received = await alice.event('basicmessages', (one) => one.message_id === sent['@id'], 'the message');
  assert.equal(received.content, 'Grüße \u{1F44B}');

  await alice.post(`/connections/${link.id}/send-message`, { content: 'und zurück' });
  const back = await peer.hear('message', ({ message }) => message.content === 'und zurück');
  const message = checked(back, 'basicmessage/1.0/message', ['content', 'sent_time'], link.theirs);
  assert.match(message.sent_time, /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z$/, 'RFC 0095: ISO 8601');
  const { thread_id } = await alice.post(`/connections/${link.id}/send-ping`, { comment: 'noch da?' });
  const ping = checked(
    await peer.hear('ping', (mail) => mail.message['@id'] === thread_id),
    'trust_ping/1.0/ping',
    ['comment', 'response_requested'],
    link.theirs,
  );
  assert.deepEqual([ping.comment, ping.response_requested], ['noch da?', true]);
  assert.ok(!peer.inbox.list.some(answerTo(silent['@id'])), 'a ping that asks for no answer has none');
});

test('an answer comes in the same session where return_route asks for it, and is sealed the same', async () => {
  const ping = say('trust_ping/1.0/ping', { response_requested: true, '~transport': { return_route: 'all' } });
  const { status, type, reply } = await link.send(ping);
  assert.deepEqual([status, type?.split(';')[0]], [200, NEW_TYPE]);
  checked(reply!, 'trust_ping/1.0/ping_response', ['~thread'], link.theirs);
  const second = say('trust_ping/1.0/ping', { response_requested: true });
  const plain = await link.send(second);
  assert.deepEqual([plain.status, plain.reply], [202, undefined]);
  await peer.hear('ping_response', answerTo(second['@id']));
});

test('a message for another, damaged, in plain text or by a stranger to the thread has the same empty 202 and no effect', async () => {
  const ping = () => say('trust_ping/1.0/ping', { response_requested: true });
  const whole = seal(ping(), link.theirs, link.mine);
  const envelope = JSON.parse(whole);
  const flipped = { ...envelope, tag: `${envelope.tag.startsWith('A') ? 'B' : 'A'}${envelope.tag.slice(1)}` };
  const before = peer.inbox.list.length;
  for (const bytes of [
    seal(ping(), newKeys().verkey, link.mine),
    JSON.stringify(flipped),
    seal(ping(), link.theirs, newKeys()),
    seal(ping(), link.theirs, null),
  ]) {
    const { status, reply } = await peer.post(alice.inbound, bytes);
    assert.deepEqual([status, reply], [202, undefined]);
  }
  await link.send(say('basicmessage/1.0/message', { content: 'the last', sent_time: '2026-01-01 00:00:00Z' }));
  await alice.event('basicmessages', (one) => one.content === 'the last', 'what came after');
  assert.equal(peer.inbox.list.length, before, 'nothing was answered');
});

test('an agent told so seals as application/ssi-agent-wire', async () => {
  await come(bob, (keys) => makePeer4(keys, peer.url));
  assert.equal((await peer.hear('response', ({ type }) => type === OLD_TYPE)).type, OLD_TYPE);
});

test('discover features 1.0 and 2.0, asked and asking', async () => {
  const query = say('discover-features/1.0/query', { query: 'https://didcomm.org/did*' }, OLD_PREFIX);
  await link.send(query);
  const disclose = checked(await peer.hear('disclose', answerTo(query['@id'])), 'discover-features/1.0/disclose', ['~thread', 'protocols']);
  assert.deepEqual(disclose.protocols.map(({ pid }: Json) => pid).sort(), [
    ...['did-rotate/1.0', 'didexchange/1.0', 'didexchange/1.1'].map((one) => PREFIX + one),
  ]);
  assert.ok(disclose.protocols.every(({ roles }: Json) => roles === undefined || Array.isArray(roles)));
  const queries = say('discover-features/2.0/queries', {
    queries: [
      { 'feature-type': 'protocol', match: 'https://didcomm.org/trust_ping/1.*' },
      { 'feature-type': 'goal-code', match: '*' },
    ],
  });
  await link.send(queries);
  const mail = await peer.hear('disclosures', answerTo(queries['@id']));
  const { disclosures } = checked(mail, 'discover-features/2.0/disclosures', ['~thread', 'disclosures']);
  assert.deepEqual(
    disclosures.map((one: Json) => [one['feature-type'], one.id]),
    [['protocol', 'https://didcomm.org/trust_ping/1.0']],
  );

  const asking = alice.get(`/discover-features-2.0/queries?query_protocol=*&connection_id=${link.id}`);
  const asked = await peer.hear('queries');
  const ours = checked(asked, 'discover-features/2.0/queries', ['queries'], link.theirs);
  assert.deepEqual(ours.queries[0], { 'feature-type': 'protocol', match: '*' });
  const notified = [{ 'feature-type': 'protocol', id: 'https://didcomm.org/trust_ping/1.0', roles: ['sender'] }];
  await link.send(say('discover-features/2.0/disclosures', { disclosures: notified, '~thread': { thid: ours['@id'] } }));
  assert.deepEqual((await asking).disclosures.disclosures, notified);

  const older = alice.get(`/discover-features/query?query=*&comment=bitte&connection_id=${link.id}`);
  const one = checked(await peer.hear('query'), 'discover-features/1.0/query', ['query', 'comment'], link.theirs);
  await link.send(say('discover-features/1.0/disclose', { protocols: [{ pid: 'x/1.0' }], '~thread': { thid: one['@id'] } }));
  assert.deepEqual((await older).disclose.protocols, [{ pid: 'x/1.0' }]);
});

test('action menu, each way', async () => {
  const asked = say('action-menu/1.0/menu-request', {});
  await link.send(asked);
  await alice.event('get-active-menu', (one) => one.thread_id === asked['@id'], 'the request');
  const menu = { title: 'Menü', description: 'zwei', options: [{ name: 'a', title: 'A', description: 'eins' }] };
  await alice.post(`/action-menu/${link.id}/send-menu`, { menu });
  const shown = checked(await peer.hear('menu'), 'action-menu/1.0/menu', ['title', 'description', 'options'], link.theirs);
  assert.deepEqual(shown.options, menu.options);
  const perform = say('action-menu/1.0/perform', { name: 'a', params: { x: '1' }, '~thread': { thid: shown['@id'] } });
  await link.send(perform);
  const done = await alice.event('perform-menu-action', (one) => one.action_name === 'a', 'the action');
  assert.deepEqual([done.action_params, done.thread_id], [{ x: '1' }, shown['@id']]);
  await alice.post(`/action-menu/${link.id}/request`);
  checked(await peer.hear('menu-request'), 'action-menu/1.0/menu-request', [], link.theirs);
  await link.send(say('action-menu/1.0/menu', menu));
  await alice.event('actionmenu', (one) => one.menu?.title === 'Menü', 'our menu');
  await alice.post(`/action-menu/${link.id}/perform`, { name: 'a', params: {} });
  const ours = checked(await peer.hear('perform'), 'action-menu/1.0/perform', ['name', 'params'], link.theirs);
  assert.deepEqual([ours.name, ours.params], ['a', {}]);
});

test('reuse of a connection that a DID names, each way', async () => {
  const key = fresh();
  const did = makePeer2(key, peer.url);
  const invite = (): Json =>
    say('out-of-band/1.1/invitation', { label: 'stranger', handshake_protocols: ['https://didcomm.org/didexchange/1.1'], services: [did] });
  const first = invite();
  const got = await alice.post('/out-of-band/receive-invitation?auto_accept=true', first);
  const mail = await peer.hear('request', (one) => one.message['~thread']?.pthid === first['@id']);
  // RFC 0023: no rotation where the inviter stays with the DID of the invitation, but the signature is there all the same
  const members = { did, 'did_rotate~attach': signAttachment(did, key), '~thread': { thid: mail.message['@id'], pthid: first['@id'] } };
  await peer.post(alice.inbound, seal(say('didexchange/1.1/response', members), mail.sender!, key));
  await active(alice, (one) => one.connection_id === got.connection_id);
  const second = invite();
  const answer = alice.post('/out-of-band/receive-invitation?auto_accept=true', second);
  const reuse = await peer.hear('handshake-reuse', (one) => one.message['~thread']?.pthid === second['@id']);
  const message = checked(reuse, 'out-of-band/1.1/handshake-reuse', ['~thread'], mail.sender);
  assert.deepEqual(message['~thread'], { thid: message['@id'], pthid: second['@id'] });
  await peer.post(
    alice.inbound,
    seal(say('out-of-band/1.1/handshake-reuse-accepted', { '~thread': message['~thread'] }), mail.sender!, key),
  );
  assert.equal((await answer).connection_id, got.connection_id);

  const made = await alice.post('/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
  const ask = say('out-of-band/1.1/handshake-reuse', {});
  ask['~thread'] = { thid: ask['@id'], pthid: made.invi_msg_id };
  await link.send(ask);
  const accepted = checked(
    await peer.hear('handshake-reuse-accepted', answerTo(ask['@id'])),
    'out-of-band/1.1/handshake-reuse-accepted',
    ['~thread'],
    link.theirs,
  );
  assert.deepEqual(accepted['~thread'], { thid: ask['@id'], pthid: made.invi_msg_id });
});

test('a rejected request: the problem report of RFC 0023 in the thread', async () => {
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=false', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  const mine = fresh();
  const request = say('didexchange/1.1/request', { label: 's', did: makePeer4(mine, peer.url), '~thread': { pthid: invitation['@id'] } });
  await peer.post(alice.inbound, seal(request, verkeyOf(invitation.services[0].recipientKeys[0]), mine));
  const one = await alice.event('connections', (c) => c.state === 'request' && c.request_id === request['@id'], 'the request');
  await alice.post(`/didexchange/${one.connection_id}/reject`, { reason: 'nein' });
  const mail = await peer.hear('problem_report', answerTo(request['@id']));
  const report = checked(mail, 'didexchange/1.1/problem_report', ['~thread', 'description']);
  assert.deepEqual(report.description, { code: 'request_not_accepted', en: 'nein' });
});

/** One format of one attachment, which stands in for the whole content of an exchange's message. */
function onlyAttachment(message: Json, field: string, format: string): Json {
  assert.equal(message.formats.length, 1);
  assert.equal(message[field].length, 1);
  const [entry] = message.formats;
  assert.deepEqual([entry.attach_id, entry.format], [message[field][0]['@id'], format]);
  assert.equal(message[field][0]['mime-type'], 'application/json');
  return attached(message[field][0]);
}

const formatted = (field: string, format: string, base64: string): Json => ({
  formats: [{ attach_id: 'a', format }],
  [field]: [{ '@id': 'a', 'mime-type': 'application/json', data: { base64 } }],
});

test('issue-credential 2.0 from offer to ack: we carry the content between two agents and read every message', async () => {
  const toHolder = await come(bob, (keys) => makePeer4(keys, peer.url));
  const offered = await alice.post('/issue-credential-2.0/send-offer', {
    connection_id: link.id,
    auto_issue: true,
    comment: 'für dich',
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: {
      '@type': 'https://didcomm.org/issue-credential/2.0/credential-preview',
      attributes: [
        { name: 'name', value: 'Eva' },
        { name: 'age', value: '30' },
      ],
    },
  });
  const first = await peer.hear('offer-credential');
  const offer = checked(
    first,
    'issue-credential/2.0/offer-credential',
    ['comment', 'credential_preview', 'formats', 'offers~attach'],
    link.theirs,
  );
  assert.deepEqual([offer['@id'], offer.comment], [offered.thread_id, 'für dich']);
  assert.equal(offer.credential_preview['@type'], 'https://didcomm.org/issue-credential/2.0/credential-preview');
  assert.deepEqual(offer.credential_preview.attributes, [
    { name: 'name', value: 'Eva' },
    { name: 'age', value: '30' },
  ]);
  const content = onlyAttachment(offer, 'offers~attach', 'anoncreds/credential-offer@v1.0');
  assert.deepEqual(Object.keys(content).sort(), ['cred_def_id', 'key_correctness_proof', 'nonce', 'schema_id']);

  const relayed = say('issue-credential/2.0/offer-credential', {
    credential_preview: offer.credential_preview,
    ...formatted('offers~attach', 'anoncreds/credential-offer@v1.0', offer['offers~attach'][0].data.base64),
  });
  await toHolder.send(relayed);
  const held = await bob.event('issue_credential_v2_0', (one) => one.thread_id === relayed['@id'], 'the offer');
  await bob.post(`/issue-credential-2.0/records/${held.cred_ex_id}/send-request`);
  const asked = await peer.hear('request-credential');
  const request = checked(asked, 'issue-credential/2.0/request-credential', ['~thread', 'formats', 'requests~attach'], toHolder.theirs);
  assert.deepEqual(request['~thread'], { thid: relayed['@id'] });
  const wanted = onlyAttachment(request, 'requests~attach', 'anoncreds/credential-request@v1.0');
  assert.deepEqual(Object.keys(wanted).sort(), ['blinded_ms', 'blinded_ms_correctness_proof', 'cred_def_id', 'entropy', 'nonce']);

  await link.send(
    say('issue-credential/2.0/request-credential', {
      '~thread': { thid: offer['@id'] },
      ...formatted('requests~attach', 'anoncreds/credential-request@v1.0', request['requests~attach'][0].data.base64),
    }),
  );
  const given = await peer.hear('issue-credential');
  const issued = checked(
    given,
    'issue-credential/2.0/issue-credential',
    ['~thread', '~please_ack', 'formats', 'credentials~attach'],
    link.theirs,
  );
  assert.deepEqual(issued['~thread'], { thid: offer['@id'] });
  assert.deepEqual(issued['~please_ack'], { on: ['OUTCOME'] });
  const credential = onlyAttachment(issued, 'credentials~attach', 'anoncreds/credential@v1.0');
  assert.deepEqual([credential.values.name.raw, credential.values.age.encoded], ['Eva', '30']);

  await toHolder.send(
    say('issue-credential/2.0/issue-credential', {
      '~thread': { thid: relayed['@id'] },
      '~please_ack': { on: ['OUTCOME'] },
      ...formatted('credentials~attach', 'anoncreds/credential@v1.0', issued['credentials~attach'][0].data.base64),
    }),
  );
  await bob.event(
    'issue_credential_v2_0',
    (one) => one.cred_ex_id === held.cred_ex_id && one.state === 'credential-received',
    'the credential',
  );
  await bob.post(`/issue-credential-2.0/records/${held.cred_ex_id}/store`);
  const thanks = await peer.hear('ack', answerTo(relayed['@id']));
  const ack = checked(thanks, 'issue-credential/2.0/ack', ['~thread', 'status'], toHolder.theirs);
  assert.deepEqual([ack['~thread'], ack.status], [{ thid: relayed['@id'] }, 'OK']);
  await link.send(say('issue-credential/2.0/ack', { status: 'OK', '~thread': { thid: offer['@id'] } }, OLD_PREFIX));
  await alice.event('issue_credential_v2_0', (one) => one.cred_ex_id === offered.cred_ex_id && one.state === 'done', 'our ack');
});

const PROOF = { name: 'p', version: '1.0', nonce: '1234567890', requested_attributes: { a: { name: 'nick' } }, requested_predicates: {} };

test('present-proof 2.0: the agent answers our request, asks us, and says and hears of problems', async () => {
  const request = say('present-proof/2.0/request-presentation', {
    will_confirm: true,
    ...formatted('request_presentations~attach', 'anoncreds/proof-request@v1.0', Buffer.from(JSON.stringify(PROOF)).toString('base64')),
  });
  await link.send(request);
  const got = await alice.event('present_proof_v2_0', (one) => one.thread_id === request['@id'], 'the request');
  await alice.post(`/present-proof-2.0/records/${got.pres_ex_id}/send-presentation`, {
    anoncreds: { self_attested_attributes: { a: 'Eva' }, requested_attributes: {}, requested_predicates: {} },
  });
  const shown = await peer.hear('presentation', answerTo(request['@id']));
  const presentation = checked(shown, 'present-proof/2.0/presentation', ['~thread', 'formats', 'presentations~attach'], link.theirs);
  const proof = onlyAttachment(presentation, 'presentations~attach', 'anoncreds/proof@v1.0');
  assert.deepEqual(proof.requested_proof.self_attested_attrs, { a: 'Eva' });
  await link.send(say('present-proof/2.0/ack', { status: 'OK', '~thread': { thid: request['@id'] } }));
  await alice.event('present_proof_v2_0', (one) => one.pres_ex_id === got.pres_ex_id && one.state === 'done', 'our ack');

  const sent = await alice.post('/present-proof-2.0/send-request', { connection_id: link.id, presentation_request: { anoncreds: PROOF } });
  const asked = await peer.hear('request-presentation', (mail) => mail.message['@id'] === sent.thread_id);
  const members = ['formats', 'request_presentations~attach', 'will_confirm'];
  const ours = checked(asked, 'present-proof/2.0/request-presentation', members, link.theirs);
  assert.equal(ours.will_confirm, true);
  assert.deepEqual(
    onlyAttachment(ours, 'request_presentations~attach', 'anoncreds/proof-request@v1.0').requested_attributes,
    PROOF.requested_attributes,
  );
  const report = { description: { code: 'presentation-rejected', en: 'lieber nicht' }, '~thread': { thid: ours['@id'] } };
  await link.send(say('present-proof/2.0/problem-report', report, OLD_PREFIX));
  const abandoned = await alice.event(
    'present_proof_v2_0',
    (one) => one.pres_ex_id === sent.pres_ex_id && one.state === 'abandoned',
    'our no',
  );
  assert.match(abandoned.error_msg, /lieber nicht/);

  const again = say('present-proof/2.0/request-presentation', { ...request, '@id': `${request['@id']}-2` });
  await link.send(again);
  const second = await alice.event('present_proof_v2_0', (one) => one.thread_id === again['@id'], 'the request');
  await alice.post(`/present-proof-2.0/records/${second.pres_ex_id}/problem-report`, { description: 'jetzt nicht' });
  const refused = await peer.hear('problem-report', answerTo(again['@id']));
  const notified = checked(refused, 'present-proof/2.0/problem-report', ['~thread', 'description'], link.theirs);
  assert.deepEqual([notified['~thread'], notified.description.en], [{ thid: again['@id'] }, 'jetzt nicht']);
  assert.equal(typeof notified.description.code, 'string');
});

test('rotation, each way: the new DID is told and acknowledged under the old one', async () => {
  const { to_did } = await alice.post(`/did-rotate/${link.id}/rotate`);
  const mail = await peer.hear('rotate');
  const rotate = checked(mail, 'did-rotate/1.0/rotate', ['to_did'], link.theirs);
  assert.equal(rotate.to_did, to_did);
  const theirs = readPeer4(to_did).verificationMethod[0].publicKeyBase58;
  await link.send(say('did-rotate/1.0/ack', { status: 'OK', '~thread': { thid: rotate['@id'] } }));
  await alice.event('did-rotate', (one) => one.thread_id === rotate['@id'] && one.state === 'ack-received', 'our ack');
  const moved = linked(alice, link.id, link.mine, theirs);
  const ping = say('trust_ping/1.0/ping', { response_requested: true });
  await moved.send(ping);
  checked(await peer.hear('ping_response', answerTo(ping['@id'])), 'trust_ping/1.0/ping_response', ['~thread'], theirs);

  const next = fresh();
  const move = say('did-rotate/1.0/rotate', { to_did: makePeer2(next, peer.url) });
  await moved.send(move);
  const acked = await peer.hear('ack', answerTo(move['@id']));
  const ack = checked(acked, 'did-rotate/1.0/ack', ['~thread', 'status'], theirs);
  assert.deepEqual([ack.status, acked.recipient], ['OK', link.mine.verkey], 'to the old key');
  await alice.post(`/connections/${link.id}/send-message`, { content: 'umgezogen?' });
  const message = await peer.hear('message', (one) => one.message.content === 'umgezogen?');
  assert.equal(message.recipient, next.verkey, 'to the new key');
  const unknown = say('did-rotate/1.0/rotate', { to_did: 'did:example:123' });
  await linked(alice, link.id, next, theirs).send(unknown);
  const refused = await peer.hear('problem-report', answerTo(unknown['@id']));
  const report = checked(refused, 'did-rotate/1.0/problem-report', ['~thread', 'description'], theirs);
  assert.equal(report.description.code, 'e.did.unsupported_method');
  await alice.post(`/did-rotate/${link.id}/hangup`);
  checked(await peer.hear('hangup'), 'did-rotate/1.0/hangup', [], theirs);
});

test('the checks of the helper can also fail', () => {
  const keys = newKeys();
  const attachment = signAttachment('x', keys);
  assert.equal(verifyAttachment(attachment, keys.verkey), 'x');
  assert.throws(() => verifyAttachment(attachment, newKeys().verkey));
  attachment.data.base64 = Buffer.from('y').toString('base64url');
  assert.throws(() => verifyAttachment(attachment, keys.verkey));
  const envelope = seal({ a: 1 }, keys.verkey, newKeys());
  assert.deepEqual(open(envelope, [keys]).message, { a: 1 });
  assert.throws(() => open(envelope, [newKeys()]));
});
