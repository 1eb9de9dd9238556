import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { signedAttachment, writeAttachment } from '../../src/didcomm/attachments.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { createPeer4, resolvePeer } from '../../src/dids/did-peer.ts';
import { peer4Document } from '../../src/dids/own-documents.ts';
import { unqualifiedDid } from '../../src/dids/unqualified.ts';
import { type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { connectStranger, message, requestFor, type Stranger, serviceOf, startStranger } from '../support/stranger.ts';

/** What cannot go on ends visibly: at the peer by a problem report, at our side in the record. And what did go on is told: an invitation that was used. */

const V1 = { handshake_protocols: ['https://didcomm.org/connections/1.0'] };
/** Of no `--egress-allow`. */
const NOWHERE = 'http://10.255.255.1:9';
const world = createWorld();
let alice: TestAgent;
let bob: TestAgent;

before(async () => {
  alice = await world.start('alice', { flags: ['--auto-accept-requests'] });
  bob = await world.start('bob', { flags: ['--auto-accept-invites'] });
});
after(() => world.close());

async function stranger(): Promise<Stranger> {
  const peer = await startStranger();
  world.defer(peer.close);
  return peer;
}

const create = (more: object = HANDSHAKE, query = ''): Promise<Body> => alice.post(`/out-of-band/create-invitation${query}`, more);
const remove = (made: Body): Promise<unknown> => alice.call('DELETE', `/out-of-band/invitations/${made.invi_msg_id}`);
const count = async (name: string): Promise<number> => (await alice.get('/status')).conductor[`refused_${name}`] ?? 0;
const reportFor = (peer: Stranger, request: Body) =>
  peer.inbox.first(
    (mail) => /problem[-_]report$/.test(mail.message['@type']) && mail.message['~thread']?.thid === request['@id'],
    'a report',
  );

/** A request of RFC 0160 for an invitation of ours. */
const oldRequest = (peer: Stranger, pthid?: string): Body => {
  const { did, document } = unqualifiedDid({ verkey: peer.pair.verkey, endpoint: peer.url });
  const thread = pthid === undefined ? {} : { '~thread': { pthid } };
  return message('connections/1.0/request', { label: 'old', connection: { DID: did, DIDDoc: document }, ...thread });
};

test('an invitation that many have answered is deleted as a whole, and takes nobody more', async () => {
  const made = await create(HANDSHAKE, '?multi_use=true');
  // more than one look brings
  for (let i = 0; i < 21; i++) {
    const peer = await stranger();
    await peer.send(serviceOf(made.invitation), requestFor(peer, made.invitation));
  }
  await remove(made);
  const late = await stranger();
  const request = requestFor(late, made.invitation);
  await late.send(serviceOf(made.invitation), request);
  await reportFor(late, request);
  assert.deepEqual((await alice.get(`/connections?invitation_msg_id=${made.invi_msg_id}`)).results, []);
});

test('a used, a deleted, a foreign and no invitation are one to whoever has the key of one: it hears that it is not open, and nothing more', async () => {
  const [first, peer] = [await stranger(), await stranger()];
  const used = await create();
  await first.send(serviceOf(used.invitation), requestFor(first, used.invitation));
  await first.inbox.first((mail) => mail.message['@type'].endsWith('/response'), 'the response');
  const [deleted, other, open] = [await create(), await create(), await create()];
  await remove(deleted);
  const received: object[] = [];
  for (const [what, made, named] of [
    ['used', used, used.invitation],
    ['deleted', deleted, deleted.invitation],
    ['of another key', open, other.invitation],
    ['none at all', open, { '@id': 'nowhere' }],
    ['unnamed', open, {}],
  ] as const) {
    const request = requestFor(peer, named);
    await peer.send(serviceOf(made.invitation), request);
    const { message: report, sender } = await reportFor(peer, request);
    assert.equal(sender, serviceOf(made.invitation).verkey, `${what}: under the key of the invitation`);
    assert.equal(report['@type'], 'https://didcomm.org/didexchange/1.1/problem_report', what);
    assert.equal(report['~thread'].pthid, (named as Body)['@id'], what);
    received.push(report.description);
    // said again it has the same answer, sealed anew or not
    const before = peer.inbox.list.length;
    await peer.send(serviceOf(made.invitation), request);
    await until(() => peer.inbox.list.length > before, 'the same again');
    assert.equal(peer.inbox.list.at(-1)!.message['@id'], report['@id'], what);
  }
  assert.deepEqual(new Set(received.map((one) => JSON.stringify(one))).size, 1);
  assert.deepEqual(received[0], { code: 'request_not_accepted', en: 'The invitation is not open' });
  // the invitations that it did not have are as they were
  for (const made of [other, open]) {
    const another = await stranger();
    await another.send(serviceOf(made.invitation), requestFor(another, made.invitation));
    await another.inbox.first((mail) => mail.message['@type'].endsWith('/response'), 'the response');
  }
});

test('a sender that has not shown its key, or wrote to a key that invites nobody, gets no answer', async () => {
  const [peer, impostor] = [await stranger(), await stranger()];
  const link = await connectStranger(alice, peer);
  const made = await create();
  await remove(made);
  const service = serviceOf(made.invitation);
  for (const [what, to, request, sender] of [
    ['anonymous', service, requestFor(impostor, made.invitation), null],
    ['sealed by another key than its DID names', service, requestFor(peer, made.invitation), impostor.pair],
    ['of a DID that is none', service, requestFor(impostor, made.invitation, { did: 'did:peer:4zQmNothing' }), undefined],
    ['to the key of a connection', link.to, requestFor(impostor, made.invitation), undefined],
    ['old, anonymous', service, oldRequest(impostor), null],
    ['old, sealed by another key', service, oldRequest(peer), impostor.pair],
  ] as const) {
    const before = (await count('step_refused')) + (await count('out_of_order')) + (await count('anonymous'));
    const posted = await impostor.send(to, request, sender);
    assert.deepEqual([posted.status, posted.body], [202, ''], what);
    await until(
      async () =>
        (await count('step_refused')) + (await count('out_of_order')) + (await count('anonymous')) > before ||
        what === 'sealed by another key than its DID names',
      `the refusal of what is ${what}`,
    );
  }
  const ping = message('trust_ping/1.0/ping', { response_requested: true });
  await link.send(ping);
  await peer.inbox.first((mail) => mail.message['~thread']?.thid === ping['@id'], 'an answer to what came later');
  for (const one of [peer, impostor]) assert.ok(!one.inbox.list.some((mail) => /problem/.test(mail.message['@type'])));
});

test('an agent without an address hears of it on the connection that its request opened', async () => {
  const away = await world.start('away', { noInbound: true, flags: ['--auto-accept-invites'] });
  for (const handshakes of [HANDSHAKE, V1]) {
    const made = await create(handshakes);
    await remove(made);
    const got = await away.post('/out-of-band/receive-invitation', made.invitation);
    const ended = await away.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'error', 'the end');
    assert.equal(ended.error_msg, 'request_not_accepted: The invitation is not open');
  }
});

