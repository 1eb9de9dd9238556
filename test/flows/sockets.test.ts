import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createWorld, type TestAgent } from '../support/agents.ts';
import { until } from '../support/waiting.ts';
import { type Line, type Wallet, walletsOf } from '../support/wallet.ts';

/** Mail on WebSockets: by itself after a ping, and as deliveries in live mode (RFC 0685). */

const world = createWorld();
after(() => world.close());

const V2 = 'messagepickup/2.0';
const PING = 'trust_ping/1.0/ping';
const QUIET = { response_requested: false };

const { wallet, line } = walletsOf(world);

const came = (line: Line, text: string): Promise<string> => line.texts.first((one) => one === text, `"${text}"`);

describe('a mediator with WebSockets', () => {
  let mediator: TestAgent;
  before(async () => {
    mediator = await world.start('exchange', { flags: ['--open-mediation'], webSocket: true });
  });

  const left = (of: Wallet) => mediator.agent.kernel.db.store.mailbox('base', of.id);
  const empty = (of: Wallet) => until(async () => (await left(of)).messages === 0, 'an empty box');

  test('[S2-11] [S2-44] implicit: after a ping all that is kept comes as it is, then what arrives, in order, and goes when it was taken', async () => {
    const phone = await wallet(mediator);
    for (const text of ['1', '2', '3']) await phone.forward(text);
    const open = await line(phone);
    open.say(PING, QUIET);
    await came(open, '3');
    for (const text of ['4', '5']) await phone.forward(text);
    await came(open, '5');
    assert.deepEqual(open.texts.list, ['1', '2', '3', '4', '5']);
    await empty(phone);
    open.close();
    await phone.forward('6');
    const next = await line(phone);
    next.say(PING, QUIET);
    await came(next, '6');
    assert.deepEqual(next.texts.list, ['6']);
  });

  test('without a ping only what is our own comes on a socket', async () => {
    const phone = await wallet(mediator);
    await phone.forward('forwarded');
    const open = await line(phone);
    open.say('trust_ping/1.0/ping_response');
    await mediator.post(`/connections/${phone.id}/send-message`, { content: 'own' });
    await open.inbox.first((one) => one.content === 'own', 'our own message');
    await until(async () => (await left(phone)).messages === 1, 'what was taken to be gone');
    assert.deepEqual(open.texts.list, []);
    const { reply } = await phone.say(`${V2}/status-request`);
    assert.equal(reply.message_count, 1);
  });

  test('a ping that does not ask for answers opens nothing, nor does one that is said again by another', async () => {
    const phone = await wallet(mediator);
    await phone.forward('mine');
    const first = await line(phone);
    const ping = phone.stranger.seal(phone.to.verkey, {
      '@type': `https://didcomm.org/${PING}`,
      '@id': 'ping-once',
      response_requested: true,
    });
    first.ws.send(ping);
    const asking = phone.stranger.seal(phone.to.verkey, {
      '@type': `https://didcomm.org/${PING}`,
      '@id': 'ping-twice',
      '~transport': { return_route: 'all' },
    });
    await phone.stranger.post(phone.to.url, asking);
    const thief = await line(phone);
    // whoever has seen it go by cannot have the mail by it
    thief.ws.send(asking);
    await until(() => thief.frames.includes('ping_response'), 'the answer to the copy');
    await phone.forward('mine too');
    assert.deepEqual([first.texts.list, thief.texts.list], [[], []]);
  });

  test('[S2-38] [S2-44] live: deliveries, which are confirmed by messages-received; what is not is sent again elsewhere', async () => {
    const phone = await wallet(mediator);
    const open = await line(phone, { confirms: false });
    const status = await open.ask(`${V2}/live-delivery-change`, { live_delivery: true });
    assert.deepEqual([status['@type'].split('/').at(-1), status.live_delivery], ['status', true]);
    await phone.forward('1');
    await phone.forward('2');
    await came(open, '2');
    assert.deepEqual(
      open.frames.filter((frame) => frame !== 'status').every((frame) => frame === 'delivery'),
      true,
    );
    assert.equal((await left(phone)).messages, 2, 'nothing is gone before it was confirmed');
    const asked = await open.ask(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual([asked['@type'].split('/').at(-1), asked.message_count], ['status', 0], 'what is on its way does not come twice');
    open.close();
    const next = await line(phone);
    await next.ask(`${V2}/live-delivery-change`, { live_delivery: true });
    await came(next, '2');
    await empty(phone);
    assert.deepEqual(next.texts.list, ['1', '2']);
    const off = await next.ask(`${V2}/live-delivery-change`, { live_delivery: false });
    assert.equal(off.live_delivery, false);
    await phone.forward('3');
    assert.equal((await next.ask(`${V2}/status-request`)).message_count, 1);
    assert.deepEqual(next.texts.list, ['1', '2']);
  });

  test('a wallet that does not answer pings keeps its mail, and loses its socket alone', async () => {
    const phone = await wallet(mediator);
    const deaf = await line(phone, { pongs: false });
    deaf.say(PING, QUIET);
    await phone.forward('1');
    await came(deaf, '1');
    assert.equal((await left(phone)).messages, 1);
    const open = await line(phone);
    await open.ask(PING);
    await phone.forward('2');
    await came(open, '2');
    assert.deepEqual([open.texts.list, deaf.texts.list], [['1', '2'], ['1']]);
    await empty(phone);
  });

  test('hundreds of messages at once come in the order in which they were accepted, whatever is on the way', async () => {
    const phone = await wallet(mediator);
    const open = await line(phone);
    open.say(PING, QUIET);
    const texts = Array.from({ length: 300 }, (_, i) => `message ${i}`);
    for (const text of texts) assert.equal(await phone.forward(text), 202);
    await came(open, texts.at(-1)!);
    assert.deepEqual(open.texts.list, texts);
    await empty(phone);
  });

  test('of many sockets of one wallet the newest has the mail, and only so many are kept', async () => {
    const phone = await wallet(mediator);
    const lines: Line[] = [];
    for (let i = 0; i < 20; i++) {
      const one = await line(phone);
      await one.ask(PING, { response_requested: true });
      lines.push(one);
    }
    const { code } = await lines[0]!.closed;
    assert.equal(code, 1008);
    await phone.forward('one');
    await came(lines.at(-1)!, 'one');
    assert.deepEqual(
      lines.flatMap((one) => one.texts.list),
      ['one'],
    );
  });

  for (const [mode, ask] of [
    ['implicit', PING],
    ['live', `${V2}/live-delivery-change`],
  ] as const) {
    test(`${mode}: what a sender says again after a start does not come twice on the socket that had it`, async () => {
      const flags = ['--open-mediation'];
      const first = await world.start(`again-${mode}`, { flags, webSocket: true });
      const phone = await wallet(first);
      const body = phone.wrapped('once');
      assert.equal((await phone.stranger.post(first.inbound, body)).status, 202);
      await first.stop();
      const again = await world.start(`again-${mode}`, {
        ...{ flags, webSocket: true, store: first.store, port: Number(new URL(first.inbound).port) },
      });
      const open = await line(phone);
      open.say(ask, mode === 'live' ? { live_delivery: true } : QUIET);
      await came(open, 'once');
      const box = () => again.agent.kernel.db.store.mailbox('base', phone.id);
      await until(async () => (await box()).messages === 0, 'an empty box');
      assert.equal((await phone.stranger.post(again.inbound, body)).status, 202);
      await phone.forward('next');
      await came(open, 'next');
      await until(async () => (await box()).messages === 0, 'an empty box');
      assert.deepEqual(open.texts.list, ['once', 'next']);
      await again.close();
    });
  }

  test('an agent that stops tells its sockets so; the wallet gets the rest from the next, in order', async () => {
    const first = await world.start('stopping', { flags: ['--open-mediation'], webSocket: true });
    const phone = await wallet(first);
    const open = await line(phone);
    open.say(PING, QUIET);
    await phone.forward('1');
    await came(open, '1');
    await first.stop();
    assert.equal((await open.closed).code, 1001);
    const port = Number(new URL(first.inbound).port);
    const again = await world.start('stopping', { flags: ['--open-mediation'], webSocket: true, store: first.store, port });
    await phone.forward('2');
    const next = await line(phone);
    next.say(PING, QUIET);
    await came(next, '2');
    assert.deepEqual(next.texts.list, ['2']);
    await again.close();
  });
});
