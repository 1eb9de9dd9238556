import type { Row } from '../rows/rows.ts';

const PICKUP = 'src/protocols/mediation/message-pickup-1.ts';

/** How each correction that the tests beside this are about is taken out. */
export const MUTATIONS: readonly Row[] = [
  {
    id: 'A7',
    text: 'a request that was there before confirms nothing',
    mutation: {
      file: PICKUP,
      from: "schema: Type.Object({ batch_size: Type.Integer({ minimum: 1 }) }),\n      from: '*',",
      to: "schema: Type.Object({ batch_size: Type.Integer({ minimum: 1 }) }),\n      from: '*',\n      repeatable: true,",
    },
  },
  {
    id: 'A7-2',
    text: 'a repeated request repeats its answer',
    mutation: {
      file: 'src/kernel/message-transition.ts',
      from: 'const again = found.repeated && arrival.channel && trust.isPeer ? known?.step.again : undefined;',
      to: 'const again = undefined as NonNullable<typeof known>["step"]["again"];',
    },
  },
  {
    id: 'A7-3',
    text: 'what was not sent is not confirmed',
    mutation: { file: PICKUP, from: 'if (!ctx.channel) return', to: 'if (false) return' },
  },
  {
    id: 'A7-4',
    text: 'asking for a batch opens no session',
    mutation: {
      file: 'src/kernel/message-transition.ts',
      from: 'dedupKey === undefined || known?.step.again ? undefined',
      to: 'dedupKey === undefined ? undefined',
    },
  },
  {
    id: 'A7-5',
    text: 'a batch that nobody asked for is not answered',
    mutation: { file: PICKUP, from: 'ctx.channel && envelopesOf', to: 'envelopesOf' },
  },
];
