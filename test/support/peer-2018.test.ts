import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode, encode } from '@msgpack/msgpack';
import { agent2018Type } from '../../src/didcomm/agent-2018-types.ts';
import { encodeText, openAnon, openAuth, packBase, parseBase, payloadOf, sealAuth, sealedIn } from '../../src/didcomm/envelope-2018.ts';
import {
  askProof,
  auth,
  base58,
  credentialFor,
  encodedValue,
  hold,
  type Issuer,
  issue,
  type Json,
  type Link,
  makeKey,
  makeWallet,
  objectsOf,
  offerCredential,
  type Peer2018,
  PeerRefused,
  type Profile,
  proofRequest,
  prove,
  requestCredential,
  seal,
  startPeer2018,
  typeOf,
  unauth,
  unbase58,
  unseal,
} from './peer-2018.ts';

/** The scripted peer against itself: what is wrong in it would hide what is wrong in the agent. */

const vector = (path: string): Json => JSON.parse(readFileSync(fileURLToPath(new URL(`../vectors/${path}`, import.meta.url)), 'utf8'));

const refused =
  (reason: RegExp) =>
  (error: unknown): boolean =>
    error instanceof PeerRefused && reason.test(error.message);

async function twoPeers(profile: Profile = 'spec'): Promise<{ alice: Peer2018; bob: Peer2018 }> {
  const ledger = new Map<string, { verkey: string; endpoint?: string }>();
  const [alice, bob] = [await startPeer2018({ profile, ledger }), await startPeer2018({ profile, ledger })];
  after(async () => {
    await alice.close();
    await bob.close();
  });
  return { alice, bob };
}

async function connect(alice: Peer2018, bob: Peer2018): Promise<{ a: Link; b: Link }> {
  const offer = alice.offer();
  const [a, b] = await Promise.all([alice.connect(offer), bob.accept(offer)]);
  return { a, b };
}

suite('the keys and encodings of the scripted peer', () => {
  test('are those of the vectors', () => {
    const { keys, transcript } = vector('agent-protocol-2018/messages.json');
    for (const { seed_utf8, did, verkey } of Object.values<Json>(keys)) {
      const key = makeKey(Buffer.from(seed_utf8));
      assert.deepEqual([key.did, key.verkey], [did, verkey]);
    }
    for (const {
      base_message: { type },
    } of transcript)
      assert.equal(typeOf(type.split('/').at(-1)), type);
  });

  test('base58 keeps leading zeros', () => {
    for (const hex of ['', '00', '0000', '0001', '00ff00', 'ffffffff']) {
      assert.equal(Buffer.from(unbase58(base58(Buffer.from(hex, 'hex')))).toString('hex'), hex);
    }
  });

  test('values are encoded as in the vector', () => {
    const { values } = vector('anoncreds/anoncreds-rs-wasm-flow.json').credential_as_issued;
    for (const { raw, encoded } of Object.values<Json>(values)) assert.equal(encodedValue(raw), encoded);
  });
});

