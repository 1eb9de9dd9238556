import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { toJwk } from '../../src/dids/did-key.ts';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import type { Devnet } from '../support/ledger.ts';

const world = createWorld({ held: true });
let alice: TestAgent;
let bob: TestAgent;
let devnet: Devnet;
before(async () => {
  devnet = await world.devnet();
  alice = await world.start('alice', { devnet, sponsor: true });
  bob = await world.start('bob', { devnet });
});
after(() => world.close());

const create = async (body: Body): Promise<Body> => (await alice.post('/wallet/did/create', body)).result;
const SEED = '000000000000000000000000Trustee1';
const decoded = (part: string): Body => JSON.parse(Buffer.from(part, 'base64url').toString());

test('DIDs of every method can be made, found by every filter, and a seed makes the same one twice', async () => {
  for (const method of ['key', 'algo', 'did:peer:2', 'did:peer:4']) {
    const made = await create({ method });
    assert.match(
      made.did,
      { key: /^did:key:z6Mk/, algo: /^did:algo:/, 'did:peer:2': /^did:peer:2\.V/, 'did:peer:4': /^did:peer:4zQm/ }[method]!,
    );
    for (const query of [
      `did=${encodeURIComponent(made.did)}`,
      `verkey=${made.verkey}`,
      `method=${method}&posture=wallet_only&key_type=ed25519`,
    ]) {
      const { results } = await alice.get(`/wallet/did?${query}`);
      assert.ok(
        results.some((one: Body) => one.did === made.did),
        query,
      );
    }
    if (method !== 'algo') assert.equal((await alice.get(`/resolver/resolve/${made.did}`)).did_document.id, made.did);
  }
  assert.deepEqual(await create({ method: 'key', seed: SEED }), await create({ method: 'key', seed: SEED }));
  assert.equal((await alice.call('POST', '/wallet/did/create', { method: 'algo', seed: SEED })).status, 400);
  assert.equal((await alice.get('/wallet/did?posture=posted')).results.length, 0);
  for (const query of ['posture=nowhere', 'key_type=rsa'])
    assert.equal((await alice.call('GET', `/wallet/did?${query}`)).status, 422, query);
});

test('the endpoint of a DID is set in the wallet, and on the ledger where the DID is there', async () => {
  const { did } = await create({ method: 'algo' });
  const path = `/wallet/get-did-endpoint?did=${encodeURIComponent(did)}`;
  assert.deepEqual(await alice.get(path), { did, endpoint: null });
  assert.deepEqual(await alice.post('/wallet/set-did-endpoint', { did, endpoint: 'https://before.example/x' }), {});
  assert.equal((await alice.get(path)).endpoint, 'https://before.example/x');
  await alice.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
  const endpoint = async (): Promise<string | undefined> =>
    (await bob.get(`/resolver/resolve/${did}`)).did_document.service?.[0].serviceEndpoint;
  assert.equal(await endpoint(), 'https://before.example/x');
  await alice.post('/wallet/set-did-endpoint', { did, endpoint: 'https://after.example' });
  assert.equal((await alice.get(path)).endpoint, 'https://after.example');
  const [row] = (await alice.get(`/wallet/did?did=${encodeURIComponent(did)}`)).results;
  assert.deepEqual([row.posture, row.metadata], ['public', { endpoint: 'https://after.example' }]);
  assert.equal((await bob.call('GET', path)).status, 404);
  for (const [body, status] of [
    [{ did: 'did:key:none', endpoint: 'https://x.example' }, 404],
    [{ did, endpoint: 'no endpoint' }, 422],
    [{ did, endpoint: 'https://x.example', endpoint_type: 'Other' }, 422],
    [{ did, endpoint: 'https://x.example', endpoint_type: 'Profile' }, 400],
  ] as const)
    assert.equal((await alice.call('POST', '/wallet/set-did-endpoint', body)).status, status, JSON.stringify(body));
  // an agent that asked before keeps its answer for half a minute: one that did not sees the change
  const dora = await world.start('dora', { devnet });
  assert.equal((await dora.get(`/resolver/resolve/${did}`)).did_document.service[0].serviceEndpoint, 'https://after.example');
});

test('no key can be rotated: each DID is made of its key', async () => {
  const { did } = await create({ method: 'key' });
  const rotate = (which: string) => alice.call('PATCH', `/wallet/did/local/rotate-keypair?did=${encodeURIComponent(which)}`);
  assert.deepEqual(
    [(await rotate(did)).text, (await rotate('did:key:none')).status],
    ["400: DID method 'key' does not support key rotation.", 404],
  );
});

