import type { Row } from '../rows/rows.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A10',
    text: 'wallet keys are tried beside the event loop, a few at a time',
    mutation: {
      file: 'src/vault/master.ts',
      from: 'if (queue.length >= MAX_WAITING_EACH || (waiting >= MAX_WAITING && !yieldOne(queue.length)))',
      to: 'if (waiting < 0)',
    },
  },
  {
    id: 'A10-2',
    text: 'the number of claims is bounded, and the key is looked for first',
    mutation: { file: 'src/formats/sd-jwt.ts', from: 'if (disclosures.length >= MAX_DISCLOSURES)', to: 'if (disclosures.length < 0)' },
  },
  {
    id: 'A10-3',
    text: 'what of an SD-JWT is shown to all is bounded too',
    mutation: { file: 'src/formats/sd-jwt.ts', from: 'if (values > MAX_VALUES)', to: 'if (values < 0)' },
  },
  {
    id: 'A10-4',
    text: 'what is wrong with a large value is looked for in a part of it',
    mutation: { file: 'src/kernel/schema.ts', from: 'const part = headOf(value);', to: 'const part = value;' },
  },
  {
    id: 'A10-5',
    text: 'who tries most gives way',
    mutation: { file: 'src/vault/master.ts', from: '(waiting >= MAX_WAITING && !yieldOne(queue.length))', to: 'waiting >= MAX_WAITING' },
  },
];
