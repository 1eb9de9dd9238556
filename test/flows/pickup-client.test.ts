import assert from 'node:assert/strict';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { JsonObject } from '../../src/ports/json.ts';
import { type ConnectionValue, connection } from '../../src/records/connection.ts';
import { type Body, createWorld, freePort, HANDSHAKE, type Spec, type TestAgent } from '../support/agents.ts';
import { MULTITENANT, newTenant, type Tenant } from '../support/tenants.ts';
import { until } from '../support/waiting.ts';

/** An agent that nobody can reach has its mail from its mediator: on a WebSocket, or by asking for it (RFC 0211, 0212, 0685). */

const world = createWorld();
after(() => world.close());

/** The address that a mediator tells, and what serves it. */
type Door = 'ws' | 'http' | 'both';

async function startMediator(name: string, door: Door, spec: Spec = {}): Promise<TestAgent> {
  const port = spec.port ?? (await freePort());
  return await world.start(name, {
    port,
    webSocket: door !== 'http',
    endpoint: `${door === 'ws' ? 'ws' : 'http'}://127.0.0.1:${port}`,
    ...spec,
    flags: ['--open-mediation', '--auto-accept-requests', '--debug-webhooks', ...(spec.flags ?? [])],
  });
}

const invitationOf = async (mediator: TestAgent): Promise<string> =>
  (await mediator.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE)).invitation_url;

/** An agent that listens on its admin port alone, once its mediator has granted. */
async function startClient(name: string, invitation: string, mode: string, spec: Spec = {}): Promise<TestAgent> {
  const client = await world.start(name, {
    noInbound: true,
    ...spec,
    flags: ['--mediator-invitation', invitation, '--mediator-pickup', mode, '--monitor-ping', ...(spec.flags ?? [])],
  });
  await until(async () => (await client.get('/mediation/default-mediator')).state === 'granted', 'the mediation to be granted');
  return client;
}

/** How mail comes, as the operator is told. */
const wayOf = (client: TestAgent): Promise<string> =>
  until(async () => {
    const line = client.logged.find((one) => one.includes('mail comes from the mediator'));
    return line && (JSON.parse(line).way as string);
  }, 'the way of the mail');

interface Pair {
  /** The friend's id of the connection. */
  readonly out: string;
  /** The client's. */
  readonly back: string;
}

async function befriend(friend: TestAgent, client: Pick<TestAgent, 'post' | 'get'>): Promise<Pair> {
  const made = await client.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const got = await friend.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', made.invitation);
  await friend.event('connections', (one) => one.state === 'active' && one.connection_id === got.connection_id, 'the connection', 30_000);
  const back = await until(async () => {
    const { results } = await client.get(`/connections?invitation_msg_id=${made.invi_msg_id}`);
    return results[0]?.state === 'active' && (results[0].connection_id as string);
  }, "the client's end");
  return { out: got.connection_id, back };
}

const say = (from: Pick<TestAgent, 'post'>, connection: string, content: string): Promise<Body> =>
  from.post(`/connections/${connection}/send-message`, { content });

/** What came of a kind of message, in its order at the controller. */
const heardBy = (agent: TestAgent, word: string): string[] =>
  agent.hooks.list
    .filter((hook) => hook.topic === 'basicmessages' && hook.payload.content.startsWith(word))
    .map((hook) => hook.payload.content);

