import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import algosdk from 'algosdk';
import { statusLog } from '../../harness/status-log.ts';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { admin, type Devnet } from '../support/ledger.ts';

/** Revocations while the ledger is away, refuses, or lets groups expire: the wallet is never ahead of it. */

const ISSUE = 'issue_credential_v2_0';
const ISSUER = ['--preserve-exchange-records', '--auto-respond-credential-request'];
const world = createWorld();
let devnet: Devnet;
let faber: TestAgent;
let bob: TestAgent;
let credDefId: string;
let connection: string;

before(async () => {
  devnet = await world.devnet({ clock: 'wall' });
  faber = await world.start('faber', { devnet, sponsor: true, flags: ISSUER });
  bob = await world.start('bob', { devnet, flags: ['--auto-respond-credential-offer', '--auto-store-credential'] });
  const { result } = await faber.post('/wallet/did/create', { method: 'algo' });
  const did = result.did as string;
  await faber.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
  const { schema_state } = await faber.post('/anoncreds/schema', {
    schema: { issuerId: did, name: 'degree', version: '1.0', attrNames: ['number'] },
  });
  const defined = await faber.post('/anoncreds/credential-definition', {
    credential_definition: { issuerId: did, schemaId: schema_state.schema_id, tag: 'revocable' },
    options: { support_revocation: true, revocation_registry_size: 32 },
  });
  credDefId = defined.credential_definition_state.credential_definition_id;
  connection = (await connect(faber, bob)).inviter;
});
beforeEach(() => admin(devnet, 'DELETE', 'faults'));
after(() => world.close());

/** Starts the issuer again, where its peers know it. */
async function restarted(sponsor: true | string = true): Promise<void> {
  const { store, inbound, receiver } = faber;
  faber = await world.start('faber', { devnet, sponsor, flags: ISSUER, store, receiver, port: Number(new URL(inbound).port) });
}

async function issue(): Promise<string> {
  const sent = await faber.post('/issue-credential-2.0/send', {
    connection_id: connection,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'number', value: '1' }] },
  });
  const done = await faber.event(ISSUE, (one) => one.thread_id === sent.thread_id && one.state === 'done', 'the credential');
  return done.cred_ex_id;
}
const recordOf = async (exchange: string): Promise<Body> =>
  (await faber.get(`/revocation/credential-record?cred_ex_id=${exchange}`)).result;
const onLedger = async (record: Body): Promise<boolean> => {
  const { rev_reg_delta } = await faber.get(`/revocation/registry/${record.rev_reg_id}/issued/indy_recs`);
  return (rev_reg_delta.value.revoked as number[]).includes(Number(record.cred_rev_id));
};
const revokedHooks = (exchange: string): number =>
  faber.hooks.list.filter(
    ({ topic, payload }) => topic === 'issuer_cred_rev' && payload.cred_ex_id === exchange && payload.state === 'revoked',
  ).length;

for (const kind of ['drop', 'drop-after', 'expire', 'reject', 'hold']) {
  test(`[P2] ${kind}: the credential stays issued until the ledger has it, and is revoked once`, async () => {
    const exchange = await issue();
    await admin(devnet, 'POST', 'faults', { kind, path: '/v2/transactions' });
    const { status, text } = await faber.call('POST', '/anoncreds/revocation/revoke', { cred_ex_id: exchange, publish: true });
    assert.ok([200, 400, 504].includes(status), text);
    if (status === 200) assert.equal(await onLedger(await recordOf(exchange)), true);
    if (status === 400) {
      // refused for good: nothing is revoked, and the revocation is still pending
      const record = await recordOf(exchange);
      assert.deepEqual([record.state, await onLedger(record)], ['issued', false]);
      const published = await faber.post('/anoncreds/revocation/publish-revocations', {});
      assert.deepEqual(published, { rrid2crid: { [record.rev_reg_id]: [Number(record.cred_rev_id)] } });
    }
    const record = await until(async () => {
      const one = await recordOf(exchange);
      return one.state === 'revoked' && one;
    }, 'the revocation');
    assert.equal(await onLedger(record), true);
    await faber.event('issuer_cred_rev', (one) => one.cred_ex_id === exchange && one.state === 'revoked', 'the webhook');
    assert.equal(revokedHooks(exchange), 1);
  });
}

test('[P2] a sponsor without money: credentials are issued, the revocation waits with the amount, and is there once there is money', async () => {
  const account = algosdk.generateAccount();
  await faber.stop();
  await restarted(algosdk.secretKeyToMnemonic(account.sk));
  const exchange = await issue();
  const call = faber.call('POST', '/anoncreds/revocation/revoke', { cred_ex_id: exchange, publish: true });
  const { rev_reg_id } = await recordOf(exchange);
  const { error_msg } = await until(async () => {
    const { result } = await faber.get(`/revocation/registry/${rev_reg_id}`);
    return result.error_msg && result;
  }, 'the reason');
  const [, held, needed] = /the sponsor account has (\d+) microALGO and this write needs (\d+)/.exec(error_msg) ?? [];
  assert.deepEqual([held, Number(needed) > 0], ['0', true], error_msg);
  const waiting = await recordOf(exchange);
  assert.deepEqual([waiting.state, await onLedger(waiting), revokedHooks(exchange)], ['issued', false, 0]);
  const other = await issue();
  assert.equal((await recordOf(other)).state, 'issued');
  await admin(devnet, 'POST', 'fund', { address: account.addr.toString(), amount: 10_000_000 });
  assert.ok([200, 504].includes((await call).status));
  const record = await until(async () => {
    const one = await recordOf(exchange);
    return one.state === 'revoked' && one;
  }, 'the revocation');
  assert.equal(await onLedger(record), true);
  assert.equal((await faber.get(`/revocation/registry/${rev_reg_id}`)).result.error_msg, undefined);
  await faber.stop();
  await restarted();
});

