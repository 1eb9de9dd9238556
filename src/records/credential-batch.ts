import { compact, defineRecord, isoTime } from '../kernel/record.ts';

/** Rows of one batch: each is a record, and all are written in one commit. */
export const MAX_BATCH_ROWS = 2000;
/** The column that names the holder's connection; without it each credential is offered by a link. */
export const CONNECTION_COLUMN = 'connection_id';

/** Credentials of one definition that are offered one after the other, each to a connection or by a link. */
export interface CredentialBatchValue {
  [member: string]: unknown;
  name?: string;
  cred_def_id: string;
  comment?: string;
  /** Columns of the input, in their order. */
  columns: readonly string[];
  total: number;
  /** Rows that came to an end. */
  offered: number;
  failed: number;
  /** The number of the row that is in work, or is to be next. */
  next: number;
  /** Whether work on a row is ordered: a batch that was paused and is resumed at once orders none twice. */
  busy: boolean;
  error_msg?: string;
}

export const credentialBatch = defineRecord<CredentialBatchValue>({
  category: 'credential_batch',
  idField: 'batch_id',
  label: 'Batch',
  topic: 'credential_batch',
  states: ['running', 'paused', 'cancelled', 'done'],
  view: ({ id, state, created, updated, value }) =>
    compact({
      batch_id: id,
      state,
      created_at: isoTime(created),
      updated_at: isoTime(updated),
      name: value.name,
      cred_def_id: value.cred_def_id,
      total: value.total,
      offered: value.offered,
      failed: value.failed,
      error_msg: value.error_msg,
    }),
  tags: ({ cred_def_id }) => ({ cred_def_id }),
  admin: {
    list: '/credential-batches',
    one: '/credential-batches/{batch_id}',
    tag: 'credential-batch',
    filters: { cred_def_id: 'cred_def_id' },
  },
});

/** A row of a batch: its cells, in the order of the columns, and what came of it. */
export interface BatchRowValue {
  [member: string]: unknown;
  batch: string;
  number: number;
  cells: readonly string[];
  cred_ex_id?: string;
  link?: string;
  error?: string;
}

export const batchRow = defineRecord<BatchRowValue>({
  category: 'credential_batch_row',
  idField: 'row_id',
  states: ['waiting', 'offered', 'failed'],
  view: ({ id, state, value: { number, cred_ex_id, link, error } }) => compact({ row_id: id, state, number, cred_ex_id, link, error }),
  tags: ({ batch }) => ({ batch }),
});

/** The id of a row's record. */
export const batchRowId = (batch: string, number: number): string => `${batch}.${number}`;
