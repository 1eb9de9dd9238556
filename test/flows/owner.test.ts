import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ADMIN, createOwner, type Owner, REVOKE } from '../../harness/owner.ts';
import { freePort, program } from '../../harness/processes.ts';
import { pack } from '../../src/didcomm/envelope-v1.ts';
import { newKeyPair, verifyBytes } from '../../src/didcomm/keys.ts';
import { ENVELOPE_V1 } from '../../src/didcomm/media-types.ts';
import { OLD_PREFIX } from '../../src/didcomm/message-types.ts';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';
import { startStranger } from '../support/stranger.ts';
import { MULTITENANT, newTenant } from '../support/tenants.ts';

/** An owner drives an issuer by messages alone: one key pair, no wallet, no port, and no handshake. */

const FAMILIES = [
  'admin-connections',
  'admin-credential-definitions',
  'admin-invitations',
  'admin-issuer',
  'admin-revocation',
  'admin-schemas',
];
const SCHEMA = { schema_name: 'degree', schema_version: '1.0', attributes: ['number'] };

const world = createWorld();
let devnet: Devnet;
let faber: TestAgent;
let bob: TestAgent;
let did: string;
let owner: Owner;
let ownerConnection: string;
let ids: { inviter: string; invitee: string };

/** A static connection: what both sides know of each other is configured. */
async function letIn(agent: Pick<TestAgent, 'post' | 'inbound'>, one: Owner, more: object = {}): Promise<Body> {
  const made = await agent.post('/connections/create-static', { their_verkey: one.pair.verkey, ...more });
  one.to = { verkey: made.my_verkey, url: agent.inbound };
  return made.record;
}

const attributesOf = (number: number) => [{ name: 'number', value: String(number) }];

before(async () => {
  devnet = await world.devnet({ clock: 'wall' });
  faber = await world.start('faber', { devnet, sponsor: true, flags: ['--preserve-exchange-records'] });
  bob = await world.start('bob', {
    devnet,
    flags: [
      ...['--preserve-exchange-records', '--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential'],
      ...['--auto-respond-presentation-request'],
    ],
  });
  did = (await faber.post('/wallet/did/create', { method: 'algo' })).result.did;
  await faber.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
  ids = await connect(faber, bob);
  owner = createOwner();
  const record = await letIn(faber, owner, { alias: 'owner', metadata: { group: 'owner' }, grants: FAMILIES });
  ownerConnection = record.connection_id;
});
after(() => world.close());

let anchoring: Promise<{ schemaId: string; credDefId: string }> | undefined;
const REVOCABLE = { support_revocation: true, revocation_registry_size: 8 };
/** A schema by a call, and by a message a definition whose credentials can be revoked; made once. */
const anchored = () => {
  anchoring ??= (async () => {
    const schema = { issuerId: did, name: 'base', version: '1.0', attrNames: ['number'] };
    const { schema_id } = (await faber.post('/anoncreds/schema', { schema })).schema_state;
    const made = await owner.ask(ADMIN('credential-definitions', 'send-credential-definition'), { schema_id, ...REVOCABLE });
    assert.equal(made['@type'], ADMIN('credential-definitions', 'credential-definition-id'));
    return { schemaId: schema_id, credDefId: made.cred_def_id };
  })();
  return anchoring;
};

