import { key, NOW, REMOVED, type Some, table } from '../../../test/support/steps.ts';
import { credentialRevocationId } from '../../records/credential-revocation.ts';

const definition = { issuerId: 'did:i', credDefId: 'cd', tag: '0', value: { maxCredNum: 8, tailsHash: 'h', tailsLocation: 'https://t/h' } };
/** A state in which these indices are revoked. */
const status = (...indices: number[]) => ({
  accumulator: `a${indices.length}`,
  revoked: Buffer.from([indices.reduce((bits, index) => bits | (1 << index), 0)]).toString('base64url'),
});
const VALUE = {
  issuerId: 'did:i',
  cred_def_id: 'cd',
  tag: '0',
  max_cred_num: 8,
  verkey: key(103),
  use: 'none',
};
const made = { ...VALUE, rev_reg_id: 'did:i/R', definition, status: status() };
const registry = (state: string, value: object = {}, id = 'r1'): Some => ({
  category: 'rev_reg',
  id,
  state,
  value: { ...(state === 'init' ? VALUE : made), ...value },
});
const credDef = { definition: { category: 'cred_def', id: 'd1', state: 'finished', value: { cred_def_id: 'cd', revocation_size: 8 } } };
const guard = { def: 'cred_def', base: 'd1' };
const page = (...rows: Some[]) => ({ rows, total: rows.length });
const uses = (used: Some[], making: Some[] = [], full?: Some[]) => ({
  used: page(...used),
  making: page(...making),
  ...(full && { full: page(...full) }),
});
const order = {
  op: 'anoncreds/registry',
  input: { registry: 'r1', cred_def_id: 'cd', issuerId: 'did:i', tag: '0', max_cred_num: 8 },
  result: 'made',
};
const put = {
  write: { kind: 'registry-put', id: 'did:i/R', did: 'did:i', object: definition, status: status() },
  verkey: key(103),
  result: 'written',
};
const makes = (id: string, after = 0) => ({
  protocol: 'revocation-registry',
  command: 'make',
  record: { category: 'rev_reg', id },
  after,
});
const fresh = (id: string, tag: string) => ({
  def: 'rev_reg',
  id,
  states: ['init'],
  patch: { issuerId: 'did:i', cred_def_id: 'cd', tag, max_cred_num: 8, verkey: key(103), use: 'none' },
});
const credential = (index: number, state = 'issued', value: object = {}): Some => ({
  category: 'cred_rev',
  id: credentialRevocationId('r1', index),
  state,
  value: {
    ...{ registry: 'r1', rev_reg_id: 'did:i/R', cred_def_id: 'cd', index, cred_ex_id: `x${index}`, cred_ex_version: '2' },
    ...value,
  },
});
const append = (expected: number, ...indices: number[]) => ({
  kind: 'status-append',
  id: 'did:i/R',
  did: 'did:i',
  expected,
  status: status(...indices),
});
const shows = (index: number) => ({
  protocol: 'issue-credential-2.0',
  command: 'show-revoked',
  record: { category: 'cred_ex_v20', id: `x${index}` },
});
const revoked = (index: number) => ({
  def: 'cred_rev',
  base: credentialRevocationId('r1', index),
  states: ['revoked'],
  patch: { pending: REMOVED },
});
const publishes = (after: number, input: object = {}) => ({ command: 'publish', input, after });

