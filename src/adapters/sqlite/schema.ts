import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';

/**
 * Migrations in order; one is never changed after a release. Integer keys grow with time, so that inserts append; `t` is the tenant's number.
 * `record_list` carries the filter columns, so that a page and its total are answered without touching the values.
 * The rows of a lane lie together in `job`, its first one marks it by `lane_due`: when the lane is due, as of the last settle. Who holds a lane is kept in memory, for
 * only one process opens the file.
 */
const MIGRATIONS: readonly { name: string; sql: string }[] = [
  {
    name: 'first',
    sql: `
    CREATE TABLE tenant (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name BLOB NOT NULL, data_key BLOB NOT NULL, created INTEGER NOT NULL) STRICT;
    CREATE TABLE record (
      n INTEGER PRIMARY KEY, t INTEGER NOT NULL, category TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
      state TEXT, role TEXT, connection TEXT, created INTEGER NOT NULL, updated INTEGER NOT NULL, tags BLOB NOT NULL, value BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX record_id ON record (t, category, id);
    CREATE INDEX record_list ON record (t, category, n, state, role, connection);
    CREATE INDEX record_connection ON record (t, connection, category, n, state, role) WHERE connection IS NOT NULL;
    CREATE TABLE tag (t INTEGER NOT NULL, hash BLOB NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (t, hash, n)) WITHOUT ROWID, STRICT;
    CREATE TABLE key (t INTEGER NOT NULL, hash BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (t, hash)) WITHOUT ROWID, STRICT;
    CREATE TABLE route (hash BLOB PRIMARY KEY, t INTEGER NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE mark (n INTEGER PRIMARY KEY, t INTEGER NOT NULL, hash BLOB NOT NULL, expires INTEGER NOT NULL, answer BLOB) STRICT;
    CREATE UNIQUE INDEX mark_hash ON mark (t, hash);
    CREATE INDEX mark_expires ON mark (expires);
    -- AUTOINCREMENT: a hold names its lane by number, which must not become another lane's
    CREATE TABLE lane (n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, t INTEGER NOT NULL, due INTEGER NOT NULL, head TEXT NOT NULL) STRICT;
    CREATE INDEX lane_due ON lane (kind, due);
    CREATE TABLE job (
      n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, lane INTEGER NOT NULL, t INTEGER NOT NULL, kind TEXT NOT NULL,
      due INTEGER NOT NULL, attempts INTEGER NOT NULL, cause TEXT, payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX job_lane ON job (lane, id);
    CREATE INDEX job_cause ON job (t, cause) WHERE cause IS NOT NULL AND kind NOT IN ('deliver', 'event');
    CREATE TABLE dead (
      n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, lane TEXT NOT NULL, t INTEGER NOT NULL, kind TEXT NOT NULL,
      attempts INTEGER NOT NULL, cause TEXT, payload BLOB NOT NULL, died INTEGER NOT NULL, error BLOB NOT NULL
    ) STRICT;
    CREATE INDEX dead_tenant ON dead (t, n);
    CREATE TABLE event (
      n INTEGER PRIMARY KEY, t INTEGER NOT NULL, id TEXT NOT NULL, topic TEXT NOT NULL, category TEXT NOT NULL, record TEXT NOT NULL,
      time INTEGER NOT NULL, value BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX event_id ON event (t, id);
    CREATE TABLE cause (n INTEGER PRIMARY KEY, t INTEGER NOT NULL, cause TEXT NOT NULL, expires INTEGER NOT NULL, snapshot BLOB, failure BLOB) STRICT;
    CREATE UNIQUE INDEX cause_id ON cause (t, cause);
    CREATE INDEX cause_expires ON cause (expires);
    `,
  },
  {
    name: 'wallets whose owner keeps the key',
    sql: `
    ALTER TABLE tenant ADD COLUMN lock TEXT;
    ALTER TABLE tenant ADD COLUMN open_until INTEGER;
    CREATE INDEX tenant_open ON tenant (open_until) WHERE open_until IS NOT NULL;
    `,
  },
  {
    // `mailbox` counts exactly what `mail` holds; `mail_box` carries what is counted for one recipient, so that the bodies need not be passed over
    name: 'mail that peers fetch',
    sql: `
    CREATE TABLE mail (
      n INTEGER PRIMARY KEY, t INTEGER NOT NULL, box TEXT NOT NULL, id TEXT NOT NULL, recipient BLOB, size INTEGER NOT NULL,
      received INTEGER NOT NULL, expires INTEGER NOT NULL, attempts INTEGER NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX mail_id ON mail (t, id);
    CREATE INDEX mail_box ON mail (t, box, n, recipient, size, received);
    CREATE INDEX mail_expires ON mail (expires);
    CREATE INDEX mail_missed ON mail (n) WHERE attempts >= 20;
    CREATE TABLE mailbox (t INTEGER NOT NULL, box TEXT NOT NULL, messages INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (t, box)) WITHOUT ROWID, STRICT;
    `,
  },
  {
    // `target` is the result of `targetOf` for the lane's name
    name: 'lanes in turn by tenant and target',
    sql: `
    ALTER TABLE lane ADD COLUMN target TEXT GENERATED ALWAYS AS
      (CASE WHEN name LIKE 'event:%:%' THEN substr(name, 7, instr(substr(name, 7), ':') - 1) ELSE '' END) VIRTUAL;
    CREATE INDEX lane_fair ON lane (kind, t, target, due);
    `,
  },
  {
    // a content is what the name of a blob points to, in chunks; `spare` has those that no name points to, or not yet
    name: 'blobs',
    sql: `
    CREATE TABLE blob (
      t INTEGER NOT NULL, name TEXT NOT NULL, content TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, written INTEGER NOT NULL, PRIMARY KEY (t, name)
    ) WITHOUT ROWID, STRICT;
    CREATE TABLE chunk (i INTEGER PRIMARY KEY, content TEXT NOT NULL, n INTEGER NOT NULL, t INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
    CREATE UNIQUE INDEX chunk_content ON chunk (content, n);
    CREATE INDEX chunk_tenant ON chunk (t);
    CREATE TABLE spare (content TEXT PRIMARY KEY, t INTEGER NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID, STRICT;
    CREATE INDEX spare_since ON spare (since);
    `,
  },
  {
    // a number stays with its job, also where that is a dead letter; one of a job that is gone is removed by the upkeep
    name: 'counters',
    sql: `
    CREATE TABLE counter (t INTEGER NOT NULL, hash BLOB NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (t, hash)) WITHOUT ROWID, STRICT;
    CREATE TABLE allocation (t INTEGER NOT NULL, job TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (t, job)) WITHOUT ROWID, STRICT;
    `,
  },
  {
    // a plain column, so that locked wallets need no key for it
    name: 'our own role in connections',
    sql: `
    UPDATE record SET role = CASE role WHEN 'inviter' THEN 'invitee' ELSE 'inviter' END WHERE category = 'connection' AND role IN ('inviter', 'invitee');
    `,
  },
  {
    name: 'names of dedup keys, calls and owners of keys',
    sql: `
    ALTER TABLE mark RENAME TO dedup_key;
    DROP INDEX mark_hash;
    DROP INDEX mark_expires;
    CREATE UNIQUE INDEX dedup_key_hash ON dedup_key (t, hash);
    CREATE INDEX dedup_key_expires ON dedup_key (expires);
    ALTER TABLE route RENAME TO key_owner;
    ALTER TABLE cause RENAME TO call;
    ALTER TABLE call RENAME COLUMN cause TO call_id;
    ALTER TABLE call RENAME COLUMN snapshot TO result;
    DROP INDEX cause_id;
    DROP INDEX cause_expires;
    CREATE UNIQUE INDEX call_call_id ON call (t, call_id);
    CREATE INDEX call_expires ON call (expires);
    DROP INDEX job_cause;
    ALTER TABLE job RENAME COLUMN cause TO call_id;
    CREATE INDEX job_call ON job (t, call_id) WHERE call_id IS NOT NULL AND kind NOT IN ('deliver', 'event');
    ALTER TABLE dead RENAME COLUMN cause TO call_id;
    `,
  },
  {
    // every commit changes jobs, and each table and index of theirs is a page that it writes; `target` is the result of `targetOf` for the lane, and no generated column:
    // an index answers none of those by itself, and the rows of a claim's candidates are far apart
    name: 'lanes within their jobs',
    sql: `
    DROP INDEX job_call;
    ALTER TABLE job RENAME TO former_job;
    CREATE TABLE job (
      lane TEXT NOT NULL, id TEXT NOT NULL, t INTEGER NOT NULL, kind TEXT NOT NULL, lane_due INTEGER, due INTEGER NOT NULL, attempts INTEGER NOT NULL, call_id TEXT,
      target TEXT NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (lane, id)
    ) WITHOUT ROWID, STRICT;
    INSERT INTO job (lane, id, t, kind, lane_due, due, attempts, call_id, target, payload)
      SELECT l.name, j.id, j.t, j.kind, CASE WHEN j.id = (SELECT min(id) FROM former_job WHERE lane = l.n) THEN l.due END, j.due, j.attempts, j.call_id, l.target, j.payload
      FROM lane l JOIN former_job j ON j.lane = l.n;
    DROP TABLE former_job;
    DROP TABLE lane;
    CREATE INDEX job_due ON job (kind, lane_due, id, t) WHERE lane_due IS NOT NULL;
    CREATE INDEX job_fair ON job (kind, t, target, lane_due) WHERE lane_due IS NOT NULL;
    CREATE INDEX job_call ON job (t, call_id) WHERE call_id IS NOT NULL AND kind NOT IN ('deliver', 'event');
    `,
  },
];

/** The tables that hold rows of a tenant by its number `t`. */
export const TENANT_TABLES = [
  'record',
  'tag',
  'key',
  'key_owner',
  'dedup_key',
  'job',
  'dead',
  'event',
  'call',
  'mail',
  'mailbox',
  'blob',
  'chunk',
  'spare',
  'counter',
  'allocation',
] as const;

/**
 * Brings the database to this version's schema, in one transaction.
 * @throws AppError `store-unavailable` when a newer version of the agent has been here.
 */
export function migrateSqlite(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    db.exec(`CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied INTEGER NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT`);
    const { last } = db.prepare('SELECT coalesce(max(number), 0) AS last FROM migration').get() as { last: number };
    if (last > MIGRATIONS.length) {
      throw new AppError(
        'store-unavailable',
        `The database has schema ${last}, this version of the agent knows schemas up to ${MIGRATIONS.length}: start a newer version`,
      );
    }
    const note = db.prepare('INSERT INTO migration VALUES (?, ?, ?)');
    for (const [i, { name, sql }] of MIGRATIONS.entries()) {
      if (i < last) continue;
      db.exec(sql);
      note.run(i + 1, name, Date.now());
    }
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