test('[S2-22] keys are injected: no handshake, and without a grant nothing is ordered', async () => {
  const fresh = createOwner();
  const before = (await faber.get('/owner-actions')).total;
  const record = await letIn(faber, fresh, { alias: 'fresh' });
  assert.deepEqual([record.state, record.invitation_mode, record.grants], ['active', 'static', undefined]);
  assert.equal((await fresh.ask(ADMIN('connections', 'get-list'))).description?.code, 'unauthorized');
  const refused = await fresh.ask(ADMIN('schemas', 'send-schema'), { ...SCHEMA, schema_name: 'refused' });
  assert.equal(refused['@type'], 'https://didcomm.org/notification/1.0/problem-report');
  assert.equal(refused.description.code, 'unauthorized');
  // what the message holds is not looked at before
  assert.equal((await fresh.ask(ADMIN('schemas', 'send-schema'), { schema_name: 7 })).description.code, 'unauthorized');
  await faber.post(`/connections/${record.connection_id}/metadata`, { metadata: { grants: FAMILIES, group: 'admin' } });
  assert.equal((await fresh.ask(ADMIN('schemas', 'schema-get-list'))).description.code, 'unauthorized');
  assert.equal((await faber.get('/owner-actions')).total, before);
  assert.deepEqual((await faber.get('/anoncreds/schemas?schema_name=refused')).schema_ids, []);
  const granted = await faber.call('PUT', `/connections/${record.connection_id}/grants`, { grants: FAMILIES });
  assert.deepEqual([granted.status, granted.body], [200, { grants: FAMILIES }]);
  assert.deepEqual((await faber.get(`/connections/${record.connection_id}`)).grants, FAMILIES);
  assert.equal((await fresh.ask(ADMIN('connections', 'get-list'))).description, undefined);
  assert.equal((await faber.call('PUT', `/connections/${record.connection_id}/grants`, { grants: ['all'] })).status, 400);
});

test('[S2-20] what goes between owner and agent is sealed; the same in plain text changes nothing', async () => {
  const before = (await faber.get('/owner-actions')).total;
  assert.equal((await owner.ask(ADMIN('connections', 'get-list'))).description, undefined);
  const plain = JSON.stringify({ '@type': ADMIN('schemas', 'send-schema'), '@id': randomUUID(), ...SCHEMA });
  const answer = await fetch(faber.inbound, { method: 'POST', headers: { 'content-type': 'application/json' }, body: plain });
  assert.ok([400, 202].includes(answer.status));
  // sealed for the agent, by nobody
  const order = JSON.stringify({ '@type': ADMIN('schemas', 'send-schema'), '@id': randomUUID(), ...SCHEMA });
  const anonymous = pack({ message: order, recipients: [owner.to.verkey] });
  await fetch(faber.inbound, { method: 'POST', headers: { 'content-type': ENVELOPE_V1 }, body: anonymous });
  assert.equal((await faber.get('/owner-actions')).total, before);
  assert.ok(owner.wire.length > 0);
  for (const body of owner.wire.filter(Boolean))
    assert.deepEqual(Object.keys(JSON.parse(body)).sort(), ['ciphertext', 'iv', 'protected', 'tag']);
});

test('[S2-23] a schema is made by a message, as by a call', async () => {
  const id = randomUUID();
  const reply = await owner.ask(ADMIN('schemas', 'send-schema'), SCHEMA, id);
  assert.equal(reply['@type'], ADMIN('schemas', 'schema-id'));
  const schemaId = reply.schema_id as string;
  const called = await faber.post('/anoncreds/schema', {
    schema: { issuerId: did, name: SCHEMA.schema_name, version: SCHEMA.schema_version, attrNames: SCHEMA.attributes },
  });
  assert.deepEqual([called.schema_state.state, called.schema_state.schema_id], ['finished', schemaId]);
  const { schema } = await faber.get(`/anoncreds/schema/${encodeURIComponent(schemaId)}`);
  const got = await owner.ask(ADMIN('schemas', 'schema-get'), { schema_id: schemaId });
  assert.deepEqual(
    [got.schema_name, got.schema_version, got.attributes, got.author],
    [schema.name, schema.version, schema.attrNames, 'self'],
  );
  const list = await owner.ask(ADMIN('schemas', 'schema-get-list'));
  assert.deepEqual(
    list.results.map((one: Body) => one.schema_id),
    (await faber.get('/anoncreds/schemas')).schema_ids,
  );
  // who asked for what, when, and what came of it
  const { results } = await faber.get('/owner-actions');
  const action = results.find((one: Body) => one.message_id === id);
  assert.deepEqual([action.state, action.connection_id, action.message_type], ['done', ownerConnection, ADMIN('schemas', 'send-schema')]);
  assert.deepEqual(action.result, { schema_id: schemaId });
  // the same message again has no second effect
  await owner.send(ADMIN('schemas', 'send-schema'), SCHEMA, id);
  assert.equal((await faber.get('/owner-actions')).results.length, results.length);
});