const numbered = (word: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${word} ${i + 1}`);

let sent = 0;
/** Messages and pings, both ways. */
async function talk(friend: TestAgent, client: TestAgent, { out, back }: Pair): Promise<void> {
  for (const [from, id, to] of [
    [friend, out, client],
    [client, back, friend],
  ] as const) {
    const content = `from ${from.name} to ${to.name}, ${++sent}`;
    await say(from, id, content);
    await to.event('basicmessages', (one) => one.content === content, 'the message', 20_000);
    const { thread_id } = await from.post(`/connections/${id}/send-ping`, { comment: 'are you there?' });
    await from.event('ping', (one) => one.state === 'response_received' && one.thread_id === thread_id, 'the answer', 20_000);
  }
}

/** All of them came, each once, in their order, and nothing is left at the mediator. */
async function allCame(client: TestAgent, word: string, all: readonly string[], mediator: TestAgent): Promise<void> {
  await client.event('basicmessages', (one) => one.content === all.at(-1), 'the last message', 60_000);
  await until(async () => heardBy(client, word).length >= all.length, 'all messages', 30_000);
  await until(async () => (await waitingAt(mediator)) === 0, 'the mailbox to be empty', 30_000);
  assert.deepEqual(heardBy(client, word), all);
}

/** How many messages a mediator keeps. */
async function waitingAt(mediator: TestAgent): Promise<number> {
  const { store } = mediator.agent.kernel.db;
  const { rows } = await store.find('base', 'connection', { limit: 100 });
  const boxes = await Promise.all(rows.map(({ id }) => store.mailbox('base', id)));
  return boxes.reduce((sum, { messages }) => sum + messages, 0);
}

let friend: TestAgent;
before(async () => {
  friend = await world.start('friend', { flags: ['--monitor-ping'] });
});

describe('mail comes', () => {
  const WAYS: readonly (readonly [mode: string, door: Door, way: RegExp])[] = [
    ['auto', 'ws', /^live$/],
    ['live', 'ws', /^live$/],
    ['implicit', 'ws', /^implicit$/],
    ['poll', 'ws', /^asked on a WebSocket$/],
    ['auto', 'http', /^asked by message pickup 2\.0$/],
    ['implicit', 'http', /^pings by HTTP$/],
    ['poll', 'both', /^asked by message pickup 2\.0$/],
    ['auto', 'both', /./],
  ];
  const mediators = new Map<Door, Promise<{ mediator: TestAgent; invitation: string }>>();
  const mediatorBy = (door: Door): Promise<{ mediator: TestAgent; invitation: string }> => {
    const known =
      mediators.get(door) ??
      startMediator(`mediator-${door}`, door).then(async (mediator) => ({ mediator, invitation: await invitationOf(mediator) }));
    mediators.set(door, known);
    return known;
  };

  for (const [mode, door, way] of WAYS) {
    test(`in the mode ${mode}, where the mediator speaks ${door}`, async () => {
      const { mediator, invitation } = await mediatorBy(door);
      const client = await startClient(`client-${mode}-${door}`, invitation, mode);
      assert.match(await wayOf(client), way);
      const pair = await befriend(friend, client);
      await talk(friend, client, pair);

      // what came while it was away
      await client.stop();
      const missed = numbered(`missed ${mode} ${door}`, 5);
      for (const content of missed) await say(friend, pair.out, content);
      await until(async () => (await waitingAt(mediator)) >= missed.length, 'the messages to be with the mediator');
      const again = await startClient(`client-${mode}-${door}`, invitation, mode, { store: client.store, receiver: client.receiver });
      await allCame(again, 'missed', missed, mediator);
      assert.equal((await again.get('/status')).conductor.messages_delivered ?? 0, 0, 'what is said about mail goes the way that it came');
      await talk(friend, again, pair);
      await again.close();
    });
  }
});

for (const [mode, door] of [
  ['live', 'ws'],
  ['implicit', 'ws'],
  ['auto', 'http'],
] as const) {
  test(`a mediator that was away is found again (${mode}, ${door})`, async () => {
    const port = await freePort();
    const name = `away-${mode}`;
    let mediator = await startMediator(name, door, { port });
    const client = await startClient(`client-of-${name}`, await invitationOf(mediator), mode);
    await wayOf(client);
    const pair = await befriend(friend, client);
    await mediator.stop();
    const all = numbered(`waits ${mode}`, 8);
    for (const content of all) await say(friend, pair.out, content);
    await until(async () => client.logged.some((line) => line.includes('no mail comes from the mediator')), 'the operator to be told');
    mediator = await startMediator(name, door, { port, store: mediator.store, receiver: mediator.receiver });
    await allCame(client, 'waits', all, mediator);
    await until(async () => client.logged.some((line) => line.includes('mail comes from the mediator again')), 'the operator to be told');
    assert.equal(client.logged.filter((line) => line.includes('no mail comes')).length, 1, 'once');
    await talk(friend, client, pair);
    await client.stop();
  });
}

/** Stands between a mediator and everybody else, and can cut what goes through it. */
async function startWire(to: number): Promise<{ port: number; cut(): number; close(): Promise<void> }> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = dial(to, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.pipe(other);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): number => {
    const count = open.size;
    for (const socket of open) socket.resetAndDestroy();
    return count;
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    async close() {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

for (const mode of ['live', 'implicit'] as const) {
  test(`a link that is cut again and again loses nothing and brings nothing twice (${mode})`, async () => {
    const port = await freePort();
    const wire = await startWire(port);
    world.defer(wire.close);
    // its peers come through the wire; the friend's own deliveries are cut too
    const mediator = await startMediator(`cut-${mode}`, 'ws', { port, endpoint: `ws://127.0.0.1:${wire.port}` });
    const client = await startClient(`client-cut-${mode}`, await invitationOf(mediator), mode);
    await wayOf(client);
    const pair = await befriend(friend, client);
    const all = numbered(`cut ${mode}`, 120);
    for (const [i, content] of all.entries()) {
      await say(friend, pair.out, content);
      if (i % 30 === 29) await until(() => wire.cut() > 0, 'something to be cut');
    }
    await allCame(client, 'cut', all, mediator);
    await client.stop();
  });
}

