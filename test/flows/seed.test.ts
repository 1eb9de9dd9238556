import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Body, createWorld, type TestAgent, until } from '../support/agents.ts';

/** `--seed` as start scripts of ACA-Py use it: the DID is there, public, and no other one is put aside unasked. */

const world = createWorld();
after(() => world.close());
const [FIRST, SECOND] = ['000000000000000000000000Trustee1', '000000000000000000000000Steward1'];
const publicDid = async (agent: TestAgent): Promise<Body> => (await agent.get('/wallet/did/public')).result;
const published = (agent: TestAgent, not = ''): Promise<Body> =>
  until(async () => {
    const did = await publicDid(agent);
    return did && did.did !== not && did;
  }, 'a public DID');

test('the DID of --seed is published once, kept over starts, and replaced only where that is asked for', async () => {
  const devnet = await world.devnet();
  const start = (...flags: string[]): Promise<TestAgent> => world.start('seeded', { devnet, sponsor: true, flags });
  let agent = await start('--seed', FIRST);
  const first = await published(agent);
  assert.equal(first.posture, 'public');
  assert.equal((await agent.get(`/resolver/resolve/${first.did}`)).did_document.id, first.did);
  await agent.close();

  agent = await start('--seed', FIRST);
  assert.deepEqual(await publicDid(agent), first);
  assert.equal((await agent.get('/wallet/did')).results.length, 1);
  await agent.close();

  await assert.rejects(start('--seed', SECOND), /^Error: --seed: another DID is public, did:algo:.*--replace-public-did$/);

  agent = await start('--seed', SECOND, '--wallet-local-did');
  assert.equal((await publicDid(agent)).did, first.did);
  assert.equal((await agent.get('/wallet/did?posture=wallet_only')).results.length, 1);
  await agent.close();

  agent = await start('--seed', SECOND, '--replace-public-did');
  const second = await published(agent, first.did);
  assert.notEqual(second.did, first.did);
  assert.deepEqual(
    (await agent.get('/wallet/did?posture=posted')).results.map((one: Body) => one.did),
    [first.did],
  );
  assert.ok(!agent.logged.join('').includes(SECOND) && !agent.answers.join('').includes(SECOND));
});

test('without a ledger that can be written, the DID of --seed stays in the wallet', async () => {
  const devnet = await world.devnet();
  const local = await world.start('local', { flags: ['--seed', FIRST] });
  const readOnly = await world.start('read-only', { devnet, sponsor: true, flags: ['--seed', FIRST, '--read-only-ledger'] });
  for (const [agent, method] of [
    [local, 'key'],
    [readOnly, 'algo'],
  ] as const) {
    const [did] = (await agent.get('/wallet/did')).results;
    assert.deepEqual([did.method, did.posture, await publicDid(agent)], [method, 'wallet_only', null]);
  }
});
