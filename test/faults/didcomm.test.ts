import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { signedAttachment, writeAttachment } from '../../src/didcomm/attachments.ts';
import { pack } from '../../src/didcomm/envelope-v1.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { type Body, commitsAtRest, createWorld, HANDSHAKE, type TestAgent, until, webhooksAtRest } from '../support/agents.ts';
import {
  connectStranger,
  type Link,
  message,
  type Posted,
  requestFor,
  type Stranger,
  serviceOf,
  startStranger,
} from '../support/stranger.ts';

/** The message port against those who mean no good: everything here is sent by a peer that is written by hand. */

const world = createWorld();
let alice: TestAgent;
let mallory: Stranger;
let link: Link;

before(async () => {
  alice = await world.start('alice', { flags: ['--max-message-size', '300000'] });
  mallory = await startStranger();
  world.defer(mallory.close);
  link = await connectStranger(alice, mallory);
});
after(() => world.close());

const counters = async (): Promise<Record<string, number>> => (await alice.get('/status')).conductor;
const DEEP = '['.repeat(1000) + ']'.repeat(1000);

/** Runs it and asserts that it left nothing in the database; the names of the counters that grew. */
async function leavesNothing(run: () => Promise<void>): Promise<string[]> {
  const commits = await commitsAtRest(alice);
  const before = await counters();
  await run();
  assert.equal(await commitsAtRest(alice), commits, 'something was stored');
  const after = await counters();
  return Object.keys(after).filter((name) => (after[name] ?? 0) > (before[name] ?? 0));
}

/** Waits until no delivery is under way: a ping that is answered has everything before it behind it. */
async function settled(): Promise<void> {
  const ping = message('trust_ping/1.0/ping', { response_requested: true });
  await link.send(ping);
  await mallory.inbox.first((mail) => mail.message['~thread']?.thid === ping['@id'], 'an answer to a ping');
  await commitsAtRest(alice);
}

const offer = (members: object = {}): Body =>
  message('issue-credential/2.0/offer-credential', {
    formats: [{ attach_id: 'a', format: 'anoncreds/credential-offer@v1.0' }],
    'offers~attach': [
      { '@id': 'a', 'mime-type': 'application/json', data: { base64: Buffer.from('{"cred_def_id": "x"}').toString('base64') } },
    ],
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'a', value: '1' }] },
    ...members,
  });

const records = async (): Promise<Body[]> => (await alice.get('/issue-credential-2.0/records?limit=10000')).results;
const recordOf = async (thread: string): Promise<Body[]> => (await alice.get(`/issue-credential-2.0/records?thread_id=${thread}`)).results;

/** The problem report that a message got. */
const problemFor = async (id: string): Promise<Body> =>
  (
    await mallory.inbox.first(
      (mail) => /problem[-_]report$/.test(mail.message['@type']) && mail.message['~thread']?.thid === id,
      'a problem report',
    )
  ).message;

for (const [what, body, status] of [
  ['a body over the limit', 'x'.repeat(300_001), 413],
  ['nothing', '', 400],
  ['JSON 1000 deep', `{"protected": ${DEEP}}`, 400],
  ['a truncated envelope', () => mallory.seal(link.to.verkey, offer()).slice(0, -20), 400],
  ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), 400],
  ['duplicate keys', () => mallory.seal(link.to.verkey, offer()).replace('"iv"', '"tag":"AAAA","iv"'), 400],
  ['a plaintext message', JSON.stringify(message('trust_ping/1.0/ping')), 400],
  ['a member that no envelope has', () => mallory.seal(link.to.verkey, offer()).replace('{', '{"extra":"1",'), 400],
  ['a JSON array', '[]', 400],
] as const) {
  test(`not an envelope: ${what} is answered ${status} before any cryptography, and nothing is stored`, async () => {
    const grew = await leavesNothing(async () => {
      const posted = await mallory.post(alice.inbound, typeof body === 'function' ? body() : body);
      assert.deepEqual([posted.status, posted.body], [status, '']);
    });
    assert.ok(!grew.includes('messages_received') && !grew.includes('refused_not_opened'), grew.join());
  });
}

