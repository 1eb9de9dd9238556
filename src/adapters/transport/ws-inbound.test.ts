import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { WebSocket } from 'ws';
import { CALL_MS, until, waiting } from '../../../test/support/waiting.ts';
import { ENVELOPE_V1 } from '../../didcomm/media-types.ts';
import { AppError } from '../../errors.ts';
import type { Socket } from '../../ports/transport.ts';
import { createDoor } from './door.ts';
import { type EnvelopeSink, httpInbound, inboundGate } from './http-inbound.ts';
import { takeFrames, type WsInbound, type WsInboundOptions, wsInbound } from './ws-inbound.ts';

const quiet = { info() {}, warn() {}, error() {} };
const undo: (() => unknown)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

interface Port {
  readonly port: number;
  readonly url: string;
  readonly sockets: WsInbound;
  close(): Promise<void>;
}

/** A port that takes both, or WebSockets alone. */
async function listen(receive: EnvelopeSink['receive'], options: Partial<WsInboundOptions> = {}, posts = true): Promise<Port> {
  const gate = options.gate ?? inboundGate(1000, 0);
  const door = createDoor({ perAddress: 0, log: quiet });
  const sink = { receive };
  const sockets = wsInbound(takeFrames(sink, gate, quiet), {
    ...{ heartbeatMs: 0, timeoutMs: 1000, maxBytes: 1000, maxSockets: 100, gate, door, log: quiet },
    ...options,
  });
  const http = await httpInbound(sink, {
    ...{ host: '127.0.0.1', port: 0, maxBytes: 1000, gate, door, mediaType: ENVELOPE_V1, plain: true, log: quiet },
    ...{ posts, upgrade: sockets.upgrade },
  });
  const close = async (): Promise<void> => {
    await Promise.all([http.close(), sockets.close()]);
  };
  undo.push(close);
  return { port: http.port, url: `ws://127.0.0.1:${http.port}/`, sockets, close };
}

async function client(url: string, options: object = {}): Promise<WebSocket> {
  const ws = new WebSocket(url, options);
  ws.on('error', () => {});
  undo.push(() => ws.terminate());
  await once(ws, 'open');
  return ws;
}

const post = (port: number, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers: { 'content-type': ENVELOPE_V1, ...headers }, body: '{}' });

const pong = async (ws: WebSocket, text = 'behind'): Promise<boolean> => {
  ws.ping(text);
  return await new Promise((resolve) => {
    ws.on('pong', (data) => data.toString() === text && resolve(true));
    ws.on('close', () => resolve(false));
  });
};

test('one port takes what is posted and what comes on WebSockets, as text and as bytes', async () => {
  const got = waiting<string>();
  const { port, url } = await listen(async (body, socket) => {
    got.add(`${Buffer.from(body)} ${socket === undefined ? 'posted' : 'on a socket'}`);
    return { status: 202 };
  });
  const ws = await client(url);
  ws.send('text');
  ws.send(Buffer.from('bytes'));
  assert.ok(await pong(ws));
  assert.equal((await post(port)).status, 202);
  assert.deepEqual(got.list, ['text on a socket', 'bytes on a socket', '{} posted']);
  assert.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /DIDComm/);
});

test('a port for WebSockets alone says so', async () => {
  const { port, url } = await listen(async () => ({ status: 202 }), {}, false);
  const answer = await post(port);
  assert.deepEqual([answer.status, answer.headers.get('upgrade')], [426, 'websocket']);
  assert.ok(await pong(await client(url)));
});

test('a client that would rather speak HTTP/2 is answered by HTTP/1.1; a request that asks for a WebSocket wrongly is refused', async () => {
  const { port, url } = await listen(async () => ({ status: 202 }));
  const ask = async (head: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    socket.write(head);
    const [first] = await once(socket, 'data');
    socket.destroy();
    return String(first).split('\r\n')[0]!;
  };
  const common = `host: a\r\ncontent-type: ${ENVELOPE_V1}\r\ncontent-length: 2\r\n`;
  const asks = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n';
  assert.match(
    await ask(`POST / HTTP/1.1\r\n${common}connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n{}`),
    / 202 /,
  );
  assert.match(await ask(`${asks}upgrade: websocket\r\n\r\n`), / 400 /);
  assert.match(
    await ask(`${asks}upgrade: websocket\r\nsec-websocket-version: 7\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`),
    / 400 /,
  );
  assert.match(await ask(`${asks}upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: short\r\n\r\n`), / 400 /);
  const ws = await client(url, { perMessageDeflate: true });
  assert.equal(ws.extensions, '', 'no compression');
});

