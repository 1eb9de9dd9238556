import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MAX_OPEN } from '../../src/kernel/consulting.ts';
import { type Asked, nextAt, verdict } from '../../src/kernel/decisions.ts';
import { type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { askProof as askProofBy, CONFIG, grant, type Owner, proofs, startOwner } from '../support/owner.ts';
import { SETTINGS } from '../support/steps.ts';
import { connectStranger, type Link, message, type Stranger, startStranger } from '../support/stranger.ts';
import { until } from '../support/waiting.ts';

/** Owners who decide for others, twice, too late, or about themselves; and an issuer behind a known one. */

const world = createWorld();
let agent: TestAgent;
let owner: Owner;
let second: Owner;
let peer: Stranger;
let link: Link;

before(async () => {
  agent = await world.start('firm', { flags: ['--preserve-exchange-records', '--debug-webhooks'] });
  owner = await startOwner(agent);
  world.defer(owner.close);
  second = await startOwner(agent);
  world.defer(second.close);
  peer = await startStranger();
  world.defer(peer.close);
  link = await connectStranger(agent, peer);
});
after(() => world.close());

const askProof = (send: (message: object) => Promise<unknown> = (message) => link.send(message)): Promise<string> => askProofBy(send);
const refused = async (body: Promise<Body>, code: string): Promise<void> => assert.equal((await body).description?.code, code);
const exchange = async (thread: string): Promise<Body> => (await agent.get(`/present-proof-2.0/records?thread_id=${thread}`)).results[0];
const held = (thread: string): Promise<unknown> =>
  until(async () => (await exchange(thread))?.state === 'request-received', 'the exchange');
const decisionsOf = async (thread: string): Promise<Body[]> => (await agent.get(`/agent-config/decisions?thread_id=${thread}`)).results;
const asked = async (thread: string): Promise<string> => (await owner.asked((one) => one.thread_id === thread, 'it')).decision_id;
/** Runs with a handler of its own. */
async function withHandler(more: object, run: () => Promise<void>): Promise<void> {
  const { handler_id } = await owner.ask('register-handler', proofs(more));
  try {
    await run();
  } finally {
    await owner.ask('unregister-handler', { handler_id });
  }
}

test('[DEC-1] an owner beside the approvers decides nothing', () =>
  withHandler({}, async () => {
    const thread = await askProof();
    const decision_id = await asked(thread);
    await refused(second.ask('decision', { decision_id, action: 'reject' }), 'forbidden');
    assert.deepEqual([(await exchange(thread)).state, (await decisionsOf(thread))[0]!.state], ['request-received', 'asked']);
  }));

test('[DEC-2] an answer after the deadline is refused, whether the deadline has run or not', () =>
  withHandler({ timeout_ms: 100, on_timeout: 'hold' }, async () => {
    const { db } = agent.agent.kernel;
    const thread = await askProof();
    const { decision_id } = await until(async () => (await decisionsOf(thread)).find(({ state }) => state === 'held'), 'the deadline');
    // as if the deadline's own command had not run yet
    const [[row]] = (await db.store.load('base', [{ category: 'decision', id: decision_id }])) as [[Body]];
    const { version: expect, connection, value } = row;
    await db.store.commit('base', { records: [{ category: 'decision', id: decision_id, expect, state: 'asked', connection, value }] });
    await refused(owner.ask('decision', { decision_id, action: 'reject' }), 'wrong-state');
    assert.equal((await exchange(thread)).state, 'request-received');
  }));

test('[DEC-3] a handler that would match the messages by which it is asked is refused, by both ways', async () => {
  for (const types of [['*'], [`${CONFIG}/*`], ['https://flexid.dev/*'], ['credential-offer', '*/decision']]) {
    await refused(owner.ask('register-handler', { match: { types }, mode: 'consult', deliver: 'didcomm' }), 'bad-request');
    const answer = await agent.call('POST', '/agent-config/handlers', { match: { types }, mode: 'notify', deliver: 'webhook' });
    assert.match(answer.text, /^400: The pattern .* matches the messages by which handlers themselves/);
  }
  await refused(
    owner.ask('register-handler', proofs({ match: { types: ['*/offer-credential'], connections: [owner.id] } })),
    'bad-request',
  );
});

test('[DEC-4] nobody is asked about exchanges on its own connection', () =>
  withHandler({ match: { types: ['https://didcomm.org/*'] } }, async () => {
    const thread = await askProof(owner.sendOwn);
    await held(thread);
    assert.deepEqual(await decisionsOf(thread), []);
  }));

test('[DEC-5] one approver is not two, by no number of answers', () =>
  withHandler({ approvers: [owner.id, second.id], approvals: 2 }, async () => {
    const thread = await askProof();
    const decision_id = await asked(thread);
    const agree = { decision_id, action: 'continue' };
    const values = { anoncreds: { requested_attributes: {}, requested_predicates: {}, self_attested_attributes: {} } };
    for (const body of [agree, { decision_id, action: 'replace', values }, agree])
      assert.equal((await owner.ask('decision', body)).state, 'asked');
    // agreement is to the same: the other one agrees to other values
    assert.equal((await second.ask('decision', { decision_id, action: 'replace', values })).state, 'asked');
    assert.equal((await exchange(thread)).state, 'request-received');
    assert.equal((await second.ask('decision', { decision_id, action: 'reject' })).state, 'rejected');
  }));

test('[DEC-6] an owner without the grant is not asked, and does not decide', () =>
  withHandler({}, async () => {
    await grant(agent, owner.id, []);
    let thread: string;
    try {
      thread = await askProof();
      await held(thread);
      const [{ decision_id }] = (await decisionsOf(thread)) as [Body];
      await refused(owner.ask('decision', { decision_id, action: 'reject' }), 'unauthorized');
      assert.equal((await decisionsOf(thread))[0]!.state, 'asked');
    } finally {
      await grant(agent, owner.id, ['agent-config']);
    }
    // mail keeps its order: an earlier question would be there by now
    const next = await askProof();
    await asked(next);
    assert.ok(!owner.inbox.list.some((mail) => mail.message.thread_id === thread));
  }));

test('[DEC-7] an answer that comes again has the same answer and one effect', () =>
  withHandler({}, async () => {
    const thread = await askProof();
    const answer = { decision_id: await asked(thread), action: 'reject' };
    const answers = await Promise.all([1, 2, 3].map(() => owner.ask('decision', answer)));
    assert.deepEqual(
      answers.map(({ state }) => state),
      ['rejected', 'rejected', 'rejected'],
    );
    assert.equal((await owner.ask('decision', answer)).state, 'rejected');
    await refused(owner.ask('decision', { ...answer, action: 'continue' }), 'wrong-state');
    const [{ decided, decision_id }] = (await decisionsOf(thread)) as [Body];
    assert.equal(decided.length, 1);
    const events = await until(async () => {
      const all = agent.hooks.list.filter(({ topic, payload }) => topic === 'decision' && payload.decision_id === decision_id);
      return all.length > 1 && all;
    }, 'the webhooks');
    assert.deepEqual(
      events.map(({ payload }) => payload.state),
      ['asked', 'rejected'],
    );
  }));

/** Runs while so many more decisions are open. */
async function withOpen(count: number, of: { connection: string; invitation?: string }, run: () => Promise<void>): Promise<void> {
  const { store } = agent.agent.kernel.db;
  const { connection, invitation } = of;
  const rows = Array.from({ length: count }, (_none, i) => ({
    ...{ category: 'decision', id: `open-${i}`, expect: 0, state: i % 2 ? 'held' : 'asked', connection, value: { point: 'credential' } },
    ...(invitation !== undefined && { tags: { invitation } }),
  }));
  const inParts = async (part: (some: typeof rows) => Promise<void>): Promise<void> => {
    for (let at = 0; at < count; at += 1000) await part(rows.slice(at, at + 1000));
  };
  await inParts((records) => store.commit('base', { records }));
  try {
    await run();
  } finally {
    await inParts((some) => store.commit('base', { deletes: some.map(({ category, id }) => ({ category, id, expect: 1 })) }));
  }
}

/** Nobody is asked about it. */
async function isNotAsked(send: (message: object) => Promise<unknown>): Promise<void> {
  const thread = await askProof(send);
  await held(thread);
  assert.deepEqual(await decisionsOf(thread), []);
}

test('[DEC-11] [DEC-12] a peer, or all who came by one invitation, do not fill the decisions of a wallet', () =>
  withHandler({}, async () => {
    const other = await startStranger();
    world.defer(other.close);
    const theirs = await connectStranger(agent, other);
    const isAsked = async (send: (message: object) => Promise<unknown>): Promise<string> => asked(await askProof(send));
    await withOpen(MAX_OPEN.connection, { connection: link.id }, async () => {
      await isNotAsked((message) => link.send(message));
      await isAsked((message) => theirs.send(message));
    });
    await isAsked((message) => link.send(message));
    const { invitation_key: invitation } = await agent.get(`/connections/${link.id}`);
    await withOpen(MAX_OPEN.invitation, { connection: 'of-others', invitation }, async () => {
      await isNotAsked((message) => link.send(message));
      await isAsked((message) => theirs.send(message));
    });
  }));

test('[DEC-10] an old order that comes again, after whatever time, undoes no later one', async () => {
  const { db } = agent.agent.kernel;
  const first = message(`${CONFIG}/set-policy`, { name: 'replayed', value: { action: 'accept' } });
  await owner.sendOwn(first);
  await owner.inbox.first((mail) => mail.message['~thread']?.thid === first['@id'], 'the answer');
  await owner.ask('set-policy', { name: 'replayed', value: { action: 'reject' } });
  await db.admin.expire(db.now() + 30 * 24 * 3600_000);
  await owner.sendOwn(first);
  assert.deepEqual((await owner.ask('get-policy', { name: 'replayed' })).value, { action: 'reject' });
});

test('[DEC-8] an offer in two formats is of a known issuer where both are', () => {
  const offer: Asked = {
    point: 'credential-offer',
    type: 'https://didcomm.org/issue-credential/2.0/offer-credential',
    names: [],
    automatic: true,
    issuers: ['did:algo:known', 'did:algo:other'],
  };
  const actionOf = (issuers: string[]): string => verdict(offer, { handlers: [], policies: [], defaults: { issuers } }).action;
  assert.deepEqual([actionOf(['did:algo:known']), actionOf(['did:algo:known', 'did:algo:other'])], ['hold', 'accept']);
});

test('[DEC-9] a verifier by a DID that its handshake claimed is not known', () => {
  const at = { message: 'request-presentation', accept: 'present', reject: 'report-problem', automatic: true };
  const nextOf = (value: object): number => {
    const connection = { id: 'c1', version: 1, created: 0, updated: 0, value: { ...value } };
    const rules = { handlers: [], policies: [], defaults: { verifiers: ['did:sov:known', 'did:algo:known'] } };
    const surrounding = { settings: SETTINGS, rules, uri: 'https://didcomm.org/present-proof/2.0', connection };
    return nextAt(surrounding, 'presentation-request', at).length;
  };
  assert.deepEqual([nextOf({ their_did: 'did:sov:known' }), nextOf({ their_did: 'did:algo:known' })], [0, 0]);
  assert.equal(nextOf({ their_public_did: 'did:algo:known' }), 1);
});
