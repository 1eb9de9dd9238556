import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createWorld, type TestAgent } from '../support/agents.ts';
import { MULTITENANT, newTenant, type Tenant } from '../support/tenants.ts';

/** The public HTTP face: routes and commands of a plug-in, on the message port, for everyone. */

const SHOP = `export default ({ definePlugin, defineProtocol, defineRecord, NEW, Type, httpAnswer, AppError }) => {
  const order = defineRecord({ category: 'shop_order', idField: 'order_id', topic: 'shop', states: ['placed', 'counted'],
    view: ({ id, state, value }) => ({ order_id: id, state, ...value }), tags: () => ({}), admin: { list: '/shop/orders', tag: 'shop' } });
  const text = Type.Object({ text: Type.String({ minLength: 1, maxLength: 100 }) });
  const shop = defineProtocol({
    name: 'shop', uris: [], binds: order, messages: {},
    commands: {
      place: { face: 'public', route: 'POST /shop/{tenant}/orders', body: text, query: Type.Object({ times: Type.Optional(Type.Integer({ minimum: 1 })) }), from: [NEW],
        step: (ctx, { body, query, http }) => {
          const id = ctx.newId();
          const { 'x-api-key': key, authorization } = http.headers;
          return { record: { id, states: ['placed'], patch: { text: body.text, times: query.times ?? '1', secret: 'of the record' } },
            answer: httpAnswer(201, { id, key: key ?? null, authorization: authorization ?? null }, { location: http.url + '/' + id }) };
        } },
      count: { face: 'public', route: 'POST /shop/{tenant}/orders/{order_id}/count', from: ['placed'],
        step: (ctx) => ({ work: [{ op: 'shop/count', input: { text: ctx.record.value.text }, result: 'counted' }] }) },
      silent: { face: 'public', route: 'PUT /shop/{tenant}/orders/{order_id}', from: ['placed'], step: () => ({}) },
      refuse: { face: 'public', route: 'POST /shop/{tenant}/refuse', from: [NEW], maxBytes: 10, step: () => { throw new AppError('bad-request', 'inner words'); } },
    },
    results: { counted: { from: ['placed'], step: (_ctx, count) => ({ record: { states: ['counted'], patch: { count } }, answer: httpAnswer(200, String(count), { 'content-type': 'text/x-count' }) }) } },
    publicRoutes: [
      { route: 'GET /shop/{tenant}/orders/{order}', handle: async ({ load, params, settings }) => {
        const [[row] = []] = await load([{ category: 'shop_order', id: params.order }]);
        return row && { status: 200, headers: { 'content-type': 'application/order+json', 'cache-control': 'max-age=60' }, body: JSON.stringify({ text: row.value.text, seller: settings.label }) };
      } },
      { route: 'GET /shop/{tenant}/static', handle: () => ({ status: 200, body: 'open' }) },
    ],
  });
  return definePlugin({
    name: 'shop', protocols: [shop], work: { 'shop/count': async (_ctx, { text }) => text.length },
    publicRoutes: [
      { route: 'GET /shop/break', handle: () => { throw new Error('inner words'); } },
      { route: 'GET /shop/here', handle: ({ tenant }) => ({ status: 200, body: tenant }) },
      { route: 'GET /shop/stream', handle: () => ({ status: 200, headers: { 'content-type': 'application/octet-stream' }, body: (async function* () { for (let i = 0; i < 64; i++) yield Buffer.alloc(1 << 16, i); })() }) },
    ],
  });
};`;

const world = createWorld();
let agent: TestAgent;
let seller: Tenant;
before(async () => {
  const path = join(world.folder, 'shop.mjs');
  writeFileSync(path, SHOP);
  agent = await world.start('market', { flags: [...MULTITENANT, '--plugin', path] });
  seller = await newTenant(agent, 'seller');
});
after(() => world.close());

const at = (path: string): string => `${agent.inbound}${path}`;
const post = (path: string, body: string, type = 'application/json', more: Record<string, string> = {}): Promise<Response> =>
  fetch(at(path), { method: 'POST', headers: { 'content-type': type, ...more }, body });
const orders = async (): Promise<number> => (await seller.get('/shop/orders')).total;

