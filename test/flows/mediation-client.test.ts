import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PROTOCOLS } from '../../src/builtin-protocols.ts';
import { didKeyToVerkey } from '../../src/didcomm/encoding.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { didcommServices } from '../../src/dids/did-doc.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { type Body, connect, createWorld, freePort, HANDSHAKE, type Spec, type TestAgent } from '../support/agents.ts';
import { startStranger } from '../support/stranger.ts';
import { MULTITENANT, newTenant } from '../support/tenants.ts';
import { until } from '../support/waiting.ts';

/** RFC 0211, as a recipient: peers write to a mediator, which knows a key before anybody else does. */

const world = createWorld();
after(() => world.close());

/** Forwards are taken by a protocol of their own; where this agent has none yet, a mediator of these tests gets it as a plug-in. */
function forwarding(): string[] {
  if (PROTOCOLS.some((one) => (one as { relayed?: boolean }).relayed)) return [];
  const path = join(world.folder, 'forwarding.mjs');
  writeFileSync(
    path,
    `export default ({ definePlugin, defineProtocol, defineRecord, Type }) => {
      const record = defineRecord({ category: 'forwarded', idField: 'id', states: [], view: () => ({}), tags: () => ({}) });
      return definePlugin({ name: 'forwarding', protocols: [defineProtocol({ name: 'routing', uris: ['https://didcomm.org/routing/1.0'], binds: record,
        relayed: true, messages: { forward: { schema: Type.Object({}), from: '*', step: () => ({}) } } })] });
    };`,
  );
  return ['--plugin', path];
}

const startMediator = (name: string, spec: Spec = {}): Promise<TestAgent> =>
  world.start(name, { ...spec, flags: ['--open-mediation', ...forwarding(), ...(spec.flags ?? [])] });

const AUTO = ['--auto-accept-invites', '--auto-accept-requests'];

/** Has a mediator mediate for an agent. @returns the mediation's id and the connection's ids */
async function mediated(client: TestAgent, mediator: TestAgent, isDefault = true): Promise<{ id: string; ours: string; theirs: string }> {
  const { inviter: theirs, invitee: ours } = await connect(mediator, client);
  const asked = await client.call('POST', `/mediation/request/${ours}`, {});
  assert.equal(asked.status, 201, asked.text);
  const id = asked.body.mediation_id;
  await client.event('mediation', (one) => one.mediation_id === id && one.state === 'granted', 'the grant');
  if (isDefault) assert.equal((await client.call('PUT', `/mediation/${id}/default-mediator`)).status, 201);
  return { id, ours, theirs };
}

/** The verkeys that a mediator forwards for a connection. */
async function keysAt(mediator: TestAgent, connection: string): Promise<string[]> {
  const { results } = await mediator.get(`/mediation/keylists?conn_id=${connection}&role=server&limit=1000`);
  return results.map((one: Body) => one.recipient_key);
}

const keyOf = (invitation: Body): string => didKeyToVerkey(invitation.services[0].recipientKeys[0].split('#')[0])!;
const invite = (agent: Pick<TestAgent, 'post'>, body: object = {}, query = 'auto_accept=true'): Promise<Body> =>
  agent.post(`/out-of-band/create-invitation?${query}`, { ...HANDSHAKE, ...body });
const active = (agent: TestAgent, id: string): Promise<Body> =>
  agent.event('connections', (one) => one.connection_id === id && one.state === 'active', 'an active connection', 30_000);
const endpointOf = async (agent: TestAgent, connection: string): Promise<string> =>
  (await agent.get(`/connections/${connection}/endpoints`)).their_endpoint;

async function sent(from: TestAgent, connection: string, to: TestAgent, content: string): Promise<void> {
  await from.post(`/connections/${connection}/send-message`, { content });
  await to.event('basicmessages', (one) => one.content === content, `the message ${content}`);
}

