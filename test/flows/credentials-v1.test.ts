import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anchor, type Body, connect, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

/** Version 1 of issuing and proving (RFC 0036, RFC 0037), through the routes, records and topics of ACA-Py's plug-ins. */

const world = createWorld({ held: true });
let faber: TestAgent;
let bob: TestAgent;
let link: { inviter: string; invitee: string };
let anchored: { did: string; schemaId: string; credDefId: string };

before(async () => {
  const devnet = await world.devnet();
  faber = await world.start('faber', { devnet, sponsor: true, flags: ['--preserve-exchange-records', '--auto-accept-requests'] });
  bob = await world.start('bob', { devnet, flags: ['--preserve-exchange-records', '--debug-webhooks'] });
  anchored = await anchor(faber, ['name', 'age']);
  link = await connect(faber, bob);
});
after(() => world.close());

const ISSUE = 'issue_credential';
const PROVE = 'present_proof';
const preview = (name: string): Body => ({
  '@type': 'issue-credential/1.0/credential-preview',
  attributes: [
    { name: 'name', value: name },
    { name: 'age', value: '25' },
  ],
});
const inState = (state: string, thread: string) => (one: Body) => one.state === state && one.thread_id === thread;
const proofRequest = (): Body => ({
  name: 'v1',
  version: '1.0',
  requested_attributes: { shown: { name: 'name', restrictions: [{ cred_def_id: anchored.credDefId }] } },
  requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{ cred_def_id: anchored.credDefId }] } },
});

/** Issues by hand from an offer that was made; each side's record id. */
async function issue(offered: Body): Promise<{ issuer: string; holder: string }> {
  const thread = offered.thread_id;
  const got = await bob.event(ISSUE, inState('offer_received', thread), 'the offer');
  const holder = got.credential_exchange_id;
  const issuer = offered.credential_exchange_id;
  const requested = await bob.post(`/issue-credential/records/${holder}/send-request`);
  assert.equal(requested.state, 'request_sent');
  await faber.event(ISSUE, inState('request_received', thread), 'the request');
  const issued = await faber.post(`/issue-credential/records/${issuer}/issue`, { comment: 'here you are' });
  assert.equal(issued.state, 'credential_issued');
  await bob.event(ISSUE, inState('credential_received', thread), 'the credential');
  const stored = await bob.post(`/issue-credential/records/${holder}/store`, {});
  assert.equal(stored.state, 'credential_acked');
  await faber.event(ISSUE, inState('credential_acked', thread), 'the ack');
  return { issuer, holder };
}

test('issuing by hand: the record holds messages and objects under their names of version 1, and webhooks are terse or whole', async () => {
  const offered = await faber.post('/issue-credential/send-offer', {
    connection_id: link.inviter,
    cred_def_id: anchored.credDefId,
    credential_preview: preview('Manual'),
    comment: 'an offer',
  });
  assert.deepEqual([offered.state, offered.role, offered.initiator, offered.auto_issue], ['offer_sent', 'issuer', 'self', false]);
  assert.equal(offered.credential_offer_dict['offers~attach'][0]['@id'], 'libindy-cred-offer-0');
  const ids = await issue(offered);
  assert.deepEqual(await faber.states(ISSUE, ids.issuer), ['offer_sent', 'request_received', 'credential_issued', 'credential_acked']);
  await bob.event(ISSUE, (one) => one.credential_exchange_id === ids.holder && one.state === 'credential_acked', 'the end');
  assert.deepEqual(await bob.states(ISSUE, ids.holder), ['offer_received', 'request_sent', 'credential_received', 'credential_acked']);

  const record = await bob.get(`/issue-credential/records/${ids.holder}`);
  assert.deepEqual([record.credential_definition_id, record.schema_id], [anchored.credDefId, anchored.schemaId]);
  assert.equal(record.credential_proposal_dict.credential_proposal.attributes[0].value, 'Manual');
  assert.ok(record.credential_offer.nonce && record.credential_request.nonce && record.raw_credential.signature);
  assert.equal(record.credential_request_metadata, undefined);
  assert.equal(record.credential.referent, record.credential_id);
  assert.deepEqual(record.credential.attrs, { name: 'Manual', age: '25' });
  assert.deepEqual((await bob.get(`/credential/${record.credential_id}`)).attrs, { name: 'Manual', age: '25' });
  const listed = await bob.get(`/issue-credential/records?thread_id=${record.thread_id}&role=holder&state=credential_acked`);
  assert.deepEqual(
    listed.results.map((one: Body) => one.credential_exchange_id),
    [ids.holder],
  );
  assert.deepEqual((await bob.get(`/issue-credential-2.0/records?thread_id=${record.thread_id}`)).results, []);

  const notified = (agent: TestAgent, id: string): Body[] =>
    agent.hooks.list.filter((hook) => hook.payload.credential_exchange_id === id).map((hook) => hook.payload);
  assert.ok(notified(faber, ids.issuer).every((one) => one.credential_offer === undefined && one.credential_definition_id));
  assert.ok(notified(bob, ids.holder).every((one) => one.credential_offer && one.credential_offer_dict));
});

