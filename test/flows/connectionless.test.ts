import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { signedAttachment } from '../../src/didcomm/attachments.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { anchor, type Body, createWorld, type TestAgent, until } from '../support/agents.ts';
import { message, serviceOf, startStranger } from '../support/stranger.ts';

/** RFC 0434 without handshake protocols: an offer and a proof request that are answered without a connection (RFC 0056). */

const ISSUE = 'issue_credential_v2_0';
const PROVE = 'present_proof_v2_0';
const world = createWorld({ held: true });
let faber: TestAgent;
let bob: TestAgent;
let anchored: Awaited<ReturnType<typeof anchor>>;

before(async () => {
  const devnet = await world.devnet();
  faber = await world.start('faber', { devnet, sponsor: true, flags: ['--preserve-exchange-records'] });
  bob = await world.start('bob', { devnet, flags: ['--preserve-exchange-records'] });
  anchored = await anchor(faber, ['name', 'age']);
});
after(() => world.close());

const offer = (): Promise<Body> =>
  faber.post('/issue-credential-2.0/create-offer', {
    filter: { anoncreds: { cred_def_id: anchored.credDefId } },
    credential_preview: {
      attributes: [
        { name: 'name', value: 'Bob' },
        { name: 'age', value: '30' },
      ],
    },
  });
const proof = (): Promise<Body> =>
  faber.post('/present-proof-2.0/create-request', {
    presentation_request: {
      anoncreds: {
        requested_attributes: { n: { name: 'name', restrictions: [{ cred_def_id: anchored.credDefId }] } },
        requested_predicates: { a: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{ cred_def_id: anchored.credDefId }] } },
      },
    },
  });
const invite = async (id: string, type: string, more: object = {}): Promise<Body> =>
  faber.post('/out-of-band/create-invitation', { attachments: [{ id, type }], ...more });
const inState = (state: string, thread: string) => (one: Body) => one.state === state && one.thread_id === thread;
const count = async (name: string): Promise<number> => (await faber.get('/status')).conductor[`refused_${name}`] ?? 0;

test('a credential is offered, requested, issued and acknowledged without a connection', async () => {
  const offered = await offer();
  assert.equal(offered.connection_id, undefined);
  const made = await invite(offered.cred_ex_id, 'credential-offer');
  assert.equal(made.invitation.handshake_protocols, undefined);
  const got = await bob.post('/out-of-band/receive-invitation', made.invitation);
  assert.deepEqual([got.state, got.connection_id, got.attach_thread_id], ['prepare-response', undefined, offered.thread_id]);
  const held = await bob.event(ISSUE, inState('offer-received', offered.thread_id), 'the offer');
  await bob.post(`/issue-credential-2.0/records/${held.cred_ex_id}/send-request`);
  await faber.event(ISSUE, inState('request-received', offered.thread_id), 'the request');
  await faber.post(`/issue-credential-2.0/records/${offered.cred_ex_id}/issue`, {});
  await bob.event(ISSUE, inState('credential-received', offered.thread_id), 'the credential');
  await bob.post(`/issue-credential-2.0/records/${held.cred_ex_id}/store`, {});
  const done = await faber.event(ISSUE, inState('done', offered.thread_id), 'the ack');
  assert.equal(done.connection_id, undefined);
  assert.deepEqual((await bob.get('/connections')).results, []);
  assert.deepEqual((await faber.get('/connections')).results, []);
});

for (const more of [{}, { use_did_method: 'did:peer:4' }]) {
  test(`a proof is asked for and verified without a connection, by ${'use_did_method' in more ? 'a DID' : 'inline keys'}`, async () => {
    const asked = await proof();
    const made = await invite(asked.pres_ex_id, 'present-proof', more);
    await bob.post('/out-of-band/receive-invitation', made.invitation);
    const held = await bob.event(PROVE, inState('request-received', asked.thread_id), 'the request');
    const [cred] = await bob.get(`/present-proof-2.0/records/${held.pres_ex_id}/credentials`);
    const chosen = { cred_id: cred.cred_info.referent, revealed: true };
    await bob.post(`/present-proof-2.0/records/${held.pres_ex_id}/send-presentation`, {
      anoncreds: {
        requested_attributes: { n: chosen },
        requested_predicates: { a: { cred_id: chosen.cred_id } },
        self_attested_attributes: {},
      },
    });
    await faber.event(PROVE, inState('presentation-received', asked.thread_id), 'the presentation');
    const checked = await faber.post(`/present-proof-2.0/records/${asked.pres_ex_id}/verify-presentation`);
    assert.deepEqual([checked.state, checked.verified], ['done', 'true']);
    await bob.event(PROVE, inState('done', asked.thread_id), 'the ack');
  });
}

