import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { didKeyToVerkey } from '../../src/didcomm/encoding.ts';
import { verifyDecorator } from '../../src/didcomm/signature-decorator.ts';
import { unqualifiedDid } from '../../src/dids/unqualified.ts';
import { startPostgres } from '../postgres.ts';
import { type Body, createWorld, freePort } from '../support/agents.ts';
import { message, startStranger } from '../support/stranger.ts';
import { TEST_MS, until } from '../support/waiting.ts';
import { ALL, joinWallet, openLine } from '../support/wallet.ts';

/** `./flexid start mediator`, as its user sees it. */

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const world = createWorld();
after(() => world.close());

const invitationOf = (url: string, name: string): Body =>
  JSON.parse(Buffer.from(new URL(url).searchParams.get(name)!, 'base64url').toString('utf8'));

interface Shown {
  readonly process: ChildProcess;
  readonly url: string;
  readonly old: string;
  /** What was printed beside the log. */
  readonly text: () => string;
}

const environment = { PATH: process.env.PATH, HOME: world.folder };

async function start(...flags: readonly string[]): Promise<Shown> {
  const child = spawn(process.execPath, [MAIN, 'start', 'mediator', ...flags], {
    env: { ...environment, FLEXID_DATA_DIR: join(world.folder, 'data') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  world.defer(() => child.kill('SIGKILL'));
  let [out, log] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const found = (name: string): string | undefined => new RegExp(`^(https?://\\S+\\?${name}=\\S+)$`, 'm').exec(out)?.[1];
  const [url, old] = await until(() => {
    if (child.exitCode !== null) throw new Error(`it ended: ${log}`);
    const both = [found('oob'), found('c_i')] as const;
    return both[0] && both[1] ? ([both[0], both[1]] as const) : undefined;
  }, 'the invitation');
  return { process: child, url, old, text: () => out };
}

async function stop({ process: child }: Shown): Promise<void> {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
  assert.equal(child.exitCode, 0);
}

let flags: string[];
let endpoint: string;
let mediator: Shown;
before(async () => {
  const port = String(await freePort());
  endpoint = `http://127.0.0.1:${port}`;
  flags = ['--inbound-transport', 'http', '127.0.0.1', port, '--inbound-transport', 'ws', '127.0.0.1', port, '--endpoint', endpoint];
  mediator = await start(...flags, '--label', 'Post office', '--drain-time', '0');
});

test('wallets connect by what it prints, any number of them, are granted mediation, and get their mail on a WebSocket at the same port', async () => {
  const invitation = invitationOf(mediator.url, 'oob');
  assert.deepEqual(
    [invitation.label, invitation.handshake_protocols],
    ['Post office', ['didexchange/1.1', 'didexchange/1.0', 'connections/1.0'].map((name) => `https://didcomm.org/${name}`)],
  );
  assert.ok(mediator.url.startsWith(`${endpoint}?oob=`));
  for (let i = 0; i < 2; i++) {
    const phone = await joinWallet(invitation, endpoint);
    world.defer(() => phone.stranger.close());
    assert.equal(phone.endpoint, endpoint);
    assert.equal(await phone.forward(`hello ${i}`), 202);
    const line = await openLine(phone);
    world.defer(() => line.close());
    line.say('trust_ping/1.0/ping', { response_requested: false });
    await line.texts.first((text) => text === `hello ${i}`, 'the forwarded message');
  }
});

test('old wallets connect by the other form of it', async () => {
  const { '@type': type, '@id': id, recipientKeys, serviceEndpoint } = invitationOf(mediator.old, 'c_i');
  const oob = invitationOf(mediator.url, 'oob');
  assert.deepEqual([type, id, serviceEndpoint], ['https://didcomm.org/connections/1.0/invitation', oob['@id'], endpoint]);
  const verkey: string = recipientKeys[0];
  assert.equal(didKeyToVerkey(oob.services[0].recipientKeys[0]), verkey);
  const peer = await startStranger({ endpoint: false });
  world.defer(() => peer.close());
  const { did, document } = unqualifiedDid({ verkey: peer.pair.verkey, endpoint: 'didcomm:transport/queue' });
  const request = message('connections/1.0/request', { label: 'old', connection: { DID: did, DIDDoc: document }, ...ALL });
  const { reply } = await peer.send({ verkey, url: endpoint }, request);
  assert.equal(reply['@type'], 'https://didcomm.org/connections/1.0/response');
  const { value } = verifyDecorator(reply['connection~sig'], verkey) as { value: Body };
  // wallets look for a WebSocket among its services
  const addresses = value.DIDDoc.service.map((one: Body) => one.serviceEndpoint);
  assert.deepEqual(addresses, [endpoint, endpoint.replace('http', 'ws')]);
  const to = { verkey: value.DIDDoc.service[0].recipientKeys[0], url: endpoint };
  const { reply: grant } = await peer.send(to, message('coordinate-mediation/1.0/mediate-request', ALL));
  assert.match(grant['@type'], /mediate-grant$/);
});

test('a start later it prints the same, with the QR code where that was asked for; at another address another one', async () => {
  assert.doesNotMatch(mediator.text(), /█/, 'standard output is no terminal');
  await stop(mediator);
  const again = await start(...flags, '--drain-time', '0', '--qr');
  assert.deepEqual([again.url, again.old], [mediator.url, mediator.old]);
  await until(() => /(?:^█+\n){2}[\s\S]*^▀+$/m.test(again.text()), 'the QR code');
  await stop(again);
  const moved = await start(...flags.slice(0, -1), 'http://127.0.0.2:1', '--drain-time', '0');
  assert.ok(moved.url.startsWith('http://127.0.0.2:1?oob='));
  assert.notEqual(invitationOf(moved.url, 'oob')['@id'], invitationOf(mediator.url, 'oob')['@id']);
  await stop(moved);
});

test('replicas that start at once print the same', { timeout: TEST_MS }, async () => {
  const database = await startPostgres();
  world.defer(() => database.stop());
  const shared = ['--store', database.url, '--wallet-key', 'replicas', '--endpoint', 'http://mediator.example:3000', '--drain-time', '0'];
  const all = await Promise.all(
    [await freePort(), await freePort(), await freePort()].map((port) =>
      start(...shared, ...['http', 'ws'].flatMap((module) => ['--inbound-transport', module, '127.0.0.1', `${port}`])),
    ),
  );
  assert.equal(new Set(all.map(({ url }) => url)).size, 1);
  await Promise.all(all.map(stop));
});

test('it explains itself, and what it cannot do without', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, 'start', 'mediator', ...args], { encoding: 'utf8', env: environment, timeout: TEST_MS });
  const help = run('--help');
  assert.deepEqual([help.status, help.stdout.startsWith('usage: flexid start mediator')], [0, true]);
  for (const flags of [[], ['--endpoint', 'http://0.0.0.0:3000'], ['--no-transport']]) {
    const { status, stdout, stderr } = run(...flags);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^flexid: --endpoint: give the address at which wallets reach this mediator/);
  }
});