describe('a recipient', () => {
  let mediator: TestAgent;
  let client: TestAgent;
  let peer: TestAgent;
  let mediation: { id: string; ours: string; theirs: string };
  before(async () => {
    [mediator, client, peer] = await Promise.all([
      startMediator('mediator'),
      world.start('client', { flags: AUTO }),
      world.start('peer', { flags: AUTO }),
    ]);
    mediation = await mediated(client, mediator);
  });

  test('gives peers the mediator’s address, and the mediator has each key before its invitation is answered', async () => {
    const { routing_keys, endpoint } = await client.get(`/mediation/requests/${mediation.id}`);
    const { invitation, invitation_url } = await invite(client);
    const [service] = invitation.services;
    assert.deepEqual([service.serviceEndpoint, service.routingKeys], [mediator.inbound, routing_keys]);
    assert.equal(endpoint, mediator.inbound);
    assert.ok(invitation_url.startsWith(`${mediator.inbound}?oob=`));
    assert.ok((await keysAt(mediator, mediation.theirs)).includes(keyOf(invitation)));
    const unused = await invite(client);
    await client.call('DELETE', `/out-of-band/invitations/${unused.invi_msg_id}`);
    await until(
      async () => !(await keysAt(mediator, mediation.theirs)).includes(keyOf(unused.invitation)),
      'the key of an unused one to go',
    );
    const { results } = await client.get('/mediation/keylists?role=client&limit=1000');
    assert.ok(
      results.some((one: Body) => didKeyToVerkey(one.recipient_key) === keyOf(invitation) || one.recipient_key === keyOf(invitation)),
    );
    for (const method of ['did:peer:4', 'did:peer:2']) {
      const made = await invite(client, { use_did_method: method }, 'create_unique_did=true');
      const { endpoint: where, routingKeys, recipientKeys } = contactOf(resolvePeer(made.invitation.services[0]));
      assert.deepEqual([where, routingKeys], [mediator.inbound, [didKeyToVerkey(routing_keys[0].split('#')[0])]]);
      assert.ok((await keysAt(mediator, mediation.theirs)).includes(recipientKeys[0]!), method);
    }
  });

  test('is connected with through the mediator, whoever invites, in every handshake', async () => {
    for (const protocol of ['didexchange/1.1', 'didexchange/1.0', 'connections/1.0']) {
      const handshake = { handshake_protocols: [`https://didcomm.org/${protocol}`] };
      const made = await invite(client, handshake);
      const got = await peer.post('/out-of-band/receive-invitation', made.invitation);
      await active(peer, got.connection_id);
      const { connection_id: ours } = await client.event(
        'connections',
        (one) => one.invitation_msg_id === made.invi_msg_id && one.state === 'active',
        `the connection by ${protocol}`,
      );
      assert.equal(await endpointOf(peer, got.connection_id), mediator.inbound, protocol);
      await sent(peer, got.connection_id, client, `to the inviter by ${protocol}`);
      await sent(client, ours, peer, `from the inviter by ${protocol}`);
      // the key of an invitation of one use serves nothing any more
      await until(
        async () => !(await keysAt(mediator, mediation.theirs)).includes(keyOf(made.invitation)),
        'the key of the invitation to go',
      );

      const theirs = await invite(peer, handshake);
      const accepted = await client.post('/out-of-band/receive-invitation', theirs.invitation);
      await active(client, accepted.connection_id);
      const { connection_id: at } = await peer.event(
        'connections',
        (one) => one.invitation_msg_id === theirs.invi_msg_id && one.state === 'active',
        `the connection by ${protocol}`,
      );
      assert.equal(await endpointOf(peer, at), mediator.inbound, protocol);
      await sent(peer, at, client, `to the invitee by ${protocol}`);
      // and with the connection its key goes
      const before = await keysAt(mediator, mediation.theirs);
      await client.call('DELETE', `/connections/${accepted.connection_id}`);
      await until(async () => (await keysAt(mediator, mediation.theirs)).length === before.length - 1, 'the key of the connection to go');
    }
  });

  test('moves to a DID of the same mediator', async () => {
    const made = await invite(client);
    const got = await peer.post('/out-of-band/receive-invitation', made.invitation);
    await active(peer, got.connection_id);
    const { connection_id: ours } = await client.event(
      'connections',
      (one) => one.invitation_msg_id === made.invi_msg_id && one.state === 'active',
      'the connection',
    );
    const { to_did } = await client.post(`/did-rotate/${ours}/rotate`, {});
    await client.event('did-rotate', (one) => one.state === 'ack-received' && one.new_did === to_did, 'the rotation');
    assert.equal(contactOf(resolvePeer(to_did)).endpoint, mediator.inbound);
    await sent(peer, got.connection_id, client, 'after the move');
  });

  test('names a mediation for one call; another is refused', async () => {
    const other = await startMediator('another-mediator');
    const second = await mediated(client, other, false);
    const { invitation } = await invite(client, { mediation_id: second.id });
    assert.equal(invitation.services[0].serviceEndpoint, other.inbound);
    const got = await peer.post('/out-of-band/receive-invitation', invitation);
    await active(peer, got.connection_id);
    // the DID of the connection goes through the mediator of its invitation
    assert.equal(await endpointOf(peer, got.connection_id), other.inbound);

    const old = await client.post('/connections/create-invitation', { mediation_id: second.id });
    assert.deepEqual([old.invitation.serviceEndpoint, old.invitation.routingKeys.length], [other.inbound, 1]);
    const by = await peer.post('/connections/receive-invitation', old.invitation);
    await active(peer, by.connection_id);

    const theirs = await invite(peer);
    const accepted = await client.post(`/out-of-band/receive-invitation?mediation_id=${second.id}`, theirs.invitation);
    await active(client, accepted.connection_id);
    const { connection_id: at } = await peer.event('connections', (one) => one.invitation_msg_id === theirs.invi_msg_id, 'the connection');
    await until(async () => (await endpointOf(peer, at)) === other.inbound, "the second mediator's endpoint");

    const calls = (id: string) => [
      client.call('POST', '/out-of-band/create-invitation', { ...HANDSHAKE, mediation_id: id }),
      client.call('POST', `/out-of-band/receive-invitation?mediation_id=${id}`, theirs.invitation),
      client.call('POST', '/connections/create-invitation', { mediation_id: id }),
      client.call('POST', `/connections/receive-invitation?mediation_id=${id}`, old.invitation),
    ];
    for (const answer of await Promise.all(calls('none'))) assert.equal(answer.status, 404, answer.text);
    const strict = await world.start('strict-mediator');
    const { invitee } = await connect(strict, client);
    const { body: pending } = await client.call('POST', `/mediation/request/${invitee}`, {});
    for (const answer of await Promise.all(calls(pending.mediation_id))) {
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.text, /Mediation is not granted/);
    }
  });

  test('an exchange without a connection is answered through the mediator', async () => {
    const attached = await client.post('/present-proof-2.0/create-request', {
      presentation_request: { anoncreds: { name: 'p', version: '1.0', nonce: '1', requested_attributes: {}, requested_predicates: {} } },
    });
    const { invitation } = await client.post('/out-of-band/create-invitation', {
      attachments: [{ id: attached.pres_ex_id, type: 'present-proof' }],
    });
    assert.equal(invitation.services[0].serviceEndpoint, mediator.inbound);
    const { pres_ex_id } = await peer
      .post('/out-of-band/receive-invitation', invitation)
      .then(() => peer.event('present_proof_v2_0', (one) => one.state === 'request-received', 'the request'));
    await peer.post(`/present-proof-2.0/records/${pres_ex_id}/problem-report`, { description: 'no' });
    await client.event('present_proof_v2_0', (one) => one.pres_ex_id === attached.pres_ex_id && one.state === 'abandoned', 'the refusal');
    // whoever offered something hears where answers go
    const stranger = await startStranger();
    world.defer(() => stranger.close());
    const { pres_ex_id: theirs } = await peer.post('/present-proof-2.0/create-request', {
      presentation_request: { anoncreds: { name: 'q', version: '1.0', nonce: '2', requested_attributes: {}, requested_predicates: {} } },
    });
    const offered = await peer.post('/out-of-band/create-invitation', { attachments: [{ id: theirs, type: 'present-proof' }] });
    const again = { ...offered.invitation, services: [stranger.did] };
    await client.post('/out-of-band/receive-invitation', again);
    const { pres_ex_id: mine } = await client.event('present_proof_v2_0', (one) => one.state === 'request-received', 'the request');
    await client.post(`/present-proof-2.0/records/${mine}/problem-report`, { description: 'no' });
    const { message } = await stranger.inbox.first((mail) => mail.message['~service'] !== undefined, 'the report');
    const { serviceEndpoint, routingKeys, recipientKeys } = message['~service'];
    assert.deepEqual([serviceEndpoint, routingKeys.length], [mediator.inbound, 1]);
    assert.ok((await keysAt(mediator, mediation.theirs)).includes(recipientKeys[0]));
  });

  test('clears its default mediator, and sets it again', async () => {
    const shown = await client.get('/mediation/default-mediator');
    assert.equal(shown.mediation_id, mediation.id);
    const cleared = await client.call('DELETE', '/mediation/default-mediator');
    assert.deepEqual([cleared.status, cleared.body.mediation_id], [201, mediation.id]);
    assert.deepEqual(await client.get('/mediation/default-mediator'), {});
    assert.equal((await invite(client)).invitation.services[0].serviceEndpoint, client.inbound);
    assert.equal((await client.call('PUT', '/mediation/none/default-mediator')).status, 400);
    assert.equal((await client.call('PUT', `/mediation/${mediation.id}/default-mediator`)).status, 201);
    assert.equal((await invite(client)).invitation.services[0].serviceEndpoint, mediator.inbound);
  });
});

