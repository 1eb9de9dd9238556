import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type Body, connect, createWorld, HANDSHAKE, type TestAgent } from '../support/agents.ts';
import { connectStranger, type Link, message, type Stranger, startStranger } from '../support/stranger.ts';

/** Whatever a controller or a peer says, the agent answers for it: no call ends in 500, no message in 5xx. Derived from the agent's own document. */

const world = createWorld();
let alice: TestAgent;
let stranger: Stranger;
let link: Link;
let operations: { method: string; path: string; spec: Body }[];
let ids: string[];

before(async () => {
  const devnet = await world.devnet();
  alice = await world.start('alice', { devnet, noWebhook: false, flags: ['--public-invites'] });
  const bob = await world.start('bob', { devnet });
  const connected = await connect(alice, bob);
  stranger = await startStranger();
  world.defer(stranger.close);
  link = await connectStranger(alice, stranger);
  const made = await alice.post('/out-of-band/create-invitation', HANDSHAKE);
  const { result } = await alice.post('/wallet/did/create', { method: 'key' });
  ids = [connected.inviter, link.id, made.oob_id, made.invi_msg_id, result.did, stranger.did];
  const { body: document } = await alice.call('GET', '/api/docs/swagger.json');
  operations = Object.entries(document.paths as Record<string, Record<string, Body>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, spec]) => ({ method: method.toUpperCase(), path, spec })),
  );
  operations = operations.filter(({ path }) => path !== '/shutdown');
});
after(() => world.close());

const ODD = [
  '',
  ' ',
  '..',
  '../..',
  '%00',
  '__proto__',
  'constructor',
  'null',
  '\u{1F600}',
  "'; --",
  'x'.repeat(3000),
  'did:algo:',
  'did:peer:2',
  'did:key:z',
  '-1',
  '1e999',
];

/** Values that a schema takes, mostly; odd ones in their place now and then. */
function valuesOf(schema: Body): fc.Arbitrary<unknown> {
  const odd = fc.oneof(fc.constantFrom<unknown>(...ODD, null, 0, -1, true, [], {}), fc.jsonValue({ maxDepth: 3 }));
  const fitting = (): fc.Arbitrary<unknown> => {
    if (schema.const !== undefined) return fc.constant(schema.const);
    if (schema.anyOf) return fc.oneof(...schema.anyOf.map(valuesOf));
    switch (schema.type) {
      case 'string':
        return fc.constantFrom(...ids, ...ODD, 'anoncreds', 'algo', 'key', 'ed25519', '1.0', 'true', '7');
      case 'boolean':
        return fc.boolean();
      case 'integer':
      case 'number':
        return fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2 ** 31, Number.MAX_SAFE_INTEGER, 0.5));
      case 'null':
        return fc.constant(null);
      case 'array':
        return fc.array(valuesOf(schema.items ?? {}), { maxLength: 3 });
      case 'object':
        return fc.record(
          Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, property]) => [name, valuesOf(property)])),
          {
            requiredKeys: schema.required ?? [],
          },
        );
      default:
        return odd;
    }
  };
  return fc.oneof({ weight: 9, arbitrary: fitting() }, { weight: 1, arbitrary: odd });
}

