import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import algosdk from 'algosdk';
import { canonical, formatObjectId, oidOf, parseObjectId, resourceBox } from '../../src/adapters/algorand/ids.ts';
import { anchor, type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { longOne } from '../support/extent.ts';
import { admin, type Devnet } from '../support/ledger.ts';

/** A ledger that lies, is away, refuses or has no money, as a controller sees it. */

const world = createWorld();
let devnet: Devnet;
let faber: TestAgent;
let ids: { did: string; schemaId: string; credDefId: string };

before(async () => {
  devnet = await world.devnet();
  faber = await world.start('faber', { devnet, sponsor: true, flags: ['--preserve-exchange-records', '--auto-accept-requests'] });
  ids = await anchor(faber, ['name']);
});
beforeEach(() => admin(devnet, 'DELETE', 'faults'));
after(() => world.close());

const fault = (kind: string, more: object = {}): Promise<void> => admin(devnet, 'POST', 'faults', { kind, ...more });
const SUBMIT = { path: '/v2/transactions' };
let names = 0;
const schema = (): Body => ({ schema: { issuerId: ids.did, name: `schema ${names++}`, version: '1.0', attrNames: ['a'] } });
const finished = (agent: TestAgent, body: Body): Promise<Body> =>
  until(async () => {
    const answer = await agent.post('/anoncreds/schema', body);
    return answer.schema_state.state === 'finished' && answer;
  }, 'the schema to be finished');
/** What a schema's record says while its call is still out. */
const reason = (agent: TestAgent, body: Body, wanted: RegExp): Promise<Body> =>
  until(async () => {
    const answer = await agent.call('POST', '/anoncreds/schema', body);
    return wanted.test(answer.text) && answer.body;
  }, `the reason ${wanted}`);

// -- objects that are not what they should be -----------------------------------------------------------------------------------------------------------

async function boxOf(
  id: string,
): Promise<{ name: Uint8Array; value: Uint8Array; put(value: Uint8Array | null, name?: Uint8Array): Promise<void> }> {
  const { owner, oid } = parseObjectId(id);
  const name = resourceBox(owner.key, oid);
  const { value } = await new algosdk.Algodv2(devnet.token, 'http://127.0.0.1', new URL(devnet.url).port)
    .getApplicationBoxByName(devnet.appId, name)
    .do();
  const put = (bytes: Uint8Array | null, other = name): Promise<void> =>
    admin(devnet, 'POST', 'corrupt', {
      app: devnet.appId,
      name: Buffer.from(other).toString('base64'),
      value: bytes && Buffer.from(bytes).toString('base64'),
    });
  return { name, value, put };
}

const withPayload = (box: Uint8Array, object: unknown, codec = 2): Uint8Array => {
  const head = Buffer.from(box.subarray(0, 18));
  head[0] = codec;
  return Buffer.concat([head, deflateRawSync(typeof object === 'string' ? object : canonical(object))]);
};

test('an object whose bytes do not hash to its id, are torn or are of another kind is refused with that reason and never cached', async () => {
  const reader = await world.start('reader', { devnet });
  const made = (await finished(faber, schema())).schema_state;
  const box = await boxOf(made.schema_id);
  const path = `/anoncreds/schema/${made.schema_id}`;
  for (const [what, value, text] of [
    ['another object', withPayload(box.value, { ...made.schema, version: '6.6' }), /does not hash/],
    ['torn', box.value.subarray(0, box.value.length - 3), /cannot be read/],
    ['no payload', box.value.subarray(0, 18), /cannot be read/],
    ['shorter than its head', box.value.subarray(0, 9), /unknown form/],
    ['no JSON', withPayload(box.value, 'nothing'), /cannot be read/],
    ['an array', withPayload(box.value, '[]'), /not a JSON object/],
    ['a bomb', withPayload(box.value, `"${'x'.repeat(400_000)}"`), /cannot be read/],
    ['an unknown form', withPayload(box.value, made.schema, 9), /unknown form/],
    ['another kind', Uint8Array.from(box.value, (byte, i) => (i === 1 ? 2 : byte)), /is not a SCHEMA/],
  ] as const) {
    await box.put(value);
    const answer = await reader.call('GET', path);
    assert.equal(answer.status, 400, `${what}: ${answer.text}`);
    assert.match(answer.text, text, what);
  }
  await box.put(box.value);
  assert.deepEqual((await reader.get(path)).schema, made.schema, 'nothing wrong was kept');
  const other = { ...made.schema, issuerId: `${ids.did.slice(0, -2)}00` };
  const { owner } = parseObjectId(made.schema_id);
  await box.put(withPayload(box.value, other), resourceBox(owner.key, oidOf(other)));
  const foreign = await reader.call('GET', `/anoncreds/schema/${formatObjectId(ids.did, 'SCHEMA', oidOf(other))}`);
  assert.deepEqual([foreign.status, /names another issuer/.test(foreign.text)], [400, true], foreign.text);
  await box.put(null, resourceBox(owner.key, oidOf(other)));
});

test('an object that is still being written is not there yet', async () => {
  const reader = await world.start('early-reader', { devnet });
  const made = (await finished(faber, schema())).schema_state;
  const box = await boxOf(made.schema_id);
  await box.put(Uint8Array.from(box.value, (byte, i) => (i === 0 ? byte | 0x80 : byte)));
  assert.equal((await reader.call('GET', `/anoncreds/schema/${made.schema_id}`)).status, 404);
});

test('a credential is not asked for while its definition on the ledger is false: the exchange ends with that reason', async () => {
  const bob = await world.start('bob', { devnet, flags: ['--preserve-exchange-records'] });
  const { inviter } = await connect(faber, bob);
  const offer = async (): Promise<Body> => {
    const sent = await faber.post('/issue-credential-2.0/send-offer', {
      connection_id: inviter,
      filter: { anoncreds: { cred_def_id: ids.credDefId } },
      credential_preview: { attributes: [{ name: 'name', value: 'x' }] },
    });
    return await bob.event(
      'issue_credential_v2_0',
      (one) => one.state === 'offer-received' && one.thread_id === sent.thread_id,
      'the offer',
    );
  };
  const box = await boxOf(ids.credDefId);
  const definition = (await faber.get(`/anoncreds/credential-definition/${ids.credDefId}`)).credential_definition;
  await box.put(withPayload(box.value, { ...definition, tag: 'false' }));
  const first = await offer();
  const refused = await bob.call('POST', `/issue-credential-2.0/records/${first.cred_ex_id}/send-request`, {});
  assert.equal(refused.status, 400, refused.text);
  assert.match(refused.text, /does not hash/);
  const record = (await bob.get(`/issue-credential-2.0/records/${first.cred_ex_id}`)).cred_ex_record;
  assert.match(record.error_msg, /does not hash/);
  await faber.event('issue_credential_v2_0', (one) => one.thread_id === first.thread_id && one.state === 'abandoned', 'the problem report');
  await box.put(box.value);
  const second = await offer();
  const asked = await bob.post(`/issue-credential-2.0/records/${second.cred_ex_id}/send-request`);
  assert.equal(asked.state, 'request-sent', 'nothing wrong was kept');
});

// -- a node that is away, slow or refuses --------------------------------------------------------------------------------------------------------------

test('while the node is down a write waits and says why; when it is back the write goes on and the call answers', async () => {
  await fault('status', { status: 503, times: 1000 });
  const body = schema();
  const call = faber.post('/anoncreds/schema', body);
  const waiting = await reason(faber, body, /algod answered 503/);
  assert.equal(waiting.schema_state.state, 'wait');
  const ready = await faber.call('GET', '/status/ledger');
  assert.equal(ready.status, 503);
  assert.match(ready.text, /ledger/i);
  assert.equal((await faber.call('GET', '/status/ready')).status, 200, 'what needs no ledger goes on');
  await admin(devnet, 'DELETE', 'faults');
  assert.equal((await call).schema_state.state, 'finished');
  const done = await finished(faber, body);
  assert.deepEqual(done.registration_metadata, {});
  await until(async () => (await faber.call('GET', '/status/ledger')).status === 200, 'the ledger to be ready again');
});

test('while the node is down an agent starts, is ready, connects and writes; an issuer and a holder that need the ledger wait, and go on by themselves', async () => {
  await fault('status', { status: 503, times: 100_000 });
  const grace = await world.start('grace', { devnet, flags: ['--preserve-exchange-records'] });
  assert.deepEqual((await grace.call('GET', '/status/ready')).body, { ready: true });
  assert.equal((await grace.call('GET', '/status/ledger')).status, 503);
  const between = await connect(faber, grace);
  await grace.post(`/connections/${between.invitee}/send-message`, { content: 'without a ledger' });
  await faber.event('basicmessages', (one) => one.content === 'without a ledger', 'the message');
  // an issuer: a definition under a schema of the ledger
  const tag = { credential_definition: { issuerId: ids.did, schemaId: ids.schemaId, tag: 'during the outage' }, options: {} };
  const defined = faber.post('/anoncreds/credential-definition', tag);
  // a holder: the definition of what it is offered
  const credential_preview = { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'name', value: 'Grace' }] };
  const filter = { anoncreds: { cred_def_id: ids.credDefId } };
  await faber.post('/issue-credential-2.0/send-offer', { connection_id: between.inviter, credential_preview, filter });
  const { cred_ex_id } = await grace.event('issue_credential_v2_0', (one) => one.state === 'offer-received', 'the offer');
  const asked = grace.post(`/issue-credential-2.0/records/${cred_ex_id}/send-request`);
  await grace.post(`/connections/${between.invitee}/send-message`, { content: 'meanwhile' });
  await faber.event('basicmessages', (one) => one.content === 'meanwhile', 'the message');
  assert.equal((await grace.get(`/issue-credential-2.0/records/${cred_ex_id}`)).cred_ex_record.state, 'offer-received');
  await admin(devnet, 'DELETE', 'faults');
  assert.equal((await asked).state, 'request-sent');
  assert.notEqual((await defined).credential_definition_state.state, 'failed');
  await until(async () => {
    const { credential_definition_state: state } = await faber.post('/anoncreds/credential-definition', tag);
    return state.state === 'finished';
  }, 'the definition');
  await until(async () => (await grace.call('GET', '/status/ledger')).body?.ready, 'the ledger');
  assert.equal((await (await world.start('landless')).call('GET', '/status/ledger')).status, 404);
});