test('the first to answer is the peer: no other is, and messages go to its own address', async () => {
  const peer = await startStranger();
  world.defer(peer.close);
  const asked = await proof();
  const { invitation } = await invite(asked.pres_ex_id, 'present-proof');
  const to = serviceOf(invitation);
  const thread = { thid: asked.thread_id, pthid: invitation['@id'] };
  const service = { recipientKeys: [peer.pair.verkey], routingKeys: [], serviceEndpoint: peer.url };
  const proposal = (): Body =>
    message('present-proof/2.0/propose-presentation', {
      formats: [{ attach_id: 'a', format: 'anoncreds/proof-request@v1.0' }],
      'proposals~attach': [
        { '@id': 'a', data: { base64: Buffer.from('{"requested_attributes":{},"requested_predicates":{}}').toString('base64') } },
      ],
      '~thread': thread,
      '~service': service,
    });
  const stateOf = async (): Promise<string> => (await faber.get(`/present-proof-2.0/records/${asked.pres_ex_id}`)).state;
  let before = await count('anonymous');
  await peer.send(to, proposal(), null);
  await until(async () => (await count('anonymous')) > before, 'the unsealed answer to be dropped');
  before = await count('stranger');
  await peer.send(to, message('basicmessage/1.0/message', { content: 'hello', '~thread': thread }));
  await until(async () => (await count('stranger')) > before, 'another protocol to be dropped');
  assert.equal(await stateOf(), 'request-sent');
  await peer.send(to, proposal());
  await faber.event(PROVE, inState('proposal-received', asked.thread_id), 'the answer');
  before = await count('stranger');
  await peer.send(
    to,
    message('present-proof/2.0/problem-report', { '~thread': thread, description: { code: 'no', en: 'no' } }),
    newKeyPair(),
  );
  await until(async () => (await count('stranger')) > before, 'another peer to be dropped');
  assert.equal(await stateOf(), 'proposal-received');
  await faber.post(`/present-proof-2.0/records/${asked.pres_ex_id}/problem-report`, { description: 'changed our mind' });
  const { message: report } = await peer.inbox.first((mail) => /problem-report$/.test(mail.message['@type']), 'the report');
  assert.deepEqual(report['~thread'], thread);
  assert.deepEqual(report['~service'].serviceEndpoint, faber.inbound);
});

test('an attached message cannot reach an exchange that is there already', async () => {
  const offered = await offer();
  const made = await invite(offered.cred_ex_id, 'credential-offer');
  await bob.post('/out-of-band/receive-invitation', made.invitation);
  const held = await bob.event(ISSUE, inState('offer-received', offered.thread_id), 'the offer');
  const other = structuredClone(made.invitation);
  other['@id'] = 'another-invitation';
  other['requests~attach'][0].data.json.comment = 'forged';
  await bob.post('/out-of-band/receive-invitation', other);
  const { cred_ex_record } = await bob.get(`/issue-credential-2.0/records/${held.cred_ex_id}`);
  assert.equal(cred_ex_record.cred_offer.comment, undefined);
});

test('invitations without a handshake need one attachment that can be answered', async () => {
  const offered = await offer();
  const asked = await proof();
  const two = {
    attachments: [
      { id: offered.cred_ex_id, type: 'credential-offer' },
      { id: asked.pres_ex_id, type: 'present-proof' },
    ],
  };
  assert.equal((await faber.call('POST', '/out-of-band/create-invitation', two)).status, 400);
  const { invitation } = await invite(offered.cred_ex_id, 'credential-offer');
  const odd = structuredClone(invitation);
  odd['requests~attach'][0].data.json['@type'] = 'https://didcomm.org/trust_ping/1.0/ping';
  assert.equal((await bob.call('POST', '/out-of-band/receive-invitation', odd)).status, 400);
});

