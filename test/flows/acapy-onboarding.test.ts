import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VERSION } from '../../src/version.ts';
import { anchor, type Body, connect, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';
import { newTenant } from '../support/tenants.ts';

/** What start scripts and controllers that were written for ACA-Py with Indy do first, as they do it. */

const world = createWorld({ held: true });
let devnet: Devnet;
let issuer: TestAgent;
before(async () => {
  devnet = await world.devnet();
  issuer = await world.start('issuer', {
    devnet,
    sponsor: true,
    flags: ['--wallet-type', 'askar', '--image-url', 'https://issuer.example/logo.png', '--genesis-url', 'http://genesis.example'],
  });
});
after(() => world.close());

test('a DID of method sov, and a did:indy, are made as DIDs of the ledger; the log says so once', async () => {
  const seed = '0000000000000000000000000Issuer1';
  const { result: made } = await issuer.post('/wallet/did/create', { method: 'sov', options: { key_type: 'ed25519' } });
  assert.match(made.did, /^did:algo:custom:app:/);
  assert.equal(made.posture, 'wallet_only');
  const indy = await issuer.post('/did/indy/create', { options: { seed }, features: {} });
  assert.match(indy.did, /^did:algo:custom:app:/);
  assert.deepEqual(Object.keys(indy).sort(), ['did', 'verkey']);
  assert.equal((await issuer.post('/wallet/did/create', { method: 'sov', seed })).result.did, indy.did);
  const listed = (await issuer.get('/wallet/did?method=sov')).results.map(({ did }: Body) => did);
  assert.deepEqual(listed.sort(), [made.did, indy.did].sort());
  assert.equal(issuer.logged.filter((line) => line.includes('--sov-as-algo')).length, 1);
  assert.equal(
    (await issuer.call('POST', '/wallet/did/create', { method: 'sov', options: { did: 'WgWxqztrNooG92RXvxSTWv' } })).status,
    400,
  );
});

test('the rest of an onboarding goes through', async () => {
  const { result } = await issuer.post('/wallet/did/create', { method: 'sov' });
  const { did, verkey } = result as { did: string; verkey: string };
  const nym = (query: Record<string, string>) =>
    `/ledger/register-nym?${new URLSearchParams({ did, verkey, role: 'ENDORSER', alias: 'me', ...query })}`;
  assert.deepEqual(await issuer.post(nym({})), { success: true });
  assert.equal((await issuer.call('POST', nym({ verkey: '3'.repeat(44) }))).status, 400);
  assert.equal((await issuer.call('POST', nym({ did: 'did:algo:custom:app:1:'.padEnd(86, '0') }))).status, 400);
  assert.equal((await issuer.call('POST', nym({ create_transaction_for_endorser: 'True' }))).status, 400);
  for (const path of [`/wallet/did/public?did=${did}&`, '/wallet/set-did-endpoint?'])
    assert.equal(
      (await issuer.call('POST', `${path}create_transaction_for_endorser=true`, { did, endpoint: 'https://e.example' })).status,
      400,
      path,
    );
  assert.equal((await issuer.get('/ledger/taa')).result.taa_required, false);
  assert.deepEqual(await issuer.post('/ledger/taa/accept', { mechanism: 'on_file', text: '', version: '' }), {});
  assert.equal((await issuer.post(`/wallet/did/public?did=${did}`)).result.posture, 'public');
  assert.deepEqual(
    await issuer.post('/wallet/set-did-endpoint', { did, endpoint: 'https://issuer.example', endpoint_type: 'Endpoint' }),
    {},
  );
  assert.deepEqual(await issuer.get(`/ledger/did-endpoint?did=${did}`), { endpoint: 'https://issuer.example' });
});

test('the type of the wallet is shown as it was given, and with it the family of the format detail', async () => {
  const { config } = await issuer.get('/status/config');
  assert.equal(config['wallet.type'], 'askar');
  assert.equal(config['ledger.genesis_url'], 'http://genesis.example');
  assert.equal((await issuer.get('/settings'))['wallet.type'], 'askar');
  const { version, flexid_version: own } = await issuer.get('/status');
  assert.deepEqual([version, own], ['1.7.0', VERSION]);
  const holder = await world.start('holder', { devnet, flags: ['--auto-store-credential', '--wallet-type', 'kanon-anoncreds'] });
  assert.equal((await holder.get('/settings'))['wallet.type'], 'kanon-anoncreds');
  const { credDefId } = await anchor(issuer, ['name']);
  const ids = await connect(issuer, holder);
  const credential_preview = { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'name', value: 'Alice' }] };
  const offer = { connection_id: ids.inviter, auto_issue: true, filter: { indy: { cred_def_id: credDefId } }, credential_preview };
  const { cred_ex_id: id } = await issuer.post('/issue-credential-2.0/send-offer', offer);
  const offered = await holder.event('issue_credential_v2_0', ({ state }) => state === 'offer-received', 'the offer');
  await holder.post(`/issue-credential-2.0/records/${offered.cred_ex_id}/send-request`);
  const [ours, theirs] = await Promise.all([
    issuer.event('issue_credential_v2_0_indy', ({ cred_ex_id }) => cred_ex_id === id, 'the detail of the issuer'),
    holder.event('issue_credential_v2_0_anoncreds', ({ cred_id_stored }) => cred_id_stored !== undefined, 'the detail of the holder'),
  ]);
  assert.ok(ours.cred_ex_indy_id && theirs.cred_ex_anoncreds_id && !('cred_ex_indy_id' in theirs));
});

