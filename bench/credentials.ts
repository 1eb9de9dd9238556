import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eachOf, issueOne, type Prepared, prepare, presentOne } from '../examples/demo/flow.ts';
import { type Network, ROLES, type Role, startNetwork } from '../harness/network.ts';
import { openStores } from '../harness/stores.ts';
import { BENCH_ROW, run as bareCalls } from './anoncreds.ts';
import { cpuSeconds, printTable } from './reference.ts';

const IN_FLIGHT = [1, 4, 16];
const COUNT = 48;

interface Result {
  readonly inFlight: number;
  readonly perMinute: number;
  /** CPU milliseconds per credential of each agent. */
  readonly cpu: Readonly<Record<Role, number>>;
  /** What the library calls of one credential cost alone, both sides together. */
  readonly bare: number;
}

/** Three agents as in the demo; `work` is repeated with 1, 4 and 16 in flight, and set beside the bare library calls that it must make. */
async function measure(
  title: string,
  bareNames: readonly string[],
  work: (network: Network, prepared: Prepared, credential: string) => Promise<unknown>,
): Promise<Result[]> {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-bench-'));
  const stores = await openStores('sqlite', folder);
  let network: Network | undefined;
  try {
    const rows = await bareCalls(process.env.LIB_ANONCREDS_PATH ?? '');
    const bare = rows.filter((row) => bareNames.includes(row.name)).reduce((sum, row) => sum + row.bare, 0);
    network = await startNetwork(folder, stores.of);
    const prepared = await prepare(network.controllers, Object.keys(BENCH_ROW), async (_name, run) => (await run())[0]);
    const credential = await issueOne(network.controllers, prepared, BENCH_ROW);
    await work(network, prepared, credential);
    const results: Result[] = [];
    for (const inFlight of IN_FLIGHT) {
      const cpuOf = (): number[] => ROLES.map((role) => cpuSeconds(network!.agents[role].pid!));
      const [before, start] = [cpuOf(), performance.now()];
      await eachOf(Array.from({ length: COUNT }), inFlight, async () => void (await work(network!, prepared, credential)));
      const seconds = (performance.now() - start) / 1000;
      const used = cpuOf().map((after, i) => ((after - before[i]!) * 1000) / COUNT);
      results.push({ inFlight, perMinute: (COUNT / seconds) * 60, cpu: { issuer: used[0]!, holder: used[1]!, verifier: used[2]! }, bare });
    }
    process.stdout.write(`${title}; three agents, the ledger and the controller share the machine; SQLite\n`);
    printTable(
      ['in flight', 'per minute', 'issuer CPU ms', 'holder CPU ms', 'verifier CPU ms', 'bare library ms', 'all / bare'],
      results.map(({ inFlight, perMinute, cpu, bare: alone }) => [
        String(inFlight),
        perMinute,
        cpu.issuer,
        cpu.holder,
        cpu.verifier,
        alone,
        (cpu.issuer + cpu.holder + cpu.verifier) / alone,
      ]),
    );
    return results;
  } finally {
    await network?.stop();
    await stores.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Credentials per minute, from the issuer's call to the acknowledged credential in the holder's wallet. */
export const issue = (): Promise<Result[]> =>
  measure('issue', ['createOffer', 'createRequest', 'createCredential', 'processCredential'], (network, prepared) =>
    issueOne(network.controllers, prepared, BENCH_ROW),
  );

/** Presentations per minute, from the verifier's call to its verdict. */
export const verify = (): Promise<Result[]> =>
  measure('present and verify', ['createPresentation', 'verifyPresentation'], (network, prepared, credential) =>
    presentOne(network.controllers, prepared, credential, { revealed: 'full_name', number: 'graduation_year', floor: 2000 }),
  );
