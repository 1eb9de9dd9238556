import { defineRecord } from '../kernel/record.ts';

/** An Endpoint DID of this instance in the 2018 Agent Protocol; its key is in the key table. The newest is named by offers, older ones still open mail. */
export interface Agent2018EndpointValue {
  [member: string]: unknown;
  did: string;
  verkey: string;
}

export const agent2018Endpoint = defineRecord<Agent2018EndpointValue>({
  category: 'legacy_endpoint',
  idField: 'did',
  states: ['stored'],
  view: ({ value }) => ({ did: value.did, verkey: value.verkey }),
  tags: () => ({}),
});
