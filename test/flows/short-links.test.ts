import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { type Body, connect, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { MULTITENANT, newTenant } from '../support/tenants.ts';

/** RFC 0434, "URL Shortening", both ways: short links that the message port serves, and URLs that lead to an invitation. */

const world = createWorld();
let alice: TestAgent;
let bob: TestAgent;

before(async () => {
  alice = await world.start('alice', { flags: ['--auto-accept-requests'] });
  bob = await world.start('bob', { flags: ['--auto-accept-invites'] });
});
after(() => world.close());

const create = (query = '', more: object = {}): Promise<Body> =>
  alice.post(`/out-of-band/create-invitation${query}`, { ...HANDSHAKE, ...more });
const open = (url: string, accept?: string, method = 'GET'): Promise<Response> =>
  fetch(url, { method, redirect: 'manual', headers: accept === undefined ? {} : { accept } });
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const receive = (invitation_url: string) => bob.call('POST', '/out-of-band/receive-invitation', { invitation_url });
const became = (agent: TestAgent, id: string, state: string): Promise<Body> =>
  agent.event('connections', (one) => one.connection_id === id && one.state === state, state);

/** A server of others: what it answers, and how often it was asked. */
async function server(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const made = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.accept}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  world.defer(() => {
    made.closeAllConnections();
    made.close();
  });
  return { url: `http://127.0.0.1:${(made.address() as AddressInfo).port}/s`, asked };
}

test('an invitation has a short link: the JSON for who asks for that, the long URL, and a page for browsers', async () => {
  const made = await create('', { my_label: '<b>Alice</b> & "co"', goal: 'to <i>try</i>' });
  assert.match(made.short_url, new RegExp(`^${alice.inbound}/i/[A-Za-z0-9_-]{22}$`));
  assert.equal((await alice.get(`/out-of-band/invitations?oob_id=${made.oob_id}`)).short_url, made.short_url);
  const code = made.short_url.slice(-22);
  for (const url of [made.short_url, `${alice.inbound}?id=${code}`, `${alice.inbound}/any/path/i/${code}`]) {
    const json = await open(url, 'application/json');
    assert.deepEqual(
      [json.status, json.headers.get('content-type'), json.headers.get('cache-control')],
      [200, 'application/json', 'no-store'],
    );
    assert.deepEqual(await json.json(), made.invitation);
    for (const accept of [undefined, '*/*', 'image/png']) {
      const moved = await open(url, accept);
      assert.deepEqual([moved.status, moved.headers.get('location')], [302, made.invitation_url], accept);
    }
  }
  const page = await open(made.short_url, BROWSER);
  assert.match(page.headers.get('content-type')!, /^text\/html/);
  assert.match(page.headers.get('content-security-policy')!, /default-src 'none'/);
  const text = await page.text();
  assert.match(text, /<bdi>&lt;b&gt;Alice&lt;\/b&gt; &amp; &quot;co&quot;<\/bdi> invites you/);
  assert.match(text, /What for: <bdi>to &lt;i&gt;try&lt;\/i&gt;<\/bdi>/);
  assert.ok(text.includes('<svg role="img"') && text.includes(`value="${made.short_url}"`) && !text.includes('in the web wallet'));
  assert.ok(!text.includes('<b>') && !text.includes('<i>') && text.includes('didcomm://invite?oob='));
  assert.equal((await open(made.short_url, 'text/html;q=0.5, application/json')).headers.get('content-type'), 'application/json');
  const head = await open(made.short_url, 'application/json', 'HEAD');
  assert.deepEqual([head.status, await head.text()], [200, '']);
  const long = await (await open(made.invitation_url, BROWSER)).text();
  assert.match(long, /<bdi>&lt;b&gt;Alice&lt;\/b&gt; &amp; &quot;co&quot;<\/bdi> invites you/);
  assert.match(await (await open(made.invitation_url)).text(), /This is a DIDComm endpoint/);
});

test('the long URL shows the texts of our own invitations as they were made, and none of others', async () => {
  const made = await create('', { my_label: 'Alice', goal: 'to try' });
  const urlOf = (invitation: object, name = 'oob'): string =>
    `${alice.inbound}?${name}=${Buffer.from(JSON.stringify(invitation)).toString('base64url')}`;
  const forged = await (await open(urlOf({ ...made.invitation, label: 'Your bank', goal: 'to pay' }), BROWSER)).text();
  assert.ok(forged.includes('<bdi>Alice</bdi> invites you') && !forged.includes('Your bank') && !forged.includes('to pay'));
  const services = [{ recipientKeys: ['did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH'], serviceEndpoint: 'https://x.example' }];
  for (const [held, name] of [
    [{ ...made.invitation, '@id': 'another', label: 'Your bank' }, 'oob'],
    [{ ...made.invitation, services, label: 'Your bank' }, 'oob'],
    [{ label: 'Your bank', recipientKeys: [5], services: 'x' }, 'c_i'],
    [{ label: 'Your bank', services: [null] }, 'd_m'],
  ] as const) {
    const page = await open(urlOf(held, name), BROWSER);
    const text = await page.text();
    assert.equal(page.status, 200);
    assert.ok(text.includes('<h1>An invitation</h1>') && text.includes(`didcomm://invite?${name}=`) && !text.includes('Your bank'));
  }
  for (const broken of ['oob=!!', 'oob=', 'c_i=e30x', 'd_m=%00', 'oob=%E0%A4%A'])
    assert.match(await (await open(`${alice.inbound}?${broken}`, BROWSER)).text(), /<h1>An invitation<\/h1>/);
  await became(bob, (await bob.post('/out-of-band/receive-invitation', made.invitation)).connection_id, 'active');
  assert.ok(!(await (await open(made.invitation_url, BROWSER)).text()).includes('Alice'), 'a used one is shown to nobody');
});