test('[S2-24] a credential definition is made by a message, as by a call', async () => {
  const { schemaId, credDefId } = await anchored();
  const called = await faber.post('/anoncreds/credential-definition', {
    credential_definition: { issuerId: did, schemaId, tag: 'default' },
    options: REVOCABLE,
  });
  const { state, credential_definition_id } = called.credential_definition_state;
  assert.deepEqual([state, credential_definition_id], ['finished', credDefId]);
  // the older spelling is answered in it
  const older = `${OLD_PREFIX}admin-credential-definitions/0.1`;
  const reply = await owner.ask(`${older}/send-credential-definition`, { schema_id: schemaId, ...REVOCABLE });
  assert.deepEqual([reply['@type'], reply.cred_def_id], [`${older}/credential-definition-id`, credDefId]);
  const got = await owner.ask(ADMIN('credential-definitions', 'credential-definition-get'), { cred_def_id: credDefId });
  assert.deepEqual([got.schema_id, got.attributes, got.author], [schemaId, ['number'], 'self']);
  const list = await owner.ask(ADMIN('credential-definitions', 'credential-definition-get-list'));
  assert.deepEqual(
    list.results.map((one: Body) => one.cred_def_id),
    (await faber.get('/anoncreds/credential-definitions')).credential_definition_ids,
  );
});

/** The states and members that do not differ by call. */
const shape = (record: Body): string[] =>
  Object.keys(record)
    .filter((name) => !/^(@|~|credential_exchange_id|presentation_exchange_id)/.test(name))
    .sort();

let revocable: string[] = [];

test('[S2-25] a credential is issued and a proof asked for by messages, as by calls', async () => {
  const { credDefId } = await anchored();
  const byMessage = await owner.ask(ADMIN('issuer', 'send-credential'), {
    ...{ connection_id: ids.inviter, cred_def_id: credDefId, comment: 'yours' },
    credential_proposal: { attributes: attributesOf(1) },
  });
  const byCall = await faber.post('/issue-credential-2.0/send', {
    ...{ connection_id: ids.inviter, filter: { anoncreds: { cred_def_id: credDefId } }, comment: 'yours' },
    credential_preview: { attributes: attributesOf(2) },
  });
  assert.equal(byMessage['@type'], ADMIN('issuer', 'credential-exchange'));
  assert.deepEqual([byMessage.state, shape(byMessage)], [byCall.state, shape(byCall)]);
  revocable = [byMessage.cred_ex_id, byCall.cred_ex_id];
  for (const { thread_id } of [byMessage, byCall])
    await bob.event('issue_credential_v2_0', (one) => one.thread_id === thread_id && one.state === 'done', 'the credential');
  const list = await owner.ask(ADMIN('issuer', 'credentials-get-list'), { connection_id: ids.inviter });
  assert.deepEqual(new Set(list.results.map((one: Body) => one.cred_ex_id)), new Set(revocable));

  const asked = { name: 'proof', version: '1.0', requested_predicates: {} };
  const requested_attributes = { number: { name: 'number', restrictions: [{ cred_def_id: credDefId }] } };
  const proof_request = { ...asked, requested_attributes };
  const proving = await owner.ask(ADMIN('issuer', 'request-presentation'), { connection_id: ids.inviter, proof_request });
  const called = await faber.post('/present-proof-2.0/send-request', {
    ...{ connection_id: ids.inviter, auto_verify: true, presentation_request: { anoncreds: proof_request } },
  });
  assert.deepEqual([proving.state, shape(proving)], [called.state, shape(called)]);
  for (const { pres_ex_id } of [proving, called]) {
    const done = await faber.event('present_proof_v2_0', (one) => one.pres_ex_id === pres_ex_id && one.state === 'done', 'the proof');
    assert.equal(done.verified, 'true');
  }
  const proofs = await owner.ask(ADMIN('issuer', 'presentations-get-list'));
  assert.deepEqual(
    proofs.results.map((one: Body) => one.verified),
    ['true', 'true'],
  );
});

