import { NOW, REMOVED, table } from '../../test/support/steps.ts';

const second = Math.floor(NOW / 1000);
const token = (jti: string, exp?: number) => ({ jti, iat: second - 100, ...(exp === undefined ? {} : { exp }) });
const wallet = (value = {}) => ({
  id: 'w1',
  state: 'ready',
  value: { wallet_name: 'alice', dispatch_type: 'base', key_management_mode: 'managed', tokens: [token('t1')], ...value },
});

table('multitenancy', [
  {
    title: 'takes its name',
    command: 'create',
    body: { wallet_id: 'w1', wallet_name: 'alice', token: token('t1') },
    loads: { named: { category: 'wallet_record', tag: 'wallet_name', equals: 'alice' } },
    effects: {
      keyOwners: [{ kid: 'wallet name alice', kind: 'wallet', target: 'w1' }],
      record: {
        id: 'w1',
        states: ['ready'],
        patch: {
          wallet_name: 'alice',
          wallet_type: 'askar-anoncreds',
          webhook_urls: [],
          dispatch_type: 'base',
          key_management_mode: 'managed',
          tokens: [{ jti: 't1', iat: 1893553345 }],
        },
      },
    },
  },
  {
    title: 'without a name takes none',
    command: 'create',
    body: { wallet_id: 'w1', token: token('t1'), wallet_webhook_urls: ['https://hook.example'], label: 'Alice' },
    effects: {
      record: {
        id: 'w1',
        states: ['ready'],
        patch: {
          wallet_type: 'askar-anoncreds',
          label: 'Alice',
          webhook_urls: ['https://hook.example'],
          dispatch_type: 'default',
          key_management_mode: 'managed',
          tokens: [{ jti: 't1', iat: 1893553345 }],
        },
      },
    },
  },
  {
    title: 'with a name that is taken',
    command: 'create',
    body: { wallet_id: 'w2', wallet_name: 'alice', token: token('t1') },
    loaded: { named: wallet() },
    error: 'bad-request',
    text: 'Wallet with name alice already exists',
  },
  {
    title: 'keeps settings that are not given',
    command: 'update',
    body: { label: 'A' },
    record: wallet({ image_url: 'https://a.example', extra_settings: { a: 1 } }),
    effects: {
      invalidate: ['w1'],
      record: { patch: { label: 'A', image_url: 'https://a.example', dispatch_type: 'base', extra_settings: { a: 1 } } },
    },
  },
  {
    title: 'without webhooks has those of the base wallet',
    command: 'update',
    body: { wallet_webhook_urls: [], wallet_dispatch_type: 'both' },
    record: wallet({ webhook_urls: ['https://hook.example'] }),
    effects: { invalidate: ['w1'], record: { patch: { webhook_urls: [], dispatch_type: 'base', extra_settings: {} } } },
  },
  {
    title: 'loses one token of several',
    command: 'revoke',
    body: { token_id: 't1' },
    record: wallet({ tokens: [token('t0'), token('t1')] }),
    effects: { invalidate: ['w1'], record: { patch: { tokens: [token('t0')] } } },
  },
  { title: 'loses no token that it has not', command: 'revoke', body: { token_id: 't9' }, record: wallet(), error: 'not-found' },
  {
    title: 'has the time of a token’s use',
    command: 'used',
    body: { token_id: 't1' },
    record: wallet({ tokens: [token('t0'), token('t1')] }),
    effects: { record: { patch: { tokens: [token('t0'), { ...token('t1'), used: second }] } } },
  },
  { title: 'is suspended', command: 'suspend', record: wallet(), effects: { invalidate: ['w1'], record: { patch: { suspended: true } } } },
  {
    title: 'is resumed',
    command: 'resume',
    record: wallet({ suspended: true }),
    effects: { invalidate: ['w1'], record: { patch: { suspended: REMOVED } } },
  },
  {
    title: 'has bounds of its own beside those that it had',
    command: 'limit',
    body: { ledger_writes: 5 },
    record: wallet({ quota: { ledger_algo: 1 } }),
    effects: { invalidate: ['w1'], record: { patch: { quota: { ledger_writes: 5, ledger_algo: 1 } } } },
  },
  {
    title: 'has the instance’s bounds again',
    command: 'limit',
    body: { ledger_algo: null },
    record: wallet({ quota: { ledger_algo: 1 } }),
    effects: { invalidate: ['w1'], record: { patch: { quota: REMOVED } } },
  },
  { title: 'has no bound below nothing', command: 'limit', body: { ledger_writes: -1 }, record: wallet(), error: 'unprocessable' },
  { title: 'of nothing', command: 'update', record: wallet(), error: 'bad-request', text: 'At least one parameter is required.' },
  {
    title: 'takes the place of the others',
    command: 'admit',
    body: { token: token('t2') },
    record: wallet(),
    effects: { invalidate: ['w1'], record: { patch: { tokens: [{ jti: 't2', iat: 1893553345 }] } } },
  },
  {
    title: 'stands beside the others, but for what has ended',
    command: 'admit',
    body: { token: token('t2'), keep: true },
    record: wallet({ tokens: [token('t0', second - 1), token('t1')] }),
    effects: {
      invalidate: ['w1'],
      record: {
        patch: {
          tokens: [
            { jti: 't1', iat: 1893553345 },
            { jti: 't2', iat: 1893553345 },
          ],
        },
      },
    },
  },
  {
    title: 'takes the place of one',
    command: 'admit',
    body: { token: token('t2'), keep: true, instead: 't1' },
    record: wallet({ tokens: [token('t0'), token('t1')] }),
    effects: {
      invalidate: ['w1'],
      record: {
        patch: {
          tokens: [
            { jti: 't0', iat: 1893553345 },
            { jti: 't2', iat: 1893553345 },
          ],
        },
      },
    },
  },
  {
    title: 'in the place of one that was voided',
    command: 'admit',
    body: { token: token('t2'), instead: 't9' },
    record: wallet(),
    error: 'unauthorized',
    text: 'Authorization token missing or invalid',
  },
  {
    title: 'of more than may be valid at a time',
    command: 'admit',
    body: { token: token('t2'), keep: true },
    record: wallet({ tokens: Array.from({ length: 20 }, (_, i) => token(`t${i}`)) }),
    error: 'bad-request',
    text: 'The wallet has 20 valid tokens: let some expire, or ask for one that replaces them',
  },
  { title: 'voids the tokens', command: 'lock', record: wallet(), effects: { invalidate: ['w1'], record: { patch: { tokens: [] } } } },
  {
    title: 'gives the name free',
    command: 'erase',
    record: wallet(),
    effects: {
      removedKeyOwners: ['wallet name alice'],
      invalidate: ['w1'],
      record: { states: ['erasing'], patch: { tokens: [], wallet_name: REMOVED, erasing: true } },
    },
  },
  {
    title: 'removes the wallet',
    command: 'gone',
    record: { ...wallet(), state: 'erasing' },
    effects: { record: { remove: true, silent: true } },
  },
  { title: 'of a wallet that is not erased', command: 'gone', record: wallet(), error: 'wrong-state' },
]);
