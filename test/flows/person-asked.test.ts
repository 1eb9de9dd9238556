import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { webPerson } from '../../harness/web-person.ts';
import { type Body, createWorld, HANDSHAKE } from '../support/agents.ts';
import { grant } from '../support/owner.ts';
import { until } from '../support/waiting.ts';

/** The agent of an institution asks a person, who has a web wallet and nothing else. */

const world = createWorld();
after(() => world.close());

test('[S2-16] an institution asks a person with a web wallet, and does what the person decides', async () => {
  const flags = ['--multitenant', '--jwt-secret', 'a secret of this test', '--wallet', '127.0.0.1', '0'];
  const [institution, wallets, guest] = await Promise.all([
    world.start('institution', { noWebhook: true }),
    world.start('wallets', { noWebhook: true, flags }),
    world.start('guest', { noWebhook: true, flags: ['--auto-accept-invites'] }),
  ]);
  const invite = (query = ''): Promise<Body> => institution.post(`/out-of-band/create-invitation${query}`, HANDSHAKE);
  const ada = webPerson(wallets.agent.walletOrigin!);
  await ada.signUp('Ada', randomBytes(32).toString('base64url'));
  const receive = { query: { auto_accept: true }, body: { invitation_url: (await invite('?auto_accept=true')).invitation_url } };
  await ada.call('post_out_of_band_receive_invitation', receive);
  const person: Body = await until(
    async () => (await institution.get('/connections?state=active')).results.find((one: Body) => one.their_label === 'Ada'),
    'Ada at the institution',
  );
  await grant(institution, person.connection_id, ['agent-config']);
  await institution.post('/agent-config/handlers', {
    match: { types: ['connection-request'] },
    ...{ mode: 'consult', deliver: 'didcomm', approvers: [person.connection_id], timeout_ms: 600_000 },
  });

  /** A guest knocks, and the person is asked. */
  const asked = async (): Promise<Body> => {
    const before = (await ada.call('get_agent_config_questions')).results.map((one: Body) => one.question_id);
    await guest.post('/out-of-band/receive-invitation', (await invite()).invitation);
    return await until(
      async () => (await ada.call('get_agent_config_questions')).results.find((one: Body) => !before.includes(one.question_id)),
      'the question',
    );
  };
  const answer = async ({ question_id }: Body, action: string): Promise<Body> => {
    const params = { question_id };
    await ada.call('post_agent_config_questions_question_id_answer', { params, body: { action } });
    return await until(async () => {
      const one = await ada.call('get_agent_config_questions_question_id', { params });
      return ['recorded', 'refused'].includes(one.state) && one;
    }, 'the outcome');
  };
  const first = await asked();
  assert.deepEqual([first.state, first.point, first.record.their_label], ['asked', 'connection-request', 'guest']);
  assert.equal((await institution.get(`/connections/${first.record.connection_id}`)).rfc23_state, 'request-received', 'it waits');
  const { state, outcome } = await answer(first, 'continue');
  assert.deepEqual([state, outcome], ['recorded', 'accepted']);
  await until(async () => (await guest.get('/connections?state=active')).total === 1, 'the guest to be let in');
  const again = await ada.send('/call/post_agent_config_questions_question_id_answer', {
    ...{ params: { question_id: first.question_id }, body: { action: 'reject' } },
  });
  assert.equal(again.status, 400, 'an answer is given once');

  const second = await asked();
  assert.equal((await answer(second, 'reject')).outcome, 'rejected');
  assert.equal((await guest.get('/connections?state=active')).total, 1);

  // whoever is no approver any more is told so
  const third = await asked();
  await grant(institution, person.connection_id, []);
  const late = await answer(third, 'continue');
  assert.equal(late.state, 'refused');
  assert.equal((await guest.get('/connections?state=active')).total, 1);
});
