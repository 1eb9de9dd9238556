/** A process that takes numbers of one counter until there are none left: `allocating.ts URL KEY TENANT COUNTER UPTO`. */
import { randomUUID } from 'node:crypto';
import { openPostgres } from '../../src/adapters/postgres/postgres.ts';
import { AppError } from '../../src/errors.ts';

const [url = '', masterKey = '', tenant = '', counter = '', upTo = '0'] = process.argv.slice(2);
const db = await openPostgres({ url, masterKey });

async function take(): Promise<void> {
  for (;;) {
    const id = randomUUID();
    try {
      await db.store.commit(tenant, {
        jobs: [{ id, kind: 'work', lane: `work:${id}`, payload: {}, allocate: { counter, upTo: Number(upTo) } }],
      });
    } catch (error) {
      if (error instanceof AppError && error.code === 'counter-full') return;
      throw error;
    }
  }
}

await Promise.all(Array.from({ length: 50 }, take));
await db.admin.close();
