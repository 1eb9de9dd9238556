import { defineRecord } from '../kernel/record.ts';

/**
 * A name that messages of the 2018 Agent Protocol are addressed by, and that an agency passes on. `role`: `agency` where a cloud agent of ours has it, `edge` for
 * our own, known to an agency. The database has its hash beside the sealed value.
 */
export interface AgencyRouteValue {
  [member: string]: unknown;
  /** `offer-nonce`, `request-nonce`, `did` or `custom`. */
  kind: string;
  name: string;
  role: 'agency' | 'edge';
  /** At the agency: the cloud agent, and the time (ms) of expiry. */
  cloud_agent?: string;
  expires?: number;
  /** At the edge: the agency's confirmation, the update that registers the name, and the reason of a refusal. */
  confirmed?: boolean;
  thread_id?: string;
  refused?: string;
  /** At the edge: the tenant of the name. */
  wallet_id?: string;
}

export const agencyRoute = defineRecord<AgencyRouteValue>({
  category: 'agency_route',
  idField: 'route_id',
  states: [],
  view: ({ id, value }) => ({ route_id: id, kind: value.kind, confirmed: value.confirmed ?? true }),
  tags: ({ role, name, cloud_agent }) => ({ [role]: name, cloud_agent }),
});
