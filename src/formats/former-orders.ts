import type { ActOutput } from '../kernel/format.ts';
import type { WorkContext, WorkOps } from '../kernel/work.ts';
import type { JsonObject } from '../ports/json.ts';

/**
 * Orders from before each format had its own, which may lie in the store of an agent that was upgraded: one order was for all formats of a message. They are done by
 * the acts of today.
 */
export function formerWork(ops: WorkOps): WorkOps {
  const done = async (ctx: WorkContext, act: string, tasks: readonly (readonly [format: string, input: object])[]) => {
    const made: object[] = [];
    for (const [format, input] of tasks) {
      const order = { input, rest: [], made: [], result: '' };
      made.push(...((await ops[`${format}/${act}`]!(ctx, order)) as ActOutput<object>).made);
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
