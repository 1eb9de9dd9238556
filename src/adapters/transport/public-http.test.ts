import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { until } from '../../../test/support/waiting.ts';
import { ENVELOPE_V1 } from '../../didcomm/media-types.ts';
import type { PublicAnswer, PublicRequest } from '../../ports/public.ts';
import { createDoor } from './door.ts';
import { httpInbound, type InboundOptions, inboundGate } from './http-inbound.ts';
import { type PublicHttpOptions, publicHttp } from './public-http.ts';

const quiet = { info() {}, warn() {}, error() {} };
const undo: (() => unknown)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

type Handler = (request: PublicRequest) => PublicAnswer | undefined | Promise<PublicAnswer | undefined>;

/** A message port whose every path is a public route, except `/messages`. */
async function listen(handle: Handler, more: Partial<PublicHttpOptions & InboundOptions> = {}) {
  const received: string[] = [];
  const sink = {
    receive: async (body: Uint8Array) => {
      received.push(Buffer.from(body).toString());
      return { status: 202 };
    },
  };
  const door = createDoor({ perAddress: 0, log: quiet });
  const routes = {
    find: (_method: string, url: string) =>
      url.startsWith('/messages') ? undefined : { maxBytes: 1000, answer: async (request: PublicRequest) => await handle(request) },
  };
  const gate = more.gate ?? inboundGate(100, 0);
  const { port, close } = await httpInbound(sink, {
    host: '127.0.0.1',
    port: 0,
    maxBytes: 2000,
    gate,
    door,
    mediaType: ENVELOPE_V1,
    face: { routes, http: publicHttp({ log: quiet, ...more }) },
    log: quiet,
  });
  undo.push(close, () => door.close());
  return { port, url: `http://127.0.0.1:${port}`, received, gate };
}

/** A connection that sends a text and reads nothing. */
async function deaf(port: number, text: string): Promise<Socket & { gone: boolean }> {
  const socket = Object.assign(connect({ port, host: '127.0.0.1' }), { gone: false });
  socket.on('error', () => {});
  socket.on('close', () => {
    socket.gone = true;
  });
  undo.push(() => socket.destroy());
  await once(socket, 'connect');
  socket.pause();
  socket.write(text);
  return socket;
}
const GET = 'GET /endless HTTP/1.1\r\nhost: x\r\n\r\n';

/** Bytes without an end; counts what was asked for, and whether it was let go. */
function endless() {
  const state = { pieces: 0, ended: 0 };
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        state.pieces++;
        yield Buffer.alloc(64 << 10, 'x');
      }
    } finally {
      state.ended++;
    }
  }
  return { state, body };
}

test("an answer has its status, headers and body; those of the connection are the server's", async () => {
  const { url } = await listen(({ url }) =>
    url === '/bytes'
      ? {
          status: 201,
          headers: { 'Content-Type': 'image/png', 'Cache-Control': 'max-age=9', ETag: '"1"', Connection: 'close', 'Content-Length': '99' },
          body: Buffer.of(1, 2),
        }
      : url === '/none'
        ? { status: 204 }
        : { status: 200, body: 'ä' },
  );
  const bytes = await fetch(`${url}/bytes`);
  assert.deepEqual(
    [bytes.status, ...['content-type', 'cache-control', 'etag', 'content-length', 'connection'].map((name) => bytes.headers.get(name))],
    [201, 'image/png', 'max-age=9', '"1"', '2', 'keep-alive'],
  );
  assert.deepEqual([...new Uint8Array(await bytes.arrayBuffer())], [1, 2]);
  const text = await fetch(`${url}/text`);
  assert.deepEqual(
    ['content-type', 'cache-control', 'x-content-type-options'].map((name) => text.headers.get(name)),
    ['text/plain; charset=utf-8', 'no-store', 'nosniff'],
  );
  assert.equal(await text.text(), 'ä');
  assert.equal((await fetch(`${url}/none`)).status, 204);
});

test('a request comes whole, without the keys of the admin API', async () => {
  let seen: PublicRequest | undefined;
  const { url } = await listen((request) => {
    seen = request;
    return { status: 200 };
  });
  await fetch(`${url}/a?b=c&b=d`, {
    method: 'POST',
    headers: { 'x-api-key': 'secret', cookie: 'secret', authorization: 'Bearer t' },
    body: 'xyz',
  });
  assert.deepEqual(
    [seen?.method, seen?.url, seen?.query.getAll('b'), Buffer.from(seen!.body).toString()],
    ['POST', '/a?b=c&b=d', ['c', 'd'], 'xyz'],
  );
  assert.equal(seen?.headers.authorization, 'Bearer t');
  assert.ok(!JSON.stringify(seen?.headers).includes('secret'));
});

test('a body beyond the bound is refused before anything looks at it, with a length and without', async () => {
  let asked = 0;
  const { url, received } = await listen(() => {
    asked++;
    return { status: 200 };
  });
  assert.equal((await fetch(url, { method: 'POST', body: 'x'.repeat(1001) })).status, 413);
  const chunked = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 11; i++) controller.enqueue(Buffer.alloc(100, 'x'));
      controller.close();
    },
  });
  const options = { method: 'POST', body: chunked, duplex: 'half' } as RequestInit;
  assert.equal((await fetch(url, options)).status, 413);
  assert.equal(asked, 0);
  assert.equal((await fetch(url, { method: 'POST', body: 'x'.repeat(1000) })).status, 200);
  // the bound of messages is another one
  const message = { method: 'POST', headers: { 'content-type': ENVELOPE_V1 }, body: 'x'.repeat(1500) };
  assert.equal((await fetch(`${url}/messages`, message)).status, 202);
  assert.equal(received.length, 1);
});

