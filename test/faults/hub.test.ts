import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { type BenchAgent, startBenchAgent } from '../../bench/agent.ts';
import { startProxy } from '../../harness/proxy.ts';
import { sweepChunks } from '../../src/hub.ts';
import { edvChunk } from '../../src/records/edv-chunk.ts';
import { startPostgres } from '../postgres.ts';
import { type Body, createWorld } from '../support/agents.ts';
import { STORES } from '../support/extent.ts';
import {
  type Caller,
  configOf,
  delegate,
  documentOf,
  encrypted,
  entryOf,
  type HubAnswer,
  invoke,
  newCaller,
  newEdvId,
  rootOf,
  send,
  signed,
} from '../support/hub.ts';
import { TEST_MS } from '../support/waiting.ts';

/** Vaults on both stores: SQLite in one process, PostgreSQL with two of them behind a proxy. */

interface Hub {
  readonly agents: readonly BenchAgent[];
  /** Where its clients reach it. */
  readonly url: string;
  /** Everything that is stored, as bytes. */
  stored(): Promise<Buffer>;
}

const hubs = {} as Record<'sqlite' | 'postgres', Hub>;
const undo: (() => unknown)[] = [];
const MARKER = 'the clear text of a playlist';

before(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-hub-'));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'hub.db');
  const one = await startBenchAgent(`sqlite:${file}`, ['--hub', '--no-ledger']);
  undo.push(() => one.stop());
  hubs.sqlite = {
    agents: [one],
    url: one.inbound,
    stored: async () => Buffer.concat(globSync(`${file}*`).map((path) => readFileSync(path))),
  };
  const server = await startPostgres();
  undo.push(() => server.stop());
  const ports: number[] = [];
  const proxy = await startProxy(ports);
  undo.push(() => proxy.close());
  const flags = ['--hub', '--hub-endpoint', proxy.url, '--no-ledger'];
  const agents: BenchAgent[] = [];
  for (let i = 0; i < 2; i++) {
    const agent = await startBenchAgent(server.url, flags);
    undo.push(() => agent.stop());
    ports.push(agent.inboundPort);
    agents.push(agent);
  }
  hubs.postgres = { agents, url: proxy.url, stored: () => dumped(server.adminUrl) };
});
after(async () => {
  while (undo.length > 0) await undo.pop()!();
});

/** Every row of every table, as text, with its bytes in hex. */
async function dumped(url: string): Promise<Buffer> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: tables } = await client.query("SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables");
    const own = tables.map(({ name }) => name as string).filter((name) => !/^(pg_catalog|information_schema)\./.test(name));
    const found = await Promise.all(own.map((name) => client.query(`SELECT t::text AS row FROM ${name} t`)));
    const text = found.flatMap(({ rows }) => rows.map(({ row }) => row as string)).join('\n');
    const bytes = [...text.matchAll(/\\\\x([0-9a-f]+)/g)].map(([, hex]) => Buffer.from(hex!, 'hex'));
    return Buffer.concat([Buffer.from(text), ...bytes]);
  } finally {
    await client.end();
  }
}

