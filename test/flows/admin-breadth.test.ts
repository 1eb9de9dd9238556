import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Body, connect, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { makeNewKeys } from '../support/new-keys.ts';

/** The Indy families, credentials, out-of-band records and settings, over one wallet and one ledger. */

const world = createWorld({ held: true });
let issuer: TestAgent;
let holder: TestAgent;
let did: string;
let schemaId: string;
let credDefId: string;
let ids: { inviter: string; invitee: string };
const encoded = encodeURIComponent;
/** An identifier of the same form that nobody registered. */
const another = (id: string): string => id.slice(0, -1) + (id.endsWith('0') ? '1' : '0');

makeNewKeys();
before(async () => {
  const devnet = await world.devnet();
  const auto = ['--auto-respond-credential-offer', '--auto-store-credential'];
  issuer = await world.start('issuer', { devnet, sponsor: true });
  holder = await world.start('holder', { devnet, flags: auto });
  ids = await connect(issuer, holder);
});
after(() => world.close());

test('the Indy families need a public DID', async () => {
  const answer = await issuer.call('POST', '/schemas', { schema_name: 'prefs', schema_version: '1.0', attributes: ['name'] });
  assert.match(answer.text, /^400: Cannot publish without a public DID/);
  did = (await issuer.post('/wallet/did/create', { method: 'algo' })).result.did;
  await issuer.post(`/wallet/did/public?did=${encoded(did)}`);
});

test('POST /schemas writes what the AnonCreds family reads, and tells it as ACA-Py does', async () => {
  const body = { schema_name: 'prefs', schema_version: '1.0', attributes: ['name', 'score'] };
  const made = await issuer.post('/schemas', body);
  schemaId = made.schema_id;
  assert.deepEqual(made.sent, { schema_id: schemaId, schema: made.schema });
  const { attrNames, ...rest } = made.schema;
  assert.deepEqual(rest, { ver: '1.0', id: schemaId, name: 'prefs', version: '1.0' });
  assert.deepEqual([...attrNames].sort(), ['name', 'score']);
  assert.equal((await issuer.get(`/anoncreds/schema/${encoded(schemaId)}`)).schema.issuerId, did);
  assert.deepEqual((await issuer.get('/anoncreds/schemas')).schema_ids, [schemaId]);
  for (const path of [`/schemas/${encoded(schemaId)}`, `/schemas/${schemaId}`])
    assert.deepEqual((await holder.get(path)).schema, made.schema, path);
  assert.equal((await issuer.call('POST', '/schemas', body)).text, '400: Schema prefs 1.0 already exists');
  for (const [query, found] of [
    ['', 1],
    [`schema_id=${encoded(schemaId)}`, 1],
    [`schema_issuer_did=${encoded(did)}&schema_name=prefs`, 1],
    ['schema_version=2.0', 0],
    ['schema_name=other', 0],
  ] as const)
    assert.equal((await issuer.get(`/schemas/created?${query}`)).schema_ids.length, found, query);
  for (const [wrong, status] of [
    [{ ...body, schema_version: 'one' }, 422],
    [{ ...body, attributes: [] }, 422],
    [{ schema_name: 'x' }, 422],
  ] as const)
    assert.equal((await issuer.call('POST', '/schemas', wrong)).status, status, JSON.stringify(wrong));
  assert.equal((await issuer.call('GET', `/schemas/${encoded(another(schemaId))}`)).status, 404);
  assert.equal((await issuer.call('GET', `/schemas/${encoded(`${schemaId}x`)}`)).status, 400);
  assert.equal(
    (await issuer.call('POST', '/schemas?create_transaction_for_endorser=true', { ...body, schema_version: '3.0' })).status,
    400,
  );
});

test('the same call under an idempotency key is the same schema', async () => {
  const body = { schema_name: 'again', schema_version: '1.0', attributes: ['a'] };
  const say = () => issuer.call('POST', '/schemas', body, { 'idempotency-key': 'again' });
  const [first, second] = [await say(), await say()];
  assert.deepEqual([first.status, second.body], [200, first.body]);
});

test('POST /credential-definitions does the same for credential definitions', async () => {
  const made = await issuer.post('/credential-definitions', { schema_id: schemaId, tag: 'first' });
  credDefId = made.credential_definition_id;
  assert.deepEqual(made.sent, { credential_definition_id: credDefId });
  const { credential_definition: notified } = await issuer.get(`/credential-definitions/${encoded(credDefId)}`);
  const { credential_definition: same } = await issuer.get(`/anoncreds/credential-definition/${encoded(credDefId)}`);
  assert.deepEqual(notified, { ver: '1.0', id: credDefId, schemaId, type: 'CL', tag: 'first', value: same.value });
  assert.match(
    (await issuer.call('POST', '/credential-definitions', { schema_id: schemaId, tag: 'first' })).text,
    /^400: Cred def for .* first already exists: did:algo:/,
  );
  for (const [query, found] of [
    ['', 1],
    [`cred_def_id=${encoded(credDefId)}&issuer_did=${encoded(did)}`, 1],
    [`schema_id=${encoded(schemaId)}&schema_issuer_did=${encoded(did)}&schema_name=prefs&schema_version=1.0`, 1],
    ['schema_version=2', 0],
    ['issuer_did=nobody', 0],
  ] as const)
    assert.equal((await issuer.get(`/credential-definitions/created?${query}`)).credential_definition_ids.length, found, query);
  assert.equal((await issuer.call('POST', '/credential-definitions', { schema_id: another(schemaId) })).status, 404);
});

