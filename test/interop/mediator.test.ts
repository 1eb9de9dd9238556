import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Body, createWorld, freePort, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { acapyVersions, bringAcapy, type Controller, startAcapy } from './acapy.ts';
import { bringCredo, type Credo, credoVersion, startCredo } from './credo.ts';

/** Mediation with real peers: Credo wallets and agents of ours that nobody can reach, behind mediators of ours, of Credo's and of ACA-Py's. */

const noAcapy = await bringAcapy();
if (noAcapy) process.stdout.write(`ACA-Py is skipped: ${noAcapy}\n`);

const STRATEGIES = ['Implicit', 'PickUpV2LiveMode', 'PickUpV2', 'PickUpV1'] as const;
type Strategy = (typeof STRATEGIES)[number];

/** A mediator: how a client comes to it, and where mail for its clients goes. */
interface Mediator {
  /** An invitation of many uses. */
  readonly invitation: string;
  readonly endpoint: string;
  /** What a Credo wallet can fetch from it. */
  readonly strategies: readonly Strategy[];
  /** How it hands out what waited while a wallet was away. */
  readonly keeps: readonly Strategy[];
  /** How an agent of ours has its mail from it, as that tells its operator. */
  readonly way?: RegExp;
}

const world = createWorld();
after(() => world.close());

const invitationOf = async (agent: Pick<Controller, 'post'>): Promise<string> =>
  (await agent.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE)).invitation_url;

let started = 0;
const MEDIATORS: Readonly<Record<'ours' | 'Credo' | 'ACA-Py', () => Promise<Mediator>>> = {
  async ours() {
    const agent = await world.start(`our-mediator-${++started}`, {
      webSocket: true,
      flags: ['--open-mediation', '--enable-undelivered-queue', '--auto-accept-requests'],
    });
    return { invitation: await invitationOf(agent), endpoint: agent.inbound, strategies: STRATEGIES, keeps: STRATEGIES };
  },
  async Credo() {
    const agent = await startCredo(world, 'credo-mediator', 'mediator');
    const { url } = await agent.ask('inviteUrl');
    // it keeps for those who ask, and tells a ping nothing of what it has
    return {
      invitation: url,
      endpoint: agent.url,
      strategies: STRATEGIES,
      keeps: STRATEGIES.filter((one) => one !== 'Implicit'),
      way: /^live$/,
    };
  },
  async 'ACA-Py'() {
    const port = await freePort();
    const agent = await startAcapy(world, 'acapy-mediator', (inbound) => [
      ...['--inbound-transport', 'ws', '127.0.0.1', String(port), '--endpoint', inbound, `ws://127.0.0.1:${port}`],
      ...['--open-mediation', '--enable-undelivered-queue', '--auto-accept-requests', '--auto-ping-connection'],
    ]);
    return {
      invitation: await invitationOf(agent),
      endpoint: agent.inbound,
      strategies: ['Implicit'],
      // it hands over one message for each that it hears, and the wallet says nothing by itself
      keeps: [],
      way: /^implicit$/,
    };
  },
};

let friend: TestAgent;
before(async () => {
  await bringCredo();
  process.stdout.write(`peer: @credo-ts/didcomm ${credoVersion()}\n`);
  if (!noAcapy)
    process.stdout.write(`peer: acapy-agent ${(await acapyVersions())['acapy-agent'] ?? (await acapyVersions()).acapy_agent}\n`);
  friend = await world.start('friend', { flags: ['--monitor-ping'] });
});

/** Where an invitation sends its requests, and by which keys. */
function serviceOf({ services }: Body): { endpoint: string; routing: number } {
  const [service] = services;
  assert.equal(typeof service, 'object', 'an inline service');
  return { endpoint: service.serviceEndpoint, routing: (service.routingKeys ?? []).length };
}

/** The friend's connection, active. */
async function befriend(invitation: Body): Promise<string> {
  const got = await friend.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', invitation);
  await friend.event('connections', (one) => one.state === 'active' && one.connection_id === got.connection_id, 'the connection');
  return got.connection_id;
}

const say = (connection: string, content: string): Promise<Body> => friend.post(`/connections/${connection}/send-message`, { content });

