import { parseArgs } from 'node:util';
import { startBenchAgent } from './agent.ts';
import { cpuSeconds, printTable, residentMiB } from './reference.ts';
import { benchWallets } from './wallets.ts';

/** How many sockets each wallet opens: one less than would have the oldest closed. */
const EACH = 15;
const IDLE_SECONDS = 40;

/** Idle WebSockets of wallets that have asked for their mail: what each costs in memory, and all of them in processor time while nothing but pings goes on. */
export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({ args: [...args], options: { sockets: { type: 'string', default: '10000' } } });
  const count = Number(values.sockets);
  const agent = await startBenchAgent(undefined, ['--open-mediation', '--message-rate', '0'], { webSocket: true });
  const wallets = benchWallets(agent);
  try {
    const all = [];
    while (all.length < Math.ceil(count / EACH)) all.push(...(await Promise.all(Array.from({ length: 16 }, wallets.connect))));
    for (const one of all) await one.drop();
    // what the handshakes have left is not the sockets'
    await agent.kill();
    await agent.restart();
    const before = residentMiB(agent.pid);
    let open = 0;
    for (let round = 0; round < EACH && open < count; round++) {
      for (let i = 0; i < all.length && open < count; i += 32) {
        const some = all.slice(i, Math.min(i + 32, i + count - open));
        await Promise.all(some.map((one) => one.another('implicit')));
        open += some.length;
      }
    }
    const after = residentMiB(agent.pid);
    const cpu = cpuSeconds(agent.pid);
    await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
    const idle = cpuSeconds(agent.pid) - cpu;
    const later = residentMiB(agent.pid);
    const row = {
      sockets: open,
      beforeMiB: before,
      afterMiB: after,
      laterMiB: later,
      eachKiB: ((later - before) * 1024) / open,
      cpuShare: idle / IDLE_SECONDS,
    };
    process.stdout.write(`${open} idle WebSockets of ${all.length} wallets, looked at after ${IDLE_SECONDS} s\n`);
    printTable(
      ['sockets', 'RSS MiB before', 'opened', 'later', 'KiB each', 'of a CPU'],
      [[String(open), row.beforeMiB, row.afterMiB, row.laterMiB, row.eachKiB, row.cpuShare]],
    );
    return [row];
  } finally {
    await wallets.close();
    await agent.stop();
  }
}