const v1 = {
  offer: (): Promise<Body> =>
    faber.post('/issue-credential/create-offer', {
      cred_def_id: anchored.credDefId,
      credential_preview: {
        '@type': 'issue-credential/1.0/credential-preview',
        attributes: [
          { name: 'name', value: 'Bob' },
          { name: 'age', value: '30' },
        ],
      },
    }),
  proof: (): Promise<Body> =>
    faber.post('/present-proof/create-request', {
      proof_request: {
        name: 'age',
        version: '1.0',
        requested_attributes: { n: { name: 'name', restrictions: [{ cred_def_id: anchored.credDefId }] } },
        requested_predicates: {},
      },
    }),
};

test('offers and requests of version 1 go without a connection too', async () => {
  const offered = await v1.offer();
  const made = await invite(offered.credential_exchange_id, 'credential-offer');
  const got = await bob.post('/out-of-band/receive-invitation', made.invitation);
  assert.deepEqual([got.state, got.attach_thread_id], ['prepare-response', offered.thread_id]);
  const held = await bob.event('issue_credential', inState('offer_received', offered.thread_id), 'the offer');
  await bob.post(`/issue-credential/records/${held.credential_exchange_id}/send-request`, {});
  await faber.event('issue_credential', inState('request_received', offered.thread_id), 'the request');
  await faber.post(`/issue-credential/records/${offered.credential_exchange_id}/issue`, {});
  await bob.event('issue_credential', inState('credential_received', offered.thread_id), 'the credential');
  await bob.post(`/issue-credential/records/${held.credential_exchange_id}/store`, {});
  const done = await faber.event('issue_credential', inState('credential_acked', offered.thread_id), 'the ack');
  assert.equal(done.connection_id, undefined);

  const asked = await v1.proof();
  await bob.post('/out-of-band/receive-invitation', (await invite(asked.presentation_exchange_id, 'present-proof')).invitation);
  const shown = await bob.event('present_proof', inState('request_received', asked.thread_id), 'the proof request');
  const [cred] = await bob.get(`/present-proof/records/${shown.presentation_exchange_id}/credentials`);
  await bob.post(`/present-proof/records/${shown.presentation_exchange_id}/send-presentation`, {
    requested_attributes: { n: { cred_id: cred.cred_info.referent, revealed: true } },
    requested_predicates: {},
    self_attested_attributes: {},
  });
  await faber.event('present_proof', inState('presentation_received', asked.thread_id), 'the presentation');
  const checked = await faber.post(`/present-proof/records/${asked.presentation_exchange_id}/verify-presentation`);
  assert.deepEqual([checked.state, checked.verified], ['verified', 'true']);
  await bob.event('present_proof', inState('presentation_acked', asked.thread_id), 'the ack');
});

test('version 1 without a connection: who gives up tells the other', async () => {
  const offered = await v1.offer();
  await bob.post('/out-of-band/receive-invitation', (await invite(offered.credential_exchange_id, 'credential-offer')).invitation);
  const held = await bob.event('issue_credential', inState('offer_received', offered.thread_id), 'the offer');
  await bob.post(`/issue-credential/records/${held.credential_exchange_id}/problem-report`, { description: 'not today' });
  const ended = await faber.event('issue_credential', inState('abandoned', offered.thread_id), 'the report');
  assert.match(ended.error_msg, /not today/);
});

test('an attached request is read in every form of RFC 0017; one that is a link is refused in words', async () => {
  const forms: Record<string, (json: Body) => Body> = {
    base64: (json) => ({ base64: Buffer.from(JSON.stringify(json)).toString('base64') }),
    'base64url, unpadded': (json) => ({ base64: Buffer.from(JSON.stringify(json)).toString('base64url') }),
    signed: (json) => signedAttachment(Buffer.from(JSON.stringify(json)), newKeyPair()).data,
  };
  for (const [what, form] of Object.entries(forms)) {
    const offered = await offer();
    const { invitation } = await invite(offered.cred_ex_id, 'credential-offer');
    const [attached] = invitation['requests~attach'];
    const other = { ...invitation, 'requests~attach': [{ ...attached, data: form(attached.data.json) }] };
    const got = await bob.post('/out-of-band/receive-invitation', other);
    assert.equal(got.attach_thread_id, offered.thread_id, what);
    await bob.event(ISSUE, inState('offer-received', offered.thread_id), what);
    const link = { ...invitation, '@id': `link ${what}`, 'requests~attach': [{ ...attached, data: { links: [faber.inbound] } }] };
    const refused = await bob.call('POST', '/out-of-band/receive-invitation', link);
    assert.equal(refused.status, 400);
    assert.match(refused.text, /attached requests can be read: attachment links, which are not followed/);
  }
});
