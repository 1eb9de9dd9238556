import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anchor, type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';

/** What a prover presents, by its controller's choice or by itself, and what is refused at the call that asks for it. */

const world = createWorld();
let faber: TestAgent;
let bob: TestAgent;
let carol: TestAgent;
let toBob: string;
let toCarol: string;
let ids: { did: string; schemaId: string; credDefId: string };
const ISSUE = 'issue_credential_v2_0';
const PROVE = 'present_proof_v2_0';
const NUL = String.fromCharCode(0);

before(async () => {
  const devnet = await world.devnet();
  const keep = '--preserve-exchange-records';
  faber = await world.start('faber', {
    devnet,
    sponsor: true,
    flags: [keep, '--auto-verify-presentation', '--auto-respond-credential-request'],
  });
  bob = await world.start('bob', { devnet, flags: [keep, '--auto-respond-credential-offer', '--auto-store-credential'] });
  carol = await world.start('carol', { devnet, flags: [keep, '--auto-respond-credential-offer', '--auto-respond-presentation-request'] });
  ids = await anchor(faber, ['name', 'age', 'photo']);
  toBob = (await connect(faber, bob)).inviter;
  toCarol = (await connect(faber, carol)).inviter;
});
after(() => world.close());

const attributes = (values: Record<string, string>): Body => ({
  attributes: Object.entries(values).map(([name, value]) => ({ name, value })),
});
const offer = (connection_id: string, values: Record<string, string>): Promise<Body> =>
  faber.post('/issue-credential-2.0/send-offer', {
    connection_id,
    filter: { anoncreds: { cred_def_id: ids.credDefId } },
    credential_preview: attributes(values),
  });
/** The id of a credential that bob has by then. */
async function issue(values: Record<string, string>): Promise<string> {
  const { thread_id } = await offer(toBob, values);
  const ended = (one: Body): boolean => one.thread_id === thread_id && ['done', 'abandoned'].includes(one.state);
  const end = await bob.event(ISSUE, ended, 'the credential', 30_000);
  assert.equal(end.state, 'done', end.error_msg);
  return (await bob.get(`/issue-credential-2.0/records/${end.cred_ex_id}`)).anoncreds.cred_id_stored;
}
const restricted = { restrictions: [] as Body[] };
async function ask(request: Body, connection_id = toBob): Promise<{ here: string; there: string; thread: string }> {
  restricted.restrictions = [{ cred_def_id: ids.credDefId }];
  const asked = await faber.post('/present-proof-2.0/send-request', { connection_id, presentation_request: { anoncreds: request } });
  const agent = connection_id === toBob ? bob : carol;
  const got = await agent.event(PROVE, (one) => one.thread_id === asked.thread_id && one.state === 'request-received', 'the request');
  return { here: asked.pres_ex_id, there: got.pres_ex_id, thread: asked.thread_id };
}
const verdict = async (id: string): Promise<Body> => {
  await faber.event(PROVE, (one) => one.pres_ex_id === id && ['done', 'abandoned'].includes(one.state), 'the verdict', 30_000);
  return faber.get(`/present-proof-2.0/records/${id}`);
};

