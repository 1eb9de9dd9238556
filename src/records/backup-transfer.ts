import { compact, defineRecord, viewHead } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/**
 * A request about backups at an agency and its answer. `owner`: asks, and has the answer; `agency`: is asked, until the bytes are stored or read.
 */
export interface BackupTransferValue {
  [member: string]: unknown;
  thread_id: string;
  /** Owner: the message that asks, and the body of the answer. */
  asked?: string;
  answer?: JsonObject;
  error_msg?: string;
}

export const backupTransfer = defineRecord<BackupTransferValue>({
  category: 'backup_transfer',
  idField: 'transfer_id',
  label: 'Backup transfer',
  states: ['asked', 'answered', 'refused', 'storing', 'reading', 'clearing'],
  view: (record) =>
    compact({
      ...viewHead(record),
      transfer_id: record.id,
      connection_id: record.connection,
      answer: record.value.answer,
    }),
  tags: ({ thread_id }) => ({ thread: thread_id }),
});
