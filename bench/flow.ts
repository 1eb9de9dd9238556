import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { eachOf } from '../examples/demo/flow.ts';

import { type AgentUnderTest, flowController, startInbox, type Way } from './controller.ts';
import { startAgents } from './pair.ts';
import { cpuSeconds, median, memoryMiB, printTable, threadSeconds, writtenBytes } from './reference.ts';
import { type Ground, PARTS, type Pair, type Part, prepareGround, wholeFlow } from './whole-flow.ts';

const WARM = 3;
/** A server counts what a connection did when that was quiet for ten seconds. */
const COUNTED_MS = 11_000;
const HELP = `./flexid bench flow [--quick | --full] [--store sqlite] [--way webhooks]
./flexid bench flow --issuer URL --holder URL --pids N,N --definition ID [--keys KEY,KEY] [--webhooks-on PORT]

The whole flow over the admin API: connection, credential of four attributes, presentation of one attribute and one predicate. CPU of each agent, memory, bytes
written, fsyncs or transactions, p50 and p95, at 1, 4 and 16 flows in flight (1 alone with --quick, 64 too with --full), by a controller that takes webhooks and
one that polls, on both stores. With one in flight each part of a flow is measured by itself: CPU of the threads of the AnonCreds library, and of all others.

The second form measures agents that run already, of any kind with ACA-Py's admin API. Both must accept, respond and store by themselves, keep their records,
and send webhooks to http://127.0.0.1:PORT/issuer and /holder where --webhooks-on names a port; without it the controller polls.
`;

/** Of issuer and holder. */
type Both = readonly [number, number];

interface Measured {
  readonly store: string;
  readonly way: Way;
  readonly inFlight: number;
  readonly flows: number;
  readonly perSecond: number;
  /** For each flow. */
  readonly cpuMs: Both;
  readonly writtenKB: Both;
  /** Commits that waited for the disk, on SQLite; transactions, on a server. */
  readonly syncs?: Both;
  readonly residentMiB: Both;
  /** p50 and p95 of each part, ms. */
  readonly parts: Readonly<Record<Part, Both>>;
  readonly calls: number;
  /** Median for each part, of one flow at a time. */
  readonly costs?: Readonly<
    Record<Part, { readonly ownMs: Both; readonly libraryMs: Both; readonly writtenKB: Both; readonly syncs: Both }>
  >;
}

/** Counts of what only a store knows: commits, and bytes where they are its server's. */
type Counts = () => Promise<{ syncs?: readonly number[]; bytes?: readonly number[] }>;

const none: Counts = async () => ({});

const quantile = (values: readonly number[], q: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;
};

/** What two agents have used so far, by the time of the library's threads and that of all others. */
const used = (agents: readonly AgentUnderTest[]) =>
  agents.map(({ pid }) => {
    const { anoncreds = 0, ...others } = threadSeconds(pid);
    return {
      ownMs: 1000 * Object.values(others).reduce((a, b) => a + b, 0),
      libraryMs: 1000 * anoncreds,
      writtenKB: writtenBytes(pid) / 1000,
      syncs: 0,
    };
  });

/** Follows flows that run one at a time: the cost of each part, in which what is counted costs nothing. */
async function partCosts(agents: readonly AgentUnderTest[], counts: Counts) {
  const kinds = ['ownMs', 'libraryMs', 'writtenKB', 'syncs'] as const;
  const costs = PARTS.map(() => [] as ReturnType<typeof used>[]);
  const counted = async () => (await counts()).syncs ?? [0, 0];
  let syncs = await counted();
  let last = used(agents);
  return {
    async ended(part: Part): Promise<void> {
      const now = used(agents);
      const syncsNow = await counted();
      const costOf = (i: number) => ({
        ownMs: now[i]!.ownMs - last[i]!.ownMs,
        libraryMs: now[i]!.libraryMs - last[i]!.libraryMs,
        writtenKB: now[i]!.writtenKB - last[i]!.writtenKB,
        syncs: syncsNow[i]! - syncs[i]!,
      });
      costs[PARTS.indexOf(part)]!.push([costOf(0), costOf(1)]);
      syncs = syncsNow;
      last = used(agents);
    },
    medians: (): NonNullable<Measured['costs']> => {
      const of = (rows: ReturnType<typeof used>[], kind: (typeof kinds)[number]): Both =>
        [0, 1].map((side) => median(rows.map((row) => row[side]![kind]))) as never;
      return Object.fromEntries(
        PARTS.map((part, i) => [part, Object.fromEntries(kinds.map((kind) => [kind, of(costs[i]!, kind)]))]),
      ) as never;
    },
  };
}

