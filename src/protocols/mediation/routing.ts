import Type from 'typebox';
import { defineProtocol } from '../../kernel/protocol.ts';
import { connection } from '../../records/connection.ts';

/** RFC 0094. What is forwarded is no business of ours but to hand it on: `mediation/relay.ts` does that, before anything else is asked of a message. */
export const routing = defineProtocol({
  name: 'routing',
  uris: ['https://didcomm.org/routing/1.0'],
  roles: ['mediator'],
  binds: connection,
  stateless: true,
  relayed: true,
  messages: { forward: { schema: Type.Object({}), from: '*', step: () => ({}) } },
});
