import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type Body, type Controller, startWebhooks, type Webhooks } from '../examples/demo/controller.ts';
import { eachOf, issueOne, type Prepared, prepare, presentOne } from '../examples/demo/flow.ts';
import { freePort, type Program, program } from '../harness/processes.ts';
import { startPostgres } from '../src/adapters/postgres/embedded.ts';
import { type BenchAgent, startBenchAgent } from './agent.ts';
import { BENCH_ROW, run as bareCalls } from './anoncreds.ts';
import { type Peer, startPeers } from './peer.ts';
import { cpuSeconds, printTable, sealOpenMicroseconds, serverCpuSeconds } from './reference.ts';

const REPLICAS = [1, 2, 3];
const MESSAGES = 6000;
const PEERS = 12;
const IN_FLIGHT = 32;
const HOLDERS = 4;
const FLOWS = 60;
const FLOWS_IN_FLIGHT = 8;
/** How much more than its library calls a full flow should cost. */
const AIM = 0.25;
/** Connections of a replica to the database: the ones that it works with, and one that listens. */
const CONNECTIONS = 5;

interface Result {
  readonly replicas: number;
  readonly connections: number;
  readonly message: Spent;
  readonly flow: Spent;
  /** What the library calls of a flow cost alone, in ms. */
  readonly bare: number;
}

/** CPU of one message or flow in microseconds. */
interface Spent {
  readonly replicas: number;
  readonly postgres: number;
  /** Seal-opens that the replicas' part is worth. */
  readonly sealOpens: number;
  readonly perSecond: number;
  /** The least and the most that one replica did of it: whether they shared the work. */
  readonly shares: readonly number[];
}

/**
 * Messages, and full flows between tenants of one instance (connect, issue, verify: both sides of each are in it), with one, two and three interchangeable
 * processes on one PostgreSQL database. Every call and every message goes to the next replica in turn.
 */
export async function run(args: readonly string[]): Promise<{ replicas: Result[]; failures: string[] }> {
  const bare = (await bareCalls(process.env.LIB_ANONCREDS_PATH ?? '')).reduce((sum, row) => sum + row.bare, 0);
  const at = args.indexOf('--replicas');
  const counts = at < 0 ? REPLICAS : (args[at + 1] ?? '').split(',').map(Number);
  if (counts.some((count) => !Number.isInteger(count) || count < 1)) throw new Error('--replicas takes numbers, as in 1,2,3');
  const results: Result[] = [];
  for (const count of counts) {
    process.stderr.write(`${count} of ${counts.join(', ')} replicas\r`);
    results.push(await measure(count, bare));
  }
  process.stdout.write(`per message: a ping with its reply, ${IN_FLIGHT} in flight over ${PEERS} tenants\n`);
  printTable(
    ['replicas', 'connections each', 'CPU us', 'seal-opens', 'PostgreSQL us', 'per CPU-second', 'per second', 'shares'],
    results.map(({ replicas, connections, message }) => [
      String(replicas),
      connections,
      message.replicas,
      message.sealOpens,
      message.postgres,
      1e6 / message.replicas,
      message.perSecond,
      shares(message),
    ]),
  );
  process.stdout.write(
    `\nper flow: connect, issue, verify between tenants, ${FLOWS_IN_FLIGHT} in flight; its library calls alone take ${bare.toFixed(1)} ms\n`,
  );
  printTable(
    ['replicas', 'CPU ms', 'over bare', 'PostgreSQL ms', 'per CPU-second', 'per second', 'shares'],
    results.map(({ replicas, flow }) => [
      String(replicas),
      flow.replicas / 1000,
      `${((flow.replicas / 1000 / bare - 1) * 100).toFixed(0)} %`,
      flow.postgres / 1000,
      1e6 / flow.replicas,
      flow.perSecond,
      shares(flow),
    ]),
  );
  process.stdout.write(`aim: ${AIM * 100} % over bare at most\n`);
  const failures = results
    .filter(({ connections }) => connections > CONNECTIONS)
    .map(({ replicas, connections }) => `${replicas} replicas have ${connections} connections each, not ${CONNECTIONS}`);
  return { replicas: results, failures };
}