suite('two scripted peers', () => {
  for (const profile of ['spec', 'indy-node'] as const) {
    test(`connect in profile ${profile}`, async () => {
      const { alice, bob } = await twoPeers(profile);
      const { a, b } = await connect(alice, bob);
      assert.deepEqual([a.theirs.did, a.theirs.verkey], [b.mine.did, b.mine.verkey]);
      assert.deepEqual([b.theirs.did, b.theirs.verkey], [a.mine.did, a.mine.verkey]);
      assert.notEqual(a.mine.did, alice.self.did);
      const types = [...alice.inbox.list, ...bob.inbox.list].map((mail) => mail.base.type);
      const names = ['connection_request', 'connection_acknowledgement', 'connection_response'] as const;
      assert.deepEqual(
        types,
        names.map((name) => typeOf(name, profile)),
      );
      const [mail] = alice.inbox.list;
      assert.equal(mail!.path, '/indy');
      assert.equal(mail!.contentType, profile === 'spec' ? 'text/plain; charset=us-ascii' : 'application/json');
      assert.deepEqual(Object.keys(mail!.base), profile === 'spec' ? ['id', 'type', 'message'] : ['type', 'message']);
    });
  }

  test('connect without an offer, and with a signed response', async () => {
    const { alice, bob } = await twoPeers();
    const [a, b] = await Promise.all([alice.connect(undefined, { signer: alice.endpoint }), bob.accept(alice.self)]);
    assert.equal(a.mine.did, b.theirs.did);
    const key = makeKey();
    const offer = bob.readOffer(alice.offer({ offer_verkey: key.verkey }));
    const [pending] = await Promise.all([bob.request(offer)]);
    const request = await alice.requested(offer);
    await alice.respond(request, {}, { signer: alice.endpoint });
    await assert.rejects(bob.response(pending), refused(/signed by another key/));
    await alice.respond(request, {}, { signer: key });
    await bob.response(pending);
  });

  const wrongResponses: [string, (alice: Peer2018, request: Json) => Promise<unknown>, RegExp][] = [
    ['another nonce', (alice, request) => alice.respond(request, { request_nonce: '0'.repeat(32) }), /another nonce/],
    ['two nonces', (alice, request) => alice.respond(request, { nonce: '0'.repeat(32) }), /two nonces/],
    ['another verkey', (alice, request) => alice.respond(request, { verkey: makeKey().verkey }), /not that of the DID/],
    ["the endpoint's DID", (alice, request) => alice.respond(request, {}, { key: alice.endpoint }), /endpoint's/],
    ['the wrong key', (alice, request) => alice.respond(request, {}, { recipient: makeKey().verkey }), /does not open/],
    ['no encryption', (alice, request) => alice.respond(request, {}, { clear: true }), /not base64/],
    ['more members', (alice, request) => alice.respond(request, {}, { change: (base) => ({ ...base, more: 1 }) }), /other members/],
  ];
  for (const [what, respond, reason] of wrongResponses) {
    test(`a response with ${what} is refused`, async () => {
      const { alice, bob } = await twoPeers();
      const offer = alice.offer();
      const pending = await bob.request(offer);
      await respond(alice, await alice.requested(offer));
      await assert.rejects(bob.response(pending), refused(reason));
    });
  }

  test('a signature that does not fit is refused', async () => {
    const { alice, bob } = await twoPeers();
    const offer = alice.offer();
    const pending = await bob.request(offer);
    const request = await alice.requested(offer);
    await alice.respond(request, { sig: { verkey: alice.self.verkey, signature: 'A'.repeat(86).concat('==') } });
    await assert.rejects(bob.response(pending), refused(/signature does not fit/));
  });

  test('a container in another order is refused', () => {
    const [from, to] = [makeKey(), makeKey()];
    const { msg, sender, nonce } = decode(unseal(to, auth(from, to.verkey, Buffer.from('x')))) as Json;
    const open = (combo: object) => unauth(to, seal(to.verkey, encode(combo)));
    assert.equal(Buffer.from(open({ msg, sender, nonce }).bytes).toString(), 'x');
    assert.throws(() => open({ sender, msg, nonce }), refused(/other members/));
    assert.throws(() => open({ msg: Buffer.from(msg), sender, nonce }), refused(/not base64/));
    // A string of 24 characters has a header of one byte; here it has two.
    const container = Buffer.from(encode({ msg, sender, nonce }));
    const longer = Buffer.concat([container.subarray(0, 5), Buffer.of(0xd9, msg.length), container.subarray(6)]);
    assert.deepEqual(decode(longer), { msg, sender, nonce });
    assert.throws(() => unauth(to, seal(to.verkey, longer)), refused(/as libindy writes it/));
  });

  test('a peer of one profile may be answered in the other', async () => {
    const ledger = new Map();
    const alice = await startPeer2018({ hears: 'indy-node', ledger });
    const bob = await startPeer2018({ profile: 'indy-node', hears: 'spec', ledger });
    after(() => Promise.all([alice.close(), bob.close()]));
    const [a, b] = await Promise.all([alice.connect(), bob.accept(alice.self)]);
    assert.equal(a.theirs.did, b.mine.did);
  });

  const wrongRequests: [string, Json, RegExp][] = [
    ['two nonces', { request_nonce: '0'.repeat(32) }, /two names/],
    ['another verkey', { verkey: makeKey().verkey }, /not that of the DID/],
    ['no verkey', { verkey: undefined }, /not known/],
    ["another's endpoint key", { endpoint_verkey: makeKey().verkey }, /not that of the DID/],
    ['no endpoint', { endpoint: undefined }, /where to answer/],
  ];
  for (const [what, more, reason] of wrongRequests) {
    test(`a request with ${what} is refused`, async () => {
      const { alice, bob } = await twoPeers();
      const offer = alice.offer();
      await bob.request(offer, more);
      await assert.rejects(alice.requested(offer), refused(reason));
    });
  }

  test('an acknowledgement that is wrong is refused', async () => {
    const { alice, bob } = await twoPeers();
    const offer = alice.offer();
    const pending = await bob.request(offer);
    const a = await alice.respond(await alice.requested(offer));
    const b = await bob.response(pending);
    await bob.acknowledge(b, { sender: makeKey() });
    await assert.rejects(alice.acknowledged(a), refused(/not the one of the connection/));
    await bob.acknowledge(b, { sender: makeKey(), claimed: b.mine.verkey });
    await assert.rejects(alice.acknowledged(a), refused(/not from the sender/));
    await bob.acknowledge(b, { inside: '"failure"' });
    await assert.rejects(alice.acknowledged(a), refused(/says "failure"/));
    await bob.acknowledge(b, { clear: true });
    await assert.rejects(alice.acknowledged(a), refused(/not base64/));
    // those of another connection and of another type are not taken for it: they would be refused
    await bob.acknowledge(b, { id: 'x', inside: '"failure"' });
    await bob.acknowledge(b, { type: typeOf('proof'), inside: '"failure"' });
    await bob.acknowledge(b);
    await alice.acknowledged(a);
  });

  test('a payload can be sent again as it was, and in a new seal', async () => {
    const { alice, bob } = await twoPeers();
    const { a, b } = await connect(alice, bob);
    const sent = await bob.acknowledge(b);
    const first = await alice.received(a, 'connection_acknowledgement');
    await bob.replay(sent);
    await bob.reseal(sent);
    for (let i = 0; i < 2; i++) assert.equal((await alice.received(a, 'connection_acknowledgement')).nonce, first.nonce);
    const [again, resealed] = alice.inbox.list.slice(-2).map((mail) => mail.body.toString());
    assert.equal(again, sent.payload);
    assert.notEqual(resealed, sent.payload);
  });

  test('a message that does not open is answered 400 and stored with its reason', async () => {
    const { alice, bob } = await twoPeers();
    const { b } = await connect(alice, bob);
    for (const hooks of [{ unsealed: true }, { sealTo: makeKey().verkey }, { form: 'raw' }] as const) {
      assert.equal((await bob.acknowledge(b, hooks)).status, 400);
      assert.match(alice.inbox.list.at(-1)!.reason!, /PeerRefused/);
    }
    assert.equal((await alice.post(bob.url, 'x')).status, 400);
    assert.equal((await alice.post(`${bob.url}/else`, 'x')).status, 404);
    bob.answer.status = 503;
    assert.equal((await alice.post(bob.url, 'x')).status, 503);
  });
});

suite('the scripted peer and the codec of the agent', () => {
  test('open what the other made', async () => {
    const { alice, bob } = await twoPeers();
    const { a, b } = await connect(alice, bob);
    const pair = { verkey: a.mine.verkey, secretKey: a.mine.secret };
    for (const form of ['text', 'json', 'raw'] as const) {
      const sent = await bob.acknowledge(b, { form });
      const bytes = Buffer.from(sent.payload as string);
      const base = parseBase(openAnon({ verkey: alice.endpoint.verkey, secretKey: alice.endpoint.secret }, payloadOf(bytes)));
      const opened = openAuth(pair, sealedIn(base.message));
      assert.deepEqual([base.id, opened.sender, opened.message.toString()], [b.mine.did, b.mine.verkey, '"success"']);
    }
    const message = encodeText(sealAuth(pair, b.mine.verkey, Buffer.from('"success"')));
    const payload = packBase(bob.endpoint.verkey, { id: a.mine.did, type: agent2018Type('connection_acknowledgement'), message });
    assert.equal((await alice.post(bob.url, payload, 'text/plain; charset=us-ascii')).status, 202);
    assert.equal((await bob.received(b, 'connection_acknowledgement')).text, '"success"');
  });
});

const library = process.env.LIB_ANONCREDS_PATH;
const here = library !== undefined && ['libanoncreds.so', 'libanoncreds.dylib'].some((file) => existsSync(join(library, file)));

suite('credentials and proofs of two scripted peers', { skip: here ? false : 'LIB_ANONCREDS_PATH names no folder' }, () => {
  const flow = vector('anoncreds/anoncreds-rs-wasm-flow.json');
  const issuer: Issuer = {
    schemaId: flow.schema_id,
    schema: flow.schema,
    credDefId: flow.cred_def_id,
    credDef: flow.credential_definition,
    credDefPrivate: flow.credential_definition_private,
    keyCorrectnessProof: flow.key_correctness_proof,
  };
  const objects = objectsOf(issuer);
  const values = { name: 'Bob', age: '30', degree: 'MSc' };

  for (const profile of ['spec', 'indy-node'] as const) {
    test(`one issues, the other holds and proves, in profile ${profile}`, async () => {
      const { alice, bob } = await twoPeers(profile);
      const { a, b } = await connect(alice, bob);
      const wallet = await makeWallet();
      const [held, issued] = await Promise.all([hold(bob, b, wallet, objects), issue(alice, a, issuer, values)]);
      assert.deepEqual(held.preview, values);
      assert.equal(held.credential.values.name.raw, 'Bob');
      assert.equal(issued.request.entropy, b.mine.did);

      const request = proofRequest(['name'], { old: { name: 'age', p_type: '>=', p_value: 18 } });
      const [asked] = await Promise.all([askProof(alice, a, objects, request), prove(bob, b, wallet, objects)]);
      assert.equal(asked.verified, true);
      assert.equal(asked.proof.requested_proof.revealed_attrs.name.raw, 'Bob');

      // A value that was not proven, a proof for another request, a nonce that names another request.
      const changeValue = (proof: Json): Json => {
        const changed = structuredClone(proof);
        Object.assign(changed.requested_proof.revealed_attrs.name, { raw: 'Eve', encoded: encodedValue('Eve') });
        return changed;
      };
      const changeRaw = (proof: Json): Json => {
        const changed = structuredClone(proof);
        changed.requested_proof.revealed_attrs.name.raw = 'Eve';
        return changed;
      };
      for (const changeProof of [changeValue, changeRaw, (proof: Json) => ({ ...asked.proof, nonce: proof.nonce })]) {
        const again = { ...proofRequest(['name']) };
        const [notified] = await Promise.all([askProof(alice, a, objects, again), prove(bob, b, wallet, objects, { changeProof })]);
        assert.equal(notified.verified, false);
      }
      const stale = askProof(alice, a, objects, proofRequest(['name']));
      await Promise.all([
        assert.rejects(stale, refused(/another nonce/)),
        prove(bob, b, wallet, objects, { changeProof: (proof) => ({ ...proof, nonce: request.nonce }) }),
      ]);
    });
  }

  test('a value with another encoding is not stored, a request for another offer gets nothing', async () => {
    const { alice, bob } = await twoPeers();
    const { a, b } = await connect(alice, bob);
    const wallet = await makeWallet();
    const changeCredential = (credential: Json): Json => {
      const changed = structuredClone(credential);
      changed.values.name.raw = 'Eve';
      return changed;
    };
    await Promise.all([
      assert.rejects(hold(bob, b, wallet, objects), refused(/encoding of name/)),
      issue(alice, a, issuer, values, { changeCredential }),
    ]);
    assert.equal(wallet.credentials.length, 0);

    const changeOffer = (offer: Json): Json => ({ ...offer, nonce: '1234567890123456789' });
    const { offer } = await offerCredential(alice, a, issuer, values, { changeOffer });
    const { body: offered } = await bob.heardJson(b, 'credential_offer');
    await requestCredential(bob, b, wallet, objects, offered);
    const { body: request } = await alice.heardJson(a, 'credential_request');
    await assert.rejects(credentialFor(issuer, offer, request, values));
  });

  test('blinding data on the wire is refused', async () => {
    const { alice, bob } = await twoPeers();
    const { a, b } = await connect(alice, bob);
    await offerCredential(alice, a, issuer, values);
    await bob.say(b, 'credential_request', { request: {}, metadata: {} });
    await assert.rejects(alice.heardJson(a, 'credential_request'), refused(/metadata is on the wire/));
    await bob.say(b, 'credential_request', { '@type': typeOf('proof') });
    await assert.rejects(alice.heardJson(a, 'credential_request'), refused(/another type/));
  });
});
