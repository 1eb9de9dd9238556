import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { answers, program } from '../../harness/processes.ts';
import { openAnon, payloadOf } from '../../src/didcomm/envelope-2018.ts';
import { openEnvelope, parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import type { KeyPair } from '../../src/didcomm/key-cache.ts';
import { startPostgres } from '../postgres.ts';
import { startAgency, startEdge, type TestAgency, type TestEdge } from '../support/agency.ts';
import { type Body, connect, createWorld, freePort, type TestAgent, until } from '../support/agents.ts';
import { byExtent } from '../support/extent.ts';
import { auth, type Link, type Peer2018, proofRequest, seal, startPeer2018, typeOf } from '../support/peer-2018.ts';
import { TEST_MS } from '../support/waiting.ts';

/** An agency that is robbed, killed, or does harm itself: what it has, what it loses, and what it can do. */

const world = createWorld();
after(() => world.close());

const active = (agent: TestAgent, id: string): Promise<Body> =>
  agent.event('connections', (one) => one.connection_id === id && one.state === 'active', `the connection ${id}`);
const storeOf = (agency: TestAgent) => agency.agent.kernel.db.store;

/** An edge with a connection of 2018, whose other end is the peer's. */
async function connected(edge: TestEdge, peer: Peer2018): Promise<{ id: string; link: Link }> {
  const { connection_id, offer } = await edge.post('/legacy/connections/offers', { auto_accept: true });
  const link = await peer.accept(peer.readOffer(offer));
  await active(edge, connection_id);
  return { id: connection_id, link };
}

/** The mailbox of an edge at its agency. */
async function boxOf(agency: TestAgent, edge: TestEdge): Promise<string> {
  const [own] = (await storeOf(edge).load('base', [{ category: 'connection', id: edge.device.connection_id }])).flat();
  const [there] = (
    await storeOf(agency).load('base', [{ category: 'connection', tag: 'their_key', equals: String(own!.value.my_verkey) }])
  ).flat();
  return there!.id;
}

const wants = (name: string) => proofRequest([name]);
const askedOf = async (edge: TestAgent): Promise<string[]> =>
  (await edge.get('/present-proof-2.0/records?limit=1000')).results.map(
    (one: Body) => Object.keys(one.by_format.pres_request.anoncreds.requested_attributes)[0],
  );

/** The keys that an agency has: those of its endpoints, its mediation, its invitation, and its own ends of the connections with edges. */
async function keysOf(agency: TestAgent): Promise<Map<string, KeyPair>> {
  const { store } = agency.agent.kernel.db;
  const found = new Map<string, KeyPair>();
  for (const category of ['connection', 'oob_record', 'routing_key', 'legacy_endpoint', 'did', 'did_key']) {
    for (const { value } of (await store.find('base', category, { limit: 1000 })).rows)
      for (const kid of [value.my_verkey, value.invitation_key, value.verkey]) {
        const pair = typeof kid === 'string' ? await agency.agent.kernel.keys.pair('base', kid) : undefined;
        if (pair) found.set(pair.verkey, pair);
      }
  }
  return found;
}

/** Whether any of the keys opens a message, in whatever form it is. */
function opens(keys: Iterable<KeyPair>, text: string): boolean {
  for (const pair of keys) {
    for (const open of [
      () => openEnvelope(parseEnvelope(Buffer.from(text)), pair),
      () => openAnon(pair, payloadOf(Buffer.from(text))),
      () => openAnon(pair, Buffer.from(text, 'base64')),
    ]) {
      try {
        open();
        return true;
      } catch {}
    }
  }
  return false;
}

interface Kind {
  readonly flags: readonly string[];
  /** How many keys the database has. */
  keys(agency: TestAgent): Promise<number>;
}

async function postgresKind(): Promise<Kind> {
  const server = await startPostgres();
  world.defer(() => server.stop());
  return {
    flags: ['--store', server.url, '--wallet-key', 'of these tests'],
    async keys() {
      const client = new pg.Client({ connectionString: server.adminUrl.replace(/postgres$/, 'flexid') });
      await client.connect();
      try {
        return Number((await client.query('SELECT count(*) AS n FROM flexid.key')).rows[0].n);
      } finally {
        await client.end();
      }
    },
  };
}

const sqliteKind = async (): Promise<Kind> => ({
  flags: [],
  async keys({ store }) {
    const db = new DatabaseSync(store, { readOnly: true });
    try {
      return Number((db.prepare('SELECT count(*) AS n FROM key').get() as { n: number }).n);
    } finally {
      db.close();
    }
  },
});

for (const [name, kindOf] of [
  ['SQLite', sqliteKind],
  ['PostgreSQL', postgresKind],
] as const) {
  describe(`an agency on ${name}`, () => {
    test('[S2-32] [S2-43] its store and all of its keys open nothing of what it keeps or sends on', { timeout: TEST_MS }, async () => {
      const kind = await kindOf();
      const agency = await startAgency(world, `robbed-${name}`, { flags: kind.flags, noWebhook: true });
      const edge = await startEdge(world, `edge-of-${name}`, agency);
      const peer = await startPeer2018();
      world.defer(peer.close);
      const friend = await world.start(`friend-of-${name}`, { flags: ['--auto-accept-requests'] });
      const { link } = await connected(edge, peer);
      const { inviter } = await connect(friend, edge);
      const box = await boxOf(agency, edge);
      const kept: string[] = [];
      await edge.stop();
      for (let i = 0; i < 5; i++) assert.equal((await peer.say(link, 'proof_request', wants(`a${i}`))).status, 202);
      await friend.post(`/connections/${inviter}/send-message`, { content: 'for the edge alone' });
      await until(async () => (await storeOf(agency).mailbox('base', box)).messages >= 6, 'the mail');
      for (const { body } of await storeOf(agency).mail('base', box, { limit: 100 })) kept.push(body);
      assert.ok(kept.length >= 6);
      const keys = await keysOf(agency);
      assert.equal(keys.size, await kind.keys(agency), 'a key of which this test knows nothing');
      // its endpoint, its routing key, its invitation, and its end of the connection with the edge
      assert.equal(keys.size, 4, [...keys.keys()].join(' '));
      for (const body of kept) assert.ok(parseEnvelope(Buffer.from(body)).recipients.every((key) => !keys.has(key)));
      assert.deepEqual(
        kept.filter((body) => opens(keys.values(), body)),
        [],
      );
      assert.ok(opens(keys.values(), Buffer.from(seal([...keys.keys()][0]!, Buffer.from('x'))).toString('base64')), 'the test can open');
    });
  });
}

describe('an agency that does harm', () => {
  let agency: TestAgency;
  let edge: TestEdge;
  let peer: Peer2018;
  let link: Link;
  let box: string;

  test('its edge, and what it has', async () => {
    agency = await startAgency(world, 'evil');
    edge = await startEdge(world, 'victim', agency);
    peer = await startPeer2018();
    world.defer(peer.close);
    ({ link } = await connected(edge, peer));
    box = await boxOf(agency, edge);
  });

  test('reorders, duplicates and withholds: what comes is taken once, in any order, and what does not come harms nothing', async () => {
    const store = storeOf(agency);
    const again = { store: edge.store, noInbound: true, flags: ['--egress-allow', '127.0.0.2/32'] };
    await until(async () => (await store.mailbox('base', box)).messages === 0, 'an empty mailbox');
    await edge.stop();
    for (const name of ['one', 'two', 'three']) await peer.say(link, 'proof_request', wants(name));
    const mail = await store.mail('base', box, { limit: 10 });
    assert.equal(mail.length, 3);
    const [one, two, three] = mail;
    const copy = (of: typeof one, id: string) => ({
      id,
      mailbox: box,
      recipient: of!.recipient!,
      body: of!.body,
      expires: Date.now() + 60_000,
    });
    await store.commit('base', { acknowledged: [{ mailbox: box, ids: mail.map(({ id }) => id) }] });
    // the third, the first, both once more; the second never
    await store.commit('base', { mail: [copy(three, 'a'), copy(one, 'b'), copy(three, 'c'), copy(one, 'd')] });
    assert.ok(two);
    const back = await world.start('victim-again', again);
    await until(async () => (await store.mailbox('base', box)).messages === 0, 'the mail to be fetched');
    await peer.say(link, 'proof_request', wants('four'));
    await until(async () => (await askedOf(back)).includes('four'), 'the last one');
    assert.deepEqual((await askedOf(back)).toSorted(), ['four', 'one', 'three']);
    await back.stop();
  });

  test('answers in the place of the edge: its peer does not believe it', async () => {
    const friend = await world.start('friend', { flags: ['--auto-accept-invites', '--legacy-require-signed-response'] });
    const other = await startEdge(world, 'answering', agency);
    const made = await other.post('/legacy/connections/offers', { auto_accept: false });
    const got = await friend.post('/legacy/connections/receive-offer', { offer: made.offer });
    await other.event('connections', (one) => one.connection_id === made.connection_id && one.state === 'request', 'the request');
    // all that an agency sees of a request
    const [row] = (await storeOf(friend).load('base', [{ category: 'connection', id: got.connection_id }])).flat();
    const { request_id: nonce, my_did: did, my_verkey: verkey } = row!.value as Record<string, string>;
    const { did: endpointDid, verkey: endpointKey } = await friend.get('/legacy/endpoint');
    const request = {
      base: { id: made.offer.id, type: typeOf('connection_request'), message: {} },
      nonce: nonce!,
      requester: { did: did!, verkey: verkey! },
      to: { did: endpointDid, verkey: endpointKey, endpoint: friend.inbound },
    };
    const own = await agency.agent.kernel.keys.pair('base', made.offer.message.verkey);
    await peer.respond(request);
    await friend.event('legacy_problem', (one) => one.reason === 'signature-missing', 'an unsigned answer');
    await peer.respond(request, {}, { signer: { did: 'x', verkey: own!.verkey, secret: own!.secretKey } });
    await friend.event('legacy_problem', (one) => one.reason === 'signature-invalid', "an answer under the agency's key");
    assert.equal((await friend.get(`/connections/${got.connection_id}`)).state, 'request');
    await other.post(`/legacy/connections/${made.connection_id}/accept-request`);
    await active(friend, got.connection_id);
  });

  test('gives an edge messages of others: a box that its peer has not made changes nothing', async () => {
    const other = await startEdge(world, 'steadfast', agency);
    const { id, link: mine } = await connected(other, peer);
    const forged = auth(peer.endpoint, mine.theirs.verkey, Buffer.from(JSON.stringify(wants('forged'))));
    const base = { id: mine.mine.did, type: typeOf('proof_request'), message: Buffer.from(forged).toString('base64') };
    await peer.send(mine.to, base);
    await other.event('legacy_problem', (one) => one.reason === 'sender-mismatch' && one.connection_id === id, 'the refusal');
    assert.deepEqual(await askedOf(other), []);
  });
});

test('[S2-31] posts to two replicas of an agency, of which one is killed, are kept once each', { timeout: TEST_MS }, async () => {
  const server = await startPostgres();
  world.defer(() => server.stop());
  const folder = world.folder;
  const at = await freePort();
  const flags = ['--store', server.url, '--wallet-key', 'of these tests', '--message-rate', '0'];
  const agency = await startAgency(world, 'first', { at, flags });
  const edge = await startEdge(world, 'edge-of-two', agency);
  const peer = await startPeer2018();
  world.defer(peer.close);
  const { link } = await connected(edge, peer);
  const box = await boxOf(agency, edge);
  await until(async () => (await storeOf(agency).mailbox('base', box)).messages === 0, 'an empty mailbox');
  await edge.stop();
  const [admin, port] = [await freePort(), await freePort()];
  const second = program(
    'second',
    folder,
    'src/main.ts',
    [
      ...['start', 'agency', '--admin', '127.0.0.1', String(admin), '--admin-api-key', randomBytes(8).toString('hex'), '--no-ledger'],
      ...['--inbound-transport', 'http', '127.0.0.1', String(port), '--endpoint', agency.address, '--log-level', 'warn', ...flags],
    ],
    () => answers(`http://127.0.0.1:${admin}/status/ready`),
  );
  world.defer(() => second.stop());
  await second.start();
  const total = byExtent(300, 1000);
  let done = 0;
  const post = async (i: number): Promise<void> => {
    const sealed = auth(link.mine, link.theirs.verkey, Buffer.from(JSON.stringify({ n: i })));
    const base = { id: link.mine.did, type: typeOf('proof_request'), message: Buffer.from(sealed).toString('base64') };
    const payload = Buffer.from(seal(link.to.verkey, Buffer.from(JSON.stringify(base)))).toString('base64');
    // the same bytes again until they are accepted, by whichever of the two
    for (let turn = i; ; turn++) {
      const url = turn % 2 === 0 ? agency.address : `http://127.0.0.1:${port}`;
      const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'text/plain; charset=us-ascii' }, body: payload }).catch(
        () => undefined,
      );
      await answer?.arrayBuffer().catch(() => {});
      if (answer?.status === 202) break;
    }
    if (++done === total / 3 - ((total / 3) % 1)) await second.kill();
  };
  const next = Array.from({ length: total }, (_, i) => i)[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const i of next) await post(i);
    }),
  );
  assert.equal((await storeOf(agency).mailbox('base', box)).messages, total);
});
