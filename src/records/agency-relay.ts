import { defineRecord } from '../kernel/record.ts';

/** A message of ours that an agency sends on, with the records that a failure is written to. Its id is that of the `relay` message. */
export interface AgencyRelayValue {
  [member: string]: unknown;
  endpoint: string;
  /** The connection and the exchange of the message. */
  connection?: string;
  record?: { readonly category: string; readonly id: string };
}

export const agencyRelay = defineRecord<AgencyRelayValue>({
  category: 'agency_relay',
  idField: 'relay_id',
  states: ['sent', 'relayed'],
  view: ({ id, state }) => ({ relay_id: id, state: state ?? null }),
  tags: ({ connection }) => ({ connection }),
});