test('a JWT that a DID of the wallet signed is verified anywhere; one that was changed is not', async () => {
  for (const method of ['key', 'did:peer:2', 'did:peer:4', 'algo']) {
    const { did } = await create({ method });
    if (method === 'algo') await alice.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
    const { status, body: jwt } = await alice.call('POST', '/wallet/jwt/sign', {
      did,
      payload: { sub: 'Zoë' },
      headers: { typ: 'x', alg: 'none' },
    });
    assert.equal(status, 200, jwt);
    const { valid, headers, payload, kid } = await bob.post('/wallet/jwt/verify', { jwt });
    assert.deepEqual([valid, payload, headers.alg, headers.typ, kid.split('#')[0]], [true, { sub: 'Zoë' }, 'EdDSA', 'x', did]);
    const again = await alice.post('/wallet/jwt/sign', { verificationMethod: kid, payload: { sub: 'Zoë' } });
    assert.equal((await bob.post('/wallet/jwt/verify', { jwt: again })).valid, true);
    const [head, , signature] = jwt.split('.');
    const forged = `${head}.${Buffer.from('{"sub": "Eve"}').toString('base64url')}.${signature}`;
    assert.equal((await bob.post('/wallet/jwt/verify', { jwt: forged })).valid, false);
    assert.equal((await bob.call('POST', '/wallet/jwt/sign', { did, payload: {} })).status, 404);
    assert.equal((await bob.call('POST', '/wallet/jwt/sign', { verificationMethod: kid, payload: {} })).status, 404);
  }
});

test('a JWT under P-256 is verified; one without what it needs is refused', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const point = publicKey.export({ format: 'jwk' });
  const bytes = Buffer.concat([Buffer.from([2 + (Buffer.from(point.y!, 'base64url').at(-1)! & 1)]), Buffer.from(point.x!, 'base64url')]);
  assert.equal(toJwk({ type: 'p256', bytes }).y, point.y);
  const { createDidKey } = await import('../../src/dids/did-key.ts');
  const did = createDidKey({ type: 'p256', bytes });
  const token = (header: object): string => {
    const text = [header, { a: 1 }].map((one) => Buffer.from(JSON.stringify(one)).toString('base64url')).join('.');
    return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  const kid = `${did}#${did.slice(8)}`;
  const verify = (jwt: string) => alice.call('POST', '/wallet/jwt/verify', { jwt });
  assert.equal((await verify(token({ alg: 'ES256', kid }))).body.valid, true);
  assert.equal((await verify(token({ alg: 'EdDSA', kid }))).body.valid, false);
  for (const [header, text] of [
    [{ kid }, /^400: Missing 'alg'/],
    [{ alg: 'ES256' }, /^400: Missing 'kid'/],
    [{ alg: 'none', kid }, /^400: Unsupported 'alg'/],
    [{ alg: 'HS256', kid }, /^400: Unsupported 'alg'/],
    [{ alg: 'EdDSA', kid: 'did:example:x#1' }, /^400: DIDs of method example/],
    [{ alg: 'ES256', kid: `${did}#other` }, /^400: Unable to dereference/],
  ] as const)
    assert.match((await verify(token(header))).text, text);
  assert.equal((await verify('no jwt')).status, 422);
  assert.equal((await verify('a.b.c')).status, 400);
  assert.equal(decoded(token({ alg: 'ES256' }).split('.')[0]!).alg, 'ES256');
});

test('keys of the wallet have names, one each, and sign under them', async () => {
  const made = await alice.call('POST', '/wallet/keys', { kid: 'did:web:example.com#key-01' });
  assert.equal(made.status, 201);
  assert.match(made.body.multikey, /^z6Mk/);
  assert.deepEqual(Object.keys(made.body), ['kid', 'multikey']);
  assert.deepEqual(await alice.get(`/wallet/keys/${made.body.multikey}`), made.body);
  assert.match(
    (await alice.call('POST', '/wallet/keys', { kid: made.body.kid })).text,
    /^400: kid 'did:web:example.com#key-01' already exists/,
  );
  const other = (await alice.call('POST', '/wallet/keys', {})).body;
  assert.equal(other.kid, null);
  assert.equal((await alice.call('PUT', '/wallet/keys', { multikey: other.multikey, kid: made.body.kid })).status, 400);
  const named = { multikey: other.multikey, kid: 'did:web:example.com#key-02' };
  assert.deepEqual((await alice.call('PUT', '/wallet/keys', named)).body, { kid: named.kid, multikey: named.multikey });
  const jwt = await alice.post('/wallet/jwt/sign', { verificationMethod: named.kid, payload: {} });
  assert.equal(decoded(jwt.split('.')[0]).kid, named.kid);
  const { verkey } = await create({ method: 'key', seed: SEED });
  const multikey = (await create({ method: 'key', seed: SEED })).did.slice(8);
  assert.ok(verkey);
  assert.deepEqual(await alice.get(`/wallet/keys/${multikey}`), { kid: null, multikey });
  assert.equal((await bob.call('GET', `/wallet/keys/${multikey}`)).status, 404);
  assert.equal((await alice.call('POST', '/wallet/keys', { alg: 'bls12381g2' })).status, 400);
});

