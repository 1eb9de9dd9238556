import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type BenchAgent, startBenchAgent } from '../../bench/agent.ts';
import { type Answer, anchor, type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { isFull } from '../support/extent.ts';
import { TEST_MS } from '../support/waiting.ts';

/** Credentials from a table: each row once, though the issuer is killed again and again, with a result that spreadsheets can open. */

const ROWS = isFull ? 1000 : 30;
const KILLS = isFull ? 5 : 2;
const world = createWorld();
/** A process of its own, so that it can be killed. */
let agent: BenchAgent;
let holder: TestAgent;
let credDefId: string;
let toHolder: string;

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Omit<Answer, 'headers'>> {
  const answer = await fetch(`${agent.admin}${path}`, {
    method,
    headers: { 'x-api-key': agent.key, 'content-type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, text, body: /^[[{]/.test(text) ? JSON.parse(text) : undefined };
}
async function expected(method: string, path: string, body?: unknown): Promise<Body> {
  const answer = await call(method, path, body);
  assert.equal(answer.status, 200, `${method} ${path}: ${answer.text}`);
  return answer.body;
}
const issuer = {
  call,
  get: (path: string) => expected('GET', path),
  post: (path: string, body: unknown = {}) => expected('POST', path, body),
};

before(async () => {
  const devnet = await world.devnet();
  const ledger = ['--algod-url', devnet.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)];
  const flags = [...ledger, '--algorand-genesis-hash', devnet.genesisHash, '--sponsor-mnemonic', devnet.sponsor.mnemonic];
  agent = await startBenchAgent(undefined, [...flags, '--auto-accept-requests', '--auto-respond-credential-request']);
  world.defer(() => agent.stop());
  holder = await world.start('holder', {
    devnet,
    flags: ['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential'],
  });
  credDefId = (await anchor(issuer as unknown as TestAgent, ['name', 'note'])).credDefId;
  const { invitation } = await issuer.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  await holder.post('/out-of-band/receive-invitation', invitation);
  toHolder = await until(async () => (await issuer.get('/connections?state=active')).results[0]?.connection_id, 'the connection');
});
after(() => world.close());

const create = (csv: string, more: object = {}) => issuer.call('POST', '/credential-batches', { csv, cred_def_id: credDefId, ...more });
const batch = (id: string): Promise<Body> => issuer.get(`/credential-batches/${id}`);
const result = async (id: string): Promise<string[]> => (await issuer.call('GET', `/credential-batches/${id}/result`)).text.split('\r\n');

test('all that is wrong with a table is answered by row and column, and nothing is sent', async () => {
  const { status, body } = await create('name,other,connection_id\nAda,x,nobody\nBob,y,nobody');
  assert.equal(status, 200);
  assert.deepEqual(body.errors, [
    { column: 'other', error: 'the credential definition has no such attribute' },
    { column: 'note', error: 'the column is missing' },
    { row: 1, column: 'connection_id', error: 'there is no such connection' },
    { row: 2, column: 'connection_id', error: 'there is no such connection' },
  ]);
  assert.deepEqual((await create('name,name,note\na,b,c')).body.errors, [{ column: 'name', error: 'the column stands twice' }]);
  const checked = await create('name;note\nAda;x', { check: true });
  assert.deepEqual(checked.body, { valid: true, columns: ['name', 'note'], total: 1, preview: [['Ada', 'x']], errors: [] });
  for (const [csv, more] of [
    ['name,note', {}],
    ['name,note\n"a,b', {}],
    [`name,note\n${'a,b\n'.repeat(2001)}`, {}],
    ['name,note\na,b', { cred_def_id: 'unknown' }],
  ] as const)
    assert.equal((await create(csv, more)).status, 400, csv.slice(0, 30));
  assert.equal((await create('')).status, 422);
  assert.equal((await issuer.get('/credential-batches')).total, 0);
  assert.equal((await issuer.get('/issue-credential-2.0/records')).results.length, 0);
});

test(`${ROWS} rows are issued to a connection, each once, though the issuer is killed`, { timeout: TEST_MS }, async () => {
  const lines = Array.from({ length: ROWS }, (_none, i) => `person ${i},=1+${i},${toHolder}`);
  const csv = `name,note,connection_id\n${lines.join('\n')}\n`;
  const call = () =>
    issuer.call('POST', '/credential-batches', { csv, cred_def_id: credDefId, name: 'people' }, { 'idempotency-key': 'people' });
  const { batch_id: id, state } = (await call()).body;
  assert.equal(state, 'running');
  assert.equal((await call()).body.batch_id, id);
  for (let kill = 0; kill < KILLS; kill++) {
    const { offered: before } = await batch(id);
    await until(async () => before === ROWS || (await batch(id)).offered > before, 'another row');
    await agent.kill();
    await agent.restart();
  }
  await until(async () => (await batch(id)).state === 'done', 'the end of the batch', 500_000);
  const { total, offered, failed } = await batch(id);
  assert.deepEqual([total, offered, failed], [ROWS, ROWS, 0]);
  await until(async () => (await holder.get(`/credentials?count=${ROWS + 10}`)).results.length >= ROWS, 'the credentials', 500_000);
  const { results } = await holder.get(`/credentials?count=${ROWS + 10}`);
  assert.deepEqual(results.map(({ attrs }: Body) => attrs.name).sort(), Array.from({ length: ROWS }, (_none, i) => `person ${i}`).sort());
  const [header, ...rows] = (await result(id)).slice(0, -1);
  assert.equal(header, 'name,note,connection_id,state,cred_ex_id,link,error');
  assert.equal(rows.length, ROWS);
  assert.match(rows[0]!, /^person 0,'=1\+0,[\w-]{36},(?:done|credential-issued),[\w-]{36},,$/);
});

test('a batch without connections has a link for each row; it is paused, resumed and cancelled', async () => {
  const csv = `note,name\n${Array.from({ length: 12 }, (_none, i) => `n,guest ${i}`).join('\n')}`;
  const { batch_id: id } = (await create(csv)).body;
  await issuer.post(`/credential-batches/${id}/pause`);
  await until(async () => !/running/.test((await batch(id)).state), 'the pause');
  assert.equal((await issuer.call('POST', `/credential-batches/${id}/pause`)).status, 400);
  await issuer.post(`/credential-batches/${id}/resume`);
  await until(async () => (await batch(id)).state === 'done', 'the end');
  const [, first] = await result(id);
  const link = first!.split(',')[4]!;
  assert.match(link, /\/i\/[\w-]{22}$/);
  const got = await holder.post('/out-of-band/receive-invitation', { invitation_url: link });
  assert.ok(got.oob_id);
  await until(
    async () => (await holder.get('/credentials?count=5000')).results.some(({ attrs }: Body) => attrs.name === 'guest 0'),
    'the credential by link',
  );
  const other = (await create(csv)).body.batch_id;
  await issuer.post(`/credential-batches/${other}/cancel`);
  assert.equal((await batch(other)).state, 'cancelled');
  assert.equal((await issuer.call('POST', `/credential-batches/${other}/resume`)).status, 400);
  assert.equal((await result(other)).length, 14);
  assert.equal((await issuer.call('GET', '/credential-batches/nobody/result')).status, 404);
  assert.equal((await issuer.call('DELETE', `/credential-batches/${other}`)).status, 200);
  for (const path of ['', '/result']) assert.equal((await issuer.call('GET', `/credential-batches/${other}${path}`)).status, 404);
});
