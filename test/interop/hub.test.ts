import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Commanded, CommandFailed, startCommanded } from '../../harness/lines.ts';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { byFull } from '../support/extent.ts';
import { bringPackages, ROOT } from './processes.ts';

/** Vaults as the unmodified `@digitalbazaar/edv-client` and `@digitalbazaar/ezcap` call them: an owner and services, each a process of its own. */

const FOLDER = join(ROOT, 'examples/music-service');
const STREAM = byFull(8, 100) << 20;
const MARKER = 'a song that only its owner knows';

const world = createWorld();
let hub: TestAgent;
let owner: Commanded;
let service: Commanded;

const started = async (name: 'owner' | 'service'): Promise<Commanded> => {
  const one = await startCommanded(join(FOLDER, `${name}.mjs`));
  world.defer(() => one.stop());
  return one;
};

before(async () => {
  await bringPackages(FOLDER);
  const version = (name: string): string =>
    JSON.parse(readFileSync(join(FOLDER, 'node_modules/@digitalbazaar', name, 'package.json'), 'utf8')).version;
  process.stdout.write(`client: edv-client ${version('edv-client')}, ezcap ${version('ezcap')}\n`);
  hub = await world.start('hub', { flags: ['--hub'] });
  [owner, service] = [await started('owner'), await started('service')];
  await owner.ask('create', { url: `${hub.admin}/hub/vaults`, headers: { 'x-api-key': hub.key } });
});
after(() => world.close());

/** The name and the HTTP status of what a client throws. */
const failing = async (asked: Promise<unknown>): Promise<[string, number | undefined]> => {
  const error = await asked.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CommandFailed, `it did not fail: ${error}`);
  return [error.name, error.status];
};

const playlist = (title: string, more: object = {}): Body => ({ content: { kind: 'playlist', title, songs: [MARKER], ...more } });

test('an owner inserts, reads, updates and finds documents; what clashes is told as the client understands it', async () => {
  const { id } = await owner.ask('insert', playlist('calm', { serial: 1 }));
  assert.deepEqual(await owner.ask('get', { id }), { content: playlist('calm', { serial: 1 }).content, sequence: 0 });
  assert.deepEqual(await failing(owner.ask('insert', { id, ...playlist('again') })), ['DuplicateError', 409]);
  assert.deepEqual(await failing(owner.ask('insert', playlist('the same serial', { serial: 1 }))), ['DuplicateError', 409]);
  assert.deepEqual(await owner.ask('update', { id, content: playlist('calmer').content }), { sequence: 1 });
  assert.deepEqual(await failing(owner.ask('update', { id, content: {}, stale: true })), ['InvalidStateError', 409]);
  assert.equal((await owner.ask('get', { id })).sequence, 2);
  const other = await owner.ask('insert', playlist('loud'));
  await owner.ask('update', { id, content: playlist('calm').content });
  assert.deepEqual(await owner.ask('find', { equals: { 'content.title': 'loud' } }), [{ id: other.id, content: playlist('loud').content }]);
  assert.equal((await owner.ask('find', { equals: { 'content.kind': 'playlist' } })).length, 2);
  assert.equal((await owner.ask('find', { has: ['content.title'] })).length, 2);
  assert.equal(await owner.ask('count', { equals: { 'content.kind': 'playlist' } }), 2);
  await owner.ask('index', { id });
  assert.deepEqual(await failing(owner.ask('get', { id: 'z19pjdSMQMkBqqJ5zsaagncfU' })), ['NotFoundError', 404]);
  await owner.ask('remove', { id: other.id });
  assert.deepEqual((await owner.ask('find', { equals: { 'content.title': 'loud' } })).length, 0);
  await owner.ask('update_config', {});
  assert.equal((await owner.ask('config')).sequence, 1);
});

test(`a vault holds a stream of ${STREAM >> 20} MiB, and documents by the hundred`, { timeout: 590_000 }, async () => {
  const { id, chunks } = await owner.ask('stream', { bytes: STREAM, content: { kind: 'album' } });
  assert.equal(chunks, STREAM >> 20);
  assert.deepEqual(await owner.ask('read_stream', { id }), { bytes: STREAM });
  const many = byFull(100, 1000);
  for (let i = 0; i < many; i++) await owner.ask('insert', { content: { kind: 'song', title: `song ${i}` } });
  assert.equal(await owner.ask('count', { equals: { 'content.kind': 'song' } }), many);
  assert.equal((await owner.ask('find', { equals: { 'content.title': 'song 7' } })).length, 1);
  const [row] = (await hub.get('/hub/vaults')).results;
  assert.ok(row.bytes > STREAM, `${row.bytes}`);
});