/** Has the friend say something, until the mediator has so many messages more. */
async function delivered(run: () => Promise<void>, count: number): Promise<void> {
  const soFar = async (): Promise<number> => (await friend.get('/status')).conductor.messages_delivered ?? 0;
  const before = await soFar();
  await run();
  await until(async () => (await soFar()) >= before + count, 'the messages to be with the mediator');
}

/** Basic messages and pings between a Credo wallet and the friend, both ways. */
async function talk(wallet: Credo, ours: string, theirs: string): Promise<void> {
  await say(ours, `to ${wallet.name}`);
  await wallet.event('message', (one) => one.content === `to ${wallet.name}`, 'our message');
  await wallet.ask('message', { connection: theirs, content: `from ${wallet.name}` });
  await friend.event('basicmessages', (one) => one.content === `from ${wallet.name}`, 'its message');
  const { thread_id } = await friend.post(`/connections/${ours}/send-ping`, { comment: 'are you there?' });
  await friend.event('ping', (one) => one.state === 'response_received' && one.thread_id === thread_id, 'the answer to our ping');
  const { thread } = await wallet.ask('ping', { connection: theirs });
  await wallet.event('ping-response', (one) => one.thread === thread, 'our answer');
}

const heardBy = (wallet: Credo, word: string): string[] =>
  wallet.events.list.filter((one) => one.event === 'message' && one.content.startsWith(word)).map((one) => one.content);

/** A Credo wallet that listens on nothing, behind a mediator, with the friend as its first contact. */
async function walletBehind(mediator: Mediator, name: string, strategy: Strategy | undefined, invitation = mediator.invitation) {
  const wallet = await startCredo(world, name, 'wallet');
  const granted = await wallet.ask('mediate', { url: invitation });
  assert.deepEqual([granted.state, granted.endpoint], ['granted', mediator.endpoint]);
  assert.ok(granted.routingKeys.length > 0, 'routing keys');
  await wallet.ask('pickUp', { strategy });
  const made = await wallet.ask('invite');
  assert.deepEqual(serviceOf(made.invitation), { endpoint: mediator.endpoint, routing: 1 });
  const ours = await befriend(made.invitation);
  const { id: theirs } = await wallet.event(
    'connection',
    (one) => one.state === 'completed' && one.outOfBandId === made.id,
    "the wallet's end",
  );
  return { wallet, ours, theirs };
}

for (const [name, start] of Object.entries(MEDIATORS)) {
  describe(`a mediator of ${name}`, { skip: name === 'ACA-Py' && noAcapy }, () => {
    let mediator: Mediator;
    before(async () => {
      mediator = await start();
    });

    for (const strategy of STRATEGIES) {
      test(`serves a Credo wallet in the mode ${strategy}`, async (t) => {
        if (!mediator.strategies.includes(strategy)) return t.skip('it does not speak that');
        const { wallet, ours, theirs } = await walletBehind(mediator, `wallet-${name}-${strategy}`, strategy);
        await talk(wallet, ours, theirs);
        if (!mediator.keeps.includes(strategy)) return;

        await wallet.ask('stopPickUp');
        const missed = ['missed 1', 'missed 2', 'missed 3', 'missed 4', 'missed 5'];
        await delivered(async () => {
          for (const content of missed) await say(ours, content);
        }, missed.length);
        assert.deepEqual(heardBy(wallet, 'missed'), [], 'it is away');
        await wallet.ask('pickUp', { strategy });
        await wallet.event('message', () => heardBy(wallet, 'missed').length >= missed.length, 'what it missed');
        await say(ours, 'back again');
        await wallet.event('message', (one) => one.content === 'back again', 'a later message');
        // Credo handles what comes together at the same time, so the order of its events is its own
        assert.deepEqual(heardBy(wallet, 'missed').sort(), missed, 'each once');
      });
    }

    if (name !== 'ours') {
      test('serves an agent of ours that listens on nothing', async () => {
        await ourClient(mediator, `client-of-${name}`, 'auto');
      });
    }
  });
}

