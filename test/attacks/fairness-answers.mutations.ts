import type { Row } from '../rows/rows.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A13',
    text: 'an answer is let in as a message is',
    mutation: {
      file: 'src/workers/delivery.ts',
      from: 'await admission.admit(new URL(endpoint).hostname, () => engine.receive(body, { canReply: false }));',
      to: 'await engine.receive(body, { canReply: false });',
    },
  },
  {
    id: 'A13-2',
    text: 'an answer may be no larger than a message',
    mutation: {
      file: 'src/network.ts',
      from: 'config.outboundTimeout * 1000, config.maxMessageSize)',
      to: 'config.outboundTimeout * 1000, 4 << 20)',
    },
  },
];
