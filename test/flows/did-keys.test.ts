import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';
import { admin, type Devnet } from '../support/ledger.ts';

/** Keys of a DID on the ledger that change: the DID, its connections and what it issued go on. */

const world = createWorld({ held: true });
let devnet: Devnet;
let alice: TestAgent;
let bob: TestAgent;
let did: string;

before(async () => {
  devnet = await world.devnet();
  alice = await world.start('alice', {
    devnet,
    sponsor: true,
    flags: ['--public-invites', '--requests-through-public-did', '--auto-accept-requests'],
  });
  bob = await world.start('bob', { devnet });
  did = (await alice.post('/wallet/did/create', { method: 'algo' })).result.did;
  await alice.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
  await until(async () => (await alice.get('/wallet/did/public')).result?.did === did, 'the public DID');
});
after(() => world.close());

const rotate = (query = ''): ReturnType<TestAgent['call']> => alice.call('PATCH', `/ledger/rotate-public-did-keypair${query}`);
const present = async (): Promise<Body> => (await alice.get('/wallet/did/public')).result;
const documentAt = async (agent: TestAgent): Promise<Body> => (await agent.get(`/resolver/resolve/${did}`)).did_document;
const sign = async (more: Body = { did }): Promise<string> =>
  (await alice.call('POST', '/wallet/jwt/sign', { ...more, payload: { a: 1 } })).body;

async function talk(mine: string, theirs: string): Promise<void> {
  const [there, back] = [`to ${theirs} ${Math.random()}`, `to ${mine} ${Math.random()}`];
  await alice.post(`/connections/${mine}/send-message`, { content: there });
  await bob.event('basicmessages', (one) => one.connection_id === theirs && one.content === there, 'the message');
  await bob.post(`/connections/${theirs}/send-message`, { content: back });
  await alice.event('basicmessages', (one) => one.connection_id === mine && one.content === back, 'the answer');
}

/** A connection under the public DID, begun by an invitation that names it. */
async function publicConnection(make?: Body): Promise<{ mine: string; theirs: string }> {
  const made =
    make ??
    (await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', {
      handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
      use_public_did: true,
    }));
  const got = await bob.post('/out-of-band/receive-invitation?auto_accept=false&use_existing_connection=false', made.invitation);
  await bob.post(`/didexchange/${got.connection_id}/accept-invitation`);
  const active = await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'it');
  const ours = await alice.event('connections', (one) => one.state === 'active' && one.request_id === active.request_id, 'our side');
  return { mine: ours.connection_id, theirs: got.connection_id };
}

/** A connection of which alice's side has the public DID. */
async function sharedConnection(): Promise<{ inviter: string; invitee: string }> {
  const ids = await connect(alice, bob);
  const begun = await alice.post(`/did-rotate/${ids.inviter}/rotate`, { to_did: did });
  await alice.event('did-rotate', (one) => one.thread_id === begun['@id'] && one.state === 'ack-received', 'the ack');
  return ids;
}

test('a new key in the document: what was signed before verifies, connections go on, and peers learn the key', async () => {
  const before = await present();
  const old = await sign();
  const ids = await sharedConnection();
  await talk(ids.inviter, ids.invitee);
  const answer = await rotate();
  assert.equal(answer.status, 200, answer.text);
  const now = await present();
  assert.notEqual(now.verkey, before.verkey);
  assert.equal(now.did, did);
  assert.deepEqual(await alice.get(`/ledger/did-verkey?did=${encodeURIComponent(did)}`), { verkey: now.verkey });
  // bob was notified under the former key
  const rotated = (id: string, state: string) => (one: Body) => one.connection_id === id && one.new_did === did && one.state === state;
  const twice = (agent: TestAgent, id: string, state: string) => (): boolean =>
    agent.hooks.list.filter((hook) => hook.topic === 'did-rotate' && rotated(id, state)(hook.payload)).length === 2;
  await until(twice(alice, ids.inviter, 'ack-received'), 'the second ack');
  await until(twice(bob, ids.invitee, 'ack-sent'), 'the second notice');
  const document = await documentAt(bob);
  const methods = document.verificationMethod.map(({ id }: Body) => id);
  assert.deepEqual(methods, ['#key-2', '#key-1', '#key-agreement-2']);
  assert.deepEqual([document.authentication, document.assertionMethod], [['#key-2'], ['#key-2', '#key-1']]);
  assert.deepEqual(document.service[0].recipientKeys, ['#key-2']);
  await talk(ids.inviter, ids.invitee);
  for (const jwt of [
    old,
    await sign(),
    await sign({ verificationMethod: `${did}#key-1` }),
    await sign({ verificationMethod: `${did}#key-2` }),
  ]) {
    const { valid } = await bob.post('/wallet/jwt/verify', { jwt });
    assert.equal(valid, true, jwt);
  }
  const schema = { schema: { issuerId: did, name: 'after', version: '1.0', attrNames: ['a'] } };
  assert.equal((await alice.post('/anoncreds/schema', schema)).schema_state.state, 'finished');
});

