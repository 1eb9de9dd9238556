import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Body, connect, createWorld, type TestAgent } from '../support/agents.ts';
import { connectStranger, message, startStranger } from '../support/stranger.ts';

const GUESTBOOK = fileURLToPath(new URL('../../examples/plugin/guestbook.ts', import.meta.url));
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
    formats: { 'broken/work': () => fail('work'), 'broken/none': async () => ({}) },
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
  const said = message('https://example.org/broken/1.0/step');
  assert.ok((await link.send(said)).status < 300);
  const report = await stranger.inbox.first((mail) => mail.message['~thread']?.thid === said['@id'], 'a problem report');
  assert.match(report.message['@type'], /problem-report$/);
  assert.doesNotMatch(JSON.stringify(report.message), /broken: /);
  assert.ok(errors() > before);
  assert.equal((await alice.get('/broken')).results.length, 2);
  assert.equal((await alice.call('GET', '/status/live')).status, 200);
  await alice.post('/wallet/did/create', { method: 'key' });
});

test('what cannot be loaded, or claims what is taken, stops the start with one sentence', async () => {
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
    [[plugin('work', `formats: { 'credential/offer': async () => ({}) }`)], /work credential\/offer of work is registered already/],
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