test('no call of the admin API ends in an internal error', async () => {
  const broken: string[] = [];
  const unserved: string[] = [];
  for (const { method, path, spec } of operations) {
    const reasons = new Set<string>();
    const schema = spec.requestBody?.content['application/json'].schema;
    const query = (spec.parameters ?? []).filter((one: Body) => one.in === 'query');
    const call = fc.record({
      body: schema ? valuesOf(schema) : fc.constant(undefined),
      param: fc.constantFrom(...ids, ...ODD.filter((one) => one !== '')),
      query: fc.record(Object.fromEntries(query.map((one: Body) => [one.name, fc.constantFrom(...ids, ...ODD, '1', 'true', 'active')])), {
        requiredKeys: [],
      }),
    });
    for (const { body, param, query: asked } of fc.sample(call, { numRuns: 12, seed: 7 })) {
      const url = `${path.replace(/\{[a-z_]+\}/g, encodeURIComponent(param))}?${new URLSearchParams(asked as Record<string, string>)}`;
      const answer = await alice.call(method, url, body === undefined ? undefined : JSON.stringify(body));
      // the router's own 404 has no reason (but `..` is another path, before it is sent); a 501 is one of what was asked, never of all that can be asked
      if (param !== '..') reasons.add(answer.text === '404: Not Found' || answer.status === 501 ? String(answer.status) : 'served');
      if (answer.status === 500) broken.push(`${method} ${url} ${JSON.stringify(body)}: ${answer.text}`.slice(0, 500));
    }
    if (!reasons.has('served') || reasons.has('404')) unserved.push(`${method} ${path}: ${[...reasons].join(', ')}`);
  }
  assert.deepEqual(unserved, []);
  assert.ok(operations.length > 80, `${operations.length} operations`);
  assert.deepEqual([broken, alice.logged.filter((line) => line.includes('"level":"error"'))], [[], []]);
});

test('no message of a peer breaks the agent, whatever is in it', async () => {
  const types = [
    ...['1.0', '2.0'].flatMap((version) => [
      ...['propose-credential', 'offer-credential', 'request-credential', 'issue-credential', 'ack', 'problem-report'].map(
        (name) => `issue-credential/${version}/${name}`,
      ),
      ...['propose-presentation', 'request-presentation', 'presentation', 'ack', 'problem-report'].map(
        (name) => `present-proof/${version}/${name}`,
      ),
    ]),
    ...['request', 'response', 'complete', 'problem_report'].map((name) => `didexchange/1.1/${name}`),
    ...['handshake-reuse', 'handshake-reuse-accepted', 'problem-report', 'invitation'].map((name) => `out-of-band/1.1/${name}`),
    ...['trust_ping/1.0/ping', 'basicmessage/1.0/message', 'notification/1.0/problem-report'],
  ];
  const odd = fc.jsonValue({ maxDepth: 3 });
  const attachment = fc.oneof(
    odd,
    fc.record({
      '@id': fc.constant('a'),
      data: fc.oneof(odd, fc.record({ base64: fc.constantFrom('e30=', 'W10=', 'bnVsbA==', '!', '') }), fc.record({ json: odd })),
    }),
  );
  const members = fc.record(
    {
      formats: fc.oneof(
        odd,
        fc.array(
          fc.record({
            attach_id: fc.constantFrom('a', 'b'),
            format: fc.constantFrom('anoncreds/credential-offer@v1.0', 'hlindy/proof-req@v2.0', 'x'),
          }),
          { maxLength: 3 },
        ),
      ),
      'offers~attach': fc.oneof(attachment, fc.array(attachment, { maxLength: 2 })),
      'request_presentations~attach': fc.array(attachment, { maxLength: 2 }),
      'did_doc~attach': attachment,
      'did_rotate~attach': attachment,
      did: fc.constantFrom<unknown>(
        stranger.did,
        stranger.did.slice(0, 60),
        `${stranger.did.slice(0, 90)}x`,
        'did:peer:2.Ez.Vz.S',
        'did:peer:4z',
        'did:key:z6Mk',
        7,
      ),
      label: odd,
      credential_preview: odd,
      description: odd,
      content: odd,
      '~thread': fc.oneof(
        odd,
        fc.record({ thid: fc.constantFrom(link.requestId, 'x'), pthid: fc.constantFrom(link.invitation['@id'], 'y') }),
      ),
      '~transport': fc.oneof(odd, fc.constant({ return_route: 'all' })),
      '~please_ack': odd,
      '~timing': odd,
      '~l10n': odd,
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...types), members, fc.boolean(), async (type, given, anonymous) => {
      const { status } = await link.send(message(type, given as object), anonymous ? null : undefined);
      assert.ok(status === 202 || status === 200, `${type} was answered ${status}`);
    }),
    { numRuns: 600, seed: 11 },
  );
  assert.deepEqual(
    alice.logged.filter((line) => line.includes('"level":"error"')),
    [],
  );
  assert.equal((await alice.call('GET', '/status/live')).status, 200);
});
