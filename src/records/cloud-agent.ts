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

/** A backup whose bytes are large values, one for each part. */
interface BackupParts {
  readonly [member: string]: unknown;
  /** The `did:key` that the words of the backup stand for. */
  readonly controller: string;
  readonly generation: number;
  /** The name of its bytes. */
  readonly upload: string;
  readonly parts: number;
  readonly bytes: number;
  /** Of all bytes, in hex. */
  readonly sha256: string;
}

/** A backup that is whole, and when it was, in ms since 1970. */
export interface KeptBackup extends BackupParts {
  readonly stored: number;
}

/** A backup on its way in: the number of its parts so far, the number of those whose bytes are on the disk, and their bytes. */
export interface BackupUpload extends BackupParts {
  readonly accepted: number;
  readonly written: number;
  readonly received: number;
}

/** The backups of a cloud agent's owner. `controllers`: those for whose words its devices may add some. */
export interface Backups {
  readonly [member: string]: unknown;
  readonly controllers: readonly string[];
  readonly kept: readonly KeptBackup[];
  readonly uploads: readonly BackupUpload[];
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
  /** Names with an end that it has registered in one day: the end of each is a job, which stays when its name is removed. */
  expiring?: { readonly day: number; readonly names: number };
  /** Absent where its devices have none here. */
  backups?: Backups;
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
    backups: value.backups?.kept.length ?? 0,
    backup_bytes: value.backups?.kept.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0,
  }),
  tags: ({ devices, codes = [], backups }) => ({
    device: devices.map(({ connection }) => connection),
    code: codes.map(({ hash }) => hash),
    backup: backups?.controllers,
  }),
  admin: { list: '/agency/cloud-agents', one: '/agency/cloud-agents/{cloud_agent_id}', tag: 'agency' },
});

export const DAY_MS = 24 * 3600_000;
