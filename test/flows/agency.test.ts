import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { openApi } from '../../edge/api.ts';
import { createSession } from '../../edge/session.ts';
import type { Terminal } from '../../edge/terminal.ts';
import { openContainer } from '../../src/backup/container.ts';
import { exportContainer } from '../../src/backup/export.ts';
import { importContainer, verifyContainer } from '../../src/backup/import.ts';
import { newWords, recoveryKeys } from '../../src/backup/recovery.ts';
import { readConfig } from '../../src/config/read-config.ts';
import { BASE, openDatabase } from '../../src/database.ts';
import { pack } from '../../src/didcomm/envelope-v1.ts';
import { OWN_PREFIX } from '../../src/didcomm/message-types.ts';
import { startAgency, startEdge, type TestAgency, type TestEdge } from '../support/agency.ts';
import { anchor, type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { makeKey, type Peer2018, startPeer2018, typeOf, unseal } from '../support/peer-2018.ts';
import { message } from '../support/stranger.ts';
import { joinWallet } from '../support/wallet.ts';

/**
 * Edge agents that nobody can reach, and their cloud agents at an agency: the 2018 Agent Protocol and DIDComm through it, both ways. The egress guard of the edges
 * allows the agency's address alone: whatever reaches a peer has gone through the agency.
 */

const world = createWorld();
const HOLDER = ['--auto-respond-credential-offer', '--auto-store-credential', '--auto-respond-presentation-request'];
const ISSUER = ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation', '--preserve-exchange-records'];
let agency: TestAgency;
let edge: TestEdge;
let faber: TestAgent;
let peer: Peer2018;
let anchored: { credDefId: string };
before(async () => {
  const devnet = await world.devnet();
  agency = await startAgency(world, 'agency');
  edge = await startEdge(world, 'edge', agency, { devnet, flags: [...HOLDER, '--preserve-exchange-records'] });
  faber = await world.start('faber', { devnet, sponsor: true, flags: ISSUER });
  peer = await startPeer2018();
  world.defer(peer.close);
  anchored = await anchor(faber, ['name', 'age']);
});
after(() => world.close());

const active = (agent: TestAgent, id: string): Promise<Body> =>
  agent.event('connections', (one) => one.connection_id === id && one.state === 'active', `the connection ${id}`);

/** How much the agency keeps for a device. */
const waiting = async (connection: string): Promise<number> => (await agency.agent.kernel.db.store.mailbox('base', connection)).messages;
/** The connections of the agency with the devices of an edge's cloud agent. */
async function devicesOf(agent: TestEdge): Promise<string[]> {
  const { results } = await agency.get('/agency/cloud-agents?limit=100');
  const { value } = (
    await agent.agent.kernel.db.store.load('base', [{ category: 'connection', id: agent.device.connection_id }])
  ).flat()[0]!;
  const rows = await agency.agent.kernel.db.store.load('base', [
    { category: 'connection', tag: 'their_key', equals: String(value.my_verkey) },
  ]);
  const own = rows.flat()[0]!.id;
  const cloud = results.find((one: Body) => one.devices.some(({ connection_id }: Body) => connection_id === own));
  return cloud.devices.map(({ connection_id }: Body) => connection_id);
}

async function issueAndProve(issuer: string): Promise<void> {
  const sent = await faber.post('/issue-credential-2.0/send', {
    connection_id: issuer,
    filter: { anoncreds: { cred_def_id: anchored.credDefId } },
    credential_preview: {
      attributes: [
        { name: 'name', value: 'Alice' },
        { name: 'age', value: '25' },
      ],
    },
  });
  await faber.event('issue_credential_v2_0', (one) => one.cred_ex_id === sent.cred_ex_id && one.state === 'done', 'the end of issuing');
  const asked = await faber.post('/present-proof-2.0/send-request', {
    connection_id: issuer,
    presentation_request: {
      anoncreds: {
        requested_attributes: { name: { name: 'name', restrictions: [{ cred_def_id: anchored.credDefId }] } },
        requested_predicates: {},
      },
    },
  });
  const ended = (one: Body): boolean => one.pres_ex_id === asked.pres_ex_id && one.state === 'done';
  assert.equal((await faber.event('present_proof_v2_0', ended, 'the end of proving')).verified, 'true');
}

test('[S2-40] a peer of 2018 answers the offer of an edge: it knows the agency alone, and both are connected', async () => {
  const { connection_id, offer } = await edge.post('/legacy/connections/offers', { auto_accept: true });
  const { did, verkey } = await agency.get('/legacy/endpoint');
  assert.deepEqual([offer.message.endpoint, offer.message.did, offer.message.verkey], [agency.address, did, verkey]);
  const link = await peer.accept(peer.readOffer(offer));
  assert.equal((await active(edge, connection_id)).their_did, link.mine.did);
});

test('[S2-39] [S2-40] with an agent of 2018 that offers, credential and proof go through the agency', async () => {
  const made = await faber.post('/legacy/connections/offers', {});
  const got = await edge.post('/legacy/connections/receive-offer', { offer: made.offer });
  await Promise.all([active(edge, got.connection_id), active(faber, made.connection_id)]);
  assert.equal((await faber.get(`/connections/${made.connection_id}`)).legacy.profile, 'spec');
  await issueAndProve(made.connection_id);
});

test('[S2-40] the same by DIDComm', async () => {
  const { inviter } = await connect(faber, edge);
  await issueAndProve(inviter);
  const { their_endpoint } = await faber
    .get(`/connections/${inviter}/endpoints`)
    .then((one: Body) => ({ their_endpoint: one.their_endpoint }));
  assert.equal(their_endpoint, agency.address);
});

test('[S2-40] what the agency cannot deliver comes back, and the connection shows why', async () => {
  const elsewhere = await startPeer2018();
  const offer = elsewhere.offer({ endpoint: 'http://10.255.255.1/' });
  await elsewhere.close();
  const { connection_id } = await edge.post('/legacy/connections/receive-offer', { offer, auto_accept: true });
  const failed = await edge.event('connections', (one) => one.connection_id === connection_id && one.state === 'error', 'the failure');
  assert.match(failed.error_msg, /^The agency could not deliver the message: .*10\.255\.255\.1/);
});

test('[D-07] no endpoint of a peer leads the agency inside: to its own admin port, or where the machine has its metadata', async () => {
  const admin = agency.agent.adminPort!;
  for (const endpoint of [`http://127.0.0.1:${admin}/`, `http://localhost:${admin}/`, 'http://169.254.169.254/latest']) {
    const offer = peer.offer({ endpoint });
    const { connection_id } = await edge.post('/legacy/connections/receive-offer', { offer, auto_accept: true });
    const failed = await edge.event('connections', (one) => one.connection_id === connection_id && one.state === 'error', `${endpoint}`);
    assert.match(failed.error_msg, /^The agency could not deliver the message: .*not allowed/);
  }
});

test('an edge does not take a response that its peer has not signed: who opens its mail could have made it', async () => {
  const offer = peer.offer({ offer_verkey: peer.endpoint.verkey });
  const { connection_id } = await edge.post('/legacy/connections/receive-offer', { offer, auto_accept: true });
  const request = await peer.requested(offer);
  await peer.respond(request);
  await edge.event('legacy_problem', (one) => one.reason === 'signature-missing' && one.connection_id === connection_id, 'the refusal');
  await peer.respond(request, {}, { signer: peer.endpoint });
  await active(edge, connection_id);
});

test('[S2-33] [S2-43] what is kept for an edge is packed for its key: its inside is as the peer has sealed it', async () => {
  const { connection_id, offer } = await edge.post('/legacy/connections/offers', { auto_accept: true });
  const link = await peer.accept(peer.readOffer(offer));
  await active(edge, connection_id);
  const [box] = await devicesOf(edge);
  const kept: string[] = [];
  const end = agency.agent.kernel.db.jobs.subscribe(({ mailboxes }) => {
    for (const { mailbox, mail = [] } of mailboxes) if (mailbox === box) kept.push(...mail.map(({ body }) => body));
  });
  const { base } = await peer.say(link, 'proof_request', {
    name: 'p',
    version: '1.0',
    nonce: '123456789012345678',
    requested_attributes: {},
    requested_predicates: {},
  });
  end();
  const [body] = kept;
  assert.ok(body !== undefined && !body.includes(base.message.slice(0, 40)), 'nothing of it is legible');
  const { kernel } = edge.agent;
  const { value } = (await kernel.db.store.load('base', [{ category: 'connection', id: edge.device.connection_id }])).flat()[0]!;
  const pair = await kernel.keys.pair('base', String(value.my_verkey));
  const { openEnvelope, parseEnvelope } = await import('../../src/didcomm/envelope-v1.ts');
  const opened = openEnvelope(parseEnvelope(Buffer.from(body)), pair!);
  assert.equal(opened.sender, undefined, 'nobody has signed: no key of the agency opens it');
  const inside = JSON.parse(Buffer.from(opened.message).toString());
  assert.deepEqual([inside.id, inside.type, inside.message], [base.id, base.type, base.message]);
});

test('[S2-34] [S2-44] two devices of one owner: each gets every message, and fetches its own copy', async () => {
  const phone = await startEdge(world, 'phone', agency);
  const { device_code: code } = await phone.post(`/agency/devices/${phone.device.device_id}/add`, { label: 'tablet' });
  const tablet = await startEdge(world, 'tablet', agency, { code });
  const [first, second] = await devicesOf(phone);
  assert.ok(first && second);
  await until(async () => (await waiting(second)) === 0, 'the mail of the tablet to be fetched');
  await tablet.stop();
  const { connection_id, offer } = await phone.post('/legacy/connections/offers', { auto_accept: true });
  await peer.accept(peer.readOffer(offer));
  await active(phone, connection_id);
  await until(async () => (await waiting(first)) === 0, 'the mail of the phone to be fetched');
  const left = await waiting(second);
  assert.equal(left, 2, 'the request and the acknowledgement wait for the tablet');
  await world.start('tablet-again', { store: tablet.store, noInbound: true, flags: ['--egress-allow', '127.0.0.2/32'] });
  await until(async () => (await waiting(second)) === 0, 'the mail of the tablet to be fetched');
  const { devices } = await phone.post(`/agency/devices/${phone.device.device_id}/list`);
  assert.deepEqual(
    devices.map(({ label, you }: Body) => [label, you]),
    [
      ['phone', true],
      ['tablet', false],
    ],
  );
  const { devices: alone } = await phone.post(`/agency/devices/${phone.device.device_id}/remove`, { device: devices[1].device });
  assert.equal(alone.length, 1);
  assert.deepEqual(await devicesOf(phone), [first]);
});

test('an edge configures its cloud agent; a stranger does not, nor does a client without one', async () => {
  const { configuration } = await edge.post(`/agency/devices/${edge.device.device_id}/config`, { retention_days: 1, push_token: 'token' });
  assert.deepEqual(configuration, { push: true, retention_days: 1, legacy: true });
  const invitation = JSON.parse(Buffer.from(new URL(agency.invitation).searchParams.get('oob')!, 'base64url').toString());
  const client = await joinWallet(invitation, agency.address);
  world.defer(() => client.stranger.close());
  const { reply } = await client.say(`${OWN_PREFIX}agency/1.0/config`, { set: { legacy: false } });
  assert.match(reply['@type'], /problem-report$/);
});

test('[S2-42] what the cloud agent is told anonymously, or under another key, it does not take', async () => {
  const { kernel } = agency.agent;
  const [box] = await devicesOf(edge);
  const { value } = (await kernel.db.store.load('base', [{ category: 'connection', id: box! }])).flat()[0]!;
  const recipients = [String(value.my_verkey)];
  const said = JSON.stringify(message(`${OWN_PREFIX}agency/1.0/config`, { set: { retention_days: 5 } }));
  const { pair: other } = await import('../support/stranger.ts').then(async ({ startStranger }) => {
    const stranger = await startStranger({ endpoint: false });
    world.defer(() => stranger.close());
    return stranger;
  });
  const { configuration: before } = await edge.post(`/agency/devices/${edge.device.device_id}/config`, {});
  for (const sender of [undefined, other]) {
    const answer = await fetch(agency.address, {
      method: 'POST',
      headers: { 'content-type': 'application/ssi-agent-wire' },
      body: pack({ message: said, recipients, sender }),
    });
    assert.deepEqual([answer.status, await answer.text()], [202, '']);
  }
  const { configuration } = await edge.post(`/agency/devices/${edge.device.device_id}/config`, {});
  assert.deepEqual(configuration, before, 'as the edge has said');
  await edge.post(`/agency/devices/${edge.device.device_id}/config`, { legacy: false });
  const { offer } = await edge.post('/legacy/connections/offers', {});
  assert.equal((await peer.request(peer.readOffer(offer))).sent.status, 202, 'no oracle');
  await until(async () => ((await agency.get('/status')).conductor.refused_cloud_agent_off ?? 0) >= 1, 'the request to be dropped');
  await edge.post(`/agency/devices/${edge.device.device_id}/config`, { legacy: true });
});

test('[S2-49] an agent without a cloud agent and one with it look alike to their peers, in all that they send', async () => {
  const shape = (value: Body): Body =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, shape(one)]))
      : typeof value;
  const seen: Body[] = [];
  const alone = await world.start('alone', { flags: ['--auto-accept-invites', '--auto-accept-requests'] });
  for (const agent of [alone, edge]) {
    const { connection_id, offer } = await agent.post('/legacy/connections/offers', { auto_accept: true });
    const pending = await peer.request(peer.readOffer(offer));
    const fits = ({ base }: Body): boolean => base?.id === pending.nonce;
    const { contentType, base: response } = await peer.inbox.first(fits, 'the response');
    const inside = JSON.parse(Buffer.from(unseal(pending.key, Buffer.from(response.message, 'base64'))).toString());
    const link = await peer.response(pending);
    const { sent, answer } = { sent: pending.sent, answer: await peer.acknowledge(link) };
    await active(agent, connection_id);
    const theirs = peer.offer({ offer_verkey: peer.endpoint.verkey });
    await agent.post('/legacy/connections/receive-offer', { offer: theirs, auto_accept: true });
    const request = await peer.requested(theirs);
    seen.push({
      offer: shape(offer),
      contentType,
      response: shape(response),
      inside: shape(inside),
      request: shape(request.base),
      answers: [sent, answer].map(({ status, body }) => [status, body]),
    });
  }
  assert.deepEqual(seen[1], seen[0]);
});

