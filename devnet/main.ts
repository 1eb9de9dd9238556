import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { createFaults, type Fault } from './faults.ts';
import { makeGenesis, REGISTRY_APP, SPONSOR_MNEMONIC, SPONSOR_SEED } from './genesis.ts';
import { openJournal } from './journal.ts';
import { type Clock, startNode } from './node.ts';
import { createRest } from './rest.ts';

/** algod's customary development token. */
export const TOKEN = 'a'.repeat(64);

export interface DevnetOptions {
  /** 0, the default, takes a free port. */
  port?: number;
  host?: string;
  /** A file that keeps the chain; without it the chain lives in memory. */
  journal?: string;
  faults?: readonly Fault[];
  /** Milliseconds between blocks; 0, the default, closes a block for every group. */
  blockMs?: number;
  /** Milliseconds without a group until an empty block is closed; 0, the default, for never. */
  idleMs?: number;
  /** The times of blocks: `virtual`, the default, is the same at each run; `wall` is the machine's. */
  clock?: Clock;
  /** Makes another network of the same kind, with another genesis hash. */
  salt?: string;
}

export interface Devnet {
  url: string;
  token: string;
  appId: number;
  network: 'custom';
  genesisHash: string;
  sponsor: { mnemonic: string; seed: Uint8Array };
  /** Stops listening and closes the journal. */
  close(): Promise<void>;
}

/** Starts a dev ledger in this process. @throws Error if the port is taken or the journal cannot be replayed */
export const startDevnet = async (options: DevnetOptions = {}): Promise<Devnet> => {
  const { port = 0, host = '127.0.0.1', journal, faults = [], blockMs = 0, idleMs = 0, clock, salt = '' } = options;
  const genesis = makeGenesis(salt);
  const genesisHash = Buffer.from(genesis.hash).toString('base64');
  const chain = journal === undefined ? undefined : openJournal(journal, genesisHash);
  const node = startNode({ genesis, journal: chain, blockMs, idleMs, clock });
  const server = createRest(node, createFaults(faults), TOKEN);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  }).catch((error: unknown) => {
    node.close();
    throw error;
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    token: TOKEN,
    appId: Number(REGISTRY_APP),
    network: 'custom',
    genesisHash,
    sponsor: { mnemonic: SPONSOR_MNEMONIC, seed: SPONSOR_SEED },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      node.close();
      server.closeAllConnections();
      await closed;
    },
  };
};

const HELP = `The FlexID dev ledger: an Algorand of one node behind algod's REST API, with the registry contract deployed.

  ./flexid devnet [--port 4001] [--host 127.0.0.1] [--journal FILE] [--block-ms 0] [--idle-ms 3000] [--clock wall]

  --port N         where algod's REST API listens; 0 for a free port
  --host ADDRESS   on which address
  --journal FILE   keep the chain in FILE: every accepted group is on disk before it is answered
  --block-ms N     close a block every N ms instead of one for every group
  --idle-ms N      close an empty block after N ms without a group; 0 for never
  --clock NAME     wall: blocks have the time of this machine, at least a second after one another; virtual: 3 seconds apart since 2026-01-01
  --help           this text

The last line it prints when it is ready is one JSON object. The sponsor's key is public knowledge: never use it on another network.`;

/** `./flexid devnet`: runs until it is told to stop. @returns the exit code where it does not run, or could not */
export const main = async (argv: readonly string[]): Promise<number> => {
  try {
    await run(argv);
    return 0;
  } catch (error) {
    console.error(`flexid devnet: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
};

const run = async (argv: readonly string[]): Promise<void> => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      port: { type: 'string', default: '4001' },
      host: { type: 'string', default: '127.0.0.1' },
      journal: { type: 'string' },
      'block-ms': { type: 'string', default: '0' },
      'idle-ms': { type: 'string', default: '3000' },
      clock: { type: 'string', default: 'wall' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const number = (name: 'port' | 'block-ms' | 'idle-ms'): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} is not a number: ${values[name]}`);
    return value;
  };
  const { clock } = values;
  if (clock !== 'wall' && clock !== 'virtual') throw new Error(`--clock is neither wall nor virtual: ${clock}`);
  const devnet = await startDevnet({
    port: number('port'),
    host: values.host,
    journal: values.journal,
    blockMs: number('block-ms'),
    idleMs: number('idle-ms'),
    clock,
  });
  const stop = (): void => {
    devnet.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  console.log('FlexID dev ledger: for development only, everybody knows its keys');
  console.log(`  algod      ${devnet.url}  (token ${devnet.token})`);
  console.log(`  registry   application ${devnet.appId}, did:algo:custom:app:${devnet.appId}:<public key>`);
  console.log(`  genesis    ${devnet.genesisHash}`);
  console.log(`  journal    ${values.journal ?? 'none: the chain lives in memory'}`);
  const { url: algod, token, appId, network, genesisHash, sponsor } = devnet;
  console.log(JSON.stringify({ ready: true, algod, token, appId, sponsor: sponsor.mnemonic, network, genesisHash }));
};

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
