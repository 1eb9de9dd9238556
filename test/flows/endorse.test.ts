import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Body, connect, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';
import { MULTITENANT, newTenant } from '../support/tenants.ts';

/** Authors whose ledger writes an endorser pays for: by hand, by flags, and in a wallet of many. */

const world = createWorld({ held: true });
let devnet: Devnet;
before(async () => {
  devnet = await world.devnet();
});
after(() => world.close());

const AUTHOR = ['--endorser-protocol-role', 'author', '--endorser-alias', 'bank'];
const AUTOMATIC = ['--auto-request-endorsement', '--auto-write-transactions'];
const ENDORSER = ['--endorser-protocol-role', 'endorser', '--auto-endorse-transactions', '--auto-accept-requests'];
const LATER = { expires_time: '2099-01-01T00:00:00Z' };
const COPY = 'create_transaction_for_endorser=true';

type Caller = Pick<TestAgent, 'call' | 'get' | 'post'>;
/** The transaction in that state, at whoever is asked. */
const inState = (who: Caller, id: string, state: string): Promise<Body> =>
  until(async () => {
    const txn = await who.get(`/transactions/${id}`);
    return txn.state === state && txn;
  }, `transaction ${id} to be ${state}`);
/** The endorser's record of an author's transaction. */
const received = (endorser: Caller, thread: string, state: string): Promise<Body> =>
  until(
    async () => (await endorser.get('/transactions')).results.find((one: Body) => one.thread_id === thread && one.state === state),
    `the request of ${thread} to be ${state}`,
  );
const publicDid = async (who: Caller): Promise<Body> => (await who.get('/wallet/did/public')).result;
const newDid = async (who: Caller): Promise<string> => (await who.post('/wallet/did/create', { method: 'algo' })).result.did;
const schemaOf = (issuerId: string, name: string, options?: object): Body => ({
  schema: { issuerId, name, version: '1.0', attrNames: ['a', 'b'] },
  ...(options && { options }),
});
const answered = (who: Caller, method: string, path: string, body?: unknown): Promise<[number, string]> =>
  who.call(method, path, body).then(({ status, text }) => [status, text]);

/** An endorser and an author, connected, with their roles. */
async function pair(name: string, flags: { endorser?: readonly string[]; author?: readonly string[] } = {}) {
  const endorser = await world.start(`${name}-endorser`, { devnet, sponsor: true, flags: flags.endorser });
  const author = await world.start(`${name}-author`, { devnet, flags: flags.author });
  const ids = await connect(endorser, author);
  return { endorser, author, theirs: ids.inviter, ours: ids.invitee };
}