test('of two copies of a wallet the newer is served', async () => {
  const old = await startEdge(world, 'old', agency);
  const { connection_id, device_id } = old.device;
  await old.post(`/agency/provision/${connection_id}`, { generation: 2 });
  const answered = () => old.get(`/agency/devices/${device_id}`);
  await until(async () => (await answered()).generation === 2, 'the second generation');
  await old.post(`/agency/provision/${connection_id}`, { generation: 1 });
  await old.event('cloud_agent', (one) => one.state === 'superseded', 'the end of the older copy');
  assert.match((await answered()).error_msg, /of generation 2$/);
  const { status, text } = await old.call('POST', '/legacy/connections/offers', {});
  assert.deepEqual([status, /newer copy/.test(text)], [400, true]);
});

/** A backup of an agent that stopped. @returns a function that restores it into a new store, whose path it returns */
async function backedUp({ store }: TestAgent): Promise<(name: string) => Promise<string>> {
  const { publicKey, secret } = recoveryKeys(newWords());
  const silent = { info() {}, warn() {}, error() {} };
  const open = (path: string) => openDatabase(readConfig(['--store', `sqlite:${path}`], {}).config, silent);
  const from = await open(store);
  const { text } = await exportContainer({ db: from, base: BASE, publicKey, extent: 'copy' });
  const backup: string[] = [];
  for await (const part of text) backup.push(String(part));
  await from.admin.close();
  return async (name) => {
    const path = join(world.folder, `${name}.db`);
    const to = await open(path);
    const given = () => openContainer(Readable.from(backup.map((part) => Buffer.from(part))), secret);
    await importContainer(to, await verifyContainer({ base: BASE, open: given }));
    await to.admin.close();
    return path;
  };
}

