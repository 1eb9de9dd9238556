import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { mayCall, OF_WALLET, ROLES } from '../../src/web/roles.ts';
import { createSessions, IDLE_MS, LONGEST_MS } from '../../src/web/sessions.ts';
import { createWorld, type TestAgent, until } from '../support/agents.ts';
import { sessionCookie } from '../support/session.ts';

/** The console's server, by HTTP: who is let in, and what a session may do. */

const world = createWorld();
let agent: TestAgent;
let many: TestAgent;
let open: TestAgent;
before(async () => {
  agent = await world.start('console', { noWebhook: true, flags: ['--admin-cors-origin', '*'] });
  many = await world.start('many', {
    noWebhook: true,
    flags: ['--multitenant', '--jwt-secret', 'a secret of this test', '--multitenant-admin'],
  });
  open = await world.start('open', { noWebhook: true, insecure: true });
});
after(() => world.close());

interface Signed {
  readonly cookie: string;
  readonly csrf: string;
}

async function signIn(to: TestAgent, given: object = { key: to.key }): Promise<Signed> {
  const { name, value, csrf } = await sessionCookie(to.admin, given);
  return { cookie: `${name}=${value}`, csrf };
}

/** A request as the console's own page sends it, but for what is given. */
async function send(
  to: TestAgent,
  path: string,
  { cookie, csrf }: Signed,
  change: RequestInit & { headers?: Record<string, string | undefined> } = {},
) {
  const headers = { cookie, 'x-csrf': csrf, origin: to.admin, 'content-type': 'application/json', ...change.headers };
  const kept = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)) as Record<string, string>;
  const answer = await fetch(`${to.admin}/console${path}`, { method: 'POST', body: '{}', ...change, headers: kept });
  const text = await answer.text();
  return {
    status: answer.status,
    text,
    headers: answer.headers,
    body: answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : undefined,
  };
}

const callIt = (to: TestAgent, signed: Signed, operation: string, body: object = {}) =>
  send(to, `/call/${operation}`, signed, { body: JSON.stringify(body) });

