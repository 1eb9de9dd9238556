import assert from 'node:assert/strict';
import { test } from 'node:test';
import Type from 'typebox';
import { type ActOutput, type CredentialFormat, createFormats, defineFormat, formatOrder, formatWork } from './format.ts';
import { attachmentsByFormat } from './format-attachments.ts';
import type { RecordDef } from './record.ts';
import type { WorkContext } from './work.ts';

const none = (): never => assert.fail('not asked');
const Any = Type.Object({});

/** A format whose acts answer with what they were given. */
const echo = (name: string, members: Partial<CredentialFormat> = {}): CredentialFormat =>
  defineFormat({
    name,
    issuance: {
      ids: { proposal: `${name}/p`, offer: `${name}/o`, request: `${name}/r`, issue: `${name}/i` },
      filterSchema: Any,
      offer: async (_ctx, { filter }) => ({ value: { of: name, ...filter } }),
      request: none,
      issue: none,
      store: async (_ctx, { secret }) => ({ credential: { of: name }, info: { secret: Buffer.from(secret).toString() } }),
    },
    presentation: {
      ids: { request: `${name}/q`, proof: `${name}/f` },
      requestSchema: Any,
      choiceSchema: Any,
      request: none,
      checkChoice: none,
      present: async (_ctx, { request }) => (request.known ? { value: { of: name } } : { lacking: ['a', 'b'] }),
      verify: async () => ({ verified: true, reasons: [] }),
      match: none,
    },
    ...members,
  });

/** A wallet with the key of exchange `x`, and records in these states. */
const context = (states: readonly string[] = []): WorkContext =>
  ({
    tenant: 't',
    store: {
      key: async (_tenant: string, kid: string) => (kid === 'cred-request:x' ? { secret: Buffer.from('s') } : undefined),
      find: async (_tenant: string, _category: string, { state }: { state: string }) => ({ rows: states.includes(state) ? [{}] : [] }),
    },
  }) as unknown as WorkContext;
const RECORDS = new Map([['exchange', { category: 'exchange', arriving: ['requested'] } as unknown as RecordDef]]);
const FORMATS = createFormats([echo('one'), echo('two')]);
const OPS = formatWork(FORMATS, RECORDS);
const run = async (ctx: WorkContext, { op, input }: { op: string; input: object }) => (await OPS[op]!(ctx, input)) as ActOutput<object>;

test('an act of several formats is ordered one after another, and each hands on what was made before it', async () => {
  const input = { filter: { a: 1 }, preview: null };
  const first = formatOrder('offer', [{ format: 'two', input } as never, { format: 'one', input } as never], 'offered');
  assert.deepEqual([first.op, first.result], ['two/offer', 'offered']);
  // an order is stored
  const { made, next } = await run(context(), JSON.parse(JSON.stringify(first)));
  assert.deepEqual(made, [{ value: { of: 'two', a: 1 }, format: 'two' }]);
  assert.deepEqual([next?.op, next?.result], ['one/offer', 'offered']);
  assert.deepEqual(await run(context(), next!), {
    made: [...made, { value: { of: 'one', a: 1 }, format: 'one' }],
    next: undefined,
  });
  assert.throws(() => formatOrder('offer', [], 'offered'), { code: 'bad-request' });
});

test('an act that needs a number is ordered again with it, between the formats before and after', async () => {
  const formats = createFormats([
    echo('one', {
      issuance: {
        ...echo('one').issuance!,
        issue: async ({ allocated }) =>
          allocated === undefined
            ? { allocate: { counter: 'registry', upTo: 3 }, input: { registry: 'r' } }
            : { value: { index: allocated } },
      },
    }),
    echo('two', { issuance: { ...echo('two').issuance!, issue: async () => ({ value: { of: 'two' } }) } }),
  ]);
  const ops = formatWork(formats, RECORDS);
  const act = async (ctx: WorkContext, { op, input }: { op: string; input: object }) => (await ops[op]!(ctx, input)) as ActOutput<object>;
  const order = formatOrder('issue', [{ format: 'two', input: {} } as never, { format: 'one', input: {} } as never], 'issued');
  const { next: second } = await act(context(), order);
  const { made, next: third } = await act(context(), second!);
  assert.deepEqual(made, [{ value: { of: 'two' }, format: 'two' }]);
  assert.deepEqual(third, {
    ...second,
    input: { ...second!.input, input: { registry: 'r' } },
    allocate: { counter: 'registry', upTo: 3 },
  });
  const done = await act({ ...context(), allocated: 2 }, third!);
  assert.deepEqual(done, { made: [...made, { value: { index: 2 }, format: 'one' }], next: undefined });
});

test('a wallet stores credentials that it has requested: the secret of the request is handed to the format', async () => {
  const store = (exchange: string) => run(context(), formatOrder('store', [{ format: 'one', input: { exchange, id: 'c' } }], 'stored'));
  assert.deepEqual((await store('x')).made, [{ credential: { of: 'one' }, info: { secret: 's' }, id: 'c', format: 'one' }]);
  await assert.rejects(store('y'), { code: 'bad-request', message: /no request for the credential/ });
});

test('a missing credential is waited for while one is on its way, and only by a patient call', async () => {
  const present = (states: string[], patient: boolean, request: object = {}) =>
    run(context(states), formatOrder('present', [{ format: 'one', input: { request, patient } as never }], 'presented'));
  assert.deepEqual((await present([], true, { known: true })).made, [{ value: { of: 'one' }, format: 'one' }]);
  assert.deepEqual((await present(['requested'], true)).made, [{ waits: true, format: 'one' }]);
  for (const [states, patient] of [
    [['requested'], false],
    [[], true],
  ] as const)
    await assert.rejects(present([...states], patient), { code: 'bad-request', message: 'No credential of this wallet answers a, b' });
});

test('a presentation without a request is not verified', async () => {
  const verify = (request: object | null) =>
    run(context(), formatOrder('verify', [{ format: 'one', input: { request, presentation: {} } as never }], 'checked'));
  assert.deepEqual((await verify({})).made, [{ verified: true, reasons: [], format: 'one' }]);
  assert.deepEqual((await verify(null)).made, [{ verified: false, reasons: ['format-unrequested'], format: 'one' }]);
});

test('names and identifiers are of one format; one that has a half is served in that alone', () => {
  for (const [formats, why] of [
    [[echo('one'), echo('one')], /two credential formats are named one/],
    [[echo('one'), { ...echo('two'), issuance: echo('one').issuance! }], /the format identifier one\/p is registered by one and two/],
    [[echo('A b')], /must be named by a-z/],
    [[echo('constructor')], /must be named by a-z/],
  ] as const)
    assert.throws(() => createFormats(formats), why);
  const half = createFormats([echo('one', { issuance: undefined })]);
  assert.deepEqual([half.issued, half.presented.map(({ name }) => name)], [[], ['one']]);
  const message = (field: string) => ({
    formats: [{ attach_id: 'a', format: 'one/q' }],
    [`${field}~attach`]: [{ '@id': 'a', data: { json: { b: 1 } } }],
  });
  assert.deepEqual(attachmentsByFormat(half, message('proposals')), { one: { b: 1 } });
  assert.deepEqual(attachmentsByFormat(half, message('filters')), {});
  assert.deepEqual(Object.keys(formatWork(half, new Map())), ['one/verify', 'one/present']);
});