test('a service reads what it was granted with the owner stopped, and no more once that has ended', async () => {
  const own = await started('owner');
  await own.ask('create', { url: `${hub.admin}/hub/vaults`, headers: { 'x-api-key': hub.key } });
  const { id } = await own.ask('insert', playlist('shared'));
  const second = await own.ask('insert', playlist('private'));
  const who = await service.ask('who');
  const stream = await own.ask('stream', { bytes: 3 << 20, content: {}, service: who });
  const keys = [(await own.ask('who')).key];
  const capability = await own.ask('grant', { id, service: who });
  const streamed = await own.ask('delegate', { target: `/documents/${stream.id}`, to: who.did, actions: ['read'] });
  const raw = JSON.stringify(await service.ask('raw', { capability }));
  assert.ok(raw.includes(who.did) && !raw.includes(MARKER), raw);
  assert.deepEqual(await service.ask('play', { capability }), playlist('shared').content);
  assert.deepEqual(await failing(service.ask('play', { capability, id: second.id })), ['HTTPError', 403]);
  assert.deepEqual(await failing(service.ask('write', { capability, content: {}, keys })), ['HTTPError', 403]);
  const short = await own.ask('grant', { id, service: who, seconds: 2 });
  assert.deepEqual(await service.ask('play', { capability: short }), playlist('shared').content);

  const writer = await own.ask('grant', { id, service: who, write: true });
  await service.ask('write', { capability: writer, content: { title: 'by the service' }, keys });
  assert.equal((await own.ask('get', { id })).content.title, 'by the service');

  await own.ask('revoke', { capability: writer });
  assert.deepEqual(await failing(service.ask('play', { capability: writer })), ['HTTPError', 403]);
  assert.equal((await service.ask('play', { capability })).title, 'by the service', 'another grant goes on');
  await own.ask('revoke', { capability });
  assert.deepEqual(await failing(service.ask('play', { capability })), ['HTTPError', 403]);
  assert.equal((await own.ask('config')).pending_rewrap[0].controller, who.did);
  await own.ask('rewrap', { id });
  const kids = (await service.ask('raw', { capability: streamed, url: streamed.invocationTarget })).jwe.recipients.length;
  assert.equal(kids, 2, 'the stream is still shared');
  const until = Date.parse(short.expires);
  while (Date.now() <= until) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(await failing(service.ask('play', { capability: short })), ['HTTPError', 403], 'it has expired');
  await own.stop();
  assert.deepEqual(await service.ask('read_stream', { capability: streamed }), { bytes: 3 << 20 }, 'the owner is stopped');
  assert.ok(!readFileSync(hub.store).includes(MARKER));
});

test('a controller that was registered makes its vault by itself and finds it again; its device may only write', async () => {
  const own = await started('owner');
  const { did } = await own.ask('who');
  const url = `${hub.inbound}/hub/base/edvs`;
  assert.equal((await failing(own.ask('create', { url })))[1], 403);
  await hub.post('/hub/controllers', { controller: did, vaults: 1 });
  const made = await own.ask('create', { url });
  assert.equal((await own.ask('find_vault', { url })).id, made.id);
  const { id } = await own.ask('insert', playlist('backup'));
  const device = await service.ask('who');
  const capability = await own.ask('delegate', { target: `/documents/${id}`, to: device.did, actions: ['write'] });
  assert.deepEqual(await failing(service.ask('play', { capability })), ['HTTPError', 403], 'it cannot read');
});

test('a service asks over DIDComm, is granted, and is told of the end; capabilities of vaults here end with the grant', async () => {
  const other = await world.start('service', { flags: ['--auto-accept-requests'] });
  const { inviter, invitee } = await connect(hub, other);
  const who = await service.ask('who');
  const wanted = { controller: who.did, recipient: who.key.id, types: ['playlist'], purpose: 'to play it', duration: 3600 };
  const asked = await other.post('/hub/grants/request', { connection_id: invitee, ...wanted });
  const request = await hub.event('hub_grant', ({ state }) => state === 'request-received', 'the request');
  assert.deepEqual([request.connection_id, request.types, request.purpose], [inviter, ['playlist'], 'to play it']);
  const { id } = await owner.ask('insert', playlist('asked for'));
  const capability = await owner.ask('grant', { id, service: who });
  const stranger = await owner.ask('delegate', { target: `/documents/${id}`, to: (await owner.ask('who')).did, actions: ['read'] });
  assert.equal((await hub.call('POST', `/hub/grants/${request.grant_id}/accept`, { capabilities: [stranger] })).status, 400);
  await hub.post(`/hub/grants/${request.grant_id}/accept`, { capabilities: [capability] });
  const granted = await other.event('hub_grant', ({ state }) => state === 'granted', 'the grant');
  assert.equal(granted.grant_id, asked.grant_id);
  assert.deepEqual(await service.ask('play', { capability: granted.capabilities[0] }), playlist('asked for').content);
  assert.equal((await hub.call('DELETE', `/hub/grants/${request.grant_id}`)).status, 200);
  await other.event('hub_grant', ({ state }) => state === 'revoked', 'the end');
  assert.deepEqual(await failing(service.ask('play', { capability })), ['HTTPError', 403]);
  await other.post('/hub/grants/request', { connection_id: invitee, ...wanted });
  const again = await hub.event('hub_grant', (one) => one.state === 'request-received' && one.grant_id !== request.grant_id, 'another one');
  await hub.post(`/hub/grants/${again.grant_id}/decline`, { reason: 'not again' });
  assert.equal((await other.event('hub_grant', ({ state }) => state === 'declined', 'no')).reason, 'not again');
});
