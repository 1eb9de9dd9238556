import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../harness/processes.ts';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { type Caller, configOf, delegate, documentOf, encrypted, invoke, newCaller, rootOf } from '../support/hub.ts';
import { TEST_MS } from '../support/waiting.ts';

/** Grants over DIDComm, between an owner's agent, which is the hub too, and a service's. */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const world = createWorld();
let hub: TestAgent;
let service: TestAgent;
let connection: { inviter: string; invitee: string };

before(async () => {
  hub = await world.start('hub', { flags: ['--hub'] });
  service = await world.start('service');
  connection = await connect(hub, service);
});
after(() => world.close());

/** A vault with a document, and a capability to read it. */
async function shared(
  to: Caller,
  expires?: number,
): Promise<{ owner: Caller; vault: string; url: string; document: Body; capability: Body }> {
  const owner = newCaller();
  const { body } = await hub.call('POST', '/hub/vaults', configOf(owner));
  const document = await documentOf(owner, 'a playlist', {}, to.did);
  assert.equal((await invoke(owner, { url: `${body.id}/documents`, json: document })).status, 204);
  const url = `${body.id}/documents/${document.id}`;
  const capability = await delegate(owner, { parent: rootOf(body.id), target: url, to: to.did, expires });
  return { owner, vault: body.id, url, document, capability };
}

const inState = (state: string, thread: string) => (one: Body) => one.state === state && one.thread_id === thread;

async function ask(by: Caller): Promise<{ mine: Body; theirs: Body }> {
  const wanted = { controller: by.did, recipient: `${by.did}#z6LS`, types: ['playlist'], purpose: 'to play it', duration: 3600 };
  const mine = await service.post('/hub/grants/request', { connection_id: connection.invitee, ...wanted });
  const theirs = await hub.event('hub_grant', inState('request-received', mine.thread_id), 'the request');
  assert.deepEqual([theirs.role, theirs.connection_id, theirs.purpose], ['owner', connection.inviter, 'to play it']);
  return { mine, theirs };
}

test('[S2-55] a service asks, is granted, reads from the hub alone, and is told of the end, which holds at once', async () => {
  const reader = newCaller();
  const { owner, vault, url, document, capability } = await shared(reader);
  const { mine, theirs } = await ask(reader);
  const foreign = { ...capability, controller: owner.did };
  assert.equal((await hub.call('POST', `/hub/grants/${theirs.grant_id}/accept`, { capabilities: [foreign] })).status, 400);
  await hub.post(`/hub/grants/${theirs.grant_id}/accept`, { capabilities: [capability] });
  const granted = await service.event('hub_grant', inState('granted', mine.thread_id), 'the grant');
  const read = (): ReturnType<typeof invoke> => invoke(reader, { url, capability: granted.capabilities[0] });
  assert.deepEqual((await read()).body, document);
  const ended = await hub.call('DELETE', `/hub/grants/${theirs.grant_id}`, { reason: 'enough' });
  assert.deepEqual([ended.status, ended.body.state], [200, 'revoked']);
  assert.equal((await read()).status, 403);
  assert.equal((await service.event('hub_grant', inState('revoked', mine.thread_id), 'the end')).reason, 'enough');
  assert.equal((await hub.call('DELETE', `/hub/grants/${theirs.grant_id}`)).status, 400, 'twice');
  const id = vault.split('/').at(-1);
  assert.deepEqual((await hub.get(`/hub/vaults/${id}`)).pending_rewrap, [{ controller: reader.did, documents: 1 }]);
  const again = await delegate(owner, { parent: rootOf(vault), target: url, to: reader.did });
  await hub.post('/hub/grants', { connection_id: connection.inviter, capabilities: [again] });
  assert.equal((await hub.get(`/hub/vaults/${id}`)).pending_rewrap, undefined, 'it has a right again');
  const offered = await service.event('hub_grant', (one) => one.capabilities?.[0].id === again.id, 'a grant that it did not ask for');
  assert.equal((await invoke(reader, { url, capability: offered.capabilities[0] })).status, 200);
  const next = { ...document, sequence: 1, jwe: await encrypted('a playlist', owner.did) };
  assert.equal((await invoke(owner, { url, json: next })).status, 204);
});

test('a request is declined, and a grant is over with its last capability', async () => {
  const reader = newCaller();
  const { mine, theirs } = await ask(reader);
  await hub.post(`/hub/grants/${theirs.grant_id}/decline`, { reason: 'no' });
  assert.equal((await service.event('hub_grant', inState('declined', mine.thread_id), 'no')).reason, 'no');
  assert.equal((await hub.call('POST', `/hub/grants/${theirs.grant_id}/accept`, { capabilities: [] })).status, 422);
  // where the machine takes longer than the capability lasts, one that lasts longer
  const given = async (ms: number): Promise<{ capability: Body; url: string; thread_id: string }> => {
    const expires = Date.now() + ms;
    const { capability, url } = await shared(reader, expires);
    const { status, body } = await hub.call('POST', '/hub/grants', { connection_id: connection.inviter, capabilities: [capability] });
    if (status === 200) await service.event('hub_grant', (one) => one.thread_id === body.thread_id, 'the grant', 4 * ms).catch(() => {});
    return status === 200 && Date.now() < expires ? { capability, url, thread_id: body.thread_id } : await given(4 * ms);
  };
  const { capability, url, thread_id } = await given(2000);
  for (const one of [hub, service]) await one.event('hub_grant', inState('expired', thread_id), 'its end');
  assert.equal((await invoke(reader, { url, capability })).status, 403);
});

test('a policy declines requests at their decision point', async () => {
  const policy = { value: { action: 'reject' }, scope: { types: ['hub-grant-request'] } };
  assert.equal((await hub.call('PUT', '/agent-config/policies/no-grants', policy)).status, 200);
  const { mine } = await ask(newCaller());
  await service.event('hub_grant', inState('declined', mine.thread_id), 'no');
});

test('the commands of docs/Hub.md run as they are written, but for the ports', { timeout: TEST_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-hub-'));
  const [admin, inbound] = [await freePort(), await freePort()];
  const text = readFileSync(join(ROOT, 'docs/Hub.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.equal(blocks.length, 3);
  const script = `set -eo pipefail\n${blocks.join('\n')}\nkill $!\nwait\n`
    .replaceAll('8031', String(admin))
    .replaceAll('8030', String(inbound))
    .replaceAll('localhost', '127.0.0.1');
  writeFileSync(join(folder, 'flexid'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"\n`, { mode: 0o755 });
  writeFileSync(join(folder, 'walk.sh'), script);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST)_/.test(name)));
  const bash = spawn('bash', ['walk.sh'], {
    cwd: folder,
    detached: true,
    env: { ...env, HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [bash.stdout, bash.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  try {
    const code = await new Promise<number | null>((resolve, reject) => bash.once('error', reject).once('exit', resolve));
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`"id": ?"http://127\\.0\\.0\\.1:${inbound}/hub/base/edvs/z1`));
    assert.match(output, /"quota_bytes": ?1073741824/);
  } finally {
    try {
      process.kill(-bash.pid!, 'SIGKILL');
    } catch {
      // it is gone already
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});