test('nothing that shows a key leaves before the mediator knows it, and nothing overtakes what waits', async () => {
  const port = await freePort();
  let mediator = await startMediator('absent', { port });
  const client = await world.start('waiting', { flags: ['--auto-accept-invites'] });
  const peer = await world.start('waited-for', { flags: AUTO });
  await mediated(client, mediator);
  const before = await invite(client, {}, 'auto_accept=false');
  const got = await peer.post('/out-of-band/receive-invitation', before.invitation);
  const { connection_id: ours } = await client.event(
    'connections',
    (one) => one.invitation_msg_id === before.invi_msg_id && one.state === 'request',
    'the request',
  );
  await mediator.stop();

  const theirs = await invite(peer);
  const named = { 'idempotency-key': 'the same' };
  const [made, accepted, received] = await Promise.all([
    client.call('POST', '/out-of-band/create-invitation?auto_accept=true', HANDSHAKE, named),
    client.call('POST', `/didexchange/${ours}/accept-request`),
    client.call('POST', '/out-of-band/receive-invitation', theirs.invitation),
  ]);
  // what would show the key is not answered; what only waits to be sent is
  assert.deepEqual([made.status, accepted.status, received.status], [504, 200, 200], made.text);
  await client.post(`/connections/${ours}/send-message`, { content: 'behind the response' });
  // an exchange without a connection begins when its key is known
  const proof = await peer.post('/present-proof-2.0/create-request', {
    presentation_request: { anoncreds: { name: 'p', version: '1.0', nonce: '1', requested_attributes: {}, requested_predicates: {} } },
  });
  const attached = await peer.post('/out-of-band/create-invitation', { attachments: [{ id: proof.pres_ex_id, type: 'present-proof' }] });
  const alone = client.call('POST', '/out-of-band/receive-invitation', attached.invitation);
  await until(
    async () => (await client.get(`/out-of-band/records?invi_msg_id=${attached.invi_msg_id}`)).results.length === 1,
    'its record',
  );
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.deepEqual((await client.get('/present-proof-2.0/records')).results, []);
  assert.equal((await peer.get(`/connections/${got.connection_id}`)).state, 'request');
  const [{ state }] = (await peer.get(`/connections?invitation_msg_id=${theirs.invi_msg_id}`)).results;
  assert.equal(state, 'invitation');

  mediator = await startMediator('absent', { port });
  await peer.event('basicmessages', (one) => one.content === 'behind the response', 'the message behind', 60_000);
  await active(peer, got.connection_id);
  await active(client, received.body.connection_id);
  assert.equal((await alone).status, 200);
  const { pres_ex_id } = await client.event('present_proof_v2_0', (one) => one.state === 'request-received', 'the request', 60_000);
  await client.post(`/present-proof-2.0/records/${pres_ex_id}/problem-report`, { description: 'no' });
  await peer.event('present_proof_v2_0', (one) => one.pres_ex_id === proof.pres_ex_id && one.state === 'abandoned', 'the refusal', 30_000);
  const again = await until(
    async () => {
      const answer = await client.call('POST', '/out-of-band/create-invitation?auto_accept=true', HANDSHAKE, named);
      return answer.status === 200 && answer;
    },
    'the invitation',
    60_000,
  );
  const other = await peer.post('/out-of-band/receive-invitation', again.body.invitation);
  await active(peer, other.connection_id);
});

