import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Of threads whose work others should not wait for. */
const PRIORITY = 10;

/** Lets this thread, and those that are started from it, wait for others: on Linux alone, where a thread has a priority of its own. */
export function standBack(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), PRIORITY);
  } catch {
    // then it is like the others
  }
}
