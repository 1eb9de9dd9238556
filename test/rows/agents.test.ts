import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { anchor, type Body, connect, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { until } from '../support/waiting.ts';
import { lazy } from './support.ts';

/** Requirement rows S2-04 to S2-06: the types of agents, which all do what an identity needs. */

const world = createWorld();
after(() => world.close());

const AUTO = [
  ...['--preserve-exchange-records', '--auto-accept-requests', '--auto-accept-invites', '--auto-respond-credential-offer'],
  ...['--auto-respond-credential-request', '--auto-store-credential', '--auto-respond-presentation-request', '--auto-verify-presentation'],
];
const devnet = lazy(() => world.devnet());

/** One agent of each type. Those on a server have an admin API, and so are an institution's too. */
const agents = lazy(async () => {
  const common = { devnet: await devnet(), sponsor: true };
  const [cloud, institution, hub] = await Promise.all([
    world.start('cloud', { ...common, flags: [...AUTO, '--open-mediation'] }),
    world.start('institution', { ...common, flags: AUTO }),
    world.start('hub', { ...common, flags: [...AUTO, '--hub'] }),
  ]);
  const { invitation_url } = await cloud.post('/out-of-band/create-invitation?multi_use=true&auto_accept=true', HANDSHAKE);
  const edge = await world.start('edge', { ...common, noInbound: true, flags: [...AUTO, '--mediator-invitation', invitation_url] });
  await until(async () => (await edge.get('/mediation/default-mediator')).state === 'granted', 'the mediation of the edge agent');
  return { edge, institution, cloud, hub };
});

const rolesOf = async (agent: TestAgent): Promise<string[]> => (await agent.get('/status/config')).config.roles;

test('[S2-04] [S2-06] an agent says which types it is, and one may be several', async () => {
  const { edge, institution, cloud, hub } = await agents();
  assert.deepEqual(await rolesOf(edge), ['edge']);
  assert.deepEqual(await rolesOf(institution), ['institution']);
  assert.deepEqual(await rolesOf(cloud), ['institution', 'cloud']);
  assert.deepEqual(await rolesOf(hub), ['institution', 'hub']);
});

type Anchored = Awaited<ReturnType<typeof anchor>>;

/** One agent issues to another, which proves it to a third. */
async function identity({ did, credDefId }: Anchored, issuer: TestAgent, holder: TestAgent, verifier: TestAgent): Promise<void> {
  const [issuing, proving] = [await connect(issuer, holder), await connect(verifier, holder)];
  const attributes = [{ name: 'name', value: holder.name }];
  const sent = await issuer.post('/issue-credential-2.0/send', {
    connection_id: issuing.inviter,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: { attributes },
  });
  const done = (id: string) => (one: Body) => (one.thread_id ?? one.pres_ex_id) === id && one.state === 'done';
  await holder.event('issue_credential_v2_0', done(sent.thread_id), 'the credential');
  const asked = await verifier.post('/present-proof-2.0/send-request', {
    connection_id: proving.inviter,
    presentation_request: {
      anoncreds: {
        name: 'who',
        version: '1.0',
        requested_attributes: { name: { name: 'name', restrictions: [{ cred_def_id: credDefId }] } },
        requested_predicates: {},
      },
    },
  });
  const end = await verifier.event(
    'present_proof_v2_0',
    (one) => one.pres_ex_id === asked.pres_ex_id && ['done', 'abandoned'].includes(one.state),
    'the proof',
  );
  assert.equal(end.verified, 'true', `${issuer.name} to ${holder.name} to ${verifier.name}`);
  // what the issuer wrote on the ledger is there for the others
  const { did_document } = await holder.get(`/resolver/resolve/${encodeURIComponent(did)}`);
  assert.equal(did_document.id, did);
}

test('[S2-05] [S2-06] each type writes to the ledger, issues, holds and verifies', async () => {
  const { edge, institution, cloud, hub } = await agents();
  const all = [edge, institution, cloud, hub] as const;
  const anchored = await Promise.all(all.map((one) => anchor(one, ['name'])));
  for (const [at, issuer] of all.entries()) await identity(anchored[at]!, issuer, all[(at + 1) % all.length]!, all[(at + 2) % all.length]!);
});
