import { NOW, REMOVED, table } from '../../test/support/steps.ts';

const wish = (state = 'requested', value = {}) => ({ id: 'r1', state, value: { wallet_name: 'alice', ...value } });
const hash = /^[0-9a-f]{64}$/;

table('reservation', [
  {
    title: 'waits for the operator',
    command: 'request',
    body: { wallet_name: 'alice', contact: 'a@example' },
    pages: { open: { rows: [], total: 499 } },
    effects: { record: { states: ['requested'], patch: { wallet_name: 'alice', contact: 'a@example' } } },
  },
  {
    title: 'is refused where too many wait',
    command: 'request',
    body: { wallet_name: 'alice' },
    pages: { open: { rows: [], total: 500 } },
    error: 'busy',
  },
  {
    title: 'is approved with a password, of which the hash is stored',
    command: 'approve',
    body: { note: 'welcome' },
    record: wish(),
    effects: {
      record: { states: ['approved'], patch: { note: 'welcome', password: hash, ends: NOW + 48 * 3600_000 } },
      answer: {
        reservation_id: 'r1',
        state: 'approved',
        reservation_pwd: (text: unknown) => String(text).length === 32,
        expires_at: '2030-01-04T03:04:05.000000Z',
      },
    },
  },
  {
    title: 'is denied, and a password is void',
    command: 'deny',
    record: wish('approved', { password: 'x', ends: NOW }),
    effects: { record: { states: ['denied'], patch: { password: REMOVED, ends: REMOVED } } },
  },
  { title: 'is not approved once it is denied', command: 'approve', record: wish('denied'), error: 'wrong-state' },
  {
    title: 'becomes a wallet once',
    command: 'check-in',
    body: { wallet_id: 'w1' },
    record: wish('approved', { password: 'x', ends: NOW }),
    effects: { record: { states: ['checked-in'], patch: { wallet_id: 'w1', password: REMOVED, ends: REMOVED } } },
  },
  { title: 'becomes no second wallet', command: 'check-in', body: { wallet_id: 'w2' }, record: wish('checked-in'), error: 'wrong-state' },
]);