test('a key that the mediator refuses is never shown', async () => {
  const mediator = await startMediator('stingy', { flags: ['--mediator-max-keys', '1'] });
  const client = await world.start('refused', { flags: AUTO });
  const peer = await world.start('unreached', { flags: AUTO });
  await mediated(client, mediator);
  await invite(client);
  const made = await client.call('POST', '/out-of-band/create-invitation', HANDSHAKE);
  assert.equal(made.status, 400, made.text);
  assert.match(made.text, /does not take the key/);
  const theirs = await invite(peer);
  const received = await client.call('POST', '/out-of-band/receive-invitation', theirs.invitation);
  assert.equal(received.status, 400, received.text);
  await client.event('connections', (one) => one.state === 'error', 'the failed connection');
  assert.equal(peer.hooks.list.filter(({ topic, payload }) => topic === 'connections' && payload.state === 'request').length, 0);
});

test("a tenant goes through the base wallet's mediator, or its own", async () => {
  const [first, second] = await Promise.all([startMediator('first'), startMediator('second')]);
  const cloud = await world.start('cloud', { flags: [...MULTITENANT, ...AUTO, '--base-wallet-routes', '^/.*$'] });
  const peer = await world.start('tenants-peer', { flags: AUTO });
  const base = await mediated(cloud, first);
  const tenant = await newTenant(cloud, 'one');
  const { invitation } = await invite(tenant);
  assert.equal(invitation.services[0].serviceEndpoint, first.inbound);
  const { results } = await cloud.get('/mediation/keylists?role=client');
  assert.deepEqual(
    results.map((one: Body) => one.wallet_id),
    [tenant.id],
  );
  const got = await peer.post('/out-of-band/receive-invitation', invitation);
  await active(peer, got.connection_id);
  assert.equal(await endpointOf(peer, got.connection_id), first.inbound);
  await peer.post(`/connections/${got.connection_id}/send-message`, { content: 'to the tenant' });
  const [{ connection_id: ours }] = (await tenant.get('/connections')).results;
  // its keys are taken back from the base wallet's mediator
  await until(async () => (await keysAt(first, base.theirs)).length === 1, 'the key of the connection alone');
  await tenant.call('DELETE', `/connections/${ours}`);
  await until(async () => (await keysAt(first, base.theirs)).length === 0, 'no key');

  const offered = await invite(second);
  const own = await tenant.post('/out-of-band/receive-invitation', offered.invitation);
  await until(async () => (await tenant.get(`/connections/${own.connection_id}`)).state === 'active', 'the connection with the second');
  const { body } = await tenant.call('POST', `/mediation/request/${own.connection_id}`, {});
  await until(async () => (await tenant.get(`/mediation/requests/${body.mediation_id}`)).state === 'granted', 'the grant');
  assert.equal((await tenant.call('PUT', `/mediation/${body.mediation_id}/default-mediator`)).status, 201);
  assert.equal((await invite(tenant)).invitation.services[0].serviceEndpoint, second.inbound);
  assert.equal((await invite(cloud)).invitation.services[0].serviceEndpoint, first.inbound);
});

