import { startBenchAgent } from './agent.ts';
import { median, printTable, residentMiB } from './reference.ts';
import { benchStores } from './stores.ts';

const RUNS = 5;

/** From the start of the process until /status/ready answers 200, and its resident memory then, on a fresh store. */
export async function run(): Promise<unknown> {
  const results: Record<string, string | number>[] = [];
  for await (const store of benchStores()) {
    const ready: number[] = [];
    const memory: number[] = [];
    try {
      for (let i = 0; i < RUNS; i++) {
        const agent = await startBenchAgent(store.url);
        ready.push(agent.readySeconds);
        memory.push(residentMiB(agent.pid));
        await agent.stop();
      }
    } finally {
      await store.stop();
    }
    results.push({ store: store.name, readySeconds: median(ready), residentMiB: median(memory) });
  }
  printTable(
    ['store', 'ready s', 'RSS MiB'],
    results.map((row) => [row.store!, row.readySeconds!, row.residentMiB!]),
  );
  return results;
}
