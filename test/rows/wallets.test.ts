import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { base58 } from '@scure/base';
import { open, tenantKeys, unwrapDataKey, VaultError } from '../../src/vault/seal.ts';
import { anchor, type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { AUTO, HOLDS, ISSUES, MULTITENANT, newTenant, type Tenant, tenantOf } from '../support/tenants.ts';
import { lazy } from './support.ts';

/** Requirement rows S1-02, S1-06, S1-18 and S1-20: issuers, holders and a verifier in one process, what they have apart, and what others read of it. */

/** `FLEXID_HOLDERS=50 ./flexid test rows/wallets` runs with so many. */
const HOLDERS = Number(process.env.FLEXID_HOLDERS ?? 8);
const MASTER = Buffer.from('a raw wallet key of these tests.');
const MARKER = 'Zanzibar-Quagmire';

const world = createWorld();
after(() => world.close());

const scene = lazy(async () => {
  const devnet = await world.devnet();
  const agent = await world.start('cloud', {
    devnet,
    sponsor: true,
    noWebhook: true,
    flags: [...MULTITENANT, '--wallet-key', base58.encode(MASTER), '--anoncreds-workers', '2'],
  });
  const issuer = await newTenant(agent, 'issuer', { extra_settings: ISSUES });
  const verifier = await newTenant(agent, 'verifier', { extra_settings: { ...AUTO, 'auto-verify-presentation': true } });
  const objects = await anchor({ ...agent, ...issuer } as unknown as TestAgent, ['name']);
  return { devnet, agent, issuer, verifier, objects };
});

/** @returns the connection as the inviter has it */
async function connectTenants(inviter: Tenant, invitee: Tenant): Promise<string> {
  const { invitation, invi_msg_id } = await inviter.post('/out-of-band/create-invitation', HANDSHAKE);
  await invitee.post('/out-of-band/receive-invitation', invitation);
  return await until(async () => {
    const { results } = await inviter.get(`/connections?state=active&invitation_msg_id=${invi_msg_id}`);
    return results[0]?.connection_id as string | undefined;
  }, 'the connection');
}

/** Has a credential issued, and shown to the verifier. */
async function receiveAndPresent(holder: Tenant, name: string): Promise<void> {
  const { issuer, verifier, objects } = await scene();
  const cred_def_id = objects.credDefId;
  await issuer.post('/issue-credential-2.0/send', {
    connection_id: await connectTenants(issuer, holder),
    filter: { anoncreds: { cred_def_id } },
    credential_preview: { attributes: [{ name: 'name', value: name }] },
  });
  await until(async () => (await holder.get('/credentials')).results.length > 0, `the credential of ${name}`, 60_000);
  const { pres_ex_id } = await verifier.post('/present-proof-2.0/send-request', {
    connection_id: await connectTenants(verifier, holder),
    presentation_request: {
      anoncreds: { requested_attributes: { name: { name: 'name', restrictions: [{ cred_def_id }] } }, requested_predicates: {} },
    },
  });
  const done: Body = await until(
    async () => {
      const record = await verifier.get(`/present-proof-2.0/records/${pres_ex_id}`);
      return ['done', 'abandoned'].includes(record.state) && record;
    },
    `the proof of ${name}`,
    60_000,
  );
  assert.equal(done.verified, 'true', name);
  const { requested_proof } = done.by_format.pres.anoncreds;
  assert.equal(requested_proof.revealed_attrs.name.raw, name);
}

const holderOf = async (name: string): Promise<Tenant> =>
  await newTenant((await scene()).agent, name, { extra_settings: { ...HOLDS, 'auto-respond-presentation-request': true } });

test('[S1-02] [S1-20] one process issues, holds and verifies: each of its wallets receives a credential of its own, has that alone, and presents it', async () => {
  const holders = [];
  for (let i = 0; i < HOLDERS; i++) holders.push(await holderOf(`holder ${i}`));
  await Promise.all(holders.map((one, i) => receiveAndPresent(one, `holder ${i}`)));
  for (const [i, one] of holders.entries()) {
    const { results } = await one.get('/credentials');
    assert.deepEqual(
      results.map((held: Body) => held.attrs),
      [{ name: `holder ${i}` }],
    );
  }
});

test('[S1-06] an agent that has seen nothing yet reads a DID, a schema and a credential definition from the ledger, by the byte as their writer has them', async () => {
  const { agent, devnet, issuer, objects } = await scene();
  const other = await world.start('elsewhere', { devnet });
  for (const path of [
    `/resolver/resolve/${objects.did}`,
    `/anoncreds/schema/${objects.schemaId}`,
    `/anoncreds/credential-definition/${objects.credDefId}`,
  ]) {
    const [ours, theirs] = [await issuer.call('GET', path), await other.call('GET', path)];
    assert.deepEqual([ours.status, theirs.status], [200, 200], theirs.text);
    const bytes = ({ body }: { body: Body }): string => JSON.stringify(body.did_document ?? body.schema ?? body.credential_definition);
    assert.ok(bytes(ours).length > 100);
    assert.equal(bytes(theirs), bytes(ours), path);
  }
  assert.notEqual(other.store, agent.store);
});

test('[S1-18] the database shows nothing of what wallets hold, each wallet has a key of its own, and without it that wallet alone is unreadable', async () => {
  const { agent, devnet } = await scene();
  const [one, two] = [await holderOf('first'), await holderOf('second')];
  await Promise.all([receiveAndPresent(one, MARKER), receiveAndPresent(two, `${MARKER} too`)]);
  await agent.stop();

  const bytes = Buffer.concat([agent.store, `${agent.store}-wal`].filter((path) => existsSync(path)).map((path) => readFileSync(path)));
  assert.ok(bytes.length > 100_000, 'there is a database');
  for (const text of [MARKER, Buffer.from(MARKER).toString('hex'), 'did:key:z6Mk', '"verkey"'])
    assert.equal(bytes.indexOf(text), -1, `${text} is in the database`);

  const db = new DatabaseSync(agent.store);
  const keyOf = (id: string): Buffer => {
    const { data_key } = db.prepare('SELECT data_key FROM tenant WHERE id = ?').get(id) as { data_key: Uint8Array };
    return unwrapDataKey(MASTER, id, data_key);
  };
  assert.throws(() => tenantRow(db, one.id, keyOf(two.id)), VaultError, 'the key of another opens nothing');
  assert.match(tenantRow(db, one.id, keyOf(one.id)), /"/);
  assert.ok(!keyOf(one.id).equals(keyOf(two.id)), 'each has a key of its own');
  db.prepare('UPDATE tenant SET data_key = zeroblob(length(data_key)) WHERE id = ?').run(two.id);
  db.close();

  const again = await world.start('cloud', {
    devnet,
    noWebhook: true,
    store: agent.store,
    flags: [...MULTITENANT, '--wallet-key', base58.encode(MASTER)],
  });
  const listed = await tenantOf(again, one.id, one.token).get('/credentials');
  assert.deepEqual(
    listed.results.map((held: Body) => held.attrs),
    [{ name: MARKER }],
  );
  const lost = await tenantOf(again, two.id, two.token).call('GET', '/credentials');
  assert.ok(lost.status >= 400 && !lost.text.includes(MARKER), lost.text);
});

/** A record of a tenant, opened with a data key. @throws VaultError where that is not its own */
function tenantRow(db: DatabaseSync, id: string, dataKey: Uint8Array): string {
  const {
    category,
    id: record,
    value,
  } = db
    .prepare(
      "SELECT category, record.id AS id, value FROM record JOIN tenant ON tenant.n = record.t WHERE tenant.id = ? AND category = 'connection' LIMIT 1",
    )
    .get(id) as { category: string; id: string; value: Uint8Array };
  return open(tenantKeys(id, dataKey), ['record', category, record], value).toString();
}
