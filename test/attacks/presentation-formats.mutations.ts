import type { Row } from '../rows/rows.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A6',
    text: 'a presentation holds what was asked for and nothing else',
    mutation: {
      file: 'src/protocols/credentials/present-proof.ts',
      from: "readFormatted(ctx.declared.formats, message, 'presentations', (ctx.record!.value.pres_request ?? {}) as JsonObject);",
      to: '',
    },
  },
  {
    id: 'A6-2',
    text: 'a proof is verified in every format that was given, or not at all',
    mutation: {
      file: 'src/protocols/credentials/presenting.ts',
      from: 'made.every((one) => one.verified)',
      to: 'made.some((one) => one.verified)',
    },
  },
  {
    id: 'A6-3',
    text: 'a credential that is stored has the values that were offered',
    mutation: { file: 'src/formats/anoncreds-issuance.ts', from: 'if (unlike !== undefined) throw', to: 'if (unlike === null) throw' },
  },
  {
    id: 'A6-4',
    text: 'what is issued has the formats that were requested',
    mutation: {
      file: 'src/protocols/credentials/issue-credential.ts',
      from: "readFormatted(ctx.declared.formats, message, 'credentials', messageIn(ctx, 'cred_request'));",
      to: '',
    },
  },
  {
    id: 'A17-3',
    text: 'each name of a group stands once in what is presented',
    mutation: {
      file: 'src/formats/anoncreds-checks.ts',
      from: 'values.size !== Object.keys(group.values).length || ',
      to: '',
    },
  },
];
