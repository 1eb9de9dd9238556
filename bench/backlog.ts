import { startBenchAgent } from './agent.ts';
import { cpuSeconds, printTable, sealOpenMicroseconds } from './reference.ts';
import { benchStores } from './stores.ts';
import { benchWallets, type Mode } from './wallets.ts';

const MESSAGES = 10_000;
const IN_FLIGHT = 32;

/** A wallet that comes back to ten thousand messages: how long until it has them all, and what that costs the mediator, as messages per CPU-second in parts of R. */
export async function run(): Promise<unknown> {
  const rows: { store: string; mode: Mode; seconds: number; perSecond: number; firstMs: number; ratio: number }[] = [];
  for await (const store of benchStores()) {
    const agent = await startBenchAgent(store.url, ['--open-mediation', '--message-rate', '0', '--mailbox-messages', '20000'], {
      webSocket: true,
    });
    const wallets = benchWallets(agent);
    try {
      for (const mode of ['implicit', 'live'] as const) {
        const wallet = await wallets.connect();
        await wallet.drop();
        let left = MESSAGES;
        await Promise.all(
          Array.from({ length: IN_FLIGHT }, async () => {
            while (left-- > 0) await wallets.post(wallet.mail(''));
          }),
        );
        const end = wallets.count + MESSAGES;
        let first = 0;
        const [reference, cpu, begun] = [sealOpenMicroseconds(), cpuSeconds(agent.pid), performance.now()];
        const all = new Promise<void>((resolve) => {
          wallets.onMail(() => {
            first ||= performance.now() - begun;
            if (wallets.count >= end) resolve();
          });
        });
        await wallet.open(mode);
        await all;
        const seconds = (performance.now() - begun) / 1000;
        const each = ((cpuSeconds(agent.pid) - cpu) * 1e6) / MESSAGES;
        rows.push({ store: store.name, mode, seconds, perSecond: MESSAGES / seconds, firstMs: first, ratio: reference / each });
        await wallet.drop();
      }
    } finally {
      await wallets.close();
      await agent.stop();
      await store.stop();
    }
  }
  process.stdout.write(`a wallet that comes back to ${MESSAGES} messages\n`);
  printTable(
    ['store', 'mode', 'seconds', 'per second', 'first ms', 'of R'],
    rows.map((row) => [row.store, row.mode, row.seconds, row.perSecond, row.firstMs, row.ratio]),
  );
  return rows;
}
