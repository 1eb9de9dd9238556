/**
 * How far a run goes. `--full` takes the whole length of every test. The run of all tests leaves the long suites out (`LONG` in test/run.ts) and sets
 * `FLEXID_WHOLE`, by which the others are shorter in it than when they are named.
 */
export const isFull = process.env.FLEXID_FULL !== undefined;
const isWhole = !isFull && process.env.FLEXID_WHOLE !== undefined;

/** What a long suite takes, and what it takes with `--full`. */
export const byFull = <T>(named: T, full: T): T => (isFull ? full : named);

/** What a suite takes in the run of all tests, and otherwise. */
export const byExtent = <T>(whole: T, named: T): T => (isWhole ? whole : named);

/** The `skip` of a long test in a suite that is short without it. */
export const longOne: string | false = isWhole && 'takes long: name the suite, or --full';

export const STORES = ['sqlite', 'postgres'] as const;
