/**
 * Names that were added lately: at least the last `max`, at most twice as many. Two generations, of which the older one leaves whole, so that an addition removes
 * nothing.
 */
export class RecentNames {
  readonly #max: number;
  #young = new Set<string>();
  #old: ReadonlySet<string> = new Set();

  /** @param max at least 1 */
  constructor(max: number) {
    this.#max = max;
  }

  /** Whether the name is among them. */
  has(name: string): boolean {
    return this.#young.has(name) || this.#old.has(name);
  }

  /** Adds a name; one that is added again counts as new. */
  add(name: string): void {
    if (this.#young.size >= this.#max) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(name);
  }
}
