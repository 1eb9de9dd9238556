import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anchor, type Body, connect, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';

const world = createWorld({ held: true });
let faber: TestAgent;
let bob: TestAgent;
let acme: TestAgent;
/** Connection ids: faber's and bob's of one connection, acme's and bob's of the other. */
let issuing: { inviter: string; invitee: string };
let proving: { inviter: string; invitee: string };
let anchored: { did: string; schemaId: string; credDefId: string };

before(async () => {
  const devnet = await world.devnet();
  faber = await world.start('faber', {
    devnet,
    sponsor: true,
    flags: ['--preserve-exchange-records', '--public-invites', '--auto-accept-requests'],
  });
  bob = await world.start('bob', { devnet, flags: ['--preserve-exchange-records', '--debug-webhooks'] });
  acme = await world.start('acme', { devnet, flags: ['--preserve-exchange-records'] });
  anchored = await anchor(faber, ['name', 'age']);
  issuing = await connect(faber, bob);
  proving = await connect(acme, bob);
});
after(() => world.close());

const ISSUE = 'issue_credential_v2_0';
/** Of wallets of the AnonCreds family, whatever format is issued. */
const DETAIL = `${ISSUE}_anoncreds`;
const asTold = ({ cred_ex_indy_id: id, ...rest }: Body, format: string): Body =>
  format === 'indy' ? { ...rest, cred_ex_anoncreds_id: id } : rest;
const PROVE = 'present_proof_v2_0';
const preview = (name: string, age: string): Body => ({
  '@type': 'issue-credential/2.0/credential-preview',
  attributes: [
    { name: 'name', value: name },
    { name: 'age', value: age },
  ],
});
const offerBody = (format: string, name: string, more: object = {}): Body => ({
  connection_id: issuing.inviter,
  filter: { [format]: { cred_def_id: anchored.credDefId } },
  credential_preview: preview(name, '25'),
  ...more,
});
const inState = (state: string, thread: string) => (one: Body) => one.state === state && one.thread_id === thread;

/** Issues by hand, step by step; each side's record id. */
async function issue(format: string, offered: Body): Promise<{ issuer: string; holder: string }> {
  const thread = offered.thread_id;
  const got = await bob.event(ISSUE, inState('offer-received', thread), 'the offer');
  const requested = await bob.post(`/issue-credential-2.0/records/${got.cred_ex_id}/send-request`);
  assert.equal(requested.state, 'request-sent');
  await faber.event(ISSUE, inState('request-received', thread), 'the request');
  const issued = await faber.post(`/issue-credential-2.0/records/${offered.cred_ex_id}/issue`, { comment: 'here you are' });
  assert.equal(issued.cred_ex_record.state, 'credential-issued');
  assert.equal(issued[format].cred_ex_id, offered.cred_ex_id);
  const kept = await faber.event(DETAIL, (one) => one.cred_ex_id === offered.cred_ex_id, "the issuer's detail webhook");
  assert.deepEqual(kept, asTold(issued[format], format));
  await bob.event(ISSUE, inState('credential-received', thread), 'the credential');
  const stored = await bob.post(`/issue-credential-2.0/records/${got.cred_ex_id}/store`, {});
  assert.equal(stored.cred_ex_record.state, 'done');
  await faber.event(ISSUE, inState('done', thread), 'the ack');
  const ofHolder = (one: Body): boolean => one.cred_ex_id === got.cred_ex_id;
  const first = await bob.event(DETAIL, ofHolder, 'the detail webhook of the request');
  const detail = await bob.event(DETAIL, (one) => ofHolder(one) && one.cred_id_stored, 'the detail webhook');
  const member = 'cred_ex_anoncreds_id';
  assert.deepEqual([first.cred_id_stored, first[member], first.cred_request_metadata], [undefined, detail[member], undefined]);
  assert.equal(detail.cred_id_stored, stored[format].cred_id_stored);
  return { issuer: offered.cred_ex_id, holder: got.cred_ex_id };
}

