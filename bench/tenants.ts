import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import pg from 'pg';
import { eachOf } from '../examples/demo/flow.ts';
import { freePort } from '../harness/processes.ts';
import { startPostgres } from '../src/adapters/postgres/embedded.ts';
import { openPostgres } from '../src/adapters/postgres/postgres.ts';
import { type BenchAgent, RAW_WALLET_KEY, startBenchAgent } from './agent.ts';
import { type Filled, fill, type Pattern, patternOf, peerOf } from './fill.ts';
import { type Inspector, openInspector } from './inspector.ts';
import { type Peer, type Peers, startPeers } from './peer.ts';
import { type Executed, openPlanLog, PLAN_SETTINGS, type PlanLog } from './plans.ts';
import { median, printTable, sealOpenMicroseconds, serverCpuSeconds } from './reference.ts';

const SIZES = [1000, 10_000];
/** Below this there is no second page of wallets. */
const LEAST = 300;
/** How many of each size are made through the API, each with a connection made by messages. */
const BY_API = 50;
/** Tenants whose messages are explained: one while nothing of them is in memory, one after that. */
const EXPLAINED = 60;
const ACTIVE = 2000;
const IN_FLIGHT = 16;
const CALLS = 1500;
const PAGES = 40;
/** By how much a look-up may cost more than at the first size. */
const MORE_BUFFERS = 2;

interface Bed {
  readonly agent: BenchAgent;
  readonly inspector: Inspector;
  readonly postmaster: number;
  readonly peers: Peers;
  readonly plans: PlanLog;
  readonly secret: string;
  readonly admin: pg.Client;
}

interface Phase {
  /** Statements that the agent sends for a message: round trips, but for the scope that goes with a read. */
  readonly sent: number;
  /** Statements within the functions that these call. */
  readonly inner: number;
  readonly buffers: number;
  /** How often each is executed for a message. */
  readonly statements: Readonly<Record<string, number>>;
  readonly lookups: Readonly<Record<string, number>>;
}

interface Cost {
  readonly name: string;
  readonly agentMicroseconds: number;
  readonly sealOpens: number;
  readonly postgresMicroseconds: number;
}

interface Size {
  readonly tenants: number;
  readonly cold: Phase;
  readonly warm: Phase;
  /** A tenant's list, and a look for a wallet by its name. */
  readonly called: Phase;
  readonly scans: readonly string[];
  readonly idleHeap: number;
  readonly idleRss: number;
  readonly activeHeap: number;
  readonly costs: readonly Cost[];
}

/**
 * What grows with the number of tenants, and what must not: one agent runs from the empty database on, so that the plans it made then are those that are looked at.
 * Fails where a message runs other statements than at the first size, scans a table, or needs more buffers for a look-up.
 */
