import { startPostgres } from '../src/adapters/postgres/embedded.ts';

export interface BenchStore {
  readonly name: string;
  /** Absent: a SQLite file of the agent's own. */
  readonly url?: string;
  stop(): Promise<void>;
}

/** The stores to measure on, one after the other: each is started when it is its turn. */
export async function* benchStores(): AsyncGenerator<BenchStore> {
  yield { name: 'sqlite', stop: async () => {} };
  const server = await startPostgres();
  yield { name: 'postgres', url: server.url, stop: () => server.stop() };
}
