import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createWorld, type TestAgent, type World } from '../support/agents.ts';
import { connectStranger, message, type Stranger, startStranger } from '../support/stranger.ts';

let world: World;
let agent: TestAgent;
let stranger: Stranger;

before(async () => {
  world = createWorld();
  agent = await world.start('races');
  stranger = await startStranger();
});
after(async () => {
  await stranger.close();
  await world.close();
});

test('several different first messages of one thread at the same moment begin one exchange', async () => {
  const link = await connectStranger(agent, stranger);
  const thid = randomUUID();
  const filter = { cred_def_id: 'did:algo:custom:app:1001:x' };
  const proposal = (): object =>
    message('issue-credential/2.0/propose-credential', {
      '~thread': { thid },
      formats: [{ attach_id: 'a', format: 'anoncreds/credential-filter@v1.0' }],
      'filters~attach': [
        { '@id': 'a', 'mime-type': 'application/json', data: { base64: Buffer.from(JSON.stringify(filter)).toString('base64') } },
      ],
    });
  const sealed = Array.from({ length: 16 }, () => stranger.seal(link.to.verkey, proposal()));
  // sockets first, so that the envelopes arrive together
  await Promise.all(sealed.map(() => link.send(message('trust_ping/1.0/ping', { response_requested: false }))));
  const answers = await Promise.all(sealed.map((envelope) => stranger.post(link.to.url, envelope)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]));
  const { results, total } = await agent.get(`/issue-credential-2.0/records?thread_id=${thid}`);
  assert.equal(total, 1);
  assert.equal(results[0].cred_ex_record.state, 'proposal-received');
});