test('requests for invitations of before come to either key and are answered under it', async () => {
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=true&multi_use=true', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    use_public_did: true,
  });
  await bob.get(`/resolver/resolve/${did}`);
  await rotate();
  const invited = await publicConnection(made);
  await talk(invited.mine, invited.theirs);
});

test('a response by the DID is taken by who has its former document in memory', async () => {
  const made = await alice.post('/out-of-band/create-invitation?auto_accept=false', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  await bob.get(`/resolver/resolve/${did}`);
  await rotate();
  const got = await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const asked = await alice.event('connections', (one) => one.state === 'request' && one.invitation_msg_id === made.invi_msg_id, 'it');
  await alice.post(`/didexchange/${asked.connection_id}/accept-request?use_public_did=true`);
  await bob.event('connections', (one) => one.connection_id === got.connection_id && one.state === 'active', 'the connection');
  await alice.event('connections', (one) => one.connection_id === asked.connection_id && one.state === 'active', 'the other side');
  await talk(asked.connection_id, got.connection_id);
});

test('the agent writes under the new key once its peer has acknowledged it, and mail for the old ones is opened', async () => {
  const ids = await sharedConnection();
  const before = await present();
  await rotate();
  await until(async () => {
    const [row] = await rowsOf(ids.inviter);
    return row?.my_verkey !== before.verkey;
  }, 'the new key');
  await talk(ids.inviter, ids.invitee);
});

/** What alice's store keeps of a connection. */
const rowsOf = async (id: string): Promise<Body[]> => {
  const [rows] = await alice.agent.kernel.db.store.load('base', [{ category: 'connection', id }]);
  return (rows ?? []).map((row: Body) => row.value);
};

test('former keys leave the document where that is asked for', async () => {
  const former = await sign();
  const answer = await rotate('?remove_former_keys=true');
  assert.equal(answer.status, 200, answer.text);
  const document = await documentAt(alice);
  assert.equal(document.verificationMethod.length, 2);
  const refused = await alice.call('POST', '/wallet/jwt/verify', { jwt: former });
  assert.equal(refused.status, 400, refused.text);
  const { endpoint } = (await present()).metadata;
  await alice.post('/wallet/set-did-endpoint', { did, endpoint: `${endpoint}/moved` });
  const moved = await documentAt(alice);
  assert.deepEqual(moved.verificationMethod, document.verificationMethod);
  await alice.post('/wallet/set-did-endpoint', { did, endpoint });
});

test('a rotation that the ledger refuses changes nothing, and its key is used by the next one', async () => {
  const before = await present();
  await admin(devnet, 'POST', 'faults', {
    kind: 'reject',
    path: '/v2/transactions',
    message: 'logic eval error: assert failed',
    times: 20,
  });
  const answer = await rotate();
  assert.equal(answer.status, 400, answer.text);
  await admin(devnet, 'DELETE', 'faults');
  const between = await present();
  assert.equal(between.verkey, before.verkey);
  assert.match(between.error_msg, /assert failed/);
  assert.equal((await rotate()).status, 200);
  assert.notEqual((await present()).verkey, before.verkey);
});

test('a DID that is not posted has its keys changed at once, and its control key writes it later', async () => {
  const { result: fresh } = await alice.post('/wallet/did/create', { method: 'algo', seed: 'seed-of-a-did-that-is-rotated-00' });
  const local = `/wallet/did/local/rotate-keypair?did=${encodeURIComponent(fresh.did)}`;
  assert.deepEqual((await alice.call('PATCH', local)).body, {});
  const [rotated] = (await alice.get(`/wallet/did?did=${encodeURIComponent(fresh.did)}`)).results;
  assert.notEqual(rotated.verkey, fresh.verkey);
  const { result: again } = await alice.post('/wallet/did/create', { method: 'algo', seed: 'seed-of-a-did-that-is-rotated-00' });
  assert.deepEqual([again.did, again.verkey], [fresh.did, rotated.verkey]);
  const { result: public_ } = await alice.post(`/wallet/did/public?did=${encodeURIComponent(fresh.did)}`);
  assert.equal(public_.posture, 'public');
  assert.deepEqual(await alice.get(`/ledger/did-verkey?did=${encodeURIComponent(fresh.did)}`), { verkey: rotated.verkey });
  assert.equal((await alice.call('PATCH', local)).status, 400);
  const other = await rotate(`?did=${encodeURIComponent(did)}`);
  assert.equal(other.status, 200, other.text);
  assert.equal((await rotate('?did=did:algo:custom:app:1:00')).status, 404);
  for (const method of ['key', 'did:peer:4']) {
    const { result } = await alice.post('/wallet/did/create', { method });
    const refused = await alice.call('PATCH', `/wallet/did/local/rotate-keypair?did=${encodeURIComponent(result.did)}`);
    assert.equal(refused.status, 400, refused.text);
  }
});

test('control goes to a new key, to one of two and back; definitions are written throughout', async () => {
  const authority = async (): Promise<Body> => (await alice.get('/wallet/did/control')).result;
  const hand = (body: Body) => alice.call('PATCH', '/wallet/did/control', body);
  const schema = async (name: string): Promise<void> => {
    const { schema_state } = await alice.post('/anoncreds/schema', {
      schema: { issuerId: did, name, version: '1.0', attrNames: ['a'] },
    });
    assert.equal(schema_state.state, 'finished', name);
  };
  const first = await authority();
  assert.deepEqual([first.in_wallet, first.account, first.operator], [true, first.authority, null]);
  const moved = await hand({});
  assert.deepEqual([moved.status, moved.body.result?.state], [200, 'finished'], moved.text);
  const second = await authority();
  assert.deepEqual([second.in_wallet, second.verkeys, second.account], [true, moved.body.result.verkeys, first.account]);
  assert.notEqual(second.authority, first.account);
  await schema('under another key');
  await rotate();
  const cold = (await bob.post('/wallet/did/create', { method: 'key' })).result.verkey;
  assert.equal((await hand({ verkeys: [cold], new_key: false })).status, 400);
  const shared = await hand({ verkeys: [cold] });
  assert.deepEqual([shared.status, shared.body.result?.verkeys[1]], [200, cold], shared.text);
  await schema('under one of two keys');
  const { result: appointed } = (await alice.call('PATCH', '/wallet/did/operator', {})).body;
  assert.deepEqual([appointed.state, (await authority()).operator], ['finished', appointed.operator]);
  const external = await hand({ verkeys: [cold], new_key: false, external: true });
  assert.equal(external.body?.result?.state, 'finished', external.text);
  const lent = await authority();
  assert.deepEqual([lent.in_wallet, lent.verkeys, lent.operator_in_wallet], [false, undefined, true]);
  await schema('by the operator');
  const refused = await rotate();
  assert.equal(refused.status, 400);
  assert.match(refused.text, /no key of this wallet/);
  assert.match((await present()).error_msg, /no key of this wallet/);
});
