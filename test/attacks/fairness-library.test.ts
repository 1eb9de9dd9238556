import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { anchor, connect, createWorld, type TestAgent } from '../support/agents.ts';

/** A start without the AnonCreds library: what is in hand waits for the next one, and nobody's exchange is given up. */

const world = createWorld();
after(() => world.close());

const HOLDS = ['--auto-respond-credential-offer', '--auto-store-credential', '--preserve-exchange-records'];

/** Starts an agent that does not find the library. */
async function without(start: () => Promise<TestAgent>): Promise<TestAgent> {
  const before = process.env.LIB_ANONCREDS_PATH;
  process.env.LIB_ANONCREDS_PATH = '/nowhere';
  try {
    return await start();
  } finally {
    if (before === undefined) delete process.env.LIB_ANONCREDS_PATH;
    else process.env.LIB_ANONCREDS_PATH = before;
  }
}

test('[A12] an exchange that comes while the library is not there goes on when it is; a new call is told at once', async (t) => {
  const devnet = await world.devnet();
  const issuer = await world.start('issuer', { devnet, sponsor: true, flags: ['--auto-respond-credential-request'] });
  let holder = await world.start('holder', { devnet });
  const { credDefId } = await anchor(issuer, ['name']);
  const { inviter } = await connect(issuer, holder);
  const { store, receiver, inbound } = holder;
  const port = Number(new URL(inbound).port);
  await holder.stop();
  holder = await without(() => world.start('holder', { devnet, store, receiver, port, flags: HOLDS }));
  const ready = await holder.call('GET', '/status/ready');
  if (!ready.body.waits) return t.skip('the library is where it is found without being told');
  assert.equal(ready.status, 200);
  assert.match(ready.body.waits, /AnonCreds is off/);
  const offer = await issuer.post('/issue-credential-2.0/send-offer', {
    connection_id: inviter,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes: [{ name: 'name', value: 'Ada' }] },
  });
  const of = (payload: { thread_id?: string }): boolean => payload.thread_id === offer.thread_id;
  const received = await holder.event('issue_credential_v2_0', (one) => of(one) && one.state === 'offer-received', 'the offer');
  const refused = await holder.call('POST', `/issue-credential-2.0/records/${received.cred_ex_id}/send-request`, {});
  assert.equal(refused.status, 501, refused.text);
  assert.equal((await holder.get(`/issue-credential-2.0/records/${received.cred_ex_id}`)).cred_ex_record.state, 'offer-received');
  await holder.stop();
  holder = await world.start('holder', { devnet, store, receiver, port, flags: HOLDS });
  await holder.event('issue_credential_v2_0', (one) => of(one) && one.state === 'done', 'the credential');
  assert.equal((await holder.call('GET', '/status/ready')).body.waits, undefined);
});