export async function run(args: readonly string[]): Promise<{ sizes: Size[]; failures: string[] }> {
  const sizes = sizesOf(args);
  const server = await startPostgres(PLAN_SETTINGS);
  const closing: (() => unknown)[] = [() => server.stop()];
  try {
    const admin = new pg.Client({ connectionString: new URL('/flexid', server.adminUrl).href });
    await admin.connect();
    closing.push(() => admin.end());
    const { rows } = await admin.query<{ pid: number }>("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int AS pid");
    const [secret, port] = [randomBytes(32).toString('hex'), await freePort()];
    const flags = ['--multitenant', '--multitenant-admin', '--jwt-secret', secret];
    const agent = await startBenchAgent(server.url, flags, { env: { NODE_OPTIONS: `--inspect=127.0.0.1:${port}` } });
    closing.push(() => agent.stop());
    const inspector = await openInspector(port);
    closing.push(() => inspector.close());
    const peers = await startPeers();
    closing.push(() => peers.close());
    // each tenant is a commit of its own: many sessions share what that waits for
    const db = await openPostgres({ url: server.url, masterKey: RAW_WALLET_KEY, poolSize: 24 });
    closing.push(() => db.admin.close());
    const plans = await openPlanLog(server.adminUrl, 'flexid');
    closing.push(() => plans.close());
    const bed: Bed = { agent, inspector, postmaster: rows[0]!.pid, peers, plans, secret, admin };

    const results: Size[] = [];
    let have = 0;
    let pattern: Pattern | undefined;
    for (const size of sizes) {
      const asked = await throughApi(bed, Math.min(BY_API, size - have));
      pattern ??= await patternOf(db, asked.tenants[0]!);
      const before = await inspector.memory();
      const where = { agent: agent.inbound, peers: peers.endpoint };
      const began = performance.now();
      const filled = await fill(db, pattern, size - have - asked.tenants.length, where, (done) =>
        process.stderr.write(`\r${have + asked.tenants.length + done} of ${size} tenants `),
      );
      const seconds = (performance.now() - began) / 1000;
      process.stderr.write('\r\x1b[K');
      const after = await inspector.memory();
      await sameRows(admin, asked.tenants[0]!, filled[0]!.id);
      // as autovacuum would, in its time
      await admin.query('VACUUM ANALYZE');
      process.stdout.write(
        `${size} tenants: ${asked.tenants.length} through the API, ${filled.length} in bulk through the store in ${seconds.toFixed(0)} s\n`,
      );
      have = size;
      results.push(await measure(bed, size, filled, { heap: after.heapUsed - before.heapUsed, rss: after.rss - before.rss }));
    }
    print(results);
    return { sizes: results, failures: failuresOf(results) };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

function sizesOf(args: readonly string[]): number[] {
  const at = args.indexOf('--sizes');
  if (at < 0) return SIZES;
  const sizes = (args[at + 1] ?? '').split(',').map(Number);
  if (sizes.some((size, i) => !Number.isInteger(size) || size <= (sizes[i - 1] ?? LEAST - 1)))
    throw new Error(`--sizes takes growing numbers from ${LEAST} on, as in 1000,10000,100000`);
  return sizes;
}

/** Tenants as a controller makes them, each with a connection that came by an invitation and messages. */
async function throughApi({ agent, peers }: Bed, count: number): Promise<{ tenants: string[]; peers: Peer[] }> {
  const tenants: string[] = [];
  const connected: Peer[] = [];
  await eachOf(Array.from({ length: count }), 8, async () => {
    const name = `bench ${randomBytes(8).toString('hex')}`;
    const answer = await fetch(`${agent.admin}/multitenancy/wallet`, {
      method: 'POST',
      headers: { 'x-api-key': agent.key, 'content-type': 'application/json' },
      body: JSON.stringify({ wallet_name: name, label: name }),
    });
    const { wallet_id: id, token } = (await answer.json()) as { wallet_id: string; token: string };
    connected.push(await peers.connect(agent.admin, agent.key, token));
    tenants.push(id);
  });
  for (const peer of connected) await peer.ping();
  return { tenants, peers: connected };
}

/** Whether two tenants have the same numbers of rows where rows stay. */
async function sameRows(admin: pg.Client, first: string, second: string): Promise<void> {
  const count = async (id: string): Promise<string> => {
    const tables = ['record', 'tag', 'key', 'key_owner'];
    // what a tenant called is in its audit trail: one that nobody called has none
    const counts = tables.map((table) => {
      const audited = table === 'record' ? " AND r.category <> 'audit'" : '';
      return `(SELECT count(*)::int FROM flexid.${table} r WHERE r.t = x.n${audited}) AS ${table}`;
    });
    return JSON.stringify((await admin.query(`SELECT ${counts.join(', ')} FROM flexid.tenant x WHERE id = $1`, [id])).rows);
  };
  const [one, two] = [await count(first), await count(second)];
  if (one !== two) throw new Error(`a tenant made in bulk has other rows than one made through the API: ${two}, not ${one}`);
}

async function measure(bed: Bed, tenants: number, filled: readonly Filled[], idle: { heap: number; rss: number }): Promise<Size> {
  const { agent, peers, inspector, plans } = bed;
  const shuffled = filled.map((one) => ({ one, at: Math.random() })).sort((a, b) => a.at - b.at);
  const known = shuffled.slice(0, ACTIVE + EXPLAINED).map(({ one }) => one);
  const explained = known.slice(0, EXPLAINED).map((one) => peerOf(peers, agent.inbound, one));
  const each = async (): Promise<void> => {
    for (const peer of explained) {
      await peer.ping();
      // its job's end is to be told apart from the next message
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const first = await plans.during(each);
  await bed.admin.query('VACUUM');
  const second = await plans.during(each);

  const others = known.slice(EXPLAINED);
  const before = await inspector.memory();
  const pingable = others.map((one) => peerOf(peers, agent.inbound, one));
  await eachOf(pingable, IN_FLIGHT, (peer) => peer.ping());
  const after = await inspector.memory();

  const get = async (path: string, headers: Record<string, string>): Promise<unknown> => {
    const answer = await fetch(`${agent.admin}${path}`, { headers });
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
    return await answer.json();
  };
  const pick = <T>(from: readonly T[], i: number): T => from[i % from.length]!;
  const owner = { 'x-api-key': agent.key };
  const tokens = await Promise.all(shuffled.slice(-CALLS).map(({ one }) => tokenOf(bed.secret, one)));
  const calls = async (): Promise<void> => {
    for (let i = 0; i < EXPLAINED; i++) {
      await get('/connections', pick(tokens, i));
      await get('/multitenancy/wallets?wallet_name=none', owner);
    }
  };
  // once unseen: some of these tenants may be in memory, others not
  await calls();
  const called = await plans.during(calls);

  const costs: Cost[] = [];
  const cost = async (name: string, count: number, call: (i: number) => Promise<unknown>): Promise<void> => {
    const reference = sealOpenMicroseconds();
    const [cpu, server] = [await inspector.cpuMicroseconds(), serverCpuSeconds(bed.postmaster)];
    await eachOf(Array.from({ length: count }), IN_FLIGHT, async (_, i) => void (await call(i)));
    const used = ((await inspector.cpuMicroseconds()) - cpu) / count;
    const opens = used / ((reference + sealOpenMicroseconds()) / 2);
    const postgres = ((serverCpuSeconds(bed.postmaster) - server) * 1e6) / count;
    costs.push({ name, agentMicroseconds: used, sealOpens: opens, postgresMicroseconds: postgres });
  };
  await cost('ping of an active tenant', CALLS, (i) => pick(pingable, i).ping());
  await cost('no token: /status/live', CALLS, () => get('/status/live', {}));
  await cost('token, first: /settings', Math.min(CALLS, tokens.length), (i) => get('/settings', pick(tokens, i)));
  await cost('token, again: /settings', CALLS, (i) => get('/settings', pick(tokens, i % 500)));
  await cost("a tenant's list: /connections", CALLS, (i) => get('/connections', pick(tokens, i % 500)));
  const { next } = (await get(`/multitenancy/wallets?limit=100&offset=${Math.floor(tenants / 2)}`, owner)) as { next: string };
  await cost('100 wallets, first page', PAGES, () => get('/multitenancy/wallets?limit=100', owner));
  await cost('100 wallets, by cursor', PAGES, () => get(`/multitenancy/wallets?limit=100&cursor=${encodeURIComponent(next)}`, owner));
  await cost('a wallet by its name', CALLS / 5, () => get('/multitenancy/wallets?wallet_name=none', owner));

  const scans = new Set(
    [...first, ...second, ...called].flatMap(({ scans, text, within }) => scans.map((scan) => `${scan}: ${within || text}`)),
  );
  return {
    tenants,
    cold: phase(first),
    warm: phase(second),
    called: phase(called),
    scans: [...scans],
    idleHeap: idle.heap / filled.length,
    idleRss: idle.rss / filled.length,
    activeHeap: (after.heapUsed + after.external - before.heapUsed - before.external) / others.length,
    costs,
  };
}

async function tokenOf(secret: string, { id, jti }: Filled): Promise<Record<string, string>> {
  const key = Buffer.from(secret, 'utf8');
  const text = await new SignJWT({ wallet_id: id, iat: Math.floor(Date.now() / 1000), jti }).setProtectedHeader({ alg: 'HS256' }).sign(key);
  return { authorization: `Bearer ${text}` };
}

/** What is executed for less than every second message is not for messages: it goes by the clock, as the look whether there is work does with its hints. */
const OFTEN = 0.5;
const byHint = ({ text, within }: Executed): boolean => /^claim/.test(within) || /flexid\.(claim\w*|extend)\(|min\(due\)/.test(text);

function phase(executed: readonly Executed[]): Phase {
  const grouped = Map.groupBy(
    executed.filter((one) => !byHint(one)),
    ({ within, text }) => `${within}: ${text}`,
  );
  const often = [...grouped].filter(([, all]) => all.length / EXPLAINED >= OFTEN);
  const statements = Object.fromEntries(often.map(([name, all]) => [name, Math.round(all.length / EXPLAINED)]));
  const counted = (which: (name: string) => boolean): number =>
    Object.entries(statements).reduce((sum, [name, count]) => sum + (which(name) ? count : 0), 0);
  const sent = (name: string): boolean => name.startsWith(': ');
  const lookups = Map.groupBy(
    [...often.flatMap(([, all]) => all), ...executed.filter(byHint)].flatMap((one) => one.lookups),
    ({ id }) => id,
  );
  const buffers = often.filter(([name]) => sent(name)).flatMap(([, all]) => all.map((one) => one.buffers));
  return {
    sent: counted(sent),
    inner: counted((name) => !sent(name)),
    buffers: buffers.reduce((total, one) => total + one, 0) / EXPLAINED,
    statements,
    lookups: Object.fromEntries([...lookups].map(([id, all]) => [id, median(all.map(({ buffers }) => buffers))])),
  };
}

function failuresOf(results: readonly Size[]): string[] {
  const failures: string[] = [];
  const [least] = results;
  for (const size of results) {
    for (const scan of size.scans) failures.push(`${size.tenants}: ${scan}`);
    for (const name of ['cold', 'warm', 'called'] as const) {
      const [now, then] = [size[name], least![name]];
      for (const text of new Set([...Object.keys(now.statements), ...Object.keys(then.statements)])) {
        const [a, b] = [now.statements[text] ?? 0, then.statements[text] ?? 0];
        if (a !== b) failures.push(`${size.tenants}, ${name}: ${a} a message, not ${b}: ${text}`);
      }
      for (const [id, buffers] of Object.entries(now.lookups)) {
        const before = then.lookups[id];
        if (before !== undefined && buffers > before + MORE_BUFFERS)
          failures.push(`${size.tenants}, ${name}: ${buffers.toFixed(1)} buffers for a look-up, not ${before.toFixed(1)}: ${id}`);
      }
    }
  }
  return failures;
}

function print(results: readonly Size[]): void {
  process.stdout.write('\na ping with its reply, to a tenant that nothing is in memory of (cold), and again (warm)\n');
  const [least] = results;
  printTable(
    ['tenants', 'cold: sent', 'inner', 'buffers', 'warm: sent', 'inner', 'buffers', 'most per look-up', 'most added'],
    results.map(({ tenants, cold, warm }) => {
      const all = [...Object.entries(cold.lookups), ...Object.entries(warm.lookups)];
      const before = { ...least!.warm.lookups, ...least!.cold.lookups };
      const most = Math.max(...all.map(([, buffers]) => buffers));
      const added = Math.max(...all.map(([id, buffers]) => buffers - (before[id] ?? buffers)));
      return [String(tenants), cold.sent, cold.inner, cold.buffers, warm.sent, warm.inner, warm.buffers, most, added];
    }),
  );
  process.stdout.write(`\nbytes of memory per tenant after garbage collection: idle, and of ${ACTIVE} after a message each\n`);
  printTable(
    ['tenants', 'idle heap', 'idle RSS', 'active heap'],
    results.map(({ tenants, idleHeap, idleRss, activeHeap }) => [String(tenants), idleHeap, idleRss, activeHeap]),
  );
  process.stdout.write('\nCPU per call; seal-opens are of the agent\n');
  printTable(
    ['call', ...results.flatMap(({ tenants }) => [`${tenants}: us`, 'seal-opens', 'PostgreSQL us'])],
    least!.costs.map(({ name }, i) => [
      name,
      ...results.flatMap(({ costs }) => [costs[i]!.agentMicroseconds, costs[i]!.sealOpens, costs[i]!.postgresMicroseconds]),
    ]),
  );
}
