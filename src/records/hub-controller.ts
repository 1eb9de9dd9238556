import { compact, defineRecord, viewHead } from '../kernel/record.ts';

/** A DID that may make vaults by itself, or for which a tenant has made some. */
export interface HubControllerValue {
  [member: string]: unknown;
  controller: string;
  /** How many vaults it may have, and has. */
  allowed: number;
  made: number;
  /** Of each of its vaults, in bytes. */
  quota: number;
}

/** Its id is the DID. */
export const hubController = defineRecord<HubControllerValue>({
  category: 'hub_controller',
  idField: 'controller',
  label: 'Controller',
  states: ['registered'],
  view: (record) =>
    compact({
      ...viewHead(record),
      controller: record.id,
      vaults: record.value.allowed,
      made: record.value.made,
      quota_bytes: record.value.quota,
    }),
  tags: () => ({}),
  admin: { list: '/hub/controllers', tag: 'hub' },
});
