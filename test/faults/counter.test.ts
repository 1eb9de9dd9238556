import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type PostgresServer, startPostgres } from '../../src/adapters/postgres/embedded.ts';
import { openPostgres } from '../../src/adapters/postgres/postgres.ts';
import { newWalletKey } from '../../src/vault/master.ts';
import { TEST_MS } from '../support/waiting.ts';

const SCRIPT = fileURLToPath(new URL('../support/allocating.ts', import.meta.url));
const TENANT = 'issuer';
const COUNTER = 'registry';
const UP_TO = 10_000;

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

test('three processes, of which one after the other is killed, take each of 10,000 numbers once', { timeout: TEST_MS }, async () => {
  const masterKey = newWalletKey();
  const db = await openPostgres({ url: server.url, masterKey });
  await db.admin.ensureTenant(TENANT, TENANT);
  const run = () => {
    const child = spawn(process.execPath, [SCRIPT, server.url, masterKey, TENANT, COUNTER, String(UP_TO)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return { child, ended: once(child, 'exit') as Promise<[number | null, string | null]> };
  };
  const processes = [run(), run(), run()];
  let kills = 0;
  const taken = async (): Promise<number> => (await db.admin.backlog()).open.work;
  // each kill comes when numbers were taken since the last one
  for (let seen = 0; kills < 6; ) {
    const now = await taken();
    if (now >= UP_TO) break;
    if (now < seen + 800) {
      await pause(20);
      continue;
    }
    seen = now;
    const at = kills++ % 3;
    processes[at]!.child.kill('SIGKILL');
    await processes[at]!.ended;
    processes[at] = run();
  }
  for (const { ended } of processes) assert.deepEqual(await ended, [0, null]);
  assert.ok(kills >= 3, `${kills} kills`);

  const numbers = new Set<number>();
  let jobs = 0;
  for (;;) {
    const lanes = await db.jobs.claim({ owner: 'test', lanes: 500, perLane: 1, leaseMs: 60_000 });
    if (lanes.length === 0) break;
    for (const { jobs: of } of lanes) for (const { allocated } of of) numbers.add(allocated!);
    jobs += lanes.length;
    await db.jobs.settle(lanes.map(({ lane, lease, jobs: of }) => ({ lane, lease, done: of.map(({ id }) => id) })));
  }
  assert.equal(jobs, UP_TO);
  assert.deepEqual([numbers.size, Math.min(...numbers), Math.max(...numbers)], [UP_TO, 1, UP_TO]);
  await db.admin.close();
});