describe('--mediator-invitation', () => {
  test('connects, asks and sets the default, once, and waits for a mediator that is away', async () => {
    const port = await freePort();
    let mediator = await startMediator('invited', { port });
    const { invitation_url } = await invite(mediator, {}, 'auto_accept=true&multi_use=true');
    await mediator.stop();
    const flags = ['--mediator-invitation', invitation_url];
    const own = await freePort();
    let client = await world.start('inviting', { flags, port: own });
    await until(() => client.logged.some((line) => line.includes('is not connected yet')), 'a line of the log');
    mediator = await startMediator('invited', { port });
    const current = await until(
      async () => {
        const answer = await client.get('/mediation/default-mediator');
        return answer.mediation_id !== undefined && answer;
      },
      'the default mediator',
      60_000,
    );
    assert.equal(current.state, 'granted');
    // to the mediator itself, peers of it are told nothing of a mediator
    assert.equal(await endpointOf(mediator, (await mediator.get('/connections?state=active')).results[0].connection_id), client.inbound);
    assert.equal((await invite(client)).invitation.services[0].serviceEndpoint, mediator.inbound);
    assert.ok(client.logged.some((line) => line.includes('new keys go through it')));

    await client.stop();
    client = await world.start('inviting', { flags, port: own });
    assert.equal((await invite(client)).invitation.services[0].serviceEndpoint, mediator.inbound);
    assert.equal((await client.get('/connections')).results.filter((one: Body) => one.state === 'active').length, 1);
    // what a controller has changed since stays
    await client.call('DELETE', '/mediation/default-mediator');
    await client.stop();
    client = await world.start('inviting', { flags, port: own });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.deepEqual(await client.get('/mediation/default-mediator'), {});
    await client.stop();
    client = await world.start('inviting', { port: own, flags: ['--default-mediator-id', current.mediation_id] });
    assert.equal((await client.get('/mediation/default-mediator')).mediation_id, current.mediation_id);
    await client.stop();
    client = await world.start('inviting', { port: own, flags: ['--clear-default-mediator'] });
    assert.deepEqual(await client.get('/mediation/default-mediator'), {});
    assert.equal((await client.get('/connections')).results.filter((one: Body) => one.state === 'active').length, 1);
  });

  test('takes an invitation of connections/1.0', async () => {
    const mediator = await startMediator('old-fashioned');
    const { invitation_url } = await mediator.post('/connections/create-invitation?auto_accept=true', {});
    const client = await world.start('modern', { flags: ['--mediator-invitation', invitation_url, '--no-receive-invites'] });
    await until(async () => (await client.get('/mediation/default-mediator')).state === 'granted', 'the default mediator', 30_000);
    assert.equal((await invite(client)).invitation.services[0].serviceEndpoint, mediator.inbound);
  });

  test('goes past the default mediator to another one', async () => {
    const [first, second] = await Promise.all([startMediator('before'), startMediator('instead')]);
    const port = await freePort();
    const client = await world.start('moving', { port, flags: AUTO });
    await mediated(client, first);
    const { invitation_url } = await invite(second);
    await client.stop();
    const moved = await world.start('moving', { port, flags: ['--mediator-invitation', invitation_url] });
    await until(async () => (await moved.get('/mediation/default-mediator')).endpoint === second.inbound, 'the other mediator', 30_000);
    assert.equal(await endpointOf(second, (await second.get('/connections?state=active')).results[0].connection_id), moved.inbound);
  });

  test('refuses what is no invitation, and a contradiction', async () => {
    await assert.rejects(world.start('wrong', { flags: ['--mediator-invitation', 'https://example.org'] }), /holds no invitation/);
    const both = ['--default-mediator-id', 'x', '--clear-default-mediator'];
    await assert.rejects(world.start('both', { flags: both }), /sets what the other clears/);
  });
});

