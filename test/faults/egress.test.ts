import assert from 'node:assert/strict';
import dns from 'node:dns';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { type Body, createWorld, type TestAgent, until } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

/** Where a peer may send us: endpoints that lead elsewhere, or nowhere. */

const world = createWorld();
/** Takes loopback; the other takes only what the Internet holds. */
let open: TestAgent;
let guarded: TestAgent;

before(async () => {
  open = await world.start('open');
  guarded = await world.start('guarded', { flags: ['--egress-allow', '10.99.0.0/16'] });
});
after(() => world.close());

const invitationTo = (endpoint: string, verkey = newKeyPair().verkey): Body =>
  message('out-of-band/1.1/invitation', {
    label: 'nowhere',
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
    services: [{ id: '#inline', type: 'did-communication', recipientKeys: [verkey], serviceEndpoint: endpoint }],
  });

/** A server that does with requests what a test says. */
async function endpoint(listener: RequestListener): Promise<{ url: string; requests: () => number }> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests: () => requests };
}

/** The connection that an agent makes of an invitation, once it says what is wrong. */
async function failed(agent: TestAgent, url: string): Promise<Body> {
  const { connection_id } = await agent.post('/out-of-band/receive-invitation?auto_accept=true', invitationTo(url));
  return await until(async () => {
    const record = await agent.get(`/connections/${connection_id}`);
    return record.error_msg && record;
  }, `an error of ${url}`);
}

for (const url of [
  'http://127.0.0.1:9/',
  'http://localhost:9/',
  'http://[::1]:9/',
  'http://[::ffff:127.0.0.1]:9/',
  'http://10.0.0.1/',
  'http://192.168.1.1/',
  'http://172.16.0.1/',
  'http://100.64.0.1/',
  'http://[fd00::1]/',
  'http://169.254.169.254/latest/meta-data/',
  'http://[fe80::1]/',
  'http://0.0.0.0/',
  'http://2130706433/',
  'http://0x7f.1/',
  'http://0177.0.0.1/',
  'ftp://example.org/',
  'file:///etc/passwd',
  'http://user:pass@example.org/',
  'not a URL',
]) {
  test(`an invitation to ${url} is refused by the egress guard, and the connection says so`, async () => {
    const record = await failed(guarded, url);
    assert.match(record.error_msg, /^The endpoint is not allowed: /);
    assert.equal(record.state, 'error');
  });
}

test('link-local addresses stay closed whatever is allowed, and so does the own admin port', async () => {
  const wide = await world.start('wide', { flags: ['--egress-allow', '0.0.0.0/0', '--egress-allow', '::/0'] });
  for (const url of [
    'http://169.254.169.254/',
    'http://[fe80::1]/',
    'http://0.0.0.0/',
    `${wide.admin}/`,
    wide.admin.replace('127.0.0.1', 'localhost'),
  ]) {
    const record = await failed(wide, url);
    assert.match(record.error_msg, /^The endpoint is not allowed: /, url);
  }
});

test('a redirect is not followed', async () => {
  const target = await endpoint((_request, response) => response.writeHead(202).end());
  const redirecting = await endpoint((_request, response) => response.writeHead(307, { location: target.url }).end());
  const record = await failed(open, redirecting.url);
  assert.equal(record.error_msg, 'The endpoint answered 307');
  assert.equal(target.requests(), 0);
});

test('an endpoint that never answers, trickles or sends without end is given up in time', async () => {
  const hasty = await world.start('hasty', { flags: ['--outbound-timeout', '0.3'] });
  const silent = await endpoint(() => undefined);
  const trickling = await endpoint((_request, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('x'), 50);
    response.on('close', () => clearInterval(timer));
  });
  const endless = await endpoint((_request, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
      response.once('drain', more);
    };
    more();
  });
  const [slow, drip, flood] = await Promise.all([silent, trickling, endless].map(({ url }) => failed(hasty, url)));
  assert.match(slow.error_msg, /could not be reached|did not answer/);
  assert.match(drip.error_msg, /did not answer/);
  assert.match(flood.error_msg, /more than|did not answer/);
  assert.deepEqual([slow.state, drip.state, flood.state], ['request', 'request', 'request'], 'it may come back');
});

