import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBenchAgent } from '../../bench/agent.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import { type Body, HANDSHAKE } from '../support/agents.ts';
import { byFull } from '../support/extent.ts';
import { startPeer2018 } from '../support/peer-2018.ts';
import { message, requestFor, serviceOf, startStranger } from '../support/stranger.ts';
import { TEST_MS } from '../support/waiting.ts';

const ROUNDS = byFull(6, 25);
const ROUNDS_2018 = byFull(3, 6);
const AT_ONCE = 4;

test('kill -9 right after a 202, again and again: every message that was answered is there, once', { timeout: TEST_MS }, async () => {
  const agent = await startBenchAgent(undefined);
  const stranger = await startStranger();
  const call = async (method: string, path: string, body?: object): Promise<Body> => {
    const answer = await fetch(`${agent.admin}${path}`, {
      method,
      headers: { 'x-api-key': agent.key, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    return await answer.json();
  };
  try {
    const { invitation } = await call('POST', '/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
    const request = requestFor(stranger, invitation);
    await stranger.send(serviceOf(invitation), request);
    const { message: response } = await stranger.inbox.first((mail) => mail.message['~thread']?.thid === request['@id'], 'a response');
    const to = { verkey: contactOf(resolvePeer(response.did)).recipientKeys[0]!, url: agent.inbound };
    await stranger.send(to, message('didexchange/1.1/complete', { '~thread': { thid: request['@id'], pthid: invitation['@id'] } }));

    const answered: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      let killed: Promise<void> | undefined;
      const sends = Array.from({ length: AT_ONCE }, async (_, i) => {
        const content = `round ${round} message ${i}`;
        const { status } = await stranger.send(to, message('basicmessage/1.0/message', { content, sent_time: '2026-01-01 00:00:00Z' }));
        if (status !== 202) return;
        answered.push(content);
        killed ??= agent.kill();
      });
      await Promise.allSettled(sends);
      await killed;
      await agent.restart();
    }
    assert.ok(answered.length >= ROUNDS, `${answered.length} were answered`);
    const found: string[] = [];
    for (let after = ''; ; ) {
      const { results, next } = await call('GET', `/events?limit=1000${after && `&after=${after}`}`);
      if (results.length === 0) break;
      for (const { topic, payload } of results) if (topic === 'basicmessages') found.push(payload.content);
      after = next;
    }
    assert.deepEqual(
      answered.filter((content) => !found.includes(content)),
      [],
      'answered and lost',
    );
    assert.equal(new Set(found).size, found.length, 'told twice');
  } finally {
    await agent.stop();
    await stranger.close();
  }
});

test('[D-12] the same of payloads of the 2018 Agent Protocol', { timeout: TEST_MS }, async () => {
  const agent = await startBenchAgent(undefined, ['--legacy', 'on', '--no-ledger']);
  const peer = await startPeer2018();
  const get = async (path: string): Promise<Body> =>
    await (await fetch(`${agent.admin}${path}`, { headers: { 'x-api-key': agent.key } })).json();
  try {
    const to = await get('/legacy/endpoint');
    const answered: string[] = [];
    for (let round = 0; round < ROUNDS_2018; round++) {
      let killed: Promise<void> | undefined;
      const offers = Array.from({ length: AT_ONCE }, () => peer.offer());
      await Promise.allSettled(
        offers.map(async (offer) => {
          if ((await peer.send(to, offer)).status !== 202) return;
          answered.push(offer.id);
          killed ??= agent.kill();
        }),
      );
      await killed;
      await agent.restart();
    }
    assert.ok(answered.length >= ROUNDS_2018, `${answered.length} were answered`);
    const kept = ((await get('/connections?limit=1000')).results as Body[]).map((one) => one.invitation_msg_id as string);
    assert.deepEqual(
      answered.filter((id) => !kept.includes(id)),
      [],
      'answered and lost',
    );
    assert.equal(new Set(kept).size, kept.length, 'there twice');
  } finally {
    await agent.stop();
    await peer.close();
  }
});
