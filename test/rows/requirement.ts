import type { Breakable, Mutation } from '../mutations.ts';

/** A test by its file and the text of its title, up to what a template puts in. */
export type NamedTest = readonly [file: string, title: string];

/** A requirement of the two papers that this agent is built from, or one that follows from them: README (S1), Agent Protocol of 2018 (S2), derived (D). */
export interface Requirement extends Partial<Pick<Breakable, 'mutation'>> {
  readonly id: string;
  readonly text: string;
  /** Tests elsewhere; those in test/rows, and whichever carry its id in their titles, are found by that. */
  readonly tests?: readonly NamedTest[];
  /** Why it is not met yet, or why nothing shows that it is. */
  readonly missing?: string;
}

/** A requirement that is met: tests that stand elsewhere, beside those that carry its id. */
export const met = (id: string, text: string, ...tests: NamedTest[]): Requirement => ({ id, text, tests });
/** The same, with the one line whose loss its tests notice. */
export const shown = (id: string, text: string, mutation: Mutation, ...tests: NamedTest[]): Requirement => ({ id, text, tests, mutation });
/** A requirement that is not met yet, and the reason. */
export const not = (id: string, text: string, missing: string): Requirement => ({ id, text, missing });
