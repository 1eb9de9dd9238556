/**
 * How far a run goes. The whole suite (test/run.ts sets `FLEXID_WHOLE`) takes the shortest form of its long tests, a suite that is named a longer one, and
 * `--full` their whole length.
 */
export const isFull = process.env.FLEXID_FULL !== undefined;
const isWhole = !isFull && process.env.FLEXID_WHOLE !== undefined;

/** A number or a list, by the extent of the run. */
export const byExtent = <T>(whole: T, named: T, full = named): T => (isFull ? full : isWhole ? whole : named);

export type StoreKind = 'sqlite' | 'postgres';

/** The stores that a suite runs on: both, and within the whole suite the given one. */
export const storesOf = (whole: StoreKind): readonly StoreKind[] => byExtent([whole], ['sqlite', 'postgres']);

/** The `skip` of a test that the whole suite leaves out. */
export const longOne: string | false = isWhole && 'takes long: name the suite, or --full';