test('a reply goes on the socket, and is noted as sent when a ping behind it was answered', async () => {
  const sent: string[] = [];
  const receive: EnvelopeSink['receive'] = async (body) => {
    const text = String(Buffer.from(body));
    return { status: 200, reply: `re: ${text}`, sent: async () => void sent.push(text) };
  };
  const { url } = await listen(receive, { takenMs: CALL_MS });
  const hasty = await listen(receive, { takenMs: 150 });
  const [answers, silent] = [await client(url), await client(hasty.url, { autoPong: false })];
  const leaves = await client(hasty.url, { autoPong: false });
  for (const [ws, text] of [
    [silent, 'silent'],
    [leaves, 'leaves'],
    [answers, 'answers'],
  ] as const) {
    const got = once(ws, 'message');
    ws.send(text);
    assert.equal(String((await got)[0]), `re: ${text}`);
    if (ws === leaves) ws.terminate();
    // the frame itself is done, whatever becomes of the reply
    else assert.ok(await pong(ws));
  }
  await until(() => sent.length > 0, 'what was confirmed');
  // the end of a port waits for what would be noted
  await hasty.close();
  assert.deepEqual(sent, ['answers']);
});

test('many replies at once do not wait for each other', async () => {
  let sent = 0;
  const { url } = await listen(async () => ({ status: 200, reply: 'x', sent: async () => void sent++ }), { takenMs: CALL_MS });
  const ws = await client(url, { autoPong: false });
  let replies = 0;
  let isRead = false;
  let last: Uint8Array = Buffer.alloc(0);
  ws.on('message', () => replies++);
  ws.on('ping', (data) => {
    last = data;
    if (isRead) ws.pong(data);
  });
  for (let i = 0; i < 500; i++) ws.send('{}');
  await until(() => replies === 500 && last.length > 0, 'all replies, of which none is confirmed');
  assert.equal(sent, 0);
  isRead = true;
  ws.pong(last);
  await until(() => sent === 500, 'all of them to be noted');
});

test('garbage: some is forgiven, twenty frames are not; too much at once never is', async () => {
  let seen = 0;
  const { url } = await listen(async () => {
    seen++;
    return { status: 400 };
  });
  const ws = await client(url);
  for (let i = 0; i < 19; i++) ws.send('rubbish');
  assert.ok(await pong(ws));
  const closed = once(ws, 'close');
  ws.send('and more');
  assert.deepEqual([(await closed)[0], seen], [1008, 20]);
  const large = await client(url);
  const ended = once(large, 'close');
  large.send('x'.repeat(1001));
  assert.deepEqual([(await ended)[0], seen], [1009, 20]);
  const pieces = await client(url);
  const cut = once(pieces, 'close');
  for (let i = 0; i < 3; i++) pieces.send('x'.repeat(400), { fin: false });
  assert.deepEqual([(await cut)[0], seen], [1009, 20]);
});

test('a message that cannot be handled now is not accepted: the socket ends, and the ping behind it is not answered', async () => {
  const failures: (() => Promise<{ status: number }>)[] = [
    async () => ({ status: 503 }),
    async () => ({ status: 429 }),
    async () => Promise.reject(new AppError('store-full')),
    async () => Promise.reject(new AppError('busy')),
    async () => Promise.reject(new Error('a secret reason')),
  ];
  for (const fail of failures) {
    const { url } = await listen(fail);
    const ws = await client(url);
    const closed = once(ws, 'close');
    ws.send('{}');
    assert.equal(await pong(ws), false);
    const [code, reason] = await closed;
    assert.deepEqual([code, String(reason)], [1013, 'try again later']);
  }
  // an error that would come again is the frame's own fault
  const { url } = await listen(async () => Promise.reject(new AppError('bad-request')));
  const ws = await client(url);
  ws.send('{}');
  assert.ok(await pong(ws));
});

