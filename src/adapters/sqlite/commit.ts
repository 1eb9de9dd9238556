import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import { type CommitRows, type RecordRow, splitTags } from '../../vault/rows.ts';
import { CALL_MS } from '../store/shared.ts';
import type { Holds, LaneWrites } from './lanes.ts';
import { mailWrites } from './mail.ts';

interface FoundRecord {
  n: number;
  version: number;
  state: string | null;
  role: string | null;
  connection: string | null;
  tags: Uint8Array;
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0;

/** The part of a written commit that notifications and holds need: the calls of the jobs it completed, the leases of lanes that went with their last job, and how much lies in the boxes that got mail. */
export interface Written {
  callIds: string[];
  ended: string[];
  boxes: { box: string; waiting: number }[];
}
export type CommitWriter = (t: number, rows: CommitRows, now: number) => Written;

/** The writer of one commit; runs inside a savepoint, so that any throw undoes all of it. */
export function commitWriter(db: DatabaseSync, lanes: LaneWrites, held: Holds): CommitWriter {
  const recordGet = db.prepare('SELECT n, version, state, role, connection, tags FROM record WHERE t = ? AND category = ? AND id = ?');
  const recordInsert = db.prepare(`INSERT INTO record (t, category, id, version, state, role, connection, created, updated, tags, value)
    VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)`);
  // two forms: naming an indexed column in SET rewrites its index entries even when nothing changed; pages of a value that stays are not written
  const recordValue = db.prepare('UPDATE record SET version = ?, updated = ?, tags = ?, value = coalesce(?, value) WHERE n = ?');
  const recordAll = db.prepare(
    'UPDATE record SET version = ?, updated = ?, tags = ?, value = coalesce(?, value), state = ?, role = ?, connection = ? WHERE n = ?',
  );
  const recordDelete = db.prepare('DELETE FROM record WHERE n = ?');
  const tagInsert = db.prepare('INSERT INTO tag (t, hash, n) VALUES (?, ?, ?)');
  const tagDelete = db.prepare('DELETE FROM tag WHERE t = ? AND hash = ? AND n = ?');
  const keyInsert = db.prepare('INSERT INTO key (t, hash, value) VALUES (?, ?, ?)');
  const keyDelete = db.prepare('DELETE FROM key WHERE t = ? AND hash = ?');
  const keyOwnerInsert = db.prepare('INSERT INTO key_owner (hash, t, kind, target) VALUES (?, ?, ?, ?)');
  const keyOwnerDelete = db.prepare('DELETE FROM key_owner WHERE hash = ? AND t = ?');
  const dedupKeyInsert = db.prepare('INSERT INTO dedup_key (t, hash, expires, answer) VALUES (?, ?, ?, ?)');
  const count = db.prepare(`INSERT INTO counter (t, hash, n) SELECT ?1, ?2, 1 WHERE ?3 >= 1
    ON CONFLICT (t, hash) DO UPDATE SET n = n + 1 WHERE n < ?3 RETURNING n`);
  const allocationInsert = db.prepare('INSERT INTO allocation (t, job, n) VALUES (?, ?, ?)');
  const eventInsert = db.prepare('INSERT INTO event (t, id, topic, category, record, time, value) VALUES (?, ?, ?, ?, ?, ?, ?)');
  const resultPut = db.prepare(`INSERT INTO call (t, call_id, expires, result) VALUES (?, ?, ?, ?)
    ON CONFLICT (t, call_id) DO UPDATE SET expires = excluded.expires, result = excluded.result`);
  const writeMail = mailWrites(db);
  const failurePut = db.prepare(`INSERT INTO call (t, call_id, expires, failure) VALUES (?, ?, ?, ?)
    ON CONFLICT (t, call_id) DO UPDATE SET expires = excluded.expires, failure = excluded.failure`);

  function existing(t: number, category: string, id: string, expect: number): FoundRecord {
    const found = recordGet.get(t, category, id) as FoundRecord | undefined;
    if (!found) throw new AppError('conflict', `${category} ${id} was removed at the same time`);
    if (found.version !== expect) throw new AppError('conflict', `${category} ${id} has version ${found.version}, not ${expect}`);
    return found;
  }

  function insertRecord(t: number, row: RecordRow, now: number): void {
    const { category, id, state, role, connection, tags, value } = row;
    const n = recordInsert.run(t, category, id, state, role, connection, now, now, tags, value).lastInsertRowid;
    for (const hash of splitTags(tags)) tagInsert.run(t, hash, n);
  }

  function updateRecord(t: number, row: RecordRow, now: number): void {
    const found = existing(t, row.category, row.id, row.expect);
    if (!sameBytes(found.tags, row.tags)) {
      for (const hash of splitTags(found.tags)) tagDelete.run(t, hash, found.n);
      for (const hash of splitTags(row.tags)) tagInsert.run(t, hash, found.n);
    }
    const version = row.expect + 1;
    if (found.state === row.state && found.role === row.role && found.connection === row.connection) {
      recordValue.run(version, now, row.tags, row.value, found.n);
    } else {
      recordAll.run(version, now, row.tags, row.value, row.state, row.role, row.connection, found.n);
    }
  }

  function deleteRecord(t: number, { category, id, expect }: { category: string; id: string; expect: number }): void {
    const found = existing(t, category, id, expect);
    for (const hash of splitTags(found.tags)) tagDelete.run(t, hash, found.n);
    recordDelete.run(found.n);
  }

  /** Removes a job that is done; its lane stays held until it is settled, unless that was its last job. */
  function complete(done: { id: string; lease: string }): string | null {
    const hold = held.of(done.lease);
    const removed = hold && lanes.remove(hold.lane, done.id);
    if (!removed) throw new AppError('lease-lost');
    return removed.call_id;
  }

  return (t, rows, now) => {
    const callIds: string[] = [];
    for (const done of rows.done) {
      const callId = complete(done);
      if (callId !== null) callIds.push(callId);
    }
    for (const dedupKey of rows.dedupKeys) dedupKeyInsert.run(t, dedupKey.hash, dedupKey.expires, dedupKey.answer);
    for (const row of rows.deletes) deleteRecord(t, row);
    for (const row of rows.records) row.expect === 0 ? insertRecord(t, row, now) : updateRecord(t, row, now);
    for (const key of rows.keys) keyInsert.run(t, key.hash, key.value);
    for (const hash of rows.removedKeys) keyDelete.run(t, hash);
    for (const hash of rows.removedKeyOwners) keyOwnerDelete.run(hash, t);
    for (const owner of rows.keyOwners) keyOwnerInsert.run(owner.hash, t, owner.kind, owner.target);
    for (const job of rows.jobs) lanes.insert(t, job, now);
    for (const { job, hash, upTo } of rows.counters) {
      const given = count.get(t, hash, upTo) as { n: number } | undefined;
      if (!given) throw new AppError('counter-full');
      allocationInsert.run(t, job, given.n);
    }
    for (const e of rows.events) eventInsert.run(t, e.id, e.topic, e.category, e.record, now, e.value);
    for (const { callId, value } of rows.results) resultPut.run(t, callId, now + CALL_MS, value);
    for (const { callId, value } of rows.failures) failurePut.run(t, callId, now + CALL_MS, value);
    const leases = [...new Set(rows.done.map(({ lease }) => lease))];
    const ended = leases.filter((lease) => !lanes.byName(held.of(lease)!.lane));
    return { callIds, ended, boxes: writeMail(t, rows, now) };
  };
}