for (const [what, kind, more] of [
  ['answers late', 'delay', { ms: 700 }],
  ['cuts the connection before', 'drop', SUBMIT],
  ['loses the answer after', 'drop-after', SUBMIT],
  ['acknowledges and forgets', 'hold', SUBMIT],
  ['lets the transaction expire', 'expire', SUBMIT],
] as const) {
  test(`a node that ${what}: the write is there in the end, once`, async () => {
    const before = (await faber.get('/status')).conductor.ledger_writes ?? 0;
    await fault(kind, more);
    const body = schema();
    const { schema_state } = await faber.post('/anoncreds/schema', body);
    const state = schema_state.state === 'finished' ? schema_state : (await finished(faber, body)).schema_state;
    assert.deepEqual((await faber.get(`/anoncreds/schema/${state.schema_id}`)).schema, state.schema);
    assert.ok(((await faber.get('/status')).conductor.ledger_writes ?? 0) - before <= 1);
  });
}

for (const [what, pool, text] of [
  ['is full', { refuse: 'full' }, /reached capacity/],
  ['stops', { refuse: 'stopping' }, /shutting down/],
  ['starts', { refuse: 'starting' }, /no pending block evaluator/],
] as const) {
  test(`while a node ${what} a write waits and says why, and goes on by itself`, async () => {
    await admin(devnet, 'POST', 'pool', pool);
    const body = schema();
    const call = faber.post('/anoncreds/schema', body);
    const waiting = await reason(faber, body, text);
    assert.equal(waiting.schema_state.state, 'wait');
    await admin(devnet, 'DELETE', 'faults');
    // a call waits some seconds: where that is too short it says so, and the write goes on
    await call;
    await finished(faber, body);
  });
}