test('by hand: roles, a DID, a schema that is refused, sent again and written, one that is cancelled', async () => {
  const { endorser, author, theirs, ours } = await pair('hand');
  // roles and info
  const role = (who: Caller, id: string, job: string) =>
    answered(who, 'POST', `/transactions/${id}/set-endorser-role?transaction_my_job=${job}`);
  assert.equal((await role(author, ours, 'BANKER'))[0], 422);
  assert.equal((await role(author, 'nobody', 'TRANSACTION_AUTHOR'))[0], 404);
  const info = `/transactions/${ours}/set-endorser-info?endorser_did=did:algo:x&endorser_name=bank`;
  assert.equal((await author.call('POST', info)).status, 403, 'no role yet');
  assert.deepEqual((await author.call('POST', `/transactions/${ours}/set-endorser-role?transaction_my_job=TRANSACTION_AUTHOR`)).body, {
    transaction_my_job: 'TRANSACTION_AUTHOR',
  });
  const did = await newDid(author);
  const publish = `/wallet/did/public?did=${encodeURIComponent(did)}&conn_id=${ours}&${COPY}`;
  assert.deepEqual(await answered(author, 'POST', publish), [
    403,
    '403: Endorser Info is not set up in connection metadata for this connection record',
  ]);
  assert.deepEqual(await author.post(info), { endorser_did: 'did:algo:x', endorser_name: 'bank' });

  // the DID
  const { txn } = await author.post(publish);
  assert.deepEqual([txn.state, txn.connection_id], ['transaction_created', ours]);
  const request = `/transactions/create-request?tran_id=${txn.transaction_id}`;
  assert.match((await author.call('POST', request, LATER)).text, /^403: Ask the other agent/);
  await role(endorser, theirs, 'TRANSACTION_ENDORSER');
  await until(async () => {
    const { results } = await author.get(`/connections/${ours}/metadata`);
    return results.transaction_jobs?.transaction_their_job === 'TRANSACTION_ENDORSER';
  }, 'the role of the endorser');
  assert.equal((await author.call('POST', request, {})).status, 422);
  assert.equal((await author.call('POST', `/transactions/create-request?tran_id=nothing`, LATER)).status, 404);
  const sent = await author.post(request, LATER);
  assert.deepEqual([sent.state, sent.timing], ['request_sent', LATER]);
  const asked = await received(endorser, txn.transaction_id, 'request_received');
  assert.equal((await author.call('POST', `/transactions/${txn.transaction_id}/write`)).status, 403, 'not endorsed yet');
  assert.equal((await author.call('POST', `/transactions/${txn.transaction_id}/endorse`)).status, 403, 'by the author');
  assert.equal((await endorser.call('POST', `/transactions/${asked.transaction_id}/endorse?endorser_did=did:algo:y`)).status, 400);
  const endorsed = await endorser.post(`/transactions/${asked.transaction_id}/endorse`);
  assert.equal(endorsed.state, 'transaction_endorsed');
  assert.equal((await endorser.call('POST', `/transactions/${asked.transaction_id}/refuse`)).status, 400, 'too late');
  const response = (await inState(author, txn.transaction_id, 'transaction_endorsed')).signature_response[0];
  assert.equal(Object.keys(response.signature).length, 1);
  const written = await author.post(`/transactions/${txn.transaction_id}/write`);
  assert.equal(written.state, 'transaction_acked');
  assert.equal((await publicDid(author)).did, did, 'what the transaction was for is finished');
  await inState(endorser, asked.transaction_id, 'transaction_acked');
  await endorser.event('endorse_transaction', ({ state }) => state === 'transaction_acked', 'the end of the transaction');
  assert.deepEqual(
    endorser.hooks.list.filter(({ topic }) => topic === 'endorse_transaction').map(({ payload }) => payload.state),
    ['request_received', 'transaction_endorsed', 'transaction_acked'],
  );

  // a schema: refused, sent again, endorsed
  const options = { endorser_connection_id: ours, create_transaction_for_endorser: true };
  const body = schemaOf(did, 'by hand', options);
  const waiting = await author.post('/anoncreds/schema', body);
  const schema = waiting.registration_metadata.txn;
  assert.deepEqual([waiting.schema_state.state, schema.meta_data.context.job_id], ['wait', waiting.job_id]);
  assert.equal((await author.post('/anoncreds/schema', body)).schema_state.state, 'wait', 'said again it is the same');
  await author.post(`/transactions/create-request?tran_id=${schema.transaction_id}`, LATER);
  const second = await received(endorser, schema.transaction_id, 'request_received');
  assert.equal((await endorser.post(`/transactions/${second.transaction_id}/refuse`)).state, 'transaction_refused');
  await inState(author, schema.transaction_id, 'transaction_refused');
  assert.equal((await author.call('POST', `/transactions/${schema.transaction_id}/cancel`)).status, 400);
  assert.equal((await author.post(`/transaction/${schema.transaction_id}/resend`)).state, 'transaction_resent');
  await inState(endorser, second.transaction_id, 'transaction_resent_received');
  await endorser.post(`/transactions/${second.transaction_id}/endorse`);
  await inState(author, schema.transaction_id, 'transaction_endorsed');
  await author.post(`/transactions/${schema.transaction_id}/write`);
  const finished = await author.post('/anoncreds/schema', body);
  assert.equal(finished.schema_state.state, 'finished');
  assert.deepEqual((await endorser.get(`/anoncreds/schema/${finished.schema_state.schema_id}`)).schema.name, 'by hand');

  // the calls of Indy wallets, and one that comes to nothing
  const indy = { schema_name: 'indy', schema_version: '1.0', attributes: ['a'] };
  assert.deepEqual(await answered(author, 'POST', `/schemas?${COPY}`, indy), [400, '400: No endorser connection found']);
  const old = await author.post(`/schemas?conn_id=${ours}&${COPY}`, indy);
  assert.deepEqual(
    [Object.keys(old).sort(), Object.keys(old.sent).sort()],
    [
      ['sent', 'txn'],
      ['schema', 'schema_id'],
    ],
  );
  await author.post(`/transactions/create-request?tran_id=${old.txn.transaction_id}`, LATER);
  const third = await received(endorser, old.txn.transaction_id, 'request_received');
  assert.equal((await author.post(`/transactions/${old.txn.transaction_id}/cancel`)).state, 'transaction_cancelled');
  await inState(endorser, third.transaction_id, 'transaction_cancelled');
  assert.equal((await endorser.call('POST', `/transactions/${third.transaction_id}/endorse`)).status, 400);
  const again = await author.post(`/schemas?conn_id=${ours}&${COPY}`, indy);
  assert.notEqual(again.txn.transaction_id, old.txn.transaction_id, 'ordered anew once the first one is over');

  // a DID that is not made public, and its endpoint
  const other = await newDid(author);
  const { result: made } = await author.get(`/wallet/did?did=${encodeURIComponent(other)}`).then(({ results }) => ({ result: results[0] }));
  const nym = `/ledger/register-nym?did=${encodeURIComponent(other)}&verkey=${made.verkey}&conn_id=${ours}&${COPY}`;
  const registered = await author.post(nym);
  assert.equal(registered.success, true);
  await author.post(`/transactions/create-request?tran_id=${registered.txn.transaction_id}`, LATER);
  const fourth = await received(endorser, registered.txn.transaction_id, 'request_received');
  assert.equal(fourth.signature_request[0].author_goal_code, 'aries.transaction.ledger.write_did');
  await endorser.post(`/transactions/${fourth.transaction_id}/endorse`);
  await inState(author, registered.txn.transaction_id, 'transaction_endorsed');
  await author.post(`/transactions/${registered.txn.transaction_id}/write`);
  const [held] = (await author.get(`/wallet/did?did=${encodeURIComponent(other)}`)).results;
  assert.deepEqual([held.posture, (await publicDid(author)).did], ['posted', did]);
  const moved = await author.post(`/wallet/set-did-endpoint?conn_id=${ours}&${COPY}`, { did: other, endpoint: 'https://moved.example' });
  assert.equal(moved.txn.state, 'transaction_created');
});