for (const format of ['anoncreds', 'indy']) {
  test(`issuing in the ${format} format by hand: every state and webhook in order, terse or whole, and the detail record`, async () => {
    const offered = await faber.post('/issue-credential-2.0/send-offer', offerBody(format, `Manual ${format}`, { comment: 'an offer' }));
    assert.deepEqual([offered.state, offered.role, offered.initiator], ['offer-sent', 'issuer', 'self']);
    const ids = await issue(format, offered);
    assert.deepEqual(await faber.states(ISSUE, ids.issuer), ['offer-sent', 'request-received', 'credential-issued', 'done']);
    await bob.event(ISSUE, (one) => one.cred_ex_id === ids.holder && one.state === 'done', 'the end');
    assert.deepEqual(await bob.states(ISSUE, ids.holder), ['offer-received', 'request-sent', 'credential-received', 'done']);

    const detail = await bob.get(`/issue-credential-2.0/records/${ids.holder}`);
    const kept = detail[format];
    assert.equal(detail[format === 'indy' ? 'anoncreds' : 'indy'], null);
    assert.equal(kept.cred_ex_id, ids.holder);
    const { attrs, cred_def_id, schema_id } = await bob.get(`/credential/${kept.cred_id_stored}`);
    assert.deepEqual([attrs, cred_def_id, schema_id], [{ name: `Manual ${format}`, age: '25' }, anchored.credDefId, anchored.schemaId]);
    const { by_format } = detail.cred_ex_record;
    assert.deepEqual(Object.keys(by_format).sort(), ['cred_issue', 'cred_offer', 'cred_request']);
    assert.ok(by_format.cred_offer[format] && by_format.cred_request[format] && by_format.cred_issue[format]);

    const terse = faber.hooks.list.filter((hook) => hook.payload.cred_ex_id === ids.issuer);
    assert.ok(terse.length > 0 && terse.every((hook) => hook.payload.by_format === undefined && hook.payload.cred_offer === undefined));
    const whole = bob.hooks.list.filter((hook) => hook.topic === ISSUE && hook.payload.cred_ex_id === ids.holder);
    assert.ok(whole.every((hook) => hook.payload.by_format?.cred_offer?.[format] && hook.payload.cred_offer));
  });
}

test('issuing from the holder’s proposal: the offer is bound to it and to its thread', async () => {
  const proposed = await bob.post('/issue-credential-2.0/send-proposal', {
    connection_id: issuing.invitee,
    filter: { anoncreds: { cred_def_id: anchored.credDefId } },
    credential_preview: preview('Proposer', '30'),
    comment: 'please',
  });
  assert.equal(proposed.state, 'proposal-sent');
  const got = await faber.event(ISSUE, inState('proposal-received', proposed.thread_id), 'the proposal');
  const offered = await faber.post(`/issue-credential-2.0/records/${got.cred_ex_id}/send-offer`, {});
  assert.deepEqual([offered.state, offered.thread_id, offered.cred_ex_id], ['offer-sent', proposed.thread_id, got.cred_ex_id]);
  const ids = await issue('anoncreds', offered);
  assert.equal(ids.holder, proposed.cred_ex_id, 'one record, from the proposal to the end');
  assert.deepEqual((await bob.states(ISSUE, ids.holder)).slice(0, 2), ['proposal-sent', 'offer-received']);
  assert.deepEqual(await faber.states(ISSUE, ids.issuer), [
    'proposal-received',
    'offer-sent',
    'request-received',
    'credential-issued',
    'done',
  ]);
});

