import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import type { Operation } from './operations.ts';
import { familiesOf, serveFamilies } from './route-groups.ts';

const operations = (...paths: string[]): Operation[] => paths.map((path) => ({ method: 'GET', path }) as Operation);
const made: string[] = [];
let app: FastifyInstance;
let close: () => Promise<void>;

before(async () => {
  app = fastify({ forceCloseConnections: true });
  app.get('/status', async () => 'the first');
  app.setNotFoundHandler(async (_request, reply) => reply.code(404).send('the first has none'));
  close = serveFamilies(app, new Set(['wallet', 'connections']), (family) => {
    made.push(family);
    const one = fastify();
    one.get(`/${family}/:id`, async ({ params }) => `${family} ${(params as { id: string }).id}`);
    one.post(`/${family}`, async ({ body }) => body);
    one.setNotFoundHandler(async (_request, reply) => reply.code(404).send(`${family} has none`));
    return one;
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(() => app.close());

const port = (): number => (app.server.address() as AddressInfo).port;
const get = async (path: string): Promise<string> => await (await fetch(`http://127.0.0.1:${port()}${path}`)).text();

/** A request whose target is written as it is. */
async function raw(target: string): Promise<string> {
  const socket = connect(port(), '127.0.0.1').setEncoding('utf8');
  socket.end(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'close');
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}

test('operations are parted by the first segment of their paths, and not at all where that may be anything', () => {
  const { first, others } = familiesOf(
    operations('/status', '/status/live', '/', '/metrics', '/wallet/did', '/wallet', '/connections/{id}'),
  );
  assert.deepEqual(
    first.map(({ path }) => path),
    ['/status', '/status/live', '/', '/metrics'],
  );
  assert.deepEqual(
    [...others].map(([family, some]) => [family, some.length]),
    [
      ['wallet', 2],
      ['connections', 1],
    ],
  );
  const any = operations('/status', '/wallet', '/{anything}/x');
  assert.deepEqual(familiesOf(any), { first: any, others: new Map() });
});

test('a family is made when it is first asked for, once, and has its own requests alone', async () => {
  assert.equal(await get('/status'), 'the first');
  assert.deepEqual(made, []);
  const answers = await Promise.all(['/wallet/a', '/wallet/b?x=/connections/c', '/wallet'].map(get));
  assert.deepEqual(answers, ['wallet a', 'wallet b', 'wallet has none']);
  const posted = await fetch(`http://127.0.0.1:${port()}/connections`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ long: 'x'.repeat(300_000) }),
  });
  assert.equal(((await posted.json()) as { long: string }).long.length, 300_000);
  assert.deepEqual(made, ['wallet', 'connections']);
});

test("a path may be escaped or a whole URL; what names no family is the first instance's", async () => {
  assert.equal(await raw('/wall%65t/a'), 'wallet a');
  assert.equal(await raw('http://any.example/wallet/a'), 'wallet a');
  assert.equal(await raw('/wallet%2Fa'), 'the first has none');
  for (const target of ['//wallet/a', '/walle', '/Wallet/a', '/', '/__proto__/a'])
    assert.equal(await raw(target), 'the first has none', target);
  assert.match(await raw('/%ff/a'), /bad url|FST_ERR_BAD_URL/i);
});

test('a server of several addresses has the families on each', async () => {
  const some = fastify({ forceCloseConnections: true });
  const end = serveFamilies(some, new Set(['wallet']), () => {
    const one = fastify();
    one.get('/wallet', async () => 'wallet');
    return one;
  });
  await some.listen({ host: 'localhost', port: 0 });
  try {
    for (const { address, port } of some.addresses() as AddressInfo[]) {
      const host = address.includes(':') ? `[${address}]` : address;
      assert.equal(await (await fetch(`http://${host}:${port}/wallet`)).text(), 'wallet', address);
    }
  } finally {
    await Promise.all([some.close(), end()]);
  }
});

test('from the close on no family has requests', async () => {
  await close();
  assert.equal(await get('/wallet/a'), 'the first has none');
});
