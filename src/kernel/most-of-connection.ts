import type { Effects } from './effects.ts';
import type { Pages, StepContext } from './protocol.ts';

/** Bounds the records of one connection in a role and a state: a message that would make one more is answered by a problem report. */
export function mostOfConnection(most: number, of: { category: string; role?: string; state: string }, text: string) {
  const { category, ...query } = of;
  return {
    /** For the `pages` of the message. */
    pages: (_message: unknown, connection: string | undefined): Pages => ({
      waiting: { category, query: { ...query, connection: connection ?? '', limit: 1 } },
    }),
    /** For its step. @returns undefined where there is room */
    full: ({ pages }: Pick<StepContext, 'pages'>): Effects | undefined =>
      pages.waiting!.total >= most ? { problem: { code: 'request-not-accepted', text } } : undefined,
  };
}
