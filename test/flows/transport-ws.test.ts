import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { WebSocket } from 'ws';
import { openEnvelope, parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { type Body, connect, createWorld, freePort, HANDSHAKE, type Spec, type TestAgent, until } from '../support/agents.ts';
import { connectStranger, message, requestFor, type Stranger, serviceOf, startStranger } from '../support/stranger.ts';

/** DIDComm over WebSockets, both ways. */

const world = createWorld();
after(() => world.close());

/** An agent that is reached by WebSocket alone. */
async function startOnSockets(name: string, spec: Spec = {}): Promise<TestAgent> {
  const port = spec.port ?? (await freePort());
  const endpoint = `ws://127.0.0.1:${port}`;
  const flags = ['--inbound-transport', 'ws', '127.0.0.1', String(port), '--endpoint', endpoint, ...(spec.flags ?? [])];
  return await world.start(name, { ...spec, noInbound: true, endpoint, flags });
}

const say = (agent: TestAgent, connection: string, content: string) => agent.post(`/connections/${connection}/send-message`, { content });
const received = (agent: TestAgent): string[] =>
  agent.hooks.list.filter(({ topic }) => topic === 'basicmessages').map(({ payload }) => payload.content);

interface Line {
  readonly ws: WebSocket;
  readonly code: Promise<number>;
  /** Sends a frame; whether the ping behind it was answered. */
  send(frame: string): Promise<boolean>;
}

const opened = (bytes: Uint8Array, { pair }: Stranger): Body =>
  JSON.parse(Buffer.from(openEnvelope(parseEnvelope(bytes), pair).message).toString());

/** A socket of the stranger's own; what comes on it is mail. */
async function lineTo(url: string, stranger: Stranger, options: { autoPong?: boolean } = {}): Promise<Line & { inbox: Body[] }> {
  const ws = new WebSocket(url, options);
  ws.setMaxListeners(0);
  world.defer(() => ws.terminate());
  const inbox: Body[] = [];
  ws.on('message', (data) => inbox.push(opened(data as Buffer, stranger)));
  const code = once(ws, 'close').then(([given]) => given as number);
  await once(ws, 'open');
  let pings = 0;
  return {
    ws,
    inbox,
    code,
    async send(frame) {
      ws.send(frame);
      const text = `p${++pings}`;
      ws.ping(text);
      return await new Promise((resolve) => {
        ws.on('pong', (data) => data.toString() === text && resolve(true));
        void code.then(() => resolve(false));
      });
    },
  };
}

test('two agents that are reached by WebSocket connect, and talk both ways, in order', async () => {
  const [alice, bob] = [await startOnSockets('ws-alice'), await startOnSockets('ws-bob')];
  const ids = await connect(alice, bob);
  const words = Array.from({ length: 20 }, (_none, i) => `word ${i}`);
  for (const word of words) {
    await say(alice, ids.inviter, word);
    await say(bob, ids.invitee, word);
  }
  await until(() => received(alice).length === 20 && received(bob).length === 20, 'all messages');
  assert.deepEqual(received(alice), words);
  assert.deepEqual(received(bob), words);
  assert.equal((await alice.get(`/connections/${ids.inviter}`)).error_msg ?? undefined, undefined, 'nothing had to be sent again');
});

test('an agent that is away is written to again, and has each message once, in order', async () => {
  const alice = await startOnSockets('ws-back-alice');
  const port = await freePort();
  const bob = await startOnSockets('ws-back-bob', { port });
  const ids = await connect(alice, bob);
  await bob.stop();
  for (const word of ['one', 'two', 'three']) await say(alice, ids.inviter, word);
  await until(async () => (await alice.get(`/connections/${ids.inviter}`)).error_msg, 'a failed try');
  const again = await startOnSockets('ws-back-bob', { port, store: bob.store, receiver: bob.receiver });
  await again.event('basicmessages', ({ content }) => content === 'three', 'the last message');
  assert.deepEqual(received(again), ['one', 'two', 'three']);
});

test('one port takes both: a stranger posts, and says the rest on a socket', async () => {
  const alice = await world.start('both-alice', { webSocket: true });
  const stranger = await startStranger();
  world.defer(stranger.close);
  const link = await connectStranger(alice, stranger);
  const line = await lineTo(alice.inbound.replace('http', 'ws'), stranger);
  const words = ['by text', 'by bytes'];
  const [text, bytes] = words.map((content) =>
    stranger.seal(link.to.verkey, message('basicmessage/1.0/message', { content, sent_time: '2026-01-01 00:00:00Z' })),
  );
  line.ws.send(Buffer.from(bytes!));
  assert.ok(await line.send(text!));
  await until(() => received(alice).length === 2, 'both');
  assert.deepEqual([...received(alice)].sort(), [...words].sort());
  // accepted means committed: what was sent again has no second effect
  assert.ok(await line.send(text!));
  assert.equal(received(alice).length, 2);
});

test('an invitation that lists a WebSocket before HTTP is answered on it: who has no address hears of a late acceptance', async () => {
  const alice = await world.start('late-alice', { webSocket: true });
  const bob = await world.start('late-bob', { noInbound: true, flags: ['--auto-accept-invites'] });
  const { invitation } = await alice.post('/out-of-band/create-invitation', HANDSHAKE);
  const [service] = invitation.services;
  const socket = { ...service, id: '#ws', serviceEndpoint: alice.inbound.replace('http', 'ws') };
  const got = await bob.post('/out-of-band/receive-invitation', { ...invitation, services: [socket, service] });
  const asked = await alice.event('connections', (one) => one.state === 'request', 'the request');
  await alice.post(`/didexchange/${asked.connection_id}/accept-request`);
  await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the connection');
});

test('a stranger says everything on one socket, and has its answer there, once', async () => {
  const alice = await startOnSockets('socket-alice');
  const stranger = await startStranger();
  world.defer(stranger.close);
  const line = await lineTo(alice.inbound, stranger);
  const { invitation } = await alice.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const { verkey, url } = serviceOf(invitation);
  assert.equal(url, alice.inbound);
  const request = requestFor(stranger, invitation);
  assert.ok(await line.send(stranger.seal(verkey, request)));
  const response = await stranger.inbox.first((mail) => mail.message['~thread']?.thid === request['@id'], 'the response');
  const to = contactOf(resolvePeer(response.message.did)).recipientKeys[0]!;
  const complete = message('didexchange/1.1/complete', { '~thread': { thid: request['@id'], pthid: invitation['@id'] } });
  assert.ok(await line.send(stranger.seal(to, complete)));
  const ping = message('trust_ping/1.0/ping', { response_requested: true, '~transport': { return_route: 'all' } });
  assert.ok(await line.send(stranger.seal(to, ping)));
  await until(() => line.inbox.length === 1, 'the answer');
  assert.equal(line.inbox[0]['~thread'].thid, ping['@id']);
  // it is not due any more: the outbox is empty, and nothing comes by the other way
  await until(async () => (await alice.agent.kernel.db.admin.backlog()).open.deliver === 0, 'an empty outbox');
  assert.ok(!stranger.inbox.list.some((mail) => mail.message['~thread']?.thid === ping['@id']));
});

test('strangers learn nothing on a socket: no envelope for nobody is told from a good one; garbage ends it', async () => {
  const alice = await startOnSockets('vague-alice');
  const stranger = await startStranger();
  world.defer(stranger.close);
  const line = await lineTo(alice.inbound, stranger);
  assert.ok(await line.send(stranger.seal(stranger.pair.verkey, message('trust_ping/1.0/ping', {}))));
  for (let i = 0; i < 19; i++) assert.ok(await line.send('{}'));
  assert.equal(await line.send('rubbish'), false);
  assert.equal(await line.code, 1008);
  assert.deepEqual(line.inbox, []);
});

test('an agent that stops says goodbye to its sockets; what was accepted is there afterwards', async () => {
  const alice = await startOnSockets('bye-alice');
  const stranger = await startStranger();
  world.defer(stranger.close);
  const link = await connectStranger({ ...alice, inbound: alice.inbound } as TestAgent, {
    ...stranger,
    send: async (to, what, sender) => {
      const line = await lineTo(to.url, stranger);
      const accepted = await line.send(stranger.seal(to.verkey, what, sender));
      line.ws.close();
      return { status: accepted ? 202 : 503, body: '' };
    },
  });
  const line = await lineTo(alice.inbound, stranger);
  const idle = await lineTo(alice.inbound, stranger);
  const accepted: string[] = [];
  const sending = (async () => {
    for (let i = 0; ; i++) {
      const content = `word ${i}`;
      const sent = message('basicmessage/1.0/message', { content, sent_time: '2026-01-01 00:00:00Z' });
      if (!(await line.send(stranger.seal(link.to.verkey, sent)))) return;
      accepted.push(content);
    }
  })();
  await until(() => accepted.length >= 20, 'some messages');
  await alice.stop();
  await sending;
  assert.deepEqual([await idle.code, await line.code], [1001, 1001]);
  const again = await startOnSockets('bye-alice', { store: alice.store, receiver: alice.receiver });
  await until(() => received(again).length >= accepted.length, 'all that was accepted');
  // one may be there whose ping was not answered any more
  assert.deepEqual(received(again).slice(0, accepted.length), accepted);
  assert.ok(received(again).length <= accepted.length + 1);
});
