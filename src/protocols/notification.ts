import { defineProtocol } from '../kernel/protocol.ts';
import { connection } from '../records/connection.ts';

/**
 * Acks (RFC 0015) and problem reports (RFC 0035) as messages of their own. The engine hands either to the owner of its thread, whatever family it names;
 * an ack or report of no thread of ours ends here.
 */
export const notification = defineProtocol({
  name: 'notification',
  uris: ['https://didcomm.org/notification/1.0'],
  binds: connection,
  stateless: true,
  messages: {},
});
