import { defineProtocol } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import { connection } from '../../records/connection.ts';

/** RFC 0094. `mediation/relay.ts` hands forwarded messages on, before any protocol sees them; this literal only names the message. */
export const routing = defineProtocol({
  name: 'routing',
  uris: ['https://didcomm.org/routing/1.0'],
  roles: ['mediator'],
  binds: connection,
  stateless: true,
  relayed: true,
  messages: { forward: { schema: Type.Object({}), from: '*', step: () => ({}) } },
});
