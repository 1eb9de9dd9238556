import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { after, test } from 'node:test';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { commitsAtRest, connect, createWorld, freePort, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { message, requestFor, serviceOf, startStranger } from '../support/stranger.ts';

const world = createWorld();
after(() => world.close());

/** A wire tap: everything that goes through it, in both directions. */
async function tap(target: number): Promise<{ port: number; bytes: Buffer[] }> {
  const bytes: Buffer[] = [];
  const server = createServer((client) => {
    const upstream = connectTcp(target, '127.0.0.1');
    client.on('data', (chunk) => bytes.push(chunk));
    upstream.on('data', (chunk) => bytes.push(chunk));
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => server.close());
  return { port: (server.address() as AddressInfo).port, bytes };
}

test('nothing that two agents say to each other is readable between them', async () => {
  const [inner, other] = [await freePort(), await freePort()];
  const taps = [await tap(inner), await tap(other)];
  const alice = await world.start('tapped-alice', { port: inner, endpoint: `http://127.0.0.1:${taps[0]!.port}` });
  const bob = await world.start('tapped-bob', { port: other, endpoint: `http://127.0.0.1:${taps[1]!.port}` });
  const ids = await connect(alice, bob);
  await alice.post(`/connections/${ids.inviter}/send-message`, { content: 'between you and me' });
  await bob.event('basicmessages', (one) => one.content === 'between you and me', 'the message');
  for (const { bytes } of taps) {
    const wire = Buffer.concat(bytes).toString('latin1');
    assert.ok(wire.includes('"protected"') && wire.length > 2000, 'the tap saw the envelopes');
    // what is only encoded is as good as plain
    const decoded = [...wire.matchAll(/[A-Za-z0-9_-]{40,}/g)].map(([text]) => Buffer.from(text, 'base64url').toString('latin1')).join('\n');
    for (const word of ['@type', '"body"', '"message"', '~thread', 'didcomm.org', 'between you and me', 'tapped-'])
      assert.ok(!wire.includes(word) && !decoded.includes(word), `${word} can be read`);
  }
});

test('a receiver that is down loses nothing: every event arrives, once per id, in order per record, signed', async () => {
  const alice = await world.start('alice');
  const bob = await world.start('bob');
  await connect(alice, bob);
  alice.receiver.down = true;
  const made = [];
  for (let i = 0; i < 6; i++) made.push(await connectQuietly(alice, bob));
  await until(() => alice.receiver.refused > 0, 'a refused webhook');
  alice.receiver.down = false;
  await commitsAtRest(alice);
  const all = (await alice.get('/events?limit=1000')).results;
  assert.ok(all.every((event: { event_id: string }) => alice.hooks.list.some((hook) => hook.id === event.event_id)));
  for (const id of made) assert.deepEqual(await alice.states('connections', id), ['invitation', 'request', 'response', 'active']);
  assert.equal(new Set(alice.hooks.list.map((hook) => hook.id)).size, alice.hooks.list.length, 'no event came twice');
  assert.equal(alice.hooks.list.length, all.length);
  const { secret } = await alice.post('/webhooks/secret');
  for (const { id, topic, raw, headers } of alice.hooks.list) {
    assert.equal(headers['x-api-key'], alice.key);
    const [, time, hex] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-flexid-signature'])) ?? [];
    assert.equal(hex, createHmac('sha256', secret).update(`${time}.${id}.${topic}..${raw}`).digest('hex'));
  }
});

/** Connects without the inviter's webhooks. */
async function connectQuietly(inviter: TestAgent, invitee: TestAgent): Promise<string> {
  const made = await inviter.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  await invitee.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const found = await until(async () => {
    const { results } = await inviter.get(`/connections?invitation_msg_id=${made.invi_msg_id}&state=active`);
    return results[0];
  }, 'the connection');
  return found.connection_id;
}

test('webhooks that were pending when the agent stopped come after its start', async () => {
  const first = await world.start('stopped');
  first.receiver.down = true;
  const made = await first.post('/out-of-band/create-invitation', HANDSHAKE);
  await until(() => first.receiver.refused > 0, 'a refused webhook');
  await first.stop();
  first.receiver.down = false;
  const again = await world.start('stopped', { store: first.store, receiver: first.receiver });
  await again.event('connections', (one) => one.invitation_msg_id === made.invi_msg_id, 'the pending webhook');
  await again.event('out_of_band', (one) => one.invi_msg_id === made.invi_msg_id, 'the other one');
});

test('a delivery that was given up is listed, and sent again on demand', async () => {
  const first = await world.start('dead');
  first.receiver.down = true;
  const made = await first.post('/out-of-band/create-invitation', HANDSHAKE);
  await until(() => first.receiver.refused > 0, 'a refused webhook');
  await first.stop();
  // a day of tries later
  const db = await openSqlite({ path: first.store });
  const claimed = await until(async () => {
    const lanes = await db.jobs.claim({ owner: 'test', lanes: 10, perLane: 10, leaseMs: 10_000, kinds: ['event'] });
    return lanes.length > 0 && lanes;
  }, 'the jobs to be due');
  await db.jobs.settle(
    claimed.map(({ lane, lease, jobs }) => ({ lane, lease, dead: jobs.map((job) => ({ id: job.id, error: 'gave up' })) })),
  );
  await db.admin.close();
  first.receiver.down = false;
  const again = await world.start('dead', { store: first.store, receiver: first.receiver });
  const dead = await again.get('/dead-letters');
  assert.ok(dead.total >= 1);
  const [letter] = dead.results;
  assert.deepEqual([letter.kind, letter.error], ['event', 'gave up']);
  assert.ok(letter.event_id && letter.died_at);
  const ids = dead.results.map((one: { id: string }) => one.id);
  assert.deepEqual(await again.post('/dead-letters/replay', { ids: [...ids, 'nobody'] }), { replayed: ids.length });
  await again.hooks.first((hook) => hook.id === letter.event_id, 'the event that was given up');
  await again.event('connections', (one) => one.invitation_msg_id === made.invi_msg_id, 'its webhook');
  assert.equal((await again.get('/dead-letters')).total, 0);
});

test('a stranger without an endpoint gets its answer in the response, and its parked mail on its next requests, each once', async () => {
  const alice = await world.start('return-alice');
  const stranger = await startStranger({ endpoint: false });
  world.defer(stranger.close);
  const all = { '~transport': { return_route: 'all' } };
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const service = serviceOf(invitation);
  const request = requestFor(stranger, invitation, all);
  // a request waits some seconds; an answer that takes longer comes with the next one
  const posted = await until(async () => {
    const tried = await stranger.send(service, request);
    return tried.status === 200 && tried;
  }, 'what the request causes');
  const { connection_id: id } = await alice.event(
    'connections',
    (one) => one.state === 'response' && one.request_id === request['@id'],
    'the response',
  );
  assert.match(posted.reply['@type'], /didexchange\/1\.1\/response$/);
  const to = { verkey: contactOf(resolvePeer(posted.reply.did)).recipientKeys[0]!, url: alice.inbound };
  await stranger.send(to, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'] }, ...all }));
  for (const content of ['one', 'two', 'three']) await alice.post(`/connections/${id}/send-message`, { content });
  const ping = message('trust_ping/1.0/ping', { response_requested: true, ...all });
  const answer = await stranger.send(to, ping);
  assert.deepEqual([answer.status, answer.reply['~thread'].thid], [200, ping['@id']], 'the reply itself goes first');
  const got: string[] = [];
  for (let i = 0; i < 3; i++) {
    const more = await stranger.send(to, message('trust_ping/1.0/ping', { response_requested: false, ...all }));
    assert.equal(more.status, 200);
    got.push(more.reply.content);
  }
  assert.deepEqual(got, ['one', 'two', 'three']);
  const empty = await stranger.send(to, message('trust_ping/1.0/ping', { response_requested: false, ...all }));
  assert.deepEqual([empty.status, empty.body], [202, '']);
  const asking = await stranger.send(to, message('trust_ping/1.0/ping', { response_requested: true }));
  assert.deepEqual([asking.status, asking.body], [202, ''], 'without return-route nothing goes back');
});

test('parked mail is given to nobody but its peer', async () => {
  const alice = await world.start('parked-alice');
  const [mine, other] = [await startStranger({ endpoint: false }), await startStranger({ endpoint: false })];
  world.defer(mine.close);
  world.defer(other.close);
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  const service = serviceOf(invitation);
  const request = requestFor(mine, invitation);
  await mine.send(service, request);
  await alice.event('connections', (one) => one.state === 'response' && one.request_id === request['@id'], 'the response');
  const all = { response_requested: false, '~transport': { return_route: 'all' } };
  for (const sender of [other.pair, null]) {
    const posted = await other.post(service.url, other.seal(service.verkey, message('trust_ping/1.0/ping', all), sender));
    assert.deepEqual([posted.status, posted.body], [202, '']);
  }
  const posted = await mine.send(service, message('trust_ping/1.0/ping', all));
  assert.match(posted.reply['@type'], /response$/);
});