test('the look of a credential goes with its offer, signed by its issuer, and the holder has it', async () => {
  const cred_def_id = anchored.credDefId;
  const labels = { name: 'Nom', age: 'Âge' };
  const bundle = {
    capture_base: { type: 'spec/capture_base/1.0', attributes: { name: 'Text', age: 'Numeric' } },
    overlays: [
      { type: 'spec/overlays/label/1.0', language: 'fr', attribute_labels: labels },
      { type: 'aries/overlays/branding/1.0', primary_background_color: '#003366', logo: 'https://evil.example/logo.png' },
    ],
  };
  const given = await faber.post('/oca-bundles', { cred_def_id, bundle });
  assert.deepEqual(given.look, { names: {}, labels: { fr: labels }, primary_background_color: '#003366' });
  const offered = await faber.post('/issue-credential-2.0/send-offer', offerBody('anoncreds', 'Ada'));
  const got = await bob.event(ISSUE, inState('offer-received', offered.thread_id), 'the offer');
  assert.deepEqual(got.cred_offer.supplements, [{ type: 'oca-bundle', ref: 'oca-bundle' }]);
  const { jws } = got.cred_offer['~attach'][0].data;
  const head = JSON.parse(Buffer.from(jws.protected, 'base64url').toString());
  assert.deepEqual([head.cred_def_id, Math.floor(head.iat)], [cred_def_id, Math.floor(Date.parse(given.updated_at) / 1000)]);
  const kept = await bob.event('oca_bundle', (one) => one.cred_def_id === cred_def_id, 'the look');
  assert.deepEqual([kept.role, kept.issuer_id], ['holder', anchored.did]);
  assert.deepEqual((await bob.get(`/oca-bundles/${kept.oca_bundle_id}`)).look, given.look);
  assert.equal((await faber.call('DELETE', `/oca-bundles/${given.oca_bundle_id}`)).status, 200);
  const plain = await faber.post('/issue-credential-2.0/send-offer', offerBody('anoncreds', 'Ada'));
  assert.ok(!('supplements' in plain.cred_offer));
});

test('an offer that cannot be made is an error of the call and leaves no record', async () => {
  const before = (await faber.get('/issue-credential-2.0/records?limit=1000')).results.length;
  for (const [body, status, text] of [
    [{ ...offerBody('anoncreds', 'x'), credential_preview: { attributes: [{ name: 'other', value: '1' }] } }, 400, /mismatch/],
    [{ ...offerBody('anoncreds', 'x'), filter: { anoncreds: { cred_def_id: 'nowhere' } } }, 400, /No issuable credential definition/],
    [{ ...offerBody('anoncreds', 'x'), filter: {} }, 422, /filter/],
    [{ ...offerBody('anoncreds', 'x'), filter: { ld_proof: {} } }, 501, /not supported/],
  ] as const) {
    const answer = await faber.call('POST', '/issue-credential-2.0/send-offer', body);
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.text, text);
  }
  assert.equal((await faber.get('/issue-credential-2.0/records?limit=1000')).results.length, before);
});

test('a problem report of the holder abandons both records, and so does one of the issuer', async () => {
  for (const reporter of [bob, faber]) {
    const offered = await faber.post('/issue-credential-2.0/send-offer', offerBody('anoncreds', 'Problem'));
    const got = await bob.event(ISSUE, inState('offer-received', offered.thread_id), 'the offer');
    const [own, other, otherId] =
      reporter === bob ? [got.cred_ex_id, faber, offered.cred_ex_id] : [offered.cred_ex_id, bob, got.cred_ex_id];
    assert.deepEqual(await reporter.post(`/issue-credential-2.0/records/${own}/problem-report`, { description: 'I changed my mind' }), {});
    const received = await other.event(ISSUE, (one) => one.cred_ex_id === otherId && one.state === 'abandoned', 'the problem');
    assert.equal(received.error_msg, 'issuance-abandoned: I changed my mind');
    const kept = (await reporter.get(`/issue-credential-2.0/records/${own}`)).cred_ex_record;
    assert.deepEqual([kept.state, kept.error_msg], ['abandoned', 'created problem report: I changed my mind']);
    const late = await bob.call('POST', `/issue-credential-2.0/records/${got.cred_ex_id}/send-request`, {});
    assert.equal(late.status, 400);
    assert.match(late.text, /abandoned/);
  }
});

