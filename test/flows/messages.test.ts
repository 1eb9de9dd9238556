import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';

/** Messages that are kept, and whether webhooks arrive. */

const world = createWorld();
let alice: TestAgent;
let bob: TestAgent;
let ids: { inviter: string; invitee: string };

before(async () => {
  alice = await world.start('alice', { flags: ['--store-messages'] });
  bob = await world.start('bob');
  ids = await connect(alice, bob);
});
after(() => world.close());

test('messages are kept where that is on, by connection and direction; they are deleted one by one', async () => {
  await alice.post(`/connections/${ids.inviter}/send-message`, { content: 'to bob' });
  await bob.event('basicmessages', ({ content }) => content === 'to bob', 'the message');
  await bob.post(`/connections/${ids.invitee}/send-message`, { content: '<b>to alice</b>' });
  await alice.event('basicmessages', ({ content }) => content === '<b>to alice</b>', 'the answer');
  const list = async (query = ''): Promise<Body> => await alice.get(`/basicmessages${query}`);
  assert.deepEqual(
    (await list(`?connection_id=${ids.inviter}`)).results.map(({ state, content, connection_id }: Body) => [state, content, connection_id]),
    [
      ['sent', 'to bob', ids.inviter],
      ['received', '<b>to alice</b>', ids.inviter],
    ],
  );
  const { results, total } = await list('?state=received');
  assert.equal(total, 1);
  assert.deepEqual(
    [(await list('?connection_id=x')).total, (await list('?from=2100-01-01')).total, (await list('?to=2100-01-01')).total],
    [0, 0, 2],
  );
  assert.equal((await alice.call('DELETE', `/basicmessages/${results[0].message_id}`)).status, 200);
  assert.equal((await alice.call('GET', `/basicmessages/${results[0].message_id}`)).status, 404);
  assert.equal((await list()).total, 1);
  assert.equal((await bob.get('/basicmessages')).total, 0, 'off without the flag');
  assert.equal((await bob.call('PUT', '/settings', { extra_settings: { 'store-messages': true } })).status, 200);
  await bob.post(`/connections/${ids.invitee}/send-message`, { content: 'kept now' });
  assert.equal((await bob.get('/basicmessages')).results[0].content, 'kept now');
  await alice.event('basicmessages', ({ content }) => content === 'kept now', 'the message');
});

test('a test event goes to the webhooks, and tries are shown with their status and no body', async () => {
  const of = async (topic: string): Promise<Body[]> =>
    (await alice.get('/webhooks/deliveries')).results.flatMap(({ tries }: Body) => tries).filter((one: Body) => one.topic === topic);
  assert.deepEqual(await alice.post('/webhooks/test'), { topic: 'webhook_test' });
  await alice.event('webhook_test', () => true, 'the test event');
  await until(async () => (await of('webhook_test')).length > 0, 'the try');
  const [first] = await of('webhook_test');
  assert.deepEqual([first.attempt, first.status, Object.keys(first).sort()], [1, 200, ['attempt', 'event_id', 'status', 'time', 'topic']]);
  assert.deepEqual((await alice.get('/events?limit=1000')).results.at(-1).event_id, first.event_id);
  alice.receiver.down = true;
  await alice.post('/webhooks/test');
  await until(async () => (await of('webhook_test')).some(({ status }) => status === 503), 'the failure');
  alice.receiver.down = false;
  await until(async () => (await of('webhook_test'))[0]!.status === 200, 'the repetition');
  assert.ok((await of('webhook_test'))[0]!.attempt > 1);
});
