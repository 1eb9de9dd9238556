import { compact, defineRecord, viewHead } from '../kernel/record.ts';

/** An out-of-band invitation made or received (RFC 0434), under the names of ACA-Py's OobRecord. */
export interface OutOfBandValue {
  [member: string]: unknown;
  invi_msg_id: string;
  invitation: { readonly [member: string]: unknown };
  connection_id?: string;
  attach_thread_id?: string;
  our_recipient_key?: string;
  multi_use: boolean;
  /** As a receiver of a reuse: the id of our handshake-reuse. */
  reuse_msg_id?: string;
  auto_accept?: boolean;
  protocol?: string;
}

export const outOfBand = defineRecord<OutOfBandValue>({
  category: 'oob_record',
  idField: 'oob_id',
  topic: 'out_of_band',
  states: ['initial', 'prepare-response', 'await-response', 'reuse-not-accepted', 'reuse-accepted', 'done', 'deleted'],
  view(record) {
    const { value } = record;
    return compact({
      ...viewHead(record),
      trace: false,
      oob_id: record.id,
      invi_msg_id: value.invi_msg_id,
      invitation: value.invitation,
      connection_id: value.connection_id,
      attach_thread_id: value.attach_thread_id,
      our_recipient_key: value.our_recipient_key,
      role: record.role,
      multi_use: value.multi_use,
    });
  },
  tags: (value) => ({ thread: [value.invi_msg_id, value.reuse_msg_id].filter((id) => id !== undefined), invi_msg_id: value.invi_msg_id }),
  admin: { list: '/out-of-band/records', tag: 'out-of-band', filters: { invi_msg_id: 'invi_msg_id' } },
});
