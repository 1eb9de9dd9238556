import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import algosdk from 'algosdk';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';

/** An issuer whose tails are on a server of somebody else's, which is down when they are made. */

const ISSUE = 'issue_credential_v2_0';
const MINUTE = 60_000;

const world = createWorld();
let devnet: Devnet;
let faber: TestAgent;
let bob: TestAgent;
/** How far the clock of this process is ahead: what an agent does later is due at once. */
let ahead = 0;

/** A tails server: `PUT /hash/<hash>` with the part `tails`, and `GET`. Down, it closes connections without a word. */
const tails = { up: false, refused: 0, files: new Map<string, Buffer>(), url: '' };
const server = createServer((request, response) => {
  if (!tails.up) {
    tails.refused++;
    request.socket.destroy();
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', async () => {
    const path = request.url ?? '';
    if (request.method === 'PUT') {
      const type = String(request.headers['content-type']);
      const form = await new Response(Buffer.concat(chunks), { headers: { 'content-type': type } }).formData();
      tails.files.set(path, Buffer.from(await (form.get('tails') as Blob).arrayBuffer()));
      response.writeHead(200).end();
      return;
    }
    const file = tails.files.get(path);
    response.writeHead(file ? 200 : 404).end(file);
  });
});

before(async () => {
  const { now } = Date;
  Date.now = () => now() + ahead;
  world.defer(() => {
    Date.now = now;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  tails.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  devnet = await world.devnet({ clock: 'wall' });
  faber = await world.start('faber', {
    devnet,
    sponsor: true,
    flags: ['--preserve-exchange-records', '--auto-respond-credential-request', '--tails-server-base-url', tails.url],
  });
  bob = await world.start('bob', { devnet, flags: ['--auto-respond-credential-offer', '--auto-store-credential'] });
});
after(() => world.close());

/** What the ledger has: the names of its boxes. */
const boxes = async (): Promise<number> =>
  (await new algosdk.Algodv2(devnet.token, devnet.url).getApplicationBoxes(devnet.appId).do()).boxes.length;

test('[P5] nothing is on the ledger while the tails server is down for minutes; then all follows by itself', {}, async () => {
  const { result } = await faber.post('/wallet/did/create', { method: 'algo' });
  await faber.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  const { schema_state } = await faber.post('/anoncreds/schema', {
    schema: { issuerId: result.did, name: 'degree', version: '1.0', attrNames: ['number'] },
  });
  const { credential_definition_state: defined, registration_metadata: why } = await faber.post('/anoncreds/credential-definition', {
    credential_definition: { issuerId: result.did, schemaId: schema_state.schema_id, tag: 'revocable' },
    options: { support_revocation: true, revocation_registry_size: 8 },
  });
  assert.equal(defined.state, 'finished');
  assert.match(why.revocation, /tails server .* could not be reached/);
  const before = await boxes();
  const credDefId = defined.credential_definition_id as string;

  // who issues meanwhile waits
  const { inviter } = await connect(faber, bob);
  const sent = await faber.post('/issue-credential-2.0/send', {
    connection_id: inviter,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'number', value: '1' }] },
  });
  const of = (one: Body): boolean => one.thread_id === sent.thread_id;
  await faber.event(ISSUE, (one) => of(one) && one.state === 'request-received', 'the request');

  const begun = Date.now();
  while (Date.now() - begun < 2 * MINUTE) {
    const tried = tails.refused;
    ahead += MINUTE;
    await until(() => tails.refused > tried, 'another try');
  }
  assert.equal(await boxes(), before, 'nothing of a registry is on the ledger');
  assert.equal((await faber.call('GET', `/anoncreds/revocation/active-registry/${encodeURIComponent(credDefId)}`)).status, 404);
  assert.deepEqual((await faber.states(ISSUE, sent.cred_ex_id)).at(-1), 'request-received');

  tails.up = true;
  ahead += 20 * MINUTE;
  const active = await faber.event('revocation_registry', ({ state }) => state === 'active', 'a registry');
  assert.match(active.tails_public_uri, new RegExp(`^${tails.url}/hash/`));
  ahead += 20 * MINUTE;
  const ended = (one: Body): boolean => of(one) && ['done', 'abandoned'].includes(one.state);
  const [ours, theirs] = await Promise.all([faber.event(ISSUE, ended, 'the end'), bob.event(ISSUE, ended, 'the end')]);
  assert.deepEqual([ours.state, theirs.state], ['done', 'done'], ours.error_msg);
  assert.ok(tails.files.has(new URL(active.tails_public_uri).pathname));
});