test('a controller makes further links, with an end and a number of uses; a look at the page is no use', async () => {
  const wallets = await world.start('wallets', { flags: ['--wallet-origin', 'https://wallet.example/'] });
  const made = await wallets.post('/out-of-band/create-invitation?multi_use=true', HANDSHAKE);
  const twice = await wallets.post('/short-links', { oob_id: made.oob_id, max_uses: 2 });
  assert.deepEqual([twice.state, twice.uses, twice.max_uses], ['open', 0, 2]);
  const page = await (await open(twice.short_url, BROWSER)).text();
  assert.ok(page.includes(`href="https://wallet.example/#invitation=${encodeURIComponent(twice.short_url)}"`));
  await open(twice.short_url, 'application/json', 'HEAD');
  const answers = await Promise.all(Array.from({ length: 6 }, () => open(twice.short_url, 'application/json')));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 410, 410, 410, 410]);
  assert.equal((await open(twice.short_url, BROWSER)).status, 410);
  const { created_at: _made, ...seen } = await wallets.get(`/short-links/${twice.short_link_id}`);
  const { created_at: _first, ...expected } = twice;
  assert.deepEqual(seen, { ...expected, state: 'used', uses: 2 });
  const short = await wallets.post('/short-links', { oob_id: made.oob_id, expires_in: 1 });
  const deadline = Date.parse(short.expires_at) + 20_000;
  while ((await open(short.short_url, 'application/json')).status === 200) assert.ok(Date.now() < deadline, 'the link ends');
  assert.equal((await open(short.short_url, 'application/json')).status, 410);
  const third = await wallets.post('/short-links', { oob_id: made.oob_id });
  assert.equal((await wallets.get(`/short-links?oob_id=${made.oob_id}`)).total, 3);
  assert.equal((await open(third.short_url)).status, 302);
  await wallets.call('DELETE', `/short-links/${third.short_link_id}`);
  assert.equal((await open(third.short_url)).status, 404);
  assert.equal((await open(made.short_url)).status, 302, 'its own link stays');
  for (const body of [{ oob_id: 'x' }, {}, { oob_id: made.oob_id, max_uses: 0 }, { oob_id: made.oob_id, expires_in: 1e12 }])
    assert.ok([404, 422].includes((await wallets.call('POST', '/short-links', body)).status));
});

test('an invitation too long for a header of proxies is answered as it is, and fits in a QR code by its link', async () => {
  const made = await create('', { goal: 'x'.repeat(4000) });
  const answer = await open(made.short_url, '*/*');
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/json']);
  assert.ok(made.invitation_url.length > 2953 && made.short_url.length < 100);
});

test('a used invitation is gone, a deleted and an unknown one are not found; one of many uses stays', async () => {
  const [used, deleted, orphan, many] = [await create(), await create(), await create(), await create('?multi_use=true')];
  assert.equal(new Set([used, deleted, many].map(({ short_url }) => short_url)).size, 3);
  for (const made of [used, many]) {
    const got = await bob.post('/out-of-band/receive-invitation', made.invitation);
    await became(bob, got.connection_id, 'active');
  }
  await alice.call('DELETE', `/out-of-band/invitations/${deleted.invi_msg_id}`);
  const [{ connection_id }] = (await alice.get(`/connections?invitation_msg_id=${orphan.invi_msg_id}`)).results;
  await alice.call('DELETE', `/connections/${connection_id}`);
  for (const [url, status] of [
    [used.short_url, 410],
    [orphan.short_url, 410],
    [deleted.short_url, 404],
    [many.short_url, 200],
    [many.short_url.replace(/.{3}$/, 'AAA'), 404],
    [`${alice.inbound}/i/short`, 404],
    [`${alice.inbound}?id=${'A'.repeat(64)}`, 404],
    [`${alice.inbound}?id=`, 200],
  ] as const) {
    for (const accept of ['application/json', BROWSER]) assert.equal((await open(url, accept)).status, status, `${url} ${accept}`);
  }
});

