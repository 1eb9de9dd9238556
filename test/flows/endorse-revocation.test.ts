import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { statusLog } from '../../harness/status-log.ts';
import { startPostgres } from '../postgres.ts';
import { anchor, type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';

/** Revocation registries, and revocations, that an endorser pays for by the author's calls. */

const ISSUE = 'issue_credential_v2_0';
const SIZE = 8;
const LATER = { expires_time: '2099-01-01T00:00:00Z' };
const COPY = 'create_transaction_for_endorser=true';
const ENDORSER = ['--endorser-protocol-role', 'endorser', '--auto-endorse-transactions', '--auto-accept-requests'];

const world = createWorld({ held: true });
let devnet: Devnet;
let endorser: TestAgent;
let holder: TestAgent;
before(async () => {
  devnet = await world.devnet({ clock: 'wall' });
  [endorser, holder] = await Promise.all([
    world.start('endorser', { devnet, sponsor: true, flags: ENDORSER }),
    world.start('holder', { devnet, flags: ['--auto-respond-credential-offer', '--auto-store-credential'] }),
  ]);
});
after(() => world.close());

/** Issues to the holder. @returns the issuer's exchange, and where the credential stands */
async function issue(
  issuer: TestAgent,
  connection: string,
  credDefId: string,
): Promise<{ exchange: string; registry: string; index: number }> {
  const sent = await issuer.post('/issue-credential-2.0/send', {
    connection_id: connection,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'number', value: '1' }] },
  });
  const ended = (one: Body): boolean => one.thread_id === sent.thread_id && ['done', 'abandoned'].includes(one.state);
  const done = await issuer.event(ISSUE, ended, 'the end');
  assert.equal(done.state, 'done', done.error_msg);
  const { result } = await issuer.get(`/revocation/credential-record?cred_ex_id=${done.cred_ex_id}`);
  return { exchange: done.cred_ex_id, registry: result.rev_reg_id, index: Number(result.cred_rev_id) };
}
const stateOf = async (issuer: TestAgent, exchange: string): Promise<string> =>
  (await issuer.get(`/revocation/credential-record?cred_ex_id=${exchange}`)).result.state;

const transaction = (who: TestAgent, id: string, ...states: string[]): Promise<Body> =>
  until(
    async () => {
      const txn = await who.get(`/transactions/${id}`);
      return states.includes(txn.state) && txn;
    },
    `transaction ${id} to be ${states.join(' or ')}`,
  );

/** Asks for an endorsement, waits for it and writes. */
async function written(author: TestAgent, { transaction_id: id }: Body): Promise<void> {
  await author.post(`/transactions/create-request?tran_id=${id}`, LATER);
  await transaction(author, id, 'transaction_endorsed');
  assert.equal((await author.post(`/transactions/${id}/write`)).state, 'transaction_acked');
}

