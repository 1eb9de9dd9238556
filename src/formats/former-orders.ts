import { type Act, type ActOutput, type FormatTask, formatOrder } from '../kernel/format.ts';
import type { WorkContext, WorkOps } from '../kernel/work.ts';
import type { JsonObject } from '../ports/json.ts';

const taskOf = ([format, input]: readonly [format: string, input: object]): FormatTask => ({ format, input: input as JsonObject });

/**
 * Orders from before each format had its own, which may lie in the store of an agent that was upgraded: one order was for all formats of a message. They are done by
 * the acts of today.
 */
export function formerWork(ops: WorkOps): WorkOps {
  const done = async (ctx: WorkContext, act: Act, tasks: readonly (readonly [format: string, input: object])[]) => {
    const made: object[] = [];
    for (const [at, [format, input]] of tasks.entries()) {
      const order = { input, rest: [], made: [], result: '' };
      const output = (await ops[`${format}/${act}`]!(ctx, order)) as ActOutput<object>;
      // an index is taken in the commit that orders the act: from here on by orders of today
      if (output.next) return { made: [], next: formatOrder(act, tasks.slice(at).map(taskOf), 'issued', made as JsonObject[]) };
      made.push(...output.made);
    }
    return { made };
  };
  return {
    'credential/offer': async (
      ctx,
      { filters, preview }: { filters: { format: string; filter: JsonObject }[]; preview: JsonObject | null },
    ) => {
      const attributes = preview?.attributes ?? null;
      const made = await done(
        ctx,
        'offer',
        filters.map(({ format, filter }) => [format, { filter, preview: attributes }]),
      );
      return { ...made, preview };
    },
    'credential/request': (ctx, { format, ...input }) => done(ctx, 'request', [[format, input]]),
    'credential/issue': (ctx, { entries, values }: { entries: { format: string }[]; values: JsonObject }) =>
      done(
        ctx,
        'issue',
        entries.map(({ format, ...input }) => [format, { ...input, values }]),
      ),
    'credential/store': (ctx, { format, ...input }) => done(ctx, 'store', [[format, input]]),
    'presentation/create': (
      ctx,
      { entries, patient }: { entries: { format: string; request: JsonObject; chosen: JsonObject | null }[]; patient: boolean },
    ) =>
      done(
        ctx,
        'present',
        entries.map(({ format, request, chosen }) => [format, { request, choice: chosen, patient }]),
      ),
    // both formats verify alike
    'presentation/verify': (ctx, { entries }: { entries: JsonObject[] }) =>
      done(
        ctx,
        'verify',
        entries.map((input) => ['anoncreds', input]),
      ),
  };
}