test('while the network is congested a DID, a schema and a definition are written at the price of their bytes', {
  skip: longOne,
}, async () => {
  await admin(devnet, 'POST', 'pool', { feePerByte: 2 });
  const busy = await world.start('busy', { devnet, sponsor: true });
  const { result } = await busy.post('/wallet/did/create', { method: 'algo' });
  const published = await busy.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  assert.equal(published.result.posture, 'public');
  const body = { schema: { issuerId: result.did, name: 'congested', version: '1', attrNames: ['a'] } };
  const { schema_state } = await busy.post('/anoncreds/schema', body);
  assert.equal(schema_state.state, 'finished');
  const tag = { credential_definition: { issuerId: result.did, schemaId: schema_state.schema_id, tag: 'congested' }, options: {} };
  await until(
    async () => (await busy.post('/anoncreds/credential-definition', tag)).credential_definition_state.state === 'finished',
    'it',
  );
});

test('a transaction that the ledger rejects is an error with its reason; saying it again tries again', async () => {
  await fault('reject', { ...SUBMIT, message: 'logic eval error: assert failed', times: 20 });
  const body = schema();
  const answer = await faber.call('POST', '/anoncreds/schema', body);
  assert.equal(answer.status, 400, answer.text);
  assert.match(answer.text, /^400: .*assert failed/);
  await admin(devnet, 'DELETE', 'faults');
  await finished(faber, body);
});

