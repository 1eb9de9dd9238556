import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { WebSocket } from 'ws';
import { type Body, commitsAtRest, connect, createWorld, HANDSHAKE, type TestAgent, until, waiting } from '../support/agents.ts';

const world = createWorld();
let alice: TestAgent;
let bob: TestAgent;

before(async () => {
  alice = await world.start('alice', { flags: ['--wallet-key', 'a wallet key that nobody may see'] });
  bob = await world.start('bob');
});
after(() => world.close());

const INVITE = '/out-of-band/create-invitation';

test('errors are plain text: the status, a colon, the reason', async () => {
  for (const [method, path, body, status, text] of [
    ['GET', '/connections/nobody', undefined, 404, /^404: Record not found: connection\/nobody\. WALLET_ITEM_NOT_FOUND$/],
    ['DELETE', '/connections/nobody', undefined, 404, /^404: Record not found: connection\/nobody/],
    ['GET', '/nothing/here', undefined, 404, /^404: Not Found$/],
    ['PUT', '/connections', undefined, 404, /^404: Not Found$/],
    ['POST', INVITE, '{"handshake_protocols": ', 400, /^400: Request body is not valid JSON/],
    ['POST', INVITE, '[]', 422, /^422: /],
    ['POST', INVITE, { handshake_protocols: 7 }, 422, /^422: .*handshake_protocols/],
    ['POST', `${INVITE}?multi_use=perhaps`, HANDSHAKE, 422, /^422: .*multi_use/],
    ['POST', INVITE, {}, 400, /^400: Invitation must include handshake protocols, request attachments, or both$/],
    ['POST', INVITE, { handshake_protocols: ['other/1.0'] }, 400, /^400: /],
    ['POST', INVITE, { ...HANDSHAKE, use_public_did: true }, 400, /^400: Public invitations are not enabled$/],
    ['GET', '/connections?limit=many', undefined, 422, /^422: .*limit/],
    ['GET', '/connections?limit=1&limit=2', undefined, 422, /^422: /],
    ['GET', '/connections/%E0%A4%A', undefined, 400, /^400: /],
    ['POST', '/connections/nobody/send-ping', {}, 404, /^404: /],
    ['POST', '/issue-credential-2.0/send-offer', { connection_id: 'nobody', filter: { indy: {} } }, 404, /^404: /],
    ['GET', '/anoncreds/schema/some/thing', undefined, 403, /^403: No ledger is configured$/],
    ['POST', '/wallet/did/create', { method: 'algo' }, 403, /^403: /],
    ['POST', '/wallet/did/public?did=did:none', {}, 404, /^404: /],
  ] as const) {
    const answer = await alice.call(method, path, body);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    assert.match(answer.text, text, `${method} ${path}`);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
  }
});

for (const [what, body, status] of [
  ['over the limit', `{"alias": "${'x'.repeat(1_100_000)}"}`, 413],
  ['1000 deep', `{"metadata": ${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}}`, 400],
  ['truncated', '{"handshake_protocols": ["https://didcomm.org/didexchange/1.1"', 400],
  ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400],
  ['with a key twice', '{"handshake_protocols": [], "handshake_protocols": ["https://didcomm.org/didexchange/1.1"]}', 400],
  ['with a __proto__ key', '{"__proto__": {"handshake_protocols": ["https://didcomm.org/didexchange/1.1"]}}', 400],
  ['with a lone surrogate', '{"alias": "\\ud800", "handshake_protocols": ["https://didcomm.org/didexchange/1.1"]}', 400],
  ['that is a text', '"text"', 422],
] as const) {
  test(`a body ${what} is answered ${status}, and nothing is stored`, async () => {
    const before = await commitsAtRest(alice);
    const answer = await alice.call('POST', INVITE, body);
    assert.equal(answer.status, status, answer.text);
    assert.ok(answer.text.startsWith(`${status}: `), answer.text);
    assert.equal(await commitsAtRest(alice), before);
  });
}

test('without the key, or with another one, everything but liveness is closed', async () => {
  for (const key of ['', 'wrong', `${alice.key}x`]) {
    for (const path of [
      '/connections',
      '/status',
      '/status/config',
      '/settings',
      '/wallet/did',
      '/events',
      '/plugins',
      '/shutdown',
      '/dead-letters',
    ]) {
      const answer = await alice.call('GET', path, undefined, { 'x-api-key': key });
      assert.deepEqual([answer.status, answer.text], [401, '401: API Key invalid or missing'], path);
    }
    const answer = await alice.call('POST', INVITE, HANDSHAKE, { 'x-api-key': key });
    assert.equal(answer.status, 401);
    assert.equal((await alice.call('GET', '/status/live', undefined, { 'x-api-key': key })).status, 200);
    assert.equal((await alice.call('GET', '/status/ready', undefined, { 'x-api-key': key })).status, 200);
  }
});