test('a body over the limit that comes in chunks of unknown number is cut off', async () => {
  await leavesNothing(async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 65_536;
        if (sent > 50_000_000) controller.close();
        else controller.enqueue(new Uint8Array(65_536));
      },
    });
    const status = await fetch(alice.inbound, {
      method: 'POST',
      body: endless,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit)
      .then((response) => response.status)
      .catch(() => 413);
    assert.equal(status, 413);
    assert.ok(sent < 50_000_000, 'the whole body was read');
  });
});

test('a type that holds no envelope is refused; GET says what the port is for', async () => {
  assert.equal((await mallory.post(alice.inbound, '{}', 'text/html')).status, 415);
  assert.equal((await fetch(alice.inbound)).status, 200);
  assert.equal((await fetch(alice.inbound, { method: 'PUT', body: '{}' })).status, 405);
});

/** An envelope with one bit of a member flipped. */
function flipped(envelope: string, path: (outer: Body, head: Body) => [Body, string]): string {
  const outer = JSON.parse(envelope);
  const head = JSON.parse(Buffer.from(outer.protected, 'base64url').toString('utf8'));
  const [object, member] = path(outer, head);
  const bytes = Buffer.from(object[member], 'base64url');
  bytes[3]! ^= 1;
  object[member] = bytes.toString('base64url');
  if (object !== outer) outer.protected = Buffer.from(JSON.stringify(head)).toString('base64url');
  return JSON.stringify(outer);
}

