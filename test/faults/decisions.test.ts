import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Replicas, startReplicas, type Tenant } from '../../harness/replicas.ts';
import { MAX_OPEN } from '../../src/kernel/consulting.ts';
import type { Handler } from '../../src/kernel/decisions.ts';
import { startPostgres } from '../postgres.ts';
import { startInside } from '../rows/inside.ts';
import { type Body, HANDSHAKE } from '../support/agents.ts';
import { byExtent, STORES } from '../support/extent.ts';
import { makeKey, randomNonce, typeOf } from '../support/peer-2018.ts';
import { TEST_MS, until } from '../support/waiting.ts';

/** Decisions that outlive processes, on both stores; and a wallet that nobody decides for. */

const undo: (() => unknown)[] = [];
after(async () => {
  while (undo.length > 0) await undo.pop()!();
});

const ASK = { match: { types: ['connection-request'] }, mode: 'consult', deliver: 'webhook' };

/** A request of one tenant for a connection with another. @returns the id of the invitation */
async function request(from: Tenant, to: Tenant): Promise<string> {
  const { invitation, invi_msg_id } = await to.post('/out-of-band/create-invitation', HANDSHAKE);
  await from.post('/out-of-band/receive-invitation?auto_accept=true', invitation);
  return invi_msg_id;
}
const found = async <T>(look: () => Promise<T[]>, what: string): Promise<T> => (await until(async () => (await look())[0], what))!;
const asked = (tenant: Tenant, state: string): Promise<Body> =>
  found(async () => (await tenant.get(`/agent-config/decisions?state=${state}`)).results, `a decision that is ${state}`);
const isState = (tenant: Tenant, invitation: string, state: string): Promise<Body> =>
  found(
    async () => ((await tenant.get(`/connections?invitation_msg_id=${invitation}`)).results as Body[]).filter((one) => one.state === state),
    `a connection in ${state}`,
  );
const killAll = async ({ agents }: Replicas): Promise<void> => {
  await Promise.all(agents.map((agent) => agent.kill()));
  await Promise.all(agents.map((agent) => agent.start()));
};

/** With `--full` also on PostgreSQL, by two processes. */
const KINDS = byExtent<readonly (typeof STORES)[number][]>(['sqlite'], STORES);
for (const kind of KINDS)
  test(`kill -9 between the question and the answer, and before the deadline: neither is lost (${kind})`, {
    timeout: TEST_MS,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'flexid-decisions-'));
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
    const database = kind === 'postgres' ? await startPostgres() : undefined;
    if (database) undo.push(database.stop);
    const count = database ? 2 : 1;
    const replicas = await startReplicas(folder, { count, store: database?.url ?? `sqlite:${join(folder, 'agent.db')}` });
    undo.push(replicas.stop);
    const [firm, peer] = [
      await replicas.tenant('firm', { 'auto-accept-requests': true }),
      await replicas.tenant('peer', { 'auto-accept-invites': true }),
    ];
    const { handler_id } = await firm.post('/agent-config/handlers', ASK);
    const first = await request(peer, firm);
    const { decision_id } = await asked(firm, 'asked');
    const removed = await fetch(`${replicas.admin}/agent-config/handlers/${handler_id}`, { method: 'DELETE', headers: firm.keys });
    assert.equal(removed.status, 200);
    await firm.post('/agent-config/handlers', { ...ASK, timeout_ms: 1000 });
    const second = await request(peer, firm);
    await killAll(replicas);
    // the deadline of the second passes, and the first has its answer, each once
    await isState(firm, second, 'active');
    assert.equal((await asked(firm, 'expired')).connection_id, (await isState(firm, second, 'active')).connection_id);
    assert.equal((await firm.get(`/agent-config/decisions/${decision_id}`)).state, 'asked');
    await isState(firm, first, 'request');
    const answer = (): Promise<Body> => firm.post(`/agent-config/decisions/${decision_id}`, { action: 'continue' });
    const answers = await Promise.all([answer(), answer(), answer()]);
    assert.deepEqual(new Set(answers.map(({ state }) => state)), new Set(['accepted']));
    await isState(firm, first, 'active');
    assert.equal((await answer()).decided.length, 1);
    // rules that one process has taken hold in the other
    if (count === 2) {
      const [one, two] = replicas.each as [string, string];
      const headers = { ...firm.keys, 'content-type': 'application/json' };
      const set = await fetch(`${one}/agent-config/defaults`, { method: 'PUT', headers, body: JSON.stringify({ label: 'Renamed' }) });
      assert.equal(set.status, 200);
      await until(async () => {
        const made = await fetch(`${two}/out-of-band/create-invitation`, { method: 'POST', headers, body: JSON.stringify(HANDSHAKE) });
        return ((await made.json()) as Body).invitation.label === 'Renamed';
      }, 'the label at the other process');
    }
  });