async function measure(
  about: Pick<Measured, 'store' | 'way' | 'inFlight' | 'flows'>,
  pair: Pair,
  ground: Ground,
  agents: readonly AgentUnderTest[],
  counts: { readonly all: Counts; readonly each: Counts },
): Promise<Measured> {
  const { flows, inFlight } = about;
  const now = () => ({
    cpu: agents.map(({ pid }) => cpuSeconds(pid) * 1000),
    bytes: agents.map(({ pid }) => writtenBytes(pid)),
    calls: pair.issuer.calls + pair.holder.calls,
    at: performance.now(),
  });
  const times: Awaited<ReturnType<typeof wholeFlow>>[] = [];
  const counted = await counts.all();
  const before = now();
  const costs = inFlight === 1 ? await partCosts(agents, counts.each) : undefined;
  await eachOf(
    Array.from({ length: flows }),
    inFlight,
    async (_none, i) => void times.push(await wholeFlow(pair, ground, i, costs?.ended)),
  );
  const after = now();
  const { syncs, bytes } = await counts.all();
  const each = (b: readonly number[], a: readonly number[], unit = 1) => a.map((one, i) => (one - b[i]!) / flows / unit) as never;
  const both = (name: Part): Both => {
    const values = times.map((one) => one[name]);
    return [quantile(values, 0.5), quantile(values, 0.95)];
  };
  return {
    ...about,
    perSecond: (flows * 1000) / (after.at - before.at),
    cpuMs: each(before.cpu, after.cpu),
    writtenKB: bytes ? each(counted.bytes!, bytes, 1000) : each(before.bytes, after.bytes, 1000),
    syncs: syncs && each(counted.syncs!, syncs),
    residentMiB: agents.map(({ pid }) => memoryMiB(pid).all) as never,
    parts: { connection: both('connection'), issue: both('issue'), verify: both('verify') },
    calls: (after.calls - before.calls) / flows,
    costs: costs?.medians(),
  };
}

/** Transactions and bytes of the write-ahead log: the log is the server's, and each side has half of it. */
async function serverCounts(urls: readonly string[]): Promise<{ counts: Counts; close(): Promise<void> }> {
  const clients = urls.map((connectionString) => new pg.Client({ connectionString }));
  for (const client of clients) await client.connect();
  const read = async () => {
    const syncs: number[] = [];
    let bytes = 0;
    for (const client of clients) {
      const { rows } = await client.query(
        'SELECT xact_commit::float8 AS commits, (SELECT wal_bytes::float8 FROM pg_stat_wal) AS bytes FROM pg_stat_database WHERE datname = current_database()',
      );
      syncs.push(rows[0].commits);
      bytes = rows[0].bytes;
    }
    return { syncs, bytes: urls.map(() => bytes / urls.length) };
  };
  return {
    async counts() {
      await pause(COUNTED_MS);
      return await read();
    },
    async close() {
      await Promise.allSettled(clients.map((client) => client.end()));
    },
  };
}

async function measureOurs(store: string, way: Way, steps: readonly number[], rows: Measured[]): Promise<void> {
  const agents = await startAgents(store, way);
  const { issuer, holder, storeOf } = agents;
  const urls = [storeOf('issuer'), storeOf('holder')].filter((url) => url !== undefined);
  const server = urls.length > 0 ? await serverCounts(urls) : undefined;
  const each: Counts = async () => ({ syncs: [(await issuer.conductor()).synced!, (await holder.conductor()).synced!] });
  try {
    const pair = agents.controllers(way);
    const ground = await prepareGround(pair);
    for (let i = 0; i < WARM; i++) await wholeFlow(pair, ground, i);
    for (const inFlight of steps) {
      const flows = Math.max(12, 2 * inFlight);
      const counts = server ? { all: server.counts, each: none } : { all: each, each };
      const row = await measure({ store, way, inFlight, flows }, pair, ground, [issuer, holder], counts);
      // a run of some minutes shows how it goes, and where it ends
      process.stderr.write(`${store}, ${way}, ${inFlight} in flight: ${row.perSecond.toFixed(2)} flows/s\n`);
      rows.push(row);
    }
  } finally {
    await server?.close();
    await agents.stop();
  }
}

