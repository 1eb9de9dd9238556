import type { Row } from '../rows/rows.ts';

const FACE = 'src/kernel/public-face.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A20',
    text: 'a public route of a locked wallet is answered as an unknown path, whatever its handler reads',
    mutation: { file: FACE, from: '      await store.load(tenant, []);\n', to: '' },
  },
  {
    id: 'A20-2',
    text: 'no key of the admin API reaches a public route',
    mutation: { file: 'src/adapters/transport/public-http.ts', from: ' && !SECRET.has(name)', to: '' },
  },
  {
    id: 'A20-3',
    text: 'the body of a public request has the bound of its route',
    mutation: {
      file: 'src/adapters/transport/http-inbound.ts',
      from: 'const maxBytes = Math.min(match.maxBytes, options.maxBytes);',
      to: 'const maxBytes = options.maxBytes;',
    },
  },
  {
    id: 'A20-4',
    text: 'a public answer has nothing of the text of an error',
    mutation: { file: FACE, from: 'return { ...plain(status), headers:', to: 'return { status, body: (error as Error).message, headers:' },
  },
  {
    id: 'A20-5',
    text: 'a public command never shows a record',
    mutation: {
      file: FACE,
      from: 'if (!http) return { status: 204 };',
      to: 'if (!http) return { status: 200, body: JSON.stringify(answer) };',
    },
  },
  {
    id: 'A20-6',
    text: 'the admin port serves no public command',
    mutation: {
      file: 'src/kernel/registry.ts',
      from: ".filter(({ step }) => step.route && step.face !== 'public')",
      to: '.filter(({ step }) => step.route)',
    },
  },
];
