import type { LoadedRecord } from '../kernel/record.ts';
import { compact, defineRecord, viewHead } from '../kernel/record.ts';
import type { Settings } from '../kernel/settings.ts';
import { mediationId } from '../mediation/names.ts';
import type { StoredRecord } from '../ports/store.ts';

/** The bounds of a cloud agent. */
export interface Quotas {
  readonly [member: string]: unknown;
  readonly messages: number;
  readonly bytes: number;
  readonly retention_days: number;
  readonly routes: number;
  readonly relays_per_day: number;
}

/**
 * A device and its cloud agent, one for each connection. `role`: `agency` where the peer is a device and we have its cloud agent, `edge` where we are the device.
 */
export interface EdgeDeviceValue {
  [member: string]: unknown;
  connection_id: string;
  role: 'agency' | 'edge';
  label?: string;
  /** The number of the wallet's copy: the agency serves the newest copy. */
  generation: number;
  /** At the agency. */
  cloud_agent?: string;
  /** At the edge, as provisioned: the endpoint for peers of the 2018 Agent Protocol. */
  endpoint?: string;
  did?: string;
  verkey?: string;
  quotas?: Quotas;
  /** At the edge: the last answers of the agency, and the id of an open request. */
  configuration?: { readonly [member: string]: unknown };
  devices?: readonly { readonly [member: string]: unknown }[];
  device_code?: string;
  device_code_expires?: number;
  asked?: string;
  thread_id?: string;
  error_msg?: string;
}

export const edgeDevice = defineRecord<EdgeDeviceValue>({
  category: 'edge_device',
  idField: 'device_id',
  label: 'Device',
  topic: 'cloud_agent',
  states: ['request', 'provisioned', 'superseded'],
  view: (record) => {
    const { value } = record;
    return compact({
      ...viewHead(record),
      device_id: record.id,
      role: record.role,
      connection_id: value.connection_id,
      cloud_agent_id: value.cloud_agent,
      label: value.label,
      generation: value.generation,
      endpoint: value.endpoint,
      endpoint_did: value.did,
      endpoint_verkey: value.verkey,
      quotas: value.quotas,
      configuration: value.configuration,
      devices: value.devices,
      device_code: value.device_code,
    });
  },
  tags: ({ connection_id, role, thread_id }) => ({ connection_id, thread: thread_id, edge: role === 'edge' ? 'yes' : undefined }),
  admin: {
    list: '/agency/devices',
    one: '/agency/devices/{device_id}',
    tag: 'agency',
    filters: { connection_id: 'connection_id' },
  },
});

/** The lookup of this agent's own device record. */
export const ownCloudAgent = { category: edgeDevice.category, tag: 'edge', equals: 'yes' };

/** The cloud agent in the settings of steps; undefined before it is provisioned. */
export function cloudAgentOf(tenant: string, row: StoredRecord | LoadedRecord | undefined): Settings['cloudAgent'] {
  const { connection_id, endpoint, did, verkey, generation } = (row?.value ?? {}) as Partial<EdgeDeviceValue>;
  if (!row || !connection_id || !endpoint || !did || !verkey) return undefined;
  const of = { tenant, id: row.id, connection: connection_id, mediation: mediationId('client', connection_id) };
  return { ...of, endpoint, did, verkey, generation: generation ?? 1, superseded: row.state === 'superseded' };
}
