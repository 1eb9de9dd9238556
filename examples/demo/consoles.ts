import { type StoreOf, startNetwork } from '../../harness/network.ts';

type Open = <T extends { stop(): Promise<void> }>(making: Promise<T>) => Promise<T>;

/** Three agents on a dev ledger, for people: their consoles, until the demo is interrupted. */
export async function runConsoles(folder: string, stores: StoreOf, line: (step: string, made: string) => void, open: Open): Promise<never> {
  const { admin } = await open(startNetwork(folder, stores, (name, detail) => line(`start ${name}`, detail)));
  const rows = Object.entries(admin).map(([role, { url, key }]) => `  ${role.padEnd(10)} ${url}/console/   key ${key}\n`);
  process.stdout.write(
    `\nOpen each in a browser on this machine, and sign in with its key. The issuer makes a definition, issues and revokes; the holder keeps credentials and shows them; the verifier asks.\n\n${rows.join('')}\nStores and logs: ${folder}\nCtrl-C ends it.\n`,
  );
  return await new Promise<never>(() => {});
}
