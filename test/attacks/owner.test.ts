import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ADMIN, createOwner, EVENT, type Owner } from '../../harness/owner.ts';
import { createCommands } from '../../src/kernel/commands.ts';
import type { Kernel } from '../../src/kernel/context.ts';
import { ownerConnection } from '../../src/records/connection.ts';
import { createWorld, type TestAgent, until } from '../support/agents.ts';
import { registry } from '../support/steps.ts';

/** Orders of peers that are no owners, or are none any more. */

const world = createWorld();
after(() => world.close());

const LIST = ADMIN('connections', 'get-list');
const codeOf = async (owner: Owner): Promise<string | undefined> => (await owner.ask(LIST)).description?.code;
const line = (agent: TestAgent, verkey: string) =>
  JSON.parse(agent.logged.find((one) => one.includes(verkey) && one.includes('my_verkey'))!);

test('[OW-1] metadata is no grant, and a grant that was taken is gone', async () => {
  const agent = await world.start('agent');
  const owner = createOwner();
  const made = await agent.post('/connections/create-static', {
    their_verkey: owner.pair.verkey,
    metadata: { grants: ['admin-connections'] },
  });
  owner.to = { verkey: made.my_verkey, url: agent.inbound };
  assert.equal(await codeOf(owner), 'unauthorized');
  const path = `/connections/${made.record.connection_id}/grants`;
  await agent.call('PUT', path, { grants: ['admin-connections'] });
  assert.equal(await codeOf(owner), undefined);
  // of another family
  assert.equal((await owner.ask(ADMIN('schemas', 'schema-get-list'))).description.code, 'unauthorized');
  await agent.call('PUT', path, { grants: [] });
  assert.equal(await codeOf(owner), 'unauthorized');
});

test('[OW-2] an order that this agent would hand to itself is refused', async () => {
  const commands = createCommands({ registry, db: { store: {} } } as unknown as Kernel, () => assert.fail('a step is run'));
  const local = { connection: 'c1', message: { '@type': LIST, '@id': 'x' } };
  await assert.rejects(commands.deliverLocally('t', local, {}), { code: 'unauthorized' });
});

test('[OW-3] [OW-4] a former owner has neither orders nor events, whichever replica starts; a start that does not name a key takes nothing from it', async () => {
  const [first, second] = [createOwner(), createOwner()];
  const keys = (...owners: Owner[]) => owners.flatMap(({ pair }) => ['--owner-key', pair.verkey]);
  const before = await world.start('headed', { flags: keys(first, second) });
  for (const one of [first, second]) one.to = { verkey: line(before, one.pair.verkey).my_verkey, url: before.inbound };
  assert.deepEqual([await codeOf(first), await codeOf(second)], [undefined, undefined]);
  const restarted = (...flags: string[]) =>
    world.start('headed', { store: before.store, receiver: before.receiver, port: Number(new URL(before.inbound).port), flags });
  await before.stop();
  const other = await restarted(...keys(second));
  assert.deepEqual([await codeOf(first), await codeOf(second)], [undefined, undefined], 'a replica of another list');
  await other.stop();
  const ending = await restarted(...keys(second), '--former-owner-key', first.pair.verkey);
  assert.deepEqual([await codeOf(first), await codeOf(second)], ['unauthorized', undefined]);
  await ending.stop();
  const url = `didcomm:${ownerConnection(first.pair.verkey)}`;
  const again = await restarted(...keys(first, second), '--webhook-url', url);
  assert.equal(line(again, second.pair.verkey).my_verkey, second.to.verkey);
  assert.deepEqual([await codeOf(first), await codeOf(second)], ['unauthorized', undefined], 'an old list gives nothing back');
  const made = await again.post('/out-of-band/create-invitation', { handshake_protocols: ['didexchange/1.1'] });
  await second.events(({ payload }) => payload.invi_msg_id === made.invi_msg_id);
  await until(() => again.logged.some((one) => one.includes('an event has no receiver')), 'the warning');
  // its mail is older than the end of its rights
  const events = (await first.fetch()).filter(({ message }) => message['@type'] === EVENT);
  assert.ok(events.every(({ message }) => message.payload.invi_msg_id === undefined));
});

test('[OW-5] what a call has taken from an owner of the configuration, no later start gives back', async () => {
  const owner = createOwner();
  const flags = ['--owner-key', owner.pair.verkey];
  const before = await world.start('limited', { flags });
  owner.to = { verkey: line(before, owner.pair.verkey).my_verkey, url: before.inbound };
  assert.equal(await codeOf(owner), undefined);
  await before.call('PUT', `/connections/${ownerConnection(owner.pair.verkey)}/grants`, { grants: [] });
  assert.equal(await codeOf(owner), 'unauthorized');
  await before.stop();
  await world.start('limited', { store: before.store, receiver: before.receiver, port: Number(new URL(before.inbound).port), flags });
  assert.equal(await codeOf(owner), 'unauthorized');
});

test('a key that is none is refused before anything starts', async () => {
  await assert.rejects(
    world.start('wrong', { flags: ['--owner-key', 'not-a-key'] }),
    /--owner-key not-a-key: must be an Ed25519 public key/,
  );
});
