import { AUTHOR, ENDORSER, type EndorserMetadata } from '../../kernel/endorsement.ts';
import { command, defineProtocol, NEW } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import { type TransactionValue, transaction } from '../../records/transaction.ts';
import * as author from './author-steps.ts';
import * as endorser from './endorser-steps.ts';
import { requireJob, withMetadata } from './roles.ts';

const Text = Type.String({ maxLength: 1000 });
const Json = Type.Object({});
const Job = Type.Union([AUTHOR, ENDORSER, 'reset'].map((name) => Type.Literal(name)));
const Signature = Type.Object({ comment: Type.Optional(Type.Union([Type.String(), Type.Null()])) });
/** A command looks at the state by itself, in ACA-Py's order: the role comes first. */
const ANY = transaction.states;

const own = (id: string | undefined) => ({ category: transaction.category, id: id ?? '' });
/** The author's record, as `cancel`, `resend` and `ack` name it. */
const ofAuthor = (id: unknown) => ({ category: transaction.category, tag: 'thread', equals: String(id) });

/**
 * ACA-Py's `transactions/1.0`: an author's ledger write that another agent pays for. The attachments are this ledger's: the author's request names the write,
 * the endorser answers with a group of transactions of which it has signed the payment, and the author signs and sends it.
 */
export const endorseTransaction = defineProtocol<TransactionValue>({
  name: 'endorse-transaction',
  uris: ['https://didcomm.org/transactions/1.0'],
  roles: ['author', 'endorser'],
  binds: transaction,
  messages: {
    transaction_my_job: {
      schema: Type.Object({ job: Job }),
      from: '*',
      step(ctx, message) {
        const { transaction_jobs: jobs } = (ctx.connection!.value.metadata ?? {}) as EndorserMetadata;
        const next = { ...jobs, transaction_their_job: String(message.body.job) };
        // an endorser by its flags answers in their words, so that the author knows whom it asks
        const answers =
          message.body.job === AUTHOR && ctx.settings.endorsement.role === 'endorser' && jobs?.transaction_my_job === undefined;
        return {
          others: [withMetadata(ctx, { transaction_jobs: answers ? { ...next, transaction_my_job: ENDORSER } : next })],
          send: answers ? [{ type: 'transaction_my_job', body: { job: ENDORSER } }] : [],
        };
      },
    },
    request: {
      schema: Type.Object({
        transaction_id: Type.String({ minLength: 1, maxLength: 200 }),
        signature_request: Json,
        timing: Type.Optional(Json),
        messages_attach: Type.Object({ data: Json }),
        endorser_write_txn: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
      }),
      from: [NEW, 'transaction_endorsed', 'transaction_refused', 'transaction_cancelled'],
      role: 'endorser',
      about: ({ body }) => ofAuthor(body.transaction_id),
      load: (_message, connection) => endorser.spentOf(connection),
      pages: (_message, connection) => endorser.openOf(connection),
      step: endorser.requested,
    },
    endorse: {
      schema: Type.Object({ transaction_id: Text, thread_id: Text, signature_response: Signature, endorser_did: Text }),
      from: ['request_sent', 'transaction_resent'],
      role: 'author',
      about: ({ body }) => own(body.transaction_id as string),
      step: author.endorsed,
    },
    refuse: {
      schema: Type.Object({ transaction_id: Text, thread_id: Text, signature_response: Signature }),
      from: ['request_sent', 'transaction_resent'],
      role: 'author',
      about: ({ body }) => own(body.transaction_id as string),
      step: author.refused,
    },
    cancel: {
      schema: Type.Object({ thread_id: Text }),
      from: ['request_received', 'transaction_resent_received', 'transaction_endorsed'],
      role: 'endorser',
      about: ({ body }) => ofAuthor(body.thread_id),
      step: () => ({ record: { states: ['transaction_cancelled'] } }),
    },
    resend: {
      schema: Type.Object({ thread_id: Text }),
      // an author may have refused the group that it was sent
      from: ['transaction_endorsed', 'transaction_refused', 'transaction_cancelled'],
      role: 'endorser',
      about: ({ body }) => ofAuthor(body.thread_id),
      load: (_message, connection) => endorser.spentOf(connection),
      pages: (_message, connection) => endorser.openOf(connection),
      step: endorser.resent,
    },
  },
  acked: {
    schema: {},
    from: ['transaction_endorsed'],
    role: 'endorser',
    step: () => ({ record: { states: ['transaction_acked'] } }),
  },
  commands: {
    begin: { from: [NEW], step: author.begin },
    request: { from: ['transaction_created'], role: 'author', step: author.autoRequest },
    settle: { from: ANY.filter((state) => state !== 'transaction_acked'), role: 'author', step: author.settle },
    returned: { from: ['transaction_endorsed', 'transaction_refused'], role: 'author', step: author.returned },
    'create-request': command({
      route: 'POST /transactions/create-request',
      tag: 'endorse-transaction',
      summary: 'For author to send a transaction request',
      query: Type.Object({ tran_id: Type.String() }),
      body: Type.Object({ expires_time: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d', maxLength: 50 }) }),
      from: ANY,
      about: ({ query }) => own(query.tran_id),
      step: author.createRequest,
    }),
    endorse: {
      route: 'POST /transactions/{tran_id}/endorse',
      tag: 'endorse-transaction',
      summary: 'For Endorser to endorse a particular transaction record',
      query: Type.Object({ endorser_did: Type.Optional(Type.String()) }),
      from: ANY,
      load: endorser.endorsing,
      step: endorser.endorse,
    },
    refuse: {
      route: 'POST /transactions/{tran_id}/refuse',
      tag: 'endorse-transaction',
      summary: 'For Endorser to refuse a particular transaction record',
      from: ANY,
      step: endorser.refuse,
    },
    cancel: {
      route: 'POST /transactions/{tran_id}/cancel',
      tag: 'endorse-transaction',
      summary: 'For Author to cancel a particular transaction request',
      from: ANY,
      step: author.cancel,
    },
    resend: {
      route: 'POST /transaction/{tran_id}/resend',
      tag: 'endorse-transaction',
      summary: 'For Author to resend a particular transaction request',
      from: ANY,
      step: author.resend,
    },
    write: {
      route: 'POST /transactions/{tran_id}/write',
      tag: 'endorse-transaction',
      summary: 'For Author / Endorser to write an endorsed transaction to the ledger',
      from: ANY,
      step: author.write,
    },
    'set-endorser-role': {
      route: 'POST /transactions/{conn_id}/set-endorser-role',
      tag: 'endorse-transaction',
      summary: 'Set transaction jobs',
      query: Type.Object({ transaction_my_job: Type.Optional(Job) }),
      from: '*',
      connection: 'conn_id',
      step(ctx, { query }) {
        const { transaction_jobs: jobs = {} } = (ctx.connection!.value.metadata ?? {}) as EndorserMetadata;
        const { transaction_my_job: job } = query;
        if (job === undefined) return { answer: { ...jobs } };
        const next = { ...jobs, transaction_my_job: job };
        return {
          others: [withMetadata(ctx, { transaction_jobs: next })],
          send: [{ type: 'transaction_my_job', body: { job } }],
          answer: next,
        };
      },
    },
    'set-endorser-info': {
      route: 'POST /transactions/{conn_id}/set-endorser-info',
      tag: 'endorse-transaction',
      summary: 'Set Endorser Info',
      query: Type.Object({ endorser_did: Type.String({ minLength: 1, maxLength: 1000 }), endorser_name: Type.Optional(Text) }),
      from: '*',
      connection: 'conn_id',
      step(ctx, { query }) {
        requireJob(ctx, AUTHOR, 'Only a TRANSACTION_AUTHOR can add endorser_info to metadata of its connection record');
        const { endorser_did, endorser_name } = query;
        const endorser_info = { endorser_did: endorser_did!, ...(endorser_name !== undefined && { endorser_name }) };
        return { others: [withMetadata(ctx, { endorser_info })], answer: endorser_info };
      },
    },
  },
  results: {
    built: {
      from: ['request_received', 'transaction_resent_received'],
      load: (output) => endorser.spentOf((output.about as { connection?: string }).connection),
      step: endorser.built,
    },
  },
  failed: endorser.failed,
});