test('an endpoint that refuses goes on being asked; when it comes back it gets its mail, and the record is clean again', async () => {
  const stranger = await startStranger();
  world.defer(stranger.close);
  stranger.answer = { status: 503 };
  const { connection_id } = await open.post(
    '/out-of-band/receive-invitation?auto_accept=true',
    invitationTo(stranger.url, stranger.pair.verkey),
  );
  const record = await until(async () => {
    const one = await open.get(`/connections/${connection_id}`);
    return one.error_msg && one;
  }, 'the failure to be told');
  assert.deepEqual([record.state, record.error_msg], ['request', 'The endpoint answered 503']);
  stranger.answer = { status: 202 };
  await stranger.inbox.first((mail) => mail.message['@type'].endsWith('/request'), 'the request');
  await until(async () => (await open.get(`/connections/${connection_id}`)).error_msg === undefined, 'the error to go');
});

test('the answer of a peer to a delivery is handled, and none has the message sent again', async () => {
  const stranger = await startStranger();
  world.defer(stranger.close);
  const link = await connectStranger(open, stranger);
  const count = (content: string): number => stranger.inbox.list.filter((mail) => mail.message.content === content).length;
  for (const [i, body] of [
    'garbage',
    '{}',
    '',
    JSON.stringify(message('trust_ping/1.0/ping')),
    stranger.seal(newKeyPair().verkey, { a: 1 }),
  ].entries()) {
    stranger.answer = { status: 200, body };
    await open.post(`/connections/${link.id}/send-message`, { content: `message ${i}` });
    await stranger.inbox.first((mail) => mail.message.content === `message ${i}`, 'the message');
  }
  const text = message('basicmessage/1.0/message', { content: 'on the way back' });
  stranger.answer = { status: 200, body: stranger.seal(link.to.verkey, text) };
  await open.post(`/connections/${link.id}/send-message`, { content: 'last' });
  await open.event('basicmessages', (one) => one.message_id === text['@id'], 'the message in the answer');
  stranger.answer = { status: 202 };
  await open.post(`/connections/${link.id}/send-message`, { content: 'end' });
  await stranger.inbox.first((mail) => mail.message.content === 'end', 'the end');
  for (let i = 0; i < 5; i++) assert.equal(count(`message ${i}`), 1);
  assert.equal(count('last'), 1);
});

test('[D-07] a name that leads inside the second time it is asked for is written to once', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const agent = await world.start('rebound', { flags: ['--egress-allow', '127.0.0.2/32'] });
  const canary = await endpoint((_request, response) => response.writeHead(202).end());
  const port = Number(new URL(canary.url).port);
  let taken = 0;
  const allowed = createServer((_request, response) => {
    taken++;
    response.writeHead(503, { connection: 'close' }).end();
  });
  await new Promise<void>((resolve) => allowed.listen(port, '127.0.0.2', resolve));
  world.defer(() => allowed.close());
  let asked = 0;
  const real = dns.lookup;
  const rebinding = (name: string, options: dns.LookupOptions, done: (error: Error | null, found: dns.LookupAddress[]) => void): void => {
    if (name !== 'rebinding.flexid.id') real(name, options as never, done as never);
    else done(null, [{ address: asked++ === 0 ? '127.0.0.2' : '127.0.0.1', family: 4 }]);
  };
  t.mock.method(dns, 'lookup', rebinding as never);
  const { connection_id } = await agent.post(
    '/out-of-band/receive-invitation?auto_accept=true',
    invitationTo(`http://rebinding.flexid.id:${port}/`),
  );
  await until(async () => /private address/.test((await agent.get(`/connections/${connection_id}`)).error_msg ?? ''), 'the refusal');
  assert.deepEqual([taken, asked > 1, canary.requests()], [1, true, 0]);
});