test('RFC 0160 ends the same way, by its own report', async () => {
  const peer = await stranger();
  const used = await create(V1);
  const got = await bob.post('/out-of-band/receive-invitation', used.invitation);
  await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the first');
  const mixed = await create(HANDSHAKE);
  for (const made of [used, mixed]) {
    const request = oldRequest(peer, made.invi_msg_id);
    await peer.send(serviceOf(made.invitation), request);
    const { message: report } = await reportFor(peer, request);
    assert.equal(report['@type'], 'https://didcomm.org/connections/1.0/problem_report');
    assert.equal(report.description.code, 'request_not_accepted');
  }
  const second = await bob.post('/out-of-band/receive-invitation', used.invitation);
  const ended = await bob.event('connections', (one) => one.connection_id === second.connection_id && one.state === 'error', 'the refusal');
  assert.match(ended.error_msg, /not open/);
});

test('a reuse of an invitation that is not open is refused by a report that names both threads', async () => {
  const peer = await stranger();
  const link = await connectStranger(alice, peer);
  const used = await create();
  await bob.post('/out-of-band/receive-invitation', used.invitation);
  await alice.event('out_of_band', (one) => one.invi_msg_id === used.invi_msg_id && one.state === 'done', 'the use');
  for (const pthid of [used.invi_msg_id, 'nowhere']) {
    const reuse = message('out-of-band/1.1/handshake-reuse', {}, `reuse-${pthid}`);
    await link.send({ ...reuse, '~thread': { thid: reuse['@id'], pthid } });
    const { message: report } = await reportFor(peer, reuse);
    assert.equal(report['@type'], 'https://didcomm.org/out-of-band/1.1/problem-report');
    assert.deepEqual(report['~thread'], { thid: reuse['@id'], pthid });
    assert.ok(report.description.code);
  }
});

