import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { anchor, type Body, connect, createWorld, type TestAgent, until } from '../support/agents.ts';

/** One agent tells a collector what it does; another one does not. The collector is an OTLP/HTTP receiver in this process. */

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly of: Record<string, unknown>;
}

const world = createWorld();
const exported: string[] = [];
const spans: Span[] = [];
let collector: string;
let faber: TestAgent;
let bob: TestAgent;
let anchored: Awaited<ReturnType<typeof anchor>>;
let connection: Awaited<ReturnType<typeof connect>>;

const plain = (value: Body): unknown =>
  value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue ?? value.arrayValue?.values?.map(plain);

before(async () => {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      exported.push(text);
      assert.equal(request.url, '/v1/traces');
      for (const resource of JSON.parse(text).resourceSpans)
        for (const scope of resource.scopeSpans)
          for (const span of scope.spans)
            spans.push({
              ...span,
              parentSpanId: span.parentSpanId || undefined,
              of: Object.fromEntries((span.attributes ?? []).map((one: Body) => [one.key, plain(one.value)])),
            });
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  world.defer(() => server.close());
  collector = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const devnet = await world.devnet();
  faber = await world.start('faber', {
    devnet,
    sponsor: true,
    flags: ['--otlp-endpoint', collector, '--auto-respond-credential-request', '--preserve-exchange-records', '--log-level', 'debug'],
  });
  bob = await world.start('bob', { devnet, flags: ['--auto-respond-credential-offer', '--auto-store-credential'] });
  anchored = await anchor(faber, ['name', 'age']);
  connection = await connect(faber, bob);
});
after(() => world.close());

const VALUE = 'planted credential value 7d02';
/** The names of a trace's spans in the order of a walk from its root. Every one must be reached: a span is told when it ends, its parent a moment later. */
async function walk(trace: string, root: Span): Promise<string[]> {
  let astray: string[] = [];
  const reached = await until(async () => {
    const of = spans.filter((span) => span.traceId === trace);
    const below = (span: Span): Span[] => [span, ...of.filter((child) => child.parentSpanId === span.spanId).flatMap(below)];
    const found = below(root);
    astray = of.filter((span) => !found.includes(span)).map((span) => span.name);
    return astray.length === 0 && found;
  }, 'every span to hang on the root').catch((error) => assert.fail(`${error.message}: ${astray}`));
  return reached.map((span) => span.name);
}
const offerOf = () => ({
  connection_id: connection.inviter,
  filter: { anoncreds: { cred_def_id: anchored.credDefId } },
  credential_preview: {
    attributes: [
      { name: 'name', value: VALUE },
      { name: 'age', value: '25' },
    ],
  },
});

test('an issuance is traced from the call and from the request to what follows them, over commits and jobs', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const parent = '00f067aa0ba902b7';
  const offered = await faber.call('POST', '/issue-credential-2.0/send-offer', offerOf(), { traceparent: `00-${trace}-${parent}-01` });
  assert.equal(offered.status, 200);
  const ours = (one: Body): boolean => one.cred_ex_id === offered.body.cred_ex_id;
  await faber.event('issue_credential_v2_0', (one) => ours(one) && one.state === 'done', 'the end');

  const delivered = (span: Span): boolean => span.name === 'job deliver' && span.of['flexid.outcome'] === 'done';
  const root = await until(async () => {
    const found = spans.find((span) => span.traceId === trace && span.parentSpanId === parent);
    const rest = spans.filter((span) => span.traceId === trace);
    return found && rest.some(delivered) && rest.some((span) => span.name === 'webhook') && found;
  }, "the call's trace");
  const names = await walk(trace, root);
  assert.equal(root.name, 'POST /issue-credential-2.0/send-offer');
  assert.deepEqual([root.of['http.route'], root.of['flexid.tenant']], ['/issue-credential-2.0/send-offer', 'base']);
  for (const name of [
    ...[
      'transition',
      'store load',
      'store commit',
      'job work',
      'anoncreds createOffer',
      'job deliver',
      'message send',
      'job event',
      'webhook',
    ],
  ])
    assert.ok(names.includes(name), `${name} is not among ${names.join(', ')}`);

  // what a peer's message causes is a trace of its own: peers have no part in ours
  const received = await until(async () => {
    const found = spans.find((span) => span.name === 'message receive' && span.of['flexid.message'] === 'request-credential');
    const rest = spans.filter((span) => span.traceId === found?.traceId);
    return found && rest.some(delivered) && found;
  }, "the request's trace");
  assert.equal(received.parentSpanId, undefined);
  const caused = await walk(received.traceId, received);
  for (const name of ['transition', 'store commit', 'job command', 'job work', 'anoncreds createCredential', 'job deliver', 'message send'])
    assert.ok(caused.includes(name), `${name} is not among ${caused.join(', ')}`);
  const states = spans.filter((span) => span.traceId === received.traceId).flatMap((span) => span.of['flexid.records'] ?? []);
  assert.ok(
    states.some((one) => String(one).endsWith(':credential-issued')),
    String(states),
  );

  // controllers hear which trace a webhook belongs to, and nobody else does
  const hook = faber.hooks.list.find((one) => ours(one.payload) && one.payload.state === 'offer-sent')!;
  assert.match(String(hook.headers.traceparent), new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  assert.ok(bob.hooks.list.every((one) => one.headers.traceparent === undefined));
});

