import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { find } from '../../src/resources/hub/documents.ts';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';
import {
  type Caller,
  configOf,
  delegate,
  documentOf,
  type HubAnswer,
  invoke,
  newCaller,
  newEdvId,
  rootOf,
  send,
  signed,
} from '../support/hub.ts';
import { CONNECTION, runStep } from '../support/steps.ts';

/** Strangers, services and owners that ask a hub for more than is theirs. */

const world = createWorld();
let hub: TestAgent;
before(async () => {
  hub = await world.start('hub', { flags: ['--hub'], noWebhook: true });
});
after(() => world.close());

const newVault = async (owner: Caller, more: object = {}): Promise<string> =>
  (await hub.call('POST', '/hub/vaults', configOf(owner, more))).body.id;
/** The vaults of a controller, as it finds them. */
async function idsOf(controller: Caller, referenceId?: string): Promise<string[]> {
  const whole = new URL('/hub/base/edvs', hub.inbound).href;
  const url = `${whole}?controller=${encodeURIComponent(controller.did)}${referenceId === undefined ? '' : `&referenceId=${referenceId}`}`;
  return (await invoke(controller, { url, capability: rootOf(whole) })).body.map(({ id }: Body) => id);
}
const statusOf = async (request: Promise<HubAnswer>): Promise<number> => (await request).status;

