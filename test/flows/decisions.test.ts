import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anchor, type Body, createWorld, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { askProof as askProofBy, CONFIG, grant, type Owner, PROOF, proofs, startOwner } from '../support/owner.ts';
import { connectStranger, type Link, message, requestFor, type Stranger, serviceOf, startStranger } from '../support/stranger.ts';
import { MULTITENANT, newTenant } from '../support/tenants.ts';
import { TEST_MS } from '../support/waiting.ts';

/** Decision points: handlers that are asked, policies, defaults, and the Config API by messages and by HTTP. */

const world = createWorld();
let agent: TestAgent;
let owner: Owner;
let peer: Stranger;
let link: Link;

before(async () => {
  agent = await world.start('firm', { flags: ['--preserve-exchange-records', '--debug-webhooks'] });
  owner = await startOwner(agent);
  peer = await startStranger();
  world.defer(owner.close);
  world.defer(peer.close);
  link = await connectStranger(agent, peer);
});
after(() => world.close());

const put = async (path: string, body: object): Promise<Body> => {
  const answer = await agent.call('PUT', path, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
};
const remove = (id: string): Promise<Body> => agent.call('DELETE', `/agent-config/handlers/${id}`);
const refused = async (body: Promise<Body>, code: string): Promise<void> => assert.equal((await body).description?.code, code);

const askProof = (): Promise<string> => askProofBy((what) => link.send(what));
const exchange = async (thread: string): Promise<Body> => (await agent.get(`/present-proof-2.0/records?thread_id=${thread}`)).results[0];
const decision = (thread: string, state: string): Promise<Body> =>
  agent.event('decision', (one) => one.thread_id === thread && one.state === state, `a decision that is ${state}`);
const abandoned = (thread: string): Promise<unknown> =>
  peer.inbox.first((mail) => mail.message['~thread']?.thid === thread && /problem-report$/.test(mail.message['@type']), 'a report');
const held = async (thread: string): Promise<Body> =>
  await until(async () => {
    const found = await exchange(thread);
    return found?.state === 'request-received' && found;
  }, 'the exchange');

test('[S2-26] a handler of proof requests: the owner is asked with the right thread, and its answer takes effect', async () => {
  const { handler_id } = await owner.ask('register-handler', proofs());
  const thread = await askProof();
  const asked = await owner.asked((one) => one.thread_id === thread, 'the proof request');
  assert.deepEqual(
    [asked.point, asked.role, asked.connection_id, asked.handler_id, asked.record.thread_id],
    ['presentation-request', 'prover', link.id, handler_id, thread],
  );
  assert.deepEqual(asked.record.by_format.pres_request.anoncreds, PROOF);
  assert.ok(Date.parse(asked.deadline) > Date.now());
  assert.equal((await exchange(thread)).state, 'request-received');
  const done = await owner.ask('decision', { decision_id: asked.decision_id, action: 'reject', values: { description: 'not today' } });
  assert.deepEqual([done['@type'], done.state], [`${CONFIG}/decision-recorded`, 'rejected']);
  await abandoned(thread);
  assert.equal((await exchange(thread)).error_msg, 'created problem report: not today');
  // the record keeps the decider
  const { results } = await agent.get(`/agent-config/decisions?thread_id=${thread}`);
  assert.deepEqual(
    results.map(({ state, decided }: Body) => [state, decided[0].by, decided[0].action, decided[0].values.description]),
    [['rejected', `connection ${owner.id}`, 'reject', 'not today']],
  );
  await owner.ask('unregister-handler', { handler_id });
  const unasked = await askProof();
  await held(unasked);
  assert.deepEqual((await agent.get(`/agent-config/decisions?thread_id=${unasked}`)).results, []);
});

test('[S2-14] a policy by an encrypted message changes the outcome', async () => {
  const scope = { types: ['connection-request'] };
  const asking = async (): Promise<Body> => {
    const { invitation, invi_msg_id } = await agent.post('/out-of-band/create-invitation', HANDSHAKE);
    const guest = await startStranger();
    world.defer(guest.close);
    await guest.send(serviceOf(invitation), requestFor(guest, invitation));
    return await agent.event('connections', (one) => one.invitation_msg_id === invi_msg_id && one.state !== 'invitation', 'the request');
  };
  const first = await asking();
  assert.equal((await agent.get(`/connections/${first.connection_id}`)).state, 'request', 'nobody has accepted it');
  const set = await owner.ask('set-policy', { name: 'open-door', value: { action: 'accept' }, scope });
  assert.deepEqual([set.name, set.value, set.scope], ['open-door', { action: 'accept' }, scope]);
  const got = await owner.ask('get-policy', { name: 'open-door' });
  assert.deepEqual([got['@type'], got.value], [`${CONFIG}/policy`, { action: 'accept' }]);
  const second = await asking();
  await agent.event('connections', (one) => one.connection_id === second.connection_id && one.state === 'response', 'the response');
  await owner.ask('set-policy', { name: 'open-door', value: { action: 'reject' }, scope });
  const third = await asking();
  await agent.event('connections', (one) => one.connection_id === third.connection_id && one.state === 'error', 'the refusal');
  await owner.ask('set-policy', { name: 'open-door', value: null });
  await refused(owner.ask('get-policy', { name: 'open-door' }), 'not-found');
});

test('[S2-28] every operation by a message and by HTTP has the same answer and the same effect', async () => {
  const http = {
    'register-handler': (body: object) => agent.post('/agent-config/handlers', { ...body, approvers: [owner.id] }),
    'unregister-handler': async ({ handler_id }: Body) => (await remove(handler_id)).body,
    'list-handlers': () => agent.get('/agent-config/handlers'),
    'set-policy': ({ name, ...body }: Body) => put(`/agent-config/policies/${name}`, body),
    'get-policy': ({ name }: Body) => agent.get(`/agent-config/policies/${name}`),
    'list-policies': () => agent.get('/agent-config/policies'),
    'set-defaults': (body: object) => put('/agent-config/defaults', body),
    'get-defaults': () => agent.get('/agent-config/defaults'),
    decision: ({ decision_id, ...body }: Body) => agent.post(`/agent-config/decisions/${decision_id}`, body),
  } as const;
  const ways: Record<string, (name: keyof typeof http, body?: object) => Promise<Body>> = {
    message: async (name, body) => {
      const { '@type': _type, '@id': _id, '~thread': _thread, ...answer } = await owner.ask(name, body);
      return answer;
    },
    http: (name, body = {}) => http[name](body),
  };
  /** All operations by one way, read by the other; without ids, times and names of deciders. */
  const run = async (by: string, other: string): Promise<Body> => {
    const [order, read] = [ways[by]!, ways[other]!];
    const seen: Body[] = [];
    const note = (name: string, answer: Body): Body => {
      seen.push([
        name,
        JSON.parse(
          JSON.stringify(answer)
            .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
            .replace(/20\d\d-[-:.\dT]+Z/g, 'TIME')
            .replace(/connection ID|controller/, 'WHO')
            .replace(/"nonce":"\d+"/g, ''),
        ),
      ]);
      return answer;
    };
    const made = note('register', await order('register-handler', proofs({ timeout_ms: 60_000, on_timeout: 'hold' })));
    note('list', await read('list-handlers'));
    note('policy', await order('set-policy', { name: 'p', value: { action: 'hold', verifiers: ['x'] }, scope: { roles: ['prover'] } }));
    note('same policy', await read('get-policy', { name: 'p' }));
    assert.deepEqual(seen.at(-1)[1], seen.at(-2)[1]);
    note('policies', await read('list-policies'));
    note('defaults', await order('set-defaults', { auto: { credential: true }, types: ['*/issue-credential'] }));
    note('same defaults', await read('get-defaults'));
    assert.deepEqual(seen.at(-1)[1], seen.at(-2)[1]);
    const thread = await askProof();
    const { decision_id } = await owner.asked((one) => one.thread_id === thread, 'the request');
    const {
      record: _record,
      thread_id: _thread,
      created_at: _created,
      updated_at: _updated,
      ...decided
    } = await order('decision', { decision_id, action: 'reject' });
    note('decided', decided);
    await abandoned(thread);
    note('removed', await order('unregister-handler', { handler_id: made.handler_id }));
    note('no handlers', await read('list-handlers'));
    note('no policy', await order('set-policy', { name: 'p', value: null }));
    note('no defaults', await order('set-defaults', {}));
    note('all empty', [await read('list-policies'), await read('get-defaults')]);
    return seen;
  };
  assert.deepEqual(await run('message', 'http'), await run('http', 'message'));
});

test('a deadline without an answer: the outcome that the handler names, and no late answer', async () => {
  const outcomes: Record<string, Body> = {};
  for (const on_timeout of ['default', 'reject', 'hold']) {
    const { handler_id } = await owner.ask('register-handler', proofs({ timeout_ms: 100, on_timeout }));
    const thread = await askProof();
    // the question may be too late to be sent
    const { decision_id } = await decision(thread, on_timeout === 'hold' ? 'held' : 'expired');
    if (on_timeout === 'reject') await abandoned(thread);
    outcomes[on_timeout] = (await exchange(thread)).state;
    const late = owner.ask('decision', { decision_id, action: 'reject' });
    if (on_timeout === 'hold') {
      assert.equal((await late).state, 'rejected', 'a held decision can be answered later');
      await abandoned(thread);
    } else await refused(late, 'wrong-state');
    await remove(handler_id);
  }
  assert.deepEqual(outcomes, { default: 'request-received', reject: 'abandoned', hold: 'request-received' });
});

test("a decision is its tenant's alone, and holds up what its settings would accept", async () => {
  const cloud = await world.start('cloud', { noWebhook: true, flags: MULTITENANT });
  const [first, other] = [await newTenant(cloud, 'first'), await newTenant(cloud, 'other')];
  const match = { types: ['connection-request'] };
  await first.post('/agent-config/handlers', { match, mode: 'consult', deliver: 'webhook' });
  assert.deepEqual((await other.get('/agent-config/handlers')).results, []);
  const { invitation, invi_msg_id } = await first.post('/out-of-band/create-invitation', HANDSHAKE);
  await other.post('/out-of-band/receive-invitation', invitation);
  const [asked] = await until(async () => {
    const { results } = await first.get('/agent-config/decisions?state=asked');
    return results.length > 0 && results;
  }, 'the decision');
  const path = `/agent-config/decisions/${asked.decision_id}`;
  assert.equal((await other.call('GET', path)).status, 404);
  assert.equal((await other.call('POST', path, { action: 'continue' })).status, 404);
  assert.deepEqual((await other.get('/agent-config/decisions')).results, []);
  const state = async (): Promise<string> => (await first.get(`/connections?invitation_msg_id=${invi_msg_id}`)).results[0].state;
  assert.equal(await state(), 'request');
  const decided = await first.post(path, { action: 'continue', decider: 'ann' });
  assert.deepEqual([decided.state, decided.decided[0].by], ['accepted', 'controller ann']);
  await until(async () => (await state()) === 'active', 'the connection');
});

test('a handler of mode notify holds up nothing, by message and by webhook', async () => {
  const one = await owner.ask('register-handler', proofs({ mode: 'notify' }));
  const two = await agent.post('/agent-config/handlers', proofs({ mode: 'notify', deliver: 'webhook' }));
  await put('/agent-config/policies/no', { value: { action: 'reject' }, scope: { types: ['presentation-request'] } });
  const thread = await askProof();
  await abandoned(thread);
  const event = await owner.inbox.first(
    (mail) => mail.message['@type'] === `${CONFIG}/event` && mail.message.payload?.record?.thread_id === thread,
    'the event',
  );
  assert.equal(event.message.payload.handler_id, one.handler_id);
  const hook = await agent.event('handler', (payload) => payload.record.thread_id === thread, 'the webhook');
  assert.equal(hook.handler_id, two.handler_id);
  await put('/agent-config/policies/no', { value: null });
  for (const { handler_id } of [one, two]) await remove(handler_id);
});

test('[S2-27] defaults without a handler: known exchanges go on to a verified presentation, unknown ones wait; two approvers agree to another one', {
  timeout: TEST_MS,
}, async () => {
  const devnet = await world.devnet();
  const issuer = await world.start('issuer', {
    devnet,
    sponsor: true,
    flags: ['--auto-accept-requests', '--auto-respond-credential-request', '--auto-verify-presentation', '--preserve-exchange-records'],
  });
  // nothing of it is automatic by its configuration
  const holder = await world.start('holder', { devnet, flags: ['--preserve-exchange-records'] });
  const { did, credDefId } = await anchor(issuer, ['name']);
  const set = await holder.call('PUT', '/agent-config/defaults', {
    auto: { 'connection-invitation': true, 'credential-offer': true, credential: true, 'presentation-request': true },
    types: ['*/invitation', '*/issue-credential/*', '*/present-proof/*'],
    issuers: [did],
  });
  assert.equal(set.status, 200, set.text);
  const { invitation, invi_msg_id } = await issuer.post('/out-of-band/create-invitation', HANDSHAKE);
  await holder.post('/out-of-band/receive-invitation', invitation);
  const isActive = (one: Body): boolean => one.invitation_msg_id === invi_msg_id && one.state === 'active';
  const [{ connection_id }, ours] = await Promise.all([
    issuer.event('connections', isActive, 'it'),
    holder.event('connections', isActive, 'it'),
  ]);
  const offer = async (): Promise<string> => {
    const { thread_id } = await issuer.post('/issue-credential-2.0/send', {
      connection_id,
      filter: { anoncreds: { cred_def_id: credDefId } },
      credential_preview: { attributes: [{ name: 'name', value: 'Ann' }] },
    });
    return thread_id;
  };
  const verify = async (): Promise<{ id: string; thread: string }> => {
    const { pres_ex_id, thread_id } = await issuer.post('/present-proof-2.0/send-request', {
      connection_id,
      presentation_request: {
        anoncreds: { ...PROOF, requested_attributes: { a: { name: 'name', restrictions: [{ cred_def_id: credDefId }] } } },
      },
    });
    return { id: pres_ex_id, thread: thread_id };
  };
  const verified = async (id: string): Promise<void> => {
    const done = await issuer.event('present_proof_v2_0', (one) => one.pres_ex_id === id && one.state === 'done', 'the proof');
    assert.equal(done.verified, 'true');
  };
  const first = await offer();
  await holder.event('issue_credential_v2_0', (one) => one.thread_id === first && one.state === 'done', 'the credential');
  await verified((await verify()).id);
  // an unknown issuer's offer waits for the controller
  await holder.call('PUT', '/agent-config/defaults', { auto: { 'credential-offer': true }, issuers: ['did:algo:nobody'] });
  const second = await offer();
  const waiting = await holder.event('issue_credential_v2_0', (one) => one.thread_id === second && one.state === 'offer-received', 'it');
  // and two have to agree to a presentation, whatever is automatic: meanwhile the offer would have gone on
  await holder.call('PUT', '/agent-config/defaults', { auto: { 'presentation-request': true } });
  const owners = [await startOwner(holder), await startOwner(holder)];
  for (const one of owners) world.defer(one.close);
  const [ann, bob] = owners as [Owner, Owner];
  await ann.ask('register-handler', proofs({ approvers: owners.map(({ id }) => id), approvals: 2 }));
  const { id, thread } = await verify();
  const asked = (one: Owner): Promise<Body> => one.asked((body) => body.thread_id === thread, 'the presentation');
  const [{ decision_id, approvals, connection_id: of }, { decision_id: same }] = await Promise.all([asked(ann), asked(bob)]);
  assert.deepEqual([same, approvals, of], [decision_id, 2, ours.connection_id]);
  const agree = (one: Owner): Promise<Body> => one.ask('decision', { decision_id, action: 'continue' });
  assert.equal((await agree(ann)).state, 'asked');
  assert.equal((await agree(ann)).state, 'asked', 'the same one again is no second');
  assert.ok(!(await issuer.states('present_proof_v2_0', id)).includes('presentation-received'), 'nothing is presented');
  assert.equal((await agree(bob)).state, 'accepted');
  await verified(id);
  assert.deepEqual(
    (await holder.get(`/agent-config/decisions/${decision_id}`)).decided.map(({ by }: Body) => by),
    owners.map((one) => `connection ${one.id}`),
  );
  assert.equal((await holder.get(`/issue-credential-2.0/records/${waiting.cred_ex_id}`)).cred_ex_record.state, 'offer-received');
});

test('[S2-16] an owner is a static agent, or an ordinary connected agent with the grant: both are asked and decide', async () => {
  const edge = await startStranger();
  world.defer(edge.close);
  const connected = await connectStranger(agent, edge);
  await grant(agent, connected.id, ['agent-config']);
  const order = async (name: string, body: object): Promise<Body> => {
    const sent = message(`${CONFIG}/${name}`, body);
    await connected.send(sent);
    return (await edge.inbox.first((mail) => mail.message['~thread']?.thid === sent['@id'], `an answer to ${name}`)).message;
  };
  const { handler_id } = await order('register-handler', proofs());
  const thread = await askProof();
  const asked = await edge.inbox.first(
    (mail) => mail.message['@type'] === `${CONFIG}/decision-request` && mail.message.thread_id === thread,
    'the question',
  );
  assert.equal((await order('decision', { decision_id: asked.message.decision_id, action: 'reject' })).state, 'rejected');
  await abandoned(thread);
  await order('unregister-handler', { handler_id });
  // the static one
  const own = await owner.ask('register-handler', proofs());
  const next = await askProof();
  const { decision_id } = await owner.asked((one) => one.thread_id === next, 'the question');
  assert.equal((await owner.ask('decision', { decision_id, action: 'reject' })).state, 'rejected');
  await owner.ask('unregister-handler', { handler_id: own.handler_id });
});

test('[S2-17] three policies and a handler of an owner are there after a restart, and take effect', async () => {
  const first = await world.start('lasting', { flags: ['--preserve-exchange-records'] });
  const before = await startOwner(first);
  world.defer(before.close);
  const scope = { types: ['connection-request'] };
  await before.ask('set-policy', { name: 'a', value: { action: 'hold' }, scope: { types: ['credential-offer'] } });
  await before.ask('set-policy', { name: 'b', value: { action: 'accept' }, scope });
  await before.ask('set-policy', { name: 'c', value: { action: 'reject' }, scope });
  const handler = await before.ask('register-handler', proofs());
  await first.stop();
  const port = Number(new URL(first.inbound).port);
  const again = await world.start('lasting', {
    store: first.store,
    port,
    receiver: first.receiver,
    flags: ['--preserve-exchange-records'],
  });
  const { results } = await before.ask('list-handlers');
  assert.deepEqual(
    results.map((one: Body) => one.handler_id),
    [handler.handler_id],
  );
  for (const [name, action] of [
    ['a', 'hold'],
    ['b', 'accept'],
    ['c', 'reject'],
  ])
    assert.equal((await before.ask('get-policy', { name })).value.action, action);
  // the first of two that fit
  const guest = await startStranger();
  world.defer(guest.close);
  await connectStranger(again, guest);
});
