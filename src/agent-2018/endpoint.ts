import { didOfKey } from '../dids/self-certifying.ts';
import { defineProtocol, NEW } from '../kernel/protocol.ts';
import { type Agent2018EndpointValue, agent2018Endpoint } from '../records/agent-2018-endpoint.ts';

/** The keys that payloads of the 2018 Agent Protocol are sealed to: made at the first start, and again when one is to be retired. */
export const agent2018Endpoints = defineProtocol<Agent2018EndpointValue>({
  name: 'agent-2018-endpoint',
  uris: [],
  binds: agent2018Endpoint,
  messages: {},
  commands: {
    make: {
      from: [NEW],
      step(ctx) {
        const key = ctx.newKey();
        const did = didOfKey(key.verkey);
        return { record: { id: did, states: ['stored'], patch: { did, verkey: key.verkey } }, keys: [key.write] };
      },
    },
  },
});