test('[A40] [A40-2] [A40-3] [A40-4] a request that is forged, foreign, too old or too large is refused', async () => {
  const [owner, service, stranger] = [newCaller(), newCaller(), newCaller()];
  const [vault, foreign] = [await newVault(owner), await newVault(stranger)];
  const document = await documentOf(owner, 1);
  assert.equal(await statusOf(invoke(owner, { url: `${vault}/documents`, json: document })), 204);
  const url = `${vault}/documents/${document.id}`;
  const root = rootOf(vault);
  const now = Math.floor(Date.now() / 1000);
  const next = { ...document, sequence: 1 };
  const valid = await delegate(owner, { parent: root, target: url, to: service.did });
  const as = async (given: Partial<Parameters<typeof delegate>[1]>, by = owner): Promise<Body> =>
    await delegate(by, { parent: root, target: url, to: service.did, ...given });
  const day = 24 * 3600_000;
  const wider = await delegate(service, { parent: valid, target: vault, to: service.did });
  const louder = await delegate(service, { parent: valid, target: url, to: service.did, actions: ['write'] });
  const longer = await delegate(service, { parent: valid, target: url, to: service.did, expires: Date.now() + 2 * 3600_000 });
  let long = valid;
  for (let i = 0; i < 4; i++) long = await delegate(service, { parent: long, target: url, to: service.did });
  const read = { url, capability: valid };
  const attempts: [string, Caller, Parameters<typeof invoke>[1]][] = [
    ['by somebody else', stranger, { url }],
    ["with somebody else's capability", stranger, read],
    ["of another vault's root", stranger, { url, capability: rootOf(foreign) }],
    ['of a root that lies deeper', stranger, { url, capability: rootOf(url) }],
    ['of another URL', owner, { url, signed: { url: `${vault}/documents/${newEdvId()}` } }],
    ['of another host', owner, { url, signed: { host: 'hub.example' } }],
    ['of another capability', service, { ...read, signed: { capability: `zcap id="${root}",action="read"` } }],
    ['of another body', owner, { url, json: next, signed: { body: JSON.stringify({ ...next, indexed: [] }).replace('1', '2') } }],
    ['without a signed digest', owner, { url, json: next, signed: { without: 'digest' } }],
    ['without a signed host', owner, { url, signed: { without: 'host' } }],
    ['without a signed time', owner, { url, signed: { without: '(expires)' } }],
    ['that has expired', owner, { url, created: now - 900, expires: now - 301 }],
    ['from the future', owner, { url, created: now + 900, expires: now + 1500 }],
    ['that is valid for days', owner, { url, expires: now + 86_400 }],
    ['of another action', owner, { url, action: 'write' }],
    ['of a read as a write', owner, { url, json: next, action: 'read' }],
    [
      'by a capability that has expired',
      service,
      { ...read, capability: await as({ created: Date.now() - day, expires: Date.now() - 1000 }) },
    ],
    ['by one that lasts too long', service, { ...read, capability: await as({ expires: Date.now() + 91 * day }) }],
    ['by one of the beginning of its name', service, { ...read, capability: await as({ target: url.slice(0, -1) }) }],
    ['by one of another way to write its name', service, { ...read, capability: await as({ target: `${vault}/documents/../documents` }) }],
    ['by one that its holder has given to itself', service, { ...read, capability: await as({}, service) }],
    ['by one that a stranger gave', service, { ...read, capability: await as({}, stranger) }],
    ['by one of another vault', service, { ...read, capability: await as({ parent: rootOf(foreign) }, stranger) }],
    ['by one that was changed', service, { ...read, capability: { ...valid, allowedAction: ['read', 'write'] } }],
    ['by one that is wider than its parent', service, { url: vault, capability: wider }],
    ['by one that may more than its parent', service, { url, json: next, capability: louder }],
    ['by one that outlives its parent', service, { ...read, capability: longer }],
    ['by a chain that is too long', service, { ...read, capability: long }],
    ['by one with more members', service, { ...read, capability: { ...valid, about: { nested: {} } } }],
    ['by one without a proof', service, { ...read, capability: { ...valid, proof: undefined } }],
    [
      'by one of another context',
      service,
      { ...read, capability: { ...valid, '@context': ['https://evil.example/context', ...valid['@context']] } },
    ],
    [
      'by a root in full',
      owner,
      { url, capability: { '@context': valid['@context'][0], id: root, controller: owner.did, invocationTarget: vault } },
    ],
  ];
  for (const [what, by, given] of attempts) assert.equal(await statusOf(invoke(by, given)), 403, what);
  assert.equal(await statusOf(invoke(service, read)), 200, 'as it should be');
  const three = await delegate(service, {
    parent: await delegate(service, { parent: valid, target: url, to: service.did }),
    target: url,
    to: stranger.did,
  });
  assert.equal(await statusOf(invoke(stranger, { url, capability: three })), 200, 'a chain of four');

  const good = signed(owner, { url });
  const bomb = gzipSync(Buffer.alloc(8 << 20, '[')).toString('base64url');
  for (const [what, headers] of [
    ['nothing', {}],
    ['no signature', { 'capability-invocation': good.headers['capability-invocation']! }],
    ['no capability', { authorization: good.headers.authorization! }],
    ['a bomb', { ...good.headers, 'capability-invocation': `zcap capability="${bomb}",action="read"` }],
    ['a long capability', { ...good.headers, 'capability-invocation': `zcap capability="${'A'.repeat(12_500)}",action="read"` }],
    ['a long signature', { ...good.headers, authorization: `${good.headers.authorization}${' '.repeat(1500)}x` }],
    ['a key of another kind', { ...good.headers, authorization: good.headers.authorization!.replaceAll('z6Mk', 'z6LS') }],
  ] as const)
    assert.equal(await statusOf(send(url, { headers })), 403, what);
  assert.equal(await statusOf(send(`${foreign}/documents/${document.id}`, good)), 403, 'the same request to another vault');
  const elsewhereSigned = signed(owner, { url, signed: { host: 'hub.example' } });
  const headers = { ...elsewhereSigned.headers, host: 'hub.example' };
  assert.equal(await statusOf(send(url, { headers })), 403, 'a request for another hub');
  const elsewhere = `${hub.inbound}/hub/base/edvs/${newEdvId()}`;
  for (const one of [
    `${url}?x=1`,
    url.replace('/documents/', '//documents/'),
    url.replace('documents', 'd%6fcuments'),
    `${url}/`,
    elsewhere,
    vault.replace('/base/', '/other/'),
  ])
    assert.equal(await statusOf(invoke(owner, { url: one, capability: root })), 404, one);
  const repeated = signed(owner, { url: `${vault}/documents`, json: await documentOf(owner, 2) });
  assert.deepEqual(
    [await statusOf(send(`${vault}/documents`, repeated)), await statusOf(send(`${vault}/documents`, repeated))],
    [204, 409],
  );
  const big = await documentOf(owner, 'x'.repeat(900_000));
  assert.equal(await statusOf(invoke(owner, { url: `${vault}/documents`, json: big })), 413, 'more is a stream');
});