test('issuing from a proposal, with and without a counter-proposal, on one record and one thread', async () => {
  for (const counter_proposal of [undefined, { cred_def_id: anchored.credDefId, credential_proposal: preview('Counter') }]) {
    const proposed = await bob.post('/issue-credential/send-proposal', {
      connection_id: link.invitee,
      cred_def_id: anchored.credDefId,
      credential_proposal: preview('Proposer'),
      comment: 'please',
    });
    assert.deepEqual([proposed.state, proposed.role], ['proposal_sent', 'holder']);
    const got = await faber.event(ISSUE, inState('proposal_received', proposed.thread_id), 'the proposal');
    const offered = await faber.post(`/issue-credential/records/${got.credential_exchange_id}/send-offer`, { counter_proposal });
    assert.deepEqual([offered.state, offered.thread_id], ['offer_sent', proposed.thread_id]);
    const ids = await issue(offered);
    assert.equal(ids.holder, proposed.credential_exchange_id);
    const { credential, credential_proposal_dict } = await bob.get(`/issue-credential/records/${ids.holder}`);
    const name = counter_proposal ? 'Counter' : 'Proposer';
    assert.deepEqual([credential.attrs.name, credential_proposal_dict.credential_proposal.attributes[0].value], [name, name]);
    const kept = await faber.get(`/issue-credential/records/${ids.issuer}`);
    assert.equal(kept.credential_proposal_dict.credential_proposal.attributes[0].value, name);
  }
});

test('proving by hand: the fitting credentials are listed, what is chosen is shown', async () => {
  const asked = await faber.post('/present-proof/send-request', { connection_id: link.inviter, proof_request: proofRequest() });
  assert.deepEqual([asked.state, asked.role], ['request_sent', 'verifier']);
  const got = await bob.event(PROVE, inState('request_received', asked.thread_id), 'the request');
  const id = got.presentation_exchange_id;
  const [fitting] = await bob.get(`/present-proof/records/${id}/credentials`);
  assert.deepEqual(fitting.presentation_referents.sort(), ['adult', 'shown']);
  const cred_id = fitting.cred_info.referent;
  const choice = (cred: string): Body => ({
    requested_attributes: { shown: { cred_id: cred, revealed: true } },
    requested_predicates: { adult: { cred_id: cred } },
    self_attested_attributes: {},
  });
  const wrong = await bob.call('POST', `/present-proof/records/${id}/send-presentation`, choice('nothing'));
  assert.deepEqual([wrong.status, (await bob.get(`/present-proof/records/${id}`)).state], [400, 'request_received']);
  const presented = await bob.post(`/present-proof/records/${id}/send-presentation`, choice(cred_id));
  assert.equal(presented.state, 'presentation_sent');
  await faber.event(PROVE, inState('presentation_received', asked.thread_id), 'the presentation');
  const verified = await faber.post(`/present-proof/records/${asked.presentation_exchange_id}/verify-presentation`);
  assert.deepEqual([verified.state, verified.verified], ['verified', 'true']);
  assert.ok(verified.presentation.requested_proof.revealed_attrs.shown.raw);
  const acked = await bob.event(PROVE, inState('presentation_acked', asked.thread_id), 'the ack');
  assert.equal(acked.verified, 'true');
  assert.deepEqual(await faber.states(PROVE, asked.presentation_exchange_id), ['request_sent', 'presentation_received', 'verified']);
  assert.deepEqual(await bob.states(PROVE, id), ['request_received', 'presentation_sent', 'presentation_acked']);
});