test('an unknown key, a flipped bit, a foreign thread, a type from nobody: one status and one body for all, and each is counted', async () => {
  const stranger = await startStranger();
  world.defer(stranger.close);
  const sealed = (what: Body = message('trust_ping/1.0/ping')): string => mallory.seal(link.to.verkey, what);
  const other = newKeyPair();
  const rows: [string, string][] = [
    ['unknown key', mallory.seal(other.verkey, message('trust_ping/1.0/ping'))],
    ['ciphertext', flipped(sealed(), (outer) => [outer, 'ciphertext'])],
    ['tag', flipped(sealed(), (outer) => [outer, 'tag'])],
    ['iv', flipped(sealed(), (outer) => [outer, 'iv'])],
    ['encrypted key', flipped(sealed(), (_outer, head) => [head.recipients[0], 'encrypted_key'])],
    ['sender', flipped(sealed(), (_outer, head) => [head.recipients[0].header, 'sender'])],
    ['nonce', flipped(sealed(), (_outer, head) => [head.recipients[0].header, 'iv'])],
    ['dropped: unknown type of a stranger', stranger.seal(link.to.verkey, message('nothing/1.0/known'))],
    ['dropped: known type of a stranger', stranger.seal(link.to.verkey, offer())],
    ['dropped: ping of a stranger', stranger.seal(link.to.verkey, message('trust_ping/1.0/ping'))],
    ['dropped: anonymous offer', mallory.seal(link.to.verkey, offer(), null)],
    [
      'dropped: problem report of a stranger',
      stranger.seal(link.to.verkey, message('notification/1.0/problem-report', { description: { code: 'x' } })),
    ],
    ['dropped: ack of a stranger', stranger.seal(link.to.verkey, message('notification/1.0/ack', { status: 'OK' }))],
    ['dropped: no type', mallory.seal(link.to.verkey, { '@id': 'x' })],
    ['dropped: no id', mallory.seal(link.to.verkey, { '@type': 'https://didcomm.org/trust_ping/1.0/ping' })],
    ['dropped: an id that is none', mallory.seal(link.to.verkey, { ...message('trust_ping/1.0/ping'), '@id': 7 })],
    ['dropped: a type that is none', mallory.seal(link.to.verkey, { ...message('trust_ping/1.0/ping'), '@type': 'ping' })],
    ['dropped: a thread that is none', mallory.seal(link.to.verkey, message('trust_ping/1.0/ping', { '~thread': 'x' }))],
    ['dropped: an array', pack({ message: '[1]', recipients: [link.to.verkey], sender: mallory.pair })],
    ['dropped: deep', pack({ message: `{"@type":"x","@id":"y","a":${DEEP}}`, recipients: [link.to.verkey], sender: mallory.pair })],
    ['dropped: truncated', pack({ message: '{"@type":', recipients: [link.to.verkey], sender: mallory.pair })],
    [
      'dropped: duplicate keys',
      pack({
        message: '{"@type":"https://didcomm.org/trust_ping/1.0/ping","@id":"1","@id":"2"}',
        recipients: [link.to.verkey],
        sender: mallory.pair,
      }),
    ],
    ['dropped: not UTF-8', pack({ message: Buffer.from([0x7b, 0xff, 0x7d]), recipients: [link.to.verkey], sender: mallory.pair })],
    [
      'dropped: prototype',
      pack({
        message: '{"@type":"https://didcomm.org/trust_ping/1.0/ping","@id":"1","__proto__":{"a":1}}',
        recipients: [link.to.verkey],
        sender: mallory.pair,
      }),
    ],
  ];
  const before = { stranger: stranger.inbox.list.length, hooks: alice.hooks.list.length };
  for (const [what, envelope] of rows) {
    const grew = await leavesNothing(async () => {
      const response = await fetch(alice.inbound, {
        method: 'POST',
        headers: { 'content-type': 'application/didcomm-envelope-enc' },
        body: envelope,
      });
      const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'date'));
      assert.deepEqual([response.status, await response.text()], [202, ''], what);
      assert.deepEqual(headers, { connection: 'keep-alive', 'content-length': '0', 'keep-alive': 'timeout=30' }, what);
    });
    assert.equal(grew.filter((name) => name.startsWith('refused_')).length, 1, `${what} is counted once: ${grew.join()}`);
  }
  assert.equal(stranger.inbox.list.length, before.stranger, 'a stranger hears nothing');
  assert.equal(alice.hooks.list.length, before.hooks, 'the controller hears nothing');
});

test('a message that comes again, as it was or sealed anew, alone or twenty at once, has one effect', async () => {
  const text = message('basicmessage/1.0/message', { content: 'once', sent_time: '2026-01-01 00:00:00Z' });
  const envelope = mallory.seal(link.to.verkey, text);
  await mallory.post(link.to.url, envelope);
  await Promise.all(Array.from({ length: 20 }, (_none, i) => (i % 2 ? mallory.post(link.to.url, envelope) : link.send(text))));
  const marker = message('basicmessage/1.0/message', { content: 'after' });
  await link.send(marker);
  await alice.event('basicmessages', (one) => one.message_id === marker['@id'], 'the message after');
  await webhooksAtRest(alice);
  assert.equal(alice.hooks.list.filter((hook) => hook.payload.message_id === text['@id']).length, 1);

  const asked = offer();
  await Promise.all(Array.from({ length: 20 }, () => link.send(asked)));
  assert.equal((await recordOf(asked['@id'])).length, 1);
  assert.deepEqual(await alice.states('issue_credential_v2_0', (await recordOf(asked['@id']))[0].cred_ex_record.cred_ex_id), [
    'offer-received',
  ]);
});

test('a repeated message gets the same answer again', async () => {
  const ping = message('trust_ping/1.0/ping', { response_requested: true });
  const answers = (): Body[] => mallory.inbox.list.filter((mail) => mail.message['~thread']?.thid === ping['@id']);
  await link.send(ping);
  await until(() => answers().length === 1, 'the answer');
  await link.send(ping);
  await until(() => answers().length === 2, 'the answer again');
  assert.deepEqual(answers()[0], answers()[1]);
  const direct = await link.send({ ...ping, '~transport': { return_route: 'all' } });
  assert.equal(direct.status, 200);
  assert.deepEqual(direct.reply, answers()[0]!.message);
});