test('an invitation of many uses tells `done` once for each use, in every handshake, and stays open', async () => {
  const done = (made: Body): Body[] =>
    alice.hooks.list
      .filter(({ topic, payload }) => topic === 'out_of_band' && payload.invi_msg_id === made.invi_msg_id && payload.state === 'done')
      .map(({ payload }) => payload);
  const stored = async (made: Body): Promise<string> =>
    (await alice.get(`/out-of-band/records?invi_msg_id=${made.invi_msg_id}`)).results[0].state;
  const settled = async (made: Body, number: number): Promise<void> => {
    await until(() => done(made).length >= number, `${number} uses`);
    const marker = await create();
    await alice.event('out_of_band', (one) => one.invi_msg_id === marker.invi_msg_id, 'a later event');
    assert.equal(done(made).length, number);
    assert.equal(await stored(made), 'await-response');
  };

  const both = await create({ handshake_protocols: [...HANDSHAKE.handshake_protocols, ...V1.handshake_protocols] }, '?multi_use=true');
  const peers = await Promise.all([1, 2, 3, 4].map(stranger));
  const requests = peers.map((peer, i) => (i % 2 ? oldRequest(peer) : requestFor(peer, both.invitation)));
  // each twice at once, and once more when all is done
  const sendAll = () => Promise.all(peers.map((peer, i) => peer.send(serviceOf(both.invitation), requests[i]!)));
  await Promise.all([sendAll(), sendAll()]);
  await settled(both, 4);
  await sendAll();
  await settled(both, 4);
  const [made] = (await alice.get(`/out-of-band/records?invi_msg_id=${both.invi_msg_id}`)).results;
  for (const payload of done(both)) {
    const { state, updated_at, ...rest } = payload;
    assert.ok(updated_at >= made.updated_at);
    assert.deepEqual({ ...rest, state: made.state, updated_at: made.updated_at }, made, 'the record, as it is but for its state');
  }

  const reused = await create({ ...HANDSHAKE, use_did_method: 'did:peer:4' }, '?multi_use=true');
  const first = await bob.post('/out-of-band/receive-invitation', reused.invitation);
  await bob.event('connections', (one) => one.connection_id === first.connection_id && one.state === 'active', 'the connection');
  await alice.event('connections', (one) => one.invitation_msg_id === reused.invi_msg_id && one.state === 'active', 'the connection');
  const again = await bob.post('/out-of-band/receive-invitation', reused.invitation);
  assert.equal(again.state, 'reuse-accepted');
  await settled(reused, 2);
  const { connection_id } = await alice.event('connection_reuse', (one) => one.connection_id !== null, 'the reuse');
  assert.equal(done(reused)[1].connection_id, connection_id, 'a reuse names the connection that there was');
});

test('an offer that is answered on a connection that was there before is a use of its invitation', async () => {
  const { invitation } = await create({ ...HANDSHAKE, use_did_method: 'did:peer:2' });
  const got = await bob.post('/out-of-band/receive-invitation', invitation);
  await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the connection');
  const ours = await alice.event('connections', (one) => one.invitation_msg_id === invitation['@id'] && one.state === 'active', 'it');
  const asked = await alice.post('/present-proof-2.0/create-request', {
    presentation_request: { anoncreds: { requested_attributes: { n: { name: 'n' } }, requested_predicates: {} } },
  });
  const offered = await create({
    ...HANDSHAKE,
    use_did_method: 'did:peer:2',
    attachments: [{ id: asked.pres_ex_id, type: 'present-proof' }],
  });
  await bob.post('/out-of-band/receive-invitation', offered.invitation);
  const held = await bob.event('present_proof_v2_0', (one) => one.thread_id === asked.thread_id, 'the request');
  await bob.post(`/present-proof-2.0/records/${held.pres_ex_id}/send-presentation`, {
    anoncreds: { requested_attributes: {}, requested_predicates: {}, self_attested_attributes: { n: 'bob' } },
  });
  const done = await alice.event('out_of_band', (one) => one.invi_msg_id === offered.invi_msg_id && one.state === 'done', 'the use');
  assert.equal(done.connection_id, ours.connection_id);
});

