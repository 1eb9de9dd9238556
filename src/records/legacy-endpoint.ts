import { defineRecord } from '../kernel/record.ts';

/** An Endpoint DID of this instance in the 2018 Agent Protocol; its key is in the key table. The newest is named by offers, older ones still open mail. */
export interface LegacyEndpointValue {
  [member: string]: unknown;
  did: string;
  verkey: string;
}

export const legacyEndpoint = defineRecord<LegacyEndpointValue>({
  category: 'legacy_endpoint',
  idField: 'did',
  states: ['stored'],
  view: ({ value }) => ({ did: value.did, verkey: value.verkey }),
  tags: () => ({}),
});