test('twenty callers at once share records of the log, and each is answered when the ledger has it', async () => {
  const exchanges = await Promise.all(Array.from({ length: 20 }, () => issue()));
  const answers = await Promise.all(
    exchanges.map((cred_ex_id) => faber.call('POST', '/anoncreds/revocation/revoke', { cred_ex_id, publish: true })),
  );
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  const records = await Promise.all(exchanges.map(recordOf));
  assert.deepEqual([...new Set(records.map(({ state }) => state))], ['revoked']);
  assert.equal(new Set(records.map(({ rev_reg_id, cred_rev_id }) => `${rev_reg_id} ${cred_rev_id}`)).size, 20);
  for (const record of records) assert.equal(await onLedger(record), true);
});

test('ten that are pending are one record of the log', async () => {
  const exchanges = await Promise.all(Array.from({ length: 10 }, () => issue()));
  const records = await Promise.all(exchanges.map(recordOf));
  const registry = records[0].rev_reg_id as string;
  const indices = records.filter(({ rev_reg_id }) => rev_reg_id === registry).map(({ cred_rev_id }) => Number(cred_rev_id));
  const before = await statusLog(devnet, registry);
  for (const cred_ex_id of exchanges) await faber.post('/revocation/revoke', { cred_ex_id });
  assert.equal((await statusLog(devnet, registry)).entries, before.entries, 'nothing is published by a call that only marks');
  const { rrid2crid } = await faber.post('/anoncreds/revocation/publish-revocations', {});
  assert.deepEqual(Object.values(rrid2crid as Record<string, number[]>).flat().length, 10);
  const after = await statusLog(devnet, registry);
  assert.equal(after.entries, before.entries + 1);
  assert.deepEqual(
    indices.filter((index) => !after.revoked.includes(index)),
    [],
  );
});

test('[P3] a wallet from before a revocation revokes on top of what the ledger has, and is made one with it', async () => {
  const exchanges = [await issue(), await issue()];
  const [first, second] = exchanges as [string, string];
  const { store } = faber;
  await faber.stop();
  copyFileSync(store, `${store}.old`);
  await restarted();
  await faber.post('/anoncreds/revocation/revoke', { cred_ex_id: first, publish: true });
  await faber.stop();
  for (const end of ['-wal', '-shm']) rmSync(`${store}${end}`, { force: true });
  copyFileSync(`${store}.old`, store);
  await restarted();
  const before = await recordOf(first);
  assert.deepEqual([before.state, await onLedger(before)], ['issued', true]);
  await faber.post('/anoncreds/revocation/revoke', { cred_ex_id: second, publish: true });
  for (const exchange of exchanges) assert.equal(await onLedger(await recordOf(exchange)), true);
  const path = `/revocation/registry/${before.rev_reg_id}/fix-revocation-entry-state?apply_ledger_update=true`;
  const fixed = await faber.call('PUT', path);
  assert.equal(fixed.status, 200, fixed.text);
  assert.equal((await recordOf(first)).state, 'revoked');
  assert.deepEqual((await faber.call('PUT', path)).body, { rev_reg_delta: {}, accum_calculated: {}, accum_fixed: {} });
});

test('a second agent with the same keys publishes too: each goes on from what the ledger has, and nothing is undone', async () => {
  const pairs = [await issue(), await issue(), await issue(), await issue()];
  await faber.stop();
  const copy = `${faber.store}.second`;
  for (const end of ['', '.key']) copyFileSync(`${faber.store}${end}`, `${copy}${end}`);
  await restarted();
  const second = await world.start('second', { devnet, sponsor: true, store: copy });
  const revoke = (agent: TestAgent, cred_ex_id: string): Promise<Body> =>
    agent.post('/anoncreds/revocation/revoke', { cred_ex_id, publish: true });
  await revoke(second, pairs[0]!);
  await revoke(faber, pairs[1]!);
  await Promise.all([revoke(second, pairs[2]!), revoke(faber, pairs[3]!)]);
  for (const exchange of pairs) assert.equal(await onLedger(await recordOf(exchange)), true, exchange);
  // each agent's own wallet knows of the other's by the comparison alone
  assert.deepEqual(await Promise.all(pairs.map(async (exchange) => (await recordOf(exchange)).state)), [
    'issued',
    'revoked',
    'issued',
    'revoked',
  ]);
  const { rev_reg_id } = await recordOf(pairs[0]!);
  await faber.call('PUT', `/revocation/registry/${rev_reg_id}/fix-revocation-entry-state?apply_ledger_update=true`);
  for (const exchange of pairs) assert.equal((await recordOf(exchange)).state, 'revoked');
  await second.stop();
});