test('a choice is held against the request before anything is sent', async () => {
  const id = await issue({ name: 'Alice', age: '0030', photo: 'x' });
  const by = { restrictions: [{ cred_def_id: ids.credDefId }] };
  const { here, there } = await ask({
    requested_attributes: { n: { name: 'name', ...by }, s: { name: 'phone' }, g: { names: ['age', 'photo'], ...by } },
    requested_predicates: { p: { name: 'age', p_type: '>=', p_value: 30, ...by } },
  });
  const fitting = await bob.get(`/present-proof-2.0/records/${there}/credentials`);
  assert.deepEqual(
    fitting.map((one: Body) => one.presentation_referents.sort()),
    [['g', 'n', 'p']],
    'the number that was signed counts, not its text',
  );
  const good = {
    requested_attributes: { n: { cred_id: id, revealed: false }, g: { cred_id: id } },
    requested_predicates: { p: { cred_id: id } },
    self_attested_attributes: { s: '555' },
  };
  const cases: [string, Body, RegExp, number?][] = [
    ['an attribute is missing', { ...good, requested_attributes: { g: { cred_id: id } } }, /attribute n has no answer/],
    ['a predicate is missing', { ...good, requested_predicates: {} }, /predicate p has no answer/],
    [
      'one more attribute',
      { ...good, requested_attributes: { ...good.requested_attributes, constructor: { cred_id: id } } },
      /no attribute constructor/,
    ],
    ['one more predicate', { ...good, requested_predicates: { ...good.requested_predicates, q: { cred_id: id } } }, /no predicate q/],
    ['one more word', { ...good, self_attested_attributes: { s: '1', t: '2' } }, /no attribute t/],
    ['two answers', { ...good, self_attested_attributes: { s: '1', n: 'Bob' } }, /attribute n has two answers/],
    [
      'a word for what is restricted',
      { ...good, requested_attributes: { g: { cred_id: id } }, self_attested_attributes: { s: '1', n: 'Bob' } },
      /n has restrictions/,
    ],
    [
      'a word for a group',
      { ...good, requested_attributes: { n: { cred_id: id } }, self_attested_attributes: { s: '1', g: 'x' } },
      /group g cannot be self-attested/,
    ],
    ['a credential that is not there', { ...good, requested_predicates: { p: { cred_id: 'nowhere' } } }, /No credential nowhere/],
    [
      'a credential without the attribute',
      { ...good, requested_attributes: { ...good.requested_attributes, s: { cred_id: id } }, self_attested_attributes: {} },
      /does not answer the requested attribute s/,
    ],
    ['a word that would end early', { ...good, self_attested_attributes: { s: `a${NUL}b` } }, /./, 422],
    ['a number for a word', { ...good, self_attested_attributes: { s: 2 ** 70 } }, /./, 422],
    ['no object', { ...good, requested_attributes: [] }, /./, 422],
    [
      'a flag that is text',
      { ...good, requested_attributes: { ...good.requested_attributes, n: { cred_id: id, revealed: 'no' } } },
      /./,
      422,
    ],
  ];
  for (const [what, choice, reason, status = 400] of cases) {
    const refused = await bob.call('POST', `/present-proof-2.0/records/${there}/send-presentation`, { anoncreds: choice });
    assert.equal(refused.status, status, `${what}: ${refused.text}`);
    assert.match(refused.text, reason, what);
  }
  // whatever stands where text, a flag or an object should: nothing of it reaches native code
  const hostile = [
    null,
    true,
    -1,
    2 ** 53,
    'x'.repeat(10_000),
    NUL,
    '\u202e',
    [],
    [[]],
    {},
    { cred_id: null },
    { cred_id: {} },
    { cred_id: '../' },
  ];
  for (const member of Object.keys(good) as (keyof typeof good)[]) {
    for (const value of hostile) {
      for (const changed of [
        { ...good, [member]: value },
        { ...good, [member]: { ...good[member], x: value } },
      ]) {
        if (JSON.stringify(changed[member]) === JSON.stringify(good[member])) continue;
        const refused = await bob.call('POST', `/present-proof-2.0/records/${there}/send-presentation`, { anoncreds: changed });
        assert.ok(
          [400, 422].includes(refused.status),
          `${member} ${JSON.stringify(value).slice(0, 40)}: ${refused.status} ${refused.text}`,
        );
      }
    }
  }
  const other = await bob.call('POST', `/present-proof-2.0/records/${there}/send-presentation`, { indy: good });
  assert.deepEqual([other.status, /does not ask for the format indy/.test(other.text)], [400, true]);
  assert.equal((await bob.get(`/present-proof-2.0/records/${there}`)).state, 'request-received');
  assert.equal((await faber.get(`/present-proof-2.0/records/${here}`)).state, 'request-sent');

  const sent = await bob.post(`/present-proof-2.0/records/${there}/send-presentation`, { anoncreds: good });
  assert.deepEqual([sent.state, sent.error_msg], ['presentation-sent', undefined]);
  const end = await verdict(here);
  assert.deepEqual([end.verified, end.verified_msgs], ['true', ['RMV_GLB_NRI', 'UNRVL_ATTR::n']]);
});

test('an interval that means nothing is told as ACA-Py tells it', async () => {
  const id = await issue({ name: 'Interval', age: '1', photo: 'x' });
  const non_revoked = { from: 0, to: Math.floor(Date.now() / 1000) };
  const { here, there } = await ask({ requested_attributes: { n: { name: 'name', non_revoked } }, requested_predicates: {}, non_revoked });
  await bob.post(`/present-proof-2.0/records/${there}/send-presentation`, {
    anoncreds: { requested_attributes: { n: { cred_id: id } }, requested_predicates: {}, self_attested_attributes: {} },
  });
  const end = await verdict(here);
  assert.deepEqual([end.verified, end.verified_msgs], ['true', ['RMV_RFNT_NRI::n', 'RMV_GLB_NRI']]);
});

