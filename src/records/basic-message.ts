import { compact, defineRecord, isoTime } from '../kernel/record.ts';

/** A basic message that was kept (RFC 0095), sent or received; written once. */
export interface BasicMessageValue {
  [member: string]: unknown;
  content: string;
  /** As its sender wrote it: anybody's text. */
  sent_time?: string;
  /** The id of the message, which its sender chose. */
  thread_id: string;
}

export const storedMessage = defineRecord<BasicMessageValue>({
  category: 'basic_message',
  idField: 'message_id',
  states: ['sent', 'received'],
  view: ({ id, state, connection, created, value: { content, sent_time, thread_id } }) =>
    compact({ message_id: id, state, connection_id: connection, created_at: isoTime(created), content, sent_time, thread_id }),
  tags: () => ({}),
  admin: { list: '/basicmessages', one: '/basicmessages/{message_id}', tag: 'basicmessage', remove: true },
});
