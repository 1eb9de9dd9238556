import { compact, defineRecord, exchangeTags, isoTime, viewHead } from '../kernel/record.ts';
import type { JsonObject } from '../ports/json.ts';

/** A right of a service to documents of an owner's vaults: asked for, given, ended. `role`: `owner` gives it, `service` has it. */
export interface HubGrantValue {
  [member: string]: unknown;
  connection_id?: string;
  thread_id: string;
  /** The service's DID that invokes, and the id of its key that documents are encrypted to. */
  controller?: string;
  recipient?: string;
  types?: readonly string[];
  purpose?: string;
  /** For how many seconds the service asks. */
  duration?: number;
  /** Delegated capabilities, one for each target. */
  capabilities?: readonly JsonObject[];
  expires?: number;
  reason?: string;
}

export const hubGrant = defineRecord<HubGrantValue>({
  category: 'hub_grant',
  idField: 'grant_id',
  label: 'Grant',
  topic: 'hub_grant',
  states: ['request-sent', 'request-received', 'granted', 'declined', 'revoked', 'expired'],
  view: (record) =>
    compact({
      ...viewHead(record),
      grant_id: record.id,
      role: record.role,
      connection_id: record.connection,
      thread_id: record.value.thread_id,
      controller: record.value.controller,
      recipient: record.value.recipient,
      types: record.value.types,
      purpose: record.value.purpose,
      duration: record.value.duration,
      capabilities: record.value.capabilities,
      expires_at: record.value.expires === undefined ? undefined : isoTime(record.value.expires),
      reason: record.value.reason,
    }),
  tags: (value) => ({ ...exchangeTags(value as never), connection_id: value.connection_id }),
  admin: {
    list: '/hub/grants',
    one: '/hub/grants/{grant_id}',
    tag: 'hub',
    filters: { thread_id: 'thread_id' },
    notFound: 'There is no such grant',
  },
});
