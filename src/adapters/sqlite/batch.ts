import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import { type NotificationDraft, notificationDraft } from '../store/shared.ts';
import { sqliteError } from './file.ts';

/** Pages beyond the largest size of the file for what removes rows: a full database that nothing can be removed from would stay full. */
const RESERVE_PAGES = 64;

/** One write of a batch. */
interface Member {
  /** It may be lost with the machine's power: then what it ended runs again. */
  readonly repeatable: boolean;
  /** It removes rows: where the file may not grow, it may by a little, for the traces of the removal. */
  readonly frees: boolean;
  /** Runs inside the transaction; what it throws undoes this member alone. */
  write: () => void;
  /** Runs after the COMMIT, when the write is durable. */
  committed: (draft: NotificationDraft) => void;
  resolve: () => void;
  reject: (error: AppError) => void;
}

/** A repeatable write that goes along with others; each of these is called as a member's. */
export type Passenger = Pick<Member, 'write' | 'committed' | 'reject'>;

export interface BatchWriter {
  /**
   * Queues a write for this turn's transaction; resolves when it is durable. With `repeatable` it is that against the end of the process, and against the loss of
   * power from the next durable commit on.
   */
  write(write: () => void, committed?: (draft: NotificationDraft) => void, how?: { repeatable?: boolean; frees?: boolean }): Promise<void>;
  /** Has `more` looked at when a transaction begins: its write goes along, after the others, and by itself it begins none. */
  takeAlong(more: () => Passenger | undefined): void;
  /** Commits what is queued, now. */
  flush(): void;
  /** Whether the latest transaction may still be lost with the machine's power. */
  isBehind(): boolean;
  /** Refuses further writes. */
  end(): void;
  /** `transactions` are those of several commits, `synced` those of them that waited for the disk. */
  readonly counters: { commits: number; statements: number; conflicts: number; transactions: number; synced: number };
}

/**
 * Group commit: all writes of one event-loop turn run in one synchronous transaction, each in its own savepoint, and no result is visible before the COMMIT.
 * One fsync then serves the whole turn. A turn of nothing but repeatable writes needs none.
 */
export function batchWriter(db: DatabaseSync, publish: (draft: NotificationDraft) => void, maxPages?: number): BatchWriter {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  const savepoint = db.prepare('SAVEPOINT member');
  const release = db.prepare('RELEASE member');
  const undo = db.prepare('ROLLBACK TO member');
  const counters = { commits: 0, statements: 0, conflicts: 0, transactions: 0, synced: 0 };
  let queue: Member[] = [];
  let ended = false;
  let behind = false;
  let passengers: () => Passenger | undefined = () => undefined;

  function failAll(batch: Member[], error: unknown): void {
    const reason = sqliteError(error);
    for (const member of batch) member.reject(reason);
  }

  function runMember(member: Member): AppError | undefined {
    savepoint.run();
    try {
      member.write();
      release.run();
      return undefined;
    } catch (error) {
      // a full or damaged database may have rolled back everything: a later savepoint would then be a transaction of its own, durable by itself
      if (!db.isTransaction) throw error;
      undo.run();
      release.run();
      return sqliteError(error);
    }
  }

  /** Runs a batch in one transaction. @returns why each member failed, or undefined @throws where none of it is stored */
  function run(batch: readonly Member[]): (AppError | undefined)[] {
    counters.statements += 1;
    const errors: (AppError | undefined)[] = [];
    const repeatable = batch.every((member) => member.repeatable);
    const reserved = maxPages !== undefined && batch.some((member) => member.frees);
    try {
      if (repeatable) db.exec('PRAGMA synchronous = NORMAL');
      if (reserved) db.exec(`PRAGMA max_page_count = ${maxPages + RESERVE_PAGES}`);
      begin.run();
      for (const member of batch) errors.push(runMember(member));
      commit.run();
    } catch (error) {
      if (db.isTransaction) rollback.run();
      throw error;
    } finally {
      if (repeatable) db.exec('PRAGMA synchronous = FULL');
      if (reserved) db.exec(`PRAGMA max_page_count = ${maxPages}`);
    }
    counters.transactions += 1;
    behind = repeatable;
    if (!repeatable) counters.synced += 1;
    return errors;
  }

  function stored(batch: readonly Member[], errors: readonly (AppError | undefined)[]): void {
    const draft = notificationDraft();
    for (const [i, member] of batch.entries()) {
      const error = errors[i];
      if (error) {
        if (error.code === 'conflict') counters.conflicts += 1;
        member.reject(error);
      } else {
        counters.commits += 1;
        member.committed(draft);
        member.resolve();
      }
    }
    publish(draft);
  }

  function flush(): void {
    const batch = queue;
    if (batch.length === 0) return;
    queue = [];
    const passenger = passengers();
    let members: readonly Member[] = passenger
      ? [...batch, { repeatable: true, frees: false, resolve: () => undefined, ...passenger }]
      : batch;
    let errors: (AppError | undefined)[];
    try {
      try {
        errors = run(members);
      } catch (error) {
        if (!passenger) throw error;
        // a file that is full for it may have room for the others
        passenger.reject(sqliteError(error));
        members = batch;
        errors = run(members);
      }
    } catch (error) {
      failAll(batch, error);
      return;
    }
    stored(members, errors);
  }

  return {
    counters,
    isBehind: () => behind,
    flush,
    takeAlong(more) {
      passengers = more;
    },
    end() {
      ended = true;
    },
    write: (write, committed = () => undefined, { repeatable = false, frees = false } = {}) =>
      new Promise<void>((resolve, reject) => {
        if (ended) return reject(new AppError('store-unavailable', 'The database is closed'));
        if (queue.length === 0) setImmediate(flush);
        queue.push({ repeatable, frees, write, committed, resolve, reject });
      }),
  };
}