test('credentials are revoked by a message, as by a call', async () => {
  const reply = await owner.ask(REVOKE, { cred_ex_id: revocable[0], publish: true });
  assert.equal(reply.state, 'revoked');
  await faber.post('/anoncreds/revocation/revoke', { cred_ex_id: revocable[1], publish: true });
  for (const exchange of revocable) {
    const { result } = await faber.get(`/anoncreds/revocation/credential-record?cred_ex_id=${exchange}`);
    const status = await owner.ask(REVOKE.replace(/revoke$/, 'get-status'), { cred_ex_id: exchange });
    assert.deepEqual([result.state, status.results], ['revoked', [result]]);
  }
  const wrong = await owner.ask(REVOKE, { cred_ex_id: 'x' });
  const called = await faber.call('POST', '/anoncreds/revocation/revoke', { cred_ex_id: 'x' });
  assert.equal(`400: ${wrong.description.en}`, called.text);
});

test('a wallet is invited by a message; a connection of nobody is refused with the words of a call', async () => {
  const made = await owner.ask(ADMIN('invitations', 'create'), { label: 'Faber', auto_accept: true });
  const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.raw_repr.invitation);
  await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'a connection');
  const { connections } = await owner.ask(ADMIN('connections', 'get-list'));
  assert.ok(connections.some((one: Body) => one.state === 'active' && one.raw_repr.invitation_msg_id === made.invi_msg_id));
  const { credDefId } = await anchored();
  const nowhere = { connection_id: randomUUID(), cred_def_id: credDefId, credential_proposal: { attributes: attributesOf(3) } };
  const refused = await owner.ask(ADMIN('issuer', 'send-credential'), nowhere);
  const called = await faber.call('POST', '/issue-credential-2.0/send', {
    ...{ connection_id: nowhere.connection_id, filter: { anoncreds: { cred_def_id: credDefId } } },
    credential_preview: nowhere.credential_proposal,
  });
  assert.equal(`404: ${refused.description.en}`, called.text);
  const failed = await faber.get('/owner-actions?state=failed');
  assert.ok(failed.results.some((one: Body) => one.error_msg === refused.description.en));
});

test("[S2-15] the keys that sign are the agent's: its owner has one, which is none of them", async () => {
  const dids = (await faber.get('/wallet/did')).results as Body[];
  const issuer = dids.find((one) => one.did === did)!;
  assert.ok(dids.every(({ verkey }) => verkey !== owner.pair.verkey));
  const { schema_id } = await owner.ask(ADMIN('schemas', 'send-schema'), { ...SCHEMA, schema_version: '1.5' });
  const { schema } = await faber.get(`/anoncreds/schema/${encodeURIComponent(schema_id)}`);
  assert.equal(schema.issuerId, issuer.did);
  // the agent signs for it; the key that the owner has verifies nothing of that
  const signed = await faber.call('POST', '/wallet/jwt/sign', { did, payload: { a: 1 } });
  assert.equal(signed.status, 200, signed.text);
  const [head, body, signature] = signed.text.replaceAll('"', '').split('.') as [string, string, string];
  const text = Buffer.from(`${head}.${body}`);
  const bytes = Buffer.from(signature, 'base64url');
  assert.equal(verifyBytes(bytes, text, issuer.verkey), true);
  assert.equal(verifyBytes(bytes, text, owner.pair.verkey), false);
});