test('auto_remove takes the record away when it is done, after its last webhooks; the credential stays', async () => {
  const offered = await faber.post('/issue-credential-2.0/send-offer', offerBody('anoncreds', 'Removed', { auto_remove: true }));
  const got = await bob.event(ISSUE, inState('offer-received', offered.thread_id), 'the offer');
  await bob.post(`/issue-credential-2.0/records/${got.cred_ex_id}/send-request`, { auto_remove: true });
  await faber.event(ISSUE, inState('request-received', offered.thread_id), 'the request');
  await faber.post(`/issue-credential-2.0/records/${offered.cred_ex_id}/issue`, {});
  await bob.event(ISSUE, inState('credential-received', offered.thread_id), 'the credential');
  const stored = await bob.post(`/issue-credential-2.0/records/${got.cred_ex_id}/store`, { credential_id: 'my-own-id' });
  assert.equal(stored.cred_ex_record.state, 'done', 'the call that ends it still answers with the record');
  await faber.event(ISSUE, inState('deleted', offered.thread_id), 'the deletion');
  await bob.event(ISSUE, inState('deleted', offered.thread_id), 'the deletion');
  assert.deepEqual((await faber.states(ISSUE, offered.cred_ex_id)).slice(-2), ['done', 'deleted']);
  assert.equal((await faber.call('GET', `/issue-credential-2.0/records/${offered.cred_ex_id}`)).status, 404);
  assert.equal((await bob.call('GET', `/issue-credential-2.0/records/${got.cred_ex_id}`)).status, 404);
  assert.equal((await bob.get('/credential/my-own-id')).attrs.name, 'Removed');
});

const proofRequest = (more: object = {}): Body => ({
  name: 'proof',
  version: '1.0',
  requested_attributes: { shown: { name: 'name', restrictions: [{ cred_def_id: anchored.credDefId }] } },
  requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{ schema_id: anchored.schemaId }] } },
  ...more,
});

for (const format of ['anoncreds', 'indy']) {
  test(`proving in the ${format} format by hand: the fitting credentials are listed, what is chosen is shown, each state is told`, async () => {
    const request = proofRequest({
      requested_attributes: {
        shown: { name: 'name', restrictions: [{ cred_def_id: anchored.credDefId }] },
        hidden: { name: 'age', restrictions: [{ issuer_did: anchored.did }] },
        said: { name: 'nickname' },
      },
    });
    const asked = await acme.post('/present-proof-2.0/send-request', {
      connection_id: proving.inviter,
      presentation_request: { [format]: request },
    });
    assert.deepEqual([asked.state, asked.role], ['request-sent', 'verifier']);
    const got = await bob.event(PROVE, inState('request-received', asked.thread_id), 'the request');
    const fitting = await bob.get(`/present-proof-2.0/records/${got.pres_ex_id}/credentials`);
    const chosen = fitting.find((one: Body) => one.cred_info.attrs.name === 'Manual anoncreds');
    assert.deepEqual(chosen.presentation_referents.sort(), ['adult', 'hidden', 'shown']);
    const only = await bob.get(`/present-proof-2.0/records/${got.pres_ex_id}/credentials?referent=adult&limit=1`);
    assert.deepEqual([only.length, only[0].presentation_referents], [1, ['adult']]);
    const cred_id = chosen.cred_info.referent;
    const presented = await bob.post(`/present-proof-2.0/records/${got.pres_ex_id}/send-presentation`, {
      [format]: {
        requested_attributes: { shown: { cred_id, revealed: true }, hidden: { cred_id, revealed: false } },
        requested_predicates: { adult: { cred_id } },
        self_attested_attributes: { said: 'Manny' },
      },
    });
    assert.equal(presented.state, 'presentation-sent');
    await acme.event(PROVE, inState('presentation-received', asked.thread_id), 'the presentation');
    const verified = await acme.post(`/present-proof-2.0/records/${asked.pres_ex_id}/verify-presentation`);
    assert.deepEqual([verified.state, verified.verified], ['done', 'true']);
    const proof = verified.by_format.pres[format].requested_proof;
    assert.equal(proof.revealed_attrs.shown.raw, 'Manual anoncreds');
    assert.deepEqual(
      [proof.self_attested_attrs, Object.keys(proof.unrevealed_attrs), Object.keys(proof.predicates)],
      [{ said: 'Manny' }, ['hidden'], ['adult']],
    );
    const done = await bob.event(PROVE, inState('done', asked.thread_id), 'the ack');
    assert.equal(done.verified, 'true');
    assert.deepEqual(await acme.states(PROVE, asked.pres_ex_id), ['request-sent', 'presentation-received', 'done']);
    assert.deepEqual(await bob.states(PROVE, got.pres_ex_id), ['request-received', 'presentation-sent', 'done']);
  });
}

