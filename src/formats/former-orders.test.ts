import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFormats, formatWork } from '../kernel/format.ts';
import type { WorkContext } from '../kernel/work.ts';
import { anoncreds } from './anoncreds.ts';
import { formerWork } from './former-orders.ts';
import { indy } from './indy.ts';

test('an order of an earlier version is done by the acts of today, all formats of it at once', async () => {
  const seen: [string, unknown][] = [];
  const names = Object.keys(formatWork(createFormats([anoncreds, indy]), new Map()));
  const ops = Object.fromEntries(
    names.map((name) => [
      name,
      async (_ctx: WorkContext, order: { input: object; made: object[] }) => {
        seen.push([name, order.input]);
        return { made: [...order.made, { format: name.split('/')[0] }] };
      },
    ]),
  );
  const former = formerWork(ops);
  const run = async (op: string, input: object): Promise<unknown> => await former[op]!({} as WorkContext, input);
  const preview = { attributes: [{ name: 'a', value: '1' }] };
  const filters = ['anoncreds', 'indy'].map((format) => ({ format, filter: { cred_def_id: 'd' } }));
  const both = [{ format: 'anoncreds' }, { format: 'indy' }];
  assert.deepEqual(await run('credential/offer', { filters, preview }), { made: both, preview });
  await run('credential/request', { format: 'indy', offer: {}, entropy: 'e' });
  await run('credential/issue', { entries: [{ format: 'indy', offer: {}, request: {} }], values: { a: '1' } });
  await run('credential/store', { format: 'indy', exchange: 'x', offer: {}, credential: {}, id: 'i' });
  await run('presentation/create', { entries: [{ format: 'indy', request: {}, chosen: null, wishes: [] }], patient: true });
  await run('presentation/verify', { entries: [{ request: {}, presentation: {} }] });
  assert.deepEqual(seen, [
    ['anoncreds/offer', { filter: { cred_def_id: 'd' }, preview: preview.attributes }],
    ['indy/offer', { filter: { cred_def_id: 'd' }, preview: preview.attributes }],
    ['indy/request', { offer: {}, entropy: 'e' }],
    ['indy/issue', { offer: {}, request: {}, values: { a: '1' } }],
    ['indy/store', { exchange: 'x', offer: {}, credential: {}, id: 'i' }],
    ['indy/present', { request: {}, choice: null, patient: true }],
    ['anoncreds/verify', { request: {}, presentation: {} }],
  ]);
});

test('an order of an earlier version that needs an index goes on as orders of today', async () => {
  const ops = {
    'indy/issue': async () => ({ made: [{ format: 'indy' }] }),
    'anoncreds/issue': async () => ({ made: [], next: { op: 'anoncreds/issue', input: {}, result: '' } }),
  };
  const entries = [
    { format: 'indy', offer: {}, request: {} },
    { format: 'anoncreds', offer: {}, request: {} },
  ];
  assert.deepEqual(await formerWork(ops)['credential/issue']!({} as WorkContext, { entries, values: { a: '1' } }), {
    made: [],
    next: {
      op: 'anoncreds/issue',
      input: { input: { offer: {}, request: {}, values: { a: '1' } }, rest: [], made: [{ format: 'indy' }], result: 'issued' },
      result: 'issued',
    },
  });
});