test('the same id with other content is the same message', async () => {
  const first = offer();
  await link.send(first);
  await link.send({ ...offer({ comment: 'another' }), '@id': first['@id'] });
  const found = await recordOf(first['@id']);
  assert.equal(found.length, 1);
  assert.equal(found[0].cred_ex_record.cred_offer.comment, undefined);
});

test("a connected peer cannot enter another connection's thread", async () => {
  const other = await startStranger();
  world.defer(other.close);
  const theirs = await connectStranger(alice, other);
  const asked = offer();
  await link.send(asked);
  const [{ cred_ex_record: before }] = await recordOf(asked['@id']);
  const intruder = message('issue-credential/2.0/issue-credential', {
    '~thread': { thid: asked['@id'] },
    formats: [{ attach_id: 'a', format: 'anoncreds/credential@v1.0' }],
    'credentials~attach': [],
  });
  for (const what of [
    intruder,
    message('issue-credential/2.0/problem-report', { '~thread': { thid: asked['@id'] }, description: { code: 'x', en: 'gone' } }),
    message('issue-credential/2.0/ack', { '~thread': { thid: asked['@id'] }, status: 'OK' }),
  ]) {
    await theirs.send(what);
  }
  const report = await other.inbox.first((mail) => /problem[-_]report$/.test(mail.message['@type']), 'a problem report for the intruder');
  assert.equal(report.message['~thread'].thid, asked['@id']);
  await settled();
  const [{ cred_ex_record: after }] = await recordOf(asked['@id']);
  assert.deepEqual(after, before);
  const anonymous: Posted = await link.send(
    message('issue-credential/2.0/problem-report', { '~thread': { thid: asked['@id'] }, description: { code: 'x' } }),
    null,
  );
  assert.equal(anonymous.status, 202);
  assert.deepEqual((await recordOf(asked['@id']))[0].cred_ex_record, before);
  await link.send(
    message('issue-credential/2.0/problem-report', { '~thread': { thid: asked['@id'] }, description: { code: 'x', en: 'ours' } }),
  );
  assert.equal((await recordOf(asked['@id']))[0].cred_ex_record.state, 'abandoned', 'the peer itself may');
});

for (const [what, type] of [
  ['of an unknown family', 'nothing/1.0/known'],
  ['of an unknown name', 'trust_ping/1.0/pong'],
  ['of another major version', 'trust_ping/2.0/ping'],
  ['of another major version of credentials', 'issue-credential/3.0/offer-credential'],
] as const) {
  test(`a message ${what} gets a problem report on its thread`, async () => {
    const sent = message(type, { response_requested: true });
    await link.send(sent);
    const report = await problemFor(sent['@id']);
    assert.equal(report['@type'], 'https://didcomm.org/notification/1.0/problem-report');
    assert.equal(report.description.code, 'message-parse-failure');
    assert.equal(await mallory.inbox.list.filter((mail) => mail.message['~thread']?.thid === sent['@id']).length, 1);
  });
}

