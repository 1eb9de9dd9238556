import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Body, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { bringCredo, type Credo, credoVersion, startCredo } from './credo.ts';

/** Connections with a real Credo agent, in both directions, and what is said over them. */

const world = createWorld();
let ours: TestAgent;
let credo: Credo;

before(async () => {
  await bringCredo();
  process.stdout.write(`peer: @credo-ts/didcomm ${credoVersion()}\n`);
  ours = await world.start('ours', { flags: ['--monitor-ping'] });
  credo = await startCredo(world, 'credo');
});
after(() => world.close());

interface Pair {
  /** Our id of the connection. */
  readonly ours: string;
  /** Credo's. */
  readonly theirs: string;
}

const isActive = (invitation: string) => (one: Body) => one.state === 'active' && one.invitation_msg_id === invitation;

/** Credo comes by an invitation of ours. */
async function byOurs(invitation: Body): Promise<Pair> {
  const got = await credo.ask('receive', { invitation });
  const theirs = await credo.ask('connected', { connection: got.connection.id });
  const one = await ours.event(
    'connections',
    (c) => isActive(invitation['@id'])(c) && theirs.did.startsWith(c.their_did),
    'an active connection',
  );
  return { ours: one.connection_id, theirs: theirs.id };
}

/** We come by an invitation of Credo's. */
async function byTheirs(made: Body): Promise<Pair> {
  const got = await ours.post('/out-of-band/receive-invitation?auto_accept=true&use_existing_connection=false', made.invitation);
  const active = await ours.event(
    'connections',
    (c) => c.state === 'active' && c.connection_id === got.connection_id,
    'an active connection',
  );
  const theirs = await credo.event('connection', (c) => c.state === 'completed' && c.theirDid?.startsWith(active.my_did), 'its end');
  return { ours: got.connection_id, theirs: theirs.id };
}

/** A basic message and a trust ping, each way. */
async function talk(pair: Pair): Promise<void> {
  const content = `\u{1F44B} over ${pair.ours}`;
  await ours.post(`/connections/${pair.ours}/send-message`, { content });
  assert.equal((await credo.event('message', (one) => one.content === content, 'our message')).connection, pair.theirs);
  await credo.ask('message', { connection: pair.theirs, content: `back ${content}` });
  const heard = await ours.event('basicmessages', (one) => one.content === `back ${content}`, "Credo's message");
  assert.equal(heard.connection_id, pair.ours);

  const { thread_id } = await ours.post(`/connections/${pair.ours}/send-ping`, { comment: 'are you there?' });
  await credo.event('ping', (one) => one.thread === thread_id, 'our ping');
  await ours.event('ping', (one) => one.state === 'response_received' && one.thread_id === thread_id, 'the answer to our ping');
  const { thread } = await credo.ask('ping', { connection: pair.theirs });
  await ours.event('ping', (one) => one.state === 'received' && one.thread_id === thread, "Credo's ping");
  await credo.event('ping-response', (one) => one.thread === thread, 'our answer');
}

for (const [form, body] of Object.entries({
  'an inline service': {},
  'a did:peer:2': { use_did_method: 'did:peer:2' },
  'a did:peer:4': { use_did_method: 'did:peer:4' },
})) {
  test(`Credo comes by our invitation with ${form}`, async () => {
    const { invitation } = await ours.post('/out-of-band/create-invitation?auto_accept=true', { ...HANDSHAKE, ...body });
    const pair = await byOurs(invitation);
    await talk(pair);
    const one = await ours.get(`/connections/${pair.ours}`);
    assert.deepEqual([one.their_label, one.connection_protocol], ['credo', 'didexchange/1.1']);
  });
}

for (const did of [false, true]) {
  test(`we come by Credo's invitation with ${did ? 'a did:peer:2' : 'an inline service'}`, async () => {
    const pair = await byTheirs(await credo.ask('invite', { did, handshake: ['https://didcomm.org/didexchange/1.x'] }));
    await talk(pair);
    assert.equal((await ours.get(`/connections/${pair.ours}`)).their_label, 'credo');
  });
}

test('invitations of many uses, ours and theirs', async () => {
  const mine = await ours.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  const theirs = await credo.ask('invite', { multi: true });
  const pairs: Pair[] = [];
  for (let i = 0; i < 2; i++) pairs.push(await byTheirs(theirs));
  pairs.push(await byOurs(mine.invitation));
  for (const pair of pairs) await talk(pair);
  assert.equal(new Set(pairs.map((pair) => pair.theirs)).size, 3);
});

test('Credo reuses the connection that our DID names', async () => {
  const by = { ...HANDSHAKE, use_did_method: 'did:peer:2' };
  const first = await ours.post('/out-of-band/create-invitation?auto_accept=true', by);
  await credo.ask('receive', { invitation: first.invitation, reuse: true });
  const again = await ours.post('/out-of-band/create-invitation?auto_accept=true', by);
  const got = await credo.ask('receive', { invitation: again.invitation, reuse: true });
  const told = await ours.event('connection_reuse', () => true, 'the reuse');
  assert.equal(got.connection.state, 'completed');
  const same = await ours.get(`/connections/${told.connection_id}`);
  assert.ok(got.connection.did.startsWith(same.their_did));
});

test('we reuse the connection that the DID of Credo names', async () => {
  const made = await credo.ask('invite', { did: true, multi: true });
  const pair = await byTheirs(made);
  const got = await ours.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  assert.equal(got.connection_id, pair.ours);
  await ours.event('connection_reuse_accepted', (one) => one.connection_id === pair.ours, 'the answer of Credo');
});