/** Has a mediator mediate for a tenant. */
const mediated = async (tenant: Tenant, mediator: TestAgent): Promise<{ mediation: string; connection: string }> => {
  const { invitation } = await mediator.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const { connection_id: connection } = await tenant.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  await until(async () => (await tenant.get(`/connections/${connection}`)).state === 'active', 'the connection with the mediator');
  const { mediation_id: mediation } = await tenant.post(`/mediation/request/${connection}`);
  await until(async () => (await tenant.get(`/mediation/requests/${mediation}`)).state === 'granted', 'the grant');
  assert.equal((await tenant.call('PUT', `/mediation/${mediation}/default-mediator`)).status, 201);
  return { mediation, connection };
};

test('tenants have their mail from mediators of their own, and it ends with the mediation', async () => {
  const [one, other] = await Promise.all([startMediator('mediator-of-one', 'ws'), startMediator('mediator-of-other', 'http')]);
  const host = await world.start('host', { noInbound: true, flags: MULTITENANT });
  const tenants = [await newTenant(host, 'one'), await newTenant(host, 'other')] as const;
  const ends = [await mediated(tenants[0], one), await mediated(tenants[1], other)] as const;
  const pairs: Pair[] = [];
  for (const tenant of tenants) pairs.push(await befriend(friend, tenant));
  const answers = async (index: 0 | 1): Promise<void> => {
    const { thread_id } = await friend.post(`/connections/${pairs[index]!.out}/send-ping`, {});
    await friend.event('ping', (sent) => sent.state === 'response_received' && sent.thread_id === thread_id, `tenant ${index}`, 20_000);
  };
  await answers(0);
  await answers(1);

  assert.equal((await tenants[0].call('DELETE', `/mediation/requests/${ends[0].mediation}`)).status, 200);
  await until(
    async () => host.logged.some((line) => line.includes('no more mail comes') && line.includes('the mediation is over')),
    'its mail to end',
  );
  await say(friend, pairs[0]!.out, 'nobody asks for this');
  await until(async () => (await waitingAt(one)) > 0, 'it to be kept');
  await answers(1);
});

test('mail for a wallet that is locked stays with its mediator until it is opened', async () => {
  const mediator = await startMediator('mediator-of-locked', 'ws');
  const host = await world.start('host-of-locked', { noInbound: true, flags: MULTITENANT });
  const more = { key_management_mode: 'unmanaged', wallet_key: 'a key of hers', wallet_webhook_urls: [`${host.receiver.url}/hers`] };
  const hers = await newTenant(host, 'hers', more);
  await mediated(hers, mediator);
  const { out } = await befriend(friend, hers);
  await say(friend, out, 'locked 1');
  await host.event('basicmessages', (one) => one.content === 'locked 1', 'the first message');

  await host.agent.kernel.db.admin.lockTenants(Date.now() + 25 * 3600_000);
  await until(
    async () => host.logged.some((line) => line.includes('no more mail comes') && line.includes('the wallet is locked')),
    'its mail to end',
  );
  for (const content of ['locked 2', 'locked 3']) await say(friend, out, content);
  await until(async () => (await waitingAt(mediator)) === 2, 'the messages to be with the mediator');
  assert.equal((await host.get('/status')).conductor.refused_locked ?? 0, 0);
  const opened = await host.call('POST', `/multitenancy/wallet/${hers.id}/token`, { wallet_key: 'a key of hers' });
  assert.equal(opened.status, 200, opened.text);
  await allCame(host, 'locked', ['locked 1', 'locked 2', 'locked 3'], mediator);
});

test('a WebSocket is taken where the mediator tells of several addresses, and HTTP while none can be opened', async () => {
  const mediator = await startMediator('mediator-of-several', 'both');
  const invitation = await invitationOf(mediator);
  const client = await startClient('client-of-several', invitation, 'auto');
  const pair = await befriend(friend, client);
  const { connection_id: id } = await client.get('/mediation/default-mediator');
  let { store, stop } = client;
  for (const [ws, way] of [
    [mediator.inbound.replace(/^http/, 'ws'), /^live$/],
    [`ws://127.0.0.1:${await freePort()}`, /^asked by HTTP, since /],
  ] as const) {
    await stop();
    // what a peer's document told, when it was connected with
    const notified = { their_endpoints: [mediator.inbound, ws] };
    const again = await startClient('client-of-several', invitation, 'off', { store, receiver: client.receiver });
    const { db } = again.agent.kernel;
    const [[row] = []] = await db.store.load('base', [{ category: 'connection', id }]);
    const value = { ...row!.value, ...notified } as unknown as ConnectionValue & JsonObject;
    const { category, state, role, version } = row!;
    await db.store.commit('base', { records: [{ category, id, state, role, expect: version, value, tags: connection.tags(value) }] });
    await again.stop();
    const last = await startClient('client-of-several', invitation, 'auto', { store, receiver: client.receiver });
    assert.match(await wayOf(last), way);
    await talk(friend, last, pair);
    ({ store, stop } = last);
  }
  await stop();
});
