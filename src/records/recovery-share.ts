import { compact, defineRecord, type LoadedRecord, viewHead } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/**
 * A share of a recovery secret, or the request for one. `owner`: gave it to a trustee; `trustee`: keeps it; `claimant`: asks for it back, from a wallet that is new;
 * `guardian`: gets that request, and decides. Shares below the threshold reveal nothing of the secret.
 */
export interface RecoveryShareValue {
  [member: string]: unknown;
  thread_id: string;
  /** A reminder for the other side: a name, an occasion. */
  label?: string;
  /** The share as a text. A trustee never sees it; its owner gets it back in the record alone, never by webhook. */
  share?: string;
  /** Why a release was declined. */
  explain?: string;
  /** Guardian: the id of the released share. */
  released?: string;
}

const viewOf = (record: LoadedRecord<RecoveryShareValue>): JsonObject =>
  compact({
    ...viewHead(record),
    share_id: record.id,
    connection_id: record.connection,
    role: record.role,
    thread_id: record.value.thread_id,
    label: record.value.label,
    explain: record.value.explain,
    released: record.value.released,
  });

export const recoveryShare = defineRecord<RecoveryShareValue>({
  category: 'recovery_share',
  idField: 'share_id',
  label: 'Recovery share',
  topic: 'recovery_share',
  states: ['sent', 'stored', 'kept', 'requested', 'released', 'declined'],
  view: viewOf,
  tags: ({ thread_id }) => ({ thread: thread_id, thread_id }),
  admin: {
    list: '/recovery-shares',
    one: '/recovery-shares/{share_id}',
    tag: 'recovery',
    remove: true,
    detail: (record) => ({
      ...viewOf(record),
      ...(record.role === 'claimant' && record.value.share !== undefined && { share: record.value.share }),
    }),
  },
});