test('a wallet that was restored from a backup is newer than the one that it was made of, which the agency serves no more', async () => {
  const original = await startEdge(world, 'original', agency);
  await original.stop();
  const store = await (await backedUp(original))('copy');
  const flags = ['--agency-invitation', agency.invitation, '--egress-allow', '127.0.0.2/32'];
  const copy = await world.start('copy', { store, noInbound: true, flags });
  const { generation } = await until(async () => {
    const { results } = await agency.get('/agency/devices?role=agency&limit=100');
    return results.find((one: Body) => one.label === 'original' && one.generation > 1);
  }, 'the copy to be known');
  assert.equal((await copy.get(`/agency/devices/${original.device.device_id}`)).generation, generation);
  await copy.stop();
  const late = await world.start('original-again', { store: original.store, noInbound: true, flags });
  await late.event('cloud_agent', (one) => one.state === 'superseded', 'the end of the original');
});

test('a wallet whose newer copy begins somewhere else hears of it though it says nothing, and has no mail any more', async () => {
  const original = await startEdge(world, 'quiet', agency);
  const friend = await world.start('friend-of-the-quiet');
  const { inviter } = await connect(friend, original);
  await original.stop();
  const store = await (await backedUp(original))('copy-of-the-quiet');
  const flags = ['--agency-invitation', agency.invitation, '--egress-allow', '127.0.0.2/32'];
  const quiet = await world.start('quiet-again', { store: original.store, noInbound: true, flags });
  const said = (agent: TestAgent, content: string): Promise<Body> =>
    agent.event('basicmessages', (one) => one.content === content, content);
  await friend.post(`/connections/${inviter}/send-message`, { content: 'to the one' });
  await said(quiet, 'to the one');
  const copy = await world.start('copy-of-the-quiet', { store, noInbound: true, flags });
  await quiet.event('cloud_agent', (one) => one.state === 'superseded', 'the end of the older copy');
  await friend.post(`/connections/${inviter}/send-message`, { content: 'to the other' });
  await said(copy, 'to the other');
});

