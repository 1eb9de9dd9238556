import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

/** RFC 0804. */

const world = createWorld();
let alice: TestAgent;
let bob: TestAgent;
let ids: { inviter: string; invitee: string };

before(async () => {
  alice = await world.start('alice');
  bob = await world.start('bob');
  ids = await connect(alice, bob);
});
after(() => world.close());

const CALL = { jsonrpc: '2.0', method: 'add', id: 1, params: [1, 2] };
const RESULT = { jsonrpc: '2.0', result: 0, id: 1 };
const of = (thread: string) => (one: Body) => one.thread_id === thread;

test('a call is sent, answered and stored on both sides', async () => {
  const asked = await alice.post(`/drpc/${ids.inviter}/request`, { request: CALL });
  assert.deepEqual([asked['@type'], asked.request], ['https://didcomm.org/drpc/1.0/request', CALL]);
  const thread = asked['@id'];
  const notified = await bob.event('drpc_request', of(thread), 'the request');
  assert.deepEqual(notified, { connection_id: ids.invitee, thread_id: thread, request: { state: 'request-received', request: CALL } });
  const { results } = await bob.get(`/drpc/records?thread_id=${thread}&state=request-received`);
  assert.deepEqual([results.length, results[0].request, results[0].tags], [1, CALL, { connection_id: ids.invitee, thread_id: thread }]);
  const answered = await bob.post(`/drpc/${ids.invitee}/response`, { response: RESULT, thread_id: thread });
  assert.deepEqual([answered['@type'], answered['~thread']], ['https://didcomm.org/drpc/1.0/response', { thid: thread }]);
  const received = await alice.event('drpc_response', of(thread), 'the response');
  assert.deepEqual(received.response, { state: 'completed', request: CALL, response: RESULT });
  const [mine] = (await alice.get(`/drpc/records?connection_id=${ids.inviter}`)).results;
  const one = await alice.get(`/drpc/records/${mine.id}`);
  assert.deepEqual([one.state, one.request, one.response], ['completed', CALL, RESULT]);
  assert.deepEqual((await alice.get(`/drpc/records?connection_id=${ids.invitee}`)).results, []);
  // an answer is given once
  assert.equal((await bob.call('POST', `/drpc/${ids.invitee}/response`, { response: RESULT, thread_id: thread })).status, 400);
});

test('batches, notifications and faults pass as they are', async () => {
  const batch = [CALL, { jsonrpc: '2.0', method: 'log', params: { text: 'x' } }, { jsonrpc: '2.0', method: 'nothing', id: 'two' }];
  const { '@id': thread } = await alice.post(`/drpc/${ids.inviter}/request`, { request: batch });
  assert.deepEqual((await bob.event('drpc_request', of(thread), 'the batch')).request.request, batch);
  const response = [RESULT, { jsonrpc: '2.0', error: { code: -32601, message: 'Method not found' }, id: 'two' }];
  await bob.post(`/drpc/${ids.invitee}/response`, { response, thread_id: thread });
  assert.deepEqual((await alice.event('drpc_response', of(thread), 'the outcomes')).response.response, response);
  const note = await alice.post(`/drpc/${ids.inviter}/request`, { request: { jsonrpc: '2.0', method: 'log' } });
  await bob.event('drpc_request', of(note['@id']), 'the notification');
  await bob.post(`/drpc/${ids.invitee}/response`, { response: {}, thread_id: note['@id'] });
  assert.deepEqual((await alice.event('drpc_response', of(note['@id']), 'nothing')).response.response, {});
});

test('a body that JSON-RPC does not allow is 422, an unknown thread or record 404, a connection that is not ready 403', async () => {
  const wrong = [{ jsonrpc: '1.0', method: 'a' }, { jsonrpc: '2.0', method: 'rpc.x' }, { jsonrpc: '2.0', method: 'a', id: {} }, [], {}];
  for (const request of wrong) {
    const { status } = await alice.call('POST', `/drpc/${ids.inviter}/request`, { request });
    assert.equal(status, 422, JSON.stringify(request));
  }
  const error = { code: 1, message: 'no' };
  for (const response of [
    { jsonrpc: '2.0', id: 1 },
    { ...RESULT, error },
    { ...RESULT, id: null },
    { jsonrpc: '2.0', id: 1, error: {} },
  ]) {
    const { status } = await alice.call('POST', `/drpc/${ids.inviter}/response`, { response, thread_id: 't' });
    assert.equal(status, 422, JSON.stringify(response));
  }
  assert.equal((await alice.call('POST', `/drpc/${ids.inviter}/response`, { response: RESULT, thread_id: 'nobody' })).status, 404);
  assert.equal((await alice.call('GET', '/drpc/records/nobody')).status, 404);
  assert.equal((await alice.call('POST', '/drpc/nobody/request', { request: CALL })).status, 404);
  const { invitation } = await alice.post('/connections/create-invitation');
  const got = await bob.post('/connections/receive-invitation', invitation);
  assert.equal((await bob.call('POST', `/drpc/${got.connection_id}/request`, { request: CALL })).status, 403);
});

test('a call belongs to its connection: another peer neither answers it nor gets its answer', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const link = await connectStranger(alice, peer);
  const { '@id': thread } = await alice.post(`/drpc/${ids.inviter}/request`, { request: CALL });
  const forged = message('drpc/1.0/response', { '~thread': { thid: thread }, response: RESULT });
  await link.send(forged);
  await peer.inbox.first((mail) => /problem-report$/.test(mail.message['@type']) && mail.message['~thread']?.thid === thread, 'a report');
  assert.equal((await alice.get(`/drpc/records?thread_id=${thread}`)).results[0].state, 'request-sent');
  const asked = message('drpc/1.0/request', { request: CALL });
  await link.send(asked, newKeyPair());
  for (let i = 0; i < 2; i++) await link.send(asked);
  await alice.event('drpc_request', of(asked['@id']), 'the request');
  assert.equal((await alice.get(`/drpc/records?thread_id=${asked['@id']}`)).total, 1);
  const elsewhere = await alice.call('POST', `/drpc/${ids.inviter}/response`, { response: RESULT, thread_id: asked['@id'] });
  assert.equal(elsewhere.status, 404);
  await alice.post(`/drpc/${link.id}/response`, { response: RESULT, thread_id: asked['@id'] });
  const { message: answer } = await peer.inbox.first((mail) => /drpc\/1.0\/response$/.test(mail.message['@type']), 'the answer');
  assert.deepEqual([answer['~thread'].thid, answer.response], [asked['@id'], RESULT]);
});
