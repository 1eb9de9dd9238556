import type { VNode } from './h.ts';
import type { Place } from './router.ts';

/** One screen: one file, and one line in the list of its front end. */
export interface Screen {
  /** The first part of its address. */
  readonly path: string;
  /** The key of its name, in `text/*.json`. */
  readonly title: string;
  /** operationIds without which it is not shown. */
  readonly needs: readonly string[];
  readonly view: (place: Place) => VNode;
}

export const screen = (given: Screen): Screen => Object.freeze(given);
