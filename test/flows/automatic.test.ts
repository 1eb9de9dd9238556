import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { anchor, createWorld, HANDSHAKE } from '../support/agents.ts';
import { leaks, secretsOf } from '../support/secrets.ts';

const world = createWorld({ held: true });
after(() => world.close());

test('by the auto flags, a credential is issued and proved in five calls, and no secret is in any answer, webhook or log', async () => {
  const devnet = await world.devnet();
  const seed = 'planted-seed-0123456789-planted!';
  const faber = await world.start('faber', {
    devnet,
    sponsor: true,
    flags: [
      '--auto-accept-requests',
      '--auto-respond-credential-request',
      '--auto-verify-presentation',
      '--debug-webhooks',
      '--preserve-exchange-records',
    ],
  });
  const bob = await world.start('bob', {
    devnet,
    flags: [
      ...['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential', '--auto-respond-presentation-request'],
      ...['--debug-webhooks', '--preserve-exchange-records'],
    ],
  });
  const { result } = await faber.post('/wallet/did/create', { method: 'key', seed });
  const { credDefId, did } = await anchor(faber, ['name', 'age']);
  const before = faber.answers.length + bob.answers.length;

  const made = await faber.post('/out-of-band/create-invitation', HANDSHAKE);
  await bob.post('/out-of-band/receive-invitation', made.invitation);
  const { connection_id } = await faber.event('connections', (one) => one.state === 'active', 'the connection');
  const sent = await faber.post('/issue-credential-2.0/send', {
    connection_id,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: {
      attributes: [
        { name: 'name', value: 'Auto' },
        { name: 'age', value: '44' },
      ],
    },
  });
  await faber.event('issue_credential_v2_0', (one) => one.state === 'done' && one.cred_ex_id === sent.cred_ex_id, 'the ack');
  const asked = await faber.post('/present-proof-2.0/send-request', {
    connection_id,
    presentation_request: {
      anoncreds: {
        requested_attributes: { name: { name: 'name', restrictions: [{ cred_def_id: credDefId }] } },
        requested_predicates: { old: { name: 'age', p_type: '>', p_value: 43, restrictions: [{ cred_def_id: credDefId }] } },
      },
    },
  });
  const done = await faber.event('present_proof_v2_0', (one) => one.state === 'done' && one.pres_ex_id === asked.pres_ex_id, 'the proof');
  assert.equal(done.verified, 'true');
  assert.ok(faber.answers.length + bob.answers.length - before <= 5, 'at most five calls');
  await bob.event('present_proof_v2_0', (one) => one.state === 'done', 'the end');

  // everything that can be read, is read
  for (const agent of [faber, bob]) {
    for (const path of [
      '/connections',
      '/issue-credential-2.0/records',
      '/present-proof-2.0/records',
      '/credentials',
      '/wallet/did',
      '/settings',
      '/status',
      '/status/config',
      '/events?limit=1000',
      '/dead-letters',
      '/api/docs/swagger.json',
    ])
      await agent.get(path);
  }
  const held = (await bob.get('/credentials')).results;
  assert.equal(held.length, 1);
  const own = (await faber.get(`/wallet/did?did=${encodeURIComponent(did)}`)).results[0].verkey as string;
  await faber.close();
  await bob.close();
  for (const [agent, kids] of [
    [faber, [own, result.verkey as string, `cred-def:${credDefId}`]],
    [bob, ['link-secret']],
  ] as const) {
    const secrets = await secretsOf(agent, kids);
    assert.ok(secrets.size > kids.length, 'the keys of connections are among them');
    assert.ok([...secrets.values()].flat().length > 8);
    secrets.set('seed', [seed, Buffer.from(seed).toString('base64').replace(/=+$/, ''), Buffer.from(seed).toString('hex')]);
    secrets.set('sponsor', [devnet.sponsor.mnemonic]);
    const places = {
      answers: [...faber.answers, ...bob.answers],
      webhooks: [...faber.hooks.list, ...bob.hooks.list].map((hook) => hook.raw),
      logs: [...faber.logged, ...bob.logged],
    };
    assert.deepEqual(leaks(secrets, places), []);
    // the search finds what is there
    assert.notDeepEqual(leaks(secrets, { planted: [JSON.stringify({ a: [...secrets.values()][0]![0] })] }), []);
  }
});