test('[A40-5] [A40-6] a right to write in a vault is none to give it away, nor to end the rights of others', async () => {
  const [owner, service, friend] = [newCaller(), newCaller(), newCaller()];
  const vault = await newVault(owner);
  const capability = await delegate(owner, { parent: rootOf(vault), target: vault, to: service.did, actions: ['read', 'write'] });
  const taken = { ...configOf(service), sequence: 1 };
  assert.equal(await statusOf(invoke(service, { url: vault, json: taken, capability })), 403);
  assert.equal((await invoke(owner, { url: vault })).body.controller, owner.did);
  const json = await delegate(owner, { parent: rootOf(vault), target: vault, to: friend.did });
  const url = `${vault}/zcaps/revocations/${encodeURIComponent(json.id)}`;
  assert.equal(await statusOf(invoke(service, { url, json, capability })), 403);
  assert.equal(await statusOf(invoke(friend, { url: vault, capability: json })), 200);
  assert.equal(await statusOf(invoke(friend, { url, json, capability: rootOf(url) })), 204, 'by who has it');
  assert.equal(await statusOf(invoke(friend, { url: vault, capability: json })), 403);
});

test('[A40-10] whose rights have ended is for the controller to see', async () => {
  const [owner, service, former] = [newCaller(), newCaller(), newCaller()];
  const vault = await newVault(owner);
  const document = await documentOf(owner, 1, {}, former.did);
  assert.equal(await statusOf(invoke(owner, { url: `${vault}/documents`, json: document })), 204);
  const whole = (to: string) => delegate(owner, { parent: rootOf(vault), target: vault, to });
  const end = async (by: Caller, json: Body): Promise<number> => {
    const url = `${vault}/zcaps/revocations/${encodeURIComponent(json.id)}`;
    return await statusOf(invoke(by, { url, json, capability: rootOf(url) }));
  };
  assert.equal(await end(owner, await whole(former.did)), 204);
  const capability = await whole(service.did);
  const further = await delegate(service, { parent: capability, target: vault, to: newCaller().did });
  assert.equal(await end(service, further), 204);
  const shown = async (by: Caller, given = {}): Promise<unknown> => (await invoke(by, { url: vault, ...given })).body.pending_rewrap;
  assert.deepEqual(await shown(owner), [{ controller: former.did, documents: 1 }]);
  assert.equal(await shown(service, { capability }), undefined);
});

/** A search of a vault with `total` documents of 200 kB, made when a page is read. */
function search(total: number, query: object) {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const made: WeakRef<object>[] = [];
  let most = 0;
  /** The sizes of what was read at once. */
  const loaded: number[] = [];
  const row = (i: number): object => {
    const document = { id: `z${i}`, sequence: 0, jwe: { ciphertext: 'x'.repeat(200_000) } };
    made.push(new WeakRef(document));
    return { id: `v.z${i}`, category: 'edv_document', state: 'stored', value: { vault: 'v', document, size: 200_000 } };
  };
  const ctx = {
    async find(_category: string, { limit, cursor = '0' }: { limit: number; cursor?: string }) {
      const from = Number(cursor);
      if (from + limit >= total) {
        // weak references hold what they name until the turn of the loop ends
        await new Promise((done) => setImmediate(done));
        gc();
        most = Math.max(most, made.filter((one) => one.deref()).length);
      }
      const rows = Array.from({ length: Math.min(limit, total - from) }, (_, i) => row(from + i));
      return { rows, total, next: from + limit < total ? String(from + limit) : undefined };
    },
    async load(lookups: readonly { id: string }[]) {
      loaded.push(lookups.length);
      return lookups.map(({ id }) => [row(Number(id.slice(3)))]);
    },
  };
  const body = Buffer.from(JSON.stringify({ index: 'i', ...query }));
  const request = { body, query: new URLSearchParams() };
  const answer = find(ctx as never, request as never, { vault: { id: 'v' } } as never);
  return { answer, counts: () => ({ most, loaded }) };
}

