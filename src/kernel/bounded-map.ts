/** A map of at most `max` entries. The entry that was set longest ago leaves first; an entry that is set again counts as new. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #max: number;
  readonly #evicted: ((value: V, key: K) => void) | undefined;

  /** @param evicted is called with an entry that leaves for want of room, not with one that is deleted or replaced */
  constructor(max: number, evicted?: (value: V, key: K) => void) {
    super();
    this.#max = max;
    this.#evicted = evicted;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size <= this.#max) return this;
    const [oldest, old] = this.entries().next().value!;
    this.delete(oldest);
    this.#evicted?.(old, oldest);
    return this;
  }
}