test('the picture of the agent, or of the tenant, is in invitations', async () => {
  const pictures = async (agent: Pick<TestAgent, 'post'>): Promise<unknown[]> => [
    (await agent.post('/out-of-band/create-invitation', HANDSHAKE)).invitation.imageUrl,
    (await agent.post('/connections/create-invitation', {})).invitation.imageUrl,
  ];
  assert.deepEqual(await pictures(issuer), Array(2).fill('https://issuer.example/logo.png'));
  const host = await world.start('host', {
    flags: ['--multitenant', '--multitenant-admin', '--jwt-secret', 'secret', '--wallet-type', 'askar'],
  });
  const plain = await newTenant(host, 'plain');
  const own = await newTenant(host, 'own', { image_url: 'https://tenant.example/a.png', wallet_type: 'askar-anoncreds' });
  assert.deepEqual(await pictures(plain), [undefined, undefined]);
  assert.deepEqual(await pictures(own), Array(2).fill('https://tenant.example/a.png'));
  assert.deepEqual(
    [(await plain.get('/settings'))['wallet.type'], (await own.get('/settings'))['wallet.type']],
    ['askar', 'askar-anoncreds'],
  );
  const { results } = await host.get('/multitenancy/wallets');
  assert.deepEqual(results.map(({ settings }: Body) => settings['wallet.type']).sort(), ['askar', 'askar-anoncreds']);
  await host.call('PUT', `/multitenancy/wallet/${own.id}`, { image_url: 'https://tenant.example/b.png' });
  await until(async () => (await pictures(own)).every((one) => one === 'https://tenant.example/b.png'), 'the new picture');
});

test('handshakes have the names that ACA-Py has for them', async () => {
  for (const [name, known] of [
    ['rfc23', 'didexchange/1.0'],
    ['DIDX', 'didexchange/1.0'],
    ['connections', 'connections/1.0'],
    ['rfc160', 'connections/1.0'],
    ['didexchange/1.1', 'didexchange/1.1'],
  ] as const) {
    const { invitation } = await issuer.post('/out-of-band/create-invitation', { handshake_protocols: [name] });
    assert.deepEqual(invitation.handshake_protocols, [`https://didcomm.org/${known}`], name);
  }
  assert.equal((await issuer.call('POST', '/out-of-band/create-invitation', { handshake_protocols: ['rfc24'] })).status, 400);
});

test('without a ledger, or with --sov-as-algo off, a DID of method sov is refused', async () => {
  const [none, off] = [await world.start('none'), await world.start('off', { devnet, sponsor: true, flags: ['--sov-as-algo', 'off'] })];
  for (const agent of [none, off]) {
    assert.equal((await agent.call('POST', '/wallet/did/create', { method: 'sov' })).text, '400: Unsupported DID method: sov');
    assert.equal((await agent.call('POST', '/did/indy/create', {})).status, 400);
  }
});
