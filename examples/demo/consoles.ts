import { randomBytes } from 'node:crypto';
import { type StoreOf, startAgent, startNetwork } from '../../harness/network.ts';
import { freePort } from '../../harness/processes.ts';

type Open = <T extends { stop(): Promise<void> }>(making: Promise<T>) => Promise<T>;

/** Three agents on a dev ledger, and one with a web wallet, for people: their pages, until the demo is interrupted. */
export async function runConsoles(folder: string, stores: StoreOf, line: (step: string, made: string) => void, open: Open): Promise<never> {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  // invitations of the agents lead to the web wallet
  const toWallet: StoreOf = (role) => ({ ...stores(role), args: [...stores(role).args, '--wallet-origin', origin] });
  const { admin, facts, webhooks } = await open(startNetwork(folder, toWallet, (name, detail) => line(`start ${name}`, detail)));
  const wallets = await open(
    startAgent(folder, webhooks, 'wallets', {
      ledger: facts,
      flags: ['--multitenant', '--wallet', '127.0.0.1', String(port), '--preserve-exchange-records'],
      env: { ACAPY_MULTITENANT_JWT_SECRET: randomBytes(32).toString('hex') },
    }),
  );
  line('start wallets', `pid ${wallets.program.pid}`);
  const rows = Object.entries(admin).map(([role, { url, key }]) => `  ${role.padEnd(10)} ${url}/console/   key ${key}\n`);
  process.stdout.write(
    `\nOpen each in a browser on this machine, and sign in with its key. The issuer makes a definition, issues, asks for proofs and revokes; the holder keeps credentials and shows them; the verifier asks.\n\n${rows.join('')}\nA person without a console has the web wallet, with a passkey: the pages of invitations lead there.\n\n  wallet     ${origin}/\n\nStores and logs: ${folder}\nCtrl-C ends it.\n`,
  );
  return await new Promise<never>(() => {});
}
