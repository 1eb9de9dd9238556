import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anchor, type Body, createWorld, type TestAgent } from '../support/agents.ts';

/** Two agents of this build that speak the 2018 Agent Protocol to each other, driven by a controller of the modern protocols. */

const world = createWorld();
let faber: TestAgent;
let bob: TestAgent;
let ids: { issuer: string; holder: string };
let anchored: { did: string; schemaId: string; credDefId: string };

const AUTO = [
  ...['--preserve-exchange-records', '--auto-accept-requests', '--auto-accept-invites', '--auto-respond-credential-offer'],
  ...['--auto-respond-credential-request', '--auto-store-credential', '--auto-respond-presentation-request', '--auto-verify-presentation'],
];

before(async () => {
  const devnet = await world.devnet();
  faber = await world.start('faber', { devnet, sponsor: true, flags: AUTO });
  bob = await world.start('bob', { devnet, flags: AUTO });
  anchored = await anchor(faber, ['name', 'age']);
});
after(() => world.close());

test('offer, request, response and acknowledgement make the same connection record as every handshake', async () => {
  const made = await faber.post('/legacy/connections/offers', { alias: 'bob' });
  const got = await bob.post('/legacy/connections/receive-offer', { offer: made.offer });
  const active = (id: string) => (one: Body) => one.connection_id === id && one.state === 'active';
  await bob.event('connections', active(got.connection_id), 'the connection');
  await faber.event('connections', active(made.connection_id), 'the connection');
  assert.deepEqual(await faber.states('connections', made.connection_id), ['invitation', 'request', 'response', 'active']);
  assert.deepEqual(await bob.states('connections', got.connection_id), ['invitation', 'request', 'response', 'active']);
  const ours = await faber.get(`/connections/${made.connection_id}`);
  const theirs = await bob.get(`/connections/${got.connection_id}`);
  assert.equal(ours.my_did, theirs.their_did);
  assert.equal(ours.their_did, theirs.my_did);
  assert.equal(ours.rfc23_state, 'completed');
  ids = { issuer: made.connection_id, holder: got.connection_id };
});

test('a credential is issued and stored by the commands and webhooks of issue-credential 2.0', async () => {
  const sent = await faber.post('/issue-credential-2.0/send', {
    connection_id: ids.issuer,
    filter: { anoncreds: { cred_def_id: anchored.credDefId } },
    credential_preview: {
      attributes: [
        { name: 'name', value: 'Alice' },
        { name: 'age', value: '25' },
      ],
    },
  });
  await faber.event('issue_credential_v2_0', (one) => one.cred_ex_id === sent.cred_ex_id && one.state === 'done', 'the end');
  const { cred_ex_id, thread_id } = await bob.event('issue_credential_v2_0', (one) => one.state === 'done', 'the end');
  // the issuer's nonce, since nothing else of the exchange is known to both
  assert.match(thread_id, /^[0-9]+$/);
  assert.equal((await faber.get(`/issue-credential-2.0/records/${sent.cred_ex_id}`)).cred_ex_record.thread_id, thread_id);
  assert.deepEqual(await bob.states('issue_credential_v2_0', cred_ex_id), [
    'offer-received',
    'request-sent',
    'credential-received',
    'done',
  ]);
  const { results } = await bob.get('/credentials');
  assert.deepEqual(results[0].attrs, { name: 'Alice', age: '25' });
});

test('a proof is asked for, made and verified by those of present-proof 2.0', async () => {
  const sent = await faber.post('/present-proof-2.0/send-request', {
    connection_id: ids.issuer,
    presentation_request: {
      anoncreds: {
        requested_attributes: { name: { name: 'name', restrictions: [{ cred_def_id: anchored.credDefId }] } },
        requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{ cred_def_id: anchored.credDefId }] } },
      },
    },
  });
  const done = await faber.event('present_proof_v2_0', (one) => one.pres_ex_id === sent.pres_ex_id && one.state === 'done', 'the end');
  assert.equal(done.verified, 'true');
  const { thread_id } = await bob.event('present_proof_v2_0', (one) => one.state === 'done', 'the end');
  assert.deepEqual([done.thread_id, sent.thread_id], [thread_id, thread_id]);
});
