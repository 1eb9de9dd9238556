import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket as NetSocket } from 'node:net';
import { after, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { CALL_MS, until } from '../../../test/support/waiting.ts';
import { type HeldSocket, MAX_BUFFERED, type TakeFrame, WS_OPTIONS } from './held-socket.ts';
import { keepSockets, type Sockets, type SocketsOptions } from './keeper.ts';

const quiet = { info() {}, warn() {}, error() {} };
const undo: (() => unknown)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

interface Door {
  readonly sockets: Sockets;
  readonly url: string;
  readonly port: number;
  /** Those that were adopted, in their order, and what carries them. */
  readonly held: HeldSocket[];
  readonly raws: NetSocket[];
}

/** A server whose sockets are kept. */
async function door(take: TakeFrame, options: Partial<SocketsOptions> = {}, atOnce?: number): Promise<Door> {
  const sockets = keepSockets({ log: quiet, heartbeatMs: 0, timeoutMs: 1000, ...options });
  const upgrades = new WebSocketServer({ ...WS_OPTIONS, noServer: true, clientTracking: false, maxPayload: 4 << 20 });
  const held: HeldSocket[] = [];
  const raws: NetSocket[] = [];
  const server = createServer().on('upgrade', (request, raw, head) => {
    raws.push(raw as NetSocket);
    upgrades.handleUpgrade(request, raw, head, (ws) => void held.push(sockets.adopt(ws, { raw, take, atOnce, address: 'peer' })));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(async () => {
    server.close();
    await sockets.close(0);
  });
  const { port } = server.address() as AddressInfo;
  return { sockets, held, raws, port, url: `ws://127.0.0.1:${port}` };
}

async function client(url: string, autoPong = true): Promise<WebSocket> {
  const ws = new WebSocket(url, { autoPong });
  ws.on('error', () => {});
  undo.push(() => ws.terminate());
  await once(ws, 'open');
  return ws;
}

/** A peer that writes bytes: frames that are no frames. */
async function bare(port: number): Promise<NetSocket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  undo.push(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(
    'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
      'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  await once(socket, 'data');
  return socket;
}

/** The end of a connection, with an error or without: who is cut off may see either. */
const ended = (socket: NetSocket): Promise<void> => new Promise((resolve) => void socket.on('close', () => resolve()));

/** The head of a frame that says it is longer than what follows, masked by nothing. */
const headOf = (length: number, first = 0x82): Buffer => {
  const head = Buffer.alloc(14);
  head[0] = first;
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
};

/** What a ping of this client is answered; nobody waits for it in vain. */
const pinged = async (ws: WebSocket, text: string): Promise<boolean> => {
  ws.ping(text);
  return await new Promise((resolve) => {
    const received = (data: Buffer): void => {
      if (data.toString() === text) settle(true);
    };
    const closed = (): void => settle(false);
    const settle = (answered: boolean): void => {
      ws.off('pong', received).off('close', closed);
      resolve(answered);
    };
    ws.on('pong', received).on('close', closed);
  });
};

/** Frames that are in hand until they are let go. */
function inHand(): { take: TakeFrame; readonly begun: string[]; letGo(text: string): void } {
  const begun: string[] = [];
  const release = new Map<string, () => void>();
  return {
    begun,
    take: (frame) =>
      new Promise((resolve) => {
        const text = Buffer.from(frame).toString();
        begun.push(text);
        release.set(text, resolve);
      }),
    letGo: (text) => release.get(text)!(),
  };
}

test('a ping is answered when all frames before it are done, whatever became of them', async () => {
  const { take, begun, letGo } = inHand();
  const { url } = await door(take);
  const ws = await client(url);
  const pongs: string[] = [];
  ws.on('pong', (data) => pongs.push(data.toString()));
  ws.send('one');
  ws.send(Buffer.from('two'));
  ws.ping('behind two');
  ws.send('three');
  ws.ping('behind three');
  await until(() => begun.length === 3, 'three frames');
  assert.deepEqual(begun, ['one', 'two', 'three'], 'text and binary, in their order');
  letGo('two');
  letGo('three');
  const other = await client(url);
  assert.ok(await pinged(other, 'nothing before it'), 'another socket does not wait');
  assert.equal(pongs.length, 0);
  letGo('one');
  await until(() => pongs.includes('behind three'), 'the pong');
  assert.equal(pongs.at(-1), 'behind three');
});

test('a bounded number is in hand at once, and the rest is taken later; one at a time where that is asked', async () => {
  for (const [atOnce, most] of [
    [undefined, 16],
    [1, 1],
  ] as const) {
    let now = 0;
    let peak = 0;
    const got: string[] = [];
    const { url } = await door(
      async (frame) => {
        peak = Math.max(peak, ++now);
        await new Promise((resolve) => setTimeout(resolve, 1));
        got.push(Buffer.from(frame).toString());
        now--;
      },
      {},
      atOnce,
    );
    const ws = await client(url);
    for (let i = 0; i < 200; i++) ws.send(String(i));
    assert.ok(await pinged(ws, 'behind all'));
    assert.equal(peak, most);
    assert.equal(got.length, 200);
    if (atOnce === 1) assert.deepEqual(got.map(Number), [...got.keys()]);
  }
});

test('a message that came whole before the close is taken', async () => {
  const { take, begun, letGo } = inHand();
  const { url, sockets } = await door(take);
  const ws = await client(url);
  for (let i = 0; i < 40; i++) ws.send(String(i));
  ws.close();
  for (let i = 0; i < 40; i++) {
    await until(() => begun.length > i, `frame ${i}`);
    letGo(String(i));
  }
  await until(() => sockets.size === 0, 'the end');
});

test('a socket that was refused takes nothing more: no frame that waits, and no ping behind it is answered', async () => {
  const begun: string[] = [];
  const { url, held } = await door(async (frame, socket) => {
    begun.push(Buffer.from(frame).toString());
    await new Promise((resolve) => setImmediate(resolve));
    socket.close(1013, 'try again later');
  });
  const ws = await client(url);
  const closed = once(ws, 'close');
  for (let i = 0; i < 40; i++) ws.send(String(i));
  assert.equal(await pinged(ws, 'behind all'), false);
  assert.equal((await closed)[0], 1013);
  assert.ok(begun.length > 0 && begun.length <= 16, `${begun.length} were begun`);
  const [socket] = held;
  assert.deepEqual([socket!.open, await socket!.acknowledged(), socket!.waiting, socket!.pending], [false, false, 0, 0]);
  let notified = 0;
  socket!.onClose(() => notified++);
  assert.equal(notified, 1);
});

test('frames that are not begun are left with the peer, and dropped when the socket is closed from this side', async () => {
  const { take, begun, letGo } = inHand();
  const { url, held } = await door(take);
  const ws = await client(url);
  for (let i = 0; i < 2000; i++) ws.send(String(i).padEnd(10_000));
  await until(() => begun.length === 16 && held[0]!.paused, 'sixteen in hand');
  const other = await client(url);
  assert.ok(await pinged(other, 'time for all of them to come'));
  const [socket] = held;
  // the rest of what was read at once, and no more
  assert.ok(socket!.pending < 16 + 10 && socket!.waiting < 100_000, `${socket!.pending} frames`);
  socket!.close(1013, 'try again later');
  assert.deepEqual([socket!.pending, socket!.waiting], [16, 0]);
  for (const text of [...begun]) letGo(text);
  await until(() => socket!.pending === 0, 'those in hand');
  assert.equal(begun.length, 16);
});

test('a peer that goes on and on after it was refused is cut off', async () => {
  const { url, sockets } = await door(async (_frame, socket) => socket.close(1008, 'no envelopes'));
  const ws = await client(url);
  // it writes and does not listen
  ws.pause();
  await until(() => {
    ws.send('x'.repeat(1_000_000));
    return sockets.size === 0;
  }, 'its end');
});

test('taken: by the pong behind it, or never', async () => {
  const hasty = await door(async () => {}, { takenMs: 100 });
  await client(hasty.url, false);
  await until(() => hasty.held.length === 1, 'a socket');
  assert.equal(await hasty.held[0]!.acknowledged(), false, 'no answer in time');
  const { url, held } = await door(async () => {}, { takenMs: CALL_MS });
  const [answers, silent, leaves] = [await client(url), await client(url, false), await client(url, false)];
  await until(() => held.length === 3, 'three sockets');
  const got = once(answers, 'message');
  held[0]!.send('something');
  assert.ok(await held[0]!.acknowledged());
  assert.equal((await got)[0].toString(), 'something');
  // an answer to the last of several is one to all; one that nobody asked for is none
  const both = [held[1]!.acknowledged(), held[1]!.acknowledged()];
  silent.once('ping', (data) => {
    silent.pong('77');
    silent.pong(data);
  });
  assert.deepEqual(await Promise.all(both), [true, true]);
  const waits = held[2]!.acknowledged();
  leaves.terminate();
  assert.equal(await waits, false);
});

test('many who wait share a ping, and a peer that answers none is not sent more and more', async () => {
  const { url, held } = await door(async () => {}, { takenMs: CALL_MS });
  const ws = await client(url, false);
  const pings: string[] = [];
  ws.on('ping', (data) => pings.push(data.toString()));
  const [socket] = held;
  const first = Array.from({ length: 100 }, () => socket!.acknowledged());
  await until(() => pings.length > 0, 'a ping');
  const more: Promise<boolean>[] = [];
  for (let i = 0; i < 50; i++) {
    more.push(socket!.acknowledged());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const got = once(ws, 'message');
  socket!.send('behind all pings');
  await got;
  assert.equal(pings.length, 8);
  ws.on('ping', (data) => ws.pong(data));
  ws.pong('1');
  assert.ok((await Promise.all(first)).every((taken) => taken));
  assert.ok((await Promise.all(more)).every((taken) => taken));
  assert.equal(pings.length, 9);
});

test('a peer that does not read is closed when 4 MiB wait for it', async () => {
  const { url, held, sockets } = await door(async () => {});
  const [reads, stuck] = [await client(url), await client(url)];
  await until(() => held.length === 2, 'two sockets');
  stuck.pause();
  let ended = 0;
  held[1]!.onClose(() => ended++);
  let got = 0;
  reads.on('message', () => got++);
  const frame = 'x'.repeat(100_000);
  let sent = 0;
  for (; held[1]!.open && sent < 1000; sent++) {
    held[0]!.send(frame);
    held[1]!.send(frame);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(held[1]!.buffered <= MAX_BUFFERED + 200_000, `${held[1]!.buffered} bytes`);
  assert.ok(sent < 500, `${sent} frames`);
  assert.equal(ended, 1);
  await until(() => got === sent, 'the other one to have everything');
  stuck.terminate();
  await until(() => sockets.size === 1, 'its end');
});

test('a silent peer is pinged, and ended when it does not answer', async () => {
  const hasty = await door(async () => {}, { heartbeatMs: 80, timeoutMs: 80 });
  const [code] = await once(await client(hasty.url, false), 'close');
  assert.deepEqual([code, hasty.held[0]!.open], [1006, false]);
  await until(() => hasty.sockets.size === 0, 'its end');
  const { url, held } = await door(async () => {}, { heartbeatMs: 80, timeoutMs: CALL_MS });
  const [lives, dead] = [await client(url), await client(url, false)];
  const pings = { lives: 0, dead: 0 };
  lives.on('ping', () => pings.lives++);
  dead.on('ping', () => pings.dead++);
  // who is pinged again is silent no longer
  await until(() => pings.lives >= 5 && pings.dead >= 1, 'more pings');
  assert.deepEqual([pings.dead, held[0]!.open], [1, true]);
});

test('half a frame that does not go on is ended, and so is a message whose fragments do not; others stay', async () => {
  const { port, url, held, sockets } = await door(async () => {}, { frameMs: 200 });
  const ws = await client(url);
  const [half, fragments] = [await bare(port), await bare(port)];
  half.write(Buffer.concat([headOf(1 << 20), Buffer.alloc(10_000)]));
  fragments.write(Buffer.concat([headOf(10_000, 0x02), Buffer.alloc(10_000)]));
  await until(() => held.length === 3 && [held[1]!, held[2]!].every(({ unfinished, open }) => unfinished > 9000 || !open), 'half of both');
  // alive in between, as control frames may be
  const alive = setInterval(() => fragments.write(Buffer.from([0x89, 0x80, 0, 0, 0, 0])), 20);
  await Promise.all([ended(half), ended(fragments)]).finally(() => clearInterval(alive));
  await until(() => sockets.size === 1, 'their end');
  assert.ok(await pinged(ws, 'still there'));
});

test('a frame that comes slowly is waited for, and fragments make one message', async () => {
  const got: number[] = [];
  const options = { frameMs: CALL_MS, heartbeatMs: 40, timeoutMs: CALL_MS };
  const { port, held } = await door(async (frame) => void got.push(frame.length), options);
  const slow = await bare(port);
  let pings = 0;
  slow.on('data', (bytes) => {
    for (const byte of bytes) if (byte === 0x89) pings++;
  });
  slow.write(headOf(50_000));
  for (let i = 0; i < 10; i++) {
    const before = pings;
    slow.write(Buffer.alloc(5000));
    // it answers none: another one comes because bytes did
    if (i < 9) await until(() => pings > before, 'a ping');
  }
  await until(() => got[0] === 50_000, 'the frame');
  slow.write(Buffer.concat([headOf(9000, 0x02), Buffer.alloc(9000), headOf(3, 0x80), Buffer.from('end')]));
  await until(() => got[1] === 9003, 'the message');
  assert.equal(held[0]!.unfinished + held[0]!.waiting, 0);
});

test('unfinished frames have a bound together: who has gone on the longest is ended', async () => {
  const { port, url, held, sockets } = await door(async () => {}, { maxHeld: 1 << 20 });
  const ws = await client(url);
  const hoarders: NetSocket[] = [];
  for (let i = 0; i < 8; i++) {
    const one = await bare(port);
    one.write(Buffer.concat([headOf(2 << 20), Buffer.alloc(300_000)]));
    hoarders.push(one);
    await until(() => (held[i + 1]?.unfinished ?? 0) >= 300_000 || !held[i + 1]!.open, `hoarder ${i}`);
    assert.ok(held.reduce((sum, { unfinished }) => sum + unfinished, 0) <= 1 << 20);
  }
  await until(() => sockets.size === 4, 'the first ones to be ended');
  assert.deepEqual(
    held.map(({ open }) => open),
    [true, false, false, false, false, false, true, true, true],
  );
  assert.ok(await pinged(ws, 'still there'));
});

test('a flood of pings is ended; its peers go on', async () => {
  const { port, url, held, sockets } = await door(async () => {});
  const ws = await client(url);
  const flood = await bare(port);
  const many = Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from([0x89, 0x80, 0, 0, 0, 0])));
  const gone = ended(flood);
  flood.write(many);
  assert.ok(await pinged(ws, 'me too'));
  await gone;
  await until(() => sockets.size === 1, 'its end');
  // a peer that pings now and then is none, however long it does
  for (let i = 0; i < 300; i++) assert.ok(await pinged(ws, `ping ${i}`));
  // nor is one that says something in between
  for (let i = 0; i < 100; i++) {
    ws.send('something');
    assert.ok(await pinged(ws, `behind ${i}`));
    assert.ok(held[0]!.controls <= 1);
  }
});

test('frames that may not be begun yet are left with the peer, and come in their order', async () => {
  let may = 0;
  const got: string[] = [];
  const { url, held } = await door(async (frame) => void got.push(Buffer.from(frame).toString()), { mayBegin: () => may-- > 0 });
  const ws = await client(url);
  const sent = Array.from({ length: 30 }, (_none, i) => String(i));
  for (const text of sent) ws.send(text);
  await until(() => held[0]?.paused, 'the pause');
  assert.deepEqual(got, []);
  const pong = pinged(ws, 'behind all');
  for (let i = 0; i < 6; i++) {
    may = 5;
    await until(() => got.length === (i + 1) * 5, 'five more');
  }
  assert.ok(await pong);
  assert.deepEqual(got, sent);
});

test('closing: who has nothing in hand hears it at once, others when they are done, and nothing new is accepted', async () => {
  const { take, begun, letGo } = inHand();
  const { url, sockets, raws } = await door(take);
  const [idle, busy] = [await client(url), await client(url)];
  const codes: Record<string, number> = {};
  idle.on('close', (code) => (codes.idle = code));
  busy.on('close', (code) => (codes.busy = code));
  busy.send('in hand');
  await until(() => begun.length === 1, 'the frame');
  const closing = sockets.close(20_000);
  await until(() => codes.idle === 1001, 'the goodbye');
  const before = raws[1]!.bytesRead;
  busy.send('too late');
  await until(() => raws[1]!.bytesRead > before, 'the frame to arrive');
  assert.equal(codes.busy, undefined);
  letGo('in hand');
  await closing;
  await until(() => codes.busy === 1001, 'the other goodbye');
  assert.deepEqual(begun, ['in hand']);
});

test('closing ends at its time, whoever does not answer', async () => {
  const { url, sockets, port } = await door(() => new Promise(() => {}));
  const ws = await client(url);
  ws.send('never done');
  await bare(port);
  await until(() => sockets.size === 2, 'two sockets');
  await sockets.close(200);
  assert.equal(sockets.size, 0);
});