test('an agent that expects another genesis neither reads nor writes, and says so', async () => {
  const elsewhere = await world.start('elsewhere', {
    devnet,
    sponsor: true,
    flags: ['--algorand-genesis-hash', Buffer.alloc(32, 7).toString('base64')],
  });
  const ready = await elsewhere.call('GET', '/status/ledger');
  assert.equal(ready.status, 503);
  assert.match(ready.text, /network|genesis/);
  const read = await elsewhere.call('GET', `/anoncreds/schema/${ids.schemaId}`);
  assert.equal(read.status, 503, read.text);
  assert.match(read.text, /network|genesis/);
  const { result } = await elsewhere.post('/wallet/did/create', { method: 'algo' });
  const call = elsewhere.call('POST', `/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  const waiting = await until(async () => {
    const [one] = (await elsewhere.get('/wallet/did')).results;
    return one.error_msg && one;
  }, 'the reason');
  assert.match(waiting.error_msg, /network|genesis/);
  assert.equal(waiting.posture, 'wallet_only');
  assert.equal((await elsewhere.get('/wallet/did/public')).result, null);
  // a call that waits does not hold up the end, and has its answer
  await elsewhere.close();
  const answer = await call;
  assert.deepEqual([answer.status, answer.body?.result?.posture], [200, 'wallet_only'], answer.text);
});

test('without money for it a publication waits and shows the amount; with money it goes on, and so does what follows', async () => {
  const account = algosdk.generateAccount();
  const address = account.addr.toString();
  const poor = await world.start('poor', { devnet, sponsor: algosdk.secretKeyToMnemonic(account.sk) });
  const { result } = await poor.post('/wallet/did/create', { method: 'algo' });
  const call = poor.post(`/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  const waiting = await until(async () => {
    const [one] = (await poor.get('/wallet/did')).results;
    return one.error_msg && one;
  }, 'the reason');
  const [, held, needed] = /the sponsor account has (\d+) microALGO and this write needs (\d+)/.exec(waiting.error_msg) ?? [];
  assert.equal(held, '0');
  assert.ok(Number(needed) > 100_000, needed);
  const early = await poor.call('POST', '/anoncreds/schema', {
    schema: { issuerId: result.did, name: 'n', version: '1', attrNames: ['a'] },
  });
  assert.equal(early.status, 400);
  assert.match(early.text, /not published/);
  await admin(devnet, 'POST', 'fund', { address, amount: Number(needed) });
  await call;
  const published = await until(async () => {
    const [one] = (await poor.get('/wallet/did')).results;
    return one.posture === 'public' && one;
  }, 'the publication');
  assert.equal(published.error_msg, undefined);
  const body = { schema: { issuerId: result.did, name: 'n', version: '1', attrNames: ['a'] } };
  const schemaCall = poor.post('/anoncreds/schema', body);
  const wait = await reason(poor, body, /the sponsor account has \d+ microALGO and this write needs \d+/);
  assert.equal(wait.schema_state.state, 'wait');
  await admin(devnet, 'POST', 'fund', { address, amount: 10_000_000 });
  await schemaCall;
  await finished(poor, body);
});

test('an agent without a sponsor reads the ledger and says that it cannot write', async () => {
  const reader = await world.start('reader2', { devnet });
  const { result } = await reader.post('/wallet/did/create', { method: 'algo' });
  const answer = await reader.call('POST', `/wallet/did/public?did=${encodeURIComponent(result.did)}`);
  assert.equal(answer.status, 403, answer.text);
  assert.match(answer.text, /sponsor|read only/i);
  assert.deepEqual((await reader.get(`/anoncreds/schema/${ids.schemaId}`)).schema_id, ids.schemaId);
});
