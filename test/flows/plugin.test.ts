import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { resolveDidKey } from '../../src/dids/did-key.ts';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/plugin/${name}.ts`, import.meta.url));
const GUESTBOOK = example('guestbook');
const SD_JWT = example('sd-jwt');
const world = createWorld();
after(() => world.close());

/** A plug-in from elsewhere: it knows nothing of this repository, and is given what it needs. */
function elsewhere(name: string, text: string): string {
  const path = join(world.folder, `${name}.mjs`);
  writeFileSync(path, text);
  return path;
}

/** Everything in it breaks. */
const BROKEN = `export default ({ definePlugin, defineProtocol, defineRecord, NEW, Type }) => {
  const record = defineRecord({ category: 'broken', idField: 'id', topic: 'broken', states: ['new', 'done'], view: ({ id, state }) => ({ id, state }),
    tags: (value) => ({ thread: value.thread_id }), admin: { list: '/broken', tag: 'broken' } });
  const fail = (what) => { throw new Error('broken: ' + what); };
  const order = (op) => ({ record: { states: ['new'], patch: {} }, work: [{ op, input: {}, result: 'worked' }] });
  return definePlugin({
    name: 'broken', records: [],
    protocols: [defineProtocol({
      name: 'broken-1.0', uris: ['https://example.org/broken/1.0'], binds: record,
      messages: { step: { schema: Type.Object({}), from: [NEW], step: () => fail('message') } },
      results: { worked: { from: ['new'], step: () => fail('result') } },
      failed: () => fail('failed'),
      commands: {
        step: { route: 'POST /broken/step', body: Type.Object({}), from: [NEW], step: () => fail('command') },
        state: { route: 'POST /broken/state', body: Type.Object({}), from: [NEW], step: () => ({ record: { states: ['nowhere'] } }) },
        work: { route: 'POST /broken/work', body: Type.Object({}), from: [NEW], step: () => order('broken/work') },
        result: { route: 'POST /broken/result', body: Type.Object({}), from: [NEW], step: () => order('broken/none') },
      },
    })],
    work: { 'broken/work': () => fail('work'), 'broken/none': async () => ({}) },
    routes: [{ route: 'GET /broken/route', tag: 'broken', summary: 'x', handle: () => fail('route') }],
  });
};`;

let alice: TestAgent;
let bob: TestAgent;
before(async () => {
  alice = await world.start('alice', { flags: ['--plugin', GUESTBOOK, '--plugin', elsewhere('broken', BROKEN)] });
  bob = await world.start('bob', {
    flags: [
      '--plugin',
      GUESTBOOK,
      '--plugin',
      'acapy_plugins.connections',
      '--plugin',
      'issue_credential',
      '--plugin',
      'present_proof.v1_0',
    ],
  });
});

test('the example has its protocol, record, work, routes and topic, between two agents', async () => {
  const link = await connect(alice, bob);
  const signed = await bob.post('/guestbook/entries', { connection_id: link.invitee, text: 'it was very nice here' });
  assert.deepEqual([signed.state, signed.role], ['sent', 'guest']);
  const thanked = (one: Body): boolean => one.state === 'thanked' && one.thread_id === signed.thread_id;
  assert.equal((await alice.event('guestbook', thanked, 'the count')).words, 5);
  assert.equal((await bob.event('guestbook', thanked, 'the thanks')).words, 5);
  assert.deepEqual(await alice.get('/guestbook/summary'), { entries: 1 });
  assert.deepEqual(await bob.get('/guestbook/summary'), { entries: 0 });
  const { results } = await alice.get(`/guestbook/entries?thread_id=${signed.thread_id}`);
  assert.deepEqual([results.length, results[0].text], [1, 'it was very nice here']);
  assert.equal((await bob.call('POST', '/guestbook/entries', { connection_id: link.invitee, text: '' })).status, 422);
  const document = await alice.get('/api/docs/swagger.json');
  assert.ok(document.paths['/guestbook/entries'].post && document.paths['/guestbook/summary'].get);
  assert.deepEqual((await alice.get('/plugins')).result.slice(0, 2), ['guestbook', 'broken']);
  assert.ok(!(await bob.get('/plugins')).result.some((name: string) => name.includes('acapy')));
});

/** Two agents with the format of the example, connected, and an issuer's DID. */
async function withFormat(suffix: string) {
  const [issuer, holder] = await Promise.all(
    [`issuer${suffix}`, `holder${suffix}`].map((name) => world.start(name, { flags: ['--plugin', SD_JWT, '--preserve-exchange-records'] })),
  );
  const link = await connect(issuer!, holder!);
  const { result } = await issuer!.post('/wallet/did/create', { method: 'key' });
  return { issuer: issuer!, holder: holder!, link, did: result.did as string };
}

const inState = (state: string, thread: string) => (one: Body) => one.state === state && one.thread_id === thread;
const CLAIMS = [
  { name: 'name', value: 'Ada' },
  { name: 'degree', value: 'MSc' },
  { name: 'grade', value: '1.0' },
];
const ISSUE = 'issue_credential_v2_0';
const PROVE = 'present_proof_v2_0';

test('a credential format of a plug-in is issued, held, proven and verified between two agents, as the agent’s own', async () => {
  const { issuer, holder, link, did } = await withFormat('-1');
  const offered = await issuer.post('/issue-credential-2.0/send-offer', {
    connection_id: link.inviter,
    filter: { sd_jwt: { issuer: did, vct: 'https://example.org/degree' } },
    credential_preview: { attributes: CLAIMS },
  });
  assert.equal(offered.by_format.cred_offer.sd_jwt.issuer, did);
  const got = await holder.event(ISSUE, inState('offer-received', offered.thread_id), 'the offer');
  const mine = `/issue-credential-2.0/records/${got.cred_ex_id}`;
  assert.equal((await holder.post(`${mine}/send-request`)).by_format.cred_request.sd_jwt.jwk.crv, 'Ed25519');
  await issuer.event(ISSUE, inState('request-received', offered.thread_id), 'the request');
  const issued = await issuer.post(`/issue-credential-2.0/records/${offered.cred_ex_id}/issue`, {});
  assert.deepEqual([issued.sd_jwt.cred_ex_id, issued.indy, issued.ld_proof], [offered.cred_ex_id, null, null]);
  await holder.event(ISSUE, inState('credential-received', offered.thread_id), 'the credential');
  const stored = await holder.post(`${mine}/store`, { credential_id: 'mine' });
  assert.deepEqual([stored.cred_ex_record.state, stored.sd_jwt.cred_id_stored], ['done', 'mine']);
  await issuer.event(ISSUE, inState('done', offered.thread_id), 'the ack');
  const detail = await holder.event(`${ISSUE}_sd_jwt`, (one) => one.cred_id_stored === 'mine', 'the detail');
  assert.deepEqual([detail.cred_ex_sd_jwt_id, detail.cred_ex_id], [stored.sd_jwt.cred_ex_sd_jwt_id, got.cred_ex_id]);
  const held = {
    referent: 'mine',
    format: 'sd_jwt',
    issuer: did,
    vct: 'https://example.org/degree',
    attrs: Object.fromEntries(CLAIMS.map(({ name, value }) => [name, value])),
  };
  assert.deepEqual((await holder.get('/credentials')).results, [held]);
  assert.deepEqual((await holder.get(`/credentials?wql=${encodeURIComponent('{"attr::name::value":"Ada"}')}`)).results, [held]);
  assert.deepEqual((await holder.get(`/credentials?wql=${encodeURIComponent('{"schema_id":"x"}')}`)).results, []);

  const asked = await issuer.post('/present-proof-2.0/send-request', {
    connection_id: link.inviter,
    presentation_request: { sd_jwt: { vct: 'https://example.org/degree', issuer: did, claims: ['name', 'degree'] } },
  });
  const request = await holder.event(PROVE, inState('request-received', asked.thread_id), 'the request');
  const theirs = `/present-proof-2.0/records/${request.pres_ex_id}`;
  assert.deepEqual(await holder.get(`${theirs}/credentials`), [
    { cred_info: held, interval: null, presentation_referents: ['name', 'degree'] },
  ]);
  assert.deepEqual(await holder.get(`${theirs}/credentials?referent=grade`), []);
  const wrong = await holder.call('POST', `${theirs}/send-presentation`, { sd_jwt: { credential_id: 'other' } });
  assert.deepEqual([wrong.status, wrong.text], [400, '400: No credential of this wallet answers name, degree']);
  await holder.post(`${theirs}/send-presentation`, { sd_jwt: { credential_id: 'mine' } });
  await issuer.event(PROVE, inState('presentation-received', asked.thread_id), 'the presentation');
  const verified = await issuer.post(`/present-proof-2.0/records/${asked.pres_ex_id}/verify-presentation`);
  assert.deepEqual([verified.state, verified.verified], ['done', 'true'], JSON.stringify(verified.verified_msgs));
  // what was not asked for is not shown
  const [, ...disclosed] = verified.by_format.pres.sd_jwt.sd_jwt.split('~').slice(0, -1);
  assert.deepEqual(disclosed.map((one: string) => JSON.parse(Buffer.from(one, 'base64url').toString())[1]).sort(), ['degree', 'name']);
  const document = await holder.get('/api/docs/swagger.json');
  const text = JSON.stringify(document.paths['/present-proof-2.0/send-request']);
  assert.match(text, /sd_jwt/);
  assert.equal((await issuer.call('POST', '/present-proof-2.0/create-request', { presentation_request: { sd_jwt: {} } })).status, 422);
  assert.equal((await holder.call('DELETE', '/credential/mine')).status, 200);
  assert.deepEqual((await holder.get('/credentials')).results, []);
});

test('a presentation of a plug-in’s format that answers another request, or is changed, is not verified', async () => {
  const { issuer, holder, link, did } = await withFormat('-2');
  const offered = await issuer.post('/issue-credential-2.0/send', {
    connection_id: link.inviter,
    filter: { sd_jwt: { issuer: did, vct: 'v' } },
    credential_preview: { attributes: CLAIMS },
  });
  const got = await holder.event(ISSUE, inState('offer-received', offered.thread_id), 'the offer');
  await holder.post(`/issue-credential-2.0/records/${got.cred_ex_id}/send-request`);
  await holder.event(ISSUE, inState('credential-received', offered.thread_id), 'the credential');
  await holder.post(`/issue-credential-2.0/records/${got.cred_ex_id}/store`, {});
  const presented = async (claims: string[]): Promise<{ asked: Body; pres: Body }> => {
    const asked = await issuer.post('/present-proof-2.0/send-request', {
      connection_id: link.inviter,
      presentation_request: { sd_jwt: { vct: 'v', claims } },
    });
    const request = await holder.event(PROVE, inState('request-received', asked.thread_id), 'the request');
    const sent = await holder.post(`/present-proof-2.0/records/${request.pres_ex_id}/send-presentation`, {
      sd_jwt: { credential_id: (await holder.get('/credentials')).results[0].referent },
    });
    await issuer.event(PROVE, inState('presentation-received', asked.thread_id), 'the presentation');
    return { asked, pres: sent.by_format.pres.sd_jwt };
  };
  const [first, second] = [await presented(['name']), await presented(['degree'])];
  const ctx = { tenant: 'base', resolver: { resolve: async () => ({ document: resolveDidKey(did) }) } } as never;
  const { sdJwt } = await import(SD_JWT);
  const verify = async (asked: Body, pres: Body) =>
    await sdJwt.presentation.verify(ctx, { request: asked.by_format.pres_request.sd_jwt, presentation: pres });
  assert.deepEqual(await verify(first.asked, first.pres), { verified: true, reasons: [] });
  assert.deepEqual(await verify(second.asked, first.pres), { verified: false, reasons: ['It answers another request'] });
  const [jwt, ...rest] = first.pres.sd_jwt.split('~');
  for (const [text, why] of [
    [[`${jwt.slice(0, -4)}AAAA`, ...rest].join('~'), /not signed by its issuer/],
    [[jwt, ...rest.slice(0, -1), ''].join('~'), /holder has not signed/],
    [[jwt, rest.at(-1)].join('~'), /another request/],
  ] as const)
    assert.match((await verify(first.asked, { sd_jwt: text })).reasons[0], why);
});

test('a plug-in that breaks, wherever it does, does not stop the agent; it is logged, and nothing is stored', async () => {
  const errors = (): number => alice.logged.filter((line) => line.includes('"level":"error"')).length;
  for (const [method, path, stored] of [
    ['POST', '/broken/step', 0],
    ['POST', '/broken/state', 0],
    ['GET', '/broken/route', 0],
    // these began before their work broke
    ['POST', '/broken/work', 1],
    ['POST', '/broken/result', 2],
  ] as const) {
    const before = errors();
    const answer = await alice.call(method, path, method === 'POST' ? {} : undefined);
    assert.equal(answer.status, 500, path);
    assert.doesNotMatch(answer.text, /broken: /, 'what was thrown is for the log');
    assert.ok(errors() > before, `${path} is logged`);
    const { results } = await alice.get('/broken');
    assert.deepEqual([results.length, results.filter((one: Body) => one.state !== 'new')], [stored, []], path);
  }
  const stranger = await startStranger();
  world.defer(stranger.close);
  const link = await connectStranger(alice, stranger);
  const before = errors();
  const sent = message('https://example.org/broken/1.0/step');
  assert.ok((await link.send(sent)).status < 300);
  const report = await stranger.inbox.first((mail) => mail.message['~thread']?.thid === sent['@id'], 'a problem report');
  assert.match(report.message['@type'], /problem-report$/);
  assert.doesNotMatch(JSON.stringify(report.message), /broken: /);
  assert.ok(errors() > before);
  assert.equal((await alice.get('/broken')).results.length, 2);
  assert.equal((await alice.call('GET', '/status/live')).status, 200);
  await alice.post('/wallet/did/create', { method: 'key' });
});

test('a plug-in that cannot be loaded, or claims a taken name, stops the start with one sentence', async () => {
  const plugin = (name: string, parts: string): string =>
    elsewhere(
      name,
      `export default ({ definePlugin, defineProtocol, defineRecord, NEW, Type }) => definePlugin({ name: '${name}', ${parts} });`,
    );
  const record = (category: string): string =>
    `defineRecord({ category: '${category}', idField: 'id', states: [], view: () => ({}), tags: () => ({}) })`;
  for (const [given, text] of [
    [['./nowhere.ts'], /^--plugin \.\/nowhere\.ts: Cannot find module/],
    [['no-such-package'], /there is no such package/],
    [[elsewhere('none', 'export const x = 1;')], /its default export is no plug-in/],
    [[elsewhere('throws', 'throw new Error("not today");')], /not today/],
    [[plugin('lists', 'routes: {}')], /its routes are no list/],
    [
      [
        plugin(
          'type',
          `protocols: [defineProtocol({ name: 't', uris: ['https://didcomm.org/trust_ping/1.0'], binds: ${record('t')}, messages: { ping: { schema: Type.Object({}), from: '*', step: () => ({}) } } })]`,
        ),
      ],
      /message type https:\/\/didcomm\.org\/trust_ping\/1\/ping is registered by trust-ping and t/,
    ],
    [
      [plugin('route', `routes: [{ route: 'GET /connections/{other}', tag: 'x', summary: 'x', handle: async () => ({}) }]`)],
      /route GET \/connections\/\{other\} is registered twice/,
    ],
    [[plugin('kind', `records: [${record('connection')}]`)], /two record kinds are stored as connection/],
    [[plugin('work', `work: { 'anoncreds/offer': async () => ({}) }`)], /work anoncreds\/offer of work is registered already/],
    [[plugin('unlisted', 'formats: {}')], /its formats are no list/],
    [[plugin('named', `formats: [{ name: 'indy' }]`)], /two credential formats are named indy/],
    [[plugin('slash', `formats: [{ name: 'a/b' }]`)], /the credential format a\/b must be named by a-z, 0-9 and _/],
    [
      [plugin('id', `formats: [{ name: 'other', presentation: { ids: { request: 'hlindy/proof-req@v2.0', proof: 'x' } } }]`)],
      /the format identifier hlindy\/proof-req@v2\.0 is registered by indy and other/,
    ],
    [[GUESTBOOK, GUESTBOOK], /two protocols are named guestbook-1\.0/],
  ] as const) {
    const flags = given.flatMap((path) => ['--plugin', path]);
    await assert.rejects(world.start('refused', { flags }), (error: Error) => {
      assert.equal(error.constructor.name, 'ConfigError', error.stack);
      assert.match(error.message, text);
      assert.doesNotMatch(error.message, /\n {4}at /);
      return true;
    });
  }
});

test('migrations are applied once, to every record, before the agent serves; one that breaks stops the start', async () => {
  const store = join(world.folder, 'migrated.db');
  const first = await world.start('first', { store, flags: ['--plugin', GUESTBOOK] });
  const link = await connect(first, bob);
  for (let n = 0; n < 3; n++) await first.post('/guestbook/entries', { connection_id: link.inviter, text: `entry ${n}` });
  await first.close();
  const migrating = (name: string, up: string): string =>
    elsewhere(name, `export default { name: 'guests', migrations: [{ name: 'shout', category: 'guestbook_entry', up: ${up} }] };`);
  const start = (path: string): Promise<TestAgent> => world.start('again', { store, flags: ['--plugin', GUESTBOOK, '--plugin', path] });
  await assert.rejects(start(migrating('breaks', `() => { throw new Error('cannot'); }`)), /--plugin guests: cannot/);
  for (const name of ['once', 'again']) {
    const second = await start(migrating(name, `(value) => ({ ...value, text: value.text + '!' })`));
    const { results } = await second.get('/guestbook/entries');
    assert.deepEqual(
      results.map((one: Body) => one.text),
      ['entry 0!', 'entry 1!', 'entry 2!'],
    );
    await second.close();
  }
});
