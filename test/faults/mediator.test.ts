import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as tcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { answers, type Program, program } from '../../examples/demo/processes.ts';
import { startPostgres } from '../postgres.ts';
import { type Body, createWorld, freePort, startReceiver } from '../support/agents.ts';
import { until } from '../support/waiting.ts';
import { type Line, type Mediating, openLine, startWallet, type Wallet } from '../support/wallet.ts';

/** Mediators that are killed, replicas of them, and peers that do harm. */

const world = createWorld();
after(() => world.close());

const PING = 'trust_ping/1.0/ping';
const LIVE = 'messagepickup/2.0/live-delivery-change';

interface Mediator extends Mediating {
  readonly process: Program;
}

/** A mediator as a process of its own. */
async function mediatorAt(name: string, folder: string, store: readonly string[]): Promise<Mediator> {
  const [admin, port] = [await freePort(), await freePort()];
  const key = randomBytes(8).toString('hex');
  const receiver = await startReceiver();
  world.defer(() => receiver.close());
  const args = [
    ...['start', '--label', name, '--admin', '127.0.0.1', String(admin), '--admin-api-key', key],
    ...['--inbound-transport', 'http', '127.0.0.1', String(port), '--inbound-transport', 'ws', '127.0.0.1', String(port)],
    ...['--endpoint', `http://127.0.0.1:${port}`, '--egress-allow', '127.0.0.0/8', '--no-ledger', '--open-mediation'],
    ...['--webhook-url', `${receiver.url}/${name}#k`, '--log-level', 'warn', '--message-rate', '0', ...store],
  ];
  const process = program(name, folder, 'src/main.ts', args, () => answers(`http://127.0.0.1:${admin}/status/ready`));
  world.defer(() => process.stop());
  await process.start();
  return {
    process,
    inbound: `http://127.0.0.1:${port}`,
    async post(path, body) {
      const answer = await fetch(`http://127.0.0.1:${admin}${path}`, {
        method: 'POST',
        headers: { 'x-api-key': key, 'content-type': 'application/json' },
        body: JSON.stringify(body ?? {}),
      });
      if (!answer.ok) throw new Error(`${path} answered ${answer.status} ${await answer.text()}`);
      return (await answer.json()) as Body;
    },
    event: async (topic, matches, what) =>
      (await receiver.hooks.first((hook) => hook.topic === topic && matches(hook.payload), what)).payload,
  };
}

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-mediator-'));
  world.defer(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function wallet(of: Mediating): Promise<Wallet> {
  const one = await startWallet(of);
  world.defer(() => one.stranger.close());
  return one;
}

/** A wallet that opens a socket again whenever its last is gone, and takes each message once. */
function persistent(phone: Wallet, ask: (line: Line) => void, urls: () => string) {
  const seen = new Set<string>();
  const order: string[] = [];
  let repeated = 0;
  let line: Line | undefined;
  let ended = false;
  const going = (async () => {
    while (!ended) {
      try {
        line = await openLine(phone, { url: urls() });
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
        continue;
      }
      const take = (text: string): boolean => {
        if (seen.has(text)) repeated++;
        else order.push(text);
        seen.add(text);
        return false;
      };
      line.texts.first(take, 'the end', 600_000).catch(() => undefined);
      ask(line);
      await line.closed;
    }
  })();
  return {
    order,
    get repeated() {
      return repeated;
    },
    drop: () => line?.close(),
    async end() {
      ended = true;
      line?.close();
      await going;
    },
  };
}

/** Posts until it was accepted, as senders do. */
async function deliver(phone: Wallet, urls: () => string, text: string): Promise<void> {
  const body = phone.wrapped(text);
  for (;;) {
    try {
      const { status } = await fetch(urls(), {
        method: 'POST',
        headers: { 'content-type': 'application/didcomm-envelope-enc' },
        body,
        signal: AbortSignal.timeout(5000),
      });
      if (status === 202) return;
    } catch {
      // it is down
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const LANES = 8;
async function deliverAll(phone: Wallet, urls: () => string, count: number, at: (done: number) => void): Promise<void> {
  let done = 0;
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      for (let i = lane; i < count; i += LANES) {
        await deliver(phone, urls, `${lane} ${String(i).padStart(5, '0')}`);
        at(++done);
      }
    }),
  );
}

/** What one sender sent after another is in this order. */
function assertOrder(order: readonly string[], count: number): void {
  assert.equal(order.length, count);
  for (let lane = 0; lane < LANES; lane++) {
    const of = order.filter((text) => text.startsWith(`${lane} `));
    assert.deepEqual(of, of.toSorted(), `lane ${lane}`);
  }
}

for (const [mode, ask] of [
  ['implicit', (line: Line) => line.say(PING, { response_requested: false })],
  ['live', (line: Line) => line.say(LIVE, { live_delivery: true })],
] as const) {
  test(`kill -9 of a mediator amid 1,000 forwards, ${mode}: all come, in their order`, { timeout: 180_000 }, async () => {
    const folder = folderOf();
    const mediator = await mediatorAt(`killed-${mode}`, folder, ['--store', `sqlite:${join(folder, 'mediator.db')}`]);
    const phone = await wallet(mediator);
    const url = (): string => mediator.inbound;
    const reader = persistent(phone, ask, url);
    let killing: Promise<void> = Promise.resolve();
    await deliverAll(phone, url, 1000, (done) => {
      if (done % 300 === 150)
        killing = killing.then(async () => {
          await mediator.process.kill();
          await mediator.process.start();
        });
    });
    await killing;
    await until(() => reader.order.length >= 1000, 'all messages', 60_000);
    assertOrder(reader.order, 1000);
    assert.ok(reader.repeated < 500, `${reader.repeated} came again`);
    await reader.end();
  });
}

test('two replicas: mail that comes to one goes on the socket at the other; when that is killed, the rest comes by the first, in order', {
  timeout: 180_000,
}, async () => {
  const folder = folderOf();
  const database = await startPostgres();
  world.defer(() => database.stop());
  const store = ['--store', database.url, '--wallet-key', 'replicas'];
  const [one, other] = [await mediatorAt('one', folder, store), await mediatorAt('other', folder, store)];
  const phone = await wallet(one);
  const line = await openLine(phone, { url: other.inbound });
  await line.ask(PING);
  for (let i = 0; i < 5; i++) {
    const begun = performance.now();
    await deliver(phone, () => one.inbound, `at once ${i}`);
    await line.texts.first((text) => text === `at once ${i}`, 'the message at the other replica', 5000);
    assert.ok(performance.now() - begun < 5000);
  }
  line.close();
  let at = other;
  const reader = persistent(
    phone,
    (open) => open.say(PING, { response_requested: false }),
    () => at.inbound,
  );
  await deliverAll(
    phone,
    () => one.inbound,
    400,
    (done) => {
      if (done === 150) {
        at = one;
        void other.process.kill();
      }
    },
  );
  await until(() => reader.order.length >= 400, 'all messages', 60_000);
  assertOrder(reader.order, 400);
  await reader.end();
});

describe('peers that do harm', () => {
  test('none slows down another: who never reads, who says nothing or rubbish, thousands of sockets, what is too large', {
    timeout: 120_000,
  }, async () => {
    const mediator = await world.start('patient', { flags: ['--open-mediation', '--message-rate', '0'], webSocket: true });
    const [phone, deaf] = [await wallet(mediator), await wallet(mediator)];
    const good = await openLine(phone);
    await good.ask(PING);

    // who never reads: its socket fills and goes, its mail stays
    const stuck = await openLine(deaf);
    await stuck.ask(PING);
    stuck.ws.pause();
    const large = 'x'.repeat(100_000);
    for (let i = 0; i < 60; i++) assert.equal(await deaf.forward(`${i} ${large}`), 202);

    // sockets without a word, and with half a handshake
    const { port } = new URL(mediator.inbound);
    const silent = Array.from({ length: 50 }, () => tcp(Number(port), '127.0.0.1'));
    for (const socket of silent) socket.on('error', () => {});
    silent[0]!.write('GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n');

    // rubbish ends its own socket only
    const rubbish = new WebSocket(mediator.inbound.replace('http', 'ws'));
    const code = await new Promise<number>((resolve) => {
      rubbish.on('open', () => {
        for (let i = 0; i < 100; i++) rubbish.send('{"protected": "no"}');
      });
      rubbish.on('close', resolve);
      rubbish.on('error', () => {});
    });
    assert.equal(code, 1008);

    // two thousand sockets of one wallet
    const many = await wallet(mediator);
    const lines: Line[] = [];
    for (let i = 0; i < 2000; i += 50) {
      const some = await Promise.all(Array.from({ length: 50 }, () => openLine(many)));
      for (const one of some) one.say(PING, { response_requested: false });
      lines.push(...some);
    }
    await many.forward('for many');
    await until(() => lines.some((one) => one.texts.list.includes('for many')), 'the message on one of its sockets');
    assert.equal(lines.filter((one) => one.texts.list.includes('for many')).length, 1);

    // 5 MiB
    const huge = await fetch(mediator.inbound, {
      method: 'POST',
      headers: { 'content-type': 'application/didcomm-envelope-enc' },
      body: phone.wrapped('y'.repeat(5 << 20)),
    });
    assert.equal(huge.status, 413);

    const begun = performance.now();
    for (let i = 0; i < 20; i++) assert.equal(await phone.forward(`good ${i}`), 202);
    await good.texts.first((text) => text === 'good 19', 'what comes after all that');
    const took = performance.now() - begun;
    assert.ok(took < 5000, `20 messages took ${took} ms`);
    assert.equal(good.ws.readyState, WebSocket.OPEN);
    assert.equal((await mediator.agent.kernel.db.store.mailbox('base', deaf.id)).messages, 60, 'nothing is lost of who does not read');
    for (const socket of silent) socket.destroy();
    for (const one of [...lines, stuck, good]) one.close();
  });
});
