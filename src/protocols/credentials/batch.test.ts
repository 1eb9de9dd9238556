import { REMOVED, some, table } from '../../../test/support/steps.ts';

const batch = (state: string, value = {}) => ({
  id: 'b1',
  state,
  value: { cred_def_id: 'cd', columns: ['name'], total: 3, offered: 0, failed: 0, next: 0, busy: true, ...value },
});
const row = (number: number, state = 'waiting') => ({
  row: { category: 'credential_batch_row', id: `b1.${number}`, state, value: { batch: 'b1', number, cells: ['Ada'] } },
});
const work = (number: number) => [{ op: 'credential-batch/row', input: { batch: 'b1', number }, result: 'row' }];
const outcome = (number: number, more = {}) => ({ batch: 'b1', number, cred_ex_id: 'x1', ...more });

table('credential-batch', [
  {
    title: 'has a record for each row, and begins by itself',
    command: 'create',
    body: { cred_def_id: 'cd', columns: ['name'], rows: [['Ada'], ['Bob']] },
    effects: {
      record: {
        id: 'id-1',
        states: ['running'],
        patch: { cred_def_id: 'cd', columns: ['name'], total: 2, offered: 0, failed: 0, next: 0, busy: false },
      },
      others: [
        some({ id: 'id-1.0', states: ['waiting'], patch: { batch: 'id-1', number: 0, cells: ['Ada'] } }),
        some({ id: 'id-1.1', states: ['waiting'], patch: { batch: 'id-1', number: 1, cells: ['Bob'] } }),
      ],
      next: [{ command: 'begin', after: 0 }],
      answer: some({ batch_id: 'id-1', state: 'running', total: 2 }),
    },
  },
  { title: 'needs a row', command: 'create', body: { cred_def_id: 'cd', columns: ['name'], rows: [] }, error: 'unprocessable' },
  {
    title: 'begins with the next row',
    command: 'begin',
    record: batch('running', { next: 2, busy: false }),
    effects: { record: { patch: { busy: true } }, work: work(2) },
  },
  { title: 'has one row in work', command: 'begin', record: batch('running'), effects: {} },
  { title: 'does not begin while it is paused', command: 'begin', record: batch('paused', { busy: false }), error: 'wrong-state' },
  { title: 'is paused', command: 'pause', record: batch('running'), effects: { record: { states: ['paused'] } } },
  {
    title: 'is resumed',
    command: 'resume',
    record: batch('paused', { busy: false, error_msg: 'x' }),
    effects: { record: { states: ['running'], patch: { error_msg: REMOVED } }, next: [{ command: 'begin', after: 0 }] },
  },
  { title: 'is cancelled', command: 'cancel', record: batch('paused'), effects: { record: { states: ['cancelled'] } } },
  { title: 'is not resumed once it is cancelled', command: 'resume', record: batch('cancelled'), error: 'wrong-state' },
  {
    title: 'is deleted with its rows',
    command: 'DELETE /credential-batches/{batch_id}',
    record: batch('done'),
    pages: { rows: { rows: [row(0, 'offered').row], total: 1 } },
    effects: { record: { remove: true }, others: [some({ remove: true, silent: true })], answer: {} },
  },
  {
    title: 'is deleted after the last of its rows',
    command: 'erase',
    record: batch('done'),
    pages: { rows: { rows: [row(0, 'offered').row], total: 2 } },
    effects: {
      record: { states: ['cancelled'], silent: true },
      others: [some({ remove: true })],
      next: [{ command: 'erase' }],
      answer: {},
    },
  },
  { title: 'is not deleted while it runs', command: 'erase', record: batch('running'), error: 'wrong-state' },
  {
    title: 'goes on with the next row',
    result: 'row',
    output: outcome(0),
    record: batch('running'),
    loaded: row(0),
    effects: {
      record: { patch: { next: 1, busy: true, offered: 1 } },
      others: [some({ states: ['offered'], patch: { cred_ex_id: 'x1' } })],
      work: work(1),
    },
  },
  {
    title: 'goes on after a row that failed',
    result: 'row',
    output: { batch: 'b1', number: 0, error: 'no' },
    record: batch('running'),
    loaded: row(0),
    effects: {
      record: { patch: { next: 1, busy: true, failed: 1 } },
      others: [some({ states: ['failed'], patch: { error: 'no' } })],
      work: work(1),
    },
  },
  {
    title: 'is done with its last row',
    result: 'row',
    output: outcome(2),
    record: batch('running', { next: 2, offered: 2 }),
    loaded: row(2),
    effects: {
      record: { states: ['done'], patch: { next: 3, busy: false, offered: 3 } },
      others: [some({ states: ['offered'] })],
    },
  },
  {
    title: 'orders no other row once it is paused',
    result: 'row',
    output: outcome(0),
    record: batch('paused'),
    loaded: row(0),
    effects: {
      record: { patch: { next: 1, busy: false, offered: 1 } },
      others: [some({ states: ['offered'] })],
    },
  },
  {
    title: 'counts a row once',
    result: 'row',
    output: outcome(0),
    record: batch('running', { next: 1 }),
    loaded: row(0, 'offered'),
    effects: {},
  },
  {
    title: 'is paused by a row that cannot be finished',
    failed: { result: 'row', code: 'internal', text: 'broken' },
    record: batch('running'),
    effects: { record: { states: ['paused'], patch: { busy: false, error_msg: 'broken' } } },
  },
]);