test('of two wallets that were restored from one backup the agency serves the later, though both start at once', async () => {
  const original = await startEdge(world, 'twice', agency);
  const friend = await world.start('friend');
  const { inviter } = await connect(friend, original);
  await original.stop();
  const restored = await backedUp(original);
  const stores = [await restored('first-copy'), await restored('second-copy')];
  const flags = ['--agency-invitation', agency.invitation, '--egress-allow', '127.0.0.2/32'];
  const [first, second] = (await Promise.all(stores.map((store, i) => world.start(`copy-${i}`, { store, noInbound: true, flags })))) as [
    TestAgent,
    TestAgent,
  ];
  const device = (one: TestAgent): Promise<Body> => one.get(`/agency/devices/${original.device.device_id}`);
  const api = await openApi(Number(new URL(first.admin).port), first.key);
  world.defer(() => api.close());
  const printed: string[] = [];
  const terminal = { print: (text: string) => void printed.push(text) } as Terminal;
  createSession(api, terminal, { mailbox: 'agency', stays: true });
  await until(async () => (await device(first)).state === 'superseded', 'the end of the first copy');
  await friend.post(`/connections/${inviter}/send-message`, { content: 'to the second copy' });
  await second.event('basicmessages', ({ content }) => content === 'to the second copy', 'mail of the second copy');
  assert.equal((await device(second)).state, 'provisioned');
  // as its owner sees it
  await until(() => printed.some((text) => text.startsWith('A newer copy of this wallet')), 'the notice');
  await assert.rejects(createSession(api, terminal, { mailbox: 'agency', stays: false }).mailbox(), /a newer copy of this wallet/);
});

