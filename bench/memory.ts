import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { eachOf } from '../examples/demo/flow.ts';
import { type BenchAgent, startBenchAgent } from './agent.ts';
import { type Agents, startAgents } from './pair.ts';
import { memoryMiB, printTable } from './reference.ts';
import { prepareGround, wholeFlow } from './whole-flow.ts';

const IN_FLIGHT = 8;
/** Threads of the AnonCreds library end after 30 s without work, and an idle process gives its reserve back after 5. */
const QUIET_MS = 45_000;
const HELP = `./flexid bench memory [--full | --counts 30,100]

Resident memory of an agent on SQLite: idle without a ledger, idle with ledger and DID, and of issuer and holder after 100 and 1,000 whole flows (connection,
issue, verify), ${IN_FLIGHT} in flight; with --full after 5,000 too. Some minutes; with --full half an hour.
`;

interface Row {
  readonly agent: string;
  readonly when: string;
  readonly all: number;
  readonly anonymous: number;
  readonly files: number;
  /** V8's, in use. */
  readonly heap: number;
}

async function rowOf(agent: string, when: string, { admin, key, pid }: BenchAgent): Promise<Row> {
  // before the call, which makes garbage of its own
  const memory = memoryMiB(pid);
  const metrics = await (await fetch(`${admin}/metrics`, { headers: { 'x-api-key': key } })).text();
  const heap = Number(/^nodejs_heap_used_bytes (\d+)/m.exec(metrics)?.[1]) / (1 << 20);
  // a run of half an hour shows how it goes
  process.stderr.write(`${when}: ${agent} ${memory.all.toFixed(0)} MiB\n`);
  return { agent, when, ...memory, heap };
}

/** Both agents after so many flows: as they are at once, and when nothing was asked of them for a while. */
async function afterFlows(agents: Agents, counts: readonly number[], rows: Row[]): Promise<void> {
  const pair = agents.controllers('webhooks');
  const ground = await prepareGround(pair);
  await pause(QUIET_MS);
  rows.push(await rowOf('issuer', 'idle, ledger and DID', agents.issuer), await rowOf('holder', 'idle, ledger', agents.holder));
  let done = 0;
  for (const count of counts) {
    const first = done;
    await eachOf(Array.from({ length: count - first }), IN_FLIGHT, async (_none, i) => void (await wholeFlow(pair, ground, first + i)));
    done = count;
    for (const side of ['issuer', 'holder'] as const) rows.push(await rowOf(side, `after ${count} flows`, agents[side]));
    await pause(QUIET_MS);
    for (const side of ['issuer', 'holder'] as const) rows.push(await rowOf(side, `after ${count} flows, idle`, agents[side]));
  }
}

/** `./flexid bench memory`: see `HELP`. */
export async function run(args: readonly string[]): Promise<unknown> {
  const options = { full: { type: 'boolean' }, counts: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) {
    process.stdout.write(HELP);
    return [];
  }
  const counts = values.counts?.split(',').map(Number) ?? [100, 1000, ...(values.full ? [5000] : [])];
  const rows: Row[] = [];
  const alone = await startBenchAgent(undefined, ['--no-ledger']);
  try {
    await pause(QUIET_MS);
    rows.push(await rowOf('alone', 'idle, no ledger', alone));
  } finally {
    await alone.stop();
  }
  const agents = await startAgents('sqlite', 'webhooks');
  try {
    await afterFlows(agents, counts, rows);
  } finally {
    await agents.stop();
  }
  process.stdout.write(`MiB of one agent; ${IN_FLIGHT} flows in flight; SQLite\n`);
  printTable(
    ['agent', 'when', 'resident', 'anonymous', 'files', 'V8 heap'],
    rows.map((row) => [row.agent, row.when, row.all, row.anonymous, row.files, row.heap]),
  );
  return rows;
}