test('an agent without an endpoint names none, and asks for answers on the connection that it opens', async () => {
  const client = await world.start('unreachable', { noInbound: true, flags: AUTO });
  const peer = await startStranger();
  world.defer(() => peer.close());
  const invitation = {
    '@id': 'of-a-stranger',
    '@type': 'https://didcomm.org/out-of-band/1.1/invitation',
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    services: [peer.did],
  };
  await client.post('/out-of-band/receive-invitation', invitation);
  const { message: request } = await peer.inbox.first(({ message }) => message['@type'].endsWith('/request'), 'the request');
  assert.deepEqual(request['~transport'], { return_route: 'all' });
  assert.equal(didcommServices(resolvePeer(request.did))[0]?.serviceEndpoint, 'didcomm:transport/queue');
  const made = await invite(client);
  assert.equal(made.invitation.services[0].serviceEndpoint, 'didcomm:transport/queue');
});

describe('with a ledger', () => {
  test('a public DID and a request to it go through a mediator', async () => {
    const devnet = await world.devnet();
    const mediator = await startMediator('public-mediator');
    const client = await world.start('published', {
      devnet,
      sponsor: true,
      flags: [...AUTO, '--public-invites', '--requests-through-public-did'],
    });
    const peer = await world.start('asking', { devnet, flags: [] });
    const { id, theirs } = await mediated(client, mediator);
    const { result } = await client.post('/wallet/did/create', { method: 'algo' });
    const published = await client.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
    assert.equal(published.result.metadata.endpoint, mediator.inbound);
    assert.ok((await keysAt(mediator, theirs)).includes(result.verkey));
    const serviceAt = async (): Promise<Body> =>
      (await client.get(`/resolver/resolve/${encodeURIComponent(result.did)}`)).did_document.service[0];
    const { endpoint, routing_keys } = await client.get(`/mediation/requests/${id}`);
    const service = await serviceAt();
    assert.deepEqual([service.serviceEndpoint, service.routingKeys], [endpoint, routing_keys]);

    // and its own endpoint again, and the mediator's
    await client.post('/wallet/set-did-endpoint', { did: result.did, endpoint: client.inbound });
    await until(async () => (await serviceAt()).serviceEndpoint === client.inbound, 'the endpoint of its own');
    assert.deepEqual((await serviceAt()).routingKeys, []);
    await client.post('/wallet/set-did-endpoint', { did: result.did, mediation_id: id });
    await until(async () => (await serviceAt()).serviceEndpoint === mediator.inbound, "the mediator's endpoint");
    assert.deepEqual((await serviceAt()).routingKeys, routing_keys);
    assert.equal((await client.call('POST', '/wallet/set-did-endpoint', { did: result.did, mediation_id: 'none' })).status, 404);

    // without an invitation, each side by the mediator that its call names
    const other = await startMediator('peers-mediator');
    const second = await mediated(peer, other, false);
    const asked = await peer.post(
      `/didexchange/create-request?their_public_did=${encodeURIComponent(result.did)}&mediation_id=${second.id}&protocol=didexchange/1.1`,
    );
    await active(peer, asked.connection_id);
    assert.equal(await endpointOf(peer, asked.connection_id), mediator.inbound);
    const [{ connection_id: ours }] = (await client.get('/connections?state=active')).results.filter(
      (one: Body) => one.request_id === asked.request_id,
    );
    assert.equal(await endpointOf(client, ours), other.inbound);

    // who accepts a request may name a mediator too
    const { invitation } = await invite(peer, {}, 'auto_accept=false');
    const got = await client.post('/out-of-band/receive-invitation', invitation);
    const { connection_id: at } = await peer.event(
      'connections',
      (one) => one.state === 'request' && one.invitation_msg_id === invitation['@id'],
      'the request',
    );
    assert.equal((await peer.call('POST', `/didexchange/${at}/accept-request?mediation_id=none`)).status, 404);
    await peer.post(`/didexchange/${at}/accept-request?mediation_id=${second.id}`);
    await active(client, got.connection_id);
    assert.equal(await endpointOf(client, got.connection_id), other.inbound);
  });
});
