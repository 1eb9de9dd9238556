import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { after, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { CALL_MS, until, waiting } from '../../../test/support/waiting.ts';
import { AppError } from '../../errors.ts';
import { egressGuard } from './egress.ts';
import { httpOutbound } from './http-outbound.ts';
import { wsNotify } from './ws-notify.ts';
import { outboundOf, type WsOutboundOptions, wsOutbound } from './ws-outbound.ts';

const quiet = { info() {}, warn() {}, error() {} };
const undo: (() => unknown)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

const listening = async (server: Server | ReturnType<typeof createTcp>): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};

interface Peer {
  readonly url: string;
  readonly sockets: WebSocket[];
  readonly frames: ReturnType<typeof waiting<string>>;
}

/** A peer that is a plain server of the library, which answers pings by itself, as that of ACA-Py and Credo. */
async function peer(
  onFrame: (ws: WebSocket, text: string) => void = () => {},
  options: { autoPong?: boolean; maxPayload?: number } = {},
): Promise<Peer> {
  const sockets: WebSocket[] = [];
  const frames = waiting<string>();
  const server = createServer();
  const upgrades = new WebSocketServer({ server, ...options });
  upgrades.on('connection', (ws) => {
    sockets.push(ws);
    ws.on('error', () => {});
    ws.on('message', (data, binary) => {
      assert.ok(!binary);
      frames.add(String(data));
      onFrame(ws, String(data));
    });
  });
  const port = await listening(server);
  undo.push(() => sockets.map((ws) => ws.terminate()));
  return { url: `ws://127.0.0.1:${port}/way?a=b`, sockets, frames };
}

function outbound(options: Partial<WsOutboundOptions> = {}, allow: readonly string[] = ['127.0.0.0/8']) {
  const received = waiting<string>();
  const ws = wsOutbound(egressGuard(allow), {
    ...{ heartbeatMs: 0, timeoutMs: CALL_MS, answerMs: CALL_MS, maxBytes: 10_000, log: quiet },
    onFrame: async (frame) => received.add(String(Buffer.from(frame))),
    ...options,
  });
  undo.push(() => ws.close());
  return { ...ws, received };
}