test('[P8] by calls: a registry, its list, revocations of two registries at once, and one that is refused', async () => {
  const flags = ['--preserve-exchange-records', '--auto-respond-credential-request'];
  const database = await startPostgres();
  world.defer(() => database.stop());
  const author = await world.start('author', {
    ...{ devnet, sponsor: true, store: database.url },
    flags: [...flags, '--wallet-key', 'of the author'],
  });
  const { inviter: theirs, invitee: ours } = await connect(endorser, author);
  await author.post(`/transactions/${ours}/set-endorser-role?transaction_my_job=TRANSACTION_AUTHOR`);
  await author.post(`/transactions/${ours}/set-endorser-info?endorser_did=did:algo:x`);
  await endorser.post(`/transactions/${theirs}/set-endorser-role?transaction_my_job=TRANSACTION_ENDORSER`);
  await until(async () => (await author.get(`/connections/${ours}/metadata`)).results.transaction_jobs.transaction_their_job, 'the role');
  const { did, credDefId } = await anchor(author, ['number'], { support_revocation: true, revocation_registry_size: SIZE });
  const standing = async (): Promise<string[]> =>
    (await author.get(`/anoncreds/revocation/registries?cred_def_id=${encodeURIComponent(credDefId)}&state=finished`)).rev_reg_ids;
  const paidForItself = await until(async () => {
    const ids = await standing();
    return ids.length === 2 && ids;
  }, 'the registries that the author pays for itself');
  const options = { endorser_connection_id: ours, create_transaction_for_endorser: true };

  // ACA-Py's AnonCreds family
  const waiting = await author.post('/anoncreds/revocation-registry-definition', {
    revocation_registry_definition: { issuerId: did, credDefId, tag: 'endorsed', maxCredNum: SIZE },
    options,
  });
  const { txn } = waiting.registration_metadata;
  assert.deepEqual(
    [waiting.revocation_registry_definition_state.state, waiting.job_id, txn.state],
    ['wait', txn.meta_data.context.job_id, 'transaction_created'],
  );
  const first = waiting.revocation_registry_definition_state.revocation_registry_definition_id as string;
  const list = await author.post('/anoncreds/revocation-list', { rev_reg_def_id: first, options });
  assert.deepEqual([list.revocation_list_state.state, list.registration_metadata.txn.transaction_id], ['wait', txn.transaction_id]);
  await assert.rejects(statusLog(devnet, first), 'nothing is written before it is endorsed');
  await written(author, txn);
  const begun = await statusLog(devnet, first);
  assert.deepEqual([begun.entries, begun.revoked], [1, []]);
  assert.equal((await author.post('/anoncreds/revocation-list', { rev_reg_def_id: first })).revocation_list_state.state, 'finished');

  // that for Indy wallets
  const made = await author.post('/revocation/create-registry', { credential_definition_id: credDefId, max_cred_num: SIZE });
  const second = made.result.revoc_reg_id as string;
  assert.equal((await author.call('POST', `/revocation/registry/${second}/definition?${COPY}`)).status, 400, 'whom to ask is not known');
  const posting = await author.post(`/revocation/registry/${second}/definition?conn_id=${ours}&${COPY}`);
  assert.equal(posting.sent.result.state, 'generated');
  await written(author, posting.txn);
  assert.equal((await author.get(`/revocation/registry/${second}`)).result.state, 'posted');
  assert.equal((await author.post(`/revocation/registry/${second}/entry?conn_id=${ours}&${COPY}`)).result.state, 'active');

  // one credential in each of them
  const { inviter: connection } = await connect(author, holder);
  const credentials: Awaited<ReturnType<typeof issue>>[] = [];
  for (const registry of [first, second]) {
    await author.call('PUT', `/anoncreds/revocation/registry/${encodeURIComponent(registry)}/active`);
    const one = await issue(author, connection, credDefId);
    assert.equal(one.registry, registry);
    credentials.push(one);
  }
  for (const { exchange } of credentials)
    assert.deepEqual(await author.post(`/revocation/revoke?conn_id=${ours}&${COPY}`, { cred_ex_id: exchange }), {}, 'not published yet');
  const both = await author.post(`/revocation/publish-revocations?conn_id=${ours}&${COPY}`, {});
  assert.deepEqual([both.txn.length, both.rrid2crid], [2, undefined]);
  // two wait for their endorsement at once, and are written in the other order
  for (const one of both.txn) await author.post(`/transactions/create-request?tran_id=${one.transaction_id}`, LATER);
  for (const one of [...both.txn].reverse()) {
    await transaction(author, one.transaction_id, 'transaction_endorsed');
    assert.equal((await author.post(`/transactions/${one.transaction_id}/write`)).state, 'transaction_acked');
  }
  for (const { exchange, registry, index } of credentials) {
    assert.deepEqual((await statusLog(devnet, registry)).revoked, [index]);
    await until(async () => (await stateOf(author, exchange)) === 'revoked', 'the record');
  }

  // a request that is refused is no end: the next call takes what it took
  const [third, fourth] = [await issue(author, connection, credDefId), await issue(author, connection, credDefId)];
  const revoking = await author.post('/anoncreds/revocation/revoke', { cred_ex_id: third.exchange, publish: true, options });
  assert.equal(revoking.txn.state, 'transaction_created');
  const again = await author.post('/anoncreds/revocation/publish-revocations', { options });
  assert.deepEqual([again.rrid2crid, again.txn[0].transaction_id], [{}, revoking.txn.transaction_id], 'it is under way');
  await author.post(`/transactions/create-request?tran_id=${revoking.txn.transaction_id}`, { expires_time: '2020-01-01T00:00:00Z' });
  assert.match((await transaction(author, revoking.txn.transaction_id, 'transaction_refused')).error_msg, /^expired/);
  assert.equal(await stateOf(author, third.exchange), 'issued');
  const anew = await author.post('/anoncreds/revocation/revoke', { cred_ex_id: fourth.exchange, publish: true, options });
  assert.notEqual(anew.txn.transaction_id, revoking.txn.transaction_id);
  await written(author, anew.txn);
  for (const { exchange } of [third, fourth]) await until(async () => (await stateOf(author, exchange)) === 'revoked', 'the record');
  assert.equal((await statusLog(devnet, third.registry)).entries, 3, 'one record for both');
  assert.equal((await standing()).length, paidForItself.length + 2);
  const unknown = { endorser_connection_id: 'nobody', create_transaction_for_endorser: true };
  const fifth = await issue(author, connection, credDefId);
  const refused = await author.call('POST', '/anoncreds/revocation/revoke', {
    cred_ex_id: fifth.exchange,
    publish: true,
    options: unknown,
  });
  assert.deepEqual([refused.status, refused.text], [404, '404: Connection for endorser with id nobody not found']);
});