test('proving from a proposal: what is asked follows from the preview, and another value than the proposed one ends the exchange', async () => {
  for (const [value, end] of [
    [undefined, 'verified'],
    ['Somebody else', 'abandoned'],
  ] as const) {
    const proposed = await bob.post('/present-proof/send-proposal', {
      connection_id: link.invitee,
      presentation_proposal: {
        attributes: [{ name: 'name', cred_def_id: anchored.credDefId, ...(value && { value }) }],
        predicates: [{ name: 'age', cred_def_id: anchored.credDefId, predicate: '>=', threshold: 21 }],
      },
      auto_present: true,
    });
    const got = await faber.event(PROVE, inState('proposal_received', proposed.thread_id), 'the proposal');
    const asked = await faber.post(`/present-proof/records/${got.presentation_exchange_id}/send-request`, { auto_verify: true });
    assert.deepEqual(Object.values(asked.presentation_request.requested_predicates), [
      { name: 'age', p_type: '>=', p_value: 21, restrictions: [{ cred_def_id: anchored.credDefId }] },
    ]);
    const done = await faber.event(PROVE, inState(end, proposed.thread_id), 'the end');
    assert.equal(done.presentation_exchange_id, got.presentation_exchange_id);
    if (value) assert.match(done.error_msg, /mismatches proposal/);
    await bob.event(PROVE, inState(value ? 'abandoned' : 'presentation_acked', proposed.thread_id), 'the end at the prover');
  }
});

test('a proposed group of one credential is requested and shown of that credential, also where a newer one would do', async () => {
  for (const name of ['Proposed', 'Newer'])
    await issue(
      await faber.post('/issue-credential/send-offer', {
        connection_id: link.inviter,
        cred_def_id: anchored.credDefId,
        credential_preview: preview(name),
      }),
    );
  const [cred_def_id, referent] = [anchored.credDefId, 'both'];
  const proposed = await bob.post('/present-proof/send-proposal', {
    connection_id: link.invitee,
    presentation_proposal: {
      attributes: [
        { name: 'name', cred_def_id, referent, value: 'Proposed' },
        { name: 'age', cred_def_id, referent, value: '25' },
        { name: 'mood', value: 'good' },
      ],
      predicates: [{ name: 'age', cred_def_id, predicate: '>=', threshold: 21 }],
    },
    auto_present: true,
  });
  const got = await faber.event(PROVE, inState('proposal_received', proposed.thread_id), 'the proposal');
  await faber.post(`/present-proof/records/${got.presentation_exchange_id}/send-request`, { auto_verify: true });
  const done = (one: Body): boolean => one.thread_id === proposed.thread_id && ['verified', 'abandoned'].includes(one.state);
  const end = await faber.event(PROVE, done, 'the end');
  assert.deepEqual([end.state, end.verified], ['verified', 'true'], end.error_msg);
  const { presentation } = await faber.get(`/present-proof/records/${got.presentation_exchange_id}`);
  assert.equal(presentation.requested_proof.revealed_attr_groups.both.values.name.raw, 'Proposed');
  assert.deepEqual(Object.values(presentation.requested_proof.self_attested_attrs), ['good']);
  // its age is shown and compared, which takes two proofs of the one credential
  assert.equal(presentation.identifiers.length, 2);
});

test('an attachment of version 1 reaches the peer once the connection is complete', async () => {
  const made = await faber.post('/issue-credential/create', { cred_def_id: anchored.credDefId, credential_proposal: preview('Attached') });
  assert.deepEqual([made.state, made.connection_id, made.auto_issue], ['offer_sent', undefined, true]);
  const offer = await faber.post('/issue-credential/create-offer', {
    cred_def_id: anchored.credDefId,
    credential_preview: preview('Free'),
  });
  assert.deepEqual([offer.state, offer.auto_issue], ['offer_sent', false]);
  const request = await faber.post('/present-proof/create-request', { proof_request: proofRequest() });
  const invitation = await faber.post('/out-of-band/create-invitation?auto_accept=true', {
    ...HANDSHAKE,
    attachments: [
      { id: made.credential_exchange_id, type: 'credential-offer' },
      { id: request.presentation_exchange_id, type: 'present-proof' },
    ],
  });
  const received = await bob.post('/out-of-band/receive-invitation?auto_accept=true', invitation.invitation);
  const here = (state: string) => (one: Body) => one.state === state && one.connection_id === received.connection_id;
  const got = await bob.event(ISSUE, here('offer_received'), 'the attached offer');
  await bob.event(PROVE, here('request_received'), 'the attached request');
  assert.equal(got.parent_thread_id, invitation.invi_msg_id);
  await bob.post(`/issue-credential/records/${got.credential_exchange_id}/send-request`);
  await bob.event(ISSUE, here('credential_received'), 'the credential, issued by itself');
});