test('an address that sends faster than the limit is read slower, and nothing of it is lost', async () => {
  const got: string[] = [];
  const { url, port } = await listen(
    async (body) => {
      got.push(String(Buffer.from(body)));
      return { status: 202 };
    },
    { gate: inboundGate(1000, 20) },
  );
  const ws = await client(url);
  const started = performance.now();
  for (let i = 0; i < 60; i++) ws.send(String(i));
  const answered = pong(ws);
  await until(() => got.length >= 40, 'the burst');
  assert.ok(await answered);
  assert.ok(performance.now() - started > 800, `${performance.now() - started} ms`);
  assert.deepEqual(got.map(Number), [...got.keys()]);
  assert.equal(got.length, 60);
  // both ways share the limit: what the socket sends takes all that comes back meanwhile
  let more = 0;
  const posted = await until(async () => {
    for (let i = 0; i < 100; i++) ws.send(String(60 + more++));
    return (await post(port)).status === 429;
  }, 'a post that is too many');
  assert.ok(posted);
});

test('messages in hand are bounded for both ways together, and wait on a socket', async () => {
  const release: (() => void)[] = [];
  const { url, port } = await listen(() => new Promise((resolve) => release.push(() => resolve({ status: 202 }))), {
    gate: inboundGate(3, 0),
  });
  const [one, other] = [await client(url), await client(url)];
  for (const ws of [one, other]) for (let i = 0; i < 5; i++) ws.send('{}');
  await until(() => release.length === 3, 'three in hand');
  assert.equal((await post(port)).status, 503);
  const both = Promise.all([pong(one), pong(other)]);
  for (let done = 0; done < 10; done++) {
    await until(() => release.length > done, 'the next one');
    assert.ok(release.length - done <= 3);
    release[done]!();
  }
  assert.deepEqual(await both, [true, true]);
});

test('so many sockets and no more; one that goes makes room', async () => {
  const { url, sockets } = await listen(async () => ({ status: 202, known: true }), { maxSockets: 2 });
  const [first, second] = [await client(url), await client(url)];
  for (const ws of [first, second]) {
    ws!.send('{}');
    await pong(ws!);
  }
  const refused = new WebSocket(url);
  refused.on('error', () => {});
  const [, { statusCode, headers }] = await once(refused, 'unexpected-response');
  assert.deepEqual([statusCode, headers['retry-after']], [503, '1']);
  first!.close();
  await until(() => sockets.size === 1, 'room');
  await client(url);
});

test('sockets that never said anything by which they are known make room: the oldest of the address that has the most', async () => {
  let known = false;
  const { url, sockets } = await listen(async () => ({ status: 202, known }), { maxSockets: 3 });
  known = true;
  const friend = await client(url);
  friend.send('{}');
  await pong(friend);
  known = false;
  const [oldest, younger] = [await client(url), await client(url)];
  // garbage that a stranger may send is answered like everything else, and makes it no friend
  oldest!.send('{}');
  await pong(oldest!);
  const ended = once(oldest!, 'close');
  const late = await client(url);
  await ended;
  assert.deepEqual([await pong(friend), await pong(younger!), await pong(late)], [true, true, true]);
  assert.equal(sockets.size, 3);
});

test('a shutdown: idle sockets are told at once, what is in hand is finished and its reply confirmed, nobody new comes in', async () => {
  const release: (() => void)[] = [];
  const noted: string[] = [];
  const { url, close, port } = await listen(async () => {
    await new Promise<void>((resolve) => release.push(resolve));
    return {
      ...{ status: 200, reply: 'late' },
      async sent() {
        await new Promise((resolve) => setTimeout(resolve, 100));
        noted.push('late');
      },
    };
  });
  const [idle, busy] = [await client(url), await client(url)];
  const received: string[] = [];
  busy.on('message', (data) => received.push(String(data)));
  busy.on('close', (code) => received.push(String(code)));
  busy.send('{}');
  await until(() => release.length === 1, 'the frame');
  const notified = once(idle, 'close');
  const closing = close();
  assert.equal((await notified)[0], 1001);
  await assert.rejects(post(port));
  assert.deepEqual(received, []);
  release[0]!();
  await closing;
  assert.deepEqual(noted, ['late']);
  await until(() => received.length === 2, 'the goodbye');
  assert.deepEqual(received, ['late', '1001']);
});

test('a socket is the same object for each of its frames, with a name of its own', async () => {
  const seen: Socket[] = [];
  const { url } = await listen(async (_body, socket) => {
    seen.push(socket!);
    return { status: 202 };
  });
  for (const ws of [await client(url), await client(url)]) {
    for (let i = 0; i < 2; i++) ws.send('{}');
    assert.ok(await pong(ws));
  }
  assert.deepEqual([seen[0] === seen[1], seen[2] === seen[3], seen[0]!.id === seen[2]!.id], [true, true, false]);
});
