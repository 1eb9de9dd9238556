import { compact, defineRecord, viewHead } from '../kernel/record.ts';

/** A key that mail is forwarded for (RFC 0211), under the names of ACA-Py's RouteRecord. */
export interface KeylistValue {
  [member: string]: unknown;
  connection_id: string;
  recipient_key: string;
  role: 'server' | 'client';
  wallet_id?: string;
  verkey: string;
  /** As a recipient: whether the mediator has confirmed the key. */
  confirmed?: boolean;
  /** As a recipient: the update that registers the key, and the reason of a refusal. */
  thread_id?: string;
  refused?: string;
}

/** `role`: `server` for keys that we forward for, `client` for our own, known to a mediator. */
export const keylist = defineRecord<KeylistValue>({
  category: 'keylist',
  idField: 'record_id',
  states: [],
  view: (record) => {
    const { state: _none, ...head } = viewHead(record);
    const { connection_id, recipient_key, wallet_id } = record.value;
    return compact({ ...head, record_id: record.id, role: record.role, connection_id, recipient_key, wallet_id });
  },
  tags: ({ connection_id, recipient_key, role, verkey }) => ({ connection_id, recipient_key, [role]: verkey }),
  hidden: ({ role, value }) => role === 'client' && value.confirmed !== true,
  admin: { list: '/mediation/keylists', tag: 'mediation', filters: { conn_id: 'connection_id' } },
});
