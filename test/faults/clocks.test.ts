import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import WebSocket from 'ws';
import { connect, eachOf } from '../../examples/demo/flow.ts';
import { type Replicas, startReplicas, type Tenant } from '../../harness/replicas.ts';
import { startPostgres } from '../postgres.ts';
import { type Body, until, waiting } from '../support/agents.ts';
import { eventsOf } from '../support/flows.ts';
import { TEST_MS } from '../support/waiting.ts';

/** Two agents on one database whose machines' clocks are ten minutes apart, each way from the truth. */

const MINUTES = [5, -5];
const SKEW = pathToFileURL(join(import.meta.dirname, '../support/skew.mjs')).href;
const folder = mkdtempSync(join(tmpdir(), 'flexid-clocks-'));
const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
let replicas: Replicas;
let alice: Tenant;
let bob: Tenant;

before(async () => {
  const database = await startPostgres();
  undo.push(() => database.stop());
  const env = (i: number): Record<string, string> => ({ NODE_OPTIONS: `--import ${SKEW}`, FLEXID_SKEW_MS: String(MINUTES[i]! * 60_000) });
  replicas = await startReplicas(folder, { count: 2, store: database.url, env });
  undo.push(() => replicas.stop());
  alice = await replicas.tenant('alice', { 'auto-accept-requests': true });
  bob = await replicas.tenant('bob', { 'auto-accept-invites': true });
});
after(async () => {
  while (undo.length > 0) await undo.pop()!();
});

test('the clocks are skewed as configured, and the records’ times are the database’s', async () => {
  for (let i = 0; i < 4; i++) {
    const made = await alice.post('/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
    const { created_at } = await alice.get(`/out-of-band/invitations?oob_id=${made.oob_id}`);
    assert.ok(Math.abs(Date.parse(created_at) - Date.now()) < 60_000, created_at);
  }
});

test('flows through both come to their end, and their events are in the order of what happened', async () => {
  const connection = await connect(alice, bob);
  await eachOf(Array.from({ length: 12 }), 1, async (_none, i) => {
    await alice.post(`/connections/${connection}/send-message`, { content: `message ${i}` });
    await bob.event('basicmessages', ({ content }) => content === `message ${i}`, `message ${i}`);
  });
  const events = (await eventsOf(bob)).filter(({ topic }) => topic === 'basicmessages').map(({ payload }) => payload.content);
  assert.deepEqual(
    events,
    Array.from({ length: 12 }, (_none, i) => `message ${i}`),
  );
  assert.ok(
    replicas.proxies.messages.passed.every((count) => count > 3),
    'both took messages',
  );
});

test('/ws of either shows the events of both', async () => {
  const { each, key } = replicas;
  const frames = await Promise.all(
    each.map(async (url) => {
      const got = waiting<Body>();
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { headers: { 'x-api-key': key } });
      undo.push(() => socket.terminate());
      socket.on('message', (data) => got.add(JSON.parse(String(data))));
      await got.first(({ topic }) => topic === 'settings', 'the greeting');
      return got;
    }),
  );
  for (let i = 0; i < 4; i++) {
    const { invi_msg_id } = await alice.post('/out-of-band/create-invitation', {
      handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    });
    for (const [n, got] of frames.entries())
      await got.first(({ payload }) => payload?.invi_msg_id === invi_msg_id, `invitation ${i} on the socket of replica ${n + 1}`);
  }
});

test('a job that is tried again is tried again in its time, by whichever agent', { timeout: TEST_MS }, async () => {
  const tries = new Map<string, number>();
  const server = createServer((request, response) => {
    const id = String(request.headers['x-event-id']);
    tries.set(id, (tries.get(id) ?? 0) + 1);
    request.resume().on('end', () => response.writeHead(tries.get(id)! < 3 ? 500 : 200).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answer = await fetch(`${replicas.admin}/multitenancy/wallet/${alice.wallet}`, {
    method: 'PUT',
    headers: { 'x-api-key': replicas.key, 'content-type': 'application/json' },
    body: JSON.stringify({ wallet_webhook_urls: [url] }),
  });
  assert.equal(answer.status, 200);
  await alice.post('/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
  // one second, then two: never ten minutes, and never without a pause
  await until(() => tries.size > 0 && [...tries.values()].every((count) => count >= 3), 'the third try of each', 20_000);
  assert.deepEqual([...new Set(tries.values())], [3], 'tried more often than needed');
});
