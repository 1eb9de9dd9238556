import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pack } from '../../src/didcomm/envelope-v1.ts';
import { FORWARD_TYPE, wrapForward } from '../../src/didcomm/forward.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { AppError, type ErrorCode } from '../../src/errors.ts';
import type { Incoming } from '../../src/kernel/protocol.ts';
import { createRelay } from '../../src/mediation/relay.ts';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';
import { until } from '../support/waiting.ts';
import { textOf, type Wallet, walletsOf } from '../support/wallet.ts';

/** RFC 0094, RFC 0212, RFC 0685, by HTTP: mail that is forwarded, kept, and fetched. */

const world = createWorld();
after(() => world.close());

const V2 = 'messagepickup/2.0';
const V1 = 'messagepickup/1.0';
const kind = (reply: Body): string => reply['@type'].split('/').at(-1);

const { wallet } = walletsOf(world);

describe('a mailbox', () => {
  let mediator: TestAgent;
  before(async () => {
    mediator = await world.start('post-office', { flags: ['--open-mediation'] });
  });

  test('[S2-11] [S2-44] pickup 2.0: what is forwarded is kept in its order until its owner says that it has it', async () => {
    const phone = await wallet(mediator);
    assert.equal((await phone.say(`${V2}/status-request`)).reply.message_count, 0);
    const none = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual([kind(none.reply), none.reply.message_count], ['status', 0]);
    const begun = Date.now();
    for (const text of ['one', 'two', 'three']) assert.equal(await phone.forward(text), 202);
    const status = await phone.say(`${V2}/status-request`);
    const passed = Date.now() - begun;
    assert.deepEqual([kind(status.reply), status.reply.message_count], ['status', 3]);
    const { total_bytes, oldest_received_time: oldest, newest_received_time: newest, longest_waited_seconds: waited } = status.reply;
    assert.ok(total_bytes > 500, `${total_bytes} bytes`);
    const [from, to] = [Date.parse(oldest) - begun, Date.parse(newest) - begun];
    assert.ok(from >= 0 && from <= to && to <= passed, `received ${from} to ${to} ms after the beginning, of ${passed}`);
    assert.ok(Number.isInteger(waited) && waited >= 0 && waited * 1000 <= passed, `${waited} s`);
    for (let again = 0; again < 2; again++) {
      const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 2 });
      assert.equal(kind(reply), 'delivery');
      assert.deepEqual(phone.delivered(reply).texts, ['one', 'two']);
    }
    const { reply: delivery } = await phone.say(`${V2}/delivery-request`, { limit: 2 });
    const { ids } = phone.delivered(delivery);
    const left = await phone.say(`${V2}/messages-received`, { message_id_list: ids });
    assert.deepEqual([kind(left.reply), left.reply.message_count], ['status', 1]);
    const repeated = await phone.say(`${V2}/messages-received`, { message_id_list: [...ids, 'nothing'] });
    assert.equal(repeated.reply.message_count, 1, 'what was gone before makes no difference');
    const rest = await phone.say(`${V2}/delivery-request`, { limit: 100 });
    assert.deepEqual(phone.delivered(rest.reply).texts, ['three']);
    const end = await phone.say(`${V2}/messages-received`, { message_id_list: phone.delivered(rest.reply).ids });
    assert.equal(end.reply.message_count, 0);
  });

  test('pickup 2.0: by the key it was forwarded to; a key of others has nothing here', async () => {
    const [phone, other] = [await wallet(mediator), await wallet(mediator)];
    await phone.forward('for me');
    await other.forward('for the other');
    const of = async (who: Wallet, recipient_key: string) => (await who.say(`${V2}/status-request`, { recipient_key })).reply.message_count;
    assert.deepEqual([await of(phone, phone.key.verkey), await of(phone, other.key.verkey), await of(phone, 'x')], [1, 0, 0]);
    const mine = await phone.say(`${V2}/delivery-request`, { limit: 5, recipient_key: phone.key.verkey });
    assert.deepEqual(phone.delivered(mine.reply).texts, ['for me']);
    const { ids } = phone.delivered(mine.reply);
    await other.say(`${V2}/messages-received`, { message_id_list: ids });
    assert.equal(await of(phone, phone.key.verkey), 1, 'nobody confirms what is not his');
  });

  test('pickup 2.0: live mode is for connections that stay open', async () => {
    const phone = await wallet(mediator);
    const { reply } = await phone.say(`${V2}/live-delivery-change`, { live_delivery: true });
    assert.match(reply['@type'], /problem-report$/);
    assert.equal(reply.description.code, 'e.m.live-mode-not-supported');
  });

  test('pickup 1.0: the next request confirms the last batch; a repeated one gets the same batch', async () => {
    const phone = await wallet(mediator);
    for (const text of ['one', 'two', 'three']) await phone.forward(text);
    assert.equal((await phone.say(`${V1}/status-request`)).reply.message_count, 3);
    const texts = ({ reply }: { reply?: Body }): string[] => phone.read(...reply['messages~attach'].map((one: Body) => one.message));
    const asked = message(`${V1}/batch-pickup`, { batch_size: 2, '~transport': { return_route: 'all' } });
    assert.deepEqual(texts(await phone.stranger.send(phone.to, asked)), ['one', 'two']);
    assert.deepEqual(texts(await phone.stranger.send(phone.to, asked)), ['one', 'two']);
    const listed = await phone.say(`${V1}/list-pickup`, { message_ids: ['none'] });
    assert.deepEqual(listed.reply['messages~attach'], []);
    assert.deepEqual(texts(await phone.say(`${V1}/batch-pickup`, { batch_size: 2 })), ['three']);
    assert.deepEqual(texts(await phone.say(`${V1}/batch-pickup`, { batch_size: 2 })), []);
    assert.equal((await phone.say(`${V1}/status-request`)).reply.message_count, 0);
  });

  test('[S2-34] two devices of one owner: each has what is for its keys, and confirms its own copy', async () => {
    const [phone, tablet] = [await wallet(mediator), await wallet(mediator)];
    const inside = pack({
      message: JSON.stringify(message('basicmessage/1.0/message', { content: 'to both' })),
      recipients: [phone.key.verkey, tablet.key.verkey],
    });
    for (const { key, routingKey } of [phone, tablet])
      assert.equal((await phone.stranger.post(mediator.inbound, wrapForward(inside, key.verkey, [routingKey]))).status, 202);
    const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual(phone.delivered(reply).texts, ['to both']);
    await phone.say(`${V2}/messages-received`, { message_id_list: phone.delivered(reply).ids });
    const other = await tablet.say(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual(tablet.delivered(other.reply).texts, ['to both']);
  });

  test('a sender of forwards learns nothing: the same answer for an unknown key, and for a text that is no key', async () => {
    const phone = await wallet(mediator);
    const stranger = newKeyPair().verkey;
    const post = (body: string) => phone.stranger.post(mediator.inbound, body);
    const inside = pack({ message: '{}', recipients: [stranger] });
    const answers = [await post(wrapForward(inside, stranger, [phone.routingKey])), await post(phone.wrapped('known'))];
    for (const msg of ['{broken', 7, null, [1]]) {
      const forward = JSON.stringify({ '@type': FORWARD_TYPE, '@id': 'x', to: phone.key.verkey, msg });
      answers.push(await post(pack({ message: forward, recipients: [phone.routingKey] })));
    }
    assert.deepEqual(new Set(answers.map(({ status, body }) => `${status} ${body}`)), new Set(['202 ']));
    assert.equal((await phone.say(`${V2}/status-request`)).reply.message_count, 1);
    const { forwards_kept, refused_forward_unknown, refused_forward_invalid } = (await mediator.get('/status')).conductor;
    assert.ok(forwards_kept >= 1 && refused_forward_unknown >= 1 && refused_forward_invalid >= 4);
  });

  test('an envelope that comes twice is kept once; text as msg is taken too', async () => {
    const phone = await wallet(mediator);
    const inside = pack({
      message: JSON.stringify(message('basicmessage/1.0/message', { content: 'once' })),
      recipients: [phone.key.verkey],
    });
    const forward = (msg: unknown) =>
      pack({ message: JSON.stringify({ '@type': FORWARD_TYPE, '@id': 'x', to: phone.key.verkey, msg }), recipients: [phone.routingKey] });
    for (const body of [forward(inside), forward(inside), forward(JSON.parse(inside))])
      assert.equal((await phone.stranger.post(mediator.inbound, body)).status, 202);
    const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual(phone.delivered(reply).texts, ['once']);
  });

  test('a commit that clashes with another is no message that was kept: its sender is told to come back', async () => {
    const phone = await wallet(mediator);
    const { kernel } = mediator.agent;
    const relayWhere = (code: ErrorCode) => {
      const commit = () => Promise.reject(new AppError(code));
      const failing = { ...kernel, db: { ...kernel.db, store: { ...kernel.db.store, commit } } };
      const route = { kid: phone.key.verkey, tenant: 'base', kind: 'keylist', target: phone.id };
      return createRelay(
        failing,
        async () => route,
        async () => undefined,
      );
    };
    const forward = { body: { to: phone.key.verkey, msg: {} } } as unknown as Incoming;
    await assert.rejects(relayWhere('conflict').forward('base', forward, { canReply: false }), { code: 'conflict' });
    assert.equal(await relayWhere('mail-known').forward('base', forward, { canReply: false }), undefined);
  });

  test('a forward in a forward, all for this mediator, is unwrapped up to a bound', async () => {
    const phone = await wallet(mediator);
    const inside = (text: string): string =>
      pack({ message: JSON.stringify(message('basicmessage/1.0/message', { content: text })), recipients: [phone.key.verkey] });
    const times = (n: number): string[] => Array.from({ length: n }, () => phone.routingKey);
    await phone.stranger.post(mediator.inbound, wrapForward(inside('four'), phone.key.verkey, times(4)));
    await phone.stranger.post(mediator.inbound, wrapForward(inside('five'), phone.key.verkey, times(5)));
    const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual(phone.delivered(reply).texts, ['four']);
  });

  test('a client that has an address has its mail sent on', async () => {
    const client = await startStranger();
    world.defer(() => client.close());
    const link = await connectStranger(mediator, client);
    await link.send(message('coordinate-mediation/1.0/mediate-request'));
    const grant = await client.inbox.first((one) => kind(one.message) === 'mediate-grant', 'the grant');
    const own = client.pair.verkey;
    await link.send(message('coordinate-mediation/1.0/keylist-update', { updates: [{ recipient_key: own, action: 'add' }] }));
    await client.inbox.first((one) => kind(one.message) === 'keylist-update-response', 'the key');
    const inside = pack({ message: JSON.stringify(message('basicmessage/1.0/message', { content: 'sent on' })), recipients: [own] });
    const routing = grant.message.routing_keys[0].split('#')[0];
    await client.post(mediator.inbound, wrapForward(inside, own, [routing]));
    await client.inbox.first((one) => one.message.content === 'sent on', 'what was forwarded');
  });

  test('our own messages to who has no address come with the rest, and in answers', async () => {
    const phone = await wallet(mediator);
    await phone.forward('forwarded');
    await mediator.post(`/connections/${phone.id}/send-message`, { content: 'own' });
    const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    const [first, second] = reply['~attach'].map((one: Body) => one.data.json);
    assert.deepEqual([textOf(phone.key, first), textOf(phone.stranger.pair, second)], ['forwarded', 'own']);
    // one own message for one request; what was forwarded is fetched
    const noop = await phone.say('trust_ping/1.0/ping_response');
    assert.equal(noop.reply.content, 'own');
    assert.equal((await phone.say('trust_ping/1.0/ping_response')).status, 202);
    assert.equal((await phone.say(`${V2}/status-request`)).reply.message_count, 1);
  });

  test('a box that is full refuses, and tells: the sender by 429, the controller by a webhook', async () => {
    const small = await world.start('small-box', { flags: ['--open-mediation', '--mailbox-messages', '3'] });
    const [phone, other] = [await wallet(small), await wallet(small)];
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) statuses.push(await phone.forward(`${i}`));
    assert.deepEqual(statuses, [202, 202, 202, 429, 429]);
    const notified = await small.event('mailbox', (one) => one.connection_id === phone.id, 'the full box');
    assert.deepEqual([notified.reason, notified.messages], ['full', 3]);
    assert.equal(await other.forward('mine'), 202);
    const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 2 });
    await phone.say(`${V2}/messages-received`, { message_id_list: phone.delivered(reply).ids });
    assert.equal(await phone.forward('3'), 202, 'and the same envelope may come again');
    const rest = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual(phone.delivered(rest.reply).texts, ['2', '3']);
    const bytes = await world.start('narrow-box', { flags: ['--open-mediation', '--mailbox-bytes', '2000'] });
    const third = await wallet(bytes);
    assert.deepEqual([await third.forward('x'), await third.forward('y'.repeat(3000))], [202, 429]);
  });

  test('--monitor-forward tells of each', async () => {
    const watched = await world.start('watched', { flags: ['--open-mediation', '--monitor-forward'] });
    const phone = await wallet(watched);
    await phone.forward('seen');
    const notified = await watched.event('forward', () => true, 'the forward');
    assert.deepEqual(notified, { connection_id: phone.id, recipient_key: phone.key.verkey, status: 'queued_for_delivery' });
  });

  test('[S2-38] a registered device is called when mail waits, once for many, and not when it was fetched', async () => {
    const phone = await wallet(mediator);
    const of = 'push-notifications-fcm/1.0';
    const info = async () => (await phone.say(`${of}/get-device-info`)).reply;
    assert.deepEqual([(await info()).device_token, kind(await info())], [null, 'device-info']);
    await phone.forward('before');
    await phone.say(`${of}/set-device-info`, { device_token: 'token-1', device_platform: 'android' });
    await phone.say(`${of}/set-device-info`, { device_token: 'token-2', device_platform: 'ios' });
    assert.deepEqual([(await info()).device_token, (await info()).device_platform], ['token-2', 'ios']);
    await phone.forward('one');
    await phone.forward('two');
    const notified = await mediator.event('push_notification', (one) => one.connection_id === phone.id, 'the call', 10_000);
    assert.deepEqual(notified, { connection_id: phone.id, device_token: 'token-2', device_platform: 'ios', message_count: 3 });
    // who fetches it before is not called
    await phone.forward('fetched');
    const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    await phone.say(`${V2}/messages-received`, { message_id_list: phone.delivered(reply).ids });
    await until(async () => (await mediator.agent.kernel.db.admin.backlog()).open.command === 0, 'the calls');
    assert.equal(
      mediator.hooks.list.filter((one) => one.topic === 'push_notification' && one.payload.connection_id === phone.id).length,
      1,
    );
    await phone.say(`${of}/set-device-info`, { device_token: null, device_platform: null });
    assert.equal((await info()).device_token, null);
  });

  test('queued messages are there after a start', async () => {
    const first = await world.start('restarted', { flags: ['--open-mediation'] });
    const phone = await wallet(first);
    const body = phone.wrapped('kept');
    assert.equal((await phone.stranger.post(first.inbound, body)).status, 202);
    await first.stop();
    const again = await world.start('restarted', {
      flags: ['--open-mediation'],
      store: first.store,
      port: Number(new URL(first.inbound).port),
    });
    // whoever heard no answer says it again
    assert.equal((await phone.stranger.post(again.inbound, body)).status, 202);
    const { reply } = await phone.say(`${V2}/delivery-request`, { limit: 10 });
    assert.deepEqual(phone.delivered(reply).texts, ['kept']);
    await again.close();
  });
});
