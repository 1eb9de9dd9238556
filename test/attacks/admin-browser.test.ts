import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { ConfigError } from '../../src/config/values.ts';
import { createWorld, type TestAgent } from '../support/agents.ts';

/** Web pages that have the browser of an operator call the admin API for them. What a browser sends is sent here by hand, since nothing else may set these headers. */

const world = createWorld();
let open: TestAgent;
let keyed: TestAgent;
let shared: TestAgent;

before(async () => {
  open = await world.start('open', { insecure: true, noWebhook: true, flags: ['--admin-allowed-host', 'agent.internal'] });
  shared = await world.start('shared', { insecure: true, noWebhook: true, flags: ['--admin-cors-origin', 'https://console.example'] });
  keyed = await world.start('keyed', { noWebhook: true, flags: ['--admin-cors-origin', 'https://console.example'] });
});
after(() => world.close());

interface Said {
  readonly status: number;
  readonly text: string;
  readonly headers: Record<string, string | string[] | undefined>;
}

function say(agent: TestAgent, method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Said> {
  const url = new URL(agent.admin);
  return new Promise((resolve, reject) => {
    const asking = request({ host: url.hostname, port: url.port, method, path, headers, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode!, text, headers: answer.headers }));
    });
    asking.on('error', reject);
    asking.end(body);
  });
}
const own = (agent: TestAgent): string => new URL(agent.admin).host;
const port = (agent: TestAgent): string => new URL(agent.admin).port;
const JSON_TYPE = { 'content-type': 'application/json' };

