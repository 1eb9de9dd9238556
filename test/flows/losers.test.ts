import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FORMATS, PROTOCOLS, UNBOUND_RECORDS } from '../../src/builtin-protocols.ts';
import { createRegistry } from '../../src/kernel/registry.ts';
import { anchor, type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';

/** A command of an exchange that is called several times at once counts once: the others hear which state the exchange is in, and leave no trace. */

const AT_ONCE = 4;
const world = createWorld({ held: true });
let issuer: TestAgent;
let holder: TestAgent;
let ids: { inviter: string; invitee: string };
let credDefId: string;
const raced = new Set<string>();

before(async () => {
  const devnet = await world.devnet();
  issuer = await world.start('issuer', { devnet, sponsor: true, flags: ['--preserve-exchange-records'] });
  holder = await world.start('holder', { devnet, flags: ['--preserve-exchange-records'] });
  ({ credDefId } = await anchor(issuer, ['name']));
  ids = await connect(issuer, holder);
});
after(() => world.close());

const recordOf = (body: Body): Body => body.cred_ex_record ?? body;

/** Calls a command several times at once. @returns what the one that counted answered */
async function race(agent: TestAgent, base: string, id: string, name: string, body: object = {}): Promise<Body> {
  raced.add(`POST ${base}/records/*/${name}`);
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => agent.call('POST', `${base}/records/${id}/${name}`, body)));
  const notified = answers.map(({ status, text }) => `${status} ${text}`).join('\n');
  const [won, ...others] = answers.filter(({ status }) => status === 200);
  assert.ok(won && others.length === 0, `${base} ${name}: not one of them counted\n${notified}`);
  const record = recordOf((await agent.get(`${base}/records/${id}`)) as Body);
  for (const lost of answers.filter((one) => one !== won)) {
    assert.equal(lost.status, 400, notified);
    assert.match(lost.text, / in \S+ state \(must be /, notified);
  }
  assert.equal(record.error_msg, undefined, `${base} ${name} left an error`);
  return won.body;
}

const VERSIONS = [
  {
    issue: '/issue-credential-2.0',
    prove: '/present-proof-2.0',
    topics: ['issue_credential_v2_0', 'present_proof_v2_0'],
    member: ['cred_ex_id', 'pres_ex_id'],
    word: (state: string) => state,
    proposal: (preview: object) => ({ filter: { anoncreds: { cred_def_id: credDefId } }, credential_preview: preview }),
    offer: () => ({}),
    ask: (request: object) => ({ presentation_proposal: { anoncreds: request } }),
    answer: (chosen: object) => ({ anoncreds: chosen }),
  },
  {
    issue: '/issue-credential',
    prove: '/present-proof',
    topics: ['issue_credential', 'present_proof'],
    member: ['credential_exchange_id', 'presentation_exchange_id'],
    word: (state: string) => state.replaceAll('-', '_'),
    proposal: (preview: object) => ({ cred_def_id: credDefId, credential_proposal: preview }),
    offer: () => ({}),
    ask: () => ({
      presentation_proposal: {
        '@type': 'present-proof/1.0/presentation-preview',
        attributes: [{ name: 'name', cred_def_id: credDefId }],
        predicates: [],
      },
    }),
    answer: (chosen: object) => chosen,
  },
] as const;

