import { defineRecord } from '../kernel/record.ts';

/** Where the owner of a mailbox can be called when there is mail and no socket. Its id is the connection's. */
export interface DeviceValue {
  [member: string]: unknown;
  device_token: string;
  device_platform?: string;
}

export const device = defineRecord<DeviceValue>({
  category: 'device',
  idField: 'id',
  states: [],
  view: ({ value }) => ({ device_platform: value.device_platform ?? null }),
  tags: () => ({}),
});
