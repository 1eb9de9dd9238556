import { createHash } from 'node:crypto';
import { defineRecord } from '../kernel/record.ts';

/** A capability that ends before its time. The record goes when that is over. */
export interface EdvRevocationValue {
  [member: string]: unknown;
  vault: string;
  capability: string;
  delegator: string;
  expires: number;
  /** The controller's grantee that it comes from, or the controller; absent in older records. */
  by?: string;
}

export const byTag = (vault: string, by: string): string => `${vault} ${by}`;

/** A delegator chooses the id freely, so an id names a capability only together with its delegator. */
export const revocationId = (vault: string, { id, delegator }: { readonly id: string; readonly delegator: string }): string =>
  `${vault}.${createHash('sha256').update(`${delegator} ${id}`).digest('base64url')}`;

export const edvRevocation = defineRecord<EdvRevocationValue>({
  category: 'edv_revocation',
  idField: 'revocation_id',
  states: ['revoked'],
  view: () => ({}),
  tags: ({ vault, by }) => ({ vault, by: by === undefined ? undefined : byTag(vault, by) }),
});
