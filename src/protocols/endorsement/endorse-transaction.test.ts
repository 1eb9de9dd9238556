import { CONNECTION, NOW, SETTINGS, type Some, some, table } from '../../../test/support/steps.ts';
import { hashId } from '../../kernel/ids.ts';
import type { EndorsedGroup, EndorsementRequest } from '../../ports/endorsement.ts';

const DID = `did:algo:custom:app:1001:${'ab'.repeat(32)}`;
const ENDORSER_DID = `did:algo:custom:app:1001:${'cd'.repeat(32)}`;
const WRITE = { kind: 'object-put', id: `${DID}/anoncreds/v1/SCHEMA/x`, did: DID, type: 'SCHEMA', object: { a: 1 } } as const;
const REQUEST: EndorsementRequest = {
  format: 'algorand/group@1',
  network: 'custom',
  genesisHash: 'AA==',
  appId: 1001,
  write: WRITE,
  did: DID,
  account: 'ACCOUNT',
  deposit: 100,
};
const GROUP: EndorsedGroup = { format: 'algorand/group@1', payment: 'AA==', calls: ['AA=='], sponsor: 'S', firstValid: 1, lastValid: 301 };
const ORDER = { protocol: 'anoncreds-schema', category: 'schema', id: 's1', result: 'written', verkey: 'VK', write: WRITE };
const ATTACHED = { '@id': 'id-1', 'mime-type': 'application/json', data: { json: JSON.stringify(REQUEST) } };
const FORMAT = { attach_id: 'id-1', format: 'dif/endorse-transaction/request@v1.0' };

const withJobs = (mine?: string, theirs?: string, more: object = {}): Some => ({
  ...CONNECTION,
  value: {
    ...CONNECTION.value,
    my_did: 'did:peer:mine',
    metadata: {
      transaction_jobs: { ...(mine && { transaction_my_job: mine }), ...(theirs && { transaction_their_job: theirs }) },
      ...more,
    },
  },
});
const AUTHORS = withJobs('TRANSACTION_AUTHOR', 'TRANSACTION_ENDORSER');
const ENDORSERS = withJobs('TRANSACTION_ENDORSER', 'TRANSACTION_AUTHOR');
const settings = (endorsement: object) => ({ endorsement: { ...SETTINGS.endorsement, ...endorsement } });