test('a request that its route does not know is answered as one for another path', async () => {
  const { url, received } = await listen(() => undefined);
  for (const init of [
    {},
    { method: 'HEAD' },
    { method: 'DELETE' },
    { method: 'POST', headers: { 'content-type': 'text/csv' }, body: 'x' },
    { method: 'POST', headers: { 'content-type': ENVELOPE_V1 }, body: 'x' },
  ]) {
    const read = async (path: string) => {
      const answer = await fetch(`${url}${path}`, init);
      const headers = Object.fromEntries([...answer.headers].filter(([name]) => name !== 'date'));
      return { status: answer.status, headers, text: await answer.text() };
    };
    assert.deepEqual(await read('/public'), await read('/messages'), JSON.stringify(init));
  }
  assert.deepEqual(received, ['x', 'x']);
});

test('a reader that reads nothing is cut, costs a few pieces, and takes no place of a message', async () => {
  const { state, body } = endless();
  const { port, url, gate } = await listen(
    ({ url }) => (url === '/endless' ? { status: 200, body: body() } : { status: 200, body: 'ok' }),
    {
      stallMs: 300,
      gate: inboundGate(2, 0),
    },
  );
  const sockets = await Promise.all(Array.from({ length: 8 }, () => deaf(port, GET)));
  await until(() => state.pieces >= 8, 'eight answers that began');
  assert.ok(!gate.full, 'answers on their way are no messages in hand');
  assert.equal(await (await fetch(`${url}/other`)).text(), 'ok');
  await until(() => state.ended === 8, 'eight answers that were given up');
  assert.ok(state.pieces < 8 * 1000, `${state.pieces} pieces`);
  for (const socket of sockets) socket.resume();
  await until(() => sockets.every(({ gone }) => gone), 'eight closed connections');
});

test('an answer ends with its connection', async () => {
  const { state, body } = endless();
  const { port } = await listen(() => ({ status: 200, body: body() }));
  const socket = await deaf(port, GET);
  await until(() => state.pieces > 0, 'an answer that began');
  socket.destroy();
  await until(() => state.ended === 1, 'the end of the answer');
});

test('more answers on their way than there may be are refused, and the places come back', async () => {
  const { state, body } = endless();
  const { port, url } = await listen(({ url }) => (url === '/endless' ? { status: 200, body: body() } : { status: 200, body: 'ok' }), {
    sendingEach: 2,
  });
  const sockets = await Promise.all([deaf(port, GET), deaf(port, GET)]);
  await until(() => state.pieces >= 2, 'two answers that began');
  const refused = await fetch(`${url}/other`);
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
  for (const socket of sockets) socket.destroy();
  await until(() => state.ended === 2, 'two answers that ended');
  await until(async () => (await fetch(`${url}/other`)).status === 200, 'a free place');
});

test('a handler that does not answer is given up, and told; its late answer is let go', async () => {
  const { state, body } = endless();
  let signal: AbortSignal | undefined;
  let answer = (_one: PublicAnswer): void => {};
  const { url, gate } = await listen(
    (request) => {
      signal = request.signal;
      return new Promise<PublicAnswer>((resolve) => {
        answer = resolve;
      });
    },
    { holdMs: 200, gate: inboundGate(1, 0) },
  );
  const late = await fetch(url);
  assert.deepEqual([late.status, late.headers.get('retry-after'), signal?.aborted], [503, '1', true]);
  assert.ok(!gate.full);
  const stream = body();
  await stream.next();
  answer({ status: 200, body: stream });
  await until(() => state.ended === 1, 'the answer that nobody reads');
});

test('an iterable that hangs or breaks ends the connection, in the middle of the answer', async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('some');
    throw new Error('broken');
  }
  async function* hangs(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('some');
    await new Promise(() => {});
  }
  const { url } = await listen(({ url }) => ({ status: 200, body: url === '/broken' ? broken() : hangs() }), { holdMs: 200 });
  for (const path of ['/broken', '/hangs']) await assert.rejects(async () => (await fetch(`${url}${path}`)).text(), path);
});

test('a value that cannot be an answer is 500, and nothing of it is sent', async () => {
  const answers: Record<string, PublicAnswer> = {
    '/large': { status: 200, body: 'x'.repeat((1 << 20) + 1) },
    '/split': { status: 200, headers: { 'x-name': 'a\r\nset-cookie: b' }, body: 'x' },
    '/status': { status: 99999, body: 'x' },
  };
  const { url } = await listen(({ url }) => answers[url]!);
  for (const path of Object.keys(answers)) {
    const answer = await fetch(`${url}${path}`);
    assert.deepEqual([answer.status, await answer.text(), answer.headers.get('set-cookie')], [500, '', null], path);
  }
});

test('HEAD has the headers alone, and lets an iterable go', async () => {
  const { state, body } = endless();
  const { url } = await listen(() => {
    const stream = body();
    return { status: 200, headers: { 'content-length': '12345' }, body: stream };
  });
  const head = await fetch(url, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length'), state.pieces], [200, '12345', 0]);
});

test('an iterable that is not as long as it was said to be ends the connection', async () => {
  async function* three(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('abc');
  }
  const { url } = await listen(({ url }) => ({ status: 200, headers: { 'content-length': url.slice(1) }, body: three() }));
  assert.equal(await (await fetch(`${url}/3`)).text(), 'abc');
  for (const length of ['2', '4']) await assert.rejects(async () => (await fetch(`${url}/${length}`)).text(), length);
});