test('[A20-2] a command for everyone: its answer is of the step, and its commit is done before', async () => {
  const placed = await post(`/shop/${seller.id}/orders?times=2`, '{"text": "bread"}', 'application/json; charset=utf-8', {
    'x-api-key': agent.key,
    authorization: 'DPoP token',
  });
  assert.deepEqual([placed.status, placed.headers.get('content-type')], [201, 'application/json']);
  const { id, key, authorization } = (await placed.json()) as Record<string, string>;
  assert.equal(placed.headers.get('location'), `/shop/${seller.id}/orders?times=2/${id}`);
  assert.deepEqual([key, authorization], [null, 'DPoP token'], 'no key of the admin API comes this far');
  const { results } = await seller.get('/shop/orders');
  assert.deepEqual([results.length, results[0].text, results[0].times], [1, 'bread', '2']);

  const form = await post(`/shop/${seller.id}/orders`, 'text=two+loaves%21', 'application/x-www-form-urlencoded');
  assert.equal(form.status, 201);

  const shown = await fetch(at(`/shop/${seller.id}/orders/${id}`));
  assert.deepEqual(
    [shown.status, shown.headers.get('content-type'), shown.headers.get('cache-control')],
    [200, 'application/order+json', 'max-age=60'],
  );
  assert.deepEqual(await shown.json(), { text: 'bread', seller: 'seller' });
  const head = await fetch(at(`/shop/${seller.id}/orders/${id}`), { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);

  const counted = await post(`/shop/${seller.id}/orders/${id}/count`, '');
  assert.deepEqual(
    [counted.status, counted.headers.get('content-type'), await counted.text()],
    [200, 'text/x-count', '5'],
    'it waits for its work',
  );
});

test('[A20-5] a record is never the answer', async () => {
  const { id } = (await (await post(`/shop/${seller.id}/orders`, '{"text": "salt"}')).json()) as { id: string };
  const silent = await fetch(at(`/shop/${seller.id}/orders/${id}`), { method: 'PUT' });
  assert.deepEqual([silent.status, await silent.text()], [204, '']);
});

test('[A20-3] [A20-4] a request that a step or a schema refuses has its status and no words, and nothing is stored', async () => {
  const before = await orders();
  for (const [path, body, type, status] of [
    [`/shop/${seller.id}/orders`, '{"text": ""}', 'application/json', 422],
    [`/shop/${seller.id}/orders`, '{}', 'application/json', 422],
    [`/shop/${seller.id}/orders?times=none`, '{"text": "x"}', 'application/json', 422],
    [`/shop/${seller.id}/orders`, '{"text": "x"', 'application/json', 400],
    [`/shop/${seller.id}/orders`, '["x"]', 'application/json', 400],
    [`/shop/${seller.id}/orders`, '{"a":'.repeat(5000), 'application/json', 400],
    [`/shop/${seller.id}/orders`, 'text=x&text=y', 'application/x-www-form-urlencoded', 400],
    [`/shop/${seller.id}/orders`, 'text', 'text/plain', 415],
    [`/shop/${seller.id}/orders/none/count`, '', 'application/json', 404],
    [`/shop/${seller.id}/refuse`, '', 'application/json', 400],
    [`/shop/${seller.id}/refuse`, '{"a": "12345"}', 'application/json', 413],
    [`/shop/${seller.id}/orders`, `{"text": "${'x'.repeat(70_000)}"}`, 'application/json', 413],
  ] as const) {
    const answer = await post(path, body, type);
    const text = await answer.text();
    assert.equal(answer.status, status, `${path} ${body.slice(0, 40)}: ${text}`);
    assert.ok(text.length < 40 && !text.includes('inner words'), text);
  }
  const broken = await fetch(at('/shop/break'));
  assert.deepEqual([broken.status, await broken.text()], [500, 'Internal Server Error\n']);
  assert.ok(agent.logged.some((line) => line.includes('GET /shop/break') && line.includes('inner words')));
  assert.equal(await orders(), before);
});

test('[A20] a wallet that there is not, one that is locked and one that is gone are a path that there is not', async () => {
  const owner = await agent.post('/multitenancy/wallet', {
    wallet_name: 'locked',
    wallet_key: 'a key of hers',
    key_management_mode: 'unmanaged',
  });
  const gone = await newTenant(agent, 'gone');
  await agent.call('POST', `/multitenancy/wallet/${gone.id}/remove`, {});
  await agent.agent.kernel.db.admin.lockTenants(Date.now() + 25 * 3600_000);
  const read = async (path: string, init: RequestInit): Promise<object> => {
    const answer = await fetch(at(path), init);
    const headers = Object.fromEntries([...answer.headers].filter(([name]) => name !== 'date'));
    return { status: answer.status, headers, text: await answer.text() };
  };
  const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text": "x"}' };
  const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'text=x' };
  for (const [path, init] of [
    ['static', {}],
    ['orders/1', {}],
    ['orders/1', { method: 'HEAD' }],
    ['orders/1', { method: 'PUT' }],
    ['orders', json],
    ['orders', form],
  ] as const) {
    const nowhere = await read(`/nowhere/x/${path}`, init);
    for (const id of [owner.wallet_id, gone.id, '00000000-0000-4000-8000-000000000000', '%00', '..', "'"])
      assert.deepEqual(await read(`/shop/${id}/${path}`, init), nowhere, `${id} ${path}`);
  }
  assert.equal((await fetch(at(`/shop/${seller.id}/static`))).status, 200);
});

