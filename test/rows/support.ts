import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { BASE } from '../../src/database.ts';
import { signBytes } from '../../src/didcomm/keys.ts';
import { algoDocument } from '../../src/dids/own-documents.ts';
import { id2018 } from '../../src/kernel/key-owners.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import { agent2018Endpoint } from '../../src/records/agent-2018-endpoint.ts';
import { type ConnectionValue, connection } from '../../src/records/connection.ts';
import type { Body, TestAgent, Webhook } from '../support/agents.ts';
import { algorandLedger, configOf, type Devnet, objectWrite, perform } from '../support/ledger.ts';
import {
  type Contact,
  type Issuer,
  type Json,
  type Key2018,
  type Link,
  makeKey,
  type Offer,
  type Peer2018,
  unbase58,
} from '../support/peer-2018.ts';

/** Support for the tests of the requirement rows: what several of the files need. */

/** Made by the first test that needs it, so that one test alone starts only what it uses. */
export function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

// -- the vectors ------------------------------------------------------------------------------------------------------------------------------------------

const read = (path: string): Json => JSON.parse(readFileSync(fileURLToPath(new URL(`../vectors/${path}`, import.meta.url)), 'utf8'));
const VECTORS = read('agent-protocol-2018/messages.json');
const FLOW = read('anoncreds/anoncreds-rs-wasm-flow.json');
export const TRANSCRIPT: readonly Json[] = VECTORS.transcript;
/** A message of the vectors by its name. */
export const vector = (name: string): Json => TRANSCRIPT.find((one) => one.name === name) ?? assert.fail(`no vector ${name}`);
/** A key of the vectors. */
export const vectorKey = (name: 'alice_endpoint' | 'bob_endpoint' | 'alice_pairwise' | 'bob_pairwise' | 'mallory'): Key2018 =>
  makeKey(Buffer.from(VECTORS.keys[name].seed_utf8));

/** A database in which somebody of the vectors stands: its endpoint key, and a connection in a state that the vectors presuppose. */
export async function vectorStore(
  path: string,
  endpoint: Key2018,
  place?: { state: string; role: 'inviter' | 'invitee'; key?: Key2018; value: Partial<ConnectionValue>; ids: readonly string[] },
): Promise<{ path: string; connection: string }> {
  const db = await openSqlite({ path });
  const id = 'the-connection';
  try {
    await db.admin.ensureTenant(BASE, BASE);
    const own = { did: endpoint.did, verkey: endpoint.verkey };
    const value = { invitation_mode: 'once', protocol: 'connection-2018', ...place?.value } as ConnectionValue;
    const keys = [endpoint, ...(place?.key ? [place.key] : [])];
    await db.store.commit(BASE, {
      keys: keys.map(({ verkey, secret }) => ({ kid: verkey, type: 'ed25519', secret: Buffer.from(secret) })),
      keyOwners: (place?.ids ?? []).map((one) => ({
        kid: id2018(one),
        tenant: BASE,
        kind: place!.state === 'invitation' ? 'invitation' : 'connection',
        target: id,
      })),
      records: [
        { category: agent2018Endpoint.category, id: own.did, expect: 0, state: 'stored', tags: agent2018Endpoint.tags(own), value: own },
        ...(place
          ? [
              {
                category: connection.category,
                id,
                expect: 0,
                state: place.state,
                role: place.role,
                tags: connection.tags(value),
                value: value as JsonObject,
              },
            ]
          : []),
      ],
    });
  } finally {
    await db.admin.close();
  }
  return { path, connection: id };
}

// -- what an agent says -------------------------------------------------------------------------------------------------------------------------------------

/** Where an agent is reached in this protocol. */
export const contact = (agent: TestAgent): Promise<Contact> => agent.get('/legacy/endpoint');

/** A counter of an agent. */
export const counted = async (agent: TestAgent, name: string): Promise<number> => (await agent.get('/status')).conductor[name] ?? 0;

/** How many connections an agent has. */
export const connections = async (agent: TestAgent): Promise<number> => (await agent.get('/connections')).results.length;

export const stateOf = async (agent: TestAgent, id: string): Promise<string> => (await agent.get(`/connections/${id}`)).state;

/** The next webhook after something was done. */
export function later(agent: TestAgent): (topic: string, matches?: (payload: Body) => boolean) => Promise<Body> {
  const earlier = new Set<Webhook>(agent.hooks.list);
  return async (topic, matches = () => true) =>
    (await agent.hooks.first((hook) => !earlier.has(hook) && hook.topic === topic && matches(hook.payload), `${topic} at ${agent.name}`))
      .payload;
}

