import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as tcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { WebSocket } from 'ws';
import { answers, type Program, program } from '../../harness/processes.ts';
import { pack } from '../../src/didcomm/envelope-v1.ts';
import { wrapForward } from '../../src/didcomm/forward.ts';
import { startPostgres } from '../postgres.ts';
import { type Body, createWorld, freePort, startReceiver, type TestAgent } from '../support/agents.ts';
import { byExtent } from '../support/extent.ts';
import { CALL_MS, TEST_MS, until } from '../support/waiting.ts';
import { type Line, type Mediating, openLine, type Wallet, walletsOf } from '../support/wallet.ts';

/** Mediators that are killed, replicas of them, and peers that do harm. */

const world = createWorld();
after(() => world.close());

const PING = 'trust_ping/1.0/ping';
const LIVE = 'messagepickup/2.0/live-delivery-change';

type Receiver = Awaited<ReturnType<typeof startReceiver>>;

interface Mediator extends Mediating {
  readonly process: Program;
}

/** A mediator as a process of its own. Replicas share the address of their webhooks: any of them delivers what another has to tell. */
async function mediatorAt(name: string, folder: string, store: readonly string[], shared?: Receiver): Promise<Mediator> {
  const [admin, port] = [await freePort(), await freePort()];
  const key = randomBytes(8).toString('hex');
  const receiver = shared ?? (await startReceiver());
  if (!shared) world.defer(() => receiver.close());
  const args = [
    ...['start', '--label', name, '--admin', '127.0.0.1', String(admin), '--admin-api-key', key],
    ...['--inbound-transport', 'http', '127.0.0.1', String(port), '--inbound-transport', 'ws', '127.0.0.1', String(port)],
    ...['--endpoint', `http://127.0.0.1:${port}`, '--egress-allow', '127.0.0.0/8', '--no-ledger', '--open-mediation'],
    ...['--webhook-url', `${receiver.url}/mediator#k`, '--log-level', 'warn', '--message-rate', '0', ...store],
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
        signal: AbortSignal.timeout(CALL_MS),
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

const { wallet, line } = walletsOf(world);

/** How long anything here may take, so that what never comes fails instead of holding the run. */
const PATIENCE_MS = 300_000;

/** A wallet that opens a socket again whenever its last is gone, and takes each message once. */
function persistent(phone: Wallet, ask: (line: Line) => void, url: () => string) {
  const seen = new Set<string>();
  const order: string[] = [];
  let repeated = 0;
  let open: Line | undefined;
  let ended = false;
  const onText = (text: string): void => {
    if (seen.has(text)) repeated++;
    else order.push(text);
    seen.add(text);
  };
  const going = (async () => {
    while (!ended) {
      try {
        open = await openLine(phone, { url: url(), onText });
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
        continue;
      }
      if (ended) open.close();
      else ask(open);
      await open.closed;
    }
  })();
  world.defer(async () => {
    ended = true;
    open?.close();
    await going;
  });
  return {
    order,
    get repeated() {
      return repeated;
    },
    drop: () => open?.close(),
  };
}

/** Posts until it was accepted, as senders do. */
async function deliver(phone: Wallet, url: () => string, text: string): Promise<void> {
  const body = phone.wrapped(text);
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    try {
      const { status } = await fetch(url(), {
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
  throw new Error(`"${text}" was not accepted`);
}

const LANES = 8;
async function deliverAll(phone: Wallet, url: () => string, count: number, at: (done: number) => void): Promise<void> {
  let done = 0;
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      for (let i = lane; i < count; i += LANES) {
        await deliver(phone, url, `${lane} ${String(i).padStart(5, '0')}`);
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

const MODES = [
  ['implicit', (open: Line) => open.say(PING, { response_requested: false })],
  ['live', (open: Line) => open.say(LIVE, { live_delivery: true })],
] as const;

const FORWARDS = byExtent(400, 1000);
const BETWEEN_KILLS = FORWARDS * 0.3;

for (const [mode, ask] of MODES) {
  test(`kill -9 of a mediator amid many forwards, ${mode}: all come, in their order`, { timeout: TEST_MS }, async () => {
    const folder = folderOf();
    const mediator = await mediatorAt(`killed-${mode}`, folder, ['--store', `sqlite:${join(folder, 'mediator.db')}`]);
    const phone = await wallet(mediator);
    const url = (): string => mediator.inbound;
    const reader = persistent(phone, ask, url);
    let killing: Promise<void> = Promise.resolve();
    let kills = 0;
    await deliverAll(phone, url, FORWARDS, (done) => {
      if (done % BETWEEN_KILLS === BETWEEN_KILLS / 2)
        killing = killing.then(async () => {
          kills++;
          await mediator.process.kill();
          await mediator.process.start();
        });
      // and the wallet loses its network now and then
      else if (done % 70 === 0) reader.drop();
    });
    await killing;
    assert.equal(kills, 3);
    await until(() => reader.order.length >= FORWARDS, 'all messages', PATIENCE_MS);
    assertOrder(reader.order, FORWARDS);
    assert.ok(reader.repeated < FORWARDS / 2, `${reader.repeated} came again`);
    const left = async (): Promise<number> => (await phone.say('messagepickup/2.0/status-request')).reply.message_count;
    await until(async () => (await left()) === 0, 'what was confirmed to be gone');
  });
}

test('[S1-25] twenty messages to who is away survive a kill -9, by the byte, and are gone when they were confirmed', async () => {
  const folder = folderOf();
  const mediator = await mediatorAt('offline', folder, ['--store', `sqlite:${join(folder, 'mediator.db')}`]);
  const phone = await wallet(mediator);
  const inner = Array.from({ length: 20 }, (_, i) =>
    pack({ message: JSON.stringify({ '@type': 'x/y/1.0/z', '@id': `${i}` }), recipients: [phone.key.verkey] }),
  );
  for (const one of inner) {
    const { status } = await phone.stranger.post(mediator.inbound, wrapForward(one, phone.key.verkey, [phone.routingKey]));
    assert.equal(status, 202);
  }
  await mediator.process.kill();
  await mediator.process.start();
  const { reply } = await phone.say('messagepickup/2.0/delivery-request', { limit: 100 });
  const items = reply['~attach'] as { '@id': string; data: { json: Body } }[];
  assert.deepEqual(
    items.map(({ data }) => JSON.stringify(data.json)),
    inner,
  );
  const count = async (): Promise<number> => (await phone.say('messagepickup/2.0/status-request')).reply.message_count;
  assert.equal(await count(), 20);
  const left = await phone.say('messagepickup/2.0/messages-received', { message_id_list: items.map((one) => one['@id']) });
  assert.deepEqual([left.reply.message_count, await count()], [0, 0]);
});

describe('two replicas', () => {
  let adminUrl: string;
  let [one, other]: Mediator[] = [];
  before(async () => {
    const database = await startPostgres();
    world.defer(() => database.stop());
    ({ adminUrl } = database);
    const [folder, store] = [folderOf(), ['--store', database.url, '--wallet-key', 'replicas']];
    const receiver = await startReceiver();
    world.defer(() => receiver.close());
    one = await mediatorAt('one', folder, store, receiver);
    other = await mediatorAt('other', folder, store, receiver);
  });

  /** The database's sessions that wait for hints, in the order in which the replicas were started. */
  async function listening(): Promise<number[]> {
    const client = new pg.Client({ connectionString: adminUrl });
    await client.connect();
    try {
      const { rows } = await client.query("SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN flexid' ORDER BY backend_start");
      return rows.map(({ pid }) => pid as number);
    } finally {
      await client.end();
    }
  }

  test('mail that comes to one goes on the socket at the other at once', { timeout: TEST_MS }, async () => {
    const phone = await wallet(one!);
    const open = await line(phone, { url: other!.inbound });
    await open.ask(PING);
    for (let i = 0; i < 5; i++) {
      await deliver(phone, () => one!.inbound, `at once ${i}`);
      await open.texts.first((text) => text === `at once ${i}`, 'the message at the other replica', 5000);
    }
  });

  test('a hint that is lost, since the replica with the socket heard nothing just then, loses no mail', { timeout: TEST_MS }, async () => {
    const phone = await wallet(one!);
    const open = await line(phone, { url: other!.inbound });
    await open.ask(PING);
    const client = new pg.Client({ connectionString: adminUrl });
    world.defer(() => client.end());
    await client.connect();
    await until(async () => (await listening()).length === 2, 'both replicas to listen');
    // a session of the first stays for the next commit
    await deliver(phone, () => one!.inbound, 'heard');
    await open.texts.first((text) => text === 'heard', 'what came before');
    await client.query('ALTER ROLE flexid NOLOGIN');
    try {
      for (const pid of await listening()) await client.query('SELECT pg_terminate_backend($1)', [pid]);
      await until(async () => (await listening()).length === 0, 'the end of the sessions');
      await deliver(phone, () => one!.inbound, 'unheard');
    } finally {
      await client.query('ALTER ROLE flexid LOGIN');
    }
    await open.texts.first((text) => text === 'unheard', 'what came while nobody listened');
  });

  test('[S2-31] a message that senders post to both, again until it is accepted, is there once though one of them is killed', {
    timeout: TEST_MS,
  }, async () => {
    const phone = await wallet(one!);
    let turn = 0;
    await deliverAll(
      phone,
      () => (turn++ % 2 === 0 ? one! : other!).inbound,
      400,
      (done) => {
        if (done === 150) void other!.process.kill();
      },
    );
    const texts: string[] = [];
    for (;;) {
      const { reply } = await phone.say('messagepickup/2.0/delivery-request', { limit: 100 });
      if (!reply['@type'].endsWith('/delivery')) break;
      const delivered = phone.delivered(reply);
      texts.push(...delivered.texts);
      await phone.say('messagepickup/2.0/messages-received', { message_id_list: delivered.ids });
    }
    assertOrder(texts, 400);
    assert.equal(texts.length, 400, 'each once');
    await other!.process.start();
  });

  test('when the one with the socket is killed, the rest comes by the first, in order', { timeout: TEST_MS }, async () => {
    const phone = await wallet(one!);
    let at = other!;
    const reader = persistent(
      phone,
      (open) => open.say(PING, { response_requested: false }),
      () => at.inbound,
    );
    await deliverAll(
      phone,
      () => one!.inbound,
      400,
      (done) => {
        if (done !== 150) return;
        at = one!;
        void other!.process.kill();
      },
    );
    await until(() => reader.order.length >= 400, 'all messages', PATIENCE_MS);
    assertOrder(reader.order, 400);
  });
});

describe('peers that do harm slow down nobody else', () => {
  let mediator: TestAgent;
  let good: Wallet;
  let open: Line;
  let alone: number;
  before(async () => {
    mediator = await world.start('patient', { flags: ['--open-mediation', '--message-rate', '0'], webSocket: true });
    good = await wallet(mediator);
    open = await line(good);
    await open.ask(PING);
    alone = await pace('alone');
  });

  const left = async (of: Wallet): Promise<number> => (await mediator.agent.kernel.db.store.mailbox('base', of.id)).messages;

  /** How long the good wallet's mail takes, in ms. */
  async function pace(of: string): Promise<number> {
    const texts = Array.from({ length: 20 }, (_, i) => `${of} ${i}`);
    const begun = performance.now();
    for (const text of texts) assert.equal(await good.forward(text), 202);
    await open.texts.first((text) => text === texts.at(-1), `the good wallet's mail, ${of}`);
    const took = performance.now() - begun;
    assert.deepEqual(
      open.texts.list.filter((text) => text.startsWith(`${of} `)),
      texts,
    );
    assert.equal(open.ws.readyState, WebSocket.OPEN);
    return took;
  }

  /** The good wallet's mail comes as if it were alone: it waits for no other peer's answer, for which there are twenty seconds. */
  async function swift(of: string): Promise<void> {
    const took = await pace(of);
    assert.ok(took < Math.max(15_000, 10 * alone), `20 messages took ${took} ms, alone ${alone} ms`);
  }

  test('a client that never reads keeps its mail, and costs no memory for it', { timeout: TEST_MS }, async () => {
    const deaf = await wallet(mediator);
    const stuck = await line(deaf);
    stuck.say(PING, { response_requested: false });
    await deaf.forward('read');
    await stuck.texts.first((text) => text === 'read', 'what comes before it stops');
    await until(async () => (await left(deaf)) === 0, 'an empty box');
    stuck.ws.pause();
    const large = 'x'.repeat(100_000);
    for (let i = 0; i < 150; i++) assert.equal(await deaf.forward(`${i} ${large}`), 202);
    await swift('beside who never reads');
    assert.equal(await left(deaf), 150, 'nothing is lost of who does not read');
    stuck.ws.resume();
    await stuck.texts.first((text) => text.startsWith('149 '), 'all of it, when it reads again');
    assert.deepEqual(
      stuck.texts.list.map((text) => text.split(' ')[0]),
      ['read', ...Array.from({ length: 150 }, (_, i) => `${i}`)],
    );
  });

  for (const [mode, ask] of MODES) {
    test(`a client that vanishes with frames unread gets them again,  ${mode}`, { timeout: TEST_MS }, async () => {
      const phone = await wallet(mediator);
      const texts = Array.from({ length: 30 }, (_, i) => `unread ${i}`);
      const gone = await line(phone);
      ask(gone);
      await phone.forward('read');
      await gone.texts.first((text) => text === 'read', 'what comes before it stops');
      gone.ws.pause();
      const { mail_sent: before = 0 } = (await mediator.get('/status')).conductor;
      for (const text of texts) assert.equal(await phone.forward(text), 202);
      await until(async () => (await mediator.get('/status')).conductor.mail_sent > before, 'frames on the socket');
      gone.close();
      const back = await line(phone);
      ask(back);
      await back.texts.first((text) => text === texts.at(-1), 'all of it');
      assert.deepEqual(
        back.texts.list.filter((text) => text !== 'read'),
        texts,
      );
      await until(async () => (await left(phone)) === 0, 'an empty box');
    });
  }

  test('sockets without a word, and with half a handshake', { timeout: TEST_MS }, async () => {
    const { port } = new URL(mediator.inbound);
    const silent = Array.from({ length: 200 }, () => tcp(Number(port), '127.0.0.1'));
    for (const socket of silent) {
      socket.on('error', () => {});
      world.defer(() => socket.destroy());
    }
    for (const socket of silent.slice(0, 100)) socket.write('GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n');
    await until(() => silent.every((socket) => !socket.connecting), 'the sockets');
    await swift('beside silent sockets');
    for (const socket of silent) socket.destroy();
  });

  test('rubbish ends its own socket', { timeout: TEST_MS }, async () => {
    const rubbish = new WebSocket(mediator.inbound.replace('http', 'ws'));
    world.defer(() => rubbish.terminate());
    const code = new Promise<number>((resolve) => rubbish.on('close', resolve));
    rubbish.on('error', () => {});
    rubbish.on('open', () => {
      for (let i = 0; i < 100; i++) rubbish.send('{"protected": "no"}');
    });
    await swift('beside rubbish');
    assert.equal(await code, 1008);
  });

  test('two thousand sockets of one wallet: the newest has the mail, once, and few stay open', { timeout: TEST_MS }, async () => {
    const many = await wallet(mediator);
    const lines: Line[] = [];
    for (let i = 0; i < 2000; i += 50) {
      const some = await Promise.all(Array.from({ length: 50 }, () => line(many)));
      for (const each of some) each.say(PING, { response_requested: false });
      lines.push(...some);
    }
    await until(() => lines.filter(({ ws }) => ws.readyState === WebSocket.OPEN).length <= 16, 'the others to be closed');
    await many.forward('for many');
    const having = (): number => lines.filter((each) => each.texts.list.includes('for many')).length;
    await until(having, 'the message on one of its sockets');
    await swift('beside many sockets');
    assert.equal(having(), 1);
  });

  test('a message above the bound is refused, and nothing of it kept', { timeout: TEST_MS }, async () => {
    const body = good.wrapped('y'.repeat(5 << 20));
    const huge = await fetch(mediator.inbound, {
      method: 'POST',
      headers: { 'content-type': 'application/didcomm-envelope-enc' },
      body,
      signal: AbortSignal.timeout(CALL_MS),
    });
    assert.equal(huge.status, 413);
    await swift('after what is too large');
  });
});
