import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { verkeyToDidKey } from '../../src/didcomm/encoding.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { mediatedName } from '../../src/mediation/names.ts';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { connectStranger, type Link, message, type Stranger, startStranger } from '../support/stranger.ts';
import { until } from '../support/waiting.ts';

/** RFC 0211. */

const world = createWorld({ held: true });
after(() => world.close());

const of = (type: string): string => `coordinate-mediation/1.0/${type}`;

/** Says something and waits for the answer on its thread. */
async function ask(stranger: Stranger, link: Link, type: string, members: object = {}): Promise<Body> {
  const sent = message(of(type), members);
  await link.send(sent);
  return (await stranger.inbox.first((mail) => mail.message['~thread']?.thid === sent['@id'], `an answer to ${type}`)).message;
}

async function stranger(options: { endpoint?: boolean } = {}): Promise<Stranger> {
  const one = await startStranger(options);
  world.defer(() => one.close());
  return one;
}

const update = (action: string, ...keys: string[]) => ({ updates: keys.map((recipient_key) => ({ recipient_key, action })) });
const results = (response: Body): string[] => response.updated.map((one: Body) => one.result);
const key = (): string => newKeyPair().verkey;

describe('a mediator', () => {
  let mediator: TestAgent;
  before(async () => {
    mediator = await world.start('mediator', { flags: ['--open-mediation'] });
  });

  const routed = async (verkey: string) => await mediator.agent.kernel.db.store.keyOwner(mediatedName('base', verkey));

  async function granted(options: { endpoint?: boolean } = {}): Promise<{ peer: Stranger; link: Link; grant: Body }> {
    const peer = await stranger(options);
    const link = await connectStranger(mediator, peer);
    return { peer, link, grant: await ask(peer, link, 'mediate-request') };
  }

  test('[S1-23] [S1-24] grants with --open-mediation, and answers a repeated request the same way', async () => {
    const { peer, link, grant } = await granted();
    assert.equal(grant['@type'], 'https://didcomm.org/coordinate-mediation/1.0/mediate-grant');
    assert.equal(grant.endpoint, mediator.inbound);
    assert.match(grant.routing_keys[0], /^did:key:(z\w+)#\1$/);
    const again = await ask(peer, link, 'mediate-request');
    assert.deepEqual([again.endpoint, again.routing_keys], [grant.endpoint, grant.routing_keys]);
    const { results: records } = await mediator.get(`/mediation/requests?conn_id=${link.id}`);
    assert.deepEqual([records.length, records[0].state, records[0].role, records[0].connection_id], [1, 'granted', 'server', link.id]);
    // one key for all
    assert.deepEqual((await granted()).grant.routing_keys, grant.routing_keys);
  });

  test('[S1-23] without --open-mediation a request is pending until it is granted or denied, and may come again', async () => {
    const strict = await world.start('strict');
    const peer = await stranger();
    const link = await connectStranger(strict, peer);
    const first = message(of('mediate-request'));
    await link.send(first);
    const { mediation_id: id } = await strict.event('mediation', (one) => one.state === 'request', 'the request');
    const refused = await ask(peer, link, 'keylist-update', update('add', key()));
    assert.match(refused['@type'], /problem-report$/);
    const denied = await strict.call('POST', `/mediation/requests/${id}/deny`, {});
    assert.deepEqual([denied.status, denied.body.state], [201, 'denied']);
    const received = await peer.inbox.first((mail) => mail.message['@type'].endsWith('/mediate-deny'), 'the denial');
    assert.equal(received.message['~thread'].thid, first['@id']);
    const second = message(of('mediate-request'));
    await link.send(second);
    await until(async () => (await strict.get(`/mediation/requests/${id}`)).state === 'request', 'the second request');
    const grant = await strict.call('POST', `/mediation/requests/${id}/grant`);
    assert.deepEqual([grant.status, grant.body.state, grant.body.mediation_id], [201, 'granted', id]);
    const notified = await peer.inbox.first((mail) => mail.message['@type'].endsWith('/mediate-grant'), 'the grant');
    assert.equal(notified.message['~thread'].thid, second['@id']);
    assert.deepEqual(results(await ask(peer, link, 'keylist-update', update('add', key()))), ['success']);
    assert.equal((await strict.call('POST', '/mediation/requests/none/grant')).status, 404);
  });

  test('[S1-24] keys are added and removed, listed as they were queried, and routed', async () => {
    const { peer, link } = await granted();
    const [a, b] = [key(), key()];
    const did = verkeyToDidKey(b);
    const first = await ask(peer, link, 'keylist-update', update('add', a, did, a, 'nonsense'));
    assert.equal(first['@type'], 'https://didcomm.org/coordinate-mediation/1.0/keylist-update-response');
    assert.deepEqual(first.updated, [
      { recipient_key: a, action: 'add', result: 'success' },
      { recipient_key: did, action: 'add', result: 'success' },
      { recipient_key: a, action: 'add', result: 'no_change' },
      { recipient_key: 'nonsense', action: 'add', result: 'client_error' },
    ]);
    assert.deepEqual([(await routed(a))?.kind, (await routed(b))?.target], ['relay', link.id]);
    const { results: listed } = await mediator.get(`/mediation/keylists?conn_id=${link.id}&role=server`);
    assert.deepEqual(listed.map((one: Body) => one.recipient_key).sort(), [a, b].sort());
    const second = await ask(peer, link, 'keylist-update', update('remove', b, b, key()));
    assert.deepEqual(results(second), ['success', 'no_change', 'no_change']);
    assert.equal(await routed(b), undefined);
    const both = { updates: [...update('add', b).updates, ...update('remove', b).updates, { recipient_key: a, action: 'swap' }] };
    assert.deepEqual(results(await ask(peer, link, 'keylist-update', both)), ['success', 'success', 'client_error']);
    assert.equal(await routed(b), undefined);
  });

  test('mail for a peer without an endpoint is kept: its routes say so', async () => {
    const peer = await stranger();
    const static_ = { their_did: 'did:key:x', their_verkey: peer.pair.verkey };
    const { my_verkey: verkey, record } = await mediator.post('/connections/create-static', static_);
    const say = (type: string, members: object = {}) =>
      peer.send({ verkey, url: mediator.inbound }, message(of(type), { '~transport': { return_route: 'all' }, ...members }));
    await say('mediate-request');
    await mediator.event('mediation', (one) => one.state === 'granted' && one.connection_id === record.connection_id, 'the grant');
    const own = key();
    assert.deepEqual(results((await say('keylist-update', update('add', own))).reply), ['success']);
    assert.deepEqual([(await routed(own))?.kind, (await routed(own))?.target], ['keylist', record.connection_id]);
  });

  test("another's key is not given away", async () => {
    const [one, other] = [await granted(), await granted()];
    const own = key();
    await ask(one.peer, one.link, 'keylist-update', update('add', own));
    assert.deepEqual(results(await ask(other.peer, other.link, 'keylist-update', update('add', own, verkeyToDidKey(own)))), [
      'client_error',
      'client_error',
    ]);
    assert.deepEqual(results(await ask(other.peer, other.link, 'keylist-update', update('remove', own))), ['no_change']);
    assert.equal((await routed(own))?.target, one.link.id);
  });

  test('ten thousand updates in one message are answered, a thousand of them carried out', async () => {
    const { peer, link } = await granted();
    const all = update('add', ...Array.from({ length: 10_000 }, key));
    const begun = process.cpuUsage();
    const answer = await ask(peer, link, 'keylist-update', all);
    const took = process.cpuUsage(begun).user / 1000;
    assert.ok(took < 10_000, `it took ${took} ms of a core`);
    const notified = results(answer);
    assert.deepEqual(
      [
        notified.length,
        notified.slice(0, 1000).every((one) => one === 'success'),
        notified.slice(1000).every((one) => one === 'server_error'),
      ],
      [10_000, true, true],
    );
    // and listed in pages
    const page = await ask(peer, link, 'keylist-query', { paginate: { limit: 30, offset: 10 } });
    assert.equal(page['@type'], 'https://didcomm.org/coordinate-mediation/1.0/keylist');
    assert.deepEqual([page.keys.length, page.pagination], [30, { count: 30, offset: 10, remaining: 960 }]);
    assert.match(page.keys[0].recipient_key, /^did:key:z/);
    const last = await ask(peer, link, 'keylist-query', { paginate: { limit: 30, offset: 990 } });
    assert.deepEqual([last.keys.length, last.pagination], [10, { count: 10, offset: 990, remaining: 0 }]);
    const whole = await ask(peer, link, 'keylist-query', { paginate: { limit: -1, offset: 0 } });
    assert.deepEqual([whole.keys.length, whole.pagination], [1000, undefined]);
    // and gone, with the mediation
    const [{ mediation_id: id }] = (await mediator.get(`/mediation/requests?conn_id=${link.id}`)).results;
    const removed = await mediator.call('DELETE', `/mediation/requests/${id}`);
    assert.deepEqual([removed.status, removed.body.mediation_id], [200, id]);
    await until(async () => (await mediator.get(`/mediation/keylists?conn_id=${link.id}`)).results.length === 0, 'no keys');
    assert.equal(await routed(all.updates[999]!.recipient_key), undefined);
    assert.match((await ask(peer, link, 'keylist-update', update('add', key())))['@type'], /problem-report$/);
  });

  test('a connection that is deleted takes its mediation and keys with it', async () => {
    const { peer, link } = await granted();
    const own = key();
    await ask(peer, link, 'keylist-update', update('add', own));
    await mediator.call('DELETE', `/connections/${link.id}`);
    await until(async () => (await routed(own)) === undefined, 'no route');
    await until(async () => (await mediator.get(`/mediation/requests?conn_id=${link.id}`)).results.length === 0, 'no mediation');
    // whose key it was is free
    const next = await granted();
    assert.deepEqual(results(await ask(next.peer, next.link, 'keylist-update', update('add', own))), ['success']);
  });

  test('no more keys than --mediator-max-keys', async () => {
    const small = await world.start('small', { flags: ['--open-mediation', '--mediator-max-keys', '3'] });
    const peer = await stranger();
    const link = await connectStranger(small, peer);
    await ask(peer, link, 'mediate-request');
    const [a, b, c, d] = [key(), key(), key(), key()];
    assert.deepEqual(results(await ask(peer, link, 'keylist-update', update('add', a, b, c, d))), [
      'success',
      'success',
      'success',
      'server_error',
    ]);
    const swap = { updates: [...update('remove', a).updates, ...update('add', d).updates] };
    assert.deepEqual(results(await ask(peer, link, 'keylist-update', swap)), ['success', 'success']);
  });
});
