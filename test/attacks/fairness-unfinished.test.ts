import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { createWorld, freePort } from '../support/agents.ts';

/** Somebody who begins and never ends: requests and frames that are not whole take nobody's place. */

const world = createWorld();
after(() => world.close());

/** So many connections that say `text` and no more, open when this is done. */
async function flood(port: number, count: number, text: string, localAddress = '127.0.0.1'): Promise<Socket[]> {
  const sockets: Socket[] = [];
  world.defer(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let i = 0; i < count; i += 50) {
    const some = Array.from({ length: Math.min(50, count - i) }, () => connect({ port, host: '127.0.0.1', localAddress }));
    for (const socket of some) socket.on('error', () => {}).resume();
    sockets.push(...some);
    await Promise.all(some.map((socket) => once(socket, 'connect')));
    for (const socket of some) socket.write(text);
  }
  return sockets;
}

const HEAD = (path: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/didcomm-envelope-enc\r\ncontent-length: 1000\r\n\r\n`;

test('[A3] thousands of requests of which one byte is there keep no peer from sending a message', async () => {
  const agent = await world.start('message-port');
  const port = Number(new URL(agent.inbound).port);
  const send = async (): Promise<number> =>
    (await fetch(agent.inbound, { method: 'POST', headers: { 'content-type': 'application/didcomm-envelope-enc' }, body: '{}' })).status;
  const before = await send();
  // from several addresses: of one alone no thousand could be unfinished
  for (let i = 2; i < 8; i++) await flood(port, 200, `${HEAD('/')}{`, `127.0.0.${i}`);
  // what is no envelope is told so, which is more than a full agent says
  assert.equal(before, 400);
  for (let i = 0; i < 5; i++) {
    await flood(port, 20, `${HEAD('/')}{`);
    assert.equal(await send(), before);
  }
});

test('[A3-2] connections that say nothing whole are bounded by address at both ports, and the oldest give way', async () => {
  const agent = await world.start('both-ports', { flags: ['--max-connections-per-address', '40'] });
  for (const url of [agent.inbound, agent.admin]) {
    const halves = await flood(Number(new URL(url).port), 120, 'POST / HTTP/1.1\r\n');
    await Promise.all(halves.slice(0, 80).map((socket) => socket.destroyed || once(socket, 'close')));
    assert.ok(halves.slice(80).some((socket) => !socket.destroyed));
  }
  assert.equal((await agent.call('GET', '/status/live')).status, 200);
});

test('[A3-3] WebSockets that are opened and never used keep no wallet out', async () => {
  const port = await freePort();
  const agent = await world.start('sockets', { port, flags: ['--max-sockets', '30'], webSocket: true });
  const upgrade = [
    ...['GET / HTTP/1.1', 'host: x', 'connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'],
    ...['sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==', '', ''],
  ].join('\r\n');
  await flood(port, 60, upgrade);
  const peer = new WebSocket(agent.inbound.replace('http', 'ws'));
  world.defer(() => peer.close());
  const [opened] = await Promise.race([once(peer, 'open'), once(peer, 'error')]);
  assert.equal(opened.type, 'open');
});