const HANDLER: Handler = {
  ...{ handler_id: 'h1', match: { types: ['connection-request'] }, mode: 'consult', deliver: 'webhook', approvers: [], approvals: 1 },
  ...{ timeout_ms: 60_000, on_timeout: 'default' },
};

/** A request of the 2018 Agent Protocol for an offer. */
function requestFor(offer: { id: string }): Body {
  const [key, endpoint, nonce] = [makeKey(), makeKey(), randomNonce()];
  const where = { endpoint_did: endpoint.did, endpoint_verkey: endpoint.verkey, endpoint: 'http://127.0.0.1:9/' };
  const message = { did: key.did, nonce, request_nonce: nonce, verkey: key.verkey, ...where };
  return { id: offer.id, type: typeOf('connection_request'), message };
}

test('ten thousand open decisions: they are read by pages, and further exchanges wait for the controller', async () => {
  const calls: string[] = [];
  const inside = await startInside(['firm', 'other'], (call) => calls.push(call));
  undo.push(inside.close);
  const { db, rules } = inside;
  rules.set('firm', { handlers: [HANDLER], policies: [], defaults: {} });
  rules.set('other', { handlers: [HANDLER], policies: [], defaults: {} });
  const decisions = async (tenant: string): Promise<number> => (await db.store.find(tenant, 'decision', { limit: 1 })).total;
  const before = await inside.offer('firm');
  assert.equal(await inside.receive(requestFor(before.offer)), undefined);
  assert.equal(await decisions('firm'), 1);
  const [row] = (await db.store.find('firm', 'decision', { limit: 1 })).rows;
  assert.equal(row!.value.point, 'connection-request');
  for (let made = 1; made < MAX_OPEN.all; made += 1000)
    await db.store.commit('firm', {
      records: Array.from({ length: Math.min(1000, MAX_OPEN.all - made) }, (_none, i) => ({
        ...{ category: 'decision', id: `made-${made + i}`, expect: 0, state: i % 2 ? 'held' : 'asked', value: { point: 'credential' } },
      })),
    });
  assert.equal(await decisions('firm'), MAX_OPEN.all);
  const { id, offer } = await inside.offer('firm');
  assert.equal(await inside.receive(requestFor(offer)), undefined);
  assert.equal((await inside.connection('firm', id)).state, 'request');
  assert.equal(await decisions('firm'), MAX_OPEN.all);
  assert.equal(inside.counters.decisions_not_asked, 1);
  // another tenant has room of its own
  const theirs = await inside.offer('other');
  assert.equal(await inside.receive(requestFor(theirs.offer)), undefined);
  assert.equal(await decisions('other'), 1);
  const page = await db.store.find('firm', 'decision', { limit: 100, offset: 9_900 });
  assert.equal(page.rows.length, 100);
});

test('without a handler that matches, a message needs no further call of the store', async () => {
  let calls: string[] = [];
  const inside = await startInside(['firm'], (call) => calls.push(call));
  undo.push(inside.close);
  const costs = async (): Promise<string[]> => {
    const { offer } = await inside.offer('firm');
    const base = requestFor(offer);
    calls = [];
    assert.equal(await inside.receive(base), undefined);
    return [...calls].sort();
  };
  // the first one fills caches
  await costs();
  const without = await costs();
  assert.ok(without.includes('commit') && !without.includes('find'), without.join());
  inside.rules.set('firm', { handlers: [{ ...HANDLER, match: { types: ['credential-offer'] } }], policies: [], defaults: {} });
  assert.deepEqual(await costs(), without);
});
