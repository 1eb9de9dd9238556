import { setTimeout as pause } from 'node:timers/promises';
import { startBenchAgent } from './agent.ts';
import { cpuSeconds, median, printTable, residentMiB, sealOpenMicroseconds } from './reference.ts';
import { benchStores } from './stores.ts';
import { type BenchWallet, type BenchWallets, benchWallets, type Mode } from './wallets.ts';

const IN_FLIGHT = 64;
const WALLETS = 200;
/** A process that has just started compiles as it goes: what is measured is one that has run for a while. */
const WARM = 10_000;
const SLICE = 6000;
const SLICES = 4;
/** Messages for latencies, and how many of them are sent in a second. */
const TIMED = 1500;
const RATE = 150;
const CROWDS = [1, 100, 2000];

/**
 * A message that is posted to a mediator for a wallet on a WebSocket: HTTP in, open, commit, socket, acknowledgement, commit. What that costs the mediator's CPU,
 * as messages per CPU-second in parts of R, for mail as it is (implicit) and as deliveries of messagepickup 2.0 (live); and how long it takes from the post to the
 * wallet, by the number of wallets that are connected.
 */
export async function run(): Promise<unknown> {
  const rows: Record<string, unknown>[] = [];
  for await (const store of benchStores()) {
    const agent = await startBenchAgent(store.url, ['--open-mediation', '--message-rate', '0'], { webSocket: true });
    const wallets = benchWallets(agent);
    try {
      const all: BenchWallet[] = [];
      const more = async (count: number): Promise<void> => {
        while (all.length < count)
          all.push(...(await Promise.all(Array.from({ length: Math.min(16, count - all.length) }, wallets.connect))));
      };
      await more(WALLETS);
      for (const mode of ['implicit', 'live'] as const) {
        await openAll(all, mode);
        await burst(wallets, all, WARM);
        const ratios: number[] = [];
        const rates: number[] = [];
        for (let slice = 0; slice < SLICES; slice++) {
          const mail = Array.from({ length: SLICE }, (_, i) => all[i % all.length]!.mail(''));
          const reference = sealOpenMicroseconds();
          const [cpu, wall] = [cpuSeconds(agent.pid), performance.now()];
          await burst(wallets, all, SLICE, mail);
          const each = ((cpuSeconds(agent.pid) - cpu) * 1e6) / SLICE;
          rates.push(SLICE / ((performance.now() - wall) / 1000));
          ratios.push((reference + sealOpenMicroseconds()) / 2 / each);
        }
        rows.push({
          store: store.name,
          mode,
          wallets: all.length,
          ratio: median(ratios),
          perSecond: median(rates),
          MiB: residentMiB(agent.pid),
        });
      }
      for (const crowd of CROWDS) {
        await more(crowd);
        const present = all.slice(0, crowd);
        await openAll(all, 'implicit');
        const times = await latencies(wallets, present, 'implicit');
        rows.push({ store: store.name, mode: 'implicit', wallets: crowd, ...times, MiB: residentMiB(agent.pid) });
      }
    } finally {
      await wallets.close();
      await agent.stop();
      await store.stop();
    }
  }
  process.stdout.write(
    `a forward to a wallet's socket and its acknowledgement, ${IN_FLIGHT} posts in flight; latencies at ${RATE} a second\n`,
  );
  printTable(
    ['store', 'mode', 'wallets', 'of R', 'per second', 'p50 ms', 'p99 ms', 'RSS MiB'],
    rows.map(
      (row) =>
        [
          row.store,
          row.mode,
          row.wallets,
          (row.ratio as number | undefined)?.toFixed(3) ?? '',
          row.perSecond ?? '',
          row.p50 ?? '',
          row.p99 ?? '',
          row.MiB,
        ] as (string | number)[],
    ),
  );
  return rows;
}

async function openAll(wallets: readonly BenchWallet[], mode: Mode): Promise<void> {
  for (let i = 0; i < wallets.length; i += 32) await Promise.all(wallets.slice(i, i + 32).map((one) => one.open(mode)));
}

/** Posts so many messages, round the wallets, and waits until all have come. */
async function burst(wallets: BenchWallets, to: readonly BenchWallet[], count: number, given?: string[]): Promise<void> {
  const mail = given ?? Array.from({ length: count }, (_, i) => to[i % to.length]!.mail(''));
  const end = wallets.count + count;
  const all = new Promise<void>((resolve) => {
    wallets.onMail(() => {
      if (wallets.count >= end) resolve();
    });
  });
  let next = 0;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (next < mail.length) await wallets.post(mail[next++]!);
    }),
  );
  await all;
  // what is left of the acknowledgements
  await pause(100);
}

/** From the beginning of the post to the wallet's socket, at a rate that leaves the machine idle for a good part. */
async function latencies(wallets: BenchWallets, to: readonly BenchWallet[], _mode: Mode): Promise<{ p50: number; p99: number }> {
  const mail = Array.from({ length: TIMED }, (_, i) => ({ name: `timed ${i}`, envelope: to[i % to.length]!.mail(`timed ${i}`) }));
  const times: number[] = [];
  const running: Promise<void>[] = [];
  const begun = performance.now();
  for (const [i, { name, envelope }] of mail.entries()) {
    const due = begun + (i * 1000) / RATE;
    if (due > performance.now()) await pause(due - performance.now());
    const at = performance.now();
    const arrived = wallets.arrival(name).then(() => times.push(performance.now() - at));
    running.push(Promise.all([wallets.post(envelope), arrived]).then(() => undefined));
  }
  await Promise.all(running);
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(times.length * 0.5)]!, p99: times[Math.floor(times.length * 0.99)]! };
}