async function admin(hub: Hub, method: string, path: string, body?: object): Promise<Body> {
  const { admin: url, key } = hub.agents[0]!;
  const answer = await send(`${url}${path}`, {
    method,
    headers: { 'x-api-key': key, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}

/** A vault's URL. */
const newVault = async (hub: Hub, owner: Caller, more: object = {}): Promise<string> =>
  (await admin(hub, 'POST', '/hub/vaults', { ...configOf(owner), ...more })).id;
const statusOf = async (request: Promise<HubAnswer>): Promise<number> => (await request).status;
const vaultRow = async (hub: Hub, url: string): Promise<Body> =>
  (await admin(hub, 'GET', '/hub/vaults?limit=1000')).results.find((one: Body) => url.endsWith(one.vault_id));

for (const kind of STORES) {
  test(`[S2-51] ${kind}: documents keep their sequence, are found by blinded attributes, and hold no clear text`, async () => {
    const hub = hubs[kind];
    const owner = newCaller();
    const vault = await newVault(hub, owner, { referenceId: 'primary' });
    assert.match(vault, new RegExp(`^${hub.url}/hub/base/edvs/z1`));
    const first = await documentOf(owner, { title: MARKER }, { indexed: [entryOf({ kind: 'list', mood: 'calm' })] });
    const inserted = await invoke(owner, { url: `${vault}/documents`, json: first });
    assert.deepEqual([inserted.status, inserted.text, inserted.headers.get('content-type')], [204, '', null]);
    assert.equal(await statusOf(invoke(owner, { url: `${vault}/documents`, json: first })), 409);
    const url = `${vault}/documents/${first.id}`;
    assert.deepEqual((await invoke(owner, { url })).body, first);
    const next = { ...first, sequence: 1 };
    for (const [sequence, status] of [
      [2, 409],
      [1, 204],
      [1, 409],
      [0, 409],
    ] as const)
      assert.equal(await statusOf(invoke(owner, { url, json: { ...next, sequence } })), status, String(sequence));
    const index = await invoke(owner, { url: `${url}/index`, json: entryOf({ kind: 'list', mood: 'loud' }, false, 1) });
    assert.equal(index.status, 204);
    assert.equal(await statusOf(invoke(owner, { url: `${url}/index`, json: entryOf({ mood: 'loud' }, false, 0) })), 409);
    const second = await documentOf(owner, 2, { indexed: [entryOf({ kind: 'list' })] });
    assert.equal(
      await statusOf(invoke(owner, { url: `${vault}/documents/${second.id}`, json: second })),
      204,
      'an update of none, with the sequence 0',
    );
    const ask = async (query: object): Promise<Body> =>
      (await invoke(owner, { url: `${vault}/query`, json: { index: 'urn:hmac:1', ...query }, action: 'read' })).body;
    const ids = async (query: object): Promise<string[]> => (await ask(query)).documents.map((one: Body) => one.id).sort();
    assert.deepEqual(await ids({ equals: [{ kind: 'list' }] }), [first.id, second.id].sort());
    assert.deepEqual(await ids({ equals: [{ kind: 'list', mood: 'loud' }] }), [first.id]);
    assert.deepEqual(await ids({ equals: [{ mood: 'loud' }, { kind: 'list' }] }), [first.id, second.id].sort());
    assert.deepEqual(await ids({ equals: [{ mood: 'calm' }] }), [], 'the former entry is gone');
    assert.deepEqual(await ids({ has: ['kind', 'mood'] }), [first.id]);
    assert.deepEqual(await ask({ equals: [{ kind: 'list' }], count: true }), { count: 2 });
    const page = await ask({ equals: [{ kind: 'list' }], limit: 1 });
    assert.deepEqual([page.documents.length, page.hasMore], [1, true]);
    const shown = await ask({ equals: [{ mood: 'loud' }], returnDocuments: false });
    assert.deepEqual(shown, { documentIds: [first.id], hasMore: false });
    const found = await invoke(owner, {
      url: `${hub.url}/hub/base/edvs?controller=${encodeURIComponent(owner.did)}&referenceId=primary`,
      capability: rootOf(`${hub.url}/hub/base/edvs`),
    });
    assert.deepEqual(found.body, [{ ...configOf(owner), referenceId: 'primary', id: vault }]);
    const config = { ...found.body[0], hmac: { id: 'urn:hmac:2', type: 'Sha256HmacKey2019' } };
    assert.equal(await statusOf(invoke(owner, { url: vault, json: config })), 409);
    assert.equal(await statusOf(invoke(owner, { url: vault, json: { ...config, sequence: 1 } })), 204);
    assert.equal((await invoke(owner, { url: vault })).body.hmac.id, 'urn:hmac:2');
    const bytes = await hub.stored();
    for (const encoding of ['utf8', 'base64', 'hex'] as const) assert.ok(!bytes.includes(Buffer.from(MARKER).toString(encoding)), encoding);
  });

  test(`[S2-52] ${kind}: what is no encrypted document is refused, and what is unique stays unique`, async () => {
    const hub = hubs[kind];
    const owner = newCaller();
    const vault = await newVault(hub, owner);
    const good = await documentOf(owner, 1);
    for (const [what, json] of [
      ['clear text', { ...good, content: { title: MARKER } }],
      ['clear text in the envelope', { ...good, jwe: { ...good.jwe, title: MARKER } }],
      ['no recipient', { ...good, jwe: { ...good.jwe, recipients: [] } }],
      ['an id of no base58', { ...good, id: '../../x' }],
      ['no JSON', '{"id":'],
      ['a member twice', `{"id":"${good.id}","id":"${good.id}"}`],
      ['a list', [good]],
      ['a sequence that is too large', { ...good, sequence: Number.MAX_SAFE_INTEGER }],
    ] as const)
      assert.equal(await statusOf(invoke(owner, { url: `${vault}/documents`, json })), 400, what);
    const other = await documentOf(owner, 1);
    assert.equal(
      await statusOf(invoke(owner, { url: `${vault}/documents/${other.id}`, json: good })),
      400,
      'another id than that of the path',
    );
    const named = async (value: string): Promise<Body> => await documentOf(owner, 1, { indexed: [entryOf({ name: value }, true)] });
    const at = (json: Body): Promise<number> => statusOf(invoke(owner, { url: `${vault}/documents`, json }));
    assert.equal(await at(await named('a')), 204);
    assert.equal(await at(await named('a')), 409);
    const several = await Promise.all(Array.from({ length: 6 }, async () => await at(await named('b'))));
    assert.deepEqual(several.sort(), [204, 409, 409, 409, 409, 409], 'of six at once one');
    assert.equal((await vaultRow(hub, vault)).documents, 2);
  });

  test(`[S2-54] [S2-56] ${kind}: a delegated right reads its document and nothing else, until it is revoked`, async () => {
    const hub = hubs[kind];
    const [owner, service, friend, stranger] = [newCaller(), newCaller(), newCaller(), newCaller()];
    const vault = await newVault(hub, owner);
    const [mine, other] = [await documentOf(owner, 1, {}, service.did), await documentOf(owner, 2)];
    for (const json of [mine, other]) assert.equal(await statusOf(invoke(owner, { url: `${vault}/documents`, json })), 204);
    const url = `${vault}/documents/${mine.id}`;
    const capability = await delegate(owner, { parent: rootOf(vault), target: url, to: service.did });
    const reads = (by: Caller, given: Body, what = url): Promise<number> => statusOf(invoke(by, { url: what, capability: given }));
    assert.equal(await reads(service, capability), 200);
    assert.equal(await reads(service, capability, `${vault}/documents/${other.id}`), 403, 'the second document');
    assert.equal(await reads(stranger, capability), 403);
    assert.equal(await statusOf(invoke(service, { url, json: { ...mine, sequence: 1 }, capability })), 403, 'a write');
    assert.equal(
      await statusOf(invoke(service, { url: `${vault}/query`, json: { index: 'x', has: ['y'] }, action: 'read', capability })),
      403,
    );
    const deeper = await delegate(service, { parent: capability, target: url, to: friend.did });
    assert.equal(await reads(friend, deeper), 200);
    const namesake = await delegate(stranger, { parent: rootOf(vault), target: url, to: stranger.did, id: capability.id });
    const revoke = (by: Caller, json: Body, more: object = {}): Promise<number> => {
      const at = `${vault}/zcaps/revocations/${encodeURIComponent(json.id)}`;
      return statusOf(invoke(by, { url: at, json, capability: rootOf(at), ...more }));
    };
    assert.equal(await revoke(stranger, capability), 403);
    assert.equal(await revoke(stranger, namesake), 403);
    assert.equal(await revoke(owner, { ...capability, controller: stranger.did }), 403, 'one that was changed');
    assert.equal(await reads(service, capability), 200);
    assert.equal(await revoke(service, deeper), 204, 'by who gave it');
    assert.deepEqual([await reads(friend, deeper), await reads(service, capability)], [403, 200]);
    const again = await delegate(service, { parent: capability, target: url, to: friend.did });
    assert.equal(await reads(friend, again), 200);
    assert.equal(await revoke(owner, capability), 204);
    assert.equal(await revoke(owner, capability), 204, 'twice');
    assert.deepEqual([await reads(friend, again), await reads(service, capability)], [403, 403]);
    const pending = async (): Promise<Body> => (await invoke(owner, { url: vault })).body.pending_rewrap;
    assert.deepEqual(await pending(), [{ controller: service.did, documents: 1 }]);
    const rewrapped = { ...mine, sequence: 1, jwe: await encrypted(1, owner.did) };
    assert.equal(await statusOf(invoke(owner, { url, json: rewrapped })), 204);
    assert.equal(await pending(), undefined);
  });

  test(`[S2-53] ${kind}: kill -9 in a stream loses no chunk that was answered, and a stream that is revoked ends`, {
    timeout: TEST_MS,
  }, async () => {
    const hub = hubs[kind];
    const [owner, service] = [newCaller(), newCaller()];
    const vault = await newVault(hub, owner);
    const document = await documentOf(owner, 1, { stream: { sequence: undefined, chunks: undefined } });
    assert.equal(await statusOf(invoke(owner, { url: `${vault}/documents`, json: document })), 204);
    const url = `${vault}/documents/${document.id}`;
    const jwe = { ...document.jwe, ciphertext: Buffer.alloc(300_000, 7).toString('base64url') };
    const chunk = (index: number, sequence = 0): Body => ({ sequence, index, offset: index, jwe });
    const put = (index: number): Promise<HubAnswer> => invoke(owner, { url: `${url}/chunks/${index}`, json: chunk(index) });
    const answered: number[] = [];
    let killed: Promise<void> | undefined;
    for (let index = 0; index < 12; index++) {
      const one = put(index).then(
        ({ status }) => void (status === 204 && answered.push(index)),
        () => {},
      );
      if (index === 5) killed = hub.agents[0]!.kill();
      await one;
      if (killed) {
        await killed;
        await hub.agents[0]!.restart();
        killed = undefined;
      }
    }
    assert.ok(answered.length >= 6, `${answered.length} were answered`);
    for (const index of answered)
      assert.deepEqual((await invoke(owner, { url: `${url}/chunks/${index}` })).body, chunk(index), `chunk ${index}`);
    const missing = Array.from({ length: 12 }, (_, index) => index).filter((index) => !answered.includes(index));
    for (const index of missing) assert.equal((await put(index)).status, 204);
    const size = Array.from({ length: 12 }, (_, index) => JSON.stringify(chunk(index)).length).reduce((a, b) => a + b);
    assert.equal((await vaultRow(hub, vault)).bytes, size + JSON.stringify(document).length, 'each chunk is counted once');
    const replayed = signed(owner, { url: `${url}/chunks/0`, json: chunk(0) });
    assert.equal(await statusOf(send(`${url}/chunks/0`, replayed)), 204);
    const newer = { ...chunk(0), offset: 99 };
    assert.equal(await statusOf(invoke(owner, { url: `${url}/chunks/0`, json: newer })), 204);
    assert.equal(await statusOf(send(`${url}/chunks/0`, replayed)), 204);
    assert.deepEqual((await invoke(owner, { url: `${url}/chunks/0` })).body, newer, 'a repeated request puts nothing back');
    for (const [json, at, status] of [
      [chunk(3, 1), 3, 409],
      [chunk(4), 3, 400],
    ] as const)
      assert.equal(await statusOf(invoke(owner, { url: `${url}/chunks/${at}`, json })), status);
    const elsewhere = `${vault}/documents/${newEdvId()}/chunks/0`;
    assert.equal(await statusOf(invoke(owner, { url: elsewhere, json: chunk(0) })), 404);

    const capability = await delegate(owner, { parent: rootOf(vault), target: url, to: service.did });
    const read = (index: number): Promise<number> => statusOf(invoke(service, { url: `${url}/chunks/${index}`, capability }));
    assert.deepEqual([await read(0), await read(1)], [200, 200]);
    const at = `${vault}/zcaps/revocations/${encodeURIComponent(capability.id)}`;
    assert.equal(await statusOf(invoke(owner, { url: at, json: capability, capability: rootOf(at) })), 204);
    assert.equal(await read(2), 403, 'the rest of the stream');
    assert.equal(await statusOf(invoke(owner, { url, json: { ...document, sequence: 1, stream: { sequence: 0, chunks: 2 } } })), 204);
    const left = { ...document, sequence: 1, stream: { sequence: 0, chunks: 2 } };
    const kept = [chunk(1), newer, left].reduce((sum, one) => sum + JSON.stringify(one).length, 0);
    for (let i = 0; (await vaultRow(hub, vault)).bytes !== kept; i++) {
      assert.ok(i < 100, 'chunks behind the end of the stream go');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(
      [await statusOf(invoke(owner, { url: `${url}/chunks/2` })), await statusOf(invoke(owner, { url: `${url}/chunks/1` }))],
      [404, 200],
    );
  });

  test(`${kind}: no race gets past a quota or a sequence`, async () => {
    const hub = hubs[kind];
    const owner = newCaller();
    const documents = await Promise.all(Array.from({ length: 12 }, () => documentOf(owner, 'x'.repeat(500))));
    const size = JSON.stringify(documents[0]).length;
    const vault = await newVault(hub, owner, { quota_bytes: 5 * size + 100 });
    const statuses = await Promise.all(documents.map((json) => statusOf(invoke(owner, { url: `${vault}/documents`, json }))));
    assert.deepEqual([...new Set(statuses)].sort(), [204, 413], statuses.join());
    const row = await vaultRow(hub, vault);
    assert.equal(row.documents, statuses.filter((status) => status === 204).length);
    assert.ok(row.bytes <= row.quota_bytes, `${row.bytes} of ${row.quota_bytes}`);
    const one = documents[statuses.indexOf(204)]!;
    const rewritten = await Promise.all(
      Array.from({ length: 8 }, () => statusOf(invoke(owner, { url: `${vault}/documents/${one.id}`, json: { ...one, sequence: 1 } }))),
    );
    assert.deepEqual(rewritten.sort(), [204, ...Array(7).fill(409)], 'one of eight at once');
    assert.equal((await vaultRow(hub, vault)).bytes, row.bytes);
  });
}

test('a controller has the vaults that it is allowed, and only its own', async () => {
  const hub = hubs.postgres;
  const [owner, stranger] = [newCaller(), newCaller()];
  const edvs = `${hub.url}/hub/base/edvs`;
  const create = (by: Caller, json: Body, more: object = {}): Promise<HubAnswer> =>
    invoke(by, { url: edvs, json, capability: rootOf(edvs), ...more });
  assert.equal(await statusOf(create(owner, configOf(owner))), 403, 'nobody has registered it');
  await admin(hub, 'POST', '/hub/controllers', { controller: owner.did, vaults: 2, quota_bytes: 1000 });
  assert.equal(await statusOf(create(stranger, configOf(owner))), 403);
  assert.equal(await statusOf(create(stranger, configOf(stranger))), 403);
  const made = await create(owner, configOf(owner, { referenceId: 'a' }));
  assert.deepEqual([made.status, made.headers.get('location')], [201, made.body.id]);
  assert.equal(await statusOf(create(owner, configOf(owner, { referenceId: 'a' }))), 409);
  assert.equal(await statusOf(create(owner, configOf(owner, { sequence: 1 }))), 400);
  const many = await Promise.all(Array.from({ length: 4 }, () => statusOf(create(owner, configOf(owner)))));
  assert.deepEqual(many.sort(), [201, 403, 403, 403], 'one of four at once');
  const listed = (by: Caller, of: Caller): Promise<HubAnswer> =>
    invoke(by, { url: `${edvs}?controller=${encodeURIComponent(of.did)}`, capability: rootOf(edvs) });
  assert.equal((await listed(owner, owner)).body.length, 2);
  assert.equal((await listed(stranger, owner)).status, 403);
  assert.deepEqual((await listed(stranger, stranger)).body, []);
  assert.equal((await vaultRow(hub, made.body.id)).quota_bytes, 1000);
});

test('without --hub there is no hub', async () => {
  const agent = await startBenchAgent(undefined, ['--no-ledger']);
  try {
    const owner = newCaller();
    const url = `${agent.inbound}/hub/base/edvs`;
    assert.equal(await statusOf(invoke(owner, { url, capability: rootOf(url) })), 404);
    const answer = await send(`${agent.admin}/hub/vaults`, {
      method: 'POST',
      headers: { 'x-api-key': agent.key, 'content-type': 'application/json' },
      body: JSON.stringify(configOf(owner)),
    });
    assert.equal(answer.status, 501);
    assert.match(answer.text, /--hub/);
  } finally {
    await agent.stop();
  }
});

test('a chunk that no record names goes after an hour, and no other', async () => {
  const world = createWorld();
  try {
    const { agent } = await world.start('sweep', { flags: ['--hub'], noWebhook: true });
    const { db } = agent.kernel;
    const names = ['hub/z1v/z1d/0/a', 'hub/z1v/z1d/0/b', 'other/a'];
    for (const name of names) await db.blobs.put('base', name, Buffer.from(name));
    const value = { document: 'z1v.z1d', index: 0, sequence: 0, size: 1, blob: names[1]! };
    const tags = edvChunk.tags(value);
    await db.store.commit('base', { records: [{ category: edvChunk.category, id: 'z1v.z1d.0', expect: 0, state: 'stored', tags, value }] });
    assert.equal(await sweepChunks(agent.kernel, db.now()), 0);
    assert.equal(await sweepChunks(agent.kernel, db.now() + 2 * 3600_000), 1);
    const left = await db.blobs.list('base', {});
    assert.deepEqual(
      left.map(({ name }) => name),
      names.slice(1),
    );
  } finally {
    await world.close();
  }
});