/** Which error something fails with. */
const failure = async (what: Promise<unknown>): Promise<string> => {
  const error = await what.then(
    () => assert.fail('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw error;
  return `${error.code}: ${error.message}`;
};

test('a message is one frame, delivered when a ping behind it is answered; the socket is kept for the next one', async () => {
  const { url, frames, sockets } = await peer();
  const { deliver } = outbound();
  assert.deepEqual(await deliver(url, 'one'), { status: 202 });
  assert.deepEqual(frames.list, ['one']);
  assert.deepEqual(await deliver(url, 'two'), { status: 202 });
  assert.deepEqual([frames.list, sockets.length], [['one', 'two'], 1]);
});

test('messages of one connection have a socket of their own', async () => {
  const { url, frames, sockets } = await peer();
  const { deliver } = outbound();
  for (const own of ['one', 'other', undefined, 'one', undefined]) await deliver(url, String(own), undefined, undefined, own);
  assert.deepEqual([frames.list.length, sockets.length], [5, 3]);
});

test('a peer that ends its sockets after a message gets one for each, and none twice', async () => {
  const closing = (ws: WebSocket): void => {
    // what is read while it says goodbye is handled and not confirmed
    setTimeout(() => ws.close(), 20);
  };
  const { url, frames, sockets } = await peer(closing);
  const { deliver } = outbound();
  await deliver(url, 'first');
  await new Promise((resolve) => sockets[0]!.once('close', resolve));
  const sent = Array.from({ length: 12 }, (_none, i) => `message ${i}`);
  await Promise.all(sent.map((text) => deliver(url, text)));
  for (const text of ['a', 'b', 'c']) await deliver(url, text);
  assert.deepEqual([...frames.list].sort(), ['first', ...sent, 'a', 'b', 'c'].sort());
  assert.equal(sockets.length, frames.list.length);
});

test('a goodbye in good order to the first message on a socket says that it was read; any other end does not', async () => {
  for (const code of [undefined, 1000]) {
    const { url, sockets } = await peer((ws) => ws.close(code), { autoPong: false });
    assert.deepEqual(await outbound().deliver(url, 'one'), { status: 202 });
    assert.equal(sockets.length, 1);
  }
  for (const code of [1001, 1008, 1011, 1013]) {
    const { url } = await peer((ws) => ws.close(code), { autoPong: false });
    assert.match(await failure(outbound().deliver(url, 'one')), new RegExp(`closed the WebSocket \\(${code}\\)`));
  }
});

test('many messages at once share few sockets, and each is delivered', async () => {
  const { url, frames, sockets } = await peer();
  const { deliver } = outbound();
  const sent = Array.from({ length: 500 }, (_none, i) => `message ${i}`);
  const answers = await Promise.all(sent.map((text) => deliver(url, text)));
  assert.ok(answers.every(({ status }) => status === 202));
  assert.deepEqual([...frames.list].sort(), [...sent].sort());
  assert.ok(sockets.length > 1 && sockets.length <= 4, `${sockets.length} sockets`);
});

test('large messages wait for each other instead of being too much for a socket', async () => {
  const { url, frames } = await peer();
  const { deliver } = outbound();
  const answers = await Promise.all(Array.from({ length: 20 }, (_none, i) => deliver(url, String(i).padEnd(3_000_000, ' '))));
  assert.ok(answers.every(({ status }) => status === 202));
  assert.equal(frames.list.length, 20);
});

test('a frame of the peer is handled, and a ping behind it is answered after that', async () => {
  const order = waiting<string>();
  const { url } = await peer((ws, text) => {
    ws.on('pong', () => order.add('pong'));
    ws.send(`re: ${text}`);
    ws.ping();
  });
  const { deliver } = outbound({
    async onFrame(frame) {
      order.add(`begun ${Buffer.from(frame)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.add('handled');
    },
  });
  await deliver(url, 'hello');
  await order.first((one) => one === 'pong', 'the pong');
  assert.deepEqual(order.list, ['begun re: hello', 'handled', 'pong']);
});

test('a socket that nobody uses is closed', async () => {
  const { url, sockets } = await peer();
  const { deliver } = outbound({ idleMs: 100 });
  await deliver(url, 'one');
  const [code] = await once(sockets[0]!, 'close');
  assert.equal(code, 1000);
  assert.deepEqual(await deliver(url, 'two'), { status: 202 });
  assert.equal(sockets.length, 2);
});

test('a peer that answers no ping has not got it', async () => {
  const { url, frames } = await peer(() => {}, { autoPong: false });
  const { deliver } = outbound({ answerMs: 200 });
  // a socket that opens no sooner than that is another failure
  const failed = await until(async () => {
    const text = await failure(deliver(url, 'one'));
    return !text.includes('did not open') && text;
  }, 'a socket that opens in time');
  assert.match(failed, /^delivery-failed: .* did not answer a ping in 0.2 s/);
  await until(() => frames.list.length > 0, 'the frame');
  assert.deepEqual([...new Set(frames.list)], ['one']);
});

test('a kept socket that ends meanwhile is no failure; a fresh one that ends is', async () => {
  let rude = false;
  const { url, sockets, frames } = await peer((ws) => rude && ws.terminate());
  const { deliver } = outbound();
  await deliver(url, 'one');
  // it leaves as soon as it hears something, and the next socket is served
  sockets[0]!.removeAllListeners('message');
  sockets[0]!.on('message', () => sockets[0]!.terminate());
  assert.deepEqual(await deliver(url, 'two'), { status: 202 });
  assert.deepEqual([frames.list, sockets.length], [['one', 'two'], 2]);
  rude = true;
  assert.match(await failure(deliver(url, 'three')), /^delivery-failed: .* closed the WebSocket/);
  assert.equal(sockets.length, 3, 'once more, not for ever');
  assert.match(await failure(deliver(url, 'four')), /^delivery-failed: .* closed the WebSocket/);
  assert.equal(sockets.length, 4, 'and not at all where it was a fresh one');
});

test('a peer that asks to come back later is not asked again at once; one that takes no large messages says so', async () => {
  const busy = await peer((ws, text) => text === 'two' && ws.close(1013));
  const { deliver } = outbound();
  await deliver(busy.url, 'one');
  assert.match(await failure(deliver(busy.url, 'two')), /^delivery-failed: .*\(1013\)/);
  assert.equal(busy.sockets.length, 1);
  const small = await peer(() => {}, { maxPayload: 100 });
  assert.deepEqual(await deliver(small.url, 'x'.repeat(101)), { status: 413 });
  assert.deepEqual(await deliver(small.url, 'x'.repeat(100)), { status: 202 });
});

test('servers that open no WebSocket: their status, or a failure', async () => {
  const answer = async (listener: RequestListener): Promise<string> => `ws://127.0.0.1:${await listening(createServer(listener))}`;
  const { deliver, link } = outbound();
  const missing = await answer((_request, response) => response.writeHead(404).end());
  assert.deepEqual(await deliver(missing, 'x'), { status: 404 });
  assert.match(await failure(link(missing, async () => {})), /^delivery-failed: .* answered 404/);
  const plain = await answer((_request, response) => response.writeHead(200).end());
  assert.match(await failure(deliver(plain, 'x')), /^delivery-failed: .* answered 200/);
  const { url } = await peer();
  const away = await answer((_request, response) => response.writeHead(302, { location: url }).end());
  assert.match(await failure(deliver(away, 'x')), /^delivery-failed: .* answered 302/);
  const mute = await answer(() => {});
  const hasty = outbound({ answerMs: 300 });
  assert.match(await failure(hasty.deliver(mute, 'x')), /^delivery-failed: .* did not open a WebSocket in 0.3 s/);
  // a head that never ends comes in time, byte by byte
  const tcp = createTcp((socket) => {
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('error', () => {}).on('close', () => clearInterval(timer));
    socket.write('HTTP/1.1 101 Switching Protocols\r\nx-y: ');
  });
  const slow = `ws://127.0.0.1:${await listening(tcp)}`;
  assert.match(await failure(hasty.deliver(slow, 'x')), /^delivery-failed: .* did not open a WebSocket/);
  assert.match(await failure(deliver('ws://127.0.0.1:1', 'x')), /^delivery-failed: .*ECONNREFUSED/);
});

test('the egress guard: no address that is not allowed, whatever names it', async () => {
  const { url, sockets } = await peer();
  const closed = outbound({}, []);
  for (const endpoint of [
    url,
    url.replace('127.0.0.1', 'localhost'),
    url.replace('ws:', 'wss:'),
    'ws://169.254.169.254/',
    'ws://[::1]:80/',
  ])
    assert.match(await failure(closed.deliver(endpoint, 'x')), /^egress-refused/, endpoint);
  assert.match(await failure(closed.link(url, async () => {})), /^egress-refused/);
  const open = outbound();
  assert.match(await failure(open.deliver('ws://169.254.169.254/', 'x')), /^egress-refused/);
  assert.match(await failure(open.deliver(url.replace('//', '//user:secret@'), 'x')), /^egress-refused/);
  assert.equal(sockets.length, 0);
  // the socket itself is checked: what was looked up is one thing, what answered another
  const guard = egressGuard([]);
  const lying = wsOutbound(
    {
      ...guard,
      checkUrl: (endpoint) => new URL(endpoint),
      lookup: (_name, _options, done) => (done as never as (e: null, a: object[]) => void)(null, [{ address: '127.0.0.1', family: 4 }]),
    },
    { heartbeatMs: 0, timeoutMs: CALL_MS, answerMs: CALL_MS, maxBytes: 1000, log: quiet, onFrame: async () => {} },
  );
  undo.push(() => lying.close());
  assert.match(await failure(lying.deliver(url.replace('127.0.0.1', 'public.example'), 'x')), /^egress-refused/);
  assert.equal(sockets.length, 0);
});

test('messages that come back are bounded, too', async () => {
  const codes = waiting<number>();
  const { url } = await peer((ws) => {
    ws.on('close', (code) => codes.add(code));
    ws.send('x'.repeat(10_001));
  });
  const { deliver, received } = outbound();
  await deliver(url, 'one').catch(() => {});
  assert.equal(await codes.first(() => true, 'the end'), 1009);
  assert.deepEqual(received.list, []);
});

test('a link stays: what comes is handled one by one, and a ping behind it is answered after that', async () => {
  const { url, sockets } = await peer();
  const { link } = outbound({ idleMs: 50 });
  const log: string[] = [];
  let now = 0;
  const socket = await link(url, async (frame, same) => {
    assert.equal(same, socket);
    assert.equal(++now, 1, 'one at a time');
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
    log.push(String(Buffer.from(frame)));
  });
  const [there] = sockets;
  there!.on('pong', () => log.push('pong'));
  for (let i = 0; i < 30; i++) there!.send(String(i));
  there!.ping('behind');
  await until(() => log.includes('pong'), 'the pong');
  assert.deepEqual(log, [...Array.from({ length: 30 }, (_none, i) => String(i)), 'pong']);
  const got = once(there!, 'message');
  socket.send('from the client');
  assert.ok(await socket.acknowledged());
  assert.equal(String((await got)[0]), 'from the client');
  assert.ok(socket.open, 'however long nobody says anything');
  let notified = 0;
  socket.onClose(() => notified++);
  there!.close(1001);
  await until(() => notified === 1, 'the end');
  assert.equal(await socket.acknowledged(), false);
});

test('a link whose peer is gone without a word is noticed', async () => {
  const { url, sockets } = await peer(() => {}, { autoPong: false });
  const { link } = outbound({ heartbeatMs: 80, timeoutMs: 80 });
  const socket = await link(url, async () => {});
  const [there] = sockets;
  let pings = 0;
  there!.on('ping', () => pings++);
  const end = once(there!, 'close');
  await new Promise<void>((resolve) => socket.onClose(resolve));
  // no goodbye: nobody is there to answer it
  assert.equal((await end)[0], 1006);
  assert.ok(pings > 0, 'it was asked');
});

test('a link whose peer answers its pings stays', async () => {
  const { url, sockets } = await peer();
  const { link } = outbound({ heartbeatMs: 40, timeoutMs: CALL_MS });
  const socket = await link(url, async () => {});
  let pings = 0;
  sockets[0]!.on('ping', () => pings++);
  await until(() => pings >= 3, 'three pings');
  assert.ok(socket.open);
});

test('closing: what waits for a pong has it, links are told, nothing opens any more', async () => {
  let pinged: Promise<unknown[]> | undefined;
  const { url, sockets } = await peer((ws) => (pinged = once(ws, 'ping')), { autoPong: false });
  const { deliver, link, close } = outbound();
  await link(url, async () => {});
  const notified = once(sockets[0]!, 'close');
  const last = deliver(url, 'last');
  await until(() => pinged !== undefined, 'its frame');
  const [payload] = await pinged!;
  const closing = close();
  sockets[1]!.pong(payload as Buffer);
  await closing;
  assert.deepEqual(await last, { status: 202 });
  assert.equal((await notified)[0], 1001);
  assert.match(await failure(deliver(url, 'x')), /^delivery-failed/);
  assert.match(await failure(link(url, async () => {})), /^delivery-failed/);
});

/** For localhost, signed by itself; nothing is secret about it. */
const pem = (kind: string, text: string): string => `-----BEGIN ${kind}-----\n${text.replace(/.{64}/g, '$&\n')}\n-----END ${kind}-----\n`;
const KEY = pem(
  'PRIVATE KEY',
  'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdkjp+K6HSecvUO8VFJDs4tHui5UgfBDkT0Nm2OGnNIChRANCAARv6+xxL8kY2UQ4BkcTcIPkzJpmkEk2hzd0cHlBXwLmmgxdRxt+03VYMQyi2Ulbtcqz15vPqhdWsYvrYNSoemb5',
);
const CERT = pem(
  'CERTIFICATE',
  'MIIBlTCCATugAwIBAgIUAuBSso+1UyGEDHbnQEfsMv7aYtowCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTA5MzYyN1oYDzIx' +
    'MjYxMTAxMDkzNjI3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARv6+xxL8kY2UQ4BkcTcIPkzJpmkEk2hzd0cHlB' +
    'XwLmmgxdRxt+03VYMQyi2Ulbtcqz15vPqhdWsYvrYNSoemb5o2kwZzAdBgNVHQ4EFgQUYjJIkLRJzq/0fwaeucs6V9igYUcwHwYDVR0jBBgwFoAUYjJIkLRJ' +
    'zq/0fwaeucs6V9igYUcwDwYDVR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwIDSAAwRQIhAKGIi3UTYKDmEMX6y6b4YPHJ' +
    'vjMT8t9b/CKb8tuPbl1KAiASEBksmFuba/x/hM2bXLbhHu3lk0tt10pWoIkpVB9v+Q==',
);

test('wss: by TLS, to whom a known authority vouches for', async () => {
  const server = createSecure({ key: KEY, cert: CERT });
  const upgrades = new WebSocketServer({ server });
  const frames = waiting<string>();
  upgrades.on('connection', (ws) => {
    undo.push(() => ws.terminate());
    ws.on('message', (data) => frames.add(String(data)));
  });
  const url = `wss://localhost:${await listening(server)}`;
  const { deliver } = outbound({}, ['127.0.0.0/8', '::1/128']);
  assert.match(await failure(deliver(url, 'x')), /^delivery-failed: .*SELF_SIGNED/);
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  try {
    assert.deepEqual(await deliver(url, 'one'), { status: 202 });
  } finally {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  }
  assert.deepEqual(frames.list, ['one']);
});

test('the address of an endpoint says what a message goes by', async () => {
  const { url, frames } = await peer();
  const posted: string[] = [];
  const server = createServer((request, response) => {
    posted.push(request.headers['content-type']!);
    response.writeHead(202).end();
  });
  const port = await listening(server);
  const guard = egressGuard(['127.0.0.0/8']);
  const options = { heartbeatMs: 0, timeoutMs: CALL_MS, answerMs: CALL_MS, maxBytes: 1000, log: quiet, onFrame: async () => {} };
  const both = outboundOf(httpOutbound(guard, 'application/didcomm-envelope-enc', 2000, 1 << 20), wsOutbound(guard, options));
  undo.push(() => both.close());
  assert.equal((await both.deliver(url.replace('ws:', 'WS:'), 'by socket')).status, 202);
  assert.equal((await both.deliver(`http://127.0.0.1:${port}`, 'posted', 'text/plain')).status, 202);
  assert.equal((await both.notify(`http://127.0.0.1:${port}`, { 'content-type': 'application/json' }, '{}')).status, 202);
  assert.deepEqual([frames.list, posted], [['by socket'], ['text/plain', 'application/json']]);
});

test('a webhook over a WebSocket ends when it is given up', async () => {
  const server = createTcp();
  // it takes connections and says nothing
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const taken = once(server, 'connection');
  const { port } = server.address() as AddressInfo;
  const early = new AbortController();
  const sent = wsNotify(new URL(`ws://127.0.0.1:${port}/`), {}, '{}', 120_000, early.signal);
  const [socket] = await taken;
  early.abort();
  await assert.rejects(sent, { code: 'delivery-failed' });
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(wsNotify(new URL(`ws://127.0.0.1:${port}/`), {}, '{}', 120_000, early.signal), { code: 'delivery-failed' });
});