/** What a message looks like to its sender whatever became of it. */
export function silent(sent: { status: number; body: string }): void {
  assert.deepEqual([sent.status, sent.body], [202, '']);
}

/** Does something that is refused: its sender sees nothing of that, the controller is told why. */
export async function refused(
  agent: TestAgent,
  act: () => Promise<{ status: number; body: string }>,
  reason: string,
  label?: string,
): Promise<Body> {
  const next = later(agent);
  silent(await act());
  const notified = await next('legacy_problem');
  assert.equal(notified.reason, reason, label);
  return notified;
}

/** Does something that nobody is told of: only a counter goes up. */
export async function uncounted(
  agent: TestAgent,
  act: () => Promise<{ status: number; body: string }>,
  counter: string,
  label?: string,
): Promise<void> {
  const before = await counted(agent, counter);
  silent(await act());
  assert.equal((await counted(agent, counter)) - before, 1, label ?? counter);
}

const active = (id: string) => (one: Body) => one.connection_id === id && one.state === 'active';

/** An offer of an agent. */
export const offerOf = async (agent: TestAgent, body: Json = {}): Promise<{ id: string; offer: Offer; made: Body }> => {
  const made = await agent.post('/legacy/connections/offers', body);
  return { id: made.connection_id, offer: made.offer, made };
};

/** The agent offers, the scripted peer requests. */
export async function agentOffers(agent: TestAgent, peer: Peer2018, body: Json = {}): Promise<{ id: string; link: Link }> {
  const { id, offer } = await offerOf(agent, { auto_accept: true, ...body });
  const link = await peer.accept(peer.readOffer(offer));
  await agent.event('connections', active(id), 'the connection');
  return { id, link };
}

/** The scripted peer offers, the agent requests. */
export async function peerOffers(agent: TestAgent, peer: Peer2018, body: Json = {}, more: Json = {}): Promise<{ id: string; link: Link }> {
  const offer = peer.offer(more);
  const got = await agent.post('/legacy/connections/receive-offer', { offer, auto_accept: true, ...body });
  const link = await peer.connect(offer);
  await agent.event('connections', active(got.connection_id), 'the connection');
  return { id: got.connection_id, link };
}

// -- the ledger ---------------------------------------------------------------------------------------------------------------------------------------------

const signer = (key: Key2018) => async (_verkey: string, bytes: Uint8Array) => signBytes(bytes, { secretKey: Buffer.from(key.secret) });

/** Puts a key's DID on the ledger, with the address where its owner is reached. @returns the DID */
export async function publish(devnet: Devnet, key: Key2018, endpoint?: string): Promise<string> {
  const ledger = algorandLedger(configOf(devnet));
  const publicKey = unbase58(key.verkey);
  const did = ledger.didOf(publicKey);
  const document = algoDocument({ did, verkey: key.verkey, endpoint });
  const outcome = await perform(ledger, { kind: 'did-put', did, document }, { publicKey, sign: signer(key) });
  assert.equal(outcome.state, 'confirmed');
  return did;
}

/**
 * A scripted issuer of name, age and degree: its schema and credential definition are on the ledger, its keys those of the vectors. To make new ones would
 * take seconds in which nobody of this process hears anything.
 */
export async function makeIssuer(devnet: Devnet): Promise<Issuer> {
  const ledger = algorandLedger(configOf(devnet));
  const key = makeKey();
  const issuerId = await publish(devnet, key);
  const by = { publicKey: unbase58(key.verkey), sign: signer(key) };
  const schema = { ...FLOW.schema, issuerId };
  const schemaId = ledger.idOf(issuerId, 'SCHEMA', schema);
  await perform(ledger, objectWrite(ledger, issuerId, 'SCHEMA', schema), by);
  const credDef = { ...FLOW.credential_definition, issuerId, schemaId };
  await perform(ledger, objectWrite(ledger, issuerId, 'CLAIM_DEF', credDef), by);
  return {
    schemaId,
    schema,
    credDefId: ledger.idOf(issuerId, 'CLAIM_DEF', credDef),
    credDef,
    credDefPrivate: FLOW.credential_definition_private,
    keyCorrectnessProof: FLOW.key_correctness_proof,
  };
}