test('proving from the prover’s own proposal, on one record and one thread', async () => {
  const proposed = await bob.post('/present-proof-2.0/send-proposal', {
    connection_id: proving.invitee,
    presentation_proposal: { anoncreds: proofRequest() },
    auto_present: true,
  });
  assert.equal(proposed.state, 'proposal-sent');
  const got = await acme.event(PROVE, inState('proposal-received', proposed.thread_id), 'the proposal');
  const asked = await acme.post(`/present-proof-2.0/records/${got.pres_ex_id}/send-request`, { auto_verify: true });
  assert.equal(asked.state, 'request-sent');
  const done = await acme.event(PROVE, inState('done', proposed.thread_id), 'the end');
  assert.deepEqual([done.pres_ex_id, done.verified], [got.pres_ex_id, 'true']);
  await bob.event(PROVE, (one) => one.pres_ex_id === proposed.pres_ex_id && one.state === 'done', 'the end');
  assert.deepEqual(await bob.states(PROVE, proposed.pres_ex_id), ['proposal-sent', 'request-received', 'presentation-sent', 'done']);
});

test('a choice of credentials that does not work is an error of the call, and the controller may choose again', async () => {
  const asked = await acme.post('/present-proof-2.0/send-request', {
    connection_id: proving.inviter,
    presentation_request: { anoncreds: proofRequest() },
  });
  const got = await bob.event(PROVE, inState('request-received', asked.thread_id), 'the request');
  const send = (cred_id: string): ReturnType<TestAgent['call']> =>
    bob.call('POST', `/present-proof-2.0/records/${got.pres_ex_id}/send-presentation`, {
      anoncreds: {
        requested_attributes: { shown: { cred_id, revealed: true } },
        requested_predicates: { adult: { cred_id } },
        self_attested_attributes: {},
      },
    });
  const wrong = await send('nothing');
  assert.equal(wrong.status, 400);
  assert.match(wrong.text, /No credential nothing/);
  const [fitting] = await bob.get(`/present-proof-2.0/records/${got.pres_ex_id}/credentials`);
  assert.equal((await send(fitting.cred_info.referent)).status, 200);
});

test('problem reports of a proof reach the other side', async () => {
  const asked = await acme.post('/present-proof-2.0/send-request', {
    connection_id: proving.inviter,
    presentation_request: { indy: proofRequest() },
  });
  const got = await bob.event(PROVE, inState('request-received', asked.thread_id), 'the request');
  await bob.post(`/present-proof-2.0/records/${got.pres_ex_id}/problem-report`, { description: 'not to you' });
  const received = await acme.event(PROVE, (one) => one.pres_ex_id === asked.pres_ex_id && one.state === 'abandoned', 'the problem');
  assert.match(received.error_msg, /not to you/);
});

test('an offer attached to an invitation reaches the holder once the connection is complete, and is issued on it', async () => {
  const { connection_id: _none, ...body } = offerBody('anoncreds', 'Attached', { auto_issue: true });
  const made = await faber.post('/issue-credential-2.0/create-offer', body);
  assert.deepEqual([made.state, made.connection_id], ['offer-sent', undefined]);
  const invitation = await faber.post('/out-of-band/create-invitation?auto_accept=true', {
    ...HANDSHAKE,
    attachments: [{ id: made.cred_ex_id, type: 'credential-offer' }],
  });
  assert.equal(invitation.invitation['requests~attach'].length, 1);
  const received = await bob.post('/out-of-band/receive-invitation?auto_accept=true', invitation.invitation);
  const got = await bob.event(
    ISSUE,
    (one) => one.state === 'offer-received' && one.connection_id === received.connection_id,
    'the attached offer',
  );
  assert.equal(got.parent_thread_id, invitation.invi_msg_id);
  await bob.post(`/issue-credential-2.0/records/${got.cred_ex_id}/send-request`);
  await bob.event(ISSUE, (one) => one.cred_ex_id === got.cred_ex_id && one.state === 'credential-received', 'the credential');
  const issued = await faber.event(ISSUE, (one) => one.cred_ex_id === made.cred_ex_id && one.state === 'credential-issued', 'the issue');
  assert.ok(issued.connection_id, 'the record belongs to the connection now');
  await bob.post(`/issue-credential-2.0/records/${got.cred_ex_id}/store`, {});
  await faber.event(ISSUE, (one) => one.cred_ex_id === made.cred_ex_id && one.state === 'done', 'the ack');
  assert.deepEqual(await faber.states(ISSUE, made.cred_ex_id), ['offer-sent', 'request-received', 'credential-issued', 'done']);
});