for (const version of VERSIONS) {
  test(`of several calls at once one counts: ${version.issue} and ${version.prove}`, async () => {
    const [credTopic, proofTopic] = version.topics;
    const [credId, proofId] = version.member;
    const seen = (agent: TestAgent, topic: string, state: string, thread: string): Promise<Body> =>
      agent.event(topic, (one) => one.state === version.word(state) && one.thread_id === thread, `${topic} ${state}`);
    const preview = {
      '@type': `issue-credential/${version.issue.endsWith('2.0') ? '2' : '1'}.0/credential-preview`,
      attributes: [{ name: 'name', value: 'Alice' }],
    };
    const begun = recordOf(
      await holder.post(`${version.issue}/send-proposal`, { connection_id: ids.invitee, ...version.proposal(preview) }),
    );
    const thread = begun.thread_id;
    const atIssuer = (await seen(issuer, credTopic, 'proposal-received', thread))[credId];
    const atHolder = begun[credId];
    await race(issuer, version.issue, atIssuer, 'send-offer', version.offer());
    await seen(holder, credTopic, 'offer-received', thread);
    await race(holder, version.issue, atHolder, 'send-request');
    await seen(issuer, credTopic, 'request-received', thread);
    await race(issuer, version.issue, atIssuer, 'issue', { comment: 'here' });
    await seen(holder, credTopic, 'credential-received', thread);
    await race(holder, version.issue, atHolder, 'store');
    const { results } = await holder.get('/credentials');
    const credential = results[0].referent;

    const request = { name: 'proof', version: '1.0', requested_attributes: { one: { name: 'name' } }, requested_predicates: {} };
    const asked = await holder.post(`${version.prove}/send-proposal`, { connection_id: ids.invitee, ...version.ask(request) });
    const proof = asked.thread_id;
    const atVerifier = (await seen(issuer, proofTopic, 'proposal-received', proof))[proofId];
    const atProver = asked[proofId];
    await race(issuer, version.prove, atVerifier, 'send-request', { auto_verify: false });
    await seen(holder, proofTopic, 'request-received', proof);
    const { presentation_request: shown, by_format: formats } = await holder.get(`${version.prove}/records/${atProver}`);
    const [referent] = Object.keys((shown ?? formats.pres_request.anoncreds).requested_attributes);
    const answering = async (name: string): Promise<number> => {
      const extra = JSON.stringify({ [referent!]: { 'attr::name::value': name } });
      return (await holder.get(`${version.prove}/records/${atProver}/credentials?extra_query=${encodeURIComponent(extra)}`)).length;
    };
    assert.deepEqual([(await answering('Alice')) > 0, await answering('Bob')], [true, 0], 'extra_query');
    const chosen = {
      requested_attributes: { [referent!]: { cred_id: credential, revealed: true } },
      requested_predicates: {},
      self_attested_attributes: {},
    };
    await race(holder, version.prove, atProver, 'send-presentation', version.answer(chosen));
    await seen(issuer, proofTopic, 'presentation-received', proof);
    const verified = await race(issuer, version.prove, atVerifier, 'verify-presentation');
    assert.equal(verified.verified, 'true');
  });
}

test('every command of an exchange that its state allows once was called so', () => {
  const commands = createRegistry(PROTOCOLS as never, UNBOUND_RECORDS as never, FORMATS)
    .routed.map(({ step }) => step.route!.replace(/\{(?:cred|pres)_ex_id\}/, '*'))
    .filter((route) => route.includes('/records/*/') && !route.endsWith('/problem-report'));
  assert.deepEqual([...raced].sort(), commands.sort());
});

test('a problem is reported once; where the connection is gone the call says so, whatever it is', async () => {
  const link = await connect(issuer, holder);
  const left: string[] = [];
  for (const { issue, proposal, member, topics } of VERSIONS) {
    const preview = { '@type': 'credential-preview', attributes: [{ name: 'name', value: 'Alice' }] };
    const begin = async (): Promise<Body> => {
      const begun = recordOf(await holder.post(`${issue}/send-proposal`, { connection_id: link.invitee, ...proposal(preview) }));
      return issuer.event(topics[0], (one) => one.thread_id === begun.thread_id, 'the proposal');
    };
    const notified = await begin();
    const report = `${issue}/records/${notified[member[0]]}/problem-report`;
    await issuer.post(report, { description: 'not now' });
    left.push(`${issue}/records/${(await begin())[member[0]]}`);
  }
  await issuer.call('DELETE', `/connections/${link.inviter}`);
  for (const exchange of left) {
    for (const [name, body] of [
      ['problem-report', { description: 'gone' }],
      ['send-offer', {}],
    ] as const) {
      const answer = await issuer.call('POST', `${exchange}/${name}`, body);
      assert.deepEqual(
        [answer.status, answer.text],
        [400, `400: Connection ${link.inviter} not found: it was deleted`],
        `${exchange} ${name}`,
      );
    }
  }
});
