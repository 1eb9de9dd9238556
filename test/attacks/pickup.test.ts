import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { openEnvelope, pack, parseEnvelope } from '../../src/didcomm/envelope-v1.ts';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';
import { until } from '../support/waiting.ts';
import { ALL, type Wallet, walletsOf } from '../support/wallet.ts';

/** Somebody who has copied envelopes between a wallet and its mediator, and can say them again, must not take mail away from the wallet. */

const world = createWorld();
after(() => world.close());
const { wallet, line } = walletsOf(world);

const V1 = 'messagepickup/1.0';
const V2 = 'messagepickup/2.0';
const COPIES = 3;

describe('a mediator whose clients are copied', () => {
  let mediator: TestAgent;
  before(async () => {
    mediator = await world.start('copied', { flags: ['--open-mediation'], webSocket: true });
  });

  const left = async (of: Wallet): Promise<number> => (await mediator.agent.kernel.db.store.mailbox('base', of.id)).messages;
  const sealed = (of: Wallet, type: string, members: object = {}): string =>
    of.stranger.seal(of.to.verkey, message(type, { ...ALL, ...members }));
  const post = async (of: Wallet, envelope: string): Promise<Body> => (await of.stranger.post(mediator.inbound, envelope)).reply;
  const batched = (of: Wallet, batch: Body): string[] => of.read(...batch['messages~attach'].map((one: Body) => one.message));
  const asking = (of: Wallet, batch_size = 1): string => sealed(of, `${V1}/batch-pickup`, { batch_size });
  const kept = async (of: Wallet, ...texts: string[]): Promise<void> => {
    for (const text of texts) assert.equal(await of.forward(text), 202);
  };

  /** Sends envelopes on a socket of the enemy's, which answers pings as every library does. @returns what came on it */
  async function stolen(...envelopes: string[]): Promise<{ frames: string[]; close(): void }> {
    const ws = new WebSocket(mediator.inbound.replace(/^http/, 'ws'), { perMessageDeflate: false });
    const frames: string[] = [];
    ws.on('message', (data) => frames.push(data.toString()));
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    world.defer(() => ws.terminate());
    for (const envelope of envelopes) ws.send(envelope);
    // the pong stands behind what came of the frames before it
    const pong = new Promise((resolve) => ws.once('pong', resolve));
    ws.ping();
    await pong;
    return { frames, close: () => ws.terminate() };
  }

  test('[A7] a repeated batch-pickup, in any order and by anybody, confirms nothing', async () => {
    const phone = await wallet(mediator);
    const none = asking(phone);
    assert.deepEqual(batched(phone, await post(phone, none)), []);
    await kept(phone, '1', '2', '3', '4', '5', '6');
    const [first, second] = [asking(phone), asking(phone)];
    assert.deepEqual(batched(phone, await post(phone, first)), ['1']);
    assert.deepEqual(batched(phone, await post(phone, second)), ['2']);
    assert.equal(await left(phone), 5);
    for (let i = 0; i < COPIES; i++) {
      for (const copy of [first, second, none, second, first]) await post(phone, copy);
      await stolen(none, first, second, first);
    }
    assert.equal(await left(phone), 5, 'what was not confirmed is there');
    const all: string[] = [];
    for (;;) {
      const texts = batched(phone, await post(phone, asking(phone, 2)));
      if (texts.length === 0) break;
      all.push(...texts);
    }
    assert.deepEqual(all, ['3', '4', '5', '6'], 'the next request confirms the second answer, as ever');
    assert.equal(await left(phone), 0);
  });

  test('[A7-2] a repeated last batch-pickup gets its own answer, an older one an empty one', async () => {
    const phone = await wallet(mediator);
    await kept(phone, '1', '2', '3');
    const [first, second] = [asking(phone, 2), asking(phone, 2)];
    assert.deepEqual(batched(phone, await post(phone, first)), ['1', '2']);
    await kept(phone, '4');
    for (let i = 0; i < COPIES; i++) assert.deepEqual(batched(phone, await post(phone, first)), ['1', '2']);
    assert.deepEqual(batched(phone, await post(phone, second)), ['3', '4']);
    assert.deepEqual(batched(phone, await post(phone, first)), []);
    assert.deepEqual(batched(phone, await post(phone, second)), ['3', '4']);
  });

  test('[A7] the batch of a request stays its own after the mediator was started again', async () => {
    const spec = { flags: ['--open-mediation'] };
    const early = await world.start('restarted-copied', spec);
    const phone = await wallet(early);
    await kept(phone, '1', '2', '3');
    const [first, second] = [asking(phone), asking(phone)];
    for (const one of [first, second]) await post2(early, phone, one);
    await early.stop();
    const late = await world.start('restarted-copied', { ...spec, store: early.store, port: Number(new URL(early.inbound).port) });
    for (let i = 0; i < COPIES; i++) for (const copy of [first, second]) await post2(late, phone, copy);
    assert.equal((await late.agent.kernel.db.store.mailbox('base', phone.id)).messages, 2);
    await late.close();
  });
  const post2 = (of: TestAgent, phone: Wallet, envelope: string) => phone.stranger.post(of.inbound, envelope);

  test('[A7-3] a batch-pickup whose answer has no way back gives nothing that the next one could confirm', async () => {
    const phone = await wallet(mediator);
    await kept(phone, '1', '2');
    const deaf = (): string => phone.stranger.seal(phone.to.verkey, message(`${V1}/batch-pickup`, { batch_size: 1 }));
    for (let i = 0; i < COPIES; i++) await phone.stranger.post(mediator.inbound, deaf());
    assert.equal(await left(phone), 2);
    assert.deepEqual(batched(phone, await post(phone, asking(phone, 2))), ['1', '2']);
  });

  test('requests that confirm nothing, and confirmations of what is gone, said again on any connection', async () => {
    const phone = await wallet(mediator);
    await kept(phone, '1', '2', '3');
    const request = sealed(phone, `${V2}/delivery-request`, { limit: 1 });
    const { ids } = phone.delivered(await post(phone, request));
    const copies = [
      request,
      sealed(phone, `${V2}/messages-received`, { message_id_list: ids }),
      sealed(phone, `${V2}/status-request`),
      sealed(phone, `${V1}/status-request`),
      sealed(phone, `${V1}/list-pickup`, { message_ids: ids }),
    ];
    for (const copy of copies) await post(phone, copy);
    assert.equal(await left(phone), 2, 'the wallet has the first');
    await kept(phone, '4');
    for (let i = 0; i < COPIES; i++) {
      for (const copy of copies) await post(phone, copy);
      await stolen(...copies);
    }
    assert.equal(await left(phone), 3);
    const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual(phone.delivered(reply).texts, ['2', '3', '4']);
  });

  test('[A7-4] a session is opened once: by pings, live mode, noop, and by batch-pickup never', async () => {
    const phone = await wallet(mediator);
    const opening = [
      sealed(phone, 'trust_ping/1.0/ping', { response_requested: false }),
      sealed(phone, 'trust_ping/1.0/ping', { response_requested: true }),
      sealed(phone, `${V2}/live-delivery-change`, { live_delivery: true }),
      sealed(phone, `${V2}/live-delivery-change`, { live_delivery: false }),
      sealed(phone, `${V1}/noop`),
    ];
    const own = await line(phone, { confirms: false });
    for (const one of opening) own.ws.send(one);
    await until(async () => own.frames.filter((kind) => kind === 'status').length >= 2, 'both answers');
    await until(async () => (await left(phone)) === 0, 'the pong to the answer of the ping');
    own.close();
    await kept(phone, '1', '2');
    await mediator.post(`/connections/${phone.id}/send-message`, { content: 'own' });
    const batch = asking(phone);
    await post(phone, batch);
    for (let i = 0; i < COPIES; i++) {
      // a session would have its mail before the pong of its own
      await stolen(...opening, batch);
      for (const copy of opening) await phone.stranger.post(mediator.inbound, copy);
    }
    const thief = await stolen(...opening, batch);
    await kept(phone, '3');
    assert.equal(await left(phone), 4);
    const kinds = thief.frames.map((frame) => {
      const opened = openEnvelope(parseEnvelope(Buffer.from(frame)), phone.stranger.pair);
      return JSON.parse(Buffer.from(opened.message).toString())['@type'].split('/').at(-1);
    });
    assert.deepEqual(
      kinds.filter((kind) => kind !== 'ping_response'),
      ['batch'],
      'answers alone, and those of old',
    );
    thief.close();
    const fresh = await line(phone, { confirms: false });
    fresh.ws.send(asking(phone));
    await fresh.inbox.first((one) => one['@type'].endsWith('/batch'), 'the next batch');
    await mediator.post(`/connections/${phone.id}/send-message`, { content: 'own too' });
    assert.equal((await fresh.ask(`${V2}/status-request`)).message_count, 5);
    assert.deepEqual(fresh.frames, ['batch', 'status'], 'nothing goes by itself on a socket that only asks');
  });

  test('[A7-5] a batch that somebody repeats does not make its client ask for more, which would confirm messages that may not have come', async () => {
    const other = await startStranger();
    world.defer(() => other.close());
    const link = await connectStranger(mediator, other);
    const inside = pack({
      message: JSON.stringify(message('basicmessage/1.0/message', { content: 'x' })),
      recipients: [other.pair.verkey],
    });
    const batch = other.seal(link.to.verkey, message(`${V1}/batch`, { 'messages~attach': [{ '@id': '1', message: JSON.parse(inside) }] }));
    for (let i = 0; i < COPIES; i++) assert.equal((await other.post(mediator.inbound, batch)).status, 202);
    // what answers it would be before this one in the lane of the connection
    await mediator.post(`/connections/${link.id}/send-message`, { content: 'later' });
    await other.inbox.first((one) => one.message.content === 'later', 'a later message');
    assert.ok(!other.inbox.list.some((one) => one.message['@type'].endsWith('/batch-pickup')));
  });

  test('keys that were added or taken back are so, whatever is said again', async () => {
    const phone = await wallet(mediator);
    const updates = (action: string) => [{ recipient_key: phone.key.verkey, action }];
    const remove = sealed(phone, 'coordinate-mediation/1.0/keylist-update', { updates: updates('remove') });
    const add = sealed(phone, 'coordinate-mediation/1.0/keylist-update', { updates: updates('add') });
    for (const one of [remove, add]) await post(phone, one);
    for (let i = 0; i < COPIES; i++) await post(phone, remove);
    await kept(phone, 'still mine');
    assert.equal(await left(phone), 1);
  });
});
