export interface Leaving<K, V> {
  /** Called with an entry that leaves for want of room, not with one that is deleted or replaced. */
  readonly evicted?: (value: V, key: K) => void;
  /** Whether an entry whose turn it is to leave counts as new instead. Must become false for one that is not used in between. */
  readonly spared?: (value: V) => boolean;
}

/** A map of at most `max` entries. The entry that was set longest ago leaves first; an entry that is set again counts as new. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #max: number;
  readonly #leaving: Leaving<K, V>;
  /** A place before the oldest entry. A new iterator passes all that was deleted since the last rehash: tens of microseconds in a large map. */
  #oldest: MapIterator<[K, V]> | undefined;
  /** Entries set since the iterator moved. It holds on to every table that the map has left since then, so that it is not kept for long. */
  #still = 0;

  /** @param max at least 1 */
  constructor(max: number, leaving: Leaving<K, V> = {}) {
    super();
    this.#max = max;
    this.#leaving = leaving;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    if (this.size >= this.#max) this.#makeRoom();
    else if (++this.#still > this.#max) this.#oldest = undefined;
    return super.set(key, value);
  }

  #makeRoom(): void {
    this.#still = 0;
    this.#oldest ??= this.entries();
    while (this.size >= this.#max) {
      const [oldest, old] = this.#oldest.next().value!;
      this.delete(oldest);
      if (this.#leaving.spared?.(old)) super.set(oldest, old);
      else this.#leaving.evicted?.(old, oldest);
    }
  }
}
