import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answers, freePort, program } from '../harness/processes.ts';
import { toBase58 } from '../src/didcomm/encoding.ts';

export interface BenchAgent {
  readonly admin: string;
  readonly key: string;
  readonly pid: number;
  /** From the start of the process to the first 200 of /status/ready, in seconds. */
  readonly readySeconds: number;
  readonly inbound: string;
  readonly inboundPort: number;
  conductor(): Promise<Record<string, number>>;
  /** kill -9, and the same agent on the same store again. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface BenchAgentOptions {
  readonly env?: Record<string, string>;
  /** What peers are told, where it is not the agent's own address. */
  readonly endpoint?: string;
  /** Takes WebSockets on the same port. */
  readonly webSocket?: boolean;
}

/** A key as it is, like the one that an agent on SQLite makes for itself: a passphrase takes half a second of each start. */
export const RAW_WALLET_KEY = new Uint8Array(32).fill(1);

/** One agent as a process of its own, on a fresh store. */
export async function startBenchAgent(
  store: string | undefined,
  flags: readonly string[] = [],
  { env = {}, endpoint, webSocket }: BenchAgentOptions = {},
): Promise<BenchAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-bench-'));
  const [admin, inbound] = [await freePort(), await freePort()];
  const key = randomBytes(16).toString('hex');
  const url = `http://127.0.0.1:${admin}`;
  // prettier-ignore
  const args = [
    'start',
    '--admin',
    '127.0.0.1',
    String(admin),
    '--admin-api-key',
    key,
    '--inbound-transport',
    'http',
    '127.0.0.1',
    String(inbound),
    ...(webSocket ? ['--inbound-transport', 'ws', '127.0.0.1', String(inbound)] : []),
    '--endpoint',
    endpoint ?? `http://127.0.0.1:${inbound}`,
    '--egress-allow',
    '127.0.0.0/8',
    '--log-level',
    'warn',
    '--store',
    store ?? `sqlite:${join(folder, 'bench.db')}`,
    ...(store ? ['--wallet-key', toBase58(RAW_WALLET_KEY)] : []),
    ...flags,
  ];
  const agent = program('agent', folder, 'src/main.ts', args, () => answers(`${url}/status/ready`), env);
  const before = performance.now();
  await agent.start();
  return {
    admin: url,
    key,
    inbound: `http://127.0.0.1:${inbound}`,
    inboundPort: inbound,
    get pid() {
      return agent.pid!;
    },
    kill: () => agent.kill(),
    restart: () => agent.start(),
    readySeconds: (performance.now() - before) / 1000,
    async conductor() {
      const answer = await fetch(`${url}/status`, { headers: { 'x-api-key': key } });
      return ((await answer.json()) as { conductor: Record<string, number> }).conductor;
    },
    async stop() {
      await agent.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
