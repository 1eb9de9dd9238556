import type { Row } from '../rows/rows.ts';

const BROWSER = 'src/admin/browser.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A18',
    text: 'pages of other origins drive no agent without a key',
    mutation: { file: BROWSER, from: 'if (foreign && !reads)', to: 'if (foreign && !reads && origin === "none")' },
  },
  {
    id: 'A18-2',
    text: 'Host is a name of the agent',
    mutation: { file: BROWSER, from: 'if (!isOwnName(host, socket.localAddress))', to: 'if (host === "")' },
  },
  {
    id: 'A18-3',
    text: 'bodies are JSON where there is no key',
    mutation: {
      file: BROWSER,
      from: "if (hasBody(headers) && !isJson(headers['content-type']))",
      to: 'if (hasBody(headers) && host === "")',
    },
  },
  {
    id: 'A18-4',
    text: 'no CORS unless configured',
    mutation: {
      file: BROWSER,
      from: "if (origin === undefined || !isConfigured(origin)) return { vary: 'origin' };",
      to: "if (origin === undefined) return { vary: 'origin' };",
    },
  },
  {
    id: 'A18-5',
    text: '/ws is upgraded for pages of the agent alone',
    mutation: { file: 'src/admin/ws.ts', from: '      browsers.admit(request);\n', to: '' },
  },
];
