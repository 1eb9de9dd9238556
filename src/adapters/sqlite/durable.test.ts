import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AppError } from '../../errors.ts';
import { openSqlite } from './sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'flexid-durable-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('what may be lost with the power is on the disk when it is asked for, also where the file is full', async () => {
  const path = join(folder, 'full');
  const db = await openSqlite({ path, maxPageCount: 120 });
  await db.admin.ensureTenant('t', 't');
  const synced = async (run: () => Promise<unknown>): Promise<number> => {
    const before = db.admin.stats().synced!;
    await run();
    return db.admin.stats().synced! - before;
  };
  const job = { id: '1', kind: 'event' as const, lane: 'event:x', payload: {} };
  await db.store.commit('t', { jobs: [job] });
  assert.equal(await synced(() => db.admin.durable()), 0, 'it is already');
  const [held] = await db.jobs.claim({ owner: 'me', lanes: 1, perLane: 1, leaseMs: 60_000 });
  const isFull = (error: unknown): boolean => error instanceof AppError && error.code === 'store-full';
  for (const size of [100_000, 3000, 1]) {
    const fill = async (): Promise<void> => {
      for (let n = 0; ; n++)
        await db.store.commit('t', {
          records: [{ category: 'connection', id: `${size} ${n}`, expect: 0, value: { text: 'x'.repeat(size) } }],
        });
    };
    await assert.rejects(fill(), isFull);
  }
  await assert.rejects(db.admin.check(), isFull);
  assert.equal(await synced(() => db.jobs.settle([{ lane: held!.lane, lease: held!.lease, done: ['1'] }])), 0);
  const log = statSync(`${path}-wal`).size;
  assert.equal(await synced(() => db.admin.durable()), 1);
  assert.ok(statSync(`${path}-wal`).size > log, 'a transaction without a change does not wait for the disk');
  assert.equal(await synced(() => db.admin.durable()), 0);
  await db.admin.close();
});
