import { NOW, table } from '../../test/support/steps.ts';

const invitation = (state = 'await-response', role = 'sender') => ({
  category: 'oob_record',
  id: 'o1',
  role,
  state,
  value: { invitation: {} },
});
const link = (value = {}, state = 'open') => ({
  id: 'l1',
  state,
  value: { oob_id: 'o1', code: 'c', short_url: 'https://agent.example/i/c', uses: 0, ...value },
});
const code = (text: unknown): boolean => /^[A-Za-z0-9_-]{22}$/.test(String(text));

table('short-link', [
  {
    title: 'leads to an invitation of ours, until a time and so many times',
    command: 'POST /short-links',
    body: { oob_id: 'o1', expires_in: 60, max_uses: 2 },
    loads: { invitation: { category: 'oob_record', id: 'o1' } },
    loaded: { invitation: invitation() },
    effects: {
      keyOwners: [{ kid: /^link [A-Za-z0-9_-]{22}$/, kind: 'link', target: 'id-1' }],
      record: {
        id: 'id-1',
        states: ['open'],
        patch: {
          oob_id: 'o1',
          code,
          short_url: /^https:\/\/agent\.example\/i\/[A-Za-z0-9_-]{22}$/,
          ends: NOW + 60_000,
          max_uses: 2,
          uses: 0,
        },
      },
    },
  },
  { title: 'leads to no unknown invitation', command: 'create', body: { oob_id: 'o1' }, error: 'not-found' },
  {
    title: 'leads to no invitation of others',
    command: 'create',
    body: { oob_id: 'o1' },
    loaded: { invitation: invitation('await-response', 'receiver') },
    error: 'not-found',
  },
  {
    title: 'leads to no used invitation',
    command: 'create',
    body: { oob_id: 'o1' },
    loaded: { invitation: invitation('done') },
    error: 'bad-request',
    text: 'This invitation was used',
  },
  {
    title: 'needs an address of ours',
    command: 'create',
    body: { oob_id: 'o1' },
    settings: { endpoint: '' },
    loaded: { invitation: invitation() },
    error: 'bad-request',
  },
  { title: 'of no use', command: 'create', body: { oob_id: 'o1', max_uses: 0 }, error: 'unprocessable' },
  { title: 'without an invitation', command: 'create', body: {}, error: 'unprocessable' },
  { title: 'counts a use', command: 'use', record: link({ max_uses: 2 }), effects: { record: { patch: { uses: 1 } } } },
  {
    title: 'ends with its last use',
    command: 'use',
    record: link({ max_uses: 2, uses: 1 }),
    effects: { record: { states: ['used'], patch: { uses: 2 } } },
  },
  { title: 'is not used again after that', command: 'use', record: link({ max_uses: 2, uses: 2 }, 'used'), error: 'wrong-state' },
]);
