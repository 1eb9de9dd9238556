/**
 * Faults that a test or a demo asks for, each for the next `times` requests (1 by default) whose path contains `path` (all by default):
 *
 * - `drop`: the connection is cut before the request is looked at; `drop-after`: after it was carried out, so that only the answer is lost
 * - `delay`: the answer waits `ms` milliseconds
 * - `status`: the answer is `status` (503 by default)
 * - `reject`: a submitted group is refused with `message`
 * - `expire`: a submitted group is acknowledged and thrown away, and the chain moves past its validity
 * - `hold`: a submitted group is acknowledged and thrown away; it may be sent again
 */
export interface Fault {
  kind: 'drop' | 'drop-after' | 'delay' | 'status' | 'reject' | 'expire' | 'hold';
  path?: string;
  times?: number;
  ms?: number;
  status?: number;
  message?: string;
}

const KINDS: readonly string[] = ['drop', 'drop-after', 'delay', 'status', 'reject', 'expire', 'hold'];

export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  /** The fault of this kind that hits a request, if any; counts it. */
  take(kind: Fault['kind'], path: string): Fault | undefined;
}

/** A list of faults. */
export const createFaults = (initial: readonly Fault[] = []): Faults => {
  let list: (Fault & { times: number })[] = [];
  const add = (fault: Fault): void => {
    if (!KINDS.includes(fault.kind)) throw new RangeError(`unknown fault ${String(fault.kind)}; known: ${KINDS.join(', ')}`);
    list.push({ ...fault, times: fault.times ?? 1 });
  };
  for (const fault of initial) add(fault);
  return {
    add,
    clear: () => {
      list = [];
    },
    take: (kind, path) => {
      const found = list.find((fault) => fault.kind === kind && fault.times > 0 && path.includes(fault.path ?? ''));
      if (found) found.times -= 1;
      return found;
    },
  };
};
