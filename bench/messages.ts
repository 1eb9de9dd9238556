import { startBenchAgent } from './agent.ts';
import { startPeers } from './peer.ts';
import { cpuSeconds, median, printTable, residentMiB, sealOpenMicroseconds } from './reference.ts';
import { benchStores } from './stores.ts';

const IN_FLIGHT = 32;
const PEERS = 8;
const WARM = 1500;
const SLICE = 3000;
const SLICES = 4;

/**
 * A ping with its response between two processes: what the responder's CPU costs per message in seal-opens (R, measured between the slices), and its SQL round
 * trips. Everything that a message costs is in it: HTTP in, open, load, commit, seal, HTTP out, the job's end.
 */
export async function run(): Promise<unknown> {
  const results: Record<string, unknown>[] = [];
  for await (const store of benchStores()) {
    const agent = await startBenchAgent(store.url);
    const peers = await startPeers();
    try {
      const connected = await Promise.all(Array.from({ length: PEERS }, () => peers.connect(agent.admin, agent.key)));
      const pings = async (count: number): Promise<void> => {
        let left = count;
        await Promise.all(
          Array.from({ length: IN_FLIGHT }, async (_, i) => {
            while (left-- > 0) await connected[i % PEERS]!.ping();
          }),
        );
      };
      await pings(WARM);
      const costs: number[] = [];
      const opens: number[] = [];
      const rates: number[] = [];
      const trips = (await agent.conductor()).statements ?? 0;
      for (let slice = 0; slice < SLICES; slice++) {
        const reference = sealOpenMicroseconds();
        const [cpu, wall] = [cpuSeconds(agent.pid), performance.now()];
        await pings(SLICE);
        const each = ((cpuSeconds(agent.pid) - cpu) * 1e6) / SLICE;
        rates.push(SLICE / ((performance.now() - wall) / 1000));
        costs.push(each);
        opens.push(each / ((reference + sealOpenMicroseconds()) / 2));
      }
      const spent = (await agent.conductor()).statements ?? 0;
      results.push({
        store: store.name,
        cpuMicroseconds: median(costs),
        sealOpens: median(opens),
        roundTrips: (spent - trips) / (SLICE * SLICES),
        perSecond: median(rates),
        residentMiB: residentMiB(agent.pid),
      });
    } finally {
      await agent.stop();
      await peers.close();
      await store.stop();
    }
  }
  process.stdout.write(`ping with response, ${IN_FLIGHT} in flight over ${PEERS} connections; generator and agent share the machine\n`);
  printTable(
    ['store', 'CPU us', 'seal-opens', 'SQL round trips', 'per second', 'RSS MiB'],
    results.map(
      (row) => [row.store, row.cpuMicroseconds, row.sealOpens, row.roundTrips, row.perSecond, row.residentMiB] as (string | number)[],
    ),
  );
  return results;
}