test('[P12] by flags: the author takes the invitation at its start, and what it orders is written without anybody', async () => {
  const endorser = await world.start('auto-endorser', { devnet, sponsor: true, flags: ENDORSER });
  const made = await endorser.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  const flags = [
    ...AUTHOR,
    ...AUTOMATIC,
    ...['--auto-promote-author-did', '--auto-create-revocation-transactions', '--auto-respond-credential-request'],
    ...['--endorser-invitation', made.invitation_url, '--endorser-public-did', 'did:algo:endorser'],
    ...['--seed', 'seed-of-an-author-00000000000000'],
  ];
  const author = await world.start('auto-author', { devnet, flags });
  const did = (await until(() => publicDid(author), 'the DID of the seed to be public')).did;
  const [connection] = (await author.get('/connections?alias=bank')).results;
  const { results: metadata } = await author.get(`/connections/${connection.connection_id}/metadata`);
  assert.deepEqual(metadata, {
    transaction_jobs: { transaction_my_job: 'TRANSACTION_AUTHOR', transaction_their_job: 'TRANSACTION_ENDORSER' },
    endorser_info: { endorser_did: 'did:algo:endorser', endorser_name: 'bank' },
  });
  const finished = await until(async () => {
    const { schema_state: state } = await author.post('/anoncreds/schema', schemaOf(did, 'by flags'));
    return state.state === 'finished' && state;
  }, 'the schema');
  const definition = {
    credential_definition: { issuerId: did, schemaId: finished.schema_id, tag: 'default' },
    options: { support_revocation: true, revocation_registry_size: 4 },
  };
  const { credential_definition_id: credDefId } = await until(
    async () => {
      const { credential_definition_state: state } = await author.post('/anoncreds/credential-definition', definition);
      return state.state === 'finished' && state;
    },
    'the credential definition',
    300_000,
  );
  const all = (await until(async () => {
    const { results } = await endorser.get('/transactions');
    return results.length === 5 && results.every(({ state }: Body) => state === 'transaction_acked') && results;
  }, 'five acks, of DID, schema, definition and two registries')) as Body[];
  assert.equal(all.length, 5, 'no error on an ack, though nobody has set the endorser’s role');
  assert.equal((await author.get('/connections')).results.length, 1, 'one invitation, one connection');

  // a revocation is endorsed and written by itself too
  const holder = await world.start('auto-holder', { devnet, flags: ['--auto-respond-credential-offer', '--auto-store-credential'] });
  const { cred_ex_id } = await author.post('/issue-credential-2.0/send', {
    connection_id: (await connect(author, holder)).inviter,
    filter: { anoncreds: { cred_def_id: credDefId } },
    auto_remove: false,
    credential_preview: {
      '@type': 'issue-credential/2.0/credential-preview',
      attributes: ['a', 'b'].map((name) => ({ name, value: '1' })),
    },
  });
  await author.event('issue_credential_v2_0', (one) => one.cred_ex_id === cred_ex_id && one.state === 'done', 'the credential');
  const { txn } = await author.post('/anoncreds/revocation/revoke', { cred_ex_id, publish: true });
  await inState(author, txn.transaction_id, 'transaction_acked');
  const record = `/revocation/credential-record?cred_ex_id=${cred_ex_id}`;
  await until(async () => (await author.get(record)).result.state === 'revoked', 'the revocation');
});

