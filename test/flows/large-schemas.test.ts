import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { anchor, type Body, connect, createWorld } from '../support/agents.ts';

const world = createWorld();
after(() => world.close());

test('a schema of 125 attributes has a credential definition on the ledger, credentials and proofs', async () => {
  const devnet = await world.devnet();
  const keep = '--preserve-exchange-records';
  const faber = await world.start('faber', {
    devnet,
    sponsor: true,
    flags: [keep, '--auto-verify-presentation', '--auto-respond-credential-request'],
  });
  const bob = await world.start('bob', {
    devnet,
    flags: [keep, '--auto-respond-credential-offer', '--auto-store-credential', '--auto-respond-presentation-request'],
  });
  const names = Array.from({ length: 125 }, (_none, i) => `attribute ${i}`);
  const { credDefId } = await anchor(faber, names);
  const { inviter } = await connect(faber, bob);
  const { thread_id } = await faber.post('/issue-credential-2.0/send-offer', {
    connection_id: inviter,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { attributes: names.map((name, i) => ({ name, value: String(i) })) },
  });
  const ended = (state: string[]) => (one: Body) => one.thread_id === thread_id && state.includes(one.state);
  const end = await bob.event('issue_credential_v2_0', ended(['done', 'abandoned']), 'the credential', 60_000);
  assert.equal(end.state, 'done', end.error_msg);
  const asked = await faber.post('/present-proof-2.0/send-request', {
    connection_id: inviter,
    presentation_request: {
      anoncreds: {
        requested_attributes: { all: { names, restrictions: [{ cred_def_id: credDefId }] } },
        requested_predicates: {},
      },
    },
  });
  const verdict = await faber.event(
    'present_proof_v2_0',
    (one) => one.pres_ex_id === asked.pres_ex_id && ['done', 'abandoned'].includes(one.state),
    'the proof',
    60_000,
  );
  assert.deepEqual([verdict.state, verdict.verified], ['done', 'true'], JSON.stringify(verdict));
});
