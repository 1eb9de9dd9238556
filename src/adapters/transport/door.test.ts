import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { until } from '../../../test/support/waiting.ts';
import { createDoor, type DoorOptions } from './door.ts';

const quiet = { info() {}, warn() {}, error() {} };
const undo: (() => unknown)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

/** A server that answers what is whole, at once or when it is let. */
async function listen(options: Partial<DoorOptions> = {}, working: (() => void)[] | undefined = undefined) {
  const door = createDoor({ perAddress: 0, log: quiet, ...options });
  const seen: IncomingMessage[] = [];
  const server: Server = createServer((request, response) => {
    seen.push(request);
    request.on('data', (chunk: Buffer) => door.grew(request, chunk.length));
    request.on('end', () => {
      if (working) working.push(() => response.end('late'));
      else response.end('whole');
    });
  });
  door.keep(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(() => {
    server.closeAllConnections();
    server.close();
    door.close();
  });
  return { port: (server.address() as AddressInfo).port, door, seen };
}

/** A connection from an address of its own that says so much and no more. */
async function half(port: number, text: string, localAddress = '127.0.0.1'): Promise<Socket & { gone: boolean }> {
  const socket = Object.assign(connect({ port, host: '127.0.0.1', localAddress }), { gone: false });
  socket.on('error', () => {});
  socket.on('close', () => {
    socket.gone = true;
  });
  undo.push(() => socket.destroy());
  await once(socket, 'connect');
  socket.resume();
  socket.write(text);
  return socket;
}
const HEAD = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n';
const BEGUN = `${HEAD}{`;

const post = (port: number, localAddress = '127.0.0.1'): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', localAddress, method: 'POST', agent: false }, async (response) => {
      resolve(Buffer.concat(await response.toArray()).toString());
    });
    request.on('error', reject);
    request.end('{}');
  });

test('of too many connections of one address the one that waits longest gives way; who asks for something whole is answered', async () => {
  const { port } = await listen({ perAddress: 3 });
  const halves: Awaited<ReturnType<typeof half>>[] = [];
  for (let i = 0; i < 3; i++) halves.push(await half(port, i === 1 ? '' : 'POST / HTTP/1.1\r\n'));
  const other = await half(port, '', '127.0.0.2');
  assert.equal(await post(port), 'whole');
  await until(() => halves[0]!.gone, 'the oldest');
  assert.deepEqual(
    [...halves, other].map(({ gone }) => gone),
    [true, false, false, false],
  );
});

test('connections with a request under way are not disturbed: further ones are turned away', async () => {
  const working: (() => void)[] = [];
  const { port } = await listen({ perAddress: 2 }, working);
  const both = [post(port), post(port)];
  await until(() => working.length === 2, 'both at work');
  await assert.rejects(post(port));
  for (const go of working) go();
  assert.deepEqual(await Promise.all(both), ['late', 'late']);
});

test('where all connections are taken, the address that holds most unfinished ones loses its oldest', async () => {
  const { port } = await listen({ maxConnections: 3 });
  const single = await half(port, '', '127.0.0.3');
  const many = [await half(port, '', '127.0.0.2'), await half(port, '', '127.0.0.2')];
  assert.equal(await post(port), 'whole');
  await until(() => many[0]!.gone, 'the oldest of the many');
  assert.deepEqual([single.gone, many[1]!.gone], [false, false]);
});

test('bodies that are not complete are bounded by number and by bytes, of one address and of all', async () => {
  const byNumber = await listen({ bodiesEach: 2 });
  const halves: Awaited<ReturnType<typeof half>>[] = [];
  for (let i = 0; i < 3; i++) {
    halves.push(await half(byNumber.port, BEGUN));
    await until(() => byNumber.seen.length === i + 1, 'its head');
  }
  await until(() => halves[0]!.gone, 'the oldest');
  assert.equal(halves[1]!.gone, false);

  const byBytes = await listen({ bytesEach: 80, maxBytes: 100 });
  const large = await half(byBytes.port, `${HEAD}${'x'.repeat(50)}`, '127.0.0.2');
  await until(() => byBytes.seen.length === 1, 'the first');
  const second = await half(byBytes.port, `${HEAD}${'x'.repeat(20)}`, '127.0.0.2');
  await until(() => byBytes.seen.length === 2, 'the second');
  const honest = await half(byBytes.port, `${HEAD.replace('100', '45')}${'x'.repeat(40)}`);
  await until(() => large.gone, 'the oldest of whoever holds most');
  honest.write('x'.repeat(5));
  const [answer] = await once(honest, 'data');
  assert.match(String(answer), /whole/);
  assert.equal(second.gone, false);
});

test('a body that comes too slowly is ended', async () => {
  const { port } = await listen({ graceMs: 50 });
  const slow = await half(port, BEGUN);
  const [answer] = await once(slow, 'data');
  assert.match(String(answer), /408/);
  await until(() => slow.gone, 'the end');
});

test('the source of a request: the first address that no trusted proxy has, from the right; of IPv6 the network', async () => {
  const { door } = await listen({ trusted: ['127.0.0.0/8', '10.0.0.1', 'fd00::/8'] });
  const name = (remoteAddress: string, forwarded?: string): string =>
    door.nameOf({ socket: { remoteAddress }, headers: { 'x-forwarded-for': forwarded } } as never);
  for (const [expected, remote, forwarded] of [
    ['192.0.2.1', '192.0.2.1', '198.51.100.1'],
    ['192.0.2.1', '::ffff:192.0.2.1', undefined],
    ['198.51.100.1', '127.0.0.1', '198.51.100.1'],
    ['198.51.100.1', '::ffff:127.0.0.1', '203.0.113.9, 198.51.100.1, 10.0.0.1'],
    ['127.0.0.1', '127.0.0.1', undefined],
    ['127.0.0.1', '127.0.0.1', '198.51.100.1, nonsense'],
    ['2001:db8:1:2::/64', '2001:db8:1:2:3:4:5:6', undefined],
    ['2001:db8:0:0::/64', '2001:db8::1', undefined],
    ['0:0:0:0::/64', '::1', undefined],
    ['2001:db8:0:0::/64', 'fd00::1', '2001:db8::77'],
  ] as const)
    assert.equal(name(remote, forwarded), expected);
  for (const wrong of ['here', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/-1'])
    assert.throws(() => createDoor({ perAddress: 0, log: quiet, trusted: [wrong] }), /network/);
});