test('a failed delivery is an error of the record that it belongs to', async () => {
  // without a connection
  const asked = message('present-proof/2.0/request-presentation', {
    formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
    'request_presentations~attach': [
      {
        '@id': 'a',
        data: { json: { nonce: '1', name: 'n', version: '1.0', requested_attributes: { n: { name: 'n' } }, requested_predicates: {} } },
      },
    ],
  });
  const service = { id: '#i', type: 'did-communication', recipientKeys: [newKeyPair().verkey], serviceEndpoint: NOWHERE };
  await alice.post(
    '/out-of-band/receive-invitation',
    message('out-of-band/1.1/invitation', { services: [service], 'requests~attach': [{ data: { json: asked } }] }),
  );
  const held = await alice.event('present_proof_v2_0', (one) => one.thread_id === asked['@id'], 'the request');
  await alice.post(`/present-proof-2.0/records/${held.pres_ex_id}/problem-report`, { description: 'no' });
  const errorOf = (path: string): Promise<string> =>
    until(async () => {
      const record = await alice.get(path);
      return /not allowed/.test(record.error_msg) && record.error_msg;
    }, `the trace at ${path}`);
  await errorOf(`/present-proof-2.0/records/${held.pres_ex_id}`);

  // on a connection whose peer has moved to where nobody can write
  const peer = await stranger();
  const link = await connectStranger(alice, peer);
  const { did } = createPeer4(peer4Document({ verkey: peer.pair.verkey, endpoint: NOWHERE }));
  await link.send(message('did-rotate/1.0/rotate', { to_did: did }));
  await peer.inbox.first((mail) => mail.message['@type'].endsWith('/ack'), 'the ack');
  const { pres_ex_id } = await alice.post('/present-proof-2.0/send-request', {
    connection_id: link.id,
    presentation_request: { anoncreds: { requested_attributes: { n: { name: 'n' } }, requested_predicates: {} } },
  });
  await errorOf(`/present-proof-2.0/records/${pres_ex_id}`);
  const { mediation_id } = (await alice.call('POST', `/mediation/request/${link.id}`, {})).body;
  await errorOf(`/mediation/requests/${mediation_id}`);
  const rotated = await alice.post(`/did-rotate/${link.id}/rotate`, {});
  assert.ok(rotated['@id']);
  await errorOf(`/connections/${link.id}`);
});

test('an attachment that cannot be taken is an error of its record; so is a report to an exchange without a state for it', async () => {
  const peer = await stranger();
  const invitation = message('out-of-band/1.1/invitation', {
    ...HANDSHAKE,
    label: 'stranger',
    services: [peer.did],
    'requests~attach': [{ data: { json: message('issue-credential/2.0/offer-credential', { formats: 'none' }) } }],
  });
  const got = await bob.post('/out-of-band/receive-invitation', invitation);
  const { message: request } = await peer.inbox.first((mail) => mail.message['@type'].endsWith('/request'), 'the request');
  assert.ok(got.connection_id);
  const { recipientKeys } = contactOf(resolvePeer(request.did));
  await peer.send(
    { verkey: recipientKeys[0]!, url: bob.inbound },
    message('didexchange/1.1/response', {
      did: peer.did,
      '~thread': { thid: request['@id'], pthid: invitation['@id'] },
      'did_rotate~attach': writeAttachment(signedAttachment(Buffer.from(peer.did), peer.pair)),
    }),
  );
  await until(
    async () => /attached message was not taken/.test((await bob.get(`/connections/${got.connection_id}`)).error_msg),
    'the trace',
  );

  const other = await stranger();
  const link = await connectStranger(alice, other);
  const { mediation_id } = (await alice.call('POST', `/mediation/request/${link.id}`, {})).body;
  const { message: asked } = await other.inbox.first((mail) => mail.message['@type'].endsWith('/mediate-request'), 'the request');
  await link.send(
    message('notification/1.0/problem-report', { '~thread': { thid: asked['@id'] }, description: { code: 'no', en: 'not here' } }),
  );
  await until(async () => (await alice.get(`/mediation/requests/${mediation_id}`)).error_msg === 'no: not here', 'the trace');
});

test('the key of a deleted invitation is kept for a month, and then goes', async () => {
  const made = await create();
  const { verkey } = serviceOf(made.invitation);
  const { db, registry } = alice.agent.kernel;
  await remove(made);
  assert.ok(await db.store.keyOwner(verkey));
  const lane = `command:base:oob_record:${made.oob_id}:remove-key`;
  const [claimed] = await db.jobs.claim({ owner: 'test', lanes: 1, perLane: 1, leaseMs: 1000, lane });
  const { payload } = claimed!.jobs[0]!;
  assert.equal(payload.command, 'remove-key');
  const { step } = registry.command('out-of-band', 'remove-key');
  assert.deepEqual(step.step({} as never, { body: payload.input, query: {} }), { removedKeyOwners: [verkey], removedKeys: [verkey] });
  await db.jobs.settle([{ lane: claimed!.lane, lease: claimed!.lease, done: [] }]);
});
