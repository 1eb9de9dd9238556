import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { didKeyToVerkey } from '../../src/didcomm/encoding.ts';
import { createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { MULTITENANT, newTenant, type Tenant } from '../support/tenants.ts';
import { bringCredo, type Credo, type CredoMediation, credoVersion, startCredo } from './credo.ts';

/**
 * Agents of ours without an address, live behind mediators of Credo's that tell of WebSockets alone. Such a mediator knows one socket of each connection, the one
 * that it heard something on last, and leaves live mode when that changes.
 */

const STRATEGIES = ['QueueAndLiveModeDelivery', 'DirectDelivery'] as const;
const SILENCE_MS = 60_000;
/** So long that nothing in these tests is noticed by it. */
const HARDLY_EVER = ['--mediator-check-interval', '100000'];

const world = createWorld();
after(() => world.close());

type Client = Pick<TestAgent, 'get' | 'post' | 'call'>;

interface Mediator {
  readonly credo: Credo;
  readonly invitation: string;
}

async function startMediator(name: string, strategy: (typeof STRATEGIES)[number], more: CredoMediation = {}): Promise<Mediator> {
  const credo = await startCredo(world, name, 'mediator', { strategy, webSocketsAlone: true, ...more });
  assert.match(credo.url, /^ws:/);
  return { credo, invitation: (await credo.ask('inviteUrl')).url };
}

const granted = (client: Client): Promise<unknown> =>
  until(async () => (await client.get('/mediation/default-mediator')).state === 'granted', 'the mediation to be granted', 30_000);

const isLive = (client: TestAgent, count = 1): Promise<unknown> =>
  until(
    () => client.logged.filter((line) => line.includes('mail comes from the mediator') && line.includes('"live"')).length >= count,
    'mail to come live',
    30_000,
  );

async function startClient(name: string, { invitation }: Mediator, flags: readonly string[] = HARDLY_EVER): Promise<TestAgent> {
  const client = await world.start(name, { noInbound: true, flags: ['--mediator-invitation', invitation, ...flags] });
  await granted(client);
  return client;
}

let friend: TestAgent;
before(async () => {
  await bringCredo();
  process.stdout.write(`peer: @credo-ts/didcomm ${credoVersion()}\n`);
  friend = await world.start('friend', { flags: ['--monitor-ping'] });
});

/** The friend comes by a new key of the client's. @returns its connection */
async function befriend(client: Client, body: object = {}): Promise<string> {
  const { invitation } = await client.post('/out-of-band/create-invitation?auto_accept=true', { ...HANDSHAKE, ...body });
  const got = await friend.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', invitation);
  await friend.event('connections', (one) => one.state === 'active' && one.connection_id === got.connection_id, 'the connection');
  return got.connection_id;
}

let sent = 0;
/** A message to the client, which it hears. */
async function send(client: Pick<TestAgent, 'event'>, connection: string): Promise<void> {
  const content = `to the client, ${++sent}`;
  await friend.post(`/connections/${connection}/send-message`, { content });
  await client.event('basicmessages', (one) => one.content === content, 'the message');
}

/** The client's answer comes by itself, so it has heard the ping. */
async function ping(connection: string): Promise<void> {
  const { thread_id } = await friend.post(`/connections/${connection}/send-ping`, {});
  await friend.event('ping', (one) => one.state === 'response_received' && one.thread_id === thread_id, 'the answer to a ping');
}

/** Clients that are left alone until the end. */
const silent: { readonly client: TestAgent; readonly connections: readonly string[] }[] = [];

for (const strategy of STRATEGIES) {
  describe(`behind a mediator of Credo's with ${strategy}`, () => {
    let mediator: Mediator;
    before(async () => {
      mediator = await startMediator(`credo-${strategy}`, strategy);
    });

    test('peers come right after the grant, and by many keys at once', async () => {
      const client = await startClient(`client-${strategy}`, mediator);
      const first = await befriend(client);
      await isLive(client);
      const all = await Promise.all(Array.from({ length: 4 }, () => befriend(client)));
      for (const connection of [first, ...all]) await send(client, connection);
      silent.push({ client, connections: [first, ...all] });
    });

    test('a mediator that takes no WebSockets for a while is live again when it does', async () => {
      const own = await startMediator(`credo-away-${strategy}`, strategy);
      const client = await startClient(`client-away-${strategy}`, own);
      const connection = await befriend(client);
      await send(client, connection);
      await isLive(client);
      await own.credo.ask('away', { ms: 3000 });
      await until(async () => (await client.post('/out-of-band/create-invitation', HANDSHAKE)).invi_msg_id, 'a key to be known again');
      await send(client, connection);
      await send(client, await befriend(client));
    });

    test('live mode that ends without a word is noticed', async () => {
      const own = await startMediator(`credo-forgets-${strategy}`, strategy);
      const client = await startClient(`client-forgotten-${strategy}`, own, ['--mediator-check-interval', '1']);
      const connection = await befriend(client);
      await isLive(client);
      for (let i = 0; i < 3; i++) {
        await until(async () => (await own.credo.ask('forgetLive')).count > 0, 'it to be live');
        await send(client, connection);
      }
    });

    test('tenants have mediation of their own at one mediator, or share that of the agent', async () => {
      const host = await world.start(`host-${strategy}`, {
        noInbound: true,
        flags: [...MULTITENANT, '--mediator-invitation', mediator.invitation, ...HARDLY_EVER],
      });
      await isLive(host);
      const [own, other, shares] = await Promise.all(['own', 'other', 'shares'].map((name) => newTenant(host, `${name} ${strategy}`)));
      for (const tenant of [own!, other!]) await mediated(tenant, mediator);
      await isLive(host, 3);
      const connections = await Promise.all([own!, other!, shares!, own!, other!, shares!].map((tenant) => befriend(tenant)));
      for (let i = 0; i < 2; i++) for (const connection of connections) await ping(connection);
    });
  });
}

test('a mediator that handles messages at the same time loses no key where others are new and gone', async () => {
  const mediator = await startMediator('credo-concurrent', 'QueueAndLiveModeDelivery', { concurrently: true });
  const client = await startClient('client-keys', mediator);
  const invite = async (): Promise<{ id: string; key: string }> => {
    const { invi_msg_id: id, invitation } = await client.post('/out-of-band/create-invitation', HANDSHAKE);
    return { id, key: didKeyToVerkey(invitation.services[0].recipientKeys[0].split('#')[0])! };
  };
  const several = (): Promise<{ id: string; key: string }[]> => Promise.all(Array.from({ length: 16 }, invite));
  const gone = await several();
  const [kept] = await Promise.all([several(), ...gone.map(({ id }) => client.call('DELETE', `/out-of-band/invitations/${id}`))]);
  const { keys } = await mediator.credo.ask('keys');
  const lost = kept.filter(({ key }) => !keys.includes(key));
  assert.deepEqual(lost, []);
});

test('an agent has mail from two mediators at the same time', async () => {
  const [one, other] = await Promise.all(STRATEGIES.map((strategy) => startMediator(`credo-of-two-${strategy}`, strategy)));
  const client = await startClient('client-of-two', one!);
  const second = await mediate(client, other!);
  await isLive(client, 2);
  const connections = await Promise.all([befriend(client), befriend(client, { mediation_id: second }), befriend(client)]);
  connections.push(await befriend(client, { mediation_id: second }));
  for (let i = 0; i < 2; i++) for (const connection of connections) await send(client, connection);
});

test('mail comes after a minute of silence, and new peers too', async () => {
  assert.equal(silent.length, STRATEGIES.length);
  await sleep(SILENCE_MS);
  for (const { client, connections } of silent) {
    for (const connection of connections) await send(client, connection);
    await send(client, await befriend(client));
  }
});

/** Has a mediator mediate. @returns the mediation's id */
async function mediate(client: Client, { credo }: Mediator): Promise<string> {
  const { invitation } = await credo.ask('invite');
  const { connection_id: connection } = await client.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  await until(async () => (await client.get(`/connections/${connection}`)).state === 'active', 'the connection with the mediator');
  const { mediation_id } = (await client.call('POST', `/mediation/request/${connection}`)).body;
  await until(async () => (await client.get(`/mediation/requests/${mediation_id}`)).state === 'granted', 'the grant');
  return mediation_id;
}

async function mediated(tenant: Tenant, mediator: Mediator): Promise<void> {
  const id = await mediate(tenant, mediator);
  assert.equal((await tenant.call('PUT', `/mediation/${id}/default-mediator`)).status, 201);
}