/** Agents that others started. @throws Error for what is missing among the flags */
async function measureGiven(
  given: Record<string, string | boolean | undefined>,
  steps: readonly number[],
  rows: Measured[],
): Promise<void> {
  const { issuer, holder, pids, keys, definition } = given as Record<string, string | undefined>;
  if (!issuer || !holder || !pids || !definition) throw new Error('--issuer, --holder, --pids and --definition are needed together');
  const [first, second] = pids.split(',').map(Number);
  const [one, two] = keys?.split(',') ?? [];
  const agents = [
    { admin: issuer, key: one, pid: first! },
    { admin: holder, key: two, pid: second! },
  ] as const;
  const port = given['webhooks-on'];
  const inbox = await startInbox(port === undefined ? 0 : Number(port));
  const way: Way = port === undefined ? 'polls' : 'webhooks';
  try {
    const pair = { issuer: flowController('issuer', agents[0], way, inbox), holder: flowController('holder', agents[1], way, inbox) };
    const ground = await prepareGround(pair, definition);
    for (let i = 0; i < WARM; i++) await wholeFlow(pair, ground, i);
    for (const inFlight of steps) {
      const flows = Math.max(12, 2 * inFlight);
      rows.push(await measure({ store: 'its own', way, inFlight, flows }, pair, ground, agents, { all: none, each: none }));
    }
  } finally {
    await inbox.close();
  }
}

const OPTIONS = {
  quick: { type: 'boolean' },
  full: { type: 'boolean' },
  store: { type: 'string' },
  way: { type: 'string' },
  issuer: { type: 'string' },
  holder: { type: 'string' },
  pids: { type: 'string' },
  keys: { type: 'string' },
  definition: { type: 'string' },
  'webhooks-on': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** `./flexid bench flow`: see `HELP`. */
export async function run(args: readonly string[]): Promise<unknown> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) {
    process.stdout.write(HELP);
    return [];
  }
  const steps = values.quick ? [1] : [1, 4, 16, ...(values.full ? [64] : [])];
  const rows: Measured[] = [];
  if (values.issuer) await measureGiven(values, steps, rows);
  else
    for (const store of values.store ? [values.store] : ['sqlite', 'postgres'])
      for (const way of values.way ? [values.way as Way] : (['webhooks', 'polls'] as const)) await measureOurs(store, way, steps, rows);
  printRows(rows);
  return rows;
}

function printRows(rows: readonly Measured[]): void {
  const two = ([a, b]: Both): string => `${a.toFixed(0)} / ${b.toFixed(0)}`;
  process.stdout.write(
    'a flow: connection, issue, verify; issuer / holder, and p50 / p95 in ms; agents, ledger and controller share the machine\n' +
      'fsyncs: commits that wait for the disk, on SQLite; transactions, idle ones too, on PostgreSQL\n',
  );
  printTable(
    ['store', 'way', 'in flight', 'flows/s', 'CPU ms', 'kB written', 'fsyncs', 'RSS MiB', 'calls', ...PARTS],
    rows.map(({ store, way, inFlight, perSecond, cpuMs, writtenKB, syncs, residentMiB, calls, parts }) => [
      ...[
        store,
        way,
        String(inFlight),
        perSecond,
        two(cpuMs),
        two(writtenKB),
        syncs ? two(syncs) : '-',
        two(residentMiB),
        calls.toFixed(0),
      ],
      ...PARTS.map((part) => two(parts[part])),
    ]),
  );
  process.stdout.write(
    '\none in flight, the median of each part: CPU without the library, CPU of the library, kB written by the process\n',
  );
  printTable(
    ['store', 'way', 'part', 'own ms', 'library ms', 'kB', 'fsyncs'],
    rows.flatMap(({ store, way, costs }) =>
      costs
        ? PARTS.map((part) => {
            const { ownMs, libraryMs, writtenKB, syncs } = costs[part];
            return [store, way, part, two(ownMs), two(libraryMs), two(writtenKB), two(syncs)];
          })
        : [],
    ),
  );
}