test('a write to the ledger is part of the trace of its call', async () => {
  const write = await until(async () => spans.find((span) => span.name === 'ledger write'), 'a ledger write');
  const root = await until(async () => spans.find((span) => span.traceId === write.traceId && span.parentSpanId === undefined), 'its call');
  assert.ok(root.name.startsWith('POST /'), root.name);
  assert.ok((await walk(write.traceId, root)).includes('job ledger'));
});

test('a call whose controller wants no trace has none, and a malformed traceparent is passed over', async () => {
  const quiet = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
  assert.equal((await faber.call('GET', '/connections', undefined, { traceparent: `00-${quiet}-00f067aa0ba902b7-00` })).status, 200);
  const before = spans.length;
  for (const traceparent of [
    '',
    'x',
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${quiet}-${'0'.repeat(16)}-01`,
    `ff-${quiet}-00f067aa0ba902b7-01`,
  ])
    assert.equal((await faber.call('GET', '/connections', undefined, { traceparent })).status, 200);
  assert.equal((await faber.call('GET', '/connections/00000000-0000-4000-8000-000000000000')).status, 404);
  await until(async () => spans.slice(before).filter((span) => span.name === 'GET /connections').length >= 5, 'the calls');
  const missing = await until(async () => spans.find((span) => span.name === 'GET /connections/{conn_id}'), 'the call in vain');
  assert.equal(missing.of['error.type'], 'not-found');
  assert.ok(!spans.some((span) => span.traceId === quiet));
  assert.ok(!spans.some((span) => span.name.includes('/status')), 'probes are not traced');
});

test('no span holds a secret, a value, an identifier or an address', async () => {
  const text = exported.join('\n');
  const allowed =
    /^(flexid\.(tenant|protocol|record|records|state|command|message|refused|job|jobs|attempts|outcome|ledger\.(network|write|object))|http\.(request\.method|route|response\.status_code)|error\.type)$/;
  assert.deepEqual(
    [...new Set(spans.flatMap((span) => Object.keys(span.of)))].filter((name) => !allowed.test(name)),
    [],
  );
  const { results } = await faber.get('/connections');
  const { results: dids } = await faber.get('/wallet/did');
  const { results: exchanges } = await faber.get('/issue-credential-2.0/records');
  const planted = [
    VALUE,
    faber.key,
    anchored.did,
    anchored.credDefId,
    ...results.flatMap((one: Body) => [one.connection_id, one.my_did, one.their_did, one.invitation_key]),
    ...dids.flatMap((one: Body) => [one.did, one.verkey]),
    ...exchanges.flatMap(({ cred_ex_record: one }: Body) => [one.cred_ex_id, one.thread_id]),
    new URL(bob.inbound).host,
    ...['did:algo', 'did:peer', 'did:sov'],
  ].filter(Boolean);
  assert.ok(planted.length > 12);
  for (const one of planted) assert.ok(!text.includes(one), `the collector was told ${one}`);
});

test('without the setting nothing of OpenTelemetry is loaded', () => {
  const script = `
    const { createRequire } = await import('node:module');
    const { pathToFileURL } = await import('node:url');
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes('@opentelemetry')).length;
    await import(pathToFileURL('src/app.ts'));
    const without = loaded();
    await import(pathToFileURL('src/adapters/telemetry/otlp.ts'));
    console.log(JSON.stringify([without, loaded() > 0]));
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    encoding: 'utf8',
  });
  assert.deepEqual(JSON.parse(stdout || 'null'), [0, true], stderr);
});
