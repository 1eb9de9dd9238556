import type { Row } from '../rows/rows.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A3',
    text: 'only a message that is there whole counts among those in hand',
    mutation: {
      file: 'src/adapters/transport/http-inbound.ts',
      from: '    const body = await readBody(',
      to: "    if (gate.full) return answer(response, 503);\n    gate.enter();\n    request.once('close', gate.leave);\n    const body = await readBody(",
    },
  },
  {
    id: 'A3-2',
    text: 'connections of one address are bounded, at the message port and at that of the admin API',
    mutation: { file: 'src/admin/server.ts', from: 'options.door.keep(app.server);', to: '' },
  },
  {
    id: 'A3-3',
    text: 'a WebSocket that nobody uses gives its place away',
    mutation: { file: 'src/adapters/transport/ws-inbound.ts', from: '    return true;', to: '    return sockets.size < maxSockets;' },
  },
];
