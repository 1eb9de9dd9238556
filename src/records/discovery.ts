import { compact, defineRecord, viewHead } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** The queries to a peer and its disclosures; one record for each connection, as in ACA-Py. */
export interface DiscoveryValue {
  [member: string]: unknown;
  thread_id?: string;
  connection_id?: string;
  query?: JsonObject;
  disclosed?: JsonObject;
}

const tags = (value: DiscoveryValue) => ({ thread: value.thread_id, connection_id: value.connection_id });

/** ACA-Py's V10DiscoveryExchangeRecord (RFC 0031). */
export const discovery1 = defineRecord<DiscoveryValue>({
  category: 'discovery_exchange_v10',
  idField: 'discovery_exchange_id',
  topic: 'discover_feature',
  states: ['query-sent', 'disclose-received'],
  view: (record) =>
    compact({
      ...viewHead(record),
      trace: false,
      discovery_exchange_id: record.id,
      connection_id: record.connection,
      thread_id: record.value.thread_id,
      query_msg: record.value.query,
      disclose: record.value.disclosed,
    }),
  tags,
  admin: { list: '/discover-features/records', tag: 'discover-features' },
});

/** ACA-Py's V20DiscoveryExchangeRecord (RFC 0557), which shows no state. */
export const discovery2 = defineRecord<DiscoveryValue>({
  category: 'discovery_exchange_v20',
  idField: 'discovery_exchange_id',
  topic: 'discover_feature_v2_0',
  states: ['query-sent', 'disclose-received'],
  view: (record) =>
    compact({
      ...viewHead(record),
      state: undefined,
      trace: false,
      discovery_exchange_id: record.id,
      connection_id: record.connection,
      thread_id: record.value.thread_id,
      queries_msg: record.value.query,
      disclosures: record.value.disclosed,
    }),
  tags,
  admin: { list: '/discover-features-2.0/records', tag: 'discover-features v2.0' },
});