const authors = (state: string, more: object = {}): Some => ({
  id: 't1',
  role: 'author',
  state,
  connection: 'c1',
  value: {
    connection_id: 'c1',
    thread: 't1',
    signature_request: [],
    signature_response: [],
    timing: {},
    formats: [FORMAT],
    messages_attach: [ATTACHED],
    meta_data: { context: { job_id: 's1' }, processing: {} },
    order: ORDER,
    ...more,
  },
});
const SIGNATURE_REQUEST = {
  context: 'did:sov',
  method: 'add-signature',
  signature_type: 'default',
  signer_goal_code: 'aries.transaction.endorse',
  author_goal_code: 'aries.transaction.ledger.write',
};
const endorsers = (state: string, more: object = {}): Some => ({
  id: 'e1',
  role: 'endorser',
  state,
  connection: 'c1',
  value: {
    _type: 'https://didcomm.org/sign-attachment/1.0/signature-request',
    connection_id: 'c1',
    thread: 't1',
    thread_id: 't1',
    signature_request: [SIGNATURE_REQUEST],
    signature_response: [],
    timing: {},
    formats: [FORMAT],
    messages_attach: [ATTACHED],
    meta_data: { context: {}, processing: {} },
    ...more,
  },
});
const ASKING = {
  transaction_id: 't1',
  signature_request: SIGNATURE_REQUEST,
  timing: {},
  messages_attach: ATTACHED,
  endorser_write_txn: false,
};
const ENDORSED = {
  message_id: 'id-1',
  context: 'did:sov',
  method: 'add-signature',
  signer_goal_code: 'aries.transaction.endorse',
  signature_type: 'default',
  signature: { [ENDORSER_DID]: JSON.stringify(GROUP) },
};
const refusal = (comment?: string) => ({
  message_id: 'id-1',
  context: 'did:sov',
  method: 'add-signature',
  signer_goal_code: 'aries.transaction.refuse',
  ...(comment && { comment }),
});
const RESPONSE_TYPE = 'https://didcomm.org/sign-attachment/1.0/signature-response';
const NEW_ID = hashId('transaction c1 t1');
const ANSWERED = { transaction_id: 't1', thread_id: 'e1', endorser_did: ENDORSER_DID };
const refused = (id: string, comment: string | undefined, states: string[] = ['transaction_refused']) => ({
  record: some({
    id,
    states,
    patch: some({ signature_response: [refusal(comment)], meta_data: { context: comment ? { refusal: comment } : {}, processing: {} } }),
  }),
  send: [
    {
      type: 'refuse',
      thid: 't1',
      body: { transaction_id: 't1', thread_id: id, signature_response: refusal(comment), state: 'transaction_refused', endorser_did: null },
    },
  ],
});
const spent = (writes: number, microalgo: number, day = new Date(NOW).toISOString().slice(0, 10)): Record<string, Some> => ({
  spent: { category: 'endorsement_spent', id: 'c1', version: 3, value: { day, writes, microalgo } },
});
const BUILT = { endorsed: { state: 'endorsed', group: GROUP, cost: 500_000 }, about: { endorser_did: ENDORSER_DID, connection: 'c1' } };
const asks = (more: object = {}) => ({
  work: [
    {
      op: 'endorsement/group',
      input: {
        attachment: ATTACHED,
        timing: {},
        operationId: 'c1 t1',
        rounds: 300,
        about: { endorser_did: 'did:peer:mine', connection: 'c1', ...more },
      },
      result: 'built',
    },
  ],
});
const UNSET = 'The transaction related jobs are not set up in connection metadata for this connection record';
const ordered = (group?: EndorsedGroup) => ({
  write: WRITE,
  verkey: 'VK',
  result: 'written',
  on: { protocol: 'anoncreds-schema', category: 'schema', id: 's1' },
  endorsement: { transaction: 't1', ...(group && { group }) },
});