test('an address that asks faster than messages may come is told to wait', async () => {
  const slow = await world.start('slow', { flags: ['--message-rate', '1'] });
  const made = await slow.post('/out-of-band/create-invitation', HANDSHAKE);
  const answers = await Promise.all(Array.from({ length: 30 }, () => open(made.short_url, 'application/json')));
  assert.ok(answers.some(({ status, headers }) => status === 429 && headers.get('retry-after') === '1'));
});

test('tenants have links of their own; nobody has one where nothing is served over HTTP', async () => {
  const host = await world.start('host', { flags: MULTITENANT });
  const tenant = await newTenant(host, 'tenant');
  const made = await tenant.post('/out-of-band/create-invitation', HANDSHAKE);
  assert.equal(((await (await open(made.short_url, 'application/json')).json()) as Body)['@id'], made.invi_msg_id);
  await host.call('DELETE', `/multitenancy/wallet/${tenant.id}`);
  assert.equal((await open(made.short_url, 'application/json')).status, 404);
  const away = await world.start('away', { noInbound: true });
  assert.equal((await away.post('/out-of-band/create-invitation', HANDSHAKE)).short_url, undefined);
});

test('an invitation is received by its short link, its long URL, and what redirects to that', async () => {
  const { url: shortener, asked } = await server((_request, response) => response.writeHead(301, { location: target }).end());
  let target = '';
  for (const urlOf of [(made: Body) => made.short_url, (made: Body) => made.invitation_url, () => shortener] as const) {
    const made = await create();
    target = made.invitation_url;
    const got = await receive(urlOf(made));
    assert.equal(got.status, 200, got.text);
    assert.equal(got.body.invi_msg_id, made.invi_msg_id);
    await became(bob, got.body.connection_id, 'active');
  }
  assert.deepEqual(asked, ['GET /s application/json']);
});

test('a link that leads to no invitation, or to a forbidden address, is refused in words and changes nothing', async () => {
  const used = await create();
  await became(bob, (await bob.post('/out-of-band/receive-invitation', used.invitation)).connection_id, 'active');
  const large = await server((_request, response) => response.end(Buffer.alloc(9 << 20, ' ')));
  const text = await server((_request, response) => response.end('<html>'));
  const ping = await server((_request, response) => response.end('{"@type": "https://didcomm.org/trust_ping/1.0/ping"}'));
  const further = await server((_request, response) => response.writeHead(302, { location: text.url }).end());
  const nowhere = await server((_request, response) => response.writeHead(307).end());
  const deaf = await server(() => {});
  const before = (await bob.get('/out-of-band/records')).total;
  for (const [url, status, why] of [
    [used.short_url, 400, /answer is 410/],
    [text.url, 400, /no JSON object/],
    [ping.url, 400, /no out-of-band invitation/],
    [further.url, 400, /leads on to a URL that holds no invitation/],
    [nowhere.url, 400, /leads on/],
    [large.url, 502, /more than/],
    [deaf.url, 502, /did not answer/],
    ['http://10.255.255.1/i/x', 400, /private address/],
    [bob.admin, 400, /admin port/],
    ['ftp://127.0.0.1/x', 400, /scheme/],
    ['not a URL', 400, /not a URL/],
    [`${alice.inbound}?oob=!!`, 400, /no base64/],
    [`${alice.inbound}?oob=e30x`, 400, /no JSON object/],
  ] as const) {
    const answer = await receive(url);
    assert.equal(answer.status, status, `${url}: ${answer.text}`);
    assert.match(answer.text, why, url);
  }
  assert.equal(text.asked.length, 1, 'a redirect is read and not followed');
  assert.equal((await bob.get('/out-of-band/records')).total, before);
  const shut = await world.start('shut', { flags: ['--no-receive-invites'] });
  const untouched = await server((_request, response) => response.end('{}'));
  assert.equal((await shut.call('POST', '/out-of-band/receive-invitation', { invitation_url: untouched.url })).status, 403);
  assert.deepEqual(untouched.asked, []);
  assert.equal((await bob.call('POST', '/out-of-band/receive-invitation', {})).status, 422);
});

test('the name of a link opens nothing else, and no key has one', async () => {
  await connect(alice, bob);
  const made = await create();
  const code = made.short_url.slice(-22);
  const envelope = {
    recipients: [{ header: { kid: `link ${code}` }, encrypted_key: 'AAAA' }],
    enc: 'xchacha20poly1305_ietf',
    typ: 'JWM/1.0',
    alg: 'Anoncrypt',
  };
  const body = JSON.stringify({
    protected: Buffer.from(JSON.stringify(envelope)).toString('base64url'),
    iv: 'AAAA',
    ciphertext: 'AAAA',
    tag: 'AAAA',
  });
  const answer = await fetch(alice.inbound, { method: 'POST', headers: { 'content-type': 'application/didcomm-envelope-enc' }, body });
  assert.ok([202, 400].includes(answer.status));
  assert.equal((await open(made.short_url, 'application/json')).status, 200);
});