test('[A20-6] the admin port has none of it, and the message port nothing of the admin API', async () => {
  for (const path of [`/shop/${seller.id}/static`, '/shop/here', '/shop/stream']) {
    const answer = await agent.call('GET', path);
    assert.equal(answer.status, 404, path);
  }
  const placed = await agent.call('POST', `/shop/${seller.id}/orders`, { text: 'x' });
  assert.equal(placed.status, 404);
  assert.ok(!Object.keys((await agent.get('/api/docs/swagger.json')).paths).some((path) => path.includes('{tenant}')));
  for (const path of ['/status', '/shop/orders', '/connections', '/api/docs/swagger.json'])
    assert.equal((await fetch(at(path), { headers: { 'x-api-key': agent.key } })).status, 404, path);
  assert.equal(await (await fetch(at('/shop/here'))).text(), 'base');
});

test('a large answer streams, and whoever leaves in the middle leaves nothing behind', async () => {
  const whole = Buffer.from(await (await fetch(at('/shop/stream'))).arrayBuffer());
  assert.deepEqual([whole.length, whole[0], whole.at(-1)], [64 << 16, 0, 63]);
  for (let i = 0; i < 5; i++) {
    const answer = await fetch(at('/shop/stream'));
    const reader = answer.body!.getReader();
    await reader.read();
    await reader.cancel();
  }
  assert.equal((await fetch(at('/shop/here'))).status, 200);
});

test('bodies that never end hold up nobody', async () => {
  const open = Array.from({ length: 50 }, () => {
    const one = request(at(`/shop/${seller.id}/orders`), {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': '20' },
    });
    one.on('error', () => {});
    one.write('{');
    return one;
  });
  const before = await orders();
  const placed = await Promise.all(Array.from({ length: 20 }, () => post(`/shop/${seller.id}/orders`, '{"text": "milk"}')));
  assert.deepEqual([...new Set(placed.map(({ status }) => status))], [201]);
  assert.equal(await orders(), before + 20);
  for (const one of open) one.destroy();
});

test('an address that asks faster than messages may come is told to wait', async () => {
  const slow = await world.start('slow', { flags: ['--message-rate', '1', '--plugin', join(world.folder, 'shop.mjs')] });
  const answers = await Promise.all(Array.from({ length: 30 }, () => fetch(`${slow.inbound}/shop/here`)));
  assert.ok(answers.some(({ status, headers }) => status === 429 && headers.get('retry-after') === '1'));
});

test('two public routes of one path stop the start', async () => {
  const path = join(world.folder, 'second.mjs');
  writeFileSync(
    path,
    `export default ({ definePlugin }) => definePlugin({ name: 'second', publicRoutes: [{ route: 'GET /i/{other}', handle: () => ({ status: 200 }) }] });`,
  );
  await assert.rejects(
    world.start('second', { flags: ['--plugin', path] }),
    /public route GET \/i\/\{(?:other|code)\} is registered twice/,
  );
});
