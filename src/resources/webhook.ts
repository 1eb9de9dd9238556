import { defineProtocol } from '../kernel/protocol.ts';
import { isoTime } from '../kernel/record.ts';
import { connection } from '../records/connection.ts';

/** A test event goes the way of every other: it is stored, and delivered to each webhook of the wallet. */
export const webhookCommands = defineProtocol({
  name: 'webhook',
  uris: [],
  binds: connection,
  stateless: true,
  messages: {},
  commands: {
    test: {
      route: 'POST /webhooks/test',
      tag: 'events',
      summary: 'Send a test event to the webhooks of this wallet',
      from: '*',
      step: (ctx) => ({
        emit: [{ topic: 'webhook_test', payload: { text: 'A test event', time: isoTime(ctx.now) } }],
        answer: { topic: 'webhook_test' },
      }),
    },
  },
});
