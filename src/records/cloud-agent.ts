import { defineRecord, isoTime } from '../kernel/record.ts';

/** A device of a cloud agent's owner. Its id is that of its connection. */
export interface CloudDevice {
  readonly [member: string]: unknown;
  readonly connection: string;
  readonly label?: string;
  readonly added: number;
}

/** An invitation of a further device: its code, as a hash, is good once. */
export interface DeviceCode {
  readonly [member: string]: unknown;
  readonly hash: string;
  readonly label?: string;
  readonly expires: number;
}

/** The devices of one owner at an agency. A cloud agent has no keys and no wallet: each device has a mailbox of sealed messages. */
export interface CloudAgentValue {
  [member: string]: unknown;
  devices: readonly CloudDevice[];
  codes?: readonly DeviceCode[];
  /** The number of its names. */
  routes: number;
  /** The life of its mail in ms, where it is shorter than the agency's. */
  retention?: number;
  /** Mail of the 2018 Agent Protocol is refused. */
  no2018?: boolean;
  /** The messages that it has sent on in one day; `day`: days since 1970. */
  relayed?: { readonly day: number; readonly messages: number };
}

export const cloudAgent = defineRecord<CloudAgentValue>({
  category: 'cloud_agent',
  idField: 'cloud_agent_id',
  label: 'Cloud agent',
  states: ['provisioned'],
  view: ({ id, created, value }) => ({
    cloud_agent_id: id,
    created_at: isoTime(created),
    devices: value.devices.map(({ connection, label, added }) => ({
      connection_id: connection,
      label: label ?? null,
      added_at: isoTime(added),
    })),
    routes: value.routes,
    relayed_today: value.relayed?.messages ?? 0,
    retention_days: value.retention === undefined ? null : value.retention / DAY_MS,
    legacy: value.no2018 !== true,
  }),
  tags: ({ devices, codes = [] }) => ({
    device: devices.map(({ connection }) => connection),
    code: codes.map(({ hash }) => hash),
  }),
  admin: { list: '/agency/cloud-agents', one: '/agency/cloud-agents/{cloud_agent_id}', tag: 'agency' },
});

export const DAY_MS = 24 * 3600_000;
