import { now } from './clock.ts';

/** The outcome of one job of a lane. A job that its own commit completed is `committed`. */
export type JobOutcome =
  | { readonly state: 'done' }
  | { readonly state: 'committed' }
  | { readonly state: 'retry'; readonly at: number; readonly error: string }
  /** It was not tried: whoever it is for has enough in hand, or is known not to answer. */
  | { readonly state: 'later'; readonly at: number }
  | { readonly state: 'dead'; readonly error: string };

/** When a job that failed so many times is due again: doubling from one second up to `cap`, with a little scatter. A whole number: a store keeps no other. */
export function backoff(attempts: number, cap: number): number {
  return now() + Math.round(Math.min(1000 * 2 ** Math.min(attempts, 20), cap) * (0.8 + Math.random() * 0.4));
}
