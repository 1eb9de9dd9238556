import { ENDORSEMENT } from '../kernel/endorsement.ts';
import { compact, defineRecord, isoTime } from '../kernel/record.ts';
import type { EndorsedGroup } from '../ports/endorsement.ts';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';

/** The ledger order of the author that waits for its endorsement: which record's, and what takes its result. */
export interface EndorsedOrder {
  readonly protocol: string;
  readonly category: string;
  readonly id: string;
  readonly result: string;
  readonly verkey: string;
  readonly write: LedgerWrite;
}

/** The endorsement of a ledger write, under the names of ACA-Py's TransactionRecord; the members after `error_msg` are this agent's own and never leave it. */
export interface TransactionValue {
  [member: string]: unknown;
  _type?: string;
  connection_id: string;
  /** The record of the other side. */
  thread_id?: string;
  /** The thread of the messages: the id of the author's record. */
  thread: string;
  signature_request: readonly JsonObject[];
  signature_response: readonly JsonObject[];
  timing: JsonObject;
  formats: readonly JsonObject[];
  messages_attach: readonly JsonObject[];
  meta_data: JsonObject;
  error_msg?: string;
  /** As the author. */
  order?: EndorsedOrder;
  group?: EndorsedGroup;
  /** The group is being written. */
  writing?: boolean;
  /** How often it was asked for again, without the controller. */
  again?: number;
}

/** `role` is ours: `author` orders the write and signs it, `endorser` pays for it. */
export const transaction = defineRecord<TransactionValue>({
  category: ENDORSEMENT.category,
  idField: 'transaction_id',
  label: 'Transaction',
  topic: 'endorse_transaction',
  states: [
    'transaction_created',
    'request_sent',
    'request_received',
    'transaction_endorsed',
    'transaction_refused',
    'transaction_resent',
    'transaction_resent_received',
    'transaction_cancelled',
    'transaction_acked',
    'deleted',
  ],
  view: ({ id, state, created, updated, value }) =>
    compact({
      state,
      created_at: isoTime(created),
      updated_at: isoTime(updated),
      transaction_id: id,
      _type: value._type,
      connection_id: value.connection_id,
      thread_id: value.thread_id,
      signature_request: value.signature_request,
      signature_response: value.signature_response,
      timing: value.timing,
      formats: value.formats,
      messages_attach: value.messages_attach,
      endorser_write_txn: false,
      meta_data: value.meta_data,
      error_msg: value.error_msg,
    }),
  tags: ({ thread, thread_id, connection_id, order }) => ({
    thread,
    thread_id,
    connection_id,
    subject: order && subjectTag(order.category, order.id),
  }),
  admin: { list: '/transactions', one: '/transactions/{tran_id}', tag: 'endorse-transaction', filters: { thread_id: 'thread_id' } },
});

/** The tag by which the record that ordered a write finds its endorsements. */
export const subjectTag = (category: string, id: string): string => `${category} ${id}`;

/** The last endorsement of a record's write. */
export const endorsementOf = (category: string, id: string) => ({
  category: ENDORSEMENT.category,
  tag: 'subject',
  equals: subjectTag(category, id),
});

/** It has ended without one: the write may be ordered anew. */
export const isEndorsementOver = (row: { readonly state?: string } | undefined): boolean =>
  row?.state === 'transaction_refused' || row?.state === 'transaction_cancelled';

/** An endorser's expenses for a connection: its id is the connection's, `day` is UTC. */
export interface EndorsementSpentValue {
  [member: string]: unknown;
  day: string;
  writes: number;
  microalgo: number;
}

export const endorsementSpent = defineRecord<EndorsementSpentValue>({
  category: 'endorsement_spent',
  idField: 'connection_id',
  states: [],
  view: ({ value }) => compact(value),
  tags: () => ({}),
});