table('revocation-registry', [
  // -- making
  {
    title: 'orders keys and tails',
    command: 'create',
    body: { id: 'r1', issuerId: 'did:i', cred_def_id: 'cd', tag: '0', max_cred_num: 8, verkey: key(103) },
    effects: { record: { id: 'r1', states: ['init'], patch: VALUE }, work: [order] },
  },
  {
    title: 'of a size that no registry has',
    command: 'create',
    body: { id: 'r1', issuerId: 'did:i', cred_def_id: 'cd', tag: '0', max_cred_num: 3, verkey: key(103) },
    error: 'unprocessable',
  },
  {
    title: 'that is there already',
    command: 'create',
    body: { id: 'r1', issuerId: 'did:i', cred_def_id: 'cd', tag: '0', max_cred_num: 8, verkey: key(103) },
    record: registry('active'),
    error: 'wrong-state',
  },
  { title: 'begins with the keys', command: 'make', record: registry('init'), effects: { work: [order] } },
  { title: 'goes on with the ledger', command: 'make', record: registry('generated'), effects: { ledger: [put] } },
  {
    title: 'is written when its tails file is served',
    result: 'made',
    record: registry('init', { error_msg: 'x', failures: 1 }),
    output: { cred_def_id: 'cd', id: 'did:i/R', definition, status: status(), secret: Buffer.from('s') },
    effects: {
      record: {
        states: ['generated'],
        patch: { rev_reg_id: 'did:i/R', definition, status: status(), error_msg: REMOVED, failures: REMOVED },
      },
      keys: ['rev-reg:did:i/R'],
      removedKeys: ['rev-reg:r1'],
      ledger: [put],
    },
  },
  {
    title: 'waits for its controller',
    result: 'made',
    record: registry('init', { manual: true }),
    output: { cred_def_id: 'cd', id: 'did:i/R', definition, status: status(), secret: Buffer.from('s') },
    effects: {
      record: { states: ['generated'], patch: { rev_reg_id: 'did:i/R', definition, status: status() } },
      keys: ['rev-reg:did:i/R'],
      removedKeys: ['rev-reg:r1'],
    },
  },
  {
    title: 'is not written before its tails file is served, and whoever waits for it is answered',
    result: 'made',
    record: registry('init', { failures: 2 }),
    loaded: { definition: { ...credDef.definition, value: { ...credDef.definition.value, registry_until: NOW + 1 } } },
    output: { cred_def_id: 'cd', later: 'the tails server is down', secret: Buffer.from('s') },
    effects: {
      record: { patch: { error_msg: 'the tails server is down', failures: 3 } },
      others: [{ ...guard, patch: { registry_until: REMOVED, revocation_reason: 'the tails server is down' } }],
      keys: ['rev-reg:r1'],
      next: [makes('r1', 40_000)],
    },
  },
  { title: 'twice', result: 'made', record: registry('generated'), output: { cred_def_id: 'cd' }, error: 'wrong-state' },
  {
    title: 'issues where none does, and another is made to stand by',
    result: 'written',
    record: registry('generated', { error_msg: 'waits' }),
    loaded: credDef,
    pages: uses([], [registry('generated')]),
    output: { write: put.write },
    effects: {
      record: { states: ['posted', 'active'], patch: { use: 'issuing', ready: true, error_msg: REMOVED } },
      others: [guard, fresh('id-1', 'id-2')],
      next: [makes('id-1')],
    },
  },
  {
    title: 'stands by where another issues',
    result: 'written',
    record: registry('generated'),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' }, 'r0')], [registry('generated')]),
    output: { write: put.write },
    effects: { record: { states: ['posted', 'active'], patch: { use: 'backup', ready: true } }, others: [guard] },
  },
  {
    title: 'that is to have no use has none',
    result: 'written',
    record: registry('generated', { spare: true }),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' }, 'r0'), registry('active', { use: 'backup' }, 'r2')]),
    output: { write: put.write },
    effects: { record: { states: ['posted', 'active'], patch: { use: 'none', ready: true, spare: REMOVED } }, others: [guard] },
  },
  {
    title: 'that its controller leads is posted',
    result: 'written',
    record: registry('generated', { manual: true }),
    loaded: credDef,
    pages: uses([]),
    output: { write: put.write },
    effects: { record: { states: ['posted'] } },
  },
  {
    title: 'that its definition needs is made in the end',
    failed: { result: 'made', code: 'anoncreds-failed', text: 'no' },
    record: registry('init', { failures: 10 }),
    effects: { record: { patch: { error_msg: 'no', failures: 11 } }, next: [makes('r1', 600_000)] },
  },
  {
    title: 'that a controller asked for has failed',
    failed: { result: 'written', code: 'ledger-rejected', text: 'no' },
    record: registry('generated', { manual: true }),
    effects: { record: { states: ['failed'], patch: { error_msg: 'no' } } },
  },
  {
    title: 'is not moved by another failure',
    failed: { result: 'uploaded', code: 'tails-unavailable', text: 'no' },
    record: registry('active'),
    effects: { record: { patch: { error_msg: 'no' } } },
  },
  // -- led by its controller
  {
    title: 'is written and waits',
    command: 'post',
    body: { activate: false },
    record: registry('generated', { manual: true }),
    effects: { record: { patch: { manual: true } }, ledger: [put] },
  },
  {
    title: 'is written to become active',
    command: 'post',
    body: { activate: true },
    record: registry('generated', { manual: true }),
    effects: { record: { patch: { manual: REMOVED } }, ledger: [put] },
  },
  {
    title: 'is taken into use',
    command: 'enter',
    body: { cred_def_id: 'cd' },
    record: registry('posted', { manual: true }),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' }, 'r0')]),
    effects: { record: { states: ['active'], patch: { use: 'backup', ready: true, manual: REMOVED } }, others: [guard] },
  },
  {
    title: 'gets a location, and with it another id',
    command: 'locate',
    body: { tails_public_uri: 'https://other/h' },
    record: registry('generated'),
    effects: { work: [{ op: 'anoncreds/relocate', input: { registry: 'r1', location: 'https://other/h' }, result: 'located' }] },
  },
  {
    title: 'is found under both ids',
    result: 'located',
    record: registry('generated'),
    output: { id: 'did:i/S', definition: { ...definition, tag: 's' }, secret: Buffer.from('s') },
    effects: {
      record: { patch: { rev_reg_id: 'did:i/S', definition: { ...definition, tag: 's' }, former_ids: ['did:i/R'] } },
      keys: ['rev-reg:did:i/S'],
      removedKeys: ['rev-reg:did:i/R'],
    },
  },
  {
    title: 'at the place where it is',
    result: 'located',
    record: registry('generated'),
    output: { id: 'did:i/R', definition, secret: Buffer.from('s') },
    effects: {},
  },
  {
    title: 'has its tails file served again',
    command: 'upload',
    record: registry('active'),
    effects: { work: [{ op: 'anoncreds/tails', input: { registry: 'r1' }, result: 'uploaded' }] },
  },
  { title: 'is served', result: 'uploaded', record: registry('active'), effects: {} },
  {
    title: 'cannot be what it is not',
    command: 'set-state',
    body: { cred_def_id: 'cd', state: 'active' },
    record: registry('generated'),
    loaded: credDef,
    pages: uses([]),
    error: 'bad-request',
    text: 'The registry is not on the ledger: its state cannot be active',
  },
  {
    title: 'is set to full: the one that stood by issues',
    command: 'set-state',
    body: { cred_def_id: 'cd', state: 'full' },
    record: registry('active', { use: 'issuing' }),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' }), registry('active', { use: 'backup' }, 'r2')]),
    effects: {
      record: { states: ['full'], patch: { use: 'none' } },
      others: [guard, { def: 'rev_reg', base: 'r2', patch: { use: 'issuing' } }, fresh('id-1', 'id-2')],
      next: [makes('id-1')],
    },
  },
  // -- by turns
  {
    title: 'that is full: the one that stood by issues, and another is made',
    command: 'retire',
    body: { cred_def_id: 'cd', state: 'full' },
    record: registry('active', { use: 'issuing' }),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' }), registry('active', { use: 'backup' }, 'r2')]),
    effects: {
      record: { states: ['full'], patch: { use: 'none' } },
      others: [guard, { def: 'rev_reg', base: 'r2', patch: { use: 'issuing' } }, fresh('id-1', 'id-2')],
      next: [makes('id-1')],
    },
  },
  {
    title: 'that is full while the next one is being made',
    command: 'retire',
    body: { cred_def_id: 'cd', state: 'full' },
    record: registry('active', { use: 'issuing' }),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' })], [registry('init', {}, 'r2'), registry('init', {}, 'r3')]),
    effects: { record: { states: ['full'], patch: { use: 'none' } }, others: [guard] },
  },
  {
    title: 'is retired once',
    command: 'retire',
    body: { cred_def_id: 'cd', state: 'full' },
    record: registry('full'),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' }, 'r2'), registry('active', { use: 'backup' }, 'r3')]),
    error: 'wrong-state',
  },
  {
    title: 'decommissions what issued and what is full',
    command: 'rotate',
    body: { cred_def_id: 'cd' },
    record: registry('active', { use: 'issuing' }),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' }), registry('active', { use: 'backup' }, 'r2')], [], [registry('full', {}, 'r3')]),
    effects: {
      record: { states: ['decommissioned'], patch: { use: 'none' } },
      others: [
        guard,
        { def: 'rev_reg', base: 'r2', patch: { use: 'issuing' } },
        { def: 'rev_reg', base: 'r3', states: ['decommissioned'], patch: { use: 'none' } },
        fresh('id-1', 'id-2'),
      ],
      next: [makes('id-1')],
    },
  },
  {
    title: 'issues in the place of another, which stands by',
    command: 'activate',
    body: { cred_def_id: 'cd' },
    record: registry('active', { use: 'backup' }),
    loaded: credDef,
    pages: uses([registry('active', { use: 'issuing' }, 'r0'), registry('active', { use: 'backup' })]),
    effects: {
      record: { patch: { use: 'issuing' } },
      others: [guard, { def: 'rev_reg', base: 'r0', patch: { use: 'backup' } }],
    },
  },
  { title: 'that is full', command: 'activate', body: { cred_def_id: 'cd' }, record: registry('full'), error: 'wrong-state' },
  // -- revoking
  {
    title: 'is noted',
    command: 'revoke',
    body: { index: 3, publish: false },
    record: registry('full'),
    loaded: { credential: credential(3) },
    pages: { pending: page() },
    effects: { others: [{ def: 'cred_rev', base: credentialRevocationId('r1', 3), patch: { pending: {} } }], answer: {} },
  },
  {
    title: 'is published a while after the first',
    command: 'revoke',
    body: { index: 3, publish: false },
    settings: { revocationPublishInterval: 60 },
    record: registry('active'),
    loaded: { credential: credential(3) },
    pages: { pending: page() },
    effects: {
      others: [{ def: 'cred_rev', base: credentialRevocationId('r1', 3), patch: { pending: {} } }],
      next: [publishes(60_000)],
      answer: {},
    },
  },
  {
    title: 'is published, and its holder is to be notified',
    command: 'revoke',
    body: { index: 3, publish: true, notice: { connection: 'c1', version: 'v1_0' } },
    record: registry('active'),
    loaded: { credential: credential(3) },
    pages: { pending: page(credential(2)) },
    effects: {
      others: [
        {
          def: 'cred_rev',
          base: credentialRevocationId('r1', 3),
          patch: { pending: { notice: { connection: 'c1', version: 'v1_0' } } },
        },
      ],
      next: [publishes(0)],
      answer: {},
    },
  },
  {
    title: 'is published by another agent’s money: the call goes on to the endorsement',
    command: 'revoke',
    body: { index: 3, publish: true, endorser: { connection: 'e1' } },
    record: registry('active'),
    loaded: { credential: credential(3) },
    pages: { pending: page() },
    effects: {
      others: [{ def: 'cred_rev', base: credentialRevocationId('r1', 3), patch: { pending: {} } }],
      next: [{ command: 'publish', input: { endorser: { connection: 'e1' } } }],
      answer: {},
    },
  },
  {
    title: 'has no second effect',
    command: 'revoke',
    body: { index: 3, publish: true },
    record: registry('active'),
    loaded: { credential: credential(3, 'revoked') },
    pages: { pending: page() },
    effects: { answer: {} },
  },
  {
    title: 'of what was not issued',
    command: 'revoke',
    body: { index: 7, publish: false },
    record: registry('active'),
    pages: { pending: page() },
    error: 'bad-request',
    text: 'No credential was issued at index 7 of the registry',
  },
  ...[0, 8, 99].map((index) => ({
    title: `of index ${index}, which the registry has not`,
    command: 'revoke',
    body: { index, publish: true },
    record: registry('active'),
    loaded: { credential: credential(index) },
    pages: { pending: page() },
    error: 'bad-request' as const,
    text: `The registry has the indices 1 to 7, and not ${index}`,
  })),
  {
    title: 'of a registry that is not on the ledger',
    command: 'revoke',
    body: { index: 1, publish: true },
    record: registry('generated'),
    error: 'wrong-state',
  },
  {
    title: 'takes what is pending',
    command: 'publish',
    record: registry('decommissioned', { error_msg: 'x' }),
    effects: {
      record: { patch: { publishing: { tries: 0, due: 'all' }, error_msg: REMOVED } },
      work: [{ op: 'anoncreds/status', input: { registry: 'r1', due: 'all' }, result: 'prepared' }],
    },
  },
  {
    title: 'waits for the one before',
    command: 'publish',
    body: { indices: [2, 5] },
    record: registry('active', { publishing: { tries: 0, due: 'all' }, due: [1, 2] }),
    effects: { record: { patch: { due: [1, 2, 5] } } },
  },
  {
    title: 'waits once',
    command: 'publish',
    record: registry('active', { publishing: { tries: 0, due: 'all' }, due: 'all' }),
    effects: {},
  },
  {
    title: 'takes the place of one whose endorsement was refused, and what that took',
    command: 'publish',
    body: { indices: [5], endorser: { connection: 'e1' } },
    record: registry('active', { publishing: { tries: 2, due: [2] } }),
    loaded: { endorsement: { category: 'transaction', id: 't1', state: 'transaction_refused', value: {} } },
    effects: {
      record: { patch: { publishing: { tries: 0, due: [2, 5], after: 't1' }, endorser: { connection: 'e1' } } },
      work: [{ op: 'anoncreds/status', input: { registry: 'r1', due: [2, 5] }, result: 'prepared' }],
    },
  },
  {
    title: 'waits for the one that took that place',
    command: 'publish',
    body: { indices: [6] },
    record: registry('active', { publishing: { tries: 0, due: [2, 5], after: 't1' } }),
    loaded: { endorsement: { category: 'transaction', id: 't1', state: 'transaction_refused', value: {} } },
    effects: { record: { patch: { due: [6] } } },
  },
  {
    title: 'waits for one that is to be endorsed',
    command: 'publish',
    record: registry('active', { publishing: { tries: 0, due: 'all' } }),
    loaded: { endorsement: { category: 'transaction', id: 't1', state: 'request_sent', value: {} } },
    effects: { record: { patch: { due: 'all' } } },
  },
  {
    title: 'of a registry that another agent pays for is paid by it',
    result: 'prepared',
    record: registry('active', { publishing: { tries: 0, due: 'all' }, endorser: { connection: 'e1' } }),
    pages: { pending: page(credential(3)) },
    output: { status: status(3), expected: 1 },
    effects: { ledger: [{ write: append(1, 3), verkey: key(103), result: 'published', endorser: { connection: 'e1' } }] },
  },
  {
    title: 'is written behind what the log has',
    result: 'prepared',
    record: registry('active', { publishing: { tries: 0, due: 'all' } }),
    pages: { pending: page(credential(3)) },
    output: { status: status(3), expected: 1 },
    effects: { ledger: [{ write: append(1, 3), verkey: key(103), result: 'published' }] },
  },
  {
    title: 'of what the ledger has already is done',
    result: 'prepared',
    record: registry('active', { publishing: { tries: 0, due: 'all' } }),
    pages: { pending: page(credential(3, 'issued', { pending: {} })) },
    output: { status: status(3) },
    effects: {
      record: { patch: { status: status(3), publishing: REMOVED } },
      others: [revoked(3)],
      next: [shows(3)],
    },
  },
  {
    title: 'revokes what the ledger has confirmed, and nothing else; what came meanwhile is published next',
    result: 'published',
    record: registry('active', { publishing: { tries: 0, due: 'all' }, due: [4] }),
    pages: {
      pending: page(
        credential(2, 'issued', { pending: { notice: { connection: 'c1', version: 'v1_0', thread_id: 't' } } }),
        credential(3, 'issued', { pending: { notice: { connection: 'c2', version: 'v2_0', comment: 'lost' } }, cred_ex_version: '1' }),
        credential(4, 'issued', { pending: {} }),
      ),
    },
    output: { write: append(1, 2, 3) },
    effects: {
      record: { patch: { status: status(2, 3), publishing: REMOVED, due: REMOVED } },
      others: [revoked(2), revoked(3)],
      next: [
        shows(2),
        {
          protocol: 'revocation-notification-1.0',
          command: 'notify',
          record: { category: 'connection', id: 'c1' },
          input: { rev_reg_id: 'did:i/R', cred_rev_id: '2', thread_id: 't' },
        },
        { protocol: 'issue-credential-1.0', command: 'show-revoked', record: { category: 'credential_exchange_v10', id: 'x3' } },
        {
          protocol: 'revocation-notification-2.0',
          command: 'notify',
          record: { category: 'connection', id: 'c2' },
          input: { rev_reg_id: 'did:i/R', cred_rev_id: '3', comment: 'lost' },
        },
        publishes(0, { indices: [4] }),
      ],
    },
  },
  {
    title: 'removes older states once a day',
    result: 'published',
    settings: { revocationHistoryDays: 30 },
    record: registry('active', { publishing: { tries: 0, due: 'all' } }),
    pages: { pending: page() },
    output: { write: append(1, 2) },
    effects: {
      record: { patch: { status: status(2), publishing: REMOVED, pruned: NOW } },
      ledger: [
        {
          write: { kind: 'status-prune', id: 'did:i/R', did: 'did:i', before: Math.floor(NOW / 1000) - 30 * 86_400 },
          verkey: key(103),
          result: 'pruned',
        },
      ],
    },
  },
  { title: 'changes nothing here', result: 'pruned', record: registry('active'), effects: {} },
  {
    title: 'of a log in which another was quicker is made anew',
    failed: { result: 'published', code: 'status-overtaken', text: 'overtaken' },
    record: registry('active', { publishing: { tries: 3, due: [2] } }),
    effects: {
      record: { patch: { publishing: { tries: 4, due: [2] } } },
      work: [{ op: 'anoncreds/status', input: { registry: 'r1', due: [2] }, result: 'prepared' }],
    },
  },
  {
    title: 'that was overtaken five times ends; nothing is revoked',
    failed: { result: 'published', code: 'status-overtaken', text: 'overtaken' },
    record: registry('active', { publishing: { tries: 4, due: 'all' }, due: 'all' }),
    effects: {
      record: { patch: { publishing: REMOVED, due: REMOVED, error_msg: 'overtaken' } },
      next: [publishes(0)],
    },
  },
  {
    title: 'goes on with what one commit did not hold',
    command: 'settle',
    record: registry('active', { status: status(3), publishing: { tries: 0, due: 'all' } }),
    pages: { pending: page(credential(3, 'issued', { pending: {} }), credential(4, 'issued', { pending: {} })) },
    effects: { record: { patch: { status: status(3) } }, others: [revoked(3)], next: [shows(3)] },
  },
  {
    title: 'goes on with the rows behind',
    command: 'settle',
    record: registry('active', { status: status(3) }),
    pages: { pending: { ...page(credential(4, 'issued', { pending: {} })), total: 20_000, next: 'behind' } },
    effects: { record: { patch: { status: status(3) } }, next: [{ command: 'settle', input: { cursor: 'behind' }, after: 0 }] },
  },
  {
    title: 'takes back what is not published, of rows behind too',
    command: 'clear',
    record: registry('active'),
    pages: { pending: { ...page(credential(3, 'issued', { pending: {} })), total: 20_000, next: 'behind' } },
    effects: {
      record: {},
      others: [{ def: 'cred_rev', base: credentialRevocationId('r1', 3), patch: { pending: REMOVED } }],
      next: [{ command: 'clear', input: { cursor: 'behind' } }],
      answer: {},
    },
  },
  {
    title: 'takes back what is not published, but for what a publication has in hand',
    command: 'clear',
    body: { indices: [3, 4, 5] },
    record: registry('active', { publishing: { tries: 0, due: [4] } }),
    pages: {
      pending: page(
        credential(3, 'issued', { pending: {} }),
        credential(4, 'issued', { pending: {} }),
        credential(6, 'issued', { pending: {} }),
      ),
    },
    effects: {
      record: {},
      others: [{ def: 'cred_rev', base: credentialRevocationId('r1', 3), patch: { pending: REMOVED } }],
      answer: {},
    },
  },
  {
    title: 'publishes what the wallet alone has, and shows what the ledger alone has',
    command: 'fix',
    body: { behind: [3], ahead: [4] },
    record: registry('active'),
    loaded: { 3: credential(3, 'revoked'), 4: credential(4) },
    effects: {
      others: [
        { def: 'cred_rev', base: credentialRevocationId('r1', 3), patch: { pending: {} } },
        { def: 'cred_rev', base: credentialRevocationId('r1', 4), states: ['revoked'] },
      ],
      next: [publishes(0, { indices: [3] })],
      answer: {},
    },
  },
]);
