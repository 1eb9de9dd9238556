export interface BenchStore {
  readonly name: string;
  /** Absent: a SQLite file of the agent's own. */
  readonly url?: string;
  stop(): Promise<void>;
}

/** The stores to measure on. */
export async function benchStores(): Promise<BenchStore[]> {
  return [{ name: 'sqlite', stop: async () => {} }];
}
