import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlite } from '../src/adapters/sqlite/sqlite.ts';
import type { ClaimedLane, Database } from '../src/ports/store.ts';

/**
 * What one handled message costs in the store: a dedup key, an update of the connection's record, a job for the reply; then the job's claim and end.
 * Usage: node bench/store.ts [sqlite|postgres] [messages] [at once]
 */
const [kind = 'sqlite', messages = '20000', atOnce = '50'] = process.argv.slice(2);
const total = Number(messages);
const width = Number(atOnce);
const CONNECTIONS = 1000;
const value = { my_did: 'did:peer:2.x', their_did: 'did:peer:2.y', text: 'x'.repeat(500) };

async function opened(): Promise<{ db: Database; stop: () => Promise<void> }> {
  if (kind === 'postgres') {
    const { startPostgres } = await import('../src/adapters/postgres/embedded.ts');
    const { openPostgres } = await import('../src/adapters/postgres/postgres.ts');
    const server = await startPostgres();
    const db = await openPostgres({ url: server.url, masterKey: new Uint8Array(32) });
    return { db, stop: () => db.admin.close().then(server.stop) };
  }
  const folder = mkdtempSync(join(tmpdir(), 'flexid-bench-'));
  const db = await openSqlite({ path: join(folder, 'store.db') });
  return {
    db,
    async stop() {
      await db.admin.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const { db, stop } = await opened();
await db.admin.ensureTenant('t', 'bench');
const id = (n: number) => n.toString().padStart(12, '0');
const versions = new Uint32Array(CONNECTIONS);
for (let n = 0; n < CONNECTIONS; n++) {
  await db.store.commit('t', { records: [{ category: 'connection', id: id(n), expect: 0, value, tags: { key: `k${n}`, did: `d${n}` } }] });
  versions[n] = 1;
}

const payload = { to: 'http://localhost', envelope: 'e'.repeat(1500) };
let next = 0;
async function client(first: number): Promise<void> {
  for (let turn = first; next < total; turn = (turn + width) % CONNECTIONS) {
    const n = next++;
    const connection = id(turn);
    const found = await db.store.loadWithDedupKey('t', `m${n}`, [{ category: 'connection', id: connection }]);
    const { version } = found.records[0]![0]!;
    await db.store.commit('t', {
      records: [
        { category: 'connection', id: connection, expect: version, value, state: 'active', tags: { key: `k${turn}`, did: `d${turn}` } },
      ],
      dedupKeys: [{ dedupKey: `m${n}`, expires: Date.now() + 7 * 86_400_000 }],
      jobs: [{ id: id(n), kind: 'deliver', lane: `deliver:${connection}`, payload }],
    });
  }
}

let delivered = 0;
async function runner(): Promise<void> {
  while (delivered < total) {
    const lanes: ClaimedLane[] = await db.jobs.claim({ owner: 'bench', lanes: width, perLane: 10, leaseMs: 30_000 });
    if (lanes.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      continue;
    }
    await db.jobs.settle(lanes.map((lane) => ({ lane: lane.lane, lease: lane.lease, done: lane.jobs.map((job) => job.id) })));
    for (const lane of lanes) delivered += lane.jobs.length;
  }
}

const before = db.admin.stats().statements!;
const cpu = process.cpuUsage();
const started = performance.now();
await Promise.all([...Array.from({ length: width }, (_, i) => client(i)), runner()]);
const wall = performance.now() - started;
const used = process.cpuUsage(cpu);
const statements = db.admin.stats().statements! - before;
console.log(
  JSON.stringify({
    store: kind,
    messages: total,
    atOnce: width,
    cpuMicrosPerMessage: Math.round((used.user + used.system) / total),
    messagesPerSecond: Math.round((total / wall) * 1000),
    roundTripsPerMessage: Number((statements / total).toFixed(2)),
  }),
);
await stop();