test('a stranger, and what is attached to an invitation, order nothing', async () => {
  const stranger = await startStranger();
  world.defer(() => stranger.close());
  const before = (await faber.get('/owner-actions')).total;
  const order = { '@type': ADMIN('schemas', 'send-schema'), '@id': randomUUID(), ...SCHEMA, schema_name: 'evil' };
  const answer = await stranger.send(owner.to, order);
  assert.deepEqual([answer.status, answer.reply], [202, undefined]);
  const invitation = {
    ...{ '@type': 'https://didcomm.org/out-of-band/1.1/invitation', '@id': randomUUID(), label: 'evil' },
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [stranger.pair.verkey], serviceEndpoint: stranger.url }],
    'requests~attach': [{ '@id': '0', 'mime-type': 'application/json', data: { json: order } }],
  };
  await faber.call('POST', '/out-of-band/receive-invitation?auto_accept=true', invitation);
  assert.equal((await faber.get('/owner-actions')).total, before);
});

test('an owner whose grant was taken orders nothing more; one with another key takes its place', async () => {
  const next = createOwner();
  const record = await letIn(faber, next, { alias: 'owner', grants: FAMILIES });
  assert.deepEqual(record.grants, FAMILIES);
  assert.equal(typeof (await next.ask(ADMIN('schemas', 'schema-get-list'))).total, 'number');
  await faber.call('PUT', `/connections/${ownerConnection}/grants`, { grants: ['admin-connections'] });
  assert.equal((await owner.ask(ADMIN('schemas', 'schema-get-list'))).description.code, 'unauthorized');
  assert.ok((await owner.ask(ADMIN('connections', 'get-list'))).total > 0);
  assert.equal((await faber.call('DELETE', `/connections/${ownerConnection}`)).status, 200);
  const total = (await faber.get('/owner-actions')).total;
  assert.deepEqual(await owner.post({ '@type': ADMIN('schemas', 'send-schema'), '@id': randomUUID(), ...SCHEMA }), {
    status: 202,
    reply: undefined,
  });
  assert.equal((await faber.get('/owner-actions')).total, total);
  assert.equal(typeof (await next.ask(ADMIN('schemas', 'schema-get-list'))).total, 'number');
});

test('[S2-13] an agent without an admin API is driven by its owner, and killed between an order and its answer it answers all the same', async () => {
  const [one, gone] = [createOwner(), newKeyPair().verkey];
  const port = await freePort();
  const inbound = `http://127.0.0.1:${port}`;
  let printed = '';
  const started = (line: string): Body | undefined => (line.includes('an owner may order') ? JSON.parse(line) : undefined);
  const agent = program(
    'headless',
    world.folder,
    'src/main.ts',
    [
      ...['start', '--label', 'headless', '--inbound-transport', 'http', '127.0.0.1', String(port), '--endpoint', inbound],
      ...['--owner-key', one.pair.verkey, '--owner-key', gone, '--seed', '0'.repeat(31).concat('7'), '--anoncreds-workers', '1'],
      ...['--algod-url', devnet.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)],
      ...['--algorand-genesis-hash', devnet.genesisHash, '--store', `sqlite:${join(world.folder, 'headless.db')}`],
      ...['--egress-allow', '127.0.0.0/8'],
    ],
    (output) => {
      printed = output;
      return output.includes('the agent is ready');
    },
    { FLEXID_SPONSOR_MNEMONIC: devnet.sponsor.mnemonic },
  );
  world.defer(() => agent.stop());
  await agent.start();
  const lines = printed.split('\n').flatMap((line) => started(line) ?? []);
  assert.deepEqual(
    lines.map((line) => line.their_verkey),
    [one.pair.verkey, gone],
  );
  assert.equal(lines[0]!.my_endpoint, inbound);
  one.to = { verkey: lines[0]!.my_verkey, url: inbound };
  // its seed's DID is published while it runs
  await until(async () => (await one.ask(ADMIN('schemas', 'send-schema'), SCHEMA)).schema_id, 'a schema');
  const order = randomUUID();
  await one.send(ADMIN('schemas', 'send-schema'), { ...SCHEMA, schema_version: '2.0' }, order);
  await agent.kill();
  await agent.start();
  const reply = await one.answer(order);
  assert.equal(reply['@type'], ADMIN('schemas', 'schema-id'));
  const list = await one.ask(ADMIN('schemas', 'schema-get-list'));
  assert.equal(list.results.filter((schema: Body) => schema.schema_version === '2.0').length, 1);
  // events of the owner's own agent come by themselves
  const events = await one.events(
    ({ topic, payload }) => topic === 'owner_action' && payload.message_id === order && payload.state === 'done',
  );
  // an event may come twice after a kill
  const states = events
    .filter(({ topic, payload }) => topic === 'owner_action' && payload.message_id === order)
    .map((one) => one.payload.state);
  assert.deepEqual([...new Set(states)], ['requested', 'done']);
});