/** An agent of ours behind a mediator: it invites, talks, and has what came while it was away. */
async function ourClient(mediator: Mediator, name: string, mode: 'auto' | 'implicit' | 'live' | 'poll'): Promise<void> {
  const spec = {
    noInbound: true,
    flags: ['--mediator-invitation', mediator.invitation, '--mediator-pickup', mode, '--monitor-ping'],
  };
  const client = await world.start(name, spec);
  const granted = await until(async () => {
    const { results } = await client.get('/mediation/requests?state=granted');
    return results[0] as Body;
  }, 'the mediation to be granted');
  assert.deepEqual([granted.role, granted.endpoint], ['client', mediator.endpoint]);
  const chosen = async (): Promise<boolean> => (await client.get('/mediation/default-mediator')).mediation_id === granted.mediation_id;
  await until(chosen, 'new keys to go through it');

  const made = await client.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  assert.deepEqual(serviceOf(made.invitation), { endpoint: mediator.endpoint, routing: 1 });
  const ours = await befriend(made.invitation);
  const { connection_id: theirs } = await client.event(
    'connections',
    (one) => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id,
    'its end',
  );
  for (const [from, id, to] of [
    [friend, ours, client],
    [client, theirs, friend],
  ] as const) {
    const content = `${mode} from ${from.name} to ${to.name}`;
    await from.post(`/connections/${id}/send-message`, { content });
    await to.event('basicmessages', (one) => one.content === content, 'the message');
    const { thread_id } = await from.post(`/connections/${id}/send-ping`, { comment: 'are you there?' });
    await from.event('ping', (one) => one.state === 'response_received' && one.thread_id === thread_id, 'the answer to the ping');
  }
  const notified = await until(
    async () => client.logged.find((line) => line.includes('mail comes from the mediator')),
    'the operator to be told how mail comes',
  );
  if (mediator.way) assert.match(JSON.parse(notified).way, mediator.way);

  await client.stop();
  const missed = ['missed 1', 'missed 2', 'missed 3', 'missed 4', 'missed 5'];
  await delivered(async () => {
    for (const content of missed) await say(ours, content);
  }, missed.length);
  const again = await world.start(name, { ...spec, store: client.store, receiver: client.receiver });
  const received = (): string[] =>
    again.hooks.list
      .filter(({ topic, payload }) => topic === 'basicmessages' && payload.content.startsWith('missed'))
      .map(({ payload }) => payload.content);
  await until(async () => received().length >= missed.length, 'what it missed', 30_000);
  await say(ours, 'back again');
  await again.event('basicmessages', (one) => one.content === 'back again', 'a later message');
  assert.deepEqual(received(), missed, 'in their order, each once');
  await again.close();
}

describe('a mediator of ours', () => {
  let mediator: Mediator;
  before(async () => {
    mediator = await MEDIATORS.ours();
  });

  for (const mode of ['auto', 'live', 'implicit', 'poll'] as const) {
    test(`serves an agent of ours in the mode ${mode}`, async () => {
      await ourClient(mediator, `client-${mode}`, mode);
    });
  }

  test('is found out by a Credo wallet that was not told how to fetch', async () => {
    const { wallet, ours, theirs } = await walletBehind(mediator, 'wallet-undecided', undefined);
    await talk(wallet, ours, theirs);
  });

  test('carries what two Credo wallets behind it say to each other', async () => {
    const [one, other] = await Promise.all(
      (['Implicit', 'PickUpV2LiveMode'] as const).map((strategy) => walletBehind(mediator, `wallet-pair-${strategy}`, strategy)),
    );
    const made = await one!.wallet.ask('invite');
    const { connection } = await other!.wallet.ask('receive', { invitation: made.invitation });
    await other!.wallet.ask('connected', { connection: connection.id });
    await other!.wallet.ask('message', { connection: connection.id, content: 'from one wallet to another' });
    const received = await one!.wallet.event('message', (sent) => sent.content === 'from one wallet to another', 'the message');
    await one!.wallet.ask('message', { connection: received.connection, content: 'and back' });
    await other!.wallet.event('message', (sent) => sent.content === 'and back', 'the answer');
  });
});
