import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anchor, type Body, createWorld, type TestAgent } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';

/** ACA-Py's questions about a ledger, on one without roles and agreements. */

const world = createWorld({ held: true });
let devnet: Devnet;
let issuer: TestAgent;
let ids: { did: string; schemaId: string; credDefId: string };

before(async () => {
  devnet = await world.devnet();
  issuer = await world.start('issuer', { devnet, sponsor: true });
  ids = await anchor(issuer, ['name']);
});
after(() => world.close());

test('the ledger’s state of a DID', async () => {
  const of = (name: string, did: string, rest = '') => issuer.call('GET', `/ledger/${name}?did=${encodeURIComponent(did)}${rest}`);
  const { result } = await issuer.get('/wallet/did/public');
  assert.deepEqual((await of('did-verkey', ids.did)).body, { verkey: result.verkey });
  assert.deepEqual((await of('did-endpoint', ids.did)).body, { endpoint: issuer.inbound });
  assert.deepEqual((await of('did-endpoint', ids.did, '&endpoint_type=Profile')).body, { endpoint: null });
  assert.deepEqual((await of('get-nym-role', ids.did)).body, { role: 'ENDORSER' });
  const { result: fresh } = await issuer.post('/wallet/did/create', { method: 'algo' });
  for (const name of ['did-verkey', 'did-endpoint', 'get-nym-role']) {
    assert.equal((await of(name, fresh.did)).status, 404, name);
    assert.equal((await of(name, 'did:web:example.com')).status, 400, name);
    assert.equal((await issuer.call('GET', `/ledger/${name}`)).status, 422, name);
  }
});

test('the account that pays is shown, with what it is enough for; estimates are what writes cost', async () => {
  const payer = await world.start('payer', { devnet, sponsor: true });
  const before = await payer.get('/ledger/account');
  assert.equal(before.spendable, before.balance - before.minimum_balance);
  assert.ok(before.enough_for.credential_definitions > 0 && before.enough_for.dids > before.enough_for.credential_definitions);
  const attributes = ['given name', 'member since'];
  const estimate = await payer.post('/ledger/estimate', {
    writes: [{ type: 'did' }, { type: 'schema', attributes }, { type: 'credential_definition', attributes }],
  });
  assert.equal(
    estimate.total,
    estimate.results.reduce((sum: number, { cost }: Body) => sum + cost, 0),
  );
  await anchor(payer, attributes);
  const spent = before.balance - (await payer.get('/ledger/account')).balance;
  assert.ok(Math.abs(spent - estimate.total) < estimate.total / 20, `${spent} was spent, ${estimate.total} estimated`);
  const one = async (write: object): Promise<number> => (await payer.post('/ledger/estimate', { writes: [write] })).total;
  const plain = await one({ type: 'credential_definition', attributes });
  assert.ok((await one({ type: 'credential_definition', attributes, support_revocation: true })) > plain);
  assert.ok((await one({ type: 'revocation_registry', max_cred_num: 1000 })) > 0);
  for (const writes of [
    [],
    [{ type: 'other' }],
    [{ type: 'schema', attributes: [] }],
    [{ type: 'schema', attributes: Array.from({ length: 126 }, (_none, i) => `a${i}`) }],
    [{ type: 'revocation_registry', max_cred_num: 1e9 }],
    Array.from({ length: 21 }, () => ({ type: 'did' })),
  ])
    assert.equal((await payer.call('POST', '/ledger/estimate', { writes })).status, 422);
});

test('one ledger, without an agreement and without other ledgers', async () => {
  assert.deepEqual(await issuer.get('/ledger/get-write-ledger'), { ledger_id: 'default' });
  assert.deepEqual(await issuer.get('/ledger/get-write-ledgers'), { write_ledgers: ['default'] });
  assert.deepEqual((await issuer.call('PUT', '/ledger/default/set-write-ledger')).body, { write_ledger: 'default' });
  assert.equal((await issuer.call('PUT', '/ledger/other/set-write-ledger')).status, 400);
  const { result } = await issuer.get('/ledger/taa');
  assert.deepEqual(result, { aml_record: null, taa_record: null, taa_required: false, taa_accepted: null });
  const agreement = { version: '1', text: 'yes', mechanism: 'x' };
  assert.deepEqual(await issuer.post('/ledger/taa/accept', agreement), {});
  assert.equal((await issuer.call('GET', '/ledger/config')).text, '403: Multiple ledger support not enabled');
});

test('without a ledger these are 403', async () => {
  const lonely = await world.start('lonely');
  for (const path of ['did-verkey?did=did:algo:x', 'did-endpoint?did=did:algo:x', 'get-nym-role?did=did:algo:x', 'taa', 'get-write-ledger'])
    assert.equal((await lonely.call('GET', `/ledger/${path}`)).status, 403, path);
  assert.equal((await lonely.call('GET', '/ledger/account')).status, 403);
  assert.equal((await lonely.call('POST', '/ledger/estimate', { writes: [{ type: 'did' }] })).status, 403);
});

test('a schema of an own DID that another store wrote is taken into this one; others are not', async () => {
  const seed = 'seed-of-two-wallets-000000000000';
  const write = (id: string) => `/schemas/${encodeURIComponent(id)}/write_record`;
  const [first, second] = [await world.start('first', { devnet, sponsor: true }), await world.start('second', { devnet, sponsor: true })];
  for (const one of [first, second]) {
    const { result } = await one.post('/wallet/did/create', { method: 'algo', seed });
    await one.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  }
  const { schema_id } = await first.post('/schemas', { schema_name: 's', schema_version: '1.0', attributes: ['a', 'b'] });
  assert.deepEqual(await second.get('/schemas/created'), { schema_ids: [] });
  const { schema } = await second.post(write(schema_id));
  assert.deepEqual([schema.id, schema.attrNames], [schema_id, ['a', 'b']]);
  await second.post(write(schema_id));
  assert.deepEqual(await second.get('/schemas/created'), { schema_ids: [schema_id] });
  assert.equal((await second.call('POST', write(ids.schemaId))).status, 400);
  assert.equal((await second.call('POST', write(`${ids.schemaId.slice(0, -32)}${'A'.repeat(32)}`))).status, 404);
  const definition = `/credential-definitions/${encodeURIComponent(ids.credDefId)}/write_record`;
  assert.equal((await issuer.post(definition)).credential_definition.id, ids.credDefId);
  assert.equal((await second.call('POST', definition)).status, 400);
});