test('a wrong state, a problem report, deletion: each is answered as such', async () => {
  const offered = await faber.post('/issue-credential/send-offer', {
    connection_id: link.inviter,
    cred_def_id: anchored.credDefId,
    credential_preview: preview('Problem'),
  });
  const got = await bob.event(ISSUE, inState('offer_received', offered.thread_id), 'the offer');
  const early = await bob.call('POST', `/issue-credential/records/${got.credential_exchange_id}/store`, {});
  assert.equal(early.status, 400);
  assert.match(early.text, /Credential exchange .* in offer_received state \(must be credential_received\)/);
  const role = await faber.call('POST', `/issue-credential/records/${offered.credential_exchange_id}/send-request`, {});
  assert.equal(role.status, 400);
  assert.deepEqual(
    await bob.post(`/issue-credential/records/${got.credential_exchange_id}/problem-report`, { description: 'I changed my mind' }),
    {},
  );
  const received = await faber.event(ISSUE, inState('abandoned', offered.thread_id), 'the problem');
  assert.equal(received.error_msg, 'issuance-abandoned: I changed my mind');
  const one = `/issue-credential/records/${got.credential_exchange_id}`;
  assert.equal((await bob.call('DELETE', one)).status, 200);
  const gone = await bob.call('GET', one);
  assert.equal(gone.status, 404);
  assert.match(gone.text, /credential_exchange_v10/);

  const asked = await faber.post('/present-proof/send-request', { connection_id: link.inviter, proof_request: proofRequest() });
  const proving = await bob.event(PROVE, inState('request_received', asked.thread_id), 'the request');
  const wrong = await bob.call('POST', `/present-proof/records/${proving.presentation_exchange_id}/verify-presentation`, {});
  assert.equal(wrong.status, 400);
  await bob.post(`/present-proof/records/${proving.presentation_exchange_id}/problem-report`, { description: 'not to you' });
  assert.match((await faber.event(PROVE, inState('abandoned', asked.thread_id), 'the problem')).error_msg, /not to you/);
  assert.equal((await faber.call('DELETE', `/present-proof/records/${asked.presentation_exchange_id}`)).status, 200);
  for (const [path, body, status] of [
    ['/issue-credential/send-offer', { connection_id: link.inviter, credential_preview: preview('x') }, 422],
    ['/issue-credential/send', { connection_id: 'nobody', credential_proposal: preview('x') }, 404],
    ['/issue-credential/create-offer', { cred_def_id: 'nowhere', credential_preview: preview('x') }, 400],
    ['/present-proof/send-proposal', { connection_id: link.inviter, presentation_proposal: {} }, 422],
  ] as const)
    assert.equal((await faber.call('POST', path, body)).status, status, path);
});

test('a message that is repeated has one effect; one out of order and one of a stranger have none', async () => {
  const [stranger, other] = [await startStranger(), await startStranger()];
  world.defer(stranger.close);
  world.defer(other.close);
  const peer = await connectStranger(bob, stranger);
  const elsewhere = await connectStranger(bob, other);
  const offer = message('issue-credential/1.0/offer-credential', {
    credential_preview: preview('Replay'),
    'offers~attach': [{ '@id': 'libindy-cred-offer-0', data: { json: { cred_def_id: anchored.credDefId, schema_id: anchored.schemaId } } }],
  });
  const records = async (): Promise<Body[]> => (await bob.get(`/issue-credential/records?thread_id=${offer['@id']}`)).results;
  await peer.send(offer);
  await peer.send(offer);
  assert.deepEqual(
    (await records()).map((one) => one.state),
    ['offer_received'],
  );
  const early = message('issue-credential/1.0/issue-credential', {
    '~thread': { thid: offer['@id'] },
    'credentials~attach': [{ data: { json: {} } }],
  });
  await peer.send(early);
  const report = await stranger.inbox.first((mail) => mail.message['~thread']?.thid === offer['@id'], 'the report');
  assert.equal(report.message['@type'], 'https://didcomm.org/issue-credential/1.0/problem-report');
  // another peer names the thread, and a version that is not the exchange's
  await elsewhere.send({ ...early, '@id': 'elsewhere' });
  await peer.send(
    message('issue-credential/2.0/issue-credential', {
      '~thread': { thid: offer['@id'] },
      formats: [{ attach_id: 'a', format: 'hlindy/cred@v2.0' }],
    }),
  );
  assert.deepEqual(
    (await records()).map((one) => one.state),
    ['offer_received'],
  );
  const damaged = message('issue-credential/1.0/offer-credential', { 'offers~attach': [{ data: { base64: '!' } }] });
  assert.ok((await peer.send(damaged)).status < 300);
  await stranger.inbox.first((mail) => mail.message['~thread']?.thid === damaged['@id'], 'the refusal');
});

