import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import algosdk from 'algosdk';
import { answers, freePort, type Program, program } from '../../harness/processes.ts';
import { type Body, until } from '../support/agents.ts';
import { byFull } from '../support/extent.ts';
import { algorandLedger, between, configOf, type Devnet, startDevnet } from '../support/ledger.ts';

/** An agent that dies between its wallet and the ledger, at each step of a write that changes keys: it has one of the two states, and is never locked out of its DID. */

const KEY = 'key-of-the-agent';
let folder: string;
let devnet: Devnet;
let node: { url: string; close(): Promise<void> };
let agent: Program;
let adminUrl: string;
let did: string;
/** Runs before a request goes on to the node. */
let watch: (path: string) => Promise<void> = async () => {};

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'flexid-keys-'));
  devnet = await startDevnet();
  node = await between(devnet, async (path) => {
    await watch(path);
    return undefined;
  });
  const [admin, inbound] = [await freePort(), await freePort()];
  adminUrl = `http://127.0.0.1:${admin}`;
  const args = [
    ...['start', '--admin', '127.0.0.1', String(admin), '--admin-api-key', KEY, '--store', `sqlite:${join(folder, 'agent.db')}`],
    ...['--inbound-transport', 'http', '127.0.0.1', String(inbound), '--endpoint', `http://127.0.0.1:${inbound}`],
    ...['--algod-url', node.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)],
    ...['--algorand-genesis-hash', devnet.genesisHash],
  ];
  const env = { FLEXID_SPONSOR_MNEMONIC: devnet.sponsor.mnemonic };
  agent = program('agent', folder, 'src/main.ts', args, () => answers(`${adminUrl}/status/ready`), env);
  await agent.start();
  did = (await call('POST', '/wallet/did/create', { method: 'algo' })).result.did;
  await call('POST', `/wallet/did/public?did=${encodeURIComponent(did)}`);
  await until(async () => (await call('GET', '/wallet/did/public')).result?.did === did, 'the public DID');
});
after(async () => {
  await agent?.stop();
  await node?.close();
  await devnet?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function call(method: string, path: string, body?: unknown): Promise<Body> {
  const response = await fetch(`${adminUrl}${path}`, {
    method,
    headers: { 'x-api-key': KEY, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Where the agent dies: as it sends such a request, or so many ms after it. */
const STEPS: readonly [string, RegExp, number?][] = [
  ['before it has asked the node for anything', /./],
  ['while it reads what the ledger holds', /\/box\?|\/accounts\//],
  ['before it sends the group', /v2\/transactions$/],
  ['after it has sent the group', /transactions\/pending\//],
  ['when the ledger has confirmed it', /transactions\/pending\//, 4],
  ['a moment later', /transactions\/pending\//, 12],
];

/** The steps at which a kill has had different ends; the rest with the whole suite. */
const FEW = byFull(STEPS.slice(2, 4), STEPS);

/** Begins a write, kills the agent at a step of it and starts it again. */
async function killed(path: string, body: unknown, at: RegExp, ms?: number): Promise<void> {
  let death: (() => void) | undefined;
  const dead = new Promise<void>((resolve) => {
    death = resolve;
  });
  watch = async (asked) => {
    if (!at.test(asked) || !death) return;
    const die = death;
    death = undefined;
    const kill = async (): Promise<void> => {
      await agent.kill();
      die();
    };
    if (ms === undefined) await kill();
    else setTimeout(() => void kill(), ms);
  };
  const lost = call('PATCH', path, body).catch(() => undefined);
  await dead;
  watch = async () => {};
  await lost;
  await agent.start();
}

/** The document on the ledger, and its version. */
const resolved = async (): Promise<{ document: Body; version: number }> => {
  const ledger = algorandLedger(configOf(devnet));
  const { document, metadata } = await ledger.resolve(did);
  return { document, version: Number(metadata.versionId) };
};
/** Documents of the DID that were staged and given up. */
const staged = async (): Promise<string[]> => {
  const key = Buffer.from(did.split(':').at(-1)!, 'hex');
  const name = Buffer.concat([Buffer.from('p'), key]).toString('base64');
  const { boxes } = await new algosdk.Algodv2(devnet.token, devnet.url).getApplicationBoxes(devnet.appId).do();
  return boxes.map((box) => Buffer.from(box.name).toString('base64')).filter((one) => one === name);
};
const present = async (): Promise<Body> => (await call('GET', '/wallet/did/public')).result;
const onLedger = async (): Promise<string> => (await call('GET', `/ledger/did-verkey?did=${encodeURIComponent(did)}`)).verkey;
const control = async (): Promise<Body> => (await call('GET', '/wallet/did/control')).result;

for (const [when, at, ms] of FEW)
  test(`rotation, kill -9 ${when}: wallet and ledger have the same key in the end, and the next rotation goes on from there`, async () => {
    const before = await present();
    await killed('/ledger/rotate-public-did-keypair', undefined, at, ms);
    const after = await until(async () => {
      const now = await present();
      return now.verkey !== before.verkey && now;
    }, 'the new key');
    await until(async () => (await onLedger()) === after.verkey, 'the same key on the ledger');
    const { result } = await call('PATCH', '/ledger/rotate-public-did-keypair');
    assert.notEqual(result.verkey, after.verkey);
    assert.equal(await onLedger(), result.verkey);
  });

for (const [when, at, ms] of byFull(FEW.slice(1), STEPS.slice(1, 5)))
  test(`a document that is staged, kill -9 ${when}: it is there once, whole, and nothing is left behind`, async () => {
    // former keys make it larger than one call
    while (JSON.stringify((await resolved()).document).length <= 2_500) await call('PATCH', '/ledger/rotate-public-did-keypair');
    const { document, version } = await resolved();
    const before = await present();
    await killed('/ledger/rotate-public-did-keypair', undefined, at, ms);
    await until(async () => (await present()).verkey !== before.verkey, 'the new key');
    const after = await resolved();
    assert.equal(after.document.verificationMethod.length, document.verificationMethod.length + 1);
    assert.equal(after.version, version + 1);
    assert.deepEqual(await staged(), []);
  });

for (const [when, at, ms] of FEW)
  test(`control, kill -9 ${when}: the wallet has the key that the ledger names, before and after`, async () => {
    const before = await control();
    await killed('/wallet/did/control', { threshold: 2, verkeys: [before.verkeys[0]] }, at, ms);
    assert.equal((await control()).in_wallet, true);
    await until(async () => (await control()).authority !== before.authority, 'the new authority');
    assert.equal((await control()).in_wallet, true);
    const { result } = await call('PATCH', '/wallet/did/control', {});
    assert.equal(result.state, 'finished');
    const { result: rotated } = await call('PATCH', '/ledger/rotate-public-did-keypair?remove_former_keys=true');
    assert.equal(await onLedger(), rotated.verkey);
  });

test('operator, kill -9 before and after the group was sent: the wallet has the key of the operator that the ledger names', async () => {
  for (const at of [/v2\/transactions$/, /transactions\/pending\//]) {
    const before = await control();
    await killed('/wallet/did/operator', {}, at);
    const after = await until(async () => {
      const now = await control();
      return now.operator !== before.operator && now;
    }, 'the operator');
    assert.equal(after.operator_in_wallet, true);
  }
});
