import type { Row } from '../rows/rows.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A12',
    text: 'what needs the AnonCreds library waits while it is not there',
    mutation: {
      file: 'src/kernel/job-steps.ts',
      from: "if (code === 'anoncreds-off') return true;",
      to: "if (code === 'anoncreds-off') return false;",
    },
  },
];