test('[A18] a foreign page has an agent without a key do nothing, whatever its browser sends unasked', async () => {
  const evil = { origin: 'https://evil.example' };
  const dids = async (): Promise<number> => JSON.parse((await say(open, 'GET', '/wallet/did')).text).results.length;
  const before_ = await dids();
  for (const headers of [
    { ...evil, 'content-type': 'text/plain' },
    { ...evil, ...JSON_TYPE },
    { origin: 'null', 'content-type': 'text/plain' },
    { origin: `http://127.0.0.1:${Number(port(open)) + 1}`, ...JSON_TYPE },
    { origin: `http://localhost:${port(open)}`, ...JSON_TYPE },
    { 'sec-fetch-site': 'cross-site', ...JSON_TYPE },
    { 'sec-fetch-site': 'same-site', ...JSON_TYPE },
  ]) {
    const answer = await say(open, 'POST', '/wallet/did/create', headers, '{"method": "key"}');
    assert.equal(answer.status, 403, JSON.stringify(headers));
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
  }
  // an image, or a link, sends no origin
  for (const path of ['/shutdown', '/wallet/did', '/status'])
    assert.equal((await say(open, 'GET', path, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).status, 403, path);
  assert.equal((await say(open, 'GET', '/shutdown', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).status, 403);
  assert.equal(await dids(), before_);
});

test('[A18-2] a name of somebody else that resolves to loopback reads nothing', async () => {
  for (const host of [
    'evil.example',
    `evil.example:${port(open)}`,
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '192.0.2.1',
    '[2001:db8::1]',
    'a@127.0.0.1',
  ])
    for (const path of ['/wallet/did', '/status/live', '/api/doc', '/ws', '/nothing'])
      assert.equal((await say(open, 'GET', path, { host })).status, 403, `${host} ${path}`);
  assert.equal((await say(open, 'OPTIONS', '/wallet/did', { host: 'evil.example' })).status, 403);
  for (const host of [
    own(open),
    `localhost:${port(open)}`,
    'LOCALHOST',
    '[::1]:1',
    '127.0.0.9',
    'agent.internal',
    `agent.internal:${port(open)}`,
  ])
    assert.equal((await say(open, 'GET', '/wallet/did', { host })).status, 200, host);
  // with a key the name says nothing: a proxy gives its own
  assert.equal((await say(keyed, 'GET', '/status', { host: 'agent.example', 'x-api-key': keyed.key })).status, 200);
});

test('[A18-3] without a key a body is JSON and says so', async () => {
  const body = '{"method": "key"}';
  for (const headers of [
    { 'content-type': 'text/plain' },
    { 'content-type': 'text/plain; application/json' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'multipart/form-data; boundary=x' },
    { 'content-type': 'application/jsonx' },
    {},
    { 'transfer-encoding': 'chunked' },
  ]) {
    const answer = await say(open, 'POST', '/wallet/did/create', headers as Record<string, string>, body);
    assert.equal(answer.status, 415, JSON.stringify(headers));
  }
  for (const type of ['application/json', 'Application/JSON; charset=utf-8', 'application/ld+json'])
    assert.equal((await say(open, 'POST', '/wallet/did/create', { 'content-type': type }, body)).status, 200, type);
  // a call without a body needs no type, and HTTP libraries give any
  for (const headers of [{}, { 'content-type': 'application/octet-stream', 'content-length': '0' }])
    assert.equal((await say(open, 'POST', '/status/reset', headers as Record<string, string>)).status, 200);
  // scripts that use a key say what their tools say by themselves
  const form = { 'content-type': 'application/x-www-form-urlencoded', 'x-api-key': keyed.key };
  assert.equal((await say(keyed, 'POST', '/wallet/did/create', form, body)).status, 200);
});

test('[A18-4] no page may read an answer unless its origin is configured', async () => {
  const evil = await say(keyed, 'GET', '/status/live', { origin: 'https://evil.example' });
  assert.deepEqual([evil.status, evil.headers['access-control-allow-origin']], [200, undefined]);
  const known = { origin: 'https://console.example' };
  const preflight = await say(keyed, 'OPTIONS', '/connections', {
    ...known,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'x-api-key, content-type',
  });
  assert.deepEqual(
    [preflight.status, preflight.headers['access-control-allow-origin'], preflight.headers['access-control-allow-headers']],
    [204, 'https://console.example', 'x-api-key, content-type'],
  );
  const refused = await say(keyed, 'GET', '/connections', known);
  assert.deepEqual([refused.status, refused.headers['access-control-allow-origin']], [401, 'https://console.example'], 'it may read why');
  assert.equal((await say(keyed, 'GET', '/connections', { ...known, 'x-api-key': keyed.key })).status, 200);
  assert.match(String(evil.headers.vary), /origin/i);
  // the agent's own page, and one that the operator named, may call one without a key
  assert.equal((await say(open, 'GET', '/wallet/did', { origin: open.admin, 'sec-fetch-site': 'same-origin' })).status, 200);
  assert.equal((await say(shared, 'GET', '/wallet/did', { ...known, 'sec-fetch-site': 'cross-site' })).status, 200);
  assert.equal((await say(shared, 'GET', '/wallet/did', { origin: 'https://evil.example' })).status, 403);
  // who follows a link to the documentation reads it
  assert.equal((await say(open, 'GET', '/api/doc', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).status, 200);
});

test('[A18-5] a foreign page gets no events of an agent without a key', async () => {
  const status = (agent: TestAgent, headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`${agent.admin.replace('http', 'ws')}/ws`, { headers });
      socket.once('unexpected-response', (asking, answer) => {
        asking.destroy();
        resolve(answer.statusCode!);
      });
      socket.once('open', () => {
        socket.terminate();
        resolve(101);
      });
      socket.once('error', reject);
    });
  assert.equal(await status(open, { origin: 'https://evil.example' }), 403);
  assert.equal(await status(open, { host: `evil.example:${port(open)}` }), 403);
  assert.equal(await status(open, { origin: `http://evil.example:${port(open)}`, host: `evil.example:${port(open)}` }), 403);
  assert.equal(await status(open, { origin: open.admin }), 101);
  assert.equal(await status(open, {}), 101);
  assert.equal(await status(shared, { origin: 'https://console.example' }), 101);
});

test('[A18] every page is let in nowhere without a key', async () => {
  await assert.rejects(
    world.start('wide', { insecure: true, noWebhook: true, flags: ['--admin-cors-origin', '*'] }),
    (error: unknown) => error instanceof ConfigError && /admin-cors-origin/.test(error.message),
  );
  await assert.rejects(world.start('wrong', { noWebhook: true, flags: ['--admin-cors-origin', 'console.example'] }), ConfigError);
});