test('a proof request attached to an invitation is answered on the new connection', async () => {
  const made = await acme.post('/present-proof-2.0/create-request', {
    presentation_request: { anoncreds: proofRequest() },
    auto_verify: true,
  });
  assert.equal(made.state, 'request-sent');
  const invitation = await acme.post('/out-of-band/create-invitation?auto_accept=true', {
    ...HANDSHAKE,
    attachments: [{ id: made.pres_ex_id, type: 'present-proof' }],
  });
  const received = await bob.post('/out-of-band/receive-invitation?auto_accept=true', invitation.invitation);
  const got = await bob.event(
    PROVE,
    (one) => one.state === 'request-received' && one.connection_id === received.connection_id,
    'the attached request',
  );
  const [fitting] = await bob.get(`/present-proof-2.0/records/${got.pres_ex_id}/credentials`);
  const cred_id = fitting.cred_info.referent;
  await bob.post(`/present-proof-2.0/records/${got.pres_ex_id}/send-presentation`, {
    anoncreds: {
      requested_attributes: { shown: { cred_id, revealed: true } },
      requested_predicates: { adult: { cred_id } },
      self_attested_attributes: {},
    },
  });
  const done = await acme.event(PROVE, (one) => one.pres_ex_id === made.pres_ex_id && one.state === 'done', 'the end');
  assert.equal(done.verified, 'true');
});

test('an attachment must be there, free and of a known kind', async () => {
  const offered = await faber.post('/issue-credential-2.0/send-offer', offerBody('anoncreds', 'Bound'));
  for (const [attachment, status] of [
    [{ id: offered.cred_ex_id, type: 'credential-offer' }, 400],
    [{ id: 'nobody', type: 'credential-offer' }, 404],
    [{ id: offered.cred_ex_id, type: 'other' }, 400],
  ] as const) {
    const answer = await faber.call('POST', '/out-of-band/create-invitation', { ...HANDSHAKE, attachments: [attachment] });
    assert.equal(answer.status, status, answer.text);
  }
});

test('an invitation by the public DID: the peer resolves it on the ledger, connects, and reuses the connection the next time', async () => {
  const made = await faber.post('/out-of-band/create-invitation?multi_use=true', { ...HANDSHAKE, use_public_did: true });
  assert.deepEqual(made.invitation.services, [anchored.did]);
  const received = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const active = await bob.event(
    'connections',
    (one) => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id,
    'the connection',
  );
  assert.equal(active.connection_id, received.connection_id);
  assert.equal(active.their_public_did, anchored.did);
  const again = await faber.post('/out-of-band/create-invitation', { ...HANDSHAKE, use_public_did: true });
  const reused = await bob.post('/out-of-band/receive-invitation', again.invitation);
  assert.deepEqual([reused.state, reused.connection_id], ['reuse-accepted', received.connection_id]);
});

test('an invitation by a DID that the ledger does not have is an error of the call', async () => {
  const { invitation } = await faber.post('/out-of-band/create-invitation', { ...HANDSHAKE, use_public_did: true });
  const unknown = { ...invitation, '@id': 'unknown', services: [`${anchored.did.slice(0, -64)}${'0'.repeat(64)}`] };
  const answer = await bob.call('POST', '/out-of-band/receive-invitation', unknown);
  assert.equal(answer.status, 404, answer.text);
});
