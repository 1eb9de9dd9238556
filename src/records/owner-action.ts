import { compact, defineRecord, type ExchangeValue, exchangeTags, viewHead } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** An order by an owner's message. The record's connection is the owner, its creation the time of the order, its result the outcome. */
export interface OwnerActionValue extends ExchangeValue {
  /** The type as received. */
  message_type: string;
  message_id: string;
  /** Identifiers of the new objects; never values of credentials. */
  result?: JsonObject;
}

/** The audit of owners' messages that change something. */
export const ownerAction = defineRecord<OwnerActionValue>({
  category: 'owner_action',
  idField: 'action_id',
  label: 'Owner action',
  topic: 'owner_action',
  states: ['requested', 'done', 'failed', 'deleted'],
  view: (record) =>
    compact({
      ...viewHead(record),
      action_id: record.id,
      connection_id: record.connection,
      thread_id: record.value.thread_id,
      message_type: record.value.message_type,
      message_id: record.value.message_id,
      result: record.value.result,
    }),
  tags: exchangeTags,
  admin: {
    list: '/owner-actions',
    one: '/owner-actions/{action_id}',
    tag: 'owner',
    remove: true,
    filters: { thread_id: 'thread_id' },
  },
});