table('endorse-transaction', [
  {
    title: 'a role of the peer is kept',
    message: 'transaction_my_job',
    body: { job: 'TRANSACTION_ENDORSER' },
    effects: {
      others: [some({ def: 'connection', patch: { metadata: { transaction_jobs: { transaction_their_job: 'TRANSACTION_ENDORSER' } } } })],
    },
  },
  {
    title: 'an endorser by its flags answers an author with its own role',
    message: 'transaction_my_job',
    body: { job: 'TRANSACTION_AUTHOR' },
    settings: settings({ role: 'endorser' }),
    effects: {
      others: [
        some({
          patch: {
            metadata: { transaction_jobs: { transaction_their_job: 'TRANSACTION_AUTHOR', transaction_my_job: 'TRANSACTION_ENDORSER' } },
          },
        }),
      ],
      send: [{ type: 'transaction_my_job', body: { job: 'TRANSACTION_ENDORSER' } }],
    },
  },
  { title: 'a role that nobody knows', message: 'transaction_my_job', body: { job: 'BANKER' }, error: 'message-invalid' },
  {
    title: 'waits for the controller',
    message: 'request',
    body: ASKING,
    connection: ENDORSERS,
    about: { category: 'transaction', tag: 'thread', equals: 't1' },
    loads: { spent: { category: 'endorsement_spent', id: 'c1' } },
    effects: {
      record: {
        id: NEW_ID,
        role: 'endorser',
        connection: 'c1',
        states: ['request_received'],
        patch: endorsers('request_received').value,
      },
    },
  },
  {
    title: 'is checked by itself, by the flag, though nobody has set a role',
    message: 'request',
    body: ASKING,
    settings: settings({ role: 'endorser', autoEndorse: true, endorseWith: ENDORSER_DID }),
    effects: {
      record: some({ states: ['request_received'] }),
      next: [{ command: 'endorse', record: { category: 'transaction', id: NEW_ID }, input: { endorser_did: ENDORSER_DID } }],
    },
  },
  {
    title: 'is not looked at by a wallet whose sponsor does not pay for others',
    message: 'request',
    body: ASKING,
    settings: settings({ role: 'endorser', autoEndorse: true, pays: false }),
    effects: { record: some({ states: ['request_received'] }) },
  },
  {
    title: 'of a connection that has had its writes of today is refused at once',
    message: 'request',
    body: ASKING,
    loaded: spent(2, 0),
    settings: settings({ role: 'endorser', autoEndorse: true, writesPerDay: 2 }),
    effects: refused(NEW_ID, 'quota: 2 writes a day are endorsed for a connection', ['request_received', 'transaction_refused']),
  },
  {
    title: 'of a connection that had them yesterday is not',
    message: 'request',
    body: ASKING,
    loaded: spent(2, 0, '2000-01-01'),
    settings: settings({ writesPerDay: 2 }),
    effects: { record: some({ states: ['request_received'] }) },
  },
  {
    title: 'of a connection with a hundred that wait is refused',
    message: 'request',
    body: ASKING,
    pages: { open: { rows: [], total: 100 } },
    effects: refused(NEW_ID, 'quota: 100 requests wait already', ['request_received', 'transaction_refused']),
  },
  {
    title: 'of a transaction whose group has expired is one again',
    message: 'request',
    body: ASKING,
    record: endorsers('transaction_endorsed'),
    effects: { record: some({ id: 'e1', states: ['request_received'] }) },
  },
  { title: 'of one that is written', message: 'request', body: ASKING, record: endorsers('transaction_acked'), error: 'wrong-state' },
  { title: 'that waits already', message: 'request', body: ASKING, record: endorsers('request_received'), error: 'wrong-state' },
  { title: 'of our own', message: 'request', body: ASKING, record: authors('transaction_refused'), error: 'wrong-state' },
  { title: 'without an attachment', message: 'request', body: { ...ASKING, messages_attach: {} }, error: 'message-invalid' },
  {
    title: 'waits for the controller',
    message: 'endorse',
    body: { ...ANSWERED, signature_response: ENDORSED, state: 'transaction_endorsed' },
    record: authors('request_sent'),
    about: { category: 'transaction', id: 't1' },
    effects: {
      record: {
        states: ['transaction_endorsed'],
        patch: { _type: RESPONSE_TYPE, signature_response: [ENDORSED], thread_id: 'e1', group: GROUP },
      },
    },
  },
  {
    title: 'is written by itself, by the flag',
    message: 'endorse',
    body: { ...ANSWERED, signature_response: ENDORSED },
    record: authors('transaction_resent'),
    settings: settings({ autoWrite: true }),
    effects: { record: some({ states: ['transaction_endorsed'] }), next: [{ command: 'write' }] },
  },
  {
    title: 'without a group',
    message: 'endorse',
    body: { ...ANSWERED, signature_response: { ...ENDORSED, signature: { other: '{}' } } },
    record: authors('request_sent'),
    error: 'message-invalid',
  },
  {
    title: 'of a request that was never sent',
    message: 'endorse',
    body: { ...ANSWERED, signature_response: ENDORSED },
    record: authors('transaction_created'),
    error: 'wrong-state',
  },
  {
    title: 'twice',
    message: 'endorse',
    body: { ...ANSWERED, signature_response: ENDORSED },
    record: authors('transaction_endorsed'),
    error: 'wrong-state',
  },
  {
    title: 'of a record in which we endorse',
    message: 'endorse',
    body: { ...ANSWERED, signature_response: ENDORSED },
    record: { ...endorsers('request_sent') },
    error: 'wrong-state',
  },
  {
    title: 'is kept with its reason',
    message: 'refuse',
    body: { ...ANSWERED, signature_response: refusal('method: no such write is endorsed') },
    record: authors('request_sent'),
    settings: settings({ autoRequest: true }),
    effects: {
      record: some({
        states: ['transaction_refused'],
        patch: some({
          error_msg: 'method: no such write is endorsed',
          meta_data: { context: { job_id: 's1', refusal: 'method: no such write is endorsed' }, processing: {} },
        }),
      }),
    },
  },
  {
    title: 'of what the ledger has overtaken has the write planned anew',
    message: 'refuse',
    body: { ...ANSWERED, signature_response: refusal('stale: the ledger holds exactly that') },
    record: authors('request_sent'),
    settings: settings({ autoRequest: true }),
    effects: { record: some({ states: ['transaction_refused'] }), ledger: [ordered()] },
  },
  {
    title: 'of that a fourth time does not',
    message: 'refuse',
    body: { ...ANSWERED, signature_response: refusal('stale: again') },
    record: authors('request_sent', { again: 3 }),
    settings: settings({ autoRequest: true }),
    effects: { record: some({ states: ['transaction_refused'] }) },
  },
  {
    title: 'ends a request',
    message: 'cancel',
    body: { thread_id: 't1', state: 'transaction_cancelled' },
    record: endorsers('request_received'),
    about: { category: 'transaction', tag: 'thread', equals: 't1' },
    effects: { record: { states: ['transaction_cancelled'] } },
  },
  {
    title: 'of what is written',
    message: 'cancel',
    body: { thread_id: 't1' },
    record: endorsers('transaction_acked'),
    error: 'wrong-state',
  },
  {
    title: 'makes it one again',
    message: 'resend',
    body: { thread_id: 't1', state: 'transaction_resent_received' },
    record: endorsers('transaction_refused', { meta_data: { context: { refusal: 'x' } } }),
    settings: settings({ role: 'endorser', autoEndorse: true }),
    effects: {
      record: some({ states: ['transaction_resent_received'], patch: some({ meta_data: { context: {} }, signature_response: [] }) }),
      next: [{ command: 'endorse', record: { category: 'transaction', id: 'e1' }, input: {} }],
    },
  },
  {
    title: 'of a request that waits',
    message: 'resend',
    body: { thread_id: 't1' },
    record: endorsers('request_received'),
    error: 'wrong-state',
  },
  {
    title: 'ends it',
    acked: { status: 'OK' },
    record: endorsers('transaction_endorsed'),
    effects: { record: { states: ['transaction_acked'] } },
  },
  { title: 'of what we wrote ourselves', acked: { status: 'OK' }, record: authors('transaction_endorsed'), error: 'wrong-state' },
  {
    title: 'begins an endorsement, and answers in ACA-Py’s words',
    command: 'begin',
    connection: AUTHORS,
    body: { id: 't1', order: ORDER, request: REQUEST, subject: { job_id: 's1', schema_state: {}, registration_metadata: { a: 1 } } },
    effects: {
      record: {
        id: 't1',
        role: 'author',
        connection: 'c1',
        states: ['transaction_created'],
        patch: authors('transaction_created').value,
      },
      answer: some({
        job_id: 's1',
        registration_metadata: some({ a: 1, txn: some({ transaction_id: 't1', state: 'transaction_created', connection_id: 'c1' }) }),
      }),
    },
  },
  {
    title: 'is requested by itself, by the flag',
    command: 'begin',
    connection: AUTHORS,
    body: { id: 't1', order: ORDER, request: REQUEST, subject: { result: {} } },
    settings: settings({ autoRequest: true }),
    effects: { record: some({ id: 't1' }), next: [{ command: 'request' }], answer: some({ txn: some({ transaction_id: 't1' }) }) },
  },
  {
    title: 'goes out',
    command: 'request',
    record: authors('transaction_created'),
    effects: {
      record: some({ states: ['request_sent'], patch: some({ signature_request: [SIGNATURE_REQUEST], timing: {} }) }),
      send: [{ type: 'request', thid: 't1', body: ASKING }],
    },
  },
  {
    title: 'goes out with its time',
    command: 'POST /transactions/create-request',
    query: { tran_id: 't1' },
    body: { expires_time: '2031-01-01T00:00:00Z' },
    about: { category: 'transaction', id: 't1' },
    record: authors('transaction_created', { order: { ...ORDER, write: { kind: 'did-deactivate', did: DID } } }),
    connection: AUTHORS,
    effects: {
      record: some({ states: ['request_sent'] }),
      send: [
        {
          type: 'request',
          thid: 't1',
          body: {
            ...ASKING,
            signature_request: { ...SIGNATURE_REQUEST, author_goal_code: 'aries.transaction.ledger.write_did' },
            timing: { expires_time: '2031-01-01T00:00:00Z' },
          },
        },
      ],
    },
  },
  ...(
    [
      [CONNECTION, UNSET],
      [withJobs(undefined, 'TRANSACTION_ENDORSER'), /"transaction_my_job" is not set/],
      [withJobs('TRANSACTION_AUTHOR'), /^Ask the other agent/],
      [withJobs('TRANSACTION_ENDORSER', 'TRANSACTION_AUTHOR'), 'Only a TRANSACTION_AUTHOR can create a request'],
      [withJobs('TRANSACTION_AUTHOR', 'TRANSACTION_AUTHOR'), 'A request can only be created to a TRANSACTION_ENDORSER'],
    ] as const
  ).map(([connection, text], i) => ({
    title: `needs the roles of both, ${i}`,
    command: 'create-request',
    query: { tran_id: 't1' },
    body: { expires_time: '2031-01-01T00:00:00Z' },
    record: authors('transaction_created'),
    connection,
    error: 'forbidden' as const,
    text,
  })),
  {
    title: 'without a time',
    command: 'create-request',
    query: { tran_id: 't1' },
    record: authors('transaction_created'),
    connection: AUTHORS,
    error: 'unprocessable',
  },
  {
    title: 'twice',
    command: 'create-request',
    query: { tran_id: 't1' },
    body: { expires_time: '2031-01-01T00:00:00Z' },
    record: authors('request_sent'),
    connection: AUTHORS,
    error: 'bad-request',
    text: 'Cannot create a request for transaction record in state: request_sent',
  },
  {
    title: 'orders the group, under the DID of the connection where no other is there',
    command: 'POST /transactions/{tran_id}/endorse',
    record: endorsers('request_received'),
    connection: ENDORSERS,
    loads: { public: { category: 'did', tag: 'posture', equals: 'public' } },
    effects: asks(),
  },
  {
    title: 'under the public DID',
    command: 'endorse',
    record: endorsers('transaction_resent_received'),
    connection: ENDORSERS,
    loaded: { public: { value: { did: ENDORSER_DID } } },
    effects: asks({ endorser_did: ENDORSER_DID }),
  },
  {
    title: 'under a named DID',
    command: 'endorse',
    query: { endorser_did: ENDORSER_DID },
    record: endorsers('request_received'),
    connection: ENDORSERS,
    loaded: { named: { value: { did: ENDORSER_DID } } },
    loads: {
      public: { category: 'did', tag: 'posture', equals: 'public' },
      named: { category: 'did', tag: 'did', equals: ENDORSER_DID },
    },
    effects: asks({ endorser_did: ENDORSER_DID }),
  },
  {
    title: 'under a DID of somebody else',
    command: 'endorse',
    query: { endorser_did: 'did:x' },
    record: endorsers('request_received'),
    connection: ENDORSERS,
    error: 'bad-request',
    text: 'DID did:x is not in this wallet',
  },
  {
    title: 'without the role',
    command: 'endorse',
    record: endorsers('request_received'),
    connection: CONNECTION,
    error: 'forbidden',
    text: UNSET,
  },
  {
    title: 'as an author',
    command: 'endorse',
    record: authors('request_received'),
    connection: AUTHORS,
    error: 'forbidden',
    text: 'Only a TRANSACTION_ENDORSER can endorse a transaction',
  },
  {
    title: 'of a tenant',
    command: 'endorse',
    record: endorsers('request_received'),
    connection: ENDORSERS,
    settings: settings({ pays: false }),
    error: 'forbidden',
    text: /Only the base wallet endorses/,
  },
  {
    title: 'of what is endorsed',
    command: 'endorse',
    record: endorsers('transaction_endorsed'),
    connection: ENDORSERS,
    error: 'bad-request',
    text: /in state: transaction_endorsed/,
  },
  {
    title: 'goes out, and counts',
    result: 'built',
    output: BUILT,
    record: endorsers('request_received'),
    loaded: spent(1, 200_000),
    settings: settings({ writesPerDay: 2, algoPerDay: 1 }),
    effects: {
      record: { states: ['transaction_endorsed'], patch: { _type: RESPONSE_TYPE, signature_response: [ENDORSED] } },
      others: [some({ def: 'endorsement_spent', base: 'c1', patch: some({ writes: 2, microalgo: 700_000 }) })],
      send: [
        {
          type: 'endorse',
          thid: 't1',
          body: { ...ANSWERED, signature_response: ENDORSED, state: 'transaction_endorsed', ledger_response: {} },
        },
      ],
    },
  },
  {
    title: 'beyond the ALGO of today is refused',
    result: 'built',
    output: BUILT,
    record: endorsers('request_received'),
    loaded: spent(1, 600_000),
    settings: settings({ algoPerDay: 1 }),
    effects: refused('e1', 'quota: writes of 1 ALGO a day are endorsed for a connection'),
  },
  {
    title: 'that failed its checks is refused with the reason',
    failed: { result: 'built', code: 'endorsement-refused', text: 'amount: the deposit is 1 microALGO, not 2' },
    record: endorsers('request_received'),
    effects: refused('e1', 'amount: the deposit is 1 microALGO, not 2'),
  },
  {
    title: 'that could not be made stays as it is',
    failed: { result: 'built', code: 'ledger-none', text: 'No ledger is configured' },
    record: endorsers('request_received'),
    effects: { record: { patch: { error_msg: 'No ledger is configured' } } },
  },
  {
    title: 'by the controller',
    command: 'POST /transactions/{tran_id}/refuse',
    record: endorsers('request_received'),
    connection: ENDORSERS,
    effects: refused('e1', undefined),
  },
  {
    title: 'by an author',
    command: 'refuse',
    record: authors('request_sent'),
    connection: AUTHORS,
    error: 'forbidden',
    text: 'Only a TRANSACTION_ENDORSER can refuse a transaction',
  },
  {
    title: 'of a request',
    command: 'POST /transactions/{tran_id}/cancel',
    record: authors('request_sent'),
    connection: AUTHORS,
    effects: {
      record: { states: ['transaction_cancelled'] },
      send: [{ type: 'cancel', thid: 't1', body: { state: 'transaction_cancelled', thread_id: 't1' } }],
    },
  },
  {
    title: 'of what is endorsed',
    command: 'cancel',
    record: authors('transaction_endorsed'),
    connection: AUTHORS,
    error: 'bad-request',
    text: 'Cannot cancel transaction as transaction is in state: transaction_endorsed',
  },
  {
    title: 'of a refused request',
    command: 'POST /transaction/{tran_id}/resend',
    record: authors('transaction_refused', { error_msg: 'x' }),
    connection: AUTHORS,
    effects: {
      record: some({ states: ['transaction_resent'] }),
      send: [{ type: 'resend', thid: 't1', body: { state: 'transaction_resent_received', thread_id: 't1' } }],
    },
  },
  {
    title: 'of one that is out',
    command: 'resend',
    record: authors('request_sent'),
    connection: AUTHORS,
    error: 'bad-request',
    text: 'Cannot resend transaction as transaction is in state: request_sent',
  },
  {
    title: 'orders the write of the record that began it',
    command: 'POST /transactions/{tran_id}/write',
    record: authors('transaction_endorsed', { group: GROUP }),
    connection: AUTHORS,
    effects: { record: { patch: { writing: true } }, ledger: [ordered(GROUP)] },
  },
  {
    title: 'while it is being written',
    command: 'write',
    record: authors('transaction_endorsed', { group: GROUP, writing: true }),
    connection: AUTHORS,
    effects: {},
  },
  {
    title: 'of what is not endorsed',
    command: 'write',
    record: authors('request_sent'),
    connection: AUTHORS,
    error: 'forbidden',
    text: ' The transaction cannot be written to the ledger as it is in state: request_sent',
  },
  { title: 'by the endorser', command: 'write', record: endorsers('transaction_endorsed'), connection: ENDORSERS, error: 'forbidden' },
  {
    title: 'of a write that landed',
    command: 'settle',
    body: { ledger_response: { txid: 'T', round: 7, id: WRITE.id } },
    record: authors('transaction_endorsed', { writing: true }),
    effects: {
      record: some({ states: ['transaction_acked'] }),
      send: [{ type: 'ack', thid: 't1', body: { status: 'OK', thread_id: 't1', ledger_response: { txid: 'T', round: 7, id: WRITE.id } } }],
    },
  },
  {
    title: 'of a write that the ledger will never take',
    command: 'settle',
    body: { error: 'rejected' },
    record: authors('transaction_endorsed', { writing: true }),
    effects: {
      record: some({ states: ['transaction_cancelled'], patch: some({ error_msg: 'rejected' }) }),
      send: [{ type: 'cancel', thid: 't1', body: { state: 'transaction_cancelled', thread_id: 't1' } }],
    },
  },
  { title: 'twice', command: 'settle', body: {}, record: authors('transaction_acked'), error: 'wrong-state' },
  {
    title: 'of a group that expired is asked for again',
    command: 'returned',
    body: { because: 'expired', text: 'expired', request: REQUEST },
    record: authors('transaction_endorsed', { writing: true, group: GROUP }),
    settings: settings({ autoRequest: true }),
    effects: {
      record: some({ states: ['transaction_created'], patch: some({ error_msg: 'expired', again: 1, messages_attach: [ATTACHED] }) }),
      next: [{ command: 'request' }],
    },
  },
  {
    title: 'a fourth time waits for the controller',
    command: 'returned',
    body: { because: 'expired', text: 'expired', request: REQUEST },
    record: authors('transaction_endorsed', { again: 3 }),
    settings: settings({ autoRequest: true }),
    effects: { record: some({ states: ['transaction_created'] }) },
  },
  {
    title: 'of a group that is not the write’s is a refusal of our own',
    command: 'returned',
    body: { because: 'invalid', text: 'call 1 is not that of this write' },
    record: authors('transaction_endorsed', { group: GROUP }),
    settings: settings({ autoRequest: true }),
    effects: {
      record: some({ states: ['transaction_refused'], patch: some({ error_msg: 'call 1 is not that of this write' }) }),
    },
  },
  {
    title: 'is kept, and the peer has it',
    command: 'POST /transactions/{conn_id}/set-endorser-role',
    query: { transaction_my_job: 'TRANSACTION_AUTHOR' },
    connection: withJobs(undefined, 'TRANSACTION_ENDORSER'),
    effects: {
      others: [some({ def: 'connection' })],
      send: [{ type: 'transaction_my_job', body: { job: 'TRANSACTION_AUTHOR' } }],
      answer: { transaction_my_job: 'TRANSACTION_AUTHOR', transaction_their_job: 'TRANSACTION_ENDORSER' },
    },
  },
  {
    title: 'is shown where none is given',
    command: 'set-endorser-role',
    connection: AUTHORS,
    effects: { answer: { transaction_my_job: 'TRANSACTION_AUTHOR', transaction_their_job: 'TRANSACTION_ENDORSER' } },
  },
  {
    title: 'is kept',
    command: 'POST /transactions/{conn_id}/set-endorser-info',
    query: { endorser_did: ENDORSER_DID, endorser_name: 'bank' },
    connection: AUTHORS,
    effects: { others: [some({ def: 'connection' })], answer: { endorser_did: ENDORSER_DID, endorser_name: 'bank' } },
  },
  {
    title: 'of an endorser',
    command: 'set-endorser-info',
    query: { endorser_did: ENDORSER_DID },
    connection: ENDORSERS,
    error: 'forbidden',
    text: 'Only a TRANSACTION_AUTHOR can add endorser_info to metadata of its connection record',
  },
]);