test('[A40-7] [A40-8] a search holds no vault in memory, however slowly its answer is read', async () => {
  const { answer, counts } = search(40, { has: ['a'] });
  const { body } = (await answer)!;
  assert.deepEqual(counts().loaded, [], 'nothing is read before its receiver is ready');
  let text = '';
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    assert.ok(piece.length <= 256 << 10);
    text += Buffer.from(piece).toString();
  }
  assert.equal(Math.max(...counts().loaded), 1);
  const { documents, hasMore } = JSON.parse(text);
  assert.deepEqual([documents.length, documents[39].id, hasMore], [40, 'z39', false]);
  for (const query of [
    { has: ['a'], returnDocuments: false },
    { equals: [{ a: 'b' }, { c: 'd' }], count: true },
  ]) {
    const ids = search(64, query);
    assert.equal((await ids.answer)!.status, 200);
    assert.ok(ids.counts().most <= 32, `${ids.counts().most} documents are held`);
  }
});

test('[A40-9] [A40-11] [A40-15] [A40-12] [A40-13] a grant without an end, a vault under a taken name and a flood of revocations are refused', async () => {
  const capability = {
    id: 'urn:uuid:1',
    controller: newCaller().did,
    invocationTarget: 'https://hub.example/hub/base/edvs/z1',
    expires: '2030-99-01T00:00:00Z',
    proof: { verificationMethod: 'did:key:z#z' },
  };
  assert.throws(() => runStep('hub-grant', { message: 'grant', body: { capabilities: [capability] }, connection: CONNECTION }), {
    code: 'message-invalid',
  });
  const [owner, other] = [newCaller(), newCaller()];
  const named = { referenceId: 'primary' };
  const [mine, given] = await Promise.all(
    [owner, other].map(async (one) => (await hub.call('POST', '/hub/vaults', configOf(one, named))).body.id as string),
  );
  const json = { ...configOf(owner, named), sequence: 1 };
  assert.equal(await statusOf(invoke(owner, { url: mine!, json: { ...json, controller: other.did } })), 204);
  assert.deepEqual(await idsOf(other, 'primary'), [given], 'one that was given is not among its own, nor under a name of these');
  assert.deepEqual(await idsOf(other), [given]);
  const taken = { ...json, controller: other.did, sequence: 2 };
  assert.equal(await statusOf(invoke(other, { url: mine!, json: taken })), 409);
  assert.equal(await statusOf(invoke(owner, { url: mine! })), 403, 'its former controller');
  assert.equal(await statusOf(invoke(other, { url: mine!, json: { ...taken, referenceId: 'second' } })), 204, 'by its own write');
  assert.deepEqual([await idsOf(other, 'second'), (await idsOf(other)).length], [[mine], 2]);
  const unused = await newVault(owner, { referenceId: 'unused' });
  const squat = { ...json, referenceId: 'unused', controller: other.did };
  assert.equal(await statusOf(invoke(owner, { url: unused, json: squat })), 204);
  assert.deepEqual(await idsOf(other, 'unused'), []);
  assert.match(await newVault(other, { referenceId: 'unused' }), /edvs/, 'nobody takes a name of it');
  const revoke = {
    command: 'revoke',
    record: { id: 'v', state: 'active', value: { controller: owner.did, ended: ['did:key:former'] } },
    body: { capability: 'urn:uuid:1', delegator: other.did, controller: owner.did, expires: 1, by: other.did },
  };
  const after = (total: number) => runStep('hub-vault', { ...revoke, pages: { others: { rows: [], total } } });
  assert.deepEqual(after(9_999).record!.patch!.ended, ['did:key:former'], 'a grantee hides nobody');
  assert.throws(() => after(10_000), { code: 'vault-full' });
});

test('[A40-14] a signature in another spelling is none, so that a request is repeated in no other form', async () => {
  const owner = newCaller();
  const url = await newVault(owner);
  const { headers } = signed(owner, { url });
  const [, last] = /([AQgw])==",created/.exec(headers.authorization!)!;
  const authorization = headers.authorization!.replace(`${last}==`, `${String.fromCharCode(last!.charCodeAt(0) + 1)}==`);
  assert.equal(await statusOf(send(url, { headers })), 200);
  assert.equal(await statusOf(send(url, { headers: { ...headers, authorization } })), 403);
});