test('events go to the connection that a wallet names, of that wallet alone, as long as it is granted them', async () => {
  const instance = await world.start('instance', { flags: MULTITENANT });
  const [mine, other] = [await newTenant(instance, 'mine'), await newTenant(instance, 'other')];
  const one = createOwner();
  const record = await letIn({ post: mine.post, inbound: instance.inbound }, one, {
    grants: ['admin-connections', 'admin-issuer', 'agent-config'],
  });
  // another wallet's token does not reach it
  assert.equal((await other.call('PUT', `/connections/${record.connection_id}/grants`, { grants: [] })).status, 404);
  const url = `didcomm:${record.connection_id}`;
  const set = await instance.call('PUT', `/multitenancy/wallet/${mine.id}`, {
    wallet_webhook_urls: [url],
    wallet_dispatch_type: 'default',
  });
  assert.equal(set.status, 200, set.text);
  assert.equal((await instance.call('PUT', `/multitenancy/wallet/${mine.id}`, { wallet_webhook_urls: ['didcomm:x'] })).status, 422);
  await other.post('/out-of-band/create-invitation', { handshake_protocols: ['didexchange/1.1'], alias: 'theirs' });
  const made = await mine.post('/out-of-band/create-invitation', { handshake_protocols: ['didexchange/1.1'], alias: 'mine' });
  const events = await one.events(({ payload }) => payload.invi_msg_id === made.invi_msg_id);
  assert.ok(events.every(({ wallet_id }) => wallet_id === mine.id));
  assert.ok(events.every(({ payload }) => payload.alias !== 'theirs'));
  const [ofMine] = (await one.ask(ADMIN('connections', 'get-list'))).connections.filter(
    (c: Body) => c.connection_id === record.connection_id,
  );
  assert.ok(ofMine);
  // another wallet's connection is none here
  const theirs = (await other.post('/connections/create-static', { their_verkey: newKeyPair().verkey })).record.connection_id;
  const refused = await one.ask(ADMIN('issuer', 'send-credential'), {
    ...{ connection_id: theirs, cred_def_id: 'x', credential_proposal: { attributes: attributesOf(1) } },
  });
  assert.equal(refused.description.en, `Connection ${theirs} not found`);
  // what was taken away stays away
  await mine.call('PUT', `/connections/${record.connection_id}/grants`, { grants: ['admin-connections'] });
  const later = await mine.post('/out-of-band/create-invitation', { handshake_protocols: ['didexchange/1.1'], alias: 'later' });
  await until(() => instance.logged.some((line) => line.includes('an event has no receiver')), 'the warning');
  assert.ok((await one.fetch()).every(({ message }) => message.payload?.invi_msg_id !== later.invi_msg_id));
});
