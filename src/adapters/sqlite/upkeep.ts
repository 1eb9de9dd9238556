import type { DatabaseSync } from 'node:sqlite';
import type { JobKind, StoreAdmin } from '../../ports/store.ts';
import { EVENT_MS, openJobs } from '../store/shared.ts';
import type { BatchWriter } from './batch.ts';
import { mailExpiry } from './mail.ts';

/** How many rows one step of an expiry removes. */
const EXPIRE_ROWS = 1000;

interface Parts {
  readonly db: DatabaseSync;
  readonly batch: BatchWriter;
  readonly read: <T>(run: () => T) => Promise<T>;
  readonly pageBytes: number;
}

/** Expiry of old rows, and counts and checks of an SQLite database. */
export function sqliteUpkeep({
  db,
  batch,
  read,
  pageBytes,
}: Parts): Pick<StoreAdmin, 'expire' | 'expireMail' | 'backlog' | 'check' | 'durable'> {
  const expireMail = mailExpiry(db);
  const jobCounts = db.prepare('SELECT kind, count(*) AS n FROM job GROUP BY kind');
  const deadCount = db.prepare('SELECT count(*) AS n FROM dead');
  const probePut = db.prepare("INSERT INTO meta (name, value) VALUES ('probe', ?)");
  const probeRemove = db.prepare("DELETE FROM meta WHERE name = 'probe'");
  const turnPut = db.prepare("INSERT INTO meta (name, value) VALUES ('turn', '0') ON CONFLICT (name) DO UPDATE SET value = 1 - value");
  const expiring = [
    db.prepare(`DELETE FROM dedup_key WHERE n IN (SELECT n FROM dedup_key WHERE expires <= ? ORDER BY expires LIMIT ${EXPIRE_ROWS})`),
    db.prepare(`DELETE FROM call WHERE n IN (SELECT n FROM call WHERE expires <= ? ORDER BY expires LIMIT ${EXPIRE_ROWS})`),
    // events are numbered in the order of their time, so the oldest are the first
    db.prepare(`DELETE FROM event WHERE n IN (SELECT n FROM event ORDER BY n LIMIT ${EXPIRE_ROWS}) AND time <= ? - ${EVENT_MS}`),
    // the numbers of jobs that are gone
    db.prepare(`DELETE FROM allocation WHERE (t, job) IN (SELECT a.t, a.job FROM allocation a
      WHERE a.job NOT IN (SELECT id FROM job) AND NOT EXISTS (SELECT 1 FROM dead WHERE id = a.job) LIMIT ${EXPIRE_ROWS}) AND ? > 0`),
  ];

  /** In steps of some rows, each in a batch of its own, so that a large sweep holds nobody up. */
  async function expire(now: number): Promise<number> {
    let total = 0;
    for (const statement of expiring) {
      let step: number;
      do {
        step = 0;
        await batch.write(() => {
          step = Number(statement.run(now).changes);
        });
        total += step;
      } while (step === EXPIRE_ROWS);
    }
    return total;
  }

  /** In a transaction of its own, since one that finds no room takes all that it holds with it. Its pages become free again. */
  function writeALittle(): void {
    batch.flush();
    try {
      db.exec('BEGIN IMMEDIATE');
      probePut.run('x'.repeat(2 * pageBytes));
      probeRemove.run();
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }

  return {
    expire,
    async expireMail(now) {
      let removed: ReturnType<typeof expireMail> = [];
      await batch.write(() => {
        removed = expireMail(now);
      });
      return removed;
    },
    backlog: () =>
      read(() => ({
        open: openJobs(jobCounts.all() as { kind: JobKind; n: number }[]),
        dead: (deadCount.get() as { n: number }).n,
      })),
    // a transaction that changes nothing would not wait for the disk
    durable: async () => {
      if (batch.isBehind()) await batch.write(() => void turnPut.run(), undefined, { frees: true });
    },
    check: () => read(writeALittle),
  };
}
