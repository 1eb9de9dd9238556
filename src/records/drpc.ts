import { compact, defineRecord, viewHead } from '../kernel/record.ts';
import type { Json } from '../ports/json.ts';

/** A call by JSON-RPC between agents (RFC 0804), under the names of the rpc plug-in's DRPCRecord. */
export interface DrpcValue {
  [member: string]: unknown;
  connection_id: string;
  thread_id: string;
  request: Json;
  response?: Json;
  /** The thread again, where we are asked: one wallet may hold both ends of a call. */
  asked?: string;
}

/** `role`: `client` asks, `server` answers. Its webhooks are the protocol's. */
export const drpcRecord = defineRecord<DrpcValue>({
  category: 'drpc_record',
  idField: 'id',
  label: 'DRPC record',
  states: ['request-sent', 'request-received', 'completed'],
  view: (record) =>
    compact({
      ...viewHead(record),
      request: record.value.request,
      response: record.value.response,
      id: record.id,
      tags: { connection_id: record.value.connection_id, thread_id: record.value.thread_id },
    }),
  tags: ({ thread_id, connection_id, asked }) => ({ thread: thread_id, thread_id, connection_id, asked }),
  admin: {
    list: '/drpc/records',
    one: '/drpc/records/{record_id}',
    tag: 'drpc',
    filters: { connection_id: 'connection_id', thread_id: 'thread_id' },
  },
});
