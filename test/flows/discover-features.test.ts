import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

/** RFC 0031 and RFC 0557. */

const world = createWorld({ held: true });
let alice: TestAgent;
let bob: TestAgent;
let ids: { inviter: string; invitee: string };

before(async () => {
  alice = await world.start('alice');
  bob = await world.start('bob');
  ids = await connect(alice, bob);
});
after(() => world.close());

const PING = 'https://didcomm.org/trust_ping/1.0';

test('version 1: a peer is asked, and the call waits for what it discloses', async () => {
  const got = await alice.get(`/discover-features/query?connection_id=${ids.inviter}&query=https://didcomm.org/trust_ping/*`);
  assert.deepEqual(
    [got.state, got.connection_id, got.query_msg.query],
    ['disclose-received', ids.inviter, 'https://didcomm.org/trust_ping/*'],
  );
  assert.deepEqual(got.disclose.protocols, [{ pid: PING, roles: ['sender', 'receiver'] }]);
  assert.deepEqual(await alice.states('discover_feature', got.discovery_exchange_id), []);
  const notified = await alice.event('discover_feature', (one) => one.state === 'disclose-received', 'the disclosure');
  assert.equal(notified.discovery_exchange_id, got.discovery_exchange_id);
  const again = await alice.get(`/discover-features/query?connection_id=${ids.inviter}`);
  assert.equal(again.discovery_exchange_id, got.discovery_exchange_id, 'one record for each connection');
  assert.ok(again.disclose.protocols.length > 8);
  const { results } = await alice.get(`/discover-features/records?connection_id=${ids.inviter}`);
  assert.deepEqual(results, [again]);
});

test('version 2: protocols by several queries, each once; no goal codes', async () => {
  const got = await bob.get(`/discover-features-2.0/queries?connection_id=${ids.invitee}`);
  assert.equal(got.state, undefined);
  const found = got.disclosures.disclosures as Body[];
  assert.deepEqual(new Set(found.map((one) => one['feature-type'])), new Set(['protocol']));
  assert.equal(new Set(found.map((one) => one.id)).size, found.length);
  assert.ok(found.some((one) => one.id === PING));
  await bob.event('discover_feature_v2_0', (one) => one.discovery_exchange_id === got.discovery_exchange_id && one.disclosures, 'it');
  assert.deepEqual((await bob.get(`/discover-features-2.0/records?connection_id=${ids.invitee}`)).results, [got]);
});

test('without a connection the agent tells of itself, and stores nothing', async () => {
  const one = await alice.get(`/discover-features/query?query=${PING}`);
  assert.deepEqual(one.disclose.protocols, [{ pid: PING, roles: ['sender', 'receiver'] }]);
  const two = await alice.get('/discover-features-2.0/queries?query_protocol=https://didcomm.org/nothing/*');
  assert.deepEqual(two.disclosures.disclosures, []);
  assert.equal((await alice.get('/discover-features-2.0/records')).results.length, 0);
});

test('a peer that does not answer is waited for five seconds; its late answer counts; a stranger gets and changes nothing', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const link = await connectStranger(alice, peer);
  const asked = Date.now();
  const open = await alice.get(`/discover-features-2.0/queries?connection_id=${link.id}&query_protocol=https://didcomm.org/*`);
  assert.ok(Date.now() - asked > 4000);
  assert.equal(open.disclosures, undefined);
  const { message: query } = await peer.inbox.first((mail) => mail.message['@type'].endsWith('discover-features/2.0/queries'), 'it');
  const answer = message('discover-features/2.0/disclosures', {
    '~thread': { thid: query['@id'] },
    disclosures: [{ 'feature-type': 'protocol', id: PING }],
  });
  await link.send(answer, newKeyPair());
  const read = async (): Promise<Body> => (await alice.get(`/discover-features-2.0/records?connection_id=${link.id}`)).results[0];
  assert.equal((await read()).disclosures, undefined);
  await link.send(answer);
  await alice.event('discover_feature_v2_0', (one) => one.connection_id === link.id && one.disclosures, 'the late answer');
  assert.equal((await read()).disclosures.disclosures[0].id, PING);
  const mine = message('discover-features/1.0/query', { query: '*' });
  await link.send(mine);
  const { message: notified } = await peer.inbox.first((mail) => mail.message['~thread']?.thid === mine['@id'], 'the answer');
  assert.equal(notified['@type'], 'https://didcomm.org/discover-features/1.0/disclose');
  await link.send(message('discover-features/1.0/disclose', { protocols: [{ pid: 'x' }] }));
  await alice.event('discover_feature', (one) => one.connection_id === link.id && one.state === 'disclose-received', 'unasked');
  assert.equal((await alice.call('GET', '/discover-features/query?connection_id=nobody')).status, 404);
});
