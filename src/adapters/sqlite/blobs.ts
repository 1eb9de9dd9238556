import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../../errors.ts';
import type { BlobStat, Blobs } from '../../ports/blobs.ts';
import {
  CHUNKS_AT_ONCE,
  checkedName,
  checkedSize,
  chunksOf,
  groupsOf,
  joined,
  MAX_LISTED,
  rangeOf,
  SPARE_MS,
  sha256,
  unknownTenant,
} from '../store/blobs-shared.ts';
import type { KnownTenant } from '../store/shared.ts';
import type { BatchWriter } from './batch.ts';
import { rowsOf } from './file.ts';

const EXPIRE_ROWS = 64;

interface Parts {
  db: DatabaseSync;
  batch: BatchWriter;
  tenantById: (id: string) => KnownTenant;
  /** Of a locked wallet too. */
  tenantNumber: (id: string) => number;
  read: <T>(run: () => T) => Promise<T>;
}

type Row = BlobStat & { content: string };

/**
 * Blobs of an SQLite database. The chunks of a value are written first, under an id of their own; then the name is turned to them in one transaction. What a name
 * pointed to before, and what nothing came to point to, is `spare`.
 */
export function sqliteBlobs({ db, batch, tenantById, tenantNumber, read }: Parts): Blobs {
  const one = db.prepare('SELECT name, size, sha256, written, content FROM blob WHERE t = ? AND name = ?');
  const page = db.prepare('SELECT name, size, sha256, written FROM blob WHERE t = ? AND name > ? ORDER BY name LIMIT ?');
  const chunk = db.prepare('SELECT bytes FROM chunk WHERE content = ? AND n >= ? AND n < ? ORDER BY n');
  const chunkInsert = db.prepare('INSERT INTO chunk (content, n, t, bytes) VALUES (?, ?, ?, ?)');
  const spareInsert = db.prepare('INSERT INTO spare (content, t, since) VALUES (?, ?, ?)');
  const spareDelete = db.prepare('DELETE FROM spare WHERE content = ?');
  const blobPut = db.prepare(`INSERT INTO blob (t, name, content, size, sha256, written) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (t, name) DO UPDATE SET content = excluded.content, size = excluded.size, sha256 = excluded.sha256, written = excluded.written`);
  const blobDelete = db.prepare('DELETE FROM blob WHERE t = ? AND name = ? RETURNING content');
  const spareAll = db.prepare('INSERT INTO spare (content, t, since) SELECT content, t, ? FROM blob WHERE t = ?');
  const blobDeleteAll = db.prepare('DELETE FROM blob WHERE t = ?');
  const spares = db.prepare('SELECT content FROM spare WHERE since <= ? ORDER BY since LIMIT 1');
  const chunkDelete = db.prepare('DELETE FROM chunk WHERE (content, n) IN (SELECT content, n FROM chunk WHERE content = ? LIMIT ?)');

  const alive = db.prepare('SELECT 1 FROM tenant WHERE n = ? AND (length(data_key) > 0 OR lock IS NOT NULL)');

  const find = (t: number, name: string): Row | undefined => one.get(t, name) as Row | undefined;
  const statOf = ({ name, size, sha256: hash, written }: Row): BlobStat => ({ name, size, sha256: hash, written });

  async function put(tenant: string, given: string, bytes: Uint8Array): Promise<void> {
    const name = checkedName(given);
    checkedSize(bytes);
    const { n: t } = await read(() => tenantById(tenant));
    const hash = sha256(bytes);
    if ((await read(() => find(t, name)))?.sha256 === hash) return;
    const content = randomUUID();
    await batch.write(() => void spareInsert.run(content, t, Date.now()));
    for (const { first, chunks } of groupsOf(bytes)) {
      await batch.write(() => {
        for (const [i, piece] of chunks.entries()) chunkInsert.run(content, first + i, t, piece);
      });
    }
    await batch.write(() => {
      // one that was erased meanwhile leaves its number to another
      if (!alive.get(t)) throw new AppError('not-found', `There is no tenant ${tenant}`);
      const former = find(t, name);
      if (spareDelete.run(content).changes === 0) throw new AppError('conflict', 'The blob took too long to write');
      if (former) spareInsert.run(former.content, t, Date.now());
      blobPut.run(t, name, content, bytes.length, hash, Date.now());
    });
  }

  async function readRange(tenant: string, name: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined> {
    const row = await read(() => find(tenantNumber(tenant), checkedName(name)));
    if (!row) return undefined;
    const wanted = rangeOf(row.size, range);
    const { first, end } = chunksOf(wanted);
    const found: Uint8Array[] = [];
    for (let at = first; at < end; at += CHUNKS_AT_ONCE) {
      const rows = await read(() => chunk.all(row.content, at, Math.min(at + CHUNKS_AT_ONCE, end)) as { bytes: Uint8Array }[]);
      found.push(...rows.map(({ bytes }) => bytes));
    }
    return joined(row, wanted, found);
  }

  async function expire(now: number): Promise<number> {
    let removed = 0;
    for (;;) {
      let more = false;
      await batch.write(() => {
        const [spare] = spares.all(now - SPARE_MS) as { content: string }[];
        if (!spare) return;
        more = true;
        if (Number(chunkDelete.run(spare.content, EXPIRE_ROWS).changes) === EXPIRE_ROWS) return;
        spareDelete.run(spare.content);
        removed += 1;
      });
      if (!more) return removed;
    }
  }

  return Object.freeze({
    put,
    read: readRange,
    expire,
    stat: (tenant: string, name: string) =>
      read(() => {
        const row = find(tenantNumber(tenant), checkedName(name));
        return row && statOf(row);
      }),
    async remove(tenant: string, given: string) {
      const name = checkedName(given);
      const { n: t } = await read(() => tenantById(tenant));
      await batch.write(() => {
        const former = blobDelete.get(t, name) as { content: string } | undefined;
        if (former) spareInsert.run(former.content, t, Date.now());
      });
    },
    async clear(tenant: string) {
      // the rows of a tenant that is gone are swept with all its others
      const known = await read(() => tenantById(tenant)).catch(unknownTenant);
      if (known)
        await batch.write(() => {
          spareAll.run(Date.now(), known.n);
          blobDeleteAll.run(known.n);
        });
    },
    list: (tenant: string, { after = '', limit = MAX_LISTED }: { after?: string; limit?: number }) =>
      read(() =>
        rowsOf<BlobStat>(page.all(tenantById(tenant).n, after, Math.min(Math.max(1, limit), MAX_LISTED))).map((row) => ({
          ...row,
        })),
      ),
  });
}
