import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

/** RFC 0509. */

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

const MENU = {
  title: 'Welcome',
  options: [{ name: 'obtain', title: 'Obtain', form: { params: [{ name: 'q', title: 'Query', required: true }], 'submit-label': 'Go' } }],
};
const of = (id: string) => (one: Body) => one.connection_id === id;

test('a menu is asked for, shown, kept, performed and closed', async () => {
  assert.deepEqual(await bob.post(`/action-menu/${ids.invitee}/request`), {});
  const asked = await alice.event('get-active-menu', of(ids.inviter), 'the request');
  assert.ok(asked.thread_id);
  assert.deepEqual(await bob.post(`/action-menu/${ids.invitee}/fetch`), { result: null });
  await alice.post(`/action-menu/${ids.inviter}/send-menu`, { menu: MENU });
  const shown = await bob.event('actionmenu', of(ids.invitee), 'the menu');
  assert.deepEqual(shown.menu.options, MENU.options);
  await alice.post(`/action-menu/${ids.inviter}/send-menu`, { menu: { ...MENU, title: 'Again' } });
  await bob.event('actionmenu', (one) => one.menu?.title === 'Again', 'the next menu');
  assert.equal((await bob.post(`/action-menu/${ids.invitee}/fetch`)).result.title, 'Again');
  await bob.post(`/action-menu/${ids.invitee}/perform`, { name: 'obtain', params: { q: '42' } });
  const done = await alice.event('perform-menu-action', of(ids.inviter), 'the action');
  assert.deepEqual([done.action_name, done.action_params], ['obtain', { q: '42' }]);
  assert.deepEqual(await bob.post(`/action-menu/${ids.invitee}/close`), {});
  await bob.event('actionmenu', (one) => of(ids.invitee)(one) && one.menu === null, 'the end');
  assert.equal((await bob.call('POST', `/action-menu/${ids.invitee}/close`, {})).status, 404);
});

test('the statuses of ACA-Py: unknown, not ready, no menu', async () => {
  assert.equal((await alice.call('POST', '/action-menu/nobody/request', {})).status, 404);
  const { invitation } = await alice.post('/connections/create-invitation');
  const got = await bob.post('/connections/receive-invitation', invitation);
  assert.equal((await bob.call('POST', `/action-menu/${got.connection_id}/request`, {})).status, 403);
  assert.equal((await alice.call('POST', `/action-menu/${ids.inviter}/send-menu`, { menu: { title: 'no options' } })).status, 422);
});

test('a menu of a stranger is not shown, one that is none is reported, and a repeated action is told once', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const link = await connectStranger(alice, peer);
  await link.send(message('action-menu/1.0/menu', MENU), newKeyPair());
  assert.deepEqual(await alice.post(`/action-menu/${link.id}/fetch`), { result: null });
  const broken = message('action-menu/1.0/menu', { title: 'no options' });
  await link.send(broken);
  await peer.inbox.first((mail) => /problem-report$/.test(mail.message['@type']) && mail.message['~thread']?.thid === broken['@id'], 'it');
  const perform = message('action-menu/1.0/perform', { name: 'obtain' });
  for (let i = 0; i < 3; i++) await link.send(perform);
  await link.send(message('action-menu/1.0/perform', { name: 'last' }));
  await alice.event('perform-menu-action', (one) => of(link.id)(one) && one.action_name === 'last', 'the last');
  await until(
    () => alice.hooks.list.filter((hook) => hook.topic === 'perform-menu-action' && of(link.id)(hook.payload)).length === 2,
    'two',
  );
});