const preview = (name: string, score: string): Body => ({
  attributes: [
    { name: 'name', value: name },
    { name: 'score', value: score },
  ],
});
const filter = (): Body => ({ anoncreds: { cred_def_id: credDefId } });

async function issue(name: string, score: string): Promise<void> {
  const before = (await holder.get('/credentials?limit=1')).total;
  await issuer.post('/issue-credential-2.0/send', {
    connection_id: ids.inviter,
    credential_preview: preview(name, score),
    filter: filter(),
  });
  await until(async () => (await holder.get('/credentials?limit=1')).total > before, `the credential of ${name}`);
}

test('credentials are found by WQL and paged by either pair of names', async () => {
  for (const [name, score] of [
    ['Ann', '1'],
    ['Ben', '2'],
    ['Cleo', '2'],
  ] as const)
    await issue(name, score);
  const names = async (wql: unknown, rest = ''): Promise<string[]> =>
    (await holder.get(`/credentials?wql=${encoded(JSON.stringify(wql))}${rest}`)).results.map((one: Body) => one.attrs.name);
  assert.deepEqual(await names({}), ['Ann', 'Ben', 'Cleo']);
  assert.deepEqual(await names({ schema_id: schemaId, cred_def_id: credDefId }), ['Ann', 'Ben', 'Cleo']);
  assert.deepEqual(await names({ issuer_did: did, 'attr::name::value': 'Ben' }), ['Ben']);
  assert.deepEqual(await names({ $or: [{ 'attr::name::value': 'Ann' }, { 'attr::name::value': 'Cleo' }] }), ['Ann', 'Cleo']);
  assert.deepEqual(await names({ $and: [{ 'attr::score::value': '2' }, { $not: { 'attr::name::value': 'Ben' } }] }), ['Cleo']);
  assert.deepEqual(await names({ 'attr::name::value': { $in: ['Ann', 'Ben', 'Zoe'] } }), ['Ann', 'Ben']);
  assert.deepEqual(await names({ 'attr::age::marker': '1' }), []);
  assert.deepEqual(await names({ schema_id: 'other' }), []);
  assert.deepEqual(await names({ 'attr::score::value': '2' }, '&limit=1&offset=1'), ['Cleo']);
  assert.deepEqual(await names({ 'attr::score::value': '2' }, '&count=1&start=0'), ['Ben']);
  for (const query of ['limit=2&offset=1', 'count=2&start=1'])
    assert.deepEqual(
      (await holder.get(`/credentials?${query}`)).results.map((one: Body) => one.attrs.name),
      ['Ben', 'Cleo'],
      query,
    );
  for (const [wql, status] of [
    ['{"a": ', 422],
    ['[]', 422],
    ['{"a"}', 422],
    ['{"unheard": "x"}', 400],
    ['{"schema_id": {"$like": "x"}}', 400],
    ['{"$or": "x"}', 400],
  ] as const)
    assert.equal((await holder.call('GET', `/credentials?wql=${encoded(wql)}`)).status, status, wql);
});

test('the routes of one credential, and its deletion with a webhook', async () => {
  const [first] = (await holder.get('/credentials')).results;
  const id = first.referent;
  assert.deepEqual(await holder.get(`/credential/revoked/${id}?from=1&to=2`), { revoked: false });
  assert.deepEqual(await holder.get(`/credential/mime-types/${id}`), { results: null });
  for (const path of ['/credential/revoked/none', '/credential/mime-types/none', '/credential/none'])
    assert.equal((await holder.call('GET', path)).status, 404, path);
  assert.equal((await holder.call('GET', `/credential/revoked/${id}?from=x`)).status, 422);
  assert.equal((await holder.call('DELETE', `/credential/${id}`)).status, 200);
  assert.deepEqual(await holder.event('credential', (payload) => payload.id === id, 'the webhook of the deletion'), {
    id,
    state: 'deleted',
  });
  assert.equal((await holder.call('GET', `/credential/${id}`)).status, 404);
});

test('an offer that was created for an invitation issues by itself', async () => {
  const made = await issuer.post('/issue-credential-2.0/create', { credential_preview: preview('Dan', '3'), filter: filter() });
  assert.deepEqual([made.state, made.auto_issue, made.connection_id], ['offer-sent', true, undefined]);
  const invitation = await issuer.post('/out-of-band/create-invitation?auto_accept=true', {
    ...HANDSHAKE,
    attachments: [{ id: made.cred_ex_id, type: 'credential-offer' }],
  });
  await holder.post('/out-of-band/receive-invitation?auto_accept=true', invitation.invitation);
  await until(
    async () => (await holder.get(`/credentials?wql=${encoded('{"attr::name::value": "Dan"}')}`)).results.length === 1,
    'the credential of Dan',
  );
});