test('[S2-50] an institution with an endpoint of its own is behind an agency too, and shows that alone', async () => {
  const { connection_id, ...institution } = await startInstitution();
  const { offer } = await institution.agent.post('/legacy/connections/offers', { auto_accept: true });
  assert.equal(offer.message.endpoint, agency.address);
  const link = await peer.accept(peer.readOffer(offer));
  await institution.agent.event('connections', (one) => one.their_did === link.mine.did && one.state === 'active', 'the connection');
  const { invitation } = await institution.agent.post('/out-of-band/create-invitation', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  assert.equal(invitation.services[0].serviceEndpoint, agency.address);
  assert.ok(connection_id);
});

async function startInstitution(): Promise<{ agent: TestAgent; connection_id: string }> {
  const agent = await world.start('institution', {
    flags: ['--auto-accept-requests', '--agency-invitation', agency.invitation],
  });
  const { connection_id } = await until(async () => {
    const { results } = await agent.get('/agency/devices?role=edge&state=provisioned');
    return results[0];
  }, 'the cloud agent of the institution');
  return { agent, connection_id };
}

test('[S2-30] [S2-37] three edges of one agency have a cloud agent each; what names none of them is dropped, and two of them connect', async () => {
  const [other, third] = await Promise.all([startEdge(world, 'neighbour', agency), startEdge(world, 'third', agency)]);
  const boxes = await Promise.all([edge, other, third].map(devicesOf));
  assert.deepEqual([boxes.map((one) => one.length), new Set(boxes.flat()).size], [[1, 1, 1], 3]);
  const { offer_url, connection_id: ours } = await edge.post('/legacy/connections/offers', { auto_accept: true });
  const { connection_id: theirs } = await other.post('/legacy/connections/receive-offer', { offer: offer_url, auto_accept: true });
  await Promise.all([active(edge, ours), active(other, theirs)]);
  const dropped = async (): Promise<number> => (await agency.get('/status')).conductor.refused_2018_unknown_id ?? 0;
  const [before, { did, verkey }] = [await dropped(), await agency.get('/legacy/endpoint')];
  const to = { did, verkey, endpoint: agency.address };
  const stray = { id: makeKey().did, type: typeOf('proof_request'), message: Buffer.alloc(60).toString('base64') };
  const { status, body } = await peer.send(to, stray);
  assert.deepEqual([status, body], [202, ''], 'no oracle');
  assert.equal(await dropped(), before + 1);
  await until(async () => (await Promise.all(boxes.flat().map(waiting))).every((messages) => messages === 0), 'empty boxes');
  assert.deepEqual((await third.get('/connections')).results.length, 1, 'that with the agency');
});

test('[S2-29] an edge that comes back elsewhere has the address that its peers know, and what they said meanwhile', async () => {
  const roaming = await startEdge(world, 'roaming', agency);
  const addressOf = async (agent: TestAgent): Promise<Body> => {
    const { offer } = await agent.post('/legacy/connections/offers', {});
    return [offer.message.endpoint, offer.message.did, offer.message.verkey];
  };
  const { did, verkey } = await agency.get('/legacy/endpoint');
  const address = [agency.address, did, verkey];
  assert.deepEqual(await addressOf(roaming), address);
  const { inviter } = await connect(faber, roaming);
  const known = async (): Promise<string> => (await faber.get(`/connections/${inviter}/endpoints`)).their_endpoint;
  assert.equal(await known(), agency.address);
  await roaming.stop();
  await faber.post(`/connections/${inviter}/send-message`, { content: 'while it was off' });
  const flags = ['--egress-allow', '127.0.0.2/32'];
  const back = await world.start('roaming-elsewhere', { store: roaming.store, noInbound: true, flags });
  assert.notEqual(back.admin, roaming.admin);
  await back.event('basicmessages', (one) => one.content === 'while it was off', 'the message');
  assert.deepEqual(await addressOf(back), address);
  await faber.post(`/connections/${inviter}/send-message`, { content: 'and now' });
  await back.event('basicmessages', (one) => one.content === 'and now', 'the next message');
  assert.equal(await known(), agency.address);
});