test('a group that nobody writes in time is asked for again, and what comes of it is one write', async () => {
  const { endorser, author, ours } = await pair('late', { endorser: [...ENDORSER, '--endorser-validity', '10'] });
  await author.post(`/transactions/${ours}/set-endorser-role?transaction_my_job=TRANSACTION_AUTHOR`);
  await author.post(`/transactions/${ours}/set-endorser-info?endorser_did=did:algo:x`);
  await until(async () => (await author.get(`/connections/${ours}/metadata`)).results.transaction_jobs.transaction_their_job, 'the role');
  const did = await newDid(author);
  const { txn } = await author.post(`/wallet/did/public?did=${encodeURIComponent(did)}&conn_id=${ours}&${COPY}`);
  const request = () => author.post(`/transactions/create-request?tran_id=${txn.transaction_id}`, LATER);
  await request();
  await inState(author, txn.transaction_id, 'transaction_endorsed');
  for (let i = 0; i < 12; i++) {
    const busy = await newDid(endorser);
    await endorser.post(`/wallet/did/public?did=${encodeURIComponent(busy)}`);
  }
  const late = await author.post(`/transactions/${txn.transaction_id}/write`);
  assert.deepEqual([late.state, late.error_msg], ['transaction_created', 'expired']);
  assert.equal((await publicDid(author)) ?? undefined, undefined, 'nothing is written');
  await request();
  await inState(author, txn.transaction_id, 'transaction_endorsed');
  assert.equal((await author.post(`/transactions/${txn.transaction_id}/write`)).state, 'transaction_acked');
  assert.equal((await publicDid(author)).did, did);
  assert.equal((await endorser.get('/transactions')).results.length, 1, 'the same transaction');
});