test('out-of-band records are listed and filtered; an invitation goes with what belongs to it', async () => {
  const made = await issuer.post('/out-of-band/create-invitation', HANDSHAKE);
  const [record] = (await issuer.get(`/out-of-band/records?invi_msg_id=${made.invi_msg_id}`)).results;
  assert.deepEqual([record.oob_id, record.state, record.role], [made.oob_id, 'await-response', 'sender']);
  assert.ok((await issuer.get('/out-of-band/records?state=await-response&role=sender')).total >= 1);
  assert.equal((await issuer.get('/out-of-band/records?role=receiver')).total, 0);
  assert.equal((await issuer.call('GET', '/out-of-band/records?state=bogus')).status, 422);
  const fetched = await issuer.get(`/out-of-band/invitations?oob_id=${made.oob_id}`);
  assert.deepEqual([fetched.invitation, fetched.invitation_url, fetched.oob_id], [made.invitation, made.invitation_url, made.oob_id]);
  assert.equal((await issuer.call('GET', '/out-of-band/invitations?oob_id=none')).status, 404);
  assert.equal((await issuer.call('GET', '/out-of-band/invitations')).status, 422);
  assert.equal((await issuer.get(`/connections?invitation_msg_id=${made.invi_msg_id}`)).total, 1);
  assert.equal((await issuer.call('DELETE', `/out-of-band/invitations/${made.invi_msg_id}`)).status, 200);
  assert.equal((await issuer.get(`/connections?invitation_msg_id=${made.invi_msg_id}`)).total, 0);
  assert.equal((await issuer.get(`/out-of-band/records?invi_msg_id=${made.invi_msg_id}`)).total, 0);
  assert.equal((await issuer.call('DELETE', `/out-of-band/invitations/${made.invi_msg_id}`)).status, 404);
  // who still has it hears that it is not open, and does not connect
  const late = await holder.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  await holder.event('connections', (one) => one.connection_id === late.connection_id && one.state === 'error', 'the refusal');
  assert.equal((await issuer.get(`/connections?invitation_msg_id=${made.invi_msg_id}`)).total, 0);
  // one that led to a connection takes the connection with it, and only its own
  const { invitation, invi_msg_id } = await issuer.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  await holder.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  await issuer.event('connections', (one) => one.invitation_msg_id === invi_msg_id && one.state === 'active', 'the connection');
  assert.equal((await issuer.call('DELETE', `/out-of-band/invitations/${invi_msg_id}`)).status, 200);
  await issuer.event('connections', (one) => one.invitation_msg_id === invi_msg_id && one.state === 'deleted', 'its deletion');
  assert.equal((await issuer.get(`/connections/${ids.inviter}`)).state, 'active');
});

test('PUT /settings changes what the agent does by itself, until the next start', async () => {
  assert.equal((await issuer.get('/settings'))['debug.auto_accept_requests'], false);
  const changed = await issuer.call('PUT', '/settings', {
    extra_settings: { 'auto-accept-requests': true, ACAPY_PUBLIC_INVITES: 'true', 'wallet-key': 'x', 'log-level': 'debug' },
  });
  assert.deepEqual(
    [changed.body['debug.auto_accept_requests'], changed.body.public_invites, changed.body['log.level']],
    [true, true, 'info'],
  );
  assert.deepEqual(await issuer.get('/settings'), changed.body);
  // what is shown can be put back by the name that it is shown under
  const back = await issuer.call('PUT', '/settings', { extra_settings: { 'debug.auto_accept_invites': true } });
  assert.equal(back.body['debug.auto_accept_invites'], true);
  await issuer.call('PUT', '/settings', { extra_settings: { 'debug.auto_accept_invites': false } });
  const made = await issuer.post('/out-of-band/create-invitation', { ...HANDSHAKE, use_public_did: true });
  await holder.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  await issuer.event('connections', (one) => one.invitation_msg_id === made.invi_msg_id && one.state === 'active', 'the accepted request');
  assert.equal((await issuer.call('PUT', '/settings', { extra_settings: { 'public-invites': 'perhaps' } })).status, 400);
  const { config } = await issuer.get('/status/config');
  assert.deepEqual([config['wallet.type'], config.public_invites, config['wallet-key']], ['askar-anoncreds', true, undefined]);
});

test('an agent that takes no invitations says so', async () => {
  const closed = await world.start('closed', { flags: ['--no-receive-invites'] });
  const made = await issuer.post('/out-of-band/create-invitation', HANDSHAKE);
  const answer = await closed.call('POST', '/out-of-band/receive-invitation', made.invitation);
  assert.equal(answer.text, '403: Configuration does not allow receipt of invitations');
});