test('a call without the key is refused before its body is looked at', async () => {
  const answer = await alice.call('POST', INVITE, '{"broken', { 'x-api-key': 'wrong' });
  assert.equal(answer.status, 401);
});

test("answers and webhooks are JSON in Python's spacing", async () => {
  const answer = await alice.call('POST', INVITE, { ...HANDSHAKE, alias: 'Zoë \u{1F600}' });
  assert.match(answer.text, /^\{"state": "initial", "created_at": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", /);
  const hook = await alice.hooks.first((one) => one.payload.alias === 'Zoë \u{1F600}', 'the webhook');
  assert.match(hook.raw, /"state": "invitation", /);
  assert.match(hook.raw, /"alias": "Zo\\u00eb \\ud83d\\ude00"/);
});

test('a caller that has a record as it is gets 304, waits for its next change, and nobody waits for another one', async () => {
  const made = await alice.post(`${INVITE}?auto_accept=true`, HANDSHAKE);
  const [{ connection_id }] = (await alice.get(`/connections?invitation_msg_id=${made.invi_msg_id}`)).results;
  const path = `/connections/${connection_id}`;
  const first = await alice.call('GET', path);
  const etag = first.headers.get('etag')!;
  assert.match(etag, /^"[\w.-]+"$/);
  for (const one of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const again = await alice.call('GET', path, undefined, { 'if-none-match': one });
    assert.deepEqual([again.status, again.text, again.headers.get('etag')], [304, '', etag]);
  }
  // the time is over, and nothing has changed; without a version there is nothing to wait for
  assert.equal((await alice.call('GET', `${path}?wait=1`, undefined, { 'if-none-match': etag })).status, 304);
  for (const [query, headers] of [
    ['', { 'if-none-match': '"other"' }],
    ['?wait=30', {}],
    ['?wait=30', { 'if-none-match': '"other"' }],
  ] as const) {
    const whole = await alice.call('GET', path + query, undefined, headers);
    assert.deepEqual([whole.status, whole.text], [200, first.text]);
  }
  for (const wait of ['31', '-1', 'x', '1.5']) assert.equal((await alice.call('GET', `${path}?wait=${wait}`)).status, 422);
  const changed = alice.call('GET', `${path}?wait=30`, undefined, { 'if-none-match': etag });
  const gone = alice.call('GET', `/connections/${crypto.randomUUID()}?wait=30`, undefined, { 'if-none-match': etag });
  assert.equal((await gone).status, 404);
  await bob.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const next = await changed;
  assert.equal(next.status, 200);
  assert.notEqual(next.body.state, 'invitation');
  assert.notEqual(next.headers.get('etag'), etag);
  // removed while somebody waits
  const last = (await alice.call('GET', path)).headers.get('etag')!;
  const removed = alice.call('GET', `${path}?wait=30`, undefined, { 'if-none-match': last });
  await alice.call('DELETE', path);
  assert.ok([200, 404].includes((await removed).status));
});

test('/status has counters, /status/config the configuration without any secret, /settings the tenant its own', async () => {
  const status = await alice.get('/status');
  assert.equal(status.label, 'alice');
  assert.ok(status.conductor.commits > 0 && status.uptime >= 0 && /^\d+\.\d+\.\d+$/.test(status.version));
  const config = await alice.call('GET', '/status/config');
  assert.equal(config.body.config['wallet-key'], undefined);
  assert.equal(config.body.config.label, 'alice');
  assert.deepEqual(config.body.config.roles, ['institution']);
  assert.ok(!config.text.includes('nobody may see') && !config.text.includes(alice.key), config.text);
  const settings = await alice.get('/settings');
  assert.deepEqual([settings['wallet.type'], settings.default_label, settings.public_invites], ['askar-anoncreds', 'alice', false]);
  assert.ok((await alice.get('/plugins')).result.includes('issue-credential-2.0'));
});

test('/metrics is Prometheus text with the counters of /status, queues and the process', async () => {
  const answer = await alice.call('GET', '/metrics');
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  const samples = new Map<string, number>();
  for (const line of answer.text.trimEnd().split('\n')) {
    if (line.startsWith('# ')) assert.match(line, /^# (HELP [a-z_]+ \S.*|TYPE [a-z_]+ (counter|gauge))$/);
    else {
      const [, name, value] = /^([a-z_]+(?:\{[a-z]+="[^"]*"\})?) (\S+)$/.exec(line) ?? [];
      assert.ok(name && Number.isFinite(Number(value)), line);
      assert.equal(samples.has(name), false, `${name} is there twice`);
      samples.set(name, Number(value));
    }
  }
  const { conductor } = await alice.get('/status');
  for (const name of Object.keys(conductor)) assert.ok(samples.has(`flexid_${name}_total`), name);
  for (const kind of ['deliver', 'event', 'command', 'local-message', 'work', 'ledger'])
    assert.ok(samples.has(`flexid_jobs_open{kind="${kind}"}`), kind);
  for (const name of ['messages', 'calls']) assert.ok(samples.has(`flexid_tenant_${name}{tenant="other"}`), name);
  assert.ok(samples.get('flexid_admin_calls_total')! > 0);
  assert.ok(samples.get('process_resident_memory_bytes')! > 1e7);
  assert.equal(samples.get(`flexid_info{version="${(await alice.get('/status')).flexid_version}"}`), 1);
  assert.equal((await alice.call('GET', '/metrics', undefined, { 'x-api-key': 'wrong' })).status, 401);
});

test('a call under an idempotency key has one effect, alone, repeated or ten at once, and one answer', async () => {
  const call = (key: string): ReturnType<TestAgent['call']> =>
    alice.call('POST', INVITE, { ...HANDSHAKE, alias: key }, { 'idempotency-key': key });
  const first = await call('one');
  const second = await call('one');
  assert.equal(first.status, 200);
  assert.deepEqual(second.body, first.body);
  const many = await Promise.all(Array.from({ length: 10 }, () => call('many')));
  assert.deepEqual(
    [...new Set(many.map((one) => `${one.status} ${one.body?.oob_id}`))].length,
    1,
    many.map((one) => one.text.slice(0, 80)).join('\n'),
  );
  for (const key of ['one', 'many']) assert.equal((await alice.get(`/connections?alias=${key}`)).results.length, 1);
  const other = await alice.call('POST', INVITE, { ...HANDSHAKE, alias: 'one' });
  assert.notEqual(other.body.oob_id, first.body.oob_id);
});

test('a call that failed may be repeated under its key', async () => {
  const headers = { 'idempotency-key': 'fails first' };
  assert.equal((await alice.call('POST', INVITE, {}, headers)).status, 400);
  assert.equal((await alice.call('POST', INVITE, HANDSHAKE, headers)).status, 200);
});

test('lists come in pages with a total, by offset and by cursor', async () => {
  for (let i = 0; i < 7; i++) await alice.post(INVITE, { ...HANDSHAKE, alias: 'page' });
  const all = await alice.get('/connections?alias=page');
  assert.equal(all.total, 7);
  const ids = all.results.map((one: Body) => one.connection_id);
  const byOffset = [
    ...(await alice.get('/connections?alias=page&limit=4')).results,
    ...(await alice.get('/connections?alias=page&limit=4&offset=4')).results,
  ];
  assert.deepEqual(
    byOffset.map((one) => one.connection_id),
    ids,
  );
  const byCursor: string[] = [];
  for (let next = ''; ; ) {
    const page = await alice.get(`/connections?alias=page&limit=3${next && `&cursor=${encodeURIComponent(next)}`}`);
    byCursor.push(...page.results.map((one: Body) => one.connection_id));
    if (!page.next) break;
    next = page.next;
  }
  assert.deepEqual(byCursor, ids);
  const bad = await alice.call('GET', '/connections?cursor=nonsense');
  assert.ok(bad.status === 400 || bad.status === 422, bad.text);
});

interface Frames {
  readonly socket: WebSocket;
  readonly frames: ReturnType<typeof waiting<Body>>;
}

async function listen(agent: TestAgent, headers: Record<string, string> = {}, query = ''): Promise<Frames> {
  const socket = new WebSocket(`${agent.admin.replace('http', 'ws')}/ws${query}`, { headers });
  const frames = waiting<Body>();
  socket.on('message', (data) => frames.add(JSON.parse(String(data))));
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });
  world.defer(() => socket.terminate());
  return { socket, frames };
}

test('/ws: settings first, events as they happen with the same id as the webhook, a ping in silence', async () => {
  const { frames } = await listen(alice, { 'x-api-key': alice.key }, '?event_id=true');
  const plain = await listen(alice, { 'x-api-key': alice.key });
  const settings = await frames.first(() => true, 'a first frame');
  assert.equal(settings.topic, 'settings');
  assert.deepEqual([settings.payload.authenticated, settings.payload.label], [true, 'alice']);
  const made = await alice.post(INVITE, HANDSHAKE);
  const frame = await frames.first((one) => one.topic === 'connections' && one.payload.invitation_msg_id === made.invi_msg_id, 'the event');
  const hook = await alice.hooks.first((one) => one.id === frame.event_id, 'the webhook of the same event');
  assert.deepEqual(hook.payload, frame.payload);
  // ACA-Py's members and no other, for controllers that take a frame apart by names
  const same = await plain.frames.first((one) => one.payload?.invitation_msg_id === made.invi_msg_id && one.topic === 'connections', 'it');
  assert.deepEqual(same, { topic: frame.topic, payload: frame.payload });
  const ping = await frames.first((one) => one.topic === 'ping', 'a ping');
  assert.equal(ping.authenticated, true);
});

test('/ws without a key has no event until a message brings it', async () => {
  const { socket, frames } = await listen(alice);
  assert.equal((await frames.first(() => true, 'settings')).payload.authenticated, false);
  for (const wrong of ['no JSON', '7', 'null', '{"x-api-key": "wrong"}', '{"x-api-key": 7}']) socket.send(wrong);
  await alice.post(INVITE, { ...HANDSHAKE, alias: 'unseen' });
  socket.send(JSON.stringify({ 'x-api-key': alice.key }));
  const again = await frames.first((one) => one.topic === 'settings' && one.payload.authenticated, 'settings again');
  assert.equal(again.payload.label, 'alice');
  await alice.post(INVITE, { ...HANDSHAKE, alias: 'seen' });
  await frames.first((one) => one.payload?.alias === 'seen', 'the event');
  assert.equal(
    frames.list.some((one) => one.payload?.alias === 'unseen'),
    false,
  );
});

test('other upgrades are not taken, and the connection ends', async () => {
  await assert.rejects(
    new Promise<void>((resolve, reject) => {
      const socket = new WebSocket(`${alice.admin.replace('http', 'ws')}/elsewhere`);
      socket.once('open', () => resolve());
      socket.once('error', reject);
    }),
  );
});

test('the documentation is there, describes every operation once and is valid OpenAPI 3.1', async () => {
  const page = await alice.call('GET', '/api/doc', undefined, { 'x-api-key': '' });
  assert.equal(page.status, 200);
  assert.match(page.text, /connections/);
  const { body: document } = await alice.call('GET', '/api/docs/swagger.json', undefined, { 'x-api-key': '' });
  const result = await new Validator().validate(document);
  assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
  assert.equal(document.openapi, '3.1.0');
  const operations = Object.values(document.paths as Record<string, Record<string, Body>>).flatMap((path) => Object.values(path));
  const ids = operations.map((one) => one.operationId);
  assert.deepEqual(ids.length, new Set(ids).size, 'operation ids are unique');
  assert.ok(ids.length > 40);
});

test('events can be read again, in their order, after a known one', async () => {
  const ids = await connect(alice, bob);
  const all: Body[] = [];
  for (let after = ''; ; ) {
    const page = await alice.get(`/events?limit=5${after && `&after=${after}`}`);
    if (page.results.length === 0) break;
    all.push(...page.results);
    after = page.next;
  }
  const states = all
    .filter((one) => one.topic === 'connections' && one.payload.connection_id === ids.inviter)
    .map((one) => one.payload.state);
  assert.deepEqual(states, ['invitation', 'request', 'response', 'active']);
  assert.equal(new Set(all.map((one) => one.event_id)).size, all.length);
  await until(() => all.every((one) => alice.hooks.list.some((hook) => hook.id === one.event_id)), 'every event to have been a webhook');
});

test('browsers are let in nowhere by themselves: a preflight is answered, and allows nothing', async () => {
  const answer = await fetch(`${alice.admin}/connections`, {
    method: 'OPTIONS',
    headers: { origin: 'https://x.example', 'access-control-request-method': 'GET' },
  });
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get('access-control-allow-origin'), null);
});

test('HEAD is answered as GET is, without the body', async () => {
  const headers = { 'x-api-key': alice.key };
  for (const path of ['/connections', '/status/config', '/metrics', '/connections/none']) {
    const [head, get] = await Promise.all(['HEAD', 'GET'].map((method) => fetch(alice.admin + path, { method, headers })));
    const [text, body] = [await head!.text(), await get!.text()];
    assert.equal(text, '');
    assert.deepEqual([head!.status, head!.headers.get('content-type')], [get!.status, get!.headers.get('content-type')], path);
    // what is counted in the metrics changes
    if (path !== '/metrics' && get!.ok) assert.equal(head!.headers.get('content-length'), String(Buffer.byteLength(body)), path);
  }
  assert.equal((await fetch(`${alice.admin}/connections`, { method: 'HEAD' })).status, 401);
});