test('[A60-1] a call without a session, the header, the origin or the type of its own page does nothing', async () => {
  const signed = await signIn(agent);
  const other = await signIn(agent);
  const made = async (): Promise<number> => (await agent.get('/out-of-band/records')).total;
  const before = await made();
  const operation = '/call/post_out_of_band_create_invitation';
  const wrong: Record<string, [number, RequestInit & { headers?: Record<string, string | undefined> }]> = {
    'no cookie': [401, { headers: { cookie: undefined } }],
    'no cookie, and a body that nobody parses': [401, { headers: { cookie: undefined }, body: 'no JSON' }],
    'a cookie of nobody': [401, { headers: { cookie: signed.cookie.replace(/=.*/, `=${'A'.repeat(43)}`) } }],
    'two cookies': [401, { headers: { cookie: `${signed.cookie}; ${signed.cookie}` } }],
    'no header': [403, { headers: { 'x-csrf': undefined } }],
    'an empty header': [403, { headers: { 'x-csrf': '' } }],
    "another session's header": [403, { headers: { 'x-csrf': other.csrf } }],
    'no origin': [403, { headers: { origin: undefined } }],
    'another origin': [403, { headers: { origin: 'https://evil.example' } }],
    'another port': [403, { headers: { origin: 'http://127.0.0.1:1' } }],
    'a null origin': [403, { headers: { origin: 'null' } }],
    'plain text': [403, { headers: { 'content-type': 'text/plain' } }],
    'a form': [403, { headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
    'another method': [404, { method: 'PUT' }],
    'a GET': [404, { method: 'GET', body: undefined }],
  };
  for (const [name, [status, change]] of Object.entries(wrong)) {
    const answer = await send(agent, operation, signed, change);
    assert.equal(answer.status, status, `${name}: ${answer.text}`);
    assert.equal(answer.headers.get('access-control-allow-origin'), null, name);
  }
  assert.equal(await made(), before);
  const body = JSON.stringify({ body: { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] } });
  assert.equal((await send(agent, operation, signed, { body })).status, 200);
  assert.equal(await made(), before + 1);
});

test('[A60-1] signing in and out needs the header and the origin too, and the admin API takes no cookie', async () => {
  for (const path of ['/login', '/logout'])
    for (const headers of [
      { origin: undefined },
      { origin: 'http://localhost:1' },
      { 'x-csrf': undefined },
      { 'content-type': 'text/plain' },
    ]) {
      const answer = await send(agent, path, await signIn(agent), { headers, body: JSON.stringify({ key: agent.key }) });
      assert.equal(answer.status, 403, answer.text);
      assert.equal(answer.headers.get('set-cookie'), null);
    }
  const { cookie } = await signIn(agent);
  assert.equal((await fetch(`${agent.admin}/connections`, { headers: { cookie } })).status, 401);
});

test('the cookie is of this instance alone, hidden from scripts, and another one after each sign-in; signing out ends it', async () => {
  const answer = await fetch(`${agent.admin}/console/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf': '', origin: agent.admin },
    body: JSON.stringify({ key: agent.key }),
  });
  assert.match(
    answer.headers.get('set-cookie')!,
    /^__Host-flexid-[0-9a-f]{12}=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict$/,
  );
  const [first, foreign] = [await signIn(agent), await signIn(many)];
  assert.notEqual(first.cookie.split('=')[0], foreign.cookie.split('=')[0]);
  const again = await send(agent, '/login', first, { body: JSON.stringify({ key: agent.key }) });
  const second: Signed = { cookie: again.headers.get('set-cookie')!.split(';')[0]!, csrf: again.body.csrf };
  assert.equal((await callIt(agent, first, 'get_connections')).status, 401, 'the session from before is over');
  assert.equal((await callIt(agent, second, 'get_connections')).status, 200);
  const third = await signIn(agent);
  assert.equal((await send(agent, '/logout', second, { body: '{"everywhere":true}' })).status, 200);
  for (const one of [second, third]) assert.equal((await callIt(agent, one, 'get_connections')).status, 401);
});

test('[A60-2] a session is the same in the next process, and a key of another day ends it', async () => {
  const first = await world.start('again', { noWebhook: true });
  const signed = await signIn(first);
  await first.stop();
  const second = await world.start('again', { noWebhook: true, store: first.store, receiver: first.receiver });
  assert.equal((await callIt(second, signed, 'get_connections')).status, 200);
  await second.stop();
  const third = await world.start('again', { noWebhook: true, store: first.store, flags: ['--admin-api-key', 'another key'] });
  assert.equal((await callIt(third, signed, 'get_connections')).status, 401);
});

test('[A60-3] wrong keys are answered five times a minute', async () => {
  const guarded = await world.start('guarded', { noWebhook: true });
  const attempt = (key: string) =>
    send(guarded, '/login', { cookie: '', csrf: '' }, { headers: { cookie: undefined }, body: JSON.stringify({ key }) });
  const statuses = (await Promise.all(Array.from({ length: 12 }, (_none, i) => attempt(`wrong ${i}`)))).map(({ status }) => status);
  assert.deepEqual([statuses.filter((one) => one === 401).length, statuses.filter((one) => one === 429).length], [5, 7]);
  assert.equal((await attempt(guarded.key)).status, 429);
});

/** What stands in the documents: the key that each operation wants, and what roles do beyond reading. */
function documented() {
  const rows = (path: string): string[][] =>
    readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').replaceAll('`', '')));
  const keys = new Map(rows('AdminAPI.md').map(([method, path, , , , key]) => [`${method} ${path}`, key!]));
  const beyond = new Map(
    rows('Console.md').map(([name, issuer, verifier]) => [name!, { issuer: issuer === 'yes', verifier: verifier === 'yes' }]),
  );
  return { keys, beyond };
}

test('[A60-4] roles by operations: at the call each role has what the documents give it, and nothing else', async () => {
  const document = (await (await fetch(`${many.admin}/api/docs/swagger.json`)).json()) as {
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => ({ name: `${method.toUpperCase()} ${path}`, id: operationId })),
  );
  assert.ok(all.length > 150);
  const { keys, beyond } = documented();
  const may: Readonly<Record<string, (key: string, reads: boolean, more: { issuer: boolean; verifier: boolean } | undefined) => boolean>> =
    {
      operator: (key) => key !== 'tenant',
      auditor: (key, reads) => key !== 'tenant' && reads,
      'tenant-admin': (key) => key !== 'admin',
      issuer: (key, reads, more) => key !== 'admin' && (reads || more?.issuer === true),
      verifier: (key, reads, more) => key !== 'admin' && (reads || more?.verifier === true),
      reader: (key, reads) => key !== 'admin' && reads,
    };
  const { wallet_id: wallet, token } = await many.post('/multitenancy/wallet', { wallet_name: 'roles' });
  const wrong: string[] = [];
  for (const role of ROLES) {
    const signed = await signIn(many, OF_WALLET.includes(role) ? { token, role } : { key: many.key, role });
    const { operations } = (await send(many, '/session', signed, { method: 'GET', body: undefined })).body;
    const check = async ({ name, id }: (typeof all)[number]): Promise<void> => {
      const key = keys.get(name);
      assert.ok(key, `docs/AdminAPI.md has no ${name}`);
      const expected = may[role]!(key, name.startsWith('GET ') && !beyond.has(name), beyond.get(name));
      if (operations.includes(id) !== expected) wrong.push(`${role} ${name}: ${expected ? 'is not' : 'is'} in the session`);
      // what is granted gets as far as its parameters, which are none: nothing is done
      if (expected && name.startsWith('GET ')) return;
      const { status, text } = await callIt(many, signed, id, expected ? { query: 'none' } : { params: { wallet_id: wallet } });
      if (expected ? !text.includes('params and query must be objects') : status !== 403 && status !== 401)
        wrong.push(`${role} ${name}: ${status} ${text}`);
    };
    for (let at = 0; at < all.length; at += 16) await Promise.all(all.slice(at, at + 16).map(check));
  }
  assert.deepEqual(wrong, []);
  const { scope: _none, ...narrow } = await many.post(`/multitenancy/wallet/${wallet}/token`, { scope: ['read'] });
  const reader = await signIn(many, narrow);
  assert.equal((await send(many, '/session', reader, { method: 'GET', body: undefined })).body.role, 'reader');
  await assert.rejects(signIn(many, { ...narrow, role: 'issuer' }), /403/);
  await assert.rejects(signIn(many, { key: many.key, role: 'issuer' }), /403/);
  await assert.rejects(signIn(many, { token: narrow.token, role: 'operator' }), /403/);
});

test('readers call nothing that changes anything', () => {
  const op = { method: 'POST', auth: 'tenant', operationId: 'post_something_new' } as const;
  assert.deepEqual(
    ROLES.filter((role) => mayCall(role, op)),
    ['operator', 'tenant-admin'],
  );
  assert.equal(mayCall('auditor', { method: 'GET', auth: 'admin', operationId: 'get_shutdown' }), false);
  assert.equal(mayCall('tenant-admin', { method: 'GET', auth: 'admin', operationId: 'get_multitenancy_wallets' }), false);
});

test('[A60-5] a session shows its own wallet alone, and ends with its token', async () => {
  const [a, b] = [
    await many.post('/multitenancy/wallet', { wallet_name: 'a' }),
    await many.post('/multitenancy/wallet', { wallet_name: 'b' }),
  ];
  const [ofA, ofB] = [await signIn(many, { token: a.token }), await signIn(many, { token: b.token })];
  const body = { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] };
  const made = (await callIt(many, ofA, 'post_out_of_band_create_invitation', { body })).body;
  const ids = async (of: Signed): Promise<string[]> =>
    ((await callIt(many, of, 'get_out_of_band_records')).body.results as { oob_id: string }[]).map((one) => one.oob_id);
  assert.ok((await ids(ofA)).includes(made.oob_id));
  assert.deepEqual(await ids(ofB), []);
  const socket = new WebSocket(`${many.admin.replace('http', 'ws')}/console/ws`, { headers: { cookie: ofA.cookie, origin: many.admin } });
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  await new Promise((resolve, reject) => socket.on('message', resolve).on('error', reject));
  // a new token voids those from before
  await many.post(`/multitenancy/wallet/${a.wallet_id}/token`, {});
  assert.equal(await closed, 1008);
  assert.equal((await callIt(many, ofA, 'get_out_of_band_records')).status, 401);
  assert.equal((await send(many, '/session', ofA, { method: 'GET', body: undefined })).body.signed_in, false);
});

test('[A60-6] a socket needs the session and the origin, and ends with the session', async () => {
  const signed = await signIn(agent);
  const dial = (headers: Record<string, string>): Promise<{ socket: WebSocket; status: number }> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${agent.admin.replace('http', 'ws')}/console/ws`, { headers });
      socket.on('open', () => resolve({ socket, status: 101 }));
      socket.on('unexpected-response', (_request, response) => resolve({ socket, status: response.statusCode! }));
      socket.on('error', () => {});
    });
  assert.equal((await dial({ cookie: signed.cookie })).status, 403);
  assert.equal((await dial({ cookie: signed.cookie, origin: 'http://127.0.0.1:1' })).status, 403);
  assert.equal((await dial({ origin: agent.admin })).status, 401);
  const { socket, status } = await dial({ cookie: signed.cookie, origin: agent.admin });
  assert.equal(status, 101);
  let closed: number | undefined;
  socket.on('close', (code) => {
    closed = code;
  });
  await send(agent, '/logout', signed);
  try {
    await until(async () => closed !== undefined, 'the end of the socket');
    assert.equal(closed, 1008);
  } finally {
    socket.terminate();
  }
});

test("a wallet whose owner keeps the key is opened by id and key, and the session's token goes with the session", async () => {
  // wrong attempts are counted for each agent
  const keeper = await world.start('keeper', {
    noWebhook: true,
    flags: ['--multitenant', '--jwt-secret', 'a secret of this test', '--multitenant-admin'],
  });
  const made = await keeper.post('/multitenancy/wallet', { key_management_mode: 'unmanaged', wallet_key: 'the key of its owner' });
  await assert.rejects(signIn(keeper, { wallet_id: made.wallet_id, wallet_key: 'another key' }), /401/);
  await assert.rejects(signIn(keeper, { wallet_id: 'nobody', wallet_key: 'another key' }), /401/);
  const signed = await signIn(keeper, { wallet_id: made.wallet_id, wallet_key: 'the key of its owner' });
  assert.equal((await callIt(keeper, signed, 'get_connections')).status, 200);
  assert.equal((await send(keeper, '/logout', signed)).status, 200);
  const [row] =
    (await keeper.agent.kernel.db.store.load(keeper.agent.kernel.base, [{ category: 'wallet_record', id: made.wallet_id }]))[0] ?? [];
  const live = ((row?.value.tokens ?? []) as { exp?: number }[]).filter(({ exp = Infinity }) => exp * 1000 > Date.now() + 5000);
  assert.equal(live.length, 1, 'the first token alone');
});

test('[A60-7] without a key the console is open to pages of this agent, and to no other', async () => {
  const signed = await signIn(open, {});
  assert.equal((await callIt(open, signed, 'get_connections')).status, 200);
  const rebound = await send(open, '/session', signed, { method: 'GET', body: undefined, headers: { 'sec-fetch-site': 'same-site' } });
  assert.equal(rebound.status, 403);
});

test('[A60-8] every answer below /console has the headers that keep pages apart, and the page has its policy', async () => {
  const page = await fetch(`${agent.admin}/console/`, { headers: { origin: 'https://evil.example' } });
  const text = await page.text();
  assert.match(
    page.headers.get('content-security-policy')!,
    /^default-src 'none'; script-src 'self' 'sha256-[^']+'; .*require-trusted-types-for 'script'/,
  );
  assert.equal(page.headers.get('cache-control'), 'no-store');
  const file = await fetch(agent.admin + /src="([^"]+main\.ts)"/.exec(text)![1], { headers: { origin: 'https://evil.example' } });
  assert.match(file.headers.get('cache-control')!, /immutable/);
  assert.match(file.headers.get('content-type')!, /^text\/javascript/);
  assert.doesNotMatch(await file.text(), /import type|: VNode/);
  for (const answer of [page, file, await fetch(`${agent.admin}/console/a/none`), await fetch(`${agent.admin}/console/session`)]) {
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(answer.headers.get('referrer-policy'), 'no-referrer');
    assert.equal(answer.headers.get('cross-origin-opener-policy'), 'same-origin');
    assert.equal(answer.headers.get('cross-origin-resource-policy'), 'same-origin');
    assert.equal(answer.headers.get('access-control-allow-origin'), null);
    assert.ok(answer.headers.get('content-security-policy')!.includes("frame-ancestors 'none'"));
  }
});

test('--no-console serves none of it', async () => {
  const bare = await world.start('bare', { noWebhook: true, flags: ['--no-console'] });
  for (const path of ['/console', '/console/', '/console/session']) assert.equal((await fetch(bare.admin + path)).status, 404, path);
});

test('[A60-9] a session that nobody uses ends after half an hour, and one that is used after twelve hours', async () => {
  const { db, base } = agent.agent.kernel;
  let time = db.now();
  const sessions = createSessions({ store: db.store, now: () => time }, base);
  const made = { role: 'operator', who: 'somebody', key: 'k' } as const;
  const [idle, busy] = [await sessions.begin(made), await sessions.begin(made)];
  const began = time;
  while (time < began + LONGEST_MS - IDLE_MS) {
    time += IDLE_MS - 1;
    assert.equal((await sessions.find(busy.cookie))?.id, busy.session.id);
  }
  assert.equal(await sessions.find(idle.cookie), undefined);
  time = began + LONGEST_MS;
  assert.equal(await sessions.find(busy.cookie), undefined);
  assert.equal(await sessions.isAlive(busy.session.id), false);
  // one user has so many at a time, and the oldest makes room
  const many = [];
  for (let i = 0; i < 21; i++) {
    time++;
    many.push(await sessions.begin(made));
  }
  assert.equal(await sessions.find(many[0]!.cookie), undefined);
  assert.notEqual(await sessions.find(many[20]!.cookie), undefined);
});