test('a request that is none, and an attachment that stands alone, are answered as such by both versions', async () => {
  const stranger = await startStranger();
  world.defer(stranger.close);
  const peer = await connectStranger(bob, stranger);
  const format = { attach_id: 'a', format: 'hlindy/proof-req@v2.0' };
  for (const [version, id, member] of [
    ['1.0', 'presentation_exchange_id', '/present-proof'],
    ['2.0', 'pres_ex_id', '/present-proof-2.0'],
  ] as const) {
    for (const request of [{}, { requested_attributes: { a: null }, requested_predicates: {} }]) {
      const asked = message(`present-proof/${version}/request-presentation`, {
        formats: [format],
        'request_presentations~attach': { '@id': 'a', data: { json: request } },
      });
      assert.ok((await peer.send(asked)).status < 300);
      const { results } = await bob.get(`${member}/records?thread_id=${asked['@id']}`);
      assert.equal(results[0]?.state.replace('_', '-'), 'request-received');
      const fitting = await bob.call('GET', `${member}/records/${results[0][id]}/credentials`);
      assert.equal(fitting.status, 400, fitting.text);
    }
  }
  assert.deepEqual(
    bob.logged.filter((line) => line.includes('"level":"error"')),
    [],
  );
});

test('names that every object has are no kind of attachment and no state', async () => {
  const attachments = [{ id: 'x', type: 'constructor' }];
  assert.equal((await faber.call('POST', '/out-of-band/create-invitation', { ...HANDSHAKE, attachments })).status, 400);
  for (const path of ['/connections?state=constructor', '/issue-credential/records?state=__proto__'])
    assert.equal((await faber.call('GET', path)).status, 422, path);
  assert.deepEqual((await faber.get('/connections?their_role=toString')).results, []);
});

test('by the auto flags both versions’ exchanges run by themselves, and done records go', async () => {
  const devnet = await world.devnet();
  const issuer = await world.start('issuer', {
    devnet,
    sponsor: true,
    flags: ['--auto-respond-credential-proposal', '--auto-respond-credential-request', '--auto-verify-presentation'].concat(
      '--auto-respond-presentation-proposal',
    ),
  });
  const holder = await world.start('holder', {
    devnet,
    flags: ['--auto-respond-credential-offer', '--auto-store-credential', '--auto-respond-presentation-request'],
  });
  const { credDefId } = await anchor(issuer, ['name', 'age']);
  const own = await connect(issuer, holder);
  for (const [agent, body] of [
    [issuer, { connection_id: own.inviter, path: 'send' }],
    [holder, { connection_id: own.invitee, path: 'send-proposal' }],
  ] as const) {
    const { path, connection_id } = body;
    const sent = await agent.post(`/issue-credential/${path}`, {
      connection_id,
      cred_def_id: credDefId,
      credential_proposal: preview('Auto'),
    });
    for (const side of [issuer, holder]) {
      await side.event(ISSUE, inState('credential_acked', sent.thread_id), 'the end');
      await side.event(ISSUE, inState('deleted', sent.thread_id), 'the deletion');
    }
  }
  assert.equal((await holder.get('/credentials')).results.length, 2);
  const asked = await issuer.post('/present-proof/send-request', {
    connection_id: own.inviter,
    proof_request: { ...proofRequest(), requested_attributes: { shown: { name: 'name' } }, requested_predicates: {} },
  });
  assert.equal((await issuer.event(PROVE, inState('verified', asked.thread_id), 'the proof')).verified, 'true');
  const proposed = await holder.post('/present-proof/send-proposal', {
    connection_id: own.invitee,
    presentation_proposal: { attributes: [{ name: 'name', cred_def_id: credDefId, referent: 'a' }], predicates: [] },
  });
  await holder.event(PROVE, inState('presentation_acked', proposed.thread_id), 'the proof of the proposal');
  await issuer.event(PROVE, inState('deleted', proposed.thread_id), 'the deletion');
  assert.deepEqual((await issuer.get('/present-proof/records')).results, []);
});
