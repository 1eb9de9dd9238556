import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { BASE } from '../../src/database.ts';
import { anchor, type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import {
  askProof,
  credentialFor,
  encodedValue,
  hold,
  issue,
  type Json,
  type Link,
  makeKey,
  makeWallet,
  type Objects,
  objectsOf,
  offerCredential,
  type Peer2018,
  proofFor,
  proofRequest,
  prove,
  requestCredential,
  startPeer2018,
  storeCredential,
  typeOf,
} from '../support/peer-2018.ts';
import { agentOffers, counted, later, lazy, makeIssuer, peerOffers, refused, silent } from './support.ts';

/** Requirement rows S2-113 and S2-115 to S2-121, and what goes with credentials and proofs: S2-03, D-03, D-15, D-16, D-17. */

const world = createWorld();
after(() => world.close());

const ISSUE = 'issue_credential_v2_0';
const PROVE = 'present_proof_v2_0';
const EXACT = 'urn:indy:sov:agent:message_type:sovrin.org/connection/1.0/';
const AUTO = [
  ...['--preserve-exchange-records', '--auto-accept-requests', '--auto-accept-invites', '--auto-respond-credential-offer'],
  ...['--auto-respond-credential-request', '--auto-store-credential', '--auto-respond-presentation-request', '--auto-verify-presentation'],
];

/** What the ledger says of our agent, for peers that read it: with a public DID that is its Endpoint DID. */
const known = new Map<string, { verkey: string; endpoint?: string }>();
async function startPeer(): Promise<Peer2018> {
  const peer = await startPeer2018({ ledger: known });
  world.defer(peer.close);
  return peer;
}
const devnet = lazy(() => world.devnet());
/** The scripted peer's own issuer. */
const scripted = lazy(async () => makeIssuer(await devnet()));
/** Our agent, which does by itself what it is asked for. */
const agent = lazy(async () => world.start('agent', { devnet: await devnet(), sponsor: true, flags: AUTO }));
/** What our agent issues, and how a peer knows it. */
const anchored = lazy(async () => {
  const faber = await agent();
  const { did, schemaId, credDefId } = await anchor(faber, ['name', 'age']);
  const { results } = await faber.get(`/wallet/did?did=${encodeURIComponent(did)}`);
  known.set(did, { verkey: results[0].verkey, endpoint: faber.inbound });
  const { schema } = await faber.get(`/anoncreds/schema/${encodeURIComponent(schemaId)}`);
  const { credential_definition: credDef } = await faber.get(`/anoncreds/credential-definition/${encodeURIComponent(credDefId)}`);
  return { credDefId, objects: objectsOf({ schemaId, schema, credDefId, credDef }) as Objects };
});

const VALUES = { name: 'Bob', age: '30' };
/** What the scripted issuer issues has one more. */
const THEIRS = { ...VALUES, degree: 'MSc' };
const preview = (values: Record<string, string>): Json => ({
  attributes: Object.entries(values).map(([name, value]) => ({ name, value })),
});
const sendOffer = async (faber: TestAgent, connection: string, values: Record<string, string>): Promise<string> => {
  const { credDefId } = await anchored();
  const body = { connection_id: connection, filter: { anoncreds: { cred_def_id: credDefId } }, credential_preview: preview(values) };
  return (await faber.post('/issue-credential-2.0/send-offer', body)).cred_ex_id;
};
const asked = async (faber: TestAgent, connection: string, anoncreds: Json): Promise<string> =>
  (await faber.post('/present-proof-2.0/send-request', { connection_id: connection, presentation_request: { anoncreds } })).pres_ex_id;
const adult = (credDefId: string): Json => ({
  requested_attributes: { name: { name: 'name', restrictions: [{ cred_def_id: credDefId }] } },
  requested_predicates: { adult: { name: 'age', p_type: '>=', p_value: 18, restrictions: [{ cred_def_id: credDefId }] } },
});
const ended = (one: TestAgent, topic: string, id: string, state = 'done'): Promise<Body> =>
  one.event(topic, (payload) => (payload.cred_ex_id ?? payload.pres_ex_id) === id && payload.state === state, `${state} of an exchange`);
const held = async (one: TestAgent): Promise<Json[]> => (await one.get('/credentials')).results;
/** What a peer was sent of one kind. */
const mails = (peer: Peer2018, name: Parameters<typeof typeOf>[0]): Json[] =>
  peer.inbox.list.map(({ base }) => base).filter((base) => base?.type === typeOf(name));

test('[S2-115] [S2-116] [S2-118] we offer and issue; the peer requests and holds', async () => {
  const faber = await agent();
  const { objects } = await anchored();
  const peer = await startPeer();
  const { id, link } = await agentOffers(faber, peer);
  const wallet = await makeWallet();
  const [exchange, got] = await Promise.all([sendOffer(faber, id, VALUES), hold(peer, link, wallet, objects)]);
  await ended(faber, ISSUE, exchange);
  assert.deepEqual(got.preview, VALUES);
  assert.equal(got.credential.values.name.raw, 'Bob');
  assert.deepEqual(
    peer.inbox.list.slice(-2).map(({ base }) => base.type),
    [`${EXACT}credential_offer`, `${EXACT}credential`],
  );
  assert.deepEqual(Object.keys(got.offer).sort(), ['cred_def_id', 'key_correctness_proof', 'nonce', 'schema_id']);
  assert.deepEqual(await faber.states(ISSUE, exchange), ['offer-sent', 'request-received', 'credential-issued', 'done']);
});

/** The peer issues a credential to our agent; the agent's exchange, once it is stored. */
async function issuedTo(
  holder: TestAgent,
  peer: Peer2018,
  link: Link,
  hooks: Parameters<typeof issue>[4] = {},
  values: Partial<typeof THEIRS> = {},
) {
  const next = later(holder);
  const made = await issue(peer, link, await scripted(), { ...THEIRS, ...values }, hooks);
  const { cred_ex_id } = await next(ISSUE, (one) => one.state === 'done');
  return { ...made, exchange: cred_ex_id as string };
}

test('[S2-115] [S2-117] [S2-118] [D-17] the peer offers and issues; we request, without a word of our secrets, and store', async () => {
  const holder = await agent();
  const peer = await startPeer();
  const { id, link } = await peerOffers(holder, peer);
  const { request, exchange } = await issuedTo(holder, peer, link);
  assert.deepEqual(await holder.states(ISSUE, exchange), ['offer-received', 'request-sent', 'credential-received', 'done']);
  const [base] = mails(peer, 'credential_request') as [Json];
  assert.equal(base.type, `${EXACT}credential_request`);
  // by name everything that leaves us: cred_request_metadata would let the issuer follow its credential
  const names = Object.keys(request).filter((name) => name !== 'entropy' && name !== 'prover_did');
  assert.deepEqual(names.sort(), ['blinded_ms', 'blinded_ms_correctness_proof', 'cred_def_id', 'nonce']);
  const { credDefId } = await scripted();
  assert.ok((await held(holder)).some((one) => one.cred_def_id === credDefId && one.attrs.name === 'Bob'));
  const record = await holder.get(`/issue-credential-2.0/records/${exchange}`);
  assert.equal(record.cred_ex_record.connection_id, id);
});

test('[S2-118] [S2-119] [S2-121] the peer asks for a proof; we prove from what was stored', async () => {
  const holder = await agent();
  const peer = await startPeer();
  const { link } = await agentOffers(holder, peer);
  await issuedTo(holder, peer, link, {}, { name: 'Carol', age: '41' });
  const { credDefId, ...issuer } = await scripted();
  const objects = objectsOf({ ...issuer, credDefId });
  const next = later(holder);
  const request = proofRequest(['name'], { old: { name: 'age', p_type: '>=', p_value: 40 } }, [{ cred_def_id: credDefId }]);
  const { verified, proof } = await askProof(peer, link, objects, request);
  assert.equal(verified, true);
  assert.equal(proof.requested_proof.revealed_attrs.name.raw, 'Carol');
  assert.equal(mails(peer, 'proof').at(-1)!.type, `${EXACT}proof`);
  const { pres_ex_id } = await next(PROVE, (one) => one.state === 'done');
  assert.deepEqual(await holder.states(PROVE, pres_ex_id), ['request-received', 'presentation-sent', 'done']);
});

/** A peer that holds a credential of our agent. */
const prover = lazy(async () => {
  const faber = await agent();
  const { objects } = await anchored();
  const peer = await startPeer();
  const { id, link } = await peerOffers(faber, peer);
  const wallet = await makeWallet();
  await Promise.all([sendOffer(faber, id, VALUES), hold(peer, link, wallet, objects)]);
  return { peer, id, link, wallet };
});

test('[S2-119] [S2-120] we ask for a proof with a nonce of 80 random bits; the peer proves', async () => {
  const faber = await agent();
  const { credDefId, objects } = await anchored();
  const { peer, id, link, wallet } = await prover();
  const [exchange] = await Promise.all([asked(faber, id, adult(credDefId)), prove(peer, link, wallet, objects)]);
  const done = await ended(faber, PROVE, exchange);
  assert.equal(done.verified, 'true');
  assert.deepEqual(await faber.states(PROVE, exchange), ['request-sent', 'presentation-received', 'done']);
  assert.equal(mails(peer, 'proof_request').at(-1)!.type, `${EXACT}proof_request`);

  const nonces: bigint[] = [];
  for (let i = 0; i < 25; i++) {
    await asked(faber, id, adult(credDefId));
    nonces.push(BigInt((await peer.heardJson(link, 'proof_request')).body.nonce));
  }
  for (const nonce of nonces) assert.ok(nonce < 1n << 80n);
  // each of the bits is 0 in one and 1 in another, all but certainly
  for (let bit = 0n; bit < 80n; bit++) assert.equal(new Set(nonces.map((nonce) => (nonce >> bit) & 1n)).size, 2, `bit ${bit}`);
});

test('[S2-121] [D-16] a changed value, or the proof for another request, does not verify', async () => {
  const faber = await agent();
  const { credDefId, objects } = await anchored();
  const { peer, id, link, wallet } = await prover();
  const ask = async (changeProof: (proof: Json) => Json) => {
    const [exchange, sent] = await Promise.all([asked(faber, id, adult(credDefId)), prove(peer, link, wallet, objects, { changeProof })]);
    return { verified: (await ended(faber, PROVE, exchange)).verified, proof: sent.proof };
  };
  const right = await ask((proof) => proof);
  assert.equal(right.verified, 'true');
  const eve = { raw: 'Eve', encoded: encodedValue('Eve') };
  for (const value of [eve, { raw: 'Eve' }]) {
    const { verified } = await ask((proof) => {
      const changed = structuredClone(proof);
      Object.assign(changed.requested_proof.revealed_attrs.name, value);
      return changed;
    });
    assert.equal(verified, 'false');
  }
  assert.equal((await ask((proof) => ({ ...right.proof, nonce: proof.nonce }))).verified, 'false');
});

test('[S2-115] [S2-119] a credential that nobody offered and a proof that nobody asked for are refused', async () => {
  const faber = await agent();
  const { objects } = await anchored();
  const other = await prover();
  const peer = await startPeer();
  const { id, link } = await peerOffers(faber, peer);
  const before = [(await held(faber)).length, (await faber.get('/issue-credential-2.0/records')).results.length];
  const issuer = await scripted();
  const { offer } = await offerCredential(await startPeer(), link, issuer, THEIRS, { offer: { sealTo: makeKey().verkey } });
  const made = await requestCredential(await startPeer(), link, await makeWallet(), objectsOf(issuer), offer, { sealTo: makeKey().verkey });
  const credential = await credentialFor(issuer, offer, made.request, THEIRS);
  const notified = await refused(faber, () => peer.say(link, 'credential', credential), 'out-of-order');
  assert.equal(notified.connection_id, id);
  await refused(faber, () => peer.say(link, 'credential_request', made.request), 'out-of-order');
  const proof = await proofFor(other.wallet, objects, proofRequest(['name']));
  await refused(faber, () => peer.say(link, 'proof', { ...proof, nonce: '12345678901234567890' }), 'out-of-order');
  await refused(faber, () => peer.say(link, 'proof', proof), 'out-of-order');
  assert.deepEqual([(await held(faber)).length, (await faber.get('/issue-credential-2.0/records')).results.length], before);
});

test('[S2-117] of two holders, and of two offers to one, each gets its own values', async () => {
  const faber = await agent();
  const { objects } = await anchored();
  const [one, other] = [await startPeer(), await startPeer()];
  const places = [await agentOffers(faber, one), await agentOffers(faber, other)];
  const wallets = [await makeWallet(), await makeWallet()];
  const peers = [one, other];
  for (const [i, { id }] of places.entries()) await sendOffer(faber, id, { name: `holder ${i}`, age: `${20 + i}` });
  const offers = await Promise.all(places.map(({ link }, i) => peers[i]!.heardJson(link, 'credential_offer')));
  const requestOf = (i: number, offer: Json) => requestCredential(peers[i]!, places[i]!.link, wallets[i]!, objects, offer);
  const receive = async (i: number, metadata: Json) => {
    const { body } = await peers[i]!.heardJson(places[i]!.link, 'credential');
    return (await storeCredential(wallets[i]!, objects, metadata, body)).values.name.raw;
  };
  // who was offered last asks first
  const second = await requestOf(1, offers[1]!.body);
  const first = await requestOf(0, offers[0]!.body);
  assert.deepEqual([await receive(0, first.metadata), await receive(1, second.metadata)], ['holder 0', 'holder 1']);

  const { id, link } = places[0]!;
  await sendOffer(faber, id, { name: 'early', age: '1' });
  const early = await one.heardJson(link, 'credential_offer');
  await sendOffer(faber, id, { name: 'late', age: '2' });
  const late = await one.heardJson(link, 'credential_offer');
  assert.equal(await receive(0, (await requestOf(0, late.body)).metadata), 'late');
  assert.equal(await receive(0, (await requestOf(0, early.body)).metadata), 'early');
});

test('[S2-113] credentials and proofs are authenticated between the pairwise keys; nothing else is taken', async () => {
  const faber = await agent();
  const peer = await startPeer();
  const { link } = await agentOffers(faber, peer);
  const issuer = await scripted();
  const before = (await faber.get('/issue-credential-2.0/records')).results.length;
  const offer = (hooks: Json) => async () => (await offerCredential(peer, link, issuer, THEIRS, { offer: hooks })).sent;
  await refused(faber, offer({ clear: true }), 'malformed');
  await refused(faber, offer({ sender: makeKey() }), 'sender-mismatch');
  await refused(faber, offer({ sender: makeKey(), claimed: link.mine.verkey }), 'not-opened');
  await refused(faber, offer({ recipient: makeKey().verkey }), 'not-opened');
  const request = (hooks: Json) => () => peer.say(link, 'proof_request', proofRequest(['name']), hooks);
  await refused(faber, request({ clear: true }), 'malformed');
  await refused(faber, request({ sender: makeKey() }), 'sender-mismatch');
  assert.equal((await faber.get('/issue-credential-2.0/records')).results.length, before);
  // the same, right: heard checks the container and its sender by the letter
  await issuedTo(faber, peer, link);
});

test('[D-03] a message that is sent again, as it was or in a new seal, has no second effect', async () => {
  const faber = await agent();
  const peer = await startPeer();
  const { id, link } = await agentOffers(faber, peer);
  const { offerSent, credentialSent } = await issuedTo(faber, peer, link);
  const count = async (): Promise<number[]> => [
    (await held(faber)).length,
    (await faber.get(`/issue-credential-2.0/records?connection_id=${id}`)).results.length,
    await counted(faber, 'messages_repeated'),
  ];
  const [credentials, exchanges, repeated] = (await count()) as [number, number, number];
  for (const sent of [offerSent, credentialSent]) {
    silent(await peer.replay(sent));
    const again = await peer.reseal(sent);
    silent(again);
    assert.notEqual(again.payload, sent.payload);
  }
  assert.deepEqual(await count(), [credentials, exchanges, repeated + 4]);
  // what comes next is first to come: nothing was done about the others
  await issuedTo(faber, peer, link, {}, { name: 'after', age: '1' });
  assert.equal(mails(peer, 'credential_request').length, 2);
});

/** Offered and issued with another raw value than the one whose number was signed. */
const ODD = {
  changeOffer: (offer: Json): Json => ({ ...offer, data: { ...offer.data, name: 'Eve' } }),
  changeCredential: (credential: Json): Json => {
    const changed = structuredClone(credential);
    changed.values.name.raw = 'Eve';
    return changed;
  },
};

test('[D-16] a value that does not fit its number is refused, unless the peer is marked as one with an encoding of its own', async () => {
  const holder = await agent();
  const peer = await startPeer();
  const eves = async (): Promise<number> => (await held(holder)).filter(({ attrs }) => attrs.name === 'Eve').length;
  for (const connectWith of [peerOffers, agentOffers]) {
    const before = await eves();
    const strict = await connectWith(holder, peer);
    const next = later(holder);
    await issue(peer, strict.link, await scripted(), THEIRS, ODD);
    const failed = await next(ISSUE, (one) => one.state === 'abandoned');
    assert.match(failed.error_msg, /value of name does not fit/);
    assert.equal(await eves(), before);
    const marked = await connectWith(holder, peer, { legacy_encoding: true });
    await issuedTo(holder, peer, marked.link, ODD);
    assert.equal(await eves(), before + 1);
  }
});

// -- the modern controller ----------------------------------------------------------------------------------------------------------------------------------

test('[D-15] a controller of the modern protocols runs unchanged over such a connection, and hears the same', async () => {
  const faber = await agent();
  const { credDefId } = await anchored();
  const holder = await world.start('holder', { devnet: await devnet(), flags: ['--preserve-exchange-records'] });
  /** Everything by command, as it was written for DIDComm; which topics and states were heard. */
  const controller = async (ours: string, theirs: string): Promise<Json> => {
    const offered = await sendOffer(faber, ours, VALUES);
    const next = later(holder);
    const { cred_ex_id: got } = await holder.event(ISSUE, (one) => one.connection_id === theirs && one.state === 'offer-received', 'it');
    await holder.post(`/issue-credential-2.0/records/${got}/send-request`);
    await ended(holder, ISSUE, got, 'credential-received');
    await holder.post(`/issue-credential-2.0/records/${got}/store`);
    await ended(faber, ISSUE, offered);
    const requested = await asked(faber, ours, adult(credDefId));
    const { pres_ex_id: request } = await next(PROVE, (one) => one.connection_id === theirs && one.state === 'request-received');
    const fits = await holder.get(`/present-proof-2.0/records/${request}/credentials`);
    const cred_id = fits[0].cred_info.referent;
    await holder.post(`/present-proof-2.0/records/${request}/send-presentation`, {
      anoncreds: {
        requested_attributes: { name: { cred_id, revealed: true } },
        requested_predicates: { adult: { cred_id } },
        self_attested_attributes: {},
      },
    });
    assert.equal((await ended(faber, PROVE, requested)).verified, 'true');
    await ended(holder, PROVE, request);
    return [
      [await faber.states(ISSUE, offered), await holder.states(ISSUE, got)],
      [await faber.states(PROVE, requested), await holder.states(PROVE, request)],
    ];
  };
  const modern = await connect(faber, holder);
  const { connection_id: made, offer } = await faber.post('/legacy/connections/offers', {});
  const { connection_id: received } = await holder.post('/legacy/connections/receive-offer', { offer, auto_accept: true });
  const isActive = (id: string) => (one: Body) => one.connection_id === id && one.state === 'active';
  await faber.event('connections', isActive(made), 'the connection');
  await holder.event('connections', isActive(received), 'the connection');
  for (const [one, id] of [
    [faber, made],
    [holder, received],
  ] as const)
    assert.deepEqual(await one.states('connections', id), ['invitation', 'request', 'response', 'active']);
  assert.deepEqual(await controller(made, received), await controller(modern.inviter, modern.invitee));
});

test('[S2-03] the wallet holds own keys, the DIDs of others with their keys, credentials and the link secret', async () => {
  const keeper = await world.start('keeper', { devnet: await devnet(), flags: AUTO });
  const peer = await startPeer();
  const { id, link } = await peerOffers(keeper, peer);
  await issuedTo(keeper, peer, link);
  await keeper.stop();
  const db = await openSqlite({ path: keeper.store });
  try {
    const [[row]] = (await db.store.load(BASE, [{ category: 'connection', id }])) as [[Json]];
    assert.deepEqual([row.value.their_did, row.value.their_keys], [link.mine.did, [link.mine.verkey]]);
    const own = await db.store.key(BASE, row.value.my_verkey);
    assert.deepEqual([own?.type, own?.secret.length], ['ed25519', 64]);
    const { rows } = await db.store.find(BASE, 'credential', { limit: 10 });
    assert.equal(rows.length, 1);
    assert.ok((await db.store.key(BASE, 'link-secret'))!.secret.length > 0);
  } finally {
    await db.admin.close();
  }
});
