let source: () => number = Date.now;

/**
 * The time by which ids sort and jobs fall due: the store's, where several processes share one, since their machines' clocks may be minutes apart. One for the
 * process, as ids are.
 */
export const now = (): number => source();

export function followClock(of: () => number): void {
  source = of;
}