test('a connection has metadata and endpoints', async () => {
  const { inviter: id } = await connect(alice, bob);
  const path = `/connections/${id}/metadata`;
  assert.deepEqual(await alice.get(path), { results: {} });
  assert.deepEqual(await alice.post(path, { metadata: { a: { b: 1 }, c: 2 } }), { results: { a: { b: 1 }, c: 2 } });
  assert.deepEqual(await alice.post(path, { metadata: { c: 3 } }), { results: { a: { b: 1 }, c: 3 } });
  assert.deepEqual(await alice.get(`${path}?key=a`), { results: { b: 1 } });
  for (const key of ['none', '__proto__', 'constructor']) assert.deepEqual(await alice.get(`${path}?key=${key}`), { results: null });
  assert.deepEqual(await alice.get(`/connections/${id}/endpoints`), { my_endpoint: alice.inbound, their_endpoint: bob.inbound });
  for (const [method, rest, body] of [
    ['GET', 'metadata', undefined],
    ['POST', 'metadata', { metadata: {} }],
    ['GET', 'endpoints', undefined],
  ] as const)
    assert.equal((await alice.call(method, `/connections/nobody/${rest}`, body)).status, 404);
  assert.equal((await alice.call('POST', path, {})).status, 422);
});

test('the list of connections knows the states of RFC 0160 and RFC 0023, and refuses others', async () => {
  const { inviter: id } = await connect(alice, bob);
  const states = async (state: string): Promise<boolean> =>
    (await alice.get(`/connections?state=${state}`)).results.some((one: Body) => one.connection_id === id);
  for (const state of ['active', 'completed']) assert.equal(await states(state), true, state);
  for (const state of ['init', 'start', 'invitation', 'request', 'request-sent', 'response-received', 'error', 'abandoned'])
    assert.equal(await states(state), false, state);
  for (const path of ['/connections', '/issue-credential-2.0/records', '/present-proof-2.0/records'])
    assert.match((await alice.call('GET', `${path}?state=bogus`)).text, /^422: state: bogus is none of /);
});

test('two agents with a static connection on both sides write to each other', async () => {
  const seeds = { alice: 'alice'.padEnd(32, '0'), bob: 'bob'.padEnd(32, '0') };
  const one = await alice.post('/connections/create-static', {
    my_seed: seeds.alice,
    their_seed: seeds.bob,
    their_endpoint: bob.inbound,
    alias: 's',
  });
  const other = await bob.post('/connections/create-static', {
    my_seed: seeds.bob,
    their_did: one.my_did,
    their_verkey: one.my_verkey,
    their_endpoint: one.my_endpoint,
  });
  assert.deepEqual([other.my_did, other.my_verkey], [one.their_did, one.their_verkey]);
  assert.deepEqual([one.record.state, one.record.invitation_mode, one.record.alias], ['active', 'static', 's']);
  await alice.post(`/connections/${one.record.connection_id}/send-message`, { content: 'hello' });
  const received = await bob.event('basicmessages', () => true, 'the message');
  assert.deepEqual([received.content, received.connection_id], ['hello', other.record.connection_id]);
  assert.match((await alice.call('POST', '/connections/create-static', {})).text, /^400: Either a verkey or seed/);
  assert.equal((await alice.call('POST', '/connections/create-static', { their_did: 'x', their_verkey: 'y' })).status, 400);
});

test('answers of the wallet hold no secret', () => {
  const everything = alice.answers.join('\n');
  assert.doesNotMatch(everything, new RegExp(SEED));
  assert.doesNotMatch(everything, /secret|private|seed"/i);
});
