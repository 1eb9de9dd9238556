import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createWorld } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';
import { until } from '../support/waiting.ts';

/** A peer that answers our messages on our own connections: these answers are messages like any other. */

const world = createWorld();
after(() => world.close());

const PING = 'trust_ping/1.0/ping';

test('[A13] answers of a peer count among the messages of its address: they set no pace of their own', async () => {
  const agent = await world.start('paced', { flags: ['--message-rate', '5'] });
  const stranger = await startStranger();
  world.defer(() => stranger.close());
  const link = await connectStranger(agent, stranger);
  let answers = 0;
  stranger.answer = {
    status: 200,
    headers: { 'content-type': 'application/didcomm-envelope-enc' },
    // each answer asks for the next one
    get body() {
      answers++;
      return stranger.seal(link.to.verkey, message(PING, { response_requested: true }));
    },
  };
  await agent.post(`/connections/${link.id}/send-ping`);
  await until(() => answers > 12, 'as many answers as the address may send at once, and some more');
  // five at once, and at most that in a second: they alone are within the rate
  await until(async () => {
    const posted = await Promise.all(Array.from({ length: 5 }, () => stranger.post(agent.inbound, '{}')));
    if (posted.some(({ status }) => status === 429)) return true;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    return false;
  }, 'a message that is too many beside the answers');
});

test('[A13-2] an answer may be no larger than a message', async () => {
  const agent = await world.start('sized', { flags: ['--max-message-size', '100000'] });
  const stranger = await startStranger();
  world.defer(() => stranger.close());
  const link = await connectStranger(agent, stranger);
  const content = 'x'.repeat(100_000);
  const large = message('basicmessage/1.0/message', { content, sent_time: '2024-01-01T00:00:00Z' });
  stranger.answer = { status: 200, body: stranger.seal(link.to.verkey, large) };
  await agent.post(`/connections/${link.id}/send-ping`);
  const record = await until(async () => {
    const known = await agent.get(`/connections/${link.id}`);
    return known.error_msg ? known : undefined;
  }, 'what is said of the answer');
  assert.match(record.error_msg, /more than 100000 bytes/);
  assert.deepEqual(
    agent.hooks.list.filter(({ topic }) => topic === 'basicmessages'),
    [],
  );
});