test('a newer minor version is handled as the one that is known, under either prefix', async () => {
  for (const type of ['trust_ping/1.9/ping', 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/trust_ping/1.0/ping']) {
    const ping = message(type, { response_requested: true, from_the_future: { a: 1 } });
    await link.send(ping);
    const answer = await mallory.inbox.first((mail) => mail.message['~thread']?.thid === ping['@id'], 'an answer');
    assert.equal(answer.message['@type'], 'https://didcomm.org/trust_ping/1.0/ping_response');
  }
});

test('a message that does not fit its schema, or that nobody expects in this state, gets a problem report and no effect', async () => {
  const before = (await records()).length;
  const format = (name: string): object => ({ formats: [{ attach_id: 'a', format: `anoncreds/${name}@v1.0` }] });
  for (const [what, members, code] of [
    ['basicmessage/1.0/message', { content: 7 }, 'message-parse-failure'],
    ['issue-credential/2.0/offer-credential', { formats: 'none' }, 'message-parse-failure'],
    ['issue-credential/2.0/offer-credential', { formats: [{ attach_id: 'a', format: 'other/format@v1.0' }] }, 'message-parse-failure'],
    ['issue-credential/2.0/request-credential', format('credential-request'), 'invalid-state'],
    ['issue-credential/2.0/issue-credential', format('credential'), 'invalid-state'],
    ['present-proof/2.0/presentation', format('proof'), 'invalid-state'],
    ['didexchange/1.1/complete', {}, 'invalid-state'],
    ['out-of-band/1.1/handshake-reuse-accepted', {}, 'invalid-state'],
  ] as const) {
    const sent = message(what, members);
    await link.send(sent);
    const report = await problemFor(sent['@id']);
    assert.equal(report.description.code, code, what);
  }
  assert.equal((await records()).length, before);
  assert.equal((await alice.get(`/connections/${link.id}`)).state, 'active');
});

test('acks and problem reports never get a problem report, whatever is wrong with them', async () => {
  const rows = [
    message('notification/1.0/ack', { status: 'OK' }),
    message('issue-credential/2.0/ack', { '~thread': { thid: 'nowhere' }, status: 'OK' }),
    message('issue-credential/2.0/ack', {}),
    message('nothing/9.0/ack', {}),
    message('notification/1.0/problem-report', { description: { code: 'x', en: 'y' } }),
    message('issue-credential/2.0/problem-report', { '~thread': { thid: 'nowhere' }, description: 7 }),
    message('present-proof/2.0/problem-report', {}),
    message('nothing/9.0/problem_report', { description: null }),
  ];
  const asked = offer();
  await link.send(asked);
  rows.push(message('issue-credential/2.0/ack', { '~thread': { thid: asked['@id'] }, status: 'OK' }));
  await settled();
  const before = mallory.inbox.list.length;
  for (const row of rows) assert.equal((await link.send(row)).status, 202);
  await settled();
  const received = mallory.inbox.list.slice(before).filter((mail) => !/ping_response$/.test(mail.message['@type']));
  assert.deepEqual(received, []);
  assert.equal((await recordOf(asked['@id']))[0].cred_ex_record.state, 'offer-received');
  const notified = await alice.event('problem_report', (one) => one.description?.en === 'y', 'a problem report about nothing');
  assert.equal(notified.connection_id, link.id);
});

test('a did-exchange request that is not what it says is dropped, and the invitation stays open', async () => {
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const stranger = await startStranger();
  const impostor = await startStranger();
  world.defer(stranger.close);
  world.defer(impostor.close);
  const service = serviceOf(invitation);
  const good = requestFor(stranger, invitation);
  const made = (one: Body): boolean => one.invitation_msg_id === invitation['@id'] || one.invi_msg_id === invitation['@id'];
  await Promise.all(['connections', 'out_of_band'].map((topic) => alice.event(topic, made, 'the invitation')));
  await webhooksAtRest(alice);
  const before = alice.hooks.list.length;
  for (const [what, request, sender, to] of [
    ['anonymous', good, null, service],
    ['sealed by another key than the DID names', good, impostor.pair, service],
    ['to another key than the invitation has', good, undefined, link.to],
    ['no DID', { ...good, did: undefined }, undefined, service],
    ['a DID that is none', { ...good, did: 'did:peer:4zQmNothing' }, undefined, service],
    [
      'a DID whose document does not hash to it',
      { ...good, did: impostor.did.replace(/^(did:peer:4z.{46})/, stranger.did.slice(0, 57)) },
      impostor.pair,
      service,
    ],
    ['a DID of an unknown method', { ...good, did: 'did:nobody:1' }, undefined, service],
  ] as const) {
    const posted = await stranger.send(to, { ...request, '@id': `request ${what}`.replaceAll(' ', '-') }, sender);
    assert.deepEqual([posted.status, posted.body], [202, ''], what);
  }
  await settled();
  assert.equal(alice.hooks.list.length, before, 'no webhook');
  assert.equal(stranger.inbox.list.length + impostor.inbox.list.length, 0, 'no answer');
  await stranger.send(service, good);
  await stranger.inbox.first((mail) => mail.message['@type'].endsWith('/response'), 'the response to the good request');
});

test('a did-exchange response counts only when the invitation key signed the DID that it moves to', async () => {
  const stranger = await startStranger();
  world.defer(stranger.close);
  const invited = newKeyPair();
  const moved = await startStranger();
  world.defer(moved.close);
  const invitation = message('out-of-band/1.1/invitation', {
    label: 'stranger',
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [invited.verkey], serviceEndpoint: stranger.url }],
  });
  stranger.answer = { status: 202 };
  // mail for the invitation's key is opened by that key
  Object.assign(stranger.pair, invited);
  const { connection_id } = await alice.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  const { message: request } = await stranger.inbox.first((mail) => mail.message['@type'].endsWith('/request'), 'the request');
  const to = { verkey: contactOf(resolvePeer(request.did)).recipientKeys[0]!, url: alice.inbound };
  const rotation = (did: string, key = invited): object => ({
    'did_rotate~attach': writeAttachment(signedAttachment(Buffer.from(did), key)),
  });
  const response = (members: object): Body =>
    message('didexchange/1.1/response', { did: moved.did, '~thread': { thid: request['@id'], pthid: invitation['@id'] }, ...members });
  const tampered = writeAttachment(signedAttachment(Buffer.from(moved.did), invited)) as Body;
  tampered.data.base64 = Buffer.from(moved.did.replace(/.$/, (last) => (last === '2' ? '3' : '2'))).toString('base64url');
  for (const [what, members, sender] of [
    ['unsigned', {}, moved.pair],
    ['signed by the key that it moves to', rotation(moved.did, moved.pair), moved.pair],
    ['signed for another DID', rotation(mallory.did), moved.pair],
    ['signed, then altered', { 'did_rotate~attach': tampered }, moved.pair],
    ['signed, but sealed by another key', rotation(moved.did), mallory.pair],
    ['signed, but sealed by nobody', rotation(moved.did), null],
    ['signed, for another request', { ...rotation(moved.did), '~thread': { thid: 'other', pthid: invitation['@id'] } }, moved.pair],
  ] as const) {
    const posted = await moved.send(to, response(members), sender);
    assert.deepEqual([posted.status, posted.body], [202, ''], what);
    assert.equal((await alice.get(`/connections/${connection_id}`)).state, 'request', what);
  }
  await moved.send(to, response(rotation(moved.did)), moved.pair);
  const complete = await moved.inbox.first((mail) => mail.message['@type'].endsWith('/complete'), 'the complete');
  assert.equal(complete.message['~thread'].thid, request['@id']);
  await alice.event('connections', (one) => one.connection_id === connection_id && one.state === 'active', 'the active connection');
  assert.deepEqual(await alice.states('connections', connection_id), ['invitation', 'request', 'response', 'active']);
});

test('a message as large as the port takes is read', async () => {
  const dora = await world.start('dora');
  const stranger = await startStranger();
  world.defer(stranger.close);
  const known = await connectStranger(dora, stranger);
  const text = message('basicmessage/1.0/message', { content: 'x'.repeat(1_500_000) });
  await known.send(text);
  await dora.event('basicmessages', (one) => one.message_id === text['@id'], 'a large message');
});
