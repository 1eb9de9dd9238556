import type { Row } from '../rows/rows.ts';

const FORMATS = 'src/formats/anoncreds.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A6',
    text: 'a presentation holds what was asked for and nothing else',
    mutation: {
      file: 'src/protocols/credentials/present-proof.ts',
      from: "readFormatted(message, 'presentations', (value.pres_request ?? {}) as JsonObject);",
      to: '',
    },
  },
  {
    id: 'A6-2',
    text: 'a proof is verified in every format that was given, or not at all',
    mutation: { file: FORMATS, from: 'results.every(({ verified }) => verified)', to: 'results.some(({ verified }) => verified)' },
  },
  {
    id: 'A6-3',
    text: 'a credential that is stored has the values that were offered',
    mutation: { file: FORMATS, from: 'if (unlike !== undefined) throw', to: 'if (unlike === null) throw' },
  },
  {
    id: 'A6-4',
    text: 'what is issued has the formats that were requested',
    mutation: {
      file: 'src/protocols/credentials/issue-credential.ts',
      from: "readFormatted(message, 'credentials', (value.cred_request ?? {}) as JsonObject);",
      to: '',
    },
  },
  {
    id: 'A17',
    text: 'each name of a group stands once in what is presented',
    mutation: {
      file: 'src/formats/anoncreds-checks.ts',
      from: 'values.size !== Object.keys(group.values).length || ',
      to: '',
    },
  },
];
