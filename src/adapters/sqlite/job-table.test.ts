import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { targetOf } from '../../ports/claims.ts';
import type { JobWrite } from '../../ports/store.ts';
import { openSqlite } from './sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'flexid-job-table-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What SQLite says of how it runs each statement that a database prepares meanwhile. */
async function plansOf(run: () => Promise<void>): Promise<Map<string, string>> {
  const plans = new Map<string, string>();
  const { prepare, exec } = DatabaseSync.prototype;
  const explain = (db: DatabaseSync, text: string): void => {
    const steps = prepare.call(db, `EXPLAIN QUERY PLAN ${text}`).all() as { detail: string }[];
    plans.set(text, steps.map(({ detail }) => detail).join('; '));
  };
  DatabaseSync.prototype.prepare = function (text, ...rest) {
    if (/^\s*(SELECT|INSERT|UPDATE|DELETE)/.test(text)) explain(this, text);
    return prepare.call(this, text, ...rest);
  };
  DatabaseSync.prototype.exec = function (text) {
    // a migration's copies, at the moment where they run
    const parts = text.split(/(?=INSERT INTO)/).flatMap((part) => part.split(/(?<=;)/));
    for (const part of parts) {
      if (part.startsWith('INSERT INTO')) explain(this, part);
      exec.call(this, part);
    }
  };
  try {
    await run();
  } finally {
    Object.assign(DatabaseSync.prototype, { prepare, exec });
  }
  return plans;
}

const jobs = (count: number, size: number): JobWrite[] =>
  Array.from({ length: count }, (_, n) => ({
    id: String(n).padStart(4, '0'),
    kind: 'event',
    lane: 'event:x',
    payload: { text: 'x'.repeat(size) },
  }));

/** That the first job of each lane says when the lane is due, no other one does, and all have their target. @returns the ids by lane */
function marked(path: string): string[][] {
  const raw = new DatabaseSync(path, { readOnly: true });
  const rows = raw.prepare('SELECT lane, id, lane_due, target FROM job ORDER BY lane, id').all() as Record<
    string,
    string | number | null
  >[];
  raw.close();
  const lanes = [...Map.groupBy(rows, ({ lane }) => String(lane))];
  for (const [lane, found] of lanes) {
    assert.deepEqual(
      found.map(({ lane_due }) => lane_due !== null),
      found.map((_, n) => n === 0),
      JSON.stringify(found),
    );
    assert.deepEqual(new Set(found.map(({ target }) => target)), new Set([targetOf(lane)]));
  }
  return lanes.map(([, found]) => found.map(({ id }) => String(id)));
}

test('a lane is marked in the row of its first job at every moment', async () => {
  const path = join(folder, 'marks');
  const db = await openSqlite({ path });
  await db.admin.ensureTenant('t', 't');
  const [lane, other] = ['event:hook:1', 'work:1'];
  const of = (id: string, name = lane): JobWrite => ({ id, kind: name === lane ? 'event' : 'work', lane: name, payload: {} });
  await db.store.commit('t', { jobs: [of('5'), of('6'), of('7'), of('1', other), of('2', other)] });
  assert.deepEqual(marked(path), [
    ['5', '6', '7'],
    ['1', '2'],
  ]);
  await db.store.commit('t', { jobs: [{ ...of('4'), notBefore: Date.now() + 60_000 }, of('8')] });
  assert.deepEqual(marked(path)[0], ['4', '5', '6', '7', '8']);
  const request = { owner: 'me', lanes: 9, perLane: 9, leaseMs: 60_000 };
  const [held] = await db.jobs.claim({ ...request, lane: other });
  await db.store.commit('t', { done: [{ id: '1', lease: held!.lease }] });
  assert.deepEqual(marked(path)[1], ['2'], 'before the holder settles');
  await db.jobs.drop('t', [of('4')]);
  const [mine] = await db.jobs.claim({ ...request, lane });
  const dead = [{ id: '6', error: 'no' }];
  await db.jobs.settle([{ lane, lease: mine!.lease, done: ['5'], dead, retry: [{ id: '7', at: Date.now() + 60_000, error: '' }] }]);
  assert.deepEqual(marked(path)[0], ['7', '8']);
  await db.jobs.revive('t', ['6']);
  assert.deepEqual(marked(path)[0], ['6', '7', '8']);

  const { tenant, rows } = await db.admin.dump('t', 'move');
  const copy = join(folder, 'copy');
  const to = await openSqlite({ path: copy });
  const adoption = await to.admin.adopt();
  await adoption.tenant(tenant);
  for await (const some of rows) await adoption.add('t', some);
  await adoption.finish();
  assert.deepEqual(marked(copy), marked(path));
  await to.admin.close();
  await db.admin.close();
});

test('lanes are chosen from indexes alone, jobs are copied without a sort, and a migration seeks the first job of each lane', async () => {
  const plans = await plansOf(async () => {
    const db = await openSqlite({ path: join(folder, 'plans') });
    await db.admin.ensureTenant('t', 't');
    await db.store.commit('t', { jobs: jobs(3, 1) });
    const { rows } = await db.admin.dump('t', 'move');
    for await (const some of rows) assert.ok(some.length > 0);
    await db.admin.close();
  });
  const of = (part: string): [string, string][] => [...plans].filter(([text]) => text.includes(part));
  const choosing = [...of('INDEXED BY job_due'), ...of('INDEXED BY job_fair')].filter(([text]) => text.startsWith('SELECT'));
  assert.equal(choosing.length, 6);
  for (const [text, plan] of choosing) {
    assert.match(plan, /^SEARCH job USING COVERING INDEX/, text);
    assert.doesNotMatch(plan, /TEMP B-TREE/, text);
  }
  const [copied] = of('FROM job WHERE t = ?');
  assert.doesNotMatch(copied![1], /TEMP B-TREE/);
  const [migrated] = of('former_job');
  assert.match(migrated![1], /CORRELATED SCALAR SUBQUERY \d+; SEARCH former_job USING COVERING INDEX job_lane/);
});

test('a settle writes one job of those that it leaves anew', async () => {
  const path = join(folder, 'large');
  const size = 64 * 1024;
  const db = await openSqlite({ path });
  await db.admin.ensureTenant('t', 't');
  await db.store.commit('t', { jobs: jobs(20, size) });
  const [lane] = await db.jobs.claim({ owner: 'me', lanes: 1, perLane: 8, leaseMs: 60_000 });
  const before = statSync(`${path}-wal`).size;
  await db.jobs.settle([{ lane: lane!.lane, lease: lane!.lease, done: lane!.jobs.map(({ id }) => id) }]);
  assert.ok(statSync(`${path}-wal`).size - before < 3 * size);
  const [next] = await db.jobs.claim({ owner: 'me', lanes: 1, perLane: 1, leaseMs: 60_000 });
  assert.equal(next!.jobs[0]!.id, '0008');
  await db.admin.close();
});