test('a photo of half a megabyte is issued, stored, presented and verified', async () => {
  const photo = 'iVBORw0K'.repeat(65_000);
  const id = await issue({ name: 'Photo', age: '40', photo });
  const { here, there } = await ask({ requested_attributes: { f: { name: 'photo' } }, requested_predicates: {} });
  await bob.post(`/present-proof-2.0/records/${there}/send-presentation`, {
    anoncreds: { requested_attributes: { f: { cred_id: id } }, requested_predicates: {}, self_attested_attributes: {} },
  });
  const end = await verdict(here);
  assert.deepEqual(
    [end.verified, end.by_format.pres.anoncreds.requested_proof.revealed_attrs.f.raw === photo],
    ['true', true],
    end.verified_msgs,
  );
});

test('an offer that can never be issued is refused at the first call', async () => {
  const body = (preview: Body): Body => ({
    connection_id: toBob,
    filter: { anoncreds: { cred_def_id: ids.credDefId } },
    credential_preview: preview,
  });
  const fields = [
    { name: 'name', value: 'A' },
    { name: 'age', value: '1' },
    { name: 'photo', value: '' },
  ];
  for (const [preview, reason] of [
    [attributes({ name: `A${NUL}B`, age: '1', photo: '' }), /U\+0000/],
    [{ attributes: [...fields, { name: 'Na Me', value: 'B' }] }, /differ only in blanks or case/],
    [{ attributes: [...fields, { name: ' ', value: 'B' }] }, /empty/],
  ] as const) {
    for (const path of ['send-offer', 'send', 'send-proposal']) {
      const refused = await faber.call('POST', `/issue-credential-2.0/${path}`, body(preview));
      assert.deepEqual([refused.status, reason.test(refused.text)], [422, true], refused.text);
    }
    const first = await faber.call('POST', '/issue-credential/send', {
      connection_id: toBob,
      credential_proposal: preview,
      cred_def_id: ids.credDefId,
    });
    assert.deepEqual([first.status, reason.test(first.text)], [422, true], first.text);
  }
  const half = JSON.stringify(body(attributes({ name: 'X', age: '1', photo: '' }))).replace('"X"', '"\\ud800"');
  assert.ok([400, 422].includes((await faber.call('POST', '/issue-credential-2.0/send-offer', half)).status));

  const schema = { issuerId: ids.did, name: 'refused', version: '1.0' };
  for (const names of [
    ['a', 'A '],
    [' '],
    ['__proto__'],
    ['master_secret'],
    ['Master Secret'.replace(' ', '_')],
    ['a\\b'],
    [`a${NUL}`],
    ['a\nb'],
    ['x'.repeat(257)],
    Array.from({ length: 126 }, (_none, i) => `a${i}`),
  ]) {
    const refused = await faber.call('POST', '/anoncreds/schema', { schema: { ...schema, attrNames: names } });
    assert.equal(refused.status, 422, `${JSON.stringify(names).slice(0, 80)}: ${refused.text}`);
    const indy = await faber.call('POST', '/schemas', { schema_name: 'refused', schema_version: '1.0', attributes: names });
    assert.equal(indy.status, 422, `${JSON.stringify(names).slice(0, 80)}: ${indy.text}`);
  }
});

test('a request that comes while the credential is being stored is answered when it is there', async () => {
  const { thread_id } = await offer(toCarol, { name: 'Carol', age: '50', photo: '' });
  const got = await carol.event(ISSUE, (one) => one.thread_id === thread_id && one.state === 'credential-received', 'the credential');
  const by = { restrictions: [{ cred_def_id: ids.credDefId }] };
  const { here, there } = await ask(
    { requested_attributes: { n: { name: 'name', ...by } }, requested_predicates: { p: { name: 'age', p_type: '>', p_value: 49, ...by } } },
    toCarol,
  );
  await carol.post(`/issue-credential-2.0/records/${got.cred_ex_id}/store`, {});
  const end = await verdict(here);
  assert.deepEqual([end.verified, end.by_format.pres.anoncreds.identifiers.length], ['true', 1]);
  await carol.event(PROVE, (one) => one.pres_ex_id === there && one.state === 'done', 'the ack');

  const never = await ask({ requested_attributes: { n: { name: 'phone', ...by } }, requested_predicates: {} }, toCarol);
  const abandoned = await verdict(never.here);
  assert.equal(abandoned.state, 'abandoned', 'nothing is on its way: the verifier hears that there is no answer');
});