test('a connection that has had its writes of today is refused with that reason', async () => {
  const { endorser, author, ours } = await pair('quota', {
    endorser: [...ENDORSER, '--endorser-writes', '1'],
    author: ['--endorser-protocol-role', 'author', ...AUTOMATIC],
  });
  await author.post(`/transactions/${ours}/set-endorser-role?transaction_my_job=TRANSACTION_AUTHOR`);
  await author.post(`/transactions/${ours}/set-endorser-info?endorser_did=did:algo:x`);
  const did = await newDid(author);
  await author.post(`/wallet/did/public?did=${encodeURIComponent(did)}&conn_id=${ours}&${COPY}`);
  await until(() => publicDid(author), 'the DID to be public');
  const options = { endorser_connection_id: ours, create_transaction_for_endorser: true };
  const waiting = await author.post('/anoncreds/schema', schemaOf(did, 'beyond', options));
  const refused = await inState(author, waiting.registration_metadata.txn.transaction_id, 'transaction_refused');
  assert.match(refused.signature_response[0].comment, /^quota: 1 writes a day/);
  assert.match(refused.meta_data.context.refusal, /^quota/);
  assert.equal(
    (await received(endorser, refused.transaction_id, 'transaction_refused')).meta_data.context.refusal,
    refused.meta_data.context.refusal,
  );
});

test('an author without an endorser is told so, in ACA-Py’s words', async () => {
  const author = await world.start('lonely-author', { devnet, flags: AUTHOR });
  const did = await newDid(author);
  assert.deepEqual(await answered(author, 'POST', `/wallet/did/public?did=${encodeURIComponent(did)}`), [
    403,
    '403: No endorser connection found',
  ]);
  const unknown = `/wallet/did/public?did=${encodeURIComponent(did)}&conn_id=nobody&${COPY}`;
  assert.deepEqual(await answered(author, 'POST', unknown), [404, '404: Connection for endorser with id nobody not found']);
});

test('in a wallet of many: an author through a connection with the base wallet, the others by its sponsor as before', async () => {
  const base = await world.start('agency', {
    devnet,
    sponsor: true,
    flags: [...MULTITENANT, ...ENDORSER, '--base-wallet-routes', '/(out-of-band|transactions).*'],
  });
  const made = await base.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', HANDSHAKE);
  const author = await newTenant(base, 'author', {
    extra_settings: {
      'endorser-protocol-role': 'author',
      'endorser-alias': 'agency',
      'endorser-invitation': made.invitation_url,
      'endorser-public-did': 'did:algo:agency',
      ACAPY_AUTO_REQUEST_ENDORSEMENT: true,
      ACAPY_AUTO_WRITE_TRANSACTIONS: true,
    },
  });
  const plain = await newTenant(base, 'plain');
  const [theirs, own] = [await newDid(author), await newDid(plain)];
  assert.equal((await plain.post(`/wallet/did/public?did=${encodeURIComponent(own)}`)).result.posture, 'public');
  await author.call('POST', `/wallet/did/public?did=${encodeURIComponent(theirs)}`);
  await until(() => publicDid(author), 'the DID to be public', 60_000);
  assert.equal((await author.get('/transactions')).results[0].state, 'transaction_acked');
  assert.equal((await plain.get('/transactions')).results.length, 0);
  const [request] = (await base.get('/transactions')).results;
  assert.equal(request.thread_id, (await author.get('/transactions')).results[0].transaction_id);
  // a wallet of a tenant has no sponsor
  const { results } = await author.get('/connections');
  await author.post(`/transactions/${results[0].connection_id}/set-endorser-role?transaction_my_job=TRANSACTION_ENDORSER`);
  assert.equal(
    (await author.call('POST', `/transactions/${(await author.get('/transactions')).results[0].transaction_id}/endorse`)).status,
    400,
  );
});