const shares = ({ shares: all }: Spent): string => all.map((share) => `${(share * 100).toFixed(0)} %`).join(' ');

async function measure(count: number, bare: number): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-bench-'));
  const closing: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const server = await startPostgres();
    closing.push(() => server.stop());
    const client = new pg.Client({ connectionString: server.adminUrl });
    await client.connect();
    closing.push(() => client.end());
    const { rows } = await client.query<{ pid: number }>("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int AS pid");
    const postmaster = rows[0]!.pid;
    const { ledger, facts } = await startLedger(folder);
    closing.push(() => ledger.stop());
    const ports: number[] = [];
    const inTurn = await startTurns(ports);
    closing.push(inTurn.close);
    const replicas: BenchAgent[] = [];
    // prettier-ignore
    const flags = [
      '--multitenant',
      '--multitenant-admin',
      '--jwt-secret',
      randomBytes(32).toString('hex'),
      '--store-connections',
      String(CONNECTIONS - 4),
      '--preserve-exchange-records',
      '--algod-url',
      facts.algod!,
      '--algod-token',
      facts.token!,
      '--algorand-app-id',
      facts.appId!,
      '--algorand-genesis-hash',
      facts.genesisHash!,
    ];
    for (let i = 0; i < count; i++) {
      const replica = await startBenchAgent(server.url, flags, { env: { FLEXID_SPONSOR_MNEMONIC: facts.sponsor! }, endpoint: inTurn.url });
      closing.push(() => replica.stop());
      replicas.push(replica);
      ports.push(replica.inboundPort);
    }
    // one operator's key opens all of them
    const webhooks = await startWebhooks();
    closing.push(() => webhooks.close());

    const spent = async (times: number, width: number, work: (i: number) => Promise<unknown>): Promise<Spent> => {
      const reference = sealOpenMicroseconds();
      const [before, database, start] = [replicas.map(({ pid }) => cpuSeconds(pid)), serverCpuSeconds(postmaster), performance.now()];
      await eachOf(Array.from({ length: times }), width, async (_, i) => void (await work(i)));
      const seconds = (performance.now() - start) / 1000;
      const each = replicas.map(({ pid }, i) => cpuSeconds(pid) - before[i]!);
      const used = each.reduce((sum, one) => sum + one, 0);
      const opens = ((used * 1e6) / times / (reference + sealOpenMicroseconds())) * 2;
      return {
        replicas: (used * 1e6) / times,
        postgres: ((serverCpuSeconds(postmaster) - database) * 1e6) / times,
        sealOpens: opens,
        perSecond: times / seconds,
        shares: each.map((one) => one / used),
      };
    };

    const peers = await startPeers();
    closing.push(() => peers.close());
    const connected: Peer[] = [];
    for (let i = 0; i < PEERS; i++) {
      const { token } = await newTenant(replicas[i % count]!, {});
      connected.push(await peers.connect(replicas[i % count]!.admin, '', token));
    }
    const ping = (i: number): Promise<void> => connected[i % PEERS]!.ping();
    await spent(MESSAGES / 4, IN_FLIGHT, ping);
    const message = await spent(MESSAGES, IN_FLIGHT, ping);

    // holders take what they are sent; the issuer verifies too
    const issuer = await controllerOf(replicas, webhooks, 'issuer', [
      'auto-accept-requests',
      'auto-respond-credential-request',
      'auto-verify-presentation',
    ]);
    const holders: Controller[] = [];
    for (let i = 0; i < HOLDERS; i++)
      holders.push(
        await controllerOf(replicas, webhooks, `holder${i}`, [
          'auto-accept-invites',
          'auto-respond-credential-offer',
          'auto-store-credential',
        ]),
      );
    const roles = (holder: Controller) => ({ issuer, verifier: issuer, holder });
    const prepared = await prepare(roles(holders[0]!), Object.keys(BENCH_ROW), async (_name, step) => (await step())[0]);
    const flow = (i: number): Promise<void> => fullFlow(roles(holders[i % HOLDERS]!), prepared);
    await spent(FLOWS / 5, FLOWS_IN_FLIGHT, flow);
    const flows = await spent(FLOWS, FLOWS_IN_FLIGHT, flow);
    const open = await client.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'flexid'");
    return { replicas: count, connections: open.rows[0]!.n / count, message, flow: flows, bare };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function fullFlow(roles: { issuer: Controller; verifier: Controller; holder: Controller }, prepared: Prepared): Promise<void> {
  const { issuer, holder } = roles;
  const made = await issuer.post('/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
  const { connection_id: got } = await holder.post('/out-of-band/receive-invitation', made.invitation);
  const [ours] = await Promise.all([
    issuer.event('connections', (one) => one.state === 'active' && one.invitation_msg_id === made.invi_msg_id, 'complete connection'),
    holder.event('connections', (one) => one.state === 'active' && one.connection_id === got, 'complete connection'),
  ]);
  const over: Prepared = { ...prepared, issuerConnection: ours.connection_id, verifierConnection: ours.connection_id };
  const credential = await issueOne(roles, over, BENCH_ROW);
  await presentOne(roles, over, credential, { revealed: 'full_name', number: 'graduation_year', floor: 2000 });
}

async function startLedger(folder: string): Promise<{ ledger: Program; facts: Record<string, string> }> {
  const port = await freePort();
  let printed = '';
  const ledger = program(
    'ledger',
    folder,
    'devnet/main.ts',
    ['--port', String(port), '--journal', join(folder, 'ledger.journal')],
    (output) => {
      printed = output;
      return output.includes('"ready":true');
    },
  );
  await ledger.start();
  const facts = JSON.parse(printed.split('\n').find((line) => line.includes('"ready":true'))!) as Record<string, unknown>;
  const texts = Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value)]));
  return { ledger, facts: { ...texts, algod: `http://127.0.0.1:${port}` } };
}

/** One address for all: each connection to it is joined to the next of the ports. */
async function startTurns(ports: readonly number[]): Promise<{ url: string; close: () => Promise<void> }> {
  const open = new Set<Socket>();
  let turn = 0;
  const server = createServer((from) => {
    const to = connect(ports[turn++ % ports.length]!, '127.0.0.1');
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      open.add(one);
      one.setNoDelay(true);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function newTenant(replica: BenchAgent, body: object): Promise<{ token: string }> {
  const answer = await fetch(`${replica.admin}/multitenancy/wallet`, {
    method: 'POST',
    headers: { 'x-api-key': replica.key, 'content-type': 'application/json' },
    body: JSON.stringify({ wallet_name: randomUUID(), ...body }),
  });
  if (!answer.ok) throw new Error(`a wallet could not be made: ${await answer.text()}`);
  return (await answer.json()) as { token: string };
}

/** A tenant's controller, whose calls go to one replica after the other. */
async function controllerOf(
  replicas: readonly BenchAgent[],
  webhooks: Webhooks,
  name: string,
  settings: readonly string[],
): Promise<Controller> {
  const { token } = await newTenant(replicas[0]!, {
    label: name,
    wallet_webhook_urls: [`http://127.0.0.1:${webhooks.port}/${name}`],
    extra_settings: Object.fromEntries(settings.map((setting) => [setting, true])),
  });
  let turn = 0;
  async function call(method: string, path: string, body?: unknown): Promise<Body> {
    const answer = await fetch(`${replicas[turn++ % replicas.length]!.admin}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} of ${name} answered ${text}`);
    return JSON.parse(text);
  }
  return {
    ...webhooks.controller(name, replicas[0]!.admin, {}),
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body ?? {}),
  };
}
